"""Dispatchable generators (DG, gensets): start, run at a set point, cool down, burn fuel.

A genset follows the hub bus; it cannot form an island (that is the secondary source behind the ATS). Its power is
constant between events, so its fuel integrates exactly: a linear fuel curve over the elapsed time. Events lie on the
step grid of the co-simulation: a start or a cool-down that ends between two steps counts from the next one, and an
engine stops at the last step its fuel lasts for. What is then left, less than one step's worth, stays in the tank.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from math import ceil, floor, inf
from typing import NamedTuple

import numpy as np

from ..shared_data import SharedData
from ..units import S_PER_H

FUEL_INTERCEPT = 0.033
"""Fuel at no load [l/h per kW rated]; HOMER Pro 3.12 manual, generator fuel curve intercept coefficient (50 kW set)."""
FUEL_SLOPE = 0.273
"""Fuel for power [l/kWh]; same source (8.48 l/h at 25 kW, 15.3 l/h at 50 kW)."""
POWER_FACTOR = 0.8
"""Power factor that gensets are rated at (ISO 8528-1): least ratio of active to apparent power."""
DIESEL_KWH_PER_L = 9.84
"""Lower heating value of diesel [kWh/l]: 43.2 MJ/kg at 0.82 kg/l."""


class EnginePhase(IntEnum):
    """What a genset is doing."""

    OFF = 0
    STARTING = 1
    RUNNING = 2
    COOLING = 3


@dataclass(frozen=True, eq=False)
class GeneratorParameters(SharedData):
    """Ratings of n gensets, stored as arrays of shape (n,); a scalar stands for all of them.

    Parameters
    ----------
    rated_kw : array, shape (n,)
        Largest power [kW].
    fuel_capacity_l : array, shape (n,)
        Size of the tank [l].
    minimum_kw : array, shape (n,)
        Smallest power the engine runs at [kW].
    fuel_intercept : array, shape (n,)
        Fuel at no load, per rated power [l/h per kW].
    fuel_slope : array, shape (n,)
        Fuel for power [l/kWh].
    start_s : array, shape (n,)
        From the command to power [s].
    cooldown_s : array, shape (n,)
        Running without load after power; it cannot start again before that is over [s].

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    rated_kw: np.ndarray | float
    fuel_capacity_l: np.ndarray | float
    minimum_kw: np.ndarray | float = 0.0
    fuel_intercept: np.ndarray | float = FUEL_INTERCEPT
    fuel_slope: np.ndarray | float = FUEL_SLOPE
    start_s: np.ndarray | float = 10.0
    cooldown_s: np.ndarray | float = 0.0
    units: list[_Engine] = field(init=False, repr=False)
    """The gensets one by one."""

    def __post_init__(self):
        names = [item.name for item in fields(self) if item.init]
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(getattr(self, name), float)) for name in names))
        for name, array in zip(names, arrays, strict=True):
            if name in ("rated_kw", "fuel_capacity_l", "fuel_slope"):
                if not (array > 0).all():
                    raise ValueError(f"{name} must be > 0, got {array}")
            elif not (array >= 0).all():
                raise ValueError(f"{name} must be >= 0, got {array}")
            object.__setattr__(self, name, array)
        if np.greater(self.minimum_kw, self.rated_kw).any():
            raise ValueError(f"minimum_kw must be at most rated_kw {self.rated_kw}, got {self.minimum_kw}")
        # There are few gensets, each in a phase of its own: plain numbers and branches are faster than masks.
        object.__setattr__(self, "units", [_Engine(*row) for row in zip(*(a.tolist() for a in arrays), strict=True)])


class _Engine(NamedTuple):
    """The parameters of one genset, in their order."""

    rated_kw: float
    fuel_capacity_l: float
    minimum_kw: float
    fuel_intercept: float
    fuel_slope: float
    start_s: float
    cooldown_s: float


class GeneratorState(NamedTuple):
    """State of n gensets; arrays of shape (n,). Make the first one with `initial`."""

    fuel_l: np.ndarray
    """In the tank [l]."""
    phase: np.ndarray
    """`EnginePhase`."""
    timer_s: np.ndarray
    """Left of starting or cooling [s]."""
    p_kw: np.ndarray
    """Power held since the last step [kW]."""


class GeneratorOutputs(NamedTuple):
    """What holds from now on; arrays of shape (n,)."""

    p_kw: np.ndarray
    """Power [kW], >= 0."""
    fuel_l_per_h: np.ndarray
    """Fuel consumption [l/h]."""
    next_event_s: np.ndarray
    """For how long this holds under constant inputs [s], a multiple of the time step; inf if for ever."""


def fuel_rate(parameters, p_kw):
    """Compute the fuel consumption of running engines: ``intercept * rated + slope * p`` (HOMER Pro manual).

    Parameters
    ----------
    parameters : GeneratorParameters
    p_kw : float or array, shape (n,)
        Power [kW].

    Returns
    -------
    array, shape (n,)
        Fuel consumption [l/h].
    """
    return parameters.fuel_intercept * parameters.rated_kw + parameters.fuel_slope * p_kw


def reactive_kvar(p_kw, q_set_kvar):
    """Limit the reactive power of running engines to what the rated power factor allows.

    Parameters
    ----------
    p_kw : float or array, shape (n,)
        Power [kW]; 0 where an engine gives none.
    q_set_kvar : float or array, shape (n,)
        Set point, > 0 feeds the hub bus [kvar].

    Returns
    -------
    float or array, shape (n,)
        Reactive power [kvar], ``|q| <= tan(acos(0.8)) p``.
    """
    max_kvar = np.tan(np.arccos(POWER_FACTOR)) * np.asarray(p_kw)
    return np.clip(q_set_kvar, -max_kvar, max_kvar)


def efficiency(parameters: GeneratorParameters, p_kw):
    """Compute the electric efficiency of running engines, on the lower heating value of diesel.

    Parameters
    ----------
    parameters : GeneratorParameters
    p_kw : float or array, shape (n,)
        Power [kW].

    Returns
    -------
    array, shape (n,)
        Efficiency, 0..1.
    """
    return p_kw / (DIESEL_KWH_PER_L * fuel_rate(parameters, p_kw))


def initial(parameters: GeneratorParameters, fuel_l=None) -> GeneratorState:
    """Return the state of engines that are stopped.

    Parameters
    ----------
    parameters : GeneratorParameters
    fuel_l : float or array, shape (n,), optional
        In the tank [l]; full when left out.

    Returns
    -------
    GeneratorState

    Raises
    ------
    ValueError
        `fuel_l` is negative or more than the tank holds.
    """
    n = len(parameters.units)
    fuel = np.broadcast_to(parameters.fuel_capacity_l if fuel_l is None else fuel_l, n).astype(float)
    if not ((fuel >= 0) & (fuel <= parameters.fuel_capacity_l)).all():
        raise ValueError(f"fuel_l must be at least 0 and at most {parameters.fuel_capacity_l}, got {fuel_l}")
    return GeneratorState(fuel, np.zeros(n, dtype=int), np.zeros(n), np.zeros(n))


def step(
    parameters: GeneratorParameters,
    state: GeneratorState,
    p_set_kw,
    energised,
    faulted,
    dt_s: float,
    time_step_s: float = 1.0,
) -> tuple[GeneratorState, GeneratorOutputs]:
    """Advance the engines by the elapsed time, then apply the inputs that hold from now on.

    Set point 0 is off. A set point above 0 and below the minimum runs the engine at its minimum, one above the rating
    at the rating. A fault stops the engine at once, a dead bus or set point 0 sends it to cool down.

    Parameters
    ----------
    parameters : GeneratorParameters
    state : GeneratorState
    p_set_kw : float or array, shape (n,)
        Set point [kW], >= 0.
    energised : bool or array, shape (n,)
        The hub bus is live and the genset may feed it.
    faulted : bool or array, shape (n,)
    dt_s : float
        Since the last step [s]; no longer than the last `next_event_s` while an engine runs.
    time_step_s : float
        Step of the co-simulation [s]; `dt_s` is a multiple of it.

    Returns
    -------
    state : GeneratorState
    outputs : GeneratorOutputs

    Raises
    ------
    ValueError
        A set point is negative or not a number, or `dt_s` is negative or longer than the fuel lasts.
    """
    if not dt_s >= 0:
        raise ValueError(f"dt_s must be >= 0, got {dt_s}")
    n = len(parameters.units)
    inputs = [value.tolist() if np.ndim(value) else [value] * n for value in (p_set_kw, energised, faulted)]
    gensets = zip(parameters.units, *(array.tolist() for array in state), *inputs, strict=True)
    rows = [_step_one(*genset, dt_s=dt_s, time_step_s=time_step_s) for genset in gensets]
    fuel_l, phase, timer_s, p_kw, rate, next_event_s = (np.array(column) for column in zip(*rows, strict=True))
    return GeneratorState(fuel_l, phase, timer_s, p_kw), GeneratorOutputs(p_kw, rate, next_event_s)


def _step_one(unit, fuel_l, phase, timer_s, p_kw, p_set_kw, energised, faulted, dt_s, time_step_s):
    """One genset: (fuel, phase, timer, power, fuel rate, time to the next event)."""
    if not p_set_kw >= 0:
        raise ValueError(f"p_set_kw must be >= 0, got {p_set_kw}")
    fuel_l = _burn(unit, fuel_l, phase, timer_s, p_kw, dt_s)
    timer_s = max(timer_s - dt_s, 0.0)
    p_kw = min(max(p_set_kw, unit.minimum_kw), unit.rated_kw) if p_set_kw > 0 else 0.0
    # An engine without fuel for one more step stops.
    fuelled = _steps(fuel_l, fuel_rate(unit, p_kw), time_step_s) >= 1
    wanted = p_kw > 0 and energised and not faulted and fuelled
    phase, timer_s = _next_phase(unit, fuel_l, phase, timer_s, wanted, faulted, time_step_s)
    return fuel_l, int(phase), timer_s, *_held(unit, fuel_l, phase, timer_s, p_kw, time_step_s)


def _burn(unit, fuel_l, phase, timer_s, p_kw, dt_s):
    """Fuel left [l] after the time since the last step, at the power held."""
    if phase not in (EnginePhase.RUNNING, EnginePhase.COOLING):
        return fuel_l
    burning_s = min(dt_s, timer_s) if phase == EnginePhase.COOLING else dt_s
    left_l = fuel_l - fuel_rate(unit, p_kw) * burning_s / S_PER_H
    if left_l < -1e-9 * unit.fuel_capacity_l:
        raise ValueError(f"dt_s must not be longer than the fuel lasts, {fuel_l} l, got {dt_s}")
    return max(left_l, 0.0)


def _next_phase(unit, fuel_l, phase, timer_s, wanted, faulted, time_step_s):
    """Phase from now on and its timer [s]: several changes may fall due at once."""
    if phase == EnginePhase.COOLING and timer_s == 0:
        phase = EnginePhase.OFF
    if phase == EnginePhase.OFF and wanted:
        phase, timer_s = EnginePhase.STARTING, unit.start_s
    if phase == EnginePhase.STARTING and not wanted:
        phase = EnginePhase.OFF
    elif phase == EnginePhase.STARTING and timer_s == 0:
        phase = EnginePhase.RUNNING
    if phase == EnginePhase.RUNNING and not wanted:
        phase, timer_s = EnginePhase.COOLING, unit.cooldown_s
    if phase == EnginePhase.COOLING:
        enough = fuel_l * S_PER_H >= fuel_rate(unit, 0.0) * min(timer_s, time_step_s)
        phase = EnginePhase.COOLING if timer_s > 0 and enough and not faulted else EnginePhase.OFF
    return phase, timer_s if phase in (EnginePhase.STARTING, EnginePhase.COOLING) else 0.0


def _held(unit, fuel_l, phase, timer_s, p_kw, time_step_s):
    """Power [kW], fuel rate [l/h] and time to the next event [s] in a phase."""
    ends = ceil(timer_s / time_step_s - 1e-9)
    if phase == EnginePhase.RUNNING:
        rate = fuel_rate(unit, p_kw)
        return p_kw, rate, _steps(fuel_l, rate, time_step_s) * time_step_s
    if phase == EnginePhase.STARTING:
        return 0.0, 0.0, ends * time_step_s
    if phase == EnginePhase.COOLING:
        # Its last step, cut short by the timer, needs no fuel for the rest of it.
        rate = fuel_rate(unit, 0.0)
        return 0.0, rate, min(ends, max(1, _steps(fuel_l, rate, time_step_s))) * time_step_s
    return 0.0, 0.0, inf


def _steps(fuel_l, rate, time_step_s):
    """Whole time steps that the fuel lasts for."""
    return floor(fuel_l * S_PER_H / (rate * time_step_s) + 1e-9) if rate > 0 else inf
