"""Key figures of a scenario's own in its result file: computed once, when the run is complete.

A result alone has them then, also where the study's modules are not: opening a file imports nothing that it names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ..kpis.key_figure import KeyFigure
from .result_layout import OWN_FIGURES
from .result_reader import open_results


def record_own_figures(path: Path, figures: Sequence[KeyFigure]) -> None:
    """Compute key figures of a complete run and append them to its file.

    Parameters
    ----------
    path : Path
        Result file, closed.
    figures : sequence of KeyFigure
        One that raises, or returns what is no number, is stored as unknown, with the reason.
    """
    with open_results(path) as results:
        table = results.summary(figures)
        columns = [*results.hubs, "total"]
    stored = [
        {
            "name": figure.name,
            "unit": figure.unit,
            "text": figure.text,
            "group": figure.group,
            "better": figure.better,
            "description": figure.description,
            "values": {column: _known(table, figure.name, column) for column in columns},
            "problem": table.attrs["problems"].get(figure.name, ""),
        }
        for figure in figures
    ]
    raw = np.frombuffer(json.dumps(stored, ensure_ascii=False).encode(), dtype="u1")
    with h5py.File(path, "r+", libver="latest") as file:
        file.create_dataset(OWN_FIGURES, data=raw)


def _known(table, name: str, column: str) -> float | None:
    value = float(table.at[name, column]) if name in table.index else math.nan
    return value if math.isfinite(value) else None
