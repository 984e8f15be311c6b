"""A generator: cost curve, and where it has them minimum power, running and start cost (binaries)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from .data_checks import DataError, RangeError, ShapeError, finite
from .linear_numbers import Numbers, add_rows, array, block_of, column, row
from .time_steps import Steps


@dataclass(frozen=True)
class GeneratorData:
    """A generator.

    Parameters
    ----------
    segment_kw : array, shape (n_segments,)
        Widths of the pieces of its cost curve [kW]; their sum is the rated power.
    segment_per_kwh : array, shape (n_segments,)
        Cost in each piece [1/kWh], rising: a convex curve fills its pieces in order by itself.
    minimum_kw : float
        Least power while running [kW].
    running_per_h : float
        Cost of running, whatever the power [1/h].
    start_cost : float
        Cost of a start.
    available : array of bool, shape (n,), or bool
        Steps in which it may run.
    energy_kwh : float, optional
        What the fuel is good for over the rest of the horizon [kWh]; None: no limit, now or later.
    on : bool
        It runs at the begin of step `now`.
    power_factor : float, optional
        Least power factor, where it has reactive set points, above 0 and up to 1.
    q_per_kvarh : float
        Cost of reactive energy [1/kvarh].
    name : str
        For messages.
    """

    segment_kw: np.ndarray
    segment_per_kwh: np.ndarray
    minimum_kw: float = 0.0
    running_per_h: float = 0.0
    start_cost: float = 0.0
    available: np.ndarray | bool = True
    energy_kwh: float | None = None
    on: bool = False
    power_factor: float | None = None
    q_per_kvarh: float = 0.0
    name: str = "dg"

    def __post_init__(self):
        width = finite(f"{self.name}.segment_kw", self.segment_kw, 0.0)
        cost = finite(f"{self.name}.segment_per_kwh", self.segment_per_kwh)
        if width.ndim != 1 or width.shape != cost.shape or not width.size:
            rule = "segment_kw and segment_per_kwh must be rows of the same length"
            raise ShapeError(self.name, f"{rule}, got shapes {width.shape} and {cost.shape}")
        if (np.diff(cost) < 0.0).any():
            raise DataError(f"{self.name}.segment_per_kwh", f"must rise from piece to piece, got {cost.tolist()}")
        finite(f"{self.name}.minimum_kw", self.minimum_kw, 0.0, width.sum())
        finite(f"{self.name}.running_per_h", self.running_per_h, 0.0)
        finite(f"{self.name}.start_cost", self.start_cost, 0.0)
        if self.energy_kwh is not None:
            finite(f"{self.name}.energy_kwh", self.energy_kwh, 0.0)
        if self.power_factor is not None and not 0.0 < self.power_factor <= 1.0:
            raise RangeError(f"{self.name}.power_factor", f"must be > 0 and <= 1, got {self.power_factor:g}")
        finite(f"{self.name}.q_per_kvarh", self.q_per_kvarh, 0.0)

    @property
    def committed(self) -> bool:
        """Whether it needs binaries."""
        return self.minimum_kw > 0.0 or self.running_per_h > 0.0 or self.start_cost > 0.0


def numbers(steps: Steps, data: GeneratorData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : GeneratorData
        The generator.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        `available` does not cover the horizon.
    """
    n, name = steps.n, data.name
    may = steps.open * (steps.series(f"{name}.available", data.available) > 0.0)
    width, cost = np.asarray(data.segment_kw, dtype=float), np.asarray(data.segment_per_kwh, dtype=float)
    columns = {"power": column((width.size, n), np.outer(width, may), np.outer(cost, steps.hours))}
    rows = {}
    if data.committed:
        # the past is held at off; that it ran before stands in the right-hand side of the first open step
        before = np.where((np.arange(n) == steps.now) & data.on, -1.0, 0.0)
        columns["running"] = column((n,), may, data.running_per_h * steps.hours, binary=True)
        columns["start"] = column((n,), 1.0 * steps.open, data.start_cost)
        rows = {"rated": row((n,), upper=0.0), "minimum": row((n,), 0.0), "starts": row((n,), before)}
    if data.power_factor is not None:
        q = column((n,), width.sum() * may, data.q_per_kvarh * steps.hours)
        columns |= {"q_out": q, "q_in": q}
        rows["reactive"] = row((n,), upper=0.0)
    if data.energy_kwh is not None:
        rows["fuel"] = row((1,), upper=data.energy_kwh)
    return Numbers(
        columns=columns,
        rows=rows,
        matrix={
            f"{name}.segment_kw": width.tolist(),
            f"{name}.minimum_kw": data.minimum_kw,
            f"{name}: commitment": data.committed,
            f"{name}.power_factor": data.power_factor,
            f"{name}: fuel limit": data.energy_kwh is not None,
        },
    )


def build(steps: Steps, data: GeneratorData) -> BlockData:
    """Build the block of a generator.

    Variables: ``power`` [kW] of each piece of the cost curve in each step; with commitment the binary ``running`` and
    ``start``; where asked ``q_out``, ``q_in`` [kvar]. Rows: ``rated``, ``minimum``, ``starts``, ``fuel``; ``reactive``,
    ``q_out + q_in <= tan(acos(power_factor)) power``: a machine that stands gives none.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : GeneratorData
        The generator.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    power = injection(block)
    if data.committed:
        running, start = array(block, "running"), array(block, "start")
        before = np.append(running[:1], running[:-1])
        add_rows(block, "rated", part, [*power, (-float(np.sum(data.segment_kw)), running)])
        add_rows(block, "minimum", part, [*power, (-data.minimum_kw, running)])
        add_rows(block, "starts", part, [(1.0, start), (-1.0, running), (np.arange(steps.n) > 0, before)])
    if data.power_factor is not None:
        q_per_p = np.sqrt(1.0 / data.power_factor**2 - 1.0)
        q_terms = [(1.0, array(block, "q_out")), (1.0, array(block, "q_in"))]
        add_rows(block, "reactive", part, [*q_terms, *((-q_per_p * sign, piece) for sign, piece in power)])
    if data.energy_kwh is not None:
        used = [(hours, power[t : t + 1]) for _, power in power for t, hours in enumerate(steps.hours)]
        add_rows(block, "fuel", part, used)
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: GeneratorData) -> None:
    """Say what the generator demands, for the explanation of a conflict."""
    limits = f"{data.name} runs between {data.minimum_kw:g} and {np.sum(data.segment_kw):g} kW, where it is available"
    for item in ("power", "running", "rated", "minimum"):
        if block.component(item) is not None:
            describe(block.component(item), lambda *_: limits)
    if data.energy_kwh is not None:
        describe(block.component("fuel"), lambda _: f"{data.name} has fuel for {data.energy_kwh:g} kWh")


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,): the pieces of the cost curve."""
    return [(1.0, piece) for piece in array(block, "power")]
