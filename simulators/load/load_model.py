"""Local loads in the four classes of Yan & Tu 2022: which demand is served, postponed, recovered or lost.

- *critical*: always served while the bus has voltage;
- *controllable*: served within a band of its demand;
- *shiftable*: may be put off and is made good later, before a deadline;
- *general*: may be cut.

What is not served and never made good is energy not supplied (EENS), each class at its own cost. In energy, for every
class and at any time: demand = served + not supplied + backlog (put off and still due). A load that is not divided is
critical load only.

Powers are constant between events, and events lie on the step grid of the co-simulation: the last bit of a backlog is
made good at the power that takes exactly one step, and a deadline between two steps counts from the next one. All of it
is in Python floats, one number a class: for four numbers arrays take several times longer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, inf, sqrt
from typing import NamedTuple

from ..shared_data import SharedData
from ..units import S_PER_H, energy_kwh

CLASSES = ("critical", "controllable", "shiftable", "general")
"""Order of the classes wherever there is a number for each."""
CRITICAL, CONTROLLABLE, SHIFTABLE, GENERAL = range(4)

ByClass = tuple[float, float, float, float]
"""A number for each class."""

DUST_KWH = 1e-9
"""A backlog below this is rounding, not energy that is due [kWh]."""


@dataclass(frozen=True)
class LoadParameters(SharedData):
    """The load of a hub.

    Parameters
    ----------
    band_lower, band_upper : float
        Least and largest share of its demand at which the controllable class is served, 0..1.
    recovery_kw : float
        How far the shiftable class can go above its demand to make good what was put off [kW].
    deadlines_s : sequence of float
        Scenario times at which everything that was put off must be made good [s], such as the local midnights; what is
        left then is lost.
    power_factor : float
        Of the whole load, lagging, above 0 and at most 1.

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    band_lower: float = 0.0
    band_upper: float = 1.0
    recovery_kw: float = 0.0
    deadlines_s: tuple[float, ...] = ()
    power_factor: float = 1.0
    _min_share: ByClass = field(init=False, repr=False)
    _max_share: ByClass = field(init=False, repr=False)
    _q_per_p: float = field(init=False, repr=False)

    def __post_init__(self):
        lower, upper, factor = self.band_lower, self.band_upper, self.power_factor
        if not 0 <= lower <= upper <= 1:
            raise ValueError(f"band must be 0 <= lower <= upper <= 1, got {lower} and {upper}")
        if not 0 < factor <= 1:
            raise ValueError(f"power_factor must be > 0 and <= 1, got {factor}")
        if not self.recovery_kw >= 0:
            raise ValueError(f"recovery_kw must be >= 0, got {self.recovery_kw}")
        deadlines_s = tuple(float(t) for t in self.deadlines_s)
        if not all(earlier < later for earlier, later in pairwise(deadlines_s)):
            raise ValueError(f"deadlines_s must increase strictly, got {deadlines_s}")
        for name, value in (
            ("deadlines_s", deadlines_s),
            # the share of its demand that each class is served at least and at most, whatever its limit
            ("_min_share", (1.0, float(lower), 0.0, 0.0)),
            ("_max_share", (1.0, float(upper), 1.0, 1.0)),
            ("_q_per_p", sqrt(1.0 - factor * factor) / factor),
        ):
            object.__setattr__(self, name, value)


class LoadState(NamedTuple):
    """State of a load. Make the first one with `initial`."""

    t_s: float
    """Scenario time [s]."""
    backlog_kwh: float
    """Shiftable energy that was put off and is still due [kWh]."""
    eens_kwh: ByClass
    """Energy not supplied so far [kWh]."""
    deferred_kw: float
    """Rate held since the last step at which the backlog grows [kW]."""
    unserved_kw: ByClass
    """Power held since the last step that is not supplied [kW]."""
    valid_s: float
    """How long these powers may be held [s]."""


class LoadOutputs(NamedTuple):
    """The outputs of a load that hold from now on."""

    p_kw: float
    """Power of all classes [kW]."""
    q_kvar: float
    """Reactive power, positive when consumed [kvar]."""
    served_kw: ByClass
    """Power per class [kW]."""
    unserved_kw: ByClass
    """Demand per class that is not supplied and will not be [kW]."""
    deferred_kw: float
    """Shiftable demand being put off, below zero while it is made good [kW]."""
    backlog_kwh: float
    """Shiftable energy that is still due [kWh]."""
    eens_kwh: ByClass
    """Energy not supplied so far, per class [kWh]."""
    next_event_s: float
    """For how long this holds under constant inputs [s], a multiple of the time step; inf if for ever."""


def initial(t_s: float = 0.0) -> LoadState:
    """Return the state of a load before anything was demanded, at the scenario time `t_s` [s]."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    return LoadState(t_s, 0.0, nothing, 0.0, nothing, inf)


def step(
    parameters: LoadParameters,
    state: LoadState,
    demand_kw: Sequence[float],
    limit_kw: Sequence[float],
    energised: bool,
    dt_s: float,
    time_step_s: float = 1.0,
) -> tuple[LoadState, LoadOutputs]:
    """Advance the load by the elapsed time, then apply the inputs that hold from now on.

    Limits are ceilings: they cannot make a class take more than it wants, which is its demand and, for the shiftable
    class, its backlog. The critical class obeys none, the controllable class only within its band.

    Parameters
    ----------
    parameters : LoadParameters
    state : LoadState
    demand_kw : sequence of 4 float
        Demand per class [kW].
    limit_kw : sequence of 4 float
        Limit per class [kW]; inf for none, below zero counts as zero.
    energised : bool
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
    t_s, backlog_kwh, eens_kwh = _advance(parameters, state, dt_s)

    wanted_kw = []
    for kw, ceiling_kw, min_share, max_share in zip(
        demand_kw, limit_kw, parameters._min_share, parameters._max_share, strict=True
    ):
        if not kw >= 0.0 or ceiling_kw != ceiling_kw:
            raise ValueError(f"demand_kw must be >= 0 and limit_kw a number, got {demand_kw} and {limit_kw}")
        wanted_kw.append(min(max(ceiling_kw, kw * min_share), kw * max_share))
    critical_kw, controllable_kw, shiftable_kw, general_kw = wanted_kw if energised else (0.0, 0.0, 0.0, 0.0)
    next_event_s = inf
    if backlog_kwh and energised:
        room_kw = min(limit_kw[SHIFTABLE] - shiftable_kw, parameters.recovery_kw)
        extra_kw, next_event_s = _recovery(backlog_kwh, room_kw, time_step_s)
        shiftable_kw += extra_kw

    deferred_kw = demand_kw[SHIFTABLE] - shiftable_kw
    unserved_kw = (
        demand_kw[CRITICAL] - critical_kw,
        demand_kw[CONTROLLABLE] - controllable_kw,
        0.0,
        demand_kw[GENERAL] - general_kw,
    )
    if backlog_kwh > 0.0 or deferred_kw > 0.0:
        next_event_s = min(next_event_s, _until_deadline_s(parameters, t_s, time_step_s))
    p_kw = critical_kw + controllable_kw + shiftable_kw + general_kw
    served_kw = (critical_kw, controllable_kw, shiftable_kw, general_kw)
    state = LoadState(t_s, backlog_kwh, eens_kwh, deferred_kw, unserved_kw, next_event_s)
    q_kvar = p_kw * parameters._q_per_p
    return state, LoadOutputs(p_kw, q_kvar, served_kw, unserved_kw, deferred_kw, backlog_kwh, eens_kwh, next_event_s)


def _advance(parameters: LoadParameters, state: LoadState, dt_s: float) -> tuple[float, float, ByClass]:
    """Time, backlog and energy not supplied after dt_s at the powers held; what is due at a deadline is lost."""
    if not 0 <= dt_s <= state.valid_s * (1 + 1e-9):
        raise ValueError(f"dt_s must be within 0..{state.valid_s}, got {dt_s}")
    t_s = state.t_s + dt_s
    backlog_kwh = max(state.backlog_kwh + energy_kwh(state.deferred_kw, dt_s), 0.0)
    critical_kwh, controllable_kwh, shiftable_kwh, general_kwh = state.eens_kwh
    critical_kwh += energy_kwh(state.unserved_kw[CRITICAL], dt_s)
    controllable_kwh += energy_kwh(state.unserved_kw[CONTROLLABLE], dt_s)
    general_kwh += energy_kwh(state.unserved_kw[GENERAL], dt_s)
    if backlog_kwh and bisect_right(parameters.deadlines_s, t_s) > bisect_right(parameters.deadlines_s, state.t_s):
        shiftable_kwh += backlog_kwh
        backlog_kwh = 0.0
    return t_s, backlog_kwh, (critical_kwh, controllable_kwh, shiftable_kwh, general_kwh)


def _recovery(backlog_kwh: float, room_kw: float, time_step_s: float) -> tuple[float, float]:
    """Power that makes a backlog good, and for how long: in whole steps at full power, the rest in one step."""
    if backlog_kwh <= DUST_KWH or room_kw <= 0.0:
        return 0.0, inf
    in_one_step_kw = backlog_kwh * S_PER_H / time_step_s
    if in_one_step_kw < room_kw:
        return in_one_step_kw, time_step_s
    steps = in_one_step_kw / room_kw
    return room_kw, (floor(steps) if steps < inf else inf) * time_step_s


def _until_deadline_s(parameters: LoadParameters, t_s: float, time_step_s: float) -> float:
    coming = bisect_right(parameters.deadlines_s, t_s)
    if coming == len(parameters.deadlines_s):
        return inf
    return ceil((parameters.deadlines_s[coming] - t_s) / time_step_s - 1e-9) * time_step_s
