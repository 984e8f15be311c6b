"""What a policy may choose of its view of a hub; stands in the file of every policy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...simulators.units import S_PER_H

LOAD_CLASSES = ("critical", "controllable", "shiftable", "general")
"""In the order of `Setpoints.load_limit_kw`."""


class PolicyOptions(BaseModel):
    """What a policy sees and commands beyond what every hub has; unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    lookahead: Annotated[int, Field(ge=0, le=168)] = 0
    """Number of steps of the forecasts of prices, PV and load that it sees."""
    lookahead_step_s: Annotated[float, Field(gt=0.0)] = S_PER_H
    """Length of such a step [s]."""
    price_scale: Annotated[float, Field(gt=0.0)] = 0.5
    """Price that reads as 1 [1/kWh]."""
    energy_scale_kwh: Annotated[float, Field(gt=0.0)] = 50.0
    """Energy that reads as 1 [kWh]."""
    v2g: bool = False
    """Whether it may ask EVs to discharge, where their owners agreed."""
    load: tuple[Literal["controllable", "shiftable", "general"], ...] = ()
    """Load classes that it limits, each to a part of what the forecast says it will want until the next decision."""
    reactive: bool = False
    """Whether it sets reactive powers too."""
    safety: bool = True
    """Whether its set points are clipped to the limits of the hub, see `safety_layer`."""
