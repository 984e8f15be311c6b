"""Cells of data files: parsed one by one, every problem kept with its row and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any, Literal

from ..errors import NOTHING, InputError, Problem

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_LARGEST = 1e12
_ZONE_HELP = (
    "must have a UTC offset, such as 2019-06-01T08:00:00-07:00; or name the zone of the file with time_zone, "
    "such as America/Los_Angeles"
)
REQUIRED = object()
"""Default of a cell that must not be empty."""


@dataclass
class Problems:
    """Problems of a data file: of the whole file, and of single rows.

    Parameters
    ----------
    file : str
        Name of the file.
    bad_rows : {"refuse", "drop"}
        Whether a problem of a row refuses the file, or only leaves out the row.
    """

    file: str
    bad_rows: Literal["refuse", "drop"] = "refuse"
    of_file: list[Problem] = field(default_factory=list)
    of_rows: dict[str, list[Problem]] = field(default_factory=dict)
    _without_zone: set[str] = field(default_factory=set)

    def add(self, key: str, value: object, allowed: str) -> None:
        """Add a problem of the file."""
        self.of_file.append(Problem(self.file, key, value, allowed))

    def add_row(self, place: str, column: str, value: object, allowed: str) -> None:
        """Add a problem of a row."""
        key = f"{place}, {column}" if column else place
        self.of_rows.setdefault(place, []).append(Problem(self.file, key, value, allowed))

    def add_zone(self, column: str, value: str) -> None:
        """Add a time without zone: one problem for the whole column, because it concerns every row."""
        if column not in self._without_zone:
            self._without_zone.add(column)
            self.add(f"column {column}", value, _ZONE_HELP)

    def stop(self, key: str, allowed: str) -> InputError:
        """Return the error for a problem that prevents reading on, with the problems found so far."""
        self.add(key, NOTHING, allowed)
        return InputError(self.of_file)

    def raise_if_any(self) -> None:
        """Raise an `InputError` with all problems; those of rows count unless bad rows are dropped."""
        refused = [] if self.bad_rows == "drop" else [problem for row in self.of_rows.values() for problem in row]
        if self.of_file or refused:
            raise InputError(self.of_file + refused)


class NoZoneError(ValueError):
    """A time has neither a UTC offset nor a time zone."""


@dataclass(frozen=True)
class LocalClock:
    """Converts written times to seconds since the scenario's start.

    Parameters
    ----------
    start : datetime
        Instant 0, in UTC.
    zone : tzinfo, optional
        Zone of times without offset. Those that occur twice when the clocks go back are taken as the first.
    """

    start: datetime
    zone: tzinfo | None

    def iso(self, text: str) -> float:
        """Parse an ISO 8601 time [s]."""
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("must be a time such as 2019-06-01T08:00:00-07:00") from None
        return self._seconds(time)

    def iso_or_seconds(self, text: str) -> float:
        """Parse an ISO 8601 time, or a number of seconds [s]."""
        if _NUMBER.fullmatch(text):
            return number(text)
        try:
            return self.iso(text)
        except NoZoneError:
            raise
        except ValueError as error:
            raise ValueError(f"{error}, or seconds since the start") from None

    def rfc1123(self, value: Any) -> float:
        """Parse a time in the format of e-mails and HTTP, RFC 1123 [s]."""
        try:
            time = parsedate_to_datetime(value)
        except (ValueError, TypeError, AttributeError, IndexError):
            raise ValueError("must be a time such as Sat, 01 Jun 2019 15:00:00 GMT") from None
        return self._seconds(time)

    def _seconds(self, time: datetime) -> float:
        try:
            if time.tzinfo is None:
                if self.zone is None:
                    raise NoZoneError
                wall, time = time, time.replace(tzinfo=self.zone)
                if time.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != wall:
                    raise ValueError(f"must exist in {self.zone}: the clocks went forward then")
            return (time - self.start) / timedelta(seconds=1)
        except OverflowError:
            raise ValueError("must be a time of this age") from None


def number(text: str) -> float:
    """Parse a finite number."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a finite number")
    return _sized(float(text))


def whole(text: str) -> int:
    """Parse a whole number."""
    if not re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return int(text)


def counted_from_1(text: str) -> int:
    """Parse a position that is counted from 1, and return it counted from 0."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,17}", text):
        raise ValueError("must be a whole number >= 1")
    return int(text) - 1


def boolean(text: str) -> bool:
    """Parse true or false, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def json_number(value: Any) -> float:
    """Return a JSON value that must be a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a finite number")
    return float(_sized(value))


def _sized(value: float) -> float:
    if value != value or abs(value) == inf:
        raise ValueError("must be a finite number")
    if abs(value) > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST:g} in size")
    return value


def json_text(value: Any) -> str:
    """Return a JSON value that must be text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


@dataclass(frozen=True)
class Cells:
    """The values of one row or item.

    Parameters
    ----------
    place : str
        Where it stands, such as ``row 17``.
    raw : mapping
        Values by column, as they are in the file.
    problems : Problems
        Takes what is wrong.
    """

    place: str
    raw: Mapping[str, Any]
    problems: Problems

    def get(self, column: str, parse: Callable[[Any], Any], default: Any = REQUIRED) -> Any:
        """Return the parsed value; `default` for an empty one; None for a wrong one, which is noted."""
        value = self.raw.get(column)
        if value is None or value == "":
            if default is REQUIRED:
                self.problems.add_row(self.place, column, NOTHING, "must not be empty")
                return None
            return default
        try:
            return parse(value)
        except NoZoneError:
            self.problems.add_zone(column, value)
        except ValueError as error:
            self.problems.add_row(self.place, column, value, str(error))
        return None


def check_columns(
    header: Iterable[str], required: Iterable[str], known: Iterable[str] | None, problems: Problems
) -> None:
    """Check a header: note unknown columns (none when `known` is None), raise when a required one is missing."""
    header, required = list(header), list(required)
    for name in header:
        if known is not None and name not in known:
            problems.add(f"column {name}", NOTHING, f"is not known; known are {', '.join(known)}")
    missing = [name for name in required if name not in header]
    for name in missing:
        problems.add(f"column {name}", NOTHING, f"is missing; the file has {', '.join(header)}")
    if missing:
        raise InputError(problems.of_file)
