"""The runs of a comparison, checked before the first one begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....analysis.comparison.paired_statistics import TESTS, Test
from ....analysis.results.summary_table import better
from ...assembly.plant_build import build
from ...errors import InputError, Problem, nearest
from ...schema.scenario_loader import LoadedScenario, load_scenario
from ...schema.scenario_schema import LARGEST_SEED, NoisyPower, NoisySessions, Scenario, StochasticSessions

RUNS = "runs"
"""Folder of the results within that of the comparison."""


@dataclass(frozen=True, eq=False)
class Job:
    """A run to make.

    Parameters
    ----------
    loaded : LoadedScenario
        The scenario under its controller and seed.
    controller : str
        The controller, as it was asked for.
    path : Path
        Its result file.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    """

    loaded: LoadedScenario
    controller: str
    path: Path
    engine: str

    @property
    def seed(self) -> int:
        """The seed."""
        return self.loaded.scenario.seed

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.controller}, seed {self.seed}"


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison whose input is known to be valid.

    Parameters
    ----------
    loaded : LoadedScenario
        The scenario.
    jobs : tuple of Job
        Seed by seed, all controllers.
    random : tuple of str
        What in the scenario depends on the seed.
    output : Path
        Folder to write to.
    baseline : str
        The controller the others are compared with.
    kpis : tuple of str
        Key figures to test; all when empty.
    test : {"t", "wilcoxon"}
        See `evhub.analysis.comparison.paired_statistics.compare`.
    """

    loaded: LoadedScenario
    jobs: tuple[Job, ...]
    random: tuple[str, ...]
    output: Path
    baseline: str
    kpis: tuple[str, ...]
    test: Test


def plan(
    target: str | Path | LoadedScenario,
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
    """Plan the runs of a comparison, and check that all can be made.

    Parameters
    ----------
    target : str, Path or LoadedScenario
        Name of a shipped scenario, a scenario file, or what `load_scenario` returned.
    controllers : sequence of str
        At least two, by name or as module:Class. One that runs in the scenario keeps its parameters there.
    output : str or Path
        Folder to write to.
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
        Replace what is in the folder.

    Returns
    -------
    ComparisonPlan

    Raises
    ------
    InputError
        With everything that is wrong; nothing is written.
    """
    loaded = target if isinstance(target, LoadedScenario) else load_scenario(target)
    output = Path(output)
    problems = [
        *_names_problems(controllers, baseline),
        *_choice_problems(kpis, test, engine),
        *_seeds_problems(seeds, loaded.scenario.seed),
        *_output_problems(output, force),
    ]
    changed = {}
    for name in dict.fromkeys(controllers):
        try:
            changed[name] = loaded.with_changes(controller=name)
            build(changed[name])  # what is wrong with it shows before any run
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    first = loaded.scenario.seed
    jobs = tuple(
        Job(changed[name].with_changes(seed=seed), name, output / RUNS / _file_name(name, seed), engine)
        for seed in range(first, first + seeds)
        for name in controllers
    )
    return ComparisonPlan(
        loaded, jobs, random_parts(loaded.scenario), output, baseline or controllers[0], tuple(kpis), test
    )


def _names_problems(controllers: Sequence[str], baseline: str | None) -> Iterator[Problem]:
    if len(set(controllers)) < 2:
        yield Problem("", "--controllers", ",".join(controllers), "must name at least two controllers")
    for name in dict.fromkeys(controllers):
        if controllers.count(name) > 1:
            yield Problem("", "--controllers", ",".join(controllers), f"must name {name} only once")
    if baseline is not None and baseline not in controllers:
        yield Problem("", "--baseline", baseline, f"must be one of {', '.join(controllers)}")


def _choice_problems(kpis: Sequence[str], test: str, engine: str) -> Iterator[Problem]:
    known = better()
    for name in kpis:
        if name not in known:
            hint = nearest(name, known, 2) or f": {', '.join(known)}"
            yield Problem("", "--kpis", name, f"must be a key figure of the summary{hint}")
    if test not in TESTS:
        yield Problem("", "--test", test, f"must be {' or '.join(TESTS)}")
    if engine not in ("inprocess", "mosaik"):
        yield Problem("", "--engine", engine, "must be inprocess or mosaik")


def _seeds_problems(seeds: int, first: int) -> Iterator[Problem]:
    if seeds < 1:
        yield Problem("", "--seeds", seeds, "must be >= 1")
    elif first + seeds - 1 > LARGEST_SEED:
        yield Problem("", "--seeds", seeds, f"must be at most {LARGEST_SEED - first + 1} from the seed {first} on")


def _output_problems(output: Path, force: bool) -> Iterator[Problem]:
    if output.exists() and not output.is_dir():
        yield Problem("", "output", str(output), "must be a folder")
    elif output.is_dir() and any(output.iterdir()) and not force:
        yield Problem("", "output", str(output), "must be empty; --force replaces what is there")


def _file_name(controller: str, seed: int) -> str:
    return f"{controller.replace(':', '.')}-seed{seed}.h5"


def random_parts(scenario: Scenario) -> tuple[str, ...]:
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
