"""`emh` on hand-made observations: what battery and generator are asked for, and which rule gets the credit."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from evhub.controllers.emh.emh_controller import Emh
from evhub.controllers.emh.emh_rules import RULES, Rule
from evhub.controllers.emh.references import ReferenceRank

from ..test_controllers import connectors
from .test_emh_rules import CHEAP_DG, CONNECTED, ISLANDED, LINK, Desk, running

PEAK = {"start": "11:00", "end": "13:00"}
QUICK = dict.fromkeys(LINK, 0.0)
SLOW = dict.fromkeys(LINK, 2.0)

# --- on the grid ------------------------------------------------------------------------------------------------------


def test_a_discharging_battery_gives_its_share_of_what_is_above_the_limit():
    desk = Desk(3, peak=PEAK, bess_discharge_kw=10.0)
    desk.show(3, p_cp_kw=40.0, p_bess_kw=10.0)
    answer = desk.show(1, p_grid_kw=54.0)
    # 10 kW over what flows, 40 and 10 kW
    assert answer.bess_kw == pytest.approx(12.0)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(32.0)


def test_an_empty_battery_is_not_discharged_above_the_limit():
    desk = Desk(3)
    desk.show(2)
    assert desk.show(1, p_grid_kw=64.0, p_cp_kw=6.0, p_bess_kw=-4.0, soc=0.1).bess_kw == 0.0


def test_a_battery_with_an_error_takes_no_share_of_what_is_above_the_limit():
    desk = Desk(3)
    desk.show(3)
    desk.show(1, p_grid_kw=54.0, p_cp_kw=40.0, p_bess_kw=10.0, failed=frozenset({"bess"}))
    assert desk.records["p_limit_cp_kw"] == pytest.approx(30.0)


def test_without_the_rule_of_the_contract_the_installed_capacity_limits():
    desk = Desk(3, rules=tuple(name for name in RULES if name != "contracted_capacity"))
    desk.show(3)
    desk.show(1, p_grid_kw=52.0, p_cp_kw=39.0)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(39.0)
    desk.show(1, p_grid_kw=60.0)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(39.0 - (60.0 - 0.88 * 60.0))
    assert ("rule", "cp 31.80 kW by installed_capacity") in desk.events


def test_the_lower_limit_of_the_operator_counts_not_only_the_plate():
    desk = Desk(3, peak=PEAK, soc_min=0.2)
    assert desk.show(2, soc=0.15, p_cp_kw=39.0).bess_kw <= 0.0
    assert desk.show(1, soc=0.21).bess_kw == 20.0


@pytest.mark.parametrize(("tank_l", "fuel_l", "runs"), [(200.0, 19.9, False), (200.0, 20.1, True), (20.0, 19.9, True)])
def test_a_tenth_of_the_tank_of_the_plant_is_kept(tank_l, fuel_l, runs):
    desk = Desk(5, plates={"dg_fuel_capacity_l": tank_l})
    answer = desk.show(2, prices=CHEAP_DG, p_grid_kw=44.0, p_cp_kw=39.0, fuel_l=fuel_l)
    assert (answer.dg_kw > 0.0) is runs


def test_what_the_generator_gives_does_not_stop_it():
    desk = Desk(5)
    assert desk.show(2, prices=CHEAP_DG, p_grid_kw=25.0, p_cp_kw=20.0, fuel_l=100.0).dg_kw == pytest.approx(25.0)
    assert desk.show(2, p_grid_kw=5.0, p_dg_kw=20.0).dg_kw == pytest.approx(25.0)


def test_what_the_battery_draws_into_the_last_room_does_not_stop_it():
    desk = Desk(1)
    seen = {"p_load_kw": 20.5, "p_cp_kw": 20.0}
    assert desk.show(2, p_grid_kw=40.5, **seen).bess_kw == pytest.approx(-3.5)
    assert desk.show(2, p_grid_kw=44.0, p_bess_kw=-3.5, **seen).bess_kw == pytest.approx(-3.5)


def test_evs_that_accept_little_need_little():
    desk = Desk(3, peak=PEAK)
    answer = desk.show(3, connectors=connectors([1] * 3, [20.0] * 3, [3.0] * 3), prices=CHEAP_DG, fuel_l=100.0)
    assert (answer.bess_kw, answer.dg_kw) == (-5.0, 0.0)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(9.0)


def test_battery_and_generator_together_give_no_more_than_the_hub_draws():
    desk = Desk(5, peak=PEAK)
    answer = desk.show(3, prices=CHEAP_DG, p_cp_kw=9.0, p_grid_kw=14.0, fuel_l=100.0)
    assert answer.bess_kw == pytest.approx(14.0)
    assert answer.dg_kw == 0.0
    answer = desk.show(3, p_cp_kw=21.0)
    assert (answer.bess_kw, answer.dg_kw) == (20.0, pytest.approx(6.0))


def test_the_largest_current_follows_from_the_voltage_of_the_hub():
    desk = Desk(plates={"nominal_v": 220.0})
    desk.show(2, i_grid_a=np.full(3, 150.0))
    assert not desk.alarms()
    desk.show(1, i_grid_a=np.full(3, 158.0))
    assert desk.alarms() == {1}


# --- in an island -----------------------------------------------------------------------------------------------------


def full_island(**changes) -> Desk:
    """A full battery in an island, PV at 0, a local load of 2 kW and one EV with 10 kW."""
    desk = Desk(2)
    desk.show(3, bus=ISLANDED, soc=0.9, p_load_kw=2.0, p_secondary_kw=12.0, p_cp_kw=10.0, **changes)
    return desk


def test_relief_never_asks_for_more_than_source_and_battery_give():
    desk = full_island()
    assert desk.show(1).bess_kw == 5.0
    # the message of the charge point is older than that of the source
    assert desk.show(1, p_secondary_kw=-1.0, p_bess_kw=5.0).bess_kw == pytest.approx(4.0)
    assert desk.show(1, p_secondary_kw=nan).bess_kw == 0.0


def test_relief_uses_no_old_power_of_the_charge_point():
    desk = full_island()
    desk.show(2, age_s={**LINK, "cp": 9.0}, p_bess_kw=5.0, p_secondary_kw=7.0)
    assert desk.alarms() == {8}
    # the EV has left
    assert desk.show(1, p_secondary_kw=-3.0).bess_kw == pytest.approx(2.0)


@pytest.mark.parametrize(("age_s", "expected"), [(QUICK, 5.0), (LINK, 5.0), (SLOW, 2.0 + 1.0)])
def test_where_messages_are_slower_than_the_source_trips_relief_does_not_count_on_evs(age_s, expected):
    desk = Desk(2, plates={"secondary_reverse_kw": 1.0})
    seen = {"p_load_kw": 2.0, "p_secondary_kw": 12.0, "p_cp_kw": 10.0, "age_s": age_s}
    assert desk.show(3, bus=ISLANDED, soc=0.9, **seen).bess_kw == pytest.approx(expected)


def test_a_full_battery_charges_on_until_pv_is_measured_at_0():
    desk = running(ISLANDED)
    answer = desk.show(2, soc=0.9)
    assert (answer.pv_limit_kw, answer.bess_kw) == (0.0, -3.0)
    assert desk.show(1, p_pv_kw=0.0).bess_kw > 0.0


def test_a_message_from_the_dead_bus_tells_nothing_of_the_load():
    desk = Desk(5, cp_islanded_kw=60.0)
    desk.show(3)
    desk.show(3, bus=0, p_load_kw=0.0)
    desk.show(1, bus=ISLANDED)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(0.78 * 60.0 - 5.0)


# --- order and credit -------------------------------------------------------------------------------------------------


def test_what_one_rule_counts_on_does_not_reduce_the_wish_of_another():
    desk = Desk(3, peak=PEAK, rules=("cost_rule_1", "connected", "priority"))
    desk.show(2, p_cp_kw=39.0)
    assert desk.records["p_limit_cp_kw"] == pytest.approx(39.0)

    class Wish(Emh):
        rules = {
            **RULES,
            "wish": Rule("wish", ReferenceRank.COST, lambda s: True, lambda r, s, refs: refs.cp.want(30.0, r.name)),
        }

    desk = Desk(3, cls=Wish, peak=PEAK, rules=(*RULES, "wish"))
    desk.show(2, p_cp_kw=39.0)
    assert ("rule", "cp 30.00 kW by wish") in desk.events


def test_a_bound_that_holds_a_value_has_the_credit():
    desk = running(CONNECTED)
    desk.show(2, failed=frozenset({"bess"}), soc=0.1)  # no rule would discharge it either
    assert desk.records["rule_bess"] == list(RULES).index("bess_error") + 1


def test_the_ramp_has_no_credit_while_an_alarm_stops_it():
    desk = running(ISLANDED)
    desk.show(2, failed=frozenset({"bess"}))
    desk.show(1, p_pv_kw=0.0)
    before = len(desk.events)
    desk.show(30, p_bess_kw=0.0)
    assert not [text for kind, text in desk.events[before:] if kind == "rule"]
    assert desk.records["rule_bess"] == list(RULES).index("bess_error") + 1


def test_where_no_rule_decides_the_event_says_so():
    desk = Desk(rules=("meter_error",))
    desk.show(2)
    assert ("rule", "cp 0.00 kW by no rule") in desk.events
    assert desk.records["rule_cp"] == 0.0


def test_parameters_of_an_event_have_to_fit_the_hub():
    desk = Desk()
    with pytest.raises(ValueError, match="contracted_kw must be at most installed_kw 60 of depot, got 80"):
        desk.controller.check("depot", Emh.Parameters(contracted_kw=80.0))
    with pytest.raises(ValueError, match="rules must be among overcurrent, "):
        desk.controller.check("depot", Emh.Parameters(rules=("prioritty",)))
