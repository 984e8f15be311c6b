"""The section ``grid`` of a hub."""

from __future__ import annotations

from pydantic import model_validator

from ..ats.ats_section import AtsSection, SecondarySection
from ..field_types import Positive, Section


class GridSection(Section):
    """The connection to the public grid."""

    contracted_kw: Positive
    """What the contract allows to import [kW]."""
    installed_kw: Positive | None = None
    """What the installation carries [kW]; contracted_kw when left out."""
    nominal_v: Positive = 400.0
    """Phase to phase [V]."""
    ats: AtsSection = AtsSection()
    secondary: SecondarySection | None = None
    """The source that carries the hub as an island; the same as `secondary` of the hub."""

    @model_validator(mode="after")
    def _capacities(self):
        if self.installed_kw is not None and self.installed_kw < self.contracted_kw:
            raise ValueError(
                f"installed_kw must be at least contracted_kw {self.contracted_kw:g}, got {self.installed_kw:g}"
            )
        return self
