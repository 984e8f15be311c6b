"""The section ``pv`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..field_types import DeviceSection, Number, Positive, Ratio, Section, Spacing
from ..series_section import Constant, Csv, Profile, Source


class Place(Section):
    """Where the sun is seen from."""

    latitude: Annotated[Number, Field(ge=-90, le=90)]
    """North positive [deg]."""
    longitude: Annotated[Number, Field(ge=-180, le=180)]
    """East positive [deg]."""
    altitude_m: Number = 0.0
    """Above sea level [m]."""
    tilt: Annotated[Number, Field(ge=0, le=90)] = 20.0
    """Of the modules against the horizontal [deg]."""
    azimuth: Annotated[Number, Field(ge=0, lt=360)] = 180.0
    """Of the modules, clockwise from north [deg]; 180 faces south."""
    albedo: Ratio = 0.2
    """Reflected share of the ground."""
    resolution: Spacing = 900.0
    """Length of the averaging intervals."""


class ClearSky(Place):
    """Irradiance of a cloudless sky (pvlib, Ineichen)."""

    type: Literal["clear_sky"]
    clearness: Annotated[Number, Field(ge=0, le=1.2)] = 1.0
    """Factor on the clear-sky irradiance."""


class Weather(Place):
    """Irradiance and temperature from a typical meteorological year."""

    type: Literal["tmy"]
    file: str
    """EPW, TMY3 or PVGIS file, relative to the scenario file."""


Irradiance = Annotated[Constant | Profile | Csv | ClearSky | Weather, Field(discriminator="type")]


class PvSection(DeviceSection):
    """A PV plant behind one inverter."""

    type: Literal["noct", "pvwatts"] = "noct"
    """Power model: noct (Lavrenova & Denysiuk 2023, eq. 1-2) or pvwatts (pvlib)."""
    rated_kw: Positive
    """DC power under standard test conditions [kW]."""
    inverter_kva: Positive | None = None
    """Rating of the inverter [kVA]; rated_kw when left out."""
    irradiance: Irradiance
    """In the plane of the modules [W/m2]."""
    temperature: Source | None = None
    """Ambient temperature [degC]; from the weather file, or 25, when left out."""
    gamma_per_k: Annotated[Number, Field(ge=-0.02, le=0)] = -0.0029
    """Temperature coefficient of the power [1/K]."""
    noct_c: Annotated[Number, Field(ge=20, le=80)] = 41.5
    """Nominal operating cell temperature [degC]."""
