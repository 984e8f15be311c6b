"""Little's law at connectors and queue; see README.md."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import exp, inf
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy import stats

from evhub.scenarios.files.session_files import read_sessions
from evhub.scenarios.schema.scenario_loader import LIBRARY
from evhub.simulators.arrivals.distributions import Distribution, Mixture
from evhub.simulators.arrivals.session_model import ArrivalParameters, Stay, Vehicle, generate
from evhub.simulators.arrivals.station_model import STATUS, Station, StationParameters, station_plan
from evhub.simulators.units import S_PER_DAY, S_PER_H

EXPECTED = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
CALTECH = LIBRARY / "data" / "caltech_2019-05_2019-08.csv.gz"
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def integrals(station: Station) -> tuple[float, float]:
    """Time integrals [s] of the numbers of taken connectors and of waiting EVs, until nothing happens any more."""
    taken_s = waiting_s = last_s = 0.0
    taken = waiting = 0
    while (t_s := station.peek()) < inf:
        taken_s += taken * (t_s - last_s)
        waiting_s += waiting * (t_s - last_s)
        station.advance(t_s)
        taken, waiting, last_s = np.count_nonzero(station.status != STATUS["available"]), station.waiting, t_s
    return taken_s, waiting_s


def test_real_sessions_at_their_own_connectors():
    start = datetime(2019, 5, 1, tzinfo=LOS_ANGELES)
    sessions = read_sessions(CALTECH, start, 123 * S_PER_DAY, pin_stations=True).sessions
    assert len(sessions) == EXPECTED["sessions"]
    taken_s, waiting_s = integrals(Station(station_plan(StationParameters(54), sessions)))
    assert taken_s / S_PER_H == pytest.approx(EXPECTED["sum_of_stays_h"], rel=1e-9)
    assert taken_s / (123 * S_PER_DAY) == pytest.approx(EXPECTED["mean_number_plugged"], rel=1e-9)
    assert waiting_s == 0.0


def test_queue_of_a_garage_that_is_too_small():
    sessions = read_sessions(CALTECH, datetime(2019, 6, 1, tzinfo=LOS_ANGELES), 30 * S_PER_DAY).sessions
    parameters = StationParameters(12, queue_places=8, patience_s=3 * S_PER_H, plug_in_s=20.0, authentication_s=10.0)
    _, waiting_s = integrals(Station(station_plan(parameters, sessions)))
    begins: dict[int, float] = {}
    waits: list[float] = []
    outcomes = []
    for event in Station(station_plan(parameters, sessions)).advance(inf):
        if event.kind == "queued":
            begins[event.session] = event.t_s
        elif event.kind in ("assigned", "reneged") and event.session in begins:
            waits.append(event.t_s - begins[event.session])
            outcomes.append(event.kind)
    assert outcomes.count("assigned") > 50 and outcomes.count("reneged") > 50
    assert waiting_s == pytest.approx(sum(waits), rel=1e-9)


def test_mean_number_plugged_is_rate_times_mean_stay():
    rate_per_h, s, scale = 4.0, 0.8, 2.0
    lognormal = Distribution("lognorm", {"s": s, "scale": scale}, low=1e-3)
    drivers = ArrivalParameters(
        np.full((7, 24), rate_per_h),
        (Stay(tuple(range(7)), 0, 24, Mixture((1.0,), (lognormal,))),),
        (Vehicle(1.0, 60.0, 11.0),),
        energy_kwh=Distribution("constant", {"value": 1.0}),
    )
    exact = rate_per_h * scale * exp(s * s / 2)
    begin_s, end_s = 3 * S_PER_DAY, 17 * S_PER_DAY
    means = []
    for seed in range(10):
        sessions = generate(drivers, datetime(2024, 1, 1, tzinfo=UTC), end_s, np.random.default_rng(seed))
        station = Station(station_plan(StationParameters(80, queue_places=0), sessions))
        plugged_s, last_s = 0.0, begin_s
        station.advance(begin_s)
        while last_s < end_s:
            t_s = min(station.peek(), end_s)
            plugged_s += np.count_nonzero(station.session >= 0) * (t_s - last_s)
            station.advance(t_s)
            last_s = t_s
        means.append(plugged_s / (end_s - begin_s))
    half_width = stats.t(9).ppf(0.995) * np.std(means, ddof=1) / np.sqrt(10)
    assert half_width < 0.05 * exact
    assert abs(np.mean(means) - exact) < half_width
