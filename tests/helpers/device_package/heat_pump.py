"""A heat pump with a tank: it keeps the tank warm, and a controller may limit what it draws."""

from dataclasses import replace
from math import inf

import evhub
from evhub.simulators.adapter import BUS_PORT, FAILED
from evhub.simulators.field_types import Positive
from evhub.simulators.series_section import Source

HEAT_PUMP = evhub.DeviceKind(
    name="heat_pump",
    sign=-1,
    label="heat pump",
    colour="#332288",
    section="heat_pump:HeatPumpSection",
    simulator="heat_pump:HeatPumpSimulator",
    parameters="heat_pump:device_parameters",
    plates="heat_pump:plates",
    measures=("p_kw", "tank_kwh", "failed"),
    commands=(
        evhub.Command("heat_pump_limit_kw", "p_limit_kw", "most that it may draw", neutral=inf, low=0, high="rated_kw"),
    ),
    trips=True,
    layers=(evhub.Layer("positive", "heat pump", "heat_pump_kwh", "heat pump", source=False, place=15),),
    golden=("tank_kwh",),
    forecast="needed_kw",
)


class HeatPumpSection(evhub.DeviceSection):
    """A heat pump with a tank that is full at the start."""

    rated_kw: Positive
    """Largest electric power [kW]."""
    cop: Positive = 3.0
    """Heat of a kWh of electricity."""
    demand: Source
    """Heat that is wanted [kW]."""
    tank_kwh: Positive
    """Heat that the tank holds [kWh]."""


def device_parameters(section, inputs):
    """Return the keyword arguments of `HeatPump`, in electricity throughout: heat over the COP."""
    demand = inputs.series(section.demand, "demand", low=0.0, high=section.rated_kw * section.cop)
    return {
        "needed_kw": replace(demand, values=demand.values / section.cop),
        "rated_kw": section.rated_kw,
        "full_kwh": section.tank_kwh / section.cop,
        "cop": section.cop,
        "faults": inputs.faults(),
    }


def plates(section):
    """Return what is written on it."""
    return {"rated_kw": section.rated_kw, "p_min_kw": 0.0, "p_max_kw": section.rated_kw}


def step(stored_kwh, needed_kw, limit_kw, full_kwh, cold):
    """Return the power [kW] and the flow into the tank [kW] that hold until something changes.

    Below its full content the tank is heated with all that is allowed; once it is full it is kept so; `cold` means that
    nothing may be drawn. From an empty tank nothing comes, whatever is needed.
    """
    p_kw = 0.0 if cold else limit_kw if stored_kwh < full_kwh else min(limit_kw, needed_kw)
    flow_kw = p_kw - needed_kw
    return p_kw, flow_kw if flow_kw > 0.0 or stored_kwh > 0.0 else 0.0


class HeatPump(evhub.Device):
    """The heat pump of a hub."""

    def __init__(self, clock, *, needed_kw, rated_kw, full_kwh, cop, faults):
        super().__init__(clock)
        self.needed_kw, self.rated_kw, self.full_kwh, self.cop, self.faults = needed_kw, rated_kw, full_kwh, cop, faults
        self.stored_kwh, self.flow_kw, self.last_s = full_kwh, 0.0, 0.0
        self.inputs = {"bus": 1, "p_limit_kw": inf}

    def update(self, t_s, arrived):
        """Account for the time since the last update, and decide what holds from now on."""
        stored_kwh = self.stored_kwh + self.flow_kw * (t_s - self.last_s) / 3600.0
        self.stored_kwh, self.last_s = min(max(stored_kwh, 0.0), self.full_kwh), t_s
        if t_s >= self.clock.end_s:
            return inf  # the run is over, and so may be what files say of the demand
        fault = self.faults.at(t_s)
        cold = self.inputs["bus"] == 0 or (fault is not None and fault.trips)
        limit_kw = min(self.inputs["p_limit_kw"], self.rated_kw)
        p_kw, self.flow_kw = step(self.stored_kwh, float(self.needed_kw.at(t_s)), limit_kw, self.full_kwh, cold)
        self.emit("p_kw", p_kw)
        self.emit("q_kvar", 0.0)
        self.emit("tank_kwh", self.stored_kwh * self.cop)
        self.emit("failed", fault is not None)
        room_kwh = self.full_kwh - self.stored_kwh if self.flow_kw > 0.0 else -self.stored_kwh
        level_s = t_s + 3600.0 * room_kwh / self.flow_kw if self.flow_kw else inf
        return min(level_s, self.needed_kw.next_change(t_s), self.faults.next_change(t_s))


class HeatPumpSimulator(evhub.Adapter):
    """The heat pumps of all hubs."""

    model = "HeatPump"
    device = HeatPump
    inputs = {"bus": BUS_PORT, "p_limit_kw": evhub.Port("kW", "most that it may draw")}
    outputs = {
        "p_kw": evhub.Port("kW", "power drawn from the hub bus"),
        "q_kvar": evhub.Port("kvar", "reactive power drawn from the hub bus"),
        "tank_kwh": evhub.Port("kWh", "heat in the tank"),
        "failed": FAILED,
    }
