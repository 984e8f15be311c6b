"""The section ``wind`` of a hub."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from ..field_types import DeviceSection, NonNegative, Number, Positive, Ratio
from ..series_section import Source


class WindSection(DeviceSection):
    """A wind turbine, by its power or by the wind and its power curve."""

    rated_kw: Positive
    """Largest power [kW]."""
    power: Source | None = None
    """Power that it can give [kW]; or else ..."""
    speed: Source | None = None
    """... the wind [m/s] ..."""
    curve: Annotated[list[tuple[NonNegative, Ratio]], Field(min_length=2)] | None = None
    """... and the power curve: wind at hub height [m/s] and share of the rating, in the order of the wind; straight
    lines between the points, nothing below the first and above the last."""
    hub_height_m: Positive = 30.0
    """Height of the hub [m]."""
    measured_at_m: Positive = 10.0
    """Height of the wind measurement [m]."""
    shear: Annotated[Number, Field(ge=0, le=1)] = 0.143
    """Exponent of the wind profile; 1/7 over open land."""

    @model_validator(mode="after")
    def _one_source(self):
        if (self.power is None) == (self.speed is None):
            raise ValueError("give either power, or speed and curve")
        if (self.speed is None) != (self.curve is None):
            raise ValueError("speed and curve go together")
        if self.curve is not None and any(after[0] <= before[0] for before, after in pairwise(self.curve)):
            raise ValueError("curve must be in the order of the wind, each point above the one before")
        return self
