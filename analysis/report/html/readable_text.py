"""Numbers, units and times as text for people."""

from __future__ import annotations

import pandas as pd

from ....simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN
from ...comparison.rounded_text import plain_number, typographic
from ...results.result_reader import Results


def number(value: float, unit: str = "") -> str:
    """Format a number with at least three digits, a space between thousands and a minus sign."""
    return typographic(plain_number(value, unit))


def shown_unit(unit: str) -> str:
    """Return a unit as it is printed beside a number; empty for the unit 1."""
    return "" if unit == "1" else unit


def duration(seconds: float) -> str:
    """Format a length of time, such as 90 s, 15 min, 2 h 30 min, 31 d."""
    whole, parts = round(seconds), []
    for size, name in ((S_PER_DAY, "d"), (S_PER_H, "h"), (S_PER_MIN, "min"), (1, "s")):
        count, whole = divmod(whole, int(size))
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or f"{seconds:g} s"


def period(results: Results) -> str:
    """Format the begin and end of a run."""
    begin = results.start
    end = begin + pd.Timedelta(seconds=results.end_s)
    return f"{begin:%a %d %b %Y %H:%M} to {end:%a %d %b %Y %H:%M} (UTC{begin:%z})"
