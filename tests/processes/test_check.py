"""``evhub check``: scenarios as tests, with their exit status, tables, reports for other programs, and golden files."""

from __future__ import annotations

import copy
import json
import math
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from evhub.analysis import open_results
from evhub.analysis.checks.expectation_checks import kpi_names
from evhub.scenarios.checks.check_scenarios import check, prepare
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.scenario_loader import LIBRARY, load_scenario, parse

from ..helpers.command import evhub
from ..helpers.plants import hub_with_everything, smallest

EXAMPLE = LIBRARY.parent / "example_study"
SMALL: dict[str, Any] = {
    "name": "small",
    "start": "2024-03-01T12:00:00-03:00",
    "duration": "10min",
    "time_step": "1min",
    "hubs": {
        "depot": {
            "grid": {"contracted_kw": 20},
            "connectors": {"count": 2, "rated_kw": 11},
            "sessions": {"type": "list", "items": [{"at": "1min", "until": "9min", "energy_kwh": 2}]},
        }
    },
    "events": [{"at": "5min", "outage": {"hub": "depot", "until": "6min"}}],
    "controller": {"type": "equal_share", "period": "2min"},
}
HOLDS: list[dict[str, Any]] = [
    {"signal": "depot/cp/p_kw", "max": 11},
    {"signal": "depot.cp.p_kw", "at": ["5min", "6min"], "equals": 0},
    {"signal": "depot/cp/p_kw", "at": "2min", "equals": 10, "tolerance": 1},
    {"signal": "depot/cp/connector_p_kw", "element": 1, "during": ["2min", "5min"], "min": 11},
    {"signal": "depot/cp/connector_p_kw", "element": "sum", "mean": True, "during": ["4min", "6min"], "equals": 5.5},
    {"signal": "depot/cp/connector_p_kw", "order": [1, 2]},
    {"signal": "depot/cp/energy_kwh", "element": 1, "during": ["2min", "8min"], "trend": "rises"},
    {"signal": "depot/cp/energy_kwh", "element": 1, "during": ["1min", "8min"], "reaches": 0.2},
    {"signal": "depot/cp/p_kw", "changes_at": "6min", "within": "90s"},
    {"signal": "depot/ats/bus", "at": "4min", "equals": "grid"},
    {"signal": "depot/ats/bus", "at": "5min", "equals": "dead"},
    {"kpi": "interruptions", "hub": "depot", "equals": 1},
    {"event": {"source": "depot.ats", "kind": "outage", "at": "5min"}},
    {"no_event": {"kind": "balked"}},
    {"events_in_order": [{"kind": "outage", "at": "5min"}, {"kind": "grid-back", "during": ["6min", "10min"]}]},
    {"no_alarm": True},
    {"invariants": ["balance", "soc_bounds", "ratings", "dead_bus"]},
]
FAILS: list[dict[str, Any]] = [
    {"signal": "depot/cp/p_kw", "max": 10, "name": "never above 10", "why": "for no reason"},
    {"signal": "depot/cp/p_kw", "at": "5min", "equals": 11},
    {"signal": "depot/cp/connector_p_kw", "order": [2, 1]},
    {"signal": "depot/cp/p_kw", "trend": "never_falls"},
    {"signal": "depot/cp/p_kw", "reaches": 20},
    {"signal": "depot/cp/p_kw", "changes_at": "3min", "within": "30s"},
    {"signal": "depot/ats/bus", "equals": "grid"},
    {"kpi": "outages", "max": 0},
    {"event": {"kind": "outage", "at": "6min", "within": "30s"}},
    {"no_event": {"source": "depot.*"}},
    {"events_in_order": [{"kind": "grid-back"}, {"kind": "outage"}]},
]


@pytest.fixture(autouse=True)
def _no_study_stays_imported():
    yield
    sys.modules.pop("controllers", None)  # of the example study; it must not be taken for a folder of the project


def scenario(folder: Path, *expect: dict[str, Any], name: str = "small", **changes: Any) -> Path:
    """Write a scenario file that expects something."""
    data = {**copy.deepcopy(SMALL), "name": name, **changes}
    if expect:
        data["expect"] = list(expect)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


# --- what is expected -------------------------------------------------------------------------------------------------


def test_everything_that_holds_is_silent(tmp_path):
    outcome = evhub("check", scenario(tmp_path, *HOLDS))
    assert (outcome.status, outcome.err) == (0, "")
    assert re.fullmatch(rf"ok +{len(HOLDS)} expectations +small +\(\d+\.\d s\)\n", outcome.out)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_whatever_fails_is_told_with_time_and_value(tmp_path):
    outcome = evhub("check", scenario(tmp_path, *FAILS, *HOLDS), "--json")
    assert outcome.status == 1
    rows = json.loads(outcome.out)
    assert [row["ok"] for row in rows] == [False] * len(FAILS) + [True] * len(HOLDS)
    assert all((row["text"] == "") == row["ok"] for row in rows)
    first = {"scenario": "small", "expectation": "never above 10", "ok": False, "t_s": 120.0, "value": 11.0}
    assert rows[0] == {**first, "text": "depot/cp/p_kw is 11 kW at 2min, must be <= 10 kW (for no reason)"}
    assert rows[1]["expectation"] == "signal: depot/cp/p_kw, at: 5min, equals: 11"


def test_the_table_shows_what_failed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    outcome = evhub("check", scenario(tmp_path, HOLDS[0], FAILS[0]))
    assert outcome.status == 1
    assert re.search(r"failed +1 of 2 expectations +small", outcome.out)
    assert "never above 10" in outcome.out
    assert "2min" in outcome.out
    assert "max: 11" not in outcome.out


def test_one_failing_scenario_of_several_is_enough(tmp_path):
    good, bad = scenario(tmp_path, HOLDS[0], name="good"), scenario(tmp_path, FAILS[0], name="bad")
    outcome = evhub("check", good, bad, good)
    assert outcome.status == 1
    assert [line.split()[0] for line in outcome.out.splitlines()[:3]] == ["ok", "failed", "ok"]
    assert evhub("check", good, good).status == 0


@pytest.mark.parametrize("engine", ["inprocess", "mosaik"])
def test_both_engines_say_the_same(tmp_path, engine):
    rows = json.loads(evhub("check", scenario(tmp_path, *FAILS, *HOLDS), "--json", "--engine", engine).out)
    assert sum(not row["ok"] for row in rows) == len(FAILS)


def test_another_controller_is_checked_alike(tmp_path):
    limited = {"signal": "depot/cp/p_kw", "max": 20}
    two = [{"at": "1min", "until": "9min", "energy_kwh": 2}] * 2
    hubs = copy.deepcopy(SMALL["hubs"])
    hubs["depot"]["sessions"]["items"] = two
    path = scenario(tmp_path, limited, hubs=hubs)
    assert evhub("check", path).status == 0
    assert evhub("check", path, "--controller", "uncontrolled").status == 1


def test_invariants_can_be_asked_of_a_scenario_that_expects_nothing(tmp_path):
    path = scenario(tmp_path)
    outcome = evhub("check", path)
    assert outcome.status == 2
    assert outcome.out == ""
    allowed = "must hold something to check; without it, --invariants checks what holds in every run"
    assert outcome.err == f"{path}: expect: {allowed}\n"
    outcome = evhub("check", path, "--invariants")
    assert outcome.status == 0
    assert "1 expectations" in outcome.out


def test_the_invariants_know_the_plates_of_every_device(tmp_path):
    hub = hub_with_everything()
    hub["bess"].update(inverter_kva=15, soc_min=0.3, soc_max=0.7)
    hub["pv"]["inverter_kva"] = 12
    data = smallest(hubs={"depot": hub}, expect=[{"invariants": ["ratings", "soc_bounds", "balance", "dead_bus"]}])
    ready = prepare(parse(data, _file(tmp_path, data)))
    assert check(ready).ok
    from evhub.scenarios.checks.expect_translation import _plates

    plates = _plates(ready.loaded.scenario.hubs["depot"])
    bounds = {name: (device.get("p_min_kw"), device.get("p_max_kw")) for name, device in plates.devices.items()}
    assert (bounds["pv"], bounds["bess"], bounds["dg"]) == ((0, 12), (-15, 15), (0, 30))
    assert np.all(plates.connector_kw == 20)
    assert (plates.devices["bess"]["soc_min"], plates.devices["bess"]["soc_max"]) == (0.3, 0.7)
    assert "bess" not in _plates(parse(SMALL, tmp_path / "x.yaml").scenario.hubs["depot"]).devices


def _file(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "case.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_run_that_fails_is_a_failure_with_its_message(tmp_path):
    (tmp_path / "broken.py").write_text(
        "import evhub\nclass Mine(evhub.Controller):\n    def decide(self, observation):\n"
        "        raise RuntimeError('out of <ideas>')\n"
    )
    bad = scenario(tmp_path, *HOLDS, controller={"type": "broken:Mine"}, name="bad")
    good = scenario(tmp_path, HOLDS[0], name="good")
    outcome = evhub("check", bad, good, "--json", "--junit", tmp_path / "junit.xml")
    assert outcome.status == 1
    first, second = json.loads(outcome.out)
    assert (first["expectation"], first["ok"], second["ok"]) == ("the run", False, True)
    assert "ControllerError: controller broken:Mine" in first["text"]
    assert "out of <ideas>" in first["text"]
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    assert "out of <ideas>" in str(suite[0][0].get("message"))


def test_a_check_that_is_stopped_says_how_far_it_came(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt("out.h5 holds what was simulated so far")

    monkeypatch.setattr("evhub.scenarios.checks.check_scenarios.run_whole", stopped)
    outcome = evhub("check", scenario(tmp_path, HOLDS[0]))
    assert (outcome.status, outcome.err) == (130, "stopped; 0 of 1 scenarios were checked\n")


# --- results and reports ----------------------------------------------------------------------------------------------


def test_results_are_kept_where_they_are_asked_for(tmp_path):
    path, kept = scenario(tmp_path, HOLDS[0]), tmp_path / "kept" / "here"
    assert evhub("check", path, "-o", kept).status == 0
    with open_results(kept / "small.h5") as results:
        assert results.status == "complete"
    outcome = evhub("check", path, "-o", kept)
    assert outcome.status == 2
    assert "must not exist yet; --force replaces it" in outcome.err
    assert evhub("check", path, "-o", kept, "--force").status == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--github", "--json"], "--github: must not stand beside --json"),
        (["--update", "--controller", "uncontrolled"], "--controller: must not stand beside --update"),
        (["--junit", "."], "output: must be a file, not a folder"),
        (["--engine", "steam"], "engine: must be mosaik or inprocess, got 'steam'"),
        (["--controller", "foo"], "--controller: must be one of "),
        (["small.yaml", "-o", "kept"], "output: must not get two results with the name small"),
        (["-o", "small.yaml"], "output: must be in a folder that can be written"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_run(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, HOLDS[0])
    outcome = evhub("check", "small.yaml", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith(told)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_junit_has_a_test_case_for_each_expectation(tmp_path):
    hostile = {"signal": "depot/cp/p_kw", "max": 1, "name": '<b> & "quotes" ]]>'}
    path, file = scenario(tmp_path, HOLDS[0], hostile), tmp_path / "new" / "junit.xml"
    assert evhub("check", path, path, "--junit", file).status == 1
    root = ElementTree.parse(file).getroot()
    assert [suite.get("name") for suite in root] == ["small", "small"]
    suite = root[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "0",
    }
    good, bad = suite
    assert (good.get("classname"), good.get("name")) == ("small", "signal: depot/cp/p_kw, max: 11")
    assert list(good) == []
    assert bad.get("name") == hostile["name"]
    assert bad[0].tag == "failure"
    assert bad[0].get("message") == "depot/cp/p_kw is 11 kW at 2min, must be <= 1 kW"


def test_github_shows_a_failure_at_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_dump(SMALL, sort_keys=False) + (
        "expect:\n  - {signal: depot/cp/p_kw, max: 11}\n\n  - signal: depot/cp/p_kw\n    name: 100 % of 1\n    max: 1\n"
    )
    (tmp_path / "a,b.yaml").write_text(text)
    outcome = evhub("check", "a,b.yaml", "--github")
    line = text[: text.index("  - signal:")].count("\n") + 1
    told = "100 %25 of 1: depot/cp/p_kw is 11 kW at 2min, must be <= 1 kW"
    assert outcome.out.splitlines()[1] == f"::error file=a%2Cb.yaml,line={line},title=small::{told}"
    assert sum(row.startswith("::") for row in outcome.out.splitlines()) == 1


def test_what_is_wrong_with_several_scenarios_is_told_at_once(tmp_path):
    first = scenario(tmp_path, {"signal": "depot/cp/p_kww", "max": 1}, {"kpi": "served", "min": 0}, name="first")
    second = scenario(tmp_path, {"kpi": "servd", "min": 0}, name="second")
    outcome = evhub("check", first, second, scenario(tmp_path, HOLDS[0], name="third"))
    assert (outcome.status, outcome.out) == (2, "")
    assert [line.split(": ")[0] for line in outcome.err.splitlines()] == [str(first), str(second)]


def test_the_resolved_scenario_of_a_result_expects_the_same(tmp_path):
    path = scenario(tmp_path, *HOLDS, {"golden": "g.yaml"})
    assert evhub("check", path, "-o", tmp_path, "--update").status == 0
    with open_results(tmp_path / "small.h5") as results:
        resolved = parse(yaml.safe_load(results.scenario), path).scenario
    assert resolved.expect == load_scenario(path).scenario.expect


# --- golden files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["golden/small.yaml", "small.json"])
def test_a_golden_file_is_missed_written_met_and_updated(tmp_path, name):
    path, file = scenario(tmp_path, {"golden": name}), tmp_path / name
    missing = evhub("check", path, "--json")
    assert missing.status == 1
    assert json.loads(missing.out)[0]["text"] == f"there is no {name} yet; evhub check --update writes it"
    assert not file.exists()

    assert evhub("check", path, "--update").status == 0
    first = file.read_text()
    assert evhub("check", path).status == 0
    assert evhub("check", path, "--engine", "mosaik").status == 0
    assert evhub("check", path, "--update").status == 0
    assert file.read_text() == first

    scenario(tmp_path, {"golden": name}, events=[{"at": "5min", "outage": {"hub": "depot", "until": "7min"}}])
    changed = evhub("check", path, "--json")
    assert changed.status == 1
    assert re.search(r"\d+ of \d+ numbers differ, most of all: depot/.*, was ", json.loads(changed.out)[0]["text"])
    assert file.read_text() == first
    assert evhub("check", path, "--update").status == 0
    assert file.read_text() != first
    assert evhub("check", path).status == 0
    assert not list(tmp_path.rglob("*.part"))


def test_an_update_keeps_the_tolerance_and_the_choice(tmp_path):
    path, file = scenario(tmp_path, {"golden": "g.yaml"}), tmp_path / "g.yaml"
    assert evhub("check", path, "--update").status == 0
    data = yaml.safe_load(file.read_text())
    data["tolerance"] = {"relative": 0.5, "absolute": 1}
    data["kpis"] = {"depot": {"served": 7.0}}
    data["signals"] = {"depot/cp/p_kw": data["signals"]["depot/cp/p_kw"]}
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    assert evhub("check", path).status == 1
    assert evhub("check", path, "--update").status == 0
    again = yaml.safe_load(file.read_text())
    assert again == {**data, "kpis": {"depot": {"served": 1.0}}}


def test_a_longer_run_needs_an_update(tmp_path):
    path = scenario(tmp_path, {"golden": "g.yaml"})
    assert evhub("check", path, "--update").status == 0
    scenario(tmp_path, {"golden": "g.yaml"}, duration="11min")
    outcome = evhub("check", path)
    assert outcome.status == 2
    assert "must hold the 22 means of a run of 11min, every 30s, or be written again by --update" in outcome.err
    assert evhub("check", path, "--update").status == 0
    assert evhub("check", path).status == 0


def test_another_controller_is_not_measured_by_the_golden_results_of_the_first(tmp_path):
    path = scenario(tmp_path, {"golden": "g.yaml"})
    assert evhub("check", path, "--update").status == 0
    outcome = evhub("check", path, "--controller", "uncontrolled", "--json")
    assert outcome.status == 1
    (row,) = json.loads(outcome.out)
    assert row["text"] == "recorded with controller equal_share, this run has uncontrolled"


# --- input that cannot be checked -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"x": 1}, [[]], math.nan, True, "☃", 1e300, [1, 2, 3]], ids=repr)
@pytest.mark.parametrize("n", range(len(HOLDS)))
def test_a_value_of_the_wrong_kind_is_told_under_its_key(tmp_path, n, wrong):
    for key in HOLDS[n]:
        data = {**copy.deepcopy(SMALL), "expect": [{**HOLDS[n], key: wrong}]}
        try:
            prepare(parse(data, tmp_path / "case.yaml"))
        except InputError as error:
            assert all(problem.key.startswith("expect[0]") for problem in error.problems), error
            assert all(len(problem.allowed) < 1000 for problem in error.problems)  # the place of the file may be long
            assert "Input should" not in str(error)
        else:
            assert (key, wrong) in [("mean", True), ("no_alarm", True)], (key, wrong)


def test_all_key_figures_can_be_expected(tmp_path):
    for name in kpi_names():
        parse({**SMALL, "expect": [{"kpi": name, "min": 0}]}, tmp_path / "case.yaml")


# --- the scenarios that come with evhub -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["island-evening", "two-depots"])
def test_the_shipped_scenarios_hold_what_they_promise(name):
    outcome = evhub("check", name)
    assert outcome.status == 0, outcome.out


def test_the_example_study_holds_what_it_promises(tmp_path):
    assert evhub("init", tmp_path / "study").status == 0
    outcome = evhub("check", tmp_path / "study" / "study.yaml")
    assert outcome.status == 0, outcome.out


@pytest.mark.parametrize("path", sorted([*LIBRARY.glob("*.yaml"), *EXAMPLE.glob("*.yaml")]), ids=lambda path: path.name)
def test_every_shipped_scenario_is_a_test(path):
    assert len(prepare(path).loaded.scenario.expect) > 2
