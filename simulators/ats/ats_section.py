"""The sections ``grid.ats`` and ``grid.secondary`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..field_types import Duration, NonNegative, Number, Positive, PositiveDuration, Section, Whole


class SecondarySection(Section):
    """The source behind the second input of the ATS."""

    type: Literal["genset"] = "genset"
    rated_kw: Positive
    """Largest power [kW]."""
    start: Duration = 0.0
    """From the loss of the grid to voltage; runs beside the transfer delay."""
    overload_factor: Annotated[Number, Field(ge=1)] = 1.1
    """Load above this multiple of the rating trips it ..."""
    overload_trip: Duration = 10.0
    """... when it lasts this long."""
    reverse_kw: NonNegative | None = None
    """Power fed back into it above this trips it [kW]; 5 % of the rating when left out ..."""
    reverse_trip: Duration = 5.0
    """... when it lasts this long."""
    restart: PositiveDuration = 60.0
    """Black start after a trip."""
    restarts: Annotated[Whole, Field(ge=0)] = 3
    """How often in one outage."""
    cooldown: Duration = 0.0
    """Running without load after the return to the grid; it takes over at once if the grid fails again."""


class AtsSection(Section):
    """The automatic transfer switch."""

    settings: str | None = None
    """A maker's published settings (`evhub list` names them); keys that are given go before them."""
    detection: Duration = 0.0
    """A shorter loss of voltage does not start a transfer."""
    transfer_s: NonNegative = 5.0
    """From detection to the secondary source [s]; the bus is dead."""
    stabilise_s: NonNegative = 0.0
    """The secondary source must have had voltage for this long before it is loaded [s]."""
    retransfer_s: NonNegative = 5.0
    """The grid has to be back for this long before the hub returns to it [s]."""
    open_transition_s: NonNegative = 0.0
    """Dead bus while switching back [s]; 0 is a closed transition."""
