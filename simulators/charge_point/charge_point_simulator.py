"""The simulator of the charging connectors of a hub and the EVs at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..adapter import BUS_PORT, Adapter, Clock, Device, Port
from ..battery import battery_model
from ..shared_data import SharedData
from ..units import energy_kwh
from ..water_filling import within_cabinets
from . import charge_point_model


@dataclass(frozen=True)
class PluggedSessions(SharedData):
    """What the plant must know of every session of a hub; arrays have the shape (n_sessions,).

    Parameters
    ----------
    energy_kwh, p_max_kw, soc : ndarray
        Asked for [kWh], accepted [kW], state of charge at arrival.
    v2g : ndarray of bool
        The owner agreed to discharge.
    pack : sequence of sequence of battery.BatteryParameters
        The battery of each EV, at a connector of each kind.
    """

    energy_kwh: np.ndarray
    p_max_kw: np.ndarray
    soc: np.ndarray
    v2g: np.ndarray
    pack: list[list[battery_model.BatteryParameters]]


class ChargePoint(Device):
    """The connectors of one hub: who is plugged in, how much power they take, and how much energy they have got."""

    def __init__(
        self,
        clock: Clock,
        *,
        connectors: charge_point_model.ConnectorParameters,
        empty: battery_model.BatteryParameters,
        sessions: PluggedSessions,
        telemetry_s: float,
    ):
        super().__init__(clock)
        n = connectors.rated_kw.size
        self._connectors = connectors
        self._sessions = sessions
        self._telemetry_s = telemetry_s
        self._packs = battery_model.stack([empty] * n)
        self._state = battery_model.initial(self._packs, np.zeros(n))
        self._session = np.full(n, -1)
        self._occupied = np.zeros(n, dtype=bool)
        self._accepted_kw = np.zeros(n)
        self._asked_kwh = np.zeros(n)
        self._got_kwh = np.zeros(n)
        self._v2g = np.zeros(n, dtype=bool)
        self._plugged_s = np.full(n, np.nan)
        self._powered = np.zeros(n, dtype=bool)
        self._lower_kw, self._upper_kw = np.zeros(n), np.zeros(n)
        self._request_kw = np.full(n, np.nan)
        self._p_kw = np.zeros(n)
        self._until_s = np.full(n, np.inf)
        # where there are cabinets: what each would take if none were short, of what request, and until when
        self._free_kw, self._free_request_kw, self._free_until_s = np.zeros(n), np.zeros(n), np.full(n, np.inf)
        self._cut = np.zeros(n, dtype=bool)
        self._t_s = 0.0
        self._event_s = 0.0
        self.inputs = {"bus": 1, "session": self._session, "faulted": np.zeros(n, dtype=bool), "limit_kw": np.zeros(n)}
        self.inputs["q_set_kvar"] = np.zeros(n)

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the batteries to now, connect and disconnect EVs, and decide the power until the next event."""
        self._advance(t_s)
        ended: list[dict] = []
        if self.inputs["session"] is not self._session:
            self._come_and_go(t_s, self.inputs["session"], ended)
        if t_s >= self.clock.end_s:
            ended += [self._account(i, t_s, "unfinished") for i in self._occupied.nonzero()[0].tolist()]
            self._send_state(ended)
            return math.inf
        if arrived or t_s >= self._event_s:
            if not arrived.keys().isdisjoint(("bus", "session", "faulted")):
                self._bound()
            self._decide(t_s)
        self._send_state(ended)
        wake_s = self._event_s
        if np.count_nonzero(self._p_kw):
            # the controller and the recorder are told how far charging has come
            wake_s = min(wake_s, (math.floor(t_s / self._telemetry_s + 1e-9) + 1) * self._telemetry_s)
        return min(wake_s, self.clock.end_s)

    def _advance(self, t_s: float) -> None:
        dt_s = t_s - self._t_s
        self._t_s = t_s
        if dt_s > 0.0 and np.count_nonzero(self._occupied):
            self._state = battery_model.advance(self._packs, self._state, -self._p_kw, dt_s)
            self._got_kwh = self._got_kwh + energy_kwh(self._p_kw, dt_s)

    def _come_and_go(self, t_s: float, session: np.ndarray, ended: list[dict]) -> None:
        for i in (session != self._session).nonzero()[0].tolist():
            if self._session[i] >= 0:
                ended.append(self._account(i, t_s, "served"))
            k = int(session[i])
            there = k >= 0
            if there:
                self._packs = battery_model.put(self._packs, i, self._sessions.pack[self._connectors.kind[i]][k])
                self._state = battery_model.put_state(self._state, i, float(self._sessions.soc[k]))
            self._accepted_kw[i] = self._sessions.p_max_kw[k] if there else 0.0
            self._asked_kwh[i] = self._sessions.energy_kwh[k] if there else 0.0
            self._v2g[i] = there and self._sessions.v2g[k]
            self._plugged_s[i] = t_s if there else np.nan
            self._got_kwh[i] = 0.0
            self._until_s[i] = self._free_until_s[i] = t_s
        self._session, self._occupied = session, session >= 0

    def _account(self, i: int, t_s: float, outcome: str) -> dict:
        return {
            "session": int(self._session[i]),
            "connector": int(i),
            "plug_s": float(self._plugged_s[i]),
            "end_s": t_s,
            "delivered_kwh": float(self._got_kwh[i]),
            "soc_end": float(self._state.soc[i]),
            "outcome": outcome,
        }

    def _bound(self) -> None:
        """What connectors and EVs allow, until somebody comes or goes, or a connector or the bus fails or returns."""
        self._powered = self._occupied & ~self.inputs["faulted"] & (self.inputs["bus"] != 0)
        self._lower_kw, self._upper_kw = charge_point_model.bounds_kw(
            self._connectors, self._accepted_kw, self._v2g, self._powered
        )

    def _decide(self, t_s: float) -> None:
        """The power of every connector from now on, and until when it can stay like that."""
        limit_kw = self.inputs["limit_kw"]
        request_kw = charge_point_model.request_kw(self._connectors, limit_kw, self._lower_kw, self._upper_kw)
        if self._connectors.cabinets:
            request_kw = self._shared(t_s, request_kw)
        # what was found before holds until its time is over or something else is asked for
        asked = ((request_kw != self._request_kw) | (self._until_s <= t_s)).nonzero()[0]
        if asked.size:
            self._p_kw[asked], self._until_s[asked] = self._held(t_s, request_kw, asked)
            self._request_kw = request_kw
            self._event_s = float(self._until_s.min())
            self._send_power()
        if self._connectors.cabinets:
            self._event_s = min(float(self._until_s.min()), float(self._free_until_s.min()))
        q_kvar, q_set_kvar = 0.0, self.inputs["q_set_kvar"]
        if self._connectors.feeds_back and np.count_nonzero(q_set_kvar):
            able = self._powered & self._v2g
            q_kvar = charge_point_model.reactive_kvar(self._connectors, self._p_kw, q_set_kvar, able).sum()
        self.emit("q_kvar", float(q_kvar))

    def _held(self, t_s: float, request_kw: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the EVs at some connectors take of a request [kW], and until when [s]."""
        step_s = self.clock.time_step_s
        held = battery_model.hold(self._packs, self._state, -request_kw, step_s, index=asked.tolist())
        remaining_kwh = self._asked_kwh[asked] - self._got_kwh[asked]
        p_kw, hold_s = charge_point_model.until_energy(0.0 - held.p_kw, held.hold_s, remaining_kwh, step_s)
        return p_kw, t_s + hold_s

    def _shared(self, t_s: float, request_kw: np.ndarray) -> np.ndarray:
        """The request that the cabinets can meet: what one EV does not take is there for the others."""
        # a battery that got less than it would take is not where it was expected
        stale = (request_kw != self._free_request_kw) | (self._free_until_s <= t_s) | self._cut
        asked = stale.nonzero()[0]
        if asked.size:
            self._free_kw[asked], self._free_until_s[asked] = self._held(t_s, request_kw, asked)
            self._free_request_kw = request_kw
        shared_kw = within_cabinets(self._connectors.cabinets, self._free_kw, self._connectors.minimum_kw)
        self._cut = shared_kw != self._free_kw
        return np.where(self._cut, shared_kw, request_kw)

    def _send_power(self) -> None:
        p_kw = self._p_kw
        self.emit("p_kw", float(p_kw.sum()))
        self.emit_row("phase_kw", charge_point_model.phase_kw(self._connectors, p_kw))
        self.emit("connector_p_kw", p_kw.copy())

    def _send_state(self, ended: list[dict]) -> None:
        self.emit("energy_kwh", self._got_kwh.copy())
        self.emit("soc", np.where(self._occupied, self._state.soc, np.nan))
        if ended:
            self.changed["ended"] = ended


class ChargePointSimulator(Adapter):
    """The connectors of all hubs."""

    model = "ChargePoint"
    device = ChargePoint
    inputs = {
        "bus": BUS_PORT,
        "session": Port("", "number of the session at each connector, -1 for none", "connector"),
        "faulted": Port("", "connectors that are out of order", "connector"),
        "limit_kw": Port("kW", "limit of each connector", "connector"),
        "q_set_kvar": Port("kvar", "reactive set point of each connector, > 0 feeds the hub bus", "connector"),
    }
    outputs = {
        "p_kw": Port("kW", "charging power of all connectors"),
        "q_kvar": Port("kvar", "reactive power the connectors feed into the hub bus"),
        "phase_kw": Port("kW", "charging power on each phase", "phase", recorded=False),
        "connector_p_kw": Port("kW", "charging power of each connector", "connector"),
        "energy_kwh": Port("kWh", "delivered to the session at each connector so far", "connector"),
        "soc": Port("", "state of charge of the EV at each connector", "connector"),
        "ended": Port("", "accounts of the sessions that ended", recorded=False),
    }
