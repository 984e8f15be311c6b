"""Inverters of PV, batteries and V2G connectors: what reactive power their rating leaves room for."""

from __future__ import annotations

import numpy as np


def clip_q(p_kw, q_set_kvar, s_rated_kva):
    """Reactive power within an inverter's rating; active power has priority.

    Parameters
    ----------
    p_kw : float or array, shape (n,)
        Active power [kW].
    q_set_kvar : float or array, shape (n,)
        Reactive set point [kvar].
    s_rated_kva : float or array, shape (n,)
        Apparent power the inverter can carry [kVA].

    Returns
    -------
    array, shape (n,)
        The set point, cut to ``sqrt(s_rated**2 - p**2)`` [kvar]; 0 where the active power takes all of the rating.
    """
    room_kvar = np.sqrt(np.maximum(np.square(s_rated_kva) - np.square(p_kw), 0.0))
    return np.clip(q_set_kvar, -room_kvar, room_kvar)
