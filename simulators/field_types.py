"""The field types of scenario files: durations, ratios, powers, names; each with its own error message."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic import BaseModel as _BaseModel

from .units import S_PER_DAY, S_PER_H, S_PER_MIN

_UNITS_S = {"s": 1.0, "min": S_PER_MIN, "h": S_PER_H, "d": S_PER_DAY, "w": 7 * S_PER_DAY}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:w|d|h|min|s)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(w|d|h|min|s)")


_LARGEST, _SMALLEST = 1e9, 1e-9
"""Sizes of a number; beyond them are slips of the pen, and arithmetic that overflows."""
_LONGEST_S = 36525 * S_PER_DAY
_SHORTEST_S = 0.001
_YEARS = (1900, 2200)


class Section(_BaseModel):
    """A part of a scenario file: unknown keys are refused, values are frozen, field texts feed the JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)]
"""A name that is also a path in the result file: small letters, digits, ``-`` and ``_``."""


PriceName = Literal["buy", "sell", "dg", "bess", "charging"]
"""A price of the tariffs of a hub."""


class DeviceSection(Section):
    """The section of a device; a hub may have several of a kind, each with a name."""

    name: Name | None = None
    """Its name in results, events and the link; the name of its kind when left out."""


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | float | int):
        raise ValueError("must be a duration such as 90s, 15min, 2h or 1h30min")
    if not isinstance(value, str):
        number = value if 0 <= value < _LONGEST_S else 90
        raise ValueError(f"must be a duration with its unit, such as {number}s or {number}min")
    text = value.strip()
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 90s, 15min, 2h or 1h30min")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST_S:
        raise ValueError(f"must be at most {_LONGEST_S / S_PER_DAY:g}d")
    return seconds


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0s")
    if value < _SHORTEST_S:
        raise ValueError(f"must be at least {_SHORTEST_S:g}s")
    return value


def _spaced(value: float) -> float:
    if value < 1.0:
        raise ValueError("must be at least 1s")
    return value


def _number(value: Any) -> Any:
    # pydantic would take "5" and true for a number; a scenario that says so is a mistake
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if value and not _SMALLEST <= abs(value) <= _LARGEST:
        raise ValueError(f"must be 0 or between {_SMALLEST:g} and {_LARGEST:g} in size")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as America/Sao_Paulo") from None
    return value


def _start(value: Any) -> Any:
    try:
        # pydantic would take the text of a number for the seconds since 1970
        start = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        start = None
    if not isinstance(start, datetime):
        raise ValueError("must be a date and time with a UTC offset, such as 2024-03-01T12:00:00-03:00")
    if start.tzinfo is None:
        raise ValueError("must have a UTC offset, such as 2024-03-01T12:00:00-03:00")
    if not _YEARS[0] <= start.year < _YEARS[1]:
        raise ValueError(f"must be in the years {_YEARS[0]} to {_YEARS[1] - 1}")
    return start


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["90s", "15min"]})

_AS_TEXT = PlainSerializer(lambda seconds: f"{seconds:.12g}s", when_used="json")

Duration = Annotated[float, BeforeValidator(_duration), _AS_TEXT, _DURATION_SCHEMA]
"""A duration in the file (``90s``, ``1h30min``), seconds in the program."""
PositiveDuration = Annotated[float, BeforeValidator(_duration), AfterValidator(_positive), _AS_TEXT, _DURATION_SCHEMA]
Spacing = Annotated[float, BeforeValidator(_duration), AfterValidator(_spaced), _AS_TEXT, _DURATION_SCHEMA]
"""Between the points of a series; at least a second, so that a slip of the pen does not fill the memory."""
Switch = Annotated[bool, Field(strict=True)]
"""true or false, and not yes, 1 or "true"."""
Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[float, Field(gt=0), BeforeValidator(_number)]
NonNegative = Annotated[float, Field(ge=0), BeforeValidator(_number)]
Ratio = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_whole)]
Phases = Annotated[Literal[1, 3], BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_whole)]
ZoneName = Annotated[str, AfterValidator(_zone)]
Start = Annotated[AwareDatetime, BeforeValidator(_start)]
