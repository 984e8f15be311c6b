"""Wear of batteries as a cost of the energy that goes through them."""

from __future__ import annotations

import numpy as np

from .data_checks import finite
from .time_steps import Steps


def throughput_per_kw(steps: Steps, item: str, wear_per_kwh: float) -> np.ndarray:
    """Compute the cost of 1 kW through a battery in each step; Lavrenova & Denysiuk 2023, eq. (11), second sum.

    Parameters
    ----------
    steps : Steps
        The grid.
    item : str
        Name for the message.
    wear_per_kwh : float
        Cost of the wear by one kWh, at the terminals of the battery [1/kWh].

    Returns
    -------
    ndarray, shape (n,)
        Cost [1/kW].

    Raises
    ------
    ValueError
        A cost that is negative or not finite.
    """
    return finite(item, wear_per_kwh, 0.0) * steps.hours
