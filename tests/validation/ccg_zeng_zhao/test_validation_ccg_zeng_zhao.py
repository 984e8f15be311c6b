"""The location-transportation problem of Zeng & Zhao; see README.md."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from evhub.controllers.optimization.robust import (
    column_and_constraint as ccg,
)
from evhub.controllers.optimization.robust import (
    two_stage_problem as two_stage,
)
from evhub.controllers.optimization.robust import (
    worst_case,
)

CASE = json.loads((Path(__file__).parent / "case.json").read_text(encoding="utf-8"))
F, A, K, C = (np.array(CASE[key], dtype=float) for key in ("f", "a", "K", "c"))
NOMINAL, DEVIATION = np.array(CASE["d_nominal"], dtype=float), np.array(CASE["d_dev"], dtype=float)
UNSERVED = 100.0
"""Beyond 3 * 33 - 2 * 20 = 59, the most that one more unit can cost along a path of five arcs."""
BUDGETS = np.vstack([np.eye(3), -np.eye(3), [1, 1, 1], [1, 1, 0]])
LIMITS = np.array([1, 1, 1, 0, 0, 0, 1.8, 1.2])


def problem(least_total: float = 772.0) -> two_stage.TwoStage:
    """x: three sites open or not, three capacities; y: nine flows (plant by customer), three shortfalls."""
    G = np.zeros((6, 12))
    for plant, customer in product(range(3), range(3)):
        G[plant, 3 * plant + customer] = -1.0
        G[3 + customer, 3 * plant + customer] = 1.0
    G[3:, 9:] = np.eye(3)
    E = np.zeros((6, 6))
    E[:3, 3:] = np.eye(3)
    H = np.zeros((6, 3))
    H[3:] = -np.diag(DEVIATION)
    limits = np.vstack([np.hstack([-np.diag(K), np.eye(3)]), [0, 0, 0, 1, 1, 1]])
    return two_stage.TwoStage(
        cost=np.concatenate([F, A]),
        lower=np.zeros(6),
        upper=np.concatenate([np.ones(3), K]),
        integer=np.arange(6) < 3,
        limits=sparse.csr_array(limits),
        limits_lower=np.array([-np.inf, -np.inf, -np.inf, least_total]),
        limits_upper=np.array([0.0, 0.0, 0.0, np.inf]),
        recourse_cost=np.concatenate([C.ravel(), np.full(3, UNSERVED)]),
        recourse_lower=np.zeros(12),
        recourse_upper=np.full(12, np.inf),
        G=sparse.csr_array(G),
        E=sparse.csr_array(E),
        H=sparse.csr_array(H),
        rhs=np.concatenate([np.zeros(3), NOMINAL]),
        equal=np.zeros(6, dtype=bool),
    )


@pytest.fixture(scope="module")
def corners():
    return two_stage.vertices(BUDGETS, LIMITS)


@pytest.mark.parametrize("solver", ["glpk", "highs"])
def test_the_published_optimum_and_first_bounds(corners, solver):
    found = ccg.solve(two_stage.one_of(problem(), corners), solver=solver)
    assert found.lower == pytest.approx(CASE["published"]["objective"], abs=1e-3)
    assert found.upper == pytest.approx(CASE["published"]["objective"], abs=1e-3)
    assert found.x[:3].tolist() == CASE["verified_extensive_form"]["y"]
    # the first master has no recourse at all; which of its optima is taken decides the first upper bound
    assert found.log[0].lower == pytest.approx(CASE["published"]["CCG_iter1"]["LB"], abs=1e-3)
    assert len(found.log) <= 4
    first_stage = float(np.concatenate([F, A]) @ found.x)
    assert found.worst == pytest.approx(CASE["published"]["objective"] - first_stage, abs=1e-3)
    assert found.log[0].upper > CASE["published"]["objective"] + 1.0  # one round alone does not do


def test_bounds_are_monotone_and_enclose_the_optimum(corners):
    log = ccg.solve(two_stage.one_of(problem(), corners)).log
    lower, upper = [round_.lower for round_ in log], [round_.upper for round_ in log]
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)
    assert all(
        low <= CASE["published"]["objective"] + 1e-3 <= high + 2e-3 for low, high in zip(lower, upper, strict=True)
    )


def test_the_optimum_serves_everyone_in_every_corner(corners):
    chosen = two_stage.one_of(problem(), corners)
    found = ccg.solve(chosen)
    costs = [worst_case.recourse_cost(chosen, found.x, s) for s in np.eye(len(corners))]
    assert max(costs) == pytest.approx(found.worst, abs=1e-3)
    worst_demand = (NOMINAL + corners * DEVIATION).sum(axis=1).max()
    assert found.x[3:].sum() >= worst_demand - 1e-6


@pytest.mark.parametrize(
    ("points", "least_total", "expected"),
    [
        ([[0, 0, 0]], 772.0, "nominal_g0_with_772"),
        ([[0, 0, 0]], 0.0, "nominal_g0_without_772"),
        (list(product([0, 1], repeat=3)), 772.0, "box_g1"),
    ],
)
def test_other_uncertainty_sets(points, least_total, expected):
    found = ccg.solve(two_stage.one_of(problem(least_total), np.array(points, dtype=float)))
    assert found.upper == pytest.approx(CASE["ours_extra"][expected], abs=1e-3)
