"""``evhub export``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError, Problem
from ..command_options import Force, names_in, print_file, refuse_filled
from ..opened_results import open_all


def export(
    result: Annotated[Path, typer.Argument(help="Result file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables.")],
    format_: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    signals: Annotated[str, typer.Option(help="Names or patterns, such as */bess/*, with commas between; all.")] = "",
    every: Annotated[str | None, typer.Option(help="Step of the series, such as 15min; every change.")] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Means over the steps, instead of the values at their begin.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a result as tables for other programs: series, key figures, sessions, events."""
    from ....analysis.results.result_export import FORMATS, MissingExtraError
    from ....analysis.results.result_export import export as write
    from ....analysis.results.result_reader import step_length_s

    if format_ not in FORMATS:
        raise InputError(Problem("", "--format", format_, f"must be {' or '.join(FORMATS)}"))
    if mean and every is None:
        raise InputError(Problem("", "--mean", ..., "must stand beside --every"))
    try:
        if every is not None:
            step_length_s(every)
    except ValueError:
        allowed = "must be a length of time with its unit, such as 15min"
        raise InputError(Problem("", "--every", every, allowed)) from None
    refuse_filled(output, force)
    with ExitStack() as opened:
        (results,) = open_all([result], [], opened).values()
        try:
            paths = write(results, output, format_, names_in(signals) or "*", every, "mean" if mean else "hold")  # pyright: ignore[reportArgumentType]
        except MissingExtraError as error:
            raise InputError(Problem("", "--format", format_, str(error))) from None
    for path in paths:
        print_file(path)
