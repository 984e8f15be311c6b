"""A program given as arrays, for problems that are built by matrix algebra: Pyomo would take longer than the solver."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .program import Program
from .solution import Solution
from .standard_form import StandardForm


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
        table.sum_duplicates()
        rows = np.flatnonzero(filled)
        whole = np.zeros(self._n, dtype=bool) if integer is None else np.asarray(integer, dtype=bool)
        lower, upper, cost = (np.array(part, dtype=float) for part in (lower, upper, cost))
        form = StandardForm(
            sparse.csr_array(table[rows]),
            cost,
            np.where(whole, np.ceil(lower - 1e-9), lower),
            np.where(whole, np.floor(upper + 1e-9), upper),
            row_lower[rows],
            row_upper[rows],
            whole,
            maximise=maximise,
        )
        self._program = Program(form, solver)
        self._columns = np.arange(self._n)
        self._rows = np.full(m, -1)
        self._rows[rows] = np.arange(rows.size)

    def __enter__(self) -> ArrayProgram:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the solver and free its memory; a second call does nothing."""
        self._program.close()

    def set_costs(self, columns, cost) -> None:
        """Set the costs of the columns at these positions (an array of int, or a slice)."""
        self._program.set_costs(self._columns[columns], cost)

    def set_row_bounds(self, rows, lower, upper) -> None:
        """Set the bounds of the rows at these positions; rows without coefficients have none."""
        self._program.set_row_bounds(self._rows[rows], lower, upper)

    def set_bounds(self, columns, lower, upper) -> None:
        """Set the bounds of the columns at these positions."""
        self._program.set_bounds(self._columns[columns], lower, upper)

    def solve(self, gap: float = 1e-9, time_limit_s: float | None = None) -> Solution:
        """Solve; see `Program.solve`."""
        return self._program.solve(gap=gap, time_limit_s=time_limit_s)

    def values(self) -> np.ndarray:
        """Return the columns at the point that the last solve found, shape (n,)."""
        return self._program.values(self._columns)
