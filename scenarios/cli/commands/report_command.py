"""``evhub report``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..command_options import Force, names_in, print_file, refuse_other_pictures, refuse_together
from ..opened_results import open_all


def report(
    results: Annotated[list[Path], typer.Argument(help="Result files; several are shown side by side.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page (HTML).")],
    names: Annotated[str, typer.Option(help="What to call several runs, with commas between; their files.")] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also one picture of each hub of a single result (PNG, SVG, PDF).")
    ] = None,
    force: Force = False,
) -> None:
    """Make one self-contained interactive page of a result, or of several over one time axis."""
    from ....analysis.report.html.run_page import write_report
    from ....analysis.report.print.hub_picture import overview
    from ...run_scenario import check_output

    refuse_other_pictures(picture)
    refuse_together({"several results": len(results) > 1, "--picture": picture is not None})
    with ExitStack() as opened:
        runs = open_all(results, names_in(names), opened)
        first = next(iter(runs.values()))
        pictures = {} if picture is None else {hub: _picture_of(hub, picture, first.hubs) for hub in first.hubs}
        for target in (output, *pictures.values()):
            for result in results:
                check_output(target, force, keep=result)
        for target in (output, *pictures.values()):
            target.parent.mkdir(parents=True, exist_ok=True)
        write_report(runs, output)
        print_file(output)
        for hub, target in pictures.items():
            overview(first, hub).savefig(target, dpi=150)
            print_file(target)


def _picture_of(hub: str, picture: Path, hubs: Sequence[str]) -> Path:
    return picture if len(hubs) == 1 else picture.with_stem(f"{picture.stem}-{hub}")
