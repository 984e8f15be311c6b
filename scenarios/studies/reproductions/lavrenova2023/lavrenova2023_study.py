"""The charging station of Lavrenova & Denysiuk 2023: a rule and a day-ahead optimum, in summer and winter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .....analysis import open_results
from .....analysis.kpis import step_signals
from .....analysis.kpis.kpi_formulas import energy, negative, positive
from .....analysis.results.result_reader import Results
from .....simulators.units import S_PER_MIN
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds, informs, not_above, within
from ..scenario_variants import run_variant
from . import lavrenova2023_figures

TITLE = "Power dispatch of a charging station with PV and storage (Lavrenova & Denysiuk 2023)"
HUB = "station"
ENERGIES = ("charge", "discharge", "sell", "buy")

_DAY_AHEAD = {"type": "csv", "file": "data/lavrenova2023_prices.csv", "column": "uah_per_kwh"}


@dataclass(frozen=True)
class LavrenovaCase:
    """One run, and the numbers that the paper prints of it.

    Parameters
    ----------
    season : str
        ``summer`` or ``winter``.
    strategy : str
        ``rule`` or ``optimum``.
    tariff : str
        ``fixed`` or ``day-ahead``.
    energies_kwh : tuple of 4 float, optional
        Charge, discharge, sell, buy [kWh]; None where the paper prints nothing.
    cost : float, optional
        Cost of primary energy, eq. (11) [UAH].
    """

    season: str
    strategy: str
    tariff: str
    energies_kwh: tuple[float, float, float, float] | None = None
    cost: float | None = None

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        return f"{self.season} {self.strategy}" + (" day-ahead" if self.tariff == "day-ahead" else "")


CASES = (
    LavrenovaCase("summer", "rule", "fixed", (53.47, 51.87, 48.63, 8.55), -135.15),
    LavrenovaCase("summer", "optimum", "fixed", (15.14, 41.96, 86.95, 18.46), -353.87),
    LavrenovaCase("winter", "rule", "fixed", (4.95, 31.93, 0.0, 80.69), 521.03),
    LavrenovaCase("winter", "optimum", "fixed", (0.24, 26.61, 4.71, 86.0), 514.62),
    LavrenovaCase("summer", "rule", "day-ahead"),
    LavrenovaCase("summer", "optimum", "day-ahead", (20.39, 47.39, 81.70, 13.85), -207.60),
    LavrenovaCase("winter", "rule", "day-ahead"),
    LavrenovaCase("winter", "optimum", "day-ahead", (0.24, 27.0, 4.71, 80.60), 177.47),
)
"""Tables 2 and 3, and the text below figure 14."""


@dataclass(frozen=True)
class LavrenovaResult:
    """The results of a run that are set beside the paper.

    Parameters
    ----------
    energies_kwh : dict of str to float
        By the names of `ENERGIES` [kWh].
    cost : float
        Net cost in the run's own table [UAH].
    identity : float
        Eq. (11) computed from the recorded powers and prices [UAH].
    missed_kwh : float
        Energy not supplied to EVs [kWh].
    fullest_s, emptiest_s : float
        When the storage first holds the most, the least of the day [s].
    """

    energies_kwh: dict[str, float]
    cost: float
    identity: float
    missed_kwh: float
    fullest_s: float
    emptiest_s: float


def reproduce(folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE) -> list[PublishedRow]:
    """Run both seasons with rule and optimum, on the ideal plant and on one with cell voltages.

    Parameters
    ----------
    folder : Path
        Takes the result files and the pictures.
    tell : callable
        Receives what is going on.
    pool : WorkerPool
        Where the runs are made; in this process when left out.

    Returns
    -------
    list of PublishedRow
    """
    fixed = [case for case in CASES if case.tariff == "fixed"]
    jobs = [*((case, folder, False) for case in CASES), *((case, folder, True) for case in fixed)]
    names = [f"{case.name}{', cells with voltage' if cells else ''}" for case, _, cells in jobs]
    made = pool.results(_run, jobs, names, lambda done: tell(f"{done} of {len(jobs)} runs"))
    rows: list[PublishedRow] = []
    paths: dict[str, Path] = {}
    outcomes: dict[str, LavrenovaResult] = {}
    for case, path in zip(CASES, made, strict=False):
        paths[case.name] = path
        with open_results(path) as results:
            outcomes[case.name] = outcome(results)
        rows += judge(case, outcomes[case.name])
    rows += _clues(outcomes)
    for case, path in zip(fixed, made[len(CASES) :], strict=True):
        with open_results(path) as results:
            result = outcome(results)
        values = [*((item, "kWh", result.energies_kwh[item]) for item in ENERGIES), ("cost", "UAH", result.cost)]
        for (item, unit, value), printed in zip(values, _printed(case), strict=True):
            rows.append(informs(f"{case.name}, Tremblay plant", item, unit, printed, value))
    tell("pictures")
    lavrenova2023_figures.draw(
        folder, paths, {case.name: case.energies_kwh for case in CASES if case.energies_kwh}, HUB
    )
    return rows


def run(case: LavrenovaCase, folder: Path, *, tremblay: bool = False) -> Path:
    """Run a case.

    Parameters
    ----------
    case : LavrenovaCase
        The case.
    folder : Path
        Takes the result file.
    tremblay : bool
        With the cells and the converter of a stationary battery instead of the ideal one.

    Returns
    -------
    Path
        The result file.
    """

    def change(data: dict[str, Any]) -> None:
        hub = data["hubs"][HUB]
        if case.strategy == "rule":
            data["controller"] = {"type": "pv_first", "period": data["controller"]["period"]}
        if case.tariff == "day-ahead":
            hub["tariffs"] |= {"buy": _DAY_AHEAD, "sell": _DAY_AHEAD}
        if tremblay:
            hub["bess"]["type"] = "tremblay"

    name = case.name.replace(" ", "-") + ("-tremblay" if tremblay else "")
    return run_variant(f"lavrenova2023-{case.season}", folder, name, change)


def _run(job: tuple[LavrenovaCase, Path, bool]) -> Path:
    case, folder, tremblay = job
    return run(case, folder, tremblay=tremblay)


def outcome(results: Results) -> LavrenovaResult:
    """Read energies and cost of a run, and compute the cost once more from powers and prices."""
    table = results.summary()[HUB]
    paths = ("grid/p_kw", "bess/p_kw", "tariffs/buy_per_kwh", "tariffs/sell_per_kwh", "tariffs/bess_per_kwh")
    raw = [results.arrays(f"{HUB}/{path}") for path in paths]
    t_s = step_signals.union([t for t, _ in raw])
    grid_kw, bess_kw, buy, sell, wear = (step_signals.hold(*signal, t_s) for signal in raw)
    end_s = results.end_s
    powers = {
        "charge": negative(bess_kw),
        "discharge": positive(bess_kw),
        "sell": negative(grid_kw),
        "buy": positive(grid_kw),
    }
    rate = buy * powers["buy"] - sell * powers["sell"] + wear * (powers["charge"] + powers["discharge"])
    soc_s, soc = results.arrays(f"{HUB}/bess/soc")
    return LavrenovaResult(
        energies_kwh={item: energy(t_s, powers[item], end_s) for item in ENERGIES},
        cost=float(table["cost_net"]),  # pyright: ignore[reportArgumentType]
        identity=energy(t_s, rate, end_s),
        missed_kwh=float(table["missed_kwh"]),  # pyright: ignore[reportArgumentType]
        fullest_s=float(soc_s[np.argmax(np.isclose(soc, soc.max()))]),
        emptiest_s=float(soc_s[np.argmax(np.isclose(soc, soc.min()))]),
    )


def judge(case: LavrenovaCase, result: LavrenovaResult) -> Iterator[PublishedRow]:
    """Compare a run with the numbers that the paper prints of it.

    The rule has to give the printed energies and cost. Of the optimum only the cost is judged: at one flat price many
    plans cost the same. At day-ahead prices nothing is judged, because the prices were reconstructed from the costs.
    """
    name = case.name
    for item, printed in zip(ENERGIES, _printed(case), strict=False):
        ours = result.energies_kwh[item]
        if isinstance(printed, str):
            yield informs(name, item, "kWh", printed, ours)
        elif case.strategy == "rule":
            size = {"relative": 0.05} if printed else {"absolute": 0.1}
            yield within(name, item, "kWh", printed, ours, **size)
        else:
            yield informs(name, item, "kWh", printed, ours)
    if case.cost is None or case.tariff == "day-ahead":
        yield informs(name, "cost", "UAH", "not printed" if case.cost is None else case.cost, result.cost)
    elif case.strategy == "optimum" and case.season == "summer":
        yield not_above(name, "cost", "UAH", case.cost, result.cost)
    else:
        yield within(name, "cost", "UAH", case.cost, result.cost, relative=0.05)
    yield within(name, "cost, eq. (11) from the recorded powers", "UAH", result.cost, result.identity, absolute=0.01)
    yield within(name, "energy not supplied", "kWh", 0.0, result.missed_kwh, absolute=0.1)


def _printed(case: LavrenovaCase) -> tuple[float | str, ...]:
    """What the paper prints: four energies and the cost."""
    if case.energies_kwh is None or case.cost is None:
        return ("not printed",) * 5
    return *case.energies_kwh, case.cost


def _clues(outcomes: dict[str, LavrenovaResult]) -> Iterator[PublishedRow]:
    """What the text says besides the tables."""
    summer, winter = outcomes["summer optimum"], outcomes["winter optimum"]
    rules = outcomes["summer rule"], outcomes["winter rule"]
    yield informs("summer rule", "storage full", "", "08:29", _clock(rules[0].fullest_s))
    yield informs("winter rule", "storage empty", "", "10:53", _clock(rules[1].emptiest_s))
    for season, rule, best in zip(("summer", "winter"), rules, (summer, winter), strict=True):
        yield holds(
            f"{season} optimum",
            "costs less than the rule",
            "true",
            f"{rule.cost - best.cost:.2f} UAH less",
            best.cost < rule.cost,
        )
    for season in ("summer", "winter"):
        rule, best = (outcomes[f"{season} {strategy} day-ahead"] for strategy in ("rule", "optimum"))
        saved = f"{rule.cost - best.cost:.2f} UAH less"
        yield holds(f"{season} optimum day-ahead", "costs less than the rule", "true", saved, best.cost < rule.cost)
    yield holds(
        "summer optimum",
        "charged, which one flat price never repays",
        "15.14 kWh",
        f"{summer.energies_kwh['charge']:.2f} kWh",
        summer.energies_kwh["charge"] <= 0.1,
    )


def _clock(t_s: float) -> str:
    """Time of the day."""
    minutes = int(t_s // S_PER_MIN)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
