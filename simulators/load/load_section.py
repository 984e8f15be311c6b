"""The section ``load`` of a hub."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ..field_types import DeviceSection, NonNegative, Number, Ratio, Section, Switch
from ..series_section import Source


class LoadClass(Section):
    """One of the four load classes of Yan & Tu 2022."""

    demand: Source
    """What is wanted [kW]."""
    band: tuple[Ratio, Ratio] | None = None
    """Controllable load only: the least and the largest share of the demand that may be served."""
    recovery_kw: NonNegative | None = None
    """Shiftable load only: how far it can go above its demand to make good what was put off [kW]; as far as its highest
    demand when left out."""

    @field_validator("band")
    @classmethod
    def _ordered(cls, band):
        if band is not None and band[0] > band[1]:
            raise ValueError(f"the least share must be at most the largest, got {band[0]:g} and {band[1]:g}")
        return band


class LoadSection(DeviceSection):
    """The local load of a hub: one demand, or one for each class."""

    demand: Source | None = None
    """All of it, as critical load [kW]."""
    critical: LoadClass | None = None
    """Always served while there is voltage."""
    controllable: LoadClass | None = None
    """Served between the limits of its band."""
    shiftable: LoadClass | None = None
    """May be put off and is made good later in the day."""
    general: LoadClass | None = None
    """May be cut at its cost."""
    power_factor: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Lagging."""
    connected: Switch = True
    """Switched on at the start; `load` events switch it."""

    @model_validator(mode="after")
    def _demand(self):
        classes = [self.critical, self.controllable, self.shiftable, self.general]
        if self.demand is None and not any(classes):
            raise ValueError("needs demand, or at least one of critical, controllable, shiftable, general")
        if self.demand is not None and self.critical is not None:
            raise ValueError("demand is critical load already: give demand or critical, not both")
        for key, owner in (("band", "controllable"), ("recovery_kw", "shiftable")):
            for name in ("critical", "controllable", "shiftable", "general"):
                section = getattr(self, name)
                if name != owner and section is not None and getattr(section, key) is not None:
                    raise ValueError(f"{key} belongs to the {owner} class, not to {name}")
        return self
