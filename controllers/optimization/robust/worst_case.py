"""The worst case of a two-stage problem: the dual sub-problem."""

from __future__ import annotations

from math import inf, isnan
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..program import Program
from ..solution import SolveStatus
from ..standard_form import form_of_arrays
from .two_stage_problem import Matrix, TwoStage

GAP = 1e-9
"""Relative gap of the mixed-integer programs: far below the tolerance of the rounds."""


def recourse_cost(problem: TwoStage, x: np.ndarray, s: np.ndarray, solver: str = "glpk") -> float:
    """Compute the cost of the best recourse for one x and one s; inf if there is none."""
    E, rhs = problem.at(s)
    rhs = rhs - E @ x
    columns = (problem.recourse_cost, problem.recourse_lower, problem.recourse_upper)
    with Program(form_of_arrays(problem.G, *columns, rhs, np.where(problem.equal, rhs, inf)), solver) as program:
        solution = program.solve()
        return solution.objective if solution.ok else inf


class Worst(NamedTuple):
    """What the recourse of an x costs at most, and the costliest s found with its cost (None: no time)."""

    bound: float
    cost: float
    s: np.ndarray | None


class WorstCase:
    """The dual sub-problem, eq. (49)-(51), loaded once; x stands in its costs only.

    Parameters
    ----------
    problem : TwoStage
        The problem.
    solver : {'glpk', 'highs'}
        Who solves it.
    deadline : float
        Value of `time.perf_counter` after which bounds of prices are no longer looked for.

    Raises
    ------
    ValueError
        If a price that s meets has no bound.
    TimeoutError
        If the deadline is over before all are found.
    """

    def __init__(self, problem: TwoStage, solver: str, deadline: float = inf):
        self._problem = problem
        low = np.where(np.isfinite(problem.recourse_lower), problem.recourse_lower, 0.0)
        self._rhs = problem.rhs - problem.G @ low  # y counts from its lower bound
        self._constant = float(problem.recourse_cost @ low)
        self._room = problem.recourse_upper - low
        capped = np.flatnonzero(np.isfinite(problem.recourse_upper))

        pattern: Any = sparse.coo_array(
            (np.ones(problem.products.row.size), problem.products[:2]), shape=problem.H.shape
        )
        pattern = pattern + abs(problem.H)
        pattern = sparse.coo_array(pattern)
        self._touched, self._by = pattern.row, pattern.col
        price_min, price_max = price_bounds(problem, self._touched, solver, deadline)

        m, q = problem.recourse_cost.size, problem.choice_upper.size
        (r, k), c, w = problem.H.shape, capped.size, self._touched.size
        dual, floor = _dual_rows(problem)
        minus_price = sparse.csr_array((-np.ones(w), (np.arange(w), self._touched)), shape=(w, r + c))
        choose = sparse.csr_array((np.ones(w), (np.arange(w), self._by)), shape=(w, k))
        product = sparse.csr_array(sparse.eye_array(w))
        low_w, high_w = price_min[self._touched], price_max[self._touched]

        def times(diagonal: np.ndarray) -> Matrix:
            return sparse.csr_array(sparse.diags_array(diagonal) @ choose)

        def empty(rows: int, columns: int) -> Matrix:
            return sparse.csr_array((rows, columns))

        rows = [
            ([dual, empty(m, k), empty(m, w)], floor, problem.recourse_cost),
            ([empty(w, r + c), times(-high_w), product], -inf, np.zeros(w)),
            ([empty(w, r + c), times(-low_w), product], np.zeros(w), inf),
            ([minus_price, times(-low_w), product], -inf, -low_w),
            ([minus_price, times(-high_w), product], -high_w, inf),
            ([empty(q, r + c), problem.choice, empty(q, w)], -inf, problem.choice_upper),
        ]
        matrix = sparse.csr_array(sparse.block_array([row for row, _, _ in rows], format="csr"))
        heights = [row[0].shape[0] for row, _, _ in rows]
        row_lower = np.concatenate([np.broadcast_to(b, h) for (_, b, _), h in zip(rows, heights, strict=True)])
        row_upper = np.concatenate([np.broadcast_to(b, h) for (_, _, b), h in zip(rows, heights, strict=True)])
        integer = np.zeros(r + c + k + w, dtype=bool)
        integer[r + c : r + c + k] = True
        self._prices = np.arange(r)
        self._choices = np.arange(r + c, r + c + k)
        self._effects = np.arange(r + c + k, r + c + k + w)
        self._program = Program(
            form_of_arrays(
                matrix,
                np.concatenate([np.zeros(r), -self._room[capped], np.zeros(k + w)]),
                np.concatenate([price_min, np.zeros(c + k), np.minimum(low_w, 0.0)]),
                np.concatenate([price_max, np.full(c, inf), np.ones(k), np.maximum(high_w, 0.0)]),
                row_lower,
                row_upper,
                integer=integer,
                maximise=True,
            ),
            solver,
        )

    def __enter__(self) -> WorstCase:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()

    def of(self, x: np.ndarray, time_limit_s: float | None) -> Worst:
        """Solve for the worst case of an x, shape (n,); it is proven if bound and cost agree.

        Raises
        ------
        ValueError
            If the recourse is infeasible in some case.
        """
        self._program.set_costs(self._prices, self._rhs - self._problem.E @ x)
        if self._touched.size:
            effect: Any = sparse.csr_array(self._problem.effect(x))
            self._program.set_costs(self._effects, -np.asarray(effect[self._touched, self._by]).ravel())
        solution = self._program.solve(gap=GAP, time_limit_s=time_limit_s)
        if solution.status is SolveStatus.TIME_LIMIT:
            return Worst(inf if isnan(solution.bound) else solution.bound + self._constant, -inf, None)
        if not solution.ok:
            raise ValueError(
                "the recourse is infeasible in some case; allowed are rows that a slack with a penalty keeps"
            )
        bound = solution.bound if solution.stopped else solution.objective
        s = self._program.values()[self._choices]
        return Worst(bound + self._constant, solution.objective + self._constant, s)


def _dual_rows(problem: TwoStage) -> tuple[Matrix, np.ndarray]:
    """Dual constraints over the prices of rows and of finite upper bounds of y, and their lower bounds.

    The upper bounds are the costs of y; a y without lower bound makes an equation.
    """
    G, capped = sparse.csr_array(problem.G.T), np.flatnonzero(np.isfinite(problem.recourse_upper))
    size = problem.recourse_cost.size, capped.size
    cap = sparse.csr_array((-np.ones(capped.size), (capped, np.arange(capped.size))), shape=size)
    floor = np.where(np.isfinite(problem.recourse_lower), -inf, problem.recourse_cost)
    return sparse.csr_array(sparse.hstack([G, cap])), floor


def price_bounds(
    problem: TwoStage, touched: np.ndarray, solver: str, deadline: float = inf
) -> tuple[np.ndarray, np.ndarray]:
    """Compute bounds of the dual prices of all rows, shape (r,) each; finite for the rows in which s stands.

    These are the big M of the products ``w = s * price``, whose exact envelope over a binary s and a price between m
    and M is ``m s <= w <= M s`` and ``price - M (1 - s) <= w <= price - m (1 - s)``. They are not guessed:

    - the price of an inequality is >= 0;
    - a column with cost c and no upper bound that stands in one row alone, with coefficient g, is a dual constraint of
      one price, ``g * price <= c``. A slack of penalty b in each direction gives ``-b <= price <= b``;
    - what is still open and met by s is minimised and maximised over all dual constraints, one linear program each.

    They hold at every dual point, so they cut off none, for any x. A price without bound means that the recourse is
    infeasible for some right-hand side.

    Parameters
    ----------
    problem : TwoStage
        The problem.
    touched : ndarray of int
        Rows that s meets.
    solver : {'glpk', 'highs'}
        Who solves the linear programs.
    deadline : float
        Value of `time.perf_counter` after which no further program is begun.

    Raises
    ------
    ValueError
        If such a price has no bound.
    TimeoutError
        If the deadline is over before all are found.
    """
    price_min = np.where(problem.equal, -inf, 0.0)
    price_max = np.full(problem.rhs.size, inf)
    columns: Any = sparse.csc_array(problem.G)
    alone = np.flatnonzero(np.diff(columns.indptr) == 1)
    row, factor = columns.indices[columns.indptr[alone]], columns.data[columns.indptr[alone]]
    limit = problem.recourse_cost[alone] / factor
    open_up, open_down = ~np.isfinite(problem.recourse_upper[alone]), ~np.isfinite(problem.recourse_lower[alone])
    caps = (open_up & (factor > 0)) | (open_down & (factor < 0))
    floors = (open_up & (factor < 0)) | (open_down & (factor > 0))
    np.minimum.at(price_max, row[caps], limit[caps])
    np.maximum.at(price_min, row[floors], limit[floors])

    unknown = [i for i in np.unique(touched) if not (np.isfinite(price_min[i]) and np.isfinite(price_max[i]))]
    if unknown:
        matrix, floor = _dual_rows(problem)
        more = matrix.shape[1] - price_min.size
        lower, upper = np.append(price_min, np.zeros(more)), np.append(price_max, np.full(more, inf))
        cost = np.zeros(lower.size)
        with Program(form_of_arrays(matrix, cost, lower, upper, floor, problem.recourse_cost), solver) as program:
            for i in unknown:
                if perf_counter() >= deadline:
                    raise TimeoutError(f"the bound of the price of recourse row {i} was not found in time")
                for sign, bounds in ((-1.0, price_max), (1.0, price_min)):
                    program.set_costs([i], sign)
                    solution = program.solve()
                    if not solution.ok:
                        raise ValueError(f"the price of recourse row {i} has no bound: it needs a slack with a penalty")
                    bounds[i] = sign * solution.objective
                program.set_costs([i], 0.0)
    return price_min, price_max
