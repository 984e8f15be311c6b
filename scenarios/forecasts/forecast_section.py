"""The section ``forecasts`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...simulators.arrivals.arrivals_section import SessionFile
from ...simulators.field_types import (
    Duration,
    Number,
    PositiveDuration,
    PriceName,
    Ratio,
    Section,
    Spacing,
    Switch,
    ZoneName,
)
from ...simulators.series_section import Csv
from ...simulators.units import S_PER_DAY, S_PER_H


class Foreseen(Section):
    """Everything as it will be."""

    type: Literal["perfect"]


class Persistence(Section):
    """What was a lag ago, or as many whole lags as it takes; before the run, the first value of the run."""

    type: Literal["persistence"]
    lag: Spacing = S_PER_DAY
    """The lag."""


class NoisyPower(Section):
    """Reality with an error that grows with the square root of the lead and is correlated in time."""

    type: Literal["noisy"]
    std: Ratio
    """Relative standard deviation of the error ..."""
    lead: PositiveDuration = S_PER_DAY
    """... at this lead."""
    correlation: PositiveDuration = 3 * S_PER_H
    """Between two targets this far apart the correlation of the errors is 1/e."""


class _Columns(Section):
    type: Literal["csv"]
    file: str
    """Path, relative to the scenario file; it has to cover the run."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    scale: Number = 1.0
    """Factor on every value."""
    repeat: Switch = False
    """Repeat the file's span when it is shorter than the run (whole days only)."""


class LoadColumns(_Columns):
    """Load classes as columns of a CSV file."""

    columns: Annotated[dict[Literal["critical", "controllable", "shiftable", "general"], str], Field(min_length=1)]
    """The column of each class [kW]; nothing is expected of a class that is left out."""


class PriceColumns(_Columns):
    """Prices as columns of a CSV file."""

    columns: Annotated[dict[PriceName, str], Field(min_length=1)]
    """The column of each price [1/kWh]; a price that is left out is as announced."""


class AnnouncedPrices(Section):
    """The tariffs as they are given; `price` events once they have begun."""

    type: Literal["announced"]


class PluggedIn(Section):
    """Nobody but the EVs that have plugged in, as their drivers announce themselves."""

    type: Literal["plugged_in"]


class NoisySessions(Section):
    """Sessions with Gaussian errors; from the moment they plug in as their drivers announce them."""

    type: Literal["noisy"]
    arrival_std: Duration = 0.0
    """Standard deviation of the arrival."""
    departure_std: Duration = 0.0
    """Of the departure."""
    energy_std: Ratio = 0.0
    """Of the energy asked for, relative to it."""


class Forecasts(Section):
    """What controllers may expect of the future."""

    pv: Annotated[Foreseen | Persistence | NoisyPower | Csv, Field(discriminator="type")] = Foreseen(type="perfect")
    """Available PV power [kW]."""
    load: Annotated[Foreseen | Persistence | NoisyPower | LoadColumns, Field(discriminator="type")] = Foreseen(
        type="perfect"
    )
    """Demand of the local load; `load` events are never foreseen."""
    prices: Annotated[AnnouncedPrices | Foreseen | Persistence | PriceColumns, Field(discriminator="type")] = (
        AnnouncedPrices(type="announced")
    )
    """Prices of the tariffs."""
    sessions: Annotated[Foreseen | PluggedIn | NoisySessions | SessionFile, Field(discriminator="type")] = Foreseen(
        type="perfect"
    )
    """Who comes, when, and for how much. In an expected schedule (a file) an EV is known by its id; from the moment it
    plugs in, what its driver announces counts."""
    other: Annotated[Foreseen | Persistence | NoisyPower | Csv, Field(discriminator="type")] = Foreseen(type="perfect")
    """Net power that devices of further kinds feed in [kW]; those without a series of their power are expected to go on
    as they are."""
