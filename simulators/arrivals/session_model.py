"""Charging sessions, and a stochastic generator of them.

Arrivals do not depend on what happens at the hub, so all sessions of a hub are drawn before the run. They form a
non-homogeneous Poisson process whose rate follows weekday and hour of the *local clock*. Stay, energy or state of
charge, vehicle and announced departure are drawn from distributions by inversion, one stream of random numbers for
each. Hence changing one of them leaves the others as they are, and a longer run begins with the sessions of a shorter
one.

Poisson arrivals by hour, and stays that depend on the arrival time, follow measured sessions: Lee, Li & Low 2019,
"ACN-Data: Analysis and Applications of an Open EV Charging Dataset", doi:10.1145/3307772.3328313; Lahariya et al. 2020,
"Synthetic Data Generator for Electric Vehicle Charging Sessions", doi:10.3390/en13164211.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import inf, isfinite
from typing import Any

import numpy as np

from ..shared_data import SharedData
from ..units import S_PER_H
from .distributions import Distribution, Mixture, check_weights, pick

DAYS, HOURS = 7, 24
"""Shape of a week table; day 0 is Monday."""
SOC_V2G_MIN = 0.2
"""No EV is discharged below this state of charge unless its session says otherwise (Yan & Tu 2022, eq. 10)."""


@dataclass(frozen=True, slots=True)
class Session(SharedData):
    """One visit of an EV to a hub.

    Parameters
    ----------
    id : str
        Name in the results, unique in its hub.
    arrival_s, departure_s : float
        When the EV comes and when it leaves [s since the scenario's start].
    energy_kwh : float
        Energy asked for [kWh].
    connector : int, optional
        Connector it must use, counted from 0; any free one when left out.
    group : str, optional
        Group of connectors of which it must use one; any when left out.
    p_max_kw : float
        Power the EV accepts [kW].
    capacity_kwh : float, optional
        Nominal energy of its battery [kWh].
    soc_arrival, soc_target : float, optional
        State of charge on arrival, and the one at which the energy asked for is in.
    n_phases : int
        Phases of its on-board charger.
    v2g : bool
        The owner agrees to discharge.
    soc_v2g_min : float
        State of charge below which it must not be discharged.
    departure_estimate_s : float, optional
        Departure the driver announced [s since the scenario's start]; left out when nothing was announced.
    priority : float
        Rank given by the operator; higher is served first.

    Raises
    ------
    ValueError
        If a value is out of range; the text names all of them.
    """

    id: str
    arrival_s: float
    departure_s: float
    energy_kwh: float
    connector: int | None = None
    p_max_kw: float = inf
    capacity_kwh: float | None = None
    soc_arrival: float | None = None
    soc_target: float | None = None
    n_phases: int = 3
    v2g: bool = False
    soc_v2g_min: float = SOC_V2G_MIN
    departure_estimate_s: float | None = None
    priority: float = 0.0
    group: str | None = None

    def __post_init__(self):
        wrong = violations({name: getattr(self, name) for name in _RULES})
        if wrong:
            listed = "; ".join(f"{field} {allowed}, got {value!r}" for field, value, allowed in wrong)
            raise ValueError(f"session {self.id!r}: {listed}")


def _ratio(value: float) -> bool:
    return 0 <= value <= 1


def _not_negative(value: float) -> bool:
    return 0 <= value < inf


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (lambda value: isinstance(value, str) and value != "", "must be text"),
    "arrival_s": (_not_negative, "must be finite and >= 0"),
    "departure_s": (isfinite, "must be finite"),
    "energy_kwh": (_not_negative, "must be finite and >= 0"),
    "connector": (lambda value: value >= 0 and value == int(value), "must be a whole number >= 0"),
    "p_max_kw": (lambda value: value > 0, "must be > 0"),
    "capacity_kwh": (lambda value: 0 < value < inf, "must be finite and > 0"),
    "soc_arrival": (_ratio, "must be from 0 to 1"),
    "soc_target": (_ratio, "must be from 0 to 1"),
    "n_phases": (lambda value: value in (1, 2, 3), "must be 1, 2 or 3"),
    "soc_v2g_min": (_ratio, "must be from 0 to 1"),
    "departure_estimate_s": (isfinite, "must be finite"),
    "priority": (isfinite, "must be finite"),
}
_OPTIONAL = {field.name for field in fields(Session) if field.default is None}


def violations(values: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """List everything that is wrong with the values of a session.

    Parameters
    ----------
    values : mapping
        Values by the names of `Session`'s fields; those that are absent are not checked.

    Returns
    -------
    list of (field, value, allowed)
        Empty when all is well.
    """
    wrong = []
    for name, value in values.items():
        valid, allowed = _RULES.get(name, (None, ""))
        if valid is None or (value is None and name in _OPTIONAL):
            continue
        try:
            ok = valid(value)
        except (TypeError, ValueError, OverflowError):
            ok = False
        if not ok:
            wrong.append((name, value, allowed))
    named = {name for name, _, _ in wrong}
    if {"arrival_s", "departure_s"} <= values.keys() - named and not values["departure_s"] > values["arrival_s"]:
        wrong.append(("departure_s", values["departure_s"], f"must be after the arrival at {values['arrival_s']} s"))
    return wrong


# --- arrivals ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A kind of EV.

    Parameters
    ----------
    weight : float
        Its share of the arrivals.
    capacity_kwh : float
        Nominal energy of the battery [kWh].
    p_max_kw : float
        Power it accepts [kW].
    n_phases : int
        Phases of its on-board charger.
    """

    weight: float
    capacity_kwh: float
    p_max_kw: float
    n_phases: int = 3


@dataclass(frozen=True, slots=True)
class Stay:
    """How long those stay who arrive on certain days between certain hours.

    Parameters
    ----------
    days : tuple of int
        Days of the week, 0 is Monday.
    from_h, to_h : int
        Hours of the local clock, the last one excluded; over midnight when `to_h` is not after `from_h`.
    stay_h : Mixture
        Duration of the visit [h].
    """

    days: tuple[int, ...]
    from_h: int
    to_h: int
    stay_h: Mixture


@dataclass(frozen=True, eq=False)
class ArrivalParameters:
    """A stochastic model of the EVs that visit a hub.

    What a driver asks for is either an energy or a state of charge; the other one follows from the battery.

    Parameters
    ----------
    arrivals_per_h : array, shape (7, 24)
        Mean number of arrivals in each hour of the local clock [1/h]; day 0 is Monday.
    stays : tuple of Stay
        Every hour that has arrivals belongs to exactly one.
    vehicles : tuple of Vehicle
        Weights add up to 1.
    energy_kwh : Distribution, optional
        Energy asked for [kWh]. The vehicle is then drawn among those whose battery can take it.
    average_kw_max : float
        The energy asked for is at most this power times the stay [kW].
    soc_arrival : Distribution, optional
        State of charge on arrival; the energy asked for is what is missing up to `soc_target`.
    soc_target : float
        State of charge at which the energy asked for is in.
    announced_share : float
        Share of the drivers who announce a departure.
    estimate_factor : Distribution, optional
        Announced stay over true stay; drivers who announce tell the truth when left out.
    v2g_share : float
        Share of the drivers who agree to discharge.
    soc_v2g_min : float
        State of charge below which their EVs must not be discharged.

    Raises
    ------
    ValueError
        If a value is out of range, an hour has no stay or two, or an energy fits in no battery.
    """

    arrivals_per_h: np.ndarray
    stays: tuple[Stay, ...]
    vehicles: tuple[Vehicle, ...]
    energy_kwh: Distribution | None = None
    average_kw_max: float = inf
    soc_arrival: Distribution | None = None
    soc_target: float = 1.0
    announced_share: float = 1.0
    estimate_factor: Distribution | None = None
    v2g_share: float = 0.0
    soc_v2g_min: float = SOC_V2G_MIN

    def __post_init__(self):
        rates = np.array(self.arrivals_per_h, dtype=float)
        if rates.shape != (DAYS, HOURS) or not np.all((rates >= 0) & np.isfinite(rates)):
            raise ValueError(
                f"arrivals_per_h: must be 7 x 24 finite numbers >= 0, got shape {rates.shape}, {rates.min()}"
            )
        rates.flags.writeable = False
        object.__setattr__(self, "arrivals_per_h", rates)
        for name in ("announced_share", "v2g_share", "soc_target", "soc_v2g_min"):
            if not _ratio(getattr(self, name)):
                raise ValueError(f"{name}: must be from 0 to 1, got {getattr(self, name)}")
        if not self.average_kw_max > 0:
            raise ValueError(f"average_kw_max: must be > 0, got {self.average_kw_max}")
        if (self.energy_kwh is None) == (self.soc_arrival is None):
            raise ValueError("give either energy_kwh or soc_arrival")
        check_weights("vehicles", [vehicle.weight for vehicle in self.vehicles])
        largest = max(vehicle.capacity_kwh for vehicle in self.vehicles) * self.soc_target
        if self.energy_kwh is not None and not 0 <= self.energy_kwh.low <= self.energy_kwh.high <= largest:
            raise ValueError(
                f"energy_kwh: bounds must be from 0 to {largest:g}, what the largest battery takes up to soc_target, "
                f"got low={self.energy_kwh.low:g}, high={self.energy_kwh.high:g}"
            )
        if self.soc_arrival is not None and self.soc_arrival.low < 0:
            raise ValueError(f"soc_arrival: low must be >= 0, got {self.soc_arrival.low:g}")
        covered = self._stay_of_hour >= 0
        if not np.all(covered | (rates == 0)):
            day, hour = np.argwhere(~covered & (rates > 0))[0]
            raise ValueError(f"stays: must cover every hour that has arrivals, got none for day {day}, hour {hour}")

    @cached_property
    def _stay_of_hour(self) -> np.ndarray:
        """Index into `stays`, shape (7, 24); -1 for none."""
        table = np.full((DAYS, HOURS), -1)
        for k, stay in enumerate(self.stays):
            span = (stay.to_h - stay.from_h - 1) % HOURS + 1
            hours = (stay.from_h + np.arange(span)) % HOURS
            cells = np.ix_(list(stay.days), hours.tolist())
            if np.any(table[cells] >= 0):
                raise ValueError(f"stays: must not overlap, got two for hours {stay.from_h} to {stay.to_h}")
            table[cells] = k
        return table

    def scaled(self, factor: float) -> ArrivalParameters:
        """Return these parameters with the arrival rate multiplied by `factor`."""
        return replace(self, arrivals_per_h=self.arrivals_per_h * factor)


def arrivals(
    arrivals_per_h: np.ndarray, start: datetime, duration_s: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample the arrival times of a Poisson process whose rate is constant within each hour of the local clock.

    The times are those of a process of rate 1, run through the inverse of the cumulated rate. That is exact, and a
    higher rate or a longer duration keeps using the same random numbers in the same order.

    Parameters
    ----------
    arrivals_per_h : ndarray, shape (7, 24)
        Rate [1/h] by weekday and hour.
    start : datetime
        Instant 0; its time zone is the local clock, daylight saving time included.
    duration_s : float
        Length of the period [s].
    rng : numpy.random.Generator

    Returns
    -------
    t_s : ndarray, shape (n,)
        Arrival times in [0, duration_s), ascending [s].
    day, hour : ndarray of int, shape (n,)
        Day of the week (0 is Monday) and hour on the local clock then.
    """
    edges_s, day, hour = _clock_hours(start, duration_s)
    rate_per_s = arrivals_per_h[day, hour] / S_PER_H
    expected = np.concatenate([[0.0], np.cumsum(rate_per_s * np.diff(edges_s))])
    unit_times = np.empty(0)
    while unit_times.size == 0 or unit_times[-1] < expected[-1]:
        passed = unit_times[-1] if unit_times.size else 0.0
        unit_times = np.concatenate([unit_times, passed + np.cumsum(rng.standard_exponential(256))])
    unit_times = unit_times[unit_times < expected[-1]]
    segment = np.searchsorted(expected, unit_times, side="right") - 1
    t_s = edges_s[segment] + (unit_times - expected[segment]) / rate_per_s[segment]
    # rounding must not carry an arrival over the edge of its hour
    return np.minimum(t_s, np.nextafter(edges_s[segment + 1], 0.0)), day[segment], hour[segment]


def _clock_hours(start: datetime, duration_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges [s] of the local clock's hours over the period, shape (m + 1,), and day and hour of each, shape (m,)."""
    if start.tzinfo is None:
        raise ValueError(f"start: must have a time zone, got {start.isoformat()}")
    if not 0 < duration_s < inf:
        raise ValueError(f"duration_s: must be finite and > 0, got {duration_s}")
    # Python adds on the wall clock; real durations need UTC
    begin = start.astimezone(UTC)
    edges_s, days, hours = [0.0], [], []
    while edges_s[-1] < duration_s:
        now = begin + timedelta(seconds=edges_s[-1])
        local = now.astimezone(start.tzinfo)
        days.append(local.weekday())
        hours.append(local.hour)
        into_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        edges_s.append(min((now - into_hour + timedelta(hours=1) - begin).total_seconds(), duration_s))
    return np.array(edges_s), np.array(days), np.array(hours)


def generate(
    parameters: ArrivalParameters, start: datetime, duration_s: float, rng: np.random.Generator
) -> list[Session]:
    """Draw all sessions that arrive in a period.

    Parameters
    ----------
    parameters : ArrivalParameters
    start : datetime
        Instant 0 of the sessions' times; its time zone is the local clock, daylight saving time included.
    duration_s : float
        Length of the period [s]. Departures may lie beyond it.
    rng : numpy.random.Generator
        Spawns one child for the arrivals and one for each attribute.

    Returns
    -------
    list of Session
        Ascending in arrival, named ``ev1``, ``ev2``, ...

    Raises
    ------
    ValueError
        If `start` has no time zone or `duration_s` is not finite and positive.
    """
    for_arrivals, for_stay, for_request, for_vehicle, for_announcing, for_estimate, for_v2g = rng.spawn(7)
    arrival_s, day, hour = arrivals(parameters.arrivals_per_h, start, duration_s, for_arrivals)
    n = len(arrival_s)

    stay_s = _stays_h(parameters, day, hour, for_stay.random((n, 2))) * S_PER_H
    energy_kwh, vehicle, soc_arrival = _requests(
        parameters, stay_s / S_PER_H, for_request.random(n), for_vehicle.random(n)
    )
    announces = for_announcing.random(n) < parameters.announced_share
    factor = 1.0 if parameters.estimate_factor is None else parameters.estimate_factor.quantile(for_estimate.random(n))
    estimate_s = arrival_s + stay_s * factor
    v2g = for_v2g.random(n) < parameters.v2g_share

    return [
        Session(
            id=f"ev{k + 1}",
            arrival_s=float(arrival_s[k]),
            departure_s=float(arrival_s[k] + stay_s[k]),
            energy_kwh=float(energy_kwh[k]),
            p_max_kw=kind.p_max_kw,
            capacity_kwh=kind.capacity_kwh,
            soc_arrival=float(soc_arrival[k]),
            soc_target=parameters.soc_target,
            n_phases=kind.n_phases,
            v2g=bool(v2g[k]),
            soc_v2g_min=parameters.soc_v2g_min,
            departure_estimate_s=float(estimate_s[k]) if announces[k] else None,
        )
        for k, kind in enumerate(parameters.vehicles[index] for index in vehicle)
    ]


def _stays_h(parameters: ArrivalParameters, day: np.ndarray, hour: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Stay of each arrival [h], shape (n,)."""
    which = parameters._stay_of_hour[day, hour]
    stay_h = np.empty(len(u))
    for k, stay in enumerate(parameters.stays):
        taken = which == k
        stay_h[taken] = stay.stay_h.sample(u[taken])
    return stay_h


def _requests(
    parameters: ArrivalParameters, stay_h: np.ndarray, u_request: np.ndarray, u_vehicle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy asked for [kWh], index of the vehicle, and state of charge on arrival; each of shape (n,)."""
    by_size = np.argsort([vehicle.capacity_kwh for vehicle in parameters.vehicles], kind="stable")
    weights = [parameters.vehicles[k].weight for k in by_size]
    takes_kwh = np.array([parameters.vehicles[k].capacity_kwh for k in by_size]) * parameters.soc_target
    if parameters.energy_kwh is not None:
        energy_kwh = parameters.energy_kwh.quantile(u_request, high=parameters.average_kw_max * stay_h)
        too_small = np.searchsorted(takes_kwh, energy_kwh, side="left")
        share_too_small = np.concatenate([[0.0], np.cumsum(weights)])[too_small] / sum(weights)
        picked = np.maximum(pick(weights, u_vehicle, share_too_small), too_small)
        soc_arrival = parameters.soc_target * (1 - energy_kwh / takes_kwh[picked])
    elif parameters.soc_arrival is not None:
        picked = pick(weights, u_vehicle)
        soc_arrival = parameters.soc_arrival.quantile(u_request, high=parameters.soc_target)
        energy_kwh = (takes_kwh / parameters.soc_target)[picked] * (parameters.soc_target - soc_arrival)
    else:
        raise ValueError("give either energy_kwh or soc_arrival")
    return energy_kwh, by_size[picked], soc_arrival
