"""Sharing the power of the charge point among its connectors by rank (Leal et al. 2024, section 3.4)."""

from __future__ import annotations

import numpy as np

from ...simulators.water_filling import fill

_DUST_KW = 1e-9


def weights(
    busy: np.ndarray, plugged_s: np.ndarray, preferred: tuple[int, ...] = (), of_last: float = 1.0
) -> np.ndarray:
    """Compute the weights of the connectors: the longer since the authentication, the larger.

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
    members = busy.nonzero()[0]
    order = members[plugged_s[members].argsort(kind="stable")]
    if preferred:
        first = [number - 1 for number in preferred if number <= busy.size and busy[number - 1]]
        order = np.array([*first, *(i for i in order.tolist() if i not in first)], dtype=int)
    weight = np.zeros(busy.size)
    weight[order] = np.arange(order.size - 1.0, -1.0, -1.0) + of_last
    return weight


def share(available_kw: float, weight: np.ndarray, max_kw: np.ndarray, min_kw: np.ndarray) -> np.ndarray:
    """Share a power by weight; what one cannot use goes on to the others.

    Parameters
    ----------
    available_kw : float
        To be shared [kW].
    weight : ndarray, shape (n,)
        Weights; 0 takes no part.
    max_kw : ndarray, shape (n,)
        What each can use [kW].
    min_kw : ndarray, shape (n,)
        Below this a connector cannot run [kW]: those with the smallest weights pause, so that the others can.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW], never above ``max_kw``; their sum is ``min(available_kw, sum(max_kw))`` less what pauses leave.
    """
    shares_kw = fill(available_kw, max_kw, weight)
    # an EV may accept less than the least that its connector can offer
    min_kw = np.minimum(min_kw, max_kw)
    if (shares_kw >= min_kw)[weight > 0.0].all():
        return shares_kw
    order = (-weight).argsort(kind="stable")[: np.count_nonzero(weight)]
    runs = _needed_kw(weight[order], max_kw[order], min_kw[order]).searchsorted(available_kw, side="right")
    if runs == order.size:
        return shares_kw
    fewer = np.zeros(weight.size)
    fewer[order[:runs]] = weight[order[:runs]]
    return fill(available_kw, max_kw, fewer)


def _needed_kw(weight: np.ndarray, max_kw: np.ndarray, min_kw: np.ndarray) -> np.ndarray:
    """What it takes that the first k connectors all run, for each k [kW], shape (n,); it rises.

    The connectors are in the order of their weights, the largest first.
    """
    level = np.maximum.accumulate(min_kw / weight)
    shares_kw = np.tril(np.minimum(max_kw, np.outer(level, weight)))
    return shares_kw.sum(axis=1) - _DUST_KW


def admit(
    available_kw: float, target_kw: np.ndarray, measured_kw: np.ndarray, last_kw: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Limit the powers on the way to new shares: powers come down before any power rises.

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
