"""The grid connection: balance, currents, capacities, and meters that fail one by one."""

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators.adapter import Clock, Schedule
from evhub.simulators.ats.ats_model import Bus
from evhub.simulators.devices import kind_of
from evhub.simulators.grid import grid_model as grid
from evhub.simulators.grid.grid_model import ConnectionParameters, FailedMeters, Powers
from evhub.simulators.grid.grid_simulator import GridConnection, Terminal

HUB = ConnectionParameters(contracted_kw=50, installed_kw=60, nominal_v=400)
"""Capacities of Leal et al. 2024, table 1."""


def Flows(pv=0.0, bess=0.0, dg=0.0, load=0.0, cp=0.0):  # noqa: N802
    """Powers of the devices of a hub; connectors and load draw."""
    return Powers((load, cp), (pv, bess, dg))


def test_leal_scenario_4_import_before_the_local_load():
    """Five EVs and slow charging: about 40 kW from the grid (Leal et al. 2024, section 5.4)."""
    flows = grid.balance(HUB, Bus.GRID, Flows(pv=4, bess=-5, cp=39))
    assert flows.p_grid_kw == 40
    assert flows.p_secondary_kw == 0


@pytest.mark.parametrize(("bus", "source"), [(Bus.GRID, "p_grid_kw"), (Bus.SECONDARY, "p_secondary_kw")])
def test_only_the_source_that_energises_the_bus_has_power(bus, source):
    flows = grid.balance(HUB, bus, Flows(load=5, cp=10), Flows(load=1))
    assert getattr(flows, source) == 15
    assert flows.p_grid_kw + flows.p_secondary_kw == 15
    assert flows.q_grid_kvar + flows.q_secondary_kvar == 1


def test_surplus_is_exported():
    assert grid.balance(HUB, Bus.GRID, Flows(pv=20, bess=-5, load=5)).p_grid_kw == -10


def test_losses_come_from_the_source():
    assert grid.balance(HUB, Bus.GRID, Flows(load=5), losses_kw=0.2).p_grid_kw == pytest.approx(5.2)


power = st.floats(-100, 100)


@given(st.builds(Flows, power, power, power, power, power), st.floats(0, 5), st.sampled_from([Bus.GRID, Bus.SECONDARY]))
def test_power_balances_at_the_bus(p, losses, bus):
    flows = grid.balance(HUB, bus, p, losses_kw=losses)
    sources = flows.p_grid_kw + flows.p_secondary_kw + sum(p.fed)
    assert sources == pytest.approx(sum(p.drawn) + losses, abs=1e-9)


# --- currents ---------------------------------------------------------------------------------------------------------


def test_balanced_current_is_apparent_power_over_root_three_times_voltage():
    flows = grid.balance(HUB, Bus.GRID, Flows(load=30), Flows(load=40))
    assert flows.i_a == pytest.approx([50_000 / (sqrt(3) * 400)] * 3)


@pytest.mark.parametrize("device", ["pv", "bess", "dg", "cp", "wind"])
def test_reactive_power_that_a_device_feeds_in_is_what_the_load_does_not_draw_from_the_grid(device):
    terminals = [Terminal(kind.name, kind.sign > 0, kind.q_sign > 0) for kind in map(kind_of, ("load", device))]
    meters = {meter: Schedule([], False) for meter in ("grid", "secondary", "load")}
    connection = GridConnection(Clock(1.0, 10), parameters=HUB, meter_faults=meters, terminals=terminals)
    connection.inputs |= {"load.q_kvar": 40.0, f"{device}.q_kvar": 10.0}
    connection.update(0.0, {})
    assert connection.changed["q_kvar"] == 30
    assert connection.changed["i_a"] == pytest.approx([30_000 / (sqrt(3) * 400)] * 3)


def test_single_phase_connector_loads_its_phase_alone():
    """7.36 kW at 230 V are 32 A."""
    hub = ConnectionParameters(contracted_kw=50, installed_kw=60, nominal_v=230 * sqrt(3))
    flows = grid.balance(hub, Bus.GRID, Flows(cp=7.36), p_phase_kw=(0, 7.36, 0))
    assert flows.i_a == pytest.approx((0, 32, 0))


def test_single_phase_load_under_three_phase_generation_flows_back_on_the_other_phases():
    hub = ConnectionParameters(contracted_kw=50, installed_kw=60, nominal_v=230 * sqrt(3))
    flows = grid.balance(hub, Bus.GRID, Flows(pv=6.9, cp=6.9), p_phase_kw=(6.9, 0, 0))
    assert flows.p_grid_kw == 0
    assert flows.i_a == pytest.approx((20, 10, 10))


def test_current_rises_as_the_voltage_falls():
    low = grid.balance(HUB, Bus.GRID, Flows(load=40), v_pu=0.9)
    assert low.i_a[0] == pytest.approx(grid.balance(HUB, Bus.GRID, Flows(load=40)).i_a[0] / 0.9)


@given(st.lists(st.floats(0, 22), min_size=3, max_size=3), st.floats(0, 50))
def test_phase_powers_add_up_to_the_whole(p_phase, three_phase):
    cp = sum(p_phase) + three_phase
    flows = grid.balance(HUB, Bus.GRID, Flows(cp=cp), p_phase_kw=tuple(p_phase))
    assert sum(flows.i_a) * 400 / sqrt(3) / 1000 == pytest.approx(cp, abs=1e-9)


def test_phases_may_come_as_an_array():
    flows = grid.balance(HUB, Bus.GRID, Flows(cp=9), p_phase_kw=np.array([3.0, 3.0, 3.0]))
    assert flows.i_a == pytest.approx(grid.balance(HUB, Bus.GRID, Flows(cp=9)).i_a)


# --- capacities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bus", "p_kw", "contracted", "installed"),
    [
        (Bus.GRID, 50, 0, 0),
        (Bus.GRID, 55, 5, 0),
        (Bus.GRID, 65, 15, 5),
        (Bus.GRID, -65, 0, 5),
        (Bus.SECONDARY, 55, 0, 0),
        (Bus.SECONDARY, 65, 0, 5),
    ],
)
def test_excess_over_the_contract_counts_imports_and_over_the_installation_all(bus, p_kw, contracted, installed):
    flows = grid.balance(HUB, bus, Flows(load=p_kw))
    assert (flows.contracted_excess_kw, flows.installed_excess_kw) == (contracted, installed)


# --- dead bus, wrong input --------------------------------------------------------------------------------------------


def test_dead_bus_has_no_power_and_no_current():
    assert grid.balance(HUB, Bus.DEAD, Flows(), v_pu=0.0) == (0, 0, 0, 0, (0, 0, 0), 0, 0)


@pytest.mark.parametrize(
    "powers",
    [
        {"p_kw": Flows(pv=1e-9)},
        {"p_kw": Flows(bess=1, load=1)},
        {"p_kw": Flows(), "q_kvar": Flows(pv=1)},
        {"p_kw": Flows(), "p_phase_kw": (0, 0, 1)},
        {"p_kw": Flows(), "losses_kw": 0.1},
    ],
)
def test_power_on_a_dead_bus_is_an_error(powers):
    with pytest.raises(ValueError, match="all power must be 0 on a dead bus, got"):
        grid.balance(HUB, Bus.DEAD, **powers)


@pytest.mark.parametrize("v_pu", [0.0, -1.0, float("nan")])
def test_live_bus_needs_a_voltage(v_pu):
    with pytest.raises(ValueError, match="v_pu must be > 0 on a live bus, got"):
        grid.balance(HUB, Bus.GRID, Flows(load=1), v_pu=v_pu)


@pytest.mark.parametrize("name", ["contracted_kw", "installed_kw", "nominal_v"])
def test_capacity_that_is_not_positive_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be > 0, got 0"):
        ConnectionParameters(**({"contracted_kw": 50, "installed_kw": 60} | {name: 0}))


# --- meters -----------------------------------------------------------------------------------------------------------


def test_meters_show_the_flows():
    flows = grid.balance(HUB, Bus.GRID, Flows(load=5, cp=20), Flows(load=2))
    readings = grid.read(Bus.GRID, flows, 5.0)
    assert readings[:6] == (25, 2, 0, 0, flows.i_a, 5)
    assert readings[6:] == (True, True, True)


@pytest.mark.parametrize(
    ("failed", "bus", "silent"),
    [
        (FailedMeters(grid=True), Bus.GRID, {"p_grid_kw", "q_grid_kvar", "i_a"}),
        (FailedMeters(grid=True), Bus.SECONDARY, {"p_grid_kw", "q_grid_kvar"}),
        (FailedMeters(secondary=True), Bus.GRID, {"p_secondary_kw", "q_secondary_kvar"}),
        (FailedMeters(secondary=True), Bus.SECONDARY, {"p_secondary_kw", "q_secondary_kvar", "i_a"}),
        (FailedMeters(load=True), Bus.GRID, {"p_load_kw"}),
        (FailedMeters(grid=True), Bus.DEAD, {"p_grid_kw", "q_grid_kvar"}),
    ],
)
def test_meters_fail_one_by_one(failed, bus, silent):
    load = 0.0 if bus is Bus.DEAD else 5.0
    flows = grid.balance(HUB, bus, Flows(load=load))
    readings = grid.read(bus, flows, load, failed)
    shown = readings._asdict()
    shown["i_a"] = sum(shown["i_a"])
    assert {name for name, value in shown.items() if isnan(value)} == silent
    assert (readings.grid_ok, readings.secondary_ok, readings.load_ok) == tuple(not f for f in failed)
