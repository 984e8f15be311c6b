"""Two-stage robust optimisation by column-and-constraint generation (Zeng & Zhao 2013).

The first stage x is decided before the uncertainty is known, the recourse y after it::

    min  cost x + max over s of  min  recourse_cost y
                                 s.t. G y + (E + T(s)) x + H s >= rhs     (= in the rows marked `equal`)

with linear limits on x, bounds on y, and s in {0, 1}^k with linear side constraints. T(s) holds products of s and x.
A master problem with the recourse of the worst cases found so far gives a lower bound. The worst case of its x, found
by a mixed-integer sub-problem, gives an upper bound and the next recourse to add.

Where the recourse falls into parts that meet in x alone, each part has worst cases of its own: few small sub-problems
instead of a large one, and a master problem that combines the worst cases of all parts.

The sub-problem (`worst_case`) is the dual of the recourse, in which s meets the dual prices in products only. Such a
product is linear in a binary and a price with known bounds, see `worst_case.price_bounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, isnan
from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..program import Program
from ..solution import SolveStatus
from ..standard_form import form_of_arrays
from .two_stage_problem import Part, TwoStage, recourse_parts
from .worst_case import GAP, Worst, WorstCase


class Iteration(NamedTuple):
    """One round: bounds of the optimum so far, recourse cost in the worst case found, and wall times [s]."""

    lower: float
    upper: float
    worst: float
    master_s: float
    worst_s: float


@dataclass(frozen=True)
class Robust:
    """The result of the method.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The first stage of the best upper bound.
    lower, upper : float
        The optimum lies between; nearer than the tolerance unless time or rounds were up.
    worst : float
        Recourse cost of `x` in its worst case.
    scenarios : ndarray, shape (l, k)
        Some s whose parts are those in the last master problem.
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
    incumbent: tuple[np.ndarray, float] | None = None,
    max_rounds: int = 200,
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
    incumbent : tuple of ndarray, shape (n,), and float, optional
        A first stage that obeys the limits, and what its recourse costs at most: an upper bound to start with.
    max_rounds : int
        After so many the bounds stay open; the method is finite, and every round adds another s.
    time_limit_s : float, optional
        Wall time [s], looked at before and within each linear or mixed-integer program; the round in which it ends is
        the last. Not counted is the first master problem where there is no incumbent, since some x is returned. What
        is not proven by then leaves a wider upper bound, inf if there is none.
    tell : callable, optional
        Called after each round.

    Returns
    -------
    Robust

    Raises
    ------
    ValueError
        If no x obeys the limits (with what is in conflict), a recourse is infeasible, prices have no bound, or there is
        less than one round.
    """
    if max_rounds < 1:
        raise ValueError(f"{max_rounds} rounds: allowed are numbers >= 1")
    deadline = inf if time_limit_s is None else perf_counter() + time_limit_s
    parts = [_ScenarioPart(part, solver, start) for part in recourse_parts(problem)]
    log: list[Iteration] = []
    best, best_worst = incumbent or (np.zeros(0), inf)
    lower, upper = _lower_bound(problem), float(problem.cost @ best) + best_worst if best.size else inf
    with ExitStack() as stack:
        for number in range(max_rounds):
            began = perf_counter()
            left_s = _left(deadline) if number or best.size else None
            solved = None if left_s == 0.0 else _master(problem, parts, solver, left_s)
            if solved is None:
                break
            x, bound, paid = solved
            lower = max(lower, bound)
            between = perf_counter()
            value = best_worst
            if number or not upper - lower < tolerance:
                cases = [part.worst(x, deadline, stack) for part in parts]
                value = sum(case.bound for case in cases)
                total = float(problem.cost @ x) + value
                if total < upper or not best.size:
                    upper, best, best_worst = total, x, value
            else:
                cases = []
            log.append(Iteration(lower, upper, value, between - began, perf_counter() - between))
            if tell is not None:
                tell(log[-1])
            if upper - lower < tolerance or perf_counter() >= deadline:
                break
            added = [part.add(case, cost) for part, case, cost in zip(parts, cases, paid, strict=True)]
            if not any(added):
                break  # to the digits of the solver nothing new is left, and the bounds stay open
    return Robust(best, lower, upper, best_worst, _together(parts, problem), tuple(log))


def _lower_bound(problem: TwoStage) -> float:
    """What the optimum costs at least, by the bounds of x and the costs of the recourse."""
    paid = np.flatnonzero(problem.cost)
    ends = [problem.cost[paid] * bound[paid] for bound in (problem.lower, problem.upper)]
    return float(np.minimum(*ends).sum()) + problem.floor


def _left(deadline: float) -> float | None:
    """Time until then [s], None for ever."""
    return None if deadline == inf else max(deadline - perf_counter(), 0.0)


class _ScenarioPart:
    """A part of the recourse, its worst cases so far, and its sub-problem, which is loaded when it is first asked."""

    def __init__(self, part: Part, solver: str, start: Sequence[np.ndarray]):
        self.part, self._solver = part, solver
        self.scenarios: list[np.ndarray] = []
        for s in start:
            self._note(np.asarray(s, dtype=float)[part.s])
        self._sub: WorstCase | None = None
        self._last: tuple[np.ndarray, Worst] | None = None

    def worst(self, x: np.ndarray, deadline: float, stack: ExitStack) -> Worst:
        """Solve for the worst case of an x; the answer is kept as long as the x of this part stays the same."""
        mine = x[self.part.x]
        if self._last is None or not np.array_equal(self._last[0], mine):
            if self._sub is None:
                if perf_counter() >= deadline:
                    return _NO_TIME
                try:
                    self._sub = stack.enter_context(WorstCase(self.part.problem, self._solver, deadline))
                except TimeoutError:
                    return _NO_TIME
            self._last = mine, self._sub.of(mine, _left(deadline))
        return self._last[1]

    def add(self, worst: Worst, paid: float) -> bool:
        """Add a worst case that costs more than the master paid; return whether it is new."""
        return worst.s is not None and worst.cost > paid + _NOTHING and self._note(worst.s)

    def _note(self, s: np.ndarray) -> bool:
        new = not any(np.array_equal(s, known) for known in self.scenarios)
        if new:
            self.scenarios.append(s)
        return new


_NOTHING = 1e-9
_NO_TIME = Worst(inf, -inf, None)


def _together(parts: list[_ScenarioPart], problem: TwoStage) -> np.ndarray:
    """Scenarios of all parts side by side; a part with fewer repeats its last."""
    count = max((len(part.scenarios) for part in parts), default=0)
    scenarios = np.zeros((count, problem.H.shape[1]))
    for part in parts:
        for row in range(count if part.scenarios else 0):
            scenarios[row, part.part.s] = part.scenarios[min(row, len(part.scenarios) - 1)]
    return scenarios


def _master(
    problem: TwoStage, parts: list[_ScenarioPart], solver: str, time_limit_s: float | None
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Best x against the scenarios, eq. (39)-(44), a lower bound of the optimum, and the cost of each part.

    None if there was no time for a point with a bound.
    """
    n, p, count = problem.cost.size, problem.limits_lower.size, len(parts)
    floors = np.array([part.part.problem.floor for part in parts])
    cost, low, high = [problem.cost, np.ones(count)], [problem.lower, floors], [problem.upper, np.full(count, inf)]
    blocks: list[list] = []
    lower, upper = [problem.limits_lower], [problem.limits_upper]
    copies = [(number, part, s) for number, part in enumerate(parts) for s in part.scenarios]
    for k, (number, known, s) in enumerate(copies):
        part = known.part.problem
        E, rhs = part.at(s)
        m, here = part.recourse_cost.size, sparse.coo_array(E)
        E = sparse.csr_array((here.data, (here.row, known.part.x[here.col])), shape=(rhs.size, n))
        eta = sparse.csr_array((np.ones(1), (np.zeros(1, int), np.array([number]))), shape=(1, count))
        empty: list = [None] * len(copies)
        blocks.append([E, None, *empty[:k], part.G, *empty[k + 1 :]])
        blocks.append([None, eta, *empty[:k], sparse.csr_array(-part.recourse_cost[None, :]), *empty[k + 1 :]])
        lower += [rhs, np.zeros(1)]
        upper += [np.where(part.equal, rhs, inf), np.full(1, inf)]
        cost.append(np.zeros(m))
        low.append(part.recourse_lower)
        high.append(part.recourse_upper)
    widths = [sparse.csr_array((p, part.size)) for part in cost[1:]]
    matrix = sparse.block_array([[problem.limits, *widths], *blocks], format="csr")
    costs, lows, highs = (np.concatenate(part) for part in (cost, low, high))
    integer = np.concatenate([problem.integer, np.zeros(costs.size - n, dtype=bool)])
    bounds = np.concatenate(lower), np.concatenate(upper)
    with Program(form_of_arrays(matrix, costs, lows, highs, *bounds, integer=integer), solver) as program:
        solution = program.solve(gap=GAP, time_limit_s=time_limit_s)
        if solution.status is SolveStatus.TIME_LIMIT:
            return None
        if not solution.ok:
            conflicts = "; ".join(solution.conflict[:5])
            raise ValueError(f"the first stage is {solution.status.value}{': ' if conflicts else ''}{conflicts}")
        if isnan(solution.bound):
            return None
        values = program.values()
    return values[:n], solution.bound, values[n : n + count]
