"""Compares the variants of a study on the same seeds, such as controllers, and writes tables and a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ....analysis import Results, open_results
from ....analysis.comparison.paired_statistics import Comparison, compare
from ....analysis.comparison.run_figures import MACHINE, collect
from ....analysis.report.html.comparison_page import write_page
from ..journal import Journal, discard
from ..variants.journalled_runs import ENTRY, JOURNAL, Progress, make_runs
from ..variants.study_tables import by_field_table, tidy
from ..workers.worker_pool import HERE, WorkerPool
from .compare_notes import bounds, notes_on
from .compare_plan import ComparisonPlan, Job
from .ranks_by_plant import ranks_by_plant


@dataclass(frozen=True)
class Compared:
    """The result of a comparison.

    Parameters
    ----------
    comparison : Comparison or None
        Means, differences and ranks; None when no run was completed. Its column controller has the labels of variants.
    failures : tuple of (variant, seed, message)
        The runs that failed.
    notes : tuple of str
        What to know before trusting the numbers.
    output : Path
        The folder: ``index.html``, ``kpis.csv``, ``means.csv``, ``differences.csv``, ``bounds.csv`` where there is a
        bound, and the results in ``runs``. Where more than the controller varies, also ``by_field.csv`` and
        ``ranks.csv``.
    ran : int
        How many runs this call has made.
    runs : DataFrame
        A row for each run and key figure, see `study_tables.tidy`.
    by_field : DataFrame
        Means and intervals for each value of what was varied, see `study_tables.by_field_table`.
    ranks_by_plant : DataFrame
        Ranks of the controllers within each plant, see `ranks_by_plant`; empty where there is one plant.
    """

    comparison: Comparison | None
    failures: tuple[tuple[str, int, str], ...]
    notes: tuple[str, ...]
    output: Path
    ran: int
    runs: pd.DataFrame
    by_field: pd.DataFrame
    ranks_by_plant: pd.DataFrame


def compare_controllers(
    plan: ComparisonPlan, pool: WorkerPool = HERE, *, retry: bool = False, progress: Progress | None = None
) -> Compared:
    """Run a comparison and write its tables and its page; runs that are finished already are not repeated.

    Parameters
    ----------
    plan : ComparisonPlan
        From `plan` or `plan_file`.
    pool : WorkerPool
        Where the runs are made; in this process when left out.
    retry : bool
        Run again what has failed.
    progress : callable, optional
        Called with how many runs are done, how many there are, and how many have failed.

    Returns
    -------
    Compared

    Raises
    ------
    InputError
        With everything that a run cannot be built for, before the first one.
    ClusterLostError
        When the scheduler of a cluster goes away; the journal has what was finished.
    KeyboardInterrupt
        With what is left as its argument.
    """
    if plan.force:
        discard(plan.output / JOURNAL)
    with Journal(plan.output / JOURNAL, ENTRY) as journal:
        jobs, random, ran = _made(plan, journal, pool, retry, progress)
        entries = {job.run.key: journal.finished[job.run.key] for job in jobs}
    return _evaluated(plan, jobs, entries, random, ran, pool)


def _made(
    plan: ComparisonPlan, journal: Journal, pool: WorkerPool, retry: bool, progress: Progress | None
) -> tuple[list[Job], bool, int]:
    """Make the runs; those of other seeds only if the seed matters. Returns also whether it does, and how many ran."""
    files = {job.run.key: job.path for job in plan.jobs}

    def make(jobs: Iterable[Job]) -> int:
        runs = [job.run for job in jobs]
        return make_runs(runs, journal, pool, files=files, engine=plan.engine, retry=retry, progress=progress)

    if plan.random:
        return list(plan.jobs), True, make(plan.jobs)
    first = [job for job in plan.jobs if job.seed == plan.jobs[0].seed]
    ran = make(first)
    if not any(journal.finished[job.run.key].get("drew") for job in first):
        return first, False, ran
    return list(plan.jobs), True, ran + make(plan.jobs)


def _evaluated(
    plan: ComparisonPlan,
    jobs: list[Job],
    entries: Mapping[str, Mapping[str, Any]],
    random: bool,
    ran: int,
    pool: WorkerPool,
) -> Compared:
    """Compute the statistics of the runs and write all files."""
    study = plan.planned.study
    complete = [job for job in jobs if entries[job.run.key]["status"] == "ok"]
    errors = [(job, entries[job.run.key]["error"]) for job in jobs if entries[job.run.key]["status"] == "failed"]
    failures = tuple((job.controller, job.seed, error) for job, error in errors)
    runs = tidy(study, [job.run for job in jobs], entries)
    by_field = by_field_table(study, runs)
    one_plant = len({job.run.variant.plant for job in plan.jobs}) == 1
    kpis = collect(_opened(job.path for job in complete), [job.controller for job in complete], same_plant=one_plant)
    if kpis.empty:
        return Compared(None, failures, (), plan.output, ran, runs, by_field, pd.DataFrame())
    asked = pd.DataFrame(kpis[kpis["kpi"].isin(plan.kpis) | (kpis["group"] == MACHINE)]) if plan.kpis else kpis
    baseline = plan.baseline if plan.baseline in set(kpis["controller"]) else str(kpis["controller"].iloc[0])
    comparison = compare(asked, baseline, test=plan.test, random=random)
    table, notes_on_bounds = _bounds(plan, comparison, kpis, pool)
    notes = (*notes_on(plan, comparison, kpis), *notes_on_bounds)
    ranks = ranks_by_plant(plan, comparison)
    tables = {
        "kpis": kpis.drop(columns="better"),
        "means": comparison.means.merge(comparison.ranks, on=["kpi", "controller"], how="left"),
        "differences": comparison.differences,
    }
    if table is not None:
        tables["bounds"] = table
    if varies_more(plan):
        tables = {name: table.rename(columns={"controller": "variant"}) for name, table in tables.items()}
        tables |= {"by_field": by_field} | ({} if ranks.empty else {"ranks": ranks})
    for name, content in tables.items():
        content.to_csv(plan.output / f"{name}.csv", index=False)
    with ExitStack() as opened:
        page_runs = {
            job.controller: opened.enter_context(open_results(job.path)) for job in _shown(complete, one_plant)
        }
        write_page(comparison, page_runs, plan.output / "index.html", notes=notes, failures=failures)
    return Compared(comparison, failures, notes, plan.output, ran, runs, by_field, ranks)


def varies_more(plan: ComparisonPlan) -> bool:
    """Return whether more is varied than the controller."""
    return any(run.variant.label != run.variant.controller for run in plan.planned.runs)


def _bounds(
    plan: ComparisonPlan, comparison: Comparison, kpis: pd.DataFrame, pool: WorkerPool
) -> tuple[pd.DataFrame | None, list[str]]:
    """Compare the net costs with the clairvoyant bounds, each plant with its own."""
    plants: dict[str, list[Job]] = {}
    for job in plan.jobs:
        plants.setdefault(job.run.variant.plant, []).append(job)
    if len(plants) == 1:
        table, note = bounds(plan, comparison, kpis, pool)
        return table, [note] if note else []
    tables, notes = [], []
    for plant, jobs in plants.items():
        of_plant = pd.DataFrame(kpis[kpis["controller"].isin([job.controller for job in jobs])])
        table, note = bounds(replace(plan, loaded=jobs[0].run.loaded), comparison, of_plant, pool)
        if table is not None:
            tables.append(table)
        notes += [f"{plant}: {note}"] if table is not None else [note] if note else []
    return pd.concat(tables, ignore_index=True) if tables else None, list(dict.fromkeys(notes))


def _shown(complete: list[Job], one_plant: bool) -> list[Job]:
    """Return the runs of one seed that the page can show over one time axis: of one plant, or of the same hubs."""
    first = [job for job in complete if job.seed == complete[0].seed]
    if one_plant:
        return first
    hubs = set(complete[0].run.loaded.scenario.hubs)
    return [job for job in first if set(job.run.loaded.scenario.hubs) == hubs]


def _opened(paths: Iterable[Path]) -> Iterator[Results]:
    """Open one result at a time."""
    for path in paths:
        with open_results(path) as results:
            yield results
