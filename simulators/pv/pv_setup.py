"""From the section ``pv`` of a hub to the parameters of a plant."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device_kind import DeviceInputs
from ..series import Series
from . import irradiance, pv_model
from .pv_section import ClearSky, PvSection, Weather

MILD_C = 25.0
"""Ambient temperature where the scenario gives none [degC]."""


def device_parameters(section: PvSection, inputs: DeviceInputs) -> dict[str, Any]:
    """Return the parameters of a plant, and its available power over the run."""
    parameters = pv_model.PvParameters(
        np.array([section.rated_kw]),
        None if section.inverter_kva is None else np.array([section.inverter_kva]),
        section.gamma_per_k,
        section.noct_c,
        section.type == "pvwatts",
    )
    sun, temperature = _sun(section.irradiance, inputs)
    if section.temperature is not None:
        temperature = inputs.series(section.temperature, "temperature", low=-90.0, high=70.0)
    available_kw = pv_model.available_series(parameters, sun, temperature, inputs.until_s)
    return {"parameters": parameters, "available_kw": available_kw, "faults": inputs.faults()}


def plates(section: PvSection) -> dict[str, float]:
    """Return the ratings of a plant; an inverter caps the power of its modules."""
    return {
        "rated_kw": section.rated_kw,
        "p_min_kw": 0.0,
        "p_max_kw": section.inverter_kva or section.rated_kw,
    }


def _sun(source: Any, inputs: DeviceInputs) -> tuple[Series, Series]:
    """Return the irradiance in the plane [W/m2] and the ambient temperature [degC]."""
    mild = Series.constant(MILD_C)
    if not isinstance(source, ClearSky | Weather):
        return inputs.series(source, "irradiance", low=0.0), mild
    plane = irradiance.Plane(
        source.latitude, source.longitude, source.altitude_m, source.tilt, source.azimuth, source.albedo
    )
    if isinstance(source, Weather):
        year = inputs.weather(source.file, "irradiance.file")
        return irradiance.typical_year(plane, year, inputs.start, inputs.until_s)
    return irradiance.clear_sky(plane, inputs.start, inputs.until_s, source.resolution, source.clearness), mild
