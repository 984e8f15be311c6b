"""The simulator of the automatic transfer switches, which decides what feeds each hub bus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import EVENTS, Adapter, Clock, Device, Port, Schedule
from . import ats_model

_BUS_CODES = {bus.value: bus.name.lower() for bus in ats_model.Bus}
_MODE_CODES = {mode.value: mode.name.lower() for mode in ats_model.Mode}


class Switch(Device):
    """The ATS of one hub, with the outages and faults that the scenario has for it."""

    def __init__(
        self,
        clock: Clock,
        *,
        parameters: ats_model.AtsParameters,
        outages: Schedule,
        islands: Schedule,
        secondary_faults: Schedule,
        switch_faults: Schedule,
    ):
        super().__init__(clock)
        self._parameters = parameters
        self._outages = outages
        self._islands = islands
        self._secondary_faults = secondary_faults
        self._switch_faults = switch_faults
        self._state = ats_model.initial(parameters)

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance the switch to now, and emit what feeds the hub bus."""
        if t_s >= self.clock.end_s:
            return math.inf  # at the end accounts are closed, and nothing moves any more
        available = not self._outages.at(t_s)
        self._state, outputs, next_s = ats_model.step(
            self._parameters,
            self._state,
            t_s,
            available,
            self.inputs.get("secondary_kw", 0.0),
            ats_model.Faults(self._switch_faults.at(t_s), self._secondary_faults.at(t_s)),
            self._islands.at(t_s),
        )
        self.emit("bus", int(outputs.bus))
        self.emit("mode", int(outputs.mode))
        self.emit("available", int(available))
        self.emit_events(outputs.events)
        schedules = (self._outages, self._islands, self._secondary_faults, self._switch_faults)
        return min(next_s, *(schedule.next_change(t_s) for schedule in schedules))


class AtsSimulator(Adapter):
    """The switches of all hubs."""

    model = "Ats"
    device = Switch
    inputs = {"secondary_kw": Port("kW", "power of the secondary source, one step ago")}
    outputs = {
        "bus": Port("", "what feeds the hub bus", codes=_BUS_CODES),
        "mode": Port("", "state of the transfer switch", codes=_MODE_CODES),
        "available": Port("", "whether the grid is there", codes={0: "lost", 1: "there"}),
        "events": EVENTS,
    }
