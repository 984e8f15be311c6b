"""Sessions, the distributions they are drawn from, and the Poisson process of arrivals."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evhub.simulators.arrivals.distributions import Distribution, Mixture, pick
from evhub.simulators.arrivals.session_model import (
    ArrivalParameters,
    Session,
    Stay,
    Vehicle,
    arrivals,
    generate,
    violations,
)
from evhub.simulators.units import S_PER_DAY, S_PER_H

from ....helpers.sizes import examples

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2024, 6, 3, tzinfo=BERLIN)
WEEK_S = 7 * S_PER_DAY
NO_STAY = Mixture((1.0,), (Distribution("constant", {"value": 1.0}),))


def always(stay_h: Mixture = NO_STAY) -> tuple[Stay, ...]:
    return (Stay(tuple(range(7)), 0, 24, stay_h),)


def parameters(**changes) -> ArrivalParameters:
    lognormal = Distribution("lognorm", {"s": 0.6, "scale": 2.0}, low=0.1, high=20)
    given = dict(
        arrivals_per_h=np.full((7, 24), 3.0),
        stays=always(Mixture((1.0,), (lognormal,))),
        vehicles=(Vehicle(0.5, 20.0, 3.7, 1), Vehicle(0.3, 50.0, 11.0), Vehicle(0.2, 80.0, 11.0)),
        energy_kwh=Distribution("gamma", {"a": 1.5, "scale": 10.0}, low=1, high=60),
        soc_target=0.9,
        average_kw_max=11.0,
    )
    return ArrivalParameters(**given | changes)


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("id", "", "must be text"),
        ("arrival_s", -1.0, "must be finite and >= 0"),
        ("arrival_s", float("nan"), "must be finite and >= 0"),
        ("departure_s", float("inf"), "must be finite"),
        ("departure_s", 100.0, "must be after the arrival at 100"),
        ("energy_kwh", -0.1, "must be finite and >= 0"),
        ("energy_kwh", float("inf"), "must be finite and >= 0"),
        ("energy_kwh", "8", "must be finite and >= 0"),
        ("connector", -1, "must be a whole number >= 0"),
        ("connector", 0.5, "must be a whole number >= 0"),
        ("p_max_kw", 0.0, "must be > 0"),
        ("capacity_kwh", 0.0, "must be finite and > 0"),
        ("soc_arrival", 1.01, "must be from 0 to 1"),
        ("soc_target", -0.01, "must be from 0 to 1"),
        ("soc_v2g_min", float("nan"), "must be from 0 to 1"),
        ("n_phases", 4, "must be 1, 2 or 3"),
        ("departure_estimate_s", float("nan"), "must be finite"),
        ("priority", float("inf"), "must be finite"),
    ],
)
def test_session_refuses_a_value_out_of_range_and_says_which(field, value, allowed):
    good = Session("a", 100.0, 200.0, 8.0)
    with pytest.raises(ValueError, match=f"session '.*': {field} {allowed}.*, got"):
        replace(good, **{field: value})


def test_session_names_all_that_is_wrong():
    with pytest.raises(ValueError, match=r"energy_kwh .*got -1; .*soc_arrival .*got 2; .*departure_s .*got 5"):
        Session("a", 10, 5, -1, soc_arrival=2)


def test_session_refuses_a_misspelt_field():
    session = Session("a", 0.0, 1.0, 1.0)
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        session.energy = 3.0  # pyright: ignore[reportAttributeAccessIssue]


def test_violations_checks_only_what_is_given():
    assert violations({"energy_kwh": 3.0, "capacity_kwh": None, "unknown": "x"}) == []
    assert violations({"departure_s": 5.0}) == []
    assert violations({"energy_kwh": None}) == [("energy_kwh", None, "must be finite and >= 0")]


# --- distributions ----------------------------------------------------------------------------------------------------


def test_quantiles_of_a_truncated_normal_are_those_of_truncnorm():
    u = np.linspace(0.001, 0.999, 97)
    ours = Distribution("norm", {"loc": 8.0, "scale": 2.0}, low=5.0, high=9.0).quantile(u)
    np.testing.assert_allclose(ours, stats.truncnorm(-1.5, 0.5, loc=8.0, scale=2.0).ppf(u), rtol=1e-9)


def test_quantile_obeys_a_tighter_bound_of_each_value():
    distribution = Distribution("expon", {"scale": 10.0}, low=1.0)
    u, high = np.array([0.5, 0.999999, 0.5]), np.array([np.inf, 3.0, 0.4])
    values = distribution.quantile(u, high)
    assert values[0] == pytest.approx(1 - 10 * np.log(0.5))
    assert 2.99 < values[1] <= 3.0
    assert values[2] == 0.4  # below low: the bound is the value


def test_constant_is_constant():
    distribution = Distribution("constant", {"value": 3.0})
    np.testing.assert_array_equal(distribution.quantile(np.array([0.0, 0.9])), [3.0, 3.0])
    assert distribution.low == distribution.high == 3.0


@pytest.mark.parametrize(
    ("name", "given", "bounds", "message"),
    [
        ("lognormal", {"s": 1.0}, {}, "one of scipy.stats, got 'lognormal'"),
        ("poisson", {"mu": 1.0}, {}, "continuous one of scipy.stats, got 'poisson'"),
        ("lognorm", {"sigma": 1.0}, {}, "sigma"),
        ("lognorm", {"s": -1.0}, {}, "parameters must be in its range, got {'s': -1.0}"),
        ("lognorm", {"s": 1.0}, {"low": 3.0, "high": 3.0}, "some probability from low=3 to high=3"),
        ("uniform", {}, {"low": 2.0}, "some probability from low=2"),
        ("constant", {"scale": 1.0}, {}, "needs one finite parameter, value"),
    ],
)
def test_distribution_refuses_what_cannot_be_drawn(name, given, bounds, message):
    with pytest.raises(ValueError, match=message):
        Distribution(name, given, **bounds)


def test_mixture_takes_each_part_with_its_weight():
    parts = (Distribution("constant", {"value": 1.0}), Distribution("constant", {"value": 2.0}))
    u = np.column_stack([(np.arange(1000) + 0.5) / 1000, np.full(1000, 0.5)])
    values = Mixture((0.3, 0.7), parts).sample(u)
    assert np.count_nonzero(values == 1.0) == 300


@pytest.mark.parametrize("weights", [(0.5, 0.4), (1.2, -0.2), (), (1.0,)])
def test_mixture_refuses_weights_that_are_no_probabilities(weights):
    parts = (Distribution("constant", {"value": 1.0}), Distribution("constant", {"value": 2.0}))
    with pytest.raises(ValueError, match="weight"):
        Mixture(weights, parts)


def test_pick_above_a_share_keeps_the_ratios_of_the_rest():
    u = (np.arange(6000) + 0.5) / 6000
    counts = np.bincount(pick([0.4, 0.2, 0.4], u, from_share=0.4), minlength=3)
    np.testing.assert_array_equal(counts, [0, 2000, 4000])


# --- arrivals ---------------------------------------------------------------------------------------------------------


def test_number_of_arrivals_in_each_hour_is_poisson_with_its_rate():
    """300 weeks of a table in which every hour has another rate: a chi-square test of means, another of variances."""
    weeks, table = 300, np.linspace(0.2, 4.0, 168).reshape(7, 24)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    t_s, day, hour = arrivals(table, start, weeks * WEEK_S, np.random.default_rng(3))
    week = (t_s // WEEK_S).astype(int)
    counts = np.zeros((weeks, 7, 24))
    np.add.at(counts, (week, day, hour), 1)

    expected = weeks * table
    of_means = ((counts.sum(axis=0) - expected) ** 2 / expected).sum()
    assert 0.001 < stats.chi2(168).cdf(of_means) < 0.999
    # sum of (n - mean)^2 / mean is chi-square with weeks - 1 degrees for a Poisson variable
    of_variances = ((counts - counts.mean(axis=0)) ** 2 / counts.mean(axis=0)).sum()
    degrees = 168 * (weeks - 1)
    assert abs(of_variances - degrees) < 3.3 * np.sqrt(2 * degrees)


def test_gaps_at_a_constant_rate_are_exponential():
    t_s, _, _ = arrivals(np.full((7, 24), 5.0), MONDAY, 20 * WEEK_S, np.random.default_rng(5))
    assert stats.kstest(np.diff(t_s), stats.expon(scale=S_PER_H / 5.0).cdf).pvalue > 0.001


def test_nobody_arrives_in_hours_without_arrivals():
    table = np.zeros((7, 24))
    assert arrivals(table, MONDAY, WEEK_S, np.random.default_rng(1))[0].size == 0
    table[2, 9] = 50.0
    t_s, day, hour = arrivals(table, MONDAY, WEEK_S, np.random.default_rng(1))
    assert t_s.size > 20
    assert set(day) == {2} and set(hour) == {9}
    assert np.all((t_s >= 2 * S_PER_DAY + 9 * S_PER_H) & (t_s < 2 * S_PER_DAY + 10 * S_PER_H))


@pytest.mark.parametrize(("date", "hours_at_two"), [((2024, 3, 31), 0), ((2024, 10, 27), 2), ((2024, 6, 30), 1)])
def test_clock_change_removes_or_doubles_the_hour_after_two(date, hours_at_two):
    table = np.zeros((7, 24))
    table[:, 2] = 1000.0
    t_s, _, _ = arrivals(table, datetime(*date, tzinfo=BERLIN), 12 * S_PER_H, np.random.default_rng(2))
    assert t_s.size == pytest.approx(1000 * hours_at_two, rel=0.1)
    if hours_at_two:
        assert t_s[0] >= 2 * S_PER_H and t_s[-1] < (2 + hours_at_two) * S_PER_H


@settings(max_examples=examples(60))
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    hours=st.integers(0, 365 * 24),
    minutes=st.integers(0, 59),
    duration_s=st.floats(1.0, 4 * S_PER_DAY),
    seed=st.integers(0, 1000),
)
def test_day_and_hour_of_an_arrival_are_those_of_the_local_clock(zone, hours, minutes, duration_s, seed):
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours, minutes=minutes)
    local = start.astimezone(ZoneInfo(zone))
    t_s, day, hour = arrivals(np.full((7, 24), 2.0), local, duration_s, np.random.default_rng(seed))
    assert np.all((t_s >= 0) & (t_s < duration_s)) and np.all(np.diff(t_s) >= 0)
    for k, at_s in enumerate(t_s):
        clock = (start + timedelta(seconds=float(at_s))).astimezone(ZoneInfo(zone))
        # datetime rounds to microseconds, so an arrival just before the hour may show as the next one
        if clock.minute or clock.second or clock.microsecond:
            assert (clock.weekday(), clock.hour) == (day[k], hour[k])


def test_a_fixed_offset_is_a_clock_without_daylight_saving_time():
    table = np.zeros((7, 24))
    table[:, 2] = 500.0
    start = datetime.fromisoformat("2024-03-31T00:00:00+01:00")
    assert arrivals(table, start, 12 * S_PER_H, np.random.default_rng(2))[0].size > 400


@pytest.mark.parametrize(
    ("start", "duration_s", "message"),
    [(datetime(2024, 1, 1), 60.0, "time zone"), (MONDAY, 0.0, "> 0, got 0"), (MONDAY, np.inf, "finite")],
)
def test_arrivals_refuse_a_period_without_zone_or_end(start, duration_s, message):
    with pytest.raises(ValueError, match=message):
        arrivals(np.ones((7, 24)), start, duration_s, np.random.default_rng(0))


# --- generator --------------------------------------------------------------------------------------------------------


def test_same_seed_same_sessions_and_another_seed_others():
    assert generate(parameters(), MONDAY, WEEK_S, np.random.default_rng(4)) == generate(
        parameters(), MONDAY, WEEK_S, np.random.default_rng(4)
    )
    assert generate(parameters(), MONDAY, WEEK_S, np.random.default_rng(4)) != generate(
        parameters(), MONDAY, WEEK_S, np.random.default_rng(5)
    )


def test_a_longer_period_begins_with_the_sessions_of_a_shorter_one():
    short = generate(parameters(), MONDAY, 2 * S_PER_DAY, np.random.default_rng(4))
    long = generate(parameters(), MONDAY, 5 * S_PER_DAY, np.random.default_rng(4))
    assert len(long) > len(short) > 100
    assert long[: len(short)] == short


def column(sessions: list[Session], name: str) -> list:
    return [getattr(session, name) for session in sessions]


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"stays": always(Mixture((1.0,), (Distribution("expon", {"scale": 9.0}, low=6.0),)))}, {"departure_s"}),
        ({"energy_kwh": Distribution("gamma", {"a": 3.0, "scale": 2.0}, low=0, high=18.0)}, {"energy_kwh"}),
        ({"estimate_factor": Distribution("lognorm", {"s": 0.5})}, {"departure_estimate_s"}),
        ({"announced_share": 0.5}, {"departure_estimate_s"}),
        ({"v2g_share": 0.5}, {"v2g"}),
    ],
)
def test_changing_one_attribute_leaves_arrivals_and_other_draws(changes, changed):
    base = parameters(average_kw_max=1e6)
    before = generate(base, MONDAY, WEEK_S, np.random.default_rng(8))
    after = generate(replace(base, **changes), MONDAY, WEEK_S, np.random.default_rng(8))
    for name in ("arrival_s", "departure_s", "energy_kwh", "v2g", "departure_estimate_s"):
        follows = name == "departure_estimate_s" and "departure_s" in changed
        assert (column(before, name) != column(after, name)) == (name in changed or follows), name


def test_requests_fit_battery_and_stay():
    sessions = generate(parameters(), MONDAY, 4 * WEEK_S, np.random.default_rng(6))
    for session in sessions:
        stay_h = (session.departure_s - session.arrival_s) / S_PER_H
        assert session.energy_kwh <= 11.0 * stay_h * (1 + 1e-9)
        assert session.capacity_kwh is not None and session.soc_arrival is not None and session.soc_target is not None
        gained = session.energy_kwh / session.capacity_kwh
        assert session.soc_arrival + gained == pytest.approx(session.soc_target, abs=1e-12)
    sizes = np.array(column(sessions, "capacity_kwh"))
    energies = np.array(column(sessions, "energy_kwh"))
    # those who ask for little come in all kinds, with the given weights; those who ask for much only in big ones
    little = sizes[energies < 18.0]
    assert np.mean(little == 20.0) == pytest.approx(0.5, abs=0.05)
    assert np.mean(sizes[(energies > 18.0) & (energies < 45.0)] == 50.0) == pytest.approx(0.6, abs=0.06)


def test_vehicles_in_any_order_give_the_same_sessions():
    kinds = parameters().vehicles
    shuffled = generate(parameters(vehicles=kinds[::-1]), MONDAY, WEEK_S, np.random.default_rng(6))
    assert shuffled == generate(parameters(), MONDAY, WEEK_S, np.random.default_rng(6))


def test_a_state_of_charge_on_arrival_decides_the_energy():
    given = parameters(energy_kwh=None, soc_arrival=Distribution("beta", {"a": 2.0, "b": 3.0}, low=0.1), soc_target=0.8)
    sessions = generate(given, MONDAY, 4 * WEEK_S, np.random.default_rng(6))
    for session in sessions:
        assert session.capacity_kwh is not None and session.soc_arrival is not None
        assert 0.1 <= session.soc_arrival <= 0.8
        assert session.energy_kwh == pytest.approx(session.capacity_kwh * (0.8 - session.soc_arrival))
    assert np.mean(np.array(column(sessions, "capacity_kwh")) == 80.0) == pytest.approx(0.2, abs=0.04)


def test_shares_of_announcing_and_v2g_drivers():
    given = parameters(announced_share=0.7, v2g_share=0.2, soc_v2g_min=0.3)
    sessions = generate(given, MONDAY, 8 * WEEK_S, np.random.default_rng(6))
    announced = [session for session in sessions if session.departure_estimate_s is not None]
    assert len(announced) / len(sessions) == pytest.approx(0.7, abs=0.03)
    assert all(session.departure_estimate_s == session.departure_s for session in announced)
    assert np.mean(column(sessions, "v2g")) == pytest.approx(0.2, abs=0.03)
    assert set(column(sessions, "soc_v2g_min")) == {0.3}


def test_scaled_multiplies_the_rate_only():
    base = parameters()
    assert len(generate(base.scaled(3.0), MONDAY, 4 * WEEK_S, np.random.default_rng(1))) == pytest.approx(
        3 * len(generate(base, MONDAY, 4 * WEEK_S, np.random.default_rng(1))), rel=0.08
    )
    assert base.scaled(3.0).vehicles is base.vehicles


def test_stay_over_midnight_belongs_to_the_hours_on_both_sides():
    one, nine = (Mixture((1.0,), (Distribution("constant", {"value": h}),)) for h in (1.0, 9.0))
    days = tuple(range(7))
    given = parameters(stays=(Stay(days, 20, 5, nine), Stay(days, 5, 20, one)))
    for session in generate(given, MONDAY, WEEK_S, np.random.default_rng(1)):
        hour = (session.arrival_s % S_PER_DAY) // S_PER_H
        stay_h = (session.departure_s - session.arrival_s) / S_PER_H
        assert stay_h == pytest.approx(1.0 if 5 <= hour < 20 else 9.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrivals_per_h": np.ones((24, 7))}, r"7 x 24 .* got shape \(24, 7\)"),
        ({"arrivals_per_h": np.full((7, 24), -1.0)}, "7 x 24 finite numbers >= 0.*-1.0"),
        ({"stays": (Stay((0, 1), 0, 24, NO_STAY),)}, "got none for day 2, hour 0"),
        ({"stays": (*always(), Stay((3,), 9, 10, NO_STAY))}, "must not overlap, got two for hours 9 to 10"),
        ({"soc_arrival": Distribution("uniform", {})}, "either energy_kwh or soc_arrival"),
        ({"energy_kwh": None}, "either energy_kwh or soc_arrival"),
        ({"energy_kwh": Distribution("expon", {})}, "bounds must be from 0 to 72.*high=inf"),
        ({"vehicles": (Vehicle(0.5, 20.0, 3.7),)}, "vehicles: weights must be >= 0 and add up to 1"),
        ({"v2g_share": 1.5}, "v2g_share: must be from 0 to 1, got 1.5"),
        ({"average_kw_max": 0.0}, "average_kw_max: must be > 0, got 0"),
    ],
)
def test_parameters_that_cannot_be_drawn_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parameters(**changes)
