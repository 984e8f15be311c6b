"""The sections ``sessions`` and ``queue`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..field_types import (
    Count,
    Duration,
    Name,
    NonNegative,
    Positive,
    PositiveDuration,
    Ratio,
    Section,
    Switch,
    Whole,
    ZoneName,
)
from .session_model import SOC_V2G_MIN


class ListedSession(Section):
    """One charging session in the scenario file."""

    at: Duration
    """Arrival, since the start."""
    until: Duration | None = None
    """Departure, since the start."""
    stay: PositiveDuration | None = None
    """Or how long it stays."""
    energy_kwh: NonNegative
    """What it asks for [kWh]."""
    id: str | None = None
    """Name in the results; s1, s2, ... when left out."""
    connector: Count | None = None
    """Number of the connector, from 1; any free one when left out."""
    group: Name | None = None
    """Or the group of connectors of which it takes a free one."""
    p_max_kw: Positive | None = None
    """What the EV accepts [kW]."""
    capacity_kwh: Positive | None = None
    """Nominal energy of its pack [kWh]."""
    soc: Ratio | None = None
    """State of charge at arrival."""
    v2g: Switch = False
    """The owner agrees to discharge ..."""
    soc_v2g_min: Ratio = SOC_V2G_MIN
    """... but not below this state of charge (or the one at arrival, if that is lower)."""

    @model_validator(mode="after")
    def _leaves(self):
        if (self.until is None) == (self.stay is None):
            raise ValueError(f"needs either until or stay, got {'none' if self.until is None else 'both'}")
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"until must be after at: departs at {self.until:g}s, arrives at {self.at:g}s")
        if self.connector is not None and self.group is not None:
            raise ValueError("takes either connector or group, got both")
        return self


class SessionList(Section):
    """Sessions in the scenario file."""

    type: Literal["list"]
    items: list[ListedSession]


class SessionFile(Section):
    """Sessions in a file: a plain CSV, a CSV of ACN-Data, or the JSON of its API."""

    type: Literal["csv", "acn"]
    file: str
    """Path, relative to the scenario file."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    energy: Literal["requested", "delivered"] = "requested"
    """Which column counts as what the EV asks for."""
    pin_stations: Switch = False
    """Keep every session at its own station; any free connector otherwise."""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    """Whether a session with a problem refuses the file, or is left out and noted in the results."""


Scale = Annotated[Positive, Field(le=1000)]


class GroupArrivals(Section):
    """EVs that come for a group of connectors and take no other."""

    profile: str | None = None
    """As in `sessions`; the one that stands there when left out."""
    scale: Scale | None = None
    """The same."""


class StochasticSessions(Section):
    """Sessions drawn from a model: non-homogeneous Poisson arrivals, distributions of stay, energy and SoC."""

    type: Literal["stochastic"]
    profile: str = "public"
    """A published or documented profile (`evhub list` names them), or a YAML file relative to the scenario file."""
    scale: Scale = 1.0
    """Factor on the arrival rate."""
    groups: Annotated[dict[Name, GroupArrivals], Field(min_length=1)] | None = None
    """The groups of connectors for which EVs come, each for its own; any free connector will do when left out."""


Sessions = Annotated[SessionList | SessionFile | StochasticSessions, Field(discriminator="type")]


class Queue(Section):
    """What EVs do when no connector is free, and how long plugging in takes."""

    places: Annotated[Whole, Field(ge=0)] | None = None
    """Waiting places; 0 turns everyone away, no limit when left out."""
    patience: PositiveDuration | None = None
    """Mean of the exponentially distributed time an EV waits; it waits until its departure when left out."""
    plug_in: Duration = 0.0
    """From a free connector to plugged in."""
    authentication: Duration = 0.0
    """From plugged in to charging allowed."""
