"""Continuous distributions by name, sampled by inversion.

Inversion takes exactly one random number for each value (a mixture two), whatever the distribution is. So the values of
other draws do not shift when a distribution is exchanged, and a truncation needs no rejection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Distribution:
    """A continuous distribution of `scipy.stats`, truncated to an interval.

    Parameters
    ----------
    name : str
        Its name there (``lognorm``, ``norm``, ``gamma``, ...), or ``constant`` with the one parameter ``value``.
    parameters : mapping of str to float
        Shape parameters, ``loc`` and ``scale`` as scipy names them.
    low, high : float
        Bounds of the truncation, in the unit of the quantity; the value of a constant.

    Raises
    ------
    ValueError
        If scipy has no such distribution, or refuses the parameters, or nothing lies between the bounds.
    """

    name: str
    parameters: Mapping[str, float]
    low: float = -inf
    high: float = inf

    def __post_init__(self):
        if self.name == "constant":
            if set(self.parameters) != {"value"} or not isfinite(self.parameters["value"]):
                raise ValueError(f"constant: needs one finite parameter, value, got {dict(self.parameters)}")
            object.__setattr__(self, "low", float(self.parameters["value"]))
            object.__setattr__(self, "high", self.low)
        elif not self._scipy.cdf(self.low) < self._scipy.cdf(self.high):
            raise ValueError(f"{self.name}: must have some probability from low={self.low:g} to high={self.high:g}")

    @cached_property
    def _scipy(self) -> Any:
        # scipy.stats takes half a second to import: only who draws sessions pays for it
        from scipy import stats

        family = getattr(stats, self.name, None)
        if not isinstance(family, stats.rv_continuous):
            raise ValueError(f"distribution must be constant or a continuous one of scipy.stats, got {self.name!r}")
        try:
            frozen = family(**self.parameters)
        except TypeError as error:
            raise ValueError(f"{self.name}: {error}, got {dict(self.parameters)}") from None
        if np.isnan(frozen.ppf(0.5)):
            raise ValueError(f"{self.name}: parameters must be in its range, got {dict(self.parameters)}")
        return frozen

    def quantile(self, u: np.ndarray, high: np.ndarray | float = inf) -> np.ndarray:
        """Compute the values below which the truncated distribution has the probabilities `u`.

        Parameters
        ----------
        u : ndarray, shape (n,)
            Probabilities in [0, 1); uniform random numbers give a sample.
        high : float or ndarray, shape (n,)
            A tighter upper bound for each value. Where it is below `low`, it is the value.

        Returns
        -------
        ndarray, shape (n,)
        """
        if self.name == "constant":
            return np.minimum(np.full(len(u), self.low), high)
        top = np.minimum(self.high, high)
        below_low, below_top = self._scipy.cdf(self.low), self._scipy.cdf(top)
        return np.clip(self._scipy.ppf(below_low + u * (below_top - below_low)), self.low, top)


@dataclass(frozen=True)
class Mixture:
    """Several distributions, each taken with its probability.

    Parameters
    ----------
    weights : tuple of float
        Probability of each part; they add up to 1.
    parts : tuple of Distribution

    Raises
    ------
    ValueError
        If the weights are negative, do not add up to 1, or are not one per part.
    """

    weights: tuple[float, ...]
    parts: tuple[Distribution, ...]

    def __post_init__(self):
        check_weights("mixture", self.weights)
        if len(self.weights) != len(self.parts):
            raise ValueError(f"mixture: needs one weight per part, got {len(self.weights)} for {len(self.parts)}")

    def sample(self, u: np.ndarray) -> np.ndarray:
        """Sample values for uniform random numbers `u` of shape (n, 2): one takes the part, one the value."""
        part = pick(self.weights, u[:, 0])
        values = np.empty(len(u))
        for k, distribution in enumerate(self.parts):
            taken = part == k
            values[taken] = distribution.quantile(u[taken, 1])
        return values


def check_weights(what: str, weights: Sequence[float]) -> None:
    """Raise a `ValueError` that begins with `what` unless the weights are >= 0 and add up to 1."""
    if not weights or min(weights) < 0 or not np.isclose(sum(weights), 1, rtol=0, atol=1e-6):
        raise ValueError(f"{what}: weights must be >= 0 and add up to 1, got {list(weights)}")


def pick(weights: Sequence[float], u: np.ndarray, from_share: np.ndarray | float = 0.0) -> np.ndarray:
    """Draw indices with given weights.

    Parameters
    ----------
    weights : sequence of float, shape (m,)
        Weight of each index.
    u : ndarray, shape (n,)
        Uniform random numbers in [0, 1).
    from_share : float or ndarray, shape (n,)
        Draw among the indices above this share of the cumulated weight only.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    shares = np.cumsum(weights)
    return np.searchsorted(shares / shares[-1], from_share + u * (1 - from_share), side="right")
