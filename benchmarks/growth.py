"""Time and memory of one hub of any size, each case in a process of its own.

``python -m benchmarks.growth CASE`` runs one case and prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.schema.scenario_loader import Scenario, parse, shipped

from .engines import run_s
from .memory import status_mb

NETWORK = {"type": "pandapower", "net": "case33bw", "hub_bus": {"depot": 1}}
"""A balanced feeder; its first bus carries the largest hub too."""


@dataclass(frozen=True)
class Taken:
    """Processor time of building and of the engine [s], steps of control, memory before the run and at most [MB]."""

    connectors: int
    days: float
    periods: int
    engine: str
    feeder: bool
    build_s: float
    run_s: float
    built_mb: float
    peak_mb: float

    @property
    def hub_days_per_s(self) -> float:
        return self.days / self.run_s


def hub(
    connectors: int, duration: str, period: str, controller: str = "equal_share", *, feeder: bool = False
) -> Scenario:
    """A hub of some size with PV, a battery and sessions in proportion, from a Monday morning on."""
    data: dict[str, Any] = {
        "name": "growth",
        "start": "2024-03-04T08:00:00+01:00",
        "duration": duration,
        "time_step": period,
        "seed": 1,
        "hubs": {
            "depot": {
                "grid": {"contracted_kw": 5.0 * connectors, "installed_kw": 8.0 * connectors},
                "pv": {
                    "rated_kw": 2.0 * connectors,
                    "irradiance": {"type": "clear_sky", "latitude": 48, "longitude": 11, "resolution": "15min"},
                },
                "bess": {"type": "ideal", "rated_kw": 1.0 * connectors, "capacity_kwh": 4.0 * connectors},
                "load": {"demand": {"type": "constant", "value": 0.5 * connectors}},
                "connectors": {"count": connectors, "rated_kw": 11},
                "sessions": {"type": "stochastic", "profile": "workplace", "scale": connectors / 54},
            }
        },
        "controller": {"type": controller, "period": period},
    }
    if feeder:
        data["network"] = NETWORK
    return parse(data, shipped()["workplace-month"])


def run(loaded: Scenario, engine: str = "inprocess") -> Taken:
    """Build and run a scenario, into a file that is thrown away."""
    began = process_time()
    wiring = build(loaded)
    build_s, built_mb = process_time() - began, status_mb("VmRSS")
    with TemporaryDirectory() as folder:
        taken_s = run_s(loaded, engine, Path(folder) / "run.h5", wiring)
    scenario = loaded.scenario
    (site,) = scenario.hubs.values()
    return Taken(
        site.connectors.count if site.connectors else 0,
        scenario.duration / 86_400.0,
        round(scenario.duration / scenario.controller[0].period),
        engine,
        scenario.network is not None,
        build_s,
        taken_s,
        built_mb,
        status_mb("VmHWM"),
    )


def measure(case: str) -> Taken:
    """Run a case in a new process: ``CONNECTORS:DURATION:PERIOD:CONTROLLER:ENGINE``, and ``:feeder`` for one."""
    done = subprocess.run([sys.executable, "-m", __name__, case], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"benchmark of growth, {case}: {done.stderr.strip()}")
    return Taken(**json.loads(done.stdout))


def exponent(found: Sequence[Taken], value: str) -> float:
    """By which power of the number of connectors a value grows, from the two largest hubs."""
    before, last = found[-2:]
    grown = getattr(last, value) / getattr(before, value)
    return float(np.log(grown) / np.log(last.connectors / before.connectors))


def main(case: str) -> None:
    """Run one case and print it."""
    count, duration, period, controller, engine, *feeder = case.split(":")
    print(json.dumps(asdict(run(hub(int(count), duration, period, controller, feeder=bool(feeder)), engine))))


if __name__ == "__main__":
    main(sys.argv[1])
