"""Apparent-power rating of inverters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators import inverter

powers = st.floats(-1e4, 1e4)
ratings = st.just(0.0) | st.floats(1e-6, 1e4)  # far below a milliwatt, squares leave the range of numbers


@pytest.mark.parametrize(
    ("p_kw", "q_set_kvar", "q_kvar"),
    [(30, 100, 40), (-30, 100, 40), (30, -100, -40), (30, 25, 25), (0, 60, 50), (50, 1, 0), (60, 1, 0)],
)
def test_active_power_leaves_the_third_side_of_the_triangle(p_kw, q_set_kvar, q_kvar):
    """3-4-5: 30 kW of 50 kVA leave 40 kvar."""
    assert inverter.clip_q(p_kw, q_set_kvar, 50) == pytest.approx(q_kvar)


@given(powers, powers, ratings)
def test_apparent_power_stays_within_the_rating(p_kw, q_set_kvar, s_rated_kva):
    p_kw = np.clip(p_kw, -s_rated_kva, s_rated_kva)
    q_kvar = inverter.clip_q(p_kw, q_set_kvar, s_rated_kva)
    assert np.hypot(p_kw, q_kvar) <= s_rated_kva * (1 + 1e-12)


@given(powers, powers, ratings)
def test_reactive_power_is_cut_never_raised_nor_turned(p_kw, q_set_kvar, s_rated_kva):
    q_kvar = inverter.clip_q(p_kw, q_set_kvar, s_rated_kva)
    assert abs(q_kvar) <= abs(q_set_kvar)
    assert q_kvar * q_set_kvar >= 0


def test_no_digits_are_lost_close_to_full_power():
    """1 W below 1 MVA: sqrt((1000 - 999.999) * 1999.999)."""
    assert inverter.q_available_kvar(999.999, 1000.0) == pytest.approx(np.sqrt(0.001 * 1999.999), rel=1e-9)


def test_many_inverters_are_as_many_single_ones():
    rng = np.random.default_rng(1)
    p_kw, q_set_kvar, s_rated_kva = rng.uniform(-60, 60, 20), rng.uniform(-60, 60, 20), rng.uniform(0, 60, 20)
    one_by_one = [inverter.clip_q(*each) for each in zip(p_kw, q_set_kvar, s_rated_kva, strict=True)]
    assert inverter.clip_q(p_kw, q_set_kvar, s_rated_kva).tolist() == one_by_one


def test_negative_rating_is_refused():
    with pytest.raises(ValueError, match=r"s_rated_kva must be >= 0, got \[ 5\. -1\.\]"):
        inverter.q_available_kvar(1.0, [5.0, -1.0])
