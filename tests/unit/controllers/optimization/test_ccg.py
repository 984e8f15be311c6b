"""Column-and-constraint generation against enumeration, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, product

import numpy as np
import pytest
from scipy import sparse

from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.robust import (
    column_and_constraint as ccg,
)
from evhub.controllers.optimization.robust import (
    two_stage_problem as two_stage,
)
from evhub.controllers.optimization.robust import (
    worst_case,
)
from evhub.controllers.optimization.standard_form import form_of_arrays

INF = np.inf


def random_problem(seed: int) -> two_stage.TwoStage:
    """Covering rows with penalised slacks, equations, capped and free recourse, products, sometimes a budget."""
    rng = np.random.default_rng(seed)
    n, m, r, k = rng.integers(2, 5), rng.integers(2, 5), rng.integers(2, 5), rng.integers(2, 6)
    slack = sparse.hstack([sparse.eye_array(r), -sparse.eye_array(r)])
    G = np.hstack([rng.integers(-3, 4, (r, m)).astype(float), slack.toarray()])
    count = int(rng.integers(0, 5))
    products = two_stage.Products(
        rng.integers(0, r, count), rng.integers(0, k, count), rng.integers(0, n, count), rng.normal(0, 2, count)
    )
    upper = np.concatenate([rng.choice([2.0, 5.0, INF], m), np.full(2 * r, INF)])
    lower = np.concatenate([rng.choice([0.0, 1.0, -1.0], m), np.zeros(2 * r)])
    budget = bool(rng.integers(0, 2))
    return two_stage.TwoStage(
        cost=rng.uniform(0.5, 3.0, n),
        lower=np.zeros(n),
        upper=np.full(n, 4.0),
        integer=rng.random(n) < 0.4,
        limits=sparse.csr_array(np.ones((1, n))),
        limits_lower=np.array([1.0]),
        limits_upper=np.array([2.0 * n]),
        recourse_cost=np.concatenate([rng.uniform(0.0, 3.0, m), rng.uniform(4.0, 9.0, 2 * r)]),
        recourse_lower=lower,
        recourse_upper=upper,
        G=sparse.csr_array(G),
        E=sparse.csr_array(rng.integers(-1, 3, (r, n)).astype(float)),
        H=sparse.csr_array(np.round(rng.normal(0, 3, (r, k)) * (rng.random((r, k)) < 0.6), 2)),
        rhs=rng.uniform(0, 6, r),
        equal=rng.random(r) < 0.5,
        products=products,
        choice=sparse.csr_array(np.ones((1, k))) if budget else sparse.csr_array((0, k)),
        choice_upper=np.array([float(k // 2)]) if budget else np.zeros(0),
    )


def all_s(problem: two_stage.TwoStage) -> list[np.ndarray]:
    found = [np.array(s, dtype=float) for s in product([0, 1], repeat=problem.H.shape[1])]
    return [s for s in found if np.all(problem.choice @ s <= problem.choice_upper + 1e-9)]


def extensive_form(problem: two_stage.TwoStage) -> float:
    """Optimum with the recourse of every s at once, written here a second time, by HiGHS."""
    n, m = problem.cost.size, problem.recourse_cost.size
    scenarios = all_s(problem)
    size = n + 1 + m * len(scenarios)
    rows, low, high = [], [], []

    def add(row, least, largest):
        rows.append(row)
        low.append(least)
        high.append(largest)

    for i in range(problem.limits.shape[0]):
        row = np.zeros(size)
        row[:n] = problem.limits.toarray()[i]
        add(row, problem.limits_lower[i], problem.limits_upper[i])
    G, E, H = problem.G.toarray(), problem.E.toarray(), problem.H.toarray()
    for number, s in enumerate(scenarios):
        here = slice(n + 1 + m * number, n + 1 + m * (number + 1))
        of_x = E.copy()
        for at, by, first, value in zip(*problem.products, strict=True):
            of_x[at, first] += value * s[by]
        for i in range(problem.rhs.size):
            row = np.zeros(size)
            row[:n], row[here] = of_x[i], G[i]
            right = problem.rhs[i] - H[i] @ s
            add(row, right, right if problem.equal[i] else INF)
        row = np.zeros(size)
        row[n], row[here] = 1.0, -problem.recourse_cost
        add(row, 0.0, INF)
    cost = np.concatenate([problem.cost, [1.0], np.zeros(m * len(scenarios))])
    lower = np.concatenate([problem.lower, [-1e6], np.tile(problem.recourse_lower, len(scenarios))])
    upper = np.concatenate([problem.upper, [1e6], np.tile(problem.recourse_upper, len(scenarios))])
    integer = np.arange(size) < n
    integer[:n] = problem.integer
    with Program(
        form_of_arrays(np.array(rows), cost, lower, upper, np.array(low), np.array(high), integer=integer), "highs"
    ) as program:
        return program.solve(gap=1e-9).objective


@pytest.mark.parametrize("seed", range(50))
def test_it_agrees_with_enumeration_of_the_uncertainty_set(seed):
    problem = random_problem(seed)
    found = ccg.solve(problem, tolerance=1e-5)
    expected = extensive_form(problem)
    assert found.lower == pytest.approx(expected, abs=1e-4)
    assert found.upper == pytest.approx(expected, abs=1e-4)
    worst = max(worst_case.recourse_cost(problem, found.x, s) for s in all_s(problem))
    assert found.worst == pytest.approx(worst, abs=1e-4)
    lower, upper = [one.lower for one in found.log], [one.upper for one in found.log]
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)


def test_both_solvers_agree():
    for seed in range(5):
        problem = random_problem(seed)
        assert ccg.solve(problem, solver="highs").upper == pytest.approx(ccg.solve(problem).upper, abs=1e-3)


def test_a_known_worst_case_saves_rounds_and_changes_nothing():
    problem = random_problem(3)
    cold = ccg.solve(problem)
    warm = ccg.solve(problem, start=list(cold.scenarios))
    assert len(warm.log) < len(cold.log)
    assert warm.upper == pytest.approx(cold.upper, abs=1e-3)


def side_by_side(*problems: two_stage.TwoStage) -> two_stage.TwoStage:
    """Problems that share nothing, as one."""
    matrices = {name: [getattr(p, name) for p in problems] for name in ("limits", "G", "E", "H", "choice")}
    arrays = {
        name: np.concatenate([getattr(p, name) for p in problems])
        for name in vars(problems[0])
        if name not in (*matrices, "products")
    }
    rows, ks, ns = ([0, *np.cumsum([size(p) for p in problems])] for size in (
        lambda p: p.rhs.size, lambda p: p.H.shape[1], lambda p: p.cost.size))  # fmt: skip
    moved = [
        (p.products.row + rows[i], p.products.scenario + ks[i], p.products.first + ns[i], p.products.value)
        for i, p in enumerate(problems)
    ]
    products = two_stage.Products(*(np.concatenate(part) for part in zip(*moved, strict=True)))
    blocks = {name: sparse.csr_array(sparse.block_diag(parts)) for name, parts in matrices.items()}
    return two_stage.TwoStage(**arrays, **blocks, products=products)


def test_parts_that_share_nothing_add_up():
    whole = side_by_side(*(random_problem(seed) for seed in (1, 4, 9)))
    parts = two_stage.split(whole)
    assert len(parts) >= 3
    assert sum(part.x.size for part in parts) == whole.cost.size
    assert sum(part.s.size for part in parts) == whole.H.shape[1]
    total = sum(ccg.solve(part.problem, tolerance=1e-6).upper for part in parts)
    alone = sum(ccg.solve(random_problem(seed), tolerance=1e-6).upper for seed in (1, 4, 9))
    assert total == pytest.approx(alone, abs=1e-4)


def sharing_x(*problems: two_stage.TwoStage) -> two_stage.TwoStage:
    """The first stage of the first problem, and the recourse of all, whose x are among its own."""
    n = problems[0].cost.size
    one = side_by_side(*problems)
    keep = np.arange(n)
    start = np.cumsum([0, *(p.cost.size for p in problems)])
    place = np.concatenate([np.arange(p.cost.size) % n for p in problems])
    E = one.E.tocoo()
    return replace(
        one,
        **{name: getattr(one, name)[keep] for name in ("cost", "lower", "upper", "integer")},
        limits=sparse.csr_array(one.limits[: problems[0].limits_lower.size][:, : start[1]]),
        limits_lower=problems[0].limits_lower,
        limits_upper=problems[0].limits_upper,
        E=sparse.csr_array((E.data, (E.row, place[E.col])), shape=(one.rhs.size, n)),
        products=one.products._replace(first=place[one.products.first]),
    )


@pytest.mark.parametrize("seed", range(10))
def test_parts_that_meet_in_x_alone_agree_with_enumeration(seed):
    problem = sharing_x(random_problem(seed), random_problem(seed + 100))
    parts = two_stage.recourse_parts(problem)
    assert len(parts) >= 2
    assert sum(part.y.size for part in parts) == problem.recourse_cost.size
    found = ccg.solve(problem, tolerance=1e-5)
    assert found.upper == pytest.approx(extensive_form(problem), abs=1e-4)
    assert found.worst == pytest.approx(
        max(worst_case.recourse_cost(problem, found.x, s) for s in all_s(problem)), abs=1e-4
    )
    again = ccg.solve(problem, tolerance=1e-4, start=list(found.scenarios), incumbent=(found.x, found.worst))
    assert len(again.log) == 1


@pytest.mark.parametrize("seed", range(10))
def test_recourse_that_is_decided_early_is_one_decision_for_all_scenarios(seed):
    problem = random_problem(seed)
    problem = replace(problem, recourse_cost=np.append(0.0, problem.recourse_cost[1:]))
    early = two_stage.restricted(problem, np.array([0]))
    assert early.cost.size == problem.cost.size + 1
    found = ccg.solve(early, tolerance=1e-5)
    assert found.upper >= extensive_form(problem) - 1e-4
    y = found.x[-1]
    fixed = {name: np.append(y, getattr(problem, name)[1:]) for name in ("recourse_lower", "recourse_upper")}
    worst = max(worst_case.recourse_cost(replace(problem, **fixed), found.x[:-1], s) for s in all_s(problem))
    assert found.worst == pytest.approx(worst, abs=1e-4)


def test_early_recourse_must_not_cost_anything():
    with pytest.raises(ValueError, match=r"recourse variable 1 costs .*: allowed are costs of 0"):
        two_stage.restricted(random_problem(0), np.array([1]))


def newsvendor(penalty: float | None) -> two_stage.TwoStage:
    """Buy x at 1 now or y at 2 later, demand 1 or 3; unserved demand costs the penalty, or is not allowed."""
    later = [1.0] if penalty is None else [1.0, 1.0]
    return two_stage.TwoStage(
        cost=np.array([1.0]),
        lower=np.zeros(1),
        upper=np.full(1, 10.0),
        integer=np.zeros(1, dtype=bool),
        limits=sparse.csr_array((0, 1)),
        limits_lower=np.zeros(0),
        limits_upper=np.zeros(0),
        recourse_cost=np.array([2.0] if penalty is None else [2.0, penalty]),
        recourse_lower=np.zeros(len(later)),
        recourse_upper=np.array([1.5] if penalty is None else [1.5, INF]),
        G=sparse.csr_array([later]),
        E=sparse.csr_array([[1.0]]),
        H=sparse.csr_array([[-2.0]]),
        rhs=np.array([1.0]),
        equal=np.zeros(1, dtype=bool),
    )


@pytest.mark.parametrize(("penalty", "cost", "x"), [(10.0, 3.0, 3.0), (0.5, 1.5, 0.0)])
def test_a_problem_solved_by_hand(penalty, cost, x):
    found = ccg.solve(newsvendor(penalty), tolerance=1e-6)
    assert found.upper == pytest.approx(cost)
    assert found.x == pytest.approx([x])


def test_a_recourse_whose_prices_have_no_bound_is_refused():
    with pytest.raises(ValueError, match="the price of recourse row 0 has no bound: it needs a slack with a penalty"):
        ccg.solve(newsvendor(None))


def test_a_price_without_a_slack_is_bounded_by_a_linear_program():
    """The row of demand has no slack of its own, but y without a limit, whose cost bounds the price."""
    problem = replace(newsvendor(None), recourse_upper=np.array([INF]))
    assert ccg.solve(problem, tolerance=1e-6).upper == pytest.approx(3.0)


def test_a_first_stage_without_a_point_is_refused():
    problem = replace(
        newsvendor(10.0), limits=sparse.csr_array([[1.0]]), limits_lower=np.array([11.0]), limits_upper=np.array([12.0])
    )
    with pytest.raises(ValueError, match="the first stage is infeasible"):
        ccg.solve(problem)


def test_shapes_and_unbounded_recourse_are_refused():
    with pytest.raises(ValueError, match=r"G has shape \(1, 2\), allowed is \(1, 1\)"):
        replace(newsvendor(None), G=sparse.csr_array([[1.0, 1.0]]))
    with pytest.raises(ValueError, match="the recourse cost has no lower bound"):
        replace(newsvendor(None), recourse_lower=np.array([-INF]))


def test_corners_of_a_polytope():
    square = np.vstack([np.eye(2), -np.eye(2), [1, 1]])
    corners = two_stage.vertices(square, np.array([1, 1, 0, 0, 1.5]))
    assert sorted(map(tuple, corners.round(9) + 0.0)) == [(0, 0), (0, 1), (0.5, 1), (1, 0), (1, 0.5)]
    with pytest.raises(ValueError, match="no corner"):
        two_stage.vertices(square, np.array([1, 1, -2, 0, 1.5]))


def test_a_time_limit_leaves_honest_bounds(monkeypatch):
    """On a clock that ticks at each look, time is up after the first round."""
    assert len(ccg.solve(random_problem(3), tolerance=1e-6).log) > 1
    ticks = count()
    monkeypatch.setattr(ccg, "perf_counter", lambda: float(next(ticks)))
    found = ccg.solve(random_problem(3), time_limit_s=4.0, tolerance=1e-6)
    assert len(found.log) == 1
    assert found.upper - found.lower > 1e-3
    assert found.lower <= extensive_form(random_problem(3)) + 1e-5 <= found.upper + 2e-5


def test_without_time_an_incumbent_is_kept_and_nothing_is_solved(monkeypatch):
    problem = random_problem(3)
    known = ccg.solve(problem)
    monkeypatch.setattr(ccg, "_master", lambda *_: pytest.fail("a master problem was solved"))
    found = ccg.solve(problem, incumbent=(known.x, known.worst), time_limit_s=0.0)
    assert found.x == pytest.approx(known.x)
    assert found.upper == pytest.approx(float(problem.cost @ known.x) + known.worst)
    assert -INF < found.lower <= known.lower
    assert found.log == ()


def test_bounds_of_prices_are_not_looked_for_without_time():
    problem = replace(newsvendor(None), recourse_upper=np.array([INF]))
    assert np.isfinite(worst_case.price_bounds(problem, np.array([0]), "glpk")[1]).all()
    unknown = replace(problem, G=sparse.csr_array([[1.0], [1.0]]), E=sparse.csr_array([[1.0], [0.0]]),
                      H=sparse.csr_array([[-2.0], [1.0]]), rhs=np.ones(2), equal=np.zeros(2, dtype=bool))  # fmt: skip
    with pytest.raises(TimeoutError, match="price of recourse row 0"):
        worst_case.price_bounds(unknown, np.array([0, 1]), "glpk", deadline=0.0)
    found = ccg.solve(unknown, time_limit_s=0.0)
    assert found.upper == INF


def test_without_time_for_a_worst_case_the_bounds_stay_open():
    found = ccg.solve(random_problem(7), time_limit_s=0.0)
    assert found.x.shape == (random_problem(7).cost.size,)
    assert found.lower <= extensive_form(random_problem(7)) <= found.upper
    assert found.upper == INF


def test_rounds_that_run_out_leave_honest_bounds():
    problem, expected = random_problem(3), extensive_form(random_problem(3))
    assert len(ccg.solve(problem).log) > 1
    found = ccg.solve(problem, max_rounds=1)
    assert len(found.log) == 1
    assert found.upper - found.lower > 1e-3
    assert found.lower <= expected + 1e-4 <= found.upper + 2e-4
    with pytest.raises(ValueError, match="0 rounds: allowed are numbers >= 1"):
        ccg.solve(problem, max_rounds=0)


def test_without_a_new_worst_case_the_bounds_stay_open(monkeypatch):
    problem, expected = random_problem(3), extensive_form(random_problem(3))
    monkeypatch.setattr(ccg._ScenarioPart, "add", lambda *_: False)
    found = ccg.solve(problem)
    assert found.upper - found.lower > 1e-3
    assert found.lower <= expected + 1e-4 <= found.upper + 2e-4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rhs": np.array([1.0, -5.0]), "equal": np.array([False, True])}, "asks for -5.0: allowed are 0"),
        ({"rhs": np.array([1.0, 5.0])}, "asks for 5.0: allowed are numbers <= 0"),
        ({"limits_lower": np.array([5.0])}, "asks for 5.0 to 9.0: allowed are ranges with 0"),
        ({"limits_upper": np.array([-5.0])}, "asks for 0.0 to -5.0: allowed are ranges with 0"),
    ],
)
def test_rows_without_variables_that_cannot_hold_are_refused(changes, told):
    problem = replace(
        newsvendor(10.0),
        limits=sparse.csr_array((1, 1)),
        limits_lower=np.zeros(1),
        limits_upper=np.full(1, 9.0),
        G=sparse.csr_array([[1.0, 1.0], [0.0, 0.0]]),
        E=sparse.csr_array([[1.0], [0.0]]),
        H=sparse.csr_array([[-2.0], [0.0]]),
        rhs=np.array([1.0, -1.0]),
        equal=np.zeros(2, dtype=bool),
    )
    assert len(two_stage.split(problem)) == 1
    with pytest.raises(ValueError, match=told):
        two_stage.split(replace(problem, **changes))
