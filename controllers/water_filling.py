"""Water filling: a power rises in all connectors together, each until it is full; what one cannot use goes to the rest.

Without circuits the level at which the power is used up is known in closed form. Where currents are limited, too, the
connectors rise from one limit to the next.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .circuits import Room

_DUST_KW = 1e-9


def fill(available_kw: float, most_kw: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Share a power so that each gets ``min(most, level * weight)``, at the level that uses it up.

    Parameters
    ----------
    available_kw : float
        To be shared [kW]; below 0 there is nothing.
    most_kw : ndarray, shape (n,)
        What each can use [kW], >= 0.
    weight : ndarray, shape (n,), optional
        How fast each rises, >= 0; 0 gets nothing. All equally when left out.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW]; their sum is what is available, or all are full.
    """
    most_kw = np.asarray(most_kw, dtype=float)
    weight = np.ones(most_kw.size) if weight is None else np.asarray(weight, dtype=float)
    filled_kw, before_kw, weight_left = _filling(most_kw.tobytes(), weight.tobytes())
    if available_kw <= 0.0 or not filled_kw.size:
        return np.zeros(most_kw.size)
    place = filled_kw.searchsorted(available_kw)
    if place == filled_kw.size:
        return np.where(weight > 0.0, most_kw, 0.0)
    return np.minimum(most_kw, float((available_kw - before_kw[place]) / weight_left[place]) * weight)


@lru_cache(maxsize=1024)
def _filling(most_bytes: bytes, weight_bytes: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How connectors fill up one after the other as the level rises; it stays until one changes its status.

    Returns
    -------
    filled_kw, before_kw, weight_left : ndarray
        Of each connector that takes part, in the order in which they fill up: the power given when it is full, the
        power of those that were full before, and the weight of itself and of those that are not full then.
    """
    most_kw, weight = np.frombuffer(most_bytes), np.frombuffer(weight_bytes)
    members = ((weight > 0.0) & (most_kw > 0.0)).nonzero()[0]
    most_kw, weight = most_kw[members], weight[members]
    order = (most_kw / weight).argsort(kind="stable")
    most_kw, weight = most_kw[order], weight[order]
    before_kw = np.append(0.0, most_kw.cumsum())[:-1]
    weight_left = weight[::-1].cumsum()[::-1]
    return before_kw + most_kw / weight * weight_left, before_kw, weight_left


def fill_within(room: Room, most_kw: np.ndarray, members: np.ndarray) -> None:
    """Raise the powers of connectors together, each until it, the room or one of its circuits is full.

    Parameters
    ----------
    room : Room
        What there is.
    most_kw : ndarray, shape (n,)
        What each can use [kW].
    members : ndarray of int
        Who takes part.
    """
    while members.size and room.kw > _DUST_KW:
        step_kw = room.rise(members, float((most_kw - room.given_kw)[members].min()))
        room.give_each(members, step_kw)
        able = np.array([room.most(i, float(most_kw[i] - room.given_kw[i])) > _DUST_KW for i in members.tolist()])
        if able.all() and step_kw <= _DUST_KW:
            return  # each could alone, but not all together
        members = members[able]
