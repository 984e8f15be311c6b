"""Unit conversions, the only place where 3600 and 1000 are written.

Powers are [kW], energies [kWh], times [s] everywhere else; see ``docs/nomenclature.md``.
"""

from __future__ import annotations

S_PER_H = 3600.0
S_PER_MIN = 60.0
S_PER_DAY = 86400.0
W_PER_KW = 1000.0
KW_PER_MW = 1000.0


def energy_kwh(p_kw, dt_s):
    """Compute the energy of a power held constant.

    Parameters
    ----------
    p_kw : float or array, shape (n,)
        Power [kW].
    dt_s : float or array, shape (n,)
        Duration [s].

    Returns
    -------
    float or array, shape (n,)
        Energy [kWh].
    """
    return p_kw * dt_s / S_PER_H


def power_kw(e_kwh, dt_s):
    """Compute the constant power that moves an energy in a time, the inverse of `energy_kwh`.

    Parameters
    ----------
    e_kwh : float or array, shape (n,)
        Energy [kWh].
    dt_s : float or array, shape (n,)
        Duration [s], > 0.

    Returns
    -------
    float or array, shape (n,)
        Power [kW].
    """
    return e_kwh * S_PER_H / dt_s
