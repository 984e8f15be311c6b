"""From the section `forecasts` of a hub to the forecast that its controller receives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...simulators.arrivals.session_model import Session
from ...simulators.arrivals.station_model import StationPlan
from ...simulators.device_kind import DeviceKind
from ...simulators.load import load_model
from ...simulators.series import Series, combine
from ...simulators.shared_data import SharedData
from ...simulators.tariffs.tariff_model import NAMES, Tariffs
from ..errors import InputError
from ..forecasts import forecast_providers
from ..forecasts.forecast_models import misjudged, plugged
from ..schema import scenario_schema
from .build_inputs import Inputs, rng_seed
from .session_build import reach_of, visits


def expected(
    inputs: Inputs,
    name: str,
    possible_kw: Sequence[tuple[DeviceKind, Series]],
    prices: Tariffs | None,
    announced: Tariffs | None,
    station: StationPlan | None,
) -> forecast_providers.ForecastMaker:
    """Return the forecast of a hub, by the time at which it is made.

    Parameters
    ----------
    inputs : Inputs
        The scenario; it keeps what is wrong with the hub's `forecasts`.
    name : str
        The hub.
    possible_kw : sequence of (DeviceKind, Series)
        What really comes, of each device that has a series of its power [kW].
    prices, announced : Tariffs or None
        The prices with all events, and without them; None where they could not be read.
    station : StationPlan or None
        Who comes and when connectors fail; None where there are no connectors.

    Returns
    -------
    ForecastMaker
    """
    section, key = inputs.scenario.hubs[name].forecasts, f"hubs.{name}.forecasts"
    parts = forecast_providers.Parts(
        _power(
            inputs, name, section.pv, f"{key}.pv", _sum(possible_kw, "pv", inputs.until_s) or forecast_providers.NO_PV
        ),
        _power(
            inputs,
            name,
            section.load,
            f"{key}.load",
            _sum(possible_kw, "load", inputs.until_s) or forecast_providers.NO_LOAD,
        ),
        _prices(inputs, name, section.prices, f"{key}.prices", prices, announced),
        _visits(inputs, name, section.sessions, f"{key}.sessions", station),
        _power(
            inputs,
            name,
            section.other,
            f"{key}.other",
            _sum(possible_kw, "", inputs.until_s) or forecast_providers.NO_PV,
        ),
    )
    return forecast_providers.ForecastMaker(parts)


def _sum(possible_kw: Sequence[tuple[DeviceKind, Series]], kind: str, until_s: float) -> Series | None:
    """Return the power of all devices of a kind, or what those of further kinds feed in together; None of none."""
    if kind:
        summands = [series for of_kind, series in possible_kw if of_kind.name == kind]
    else:
        signed = [(of_kind.sign, series) for of_kind, series in possible_kw if not of_kind.contract]
        summands = [Series(s.t_s, sign * s.values, s.end_s, s.repeats) for sign, s in signed]
    if len(summands) < 2:
        return summands[0] if summands else None
    return combine(lambda *values: np.sum(values, axis=0), *summands, from_s=0.0, until_s=until_s)


def _power(inputs: Inputs, name: str, section: Any, key: str, real: Series) -> forecast_providers.Means:
    means = forecast_providers.Known(real)
    with inputs.at(key):
        if isinstance(section, scenario_schema.Persistence):
            means = forecast_providers.Persistent(real, section.lag)
        elif isinstance(section, scenario_schema.NoisyPower):
            errors = {"std": section.std, "lead_s": section.lead, "correlation_s": section.correlation}
            means = forecast_providers.Noisy(real, inputs.rng_seed(name, key), inputs.until_s, **errors)
        elif isinstance(section, scenario_schema.Csv):
            # further devices may draw more than they feed in
            low = -math.inf if key.endswith(".other") else 0.0
            means = forecast_providers.Known(inputs.series(section, key, low=low))
        elif isinstance(section, scenario_schema.LoadColumns):
            read = inputs.columns(section, key, low=0.0)
            values = np.zeros((len(read.t_s), len(load_model.CLASSES)))
            values[:, [load_model.CLASSES.index(label) for label in section.columns]] = read.values
            means = forecast_providers.Known(Series(read.t_s, values, read.end_s, read.repeats))
    return means


def _prices(
    inputs: Inputs, name: str, section: Any, key: str, real: Tariffs | None, announced: Tariffs | None
) -> dict[str, forecast_providers.Means]:
    if real is None or announced is None:
        return {}  # a problem of the tariffs, reported already
    prices = forecast_providers.announced(announced, inputs.price_changes(name))
    with inputs.at(key):
        if isinstance(section, scenario_schema.Foreseen):
            prices = forecast_providers.announced(real)
        elif isinstance(section, scenario_schema.Persistence):
            prices = {price: forecast_providers.Persistent(real.price(price), section.lag) for price in NAMES}
        elif isinstance(section, scenario_schema.PriceColumns):
            read = inputs.columns(section, key)
            for price, values in zip(section.columns, read.values.T, strict=True):
                prices[price] = forecast_providers.Known(Series(read.t_s, values, read.end_s, read.repeats))
    return prices


def _visits(
    inputs: Inputs, name: str, section: Any, key: str, station: StationPlan | None
) -> Callable[[float], Sequence[forecast_providers.Visit]]:
    real = _Plugged(station) if station is not None else forecast_providers.Listed()
    if isinstance(section, scenario_schema.Foreseen):
        return forecast_providers.AsTheyCome(real)
    guessed = forecast_providers.Listed()
    if isinstance(section, scenario_schema.NoisySessions):
        scenario = inputs.scenario
        guessed = _Misjudged(real, scenario.hubs[name].connectors, section, scenario.seed, name, key)
    elif isinstance(section, scenario_schema.SessionFile):
        with inputs.at(key):
            guessed = forecast_providers.Listed(tuple(_schedule(inputs, name, section, key)))
    return forecast_providers.UntilPluggedIn(real, guessed)


@dataclass(frozen=True)
class _Plugged(SharedData):
    """Sessions with the times at which they really plug in and leave, found out when a controller asks."""

    station: StationPlan

    @cached_property
    def _sessions(self) -> list[Session]:
        return plugged(self.station)

    def __call__(self) -> Sequence[Session]:
        return self._sessions


@dataclass(frozen=True)
class _Misjudged(SharedData):
    """Sessions with errors, drawn when a controller asks."""

    real: Callable[[], Sequence[Session]]
    connectors: scenario_schema.Connectors | None
    section: scenario_schema.NoisySessions
    seed: int
    """Of the scenario."""
    hub: str
    key: str

    @cached_property
    def _sessions(self) -> list[Session]:
        return [self._misjudged(session) for session in self.real()]

    def __call__(self) -> Sequence[Session]:
        return self._sessions

    def _misjudged(self, session: Session) -> Session:
        reach = reach_of(session, self.connectors)
        return misjudged(
            session,
            np.random.default_rng(rng_seed(self.seed, self.hub, f"{self.key}.{session.id}")),
            arrival_std_s=self.section.arrival_std,
            departure_std_s=self.section.departure_std,
            energy_std=self.section.energy_std,
            connector_kw=reach.largest_kw,
            efficiency=reach.efficiency,
        )


def _schedule(inputs: Inputs, name: str, section: scenario_schema.SessionFile, key: str) -> list[Session]:
    """The sessions of a file, read and checked as if they were the hub's own."""
    hub = inputs.scenario.hubs[name].model_copy(update={"sessions": section})
    try:
        return visits(inputs.loaded, name, hub, inputs.start, (), inputs.rng_seed(name, key)).sessions
    except InputError as error:
        key_of_sessions = f"hubs.{name}.sessions"
        raise InputError(
            replace(problem, key=problem.key.replace(key_of_sessions, key, 1)) for problem in error.problems
        ) from None
