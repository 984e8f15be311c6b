"""Forecast models as functions of the real series: persistence, and reality with an error.

A forecast is *made* at one time for later *targets*; the lead is the time between the two.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...simulators.arrivals.session_model import Session
from ...simulators.arrivals.station_model import StationPlan
from ...simulators.series import Series
from ...simulators.units import S_PER_MIN, energy_kwh

NOISE_STEP_S = 5 * S_PER_MIN
"""Length of the steps in which an error over time is held [s]."""
SHORTEST_STAY_S = 15 * S_PER_MIN
"""No misjudged stay is shorter than this, unless the real one is [s]."""


def persistence(series: Series, lag_s: float, t_s: float, from_s: float, until_s: float) -> Series:
    """Forecast a quantity by its value a lag earlier, or as many whole lags as it takes to be in the past.

    That is: what was measured in the last lag, repeated. Before the series begins its first value counts, so on the
    first day of a run a lag of 24 h repeats what was measured so far behind the first value, held.

    Parameters
    ----------
    series : Series
        Reality.
    lag_s : float
        The lag [s], > 0.
    t_s : float
        When the forecast is made [s].
    from_s, until_s : float
        Span that is asked for [s]; the part before `t_s` is reality.

    Returns
    -------
    Series
        The forecast, which covers the span.
    """
    window_s = t_s - lag_s
    begin_s = min(from_s, window_s)
    known_s = series.change_times(max(begin_s, series.start_s), t_s)
    known_s = np.union1d(known_s[known_s < t_s], [begin_s, window_s])
    values = series.sample(np.maximum(known_s, series.start_s))
    rounds = max(0, math.ceil((until_s - t_s) / lag_s))
    last = known_s >= window_s
    again_s = known_s[last] + lag_s * np.arange(1, rounds + 1)[:, None]
    forecast_s = np.concatenate([known_s, again_s.ravel()])
    forecast = np.concatenate([values, *[values[last]] * rounds])
    # rounding can bring the end of one round onto the beginning of the next
    forecast_s, kept = np.unique(forecast_s, return_index=True)
    return Series(forecast_s, forecast[kept], t_s + rounds * lag_s)


def noise(rng: np.random.Generator, until_s: float, correlation_s: float) -> Series:
    """Generate a stationary Gaussian process, mean 0, variance 1, exponentially fading correlation: AR(1).

    Parameters
    ----------
    rng : numpy.random.Generator
        A longer process begins with the numbers of a shorter one.
    until_s : float
        Length of the process [s].
    correlation_s : float
        Time after which the correlation has fallen to 1/e [s], > 0.

    Returns
    -------
    Series
        From 0 to at least `until_s`, in steps of `NOISE_STEP_S`.
    """
    draws = rng.standard_normal(max(1, math.ceil(until_s / NOISE_STEP_S))).tolist()
    kept = math.exp(-NOISE_STEP_S / correlation_s)
    fresh = math.sqrt(1.0 - kept**2)
    values = draws[:1]
    for draw in draws[1:]:
        values.append(kept * values[-1] + fresh * draw)
    return Series(NOISE_STEP_S * np.arange(len(values)), np.array(values), NOISE_STEP_S * len(values))


def noisy(
    series: Series, error: Series, t_s: float, from_s: float, until_s: float, *, std: float, lead_s: float
) -> Series:
    """Forecast reality with a relative error whose standard deviation grows with the square root of the lead.

    The error of one target is always the same draw, on a smaller scale the nearer the target is; so a forecast
    gets better with time and does not jump.

    Parameters
    ----------
    series : Series
        Reality, >= 0.
    error : Series
        Draws over the targets, of mean 0 and variance 1; see `noise`.
    t_s : float
        When the forecast is made [s].
    from_s, until_s : float
        Span that is asked for [s]; the part before `t_s` is reality.
    std : float
        Relative standard deviation at the lead `lead_s`.
    lead_s : float
        That lead [s].

    Returns
    -------
    Series
        The forecast over the span, >= 0: errors below -100 % count as -100 %.
    """
    target_s = np.union1d(series.change_times(from_s, until_s), error.change_times(from_s, until_s))
    spread = std * np.sqrt(np.maximum(target_s - t_s, 0.0) / lead_s)
    factor = np.maximum(1.0 + spread * error.sample(target_s), 0.0)
    real = series.sample(target_s)
    return Series(target_s, real * factor.reshape(-1, *[1] * (real.ndim - 1)), until_s)


def misjudged(
    session: Session,
    rng: np.random.Generator,
    *,
    arrival_std_s: float,
    departure_std_s: float,
    energy_std: float,
    connector_kw: float,
    efficiency: float,
) -> Session:
    """Generate a session with Gaussian errors of its arrival, its departure and its requested energy.

    Parameters
    ----------
    session : Session
        As it comes, with capacity and state of charge.
    rng : numpy.random.Generator
        Of this session alone, so that it is misjudged in one way whatever the others are.
    arrival_std_s, departure_std_s : float
        Standard deviations [s].
    energy_std : float
        Relative standard deviation.
    connector_kw : float
        What a connector gives [kW].
    efficiency : float
        From the connector into the battery.

    Returns
    -------
    Session
        It departs after it arrives; the energy fits into the battery below the same final state of charge, and through
        the connector in the stay.

    Raises
    ------
    ValueError
        If the session has no capacity or no state of charge.
    """
    capacity_kwh, soc = session.capacity_kwh, session.soc_arrival
    if capacity_kwh is None or soc is None:
        raise ValueError(f"session {session.id!r}: needs capacity_kwh and soc_arrival, got {capacity_kwh} and {soc}")
    arrival_draw, departure_draw, energy_draw = rng.standard_normal(3).tolist()
    shortest_s = min(SHORTEST_STAY_S, session.departure_s - session.arrival_s)
    arrival_s = max(session.arrival_s + arrival_std_s * arrival_draw, 0.0)
    departure_s = max(session.departure_s + departure_std_s * departure_draw, arrival_s + shortest_s)
    target = min(soc + session.energy_kwh * efficiency / capacity_kwh, 1.0)
    asked_kwh = max(session.energy_kwh * (1.0 + energy_std * energy_draw), 0.0)
    through_kwh = energy_kwh(min(session.p_max_kw, connector_kw), departure_s - arrival_s)
    asked_kwh = min(asked_kwh, through_kwh, target * capacity_kwh / efficiency)
    return replace(
        session,
        arrival_s=arrival_s,
        departure_s=departure_s,
        energy_kwh=asked_kwh,
        soc_arrival=max(target - asked_kwh * efficiency / capacity_kwh, 0.0),
    )


def plugged(plan: StationPlan) -> list[Session]:
    """Find when EVs really plug in and leave, after waiting for a connector and with all faults.

    Parameters
    ----------
    plan : StationPlan
        Who comes to which station.

    Returns
    -------
    list of Session
        Those that do plug in, in that order, with these times as arrival and departure.
    """
    plug_s, leave_s = {}, {}
    for event in plan.events:
        if event.kind == "authenticated":
            plug_s[event.session] = event.t_s
        elif event.kind == "departed":
            leave_s[event.session] = event.t_s
    return [replace(plan.sessions[k], arrival_s=t_s, departure_s=leave_s[k]) for k, t_s in plug_s.items()]
