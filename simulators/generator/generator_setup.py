"""From the section ``dg`` of a hub to the parameters of a generator."""

from __future__ import annotations

from typing import Any

from ..device_kind import DeviceInputs
from . import generator_model
from .generator_section import GeneratorSection


def device_parameters(section: GeneratorSection, inputs: DeviceInputs) -> dict[str, Any]:
    """Return the engine and the fuel in its tank at the start."""
    parameters = generator_model.GeneratorParameters(
        rated_kw=section.rated_kw,
        fuel_capacity_l=section.fuel_capacity_l,
        minimum_kw=section.minimum_kw,
        start_s=section.start,
        cooldown_s=section.stop,
    )
    return {
        "parameters": parameters,
        "fuel_l": section.fuel_l,
        "faults": inputs.faults(),
        "telemetry_s": inputs.telemetry_s,
    }


def plates(section: GeneratorSection) -> dict[str, float]:
    """Return the ratings of a generator and the size of its tank."""
    return {
        "rated_kw": section.rated_kw,
        "p_min_kw": 0.0,
        "p_max_kw": section.rated_kw,
        "minimum_kw": section.minimum_kw,
        "fuel_capacity_l": section.fuel_capacity_l,
    }
