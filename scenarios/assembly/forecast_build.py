"""From the section `forecasts` of a hub to the forecast that its controller receives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from ...controllers import contract
from ...simulators.arrivals.session_model import Session
from ...simulators.device_kind import DeviceKind
from ...simulators.load import load_model
from ...simulators.series import Series, combine
from ...simulators.tariffs.tariff_model import NAMES, Tariffs
from ..errors import InputError
from ..forecasts import forecast_providers
from ..forecasts.forecast_models import misjudged, plugged
from ..schema import scenario_schema
from .build_inputs import Inputs
from .session_build import reach_of, visits


def expected(
    inputs: Inputs,
    name: str,
    possible_kw: Sequence[tuple[DeviceKind, Series]],
    prices: Tariffs | None,
    announced: Tariffs | None,
) -> Callable[..., contract.Forecast]:
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

    Returns
    -------
    callable
        ``forecast(t_s, unforeseen_kw)``; the second is the net power now of devices that nobody foresees [kW].
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
        _visits(inputs, name, section.sessions, f"{key}.sessions"),
        _power(
            inputs,
            name,
            section.other,
            f"{key}.other",
            _sum(possible_kw, "", inputs.until_s) or forecast_providers.NO_PV,
        ),
    )
    return lambda t_s, unforeseen_kw=0.0: forecast_providers.HubForecast(parts, t_s, unforeseen_kw)


def withheld(controller: str) -> Callable[..., contract.Forecast]:
    """Return the forecast of a controller that says that it looks at none, by the time at which it is made."""
    forecast = forecast_providers.WithheldForecast(controller)
    return lambda t_s, unforeseen_kw=0.0: forecast


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
    means = forecast_providers.known(real)
    with inputs.at(key):
        if isinstance(section, scenario_schema.Persistence):
            means = forecast_providers.persistent(real, section.lag)
        elif isinstance(section, scenario_schema.NoisyPower):
            errors = {"std": section.std, "lead_s": section.lead, "correlation_s": section.correlation}
            means = forecast_providers.noisy(real, inputs.rng_seed(name, key), inputs.until_s, **errors)
        elif isinstance(section, scenario_schema.Csv):
            # further devices may draw more than they feed in
            low = -math.inf if key.endswith(".other") else 0.0
            means = forecast_providers.known(inputs.series(section, key, low=low))
        elif isinstance(section, scenario_schema.LoadColumns):
            read = inputs.columns(section, key, low=0.0)
            values = np.zeros((len(read.t_s), len(load_model.CLASSES)))
            values[:, [load_model.CLASSES.index(label) for label in section.columns]] = read.values
            means = forecast_providers.known(Series(read.t_s, values, read.end_s, read.repeats))
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
            prices = {price: forecast_providers.persistent(real.price(price), section.lag) for price in NAMES}
        elif isinstance(section, scenario_schema.PriceColumns):
            read = inputs.columns(section, key)
            for price, values in zip(section.columns, read.values.T, strict=True):
                prices[price] = forecast_providers.known(Series(read.t_s, values, read.end_s, read.repeats))
    return prices


def _visits(inputs: Inputs, name: str, section: Any, key: str) -> Callable[[float], Sequence[forecast_providers.Visit]]:
    hub = inputs.scenario.hubs[name]

    @cache
    def real() -> list[Session]:
        # drawn once more: who plugs in when does not depend on what is decided, and the plant's station is its own
        again = inputs.visits(name, hub) if hub.connectors is not None else None
        return plugged(again.station, again.sessions) if again else []

    guessed: Callable[[], Sequence[Session]] = list
    if isinstance(section, scenario_schema.Foreseen):
        return forecast_providers.as_they_come(real)
    if isinstance(section, scenario_schema.NoisySessions):
        guessed = cache(lambda: [_misjudged(inputs, name, session, section, key) for session in real()])
    elif isinstance(section, scenario_schema.SessionFile):
        with inputs.at(key):
            guessed = partial(list, _schedule(inputs, name, section, key))
    return forecast_providers.until_plugged_in(real, guessed)


def _misjudged(
    inputs: Inputs, name: str, session: Session, section: scenario_schema.NoisySessions, key: str
) -> Session:
    reach = reach_of(session, inputs.scenario.hubs[name].connectors)
    return misjudged(
        session,
        np.random.default_rng(inputs.rng_seed(name, f"{key}.{session.id}")),
        arrival_std_s=section.arrival_std,
        departure_std_s=section.departure_std,
        energy_std=section.energy_std,
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
