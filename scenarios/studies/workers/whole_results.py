"""Result files of many runs; each gets its own name only when its run has ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...engines.wiring import Wiring
from ...run_scenario import run_wiring
from ...schema.scenario_loader import Scenario


def part_of(path: Path) -> Path:
    """Return the name of a result file while its run goes on."""
    return path.with_name(f"{path.name}.part")


def run_whole(
    wiring: Wiring,
    loaded: Scenario,
    path: Path,
    progress: Callable[[float], None] | None = None,
    engine: str = "inprocess",
) -> Path:
    """Run a wiring; the result file gets its name when the run has ended, successfully or not.

    Parameters
    ----------
    wiring, loaded, progress, engine
        See `run_wiring`.
    path : Path
        Result file, replaced if it is there.

    Returns
    -------
    Path
        The result file.
    """
    part = part_of(path)
    try:
        run_wiring(wiring, loaded, part, progress, engine)
    except Exception:
        if part.exists():
            os.replace(part, path)
        raise
    os.replace(part, path)
    return path


@contextmanager
def without_parts_in(folder: Path) -> Iterator[None]:
    """Remove, at the end of the block, the unfinished result files that stopped runs left in a folder."""
    try:
        yield
    finally:
        for part in folder.glob("*.h5.part"):
            part.unlink(missing_ok=True)


@contextmanager
def without_parts(paths: Iterable[Path]) -> Iterator[None]:
    """Remove, at the end of the block, the unfinished result files that stopped runs or dead workers left."""
    try:
        yield
    finally:
        for path in paths:
            part_of(path).unlink(missing_ok=True)
