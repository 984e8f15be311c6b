"""Numbers as text: digits that fit the interval, for the terminal, pages and tables for papers alike.

An interval is rounded to two significant digits and its mean to the same place (JCGM 100:2008, 7.2.6), half to even:
815.1 with 79.19 reads 815 ± 79, and 0.03561 with 0.00746 reads 0.0356 ± 0.0075. An interval below 1e-5 of its mean is
arithmetic, not scatter, and is not shown.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal

DASH = "–"
"""What stands for an unknown value."""
INTERVAL_DIGITS = 2
"""Significant digits of an interval."""
_DIGITS = 3  # of a number without an interval
_NO_INTERVAL = 1e-5  # of the mean
_ZERO = 5e-4  # smaller shows as 0, where no interval says otherwise
_WIDE = Context(prec=700)  # the digits of any float, written out


def with_interval(mean: float, half: float, unit: str = "") -> tuple[str, str]:
    """Round a mean and half the width of its interval.

    Parameters
    ----------
    mean : float
        The mean.
    half : float
        Half the width of its interval; NaN or 0 where there is none.
    unit : str
        Unit of both, which sets the digits where there is no interval; see `plain_number`.

    Returns
    -------
    mean, half : str
        Plain decimals with the same number of places; half is empty where there is no interval to show.
    """
    if not math.isfinite(mean) or not half > _NO_INTERVAL * abs(mean) or math.isinf(half):
        return plain_number(mean, unit), ""
    place = place_of(half)
    return at_place(mean, place), at_place(half, place)


def place_of(half: float) -> int:
    """Return the power of ten of the last digit that is shown beside an interval of this half width (> 0)."""
    rounded = Context(prec=INTERVAL_DIGITS).create_decimal(repr(float(half)))
    return rounded.adjusted() - INTERVAL_DIGITS + 1


def at_place(value: float, place: int) -> str:
    """Round a number to a power of ten, as a plain decimal with a hyphen as minus sign; zero has no sign."""
    rounded = _WIDE.create_decimal(repr(float(value))).quantize(Decimal((0, (1,), place)), context=_WIDE)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f}"


def plain_number(value: float, unit: str = "") -> str:
    """Round a number that has no interval to at least three digits (pu: four places), as a plain decimal."""
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    if size < _ZERO:
        return "0"
    if unit == "pu":
        return f"{value:.4f}"
    if size >= 1000 or value == int(value):
        return f"{value:.0f}"
    if size >= 100 or unit == "%":
        return f"{value:.1f}"
    leading = Context(prec=_DIGITS).create_decimal(repr(float(size))).adjusted()  # of 0.09999 rounded, not cut
    return f"{value:.{_DIGITS - 1 - min(leading, 0)}f}"


def typographic(text: str) -> str:
    """Return a plain decimal with a minus sign, and a narrow space between thousands."""
    if text == DASH:
        return text
    return f"{Decimal(text):,f}".replace(",", "\u202f").replace("-", "\u2212")


def mean_and_interval(mean: float, half: float, unit: str = "") -> str:
    """Return a mean with half the width of its interval for people, such as ``815 ± 79``; see `with_interval`."""
    return " ± ".join(typographic(text) for text in with_interval(mean, half, unit) if text)


def signed(value: float, half: float) -> str:
    """Return a difference for people, with its sign, in the digits of half the width of its interval."""
    text = typographic(with_interval(value, half)[0])
    if text == "0" and value:  # there is one: at least one digit of it shows
        text = f"{value:.1g}".replace("-", "\u2212")
    return f"+{text}" if value > 0 else text


def p_value(p: float) -> str:
    """Return a p value in two significant digits; ``< 0.001`` below that."""
    if not math.isfinite(p):
        return DASH
    return "< 0.001" if p < 1e-3 else "1" if p > 0.995 else f"{p:#.2g}"
