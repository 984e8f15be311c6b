"""The command ``evhub``: what each subcommand prints and writes, and how a run ends that is stopped or killed."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import h5py
import pytest
import yaml

from evhub.analysis import Results, open_results
from evhub.scenarios.cli import terminal
from evhub.scenarios.run_scenario import attributes
from evhub.scenarios.schema.scenario_loader import LIBRARY, load_scenario, parse, shipped
from evhub.scenarios.schema.yaml_file import read_yaml

from ..helpers.command import evhub, started
from ..helpers.schema_problems import schema_problems

EXAMPLE = LIBRARY.parent / "example_study"
SMALL = """
name: small
title: A [small] hub for 10 min
start: 2024-03-01T12:00:00-03:00
duration: 10min
time_step: 1min
hubs:
  depot:
    grid: {contracted_kw: 20}
    connectors: {count: 1, rated_kw: 11}
    sessions: {type: list, items: [{at: 1min, until: 9min, energy_kwh: 2}]}
controller: {type: equal_share, period: 2min}
"""


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A scenario file in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Path:
    """The result of a short run."""
    folder = tmp_path_factory.mktemp("result")
    (folder / "small.yaml").write_text(SMALL)
    assert evhub("run", folder / "small.yaml", "-o", folder / "small.h5", "--quiet").status == 0
    return folder / "small.h5"


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(evhub("schema").out)


def opened(path: Path) -> Results:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the run did not end well is what is looked at
        return open_results(path)


# --- list, schema, help -----------------------------------------------------------------------------------------------


def test_list_shows_what_there_is():
    outcome = evhub("list")
    assert outcome.status == 0
    assert outcome.err == ""
    for name in (*shipped(), "equal_share", "nissan_leaf_2013", "workplace", "sce_tou_ev_4_2019", "asco_165"):
        assert name in outcome.out


def test_list_as_json_is_one_array_of_rows():
    rows = json.loads(evhub("list", "--json").out)
    kinds = {
        "scenario",
        "study",
        "controller",
        "device",
        "published study",
        "pack",
        "arrivals",
        "tariff",
        "ats settings",
        "key figure",
    }
    assert {row["kind"] for row in rows} == kinds
    assert all(list(row) == ["kind", "name", "what"] and row["what"] for row in rows)
    assert {row["name"] for row in rows if row["kind"] == "scenario"} == set(shipped())


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_text_of_a_shipped_scenario_in_its_result_is_the_same_scenario(name):
    loaded = load_scenario(name)
    assert parse(yaml.safe_load(attributes(loaded)["scenario"]), loaded.path).scenario == loaded.scenario


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_scenario_can_be_sent_to_another_process(name):
    loaded = load_scenario(name)
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def scenario_files() -> list[Path]:
    return [*sorted(LIBRARY.glob("*.yaml")), *sorted(EXAMPLE.glob("*.yaml"))]


@pytest.mark.parametrize("path", scenario_files(), ids=lambda p: p.name)
def test_every_shipped_scenario_fits_the_schema(path, schema):
    assert schema_problems(read_yaml(path), schema) == []


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.yaml")), ids=lambda p: p.name)
def test_no_file_of_the_library_names_a_schema_that_is_not_there(path):
    for named in re.findall(r"\$schema=(\S+)", path.read_text()):
        assert (path.parent / named).is_file()


PLANT = {
    "name": "plant",
    "start": "2024-03-01T12:00:00Z",
    "duration": "1h",
    "hubs": {"depot": {"grid": {"contracted_kw": 20}}},
}
TURBINE = {"rated_kw": 20, "power": {"type": "constant", "value": 5}}


@pytest.mark.parametrize(
    ("hub", "rest", "wrong"),
    [
        ({"wind": TURBINE}, {}, ""),
        ({"wind": [{"name": "east", **TURBINE}, {"name": "west", **TURBINE}]}, {}, ""),
        ({"wind": []}, {}, "$.hubs.depot.wind"),
        ({"wind": {**TURBINE, "rated_kw": 0}}, {}, "$.hubs.depot.wind"),
        ({"tidal": TURBINE}, {}, "$.hubs.depot.tidal"),
        ({"secondary": {"rated_kw": 20}}, {}, ""),
        ({}, {"controller": {"type": "edf", "period": "5min"}}, ""),
        ({}, {"controller": {"type": "mine:Own", "gain": 3}}, ""),
        ({}, {"controller": {"type": "edff"}}, "$.controller"),
        (
            {"pv": {"rated_kw": 5, "irradiance": {"type": "clear_sky", "latitude": -91, "longitude": 0}}},
            {},
            "$.hubs.depot.pv",
        ),
        ({}, {"duration": 3600}, "$.duration"),
        ({}, {"name": "two words"}, "$.name"),
    ],
)
def test_the_schema_knows_devices_lists_of_them_and_controllers(hub, rest, wrong, schema):
    hubs = {"depot": {**PLANT["hubs"]["depot"], **hub}}
    found = schema_problems({**PLANT, "hubs": hubs, **rest}, schema)
    assert found == [] if not wrong else found[0].startswith(f"{wrong}: ")


def test_the_schema_is_written_into_a_file_and_replaces_none(tmp_path):
    path = tmp_path / "new" / "scenario.schema.json"
    assert evhub("schema", "-o", path).status == 0
    assert path.read_text() == evhub("schema").out
    path.write_text("{}")
    outcome = evhub("schema", "-o", path)
    assert (outcome.status, path.read_text()) == (2, "{}")
    assert "--force replaces it" in outcome.err
    assert evhub("schema", "-o", path, "--force").status == 0
    assert path.read_text() == evhub("schema").out


def test_the_schema_knows_units_texts_and_both_forms_of_a_controller(schema):
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["PvSection"]["properties"]["rated_kw"]["description"].endswith("[kW].")
    assert schema["$defs"]["PvSection"]["properties"]["rated_kw"]["exclusiveMinimum"] == 0
    pattern = schema["properties"]["duration"]["pattern"]
    assert re.search(pattern, "1h30min")
    assert not re.search(pattern, "3600")
    forms = schema["properties"]["controller"]["anyOf"]
    assert [form.get("type", "object") for form in forms] == ["object", "array"]


def test_without_a_command_the_commands_are_shown():
    outcome = evhub()
    assert outcome.status == 0
    assert {"list", "init", "run", "report", "schema"} <= set(re.findall(r"\w+", outcome.out))


def test_version_is_one_line():
    assert re.fullmatch(r"evhub \d+\.\d+\.\d+\S*\n", evhub("--version").out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--frob"], "No such option: --frob"),
        (["run"], "Missing argument"),
        (["init"], "Missing argument"),
        (["report"], "Missing argument"),
        (["list", "more"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(arguments, told):
    outcome = evhub(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert told in line
    assert "--help shows what there is" in line


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_writes_a_result_under_the_name_of_the_scenario_and_shows_a_summary(small):
    outcome = evhub("run", "small.yaml")
    assert outcome.status == 0
    assert "A [small] hub for 10 min" in outcome.out
    assert "evhub report small.h5 -o small.html" in outcome.out
    assert sorted(path.name for path in small.iterdir()) == ["small.h5", "small.yaml"]
    with open_results(small / "small.h5") as results:
        assert results.status == "complete"
        # plugged in from minute 1 to 9; the first set point arrives a step later
        assert results.sessions()["delivered_kwh"].tolist() == pytest.approx([7 / 60 * 11])


def test_a_shipped_scenario_is_run_by_name_and_makes_the_folder_of_its_result(tmp_path):
    path = tmp_path / "new" / "folder" / "out.h5"
    assert evhub("run", "island-evening", "-o", path, "--quiet", "--engine", "inprocess").status == 0
    with open_results(path) as results:
        assert (results.name, results.status) == ("island-evening", "complete")


def test_quiet_prints_nothing(small):
    outcome = evhub("run", "small.yaml", "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize("more", [[], ["--quiet"]])
def test_json_is_exactly_one_array_of_objects(small, more):
    outcome = evhub("run", "small.yaml", "--json", *more)
    assert outcome.err == ""
    rows = json.loads(outcome.out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert isinstance(rows, list)
    assert all({"group", "quantity", "unit"} <= row.keys() for row in rows)
    assert all(value is None or isinstance(value, str | int | float) for row in rows for value in row.values())


def test_json_stays_empty_when_the_input_is_wrong(small):
    outcome = evhub("run", "small.yaml", "--json", "--seed", "-1")
    assert (outcome.status, outcome.out) == (2, "")


def test_another_controller_and_seed_are_used_and_recorded(small):
    assert evhub("run", "small.yaml", "--controller", "uncontrolled", "--seed", "77", "--quiet").status == 0
    with h5py.File(small / "small.h5") as file:
        assert file.attrs["seed"] == 77
        assert file.attrs["controller"] == b"uncontrolled"


def test_a_result_is_replaced_only_when_told(small):
    (small / "small.h5").write_text("precious")
    outcome = evhub("run", "small.yaml", "--quiet")
    assert outcome.status == 2
    assert outcome.err == "output: must not exist yet; --force replaces it, got 'small.h5'\n"
    assert (small / "small.h5").read_text() == "precious"
    assert evhub("run", "small.yaml", "--quiet", "--force").status == 0
    with open_results(small / "small.h5") as results:
        assert results.status == "complete"


def test_debug_adds_the_traceback_and_keeps_the_status(small):
    outcome = evhub("--debug", "run", "small.yaml", "--seed", "-1")
    assert outcome.status == 2
    assert outcome.err.startswith("Traceback (most recent call last):")
    assert outcome.err.splitlines()[-1] == "--seed: must be 0 to 9223372036854775807, got -1"
    assert "Traceback" not in evhub("run", "small.yaml", "--seed", "-1").err


# --- report -----------------------------------------------------------------------------------------------------------


def test_report_makes_a_page_and_pictures(result, tmp_path):
    page, picture = tmp_path / "new" / "page.html", tmp_path / "picture.svg"
    outcome = evhub("report", result, "-o", page, "--picture", picture)
    assert outcome.status == 0, outcome.err
    assert "<html" in page.read_text()[:1000].lower()
    assert "<svg" in picture.read_text()[:2000]
    assert evhub("report", result, "-o", page).err.startswith("output: must not exist yet; --force replaces it")
    assert evhub("report", result, "-o", page, "--force").status == 0


@pytest.mark.parametrize(("ending", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_report_makes_a_picture_without_a_page(result, tmp_path, ending, begins):
    picture = tmp_path / "new" / f"picture.{ending}"
    outcome = evhub("report", result, "--picture", picture)
    assert outcome.status == 0, outcome.err
    assert picture.read_bytes().startswith(begins)
    assert [path.name for path in picture.parent.iterdir()] == [picture.name]


def test_a_report_that_cannot_be_made_leaves_nothing(result, tmp_path):
    before = result.read_bytes()
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    wrong = [
        (["nothing.h5", "-o", "page.html"], "nothing.h5: no such file"),
        ([result], "output: must be a page (-o PAGE.html), a picture (--picture FILE.pdf), or both"),
        (["text.h5", "-o", "page.html"], "text.h5: is not an HDF5 file"),
        (["other.h5", "-o", "page.html"], "other.h5: is HDF5, but not a result of evhub"),
        ([".", "-o", "page.html"], "no such file"),
        ([result, "-o", result, "--force"], "output: must be another file than the input"),
        ([result, "-o", "text.h5/page.html"], "output: must be in a folder that can be written"),
        ([result, "-o", "page.html", "--picture", "x.docx"], "--picture: must end with .png, .svg, .pdf, got "),
        ([result, "-o", "page.html", "--picture", "text.h5/x.png"], "output: must be in a folder"),
    ]
    for arguments, told in wrong:
        names = [name if isinstance(name, Path) or name.startswith("-") else tmp_path / name for name in arguments]
        outcome = evhub("report", *names)
        assert outcome.status == 2, (told, outcome)
        (line,) = outcome.err.splitlines()
        assert told in line
        assert sorted(path.name for path in tmp_path.iterdir()) == ["other.h5", "text.h5"]
    assert result.read_bytes() == before


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_copies_a_study_that_runs(tmp_path, monkeypatch):
    outcome = evhub("init", tmp_path / "study")
    assert outcome.status == 0
    assert "evhub run study.yaml" in outcome.out
    monkeypatch.chdir(tmp_path / "study")
    (named,) = re.findall(r"^# yaml-language-server: \$schema=(.+)\n", Path("study.yaml").read_text())
    assert {"study.yaml", "controllers.py", named} == {path.name for path in Path().iterdir()}
    assert Path(named).read_text() == evhub("schema").out
    outcome = evhub("run", "study.yaml", "--json", "--engine", "inprocess")
    assert outcome.status == 0, outcome.err
    with open_results("my-study.h5") as results:
        assert results.status == "complete"
        assert results.sessions()["delivered_kwh"].sum() > 50.0
    assert evhub("report", "my-study.h5", "-o", "my-study.html").status == 0


def test_init_takes_an_empty_folder_and_no_other(tmp_path):
    (tmp_path / "empty").mkdir()
    assert evhub("init", tmp_path / "empty").status == 0
    (tmp_path / "file").write_text("x")
    for place, told in [
        ("empty", "directory: must be new or empty"),
        ("file", "directory: must be new or empty"),
        ("file/study", "directory: must be a folder that can be made (Not a directory)"),
        ("a" * 300, "directory: must be a folder that can be made (File name too long)"),
    ]:
        outcome = evhub("init", tmp_path / place)
        assert outcome.status == 2
        assert outcome.err.startswith(told)


# --- runs that are stopped --------------------------------------------------------------------------------------------

SLOW = """
name: slow
start: 2024-03-01T12:00:00Z
duration: 365d
time_step: 1min
hubs: {depot: {grid: {contracted_kw: 20}, load: {demand: {type: profile, every: 10min, points: [[0s, 1], [5min, 2]]}}}}
controller: {type: slow:Slow, period: 1min}
"""
SLOW_CONTROLLER = """
import time
import numpy as np
from evhub.controllers import contract as base

class Slow(base.Controller):
    def decide(self, observation):
        time.sleep(0.001)
        return base.Decision({"depot": base.Setpoints(np.zeros(0))})
"""


@pytest.fixture
def slow_run(tmp_path):
    """A run in a process of its own that would take hours; its result file is there."""
    (tmp_path / "slow.yaml").write_text(SLOW)
    (tmp_path / "slow.py").write_text(SLOW_CONTROLLER)
    process = started("run", "slow.yaml", cwd=tmp_path)
    try:
        wait_until(lambda: (tmp_path / "slow.h5").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process, tmp_path / "slow.h5"
    finally:
        process.kill()
        process.communicate()


def wait_until(true, at_most_s: float = 60.0) -> None:
    end = time.monotonic() + at_most_s
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_ctrl_c_leaves_a_readable_result_with_status_failed(slow_run):
    process, path = slow_run
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "stopped; slow.h5 holds what was simulated so far, with the status failed"
    assert "Traceback" not in err
    with opened(path) as results:
        assert results.status == "failed"
        t_s, p_kw = results.arrays("depot/load/p_kw")
        assert len(t_s) > 2
        assert set(p_kw) == {1.0, 2.0}


def test_a_killed_run_stays_readable_up_to_its_last_flush(slow_run):
    process, path = slow_run

    def flushed() -> bool:
        try:
            with opened(path) as results:
                return results.status == "running" and len(results.arrays("depot/load/p_kw")[0]) > 2
        except ValueError:
            return False  # between two writes

    wait_until(flushed)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    with opened(path) as results:
        assert results.status == "killed"
        t_s, p_kw = results.arrays("depot/load/p_kw")
        assert set(p_kw) == {1.0, 2.0}
        assert (t_s % 300 == 0).all()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's pipe")
def test_a_closed_pipe_is_no_traceback(tmp_path):
    call = f"{sys.executable} -c 'from evhub.scenarios.cli.app import main; main()' schema | head -c 10"
    ended = subprocess.run(["bash", "-c", call], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.stdout.startswith("{")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("silence_s", "lines"), [(0.0, ["a study: part 1 of 2", "a study: part 2 of 2"]), (60.0, [])])
def test_long_work_says_now_and_then_where_it_is_when_nobody_watches(monkeypatch, capsys, silence_s, lines):
    monkeypatch.setattr(terminal, "_SILENCE_S", silence_s)
    with terminal.working("a study") as tell:
        tell("part 1 of 2")
        tell("part 2 of 2")
    assert capsys.readouterr().err.splitlines() == lines
