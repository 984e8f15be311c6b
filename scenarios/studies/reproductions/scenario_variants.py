"""Runs of a shipped scenario with changes, as studies need them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...assembly.plant_build import build
from ...schema.scenario_loader import parse, shipped
from ...schema.yaml_file import read_yaml
from ..workers.whole_results import run_whole


def run_variant(scenario: str, folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """Run a shipped scenario with changes, on the in-process engine.

    Parameters
    ----------
    scenario : str
        A shipped scenario.
    folder : Path
        Takes the result file.
    name : str
        Name of the file, without its ending.
    change : callable
        Changes what stands in the scenario file; its ``expect`` is gone, because a study judges for itself.

    Returns
    -------
    Path
        The result file.
    """
    path = shipped()[scenario]
    data: dict[str, Any] = read_yaml(path)
    data.pop("expect", None)
    change(data)
    loaded = parse(data, path)
    return run_whole(build(loaded), loaded, folder / f"{name}.h5")
