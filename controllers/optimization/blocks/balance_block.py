"""The power balance at the hub bus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from .linear_numbers import Numbers, add_rows, block_of, row
from .time_steps import Steps


def numbers(steps: Steps, load_kw: np.ndarray) -> Numbers:
    """Return the bounds of the balance: the load [kW], shape (n,), 0 in the steps that are over."""
    load_kw = steps.open * steps.series("load_kw", load_kw)
    return Numbers(columns={}, rows={"power": row((steps.n,), load_kw, load_kw)}, matrix={})


def build(steps: Steps, load_kw: np.ndarray, injections: Sequence[tuple[float, np.ndarray]]) -> BlockData:
    """Build the balance ``grid + pv + bess + dg - cp = load`` of each step.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    load_kw : ndarray, shape (n,)
        Load [kW].
    injections : sequence of (sign, ndarray of variables)
        Terms of all blocks, > 0 feeds the hub bus.

    Returns
    -------
    Block
        With the row ``power``; its dual is what one more kW of load would cost in a step.
    """
    part = numbers(steps, load_kw)
    block = block_of(part)
    add_rows(block, "power", part, injections)
    sentences(block, steps, load_kw)
    return block


def sentences(block: BlockData, steps: Steps, load_kw: np.ndarray) -> None:
    """Say what the balance demands, for the explanation of a conflict."""

    def balanced(t: int) -> str:
        return f"sources and loads must balance at {steps.clock_at(t)} (load {load_kw[t]:g} kW)"

    describe(block.component("power"), balanced)
