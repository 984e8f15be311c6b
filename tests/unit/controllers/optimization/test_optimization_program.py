"""A model loaded in a solver: hand-solved programs, changes, duals, limits, and what is refused."""

from __future__ import annotations

import signal
import sys
import threading

import highspy
import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus
from evhub.controllers.optimization.solvers import glpk_solver as glpk
from evhub.controllers.optimization.solvers import highs_solver as highs
from tests.helpers.pyomo_values import write_back

SOLVERS = ("glpk", "highs")
both = pytest.mark.parametrize("solver", SOLVERS)


def product_mix(sense=pyo.maximize):
    """Max 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18: x = 2, y = 6, 36 (Hillier & Lieberman's Wyndor Glass)."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.NonNegativeReals)
    model.y = pyo.Var(domain=pyo.NonNegativeReals)
    model.plant = pyo.Constraint(
        [1, 2, 3], rule=lambda m, k: {1: m.x <= 4, 2: 2 * m.y <= 12, 3: 3 * m.x + 2 * m.y <= 18}[k]
    )
    sign = 1 if sense == pyo.maximize else -1
    model.profit = pyo.Objective(expr=sign * (3 * model.x + 5 * model.y) + 7, sense=sense)
    return model


def demand_of(size):
    return 10 + 0.37 * np.arange(size) % 2.0


def transport(seed=0, size=6):
    """A transport problem with uneven numbers, so that its solution is not degenerate."""
    rng = np.random.default_rng(seed)
    model = pyo.ConcreteModel()
    model.flow = pyo.Var(range(size), range(size), bounds=(0, 10))
    supply, demand = rng.uniform(12, 16, size).tolist(), demand_of(size).tolist()
    model.out = pyo.Constraint(range(size), rule=lambda m, i: sum(m.flow[i, j] for j in range(size)) <= supply[i])
    model.demand = pyo.Constraint(range(size), rule=lambda m, j: sum(m.flow[i, j] for i in range(size)) == demand[j])
    costs = rng.uniform(1, 9, (size, size))
    model.cost = pyo.Objective(expr=sum(costs[i, j] * model.flow[i, j] for i in range(size) for j in range(size)))
    return model


def knapsacks(items=70, rows=12, seed=3):
    """A mixed-integer program that takes GLPK minutes; taking nothing is feasible."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(10, 100, (rows, items))
    value = weight.mean(axis=0) + rng.uniform(0, 20, items)
    model = pyo.ConcreteModel()
    model.take = pyo.Var(range(items), domain=pyo.Binary)
    model.capacity = pyo.Constraint(
        range(rows),
        rule=lambda m, r: sum(int(weight[r, i]) * m.take[i] for i in range(items)) <= int(weight[r].sum()) // 2,
    )
    model.value = pyo.Objective(expr=sum(value[i] * model.take[i] for i in range(items)), sense=pyo.maximize)
    return model


@both
def test_rows_and_columns_that_are_added_give_the_program_that_was_built_with_them(solver):
    rng = np.random.default_rng(4)
    whole = transport()
    limits = rng.uniform(2.0, 6.0, 3)
    whole.over = pyo.Var(range(3), domain=pyo.NonNegativeReals)
    whole.most = pyo.Constraint(range(3), rule=lambda m, k: m.flow[k, 0] + m.flow[k, 1] - m.over[k] <= limits[k])
    whole.cost.expr += 2.5 * sum(whole.over.values())
    with Program(whole, solver) as program:
        expected = program.solve().objective

    model = transport()
    with Program(model, solver) as program:
        cheaper = program.solve().objective
        for k in range(3):
            size = program.size
            row = np.zeros((1, size + 1))
            row[0, program.columns(np.array([model.flow[k, 0], model.flow[k, 1]]))] = 1.0
            row[0, size] = -1.0
            columns, rows = program.extend([0.0], [np.inf], [2.5], sparse.csr_array(row), [-np.inf], [limits[k]])
            assert (columns.tolist(), program.size) == ([size], size + 1)
        found = program.solve()
        assert found.status is SolveStatus.OPTIMAL
        assert found.objective == pytest.approx(expected, rel=1e-9)
        assert expected > cheaper + 0.1
        program.set_row_bounds(rows - np.arange(3), -np.inf, np.inf)
        assert program.solve().objective == pytest.approx(cheaper, rel=1e-9)


@both
def test_what_is_added_is_checked(solver):
    with Program(product_mix(), solver) as program:
        one = sparse.csr_array(np.array([[1.0, 0.0]]))
        with pytest.raises(ValueError, match="row 3: bounds"):
            program.extend([], [], [], one, [2.0], [1.0])
        with pytest.raises(ValueError, match="not finite"):
            program.extend([], [], [], one * np.nan, [2.0], [3.0])
        program.extend([], [], [], one, [5.0], [np.inf])
        assert program.solve().conflict == ("plant[1] <= 4", "row 3 >= 5")


@both
@pytest.mark.parametrize("sense", [pyo.maximize, pyo.minimize])
def test_hand_solved_program(solver, sense):
    model = product_mix(sense)
    with Program(model, solver) as program:
        solution = program.solve()
        assert solution.status is SolveStatus.OPTIMAL and solution.ok and solution.proven_by == "lp"
        sign = 1 if sense == pyo.maximize else -1
        assert solution.objective == pytest.approx(sign * 36 + 7) == solution.bound
        assert program.values(program.columns(model.x)) == pytest.approx([2])
        # shadow prices 0, 3/2, 1 for a whole unit of each plant; the second row is 2y <= 12
        assert program.duals(program.rows(model.plant)) == pytest.approx([0, sign * 1.5, sign * 1])
        write_back(program)
        assert pyo.value(model.profit) == pytest.approx(sign * 36 + 7)
        assert not model.y.stale


@both
def test_range_row_is_one_row_with_two_bounds(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var([0, 1], bounds=(0, 10))
    model.band = pyo.Constraint(expr=(2, model.x[0] + model.x[1] + 1, 5))
    model.exact = pyo.Constraint(expr=model.x[0] - model.x[1] == 0.5)
    model.cost = pyo.Objective(expr=model.x[0] + model.x[1])
    with Program(model, solver) as program:
        assert program.rows(model.band).size == 1 and len(program.constraints) == 2
        assert program.solve().objective == pytest.approx(1)
        program.set_costs(program.columns(model.x), -1.0)
        assert program.solve().objective == pytest.approx(-4)
        program.set_row_bounds(program.rows(model.band), 3.0, 3.25)
        assert program.solve().objective == pytest.approx(-3.25)
        program.set_row_bounds(program.rows(model.band), -np.inf, np.inf)
        assert program.solve().objective == pytest.approx(-19.5)


@both
def test_duals_and_reduced_costs_are_derivatives(solver):
    model = transport()
    step = 1e-3
    with Program(model, solver) as program:
        for maximise in (False, True):
            columns, rows = program.columns(model.flow), program.rows(model.demand)
            before = program.solve()
            duals, reduced = program.duals(rows), program.reduced_costs(columns)
            values = program.values(columns)
            demand = demand_of(6)
            for k in range(6):
                program.set_row_bounds(rows[[k]], demand[k] + step, demand[k] + step)
                change = (program.solve().objective - before.objective) / step
                program.set_row_bounds(rows[[k]], demand[k], demand[k])
                assert change == pytest.approx(duals[k], abs=1e-6)
            at_lower = np.flatnonzero((values < 1e-9) & (np.abs(reduced) > 1e-6))[:5]
            assert at_lower.size
            for k in at_lower:
                program.set_bounds(columns[[k]], step, 10)
                change = (program.solve().objective - before.objective) / step
                program.set_bounds(columns[[k]], 0, 10)
                assert change == pytest.approx(reduced[k], abs=1e-6)
            if not maximise:
                program.close()
                model.cost.sense = pyo.maximize
                program = Program(model, solver)
        program.close()


@both
def test_warm_solves_equal_cold_ones(solver):
    model = transport(1)
    rng = np.random.default_rng(5)
    with Program(model, solver) as warm:
        columns, rows = warm.columns(model.flow), warm.rows(model.demand)
        for _ in range(15):
            costs, demand = rng.uniform(-2, 9, columns.size), rng.uniform(5, 12, rows.size)
            upper = rng.uniform(4, 12, columns.size)
            found = []
            with Program(model, solver) as cold:
                for program in (warm, cold):
                    program.set_costs(columns, costs)
                    program.set_row_bounds(rows, demand, demand)
                    program.set_bounds(columns, 0.0, upper)
                    found.append(program.solve())
            assert found[0].status is found[1].status
            assert found[0].objective == pytest.approx(found[1].objective, abs=1e-8, nan_ok=True)


@both
def test_a_tighter_bound_never_improves(solver):
    model = transport(2)
    rng = np.random.default_rng(7)
    with Program(model, solver) as program:
        columns = program.columns(model.flow)
        upper = np.full(columns.size, 10.0)
        last = program.solve().objective
        costs = []
        while program.solve().ok:
            costs.append(program.solve().objective)
            assert costs[-1] >= last - 1e-9
            last = costs[-1]
            upper[rng.integers(columns.size, size=4)] *= 0.7
            program.set_bounds(columns, 0.0, upper)
        assert costs[-1] > costs[0] + 1.0, "the bounds never mattered"


@both
def test_unbounded_is_told_from_infeasible(solver):
    model = product_mix()
    model.plant.deactivate()
    model.still = pyo.Constraint(expr=model.x - model.y <= 3)
    with Program(model, solver) as program:
        solution = program.solve()
        assert solution.status is SolveStatus.UNBOUNDED and not solution.ok and solution.conflict == ()
        with pytest.raises(ValueError, match="found no point"):
            program.values(program.columns(model.x))
        with pytest.raises(ValueError, match="no duals"):
            program.duals(program.rows(model.still))


@both
def test_every_variable_has_a_column(solver):
    model = product_mix()
    model.unused = pyo.Var([1, 2], bounds=(3, 8))
    model.held = pyo.Var(initialize=2.5)
    model.held.fix()
    model.uses_held = pyo.Constraint(expr=model.x + model.held <= 4)
    with Program(model, solver) as program:
        assert program.solve().objective == pytest.approx(3 * 1.5 + 5 * 6 + 7)
        assert np.all(program.values(program.columns(model.unused)) >= 3)
        assert program.values(program.columns(model.held)) == [2.5]
        assert program.columns(model.unused[2]) == program.columns(model.unused)[1]
        with pytest.raises(ValueError, match="held: fixed when"):
            program.set_bounds(program.columns(model.held), 0, 1)
        write_back(program)
        assert model.held.value == 2.5


def test_columns_follow_the_index_of_the_variable():
    model = transport()
    with Program(model) as program:
        columns = program.columns(model.flow)
        assert [program.variables[k].name for k in columns] == [v.name for v in model.flow.values()]
        rows = program.rows(model.demand)
        assert [program.constraints[k].name for k in rows] == [c.name for c in model.demand.values()]
        # an array of the variable's own shape is as good as a flat one
        program.set_bounds(columns, np.zeros((6, 6)), np.full((6, 6), 9.0))


def test_a_constraint_without_variables_or_bounds_has_no_row():
    model = product_mix()
    model.fine = pyo.Constraint(expr=0 * model.x <= 3)
    with Program(model) as program, pytest.raises(ValueError, match="fine: has no row"):
        program.rows(model.fine)
    other = product_mix()
    with Program(model) as program, pytest.raises(ValueError, match="x: no variable"):
        program.columns(other.x)


@both
def test_a_false_constraint_without_variables_is_infeasible_not_an_error(solver):
    model = product_mix()
    model.x.fix(9)
    with Program(model, solver) as program:
        solution = program.solve()
    assert solution.status is SolveStatus.INFEASIBLE
    assert len(solution.conflict) == 1 and "plant[1]" in solution.conflict[0]
    assert model.plant[1].active


@both
def test_a_true_constraint_without_variables_is_harmless(solver):
    model = product_mix()
    model.held = pyo.Var([1, 2], initialize={1: 0.1, 2: 0.2})
    model.held.fix()
    # 0.1 + 0.2 is not 0.3 in binary: false by rounding only
    model.sums = pyo.Constraint(expr=model.held[1] + model.held[2] == 0.3)
    with Program(model, solver) as program:
        assert program.solve().objective == pytest.approx(43)
    model.x.fix(3)
    model.y.fix(7)
    with Program(model, solver) as program:
        assert program.solve().conflict == ("plant[2] is false whatever the variables",)


def test_integers_are_whole_and_their_bounds_rounded_inwards():
    model = pyo.ConcreteModel()
    model.n = pyo.Var(domain=pyo.Integers, bounds=(-3.5, 3.5))
    model.x = pyo.Var(bounds=(0, 1))
    model.link = pyo.Constraint(expr=model.x + model.n <= 2.7)
    model.goal = pyo.Objective(expr=2 * model.n + model.x, sense=pyo.maximize)
    for solver in SOLVERS:
        with Program(model, solver) as program:
            solution = program.solve()
            assert solution.objective == pytest.approx(4.7)
            assert program.values(program.columns(model.n)) == [2.0]
            program.set_costs(program.columns(model.n), -1.0)
            program.solve()
            assert program.values(program.columns(model.n)) == [-3.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_numbers_are_refused_by_name(value):
    model = product_mix()
    with Program(model) as program:
        x = program.columns(model.x)
        with pytest.raises(ValueError, match=r"x: cost"):
            program.set_costs(x, value)
        if value != np.inf:
            with pytest.raises(ValueError, match=r"x: bounds"):
                program.set_bounds(x, 0.0, value)
            with pytest.raises(ValueError, match=r"plant\[2\]: bounds"):
                program.set_row_bounds(program.rows(model.plant[2]), 0.0, value)
        assert program.solve().objective == pytest.approx(43), "a refused change must change nothing"
    for expression in ("model.y * value + model.x <= 1", "model.x <= value"):
        model = product_mix()
        if expression == "model.x <= value" and value == np.inf:
            continue  # no bound at all
        model.bad = pyo.Constraint(expr=eval(expression))  # noqa: S307
        with pytest.raises(ValueError, match=r"bad: "):
            Program(model)
    for expression, message in (("model.x * value", "x: cost"), ("model.x + value", "constant of the objective")):
        model = product_mix()
        model.profit.deactivate()
        model.bad = pyo.Objective(expr=eval(expression))  # noqa: S307
        with pytest.raises(ValueError, match=message):
            Program(model)


def test_what_the_solver_must_not_see_is_refused():
    model = product_mix()
    with Program(model) as program:
        with pytest.raises(ValueError, match=r"x: bounds 2\.0 to 1\.0"):
            program.set_bounds(program.columns(model.x), 2, 1)
        for wrong in (-1, 2, 10**6):
            with pytest.raises(ValueError, match="allowed is 0 to 1"):
                program.set_costs(np.array([wrong]), 1.0)
        with pytest.raises(ValueError, match="allowed is 0 to 2"):
            program.set_row_bounds(np.array([-1]), 0.0, 1.0)
        with pytest.raises(ValueError, match="gap"):
            program.solve(gap=np.nan)
        with pytest.raises(ValueError, match="time limit"):
            program.solve(time_limit_s=-1)
    model.steps = pyo.Var(domain=[0, 5, 7])
    with pytest.raises(ValueError, match=r"steps: domain"):
        Program(model)
    with pytest.raises(ValueError, match="'glpk' and 'highs'"):
        Program(product_mix(), "cplex")
    model = product_mix()
    model.second = pyo.Objective(expr=model.x)
    with pytest.raises(ValueError, match="2 active objectives"):
        Program(model)


def test_missing_highs_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "highspy", None)
    monkeypatch.delitem(sys.modules, "evhub.controllers.optimization.solvers.highs_solver", raising=False)
    with pytest.raises(ImportError, match=r"evhub\[highs\]"):
        Program(product_mix(), "highs")


@both
def test_a_program_is_freed_once_and_not_used_after(solver):
    program = Program(product_mix(), solver)
    program.close()
    program.close()
    for use in (program.solve, lambda: program.set_costs(np.array([0]), 4.0)):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_glpk_refuses_another_thread():
    program, caught = Program(product_mix()), []

    def use():
        try:
            program.solve()
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert caught and "thread" in caught[0]
    assert program.solve().ok
    program.close()


def test_nothing_is_printed(capfd):
    for model in (product_mix(), knapsacks(12, 3)):
        for solver in SOLVERS:
            with Program(model, solver) as program:
                program.solve()
    assert capfd.readouterr() == ("", "")


@both
def test_time_limit_returns_the_incumbent_with_its_gap(solver):
    model = knapsacks(200, 25)
    with Program(model, solver) as program:
        solution = program.solve(gap=0.0, time_limit_s=0.5)
        assert solution.status is SolveStatus.FEASIBLE and solution.stopped and solution.proven_by is None
        assert 0.0 < solution.gap < 1.0 and solution.bound > solution.objective
        assert sum(solution.seconds.values()) < 2.0
        write_back(program)
        assert pyo.value(model.value) == pytest.approx(solution.objective)
        assert all(pyo.value(row.body) <= pyo.value(row.upper) + 1e-6 for row in model.capacity.values())
        assert program.solve(time_limit_s=0.0).status is SolveStatus.TIME_LIMIT


@both
def test_time_limits_do_not_add_up(solver):
    with Program(knapsacks(200, 25), solver) as program:
        for _ in range(3):
            solution = program.solve(gap=0.0, time_limit_s=0.4)
            assert solution.stopped and 0.35 < solution.seconds["branch"] < 4.0


@both
def test_branching_ends_within_the_gap_by_its_own_bound(solver):
    with Program(knapsacks(20, 5), solver) as program:
        columns = program.columns(program.variables[0].parent_component())
        relaxation = program.solve(gap=0.5).bound
        loose = program.solve(gap=0.01)
        assert loose.ok and not loose.stopped and loose.gap <= 0.01 and loose.proven_by == "branch"
        assert loose.bound < relaxation - 1.0, "the bound of the relaxation would not have been enough"
        exact = program.solve(gap=0.0)
        assert exact.status is SolveStatus.OPTIMAL and exact.gap < 1e-6
        assert loose.objective <= exact.objective + 1e-6 and exact.objective <= loose.bound + 1e-6
        assert set(program.values(columns)) == {0.0, 1.0}


def test_glpk_goes_on_from_the_last_basis():
    model = transport(3, 30)
    with Program(model) as program:
        columns, problem = program.columns(model.flow), program._backend._own()

        def iterations() -> int:
            before = glpk.glp.glp_get_it_cnt(problem)
            assert program.solve().ok
            return glpk.glp.glp_get_it_cnt(problem) - before

        cold = iterations()
        assert cold > 40
        assert iterations() == 0
        program.set_costs(columns[:3], 0.5)
        assert 0 < iterations() < cold / 4
        program.set_row_bounds(program.rows(model.demand)[:3], 9.5, 9.5)
        assert 0 < iterations() < cold / 4


@both
def test_ctrl_c_ends_branch_and_bound(solver, monkeypatch):
    """Pressed at the solver's third look while it branches, it is the last look, or nearly."""
    owner = glpk._Watch if solver == "glpk" else highs.Highs
    look, looks = owner._look, 0

    def press(self, event, *rest):
        nonlocal looks
        kind = getattr(event, "callback_type", None)  # HiGHS also looks in its simplex
        if kind is None or kind == highspy.cb.HighsCallbackType.kCallbackMipInterrupt:
            looks += 1
            if looks == 3:
                signal.raise_signal(signal.SIGINT)
        look(self, event, *rest)

    monkeypatch.setattr(owner, "_look", press)
    with Program(knapsacks(200, 25), solver) as program:
        with pytest.raises(KeyboardInterrupt):
            program.solve(gap=0.0, time_limit_s=20.0)
        assert 3 <= looks <= 10
        assert program.solve(gap=0.2).ok, "usable after an interruption"


def test_simplex_goes_on_from_slice_to_slice(monkeypatch):
    model = transport(3, 40)
    with Program(model) as program:
        whole = program.solve().objective
    monkeypatch.setattr(glpk, "_SLICE_MS", 1)
    with Program(model) as program:
        columns = program.columns(model.flow)
        assert program.solve().objective == pytest.approx(whole)
        costs = np.random.default_rng(1).uniform(1, 9, columns.size)
        program.set_costs(columns, costs)
        sliced = program.solve().objective
        program.set_costs(columns, costs + 1e-12)
    with Program(model) as program:
        program.set_costs(columns, costs)
        assert program.solve().objective == pytest.approx(sliced)


def test_the_callback_stands_where_glpk_looks_for_it():
    """The mirror of GLPK's control structure must agree with swig's in every field before the callback."""
    control = glpk.glp.glp_iocp()
    glpk.glp.glp_init_iocp(control)
    for number, name in enumerate(
        ("msg_lev", "br_tech", "bt_tech", "tol_int", "tol_obj", "tm_lim", "out_frq", "out_dly")
    ):
        setattr(control, name, number + 3)
        assert getattr(glpk._ControlHead.from_address(int(control.this)), name) == number + 3
    control.cb_size = 77
    watch = glpk._Watch(glpk.Interruptible(), control)
    assert watch is not None and control.cb_func is not None and control.cb_info is None and control.cb_size == 77


# ------------------------------------------------------------------------------------------------------ near misses


def sum_of_two(need: float, coefficient: float = 1.0) -> pyo.ConcreteModel:
    """Two variables of at most 3 whose weighted sum must reach what is needed."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var([1, 2], bounds=(0, 3))
    model.need = pyo.Constraint(expr=coefficient * (model.x[1] + model.x[2]) >= coefficient * need)
    model.cost = pyo.Objective(expr=model.x[1] + model.x[2])
    return model


@both
@pytest.mark.parametrize("coefficient", [1.0, 0.01, 0.001])
@pytest.mark.parametrize("missing", [1e-4, 1e-3, 1e-2])
def test_a_little_too_much_is_infeasible_at_the_first_solve_and_at_the_next(solver, coefficient, missing):
    with Program(sum_of_two(6.0 * (1.0 + missing), coefficient), solver) as program:
        assert [program.solve().status for _ in range(2)] == [SolveStatus.INFEASIBLE] * 2


@both
def test_a_conflict_without_any_sentence_names_rows_and_bounds(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 3))
    model.c = pyo.Constraint(expr=model.x >= 5)
    model.cost = pyo.Objective(expr=model.x)
    with Program(model, solver) as program:
        assert set(program.solve().conflict) == {"c >= 5", "x <= 3"}


@both
def test_bounds_of_whole_numbers_are_rounded_inwards(solver):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), domain=pyo.Integers, bounds=(0, 10))
    model.c = pyo.Constraint(expr=3 * model.x[0] + 5 * model.x[1] + 7 * model.x[2] <= 16.5)
    model.cost = pyo.Objective(expr=4 * model.x[0] + 7 * model.x[1] + 9.1 * model.x[2], sense=pyo.maximize)
    with Program(model, solver) as program:
        columns = program.columns(model.x)
        program.set_bounds(columns, 0, [2.5, 1.5, 1.5])
        assert program.solve().objective == pytest.approx(20.1)  # 1, 1, 1: 15 of 16.5
        with pytest.raises(ValueError, match=r"x\[0\]: no whole number between its bounds"):
            program.set_bounds(columns[:1], 0.3, 0.7)


@both
@pytest.mark.parametrize("large", [1e3, 2e5])
def test_a_binary_beside_a_large_coefficient_is_paid_for(solver, large):
    """Whatever is used costs 1000 once; 1 of it at the least."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(4), bounds=(0, None))
    model.on = pyo.Var(range(4), domain=pyo.Binary)
    model.gate = pyo.Constraint(range(4), rule=lambda m, i: m.x[i] <= large * m.on[i])
    model.need = pyo.Constraint(expr=pyo.quicksum(model.x.values()) >= 1)
    model.cost = pyo.Objective(expr=pyo.quicksum((1000 + i) * model.on[i] + model.x[i] for i in range(4)))
    with Program(model, solver) as program:
        assert program.solve(gap=0.0).objective == pytest.approx(1001.0)


@both
def test_no_point_that_breaks_constraints_is_ever_an_answer(solver):
    """With 1e9 beside a binary, solvers take x = 1 at on = 0 for a solution."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, None))
    model.on = pyo.Var(domain=pyo.Binary)
    model.gate = pyo.Constraint(expr=model.x <= 1e9 * model.on)
    model.need = pyo.Constraint(expr=model.x >= 1)
    model.cost = pyo.Objective(expr=1000 * model.on + model.x)
    with Program(model, solver) as program:
        try:
            found = program.solve(gap=0.0).objective
        except RuntimeError as error:
            assert "coefficients differ too much" in str(error)
        else:
            assert found == pytest.approx(1001.0)


def test_a_variable_has_no_rows_and_a_constraint_no_columns_also_when_asked_again():
    model = product_mix()
    with Program(model) as program:
        program.columns(model.x), program.rows(model.plant)
        with pytest.raises(ValueError, match="has no row"):
            program.rows(model.x)
        with pytest.raises(ValueError, match="no variable"):
            program.columns(model.plant)


def test_no_duals_of_an_earlier_solve_are_left_when_one_fails(monkeypatch):
    model = product_mix()
    with Program(model) as program:
        program.solve()
        monkeypatch.setattr(glpk.Glpk, "solve_lp", lambda *_: (_ for _ in ()).throw(RuntimeError("numerical")))
        with pytest.raises(RuntimeError, match="numerical"):
            program.solve()
        with pytest.raises(ValueError, match="no duals"):
            program.duals(program.rows(model.plant))
