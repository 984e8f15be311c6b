"""Economic dispatch of Wood & Wollenberg's example 3A; see README.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest

from evhub.controllers.optimization.program import Program

CASE = json.loads(Path(__file__).with_name("case.json").read_text(encoding="utf-8"))
FIXED, LINEAR, QUADRATIC, LEAST, MOST = (
    np.array([unit[key] for unit in CASE["units"]]) for key in ("fixed", "linear", "quadratic", "least_mw", "most_mw")
)
SEGMENTS = 40


def cost(p_mw):
    """Cost of each unit [1/h]."""
    return FIXED + LINEAR * p_mw + QUADRATIC * p_mw**2


def segmented() -> pyo.ConcreteModel:
    """Each unit gives its base power and what its segments add; the numbers come later."""
    units = range(len(FIXED))
    model = pyo.ConcreteModel()
    model.base = pyo.Var(units)
    model.part = pyo.Var(units, range(SEGMENTS), bounds=(0, 1))
    model.demand = pyo.Constraint(expr=pyo.quicksum([*model.base.values(), *model.part.values()]) == CASE["demand_mw"])
    model.cost = pyo.Objective(expr=0.0)
    return model


def dispatched(solver: str) -> tuple[np.ndarray, float]:
    """Powers [MW] and price [1/MWh]."""
    model = segmented()
    low, high = LEAST, MOST
    with Program(model, solver) as program:
        base, part = program.columns(model.base), program.columns(model.part)
        for _ in range(5):
            edges = np.linspace(low, high, SEGMENTS + 1, axis=1)
            widths = np.diff(edges, axis=1)
            program.set_bounds(base, low, low)
            program.set_bounds(part, 0.0, widths)
            program.set_costs(part, np.diff(cost(edges.T).T, axis=1) / widths)
            assert program.solve().ok
            p_mw = program.values(base) + program.values(part).reshape(widths.shape).sum(axis=1)
            reach = 2 * widths[:, 0]
            low, high = np.maximum(LEAST, p_mw - reach), np.minimum(MOST, p_mw + reach)
        return p_mw, program.duals(program.rows(model.demand))[0]


def test_expected_values_are_those_of_the_closed_form():
    price = (CASE["demand_mw"] + np.sum(LINEAR / (2 * QUADRATIC))) / np.sum(1 / (2 * QUADRATIC))
    p_mw = (price - LINEAR) / (2 * QUADRATIC)
    assert np.all((p_mw > LEAST) & (p_mw < MOST))
    assert p_mw == pytest.approx(CASE["expected"]["power_mw"], abs=0.005)
    assert price == pytest.approx(CASE["expected"]["price_per_mwh"], abs=0.0005)
    assert cost(p_mw).sum() == pytest.approx(CASE["expected"]["cost_per_h"], abs=0.005)


@pytest.mark.parametrize("solver", ["glpk", "highs"])
def test_dispatch_price_and_cost_agree(solver):
    p_mw, price = dispatched(solver)
    assert p_mw == pytest.approx(CASE["expected"]["power_mw"], abs=0.005)
    assert price == pytest.approx(CASE["expected"]["price_per_mwh"], abs=0.0005)
    assert cost(p_mw).sum() == pytest.approx(CASE["expected"]["cost_per_h"], abs=0.005)
