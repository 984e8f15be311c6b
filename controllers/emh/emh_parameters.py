"""The parameters of `emh`: what the operator of a hub sets, and may change during a run."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .. import contract
from .emh_rules import RULES

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Soc = Annotated[float, Field(ge=0, le=1)]
Connector = Annotated[int, Field(ge=1)]


class _EmhSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Peak(_EmhSection):
    """The hours of peak demand, on the clock of the scenario."""

    start: time
    """First instant, such as "18:00"."""
    end: time
    """Last instant, later on the same day."""

    @field_validator("start", "end", mode="before")
    @classmethod
    def _local(cls, value):
        # a number would be taken for seconds
        if not isinstance(value, str | time):
            raise ValueError(f'must be a time in quotes such as "18:00", got {value}')
        return value

    @field_validator("start", "end")
    @classmethod
    def _without_offset(cls, value):
        if value.tzinfo:
            raise ValueError(f'must be a time without an offset, such as "18:00", got {value}')
        return value

    @model_validator(mode="after")
    def _forward(self):
        if self.start >= self.end:
            raise ValueError(f"start must be before end, got {self.start} and {self.end}")
        return self


class OvercurrentSection(_EmhSection):
    """Alarm 1 (figure 4)."""

    max_a: Positive | None = None
    """Largest current of a phase [A]; that of the installed capacity when left out."""
    t1_s: NonNegative = 6.0
    """An overcurrent from here (longer than one round of messages, or the cut cannot show before) ..."""
    t2_s: Positive = 10.0
    """... to here after the first one stops the charge point [s]."""
    clear_s: Positive = 60.0
    """The alarm ends when there was no overcurrent for this long [s]."""

    @model_validator(mode="after")
    def _window(self):
        if self.t1_s >= self.t2_s:
            raise ValueError(f"t1_s must be below t2_s, got {self.t1_s:g} and {self.t2_s:g}")
        return self


class Ramp(_EmhSection):
    """How battery and PV are raised together in an island (figure 5)."""

    step_kw: Positive = 1.0
    """Step of the battery's reference [kW]."""
    every_s: Positive = 10.0
    """Time between one change and the next [s]."""
    pv_share: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Step of the PV limit as a share of the battery's step."""
    bess_share: Share = 0.6
    """The battery is charged with at most this share of its rating."""


class EmhParameters(contract.Parameters):
    """Parameters of `emh`."""

    contracted_kw: Positive | None = None
    """Contracted capacity [kW]; the site's when left out."""
    installed_kw: Positive | None = None
    """Installed capacity [kW]; the site's when left out."""
    tx_limit_connected: Share = 0.88
    """The limit as a share of the capacity (eq. 1) on the grid ..."""
    tx_limit_islanded: Share = 0.78
    """... and in an island."""
    cp_islanded_kw: NonNegative = 10.0
    """Most power of the charge point in an island [kW]."""
    cp_protection_kw: NonNegative = 10.0
    """Its power under alarms 1 and 2 [kW]."""
    soc_min: Soc | None = None
    """Lower operation limit of the battery; the plate's when left out."""
    soc_max: Soc | None = None
    """Upper operation limit; the plate's when left out."""
    soc_off_peak: Soc = 0.5
    """Outside the peak hours the battery discharges only above this."""
    bess_discharge_kw: NonNegative | None = None
    """Most the cost rules ask of the battery [kW]; its rating when left out."""
    tx_slow_recharge: Share = 0.25
    """Slow charging as a share of the battery's rating."""
    peak: Peak | None = None
    """Hours of peak demand; none when left out."""
    island_discharge: Literal["relief", "above_limit"] = "relief"
    """How a full battery discharges in an island: slowly, to relieve the secondary source; or only what load and
    charge point draw above ramp.bess_share of its rating."""
    overcurrent: OvercurrentSection = OvercurrentSection()
    ramp: Ramp = Ramp()
    timeout_s: Positive = 5.0
    """A device whose last message is older is lost (alarms 7 and 8) [s]."""
    clear_s: NonNegative = 5.0
    """Alarms 2 to 8 end when their cause has been away for this long [s]."""
    weight_of_last: Positive = 1.0
    """Weight of the connector that came last; each one before it has 1 more."""
    preferred: tuple[Connector, ...] = ()
    """Numbers of connectors that come before all others, in this order."""
    rules: tuple[str, ...] = tuple(RULES)
    """The rules in force, in their order; see the documentation of emh."""

    @field_validator("rules", "preferred")
    @classmethod
    def _once(cls, values):
        if twice := [value for n, value in enumerate(values) if value in values[:n]]:
            raise ValueError(f"must name each only once, got {twice[0]} twice")
        return values

    @model_validator(mode="after")
    def _possible(self):
        if self.contracted_kw is not None and self.installed_kw is not None and self.contracted_kw > self.installed_kw:
            raise ValueError(
                f"contracted_kw must be at most installed_kw {self.installed_kw:g}, got {self.contracted_kw:g}"
            )
        if self.soc_min is not None and self.soc_max is not None and self.soc_min >= self.soc_max:
            raise ValueError(f"soc_min must be below soc_max, got {self.soc_min:g} and {self.soc_max:g}")
        return self
