"""What can be asked of a signal in a window: bounds, an order of elements, a trend, reaching a value, a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from .findings import Finding, shown, spelled, worst

ROUNDING = 1e-6
"""Tolerance where none is given: what arithmetic may lose."""
_HAIR = 1e-12  # 0.4 - 0.35 is a hair more than 0.05
TRENDS = ("rises", "falls", "never_rises", "never_falls", "constant")


class Values:
    """What a signal is in a window, and how to tell it.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    values : array, shape (k,) or (k, n)
        What holds from then on.
    unit : str
        Of the values.
    codes : mapping of int to str or None
        Words for the values of an enumeration.
    """

    def __init__(self, t_s: np.ndarray, values: np.ndarray, unit: str, codes: Mapping[int, str] | None) -> None:
        self.t_s, self.values, self._unit, self._codes = t_s, values, unit, codes

    def element(self, number: int) -> Values:
        """One element of an array, numbered from 1."""
        return Values(self.t_s, self.values[:, number - 1], self._unit, self._codes)

    def known(self) -> Values:
        """Without times at which it is unknown."""
        known = np.isfinite(self.values)
        return Values(self.t_s[known], self.values[known], self._unit, self._codes)

    def told(self, value: float) -> str:
        """A value with its unit or the word for its code."""
        word = (self._codes or {}).get(int(value)) if float(value).is_integer() else None
        return f"{shown(value, self._unit)} ({word})" if word else shown(value, self._unit)

    def at(self, k: int) -> str:
        """When and what: the value at place `k`."""
        return f"{self.told(float(self.values[k]))} at {spelled(self.t_s[k])}"

    def fault(self, k: int, text: str, size: float) -> Finding:
        """A fault at place `k`."""
        return Finding(text, float(self.t_s[k]), float(self.values[k]), float(size))


@dataclass(frozen=True)
class Bounds:
    """Never below `least` nor above `most`; both the same to be equal."""

    least: float = -inf
    most: float = inf
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """The value that is farthest outside."""
        outside = np.maximum(seen.values - self.most, self.least - seen.values)
        k = int(np.argmax(outside))
        if outside[k] <= self.tolerance + _HAIR:
            return None
        return seen.fault(k, f"is {seen.at(k)}, must be {self.told(seen)}", outside[k])

    def told(self, seen: Values) -> str:
        """What is allowed, in words."""
        if self.least == self.most:
            within = f" within {self.tolerance:g}" if self.tolerance != ROUNDING else ""
            return f"{seen.told(self.least)}{within}"
        ends = ((">=", self.least), ("<=", self.most))
        return " and ".join(f"{sign} {seen.told(end)}" for sign, end in ends if abs(end) < inf)


@dataclass(frozen=True)
class ElementOrder:
    """Elements of an array from the greatest to the least, at every instant.

    Parameters
    ----------
    numbers : tuple of int
        Numbers of elements, from 1; the first is never below the second, and so on.
    """

    numbers: tuple[int, ...]
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """The pair that is farthest out of order."""
        faults = []
        for first, second in pairwise(self.numbers):
            ahead, behind = seen.element(first), seen.element(second)
            inverted = np.nan_to_num(behind.values - ahead.values, nan=-inf)
            k = int(np.argmax(inverted))
            if inverted[k] > self.tolerance + _HAIR:
                text = (
                    f"element {second} is {behind.at(k)}, must not be above element {first} "
                    f"with {ahead.told(float(ahead.values[k]))}"
                )
                faults.append(behind.fault(k, text, inverted[k]))
        return worst(faults)


@dataclass(frozen=True)
class Trend:
    """Which way a signal goes.

    ``never_rises`` and ``never_falls`` forbid one direction; ``rises`` and ``falls`` forbid the other, and there must
    be a change from the first value to the last; ``constant`` forbids both.
    """

    kind: str
    tolerance: float = ROUNDING

    def __post_init__(self):
        if self.kind not in TRENDS:
            raise ValueError(f"kind must be one of {', '.join(TRENDS)}, got {self.kind!r}")

    def fault(self, seen: Values) -> Finding | None:
        """The greatest step in a forbidden direction, or that there is no change."""
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
                told = f"{word} by {seen.told(float(moved[k]))} to {seen.at(k)}, {self._allowed()}"
                faults.append(seen.fault(k, told, moved[k]))
        gained = {"rises": values[-1] - values[0], "falls": values[0] - values[-1]}.get(self.kind, inf)
        if not faults and gained <= self.tolerance + _HAIR:
            told = f"stays at {seen.told(float(values[-1]))} from {spelled(seen.t_s[0])} on, must {self._verb()}"
            return seen.fault(-1, told, self.tolerance - gained)
        return worst(faults)

    def _verb(self) -> str:
        return self.kind.removesuffix("s")

    def _allowed(self) -> str:
        if self.kind == "constant":
            return "must be constant"
        return f"must {self.kind.replace('_', ' ').removesuffix('s')}"


@dataclass(frozen=True)
class Reaches:
    """Not yet at a value when the window begins, and there, or past it, before the window ends."""

    value: float
    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """That it is there already, or how near it comes."""
        away = seen.values - self.value
        if abs(away[0]) <= self.tolerance + _HAIR:
            return seen.fault(0, f"is {seen.at(0)} already, where the window begins", 0.0)
        there = (np.abs(away) <= self.tolerance + _HAIR) | (np.sign(away) != np.sign(away[0]))
        if there.any():
            return None
        k = int(np.argmin(np.abs(away)))
        text = f"comes no nearer than {seen.at(k)}, must reach {seen.told(self.value)}"
        return seen.fault(k, text, abs(away[k]))


@dataclass(frozen=True)
class Changes:
    """Not the same in all of the window."""

    tolerance: float = ROUNDING

    def fault(self, seen: Values) -> Finding | None:
        """That it does not change."""
        moved = np.abs(seen.values - seen.values[0])
        if moved.max() > self.tolerance + _HAIR:
            return None
        return seen.fault(0, f"stays at {seen.at(0)}, must change", self.tolerance - moved.max())
