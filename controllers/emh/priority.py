"""Sharing the power of the charge point among its connectors by rank (Leal et al. 2024, section 3.4)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_DUST_KW = 1e-9


def weights(
    busy: np.ndarray, plugged_s: np.ndarray, preferred: tuple[int, ...] = (), of_last: float = 1.0
) -> np.ndarray:
    """Weights of the connectors: the longer since the authentication, the larger.

    Parameters
    ----------
    busy : ndarray of bool, shape (n,)
        Connectors that take part.
    plugged_s : ndarray, shape (n,)
        Time of the authentication [s]; of two equal ones the lower number comes first.
    preferred : tuple of int
        Numbers of connectors (from 1) that come before the others, in this order.
    of_last : float
        Weight of the last one; each one before it has 1 more, so that by default they are k, k-1, ..., 1.

    Returns
    -------
    ndarray, shape (n,)
        Weights; 0 for those that take no part.
    """
    return _ranked(busy.tobytes(), plugged_s.tobytes(), preferred, of_last)


@lru_cache(maxsize=1024)
def _ranked(busy_bytes: bytes, plugged_bytes: bytes, preferred: tuple[int, ...], of_last: float) -> np.ndarray:
    """The ranking stays until a connector changes its status."""
    busy, plugged_s = np.frombuffer(busy_bytes, bool), np.frombuffer(plugged_bytes)
    members = busy.nonzero()[0]
    order = members[plugged_s[members].argsort(kind="stable")]
    if preferred:
        first = [number - 1 for number in preferred if number <= busy.size and busy[number - 1]]
        order = np.array([*first, *(i for i in order.tolist() if i not in first)], dtype=int)
    found = np.zeros(busy.size)
    found[order] = np.arange(order.size - 1.0, -1.0, -1.0) + of_last
    found.flags.writeable = False
    return found


def share(available_kw: float, weight: np.ndarray, most_kw: np.ndarray, least_kw: np.ndarray) -> np.ndarray:
    """Share a power by weight; what one cannot use goes on to the others.

    Parameters
    ----------
    available_kw : float
        To be shared [kW].
    weight : ndarray, shape (n,)
        Weights; 0 takes no part.
    most_kw : ndarray, shape (n,)
        What each can use [kW].
    least_kw : ndarray, shape (n,)
        Below this a connector cannot run [kW]: those with the smallest weights pause, so that the others can.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW], never above ``most_kw``; their sum is ``min(available_kw, sum(most_kw))`` less what pauses leave.
    """
    order, needed_kw = _needs(weight.tobytes(), most_kw.tobytes(), least_kw.tobytes())
    runs = needed_kw.searchsorted(available_kw, side="right")
    if runs < order.size:
        fewer = np.zeros(weight.size)
        fewer[order[:runs]] = weight[order[:runs]]
        weight = fewer
    return _by_weight(available_kw, weight, most_kw)


@lru_cache(maxsize=1024)
def _needs(weight_bytes: bytes, most_bytes: bytes, least_bytes: bytes) -> tuple[np.ndarray, np.ndarray]:
    """What it takes that the first k connectors all run, for each k; it stays until one changes its status.

    Returns
    -------
    order, needed_kw : ndarray, shape (k,)
        Connectors that take part, the largest weight first, and the least power at which none up to each starves. It
        rises along the order.
    """
    weight, most_kw, least_kw = (np.frombuffer(each) for each in (weight_bytes, most_bytes, least_bytes))
    order = (-weight).argsort(kind="stable")[: np.count_nonzero(weight)]
    weight, most_kw = weight[order], most_kw[order]
    # an EV may accept less than the least that its connector can offer
    least_kw = np.minimum(least_kw[order], most_kw)
    level = np.maximum.accumulate(least_kw / weight)
    given_kw = np.tril(np.minimum(most_kw, np.outer(level, weight)))
    return order, given_kw.sum(axis=1) - _DUST_KW


def _by_weight(available_kw: float, weight: np.ndarray, most_kw: np.ndarray) -> np.ndarray:
    """Shares min(most, level * weight) at the level that uses up what is available."""
    filled_kw, before_kw, weight_left = _filling(weight.tobytes(), most_kw.tobytes())
    if available_kw <= 0.0 or not filled_kw.size:
        return np.zeros(weight.size)
    place = filled_kw.searchsorted(available_kw)
    if place == filled_kw.size:
        return np.where(weight > 0.0, most_kw, 0.0)
    level = (available_kw - before_kw[place]) / weight_left[place]
    return np.minimum(most_kw, level * weight)


@lru_cache(maxsize=1024)
def _filling(weight_bytes: bytes, most_bytes: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How connectors fill up one after the other as the level rises; it stays until one changes its status.

    Returns
    -------
    filled_kw, before_kw, weight_left : ndarray
        Of each connector in the order in which they fill up: the power given when it is full, the power of those that
        were full before, and the weight of itself and of those that are not full then.
    """
    weight, most_kw = np.frombuffer(weight_bytes), np.frombuffer(most_bytes)
    members = ((weight > 0.0) & (most_kw > 0.0)).nonzero()[0]
    weight, most_kw = weight[members], most_kw[members]
    order = (most_kw / weight).argsort(kind="stable")
    weight, most_kw = weight[order], most_kw[order]
    before_kw = most_kw.cumsum() - most_kw
    weight_left = weight[::-1].cumsum()[::-1]
    return before_kw + most_kw / weight * weight_left, before_kw, weight_left


def admit(
    available_kw: float, target_kw: np.ndarray, measured_kw: np.ndarray, last_kw: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Limits on the way to a new sharing: power in use comes down before anyone gets more.

    Parameters
    ----------
    available_kw : float
        What the connectors may draw together [kW].
    target_kw : ndarray, shape (n,)
        The sharing [kW].
    measured_kw, last_kw : ndarray, shape (n,)
        Power of each connector as measured, and its last limit [kW].
    weight : ndarray, shape (n,)
        The largest is served first.

    Returns
    -------
    ndarray, shape (n,)
        Limits [kW], never above `target_kw`.
    """
    # a limit that was given may be used at any moment
    held_kw = np.fmax(measured_kw, np.minimum(target_kw, last_kw))
    more_kw = target_kw - held_kw
    rising = (more_kw > 0.0).nonzero()[0]
    if not rising.size:
        return target_kw
    free_kw = available_kw - held_kw.sum()
    limit_kw = np.minimum(target_kw, held_kw)
    if free_kw <= _DUST_KW:
        return limit_kw
    rising = rising[(-weight[rising]).argsort(kind="stable")]
    wanted_kw = more_kw[rising]
    before_kw = wanted_kw.cumsum() - wanted_kw
    limit_kw[rising] += np.minimum(wanted_kw, np.maximum(free_kw - before_kw, 0.0))
    return limit_kw
