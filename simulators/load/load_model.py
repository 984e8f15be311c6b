"""Local loads in the four classes of Yan & Tu 2022: which demand is served, postponed, recovered or lost.

- *critical*: always served while the bus has voltage;
- *controllable*: served within a band of its demand;
- *shiftable*: may be put off and is made good later, before a deadline;
- *general*: may be cut.

What is not served and never made good is energy not supplied (EENS), each class at its own cost. In energy, for every
class and at any time: demand = served + not supplied + backlog (put off and still due). A load that is not divided is
critical load only.

Powers are constant between events, and events lie on the step grid of the co-simulation: the last bit of a backlog is
made good at the power that takes exactly one step, and a deadline between two steps counts from the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..shared_data import SharedData
from ..units import S_PER_H, energy_kwh

CLASSES = ("critical", "controllable", "shiftable", "general")
"""Order of the classes in all arrays of shape (n, 4)."""
CRITICAL, CONTROLLABLE, SHIFTABLE, GENERAL = range(4)

DUST_KWH = 1e-9
"""A backlog below this is rounding, not energy that is due [kWh]."""


@dataclass(frozen=True)
class LoadParameters(SharedData):
    """Loads of n hubs; scalars stand for all of them.

    Parameters
    ----------
    band_lower, band_upper : float or array, shape (n,)
        Least and largest share of its demand at which the controllable class is served, 0..1.
    recovery_kw : float or array, shape (n,)
        How far the shiftable class can go above its demand to make good what was put off [kW].
    deadlines_s : sequence of float
        Scenario times at which everything that was put off must be made good [s], such as the local midnights; what is
        left then is lost.
    power_factor : float or array, shape (n,)
        Of the whole load, lagging, above 0 and at most 1.

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    band_lower: np.ndarray | float = 0.0
    band_upper: np.ndarray | float = 1.0
    recovery_kw: np.ndarray | float = 0.0
    deadlines_s: tuple[float, ...] = ()
    power_factor: np.ndarray | float = 1.0
    _min_share: np.ndarray = field(init=False, repr=False)
    _max_share: np.ndarray = field(init=False, repr=False)
    _q_per_p: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        lower, upper, factor = np.asarray(self.band_lower), np.asarray(self.band_upper), np.asarray(self.power_factor)
        if not ((lower >= 0) & (lower <= upper) & (upper <= 1)).all():
            raise ValueError(f"band must be 0 <= lower <= upper <= 1, got {lower} and {upper}")
        if not ((factor > 0) & (factor <= 1)).all():
            raise ValueError(f"power_factor must be > 0 and <= 1, got {factor}")
        if not np.greater_equal(self.recovery_kw, 0).all():
            raise ValueError(f"recovery_kw must be >= 0, got {self.recovery_kw}")
        deadlines_s = tuple(float(t) for t in self.deadlines_s)
        if not (np.diff(deadlines_s) > 0).all():
            raise ValueError(f"deadlines_s must increase strictly, got {deadlines_s}")
        one, zero = np.ones_like(lower, dtype=float), np.zeros_like(lower, dtype=float)
        for name, value in (
            ("deadlines_s", deadlines_s),
            # the share of its demand that each class is served at least and at most, whatever its limit
            ("_min_share", np.stack([one, lower, zero, zero], axis=-1)),
            ("_max_share", np.stack([one, upper * one, one, one], axis=-1)),
            ("_q_per_p", np.sqrt(1 - factor**2) / factor),
        ):
            object.__setattr__(self, name, value)


class LoadState(NamedTuple):
    """State of n loads. Make the first one with `initial`."""

    t_s: float
    """Scenario time [s]."""
    backlog_kwh: np.ndarray
    """Shiftable energy that was put off and is still due [kWh], shape (n,)."""
    eens_kwh: np.ndarray
    """Energy not supplied so far, per class [kWh], shape (n, 4)."""
    deferred_kw: np.ndarray
    """Rate held since the last step at which the backlog grows [kW], shape (n,)."""
    unserved_kw: np.ndarray
    """Power held since the last step that is not supplied [kW], shape (n, 4)."""
    valid_s: float
    """How long these powers may be held [s]."""


class LoadOutputs(NamedTuple):
    """The outputs of n loads that hold from now on."""

    p_kw: np.ndarray
    """Power of all classes [kW], shape (n,)."""
    q_kvar: np.ndarray
    """Reactive power, positive when consumed [kvar], shape (n,)."""
    served_kw: np.ndarray
    """Power per class [kW], shape (n, 4)."""
    unserved_kw: np.ndarray
    """Demand per class that is not supplied and will not be [kW], shape (n, 4)."""
    deferred_kw: np.ndarray
    """Shiftable demand being put off, below zero while it is made good [kW], shape (n,)."""
    backlog_kwh: np.ndarray
    """Shiftable energy that is still due [kWh], shape (n,)."""
    eens_kwh: np.ndarray
    """Energy not supplied so far, per class [kWh], shape (n, 4)."""
    next_event_s: np.ndarray
    """For how long this holds under constant inputs [s], a multiple of the time step; inf if for ever. Shape (n,)."""


def initial(n: int = 1, t_s: float = 0.0) -> LoadState:
    """Return the state of n loads before anything was demanded, at the scenario time `t_s` [s]."""
    return LoadState(t_s, np.zeros(n), np.zeros((n, 4)), np.zeros(n), np.zeros((n, 4)), np.inf)


def step(
    parameters: LoadParameters,
    state: LoadState,
    demand_kw,
    limit_kw,
    energised,
    dt_s: float,
    time_step_s: float = 1.0,
) -> tuple[LoadState, LoadOutputs]:
    """Advance the loads by the elapsed time, then apply the inputs that hold from now on.

    Limits are ceilings: they cannot make a class take more than it wants, which is its demand and, for the shiftable
    class, its backlog. The critical class obeys none, the controllable class only within its band.

    Parameters
    ----------
    parameters : LoadParameters
    state : LoadState
    demand_kw : array, shape (n, 4)
        Demand per class [kW].
    limit_kw : float or array, shape (n, 4)
        Limit per class [kW]; inf for none, below zero counts as zero.
    energised : bool or array, shape (n,)
        The bus has voltage; without it nothing is served.
    dt_s : float
        Since the last step [s], no longer than the last ``next_event_s``.
    time_step_s : float
        Step of the co-simulation [s]; `dt_s` is a multiple of it.

    Returns
    -------
    state : LoadState
    outputs : LoadOutputs

    Raises
    ------
    ValueError
        A demand is negative, a demand or limit is not a number, or `dt_s` is negative or too long.
    """
    demand_kw = np.asarray(demand_kw, dtype=float)
    t_s, backlog_kwh, eens_kwh = _advance(parameters, state, dt_s)

    served_kw = np.minimum(np.maximum(limit_kw, demand_kw * parameters._min_share), demand_kw * parameters._max_share)
    if not served_kw.min() >= 0:
        raise ValueError(f"demand_kw must be >= 0 and limit_kw a number, got {demand_kw} and {limit_kw}")
    next_event_s = np.full(len(served_kw), np.inf)
    if backlog_kwh.any():
        ceiling_kw = np.broadcast_to(limit_kw, served_kw.shape)[:, SHIFTABLE]
        room_kw = np.minimum(ceiling_kw - served_kw[:, SHIFTABLE], parameters.recovery_kw) * energised
        extra_kw, next_event_s = _recovery(backlog_kwh, room_kw, time_step_s)
        served_kw[:, SHIFTABLE] += extra_kw
    served_kw = served_kw * np.asarray(energised)[..., None]

    unserved_kw = demand_kw - served_kw
    deferred_kw = unserved_kw[:, SHIFTABLE].copy()
    unserved_kw[:, SHIFTABLE] = 0.0
    if parameters.deadlines_s:
        due = (backlog_kwh > 0) | (deferred_kw > 0)
        next_event_s = np.where(due, np.minimum(next_event_s, _until_deadline_s(parameters, t_s, time_step_s)), np.inf)
    p_kw = served_kw.sum(axis=1)
    q_kvar = p_kw * parameters._q_per_p
    state = LoadState(t_s, backlog_kwh, eens_kwh, deferred_kw, unserved_kw, float(next_event_s.min()))
    return state, LoadOutputs(p_kw, q_kvar, served_kw, unserved_kw, deferred_kw, backlog_kwh, eens_kwh, next_event_s)


def _advance(parameters: LoadParameters, state: LoadState, dt_s: float):
    """Backlog and energy not supplied after dt_s at the powers held; what is still due at a deadline is lost."""
    if not 0 <= dt_s <= state.valid_s * (1 + 1e-9):
        raise ValueError(f"dt_s must be within 0..{state.valid_s}, got {dt_s}")
    t_s = state.t_s + dt_s
    backlog_kwh = np.maximum(state.backlog_kwh + energy_kwh(state.deferred_kw, dt_s), 0.0)
    eens_kwh = state.eens_kwh + energy_kwh(state.unserved_kw, dt_s)
    if any(state.t_s < deadline_s <= t_s for deadline_s in parameters.deadlines_s):
        eens_kwh[:, SHIFTABLE] += backlog_kwh
        backlog_kwh = np.zeros_like(backlog_kwh)
    return t_s, backlog_kwh, eens_kwh


def _recovery(backlog_kwh, room_kw, time_step_s):
    """Power that makes a backlog good, and for how long: in whole steps at full power, the rest in one step."""
    backlog_kwh = np.where(backlog_kwh > DUST_KWH, backlog_kwh, 0.0)
    in_one_step_kw = backlog_kwh * S_PER_H / time_step_s
    with np.errstate(divide="ignore", invalid="ignore"):
        whole_steps = np.floor(in_one_step_kw / room_kw)
    full = whole_steps >= 1
    extra_kw = np.where(full, room_kw, in_one_step_kw) * (room_kw > 0)
    lasts_s = np.where(full, whole_steps, 1.0) * time_step_s
    return extra_kw, np.where(extra_kw > 0, lasts_s, np.inf)


def _until_deadline_s(parameters: LoadParameters, t_s: float, time_step_s: float) -> float:
    left_s = next((deadline_s - t_s for deadline_s in parameters.deadlines_s if deadline_s > t_s), np.inf)
    return float(np.ceil(left_s / time_step_s - 1e-9) * time_step_s)
