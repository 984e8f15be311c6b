"""Irradiance on tilted modules, from the clear sky or from a typical meteorological year (pvlib).

Times are scenario seconds after a start that carries its UTC offset; the sun is computed in UTC, so that daylight
saving time cannot shift it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from pvlib.irradiance import get_extra_radiation, get_total_irradiance
from pvlib.location import Location

from ..series import Series
from ..units import S_PER_H

HOURS_PER_YEAR = 8760


@dataclass(frozen=True)
class Plane:
    """Modules in a place.

    Attributes
    ----------
    latitude_deg, longitude_deg : float
        Place, north and east positive [deg].
    altitude_m : float
        Above sea level [m].
    tilt_deg : float
        Against the horizontal [deg].
    azimuth_deg : float
        Where the modules face, clockwise from north [deg]: 180 is south, 0 is north.
    albedo : float
        Share of the light that the ground reflects, 0..1.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0
    tilt_deg: float = 20.0
    azimuth_deg: float = 180.0
    albedo: float = 0.2

    def __post_init__(self):
        for name, low, high in (
            ("latitude_deg", -90, 90),
            ("longitude_deg", -180, 180),
            ("altitude_m", -500, 9000),
            ("tilt_deg", 0, 90),
            ("azimuth_deg", 0, 360),
            ("albedo", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be {low}..{high}, got {getattr(self, name)}")

    @property
    def _location(self) -> Location:
        return Location(self.latitude_deg, self.longitude_deg, altitude=self.altitude_m)


@dataclass(frozen=True, eq=False)
class TypicalYear:
    """Hourly weather of a typical year of 365 days, from 1 January 0:00 of the file's own clock.

    Attributes
    ----------
    ghi_w_m2, dni_w_m2, dhi_w_m2 : array, shape (8760,)
        Global horizontal, direct normal and diffuse horizontal irradiance [W/m2].
    t_ambient_c : array, shape (8760,)
        Ambient temperature [degC].
    latitude_deg, longitude_deg : float
        Place, north and east positive [deg].
    utc_offset_s : float
        The file's clock minus UTC [s].
    centre_s : float
        The hour that a row stands for is centred this long after the row's full hour [s]: 1800 for means over the
        hour.

    Raises
    ------
    ValueError
        If an array does not have 8760 finite values.
    """

    ghi_w_m2: np.ndarray
    dni_w_m2: np.ndarray
    dhi_w_m2: np.ndarray
    t_ambient_c: np.ndarray
    latitude_deg: float
    longitude_deg: float
    utc_offset_s: float
    centre_s: float = S_PER_H / 2

    def __post_init__(self):
        for name in ("ghi_w_m2", "dni_w_m2", "dhi_w_m2", "t_ambient_c"):
            values = np.array(getattr(self, name), dtype=float)
            if values.shape != (HOURS_PER_YEAR,) or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {HOURS_PER_YEAR} finite values, got shape {values.shape}")
            values.flags.writeable = False
            object.__setattr__(self, name, values)


def clear_sky(
    plane: Plane,
    start: datetime,
    duration_s: float,
    resolution_s: float = 900.0,
    clearness: float = 1.0,
    linke_turbidity: float | None = None,
) -> Series:
    """Compute the irradiance of a cloudless sky on a plane, after Ineichen & Perez 2002 and Hay & Davies 1980.

    Parameters
    ----------
    plane : Plane
        The modules.
    start : datetime
        First instant, with UTC offset or time zone.
    duration_s : float
        Length of the series [s].
    resolution_s : float
        Length of its steps [s]; each has the irradiance of its middle, so that the energy of a day is right.
    clearness : float
        Factor on the irradiance.
    linke_turbidity : float, optional
        Turbidity of the air; the monthly climatology of pvlib when left out.

    Returns
    -------
    Series
        Irradiance in the plane [W/m2].

    Raises
    ------
    ValueError
        If `start` has no UTC offset, or a number is out of its range.
    """
    if not duration_s > 0 or not resolution_s > 0:
        raise ValueError(f"duration_s and resolution_s must be > 0, got {duration_s} and {resolution_s}")
    if not clearness >= 0:
        raise ValueError(f"clearness must be >= 0, got {clearness}")
    t_s = np.arange(math.ceil(duration_s / resolution_s)) * resolution_s
    instants = _instants(start, t_s + resolution_s / 2)
    options = {} if linke_turbidity is None else {"linke_turbidity": linke_turbidity}
    sky = plane._location.get_clearsky(instants, model="ineichen", **options)
    w_m2 = clearness * _on_plane(plane, instants, sky["ghi"], sky["dni"], sky["dhi"])
    return Series(t_s, w_m2, t_s[-1] + resolution_s)


def typical_year(plane: Plane, year: TypicalYear, start: datetime, duration_s: float) -> tuple[Series, Series]:
    """Compute the irradiance on a plane and the ambient temperature from the same hours of a typical year.

    The hours of the file are found by month, day and hour of its clock; 29 February takes 28 February. The steps are
    the hours of the file: it knows nothing in between.

    Parameters
    ----------
    plane : Plane
        The modules, at the place of the file.
    year : TypicalYear
        The weather.
    start : datetime
        First instant, with UTC offset or time zone.
    duration_s : float
        Length that the series must cover [s].

    Returns
    -------
    irradiance : Series
        Irradiance in the plane [W/m2].
    t_ambient : Series
        Ambient temperature [degC].

    Raises
    ------
    ValueError
        If `start` has no UTC offset, the duration is not positive, or the plane is more than one degree away from the
        place of the file.
    """
    if not duration_s > 0:
        raise ValueError(f"duration_s must be > 0, got {duration_s}")
    east = (plane.longitude_deg - year.longitude_deg + 180) % 360 - 180
    if abs(plane.latitude_deg - year.latitude_deg) > 1 or abs(east) > 1:
        raise ValueError(
            f"the plane at {plane.latitude_deg:g}, {plane.longitude_deg:g} must be within one degree of the weather's "
            f"place {year.latitude_deg:g}, {year.longitude_deg:g}"
        )
    # seconds of the file's clock, counted so that the hours of the rows begin at multiples of an hour
    _refuse_naive(start)
    shift_s = year.utc_offset_s - year.centre_s + S_PER_H / 2
    first = math.floor((start.timestamp() + shift_s) / S_PER_H)
    last = math.ceil((start.timestamp() + duration_s + shift_s) / S_PER_H)
    hours = np.arange(first, last)
    t_s = hours * S_PER_H - shift_s - start.timestamp()
    rows = _rows(hours)
    instants = _instants(start, t_s + S_PER_H / 2)
    parts = [pd.Series(values[rows], index=instants) for values in (year.ghi_w_m2, year.dni_w_m2, year.dhi_w_m2)]
    end_s = t_s[-1] + S_PER_H
    return Series(t_s, _on_plane(plane, instants, *parts), end_s), Series(t_s, year.t_ambient_c[rows], end_s)


def _rows(hours: np.ndarray) -> np.ndarray:
    """Find the rows of hours, counted from 1970 on the file's clock, in a year of 365 days."""
    days = hours // 24
    years = days.astype("datetime64[D]").astype("datetime64[Y]")
    first_days = years.astype("datetime64[D]").astype(int)
    is_leap = (years + 1).astype("datetime64[D]").astype(int) - first_days == 366
    day_of_year = days - first_days
    return (day_of_year - (is_leap & (day_of_year >= 59))) * 24 + hours % 24


def _refuse_naive(start: datetime) -> None:
    if start.tzinfo is None:
        raise ValueError(f"start must have a UTC offset or time zone, got {start}")


def _instants(start: datetime, t_s: np.ndarray) -> pd.DatetimeIndex:
    _refuse_naive(start)
    return pd.Timestamp(start.astimezone(UTC)) + pd.to_timedelta(t_s, unit="s")


def _on_plane(plane: Plane, instants: pd.DatetimeIndex, ghi, dni, dhi) -> np.ndarray:
    sun = plane._location.get_solarposition(instants)
    total = get_total_irradiance(
        plane.tilt_deg,
        plane.azimuth_deg,
        sun["apparent_zenith"],
        sun["azimuth"],
        dni,
        ghi,
        dhi,
        dni_extra=get_extra_radiation(instants),
        albedo=plane.albedo,
        model="haydavies",
    )
    return total["poa_global"].to_numpy()
