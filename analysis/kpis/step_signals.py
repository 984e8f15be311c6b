"""Step-held signals: a value holds from its time until the next. Everything here is exact, nothing is interpolated.

Times `t_s` (k,) rise strictly; `values` are (k,) or (k, n); a signal ends at `end_s` and is unknown (NaN) before its
first time. NaN values are unknown too: integrals and means leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def hold(t_s: np.ndarray, values: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """Return the values held at certain times.

    Parameters
    ----------
    t_s, values : array, shape (k,) and (k,) or (k, n)
        The signal.
    at_s : array, shape (m,)
        Times to look at [s].

    Returns
    -------
    array, shape (m,) or (m, n)
        Values held at these times, as float; NaN before the first.
    """
    index = np.searchsorted(t_s, at_s, side="right") - 1
    if len(t_s) == 0:
        return np.full((len(at_s), *values.shape[1:]), np.nan)
    held = values[np.maximum(index, 0)].astype(float)
    held[index < 0] = np.nan
    return held


def durations(t_s: np.ndarray, end_s: float) -> np.ndarray:
    """Return how long each value is held [s], shape (k,): until the next one, the last until `end_s`."""
    return np.diff(np.append(np.minimum(t_s, end_s), end_s))


def integral(t_s: np.ndarray, values: np.ndarray, end_s: float) -> np.ndarray | float:
    """Integrate the whole signal, in the unit of the values times seconds; a float or an array, shape (n,)."""
    width = durations(t_s, end_s)
    total = np.where(np.isfinite(values), values, 0.0).T @ width
    return float(total) if values.ndim == 1 else total


def _pieces(
    t_s: np.ndarray, values: np.ndarray, edges_s: np.ndarray, end_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide a signal at its own times and the edges: values, durations, and the first piece of each interval."""
    inside = t_s[(t_s > edges_s[0]) & (t_s < edges_s[-1])]
    knots = np.union1d(inside, edges_s)
    held = hold(t_s, values, knots[:-1])
    return held, np.diff(np.minimum(knots, end_s)), np.searchsorted(knots, edges_s[:-1])


def mean(t_s: np.ndarray, values: np.ndarray, edges_s: np.ndarray, end_s: float) -> np.ndarray:
    """Compute time-weighted means over intervals.

    Parameters
    ----------
    t_s, values : array, shape (k,) and (k,) or (k, n)
        The signal.
    edges_s : array, shape (m + 1,)
        Rising borders of the intervals [s].
    end_s : float
        End of the signal [s]; an interval it lies in counts up to it.

    Returns
    -------
    array, shape (m,) or (m, n)
        Mean over the known part of each interval; NaN where nothing is known.
    """
    held, width, first = _pieces(t_s, values, edges_s, end_s)
    weight = width.reshape(-1, *[1] * (held.ndim - 1)) * np.isfinite(held)
    total = np.add.reduceat(np.where(weight > 0, held, 0.0) * weight, first, axis=0)
    known = np.add.reduceat(weight, first, axis=0)
    return np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0)


def extremes(t_s: np.ndarray, values: np.ndarray, edges_s: np.ndarray, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the lowest and highest value held within each interval; see `mean`."""
    held, width, first = _pieces(t_s, values, edges_s, end_s)
    held[width <= 0] = np.nan
    return np.fmin.reduceat(held, first, axis=0), np.fmax.reduceat(held, first, axis=0)


def union(times: Sequence[np.ndarray]) -> np.ndarray:
    """Merge the times at which any of several signals changes, shape (k,)."""
    return np.unique(np.concatenate([np.asarray(t, dtype=float) for t in times])) if times else np.empty(0)


def episodes(t_s: np.ndarray, on: np.ndarray, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the periods in which a condition holds.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    on : array of bool, shape (k,)
        Whether the condition holds from then on.
    end_s : float
        End of the signal [s].

    Returns
    -------
    begin_s, end_s : array, shape (m,)
        Begin and end of each period [s]; periods without length are left out.
    """
    held = durations(t_s, end_s) > 0
    t_s, on = t_s[held], on[held]
    change = np.diff(np.concatenate([[False], on, [False]]).astype(int))
    stops = np.append(t_s, end_s)
    return stops[change == 1], stops[change == -1]


def edges(end_s: float, every_s: float, offset_s: float = 0.0) -> np.ndarray:
    """Return the borders of equal intervals that cover 0 to `end_s`, shape (m + 1,).

    The first begins at `-offset_s`, the last ends at or after `end_s`; there is at least one.
    """
    count = max(int(np.ceil((end_s + offset_s) / every_s - 1e-9)), 1)
    return np.arange(count + 1) * every_s - offset_s
