"""Key figures of a study's own: named in the scenario, seen by every command, never the end of a run."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from evhub.analysis import open_results
from evhub.scenarios import run
from evhub.scenarios.checks.check_scenarios import check, prepare
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.scenarios.studies.compare.compare_controllers import compare_controllers
from evhub.scenarios.studies.compare.compare_plan import plan
from evhub.scenarios.studies.sweep.sweep_runs import sweep

from ...helpers.command import evhub

SCENARIO = """
name: small
start: 2024-06-03T06:00:00+00:00
duration: 1h
time_step: 10s
hubs:
  depot:
    grid: {contracted_kw: 30}
    connectors: {count: 2, rated_kw: 22}
    sessions: {type: list, items: [{at: 0s, until: 30min, energy_kwh: 20}, {at: 5min, until: 50min, energy_kwh: 30}]}
    tariffs: {buy: {type: constant, value: 0.3}}
controller: {type: equal_share, period: 5min}
key_figures: [NAMES]
expect:
  - {kpi: import_kwh, min: 1}
"""
FIGURES = """
import evhub


@evhub.key_figure(unit="kWh", better="less")
def doubled_import(hub):
    return 2 * hub.value("import_kwh")


@evhub.key_figure(unit="1")
def broken(hub):
    return hub.sessions["no such column"].mean()


def plain(hub):
    return 1.0


@evhub.key_figure(unit="1")
def cost_net(hub):
    return 1.0


renamed = doubled_import
"""
STUDY = """
scenario: small.yaml
fields: {hubs.depot.grid.contracted_kw: {values: [20, 30]}}
kpis: [doubled_import, import_kwh]
"""


def study(folder, *names, module="our_figures", expect=""):
    (folder / f"{module}.py").write_text(FIGURES)
    path = folder / "small.yaml"
    references = ", ".join(f"{module}:{name}" for name in names)
    path.write_text(SCENARIO.replace("NAMES", references) + expect)
    return path


def test_own_figure_stands_in_the_summary_of_the_result_alone(tmp_path):
    path = run(study(tmp_path, "doubled_import"), tmp_path / "r.h5", engine="inprocess")
    (tmp_path / "our_figures.py").unlink()
    with open_results(path) as results:
        total = results.summary()["total"]
    assert total["doubled_import"] == 2 * total["import_kwh"]
    assert total["import_kwh"] > 1


def test_run_is_not_lost_by_a_figure_that_fails(tmp_path):
    path = study(tmp_path, "broken", "doubled_import")
    done = evhub("run", str(path), "-o", str(tmp_path / "r.h5"), "--engine", "inprocess")
    assert done.status == 0, done.err
    text = " ".join(done.out.split())
    assert "key figure broken (" in text
    assert "our_figures.py:12): KeyError: 'no such column' at hub depot" in text
    with open_results(tmp_path / "r.h5") as results:
        assert results.status == "complete"
        assert results.summary().at["doubled_import", "total"] > 0


def test_json_export_and_page_have_it(tmp_path):
    path, result = study(tmp_path, "doubled_import"), tmp_path / "r.h5"
    done = evhub("run", str(path), "-o", str(result), "--engine", "inprocess", "--json")
    row = next(row for row in json.loads(done.out) if row["key"] == "doubled_import")
    assert row["unit"] == "kWh"
    assert row["total"] > 0
    assert evhub("export", str(result), "-o", str(tmp_path / "tables")).status == 0
    assert "doubled_import" in (tmp_path / "tables" / "kpis.csv").read_text()
    assert evhub("report", str(result), "-o", str(tmp_path / "r.html")).status == 0
    assert "doubled import" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(("least", "holds"), [(1.0, True), (1e6, False)])
def test_expectation_can_be_put_on_it(tmp_path, least, holds):
    path = study(tmp_path, "doubled_import", expect=f"  - {{kpi: doubled_import, min: {least}}}\n")
    assert check(prepare(path)).ok is holds


def test_expectation_of_a_figure_that_failed_says_why(tmp_path):
    path = study(tmp_path, "broken", expect="  - {kpi: broken, min: 0}\n")
    (_, outcome) = check(prepare(path)).failed[0]
    assert "our_figures.py:12): KeyError" in outcome.text


def test_comparison_tests_it_and_notes_what_failed(tmp_path):
    path = study(tmp_path, "doubled_import", "broken")
    planned = plan(path, ["equal_share", "uncontrolled"], tmp_path / "out", kpis=["doubled_import"])
    compared = compare_controllers(planned)
    assert compared.comparison is not None
    assert set(compared.comparison.differences["kpi"]) >= {"doubled_import"}
    assert compared.comparison.means.query("kpi == 'doubled_import'")["better"].tolist() == ["less", "less"]
    assert any("key figure broken (" in note and "equal_share" in note for note in compared.notes)


def test_sweep_has_it_as_a_column(tmp_path):
    study(tmp_path, "doubled_import")
    (tmp_path / "sweep.yaml").write_text(STUDY)
    table = sweep(tmp_path / "sweep.yaml", tmp_path / "out").table
    assert table["status"].tolist() == ["ok", "ok"]
    pd.testing.assert_series_equal(table["doubled_import"], 2 * table["import_kwh"], check_names=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cost_net", "must have another name: there is a key figure cost_net"),
        ("plain", "must be a KeyFigure, as @evhub.key_figure(unit=...) makes one of a function, got function"),
        ("renamed", "must be called as its key figure, doubled_import"),
        ("absent", "must name a key figure of our_figures"),
    ],
)
def test_figure_that_cannot_be_used_is_wrong_input_before_anything_runs(tmp_path, name, message):
    path = study(tmp_path, name)
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert problem.key == "key_figures[0]"
    assert message in str(problem)


def test_name_that_is_taken_is_told_with_file_and_line(tmp_path):
    with pytest.raises(InputError, match=r"our_figures\.py:19\)"):
        load_scenario(study(tmp_path, "cost_net"))


def test_reference_must_be_module_and_function(tmp_path):
    path = study(tmp_path, "doubled_import")
    path.write_text(path.read_text().replace("our_figures:", "our_figures."))
    with pytest.raises(InputError, match="must be module:function, such as my_study"):
        load_scenario(path)
