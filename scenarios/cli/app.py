"""The command ``evhub``."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from ..errors import InputError
from .commands import (
    check_command,
    compare_command,
    dispatchability_command,
    export_command,
    init_command,
    list_command,
    report_command,
    reproduce_command,
    run_command,
    schema_command,
    sweep_command,
)
from .stopping import StoppedError, sigterm_as_ctrl_c
from .terminal import err

app = typer.Typer(
    name="evhub",
    help="Co-simulation of e-mobility hubs.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list_command.list_)
app.command()(run_command.run)
app.command()(check_command.check)
app.command()(sweep_command.sweep)
app.command()(reproduce_command.reproduce)
app.command()(dispatchability_command.dispatchability)
app.command()(report_command.report)
app.command()(export_command.export)
app.command()(compare_command.compare)
app.command()(init_command.init)
app.command()(schema_command.schema)


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"evhub {installed('evhub')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    """Run the command and turn errors into clear lines and an exit status (2: wrong input; 1: it failed)."""
    try:
        with sigterm_as_ctrl_c():
            status = app(standalone_mode=False)
    except Exception as error:
        lines, status = _explained(error)
        if "--debug" in sys.argv:
            traceback.print_exc()
        for line in lines:
            err.print(line, style="red", markup=False, soft_wrap=True)
    sys.exit(status)


def _explained(error: Exception) -> tuple[list[str], int]:
    """Return what to say of an error, and the exit status."""
    from ...analysis.results.result_layout import ResultError

    if isinstance(error, InputError):
        return [str(problem) for problem in error.problems], 2
    if isinstance(error, ResultError):
        return [str(error)], 2
    if isinstance(error, StoppedError):
        return [f"stopped; {error}"], 130
    if isinstance(error, typer.Abort):
        return ["stopped"], 130
    if isinstance(error, OSError) and error.filename is not None:
        return [f"{error.filename}: cannot be read or written ({error.strerror})"], 2
    usage = getattr(error, "format_message", None)
    if usage is not None:  # from the command line itself
        command = getattr(error, "ctx", None)
        return [f"{usage()} ({command.command_path if command else 'evhub'} --help shows what there is)"], 2
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return [f"{type(error).__name__}: {error}{where}", "evhub --debug ... shows where"], 1
