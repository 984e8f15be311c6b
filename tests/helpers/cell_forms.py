"""Cells of Tremblay from other published forms: the points of a data sheet, and the equation of 2007."""

from __future__ import annotations

from dataclasses import replace
from math import e

from evhub.simulators.battery.tremblay_cell import Cell


def extract(
    *,
    v_full_v: float,
    v_exp_v: float,
    v_nom_v: float,
    q_ah: float,
    q_exp_ah: float,
    q_nom_ah: float,
    r_ohm: float,
    i_typical_a: float,
) -> Cell:
    """Cell parameters from three points of a data sheet's discharge curve (Tremblay & Dessaint 2009).

    Parameters
    ----------
    v_full_v, v_exp_v, v_nom_v : float
        Voltage when full, at the end of the exponential zone, at the end of the nominal zone [V].
    q_ah, q_exp_ah, q_nom_ah : float
        Capacity, and charge extracted at the latter two points [Ah]; ``q_exp_ah < q_nom_ah < q_ah``.
    r_ohm : float
        Internal resistance [ohm].
    i_typical_a : float
        Current of the curve [A].

    Returns
    -------
    Cell
        Parameters with which the curve passes the points (the second one to 5 % of the exponential zone).

    Raises
    ------
    ValueError
        If the charges are not in order.
    """
    if not 0 < q_exp_ah < q_nom_ah < q_ah:
        raise ValueError(f"must be 0 < q_exp_ah < q_nom_ah < q_ah, got {q_exp_ah}, {q_nom_ah}, {q_ah}")
    a_v = v_full_v - v_exp_v
    b_per_ah = 3.0 / q_exp_ah
    e0_v = v_full_v + r_ohm * i_typical_a - a_v
    drop_v = e0_v - v_nom_v - r_ohm * i_typical_a + a_v * e ** (-b_per_ah * q_nom_ah)
    k = drop_v / (q_ah / (q_ah - q_nom_ah) * (q_nom_ah + i_typical_a))
    return Cell(e0_v, r_ohm, k, a_v, b_per_ah, q_ah)


def from_2007(cell: Cell) -> Cell:
    """Convert the 2007 form, ``V = E0 - K Q / (Q - it) + A exp(-B it) - R i`` with K in [V], to the 2009 form.

    The two families share their letters. The conversion is exact where ``i* = 0``, as in the 2007 form, which knows no
    filtered current: keep it so with an infinite ``tau_s``.

    Parameters
    ----------
    cell : Cell
        2007 form, `k_v_per_ah` holding K in [V].

    Returns
    -------
    Cell
        2009 form, K in [V/Ah].
    """
    return replace(cell, e0_v=cell.e0_v - cell.k_v_per_ah, k_v_per_ah=cell.k_v_per_ah / cell.q_ah)
