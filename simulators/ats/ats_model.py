"""Automatic transfer switch (ATS) of one hub, with the secondary source behind its second input.

The hub bus hangs on a switch that stands on the grid, on the secondary source (a genset that forms the island), or, for
a moment, on neither. The bus is energised by what the switch stands on, if that source is there; two sources at once
are impossible by construction. Timers and inputs move the switch:

====================  ==========  ====================================================================================
mode                  bus         leaves when
====================  ==========  ====================================================================================
CONNECTED             grid        grid lost -> DETECTING; planned islanding -> PREPARING
PREPARING             grid        secondary runs -> ISLANDED (T1; open: TRANSFER first); grid lost -> STARTING
DETECTING             dead        grid back (a dip) -> CONNECTED; after `detection_s` -> STARTING (no secondary: DEAD)
STARTING              dead        secondary runs -> TRANSFER; grid back -> CONNECTED
TRANSFER              dead        delay over -> ISLANDED (T2); grid back -> CONNECTED
ISLANDED              secondary   grid back -> CONFIRMING; secondary trips or fails -> TRIPPED or RETRANSFER
CONFIRMING            secondary   grid good for `retransfer_s` -> RETRANSFER (T3); grid lost again -> ISLANDED
RETRANSFER            dead        after `open_transition_s` -> CONNECTED
TRIPPED               dead        after `restart_s` -> STARTING (T4, black start); grid back -> CONNECTED or RETRANSFER
DEAD                  dead        grid back -> CONNECTED or RETRANSFER
====================  ==========  ====================================================================================

T1 to T4 are the transitions of IEEE 2030.7: planned islanding, unplanned islanding, reconnection, black start.
A switch whose source is gone returns to a grid that is there without waiting for `retransfer_s`.

`step` may be called at any time. All timers are absolute: a call between two events changes nothing, a late call works
off what fell due meanwhile, in order and at the times it fell due, under the inputs that held until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf
from typing import NamedTuple

from ..shared_data import SharedData


class Mode(IntEnum):
    """What the ATS is doing; see the table of the module."""

    CONNECTED = 0
    PREPARING = 1
    DETECTING = 2
    STARTING = 3
    TRANSFER = 4
    ISLANDED = 5
    CONFIRMING = 6
    RETRANSFER = 7
    TRIPPED = 8
    DEAD = 9

    @property
    def islanded(self) -> bool:
        """The signal of the ATS to the controller: True from a confirmed outage until the hub is back on the grid."""
        return self >= Mode.STARTING


class Bus(IntEnum):
    """The source of the hub bus, or the position of the switch (DEAD: no source)."""

    DEAD = 0
    GRID = 1
    SECONDARY = 2


@dataclass(frozen=True)
class SecondarySource(SharedData):
    """Secondary source behind the second input of the ATS.

    Parameters
    ----------
    rated_kw : float
        Rated power [kW].
    start_s : float
        From the start command to voltage [s].
    overload_factor : float
        The source trips above this multiple of `rated_kw` ...
    overload_trip_s : float
        ... when that lasts this long (definite time) [s].
    reverse_trip_kw : float, optional
        Over-generation: it trips when more than this flows back into it [kW]; 5 % of `rated_kw` when left out ...
    reverse_trip_s : float
        ... when that lasts this long [s].
    restart_s : float
        From a trip or a failed start to the next attempt [s], > 0.
    max_restarts : int
        Attempts after the first failure; then it stays locked out until the grid is back.
    cooldown_s : float
        Running without load after the return to the grid [s]. It takes over without a start if the grid fails again.

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    rated_kw: float
    start_s: float = 0.0
    overload_factor: float = 1.1
    overload_trip_s: float = 10.0
    reverse_trip_kw: float | None = None
    reverse_trip_s: float = 5.0
    restart_s: float = 60.0
    max_restarts: int = 3
    cooldown_s: float = 0.0

    def __post_init__(self):
        _require(self, 0.0, "start_s", "overload_trip_s", "reverse_trip_s", "cooldown_s", "max_restarts")
        _require(self, 1.0, "overload_factor")
        for name in ("rated_kw", "restart_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.reverse_trip_kw is None:
            object.__setattr__(self, "reverse_trip_kw", 0.05 * self.rated_kw)
        _require(self, 0.0, "reverse_trip_kw")


@dataclass(frozen=True)
class AtsParameters(SharedData):
    """Settings of the ATS.

    Parameters
    ----------
    detection_s : float
        A loss of voltage shorter than this starts nothing [s].
    transfer_s : float
        From the confirmed outage to the secondary source [s]. A source that is not ready by then is waited for: the bus
        is dead for ``detection_s + max(transfer_s, start_s + stabilise_s)``.
    stabilise_s : float
        The secondary must have had voltage for this long before it is loaded [s].
    retransfer_s : float
        The grid must be good for this long before the hub goes back to it [s].
    open_transition_s : float
        Dead bus while the switch travels with both sources live (retransfer, planned islanding) [s]. The default 0
        stands for a closed transition, and for an open one that is over within a time step: contactors travel in less
        than 0.2 s (0.17 s, ASCO Series 200, operator's manual 381333-234), which a grid of 1 s cannot show.
    secondary : SecondarySource, optional
        The source behind the second input; without it the bus stays dead until the grid is back.

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    detection_s: float = 0.0
    transfer_s: float = 5.0
    stabilise_s: float = 0.0
    retransfer_s: float = 5.0
    open_transition_s: float = 0.0
    secondary: SecondarySource | None = None

    def __post_init__(self):
        _require(self, 0.0, "detection_s", "transfer_s", "stabilise_s", "retransfer_s", "open_transition_s")


class Faults(NamedTuple):
    """The components of the ATS and its source that are out of order."""

    transfer_fails: bool = False
    """The switch does not close on a new position; it tries again once this ends."""
    secondary_failed: bool = False
    """The secondary source stops, and does not start."""


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True)
class AtsState(SharedData):
    """State of the ATS; all times are absolute [s], inf where nothing is due. Make the first one with `initial`."""

    t_s: float
    """Time of the last change."""
    mode: Mode = Mode.CONNECTED
    switch: Bus = Bus.GRID
    """What the switch stands on."""
    running: bool = False
    """The secondary source has voltage."""
    due_s: float = inf
    """End of the mode's own delay."""
    transfer_at_s: float = inf
    """While STARTING: not before this is the load transferred."""
    trip_at_s: float = inf
    """The secondary trips then, if its power does not come back within limits."""
    trip: str = ""
    """Which limit is passed."""
    stop_at_s: float = inf
    """End of the cooling down of the secondary."""
    failures: int = 0
    """Trips and failed starts of the secondary since the hub was last on the grid."""
    stuck: bool = False
    """The switch was to move and did not."""
    grid_available: bool = True
    island: bool = False
    faults: Faults = NO_FAULTS

    @property
    def bus(self) -> Bus:
        """What energises the hub bus."""
        if self.switch is Bus.GRID:
            return Bus.GRID if self.grid_available else Bus.DEAD
        return Bus.SECONDARY if self.switch is Bus.SECONDARY and self.running else Bus.DEAD

    @property
    def next_event_s(self) -> float:
        """When the next timer ends [s]."""
        return min(self.due_s, self.trip_at_s, self.stop_at_s)


class AtsOutputs(NamedTuple):
    """The outputs of the ATS that hold from now on."""

    mode: Mode
    bus: Bus
    secondary_running: bool
    """Also while it starts up to be loaded and while it cools down."""
    events: list[tuple[str, str]]
    """What happened in this step: (kind, text)."""


def initial(parameters: AtsParameters, t_s: float = 0.0, islanded: bool = False) -> AtsState:
    """Return the state at the start of a run: connected, or islanded on the secondary source.

    Parameters
    ----------
    parameters : AtsParameters
    t_s : float
        Start of the run [s].
    islanded : bool
        Start on the secondary source, without grid.

    Returns
    -------
    AtsState

    Raises
    ------
    ValueError
        `islanded` without a secondary source.
    """
    if not islanded:
        return AtsState(t_s)
    if parameters.secondary is None:
        raise ValueError("islanded must be False, got True: there is no secondary source")
    return AtsState(t_s, Mode.ISLANDED, Bus.SECONDARY, running=True, grid_available=False)


def step(
    parameters: AtsParameters,
    state: AtsState,
    t_s: float,
    grid_available: bool,
    p_secondary_kw: float = 0.0,
    faults: Faults = NO_FAULTS,
    island: bool = False,
) -> tuple[AtsState, AtsOutputs, float]:
    """Advance the ATS to `t_s` and apply the inputs that hold from then on.

    Inputs come before timers of the same instant: a grid that returns just when the outage would be confirmed, or fails
    just when its return would be, decides.

    Parameters
    ----------
    parameters : AtsParameters
    state : AtsState
        From the last step, or from `initial`.
    t_s : float
        Now [s]; not before the last change.
    grid_available : bool
        Voltage on the grid side.
    p_secondary_kw : float
        Power of the secondary source as last measured [kW], < 0 when it is fed; ignored while it carries nothing.
        NaN (no reading) leaves a trip timer as it is.
    faults : Faults
    island : bool
        Planned islanding is requested (T1); withdrawn, the hub returns to the grid. It is tried once a request, and not
        at all without a secondary source.

    Returns
    -------
    state : AtsState
        The same object where nothing has changed.
    outputs : AtsOutputs
    next_event_s : float
        Absolute time of the next change that comes without new inputs [s], > `t_s`; inf if there is none.

    Raises
    ------
    ValueError
        `t_s` lies before the last change.
    """
    if not t_s >= state.t_s:
        raise ValueError(f"t_s must be at least {state.t_s} (the last change), got {t_s}")
    events: list[tuple[str, str]] = []
    inputs = (grid_available, island, faults)
    if state.next_event_s <= t_s or inputs != (state.grid_available, state.island, state.faults):
        state = _catch_up(parameters, state, t_s, inputs, events)
    state = _supervise(parameters, state, t_s, p_secondary_kw)
    if state.next_event_s <= t_s:  # a protection without delay
        state = _due_now(parameters, state, events)
    return state, AtsOutputs(state.mode, state.bus, state.running, events), state.next_event_s


def _require(settings, low, *names):
    for name in names:
        value = getattr(settings, name)
        if not low <= value < inf:
            raise ValueError(f"{name} must be at least {low:g} and finite, got {value}")


def _catch_up(parameters: AtsParameters, state: AtsState, t_s: float, inputs: tuple, events: list) -> AtsState:
    """Work off what fell due before t_s, then apply the inputs, then what falls due now."""
    while (at_s := state.next_event_s) < t_s:
        state = _react(parameters, _expire(parameters, replace(state, t_s=at_s), events), events)
    grid_available, island, faults = inputs
    if island and not state.island and parameters.secondary is None:
        events.append(("islanding-refused", "planned islanding needs a secondary source"))
    state = replace(state, t_s=t_s, grid_available=grid_available, island=island, faults=faults)
    return _due_now(parameters, _react(parameters, state, events), events)


def _go(state: AtsState, mode: Mode, due_s: float = inf, **changes) -> AtsState:
    """Enter a mode."""
    return replace(state, mode=mode, due_s=due_s, stuck=False, **changes)


def _supervise(parameters: AtsParameters, state: AtsState, t_s: float, p_kw: float) -> AtsState:
    """Start or clear the trip timer of the secondary by its power."""
    secondary = parameters.secondary
    if secondary is None or state.bus is not Bus.SECONDARY or p_kw != p_kw:  # NaN
        return state
    if p_kw > secondary.rated_kw * secondary.overload_factor:
        trip, after_s = "overload", secondary.overload_trip_s
    elif p_kw < -(secondary.reverse_trip_kw or 0.0):
        trip, after_s = "over-generation", secondary.reverse_trip_s
    else:
        trip, after_s = "", inf
    return state if trip == state.trip else replace(state, t_s=t_s, trip=trip, trip_at_s=t_s + after_s)


def _due_now(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Act on all timers that end now."""
    while state.next_event_s <= state.t_s:
        state = _react(parameters, _expire(parameters, state, events), events)
    return state


def _react(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Apply what follows at once from the inputs, until nothing more does."""
    while (after := _rule(parameters, state, events)) is not state:
        state = after
    return state


def _rule(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Apply the first rule that fits; the same state if none does."""
    if state.running and state.faults.secondary_failed:
        return _lose_secondary(parameters, state, events, "secondary-failed", "secondary source failed")
    if state.stuck and not state.faults.transfer_fails:
        return replace(state, stuck=False, due_s=state.t_s)
    return _MACHINE[state.mode].rule(parameters, state, events)


def _connected(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Detect an outage; forget failures and obey the request for islanding while the grid is there."""
    t_s, secondary = state.t_s, parameters.secondary
    if not state.grid_available:
        events.append(("outage", "grid lost"))
        return _go(state, Mode.DETECTING, t_s + parameters.detection_s)
    if state.failures and not state.island:
        return replace(state, failures=0)
    if state.island and not state.failures and secondary is not None:
        events.append(("islanding", "T1: planned islanding"))
        return _go(state, Mode.PREPARING, t_s + (0.0 if state.running else secondary.start_s))
    return state


def _preparing(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Turn to an unplanned islanding when the grid is lost; give up when the request is withdrawn."""
    t_s = state.t_s
    if not state.grid_available:
        events.append(("outage", "grid lost while the secondary source starts"))
        if state.running:
            return _go(state, Mode.TRANSFER, t_s + parameters.transfer_s)
        transfer_at_s = max(t_s + parameters.transfer_s, state.due_s + parameters.stabilise_s)
        return _go(state, Mode.STARTING, state.due_s, transfer_at_s=transfer_at_s)
    return state if state.island else _on_grid(parameters, state)


def _detecting(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """End a dip."""
    if not state.grid_available:
        return state
    events.append(("dip", "grid back before a transfer"))
    return _on_grid(parameters, state)


def _transferring(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Stay on a grid that is back before the switch has left it."""
    if not (state.grid_available and state.switch is Bus.GRID):
        return state
    events.append(("grid-back", "grid back before the transfer"))
    return _on_grid(parameters, state)


def _without_source(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Go to a grid that is back; nothing else carries the bus."""
    if state.switch is Bus.GRID or not state.grid_available:
        return _transferring(parameters, state, events)
    events.append(("grid-back", "grid back; the secondary source carries nothing"))
    return _go(state, Mode.RETRANSFER, state.t_s + parameters.open_transition_s, switch=Bus.DEAD)


def _islanded(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Watch a grid that is back."""
    if not state.grid_available or state.island:
        return state
    events.append(("grid-back", "grid back; confirming"))
    return _go(state, Mode.CONFIRMING, state.t_s + parameters.retransfer_s)


def _confirming(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Stay islanded when the grid is lost again, or islanding is requested."""
    if state.grid_available and not state.island:
        return state
    lost = ("outage", "grid lost again")
    events.append(("islanding", "T1: islanded operation kept") if state.grid_available else lost)
    return _go(state, Mode.ISLANDED)


def _no_rule(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Wait for the timer."""
    return state


def _expire(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Act on the timer that has ended."""
    t_s = state.t_s
    if state.trip_at_s <= t_s:
        return _lose_secondary(parameters, state, events, "trip", f"secondary source tripped: {state.trip}")
    if state.stop_at_s <= t_s:
        events.append(("secondary-stopped", "secondary source cooled down"))
        return replace(state, running=False, stop_at_s=inf)
    return _MACHINE[state.mode].timer(parameters, state, events)


def _confirmed(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Outage confirmed: start the secondary."""
    t_s, secondary = state.t_s, parameters.secondary
    if secondary is None or state.failures > secondary.max_restarts:
        events.append(("dead", "no source until the grid is back"))
        return _go(state, Mode.DEAD)
    if state.running:
        events.append(("islanding", "T2: outage confirmed, secondary source still runs"))
        return _go(state, Mode.TRANSFER, t_s + parameters.transfer_s, stop_at_s=inf)
    events.append(("islanding", "T2: outage confirmed, starting the secondary source"))
    ready_s = t_s + secondary.start_s
    transfer_at_s = max(t_s + parameters.transfer_s, ready_s + parameters.stabilise_s)
    return _go(state, Mode.STARTING, ready_s, transfer_at_s=transfer_at_s)


def _started(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Start-up over, islanded or on a planned islanding."""
    if state.faults.secondary_failed:
        return _lose_secondary(parameters, state, events, "start-failed", "secondary source did not start")
    state = replace(state, running=True, stop_at_s=inf)
    if state.mode is Mode.PREPARING:
        if state.faults.transfer_fails:
            return _stick(state, events)
        if parameters.open_transition_s > 0:
            return _go(state, Mode.TRANSFER, state.t_s + parameters.open_transition_s, switch=Bus.DEAD)
    elif state.switch is Bus.GRID:
        return _go(state, Mode.TRANSFER, state.transfer_at_s)
    return _carry(state, events)


def _transferred(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Transfer delay over."""
    return _stick(state, events) if state.faults.transfer_fails else _carry(state, events)


def _carry(state: AtsState, events: list) -> AtsState:
    """The secondary source takes the bus."""
    if state.failures:
        events.append(("islanded", "T4: black start, bus on the secondary source"))
    else:
        events.append(("islanded", "bus on the secondary source"))
    return _go(state, Mode.ISLANDED, switch=Bus.SECONDARY)


def _return(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Grid confirmed: move the switch back."""
    if state.faults.transfer_fails:
        return _stick(state, events)
    state = _go(state, Mode.RETRANSFER, state.t_s + parameters.open_transition_s)
    if parameters.open_transition_s > 0:
        return replace(state, switch=Bus.DEAD, trip_at_s=inf, trip="")
    return _returned(parameters, state, events)


def _returned(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """The switch reaches the grid side."""
    if state.faults.transfer_fails:
        return _stick(state, events)
    events.append(("reconnected", "T3: switch back on the grid"))
    return _on_grid(parameters, state)


def _on_grid(parameters: AtsParameters, state: AtsState) -> AtsState:
    """Stand on the grid side; the secondary cools down and stops. A grid that is gone by now is the next outage."""
    cooldown_s = parameters.secondary.cooldown_s if parameters.secondary else 0.0
    running = state.running and cooldown_s > 0
    stop_at_s = min(state.stop_at_s, state.t_s + cooldown_s) if running else inf
    changes = {"running": running, "stop_at_s": stop_at_s, "trip_at_s": inf, "trip": ""}
    return _go(state, Mode.CONNECTED, switch=Bus.GRID, **changes)


def _restart(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Try the secondary again."""
    events.append(("restart", f"T4: restart {state.failures} of the secondary source"))
    ready_s = state.t_s + (parameters.secondary.start_s if parameters.secondary else 0.0)
    return _go(state, Mode.STARTING, ready_s, transfer_at_s=ready_s + parameters.stabilise_s)


def _lose_secondary(parameters: AtsParameters, state: AtsState, events: list, kind: str, text: str) -> AtsState:
    """The secondary stops: by a trip, a fault or a failed start. What hangs on it needs another source."""
    state = replace(state, running=False, stop_at_s=inf, trip_at_s=inf, trip="")
    events.append((kind, text))
    if state.mode in (Mode.CONNECTED, Mode.DETECTING, Mode.RETRANSFER):  # it was only cooling down
        return state
    state = replace(state, failures=state.failures + 1)
    if state.grid_available:
        if state.switch is Bus.GRID:
            return _on_grid(parameters, state)
        return _go(state, Mode.RETRANSFER, state.t_s + parameters.open_transition_s, switch=Bus.DEAD)
    if parameters.secondary is None or state.failures > parameters.secondary.max_restarts:
        events.append(("dead", "secondary source locked out until the grid is back"))
        return _go(state, Mode.DEAD)
    return _go(state, Mode.TRIPPED, state.t_s + parameters.secondary.restart_s)


def _stick(state: AtsState, events: list) -> AtsState:
    """The switch does not move; `_rule` tries again when the fault has gone."""
    events.append(("transfer-failed", "transfer switch did not move"))
    return replace(state, stuck=True, due_s=inf)


def _no_timer(parameters: AtsParameters, state: AtsState, events: list) -> AtsState:
    """Refuse a timer in a mode that has none."""
    raise RuntimeError(f"mode {state.mode.name} has no timer")


class _Entry(NamedTuple):
    """What a mode does; each function takes parameters, state and events, and returns the next state."""

    rule: Callable[[AtsParameters, AtsState, list], AtsState]
    """By the inputs, at once."""
    timer: Callable[[AtsParameters, AtsState, list], AtsState]
    """At the end of the mode's own delay."""


_MACHINE = {
    Mode.CONNECTED: _Entry(_connected, _no_timer),
    Mode.PREPARING: _Entry(_preparing, _started),
    Mode.DETECTING: _Entry(_detecting, _confirmed),
    Mode.STARTING: _Entry(_without_source, _started),
    Mode.TRANSFER: _Entry(_transferring, _transferred),
    Mode.ISLANDED: _Entry(_islanded, _no_timer),
    Mode.CONFIRMING: _Entry(_confirming, _return),
    Mode.RETRANSFER: _Entry(_no_rule, _returned),
    Mode.TRIPPED: _Entry(_without_source, _restart),
    Mode.DEAD: _Entry(_without_source, _no_timer),
}
