"""The 33-bus feeder against its published base case; see README.md beside this file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evhub.simulators.network.network_model import DEAD, GRID, SECONDARY, NetworkParameters, PlantNetwork

EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())
V_PU = np.array([EXPECTED["v_pu"][str(bus)] for bus in range(1, 34)])
BUS_18 = 17  # pandapower counts from 0


@pytest.fixture(scope="module")
def feeder():
    return PlantNetwork(NetworkParameters(net="case33bw"), {"hub": BUS_18})


@pytest.fixture(scope="module")
def building():
    return PlantNetwork(NetworkParameters(net="case33bw", replaces_load=frozenset({"hub"})), {"hub": BUS_18})


def base_case(feeder):
    return feeder.solve([0.0], [0.0], [GRID])


def test_losses_are_the_published_ones(feeder):
    result = base_case(feeder)
    assert result.losses_kw == pytest.approx(202.677, abs=0.0005)
    assert result.losses_kw == pytest.approx(EXPECTED["losses_kw"], abs=1e-6)
    assert result.p_slack_kw == pytest.approx(3715.0 + 202.677, abs=0.0005)
    assert feeder.net.res_line.ql_mvar.sum() * 1e3 == pytest.approx(135.141, abs=0.0005)


def test_every_voltage_is_the_published_one(feeder):
    v_pu = base_case(feeder).v_pu
    np.testing.assert_allclose(v_pu, V_PU, rtol=0, atol=1e-8)
    assert v_pu.argmin() == BUS_18
    assert v_pu[BUS_18] == pytest.approx(0.91309, abs=5e-6)


def test_the_loads_are_those_of_the_paper(feeder):
    own = feeder.net.load[feeder.net.load.name != "hub:hub"]
    assert (own.p_mw.sum(), own.q_mvar.sum()) == pytest.approx((3.715, 2.3))


def test_a_backward_forward_sweep_finds_the_same_voltages(feeder):
    net = feeder.net
    lines = net.line[net.line.in_service]
    z_ohm = ((lines.r_ohm_per_km + 1j * lines.x_ohm_per_km) * lines.length_km).to_numpy()
    ends = list(zip(lines.from_bus, lines.to_bus, z_ohm, strict=True))  # a bus is fed before it feeds others
    s_mva = np.zeros(33, dtype=complex)
    own = net.load[net.load.name != "hub:hub"]
    np.add.at(s_mva, own.bus, own.p_mw + 1j * own.q_mvar)
    v_kv = np.full(33, 12.66, dtype=complex)
    for _ in range(40):
        i_ka = np.conj(s_mva / v_kv)
        for start, end, _ in reversed(ends):
            i_ka[start] += i_ka[end]
        for start, end, z in ends:
            v_kv[end] = v_kv[start] - z * i_ka[end]
    np.testing.assert_allclose(np.abs(v_kv) / 12.66, V_PU, rtol=0, atol=1e-8)


def test_a_hub_that_draws_the_load_it_replaces_gives_the_base_case(building):
    result = building.solve([90.0], [40.0], [GRID])
    np.testing.assert_allclose(result.v_pu, V_PU, rtol=0, atol=1e-8)
    assert result.losses_kw == pytest.approx(202.677, abs=0.0005)


def test_a_replaced_load_is_gone_when_the_hub_is_islanded_or_dead(building):
    without = building.solve([0.0], [0.0], [GRID])
    assert without.v_pu[BUS_18] > V_PU[BUS_18]
    assert without.p_slack_kw == pytest.approx(3715.0 - 90.0 + without.losses_kw, abs=1e-5)
    for status in (SECONDARY, DEAD):
        np.testing.assert_allclose(building.solve([90.0], [40.0], [status]).v_pu, without.v_pu, rtol=0, atol=1e-9)


def test_without_load_there_is_no_voltage_drop(feeder):
    result = feeder.solve([0.0], [0.0], [GRID], load_scale=0.0)
    np.testing.assert_allclose(result.v_pu, 1.0, rtol=0, atol=1e-10)
    assert result.losses_kw == pytest.approx(0.0, abs=1e-8)


def test_the_loads_beyond_an_open_line_are_not_served(building):
    """Line 16-17 of the paper is line 15 here; bus 17 draws 60 kW, the hub stands in the place of bus 18's 90 kW."""
    result = building.solve([25.0], [0.0], [GRID], lines_out={"line:15"})
    assert np.flatnonzero(result.v_pu == 0.0).tolist() == [16, 17]
    assert not result.energised[0]
    assert result.p_slack_kw == pytest.approx(3715.0 - 150.0 + result.losses_kw, abs=1e-5)
    assert result.message == (
        "60.0 kW of the network's own load has no source; hub 'hub' draws 25.0 kW from a bus without source"
    )
    np.testing.assert_allclose(building.solve([90.0], [40.0], [GRID]).v_pu, V_PU, rtol=0, atol=1e-8)
