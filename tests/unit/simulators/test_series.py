"""Step-held series: what holds when, when it changes, and what is refused."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from evhub.simulators.series import Series, by_clock, combine
from evhub.simulators.units import S_PER_DAY, S_PER_H

STEPS = Series(np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 2.0, 2.0, 5.0]), end_s=40.0)

points = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), min_size=1, max_size=12, unique_by=lambda p: p[0])


@st.composite
def any_series(draw):
    rows = sorted(draw(points))
    t_s = [float(t) for t, _ in rows]
    end_s = t_s[-1] + draw(st.integers(1, 50))
    return Series(np.array(t_s), np.array([float(v) for _, v in rows]), end_s, draw(st.booleans()))


def test_value_holds_from_its_time_until_the_next():
    assert [STEPS.at(t) for t in (0, 9.999, 10, 29.9, 30, 39.9)] == [1, 1, 2, 2, 5, 5]


def test_next_change_skips_points_that_repeat_the_value():
    assert [STEPS.next_change(t) for t in (0, 9, 10, 20, 29)] == [10, 10, 30, 30, 30]


def test_no_change_is_left_after_the_last():
    assert STEPS.next_change(30) == math.inf


@given(any_series(), st.integers(-300, 600))
def test_next_change_agrees_with_looking_at_every_second(series, t_s):
    horizon = 600
    if not series.covers(t_s, t_s + 1):
        with pytest.raises(ValueError, match=r"series covers .*, asked for"):
            series.next_change(t_s)
        return
    expected = math.inf
    for later in range(t_s + 1, t_s + horizon):
        if not series.covers(later, later + 1):
            break
        if series.at(later) != series.at(t_s):
            expected = later
            break
    assert series.next_change(t_s) == expected


@given(any_series(), st.integers(-300, 300), st.integers(1, 300))
def test_change_times_are_exactly_the_changes(series, from_s, length_s):
    if not series.covers(from_s, from_s + length_s):
        return
    seconds = np.arange(from_s, from_s + length_s, dtype=float)
    values = np.array([series.at(t) for t in seconds])
    expected = np.concatenate([[from_s], seconds[1:][values[1:] != values[:-1]]])
    np.testing.assert_array_equal(series.change_times(from_s, from_s + length_s), expected)
    np.testing.assert_array_equal(series.sample(seconds), values)


@given(any_series(), st.lists(st.integers(-100, 300), min_size=2, max_size=8, unique=True))
def test_means_agree_with_the_sum_over_seconds(series, edges):
    edges = sorted(edges)
    if not series.covers(edges[0], edges[-1]):
        return
    expected = [np.mean([series.at(t) for t in range(a, b)]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(series.means(np.array(edges)), expected, atol=1e-12)


@given(st.floats(0.1, 1e5), st.lists(st.integers(0, 998), min_size=2, max_size=4, unique=True), st.floats(-1e6, 1e6))
def test_a_repeating_series_has_its_new_value_exactly_at_the_change(period_s, parts, t_s):
    """Rounding in the modulo must neither freeze time nor show the old value at the time of the change."""
    times = np.array(sorted(parts)) / 999 * period_s
    series = Series(times, np.arange(len(times), dtype=float), times[0] + period_s, repeats=True)
    for _ in range(10):
        change = series.next_change(t_s)
        assert change > t_s
        assert series.at(change) != series.at(t_s)
        t_s = change


@pytest.mark.parametrize("t_s", [-0.001, 40.0, 1e9])
def test_a_time_outside_is_refused_with_both_spans(t_s):
    for ask in (STEPS.at, STEPS.next_change, lambda t: STEPS.sample(np.array([5.0, t]))):
        with pytest.raises(ValueError, match=r"series covers 0 s\.\.40 s, asked for"):
            ask(t_s)


def test_a_span_outside_is_refused_with_both_spans():
    with pytest.raises(ValueError, match=r"series covers 0 s\.\.40 s, asked for 35 s\.\.45 s"):
        STEPS.mean(35, 45)


def test_covers_is_half_open():
    assert STEPS.covers(0, 40)
    assert not STEPS.covers(0, 40.001)
    assert not STEPS.covers(-1, 10)


@pytest.mark.parametrize(
    ("t_s", "values", "end_s", "match"),
    [
        ([], [], 1, "at least one point"),
        ([0, 0], [1, 2], 5, "increase strictly, got 0 s after 0 s"),
        ([0, 5, 3], [1, 2, 3], 9, "increase strictly, got 3 s after 5 s"),
        ([0, 1], [1, math.nan], 5, "values must be finite, got nan at point 1"),
        ([0, math.inf], [1, 2], 5, "times must be finite, got inf"),
        ([0, 5], [1, 2], 5, "end must be after the last point at 5 s, got 5"),
        ([0, 5], [1, 2, 3], 9, r"shapes \(2,\) and \(3,\)"),
    ],
)
def test_what_is_not_a_series_is_refused(t_s, values, end_s, match):
    with pytest.raises(ValueError, match=match):
        Series(np.array(t_s, dtype=float), np.array(values, dtype=float), end_s)


def test_a_repeating_series_needs_an_end():
    with pytest.raises(ValueError, match="needs a finite end"):
        Series(np.array([0.0]), np.array([1.0]), math.inf, repeats=True)


def test_columns_change_when_any_of_them_does():
    series = Series(np.array([0.0, 10, 20]), np.array([[1.0, 1], [1, 1], [1, 2]]), 30)
    assert series.next_change(0) == 20
    np.testing.assert_array_equal(series.at(25), [1, 2])
    np.testing.assert_allclose(series.mean(10, 30), [1, 1.5])


def test_values_cannot_be_changed_from_outside():
    t_s, values = np.array([0.0, 10.0]), np.array([[1.0], [2.0]])
    series = Series(t_s, values, 20)
    values[0] = 99
    assert series.at(0)[0] == 1
    for array in (series.at(0), series.values, series.t_s):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_constant_never_changes():
    series = Series.constant(3.5)
    assert series.at(-1e9) == series.at(1e9) == 3.5
    assert series.next_change(0) == math.inf
    assert series.covers(-math.inf, math.inf)


def test_daily_points_repeat_in_both_directions():
    series = Series.from_points([(0, 1), (6 * S_PER_H, 2), (22 * S_PER_H, 1)], period_s=S_PER_DAY)
    assert series.at(3 * S_PER_DAY + 7 * S_PER_H) == 2
    assert series.at(-1) == 1
    # 22 h and the midnight after it have the same value, so the next change is at six
    assert series.next_change(22 * S_PER_H) == S_PER_DAY + 6 * S_PER_H


def test_points_after_the_end_are_left_out():
    series = Series.from_points([(0, 900), (240, 100), (480, 900)], end_s=480)
    assert series.next_change(240) == math.inf
    assert series.at(479) == 100


def test_points_beyond_their_period_are_refused():
    with pytest.raises(ValueError, match=r"within one period of 10 s, got 12 s"):
        Series.from_points([(0, 1), (12, 2)], period_s=10)


@pytest.mark.parametrize("spans", [{}, {"end_s": 5.0, "period_s": 5.0}])
def test_points_need_exactly_one_of_end_and_period(spans):
    with pytest.raises(ValueError, match="either end_s or period_s"):
        Series.from_points([(0, 1)], **spans)


@given(points, st.integers(1, 60), st.integers(1, 100))
def test_lines_in_steps_keep_the_area_under_the_lines(rows, resolution_s, tail_s):
    rows = sorted(rows)
    t_s, values = np.array(rows, dtype=float).T
    series = Series.from_points(rows, end_s=t_s[-1] + tail_s, resolution_s=resolution_s)
    area = trapezoid(values, t_s) + values[-1] * tail_s
    assert series.mean(t_s[0], series.end_s) * (series.end_s - t_s[0]) == pytest.approx(area, abs=1e-9)


def test_lines_are_cut_at_the_end_without_changing_the_area_before_it():
    series = Series.from_points([(0, 0), (100, 100)], end_s=45, resolution_s=10)
    assert series.mean(0, 45) == pytest.approx(22.5)
    assert series.at(44) == pytest.approx(42.5)


def test_combine_changes_where_any_part_does():
    other = Series.from_points([(0, 10), (25, 20)], end_s=40)
    both = combine(lambda a, b: a * b, STEPS, other, from_s=5, until_s=40)
    np.testing.assert_array_equal(both.t_s, [5, 10, 25, 30])
    np.testing.assert_array_equal(both.values, [10, 20, 40, 100])


def clock_hour(local: datetime) -> float:
    return local.hour + local.minute / 60


@pytest.mark.parametrize(
    ("zone", "start", "days"),
    [
        ("Europe/Berlin", datetime(2024, 3, 29, 5, 30), 4),
        ("Europe/Berlin", datetime(2024, 10, 25), 4),
        ("America/Los_Angeles", datetime(2019, 3, 9), 3),
        ("Australia/Lord_Howe", datetime(2024, 4, 6), 2),  # its clock moves by half an hour
        ("America/Sao_Paulo", datetime(2018, 11, 3), 3),  # its midnight did not exist
        ("America/Sao_Paulo", datetime(2019, 2, 16), 2),
        ("Asia/Kathmandu", datetime(2024, 3, 1), 2),
    ],
)
def test_by_clock_follows_the_local_clock_over_its_changes(zone, start, days):
    breaks = [0, 1.5, 2.25, 3, 8, 12.5, 23]

    def tier(local):
        return float(np.searchsorted(breaks, clock_hour(local), side="right"))

    start = start.replace(tzinfo=ZoneInfo(zone))
    series = by_clock(tier, [b * S_PER_H for b in breaks], start, days * S_PER_DAY)
    for minute in range(0, days * 24 * 60, 3):
        instant = start.astimezone(UTC) + timedelta(minutes=minute)
        assert series.at(minute * 60.0) == tier(instant.astimezone(ZoneInfo(zone))), instant


def test_by_clock_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone, got 2024-01-01"):
        by_clock(clock_hour, [], datetime(2024, 1, 1), 10)
