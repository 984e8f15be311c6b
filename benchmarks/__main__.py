"""``python -m benchmarks``: what the co-simulation costs beside an empty mosaik world, and how much memory it takes.

Only ratios within one run mean anything: the machine may be slow, or busy with other things.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import memory
from .cases import NAME, workplace
from .empty_world import Comparison
from .observed import Seconds, best
from .profile import Profile, profile

WEEKS = (1, 2, 4)
ALLOWED = 0.3
"""What our own code may add to an empty world."""
QUIET = 0.95
"""A run that gets less of a core than this is not alone."""
YEAR_MB = 1024.0
"""What a year may take."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, write JSON."""
    options = _options(arguments)
    console = Console(markup=False)
    loaded = workplace(options.duration)
    cases = [] if options.no_memory else [*(f"{7 * weeks}d" for weeks in WEEKS), memory.YEAR]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1 + options.rounds + len(cases))
        progress.update(task, description="one run with every simulator watched")
        apart = profile(loaded)
        progress.advance(task)
        comparison = Comparison(loaded, apart.wiring, apart.traces, apart.solved)
        for turn in range(1, options.rounds + 1):
            progress.update(task, description=f"run and empty world in turns, round {turn}")
            comparison.take_turns()
            progress.advance(task)
        memories = []
        for case in cases:
            progress.update(task, description=f"memory, {case}")
            memories.append(memory.measure(case))
            progress.advance(task)
    found = results(apart, comparison, memories, options.duration or f"{apart.days:g}d")
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    show(found, console)
    console.print(f"written to {options.output}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = Path(__file__).with_name("results.json")
    parser.add_argument("output", nargs="?", type=Path, default=default, help="file for the results (JSON)")
    parser.add_argument("--duration", help=f"cut {NAME} to this, such as 7d")
    parser.add_argument("--rounds", type=int, default=3, help="how often run and empty world take turns")
    parser.add_argument("--no-memory", action="store_true", help="leave out the runs that measure memory")
    return parser.parse_args(arguments)


def results(apart: Profile, comparison: Comparison, memories: list[memory.Memory], duration: str) -> dict[str, Any]:
    """Everything that was measured, as plain data."""
    found: dict[str, Any] = {
        "scenario": NAME,
        "duration": duration,
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            "mosaik": version("mosaik"),
            "share_of_a_core": comparison.share_of_a_core,
            "load_average": os.getloadavg()[0],
        },
        "rounds": len(comparison.whole),
        "overhead": _both(comparison.overhead),
        "overhead_with_power_flow": _both(comparison.whole_overhead),
        "run_s": _both(best(comparison.whole)),
        "run_without_power_flow_s": _both(best(comparison.own)),
        "empty_world_s": _both(best(comparison.empty)),
        "empty_inprocess_s": _both(best(comparison.inprocess)),
        "steps": apart.steps,
        "steps_per_day": apart.steps / apart.days,
        "simulators": [
            {"name": part.name, "calls": part.calls, "per_day": part.calls / apart.days, **_both(part.time)}
            for part in apart.parts
        ],
        "memory": [asdict(each) for each in memories],
    }
    if memories:
        found["memory_slope_mb_per_week"] = memory.slope_mb_per_week(memories[: len(WEEKS)])
    return found


def _both(time: Seconds) -> dict[str, float]:
    return time._asdict()


def show(found: dict[str, Any], console: Console) -> None:
    """Print the results as tables."""
    machine = found["machine"]
    console.print(
        f"{found['scenario']}, {found['duration']}; best of {found['rounds']}; {machine['cores']} cores, "
        f"Python {machine['python']}, mosaik {machine['mosaik']}"
    )
    if machine["share_of_a_core"] < QUIET:
        console.print(
            f"the machine was busy (load {machine['load_average']:.1f}, {machine['share_of_a_core']:.0%} of a core): "
            "times are too long, only ratios count"
        )
    _show_overhead(found, console)
    _show_simulators(found, console)
    if found["memory"]:
        _show_memory(found, console)


def _show_overhead(found: dict[str, Any], console: Console) -> None:
    table = Table("stepping, without building the plant", "wall", "processor", title="Beside an empty mosaik world")
    for text, key in (
        ("run [s]", "run_s"),
        ("run without power flow [s]", "run_without_power_flow_s"),
        ("empty world, same steps [s]", "empty_world_s"),
        ("the same on the in-process engine [s]", "empty_inprocess_s"),
    ):
        table.add_row(text, f"{found[key]['wall']:.2f}", f"{found[key]['cpu']:.2f}")
    for text, key in (
        (f"our own code adds (at most {ALLOWED:.0%})", "overhead"),
        ("with the power flow", "overhead_with_power_flow"),
    ):
        table.add_row(text, f"{found[key]['wall']:.1%}", f"{found[key]['cpu']:.1%}")
    console.print(table)


def _show_simulators(found: dict[str, Any], console: Console) -> None:
    table = Table("", "calls a day", "us a call", "s", "share", title="One run, taken apart (processor time)")
    whole = sum(row["cpu"] for row in found["simulators"])
    for row in found["simulators"]:
        each_us = 1e6 * row["cpu"] / max(row["calls"], 1)
        table.add_row(
            row["name"], f"{row['per_day']:.1f}", f"{each_us:.0f}", f"{row['cpu']:.2f}", f"{row['cpu'] / whole:.1%}"
        )
    console.print(table)
    console.print(f"{found['steps_per_day']:.0f} simulator steps a simulated day")


def _show_memory(found: dict[str, Any], console: Console) -> None:
    table = Table("days", "plant built [MB]", "peak [MB]", "result file [MB]", "run [s]", title="Memory")
    for row in found["memory"]:
        values = (row["built_mb"], row["peak_mb"], row["file_mb"], row["run_s"])
        table.add_row(f"{row['days']:g}", *(f"{value:.1f}" for value in values))
    console.print(table)
    console.print(
        f"from {WEEKS[0]} to {WEEKS[-1]} weeks the peak grows by {found['memory_slope_mb_per_week']:.1f} MB a week; "
        f"a year at 5 min may take {YEAR_MB:.0f} MB"
    )


if __name__ == "__main__":
    main()
