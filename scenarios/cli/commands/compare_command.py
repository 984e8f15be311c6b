"""``evhub compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..command_options import Force, Json, Scheduler, names_in, pool_of, print_file
from ..stopping import stoppable
from ..terminal import RunsProgress, err, out, show


def compare(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a YAML file.")],
    controllers: Annotated[str, typer.Option(help="At least two, with commas between them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the page, the tables and the results.")],
    seeds: Annotated[int, typer.Option(help="How many seeds: the scenario's and those that follow it.")] = 1,
    baseline: Annotated[str | None, typer.Option(help="What the others are compared with; the first.")] = None,
    kpis: Annotated[str, typer.Option(help="Key figures to tell and test, with commas between them; all.")] = "",
    test: Annotated[str, typer.Option(help="t (paired t test) or wilcoxon (signed ranks).")] = "t",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that share the runs; 2 when left out.")] = None,
    scheduler: Scheduler = None,
    engine: Annotated[str, typer.Option(help="inprocess, or mosaik: the same results, slower.")] = "inprocess",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a scenario under several controllers and seeds and compare them; exit status 1 if a run fails."""
    from ...studies.compare.compare_controllers import compare_controllers
    from ...studies.compare.compare_plan import plan
    from .. import compare_table

    planned = plan(
        scenario,
        names_in(controllers),
        output,
        seeds=seeds,
        baseline=baseline,
        kpis=names_in(kpis),
        test=test,  # pyright: ignore[reportArgumentType]
        engine=engine,
        force=force,
    )
    with (
        stoppable("nothing was run"),
        pool_of(workers, scheduler, 2) as pool,
        RunsProgress(as_json) as progress,
    ):
        compared = compare_controllers(planned, pool, progress)
    for name, number, message in compared.failures:
        err.print(f"{name}, seed {number}: {message}", style="red", markup=False, soft_wrap=True)
    if compared.comparison is None:
        raise typer.Exit(1)
    if as_json:
        show(compare_table.rows(compared.comparison), "", as_json)
    else:
        out.print(compare_table.table(compared.comparison))
        out.print(compare_table.legend(compared.comparison), style="dim", markup=False)
        for note in compared.notes:
            out.print(f"note: {note}", style="yellow", markup=False)
        print_file(compared.output / "index.html")
    if compared.failures:
        raise typer.Exit(1)
