"""The local loads, in four classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..adapter import BUS_PORT, Adapter, Clock, Device, Port, Schedule
from ..series import Series
from . import load_model


class LocalLoad(Device):
    """The load of one hub."""

    def __init__(
        self,
        clock: Clock,
        *,
        parameters: load_model.LoadParameters,
        demand_kw: Series,
        switch: Schedule,
        one_phase_kw: Sequence[Schedule],
    ):
        super().__init__(clock)
        self._parameters = parameters
        self._demand_kw = demand_kw
        self._switch = switch
        self._one_phase_kw = one_phase_kw
        self._state = load_model.initial()
        self.inputs = {"bus": 1, "limit_kw": np.full(4, np.inf)}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the load to now, and decide which part of the demand is served."""
        last = t_s >= self.clock.end_s
        demand_kw, phase_kw = np.zeros((1, 4)), np.zeros(3)
        if not last:
            phase_kw = np.array([schedule.at(t_s) for schedule in self._one_phase_kw])
            demand_kw = self._demand_kw.at(t_s)[None, :] * self._switch.at(t_s)
            demand_kw[0, load_model.CRITICAL] += phase_kw.sum()
        self._state, outputs = load_model.step(
            self._parameters,
            self._state,
            demand_kw,
            self.inputs["limit_kw"][None, :],
            self.inputs["bus"] != 0,
            t_s - self._state.t_s,
            self.clock.time_step_s,
        )
        self.emit("eens_kwh", outputs.eens_kwh[0].copy())
        self.emit("backlog_kwh", float(outputs.backlog_kwh[0]))
        if last:
            return math.inf
        self.emit("demand_kw", float(demand_kw.sum()))
        self.emit("p_kw", float(outputs.p_kw[0]))
        self.emit("q_kvar", float(outputs.q_kvar[0]))
        self.emit("phase_kw", phase_kw * (self.inputs["bus"] != 0))
        self.emit("served_kw", outputs.served_kw[0].copy())
        self.emit("unserved_kw", outputs.unserved_kw[0].copy())
        next_s = min(one.next_change(t_s) for one in (self._demand_kw, self._switch, *self._one_phase_kw))
        return min(next_s, t_s + float(outputs.next_event_s[0]), self.clock.end_s)


class LoadSimulator(Adapter):
    """The loads of all hubs."""

    model = "Load"
    device = LocalLoad
    inputs = {"bus": BUS_PORT, "limit_kw": Port("kW", "limit of each class, infinite for none", "class")}
    outputs = {
        "p_kw": Port("kW", "power of the local load"),
        "demand_kw": Port("kW", "what is wanted of all classes together"),
        "q_kvar": Port("kvar", "reactive power of the local load"),
        "phase_kw": Port("kW", "the part that is on one phase", "phase", recorded=False),
        "served_kw": Port("kW", "served of critical, controllable, shiftable and general load", "class"),
        "unserved_kw": Port("kW", "demanded, not served and not made good later, by class", "class"),
        "backlog_kwh": Port("kWh", "shiftable energy that was put off and is still due"),
        "eens_kwh": Port("kWh", "energy not supplied so far, by class", "class"),
    }
