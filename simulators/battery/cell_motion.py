"""Charge and filtered current of a cell over time at constant power, and the time to an end of the SoC window."""

from __future__ import annotations

from math import expm1, inf

from ..units import S_PER_H
from . import tremblay_cell
from .battery_unit import Unit, current_at, emf_v, inside, settled_current, settled_source
from .regula_falsi import root

ESTIMATE_ERROR = 1e-2
"""Relative error of `time_to`; tests find 2.3e-3 at most."""

_ERROR_SOC = 3e-7  # of one integration step, of the second order; it is of the fourth
_LONGEST_SOC = 0.1  # of one integration step
_FAST_SOC = 1e-6  # charge of a transient above which it is followed in short steps
_FAST_STEP = 1.5  # of them, in time constants
_MARGIN_SOC = 2e-6  # a promise ends this much before the end of the window: more than integration errors add up to


def integrate(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, dt_s: float) -> tuple[float, float]:
    """Integrate charge and filtered current over a time at constant power.

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
    tau = unit.tau_s
    if unit.flat_v and i_filtered_a == 0.0:
        return it_ah + tremblay_cell.current_a(unit.flat_v, unit.r_ohm, p_w) * dt_s / S_PER_H, 0.0
    current_a = current_at(unit, p_w)
    longest_as, fast_as = _LONGEST_SOC * unit.q_ah * S_PER_H, _FAST_SOC * unit.q_ah * S_PER_H
    left_s = step_s = dt_s
    while left_s > 0.0:
        slow1 = now_a = current_a(it_ah, i_filtered_a)
        fast = slope = 0.0
        if tau < inf:
            # Once the transient is gone, the filtered current lags by tau: it is the settled current of tau ago.
            lagging_a = settled_current(unit, it_ah - now_a * tau / S_PER_H, p_w)
            slow1 = current_a(it_ah, lagging_a)
            fast = now_a - slow1
            slope = (slow1 - lagging_a) / tau
        longest_s = longest_as / max(abs(now_a), 1e-12)
        if step_s > left_s:
            step_s = left_s
        if step_s > longest_s:
            step_s = longest_s
        if step_s > _FAST_STEP * tau and abs(fast) * tau > fast_as:
            step_s = _FAST_STEP * tau
        while True:
            half_s = 0.5 * step_s
            x, decay, ramp, _ = _filter(half_s, tau)
            fast_ah = fast * (tau * (1.0 - decay) if tau < inf else half_s) / S_PER_H
            offset = slow1 + (i_filtered_a - slow1 + fast * x) * decay
            at_ah = it_ah + fast_ah + slow1 * half_s / S_PER_H
            slow2 = current_a(at_ah, offset + slope * half_s * ramp) - fast * decay
            at_ah = it_ah + fast_ah + slow2 * half_s / S_PER_H
            slow3 = current_a(at_ah, offset + (slow2 - slow1) * ramp) - fast * decay

            fast_ah *= 1.0 + decay
            x, decay, ramp, bow = _filter(step_s, tau)
            offset = slow1 + (i_filtered_a - slow1 + fast * x) * decay
            at_ah = it_ah + fast_ah + slow3 * step_s / S_PER_H
            slow4 = current_a(at_ah, offset + 2.0 * (slow3 - slow1) * ramp) - fast * decay

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


def time_to(unit: Unit, it_ah: float, p_w: float, end_ah: float) -> float:
    """Compute the time [s] to an extracted charge at constant power and settled current: energy over power."""
    if unit.flat_v:
        return (end_ah - it_ah) / tremblay_cell.current_a(unit.flat_v, unit.r_ohm, p_w) * S_PER_H
    energy_wh = tremblay_cell.open_circuit_wh(unit, inside(unit, end_ah))
    energy_wh -= tremblay_cell.open_circuit_wh(unit, inside(unit, it_ah))
    drop_v = 0.0
    for at_ah, weight in ((it_ah, 1.0), (0.5 * (it_ah + end_ah), 4.0), (end_ah, 1.0)):  # Simpson's rule
        rest_v, resistance = settled_source(unit, at_ah, p_w)
        drop_v += weight * resistance * tremblay_cell.current_a(rest_v, resistance, p_w)
    return (energy_wh - drop_v / 6.0 * (end_ah - it_ah)) / p_w * S_PER_H


def time_to_end(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float) -> float:
    """Compute the time [s] after which `integrate` meets the end of the window, less `_MARGIN_SOC`."""
    end_ah = unit.it_empty_ah - _MARGIN_SOC * unit.q_ah if p_w > 0 else unit.it_full_ah + _MARGIN_SOC * unit.q_ah
    if (end_ah - it_ah) * p_w <= 0.0:
        return 0.0
    time_s = time_to(unit, it_ah, p_w, end_ah)
    for _ in range(5):
        reached_ah, filtered_a = integrate(unit, it_ah, i_filtered_a, p_w, time_s)
        i_a = tremblay_cell.current_a(emf_v(unit, reached_ah, filtered_a), unit.r_ohm, p_w)
        correction_s = (end_ah - reached_ah) / i_a * S_PER_H
        time_s += correction_s
        if abs(reached_ah - end_ah) < 0.1 * _MARGIN_SOC * unit.q_ah:
            break
    return time_s


def land(unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, dt_s: float) -> float:
    """Limit a power [W] so that the charge does not pass the end of the window within a time; it may end there."""
    end_ah, sign = (unit.it_empty_ah, 1.0) if p_w > 0 else (unit.it_full_ah, -1.0)

    def beyond(trial_w: float) -> float:
        return (integrate(unit, it_ah, i_filtered_a, trial_w, dt_s)[0] - end_ah) * sign

    beyond_ah = beyond(p_w)
    if beyond_ah <= 0.0:
        return p_w
    return root(beyond, 0.0, p_w, tolerance=1e-13, ends=((it_ah - end_ah) * sign, beyond_ah))
