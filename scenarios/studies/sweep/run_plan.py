"""From a study to its runs: the changes of each in the scenario, and the key that identifies it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import NOTHING, InputError, Problem, nearest
from ...schema.controller_registry import controller_class
from ...schema.field_path import changed, find
from ...schema.scenario_loader import LoadedScenario, load_scenario, parse, shipped
from ...schema.scenario_schema import LARGEST_SEED, ControllerSpec
from ...schema.yaml_file import read_yaml
from .sampling import points
from .sweep_study import LARGEST, SweepStudy

_SILENT = ("title", "source", "expect")
"""What of a scenario changes nothing in its run."""
_OF_THE_STUDY = {"controller": "controllers", "seed": "seeds", "expect": "", "name": ""}
"""What is not varied as a field, and the key of the study that does it."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Parameters
    ----------
    number : int
        Its place in the study, from 1.
    fields : dict
        The value of each field, as it stands in the scenario.
    controller : str
        Who decides, with the parameters the study gives.
    seed : int
        Of everything random.
    scenario : str
        Name of the shipped scenario, or path of its file.
    data : dict
        The content of the scenario file with all changes.
    key : str
        The same for two runs with the same results: scenario, files it names, controller, seed and versions.
    """

    number: int
    fields: dict[str, Any]
    controller: str
    seed: int
    scenario: str
    data: dict[str, Any]
    key: str

    @property
    def loaded(self) -> LoadedScenario:
        """The scenario; its file is looked up where this is asked, which may be on another machine."""
        return parse(self.data, shipped().get(self.scenario) or Path(self.scenario))


@dataclass(frozen=True)
class _Variant:
    """The scenario under one of the study's controllers."""

    label: str
    loaded: LoadedScenario
    data: dict[str, Any]


def plan(study: SweepStudy, path: Path) -> list[PlannedRun]:
    """Plan all runs of a study.

    Parameters
    ----------
    study : SweepStudy
        The study.
    path : Path
        Its file.

    Returns
    -------
    list of PlannedRun
        Points first, then controllers, then seeds.

    Raises
    ------
    InputError
        With every field that does not exist and every value that the scenario refuses.
    """
    where = str(path)
    name = study.scenario if study.scenario in shipped() else str((path.parent / study.scenario).resolve())
    if name not in shipped() and not Path(name).is_file():
        hint = nearest(study.scenario, shipped()) or f"; shipped are {', '.join(shipped())}"
        raise InputError(Problem(where, "scenario", study.scenario, f"must be a file or a shipped scenario{hint}"))
    base = load_scenario(name)
    data = {key: value for key, value in read_yaml(base.path).items() if key != "expect"}
    if study.duration is not None:
        data["duration"] = f"{study.duration:.12g}s"
    variants = _variants(study, data, base, where)
    keys, problems = _keys(study, variants, where)
    problems += _unknown_kpis(study, base, where)
    seeds = study.seeds if isinstance(study.seeds, list) else [base.scenario.seed + k for k in range(study.seeds)]
    if seeds[-1] > LARGEST_SEED:
        problems.append(Problem(where, "seeds", study.seeds, f"must stay below {LARGEST_SEED}"))
    count = _count(study) * len(variants) * len(seeds)
    if count > LARGEST:
        problems.append(Problem(where, "file", NOTHING, f"must be at most {LARGEST} runs, got {count}"))
    if problems:
        raise InputError(problems)
    return list(_runs(study, name, variants, keys, seeds, where))


def _count(study: SweepStudy) -> int:
    return study.design.samples or math.prod(len(field.values or []) for field in study.fields.values())


def _runs(
    study: SweepStudy, name: str, variants: list[_Variant], keys: Mapping[str, tuple], seeds: list[int], where: str
) -> Iterable[PlannedRun]:
    from ...run_scenario import versions

    refused: dict[tuple[str, str], Problem] = {}
    identity = _Identity(variants[0].loaded.folder, versions())
    number = 0
    for point in points(study.fields, study.design):
        for variant in variants:
            data = variant.data
            for field, value in point.items():
                data = changed(data, variant.loaded.scenario, keys[field], value)
            for seed in seeds:
                number += 1
                seeded = {**data, "seed": seed}
                try:
                    scenario = parse(seeded, variant.loaded.path).scenario
                except InputError as error:
                    for problem in error.problems:
                        # every value that stands in the study is told, of a range or a combination the first
                        stands = problem.key in point and study.fields[problem.key].values is not None
                        refused.setdefault(
                            (problem.key, str(problem.value) if stands else ""), _of_run(problem, number, point, where)
                        )
                    break
                yield PlannedRun(number, point, variant.label, seed, name, seeded, identity.of(scenario))
    if refused:
        raise InputError(refused.values())


def _of_run(problem: Problem, number: int, point: Mapping[str, Any], where: str) -> Problem:
    if problem.key in point:
        return Problem(where, f"fields.{problem.key}", problem.value, problem.allowed)
    values = ", ".join(f"{field} = {value}" for field, value in point.items())
    return Problem(where, f"run {number} ({values}): {problem.key}", problem.value, problem.allowed)


# --- controllers ------------------------------------------------------------------------------------------------------


def _variants(study: SweepStudy, data: dict[str, Any], base: LoadedScenario, where: str) -> list[_Variant]:
    """The scenario under each controller of the study."""
    section = data.get("controller", {"type": base.scenario.controller[0].type})
    specs = section if isinstance(section, list) else [section]
    variants: dict[str, _Variant] = {}
    problems: list[Problem] = []
    for n, spec in enumerate(study.controllers or [None]):
        controllers = specs if spec is None else _in_place_of(specs, spec)
        label = ", ".join(controller["type"] for controller in specs) if spec is None else _label(spec)
        if label in variants:
            problems.append(Problem(where, f"controllers[{n}]", label, "must stand once"))
        controlled = {**data, "controller": controllers}
        try:
            for controller in controllers:
                controller_class(controller["type"], base.folder, where, f"controllers[{n}].type")
            variants[label] = _Variant(label, parse(controlled, base.path), controlled)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return list(variants.values())


def _in_place_of(specs: list[dict[str, Any]], wanted: ControllerSpec) -> list[dict[str, Any]]:
    """A controller in place of the scenario's: at their periods and hubs, unless it has its own."""
    section = wanted.model_dump(mode="json", exclude_unset=True)
    if "hubs" in section:
        return [section]
    by_name = set(section) == {"type"}
    return [
        # as with evhub run --controller: one that runs in the scenario keeps its parameters there
        spec
        if by_name and spec["type"] == wanted.type
        else {**{key: spec[key] for key in ("period", "hubs") if key in spec}, **section}
        for spec in specs
    ]


def _label(spec: ControllerSpec) -> str:
    section = spec.model_dump(mode="json", exclude_unset=True)
    return " ".join([section.pop("type"), *(f"{key}={value}" for key, value in section.items())])


# --- fields and key figures -------------------------------------------------------------------------------------------


def _keys(study: SweepStudy, variants: list[_Variant], where: str) -> tuple[dict[str, tuple], list[Problem]]:
    """Where each field stands; every controller has to have it."""
    keys: dict[str, tuple] = {}
    problems: list[Problem] = []
    for field in study.fields:
        try:
            for variant in variants:
                keys[field] = find(variant.loaded.scenario, field, variant.loaded.folder)
        except ValueError as error:
            problems.append(Problem(where, f"fields.{field}", NOTHING, str(error)))
            continue
        if field in _OF_THE_STUDY:
            instead = _OF_THE_STUDY[field]
            allowed = f"must be varied by {instead}" if instead else "must stay as it is"
            problems.append(Problem(where, f"fields.{field}", NOTHING, allowed))
        if field == "duration" and study.duration is not None:
            problems.append(Problem(where, "duration", NOTHING, "must not stand beside fields.duration"))
        for other, others in keys.items():
            shorter = min(len(others), len(keys[field]))
            if other != field and others[:shorter] == keys[field][:shorter]:
                problems.append(
                    Problem(where, f"fields.{field}", NOTHING, f"must not lie within {other}, or around it")
                )
    return keys, problems


def _unknown_kpis(study: SweepStudy, base: LoadedScenario, where: str) -> list[Problem]:
    from ....analysis.checks.expectation_checks import kpi_names

    if not study.kpis:
        return []
    hubs = base.scenario.hubs if len(base.scenario.hubs) > 1 else ()
    known = [*kpi_names(), *(f"{hub}.{name}" for hub in hubs for name in kpi_names())]
    allowed = f"must be one of {', '.join(kpi_names())}{', or HUB.NAME for one hub' if hubs else ''}"
    return [
        Problem(where, f"kpis[{n}]", name, f"{allowed}{nearest(name, known)}")
        for n, name in enumerate(study.kpis)
        if name not in known
    ]


# --- what makes two runs the same -------------------------------------------------------------------------------------


class _Identity:
    """Keys of runs: a digest of the resolved scenario, of the files beside it that it names, and of the versions."""

    def __init__(self, folder: Path, versions: str):
        self._folder = folder
        self._versions = versions
        self._digests: dict[str, str] = {}

    def of(self, scenario) -> str:
        resolved = scenario.model_dump_json(exclude=set(_SILENT))
        files = {text: digest for text in _texts(json.loads(resolved)) if (digest := self._digest(text))}
        whole = json.dumps([resolved, files, self._versions], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:20]

    def _digest(self, text: str) -> str:
        """Of the file that a text of the scenario names: data, or the module of a controller of the user's own."""
        if text not in self._digests:
            module, colon, _ = text.partition(":")
            path = self._folder / (module.replace(".", "/") + ".py" if colon else text)
            try:
                self._digests[text] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            except (OSError, ValueError):
                self._digests[text] = ""  # no path at all
        return self._digests[text]


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
