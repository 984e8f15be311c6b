"""Current and voltage limits of a cell: the constant-current and constant-voltage (CC/CV) phases of a charge.

The limits are those of the settled cell, whose filtered current has followed the current: they are a function of the
charge alone. What passes with the filter is left to the motion; there the voltage may stand a little beyond its limit
for some time constants.
"""

from __future__ import annotations

from enum import IntEnum
from math import floor, inf, log

from ..units import S_PER_H
from .battery_unit import Unit, settled_source
from .regula_falsi import root

CV_RESOLUTION = 0.1
"""Relative change of the current over one piece of constant power in the constant-voltage phase."""

CC_RESOLUTION = 0.02
"""Relative change of the voltage, so of the power, over one piece in the constant-current phase."""


class ChargingPhase(IntEnum):
    """The limit that decides the power of a battery."""

    IDLE = 0
    """Nothing is asked, or the converter has no rating in this direction."""
    POWER = 1
    """The request, or the converter's rating."""
    CURRENT = 2
    """The current limit of the cell: the constant-current (CC) phase of a charge."""
    VOLTAGE = 3
    """The voltage limit of the cell: the constant-voltage (CV) phase of a charge."""
    DONE = 4
    """The end of the SoC window, or of the CV phase, is reached: no power."""


def limit(unit: Unit, it_ah: float, sign: float) -> tuple[float, ChargingPhase]:
    """Compute the greatest power [W], >= 0, within the limits of current and settled voltage, and which one binds."""
    max_a, limit_v = _limits(unit, sign)
    rest_v, resistance = settled_source(unit, it_ah, sign)
    voltage_v = rest_v - sign * resistance * max_a
    if sign * (voltage_v - limit_v) >= 0.0:
        return max_a * voltage_v, ChargingPhase.CURRENT
    return max(0.0, sign * (rest_v - limit_v)) / resistance * limit_v, ChargingPhase.VOLTAGE


def piece(
    unit: Unit, p_w: float, limit_w: float, phase: ChargingPhase, cv_resolution: float
) -> tuple[float, float, ChargingPhase]:
    """Compute the piece of constant power that stands for a limit at this point of a charge.

    Along a limit the power changes all the time. It is cut into pieces of constant power, each between two levels with
    a fixed ratio, at its mean. The levels are those of the request, not of the moment: whoever asks again in the middle
    of a piece gets the same answer.

    Parameters
    ----------
    unit : Unit
        The battery.
    p_w : float
        Requested power of the cell [W], > 0 discharges, not 0.
    limit_w, phase : float, ChargingPhase
        Greatest power [W], >= 0, and what binds it, see `limit`.
    cv_resolution : float
        Relative change of the power from level to level along the voltage limit.

    Returns
    -------
    p_w : float
        Power [W], of the same sign and at most as large.
    until_ah : float
        Extracted charge [Ah] at which the piece ends.
    phase : ChargingPhase
        `POWER`, `CURRENT` or `VOLTAGE`.
    """
    if limit_w >= abs(p_w):
        return p_w, clear_until_ah(unit, p_w), ChargingPhase.POWER
    sign = 1.0 if p_w > 0 else -1.0
    top_w = abs(p_w)
    if phase is ChargingPhase.VOLTAGE or sign < 0:
        max_a, limit_v = _limits(unit, sign)
        top_w = min(top_w, max_a * limit_v)
    resolution = cv_resolution if phase is ChargingPhase.VOLTAGE else CC_RESOLUTION
    level = max(0, floor(log(limit_w / top_w) / log(1.0 - resolution)))
    mean_w, until_ah = _stair(unit, sign, phase, top_w * (1.0 - resolution) ** level, resolution)
    return sign * min(mean_w, abs(p_w)), until_ah, phase


def clear_until_ah(unit: Unit, p_w: float) -> float:
    """Compute the extracted charge up to which a power meets no limit, at most the end of the window."""
    sign = 1.0 if p_w > 0 else -1.0
    max_a, limit_v = _limits(unit, sign)
    if p_w > 0:
        limit_v = max(limit_v, p_w / max_a)  # as the voltage falls, the current rises to its own limit
    return _where(unit, p_w / limit_v, limit_v, unit.it_full_ah, unit.it_empty_ah)


def _stair(unit: Unit, sign: float, phase: ChargingPhase, upper_w: float, resolution: float) -> tuple[float, float]:
    """Mean power [W], >= 0, between a level and the next lower one, and the extracted charge at which it ends."""
    max_a, limit_v = _limits(unit, sign)
    lower_w = (1.0 - resolution) * upper_w

    def where(i_a: float, voltage_v: float) -> float:
        return _where(unit, sign * i_a, voltage_v, 0.0, unit.it_lowest_ah)

    if (
        phase is ChargingPhase.CURRENT
    ):  # the power follows the voltage, which rises during charge, falls during discharge
        last_w = max(lower_w, max_a * limit_v) if sign > 0 else upper_w
        until_ah = within(unit, sign, where(max_a, last_w / max_a))
        return 0.5 * (upper_w + lower_w), until_ah
    from_ah = where(upper_w / limit_v, limit_v)
    until_ah = within(unit, sign, where(lower_w / limit_v, limit_v))
    lower_w = max(lower_w, limit(unit, until_ah, sign)[0])
    # The filtered current lags behind the falling current: what the one has too much of, the other has too little.
    _, resistance = settled_source(unit, until_ah, sign)
    lag_s = unit.tau_s * (1.0 - unit.r_ohm / resistance) if unit.tau_s < inf else 0.0
    fall_per_s = (upper_w - lower_w) / limit_v / max(abs(until_ah - from_ah), 1e-12) / S_PER_H
    mean_w = (upper_w - lower_w) / log(upper_w / lower_w) if lower_w < upper_w else upper_w
    return mean_w / (1.0 + lag_s * fall_per_s), until_ah


def _limits(unit: Unit, sign: float) -> tuple[float, float]:
    """Current limit [A], >= 0, and voltage limit [V] in one direction."""
    return (unit.i_discharge_max_a, unit.v_min_v) if sign > 0 else (unit.i_charge_max_a, unit.v_max_v)


def within(unit: Unit, sign: float, it_ah: float) -> float:
    """Limit an extracted charge to the end of the SoC window."""
    return min(it_ah, unit.it_empty_ah) if sign > 0 else max(it_ah, unit.it_full_ah)


def _where(unit: Unit, i_a: float, voltage_v: float, min_ah: float, max_ah: float) -> float:
    """Extracted charge at which the settled voltage has a value, or the bound nearest to it."""

    def above(it_ah: float) -> float:
        rest_v, resistance = settled_source(unit, it_ah, i_a)
        return rest_v - resistance * i_a - voltage_v

    at_min = above(min_ah)
    if at_min <= 0.0:
        return min_ah
    at_max = above(max_ah)
    if at_max >= 0.0:
        return max_ah
    return root(above, min_ah, max_ah, ends=(at_min, at_max))
