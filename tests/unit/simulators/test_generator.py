"""Dispatchable generators: fuel curve, phases, what a tank of fuel gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.generator import generator_model as generator
from evhub.simulators.generator.generator_model import EnginePhase, GeneratorParameters

from ...helpers.sizes import examples

DG = GeneratorParameters(rated_kw=30, fuel_capacity_l=200, minimum_kw=9, start_s=10, cooldown_s=60)
QUICK = GeneratorParameters(rated_kw=30, fuel_capacity_l=200, start_s=0)


def running(parameters, p_kw, fuel_l=None):
    """A genset that already gives p_kw."""
    state = generator.initial(parameters, fuel_l)._replace(phase=np.array([EnginePhase.RUNNING]), p_kw=np.array([p_kw]))
    return state


def test_fuel_curve_meets_the_published_points():
    """HOMER Pro 3.12 manual: a 50 kW genset burns 8.48 l/h at 25 kW and 15.3 l/h at rated output."""
    genset = GeneratorParameters(rated_kw=50, fuel_capacity_l=100)
    assert generator.fuel_rate(genset, np.array([25, 50])) == pytest.approx([8.48, 15.3], abs=0.01)


def test_efficiency_is_zero_without_load_and_best_at_the_rating():
    efficiency = generator.efficiency(DG, np.linspace(0, 30, 31))
    assert efficiency[0] == 0
    assert (np.diff(efficiency) > 0).all()
    assert 0.30 < efficiency[-1] < 0.36


def test_power_comes_after_the_start_and_goes_at_once():
    state, out = generator.step(DG, generator.initial(DG), 20, True, False, 0)
    assert (state.phase[0], out.p_kw[0], out.fuel_l_per_h[0], out.next_event_s[0]) == (EnginePhase.STARTING, 0, 0, 10)
    state, out = generator.step(DG, state, 20, True, False, 10)
    assert (state.phase[0], out.p_kw[0]) == (EnginePhase.RUNNING, 20)
    state, out = generator.step(DG, state, 0, True, False, 100)
    assert (state.phase[0], out.p_kw[0], out.next_event_s[0]) == (EnginePhase.COOLING, 0, 60)
    assert out.fuel_l_per_h[0] == pytest.approx(0.033 * 30)
    state, out = generator.step(DG, state, 0, True, False, 60)
    assert (state.phase[0], out.fuel_l_per_h[0], out.next_event_s[0]) == (EnginePhase.OFF, 0, np.inf)


def test_engine_that_cools_down_starts_again_only_when_cool():
    state, _ = generator.step(DG, running(DG, 20.0), 0, True, False, 0)
    state, out = generator.step(DG, state, 20, True, False, 30)
    assert (state.phase[0], out.next_event_s[0]) == (EnginePhase.COOLING, 30)
    state, out = generator.step(DG, state, 20, True, False, 30)
    assert (state.phase[0], out.next_event_s[0]) == (EnginePhase.STARTING, 10)


def test_start_is_given_up_when_the_set_point_goes_back_to_zero():
    state, _ = generator.step(DG, generator.initial(DG), 20, True, False, 0)
    state, _ = generator.step(DG, state, 0, True, False, 5)
    assert state.phase[0] == EnginePhase.OFF


@pytest.mark.parametrize(("p_set", "p"), [(0, 0), (0.1, 9), (9, 9), (20, 20), (30, 30), (99, 30)])
def test_set_point_is_off_or_between_minimum_and_rating(p_set, p):
    _, out = generator.step(DG, running(DG, 20.0), p_set, True, False, 0)
    assert out.p_kw[0] == p


@pytest.mark.parametrize("p_set", [-1.0, np.nan])
def test_set_point_that_is_no_power_is_refused(p_set):
    with pytest.raises(ValueError, match="p_set_kw must be >= 0, got"):
        generator.step(DG, generator.initial(DG), p_set, True, False, 0)


def test_dead_bus_takes_the_power_and_lets_the_engine_cool():
    state, out = generator.step(DG, running(DG, 20.0), 20, False, False, 0)
    assert (state.phase[0], out.p_kw[0]) == (EnginePhase.COOLING, 0)


def test_fault_stops_the_engine_at_once_in_every_phase():
    for phase in EnginePhase:
        state = generator.initial(DG)._replace(phase=np.array([phase]), timer_s=np.array([5.0]))
        state, out = generator.step(DG, state, 20, True, True, 0)
        assert (state.phase[0], out.p_kw[0], out.fuel_l_per_h[0]) == (EnginePhase.OFF, 0, 0)


def test_no_start_without_fuel():
    state, out = generator.step(DG, generator.initial(DG, 0.0), 20, True, False, 0)
    assert (state.phase[0], out.next_event_s[0]) == (EnginePhase.OFF, np.inf)


def test_fuel_of_an_hour_at_constant_power_is_the_fuel_curve_however_it_is_cut():
    one, _ = generator.step(DG, running(DG, 20.0), 20, True, False, 3600)
    cut = running(DG, 20.0)
    for dt_s in [0, 1, 0, 599, 3000]:
        cut, _ = generator.step(DG, cut, 20, True, False, dt_s)
    assert one.fuel_l[0] == pytest.approx(200 - (0.033 * 30 + 0.273 * 20), abs=1e-12)
    assert cut.fuel_l[0] == pytest.approx(one.fuel_l[0], abs=1e-12)


def test_cool_down_burns_its_own_fuel_even_if_its_end_is_seen_late():
    state, out = generator.step(DG, running(DG, 20.0), 0, True, False, 0, time_step_s=900)
    assert out.next_event_s[0] == 900
    state, _ = generator.step(DG, state, 0, True, False, 900, time_step_s=900)
    assert 200 - state.fuel_l[0] == pytest.approx(0.033 * 30 * 60 / 3600, abs=1e-12)


@pytest.mark.parametrize("time_step_s", [1, 60, 900])
def test_engine_stops_at_the_last_step_its_fuel_lasts_for(time_step_s):
    """1 l gives 1 / (0.99 + 5.46) h = 558.1 s at 20 kW; on a step of 900 s it does not even start."""
    state, out = generator.step(QUICK, generator.initial(QUICK, 1.0), 20, True, False, 0, time_step_s)
    lasts_s = 3600 / (0.033 * 30 + 0.273 * 20) // time_step_s * time_step_s
    if lasts_s == 0:
        assert (state.phase[0], out.p_kw[0]) == (EnginePhase.OFF, 0)
        return
    assert out.next_event_s[0] == lasts_s
    state, out = generator.step(QUICK, state, 20, True, False, lasts_s, time_step_s)
    assert (state.phase[0], out.p_kw[0], out.next_event_s[0]) == (EnginePhase.OFF, 0, np.inf)
    assert 0 <= state.fuel_l[0] < 6.45 * time_step_s / 3600


def test_running_on_beyond_the_fuel_is_an_error():
    with pytest.raises(ValueError, match="dt_s must not be longer than the fuel"):
        generator.step(DG, running(DG, 20.0, fuel_l=1.0), 20, True, False, 600)
    with pytest.raises(ValueError, match="dt_s must be >= 0, got -1"):
        generator.step(DG, generator.initial(DG), 20, True, False, -1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rated_kw": 0}, r"rated_kw must be > 0, got \[0\.\]"),
        ({"minimum_kw": 31}, r"minimum_kw must be at most rated_kw \[30\.\], got \[31\.\]"),
        ({"start_s": -1}, r"start_s must be >= 0, got \[-1\.\]"),
        ({"fuel_capacity_l": np.array([1.0, np.nan])}, "fuel_capacity_l must be > 0"),
    ],
)
def test_ratings_outside_their_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        GeneratorParameters(**({"rated_kw": 30, "fuel_capacity_l": 200} | values))


def test_tank_holds_no_more_than_its_capacity():
    with pytest.raises(ValueError, match=r"fuel_l must be at least 0 and at most \[200\.\], got 201"):
        generator.initial(DG, 201)


# --- any sequence of inputs -------------------------------------------------------------------------------------------

some = settings(max_examples=examples(60))
units = st.fixed_dictionaries(
    {
        "rated_kw": st.sampled_from([10.0, 30.0]),
        "minimum_kw": st.sampled_from([0.0, 9.0]),
        "fuel_capacity_l": st.sampled_from([0.02, 0.5, 200.0]),
        "start_s": st.sampled_from([0.0, 2.5, 10.0]),
        "cooldown_s": st.sampled_from([0.0, 7.5, 60.0]),
    }
)
inputs = st.tuples(
    st.sampled_from([0.0, 5.0, 20.0, 40.0]),
    st.sampled_from([True, True, False]),
    st.sampled_from([False, False, True]),
    st.integers(1, 200),
)


def drive(parameters, script, time_step_s, every_step=False):
    """Step at every input and every predicted event, or at every time step; yields (time to the next, state, out)."""
    state, dt_s = generator.initial(parameters), 0.0
    for *values, steps in script:
        left = steps * time_step_s
        while left > 0:
            state, out = generator.step(parameters, state, *values, dt_s, time_step_s)
            dt_s = time_step_s if every_step else min(float(out.next_event_s.min()), left)
            yield dt_s, state, out
            left -= dt_s
    state, out = generator.step(parameters, state, *values, dt_s, time_step_s)
    yield 0.0, state, out


@some
@given(st.lists(units, min_size=1, max_size=3), st.lists(inputs, min_size=1, max_size=6), st.sampled_from([1.0, 60.0]))
def test_fuel_burnt_is_the_integral_of_the_rate_and_never_more_than_the_tank(gensets, script, time_step_s):
    parameters = GeneratorParameters(**{key: np.array([g[key] for g in gensets]) for key in gensets[0]})
    burnt = np.zeros(len(gensets))
    for dt_s, state, out in drive(parameters, script, time_step_s):
        assert (state.fuel_l >= 0).all()
        assert parameters.fuel_capacity_l - state.fuel_l == pytest.approx(burnt, abs=1e-9)
        assert (out.next_event_s > 0).all()
        assert (out.next_event_s[np.isfinite(out.next_event_s)] % time_step_s == 0).all()
        assert ((out.p_kw == 0) | ((out.p_kw >= parameters.minimum_kw) & (out.p_kw <= parameters.rated_kw))).all()
        burning_s = np.where(state.phase == EnginePhase.COOLING, np.minimum(dt_s, state.timer_s), dt_s)
        burnt = burnt + out.fuel_l_per_h * burning_s / 3600


@some
@given(st.lists(units, min_size=2, max_size=4), st.lists(inputs, min_size=1, max_size=6))
def test_many_gensets_are_a_loop_over_one(gensets, script):
    parameters = GeneratorParameters(**{key: np.array([g[key] for g in gensets]) for key in gensets[0]})
    together = generator.initial(parameters), None
    singles = [(GeneratorParameters(**g), (generator.initial(GeneratorParameters(**g)), None)) for g in gensets]
    for *values, _ in script:
        together = generator.step(parameters, together[0], *values, 1.0)
        singles = [(p, generator.step(p, state, *values, 1.0)) for p, (state, _) in singles]
        for k in (0, 1):  # state, outputs
            for field in together[k]._fields:
                assert (getattr(together[k], field) == [getattr(s[k], field)[0] for _, s in singles]).all()


@some
@given(units, st.lists(inputs, min_size=1, max_size=4))
def test_calls_in_between_change_nothing(genset, script):
    parameters = GeneratorParameters(**genset)
    script = [(*values, steps % 30 + 1) for *values, steps in script]
    *_, (_, plain, plain_out) = drive(parameters, script, 1.0)
    *_, (_, often, often_out) = drive(parameters, script, 1.0, every_step=True)
    assert plain.phase == often.phase
    assert plain_out.p_kw == often_out.p_kw
    assert plain_out.next_event_s == often_out.next_event_s
    # Up to 120 subtractions from 200 l, each rounded by at most 1.4e-14 l.
    assert plain.fuel_l == pytest.approx(often.fuel_l, rel=0, abs=120 * 1.5e-14)


def test_reactive_power_goes_as_far_as_the_rated_power_factor():
    p_kw = np.array([0.0, 8.0, 8.0, 8.0])
    q_kvar = generator.reactive_kvar(p_kw, np.array([5.0, 5.0, -5.0, 99.0]))
    np.testing.assert_allclose(q_kvar, [0.0, 5.0, -5.0, 6.0], atol=1e-12)
