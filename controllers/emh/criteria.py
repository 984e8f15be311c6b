"""Minimal criteria for the use of generator and battery (Leal et al. 2024, section 3.5)."""

from __future__ import annotations

from math import isnan

FUEL_RESERVE = 0.1
"""Share of the tank that is kept."""


def dg_may_run(
    *,
    fuel_l: float,
    fuel_capacity_l: float,
    p_in_kw: float,
    pv_kw: float,
    limit_kw: float,
    tr_dg: float,
    tr_grid: float,
    bess_rated_kw: float,
    soc: float,
    soc_min: float,
    peak: bool,
) -> bool:
    """Return whether the generator may run; it may not if a value is NaN.

    Parameters
    ----------
    fuel_l, fuel_capacity_l : float
        In the tank, and its size [l].
    p_in_kw, pv_kw, limit_kw : float
        Measured import without what the generator gives, PV power, limit of the import [kW].
    tr_dg, tr_grid : float
        Tariffs [1/kWh].
    bess_rated_kw, soc, soc_min : float
        Rating of the battery [kW], state of charge, lower operation limit.
    peak : bool
        It is peak time.
    """
    if not fuel_l > FUEL_RESERVE * fuel_capacity_l or isnan(p_in_kw):
        return False
    if p_in_kw + pv_kw > limit_kw:
        return bess_rated_kw < p_in_kw + pv_kw or soc < soc_min
    return tr_dg < tr_grid and (peak or bess_rated_kw < p_in_kw or soc < soc_min)


def bess_may_discharge(
    *, soc: float, soc_min: float, soc_off_peak: float, tr_grid: float, tr_bess: float, peak: bool
) -> bool:
    """Return whether the battery may discharge; outside the peak hours only above ``soc_off_peak`` (paper: 50 %)."""
    return soc > soc_min and tr_grid > tr_bess and (peak or soc > soc_off_peak)


def bess_may_charge(*, soc: float, soc_max: float, p_in_kw: float, pv_kw: float, limit_kw: float) -> bool:
    """Return whether the battery may charge: it is not full, and there is PV power or import below the limit [kW]."""
    return soc < soc_max and (pv_kw > 0.0 or p_in_kw + pv_kw < limit_kw)
