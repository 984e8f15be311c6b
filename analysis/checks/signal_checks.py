"""Checks of a signal within a window: bounds, an order of elements, a trend, reaching a value, a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from .findings import Finding, shown, spelled, worst

ROUNDING = 1e-6
"""Default tolerance, for rounding errors."""
_HAIR = 1e-12  # 0.4 - 0.35 is a hair more than 0.05
TRENDS = ("rises", "falls", "never_rises", "never_falls", "constant")


class Values:
    """The values of a signal within a window, and their format in messages.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    values : array, shape (k,) or (k, n)
        Values held from these times on.
    unit : str
        Unit of the values.
    codes : mapping of int to str or None
        Names of the values of an enumeration.
    """

    def __init__(self, t_s: np.ndarray, values: np.ndarray, unit: str, codes: Mapping[int, str] | None) -> None:
        self.t_s, self.values, self._unit, self._codes = t_s, values, unit, codes

    def element(self, number: int) -> Values:
        """Return one element of an array signal, numbered from 1."""
        return Values(self.t_s, self.values[:, number - 1], self._unit, self._codes)

    def known(self) -> Values:
        """Return the values without the times at which they are unknown (NaN)."""
        known = np.isfinite(self.values)
        return Values(self.t_s[known], self.values[known], self._unit, self._codes)

    def text(self, value: float) -> str:
        """Format a value with its unit, and the word for its code if it has one."""
        word = (self._codes or {}).get(int(value)) if float(value).is_integer() else None
        return f"{shown(value, self._unit)} ({word})" if word else shown(value, self._unit)

    def at(self, k: int) -> str:
        """Format the value at index `k` with its time."""
        return f"{self.text(float(self.values[k]))} at {spelled(self.t_s[k])}"

    def fault(self, k: int, text: str, size: float) -> Finding:
        """Make a finding for the value at index `k`."""
        return Finding(text, float(self.t_s[k]), float(self.values[k]), float(size))


@dataclass(frozen=True)
class Bounds:
    """Never below `low` nor above `high`; equal to a value if both are the same."""

    low: float = -inf
    high: float = inf
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """Return the value that is farthest outside the bounds; None if all are within."""
        outside = np.maximum(seen.values - self.high, self.low - seen.values)
        k = int(np.argmax(outside))
        if outside[k] <= self.tolerance + _HAIR:
            return None
        return seen.fault(k, f"is {seen.at(k)}, must be {self.allowed(seen)}", outside[k])

    def allowed(self, seen: Values) -> str:
        """Describe the allowed values in words."""
        if self.low == self.high:
            within = f" within {self.tolerance:g}" if self.tolerance != ROUNDING else ""
            return f"{seen.text(self.low)}{within}"
        ends = ((">=", self.low), ("<=", self.high))
        return " and ".join(f"{sign} {seen.text(end)}" for sign, end in ends if abs(end) < inf)


@dataclass(frozen=True)
class ElementOrder:
    """Order of the elements of an array, from greatest to smallest, at every instant.

    Parameters
    ----------
    numbers : tuple of int
        Numbers of elements, from 1; the first is never below the second, and so on.
    """

    numbers: tuple[int, ...]
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """Return the pair of elements that is farthest out of order; None if all are in order."""
        faults = []
        for first, second in pairwise(self.numbers):
            ahead, behind = seen.element(first), seen.element(second)
            inverted = np.nan_to_num(behind.values - ahead.values, nan=-inf)
            k = int(np.argmax(inverted))
            if inverted[k] > self.tolerance + _HAIR:
                text = (
                    f"element {second} is {behind.at(k)}, must not be above element {first} "
                    f"with {ahead.text(float(ahead.values[k]))}"
                )
                faults.append(behind.fault(k, text, inverted[k]))
        return worst(faults)


@dataclass(frozen=True)
class Trend:
    """Direction in which a signal changes.

    ``never_rises`` and ``never_falls`` forbid one direction; ``rises`` and ``falls`` forbid the other, and there must
    be a change from the first value to the last; ``constant`` forbids both.
    """

    kind: str
    tolerance: float = ROUNDING

    def __post_init__(self):
        if self.kind not in TRENDS:
            raise ValueError(f"kind must be one of {', '.join(TRENDS)}, got {self.kind!r}")

    def fault(self, seen: Values) -> Finding | None:
        """Return the greatest step in a forbidden direction, or a missing change; None if the trend holds."""
        values = seen.values
        rise, fall = values - np.minimum.accumulate(values), np.maximum.accumulate(values) - values
        forbidden = []
        if self.kind in ("falls", "never_rises", "constant"):
            forbidden.append(("rises", rise))
        if self.kind in ("rises", "never_falls", "constant"):
            forbidden.append(("falls", fall))
        faults = []
        for word, moved in forbidden:
            k = int(np.argmax(moved))
            if moved[k] > self.tolerance + _HAIR:
                text = f"{word} by {seen.text(float(moved[k]))} to {seen.at(k)}, {self._allowed()}"
                faults.append(seen.fault(k, text, moved[k]))
        gained = {"rises": values[-1] - values[0], "falls": values[0] - values[-1]}.get(self.kind, inf)
        if not faults and gained <= self.tolerance + _HAIR:
            text = f"stays at {seen.text(float(values[-1]))} from {spelled(seen.t_s[0])} on, must {self._verb()}"
            return seen.fault(-1, text, self.tolerance - gained)
        return worst(faults)

    def _verb(self) -> str:
        return self.kind.removesuffix("s")

    def _allowed(self) -> str:
        if self.kind == "constant":
            return "must be constant"
        return f"must {self.kind.replace('_', ' ').removesuffix('s')}"


@dataclass(frozen=True)
class Reaches:
    """Reaching a value: the signal differs from it when the window begins, and reaches or passes it before the end."""

    value: float
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """Return the nearest value if the signal does not reach its target or begins there; None otherwise."""
        away = seen.values - self.value
        if abs(away[0]) <= self.tolerance + _HAIR:
            return seen.fault(0, f"is {seen.at(0)} already, where the window begins", 0.0)
        there = (np.abs(away) <= self.tolerance + _HAIR) | (np.sign(away) != np.sign(away[0]))
        if there.any():
            return None
        k = int(np.argmin(np.abs(away)))
        text = f"comes no nearer than {seen.at(k)}, must reach {seen.text(self.value)}"
        return seen.fault(k, text, abs(away[k]))


@dataclass(frozen=True)
class Changes:
    """A change of the signal within the window."""

    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """Return the constant value as a finding if the signal does not change; None otherwise."""
        moved = np.abs(seen.values - seen.values[0])
        if moved.max() > self.tolerance + _HAIR:
            return None
        return seen.fault(0, f"stays at {seen.at(0)}, must change", self.tolerance - moved.max())
