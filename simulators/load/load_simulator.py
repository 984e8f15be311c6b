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
        demand_kw, phase_kw = [0.0, 0.0, 0.0, 0.0], ()
        if not last:
            scale = self._switch.at(t_s)
            demand_kw = [kw * scale for kw in self._demand_kw.at(t_s).tolist()]
            phase_kw = tuple([schedule.at(t_s) for schedule in self._one_phase_kw])
            demand_kw[load_model.CRITICAL] += sum(phase_kw)
        powered = self.inputs["bus"] != 0
        limit_kw, dt_s = self.inputs["limit_kw"].tolist(), t_s - self._state.t_s
        self._state, outputs = load_model.step(
            self._parameters, self._state, demand_kw, limit_kw, powered, dt_s, self.clock.time_step_s
        )
        self.emit_row("eens_kwh", outputs.eens_kwh)
        self.emit("backlog_kwh", outputs.backlog_kwh)
        if last:
            return math.inf
        critical_kw, controllable_kw, shiftable_kw, general_kw = demand_kw
        self.emit("demand_kw", critical_kw + controllable_kw + shiftable_kw + general_kw)
        self.emit("p_kw", outputs.p_kw)
        self.emit("q_kvar", outputs.q_kvar)
        self.emit_row("phase_kw", phase_kw if powered else (0.0,) * len(phase_kw))
        self.emit_row("served_kw", outputs.served_kw)
        self.emit_row("unserved_kw", outputs.unserved_kw)
        next_s = min(one.next_change(t_s) for one in (self._demand_kw, self._switch, *self._one_phase_kw))
        return min(next_s, t_s + outputs.next_event_s, self.clock.end_s)


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
