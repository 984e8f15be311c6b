"""Studies of many runs: which variants there are, what they are called, and ``evhub compare`` of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis import open_results
from evhub.analysis.comparison.factor_means import means_by
from evhub.analysis.comparison.paired_statistics import means
from evhub.analysis.comparison.run_figures import collect
from evhub.controllers.policy.policy_file import SHIPPED
from evhub.scenarios.run_scenario import run
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.scenarios.studies.compare.compare_controllers import compare_controllers
from evhub.scenarios.studies.compare.compare_plan import plan, plan_file
from evhub.scenarios.studies.variants.study_file import Study, located, read_study, shipped_run_studies
from evhub.scenarios.studies.variants.variant_labels import labels_of_settings, labels_of_values
from evhub.scenarios.studies.variants.variant_plan import plan_study

from ..helpers.command import evhub
from ..helpers.processes import members, wait_until
from ..helpers.sizes import examples
from .test_sweep import SCENARIO, began, folder, marks, study  # noqa: F401

COUNT = "hubs.depot.connectors.count"
BATTERIES = {
    "small": {"type": "ideal", "rated_kw": 5, "capacity_kwh": 10},
    "large": {"type": "ideal", "rated_kw": 20, "capacity_kwh": 40},
}


# --- which variants there are -----------------------------------------------------------------------------------------

FIELDS = {
    COUNT: st.sampled_from([[8], [8, 9], {"some": 8, "more": 9, "many": 12}]),
    "controller.period": st.sampled_from([["1min", "2min"], {"fast": "1min"}]),
    "hubs.depot.bess": st.sampled_from([[None, BATTERIES["small"]], BATTERIES, list(BATTERIES.values())]),
    "hubs.depot.grid.contracted_kw": st.sampled_from([[20, 30]]),
}
SETTINGS = [
    "equal_share",
    "edf",
    {"type": "milp_dispatch"},
    {"type": "milp_dispatch", "horizon": "4h"},
    {"type": "milp_dispatch", "horizon": "8h"},
    {"type": "milp_dispatch", "horizon": "8h", "replan": "30min", "label": "often"},
]


@settings(max_examples=examples(20))
@given(
    fields=st.fixed_dictionaries({}, optional=FIELDS),
    controllers=st.none() | st.lists(st.sampled_from(SETTINGS), min_size=1, max_size=4, unique_by=json.dumps),
    scenarios=st.sampled_from(
        [["public-hub-day"], ["public-hub-day", "leal2024-1"], {"a": "leal2024-1", "b": "leal2024-2"}]
    ),
    seeds=st.integers(1, 3),
)
def test_every_combination_is_there_once_with_a_label_of_its_own(fields, controllers, scenarios, seeds):
    plaza = list(scenarios) == ["public-hub-day"]
    if len(scenarios) > 1 and not isinstance(scenarios, dict):  # their hubs have other names
        fields = {name: values for name, values in fields.items() if not name.startswith("hubs")}
    elif plaza:
        fields = {name.replace("depot", "plaza"): values for name, values in fields.items()}
    content = {"scenarios": scenarios, "fields": {name: {"values": values} for name, values in fields.items()}}
    content |= {"seeds": seeds} | ({} if controllers is None else {"controllers": controllers})
    planned = plan_study(Study.model_validate(content), "study", Path())
    values = [list(v.values()) if isinstance(v, dict) else v for v in fields.values()]
    labels = labels_of(controllers)
    expected = [
        (scenario, dict(zip(fields, point, strict=True)), label, seed)
        for scenario in scenarios
        for point in product(*values)
        for label in labels or [None]
        for seed in planned.seeds
    ]
    runs = planned.runs
    told = [(r.variant.scenario, r.variant.fields, r.variant.controller if labels else None, r.seed) for r in runs]
    assert told == expected
    assert len(planned.seeds) == seeds
    assert len({run.variant.label for run in runs}) * seeds == len(runs)
    assert len({run.key for run in runs}) == len(runs)


def test_files_beside_a_study_are_found_beside_it(tmp_path):
    """The scenario is a shipped one, whose folder has none of them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.npz").write_bytes(SHIPPED.read_bytes())
    (tmp_path / "house.csv").write_text("t,p\n0,1\n")
    value = {"demand": {"type": "csv", "file": "house.csv", "column": "p"}}
    text = yaml.safe_dump(
        {
            "scenario": "workplace-month",
            "fields": {"hubs.garage.load": {"values": {"a house": value}}},
            "controllers": [{"type": "policy", "file": "data/mine.npz", "label": "trained"}],
        }
    )
    (tmp_path / "mine.yaml").write_text(text)
    study = read_study(tmp_path / "mine.yaml")
    (run,) = plan_study(study, "mine.yaml", tmp_path).runs
    assert run.data["controller"][0]["file"] == str(tmp_path / "data" / "mine.npz")
    assert run.data["hubs"]["garage"]["load"]["demand"]["file"] == str(tmp_path / "house.csv")
    assert run.variant.controller == "trained"


def labels_of(controllers: list | None) -> list[str]:
    sections = [c if isinstance(c, dict) else {"type": c} for c in controllers or ()]
    made = labels_of_settings([{k: v for k, v in section.items() if k != "label"} for section in sections])
    return [section.get("label", label) for section, label in zip(sections, made, strict=True)]


def test_settings_are_called_by_what_differs():
    sections = [
        {"type": "edf"},
        {"type": "milp_dispatch", "horizon": "4h", "gap": 0.01},
        {"type": "milp_dispatch", "horizon": "1d", "gap": 0.01},
        {"type": "emh", "gain": 2},
    ]
    assert labels_of_settings(sections) == ["edf", "milp_dispatch horizon=4h", "milp_dispatch horizon=1d", "emh gain=2"]


def test_sections_are_called_by_what_differs_and_numbered_where_that_is_long():
    assert labels_of_values(list(BATTERIES.values())) == ["rated_kw=5 capacity_kwh=10", "rated_kw=20 capacity_kwh=40"]
    assert labels_of_values([{"a": {"x": 1}, "b": {"x": 2}}, {"a": {"x": 3}, "b": {"x": 2}}]) == ["x=1", "x=3"]
    assert labels_of_values([{"a": {"x": 1}, "b": {"x": 2}}, {"a": {"x": 3}, "b": {"x": 4}}]) == [
        "a.x=1 b.x=2",
        "a.x=3 b.x=4",
    ]
    assert labels_of_values([{}, {"x": 1}]) == ["value 1", "x=1"]
    assert labels_of_values([list(range(99)), [1]]) == ["value 1", "value=[1]"]
    assert labels_of_values([True, "true"]) == ["value 1", "value 2"]


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.recursive(
            st.integers(0, 3) | st.text("ab", max_size=3),
            lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
            max_leaves=6,
        ),
        min_size=1,
        max_size=5,
        unique_by=json.dumps,
    )
)
def test_labels_of_values_are_unique_and_not_empty(values):
    labels = labels_of_values(values)
    assert len(set(labels)) == len(labels) == len(values)
    assert all(labels)


# --- what is refused --------------------------------------------------------------------------------------------------

TWO: dict[str, Any] = {"controllers": ["equal_share", "uncontrolled"]}
SET_TWICE = {
    "fields": {"controller.period": {"values": ["1min", "2min"]}},
    "controllers": ["edf", {"type": "llf", "period": "1min"}],
}
UNCLEAR = {
    "hubs.depot.bess": {"values": {"x, y": None, "x": BATTERIES["small"]}},
    "hubs.depot.grid": {"values": {"y, z": {"contracted_kw": 20}, "z": {"contracted_kw": 30}}},
}
TOWNS = {"scenario": None, "scenarios": {"a": "small.yaml", "b": "island-evening"}}
COLUMN = "hubs.depot.load.demand.column"
REFUSED = [
    ({}, "study.yaml: file: must vary something to compare"),
    ({"scenario": None, "seeds": 2}, "needs either scenario or scenarios, got none"),
    ({"scenarios": ["small.yaml"]}, "needs either scenario or scenarios, got both"),
    ({"scenario": None, "scenarios": ["small.yaml", "./small.yaml"]}, "two of them are called small"),
    ({"scenario": None, "scenarios": ["small.yaml", "smal.yaml"]}, "scenarios: must be a file or .*got 'smal.yaml'"),
    (TOWNS | {"fields": {COLUMN: {"values": ["kw"]}}}, f"scenario b: fields.{COLUMN}: must exist"),
    (TWO | {"baseline": "emh"}, r"study.yaml: baseline: must be one of equal_share \| uncontrolled, got 'emh'"),
    (
        {"controllers": ["edf", {"type": "llf", "label": "edf"}]},
        r"controllers\[1\].label: must differ from that of controllers\[0\], got 'edf'",
    ),
    ({"controllers": ["edf", {"type": "llf", "label": " "}]}, "must have labels that are text"),
    ({"fields": {COUNT: {"values": {"a": 2, "b": 2}}}}, "values must differ"),
    ({"fields": {COUNT: {"values": {}}}}, "must be a list of values, or a mapping of labels"),
    (SET_TWICE, r"fields.controller.period: must not be varied where controllers\[1\].period sets it"),
    ({"fields": UNCLEAR}, "label: must be one variant: .*'x, y, z'"),
    ({"fields": {COUNT: {"values": list(range(1, 52))}}}, "must make at most 50 variants .* 51; evhub sweep"),
    (TWO | {"kpis": ["cost_nett"]}, r"kpis\[0\]: .*did you mean cost_net"),
    (TWO | {"test": "z"}, "test: must be one of 't' or 'wilcoxon'"),
    (TWO | {"basline": "edf"}, "did you mean baseline"),
    ({"controllers": ["equal_share", "uncontroled"]}, r"controllers\[1\].type: .* did you mean uncontrolled\?"),
    ({"controllers": ["equal_share", {"type": "milp_dispatch", "horizn": "4h"}]}, "horizn"),
    ({"fields": {COLUMN: {"values": ["kw", "kva"]}}}, "kva"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=lambda item: str(item)[:60])
def test_a_wrong_study_is_one_clear_line_and_nothing_is_run(folder, content, message):  # noqa: F811
    path = study(folder, **content)
    data = {key: value for key, value in yaml.safe_load(path.read_text()).items() if value is not None}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    outcome = evhub("compare", path, "-o", "out")
    assert (outcome.status, outcome.out) == (2, ""), outcome.err
    (line,) = outcome.err.splitlines()
    assert re.search(message, line), line
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--controllers", "edf,llf"), "--controllers: must not stand beside a study"),
        (("--seeds", "0"), "--seeds: must be >= 1, got 0"),
        (("--seeds", "200000"), "--seeds: must be at most 100000, got 200000"),
        (("--baseline", "edf"), "--baseline: must be one of equal_share | uncontrolled, got 'edf'"),
        (("--kpis", "cost_nett"), "--kpis: must be a key figure of the summary; did you mean cost_net"),
        (("--figures", "gif"), "--figures: must be of pdf, svg, png, got 'gif'"),
        (("--tables", "tex,doc"), "--tables: must be of tex, md, csv, got 'doc'"),
    ],
)
def test_options_beside_a_study_are_checked(folder, options, message):  # noqa: F811
    outcome = evhub("compare", study(folder, **TWO), "-o", "out", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert re.match(re.escape(message), outcome.err), outcome.err
    assert not Path("out").exists()


def test_a_scenario_needs_controllers(folder):  # noqa: F811
    outcome = evhub("compare", "small.yaml")
    assert outcome.status == 2
    assert outcome.err == "--controllers: is required beside a scenario; a study names them\n"


def test_scenarios_of_different_currencies_are_not_compared(folder):  # noqa: F811
    changed = yaml.safe_load(yaml.safe_dump(SCENARIO))
    changed["hubs"]["depot"]["tariffs"] = {"currency": "USD"}
    (folder / "other.yaml").write_text(yaml.safe_dump(changed))
    path = folder / "both.yaml"
    path.write_text("scenarios: [small.yaml, other.yaml]\n")
    outcome = evhub("compare", path, "-o", "out")
    assert outcome.status == 2
    assert "scenarios: must have one currency to be compared, got EUR in small, USD in other" in outcome.err


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_comparison_is_that_of_runs_made_one_by_one(folder):  # noqa: F811
    """Byte for byte in kpis.csv, but for the times of decisions; and a study that says the same gives the same."""
    names, seeds = ["own:Marks", "equal_share"], (0, 1)
    outcome = evhub(
        "compare", "small.yaml", "--controllers", ",".join(names), "--seeds", 2, "-o", "out", "--workers", 1
    )
    assert (outcome.status, outcome.err) == (0, "")
    path = study(folder, controllers=names, seeds=2)
    assert evhub("compare", path, "-o", "of-study", "--workers", 1).status == 0
    assert evhub("compare", "small.yaml", "--controllers", "own:Marks", "--seeds", 2).status == 2
    base = load_scenario("small.yaml")
    opened, labels = [], []
    for seed in seeds[:1]:  # nothing is drawn: one seed tells all
        for name in names:
            made = run(base.with_changes(controller=name), f"{name}-{seed}.h5", seed=seed, engine="inprocess")
            opened.append(open_results(made))
            labels.append(name)
    alone = collect(opened, labels).drop(columns="better").query("group != 'controller'").to_csv(index=False)
    for out in ("out", "of-study"):
        lines = (folder / out / "kpis.csv").read_text().splitlines(keepends=True)
        assert "".join(line for line in lines if ",controller," not in line or line == lines[0]) == alone
        assert sorted(p.name for p in (folder / out / "runs").iterdir()) == [
            "equal_share-seed0.h5",
            "own.Marks-seed0.h5",
        ]


FACTORIAL = {
    "fields": {"hubs.depot.bess": {"values": BATTERIES}, COUNT: {"values": [1, 2]}},
    "controllers": [{"type": "own:Marks", "label": "all at once"}, "equal_share"],
    "seeds": [3, 4],
    "baseline": "large, count=2, equal_share",
}


def test_a_factorial_study_is_told_by_variant_by_field_and_for_papers(folder):  # noqa: F811
    (folder / "small.yaml").write_text(yaml.safe_dump(_drawn(), sort_keys=False))
    path = study(folder, **FACTORIAL, kpis=["cost_net", "delivered_kwh"])
    outcome = evhub("compare", path, "-o", "out", "--workers", 1, "--tables", "tex,csv", "--figures", "svg")
    assert (outcome.status, outcome.err) == (0, "")
    kpis = pd.read_csv("out/kpis.csv")
    assert list(kpis["variant"].unique()) == [
        f"{battery}, count={count}, {name}"
        for battery in BATTERIES
        for count in (1, 2)
        for name in ("all at once", "equal_share")
    ]
    assert set(kpis["seed"]) == {3, 4}
    differences = pd.read_csv("out/differences.csv")
    assert set(differences["baseline"]) == {"large, count=2, equal_share"}
    assert len(set(differences["variant"])) == 7
    by_field = pd.read_csv("out/by_field.csv").query("kpi == 'delivered_kwh'")
    assert list(zip(by_field["field"], by_field["field_value"], strict=True)) == [
        ("hubs.depot.bess", "small"), ("hubs.depot.bess", "large"), (COUNT, "1"), (COUNT, "2"),
        ("controller", "all at once"), ("controller", "equal_share"),
    ]  # fmt: skip
    delivered = kpis.query("kpi == 'delivered_kwh'")
    one = delivered[delivered["variant"].str.contains("count=1")].groupby("seed")["value"].mean()
    row = by_field.query("field_value == '1'").iloc[0]
    assert (row["n"], row["mean"]) == (2, pytest.approx(one.mean()))
    assert row["high"] - row["mean"] == pytest.approx(12.7062 * one.std() / np.sqrt(2), rel=1e-5)  # t(0.975, 1)
    ranks = pd.read_csv("out/ranks.csv")
    assert list(ranks["plant"].unique()) == ["small, count=1", "small, count=2", "large, count=1", "large, count=2"]
    assert set(ranks["controller"]) == {"all at once", "equal_share"}
    assert {p.name for p in Path("out/tables").iterdir()} >= {"means.tex", "differences.csv", "points.tex"}
    figures = {p.name for p in Path("out/figures").iterdir()}
    for pair in (
        f"hubs.depot.bess-by-{COUNT}",
        f"{COUNT}-by-hubs.depot.bess",
        "hubs.depot.bess-by-controller",
        f"{COUNT}-by-controller",
    ):
        assert f"delivered_kwh-{pair}.svg" in figures

    before = began(folder)
    assert len(before) == 8
    again = evhub("compare", path, "-o", "out", "--workers", 1)
    assert (again.status, began(folder)) == (0, before)
    tidy = compare_controllers(plan_file(path, Path("out"))).runs
    assert list(tidy) == ["variant", "scenario", *FACTORIAL["fields"], "controller", "seed", "kpi", "value", "unit"]
    assert len(tidy) == 8 * 2 * 2
    assert list(tidy["hubs.depot.bess"].unique()) == ["small", "large"]
    assert list(tidy[COUNT].unique()) == [1, 2]


def _drawn() -> dict[str, Any]:
    drawn = yaml.safe_load(yaml.safe_dump(SCENARIO))
    drawn["hubs"]["depot"]["sessions"] = {"type": "stochastic", "profile": "public", "scale": 30.0}
    drawn["duration"] = "1h"
    return drawn


def test_a_result_that_is_gone_or_changed_is_made_again_and_nothing_else(folder):  # noqa: F811
    path = study(folder, controllers=[marks(), marks(takes_s=0.001, label="late")], seeds=2)
    (folder / "small.yaml").write_text(yaml.safe_dump(_drawn(), sort_keys=False))
    assert compare_controllers(plan_file(path, Path("out"))).ran == 4
    kpis = Path("out/kpis.csv").read_text()
    files = sorted(Path("out/runs").iterdir())
    files[0].unlink()
    files[3].write_bytes(files[2].read_bytes())
    assert compare_controllers(plan_file(path, Path("out"))).ran == 2
    assert [line for line in kpis.splitlines() if ",ms," not in line] == [
        line for line in Path("out/kpis.csv").read_text().splitlines() if ",ms," not in line
    ]
    # another setting under the same label is another run, and its result takes the place of the old one
    study(folder, controllers=[marks(), marks(takes_s=0.002, label="late")], seeds=2)
    assert compare_controllers(plan_file(path, Path("out"))).ran == 2
    study(folder, controllers=[marks(), marks(takes_s=0.001, label="late")], seeds=2)
    assert compare_controllers(plan_file(path, Path("out"))).ran == 2
    assert compare_controllers(plan_file(path, Path("out"), force=True)).ran == 4


def test_what_has_failed_is_run_again_on_request(folder):  # noqa: F811
    path = study(folder, controllers=[marks(fails_at=0), "equal_share"], seeds=1)
    first = evhub("compare", path, "-o", "out", "--workers", 1)
    assert first.status == 1
    assert "own:Marks fails_at=0, seed 0: ControllerError" in first.err
    assert evhub("compare", path, "-o", "out", "--workers", 1).status == 1
    assert began(folder) == [0]
    (folder / "repaired").touch()
    outcome = evhub("compare", path, "-o", "out", "--workers", 1, "--retry")
    assert (outcome.status, outcome.err) == (0, "")
    assert began(folder) == [0, 0]
    assert set(pd.read_csv("out/kpis.csv")["controller"]) == {"own:Marks fails_at=0", "equal_share"}


def test_a_killed_comparison_goes_on(folder):  # noqa: F811
    (folder / "small.yaml").write_text(yaml.safe_dump(_drawn(), sort_keys=False))
    path = study(folder, controllers=[marks(takes_s=0.3), "equal_share"], seeds=6)
    call = [sys.executable, "-c", "from evhub.scenarios.cli.app import main; main()"]
    process = subprocess.Popen(
        [*call, *map(str, ["compare", path, "-o", "out", "--workers", 2])],
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = Path("out/journal.jsonl")
    wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) >= 4)
    assert f"must not be in use by process {process.pid}" in evhub("compare", path, "-o", "out").err
    process.kill()
    process.wait()
    wait_until(lambda: not members(process.pid))
    finished = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert 3 <= len(finished) < 12
    slow = [entry["seed"] for entry in finished if entry["controller"] != "equal_share"]
    compared = compare_controllers(plan_file(path, Path("out")))
    assert compared.ran == 12 - len(finished)
    assert all(began(folder).count(seed) == 1 for seed in slow)
    assert pd.read_csv("out/kpis.csv").groupby("controller")["seed"].nunique().tolist() == [6, 6]


def test_two_scenarios_stand_beside_each_other(folder):  # noqa: F811
    other = yaml.safe_load(yaml.safe_dump(SCENARIO))
    other["hubs"] = {"mall": other["hubs"]["depot"] | {"grid": {"contracted_kw": 8}}}
    (folder / "other.yaml").write_text(yaml.safe_dump(other, sort_keys=False))
    path = folder / "both.yaml"
    path.write_text("scenarios: {town: small.yaml, country: other.yaml}\ncontrollers: [edf, uncontrolled]\n")
    compared = compare_controllers(plan_file(path, Path("out")))
    labels = ["town, edf", "town, uncontrolled", "country, edf", "country, uncontrolled"]
    assert compared.comparison is not None
    assert compared.comparison.controllers == labels
    assert compared.runs.drop_duplicates("variant")["scenario"].tolist() == ["town", "town", "country", "country"]
    peak = compared.runs.query("kpi == 'peak_demand_kw'").set_index("variant")["value"]
    assert peak["country, edf"] < peak["town, uncontrolled"]
    assert compared.by_field.query("field == 'scenario' and kpi == 'peak_demand_kw'")["mean"].tolist() == pytest.approx(
        [peak[labels[:2]].mean(), peak[labels[2:]].mean()]
    )
    assert "town, edf" in Path("out/index.html").read_text()


def test_the_same_run_under_two_labels_is_made_once(folder):  # noqa: F811
    path = study(folder, controllers=[marks(label="one"), marks(label="other")])
    compared = compare_controllers(plan_file(path, Path("out")))
    assert compared.ran == 1
    assert compared.comparison is not None
    assert set(compared.comparison.differences["verdict"]) == {"same", "not tested"}


def test_a_scenario_changed_in_python_is_compared_as_it_is(folder):  # noqa: F811
    loaded = load_scenario("small.yaml")
    longer = loaded.with_changes({"duration": "20min"})
    compared = compare_controllers(plan(longer, ["edf", "llf"], "out"))
    assert compared.ran == 2
    with open_results("out/runs/edf-seed0.h5") as results:
        assert results.end_s == 1200.0


# --- sweeps of the same description ---------------------------------------------------------------------------------


def test_a_sweep_shows_labels_and_intervals_over_the_seeds(folder):  # noqa: F811
    (folder / "small.yaml").write_text(yaml.safe_dump(_drawn(), sort_keys=False))
    path = study(folder, **{**FACTORIAL, "fields": {"hubs.depot.bess": {"values": list(BATTERIES.values())}}})
    outcome = evhub("sweep", path, "-o", "out", "--figures", "png", "--tables", "md", "--workers", 1)
    assert (outcome.status, outcome.err) == (0, "")
    table = pd.read_parquet("out/table.parquet")
    labels = ["rated_kw=5 capacity_kwh=10", "rated_kw=20 capacity_kwh=40"]
    assert list(table["hubs.depot.bess"].unique()) == labels
    assert list(table["controller"].unique()) == ["all at once", "equal_share"]
    points = pd.read_csv("out/points.csv").query("kpi == 'delivered_kwh'")
    assert len(points) == 4
    assert points["mean"].tolist() == pytest.approx(
        table.groupby(["hubs.depot.bess", "controller"], sort=False)["delivered_kwh"].mean().tolist()
    )
    assert "By bess: mean over the seeds" in outcome.out
    assert "By controller: mean over the seeds" in outcome.out
    assert any(p.suffix == ".png" for p in Path("out/figures").iterdir())
    assert Path("out/tables/points.md").read_text()


def test_a_sweep_and_a_comparison_of_one_study_have_the_same_runs(folder):  # noqa: F811
    path = study(folder, **FACTORIAL)
    assert [run.key for run in plan_study(read_study(path), str(path), folder).runs] == [
        job.run.key for job in sorted(plan_file(path, Path("out")).jobs, key=lambda job: job.run.number)
    ]


def test_the_study_of_the_docs_is_what_they_say(folder):  # noqa: F811
    docs = Path(__file__).parents[2] / "docs" / "studies.md"
    path = folder / "study.yaml"
    path.write_text(docs.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    planned = plan_file(path, Path("out"))
    assert len(planned.jobs) == 2 * 3 * 6
    assert planned.baseline == planned.jobs[0].controller == "75 kWh, equal_share"
    assert planned.jobs[1].controller == "75 kWh, milp_dispatch horizon=2h"


@pytest.mark.parametrize("name", sorted(shipped_run_studies()))
def test_shipped_studies_are_listed_and_can_be_compared(name, tmp_path):
    planned = plan_file(located(name), tmp_path / "out")
    assert planned.random
    assert 2 <= len(planned.planned.variants) <= 18
    rows = json.loads(evhub("list", "--json").out)
    assert [row["what"] for row in rows if row["name"] == name] == [f"{planned.planned.study.title} (compare, sweep)"]


# --- means by what was varied -----------------------------------------------------------------------------------------


def tidy_of(values: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    rows = [
        (f"{field}, {name}", field, name, seed, "cost", value, "EUR")
        for (field, name), series in values.items()
        for seed, value in enumerate(series)
    ]
    return pd.DataFrame(rows, columns=pd.Index(["variant", "field", "controller", "seed", "kpi", "value", "unit"]))


def test_the_seeds_are_the_sample_and_not_what_else_was_varied():
    runs = tidy_of({("a", "x"): [1, 2, 3], ("a", "y"): [101, 102, 103], ("b", "x"): [5, 5, 8], ("b", "y"): [7, 7, 7]})
    table = means_by(runs, ["field"]).set_index("field")
    assert table["mean"].tolist() == pytest.approx([52.0, 6.5])
    assert table["std"].tolist() == pytest.approx([1.0, np.std([6, 6, 7.5], ddof=1)])
    assert table["n"].tolist() == [3, 3]
    assert table.loc["a", "high"] - 52.0 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)  # t(0.975, 2)


def test_a_seed_that_a_variant_has_not_is_left_out_of_the_mean():
    runs = tidy_of({("a", "x"): [1, 2, np.nan], ("a", "y"): [3, 4, 50]})
    (row,) = means_by(runs, ["field"]).to_dict("records")
    assert (row["n"], row["mean"]) == (2, 2.5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6))
@settings(max_examples=examples(30))
def test_means_by_the_controller_alone_are_those_of_a_comparison(values):
    runs = tidy_of({("a", "x"): values, ("a", "y"): values[::-1]})
    ours = means_by(runs, ["controller"])
    theirs = means(runs.assign(group="", quantity="cost", better=""))
    pd.testing.assert_frame_equal(
        ours[["controller", "n", "mean", "std", "low", "high"]],
        theirs[["controller", "n", "mean", "std", "low", "high"]],
    )
