"""Best profit of a lossless battery on five prices; see README.md."""

from __future__ import annotations

import json
from pathlib import Path

import pyomo.environ as pyo
import pytest

from evhub.controllers.optimization.lp_relaxation import declare_exclusive
from evhub.controllers.optimization.program import Program

CASE = json.loads(Path(__file__).with_name("case.json").read_text(encoding="utf-8"))


def arbitrage(exclusive: bool) -> pyo.ConcreteModel:
    prices, steps = CASE["prices_per_mwh"], range(len(CASE["prices_per_mwh"]))
    model = pyo.ConcreteModel()
    model.charge = pyo.Var(steps, bounds=(0, CASE["power_mw"]))
    model.discharge = pyo.Var(steps, bounds=(0, CASE["power_mw"]))
    model.energy = pyo.Var(steps, bounds=(0, CASE["energy_mwh"]))
    model.state = pyo.Constraint(
        steps,
        rule=lambda m, t: m.energy[t] == (m.energy[t - 1] if t else 0) + m.charge[t] - m.discharge[t],
    )
    model.end = pyo.Constraint(expr=model.energy[steps[-1]] == 0)
    if exclusive:
        model.charges = pyo.Var(steps, domain=pyo.Binary)
        model.one = pyo.Constraint(steps, rule=lambda m, t: m.charge[t] <= CASE["power_mw"] * m.charges[t])
        model.other = pyo.Constraint(steps, rule=lambda m, t: m.discharge[t] <= CASE["power_mw"] * (1 - m.charges[t]))
        declare_exclusive(model, model.charge, model.discharge, model.charges)
    model.profit = pyo.Objective(
        expr=sum(prices[t] * (model.discharge[t] - model.charge[t]) for t in steps), sense=pyo.maximize
    )
    return model


def by_dynamic_programming() -> float:
    """Best profit over whole charge levels."""
    best = {0: 0.0}
    for price in CASE["prices_per_mwh"]:
        after: dict[int, float] = {}
        for level, profit in best.items():
            for power in range(-int(CASE["power_mw"]), int(CASE["power_mw"]) + 1):
                if 0 <= level + power <= CASE["energy_mwh"]:
                    after[level + power] = max(after.get(level + power, -1e9), profit - price * power)
        best = after
    return best[0]


def test_expected_profit_is_that_of_dynamic_programming():
    assert by_dynamic_programming() == CASE["profit"]


@pytest.mark.parametrize("solver", ["glpk", "highs"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_profit_agrees(solver, exclusive):
    model = arbitrage(exclusive)
    with Program(model, solver) as program:
        solution = program.solve(gap=0.0)
        assert solution.objective == pytest.approx(CASE["profit"], abs=1e-6)
        assert solution.bound == pytest.approx(CASE["profit"], abs=1e-6)
        if exclusive:
            charge, discharge = (program.values(program.columns(v)) for v in (model.charge, model.discharge))
            assert max(map(min, zip(charge, discharge, strict=True))) < 1e-9
