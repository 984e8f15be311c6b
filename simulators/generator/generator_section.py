"""The section ``dg`` of a hub."""

from __future__ import annotations

from pydantic import model_validator

from ..field_types import DeviceSection, Duration, NonNegative, Positive


class GeneratorSection(DeviceSection):
    """A dispatchable generator (genset)."""

    rated_kw: Positive
    """Largest power [kW]."""
    minimum_kw: NonNegative = 0.0
    """Smallest power it can run at [kW]."""
    fuel_capacity_l: Positive = 200.0
    """Size of the tank [l]."""
    fuel_l: NonNegative | None = None
    """In the tank at the start [l]; full when left out."""
    start: Duration = 10.0
    """From the command to power."""
    stop: Duration = 0.0
    """Cooling down after power, before it can start again."""

    @model_validator(mode="after")
    def _ratings(self):
        if self.minimum_kw > self.rated_kw:
            raise ValueError(f"minimum_kw must be at most rated_kw {self.rated_kw:g}, got {self.minimum_kw:g}")
        if self.fuel_l is not None and self.fuel_l > self.fuel_capacity_l:
            raise ValueError(f"fuel_l must be at most fuel_capacity_l {self.fuel_capacity_l:g}, got {self.fuel_l:g}")
        return self
