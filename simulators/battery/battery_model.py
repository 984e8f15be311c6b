"""Battery packs behind their converters, stationary or in vehicles: power, limits and state, vectorised over packs.

A pack is ``n_series`` times ``n_parallel`` equal cells of Tremblay & Dessaint 2009 behind a converter with a constant
efficiency each way. Powers are at the grid-side terminals of the converter, > 0 discharges. An ideal battery is the
same model with ``R = K = A = 0``.

Power is constant between events: `hold` says what is delivered from now on and for how long, `advance` moves the state
on. Both take the packs that are active one after the other, on floats (`cell_hold`, `cell_motion`). Packs are made by
`pack` (published cells) and `ideal`, and put side by side by `stack`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..shared_data import SharedData
from ..units import W_PER_KW
from . import cell_hold, cell_motion, tremblay_cell
from .battery_parameters import Array, BatteryParameters, capacity_kwh, put, stack
from .battery_unit import Unit, emf_v
from .cell_limits import CV_RESOLUTION, ChargingPhase
from .named_packs import ideal, pack

__all__ = [
    "BatteryParameters",
    "BatteryState",
    "ChargingPhase",
    "Hold",
    "advance",
    "capacity_kwh",
    "current_a",
    "hold",
    "ideal",
    "initial",
    "pack",
    "power_limits",
    "put",
    "put_state",
    "stack",
    "terminal_voltage_v",
]


@dataclass(frozen=True, eq=False)
class BatteryState(SharedData):
    """State of n packs.

    Parameters
    ----------
    soc : array, shape (n,)
        State of charge, 0..1.
    i_filtered_a : array, shape (n,)
        Filtered current ``i*`` of a cell [A].
    """

    soc: Array
    i_filtered_a: Array


@dataclass(frozen=True, eq=False)
class Hold:
    """The power that n packs deliver from now on, and for how long.

    Parameters
    ----------
    p_kw : array, shape (n,)
        Power [kW], > 0 discharges.
    hold_s : array, shape (n,)
        Time for which it stays [s], a multiple of the step; inf if nothing will change.
    phase : array of int, shape (n,)
        What decides the power, see `ChargingPhase`.
    """

    p_kw: Array
    hold_s: Array
    phase: NDArray[np.int8]


# --------------------------------------------------------------------------------------------------------------- state


def initial(parameters: BatteryParameters, soc: ArrayLike) -> BatteryState:
    """Return the state of packs at rest.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    soc : float or array, shape (n,)
        State of charge, 0..1.

    Returns
    -------
    BatteryState
        With filtered currents of 0.

    Raises
    ------
    ValueError
        If a SoC is outside 0..1.
    """
    n = len(parameters.units)
    soc = np.array(np.broadcast_to(np.asarray(soc, dtype=float), (n,)))
    if not np.all((soc >= 0.0) & (soc <= 1.0)):
        raise ValueError(f"soc must be in [0, 1], got {soc}")
    return BatteryState(soc, np.zeros(n))


def put_state(state: BatteryState, index: int, soc: float) -> BatteryState:
    """Replace one pack by a pack at rest, and return the new state.

    Parameters
    ----------
    state : BatteryState
        Of n packs.
    index : int
        Which one.
    soc : float
        Its state of charge, 0..1.

    Returns
    -------
    BatteryState
        Of n packs.

    Raises
    ------
    ValueError
        If the SoC is outside 0..1.
    """
    if not 0.0 <= soc <= 1.0:
        raise ValueError(f"soc must be in [0, 1], got {soc}")
    new = BatteryState(state.soc.copy(), state.i_filtered_a.copy())
    new.soc[index], new.i_filtered_a[index] = soc, 0.0
    return new


# --------------------------------------------------------------------------------------------------- limits and motion


def power_limits(
    parameters: BatteryParameters, state: BatteryState, step_s: float, index: Sequence[int] | None = None
) -> tuple[Array, Array]:
    """Compute the powers that can be held constant for a time within all limits of SoC, current, voltage and power.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    state : BatteryState
        Of n packs.
    step_s : float
        The time [s].
    index : sequence of int, optional
        Only these packs; all by default.

    Returns
    -------
    p_min_kw, p_max_kw : array, shape (n,) or (len(index),)
        Greatest charging power, <= 0, and greatest discharging power, >= 0 [kW].
    """
    index = range(len(parameters.units)) if index is None else index
    p_min, p_max = np.zeros(len(index)), np.zeros(len(index))
    for row, k in enumerate(index):
        unit = parameters.units[k]
        it_ah, i_filtered_a = _extracted_ah(unit, state.soc.item(k)), state.i_filtered_a.item(k)
        for out, rated_kw in ((p_min, -unit.p_charge_max_kw), (p_max, unit.p_discharge_max_kw)):
            rated_w = _cell_w(unit, rated_kw)
            p_w = cell_hold.hold(unit, it_ah, i_filtered_a, rated_w, step_s)[0]
            out[row] = rated_kw if p_w == rated_w else _grid_kw(unit, p_w)
    return p_min, p_max


def hold(
    parameters: BatteryParameters,
    state: BatteryState,
    p_set_kw: ArrayLike,
    step_s: float,
    cv_resolution: float = CV_RESOLUTION,
    index: Sequence[int] | None = None,
) -> Hold:
    """Limit the requested power to what the packs can deliver, and compute how long they can hold it constant.

    A current or voltage limit is followed in pieces of constant power, each the mean over its time, to second order:
    within a piece, or a step that is longer, the voltage passes its limit a little. A SoC bound is met exactly at the
    end of a step, with less power in the last one.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    state : BatteryState
        Of n packs.
    p_set_kw : array, shape (n,)
        Requested power [kW], > 0 discharges; cut to the rating.
    step_s : float
        Step of the time grid [s], on which all events are.
    cv_resolution : float
        Relative change of the power from piece to piece of the constant-voltage phase.
    index : sequence of int, optional
        Only these packs; all by default. What was given for a pack stays valid until its time is over or its request
        changes, so the others need not be asked again.

    Returns
    -------
    Hold
        Power, time and phase, of all packs or of those asked. Ask again when the time is over, or at any time before.
    """
    p_set_kw = np.asarray(p_set_kw, dtype=float)
    if index is None:
        n, rows = len(p_set_kw), ((k, k) for k in p_set_kw.nonzero()[0].tolist())
    else:
        n, rows = len(index), enumerate(index)
    p_kw, hold_s, phase = np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=np.int8)
    for row, k in rows:
        unit = parameters.units[k]
        asked_kw = min(max(p_set_kw.item(k), -unit.p_charge_max_kw), unit.p_discharge_max_kw)
        asked_w = _cell_w(unit, asked_kw)
        it_ah, i_filtered_a = _extracted_ah(unit, state.soc.item(k)), state.i_filtered_a.item(k)
        p_w, hold_s[row], phase[row] = cell_hold.hold(unit, it_ah, i_filtered_a, asked_w, step_s, cv_resolution)
        p_kw[row] = asked_kw if p_w == asked_w != 0.0 else _grid_kw(unit, p_w)
    return Hold(p_kw, hold_s, phase)


def advance(parameters: BatteryParameters, state: BatteryState, p_kw: ArrayLike, dt_s: float) -> BatteryState:
    """Return the state after the powers have been constant for a time.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    state : BatteryState
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges, as given by `hold`: they are not limited again.
    dt_s : float
        Time [s], >= 0.

    Returns
    -------
    BatteryState
        A new one; at rest the SoC stays and the filtered current fades.
    """
    p_kw = np.asarray(p_kw, dtype=float)
    soc, i_filtered_a = state.soc.copy(), state.i_filtered_a.copy()
    if np.count_nonzero(i_filtered_a):
        i_filtered_a *= np.exp(-dt_s / parameters.tau_s)
    for k in p_kw.nonzero()[0].tolist():
        unit = parameters.units[k]
        p_w = _cell_w(unit, p_kw.item(k))
        it_ah = _extracted_ah(unit, soc.item(k))
        it_ah, i_filtered_a[k] = cell_motion.integrate(unit, it_ah, state.i_filtered_a.item(k), p_w, dt_s)
        soc[k] = 1.0 - it_ah / unit.q_ah
    return BatteryState(soc, i_filtered_a)


# -------------------------------------------------------------------------------------------------------------- reports


def current_a(parameters: BatteryParameters, state: BatteryState, p_kw: ArrayLike) -> Array:
    """Compute the current of the packs at a power.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    state : BatteryState
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges.

    Returns
    -------
    array, shape (n,)
        Current at the battery terminals [A], > 0 discharges.
    """
    cells = _cells(parameters, state, p_kw)
    return np.array([i_a * unit.n_parallel for unit, _, i_a in cells])


def terminal_voltage_v(parameters: BatteryParameters, state: BatteryState, p_kw: ArrayLike) -> Array:
    """Compute the terminal voltage of the packs at a power.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    state : BatteryState
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges.

    Returns
    -------
    array, shape (n,)
        Voltage at the battery terminals [V].
    """
    cells = _cells(parameters, state, p_kw)
    return np.array([(source_v - unit.r_ohm * i_a) * unit.n_series for unit, source_v, i_a in cells])


def _cells(parameters: BatteryParameters, state: BatteryState, p_kw: ArrayLike) -> Iterator[tuple[Unit, float, float]]:
    """Of each pack: parameters, voltage behind the resistance [V] and current [A] of a cell."""
    rows = zip(
        parameters.units, state.soc.tolist(), state.i_filtered_a.tolist(), np.asarray(p_kw).tolist(), strict=True
    )
    for unit, soc, i_filtered_a, pack_kw in rows:
        source_v = emf_v(unit, _extracted_ah(unit, soc), i_filtered_a)
        yield unit, source_v, tremblay_cell.current_a(source_v, unit.r_ohm, _cell_w(unit, pack_kw))


def _extracted_ah(unit: Unit, soc: float) -> float:
    return (1.0 - soc) * unit.q_ah


def _cell_w(unit: Unit, p_kw: float) -> float:
    """Power of one cell [W] from the power at the grid side of the converter [kW]."""
    efficiency = 1.0 / unit.eta_discharge if p_kw > 0 else unit.eta_charge
    return p_kw * efficiency * W_PER_KW / (unit.n_series * unit.n_parallel)


def _grid_kw(unit: Unit, p_w: float) -> float:
    """Power at the grid side of the converter [kW] from the power of one cell [W]."""
    efficiency = unit.eta_discharge if p_w > 0 else 1.0 / unit.eta_charge
    return p_w * efficiency * unit.n_series * unit.n_parallel / W_PER_KW
