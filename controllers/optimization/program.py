"""A model loaded once in a solver, changed and solved again and again."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan, nan
from time import perf_counter
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pyomo.core.base.block import BlockData

from .conflicts import Conflict, explain, integrality
from .lp_relaxation import NO_EXCLUSIVES, entries, exclusives, rounded
from .solution import Solution, SolveStatus, relative_gap
from .standard_form import StandardForm, check_bounds, check_costs, compile_model

_OPTIMAL_GAP = 1e-7
"""Relative distance to the bound below which a point counts as the best; GLPK prunes at the same."""

_WHOLE = 1e-9
"""How near to a whole number a bound counts as one."""
_HOLDS = 1e-5
"""By how much a point with fixed integers may miss a constraint, relative to bounds above 1."""
_FIX_S = 1.0
"""Wall time for the LP with fixed integers when branch and bound took all there was [s]."""

T = TypeVar("T")


class Program:
    """A linear or mixed-integer Pyomo model, compiled and loaded once.

    Bounds of variables, bounds of constraints and costs can be changed, columns and rows added; coefficients stay.
    Later changes of the Pyomo model are not seen. It belongs to the thread that made it, and is closed by ``with`` or
    `close`.

    Parameters
    ----------
    model : ConcreteModel or StandardForm
        Linear, see `standard_form.compile_model`; or a form, compiled already or of arrays.
    solver : {'glpk', 'highs'}
        Who solves it.

    Attributes
    ----------
    seconds : dict of str to float
        Wall time of 'compile' and 'load' [s].
    variables, constraints : tuple
        The Pyomo data behind the columns and rows it was made with.
    maximise : bool
        Sense of the objective.

    Raises
    ------
    ValueError
        For data that no solver must see (NaN, bounds that cross), and for an unknown solver.
    ImportError
        If HiGHS is asked for and not installed.
    """

    def __init__(self, model: BlockData | StandardForm, solver: str = "glpk"):
        self.seconds: dict[str, float] = {}
        self._backend_type = _backend(solver)
        # its variables and constraints know it by weak references only
        self._model = model
        if isinstance(model, StandardForm):
            self._form = model
        else:
            self._form = _timed(self.seconds, "compile", lambda: compile_model(model))
        self.variables, self.constraints = self._form.variables, self._form.constraints
        self.maximise = self._form.maximise
        self._column_of = {id(variable): k for k, variable in enumerate(self.variables)}
        self._row_of = {id(constraint): k for k, constraint in enumerate(self.constraints)}
        self._exclusive = NO_EXCLUSIVES if isinstance(model, StandardForm) else exclusives(model, self._column_of)
        self._integers = np.flatnonzero(self._form.integer)
        fixed = {k for k, variable in enumerate(self.variables) if variable.fixed}
        self._fixed = np.array([k in fixed for k in range(self._form.cost.size)], dtype=bool)
        self._x: np.ndarray | None = None
        self._duals: tuple[np.ndarray, np.ndarray] | None = None
        self._has_duals = False
        # rows with exclusive binaries mostly settle nothing: LPs are smaller without them
        self._gates = np.flatnonzero(abs(self._form.matrix[:, self._exclusive.binary]).sum(axis=1))
        self._gates_on = True
        self._backend = _timed(self.seconds, "load", lambda: self._backend_type(self._form))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Close the solver and free its memory; a second call does nothing."""
        self._backend.close()

    @property
    def size(self) -> int:
        """Number of columns."""
        return self._form.cost.size

    def columns(self, var: Any) -> np.ndarray:
        """Return the columns of a variable.

        Parameters
        ----------
        var : Var
            Scalar, indexed, or one entry of an indexed one; or an array of entries, shape (k,).

        Returns
        -------
        ndarray of int, shape (k,)
            In the order of its index.

        Raises
        ------
        ValueError
            If it is not a variable of the model.
        """
        return self._places(self._column_of, var, "no variable of the model when it was loaded")

    def rows(self, con: Any) -> np.ndarray:
        """Return the rows of a constraint; one with two bounds has one row.

        Parameters
        ----------
        con : Constraint
            Scalar, indexed, or one entry of an indexed one.

        Returns
        -------
        ndarray of int, shape (k,)
            In the order of its index.

        Raises
        ------
        ValueError
            If an entry had no variable or no bound when the model was loaded, and therefore has no row.
        """
        return self._places(self._row_of, con, "has no row: it had no variable or no bound when the model was loaded")

    def _places(self, place_of: dict[int, int], component: Any, otherwise: str) -> np.ndarray:
        """Columns or rows of the entries of a component."""
        data = entries(component)
        places = [place_of.get(id(entry), -1) for entry in data]
        if -1 in places:
            raise ValueError(f"{data[places.index(-1)].name}: {otherwise}")
        return np.array(places, dtype=int)

    def set_bounds(self, columns: ArrayLike, lower, upper) -> None:
        """Set the bounds of variables.

        Parameters
        ----------
        columns : ndarray of int, shape (k,)
            From `columns`.
        lower, upper : float or array of k values
            Bounds; -inf, inf for none.

        Raises
        ------
        ValueError
            For NaN, a lower above its upper bound, no whole number between those of an integer variable, or a variable
            that was fixed in Pyomo when the model was loaded.
        """
        form = self._form
        columns, lower, upper = _aligned(columns, form.lower.size, lower, upper)
        check_bounds(lower, upper, lambda k: form.column_name(columns[k]))
        for column in columns[self._fixed[columns]][:1]:
            raise ValueError(f"{form.column_name(column)}: fixed when the model was loaded, bounds have no effect")
        whole = form.integer[columns]
        lower = np.where(whole, np.ceil(lower - _WHOLE), lower)
        upper = np.where(whole, np.floor(upper + _WHOLE), upper)
        for k in np.flatnonzero(lower > upper)[:1]:
            raise ValueError(f"{form.column_name(int(columns[k]))}: no whole number between its bounds")
        changed = _put(columns, (form.lower, lower), (form.upper, upper))
        self._backend.set_bounds(changed, form.lower[changed], form.upper[changed])

    def set_row_bounds(self, rows: ArrayLike, lower, upper) -> None:
        """Set the bounds of constraints, without the constants that stood beside their variables.

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            From `rows`.
        lower, upper : float or array of k values
            Bounds of the terms with variables; -inf, inf for none.

        Raises
        ------
        ValueError
            For NaN, or a lower above its upper bound.
        """
        form = self._form
        rows, lower, upper = _aligned(rows, form.row_lower.size, lower, upper)
        check_bounds(lower, upper, lambda k: form.row_name(rows[k]))
        changed = _put(rows, (form.row_lower, lower), (form.row_upper, upper))
        self._backend.set_row_bounds(changed, form.row_lower[changed], form.row_upper[changed])

    def set_costs(self, columns: ArrayLike, costs) -> None:
        """Set the objective coefficients of variables.

        Parameters
        ----------
        columns : ndarray of int, shape (k,)
            From `columns`.
        costs : float or array of k values
            Objective coefficients.

        Raises
        ------
        ValueError
            If one is not finite.
        """
        form = self._form
        columns, costs = _aligned(columns, form.cost.size, costs)
        check_costs(costs, lambda k: form.column_name(columns[k]))
        changed = _put(columns, (form.cost, costs))
        self._backend.set_costs(changed, form.cost[changed])

    def extend(self, lower, upper, cost, rows: Any, row_lower, row_upper) -> tuple[np.ndarray, np.ndarray]:
        """Add columns and rows; the next solve begins at the last basis. The new columns stand in the new rows only.

        Parameters
        ----------
        lower, upper, cost : array, shape (c,)
            Bounds and objective coefficients of the new columns, which are not whole numbers.
        rows : scipy.sparse array, shape (r, n + c)
            Coefficients of the new rows, over all columns.
        row_lower, row_upper : array, shape (r,)
            Bounds of the new rows.

        Returns
        -------
        columns : ndarray of int, shape (c,)
        rows : ndarray of int, shape (r,)

        Raises
        ------
        ValueError
            For all that `StandardForm` refuses.
        """
        lower, upper, cost, row_lower, row_upper = (
            np.asarray(x, dtype=float) for x in (lower, upper, cost, row_lower, row_upper)
        )
        m, n = self._form.row_lower.size, self._form.cost.size
        form = self._form.extended(lower, upper, cost, rows, row_lower, row_upper)
        self._backend.extend(form)
        self._form, self._x, self._has_duals = form, None, False
        self._fixed = np.append(self._fixed, np.zeros(cost.size, dtype=bool))
        return np.arange(n, form.cost.size), np.arange(m, form.row_lower.size)

    def solve(self, *, gap: float = 1e-4, time_limit_s: float | None = None) -> Solution:
        """Solve: the LP relaxation first, from the last basis; branch only if it does not settle the integers.

        The relaxation settles them if rounding gives a point that obeys all constraints, or if the relaxation with the
        integers fixed at the rounded values has a solution, and the objective is within the gap of the relaxation's.
        Constraints with binaries of `declare_exclusive` are left out of a first relaxation, not of the check.

        Parameters
        ----------
        gap : float
            Relative gap that is good enough, >= 0.
        time_limit_s : float, optional
            Wall time for the solve [s]; the explanation of a conflict may take up to 5 s more.

        Returns
        -------
        Solution
            How it ended; values and duals are then asked from the program.

        Raises
        ------
        ValueError
            For a negative gap or time limit.
        RuntimeError
            If the solver fails numerically, or is used from another thread or after `close`.
        """
        limit_s = inf if time_limit_s is None else time_limit_s
        if not (gap >= 0.0 and limit_s >= 0.0):
            raise ValueError(f"gap {gap}, time limit {time_limit_s}: allowed are numbers >= 0")
        seconds: dict[str, float] = {}
        self._x = self._duals = None
        self._has_duals = False
        if self._form.refuted:
            return self._infeasible("lp", explain(self._form, self._backend_type), seconds)
        try:
            return self._solve(gap, perf_counter() + limit_s, seconds)
        finally:
            self._set_gates(False)

    def _solve(self, gap: float, deadline: float, seconds: dict[str, float]) -> Solution:
        form, backend = self._form, self._backend
        relaxed, bound = np.empty(0), nan
        for with_gates in (False, True) if self._gates.size else (True,):
            self._set_gates(with_gates)
            self._has_duals = False
            status = _timed(seconds, "lp", lambda: backend.solve_lp(deadline - perf_counter()))
            if status is SolveStatus.OPTIMAL:
                relaxed = backend.lp_values()
                bound = form.objective(relaxed)
                self._has_duals = True
                point = rounded(form, self._exclusive, relaxed) if self._integers.size else relaxed
                if not self._integers.size or (form.holds(point) and self._is_near(point, bound, gap)):
                    return self._found(point, bound, "lp", gap, seconds)
            elif with_gates or status is not SolveStatus.UNBOUNDED:
                return self._without_point(status, seconds)

        start = rounded(form, self._exclusive, relaxed)
        point = _timed(seconds, "fix", lambda: self._solve_fixed(start, deadline - perf_counter()))
        if point is not None and self._is_near(point, bound, gap):
            return self._found(point, bound, "lp", gap, seconds)
        status = SolveStatus.TIME_LIMIT
        tightest, best = (min, max) if form.maximise else (max, min)
        # nearly whole is not whole: what a large coefficient makes of the difference shows when the integers are fixed,
        # and is searched for once more with a finer measure
        for exact in (False, True):
            if perf_counter() >= deadline:
                break
            status, better, whole = self._branch(gap, deadline, seconds, exact)
            bound = bound if isnan(better) else tightest(bound, better)
            if status in (SolveStatus.INFEASIBLE, SolveStatus.TIME_LIMIT):
                break
            points = [each for each in (point, whole) if each is not None]
            point = best(points, key=form.objective, default=None)
            if point is not None and self._is_near(point, bound, max(gap, _OPTIMAL_GAP)):
                break
        self._has_duals = False
        if status is SolveStatus.INFEASIBLE:
            return self._infeasible("branch", integrality(form, relaxed), seconds)
        if point is not None:
            return self._found(point, bound, "branch", gap, seconds)
        if perf_counter() < deadline:
            raise RuntimeError(
                "the solver found no whole numbers that obey the constraints: coefficients differ too much"
            )
        return Solution(SolveStatus.TIME_LIMIT, bound=bound, seconds=seconds, stopped=True)

    def _branch(
        self, gap: float, deadline: float, seconds: dict[str, float], exact: bool
    ) -> tuple[SolveStatus, float, np.ndarray | None]:
        """Branch and bound: how it ended, its bound, and the best point with its whole numbers, if it obeys all."""
        backend = self._backend
        status, bound = _timed(
            seconds, "branch", lambda: backend.solve_mip(gap, deadline - perf_counter(), exact=exact)
        )
        if status in (SolveStatus.INFEASIBLE, SolveStatus.TIME_LIMIT):
            return status, bound, None
        point = backend.mip_values()
        point[self._integers] = np.round(point[self._integers])
        limit_s = max(deadline - perf_counter(), _FIX_S)
        return status, bound, _timed(seconds, "fix", lambda: self._solve_fixed(point, limit_s))

    def _set_gates(self, on: bool) -> None:
        """Put the rows of the exclusive binaries into the loaded program, or let them go."""
        if on is not self._gates_on:
            rows = self._gates
            low, high = self._form.row_lower[rows], self._form.row_upper[rows]
            if not on:
                low, high = np.full(rows.size, -inf), np.full(rows.size, inf)
            self._backend.set_row_bounds(rows, low, high)
            self._gates_on = on

    def _is_near(self, point: np.ndarray, bound: float, gap: float) -> bool:
        """Whether the objective of a point is as near to the bound as the gap demands."""
        return relative_gap(self._form.objective(point), bound) <= gap

    def _without_point(self, status: SolveStatus, seconds: dict[str, float]) -> Solution:
        """Solution if the relaxation has none."""
        self._has_duals = False
        if status is SolveStatus.TIME_LIMIT:
            return Solution(status, seconds=seconds, stopped=True)
        if status is SolveStatus.INFEASIBLE:
            conflict = _timed(seconds, "explain", lambda: explain(self._form, self._backend_type))
            return self._infeasible("lp", conflict, seconds)
        return Solution(status, proven_by="lp", seconds=seconds)

    @staticmethod
    def _infeasible(proof: Literal["lp", "branch"], conflict: Conflict, seconds: dict[str, float]) -> Solution:
        """Solution that says what cannot hold together."""
        return Solution(
            SolveStatus.INFEASIBLE,
            proven_by=proof,
            seconds=seconds,
            conflict=conflict.sentences,
            components=conflict.components,
        )

    def _solve_fixed(self, point: np.ndarray, limit_s: float) -> np.ndarray | None:
        """Best point with the integers fixed at those of a point; None if there is none."""
        form, backend, integers = self._form, self._backend, self._integers
        self._has_duals = False
        backend.set_bounds(integers, point[integers], point[integers])
        try:
            if backend.solve_lp(limit_s) is not SolveStatus.OPTIMAL:
                return None
            self._has_duals = True
            found = backend.lp_values()
            found[integers] = point[integers]
            # solvers scale rows, and what they take for zero grows with the coefficients
            return found if form.holds(found, _HOLDS) else None
        finally:
            backend.set_bounds(integers, form.lower[integers], form.upper[integers])

    def _found(self, x: np.ndarray, bound: float, proof: Literal["lp", "branch"], gap: float, seconds) -> Solution:
        """Solution with a point; the point is kept."""
        x[self._integers] = np.round(x[self._integers])
        self._x = x
        objective = self._form.objective(x)
        # tolerances may put a point a hair beyond its bound
        bound = max(bound, objective) if self._form.maximise else min(bound, objective)
        if abs(objective - bound) <= _OPTIMAL_GAP * (1.0 + abs(objective)):
            return Solution(SolveStatus.OPTIMAL, objective, bound, proof, seconds)
        stopped = relative_gap(objective, bound) > gap
        return Solution(SolveStatus.FEASIBLE, objective, bound, None if stopped else proof, seconds, stopped=stopped)

    def values(self, columns: np.ndarray | None = None) -> np.ndarray:
        """Return the values of variables at the point that the last solve found.

        Parameters
        ----------
        columns : ndarray of int, shape (k,), optional
            From `columns`; all when left out.

        Returns
        -------
        ndarray, shape (k,)
            Values; whole numbers are exact.

        Raises
        ------
        ValueError
            If the last solve found no point.
        """
        if self._x is None:
            raise ValueError("the last solve found no point")
        return self._x.copy() if columns is None else self._x[columns]

    def duals(self, rows: np.ndarray) -> np.ndarray:
        """Return the shadow prices of constraints: change of the objective per unit of the right-hand side.

        The sign is that of the derivative, also if the objective is maximised: a limit ``<= b`` has a dual <= 0 in a
        minimisation and >= 0 in a maximisation. With integers it is the price of the last LP, in which they are
        relaxed or fixed.

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            From `rows`.

        Returns
        -------
        ndarray, shape (k,)
            Duals; one of several possible if the solution is degenerate.

        Raises
        ------
        ValueError
            If the last solve ended without an LP solution, or by branching.
        """
        return self._last_duals()[0][rows]

    def reduced_costs(self, columns: np.ndarray) -> np.ndarray:
        """Change of the objective per unit of each variable's active bound; signs and errors as for `duals`.

        Parameters
        ----------
        columns : ndarray of int, shape (k,)
            From `columns`.

        Returns
        -------
        ndarray, shape (k,)
            Reduced costs.
        """
        return self._last_duals()[1][columns]

    def _last_duals(self) -> tuple[np.ndarray, np.ndarray]:
        if not self._has_duals:
            raise ValueError("no duals: the last solve ended without an LP solution, or by branching")
        if self._duals is None:
            # GLPK gives them one by one, and most who solve never ask
            self._duals = self._backend.row_duals(), self._backend.reduced_costs()
        return self._duals


def _backend(solver: str) -> Callable[..., Any]:
    """Class of a solver; imported when asked for, since HiGHS is an extra."""
    if solver == "glpk":
        from .solvers.glpk_solver import Glpk

        return Glpk
    if solver == "highs":
        from .solvers.highs_solver import Highs

        return Highs
    raise ValueError(f"solver {solver!r}, allowed are 'glpk' and 'highs'")


def _timed(seconds: dict[str, float], stage: str, function: Callable[[], T]) -> T:
    """Result of a call; its wall time is added up."""
    start = perf_counter()
    result = function()
    seconds[stage] = seconds.get(stage, 0.0) + perf_counter() - start
    return result


def _aligned(places: ArrayLike, size: int, *numbers) -> tuple[np.ndarray, ...]:
    """Places checked, and for each argument as many numbers."""
    places = np.asarray(places, dtype=int)
    if places.size and not 0 <= places.min() <= places.max() < size:
        raise ValueError(f"index {places.min()} to {places.max()}, allowed is 0 to {size - 1}")
    return places, *(np.broadcast_to(np.asarray(x, dtype=float).ravel(), places.shape) for x in numbers)


def _put(places: np.ndarray, *pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Write numbers into arrays at these places; returns the places where any is new."""
    new = np.zeros(places.shape, dtype=bool)
    for array, numbers in pairs:
        new |= array[places] != numbers
    for array, numbers in pairs:
        array[places] = numbers
    return np.unique(places[new])
