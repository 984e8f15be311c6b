"""The loop of dispatch, load flow and constraints: what it calls feasible is, what it costs, and what it cannot do."""

from copy import deepcopy
from dataclasses import fields
from itertools import pairwise, product

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers.ems.constraints import NetworkLimits
from evhub.controllers.ems.dispatch_loop import Loop, Verdict
from evhub.controllers.ems.ems_commands import commanded
from evhub.controllers.ems.ems_dispatch import EmsDispatch, EmsSchedule, Places, set_points
from evhub.controllers.optimization.blocks.generator_block import GeneratorData
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData, HubPlan
from evhub.scenarios.schema.scenario_loader import LIBRARY
from evhub.simulators.network import admittances as network
from evhub.simulators.network import network_sources

from ...helpers.random_feeders import depot, feeder, places
from ...helpers.sizes import examples

BAND = NetworkLimits(0.9, 1.1, 1.0)
DEPOT = str(LIBRARY / "data" / "hafiz2023_depot.json")


def drawn(seed: int):
    """A random network, a depot on it, and what the loop makes of both."""
    rng = np.random.default_rng(seed)
    level = str(rng.choice(["lv", "mv"]))
    net = feeder(rng, level, int(rng.integers(4, 25)))
    known = network.compiled(net)
    n = int(rng.integers(1, 9))
    data = depot(rng, level, n)
    buses, where = places(rng, net.bus.index.to_numpy()[2:], data)
    loop = Loop(known, np.array([known.node_of[int(bus)] for bus in buses]), BAND)
    dispatch = EmsDispatch({"depot": data}, {"depot": where}, len(buses))
    return net, buses, loop, loop.run(dispatch, np.tile(known.other_pu - known.load_pu, (n, 1)))


def by_pandapower(net, buses, u, limits=BAND):
    """Excess over the limits that pandapower finds for the set points of each step."""
    m = len(buses)
    net = deepcopy(net)
    plants = [pp.create_sgen(net, int(bus), p_mw=0.0) for bus in buses]
    found = []
    for row in u:
        net.sgen.loc[plants, "p_mw"], net.sgen.loc[plants, "q_mvar"] = row[:m] / 1e3, row[m:] / 1e3
        pp.runpp(net, calculate_voltage_angles=True, init="dc", numba=False, max_iteration=30)
        v = net.res_bus.vm_pu.drop(net.ext_grid.bus)
        loading = max(net.res_line.loading_percent.max(), net.res_trafo.loading_percent.max()) / 100.0
        found.append(max(v.max() - limits.v_max_pu, limits.v_min_pu - v.min(), loading - limits.loading))
    return np.array(found)


@settings(max_examples=examples(8))
@given(seed=st.integers(0, 10**6))
def test_what_the_loop_calls_feasible_is_feasible_for_pandapower(seed):
    net, buses, _, outcome = drawn(seed)
    if outcome.verdict is Verdict.FEASIBLE:
        assert outcome.kept.all()
        assert (by_pandapower(net, buses, outcome.schedule.u) < 2e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.campaign)])
def test_95_of_100_networks_converge_within_5_iterations(count):
    outcomes = [drawn(seed)[3] for seed in range(count)]
    assert sum(one.rounds[0].ok for one in outcomes) < 0.7 * count, "most depots must break something"
    assert all(one.verdict is Verdict.FEASIBLE for one in outcomes)
    assert sum(one.iterations <= 5 for one in outcomes) >= 0.95 * count


def single(net, bus, data, limits, **options):
    """One period of one hub at one bus."""
    known = network.compiled(net)
    loop = Loop(known, np.array([known.node_of[bus]]), limits, **options)
    dispatch = EmsDispatch({"depot": data}, {"depot": Places(0, 0, 0, 0, ())}, 1)
    background = (known.other_pu - known.load_pu)[None]
    outcome = loop.run(dispatch, background)
    return outcome, loop.flow(outcome.schedule.u, background)


CASES = {
    # PV lifts the voltage; a load pulls it down and a dear generator lifts it; a branch is full
    "overvoltage": (2, 600.0, 0.0, 0.0, 20.0, BAND),
    "undervoltage": (3, 0.0, 200.0, 0.5, 420.0, BAND),
    "loading": (3, 100.0, 200.0, 0.3, 250.0, NetworkLimits(0.9, 1.1, 0.3)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cost_is_that_of_a_full_optimal_power_flow(case):
    bus, pv_kw, dg_kw, dg_price, load_kw, limits = CASES[case]
    price = 0.2
    data = HubData(
        Steps.regular(1, 3600.0),
        GridData(price, price, 1e4, 1e4),
        pv=PvData(pv_kw),
        dg=GeneratorData([dg_kw], [dg_price]),
        load=LoadsData(load_kw, 0.0, 0.0, 0.0, (1e3, 1.0, 1.0, 1.0)),
    )
    outcome, flow = single(network_sources.build(DEPOT), bus, data, limits, margin=1e-5)
    assert outcome.verdict is Verdict.FEASIBLE
    assert not outcome.rounds[0].ok, "the case must need the network"
    ours = price * flow.slack_kw[0] + dg_price * outcome.schedule.plans["depot"].dg_kw[0]

    net = network_sources.build(DEPOT)
    pp.create_load(net, bus, p_mw=load_kw / 1e3)
    net.load["controllable"] = False
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = limits.v_min_pu, limits.v_max_pu
    net.line["max_loading_percent"] = net.trafo["max_loading_percent"] = 100.0 * limits.loading
    for item in ("p", "q"):
        net.ext_grid[f"min_{item}_mw" if item == "p" else "min_q_mvar"] = -5.0
        net.ext_grid[f"max_{item}_mw" if item == "p" else "max_q_mvar"] = 5.0
    pp.create_poly_cost(net, 0, "ext_grid", cp1_eur_per_mw=1e3 * price)
    for most_kw, cost in ((pv_kw, 0.0), (dg_kw, dg_price)):
        plant = pp.create_sgen(
            net, bus, p_mw=0.0, controllable=True, min_p_mw=0.0, max_p_mw=most_kw / 1e3, min_q_mvar=0.0, max_q_mvar=0.0
        )
        pp.create_poly_cost(net, plant, "sgen", cp1_eur_per_mw=1e3 * cost)
    pp.runopp(net, init="flat", calculate_voltage_angles=False, numba=False)
    assert ours == pytest.approx(net.res_cost, rel=0.01)


def test_reactive_power_is_used_before_pv_is_curtailed():
    def best(inverter_kva):
        pv = PvData(500.0, inverter_kva=inverter_kva, q_per_kvarh=1e-4)
        data = HubData(Steps.regular(1, 3600.0), GridData(0.2, 0.1, 1e4, 1e4), pv=pv)
        outcome, _ = single(network_sources.build(DEPOT), 2, data, BAND)
        return outcome.schedule.plans["depot"]

    without, with_q = best(None), best(600.0)
    assert without.pv_kw[0] < 460.0
    assert with_q.pv_kw[0] > without.pv_kw[0] + 20.0
    assert with_q.pv_q_kvar[0] < 0.0


def test_a_generator_and_evs_with_v2g_lift_the_voltage_by_reactive_power():
    """At rest 0.4 MW pull the garage below 0.9 pu; neither may feed in more than a little active power."""
    net = network_sources.build(DEPOT)
    pp.create_load(net, 3, p_mw=0.33)
    known = network.compiled(net)
    loop = Loop(known, np.array([known.node_of[3]]), NetworkLimits(0.9, 1.1, 1.5))
    background = (known.other_pu - known.load_pu)[None]

    def best(reactive: bool):
        charge_kw = np.array([60.0, 60.0])
        data = HubData(
            Steps.regular(1, 3600.0),
            GridData(0.2, 0.1, 1e4, 1e4),
            dg=GeneratorData([40.0], [0.5], power_factor=0.8 if reactive else None, q_per_kvarh=1e-3),
            sessions=SessionsData(
                names=("with", "without"),
                connectors=("1", "2"),
                arrival_s=np.zeros(2),
                departure_s=np.full(2, 3600.0),
                energy_kwh=np.array([20.0, 0.0]),
                target_kwh=np.array([50.0, 30.0]),
                capacity_kwh=np.full(2, 100.0),
                charge_kw=charge_kw,
                eens_per_kwh=3.0,
                discharge_kw=np.array([60.0, 0.0]),
                v2g=True,
                reactive=reactive,
                q_per_kvarh=1e-3,
            ),
        )
        with EmsDispatch({"depot": data}, {"depot": Places(0, 0, 0, 0, (0, 0))}, 1) as dispatch:
            outcome = loop.run(dispatch, background)
        assert outcome.verdict is Verdict.FEASIBLE
        assert by_pandapower(net, [3], outcome.schedule.u, loop.limits)[0] < 2e-6
        return outcome.schedule.plans["depot"]

    without, with_q = best(False), best(True)
    assert with_q.cost < without.cost - 1.0
    assert with_q.dg_q_kvar[0] == pytest.approx(0.75 * with_q.dg_kw[0], abs=1e-6)
    assert with_q.session_q_kvar[0, 0] > 5.0
    assert with_q.session_q_kvar[1, 0] == 0.0
    assert np.hypot(with_q.session_kw[0, 0], with_q.session_q_kvar[0, 0]) <= 60.0 + 1e-6
    assert not without.dg_q_kvar.any() and not without.session_q_kvar.any()


def hopeless(limits: NetworkLimits, **options):
    """A generator of 100 kW at the garage of a network whose own load pulls it down."""
    net = network_sources.build(DEPOT)
    pp.create_load(net, 3, p_mw=0.45, q_mvar=0.1)
    data = HubData(Steps.regular(1, 3600.0), GridData(0.2, 0.1, 1e4, 1e4), dg=GeneratorData([100.0], [0.4]))
    return net, single(net, 3, data, limits, **options)


@pytest.mark.slow
@pytest.mark.parametrize("v_min_pu", [0.80, 0.86, 0.88, 0.9, 0.95])
def test_infeasible_is_what_brute_force_cannot_do_either(v_min_pu):
    net, (outcome, _) = hopeless(NetworkLimits(v_min_pu, 1.1, 1.2))
    voltages = []
    for p_kw in np.linspace(0.0, 100.0, 21):
        trial = deepcopy(net)
        pp.create_sgen(trial, 3, p_mw=p_kw / 1e3)
        pp.runpp(trial, numba=False)
        voltages.append(trial.res_bus.vm_pu.drop(0).min())
    possible = max(voltages) >= v_min_pu
    assert (outcome.verdict is Verdict.FEASIBLE) == possible
    assert outcome.kept.all() == possible
    if not possible:
        assert outcome.verdict is Verdict.INFEASIBLE
        assert outcome.schedule.plans["depot"].dg_kw[0] == pytest.approx(100.0), "it comes as near as it can"


def test_a_limit_of_iterations_ends_in_a_schedule_that_keeps_the_limits():
    pv = PvData(np.array([600.0, 0.0, 500.0]))
    data = HubData(Steps.regular(3, 3600.0), GridData(0.2, 0.1, 1e4, 1e4), pv=pv)
    known = network.compiled(network_sources.build(DEPOT))
    loop = Loop(known, np.array([known.node_of[2]]), BAND, max_iterations=1)
    outcome = loop.run(
        EmsDispatch({"depot": data}, {"depot": Places(0, 0, 0, 0, ())}, 1),
        np.tile(known.other_pu - known.load_pu, (3, 1)),
    )
    assert outcome.verdict is Verdict.UNSETTLED
    assert outcome.kept.all()
    plan = outcome.schedule.plans["depot"]
    assert (plan.pv_kw < [460.0, 1.0, 460.0]).all()
    assert (plan.pv_kw[[0, 2]] > 400.0).all()
    np.testing.assert_allclose(plan.sell_kw - plan.buy_kw, plan.pv_kw, atol=1e-9)


def test_a_load_flow_without_solution_is_led_back():
    net = network_sources.build(DEPOT)
    data = HubData(Steps.regular(1, 3600.0), GridData(0.2, 0.1, 1e4, 1e4), dg=GeneratorData([9000.0], [0.01]))
    outcome, flow = single(net, 3, data, BAND)
    assert outcome.rounds[0].diverged == 1
    assert outcome.verdict is Verdict.FEASIBLE
    assert flow.converged.all()
    assert flow.v_pu.max() == pytest.approx(1.1, abs=0.002) or flow.loading.max() == pytest.approx(1.0, abs=0.01)


def test_respecting_the_network_never_pays():
    for seed in range(6):
        outcome = drawn(seed)[3]
        assert outcome.network_cost >= -1e-6 * max(1.0, abs(outcome.schedule.cost))


def test_held_back_set_points_keep_the_balance():
    outcome = drawn(0)[3]
    plan = outcome.schedule.plans["depot"]
    half = outcome.schedule.held_back(np.full(len(plan.buy_kw), 0.5), {"depot"}).plans["depot"]
    fed_in = half.buy_kw - half.sell_kw + half.pv_kw + half.bess_kw + half.dg_kw
    np.testing.assert_allclose(fed_in, half.load_kw.sum(axis=0) + half.session_kw.sum(axis=0), atol=1e-9)


def test_grid_search_finds_nothing_better_than_the_loop():
    """PV and generator on a coarse grid: no pair that pandapower agrees with is cheaper."""
    price, dg_price = 0.2, 0.25
    net = network_sources.build(DEPOT)
    data = HubData(
        Steps.regular(1, 3600.0),
        GridData(price, 0.05, 1e4, 1e4),
        pv=PvData(550.0),
        dg=GeneratorData([100.0], [dg_price]),
        load=LoadsData(30.0, 0.0, 0.0, 0.0, (1e3, 1.0, 1.0, 1.0)),
    )
    outcome, _ = single(net, 2, data, BAND)
    pairs = np.array(list(product(np.linspace(0.0, 550.0, 12), np.linspace(0.0, 100.0, 3))))
    net_kw = 30.0 - pairs.sum(axis=1)
    cost = dg_price * pairs[:, 1] + np.where(net_kw > 0.0, price, 0.05) * net_kw
    kept = by_pandapower(net, [2], np.column_stack([-net_kw, np.zeros(len(pairs))])) <= 0.0
    assert kept.any() and not kept.all()
    assert outcome.schedule.cost <= cost[kept].min() + 1e-6


def line_network():
    """Four lengths of low-voltage cable behind a slack."""
    net = pp.create_empty_network(sn_mva=1)
    buses = [pp.create_bus(net, vn_kv=0.4) for _ in range(5)]
    pp.create_ext_grid(net, buses[0])
    for one, two in pairwise(buses):
        pp.create_line_from_parameters(
            net, one, two, 0.15, r_ohm_per_km=0.32, x_ohm_per_km=0.08, c_nf_per_km=0, max_i_ka=0.27
        )
    return net


def plan(session_kw=0.0, pv_kw=0.0, dg_kw=0.0, load_kw=0.0) -> HubPlan:
    """One step of a hub with one EV."""
    empty = {field.name: np.zeros(1) for field in fields(HubPlan)}
    empty |= {"session_kw": np.array([[session_kw]]), "session_q_kvar": np.zeros((1, 1))}
    empty |= {"load_kw": np.array([[load_kw], [0.0], [0.0], [0.0]]), "load_unserved_kw": np.zeros((4, 1))}
    return HubPlan(**(empty | {"pv_kw": np.array([pv_kw]), "dg_kw": np.array([dg_kw])}))


def command(planned: HubPlan, limits: NetworkLimits, least_kw=0.0, room_kw=np.inf):
    """What is commanded of a plan at the end of the line, which keeps the limits, and the load flows of pandapower."""
    net = line_network()
    known = network.compiled(net)
    loop = Loop(known, np.array([known.node_of[4]]), limits)
    at = {"depot": Places(0, 0, 0, 0, (0,))}
    u, rest = set_points({"depot": planned}, at, 1)
    schedule = EmsSchedule({"depot": planned}, u, rest, 0.0, np.zeros(0))
    each = {"depot": np.array([least_kw])}, {"depot": np.array([room_kw])}, np.array([np.inf])
    found, kept = commanded(loop, schedule, at, *each, (known.other_pu - known.load_pu)[None])
    told = found.plans["depot"]
    with_ev = by_pandapower(net, [4], found.u, limits)[0]
    without = found.u + np.array([told.session_kw[0, 0], 0.0])
    without_ev = by_pandapower(net, [4], without, limits)[0]
    return told, bool(kept[0]), with_ev, without_ev


def test_an_ev_that_gets_full_leaves_the_voltage_in_its_band_and_so_does_one_that_does_not():
    told, kept, with_ev, without_ev = command(plan(session_kw=100.0, pv_kw=113.0), NetworkLimits(0.95, 1.05, 1.0))
    assert kept and with_ev < 2e-6 and without_ev < 2e-6
    assert 30.0 < told.pv_kw[0] < 113.0
    assert 30.0 < told.session_kw[0, 0] < 100.0


def test_pv_is_left_alone_where_less_of_it_does_not_help():
    told, kept, *_ = command(plan(session_kw=100.0, pv_kw=113.0), NetworkLimits(1.01, 1.05, 1.0))
    assert not kept
    assert told.pv_kw[0] == 113.0


def test_an_ev_below_the_least_power_of_its_connector_pauses_before_the_load_flow():
    told, kept, with_ev, _ = command(plan(session_kw=4.0, pv_kw=64.0), NetworkLimits(0.95, 1.05, 1.0), least_kw=4.14)
    assert kept and with_ev < 2e-6
    assert told.session_kw[0, 0] == 0.0
    assert told.pv_kw[0] < 64.0


def test_less_pv_is_not_made_up_for_by_more_purchase_than_allowed():
    told, kept, *_ = command(plan(session_kw=100.0, pv_kw=113.0), NetworkLimits(0.9, 1.05, 1.0), room_kw=10.0)
    assert kept
    assert told.buy_kw[0] <= 10.0 + 1e-9


def test_what_is_not_on_the_network_is_not_held_back():
    plans = {"depot": plan(pv_kw=100.0), "island": plan(dg_kw=50.0, load_kw=50.0)}
    schedule = EmsSchedule(plans, np.array([[100.0, 0.0]]), np.zeros((1, 2)), 0.0, np.zeros(0))
    held = schedule.held_back(np.array([0.2]), {"depot"}).plans
    assert held["depot"].pv_kw[0] == pytest.approx(20.0)
    assert held["island"].dg_kw[0] == 50.0


def test_what_is_held_back_keeps_to_devices_and_contract():
    data = HubData(
        Steps.regular(1, 3600.0), GridData(0.2, 0.1, 30.0, 1e4), dg=GeneratorData([100.0], [0.4], minimum_kw=40.0)
    )
    schedule = EmsSchedule({"depot": plan(60.0, dg_kw=20.0, load_kw=50.0)}, np.zeros((1, 2)), np.zeros((1, 2)), 0.0, [])
    with EmsDispatch({"depot": data}, {"depot": Places(0, 0, 0, 0, (0,))}, 1) as dispatch:
        clipped = dispatch.clipped(schedule)
    told = clipped.plans["depot"]
    assert told.dg_kw[0] == 40.0
    assert told.buy_kw[0] == pytest.approx(30.0)
    assert clipped.u[0, 0] == pytest.approx(-30.0)


def test_a_schedule_that_the_load_flow_agrees_with_counts_whatever_the_constraints_say(monkeypatch):
    """Bounds are active in the second dispatch, and a constraint calls it broken; the third breaks a limit."""
    powers = [600.0, 300.0, 700.0]

    class Fake:
        places = {}

        def solve(self, cuts, boxes):
            pv_kw = powers.pop(0)
            at = {"depot": Places(0, 0, 0, 0, (0,))}
            u, rest = set_points({"depot": plan(pv_kw=pv_kw)}, at, 1)
            return EmsSchedule({"depot": plan(pv_kw=pv_kw)}, u, rest, -pv_kw, np.ones(1))

    known = network.compiled(network_sources.build(DEPOT))
    loop = Loop(known, np.array([known.node_of[2]]), BAND, max_iterations=3)
    monkeypatch.setattr(Loop, "_constraints", lambda *_: ((), {0: (np.zeros(2), np.ones(2))}))
    outcome = loop.run(Fake(), (known.other_pu - known.load_pu)[None])
    assert outcome.verdict is Verdict.FEASIBLE
    assert outcome.schedule.plans["depot"].pv_kw[0] == 300.0


def test_a_three_winding_transformer_is_refused():
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, kv) for kv in (110, 20, 10)]
    pp.create_ext_grid(net, buses[0])
    pp.create_transformer3w(net, *buses, "63/25/38 MVA 110/20/10 kV")
    with pytest.raises(ValueError, match=r"three-winding transformers \(0\)"):
        network.compiled(net)
