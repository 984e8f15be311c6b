"""Batteries without losses or voltage dynamics: the pack of Tremblay's cells with ``R = K = A = 0``."""

from __future__ import annotations

from math import inf

from ..units import W_PER_KW
from .battery_parameters import Parameters
from .published_pack import pack

_IDEAL_V = 400.0  # reported as terminal voltage; nothing else depends on it
_IDEAL_A = 1e12  # no limit


def ideal(
    capacity_kwh: float,
    *,
    p_charge_max_kw: float,
    p_discharge_max_kw: float = 0.0,
    eta_charge: float = 1.0,
    eta_discharge: float = 1.0,
    soc_min: float = 0.0,
    soc_max: float = 1.0,
) -> Parameters:
    """Build one battery without losses or voltage dynamics inside: ``R = K = A = 0``, only the converter limits it.

    Parameters
    ----------
    capacity_kwh : float
        Energy between SoC 0 and 1 [kWh], > 0.
    p_charge_max_kw, p_discharge_max_kw : float
        Rating of the converter at its grid-side terminals [kW].
    eta_charge, eta_discharge : float
        Efficiency of the converter, 0..1.
    soc_min, soc_max : float
        Window of the SoC, 0..1.

    Returns
    -------
    Parameters
        Of one pack, n = 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    if not capacity_kwh > 0:
        raise ValueError(f"capacity_kwh must be > 0, got {capacity_kwh}")
    cell = {"e0_v": _IDEAL_V, "r_ohm": 0.0, "k_v_per_ah": 0.0, "a_v": 0.0, "b_per_ah": 1.0, "tau_s": inf}
    limits = {"v_max_v": 2.0 * _IDEAL_V, "v_min_v": 0.5 * _IDEAL_V, "i_end_a": 1.0}
    return pack(
        {
            "cell": {**cell, "q_ah": capacity_kwh * W_PER_KW / _IDEAL_V},
            "limits": {**limits, "i_charge_max_a": _IDEAL_A, "i_discharge_max_a": _IDEAL_A},
            "pack": {"n_series": 1.0, "n_parallel": 1.0},
        },
        p_charge_max_kw=p_charge_max_kw,
        p_discharge_max_kw=p_discharge_max_kw,
        eta_charge=eta_charge,
        eta_discharge=eta_discharge,
        soc_min=soc_min,
        soc_max=soc_max,
    )
