"""``evhub compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import NOTHING, InputError, Problem
from ..command_options import (
    Figures,
    Force,
    Json,
    Scheduler,
    Tables,
    names_in,
    pool_of,
    print_file,
    print_paper_files,
)
from ..stopping import stoppable
from ..terminal import RunsProgress, err, out, show


def compare(
    target: Annotated[
        str, typer.Argument(help="A study (YAML, or the name of a shipped one); or a scenario, with --controllers.")
    ],
    controllers: Annotated[
        str | None, typer.Option(help="For a scenario: at least two, with commas between them.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for all files; TARGET-compare when left out.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds: the scenario's and those that follow it.")] = None,
    baseline: Annotated[str | None, typer.Option(help="What the others are compared with; the first.")] = None,
    kpis: Annotated[str, typer.Option(help="Key figures to tell and test, with commas between them; all.")] = "",
    test: Annotated[str | None, typer.Option(help="t (paired t test, the default) or wilcoxon (signed ranks).")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that share the runs; 2 when left out.")] = None,
    scheduler: Scheduler = None,
    engine: Annotated[str, typer.Option(help="inprocess, or mosaik: the same results, slower.")] = "inprocess",
    retry: Annotated[bool, typer.Option("--retry", help="Run again what has failed.")] = False,
    tables: Tables = "",
    figures: Figures = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a scenario under several controllers, or the variants of a study, and compare them over the same seeds.

    Goes on where it was stopped. Exit status 1 if a run failed.
    """
    from ...studies.compare.compare_controllers import compare_controllers
    from ...studies.compare.compare_plan import plan, plan_file
    from ...studies.variants.paper_files import FIGURES, TABLES, check_formats, write_paper_files
    from ...studies.variants.study_file import is_study, located
    from .. import compare_table
    from ..ranks_table import ranks_tables

    check_formats("--tables", names_in(tables), TABLES)
    check_formats("--figures", names_in(figures), FIGURES)
    folder = output or Path(f"{Path(target).stem}-compare")
    options: dict[str, Any] = {"seeds": seeds, "baseline": baseline, "kpis": names_in(kpis) or None, "test": test}
    options = {name: value for name, value in options.items() if value is not None}
    if is_study(target):
        if controllers is not None:
            raise InputError(
                Problem("", "--controllers", controllers, "must not stand beside a study, which names them")
            )
        planned = plan_file(located(target), folder, options=options, engine=engine, force=force)
    else:
        if controllers is None:
            raise InputError(Problem("", "--controllers", NOTHING, "is required beside a scenario; a study names them"))
        planned = plan(target, names_in(controllers), folder, **options, engine=engine, force=force)
    with (
        stoppable("nothing was run"),
        pool_of(workers, scheduler, 2) as pool,
        RunsProgress(as_json) as progress,
    ):
        compared = compare_controllers(planned, pool, retry=retry, progress=progress)
    for name, number, message in compared.failures:
        err.print(f"{name}, seed {number}: {message}", style="red", markup=False, soft_wrap=True)
    if compared.comparison is None:
        raise typer.Exit(1)
    files = write_paper_files(
        compared.runs,
        folder,
        planned.kpis,
        tables=names_in(tables),
        figures=names_in(figures),
        comparison=compared.comparison,
    )
    if as_json:
        show(compare_table.rows(compared.comparison), "", as_json)
    else:
        out.print(compare_table.table(compared.comparison))
        out.print(compare_table.legend(compared.comparison), style="dim", markup=False)
        for table in ranks_tables(compared.comparison, compared.ranks_by_plant):
            out.print(table)
        for note in compared.notes:
            out.print(f"note: {note}", style="yellow", markup=False)
        print_file(compared.output / "index.html")
        print_paper_files(files, folder)
    if compared.failures:
        raise typer.Exit(1)
