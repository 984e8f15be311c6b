"""Prices of energy: fixed, time-of-use or from a series, and their changes during a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np

from ..series import Series, by_clock, combine
from ..shared_data import SharedData
from ..units import S_PER_H


class TariffPrices(NamedTuple):
    """Prices at one time, in the currency of their `Tariffs`."""

    buy_per_kwh: float
    """Energy from the grid."""
    sell_per_kwh: float
    """Energy to the grid; what the hub is paid."""
    dg_per_kwh: float
    """Energy of the dispatchable generator."""
    bess_per_kwh: float
    """Use of the battery, on every kWh in and out."""
    charging_per_kwh: float
    """What EV drivers pay."""


NAMES = tuple(name.removesuffix("_per_kwh") for name in TariffPrices._fields)
"""Short names of the prices, in the order of their columns: buy, sell, dg, bess, charging."""


MISSED_FACTOR = 1.8
"""Price of energy that an EV did not get, over the price of energy: it is bought at a public fast charger instead.

64.44 ct/kWh there and 35.96 ct/kWh at home, means of Germany in the first half of 2024 (Verivox, in Clean Energy Wire
2024, "Charging EV at home in Germany costs half of refuelling petrol car").
"""
UNSERVED_FACTOR = 66.0
"""Value of lost load over the price of energy: what households would accept for an hour without supply.

10,289 GBP/MWh (London Economics 2013, "The value of lost load (VoLL) for electricity in Great Britain", for Ofgem and
DECC) over 15.6 p/kWh (mean bill of 2014: 592 GBP for 3,800 kWh). Small businesses accept three times as much.
"""


def penalties(
    buy: Series, until_s: float, missed_per_kwh: float | None, unserved_per_kwh: float | None
) -> dict[str, float]:
    """Return the prices of what a hub does not serve [currency/kWh]; those that are 0 are left out.

    Parameters
    ----------
    buy : Series
        Price of energy from the grid over the run.
    until_s : float
        Length of the run [s].
    missed_per_kwh, unserved_per_kwh : float or None
        On energy that EVs asked for and did not get, and on load that was not served; None for a multiple of the mean
        price of energy, which needs no exchange rate: `MISSED_FACTOR`, `UNSERVED_FACTOR`.

    Returns
    -------
    dict of str to float
        ``missed_per_kwh``, ``unserved_per_kwh``.
    """
    mean_per_kwh = max(float(buy.means(np.array([0.0, until_s]))[0]), 0.0)
    prices = {
        "missed_per_kwh": MISSED_FACTOR * mean_per_kwh if missed_per_kwh is None else missed_per_kwh,
        "unserved_per_kwh": UNSERVED_FACTOR * mean_per_kwh if unserved_per_kwh is None else unserved_per_kwh,
    }
    return {name: price for name, price in prices.items() if price > 0.0}


@dataclass(frozen=True, eq=False)
class Tariffs(SharedData):
    """All prices of a hub over a run. Make it with `of`.

    Attributes
    ----------
    series : Series
        Prices over the run [currency/kWh], values of shape (k, 5) in the order of `NAMES`.
    demand_per_kw : float
        Charge on the highest import of each month [currency/kW].
    currency : str
        Label.
    """

    series: Series
    demand_per_kw: float = 0.0
    currency: str = "EUR"

    @classmethod
    def of(
        cls, prices: Mapping[str, Series | float], until_s: float, demand_per_kw: float = 0.0, currency: str = "EUR"
    ) -> Tariffs:
        """Combine the prices of a run into one object.

        Parameters
        ----------
        prices : mapping of str to Series or float
            By the names of `NAMES` [currency/kWh]; what is left out is 0.
        until_s : float
            Length of the run [s].
        demand_per_kw : float
            Charge on the highest import of each month [currency/kW].
        currency : str
            Label.

        Returns
        -------
        Tariffs

        Raises
        ------
        ValueError
            If a name is unknown, a series does not cover the run, or the demand charge is negative.
        """
        for name in prices:
            _column(name)
        if not demand_per_kw >= 0:
            raise ValueError(f"demand_per_kw must be >= 0, got {demand_per_kw}")
        values = [prices.get(name, 0.0) for name in NAMES]
        columns = [price if isinstance(price, Series) else Series.constant(price) for price in values]
        series = combine(lambda *values: np.column_stack(values), *columns, from_s=0.0, until_s=until_s)
        return cls(series, float(demand_per_kw), currency)

    def prices_at(self, t_s: float) -> TariffPrices:
        """Return the prices at a scenario time [s].

        Raises
        ------
        ValueError
            If the time is outside the run.
        """
        return TariffPrices(*self.series.at(t_s).tolist())

    def next_change(self, t_s: float) -> float:
        """Find the first time after `t_s` at which any price differs [s]; inf when there is none.

        Raises
        ------
        ValueError
            If the time is outside the run.
        """
        return self.series.next_change(t_s)

    def price(self, name: str) -> Series:
        """Return one price as a series [currency/kWh].

        Raises
        ------
        ValueError
            If there is no such price.
        """
        return Series(self.series.t_s, self.series.values[:, _column(name)], self.series.end_s)

    def changed(self, name: str, value: float, from_s: float, until_s: float = math.inf) -> Tariffs:
        """Return the tariffs with another value of one price for a while; the last change wins.

        Parameters
        ----------
        name : str
            One of `NAMES`.
        value : float
            New price [currency/kWh].
        from_s, until_s : float
            From when until when it holds [s]; cut to the run.

        Returns
        -------
        Tariffs

        Raises
        ------
        ValueError
            If there is no such price, or the time is empty.
        """
        column = _column(name)
        if not from_s < until_s:
            raise ValueError(f"until_s must be after from_s {from_s:g} s, got {until_s:g} s")
        series = self.series
        borders = [t for t in (from_s, until_s) if series.t_s[0] < t < series.end_s]
        t_s = np.union1d(series.t_s, borders)
        values = series.sample(t_s)
        values[(from_s <= t_s) & (t_s < until_s), column] = value
        return replace(self, series=Series(t_s, values, series.end_s))


def _column(name: str) -> int:
    if name not in NAMES:
        raise ValueError(f"price must be one of {', '.join(NAMES)}, got {name}")
    return NAMES.index(name)


class Break(NamedTuple):
    """A price that holds from an hour of the day on."""

    from_hour: float
    """Hour of the local clock, 0 to 24."""
    price_per_kwh: float
    """Price until the next break."""


@dataclass(frozen=True)
class Season:
    """Prices of some months.

    Attributes
    ----------
    months : tuple of int
        1 to 12.
    weekday, weekend, holiday : tuple of Break
        Breaks of a day, the first at hour 0; holidays are like weekends when left out.

    Raises
    ------
    ValueError
        If there is no month, a month or hour is out of range, or the hours do not rise from 0.
    """

    months: tuple[int, ...]
    weekday: tuple[Break, ...]
    weekend: tuple[Break, ...]
    holiday: tuple[Break, ...] = ()

    def __post_init__(self):
        if not self.months or any(month not in range(1, 13) for month in self.months):
            raise ValueError(f"months must be 1..12, got {list(self.months)}")
        for name in ("weekday", "weekend", "holiday"):
            breaks = tuple(Break(float(hour), float(price)) for hour, price in getattr(self, name))
            if not breaks and name == "holiday":
                breaks = self.weekend
            hours = [entry.from_hour for entry in breaks]
            if not breaks or hours[0] != 0 or hours != sorted(set(hours)) or hours[-1] >= 24:
                raise ValueError(f"{name} must have hours that rise from 0 and stay below 24, got {hours}")
            if not all(math.isfinite(entry.price_per_kwh) for entry in breaks):
                raise ValueError(f"{name} must have finite prices, got {[entry.price_per_kwh for entry in breaks]}")
            object.__setattr__(self, name, breaks)


@dataclass(frozen=True)
class TimeOfUse:
    """A time-of-use price by season, kind of day and hour of the local clock.

    Attributes
    ----------
    seasons : tuple of Season
        Every month belongs to exactly one.
    holidays : frozenset of date
        Days with the prices of holidays.

    Raises
    ------
    ValueError
        If a month belongs to no season, or to several.
    """

    seasons: tuple[Season, ...]
    holidays: frozenset[date] = frozenset()

    def __post_init__(self):
        months = sorted(month for season in self.seasons for month in season.months)
        if months != list(range(1, 13)):
            raise ValueError(f"every month must belong to exactly one season, got months {months}")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> TimeOfUse:
        """Make a tariff of the keys of a tariff file: ``seasons`` and ``holidays``.

        Parameters
        ----------
        data : mapping
            ``seasons``: a list of mappings with ``months`` and ``weekday``, ``weekend``, ``holiday``, each a list of
            pairs [hour, price]; ``holidays``: a list of dates. The other keys of the file are for people.

        Returns
        -------
        TimeOfUse

        Raises
        ------
        ValueError
            If there is an unknown key, or something is not understood; the text says which and where.
        """
        _refuse_unknown(data, _FILE_KEYS)
        sections: list[Any] = data.get("seasons") or []
        seasons = []
        for number, season in enumerate(sections):
            try:
                _refuse_unknown(season, ("months", *_KINDS))
                kinds = {name: tuple(Break(*pair) for pair in season.get(name, ())) for name in _KINDS}
                seasons.append(Season(tuple(season.get("months", ())), **kinds))
            except (ValueError, TypeError, AttributeError) as problem:
                raise ValueError(f"seasons[{number}]: {problem}") from None
        try:
            # a day may be text, because a careful YAML reader leaves dates alone
            holidays = [date.fromisoformat(str(day)) for day in data.get("holidays") or []]
        except ValueError as problem:
            raise ValueError(f"holidays must be dates such as 2019-07-04: {problem}") from None
        return cls(tuple(seasons), frozenset(holidays))

    def price_at(self, local: datetime) -> float:
        """Return the price at a time of the local clock [currency/kWh]."""
        season = next(season for season in self.seasons if local.month in season.months)
        if local.date() in self.holidays:
            breaks = season.holiday
        else:
            breaks = season.weekday if local.weekday() < 5 else season.weekend
        hour = (local - local.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() / S_PER_H
        return next(entry.price_per_kwh for entry in reversed(breaks) if entry.from_hour <= hour)

    def series(self, start: datetime, duration_s: float) -> Series:
        """Resolve the tariff over a run, over changes of daylight saving time too.

        Parameters
        ----------
        start : datetime
            First instant of the run, in the time zone whose clock the tariff follows.
        duration_s : float
            Length of the run [s].

        Returns
        -------
        Series
            Price [currency/kWh].

        Raises
        ------
        ValueError
            If `start` has no time zone.
        """
        days = [getattr(season, name) for season in self.seasons for name in _KINDS]
        hours = {entry.from_hour for breaks in days for entry in breaks}
        return by_clock(self.price_at, [hour * S_PER_H for hour in sorted(hours)], start, duration_s)


def _refuse_unknown(data: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        raise ValueError(f"keys must be of {', '.join(known)}, got {', '.join(map(str, unknown))}")


_KINDS = ("weekday", "weekend", "holiday")
_FILE_KEYS = ("name", "title", "source", "currency", "demand_per_kw", "seasons", "holidays")
