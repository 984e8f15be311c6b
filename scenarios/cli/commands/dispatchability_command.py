"""``evhub dispatchability``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..command_options import Force, Json, Scheduler, pool_of, print_file, refuse_other_pictures
from ..stopping import stoppable
from ..terminal import err, show, working


def dispatchability(
    study: Annotated[str, typer.Argument(help="Name of a shipped study, or a YAML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Result file (HDF5).")],
    scenarios: Annotated[
        int | None, typer.Option(min=0, help="Another number of drawn cases than the study's; 0 for none.")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Also a picture (PNG, SVG or PDF).")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the drawn cases; the study's when left out.")
    ] = None,
    scheduler: Scheduler = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the PV limits of an unbalanced feeder with EVs."""
    from ....analysis.dispatchability import open_study
    from ....analysis.dispatchability.limit_figures import limits_by_phase
    from ...run_scenario import check_output
    from ...studies.dispatchability.dispatchability_run import brief, load_study, notes, rows, run_study

    refuse_other_pictures(picture)
    loaded = load_study(study)
    for target in (output, picture):
        if target is not None:
            check_output(target, force, keep=loaded.path)
    with (
        stoppable("nothing was written"),
        pool_of(workers, scheduler, loaded.study.options.workers) as pool,
        working(loaded.study.name) as tell,
    ):
        for target in (output, picture):
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
        run_study(loaded, output, pool, scenarios=scenarios, tell=tell)
    result = open_study(output)
    show(rows(result) if as_json else brief(result), loaded.study.title or loaded.study.name, as_json)
    for note in notes(result, loaded.study.options.tolerance):
        err.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    if picture is not None:
        limits_by_phase(result, list(result.cases)).savefig(picture)
    if not as_json:
        for target in (output, picture):
            if target is not None:
                print_file(target)
