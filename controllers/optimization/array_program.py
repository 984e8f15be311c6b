"""A program given as arrays instead of a Pyomo model, for problems that are built by matrix algebra."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression
from scipy import sparse

from .program import Program
from .solution import Solution


class ArrayProgram:
    """``min cost x`` with ``row_lower <= matrix x <= row_upper`` and ``lower <= x <= upper``, loaded once.

    Columns and rows keep their places. It belongs to the thread that made it, and is closed by ``with`` or `close`.

    Parameters
    ----------
    matrix : scipy.sparse array, shape (m, n)
        Coefficients.
    cost, lower, upper : ndarray, shape (n,)
        Of the columns; -inf, inf for no bound.
    row_lower, row_upper : float or ndarray, shape (m,)
        Of the rows.
    integer : ndarray of bool, shape (n,), optional
        Which columns are whole numbers; none when left out.
    maximise : bool
        Sense.
    solver : {'glpk', 'highs'}
        Who solves it.

    Raises
    ------
    ValueError
        For NaN, bounds that cross, and a row of zeros that cannot hold.
    """

    def __init__(
        self, matrix, cost, lower, upper, row_lower, row_upper, *, integer=None, maximise=False, solver: str = "glpk"
    ):
        table: Any = sparse.csr_array(matrix, copy=True)
        table.eliminate_zeros()
        m, self._n = table.shape
        row_lower, row_upper = (np.broadcast_to(np.asarray(b, dtype=float), (m,)) for b in (row_lower, row_upper))
        filled = np.diff(table.indptr) > 0
        for i in np.flatnonzero(~filled & ((row_lower > 0.0) | (row_upper < 0.0)))[:1]:
            raise ValueError(f"row {i} has no variable, and asks for {row_lower[i]} to {row_upper[i]}")
        rows = np.flatnonzero(filled & (np.isfinite(row_lower) | np.isfinite(row_upper)))
        model: Any = pyo.ConcreteModel()
        model.x = pyo.Var(range(self._n))
        entries: list[Any] = list(model.x.values())
        for entry, low, high in zip(entries, lower.tolist(), upper.tolist(), strict=True):
            if low > -inf:
                entry.setlb(low)
            if high < inf:
                entry.setub(high)
        for j in [] if integer is None else np.flatnonzero(integer).tolist():
            entries[j].domain = pyo.Integers

        def row(_, i):
            here = slice(table.indptr[i], table.indptr[i + 1])
            variables = [entries[j] for j in table.indices[here].tolist()]
            body = LinearExpression(linear_coefs=table.data[here].tolist(), linear_vars=variables)
            low, high = float(row_lower[i]), float(row_upper[i])
            if low == high:
                return body == low
            return (low if low > -inf else None, body, high if high < inf else None)

        model.row = pyo.Constraint(rows.tolist(), rule=row)
        paid = np.flatnonzero(cost)
        expression = LinearExpression(linear_coefs=cost[paid].tolist(), linear_vars=[entries[j] for j in paid.tolist()])
        model.total = pyo.Objective(expr=expression, sense=pyo.maximize if maximise else pyo.minimize)
        self._program = Program(model, solver)
        self._columns = self._program.columns(model.x)
        self._rows = np.full(m, -1)
        if rows.size:
            self._rows[rows] = self._program.rows(model.row)

    def __enter__(self) -> ArrayProgram:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the solver's memory; a second call does nothing."""
        self._program.close()

    def set_costs(self, columns, cost) -> None:
        """New costs of the columns at these places (an array of int, or a slice)."""
        self._program.set_costs(self._columns[columns], cost)

    def set_row_bounds(self, rows, lower, upper) -> None:
        """New bounds of the rows at these places; rows without coefficients have none."""
        self._program.set_row_bounds(self._rows[rows], lower, upper)

    def set_bounds(self, columns, lower, upper) -> None:
        """New bounds of the columns at these places."""
        self._program.set_bounds(self._columns[columns], lower, upper)

    def solve(self, gap: float = 1e-9, time_limit_s: float | None = None) -> Solution:
        """Solve; see `Program.solve`."""
        return self._program.solve(gap=gap, time_limit_s=time_limit_s)

    def values(self) -> np.ndarray:
        """Columns at the point that the last solve found, shape (n,)."""
        return self._program.values(self._columns)
