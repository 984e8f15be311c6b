"""The automatic transfer switch: every transition, makers' settings, and what must hold for any sequence of inputs."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import evhub.simulators
from evhub.simulators.ats import ats_model as ats
from evhub.simulators.ats.ats_model import AtsParameters, Bus, Faults, Mode, SecondarySource

from ...helpers.sizes import examples

GENSET = SecondarySource(rated_kw=60)
LEAL = AtsParameters(transfer_s=5, retransfer_s=5, secondary=GENSET)
"""Leal et al. 2024, scenarios 1, 3 and 5."""
HEALTHY = {"grid_available": True, "p_secondary_kw": 0.0, "faults": ats.NO_FAULTS, "island": False}
DATA = Path(evhub.simulators.__file__).parent / "data" / "ats"


class Trace:
    """An ATS driven like in the co-simulation: a step at every change of its inputs and at every event it predicts."""

    def __init__(self, parameters, script=(), until=1000.0, extra=(), predicted=True, islanded=False):
        self.states, self.events = {}, []
        state, inputs, next_s = ats.initial(parameters, 0.0, islanded), dict(HEALTHY), 0.0
        changes = dict(script)
        times = sorted({0.0, *changes, *extra})
        while True:
            t = min([next_s if predicted else inf, *times])
            if t > until:
                break
            times = [later for later in times if later > t]
            inputs |= changes.get(t, {})
            before = state
            state, out, next_s = ats.step(parameters, state, t, **inputs)
            assert next_s > t
            assert (out.mode, out.bus) == (state.mode, state.bus)
            self.states[t] = state
            self.events += [(t, kind) for kind, _ in out.events]
            assert before.t_s <= t
        self.last = state

    def at(self, t):
        return self.states[max(time for time in self.states if time <= t)]

    def bus(self):
        """Changes of the bus: {time: bus}."""
        changes, last = {}, None
        for t, state in self.states.items():
            if state.bus is not last:
                changes[t] = last = state.bus
        return changes

    def modes(self):
        modes = []
        for state in self.states.values():
            if not modes or modes[-1] is not state.mode:
                modes.append(state.mode)
        return modes

    def kinds(self):
        return [kind for _, kind in self.events]


def grid(t, available):
    return t, {"grid_available": available}


OUTAGE = [grid(175, False), grid(415, True)]


# --- the transitions of IEEE 2030.7 -----------------------------------------------------------------------------------


def test_leal_scenario_1_goes_dark_at_the_outage_and_returns_after_the_retransfer_delay():
    trace = Trace(LEAL, OUTAGE)
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 180: Bus.SECONDARY, 420: Bus.GRID}
    assert trace.kinds() == ["outage", "islanding", "islanded", "grid-back", "reconnected"]


def test_t2_passes_through_detection_start_and_transfer():
    parameters = replace(LEAL, detection_s=1, transfer_s=5, secondary=replace(GENSET, start_s=3))
    trace = Trace(parameters, OUTAGE)
    order = [
        Mode.CONNECTED,
        Mode.DETECTING,
        Mode.STARTING,
        Mode.TRANSFER,
        Mode.ISLANDED,
        Mode.CONFIRMING,
        Mode.CONNECTED,
    ]
    assert trace.modes() == order
    assert [t for t in trace.states if t > 0] == [175, 176, 179, 181, 415, 420]


@pytest.mark.parametrize(
    ("detection", "start", "transfer", "stabilise", "dead"),
    [(0, 0, 5, 0, 5), (1, 3, 5, 0, 6), (1, 8, 5, 0, 9), (3, 8, 0, 5, 16), (0, 0, 0, 0, 0), (0.25, 1.5, 1, 0.5, 2.25)],
)
def test_dead_time_of_t2_is_detection_plus_the_longer_of_transfer_and_start(
    detection, start, transfer, stabilise, dead
):
    parameters = AtsParameters(detection, transfer, stabilise, secondary=replace(GENSET, start_s=start))
    trace = Trace(parameters, [grid(100, False)])
    assert trace.at(100 + dead).bus is Bus.SECONDARY
    assert dead == 0 or trace.at(100 + dead - 1e-6).bus is Bus.DEAD


def test_t1_planned_islanding_is_seamless_and_withdrawn_after_confirmation():
    parameters = replace(LEAL, secondary=replace(GENSET, start_s=8))
    trace = Trace(parameters, [(100, {"island": True}), (300, {"island": False})])
    assert trace.bus() == {0: Bus.GRID, 108: Bus.SECONDARY, 305: Bus.GRID}
    assert trace.modes() == [Mode.CONNECTED, Mode.PREPARING, Mode.ISLANDED, Mode.CONFIRMING, Mode.CONNECTED]


def test_t1_with_open_transition_is_dark_while_the_switch_travels():
    parameters = replace(LEAL, open_transition_s=2, secondary=replace(GENSET, start_s=8))
    trace = Trace(parameters, [(100, {"island": True}), (300, {"island": False})])
    dark = {0: Bus.GRID, 108: Bus.DEAD, 110: Bus.SECONDARY, 305: Bus.DEAD, 307: Bus.GRID}
    assert trace.bus() == dark


def test_t1_is_refused_without_a_secondary_source():
    trace = Trace(AtsParameters(), [(100, {"island": True})])
    assert trace.bus() == {0: Bus.GRID}
    assert trace.events == [(100, "islanding-refused")]


def test_t1_request_withdrawn_while_the_source_starts_leaves_the_bus_on_the_grid():
    parameters = replace(LEAL, secondary=replace(GENSET, start_s=8))
    trace = Trace(parameters, [(100, {"island": True}), (104, {"island": False})])
    assert trace.bus() == {0: Bus.GRID}
    assert not trace.last.running


def test_t1_gives_up_after_one_failed_start_until_asked_again():
    parameters = replace(LEAL, secondary=replace(GENSET, start_s=8))
    failed, repaired = {"faults": Faults(secondary_failed=True)}, {"faults": ats.NO_FAULTS}
    script = [(100, {"island": True} | failed), (200, repaired), (300, {"island": False}), (301, {"island": True})]
    trace = Trace(parameters, script)
    assert trace.bus() == {0: Bus.GRID, 309: Bus.SECONDARY}


def test_outage_while_the_source_starts_for_t1_does_not_start_it_again():
    parameters = replace(LEAL, transfer_s=0, detection_s=3, secondary=replace(GENSET, start_s=8))
    trace = Trace(parameters, [(100, {"island": True}), grid(104, False)])
    assert trace.bus() == {0: Bus.GRID, 104: Bus.DEAD, 108: Bus.SECONDARY}


def test_grid_return_during_requested_islanding_does_not_end_it():
    trace = Trace(LEAL, [*OUTAGE, (200, {"island": True}), (600, {"island": False})])
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 180: Bus.SECONDARY, 605: Bus.GRID}


def test_t3_open_transition_is_dark_while_the_switch_travels():
    trace = Trace(replace(LEAL, open_transition_s=2), OUTAGE)
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 180: Bus.SECONDARY, 420: Bus.DEAD, 422: Bus.GRID}


def test_t3_confirmation_starts_anew_when_the_grid_fails_again():
    trace = Trace(LEAL, [*OUTAGE, grid(418, False), grid(440, True)])
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 180: Bus.SECONDARY, 445: Bus.GRID}


def test_t3_is_off_when_the_grid_fails_at_the_very_end_of_the_confirmation():
    trace = Trace(LEAL, [*OUTAGE, grid(420, False)])
    assert trace.last.mode is Mode.ISLANDED


def test_overload_just_before_an_open_transition_does_not_trip_the_unloaded_source():
    overload = (418, {"p_secondary_kw": 90.0})
    trace = Trace(replace(LEAL, open_transition_s=20), [*OUTAGE, overload])
    assert "trip" not in trace.kinds()
    assert trace.at(440).bus is Bus.GRID


def test_grid_lost_while_the_switch_travels_back_is_an_outage_again_on_the_running_source():
    parameters = replace(LEAL, open_transition_s=2, secondary=replace(GENSET, start_s=30, cooldown_s=60))
    trace = Trace(parameters, [*OUTAGE, grid(421, False)])
    assert trace.at(422).mode is Mode.TRANSFER  # no start: the source still turns
    assert trace.at(427).bus is Bus.SECONDARY


def test_t4_black_start_after_an_overload():
    secondary = replace(GENSET, start_s=2, overload_trip_s=10, restart_s=30)
    overload = [(200, {"p_secondary_kw": 66.1}), (210, {"p_secondary_kw": 0.0})]
    trace = Trace(replace(LEAL, secondary=secondary), [grid(175, False), *overload], until=500)
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 180: Bus.SECONDARY, 210: Bus.DEAD, 242: Bus.SECONDARY}
    assert trace.kinds()[-3:] == ["trip", "restart", "islanded"]


# --- dips, hubs without a secondary -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0.5, 2, 3])
def test_dip_up_to_the_detection_time_is_dark_but_starts_nothing(length):
    trace = Trace(replace(LEAL, detection_s=3), [grid(100, False), grid(100 + length, True)])
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 100 + length: Bus.GRID}
    assert trace.kinds() == ["outage", "dip"]


def test_outage_longer_than_the_detection_time_starts_the_source():
    trace = Trace(replace(LEAL, detection_s=3), [grid(100, False), grid(103.5, True)])
    assert trace.kinds() == ["outage", "islanding", "grid-back"]
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 103.5: Bus.GRID}


def test_without_secondary_the_bus_is_dead_until_the_grid_is_back():
    trace = Trace(AtsParameters(detection_s=1), OUTAGE)
    assert trace.bus() == {0: Bus.GRID, 175: Bus.DEAD, 415: Bus.GRID}
    assert trace.modes() == [Mode.CONNECTED, Mode.DETECTING, Mode.DEAD, Mode.CONNECTED]


def test_run_can_start_islanded():
    trace = Trace(LEAL, [(0.0, {"grid_available": False}), grid(100, True)], islanded=True)
    assert trace.bus() == {0: Bus.SECONDARY, 105: Bus.GRID}
    with pytest.raises(ValueError, match="islanded must be False, got True"):
        ats.initial(AtsParameters(), islanded=True)


def test_signal_to_the_controller_is_islanded_from_the_confirmed_outage_to_the_reconnection():
    trace = Trace(replace(LEAL, detection_s=1), OUTAGE)
    assert [t for t, s in trace.states.items() if s.mode.islanded] == [176, 181, 415]


# --- protection of the secondary source -------------------------------------------------------------------------------


@pytest.mark.parametrize(("p_kw", "trips_after"), [(66, None), (66.1, 10), (-3, None), (-3.1, 5), (0, None)])
def test_secondary_trips_by_overload_or_over_generation_after_its_delay(p_kw, trips_after):
    trace = Trace(LEAL, [grid(175, False), (200, {"p_secondary_kw": p_kw})], until=215)
    dark = [t for t, bus in trace.bus().items() if bus is Bus.DEAD and t > 175]
    assert dark == ([] if trips_after is None else [200 + trips_after])


def test_overload_that_ends_in_time_does_not_trip():
    overload = [(200, {"p_secondary_kw": 90}), (209, {"p_secondary_kw": 50}), (215, {"p_secondary_kw": 90})]
    trace = Trace(LEAL, [grid(175, False), *overload, (224, {"p_secondary_kw": 50})])
    assert trace.last.mode is Mode.ISLANDED
    assert "trip" not in trace.kinds()


def test_turning_from_overload_to_over_generation_starts_the_other_timer():
    script = [grid(175, False), (200, {"p_secondary_kw": 90}), (208, {"p_secondary_kw": -20})]
    trace = Trace(LEAL, script, until=260)
    assert (213, "trip") in trace.events


def test_protection_without_delay_trips_at_once():
    secondary = replace(GENSET, overload_trip_s=0)
    trace = Trace(replace(LEAL, secondary=secondary), [grid(175, False), (200, {"p_secondary_kw": 70})], until=201)
    assert trace.last.mode is Mode.TRIPPED


def test_missing_reading_leaves_the_trip_timer_as_it_is():
    script = [grid(175, False), (200, {"p_secondary_kw": 90}), (205, {"p_secondary_kw": nan})]
    assert (210, "trip") in Trace(LEAL, script).events


def test_power_measured_before_the_secondary_carries_the_bus_does_not_trip_it():
    trace = Trace(LEAL, [(0, {"p_secondary_kw": 90}), grid(175, False), (180, {"p_secondary_kw": 10})])
    assert "trip" not in trace.kinds()


def test_overload_that_persists_locks_the_source_out_after_its_restarts():
    secondary = replace(GENSET, overload_trip_s=10, restart_s=60, max_restarts=2)
    script = [grid(0, False), (1, {"p_secondary_kw": 90}), grid(900, True)]
    trace = Trace(replace(LEAL, secondary=secondary, open_transition_s=1), script)
    assert [t for t, kind in trace.events if kind == "trip"] == [15, 85, 155]
    assert trace.at(156).mode is Mode.DEAD
    assert trace.at(156).next_event_s == inf
    # A switch whose source is gone does not wait for retransfer_s.
    assert {t: bus for t, bus in trace.bus().items() if t > 155} == {901: Bus.GRID}
    assert trace.last.failures == 0


def test_source_that_does_not_start_is_tried_again_and_then_locked_out():
    secondary = replace(GENSET, start_s=5, restart_s=20, max_restarts=1)
    script = [grid(100, False), (101, {"faults": Faults(secondary_failed=True)}), grid(300, True)]
    trace = Trace(replace(LEAL, secondary=secondary), script)
    assert [t for t, kind in trace.events if kind == "start-failed"] == [105, 130]
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 300: Bus.GRID}  # the switch never left the grid


def test_source_repaired_before_the_next_attempt_carries_the_bus():
    secondary = replace(GENSET, start_s=5, restart_s=20)
    script = [(0, {"faults": Faults(secondary_failed=True)}), grid(100, False), (120, {"faults": ats.NO_FAULTS})]
    trace = Trace(replace(LEAL, secondary=secondary), script)
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 130: Bus.SECONDARY}


def test_source_that_fails_while_it_carries_the_bus_leaves_it_dark_at_once():
    script = [grid(100, False), (200, {"faults": Faults(secondary_failed=True)})]
    trace = Trace(LEAL, script, until=230)
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 105: Bus.SECONDARY, 200: Bus.DEAD}


@pytest.mark.parametrize(("open_transition_s", "back"), [(0, 417), (1, 418)])
def test_source_that_fails_while_the_grid_is_confirmed_hands_over_without_waiting(open_transition_s, back):
    script = [*OUTAGE, (417, {"faults": Faults(secondary_failed=True)})]
    trace = Trace(replace(LEAL, open_transition_s=open_transition_s), script)
    assert trace.at(back).bus is Bus.GRID


def test_grid_that_returns_between_trip_and_restart_takes_over():
    script = [grid(0, False), (1, {"p_secondary_kw": 90}), grid(40, True)]
    trace = Trace(LEAL, script)
    assert trace.bus() == {0: Bus.DEAD, 5: Bus.SECONDARY, 15: Bus.DEAD, 40: Bus.GRID}


def test_cooling_source_takes_over_without_a_start_and_stops_when_cool():
    secondary = replace(GENSET, start_s=10, cooldown_s=60)
    script = [*OUTAGE, grid(450, False), grid(500, True)]
    trace = Trace(replace(LEAL, transfer_s=2, secondary=secondary), script)
    assert trace.at(452).bus is Bus.SECONDARY
    assert [t for t, kind in trace.events if kind == "secondary-stopped"] == [505 + 60]
    assert not trace.last.running


@pytest.mark.parametrize(("cooldown_s", "stopped"), [(0.0, []), (0.5, [420.5]), (60.0, [480.0])])
def test_a_source_stops_when_it_is_cool_however_short_that_takes(cooldown_s, stopped):
    trace = Trace(replace(LEAL, secondary=replace(GENSET, cooldown_s=cooldown_s)), OUTAGE)
    assert [t for t, kind in trace.events if kind == "secondary-stopped"] == stopped
    assert trace.at(420).running == (cooldown_s > 0.0)
    assert not trace.last.running


# --- a switch that does not move --------------------------------------------------------------------------------------

STUCK, FREE = {"faults": Faults(transfer_fails=True)}, {"faults": ats.NO_FAULTS}


def test_failed_transfer_leaves_the_bus_dark_until_the_switch_is_free():
    trace = Trace(LEAL, [(0, STUCK), grid(100, False), (150, FREE)])
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 150: Bus.SECONDARY}
    assert trace.kinds().count("transfer-failed") == 1


def test_grid_that_returns_to_a_stuck_switch_is_there_at_once():
    trace = Trace(LEAL, [(0, STUCK), grid(100, False), grid(150, True)])
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 150: Bus.GRID}


def test_failed_retransfer_stays_on_the_secondary():
    trace = Trace(LEAL, [grid(100, False), (200, STUCK), grid(300, True), (400, FREE)])
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, 105: Bus.SECONDARY, 400: Bus.GRID}


def test_failed_planned_islanding_stays_on_the_grid():
    trace = Trace(LEAL, [(0, STUCK), (100, {"island": True}), (150, FREE)])
    assert trace.bus() == {0: Bus.GRID, 150: Bus.SECONDARY}


# --- makers' settings, input ------------------------------------------------------------------------------------------


PUBLISHED = {
    # detection, stabilise, retransfer, cool-down [s]
    "cummins_otec": (3, 5, 600, 600),
    "asco_381333_234": (3, 0, 1800, 300),
    "asco_165": (3, 15, 300, 60),
    "generac_synergy_20kw": (5, 0, 15, 60),
}


def test_every_maker_file_is_compared_with_its_publication():
    assert {path.stem for path in DATA.glob("*.yaml")} == set(PUBLISHED)


@pytest.mark.parametrize("maker", PUBLISHED)
def test_maker_settings_give_the_published_sequence(maker):
    content = yaml.safe_load((DATA / f"{maker}.yaml").read_text(encoding="utf-8"))
    assert content["source"]
    detection, stabilise, retransfer, cooldown = PUBLISHED[maker]
    secondary = SecondarySource(**({"rated_kw": 60, "start_s": 4} | content["secondary"]))
    parameters = AtsParameters(**content["ats"], secondary=secondary)

    trace = Trace(parameters, [grid(100, False), grid(1000, True)], until=10_000)
    on, back = 100 + detection + 4 + stabilise, 1000 + retransfer
    assert trace.bus() == {0: Bus.GRID, 100: Bus.DEAD, on: Bus.SECONDARY, back: Bus.GRID}
    assert trace.events[-1] == (back + cooldown, "secondary-stopped")
    dip = Trace(parameters, [grid(100, False), grid(100 + detection - 0.5, True)])
    assert dip.kinds() == ["outage", "dip"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AtsParameters(detection_s=-1), "detection_s must be at least 0 and finite, got -1"),
        (lambda: AtsParameters(retransfer_s=inf), "retransfer_s must be at least 0 and finite, got inf"),
        (lambda: SecondarySource(0), "rated_kw must be > 0, got 0"),
        (lambda: SecondarySource(60, restart_s=0), "restart_s must be > 0, got 0"),
        (lambda: SecondarySource(60, overload_factor=0.9), "overload_factor must be at least 1 and finite, got 0.9"),
        (lambda: SecondarySource(60, reverse_trip_kw=-1), "reverse_trip_kw must be at least 0 and finite, got -1"),
    ],
)
def test_settings_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_time_does_not_run_backwards():
    state, *_ = ats.step(LEAL, ats.initial(LEAL), 10, False)
    with pytest.raises(ValueError, match="t_s must be at least 10"):
        ats.step(LEAL, state, 9, False)


# --- any sequence of inputs -------------------------------------------------------------------------------------------

some = settings(max_examples=examples(60))
short = st.sampled_from([0.0, 0.5, 1.0, 5.0])
secondaries = st.builds(
    SecondarySource,
    rated_kw=st.just(60.0),
    start_s=short,
    overload_trip_s=short,
    reverse_trip_s=short,
    restart_s=st.sampled_from([1.0, 7.0]),
    max_restarts=st.integers(0, 2),
    cooldown_s=short,
)
parameter_sets = st.builds(
    AtsParameters,
    detection_s=short,
    transfer_s=short,
    stabilise_s=short,
    retransfer_s=short,
    open_transition_s=short,
    secondary=st.none() | secondaries,
)


def scripts(powers):
    inputs = st.fixed_dictionaries(
        {
            "grid_available": st.booleans(),
            "p_secondary_kw": st.sampled_from(powers),
            "faults": st.builds(Faults, st.booleans(), st.sampled_from([False, False, True])),
            "island": st.sampled_from([False, False, True]),
        }
    )
    waits = st.sampled_from([0.5, 1.0, 2.0, 4.5, 5.0, 12.0, 60.0])
    return st.lists(st.tuples(waits, inputs), max_size=12).map(_absolute)


def _absolute(steps):
    t, script = 0.0, []
    for wait, inputs in steps:
        t += wait
        script.append((t, inputs))
    return script


def end_of(script):
    return script[-1][0] if script else 0.0


@some
@given(parameter_sets, scripts([0.0, 50.0, 90.0, -20.0]))
def test_bus_hangs_on_one_source_that_is_there(parameters, script):
    trace = Trace(parameters, script, until=end_of(script) + 1000)
    for state in trace.states.values():
        if state.bus is Bus.GRID:
            assert state.switch is Bus.GRID and state.grid_available
        if state.bus is Bus.SECONDARY:
            assert state.switch is Bus.SECONDARY and state.running and not state.faults.secondary_failed
        assert state.trip_at_s == inf or state.bus is Bus.SECONDARY
        if state.mode in (Mode.CONNECTED, Mode.PREPARING):
            assert state.bus is Bus.GRID
        elif state.mode in (Mode.ISLANDED, Mode.CONFIRMING):
            assert state.bus is Bus.SECONDARY
        else:
            assert state.bus is Bus.DEAD


@some
@given(parameter_sets, scripts([0.0, 90.0]), st.booleans(), st.booleans())
def test_healthy_hub_always_comes_to_rest_on_a_source(parameters, script, available, island):
    end = end_of(script) + 1
    healthy = HEALTHY | {"grid_available": available, "island": island}
    trace = Trace(parameters, [*script, (end, healthy)], until=end + 10_000)
    state = trace.last
    assert state.next_event_s == inf
    assert len([t for t in trace.states if t > end]) < 20
    secondary = parameters.secondary
    if available and not (island and secondary):
        assert state.mode is Mode.CONNECTED
    elif available:
        assert state.mode is Mode.ISLANDED or (state.mode is Mode.CONNECTED and state.failures)
    elif secondary is None or state.failures > secondary.max_restarts:
        assert state.mode is Mode.DEAD
    else:
        assert state.mode is Mode.ISLANDED


@some
@given(parameter_sets, scripts([0.0, 90.0, -20.0]), st.lists(st.floats(0, 200), max_size=20))
def test_calls_in_between_change_nothing(parameters, script, extra):
    until = end_of(script) + 300
    plain = Trace(parameters, script, until)
    often = Trace(parameters, script, until, extra=[*extra, *(t + 0.25 for t in plain.states)])
    assert often.events == plain.events
    assert {t: often.states[t] for t in plain.states} == plain.states


def test_call_in_between_returns_the_very_same_state():
    state = Trace(LEAL, [grid(175, False)], until=300).last
    assert ats.step(LEAL, state, 301, False, 30.0)[0] is state


@some
@given(parameter_sets, scripts([0.0]), st.sampled_from([5.0, 60.0, 900.0]))
def test_late_calls_catch_up_in_order(parameters, script, step_s):
    """On a coarse grid of steps the ATS is, at every step, in the state it is in on the finest one."""
    until = end_of(script) + 300
    script = [*script, (until, {})]
    steps = [step_s * n for n in range(int(until / step_s) + 1)]
    prompt = Trace(parameters, script, until, extra=steps)
    late = Trace(parameters, script, until, extra=steps, predicted=False)
    assert late.kinds() == prompt.kinds()
    for t, state in late.states.items():
        assert replace(state, t_s=0) == replace(prompt.states[t], t_s=0)
