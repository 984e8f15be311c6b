"""PV: available power less what is curtailed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from . import inverter_block
from .linear_numbers import Numbers, array, block_of, column
from .time_steps import Steps


@dataclass(frozen=True)
class PvData:
    """A PV plant and its forecast.

    Parameters
    ----------
    available_kw : float or array, shape (n,)
        Forecast [kW], >= 0.
    curtailable : bool
        Less may be fed in; otherwise all must be, as in Lavrenova & Denysiuk 2023, eq. (13).
    inverter_kva : float, optional
        Apparent power, where the plant has reactive set points [kVA].
    q_per_kvarh : float
        Cost of reactive energy [1/kvarh].
    name : str
        For messages.
    """

    available_kw: np.ndarray | float
    curtailable: bool = True
    inverter_kva: float | None = None
    q_per_kvarh: float = 0.0
    name: str = "pv"


def numbers(steps: Steps, data: PvData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : PvData
        The plant.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        A forecast that is negative, not finite or does not cover the horizon.
    """
    available_kw = steps.open * steps.series(f"{data.name}.available_kw", data.available_kw, 0.0)
    min_kw = 0.0 if data.curtailable else available_kw
    q_columns, q_rows = inverter_block.numbers(steps, data.name, data.inverter_kva, data.q_per_kvarh, one_way=True)
    return Numbers(
        columns={"power": column((steps.n,), available_kw, lower=min_kw), **q_columns},
        rows=q_rows,
        matrix={f"{data.name}: reactive": data.inverter_kva is not None},
    )


def build(steps: Steps, data: PvData) -> BlockData:
    """Build the block of a PV plant: the variable ``power`` [kW], and where asked ``q_out``, ``q_in`` [kvar].

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : PvData
        The plant.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    inverter_block.add(block, part, injection(block), one_way=True)
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: PvData) -> None:
    """Say what the plant demands, for the explanation of a conflict."""
    rule = "at most what the sun gives" if data.curtailable else "all that the sun gives"
    describe(block.component("power"), lambda t: f"{data.name} feeds in {rule} at {steps.clock_at(t)}")


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,)."""
    return [(1.0, array(block, "power"))]
