"""Strategies that serve connectors in an order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.controllers.circuits import Circuits
from evhub.scenarios.schema.controller_registry import controllers

from ...helpers.sizes import examples
from . import test_controllers as made

HOUR_S = 3600.0
ORDERED = ("edf", "llf", "fcfs", "round_robin")


def limits(name: str, seen, room_kw: float, **changes) -> np.ndarray:
    """Limits of the connectors when the contract leaves a room [kW]."""
    n = seen.occupied.size
    plant = made.site(n, contracted_kw=room_kw + 5.0, connector_minimum_kw=np.zeros(n), **changes)
    return made.decide(name, plant, made.hub(seen)).connector_kw


def three(**changes):
    """Three EVs that want 20 kWh each and accept 10 kW."""
    return replace(made.connectors([True] * 3, [20.0] * 3, [10.0] * 3), **changes)


def test_earliest_deadline_first_serves_who_leaves_first():
    seen = three(departure_s=np.array([3.0, 1.0, 2.0]) * HOUR_S)
    assert limits("edf", seen, 15.0).tolist() == [0.0, 10.0, 5.0]


def test_who_announced_no_departure_comes_last():
    seen = three(departure_s=np.array([np.nan, 9.0, 8.0]) * HOUR_S)
    assert limits("edf", seen, 15.0).tolist() == [0.0, 5.0, 10.0]
    assert limits("llf", seen, 15.0).tolist() == [0.0, 5.0, 10.0]


def test_least_laxity_first_serves_who_has_least_time_to_spare():
    # laxities: 3 h - 0.5 h, 4 h - 2 h, 6 h - 1 h
    seen = three(departure_s=np.array([3.0, 4.0, 6.0]) * HOUR_S, requested_kwh=np.array([5.0, 20.0, 10.0]))
    assert limits("llf", seen, 15.0).tolist() == [5.0, 10.0, 0.0]
    assert limits("edf", seen, 15.0).tolist() == [10.0, 5.0, 0.0]


def test_first_come_first_served_goes_by_the_time_of_plugging_in():
    seen = three(plugged_s=np.array([2.0, 3.0, 1.0]))
    assert limits("fcfs", seen, 15.0).tolist() == [5.0, 0.0, 10.0]


def test_round_robin_gives_equal_shares_but_for_the_last_step():
    given_kw = limits("round_robin", three(plugged_s=np.array([2.0, 3.0, 1.0])), 10.0)
    assert given_kw.sum() == pytest.approx(10.0)
    assert given_kw == pytest.approx([3.25, 3.25, 3.5])  # 40 turns of 0.25 kW: 13 each and one for the first


def test_round_robin_passes_on_what_one_cannot_use():
    seen = made.connectors([True] * 3, [20.0] * 3, [1.0, 10.0, 10.0])
    assert limits("round_robin", seen, 9.0) == pytest.approx([1.0, 4.0, 4.0])


def test_nobody_gets_more_than_is_left_of_the_request():
    # 0.05 kWh in a minute are 3 kW
    seen = three(requested_kwh=np.array([0.05, 20.0, 20.0]), departure_s=np.array([1.0, 2.0, 3.0]) * HOUR_S)
    assert limits("edf", seen, 15.0) == pytest.approx([3.0, 10.0, 2.0])


@pytest.mark.parametrize("name", ORDERED)
def test_who_cannot_get_the_least_power_pauses_and_the_next_may_use_it(name):
    seen = replace(made.connectors([True] * 3, [20.0] * 3, [22.0, 22.0, 2.0]), departure_s=np.arange(1.0, 4.0) * HOUR_S)
    plant = made.site(3, contracted_kw=5.0 + 24.5)
    got = made.decide(name, plant, made.hub(seen)).connector_kw
    taken = np.minimum(got, seen.p_max_kw)
    assert ((got == 0.0) | (got >= 4.16 - 1e-9)).all()
    assert taken.sum() <= 24.5 + 1e-9
    if name == "edf":
        assert taken == pytest.approx([22.0, 0.0, 2.0])


@pytest.mark.parametrize("name", ORDERED)
@given(situation=made.situations())
@settings(max_examples=examples(60))
def test_what_is_shared_stays_within_the_contract_and_nothing_is_left_that_one_could_use(name, situation):
    plant, seen = situation
    limit_kw = {0: 0.0, 1: plant.contracted_kw, 2: plant.secondary_kw}[seen.bus]
    got = made.decide(name, plant, seen).connector_kw
    taken = np.minimum(got, seen.connectors.p_max_kw)
    if np.isnan(seen.p_load_kw):
        assert not got.any()
        return
    room_kw = max(0.0, limit_kw - seen.p_load_kw)
    assert taken.sum() <= room_kw + 1e-6
    left_kw = room_kw - taken.sum()
    wants = seen.connectors.occupied & (seen.connectors.remaining_kwh > 1e-6) & (seen.connectors.p_max_kw > 0.0)
    could = np.minimum(plant.connector_kw, seen.connectors.p_max_kw)
    least = np.minimum(plant.connector_minimum_kw, could)
    assert not (wants & (got == 0.0) & (least < left_kw - 1e-6)).any()


@pytest.mark.parametrize("name", ["equal_share", *ORDERED])
def test_a_meter_reading_from_a_dead_bus_is_not_taken_for_the_load_of_the_island(name):
    cls = controllers()[name].load()
    plant = made.site(3, connector_minimum_kw=np.zeros(3))
    controller = cls({"depot": plant}, cls.Parameters(), 1.0, np.random.default_rng(1))

    def given_kw(t_s: float, **changes) -> float:
        seen = made.hub(made.connectors([True] * 3, [20.0] * 3, [22.0] * 3), **changes)
        now = datetime(2024, 3, 1, 12, tzinfo=UTC)
        observation = base.Observation(t_s, now, {"depot": replace(seen, parameters=cls.Parameters())}, 3600.0)
        return float(controller.decide(observation).setpoints["depot"].connector_kw.sum())

    assert given_kw(0.0, p_load_kw=20.0) == pytest.approx(30.0)  # of 50 kW contracted
    assert given_kw(10.0, bus=0, p_load_kw=20.0) == 0.0
    # the island has 30 kW; a message that is 2 s old is from the dead bus, whose load was 0
    assert given_kw(13.0, bus=2, p_load_kw=0.0, age_s={"grid": 2.0}) == pytest.approx(10.0)
    assert given_kw(20.0, bus=2, p_load_kw=5.0, age_s={"grid": 2.0}) == pytest.approx(25.0)


def controller(name: str, **sites):
    cls = controllers()[name].load()
    return cls(sites, cls.Parameters(), 60.0, np.random.default_rng(1))


def answer(one, t_s: float = 0.0, **hubs) -> dict[str, base.Setpoints]:
    now = datetime(2024, 3, 1, 12, tzinfo=UTC)
    return dict(one.decide(base.Observation(t_s, now, hubs, HOUR_S)).setpoints)


@pytest.mark.parametrize("name", ["uncontrolled", "equal_share", *ORDERED])
def test_parameters_that_an_event_changes_are_obeyed_at_once_and_in_their_hub_only(name):
    one = controller(name, a=made.site(3), b=made.site(3))
    own, other = one.Parameters(), one.Parameters(bess="idle")
    seen = made.hub(three(), p_pv_kw=12.0, parameters=own)
    assert answer(one, a=seen, b=seen)["a"].bess_kw == pytest.approx(-7.0)  # PV less the load
    got = answer(one, 1.0, a=replace(seen, parameters=other), b=seen)
    assert (got["a"].bess_kw, got["b"].bess_kw) == (0.0, pytest.approx(-7.0))
    assert answer(one, 2.0, a=seen, b=seen)["a"].bess_kw == pytest.approx(-7.0)


@pytest.mark.parametrize("name", ["equal_share", *ORDERED])
def test_an_event_lets_them_share_the_power_of_pv(name):
    plant = made.site(3, contracted_kw=13.0, connector_minimum_kw=np.zeros(3))
    one = controller(name, depot=plant)
    seen = made.hub(three(), p_pv_kw=6.0, parameters=one.Parameters())
    assert answer(one, depot=seen)["depot"].connector_kw.sum() == pytest.approx(8.0)
    seen = replace(seen, parameters=one.Parameters(count_pv=True))
    assert answer(one, 1.0, depot=seen)["depot"].connector_kw.sum() == pytest.approx(14.0)


def test_the_same_question_with_another_step_of_round_robin_is_answered_anew():
    plant = made.site(3, contracted_kw=15.0, connector_minimum_kw=np.zeros(3))
    one = controller("round_robin", depot=plant)
    seen = made.hub(three(plugged_s=np.array([1.0, 2.0, 3.0])), parameters=one.Parameters())
    assert answer(one, depot=seen)["depot"].connector_kw == pytest.approx([3.5, 3.25, 3.25])
    seen = replace(seen, parameters=one.Parameters(step_kw=4.0))
    assert answer(one, 1.0, depot=seen)["depot"].connector_kw == pytest.approx([4.0, 4.0, 2.0])


@pytest.mark.parametrize("name", ORDERED)
def test_hubs_that_ask_the_same_are_held_to_their_own_circuits(name):
    free = made.site(3, connector_minimum_kw=np.zeros(3), contracted_kw=100.0)
    tight = replace(free, circuits=Circuits(("cable",), np.full((1, 3), 2.0 + 0j), np.array([24.0])))
    one = controller(name, free=free, tight=tight)
    seen = made.hub(three(), parameters=one.Parameters())
    for t_s in (0.0, 1.0):  # at first, and when it is asked again
        got = answer(one, t_s, free=seen, tight=seen)
        assert got["free"].connector_kw.sum() == pytest.approx(30.0)
        assert got["tight"].connector_kw.sum() == pytest.approx(12.0)


@pytest.mark.parametrize("name", ORDERED)
@given(situations=st.lists(made.situations(), min_size=2, max_size=6))
@settings(max_examples=examples(40))
def test_a_controller_answers_as_if_it_were_asked_for_the_first_time(name, situations):
    plant = made.site(8)
    one = controller(name, depot=plant)
    for t_s, (_, seen) in enumerate([*situations, situations[0], situations[0]]):
        seen = replace(seen, bus=1, p_load_kw=5.0, connectors=widened(seen.connectors), parameters=one.Parameters())
        expected = answer(controller(name, depot=plant), t_s, depot=seen)["depot"]
        assert answer(one, t_s, depot=seen)["depot"].connector_kw.tolist() == expected.connector_kw.tolist()


def widened(seen: base.Connectors) -> base.Connectors:
    """The same with free connectors after them, eight in all."""
    free = [0.0] * (8 - seen.occupied.size)
    return made.connectors([*seen.occupied, *free], [*seen.requested_kwh, *free], [*seen.p_max_kw, *free])
