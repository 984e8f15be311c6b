"""The key figures of a scenario's own: functions of its study's modules, found as controllers are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem
from .controller_registry import imported_object

if TYPE_CHECKING:
    from ...analysis.kpis.key_figure import KeyFigure


def name_in(reference: str) -> str:
    """Return the name of the key figure at ``module:name``: it is called as its function."""
    return reference.rpartition(":")[2]


def own_key_figures(references: Sequence[str], folder: Path, where: str) -> tuple[KeyFigure, ...]:
    """Load the key figures that a scenario names.

    Parameters
    ----------
    references : sequence of str
        ``module:name`` of each.
    folder : Path
        Folder of the scenario.
    where : str
        File, for the message.

    Returns
    -------
    tuple of KeyFigure

    Raises
    ------
    InputError
        With everything that cannot be imported, is no key figure, or has a name that is taken.
    """
    if not references:
        return ()
    from ...analysis.kpis import key_figure_registry as registry  # pandas takes longer to import than a file to read

    figures: dict[str, KeyFigure] = {}
    problems: list[Problem] = []
    for n, reference in enumerate(references):
        key = f"key_figures[{n}]"
        known = [*registry.built_in_figures(), *registry.package_figures(), *figures]
        try:
            imported = imported_object(reference, folder, where, key, "key figure")
            figure = registry.checked_figure(imported, name_in(reference), known)
        except InputError as error:
            problems += error.problems
        except registry.KeyFigureError as error:
            problems.append(Problem(where, key, ..., str(error)))
        else:
            figures[figure.name] = figure
    if problems:
        raise InputError(problems)
    registry.register_own(figures.values())
    return tuple(figures.values())
