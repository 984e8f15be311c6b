"""The connection of each hub: what flows through it after all devices have answered, and what its meters show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adapter import BUS_PORT, EVENTS, Adapter, Clock, Device, Port, Schedule
from ..ats.ats_model import Bus
from . import grid_model as grid

_METERS = ("grid", "secondary", "load")
_DEVICES = grid.Flows._fields
_P_KW = tuple(f"{device}_p_kw" for device in _DEVICES)
_Q_KVAR = tuple(f"{device}_q_kvar" for device in _DEVICES)


class Connection(Device):
    """Balance and meters of one hub."""

    def __init__(self, clock: Clock, *, parameters: grid.Parameters, meter_faults: Mapping[str, Schedule]):
        super().__init__(clock)
        self._parameters = parameters
        self._faults = meter_faults
        self._failed = grid.ALL_WELL
        self._over = False
        none = np.zeros(3)
        self.inputs = {"bus": 1, "cp_phase_kw": none, "load_phase_kw": none, **dict.fromkeys(_P_KW + _Q_KVAR, 0.0)}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Balance the hub bus and read the meters."""
        held = self.inputs
        bus = Bus(held["bus"])
        p_kw = grid.Flows(*[held[port] for port in _P_KW])
        q_kvar = grid.Flows(*[held[port] for port in _Q_KVAR])
        failed = grid.FailedMeters(*[bool(self._faults[meter].at(t_s)) for meter in _METERS])
        phase_kw = (held["cp_phase_kw"] + held["load_phase_kw"]).tolist()
        flows = grid.balance(self._parameters, bus, p_kw, q_kvar, tuple(phase_kw))
        shown = grid.read(bus, flows, p_kw.load, failed)
        self.emit("p_kw", flows.p_grid_kw)
        self.emit("q_kvar", flows.q_grid_kvar)
        self.emit("i_a", np.array(flows.i_a))
        self.emit("secondary_kw", flows.p_secondary_kw)
        self.emit("secondary_kvar", flows.q_secondary_kvar)
        self.emit("meter_kw", shown.p_grid_kw)
        self.emit("meter_a", np.array(shown.i_a))
        self.emit("secondary_meter_kw", shown.p_secondary_kw)
        self.emit("load_meter_kw", shown.p_load_kw)
        self.emit_events(self._told(flows, failed))
        return min(self._faults[meter].next_change(t_s) for meter in _METERS)

    def _told(self, flows: grid.Balance, failed: grid.FailedMeters) -> list[tuple[str, str]]:
        told = []
        if failed != self._failed:
            for meter, was, now in zip(_METERS, self._failed, failed, strict=True):
                if was != now:
                    told.append(("meter failed" if now else "meter back", f"{meter} meter"))
            self._failed = failed
        over = flows.contracted_excess_kw > 1e-6 or flows.installed_excess_kw > 1e-6
        if over and not self._over:
            limit = "installed" if flows.installed_excess_kw > 1e-6 else "contracted"
            p_kw = flows.p_grid_kw + flows.p_secondary_kw
            told.append(("capacity exceeded", f"{p_kw:.2f} kW flow, more than the {limit} capacity"))
        self._over = over
        return told


class Simulator(Adapter):
    """The connections of all hubs."""

    model = "Grid"
    device = Connection
    inputs = {
        "bus": BUS_PORT,
        **{port: Port("kW", f"power of {device}") for port, device in zip(_P_KW, _DEVICES, strict=True)},
        **{port: Port("kvar", f"reactive power of {device}") for port, device in zip(_Q_KVAR, _DEVICES, strict=True)},
        "cp_phase_kw": Port("kW", "power of single-phase connectors on each phase", "phase"),
        "load_phase_kw": Port("kW", "power of single-phase load on each phase", "phase"),
    }
    outputs = {
        "p_kw": Port("kW", "imported from the public grid, < 0 exported"),
        "q_kvar": Port("kvar", "reactive power from the public grid"),
        "i_a": Port("A", "current of each phase through the connection", "phase"),
        "secondary_kw": Port("kW", "power of the secondary source"),
        "secondary_kvar": Port("kvar", "reactive power of the secondary source"),
        "meter_kw": Port("kW", "consumer-unit meter", recorded=False),
        "meter_a": Port("A", "currents the meter shows", "phase", recorded=False),
        "secondary_meter_kw": Port("kW", "meter of the secondary source", recorded=False),
        "load_meter_kw": Port("kW", "meter of the local load", recorded=False),
        "events": EVENTS,
    }
