"""The wind turbines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import BUS_PORT, FAILED, Adapter, Clock, Device, Port, Schedule
from ..series import Series
from . import wind_model


class Turbine(Device):
    """A wind turbine of a hub."""

    def __init__(self, clock: Clock, *, available_kw: Series, rated_kw: float, faults: Schedule):
        super().__init__(clock)
        self._available_kw = available_kw
        self._rated_kw = rated_kw
        self._faults = faults
        self.inputs = {"bus": 1, "p_limit_kw": math.inf}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Emit the power that the wind allows from now on."""
        if t_s >= self.clock.end_s:
            return math.inf
        fault = self._faults.at(t_s)
        energised = self.inputs["bus"] != 0 and not (fault and fault.trips)
        available_kw = float(self._available_kw.at(t_s))
        self.emit("p_kw", wind_model.step(available_kw, self.inputs["p_limit_kw"], energised))
        self.emit("q_kvar", 0.0)
        self.emit("p_available_kw", available_kw)
        self.emit("p_limit_kw", min(self.inputs["p_limit_kw"], self._rated_kw))
        self.emit("failed", fault is not None)
        return min(self._available_kw.next_change(t_s), self._faults.next_change(t_s))


class WindSimulator(Adapter):
    """The wind turbines of all hubs."""

    model = "Wind"
    device = Turbine
    inputs = {"bus": BUS_PORT, "p_limit_kw": Port("kW", "upper limit of the power")}
    outputs = {
        "p_kw": Port("kW", "power fed into the hub bus"),
        "q_kvar": Port("kvar", "reactive power fed into the hub bus"),
        "p_available_kw": Port("kW", "what the wind would allow"),
        "p_limit_kw": Port("kW", "limit in force"),
        "failed": FAILED,
    }
