"""``evhub reproduce``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..command_options import Force, Json, Scheduler, pool_of, refuse_filled
from ..stopping import stoppable
from ..terminal import out, show, working


def reproduce(
    study: Annotated[str, typer.Argument(help="Name of a published study; evhub list names them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the table, the figures and the results.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that share the runs; 2 when left out.")] = None,
    scheduler: Scheduler = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a published study again and set its numbers beside ours; exit status 1 if one is not met.

    A long study goes on where it was stopped; --force begins anew.
    """
    from ...studies.journal import discard
    from ...studies.reproductions import reproduction
    from ...studies.reproductions.published_numbers import reproduced, shown, write_table
    from ...studies.workers.whole_results import without_parts_in

    module = reproduction(study)
    journal = output / module.JOURNAL if hasattr(module, "JOURNAL") else None
    if force or journal is None or not journal.is_file():
        refuse_filled(output, force)
        if journal is not None:
            discard(journal)
    with (
        stoppable(f"{output} has the results of the runs that are finished"),
        without_parts_in(output),
        pool_of(workers, scheduler, 2) as pool,
        working(module.TITLE) as tell,
    ):
        output.mkdir(parents=True, exist_ok=True)
        rows = module.reproduce(output.resolve(), tell, pool)
    table = write_table(rows, output)
    if as_json:
        show([asdict(row) for row in rows], "", as_json)
    else:
        show([shown(row) for row in rows], module.TITLE, as_json)
        figures = sorted(output.glob("*.png"))
        out.print(f"{table} and {len(figures)} figures beside it", markup=False, soft_wrap=True)
    if not reproduced(rows):
        raise typer.Exit(1)
