"""The grid connection: purchase, sale, demand charge and a set point at the PCC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from . import exclusive_block
from .data_checks import DataError, finite
from .linear_numbers import Numbers, add_rows, array, block_of, column, row
from .time_steps import Steps


@dataclass(frozen=True)
class GridData:
    """Prices and limits at the PCC.

    Parameters
    ----------
    buy_per_kwh, sell_per_kwh : float or array, shape (n,)
        Prices [1/kWh]. Where selling pays more than buying costs, `exclusive_kw` must be given.
    import_kw, export_kw : float or array, shape (n,)
        Limits [kW]; 0 in the steps of an outage.
    demand_per_kw : float, optional
        Demand charge for the highest purchase [1/kW]; None builds none.
    peak_kw : float
        Highest purchase so far in the period of the demand charge [kW], already to be paid.
    setpoint_kw : array, shape (n,), optional
        Wanted exchange, > 0 imports [kW]; NaN in steps without one. None builds none.
    deviation_per_kwh : float
        Cost of missing the set point [1/kWh].
    exclusive_kw : float, optional
        Largest power ever allowed [kW], where buying and selling at once must be excluded by binaries.
    name : str
        For messages.
    """

    buy_per_kwh: np.ndarray | float
    sell_per_kwh: np.ndarray | float
    import_kw: np.ndarray | float
    export_kw: np.ndarray | float
    demand_per_kw: float | None = None
    peak_kw: float = 0.0
    setpoint_kw: np.ndarray | None = None
    deviation_per_kwh: float = 0.0
    exclusive_kw: float | None = None
    name: str = "grid"


def numbers(steps: Steps, data: GridData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : GridData
        The connection.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        A series that is not finite or does not cover the horizon; a limit below 0; a sale that pays more than the
        purchase costs, without `exclusive_kw`.
    """
    n, name, hours = steps.n, data.name, steps.hours
    buy = steps.series(f"{name}.buy_per_kwh", data.buy_per_kwh)
    sell = steps.series(f"{name}.sell_per_kwh", data.sell_per_kwh)
    dear = np.flatnonzero(steps.open & (sell > buy))
    if dear.size and data.exclusive_kw is None:
        t = int(dear[0])
        raise DataError(
            f"{name}.sell_per_kwh[{t}]",
            f"{sell[t]:g} is above the purchase price {buy[t]:g}, so that buying and selling at once would pay; give "
            "exclusive_kw, or a lower price",
            f"{name}.sell_per_kwh",
        )
    import_kw = steps.open * steps.series(f"{name}.import_kw", data.import_kw, 0.0)
    export_kw = steps.open * steps.series(f"{name}.export_kw", data.export_kw, 0.0)
    columns = {"buy": column((n,), import_kw, buy * hours), "sell": column((n,), export_kw, -sell * hours)}
    pair_columns, rows = exclusive_block.numbers(name, data.exclusive_kw, **columns)
    columns |= pair_columns
    if data.demand_per_kw is not None:
        demand_per_kw = finite(f"{name}.demand_per_kw", data.demand_per_kw, 0.0)
        columns["peak"] = column((1,), np.inf, demand_per_kw, finite(f"{name}.peak_kw", data.peak_kw, 0.0))
        rows["below_peak"] = row((n,), upper=0.0)
    if data.setpoint_kw is not None:
        none = np.isnan(data.setpoint_kw)
        setpoint_kw = steps.series(f"{name}.setpoint_kw", np.where(none, 0.0, data.setpoint_kw)) * steps.open
        wanted = steps.open & ~none
        missed = finite(f"{name}.deviation_per_kwh", data.deviation_per_kwh, 0.0) * hours * wanted
        columns["over"] = columns["under"] = column((n,), np.inf, missed)
        rows["setpoint"] = row((n,), setpoint_kw, setpoint_kw)
    return Numbers(
        columns=columns,
        rows=rows,
        matrix={
            f"{name}.exclusive_kw": data.exclusive_kw,
            f"{name}: demand charge": data.demand_per_kw is not None,
            f"{name}: set point": data.setpoint_kw is not None,
        },
    )


def build(steps: Steps, data: GridData) -> BlockData:
    """Build the block of a grid connection.

    Variables (all >= 0): ``buy``, ``sell`` [kW] of each step; with a demand charge ``peak`` [kW]; with a set point the
    deviations ``over``, ``under`` [kW]. Rows: ``below_peak``, ``setpoint``.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : GridData
        The connection.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    buy, sell = array(block, "buy"), array(block, "sell")
    exclusive_block.add(block, part, data.exclusive_kw, "buy", "sell", data.name)
    if "below_peak" in part.rows:
        add_rows(block, "below_peak", part, [(1.0, buy), (-1.0, array(block, "peak"))])
    if "setpoint" in part.rows:
        over, under = array(block, "over"), array(block, "under")
        add_rows(block, "setpoint", part, [(1.0, buy), (-1.0, sell), (-1.0, over), (1.0, under)])
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: GridData) -> None:
    """Say what the connection demands, for the explanation of a conflict."""
    for item, word in (("buy", "import"), ("sell", "export")):
        limit_kw = np.broadcast_to(getattr(data, f"{word}_kw"), (steps.n,))

        def limit(t: int, word: str = word, limit_kw: np.ndarray = limit_kw) -> str:
            return f"{data.name} may {word} at most {limit_kw[t]:g} kW at {steps.clock_at(t)}"

        describe(block.component(item), limit)


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,): purchase less sale."""
    return [(1.0, array(block, "buy")), (-1.0, array(block, "sell"))]
