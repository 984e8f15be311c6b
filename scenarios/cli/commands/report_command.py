"""``evhub report``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ...errors import NOTHING, InputError, Problem
from ..command_options import Force, names_in, print_file, refuse_other_pictures, refuse_together
from ..opened_results import open_all


def report(
    results: Annotated[list[Path], typer.Argument(help="Result files; several are shown side by side.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The page (HTML).")] = None,
    names: Annotated[str, typer.Option(help="What to call several runs, with commas between; their files.")] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="One picture of each hub of a single result (PDF, SVG, PNG).")
    ] = None,
    force: Force = False,
) -> None:
    """Make one self-contained interactive page of a result, or of several over one time axis; or a picture, or both."""
    from ....analysis.report.html.run_page import write_report
    from ....analysis.report.print.hub_picture import overview
    from ...run_scenario import check_output

    if output is None and picture is None:
        raise InputError(
            Problem("", "output", NOTHING, "must be a page (-o PAGE.html), a picture (--picture FILE.pdf), or both")
        )
    refuse_other_pictures(picture)
    refuse_together({"several results": len(results) > 1, "--picture": picture is not None})
    with ExitStack() as opened:
        runs = open_all(results, names_in(names), opened)
        first = next(iter(runs.values()))
        pictures = {} if picture is None else {hub: _picture_of(hub, picture, first.hubs) for hub in first.hubs}
        targets = [*([] if output is None else [output]), *pictures.values()]
        for target in targets:
            for result in results:
                check_output(target, force, keep=result)
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        if output is not None:
            write_report(runs, output)
            print_file(output)
        for hub, target in pictures.items():
            overview(first, hub).savefig(target, dpi=150)
            print_file(target)


def _picture_of(hub: str, picture: Path, hubs: Sequence[str]) -> Path:
    return picture if len(hubs) == 1 else picture.with_stem(f"{picture.stem}-{hub}")
