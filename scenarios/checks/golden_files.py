"""Golden files: recorded results beside a scenario, as text that a reviewer can read in a diff."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from ...analysis.checks.findings import spelled
from ...analysis.checks.golden_results import begins
from ...simulators.field_types import NonNegative, PositiveDuration, Section, Whole
from ..errors import NOTHING, InputError, Problem
from ..schema.scenario_loader import Scenario, problems_of
from ..schema.yaml_file import read_yaml

_HEADER = """\
# Golden results, written by: evhub check --update. Read what it changed before you commit it.
# You may change the tolerance at the end and take out key figures and signals; the next update keeps that.
"""

Figure = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None


class Tolerance(Section):
    """Allowed difference of a number: absolute + relative * the recorded value."""

    relative: NonNegative
    absolute: NonNegative


class GoldenFile(Section):
    """The content of a golden file; `analysis.checks.golden_results.record` says what it means."""

    golden: Literal[1]
    scenario: str
    controller: str
    seed: Whole
    kpis: dict[str, dict[str, Figure]]
    every: PositiveDuration
    signals: dict[str, dict[str, Figure]]
    tolerance: Tolerance


def golden_path(loaded: Scenario, name: str) -> Path:
    """Return the path of a golden file of a scenario."""
    return loaded.folder / name


def read_golden(loaded: Scenario, name: str, update: bool = False) -> dict[str, Any] | None:
    """Read a golden file.

    Parameters
    ----------
    loaded : Scenario
        The scenario that names it.
    name : str
        Its path, relative to the scenario file.
    update : bool
        It will be written anew, so that its times need not fit the run.

    Returns
    -------
    dict or None
        What `analysis.checks.golden_results.record` gave; None when there is no such file.

    Raises
    ------
    InputError
        When it is something else, not whole, or of another scenario.
    """
    path = golden_path(loaded, name)
    if not path.exists():
        return None
    where = str(path)
    data = read_yaml(path)
    if "golden" not in data:
        raise InputError(Problem(where, "golden", NOTHING, "must be a file that evhub check --update has written"))
    try:
        recorded = GoldenFile.model_validate(data)
    except ValidationError as error:
        raise InputError(problems_of(error, data, where, GoldenFile)) from None
    scenario = loaded.scenario
    if recorded.scenario != scenario.name:
        raise InputError(
            Problem(where, "scenario", recorded.scenario, f"must be {scenario.name}, which names this file")
        )
    times = begins(scenario.duration, recorded.every)
    for signal, values in recorded.signals.items():
        if list(values) != times and not update:
            allowed = (
                f"must hold the {len(times)} means of a run of {spelled(scenario.duration)}, "
                f"every {spelled(recorded.every)}, or be written again by --update, got {len(values)}"
            )
            raise InputError(Problem(where, f"signals.{signal}", NOTHING, allowed))
    return recorded.model_dump(exclude={"golden"})


def write_golden(path: Path, recorded: Mapping[str, Any]) -> None:
    """Write a golden file in one piece, as YAML or JSON by its ending.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    data = {"golden": 1, **recorded, "every": spelled(recorded["every"])}
    if path.suffix == ".json":
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    else:
        text = _HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise InputError(Problem("", "golden", str(path), f"must be a file that can be written ({error})")) from None
