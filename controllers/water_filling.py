"""Water filling: the power of all connectors rises together; what a full one cannot use goes to the rest.

Without circuits the level at which the power is used up is known in closed form. Where currents are limited, too, the
connectors rise from one limit to the next.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .circuits import Allocation

_DUST_KW = 1e-9


def fill(available_kw: float, max_kw: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Share a power so that each gets ``min(max_kw, level * weight)``, at the level that uses it up.

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
    index = filled_kw.searchsorted(available_kw)
    if index == filled_kw.size:
        return np.where(weight > 0.0, max_kw, 0.0)
    return np.minimum(max_kw, float((available_kw - before_kw[index]) / weight_left[index]) * weight)


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


def fill_within(allocation: Allocation, max_kw: np.ndarray, members: np.ndarray) -> None:
    """Raise the powers of connectors together, each until it is full, the power is used up, or a circuit is full.

    Parameters
    ----------
    allocation : Allocation
        What there is.
    max_kw : ndarray, shape (n,)
        What each can use [kW].
    members : ndarray of int
        Who takes part.
    """
    while members.size and allocation.kw > _DUST_KW:
        step_kw = allocation.common_increment(members, float((max_kw - allocation.allocated_kw)[members].min()))
        allocation.allocate_each(members, step_kw)
        able = np.array(
            [
                allocation.max_extra_kw(i, float(max_kw[i] - allocation.allocated_kw[i])) > _DUST_KW
                for i in members.tolist()
            ]
        )
        if able.all() and step_kw <= _DUST_KW:
            return  # each could alone, but not all together
        members = members[able]
