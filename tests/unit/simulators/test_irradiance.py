"""Irradiance on tilted modules: the sun stands where it should, and energy does not depend on the resolution."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evhub.simulators.pv.irradiance import HOURS_PER_YEAR, Plane, TypicalYear, clear_sky, typical_year
from evhub.simulators.units import S_PER_DAY, S_PER_H

BERLIN = Plane(52.52, 13.40, altitude_m=34, tilt_deg=0)
SAO_PAULO = Plane(-23.55, -46.63, altitude_m=760, tilt_deg=20, azimuth_deg=0)


def noon_h(series, day=0):
    """Give the middle of the irradiance of a day, in hours after the start."""
    minutes = np.arange(day * S_PER_DAY, (day + 1) * S_PER_DAY, 60.0)
    values = series.sample(minutes)
    return float((minutes * values).sum() / values.sum()) / S_PER_H


@pytest.mark.parametrize(
    ("plane", "zone", "day", "expected_h"),
    [
        # 12 h - (longitude / 15 - UTC offset) - equation of time (+14.2 min on 11 February, -16.4 min on 3 November)
        (BERLIN, "Europe/Berlin", (2024, 2, 11), 12 - (13.40 / 15 - 1) + 14.2 / 60),
        (BERLIN, "Europe/Berlin", (2024, 11, 3), 12 - (13.40 / 15 - 1) - 16.4 / 60),
        (SAO_PAULO, "America/Sao_Paulo", (2024, 2, 11), 12 - (-46.63 / 15 + 3) + 14.2 / 60),
        (Plane(35, 139.7, tilt_deg=0), "Asia/Tokyo", (2024, 11, 3), 12 - (139.7 / 15 - 9) - 16.4 / 60),
    ],
)
def test_solar_noon_is_where_longitude_and_equation_of_time_put_it(plane, zone, day, expected_h):
    start = datetime(*day, tzinfo=ZoneInfo(zone))
    assert noon_h(clear_sky(plane, start, S_PER_DAY, 300)) == pytest.approx(expected_h, abs=2 / 60)


@pytest.mark.parametrize("day", [datetime(2024, 3, 30), datetime(2024, 10, 26)])
def test_the_sun_ignores_daylight_saving_time(day):
    """Between two noons lie 24 hours of run time, although the clock moves in the night between them."""
    series = clear_sky(BERLIN, day.replace(tzinfo=ZoneInfo("Europe/Berlin")), 2 * S_PER_DAY, 300)
    assert noon_h(series, 1) - noon_h(series, 0) == pytest.approx(24, abs=1.5 / 60)


def test_the_same_instant_in_two_zones_gives_the_same_irradiance():
    local = datetime(2024, 6, 1, 6, tzinfo=ZoneInfo("America/Sao_Paulo"))
    a, b = (clear_sky(SAO_PAULO, start, S_PER_DAY / 2) for start in (local, local.astimezone(UTC)))
    np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.parametrize("plane", [BERLIN, SAO_PAULO, Plane(46.48, 30.73, tilt_deg=35)])
@pytest.mark.parametrize("month", [3, 6, 12])
def test_daily_energy_does_not_depend_on_the_resolution(plane, month):
    start = datetime(2024, month, 20, tzinfo=UTC)
    fine, coarse = (clear_sky(plane, start, S_PER_DAY, r).mean(0, S_PER_DAY) for r in (60, 900))
    assert coarse == pytest.approx(fine, rel=0.005)


def test_the_sun_of_the_south_stands_in_the_north():
    start = datetime(2024, 6, 20, tzinfo=ZoneInfo("America/Sao_Paulo"))
    north, south = (
        clear_sky(Plane(-23.55, -46.63, tilt_deg=30, azimuth_deg=azimuth), start, S_PER_DAY).mean(0, S_PER_DAY)
        for azimuth in (0, 180)
    )
    assert north > 1.5 * south


def test_modules_that_face_east_are_ahead_of_those_that_face_west():
    start = datetime(2024, 6, 20, tzinfo=ZoneInfo("Europe/Berlin"))
    east, west = (
        noon_h(clear_sky(Plane(52.52, 13.40, tilt_deg=60, azimuth_deg=azimuth), start, S_PER_DAY))
        for azimuth in (90, 270)
    )
    assert west - east > 3


def test_nights_are_dark_and_days_below_the_extraterrestrial_irradiance():
    values = clear_sky(BERLIN, datetime(2024, 6, 20, tzinfo=ZoneInfo("Europe/Berlin")), S_PER_DAY)
    assert values.at(1 * S_PER_H) == 0
    # 1361 W/m2 at 3.2 % more than the mean distance, at a zenith of 52.5 - 23.4 degrees
    assert values.values.min() >= 0
    assert 700 < values.values.max() < 1361 * 0.968 * np.cos(np.radians(29.1))


def test_clearness_scales_everything():
    start = datetime(2024, 6, 20, tzinfo=UTC)
    full, half = (clear_sky(BERLIN, start, S_PER_DAY, clearness=c).values for c in (1.0, 0.5))
    np.testing.assert_allclose(half, full / 2)


def test_clearness_0_is_darkness_and_less_is_refused():
    start = datetime(2024, 6, 20, tzinfo=UTC)
    assert not clear_sky(BERLIN, start, S_PER_DAY, clearness=0.0).values.any()
    with pytest.raises(ValueError, match=r"clearness must be >= 0, got -0\.1"):
        clear_sky(BERLIN, start, S_PER_DAY, clearness=-0.1)


def test_more_turbid_air_lets_less_light_through():
    start = datetime(2024, 6, 20, tzinfo=UTC)
    clean, turbid = (clear_sky(BERLIN, start, S_PER_DAY, linke_turbidity=lt).values.max() for lt in (2.0, 6.0))
    assert clean > turbid


def test_the_series_covers_a_run_that_is_no_multiple_of_the_resolution():
    assert clear_sky(BERLIN, datetime(2024, 6, 20, tzinfo=UTC), 1000.0, 900).covers(0, 1000)


def test_a_start_without_zone_is_refused():
    with pytest.raises(ValueError, match="UTC offset or time zone, got 2024-06-20"):
        clear_sky(BERLIN, datetime(2024, 6, 20), 900)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"latitude_deg": 91, "longitude_deg": 0}, r"latitude_deg must be -90\.\.90, got 91"),
        ({"latitude_deg": 0, "longitude_deg": 0, "albedo": 20}, r"albedo must be 0\.\.1, got 20"),
        ({"latitude_deg": 0, "longitude_deg": float("nan")}, r"longitude_deg must be .* got nan"),
    ],
)
def test_a_place_out_of_range_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        Plane(**given)


# --- typical years ----------------------------------------------------------------------------------------------------

ROWS = np.arange(HOURS_PER_YEAR, dtype=float)
ZERO = np.zeros(HOURS_PER_YEAR)


def row_of(month, day, hour):
    return (datetime(2023, month, day, hour) - datetime(2023, 1, 1)).total_seconds() / S_PER_H


def numbered(utc_offset_h=1.0, centre_s=S_PER_H / 2):
    """Give a year whose temperature is the number of the row."""
    return TypicalYear(ZERO, ZERO, ZERO, ROWS, 52.52, 13.40, utc_offset_h * S_PER_H, centre_s)


@pytest.mark.parametrize(
    ("start", "row"),
    [
        (datetime(2023, 7, 10, 14, 20, tzinfo=ZoneInfo("Europe/Berlin")), row_of(7, 10, 13)),  # the file has no DST
        (datetime(2023, 1, 10, 14, 20, tzinfo=ZoneInfo("Europe/Berlin")), row_of(1, 10, 14)),
        (datetime(2023, 12, 31, 23, 30, tzinfo=UTC), row_of(1, 1, 0)),
        (datetime(2024, 2, 29, 14, tzinfo=UTC), row_of(2, 28, 15)),
        (datetime(2024, 3, 1, 14, tzinfo=UTC), row_of(3, 1, 15)),
        (datetime(2024, 12, 31, 14, tzinfo=UTC), row_of(12, 31, 15)),
    ],
)
def test_the_row_is_found_by_the_files_own_clock(start, row):
    _, t_ambient = typical_year(BERLIN, numbered(), start, 60)
    assert t_ambient.at(0) == row


def test_rows_change_at_the_full_hours_of_the_files_clock():
    start = datetime(2023, 7, 10, 14, 20, tzinfo=ZoneInfo("Europe/Berlin"))
    _, t_ambient = typical_year(BERLIN, numbered(), start, 2 * S_PER_H)
    assert t_ambient.next_change(0) == 40 * 60
    assert t_ambient.covers(0, 2 * S_PER_H)


def test_rows_of_instants_hold_around_them():
    """PVGIS gives values of 10 minutes past the hour: they stand for 30 minutes before and after."""
    start = datetime(2023, 7, 10, 12, 0, tzinfo=UTC)
    _, t_ambient = typical_year(BERLIN, numbered(0, centre_s=600), start, S_PER_H)
    assert t_ambient.at(0) == row_of(7, 10, 12)
    assert t_ambient.next_change(0) == 40 * 60


def test_diffuse_light_reaches_a_horizontal_plane_unchanged():
    year = TypicalYear(ROWS * 0 + 100, ZERO, ROWS * 0 + 100, ZERO, 52.52, 13.40, S_PER_H)
    irradiance, _ = typical_year(BERLIN, year, datetime(2023, 6, 1, tzinfo=UTC), S_PER_DAY)
    np.testing.assert_allclose(irradiance.values, 100)


def test_clear_sky_through_a_typical_year_keeps_its_energy():
    """Hourly means of the clear sky, written as a typical year, give back the energy of the clear sky on the plane."""
    import pandas as pd
    from pvlib.location import Location

    minutes = pd.date_range("2023-06-20", periods=24 * 60, freq="1min", tz="Etc/GMT-1") + pd.Timedelta("30s")
    sky = Location(52.52, 13.40, altitude=34).get_clearsky(minutes)
    day = row_of(6, 20, 0)
    columns = []
    for name in ("ghi", "dni", "dhi"):
        column = ZERO.copy()
        column[int(day) : int(day) + 24] = sky[name].to_numpy().reshape(24, 60).mean(axis=1)
        columns.append(column)
    plane = Plane(52.52, 13.40, altitude_m=34, tilt_deg=30)
    start = datetime(2023, 6, 20, tzinfo=ZoneInfo("Etc/GMT-1"))
    irradiance, _ = typical_year(plane, TypicalYear(*columns, ZERO, 52.52, 13.40, S_PER_H), start, S_PER_DAY)
    expected = clear_sky(plane, start, S_PER_DAY, 60).mean(0, S_PER_DAY)
    assert irradiance.mean(0, S_PER_DAY) == pytest.approx(expected, rel=0.01)


def test_weather_of_another_place_is_refused():
    with pytest.raises(ValueError, match=r"-23\.55, -46\.63 must be within one degree .* 52\.52, 13\.4"):
        typical_year(SAO_PAULO, numbered(), datetime(2023, 6, 1, tzinfo=UTC), 60)


def test_a_year_with_gaps_is_refused():
    with pytest.raises(ValueError, match=r"t_ambient_c must be 8760 finite values"):
        TypicalYear(ZERO, ZERO, ZERO, ROWS[:100], 52.52, 13.40, 0)
