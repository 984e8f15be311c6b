"""The clairvoyant bound: known answers, no controller below it, and a reason where there is none."""

from __future__ import annotations

import pandas as pd
import pytest

from evhub.analysis import open_results
from evhub.scenarios import run
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.scenarios.studies.compare.clairvoyant_bound import clairvoyant_bound
from evhub.scenarios.studies.compare.compare_controllers import compare_controllers
from evhub.scenarios.studies.compare.compare_plan import plan

TOY = """
name: toy
start: 2024-06-03T06:00:00+00:00
duration: 8h
time_step: 10s
seed: 3
hubs:
  depot:
    grid: {contracted_kw: 60}
    pv: {rated_kw: 20, irradiance: {type: profile, points: [[0s, 100], [2h, 700], [5h, 300]]}}
    bess: {type: ideal, rated_kw: 15, capacity_kwh: 30, soc: 0.4}
    load: {demand: {type: profile, points: [[0s, 4], [3h, 9]]}}
    connectors: {count: 2, rated_kw: 22}
    sessions: SESSIONS
    tariffs:
      buy: {type: profile, points: [[0s, 0.2], [3h, 0.5], [6h, 0.3]]}
      sell: {type: constant, value: 0.05}
      bess: {type: constant, value: 0.01}
      missed_per_kwh: 1
      demand_per_kw: 0.4
controller: {type: uncontrolled, period: 5min}
EXTRA
"""
LISTED = """{type: list, items: [{at: 20min, until: 5h, energy_kwh: 30}, {at: 2h, until: 4h, energy_kwh: 25}]}"""
DRAWN = "{type: stochastic, profile: public, scale: 0.5}"


def toy(folder, sessions=LISTED, extra=""):
    path = folder / "toy.yaml"
    path.write_text(TOY.replace("SESSIONS", sessions).replace("EXTRA", extra))
    return path


def bare(folder, *lines):
    """An hour with a load of 10 kW and what else is asked for."""
    path = folder / "bare.yaml"
    head = "name: bare\nstart: 2024-06-03T06:00:00+00:00\nduration: 1h\nhubs:\n  a:\n    grid: {contracted_kw: 20}\n"
    load = "    load: {demand: {type: constant, value: 10}}\n"
    path.write_text(head + load + "".join(f"    {line}\n" for line in lines))
    return load_scenario(path)


@pytest.mark.parametrize(
    ("lines", "cost"),
    [
        (["tariffs: {buy: {type: constant, value: 0.3}}"], 3.0),
        (["tariffs: {buy: {type: profile, points: [[0s, 0.3], [30min, 0.1]]}}"], 2.0),
        # 5 kWh to draw, at half the way 10 kWh of import saved at most
        (
            [
                "bess: {type: ideal, rated_kw: 8, capacity_kwh: 10, soc: 0.7, soc_min: 0.2}",
                "tariffs: {buy: {type: constant, value: 0.3}, bess: {type: constant, value: 0.1}}",
            ],
            0.3 * (10 - 5) + 0.1 * 5,
        ),
        (["dg: {rated_kw: 6}", "tariffs: {buy: {type: constant, value: 0.3}, dg: {type: constant, value: 0.2}}"], 2.4),
        # to serve the EV costs 0.3 and saves a penalty of 2 on each of the 11 kWh that fit
        (
            [
                "connectors: {count: 1, rated_kw: 22}",
                "sessions: {type: list, items: [{at: 0s, until: 30min, energy_kwh: 15}]}",
                "tariffs: {buy: {type: constant, value: 0.3}, missed_per_kwh: 2}",
            ],
            3.0 + 11 * 0.3 + 4 * 2,
        ),
    ],
)
def test_bound_of_what_can_be_worked_out_by_hand(tmp_path, lines, cost):
    assert clairvoyant_bound(bare(tmp_path, *lines)).cost == pytest.approx(cost, abs=1e-6)


@pytest.mark.parametrize(
    "penalty",
    ["missed_per_kwh: 1", "charging: {type: constant, value: 0.2}"],
    ids=["penalty given", "penalty left out"],
)
@pytest.mark.parametrize("sessions", [LISTED, DRAWN])
def test_no_controller_of_a_lossless_hub_costs_less(tmp_path, sessions, penalty):
    controllers = ["uncontrolled", "equal_share", "edf", "llf", "round_robin", "pv_first", "milp_dispatch", "emh"]
    path = toy(tmp_path, sessions)
    path.write_text(path.read_text().replace("missed_per_kwh: 1", penalty))
    bound = clairvoyant_bound(load_scenario(path)).cost
    costs = {}
    for name in controllers:
        made = run(path, tmp_path / f"{name}.h5", controller=name, engine="inprocess")
        with open_results(made) as results:
            costs[name] = results.summary().at["cost_net", "total"]
    assert min(costs.values()) >= bound - 1e-6, costs


def test_optimum_that_knows_everything_reaches_the_bound(tmp_path):
    """Without a demand charge, which it does not plan for, and with EVs that come and go at its steps."""
    path = toy(tmp_path, LISTED.replace("20min", "15min"))
    path.write_text(path.read_text().replace("demand_per_kw: 0.4", "demand_per_kw: 0"))
    made = run(path, tmp_path / "r.h5", controller="milp_dispatch", engine="inprocess")
    with open_results(made) as results:
        cost = results.summary().at["cost_net", "total"]
    assert cost == pytest.approx(clairvoyant_bound(load_scenario(path)).cost, rel=0.02)


def test_bound_does_not_depend_on_controller_and_forecasts(tmp_path):
    perfect = toy(tmp_path)
    cost = clairvoyant_bound(load_scenario(perfect)).cost
    text = perfect.read_text().replace("    grid:", "    forecasts: {pv: {type: persistence}}\n    grid:")
    perfect.write_text(text.replace("uncontrolled", "edf"))
    assert clairvoyant_bound(load_scenario(perfect)).cost == cost


@pytest.mark.parametrize(
    ("sessions", "extra", "reason"),
    [
        (LISTED, "events: [{at: 1h, outage: {hub: depot, until: 2h}}]", "events that no plan foresees: outage"),
        (LISTED, "events: [{at: 1h, load: {hub: depot, scale: 2, until: 2h}}]", "events that no plan foresees: load"),
    ],
)
def test_events_that_change_what_is_possible_leave_no_bound(tmp_path, sessions, extra, reason):
    assert clairvoyant_bound(load_scenario(toy(tmp_path, sessions, extra))).why_not == reason


def test_serving_nobody_is_no_bound(tmp_path):
    path = toy(tmp_path)
    path.write_text(path.read_text().replace("missed_per_kwh: 1", "missed_per_kwh: 0"))
    assert "to serve nobody would cost least" in clairvoyant_bound(load_scenario(path)).why_not


def test_comparison_tells_the_bound_of_every_seed(tmp_path):
    controllers = ["uncontrolled", "edf"]
    compared = compare_controllers(plan(toy(tmp_path, DRAWN), controllers, tmp_path / "out", seeds=2))
    table = pd.read_csv(tmp_path / "out" / "bounds.csv")
    assert table["seed"].tolist() == [3, 3, 4, 4]
    assert table.groupby("seed")["bound"].nunique().tolist() == [1, 1]
    assert (table["above"] >= 0).all()
    note = next(note for note in compared.notes if "known beforehand" in note)
    assert f"{table['bound'].mean():.2f} EUR" in note
    assert note in (tmp_path / "out" / "index.html").read_text()
