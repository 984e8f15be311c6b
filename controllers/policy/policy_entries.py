"""One number that a policy sees or commands, with its name, unit and range."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..contract import Hub, Observation, Site


class Entry(NamedTuple):
    """One number in the vectors of a policy.

    Parameters
    ----------
    name : str
        Such as ``bess/soc`` or ``connector/3/laxity``.
    unit : str
        What 1 stands for.
    low, high : float
        Range; what is beyond counts as at its end.
    text : str
        What it is.
    """

    name: str
    unit: str
    low: float
    high: float
    text: str


class Seen(NamedTuple):
    """A hub at a decision, as its policy is shown it.

    Parameters
    ----------
    observation : Observation
        For the time, and the end of the run.
    site, hub : Site, Hub
        The plates of the hub, and what is seen of it.
    period_s : float
        Time between decisions [s].
    """

    observation: Observation
    site: Site
    hub: Hub
    period_s: float

    @property
    def limit_kw(self) -> float:
        """What may be drawn from the source that feeds the hub [kW]; 0 on a dead bus."""
        if self.hub.dead:
            return 0.0
        return self.site.secondary_kw if self.hub.islanded else self.site.contracted_kw


def table(entries: Sequence[Entry]) -> str:
    """Return all entries as a table in text, a line each."""
    rows = [("entry", "range", "1 stands for", "what it is")]
    rows += [(e.name, f"{e.low:g}..{e.high:g}", e.unit, e.text) for e in entries]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]) for row in rows
    ]
    return "\n".join(lines)


def numbers(values: object, what: str) -> np.ndarray:
    """Return values as an array of real numbers, in the precision that they have.

    Parameters
    ----------
    values : array_like
    what : str
        What they are, for the message.

    Raises
    ------
    ValueError
        When they are no such array.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of several lengths
        array = None
    if array is None or array.dtype.kind not in "fiub":
        raise ValueError(f"{what} must be an array of numbers, got {in_short(values)}")
    return array


def in_short(value: object) -> str:
    """Return the representation of a value in one line, cut where it is long."""
    return " ".join(reprlib.repr(value).split())


def bounds(entries: Sequence[Entry]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper ends of ranges, both of shape (n_entries,)."""
    low, high = (np.array([getattr(e, end) for e in entries], dtype=np.float32) for end in ("low", "high"))
    return low, high
