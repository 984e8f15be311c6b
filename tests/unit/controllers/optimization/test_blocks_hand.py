"""Each building block in a case small enough to solve by hand; the numbers are worked out in the docstrings."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from evhub.controllers.optimization import hub_model
from evhub.controllers.optimization.blocks.generator_block import GeneratorData
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData, HubModel
from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus
from evhub.controllers.optimization.standard_form import compile_model

EENS = (10.0, 2.0, 1.0, 0.5)
NO_GRID = GridData(0.0, 0.0, 0.0, 0.0)


def hours(n):
    return Steps.regular(n, 3600.0)


def load(kw):
    return LoadsData(kw, 0.0, 0.0, 0.0, EENS)


def solve(data):
    model = HubModel(data)
    with Program(model.model) as program:
        solution = program.solve(gap=0.0)
        assert solution.status is SolveStatus.OPTIMAL
        plan = model.plan(program)
    assert plan.cost == pytest.approx(solution.objective, abs=1e-9)
    return plan


def conflict(data):
    with Program(HubModel(data).model) as program:
        solution = program.solve()
    assert solution.status is SolveStatus.INFEASIBLE
    return solution.conflict


def test_a_model_built_while_garbage_is_collected_is_the_same(monkeypatch):
    data = HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=BATTERY)
    paused = compile_model(HubModel(data).model)
    monkeypatch.setattr(hub_model, "PauseGC", nullcontext)
    plain = compile_model(HubModel(data).model)
    for name in ("cost", "lower", "upper", "row_lower", "row_upper"):
        assert getattr(paused, name).tolist() == getattr(plain, name).tolist()
    assert (paused.matrix != plain.matrix).nnz == 0


# ----------------------------------------------------------------------------------------------------------- storage

CHEAP_THEN_DEAR = GridData(np.array([0.1, 0.5]), np.array([0.1, 0.5]), 50.0, 50.0)
BATTERY = StorageData(0.0, 0.0, 10.0, 5.0, 5.0, eta_charge=0.9, eta_discharge=0.8, wear_per_kwh=0.02)


def test_battery_buys_cheap_and_sells_dear_through_its_losses():
    """Buy 5 kWh for 0.50, store 4.5, deliver 4.5 x 0.8 = 3.6 for 1.80; wear 0.02 x (5 + 3.6) = 0.172."""
    plan = solve(HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=BATTERY))
    assert plan.bess_kw == pytest.approx([-5.0, 3.6])
    assert plan.bess_kwh == pytest.approx([0.0, 4.5, 0.0])
    assert plan.cost == pytest.approx(0.5 - 1.8 + 0.172)


def test_battery_keeps_what_it_must_hold_at_the_end():
    """1 of the 4.5 kWh stays: 2.8 kWh are delivered for 1.40; wear 0.02 x 7.8 = 0.156."""
    plan = solve(HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=replace(BATTERY, end_kwh=1.0)))
    assert plan.bess_kw == pytest.approx([-5.0, 2.8])
    assert plan.cost == pytest.approx(0.5 - 1.4 + 0.156)


def test_battery_keeps_what_is_worth_more_later():
    """A stored kWh sold gives 0.8 x 0.5 - 0.8 x 0.02 = 0.384; a worth of 0.4 at the end is better."""
    plan = solve(HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=replace(BATTERY, end_per_kwh=0.4)))
    assert plan.bess_kw == pytest.approx([-5.0, 0.0])


@pytest.mark.parametrize(("wear", "charged_kw"), [(0.19, 5.0), (0.21, 0.0)])
def test_wear_stops_a_cycle_that_earns_less_than_it_wears(wear, charged_kw):
    """A lossless cycle earns 0.4 a kWh and wears twice: in and out."""
    battery = StorageData(0.0, 0.0, 10.0, 5.0, 5.0, wear_per_kwh=wear)
    plan = solve(HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=battery))
    assert plan.bess_kw == pytest.approx([-charged_kw, charged_kw])


def test_measurement_outside_the_window_may_stay_there():
    """Above its window at 10.5 kWh, the battery may not charge, though it is paid to."""
    battery = StorageData(10.5, 1.0, 10.0, 5.0, 5.0)
    plan = solve(HubData(hours(1), grid=GridData(-1.0, -1.0, 50.0, 50.0), bess=battery))
    assert plan.bess_kwh == pytest.approx([10.5, 10.5])


def test_battery_that_cannot_reach_its_end_says_so():
    """3 kWh and 2 x 1 kW x 1 h make 5 kWh."""
    battery = StorageData(3.0, 0.0, 10.0, 1.0, 1.0, end_kwh=6.0)
    found = conflict(HubData(hours(2), grid=CHEAP_THEN_DEAR, bess=battery))
    assert "bess must hold 6 kWh at 7200 s" in found
    assert "bess charges and discharges within its limits of power" in found


@pytest.mark.parametrize(("missing_per_kwh", "load_kw", "end_kwh"), [(0.4, 0.0, 2.0), (0.4, 5.0, 0.0), (0.6, 5.0, 2.0)])
def test_what_is_missing_at_the_end_has_its_price(missing_per_kwh, load_kw, end_kwh):
    """1 kW of import for 2 h: all of it is stored, unless the load is worth more (0.5 per kWh)."""
    battery = StorageData(0.0, 0.0, 10.0, 5.0, 5.0, end_kwh=6.0, end_missing_per_kwh=missing_per_kwh)
    general = LoadsData(0.0, 0.0, 0.0, load_kw, EENS)
    plan = solve(HubData(hours(2), grid=GridData(0.1, 0.1, 1.0, 0.0), bess=battery, load=general))
    assert plan.bess_kwh[-1] == pytest.approx(end_kwh)
    assert plan.costs["bess.end_missing"] == pytest.approx(missing_per_kwh * (6.0 - end_kwh))


@pytest.mark.parametrize(("exclusive_kw", "cost"), [(None, -3.75), (5.0, 0.0)])
def test_binaries_stop_a_battery_from_burning_energy_at_a_negative_price(exclusive_kw, cost):
    """Full, efficiencies 0.5: charging 5 kW and giving back 1.25 kW keeps the energy and takes in 3.75 kW.

    That is paid 1 a kWh. With binaries it can only discharge, which costs.
    """
    battery = StorageData(10.0, 0.0, 10.0, 5.0, 5.0, 0.5, 0.5, exclusive_kw=exclusive_kw)
    plan = solve(HubData(hours(1), grid=GridData(-1.0, -1.0, 50.0, 50.0), bess=battery))
    assert plan.cost == pytest.approx(cost)


# -------------------------------------------------------------------------------------------------------------- grid


@pytest.mark.parametrize(("peak_kw", "cost"), [(4.0, 12.4), (15.0, 17.4)])
def test_demand_charge_is_paid_for_the_highest_purchase(peak_kw, cost):
    """Load 10 and 2 kW: 12 kWh at 0.2 make 2.4, and 1 a kW for max(10, peak so far)."""
    grid = GridData(0.2, 0.1, 50.0, 50.0, demand_per_kw=1.0, peak_kw=peak_kw)
    plan = solve(HubData(hours(2), grid=grid, load=load(np.array([10.0, 2.0]))))
    assert plan.cost == pytest.approx(cost)
    assert plan.peak_kw == pytest.approx(max(10.0, peak_kw))


def test_demand_charge_is_shaved_by_a_battery():
    """Load 10 and 2 kW, 3 kWh stored and to be kept: 3.5 kW out, then in, would make 6.5 and 5.5; 3 makes 7 and 5."""
    grid = GridData(0.2, 0.1, 50.0, 50.0, demand_per_kw=1.0)
    battery = StorageData(3.0, 0.0, 10.0, 5.0, 5.0, end_kwh=3.0)
    plan = solve(HubData(hours(2), grid=grid, load=load(np.array([10.0, 2.0])), bess=battery))
    assert plan.buy_kw == pytest.approx([7.0, 5.0])


def test_set_point_at_the_pcc_is_held_where_there_is_one():
    """Load 10, free PV 6: without a set point the hub buys 4; a set point of 7 curtails PV to 3."""
    grid = GridData(0.2, 0.1, 50.0, 50.0, setpoint_kw=np.array([np.nan, 7.0]), deviation_per_kwh=5.0)
    plan = solve(HubData(hours(2), grid=grid, load=load(10.0), pv=PvData(6.0)))
    assert plan.buy_kw == pytest.approx([4.0, 7.0])
    assert plan.pv_kw == pytest.approx([6.0, 3.0])


def test_missed_set_point_costs_its_deviation():
    """Load 10 and nothing else: 10 instead of 7 for 1 h costs 3 x 5 beside the purchase of 2."""
    grid = GridData(0.2, 0.1, 50.0, 50.0, setpoint_kw=np.array([7.0]), deviation_per_kwh=5.0)
    assert solve(HubData(hours(1), grid=grid, load=load(10.0))).cost == pytest.approx(17.0)


def test_nothing_is_bought_or_sold_in_an_outage():
    """Load 10, PV 4, grid lost in the second hour: 6 kWh are not served."""
    grid = GridData(0.2, 0.1, np.array([50.0, 0.0]), np.array([50.0, 0.0]))
    plan = solve(HubData(hours(2), grid=grid, load=load(10.0), pv=PvData(4.0)))
    assert plan.buy_kw == pytest.approx([6.0, 0.0])
    assert plan.load_unserved_kw[0] == pytest.approx([0.0, 6.0])


def test_plan_never_buys_and_sells_at_once():
    """At one price a solver may do both: here it must sell 5, so it buys 8 for a load of 3."""
    model = HubModel(HubData(hours(1), grid=GridData(0.2, 0.2, 50.0, 50.0), load=load(3.0)))
    with Program(model.model) as program:
        program.set_bounds(program.columns(model.block.component("grid").sell), 5.0, 50.0)
        program.solve()
        plan = model.plan(program)
    assert (plan.buy_kw, plan.sell_kw) == (pytest.approx([3.0]), pytest.approx([0.0]))
    assert plan.cost == pytest.approx(0.6)


# ---------------------------------------------------------------------------------------------------------------- PV


def test_pv_is_curtailed_to_load_and_export():
    """10 kW of sun, load 3 and export 2: 5 are used."""
    plan = solve(HubData(hours(1), grid=GridData(0.2, 0.1, 50.0, 2.0), load=load(3.0), pv=PvData(10.0)))
    assert plan.pv_kw == pytest.approx([5.0])
    assert plan.cost == pytest.approx(-0.2)


def test_pv_that_must_run_and_cannot_leave_is_a_conflict():
    data = HubData(hours(1), grid=GridData(0.2, 0.1, 50.0, 2.0), load=load(3.0), pv=PvData(10.0, curtailable=False))
    assert set(conflict(data)) >= {
        "pv feeds in all that the sun gives at 0 s",
        "grid may export at most 2 kW at 0 s",
        "sources and loads must balance at 0 s (load 3 kW)",
    }


@pytest.mark.parametrize(("p_kw", "q_kvar"), [(0.0, 10.0), (10.0 / 2**0.5, 10.0 / 2**0.5), (10.0, 0.0)])
def test_octagon_touches_the_circle_of_the_inverter_at_its_corners(p_kw, q_kvar):
    """At P = 0, S / sqrt(2) and S the most reactive power is sqrt(S^2 - P^2)."""
    pv = PvData(p_kw, curtailable=False, inverter_kva=10.0, q_per_kvarh=-1.0)
    with pytest.raises(ValueError, match=r"pv\.q_per_kvarh: must be >= 0, got -1"):
        HubModel(HubData(hours(1), pv=pv))
    model = HubModel(HubData(hours(1), grid=GridData(0.2, 0.1, 50.0, 50.0), pv=replace(pv, q_per_kvarh=0.001)))
    with Program(model.model) as program:
        program.set_costs(program.columns(model.block.component("pv").q_out), -1.0)
        program.solve()
        assert model.plan(program).pv_q_kvar == pytest.approx([q_kvar], abs=1e-9)


@pytest.mark.parametrize("angle", np.linspace(0.0, 2.0 * np.pi, 25))
def test_octagon_of_a_battery_lies_inside_its_circle(angle):
    """In any direction of the P-Q plane, between cos(22.5 degrees) and 1 of the apparent power."""
    battery = StorageData(50.0, 0.0, 100.0, 10.0, 10.0, inverter_kva=8.0)
    model = HubModel(HubData(hours(1), grid=GridData(0.0, 0.0, 50.0, 50.0), bess=battery))
    with Program(model.model) as program:
        block = model.block.component("bess")
        for item, cost in zip(("discharge", "charge", "q_out", "q_in"), np.array([1, -1, 1, -1]), strict=True):
            direction = np.cos(angle) if "charge" in item else np.sin(angle)
            program.set_costs(program.columns(getattr(block, item)), -cost * direction)
        program.solve()
        plan = model.plan(program)
    support = plan.bess_kw[0] * np.cos(angle) + plan.bess_q_kvar[0] * np.sin(angle)
    assert np.hypot(plan.bess_kw[0], plan.bess_q_kvar[0]) <= 8.0 + 1e-9
    assert 8.0 * np.cos(np.pi / 8) - 1e-9 <= support <= 8.0 + 1e-9


# --------------------------------------------------------------------------------------------------------- generator

ENGINE = GeneratorData(np.array([5.0, 5.0]), np.array([0.2, 0.4]), minimum_kw=3.0, running_per_h=1.0, start_cost=2.0)


@pytest.mark.parametrize(("on", "cost"), [(False, 6.2), (True, 4.2)])
def test_generator_starts_when_the_grid_is_too_small(on, cost):
    """Load 10, then 2; the grid gives 4 at 0.3. Hour 1: 4 from the grid (1.2), 6 from the engine (5 x 0.2 + 0.4),
    running 1 and start 2: 5.6. Hour 2: the engine cannot go below 3, so 2 from the grid, 0.6. No start if on before.
    """
    grid = GridData(0.3, 0.0, 4.0, 0.0)
    plan = solve(HubData(hours(2), grid=grid, load=load(np.array([10.0, 2.0])), dg=replace(ENGINE, on=on)))
    assert plan.dg_kw == pytest.approx([6.0, 0.0])
    assert plan.cost == pytest.approx(cost)


def test_generator_pays_every_start_once():
    """Load 10, 0, 10: off in between, as 3 kW could go nowhere: two starts."""
    plan = solve(HubData(hours(3), grid=NO_GRID, load=load(np.array([10.0, 0.0, 10.0])), dg=ENGINE))
    assert plan.costs["dg.start"] == pytest.approx(4.0)


def test_generator_has_fuel_for_so_much():
    """7 kWh of fuel, two hours of 5 kW: 3 kWh are not served at 10 a kWh."""
    plan = solve(HubData(hours(2), grid=NO_GRID, load=load(5.0), dg=replace(ENGINE, energy_kwh=7.0)))
    assert plan.dg_kw.sum() == pytest.approx(7.0)
    assert plan.costs["load.critical_lost"] == pytest.approx(30.0)


# ------------------------------------------------------------------------------------------------------------- loads

CLASSES = LoadsData(6.0, 4.0, np.array([3.0, 0.0]), 2.0, EENS, controllable_band=0.5, shiftable_max_kw=3.0)


def served_by(source_kw, data):
    """A source of free energy, 8 kW in the first hour say, is a PV plant."""
    return solve(HubData(hours(2), pv=PvData(np.array(source_kw)), load=data))


def test_shiftable_load_waits_for_a_better_hour():
    """15 kW are asked for and 8 there: 3 wait, then general (2 at 0.5) and controllable (2 at 2) are cut: 5 in all."""
    plan = served_by([8.0, 20.0], CLASSES)
    assert plan.load_kw == pytest.approx(np.array([[6, 6], [2, 4], [0, 3], [0, 2]]))
    assert plan.load_unserved_kw == pytest.approx(np.array([[0, 0], [2, 0], [0, 0], [2, 0]]))
    assert plan.cost == pytest.approx(5.0)


def test_shiftable_load_is_made_good_within_its_day():
    """The day ends after the first hour: what waited there is lost, 3 at 1 a kWh beside the 5."""
    plan = served_by([8.0, 20.0], replace(CLASSES, made_good=np.array([True, True])))
    assert plan.load_kw[2] == pytest.approx([0.0, 0.0])
    assert plan.cost == pytest.approx(8.0)


def test_what_was_put_off_before_is_still_due():
    """0.5 kWh from before the plan come on top of the 3."""
    plan = served_by([20.0, 20.0], replace(CLASSES, backlog_kwh=0.5, shiftable_max_kw=10.0))
    assert plan.load_kw[2].sum() == pytest.approx(3.5)


def test_critical_load_is_the_last_to_go():
    """5 kW for 12 that cannot wait: general 2 and controllable 4 go first (2 of them beyond the band, at 6), then 1."""
    plan = served_by([5.0, 20.0], CLASSES)
    assert plan.load_unserved_kw[:, 0] == pytest.approx([1.0, 4.0, 0.0, 2.0])
    assert plan.cost == pytest.approx(10.0 + 2 * 2.0 + 2 * 6.0 + 2 * 0.5)


# ---------------------------------------------------------------------------------------------------------- sessions

EV = SessionsData(
    names=("s12",),
    connectors=("3",),
    arrival_s=np.array([1800.0]),
    departure_s=np.array([8100.0]),
    energy_kwh=np.array([5.0]),
    target_kwh=np.array([16.0]),
    capacity_kwh=np.array([40.0]),
    charge_kw=np.array([8.0]),
    eens_per_kwh=5.0,
)
TARIFF = GridData(np.array([0.3, 0.1, 0.2]), 0.0, 50.0, 50.0)


def test_ev_charges_in_the_cheapest_hours_of_its_stay():
    """From 0:30 to 2:15 at 8 kW: 4, 8 and 2 kWh fit. 11 kWh: 8 at 0.1, 2 at 0.2, 1 at 0.3."""
    plan = solve(HubData(hours(3), grid=TARIFF, sessions=EV))
    assert plan.session_kw == pytest.approx(np.array([[1.0, 8.0, 2.0]]))
    assert plan.cost == pytest.approx(0.8 + 0.4 + 0.3)


@pytest.mark.parametrize("v2g", [False, True])
def test_infeasible_target_is_softened_and_recorded(v2g):
    """20 kWh asked for, 14 fit: 6 are not served at 5 a kWh; the rest costs 4 x 0.3 + 8 x 0.1 + 2 x 0.2."""
    plan = solve(HubData(hours(3), grid=TARIFF, sessions=replace(EV, target_kwh=np.array([25.0]), v2g=v2g)))
    assert plan.session_unserved_kwh == pytest.approx([6.0])
    assert plan.cost == pytest.approx(30.0 + 2.4)


@pytest.mark.parametrize("v2g", [False, True])
def test_energy_that_must_be_reached_and_cannot_says_why(v2g):
    ev = replace(EV, target_kwh=np.array([25.0]), departure_min_kwh=np.array([25.0]), v2g=v2g)
    steps = Steps.regular(3, 3600.0, start=datetime(2024, 3, 1, 6, 45))
    sentence = "session s12 needs 20 kWh by 09:00, at most 14 kWh fit behind connector 3"
    assert conflict(HubData(steps, grid=TARIFF, sessions=ev)) == (sentence,)


def test_sentence_follows_the_data():
    model = HubModel(HubData(hours(3), grid=TARIFF, sessions=EV))
    with Program(model.model) as program:
        ev = replace(EV, names=("s13",), target_kwh=np.array([25.0]), departure_min_kwh=np.array([25.0]))
        model.update(program, HubData(hours(3), grid=TARIFF, sessions=ev))
        sentence = "session s13 needs 20 kWh by 8100 s, at most 14 kWh fit behind connector 3"
        assert program.solve().conflict == (sentence,)


V2G = replace(
    EV,
    arrival_s=np.array([0.0]),
    departure_s=np.array([7200.0]),
    energy_kwh=np.array([20.0]),
    target_kwh=np.array([20.0]),
    charge_kw=np.array([7.0]),
    discharge_kw=7.0,
    floor_kwh=8.0,
    subsidy_per_kwh=0.2,
    v2g=True,
)
PEAK_THEN_CHEAP = GridData(np.array([0.5, 0.1]), np.array([0.5, 0.1]), 50.0, 50.0)


@pytest.mark.parametrize(
    ("changes", "given_back_kw", "cost"),
    [
        ({}, 7.0, -1.4),  # 7 x (0.5 - 0.2 subsidy - 0.1 to charge them again)
        ({"floor_kwh": 15.0}, 5.0, -1.0),  # from 20 to 15 kWh
        ({"subsidy_per_kwh": 0.45}, 0.0, 0.0),  # earns 0.4, costs 0.45
        ({"wear_per_kwh": 0.25}, 0.0, 0.0),  # the subsidy and the wear cost 0.45
        ({"discharge_kw": 0.0}, 0.0, 0.0),  # the owner did not agree
        ({"floor_kwh": 25.0}, 0.0, 0.0),  # arrived below the floor
        ({"target_kwh": np.array([17.0])}, 7.0, -1.7),  # 3 of the 7 need not be charged again: 3.5 - 1.4 - 0.4
    ],
)
def test_v2g_gives_back_at_the_peak(changes, given_back_kw, cost):
    plan = solve(HubData(hours(2), grid=PEAK_THEN_CHEAP, sessions=replace(V2G, **changes)))
    assert plan.session_kw[0, 0] == pytest.approx(-given_back_kw)
    assert plan.cost == pytest.approx(cost)


def test_driver_pays_for_what_is_charged():
    """11 kWh at 0.4 bring 4.4, against the 1.5 of the purchase."""
    plan = solve(HubData(hours(3), grid=TARIFF, sessions=replace(EV, charging_per_kwh=0.4)))
    assert plan.cost == pytest.approx(1.5 - 4.4)


def test_ev_that_goes_on_after_the_horizon_has_its_target_at_the_end():
    plan = solve(HubData(hours(3), grid=TARIFF, sessions=replace(EV, departure_s=np.array([1e6]))))
    assert plan.session_kw.sum() == pytest.approx(11.0)


# ----------------------------------------------------------------------------------------------------- balance, steps


def test_dual_of_the_balance_is_the_price_of_power_over_the_step():
    """Half an hour at 0.2 a kWh: one kW more costs 0.1."""
    model = HubModel(HubData(Steps.regular(2, 1800.0), grid=GridData(0.2, 0.1, 50.0, 50.0), load=load(4.0)))
    with Program(model.model) as program:
        program.solve()
        assert program.duals(program.rows(model.block.component("balance").power)) == pytest.approx([0.1, 0.1])


def test_share_of_a_step_in_which_an_ev_is_there():
    """From 0:15 to 1:30, on hours: 3/4, 1/2, 0; nothing of what is over."""
    steps = hours(3)
    share = steps.share(np.array([900.0]), np.array([5400.0]))
    assert share == pytest.approx(np.array([[0.75, 0.5, 0.0]]))
    assert steps.at(3600.0).share(np.array([900.0]), np.array([5400.0])) == pytest.approx(np.array([[0.0, 0.5, 0.0]]))


def test_clock_reads_as_people_write_it():
    steps = Steps.regular(30, 3600.0, start=datetime(2024, 3, 1))
    assert [steps.clock(t) for t in (32400.0, 97200.0)] == ["09:00", "03:00 (day 2)"]
    assert steps.at(3599.0).now == 0
    assert steps.at(3600.0).now == 1
