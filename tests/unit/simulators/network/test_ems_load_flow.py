"""The load flow of `ems` against pandapower and power-grid-model, its sensitivities against finite differences."""

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.network import admittances as network
from evhub.simulators.network import batch_load_flow as load_flow
from evhub.simulators.network import network_sources, sensitivities
from evhub.simulators.network.network_model import NetworkParameters, PlantNetwork
from evhub.simulators.network.newton_solver import PowerFlowEquations
from evhub.simulators.network.pandapower_matrices import matrices_of

from ....helpers.random_feeders import feeder
from ....helpers.sizes import examples

NETS = ["case33bw", "create_cigre_network_lv", "create_cigre_network_mv", "create_kerber_dorfnetz"]


@pytest.mark.parametrize("name", NETS)
def test_voltages_and_loadings_are_those_of_pandapower(name):
    net = network_sources.build(name)
    known = network.compiled(net)
    own = known.other_pu - known.load_pu
    node = known.free[len(known.free) // 2]
    pp.create_sgen(net, known.bus[node], p_mw=0.02, q_mvar=-0.01)
    fed_in = own.copy()
    fed_in[node] += (20.0 - 10.0j) / known.base_kw
    flow = load_flow.solve(known, np.array([own, fed_in]))
    pp.runpp(net, calculate_voltage_angles=True, init="dc", numba=False, tolerance_mva=1e-9)
    assert flow.converged.all()
    for bus, at in known.node_of.items():
        assert flow.v_pu[1, at] == pytest.approx(net.res_bus.vm_pu[bus], abs=1e-8)
    loading = dict(zip(known.branches, 100.0 * flow.loading[1].max(axis=0), strict=True))
    for kind, table in (("line", net.res_line), ("transformer", net.res_trafo)):
        for index, percent in table.loading_percent.items():
            if f"{kind} {index}" in loading:
                assert loading[f"{kind} {index}"] == pytest.approx(percent, abs=1e-4)
    assert flow.slack_kw[1] == pytest.approx(1e3 * net.res_ext_grid.p_mw.sum(), abs=1e-3)


def test_voltages_are_those_of_power_grid_model():
    pgm = pytest.importorskip("power_grid_model")
    net = feeder(np.random.default_rng(3), "lv", 12)
    net.trafo["in_service"] = False
    pp.create_ext_grid(net, 1, vm_pu=1.02)
    net.ext_grid.loc[0, "in_service"] = False
    known = network.compiled(net)
    flow = load_flow.solve(known, (known.other_pu - known.load_pu)[None])

    def table(kind, count, **columns):
        rows = pgm.initialize_array("input", kind, count)
        for item, values in columns.items():
            rows[item] = values
        return rows

    line, load = net.line, net.load
    n = len(net.bus) - 1
    data = {
        "node": table("node", n, id=net.bus.index[1:], u_rated=400.0),
        "line": table(
            "line",
            len(line),
            id=1000 + line.index,
            from_node=line.from_bus,
            to_node=line.to_bus,
            from_status=1,
            to_status=1,
            r1=line.r_ohm_per_km * line.length_km,
            x1=line.x_ohm_per_km * line.length_km,
            c1=1e-9 * line.c_nf_per_km * line.length_km,
            tan1=0.0,
            i_n=270.0,
        ),
        "source": table("source", 1, id=5000, node=1, status=1, u_ref=1.02, sk=1e20, rx_ratio=0.1),
        "sym_load": table(
            "sym_load",
            len(load),
            id=6000 + load.index,
            node=load.bus,
            status=1,
            type=0,
            p_specified=1e6 * load.p_mw,
            q_specified=1e6 * load.q_mvar,
        ),
    }
    model = pgm.PowerGridModel(data, system_frequency=50.0)
    node = model.calculate_power_flow(error_tolerance=1e-10)["node"]
    for bus, v_pu in zip(node["id"], node["u_pu"], strict=True):
        assert flow.v_pu[0, known.node_of[int(bus)]] == pytest.approx(v_pu, abs=1e-6)


def test_a_batch_is_as_its_steps_one_by_one():
    known = network.compiled(network_sources.build("case33bw"))
    s = (known.other_pu - known.load_pu) * np.linspace(-1.0, 3.3, 12)[:, None]
    together = load_flow.solve(known, s)
    for k, row in enumerate(s):
        np.testing.assert_allclose(load_flow.solve(known, row[None]).v[0], together.v[k], rtol=0.0, atol=1e-9)


def test_sensitivities_of_a_batch_are_those_of_its_steps():
    known = network.compiled(network_sources.build("case33bw"))
    v = load_flow.solve(known, (known.other_pu - known.load_pu) * np.linspace(-1.0, 3.0, 5)[:, None]).v
    together = sensitivities.voltage_change(known, v, known.free[[3, 17]])
    for k in range(5):
        assert (sensitivities.voltage_change(known, v[[k]], known.free[[3, 17]])[0] == together[k]).all()


def test_the_jacobian_is_the_derivative_of_the_powers_also_with_machines_that_hold_a_voltage():
    y_bus = matrices_of(PlantNetwork(NetworkParameters(net="case9"), {"hub": 4}).net).y_bus
    n, pv = y_bus.shape[0], [1, 2]
    pq = np.arange(3, n)
    rng = np.random.default_rng(1)
    at = np.concatenate((rng.uniform(-0.3, 0.3, n), rng.uniform(0.9, 1.1, n)))

    def powers(polar):
        v = polar[n:] * np.exp(1j * polar[:n])
        s = v * np.conj(y_bus @ v)
        return np.concatenate((s[[*pv, *pq]].real, s[pq].imag))

    step = 1e-6 * np.eye(2 * n)[[*pv, *pq, *(n + pq)]]
    slopes = np.array([(powers(at + one) - powers(at - one)) / 2e-6 for one in step]).T
    v = at[n:] * np.exp(1j * at[:n])
    jacobian = next(PowerFlowEquations(y_bus, pv, pq).jacobians(v[np.newaxis])).toarray()
    np.testing.assert_allclose(jacobian, slopes, rtol=0.0, atol=1e-7)


def test_beyond_what_the_network_can_carry_there_is_no_solution():
    known = network.compiled(network_sources.build("case33bw"))
    s = (known.other_pu - known.load_pu) * np.array([[1.0], [3.6], [6.0]])
    flow = load_flow.solve(known, s)
    assert flow.converged.tolist() == [True, True, False]
    assert np.isnan(flow.v[2]).all()


@settings(max_examples=examples(6))
@given(seed=st.integers(0, 10**6), level=st.sampled_from(["lv", "mv"]))
def test_sensitivities_are_finite_differences(seed, level):
    rng = np.random.default_rng(seed)
    known = network.compiled(feeder(rng, level, int(rng.integers(3, 12))))
    own = known.other_pu - known.load_pu
    places = rng.choice(known.free, 2, replace=False)
    base = load_flow.solve(known, own[None])
    change = sensitivities.voltage_change(known, base.v, places)[0]
    step = 1e-5
    for j in range(4):
        s = np.array([own, own])
        s[:, places[j % 2]] += np.array([step, -step]) * (1.0 if j < 2 else 1.0j)
        up, down = load_flow.solve(known, s).v
        for node in known.free:
            found = sensitivities.along(base.v[0, node], change[node])[1][j]
            assert found == pytest.approx((abs(up[node]) - abs(down[node])) / (2 * step), rel=1e-4, abs=1e-6)
        current, dc = known.y_end @ base.v[0], known.y_end @ change
        moved = (np.abs(known.y_end @ up) - np.abs(known.y_end @ down)) / (2 * step)
        for end in np.flatnonzero(np.abs(current) > 1e-3):
            assert sensitivities.along(current[end], dc[end])[1][j] == pytest.approx(moved[end], rel=1e-3, abs=1e-4)


def test_a_network_without_slack_is_refused():
    net = feeder(np.random.default_rng(1), "lv", 3)
    net.ext_grid["in_service"] = False
    with pytest.raises(ValueError, match="has no slack"):
        network.compiled(net)


def test_generators_that_hold_a_voltage_are_refused():
    net = feeder(np.random.default_rng(1), "lv", 3)
    pp.create_gen(net, 2, p_mw=0.0)
    with pytest.raises(ValueError, match="hold a voltage"):
        network.compiled(net)


def test_own_loads_that_collapse_the_network_are_told():
    net = feeder(np.random.default_rng(1), "lv", 3)
    net.load["p_mw"] *= 1e3
    with pytest.raises(ValueError, match="does not converge"):
        network.compiled(net)


def test_loads_that_depend_on_the_voltage_are_refused():
    net = feeder(np.random.default_rng(1), "lv", 3)
    pp.create_load(net, 2, p_mw=0.01, const_z_p_percent=100.0)
    with pytest.raises(ValueError, match="constant power"):
        network.compiled(net)


def test_a_bus_without_a_source_is_no_node():
    net = feeder(np.random.default_rng(1), "lv", 3)
    dead = pp.create_bus(net, vn_kv=0.4)
    known = network.compiled(net)
    with pytest.raises(ValueError, match=f"hub 'depot': bus {dead} has no path to a source of the network"):
        known.node(dead, "hub 'depot'")


@pytest.mark.parametrize("name", [*NETS, "lv_feeder", "create_kerber_vorstadtnetz_kabel_1"])
def test_the_plant_and_the_controllers_have_the_same_admittances(name):
    """The controller's nodes are those of the plant; the plant's further bus is the hub's own, behind its switch."""
    planned = network.compiled(network_sources.build(name))
    known = np.flatnonzero(planned.bus >= 0)  # not the open ends of branches, which have a node only
    buses = planned.bus[known]
    plant = matrices_of(PlantNetwork(NetworkParameters(net=name), {"depot": int(buses[-1])}).net)
    node = plant.node_of(buses)
    assert (node >= 0).all()
    assert (plant.y_bus[node][:, node].toarray() == planned.y[known][:, known].toarray()).all()
