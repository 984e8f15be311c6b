"""Base of all blocks: their numbers, separate from their structure.

The matrix of a block is built once. Everything that changes in a rolling horizon stands in a `Numbers`: bounds and
costs of columns, bounds of rows. The same numbers go into the Pyomo block when it is built and into the loaded program
when they change, so that one function of the data serves both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyomo.environ as pyo
from pyomo.core.base.block import BlockData, ScalarBlock
from pyomo.core.expr import LinearExpression

from ..program import Program

Values = np.ndarray | float


class MatrixError(ValueError):
    """An attempt to change a number in the matrix of a built model."""

    def __init__(self, name: str, built: object, asked: object):
        super().__init__(f"{name} stands in the matrix: built with {built}, got {asked}")
        self.kind = type(self).__name__, name


class Column(NamedTuple):
    """Bounds and cost of a variable; all arrays have the shape of its index."""

    lower: np.ndarray
    upper: np.ndarray
    cost: np.ndarray
    binary: bool = False


class NumberRow(NamedTuple):
    """Bounds of a constraint; both arrays have the shape of its index."""

    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Numbers:
    """The numbers of a block.

    Parameters
    ----------
    columns : mapping of str to Column
        One for each variable.
    rows : mapping of str to NumberRow
        One for each constraint.
    matrix : mapping of str to value
        What stands in the coefficients or decides which columns and rows there are; it cannot change later.
    """

    columns: Mapping[str, Column]
    rows: Mapping[str, NumberRow]
    matrix: Mapping[str, Any]


def column(
    shape: tuple[int, ...], upper: Values, cost: Values = 0.0, lower: Values = 0.0, binary: bool = False
) -> Column:
    """Spread numbers over the index of a variable; no variable of a block is negative."""
    lower, upper, cost = (np.broadcast_to(np.asarray(x, dtype=float), shape) for x in (lower, upper, cost))
    return Column(lower, upper, cost, binary)


def row(shape: tuple[int, ...], lower: Values = -np.inf, upper: Values = np.inf) -> NumberRow:
    """Spread numbers over the index of a constraint."""
    return NumberRow(*(np.broadcast_to(np.asarray(x, dtype=float), shape) for x in (lower, upper)))


def block_of(numbers: Numbers) -> BlockData:
    """Make a Pyomo block with the variables of `numbers`."""
    block = ScalarBlock(concrete=True)
    for name, (lower, upper, _, binary) in numbers.columns.items():
        domain = pyo.Binary if binary else pyo.NonNegativeReals
        setattr(block, name, pyo.Var(*map(range, upper.shape), domain=domain))
        # setting what differs from the domain costs a third of handing all bounds to Var
        for variable, low, high in zip(getattr(block, name).values(), lower.flat, upper.flat, strict=True):
            if low:
                variable.setlb(float(low))
            if high < np.inf:
                variable.setub(float(high))
    return block


def array(block: BlockData, name: str) -> np.ndarray:
    """Return a variable of a block as an array of its entries, to be sliced like numbers."""
    variable = getattr(block, name)
    entries = np.empty(len(variable), dtype=object)
    entries[:] = list(variable.values())
    return entries.reshape([len(axis) for axis in variable.index_set().subsets()])


def add_rows(block: BlockData, name: str, numbers: Numbers, terms: Sequence[tuple[Any, np.ndarray]]) -> None:
    """Add a constraint `lower <= sum of coefficient * variable <= upper` to a block.

    Parameters
    ----------
    block : Block
        Takes the constraint.
    name : str
        Its name, in the block and in ``numbers.rows``.
    numbers : Numbers
        Bounds of the rows.
    terms : sequence of (coefficient, ndarray of variables)
        Each broadcasts over the shape of the rows.
    """
    lower, upper = numbers.rows[name]
    shape = lower.shape
    coefficients = zip(*(np.broadcast_to(np.asarray(c, float), shape).ravel().tolist() for c, _ in terms), strict=True)
    variables = zip(*(np.broadcast_to(v, shape).ravel().tolist() for _, v in terms), strict=True)
    limits = zip(lower.ravel().tolist(), upper.ravel().tolist(), strict=True)
    rows = (_row(c, v, *limit) for c, v, limit in zip(coefficients, variables, limits, strict=True))
    setattr(block, name, pyo.Constraint(*map(range, shape), rule=lambda *_: next(rows)))


def _row(coefficients, variables, lower: float, upper: float):
    """One row; LinearExpression is several times faster here than arithmetic on variables."""
    body = LinearExpression(linear_coefs=list(coefficients), linear_vars=list(variables))
    if lower == upper:
        return body == lower
    if lower == -np.inf:
        return body <= upper
    if upper == np.inf:
        return body >= lower
    return pyo.inequality(lower, body, upper)


def objective(parts: Sequence[tuple[BlockData, Numbers]]) -> LinearExpression:
    """Sum the costs of blocks [currency]."""
    coefficients, variables = [], []
    for block, numbers in parts:
        for name, part in numbers.columns.items():
            used = np.flatnonzero(part.cost)
            entries = list(getattr(block, name).values())
            coefficients += part.cost.ravel()[used].tolist()
            variables += [entries[i] for i in used]
    return LinearExpression(linear_coefs=coefficients, linear_vars=variables)


def refuse_new_matrix(built: Numbers, new: Numbers) -> None:
    """Refuse numbers that need another matrix.

    Raises
    ------
    ValueError
        Names what changed.
    """
    for name, value in built.matrix.items():
        if new.matrix[name] != value:
            raise MatrixError(name, value, new.matrix[name])


def update(program: Program, block: BlockData, numbers: Numbers) -> None:
    """Update a loaded program with new numbers of a block; check them with `refuse_new_matrix` first.

    Parameters
    ----------
    program : Program
        Holds the model of the block.
    block : Block
        The block.
    numbers : Numbers
        Made from the new data.
    """
    for name, part in numbers.columns.items():
        columns = program.columns(getattr(block, name))
        program.set_bounds(columns, part.lower.ravel(), part.upper.ravel())
        program.set_costs(columns, part.cost.ravel())
    for name, limits in numbers.rows.items():
        program.set_row_bounds(program.rows(getattr(block, name)), limits.lower.ravel(), limits.upper.ravel())
