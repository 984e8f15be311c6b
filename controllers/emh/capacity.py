"""Limiting to the contracted or the installed capacity (Leal et al. 2024, section 3.3, eq. 1-5)."""

from __future__ import annotations

from typing import NamedTuple

INACTIVE_KW = 1e-6
"""A battery with less power than this is inactive."""


class Relief(NamedTuple):
    """The changes that bring the import back below its limit."""

    bess_kw: float
    """Reference of the battery, > 0 discharges [kW]."""
    cp_kw: float
    """Most power of the charge point [kW]."""


def bess_ready(bess_kw: float, soc: float, soc_min: float, rated_kw: float) -> bool:
    """Return whether the battery can charge less or discharge more (flag_ready_bess).

    Parameters
    ----------
    bess_kw : float
        Measured power, > 0 discharges [kW].
    soc, soc_min : float
        State of charge and its lower operation limit; NaN is never ready.
    rated_kw : float
        Rating [kW].
    """
    if bess_kw < -INACTIVE_KW:
        return soc == soc
    return INACTIVE_KW < bess_kw < rated_kw and soc > soc_min


def relief(p_in_kw: float, limit_kw: float, evse_kw: float, bess_kw: float, ready: bool, max_kw: float) -> Relief:
    """Split what is above the limit between battery and charge point (eq. 2-5).

    The shares are proportional to what flows. What a ready battery cannot take, because it saturates, goes to the
    charge point.

    Parameters
    ----------
    p_in_kw, limit_kw : float
        Measured import and its limit [kW], ``p_in_kw > limit_kw``.
    evse_kw, bess_kw : float
        Measured power of the charge point, and of the battery (> 0 discharges) [kW].
    ready : bool
        See `bess_ready`.
    max_kw : float
        Most the battery may discharge [kW]; 0 when it may only charge less.

    Returns
    -------
    Relief
    """
    excess_kw = p_in_kw - limit_kw
    flowing_kw = evse_kw + (abs(bess_kw) if ready else 0.0)
    if flowing_kw <= INACTIVE_KW:
        return Relief(bess_kw, 0.0)
    share = excess_kw / flowing_kw
    shortfall_kw = 0.0
    if ready:
        wanted_kw = bess_kw + share * abs(bess_kw)
        bess_kw = min(wanted_kw, max(max_kw, bess_kw))
        shortfall_kw = wanted_kw - bess_kw
    return Relief(bess_kw, max(0.0, evse_kw - (share * evse_kw + shortfall_kw)))
