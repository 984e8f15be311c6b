"""Key figures of a run: pure functions over step-held signals; `summary_table` makes a table of them.

Signals are arrays of shape (k,) over common times `t_s` (k,) that end at `end_s`, see `step_signals`. Signs: sources
positive when they feed the hub bus, loads positive when they consume, grid positive when it imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ...simulators.devices import kinds
from ...simulators.units import S_PER_H, S_PER_MIN, energy_kwh
from . import step_signals

DEMAND_INTERVAL_S = 15 * S_PER_MIN
VOLTAGE_BAND_PU = (0.9, 1.1)
"""Voltages that EN 50160 allows in low and medium voltage networks."""
LOAD_CLASSES = ("critical", "controllable", "shiftable", "general")
DEAD, GRID, ISLANDED = 0, 1, 2
"""Supply of a hub, see `supply`."""

_SATISFIED = 0.99
_FLOWS_KW = 1e-9


def positive(values: np.ndarray) -> np.ndarray:
    """Return the part above zero: import, discharging, consumption."""
    return np.maximum(values, 0.0)


def negative(values: np.ndarray) -> np.ndarray:
    """Return the part below zero as a positive number: export, charging, feeding back."""
    return np.maximum(-values, 0.0)


_PRICED = {"positive": positive, "negative": negative, "both": np.abs, "net": np.asarray}
"""The part of a power that a price applies to."""


def energy(t_s: np.ndarray, p_kw: np.ndarray, end_s: float) -> float:
    """Integrate a step-held power exactly [kWh]."""
    return float(energy_kwh(step_signals.integral(t_s, p_kw, end_s), 1.0))


def self_consumption(t_s: np.ndarray, pv_kw: np.ndarray, grid_kw: np.ndarray, end_s: float) -> tuple[float, float]:
    """Compute the PV energy that was not exported and the whole PV energy [kWh]; self-consumption is their ratio.

    At every instant, export counts as PV power up to the PV power: the rest is `pv - min(pv, export)`.
    """
    exported = np.minimum(pv_kw, negative(grid_kw))
    return energy(t_s, pv_kw - exported, end_s), energy(t_s, pv_kw, end_s)


def self_sufficiency(
    t_s: np.ndarray, demand_kw: np.ndarray, import_kw: np.ndarray, end_s: float
) -> tuple[float, float]:
    """Compute the demand that was not met from outside and the whole demand [kWh]; self-sufficiency is their ratio.

    Demand is load and charging; import is what grid and secondary source deliver. At every instant import meets demand
    first, so that energy which charges a battery from the grid counts as the battery's when it is discharged.
    """
    demand = positive(demand_kw)
    return energy(t_s, demand - np.minimum(demand, positive(import_kw)), end_s), energy(t_s, demand, end_s)


def demand_intervals(
    t_s: np.ndarray, p_kw: np.ndarray, end_s: float, start: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """Average the import over every quarter of an hour of the clock, as the import register of a meter does.

    Parameters
    ----------
    t_s, p_kw : array, shape (k,)
        Grid power, import positive [kW]; export does not count against import.
    end_s : float
        End of the signal [s].
    start : Timestamp
        Instant of t_s = 0, with zone; quarters begin at full hours of its clock.

    Returns
    -------
    begin_s : array, shape (m,)
        Begin of each quarter [s]; the first may lie before 0.
    mean_kw : array, shape (m,)
        Mean over the part of the quarter that the run covers [kW].
    """
    clock = start.tz_localize(None)
    into_hour_s = (clock - clock.floor("h")).total_seconds()
    borders = step_signals.edges(end_s, DEMAND_INTERVAL_S, into_hour_s % DEMAND_INTERVAL_S)
    return borders[:-1], step_signals.mean(t_s, positive(p_kw), borders, end_s)


def demand_charge(begin_s: np.ndarray, mean_kw: np.ndarray, price_per_kw: np.ndarray, start: pd.Timestamp) -> float:
    """Sum over calendar months the cost of the dearest quarter of an hour, its mean import times its price per kW.

    Parameters
    ----------
    begin_s, mean_kw : array, shape (m,)
        Quarters of `demand_intervals` [s], [kW].
    price_per_kw : array, shape (m,)
        Price in each quarter.
    start : Timestamp
        Instant of t_s = 0, with zone.

    Returns
    -------
    float
        Sum over the months.
    """
    cost = np.nan_to_num(mean_kw * price_per_kw)
    instants = start.tz_convert("UTC") + pd.to_timedelta(np.maximum(begin_s, 0.0), unit="s")
    local = pd.DatetimeIndex(instants).tz_convert(start.tzinfo).tz_localize(None)
    return float(pd.Series(cost).groupby(local.to_period("M")).max().sum())


def costs(
    t_s: np.ndarray,
    powers_kw: Mapping[str, np.ndarray | Sequence[np.ndarray]],
    prices: Mapping[str, np.ndarray],
    end_s: float,
    start: pd.Timestamp,
) -> dict[str, float]:
    """Compute the costs and revenues of a run.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    powers_kw : mapping of str to array, shape (k,), or to a list of arrays
        By kind of device, and ``grid`` [kW]; a list where there are several of a kind.
    prices : mapping of str to array, shape (k,)
        Any of buy, sell, dg, bess, charging [1/kWh] and demand [1/kW].
    end_s : float
        End of the signals [s].
    start : Timestamp
        Instant of t_s = 0, with zone.

    Returns
    -------
    dict of str to float
        ``bought`` and ``demand`` (grid import), the use of every kind of device that has a price, such as ``secondary``
        and ``dg`` (both at the generator's price) and ``bess`` (every kWh in and out, Lavrenova & Denysiuk 2023,
        eq. (11)); as revenue ``sold`` (grid export) and ``charging`` (net of what EVs gave back); ``net`` = costs -
        revenues. An item without its power or price is left out.
    """

    def paid(power: str, price: str, part: Callable[[np.ndarray], np.ndarray]) -> float | None:
        if power not in powers_kw or price not in prices:
            return None
        return sum(energy(t_s, part(p_kw) * prices[price], end_s) for p_kw in _powers_of_devices(powers_kw[power]))

    priced = [kind for kind in kinds() if kind.price]
    used = {kind.cost_key: paid(kind.name, kind.price, _PRICED[kind.priced]) for kind in priced}
    earned = {kind.cost_key for kind in priced if kind.earns}
    items = {
        "bought": paid("grid", "buy", positive),
        "demand": None,
        **{key: used[key] for key in used if key not in earned},
        "sold": paid("grid", "sell", negative),
        **{key: used[key] for key in used if key in earned},
    }
    if "grid" in powers_kw and "demand" in prices:
        (grid_kw,) = _powers_of_devices(powers_kw["grid"])
        begin_s, mean_kw = demand_intervals(t_s, grid_kw, end_s, start)
        price = step_signals.hold(t_s, prices["demand"], np.maximum(begin_s, 0.0))
        items["demand"] = demand_charge(begin_s, mean_kw, price, start)
    amounts = {name: value for name, value in items.items() if value is not None}
    if amounts:
        revenues = {"sold", *earned}
        amounts["net"] = sum(-value if name in revenues else value for name, value in amounts.items())
    return amounts


def _powers_of_devices(powers_kw: np.ndarray | Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Return the powers of the devices of a kind as a list, also if there is only one."""
    return [powers_kw] if isinstance(powers_kw, np.ndarray) else powers_kw


def emissions(
    t_s: np.ndarray,
    powers_kw: Mapping[str, np.ndarray | Sequence[np.ndarray]],
    intensities: Mapping[str, np.ndarray],
    end_s: float,
) -> dict[str, float]:
    """Compute the CO2 of the energy that a hub imports or generates from fuel [kg].

    Energy that is exported is credited to nobody (GHG Protocol, scope 2 for ``grid``, scope 1 for ``fuel``).

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    powers_kw : mapping of str to array, shape (k,), or to a list of arrays
        By kind of device, and ``grid`` [kW].
    intensities : mapping of str to array, shape (k,)
        Any of grid and fuel [kg/kWh].
    end_s : float
        End of the signals [s].

    Returns
    -------
    dict of str to float
        ``grid`` (import times the intensity of its time), ``fuel`` (of the kinds of device that burn it), and their sum
        ``total``. What has no intensity or no power is left out; empty where nothing is known.
    """
    amounts_kg: dict[str, float] = {}
    for name, sources in (("grid", ["grid"]), ("fuel", [kind.name for kind in kinds() if kind.burns])):
        powers = [
            positive(p_kw)
            for source in sources
            if source in powers_kw
            for p_kw in _powers_of_devices(powers_kw[source])
        ]
        if powers and name in intensities:
            amounts_kg[name] = sum(energy(t_s, p_kw * intensities[name], end_s) for p_kw in powers)
    if amounts_kg:
        amounts_kg["total"] = sum(amounts_kg.values())
    return amounts_kg


def supply(
    powers_kw: Mapping[str, np.ndarray], bus: np.ndarray | None = None, available: np.ndarray | None = None
) -> np.ndarray:
    """Return the supply of a hub over time, shape (k,): GRID, ISLANDED or DEAD.

    Parameters
    ----------
    powers_kw : mapping of str to array, shape (k,)
        Powers of the hub [kW], by device; at least one.
    bus : array, shape (k,), optional
        Source that the ATS connects the bus to: 0 none, 1 grid, else another one. With an ATS, it alone decides.
    available : array, shape (k,), optional
        Whether the grid is there. Without ATS, a hub that lost it is an island while any power flows, dead otherwise.

    Returns
    -------
    array of int8, shape (k,)
        Without either signal, a hub is on the grid if it has one and an island if not.
    """
    if bus is not None:
        state = np.where(bus == DEAD, DEAD, np.where(bus > GRID, ISLANDED, GRID))
    elif available is not None:
        flows = np.any(
            [np.abs(np.nan_to_num(p)) > _FLOWS_KW for name, p in powers_kw.items() if name != "grid"], axis=0
        )
        state = np.where(available != 0, GRID, np.where(flows, ISLANDED, DEAD))
    else:
        state = np.full(len(next(iter(powers_kw.values()))), GRID if "grid" in powers_kw else ISLANDED)
    return state.astype("i1")


def ev_service(sessions: pd.DataFrame, end_s: float) -> dict[str, float]:
    """Compute how many EV sessions were served, their energy and their waiting times.

    Parameters
    ----------
    sessions : DataFrame
        Sessions of `Results.sessions`.
    end_s : float
        End of the run [s]; sessions that arrive later do not count.

    Returns
    -------
    dict of str to float
        ``sessions`` that arrived; of these ``served``, ``balked``, ``reneged``, ``unfinished``. ``requested_kwh``,
        ``delivered_kwh`` and ``missed_kwh`` leave unfinished sessions out, which may still get theirs.
        ``met`` of the ``ended`` sessions (all but unfinished) got at least 99 % of their request in time.
        ``waited_min`` is the time from arrival until charging may start, summed over those ``plugged`` in,
        ``waiting_max_min`` the longest. ``fairness`` is `fairness` of delivered over requested energy
        of the ended sessions.
    """
    arrived = sessions["arrival_s"].to_numpy(float) <= end_s
    outcome = sessions["outcome"].to_numpy(object)[arrived]
    numbers = ("requested_kwh", "delivered_kwh", "missed_kwh", "plug_s", "waiting_s")
    requested, delivered, missed, plug_s, waited_s = (sessions[name].to_numpy(float)[arrived] for name in numbers)
    count = {name: int((outcome == name).sum()) for name in ("served", "balked", "reneged")}
    ended = np.isin(outcome, list(count))
    plugged = np.isfinite(plug_s)
    waited_min = waited_s[plugged] / S_PER_MIN
    return {
        "sessions": len(outcome),
        **count,
        "unfinished": len(outcome) - int(ended.sum()),
        "requested_kwh": float(requested[ended].sum()),
        "delivered_kwh": float(np.nansum(delivered[ended])),
        "missed_kwh": float(missed[ended].sum()),
        "met": int((delivered[ended] >= _SATISFIED * requested[ended]).sum()),
        "ended": int(ended.sum()),
        "waited_min": float(waited_min.sum()),
        "plugged": int(plugged.sum()),
        "waiting_max_min": float(waited_min.max()) if waited_min.size else np.nan,
        "fairness": fairness(_shares(requested[ended], delivered[ended])),
    }


def _shares(requested_kwh: np.ndarray, delivered_kwh: np.ndarray) -> np.ndarray:
    """Return delivered over requested energy of each session, 0..1; sessions without a request are left out."""
    asked = requested_kwh > 0
    return np.clip(np.nan_to_num(delivered_kwh[asked]) / requested_kwh[asked], 0.0, 1.0)


def fairness(shares: np.ndarray) -> float:
    """Compute Jain's index of fairness (Jain, Chiu & Hawe 1984): square of the sum over n times the sum of squares.

    Parameters
    ----------
    shares : array, shape (n,)
        Share of each of n sessions, >= 0.

    Returns
    -------
    float
        1 when all got the same, k / n when k of them got the same and the others nothing; NaN when nobody got
        anything.
    """
    squares = float(np.sum(shares**2))
    return float(np.sum(shares)) ** 2 / (len(shares) * squares) if squares > 0 else np.nan


def full_cycles(soc: np.ndarray) -> float:
    """Count the equivalent full cycles of a battery: half the total change of its state of charge, shape (k,) 0..1."""
    return float(np.abs(np.diff(soc[np.isfinite(soc)])).sum() / 2)


def hours(t_s: np.ndarray, on: np.ndarray, end_s: float) -> float:
    """Measure how long a condition, shape (k,), holds [h]."""
    return float(step_signals.durations(t_s, end_s) @ on) / S_PER_H


def outside_band(t_s: np.ndarray, v_pu: np.ndarray, end_s: float, band_pu: tuple[float, float]) -> float:
    """Measure how long a voltage is outside its band.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    v_pu : array, shape (k,) or (k, n)
        Voltage, of a bus or of n buses or phases; 0 and NaN are buses without voltage, which violate nothing.
    end_s : float
        End of the signal [s].
    band_pu : tuple of float
        Lowest and highest voltage allowed.

    Returns
    -------
    float
        Time in which any of them is outside [h].
    """
    buses = v_pu.reshape(len(t_s), -1)
    outside = (buses > 0) & ((buses < band_pu[0]) | (buses > band_pu[1]))
    return hours(t_s, np.any(outside, axis=1), end_s)


def transfers(t_s: np.ndarray, available: np.ndarray, state: np.ndarray, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Measure how long each transfer to an island and each return to the grid takes.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    available : array, shape (k,)
        Whether the grid is there.
    state : array, shape (k,)
        Supply of the hub, see `supply`.
    end_s : float
        End of the signals [s].

    Returns
    -------
    to_island_s : array, shape (m,)
        For each outage in which the hub became an island: from the loss of the grid until another source supplies it
        [s]; 0 if it was an island already.
    to_restore_s : array, shape (p,)
        For each outage after which the hub went back to the grid: from the return of the grid until it supplies the
        hub [s].
    """
    to_island, to_restore = [], []
    begin_s, back_s = step_signals.episodes(t_s, available == 0, end_s)
    for begin, back, following in zip(begin_s, back_s, np.append(begin_s, end_s)[1:], strict=True):
        lost = state[(t_s >= begin) & (t_s < back)]
        islanded = t_s[(t_s >= begin) & (t_s < back) & (state == ISLANDED)]
        if len(islanded):
            to_island.append(islanded[0] - begin)
        restored = t_s[(t_s >= back) & (t_s < following) & (state == GRID)]
        if len(restored) and lost[-1] != GRID:
            to_restore.append(restored[0] - back)
    return np.array(to_island), np.array(to_restore)


def soc_statistics(t_s: np.ndarray, soc: np.ndarray, end_s: float) -> dict[str, float]:
    """Compute lowest, time-weighted mean, highest and last state of charge, 0..1; NaN where it is never known."""
    known = np.isfinite(soc) & (step_signals.durations(t_s, end_s) > 0)
    if not known.any():
        return dict.fromkeys(("min", "mean", "max", "end"), np.nan)
    time_s = float(step_signals.durations(t_s, end_s) @ known)
    return {
        "min": float(soc[known].min()),
        "mean": float(step_signals.integral(t_s, soc, end_s)) / time_s,
        "max": float(soc[known].max()),
        "end": float(soc[np.isfinite(soc)][-1]),
    }
