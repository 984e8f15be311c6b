"""The load flow of `ems` against pandapower and power-grid-model, its sensitivities against finite differences."""

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.network import admittances as network
from evhub.simulators.network import batch_load_flow as load_flow
from evhub.simulators.network import sensitivities

from ....helpers.random_feeders import feeder
from ....helpers.sizes import examples

NETS = ["case33bw", "create_cigre_network_lv", "create_cigre_network_mv", "create_kerber_dorfnetz"]


@pytest.mark.parametrize("name", NETS)
def test_voltages_and_loadings_are_those_of_pandapower(name):
    net = network.read(name)
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
    known = network.compiled(network.read("case33bw"))
    s = (known.other_pu - known.load_pu) * np.linspace(-1.0, 3.3, 12)[:, None]
    together = load_flow.solve(known, s)
    for k, row in enumerate(s):
        np.testing.assert_allclose(load_flow.solve(known, row[None]).v[0], together.v[k], rtol=0.0, atol=1e-9)


def test_beyond_what_the_network_can_carry_there_is_no_solution():
    known = network.compiled(network.read("case33bw"))
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


@pytest.mark.parametrize(
    ("bus", "told"), [(99, "does not exist"), ("nowhere", "does not exist"), (5, "no path to a source")]
)
def test_a_bus_must_exist_and_have_a_source(bus, told):
    net = feeder(np.random.default_rng(1), "lv", 3)
    pp.create_bus(net, vn_kv=0.4, index=5) if 5 not in net.bus.index else None
    known = network.compiled(net)
    with pytest.raises(ValueError, match=told):
        known.node(net, bus, "network.buses.depot")


def test_an_unknown_network_is_refused_with_near_names(tmp_path):
    with pytest.raises(ValueError, match="case33bw"):
        network.read("case33b")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a pandapower file"):
        network.read(str(tmp_path / "broken.json"))
