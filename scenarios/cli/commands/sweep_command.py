"""``evhub sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..command_options import Figures, Json, Scheduler, Tables, names_in, pool_of, print_paper_files
from ..stopping import stoppable
from ..terminal import RunsProgress, out, show, summary_rows


def sweep(
    study: Annotated[Path, typer.Argument(help="Study file (YAML), or the name of a shipped study.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; STUDY-sweep when left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core when left out.")] = None,
    scheduler: Scheduler = None,
    keep: Annotated[Path | None, typer.Option(help="Also keep the result files, in this folder.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what has failed.")] = False,
    tables: Tables = "",
    figures: Figures = "",
    as_json: Json = False,
) -> None:
    """Run a study: fields, controllers and seeds varied, into one table; goes on where it was stopped.

    Exit status 1 if a run failed.
    """
    from ...studies.sweep import sweep_runs
    from ...studies.variants.paper_files import FIGURES, TABLES, check_formats, write_paper_files
    from ...studies.variants.study_file import located
    from ...studies.workers.worker_pool import cores

    check_formats("--tables", names_in(tables), TABLES)
    check_formats("--figures", names_in(figures), FIGURES)
    path = located(study)
    folder = output or Path(f"{path.stem}-sweep")
    with (
        stoppable("nothing was run"),
        pool_of(workers, scheduler, cores(), apart=True) as pool,
        RunsProgress(as_json) as progress,
    ):
        swept = sweep_runs.sweep(path, folder, pool, keep=keep, retry=retry, progress=progress)
    files = write_paper_files(swept.runs, folder, swept.kpis, tables=names_in(tables), figures=names_in(figures))
    if as_json:
        show(summary_rows(swept.table.set_index("run")), "", as_json)
    else:
        if swept.overview:
            show(swept.overview, "", as_json)
        for field, rows in swept.intervals.items():
            show(rows, f"By {field}: mean over the seeds, with its 95 % interval", as_json, labels=True)
        failures = swept.failures()
        if failures:
            show(failures, "What failed", as_json)
        text = f"{len(swept.table)} runs, {swept.ran} of them now, {swept.failed} failed"
        out.print(f"{escape(str(swept.path))}  [dim]({text})[/dim]", soft_wrap=True)
        print_paper_files(files, folder)
    if swept.failed:
        raise typer.Exit(1)
