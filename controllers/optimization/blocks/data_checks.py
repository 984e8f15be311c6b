"""Refusals that the data of all blocks share."""

from __future__ import annotations

import numpy as np


def finite(item: str, values, least: float = -np.inf, most: float = np.inf) -> np.ndarray:
    """Take numbers as an array and refuse what a solver would answer with nonsense.

    Parameters
    ----------
    item : str
        Name for the message.
    values : float or array
        The numbers, of any shape.
    least, most : float
        Range allowed.

    Returns
    -------
    ndarray of float
        Same shape.

    Raises
    ------
    ValueError
        NaN, inf, or a value out of range; names the item, its index and the value.
    """
    values = np.asarray(values, dtype=float)
    # a comparison with NaN is false, so that one test finds all
    good = (np.abs(values) < np.inf) & (values >= least) & (values <= most)
    if not good.all():
        index = np.argwhere(~good)[0].tolist()
        value = values[tuple(index)]
        where = f"{item}[{', '.join(map(str, index))}]" if index else item
        limits = " and ".join(
            f"{sign} {limit:g}" for sign, limit in ((">=", least), ("<=", most)) if np.isfinite(limit)
        )
        raise ValueError(f"{where}: must be {limits if np.isfinite(value) else 'finite'}, got {value:g}")
    return values
