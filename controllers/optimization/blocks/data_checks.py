"""Errors of data, and the check that all blocks share."""

from __future__ import annotations

import numpy as np


class DataError(ValueError):
    """Data that no model may be built from.

    Parameters
    ----------
    place : str
        Where, in the message: an item, perhaps with an index or a name.
    rule : str
        What is allowed, and the value.
    item : str, optional
        Which item; `place` when left out.

    Attributes
    ----------
    kind : tuple of str
        Class and item: the same for other values and other places of an item.
    """

    def __init__(self, place: str, rule: str, item: str | None = None):
        super().__init__(f"{place}: {rule}")
        self.kind = type(self).__name__, place if item is None else item


class RangeError(DataError):
    """A number that is not finite or out of its range."""


class ShapeError(DataError):
    """An array of the wrong shape."""


def finite(item: str, values, lower: float = -np.inf, upper: float = np.inf) -> np.ndarray:
    """Take numbers as an array and refuse what a solver would answer with nonsense.

    Parameters
    ----------
    item : str
        Name for the message.
    values : float or array
        The numbers, of any shape.
    lower, upper : float
        Range allowed.

    Returns
    -------
    ndarray of float
        Same shape.

    Raises
    ------
    RangeError
        NaN, inf, or a value out of range; names the item, its index and the value.
    """
    values = np.asarray(values, dtype=float)
    # a comparison with NaN is false, so that one test finds all
    good = (np.abs(values) < np.inf) & (values >= lower) & (values <= upper)
    if not good.all():
        index = np.argwhere(~good)[0].tolist()
        value = values[tuple(index)]
        where = f"{item}[{', '.join(map(str, index))}]" if index else item
        limits = " and ".join(
            f"{sign} {limit:g}" for sign, limit in ((">=", lower), ("<=", upper)) if np.isfinite(limit)
        )
        raise RangeError(where, f"must be {limits if np.isfinite(value) else 'finite'}, got {value:g}", item)
    return values
