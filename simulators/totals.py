"""Totals of several devices of a kind, by one rule for the view of controllers and the results."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any

import numpy as np


def weighted_mean(values: Sequence[Any], weights: Sequence[float], default: float = nan) -> Any:
    """Average values weighted with capacities; the mean of one value is that value exactly.

    Parameters
    ----------
    values : sequence of float or ndarray
        Of each device; NaN where it is not known.
    weights : sequence of float
        Of each device, > 0.
    default : float
        The mean of nothing.

    Returns
    -------
    float or ndarray
        NaN where one of the values is not known.
    """
    if not values:
        return default
    if len(values) == 1 or all(_same(value, values[0]) for value in values):
        return values[0]
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


def total(rule: str, values: Sequence[Any], weights: Sequence[float]) -> Any:
    """Return the total of the values of several devices.

    Parameters
    ----------
    rule : {"sum", "mean", "all"}
        Of the port, see `adapter.Port`.
    values : sequence
        Of each device.
    weights : sequence of float
        Capacity of each device, for means.

    Returns
    -------
    float, ndarray or bool

    Raises
    ------
    ValueError
        If the rule is none of these.
    """
    if rule == "sum":
        return sum(values[1:], values[0])
    if rule == "mean":
        return weighted_mean(values, weights)
    if rule == "all":
        return all(values)
    raise ValueError(f"rule must be sum, mean or all, got {rule!r}")


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=True)
    return first == second or (isnan(first) and isnan(second))
