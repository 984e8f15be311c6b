"""Four load classes: who is served under limits and blackouts, and where the rest of the energy goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators.adapter import Clock, Schedule
from evhub.simulators.load import load_model as load
from evhub.simulators.load.load_model import CONTROLLABLE, CRITICAL, GENERAL, SHIFTABLE
from evhub.simulators.load.load_simulator import LocalLoad
from evhub.simulators.series import Series
from evhub.simulators.units import S_PER_H, energy_kwh

PARAMETERS = load.LoadParameters(band_lower=0.6, band_upper=1.0, recovery_kw=8.0)
DEMAND = (10.0, 20.0, 6.0, 4.0)
NONE = (0.0, 0.0, 0.0, 0.0)
FREE = (math.inf,) * 4


def run(parameters, inputs, time_step_s=60.0):
    """Run inputs (until_s, demand, limit, energised) event by event; yields (t_s, dt_s, outputs)."""
    state, t_s, dt_s = load.initial(), 0.0, 0.0
    for until_s, demand, limit, energised in inputs:
        while t_s < until_s:
            state, outputs = load.step(parameters, state, demand, limit, energised, dt_s, time_step_s)
            dt_s = min(outputs.next_event_s, until_s - t_s)
            yield t_s, dt_s, outputs
            t_s += dt_s
    state, outputs = load.step(parameters, state, NONE, FREE, True, dt_s, time_step_s)
    yield t_s, 0.0, outputs


def limit(**kw):
    """Give limits for some classes, none for the others."""
    return tuple(kw.get(name, math.inf) for name in load.CLASSES)


def first(demand=DEMAND, limit_kw=FREE, energised=True, parameters=PARAMETERS):
    return load.step(parameters, load.initial(), demand, limit_kw, energised, 0.0)[1]


def test_without_limits_the_demand_is_served():
    outputs = first()
    assert outputs.served_kw == DEMAND
    assert outputs.p_kw == 40
    assert outputs.next_event_s == math.inf


def test_a_dead_bus_serves_nothing_and_only_shiftable_load_waits():
    outputs = first(energised=False)
    assert outputs.served_kw == NONE
    assert outputs.unserved_kw == (10, 20, 0, 4)
    assert outputs.deferred_kw == 6


def test_critical_load_obeys_no_limit():
    assert first(limit_kw=NONE).served_kw[CRITICAL] == 10


@pytest.mark.parametrize(("ceiling", "served"), [(math.inf, 18), (19, 18), (15, 15), (12, 12), (3, 12), (0, 12)])
def test_controllable_load_stays_in_its_band(ceiling, served):
    parameters = load.LoadParameters(band_lower=0.6, band_upper=0.9)
    outputs = first(limit_kw=limit(controllable=ceiling), parameters=parameters)
    assert outputs.served_kw[CONTROLLABLE] == pytest.approx(served)
    assert outputs.unserved_kw[CONTROLLABLE] == pytest.approx(20 - served)


def test_general_load_can_be_cut_to_nothing():
    outputs = first(limit_kw=limit(general=0))
    assert outputs.served_kw[GENERAL] == 0
    assert outputs.unserved_kw[GENERAL] == 4


def test_limits_never_raise_the_demand():
    outputs = first(limit_kw=limit(critical=99, controllable=99, shiftable=99, general=99))
    assert outputs.served_kw == DEMAND


def test_shifted_energy_is_made_good_at_the_recovery_power():
    """6 kW put off for an hour, made good at 8 kW above the demand: 45 minutes, then back to the demand."""
    steps = list(run(PARAMETERS, [(3600, DEMAND, limit(shiftable=0), True), (7200, DEMAND, FREE, True)]))
    assert [(t, o.served_kw[SHIFTABLE]) for t, _, o in steps[:-1]] == [(0, 0), (3600, 14), (3600 + 2700, 6)]
    assert steps[1][2].backlog_kwh == pytest.approx(6)
    assert steps[-1][2].backlog_kwh == pytest.approx(0)
    assert steps[-1][2].eens_kwh == NONE


def test_the_last_bit_of_a_backlog_takes_exactly_one_step():
    """6 kW for 10 minutes are 1 kWh: at 8 kW 7.5 minutes, that is 7 steps of a minute and one at half power."""
    steps = list(run(PARAMETERS, [(600, DEMAND, limit(shiftable=0), True), (1800, DEMAND, FREE, True)]))
    assert [t for t, _, _ in steps[:-1]] == [0, 600, 600 + 420, 600 + 480]
    assert [o.deferred_kw for _, _, o in steps[:-1]] == pytest.approx([6, -8, -4, 0])


def test_a_limit_slows_the_recovery():
    steps = list(run(PARAMETERS, [(3600, DEMAND, limit(shiftable=0), True), (7200, DEMAND, limit(shiftable=8), True)]))
    assert steps[1][2].served_kw[SHIFTABLE] == 8
    assert steps[-1][2].backlog_kwh == pytest.approx(4)


def test_what_is_not_made_good_by_the_deadline_is_lost():
    parameters = load.LoadParameters(recovery_kw=8.0, deadlines_s=(5400.0,))
    steps = list(run(parameters, [(3600, DEMAND, limit(shiftable=0), True), (7200, DEMAND, limit(shiftable=6), True)]))
    assert [t for t, _, _ in steps[:-1]] == [0, 3600, 5400]
    assert [o.backlog_kwh for _, _, o in steps] == pytest.approx([0, 6, 0, 0])
    np.testing.assert_allclose(steps[-1][2].eens_kwh, [0, 0, 6, 0])


def test_less_than_a_kilowatt_hour_is_lost_at_the_deadline_too():
    """0.5 kW put off for an hour; the step at the deadline comes although nothing else changes."""
    parameters, demand = load.LoadParameters(recovery_kw=8.0, deadlines_s=(5400.0,)), (0.0, 0.0, 0.5, 0.0)
    steps = list(run(parameters, [(3600, demand, limit(shiftable=0), True), (7200, NONE, limit(shiftable=0), True)]))
    assert [t for t, _, _ in steps[:-1]] == [0, 3600, 5400]
    np.testing.assert_allclose(steps[-1][2].eens_kwh, [0, 0, 0.5, 0])


def test_a_band_may_be_a_single_power():
    outputs = first(limit_kw=limit(controllable=3), parameters=load.LoadParameters(band_lower=0.5, band_upper=0.5))
    assert outputs.served_kw[CONTROLLABLE] == 10


def test_a_deadline_between_two_steps_counts_from_the_next():
    parameters = load.LoadParameters(recovery_kw=8.0, deadlines_s=(3610.0,))
    outputs = list(
        run(parameters, [(3600, DEMAND, limit(shiftable=0), True), (7200, DEMAND, limit(shiftable=6), True)])
    )
    assert [t for t, _, _ in outputs[:-1]] == [0, 3600, 3660]


def test_energy_not_supplied_is_counted_per_class():
    steps = list(run(PARAMETERS, [(1800, DEMAND, limit(controllable=0, general=1), True), (3600, DEMAND, FREE, False)]))
    np.testing.assert_allclose(steps[-1][2].eens_kwh, [5, 4 + 10, 0, 1.5 + 2])
    assert steps[-1][2].backlog_kwh == pytest.approx(3)


kw = st.floats(0, 50)
rows = st.tuples(kw, kw, kw, kw)


@given(
    st.lists(st.tuples(st.integers(1, 40), rows, rows, st.booleans()), min_size=1, max_size=6),
    st.floats(0, 20),
    st.lists(st.integers(1, 8000), max_size=3, unique=True),
)
def test_every_demanded_kwh_is_served_lost_or_still_due(blocks, recovery_kw, deadlines_s):
    parameters = load.LoadParameters(0.3, 0.9, recovery_kw, tuple(sorted(deadlines_s)))
    inputs, until_s = [], 0
    for minutes, demand, ceiling, energised in blocks:
        until_s += 60 * minutes
        inputs.append((until_s, demand, ceiling, energised))
    demanded = sum(
        energy_kwh(np.array(demand), until_s - before_s)
        for (until_s, demand, _, _), before_s in zip(inputs, [0, *[i[0] for i in inputs]], strict=False)
    )
    served, outputs = np.zeros(4), None
    for _, dt_s, outputs in run(parameters, inputs):
        served = served + energy_kwh(np.array(outputs.served_kw), dt_s)
        assert min(outputs.served_kw) >= 0
        assert min(outputs.unserved_kw) >= 0
        assert outputs.backlog_kwh >= 0
    accounted = served + np.array(outputs.eens_kwh)
    accounted[SHIFTABLE] += outputs.backlog_kwh
    np.testing.assert_allclose(accounted, demanded, atol=1e-9)


def test_loads_together_are_the_loads_one_by_one():
    """Steps of one load between those of others leave it as it is alone."""
    rng = np.random.default_rng(1)
    loads = [
        load.LoadParameters(lower, 1.0, recovery_kw, (4000.0,), factor)
        for lower, recovery_kw, factor in zip(
            rng.random(3) / 2, rng.random(3) * 9, 0.8 + rng.random(3) / 5, strict=True
        )
    ]
    inputs = [[(rng.random(4) * 20, rng.random(4) * 25, rng.random() < 0.8) for _ in range(120)] for _ in loads]

    def one_step(n, k, state):
        demand, ceiling, energised = inputs[n][k]
        return load.step(loads[n], state, demand.tolist(), ceiling.tolist(), energised, 60.0 if k else 0.0, 60.0)

    alone = []
    for n in range(3):
        state, outputs = load.initial(), []
        for k in range(120):
            state, now = one_step(n, k, state)
            outputs.append(now)
        alone.append(outputs)
    states = [load.initial()] * 3
    for k in range(120):
        for n in range(3):
            states[n], now = one_step(n, k, states[n])
            assert now == alone[n][k]
    assert all(outputs[-1].eens_kwh[SHIFTABLE] > 0.0 for outputs in alone)  # all met the deadline


def test_the_time_step_does_not_change_the_energy():
    ends = []
    for time_step_s in (1.0, 30.0, 900.0):
        inputs = [(3600, DEMAND, limit(shiftable=1), True), (9000, DEMAND, FREE, True)]
        steps = list(run(PARAMETERS, inputs, time_step_s))
        ends.append(sum(energy_kwh(np.array(o.served_kw), dt_s) for _, dt_s, o in steps))
    np.testing.assert_allclose(ends, [np.array(DEMAND) * 9000 / S_PER_H] * 3)


def test_reactive_power_follows_the_power_factor():
    """A 3-4-5 triangle: 40 kW at 0.8 are 50 kVA and 30 kvar."""
    assert first(parameters=load.LoadParameters(power_factor=0.8)).q_kvar == pytest.approx(30)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0])
def test_demand_is_scaled_and_what_is_switched_off_is_not_missed(factor):
    """Switched for an hour; after it all is as before, and nothing is made good."""
    device = LocalLoad(
        Clock(60.0, 120),
        parameters=PARAMETERS,
        demand_kw=Series.constant(np.array(DEMAND)),
        switch=Schedule([(0.0, 3600.0, factor)], 1.0),
        one_phase_kw=[],
    )
    for t_s, now in ((0.0, factor), (3600.0, 1.0)):
        device.update(t_s, {})
        np.testing.assert_array_equal(device.changed["served_kw"], np.array(DEMAND) * now)
        assert device.changed["unserved_kw"].sum() == device.changed["backlog_kwh"] == 0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"band_lower": 0.9, "band_upper": 0.5}, r"0 <= lower <= upper <= 1, got 0\.9 and 0\.5"),
        ({"band_upper": 1.5}, r"0 <= lower <= upper <= 1, got 0\.0 and 1\.5"),
        ({"recovery_kw": -1}, "recovery_kw must be >= 0, got -1"),
        ({"power_factor": 0}, "power_factor must be > 0 and <= 1, got 0"),
        ({"deadlines_s": (5, 5)}, "deadlines_s must increase strictly"),
    ],
)
def test_parameters_out_of_range_are_refused(given, match):
    with pytest.raises(ValueError, match=match):
        load.LoadParameters(**given)


@pytest.mark.parametrize(
    ("demand", "ceiling", "dt_s", "match"),
    [
        ((-10.0, *DEMAND[1:]), FREE, 0.0, "demand_kw must be >= 0"),
        ((*DEMAND[:3], -4.0), FREE, 0.0, "demand_kw must be >= 0"),
        ((*DEMAND[:3], math.nan), FREE, 0.0, "demand_kw must be >= 0"),
        (DEMAND, (math.nan, *FREE[1:]), 0.0, r"limit_kw a number, got .* and \(nan"),
        (DEMAND, limit(general=math.nan), 0.0, r"limit_kw a number, got .* and .*nan\)"),
        (DEMAND, FREE, -1.0, r"dt_s must be within 0\.\.inf, got -1"),
    ],
)
def test_impossible_inputs_are_refused(demand, ceiling, dt_s, match):
    with pytest.raises(ValueError, match=match):
        load.step(PARAMETERS, load.initial(), demand, ceiling, True, dt_s)


def test_holding_a_recovery_for_too_long_is_refused():
    state, _ = load.step(PARAMETERS, load.initial(), DEMAND, limit(shiftable=0), True, 0.0, 60.0)
    state, outputs = load.step(PARAMETERS, state, DEMAND, FREE, True, 3600.0, 60.0)
    with pytest.raises(ValueError, match=r"dt_s must be within 0\.\.2700\.0, got 2760"):
        load.step(PARAMETERS, state, DEMAND, FREE, True, outputs.next_event_s + 60, 60.0)
