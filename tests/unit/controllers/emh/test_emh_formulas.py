"""The formulas of Leal et al. 2024 on hand-made numbers: capacity, criteria, cost rules, priority, ramp, alarm 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.controllers.emh import alarms, capacity, criteria, priority
from evhub.controllers.emh import cost_rules as cost
from evhub.controllers.emh import emh_island as island

powers = st.floats(0.0, 100.0)

# --- capacity limit, eq. 1-5 ------------------------------------------------------------------------------------------


def test_excess_is_shared_in_proportion_to_what_flows():
    # scenario 4: 60 kW against 44; 39 kW of EVs and 5 kW of charging share 16 kW
    back = capacity.relief(60.0, 44.0, 39.0, -5.0, ready=True, max_kw=20.0)
    assert back.bess_kw == pytest.approx(-5.0 + 5.0 * 16.0 / 44.0)
    assert back.cp_kw == pytest.approx(39.0 - 39.0 * 16.0 / 44.0)


def test_what_a_saturated_battery_cannot_take_goes_to_the_connectors():
    # 10 kW over 22 + 18: the battery would go to 22.5, 2.5 above its rating; the EVs take 5.5 and those 2.5
    back = capacity.relief(54.0, 44.0, 22.0, 18.0, ready=True, max_kw=20.0)
    assert back == (20.0, pytest.approx(14.0))


def test_without_a_ready_battery_the_connectors_take_all():
    assert capacity.relief(54.0, 44.0, 22.0, 0.0, ready=False, max_kw=20.0) == (0.0, pytest.approx(12.0))


def test_an_empty_battery_only_stops_charging():
    # twice what flows: the battery would turn to discharging
    back = capacity.relief(64.0, 44.0, 6.0, -4.0, ready=True, max_kw=0.0)
    assert back == (0.0, 0.0)


def test_a_load_alone_above_the_limit_leaves_nothing():
    assert capacity.relief(54.0, 44.0, 0.0, 0.0, ready=False, max_kw=20.0).cp_kw == 0.0


@given(evse=powers, bess=st.floats(-20.0, 20.0), part=st.floats(0.0, 1.0))
def test_battery_and_connectors_together_take_the_whole_excess(evse, bess, part):
    flowing = evse + abs(bess)
    if flowing > 1e-3:
        back = capacity.relief(44.0 + part * flowing, 44.0, evse, bess, ready=True, max_kw=100.0)
        assert (back.bess_kw - bess) + (evse - back.cp_kw) == pytest.approx(part * flowing, abs=1e-9)


@pytest.mark.parametrize(
    ("bess_kw", "soc", "expected"),
    [
        (0.0, 0.5, False),  # inactive
        (5.0, 0.2, False),  # empty
        (5.0, 0.5, True),
        (20.0, 0.5, False),  # at its rating
        (-5.0, 0.2, True),  # may charge less even when empty
        (-5.0, float("nan"), False),
    ],
)
def test_when_a_battery_is_ready(bess_kw, soc, expected):
    assert capacity.bess_ready(bess_kw, soc, 0.2, 20.0) is expected


# --- criteria, section 3.5 --------------------------------------------------------------------------------------------

DG = {
    "fuel_l": 100.0,
    "fuel_capacity_l": 200.0,
    "p_in_kw": 30.0,
    "pv_kw": 0.0,
    "limit_kw": 44.0,
    "tr_dg": 0.5,
    "tr_grid": 0.9,
    "bess_rated_kw": 20.0,
    "soc": 0.5,
    "soc_min": 0.2,
    "peak": False,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"fuel_l": 20.0}, False),  # a tenth of the tank is kept
        ({"fuel_l": float("nan")}, False),
        ({"p_in_kw": float("nan"), "peak": True}, False),
        ({"tr_dg": 0.9}, False),
        ({"p_in_kw": 20.0}, False),  # the battery alone could
        ({"p_in_kw": 20.0, "soc": 0.1}, True),
        ({"p_in_kw": 10.0, "peak": True}, True),
        ({"p_in_kw": 10.0, "peak": True, "tr_dg": 1.0}, False),
        ({"p_in_kw": 40.0, "pv_kw": 5.0, "tr_dg": 1.0}, True),  # above the limit the tariff does not count
        ({"p_in_kw": 40.0, "pv_kw": 5.0, "bess_rated_kw": 45.0}, False),
        ({"p_in_kw": 40.0, "pv_kw": 5.0, "bess_rated_kw": 45.0, "soc": 0.1}, True),
    ],
)
def test_when_the_generator_may_run(changes, expected):
    assert criteria.dg_may_run(**{**DG, **changes}) is expected


@pytest.mark.parametrize(
    ("soc", "tr_grid", "peak", "expected"),
    [
        (0.6, 0.6, False, True),
        (0.5, 0.6, False, False),  # outside the peak hours only above a half
        (0.4, 0.6, True, True),
        (0.2, 0.6, True, False),
        (0.6, 0.4, True, False),  # the grid is as cheap
        (float("nan"), 0.6, True, False),
    ],
)
def test_when_the_battery_may_discharge(soc, tr_grid, peak, expected):
    may = criteria.bess_may_discharge(soc=soc, soc_min=0.2, soc_off_peak=0.5, tr_grid=tr_grid, tr_bess=0.4, peak=peak)
    assert may is expected


@pytest.mark.parametrize(
    ("soc", "p_in_kw", "pv_kw", "expected"),
    [(0.5, 50.0, 1.0, True), (0.5, 43.0, 0.0, True), (0.5, 44.0, 0.0, False), (0.85, 10.0, 5.0, False)],
)
def test_when_the_battery_may_charge(soc, p_in_kw, pv_kw, expected):
    assert criteria.bess_may_charge(soc=soc, soc_max=0.85, p_in_kw=p_in_kw, pv_kw=pv_kw, limit_kw=44.0) is expected


# --- cost rules -------------------------------------------------------------------------------------------------------

FREE = cost.Battery(discharge_kw=20.0, slow_kw=5.0, may_discharge=True, may_charge=True, last_kw=0.0)


@pytest.mark.parametrize(
    ("need", "room", "pv", "pays", "expected"),
    [
        (60.0, 39.0, 0.0, True, (20.0, 0.0, 59.0)),  # 1a at the rating of the battery
        (40.0, 39.0, 0.0, True, (1.0, 0.0, 40.0)),  # 1a with what is missing
        (60.0, 39.0, 3.0, False, (-3.0, 0.0, 36.0)),  # 1b: PV into the battery
        (60.0, 39.0, 9.0, False, (-5.0, 0.0, 34.0)),  # 1b: slowly
        (20.0, 39.0, 0.0, True, (-5.0, 0.0, 20.0)),  # within the limit
        (38.0, 39.0, 1.0, True, (-2.0, 0.0, 38.0)),  # within the limit, with what is left and PV
        (20.0, -5.0, 0.0, True, (20.0, 0.0, 15.0)),  # the load alone is above the limit
    ],
)
def test_cost_rule_1(need, room, pv, pays, expected):
    assert cost.rule_1(need, room, pv, pays, FREE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("need", "room", "pv", "pays", "expected"),
    [
        (60.0, 39.0, 0.0, True, (20.0, 1.0, 60.0)),  # 2a: the generator gives what is missing
        (100.0, 39.0, 0.0, True, (20.0, 30.0, 89.0)),  # 2a at the rating of the generator
        (50.0, 39.0, 0.0, True, (11.0, 0.0, 50.0)),  # 2a: the battery is enough
        (60.0, 39.0, 3.0, False, (-3.0, 21.0, 57.0)),  # 2b
        (20.0, 39.0, 0.0, True, (-5.0, 0.0, 20.0)),  # within the limit
    ],
)
def test_cost_rule_2(need, room, pv, pays, expected):
    assert cost.rule_2(need, room, pv, pays, FREE, 30.0) == pytest.approx(expected)


def test_the_generator_gives_10_kw_in_scenario_2_when_the_battery_gives_10():
    battery = replace(FREE, discharge_kw=10.0)
    assert cost.rule_2(60.0, 40.0, 0.0, True, battery, 30.0) == (10.0, 10.0, 60.0)


def test_where_discharging_is_forbidden_slow_charging_goes_on():
    charging = replace(FREE, may_discharge=False, last_kw=-5.0)
    assert cost.rule_1(100.0, 44.0, 4.0, True, charging) == (-5.0, 0.0, 39.0)
    assert cost.rule_1(100.0, 44.0, 4.0, True, replace(charging, last_kw=10.0)) == (0.0, 0.0, 44.0)
    assert cost.rule_1(100.0, 44.0, 4.0, True, replace(charging, may_charge=False)) == (0.0, 0.0, 44.0)


def test_where_discharging_is_forbidden_the_generator_covers_its_part():
    assert cost.rule_2(60.0, 40.0, 0.0, True, replace(FREE, may_discharge=False), 30.0) == (0.0, 20.0, 60.0)


def test_a_full_battery_is_not_charged():
    assert cost.rule_1(20.0, 39.0, 20.0, True, replace(FREE, may_charge=False)).bess_kw == 0.0


# --- priority ---------------------------------------------------------------------------------------------------------

NONE = np.zeros(5)


def test_weights_fall_with_the_time_since_authentication():
    plugged = np.array([30.0, 10.0, np.nan, 20.0])
    assert priority.weights(np.array([1, 1, 0, 1], bool), plugged).tolist() == [1.0, 3.0, 0.0, 2.0]


def test_preferred_connectors_come_first_and_the_last_weight_can_be_chosen():
    plugged = np.array([10.0, 20.0, 30.0])
    assert priority.weights(np.ones(3, bool), plugged, (3, 7), 2.0).tolist() == [3.0, 2.0, 4.0]


def test_24_kw_among_five():
    shares = priority.share(24.0, np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.full(5, 20.0), NONE)
    assert shares == pytest.approx([8.0, 6.4, 4.8, 3.2, 1.6])


def test_what_one_cannot_use_goes_on_to_the_next():
    # 34 kW at 2 : 1 would give 22.7 and 11.3
    assert priority.share(34.0, np.array([2.0, 1.0]), np.full(2, 20.0), NONE[:2]) == pytest.approx([20.0, 14.0])


def test_below_its_minimum_the_last_connector_pauses():
    shares = priority.share(12.0, np.array([3.0, 2.0, 1.0]), np.full(3, 22.0), np.full(3, 4.16))
    assert shares == pytest.approx([7.2, 4.8, 0.0])


@given(
    available=powers,
    cases=st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 9)), min_size=1, max_size=30),
)
def test_shares_use_up_what_there_is_by_weight(available, cases):
    most, weight = (np.array(column, float) for column in zip(*cases, strict=True))
    shares = priority.share(available, weight, most, np.zeros(most.size))
    usable = most[weight > 0].sum()
    assert shares.sum() == pytest.approx(min(available, usable), abs=1e-9)
    assert (shares <= most + 1e-12).all()
    assert not shares[weight == 0].any()
    level = shares / np.where(weight > 0, weight, 1.0)
    open_ = (weight > 0) & (shares < most - 1e-9)
    if open_.any():
        assert level[open_] == pytest.approx(np.full(open_.sum(), level[weight > 0].max()), abs=1e-6)


def test_a_newcomer_waits_until_power_in_use_has_come_down():
    target, weight = np.array([20.0, 13.0, 7.0]), np.array([3.0, 2.0, 1.0])
    last = np.array([20.0, 20.0, 0.0])
    before = priority.admit(40.0, target, np.array([20.0, 20.0, 0.0]), last, weight)
    assert before.tolist() == [20.0, 13.0, 0.0]
    after = priority.admit(40.0, target, np.array([20.0, 13.0, 0.0]), before, weight)
    assert after.tolist() == [20.0, 13.0, 7.0]


@given(data=st.data(), n=st.integers(1, 8), available=powers)
def test_limits_on_the_way_never_pass_what_is_allowed(data, n, available):
    def column(high):
        return np.array(data.draw(st.lists(st.floats(0.0, high), min_size=n, max_size=n)))

    weight = np.arange(n, 0.0, -1.0)
    target = priority.share(available, weight, column(20.0), np.zeros(n))
    measured, last = column(25.0), column(25.0)
    limit = priority.admit(available, target, measured, last, weight)
    assert (limit <= target + 1e-12).all()
    assert (limit >= 0.0).all()
    rising = limit > np.fmax(measured, np.minimum(target, last)) + 1e-9
    if rising.any():
        assert np.fmax(limit, measured).sum() <= available + 1e-6


# --- island -----------------------------------------------------------------------------------------------------------

RAMP = {"max_kw": 12.0, "step_kw": 1.0, "pv_share": 0.9, "every_s": 10.0, "may_rise": True}


def ramp(available_kw, until_s=600, may_rise=lambda t: True):
    """The ramp against a battery and a PV plant that answer within a second; (charge, pv limit, pv) at every second."""
    state, charging, pv, rows = island.FOOT, 0.0, 0.0, []
    for t in range(until_s):
        state = island.step(state, t, charging_kw=charging, pv_kw=pv, **{**RAMP, "may_rise": may_rise(t)})
        limit = island.pv_limit_kw(state, charging, 0.9)
        rows.append((state.charge_kw, limit, pv))
        charging, pv = state.charge_kw, min(limit, available_kw(t))
    return np.array(rows)


def test_the_ramp_rises_in_steps_up_to_60_percent_of_the_rating():
    charge, limit, _ = ramp(lambda t: 20.0).T
    assert set(np.diff(charge)) == {0.0, 1.0}
    assert charge[-1] == 12.0
    assert limit[-1] == pytest.approx(10.8)


def test_pv_steps_by_90_percent_after_the_battery_has_reached_its_reference():
    charge, limit, _ = ramp(lambda t: 20.0, 100).T
    for step in np.flatnonzero(np.diff(limit) > 0):
        assert limit[step + 1] - limit[step] == pytest.approx(0.9)
        assert charge[step] == charge[step + 1] == pytest.approx(limit[step + 1] / 0.9)


def test_when_pv_falls_short_pv_steps_down_before_the_battery_and_both_probe_upwards():
    charge, limit, pv = ramp(lambda t: 20.0 if t < 100 else 2.0, 600).T
    first_pv = 100 + np.flatnonzero(np.diff(limit[100:]) < 0)[0]
    first_bess = 100 + np.flatnonzero(np.diff(charge[100:]) < 0)[0]
    assert first_pv < first_bess
    late = charge[400:]
    assert late.max() - late.min() <= 2.0 + 1e-9
    assert (np.diff(late) > 0).any()
    assert (np.diff(late) < 0).any()
    assert pv[400:].max() <= 2.0


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=12), st.integers(0, 200))
def test_the_pv_limit_is_never_above_the_battery_reference(levels, hold):
    charge, limit, _ = ramp(lambda t: levels[(t // 25) % len(levels)], 300, lambda t: t > hold).T
    assert (limit <= charge + 1e-9).all()
    assert (limit >= 0.0).all()
    assert charge.max() <= 12.0


def test_a_battery_that_takes_less_takes_pv_down_with_it():
    state = island.RampState(charge_kw=8.0, pv_limit_kw=7.2)
    assert island.pv_limit_kw(state, 2.0, 0.9) == pytest.approx(1.8)
    assert island.pv_limit_kw(state, -3.0, 0.9) == 0.0


def test_a_full_battery_discharges_until_it_is_empty():
    state = island.cycle(island.RampState(charge_kw=12.0, pv_limit_kw=11.0), 0.85, 0.2, 0.85)
    assert state.discharging
    assert island.cycle(state, 0.5, 0.2, 0.85).discharging
    assert island.cycle(state, float("nan"), 0.2, 0.85).discharging
    # an empty battery begins at the foot again, not with the power it had when it was full
    assert island.cycle(state, 0.2, 0.2, 0.85) == island.FOOT


def test_discharge_below_and_above_its_limit():
    assert island.relief_kw(10.0, 5.0) == 5.0
    assert island.relief_kw(3.0, 5.0) == 3.0
    assert island.above_limit_kw(10.0, 12.0, 20.0) == 0.0
    assert island.above_limit_kw(25.0, 12.0, 20.0) == 13.0
    assert island.above_limit_kw(40.0, 12.0, 20.0) == 20.0


def test_the_battery_is_released_when_pv_is_measured_at_0():
    assert island.released_kw(-4.0, pv_at_0=False) == -4.0
    assert island.released_kw(-4.0, pv_at_0=True) == 0.0
    assert island.released_kw(4.0, pv_at_0=False) == 0.0


# --- alarm 1 ----------------------------------------------------------------------------------------------------------


def levels(over, until_s=120):
    """Level of alarm 1 at every second, for a set of seconds with an overcurrent; window 2..10 s, clears after 60 s."""
    state, found = alarms.NO_OVERCURRENT, []
    for t in range(until_s):
        state = alarms.overcurrent(state, t, t in over, 2.0, 10.0, 60.0)
        found.append(state.level)
    return found


def test_an_overcurrent_that_goes_away_stays_at_the_protection_value_and_clears():
    found = levels({20, 21})
    assert found[19:22] == [0, 1, 1]
    assert max(found) == 1
    assert found[80] == 1
    assert found[81] == 0


def test_an_overcurrent_that_persists_into_the_window_stops_the_charge_point():
    assert levels({20, 25})[25] == 2
    assert levels({20, 22})[22] == 2
    assert levels({20, 30})[30] == 2


def test_an_overcurrent_after_the_window_is_a_new_occurrence():
    assert levels({20, 31})[31] == 1
    assert levels({20, 31, 34})[34] == 2
