"""Erlang's formulas for loss, waiting and giving up; see README.md."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf, log
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evhub.simulators.arrivals.distributions import Distribution, Mixture
from evhub.simulators.arrivals.session_model import ArrivalParameters, Stay, Vehicle, generate
from evhub.simulators.arrivals.station_model import Station, StationParameters, station_plan
from evhub.simulators.units import S_PER_H

CASES = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
START = datetime(2024, 1, 1, tzinfo=UTC)
RUNS, WARM_UP = 10, 20
"""Independent runs, and mean stays before counting begins."""

# mean 1 h; the cut at 1 s changes the mean by 4e-8 h
STAYS = {
    "exponential": Distribution("expon", {"scale": 1.0}, low=1 / S_PER_H),
    "lognormal": Distribution("lognorm", {"s": log(4) ** 0.5, "scale": 0.5}, low=1 / S_PER_H),
}


def by_closed_form(case) -> dict[str, float]:
    a, c = case["load_erl"], case["connectors"]
    states = np.arange(c + 1)
    turned_away = stats.poisson(a).pmf(c) / stats.poisson(a).cdf(states[-1])
    if case["formula"] == "B":
        return {"turned_away": turned_away}
    if case["formula"] == "C":
        waits = turned_away / (1 - a / c * (1 - turned_away))
        return {"waits": waits, "mean_wait": waits / (c - a)}
    n = np.arange(1, 400)
    deaths = np.minimum(n, c) + np.maximum(n - c, 0) / case["mean_patience"]
    share = np.concatenate([[1.0], np.cumprod(a / deaths)])
    share /= share.sum()
    queue = np.maximum(np.arange(400) - c, 0) @ share
    return {"waits": share[c:].sum(), "gives_up": queue / case["mean_patience"] / a}


def by_simulation(case, seed: int) -> dict[str, float]:
    """One run; the mean stay is 1 h."""
    rate = case["load_erl"]
    drivers = ArrivalParameters(
        np.full((7, 24), float(rate)),
        (Stay(tuple(range(7)), 0, 24, Mixture((1.0,), (STAYS[case["stay"]],))),),
        (Vehicle(1.0, 60.0, 11.0),),
        energy_kwh=Distribution("constant", {"value": 1.0}),
    )
    parameters = StationParameters(
        case["connectors"],
        queue_places=0 if case["formula"] == "B" else inf,
        patience_s=case.get("mean_patience", inf) * S_PER_H,
        patience="exponential",
        wait_keeps="stay",
    )
    for_sessions, for_patience = np.random.default_rng(seed).spawn(2)
    sessions = generate(drivers, START, (WARM_UP + case.get("evs", 2000) / rate) * S_PER_H, for_sessions)
    events = Station(station_plan(parameters, sessions, rng=for_patience)).advance(inf)
    counted = {k for k, session in enumerate(sessions) if session.arrival_s >= WARM_UP * S_PER_H}
    when = {kind: {} for kind in ("balked", "queued", "reneged", "assigned")}
    for event in events:
        if event.session in counted and event.kind in when:
            when[event.kind][event.session] = event.t_s
    waited_s = [at_s - sessions[k].arrival_s for k, at_s in when["assigned"].items()]
    return {
        "turned_away": len(when["balked"]) / len(counted),
        "waits": len(when["queued"]) / len(counted),
        "gives_up": len(when["reneged"]) / len(counted),
        "mean_wait": sum(waited_s) / len(counted) / S_PER_H,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_expected_values_are_those_of_the_closed_form(case):
    assert by_closed_form(case) == pytest.approx(case["expected"], rel=1e-9)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_station_agrees_with_erlang(case):
    runs = [by_simulation(case, seed) for seed in range(RUNS)]
    for quantity, exact in case["expected"].items():
        values = np.array([run[quantity] for run in runs])
        half_width = stats.t(RUNS - 1).ppf(0.995) * values.std(ddof=1) / np.sqrt(RUNS)
        assert half_width < (0.2 if quantity == "mean_wait" else 0.1) * exact, quantity
        assert abs(values.mean() - exact) < half_width, quantity
