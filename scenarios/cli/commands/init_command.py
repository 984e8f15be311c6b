"""``evhub init``."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError, Problem
from ..terminal import out


def init(
    directory: Annotated[Path, typer.Argument(help="New folder for the study.")],
) -> None:
    """Make an example study: a scenario and a controller of your own, ready to run, and a schema for your editor."""
    from ...schema import json_schema

    source = Path(str(files("evhub.scenarios") / "example_study"))
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise InputError(Problem("", "directory", str(directory), "must be new or empty"))
        shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (directory / json_schema.FILE).write_text(json_schema.json_schema_text())
    except OSError as error:
        allowed = f"must be a folder that can be made ({error.strerror})"
        raise InputError(Problem("", "directory", str(directory), allowed)) from None
    out.print(f"{directory}: a study of your own. Try it:", markup=False, soft_wrap=True)
    out.print(
        f"  cd {directory}\n  evhub run study.yaml\n  evhub report my-study.h5 -o my-study.html",
        markup=False,
        soft_wrap=True,
    )
