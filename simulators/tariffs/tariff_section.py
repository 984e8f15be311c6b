"""The sections ``tariffs`` and ``emissions`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..field_types import NonNegative, Section
from ..series_section import Constant, Csv, Profile, Source


class Tou(Section):
    """A time-of-use tariff by season, weekday and hour."""

    type: Literal["tou"]
    tariff: str
    """A shipped tariff (`evhub list` names them) or a YAML file relative to the scenario file."""


Price = Annotated[Constant | Profile | Csv | Tou, Field(discriminator="type")]


class TariffsSection(Section):
    """What energy costs at a hub; all in one currency."""

    currency: Annotated[str, Field(min_length=1, max_length=8)] = "EUR"
    """Label in tables and pictures."""
    buy: Price = Constant(type="constant", value=0.0)
    """Energy from the grid [1/kWh]."""
    sell: Price = Constant(type="constant", value=0.0)
    """Energy to the grid [1/kWh]."""
    dg: Price = Constant(type="constant", value=0.0)
    """Energy of the generator [1/kWh]."""
    bess: Price = Constant(type="constant", value=0.0)
    """Use of the battery, on every kWh in and out [1/kWh]."""
    charging: Price = Constant(type="constant", value=0.0)
    """What EV drivers pay [1/kWh]."""
    demand_per_kw: NonNegative = 0.0
    """On the highest quarter-hour import of each month [1/kW]."""
    missed_per_kwh: NonNegative | None = None
    """Penalty on energy that an EV asked for and did not get [1/kWh]; 1.8 times the mean of buy when left out."""
    unserved_per_kwh: NonNegative | None = None
    """Penalty on local load that was not served [1/kWh]; 66 times the mean of buy when left out."""


class EmissionsSection(Section):
    """What the energy of a hub emits."""

    grid: Source
    """CO2 of a kWh from the grid, constant or over time [kg/kWh]."""
    fuel_kg_per_kwh: NonNegative = 0.0
    """CO2 of a kWh of the generator or the secondary source [kg/kWh]."""
