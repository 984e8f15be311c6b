"""Digits that fit the interval: JCGM 100:2008, 7.2.6."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evhub.analysis.comparison.rounded_text import (
    DASH,
    at_place,
    mean_and_interval,
    p_value,
    place_of,
    plain_number,
    signed,
    typographic,
    with_interval,
)

from ...helpers.sizes import examples

HALVES = st.floats(1e-9, 1e9)
MEANS = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("mean", "half", "shown"),
    [
        (815.1, 79.19, "815 ± 79"),
        (0.03561, 0.00746, "0.0356 ± 0.0075"),
        (-296.4, 32.15, "\u2212296 ± 32"),
        (81523.0, 1234.0, "81\u202f500 ± 1\u202f200"),
        (5.0, 0.0995, "5.00 ± 0.10"),  # rounding carries into the next digit: still two
        (5.0, 9.96, "5 ± 10"),
        (-0.004, 1.2, "0.0 ± 1.2"),  # no minus zero
        (1234.56, 0.123, "1\u202f234.56 ± 0.12"),
        (0.0, 0.02, "0.000 ± 0.020"),
    ],
)
def test_published_rule_on_numbers_worked_by_hand(mean, half, shown):
    assert mean_and_interval(mean, half) == shown


@settings(max_examples=examples(300))
@given(MEANS, HALVES)
def test_interval_has_two_digits_and_its_mean_the_same_places(mean, half):
    assume(half > 1e-5 * abs(mean))
    shown_mean, shown_half = with_interval(mean, half)
    place = place_of(half)
    digits = shown_half.replace(".", "").lstrip("0")
    assert len(digits) == max(2, 2 + place)  # zeros before the point are places, not digits
    assert digits[2:].strip("0") == ""
    assert 10 <= int(digits[:2]) <= 99
    assert len(shown_mean.partition(".")[2]) == len(shown_half.partition(".")[2])


@settings(max_examples=examples(300))
@given(MEANS, HALVES)
def test_nothing_is_moved_by_more_than_half_a_unit_of_the_last_place(mean, half):
    assume(half > 1e-5 * abs(mean))
    unit = Decimal(10) ** place_of(half)
    for value, text in zip((mean, half), with_interval(mean, half), strict=True):
        assert abs(Decimal(text) - Decimal(repr(value))) <= unit / 2
        assert Decimal(text) % unit == 0


@settings(max_examples=examples(200))
@given(MEANS, HALVES)
def test_rounding_what_is_rounded_changes_nothing(mean, half):
    assume(half > 1e-5 * abs(mean))
    once = with_interval(mean, half)
    assume(float(once[1]) > 1e-5 * abs(float(once[0])))
    assert with_interval(float(once[0]), float(once[1])) == once


@settings(max_examples=examples(200))
@given(MEANS, HALVES, st.integers(-6, 6))
def test_digits_do_not_depend_on_the_power_of_ten_of_the_unit(mean, half, power):
    assume(half > 1e-5 * abs(mean))
    scaled = [float(Decimal(repr(value)).scaleb(power)) for value in (mean, half)]
    assume([Decimal(repr(value)) for value in scaled] == [Decimal(repr(v)).scaleb(power) for v in (mean, half)])
    told = with_interval(*scaled)
    assert [Decimal(text) for text in told] == [Decimal(text).scaleb(power) for text in with_interval(mean, half)]


@pytest.mark.parametrize("half", [0.0, float("nan"), 1e-9, float("inf")])
def test_without_scatter_there_is_no_interval(half):
    assert with_interval(12.345, half) == (plain_number(12.345), "")


def test_unknown_is_a_dash_wherever_it_is_shown():
    nan = float("nan")
    assert mean_and_interval(nan, 1.0) == plain_number(nan) == p_value(nan) == typographic(DASH) == DASH


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0999999999, "", "0.100"),
        (0.1, "", "0.100"),
        (0.01234, "", "0.0123"),
        (12.345, "", "12.35"),
        (123.45, "", "123.5"),
        (4.0, "", "4"),
        (-1234.5, "", "-1234"),
        (99.96, "%", "100.0"),
        (0.98284, "pu", "0.9828"),
        (1e-5, "", "0"),
    ],
)
def test_numbers_without_an_interval_have_at_least_three_digits(value, unit, text):
    assert plain_number(value, unit) == text


def test_differences_have_a_sign_and_show_a_digit():
    assert signed(3.4, 1.26) == "+3.4"
    assert signed(-3.4, 1.26) == "\u22123.4"
    assert signed(1e-5, float("nan")) == "+1e\u221205"
    assert signed(0.0, float("nan")) == "0"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0132, "0.013"), (1.0, "1"), (0.00049, "< 0.001"), (0.001, "0.0010"), (0.0999, "0.10")]
)
def test_p_in_two_digits(p, text):
    assert p_value(p) == text


@settings(max_examples=examples(200))
@given(MEANS, st.integers(-9, 6))
def test_thousands_and_minus_are_only_typography(value, place):
    text = at_place(value, place)
    assert typographic(text).replace("\u202f", "").replace("\u2212", "-") == text
