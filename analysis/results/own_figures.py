"""Key figures of a scenario's own in its result file: computed once, when the run is complete.

A result alone has them then, also where the study's modules are not: opening a file imports nothing that it names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..kpis.key_figure import KeyFigure

if TYPE_CHECKING:
    from .result_reader import Results


def own_figures_of(results: Results, figures: Sequence[KeyFigure]) -> list[dict[str, Any]]:
    """Compute key figures of a complete run, as they are stored.

    Parameters
    ----------
    results : Results
        The run.
    figures : sequence of KeyFigure
        One that raises, or returns what is no number, is unknown, with the reason.

    Returns
    -------
    list of dict
        See `Results.own_figures`; None in the place of NaN.
    """
    if not figures:
        return []
    table = results.summary(figures)
    return [
        {
            "name": figure.name,
            "unit": figure.unit,
            "text": figure.text,
            "group": figure.group,
            "better": figure.better,
            "description": figure.description,
            "values": {column: _known(table, figure.name, column) for column in (*results.hubs, "total")},
            "problem": table.attrs["problems"].get(figure.name, ""),
        }
        for figure in figures
    ]


def _known(table, name: str, column: str) -> float | None:
    value = float(table.at[name, column]) if name in table.index else math.nan
    return value if math.isfinite(value) else None
