"""The network model: laws, published limits, and agreement with pandapower solving from scratch."""

from __future__ import annotations

import copy
import functools
import json
import logging
import pickle
import random

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.network import network_model as module
from evhub.simulators.network import network_sources as network_build
from evhub.simulators.network import network_topology
from evhub.simulators.network import newton_solver as network_newton
from evhub.simulators.network.network_model import DEAD, GRID, SECONDARY, NetworkParameters, PlantNetwork

from ....helpers.sizes import examples


class FromScratch:
    """The states of a network, solved by pandapower alone, each from the start."""

    def __init__(self, network: PlantNetwork):
        self.net, self.hubs = copy.deepcopy(network.net), network.hubs
        self.own = ~self.net.load.name.astype(str).str.startswith("hub:")
        self.scaling = self.net.load.scaling[self.own].copy()
        self.in_service = {kind: self.net[kind].in_service.copy() for kind in ("line", "trafo")}

    def solve(self, p_kw, q_kvar, status, load_scale=1.0, lines_out=()):
        net = self.net
        net.load.loc[self.own, "scaling"] = self.scaling * load_scale
        for name, p, q, state in zip(self.hubs, p_kw, q_kvar, status, strict=True):
            label = f"hub:{name}"
            net.load.loc[net.load.name == label, ["p_mw", "q_mvar"]] = p / 1e3, q / 1e3
            net.switch.loc[net.switch.name == label, "closed"] = state == GRID
            net.ext_grid.loc[net.ext_grid.name == label, "in_service"] = state == SECONDARY
        for kind, in_service in self.in_service.items():
            net[kind]["in_service"] = in_service
        for key in lines_out:
            kind, index = key.split(":")
            net[kind].loc[int(index), "in_service"] = False
        pp.runpp(net, init="dc", tolerance_mva=1e-9, max_iteration=30, numba=False)
        return net


def assert_same(result, network: PlantNetwork, net):
    """Voltages to 1e-8 pu, loadings, losses and slack power to the like."""
    hub_bus = [net.bus.index[net.bus.name == f"hub:{name}"][0] for name in network.hubs]
    np.testing.assert_allclose(result.v_pu, net.res_bus.vm_pu[network.bus_index].fillna(0.0), rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.hub_v_pu, net.res_bus.vm_pu[hub_bus].fillna(0.0), rtol=0, atol=1e-8)
    np.testing.assert_allclose(result.line_loading_percent, net.res_line.loading_percent.fillna(0.0), atol=1e-5)
    np.testing.assert_allclose(result.trafo_loading_percent, net.res_trafo.loading_percent.fillna(0.0), atol=1e-5)
    losses_mw = net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()
    assert result.losses_kw == pytest.approx(1e3 * losses_mw, abs=1e-4)
    slack_mw = net.res_ext_grid.p_mw[~net.ext_grid.name.astype(str).str.startswith("hub:")].sum()
    assert result.p_slack_kw == pytest.approx(1e3 * slack_mw, abs=1e-4)


@functools.cache
def _empty():
    return pp.create_empty_network(sn_mva=0.1)


@functools.cache
def _lv_feeder(build=network_build.lv_feeder):
    return build()


@pytest.fixture(autouse=True)
def _built_once(monkeypatch):
    """Copies: pandapower takes much longer to build an empty network than to solve one."""
    monkeypatch.setattr(network_build, "lv_feeder", lambda: copy.deepcopy(_lv_feeder()))


def two_bus(change=lambda net: None):
    """A source, one line of 0.2 + j0.1 ohm at 0.4 kV, and an idle bus 1."""
    net = copy.deepcopy(_empty())
    source, end = (pp.create_bus(net, vn_kv=0.4, name=text) for text in ("source", "end"))
    pp.create_ext_grid(net, source, vm_pu=1.0)
    pp.create_line_from_parameters(net, source, end, 1.0, 0.2, 0.1, 0.0, 0.2, name="line")
    change(net)
    return net


def network_on(net, hubs, **options):
    """Network on a pandapower network that is offered by name for the while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_build, "available", lambda: {"given": lambda: net})
        return PlantNetwork(NetworkParameters(net="given", **options), hubs)


def two_bus_voltage(p_kw, q_kvar):
    """Closed form: the upper root of V^4 + (2 (R P + X Q) - 1) V^2 + |Z|^2 |S|^2 = 0, all per unit."""
    p, q = p_kw / 100.0, q_kvar / 100.0
    r, x = 0.2 / 1.6, 0.1 / 1.6  # 0.4 kV, 0.1 MVA
    b = 2.0 * (r * p + x * q) - 1.0
    return np.sqrt((-b + np.sqrt(b * b - 4.0 * (r * r + x * x) * (p * p + q * q))) / 2.0)


@pytest.fixture
def feeder():
    return PlantNetwork(NetworkParameters(), {"depot": 3})


@pytest.fixture(scope="module")
def two_hubs():
    """A network that tests must not leave in another set of outages than they found (they only use `solve`)."""
    return PlantNetwork(NetworkParameters(), {"a": 3, "b": "feeder 3"})


# ---- one line: the closed form ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    return network_on(two_bus(), {"hub": "end"})


@given(p_kw=st.floats(-60.0, 60.0), q_kvar=st.floats(-40.0, 40.0))
@settings(max_examples=examples(60))
def test_one_line_has_the_voltage_and_losses_of_the_closed_form(line, p_kw, q_kvar):
    result = line.solve([p_kw], [q_kvar], [GRID])
    v = two_bus_voltage(p_kw, q_kvar)
    assert result.converged
    assert result.hub_v_pu[0] == pytest.approx(v, abs=1e-8)
    i_a = np.hypot(p_kw, q_kvar) / (np.sqrt(3.0) * 0.4 * v)
    assert result.losses_kw == pytest.approx(3.0 * 0.2 * i_a**2 / 1e3, abs=1e-6)
    assert result.line_loading_percent[0] == pytest.approx(i_a / 200.0 * 100.0, abs=1e-5)
    assert result.p_slack_kw == pytest.approx(p_kw + result.losses_kw, abs=1e-6)


def test_the_largest_power_a_line_can_carry_is_found_and_no_more(line):
    """P_max = V^2 / (2 (R + |Z|)) at unity power factor, where the two roots of the closed form meet."""
    p_max_kw = 0.4**2 / (2.0 * (0.2 + np.hypot(0.2, 0.1))) * 1e3
    below = line.solve([0.999 * p_max_kw], [0.0], [GRID])
    assert below.converged
    assert below.hub_v_pu[0] == pytest.approx(two_bus_voltage(0.999 * p_max_kw, 0.0), abs=1e-6)
    above = line.solve([1.001 * p_max_kw], [0.0], [GRID])
    assert not above.converged


def test_no_convergence_is_a_result_without_numbers_and_recovery_is_exact(line, capfd, recwarn):
    before = line.solve([20.0], [5.0], [GRID])
    failed = line.solve([1e4], [0.0], [GRID])
    again = line.solve([1e5], [0.0], [GRID])
    after = line.solve([20.0], [5.0], [GRID])
    for result in (failed, again):
        assert not result.converged
        assert "does not converge" in result.message
        assert "hub 10000" in result.message or "hub 100000" in result.message
        assert np.isnan([*result.v_pu, *result.hub_v_pu, *result.line_loading_percent, result.losses_kw]).all()
        assert np.isnan(result.p_slack_kw)
        assert result.energised.all()
    assert after.converged
    assert not after.message
    np.testing.assert_allclose(after.v_pu, before.v_pu, rtol=0, atol=1e-9)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_a_network_that_starts_beyond_its_limit_recovers_when_its_load_falls():
    network = network_on(two_bus(lambda net: pp.create_load(net, 1, p_mw=5.0)), {"hub": 1})
    assert not network.solve([0.0], [0.0], [GRID]).converged
    assert network.solve([0.0], [0.0], [GRID], load_scale=0.004).v_pu[1] == pytest.approx(two_bus_voltage(20.0, 0.0))


# ---- hubs: grid, secondary source, dead ------------------------------------------------------------------------------


def test_an_islanded_or_dead_hub_draws_nothing_from_the_grid(two_hubs):
    absent = two_hubs.solve([30.0, 0.0], [5.0, 0.0], [GRID, GRID])
    for status, v_pu in ((SECONDARY, 1.0), (DEAD, 0.0)):
        result = two_hubs.solve([30.0, 40.0], [5.0, 10.0], [GRID, status])
        np.testing.assert_allclose(result.v_pu, absent.v_pu, rtol=0, atol=1e-9)
        assert result.p_slack_kw == pytest.approx(absent.p_slack_kw, abs=1e-5)
        assert result.hub_v_pu[1] == v_pu
        assert result.energised.tolist() == [True, True]


def test_a_load_on_a_dead_bus_is_reported(two_hubs):
    result = two_hubs.solve([0.0, 12.0], [0.0, 0.0], [GRID, DEAD])
    assert result.message == "hub 'b' draws 12.0 kW from a bus without source"
    assert two_hubs.solve([0.0, 0.0], [0.0, 0.0], [GRID, DEAD]).message == ""


def test_the_rows_of_a_hub_leave_exactly_one_source_in_every_energised_island():
    feeder = PlantNetwork(NetworkParameters(), {"a": 2, "b": 3, "c": 4})
    feeder.solve([10.0] * 3, [0.0] * 3, [GRID, SECONDARY, DEAD], lines_out={"line:2"})
    net = feeder.net
    hub_bus = {name: net.bus.index[net.bus.name == f"hub:{name}"][0] for name in feeder.hubs}
    islands = list(pp.topology.connected_components(pp.topology.create_nxgraph(net)))
    held_by = {name: next(island for island in islands if bus in island) for name, bus in hub_bus.items()}
    sources = set(net.ext_grid.bus[net.ext_grid.in_service])
    assert sources & held_by["a"] == {0}
    assert held_by["b"] == {hub_bus["b"]} == sources & held_by["b"]
    assert held_by["c"] == {hub_bus["c"]}
    assert not sources & held_by["c"]


def test_hubs_that_share_a_bus_add_up():
    network = PlantNetwork(NetworkParameters(), {"a": 4, "b": "feeder 3"})
    one = network.solve([35.0, 0.0], [7.0, 0.0], [GRID, GRID])
    two = network.solve([10.0, 25.0], [2.0, 5.0], [GRID, GRID])
    np.testing.assert_allclose(two.v_pu, one.v_pu, rtol=0, atol=1e-9)
    assert two.hub_v_pu[0] == two.hub_v_pu[1] == pytest.approx(one.hub_v_pu[0], abs=1e-9)


def test_a_hub_can_stand_at_the_bus_of_the_slack():
    network = PlantNetwork(NetworkParameters(), {"hub": 0})
    idle, busy = network.solve([0.0], [0.0], [GRID]), network.solve([50.0], [0.0], [GRID])
    np.testing.assert_allclose(busy.v_pu, idle.v_pu, rtol=0, atol=1e-10)
    assert busy.p_slack_kw - idle.p_slack_kw == pytest.approx(50.0, abs=1e-5)
    assert network.solve([50.0], [0.0], [SECONDARY]).p_slack_kw == pytest.approx(idle.p_slack_kw, abs=1e-5)


def test_a_hub_that_replaces_the_load_and_draws_as_much_changes_nothing():
    base = PlantNetwork(NetworkParameters(), {}).solve([], [], [])
    network = PlantNetwork(NetworkParameters(replaces_load=frozenset({"hub"})), {"hub": 3})
    q_kvar = 10.0 * np.tan(np.arccos(0.95))
    same = network.solve([10.0], [q_kvar], [GRID])
    np.testing.assert_allclose(same.v_pu, base.v_pu, rtol=0, atol=1e-9)
    assert network.solve([0.0], [0.0], [GRID]).p_slack_kw < base.p_slack_kw - 9.9


# ---- loads and outages -----------------------------------------------------------------------------------------------


def test_power_is_balanced_and_scaled_with_the_networks_own_loads(two_hubs):
    for load_scale in (0.0, 0.4, 1.0, 2.5):
        result = two_hubs.solve([20.0, -15.0], [0.0, 0.0], [GRID, GRID], load_scale=load_scale)
        assert result.p_slack_kw == pytest.approx(30.0 * load_scale + 5.0 + result.losses_kw, abs=1e-4)


def test_buses_beyond_an_outage_are_dead_and_come_back_as_they_were():
    network = PlantNetwork(NetworkParameters(), {"near": 2, "far": 4})
    before = network.solve([5.0, 6.0], [0.0, 0.0], [GRID, GRID])
    out = network.solve([5.0, 6.0], [0.0, 0.0], [GRID, GRID], lines_out={"line:1"})
    assert out.converged
    assert out.energised.tolist() == [True, False]
    assert (out.v_pu[3:] == 0.0).all()
    assert (out.v_pu[:3] > 0.9).all()
    assert out.hub_v_pu[1] == 0.0
    assert (out.line_loading_percent[1:] == 0.0).all()
    assert out.p_slack_kw == pytest.approx(10.0 + 5.0 + out.losses_kw, abs=1e-4)
    assert out.message == (
        "20.0 kW of the network's own load has no source; hub 'far' draws 6.0 kW from a bus without source"
    )
    after = network.solve([5.0, 6.0], [0.0, 0.0], [GRID, GRID])
    np.testing.assert_allclose(after.v_pu, before.v_pu, rtol=0, atol=1e-9)
    assert after.energised.all()


def test_without_its_transformer_the_feeder_is_dead(feeder):
    result = feeder.solve([20.0], [0.0], [GRID], lines_out={feeder.branch("transformer")})
    assert result.converged
    assert result.v_pu.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert result.p_slack_kw == pytest.approx(0.0, abs=1e-9)
    assert result.trafo_loading_percent.tolist() == [0.0]
    assert not result.energised[0]


def test_an_outage_without_a_solution_still_says_who_has_a_source():
    def second_line(net):
        pp.create_bus(net, vn_kv=0.4, name="beyond")
        pp.create_line_from_parameters(net, 1, 2, 1.0, 0.2, 0.1, 0.0, 0.2, name="second")

    network = network_on(two_bus(second_line), {"a": 1, "b": 2})
    result = network.solve([1e4, 0.0], [0.0, 0.0], [GRID, GRID], lines_out={"line:1"})
    assert not result.converged
    assert result.energised.tolist() == [True, False]
    assert result.hub_v_pu[1] == 0.0


# ---- warm = from scratch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hubs", "outages", "peak_kw", "scales"),
    [
        ("lv_feeder", {"a": 3, "b": 4, "c": 4}, ["line:1", "line:2", "trafo:0"], 120.0, (0.0, 1.5)),
        ("cigre_lv", {"a": "Bus R11", "b": "Bus C20"}, ["line:3", "line:30"], 60.0, (0.0, 1.2)),
        ("cigre_hv", {"a": 4, "b": 5}, ["line:1"], 60e3, (0.6, 0.8)),  # generators hold voltages, lines are long
    ],
)
def test_any_sequence_of_states_gives_what_pandapower_gives_from_scratch(name, hubs, outages, peak_kw, scales):
    network = PlantNetwork(NetworkParameters(net=name), hubs)
    scratch = FromScratch(network)
    rng = np.random.default_rng(5)
    compared = 0
    for step in range(48):
        p_kw = rng.uniform(-0.5 * peak_kw, peak_kw, len(hubs))
        q_kvar = rng.uniform(-0.3, 0.3, len(hubs)) * peak_kw
        status = rng.choice([DEAD, GRID, GRID, GRID, SECONDARY], len(hubs))
        load_scale = rng.uniform(*scales)
        lines_out = {str(rng.choice(outages))} if rng.random() < 0.3 else set()
        if step in (10, 30):  # in between, a state that has no solution
            network.solve(np.full(len(hubs), 1e5 * peak_kw), q_kvar, np.full(len(hubs), GRID), load_scale)
        result = network.solve(p_kw, q_kvar, status, load_scale, lines_out)
        if step % 5 == 0:  # comparing takes much longer than solving
            assert result.converged
            assert_same(result, network, scratch.solve(p_kw, q_kvar, status, load_scale, lines_out))
            compared += 1
    assert compared == 10


def test_equations_that_do_not_give_pandapowers_solution_are_refused(monkeypatch):
    """The guard against elements, or a pandapower, that the warm solver does not understand."""
    fed_in = network_topology.makeSbus
    monkeypatch.setattr(network_topology, "makeSbus", lambda *arguments: fed_in(*arguments) - 0.001)
    with pytest.raises(ValueError, match="elements whose power depends on the voltage"):
        PlantNetwork(NetworkParameters(), {"hub": 3})


def test_results_do_not_depend_on_the_order_of_the_questions():
    rng = np.random.default_rng(11)
    states = [(rng.uniform(0, 150, 2), rng.uniform(0, 40, 2), rng.integers(0, 3, 2)) for _ in range(40)]
    one, other = (PlantNetwork(NetworkParameters(), {"a": 3, "b": 4}) for _ in range(2))
    forward = [one.solve(*state) for state in states]
    backward = [other.solve(*state) for state in reversed(states)][::-1]
    for first, second in zip(forward, backward, strict=True):
        np.testing.assert_allclose(first.v_pu, second.v_pu, rtol=0, atol=1e-9)
        assert first.p_slack_kw == pytest.approx(second.p_slack_kw, abs=1e-5)


def test_pandapower_is_asked_once_for_each_set_of_outages(feeder, monkeypatch):
    calls = []
    run = pp.runpp
    monkeypatch.setattr(module.pp, "runpp", lambda *args, **kwargs: (calls.append(1), run(*args, **kwargs)))
    for _ in range(2):
        for p_kw in (0.0, 10.0, 50.0):
            for status in (GRID, SECONDARY, DEAD):
                feeder.solve([p_kw], [0.0], [status], load_scale=1.0 + p_kw / 100.0)
                feeder.solve([p_kw], [0.0], [status], lines_out={"line:2"})
    assert len(calls) == 1  # the state without outages was solved at the start


def test_equal_inputs_give_the_previous_result_also_when_it_failed(feeder):
    for p_kw in (20.0, 1e6):
        first = feeder.solve([p_kw], [0.0], [GRID])
        assert feeder.solve(np.array([p_kw]), (0.0,), [GRID], 1.0, set()) is first
    assert feeder.solve([20.0], [0.0], [GRID]) is not first


def test_inputs_are_copied_and_results_cannot_be_changed(feeder):
    p_kw = np.array([20.0])
    first = feeder.solve(p_kw, [0.0], [GRID])
    p_kw[0] = 40.0
    second = feeder.solve(p_kw, [0.0], [GRID])
    assert second.hub_v_pu[0] < first.hub_v_pu[0]
    for array in (second.v_pu, second.hub_v_pu, second.line_loading_percent, second.trafo_loading_percent):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        second.energised[0] = False


def test_full_and_sparse_matrices_give_the_same_voltages(monkeypatch):
    def voltages():
        network = PlantNetwork(NetworkParameters(), {"a": 4})
        return [network.solve([p_kw], [0.2 * p_kw], [GRID]).v_pu for p_kw in (0.0, 60.0, 90.0, -50.0)]

    full = voltages()
    monkeypatch.setattr(network_newton, "_DENSE_UP_TO", 0)
    np.testing.assert_allclose(voltages(), full, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dense_up_to", [0, 150])
def test_a_copy_continues_with_the_same_bits_and_does_not_touch_the_original(dense_up_to, monkeypatch):
    monkeypatch.setattr(network_newton, "_DENSE_UP_TO", dense_up_to)
    one, other = (PlantNetwork(NetworkParameters(), {"a": 3, "b": 4}) for _ in range(2))
    assert_copies_continue(one, other, {"line:2"})


def assert_copies_continue(one: PlantNetwork, other: PlantNetwork, outage: set[str]):
    """Solve the same states with a network and with copies of an equal one, made and led astray on the way."""
    rng = np.random.default_rng(5)
    states = [(rng.uniform(-50, 80, 2), rng.uniform(-20, 30, 2), rng.integers(0, 3, 2)) for _ in range(12)]
    outages = [outage if n in (4, 5, 9) else set() for n in range(len(states))]
    for n, (state, out) in enumerate(zip(states, outages, strict=True)):
        if n in (3, 7, 10):
            for way in (copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))):
                astray, other = other, way(other)
                astray.solve([70.0, -60.0], [9.0, 9.0], [GRID, GRID], 0.7, outage)
                astray.solve([1e6, 1e6], [0.0, 0.0], [GRID, GRID])
        expected, result = one.solve(*state, lines_out=out), other.solve(*state, lines_out=out)
        for name in ("v_pu", "hub_v_pu", "line_loading_percent", "trafo_loading_percent"):
            assert getattr(result, name).tobytes() == getattr(expected, name).tobytes(), (n, name)
        assert (result.losses_kw, result.p_slack_kw) == (expected.losses_kw, expected.p_slack_kw)


# ---- where networks come from ----------------------------------------------------------------------------------------


def test_every_offered_network_can_be_built_without_arguments():
    known = network_build.available()
    assert {"lv_feeder", "cigre_lv", "cigre_mv", "cigre_hv", "case33bw", "mv_oberrhein"} <= set(known)
    assert "from_json" not in known
    assert "create_kerber_net" not in known  # needs arguments
    assert isinstance(known["simple_four_bus_system"](), pp.pandapowerNet)


def test_an_unknown_network_names_what_is_close():
    with pytest.raises(ValueError, match=r"there is no network 'case33wb'; close to it: .*case33bw"):
        PlantNetwork(NetworkParameters(net="case33wb"), {})


def test_networks_with_random_parts_are_the_same_each_time(monkeypatch):
    def random_feeder():
        net = network_build.lv_feeder()
        net.line["length_km"] = [random.random() for _ in net.line.index]
        return net

    monkeypatch.setattr(network_build, "available", lambda: {"random": random_feeder})
    random.seed(99)
    state = random.getstate()
    first, second = (network_build.build("random").line.length_km.tolist() for _ in range(2))
    assert first == second
    assert random.getstate() == state


def test_only_the_advice_to_install_numba_is_silenced(monkeypatch, caplog):
    def talkative_feeder():
        logger = logging.getLogger("pandapower.auxiliary")
        logger.warning("numba cannot be imported and numba functions are disabled.")
        logger.warning("something is wrong with this network")
        return network_build.lv_feeder()

    monkeypatch.setattr(network_build, "available", lambda: {"talkative": talkative_feeder})
    network_build.build("talkative")
    logging.getLogger("pandapower.auxiliary").warning("numba, later")
    assert caplog.messages == ["something is wrong with this network", "numba, later"]


def test_a_pandapower_file_is_a_network_and_its_stored_options_do_not_count(tmp_path):
    def keep_options(net):
        pp.set_user_pf_options(net, trafo_model="pi", init="flat", tolerance_mva=1.0, max_iteration=1)

    path = tmp_path / "two_bus.json"
    pp.to_json(two_bus(keep_options), str(path))
    result = PlantNetwork(NetworkParameters(net=str(path)), {"hub": "end"}).solve([30], [10], [GRID])
    assert result.hub_v_pu[0] == pytest.approx(two_bus_voltage(30.0, 10.0), abs=1e-8)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no network file .*none\.json"):
        PlantNetwork(NetworkParameters(net=str(tmp_path / "none.json")), {})
    damaged = json.dumps({"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": "nothing"})
    for text in ("{not json", json.dumps({"bus": [1, 2]}), "[1, 2]", "", damaged):
        path = tmp_path / "other.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"other\.json is not a pandapower network"):
            PlantNetwork(NetworkParameters(net=str(path)), {})


def _no_slack(net):
    net.ext_grid["in_service"] = False


def _slack_on_dead_bus(net):
    net.bus.loc[0, "in_service"] = False


def _two_slacks(net):
    pp.create_ext_grid(net, 1)


def _slack_generator(net):
    pp.create_gen(net, 1, p_mw=0.0, slack=True)


def _constant_impedance(net):
    pp.create_load(net, 1, p_mw=0.01, const_z_p_percent=100.0)


def _svc(net):
    pp.create_svc(net, 1, x_l_ohm=1, x_cvar_ohm=-10, set_vm_pu=1.0, thyristor_firing_angle_degree=90)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_no_slack, "has no slack"),
        (_slack_on_dead_bus, "has no slack"),
        (_two_slacks, "has 2 slacks in one island, at buses 0, 1"),
        (_slack_generator, "has 2 slacks in one island, at buses 0, 1"),
        (_constant_impedance, r"loads that depend on the voltage \(0\)"),
        (_svc, r"FACTS devices \(svc\)"),
    ],
)
def test_networks_that_cannot_be_solved_here_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        network_on(two_bus(change), {"hub": 1})


def test_two_slacks_in_two_islands_are_allowed():
    def second_island(net):
        bus = pp.create_bus(net, vn_kv=0.4)
        pp.create_ext_grid(net, bus)
        pp.create_load(net, bus, p_mw=0.007)

    result = network_on(two_bus(second_island), {"hub": 1}).solve([10.0], [0.0], [GRID])
    assert result.p_slack_kw == pytest.approx(17.0 + result.losses_kw, abs=1e-6)


# ---- addresses -------------------------------------------------------------------------------------------------------


def test_a_bus_is_an_index_or_a_name():
    def rename(net):
        net.bus["name"] = ["1", "0"]

    network = network_on(two_bus(rename), {"by index": 1, "by name": "0", "source": "1"})
    v_pu = network.solve([10.0, 20.0, 30.0], [0.0] * 3, [GRID] * 3).hub_v_pu
    assert v_pu[0] == v_pu[1] < 1.0 == v_pu[2]


@pytest.mark.parametrize(
    ("bus", "message"),
    [
        (9, r"hub 'depot': there is no bus with index 9; there are 5, from 0 to 4, nearest 2, 3, 4"),
        (-1, r"there is no bus with index -1"),
        ("feeder 4", r"hub 'depot': there is no bus named 'feeder 4'; close to it: feeder"),
        (True, r"there is no bus named True"),
    ],
)
def test_a_bus_that_does_not_exist_is_refused_with_what_exists(bus, message):
    with pytest.raises(ValueError, match=message):
        PlantNetwork(NetworkParameters(), {"depot": bus})


def _bus_out_of_service(net):
    pp.create_bus(net, vn_kv=0.4, name="spare", in_service=False)


def _bus_without_line(net):
    pp.create_bus(net, vn_kv=0.4, name="spare")


def _second_end(net):
    pp.create_bus(net, vn_kv=0.4, name="spare")
    pp.create_bus(net, vn_kv=0.4, name="spare")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_bus_out_of_service, "bus 'spare' is out of service"),
        (_bus_without_line, "bus 2 has no path to a source"),
        (_second_end, "bus name 'spare' stands for indices 2, 3; use an index"),
    ],
)
def test_a_bus_that_cannot_hold_a_hub_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        network_on(two_bus(change), {"hub": "spare"})


def test_only_a_hub_with_a_load_at_its_bus_can_replace_it():
    with pytest.raises(ValueError, match=r"hub 'depot': bus 1 has no load to replace"):
        PlantNetwork(NetworkParameters(replaces_load=frozenset({"depot"})), {"depot": 1})
    with pytest.raises(ValueError, match=r"there is no hub 'depto'; hubs are depot"):
        PlantNetwork(NetworkParameters(replaces_load=frozenset({"depto"})), {"depot": 3})


def test_branches_are_addressed_by_index_key_or_name(two_hubs):
    assert two_hubs.branch(1) == two_hubs.branch("cable 2") == two_hubs.branch("line:1") == "line:1"
    assert two_hubs.branch("transformer") == two_hubs.branch("trafo:0") == "trafo:0"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (7, "outage: there is no line with index 7; there are 3, from 0 to 2"),
        ("trafo:3", "outage: there is no trafo with index 3"),
        ("cable 9", "outage: there is no line named 'cable 9'; close to it: cable"),
    ],
)
def test_a_branch_that_does_not_exist_is_refused(two_hubs, name, message):
    with pytest.raises(ValueError, match=message):
        two_hubs.branch(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [0.0, 0.0], [1, 1]), r"p_kw: one value for each of the 2 hubs, got shape \(1,\)"),
        (([1.0, 1.0], [0.0, 0.0], 1), r"bus_status: one value for each of the 2 hubs"),
        (([1.0, np.nan], [0.0, 0.0], [1, 1]), r"p_kw and q_kvar must be finite, got \[ 1\. nan\]"),
        (([1.0, 1.0], [0.0, np.inf], [1, 1]), r"p_kw and q_kvar must be finite"),
        (([1.0, 1.0], [0.0, 0.0], [1, 3]), r"bus_status: 0 \(dead\), 1 \(grid\) or 2 \(secondary\), got \[1 3\]"),
        (([1.0, 1.0], [0.0, 0.0], [1, 1], -0.5), r"load_scale must be finite and >= 0, got -0\.5"),
        (([1.0, 1.0], [0.0, 0.0], [1, 1], np.nan), r"load_scale must be finite and >= 0, got nan"),
        (([1.0, 1.0], [0.0, 0.0], [1, 1], 1.0, {"line:9"}), r"outage: there is no line with index 9"),
    ],
)
def test_wrong_inputs_are_refused_and_leave_the_network_usable(two_hubs, arguments, message):
    before = two_hubs.solve([5.0, 5.0], [0.0, 0.0], [GRID, GRID])
    with pytest.raises(ValueError, match=message):
        two_hubs.solve(*arguments)
    np.testing.assert_array_equal(two_hubs.solve([5.0, 5.0], [0.0, 0.0], [GRID, GRID]).v_pu, before.v_pu)
