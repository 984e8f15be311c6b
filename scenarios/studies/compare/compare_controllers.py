"""Compares controllers on the same scenario and seeds, and writes tables and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ....analysis import Results, open_results
from ....analysis.comparison.paired_statistics import Comparison, compare
from ....analysis.comparison.run_figures import MACHINE, collect
from ....analysis.report.html.comparison_page import write_page
from ..workers.worker_pool import HERE, WorkerPool
from .compare_notes import bounds, notes_on
from .compare_plan import RUNS, ComparisonPlan, Job
from .compare_runs import Ran, run_all


@dataclass(frozen=True)
class Compared:
    """The result of a comparison.

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
    plan: ComparisonPlan, pool: WorkerPool = HERE, progress: Callable[[int, int, int], None] | None = None
) -> Compared:
    """Run a comparison and write its tables and its page.

    Parameters
    ----------
    plan : ComparisonPlan
        From `plan`.
    pool : WorkerPool
        Where the runs are made; in this process when left out.
    progress : callable, optional
        Called after each run with the numbers of runs made, of all runs, and of those that failed.

    Returns
    -------
    Compared
    """
    finished: dict[Job, Ran] = {}

    def note(job: Job, ran: Ran) -> None:
        finished[job] = ran
        if progress is not None:
            progress(len(finished), len(plan.jobs), sum(bool(ran.failure) for ran in finished.values()))

    try:
        runs, random = _runs(plan, pool, note)
        return _evaluated(plan, runs, random, pool)
    except KeyboardInterrupt as stop:
        stop.args = (f"{len(finished)} of {len(plan.jobs)} runs were made; {plan.output / RUNS} has their results",)
        raise


def _runs(plan: ComparisonPlan, pool: WorkerPool, note: Callable[[Job, Ran], None]) -> tuple[dict[Job, Ran], bool]:
    """Make the runs; those of other seeds only if the seed matters, which is also returned."""
    (plan.output / RUNS).mkdir(parents=True, exist_ok=True)
    if plan.random:
        return run_all(plan.jobs, pool, note), True
    first = [job for job in plan.jobs if job.seed == plan.loaded.scenario.seed]
    later = [job for job in plan.jobs if job not in first]
    runs = run_all(first, pool, note)
    random = any(ran.drew for ran in runs.values())
    return (runs | run_all(later, pool, note) if random and later else runs), random


def _evaluated(plan: ComparisonPlan, runs: Mapping[Job, Ran], random: bool, pool: WorkerPool) -> Compared:
    """Compute the statistics of the runs and write all files."""
    complete = [job for job, ran in runs.items() if not ran.failure]
    failures = tuple((job.controller, job.seed, ran.failure) for job, ran in runs.items() if ran.failure)
    kpis = collect(_opened(job.path for job in complete), [job.controller for job in complete])
    if kpis.empty:
        return Compared(None, failures, (), plan.output)
    asked = pd.DataFrame(kpis[kpis["kpi"].isin(plan.kpis) | (kpis["group"] == MACHINE)]) if plan.kpis else kpis
    baseline = plan.baseline if plan.baseline in set(kpis["controller"]) else str(kpis["controller"].iloc[0])
    comparison = compare(asked, baseline, test=plan.test, random=random)
    table, note_on_bounds = bounds(plan, comparison, kpis, pool)
    notes = (*notes_on(plan, comparison, kpis), *filter(None, [note_on_bounds]))
    if table is not None:
        table.to_csv(plan.output / "bounds.csv", index=False)
    kpis.drop(columns="better").to_csv(plan.output / "kpis.csv", index=False)
    means = comparison.means.merge(comparison.ranks, on=["kpi", "controller"], how="left")
    means.to_csv(plan.output / "means.csv", index=False)
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
    """Open one result at a time."""
    for path in paths:
        with open_results(path) as results:
            yield results
