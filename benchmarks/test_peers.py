"""The side-by-side with peers, without the peers: one period more of the same sessions, in both engines."""

from __future__ import annotations

import pytest

from .peers import __main__ as command
from .peers import cases, pace

SITE = {
    "stations": ["CA-308", "CA-304", "CA-307", "CA-322"],
    "voltage_v": 208.0,
    "rated_kw": 6.656,
    "angle_deg": [30.0, -90.0, 150.0, 30.0],
    "limits": ["line a", "pod"],
    "matrix": [[1.0, 0.0, -1.0, 1.0], [0.0, 0.0, 0.0, 1.0]],
    "limit_a": [50.0, 20.0],
}


@pytest.fixture(scope="module")
def case():
    return cases.case(SITE, "edf", 1, 5)


def test_sessions_lie_on_the_periods_and_do_not_overlap(case):
    last = {}
    assert case["sessions"]
    for one in case["sessions"]:
        assert last.get(one["station"], 0) <= one["arrival"] < one["departure"] <= case["periods"]
        last[one["station"]] = one["departure"]


def test_stations_with_the_same_column_are_one_group():
    found = cases.circuits(SITE)
    assert [group["connectors"] for group in found["groups"].values()] == [[1], [2], [3], [4]]
    assert found["limits"][0]["sum"] == {"group 1": 1.0, "group 3": -1.0, "group 4": 1.0}
    same = {**SITE, "angle_deg": [30.0] * 4, "matrix": [[1.0, 1.0, 1.0, 0.5]], "limits": ["a"], "limit_a": [9.0]}
    assert [group["connectors"] for group in cases.circuits(same)["groups"].values()] == [[1, 2, 3], [4]]


def test_both_engines_run_a_case_and_deliver_the_same(benchmark, case):
    loaded = cases.scenario(case, SITE)
    _, energy_kwh = benchmark.pedantic(command.run_ours, (loaded, "inprocess"), rounds=1)
    assert 0.0 < energy_kwh <= sum(one["energy_kwh"] for one in case["sessions"])
    assert command.run_ours(loaded, "mosaik")[1] == energy_kwh


def test_an_episode_is_stepped_in_every_way_with_its_evs_and_decisions(benchmark):
    ev = {"connector": 1, "arrival": 1, "departure": 6, "capacity_kwh": 60.0, "arrival_kwh": 20.0, "desired_kwh": 60.0}
    episode = {
        "seed": 1,
        "steps": 8,
        "actions": [[0.5, -0.5], [0.5, 0.5]] * 4,
        "start": "2022-05-18T05:00:00",
        "load_kw": [1.0, 2.0] * 4,
        "pv_kw": [0.0, 3.0] * 4,
        "price": [0.1, 0.1, 0.3, 0.2] * 2,
        "evs": [{**ev, "least_kwh": 5.0, "p_max_kw": 11.0}],
    }
    case = {"period_min": 15, "ports": 2, "rated_kw": 22.0, "transformer_kw": 100.0, "episodes": [episode]}
    steps = benchmark.pedantic(lambda: [next(pace.episodes(case, way))[2:] for way in pace.WAYS], rounds=1)
    # it arrives and leaves between two periods where it comes at any minute
    assert [found for found, way in zip(steps, pace.WAYS, strict=True) if not way.drawn] == [
        (8, 1),
        (8, 1),
        (8, 1),
        (8, 1),
        (10, 1),
    ]


def test_a_peer_that_fails_is_told(case, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"acn_sim.py: no such module"):
        command.ask_peer(str(python), "acn_sim.py", case)
