"""A linear program inside GLPK, through swiglpk, in this process.

GLPK ends the process on a bad index, a duplicate entry or a second deletion, calls a program with NaN optimal, and
belongs to one thread. What comes in is a `StandardForm`, which is checked; the rest is guarded here.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from math import inf, nan
from time import perf_counter
from typing import Any

import numpy as np
import swiglpk as glp

from ..solution import SolveStatus
from ..standard_form import StandardForm
from .interrupt import Interruptible

_MS_PER_S = 1e3
_SLICE_MS = 500
"""GLPK keeps the interpreter's lock; between slices Python sees Ctrl-C."""
_EXACT = 1e-9


class Glpk:
    """One linear or mixed-integer program, loaded once; columns and rows count from 0.

    Parameters
    ----------
    form : StandardForm
        The program; its arrays may change later, together with the calls below.
    """

    def __init__(self, form: StandardForm):
        self._form = form
        self._thread = threading.get_ident()
        self._has_basis = self._costs_changed = False
        glp.glp_term_out(glp.GLP_OFF)
        self._problem = glp.glp_create_prob()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        form, problem = self._form, self._problem
        m, n = form.row_lower.size, form.cost.size
        glp.glp_set_obj_dir(problem, glp.GLP_MAX if form.maximise else glp.GLP_MIN)
        glp.glp_set_obj_coef(problem, 0, form.offset)
        if n:
            glp.glp_add_cols(problem, n)
        if m:
            glp.glp_add_rows(problem, m)
        self.set_bounds(np.arange(n), form.lower, form.upper)
        self.set_row_bounds(np.arange(m), form.row_lower, form.row_upper)
        costly = np.flatnonzero(form.cost)
        self.set_costs(costly, form.cost[costly])
        for column in np.flatnonzero(form.integer).tolist():
            glp.glp_set_col_kind(problem, column + 1, glp.GLP_IV)
        entries = form.matrix.tocoo()
        glp.glp_load_matrix(
            problem,
            entries.nnz,
            _swig_array(glp.intArray, np.asarray(entries.row + 1, dtype=np.intc)),
            _swig_array(glp.intArray, np.asarray(entries.col + 1, dtype=np.intc)),
            _swig_array(glp.doubleArray, np.asarray(entries.data, dtype=float)),
        )
        if m and n:
            glp.glp_scale_prob(problem, glp.GLP_SF_AUTO)

    def extend(self, form: StandardForm) -> None:
        """Update the loaded program with one that has more columns and rows."""
        problem = self._own()
        m, n = self._form.row_lower.size, self._form.cost.size
        columns, rows = np.arange(n, form.cost.size), np.arange(m, form.row_lower.size)
        if columns.size:
            glp.glp_add_cols(problem, columns.size)
        if rows.size:
            glp.glp_add_rows(problem, rows.size)
        self._form = form
        self.set_bounds(columns, form.lower[n:], form.upper[n:])
        self.set_row_bounds(rows, form.row_lower[m:], form.row_upper[m:])
        for column in columns.tolist():
            glp.glp_set_obj_coef(problem, column + 1, float(form.cost[column]))
        starts, indices, data = form.matrix.indptr, form.matrix.indices, form.matrix.data
        for row in rows.tolist():
            here = slice(starts[row], starts[row + 1])
            entries = _swig_array(glp.intArray, np.asarray(indices[here] + 1, dtype=np.intc))
            values = _swig_array(glp.doubleArray, np.asarray(data[here], dtype=float))
            glp.glp_set_mat_row(problem, row + 1, int(starts[row + 1] - starts[row]), entries, values)

    def close(self) -> None:
        """Close the program and free its memory; a second call does nothing."""
        problem, self._problem = self._problem, None
        if problem is not None:
            glp.glp_delete_prob(problem)

    def __del__(self):
        # freed from another thread, GLPK would end the process; better lose the memory
        if getattr(self, "_problem", None) is not None and self._thread == threading.get_ident():
            self.close()

    def _own(self) -> Any:
        """The GLPK problem, if it may be touched."""
        if self._problem is None:
            raise RuntimeError("the program is closed")
        if self._thread != threading.get_ident():
            raise RuntimeError("GLPK can be used only from the thread that loaded the program")
        return self._problem

    def set_bounds(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Set the bounds of columns."""
        problem, set_one = self._own(), glp.glp_set_col_bnds
        for column, kind, low, high in _typed(columns, lower, upper):
            set_one(problem, column, kind, low, high)

    def set_row_bounds(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Set the bounds of rows."""
        problem, set_one = self._own(), glp.glp_set_row_bnds
        for row, kind, low, high in _typed(rows, lower, upper):
            set_one(problem, row, kind, low, high)

    def set_costs(self, columns: np.ndarray, costs: np.ndarray) -> None:
        """Set the objective coefficients of columns."""
        problem, set_one = self._own(), glp.glp_set_obj_coef
        for column, cost in zip((columns + 1).tolist(), costs.tolist(), strict=True):
            set_one(problem, column, cost)
        self._costs_changed = True

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
            If GLPK fails numerically from every start.
        """
        problem, deadline = self._own(), perf_counter() + limit_s
        # new bounds leave the basis dual feasible, new costs leave it primal feasible
        method = glp.GLP_PRIMAL if self._costs_changed or not self._has_basis else glp.GLP_DUALP
        self._costs_changed = False
        if self._has_basis:
            status = self._simplex(method, deadline)
            if status is not None:
                return status
        status = self._simplex(glp.GLP_PRIMAL, deadline, presolve=True)
        if status is SolveStatus.OPTIMAL:
            # the presolver lets constraints be missed by far more than the simplex does
            status = self._simplex(glp.GLP_PRIMAL, deadline)
        if status is None:
            glp.glp_adv_basis(problem, 0)
            status = self._simplex(glp.GLP_PRIMAL, deadline)
        if status is None:
            raise RuntimeError("GLPK found neither a solution nor a proof that there is none")
        self._has_basis = self._has_basis or status is SolveStatus.OPTIMAL
        return status

    def _simplex(self, method: int, deadline: float, presolve: bool = False) -> SolveStatus | None:
        """One run in slices; None if GLPK gives up."""
        control = glp.glp_smcp()
        glp.glp_init_smcp(control)
        control.msg_lev = glp.GLP_MSG_OFF
        control.meth = method
        control.presolve = glp.GLP_ON if presolve else glp.GLP_OFF
        slice_ms = _SLICE_MS
        while True:
            left_ms = (deadline - perf_counter()) * _MS_PER_S
            if left_ms <= 0.0:
                return SolveStatus.TIME_LIMIT
            control.tm_lim = max(1, int(min(left_ms, slice_ms)))
            code = glp.glp_simplex(self._problem, control)
            if code == glp.GLP_ETMLIM:
                # without presolve the next slice goes on from the basis, with it all begins again
                slice_ms *= 2 if presolve else 1
                continue
            if code == glp.GLP_ENOPFS:
                return SolveStatus.INFEASIBLE
            statuses = {
                glp.GLP_OPT: SolveStatus.OPTIMAL,
                glp.GLP_NOFEAS: SolveStatus.INFEASIBLE,
                glp.GLP_UNBND: SolveStatus.UNBOUNDED,
            }
            return statuses.get(glp.glp_get_status(self._problem)) if code == 0 else None

    def solve_mip(self, gap: float, limit_s: float = inf, *, exact: bool = False) -> tuple[SolveStatus, float]:
        """Solve by branch and bound with GLPK's presolve, after `solve_lp`.

        Parameters
        ----------
        gap : float
            Relative gap at which to stop.
        limit_s : float
            Time limit [s].
        exact : bool
            Take 1e-9 for whole, not 1e-5, which a coefficient of 1e5 makes a 1.

        Returns
        -------
        status : SolveStatus
            Optimal (the tree is done), feasible (stopped with a point), infeasible or time limit.
        bound : float
            What no point can beat; NaN if unknown.
        """
        problem = self._own()
        control = glp.glp_iocp()
        glp.glp_init_iocp(control)
        control.msg_lev = glp.GLP_MSG_OFF
        control.presolve = glp.GLP_ON
        control.mip_gap = gap
        if exact:
            control.tol_int = _EXACT
        if limit_s < inf:
            control.tm_lim = max(1, int(limit_s * _MS_PER_S))
        with Interruptible() as interruptible:
            watch = _Watch(interruptible, control)
            code = glp.glp_intopt(problem, control)
        if code == glp.GLP_ENOPFS:
            return SolveStatus.INFEASIBLE, nan
        if code not in (0, glp.GLP_EMIPGAP, glp.GLP_ETMLIM):
            raise RuntimeError(f"GLPK's branch and bound failed with code {code}")
        status = glp.glp_mip_status(problem)
        if code == 0 and status == glp.GLP_NOFEAS:
            return SolveStatus.INFEASIBLE, nan
        if code == 0 and status == glp.GLP_OPT:
            return SolveStatus.OPTIMAL, glp.glp_mip_obj_val(problem)
        return (SolveStatus.FEASIBLE if status == glp.GLP_FEAS else SolveStatus.TIME_LIMIT), watch.bound

    def lp_values(self) -> np.ndarray:
        """Return the columns at the last LP solution, shape (n,)."""
        return self._read(glp.glp_get_col_prim, self._form.cost.size)

    def mip_values(self) -> np.ndarray:
        """Return the columns at the best point of the last branch and bound, shape (n,)."""
        return self._read(glp.glp_mip_col_val, self._form.cost.size)

    def row_duals(self) -> np.ndarray:
        """Change of the objective per unit of each row's active bound, shape (m,)."""
        return self._read(glp.glp_get_row_dual, self._form.row_lower.size)

    def reduced_costs(self) -> np.ndarray:
        """Change of the objective per unit of each column's active bound, shape (n,)."""
        return self._read(glp.glp_get_col_dual, self._form.cost.size)

    def _read(self, one, size: int) -> np.ndarray:
        problem = self._own()
        return np.array([one(problem, k) for k in range(1, size + 1)])


def _typed(indices: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> zip:
    """GLPK's index (from 1), bound type and bounds."""
    kinds = np.select(
        [lower == upper, np.isfinite(lower) & np.isfinite(upper), np.isfinite(lower), np.isfinite(upper)],
        [glp.GLP_FX, glp.GLP_DB, glp.GLP_LO, glp.GLP_UP],
        glp.GLP_FR,
    )
    return zip((indices + 1).tolist(), kinds.tolist(), lower.tolist(), upper.tolist(), strict=True)


def _swig_array(kind, values: np.ndarray) -> Any:
    """A swig array that holds the values from position 1 on."""
    array = kind(values.size + 1)
    for k, value in enumerate(values.tolist(), 1):
        array[k] = value
    return array


class _ControlHead(ctypes.Structure):
    """The first fields of GLPK's `glp_iocp`; swig takes a C function as its callback, never a Python one."""

    _fields_ = [
        *[(name, ctypes.c_int) for name in ("msg_lev", "br_tech", "bt_tech")],
        *[(name, ctypes.c_double) for name in ("tol_int", "tol_obj")],
        *[(name, ctypes.c_int) for name in ("tm_lim", "out_frq", "out_dly")],
        ("cb_func", ctypes.c_void_p),
    ]


class _Watch:
    """Called by GLPK at every node: notes the best bound, and ends the search on Ctrl-C. Must outlive the solve."""

    _lib = ctypes.PyDLL(sys.modules["swiglpk._swiglpk"].__file__)
    _lib.glp_ios_terminate.argtypes = _lib.glp_ios_best_node.argtypes = [ctypes.c_void_p]
    _lib.glp_ios_node_bound.argtypes = [ctypes.c_void_p, ctypes.c_int]
    _lib.glp_ios_node_bound.restype = ctypes.c_double

    def __init__(self, interruptible: Interruptible, control):
        self.bound = nan
        self._interruptible = interruptible
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self._look)
        head = _ControlHead.from_address(int(control.this))
        head.cb_func = ctypes.cast(self._function, ctypes.c_void_p).value

    def _look(self, tree, _) -> None:
        node = self._lib.glp_ios_best_node(tree)
        if node:
            self.bound = self._lib.glp_ios_node_bound(tree, node)
        if self._interruptible.pressed:
            self._lib.glp_ios_terminate(tree)
