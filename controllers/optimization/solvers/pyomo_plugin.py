"""`Program` as a solver of Pyomo's: ``SolverFactory('evhub_glpk')`` and ``SolverFactory('evhub_highs')``.

Importing this module registers them.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from math import isnan
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import ApplicationError
from pyomo.core.base.block import BlockData
from pyomo.core.base.label import NumericLabeler
from pyomo.core.base.suffix import active_import_suffix_generator
from pyomo.core.base.symbol_map import SymbolMap
from pyomo.opt import OptSolver, ProblemSense, SolutionStatus, SolverResults, SolverStatus, TerminationCondition
from pyomo.opt.results.solution import Solution as PyomoSolution

from ..program import Program
from ..solution import Solution, SolveStatus

_log = logging.getLogger(__name__)

_ENDINGS = {
    SolveStatus.OPTIMAL: (SolverStatus.ok, TerminationCondition.optimal, SolutionStatus.optimal),
    SolveStatus.FEASIBLE: (SolverStatus.ok, TerminationCondition.optimal, SolutionStatus.feasible),
    SolveStatus.INFEASIBLE: (SolverStatus.warning, TerminationCondition.infeasible, SolutionStatus.infeasible),
    SolveStatus.UNBOUNDED: (SolverStatus.warning, TerminationCondition.unbounded, SolutionStatus.unbounded),
    SolveStatus.TIME_LIMIT: (SolverStatus.aborted, TerminationCondition.maxTimeLimit, SolutionStatus.stoppedByLimit),
}


class _Plugin(OptSolver):
    """A solver in process; options ``mipgap`` (relative) and ``tmlim`` [s]."""

    solver = needs = ""

    def __init__(self, **keywords):
        keywords.setdefault("type", f"evhub_{self.solver}")
        super().__init__(**keywords)

    def available(self, exception_flag: bool = True) -> bool:
        """Tell whether the solver's package is installed.

        Raises
        ------
        pyomo.common.errors.ApplicationError
            If it is not, and `exception_flag` is set.
        """
        installed = find_spec(self.needs) is not None
        if exception_flag and not installed:
            raise ApplicationError(f"{self.name} needs the package {self.needs}, which is not installed")
        return installed

    def solve(  # type: ignore[override]  # Pyomo's own declares nothing
        self,
        model: BlockData,
        *,
        options: dict[str, Any] | None = None,
        timelimit: float | None = None,
        load_solutions: bool = True,
        tee: bool = False,
        symbolic_solver_labels: bool = False,
    ) -> SolverResults:
        """Solve a linear model.

        Parameters
        ----------
        model : ConcreteModel
            Linear, see `standard_form.compile_model`.
        options : dict, optional
            ``mipgap`` and ``tmlim``, over those of the solver object.
        timelimit : float, optional
            Time limit [s], over ``tmlim``.
        load_solutions : bool
            Whether to write values, and duals and reduced costs into the suffixes ``dual`` and ``rc`` if the model
            imports them.
        tee, symbolic_solver_labels : bool
            Accepted and of no effect: there is no solver log and no file.

        Returns
        -------
        SolverResults
            Pyomo's results. If the model is infeasible, ``solver.message`` names a conflict.

        Raises
        ------
        ValueError
            For a block that is no model, an unknown option, data that no solver must see, and if time ran out before a
            solution was found that should be loaded.
        """
        self.available()
        if not isinstance(model, pyo.ConcreteModel):
            raise ValueError(f"{model.name} is a block, allowed is a ConcreteModel; or load the block into a Program")
        chosen = {**self.options, **(options or {})}
        for key in chosen.keys() - {"mipgap", "tmlim"}:
            raise ValueError(f"option {key!r}, allowed are 'mipgap' and 'tmlim'")
        limit = chosen.get("tmlim") if timelimit is None else timelimit
        with Program(model, self.solver) as program:
            solution = program.solve(gap=float(chosen.get("mipgap", 1e-4)), time_limit_s=limit)
            results = _results(self.name, program, solution)
            if solution.ok:
                suffixes = {name for name, _ in active_import_suffix_generator(model)}
                _add_solution(results, program, solution, suffixes)
        if load_solutions:
            model.solutions.load_from(results)
            results.solution.clear()
        return results


def _results(name: str, program: Program, found: Solution) -> SolverResults:
    """Pyomo's results object without values."""
    results: Any = SolverResults()
    status, termination, _ = _ENDINGS[found.status]
    if found.ok and found.stopped:
        status, termination, _ = _ENDINGS[SolveStatus.TIME_LIMIT]
    results.solver.name = name
    results.solver.status = status
    results.solver.termination_condition = termination
    results.solver.message = "; ".join(found.conflict) or found.status.value
    results.solver.time = sum(found.seconds.values()) + sum(program.seconds.values())
    objective, bound = (None if isnan(value) else value for value in (found.objective, found.bound))
    problem, maximise = results.problem, program.maximise
    problem.sense = ProblemSense.maximize if maximise else ProblemSense.minimize
    problem.lower_bound, problem.upper_bound = (objective, bound) if maximise else (bound, objective)
    problem.number_of_variables, problem.number_of_constraints = len(program.variables), len(program.constraints)
    return results


def _add_solution(results: Any, program: Program, found: Solution, suffixes: set[str]) -> None:
    """Values, and what suffixes ask for, in the form that Pyomo loads."""
    names, label = SymbolMap(), NumericLabeler("x")
    point: Any = PyomoSolution()
    point.status = _ENDINGS[found.status][2]
    point.gap = abs(found.objective - found.bound)
    values = program.values(np.arange(len(program.variables)))
    columns = [{"Value": value} for value in values.tolist()]
    rows: list[dict[str, float]] = [{} for _ in program.constraints]
    if suffixes & {"dual", "rc"}:
        if found.proven_by == "branch" or found.stopped:
            _log.warning("no duals: the integers were settled by branching")
        else:
            for entry, dual in zip(rows, program.duals(np.arange(len(rows))).tolist(), strict=True):
                entry["Dual"] = dual
            for entry, cost in zip(columns, program.reduced_costs(np.arange(len(columns))).tolist(), strict=True):
                entry["Rc"] = cost
    for variable, entry in zip(program.variables, columns, strict=True):
        if not variable.fixed:
            point.variable[names.getSymbol(variable, label)] = entry
    for constraint, entry in zip(program.constraints, rows, strict=True):
        if entry:
            point.constraint[names.getSymbol(constraint, label)] = entry
    results.solution.insert(point)
    results._smap, results._smap_id = names, id(names)


@pyo.SolverFactory.register("evhub_glpk", doc="GLPK in process, the LP relaxation first")
class GlpkPlugin(_Plugin):
    """GLPK through swiglpk."""

    solver, needs = "glpk", "swiglpk"


@pyo.SolverFactory.register("evhub_highs", doc="HiGHS in process, the LP relaxation first")
class HighsPlugin(_Plugin):
    """HiGHS through highspy."""

    solver, needs = "highs", "highspy"
