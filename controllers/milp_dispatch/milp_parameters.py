"""Parameters of `milp_dispatch`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ...simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN
from .. import contract

_UNITS_S = {"s": 1.0, "min": S_PER_MIN, "h": S_PER_H, "d": S_PER_DAY}
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|min|s)")
_LONGEST_S = 7 * S_PER_DAY


def _duration(value: Any) -> float:
    """Seconds of a duration as scenario files write it; seconds that were read already pass."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str) or not value or _PART.sub("", value):
        raise ValueError("must be a duration such as 90s, 15min or 1h30min")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(value))


Duration = Annotated[float, Field(gt=0, le=_LONGEST_S), BeforeValidator(_duration)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Mode = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MilpParameters(contract.Parameters):
    """What is planned, how finely, how far, and how often."""

    resolution: Annotated[Duration, Field(ge=S_PER_MIN, le=15 * S_PER_MIN)] = 15 * S_PER_MIN
    """Length of a step of the plan; a multiple of the period of decisions follows the plan best."""
    horizon: Duration = S_PER_DAY
    """How far a plan reaches, but never beyond the end of the run."""
    replan: Duration | None = None
    """Plan again this often, over a horizon that moves along, and when an EV plugs in that the plan does not know; when
    left out, only when a plan has run out (day-ahead)."""
    modes_kw: Annotated[tuple[Mode, ...], Field(min_length=1)] | None = None
    """Charging modes, such as 50, 22 and 7 [kW]: an EV charges in the fastest one it accepts, or at what it accepts if
    that is less than all. When left out, at what it accepts."""
    eens_per_kwh: NonNegative = 50.0
    """Penalty for energy that an EV asked for and does not get [1/kWh]."""
    load_eens_per_kwh: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 500.0
    """Penalty for local load that cannot be fed [1/kWh]."""
    exchange_per_kwh: NonNegative = 0.0
    """Added to the purchase price and taken from the sale price: among plans of equal cost, the one that exchanges less
    with the grid [1/kWh]."""
    curtail: bool = True
    """PV may be fed in less than it could; otherwise all of it must be (eq. 13)."""
    soc_end: Annotated[float, Field(ge=0, le=1)] | None = None
    """State of charge that every plan must end with, or more; none when left out: the battery is used up."""
    stale: Duration = 15 * S_PER_MIN
    """No new plan is made while the battery's last measurement is older than this."""
    solver: Literal["glpk", "highs"] = "glpk"
    """Who solves it; highs is an extra."""
    gap: NonNegative = 1e-4
    """Relative gap that is good enough, where branching is needed."""
    time_limit: Duration = S_PER_MIN
    """For one solve, on the wall clock."""

    @field_validator("modes_kw")
    @classmethod
    def _each_once(cls, modes_kw):
        if modes_kw is not None and len(set(modes_kw)) < len(modes_kw):
            raise ValueError(f"each mode must be there once, got {', '.join(f'{mode:g}' for mode in modes_kw)}")
        return modes_kw

    @model_validator(mode="after")
    def _ordered(self):
        if self.horizon < self.resolution:
            raise ValueError(f"horizon must be at least resolution {self.resolution:g}s, got {self.horizon:g}s")
        if self.replan is not None and self.replan > self.horizon:
            raise ValueError(f"replan must be at most horizon {self.horizon:g}s, got {self.replan:g}s")
        return self
