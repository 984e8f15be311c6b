"""The stationary batteries behind their inverters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import inverter
from ..adapter import BUS_PORT, FAILED, Adapter, Clock, Device, Port, Schedule
from . import battery_model


class Storage(Device):
    """The battery of one hub."""

    def __init__(
        self,
        clock: Clock,
        *,
        parameters: battery_model.BatteryParameters,
        soc: float,
        inverter_kva: float,
        faults: Schedule,
        telemetry_s: float,
    ):
        super().__init__(clock)
        self._parameters = parameters
        self._state = battery_model.initial(parameters, soc)
        self._inverter_kva = inverter_kva
        self._faults = faults
        self._telemetry_s = telemetry_s
        self._t_s = 0.0
        self._event_s = 0.0
        self._p_kw = np.zeros(1)
        self._q_kvar = 0.0
        self.inputs = {"bus": 1, "p_set_kw": 0.0, "q_set_kvar": 0.0}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the cells to now, and decide which power can be held from here on."""
        if t_s > self._t_s:
            self._state = battery_model.advance(self._parameters, self._state, self._p_kw, t_s - self._t_s)
            self._t_s = t_s
        if t_s < self.clock.end_s and (arrived or t_s >= self._event_s):
            self._decide(t_s)
        parameters, state, p_kw = self._parameters, self._state, self._p_kw
        self.emit("p_kw", float(p_kw[0]))
        self.emit("q_kvar", self._q_kvar)
        self.emit("soc", float(state.soc[0]))
        self.emit("failed", self._faults.at(t_s) is not None)
        self.emit("v_v", float(battery_model.terminal_voltage_v(parameters, state, p_kw)[0]))
        self.emit("i_a", float(battery_model.current_a(parameters, state, p_kw)[0]))
        if t_s >= self.clock.end_s:
            return math.inf
        active = self._p_kw[0] != 0.0
        telemetry_s = (math.floor(t_s / self._telemetry_s + 1e-9) + 1) * self._telemetry_s if active else math.inf
        return min(self._event_s, telemetry_s, self.clock.end_s)

    def _decide(self, t_s: float) -> None:
        fault = self._faults.at(t_s)
        on = self.inputs["bus"] != 0 and not (fault and fault.trips)
        wanted_kw = np.array([self.inputs["p_set_kw"] if on else 0.0])
        held = battery_model.hold(self._parameters, self._state, wanted_kw, self.clock.time_step_s)
        self._p_kw = held.p_kw
        q_set_kvar = self.inputs["q_set_kvar"] if on else 0.0
        self._q_kvar = float(inverter.clip_q(held.p_kw[0], q_set_kvar, self._inverter_kva)) if q_set_kvar else 0.0
        self._event_s = min(t_s + float(held.hold_s[0]), self._faults.next_change(t_s))


class BatterySimulator(Adapter):
    """The stationary batteries of all hubs."""

    model = "Battery"
    device = Storage
    inputs = {
        "bus": BUS_PORT,
        "p_set_kw": Port("kW", "set point, > 0 discharges"),
        "q_set_kvar": Port("kvar", "reactive set point, > 0 feeds the hub bus"),
    }
    outputs = {
        "p_kw": Port("kW", "power into the hub bus, < 0 charges"),
        "q_kvar": Port("kvar", "reactive power into the hub bus"),
        "soc": Port("", "state of charge", total="mean"),
        "v_v": Port("V", "terminal voltage of the pack"),
        "i_a": Port("A", "current of the pack, > 0 discharges"),
        "failed": FAILED,
    }
