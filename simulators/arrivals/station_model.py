"""The connectors of a hub as resources: EVs arrive, wait, plug in, authenticate and leave; connectors fail.

The model is a SimPy process for each session and each fault. Nothing that happens at the hub later (power, prices,
blackouts) changes who comes, waits or leaves. So a plan of a station is all there is to know: the processes run once,
to their end, and a station follows the events that they leave behind.

An EV that finds a working free connector (its own one, or one of its group, if the session names it) takes the free one
with the lowest number; otherwise it waits, first come, first served among those that accept the connector, or turns
away when all waiting places are taken. It gives up when its patience or, with ``wait_keeps="departure"``, its departure
has passed. What else happens at an instant comes before the arrivals, so an EV that comes when another one leaves finds
the connector free.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from math import inf, isfinite
from operator import attrgetter
from typing import Literal, NamedTuple

import numpy as np
import simpy

from ..shared_data import SharedData
from .session_model import Session


class ConnectorStatus(IntEnum):
    """Status of a connector; the names are those of OCPP where it has them."""

    AVAILABLE = 0
    PREPARING = 1
    """Taken; the EV plugs in and authenticates."""
    CHARGING = 2
    """An authenticated EV is plugged in, whether power flows or not."""
    FAULTED = 3
    """Out of order, with or without an EV."""


STATUS: dict[str, int] = {status.name.lower(): int(status) for status in ConnectorStatus}
"""Codes of the connector status by name."""


@dataclass(frozen=True, slots=True)
class StationParameters(SharedData):
    """The connectors of a hub and what EVs do there.

    Parameters
    ----------
    n_connectors : int
        Number of connectors.
    queue_places : float
        Waiting places, a whole number or infinite; 0 turns away everyone who finds no connector.
    patience_s : float
        How long an EV waits before it gives up [s]; infinite when only its departure ends the waiting.
    patience : {"constant", "exponential"}
        Whether every EV waits `patience_s`, or an exponentially distributed time with that mean.
    plug_in_s : float
        From taking a connector to being plugged in [s].
    authentication_s : float
        From being plugged in to being authenticated [s].
    wait_keeps : {"departure", "stay"}
        What waiting leaves unchanged: the session's departure, or its length from taking the connector on.
    groups : mapping of str to sequence of int
        Connectors of each group that sessions can ask for, in the order in which they are taken.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    n_connectors: int
    queue_places: float = inf
    patience_s: float = inf
    patience: Literal["constant", "exponential"] = "constant"
    plug_in_s: float = 0.0
    authentication_s: float = 0.0
    wait_keeps: Literal["departure", "stay"] = "departure"
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self):
        if self.n_connectors < 1 or self.n_connectors != int(self.n_connectors):
            raise ValueError(f"n_connectors: must be a whole number >= 1, got {self.n_connectors}")
        if self.queue_places != inf and (self.queue_places < 0 or self.queue_places != int(self.queue_places)):
            raise ValueError(f"queue_places: must be a whole number >= 0 or infinite, got {self.queue_places}")
        if not self.patience_s >= 0:
            raise ValueError(f"patience_s: must be >= 0, got {self.patience_s}")
        if self.patience not in ("constant", "exponential"):
            raise ValueError(f"patience: must be constant or exponential, got {self.patience!r}")
        for name in ("plug_in_s", "authentication_s"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name}: must be finite and >= 0, got {getattr(self, name)}")
        if self.wait_keeps not in ("departure", "stay"):
            raise ValueError(f"wait_keeps: must be departure or stay, got {self.wait_keeps!r}")


class StationEvent(NamedTuple):
    """Something that happened at a station.

    Parameters
    ----------
    t_s : float
        When [s since the scenario's start].
    kind : str
        ``arrived``; then ``queued`` or ``balked`` when it finds no connector; ``reneged`` when it gives up waiting;
        ``assigned`` when it takes a connector; ``authenticated`` when it may charge; ``departed`` when it leaves that
        connector. Of a connector: ``faulted`` and ``repaired``.
    connector : int
        Connector, -1 for none.
    session : int
        Index of the session, -1 for none.
    """

    t_s: float
    kind: str
    connector: int
    session: int


@dataclass(frozen=True)
class StationPlan(SharedData):
    """Everything that decides what happens at a station, as plain data; `station_plan` draws one.

    Parameters
    ----------
    parameters : StationParameters
    sessions : tuple of Session
        Who comes, in any order.
    faults : tuple of (connector, from_s, until_s)
        When connectors are out of order [s]; `until_s` may be infinite, periods may overlap.
    patience_s : tuple of float
        How long each EV waits before it gives up [s].

    Raises
    ------
    ValueError
        If a session or a fault names a connector that does not exist, a fault ends before it begins, or there is not
        one patience for each session.
    """

    parameters: StationParameters
    sessions: tuple[Session, ...]
    faults: tuple[tuple[int, float, float], ...]
    patience_s: tuple[float, ...]

    def __post_init__(self):
        _check(self.parameters, self.sessions, self.faults)
        if len(self.patience_s) != len(self.sessions):
            raise ValueError(f"patience_s: must be {len(self.sessions)} times, got {len(self.patience_s)}")

    @cached_property
    def events(self) -> tuple[StationEvent, ...]:
        """Everything that happens, in order; the first to ask lets the processes run."""
        env = simpy.Environment()
        floor = _Floor(env, self.parameters, self.sessions)
        for connector, from_s, until_s in self.faults:
            env.process(floor.fault(connector, from_s, until_s))
        env.process(floor.arrivals(self.patience_s))
        env.run()
        return tuple(floor.events)


def station_plan(
    parameters: StationParameters,
    sessions: Iterable[Session],
    faults: Iterable[tuple[int, float, float]] = (),
    rng: np.random.Generator | None = None,
) -> StationPlan:
    """Plan a station, and draw how patient each EV is.

    Parameters
    ----------
    parameters : StationParameters
    sessions : iterable of Session
        Who comes, in any order.
    faults : iterable of (connector, from_s, until_s)
        When connectors are out of order [s].
    rng : numpy.random.Generator, optional
        Needed for exponential patience.

    Returns
    -------
    StationPlan

    Raises
    ------
    ValueError
        If the plan is not valid, or exponential patience comes without `rng`.
    """
    sessions = tuple(sessions)
    # drawn for all, so that it does not depend on who has to wait
    patience_s = (parameters.patience_s,) * len(sessions)
    if parameters.patience == "exponential" and parameters.patience_s < inf:
        if rng is None:
            raise ValueError("rng: must be given for exponential patience, got None")
        patience_s = tuple(rng.exponential(parameters.patience_s, len(sessions)).tolist())
    return StationPlan(parameters, sessions, tuple(faults), patience_s)


class Station:
    """The connectors of a hub over time: what has happened of a plan, and how things stand.

    Parameters
    ----------
    plan : StationPlan

    Attributes
    ----------
    session : ndarray of int, shape (n_connectors,)
        Index of the plugged and authenticated session, or -1. Stays while the connector is faulted.
    status : ndarray of int, shape (n_connectors,)
        Codes of `STATUS`.
    authenticated_s : ndarray of float, shape (n_connectors,)
        When that session was authenticated [s], or NaN.
    """

    def __init__(self, plan: StationPlan):
        n = plan.parameters.n_connectors
        self.session = np.full(n, -1)
        self.status = np.full(n, int(ConnectorStatus.AVAILABLE))
        self.authenticated_s = np.full(n, np.nan)
        self._plan = plan
        self._happened = 0
        self._taken = [False] * n
        self._faulted = [False] * n
        self._queue: set[int] = set()

    @property
    def waiting(self) -> int:
        """Number of EVs in the queue."""
        return len(self._queue)

    def peek(self) -> float:
        """Return the time of the next event [s]; infinite when there is none."""
        events = self._plan.events
        return events[self._happened].t_s if self._happened < len(events) else inf

    def advance(self, until_s: float) -> list[StationEvent]:
        """Advance the station to a time, and update its attributes.

        Parameters
        ----------
        until_s : float
            Where to [s]; events at this very instant are included.

        Returns
        -------
        list of StationEvent
            In the order in which they happened.
        """
        events, first = self._plan.events, self._happened
        self._happened = bisect_right(events, until_s, lo=first, key=attrgetter("t_s"))
        news = list(events[first : self._happened])
        for event in news:
            self._apply(event)
        return news

    def _apply(self, event: StationEvent) -> None:
        """Bring the attributes up to date with an event."""
        t_s, kind, connector, index = event
        if kind == "queued":
            self._queue.add(index)
        elif kind in ("reneged", "assigned"):
            self._queue.discard(index)
        if connector < 0:
            return
        if kind == "assigned":
            self._taken[connector] = True
        elif kind == "authenticated":
            self.session[connector] = index
            self.authenticated_s[connector] = t_s
        elif kind == "departed":
            self._taken[connector] = False
            self.session[connector] = -1
            self.authenticated_s[connector] = np.nan
        else:
            self._faulted[connector] = kind == "faulted"
        self.status[connector] = self._status_of(connector)

    def _status_of(self, connector: int) -> ConnectorStatus:
        if self._faulted[connector]:
            return ConnectorStatus.FAULTED
        if self.session[connector] >= 0:
            return ConnectorStatus.CHARGING
        return ConnectorStatus.PREPARING if self._taken[connector] else ConnectorStatus.AVAILABLE


class _Floor:
    """The SimPy side: who holds which connector, who waits, and the log of what happened."""

    def __init__(self, env: simpy.Environment, parameters: StationParameters, sessions: Sequence[Session]):
        self.env = env
        self.parameters = parameters
        self.sessions = sessions
        self.events: list[StationEvent] = []
        self.occupant = [-1] * parameters.n_connectors
        self.n_faults = [0] * parameters.n_connectors
        self.repaired = [env.event() for _ in range(parameters.n_connectors)]
        self.waiting: dict[int, simpy.Event] = {}

    def accepted(self, session: Session) -> Sequence[int]:
        """Return the connectors that an EV can use, in the order in which it tries them."""
        if session.connector is not None:
            return (session.connector,)
        if session.group is not None:
            return self.parameters.groups[session.group]
        return range(self.parameters.n_connectors)

    def log(self, kind: str, connector: int, index: int) -> None:
        self.events.append(StationEvent(self.env.now, kind, connector, index))

    def arrivals(self, patience_s: Sequence[float]) -> Generator[simpy.Event, None, None]:
        """Run the process that lets the EVs arrive, one after the other."""
        env, sessions = self.env, self.sessions
        order = sorted(range(len(sessions)), key=lambda index: sessions[index].arrival_s)
        # timers set at instant 0 fire exactly at the times given; a timer set later adds a rounding
        arrive = [env.timeout(sessions[index].arrival_s) for index in order]
        depart = [env.timeout(sessions[index].departure_s) for index in order]
        for index, arrives, departs in zip(order, arrive, depart, strict=True):
            if not arrives.processed:
                yield arrives
            while env.peek() == env.now:
                yield env.timeout(0)  # whatever else is due at this instant goes first
            env.process(self.visit(index, departs, patience_s[index]))

    def visit(self, index: int, departs: simpy.Event, patience_s: float) -> Generator[simpy.Event, None, None]:
        """Run the process of one EV, from its arrival to its departure."""
        env, session = self.env, self.sessions[index]
        keeps_departure = self.parameters.wait_keeps == "departure"
        self.log("arrived", -1, index)

        connector = next(filter(self.is_free, self.accepted(session)), None)
        if connector is not None:
            self.assign(connector, index)
        elif len(self.waiting) >= self.parameters.queue_places:
            self.log("balked", -1, index)
            return
        else:
            self.log("queued", -1, index)
            granted = self.waiting[index] = env.event()
            ends_waiting: list[simpy.Event] = [granted]
            if keeps_departure:
                ends_waiting.append(departs)
            if patience_s < inf:
                ends_waiting.append(env.timeout(patience_s))
            yield env.any_of(ends_waiting)
            if not granted.triggered:
                del self.waiting[index]
                self.log("reneged", -1, index)
                return
            connector = self.occupant.index(index)

        stay_s = session.departure_s - (env.now if keeps_departure else session.arrival_s)
        leaves = departs if keeps_departure else env.timeout(stay_s)
        prepares_s = self.parameters.plug_in_s + self.parameters.authentication_s
        if prepares_s < stay_s:
            if prepares_s > 0:
                yield env.timeout(prepares_s)
            while self.n_faults[connector] and not leaves.processed:
                yield self.repaired[connector] | leaves
            if not leaves.processed:
                self.log("authenticated", connector, index)
        yield leaves
        self.log("departed", connector, index)
        self.occupant[connector] = -1
        self.offer(connector)

    def fault(self, connector: int, from_s: float, until_s: float) -> Generator[simpy.Event, None, None]:
        """Run the process of one period in which a connector is out of order."""
        begins = self.env.timeout(from_s)
        ends = self.env.timeout(until_s) if until_s < inf else self.env.event()
        yield begins
        self.n_faults[connector] += 1
        if self.n_faults[connector] == 1:
            self.repaired[connector] = self.env.event()
            self.log("faulted", connector, self.occupant[connector])
        yield ends
        self.n_faults[connector] -= 1
        if self.n_faults[connector] == 0:
            self.log("repaired", connector, self.occupant[connector])
            self.repaired[connector].succeed()
            self.offer(connector)

    def is_free(self, connector: int) -> bool:
        return self.occupant[connector] < 0 and self.n_faults[connector] == 0

    def assign(self, connector: int, index: int) -> None:
        self.occupant[connector] = index
        self.log("assigned", connector, index)

    def offer(self, connector: int) -> None:
        """Allocate a connector, if it is free, to the EV that has waited longest among those that accept it."""
        if not self.is_free(connector):
            return
        for index, granted in self.waiting.items():
            if connector in self.accepted(self.sessions[index]):
                del self.waiting[index]
                self.assign(connector, index)
                granted.succeed()
                return


def _check(
    parameters: StationParameters, sessions: Sequence[Session], faults: Sequence[tuple[int, float, float]]
) -> None:
    n = parameters.n_connectors
    for session in sessions:
        if session.group is not None and session.group not in parameters.groups:
            allowed = ", ".join(parameters.groups) or "left out: there are none"
            raise ValueError(f"session {session.id!r}: group must be {allowed}, got {session.group}")
        if session.connector is not None and session.connector >= n:
            raise ValueError(f"session {session.id!r}: connector must be below {n}, got {session.connector}")
    for connector, from_s, until_s in faults:
        if not 0 <= connector < n:
            raise ValueError(f"faults: connector must be from 0 to {n - 1}, got {connector}")
        if not (isfinite(from_s) and 0 <= from_s < until_s):
            raise ValueError(f"faults: must begin at a finite time >= 0 and end later, got {from_s} to {until_s} s")
