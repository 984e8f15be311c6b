"""Cell equations of Tremblay & Dessaint 2009: voltage, and current at a given power.

Currents are positive when discharging; ``it`` is the charge extracted since full [Ah]; ``i*`` is the current after a
first-order low pass. The voltages are plain arithmetic, so that each line serves Python floats and arrays alike; a
comparison that multiplies a term switches it on or off.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, expm1, log1p
from typing import Any

from ..shared_data import SharedData


@dataclass(frozen=True, eq=False)
class Cell(SharedData):
    """Parameters of the discharge and charge equations.

    Parameters
    ----------
    e0_v : float or array, shape (n,)
        Constant voltage [V].
    r_ohm : float or array, shape (n,)
        Internal resistance [ohm].
    k_v_per_ah : float or array, shape (n,)
        Polarisation constant [V/Ah]; the same number in [ohm] multiplies ``i*``.
    a_v : float or array, shape (n,)
        Amplitude of the exponential zone [V].
    b_per_ah : float or array, shape (n,)
        Inverse of the charge of the exponential zone [1/Ah].
    q_ah : float or array, shape (n,)
        Capacity [Ah].
    """

    e0_v: Any
    r_ohm: Any
    k_v_per_ah: Any
    a_v: Any
    b_per_ah: Any
    q_ah: Any


def open_circuit_v(cell: Cell, it_ah):
    """Compute the voltage at rest: the equations at ``i = i* = 0``.

    Parameters
    ----------
    cell : Cell
        Cell parameters.
    it_ah : float or array, shape (n,)
        Extracted charge [Ah], < Q.

    Returns
    -------
    float or array, shape (n,)
        Open-circuit voltage [V].
    """
    q_ah = cell.q_ah
    return cell.e0_v - cell.k_v_per_ah * q_ah / (q_ah - it_ah) * it_ah + cell.a_v * e ** (-cell.b_per_ah * it_ah)


def open_circuit_wh(cell: Cell, it_ah: float) -> float:
    """Compute the energy that a discharge without losses takes out: the integral of `open_circuit_v` from full.

    Parameters
    ----------
    cell : Cell
        Cell parameters, floats.
    it_ah : float
        Extracted charge [Ah], < Q.

    Returns
    -------
    float
        Energy [Wh].
    """
    q_ah, b = cell.q_ah, cell.b_per_ah
    return (
        cell.e0_v * it_ah
        + cell.k_v_per_ah * q_ah * (it_ah + q_ah * log1p(-it_ah / q_ah))
        - cell.a_v * expm1(-b * it_ah) / b
    )


def polarisation_ohm(cell: Cell, it_ah, i_filtered_a):
    """Compute the resistance that the filtered current sees.

    ``K Q / (Q - it)`` while it discharges, ``K Q / (it + 0.1 Q)`` while it charges: the pole of charging lies outside
    the working range, at SoC 1.1.

    Parameters
    ----------
    cell : Cell
        Cell parameters.
    it_ah : float or array, shape (n,)
        Extracted charge [Ah], < Q.
    i_filtered_a : float or array, shape (n,)
        Filtered current ``i*`` [A]; only its sign matters.

    Returns
    -------
    float or array, shape (n,)
        Polarisation resistance [ohm].
    """
    q_ah = cell.q_ah
    discharging = i_filtered_a > 0
    return cell.k_v_per_ah * q_ah / (discharging * (q_ah - it_ah) + (1 - discharging) * (it_ah + 0.1 * q_ah))


def emf_v(cell: Cell, it_ah, i_filtered_a):
    """Compute the voltage behind the internal resistance, the part that does not follow the current at once.

    Parameters
    ----------
    cell : Cell
        Cell parameters.
    it_ah : float or array, shape (n,)
        Extracted charge [Ah], < Q.
    i_filtered_a : float or array, shape (n,)
        Filtered current ``i*`` [A].

    Returns
    -------
    float or array, shape (n,)
        Voltage [V].
    """
    return open_circuit_v(cell, it_ah) - polarisation_ohm(cell, it_ah, i_filtered_a) * i_filtered_a


def voltage_v(cell: Cell, it_ah, i_a, i_filtered_a):
    """Compute the terminal voltage (Tremblay & Dessaint 2009, Li-ion discharge and charge equations).

    Parameters
    ----------
    cell : Cell
        Cell parameters.
    it_ah : float or array, shape (n,)
        Extracted charge [Ah], < Q.
    i_a : float or array, shape (n,)
        Current [A], > 0 discharges.
    i_filtered_a : float or array, shape (n,)
        Filtered current ``i*`` [A]; equal to `i_a` once the current has been constant for some ``tau``.

    Returns
    -------
    float or array, shape (n,)
        Terminal voltage [V].
    """
    return emf_v(cell, it_ah, i_filtered_a) - cell.r_ohm * i_a


def current_a(source_v: float, r_ohm: float, p_w: float) -> float:
    """Compute the current at which a voltage source behind a resistance gives a power.

    The root of ``p = (source_v - r i) i`` that goes to zero with the power (Lavrenova & Denysiuk 2023, eq. (6) and its
    charging counterpart), written so that it holds for either sign and for ``r = 0``. Beyond the greatest power,
    ``source_v**2 / (4 r)``, there is no root; the answer stays finite there and goes on rising with the power.

    Parameters
    ----------
    source_v : float
        Source voltage [V], > 0.
    r_ohm : float
        Resistance [ohm].
    p_w : float
        Power at the terminals [W], > 0 discharges.

    Returns
    -------
    float
        Current [A], > 0 discharges.
    """
    discriminant = source_v * source_v - 4.0 * r_ohm * p_w
    return 2.0 * p_w / (source_v + discriminant**0.5) if discriminant > 0.0 else 2.0 * p_w / source_v
