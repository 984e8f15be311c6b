"""Prices: time of use by season, day and local clock, and changes during a run."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import get_args
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from evhub.controllers.contract import Prices
from evhub.simulators.field_types import PriceName
from evhub.simulators.series import Series
from evhub.simulators.tariffs.tariff_model import NAMES, Break, Season, Tariffs, TimeOfUse
from evhub.simulators.units import S_PER_DAY, S_PER_H

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
FILE = files("evhub.simulators") / "data" / "tariffs" / "sce_tou_ev_4_2019.yaml"
DATA = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SCE = TimeOfUse.from_mapping(DATA)
OFF, MID, ON = 0.05623, 0.0925, 0.26668  # summer
WINTER_OFF, WINTER_MID, WINTER_ON = 0.06087, 0.07492, 0.0869


def day_of(series, day=0):
    """List the hours after midnight and the prices of a day of a run."""
    times = series.change_times(day * S_PER_DAY, (day + 1) * S_PER_DAY)
    return [((t - day * S_PER_DAY) / S_PER_H, series.at(t)) for t in times]


# --- SCE TOU-EV-4, March 2019 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "tiers"),
    [
        ((2019, 7, 10), (OFF, MID, ON)),
        ((2019, 9, 30), (OFF, MID, ON)),
        ((2019, 10, 1), (WINTER_OFF, WINTER_MID, WINTER_ON)),
        ((2019, 1, 15), (WINTER_OFF, WINTER_MID, WINTER_ON)),
        ((2019, 5, 31), (WINTER_OFF, WINTER_MID, WINTER_ON)),
    ],
)
def test_weekdays_break_at_8_12_18_and_23(day, tiers):
    off, mid, on = tiers
    series = SCE.series(datetime(*day, tzinfo=LOS_ANGELES), S_PER_DAY)
    assert day_of(series) == [(0, off), (8, mid), (12, on), (18, mid), (23, off)]


@pytest.mark.parametrize(
    ("day", "price"), [((2019, 7, 13), OFF), ((2019, 7, 14), OFF), ((2019, 7, 4), OFF), ((2019, 12, 25), WINTER_OFF)]
)
def test_weekends_and_holidays_are_off_peak(day, price):
    assert day_of(SCE.series(datetime(*day, tzinfo=LOS_ANGELES), S_PER_DAY)) == [(0, price)]


def test_demand_charge_and_currency_of_the_file():
    assert DATA["demand_per_kw"] == 15.51
    assert DATA["currency"] == "USD"


def nth(year, month, weekday, n):
    """Give the n-th such weekday of a month, from its end when n is negative."""
    days = [date(year, month, 1) + timedelta(days=d) for d in range(31)]
    return [day for day in days if day.month == month and day.weekday() == weekday][n - 1 if n > 0 else n]


@pytest.mark.parametrize("year", [2018, 2019, 2020])
def test_holidays_are_the_days_of_the_calendar(year):
    monday, thursday = 0, 3
    moving = [nth(year, 2, monday, 3), nth(year, 5, monday, -1), nth(year, 9, monday, 1), nth(year, 11, thursday, 4)]
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)]
    fixed = [day + timedelta(days=1) if day.weekday() == 6 else day for day in fixed]
    assert {day for day in SCE.holidays if day.year == year} == {*moving, *fixed}


@pytest.mark.parametrize("start", [datetime(2019, 3, 9), datetime(2019, 11, 2), datetime(2019, 12, 30)])
def test_prices_follow_the_local_clock_over_changes_of_the_clock_and_of_the_year(start):
    start = start.replace(tzinfo=LOS_ANGELES)
    series = SCE.series(start, 4 * S_PER_DAY)
    for minute in range(0, 4 * 24 * 60, 7):
        local = (start.astimezone(UTC) + timedelta(minutes=minute)).astimezone(LOS_ANGELES)
        assert series.at(minute * 60.0) == SCE.price_at(local.replace(tzinfo=None)), local


def test_monday_after_the_spring_change_starts_its_peak_an_hour_earlier_in_run_time():
    start = datetime(2019, 3, 9, tzinfo=LOS_ANGELES)  # the clock moves on the 10th
    series = SCE.series(start, 4 * S_PER_DAY)
    assert series.next_change(0) == 2 * S_PER_DAY + 7 * S_PER_H
    assert series.at(2 * S_PER_DAY + 7 * S_PER_H) == WINTER_MID


def test_a_start_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone, got 2019-07-10"):
        SCE.series(datetime(2019, 7, 10), S_PER_DAY)


# --- what is no tariff ------------------------------------------------------------------------------------------------

FLAT = [[0, 0.1]]
YEAR = list(range(1, 13))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"seasons": []}, r"exactly one season, got months \[\]"),
        ({"seasons": [{"months": YEAR[:-1], "weekday": FLAT, "weekend": FLAT}]}, "exactly one season"),
        ({"seasons": [{"months": [*YEAR, 7], "weekday": FLAT, "weekend": FLAT}]}, "exactly one season"),
        ({"seasons": [{"months": [0, 13], "weekday": FLAT, "weekend": FLAT}]}, r"seasons\[0\]: months must be 1\.\.12"),
        ({"seasons": [{"weekday": FLAT, "weekend": FLAT}]}, r"seasons\[0\]: months must be 1\.\.12, got \[\]"),
        ({"seasons": [{"months": YEAR, "weekday": FLAT}]}, r"seasons\[0\]: weekend must have hours"),
        ({"seasons": [{"months": YEAR, "weekday": FLAT, "weekends": FLAT}]}, r"seasons\[0\]: keys .* got weekends"),
        ({"seasons": [{"months": YEAR, "weekday": [[8, 0.1]], "weekend": FLAT}]}, r"rise from 0 .*, got \[8\.0\]"),
        ({"seasons": [{"months": YEAR, "weekday": [[0, 1], [9, 2], [8, 3]], "weekend": FLAT}]}, "rise from 0"),
        ({"seasons": [{"months": YEAR, "weekday": [[0, 1], [750, 2]], "weekend": FLAT}]}, "below 24"),
        ({"seasons": [{"months": YEAR, "weekday": [[0, "x"]], "weekend": FLAT}]}, r"seasons\[0\]: could not convert"),
        ({"seasons": [{"months": YEAR, "weekday": [[0, math.nan]], "weekend": FLAT}]}, "finite prices"),
        ({"season": []}, "keys must be of .* got season"),
        (
            {"seasons": [{"months": YEAR, "weekday": FLAT, "weekend": FLAT}], "holidays": ["4 July"]},
            "holidays must be dates such as 2019-07-04",
        ),
    ],
)
def test_what_is_no_tariff_is_refused(data, match):
    with pytest.raises(ValueError, match=match):
        TimeOfUse.from_mapping(data)


def test_holidays_may_be_dates_or_text():
    season = {"months": YEAR, "weekday": [[0, 0.2]], "weekend": FLAT}
    for day in (date(2019, 7, 4), "2019-07-04"):
        tariff = TimeOfUse.from_mapping({"seasons": [season], "holidays": [day]})
        assert tariff.price_at(datetime(2019, 7, 4, 12)) == 0.1


def test_holidays_can_have_prices_of_their_own():
    season = Season(tuple(YEAR), (Break(0, 2.0),), (Break(0, 1.0),), (Break(0, 0.5),))
    tariff = TimeOfUse((season,), frozenset({date(2019, 7, 4)}))
    assert [tariff.price_at(datetime(2019, 7, day)) for day in (3, 4, 6)] == [2.0, 0.5, 1.0]


# --- all prices of a run ----------------------------------------------------------------------------------------------

BUY = Series.from_points([(0, 0.2), (600, 0.4), (1200, 0.2)], end_s=3600)


def tariffs(**prices):
    return Tariffs.of({"buy": BUY, "bess": 0.05} | prices, 3600.0)


def test_prices_are_those_of_the_series_and_zero_where_nothing_is_said():
    assert tariffs(dg=0.3).prices_at(700) == (0.4, 0.0, 0.3, 0.05, 0.0)


def test_next_change_is_that_of_any_price():
    both = tariffs(sell=Series.from_points([(0, 0.1), (900, 0.05)], end_s=4000))
    assert [both.next_change(t) for t in (0, 600, 900, 1200)] == [600, 900, 1200, math.inf]


def test_one_price_comes_back_as_it_was_given():
    price = tariffs().price("buy")
    np.testing.assert_array_equal(price.t_s, BUY.t_s)
    np.testing.assert_array_equal(price.values, BUY.values)


def test_a_changed_price_holds_from_its_time_to_its_end():
    changed = tariffs().changed("buy", 0.9, 300, 1500)
    assert [changed.prices_at(t).buy_per_kwh for t in (299, 300, 700, 1499, 1500)] == [0.2, 0.9, 0.9, 0.9, 0.2]
    assert changed.next_change(300) == 1500


def test_a_changed_price_without_end_holds_to_the_end_of_the_run():
    changed = tariffs().changed("dg", 0.9, 300)
    assert changed.prices_at(3599).dg_per_kwh == 0.9
    assert changed.prices_at(299).dg_per_kwh == 0


def test_the_last_change_wins_and_the_first_tariffs_stay_as_they_were():
    first = tariffs()
    second = first.changed("buy", 0.9, 0, 1000).changed("buy", 0.7, 500, 800)
    assert [second.prices_at(t).buy_per_kwh for t in (499, 500, 799, 800, 1000)] == [0.9, 0.7, 0.7, 0.9, 0.4]
    assert first.prices_at(500).buy_per_kwh == 0.2


def test_a_change_leaves_the_other_prices_alone():
    before, after = tariffs(), tariffs().changed("charging", 0.5, 100, 200)
    for name in set(NAMES) - {"charging"}:
        np.testing.assert_array_equal(after.price(name).values, before.price(name).values)


def test_scenarios_plant_and_controllers_have_the_same_prices():
    assert get_args(PriceName) == NAMES == tuple(field.name for field in fields(Prices))


def test_prices_after_the_run_are_refused():
    with pytest.raises(ValueError, match=r"series covers 0 s\.\.3600 s, asked for 3600 s"):
        tariffs().prices_at(3600)


def test_a_series_that_ends_before_the_run_is_refused():
    with pytest.raises(ValueError, match=r"series covers 0 s\.\.3600 s, asked for 0 s\.\.7200 s"):
        Tariffs.of({"buy": BUY}, 7200.0)


@pytest.mark.parametrize(
    "make", [lambda: tariffs(grid=1.0), lambda: tariffs().changed("grid", 1, 0), lambda: tariffs().price("grid")]
)
def test_an_unknown_price_is_refused(make):
    with pytest.raises(ValueError, match="must be one of buy, sell, dg, bess, charging, got grid"):
        make()


def test_an_empty_change_is_refused():
    with pytest.raises(ValueError, match="until_s must be after from_s 300 s, got 300 s"):
        tariffs().changed("buy", 1.0, 300, 300)


def test_a_negative_demand_charge_is_refused():
    with pytest.raises(ValueError, match="demand_per_kw must be >= 0, got -1"):
        Tariffs.of({}, 10.0, demand_per_kw=-1)
