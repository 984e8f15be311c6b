"""Reads series from CSV files and typical years from weather files, and reports all problems of a file at once."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from pvlib import iotools

from ...simulators.pv.irradiance import HOURS_PER_YEAR, TypicalYear
from ...simulators.series import Series, by_clock
from ...simulators.units import S_PER_DAY, S_PER_H
from ..errors import NOTHING, InputError, Problem
from .table_cells import number

SECONDS, STAMPS = "t_s", "time"
"""Names of the time column: seconds since the start of the run, or ISO 8601 time stamps."""

_SHOWN = 5
"""So many lines with the same problem are reported one by one."""


def read_series(
    path: Path,
    columns: str | Sequence[str],
    start: datetime,
    duration_s: float,
    *,
    time_zone: str | None = None,
    repeat: bool = False,
) -> Series:
    """Read a series that covers a run from a CSV file.

    The file has a header, a column of times, and numbers; lines that begin with ``#`` are left out, and a file whose
    name ends in ``.gz`` is unpacked. The times are either seconds since the start of the run (column ``t_s``) or
    ISO 8601 time stamps (column ``time``), with a UTC offset or in a given zone. A value holds until the next line; the
    last one as long as the others when all are equally far apart, otherwise it only ends the series.

    Parameters
    ----------
    path : Path
        The file.
    columns : str or sequence of str
        Columns with the values.
    start : datetime
        First instant of the run, with UTC offset or time zone.
    duration_s : float
        Length of the run [s].
    time_zone : str, optional
        IANA zone of time stamps that carry no UTC offset.
    repeat : bool
        Repeat the file when it does not cover the run: stamps, which must span whole days, by the clock of `start`
        (a day of 23 or 25 hours keeps its mornings), seconds by their span.

    Returns
    -------
    Series
        Values of shape (k,) for one column by name, (k, m) for a sequence of m names.

    Raises
    ------
    InputError
        With everything that is wrong in the file.
    ValueError
        If `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"start must have a time zone, got {start}")
    where = str(path)
    time_name, t_s, values = _read(path, [columns] if isinstance(columns, str) else list(columns), start, time_zone)
    end_s, kept = _end_s(t_s)
    t_s, values = t_s[kept], values[kept, 0] if isinstance(columns, str) else values[kept]
    series = Series(t_s, values, end_s)
    if series.covers(0.0, duration_s):
        return series
    covered, needed = (
        _span(time_name, start, from_s, until_s) for from_s, until_s in ((t_s[0], end_s), (0.0, duration_s))
    )
    if not repeat:
        raise InputError([Problem(where, time_name, NOTHING, f"covers {covered}, the run needs {needed}")])
    if time_name == SECONDS:
        return Series(t_s, values, end_s, repeats=True)
    return _by_days(where, t_s, values, end_s, start, duration_s, covered)


def _read(path: Path, names: list[str], start: datetime, time_zone: str | None) -> tuple[str, np.ndarray, np.ndarray]:
    """Read the name of the time column, the times [s] and the values of the columns, shape (k, m)."""
    where = str(path)
    header, lines, cells = _table(path)
    time_name = SECONDS if SECONDS in header else STAMPS
    problems = [
        Problem(where, "header", NOTHING, f"needs a column {name}; there are {', '.join(header)}")
        for name in [time_name, *names]
        if name not in header
    ]
    if problems:
        raise InputError(problems)
    stamps, *columns = (cells[:, header.index(name)] for name in [time_name, *names])
    values = [_numbers(where, name, lines, column, problems) for name, column in zip(names, columns, strict=True)]
    if time_name == SECONDS:
        t_s = _numbers(where, SECONDS, lines, stamps, problems)
    else:
        t_s = _seconds(where, lines, stamps, start, time_zone, problems)
    _check_order(where, time_name, lines, stamps, t_s, problems)
    if problems:
        raise InputError(problems)
    return time_name, t_s, np.column_stack(values)


def _table(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read the header, the line numbers and the cells of a CSV file."""
    where = str(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError([Problem(where, "file", NOTHING, "must be an existing file")]) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError([Problem(where, "file", str(error), "must be a readable UTF-8 text file")]) from None
    kept = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(kept) < 3:
        raise InputError([Problem(where, "file", NOTHING, "needs a header and at least two lines of values")])
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader([line for _, line in kept], strict=True)]
    except csv.Error as error:
        raise InputError([Problem(where, "file", str(error), "must be comma-separated values")]) from None
    if len(rows) != len(kept):
        raise InputError([Problem(where, "file", NOTHING, "must have one row on each line; a quote spans several")])
    header = rows[0]
    problems = [
        Problem(where, "header", name, "must name every column once")
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    # a decimal comma makes one cell two, so a wrong number of cells is never taken lightly
    lengths = np.array([len(row) for row in rows[1:]])
    lines = np.array([number for number, _ in kept[1:]])
    uneven = lengths != len(header)
    problems += _line_problems(where, "cells", lines[uneven], lengths[uneven], f"must have {len(header)} cells")
    if problems:
        raise InputError(problems)
    return header, lines, np.array(rows[1:])


def _numbers(where: str, name: str, lines, cells, problems: list[Problem]) -> np.ndarray:
    numbers = np.array([_number(cell) for cell in cells])
    bad = np.flatnonzero(~np.isfinite(numbers))
    problems += _line_problems(where, name, lines[bad], cells[bad], "must be a number")
    return numbers


def _number(cell: str) -> float:
    try:
        return number(cell)
    except ValueError:
        return math.nan


def _seconds(where: str, lines, cells, start: datetime, time_zone: str | None, problems: list[Problem]) -> np.ndarray:
    """Turn time stamps into scenario seconds; NaN where that is not possible."""
    zone = None if time_zone is None else ZoneInfo(time_zone)
    start_s = start.timestamp()
    t_s, wrong = np.full(len(cells), math.nan), {}
    for i, cell in enumerate(cells):
        try:
            stamp = datetime.fromisoformat(cell)
        except ValueError:
            wrong.setdefault("must be a time such as 2024-03-01T12:00:00+01:00", []).append(i)
            continue
        if stamp.tzinfo is None and zone is None:
            wrong.setdefault("must have a UTC offset, or time_zone must be given", []).append(i)
            continue
        if stamp.tzinfo is None:
            stamp = stamp.replace(tzinfo=zone)
            later = stamp.replace(fold=1)
            if stamp.utcoffset() != later.utcoffset():
                shown = stamp.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == stamp.replace(tzinfo=None)
                allowed = (
                    f"must have a UTC offset: the clock of {time_zone} shows this time {'twice' if shown else 'never'}"
                )
                wrong.setdefault(allowed, []).append(i)
                continue
        t_s[i] = stamp.timestamp() - start_s
    for allowed, bad in wrong.items():
        problems += _line_problems(where, STAMPS, lines[bad], cells[bad], allowed)
    return t_s


def _check_order(where: str, name: str, lines, cells, t_s, problems: list[Problem]) -> None:
    known = np.flatnonzero(np.isfinite(t_s))
    falls = known[1:][np.diff(t_s[known]) <= 0]
    problems += _line_problems(where, name, lines[falls], cells[falls], "must be later than the line before")


def _end_s(t_s: np.ndarray) -> tuple[float, slice]:
    """When a series ends, and which of its lines have values that hold."""
    spacing_s = np.diff(t_s)
    if np.allclose(spacing_s, spacing_s[0], rtol=0, atol=1e-6):
        return float(t_s[-1] + spacing_s[0]), slice(None)
    return float(t_s[-1]), slice(-1)


def _by_days(where: str, t_s, values, end_s: float, start: datetime, duration_s: float, covered: str) -> Series:
    """Repeat whole days by the local clock."""
    start_utc = start.astimezone(UTC)
    walls = [(start_utc + timedelta(seconds=t)).astimezone(start.tzinfo).replace(tzinfo=None) for t in [*t_s, end_s]]
    offsets_s = [(wall - walls[0]).total_seconds() for wall in walls]
    days, rest_s = divmod(offsets_s[-1], S_PER_DAY)
    if days < 1 or rest_s or np.min(np.diff(offsets_s)) <= 0:
        allowed = f"must span whole days without a change of the clock to be repeated, covers {covered}"
        raise InputError([Problem(where, STAMPS, NOTHING, allowed)])

    def value_at(local: datetime):
        phase_s = (local - walls[0]).total_seconds() % offsets_s[-1]
        return values[bisect_right(offsets_s, phase_s) - 1]

    midnight = walls[0].replace(hour=0, minute=0, second=0, microsecond=0)
    breaks_s = {(wall - midnight).total_seconds() % S_PER_DAY for wall in walls}
    return by_clock(value_at, sorted(breaks_s), start, duration_s)


def _span(time_name: str, start: datetime, from_s: float, until_s: float) -> str:
    if time_name == SECONDS:
        return f"{from_s:.12g} s..{until_s:.12g} s"
    start_utc = start.astimezone(UTC)
    instants = [(start_utc + timedelta(seconds=s)).astimezone(start.tzinfo) for s in (from_s, until_s)]
    return "..".join(instant.isoformat() for instant in instants)


def _line_problems(where: str, name: str, lines: np.ndarray, values: np.ndarray, allowed: str) -> list[Problem]:
    """Tell the first lines with a problem one by one, and count the rest."""
    shown = zip(lines[:_SHOWN].tolist(), values[:_SHOWN].tolist(), strict=True)
    problems = [Problem(where, f"line {line}, {name}", value, allowed) for line, value in shown]
    if len(lines) > _SHOWN:
        problems.append(Problem(where, f"{len(lines) - _SHOWN} more lines, {name}", NOTHING, allowed))
    return problems


# --- weather ----------------------------------------------------------------------------------------------------------

_PLAUSIBLE = {"ghi": (-5, 1500), "dni": (-5, 1500), "dhi": (-5, 1500), "temp_air": (-90, 60)}
"""Columns; values outside are the formats' codes for missing data, or broken."""


def read_weather(path: Path) -> TypicalYear:
    """Read a typical meteorological year from EPW, TMY3 or PVGIS (CSV or JSON); the content decides which.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    TypicalYear
        Irradiance and temperature of 8760 hours.

    Raises
    ------
    InputError
        If the file is missing, of another format, not of 8760 hours, or has missing values.
    """
    where = str(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first, second = file.readline(), file.readline()
    except FileNotFoundError:
        raise InputError([Problem(where, "file", NOTHING, "must be an existing file")]) from None
    except OSError as error:
        raise InputError([Problem(where, "file", str(error), "must be a readable file")]) from None
    if first.startswith("LOCATION,"):
        name, read = "EPW", _read_epw
    elif second.startswith("Date (MM/DD/YYYY)"):
        name, read = "TMY3", _read_tmy3
    elif first.lstrip().startswith(("Latitude (decimal degrees)", "{")):
        name, read = "PVGIS", _read_pvgis
    else:
        raise InputError([Problem(where, "file", first.strip(), "must be an EPW, TMY3 or PVGIS typical year")])
    try:
        data, calendar, location = read(path)
        columns = {name: data[name].to_numpy(dtype=float) for name in _PLAUSIBLE}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        allowed = f"must be a complete {name} file; {type(error).__name__}: {error}"
        raise InputError([Problem(where, "file", NOTHING, allowed)]) from None
    return _typical_year(where, columns, calendar, location)


def _read_epw(path: Path):
    data, meta = iotools.read_epw(str(path))
    return data, data.index, _location(meta, meta, S_PER_H / 2)


def _read_tmy3(path: Path):
    data, meta = iotools.read_tmy3(str(path), map_variables=True)
    # the stamps of TMY3 are the ends of the hours
    return data, data.index - timedelta(hours=1), _location(meta, meta, S_PER_H / 2)


def _read_pvgis(path: Path):
    text = path.read_text(encoding="utf-8").lstrip()
    data, meta = iotools.read_pvgis_tmy(str(path), pvgis_format="json" if text.startswith("{") else "csv")
    inputs: Any = meta["inputs"]
    location = inputs.get("location", inputs)
    # values of an instant, some minutes past the hour, which depends on the satellite and the place
    past_h = location.get("irradiance time offset", location.get("irradiance_time_offset", 0.0))
    return data, data.index, _location(location, {"TZ": 0.0}, past_h * S_PER_H)


def _location(location: Any, zone: Any, centre_s: float) -> dict[str, float]:
    return {
        "latitude_deg": float(location["latitude"]),
        "longitude_deg": float(location["longitude"]),
        "utc_offset_s": float(zone["TZ"]) * S_PER_H,
        "centre_s": float(centre_s),
    }


def _typical_year(where: str, columns: dict[str, np.ndarray], calendar, location: dict[str, float]) -> TypicalYear:
    """Sort the hours into a year of 365 days and refuse gaps."""
    # months come from different years; the last hour of 28 February can be labelled the 29th
    days = [28 if (stamp.month, stamp.day) == (2, 29) else stamp.day for stamp in calendar]
    row_of = {(stamp.month, day, stamp.hour): row for row, (stamp, day) in enumerate(zip(calendar, days, strict=True))}
    hours = [datetime(2023, 1, 1) + timedelta(hours=hour) for hour in range(HOURS_PER_YEAR)]
    rows = [row_of.get((hour.month, hour.day, hour.hour), -1) for hour in hours]
    if len(calendar) != HOURS_PER_YEAR or -1 in rows:
        allowed = f"must be the {HOURS_PER_YEAR} hours of a year of 365 days, each once"
        raise InputError([Problem(where, "lines", len(calendar), allowed)])
    columns = {name: values[rows] for name, values in columns.items()}
    problems = []
    for name, (low, high) in _PLAUSIBLE.items():
        bad = np.flatnonzero(~((columns[name] >= low) & (columns[name] <= high)))
        allowed = f"must be {low}..{high}"
        for hour in bad[:_SHOWN]:
            key = f"{hours[hour]:%m-%d %H:%M}, {name}"
            problems.append(Problem(where, key, float(columns[name][hour]), allowed))
        if len(bad) > _SHOWN:
            problems.append(Problem(where, f"{len(bad) - _SHOWN} more hours, {name}", NOTHING, allowed))
    if problems:
        raise InputError(problems)
    return TypicalYear(columns["ghi"], columns["dni"], columns["dhi"], columns["temp_air"], **location)
