"""A published number beside ours: the rows of ``evhub reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class PublishedRow:
    """A published number or statement, and what this run gives for it.

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
    """Compare two numbers: reproduced when ours is within the tolerance.

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
    limits = [f"{100 * relative:g} %"] * (relative > 0) + [f"{absolute:g} {unit}".strip()] * (absolute > 0)
    return PublishedRow(
        case, quantity, unit, published, ours, " or ".join(limits) or "equal", abs(ours - published) <= allowed
    )


def not_above(case: str, quantity: str, unit: str, published: float, ours: float) -> PublishedRow:
    """Compare two numbers: reproduced when ours is not above the published one; see `PublishedRow`."""
    return PublishedRow(case, quantity, unit, published, ours, "at most", ours <= published)


def holds(case: str, quantity: str, published: str, ours: str, ok: bool) -> PublishedRow:
    """Compare a published statement with this run: reproduced when it is true; see `PublishedRow`."""
    return PublishedRow(case, quantity, "", published, ours, "true", ok)


def informs(case: str, quantity: str, unit: str, published: float | str, ours: float | str) -> PublishedRow:
    """Return a row that is not judged; see `PublishedRow`."""
    return PublishedRow(case, quantity, unit, published, ours, "", None)


def shown(row: PublishedRow) -> dict[str, str]:
    """Format a row for people: numbers with six digits, ``NO`` where it is not reproduced."""
    texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in asdict(row).items()}
    return {**texts, "ok": {True: "yes", False: "NO", None: ""}[row.ok]}


def reproduced(rows: Sequence[PublishedRow]) -> bool:
    """Return whether no row misses its tolerance."""
    return all(row.ok is not False for row in rows)


def write_table(rows: Sequence[PublishedRow], folder: Path) -> Path:
    """Write the rows as ``table.csv`` and return its path."""
    path = folder / "table.csv"
    pd.DataFrame([asdict(row) for row in rows]).to_csv(path, index=False)
    return path
