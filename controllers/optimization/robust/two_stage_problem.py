"""A two-stage problem as matrices, and how it is cut into parts and restricted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import inf
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

Matrix = Any
"""A `scipy.sparse.csr_array`, whose types say nothing useful."""


class Products(NamedTuple):
    """Terms ``value * s[scenario] * x[first]`` in the recourse rows; four arrays of one length."""

    row: np.ndarray
    scenario: np.ndarray
    first: np.ndarray
    value: np.ndarray


_NONE = np.zeros(0, dtype=int)
_ZERO = 1e-9
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
        """Return the coefficients of x, shape (r, n), and the right-hand side, shape (r,), for one s of shape (k,)."""
        row, scenario, first, value = self.products
        part = sparse.csr_array((value * s[scenario], (row, first)), shape=self.E.shape)
        return sparse.csr_array(self.E + part), self.rhs - self.H @ s

    def effect(self, x: np.ndarray) -> Matrix:
        """Return the coefficients of s, shape (r, k), for one x of shape (n,)."""
        row, scenario, first, value = self.products
        part = sparse.coo_array((value * x[first], (row, scenario)), shape=self.H.shape)
        return sparse.coo_array(self.H + part)


def vertices(F: np.ndarray, f: np.ndarray) -> np.ndarray:
    """List the corners of a bounded polytope ``F z <= f`` of few dimensions, shape (v, k).

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
    corners: list[np.ndarray] = []
    for rows in combinations(range(len(f)), F.shape[1]):
        part = F[list(rows)]
        if abs(np.linalg.det(part)) < 1e-9:
            continue
        corner = np.linalg.solve(part, f[list(rows)])
        if np.all(F @ corner <= f + 1e-9) and not any(np.allclose(corner, known) for known in corners):
            corners.append(corner)
    if not corners:
        raise ValueError("the polytope has no corner")
    return np.array(corners)


def one_of(problem: TwoStage, corners: np.ndarray) -> TwoStage:
    """Convert the uncertainty from a polytope to a choice: s selects one of its corners.

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


class Part(NamedTuple):
    """A part of a problem, and where its x, y and s stand in the whole."""

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

    Raises
    ------
    ValueError
        For a row without variables that cannot hold.
    """
    parts = [_cut(problem, *members) for members in _members(problem, with_x=True)]
    return sorted(parts, key=lambda part: -part.y.size)


def recourse_parts(problem: TwoStage) -> list[Part]:
    """Cut the recourse into parts that meet in x alone; for any x, their worst cases add up to that of the whole.

    Parameters
    ----------
    problem : TwoStage
        The whole.

    Returns
    -------
    list of Part
        Each with the x that stand in its rows, without their costs and limits.
    """
    parts = []
    for _, ys, ss, rows, _, choices in _members(problem, with_x=False):
        row, _, first, _ = problem.products
        xs = np.union1d(sparse.csr_array(problem.E[rows]).indices, first[np.isin(row, rows)])
        part = _cut(problem, xs, ys, ss, rows, np.zeros(0, dtype=int), choices)
        parts.append(part._replace(problem=replace(part.problem, cost=np.zeros(xs.size))))
    return parts


def restricted(problem: TwoStage, early: np.ndarray) -> TwoStage:
    """Return the problem in which some recourse variables are decided before the uncertainty is known.

    They become first-stage variables behind the others. Whatever this problem allows the whole one allows, too, so its
    optimum is an upper bound; and a recourse that only these variables join falls into parts.

    Parameters
    ----------
    problem : TwoStage
        The whole.
    early : ndarray of int, shape (e,)
        Places of recourse variables with costs of 0.

    Raises
    ------
    ValueError
        If one of them costs something.
    """
    for j in early[problem.recourse_cost[early] != 0.0][:1]:
        raise ValueError(f"recourse variable {j} costs {problem.recourse_cost[j]}: allowed are costs of 0")
    e, p = early.size, problem.limits_lower.size
    late = np.setdiff1d(np.arange(problem.recourse_cost.size), early)
    G, moved = sparse.csr_array(problem.G[:, late]), sparse.csr_array(problem.G[:, early])
    E: Any = sparse.csr_array(sparse.hstack([problem.E, moved]))
    # rows that hold first-stage variables only are limits of them
    pattern = np.diff(G.indptr) + np.diff(sparse.csr_array(problem.H).indptr)
    np.add.at(pattern, problem.products.row, 1)
    first, rest = np.flatnonzero(pattern == 0), np.flatnonzero(pattern)
    row_index = np.zeros(pattern.size, dtype=int)
    row_index[rest] = np.arange(rest.size)
    limits = sparse.vstack([sparse.hstack([problem.limits, sparse.csr_array((p, e))]), E[first]])
    return replace(
        problem,
        cost=np.append(problem.cost, np.zeros(e)),
        lower=np.append(problem.lower, problem.recourse_lower[early]),
        upper=np.append(problem.upper, problem.recourse_upper[early]),
        integer=np.append(problem.integer, np.zeros(e, dtype=bool)),
        limits=sparse.csr_array(limits),
        limits_lower=np.append(problem.limits_lower, problem.rhs[first]),
        limits_upper=np.append(problem.limits_upper, np.where(problem.equal, problem.rhs, inf)[first]),
        recourse_cost=problem.recourse_cost[late],
        recourse_lower=problem.recourse_lower[late],
        recourse_upper=problem.recourse_upper[late],
        G=sparse.csr_array(G[rest]),
        E=sparse.csr_array(E[rest]),
        H=sparse.csr_array(problem.H[rest]),
        rhs=problem.rhs[rest],
        equal=problem.equal[rest],
        products=problem.products._replace(row=row_index[problem.products.row]),
    )


def _members(problem: TwoStage, with_x: bool) -> Iterator[tuple[np.ndarray, ...]]:
    """Places of x, y, s, rows, limits and side constraints of each connected part; x joins only when asked to."""
    n, m, r = problem.cost.size, problem.recourse_cost.size, problem.rhs.size
    k, p, q = problem.H.shape[1], problem.limits_lower.size, problem.choice_upper.size
    places = np.cumsum([0, n, m, k, r, p, q]).tolist()
    x0, y0, s0, row0, limit0, choice0, size = places
    row, scenario, first, _ = problem.products
    edges = [(problem.G, row0, y0), (problem.H, row0, s0), (problem.choice, choice0, s0)]
    edges += [(problem.E, row0, x0), (problem.limits, limit0, x0)] if with_x else []
    ends = [(matrix.tocoo().row + down, matrix.tocoo().col + right) for matrix, down, right in edges]
    ends += [(row + row0, scenario + s0)] + ([(row + row0, first + x0)] if with_x else [])
    start, end = (np.concatenate([pair[side] for pair in ends]) for side in (0, 1))
    graph = sparse.coo_array((np.ones(start.size), (start, end)), shape=(size, size))
    count, part_of = csgraph.connected_components(graph, directed=False)
    order = np.argsort(part_of, kind="stable")
    for group in np.split(order, np.cumsum(np.bincount(part_of, minlength=count))[:-1]):
        cuts = np.searchsorted(group, places)
        xs, ys, ss, rows, limits, choices = (group[cuts[i] : cuts[i + 1]] - places[i] for i in range(6))
        if ys.size or ss.size or (xs.size and with_x) or (rows.size and problem.E[rows].nnz):
            yield xs, ys, ss, rows, limits, choices
            continue
        for i in rows:
            if problem.rhs[i] > _ZERO or (problem.equal[i] and problem.rhs[i] < -_ZERO):
                allowed = "0" if problem.equal[i] else "numbers <= 0"
                raise ValueError(f"a row without variables asks for {problem.rhs[i]}: allowed are {allowed}")
        for i in limits if with_x else ():
            low, high = problem.limits_lower[i], problem.limits_upper[i]
            if low > _ZERO or high < -_ZERO:
                raise ValueError(f"a limit without variables asks for {low} to {high}: allowed are ranges with 0")


def _cut(problem: TwoStage, xs, ys, ss, rows, limits, choices) -> Part:
    """The part with these members."""
    row, scenario, first, value = problem.products
    mine = np.flatnonzero(np.isin(row, rows))
    part = TwoStage(
        problem.cost[xs],
        problem.lower[xs],
        problem.upper[xs],
        problem.integer[xs],
        sparse.csr_array(problem.limits[limits][:, xs]),
        problem.limits_lower[limits],
        problem.limits_upper[limits],
        problem.recourse_cost[ys],
        problem.recourse_lower[ys],
        problem.recourse_upper[ys],
        sparse.csr_array(problem.G[rows][:, ys]),
        sparse.csr_array(problem.E[rows][:, xs]),
        sparse.csr_array(problem.H[rows][:, ss]),
        problem.rhs[rows],
        problem.equal[rows],
        Products(
            np.searchsorted(rows, row[mine]),
            np.searchsorted(ss, scenario[mine]),
            np.searchsorted(xs, first[mine]),
            value[mine],
        ),
        sparse.csr_array(problem.choice[choices][:, ss]),
        problem.choice_upper[choices],
    )
    return Part(part, xs, ys, ss)
