"""The references that rules set: a wish for each, and the bounds within which it stays.

Rules of status and economics set wishes; the last one counts. Any rule may set bounds, and each bound has the rank of
its rule. At the end the wish is clipped to the bounds, those of the highest rank last. So bounds need no order:
protection outranks economics, and alarms outrank the capacity limit, in whatever order the rules were evaluated.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf
from typing import NamedTuple

import numpy as np


class ReferenceRank(IntEnum):
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
    min_kw: float
    max_kw: float


class Reference:
    """One reference [kW]: the wish, the rule that set it, and the bounds of all rules."""

    __slots__ = ("_bounds", "counting_kw", "wish", "wished_by")

    def __init__(self):
        self.wish = 0.0
        self.wished_by = "no rule"
        self.counting_kw = 0.0
        self._bounds: list[_Bound] = []

    def want(self, value: float, rule: str, counting_kw: float = 0.0) -> None:
        """Set the wish of a rule [kW]; it replaces the wish of an earlier rule.

        Parameters
        ----------
        value : float
            The wish [kW].
        rule : str
            Whose it is.
        counting_kw : float
            For the charge point: how much of it battery and generator have to give [kW].
        """
        self.wish, self.wished_by, self.counting_kw = value, rule, counting_kw

    def keep(self, rank: int, rule: str, min_kw: float = -inf, max_kw: float = inf) -> None:
        """Add bounds [kW] of a rule."""
        self._bounds.append(_Bound(rank, rule, min_kw, max_kw))

    def settle(self, wish: float | None = None) -> tuple[float, str]:
        """Clip the wish to all bounds [kW], and name the rule that decided: the last one whose bound the value touches.

        Parameters
        ----------
        wish : float, optional
            Another wish than the rules' [kW].
        """
        value, rule = self.wish if wish is None else wish, self.wished_by
        bounds = self._bounds
        if len(bounds) > 1:
            bounds = sorted(bounds, key=lambda bound: -bound.rank)
        for _, name, min_kw, max_kw in bounds:
            if value <= min_kw:
                value, rule = min_kw, name
            if value >= max_kw:
                value, rule = max_kw, name
        return value, rule


class References:
    """The references of one hub while its rules are evaluated.

    Attributes
    ----------
    cp, bess, pv, dg : Reference
        Power of the charge point, of the battery (> 0 discharges), limit of PV, power of the generator.
    weights : ndarray or None
        Weights of the connectors, shape (n_connectors,); all alike when None.
    excluded : ndarray of bool or None
        Connectors that get nothing.
    frozen : bool
        The connectors keep their last limits.
    """

    __slots__ = ("bess", "cp", "dg", "excluded", "frozen", "pv", "weights")

    def __init__(self):
        self.cp, self.bess, self.pv, self.dg = Reference(), Reference(), Reference(), Reference()
        self.weights: np.ndarray | None = None
        self.excluded: np.ndarray | None = None
        self.frozen = False

    def cp_wish_kw(self, bess_kw: float, dg_kw: float, bess_seen_kw: float, dg_seen_kw: float) -> float:
        """Return the wish for the charge point, less the part that battery and generator should give but do not.

        A source counts when its power is both asked for and measured: a bound may have taken it back, and a generator
        needs time to start.

        Parameters
        ----------
        bess_kw, dg_kw : float
            Settled references [kW].
        bess_seen_kw, dg_seen_kw : float
            Measured powers [kW].
        """
        counted_kw = self.cp.counting_kw
        if counted_kw <= 0.0:
            return self.cp.wish
        delivered_kw = max(0.0, min(bess_kw, bess_seen_kw)) + max(0.0, min(dg_kw, dg_seen_kw))
        return max(0.0, self.cp.wish - max(0.0, counted_kw - delivered_kw))
