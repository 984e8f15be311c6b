"""The power that limits and charge allow of a request, and for how long it can be held constant."""

from __future__ import annotations

from math import floor, inf

from ..units import S_PER_H
from .battery_unit import Unit, current_at, room_ah, settled_current
from .cell_limits import CV_RESOLUTION, ChargingPhase, limit, piece, within
from .cell_motion import ESTIMATE_ERROR, land, time_to, time_to_end
from .regula_falsi import root

_NOTHING_W = 1e-9  # less is what sums of set points leave behind by rounding


def hold(
    unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, step_s: float, cv_resolution: float = CV_RESOLUTION
) -> tuple[float, float, ChargingPhase]:
    """Limit a requested power to what the cell can deliver, and compute how long it can be held constant.

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
    phase : ChargingPhase
        What decides the power.
    """
    if abs(p_w) < _NOTHING_W:
        return 0.0, inf, ChargingPhase.IDLE
    if room_ah(unit, it_ah, p_w) == 0.0:
        return 0.0, inf, ChargingPhase.DONE
    limit_w, phase = _limit_ahead(unit, it_ah, p_w, step_s)
    delivered_w, until_ah, phase = piece(unit, p_w, limit_w, phase, cv_resolution)
    until_s = time_to(unit, it_ah, delivered_w, until_ah)
    steps = max(1, floor(until_s / step_s + 0.5))
    max_a = (2.0 if p_w > 0 else 1.0) * abs(delivered_w) / unit.v_min_v  # `current_a` gives no more
    if room_ah(unit, it_ah, p_w) * S_PER_H <= max_a * steps * step_s:
        end_ah = unit.it_empty_ah if p_w > 0 else unit.it_full_ah
        end_s = until_s if until_ah == end_ah else time_to(unit, it_ah, delivered_w, end_ah)
        delivered_w, steps = _to_end(unit, it_ah, i_filtered_a, delivered_w, step_s, steps, end_s)
    return delivered_w, steps * step_s, phase


def _limit_ahead(unit: Unit, it_ah: float, p_w: float, step_s: float) -> tuple[float, ChargingPhase]:
    """The limit in the middle of the coming step."""
    sign = 1.0 if p_w > 0 else -1.0

    def ahead(delivered_w: float) -> tuple[float, ChargingPhase]:
        middle_ah = it_ah + 0.5 * settled_current(unit, it_ah, sign * delivered_w) * step_s / S_PER_H
        return limit(unit, within(unit, sign, middle_ah), sign)

    asked_w = abs(p_w)
    early = ahead(asked_w)  # too much power is too far ahead, where the limit is too low
    if early[0] >= asked_w:
        return early
    late = ahead(early[0])
    if late[0] <= 1.1 * early[0]:
        return late
    return ahead(root(lambda delivered_w: delivered_w - ahead(delivered_w)[0], 0.0, asked_w))


def _to_end(
    unit: Unit, it_ah: float, i_filtered_a: float, p_w: float, step_s: float, steps: int, end_s: float
) -> tuple[float, int]:
    """Power [W] and steps, at most those given, that do not pass the end of the window, which is `time_to` away [s]."""
    # From afar an estimate will do that is sure to be early; it is asked again there.
    sure_s = (1.0 - ESTIMATE_ERROR) * end_s
    if unit.tau_s < inf:
        now_a = current_at(unit, p_w)(it_ah, i_filtered_a)
        sure_s -= 2.0 * unit.tau_s * abs(now_a / settled_current(unit, it_ah, p_w) - 1.0)
    if sure_s < step_s:
        sure_s = time_to_end(unit, it_ah, i_filtered_a, p_w)
    steps = min(steps, max(1, floor(sure_s / step_s)))
    if steps == 1:
        p_w = land(unit, it_ah, i_filtered_a, p_w, step_s)
    return p_w, steps
