"""From the section ``wind`` of a hub to the parameters of a turbine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device_kind import DeviceInputs
from ..series import Series
from . import wind_model
from .wind_section import WindSection


def device_parameters(section: WindSection, inputs: DeviceInputs) -> dict[str, Any]:
    """Return the available power over the run, and the turbine's errors."""
    return {"available_kw": _available(section, inputs), "rated_kw": section.rated_kw, "faults": inputs.faults()}


def plates(section: WindSection) -> dict[str, float]:
    """Return the rating of a turbine."""
    return {"rated_kw": section.rated_kw, "p_min_kw": 0.0, "p_max_kw": section.rated_kw}


def _available(section: WindSection, inputs: DeviceInputs) -> Series:
    if section.power is not None:
        return inputs.series(section.power, "power", low=0.0, high=section.rated_kw)
    speed = inputs.series(section.speed, "speed", low=0.0)
    curve = np.array(section.curve)
    parameters = wind_model.WindParameters(
        section.rated_kw, curve[:, 0], curve[:, 1], section.hub_height_m / section.measured_at_m, section.shear
    )
    return Series(speed.t_s, wind_model.available_kw(parameters, speed.values), speed.end_s, speed.repeats)
