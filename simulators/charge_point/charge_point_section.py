"""The sections ``connectors`` and ``ev`` of a hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ..field_types import Count, Name, Number, Phases, Positive, Section, Switch


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


class ConnectorKind(Section):
    """Equal charging connectors."""

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
    cabinet_kw: Positive | None = None
    """What the power modules that they share give together [kW]; every connector has its own when left out."""

    @property
    def largest_kw(self) -> float:
        """The most that one connector gives: its rating, or what the cabinet has if that is less [kW]."""
        return self.rated_kw if self.cabinet_kw is None else min(self.rated_kw, self.cabinet_kw)


class ConnectorsSection(ConnectorKind):
    """The charging connectors of a hub, all of one kind."""

    circuits: CircuitsSection | None = None
    """Current limits of what feeds them."""

    @model_validator(mode="after")
    def _circuits_fit(self):
        _check_circuits(self.circuits, self.count)
        return self


class ConnectorGroup(ConnectorKind):
    """Connectors of one kind among others, numbered on from those of the group before."""

    name: Name
    """By which sessions ask for one of them."""


class GroupedConnectors(Section):
    """Charging connectors of several kinds behind the same circuits."""

    groups: Annotated[list[ConnectorGroup], Field(min_length=1)]
    """The kinds; the connectors are numbered through in this order, from 1."""
    circuits: CircuitsSection | None = None
    """Current limits of what feeds them; its groups are others, connectors by their numbers."""

    @model_validator(mode="after")
    def _circuits_fit(self):
        _check_circuits(self.circuits, sum(group.count for group in self.groups))
        return self


def _check_circuits(circuits: CircuitsSection | None, count: int) -> None:
    for name, group in (circuits.groups if circuits else {}).items():
        if max(group.connectors) > count:
            raise ValueError(
                f"circuits.groups.{name}: connectors are numbered 1 to {count}, got {max(group.connectors)}"
            )


ONE_KIND, LIST_OF_KINDS, KINDS = "one kind of connectors", "a list of groups", "groups of connectors"
"""How the forms of the section are called inside pydantic; no key of a file is called so."""


def _form(value: object) -> str:
    if isinstance(value, list):
        return LIST_OF_KINDS
    grouped = "groups" in value if isinstance(value, dict) else isinstance(value, GroupedConnectors)
    return KINDS if grouped else ONE_KIND


Connectors = Annotated[
    Annotated[ConnectorsSection, Tag(ONE_KIND)]
    | Annotated[list[ConnectorGroup], Field(min_length=1), Tag(LIST_OF_KINDS)]
    | Annotated[GroupedConnectors, Tag(KINDS)],
    Discriminator(_form),
]
"""Connectors of one kind, a list of groups, or groups with what feeds them."""


def kinds_of(connectors: Connectors | None) -> tuple[ConnectorKind, ...]:
    """Return the kinds of connectors of a hub, in the order in which they are numbered; none without connectors."""
    if connectors is None:
        return ()
    if isinstance(connectors, ConnectorsSection):
        return (connectors,)
    return tuple(connectors if isinstance(connectors, list) else connectors.groups)


def circuits_of(connectors: Connectors | None) -> CircuitsSection | None:
    """Return what feeds the connectors of a hub."""
    return None if connectors is None or isinstance(connectors, list) else connectors.circuits


def count_of(connectors: Connectors | None) -> int:
    """Return how many connectors a hub has."""
    return sum(kind.count for kind in kinds_of(connectors))


def group_ranges(connectors: Connectors | None) -> dict[str, range]:
    """Return the connectors of each named group of a hub, counted from 0."""
    ranges: dict[str, range] = {}
    first = 0
    for kind in kinds_of(connectors):
        if isinstance(kind, ConnectorGroup):
            ranges[kind.name] = range(first, first + kind.count)
        first += kind.count
    return ranges


def group_problems(connectors: Connectors | None) -> Iterator[tuple[str, object, str]]:
    """Yield what is wrong with the names of groups: (key below the hub, name, allowed)."""
    names = [kind.name for kind in kinds_of(connectors) if isinstance(kind, ConnectorGroup)]
    place = "connectors" if isinstance(connectors, list) else "connectors.groups"
    for n, name in enumerate(names):
        if name in names[:n]:
            yield f"{place}[{n}].name", name, "the only group of this name in its hub"


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
