"""Costs of a run as it goes on: what each step adds to the key figures of its result.

The terms of all steps of a run add up to `cost_net` of the hub. Energy is charged with the prices at which it flows;
penalties for energy that EVs missed when a session ends, those for load when it is lost. The demand charge is on the
dearest quarter of an hour of a month, which no step has to itself: a step is charged what the charge rises by while it
lasts, counted as if the run ended there (so a quarter that begins high gives back what its mean falls to).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ...analysis.kpis import step_signals
from ...analysis.kpis.cost_figures import cost_signs, costs
from ...analysis.kpis.kpi_formulas import energy
from ...analysis.kpis.power_figures import demand_intervals
from ...analysis.results.result_layout import OUTCOMES
from ...analysis.results.result_reader import start_of
from ...analysis.results.result_tape import ResultTape
from ...simulators.devices import kinds
from ...simulators.units import S_PER_DAY

DemandCharge = Literal["rise", "share"]
_PRICES = ("buy", "sell", "dg", "bess", "charging")
AMOUNTS = ("missed_kwh", "unserved_kwh")
"""Amounts of a step that are no costs by themselves."""


def cost_terms() -> list[str]:
    """Return the names of all costs; revenues count negative."""
    return list(_signs())


def _signs() -> dict[str, int]:
    return {name.removeprefix("cost_"): sign for name, sign in cost_signs().items()}


class CostMeter:
    """Measures what the steps of a run cost one hub.

    Parameters
    ----------
    tape : ResultTape
        The recording of the run.
    hub : str
        Name of the hub.
    t_s : float
        Where the first step begins [s].
    end_s : float
        End of the run [s].
    demand : {"rise", "share"}
        How the demand charge is counted: as it rises, or as the part of a month's charge that belongs to the days from
        `t_s` to `until_s`, on the highest quarter since `t_s`.
    until_s : float, optional
        Where the last step ends [s]; the end of the run when left out.
    """

    def __init__(
        self,
        tape: ResultTape,
        hub: str,
        t_s: float,
        end_s: float,
        demand: DemandCharge = "rise",
        until_s: float | None = None,
    ):
        self._tape, self._hub, self._end_s = tape, hub, end_s
        self._place = {spec.path: n for n, spec in enumerate(tape.specs)}
        self.start = start_of(tape.attributes, Path(tape.attributes["name"]))
        """First instant of the run, on the local clock."""
        self._powers: dict[str, list[str]] = {}
        priced = {"grid", *(kind.name for kind in kinds() if kind.price)}
        for name, device in tape.devices.items():
            if device.kind in priced and name.split("/")[0] == hub and f"{name}/p_kw" in self._place:
                self._powers.setdefault(device.kind, []).append(f"{name}/p_kw")
        self._signs = _signs()
        self._number = tape.hubs.index(hub)
        self._requested_kwh = [row["requested_kwh"] for row in tape.sessions if row["hub"] == hub]
        self._ends = 0
        self._missed_kwh: dict[int, float] = {}
        self._lost_kwh = 0.0
        self._t_s = t_s
        self._take_missed()
        self._take_lost(0.0, t_s)
        self._demand = _DemandMeter(self, demand, t_s, end_s if until_s is None else until_s)

    def step(self, until_s: float) -> tuple[dict[str, float], dict[str, float]]:
        """Measure the time since the last step.

        Parameters
        ----------
        until_s : float
            Its end [s]: now.

        Returns
        -------
        costs : dict of str to float
            By the names of `cost_terms`, those that the hub has [currency].
        amounts : dict of str to float
            By the names of `AMOUNTS`.
        """
        from_s, self._t_s = self._t_s, until_s
        paths = self._powers
        prices = {name: self.path(f"tariffs/{name}_per_kwh") for name in _PRICES}
        items: dict[str, float] = {}
        if until_s > from_s:
            known = {name: path for name, path in prices.items() if path in self._place}
            t_s, signals = self.signals([*chain(*paths.values()), *known.values()], from_s, until_s)
            powers_kw = {kind: [signals[path] for path in of_kind] for kind, of_kind in paths.items()}
            held = {name: signals[path] for name, path in known.items()}
            items = costs(t_s, powers_kw, held, until_s, self.start)
            items = {name: self._signs[name] * value for name, value in items.items() if name != "net"}
        amounts = {"missed_kwh": self._take_missed(), "unserved_kwh": self._take_lost(from_s, until_s)}
        for name, amount in amounts.items():
            price = self._last(self.path(f"tariffs/{name.removesuffix('_kwh')}_per_kwh"))
            if price is not None:
                items[name.removesuffix("_kwh")] = price * amount
        items["demand"] = self._demand.step(until_s)
        return items, amounts

    def path(self, signal: str) -> str:
        """Return the path of a signal of the hub."""
        return f"{self._hub}/{signal}"

    def has(self, path: str) -> bool:
        """Return whether a signal is recorded."""
        return path in self._place

    def signals(self, paths: list[str], from_s: float, until_s: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return signals on their common times from one time to before another; NaN where one has no value yet."""
        parts = {}
        for path in paths:
            n = self._place[path]
            times = self._tape.times[n]
            first, last = max(bisect_right(times, from_s) - 1, 0), bisect_left(times, until_s)
            parts[path] = (
                np.array(times[first:last], dtype=float),
                np.array(self._tape.values[n][first:last], dtype=float),
            )
        t_s = step_signals.union([np.maximum(times, from_s) for times, _ in parts.values()] + [np.array([from_s])])
        return t_s, {path: step_signals.hold(times, values, t_s) for path, (times, values) in parts.items()}

    def _last(self, path: str) -> float | None:
        values = self._tape.values[self._place[path]] if path in self._place else []
        return float(values[-1]) if values else None

    def _take_missed(self) -> float:
        """Return what the sessions missed that have ended since the last time [kWh]."""
        missed_kwh = 0.0
        rows = self._tape.session_ends
        for hub, session, _, _, _, delivered_kwh, _, outcome in rows[self._ends :]:
            if hub == self._number:
                over = OUTCOMES[outcome] != "unfinished"
                kwh = max(0.0, self._requested_kwh[session] - delivered_kwh) if over else 0.0
                missed_kwh += kwh - self._missed_kwh.get(session, 0.0)
                self._missed_kwh[session] = kwh
        self._ends = len(rows)
        return missed_kwh

    def _take_lost(self, from_s: float, until_s: float) -> float:
        """Return the load that was lost since the last time [kWh]: by its own account, else what was not served."""
        unserved, account = self.path("load/unserved_kw"), self.path("load/eens_kwh")
        if unserved not in self._place:
            return 0.0
        before_kwh = self._lost_kwh
        if account in self._place and self._tape.values[self._place[account]]:
            self._lost_kwh = float(np.sum(self._tape.values[self._place[account]][-1]))
        elif until_s > from_s:
            n = self._place[unserved]
            times, values = self._tape.times[n], self._tape.values[n]
            first, last = max(bisect_right(times, from_s) - 1, 0), bisect_left(times, until_s)
            if last > first:
                t_s = np.maximum(np.array(times[first:last], dtype=float), from_s)
                total_kw = np.array(values[first:last], dtype=float).reshape(last - first, -1).sum(axis=1)
                self._lost_kwh += energy(t_s, total_kw, until_s)
        return self._lost_kwh - before_kwh


class _DemandMeter:
    """The demand charge as if the run ended now, and what it rises by."""

    def __init__(self, meter: CostMeter, rule: DemandCharge, t_s: float, until_s: float):
        self._meter, self._rule = meter, rule
        self._grid, self._price = meter.path("grid/p_kw"), meter.path("tariffs/demand_per_kw")
        self._highest: dict[tuple[int, int], float] = {}
        """Cost of the dearest full quarter, by year and month."""
        self._quarter_s = t_s if rule == "share" else 0.0
        self._charge = 0.0
        self._part = 1.0 if rule == "rise" else _part_of_month(meter.start, t_s, until_s)
        self._known = meter.has(self._grid) and meter.has(self._price)
        self._charge = self._charge_at(t_s)

    def step(self, until_s: float) -> float:
        before, self._charge = self._charge, self._charge_at(until_s)
        return self._part * (self._charge - before)

    def _charge_at(self, now_s: float) -> float:
        """Return the charge of all months up to now, and forget the quarters that are over."""
        if not self._known or now_s <= self._quarter_s:
            return self._charge
        begin_s = self._quarter_s
        t_s, signals = self._meter.signals([self._grid, self._price], begin_s, now_s)
        price = signals[self._price]
        if not np.nan_to_num(price).any():
            return self._charge
        start = self._meter.start + timedelta(seconds=begin_s)
        quarters_s, mean_kw = demand_intervals(t_s - begin_s, signals[self._grid], now_s - begin_s, start)
        quarters_s = np.maximum(quarters_s, 0.0) + begin_s
        of_quarters = np.nan_to_num(mean_kw * step_signals.hold(t_s, price, quarters_s))
        months = [_month(self._meter.start, quarter_s) for quarter_s in quarters_s.tolist()]
        for month, cost in zip(months[:-1], of_quarters[:-1].tolist(), strict=True):
            self._highest[month] = max(cost, self._highest.get(month, 0.0))
        self._quarter_s = float(quarters_s[-1])
        with_last = dict(self._highest)
        with_last[months[-1]] = max(float(of_quarters[-1]), with_last.get(months[-1], 0.0))
        return sum(with_last.values())


def _month(start: pd.Timestamp, t_s: float) -> tuple[int, int]:
    at: datetime = (start.tz_convert("UTC") + timedelta(seconds=t_s)).tz_convert(start.tzinfo)
    return at.year, at.month


def _part_of_month(start: pd.Timestamp, t_s: float, until_s: float) -> float:
    days = (start.tz_convert("UTC") + timedelta(seconds=t_s)).tz_convert(start.tzinfo).days_in_month
    return min(1.0, (until_s - t_s) / (days * S_PER_DAY))
