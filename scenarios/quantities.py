"""The field types of scenario files: durations, ratios, powers, names; each with its own error message."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic import BaseModel as _BaseModel

from ..simulators.models.units import S_PER_DAY, S_PER_H, S_PER_MIN

_UNITS_S = {"s": 1.0, "min": S_PER_MIN, "h": S_PER_H, "d": S_PER_DAY, "w": 7 * S_PER_DAY}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:w|d|h|min|s)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(w|d|h|min|s)")


class Section(_BaseModel):
    """A part of a scenario file: unknown keys are refused, values are frozen, field texts feed the JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True)


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | float | int):
        raise ValueError("must be a duration such as 90s, 15min, 2h or 1h30min")
    if not isinstance(value, str):
        raise ValueError(f"must be a duration with its unit, such as {value}s or {value}min")
    text = value.strip()
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 90s, 15min, 2h or 1h30min")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0s")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _number(value: Any) -> Any:
    # pydantic would take "5" and true for a number; a scenario that says so is a mistake
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
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
    if not isinstance(value, str | datetime):
        raise ValueError("must be a date and time with a UTC offset, such as 2024-03-01T12:00:00-03:00")
    return value


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["90s", "15min"]})

Duration = Annotated[float, BeforeValidator(_duration), _DURATION_SCHEMA]
"""A duration in the file (``90s``, ``1h30min``), seconds in the program."""
PositiveDuration = Annotated[float, BeforeValidator(_duration), AfterValidator(_positive), _DURATION_SCHEMA]
Number = Annotated[float, BeforeValidator(_number), AfterValidator(_finite)]
Positive = Annotated[float, BeforeValidator(_number), AfterValidator(_finite), Field(gt=0)]
NonNegative = Annotated[float, BeforeValidator(_number), AfterValidator(_finite), Field(ge=0)]
Ratio = Annotated[float, BeforeValidator(_number), AfterValidator(_finite), Field(ge=0, le=1)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)]
"""A name that is also a path in the result file: small letters, digits, ``-`` and ``_``."""
ZoneName = Annotated[str, AfterValidator(_zone)]
Start = Annotated[AwareDatetime, BeforeValidator(_start)]
