"""Explanation of a program without solution: an irreducible set of constraints and bounds, in the model's words.

An elastic program, in which every row may be violated at a price, is solved first; the rows and bounds with a price at
its optimum are infeasible together (Farkas). A deletion filter then drops one after the other and keeps those without
which the rest has a solution (Chinneck, Feasibility and Infeasibility in Optimization, 2008, ch. 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from pyomo.common.collections import ComponentMap
from scipy import sparse

from .solution import SolveStatus
from .standard_form import StandardForm

EXPLAIN_S = 5.0
"""Time for an explanation [s]; what is found by then is given, perhaps not irreducible."""


def describe(component: Any, function: Callable[..., str]) -> None:
    """Say in words what a constraint, or the bounds of a variable, demand; used if they are part of a conflict.

    Parameters
    ----------
    component : Constraint or Var
        On a block; it may be indexed.
    function : callable
        From the index (one argument for each dimension, none for a scalar) to the sentence. Items with the same
        sentence are named once.
    """
    component.parent_block().private_data().setdefault("sentences", ComponentMap())[component] = function


class Conflict(NamedTuple):
    """The reason why a program has no solution."""

    sentences: tuple[str, ...]
    """Without any one of them the others can hold. If time ran out, the last one says that some may be unnecessary."""
    components: tuple[str, ...] = ()
    """Names of the constraints and variables they speak of, without an index; the same for other numbers."""


def explain(form: StandardForm, backend: Callable[[StandardForm], Any], limit_s: float = EXPLAIN_S) -> Conflict:
    """Find an irreducible conflict.

    Parameters
    ----------
    form : StandardForm
        A program whose LP relaxation has no solution.
    backend : callable
        From a form to a solver, `Glpk` or `Highs`.
    limit_s : float
        Time limit [s].

    Returns
    -------
    Conflict
    """
    if form.refuted:
        row = form.refuted[0]
        sentence = _sentence(row) or f"{row.name} is false whatever the variables"
        return Conflict((sentence,), (_component(row),))
    deadline = perf_counter() + limit_s
    items = _priced(form, backend, limit_s)
    if not items:
        return Conflict((f"no conflict was found within {limit_s:g} s",))
    # what has no sentence of its own is dropped first: the conflict shall be told in the model's words where it can be
    items.sort(key=lambda item: item.sentence is not None)
    needed, complete = _filtered(form, items, backend, deadline)
    sentences = dict.fromkeys(item.sentence or item.default for item in needed)
    warning = () if complete else (f"some of these may be unnecessary: stopped after {limit_s:g} s",)
    return Conflict((*sentences, *warning), tuple(sorted({item.component for item in needed})))


def integrality(form: StandardForm, x: np.ndarray) -> Conflict:
    """Explain a program whose LP relaxation has a solution `x` of shape (n,), and no whole-number one."""
    fractional = np.flatnonzero(form.integer & (np.abs(x - np.round(x)) > 1e-6))
    names = [form.column_name(column) for column in fractional[:5]] + ["..."] * (fractional.size > 5)
    sentence = f"the constraints can be met only with fractions of whole-number variables: {', '.join(names)}"
    data = (form.variables[column] for column in fractional[:5] if column < len(form.variables))
    return Conflict((sentence,), tuple(sorted({_component(variable) for variable in data})))


@dataclass(frozen=True)
class _Item:
    """One side of a row or of a column's bounds; both sides if they are equal."""

    is_row: bool
    place: int
    low: float
    high: float
    sentence: str | None
    default: str
    component: str


def _item(form: StandardForm, is_row: bool, place: int, dual: float) -> _Item:
    """The side of a row or column that its dual says is active."""
    low, high = (form.row_lower, form.row_upper) if is_row else (form.lower, form.upper)
    low, high = float(low[place]), float(high[place])
    side = "==" if low == high else ">=" if dual > 0.0 else "<="
    data, name = (form.constraints, form.row_name) if is_row else (form.variables, form.column_name)
    return _Item(
        is_row,
        place,
        low if side != "<=" else -np.inf,
        high if side != ">=" else np.inf,
        _sentence(data[place]) if place < len(data) else None,
        f"{name(place)} {side} {high if side == '<=' else low:.6g}",
        _component(data[place]) if place < len(data) else name(place),
    )


def _component(data: Any) -> str:
    """Name of the constraint or variable that an entry belongs to."""
    return data.parent_component().name


def _sentence(data: Any) -> str | None:
    """What `describe` registered for a constraint or variable, if anything."""
    sentences = data.parent_block().private_data().get("sentences")
    function = None if sentences is None else sentences.get(data.parent_component())
    if function is None:
        return None
    index = data.index()
    return function(*index) if isinstance(index, tuple) else function() if index is None else function(index)


def _priced(form: StandardForm, backend: Callable, limit_s: float) -> list[_Item]:
    """Items with a price in the elastic program: infeasible together, and mostly few."""
    m, n = form.row_lower.size, form.cost.size
    unit = sparse.eye_array(m, format="csr")
    elastic = StandardForm(
        _canonical(sparse.hstack([form.matrix, unit, -unit])),
        cost=np.concatenate((np.zeros(n), np.ones(2 * m))),
        lower=np.concatenate((form.lower, np.zeros(2 * m))),
        upper=np.concatenate((form.upper, np.full(2 * m, np.inf))),
        row_lower=form.row_lower,
        row_upper=form.row_upper,
        integer=np.zeros(n + 2 * m, dtype=bool),
    )
    solver = backend(elastic)
    try:
        if solver.solve_lp(limit_s) is not SolveStatus.OPTIMAL:
            return []
        prices = ((True, solver.row_duals()), (False, solver.reduced_costs()[:n]))
    finally:
        solver.close()
    return [
        _item(form, is_row, place, duals[place])
        for is_row, duals in prices
        for place in np.flatnonzero(np.abs(duals) > 1e-9).tolist()
    ]


def _filtered(form: StandardForm, items: list[_Item], backend: Callable, deadline: float) -> tuple[list[_Item], bool]:
    """What remains after dropping all that can be dropped, and whether there was time to try each."""
    rows = [item.place for item in items if item.is_row]
    matrix = form.matrix[rows]
    columns = np.unique([*matrix.indices, *(item.place for item in items if not item.is_row)]).astype(int)
    m, n = len(rows), columns.size
    row_at, column_at = dict(zip(rows, range(m), strict=True)), dict(zip(columns.tolist(), range(n), strict=True))
    solver = backend(
        StandardForm(
            _canonical(matrix[:, columns]),
            cost=np.zeros(n),
            lower=np.full(n, -np.inf),
            upper=np.full(n, np.inf),
            row_lower=np.full(m, -np.inf),
            row_upper=np.full(m, np.inf),
            integer=np.zeros(n, dtype=bool),
        )
    )

    def put(item: _Item, low: float, high: float) -> None:
        change, at = (solver.set_row_bounds, row_at) if item.is_row else (solver.set_bounds, column_at)
        change(np.array([at[item.place]]), np.array([low]), np.array([high]))

    try:
        for item in items:
            put(item, item.low, item.high)
        needed = []
        if solver.solve_lp(deadline - perf_counter()) is not SolveStatus.INFEASIBLE:
            return items, False
        for k, item in enumerate(items):
            if perf_counter() > deadline:
                return needed + items[k:], False
            put(item, -np.inf, np.inf)
            if solver.solve_lp(deadline - perf_counter()) is not SolveStatus.INFEASIBLE:
                put(item, item.low, item.high)
                needed.append(item)
        return needed, True
    finally:
        solver.close()


def _canonical(matrix: Any) -> sparse.csr_array:
    """Rows with sorted columns, without duplicates."""
    matrix = sparse.csr_array(matrix)
    matrix.sum_duplicates()
    return matrix
