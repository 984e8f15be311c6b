"""A linear program as arrays, given so or compiled from a Pyomo model.

It is ``row_lower <= A x <= row_upper``, ``lower <= x <= upper``, some ``x`` whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.core.base.block import BlockData
from pyomo.core.base.constraint import ConstraintData
from pyomo.core.base.var import VarData
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from pyomo.repn.standard_repn import generate_standard_repn
from scipy import sparse


@dataclass(frozen=True)
class StandardForm:
    """A checked linear program of n columns and m rows.

    The solvers trust it: GLPK ends the process on a bad index or a duplicate entry, and calls a program with a NaN
    optimal. The arrays may be changed in place by their owner, who checks what goes in.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, shape (m, n)
        A, without duplicate entries.
    cost : ndarray, shape (n,)
        Objective coefficients.
    lower, upper : ndarray, shape (n,)
        Bounds of the columns; -inf, inf where there is none.
    row_lower, row_upper : ndarray, shape (m,)
        Bounds of the rows.
    integer : ndarray of bool, shape (n,)
        Which columns are whole numbers.
    offset : float
        Constant of the objective.
    maximise : bool
        Sense of the objective.
    variables, constraints : tuple
        The Pyomo data behind the first columns and rows; those that come later have none.
    refuted : tuple of ConstraintData
        False constraints without a variable; they have no row.

    Raises
    ------
    ValueError
        For NaN or infinite coefficients, bounds that cross, duplicate entries, wrong shapes.
    """

    matrix: sparse.csr_array
    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    integer: np.ndarray
    offset: float = 0.0
    maximise: bool = False
    variables: tuple[VarData, ...] = ()
    constraints: tuple[ConstraintData, ...] = ()
    refuted: tuple[ConstraintData, ...] = ()

    def __post_init__(self):
        m, n = self.row_lower.size, self.cost.size
        shapes = {"matrix": (m, n), "lower": (n,), "upper": (n,), "integer": (n,), "row_upper": (m,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, allowed is {shape}")
        if not self.matrix.has_canonical_format:
            raise ValueError("the matrix has duplicate or unsorted entries")
        if np.any((self.matrix.indices < 0) | (self.matrix.indices >= n)):
            raise ValueError(f"the matrix has a column index outside 0 to {n - 1}")
        for entry in np.flatnonzero(~np.isfinite(self.matrix.data))[:1]:
            row = int(np.searchsorted(self.matrix.indptr, entry, side="right")) - 1
            column = self.column_name(int(self.matrix.indices[entry]))
            raise ValueError(f"{self.row_name(row)}: coefficient of {column} is {self.matrix.data[entry]}, not finite")
        check_costs(self.cost, self.column_name)
        if not np.isfinite(self.offset):
            raise ValueError(f"the constant of the objective is {self.offset}, not finite")
        check_bounds(self.lower, self.upper, self.column_name)
        check_bounds(self.row_lower, self.row_upper, self.row_name)

    def column_name(self, column: int) -> str:
        """Name of a column in the model's words."""
        return self.variables[column].name if column < len(self.variables) else f"column {column}"

    def row_name(self, row: int) -> str:
        """Name of a row in the model's words."""
        return self.constraints[row].name if row < len(self.constraints) else f"row {row}"

    def extended(
        self,
        lower: np.ndarray,
        upper: np.ndarray,
        cost: np.ndarray,
        rows: sparse.csr_array,
        row_lower: np.ndarray,
        row_upper: np.ndarray,
    ) -> StandardForm:
        """Add columns and rows behind those that are there; see `Program.extend`."""
        m, n = self.row_lower.size, self.cost.size + cost.size
        wide = sparse.csr_array((self.matrix.data, self.matrix.indices, self.matrix.indptr), shape=(m, n))
        matrix = sparse.csr_array(sparse.vstack([wide, rows]))
        matrix.sum_duplicates()
        return replace(
            self,
            matrix=matrix,
            cost=np.append(self.cost, cost),
            lower=np.append(self.lower, lower),
            upper=np.append(self.upper, upper),
            row_lower=np.append(self.row_lower, row_lower),
            row_upper=np.append(self.row_upper, row_upper),
            integer=np.append(self.integer, np.zeros(cost.size, dtype=bool)),
        )

    def objective(self, x: np.ndarray) -> float:
        """Compute the objective at a point of shape (n,)."""
        # not a BLAS product: for 10,000 columns that starts threads, which wait for each other on a busy machine
        return float((self.cost * x).sum() + self.offset)

    def holds(self, x: np.ndarray, tolerance: float = 1e-6) -> bool:
        """Return whether a point of shape (n,) obeys all rows and bounds; the tolerance is relative to bounds > 1."""
        return bool(
            _within(x, self.lower, self.upper, tolerance).all()
            and _within(self.matrix @ x, self.row_lower, self.row_upper, tolerance).all()
        )


def _within(value: np.ndarray, lower: np.ndarray, upper: np.ndarray, tolerance: float) -> np.ndarray:
    """Which values lie between their bounds."""
    return (value >= lower - tolerance * np.maximum(1.0, np.abs(lower))) & (
        value <= upper + tolerance * np.maximum(1.0, np.abs(upper))
    )


def check_bounds(lower: np.ndarray, upper: np.ndarray, name: Callable[[int], str]) -> None:
    """Refuse bounds that no solver must see.

    Parameters
    ----------
    lower, upper : ndarray, shape (k,)
        Bounds.
    name : callable
        From a position to the name used in the message.

    Raises
    ------
    ValueError
        If one is NaN, the lower is above the upper, or both are the same infinity.
    """
    bad = ~(lower <= upper) | (lower == np.inf) | (upper == -np.inf)
    for k in np.flatnonzero(bad)[:1]:
        raise ValueError(f"{name(k)}: bounds {lower[k]} to {upper[k]}, allowed is lower <= upper, not NaN")


def check_costs(costs: np.ndarray, name: Callable[[int], str]) -> None:
    """Refuse costs that are not finite.

    Parameters
    ----------
    costs : ndarray, shape (k,)
        Objective coefficients.
    name : callable
        From a position to the name used in the message.

    Raises
    ------
    ValueError
        If one is NaN or infinite.
    """
    for k in np.flatnonzero(~np.isfinite(costs))[:1]:
        raise ValueError(f"{name(k)}: cost {costs[k]}, allowed are finite numbers")


def form_of_arrays(
    matrix: Any,
    cost: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    row_lower: np.ndarray | float,
    row_upper: np.ndarray | float,
    *,
    integer: np.ndarray | None = None,
    maximise: bool = False,
) -> StandardForm:
    """Check a program given as arrays: for problems of matrix algebra Pyomo would take longer than the solver.

    Parameters
    ----------
    matrix : scipy.sparse array or ndarray, shape (m, n)
        Coefficients; rows of zeros, which say nothing of the columns, are left out of the result.
    cost, lower, upper : ndarray, shape (n,)
        Of the columns; -inf, inf for no bound.
    row_lower, row_upper : float or ndarray, shape (m,)
        Of the rows.
    integer : ndarray of bool, shape (n,), optional
        Which columns are whole numbers; none when left out.
    maximise : bool
        Sense.

    Returns
    -------
    StandardForm
        With copies of the arrays.

    Raises
    ------
    ValueError
        For NaN, bounds that cross, and a row of zeros that cannot hold.
    """
    table: Any = sparse.csr_array(matrix, copy=True)
    table.eliminate_zeros()
    m, n = table.shape
    row_lower, row_upper = (np.broadcast_to(np.asarray(b, dtype=float), (m,)) for b in (row_lower, row_upper))
    filled = np.diff(table.indptr) > 0
    for i in np.flatnonzero(~filled & ((row_lower > 0.0) | (row_upper < 0.0)))[:1]:
        raise ValueError(f"row {i} has no variable, and asks for {row_lower[i]} to {row_upper[i]}")
    table.sum_duplicates()
    rows = np.flatnonzero(filled)
    whole = np.zeros(n, dtype=bool) if integer is None else np.asarray(integer, dtype=bool)
    lower, upper, cost = (np.array(part, dtype=float) for part in (lower, upper, cost))
    return StandardForm(
        sparse.csr_array(table[rows]),
        cost,
        np.where(whole, np.ceil(lower - 1e-9), lower),
        np.where(whole, np.floor(upper + 1e-9), upper),
        row_lower[rows],
        row_upper[rows],
        whole,
        maximise=maximise,
    )


def compile_model(model: BlockData) -> StandardForm:
    """Convert a linear Pyomo model to arrays.

    A constraint with two bounds is one row. Every variable of the model has a column, also one that no constraint
    and no objective names; a fixed variable's column is empty and held at its value.

    Parameters
    ----------
    model : pyomo.environ.ConcreteModel
        Linear, with at most one active objective; variables real, integer or binary.

    Returns
    -------
    StandardForm
        The model.

    Raises
    ------
    ValueError
        For more than one objective, other domains, and all that `StandardForm` refuses.
    pyomo.common.errors.InvalidConstraintError, InvalidExpressionError
        For nonlinear terms.
    """
    info, refuted = _written(model)
    if len(info.objectives) > 1:
        raise ValueError(f"{len(info.objectives)} active objectives, allowed is one")

    variables = list(info.columns)
    used = {id(variable) for variable in variables}
    variables += [v for v in model.component_data_objects(pyo.Var, active=True) if id(v) not in used]
    lower, upper, integer = _column_bounds(variables)
    m, n = len(info.rows), len(variables)

    # the compiler gives a constraint with two bounds as two rows in succession
    kinds = np.array([row.bound_type for row in info.rows], dtype=int)
    owners = [row.constraint for row in info.rows]
    first = np.array([k == 0 or owners[k] is not owners[k - 1] for k in range(m)], dtype=bool)
    rhs = np.asarray(info.rhs, dtype=float)
    row_lower, row_upper = np.where(kinds <= 0, rhs, -np.inf), np.where(kinds >= 0, rhs, np.inf)
    second = np.flatnonzero(~first)
    row_lower[second - 1] = rhs[second]
    matrix = sparse.csr_array(info.A)[first] if m else sparse.csr_array((0, n))
    matrix = sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(int(first.sum()), n))
    matrix.sum_duplicates()

    cost = np.zeros(n)
    offset, maximise = 0.0, False
    if info.objectives:
        cost[: len(info.columns)] = info.c.toarray()[0]
        offset, maximise = float(info.c_offset[0]), info.objectives[0].sense == pyo.maximize
    return StandardForm(
        matrix,
        cost,
        lower,
        upper,
        row_lower[first],
        row_upper[first],
        integer,
        offset,
        maximise,
        tuple(variables),
        tuple(owners[k] for k in np.flatnonzero(first)),
        refuted,
    )


def _column_bounds(variables: list[VarData]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper bounds, and which are whole numbers."""
    n = len(variables)
    lower, upper, steps = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n)
    for column, variable in enumerate(variables):
        low, high = (variable.value, variable.value) if variable.fixed else variable.bounds
        if low is not None:
            lower[column] = low
        if high is not None:
            upper[column] = high
        domain: Any = variable.domain
        interval = domain.get_interval()
        step = interval[2] if interval else None
        if step not in (0, 1):
            raise ValueError(f"{variable.name}: domain {domain.name}, allowed are reals, integers and binaries")
        steps[column] = step
    integer = steps == 1
    lower[integer], upper[integer] = np.ceil(lower[integer] - 1e-9), np.floor(upper[integer] + 1e-9)
    return lower, upper, integer


def _written(model: BlockData) -> tuple[Any, tuple[ConstraintData, ...]]:
    """The compiler's answer, and the false constraints without a variable, at which the compiler would stop."""
    try:
        return _write(model), ()
    except InfeasibleConstraintException:
        active = model.component_data_objects(pyo.Constraint, active=True)
        constant = [row for row in active if _is_constant(row.body)]
    for row in constant:
        row.deactivate()
    try:
        return _write(model), tuple(row for row in constant if row.slack() < -1e-9)
    finally:
        for row in constant:
            row.activate()


def _is_constant(expression: Any) -> bool:
    standard: Any = generate_standard_repn(expression)
    return standard.is_constant()


def _write(model: BlockData) -> Any:
    return LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
