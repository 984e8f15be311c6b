"""The four load classes: critical, controllable, shiftable, general (Yan & Tu 2022, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from .data_checks import DataError, finite
from .linear_numbers import Numbers, add_rows, array, block_of, column, row
from .time_steps import Steps


@dataclass(frozen=True)
class LoadsData:
    """The forecast of the load, and the cost of load that is not served.

    Parameters
    ----------
    critical_kw, controllable_kw, shiftable_kw, general_kw : float or array, shape (n,)
        Demand [kW], >= 0.
    eens_per_kwh : tuple of 4 float
        Cost of energy not supplied, in the order of the classes [1/kWh]; that of critical load must be the highest.
    controllable_band : float
        Share of the controllable load that may be cut at its own cost, 0 to 1. What is cut beyond costs half-way
        between it and critical load: it goes last but one.
    shiftable_max_kw : float or array, shape (n,)
        Power at which shiftable load may be served, what was put off included [kW]; never less than its demand.
    backlog_kwh : float
        Shiftable energy put off before step `now` [kWh].
    made_good : array of bool, shape (n,), optional
        True in steps at whose end nothing may be left that was put off: the last step of each day. The last step of the
        horizon always counts.
    name : str
        For messages.
    """

    critical_kw: np.ndarray | float
    controllable_kw: np.ndarray | float
    shiftable_kw: np.ndarray | float
    general_kw: np.ndarray | float
    eens_per_kwh: tuple[float, float, float, float]
    controllable_band: float = 0.0
    shiftable_max_kw: np.ndarray | float = 0.0
    backlog_kwh: float = 0.0
    made_good: np.ndarray | None = None
    name: str = "load"

    def __post_init__(self):
        eens = finite(f"{self.name}.eens_per_kwh", self.eens_per_kwh, 0.0)
        if eens.shape != (4,) or eens[0] <= eens[1:].max():
            rule = f"must be 4 costs, the first (critical) the highest, got {self.eens_per_kwh}"
            raise DataError(f"{self.name}.eens_per_kwh", rule)
        finite(f"{self.name}.controllable_band", self.controllable_band, 0.0, 1.0)
        finite(f"{self.name}.backlog_kwh", self.backlog_kwh, 0.0)


CLASSES = ("critical", "controllable", "shiftable", "general")


def demand_kw(steps: Steps, data: LoadsData) -> np.ndarray:
    """Return the demand of each class in the open steps [kW].

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : LoadsData
        The load.

    Returns
    -------
    ndarray, shape (4, n)

    Raises
    ------
    ValueError
        A forecast that is negative, not finite or does not cover the horizon.
    """
    demand = [steps.series(f"{data.name}.{item}_kw", getattr(data, f"{item}_kw"), 0.0) for item in CLASSES]
    return np.array(demand) * steps.open


def numbers(steps: Steps, data: LoadsData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : LoadsData
        The load.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        A series that is negative, not finite or does not cover the horizon.
    """
    n, name = steps.n, data.name
    critical, controllable, shiftable, general = demand_kw(steps, data)
    eens = np.outer(data.eens_per_kwh, steps.hours)
    max_kw = steps.open * steps.series(f"{name}.shiftable_max_kw", data.shiftable_max_kw, 0.0)
    due = np.zeros(n, bool) if data.made_good is None else steps.series(f"{name}.made_good", data.made_good) > 0.0
    due = np.append(due[:-1], True)
    demanded_kwh = shiftable * steps.hours
    # all that may have been put off by the end of each step
    waiting_kwh = data.backlog_kwh + np.cumsum(demanded_kwh)
    max_kwh = np.append(data.backlog_kwh, np.where(due, 0.0, waiting_kwh))
    min_kwh = np.where(steps.edge_open, 0.0, data.backlog_kwh)
    max_kwh = np.where(steps.edge_open, max_kwh, data.backlog_kwh)
    cut = data.controllable_band * controllable
    return Numbers(
        columns={
            "critical_lost": column((n,), critical, eens[0]),
            "controllable_cut": column((n,), cut, eens[1]),
            "controllable_lost": column((n,), controllable - cut, (eens[0] + eens[1]) / 2.0),
            "shiftable": column((n,), np.maximum(max_kw, shiftable)),
            "shiftable_lost": column((n,), steps.open * waiting_kwh / steps.hours, eens[2]),
            "backlog": column((n + 1,), max_kwh, lower=min_kwh),
            "general_cut": column((n,), general, eens[3]),
        },
        rows={"postponed": row((n,), demanded_kwh, demanded_kwh)},
        matrix={},
    )


def build(steps: Steps, data: LoadsData) -> BlockData:
    """Build the block of the load classes.

    Variables (all >= 0) [kW]: ``critical_lost``, ``controllable_cut`` within the band, ``controllable_lost`` beyond it,
    ``general_cut``, ``shiftable`` (served) and ``shiftable_lost``; ``backlog`` [kWh] at each edge. Row ``postponed``:
    ``backlog[t+1] = backlog[t] + dt (demand[t] - shiftable[t] - shiftable_lost[t])``.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : LoadsData
        The load.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    backlog = array(block, "backlog")
    served, lost = array(block, "shiftable"), array(block, "shiftable_lost")
    add_rows(
        block,
        "postponed",
        part,
        [(1.0, backlog[1:]), (-1.0, backlog[:-1]), (steps.hours, served), (steps.hours, lost)],
    )
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: LoadsData) -> None:
    """Say what the load demands, for the explanation of a conflict."""
    for item in ("backlog", "postponed", "shiftable", "shiftable_lost"):
        describe(block.component(item), lambda _: f"{data.name}: shiftable load is made good within the day")
    for item in ("critical_lost", "controllable_cut", "controllable_lost", "general_cut"):
        describe(block.component(item), lambda _: f"{data.name}: no more can be cut than is demanded")


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,).

    What is not served counts as fed in, against the demand of the three classes that cannot be moved; shiftable load
    that is served counts negative.
    """
    cut = ("critical_lost", "controllable_cut", "controllable_lost", "general_cut")
    return [*((1.0, array(block, item)) for item in cut), (-1.0, array(block, "shiftable"))]


def fixed_kw(steps: Steps, data: LoadsData) -> np.ndarray:
    """Sum the demand on the load side of the balance, all classes but the shiftable one [kW], shape (n,)."""
    critical, controllable, _, general = demand_kw(steps, data)
    return critical + controllable + general
