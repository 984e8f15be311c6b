"""Every kind of expectation, on a result made by hand: it holds, and it fails for the reason it is there for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis import open_results
from evhub.analysis.checks.expectation_checks import (
    EventsInOrder,
    ExpectationResult,
    Golden,
    Happens,
    Invariants,
    Kpi,
    Never,
    Pattern,
    SignalExpectation,
    evaluate,
    kpi_names,
)
from evhub.analysis.checks.findings import spelled
from evhub.analysis.checks.golden_results import record
from evhub.analysis.checks.signal_checks import Bounds, Changes, ElementOrder, Reaches, Trend
from evhub.analysis.results.result_layout import SeriesSpec
from evhub.analysis.results.result_writer import ResultWriter

from ...helpers.plates import plates
from ...helpers.sample_results import BUS, attributes, write_hubs
from ...helpers.sizes import examples

SIGNALS = {
    # path: unit, codes, {time: value}; from 300 s to 310 s the bus is dead, afterwards an island
    "hub/grid/p_kw": ("kW", None, {0: 25.0, 100: 30.0, 300: 0.0}),
    "hub/secondary/p_kw": ("kW", None, {0: 0.0, 310: 10.0}),
    "hub/pv/p_kw": ("kW", None, {0: 5.0, 300: 0.0}),
    "hub/cp/p_kw": ("kW", None, {0: 30.0, 100: 35.0, 300: 0.0, 310: 10.0}),
    "hub/cp/connector_p_kw": ("kW", None, {0: [20, 10], 100: [20, 15], 300: [0, 0], 310: [8, 2]}),
    "hub/bess/soc": ("", None, {0: 0.8, 100: 0.6, 200: 0.4, 300: 0.2}),
    "hub/cp/soc": ("", None, {0: [math.nan, 0.3], 200: [math.nan, 0.5]}),
    "hub/ats/bus": ("", BUS, {0: 1, 300: 0, 310: 2}),
}
EVENTS = (
    (0.0, "hub.sessions", "note", "one row was left out"),
    (300.0, "hub.ats", "outage", "grid lost"),
    (310.0, "hub.ats", "islanded", "bus on the secondary source"),
    (320.0, "hub.emh", "alarm-6", "connector 1 faulted"),
)

PLATES = {"hub": plates(pv_kw=5, bess_kw=10, connector_kw=20, soc_min=0.2, soc_max=0.8)}


def write(path: Path, **changes: dict) -> Path:
    """The result above for 400 s; ``hub__grid__p_kw={50: 99}`` has other values at some times."""
    series = {name: (unit, codes, dict(values)) for name, (unit, codes, values) in SIGNALS.items()}
    for name, values in changes.items():
        series[name.replace("__", "/")][2].update(values)
    specs = []
    for name, (unit, codes, values) in series.items():
        width = len(values[0]) if isinstance(values[0], list) else None
        specs.append(SeriesSpec(name, unit, name, width, "i4" if codes else "f8", codes))
    sessions = [{"hub": "hub", "id": "s1", "arrival_s": 0.0, "departure_s": 350.0, "requested_kwh": 2.0}]
    with ResultWriter(path, attributes("made", 400.0, controller="mine"), specs, sessions) as writer:
        for name, (_, _, values) in series.items():
            for t_s, value in sorted(values.items()):
                writer.append(name, float(t_s), np.asarray(value))
        writer.session_end("hub", 0, 0, 0.0, 350.0, 1.5, 0.8, "served")
        for event in EVENTS:
            writer.event(*event)
        writer.close("complete")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("expect") / "made.h5")


def outcome(path: Path, expectation) -> ExpectationResult:
    with open_results(path) as results:
        (one,) = evaluate(results, [expectation])
    return one


def holds(path: Path, expectation) -> bool:
    one = outcome(path, expectation)
    assert one.ok == (one.text == ""), one
    return one.ok


def fails(path: Path, expectation, *told: str, at: float | None = None, value: float | None = None) -> None:
    one = outcome(path, expectation)
    assert not one.ok
    assert one.name == "x"
    assert all(text in one.text for text in told), one.text
    assert one.t_s == at
    assert one.value == (value if value is None else pytest.approx(value))


def signal(path: str, check, begin_s: float = 0.0, until_s: float = math.inf, **more) -> SignalExpectation:
    return SignalExpectation("x", f"hub/{path}", check, begin_s, until_s, **more)


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_every_value_of_the_window_counts(made):
    assert holds(made, signal("cp/p_kw", Bounds(high=35)))
    told = ("hub/cp/p_kw is 35 kW at 1min40s, must be <= 34 kW",)
    fails(made, signal("cp/p_kw", Bounds(high=34)), *told, at=100, value=35)
    fails(made, signal("cp/p_kw", Bounds(low=5)), "is 0 kW at 5min, must be >= 5 kW", at=300, value=0)


def test_the_window_has_the_value_held_at_its_beginning_and_not_the_one_at_its_end(made):
    assert holds(made, signal("cp/p_kw", Bounds(35, 35), 150, 300))
    fails(made, signal("cp/p_kw", Bounds(35, 35), 150, 301), "is 0 kW at 5min, must be 35 kW", at=300, value=0)
    fails(made, signal("cp/p_kw", Bounds(high=34), 150, 300), "at 2min30s", at=150, value=35)


def test_an_instant_sees_the_value_from_then_on(made):
    assert holds(made, signal("cp/p_kw", Bounds(35, 35), 100, 100))
    assert holds(made, signal("cp/p_kw", Bounds(30, 30), 99.999, 99.999))
    fails(made, signal("cp/p_kw", Bounds(30, 30), 100, 100), "must be 30 kW", at=100, value=35)


def test_the_worst_violation_is_told(made):
    fails(made, signal("cp/p_kw", Bounds(12, 34)), "is 0 kW at 5min, must be >= 12 kW and <= 34 kW", at=300, value=0)


def test_the_tolerance_is_allowed_and_no_more(made):
    assert holds(made, signal("cp/p_kw", Bounds(34, 34, tolerance=1), 100, 300))
    fails(made, signal("cp/p_kw", Bounds(34, 34, tolerance=0.9), 100, 300), "within 0.9", at=100, value=35)
    assert holds(made, signal("cp/p_kw", Bounds(high=35 - 1e-7)))


def test_every_element_has_to_pass_unless_one_is_named_or_all_are_summed(made):
    assert holds(made, signal("cp/connector_p_kw", Bounds(high=15), element=2))
    fails(made, signal("cp/connector_p_kw", Bounds(high=15)), "element 1 is 20 kW at 0s", at=0, value=20)
    assert holds(made, signal("cp/connector_p_kw", Bounds(35, 35), 100, 300, element="sum"))
    fails(
        made, signal("cp/connector_p_kw", Bounds(high=34), element="sum"), "sum is 35 kW at 1min40s", at=100, value=35
    )


def test_an_element_that_does_not_exist_fails(made):
    fails(made, signal("cp/connector_p_kw", Bounds(high=99), element=3), "has 2 elements, no element 3")


def test_the_mean_is_weighted_by_time(made):
    mean_kw = (30 * 100 + 35 * 200 + 0 * 10 + 10 * 90) / 400
    assert holds(made, signal("cp/p_kw", Bounds(mean_kw, mean_kw), mean=True))
    fails(made, signal("cp/p_kw", Bounds(high=27), mean=True), "mean is 27.25 kW", at=0, value=mean_kw)
    assert holds(made, signal("cp/p_kw", Bounds(32.5, 32.5), 50, 150, mean=True))


def test_codes_are_told_by_their_words(made):
    assert holds(made, signal("ats/bus", Bounds(2, 2), 310))
    fails(made, signal("ats/bus", Bounds(1, 1), 0, 305), "is 0 (dead) at 5min, must be 1 (grid)", at=300, value=0)


def test_what_is_unknown_passes_beside_what_is_known_but_not_alone(made):
    assert holds(made, signal("cp/soc", Bounds(0.2, 0.6), element=2))
    fails(made, signal("cp/soc", Bounds(0, 1), element=1), "element 1 has no value in the window", at=0)


def test_a_signal_that_is_not_there_fails_with_those_near_it(made):
    fails(made, signal("cp/p_kww", Bounds(high=1)), "no signal 'hub/cp/p_kww'", "did you mean hub/cp/p_kw")


@settings(max_examples=examples(25))
@given(
    values=st.lists(st.integers(-9, 9), min_size=1, max_size=8),
    begin=st.integers(0, 90),
    length=st.integers(1, 60),
    least=st.integers(-9, 9),
)
def test_bounds_are_those_of_every_second_of_the_window(tmp_path_factory, values, begin, length, least):
    path = tmp_path_factory.mktemp("random") / "r.h5"
    with ResultWriter(path, attributes("r", 100.0), [SeriesSpec("hub/x/p_kw", "kW", "x")]) as writer:
        for k, value in enumerate(values):
            writer.append("hub/x/p_kw", 10.0 * k, float(value))
        writer.close("complete")
    until = min(begin + length, 100)
    seconds = [values[min(t // 10, len(values) - 1)] for t in range(begin, until)]
    one = outcome(path, signal("x/p_kw", Bounds(low=least), begin, until))
    assert one.ok == (min(seconds) >= least)
    assert one.ok or one.value == min(seconds)


# --- order, trend, reaching, changing ---------------------------------------------------------------------------------


def test_the_order_of_connectors_is_that_of_their_powers(made):
    assert holds(made, signal("cp/connector_p_kw", ElementOrder((1, 2))))
    told = ("element 1 is 20 kW at 0s, must not be above element 2 with 10 kW",)
    fails(made, signal("cp/connector_p_kw", ElementOrder((2, 1))), *told, at=0, value=20)
    assert holds(made, signal("cp/connector_p_kw", ElementOrder((2, 1)), 300, 310))  # equal powers are in any order
    assert holds(made, signal("cp/connector_p_kw", ElementOrder((2, 1), tolerance=5), 100, 300))


def test_an_order_needs_an_array(made):
    fails(made, signal("cp/p_kw", ElementOrder((1, 2))), "is one value and has no order")


@pytest.mark.parametrize(
    ("kind", "window", "ok"),
    [
        ("rises", (0, 200), True),
        ("rises", (100, 300), False),  # nothing changes
        ("rises", (0, 400), False),
        ("falls", (100, 310), True),
        ("falls", (0, 200), False),
        ("never_rises", (100, 310), True),
        ("never_rises", (100, 300), True),
        ("never_rises", (0, 200), False),
        ("never_falls", (0, 200), True),
        ("never_falls", (0, 301), False),
        ("constant", (100, 300), True),
        ("constant", (99, 300), False),
        ("constant", (100, 301), False),
    ],
)
def test_trends(made, kind, window, ok):
    assert holds(made, signal("cp/p_kw", Trend(kind), *window)) == ok


def test_a_trend_tells_the_step_that_is_wrong_or_that_there_is_none(made):
    fails(made, signal("cp/p_kw", Trend("rises")), "falls by 35 kW to 0 kW at 5min, must rise", at=300, value=0)
    fails(made, signal("cp/p_kw", Trend("never_rises")), "rises by 10 kW", "must never rise", at=310, value=10)
    fails(made, signal("cp/p_kw", Trend("falls"), 100, 300), "stays at 35 kW", "must fall", at=100, value=35)
    fails(made, signal("cp/p_kw", Trend("constant"), 0, 300), "must be constant", at=100, value=35)
    assert holds(made, signal("cp/p_kw", Trend("constant", tolerance=5), 0, 300))
    with pytest.raises(ValueError, match=r"kind must be one of rises, .*, got 'up'"):
        Trend("up")


def test_reaching_means_getting_there_in_the_window(made):
    assert holds(made, signal("bess/soc", Reaches(0.2), 250, 350))
    assert holds(made, signal("bess/soc", Reaches(0.5), 0, 300))  # passed between two values
    fails(made, signal("bess/soc", Reaches(0.2), 0, 300), "no nearer than 0.4 at 3min20s", at=200, value=0.4)
    fails(made, signal("bess/soc", Reaches(0.2), 300, 400), "is 0.2 at 5min already", at=300, value=0.2)
    assert holds(made, signal("bess/soc", Reaches(0.35, tolerance=0.05), 100, 300))


@pytest.mark.parametrize(
    ("at", "within", "ok"), [(100, 0, True), (99, 0, False), (102, 2, True), (98, 2, True), (103, 2, False)]
)
def test_a_change_is_where_it_is_expected(made, at, within, ok):
    assert holds(made, signal("cp/p_kw", Changes(), at - within, at + within, from_before=True)) == ok


def test_a_change_that_does_not_come_is_told(made):
    change = signal("cp/p_kw", Changes(), 150, 160, from_before=True)
    fails(made, change, "stays at 35 kW at 1min40s, must change", at=100, value=35)
    small = signal("cp/p_kw", Changes(tolerance=5), 100, 100, from_before=True)
    fails(made, small, "must change", at=0, value=30)


# --- key figures ------------------------------------------------------------------------------------------------------


def test_key_figures(made):
    assert holds(made, Kpi("x", "delivered_kwh", Bounds(1.5, 1.5)))
    assert holds(made, Kpi("x", "delivered_kwh", Bounds(1, 2), "hub"))
    told = "delivered_kwh is 1.5 kWh, must be >= 2 kWh"
    fails(made, Kpi("x", "delivered_kwh", Bounds(low=2)), told, value=1.5)
    fails(made, Kpi("x", "served", Bounds(high=0), "hub"), "served of hub is 1, must be <= 0", value=1)
    fails(made, Kpi("x", "dg_kwh", Bounds(high=0)), "there is no dg_kwh")


def test_all_key_figures_of_the_summary_have_a_name_to_expect(tmp_path):
    path = write_hubs(tmp_path / "day.h5", {"depot": 3}, outages=((36000.0, 39600.0),))
    with open_results(path) as results:
        assert set(results.summary().index) <= set(kpi_names())


# --- events -----------------------------------------------------------------------------------------------------------


def test_an_event_happens(made):
    assert holds(made, Happens("x", Pattern(kind="outage")))
    assert holds(made, Happens("x", Pattern("hub.*", "out*", "lost", 299, 301)))
    assert holds(made, Happens("x", Pattern(kind="outage", begin_s=300, until_s=300)))
    told = ("no outage event from 3min20s until 4min50s; there is one at 5min",)
    fails(made, Happens("x", Pattern(kind="outage", begin_s=200, until_s=290)), *told, at=300)
    fails(
        made, Happens("x", Pattern("depot.ats", "outage")), "of depot.ats; there are hub.sessions note, hub.ats outage"
    )
    fails(made, Happens("x", Pattern(kind="outage", text="found")), "no outage event with 'found'")


def test_an_event_does_not_happen(made):
    assert holds(made, Never("x", Pattern(kind="blackout")))
    assert holds(made, Never("x", Pattern(kind="outage", until_s=299)))
    assert holds(made, Never("x", Pattern(kind="alarm*", until_s=310)))
    fails(made, Never("x", Pattern(kind="alarm*")), "hub.emh has alarm-6 at 5min20s (connector 1 faulted)", at=320)
    fails(made, Never("x", Pattern("hub.ats")), "hub.ats has outage at 5min", "and 1 more", at=300)


def test_events_come_in_order(made):
    outage, islanded, alarm = Pattern(kind="outage"), Pattern(kind="islanded"), Pattern(kind="alarm*")
    assert holds(made, EventsInOrder("x", (outage, islanded, alarm)))
    assert holds(made, EventsInOrder("x", (outage, alarm)))  # others may come in between
    fails(made, EventsInOrder("x", (islanded, outage)), "no outage event after islanded at 5min10s", at=300)
    fails(made, EventsInOrder("x", (outage, outage)), "no outage event after outage at 5min", at=300)
    late = Pattern(kind="islanded", begin_s=300, until_s=305)
    fails(made, EventsInOrder("x", (outage, late)), "no islanded event from 5min until 5min5s after outage", at=310)


# --- invariants -------------------------------------------------------------------------------------------------------


def law(name: str, **written: float) -> Invariants:
    return Invariants("x", (name,), {"hub": plates(**written)} if written else PLATES)


def test_a_sound_run_keeps_all_laws(made):
    assert holds(made, Invariants("x", ("balance", "soc_bounds", "ratings", "dead_bus"), PLATES))


def test_powers_that_do_not_balance_are_found(tmp_path):
    path = write(tmp_path / "r.h5", hub__grid__p_kw={200: 31.0, 210: 30.0})
    fails(path, law("balance"), "hub do not balance at 3min20s: 1 kW more comes than goes", at=200, value=1)
    assert holds(write(tmp_path / "s.h5", hub__grid__p_kw={200: 30.0 + 5e-7}), law("balance"))
    fails(write(tmp_path / "t.h5", hub__grid__p_kw={200: 30.0 + 2e-6}), law("balance"), "balance", at=200, value=2e-6)


def test_a_state_of_charge_out_of_bounds_is_found(made, tmp_path):
    told = "hub/bess/soc is 0.2 at 5min, must be 0.3 to 0.9"
    fails(made, law("soc_bounds", soc_min=0.3, soc_max=0.9), told, at=300, value=0.2)
    path = write(tmp_path / "r.h5", hub__cp__soc={300: [math.nan, 1.1]})
    fails(path, law("soc_bounds"), "hub/cp/soc element 2 is 1.1 at 5min", at=300, value=1.1)


def test_a_device_above_its_rating_is_found(made, tmp_path):
    told = "hub/cp/connector_p_kw element 1 is 20 kW at 0s, must be -19 to 19 kW"
    fails(made, law("ratings", connector_kw=19), told, at=0, value=20)
    fails(made, law("ratings", pv_kw=4), "hub/pv/p_kw is 5 kW", at=0, value=5)
    path = write(tmp_path / "r.h5", hub__pv__p_kw={50: -1.0})
    fails(path, law("ratings"), "hub/pv/p_kw is -1 kW at 50s, must be 0 to 5 kW", at=50, value=-1)


def test_power_on_a_dead_bus_is_found(tmp_path):
    path = write(tmp_path / "r.h5", hub__cp__p_kw={305: 3.0, 310: 10.0})
    fails(path, law("dead_bus"), "hub/cp has 3 kW at 5min5s on a dead bus", at=305, value=3)


# --- golden results ---------------------------------------------------------------------------------------------------


def recorded(path: Path, earlier: dict | None = None) -> dict:
    with open_results(path) as results:
        return record(results, results.summary(), earlier)


def test_a_run_is_the_same_as_its_own_record(made):
    assert holds(made, Golden("x", recorded(made)))


def test_another_power_is_found_in_the_interval_in_which_it_was(made, tmp_path):
    data = recorded(made)
    assert list(data["signals"]["hub/cp/p_kw"])[:3] == ["0s", "30s", "1min"]
    changed = write(tmp_path / "r.h5", hub__bess__soc={210: 0.3, 240: 0.4})
    told = (
        "numbers differ, most of all: hub/bess/soc from 3min30s is 0.3, was 0.4 within",
        "; bess_cycles of total is ",
    )
    fails(changed, Golden("x", data), *told, at=210, value=0.3)


def test_what_is_within_the_stated_tolerance_is_the_same(made, tmp_path):
    data = recorded(made)
    nearly = write(tmp_path / "r.h5", hub__bess__soc={210: 0.4 * (1 + 5e-5), 240: 0.4})
    assert holds(nearly, Golden("x", {**data, "kpis": {}}))
    fails(
        nearly,
        Golden("x", {**data, "tolerance": {"relative": 1e-6, "absolute": 0.0}}),
        "hub/bess/soc",
        at=210,
        value=0.40002,
    )
    assert holds(nearly, Golden("x", {**data, "tolerance": {"relative": 0.0, "absolute": 0.01}}))


def test_another_key_figure_is_found(made):
    data = recorded(made)
    data["kpis"]["total"]["served"] = 2.0
    fails(made, Golden("x", data), "1 of ", "served of total is 1, was 2", value=1)
    data["kpis"]["total"]["served"] = None
    fails(made, Golden("x", data), "served of total is 1, was unknown", value=1)


def test_a_signal_that_is_gone_is_a_difference(made):
    data = recorded(made)
    data["signals"]["hub/dg/p_kw"] = {"0s": 4.0}
    fails(made, Golden("x", data), "hub/dg/p_kw from 0s is unknown, was 4", at=0)


@pytest.mark.parametrize(("key", "value"), [("controller", "other"), ("seed", 8), ("scenario", "another")])
def test_a_record_of_another_run_is_told_as_such(made, key, value):
    fails(made, Golden("x", {**recorded(made), key: value}), f"recorded with {key} {value}, this run has ")


def test_a_new_record_keeps_what_was_chosen_by_hand(made):
    data = recorded(made)
    chosen = {
        **data,
        "kpis": {"total": {"served": 9.0, "gone": 1.0}},
        "signals": {"hub/cp/p_kw": {}},
        "every": 200.0,
        "tolerance": {"relative": 0.1, "absolute": 0.2},
    }
    again = recorded(made, chosen)
    assert again["kpis"] == {"total": {"served": 1.0}}
    assert again["signals"] == {"hub/cp/p_kw": {"0s": 32.5, "3min20s": pytest.approx((35 * 100 + 900) / 200)}}
    assert again["tolerance"] == {"relative": 0.1, "absolute": 0.2}


def test_nothing_recorded_yet_names_the_way_to_record_it(made):
    fails(made, Golden("x", None, "golden/made.yaml"), "there is no golden/made.yaml yet", "--update")


# --- several ----------------------------------------------------------------------------------------------------------


def test_outcomes_stand_in_the_order_of_the_expectations(made):
    expectations = [signal("cp/p_kw", Bounds(high=most)) for most in (50, 1, 40)]
    with open_results(made) as results:
        assert [one.ok for one in evaluate(results, expectations)] == [True, False, True]
        assert evaluate(results, []) == []


@given(st.integers(0, 10**7))
def test_times_are_told_as_scenarios_write_them(seconds):
    from evhub.simulators.field_types import _duration

    assert _duration(spelled(float(seconds))) == seconds
