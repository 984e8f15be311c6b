"""Battery and PV in an island: the coordinated ramp, and the discharge of a full battery (Leal et al. 2024, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

ZERO_KW = 0.01
"""PV counts as measured at 0 below this."""
_REACHED_KW = 0.05


@dataclass(frozen=True, slots=True)
class RampState:
    """The state of the ramp.

    Parameters
    ----------
    charge_kw : float
        Charging reference of the battery [kW], >= 0.
    pv_limit_kw : float
        Limit of PV [kW], below `charge_kw` while that is not 0.
    falling : bool
        PV fell short of its limit, and both step down.
    next_s : float
        No change before this time [s].
    discharging : bool
        The battery has been full and is not empty yet.
    """

    charge_kw: float = 0.0
    pv_limit_kw: float = 0.0
    falling: bool = False
    next_s: float = 0.0
    discharging: bool = False


FOOT = RampState()
"""Where a ramp begins."""


def restart(state: RampState, t_s: float, every_s: float) -> RampState:
    """Return the ramp at its start; the first step comes after `every_s`."""
    return RampState(0.0, 0.0, False, t_s + every_s, state.discharging)


def cycle(state: RampState, soc: float, soc_min: float, soc_max: float) -> RampState:
    """Turn from charging to discharging at ``soc_max``, and at ``soc_min`` back to the foot of the ramp."""
    if soc >= soc_max and not state.discharging:
        return replace(state, discharging=True)
    if soc <= soc_min and state.discharging:
        return FOOT
    return state


def step(
    state: RampState,
    t_s: float,
    *,
    charging_kw: float,
    pv_kw: float,
    max_kw: float,
    step_kw: float,
    pv_share: float,
    every_s: float,
    may_rise: bool,
) -> RampState:
    """Advance the ramp by one step when it is due (figure 5).

    Upwards: first the battery; once it has reached its reference, PV by a smaller step; while PV reaches its limit,
    again. When PV falls short, downwards by the same steps: first PV, then the battery; as soon as PV reaches its limit
    again, the next attempt upwards.

    Parameters
    ----------
    state : RampState
    t_s : float
        Now [s].
    charging_kw, pv_kw : float
        Measured charging power of the battery and power of PV [kW].
    max_kw : float
        Most charging power [kW].
    step_kw, pv_share, every_s : float
        Step of the battery [kW], PV's step as a share of it, time between changes [s].
    may_rise : bool
        The secondary source has room for one more step.

    Returns
    -------
    RampState
    """
    if t_s < state.next_s:
        return state
    charge_kw, pv_limit_kw, falling = state.charge_kw, state.pv_limit_kw, state.falling
    bess_ahead = pv_limit_kw < pv_share * charge_kw - _REACHED_KW * step_kw
    pv_follows = pv_kw >= pv_limit_kw - _REACHED_KW * step_kw
    if bess_ahead and falling:
        if pv_kw <= pv_limit_kw + _REACHED_KW * step_kw:
            charge_kw = max(0.0, charge_kw - step_kw)
    elif bess_ahead:
        if charging_kw >= charge_kw - _REACHED_KW * step_kw:
            pv_limit_kw = pv_share * charge_kw
    elif pv_follows:
        falling = False
        if may_rise and charge_kw + step_kw <= max_kw + 1e-9:
            charge_kw += step_kw
    else:
        falling = True
        pv_limit_kw = max(0.0, pv_limit_kw - pv_share * step_kw)
    if (charge_kw, pv_limit_kw, falling) == (state.charge_kw, state.pv_limit_kw, state.falling):
        return state
    return replace(state, charge_kw=charge_kw, pv_limit_kw=pv_limit_kw, falling=falling, next_s=t_s + every_s)


def pv_limit_kw(state: RampState, charging_kw: float, pv_share: float) -> float:
    """Limit of PV [kW]: never more than its share of what the battery really takes."""
    return min(state.pv_limit_kw, pv_share * max(0.0, charging_kw))


def relief_kw(consumption_kw: float, slow_kw: float) -> float:
    """Compute the slow discharge that relieves the secondary source, within what the hub consumes [kW]."""
    return max(0.0, min(slow_kw, consumption_kw))


def above_limit_kw(consumption_kw: float, limit_kw: float, rated_kw: float) -> float:
    """Discharge of what the hub consumes above a limit [kW]; nothing below it."""
    return max(0.0, min(rated_kw, consumption_kw - limit_kw))


def released_kw(last_kw: float, pv_at_0: bool) -> float:
    """Return the reference of a battery that shall go to 0 [kW]: it goes on charging until PV is measured at 0."""
    return 0.0 if pv_at_0 else min(last_kw, 0.0)
