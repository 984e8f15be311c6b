"""Scenarios as tests: run them and check their expectations."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ...analysis import ResultError, open_results
from ...analysis.checks.expectation_checks import ExpectationResult, evaluate
from ...analysis.checks.golden_results import record
from ...analysis.checks.invariants import INVARIANTS
from ..assembly.plant_build import build
from ..engines.wiring import Wiring
from ..errors import NOTHING, InputError, Problem
from ..run_scenario import check_output
from ..schema.expect_section import ExpectSection
from ..schema.scenario_loader import Scenario, load_scenario
from ..studies.workers.sent_scenario import SentScenario, sent
from ..studies.workers.whole_results import run_whole, without_parts
from ..studies.workers.worker_pool import DIED, HERE, WorkerDiedError, WorkerPool
from .expect_translation import checkable, problems_with
from .golden_files import golden_path, read_golden, write_golden


@dataclass(frozen=True)
class Prepared:
    """A scenario whose input is known to be valid, ready to be run and checked.

    Parameters
    ----------
    loaded : Scenario
        The scenario.
    wiring : Wiring
        Its plant, good for one run.
    recorded : tuple
        For every expectation the content of its golden file, None where there is none.
    """

    loaded: Scenario
    wiring: Wiring
    recorded: tuple[dict[str, Any] | None, ...]


@dataclass(frozen=True)
class Checked:
    """The result of checking a scenario.

    Parameters
    ----------
    name : str
        Of the scenario.
    path : Path
        Its file.
    outcomes : tuple of ExpectationResult
        One for every expectation; empty when the run failed.
    lines : tuple of int
        Where each expectation stands in the file, 1 where that is not known.
    failure : str
        Why the run failed; empty when it did not.
    wall_s : float
        How long it took [s].
    """

    name: str
    path: Path
    outcomes: tuple[ExpectationResult, ...]
    lines: tuple[int, ...]
    failure: str = ""
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ran and everything holds."""
        return not self.failure and all(outcome.ok for outcome in self.outcomes)

    @property
    def failed(self) -> list[tuple[int, ExpectationResult]]:
        """Line and outcome of what failed; the run itself, where it did."""
        if self.failure:
            return [(1, ExpectationResult("the run", False, self.failure))]
        return [(line, outcome) for line, outcome in zip(self.lines, self.outcomes, strict=True) if not outcome.ok]


def prepare(
    target: str | Path | Scenario,
    *,
    controller: str | None = None,
    invariants: bool = False,
    update: bool = False,
) -> Prepared:
    """Read a scenario and check that its expectations can be evaluated.

    Parameters
    ----------
    target : str, Path or Scenario
        Name of a shipped scenario, a scenario file, or what `load_scenario` returned.
    controller : str, optional
        Another controller than the scenario's.
    invariants : bool
        Expect all invariants as well.
    update : bool
        Golden files will be written again.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        When the scenario cannot be run, expects nothing, expects something of a signal it does not have, or a golden
        file is damaged.
    """
    loaded = target if isinstance(target, Scenario) else load_scenario(target)
    loaded = loaded.with_changes(controller=controller)
    where, scenario = loaded.where, loaded.scenario
    if invariants:
        laws = ExpectSection.model_validate({"invariants": list(INVARIANTS)})
        scenario = scenario.model_copy(update={"expect": [*scenario.expect, laws]})
        loaded = Scenario.of(scenario, loaded.path)
    if not scenario.expect:
        allowed = "must hold something to check; without it, --invariants checks what holds in every run"
        raise InputError(Problem(where, "expect", NOTHING, allowed))
    wiring = build(loaded)
    problems = [
        Problem(where, f"expect[{n}].{key}", value, f"must be {allowed}")
        for n, item in enumerate(scenario.expect)
        for key, value, allowed in problems_with(item, wiring)
    ]
    recorded: list[dict[str, Any] | None] = []
    for item in scenario.expect:
        try:
            recorded.append(read_golden(loaded, item.golden, update) if item.golden else None)
            if item.golden and update:
                check_output(golden_path(loaded, item.golden), force=True, keep=loaded.path)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return Prepared(loaded, wiring, tuple(recorded))


def check(
    prepared: Prepared,
    *,
    engine: str = "inprocess",
    output: Path | None = None,
    update: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Checked:
    """Run a scenario once and check everything it expects.

    Parameters
    ----------
    prepared : Prepared
        From `prepare`; good for one run.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    output : Path, optional
        Keep the result here; it is thrown away when left out.
    update : bool
        Write the golden files anew.
    progress : callable, optional
        Called with the simulated time [s].

    Returns
    -------
    Checked
        A run that fails is a failure with its message, not an exception.
    """
    loaded, began = prepared.loaded, time.perf_counter()
    outcomes: tuple[ExpectationResult, ...] = ()
    failure = ""
    with tempfile.TemporaryDirectory(prefix="evhub-") as folder, without_parts([output] if output else []):
        path = output or Path(folder) / f"{loaded.scenario.name}.h5"
        try:
            run_whole(prepared.wiring, loaded, path, progress, engine)
        except InputError:
            raise
        except Exception as error:  # a user's own controller may fail in any way
            failure = f"{type(error).__name__}: {error}"
        else:
            outcomes = _outcomes(prepared, path, update)
    lines = _lines(loaded.path, len(loaded.scenario.expect))
    return Checked(loaded.scenario.name, loaded.path, outcomes, lines, failure, time.perf_counter() - began)


def check_all(
    ready: Sequence[Prepared],
    *,
    engine: str = "inprocess",
    outputs: Sequence[Path | None] | None = None,
    update: bool = False,
    pool: WorkerPool = HERE,
    progress: Callable[[int, int, int], None] | None = None,
) -> Iterator[Checked]:
    """Run scenarios and check everything they expect.

    Parameters
    ----------
    ready : sequence of Prepared
        From `prepare_all`; each is good for one run.
    engine, update
        See `check`.
    outputs : sequence of Path or None, optional
        Where each result is kept, if at all.
    pool : WorkerPool
        Where the runs are made; in this process when left out.
    progress : callable, optional
        Called after each scenario with the numbers of those that are checked, of all, and of those that failed.

    Yields
    ------
    Checked
        In the order of the scenarios.
    """
    kept = [None if path is None else path.resolve() for path in outputs or [None] * len(ready)]
    scenarios = sent(prepared.loaded for prepared in ready)
    orders = [
        _CheckOrder(scenario, prepared.recorded, engine, path, update)
        for scenario, prepared, path in zip(scenarios, ready, kept, strict=True)
    ]
    checked: dict[int, Checked] = {}
    names = [prepared.loaded.scenario.name for prepared in ready]
    following = failed = 0
    with without_parts(path for path in kept if path is not None):
        for number, outcome in pool.outcomes(_check_order, orders, names):
            checked[number] = _checked(ready[number], outcome)
            failed += not checked[number].ok
            if progress is not None:
                progress(len(checked), len(ready), failed)
            while following in checked:
                yield checked[following]
                following += 1


@dataclass(frozen=True)
class _CheckOrder:
    """A scenario to check, for a worker."""

    scenario: SentScenario
    recorded: tuple[dict[str, Any] | None, ...]
    engine: str
    output: Path | None
    update: bool


def _check_order(order: _CheckOrder) -> Checked:
    loaded = order.scenario.loaded
    prepared = Prepared(loaded, build(loaded), order.recorded)
    return check(prepared, engine=order.engine, output=order.output, update=order.update)


def _checked(prepared: Prepared, outcome: Any) -> Checked:
    """Return what a worker found, under the path of the file that was given here; an error of the run is a failure."""
    loaded = prepared.loaded
    if isinstance(outcome, Checked):
        return replace(outcome, path=loaded.path)
    if isinstance(outcome, WorkerDiedError):
        return Checked(loaded.scenario.name, loaded.path, (), (), DIED)
    raise outcome


def _outcomes(prepared: Prepared, path: Path, update: bool) -> tuple[ExpectationResult, ...]:
    scenario = prepared.loaded.scenario
    with open_results(path) as results:
        if results.status != "complete":
            raise ResultError(f"{path}: {results.note}")
        recorded = list(prepared.recorded)
        for n, item in enumerate(scenario.expect):
            if item.golden and update:
                recorded[n] = record(results, results.summary(), recorded[n])
                write_golden(golden_path(prepared.loaded, item.golden), recorded[n] or {})
        expectations = [
            checkable(item, scenario, prepared.wiring, one) for item, one in zip(scenario.expect, recorded, strict=True)
        ]
        outcomes = evaluate(results, expectations)
    return tuple(
        replace(one, text=f"{one.text} ({_line(item.why)})") if item.why and not one.ok else one
        for one, item in zip(outcomes, scenario.expect, strict=True)
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def prepare_all(targets: Iterable[str | Path], **options: Any) -> list[Prepared]:
    """Read several scenarios as `prepare` does; raise the problems of all of them together.

    Raises
    ------
    InputError
        With the problems of all scenarios.
    """
    ready, problems = [], []
    for target in targets:
        try:
            ready.append(prepare(target, **options))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return ready


def _lines(path: Path, count: int) -> tuple[int, ...]:
    """Where the items of ``expect`` stand in a scenario file."""
    root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    lines = [
        item.start_mark.line + 1
        for key, value in (root.value if isinstance(root, yaml.MappingNode) else [])
        if key.value == "expect" and isinstance(value, yaml.SequenceNode)
        for item in value.value
    ]
    return tuple([*lines, *[1] * count][:count])
