"""The dispatchable generators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import BUS_PORT, FAILED, Adapter, Clock, Device, Port, Schedule
from . import generator_model

_PHASE_CODES = {phase.value: phase.name.lower() for phase in generator_model.EnginePhase}


class Genset(Device):
    """The generator of one hub."""

    def __init__(
        self,
        clock: Clock,
        *,
        parameters: generator_model.GeneratorParameters,
        fuel_l: float | None,
        faults: Schedule,
        telemetry_s: float,
    ):
        super().__init__(clock)
        self._parameters = parameters
        self._faults = faults
        self._telemetry_s = telemetry_s
        self._state = generator_model.initial(parameters, fuel_l)
        self._t_s = 0.0
        self.inputs = {"bus": 1, "p_set_kw": 0.0, "q_set_kvar": 0.0}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the generator to now, and follow the set point."""
        fault = self._faults.at(t_s)
        self._state, outputs = generator_model.step(
            self._parameters,
            self._state,
            self.inputs["p_set_kw"],
            self.inputs["bus"] != 0,
            bool(fault and fault.trips),
            t_s - self._t_s,
            self.clock.time_step_s,
        )
        self._t_s = t_s
        burning = bool(outputs.fuel_l_per_h[0] > 0.0)
        self.emit("p_kw", float(outputs.p_kw[0]))
        self.emit("q_kvar", float(generator_model.reactive_kvar(outputs.p_kw[0], self.inputs["q_set_kvar"])))
        self.emit("fuel_l", float(self._state.fuel_l[0]))
        self.emit("phase", int(self._state.phase[0]))
        self.emit("failed", fault is not None)
        if t_s >= self.clock.end_s:
            return math.inf
        telemetry_s = (math.floor(t_s / self._telemetry_s + 1e-9) + 1) * self._telemetry_s if burning else math.inf
        return min(t_s + float(outputs.next_event_s[0]), self._faults.next_change(t_s), telemetry_s, self.clock.end_s)


class GeneratorSimulator(Adapter):
    """The generators of all hubs."""

    model = "Dg"
    device = Genset
    inputs = {
        "bus": BUS_PORT,
        "p_set_kw": Port("kW", "set point; 0 stops it"),
        "q_set_kvar": Port("kvar", "reactive set point, > 0 feeds the hub bus"),
    }
    outputs = {
        "p_kw": Port("kW", "power fed into the hub bus"),
        "q_kvar": Port("kvar", "reactive power fed into the hub bus"),
        "fuel_l": Port("l", "fuel in the tank"),
        "phase": Port("", "what the engine is doing", codes=_PHASE_CODES),
        "failed": FAILED,
    }
