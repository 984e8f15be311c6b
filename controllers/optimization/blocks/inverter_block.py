"""Reactive power of an inverter: an octagon inside the circle of its apparent power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyomo.core.base.block import BlockData

from .data_checks import finite
from .linear_numbers import Column, NumberRow, Numbers, Values, add_rows, array, column, row
from .time_steps import Steps

# normals of the sides; a corner lies on each axis, so that full active power remains possible
ANGLES = np.pi / 8 + np.pi / 4 * np.arange(8)


def sides(one_way: bool) -> np.ndarray:
    """Return the angles of the sides that can bind: all 8, or the 4 on the side of positive active power."""
    return ANGLES[np.cos(ANGLES) > 0.0] if one_way else ANGLES


def numbers(
    steps: Steps, item: str, inverter_kva: Values | None, q_per_kvarh: float, one_way: bool
) -> tuple[dict[str, Column], dict[str, NumberRow]]:
    """Make the reactive powers and their rows; nothing where `inverter_kva` is None.

    Parameters
    ----------
    steps : Steps
        The grid.
    item : str
        Name for the message.
    inverter_kva : float or array, shape (m, n), optional
        Apparent power [kVA]; an array for m inverters.
    q_per_kvarh : float
        Cost of reactive energy [1/kvarh]; a small one keeps a plan from moving what nobody needs.
    one_way : bool
        Active power never turns negative.

    Returns
    -------
    columns, rows : dict
        To be put into the numbers of the block.
    """
    if inverter_kva is None:
        return {}, {}
    finite(f"{item}.inverter_kva", inverter_kva, 0.0)
    cost = finite(f"{item}.q_per_kvarh", q_per_kvarh, 0.0) * steps.hours
    max_kvar = np.where(steps.open, inverter_kva, 0.0)
    q = column(max_kvar.shape, max_kvar, cost)
    inside = row((sides(one_way).size, *max_kvar.shape), upper=inverter_kva * np.cos(np.pi / 8))
    return {"q_out": q, "q_in": q}, {"circle": inside}


def add(block: BlockData, part: Numbers, active: Sequence[tuple[float, np.ndarray]], one_way: bool) -> None:
    """Add the sides of the octagon, where `part` has them; `active` are the terms of the active power."""
    if "circle" not in part.rows:
        return
    q_out, q_in = array(block, "q_out"), array(block, "q_in")
    angles = sides(one_way).reshape(-1, *[1] * q_out.ndim)
    cos, sin = np.cos(angles), np.sin(angles)
    terms = [(cos * sign, power) for sign, power in active]
    terms += [(sin, q_out), (-sin, q_in)]
    add_rows(block, "circle", part, terms)
