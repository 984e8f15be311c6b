"""Whole hubs made of the building blocks: what holds for every plan, on random hubs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers.optimization.blocks.loads_block import demand_kw
from evhub.controllers.optimization.hub_model import HubData, HubModel, HubPlan
from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.solution import SolveStatus

from ....helpers.random_hubs import hub
from ....helpers.sizes import examples

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=examples(25))


def solve(data: HubData, solver: str = "glpk") -> tuple[HubPlan, float]:
    model = HubModel(data)
    with Program(model.model, solver) as program:
        solution = program.solve(gap=0.0)
        assert solution.status is SolveStatus.OPTIMAL
        return model.plan(program), solution.objective


def ev_energy_kwh(data: HubData, plan: HubPlan) -> np.ndarray:
    """Energy in the EVs at the edges, from the powers alone."""
    ev, charge, discharge = data.sessions, plan.session_kw.clip(0.0), (-plan.session_kw).clip(0.0)
    into = (ev.eta_charge * charge - discharge / ev.eta_discharge) * data.steps.hours
    return ev.energy_kwh[:, None] + np.cumsum(np.insert(into, 0, 0.0, axis=1), axis=1)


# --------------------------------------------------------------------------------------------------------- each plan


@given(seeds, st.booleans())
@few
def test_plan_obeys_every_limit_and_closes_the_balance(seed, binaries):
    data = hub(seed, binaries=binaries)
    plan, objective = solve(data)
    eps, steps = 1e-6, data.steps
    sources = plan.buy_kw - plan.sell_kw + plan.pv_kw + plan.bess_kw + plan.dg_kw
    assert sources == pytest.approx(plan.load_kw.sum(axis=0) + plan.session_kw.sum(axis=0), abs=eps)
    assert plan.cost == pytest.approx(objective, abs=1e-6)

    assert (plan.buy_kw >= -eps).all() and (plan.buy_kw <= data.grid.import_kw + eps).all()
    assert (plan.sell_kw >= -eps).all() and (plan.sell_kw <= data.grid.export_kw + eps).all()
    assert (np.minimum(plan.buy_kw, plan.sell_kw) <= eps).all()
    assert (plan.pv_kw >= -eps).all() and (plan.pv_kw <= data.pv.available_kw + eps).all()
    if data.pv.inverter_kva is not None:
        assert (np.hypot(plan.pv_kw, plan.pv_q_kvar) <= data.pv.inverter_kva + eps).all()

    if data.bess is not None:
        bess, charge, discharge = data.bess, (-plan.bess_kw).clip(0.0), plan.bess_kw.clip(0.0)
        assert (charge <= bess.charge_kw + eps).all() and (discharge <= bess.discharge_kw + eps).all()
        moved = (bess.eta_charge * charge - discharge / bess.eta_discharge) * steps.hours
        assert np.diff(plan.bess_kwh) == pytest.approx(moved, abs=eps)
        assert (plan.bess_kwh >= bess.energy_min_kwh - eps).all() and (plan.bess_kwh <= bess.energy_max_kwh + eps).all()

    if data.dg is not None:
        rated = np.sum(data.dg.segment_kw) * data.dg.available
        running = plan.dg_kw > eps
        assert (plan.dg_kw <= rated + eps).all() and (plan.dg_kw[running] >= data.dg.minimum_kw - eps).all()
        assert data.dg.energy_kwh is None or plan.dg_kw @ steps.hours <= data.dg.energy_kwh + eps

    demand = demand_kw(steps, data.load)
    rigid = [0, 1, 3]
    assert (plan.load_kw >= -eps).all() and (plan.load_kw[rigid] <= demand[rigid] + eps).all()
    asked_kwh = data.load.backlog_kwh + np.cumsum(demand[2] * steps.hours)
    had_kwh = np.cumsum((plan.load_kw[2] + plan.load_unserved_kw[2]) * steps.hours)
    assert (had_kwh <= asked_kwh + eps).all() and had_kwh[-1] == pytest.approx(asked_kwh[-1], abs=eps)
    if data.load.made_good is not None:
        assert had_kwh[data.load.made_good] == pytest.approx(asked_kwh[data.load.made_good], abs=eps)

    ev = data.sessions
    share = steps.share(ev.arrival_s, ev.departure_s)
    assert (plan.session_kw <= share * ev.charge_kw[:, None] + eps).all()
    assert (plan.session_kw >= -share * ev.discharge_kw[:, None] - eps).all()
    energy = ev_energy_kwh(data, plan)
    assert (energy <= ev.capacity_kwh[:, None] + eps).all()
    assert (energy >= np.minimum(ev.floor_kwh, ev.energy_kwh)[:, None] - eps).all()
    missing = np.maximum(ev.target_kwh - energy[:, -1], 0.0)
    assert plan.session_unserved_kwh == pytest.approx(missing, abs=eps)
    assert (energy[:, -1] <= np.maximum(ev.target_kwh, ev.energy_kwh) + eps).all()


# ------------------------------------------------------------------------------------------------ more is never worse


def wider(data: HubData, what: str, k: float) -> HubData:
    grid, bess, ev = data.grid, data.bess, data.sessions
    if what == "import":
        return replace(data, grid=replace(grid, import_kw=grid.import_kw + 10.0 * k))
    if what == "export":
        return replace(data, grid=replace(grid, export_kw=grid.export_kw + 10.0 * k))
    if what == "sun":
        return replace(data, pv=replace(data.pv, available_kw=data.pv.available_kw + 10.0 * k, inverter_kva=None))
    if what == "longer stay":
        return replace(data, sessions=replace(ev, departure_s=ev.departure_s + 3600.0 * k))
    if what == "earlier arrival":
        return replace(data, sessions=replace(ev, arrival_s=ev.arrival_s - 3600.0 * k))
    if what == "connectors":
        return replace(data, sessions=replace(ev, charge_kw=ev.charge_kw * (1.0 + k)))
    if what == "v2g":
        return replace(data, sessions=replace(ev, discharge_kw=ev.discharge_kw + 10.0 * k))
    if bess is None:
        return data
    if what == "battery power":
        return replace(data, bess=replace(bess, charge_kw=bess.charge_kw + 10.0 * k, discharge_kw=30.0))
    return replace(data, bess=replace(bess, energy_max_kwh=bess.energy_max_kwh * (1.0 + k)))


EVS = ["longer stay", "earlier arrival", "connectors", "v2g"]
WIDER = ["import", "export", "sun", *EVS, "battery power", "battery energy"]


@pytest.mark.parametrize("what", WIDER)
@given(seed=seeds, k=st.floats(0.01, 2.0))
@settings(max_examples=examples(6))
def test_more_never_costs_more(what, seed, k):
    data = hub(seed, v2g=True)
    if data.pv.inverter_kva is not None:
        data = replace(data, pv=replace(data.pv, inverter_kva=None))
    assert solve(wider(data, what, k))[1] <= solve(data)[1] + 1e-6


@given(seeds)
@few
def test_duals_have_the_right_sign(seed):
    """A dual is the change of cost: more of a limit cannot cost more, and one more kW of load costs what it costs."""
    data = replace(hub(seed), dg=None)
    model = HubModel(data)
    with Program(model.model) as program:
        base = program.solve().objective
        price = program.duals(program.rows(model.block.component("balance").power))
        limits = program.reduced_costs(program.columns(model.block.component("grid").buy))
        values = program.values(program.columns(model.block.component("grid").buy))
    at_limit = (values > 1e-6) & (values > np.asarray(data.grid.import_kw) - 1e-9)
    assert (limits[at_limit] <= 1e-7).all()
    t = int(np.argmax(data.steps.hours))
    more = np.zeros(data.steps.n)
    for delta in (1e-3, -1e-3):
        more[t] = delta
        critical = np.maximum(data.load.critical_kw + more, 0.0)
        changed = solve(replace(data, load=replace(data.load, critical_kw=critical)))[1]
        # the cost is convex in the load: a tangent never lies above it
        assert changed >= base + price[t] * (critical - data.load.critical_kw)[t] - 1e-6


# -------------------------------------------------------------------------------------------------------- persistence


def moved(seed: int, data: HubData) -> HubData:
    """Other forecasts, prices, EVs and states on the same structure and grid."""
    rng = np.random.default_rng(seed)
    other, n = hub(int(rng.integers(2**32))), data.steps.n
    ev = other.sessions
    count = min(len(ev.names), data.sessions.n_slots)
    items = ["arrival_s", "departure_s", "energy_kwh", "target_kwh", "capacity_kwh", "charge_kw", "eens_per_kwh"]
    few_evs = {item: getattr(ev, item)[:count] for item in items}
    sessions = replace(
        data.sessions,
        names=ev.names[:count],
        connectors=ev.connectors[:count],
        **few_evs,
        discharge_kw=5.0 if data.sessions.v2g else 0.0,
        floor_kwh=0.2 * ev.capacity_kwh[:count],
        departure_min_kwh=0.0,
        subsidy_per_kwh=0.3,
        slots=data.sessions.n_slots,
    )
    return replace(
        data,
        steps=replace(data.steps, now=int(rng.integers(0, n))),
        grid=replace(data.grid, buy_per_kwh=0.6 - data.grid.buy_per_kwh / 10.0, import_kw=rng.uniform(5, 40, n)),
        pv=replace(data.pv, available_kw=rng.uniform(0.0, 20.0, n)),
        bess=data.bess and replace(data.bess, energy_kwh=data.bess.energy_min_kwh + 1.0, wear_per_kwh=0.01),
        dg=data.dg and replace(data.dg, on=not data.dg.on, available=rng.random(n) < 0.7),
        load=replace(data.load, critical_kw=rng.uniform(0.0, 8.0, n), backlog_kwh=rng.uniform(0.0, 3.0)),
        sessions=sessions,
    )


@given(seeds, st.booleans())
@few
def test_updated_program_equals_a_fresh_build(seed, binaries):
    data = hub(seed, binaries=binaries)
    model = HubModel(data)
    with Program(model.model) as program:
        program.solve(gap=0.0)
        for step in range(3):
            new = moved(seed + step, data)
            model.update(program, new)
            solution = program.solve(gap=0.0)
            plan, objective = solve(new)
            assert solution.objective == pytest.approx(objective, abs=1e-6)
            assert model.plan(program).cost == pytest.approx(plan.cost, abs=1e-6)


@given(seeds, st.booleans())
@few
def test_rest_of_an_optimal_plan_is_optimal(seed, binaries):
    """Bellman: after k steps as planned, the rest costs what the plan said, if all that has a memory was handed on:
    stored energy, EVs, load put off, the peak, fuel, and whether the generator runs.
    """
    data = hub(seed, binaries=binaries)
    # a driver who pays could leave with more than the target, once the EV is above it
    data = replace(data, sessions=replace(data.sessions, charging_per_kwh=0.0))
    k = int(np.random.default_rng(seed).integers(1, data.steps.n))
    model = HubModel(data)
    with Program(model.model) as program:
        total = program.solve(gap=0.0).objective
        plan = model.plan(program)
        gone = data.sessions.departure_s <= data.steps.edges_s[k]
        spent = plan.step_cost[:k].sum() + (data.sessions.eens_per_kwh * plan.session_unserved_kwh)[gone].sum()
        model.update(program, handed_on(data, plan, k))
        assert program.solve(gap=0.0).objective == pytest.approx(total - spent, abs=1e-5)


def handed_on(data: HubData, plan: HubPlan, k: int) -> HubData:
    """The hub after k steps of a plan."""
    hours, ev = data.steps.hours, data.sessions
    energy_kwh = np.clip(ev_energy_kwh(data, plan)[:, k], 0.0, ev.capacity_kwh)
    late = demand_kw(data.steps, data.load)[2] - plan.load_kw[2] - plan.load_unserved_kw[2]
    new = replace(
        data,
        steps=replace(data.steps, now=k),
        load=replace(data.load, backlog_kwh=max(data.load.backlog_kwh + (late * hours)[:k].sum(), 0.0)),
        sessions=replace(ev, energy_kwh=energy_kwh, floor_kwh=np.minimum(ev.floor_kwh, ev.energy_kwh)),
    )
    if data.grid.demand_per_kw is not None:
        new = replace(new, grid=replace(data.grid, peak_kw=max(data.grid.peak_kw, plan.buy_kw[:k].max())))
    if data.bess is not None:
        new = replace(new, bess=replace(data.bess, energy_kwh=plan.bess_kwh[k]))
    if data.dg is not None:
        on = bool(plan.dg_kw[k - 1] > 1e-6)
        fuel_kwh = data.dg.energy_kwh
        if fuel_kwh is not None:
            fuel_kwh = max(fuel_kwh - (plan.dg_kw * hours)[:k].sum(), 0.0)
        new = replace(new, dg=replace(data.dg, on=on, energy_kwh=fuel_kwh))
    return new


# ------------------------------------------------------------------------------------------------------- two solvers


@pytest.mark.parametrize("binaries", [False, True])
def test_glpk_and_highs_agree_on_random_hubs(binaries):
    for seed in range(examples(100)):
        data = hub(seed, binaries=binaries)
        assert solve(data, "glpk")[1] == pytest.approx(solve(data, "highs")[1], rel=1e-6, abs=1e-6), seed
