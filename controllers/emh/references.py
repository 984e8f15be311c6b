"""What the rules work on: a wish for each reference, and the bounds it has to keep.

Economic rules set wishes; the last one counts. Every other rule sets bounds, and each bound has the rank of its rule.
At the end the wish is clipped to the bounds, those of the highest rank last. So protection outranks economics, and
alarms outrank the capacity limit, in whatever order the rules were evaluated.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf
from typing import NamedTuple

import numpy as np


class Rank(IntEnum):
    """Ranks of rules, the highest first (Leal et al. 2024, section 3 and figure 3)."""

    ALARM = 0
    INSTALLED = 1
    STATUS = 2
    CONTRACTED = 3
    COST = 4
    PRIORITY = 5


class _Bound(NamedTuple):
    rank: int
    rule: str
    least: float
    most: float


class Reference:
    """One reference [kW]: what is wished for and by which rule, and between which bounds it has to stay."""

    __slots__ = ("_bounds", "wish", "wished_by")

    def __init__(self):
        self.wish = 0.0
        self.wished_by = ""
        self._bounds: list[_Bound] = []

    def want(self, value: float, rule: str) -> None:
        """Wish for a value [kW]; it replaces the wish of an earlier rule."""
        self.wish, self.wished_by = value, rule

    def keep(self, rank: int, rule: str, least: float = -inf, most: float = inf) -> None:
        """Set bounds [kW]."""
        self._bounds.append(_Bound(rank, rule, least, most))

    def settle(self, wish: float | None = None) -> tuple[float, str]:
        """The value within all bounds [kW], and the rule that decided it.

        Parameters
        ----------
        wish : float, optional
            Another wish than the rules' [kW].
        """
        value, rule = self.wish if wish is None else wish, self.wished_by
        bounds = self._bounds
        if len(bounds) > 1:
            bounds = sorted(bounds, key=lambda bound: -bound.rank)
        for _, name, least, most in bounds:
            if value < least:
                value, rule = least, name
            if value > most:
                value, rule = most, name
        return value, rule


class References:
    """The references of one hub while its rules are evaluated.

    Attributes
    ----------
    cp, bess, pv, dg : Reference
        Power of the charge point, of the battery (> 0 discharges), limit of PV, power of the generator.
    counted_kw : float
        Battery and generator power that the wish for the charge point counts on [kW].
    weights : ndarray or None
        Weights of the connectors, shape (n_connectors,); all alike when None.
    excluded : ndarray of bool or None
        Connectors that get nothing.
    frozen : bool
        The connectors keep their last limits.
    """

    __slots__ = ("bess", "counted_kw", "cp", "dg", "excluded", "frozen", "pv", "weights")

    def __init__(self):
        self.cp, self.bess, self.pv, self.dg = Reference(), Reference(), Reference(), Reference()
        self.counted_kw = 0.0
        self.weights: np.ndarray | None = None
        self.excluded: np.ndarray | None = None
        self.frozen = False

    def cp_wish_kw(self, bess_kw: float, dg_kw: float, bess_seen_kw: float, dg_seen_kw: float) -> float:
        """The wish for the charge point, less what it counts on and battery and generator do not give.

        A source counts when its power is both asked for and measured: a bound may have taken it back, and a generator
        needs time to start.

        Parameters
        ----------
        bess_kw, dg_kw : float
            Settled references [kW].
        bess_seen_kw, dg_seen_kw : float
            Measured powers [kW].
        """
        if self.counted_kw <= 0.0:
            return self.cp.wish
        given_kw = max(0.0, min(bess_kw, bess_seen_kw)) + max(0.0, min(dg_kw, dg_seen_kw))
        return max(0.0, self.cp.wish - max(0.0, self.counted_kw - given_kw))
