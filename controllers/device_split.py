"""Rules that divide a set point for all devices of a kind among them; each kind declares its rule.

Every rule gives one device all that is asked, and equal devices equal shares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def by_capability(total_kw: float, can_kw: np.ndarray, rated_kw: np.ndarray) -> np.ndarray:
    """Divide a power in proportion to what each device can give, or take, until the next decision.

    What all together cannot do is asked in proportion to the ratings, so that no device is spared that could still do
    more than it seemed.

    Parameters
    ----------
    total_kw : float
        Power of all [kW], of either sign.
    can_kw : ndarray, shape (n,)
        What each can do in this direction [kW], >= 0.
    rated_kw : ndarray, shape (n,)
        Largest power of each in this direction [kW], >= 0 and at least `can_kw`.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW], of the sign of the total and at most `rated_kw` in size; they add up to the total as far as the
        ratings allow.
    """
    size_kw = min(abs(total_kw), float(rated_kw.sum()))
    can = float(can_kw.sum())
    if size_kw <= can:
        shares = can_kw * (size_kw / can) if can > 0.0 else np.zeros(len(can_kw))
    else:
        room_kw = rated_kw - can_kw
        shares = can_kw + room_kw * ((size_kw - can) / float(room_kw.sum()))
    return np.copysign(shares, total_kw)


def by_merit(total_kw: float, minimum_kw: Sequence[float], rated_kw: Sequence[float]) -> np.ndarray:
    """Divide a power among generators in their order, with as few running as possible and none below its minimum power.

    Parameters
    ----------
    total_kw : float
        Power of all [kW], >= 0.
    minimum_kw, rated_kw : sequence of float, shape (n,)
        Least and largest power of each [kW]; a rating of 0 leaves one out.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW]. Where no set of generators can give just the total, what comes nearest, and of two the lower.
    """
    shares = np.zeros(len(rated_kw))
    useful = [i for i, kw in enumerate(rated_kw) if kw > 0.0]
    if total_kw <= 0.0 or not useful:
        return shares
    best = None
    for count in range(1, len(useful) + 1):
        running = useful[:count]
        lowest_kw = sum(minimum_kw[i] for i in running) if count > 1 else 0.0
        highest_kw = sum(rated_kw[i] for i in running)
        reached_kw = min(max(total_kw, lowest_kw), highest_kw)
        if best is None or abs(reached_kw - total_kw) < abs(best[1] - total_kw):
            best = running, reached_kw
        if reached_kw == total_kw:
            break
    running, left_kw = best or (useful, 0.0)
    if len(running) == 1:
        shares[running[0]] = left_kw  # below its least power it does what one alone would do
        return shares
    shares[running] = [minimum_kw[i] for i in running]
    left_kw -= float(shares.sum())
    for i in running:
        more_kw = min(rated_kw[i] - minimum_kw[i], max(left_kw, 0.0))
        shares[i] += more_kw
        left_kw -= more_kw
    return shares


def by_availability(total_kw: float, wanted_kw: np.ndarray, rated_kw: np.ndarray) -> np.ndarray:
    """Divide an upper limit: what one device does not use goes to devices that can use more.

    Parameters
    ----------
    total_kw : float
        Limit of all [kW], >= 0; infinite for none.
    wanted_kw : ndarray, shape (n,)
        What each would give without a limit, as far as is known [kW]: its power where that is below its limit, else its
        rating.
    rated_kw : ndarray, shape (n,)
        Largest power of each [kW].

    Returns
    -------
    ndarray, shape (n,)
        Limits [kW], which add up to the total where that is below the sum of the ratings.
    """
    if total_kw >= float(rated_kw.sum()):
        return rated_kw.copy()
    limits = np.zeros(len(rated_kw))
    left_kw = max(total_kw, 0.0)
    for goal_kw in (np.minimum(wanted_kw, rated_kw), rated_kw):
        room_kw = goal_kw - limits
        room = float(room_kw.sum())
        if room > 0.0 and left_kw > 0.0:
            limits = limits + room_kw * min(1.0, left_kw / room)
            left_kw = max(left_kw - room, 0.0)
    return limits


def by_peak(total: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Divide limits of load classes in proportion to the peaks of the loads.

    Parameters
    ----------
    total : ndarray, shape (c,)
        Limit of each class of all loads [kW]; infinite for none.
    peak : ndarray, shape (n, c)
        Highest demand of each load and class [kW].

    Returns
    -------
    ndarray, shape (n, c)
        Limits [kW]; they add up to the total.
    """
    whole = peak.sum(axis=0)
    share = np.divide(peak, whole, out=np.full(peak.shape, 1.0 / len(peak)), where=whole > 0.0)
    return np.where(np.isfinite(total), np.where(np.isfinite(total), total, 0.0) * share, total)
