"""Infeasible programs name an irreducible conflict, in the words of the model."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from evhub.controllers.optimization import conflicts
from evhub.controllers.optimization.conflicts import describe, explain
from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus
from evhub.controllers.optimization.solvers.glpk_solver import Glpk
from evhub.controllers.optimization.standard_form import compile_model

both = pytest.mark.parametrize("solver", ["glpk", "highs"])


def conflict_of(model, solver="glpk") -> tuple[str, ...]:
    with Program(model, solver) as program:
        solution = program.solve()
    assert solution.status is SolveStatus.INFEASIBLE and not solution.ok
    return solution.conflict


def hold_together(model, sentences, solver) -> bool:
    """Whether what default sentences ('name <= 3') say has a solution, with nothing else of the model."""
    alone = model.clone()
    for variable in alone.component_data_objects(pyo.Var):
        variable.setlb(None)
        variable.setub(None)
    for row in alone.component_data_objects(pyo.Constraint, active=True):
        row.deactivate()
    for name, side, _ in (sentence.rsplit(" ", 2) for sentence in sentences):
        part, original = alone.find_component(name), model.find_component(name)
        if part.ctype is pyo.Var:
            part.setlb(None if side == "<=" else original.lb)
            part.setub(None if side == ">=" else original.ub)
        else:
            part.activate()
            if side != "==":
                low, high = (None if side == "<=" else part.lower), (None if side == ">=" else part.upper)
                part.set_value((low, part.body, high))
    with Program(alone, solver) as program:
        return program.solve().status is not SolveStatus.INFEASIBLE


def irreducible(model, sentences, solver) -> bool:
    """Whether the sentences conflict, and no longer do without any one of them."""
    return not hold_together(model, sentences, solver) and all(
        hold_together(model, [s for s in sentences if s != dropped], solver) for dropped in sentences
    )


def charging(needs_kwh=40.0, steps=6):
    """One session behind a connector of 11 kW for an hour and a half in steps of a quarter: 16.5 kWh at most."""
    model = pyo.ConcreteModel()
    model.power = pyo.Var(["s11", "s12"], range(steps), bounds=(0, 11))
    model.energy = pyo.Var(["s11", "s12"], range(steps), bounds=(0, None))
    model.state = pyo.Constraint(
        ["s11", "s12"],
        range(steps),
        rule=lambda m, s, t: m.energy[s, t] == (m.energy[s, t - 1] if t else 0) + 0.25 * m.power[s, t],
    )
    needs = {"s11": 5.0, "s12": needs_kwh}
    model.target = pyo.Constraint(["s11", "s12"], rule=lambda m, s: m.energy[s, steps - 1] >= needs[s])
    model.site = pyo.Constraint(range(steps), rule=lambda m, t: m.power["s11", t] + m.power["s12", t] <= 15)
    model.cost = pyo.Objective(expr=sum(model.power.values()))
    return model


@both
def test_conflict_is_told_in_the_words_of_the_model(solver):
    model = charging()
    describe(model.target, lambda s: f"session {s} needs 40 kWh by 09:00")
    describe(model.power, lambda s, t: f"at most 11 kW flow into session {s}")
    describe(model.state, lambda s, t: f"the energy of session {s} is what was charged")
    assert set(conflict_of(model, solver)) == {
        "session s12 needs 40 kWh by 09:00",
        "at most 11 kW flow into session s12",
        "the energy of session s12 is what was charged",
    }
    # described on a model, they are still there in its copy
    assert "session s12 needs 40 kWh by 09:00" in conflict_of(model.clone(), solver)


@both
def test_without_words_the_name_and_the_limit_are_given(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var([1, 2], bounds=(0, 3))
    model.free = pyo.Var()
    model.both = pyo.Constraint(expr=model.x[1] + model.x[2] >= 8.5)
    model.band = pyo.Constraint(expr=(-5, model.free - model.x[1], 5))
    model.cost = pyo.Objective(expr=model.free + model.x[1])
    assert set(conflict_of(model, solver)) == {"both >= 8.5", "x[1] <= 3", "x[2] <= 3"}


@both
def test_words_are_preferred_to_names(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 3))
    model.told = pyo.Constraint(expr=model.x >= 5)
    model.untold = pyo.Constraint(expr=model.x >= 5)
    model.cost = pyo.Objective(expr=model.x)
    describe(model.told, lambda: "the car leaves with 5 kWh")
    assert set(conflict_of(model, solver)) == {"the car leaves with 5 kWh", "x <= 3"}


@both
def test_the_side_of_a_range_row_that_conflicts_is_named(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(None, None))
    model.y = pyo.Var(bounds=(None, None))
    model.one = pyo.Constraint(expr=(-1, model.x - model.y, 1))
    model.two = pyo.Constraint(expr=(-9, model.y - model.x, -2))
    model.fine = pyo.Constraint(expr=model.x + model.y == 3)
    model.cost = pyo.Objective(expr=model.x)
    assert set(conflict_of(model, solver)) == {"one <= 1", "two <= -2"}


@both
def test_dropping_any_one_item_makes_it_feasible(solver):
    model = charging()
    conflict = conflict_of(model, solver)
    assert len(conflict) == 13  # the target, six states, six limits
    assert irreducible(model, conflict, solver)


def random_infeasible(seed):
    """Random rows with one cut through what they leave; several conflicts overlap."""
    rng = np.random.default_rng(seed)
    rows, columns = 12, 8
    A = np.where(rng.random((rows, columns)) < 0.5, rng.integers(-5, 6, (rows, columns)), 0).astype(float)
    A[np.arange(rows), rng.integers(0, columns, rows)] = 3.0
    centre = A @ rng.uniform(-2, 2, columns)
    low = np.where(rng.random(rows) < 0.5, centre - rng.uniform(0, 4, rows), -np.inf)
    high = np.where((rng.random(rows) < 0.5) | np.isinf(low), centre + rng.uniform(0, 4, rows), np.inf)
    shift = rng.uniform(-25, 25, rows)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(columns), bounds=(-2, 2))
    model.row = pyo.Constraint(
        range(rows),
        rule=lambda m, i: (
            (low + shift)[i].item() if np.isfinite(low[i]) else None,
            sum(A[i, j] * m.x[j] for j in range(columns) if A[i, j]),
            (high + shift)[i].item() if np.isfinite(high[i]) else None,
        ),
    )
    model.cost = pyo.Objective(expr=sum(model.x.values()))
    return model


@both
def test_random_conflicts_are_irreducible(solver):
    found = 0
    for seed in range(15):
        model = random_infeasible(seed)
        with Program(model, solver) as program:
            solution = program.solve()
        if solution.status is not SolveStatus.INFEASIBLE:
            continue
        found += 1
        assert irreducible(model, solution.conflict, solver), (seed, solution.conflict)
    assert found >= 8


@both
def test_integrality_is_named_where_it_alone_conflicts(solver):
    model = pyo.ConcreteModel()
    model.n = pyo.Var([1, 2], domain=pyo.Integers, bounds=(0, 5))
    model.odd = pyo.Constraint(expr=2 * model.n[1] + 2 * model.n[2] == 5)
    model.cost = pyo.Objective(expr=model.n[1])
    (sentence,) = conflict_of(model, solver)
    assert "fractions" in sentence and ("n[1]" in sentence or "n[2]" in sentence)


def test_an_infeasible_relaxation_of_a_mixed_integer_program_is_explained_without_integrality():
    model = charging()
    model.on = pyo.Var(domain=pyo.Binary)
    model.gate = pyo.Constraint(expr=model.power["s11", 0] <= 11 * model.on)
    assert any(sentence.startswith("target[s12] >= 40") for sentence in conflict_of(model))


def test_changes_of_a_loaded_program_are_what_is_explained():
    model = charging(needs_kwh=10.0)
    with Program(model) as program:
        assert program.solve().ok
        program.set_row_bounds(program.rows(model.target), 17.0, np.inf)
        conflict = program.solve().conflict
        assert any(sentence.endswith("] >= 17") for sentence in conflict)
        program.set_row_bounds(program.rows(model.target), 5.0, np.inf)
        assert program.solve().ok, "the program is usable after an explanation"


def test_explanation_is_bounded_in_time(monkeypatch):
    form = compile_model(charging())
    conflict = explain(form, Glpk, 0.0).sentences
    assert len(conflict) == 1 and "within 0 s" in conflict[0]
    # by a clock on which each solve takes 1 s: the solver is told what is left, and none begins when nothing is
    now_s, limits_s = 0.0, []
    monkeypatch.setattr(conflicts, "perf_counter", lambda: now_s)

    class Slow(Glpk):
        def solve_lp(self, limit_s):
            nonlocal now_s
            limits_s.append(limit_s)
            now_s += 1.0
            return super().solve_lp(10.0)

    conflict = explain(compile_model(charging(1e4, steps=20)), Slow, 9.5).sentences
    assert limits_s == [9.5, *np.arange(8.5, 0.0, -1.0)]
    assert conflict[-1] == "some of these may be unnecessary: stopped after 9.5 s"
    assert len(conflict) > 20, "those that were not tried are given too"


def test_the_filter_tries_each_priced_side_once():
    """A conflict of all connectors' limits over a long stay costs as many solves as it has members, and two."""
    solves = 0

    class Counting(Glpk):
        def solve_lp(self, *args, **kwargs):
            nonlocal solves
            solves += 1
            return super().solve_lp(*args, **kwargs)

    conflict = explain(compile_model(charging(1e4, steps=116)), Counting).sentences
    assert len(conflict) == 1 + 2 * 116 and solves <= 2 + len(conflict)
