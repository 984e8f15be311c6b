"""Controllers side by side: the same scenario and seeds under each of them, and everything written that follows."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ....analysis import Results, open_results
from ....analysis.comparison.paired_statistics import TESTS, Comparison, Test, compare
from ....analysis.comparison.run_figures import MACHINE, collect
from ....analysis.report.html.comparison_page import write_page
from ....analysis.results.summary_table import better
from ...assembly.plant_build import build
from ...engines.wiring import Wiring
from ...errors import InputError, Problem, nearest
from ...run_scenario import run_wiring
from ...schema.scenario_loader import LoadedScenario, load_scenario
from ...schema.scenario_schema import LARGEST_SEED, NoisyPower, NoisySessions, Scenario, StochasticSessions
from .clairvoyant_bound import clairvoyant_bound

RUNS = "runs"
"""Folder of the results within that of the comparison."""
_SOC_DIFFERS = 0.01
_DIED = "the process died (out of memory, or in a compiled library)"


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


@dataclass(frozen=True)
class Ran:
    """What became of a run.

    Parameters
    ----------
    failure : str
        Why it failed; empty when it did not.
    drew : bool
        Whether a controller used its random numbers.
    """

    failure: str
    drew: bool


@dataclass(frozen=True)
class Plan:
    """A comparison whose input is known to be right.

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
        See `analysis.compare.differences`.
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
) -> Plan:
    """Look whether controllers can be compared on a scenario.

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
        See `analysis.compare.differences`.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    force : bool
        Replace what is in the folder.

    Returns
    -------
    Plan

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
    return Plan(loaded, jobs, random_parts(loaded.scenario), output, baseline or controllers[0], tuple(kpis), test)


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
    """What of a scenario depends on its seed, as paths; whether a controller draws, only a run can tell."""
    found = []
    for name, hub in scenario.hubs.items():
        given = hub.forecasts
        channels = [] if hub.link is None else [hub.link, *hub.link.devices.values()]
        delays = [delay for channel in channels for delay in (channel.measurement, channel.command)]
        drawn = {
            "sessions": isinstance(hub.sessions, StochasticSessions),
            "queue.patience": hub.sessions is not None and hub.queue.patience is not None,
            "forecasts.pv": isinstance(given.pv, NoisyPower),
            "forecasts.load": isinstance(given.load, NoisyPower),
            "forecasts.sessions": isinstance(given.sessions, NoisySessions),
            "link": any(channel.loss > 0 for channel in channels)
            or any(delay.type == "exponential" or (delay.type != "constant" and delay.spread > 0) for delay in delays),
        }
        found += [f"hubs.{name}.{part}" for part, is_drawn in drawn.items() if is_drawn]
    return tuple(found)


# --- running ----------------------------------------------------------------------------------------------------------


def run_all(jobs: Sequence[Job], workers: int = 1, done: Callable[[Job, Ran], None] | None = None) -> dict[Job, Ran]:
    """Make all runs; one that fails does not stop the others.

    Parameters
    ----------
    jobs : sequence of Job
        The runs.
    workers : int
        Processes to share them among; 1 makes them here. The main module of a script that asks for more must be
        importable (``if __name__ == "__main__":``).
    done : callable, optional
        Called after each run.

    Returns
    -------
    dict of Job to Ran
        In the order of `jobs`.
    """
    finished: dict[Job, Ran] = {}
    try:
        for job, ran in _in_processes(jobs, workers) if workers > 1 else ((job, _run(job)) for job in jobs):
            finished[job] = ran
            if done is not None:
                done(job, ran)
    except KeyboardInterrupt:
        for job in jobs:
            if job not in finished:
                job.path.unlink(missing_ok=True)
        raise
    return {job: finished[job] for job in jobs}


def _run(job: Job) -> Ran:
    """Make a run, here."""
    try:
        wiring = build(job.loaded)
        run_wiring(wiring, job.loaded, job.path, engine=job.engine)
    except Exception as error:  # a user's own controller may fail in any way
        return Ran(f"{type(error).__name__}: {error}", False)
    return Ran("", _drew(wiring))


def _drew(wiring: Wiring) -> bool:
    """Whether any controller has used its random numbers."""
    for spec in wiring.simulators:
        for _, controller in spec.settings.get("controllers", ()):
            used = controller.rng.bit_generator
            if used.seed_seq.n_children_spawned or used.state != type(used)(used.seed_seq).state:
                return True
    return False


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Ran]]:
    left = list(jobs)
    with _pool(min(workers, len(jobs))) as pool:
        waiting = {pool.submit(_run, job): job for job in jobs}
        for future in as_completed(waiting):
            if isinstance(future.exception(), BrokenExecutor):
                break
            left.remove(waiting[future])
            yield waiting[future], future.result()
    # a process died and took the others along: run what is left one by one, to know which it was
    while left:
        with _pool(1) as pool:
            for job in list(left):
                future = pool.submit(_run, job)
                died = isinstance(future.exception(), BrokenExecutor)
                left.remove(job)
                yield job, Ran(_DIED, False) if died else future.result()
                if died:
                    break


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, at once if it is left by an exception."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork would share open result files
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- the whole --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Parameters
    ----------
    comparison : Comparison or None
        Means, differences and ranks; None when no run was completed.
    failures : tuple of (controller, seed, message)
        The runs that failed.
    notes : tuple of str
        What to know before trusting the numbers.
    output : Path
        The folder: ``index.html``, ``kpis.csv``, ``means.csv``, ``differences.csv``, ``bounds.csv`` where there is a
        bound, and the results in ``runs``.
    """

    comparison: Comparison | None
    failures: tuple[tuple[str, int, str], ...]
    notes: tuple[str, ...]
    output: Path


def compare_controllers(
    plan: Plan, workers: int = 1, progress: Callable[[int, int, int], None] | None = None
) -> Compared:
    """Make the runs of a comparison and write its tables and its page.

    Parameters
    ----------
    plan : Plan
        From `plan`.
    workers : int
        See `run_all`.
    progress : callable, optional
        Called after each run with the numbers of runs made, of all runs, and of those that failed.

    Returns
    -------
    Compared
    """
    (plan.output / RUNS).mkdir(parents=True, exist_ok=True)
    finished: dict[Job, Ran] = {}

    def note(job: Job, ran: Ran) -> None:
        finished[job] = ran
        if progress is not None:
            progress(len(finished), len(plan.jobs), sum(bool(ran.failure) for ran in finished.values()))

    first = [job for job in plan.jobs if job.seed == plan.loaded.scenario.seed]
    now, later = (plan.jobs, ()) if plan.random else (first, [job for job in plan.jobs if job not in first])
    try:
        runs = run_all(now, workers, note)
        random = bool(plan.random) or any(ran.drew for ran in runs.values())
        if random and later:
            runs |= run_all(later, workers, note)
    except KeyboardInterrupt as stop:
        stop.args = (f"{len(finished)} of {len(plan.jobs)} runs were made; {plan.output / RUNS} has their results",)
        raise

    complete = [job for job, ran in runs.items() if not ran.failure]
    failures = tuple((job.controller, job.seed, ran.failure) for job, ran in runs.items() if ran.failure)
    kpis = collect(_opened(job.path for job in complete), [job.controller for job in complete])
    if kpis.empty:
        return Compared(None, failures, (), plan.output)
    told = pd.DataFrame(kpis[kpis["kpi"].isin(plan.kpis) | (kpis["group"] == MACHINE)]) if plan.kpis else kpis
    baseline = plan.baseline if plan.baseline in set(kpis["controller"]) else str(kpis["controller"].iloc[0])
    comparison = compare(told, baseline, test=plan.test, random=random)
    notes = (*_notes(plan, comparison, kpis), *_bounds(plan, comparison, kpis, workers))
    kpis.drop(columns="better").to_csv(plan.output / "kpis.csv", index=False)
    comparison.means.merge(comparison.ranks, on=["kpi", "controller"], how="left").to_csv(
        plan.output / "means.csv", index=False
    )
    comparison.differences.to_csv(plan.output / "differences.csv", index=False)
    with ExitStack() as opened:
        shown = {
            job.controller: opened.enter_context(open_results(job.path))
            for job in complete
            if job.seed == complete[0].seed
        }
        write_page(comparison, shown, plan.output / "index.html", notes=notes, failures=failures)
    return Compared(comparison, failures, notes, plan.output)


def _opened(paths: Iterable[Path]) -> Iterator[Results]:
    """One result at a time."""
    for path in paths:
        with open_results(path) as results:
            yield results


def _notes(plan: Plan, comparison: Comparison, kpis: pd.DataFrame) -> Iterator[str]:
    asked = len(plan.jobs) // len({job.controller for job in plan.jobs})
    seeds = comparison.seeds
    if not comparison.random:
        more = f"; {asked} seeds would be {asked} times the same run" if asked > 1 else ""
        yield (
            "Nothing in these runs depends on the seed: one run of each controller tells all, and its differences are "
            f"exact for this scenario, not a sample{more}."
        )
    elif asked == 1:
        yield (
            "One seed cannot tell chance from difference: the table has single values, and nothing is said of "
            "significance. --seeds N makes more runs."
        )
    elif len(seeds) > 1 and not (comparison.means["std"][comparison.means["group"] != MACHINE] > 0).any():
        yield "No seed changed any key figure: the runs are as good as one, and differences are exact, not a sample."
    drawn = ", ".join(plan.random) or "a controller draws random numbers"
    if comparison.random:
        yield f"What depends on the seed: {drawn}."
    ends = comparison.differences.query("kpi == 'soc_end'")
    if (ends["difference"].abs() > _SOC_DIFFERS).any():
        yield "The batteries end at different states of charge (soc_end), which no cost and no energy here counts."
    if comparison.baseline != plan.baseline:
        yield f"{plan.baseline} completed no run; the others are compared with {comparison.baseline}."
    for name in plan.kpis:
        if name not in set(kpis["kpi"]):
            yield f"No run has the key figure {name}."


def _bounds(plan: Plan, comparison: Comparison, kpis: pd.DataFrame, workers: int) -> Iterator[str]:
    """Set the clairvoyant bound of every seed beside its runs, in ``bounds.csv``, and say what came of it."""
    if plan.kpis and "cost_net" not in plan.kpis:
        return
    changed = [plan.loaded.with_changes(seed=seed) for seed in comparison.seeds]
    if workers > 1 and len(changed) > 1:
        with _pool(min(workers, len(changed))) as pool:
            found = list(pool.map(clairvoyant_bound, changed))
    else:
        found = [clairvoyant_bound(loaded) for loaded in changed]
    missing = next((bound.why_not for bound in found if bound.why_not), "")
    if missing:
        yield f"No clairvoyant bound of the net cost: {missing}."
        return
    costs = pd.DataFrame(kpis[kpis["kpi"] == "cost_net"])
    if costs.empty:
        return
    table = pd.DataFrame(costs.rename(columns={"value": "cost_net"})[["controller", "seed", "cost_net"]])
    least = {seed: bound.cost for seed, bound in zip(comparison.seeds, found, strict=True)}
    table["bound"] = [least[seed] for seed in table["seed"]]
    table["above"] = table["cost_net"] - table["bound"]
    table.to_csv(plan.output / "bounds.csv", index=False)
    unit = str(costs["unit"].iloc[0])
    above = table.groupby("controller", sort=False)["above"].mean()
    told = ", ".join(f"{name} {value:.2f}" for name, value in above.items())
    yield (
        f"Had everything been known beforehand, the net cost would be at least {table['bound'].mean():.2f} {unit} "
        f"(clairvoyant optimum of a simpler model of the plant{', mean over the seeds' if len(found) > 1 else ''}). "
        f"Above it: {told} {unit}."
    )
