"""The study `dispatchability`: time of its cases and how it grows, GLPK beside HiGHS.

Processor time of one process, which other work on the machine hardly changes; every solve is run to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from time import process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evhub.analysis.dispatchability import FeederCase, Line, PvUnit, solve_limits
from evhub.scenarios.studies.dispatchability.dispatchability_run import load_study

STUDY = "ieee13-pv-limits"
SOLVERS = ("glpk", "highs")
FAMILIES = ("study", "hours", "PV units", "buses", "line limits", "voltage")


def cases(family: str) -> Iterator[tuple[str, FeederCase]]:
    """The cases of a family, smallest first."""
    shipped = load_study(STUDY).cases
    evs, without = shipped["v2g"], shipped["without-evs"]
    if family == "study":
        yield from shipped.items()
    elif family == "hours":
        for days in (1, 2, 4, 8):
            yield f"{24 * days}, without EVs", repeated(without, days)
        yield "48, with EVs on the first day", repeated(evs, 2)
    elif family == "PV units":
        for count in (4, 16, 64):
            yield f"{count}, with EVs", replace(evs, pvs=_split_pvs(count))
    elif family == "buses":
        for more in (0, 40, 160):
            yield f"{13 + more}, with EVs", replace(evs, feeder=_longer(evs, more))
    elif family == "line limits":
        for name, case in (("without EVs", without), ("with EVs", evs)):
            for kva in (1e5, 900.0, 850.0):
                yield f"{kva:g} kVA in each phase, {name}", replace(case, feeder=_limited(case, kva))
    else:
        for name, case in (("without EVs", without), ("with EVs", evs)):
            for least in (0.94, 0.93):
                yield f"at least {least} pu, {name}", replace(case, feeder=replace(case.feeder, v_min_pu=least))


def repeated(case: FeederCase, days: int) -> FeederCase:
    """The case with its demand and radiation on several days."""
    return replace(
        case,
        demand_kw={bus: np.tile(series, (days, 1)) for bus, series in case.demand_kw.items()},
        demand_kvar={bus: np.tile(series, (days, 1)) for bus, series in case.demand_kvar.items()},
        radiation=np.tile(case.radiation, days),
    )


def _split_pvs(count: int) -> tuple[PvUnit, ...]:
    """As much PV in as many units, at the four buses in turns."""
    places = ("13", "10", "9", "4")
    each = 700.0 / count
    return tuple(PvUnit(f"pv{k}", places[k % 4], "abc", each, each / 2.0, each) for k in range(count))


def _longer(case: FeederCase, more: int):
    """The feeder with a line of so many buses behind its end."""
    z = np.eye(3) * (0.001 + 0.002j)
    names = ["13", *(f"x{k}" for k in range(more))]
    added = [Line(f"{a}-{b}", a, b, "abc", z) for a, b in pairwise(names)]
    return replace(case.feeder, lines=(*case.feeder.lines, *added))


def _limited(case: FeederCase, kva: float):
    """The feeder with this limit on all lines: out of reach, near the 867 kVA of the source, or binding."""
    return replace(case.feeder, lines=tuple(replace(line, limit_kva=kva) for line in case.feeder.lines))


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """One case after the other, with each solver; the first solve of a process is not counted."""
    first = load_study(STUDY).cases["without-evs"].one_period(10)
    found = []
    for solver in SOLVERS:
        solve_limits(first, solver=solver)
    for family in FAMILIES:
        for name, case in [("an hour", first)] if short else cases(family):
            for solver in SOLVERS:
                tell(f"{family}: {name}, {solver}")
                found.append({"family": family, "case": name, "solver": solver, **solved(case, solver)})
    return found


def solved(case: FeederCase, solver: str) -> dict[str, float]:
    """Processor time [s], rounds, periods with voltages, and what was left open."""
    began = process_time()
    found = solve_limits(case, solver=solver)
    seconds = process_time() - began
    return {"seconds": seconds, "rounds": found.rounds, "with_voltage": int(found.voltage.sum()), "gap": found.gap}


def show(data: list[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table("family", "case", "solver", "processor time [s]", "rounds", "periods with voltages", "gap")
    for row in data:
        numbers = f"{row['seconds']:.1f}", str(row["rounds"]), str(row["with_voltage"]), f"{row['gap']:.0e}"
        table.add_row(row["family"], row["case"], row["solver"], *numbers)
    console.print(table)
