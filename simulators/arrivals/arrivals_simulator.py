"""The simulator of EVs that arrive, wait, plug in, authenticate and leave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adapter import EVENTS, Adapter, Clock, Device, Port
from . import station_model

_STATUS_CODES = {code: name for name, code in station_model.STATUS.items()}
_OUTCOMES = {"balked": "turned away, every waiting place was taken", "reneged": "gave up waiting"}
_FAULTS = {"faulted": "out of order", "repaired": "works again"}


class StationDevice(Device):
    """The connectors of one hub, as places that EVs occupy."""

    def __init__(self, clock: Clock, *, plan: station_model.StationPlan):
        super().__init__(clock)
        self._station = station_model.Station(plan)
        self._plan = plan
        self._present: set[int] = set()

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the station to a time, and emit who is plugged in and what happened."""
        messages: list[tuple[str, str]] = []
        ended: list[dict] = []
        authenticated: set[int] = set()
        seen = self._sent.get("session", np.empty(0))
        for event in self._station.advance(t_s):
            name = self._plan.sessions[event.session].id if event.session >= 0 else ""
            if event.kind == "authenticated":
                authenticated.add(event.session)
            elif event.kind == "arrived":
                self._present.add(event.session)
            elif event.kind in _OUTCOMES:
                self._present.discard(event.session)
                messages.append((event.kind, f"{name} {_OUTCOMES[event.kind]}"))
                ended.append(_account(event.session, event.t_s, event.kind))
            elif event.kind in _FAULTS:
                messages.append((f"connector {event.kind}", f"connector {event.connector + 1} {_FAULTS[event.kind]}"))
            elif event.kind == "departed":
                self._present.discard(event.session)
                if event.session in seen:
                    continue  # the connectors know what it got
                # it came and went between two steps, or left before it was authenticated
                outcome = "served" if event.session in authenticated else "reneged"
                ended.append(_account(event.session, event.t_s, outcome))
        station = self._station
        self.emit("session", station.session.copy())
        self.emit("status", station.status.copy())
        self.emit("faulted", station.status == station_model.STATUS["faulted"])
        self.emit("queue", station.waiting)
        self.emit_events(messages)
        if t_s >= self.clock.end_s:
            unseen = sorted(self._present.difference(station.session.tolist()))
            ended += [_account(k, t_s, "unfinished") for k in unseen]
        if ended:
            self.changed["ended"] = ended
        return math.inf if t_s >= self.clock.end_s else min(station.peek(), self.clock.end_s)


def _account(session: int, end_s: float, outcome: str) -> dict:
    """Account of a session that never charged."""
    return {
        "session": session,
        "connector": -1,
        "plug_s": math.nan,
        "end_s": end_s,
        "delivered_kwh": 0.0,
        "soc_end": math.nan,
        "outcome": outcome,
    }


class ArrivalsSimulator(Adapter):
    """The stations of all hubs."""

    model = "Arrivals"
    device = StationDevice
    outputs = {
        "session": Port("", "number of the session at each connector, -1 for none", "connector"),
        "status": Port("", "what each connector is doing", "connector", codes=_STATUS_CODES),
        "faulted": Port("", "connectors that are out of order", "connector", recorded=False),
        "queue": Port("", "EVs that wait for a connector"),
        "ended": Port("", "accounts of the sessions that ended", recorded=False),
        "events": EVENTS,
    }
