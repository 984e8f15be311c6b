"""Formulas that key figures of several subjects share: parts of a power, energies, times, the supply of a hub.

Signals are arrays of shape (k,) over common times `t_s` (k,) that end at `end_s`, see `step_signals`. Signs: sources
positive when they feed the hub bus, loads positive when they consume, grid positive when it imports.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...simulators.units import S_PER_H, energy_kwh
from . import step_signals

DEAD, GRID, ISLANDED = 0, 1, 2
"""Supply of a hub, see `supply`."""

_FLOWS_KW = 1e-9


def positive(values: np.ndarray) -> np.ndarray:
    """Return the part above zero: import, discharging, consumption."""
    return np.maximum(values, 0.0)


def negative(values: np.ndarray) -> np.ndarray:
    """Return the part below zero as a positive number: export, charging, feeding back."""
    return np.maximum(-values, 0.0)


def energy(t_s: np.ndarray, p_kw: np.ndarray, end_s: float) -> float:
    """Integrate a step-held power exactly [kWh]."""
    return float(energy_kwh(step_signals.integral(t_s, p_kw, end_s), 1.0))


def hours(t_s: np.ndarray, on: np.ndarray, end_s: float) -> float:
    """Measure how long a condition, shape (k,), holds [h]."""
    return float(step_signals.durations(t_s, end_s) @ on) / S_PER_H


def supply(
    powers_kw: Mapping[str, np.ndarray], bus: np.ndarray | None = None, available: np.ndarray | None = None
) -> np.ndarray:
    """Return the supply of a hub over time, shape (k,): GRID, ISLANDED or DEAD.

    Parameters
    ----------
    powers_kw : mapping of str to array, shape (k,)
        Powers of the hub [kW], by device; at least one.
    bus : array, shape (k,), optional
        Source that the ATS connects the bus to: 0 none, 1 grid, else another one. With an ATS, it alone decides.
    available : array, shape (k,), optional
        Whether the grid is there. Without ATS, a hub that lost it is an island while any power flows, dead otherwise.

    Returns
    -------
    array of int8, shape (k,)
        Without either signal, a hub is on the grid if it has one and an island if not.
    """
    if bus is not None:
        state = np.where(bus == DEAD, DEAD, np.where(bus > GRID, ISLANDED, GRID))
    elif available is not None:
        flows = np.any(
            [np.abs(np.nan_to_num(p)) > _FLOWS_KW for name, p in powers_kw.items() if name != "grid"], axis=0
        )
        state = np.where(available != 0, GRID, np.where(flows, ISLANDED, DEAD))
    else:
        state = np.full(len(next(iter(powers_kw.values()))), GRID if "grid" in powers_kw else ISLANDED)
    return state.astype("i1")
