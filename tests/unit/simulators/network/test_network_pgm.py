"""power-grid-model in the place of our own Newton's method: the voltages of pandapower."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pandapower as pp
import pytest

from evhub.scenarios.assembly import network_build as assembly_network
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError
from evhub.simulators.network import network_sources as network_build
from evhub.simulators.network.network_model import DEAD, GRID, SECONDARY, NetworkParameters, PlantNetwork

from ....helpers import plants
from .test_network import FromScratch, assert_copies_continue, assert_same

pytest.importorskip("power_grid_model")
FAST = {"solver": "power_grid_model"}


@pytest.mark.parametrize(
    ("net", "hubs", "outages", "peak_kw"),
    [
        ("case33bw", {"a": 17, "b": 24}, ["line:16", "line:22"], 200.0),
        ("lv_feeder", {"a": 3, "b": 4}, ["line:1", "trafo:0"], 80.0),
        ("cigre_mv", {"a": 5, "b": 9}, ["line:3"], 200.0),
    ],
)
def test_voltages_are_those_of_pandapower_on_the_grid_in_islands_and_behind_outages(net, hubs, outages, peak_kw):
    network = PlantNetwork(NetworkParameters(net, **FAST), hubs)
    scratch = FromScratch(network)
    rng = np.random.default_rng(3)
    for step in range(24):
        p_kw, q_kvar = rng.uniform(-0.5, 1.0, 2) * peak_kw, rng.uniform(-0.3, 0.3, 2) * peak_kw
        status, load_scale = rng.integers(0, 3, 2), rng.uniform(0.0, 1.2)
        out = {str(rng.choice(outages))} if step % 3 == 0 else set()
        result = network.solve(p_kw, q_kvar, status, load_scale, out)
        if step % 4 == 0:
            assert_same(result, network, scratch.solve(p_kw, q_kvar, status, load_scale, out))


def radial(parents: list[int], lengths_km: list[float], loads_kw: list[float]) -> pp.pandapowerNet:
    """A medium-voltage tree: bus k + 1 hangs on one of the buses before it."""
    net = pp.create_empty_network()
    pp.create_ext_grid(net, pp.create_bus(net, 12.66), vm_pu=1.02)
    for parent, km, kw in zip(parents, lengths_km, loads_kw, strict=True):
        bus = pp.create_bus(net, 12.66)
        pp.create_line(net, parent, bus, km, "NAYY 4x150 SE")
        pp.create_load(net, bus, kw / 1e3, 0.4 * kw / 1e3)
    return net


@pytest.mark.parametrize(("p_mw", "q_mvar"), [(0.0, -0.2), (0.1, 0.0), (0.1, -0.2)])
def test_a_shunt_counts_with_its_active_and_its_reactive_power(p_mw, q_mvar, monkeypatch):
    plain, net = (radial([0, 1], [5.0, 5.0], [50.0, 50.0]) for _ in range(2))
    pp.create_shunt(net, 2, q_mvar=q_mvar, p_mw=p_mw)
    v_pu = []
    for one, solver in ((plain, "power_grid_model"), (net, "newton"), (net, "power_grid_model")):
        monkeypatch.setattr(network_build, "_from_name", lambda _, one=one: copy.deepcopy(one))
        network = PlantNetwork(NetworkParameters("with a shunt", solver=solver), {"end": 2})
        v_pu.append(network.solve(np.zeros(1), np.zeros(1), [GRID], 1.0).v_pu)
    assert np.abs(v_pu[2] - v_pu[0]).max() > 1e-4
    np.testing.assert_allclose(v_pu[2], v_pu[1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_on_random_feeders_both_solvers_find_the_voltages_of_pandapower(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    parents = [int(rng.integers(0, k + 1)) for k in range(n)]
    net = radial(parents, rng.uniform(0.01, 1.0, n).tolist(), rng.uniform(0.0, 50.0, n).tolist())
    monkeypatch.setattr(network_build, "_from_name", lambda _: copy.deepcopy(net))
    hubs = {"end": n, "other": int(rng.integers(1, n + 1))}
    one, other = (
        PlantNetwork(NetworkParameters("random", solver=name), hubs) for name in ("newton", "power_grid_model")
    )
    scratch = FromScratch(other)
    for status in ([GRID, GRID], [SECONDARY, GRID], [DEAD, SECONDARY]):
        state = (rng.uniform(-200.0, 300.0, 2), rng.uniform(-50.0, 50.0, 2), status)
        found = other.solve(*state)
        assert found.converged
        np.testing.assert_allclose(found.v_pu, one.solve(*state).v_pu, rtol=0, atol=1e-8)
        assert_same(found, other, scratch.solve(*state))


def test_no_convergence_is_a_result_and_recovery_is_exact():
    network = PlantNetwork(NetworkParameters("lv_feeder", **FAST), {"hub": 4})
    before = network.solve([20.0], [0.0], [GRID]).v_pu
    assert not network.solve([1e6], [0.0], [GRID]).converged
    np.testing.assert_allclose(network.solve([20.0], [0.0], [GRID]).v_pu, before, rtol=0, atol=1e-12)


def test_copies_continue_with_the_same_bits():
    one, other = (PlantNetwork(NetworkParameters("lv_feeder", **FAST), {"a": 3, "b": 4}) for _ in range(2))
    assert_copies_continue(one, other, {"line:2"})


def scenario(**network) -> dict:
    return plants.smallest(
        hubs={"depot": plants.hub_with_everything()},
        network={"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 3}, **network},
        events=[{"at": "15min", "outage": {"hub": "depot", "until": "25min"}}],
    )


def test_a_scenario_chooses_it_and_sees_the_same_voltages(tmp_path):
    from evhub.analysis import open_results

    found = []
    for name in ("newton", "power_grid_model"):
        with open_results(plants.run_data(scenario(solver=name), tmp_path, f"{name}.h5")) as results:
            found.append(results.arrays("network/grid/bus_v_pu"))
    assert np.array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-6)


def test_without_the_extra_the_scenario_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "power_grid_model", None)
    monkeypatch.delitem(sys.modules, "evhub.simulators.network.pgm_solver", raising=False)
    assembly_network._solved.cache_clear()  # as in a process that has not built it yet
    with pytest.raises(InputError, match=r"network.solver.*pip install evhub\[fast\]"):
        build(plants.loaded(scenario(**FAST), tmp_path))


def test_a_network_file_that_is_written_anew_is_solved_anew(tmp_path):
    found = []
    for km in (0.5, 5.0):
        pp.to_json(radial([0, 1], [km, km], [50.0, 50.0]), str(tmp_path / "feeder.json"))
        wiring = build(plants.loaded(scenario(net="feeder.json", hub_bus={"depot": 2}), tmp_path))
        (network,) = [spec.settings["network"] for spec in wiring.simulators if "network" in spec.settings]
        found.append(float(network.solve(np.full(1, 100.0), np.zeros(1), [GRID]).hub_v_pu[0]))
    assert found[1] < found[0] - 1e-4


def test_a_network_it_cannot_solve_is_refused():
    with pytest.raises(ValueError, match="generators that hold a voltage; use newton"):
        PlantNetwork(NetworkParameters("cigre_hv", **FAST), {"hub": 4})
