"""The PV plants behind their inverters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adapter import BUS_PORT, FAILED, Adapter, Clock, Device, Port, Schedule
from ..series import Series
from . import pv_model


class Plant(Device):
    """The PV plant of one hub."""

    def __init__(self, clock: Clock, *, parameters: pv_model.PvParameters, available_kw: Series, faults: Schedule):
        super().__init__(clock)
        self._parameters = parameters
        self._rated_kw = float(np.asarray(parameters.rated_kw)[0])
        self._available_kw = available_kw
        self._faults = faults
        self.inputs = {"bus": 1, "p_limit_kw": math.inf, "q_set_kvar": 0.0}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Emit the power that holds from now on."""
        if t_s >= self.clock.end_s:
            return math.inf
        available_kw = self._available_kw.at(t_s)
        fault = self._faults.at(t_s)
        energised = self.inputs["bus"] != 0 and not (fault and fault.trips)
        limit_kw = self.inputs["p_limit_kw"]
        p_kw, q_kvar = pv_model.step(self._parameters, available_kw, limit_kw, self.inputs["q_set_kvar"], energised)
        self.emit("p_kw", float(p_kw[0]))
        self.emit("q_kvar", float(q_kvar[0]))
        self.emit("p_available_kw", float(available_kw[0]))
        self.emit("limit_kw", min(limit_kw, self._rated_kw))
        self.emit("failed", fault is not None)
        return min(self._available_kw.next_change(t_s), self._faults.next_change(t_s))


class PvSimulator(Adapter):
    """The PV plants of all hubs."""

    model = "Pv"
    device = Plant
    inputs = {
        "bus": BUS_PORT,
        "p_limit_kw": Port("kW", "upper limit of the power"),
        "q_set_kvar": Port("kvar", "reactive set point, > 0 feeds the hub bus"),
    }
    outputs = {
        "p_kw": Port("kW", "power fed into the hub bus"),
        "q_kvar": Port("kvar", "reactive power fed into the hub bus"),
        "p_available_kw": Port("kW", "what the sun would allow"),
        "limit_kw": Port("kW", "limit in force"),
        "failed": FAILED,
    }
