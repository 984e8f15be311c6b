"""A linear program inside HiGHS (extra `highs`), with the same operations as `glpk.Glpk`."""

from __future__ import annotations

from math import inf, nan
from time import perf_counter
from typing import Any

import numpy as np

try:
    import highspy
except ImportError as error:
    raise ImportError("HiGHS is not installed; it comes with the extra 'highs': pip install evhub[highs]") from error

from ..solution import SolveStatus
from ..standard_form import StandardForm
from .interrupt import Interruptible

_USUAL, _EXACT = 1e-6, 1e-9
"""What HiGHS takes for whole."""


class Highs:
    """One linear or mixed-integer program, loaded once; columns and rows count from 0.

    Parameters
    ----------
    form : StandardForm
        The program; its arrays may change later, together with the calls below.
    """

    def __init__(self, form: StandardForm):
        self._form = form
        self._integers = np.flatnonzero(form.integer).astype(np.int32)
        self._lp: Any = None
        self._mip_values = np.empty(0)
        self._solver: Any = highspy.Highs()
        self._solver.silent()
        self._interruptible, self._deadline = Interruptible(), inf
        for callback in ("cbSimplexInterrupt", "cbMipInterrupt"):
            getattr(self._solver, callback).subscribe(self._look)
        self._load()

    def _load(self) -> None:
        form = self._form
        lp: Any = highspy.HighsLp()
        lp.num_row_, lp.num_col_ = form.row_lower.size, form.cost.size
        lp.sense_ = highspy.ObjSense.kMaximize if form.maximise else highspy.ObjSense.kMinimize
        lp.offset_, lp.col_cost_ = form.offset, form.cost
        lp.col_lower_, lp.col_upper_ = form.lower, form.upper
        lp.row_lower_, lp.row_upper_ = form.row_lower, form.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = form.matrix.indptr
        lp.a_matrix_.index_, lp.a_matrix_.value_ = form.matrix.indices, form.matrix.data
        self._solver.passModel(lp)
        # HiGHS shall tell an unbounded program from an infeasible one
        self._solver.setOptionValue("allow_unbounded_or_infeasible", False)

    def extend(self, form: StandardForm) -> None:
        """Update the loaded program with one that has more columns and rows."""
        m, n = self._form.row_lower.size, self._form.cost.size
        rows = form.matrix[m:]
        none = np.empty(0, dtype=np.int32)
        self._own().addCols(form.cost.size - n, form.cost[n:], form.lower[n:], form.upper[n:], 0, none, none, none)
        self._own().addRows(
            rows.shape[0],
            form.row_lower[m:],
            form.row_upper[m:],
            rows.nnz,
            rows.indptr[:-1].astype(np.int32),
            rows.indices.astype(np.int32),
            rows.data,
        )
        self._form = form

    def close(self) -> None:
        """Close the program and free its memory; a second call does nothing."""
        solver, self._solver = self._solver, None
        if solver is not None:
            solver.clear()

    def _own(self) -> Any:
        """The solver, if it was not closed."""
        if self._solver is None:
            raise RuntimeError("the program is closed")
        return self._solver

    def set_bounds(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Set the bounds of columns."""
        self._own().changeColsBounds(columns.size, columns.astype(np.int32), lower, upper)

    def set_row_bounds(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Set the bounds of rows."""
        solver = self._own()
        for row, low, high in zip(rows.tolist(), lower.tolist(), upper.tolist(), strict=True):
            solver.changeRowBounds(row, low, high)

    def set_costs(self, columns: np.ndarray, costs: np.ndarray) -> None:
        """Set the objective coefficients of columns."""
        self._own().changeColsCost(columns.size, columns.astype(np.int32), costs)

    def solve_lp(self, limit_s: float = inf) -> SolveStatus:
        """Solve the program without integrality, from the last basis if there is one.

        Parameters
        ----------
        limit_s : float
            Time limit [s].

        Returns
        -------
        SolveStatus
            Optimal, infeasible, unbounded or time limit.

        Raises
        ------
        RuntimeError
            If HiGHS fails.
        """
        status = self._run(limit_s)
        # any change of the program clears HiGHS's solution
        self._lp = self._own().getSolution()
        return status

    def solve_mip(self, gap: float, limit_s: float = inf, *, exact: bool = False) -> tuple[SolveStatus, float]:
        """Solve by branch and bound, after `solve_lp`.

        Parameters
        ----------
        gap : float
            Relative gap at which to stop.
        limit_s : float
            Time limit [s].
        exact : bool
            Take 1e-9 for whole, not 1e-6.

        Returns
        -------
        status : SolveStatus
            Feasible (the gap to the bound tells how good), infeasible or time limit.
        bound : float
            What no point can beat; NaN if unknown.
        """
        solver, basis = self._own(), self._own().getBasis()
        solver.setOptionValue("mip_rel_gap", gap)
        solver.setOptionValue("mip_feasibility_tolerance", _EXACT if exact else _USUAL)
        self._set_kind(highspy.HighsVarType.kInteger)
        try:
            status = self._run(limit_s)
            info = solver.getInfo()
            if status is SolveStatus.INFEASIBLE:
                return status, nan
            self._mip_values = np.array(solver.getSolution().col_value)
            if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
                status = SolveStatus.FEASIBLE
            return status, info.mip_dual_bound if np.isfinite(info.mip_dual_bound) else nan
        finally:
            self._set_kind(highspy.HighsVarType.kContinuous)
            solver.setBasis(basis)

    def _set_kind(self, kind: highspy.HighsVarType) -> None:
        kinds = np.full(self._integers.size, int(kind), dtype=np.uint8)
        self._own().changeColsIntegrality(self._integers.size, self._integers, kinds)

    def _run(self, limit_s: float) -> SolveStatus:
        """One run."""
        solver = self._own()
        if limit_s <= 0.0:
            return SolveStatus.TIME_LIMIT
        # not HiGHS's own time limit: whether its clock goes on from run to run differs between versions
        self._deadline = perf_counter() + limit_s
        with Interruptible() as self._interruptible:
            solver.run()
        kinds = highspy.HighsModelStatus
        statuses = {
            kinds.kOptimal: SolveStatus.OPTIMAL,
            kinds.kModelEmpty: SolveStatus.OPTIMAL,
            kinds.kInfeasible: SolveStatus.INFEASIBLE,
            kinds.kUnbounded: SolveStatus.UNBOUNDED,
            kinds.kInterrupt: SolveStatus.TIME_LIMIT,
        }
        status = solver.getModelStatus()
        if status not in statuses:
            raise RuntimeError(f"HiGHS ended with {solver.modelStatusToString(status)}")
        return statuses[status]

    def _look(self, event) -> None:
        """Called by HiGHS while it runs; the answer holds until another is given, also for the next run."""
        event.interrupt(self._interruptible.pressed or perf_counter() > self._deadline)

    def lp_values(self) -> np.ndarray:
        """Return the columns at the last LP solution, shape (n,)."""
        return np.array(self._lp.col_value)

    def mip_values(self) -> np.ndarray:
        """Return the columns at the best point of the last branch and bound, shape (n,)."""
        return self._mip_values

    def row_duals(self) -> np.ndarray:
        """Change of the objective per unit of each row's active bound, shape (m,)."""
        self._own()
        return np.array(self._lp.row_dual)

    def reduced_costs(self) -> np.ndarray:
        """Change of the objective per unit of each column's active bound, shape (n,)."""
        self._own()
        return np.array(self._lp.col_dual)
