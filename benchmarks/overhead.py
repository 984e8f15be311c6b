"""What the co-simulation's own code costs beside an empty mosaik world with the same steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from evhub.scenarios.schema.scenario_loader import Scenario

from .cases import leal2024_1, workplace
from .empty_world import Comparison
from .observed import Seconds, best
from .profile import Profile, profile

ALLOWED = 0.3
"""What our own code may add to an empty world."""
QUIET = 0.95
"""A run that gets less of a core than this is not alone."""
SHORT = "6h"
ROUNDS = 3


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """A month at 5 min control and 480 s at 1 s; each run, without power flow, and as an empty world in turns."""
    cases = [workplace(SHORT)] if short else [workplace(), leal2024_1()]
    return [_case(loaded, 1 if short else ROUNDS, tell) for loaded in cases]


def _case(loaded: Scenario, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    name = loaded.scenario.name
    tell(f"overhead: {name} with every simulator watched")
    apart = profile(loaded)
    comparison = Comparison(loaded, apart.wiring, apart.traces, apart.solved)
    for turn in range(1, rounds + 1):
        tell(f"overhead: {name} and its empty world in turns, round {turn} of {rounds}")
        comparison.take_turns()
    return results(apart, comparison)


def results(apart: Profile, comparison: Comparison) -> dict[str, Any]:
    """Everything that was measured, as plain data."""
    return {
        "scenario": comparison.loaded.scenario.name,
        "days": apart.days,
        "share_of_a_core": comparison.share_of_a_core,
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
    }


def _both(time: Seconds) -> dict[str, float]:
    return time._asdict()


def show(found: list[dict[str, Any]], console: Console) -> None:
    """Print the results as tables."""
    for case in found:
        _show(case, console)


def _show(found: dict[str, Any], console: Console) -> None:
    if found["share_of_a_core"] < QUIET:
        console.print(
            f"the machine was busy ({found['share_of_a_core']:.0%} of a core): times are too long, only ratios count"
        )
    title = f"{found['scenario']}, {found['days']:.3g} days, beside an empty mosaik world; best of {found['rounds']}"
    table = Table("stepping, without building the plant", "wall", "processor", title=title)
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
    table = Table("", "calls a day", "us a call", "s", "share", title="One run, taken apart (processor time)")
    whole = sum(row["cpu"] for row in found["simulators"])
    for row in found["simulators"]:
        each_us = 1e6 * row["cpu"] / max(row["calls"], 1)
        table.add_row(
            row["name"], f"{row['per_day']:.1f}", f"{each_us:.0f}", f"{row['cpu']:.2f}", f"{row['cpu'] / whole:.1%}"
        )
    console.print(table)
    console.print(f"{found['steps_per_day']:.0f} simulator steps a simulated day")
