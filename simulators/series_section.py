"""Where a quantity over time comes from: a constant, points in the scenario file, a column of a CSV file."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .field_types import Duration, Number, Section, Spacing, Switch, ZoneName


class Constant(Section):
    """One value for the whole run."""

    type: Literal["constant"]
    value: Number
    """The value, in the unit of the quantity it stands for."""


class Profile(Section):
    """Points in the scenario file."""

    type: Literal["profile"]
    points: list[tuple[Duration, Number]] = Field(min_length=1)
    """Pairs [time since the start, value]; times rise. A value holds until the next point, the last one to the end."""
    interpolate: Spacing | None = None
    """Follow straight lines between the points, in steps of this length."""
    every: Spacing | None = None
    """Repeat the profile with this period, such as 1d."""

    @field_validator("points")
    @classmethod
    def _rising(cls, points):
        if points[0][0] != 0:
            raise ValueError(f"the first point must be at 0s, got {points[0][0]:g}s")
        for (before, _), (after, _) in pairwise(points):
            if after <= before:
                raise ValueError(f"times must rise, got {after:g}s after {before:g}s")
        return points


class Csv(Section):
    """A column of a CSV file."""

    type: Literal["csv"]
    file: str
    """Path, relative to the scenario file."""
    column: str
    """The column with the values."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    scale: Number = 1.0
    """Factor on every value."""
    repeat: Switch = False
    """Repeat the file's span when it is shorter than the run (whole days only)."""


Source = Annotated[Constant | Profile | Csv, Field(discriminator="type")]
