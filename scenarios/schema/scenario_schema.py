"""The scenario file as pydantic models: what may stand in it, with units and limits.

Field names here are the keys of the file. Unknown keys are errors, values are frozen after reading. What needs more
than one section to judge (a hub named by an event) is checked in ``ScenarioSection``; what needs files, in ``build``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, create_model, model_validator

from ...simulators.arrivals.arrivals_section import (
    ListedSession,
    Queue,
    SessionFile,
    SessionList,
    Sessions,
    StochasticSessions,
)
from ...simulators.ats.ats_section import AtsSection, SecondarySection
from ...simulators.battery.battery_section import Bess, IdealBattery, TremblayBattery
from ...simulators.charge_point.charge_point_section import (
    CircuitsSection,
    Conductors,
    ConnectorGroup,
    ConnectorKind,
    Connectors,
    ConnectorsSection,
    CurrentLimit,
    EvSection,
    GroupedConnectors,
    count_of,
    group_problems,
    group_ranges,
)
from ...simulators.devices import kind_names, on_change
from ...simulators.field_types import Name, PositiveDuration, Section, Start, Switch, Whole, ZoneName
from ...simulators.generator.generator_section import GeneratorSection
from ...simulators.grid.grid_section import GridSection
from ...simulators.link.link_section import ChannelSection, DelaySection, LinkSection
from ...simulators.load.load_section import LoadClass, LoadSection
from ...simulators.network.network_section import Bus, NetworkSection
from ...simulators.pv.pv_section import ClearSky, Irradiance, Place, PvSection, Weather
from ...simulators.series_section import Constant, Csv, Profile, Source
from ...simulators.tariffs.tariff_section import EmissionsSection, Price, TariffsSection, Tou
from ..forecasts.forecast_section import (
    AnnouncedPrices,
    Forecasts,
    Foreseen,
    LoadColumns,
    NoisyPower,
    NoisySessions,
    Persistence,
    PluggedIn,
    PriceColumns,
)
from .device_sections import DeviceOfHub, devices_in, further_fields, name_problems, one_or_several
from .events import EventSection
from .expect_section import ExpectSection

__all__ = [
    "LARGEST_SEED",
    "AnnouncedPrices",
    "AtsSection",
    "Bess",
    "Bus",
    "ChannelSection",
    "CircuitsSection",
    "ClearSky",
    "Conductors",
    "ConnectorGroup",
    "ConnectorKind",
    "Connectors",
    "ConnectorsSection",
    "Constant",
    "ControllerSpec",
    "Csv",
    "CurrentLimit",
    "DelaySection",
    "EmissionsSection",
    "EvSection",
    "Forecasts",
    "Foreseen",
    "GeneratorSection",
    "GridSection",
    "GroupedConnectors",
    "HubSection",
    "IdealBattery",
    "Irradiance",
    "LinkSection",
    "ListedSession",
    "LoadClass",
    "LoadColumns",
    "LoadSection",
    "NetworkSection",
    "NoisyPower",
    "NoisySessions",
    "Persistence",
    "Place",
    "PluggedIn",
    "Price",
    "PriceColumns",
    "Profile",
    "PvSection",
    "Queue",
    "ScenarioSection",
    "SecondarySection",
    "Section",
    "SessionFile",
    "SessionList",
    "Sessions",
    "Source",
    "StochasticSessions",
    "TariffsSection",
    "Tou",
    "TremblayBattery",
    "Weather",
]


if TYPE_CHECKING:
    S = TypeVar("S")
    Several = S | list[S]
else:

    class Several:
        """A section, or a list of named ones."""

        def __class_getitem__(cls, section):
            return one_or_several(section)


LARGEST_SEED = 2**63 - 1
"""What a result file can hold."""


class HubSection(Section):
    """An e-mobility hub: everything behind one grid connection."""

    grid: GridSection
    secondary: SecondarySection | None = None
    """The source behind the second input of the ATS; the same as `grid.secondary`."""
    pv: Several[PvSection] | None = None
    bess: Several[Bess] | None = None
    dg: Several[GeneratorSection] | None = None
    load: Several[LoadSection] | None = None
    connectors: Connectors | None = None
    ev: EvSection = EvSection()
    sessions: Sessions | None = None
    queue: Queue = Queue()
    tariffs: TariffsSection = TariffsSection()
    emissions: EmissionsSection | None = None
    link: LinkSection | None = None
    forecasts: Forecasts = Forecasts()

    @model_validator(mode="after")
    def _fits(self):
        if self.sessions is not None and self.connectors is None:
            raise ValueError("sessions need connectors")
        if self.connectors is not None and self.sessions is None:
            raise ValueError("connectors need sessions (an empty list is fine)")
        if self.secondary is not None and self.grid.secondary is not None:
            raise ValueError("give secondary or grid.secondary, not both: they are the same")
        if isinstance(self.sessions, SessionList) and self.connectors is not None:
            count = count_of(self.connectors)
            for number, item in enumerate(self.sessions.items):
                if item.connector is not None and item.connector > count:
                    raise ValueError(
                        f"sessions.items[{number}].connector must be at most {count}, got {item.connector}"
                    )
        return self

    def devices(self) -> tuple[DeviceOfHub, ...]:
        """Return the devices of the hub, by kind and then in the order of the file."""
        return devices_in(self)

    def secondary_source(self) -> tuple[str, SecondarySection | None]:
        """Return the key and the section of the source that carries the hub without grid."""
        return ("secondary", self.secondary) if self.secondary else ("grid.secondary", self.grid.secondary)


class ControllerSpec(Section):
    """Which controller decides, how often, and its own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    type: str
    """A registered controller (`evhub list`), or a class of your own as module:Class."""
    period: PositiveDuration = 60.0
    """Time between decisions."""
    on_change: Switch = True
    """Whether it also decides in between: when the status of the bus or a connector, or its parameters, change."""
    hubs: Annotated[list[Name], Field(min_length=1)] | None = None
    """The hubs it runs; all of them when left out."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The keys that belong to the controller itself."""
        return dict(self.model_extra or {})


OwnKeyFigure = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class ScenarioSection(Section):
    """A scenario: a plant, what happens to it, and who decides."""

    model_config = ConfigDict(title="Scenario")

    name: Name
    """Name of the scenario and of its results."""
    title: str = ""
    """One line for tables and pictures."""
    source: str = ""
    """Where the case and its numbers come from, and what was assumed."""
    start: Start
    """First instant, with UTC offset."""
    time_zone: ZoneName | None = None
    """Zone of tariffs and calendars (with daylight saving time); the fixed offset of start when left out."""
    duration: PositiveDuration
    """Length of the run."""
    time_step: PositiveDuration = 1.0
    """Grid on which events lie; results do not depend on it beyond that."""
    seed: Annotated[Whole, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of everything random."""
    network: NetworkSection | None = None
    hubs: dict[Name, HubSection] = Field(min_length=1)
    events: list[EventSection] = []
    controller: Annotated[
        list[ControllerSpec], BeforeValidator(_as_list, json_schema_input_type=ControllerSpec | list[ControllerSpec])
    ] = [ControllerSpec(type="uncontrolled")]
    """Who decides; a list when several controllers share the hubs."""
    key_figures: list[OwnKeyFigure] = []
    """Key figures of your own, as module:function; found from the scenario's folder or the import path."""
    expect: list[ExpectSection] = []
    """What must hold of the run; `evhub check` looks."""

    def problems(self) -> list[tuple[str, object, str]]:
        """Return what does not fit between sections: (key, value, allowed)."""
        problems: list[tuple[str, object, str]] = []
        hubs = ", ".join(self.hubs)
        if "network" in self.hubs:
            problems.append(
                ("hubs.network", "network", "another name: network is the network's own place in the results")
            )
        steps = self.duration / self.time_step
        if abs(steps - round(steps)) > 1e-9:
            problems.append(("duration", f"{self.duration:g}s", f"a multiple of time_step {self.time_step:g}s"))
        for n, spec in enumerate(self.controller):
            key = f"controller[{n}]" if len(self.controller) > 1 else "controller"
            periods = spec.period / self.time_step
            if abs(periods - round(periods)) > 1e-9:
                problems.append((f"{key}.period", f"{spec.period:g}s", f"a multiple of time_step {self.time_step:g}s"))
            for hub in spec.hubs or []:
                if hub not in self.hubs:
                    problems.append((f"{key}.hubs", hub, f"one of {hubs}"))
        problems += self._controlled_once(hubs)
        if self.network is not None:
            for hub in self.network.hub_bus:
                if hub not in self.hubs:
                    problems.append(("network.hub_bus", hub, f"one of {hubs}"))
            for hub in self.hubs:
                if hub not in self.network.hub_bus:
                    problems.append(("network.hub_bus", f"no bus for {hub}", f"a bus for each of {hubs}"))
        for name, hub in self.hubs.items():
            for n, item in enumerate(hub.sessions.items if isinstance(hub.sessions, SessionList) else ()):
                if item.at >= self.duration:
                    allowed = f"a time before the end of the run at {self.duration:g}s"
                    problems.append((f"hubs.{name}.sessions.items[{n}].at", f"{item.at:g}s", allowed))
            problems += [(f"hubs.{name}.{key}", value, allowed) for key, value, allowed in _group_problems(hub)]
        for name, hub in self.hubs.items():
            devices = hub.devices()
            problems += [(f"hubs.{name}.{key}", value, allowed) for key, value, allowed in name_problems(devices)]
            known = {"grid", *kind_names(), *(device.name for device in devices)}
            for device in hub.link.devices if hub.link is not None else ():
                if device not in known:
                    allowed = f"one of {', '.join(['grid', *(d.name for d in devices if d.kind != 'secondary')])}"
                    problems.append((f"hubs.{name}.link.devices.{device}", device, allowed))
        for name, hub in self.hubs.items():
            polls = hub.link.poll / self.time_step if hub.link is not None else 0.0
            if hub.link is not None and abs(polls - round(polls)) > 1e-9:
                value, allowed = f"{hub.link.poll:g}s", f"a multiple of time_step {self.time_step:g}s"
                problems.append((f"hubs.{name}.link.poll", value, allowed))
        for n, event in enumerate(self.events):
            problems += [(f"events[{n}].{key}", value, allowed) for key, value, allowed in event.problems(self)]
        for n, item in enumerate(self.expect):
            problems += [(f"expect[{n}].{key}", value, allowed) for key, value, allowed in item.problems(self)]
        return problems

    def _controlled_once(self, hubs: str) -> list[tuple[str, object, str]]:
        claimed = [hub for spec in self.controller for hub in (spec.hubs or self.hubs)]
        problems: list[tuple[str, object, str]] = []
        for hub in self.hubs:
            if claimed.count(hub) != 1:
                problems.append(
                    ("controller", f"{claimed.count(hub)} for hub {hub}", f"exactly one for each of {hubs}")
                )
        return problems


def _group_problems(hub: HubSection) -> Iterator[tuple[str, object, str]]:
    """Yield what is wrong with groups of connectors, and with the sessions that ask for them: (key, given, allowed)."""
    yield from group_problems(hub.connectors)
    asked: list[tuple[str, str]] = []
    if isinstance(hub.sessions, SessionList):
        asked = [(f"items[{n}].group", item.group) for n, item in enumerate(hub.sessions.items) if item.group]
    elif isinstance(hub.sessions, StochasticSessions):
        asked = [(f"groups.{group}", group) for group in hub.sessions.groups or ()]
    there = group_ranges(hub.connectors)
    for key, group in asked:
        if group not in there:
            allowed = f"one of {', '.join(there)}" if there else "left out: the connectors are in no groups"
            yield f"sessions.{key}", group, allowed


_FIXED_HUB = HubSection


def _adopt_kinds() -> None:
    """Give the hub a key for every kind of device that a package registers."""
    hub = create_model(
        "HubSection", __base__=_FIXED_HUB, __doc__=_FIXED_HUB.__doc__, __module__=__name__, **further_fields()
    )
    globals()["HubSection"] = hub  # where pickle looks for the class, on the way to another process
    ScenarioSection.model_fields["hubs"].annotation = dict[Name, hub]
    ScenarioSection.model_rebuild(force=True)


on_change(_adopt_kinds)
_adopt_kinds()
