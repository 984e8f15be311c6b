"""The runs of a comparison, checked before the first one begins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....analysis.comparison.paired_statistics import TESTS, Test
from ....analysis.results.summary_table import better
from ...errors import NOTHING, InputError, Problem, nearest
from ...schema.scenario_loader import Scenario, Target, load_scenario
from ...schema.scenario_schema import LARGEST_SEED, NoisyPower, NoisySessions, ScenarioSection, StochasticSessions
from ..variants.journalled_runs import JOURNAL
from ..variants.study_file import LARGEST, Study, read_study
from ..variants.variant_plan import PlannedRun, StudyPlan, plan_study

RUNS = "runs"
"""Folder of the results within that of the comparison."""
MAX_VARIANTS = 50
"""All pairs are tested, and all stand in one page; of more, a sweep makes a table."""


@dataclass(frozen=True, eq=False)
class Job:
    """A run of a comparison.

    Parameters
    ----------
    run : PlannedRun
        The run.
    path : Path
        Its result file.
    """

    run: PlannedRun
    path: Path

    @property
    def controller(self) -> str:
        """Label of the variant; that of the controller where nothing else is varied."""
        return self.run.variant.label

    @property
    def seed(self) -> int:
        """The seed."""
        return self.run.seed

    @property
    def loaded(self) -> Scenario:
        """The scenario with all changes."""
        return self.run.loaded


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison whose input is known to be valid.

    Parameters
    ----------
    planned : StudyPlan
        The study and its runs.
    loaded : Scenario
        The scenario of the first run.
    jobs : tuple of Job
        Seed by seed, all variants.
    random : tuple of str
        What in the scenarios depends on the seed.
    output : Path
        Folder to write to.
    baseline : str
        The variant the others are compared with.
    kpis : tuple of str
        Key figures to test; all when empty.
    test : {"t", "wilcoxon"}
        See `evhub.analysis.comparison.paired_statistics.compare`.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    force : bool
        Whether everything is run again.
    """

    planned: StudyPlan
    loaded: Scenario
    jobs: tuple[Job, ...]
    random: tuple[str, ...]
    output: Path
    baseline: str
    kpis: tuple[str, ...]
    test: Test
    engine: str = "inprocess"
    force: bool = False


def plan(
    target: Target,
    controllers: Sequence[str],
    output: str | Path,
    *,
    seeds: int = 1,
    baseline: str | None = None,
    kpis: Sequence[str] = (),
    test: Test = "t",
    engine: str = "inprocess",
    force: bool = False,
) -> ComparisonPlan:
    """Plan a comparison of controllers on a scenario, and check that all can run it.

    Parameters
    ----------
    target : str, Path, mapping or Scenario
        What `load_scenario` takes.
    controllers : sequence of str
        At least two, by name or as module:Class. One that runs in the scenario keeps its parameters there.
    output : str or Path
        Folder to write to; that of an earlier call goes on from there.
    seeds : int
        How many seeds: the scenario's, and those that follow it.
    baseline : str, optional
        The controller the others are compared with; the first when left out.
    kpis : sequence of str
        Key figures to tell and test; all when left out.
    test : {"t", "wilcoxon"}
        See `evhub.analysis.comparison.paired_statistics.compare`.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    force : bool
        Replace what is in the folder, and run everything again.

    Returns
    -------
    ComparisonPlan

    Raises
    ------
    InputError
        With everything that is wrong; nothing is written.
    """
    loaded = load_scenario(target)
    problems = [
        *_names_problems(controllers, baseline),
        *_choice_problems({"kpis": kpis, "test": test, "engine": engine}),
        *_seeds_problems(seeds, loaded.scenario.seed),
        *_output_problems(Path(output), force),
    ]
    in_file = isinstance(target, str | Path)
    scenario = str(target if in_file else loaded.path)
    content: dict[str, Any] = {"scenario": scenario, "controllers": list(dict.fromkeys(controllers)) or None}
    if not problems:  # what the controllers have to be is told beside other problems
        content |= {"seeds": seeds, "baseline": baseline, "kpis": list(kpis) or None, "test": test}
    try:
        study = Study.model_validate(content)
        planned = plan_study(study, "", Path(), loaded=None if in_file else loaded, engine=engine)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    if problems:
        raise InputError(problems)
    return _comparison(planned, Path(output), engine, force)


def plan_file(
    path: Path, output: Path, *, options: dict[str, Any] | None = None, engine: str = "inprocess", force: bool = False
) -> ComparisonPlan:
    """Plan a comparison of all variants of a study file, and check that all runs can be made.

    Parameters
    ----------
    path : Path
        The study file.
    output : Path
        Folder to write to; that of an earlier call goes on from there.
    options : dict, optional
        Keys of the study in place of those in the file: seeds, baseline, kpis, test.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    force : bool
        Replace what is in the folder, and run everything again.

    Returns
    -------
    ComparisonPlan

    Raises
    ------
    InputError
        With everything that is wrong; nothing is written.
    """
    study, options = read_study(path), options or {}
    kpis = options.get("kpis")  # scenarios may have key figures of their own: they are loaded first
    problems = [
        *_choice_problems(options | {"engine": engine, "kpis": None}),
        *_seeds_problems(options.get("seeds", 1), 0),
        *_output_problems(output, force),
    ]
    if problems:
        raise InputError(problems)
    study = study.model_copy(update=options | ({"kpis": None} if kpis else {}))
    planned = plan_study(study, str(path), path.parent, engine=engine)
    problems = [*_study_problems(planned, str(path), options), *_kpis_problems(kpis or ())]
    if problems:
        raise InputError(problems)
    if kpis:
        planned = replace(planned, study=study.model_copy(update={"kpis": kpis}))
    return _comparison(planned, output, engine, force)


def _comparison(planned: StudyPlan, output: Path, engine: str, force: bool) -> ComparisonPlan:
    study, variants = planned.study, planned.variants
    names = _file_names([variant.label for variant in variants])
    seeds = planned.seeds
    paths: dict[str, Path] = {}
    for run in planned.runs:  # the same run under two labels is made once
        paths.setdefault(run.key, output / RUNS / f"{names[run.variant.label]}-seed{run.seed}.h5")
    jobs = tuple(Job(run, paths[run.key]) for run in sorted(planned.runs, key=lambda run: seeds.index(run.seed)))
    plants = {run.variant.plant: run for run in planned.runs}
    random = dict.fromkeys(part for run in plants.values() for part in random_parts(run.loaded.scenario))
    return ComparisonPlan(
        planned,
        planned.runs[0].loaded,
        jobs,
        tuple(random),
        output,
        study.baseline or variants[0].label,
        tuple(study.kpis or ()),
        study.test,
        engine,
        force,
    )


# --- what is refused --------------------------------------------------------------------------------------------------


def _names_problems(controllers: Sequence[str], baseline: str | None) -> Iterator[Problem]:
    if len(set(controllers)) < 2:
        yield Problem("", "--controllers", ",".join(controllers), "must name at least two controllers")
    for name in dict.fromkeys(controllers):
        if controllers.count(name) > 1:
            yield Problem("", "--controllers", ",".join(controllers), f"must name {name} only once")
    if baseline is not None and baseline not in controllers:
        yield Problem("", "--baseline", baseline, f"must be one of {', '.join(controllers)}")


def _choice_problems(options: dict[str, Any]) -> Iterator[Problem]:
    yield from _kpis_problems(options["kpis"] or ())
    if options.get("test", "t") not in TESTS:
        yield Problem("", "--test", options["test"], f"must be {' or '.join(TESTS)}")
    if options["engine"] not in ("inprocess", "mosaik"):
        yield Problem("", "--engine", options["engine"], "must be inprocess or mosaik")


def _kpis_problems(kpis: Sequence[str]) -> Iterator[Problem]:
    for name in kpis:
        if name not in better():
            yield Problem("", "--kpis", name, _unknown_kpi(name))


def _unknown_kpi(name: str) -> str:
    hint = nearest(name, better(), 2) or f": {', '.join(better())}"
    return f"must be a key figure of the summary{hint}"


def _seeds_problems(seeds: int, first: int) -> Iterator[Problem]:
    if seeds < 1:
        yield Problem("", "--seeds", seeds, "must be >= 1")
    elif seeds > LARGEST:
        yield Problem("", "--seeds", seeds, f"must be at most {LARGEST}")
    elif first + seeds - 1 > LARGEST_SEED:
        yield Problem("", "--seeds", seeds, f"must be at most {LARGEST_SEED - first + 1} from the seed {first} on")


def _output_problems(output: Path, force: bool) -> Iterator[Problem]:
    if output.exists() and not output.is_dir():
        yield Problem("", "output", str(output), "must be a folder")
    elif output.is_dir() and any(output.iterdir()) and not (output / JOURNAL).exists() and not force:
        yield Problem("", "output", str(output), "must be empty; --force replaces what is there")


def _study_problems(planned: StudyPlan, where: str, options: dict[str, Any]) -> Iterator[Problem]:
    study, labels = planned.study, [variant.label for variant in planned.variants]
    if len(labels) < 2:
        yield Problem(where, "file", NOTHING, "must vary something to compare: fields, controllers or scenarios")
    if len(labels) > MAX_VARIANTS:
        allowed = f"must make at most {MAX_VARIANTS} variants to compare, got {len(labels)}; evhub sweep takes more"
        yield Problem(where, "file", NOTHING, allowed)
    if study.baseline is not None and study.baseline not in labels:
        place = ("", "--baseline") if "baseline" in options else (where, "baseline")
        yield Problem(*place, study.baseline, f"must be one of {' | '.join(labels)}{nearest(study.baseline, labels)}")
    for n, name in enumerate(study.kpis or ()):
        if name not in better():
            yield Problem(where, f"kpis[{n}]", name, f"{_unknown_kpi(name)}: totals over the hubs are compared")
    currencies = {
        label: sorted({hub.tariffs.currency for hub in loaded.scenario.hubs.values()})
        for label, loaded in planned.scenarios.items()
    }
    if len({str(names) for names in currencies.values()}) > 1:
        stated = ", ".join(f"{' and '.join(names)} in {label}" for label, names in currencies.items())
        yield Problem(where, "scenarios", NOTHING, f"must have one currency to be compared, got {stated}")


def _file_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a name for the files of each label; the label itself as far as files can be called so."""
    names: dict[str, str] = {}
    for label in labels:
        name = re.sub(r"[^\w.=+-]+", "-", label.replace(":", "."))[:100]
        while name in names.values():
            name += "-"
        names[label] = name
    return names


def random_parts(scenario: ScenarioSection) -> tuple[str, ...]:
    """List the paths of a scenario that depend on its seed; whether a controller draws, only a run shows."""
    paths = []
    for name, hub in scenario.hubs.items():
        forecasts = hub.forecasts
        channels = [] if hub.link is None else [hub.link, *hub.link.devices.values()]
        delays = [delay for channel in channels for delay in (channel.measurement, channel.command)]
        drawn = {
            "sessions": isinstance(hub.sessions, StochasticSessions),
            "queue.patience": hub.sessions is not None and hub.queue.patience is not None,
            "forecasts.pv": isinstance(forecasts.pv, NoisyPower),
            "forecasts.load": isinstance(forecasts.load, NoisyPower),
            "forecasts.sessions": isinstance(forecasts.sessions, NoisySessions),
            "link": any(channel.loss > 0 for channel in channels)
            or any(delay.type == "exponential" or (delay.type != "constant" and delay.spread > 0) for delay in delays),
        }
        paths += [f"hubs.{name}.{part}" for part, is_drawn in drawn.items() if is_drawn]
    return tuple(paths)
