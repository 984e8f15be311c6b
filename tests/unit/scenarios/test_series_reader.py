"""Series and weather files: what they mean, and everything that is wrong with them at once."""

from __future__ import annotations

import gzip
import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evhub.scenarios.errors import InputError
from evhub.scenarios.files.series_files import read_series, read_weather
from evhub.simulators.pv.irradiance import Plane, typical_year
from evhub.simulators.units import S_PER_DAY, S_PER_H

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 3, 1, tzinfo=BERLIN)


@pytest.fixture
def file(tmp_path):
    def write(text, name="series.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def told(path, columns="p_kw", start=START, duration_s=S_PER_H, **given):
    """Read what cannot be read; give the problems as text without the path."""
    with pytest.raises(InputError) as caught:
        read_series(path, columns, start, duration_s, **given)
    return [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]


# --- what a file means ------------------------------------------------------------------------------------------------


def test_seconds_count_from_the_start_of_the_run(file):
    series = read_series(file("t_s,p_kw\n0,1\n1800,2.5\n3600,0\n"), "p_kw", START, S_PER_H)
    assert [series.at(t) for t in (0, 1799, 1800, 3599)] == [1, 1, 2.5, 2.5]


def test_stamps_with_an_offset_are_instants(file):
    path = file("time,p_kw\n2024-02-29T23:00:00Z,1\n2024-03-01T00:30:00+01:00,2\n2024-03-01T01:00+01:00,3\n")
    series = read_series(path, "p_kw", START, S_PER_H)
    assert [series.at(t) for t in (0, 1800)] == [1, 2]


def test_the_run_may_start_in_the_middle_of_the_file(file):
    rows = "".join(f"2024-02-29 {hour:02d}:00+01:00,{hour}\n" for hour in range(24))
    series = read_series(file("time,p_kw\n" + rows), "p_kw", datetime(2024, 2, 29, 10, 30, tzinfo=BERLIN), S_PER_H)
    assert series.at(0) == 10
    assert series.next_change(0) == 1800


def test_stamps_without_an_offset_take_the_given_zone(file):
    path = file("time,p_kw\n2024-03-01 00:00,1\n2024-03-01 01:00,2\n")
    series = read_series(path, "p_kw", START.astimezone(UTC), S_PER_H, time_zone="Europe/Berlin")
    assert series.at(0) == 1


def test_the_last_of_evenly_spaced_lines_holds_as_long_as_the_others(file):
    path = file("time,price\n" + "".join(f"2024-03-01T{hour:02d}:00+01:00,{hour}\n" for hour in range(24)))
    series = read_series(path, "price", START, S_PER_DAY)
    assert series.at(S_PER_DAY - 1) == 23
    assert not series.covers(0, S_PER_DAY + 1)


def test_the_last_of_unevenly_spaced_lines_only_ends_the_series(file):
    path = file("t_s,p_kw\n0,1\n100,2\n3600,7\n")
    assert read_series(path, "p_kw", START, S_PER_H).at(3599) == 2
    assert told(path, duration_s=3601) == ["t_s: covers 0 s..3600 s, the run needs 0 s..3601 s"]


def test_several_columns_come_in_the_order_asked_for(file):
    series = read_series(file("a,t_s,b\n1,0,2\n3,1800,4\n"), ["b", "a"], START, S_PER_H)
    np.testing.assert_array_equal(series.at(1800), [4, 3])


def test_comments_blank_lines_and_a_byte_order_mark_are_no_data(file):
    path = file("\ufeff# source: meter 7\n\nt_s, p_kw\n0, 1\n# gap\n3000,2\n")
    assert read_series(path, "p_kw", START, S_PER_H).at(3000) == 2


def test_gzip_is_unpacked(tmp_path):
    path = tmp_path / "series.csv.gz"
    path.write_bytes(gzip.compress(b"t_s,p_kw\n0,1\n1800,2\n"))
    assert read_series(path, "p_kw", START, S_PER_H).at(1800) == 2


# --- daylight saving time ---------------------------------------------------------------------------------------------


def test_local_times_that_exist_twice_or_never_are_refused_with_their_lines(file):
    stamps = ["2024-03-31 01:00", "2024-03-31 02:30", "2024-03-31 03:00", "2024-10-27 02:00", "2024-10-27 04:00"]
    path = file("time,p_kw\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    clock = "must have a UTC offset: the clock of Europe/Berlin shows this time"
    assert told(path, time_zone="Europe/Berlin") == [
        f"line 3, time: {clock} never, got '2024-03-31 02:30'",
        f"line 5, time: {clock} twice, got '2024-10-27 02:00'",
    ]


def test_stamps_with_offsets_go_through_the_change_of_the_clock(file):
    start = datetime(2024, 10, 27, 2, tzinfo=BERLIN)
    path = file("time,p_kw\n2024-10-27T02:00+02:00,1\n2024-10-27T02:00+01:00,2\n2024-10-27T03:00+01:00,3\n")
    series = read_series(path, "p_kw", start, 3 * S_PER_H)
    assert [series.at(hour * S_PER_H) for hour in range(3)] == [1, 2, 3]


# --- repetition -------------------------------------------------------------------------------------------------------

DAY = "time,p_kw\n" + "".join(f"2024-01-10T{hour:02d}:00+01:00,{hour}\n" for hour in range(24))


@pytest.mark.parametrize("start", [datetime(2024, 3, 29, 7, 20), datetime(2024, 10, 25, 23, 59)])
def test_a_day_repeats_by_the_local_clock_over_its_changes(file, start):
    start = start.replace(tzinfo=BERLIN)
    series = read_series(file(DAY), "p_kw", start, 4 * S_PER_DAY, repeat=True)
    for minute in range(0, 4 * 24 * 60, 10):
        local = (start.astimezone(UTC) + timedelta(minutes=minute)).astimezone(BERLIN)
        assert series.at(minute * 60.0) == local.hour, local


def test_two_days_repeat_in_turn_counted_from_the_files_dates(file):
    rows = [(day, hour) for day in (10, 11) for hour in (0, 12)]
    path = file("time,p_kw\n" + "".join(f"2024-01-{day}T{hour:02d}:00Z,{day + hour}\n" for day, hour in rows))
    series = read_series(path, "p_kw", datetime(2024, 1, 13, tzinfo=UTC), 2 * S_PER_DAY, repeat=True)
    assert [series.at(t * S_PER_H) for t in (0, 12, 24, 36)] == [11, 23, 10, 22]


def test_days_that_begin_at_noon_repeat_from_noon(file):
    path = file("time,p_kw\n2024-01-10T12:00Z,1\n2024-01-10T20:00Z,2\n2024-01-11T12:00Z,9\n")
    series = read_series(path, "p_kw", datetime(2024, 3, 1, tzinfo=UTC), S_PER_DAY, repeat=True)
    assert [series.at(t * S_PER_H) for t in (0, 11.9, 12, 20)] == [2, 2, 1, 2]


def test_what_is_no_whole_day_is_not_repeated(file):
    path = file("time,p_kw\n2024-01-10T00:00Z,1\n2024-01-10T01:00Z,2\n")
    assert told(path, start=datetime(2024, 3, 1, tzinfo=UTC), repeat=True) == [
        "time: must span whole days without a change of the clock to be repeated, "
        "covers 2024-01-10T00:00:00+00:00..2024-01-10T02:00:00+00:00"
    ]


def test_a_day_with_a_change_of_the_clock_is_not_repeated(file):
    stamps = [datetime(2024, 10, 26, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(25)]
    path = file("time,p_kw\n" + "".join(f"{stamp.isoformat()},{i}\n" for i, stamp in enumerate(stamps)))
    assert "without a change of the clock" in told(path, repeat=True)[0]


def test_seconds_repeat_by_their_span(file):
    series = read_series(file("t_s,p_kw\n0,1\n60,2\n"), "p_kw", START, S_PER_DAY, repeat=True)
    assert [series.at(t) for t in (0, 60, 120, 12_000, 12_060)] == [1, 2, 1, 1, 2]


def test_a_file_that_covers_the_run_is_not_repeated(file):
    series = read_series(file("t_s,p_kw\n0,1\n60,2\n"), "p_kw", START, 120, repeat=True)
    assert not series.repeats


# --- what is refused --------------------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once_with_their_lines(file):
    path = file(
        "# note\ntime,p_kw,q_kvar\n"
        "2024-03-01T00:00+01:00,1,0\n"
        "yesterday,2,0\n"
        "2024-03-01T02:00+01:00,nan,0\n"
        "2024-03-01T01:00+01:00,4,oops\n"
        "2024-03-01T01:00+01:00,inf,\n"
        "2024-03-01T03:00,6,0\n"
    )
    assert told(path, ["p_kw", "q_kvar"]) == [
        "line 5, p_kw: must be a number, got 'nan'",
        "line 7, p_kw: must be a number, got 'inf'",
        "line 6, q_kvar: must be a number, got 'oops'",
        "line 7, q_kvar: must be a number, got ''",
        "line 4, time: must be a time such as 2024-03-01T12:00:00+01:00, got 'yesterday'",
        "line 8, time: must have a UTC offset, or time_zone must be given, got '2024-03-01T03:00'",
        "line 6, time: must be later than the line before, got '2024-03-01T01:00+01:00'",
        "line 7, time: must be later than the line before, got '2024-03-01T01:00+01:00'",
    ]


def test_many_lines_with_one_problem_are_counted(file):
    path = file("t_s,p_kw\n" + "".join(f"{i},x\n" for i in range(100)))
    problems = told(path)
    assert len(problems) == 6
    assert problems[-1] == "95 more lines, p_kw: must be a number"


def test_missing_columns_are_told_with_those_that_exist(file):
    assert told(file("date,power\n1,2\n3,4\n"), ["p_kw", "power"]) == [
        "header: needs a column time; there are date, power",
        "header: needs a column p_kw; there are date, power",
    ]


def test_stamps_without_zone_are_refused(file):
    assert told(file("time,p_kw\n2024-03-01 00:00,1\n2024-03-01 01:00,2\n")) == [
        "line 2, time: must have a UTC offset, or time_zone must be given, got '2024-03-01 00:00'",
        "line 3, time: must have a UTC offset, or time_zone must be given, got '2024-03-01 01:00'",
    ]


def test_a_series_that_does_not_cover_the_run_is_refused_with_both_spans(file):
    path = file("time,p_kw\n2024-03-01T00:00Z,1\n2024-03-01T01:00Z,2\n")
    assert told(path, duration_s=S_PER_DAY) == [
        "time: covers 2024-03-01T01:00:00+01:00..2024-03-01T03:00:00+01:00, "
        "the run needs 2024-03-01T00:00:00+01:00..2024-03-02T00:00:00+01:00"
    ]


def test_decimal_commas_are_refused_and_not_read_as_whole_numbers(file):
    assert told(file("t_s,p_kw\n0,1,5\n60,2,5\n")) == [
        "line 2, cells: must have 2 cells, got 3",
        "line 3, cells: must have 2 cells, got 3",
    ]


@pytest.mark.parametrize("text", ["", "# only a note\n", "t_s,p_kw\n", "t_s,p_kw\n0,1\n"])
def test_empty_files_are_refused(file, text):
    assert told(file(text)) == ["file: needs a header and at least two lines of values"]


def test_a_column_that_stands_twice_is_refused(file):
    assert told(file("t_s,p_kw,p_kw\n0,1,2\n1,1,2\n")) == ["header: must name every column once, got 'p_kw'"]


def test_a_missing_file_is_refused(tmp_path):
    assert told(tmp_path / "no.csv") == ["file: must be an existing file"]


@pytest.mark.parametrize(("name", "data"), [("a.csv", b"t_s,p_kw\n0,\xff\xfe\n"), ("a.csv.gz", b"t_s,p_kw\n0,1\n")])
def test_what_is_no_text_is_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    assert "must be a readable UTF-8 text file" in told(path)[0]


def test_a_start_without_zone_is_a_mistake_of_the_caller(file):
    with pytest.raises(ValueError, match="start must have a time zone"):
        read_series(file("t_s,p_kw\n0,1\n60,2\n"), "p_kw", datetime(2024, 3, 1), 60)


# --- weather ----------------------------------------------------------------------------------------------------------

HOURS = [datetime(2005, 1, 1) + timedelta(hours=hour) for hour in range(8760)]


def epw(rows=HOURS, dni=lambda row: 0.0):
    head = "LOCATION,Test,BE,DEU,TMY,103840,52.5,13.4,1.0,48.0\n" + "HEADER\n" * 7
    lines = [
        f"{t.year},{t.month},{t.day},{t.hour + 1},0,x,{row % 40},5,50,101325,0,0,300,{row % 1000},{dni(row)},"
        f"{row % 500},0,0,0,0,180,3,0,0,20,77777,9,999999999,10,0.1,0,88,0.2,0,0\n"
        for row, t in enumerate(rows)
    ]
    return head + "".join(lines)


def test_epw_rows_are_the_hours_that_begin_at_their_index(file):
    year = read_weather(file(epw(), "a.epw"))
    assert (year.latitude_deg, year.longitude_deg, year.utc_offset_s, year.centre_s) == (52.5, 13.4, 3600, 1800)
    np.testing.assert_array_equal(year.ghi_w_m2, np.arange(8760) % 1000)
    np.testing.assert_array_equal(year.t_ambient_c, np.arange(8760) % 40)


def pvgis_csv():
    head = "Latitude (decimal degrees): 45.000\r\nLongitude (decimal degrees): 8.000\r\nElevation (m): 250\r\n"
    head += "Irradiance Time Offset (h): 0.1761\r\nmonth,year\r\n" + "".join(f"{m},2010\r\n" for m in range(1, 13))
    head += "time(UTC),T2m,RH,G(h),Gb(n),Gd(h),IR(h),WS10m,WD10m,SP\r\n"
    return head + "".join(f"{t:%Y%m%d:%H%M},{row % 40},80,{row % 1000},0,1,2,3,4,5\r\n" for row, t in enumerate(HOURS))


def pvgis_json():
    hourly = [
        {"time(UTC)": f"{t:%Y%m%d:%H%M}", "T2m": row % 40, "G(h)": row % 1000, "Gb(n)": 0, "Gd(h)": 1}
        for row, t in enumerate(HOURS)
    ]
    location = {"latitude": 45.0, "longitude": 8.0, "elevation": 250.0, "irradiance_time_offset": 0.1761}
    return json.dumps(
        {
            "inputs": {"location": location},
            "outputs": {"months_selected": [], "tmy_hourly": hourly},
            "meta": {"inputs": {}, "outputs": {}},
        }
    )


@pytest.mark.parametrize("text", [pvgis_csv(), pvgis_json()], ids=["csv", "json"])
def test_pvgis_rows_are_instants_past_the_hour_in_utc(file, text):
    year = read_weather(file(text, "pvgis.txt"))
    assert (year.latitude_deg, year.longitude_deg, year.utc_offset_s) == (45, 8, 0)
    assert year.centre_s == pytest.approx(0.1761 * 3600)
    np.testing.assert_array_equal(year.ghi_w_m2, np.arange(8760) % 1000)


PVLIB = Path(str(importlib.util.find_spec("pvlib").origin)).parent  # type: ignore[union-attr]


def test_tmy3_rows_are_the_hours_that_end_at_their_stamp():
    """The first row of the file is stamped 01:00: it is the hour after midnight, and noon stands at noon."""
    year = read_weather(PVLIB / "data" / "723170TYA.CSV")
    assert (year.latitude_deg, year.longitude_deg, year.utc_offset_s) == (36.1, -79.95, -5 * 3600)
    by_hour = year.ghi_w_m2.reshape(365, 24).mean(axis=0)
    centre_h = (by_hour * (np.arange(24) + 0.5)).sum() / by_hour.sum()
    assert centre_h == pytest.approx(12 + (79.95 / 15 - 5), abs=0.15)  # the mean equation of time is nearly zero


def test_a_typical_year_on_a_horizontal_plane_keeps_its_energy():
    year = read_weather(PVLIB / "data" / "723170TYA.CSV")
    start = datetime(2023, 1, 1, tzinfo=ZoneInfo("Etc/GMT+5"))
    irradiance, t_ambient = typical_year(Plane(36.1, -79.95, 273, tilt_deg=0), year, start, 365 * S_PER_DAY)
    assert irradiance.mean(0, 365 * S_PER_DAY) == pytest.approx(year.ghi_w_m2.mean(), rel=0.02)
    assert t_ambient.mean(0, 365 * S_PER_DAY) == pytest.approx(year.t_ambient_c.mean())


def weather_told(path):
    with pytest.raises(InputError) as caught:
        read_weather(path)
    return [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_codes_for_missing_values_are_refused_with_their_hours(file):
    assert weather_told(file(epw(dni=lambda row: 9999 if row in (12, 8759) else 0), "a.epw")) == [
        "01-01 12:00, dni: must be -5..1500, got 9999.0",
        "12-31 23:00, dni: must be -5..1500, got 9999.0",
    ]


def test_a_year_with_missing_hours_is_refused(file):
    told_ = weather_told(file(epw(HOURS[:-24]), "a.epw"))
    assert told_ == ["lines: must be the 8760 hours of a year of 365 days, each once, got 8736"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t_s,p_kw\n0,1\n", "must be an EPW, TMY3 or PVGIS typical year"),
        ("LOCATION,Test\n", "must be a complete EPW file"),
        ('{"inputs": {}}', "must be a complete PVGIS file"),
        ("Latitude (decimal degrees): 45\n", "must be a complete PVGIS file"),
    ],
)
def test_what_is_no_weather_is_refused(file, text, expected):
    assert expected in weather_told(file(text))[0]


def test_missing_weather_is_refused(tmp_path):
    assert weather_told(tmp_path / "no.epw") == ["file: must be an existing file"]
