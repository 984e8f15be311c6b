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

Matrix = Any
"""A `scipy.sparse.csr_array`, whose types say nothing useful."""


class Products(NamedTuple):
    """Terms ``value * s[scenario] * x[first]`` in the recourse rows; four arrays of one length."""

    row: np.ndarray
    scenario: np.ndarray
    first: np.ndarray
    value: np.ndarray


_NONE = np.zeros(0, dtype=int)
NO_PRODUCTS = Products(_NONE, _NONE, _NONE, np.zeros(0))


@dataclass(frozen=True)
class TwoStage:
    """The numbers of a two-stage problem with n first-stage variables, m recourse variables, r rows, k binaries.

    Parameters
    ----------
    cost, lower, upper : ndarray, shape (n,)
        Costs and bounds of x.
    integer : ndarray of bool, shape (n,)
        Which x are whole numbers.
    limits : scipy.sparse.csr_array, shape (p, n)
        ``limits_lower <= limits x <= limits_upper``.
    limits_lower, limits_upper : ndarray, shape (p,)
        Bounds of these rows.
    recourse_cost, recourse_lower, recourse_upper : ndarray, shape (m,)
        Costs and bounds of y.
    G, E, H : scipy.sparse.csr_array, shapes (r, m), (r, n), (r, k)
        Coefficients of y, x and s.
    rhs : ndarray, shape (r,)
        Right-hand side.
    equal : ndarray of bool, shape (r,)
        Rows that are equations; the others are ``>=``.
    products : Products
        T(s).
    choice : scipy.sparse.csr_array, shape (q, k), optional
        Side constraints ``choice s <= choice_upper``; none when left out.
    choice_upper : ndarray, shape (q,), optional
        Their right-hand sides.

    Raises
    ------
    ValueError
        For shapes that do not fit, and a recourse that may cost minus infinity.
    """

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray
    limits: Matrix
    limits_lower: np.ndarray
    limits_upper: np.ndarray
    recourse_cost: np.ndarray
    recourse_lower: np.ndarray
    recourse_upper: np.ndarray
    G: Matrix
    E: Matrix
    H: Matrix
    rhs: np.ndarray
    equal: np.ndarray
    products: Products = NO_PRODUCTS
    choice: Matrix = field(default_factory=lambda: sparse.csr_array((0, 0)))
    choice_upper: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self):
        n, m, r = self.cost.size, self.recourse_cost.size, self.rhs.size
        k, p, q = self.H.shape[1], self.limits_lower.size, self.choice_upper.size
        if not self.choice.shape[0]:
            object.__setattr__(self, "choice", sparse.csr_array((0, k)))
        shapes = {"G": (r, m), "E": (r, n), "H": (r, k), "limits": (p, n), "choice": (q, k)}
        shapes |= {name: (n,) for name in ("lower", "upper", "integer")}
        shapes |= {name: (m,) for name in ("recourse_lower", "recourse_upper")}
        shapes |= {"equal": (r,), "limits_upper": (p,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, allowed is {shape}")
        if self.floor == -inf:
            raise ValueError("the recourse cost has no lower bound: allowed are costs >= 0 or bounds on y")

    @property
    def floor(self) -> float:
        """What the recourse costs at least."""
        cost, lower, upper = self.recourse_cost, self.recourse_lower, self.recourse_upper
        paid = np.flatnonzero(cost)
        return float(np.minimum(cost[paid] * lower[paid], cost[paid] * upper[paid]).sum())

    def at(self, s: np.ndarray) -> tuple[Matrix, np.ndarray]:
        """Coefficients of x, shape (r, n), and right-hand side, shape (r,), for one s of shape (k,)."""
        row, scenario, first, value = self.products
        part = sparse.csr_array((value * s[scenario], (row, first)), shape=self.E.shape)
        return sparse.csr_array(self.E + part), self.rhs - self.H @ s

    def effect(self, x: np.ndarray) -> Matrix:
        """Coefficients of s, shape (r, k), for one x of shape (n,)."""
        row, scenario, first, value = self.products
        part = sparse.coo_array((value * x[first], (row, scenario)), shape=self.H.shape)
        return sparse.coo_array(self.H + part)


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


def recourse_cost(problem: TwoStage, x: np.ndarray, s: np.ndarray, solver: str = "glpk") -> float:
    """Cost of the best recourse for one x and one s; inf if there is none."""
    E, rhs = problem.at(s)
    rhs = rhs - E @ x
    columns = (problem.recourse_cost, problem.recourse_lower, problem.recourse_upper)
    with ArrayProgram(problem.G, *columns, rhs, np.where(problem.equal, rhs, inf), solver=solver) as program:
        solution = program.solve()
        return solution.objective if solution.ok else inf


def vertices(F: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Corners of a bounded polytope ``F z <= f`` of few dimensions, shape (v, k).

    Parameters
    ----------
    F : ndarray, shape (p, k)
        Normals; all combinations of k rows are tried.
    f : ndarray, shape (p,)
        Right-hand sides.

    Raises
    ------
    ValueError
        If there is no corner.
    """
    found: list[np.ndarray] = []
    for rows in combinations(range(len(f)), F.shape[1]):
        part = F[list(rows)]
        if abs(np.linalg.det(part)) < 1e-9:
            continue
        corner = np.linalg.solve(part, f[list(rows)])
        if np.all(F @ corner <= f + 1e-9) and not any(np.allclose(corner, known) for known in found):
            found.append(corner)
    if not found:
        raise ValueError("the polytope has no corner")
    return np.array(found)


def one_of(problem: TwoStage, corners: np.ndarray) -> TwoStage:
    """The problem whose uncertainty is a polytope: s becomes the choice of one of its corners.

    The worst case of a polytope is at a corner, because the recourse cost is convex in s.

    Parameters
    ----------
    problem : TwoStage
        Without products; the columns of its `H` are the coordinates of the polytope.
    corners : ndarray, shape (v, k)
        From `vertices`.

    Raises
    ------
    ValueError
        If the problem has products or side constraints.
    """
    if problem.products.row.size or problem.choice_upper.size:
        raise ValueError("a polytope takes the place of s: allowed are problems without products and side constraints")
    ones = np.ones((1, len(corners)))
    return replace(
        problem,
        H=sparse.csr_array(problem.H @ corners.T),
        choice=sparse.csr_array(np.vstack([ones, -ones])),
        choice_upper=np.array([1.0, -1.0]),
    )


# --- independent parts ------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A part of a problem that shares no row with the rest, and where its x, y and s stand in the whole."""

    problem: TwoStage
    x: np.ndarray
    y: np.ndarray
    s: np.ndarray


def split(problem: TwoStage) -> list[Part]:
    """Cut a problem into parts that share nothing; their optima add up to that of the whole.

    Parameters
    ----------
    problem : TwoStage
        The whole.

    Returns
    -------
    list of Part
        Largest first; variables that stand in no row are parts of their own.
    """
    n, m, r = problem.cost.size, problem.recourse_cost.size, problem.rhs.size
    k, p, q = problem.H.shape[1], problem.limits_lower.size, problem.choice_upper.size
    x0, y0, s0, row0, limit0, choice0 = np.cumsum([0, n, m, k, r, p])
    row, scenario, first, _ = problem.products
    edges = [(problem.G, row0, y0), (problem.E, row0, x0), (problem.H, row0, s0)]
    edges += [(problem.limits, limit0, x0), (problem.choice, choice0, s0)]
    ends = [(matrix.tocoo().row + down, matrix.tocoo().col + right) for matrix, down, right in edges]
    ends += [(row + row0, scenario + s0), (row + row0, first + x0)]
    size = int(choice0 + q)
    start, end = (np.concatenate([pair[side] for pair in ends]) for side in (0, 1))
    graph = sparse.coo_array((np.ones(start.size), (start, end)), shape=(size, size))
    count, part_of = csgraph.connected_components(graph, directed=False)
    groups = np.split(np.argsort(part_of, kind="stable"), np.cumsum(np.bincount(part_of, minlength=count))[:-1])
    places = [0, int(x0 + n), int(y0 + m), int(s0 + k), int(row0 + r), int(limit0 + p), size]
    new = np.zeros(size, dtype=int)  # place within its part
    parts = []
    products_of = part_of[row + row0]
    product_order = np.argsort(products_of, kind="stable")
    product_ends = np.searchsorted(products_of[product_order], np.arange(count + 1))
    for number, group in enumerate(groups):
        cuts = np.searchsorted(group, places)
        xs, ys, ss, rows, lims, chs = (group[cuts[i] : cuts[i + 1]] - places[i] for i in range(6))
        if not (xs.size or ys.size or ss.size):
            if rows.size and problem.rhs[rows[0]] > 1e-9:
                raise ValueError(f"a row without variables asks for {problem.rhs[rows[0]]}: allowed are numbers <= 0")
            continue
        for offset, members in zip(places, (xs, ys, ss, rows), strict=False):
            new[members + offset] = np.arange(members.size)
        mine = product_order[product_ends[number] : product_ends[number + 1]]
        parts.append(
            Part(
                TwoStage(
                    problem.cost[xs],
                    problem.lower[xs],
                    problem.upper[xs],
                    problem.integer[xs],
                    sparse.csr_array(problem.limits[lims][:, xs]),
                    problem.limits_lower[lims],
                    problem.limits_upper[lims],
                    problem.recourse_cost[ys],
                    problem.recourse_lower[ys],
                    problem.recourse_upper[ys],
                    sparse.csr_array(problem.G[rows][:, ys]),
                    sparse.csr_array(problem.E[rows][:, xs]),
                    sparse.csr_array(problem.H[rows][:, ss]),
                    problem.rhs[rows],
                    problem.equal[rows],
                    Products(
                        new[row[mine] + row0],
                        new[scenario[mine] + s0],
                        new[first[mine] + x0],
                        problem.products.value[mine],
                    ),
                    sparse.csr_array(problem.choice[chs][:, ss]),
                    problem.choice_upper[chs],
                ),
                xs,
                ys,
                ss,
            )
        )
    return sorted(parts, key=lambda part: -part.y.size)


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


# --- sub-problem ------------------------------------------------------------------------------------------------------


class _WorstCase:
    """The dual sub-problem, eq. (49)-(51), loaded once; x stands in its costs only."""

    def __init__(self, problem: TwoStage, solver: str):
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
        least, most = _price_bounds(problem, self._touched, solver)

        m, q = problem.recourse_cost.size, problem.choice_upper.size
        (r, k), c, w = problem.H.shape, capped.size, self._touched.size
        dual, floor = _dual_rows(problem)
        minus_price = sparse.csr_array((-np.ones(w), (np.arange(w), self._touched)), shape=(w, r + c))
        choose = sparse.csr_array((np.ones(w), (np.arange(w), self._by)), shape=(w, k))
        product = sparse.csr_array(sparse.eye_array(w))
        low_w, high_w = least[self._touched], most[self._touched]

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
        self._prices, self._choices, self._effects = (
            slice(0, r), slice(r + c, r + c + k), slice(r + c + k, r + c + k + w)
        )  # fmt: skip
        self._program = ArrayProgram(
            matrix,
            np.concatenate([np.zeros(r), -self._room[capped], np.zeros(k + w)]),
            np.concatenate([least, np.zeros(c + k), np.minimum(low_w, 0.0)]),
            np.concatenate([most, np.full(c, inf), np.ones(k), np.maximum(high_w, 0.0)]),
            row_lower,
            row_upper,
            integer=integer,
            maximise=True,
            solver=solver,
        )

    def __enter__(self) -> _WorstCase:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()

    def of(self, x: np.ndarray, time_limit_s: float | None) -> tuple[float, float, np.ndarray | None]:
        """What the recourse of x costs at most, the cost of the worst case found, and the s of it (None: no time)."""
        self._program.set_costs(self._prices, self._rhs - self._problem.E @ x)
        if self._touched.size:
            effect: Any = sparse.csr_array(self._problem.effect(x))
            self._program.set_costs(self._effects, -np.asarray(effect[self._touched, self._by]).ravel())
        solution = self._program.solve(time_limit_s=time_limit_s)
        if solution.status is Status.TIME_LIMIT:
            return (inf if isnan(solution.bound) else solution.bound + self._constant), -inf, None
        if not solution.ok:
            raise ValueError(
                "the recourse is infeasible in some case; allowed are rows that a slack with a penalty keeps"
            )
        bound = solution.bound if solution.stopped else solution.objective
        return bound + self._constant, solution.objective + self._constant, self._program.values()[self._choices]


def _dual_rows(problem: TwoStage) -> tuple[Matrix, np.ndarray]:
    """Dual constraints over the prices of rows and of finite upper bounds of y, and their lower bounds.

    The upper bounds are the costs of y; a y without lower bound makes an equation.
    """
    G, capped = sparse.csr_array(problem.G.T), np.flatnonzero(np.isfinite(problem.recourse_upper))
    size = problem.recourse_cost.size, capped.size
    cap = sparse.csr_array((-np.ones(capped.size), (capped, np.arange(capped.size))), shape=size)
    floor = np.where(np.isfinite(problem.recourse_lower), -inf, problem.recourse_cost)
    return sparse.csr_array(sparse.hstack([G, cap])), floor


def _price_bounds(problem: TwoStage, touched: np.ndarray, solver: str) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the dual prices of all rows; those of the rows that s touches are finite."""
    least = np.where(problem.equal, -inf, 0.0)
    most = np.full(problem.rhs.size, inf)
    columns: Any = sparse.csc_array(problem.G)
    alone = np.flatnonzero(np.diff(columns.indptr) == 1)
    row, factor = columns.indices[columns.indptr[alone]], columns.data[columns.indptr[alone]]
    limit = problem.recourse_cost[alone] / factor
    open_up, open_down = ~np.isfinite(problem.recourse_upper[alone]), ~np.isfinite(problem.recourse_lower[alone])
    caps = (open_up & (factor > 0)) | (open_down & (factor < 0))
    floors = (open_up & (factor < 0)) | (open_down & (factor > 0))
    np.minimum.at(most, row[caps], limit[caps])
    np.maximum.at(least, row[floors], limit[floors])

    unknown = [i for i in np.unique(touched) if not (np.isfinite(least[i]) and np.isfinite(most[i]))]
    if unknown:
        matrix, floor = _dual_rows(problem)
        more = matrix.shape[1] - least.size
        lower, upper = np.append(least, np.zeros(more)), np.append(most, np.full(more, inf))
        cost = np.zeros(lower.size)
        with ArrayProgram(matrix, cost, lower, upper, floor, problem.recourse_cost, solver=solver) as program:
            for i in unknown:
                for sign, bounds in ((-1.0, most), (1.0, least)):
                    program.set_costs([i], sign)
                    solution = program.solve()
                    if not solution.ok:
                        raise ValueError(f"the price of recourse row {i} has no bound: it needs a slack with a penalty")
                    bounds[i] = sign * solution.objective
                program.set_costs([i], 0.0)
    return least, most
