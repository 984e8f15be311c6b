"""The sections ``connectors`` and ``ev`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..field_types import Count, Number, Phases, Positive, Section, Switch


class Conductors(Section):
    """Connectors that hang on the same conductors, so that their currents are in phase."""

    connectors: Annotated[list[Count], Field(min_length=1)]
    """Their numbers, from 1."""
    angle_deg: Number = 0.0
    """Angle of their currents: 30, -90, 150 between the lines of a delta, 0 where every limit is that of one phase."""


class CurrentLimit(Section):
    """The largest current through a conductor of the site."""

    name: str
    """What carries it: a side of a transformer, a panel, a cable."""
    limit_a: Positive
    """The limit [A]."""
    sum: Annotated[dict[str, Number], Field(min_length=1)]
    """Groups whose currents add up in it, each with its factor: -1 where it returns, 0.25 behind turns of 4 to 1."""


class CircuitsSection(Section):
    """What lies between the connection of a hub and its connectors, and how much current it carries."""

    voltage_v: Positive
    """Across which a connector's current flows [V]: it is power over this voltage and the number of phases."""
    groups: Annotated[dict[str, Conductors], Field(min_length=1)]
    """Connectors by the conductors they hang on, each in one group."""
    limits: Annotated[list[CurrentLimit], Field(min_length=1)]
    """What strategies keep that share a power: `equal_share`, `edf`, `llf`, `fcfs`, `round_robin`, `pv_first`, and
    `milp_dispatch` when it shares what is left of its plan."""

    @model_validator(mode="after")
    def _groups_fit(self):
        group_of: dict[int, str] = {}
        for name, group in self.groups.items():
            for number in group.connectors:
                if number in group_of:
                    raise ValueError(f"connector {number} must be in one group, got {group_of[number]} and {name}")
                group_of[number] = name
        for limit in self.limits:
            for name in limit.sum:
                if name not in self.groups:
                    raise ValueError(f"limit {limit.name}: {name!r} must be one of {', '.join(self.groups)}")
        return self


class ConnectorsSection(Section):
    """The charging connectors of a hub."""

    count: Count
    """How many."""
    rated_kw: Positive
    """Of each connector [kW]."""
    current: Literal["ac", "dc"] = "dc"
    """AC connectors obey the 6 A minimum of IEC 61851; DC connectors do not."""
    phases: Phases = 3
    """Of an AC connector. Single-phase connectors are spread over the phases in turn."""
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """From the hub bus into the EV's battery."""
    v2g: Switch = False
    """Whether connectors can feed back, for sessions that allow it."""
    circuits: CircuitsSection | None = None
    """Current limits of what feeds them."""

    @model_validator(mode="after")
    def _circuits_fit(self):
        for name, group in (self.circuits.groups if self.circuits else {}).items():
            if max(group.connectors) > self.count:
                raise ValueError(
                    f"circuits.groups.{name}: connectors are numbered 1 to {self.count}, got {max(group.connectors)}"
                )
        return self


class EvSection(Section):
    """What is assumed of EVs whose sessions do not say."""

    pack: str = "ideal"
    """Cell parameters of the pack; `evhub list` names them; ideal charges at constant power to the end."""
    capacity_kwh: Positive = 60.0
    """Nominal energy of the pack [kWh]; a session that asks for more gets a pack that holds it."""
    p_max_kw: Positive | None = None
    """What an EV accepts [kW]; what the connector gives when left out."""
    soc_target: Annotated[Number, Field(gt=0, le=1)] = 0.9
    """State of charge at which the requested energy is in."""
