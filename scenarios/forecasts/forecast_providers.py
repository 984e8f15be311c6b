"""Forecasts of PV, load, prices and sessions, as controllers receive them.

A forecast is made anew at every decision, from what really happens in the run and an error that the scenario asks for.
Nothing is computed before a controller asks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple, NoReturn

import numpy as np

from ...controllers import contract
from ...simulators.arrivals.session_model import Session
from ...simulators.series import Series
from ...simulators.shared_data import SharedData
from ...simulators.tariffs.tariff_model import NAMES, Tariffs
from . import forecast_models

NO_PV = Series.constant(0.0)
NO_LOAD = Series.constant(np.zeros(4))

Means = Callable[[float, np.ndarray], np.ndarray]
"""Mean values of intervals as they are forecast at a time: (t_s, edges_s of shape (n + 1,)) -> shape (n,) or (n, m)."""


class ForecastWithheldError(RuntimeError):
    """A controller looked at a forecast although its class says that it does not."""


class Visit(NamedTuple):
    """An expected session; the departure is NaN for an EV that is plugged in without an announced departure."""

    session: Session
    arrival_s: float
    departure_s: float


@dataclass(frozen=True)
class Parts(SharedData):
    """The parts of a hub's forecast.

    Parameters
    ----------
    pv_kw : Means
        Available PV power [kW].
    load_kw : Means
        Demand of each load class [kW], shape (n, 4).
    prices : mapping of str to Means
        Prices by name [currency/kWh].
    visits : callable
        The sessions that are not over, as they are forecast at a time [s].
    other_kw : Means
        What devices of further kinds feed in together [kW].
    """

    pv_kw: Means
    load_kw: Means
    prices: Mapping[str, Means]
    visits: Callable[[float], Sequence[Visit]]
    other_kw: Means | None = None


class HubForecast(contract.Forecast):
    """The forecast of a hub, made at one time.

    Parameters
    ----------
    parts : Parts
    t_s : float
        That time [s].
    unforeseen_kw : float
        Net power now of devices that nobody foresees [kW].
    """

    def __init__(self, parts: Parts, t_s: float, unforeseen_kw: float = 0.0):
        self._parts = parts
        self._t_s = t_s
        self._unforeseen_kw = unforeseen_kw

    def pv_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the available PV power [kW], shape (n,)."""
        return self._parts.pv_kw(self._t_s, edges_s).reshape(-1)

    def load_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the demand of the local load by class [kW], shape (n, 4)."""
        return self._parts.load_kw(self._t_s, edges_s)

    def other_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the net power that devices of further kinds feed in [kW], shape (n,)."""
        if self._parts.other_kw is None:
            return np.full(len(edges_s) - 1, self._unforeseen_kw)
        return self._parts.other_kw(self._t_s, edges_s).reshape(-1) + self._unforeseen_kw

    def price(self, name: str, edges_s: np.ndarray) -> np.ndarray:
        """Forecast a price [1/kWh], shape (n,).

        Raises
        ------
        ValueError
            If there is no such price.
        """
        if name not in self._parts.prices:
            raise ValueError(f"price must be one of {', '.join(self._parts.prices)}, got {name}")
        return self._parts.prices[name](self._t_s, edges_s)

    def sessions(self, until_s: float) -> contract.ExpectedSessions:
        """Forecast the sessions that are not over yet and arrive before a time."""
        visits = [visit for visit in self._parts.visits(self._t_s) if visit.arrival_s < until_s]
        visits.sort(key=lambda visit: visit.arrival_s)
        sessions = [visit.session for visit in visits]
        rows = [
            (arrival_s, departure_s, s.energy_kwh, s.p_max_kw, s.capacity_kwh, s.soc_arrival, s.soc_v2g_min)
            for s, arrival_s, departure_s in visits
        ]
        columns = np.array(rows, dtype=float).reshape(-1, 7).T
        v2g = np.array([session.v2g for session in sessions], dtype=bool)
        return contract.ExpectedSessions(tuple(session.id for session in sessions), *columns, v2g=v2g)


@dataclass(frozen=True)
class WithheldForecast(SharedData, contract.Forecast):
    """The forecast, at any time, of a controller that says that it looks at none: every question is an error.

    Parameters
    ----------
    controller : str
        Name of the controller, for the message.
    """

    controller: str

    def __call__(self, t_s: float, unforeseen_kw: float = 0.0) -> WithheldForecast:
        """Return the forecast of a time [s]."""
        return self

    def _refuse(self) -> NoReturn:
        raise ForecastWithheldError(
            f"{self.controller} has uses_forecast = False and asked for a forecast; its class must say "
            "uses_forecast = True"
        )

    def pv_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Raise a `ForecastWithheldError`."""
        self._refuse()

    def load_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Raise a `ForecastWithheldError`."""
        self._refuse()

    def other_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Raise a `ForecastWithheldError`."""
        self._refuse()

    def price(self, name: str, edges_s: np.ndarray) -> np.ndarray:
        """Raise a `ForecastWithheldError`."""
        self._refuse()

    def sessions(self, until_s: float) -> contract.ExpectedSessions:
        """Raise a `ForecastWithheldError`."""
        self._refuse()


@dataclass(frozen=True)
class ForecastMaker(SharedData):
    """Makes the forecasts of a hub.

    Parameters
    ----------
    parts : Parts
    """

    parts: Parts

    def __call__(self, t_s: float, unforeseen_kw: float = 0.0) -> HubForecast:
        """Make the forecast of a time [s], with the net power then of devices that nobody foresees [kW]."""
        return HubForecast(self.parts, t_s, unforeseen_kw)


# --- power and prices -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known(SharedData):
    """Forecasts a series exactly."""

    series: Series

    def __call__(self, t_s: float, edges_s: np.ndarray) -> np.ndarray:
        """Average the series over intervals."""
        return self.series.means(edges_s)


@dataclass(frozen=True)
class Persistent(SharedData):
    """Forecasts a series by its value a lag earlier; see `forecast_models.persistence`."""

    series: Series
    lag_s: float

    def __call__(self, t_s: float, edges_s: np.ndarray) -> np.ndarray:
        """Average the forecast over intervals."""
        return forecast_models.persistence(self.series, self.lag_s, t_s, edges_s[0], edges_s[-1]).means(edges_s)


@dataclass(frozen=True)
class Noisy(SharedData):
    """Forecasts a series with an error that grows with the lead; see `forecast_models.noisy`.

    Parameters
    ----------
    series : Series
        Reality.
    seed : numpy.random.SeedSequence
        Of the error.
    until_s : float
        Length of the run [s].
    std, lead_s, correlation_s : float
        Relative standard deviation at a lead, that lead [s], and the correlation time of the error [s].
    """

    series: Series
    seed: np.random.SeedSequence
    until_s: float
    std: float
    lead_s: float
    correlation_s: float

    @cached_property
    def error(self) -> Series:
        """Draws over the targets, of mean 0 and variance 1."""
        return forecast_models.noise(np.random.default_rng(self.seed), self.until_s, self.correlation_s)

    def __call__(self, t_s: float, edges_s: np.ndarray) -> np.ndarray:
        """Average the forecast over intervals."""
        errors = {"std": self.std, "lead_s": self.lead_s}
        return forecast_models.noisy(self.series, self.error, t_s, edges_s[0], edges_s[-1], **errors).means(edges_s)


@dataclass(frozen=True)
class Announced(SharedData):
    """Forecasts a price by what is announced: the tariffs, and price events once they have begun.

    Parameters
    ----------
    tariffs : Tariffs
        Known from the start.
    name : str
        The price.
    changes : tuple of (name, value, from_s, until_s)
        In the order of their beginning; from then on each is known, and its end too.
    """

    tariffs: Tariffs
    name: str
    changes: tuple[tuple[str, float, float, float], ...] = ()

    @cached_property
    def _by_begun(self) -> dict[int, Series]:
        """The series that have been announced so far, by the number of changes that had begun."""
        return {}

    def __call__(self, t_s: float, edges_s: np.ndarray) -> np.ndarray:
        """Average the forecast over intervals."""
        begun = bisect_right(self.changes, t_s, key=itemgetter(2))
        if begun not in self._by_begun:
            tariffs = self.tariffs
            for change in self.changes[:begun]:
                tariffs = tariffs.changed(*change)
            self._by_begun[begun] = tariffs.price(self.name)
        return self._by_begun[begun].means(edges_s)


def announced(tariffs: Tariffs, changes: Sequence[tuple[str, float, float, float]] = ()) -> dict[str, Means]:
    """Forecast all prices by what is announced; see `Announced`."""
    return {name: Announced(tariffs, name, tuple(changes)) for name in NAMES}


# --- sessions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed(SharedData):
    """Sessions that are known."""

    sessions: tuple[Session, ...] = ()

    def __call__(self) -> Sequence[Session]:
        """Return the sessions."""
        return self.sessions


@dataclass(frozen=True)
class AsTheyCome(SharedData):
    """Forecasts sessions exactly, with the times at which they will plug in and leave."""

    real: Callable[[], Sequence[Session]]

    def __call__(self, t_s: float) -> list[Visit]:
        """Return the visits that are not over."""
        return [Visit(s, s.arrival_s, s.departure_s) for s in self.real() if s.departure_s > t_s]


@dataclass(frozen=True)
class UntilPluggedIn(SharedData):
    """Forecasts sessions by a guess, and from the moment they plug in by what the driver announces.

    An EV that is late is expected at once; it is given up when its guessed departure has passed.

    Parameters
    ----------
    real : callable
        Sessions with the times at which they plug in and leave.
    guessed : callable
        Sessions as they are expected beforehand; the same EV has the same id.
    """

    real: Callable[[], Sequence[Session]]
    guessed: Callable[[], Sequence[Session]]

    def __call__(self, t_s: float) -> list[Visit]:
        """Return the visits that are forecast at a time."""
        come = [session for session in self.real() if session.arrival_s <= t_s]
        names = {session.id for session in come}
        plugged = [Visit(s, s.arrival_s, _announced_s(s)) for s in come if s.departure_s > t_s]
        awaited = [s for s in self.guessed() if s.departure_s > t_s and s.id not in names]
        return plugged + [Visit(s, max(s.arrival_s, t_s), s.departure_s) for s in awaited]


def _announced_s(session: Session) -> float:
    return math.nan if session.departure_estimate_s is None else session.departure_estimate_s
