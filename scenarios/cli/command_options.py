"""Options that several commands have, and what they have in common to check and to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..errors import InputError, Problem
from .terminal import out

if TYPE_CHECKING:
    from ..studies.workers.worker_pool import WorkerPool

Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Scheduler = Annotated[str | None, typer.Option(help="Run on an existing dask cluster, by its address.")]
Tables = Annotated[str, typer.Option(help="Write tables for papers: tex, md, csv, with commas between them.")]
Figures = Annotated[str, typer.Option(help="Draw figures for papers: pdf, svg, png, with commas between them.")]
PICTURES = (".png", ".svg", ".pdf")
"""Endings of pictures."""


@contextmanager
def pool_of(workers: int | None, scheduler: str | None, default: int, *, apart: bool = False) -> Iterator[WorkerPool]:
    """Open the pool that ``--workers`` or ``--scheduler`` asks for; see `worker_pool`."""
    from ..studies.workers.worker_pool import worker_pool

    refuse_together({"--scheduler": scheduler is not None, "--workers": workers is not None})
    with worker_pool(workers or default, scheduler, apart=apart) as pool:
        yield pool


def refuse_together(options: Mapping[str, bool]) -> None:
    """Refuse two options that are given together.

    Raises
    ------
    InputError
        Naming both.
    """
    first, second = options
    if all(options.values()):
        raise InputError(Problem("", second, ..., f"must not stand beside {first}"))


def refuse_filled(folder: Path, force: bool) -> None:
    """Refuse a target that is not a folder, or a folder that is not empty.

    Raises
    ------
    InputError
        Naming the target.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem("", "output", str(folder), "must be a folder"))
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(Problem("", "output", str(folder), "must be empty; --force replaces what is there"))


def refuse_other_pictures(picture: Path | None) -> None:
    """Refuse a picture whose ending is not in `PICTURES`.

    Raises
    ------
    InputError
        Naming the picture.
    """
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise InputError(Problem("", "--picture", str(picture), f"must end with {', '.join(PICTURES)}"))


def names_in(text: str) -> list[str]:
    """Split names at their commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def print_file(path: Path) -> None:
    """Print the path of a new file and its size."""
    out.print(f"{escape(str(path))}  [dim]({path.stat().st_size / 1e6:.1f} MB)[/dim]", soft_wrap=True)


def print_paper_files(files: Sequence[Path], folder: Path) -> None:
    """Print how many tables and figures were written, and where."""
    for name in ("tables", "figures"):
        if count := sum(path.parent.name == name for path in files):
            out.print(f"{escape(str(folder / name))}  [dim]({count} files)[/dim]", soft_wrap=True)
