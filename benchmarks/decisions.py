"""How long controllers that follow rules take for a decision, and how that grows with the number of connectors.

The decisions are those of a morning at a public hub with arrivals, departures and a new PV power at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table

from evhub.controllers.contract import Controller, Decision, Observation
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.controller_registry import controllers

from .cases import public_hub

CONTROLLERS = ("emh", "equal_share", "edf", "llf", "round_robin")
CONNECTORS = (5, 20, 100, 500)
CURRENTS = ("dc", "ac")
DURATION = "3h"
_US_PER_S = 1e6


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """Time every decision of runs on the in-process engine."""
    found = []
    for name in CONTROLLERS:
        for current in CURRENTS:
            for connectors in CONNECTORS[:1] if short else CONNECTORS:
                tell(f"decisions: {name}, {connectors} connectors ({current})")
                times_us = _US_PER_S * np.array(_decisions_s(name, connectors, current, "1min" if short else DURATION))
                found.append(
                    {
                        "controller": name,
                        "current": current,
                        "connectors": connectors,
                        "decisions": times_us.size,
                        "median_us": float(np.median(times_us)),
                        "p99_us": float(np.quantile(times_us, 0.99)),
                    }
                )
    return found


def _decisions_s(name: str, connectors: int, current: str, duration: str) -> list[float]:
    loaded = public_hub(connectors, current, name, duration)
    cls = controllers()[name].load()
    decide = cls.decide
    times: list[float] = []

    def timed(self: Controller, observation: Observation) -> Decision:
        began = perf_counter()
        decision = decide(self, observation)
        times.append(perf_counter() - began)
        return decision

    with TemporaryDirectory() as folder, patch.object(cls, "decide", timed):
        run_wiring(build(loaded), loaded, Path(folder) / "run.h5", engine="inprocess")
    return times


def show(found: list[dict[str, Any]], console: Console) -> None:
    """Print the median by number of connectors."""
    numbers = sorted({row["connectors"] for row in found})
    table = Table("", *(f"{n} connectors" for n in numbers), title="A decision: median (99 of 100 are below) [us]")
    for name in CONTROLLERS:
        for current in CURRENTS:
            rows = {r["connectors"]: r for r in found if (r["controller"], r["current"]) == (name, current)}
            cells = (f"{rows[n]['median_us']:.0f} ({rows[n]['p99_us']:.0f})" for n in numbers)
            table.add_row(f"{name}, {current}", *cells)
    console.print(table)
