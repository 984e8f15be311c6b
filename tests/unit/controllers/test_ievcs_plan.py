"""Stages I to III: plans with known answers, prices by hand, the network check against pandapower."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.controllers.ievcs.day_ahead_planner import Day
from evhub.controllers.ievcs.ievcs_island import carried
from evhub.controllers.ievcs.ievcs_model_data import grid_of_steps, pv_kw
from evhub.controllers.ievcs.ievcs_parameters import FeederSection, IevcsParameters, Owners, Tiers
from evhub.controllers.ievcs.ievcs_prices import DriverPrices, accepting, ceiling, of_stage_one, tiers
from evhub.controllers.ievcs.network_check import NetworkCheck
from evhub.controllers.ievcs.tracking import LoadAccount, _worth_giving
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubPlan
from evhub.simulators.arrivals.session_model import Session
from evhub.simulators.series import Series
from evhub.simulators.tariffs.tariff_model import Tariffs

from ...helpers.foreseen import Perfect, Reality
from ...helpers.sizes import examples
from . import test_controllers as made

HOUR_S = 3600.0


def ev(name="a", arrival_h=0.0, departure_h=2.0, energy_kwh=0.0, soc=0.5, v2g=True, p_max_kw=5.0) -> Session:
    return Session(
        name,
        arrival_h * HOUR_S,
        departure_h * HOUR_S,
        energy_kwh,
        p_max_kw=p_max_kw,
        capacity_kwh=40.0,
        soc_arrival=soc,
        v2g=v2g,
        departure_estimate_s=departure_h * HOUR_S,
    )


def by_hour(*values) -> Series:
    return Series.from_points([(k * HOUR_S, value) for k, value in enumerate(values)], len(values) * HOUR_S)


def first_plan(
    *evs: Session,
    buy=(0.3, 0.05),
    load=(0.0, 5.0, 0.0, 0.0),
    hours: int | None = None,
    midnight_h: float | None = None,
    site=None,
    check: NetworkCheck | None = None,
    sell: float = 0.0,
    **parameters,
):
    """Stage I at 0 h of a hub with a perfect forecast; purchase prices are given by hour."""
    hours = hours or len(buy)
    until_s = hours * HOUR_S
    loads = np.array(load, dtype=float)
    load_kw = by_hour(*([loads] * hours if loads.ndim == 1 else loads))
    tariffs = Tariffs.of({"buy": by_hour(*buy), "sell": sell, "charging": 0.05}, until_s)
    reality = Reality(Series.constant(0.0), load_kw, tariffs, evs)
    plant = {"bess_kw": 0.0, "pv_kw": 0.0, "connector_kw": np.full(2, 10.0), "connector_minimum_kw": np.zeros(2)}
    plant = made.site(2, **{**plant, **(site or {})})
    hub = made.hub(made.connectors([False] * 2, [0.0] * 2, [0.0] * 2), forecast=Perfect(reality, 0.0))
    given_ = {"resolution": "1h", "subsidy_per_kwh": 0.1, "eens_per_kwh": (10, 5, 5, 5), "ev_eens_per_kwh": 3}
    given_ |= {"owners": {"premium_to_per_kwh": 0.0}}
    midnight_s = (midnight_h if midnight_h is not None else hours) * HOUR_S
    time = datetime(2021, 7, 15, tzinfo=ZoneInfo("Asia/Shanghai"))
    day = Day(plant, hub, IevcsParameters(**{**given_, **parameters}), 0.0, time, midnight_s, until_s, check, {})
    outcome = day.plan(hub, 0.0, 0.0, 0.0)
    assert outcome.schedule is not None, outcome.problem
    return day, hub, outcome


def test_an_ev_charges_when_purchase_is_cheap():
    schedule = first_plan(ev(energy_kwh=4.0, v2g=False))[2].schedule
    assert schedule.plan.session_kw[0] == pytest.approx([0.0, 4.0])
    # 5 kWh at 0.3, 9 kWh at 0.05, less 4 kWh at the charging price of 0.05
    assert schedule.plan.cost == pytest.approx(1.5 + 0.45 - 0.2)


def test_an_owner_who_agreed_sells_dear_energy_and_gets_it_back_when_it_is_cheap():
    plan = first_plan(ev())[2].schedule.plan
    assert plan.session_kw[0] == pytest.approx([-5.0, 5.0])
    # purchase 10 kWh at 0.05; subsidy 5 kWh at 0.1; charging 5 kWh at 0.05
    assert plan.cost == pytest.approx(0.5 + 0.5 - 0.25)


@pytest.mark.parametrize(
    ("changes", "given_kwh"),
    [
        ({"v2g": False}, 0.0),
        ({"soc": 0.22}, 0.8),  # 20 % of 40 kWh stay (eq. 10)
        ({"soc": 0.1}, 0.0),  # who comes with less keeps it
        ({"energy_kwh": 5.0}, 0.0),  # no time to make it good: the target comes first (eq. 1)
        ({"energy_kwh": 3.0}, 2.0),
    ],
)
def test_v2g_stops_at_the_agreement_at_20_percent_and_at_the_target(changes, given_kwh):
    plan = first_plan(ev(**changes))[2].schedule.plan
    assert max(0.0, -plan.session_kw[0, 0]) == pytest.approx(given_kwh)
    assert plan.session_unserved_kwh[0] == pytest.approx(0.0, abs=1e-9)


def test_nobody_is_paid_less_for_energy_than_he_pays_for_it():
    assert of_stage_one(np.array([0.05, 0.2]), 0.1, {}).subsidy_per_kwh == 0.2
    assert of_stage_one(np.array([0.05, 0.2]), 0.1, {"a": 0.3}).subsidy_per_kwh == 0.3


def test_shiftable_load_waits_for_a_low_price_and_is_made_good_before_the_last_step_of_the_day():
    schedule = first_plan(buy=(0.3, 0.2, 0.05, 0.01), load=(0.0, 0.0, 4.0, 0.0), midnight_h=4, recovery_kw=20.0)[
        2
    ].schedule
    # 01:00 to 02:00 waits too; the last hour is kept in reserve although it is the cheapest
    assert schedule.plan.load_kw[2] == pytest.approx([0.0, 0.0, 12.0, 4.0])
    assert schedule.waiting_kwh == pytest.approx([4.0, 8.0, 0.0, 0.0], abs=1e-9)


def test_critical_load_is_fed_and_the_cheapest_class_is_cut_when_the_contract_is_too_small():
    plan = first_plan(
        load=(10.0, 8.0, 0.0, 6.0), site={"contracted_kw": 20.0}, eens_per_kwh=(10, 5, 5, 0.5), controllable_cut=0.3
    )[2].schedule.plan
    assert plan.load_kw[0] == pytest.approx([10.0, 10.0])
    assert plan.load_unserved_kw[3] == pytest.approx([4.0, 4.0])
    assert plan.load_unserved_kw[1] == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize(("horizon", "hours", "before_midnight"), [("extended", 4, 0.0), ("24h", 2, 4.0)])
def test_a_plan_to_midnight_wants_half_of_the_energy_at_half_of_the_stay(horizon, hours, before_midnight):
    # purchase is cheap only after midnight, at 2 h
    day, _, outcome = first_plan(
        ev(departure_h=4.0, energy_kwh=8.0, v2g=False), buy=(0.3, 0.3, 0.05, 0.05), midnight_h=2, horizon=horizon
    )
    assert day.steps.n == hours
    assert outcome.schedule.plan.session_kw[0, :2].sum() == pytest.approx(before_midnight, abs=1e-9)


def test_the_horizon_is_29_h_when_the_last_ev_leaves_at_five():
    day = first_plan(ev(arrival_h=20.0, departure_h=29.0, energy_kwh=5.0), buy=(0.1,) * 31, midnight_h=24)[0]
    assert day.steps.edges_s[-1] == 29 * HOUR_S


def test_steps_lie_on_the_clock_whenever_the_day_begins():
    edges = grid_of_steps(100.0, 7200.0, 8000.0, 3600.0)
    assert edges.tolist() == [100.0, 3600.0, 7200.0, 8000.0]


def test_stage_three_plans_what_is_left_on_the_same_model():
    day, hub, outcome = first_plan(ev(energy_kwh=4.0, departure_h=3.0, v2g=False), buy=(0.3, 0.2, 0.05))
    later = day.plan(hub, 0.0, HOUR_S, 0.0)
    assert outcome.built
    assert not later.built
    assert later.schedule.steps.now == 1
    assert later.schedule.plan.session_kw[0] == pytest.approx(outcome.schedule.plan.session_kw[0])
    assert later.schedule.step(0.0) is None


def test_an_unexpected_ev_finds_a_slot_and_too_many_make_a_larger_model():
    day, hub, _ = first_plan(ev(energy_kwh=4.0, departure_h=3.0), buy=(0.3, 0.2, 0.05))
    more = [ev(f"x{k}", energy_kwh=1.0, departure_h=3.0) for k in range(6)]
    reality = hub.forecast

    class Crowd(Perfect):
        def sessions(self, until_s):
            return Perfect(Reality(Series.constant(0.0), by_hour(*[np.zeros(4)] * 3), FREE, more), 0.0).sessions(
                until_s
            )

        def price(self, name, edges_s):
            return reality.price(name, edges_s)

        def load_kw(self, edges_s):
            return reality.load_kw(edges_s)

    FREE = Tariffs.of({}, 3 * HOUR_S)
    crowded = made.hub(hub.connectors, forecast=Crowd(Reality(Series.constant(0.0), by_hour(0.0), FREE, ()), 0.0))
    outcome = day.plan(crowded, 0.0, HOUR_S, 0.0)
    assert outcome.built
    assert outcome.schedule.plan.session_kw[:6].sum() == pytest.approx(6.0)


def test_no_load_is_cut_and_no_ev_waits_to_fill_the_battery():
    battery = {"contracted_kw": 11.0, "bess_kw": 20.0, "bess_kwh": 40.0, "bess_soc_max": 1.0}
    load, car = (4.0, 0.0, 0.0, 4.0), ev(energy_kwh=4.0, v2g=False)
    outcome = first_plan(car, load=load, site=battery, eens_per_kwh=(10, 5, 5, 0.5), soc_end=0.9)[2]
    plan = outcome.schedule.plan
    assert plan.load_unserved_kw.sum() == pytest.approx(0.0, abs=1e-9)
    assert plan.session_unserved_kwh[0] == pytest.approx(0.0, abs=1e-9)
    # 3 kW for 2 h are left, less the 4 kWh of the EV: of 16 kWh from 50 to 90 %
    assert plan.bess_kwh[-1] == pytest.approx(22.0)
    assert outcome.problem == "the plan ends 14.0 kWh below soc_end"


def test_the_battery_is_filled_at_any_price():
    battery = {"bess_kw": 20.0, "bess_kwh": 40.0, "bess_soc_max": 1.0}
    outcome = first_plan(buy=(0.9, 0.9), site=battery, eens_per_kwh=(10, 5, 5, 0.5), load=(5.0, 0, 0, 0), soc_end=0.9)[
        2
    ]
    assert outcome.schedule.plan.bess_kwh[-1] == pytest.approx(36.0)
    assert outcome.problem == ""


def test_the_battery_is_filled_before_anything_is_sold():
    battery = {"bess_kw": 20.0, "bess_kwh": 40.0}
    outcome = first_plan(buy=(0.05, 0.05), sell=0.9, site=battery, eens_per_kwh=(10, 0.5, 0.5, 0.5), soc_end=0.5)[2]
    assert outcome.schedule.plan.bess_kwh[-1] == pytest.approx(20.0)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 10**6))
def test_whatever_comes_there_is_a_plan(seed):
    rng = np.random.default_rng(seed)
    evs = [
        ev(f"e{k}", 0.0, float(rng.uniform(1, 4)), float(rng.uniform(0, 20)), rng.uniform(0.1, 0.5)) for k in range(3)
    ]
    contract_kw, load = float(rng.choice([0.0, 5.0, 60.0])), tuple(rng.uniform(0.0, 15.0, (4, 4)))
    soc_end = float(rng.uniform(0.0, 1.0))
    site = {"contracted_kw": contract_kw, "bess_kw": 20.0}
    plan = first_plan(*evs, buy=(0.1,) * 4, load=load, soc_end=soc_end, site=site)[2].schedule.plan
    # critical load goes last: where some is lost, nothing else of the building is served that could be cut
    lost = plan.load_unserved_kw[0] > 1e-6
    assert (plan.load_kw[1:, lost].sum() == pytest.approx(0.0, abs=1e-6)) or not lost.any()


@pytest.mark.parametrize("age_s", [0.0, 900.0])
def test_pv_is_compared_with_what_was_told_for_the_time_it_was_measured(age_s):
    steps = Steps(np.array([3600.0, 7200.0, 10800.0]))
    told = by_hour(10.0, 30.0, 50.0)
    sun = Reality(told, by_hour(*[np.zeros(4)] * 3), Tariffs.of({}, 3 * HOUR_S), ())
    # measured before the hour: 5 of 10 kW
    hub = made.hub(made.connectors([], [], []), p_pv_kw=5.0, age_s={"pv": age_s}, forecast=Perfect(sun, 2700.0))
    found = pv_kw(made.site(0, pv_kw=100.0), hub, steps, 2700.0, HOUR_S)
    lead_h = np.array([1.5, 2.5]) - (2700.0 - age_s) / HOUR_S
    assert found == pytest.approx(np.array([30.0, 50.0]) * (1.0 - 0.5 * np.exp(-lead_h)))
    # more than told, but never more than the panels can give
    bright = pv_kw(made.site(0, pv_kw=45.0), replace(hub, p_pv_kw=20.0), steps, 2700.0, 1e9)
    assert bright == pytest.approx([45.0, 50.0])


def test_no_plan_stores_more_in_an_ev_than_was_asked_for():
    # at 0.05 then 0.3: a fuller battery would pay, but the connector stops
    plan = first_plan(ev(energy_kwh=2.0, departure_h=3.0), buy=(0.05, 0.05, 0.3))[2].schedule.plan
    assert np.cumsum(plan.session_kw[0]).max() <= 2.0 + 1e-9


def test_an_ev_below_its_floor_is_not_planned_to_give_back():
    # it could charge from 10 to 22.5 % and give it back
    plan = first_plan(ev(soc=0.1, departure_h=3.0, energy_kwh=5.0), buy=(0.05, 0.3, 0.05))[2].schedule.plan
    assert plan.session_kw[0].min() >= -1e-9


# --- stage IV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaves_h", "gives"), [(3.0, True), (1.0, False)])
def test_energy_is_given_back_only_where_it_is_bought_cheaply_before_the_ev_leaves(leaves_h, gives):
    # subsidy 0.1, charging 0.05: it pays from 0.05 above the lowest price of the stay on
    _, hub, first = first_plan(ev(departure_h=3.0), buy=(0.2, 0.2, 0.05), subsidy_per_kwh=0.1)
    seen = replace(hub.connectors, session_id=("a", None), departure_s=np.array([leaves_h * HOUR_S, np.nan]))
    assert (_worth_giving(first.schedule, seen, 0)[0] <= 0.2) == gives


def test_a_meter_that_stood_still_on_a_dead_bus_tells_nothing_of_the_load():
    account, demand_kw = LoadAccount(backlog_kwh=1.0), np.array([10.0, 10.0, 6.0, 4.0])
    account.measure(45.0, demand_kw, 9.0)  # 9 kW make good what waits
    assert account.factor == pytest.approx(1.2)
    account.measure(0.0, demand_kw, 9.0)
    assert account.factor == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("secondary_kw", "bess_kw", "served", "lends_kw"),
    [
        (40.0, 0.0, [10, 10, 6, 8], 0.0),  # all of it
        (28.0, 0.0, [10, 10, 6, 2], 0.0),  # general load costs least
        (28.0, 4.0, [10, 10, 6, 6], 4.0),  # storage lends
        (20.0, 0.0, [10, 10, 0, 0], 0.0),
        (16.0, 0.0, [10, 7, 0, 0], 0.0),  # below its band controllable load obeys no limit
        (16.0, 20.0, [10, 7, 0, 0], 1.0),  # the source alone carries less than what cannot be cut: for that only
        (9.0, 20.0, [10, 7, 0, 0], 8.0),
    ],
)
def test_in_an_island_the_source_carries_what_is_served(secondary_kw, bess_kw, served, lends_kw):
    site = made.site(2, secondary_kw=secondary_kw)
    demand_kw = np.array([10.0, 10.0, 6.0, 8.0])
    idle = base.Setpoints(connector_kw=np.zeros(2), pv_limit_kw=36.0)  # 34 kW of load, an EV takes 2 kW
    setpoints, served_kw = carried(site, IevcsParameters(controllable_cut=0.3), idle, demand_kw, demand_kw, bess_kw)
    assert served_kw == pytest.approx(served)
    assert setpoints.bess_kw == pytest.approx(lends_kw)
    assert setpoints.pv_limit_kw == pytest.approx(2.0 + sum(served) - lends_kw)  # nothing flows back
    assert np.minimum(setpoints.load_limit_kw, demand_kw) == pytest.approx(served)


def test_in_an_island_without_a_forecast_only_critical_load_is_served():
    idle = base.Setpoints(connector_kw=np.zeros(2))
    setpoints, _ = carried(made.site(2), IevcsParameters(), idle, np.full(4, np.nan), np.full(4, np.nan), 5.0)
    assert setpoints.load_limit_kw == (np.inf, 0.0, 0.0, 0.0)
    assert setpoints.pv_limit_kw == 0.0  # nobody knows how much load that leaves


# --- stage II ---------------------------------------------------------------------------------------------------------


def plan_of(session_kw: np.ndarray) -> HubPlan:
    n = session_kw.shape[1]
    zero = np.zeros(n)
    return HubPlan(
        buy_kw=zero,
        sell_kw=zero,
        pv_kw=zero,
        pv_q_kvar=zero,
        bess_kw=zero,
        bess_q_kvar=zero,
        bess_kwh=np.zeros(n + 1),
        dg_kw=zero,
        dg_q_kvar=zero,
        session_kw=session_kw,
        session_q_kvar=np.zeros_like(session_kw),
        session_unserved_kwh=np.zeros(len(session_kw)),
        load_kw=np.zeros((4, n)),
        load_unserved_kw=np.zeros((4, n)),
        peak_kw=0.0,
        costs={},
        step_cost=zero,
    )


def test_tiers_follow_the_load_and_keep_what_drivers_pay():
    steps, before = Steps.regular(6, HOUR_S), np.full(6, 0.2)
    charged = np.array([0.0, 3.0, 1.0, 0.0, 2.0, 0.0])
    load = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    after = tiers(Tiers(spread=0.5), steps, before, load, 6 * HOUR_S, lambda price: price @ charged, 0.2 * 6)
    # valley, flat and peak, two hours each: 0.5, 1 and 1.5 of the flat price; 3 * 0.5 + 1 * 1 + 2 * 1.5 = 5.5 of 6
    assert after == pytest.approx(0.2 * 6 / 5.5 * np.array([0.5, 0.5, 1.0, 1.0, 1.5, 1.5]))


def test_hours_after_midnight_keep_their_price():
    after = tiers(Tiers(), Steps.regular(8, HOUR_S), np.full(8, 0.2), np.arange(8.0), 6 * HOUR_S, np.sum, 8 * 0.2)
    assert after[6:] == pytest.approx([0.2, 0.2])
    assert after[:6].mean() == pytest.approx(0.2)


@pytest.mark.parametrize("paid", [0.0, 9.0])
def test_tiers_stay_near_the_price_before_where_no_scale_keeps_what_drivers_pay(paid):
    steps, load = Steps.regular(6, HOUR_S), np.arange(6.0)
    after = tiers(
        Tiers(spread=0.5), steps, np.full(6, 0.2), load, 6 * HOUR_S, lambda price: 1.0 + 1e-3 * price[0], paid
    )
    assert 0.0 <= after.min() <= after.max() <= 3.0 * 0.2


@pytest.mark.parametrize(
    ("stay_h", "asked_kwh", "price"),
    [
        ((0.0, 4.0), 7.0, 0.1),  # one hour at 7 kW: the cheapest of four
        ((0.0, 4.0), 14.0, 0.15),  # two hours: 0.1 and 0.2
        ((0.0, 2.0), 7.0, 0.3),  # the cheap hours are over
        ((0.5, 2.5), 7.0, 0.25),  # half an hour at 0.2, half at 0.3
        ((0.0, 1.0), 70.0, 0.4),  # more than fits
        ((0.0, 4.0), 0.0, 0.1),  # nothing asked for: what V2G takes back costs the cheapest hour
        ((7.0, 8.0), 7.0, 0.25),  # not there: what all pay
    ],
)
def test_drivers_pay_for_the_cheapest_hours_of_their_stay(stay_h, asked_kwh, price):
    prices = DriverPrices(np.array([0.4, 0.3, 0.2, 0.1]), 0.5, cheapest_hours=True)
    arrival_s, departure_s = (np.array([HOUR_S * h]) for h in stay_h)
    edges_s = HOUR_S * np.arange(5)
    found = prices.of_sessions(("a",), edges_s, arrival_s, departure_s, np.array([asked_kwh]), np.array([7.0]))
    assert found == pytest.approx(np.full((1, 4), price))


def test_who_came_before_midnight_pays_what_he_was_told():
    prices = DriverPrices(np.array([0.4, 0.3]), 0.5, cheapest_hours=True, agreed={"b": 0.17})
    stays = np.zeros(2), np.full(2, 2 * HOUR_S)
    found = prices.of_sessions(("a", "b"), HOUR_S * np.arange(3), *stays, np.full(2, 7.0), np.full(2, 7.0))
    assert found[:, 0] == pytest.approx([0.3, 0.17])


def test_the_station_earns_nothing_by_charging_in_dear_hours():
    # flat purchase, dear tiers while the building is busy: with the price of the hour it would charge there
    loads = np.array([[40.0, 0, 0, 0], [5.0, 0, 0, 0], [5.0, 0, 0, 0], [40.0, 0, 0, 0]])
    evs = [ev("a", 0.0, 4.0, 10.0, v2g=False)]
    day, hub, first = first_plan(*evs, buy=(0.1,) * 4, load=loads, tiers={"spread": 0.4}, cost_bound=1.0)
    updated = day.update_prices(hub, 0.0, first.schedule, 0.0)
    assert np.ptp(updated.prices.charging_per_kwh) > 0.01
    assert np.ptp(updated.driver_prices["a"]) == 0.0
    assert updated.paid_by_drivers(updated.prices) == pytest.approx(
        first.schedule.paid_by_drivers(first.schedule.prices)
    )


def test_the_ceiling_of_the_subsidy_spends_the_bound_on_what_is_given_back():
    steps, plan, price = Steps.regular(2, HOUR_S), plan_of(np.array([[-5.0, 5.0]])), np.full(2, 0.2)
    # 0.4 allowed, 5 kWh: 0.08 more per kWh
    assert ceiling(steps, plan, 0.25, price, np.array([0.9, 0.1]), 0.4) == pytest.approx((0.25, 0.33))
    # never more than energy can be worth: 0.2 + (0.3 - 0.25)
    assert ceiling(steps, plan, 0.25, price, np.array([0.3, 0.2]), 9.0) == pytest.approx((0.25, 0.3))
    # drivers pay 0.5 less for the plan: beyond the bound
    assert ceiling(steps, plan, 0.25, price, np.array([0.9, 0.1]), 0.4 - 0.5) is None
    # a tier above the subsidy raises it by 0.05 for 5 kWh
    assert ceiling(steps, plan, 0.25, np.array([0.2, 0.3]), np.array([0.9, 0.1]), 0.2) is None


@settings(max_examples=examples(15))
@given(seed=st.integers(0, 10**6))
def test_stage_two_never_makes_the_plan_dearer_than_the_bound(seed):
    rng = np.random.default_rng(seed)
    n = 6
    evs = [
        ev(f"e{k}", 0.0, float(rng.uniform(3, n)), float(rng.uniform(0, 8)), float(rng.uniform(0.2, 0.7)))
        for k in range(4)
    ]
    bound = float(rng.uniform(0.05, 1.0))
    day, hub, outcome = first_plan(
        *evs,
        buy=tuple(rng.uniform(0.05, 0.5, n)),
        load=tuple(rng.uniform(0.0, 12.0, (n, 4))),
        cost_bound=bound,
        owners={"premium_to_per_kwh": 0.1},
        tiers={"spread": float(rng.uniform(0.0, 0.4))},
        recovery_kw=20.0,
    )
    updated = day.update_prices(hub, 0.0, outcome.schedule, 0.0)
    if updated is not None:
        assert updated.plan.cost <= outcome.schedule.plan.cost + bound + 1e-6
        assert updated.prices.subsidy_per_kwh >= max(outcome.schedule.prices.subsidy_per_kwh, 0.05) - 1e-12


@pytest.mark.parametrize("premium", [0.0, 0.02, 0.05, 0.1])
def test_the_share_of_owners_rises_linearly_with_the_premium(premium):
    names = [f"session-{k}" for k in range(4000)]
    prices = DriverPrices(np.full(3, 0.2), 0.2 + premium)
    accepted = accepting(Owners(premium_to_per_kwh=0.1), prices, names)
    assert accepted.mean() == pytest.approx(premium / 0.1, abs=0.03)
    more = accepting(Owners(premium_to_per_kwh=0.1), DriverPrices(np.full(3, 0.2), 0.3), names)
    assert (accepted <= more).all()


# --- network check ----------------------------------------------------------------------------------------------------


def test_the_check_finds_the_voltages_of_pandapower_at_bus_18():
    import pandapower as pp
    import pandapower.networks as pn

    grid_kw = np.array([-80.0, 0.0, 90.0, 260.0])
    net = pn.case33bw()
    at = net.load.index[net.load.bus == 17][0]
    expected = []
    for p_kw in grid_kw:
        net.load.loc[at, ["p_mw", "q_mvar"]] = p_kw / 1000.0, 0.0
        pp.runpp(net, numba=False)
        expected.append(net.res_bus.vm_pu.at[17])
    check = NetworkCheck(FeederSection(bus=17))
    assert check.v_pu(grid_kw) == pytest.approx(expected, abs=1e-6)
    max_kw = check.max_import_kw(400.0)
    assert check.v_pu(np.array([max_kw, max_kw + 0.2])) == pytest.approx([0.9, 0.9], abs=3e-5)
    assert check.broken(np.array([max_kw, max_kw + 0.2])).tolist() == [0, -1]
    assert check.max_import_kw(100.0) == 100.0
    assert NetworkCheck(FeederSection(bus=17, v_min_pu=0.91)).broken(grid_kw).tolist() == [0, 0, 0, -1]
    assert NetworkCheck(FeederSection(bus=17, v_max_pu=0.925)).broken(grid_kw).tolist() == [1, 0, 0, 0]


def test_a_plan_that_breaks_the_voltage_limit_is_solved_again_with_a_tighter_one():
    feeder = FeederSection(bus=17, v_min_pu=0.915)  # about 100 kW
    check = NetworkCheck(feeder)
    site = {"contracted_kw": 200.0, "installed_kw": 200.0, "connector_kw": np.full(2, 120.0)}
    evs = [ev("a", energy_kwh=25.0, p_max_kw=110.0, departure_h=3.0, v2g=False, soc=0.1)]
    evs += [ev("b", energy_kwh=25.0, p_max_kw=110.0, departure_h=3.0, v2g=False, soc=0.1)]
    arguments = {"buy": (0.3, 0.05, 0.1), "site": site, "load": (60.0, 0.0, 0.0, 0.0)}
    free = first_plan(*evs, **arguments)[2]
    held = first_plan(*evs, **arguments, check=check, feeder=feeder)[2]
    assert check.v_pu(free.schedule.grid_kw).min() < 0.915
    assert held.tightened >= 1
    assert check.v_pu(held.schedule.grid_kw).min() >= 0.915 - 1e-6
    assert held.problem == ""
    assert held.schedule.plan.cost > free.schedule.plan.cost
    assert held.schedule.plan.session_unserved_kwh.sum() == pytest.approx(0.0, abs=1e-6)


def test_a_limit_that_no_plan_can_keep_is_told():
    feeder = FeederSection(bus=17, v_min_pu=0.95)  # even without any import it is lower
    outcome = first_plan(check=NetworkCheck(feeder), feeder=feeder)[2]
    assert "break a voltage limit" in outcome.problem


def test_data_that_no_solver_must_see_are_an_outcome_and_no_exception():
    day, hub, _ = first_plan(ev(energy_kwh=4.0))

    class Broken(Perfect):
        def load_kw(self, edges_s):
            return np.full((edges_s.size - 1, 4), np.nan)

        def price(self, name, edges_s):
            return hub.forecast.price(name, edges_s)

    nothing = Reality(Series.constant(0.0), by_hour(0.0), Tariffs.of({}, HOUR_S), ())
    outcome = day.plan(made.hub(hub.connectors, forecast=Broken(nothing, 0.0)), 0.0, 0.0, 0.0)
    assert outcome.schedule is None
    assert outcome.status == -1
    assert "critical_kw" in outcome.problem


def test_midnight_is_that_of_the_clock():
    from evhub.controllers.ievcs.ievcs_controller import _next_hour_s, _to_midnight_s

    zone = ZoneInfo("Europe/Berlin")
    assert _to_midnight_s(datetime(2024, 3, 31, 0, 0, tzinfo=zone)) == timedelta(hours=23).total_seconds()
    assert _next_hour_s(0.0, 86400.0) == 3600.0
    assert _next_hour_s(3599.0, 86400.0) == 3600.0
    assert _next_hour_s(1000.0, 4000.0) == 4000.0
