"""Water filling: a power rises in all connectors together, each until it is full; what one cannot use goes to the rest.

The level at which the power is used up is known in closed form. Cabinets of power modules share what they have in this
way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np


@dataclass(frozen=True)
class Cabinet:
    """A cabinet of power modules that several connectors share.

    Parameters
    ----------
    name : str
        What it is called in messages.
    members : ndarray of int
        Places of its connectors.
    limit_kw : float
        What its modules give together [kW].
    """

    name: str
    members: np.ndarray
    limit_kw: float


def fill(available_kw: float, max_kw: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Share a power so that each gets ``min(max, level * weight)``, at the level that uses it up.

    Parameters
    ----------
    available_kw : float
        To be shared [kW]; below 0 there is nothing.
    max_kw : ndarray, shape (n,)
        What each can use [kW], >= 0.
    weight : ndarray, shape (n,), optional
        How fast each rises, >= 0; 0 gets nothing. All equally when left out.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW]; their sum is what is available, or all are full.
    """
    max_kw = np.asarray(max_kw, dtype=float)
    weight = np.ones(max_kw.size) if weight is None else np.asarray(weight, dtype=float)
    filled_kw, before_kw, weight_left = _filling(max_kw.tobytes(), weight.tobytes())
    if available_kw <= 0.0 or not filled_kw.size:
        return np.zeros(max_kw.size)
    place = filled_kw.searchsorted(available_kw)
    if place == filled_kw.size:
        return np.where(weight > 0.0, max_kw, 0.0)
    return np.minimum(max_kw, float((available_kw - before_kw[place]) / weight_left[place]) * weight)


@lru_cache(maxsize=1024)
def _filling(max_bytes: bytes, weight_bytes: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How connectors fill up one after the other as the level rises; it stays until one changes its status.

    Returns
    -------
    filled_kw, before_kw, weight_left : ndarray
        Of each connector that takes part, in the order in which they fill up: the power given when it is full, the
        power of those that were full before, and the weight of itself and of those that are not full then.
    """
    max_kw, weight = np.frombuffer(max_bytes), np.frombuffer(weight_bytes)
    members = ((weight > 0.0) & (max_kw > 0.0)).nonzero()[0]
    max_kw, weight = max_kw[members], weight[members]
    order = (max_kw / weight).argsort(kind="stable")
    max_kw, weight = max_kw[order], weight[order]
    before_kw = np.append(0.0, max_kw.cumsum())[:-1]
    weight_left = weight[::-1].cumsum()[::-1]
    return before_kw + max_kw / weight * weight_left, before_kw, weight_left


def fill_or_pause(filled: Callable[[np.ndarray], np.ndarray], max_kw: np.ndarray, min_kw: np.ndarray) -> np.ndarray:
    """Share a power so that nobody gets less than its least power: the last ones pause, so that the others can run.

    Parameters
    ----------
    filled : callable
        Shares [kW], shape (n,), of those whose places it gets; the others have 0.
    max_kw : ndarray, shape (n,)
        What each can use [kW]; 0 takes no part.
    min_kw : ndarray, shape (n,)
        Below this one gets nothing [kW].

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW].
    """
    members = np.flatnonzero((max_kw > 0.0) & (max_kw >= min_kw - 1e-12))
    while members.size:
        shares_kw = filled(members)
        short = members[shares_kw[members] < min_kw[members] - 1e-12]
        if not short.size:
            return shares_kw
        # one pause may free enough for the rest, so they go one by one
        members = members[members != short[-1]]
    return np.zeros_like(max_kw)


def fill_members(available_kw: float, max_kw: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Share a power equally among some; see `fill`.

    Parameters
    ----------
    available_kw : float
        To be shared [kW].
    max_kw : ndarray, shape (n,)
        What each can use [kW].
    members : ndarray of int
        Who takes part.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW]; 0 of those who take no part.
    """
    shares_kw = np.zeros_like(max_kw)
    shares_kw[members] = fill(available_kw, max_kw[members])
    return shares_kw


def within_cabinets(cabinets: Iterable[Cabinet], p_kw: np.ndarray, minimum_kw: np.ndarray) -> np.ndarray:
    """Limit powers to what cabinets have: one that is short shares it by water filling.

    A module serves one connector, so that charging and discharging count alike. A connector that would get less than
    its least power pauses.

    Parameters
    ----------
    cabinets : iterable of Cabinet
        Each connector is in one at most.
    p_kw : ndarray, shape (n,)
        What each connector would take if it had the cabinet for itself [kW], negative when it discharges.
    minimum_kw : ndarray, shape (n,)
        The least that each can charge with [kW], or what it would take if that is less.

    Returns
    -------
    ndarray, shape (n,)
        Powers [kW]; the very array where no cabinet is short.
    """
    cut_kw = p_kw
    for cabinet in cabinets:
        own_kw = p_kw[cabinet.members]
        max_kw = np.abs(own_kw)
        if max_kw.sum() <= cabinet.limit_kw:
            continue
        min_kw = np.minimum(minimum_kw[cabinet.members], max_kw) * (own_kw > 0.0)
        shares_kw = fill_or_pause(partial(fill_members, cabinet.limit_kw, max_kw), max_kw, min_kw)
        cut_kw = cut_kw.copy() if cut_kw is p_kw else cut_kw
        cut_kw[cabinet.members] = np.copysign(shares_kw, own_kw)
    return cut_kw
