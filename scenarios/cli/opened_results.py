"""Result files that a command reads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem
from .terminal import out

if TYPE_CHECKING:
    from ...analysis import Results


def open_all(paths: Sequence[Path], names: Sequence[str], opened: ExitStack) -> dict[str, Results]:
    """Open results by label, and print what is wrong with a run, for example that it was killed.

    Raises
    ------
    InputError
        If a file is there twice, or names are missing or not different.
    """
    from ...analysis import open_results

    twice = [str(path) for path in paths if paths.count(path) > 1]
    if twice:
        raise InputError(Problem("", "results", twice[0], "must be given only once"))
    names = names or _short_names(paths)
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise InputError(Problem("", "--names", ",".join(names), f"must be {len(paths)} different names"))
    # a killed or failed run is told as a line of ours, not as a warning with its source
    warnings.simplefilter("ignore", UserWarning)
    runs = {name: opened.enter_context(open_results(path)) for name, path in zip(names, paths, strict=True)}
    for results in runs.values():
        if results.note:
            out.print(f"note: {results.path}: {results.note}", style="yellow", markup=False, soft_wrap=True)
    return runs


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each file, or its whole path where two have one name."""
    stems = [path.stem for path in paths]
    return [stem if stems.count(stem) == 1 else str(path) for stem, path in zip(stems, paths, strict=True)]
