"""Battery packs by name: the published cell parameters that come with evhub, scaled to what a scenario asks for."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...simulators.battery import battery_model
from ..errors import nearest
from ..schema.yaml_file import read_yaml

SETS = Path(str(files("evhub.simulators") / "data" / "batteries"))
"""Folder of the shipped cell parameters."""


def cell_sets() -> dict[str, Path]:
    """Return the files of cell parameters that come with evhub, by name."""
    return {path.stem: path for path in sorted(SETS.glob("*.yaml"))}


@lru_cache
def cell_set(name: str) -> dict[str, Any]:
    """Return published cell parameters by name.

    Raises
    ------
    ValueError
        When there are none of that name.
    """
    known = cell_sets()
    if name not in known:
        raise ValueError(f"pack must be one of {', '.join(known)}, got {name!r}{nearest(name, known)}")
    return read_yaml(known[name])


def ev_pack(
    name: str, capacity_kwh: float, p_max_kw: float, efficiency: float, soc_min: float, v2g: bool
) -> battery_model.BatteryParameters:
    """Build the parameters of an EV's battery pack, seen from its connector.

    Parameters
    ----------
    name : str
        Cell parameters, or ``ideal``.
    capacity_kwh : float
        Nominal energy [kWh].
    p_max_kw : float
        What connector and EV allow, each way [kW].
    efficiency : float
        Between hub bus and battery, each way.
    soc_min : float
        Never discharged below.
    v2g : bool
        It can be discharged at all.

    Returns
    -------
    battery.BatteryParameters
        Of one pack.

    Raises
    ------
    ValueError
        When there are no cell parameters of that name.
    """
    ratings = {
        "p_charge_max_kw": p_max_kw,
        "p_discharge_max_kw": p_max_kw if v2g else 0.0,
        "eta_charge": efficiency,
        "eta_discharge": efficiency,
        "soc_min": soc_min,
    }
    if name == "ideal":
        return battery_model.ideal(capacity_kwh, **ratings)
    return battery_model.pack(cell_set(name), capacity_kwh=capacity_kwh, **ratings)
