"""Times a run on either engine: the stepping and what is written meanwhile, without reading and building."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines import inprocess_engine as inprocess
from evhub.scenarios.engines import mosaik_engine as engine
from evhub.scenarios.engines.wiring import Wiring
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import Scenario

from .observed import Stopwatch

ENGINES = {"mosaik": (engine, "run_mosaik"), "inprocess": (inprocess, "run_inprocess")}


def run_s(loaded: Scenario, engine_name: str, path: Path, wiring: Wiring | None = None) -> float:
    """Run a scenario into a file, and give the processor time of its engine [s]."""
    watch = Stopwatch()
    module, function = ENGINES[engine_name]
    with patch.object(module, function, watch.around(getattr(module, function))):
        run_wiring(wiring or build(loaded), loaded, path, engine=engine_name)
    return watch.total.cpu
