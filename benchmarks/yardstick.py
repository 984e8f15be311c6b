"""Hub-days per second of processor time: by period of control, with and without a feeder, by size, on both engines.

One hub with PV, a battery, load and `equal_share`, from a Monday morning on. Every case has a process of its own.
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


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """Every case once."""
    durations, sizes = (SHORT_DURATIONS, SHORT_CONNECTORS) if short else (DURATIONS, CONNECTORS)
    found = []
    for period, feeder, engine in product(durations, (False, True), ENGINES):
        runs = []
        for count in sizes:
            tell(f"yardstick: {count} connectors at {period}, {'with' if feeder else 'without'} feeder, {engine}")
            if short:
                taken = growth.run(growth.hub(count, durations[period], period, feeder=feeder), engine)
            else:
                end = ":feeder" if feeder else ""
                taken = growth.measure(f"{count}:{durations[period]}:{period}:equal_share:{engine}{end}")
            runs.append(taken)
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


def show(found: list[dict[str, Any]], console: Console) -> None:
    """Print hub-days per second, and memory."""
    sizes = [str(run["connectors"]) for run in found[0]["runs"]]
    table = Table("period", "feeder", "engine", *sizes, "exponent", title="Hub-days per second, by connectors")
    memory = Table("period", "feeder", "engine", *sizes, "exponent", title="Memory at most [MB], by connectors")
    for row in found:
        case = (row["period"], "yes" if row["feeder"] else "no", row["engine"])
        speeds = [f"{run['hub_days_per_s']:.3g}" for run in row["runs"]]
        table.add_row(*case, *speeds, f"{row['time_exponent']:.2f}")
        if row["period"] == found[-1]["period"]:
            memory.add_row(*case, *(f"{run['peak_mb']:.0f}" for run in row["runs"]), f"{row['memory_exponent']:.2f}")
    console.print(table)
    console.print(memory)
