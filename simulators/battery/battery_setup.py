"""From the section ``bess`` of a hub to the parameters of a battery."""

from __future__ import annotations

from typing import Any

from ..device_kind import DeviceInputs
from . import battery_model
from .battery_section import IdealBattery, TremblayBattery


def device_parameters(section: TremblayBattery | IdealBattery, inputs: DeviceInputs) -> dict[str, Any]:
    """Return the pack, its state at the start, and its inverter.

    Raises
    ------
    ValueError
        When there are no cell parameters of the pack's name.
    """
    return {
        "parameters": pack_parameters(section, inputs),
        "soc": section.soc,
        "inverter_kva": section.inverter_kva or section.rated_kw,
        "faults": inputs.faults(),
        "telemetry_s": inputs.telemetry_s,
    }


def pack_parameters(section: TremblayBattery | IdealBattery, inputs: DeviceInputs) -> battery_model.BatteryParameters:
    """Return one pack, ideal or of published cells scaled to its capacity."""
    power_kw = rated_kw(section)
    ratings = {
        "p_charge_max_kw": power_kw,
        "p_discharge_max_kw": power_kw,
        "eta_charge": section.efficiency,
        "eta_discharge": section.efficiency,
        "soc_min": section.soc_min,
        "soc_max": section.soc_max,
    }
    if isinstance(section, IdealBattery):
        return battery_model.ideal(section.capacity_kwh, **ratings)
    return battery_model.pack(inputs.cells(section.pack), capacity_kwh=section.capacity_kwh, **ratings)


def plates(section: TremblayBattery | IdealBattery) -> dict[str, float]:
    """Return ratings, energy, window and efficiencies of a battery."""
    power_kw = rated_kw(section)
    return {
        "rated_kw": power_kw,
        "p_min_kw": -power_kw,
        "p_max_kw": power_kw,
        "capacity_kwh": section.capacity_kwh,
        "soc_min": section.soc_min,
        "soc_max": section.soc_max,
        "eta_charge": section.efficiency,
        "eta_discharge": section.efficiency,
    }


def rated_kw(section: TremblayBattery | IdealBattery) -> float:
    """Return the largest power either way [kW]: the inverter caps that of the pack."""
    return min(section.rated_kw, section.inverter_kva or section.rated_kw)
