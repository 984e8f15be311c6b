"""Whole numbers from the LP relaxation where it has them, branching where it has not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pyomo.environ as pyo
import pytest

from evhub.controllers.optimization.lp_relaxation import declare_exclusive
from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus
from tests.helpers.pyomo_values import write_back

both = pytest.mark.parametrize("solver", ["glpk", "highs"])


def storage(prices, efficiency=0.9, declared=True):
    """A battery of 2 kW and 3 kWh on a market, empty at both ends; it may not charge and discharge at once."""
    steps = len(prices)
    model = pyo.ConcreteModel()
    model.hub = pyo.Block()
    hub = model.hub
    hub.charge = pyo.Var(range(steps), bounds=(0, 2))
    hub.discharge = pyo.Var(range(steps), bounds=(0, 2))
    hub.energy = pyo.Var(range(steps), bounds=(0, 3))
    hub.charges = pyo.Var(range(steps), domain=pyo.Binary)
    hub.state = pyo.Constraint(
        range(steps),
        rule=lambda b, t: (
            b.energy[t] - (b.energy[t - 1] if t else 0) == efficiency * b.charge[t] - b.discharge[t] / efficiency
        ),
    )
    hub.may_charge = pyo.Constraint(range(steps), rule=lambda b, t: b.charge[t] <= 2 * b.charges[t])
    hub.may_discharge = pyo.Constraint(range(steps), rule=lambda b, t: b.discharge[t] <= 2 * (1 - b.charges[t]))
    hub.end = pyo.Constraint(expr=hub.energy[steps - 1] == 0)
    model.cost = pyo.Objective(expr=sum(prices[t] * (hub.charge[t] - hub.discharge[t]) for t in range(steps)))
    if declared:
        declare_exclusive(hub, hub.charge, hub.discharge, hub.charges)
    return model


def by_enumeration(model, binaries) -> float:
    """Best objective over all patterns of the binaries, each an LP."""
    best = np.inf
    with Program(model) as program:
        columns = program.columns(binaries)
        for pattern in product((0.0, 1.0), repeat=columns.size):
            program.set_bounds(columns, pattern, pattern)
            best = min(best, program.solve(gap=0.0).objective)
    return best


def obeys(model, program) -> bool:
    """Whether the values, put into the model, hold in every constraint and every binary is whole."""
    write_back(program)
    return all(
        pyo.value(row.body) >= (-np.inf if row.lower is None else pyo.value(row.lower)) - 1e-6
        and pyo.value(row.body) <= (np.inf if row.upper is None else pyo.value(row.upper)) + 1e-6
        for row in model.component_data_objects(pyo.Constraint, active=True)
    ) and all(v.value in (0.0, 1.0) for v in model.component_data_objects(pyo.Var) if v.is_binary())


@both
def test_losses_make_the_relaxation_proof_enough(solver):
    model = storage([10, 50, 5, 60, 20, 70])
    with Program(model, solver) as program:
        solution = program.solve(gap=0.0)
        assert solution.status is SolveStatus.OPTIMAL and solution.proven_by == "lp"
        assert set(solution.seconds) == {"lp"}
        assert obeys(model, program)
        assert solution.objective == pytest.approx(by_enumeration(model, model.hub.charges), abs=1e-9)


@both
def test_a_declared_binary_takes_one_small_relaxation(solver, monkeypatch):
    """Full after less than two hours at full power; the binaries follow."""
    model = storage([5, 10, 90, 100])
    with Program(model, solver) as program:
        solves, true_solve = [], program._backend.solve_lp
        monkeypatch.setattr(program._backend, "solve_lp", lambda *limit: solves.append(1) or true_solve(*limit))
        assert program.solve(gap=0.0).proven_by == "lp" and len(solves) == 1
        charge = program.values(program.columns(model.hub.charge))
        assert np.any((charge > 0.1) & (charge < 1.9))


@both
def test_negative_prices_break_complementarity_and_need_branching(solver):
    model = storage([-30, -40, 5, 20, -10, 30])
    with Program(model, solver) as program:
        solution = program.solve(gap=0.0)
        assert solution.status is SolveStatus.OPTIMAL and solution.proven_by == "branch"
        assert obeys(model, program)
        charge, discharge = (program.values(program.columns(v)) for v in (model.hub.charge, model.hub.discharge))
        assert np.all(np.minimum(charge, discharge) < 1e-9)
        assert solution.objective == pytest.approx(by_enumeration(model, model.hub.charges), abs=1e-6)
        with pytest.raises(ValueError, match="branching"):
            program.duals(program.rows(model.hub.state))
    free = storage([-30, -40, 5, 20, -10, 30])
    for row in (free.hub.may_charge, free.hub.may_discharge):
        row.deactivate()
    with Program(free, solver) as program:
        assert program.solve().objective < solution.objective - 1.0, "the binaries must have mattered"


def test_a_degenerate_relaxation_is_settled_with_the_binaries_fixed(monkeypatch):
    """Lossless and at one price, charging and discharging at once costs nothing; the solver may do it, we do not."""
    model = storage([5, 5, 5, 5], efficiency=1.0)
    with Program(model) as program:
        x, y, binary = (program.columns(v) for v in (model.hub.charge, model.hub.discharge, model.hub.charges))
        true_values = program._backend.lp_values
        calls = []

        def both_at_once():
            values = true_values()
            if len(calls) < 2:  # without and with the rows of the binaries: as good as any, and not complementary
                values[x], values[y], values[binary] = 1.0, 1.0, 0.5
            calls.append(1)
            return values

        monkeypatch.setattr(program._backend, "lp_values", both_at_once)
        solution = program.solve(gap=0.0)
        assert solution.proven_by == "lp" and "fix" in solution.seconds and "branch" not in solution.seconds
        assert obeys(model, program)
        # the binaries are free again: the next solve may choose others
        monkeypatch.undo()
        program.set_costs(x, [1.0, 9.0, 1.0, 9.0])
        program.set_costs(y, [-1.0, -9.0, -1.0, -9.0])
        assert program.solve(gap=0.0).objective == pytest.approx(-32)


@both
def test_a_minimum_power_needs_branching(solver):
    """A generator of 4 to 10 kW at 1 and a load of 3 kW: it must stay off, and the load is bought at 5."""
    model = pyo.ConcreteModel()
    model.on = pyo.Var(domain=pyo.Binary)
    model.power = pyo.Var(bounds=(0, 10))
    model.buy = pyo.Var(bounds=(0, 10))
    model.least = pyo.Constraint(expr=model.power >= 4 * model.on)
    model.most = pyo.Constraint(expr=model.power <= 10 * model.on)
    model.demand = pyo.Constraint(expr=model.power + model.buy == 3)
    model.cost = pyo.Objective(expr=model.power + 5 * model.buy)
    with Program(model, solver) as program:
        solution = program.solve()
        assert solution.objective == pytest.approx(15) and program.values(program.columns(model.on)) == [0.0]
        assert solution.bound == pytest.approx(15)
        program.set_row_bounds(program.rows(model.demand), 6.0, 6.0)
        assert program.solve().objective == pytest.approx(6)


@both
def test_a_wrong_declaration_cannot_give_a_wrong_optimum(solver):
    """Binaries with a cost of their own, declared as if they had none."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        prices = rng.uniform(0, 40, 5).tolist()
        model = storage(prices)
        model.cost.expr += sum(
            float(c) * v for c, v in zip(rng.uniform(-9, 90, 5), model.hub.charges.values(), strict=True)
        )
        with Program(model, solver) as program:
            solution = program.solve(gap=0.0)
            assert obeys(model, program)
        assert solution.objective == pytest.approx(by_enumeration(model, model.hub.charges), abs=1e-6)


def test_declaration_only_saves_time():
    prices = [12, 50, 5, 60, -20, 70, 10, 4]
    found = []
    for declared in (True, False):
        with Program(storage(prices, declared=declared)) as program:
            found.append(program.solve(gap=0.0).objective)
    assert found[0] == pytest.approx(found[1])


def test_declarations_survive_a_clone_and_name_what_is_wrong():
    model = storage([10, 50, 5, 60]).clone()
    with Program(model) as program:
        assert program._exclusive.binary.tolist() == program.columns(model.hub.charges).tolist()
    with pytest.raises(ValueError, match=r"\[4, 1, 4\]"):
        declare_exclusive(model, model.hub.charge, model.hub.discharge[0], model.hub.charges)


@both
def test_objective_and_bound_of_a_maximisation(solver):
    model = storage([-30, -40, 5, 20, -10, 30])
    minimum = by_enumeration(model, model.hub.charges)
    model.cost.expr, model.cost.sense = -model.cost.expr, pyo.maximize
    with Program(model, solver) as program:
        solution = program.solve(gap=0.0)
        assert solution.objective == pytest.approx(-minimum) and solution.bound >= solution.objective
        assert solution.bound == pytest.approx(-minimum)
        loose = program.solve(gap=0.5)
        assert loose.ok and loose.objective <= -minimum + 1e-6 <= loose.bound + 2e-6
