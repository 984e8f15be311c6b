"""The CO2 intensities of energy from outside, at each hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import Adapter, Clock, Device, Port
from ..series import Series


class Intensities(Device):
    """The CO2 intensities of one hub."""

    def __init__(self, clock: Clock, *, grid_kg_per_kwh: Series, fuel_kg_per_kwh: float):
        super().__init__(clock)
        self._grid_kg_per_kwh = grid_kg_per_kwh
        self._fuel_kg_per_kwh = fuel_kg_per_kwh

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Emit the intensities that hold from now on."""
        if t_s >= self.clock.end_s:
            return math.inf
        self.emit("grid_kg_per_kwh", float(self._grid_kg_per_kwh.at(t_s)))
        self.emit("fuel_kg_per_kwh", self._fuel_kg_per_kwh)
        return self._grid_kg_per_kwh.next_change(t_s)


class EmissionsSimulator(Adapter):
    """The CO2 intensities of all hubs that have some."""

    model = "Emissions"
    device = Intensities
    outputs = {
        "grid_kg_per_kwh": Port("kg/kWh", "CO2 of energy from the grid"),
        "fuel_kg_per_kwh": Port("kg/kWh", "CO2 of energy of the generator and the secondary source"),
    }
