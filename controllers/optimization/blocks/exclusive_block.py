"""Two powers of which only one may flow: charge or discharge, buy or sell."""

from __future__ import annotations

from pyomo.core.base.block import BlockData

from ..conflicts import describe
from ..lp_relaxation import declare_exclusive
from .data_checks import finite
from .linear_numbers import Column, NumberRow, Numbers, add_rows, array, column, row


def numbers(item: str, exclusive_kw: float | None, **powers: Column) -> tuple[dict[str, Column], dict[str, NumberRow]]:
    """Make the binary and its two rows for a pair of powers; nothing where `exclusive_kw` is None.

    Parameters
    ----------
    item : str
        Name for the message.
    exclusive_kw : float, optional
        Largest power that either may ever have [kW]: it stands in the matrix.
    **powers : Column
        The two variables, by name.

    Returns
    -------
    columns, rows : dict
        To be put into the numbers of the block.

    Raises
    ------
    ValueError
        A bound of a power above `exclusive_kw`.
    """
    if exclusive_kw is None:
        return {}, {}
    finite(f"{item}.exclusive_kw", exclusive_kw, 0.0)
    for name, power in powers.items():
        finite(f"{item}.{name}_kw (exclusive)", power.upper, upper=exclusive_kw)
    first, second = powers
    shape = powers[first].upper.shape
    return (
        {"direction": column(shape, 1.0, binary=True)},
        {f"{first}_alone": row(shape, upper=0.0), f"{second}_alone": row(shape, upper=exclusive_kw)},
    )


def add(block: BlockData, part: Numbers, exclusive_kw: float | None, first: str, second: str, name: str) -> None:
    """Add the rows ``first <= M z`` and ``second <= M (1 - z)`` to a block, declare the pair, and say so for `name`."""
    if exclusive_kw is None:
        return
    a, b, z = (array(block, item) for item in (first, second, "direction"))
    add_rows(block, f"{first}_alone", part, [(1.0, a), (-exclusive_kw, z)])
    add_rows(block, f"{second}_alone", part, [(1.0, b), (exclusive_kw, z)])
    declare_exclusive(block, *(block.component(item) for item in (first, second, "direction")))
    for item in ("direction", f"{first}_alone", f"{second}_alone"):
        describe(block.component(item), lambda *_: f"{name}: {first} and {second} exclude each other")
