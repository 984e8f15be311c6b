"""The station: who gets a connector, who waits, who goes, and what a fault does to them."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from datetime import datetime
from math import inf, nan
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.arrivals.distributions import Distribution, Mixture
from evhub.simulators.arrivals.session_model import ArrivalParameters, Session, Stay, Vehicle, generate
from evhub.simulators.arrivals.station_model import (
    STATUS,
    Station,
    StationEvent,
    StationParameters,
    StationPlan,
    station_plan,
)
from evhub.simulators.units import S_PER_DAY

from ....helpers.sizes import examples


def visit(arrival_s: float, departure_s: float, connector: int | None = None, group: str | None = None) -> Session:
    return Session(f"{arrival_s}-{departure_s}", arrival_s, departure_s, 1.0, connector=connector, group=group)


def told(station: Station, until_s: float = inf) -> list[tuple[float, str, int, int]]:
    return [tuple(event) for event in station.advance(until_s)]


def run(sessions, faults=(), rng=None, **parameters) -> list[tuple[float, str, int, int]]:
    return told(Station(station_plan(StationParameters(**{"n_connectors": 1} | parameters), sessions, faults, rng)))


# --- one story each ---------------------------------------------------------------------------------------------------


def test_an_ev_arrives_takes_the_first_connector_authenticates_and_leaves():
    events = run([visit(100.0, 900.0)], n_connectors=2, plug_in_s=20.0, authentication_s=5.0)
    assert events == [
        (100.0, "arrived", -1, 0),
        (100.0, "assigned", 0, 0),
        (125.0, "authenticated", 0, 0),
        (900.0, "departed", 0, 0),
    ]


def test_state_follows_the_events():
    station = Station(station_plan(StationParameters(2, plug_in_s=20.0), [visit(100.0, 900.0)]))
    assert station.peek() == 100.0
    assert station.status.tolist() == [STATUS["available"]] * 2
    station.advance(100.0)
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["preparing"], STATUS["available"]], [-1, -1])
    assert station.peek() == 120.0
    station.advance(500.0)
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["charging"], STATUS["available"]], [0, -1])
    np.testing.assert_array_equal(station.authenticated_s, [120.0, nan])
    station.advance(900.0)
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["available"]] * 2, [-1, -1])
    np.testing.assert_array_equal(station.authenticated_s, [nan, nan])
    assert station.peek() == inf


def test_looking_ahead_does_not_change_the_state():
    station = Station(station_plan(StationParameters(1), [visit(100.0, 900.0)]))
    station.advance(100.0)
    assert station.peek() == 900.0
    assert station.session.tolist() == [0]


def test_whoever_finds_no_connector_waits_and_is_served_first_come_first_served():
    events = run([visit(0.0, 100.0), visit(20.0, 300.0), visit(10.0, 200.0)])
    assert [event for event in events if event[1] in ("queued", "assigned")] == [
        (0.0, "assigned", 0, 0),
        (10.0, "queued", -1, 2),
        (20.0, "queued", -1, 1),
        (100.0, "assigned", 0, 2),
        (200.0, "assigned", 0, 1),
    ]


def test_queue_length_counts_those_who_wait():
    station = Station(station_plan(StationParameters(1), [visit(0.0, 100.0), visit(20.0, 300.0), visit(30.0, 90.0)]))
    lengths = {}
    for at_s in (10.0, 20.0, 30.0, 90.0, 100.0):
        station.advance(at_s)
        lengths[at_s] = station.waiting
    assert lengths == {10.0: 0, 20.0: 1, 30.0: 2, 90.0: 1, 100.0: 0}


def test_an_ev_turns_away_when_every_waiting_place_is_taken():
    events = run([visit(0.0, 100.0), visit(1.0, 200.0), visit(2.0, 300.0)], queue_places=1)
    assert (2.0, "balked", -1, 2) in events
    assert Counter(event[1] for event in events)["departed"] == 2


def test_an_ev_gives_up_when_its_patience_ends():
    events = run([visit(0.0, 100.0), visit(10.0, 300.0)], patience_s=60.0)
    assert events[-2:] == [(70.0, "reneged", -1, 1), (100.0, "departed", 0, 0)]


def test_an_ev_gives_up_when_its_departure_comes_first():
    events = run([visit(0.0, 100.0), visit(10.0, 50.0)], patience_s=60.0)
    assert (50.0, "reneged", -1, 1) in events


def test_waiting_shortens_the_stay_or_moves_it():
    sessions = [visit(0.0, 100.0), visit(10.0, 150.0)]
    assert run(sessions)[-1] == (150.0, "departed", 0, 1)
    assert run(sessions, wait_keeps="stay")[-1] == (240.0, "departed", 0, 1)
    late = [visit(0.0, 100.0), visit(10.0, 50.0)]
    assert (50.0, "reneged", -1, 1) in run(late)
    assert run(late, wait_keeps="stay")[-1] == (140.0, "departed", 0, 1)


def test_who_leaves_before_being_authenticated_never_charges():
    events = run([visit(0.0, 10.0)], authentication_s=10.0)
    assert events == [(0.0, "arrived", -1, 0), (0.0, "assigned", 0, 0), (10.0, "departed", 0, 0)]


def test_who_comes_when_another_leaves_finds_the_connector_free():
    events = run([visit(0.0, 100.0, 0), visit(100.0, 200.0, 0)], queue_places=0)
    assert events[3:6] == [(100.0, "departed", 0, 0), (100.0, "arrived", -1, 1), (100.0, "assigned", 0, 1)]


def test_who_waits_comes_before_who_arrives_at_the_same_instant():
    events = run([visit(0.0, 100.0), visit(50.0, 200.0), visit(100.0, 300.0)])
    assert [event for event in events if event[1] == "assigned"] == [
        (0.0, "assigned", 0, 0),
        (100.0, "assigned", 0, 1),
        (200.0, "assigned", 0, 2),
    ]


def test_an_ev_with_a_connector_of_its_own_waits_for_that_one_and_others_pass():
    sessions = [visit(0.0, 100.0, 1), visit(10.0, 200.0, 1), visit(20.0, 90.0)]
    assigned = [event for event in run(sessions, n_connectors=2) if event[1] == "assigned"]
    assert assigned == [(0.0, "assigned", 1, 0), (20.0, "assigned", 0, 2), (100.0, "assigned", 1, 1)]


def test_an_ev_takes_the_first_free_connector_of_its_group_and_waits_only_for_that_group():
    sessions = [
        visit(0.0, 100.0, group="slow"),
        visit(10.0, 150.0, group="slow"),
        visit(20.0, 300.0, group="slow"),
        visit(30.0, 300.0),
        visit(40.0, 400.0),
    ]
    events = run(sessions, n_connectors=3, groups={"fast": range(1), "slow": range(1, 3)})
    assigned = [event for event in events if event[1] == "assigned"]
    # the last one comes after who waits for the slow ones, and gets what is free next after him
    assert assigned == [
        (0.0, "assigned", 1, 0),
        (10.0, "assigned", 2, 1),
        (30.0, "assigned", 0, 3),
        (100.0, "assigned", 1, 2),
        (150.0, "assigned", 2, 4),
    ]


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="group must be fast, got slow"):
        run([visit(0.0, 100.0, group="slow")], groups={"fast": range(1)})


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_fault_on_a_busy_connector_leaves_the_ev_plugged_without_power():
    station = Station(station_plan(StationParameters(1), [visit(0.0, 100.0)], faults=[(0, 20.0, 60.0)]))
    station.advance(10.0)
    assert told(station, 20.0) == [(20.0, "faulted", 0, 0)]
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["faulted"]], [0])
    assert told(station, 60.0) == [(60.0, "repaired", 0, 0)]
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["charging"]], [0])
    assert station.authenticated_s.tolist() == [0.0]


def test_an_ev_leaves_a_faulted_connector_which_stays_faulted():
    station = Station(station_plan(StationParameters(1), [visit(0.0, 100.0)], faults=[(0, 20.0, inf)]))
    station.advance(100.0)
    assert (station.status.tolist(), station.session.tolist()) == ([STATUS["faulted"]], [-1])
    assert station.peek() == inf


def test_arriving_evs_avoid_faulted_connectors_and_wait_for_the_repair():
    sessions = [visit(10.0, 200.0), visit(20.0, 300.0)]
    events = run(sessions, faults=[(0, 0.0, 50.0)], n_connectors=2)
    assert [event for event in events if event[1] in ("assigned", "queued", "repaired")] == [
        (10.0, "assigned", 1, 0),
        (20.0, "queued", -1, 1),
        (50.0, "repaired", 0, -1),
        (50.0, "assigned", 0, 1),
    ]


def test_a_fault_holds_up_authentication_until_the_repair():
    sessions = [visit(0.0, 100.0)]
    assert (40.0, "authenticated", 0, 0) in run(sessions, faults=[(0, 5.0, 40.0)], authentication_s=10.0)
    assert (10.0, "authenticated", 0, 0) in run(sessions, faults=[(0, 5.0, 8.0)], authentication_s=10.0)
    without = run(sessions, faults=[(0, 5.0, 400.0)], authentication_s=10.0)
    assert [event[1] for event in without] == ["arrived", "assigned", "faulted", "departed", "repaired"]


def test_overlapping_faults_are_one():
    events = run([], faults=[(0, 10.0, 50.0), (0, 30.0, 80.0)])
    assert events == [(10.0, "faulted", 0, -1), (80.0, "repaired", 0, -1)]


# --- what must hold always --------------------------------------------------------------------------------------------

TIMES = st.one_of(st.integers(0, 40).map(float), st.floats(0, 40))


@st.composite
def stations(draw) -> tuple[StationParameters, list[Session], list[tuple[int, float, float]]]:
    n = draw(st.integers(1, 3))
    own = st.none() | st.integers(0, n - 1)
    stays = st.floats(0.5, 30) | st.integers(1, 30).map(float)
    given = draw(st.lists(st.tuples(TIMES, stays, own), max_size=14))
    sessions = [Session(f"s{k}", t, t + stay, 1.0, connector=c) for k, (t, stay, c) in enumerate(given)]
    faults = draw(st.lists(st.tuples(st.integers(0, n - 1), TIMES, st.floats(0.5, 20) | st.just(inf)), max_size=3))
    parameters = StationParameters(
        n,
        queue_places=draw(st.sampled_from([0, 1, 3, inf])),
        patience_s=draw(st.sampled_from([0.0, 3.0, 10.0, inf])),
        plug_in_s=draw(st.sampled_from([0.0, 0.5])),
        authentication_s=draw(st.sampled_from([0.0, 2.0])),
        wait_keeps=draw(st.sampled_from(["departure", "stay"])),
    )
    return parameters, sessions, [(connector, t, t + d) for connector, t, d in faults]


@settings(max_examples=examples(100))
@given(stations(), st.floats(0, 80))
def test_every_session_has_exactly_one_outcome(case, end_s):
    parameters, sessions, faults = case
    station = Station(station_plan(parameters, sessions, faults))
    events = station.advance(end_s)
    kinds = {k: [event.kind for event in events if event.session == k] for k in range(len(sessions))}
    for k, session in enumerate(sessions):
        happened = [kind for kind in kinds[k] if kind not in ("faulted", "repaired")]
        ended = [kind for kind in happened if kind in ("departed", "balked", "reneged")]
        if session.arrival_s > end_s:
            assert happened == []
            continue
        assert happened[0] == "arrived" and len(set(happened)) == len(happened)
        waits = "queued" in happened and not {"assigned", "reneged"} & set(happened)
        plugged = "assigned" in happened and "departed" not in happened
        assert len(ended) + waits + plugged == 1
        if ended:
            assert happened[-1] == ended[0]
    assert station.waiting == sum(
        "queued" in kind and not {"assigned", "reneged"} & set(kind) for kind in kinds.values()
    )


@settings(max_examples=examples(100))
@given(stations())
def test_rules_of_the_station(case):
    parameters, sessions, faults = case
    station = Station(station_plan(parameters, sessions, faults))
    holder: dict[int, int] = {}
    broken: set[int] = set()
    queue: list[int] = []
    last_s = 0.0
    while station.peek() < inf:
        at_s = station.peek()
        events = station.advance(at_s)
        assert events, "peek must name the time of an event"
        for event in events:
            assert event.t_s == at_s >= last_s
            session = sessions[event.session] if event.session >= 0 else None
            if event.kind == "arrived":
                assert session is not None and event.t_s == session.arrival_s
            elif event.kind == "queued":
                assert len(queue) < parameters.queue_places
                queue.append(event.session)
            elif event.kind == "balked":
                assert len(queue) >= parameters.queue_places
            elif event.kind == "reneged":
                queue.remove(event.session)
            elif event.kind == "assigned":
                assert session is not None and event.connector not in holder
                assert session.connector in (None, event.connector)
                if event.session in queue:
                    # nobody who came earlier would have taken this connector
                    ahead = queue[: queue.index(event.session)]
                    assert not any(sessions[k].connector in (None, event.connector) for k in ahead)
                    queue.remove(event.session)
                holder[event.connector] = event.session
            elif event.kind == "authenticated":
                assert holder[event.connector] == event.session and event.connector not in broken
            elif event.kind == "departed":
                assert session is not None and holder.pop(event.connector) == event.session
                if parameters.wait_keeps == "departure":
                    assert event.t_s == session.departure_s
            else:
                (broken.add if event.kind == "faulted" else broken.remove)(event.connector)
        last_s = at_s
        for connector in range(parameters.n_connectors):
            plugged = station.session[connector]
            assert plugged in (-1, holder.get(connector, -1))
            assert np.isnan(station.authenticated_s[connector]) == (plugged < 0)
            status = station.status[connector]
            if connector in broken:
                assert status == STATUS["faulted"]
            elif connector not in holder:
                assert status == STATUS["available"]
                # no connector stays free while somebody waits for it
                assert not any(sessions[k].connector in (None, connector) for k in queue)
            else:
                assert status == (STATUS["charging"] if plugged >= 0 else STATUS["preparing"])
    assert not queue or broken
    assert not holder


@settings(max_examples=examples(100))
@given(stations(), st.lists(st.floats(0, 90), max_size=8))
def test_steps_of_any_length_tell_the_same_events(case, stops):
    whole = Station(station_plan(*case)).advance(inf)
    station = Station(station_plan(*case))
    parts = [event for stop in [*sorted(stops), inf] for event in station.advance(stop)]
    assert parts == whole


@settings(max_examples=examples(100))
@given(stations(), st.lists(st.floats(0, 90), max_size=4), st.booleans())
def test_a_copy_stands_where_the_station_stood_and_goes_its_own_way(case, stops, by_pickle):
    station = Station(station_plan(*case))
    for stop in sorted(stops):
        station.advance(stop)
    twin = pickle.loads(pickle.dumps(station)) if by_pickle else copy.deepcopy(station)
    held = state(station)
    assert state(twin) == held
    rest = twin.advance(inf)
    assert state(station) == held
    assert station.advance(inf) == rest
    assert state(station) == state(twin)


def state(station: Station) -> tuple:
    """Everything that a station shows."""
    arrays = (station.session, station.status, station.authenticated_s)
    return (*(array.tobytes() for array in arrays), station.waiting, station.peek())


def test_processes_run_once_for_a_plan_and_its_copies_and_once_more_out_of_a_pickle(monkeypatch):
    runs = []
    run_to_end = simpy.Environment.run
    monkeypatch.setattr(simpy.Environment, "run", lambda env: (runs.append(1), run_to_end(env)))
    plan = station_plan(StationParameters(1), [visit(0.0, 100.0), visit(20.0, 300.0)])
    assert runs == []  # nothing happens before somebody asks
    station = Station(plan)
    station.advance(10.0)
    assert told(Station(plan)) == told(Station(copy.deepcopy(plan)))
    copy.deepcopy(station).advance(inf)
    assert runs == [1]
    pickle.loads(pickle.dumps(station)).advance(inf)
    assert runs == [1, 1]


# --- random numbers ---------------------------------------------------------------------------------------------------


def a_month(seed: int) -> list[Session]:
    stay = Mixture((1.0,), (Distribution("lognorm", {"s": 0.8, "scale": 3.0}, low=0.1, high=40),))
    parameters = ArrivalParameters(
        np.full((7, 24), 1.2),
        (Stay(tuple(range(7)), 0, 24, stay),),
        (Vehicle(1.0, 60.0, 11.0),),
        energy_kwh=Distribution("uniform", {"scale": 40.0}, low=0, high=40),
    )
    start = datetime(2024, 6, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    return generate(parameters, start, 30 * S_PER_DAY, np.random.default_rng(seed))


def month_events(n_connectors: int, seed: int) -> list[StationEvent]:
    parameters = StationParameters(n_connectors, queue_places=4, patience_s=900.0, patience="exponential")
    return Station(station_plan(parameters, a_month(3), rng=np.random.default_rng(seed))).advance(inf)


def test_same_seed_same_events_and_another_seed_other_patience():
    assert month_events(4, seed=1) == month_events(4, seed=1)
    assert month_events(4, seed=1) != month_events(4, seed=2)


def test_adding_a_connector_changes_neither_arrivals_nor_patience():
    four, five = month_events(4, seed=1), month_events(5, seed=1)
    assert four != five

    def arrived(events):
        return [event for event in events if event.kind == "arrived"]

    def gave_up_after(events):
        queued = {event.session: event.t_s for event in events if event.kind == "queued"}
        return {event.session: event.t_s - queued[event.session] for event in events if event.kind == "reneged"}

    assert arrived(four) == arrived(five)
    both = gave_up_after(four).keys() & gave_up_after(five).keys()
    assert len(both) > 10
    sessions = a_month(3)
    for k in both:
        waited = {gave_up_after(four)[k], gave_up_after(five)[k]}
        assert len(waited) == 1 or sessions[k].departure_s - sessions[k].arrival_s in waited


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_connectors": 0}, "n_connectors: must be a whole number >= 1, got 0"),
        ({"queue_places": -1}, "queue_places: must be a whole number >= 0 or infinite, got -1"),
        ({"queue_places": 1.5}, "queue_places: .* got 1.5"),
        ({"patience_s": nan}, "patience_s: must be >= 0, got nan"),
        ({"patience": "endless"}, "patience: must be constant or exponential, got 'endless'"),
        ({"plug_in_s": -1.0}, "plug_in_s: must be finite and >= 0, got -1"),
        ({"authentication_s": inf}, "authentication_s: must be finite and >= 0, got inf"),
        ({"wait_keeps": "both"}, "wait_keeps: must be departure or stay, got 'both'"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StationParameters(**{"n_connectors": 2} | changes)


def test_what_names_no_connector_is_refused():
    with pytest.raises(ValueError, match=r"session '0.0-1.0': connector must be below 2, got 2"):
        Station(station_plan(StationParameters(2), [visit(0.0, 1.0, 2)]))
    with pytest.raises(ValueError, match="faults: connector must be from 0 to 1, got -1"):
        Station(station_plan(StationParameters(2), [], [(-1, 0.0, 1.0)]))
    with pytest.raises(ValueError, match=r"end later, got 5.0 to 5.0 s"):
        Station(station_plan(StationParameters(2), [], [(0, 5.0, 5.0)]))
    with pytest.raises(ValueError, match="patience_s: must be 1 times, got 0"):
        StationPlan(StationParameters(2), (visit(0.0, 1.0),), (), ())
    with pytest.raises(ValueError, match="rng: must be given for exponential patience"):
        Station(station_plan(StationParameters(2, patience_s=9.0, patience="exponential"), []))
