"""Two-stage robust optimisation by column-and-constraint generation (Zeng & Zhao 2013).

The first stage x is decided before the uncertainty is known, the recourse y after it::

    min  cost x + max over s of  min  recourse_cost y
                                 s.t. G y + (E + T(s)) x + H s >= rhs     (= in the rows marked `equal`)

with linear limits on x, bounds on y, and s in {0, 1}^k with linear side constraints. T(s) holds products of s and x.
A master problem with the recourse of the worst cases found so far gives a lower bound. The worst case of its x, found
by a mixed-integer sub-problem, gives an upper bound and the next recourse to add.

The sub-problem is the dual of the recourse, in which s meets the dual prices in products only. Such a product is linear
in a binary and a price with known bounds. These big M are not guessed, they follow from the dual constraints: a row
with a slack of penalty b has a price of at most b, and for other rows a linear program finds the bound. A recourse
without such bounds is infeasible for some right-hand side, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import inf, isnan
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from .array_program import ArrayProgram
from .solution import Status

class Iteration(NamedTuple):
    """One round: bounds of the optimum so far, recourse cost in the worst case found, and wall times [s]."""

    lower: float
    upper: float
    worst: float
    master_s: float
    worst_s: float


@dataclass(frozen=True)
class Robust:
    """What the method found.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The first stage of the best upper bound.
    lower, upper : float
        The optimum lies between; nearer than the tolerance unless a time limit ended a sub-problem.
    worst : float
        Recourse cost of `x` in its worst case.
    scenarios : ndarray, shape (l, k)
        The s whose recourse stands in the last master problem.
    log : tuple of Iteration
        One for each round.
    """

    x: np.ndarray
    lower: float
    upper: float
    worst: float
    scenarios: np.ndarray
    log: tuple[Iteration, ...]


def solve(
    problem: TwoStage,
    *,
    solver: str = "glpk",
    tolerance: float = 1e-3,
    start: Sequence[np.ndarray] = (),
    most_rounds: int = 200,
    time_limit_s: float | None = None,
    tell: Callable[[Iteration], None] | None = None,
) -> Robust:
    """Solve a two-stage problem.

    Parameters
    ----------
    problem : TwoStage
        The problem.
    solver : {'glpk', 'highs'}
        Who solves master and sub-problem.
    tolerance : float
        Stops when upper and lower bound are nearer than this; in the unit of the cost.
    start : sequence of ndarray, shape (k,)
        Values of s whose recourse the first master problem has already.
    most_rounds : int
        More rounds are an error; the method is finite, and every round adds another s.
    time_limit_s : float, optional
        Wall time for each sub-problem [s]. A worst case that is not proven by then leaves a wider upper bound, and ends
        the method when it brings nothing new.
    tell : callable, optional
        Called after each round.

    Returns
    -------
    Robust

    Raises
    ------
    ValueError
        If no x obeys the limits (with what is in conflict), a recourse is infeasible, or prices have no bound.
    RuntimeError
        If the bounds do not meet within `most_rounds`.
    """
    scenarios = [np.asarray(s, dtype=float) for s in start]
    log: list[Iteration] = []
    lower, upper, best, best_worst = -inf, inf, np.zeros(0), inf
    with _WorstCase(problem, solver) as worst_case:
        for _ in range(most_rounds):
            began = perf_counter()
            x, bound = _master(problem, scenarios, solver)
            lower = max(lower, bound)
            between = perf_counter()
            value, seen, s = worst_case.of(x, time_limit_s)
            total = float(problem.cost @ x) + value
            if total < upper or not best.size:
                upper, best, best_worst = total, x, value
            log.append(Iteration(lower, upper, value, between - began, perf_counter() - between))
            if tell is not None:
                tell(log[-1])
            # without a proof, a case that costs no more than what the master knows brings nothing
            stuck = seen < value and float(problem.cost @ x) + seen - lower < tolerance
            if upper - lower < tolerance or stuck or s is None:
                found = np.array(scenarios).reshape(len(scenarios), problem.H.shape[1])
                return Robust(best, lower, upper, best_worst, found, tuple(log))
            if any(np.array_equal(s, known) for known in scenarios):
                raise RuntimeError(f"the same worst case again, with bounds {lower} and {upper}: numerical trouble")
            scenarios.append(s)
    raise RuntimeError(f"bounds {lower} and {upper} after {most_rounds} rounds")


# --- master problem ---------------------------------------------------------------------------------------------------


def _master(problem: TwoStage, scenarios: list[np.ndarray], solver: str) -> tuple[np.ndarray, float]:
    """Best x against the scenarios, eq. (39)-(44), and a lower bound of the optimum."""
    n, m, p, count = problem.cost.size, problem.recourse_cost.size, problem.limits_lower.size, len(scenarios)
    sides = [problem.at(s) for s in scenarios]
    rows: list[list] = [[problem.limits, sparse.csr_array((p, 1)), sparse.csr_array((p, m * count))]]
    lower, upper = [problem.limits_lower], [problem.limits_upper]
    if count:
        copies = sparse.eye_array(count)
        eta = sparse.csr_array(np.ones((count, 1)))
        rows.append([sparse.vstack([E for E, _ in sides]), None, sparse.kron(copies, problem.G)])
        rows.append([None, eta, sparse.kron(copies, -problem.recourse_cost[None, :])])
        rhs = np.concatenate([rhs for _, rhs in sides])
        lower += [rhs, np.zeros(count)]
        upper += [np.where(np.tile(problem.equal, count), rhs, inf), np.full(count, inf)]
    columns = (
        np.concatenate([problem.cost, [1.0], np.zeros(m * count)]),
        np.concatenate([problem.lower, [problem.floor], np.tile(problem.recourse_lower, count)]),
        np.concatenate([problem.upper, [inf], np.tile(problem.recourse_upper, count)]),
    )
    integer = np.concatenate([problem.integer, np.zeros(1 + m * count, dtype=bool)])
    matrix = sparse.block_array(rows, format="csr")
    bounds = np.concatenate(lower), np.concatenate(upper)
    with ArrayProgram(matrix, *columns, *bounds, integer=integer, solver=solver) as program:
        solution = program.solve()
        if not solution.ok:
            told = "; ".join(solution.conflict[:5])
            raise ValueError(f"the first stage is {solution.status.value}{': ' if told else ''}{told}")
        return program.values()[:n], solution.bound


