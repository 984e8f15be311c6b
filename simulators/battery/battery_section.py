"""The section ``bess`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..field_types import DeviceSection, Number, Positive, Ratio


class _Battery(DeviceSection):
    rated_kw: Positive
    """Largest charging and discharging power at the grid side of the converter [kW]."""
    capacity_kwh: Positive
    """Nominal energy [kWh]."""
    soc: Ratio = 0.5
    """State of charge at the start."""
    soc_min: Ratio = 0.2
    """Never discharged below."""
    soc_max: Ratio = 0.8
    """Never charged above."""
    inverter_kva: Positive | None = None
    """Rating of the inverter [kVA]; rated_kw when left out."""

    @model_validator(mode="after")
    def _window(self):
        if self.soc_min >= self.soc_max:
            raise ValueError(f"soc_min must be below soc_max, got {self.soc_min:g} and {self.soc_max:g}")
        if not self.soc_min <= self.soc <= self.soc_max:
            raise ValueError(
                f"soc must be between soc_min {self.soc_min:g} and soc_max {self.soc_max:g}, got {self.soc:g}"
            )
        return self


class TremblayBattery(_Battery):
    """A stationary battery with cell voltage, current limits and CC/CV charging."""

    type: Literal["tremblay"]
    pack: str = "tremblay_liion_3p3v_2p3ah"
    """Published cell parameters; `evhub list` names them."""
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 0.97
    """Of the converter, each way."""


class IdealBattery(_Battery):
    """A stationary battery without losses and voltage, for studies that assume one."""

    type: Literal["ideal"]
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Of the converter, each way."""


Bess = Annotated[TremblayBattery | IdealBattery, Field(discriminator="type")]
