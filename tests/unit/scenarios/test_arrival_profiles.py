"""Arrival profiles: the format, and that `workplace` is what its file says, a fit to the Caltech sessions."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from scipy import stats

from evhub.scenarios.errors import InputError
from evhub.scenarios.files.arrival_profiles import arrival_profiles, read_arrivals
from evhub.scenarios.files.session_files import read_sessions
from evhub.scenarios.schema.scenario_loader import LIBRARY
from evhub.simulators.arrivals.session_model import generate
from evhub.simulators.units import S_PER_DAY, S_PER_H

CALTECH = LIBRARY / "data" / "caltech_2019-05_2019-08.csv.gz"
FIRST = datetime(2019, 5, 1, tzinfo=ZoneInfo("America/Los_Angeles"))
N_DAYS, N_WEEKDAYS, N_WEEKENDS = 123, 88, 35


@dataclass(frozen=True)
class Garage:
    """The real sessions as arrays."""

    weekday: np.ndarray
    hour: np.ndarray
    stay_h: np.ndarray
    delivered_kwh: np.ndarray
    announced: np.ndarray


@cache
def garage() -> Garage:
    sessions = read_sessions(CALTECH, FIRST, N_DAYS * S_PER_DAY, energy="delivered").sessions
    arrival_s = np.array([session.arrival_s for session in sessions])
    stay_s = np.array([session.departure_s for session in sessions]) - arrival_s
    # no clock change falls in the period
    return Garage(
        weekday=(FIRST.weekday() + arrival_s // S_PER_DAY).astype(int) % 7,
        hour=(arrival_s % S_PER_DAY // S_PER_H).astype(int),
        stay_h=stay_s / S_PER_H,
        delivered_kwh=np.array([session.energy_kwh for session in sessions]),
        announced=np.array([session.departure_estimate_s or np.nan for session in sessions]) - arrival_s,
    )


def workplace() -> dict:
    return yaml.safe_load(arrival_profiles()["workplace"].read_text(encoding="utf-8"))


def log_likelihood(family: str, shape: dict, low, high, values: np.ndarray) -> np.ndarray:
    """Of a truncated distribution, by scipy itself."""
    frozen = getattr(stats, family)(**shape)
    return frozen.logpdf(values) - np.log(frozen.cdf(high) - frozen.cdf(low))


def is_best(score, parameters: list[float], tolerance: float) -> bool:
    """Whether no parameter moved by 3 % either way does better than by the tolerance."""
    best = score(parameters)
    moved = [
        [p * (1 + s * (k == i)) for k, p in enumerate(parameters)]
        for i in range(len(parameters))
        for s in (-0.03, 0.03)
    ]
    return all(score(other) < best + tolerance for other in moved)


def test_workplace_rates_are_the_counts_of_the_garage_per_day():
    data, rates = garage(), workplace()["arrivals_per_h"]
    weekend = data.weekday >= 5
    for row, chosen, days in (("weekday", ~weekend, N_WEEKDAYS), ("weekend", weekend, N_WEEKENDS)):
        counts = np.bincount(data.hour[chosen], minlength=24)
        np.testing.assert_allclose(rates[row], counts / days, atol=5e-4)


# distances between the cumulative distributions that the profile states, by first hour and days
STATED = {("weekday", 5): 0.10, ("weekday", 8): 0.03, ("weekday", 11): 0.04, ("weekday", 14): 0.06} | {
    ("weekend", 5): 0.05,
    ("every", 20): 0.07,
}


@pytest.mark.parametrize("group", workplace()["stay_h"], ids=lambda group: f"{group['days']}-{group['from_h']}")
def test_workplace_stays_are_the_most_likely_ones_and_as_close_as_stated(group):
    data = garage()
    days = {"weekday": range(5), "weekend": (5, 6), "every": range(7)}[group["days"]]
    hours = np.arange(group["from_h"], group["to_h"] + 24 * (group["to_h"] < group["from_h"])) % 24
    stays = data.stay_h[np.isin(data.weekday, list(days)) & np.isin(data.hour, hours)]
    stays = stays[stays <= 48]
    short, long = group["mixture"]
    chosen = [short["weight"], short["s"], short["scale"], long["s"], long["scale"]]

    def score(parameters):
        weight, s1, scale1, s2, scale2 = parameters
        first = np.exp(log_likelihood("lognorm", {"s": s1, "scale": scale1}, 0.08, 48, stays))
        second = np.exp(log_likelihood("lognorm", {"s": s2, "scale": scale2}, 0.08, 48, stays))
        return np.log(weight * first + (1 - weight) * second).sum()

    def cumulative(values):
        total = 0.0
        for part in (short, long):
            family = stats.lognorm(part["s"], scale=part["scale"])
            below, above = family.cdf(0.08), family.cdf(48)
            total += part["weight"] * (family.cdf(values) - below) / (above - below)
        return total

    assert is_best(score, chosen, tolerance=0.05)
    assert stats.kstest(stays, cumulative).statistic < STATED[group["days"], group["from_h"]] + 0.005


def test_workplace_energy_is_the_most_likely_one():
    data, given = garage(), workplace()["energy_kwh"]
    registered = ~np.isnan(data.announced)
    values = data.delivered_kwh[registered]
    high = np.minimum(given["high"], workplace()["average_kw_max"] * data.stay_h[registered])
    assert len(values) == 3021 and np.all(values <= high)

    def score(parameters):
        shape = {"s": parameters[0], "scale": parameters[1]}
        return log_likelihood("lognorm", shape, given["low"], high, values).sum()

    assert is_best(score, [given["s"], given["scale"]], tolerance=0.05)


def test_workplace_announcements_are_the_most_likely_ones():
    data, given = garage(), workplace()["announcement"]
    ratio = data.announced / S_PER_H / data.stay_h
    assert given["share"] == pytest.approx(np.mean(~np.isnan(ratio)), abs=5e-4)
    factor = given["factor"]
    inside = ratio[(ratio > factor["low"]) & (ratio < factor["high"])]
    assert len(inside) == 2967

    def score(parameters):
        shape = {"c": parameters[0], "scale": parameters[1]}
        return log_likelihood("fisk", shape, factor["low"], factor["high"], inside).sum()

    assert is_best(score, [factor["c"], factor["scale"]], tolerance=0.05)


def test_sessions_drawn_from_workplace_look_like_the_garage():
    """Ten times the period: means within 5 %, number of plugged EVs at noon on weekdays too."""
    data = garage()
    sessions = generate(
        read_arrivals("workplace", "ac").scaled(10.0), FIRST, N_DAYS * S_PER_DAY, np.random.default_rng(1)
    )
    arrival_s = np.array([session.arrival_s for session in sessions])
    departure_s = np.array([session.departure_s for session in sessions])
    assert len(sessions) / 10 == pytest.approx(3527, rel=0.02)
    assert np.mean(departure_s - arrival_s) / S_PER_H == pytest.approx(data.stay_h[data.stay_h <= 48].mean(), rel=0.05)
    registered = ~np.isnan(data.announced)
    energy_kwh = np.mean([session.energy_kwh for session in sessions])
    assert energy_kwh == pytest.approx(data.delivered_kwh[registered].mean(), rel=0.05)

    real = read_sessions(CALTECH, FIRST, N_DAYS * S_PER_DAY).sessions
    noons = np.array([day * S_PER_DAY + 12 * S_PER_H for day in range(N_DAYS) if (FIRST.weekday() + day) % 7 < 5])
    real_noon = np.mean([sum(session.arrival_s <= noon < session.departure_s for session in real) for noon in noons])
    drawn_noon = np.mean([np.count_nonzero((arrival_s <= noon) & (noon < departure_s)) for noon in noons]) / 10
    assert drawn_noon == pytest.approx(real_noon, rel=0.05)


@pytest.mark.parametrize("name", arrival_profiles())
@pytest.mark.parametrize("current", ["ac", "dc"])
def test_shipped_profiles_can_be_drawn(name, current):
    sessions = generate(read_arrivals(name, current), FIRST, 7 * S_PER_DAY, np.random.default_rng(1))
    assert len(sessions) > 100


def test_shipped_profiles_say_where_they_come_from():
    assert "ASSUMED throughout" in yaml.safe_load(arrival_profiles()["public"].read_text(encoding="utf-8"))["source"]
    assert "10.1145/3307772.3328313" in workplace()["source"]


def test_evs_that_cannot_charge_with_direct_current_do_not_come():
    ac, dc = read_arrivals("workplace", "ac"), read_arrivals("workplace", "dc")
    assert [kind.capacity_kwh for kind in dc.vehicles] == [40, 60, 75]
    assert [kind.p_max_kw for kind in dc.vehicles] == [46, 50, 150]
    assert sum(kind.weight for kind in dc.vehicles) == pytest.approx(1.0)
    ratio = dc.vehicles[2].weight / dc.vehicles[0].weight
    assert ratio == pytest.approx(ac.vehicles[4].weight / ac.vehicles[2].weight)


def profile(tmp_path, change) -> str:
    data = deepcopy(workplace())
    change(data)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return str(path)


def test_a_profile_that_is_written_anew_is_read_anew(tmp_path):
    for rate in (0.25, 0.5):
        path = profile(tmp_path, lambda data, rate=rate: data["arrivals_per_h"].update(friday=[rate] * 24))
        np.testing.assert_array_equal(read_arrivals(path, "ac").arrivals_per_h[4], rate)


def test_a_row_of_its_own_goes_before_weekday(tmp_path):
    path = profile(tmp_path, lambda data: data["arrivals_per_h"].update(friday=[0.5] * 24))
    rates = read_arrivals(path, "ac").arrivals_per_h
    np.testing.assert_array_equal(rates[4], 0.5)
    assert rates[3, 8] == 6.83


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda d: d["energy_kwh"].update(type="lognormal"),
            "energy_kwh: distribution must be constant or a",
        ),
        (lambda d: d["energy_kwh"].update(sigma=1.0), "energy_kwh: .*sigma"),
        (lambda d: d["energy_kwh"].update(s="wide"), "energy_kwh: s: must be a number, got 'wide'"),
        (lambda d: d["energy_kwh"].update(high=90), r"energy_kwh: bounds must be from 0 to 67\.5"),
        (
            lambda d: d["stay_h"][0]["mixture"][0].update(weight=0.9),
            r"stay_h\[0\]: mixture: weights must be",
        ),
        (lambda d: d["stay_h"].pop(0), "stays: must cover every hour that has arrivals, got none for day 0, hour 5"),
        (lambda d: d["arrivals_per_h"].pop("weekend"), "arrivals_per_h: must have a row for saturday"),
        (lambda d: d["vehicles"][0].update(weight=0.5), "vehicles: weights must be >= 0 and add up to 1"),
        (lambda d: d["vehicles"][0].update(ac_kw=-3), r"vehicles\[0\]\.ac_kw: must be > 0, got -3"),
        (lambda d: d.update(colour="red"), "colour: is not a key that is known here"),
        (lambda d: d["arrivals_per_h"]["weekday"].pop(), r"arrivals_per_h\.weekday: must have at least 24"),
        (lambda d: d["stay_h"][0].update(from_h=25), r"stay_h\[0\]\.from_h: must be <= 23, got 25"),
    ],
)
def test_a_bad_profile_is_refused_with_its_key(tmp_path, change, complaint):
    with pytest.raises(InputError, match=complaint):
        read_arrivals(profile(tmp_path, change), "ac")


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="profile: must be a YAML file or one of public, workplace, got 'motorway'"):
        read_arrivals("motorway", "ac")
