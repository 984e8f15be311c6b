"""``evhub schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..command_options import Force


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the terminal.")] = None,
    force: Force = False,
) -> None:
    """Print the JSON Schema of scenario files, with all devices and controllers that are installed, for editors."""
    from ...run_scenario import check_output
    from ...schema.json_schema import json_schema_text

    if output is None:
        print(json_schema_text(), end="")
        return
    check_output(output, force)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json_schema_text())
