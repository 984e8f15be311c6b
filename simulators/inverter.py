"""Apparent-power rating of an inverter: active power has priority, reactive power may use what is left.

Common to PV, stationary batteries and vehicles that feed back. Plain arithmetic: floats and arrays alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def q_available_kvar(p_kw: ArrayLike, s_rated_kva: ArrayLike):
    """Compute the reactive power that the rating leaves beside an active power, ``sqrt(s_rated**2 - p**2)``.

    Parameters
    ----------
    p_kw : float or array, shape (n,)
        Active power [kW], of either sign.
    s_rated_kva : float or array, shape (n,)
        Apparent-power rating [kVA], >= 0.

    Returns
    -------
    float or array, shape (n,)
        Greatest reactive power of either sign [kvar], >= 0; 0 where the active power exceeds the rating.

    Raises
    ------
    ValueError
        If a rating is negative.
    """
    s_rated_kva = _checked(s_rated_kva)
    # The product keeps its digits near full power, where the difference of squares would lose them.
    return np.sqrt(np.maximum((s_rated_kva - np.abs(p_kw)) * (s_rated_kva + np.abs(p_kw)), 0.0))


def clip_q(p_kw: ArrayLike, q_set_kvar: ArrayLike, s_rated_kva: ArrayLike):
    """Clip reactive power to what the active power leaves of the rating.

    Parameters
    ----------
    p_kw : float or array, shape (n,)
        Active power [kW], of either sign; it has priority.
    q_set_kvar : float or array, shape (n,)
        Reactive power wanted [kvar], of either sign.
    s_rated_kva : float or array, shape (n,)
        Apparent-power rating [kVA], >= 0.

    Returns
    -------
    float or array, shape (n,)
        Reactive power [kvar], of the sign wanted and at most as large.

    Raises
    ------
    ValueError
        If a rating is negative.
    """
    q_max = q_available_kvar(p_kw, s_rated_kva)
    return np.clip(q_set_kvar, -q_max, q_max)


def _checked(s_rated_kva: ArrayLike):
    s_rated_kva = np.asarray(s_rated_kva, dtype=float)
    if np.any(s_rated_kva < 0.0):
        raise ValueError(f"s_rated_kva must be >= 0, got {s_rated_kva}")
    return s_rated_kva
