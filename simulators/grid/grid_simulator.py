"""The simulator of the grid connections: the flow through each, and what its meters show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..adapter import BUS_PORT, EVENTS, Adapter, Clock, Device, Port, Schedule
from ..ats.ats_model import Bus
from . import grid_model

_METERS = ("grid", "secondary", "load")
_NO_PHASES = np.zeros(3)


class Terminal(NamedTuple):
    """The connection of a device to the hub bus.

    Parameters
    ----------
    name : str
        Of the device.
    p_fed, q_fed : bool
        Whether its positive active and reactive power feeds the bus.
    phases : bool
        Whether it tells what of its power is on one phase.
    metered : bool
        Whether the meter of the local load counts it.
    """

    name: str
    p_fed: bool
    q_fed: bool
    phases: bool = False
    metered: bool = False


class GridConnection(Device):
    """Balance and meters of one hub."""

    def __init__(
        self,
        clock: Clock,
        *,
        parameters: grid_model.ConnectionParameters,
        meter_faults: Mapping[str, Schedule],
        terminals: Sequence[Terminal],
    ):
        super().__init__(clock)
        self._parameters = parameters
        self._faults = meter_faults
        self._failed = grid_model.ALL_WELL
        self._change_s = -math.inf
        self._over = False
        self._p_drawn = [f"{terminal.name}.p_kw" for terminal in terminals if not terminal.p_fed]
        self._p_fed = [f"{terminal.name}.p_kw" for terminal in terminals if terminal.p_fed]
        self._q_drawn = [f"{terminal.name}.q_kvar" for terminal in terminals if not terminal.q_fed]
        # what draws active power first: floating-point sums keep one order
        fed = sorted((terminal for terminal in terminals if terminal.q_fed), key=lambda terminal: terminal.p_fed)
        self._q_fed = [f"{terminal.name}.q_kvar" for terminal in fed]
        self._phases = [f"{terminal.name}.phase_kw" for terminal in terminals if terminal.phases]
        self._load = [f"{terminal.name}.p_kw" for terminal in terminals if terminal.metered]
        powers = (*self._p_drawn, *self._p_fed, *self._q_drawn, *self._q_fed)
        self.inputs = {"bus": 1, **dict.fromkeys(self._phases, _NO_PHASES), **dict.fromkeys(powers, 0.0)}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Compute the power balance of the hub bus, and read the meters."""
        held = self.inputs
        bus = Bus(held["bus"])
        p_kw = grid_model.Powers(
            tuple([held[port] for port in self._p_drawn]), tuple([held[port] for port in self._p_fed])
        )
        q_kvar = grid_model.Powers(
            tuple([held[port] for port in self._q_drawn]), tuple([held[port] for port in self._q_fed])
        )
        a = b = c = 0.0
        for port in self._phases:
            a_kw, b_kw, c_kw = held[port].tolist()
            a, b, c = a + a_kw, b + b_kw, c + c_kw
        events = self._meter_events(t_s) if t_s >= self._change_s else []
        flows = grid_model.balance(self._parameters, bus, p_kw, q_kvar, (a, b, c))
        shown = grid_model.read(bus, flows, sum([held[port] for port in self._load]), self._failed)
        self.emit("p_kw", flows.p_grid_kw)
        self.emit("q_kvar", flows.q_grid_kvar)
        self.emit_row("i_a", flows.i_a)
        self.emit("secondary_kw", flows.p_secondary_kw)
        self.emit("secondary_kvar", flows.q_secondary_kvar)
        self.emit("meter_kw", shown.p_grid_kw)
        self.emit_row("meter_a", shown.i_a)
        self.emit("secondary_meter_kw", shown.p_secondary_kw)
        self.emit("load_meter_kw", shown.p_load_kw)
        self.emit_events(events + self._capacity_events(flows))
        return self._change_s

    def _meter_events(self, t_s: float) -> list[tuple[str, str]]:
        """Find out which meters fail until when, and return those that failed or came back."""
        was_failed = self._failed
        self._failed = grid_model.FailedMeters(*[bool(self._faults[meter].at(t_s)) for meter in _METERS])
        self._change_s = min(self._faults[meter].next_change(t_s) for meter in _METERS)
        return [
            ("meter failed" if now else "meter back", f"{meter} meter")
            for meter, was, now in zip(_METERS, was_failed, self._failed, strict=True)
            if was != now
        ]

    def _capacity_events(self, flows: grid_model.Balance) -> list[tuple[str, str]]:
        """Return a capacity that is newly exceeded."""
        events = []
        over = flows.contracted_excess_kw > 1e-6 or flows.installed_excess_kw > 1e-6
        if over and not self._over:
            limit = "installed" if flows.installed_excess_kw > 1e-6 else "contracted"
            p_kw = flows.p_grid_kw + flows.p_secondary_kw
            events.append(("capacity exceeded", f"{p_kw:.2f} kW flow, more than the {limit} capacity"))
        self._over = over
        return events


class GridSimulator(Adapter):
    """The connections of all hubs."""

    model = "Grid"
    device = GridConnection
    inputs = {"bus": BUS_PORT}
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

    def configure(self, devices: tuple[str, ...] = ()) -> None:
        """Set the devices of all hubs, each of which has a port for every quantity."""
        self.inputs = {
            "bus": BUS_PORT,
            **{f"{device}.p_kw": Port("kW", f"power of {device}") for device in devices},
            **{f"{device}.q_kvar": Port("kvar", f"reactive power of {device}") for device in devices},
            **{f"{device}.phase_kw": Port("kW", f"power of {device} on each phase", "phase") for device in devices},
        }
