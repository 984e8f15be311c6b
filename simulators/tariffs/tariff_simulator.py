"""The prices at each hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import Adapter, Clock, Device, Port
from .tariff_model import TariffPrices, Tariffs


class TariffAccount(Device):
    """The prices of one hub."""

    def __init__(self, clock: Clock, *, tariffs: Tariffs, penalties: Mapping[str, float]):
        super().__init__(clock)
        self._tariffs = tariffs
        self._penalties = penalties

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Emit the prices that hold from now on."""
        if t_s >= self.clock.end_s:
            return math.inf
        for port, price in zip(TariffPrices._fields, self._tariffs.prices_at(t_s), strict=True):
            self.emit(port, price)
        self.emit("demand_per_kw", self._tariffs.demand_per_kw)
        for port, price in self._penalties.items():
            self.emit(port, price)
        return self._tariffs.next_change(t_s)


class TariffSimulator(Adapter):
    """The prices of all hubs."""

    model = "Tariffs"
    device = TariffAccount
    outputs = {
        "buy_per_kwh": Port("1/kWh", "energy from the grid"),
        "sell_per_kwh": Port("1/kWh", "energy to the grid"),
        "dg_per_kwh": Port("1/kWh", "energy of the generator"),
        "bess_per_kwh": Port("1/kWh", "use of the battery, in and out"),
        "charging_per_kwh": Port("1/kWh", "what EV drivers pay"),
        "demand_per_kw": Port("1/kW", "on the highest quarter-hour import of each month"),
        "missed_per_kwh": Port("1/kWh", "penalty on energy that EVs asked for and did not get"),
        "unserved_per_kwh": Port("1/kWh", "penalty on load that was not served"),
    }
