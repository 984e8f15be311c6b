"""A perfect forecast of a hub whose future is given, for hand-made observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evhub.scenarios.forecasts.forecast_providers import AsTheyCome, HubForecast, Known, Listed, Parts, announced
from evhub.simulators.arrivals.session_model import Session
from evhub.simulators.series import Series
from evhub.simulators.tariffs.tariff_model import Tariffs


@dataclass(frozen=True)
class Reality:
    """Available PV power [kW], demand of each load class [kW], prices, and sessions in the order of arrival."""

    pv_kw: Series
    load_kw: Series
    tariffs: Tariffs
    sessions: Sequence[Session]


class Perfect(HubForecast):
    """Everything as it will be."""

    def __init__(self, reality: Reality, t_s: float):
        self.reality = reality
        visits = AsTheyCome(Listed(tuple(reality.sessions)))
        super().__init__(Parts(Known(reality.pv_kw), Known(reality.load_kw), announced(reality.tariffs), visits), t_s)
