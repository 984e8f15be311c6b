"""A published number beside ours: the rows of ``evhub reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class PublishedRow:
    """One published quantity and what this run gives for it.

    Parameters
    ----------
    case, quantity, unit : str
        Which run, what of it, and its unit.
    published : float or str
        The published number or statement.
    ours : float or str
        The same of this run.
    tolerance : str
        What counts as reproduced, in words: ``5 %``, ``at most``, ...; empty where the row only informs.
    ok : bool or None
        Whether it is reproduced; None where the row only informs.
    """

    case: str
    quantity: str
    unit: str
    published: float | str
    ours: float | str
    tolerance: str
    ok: bool | None


def within(
    case: str,
    quantity: str,
    unit: str,
    published: float,
    ours: float,
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
) -> PublishedRow:
    """A row that is reproduced when ours is near the published number.

    Parameters
    ----------
    case, quantity, unit : str
        See `PublishedRow`.
    published, ours : float
        The two numbers.
    relative : float
        Allowed difference as a share of the published number.
    absolute : float
        Allowed difference in the unit; the larger of both counts.

    Returns
    -------
    PublishedRow
    """
    allowed = max(relative * abs(published), absolute)
    told = [f"{100 * relative:g} %"] * (relative > 0) + [f"{absolute:g} {unit}".strip()] * (absolute > 0)
    return PublishedRow(
        case, quantity, unit, published, ours, " or ".join(told) or "equal", abs(ours - published) <= allowed
    )


def at_most(case: str, quantity: str, unit: str, published: float, ours: float) -> PublishedRow:
    """A row that is reproduced when ours is not above the published number; see `PublishedRow`."""
    return PublishedRow(case, quantity, unit, published, ours, "at most", ours <= published)


def holds(case: str, quantity: str, published: str, ours: str, ok: bool) -> PublishedRow:
    """A published statement that is true of this run or not; see `PublishedRow`."""
    return PublishedRow(case, quantity, "", published, ours, "true", ok)


def informs(case: str, quantity: str, unit: str, published: float | str, ours: float | str) -> PublishedRow:
    """A row without a judgement; see `PublishedRow`."""
    return PublishedRow(case, quantity, unit, published, ours, "", None)


def shown(row: PublishedRow) -> dict[str, str]:
    """A row for people: numbers with the digits that tolerances are about, ``NO`` where it is not reproduced."""
    texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in asdict(row).items()}
    return {**texts, "ok": {True: "yes", False: "NO", None: ""}[row.ok]}


def reproduced(rows: Sequence[PublishedRow]) -> bool:
    """Whether no row misses its tolerance."""
    return all(row.ok is not False for row in rows)


def write_table(rows: Sequence[PublishedRow], folder: Path) -> Path:
    """Write the rows as ``table.csv``; gives its path."""
    path = folder / "table.csv"
    pd.DataFrame([asdict(row) for row in rows]).to_csv(path, index=False)
    return path
