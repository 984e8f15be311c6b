"""From a study to its variants and runs: the changes of each in the scenario, and the key that identifies it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import NOTHING, InputError, Problem, nearest
from ...schema.controller_registry import controller_class
from ...schema.field_path import Keys, changed, find
from ...schema.scenario_loader import Scenario, load_scenario, parse, shipped
from ...schema.scenario_schema import LARGEST_SEED
from ...schema.yaml_file import read_yaml
from .run_identity import RunIdentity
from .sampling import points
from .study_file import LARGEST, ControllerSetting, Study
from .variant_labels import LONGEST, labels_of_settings, short_names

_OF_THE_STUDY = {"controller": "controllers", "seed": "seeds", "expect": "", "name": ""}
"""What is not varied as a field, and the key of the study that does it."""


@dataclass(frozen=True)
class Variant:
    """One combination of scenario, values of the fields and setting of the controller.

    Parameters
    ----------
    label : str
        What tables and figures call it; no other variant is called so.
    scenario : str
        Label of its scenario.
    fields : dict
        The value of each field, as it stands in the scenario.
    controller : str
        Label of its controller.
    plant : str
        The part of the label before the controller and its fields; variants that share it have the same plant.
    """

    label: str
    scenario: str
    fields: dict[str, Any]
    controller: str
    plant: str

    @property
    def strategy(self) -> str:
        """The rest of the label."""
        return self.label.removeprefix(self.plant).removeprefix(", ")


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Parameters
    ----------
    number : int
        Its place in the study, from 1.
    variant : Variant
        What is run.
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
    variant: Variant
    seed: int
    scenario: str
    data: dict[str, Any]
    key: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"run {self.number} ({self.variant.label}, seed {self.seed})"

    @property
    def loaded(self) -> Scenario:
        """The scenario; its file is looked up where this is asked, which may be on another machine."""
        return parse(self.data, shipped().get(self.scenario) or Path(self.scenario))


@dataclass(frozen=True)
class StudyPlan:
    """A study whose input is known to be valid, with all its runs.

    Parameters
    ----------
    study : Study
        The study.
    scenarios : dict of str to Scenario
        Its scenarios by label, as their files have them.
    runs : list of PlannedRun
        Scenarios first, then points, controllers and seeds.
    """

    study: Study
    scenarios: dict[str, Scenario]
    runs: list[PlannedRun]

    @property
    def variants(self) -> list[Variant]:
        """All variants, in order."""
        return list({run.variant.label: run.variant for run in self.runs}.values())

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order; every variant has all of them."""
        return list(dict.fromkeys(run.seed for run in self.runs))


@dataclass(frozen=True)
class _Base:
    """A scenario of the study: its file, its content, and the content under each of the controllers."""

    label: str
    name: str
    loaded: Scenario
    controlled: dict[str, dict[str, Any]]
    fields: dict[str, Keys]
    beside: Path
    """The folder of the study."""

    def found(self, value: Any) -> Any:
        """Return a value of the study with the full paths of the files beside it that the value names."""
        return _found(value, self.beside, self.loaded)


def plan_study(
    study: Study,
    where: str,
    folder: Path,
    *,
    loaded: Scenario | None = None,
    engine: str = "inprocess",
) -> StudyPlan:
    """Plan all runs of a study.

    Parameters
    ----------
    study : Study
        The study.
    where : str
        Its file, for messages.
    folder : Path
        Folder that paths of scenarios are relative to.
    loaded : Scenario, optional
        The scenario of a study of one, where it is not to be read from its file.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.

    Returns
    -------
    StudyPlan

    Raises
    ------
    InputError
        With every field that does not exist, every value that a scenario refuses, and every label that is not clear.
    """
    labels = _controller_labels(study, where)
    bases = _bases(study, labels, where, folder, loaded)
    first = next(iter(bases)).loaded.scenario.seed
    seeds = study.seeds if isinstance(study.seeds, list) else [first + k for k in range(study.seeds)]
    problems = [*_unknown_kpis(study, bases, where)]
    if max(seeds) > LARGEST_SEED:
        problems.append(Problem(where, "seeds", study.seeds, f"must stay below {LARGEST_SEED}"))
    controllers = len(bases[0].controlled)
    count = len(bases) * _count(study) * controllers * len(seeds)
    if count > LARGEST:
        problems.append(Problem(where, "file", NOTHING, f"must be at most {LARGEST} runs, got {count}"))
    if problems:
        raise InputError(problems)
    runs = list(_runs(study, bases, seeds, where, engine))
    _check_labels(runs, where)
    return StudyPlan(study, {base.label: base.loaded for base in bases}, runs)


def _count(study: Study) -> int:
    values = [len(field.values.values) for field in study.fields.values() if field.values is not None]
    return study.design.samples or math.prod(values)


def _runs(study: Study, bases: Sequence[_Base], seeds: list[int], where: str, engine: str) -> Iterable[PlannedRun]:
    from ...run_scenario import versions

    refused: dict[tuple[str, str], Problem] = {}
    every = points(study.fields, study.design)
    number = 0
    for base in bases:
        identity = RunIdentity(base.loaded.folder, versions(), engine)
        for point in every:
            for controller, controlled in base.controlled.items():
                variant = _variant(study, base.label, point, controller)
                data = controlled
                for field, value in point.items():
                    data = changed(data, base.loaded.scenario, base.fields[field], base.found(value))
                for seed in seeds:
                    number += 1
                    seeded = {**data, "seed": seed}
                    try:
                        scenario = parse(seeded, base.loaded.path).scenario
                    except InputError as error:
                        for problem in error.problems:
                            # every value that stands in the study is told, of a range or a combination the first
                            stands = problem.key in point and study.fields[problem.key].values is not None
                            refused.setdefault(
                                (problem.key, str(problem.value) if stands else ""),
                                _of_run(problem, number, point, where),
                            )
                        break
                    yield PlannedRun(number, variant, seed, base.name, seeded, identity.of(scenario))
    if refused:
        raise InputError(refused.values())


def _of_run(problem: Problem, number: int, point: Mapping[str, Any], where: str) -> Problem:
    if problem.key in point:
        return Problem(where, f"fields.{problem.key}", problem.value, problem.allowed)
    values = ", ".join(f"{field} = {value}" for field, value in point.items())
    return Problem(where, f"run {number} ({values}): {problem.key}", problem.value, problem.allowed)


# --- labels -----------------------------------------------------------------------------------------------------------


def _variant(study: Study, scenario: str, point: dict[str, Any], controller: str) -> Variant:
    """Label a variant by what is varied: the plant first; by its controller if nothing is."""
    plant, strategy = [scenario] if len(study.targets) > 1 else [], []
    names = short_names(study.fields)
    for field, value in point.items():
        choices = study.fields[field].values
        if choices is None or len(choices.values) > 1:
            label = str(value) if choices is None else choices.label(value)
            if choices is None or not (choices.named or isinstance(value, dict | list)):
                label = f"{names[field]}={label}"
            (strategy if field.startswith("controller") else plant).append(label)
    if len(study.controllers or ()) > 1 or not plant + strategy:
        strategy.append(controller)
    return Variant(", ".join(plant + strategy), scenario, point, controller, ", ".join(plant))


def _check_labels(runs: Iterable[PlannedRun], where: str) -> None:
    """Check that no two variants have one label, which those of fields and controllers could make together."""
    variants: dict[str, Variant] = {}
    for run in runs:
        if variants.setdefault(run.variant.label, run.variant) != run.variant:
            allowed = "must be one variant: labels of fields or controllers have to differ"
            raise InputError(Problem(where, "label", run.variant.label, allowed))


def _controller_labels(study: Study, where: str) -> list[str]:
    """Return the label of each controller of the study, checked to be different."""
    settings = study.controllers or []
    made = labels_of_settings([setting.section for setting in settings])
    made = [
        label if len(label) <= LONGEST else f"{setting.type} {n}"
        for n, (label, setting) in enumerate(zip(made, settings, strict=True), 1)
    ]
    labels = [setting.label or label for setting, label in zip(settings, made, strict=True)]
    problems = []
    for n, label in enumerate(labels):
        if label in labels[:n]:
            if settings[n].label is None and settings[labels.index(label)].label is None:
                problems.append(Problem(where, f"controllers[{n}]", label, "must stand once"))
            else:
                allowed = f"must differ from that of controllers[{labels.index(label)}]"
                problems.append(Problem(where, f"controllers[{n}].label", label, allowed))
    if problems:
        raise InputError(problems)
    return labels


# --- scenarios and controllers ----------------------------------------------------------------------------------------


def _bases(study: Study, labels: Sequence[str], where: str, folder: Path, loaded: Scenario | None) -> list[_Base]:
    """Each scenario of the study, checked, under each controller and with the place of each field."""
    bases: list[_Base] = []
    problems: list[Problem] = []
    for label, target in study.targets.items():
        try:
            bases.append(_base(study, labels, label, target, where, folder, loaded))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return bases


def _base(
    study: Study,
    labels: Sequence[str],
    label: str,
    target: str,
    where: str,
    folder: Path,
    loaded: Scenario | None,
) -> _Base:
    if loaded is None:
        name = target if target in shipped() else str((folder / target).resolve())
        if name not in shipped() and not Path(name).is_file():
            hint = nearest(target, shipped()) or f"; shipped are {', '.join(shipped())}"
            key = "scenario" if study.scenario is not None else "scenarios"
            raise InputError(Problem(where, key, target, f"must be a file or a shipped scenario{hint}"))
        loaded = load_scenario(name)
        data = dict(read_yaml(loaded.path))
    else:
        name = next((name for name, path in shipped().items() if path == loaded.path), str(loaded.path.resolve()))
        data = loaded.data()
    if study.fields or study.duration is not None:
        data.pop("expect", None)  # they need not fit a changed plant
    if study.duration is not None:
        data["duration"] = f"{study.duration:.12g}s"
    controlled = _controlled(study, labels, data, loaded, where, folder)
    prefix = f"scenario {label}: " if study.scenarios else ""
    fields = _fields(study, [parse(content, loaded.path) for content in controlled.values()], where, prefix)
    return _Base(label, name, loaded, controlled, fields, folder)


def _found(value: Any, beside: Path, base: Scenario) -> Any:
    """Replace names of files beside a study by their full paths; a scenario looks for the others beside itself."""
    if isinstance(value, dict):
        return {key: _found(item, beside, base) for key, item in value.items()}
    if isinstance(value, list):
        return [_found(item, beside, base) for item in value]
    if not isinstance(value, str) or not Path(value).suffix or beside.resolve() == base.folder.resolve():
        return value
    return str((beside / value).resolve()) if _is_file(beside / value) else value


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that cannot be a path
        return False


def _controlled(
    study: Study, labels: Sequence[str], data: dict[str, Any], base: Scenario, where: str, folder: Path
) -> dict[str, dict[str, Any]]:
    """Return the content of the scenario under each controller, by label."""
    section = data.get("controller", {"type": base.scenario.controller[0].type})
    specs = section if isinstance(section, list) else [section]
    if not study.controllers:
        own = {**data, "controller": specs}
        return {", ".join(spec["type"] for spec in specs): own}
    contents: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for n, (label, setting) in enumerate(zip(labels, study.controllers, strict=True)):
        content = {**data, "controller": _in_place_of(specs, setting, _found(setting.section, folder, base))}
        try:
            # options name controllers as users wrote them
            controller_class(setting.type, base.folder, where, f"controllers[{n}].type" if where else "--controllers")
            parse(content, base.path)
        except InputError as error:
            problems += error.problems
        contents[label] = content
    if problems:
        raise InputError(problems)
    return contents


def _in_place_of(
    specs: list[dict[str, Any]], setting: ControllerSetting, section: dict[str, Any]
) -> list[dict[str, Any]]:
    """A controller in place of the scenario's: at their periods and hubs, unless it has its own."""
    if "hubs" in section:
        return [section]
    by_name = set(section) == {"type"}
    return [
        # as with evhub run --controller: one that runs in the scenario keeps its parameters there
        spec
        if by_name and spec["type"] == setting.type
        else {**{key: spec[key] for key in ("period", "hubs") if key in spec}, **section}
        for spec in specs
    ]


# --- fields and key figures -------------------------------------------------------------------------------------------


def _fields(study: Study, controlled: Sequence[Scenario], where: str, prefix: str) -> dict[str, Keys]:
    """Return where each field stands; every controller has to have it, and none may set it."""
    keys: dict[str, Keys] = {}
    problems: list[Problem] = []
    for field in study.fields:
        key = f"{prefix}fields.{field}"
        try:
            for loaded in controlled:
                keys[field] = find(loaded.scenario, field, loaded.folder)
        except ValueError as error:
            problems.append(Problem(where, key, NOTHING, str(error)))
            continue
        if field in _OF_THE_STUDY:
            instead = _OF_THE_STUDY[field]
            allowed = f"must be varied by {instead}" if instead else "must stay as it is"
            problems.append(Problem(where, key, NOTHING, allowed))
        if field == "duration" and study.duration is not None:
            problems.append(Problem(where, "duration", NOTHING, "must not stand beside fields.duration"))
        problems += [
            Problem(where, key, NOTHING, f"must not be varied where {setter} sets it")
            for setter in _setters(study, keys[field])
        ]
        for other, others in keys.items():
            shorter = min(len(others), len(keys[field]))
            if other != field and others[:shorter] == keys[field][:shorter]:
                problems.append(Problem(where, key, NOTHING, f"must not lie within {other}, or around it"))
    if problems:
        raise InputError(problems)
    return keys


def _setters(study: Study, keys: Keys) -> Iterator[str]:
    """Name the controllers of the study that give what a field varies."""
    if keys[0] == "controller" and len(keys) > 2:
        for n, setting in enumerate(study.controllers or ()):
            if keys[2] in setting.section:
                yield f"controllers[{n}].{keys[2]}"


def _unknown_kpis(study: Study, bases: Sequence[_Base], where: str) -> Iterator[Problem]:
    from ....analysis.checks.expectation_checks import kpi_names

    if not study.kpis:
        return
    several = [base.loaded.scenario.hubs for base in bases if len(base.loaded.scenario.hubs) > 1]
    known = [*kpi_names(), *(f"{hub}.{name}" for hubs in several for hub in hubs for name in kpi_names())]
    allowed = f"must be one of {', '.join(kpi_names())}{', or HUB.NAME for one hub' if several else ''}"
    for n, name in enumerate(study.kpis):
        if name not in known:
            yield Problem(where, f"kpis[{n}]", name, f"{allowed}{nearest(name, known)}")
