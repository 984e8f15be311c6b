"""One cell at constant power, on Python floats: how far it gets, for how long, and what its limits leave of a request.

A hub has a handful of active batteries at a time; for so few, floats are several times faster than arrays. `battery`
offers the same for arrays of packs, at the grid-side terminals, in [kW].

Motion (`integrate`) and limits (`limit`) follow from the same two formulas of `tremblay`. The limits are those of the
settled cell, whose filtered current has followed the current: they are a function of the charge alone. What passes with
the filter is left to the motion; there the voltage may stand a little beyond its limit for some time constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from math import expm1, floor, inf, log

from ..units import S_PER_H
from . import tremblay_cell as tremblay

CV_RESOLUTION = 0.1
"""Relative change of the current over one piece of constant power in the constant-voltage phase."""

CC_RESOLUTION = 0.02
"""Relative change of the voltage, so of the power, over one piece in the constant-current phase."""

_SOC_TOLERANCE = 1e-10  # closer than this to the end of its window, a battery is at the end
_ERROR_SOC = 3e-7  # of one integration step, of the second order; it is of the fourth
_LONGEST_SOC = 0.1  # of one integration step
_FAST_SOC = 1e-6  # charge of a transient above which it is followed in short steps
_FAST_STEP = 1.5  # of them, in time constants
_MARGIN_SOC = 2e-6  # a promise ends this much before the end of the window: more than integration errors add up to
_LOWEST_SOC = 1e-3  # the voltage has a pole at SoC 0; it is evaluated between this and SoC 1
_NOTHING_W = 1e-9  # less is what sums of set points leave behind by rounding
_ESTIMATE_ERROR = 1e-2  # of `time_to`, relative; tests find 2.3e-3 at most


class Phase(IntEnum):
    """What decides the power of a battery."""

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


@dataclass(frozen=True, eq=False)
class Unit(tremblay.Cell):
    """Parameters of one pack as floats; fields as in `battery.Parameters`, and what follows from them.

    `it_full_ah` and `it_empty_ah` bound the extracted charge: the SoC window, cut to where the settled voltage meets a
    voltage limit at the current `i_end_a`. `flat_v` is the voltage behind the resistance [V] where that depends on
    nothing, as in an ideal battery, so that the current at a power is constant; else 0.
    """

    tau_s: float
    n_series: float
    n_parallel: float
    v_max_v: float
    v_min_v: float
    i_charge_max_a: float
    i_discharge_max_a: float
    i_end_a: float
    p_charge_max_kw: float
    p_discharge_max_kw: float
    eta_charge: float
    eta_discharge: float
    soc_min: float
    soc_max: float
    it_lowest_ah: float = 0.0
    it_full_ah: float = 0.0
    it_empty_ah: float = 0.0
    flat_v: float = 0.0


# ---------------------------------------------------------------------------------------------------------- voltages


def emf_v(unit: Unit, it_ah: float, i_filtered_a: float) -> float:
    """Voltage behind the internal resistance [V], never below the cut-off: no current flows out of an empty cell."""
    source_v = tremblay.emf_v(unit, _inside(unit, it_ah), i_filtered_a)
    return source_v if source_v > unit.v_min_v else unit.v_min_v


def settled_voltage(unit: Unit, it_ah: float, i_a: float) -> float:
    """Terminal voltage [V] once the filtered current has followed the current."""
    rest_v, resistance = settled_source(unit, it_ah, i_a)
    return rest_v - resistance * i_a


def settled_current(unit: Unit, it_ah: float, p_w: float) -> float:
    """Current at a power once the filtered current has followed it [A]."""
    return tremblay.current_a(*settled_source(unit, it_ah, p_w), p_w)


def settled_source(unit: Unit, it_ah: float, sign: float) -> tuple[float, float]:
    """Open-circuit voltage [V], and the resistance [ohm] a settled current of this sign sees."""
    it_ah = _inside(unit, it_ah)
    source_v = tremblay.open_circuit_v(unit, it_ah)
    resistance = unit.r_ohm
    if unit.tau_s < inf:
        resistance += tremblay.polarisation_ohm(unit, it_ah, sign)
    return (source_v if source_v > unit.v_min_v else unit.v_min_v), resistance


def _inside(unit: Unit, it_ah: float) -> float:
    """The extracted charge, or the nearest at which the equations are evaluated."""
    if it_ah < 0.0:
        return 0.0
    lowest_ah = unit.it_lowest_ah
    return it_ah if it_ah < lowest_ah else lowest_ah


# ------------------------------------------------------------------------------------------------------- integration


def integrate(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, dt_s: float) -> tuple[float, float]:
    """State after a constant power.

    Runge-Kutta steps of fourth order for the charge, exact convolution for the filtered current. The current consists
    of a slow part, which is integrated, and a part that dies away with the filter, which is known and taken out: steps
    may be much longer than the filter's time constant.

    Parameters
    ----------
    unit : Unit
        The battery.
    it_ah, i_filtered_a : float
        Extracted charge [Ah] and filtered current [A].
    p_w : float
        Power of the cell [W], > 0 discharges.
    dt_s : float
        Time [s].

    Returns
    -------
    it_ah, i_filtered_a : float
        Extracted charge [Ah] and filtered current [A] at the end.
    """
    tau, r_ohm = unit.tau_s, unit.r_ohm
    if unit.flat_v and i_filtered_a == 0.0:
        return it_ah + tremblay.current_a(unit.flat_v, r_ohm, p_w) * dt_s / S_PER_H, 0.0
    left_s = step_s = dt_s
    while left_s > 0.0:
        slow1 = now_a = tremblay.current_a(emf_v(unit, it_ah, i_filtered_a), r_ohm, p_w)
        fast = slope = 0.0
        if tau < inf:
            # Once the transient is gone, the filtered current lags by tau: it is the settled current of tau ago.
            lagging_a = settled_current(unit, it_ah - now_a * tau / S_PER_H, p_w)
            slow1 = tremblay.current_a(emf_v(unit, it_ah, lagging_a), r_ohm, p_w)
            fast = now_a - slow1
            slope = (slow1 - lagging_a) / tau
        step_s = min(step_s, left_s, _LONGEST_SOC * unit.q_ah * S_PER_H / max(abs(now_a), 1e-12))
        if abs(fast) * min(tau, step_s) > _FAST_SOC * unit.q_ah * S_PER_H:
            step_s = min(step_s, _FAST_STEP * tau)
        while True:
            half_s = 0.5 * step_s
            x, decay, ramp, _ = _filter(half_s, tau)
            fast_ah = fast * (tau * (1.0 - decay) if tau < inf else half_s) / S_PER_H
            offset = slow1 + (i_filtered_a - slow1 + fast * x) * decay
            source = emf_v(unit, it_ah + fast_ah + slow1 * half_s / S_PER_H, offset + slope * half_s * ramp)
            slow2 = tremblay.current_a(source, r_ohm, p_w) - fast * decay
            source = emf_v(unit, it_ah + fast_ah + slow2 * half_s / S_PER_H, offset + (slow2 - slow1) * ramp)
            slow3 = tremblay.current_a(source, r_ohm, p_w) - fast * decay

            fast_ah *= 1.0 + decay
            x, decay, ramp, bow = _filter(step_s, tau)
            offset = slow1 + (i_filtered_a - slow1 + fast * x) * decay
            source = emf_v(unit, it_ah + fast_ah + slow3 * step_s / S_PER_H, offset + 2.0 * (slow3 - slow1) * ramp)
            slow4 = tremblay.current_a(source, r_ohm, p_w) - fast * decay

            bend = slow1 - slow2 - slow3 + slow4
            error = abs(bend) * step_s / (6.0 * S_PER_H * unit.q_ah)
            factor = 0.9 * (_ERROR_SOC / max(error, 1e-6 * _ERROR_SOC)) ** (1.0 / 3.0)
            if factor >= 0.9 or step_s < 1e-3:
                break
            step_s *= max(factor, 0.1)
        it_ah += fast_ah + (slow1 + 2.0 * (slow2 + slow3) + slow4) * step_s / (6.0 * S_PER_H)
        i_filtered_a = offset + (slow4 - slow1) * ramp + 2.0 * bend * (bow - ramp)
        left_s -= step_s
        step_s *= min(factor, 5.0)
    return it_ah, i_filtered_a


def _filter(time_s: float, tau: float) -> tuple[float, float, float, float]:
    """Time over `tau`, and what is left of a start value, what came through of a ramp and of a parabola to 1."""
    x = time_s / tau
    if x < 1e-9:
        return x, 1.0, 0.0, 0.0
    gone = -expm1(-x)
    ramp = 1.0 - gone / x
    return x, 1.0 - gone, ramp, 1.0 - 2.0 * ramp / x


# -------------------------------------------------------------------------------------------- the ends of the window


def with_ends(unit: Unit) -> Unit:
    """The unit with the charges at its ends filled in.

    Raises
    ------
    ValueError
        If a voltage limit lies outside what the cell shows between full and empty.
    """
    lowest_ah = (1.0 - _LOWEST_SOC) * unit.q_ah

    def above(limit_v: float, i_a: float) -> Callable[[float], float]:
        filtered_a = i_a if unit.tau_s < inf else 0.0
        return lambda it_ah: tremblay.voltage_v(unit, it_ah, i_a, filtered_a) - limit_v

    over, under = above(unit.v_max_v, -unit.i_end_a), above(unit.v_min_v, unit.i_end_a)
    if over(lowest_ah) >= 0.0:
        raise ValueError(f"v_max_v must be above the voltage of the empty cell, got {unit.v_max_v}")
    if under(0.0) <= 0.0:
        raise ValueError(f"v_min_v must be below the voltage of the full cell, got {unit.v_min_v}")
    full_ah = _root(over, 0.0, lowest_ah) if over(0.0) > 0.0 else 0.0
    empty_ah = _root(under, 0.0, lowest_ah) if under(lowest_ah) < 0.0 else unit.q_ah
    return replace(
        unit,
        it_lowest_ah=lowest_ah,
        it_full_ah=max(full_ah, (1.0 - unit.soc_max) * unit.q_ah),
        it_empty_ah=min(empty_ah, (1.0 - unit.soc_min) * unit.q_ah),
        flat_v=max(unit.e0_v, unit.v_min_v) if unit.k_v_per_ah == unit.a_v == 0.0 and unit.tau_s == inf else 0.0,
    )


def room_ah(unit: Unit, it_ah: float, p_w: float) -> float:
    """Charge that a power of this sign may still move [Ah]; exactly 0 where it is negligible."""
    room = unit.it_empty_ah - it_ah if p_w > 0 else it_ah - unit.it_full_ah
    return room if room > _SOC_TOLERANCE * unit.q_ah else 0.0


def time_to(unit: Unit, it_ah: float, p_w: float, end_ah: float) -> float:
    """Time [s] to an extracted charge at constant power, with a settled current: the energy between over the power."""
    if unit.flat_v:
        return (end_ah - it_ah) / tremblay.current_a(unit.flat_v, unit.r_ohm, p_w) * S_PER_H
    energy_wh = tremblay.open_circuit_wh(unit, _inside(unit, end_ah))
    energy_wh -= tremblay.open_circuit_wh(unit, _inside(unit, it_ah))
    drop_v = 0.0
    for at_ah, weight in ((it_ah, 1.0), (0.5 * (it_ah + end_ah), 4.0), (end_ah, 1.0)):  # Simpson's rule
        rest_v, resistance = settled_source(unit, at_ah, p_w)
        drop_v += weight * resistance * tremblay.current_a(rest_v, resistance, p_w)
    return (energy_wh - drop_v / 6.0 * (end_ah - it_ah)) / p_w * S_PER_H


def time_to_end(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float) -> float:
    """Time [s] after which `integrate` meets the end of the window, less `_MARGIN_SOC`."""
    end_ah = unit.it_empty_ah - _MARGIN_SOC * unit.q_ah if p_w > 0 else unit.it_full_ah + _MARGIN_SOC * unit.q_ah
    if (end_ah - it_ah) * p_w <= 0.0:
        return 0.0
    time_s = time_to(unit, it_ah, p_w, end_ah)
    for _ in range(5):
        reached_ah, filtered_a = integrate(unit, it_ah, i_filtered_a, p_w, time_s)
        i_a = tremblay.current_a(emf_v(unit, reached_ah, filtered_a), unit.r_ohm, p_w)
        correction_s = (end_ah - reached_ah) / i_a * S_PER_H
        time_s += correction_s
        if abs(reached_ah - end_ah) < 0.1 * _MARGIN_SOC * unit.q_ah:
            break
    return time_s


def land(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, dt_s: float) -> float:
    """Greatest part of a power [W] that does not pass the end of the window within a time; it ends there exactly."""
    end_ah = unit.it_empty_ah if p_w > 0 else unit.it_full_ah

    def beyond(given_w: float) -> float:
        return (integrate(unit, it_ah, i_filtered_a, given_w, dt_s)[0] - end_ah) * (1.0 if p_w > 0 else -1.0)

    return p_w if beyond(p_w) <= 0.0 else _root(beyond, 0.0, p_w, tolerance=1e-13)


# ---------------------------------------------------------------------------------------------------------- the limits


def limit(unit: Unit, it_ah: float, sign: float) -> tuple[float, Phase]:
    """Greatest power [W], >= 0, that keeps current and settled voltage within their limits; and which of them binds."""
    most_a, limit_v = _limits(unit, sign)
    rest_v, resistance = settled_source(unit, it_ah, sign)
    voltage_v = rest_v - sign * resistance * most_a
    if sign * (voltage_v - limit_v) >= 0.0:
        return most_a * voltage_v, Phase.CURRENT
    return max(0.0, sign * (rest_v - limit_v)) / resistance * limit_v, Phase.VOLTAGE


def piece(unit: Unit, p_w: float, limit_w: float, phase: Phase, cv_resolution: float) -> tuple[float, float, Phase]:
    """Where a request stands on the staircase that stands for the limits.

    Along a limit the power changes all the time. It is cut into pieces of constant power, each between two levels with
    a fixed ratio, at its mean. The levels are those of the request, not of the moment: whoever asks again in the middle
    of a piece gets the same answer.

    Parameters
    ----------
    unit : Unit
        The battery.
    p_w : float
        Requested power of the cell [W], > 0 discharges, not 0.
    limit_w, phase : float, Phase
        Greatest power [W], >= 0, and what binds it, see `limit`.
    cv_resolution : float
        Relative change of the power from level to level along the voltage limit.

    Returns
    -------
    p_w : float
        Power [W], of the same sign and at most as large.
    until_ah : float
        Extracted charge [Ah] at which the piece ends.
    phase : Phase
        `POWER`, `CURRENT` or `VOLTAGE`.
    """
    if limit_w >= abs(p_w):
        return p_w, _clear_until_ah(unit, p_w), Phase.POWER
    sign = 1.0 if p_w > 0 else -1.0
    top_w = abs(p_w)
    if phase is Phase.VOLTAGE or sign < 0:
        most_a, limit_v = _limits(unit, sign)
        top_w = min(top_w, most_a * limit_v)
    resolution = cv_resolution if phase is Phase.VOLTAGE else CC_RESOLUTION
    level = max(0, floor(log(limit_w / top_w) / log(1.0 - resolution)))
    mean_w, until_ah = _stair(unit, sign, phase, top_w * (1.0 - resolution) ** level, resolution)
    return sign * min(mean_w, abs(p_w)), until_ah, phase


@lru_cache(maxsize=4096)
def _clear_until_ah(unit: Unit, p_w: float) -> float:
    """Extracted charge up to which a power keeps clear of the limits, at most the end of the window."""
    sign = 1.0 if p_w > 0 else -1.0
    most_a, limit_v = _limits(unit, sign)
    if p_w > 0:
        limit_v = max(limit_v, p_w / most_a)  # as the voltage falls, the current rises to its own limit
    return _where(unit, p_w / limit_v, limit_v, unit.it_full_ah, unit.it_empty_ah)


@lru_cache(maxsize=4096)
def _stair(unit: Unit, sign: float, phase: Phase, upper_w: float, resolution: float) -> tuple[float, float]:
    """Mean power [W], >= 0, between a level and the next lower one, and the extracted charge at which it ends."""
    most_a, limit_v = _limits(unit, sign)
    lower_w = (1.0 - resolution) * upper_w

    def where(i_a: float, voltage_v: float) -> float:
        return _where(unit, sign * i_a, voltage_v, 0.0, unit.it_lowest_ah)

    if phase is Phase.CURRENT:  # the power follows the voltage, which rises during charge, falls during discharge
        last_w = max(lower_w, most_a * limit_v) if sign > 0 else upper_w
        until_ah = _within(unit, sign, where(most_a, last_w / most_a))
        return 0.5 * (upper_w + lower_w), until_ah
    from_ah = where(upper_w / limit_v, limit_v)
    until_ah = _within(unit, sign, where(lower_w / limit_v, limit_v))
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


def _within(unit: Unit, sign: float, it_ah: float) -> float:
    """The extracted charge, or the end of the window if that comes first."""
    return min(it_ah, unit.it_empty_ah) if sign > 0 else max(it_ah, unit.it_full_ah)


def _where(unit: Unit, i_a: float, voltage_v: float, least_ah: float, most_ah: float) -> float:
    """Extracted charge at which the settled voltage has a value, or the bound nearest to it."""

    def above(it_ah: float) -> float:
        return settled_voltage(unit, it_ah, i_a) - voltage_v

    if above(least_ah) <= 0.0:
        return least_ah
    if above(most_ah) >= 0.0:
        return most_ah
    return _root(above, least_ah, most_ah)


def _root(function: Callable[[float], float], a: float, b: float, tolerance: float = 1e-8) -> float:
    """Root of a function that changes sign between a and b (regula falsi, Illinois variant), relative tolerance."""
    at_a, at_b = function(a), function(b)
    for _ in range(60):
        x = b - at_b * (b - a) / (at_b - at_a)
        at_x = function(x)
        if at_x == 0.0 or abs(x - b) <= tolerance * abs(b):
            return x
        if at_x * at_b < 0.0:
            a, at_a = b, at_b
        else:
            at_a *= 0.5
        b, at_b = x, at_x
    return b


# ---------------------------------------------------------------------------------------------------------------- hold


def hold(
    unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, step_s: float, cv_resolution: float = CV_RESOLUTION
) -> tuple[float, float, Phase]:
    """Constant power delivered on request from now on, and how long.

    Parameters
    ----------
    unit : Unit
        The battery.
    it_ah, i_filtered_a : float
        Extracted charge [Ah] and filtered current [A].
    p_w : float
        Requested power of the cell [W], > 0 discharges, within the converter's rating.
    step_s : float
        Step of the time grid [s].
    cv_resolution : float
        Relative change of the power from piece to piece of the constant-voltage phase.

    Returns
    -------
    p_w : float
        Power delivered [W].
    hold_s : float
        Time for which it is [s], a multiple of `step_s`; inf if nothing will change.
    phase : Phase
        What decides the power.
    """
    if abs(p_w) < _NOTHING_W:
        return 0.0, inf, Phase.IDLE
    if room_ah(unit, it_ah, p_w) == 0.0:
        return 0.0, inf, Phase.DONE
    limit_w, phase = _limit_ahead(unit, it_ah, p_w, step_s)
    given_w, until_ah, phase = piece(unit, p_w, limit_w, phase, cv_resolution)
    until_s = time_to(unit, it_ah, given_w, until_ah)
    steps = max(1, floor(until_s / step_s + 0.5))
    most_a = (2.0 if p_w > 0 else 1.0) * abs(given_w) / unit.v_min_v  # `current_a` gives no more
    if room_ah(unit, it_ah, p_w) * S_PER_H <= most_a * steps * step_s:
        end_ah = unit.it_empty_ah if p_w > 0 else unit.it_full_ah
        end_s = until_s if until_ah == end_ah else time_to(unit, it_ah, given_w, end_ah)
        given_w, steps = _to_end(unit, it_ah, i_filtered_a, given_w, step_s, steps, end_s)
    return given_w, steps * step_s, phase


def _limit_ahead(unit: Unit, it_ah: float, p_w: float, step_s: float) -> tuple[float, Phase]:
    """The limit in the middle of the coming step."""
    sign = 1.0 if p_w > 0 else -1.0

    def ahead(given_w: float) -> tuple[float, Phase]:
        middle_ah = it_ah + 0.5 * settled_current(unit, it_ah, sign * given_w) * step_s / S_PER_H
        return limit(unit, _within(unit, sign, middle_ah), sign)

    asked_w = abs(p_w)
    early = ahead(asked_w)  # too much power is too far ahead, where the limit is too low
    if early[0] >= asked_w:
        return early
    late = ahead(early[0])
    if late[0] <= 1.1 * early[0]:
        return late
    return ahead(_root(lambda given_w: given_w - ahead(given_w)[0], 0.0, asked_w))


def _to_end(
    unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, step_s: float, steps: int, end_s: float
) -> tuple[float, int]:
    """Power [W] and steps, at most those given, that do not pass the end of the window, which is `time_to` away [s]."""
    # From afar an estimate will do that is sure to be early; it is asked again there.
    sure_s = (1.0 - _ESTIMATE_ERROR) * end_s
    if unit.tau_s < inf:
        now_a = tremblay.current_a(emf_v(unit, it_ah, i_filtered_a), unit.r_ohm, p_w)
        sure_s -= 2.0 * unit.tau_s * abs(now_a / settled_current(unit, it_ah, p_w) - 1.0)
    if sure_s < step_s:
        sure_s = time_to_end(unit, it_ah, i_filtered_a, p_w)
    steps = min(steps, max(1, floor(sure_s / step_s)))
    if steps == 1:
        p_w = land(unit, it_ah, i_filtered_a, p_w, step_s)
    return p_w, steps
