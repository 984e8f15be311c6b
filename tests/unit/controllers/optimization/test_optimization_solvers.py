"""GLPK and HiGHS agree, on random programs and over MPS files."""

from __future__ import annotations

from pathlib import Path

import highspy
import numpy as np
import pyomo.environ as pyo
import pytest
import swiglpk as glp

from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus


def random_model(seed: int) -> pyo.ConcreteModel:
    """A small program with rows of every kind, some whole numbers, some free variables, either sense."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 9, 2)
    A = np.where(rng.random((rows, columns)) < 0.6, rng.integers(-6, 7, (rows, columns)), 0)
    A[np.arange(rows), rng.integers(0, columns, rows)] = 2
    x = rng.integers(-3, 4, columns)
    centre = A @ x + (0 if seed % 3 else rng.integers(-15, 16, rows))
    whole = rng.random(columns) < (0.0 if seed % 2 else 0.6)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(
        range(columns),
        domain=lambda m, j: pyo.Integers if whole[j] else pyo.Reals,
        bounds=lambda m, j: (None if rng.random() < 0.1 else -4, None if rng.random() < 0.1 else 5),
    )

    def row(m, i):
        body = sum(int(A[i, j]) * m.x[j] for j in range(columns) if A[i, j])
        low, high = float(centre[i]) - rng.uniform(0, 4), float(centre[i]) + rng.uniform(0, 4)
        return [body <= high, body >= low, body == float(centre[i]), pyo.inequality(low, body, high)][rng.integers(4)]

    model.row = pyo.Constraint(range(rows), rule=row)
    model.cost = pyo.Objective(
        expr=sum(float(c) * v for c, v in zip(rng.integers(-9, 10, columns), model.x.values(), strict=True)) + 3.5,
        sense=pyo.maximize if rng.random() < 0.5 else pyo.minimize,
    )
    return model


def test_two_hundred_random_programs():
    seen = []
    for seed in range(200):
        model, found = random_model(seed), {}
        for solver in ("glpk", "highs"):
            with Program(model, solver) as program:
                found[solver] = program.solve(gap=0.0)
        ours, theirs = found["glpk"], found["highs"]
        assert ours.status is theirs.status, seed
        assert ours.objective == pytest.approx(theirs.objective, abs=1e-6, rel=1e-6, nan_ok=True), seed
        seen.append((ours.status, ours.proven_by))
    for outcome in (
        (SolveStatus.OPTIMAL, "lp"),
        (SolveStatus.OPTIMAL, "branch"),
        (SolveStatus.INFEASIBLE, "lp"),
        (SolveStatus.UNBOUNDED, "lp"),
    ):
        assert seen.count(outcome) >= 3, f"the programs hardly ever end with {outcome}"


def by_highs(path: Path) -> tuple[str, float]:
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.readModel(str(path))
    solver.run()
    return solver.modelStatusToString(solver.getModelStatus()), solver.getObjectiveValue()


def by_glpk(path: Path) -> float:
    """Optimum of an MPS file, read by GLPK."""
    problem = glp.glp_create_prob()
    try:
        assert glp.glp_read_mps(problem, glp.GLP_MPS_FILE, None, str(path)) == 0
        control = glp.glp_iocp()
        glp.glp_init_iocp(control)
        control.presolve, control.msg_lev = glp.GLP_ON, glp.GLP_MSG_OFF
        assert glp.glp_intopt(problem, control) == 0
        return glp.glp_mip_obj_val(problem)
    finally:
        glp.glp_delete_prob(problem)


def written_by_glpk(model, path: Path) -> float:
    """Our optimum, and the program as GLPK holds it on a file."""
    with Program(model) as program:
        solution = program.solve(gap=0.0)
        assert glp.glp_write_mps(program._backend._own(), glp.GLP_MPS_FILE, None, str(path)) == 0
    return solution.objective if solution.ok else np.nan


def written_by_highs(model, path: Path) -> float:
    with Program(model, "highs") as program:
        solution = program.solve(gap=0.0)
        solver = program._backend._own()
        program._backend._set_kind(highspy.HighsVarType.kInteger)
        solver.writeModel(str(path))
    return solution.objective if solution.ok else np.nan


def test_mps_round_trips(tmp_path):
    """Minimised and without a constant: GLPK files keep no sense, and readers differ on the constant's sign."""
    solved = 0
    for seed in range(40):
        model = random_model(seed)
        model.cost.expr -= 3.5
        model.cost.sense = pyo.minimize
        ours = written_by_glpk(model, tmp_path / "glpk.mps")
        if np.isnan(ours):
            continue
        solved += 1
        assert by_highs(tmp_path / "glpk.mps") == ("Optimal", pytest.approx(ours, abs=1e-6)), seed
        assert written_by_highs(model, tmp_path / "highs.mps") == pytest.approx(ours, abs=1e-6), seed
        assert by_glpk(tmp_path / "highs.mps") == pytest.approx(ours, abs=1e-6), seed
        model.write(str(tmp_path / "pyomo.mps"))
        assert by_highs(tmp_path / "pyomo.mps") == ("Optimal", pytest.approx(ours, abs=1e-6)), seed
    assert solved >= 15
