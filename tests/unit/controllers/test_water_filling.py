"""Water filling: what its ways have in common, and that the one with circuits is the other where they are wide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evhub.controllers.circuits import Allocation, Circuits, fill_within
from evhub.simulators import water_filling
from evhub.simulators.water_filling import fill

from ...helpers.sizes import examples

powers = st.one_of(st.just(0.0), st.floats(0.01, 150.0))
weights = st.one_of(st.just(0.0), st.floats(0.1, 20.0))
pairs = st.lists(st.tuples(powers, weights), min_size=1, max_size=12)


def within(limit_a: float, n: int) -> Circuits:
    """One cable that carries 2 A for each kilowatt."""
    return Circuits(("cable",), np.full((1, n), 2.0 + 0j), np.array([limit_a]))


@given(available_kw=st.floats(-10.0, 600.0), given_=pairs)
def test_what_is_there_is_used_up_or_all_are_full_and_nobody_is_above_its_limit(available_kw, given_):
    max_kw, weight = np.array(given_).T
    shares_kw = fill(available_kw, max_kw, weight)
    assert (shares_kw >= 0.0).all()
    assert (shares_kw <= max_kw).all()
    assert not shares_kw[weight == 0.0].any()
    able_kw = max_kw[weight > 0.0].sum()
    assert shares_kw.sum() == pytest.approx(min(max(available_kw, 0.0), able_kw), abs=1e-9)


@given(available_kw=st.floats(0.0, 600.0), given_=pairs)
def test_who_is_not_full_has_risen_to_the_same_level_and_who_is_full_was_below_it(available_kw, given_):
    max_kw, weight = np.array(given_).T
    shares_kw = fill(available_kw, max_kw, weight)
    rising = (weight > 0.0) & (shares_kw < max_kw)
    assume(rising.any())
    levels = shares_kw[rising] / weight[rising]
    assert levels == pytest.approx(np.full(levels.size, levels[0]), rel=1e-12)
    full = (weight > 0.0) & ~rising
    assert (max_kw[full] <= levels[0] * weight[full] * (1.0 + 1e-12)).all()


@given(available_kw=st.floats(0.0, 600.0), given_=pairs, data=st.data())
def test_the_order_of_the_connectors_does_not_matter(available_kw, given_, data):
    max_kw, weight = np.array(given_).T
    order = data.draw(st.permutations(range(len(given_))))
    assert fill(available_kw, max_kw[order], weight[order]) == pytest.approx(
        fill(available_kw, max_kw, weight)[order], abs=1e-9
    )


@given(available_kw=st.floats(0.0, 600.0), more_kw=st.floats(0.0, 100.0), given_=pairs)
def test_more_power_takes_nothing_from_anyone(available_kw, more_kw, given_):
    max_kw, weight = np.array(given_).T
    before_kw, after_kw = fill(available_kw, max_kw, weight), fill(available_kw + more_kw, max_kw, weight)
    assert (after_kw >= before_kw - 1e-9).all()


@given(n=st.integers(1, 200), max_kw=st.sampled_from([7.4, 11.0, 22.0, 0.1]), seed=st.integers(0, 10**6))
def test_a_power_that_is_the_sum_but_for_rounding_fills_all(n, max_kw, seed):
    """Sums depend on the order of their terms in the last digits."""
    rng = np.random.default_rng(seed)
    max_kw, weight = max_kw * rng.integers(1, 4, n), rng.permutation(np.arange(1.0, n + 1.0))
    for total_kw in (max_kw.sum(), sum(max_kw.tolist()), np.nextafter(max_kw.sum(), 0.0)):
        assert fill(total_kw, max_kw, weight) == pytest.approx(max_kw, rel=1e-9)
        assert fill(total_kw, max_kw) == pytest.approx(max_kw, rel=1e-9)


@pytest.mark.parametrize(
    ("available_kw", "max_kw", "weight", "shares_kw"),
    [
        (12.0, [2.0, 10.0, 10.0], [1.0, 1.0, 1.0], [2.0, 5.0, 5.0]),
        (12.0, [10.0, 10.0, 10.0], [3.0, 2.0, 1.0], [6.0, 4.0, 2.0]),
        (12.0, [3.0, 10.0, 10.0], [3.0, 2.0, 1.0], [3.0, 6.0, 3.0]),
        (40.0, [3.0, 10.0, 10.0], [3.0, 2.0, 0.0], [3.0, 10.0, 0.0]),
        (0.0, [3.0, 10.0], [1.0, 1.0], [0.0, 0.0]),
        (5.0, [], [], []),
    ],
)
def test_shares_by_hand(available_kw, max_kw, weight, shares_kw):
    assert fill(available_kw, np.array(max_kw), np.array(weight)) == pytest.approx(shares_kw)
    if len(set(weight)) == 1:
        assert (
            fill(available_kw, np.array(max_kw)).tolist()
            == fill(available_kw, np.array(max_kw), np.array(weight)).tolist()
        )


@settings(max_examples=examples(60))
@given(room_kw=st.floats(0.1, 600.0), limit_a=st.floats(1.0, 2000.0), max_kw=st.lists(powers, min_size=1, max_size=8))
def test_a_cable_that_feeds_all_is_as_less_power(room_kw, limit_a, max_kw):
    """Currents that add up leave half as many kilowatts as the cable has amperes."""
    max_kw = np.array(max_kw)
    allocation = Allocation(room_kw, within(limit_a, max_kw.size))
    fill_within(allocation, max_kw, np.flatnonzero(max_kw))
    assert allocation.allocated_kw == pytest.approx(fill(min(room_kw, limit_a / 2.0), max_kw), abs=1e-6)


def test_who_is_held_back_by_a_cable_leaves_more_to_the_others():
    circuits = Circuits(("cable",), np.array([[1.0, 1.0, 0.0]], dtype=complex), np.array([4.0]))
    allocation = Allocation(12.0, circuits)
    fill_within(allocation, np.full(3, 10.0), np.arange(3))
    assert allocation.allocated_kw == pytest.approx([2.0, 2.0, 8.0])


@settings(max_examples=examples(60))
@given(questions=st.lists(st.tuples(st.floats(0.0, 600.0), pairs), min_size=2, max_size=5))
def test_what_is_remembered_changes_no_share(questions):
    for available_kw, given_ in [*questions, *questions]:
        max_kw, weight = np.array(given_).T
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(water_filling, "_filling", water_filling._filling.__wrapped__)
            plain_kw = fill(available_kw, max_kw, weight)
        assert fill(available_kw, max_kw, weight).tolist() == plain_kw.tolist()
