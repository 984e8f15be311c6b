"""The solvers as Pyomo's own: ``SolverFactory('evhub_glpk')``."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from pyomo.common.errors import ApplicationError
from pyomo.opt import SolverStatus, TerminationCondition, check_optimal_termination

from evhub.controllers.optimization.solvers import pyomo_plugin

from .test_optimization_program import knapsacks, product_mix

both = pytest.mark.parametrize("name", ["evhub_glpk", "evhub_highs"])


@both
def test_values_duals_and_reduced_costs_are_loaded(name):
    model = product_mix()
    model.z = pyo.Var(bounds=(0, 5))
    model.profit.expr -= 2 * model.z
    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    model.rc = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    solver = pyo.SolverFactory(name)
    assert solver.available()
    results = solver.solve(model)
    assert check_optimal_termination(results)
    assert (model.x.value, model.y.value) == (pytest.approx(2), pytest.approx(6))
    assert [model.dual[row] for row in model.plant.values()] == pytest.approx([0, 1.5, 1])
    assert model.rc[model.z] == pytest.approx(-2)
    assert results.problem.upper_bound == pytest.approx(43) == results.problem.lower_bound
    assert results.problem.number_of_variables == 3 and results.problem.number_of_constraints == 3


@both
def test_a_solution_can_be_loaded_later(name):
    model = product_mix()
    results = pyo.SolverFactory(name).solve(model, load_solutions=False)
    assert model.x.value is None
    model.solutions.load_from(results)
    assert model.x.value == pytest.approx(2)


@both
def test_infeasible_and_unbounded_leave_the_model_as_it_was(name):
    model = product_mix()
    model.x.value = 1.25
    model.too_much = pyo.Constraint(expr=model.x >= 5)
    results = pyo.SolverFactory(name).solve(model, load_solutions=False)
    assert results.solver.termination_condition == TerminationCondition.infeasible
    assert "too_much >= 5" in str(results.solver.message)
    model.too_much.deactivate()
    model.plant.deactivate()
    results = pyo.SolverFactory(name).solve(model, load_solutions=False)
    assert results.solver.termination_condition == TerminationCondition.unbounded
    assert model.x.value == 1.25


@both
def test_options_of_the_solver_and_of_the_call(name):
    solver = pyo.SolverFactory(name, options={"mipgap": 0.0})
    solver.options["tmlim"] = 0.4
    model = knapsacks(200, 25)
    results = solver.solve(model)
    assert results.solver.status == SolverStatus.aborted
    assert results.solver.termination_condition == TerminationCondition.maxTimeLimit
    assert results.problem.lower_bound == pytest.approx(pyo.value(model.value))
    assert results.problem.upper_bound > results.problem.lower_bound + 1.0
    assert results.solver.time < 2.0
    assert check_optimal_termination(solver.solve(model, options={"mipgap": 0.5}, timelimit=20))
    assert solver.options["mipgap"] == 0.0
    with pytest.raises(ValueError, match="'mipgap' and 'tmlim'"):
        solver.solve(model, options={"gap": 0.1})


def test_no_solution_in_time_is_pyomos_own_error():
    with pytest.raises(ValueError, match="aborted"):
        pyo.SolverFactory("evhub_glpk").solve(product_mix(), timelimit=0)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(pyomo_plugin, "find_spec", lambda name: None)
    solver = pyo.SolverFactory("evhub_highs")
    assert not solver.available(exception_flag=False)
    with pytest.raises(ApplicationError, match="highspy"):
        solver.solve(product_mix())


def test_fixed_variables_keep_their_value():
    model = product_mix()
    model.y.fix(3)
    pyo.SolverFactory("evhub_glpk").solve(model)
    assert (model.x.value, model.y.value, model.y.fixed) == (pytest.approx(4), 3, True)
