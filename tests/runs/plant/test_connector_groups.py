"""Connectors of several kinds at one hub: laws on random groups, cabinets, and which EV takes which connector."""

from __future__ import annotations

import csv
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis import open_results
from evhub.analysis.checks.invariants import INVARIANTS
from evhub.analysis.kpis.kpi_formulas import energy
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.checks.expect_translation import _plates
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.field_path import changed, find
from evhub.simulators.charge_point.charge_point_section import kinds_of

from ...helpers import plants
from ...helpers.sizes import examples
from .test_laws import FLOWS as SIGNS
from .test_laws import RUNS, check_balance, check_delivered, powers

FAST = {"name": "fast", "count": 2, "rated_kw": 150, "current": "dc", "cabinet_kw": 200}
SLOW = {"name": "slow", "count": 6, "rated_kw": 11, "current": "ac", "phases": 3}
PLANNERS = ("milp_dispatch", "ievcs", "ems")
ENGINES = ("inprocess", "mosaik")


def mixed(*items: dict, connectors=None, controller: str = "uncontrolled", **hub) -> dict:
    """Two fast connectors at a cabinet and six slow ones, and who comes."""
    return {
        "name": "mixed",
        "start": "2024-06-03T06:00:00+02:00",
        "duration": "2h",
        "hubs": {
            "depot": {
                "grid": {"contracted_kw": 300},
                "connectors": [FAST, SLOW] if connectors is None else connectors,
                "sessions": {"type": "list", "items": list(items)},
                **hub,
            }
        },
        "controller": {"type": controller, "period": "1min"},
    }


def visit(energy_kwh: float, at: str = "0s", until: str = "2h", **more) -> dict:
    return {"at": at, "until": until, "energy_kwh": energy_kwh, "capacity_kwh": 400, "soc": 0.1, **more}


def run(data: dict, folder, engine: str = "inprocess"):
    return open_results(plants.run_data(data, folder, f"{engine}.h5", engine))


def connectors_kw(results, at_s: float) -> list[float]:
    t_s, p_kw = results.arrays("depot/cp/connector_p_kw")
    return p_kw[np.searchsorted(t_s, at_s, side="right") - 1].tolist()


# --- laws -----------------------------------------------------------------------------------------------------------


@st.composite
def random_groups(draw) -> dict:
    """A hub with some groups, cabinets and sessions that may ask for a group or a connector."""
    data = draw(plants.scenarios())
    for hub in data["hubs"].values():
        kinds = []
        for name in draw(st.lists(st.sampled_from(["fast", "slow", "old-ones"]), min_size=1, unique=True)):
            rated_kw = draw(st.sampled_from([7.36, 22, 50, 150]))
            kinds.append(
                {
                    "name": name,
                    "count": draw(st.integers(1, 3)),
                    "rated_kw": rated_kw,
                    "current": draw(st.sampled_from(["ac", "dc"])),
                    "phases": draw(st.sampled_from([1, 3])),
                    "efficiency": draw(st.sampled_from([1.0, 0.93])),
                    "v2g": draw(st.booleans()),
                    "cabinet_kw": draw(st.sampled_from([None, 10, 0.8 * rated_kw, 1.3 * rated_kw])),
                }
            )
        hub["connectors"] = draw(st.sampled_from([kinds, {"groups": kinds}]))
        count = sum(kind["count"] for kind in kinds)
        hub["sessions"]["items"] = draw(plants.sessions(count))
        for item in hub["sessions"]["items"]:
            if draw(st.booleans()):
                item["group"] = draw(st.sampled_from(kinds))["name"]
    return data


@settings(RUNS, max_examples=examples(20))
@given(data=random_groups())
def test_laws_hold_for_any_groups_under_any_controller(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    scenario = plants.loaded(data, folder)
    with open_results(plants.run_data(data, folder)) as results:
        assert results.status == "complete"
        for name, hub in scenario.scenario.hubs.items():
            kinds = kinds_of(hub.connectors)
            check_balance(powers(results, name)[1], SIGNS)
            check_delivered(results, name, data)
            p_kw = results.arrays(f"{name}/cp/connector_p_kw")[1]
            first = 0
            for kind in kinds:
                own_kw = p_kw[:, first : first + kind.count]
                assert np.abs(own_kw).max() <= kind.rated_kw + 1e-9
                assert np.abs(own_kw).sum(axis=1).max() <= (kind.cabinet_kw or inf) + 1e-9
                assert kind.v2g or own_kw.min() >= 0.0
                first += kind.count
            assert first == p_kw.shape[1]
            plates = _plates(hub)
            assert all(law(results, name, plates) is None for law in INVARIANTS.values())
            check_own_group(results, name, hub, kinds)


def check_own_group(results, name, hub, kinds):
    """Who asks for a group takes a connector of it."""
    ends = np.cumsum([kind.count for kind in kinds])
    sessions = results.sessions().query("hub == @name").set_index("id")
    for n, item in enumerate(hub.sessions.items, 1):
        connector = int(sessions.loc[f"s{n}", "connector"])
        if item.group is not None and connector >= 0:
            assert kinds[np.searchsorted(ends, connector, side="right")].name == item.group


def test_the_law_of_ratings_finds_a_cabinet_that_gives_too_much(tmp_path):
    data = mixed(visit(100), visit(100), connectors=[{**FAST, "cabinet_kw": None}])
    tight = plants.loaded(mixed(visit(100), visit(100), connectors=[FAST])).scenario.hubs["depot"]
    with run(data, tmp_path) as results:
        finding = INVARIANTS["ratings"](results, "depot", _plates(tight))
    assert finding is not None and "cabinet of fast is 300 kW together" in finding.text


# --- what the forms mean --------------------------------------------------------------------------------------------


@settings(RUNS, max_examples=examples(6))
@given(data=plants.scenarios(), engine=st.sampled_from(ENGINES))
def test_a_list_of_one_group_is_the_mapping_byte_for_byte(data, engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    expected = plants.datasets(plants.run_data(data, folder, "mapping.h5", engine))
    for hub in data["hubs"].values():
        hub["connectors"] = [{"name": "all", **hub["connectors"]}]
    assert plants.datasets(plants.run_data(data, folder, "list.h5", engine)) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_public_hub_of_two_kinds_gives_each_ev_what_its_connector_and_the_cabinet_have(tmp_path, engine):
    visits = [visit(100, group="fast"), visit(150, at="10min", group="fast"), visit(15, group="slow"), visit(5)]
    with run(mixed(*visits), tmp_path, engine) as results:
        # the last one takes connector 2 and stays, so that the second of the fast ones waits in vain
        assert connectors_kw(results, 60) == [100.0, 100.0, 11.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        sessions = results.sessions().set_index("id")
    assert sessions["connector"].to_list() == [0, 2, 1, -1]
    assert sessions["delivered_kwh"].to_list() == pytest.approx([100, 15, 5, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_one_ev_leaves_of_a_cabinet_goes_to_the_other(tmp_path, engine):
    with run(mixed(visit(100, group="fast"), visit(150, at="10min", group="fast")), tmp_path, engine) as results:
        t_s, p_kw = results.arrays("depot/cp/connector_p_kw")
        sessions = results.sessions()
    # 150 kW alone until the other comes, 100 kW each, then 150 kW for the one that is left
    assert p_kw[np.searchsorted(t_s, [300, 601, 4000], side="right") - 1, :2].tolist() == [
        [150, 0],
        [100, 100],
        [0, 150],
    ]
    assert np.abs(p_kw).sum(axis=1).max() == 200.0
    assert sessions["delivered_kwh"].to_list() == pytest.approx([100, 150])
    assert energy(t_s, p_kw.sum(axis=1), 7200.0) == pytest.approx(250)


def test_what_a_battery_does_not_take_of_its_share_goes_to_the_other(tmp_path):
    full = {"at": "0s", "until": "2h", "energy_kwh": 40, "capacity_kwh": 60, "soc": 0.3}
    data = mixed({**full, "group": "fast"}, visit(250, group="fast"), ev={"pack": "nissan_leaf_2013"})
    with run(data, tmp_path) as results:
        t_s, p_kw = results.arrays("depot/cp/connector_p_kw")
    tapers = (p_kw[:, 0] > 0.0) & (p_kw[:, 0] < 95.0) & (p_kw[:, 1] > 0.0) & (t_s < 3600.0)
    assert tapers.any()
    assert p_kw[tapers, :2].sum(axis=1).max() <= 200.0 + 1e-9
    assert np.minimum(200.0, p_kw[tapers, 0] + 150.0) == pytest.approx(p_kw[tapers, :2].sum(axis=1), rel=0.02)


def test_an_ac_connector_that_would_get_less_than_six_amperes_pauses(tmp_path):
    posts = {"name": "posts", "count": 3, "rated_kw": 11, "current": "ac", "cabinet_kw": 11}
    with run(mixed(visit(20), visit(20), visit(20), connectors=[posts]), tmp_path) as results:
        assert connectors_kw(results, 60) == [5.5, 5.5, 0.0]


def test_discharging_counts_for_the_cabinet_as_charging_does(tmp_path):
    two = {**FAST, "v2g": True, "cabinet_kw": 100}
    data = mixed(visit(100, v2g=True, soc=0.6), visit(100, v2g=True, soc=0.6), connectors=[two])
    data["controller"]["type"] = "tests.helpers.plants:AnySetpoints"
    with run(data, tmp_path) as results:
        p_kw = results.arrays("depot/cp/connector_p_kw")[1]
    assert p_kw.min() < -1.0 and np.abs(p_kw).sum(axis=1).max() == pytest.approx(100.0)


# --- which connector ------------------------------------------------------------------------------------------------


def test_who_waits_for_one_group_does_not_hold_up_those_for_another(tmp_path):
    data = mixed(
        visit(5, group="fast"),
        visit(5, group="fast"),
        visit(5, at="1min", group="fast"),
        visit(5, at="2min", group="slow"),
        visit(5, at="3min", connector=8),
    )
    with run(data, tmp_path) as results:
        assert results.sessions()["connector"].to_list() == [0, 1, -1, 2, 7]


def test_sessions_of_a_file_ask_for_groups(tmp_path):
    rows = [
        ("arrival", "departure", "energy_kwh", "group", "connector"),
        (0, 7000, 5, "slow", ""),
        (60, 7000, 5, "", 5),
    ]
    with (tmp_path / "s.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    data = mixed(sessions={"type": "csv", "file": "s.csv"})
    with run(data, tmp_path) as results:
        assert results.sessions()["connector"].to_list() == [2, 4]


def test_each_group_has_its_own_profile_and_random_numbers(tmp_path):
    wanted = {"fast": {"profile": "public", "scale": 3}, "slow": {"profile": "workplace"}}
    data = mixed(sessions={"type": "stochastic", "groups": wanted, "scale": 0.2}, queue={"places": 0})
    data["duration"] = "12h"
    with run(data, tmp_path) as results:
        both = results.sessions().set_index("id")
    assert {name.split("-")[0] for name in both.index} == {"fast", "slow"}
    taken = both[both["connector"] >= 0]
    assert all((connector < 2) == name.startswith("fast-") for name, connector in taken["connector"].items())
    data["hubs"]["depot"]["sessions"]["groups"] = {"slow": {"profile": "workplace"}}
    with run(data, tmp_path, "inprocess") as results:
        alone = results.sessions().set_index("id")
    slow = both[both.index.str.startswith("slow-")]
    assert alone["arrival_s"].to_dict() == slow["arrival_s"].to_dict()


def test_the_efficiency_is_that_of_the_connector_an_ev_takes(tmp_path):
    lossy = {**SLOW, "efficiency": 0.8}
    data = mixed(visit(20, group="fast"), visit(20, group="slow"), connectors=[FAST, lossy])
    with run(data, tmp_path) as results:
        sessions = results.sessions()
    assert sessions["delivered_kwh"].to_list() == pytest.approx([20, 20])
    assert sessions["soc_end"].to_list() == pytest.approx([0.1 + 20 / 400, 0.1 + 16 / 400])


# --- who knows of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["equal_share", "edf", "llf", "fcfs", "round_robin", "pv_first", "emh", *PLANNERS])
def test_controllers_ask_for_no_more_than_a_cabinet_has(tmp_path, strategy):
    data = mixed(visit(100), visit(150), visit(10), visit(10), controller=strategy)
    with run(data, tmp_path) as results:
        limit_kw = results.arrays("depot/cp/connector_limit_kw")[1]
        p_kw = results.arrays("depot/cp/connector_p_kw")[1]
    decided = np.isfinite(limit_kw).all(axis=1)
    assert limit_kw[decided, :2].sum(axis=1).max() <= 200.0 + 1e-6
    assert p_kw[:, :2].sum(axis=1).max() == pytest.approx(200.0, abs=1e-3)


def test_circuits_of_the_hub_count_connectors_of_all_groups_with_their_own_phases():
    circuits = {
        "voltage_v": 230,
        "groups": {"left": {"connectors": [1, 3]}, "right": {"connectors": [4]}},
        "limits": [{"name": "cable", "limit_a": 100, "sum": {"left": 1, "right": -1}}],
    }
    data = mixed(connectors={"groups": [FAST, {**SLOW, "phases": 1}], "circuits": circuits})
    wiring = build(plants.loaded(data))
    (controller,) = [entity for entity in wiring.entities if entity.sid == "controller"]
    limits = controller.parameters["site"].circuits
    three, one = 1000 / (3 * 230), 1000 / 230
    assert limits.name == ("cable", "cabinet of fast")
    assert limits.a_per_kw[0].real.tolist() == pytest.approx([three, 0, one, -one, 0, 0, 0, 0])
    assert limits.a_per_kw[1].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert limits.limit_a.tolist() == [100, 200]


def test_a_plan_does_not_expect_more_of_an_ev_than_its_group_gives():
    wiring = build(
        plants.loaded(mixed(visit(10, group="slow"), visit(10, group="fast"), visit(10), visit(10, connector=3)))
    )
    (controller,) = [entity for entity in wiring.entities if entity.sid == "controller"]
    assert controller.parameters["sessions"].p_max_kw.tolist() == [11.0, inf, inf, 11.0]


# --- bad input ------------------------------------------------------------------------------------------------------

WRONG = {
    "the same name twice": ({"connectors": [FAST, {**SLOW, "name": "fast"}]}, "connectors[1].name", "only group"),
    "the same name twice in groups": (
        {"connectors": {"groups": [FAST, FAST]}},
        "connectors.groups[1].name",
        "only group",
    ),
    "a name with capitals": ({"connectors": [{**FAST, "name": "Fast"}]}, "connectors[0].name", "small letters"),
    "no name": ({"connectors": [{"count": 1, "rated_kw": 5}]}, "connectors[0].name", "required"),
    "no connectors": ({"connectors": [{**FAST, "count": 0}]}, "connectors[0].count", "must be >= 1"),
    "no groups": ({"connectors": []}, "connectors", "at least 1"),
    "an empty cabinet": ({"connectors": [{**FAST, "cabinet_kw": 0}]}, "connectors[0].cabinet_kw", "must be > 0"),
    "an unknown key": ({"connectors": [{**FAST, "cabinet": 5}]}, "connectors[0].cabinet", "cabinet_kw"),
    "circuits in a group": ({"connectors": [{**FAST, "circuits": {}}]}, "connectors[0].circuits", "not a key"),
    "a number for connectors": ({"connectors": 5}, "connectors", "must be a mapping"),
    "circuits beyond the last connector": (
        {
            "connectors": {
                "groups": [FAST],
                "circuits": {
                    "voltage_v": 230,
                    "groups": {"a": {"connectors": [3]}},
                    "limits": [{"name": "a", "limit_a": 5, "sum": {"a": 1}}],
                },
            }
        },
        "connectors",
        "numbered 1 to 2, got 3",
    ),
    "an absent group": (
        {"sessions": {"type": "list", "items": [visit(5, group="medium")]}},
        "sessions.items[0].group",
        "one of fast, slow",
    ),
    "a group where there are none": (
        {
            "connectors": {"count": 2, "rated_kw": 22},
            "sessions": {"type": "list", "items": [visit(5, group="fast")]},
        },
        "sessions.items[0].group",
        "in no groups",
    ),
    "a group and a connector": (
        {"sessions": {"type": "list", "items": [visit(5, group="fast", connector=1)]}},
        "sessions.items[0]",
        "either connector or group",
    ),
    "a connector beyond the last group": (
        {"sessions": {"type": "list", "items": [visit(5, connector=9)]}},
        "depot",
        "sessions.items[0].connector must be at most 8",
    ),
    "EVs for an absent group": (
        {"sessions": {"type": "stochastic", "groups": {"medium": {}}}},
        "sessions.groups.medium",
        "one of fast, slow",
    ),
    "EVs for both currents": ({"sessions": {"type": "stochastic"}}, "sessions.groups", "some connectors are AC"),
    "an unknown profile": (
        {"sessions": {"type": "stochastic", "groups": {"fast": {"profile": "publik"}}}},
        "sessions.groups.fast.profile",
        "must be one of",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_at_its_key(case):
    changes, key, text = WRONG[case]
    with pytest.raises(InputError) as error:
        build(plants.loaded(mixed(**changes)))
    (problem,) = error.value.problems
    assert problem.key.endswith(key) and problem.key.startswith("hubs.depot")
    assert text in str(problem)


@pytest.mark.parametrize("connectors", [[FAST, SLOW], {"groups": [FAST, SLOW]}], ids=["list", "groups"])
def test_a_sweep_reaches_a_group_in_both_forms(connectors):
    data = mixed(connectors=connectors)
    scenario = plants.loaded(data).scenario
    place = "connectors[1]" if isinstance(connectors, list) else "connectors.groups[1]"
    keys = find(scenario, f"hubs.depot.{place}.count", Path())
    other = plants.loaded(changed(data, scenario, keys, 4)).scenario
    assert [kind.count for kind in kinds_of(other.hubs["depot"].connectors)] == [2, 4]


@pytest.mark.parametrize(
    ("row", "key", "text"),
    [
        ("0,900,1,medium,", "row 2, group", "one of fast, slow"),
        ("0,900,1,fast,1", "row 2, group", "must be empty where a connector is given"),
    ],
)
def test_a_wrong_group_in_a_file_is_one_line_with_its_row(tmp_path, row, key, text):
    (tmp_path / "s.csv").write_text(f"arrival,departure,energy_kwh,group,connector\n{row}\n")
    with pytest.raises(InputError) as error:
        build(plants.loaded(mixed(sessions={"type": "csv", "file": "s.csv"}), tmp_path))
    (problem,) = error.value.problems
    assert problem.key == key and text in str(problem)
