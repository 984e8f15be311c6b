"""Every shipped scenario as a whole: how much longer mosaik takes than the in-process engine, and where the time goes.

The shares are those of one run in process with every simulator watched, which is some per cent slower.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Column, Table

from evhub.controllers.optimization.hub_model import HubModel
from evhub.controllers.optimization.program import Program
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.schema.scenario_loader import Scenario, load_scenario, shipped

from .engines import ENGINES, run_s
from .observed import Stopwatch, observed

ROUNDS = 2
SHORT = ("leal2024-4",)
SHARES = ("engine", "plant", "flow", "adapter", "decide", "optimise", "record")
"""Engine (with the watching), plant and its power flow, what stands around decisions, these without optimisation,
optimisation (models built, loaded and solved), recorder."""


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """Each scenario on both engines in turns, and once taken apart."""
    found = []
    for name in SHORT if short else sorted(shipped()):
        tell(f"runs: {name}")
        loaded = load_scenario(name)
        taken: dict[str, list[float]] = {one: [] for one in ENGINES}
        for _ in range(1 if short else ROUNDS):
            for one, times in taken.items():
                with TemporaryDirectory() as folder:
                    times.append(run_s(loaded, one, Path(folder) / "run.h5"))
        best = {f"{one}_s": min(times) for one, times in taken.items()}
        days = loaded.scenario.duration / 86_400.0
        found.append({"scenario": name, "days": days, **best, "shares": shares(loaded)})
    return found


def shares(loaded: Scenario) -> dict[str, float]:
    """What a run in process is made of; the sum is 1."""
    plain = build(loaded)
    solve, decide, optimise = Stopwatch(), Stopwatch(), Stopwatch()
    wiring, traces = observed(plain)
    with ExitStack() as stack:
        for cls, method in ((HubModel, "__init__"), (Program, "__init__"), (Program, "solve"), (Program, "extend")):
            stack.enter_context(patch.object(cls, method, optimise.around(getattr(cls, method))))
        for spec in plain.simulators:
            for _, controller, _ in spec.settings.get("controllers", ()):
                stack.enter_context(patch.object(controller, "decide", decide.around(controller.decide)))
            if "network" in spec.settings:
                network = spec.settings["network"]
                stack.enter_context(patch.object(network, "solve", solve.around(network.solve)))
        folder = stack.enter_context(TemporaryDirectory())
        whole_s = run_s(loaded, "inprocess", Path(folder) / "run.h5", wiring)
    stepped = {sid: trace.watch.total.cpu for sid, trace in traces.items()}
    seconds = {
        "engine": whole_s - sum(stepped.values()),
        "flow": solve.total.cpu,
        "adapter": stepped["controller"] - decide.total.cpu,
        "decide": decide.total.cpu - optimise.total.cpu,
        "optimise": optimise.total.cpu,
        "record": stepped["recorder"],
    }
    seconds["plant"] = whole_s - sum(seconds.values())
    return {name: seconds[name] / whole_s for name in SHARES}


def show(found: list[dict[str, Any]], console: Console) -> None:
    """Print two tables."""
    times = Table(
        Column("scenario", no_wrap=True),
        "days",
        "mosaik [s]",
        "in process [s]",
        "ratio",
        title="Whole runs, processor time",
    )
    parts = Table(Column("scenario", no_wrap=True), *SHARES, title="Where the time goes in process [%]")
    for row in found:
        ratio = row["mosaik_s"] / row["inprocess_s"]
        times.add_row(
            row["scenario"], f"{row['days']:.3g}", f"{row['mosaik_s']:.2f}", f"{row['inprocess_s']:.2f}", f"{ratio:.1f}"
        )
        parts.add_row(row["scenario"], *(f"{100.0 * row['shares'][name]:.0f}" for name in SHARES))
    console.print(times)
    console.print(parts)


def _name() -> Column:
    return Column("scenario", no_wrap=True)
