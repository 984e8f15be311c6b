"""Session files: what is read from each format, and every complaint about a bad one."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evhub.scenarios.errors import InputError
from evhub.scenarios.files.session_files import read_sessions
from evhub.scenarios.schema.scenario_loader import LIBRARY
from evhub.simulators.arrivals.station_model import Station, StationParameters, station_plan
from evhub.simulators.units import S_PER_DAY, S_PER_H

CALTECH = LIBRARY / "data" / "caltech_2019-05_2019-08.csv.gz"
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
JUNE = datetime(2019, 6, 1, tzinfo=LOS_ANGELES)
DAY = datetime.fromisoformat("2024-03-01T00:00:00+01:00")
PLAIN = "arrival,departure,energy_kwh\n"
ACN = (
    "arrival,departure,requested_energy (kWh),delivered_energy (kWh),"
    "station_id,session_id,estimated_departure,claimed\n"
)


def read(tmp_path, text: str, start: datetime = DAY, duration_s: float = S_PER_DAY, name: str = "s.csv", **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_sessions(path, start, duration_s, **options)


def complaints(tmp_path, text: str, **options) -> list[str]:
    """What the error says, line by line, without the file's name."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, **options)
    prefix = f"{tmp_path / options.get('name', 's.csv')}: "
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


# --- plain CSV --------------------------------------------------------------------------------------------------------


def test_plain_csv_with_every_column(tmp_path):
    text = (
        "id,arrival,departure,energy_kwh,connector,p_max_kw,capacity_kwh,soc_arrival,soc_target,n_phases,v2g,soc_v2g_min,"
        "departure_estimate,priority\n"
        "bus,2024-03-01T01:00:00+01:00,7200,22.5,2,50,60,0.3,0.8,1,true,0.3,2024-03-01T02:30:00+01:00,2\n"
        "car,2024-03-01T01:30:00+01:00,2024-03-01T01:00:00+00:00,7,,,,,,,,,,\n"
    )
    bus, car = read(tmp_path, text).sessions
    assert (bus.id, bus.arrival_s, bus.departure_s, bus.energy_kwh, bus.connector) == ("bus", 3600.0, 7200.0, 22.5, 1)
    assert (bus.p_max_kw, bus.capacity_kwh, bus.soc_arrival, bus.soc_target, bus.n_phases) == (50, 60, 0.3, 0.8, 1)
    assert (bus.v2g, bus.soc_v2g_min, bus.departure_estimate_s, bus.priority) == (True, 0.3, 9000.0, 2.0)
    assert car.soc_v2g_min == 0.2
    assert (car.arrival_s, car.departure_s, car.energy_kwh) == (5400.0, 7200.0, 7.0)
    assert (car.connector, car.p_max_kw, car.capacity_kwh, car.v2g) == (None, np.inf, None, False)
    assert car.departure_estimate_s is None


def test_drivers_of_a_plain_csv_announce_their_departure_unless_it_has_a_column_for_it(tmp_path):
    (session,) = read(tmp_path, PLAIN + "60,120,1\n").sessions
    assert session.departure_estimate_s == 120.0
    assert session.id == "row 2"


def test_blank_lines_spaces_and_byte_order_mark_do_no_harm(tmp_path):
    data = read(tmp_path, "\ufeff\n arrival , departure,energy_kwh\r\n\r\n 60, 120 ,1\r\n")
    assert [session.arrival_s for session in data.sessions] == [60.0]
    assert data.sessions[0].id == "row 4"


def test_gzip_is_read_whatever_the_name(tmp_path):
    path = tmp_path / "sessions.dat"
    path.write_bytes(gzip.compress((PLAIN + "60,120,1\n").encode()))
    assert len(read_sessions(path, DAY, S_PER_DAY).sessions) == 1


def test_sessions_outside_the_run_are_counted(tmp_path):
    rows = "-500,-100,1\n-200,-1,1\n-100,50,1\n0,50,1\n100,9000,1\n3600,3700,1\n"
    data = read(tmp_path, PLAIN + rows, duration_s=3600.0)
    assert [session.arrival_s for session in data.sessions] == [0.0, 100.0]
    assert (data.before, data.already_plugged, data.after) == (2, 1, 1)


def test_a_run_without_sessions_says_so(tmp_path):
    assert read(tmp_path, PLAIN + "7200,7300,1\n", duration_s=60.0).notes == (
        "none of the 1 sessions arrives in the run",
    )


# --- time zones -------------------------------------------------------------------------------------------------------


def test_times_without_zone_are_one_problem_a_column_which_says_how_to_give_one(tmp_path):
    rows = "2024-03-01T08:00,2024-03-01T09:00,1\n2024-03-01T10:00,2024-03-01T11:00,1\n"
    lines = complaints(tmp_path, PLAIN + rows)
    assert len(lines) == 2
    assert lines[0].startswith("column arrival: must have a UTC offset, such as 2019-06-01T08:00:00-07:00; or name the")
    assert lines[0].endswith("time_zone, such as America/Los_Angeles, got '2024-03-01T08:00'")
    assert lines[1].startswith("column departure: must have a UTC offset")


def test_times_without_zone_take_the_one_given(tmp_path):
    text = PLAIN + "2024-03-01T08:00,2024-03-01T09:00,1\n"
    (session,) = read(tmp_path, text, time_zone="America/New_York").sessions
    assert session.arrival_s == 14 * S_PER_H  # 08:00 in New York is 14:00 in Berlin


def test_seconds_are_real_ones_across_a_clock_change(tmp_path):
    """From 01:00 to 04:00 on the night the clocks go forward it is two hours, and four when they go back."""
    spring, autumn = (datetime(2024, *date, tzinfo=ZoneInfo("Europe/Berlin")) for date in ((3, 31), (10, 27)))
    for start, hours in ((spring, 2), (autumn, 4)):
        text = PLAIN + f"{start:%Y-%m-%d} 01:00,{start:%Y-%m-%d} 04:00,1\n"
        (session,) = read(tmp_path, text, start=start, time_zone="Europe/Berlin").sessions
        assert session.arrival_s == S_PER_H
        assert session.departure_s - session.arrival_s == hours * S_PER_H


def test_a_time_the_clocks_jump_over_is_refused_and_one_they_repeat_is_the_first(tmp_path):
    lines = complaints(tmp_path, PLAIN + "2024-03-31T02:30,2024-03-31T04:00,1\n", time_zone="Europe/Berlin")
    assert lines == [
        "row 2, arrival: must exist in Europe/Berlin: the clocks went forward then, or seconds since the start, "
        "got '2024-03-31T02:30'"
    ]
    start = datetime(2024, 10, 27, tzinfo=ZoneInfo("Europe/Berlin"))
    text = PLAIN + "2024-10-27T02:30,2024-10-27T04:00,1\n"
    (session,) = read(tmp_path, text, start=start, time_zone="Europe/Berlin").sessions
    assert session.arrival_s == 2.5 * S_PER_H


def test_times_at_the_end_of_the_calendar_are_times_too(tmp_path):
    assert read(tmp_path, PLAIN + "0001-01-01T00:00:00+12:00,120,1\n").already_plugged == 1
    lines = complaints(tmp_path, PLAIN + "0001-01-01T00:00:00,120,1\n", time_zone="Asia/Tokyo")
    assert lines[0].startswith("row 2, arrival: must be a time of this age")


def test_an_unknown_zone_and_a_start_without_zone_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"time_zone: must be an IANA time zone .* got 'Mars/Olympus'"):
        read(tmp_path, PLAIN + "60,120,1\n", time_zone="Mars/Olympus")
    with pytest.raises(ValueError, match="start: must have a time zone"):
        read(tmp_path, PLAIN + "60,120,1\n", start=datetime(2024, 3, 1))


# --- complaints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("60,120,-5", "row 2, energy_kwh: must be finite and >= 0, got '-5'"),
        ("60,120,nan", "row 2, energy_kwh: must be a finite number, got 'nan'"),
        ("60,120,1e999", "row 2, energy_kwh: must be a finite number, got '1e999'"),
        ("60,120,8 kWh", "row 2, energy_kwh: must be a finite number, got '8 kWh'"),
        ('60,120,"8,5"', "row 2, energy_kwh: must be a finite number, got '8,5'"),
        ("60,120,", "row 2, energy_kwh: must not be empty"),
        (",120,1", "row 2, arrival: must not be empty"),
        ("60,60,1", "row 2, departure: must be after the arrival at 60, got '60'"),
        ("60,120", "row 2: must have 3 values, like the header, got 2"),
        ("60,120,1,1", "row 2: must have 3 values, like the header, got 4"),
        (
            "8 am,120,1",
            "row 2, arrival: must be a time such as 2019-06-01T08:00:00-07:00, or seconds since the start, got '8 am'",
        ),
    ],
)
def test_a_bad_value_is_named_with_row_column_value_and_what_is_allowed(tmp_path, row, complaint):
    assert complaints(tmp_path, PLAIN + row + "\n") == [complaint]


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("connector", "0", "must be a whole number >= 1"),
        ("connector", "1.5", "must be a whole number >= 1"),
        ("p_max_kw", "0", "must be > 0"),
        ("capacity_kwh", "-1", "must be finite and > 0"),
        ("soc_arrival", "50", "must be from 0 to 1"),
        ("n_phases", "4", "must be 1, 2 or 3"),
        ("n_phases", "one", "must be a whole number"),
        ("v2g", "yes", "must be true or false"),
    ],
)
def test_a_bad_value_in_an_optional_column(tmp_path, column, value, allowed):
    text = f"arrival,departure,energy_kwh,{column}\n60,120,1,{value}\n"
    assert complaints(tmp_path, text) == [f"row 2, {column}: {allowed}, got '{value}'"]


def test_all_problems_of_a_file_come_at_once(tmp_path):
    text = (
        "id,arrival,departure,energy_kwh,connector,colour\n"
        "a,100,200,-5,,red\n"
        "b,300,250,nan,,red\n"
        "c,400,500,1,1,red\n"
        "c,350,500,1,,red\n"
        "d,450,900,1,3,red\n"
        "e,500,900,1,1,red\n"
        "f,501,990,1,1,red\n"
    )
    lines = complaints(tmp_path, text, n_connectors=2)
    assert lines[0].startswith("column colour: is not known; known are arrival, departure, energy_kwh, id, connector")
    assert lines[1:] == [
        "row 5, arrival: must not be before that of row 4, 400; sort the file by arrival, got '350'",
        "row 2, energy_kwh: must be finite and >= 0, got '-5'",
        "row 3, energy_kwh: must be a finite number, got 'nan'",
        "row 3, departure: must be after the arrival at 300, got '250'",
        "row 6, connector: must be at most 2, got '3'",
        "row 5, id: must be unique; row 4 has it, got 'c'",
        "row 8, arrival: must not be before row 7 leaves connector 1 at 900, got '501'",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must hold sessions, and is empty"),
        (" \n \n", "must hold sessions, and is empty"),
        (PLAIN, "must have at least one session below the header, got 0"),
        ("arrival,departure\n1,2\n", "column energy_kwh: is missing; the file has arrival, departure"),
        ("arrival,departure,energy_kwh,arrival\n1,2,3,1\n", "column arrival: must be there once, got 2"),
        (PLAIN + '1,2,"3\n', "must be CSV: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_table_of_sessions(tmp_path, text, complaint):
    assert complaints(tmp_path, text) == [complaint]


def test_a_file_that_cannot_be_read(tmp_path):
    missing = tmp_path / "none.csv"
    with pytest.raises(InputError, match=r"none.csv: must be an existing file$"):
        read_sessions(missing, DAY, S_PER_DAY)
    with pytest.raises(InputError, match="must be a readable UTF-8 text file"):
        read_sessions(tmp_path, DAY, S_PER_DAY)
    path = tmp_path / "bad"
    path.write_bytes(gzip.compress(b"arrival" * 100)[:-12])
    with pytest.raises(InputError, match="must be a whole gzip file"):
        read_sessions(path, DAY, S_PER_DAY)
    path.write_bytes(b"arrival,d\xe9part\n")
    with pytest.raises(InputError, match="must be a readable UTF-8 text file"):
        read_sessions(path, DAY, S_PER_DAY)


def test_short_overlaps_at_a_connector_are_cut_and_told(tmp_path):
    text = "arrival,departure,energy_kwh,connector\n0,100,1,1\n50,300,1,2\n97,200,1,1\n"
    data = read(tmp_path, text)
    assert [session.departure_s for session in data.sessions] == [97.0, 300.0, 200.0]
    assert data.notes == ("1 sessions end a little earlier, when the next one comes to their connector",)
    assert "must not be before row 2 leaves connector 1 at 100" in complaints(tmp_path, text, overlap_s=2.0)[0]


def test_bad_rows_are_left_out_when_asked_and_named(tmp_path):
    text = PLAIN + "0,100,1\n50,10,1\n60,100,-1\n70,100,1\n"
    data = read(tmp_path, text, bad_rows="drop")
    assert [session.id for session in data.sessions] == ["row 2", "row 5"]
    assert data.notes == ("2 sessions with problems are left out: row 3, row 4",)
    assert complaints(tmp_path, PLAIN + "9,100,1\n5,10,1\n", bad_rows="drop")[0].startswith(
        "row 3, arrival: must not be"
    )


# --- ACN-Data, CSV ----------------------------------------------------------------------------------------------------


def raw_caltech() -> list[dict[str, str]]:
    """The file as it is, read by nothing of ours."""
    with gzip.open(CALTECH, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_real_file_loads_whole():
    start = datetime(2019, 5, 1, tzinfo=LOS_ANGELES)
    data = read_sessions(CALTECH, start, 123 * S_PER_DAY, pin_stations=True, n_connectors=54)
    raw = raw_caltech()
    assert len(data.sessions) == len(raw) == 3527
    assert len(data.stations) == 52 and data.stations[0] == "CA-148" and data.stations[-1] == "CA-513"
    assert (data.already_plugged, data.before, data.after) == (0, 0, 0)
    for session, row in zip(data.sessions, raw, strict=True):
        assert start + timedelta(seconds=session.arrival_s) == datetime.fromisoformat(row["arrival"])
        assert session.energy_kwh == float(row["requested_energy (kWh)"])
        assert session.connector is not None and data.stations[session.connector] == row["station_id"]


def test_june_2019():
    data = read_sessions(CALTECH, JUNE, 30 * S_PER_DAY)
    raw = raw_caltech()
    june = [row for row in raw if row["arrival"].startswith("2019-06")]
    assert [session.id for session in data.sessions] == [row["session_id"] for row in june]
    assert len(june) == 883
    assert data.already_plugged == sum(
        row["arrival"] < "2019-06-01" and row["departure"] > "2019-06-01 00:00:00" for row in raw
    )
    assert data.already_plugged + data.before + data.after == 3527 - 883
    # 143 drivers did not register: the file says when they left, which nobody knew
    silent = [row for row in june if row["claimed"] == "False"]
    assert data.notes[0].startswith(f"{len(silent)} sessions of drivers who did not register")
    for session, row in zip(data.sessions, june, strict=True):
        assert (session.departure_estimate_s is None) == (row["claimed"] == "False")


def test_delivered_energy_can_count_as_asked_for():
    data = read_sessions(CALTECH, JUNE, 30 * S_PER_DAY, energy="delivered")
    june = [row for row in raw_caltech() if row["arrival"].startswith("2019-06")]
    assert [session.energy_kwh for session in data.sessions] == [float(row["delivered_energy (kWh)"]) for row in june]


def test_real_sessions_find_their_stations_free():
    """At the garage itself nobody waited, so nobody does at the model of it."""
    data = read_sessions(CALTECH, JUNE, 30 * S_PER_DAY, pin_stations=True)
    events = Station(station_plan(StationParameters(52, queue_places=0), data.sessions)).advance(np.inf)
    assert {event.kind for event in events} == {"arrived", "assigned", "authenticated", "departed"}


def test_more_stations_than_connectors_are_refused():
    with pytest.raises(InputError, match="stations: must be at most 50, one for each connector of the hub, got 52"):
        read_sessions(CALTECH, JUNE, S_PER_DAY, pin_stations=True, n_connectors=50)


def test_connectors_do_not_depend_on_the_period_read():
    one = read_sessions(CALTECH, JUNE, S_PER_DAY, pin_stations=True)
    month = read_sessions(CALTECH, JUNE, 30 * S_PER_DAY, pin_stations=True)
    assert one.sessions == month.sessions[: len(one.sessions)]


def test_acn_csv_without_the_column_asked_for(tmp_path):
    text = "arrival,departure,delivered_energy (kWh)\n2019-06-01 08:00:00-07:00,2019-06-01 09:00:00-07:00,3\n"
    assert complaints(tmp_path, text, pin_stations=True) == [
        "column requested_energy (kWh): is missing; the file has arrival, departure, delivered_energy (kWh)",
        "column station_id: is missing; the file has arrival, departure, delivered_energy (kWh)",
    ]
    assert len(read(tmp_path, text, start=JUNE, energy="delivered").sessions) == 1


def test_two_sessions_at_one_station_are_refused_only_when_pinned(tmp_path):
    row = "2019-06-01 08:{:02}:00-07:00,2019-06-01 10:00:00-07:00,5,4,CA-1,s{},,True\n"
    text = ACN + row.format(0, 1) + row.format(30, 2)
    assert complaints(tmp_path, text, start=JUNE, pin_stations=True) == [
        "row 3, arrival: must not be before row 2 leaves CA-1 at 2019-06-01 10:00:00-07:00, "
        "got '2019-06-01 08:30:00-07:00'"
    ]
    sessions = read(tmp_path, text, start=JUNE).sessions
    assert [(session.connector, session.departure_estimate_s) for session in sessions] == [(None, None), (None, None)]


def test_a_departure_announced_for_before_the_arrival_counts_as_none(tmp_path):
    text = ACN + "2019-06-01 08:00:00-07:00,2019-06-01 10:00:00-07:00,5,4,CA-1,s1,2019-06-01 07:00:00-07:00,True\n"
    assert read(tmp_path, text, start=JUNE).sessions[0].departure_estimate_s is None


# --- ACN-Data, JSON ---------------------------------------------------------------------------------------------------


def item(**changes) -> dict:
    """An item as the API gives it: 08:00 to 16:00 in Los Angeles."""
    return {
        "_id": "5d02e7",
        "connectionTime": "Sat, 01 Jun 2019 15:00:00 GMT",
        "disconnectTime": "Sat, 01 Jun 2019 23:00:00 GMT",
        "doneChargingTime": None,
        "kWhDelivered": 9.5,
        "sessionID": "2_39_78_362_2019-06-01",
        "stationID": "2-39-78-362",
        "spaceID": "CA-496",
        "timezone": "America/Los_Angeles",
        "userInputs": [
            {"kWhRequested": 30.0, "requestedDeparture": "Sat, 01 Jun 2019 18:00:00 GMT", "minutesAvailable": 180},
            {"kWhRequested": 12.0, "requestedDeparture": "Sat, 01 Jun 2019 22:00:00 GMT", "minutesAvailable": 420},
        ],
    } | changes


def read_json(tmp_path, items, **options):
    return read(tmp_path, json.dumps({"_items": items}), start=JUNE, name="s.json", **options)


def test_json_of_the_api_in_gmt_with_the_last_of_several_inputs(tmp_path):
    (session,) = read_json(tmp_path, [item()]).sessions
    assert (session.id, session.arrival_s, session.departure_s) == ("2_39_78_362_2019-06-01", 8 * S_PER_H, 16 * S_PER_H)
    assert (session.energy_kwh, session.departure_estimate_s) == (12.0, 15 * S_PER_H)
    (session,) = read_json(tmp_path, [item()], energy="delivered").sessions
    assert session.energy_kwh == 9.5


@pytest.mark.parametrize("inputs", [None, []])
def test_json_of_a_driver_who_did_not_register(tmp_path, inputs):
    data = read_json(tmp_path, [item(userInputs=inputs)])
    assert (data.sessions[0].energy_kwh, data.sessions[0].departure_estimate_s) == (9.5, None)
    assert data.notes[0].startswith("1 sessions of drivers who did not register")


def test_json_in_any_order_is_sorted_and_pinned_to_stations(tmp_path):
    late = item(
        connectionTime="Sun, 02 Jun 2019 15:00:00 GMT",
        disconnectTime="Sun, 02 Jun 2019 16:00:00 GMT",
        sessionID="late",
        stationID="2-39-1-1",
    )
    data = read_json(tmp_path, [late, item()], duration_s=2 * S_PER_DAY, pin_stations=True)
    assert [(session.arrival_s, session.connector) for session in data.sessions] == [(28800.0, 1), (115200.0, 0)]
    assert data.stations == ("2-39-1-1", "2-39-78-362")


def test_one_page_of_several_is_told(tmp_path):
    text = json.dumps({"_items": [item()], "_links": {"next": {"href": "sessions/caltech?page=2"}}})
    assert read(tmp_path, text, start=JUNE).notes[0] == "the file is one page of the API's answer; there are more"


def test_all_problems_of_a_json_file_come_at_once(tmp_path):
    items = [
        item(connectionTime="yesterday", sessionID="a"),
        item(kWhDelivered="9.5", sessionID="b", userInputs=None),
        item(kWhDelivered=-1.0, sessionID="c", userInputs=None),
        item(userInputs=[{"kWhRequested": float("nan")}], sessionID="d"),
        item(disconnectTime="Sat, 01 Jun 2019 14:00:00 GMT", sessionID="e"),
        item(userInputs="none", sessionID="f"),
        item(sessionID=None, disconnectTime=None),
        item(sessionID="g"),
        item(sessionID="g"),
        7,
    ]
    with pytest.raises(InputError) as caught:
        read_json(tmp_path, items)
    lines = [line.removeprefix(f"{tmp_path / 's.json'}: ") for line in str(caught.value).splitlines()]
    assert sorted(lines) == [
        "_items[0], connectionTime: must be a time such as Sat, 01 Jun 2019 15:00:00 GMT, got 'yesterday'",
        "_items[1], kWhDelivered: must be a finite number, got '9.5'",
        "_items[2], kWhDelivered: must be finite and >= 0, got -1.0",
        "_items[3], kWhRequested: must be a finite number, got nan",
        "_items[4], disconnectTime: must be after the arrival at Sat, 01 Jun 2019 15:00:00 GMT, "
        "got 'Sat, 01 Jun 2019 14:00:00 GMT'",
        "_items[5], userInputs: must be null or a list of objects, got 'none'",
        "_items[6], disconnectTime: must not be empty",
        "_items[8], sessionID: must be unique; _items[7] has it, got 'g'",
        "_items[9]: must be an object with connectionTime, disconnectTime, ..., got 7",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"_items": [', "must be JSON: "),
        ('{"items": []}', "_items: must be a list with at least one session"),
        ("[]", "_items: must be a list with at least one session"),
        ("[" * 100000, "must be JSON: "),
    ],
)
def test_a_file_that_is_no_json_of_sessions(tmp_path, text, complaint):
    (line,) = complaints(tmp_path, text)
    assert line.startswith(complaint)
