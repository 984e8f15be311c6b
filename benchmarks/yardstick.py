"""Hub-days per second of processor time: by period of control, with and without a feeder, by size, on both engines.

One hub with PV, a battery, load and `equal_share`, from a Monday morning on; and a year of one with `emh`. Every one in
a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from typing import Any

from rich.console import Console
from rich.table import Table

from . import growth

CONNECTORS = (10, 54, 500, 5000)
DURATIONS = {"1s": "15min", "1min": "8h", "5min": "2d", "15min": "6d"}
"""By period of control: some hundred decisions each."""
ENGINES = ("mosaik", "inprocess")
SHORT_CONNECTORS, SHORT_DURATIONS = (3, 6), {"15min": "3h"}
YEAR_CONNECTORS, YEAR, SHORT_YEAR = 20, "365d", "1d"


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """Every case once."""
    rows = _rows(tell, short)
    tell("yardstick: a year")
    return {
        "rows": rows,
        "year": asdict(growth.measure(_case(YEAR_CONNECTORS, SHORT_YEAR if short else YEAR, "15min", "emh"))),
    }


def _rows(tell: Callable[[str], None], short: bool) -> list[dict[str, Any]]:
    durations, sizes = (SHORT_DURATIONS, SHORT_CONNECTORS) if short else (DURATIONS, CONNECTORS)
    found = []
    for period, feeder, engine in product(durations, (False, True), ENGINES):
        runs = []
        for count in sizes:
            tell(f"yardstick: {count} connectors at {period}, {'with' if feeder else 'without'} feeder, {engine}")
            if short:
                runs.append(growth.run(growth.hub(count, durations[period], period, feeder=feeder), engine))
            else:
                runs.append(growth.measure(_case(count, durations[period], period, "equal_share", engine, feeder)))
        found.append(
            {
                "period": period,
                "feeder": feeder,
                "engine": engine,
                "runs": [{**asdict(taken), "hub_days_per_s": taken.hub_days_per_s} for taken in runs],
                "time_exponent": growth.exponent(runs, "run_s"),
                "memory_exponent": growth.exponent(runs, "peak_mb"),
            }
        )
    return found


def _case(
    count: int, duration: str, period: str, controller: str, engine: str = "inprocess", feeder: bool = False
) -> str:
    return f"{count}:{duration}:{period}:{controller}:{engine}" + (":feeder" if feeder else "")


def show(found: dict[str, Any], console: Console) -> None:
    """Print hub-days per second, memory, and the year."""
    rows, year = found["rows"], found["year"]
    sizes = [str(run["connectors"]) for run in rows[0]["runs"]]
    table = Table("period", "feeder", "engine", *sizes, "exponent", title="Hub-days per second, by connectors")
    memory = Table("period", "feeder", "engine", *sizes, "exponent", title="Memory at most [MB], by connectors")
    for row in rows:
        case = (row["period"], "yes" if row["feeder"] else "no", row["engine"])
        speeds = [f"{run['hub_days_per_s']:.3g}" for run in row["runs"]]
        table.add_row(*case, *speeds, f"{row['time_exponent']:.2f}")
        if row["period"] == rows[-1]["period"]:
            memory.add_row(*case, *(f"{run['peak_mb']:.0f}" for run in row["runs"]), f"{row['memory_exponent']:.2f}")
    console.print(table)
    console.print(memory)
    console.print(
        f"{year['days']:g} days of {year['connectors']} connectors at 15 min with emh in process: "
        f"{year['run_s']:.1f} s, {1e3 * year['run_s'] / year['periods']:.2f} ms a period, "
        f"{year['built_mb']:.0f} MB built, {year['peak_mb']:.0f} MB at most"
    )
