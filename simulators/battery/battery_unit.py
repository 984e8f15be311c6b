"""One battery pack in Python floats: its parameters, the limits of its charge, and the voltages of its cells.

A hub has a handful of active batteries at a time; for so few, floats are several times faster than arrays. Beside this
file stand the motion (`cell_motion`), the limits (`cell_limits`) and what they leave of a request (`cell_hold`);
`battery_model` offers the same for arrays of packs, at the grid-side terminals, in [kW].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import e, inf

from . import tremblay_cell
from .regula_falsi import root

_SOC_TOLERANCE = 1e-10  # closer than this to the end of its window, a battery is at the end
_LOWEST_SOC = 1e-3  # the voltage has a pole at SoC 0; it is evaluated between this and SoC 1


@dataclass(frozen=True, eq=False)
class Unit(tremblay_cell.Cell):
    """Parameters of one pack as floats; fields as in `BatteryParameters`, and what follows from them.

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


# ------------------------------------------------------------------------------------------- ranges and ends

_RANGES = (
    (
        ("e0_v", "b_per_ah", "q_ah", "n_series", "n_parallel", "v_max_v", "v_min_v"),
        "> 0 and finite",
        lambda x: 0 < x < inf,
    ),
    (("i_charge_max_a", "i_discharge_max_a", "i_end_a"), "> 0 and finite", lambda x: 0 < x < inf),
    (("tau_s",), "> 0", lambda x: x > 0),
    (("r_ohm", "k_v_per_ah", "a_v"), ">= 0 and finite", lambda x: 0 <= x < inf),
    (("p_charge_max_kw", "p_discharge_max_kw"), ">= 0 and finite", lambda x: 0 <= x < inf),
    (("eta_charge", "eta_discharge"), "in (0, 1]", lambda x: 0 < x <= 1),
    (("soc_min", "soc_max"), "in [0, 1]", lambda x: 0 <= x <= 1),
)


def checked(unit: Unit) -> Unit:
    """Return the unit with the charges at its ends filled in.

    Raises
    ------
    ValueError
        If a value is out of range, or a voltage limit lies outside what the cell shows between full and empty.
    """
    for names, allowed, holds in _RANGES:
        for name in names:
            value = getattr(unit, name)
            if not holds(value):
                raise ValueError(f"{name} must be {allowed}, got {value}")
    if not unit.soc_min <= unit.soc_max:
        raise ValueError(f"soc_min must be <= soc_max, got {unit.soc_min} and {unit.soc_max}")
    if not 0.5 * unit.e0_v <= unit.v_min_v < unit.v_max_v:
        # Below half the voltage a cell gives less power the more current it is asked for.
        raise ValueError(f"must be e0_v / 2 <= v_min_v < v_max_v, got {unit.v_min_v} and {unit.v_max_v}")
    return _with_ends(unit)


def _with_ends(unit: Unit) -> Unit:
    """Fill in what follows from the limits: the charges at the ends, and a voltage that depends on nothing."""
    lowest_ah = (1.0 - _LOWEST_SOC) * unit.q_ah

    def above(limit_v: float, i_a: float) -> Callable[[float], float]:
        filtered_a = i_a if unit.tau_s < inf else 0.0
        return lambda it_ah: tremblay_cell.voltage_v(unit, it_ah, i_a, filtered_a) - limit_v

    over, under = above(unit.v_max_v, -unit.i_end_a), above(unit.v_min_v, unit.i_end_a)
    if over(lowest_ah) >= 0.0:
        raise ValueError(f"v_max_v must be above the voltage of the empty cell, got {unit.v_max_v}")
    if under(0.0) <= 0.0:
        raise ValueError(f"v_min_v must be below the voltage of the full cell, got {unit.v_min_v}")
    full_ah = root(over, 0.0, lowest_ah) if over(0.0) > 0.0 else 0.0
    empty_ah = root(under, 0.0, lowest_ah) if under(lowest_ah) < 0.0 else unit.q_ah
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


# ---------------------------------------------------------------------------------------------------------- voltages


def emf_v(unit: Unit, it_ah: float, i_filtered_a: float) -> float:
    """Compute the voltage behind the internal resistance [V], never below the cut-off voltage of an empty cell."""
    source_v = tremblay_cell.emf_v(unit, inside(unit, it_ah), i_filtered_a)
    return source_v if source_v > unit.v_min_v else unit.v_min_v


def settled_current(unit: Unit, it_ah: float, p_w: float) -> float:
    """Compute the current at a power [A] once the filtered current has followed it."""
    rest_v, resistance = settled_source(unit, it_ah, p_w)
    return tremblay_cell.current_a(rest_v, resistance, p_w)


def settled_source(unit: Unit, it_ah: float, sign: float) -> tuple[float, float]:
    """Return the open-circuit voltage [V], and the resistance [ohm] that a settled current of this sign sees."""
    # the equations of `tremblay_cell`, written out for speed
    if it_ah < 0.0:
        it_ah = 0.0
    elif it_ah > unit.it_lowest_ah:
        it_ah = unit.it_lowest_ah
    q_ah, v_min_v, ohm = unit.q_ah, unit.v_min_v, unit.r_ohm
    left_ah, kq = q_ah - it_ah, unit.k_v_per_ah * q_ah
    source_v = unit.e0_v - kq / left_ah * it_ah + unit.a_v * e ** (-unit.b_per_ah * it_ah)
    if unit.tau_s < inf:
        ohm += kq / (left_ah if sign > 0.0 else it_ah + 0.1 * q_ah)
    return (source_v if source_v > v_min_v else v_min_v), ohm


def current_at(unit: Unit, p_w: float) -> Callable[[float, float], float]:
    """Return the current at a power [A] as a function of extracted charge [Ah] and filtered current [A].

    It is that of `emf_v`, with the equations written out and the parameters at hand: a quarter of an hour of a cell
    takes some fifteen of them, and calls took longer than what they compute.
    """
    e0_v, a_v, minus_b, q_ah = unit.e0_v, unit.a_v, -unit.b_per_ah, unit.q_ah
    kq, tenth_ah, lowest_ah, v_min_v = unit.k_v_per_ah * q_ah, 0.1 * q_ah, unit.it_lowest_ah, unit.v_min_v
    four_rp, two_p = 4.0 * unit.r_ohm * p_w, 2.0 * p_w

    def current_a(it_ah: float, i_filtered_a: float) -> float:
        if it_ah < 0.0:
            it_ah = 0.0
        elif it_ah > lowest_ah:
            it_ah = lowest_ah
        left_ah = q_ah - it_ah
        ohm = kq / (left_ah if i_filtered_a > 0.0 else it_ah + tenth_ah)
        source_v = e0_v - kq / left_ah * it_ah + a_v * e ** (minus_b * it_ah) - ohm * i_filtered_a
        if source_v <= v_min_v:
            source_v = v_min_v
        discriminant = source_v * source_v - four_rp
        return two_p / (source_v + discriminant**0.5) if discriminant > 0.0 else two_p / source_v

    return current_a


def inside(unit: Unit, it_ah: float) -> float:
    """Clip an extracted charge to the range in which the cell equations are evaluated."""
    if it_ah < 0.0:
        return 0.0
    lowest_ah = unit.it_lowest_ah
    return it_ah if it_ah < lowest_ah else lowest_ah
