"""What happens to the plant during a run: outages, faults, switched loads, changed prices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from ...simulators.charge_point.charge_point_section import count_of
from ...simulators.devices import kind_of
from ...simulators.field_types import Count, Duration, Name, NonNegative, Number, PriceName, Section, Switch, Whole

if TYPE_CHECKING:
    from .scenario_schema import HubSection, ScenarioSection

MAY_BE_NEGATIVE = ("buy", "sell")
"""Prices of the market; what the use of a device costs, and what a driver pays, is never below 0."""


class _HubEvent(Section):
    hub: Name
    """Which hub."""
    until: Duration | None = None
    """Its end, since the start; the end of the run when left out."""


class Outage(_HubEvent):
    """The public grid is lost at a hub."""


class PlannedIsland(_HubEvent):
    """The hub leaves the grid on purpose and returns to it."""


class ConnectorFault(_HubEvent):
    """A connector is out of order."""

    connector: Count
    """Its number, from 1."""


class DeviceFault(_HubEvent):
    """A device has an error: it reports it, and gives no power."""

    device: Name
    """Which device, by its name, or all of a kind by that; secondary does not start, ats does not switch."""
    trips: Switch = True
    """No power; without it a device reports an error and still follows its set points."""


class MeterFault(_HubEvent):
    """A meter gives no readings."""

    meter: Literal["grid", "secondary", "load"]
    """Which meter."""


class LinkOutage(_HubEvent):
    """No messages pass between a device and the controller; all three meters are read through `grid`."""

    device: Name
    """Which device, by its name, or all of a kind by that; grid for the meters."""


class SwitchedLoad(_HubEvent):
    """The local load is switched on or off, or scaled."""

    connected: Switch = True
    """Switched on."""
    scale: NonNegative = 1.0
    """Factor on its demand."""
    device: Name | None = None
    """Which load; all of them when left out."""


class PhaseLoad(_HubEvent):
    """A further local load on one phase, such as a fault that draws an overcurrent."""

    phase: Literal["a", "b", "c"]
    """Which phase."""
    p_kw: NonNegative
    """Its power [kW]."""
    device: Name | None = None
    """At which load; the first one when left out."""


class ChangedParameters(_HubEvent):
    """Parameters of a controller have other values for a while."""

    controller: str
    """Type of the controller they belong to; where another one runs the hub, nothing changes."""
    set: dict[str, Any]
    """The new values, by the keys of the controller's section."""


class ChangedPrice(_HubEvent):
    """A price has another value for a while."""

    price: PriceName
    """Which price."""
    value: Number
    """The new price [1/kWh]; only buying and selling may cost less than nothing."""

    @model_validator(mode="after")
    def _sensible(self):
        if self.value < 0.0 and self.price not in MAY_BE_NEGATIVE:
            raise ValueError(f"value of {self.price} must be >= 0, got {self.value:g}")
        return self


class LineOut(Section):
    """A line of the network is out of service."""

    line: Whole
    """pandapower's index of the line."""
    until: Duration | None = None
    """Its end, since the start; the end of the run when left out."""


class EventSection(Section):
    """Something that happens at a time: `at` and exactly one of the other keys."""

    at: Duration
    """When, since the start."""
    outage: Outage | None = None
    planned_island: PlannedIsland | None = None
    connector_fault: ConnectorFault | None = None
    device_fault: DeviceFault | None = None
    meter_fault: MeterFault | None = None
    link_outage: LinkOutage | None = None
    load: SwitchedLoad | None = None
    phase_load: PhaseLoad | None = None
    price: ChangedPrice | None = None
    parameters: ChangedParameters | None = None
    line_out: LineOut | None = None

    @model_validator(mode="after")
    def _one_kind(self):
        present = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(present) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_KINDS)}, got {', '.join(present) or 'none'}")
        until = self.what.until
        if until is not None and until <= self.at:
            raise ValueError(f"until must be after at {self.at:g}s, got {until:g}s")
        return self

    @property
    def kind(self) -> str:
        """Which of the keys is given."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def what(self):
        """The section of the key that is given."""
        return getattr(self, self.kind)

    def problems(self, scenario: ScenarioSection) -> list[tuple[str, object, str]]:
        """Return what does not fit the rest of the scenario: (key, value, allowed)."""
        problems: list[tuple[str, object, str]] = []
        kind, what = self.kind, self.what
        if self.at >= scenario.duration:
            problems.append(("at", f"{self.at:g}s", f"a time before the end of the run at {scenario.duration:g}s"))
        first_step = math.ceil(self.at / scenario.time_step - 1e-9) * scenario.time_step
        if what.until is not None and first_step >= what.until - 1e-9:
            allowed = f"long enough to hold at a step: time_step is {scenario.time_step:g}s"
            problems.append((f"{kind}.until", f"{what.until:g}s after at {self.at:g}s", allowed))
        if isinstance(what, LineOut):
            if scenario.network is None:
                problems.append((kind, what.line, "an event of a scenario with a network"))
            return problems
        hub = scenario.hubs.get(what.hub)
        if hub is None:
            return [*problems, (f"{kind}.hub", what.hub, f"one of {', '.join(scenario.hubs)}")]
        if isinstance(what, ConnectorFault) and what.connector > (count := count_of(hub.connectors)):
            problems.append((f"{kind}.connector", what.connector, f"one of the {count} connectors of {what.hub}"))
        problems += [(f"{kind}.{key}", name, allowed) for key, name, allowed in _absent(what, hub)]
        if isinstance(what, LinkOutage) and hub.link is None:
            problems.append((kind, what.device, f"a link section in hubs.{what.hub}"))
        if isinstance(what, DeviceFault) and not what.trips and what.device in ("secondary", "ats"):
            problems.append((f"{kind}.trips", "false", "true for secondary and ats"))
        if isinstance(what, SwitchedLoad | PhaseLoad) and hub.load is None:
            problems.append((kind, what.hub, "a hub with a load"))
        return problems


_KINDS = tuple(key for key in EventSection.model_fields if key != "at")


def _absent(what: Any, hub: HubSection) -> Iterator[tuple[str, str | None, str]]:
    """Yield the device or meter of an event that a hub does not have: (key, name, allowed)."""
    placed = hub.devices()
    if isinstance(what, MeterFault):
        if what.meter not in ("grid", *(device.kind for device in placed)):
            yield "meter", what.meter, f"something that {what.hub} has"
        return
    if isinstance(what, DeviceFault):
        fits, others = lambda kind: kind_of(kind).trips or "forms_island" in kind_of(kind).abilities, ("ats",)
    elif isinstance(what, LinkOutage):
        fits, others = lambda kind: bool(kind_of(kind).simulator), ("grid",)
    elif isinstance(what, SwitchedLoad | PhaseLoad) and what.device is not None:
        fits, others = lambda kind: kind == "load", ()
    else:
        return
    there = dict.fromkeys(name for device in placed if fits(device.kind) for name in (device.name, device.kind))
    if what.device not in (*there, *others):
        yield "device", what.device, f"something that {what.hub} has: one of {', '.join([*there, *others])}"
