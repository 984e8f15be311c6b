"""``evhub sweep``: what is refused, resuming, workers that die, and the table; on real clusters of two processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dask.config
import pandas as pd
import pytest
import yaml
from dask.distributed import LocalCluster

from evhub.analysis import open_results
from evhub.scenarios.run_scenario import run
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.scenarios.studies.sweep import sweep_runs as sweeping
from evhub.scenarios.studies.variants.study_file import read_study, shipped_run_studies
from evhub.scenarios.studies.variants.variant_plan import PlannedRun, plan_study
from evhub.scenarios.studies.workers import dask_workers
from evhub.scenarios.studies.workers.worker_pool import ClusterLostError, worker_pool

from ..helpers.command import evhub
from ..helpers.processes import members, wait_until

SCENARIO: dict[str, Any] = {
    "name": "small",
    "start": "2024-03-01T12:00:00-03:00",
    "duration": "10min",
    "time_step": "1min",
    "hubs": {
        "depot": {
            "grid": {"contracted_kw": 20},
            "load": {"demand": {"type": "csv", "file": "load.csv", "column": "kw"}},
            "connectors": {"count": 2, "rated_kw": 11},
            "sessions": {
                "type": "list",
                "items": [
                    {"at": "1min", "until": "9min", "energy_kwh": 2},
                    {"at": "2min", "until": "9min", "energy_kwh": 1},
                ],
            },
        }
    },
    "controller": {"type": "equal_share", "period": "2min"},
}
CONTROLLERS = '''
"""Controllers that leave marks, fail, or are killed."""

import os
import signal
import time
from pathlib import Path

from evhub.controllers import contract as base

HERE = Path(__file__).parent


class Marks(base.Controller):
    class Parameters(base.Parameters):
        fails_at: int = -1
        dies_at: int = -1
        waits_at: int = -1
        takes_s: float = 0.0

    def decide(self, observation):
        if observation.t_s == 0.0:
            self.begin(int(self.rng.bit_generator.seed_seq.entropy))
        all_of_it = {name: base.Setpoints(connector_kw=site.connector_kw) for name, site in self.sites.items()}
        return base.Decision(all_of_it)

    def begin(self, seed):
        own = self.parameters
        with (HERE / "runs").open("a") as file:
            file.write(f"{seed}\\n")
        time.sleep(own.takes_s)
        broken = not (HERE / "repaired").exists()
        if seed == own.fails_at and broken:
            raise RuntimeError(f"no luck with\\nseed {seed}")
        if seed == own.dies_at and broken:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == own.waits_at and not (HERE / "killed").exists():
            (HERE / "pid.part").write_text(str(os.getpid()))
            (HERE / "pid.part").rename(HERE / "pid")
            time.sleep(30)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A study folder: a scenario, its data and a controller of its own."""
    (tmp_path / "load.csv").write_text("time,kw\n" + "".join(f"2024-03-01T{h:02}:00:00-03:00,5\n" for h in range(24)))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SCENARIO, sort_keys=False))
    (tmp_path / "own.py").write_text(CONTROLLERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(folder: Path, **content: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"scenario": "small.yaml", **content}, sort_keys=False))
    return path


def marks(**parameters: Any) -> dict[str, Any]:
    return {"type": "own:Marks", **parameters}


def began(folder: Path) -> list[int]:
    """Seeds of all runs that were begun, repeated ones several times."""
    return sorted(int(seed) for seed in (folder / "runs").read_text().split())


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A cluster of two processes that is there already."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
    ):
        yield cluster.scheduler_address


# --- before anything runs ---------------------------------------------------------------------------------------------

REFUSED = [
    ({"scenario": "smal.yaml"}, "scenario: must be a file or a shipped scenario.*got 'smal.yaml'"),
    ({"fields": {"hubs.depot.conectors.count": {"values": [1]}}}, "must exist; did you mean connectors?"),
    ({"fields": {"hubs.depto.pv": {"values": [1]}}}, r"must exist; did you mean depot\? \(hubs has depot\)"),
    ({"fields": {"hubs.depot.bess.soc": {"values": [1]}}}, "must exist: the scenario has no hubs.depot.bess"),
    ({"fields": {"hubs.depot.sessions.items[2].at": {"values": ["1min"]}}}, r"items has 2 items, \[0\] to \[1\]"),
    ({"fields": {"hubs.depot.sessions.items.at": {"values": ["1min"]}}}, "needs an index: hubs.depot.sessions.items"),
    ({"fields": {"hubs.depot.grid.contracted_kw.x": {"values": [1]}}}, "hubs.depot.grid.contracted_kw has no parts"),
    ({"fields": {"hubs[": {"values": [1]}}}, r"fields.hubs\[: must be names joined by dots"),
    ({"fields": {"controller.horizon": {"values": ["1h"]}}}, "controller.horizon: must exist .* has .*type, period"),
    ({"fields": {"seed": {"values": [1]}}}, "fields.seed: must be varied by seeds"),
    ({"fields": {"hubs.depot.connectors.count": {"values": [2, 0]}}}, "depot.connectors.count: must be >= 1, got 0"),
    ({"fields": {"controller.period": {"range": ["1s", "9s"]}}, "design": {"type": "random", "samples": 3}}, "multi"),
    ({"fields": {"hubs.depot.grid.installed_kw": {"values": [30, 10]}}}, r"run 2 \(.* = 10\): hubs.depot.grid: inst"),
    ({"fields": {"hubs.depot.load.demand.file": {"values": ["load.csv", "x"]}}}, "must be an existing file.*got 'x'"),
    ({"fields": {"hubs.depot.load.demand.column": {"values": ["kw", "kva"]}}}, "kva"),
    ({"fields": {"hubs.depot.grid": {"values": [{}]}, "hubs.depot.grid.contracted_kw": {"values": [5]}}}, "lie within"),
    ({"fields": {"duration": {"values": ["5min"]}}, "duration": "6min"}, "must not stand beside fields.duration"),
    ({"fields": {"name": {"values": ["a"]}}}, "fields.name: must stay as it is"),
    ({"fields": {"start": {}}}, "needs either values or range, got none"),
    ({"fields": {"start": {"values": [1, 1]}}}, "values must differ"),
    ({"fields": {"duration": {"range": [5, "5min"]}}}, "two numbers or two durations"),
    ({"fields": {"duration": {"range": [2, 1]}}}, "range must rise"),
    ({"fields": {"duration": {"range": [0, 1], "log": True}}}, "must be above 0 where log is true"),
    ({"fields": {"duration": {"range": [0, 1.5], "integer": True}}}, "must be whole numbers where integer"),
    ({"fields": {"duration": {"range": [0, 1], "step": 2}}}, "no wider than the range"),
    ({"fields": {"duration": {"range": [1, 2]}}}, "a grid needs values"),
    ({"fields": {"a": {"values": [1]}}, "design": {"type": "sobol", "samples": 12}}, "a power of 2, such as 8 or 16"),
    ({"design": {"type": "random", "samples": 4}}, "a random design needs fields"),
    ({"design": {"samples": 4}}, "a grid has no samples"),
    ({"design": {"type": "random"}}, "random needs samples"),
    ({"design": {"type": "gird"}}, "must be one of 'grid'"),
    ({"controllers": ["equal_shar"]}, r"controllers\[0\].type: .* did you mean equal_share\?"),
    ({"controllers": ["equal_share", "equal_share"]}, r"controllers\[1\]: must stand once"),
    ({"controllers": [{"type": "equal_share", "gain": 2}]}, "gain: is not a key that is known here"),
    ({"seeds": [1, 1]}, "none twice"),
    ({"seeds": 0}, r"must be a list of seeds, or how many \(1 to 100000\)"),
    ({"seeds": [-1]}, "must be whole numbers from 0"),
    ({"seeds": 60000, "controllers": ["equal_share", "uncontrolled"]}, "must be at most 100000 runs, got 120000"),
    ({"duration": "90s"}, "duration: must be a multiple of time_step 60s"),
    ({"kpis": ["cost_nett"]}, r"kpis\[0\]: .*did you mean cost_net\?"),
    ({"kpis": ["depot.cost_net"]}, r"kpis\[0\]: .*did you mean cost_net\?, got 'depot.cost_net'"),
    ({"field": {}}, r"field: is not a key that is known here; did you mean fields\?"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "told"), REFUSED, ids=lambda item: str(item)[:60])
def test_wrong_studies_are_refused_before_anything_runs(folder, content, told):
    outcome = evhub("sweep", study(folder, **content), "-o", "out")
    assert (outcome.status, outcome.out) == (2, "")
    assert re.search(told, outcome.err), outcome.err
    assert "Traceback" not in outcome.err
    assert not Path("out").exists()


def test_what_is_wrong_with_the_scenario_is_told_once_and_not_for_every_controller(folder):
    outcome = evhub("sweep", study(folder, duration="2min", controllers=["equal_share", "uncontrolled", "edf"]))
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1


def test_all_wrong_values_are_told_at_once(folder):
    fields = {"hubs.depot.connectors.count": {"values": [0, 2, -1]}, "hubs.depot.connectors.phases": {"values": [3, 2]}}
    outcome = evhub("sweep", study(folder, fields=fields))
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 3


def test_without_the_extra_one_line_names_it(folder, monkeypatch):
    monkeypatch.setattr(sweeping, "EXTRA", ("no_such_package",))
    outcome = evhub("sweep", study(folder))
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        "sweep: needs no_such_package, which comes with the extra 'sweep': pip install evhub[sweep]\n"
    )


def test_a_folder_with_something_else_in_it_is_refused(folder):
    outcome = evhub("sweep", study(folder), "-o", folder)
    assert outcome.status == 2
    assert "must be new, empty, or the folder of a sweep" in outcome.err


def test_results_are_kept_in_a_folder_or_not_at_all(folder):
    outcome = evhub("sweep", study(folder), "--keep", "small.yaml")
    assert outcome.status == 2
    assert "--keep: must be a folder that can be written" in outcome.err


def test_a_scheduler_that_does_not_answer_is_told(folder, monkeypatch):
    monkeypatch.setattr(dask_workers, "_CONNECT_S", 0.5)
    outcome = evhub("sweep", study(folder), "--scheduler", "tcp://127.0.0.1:9")
    assert outcome.status == 2
    assert "--scheduler: must be the address of a dask scheduler" in outcome.err
    assert len(outcome.err.splitlines()) == 1


# --- which runs there are ---------------------------------------------------------------------------------------------


def plan(path: Path) -> list[PlannedRun]:
    return plan_study(read_study(path), str(path), path.parent).runs


def keys(path: Path) -> list[str]:
    return [run.key for run in plan(path)]


def test_points_times_controllers_times_seeds(folder):
    fields = {"hubs.depot.connectors.count": {"values": [2, 3]}}
    path = study(folder, fields=fields, controllers=["uncontrolled", marks(period="1min")], seeds=2, duration="9min")
    runs = plan(path)
    assert [(run.variant.fields["hubs.depot.connectors.count"], run.variant.controller, run.seed) for run in runs] == [
        (count, controller, seed)
        for count in (2, 3)
        for controller in ("uncontrolled", "own:Marks period=60s")
        for seed in (0, 1)
    ]
    scenario = runs[-1].loaded.scenario
    assert (scenario.hubs["depot"].connectors.count, scenario.seed, scenario.duration) == (3, 1, 540.0)
    assert [one.loaded.scenario.controller[0].period for one in runs[1:3]] == [120.0, 60.0]


def test_a_field_that_the_file_leaves_out_is_set_where_it_belongs(folder):
    fields = {
        "hubs.depot.grid.ats.transfer_s": {"values": [7]},
        "hubs.depot.tariffs.buy.value": {"values": [0.3]},
        "hubs.depot.sessions.items[1].energy_kwh": {"values": [0.5]},
        "controller.period": {"values": ["5min"]},
    }
    path = study(folder, fields=fields)
    (one,) = plan(path)
    hub = one.loaded.scenario.hubs["depot"]
    assert hub.grid.ats.transfer_s == 7
    assert hub.tariffs.buy.value == 0.3
    assert [item.energy_kwh for item in hub.sessions.items] == [2, 0.5]
    assert one.loaded.scenario.controller[0].period == 300


def test_the_key_of_a_run_changes_with_what_changes_its_result(folder):
    path = study(folder, seeds=2, controllers=["equal_share", marks()])
    before = keys(path)
    assert len(set(before)) == 4
    assert keys(path) == before
    study(folder, seeds=[1, 0], controllers=[marks(), "equal_share"], kpis=["cost_net"])
    assert keys(path) == before[::-1]

    (folder / "small.yaml").write_text(yaml.safe_dump({**SCENARIO, "title": "Other words", "expect": []}))
    assert keys(path) == before[::-1]
    (folder / "own.py").write_text(CONTROLLERS + "\n# changed\n")
    assert [one == other for one, other in zip(keys(path), before[::-1], strict=True)] == [False, False, True, True]
    (folder / "load.csv").write_text((folder / "load.csv").read_text().replace(",5", ",6"))
    assert not set(keys(path)) & set(before)


# --- runs on two processes --------------------------------------------------------------------------------------------


def table(out: str = "out") -> pd.DataFrame:
    return pd.read_parquet(Path(out) / "table.parquet")


def test_the_table_is_the_same_whatever_the_number_of_workers(folder, scheduler):
    fields = {"hubs.depot.grid.contracted_kw": {"range": [8, 16]}, "controller.period": {"values": ["1min", "2min"]}}
    path = study(
        folder, fields=fields, design={"type": "sobol", "samples": 4}, controllers=["equal_share", "uncontrolled"]
    )
    places = {"of-one": ("--workers", 1), "of-two": ("--workers", 2), "of-dask": ("--scheduler", scheduler)}
    for out, where in places.items():
        outcome = evhub("sweep", path, "-o", out, *where)
        assert (outcome.status, outcome.err) == (0, "")
    one, two, three = (table(out).drop(columns="wall_s") for out in ("of-one", "of-two", "of-dask"))
    pd.testing.assert_frame_equal(one, two)
    pd.testing.assert_frame_equal(one, three)
    assert len(one) == 8
    assert one["delivered_kwh"].nunique() > 2
    assert set(one["controller.period"]) == {60.0, 120.0}
    assert table("of-one").attrs["units"]["delivered_kwh"] == "kWh"
    csv = pd.read_csv(
        "of-one/table.csv", keep_default_na=False, na_values={name: [""] for name in one if name != "error"}
    )
    pd.testing.assert_frame_equal(csv.drop(columns="wall_s"), one, check_dtype=False)


def test_a_row_is_what_a_run_of_its_own_gives(folder, scheduler):
    fields = {"hubs.depot.grid.contracted_kw": {"values": [10]}}
    outcome = evhub(
        "sweep", study(folder, fields=fields), "-o", "out", "--scheduler", scheduler, "--keep", "kept", "--json"
    )
    assert outcome.status == 0
    (row,) = json.loads(outcome.out)
    changed = {**SCENARIO, "hubs": {"depot": {**SCENARIO["hubs"]["depot"], "grid": {"contracted_kw": 10}}}}
    (folder / "small.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    with open_results(run(load_scenario("small.yaml"), "alone.h5")) as alone:
        total = alone.summary()["total"].dropna()
    assert {name: row[name] for name in total.index} == total.to_dict()
    assert row["delivered_kwh"] > 0
    with open_results(Path("kept") / f"{row['key']}.h5") as kept:
        assert kept.status == "complete"


@pytest.mark.parametrize("on", ["processes", "dask"])
def test_a_worker_killed_in_mid_run_loses_nothing(folder, request, on):
    where = ("--workers", 2) if on == "processes" else ("--scheduler", request.getfixturevalue("scheduler"))
    path = study(folder, controllers=[marks(waits_at=2)], seeds=6)
    killer = threading.Thread(target=kill_when_waiting, args=(folder,))
    killer.start()
    outcome = evhub("sweep", path, "-o", "out", *where)
    killer.join()
    assert (outcome.status, outcome.err) == (0, "")
    assert (folder / "killed").exists()
    assert table()["status"].tolist() == ["ok"] * 6
    assert set(began(folder)) == set(range(6))
    assert began(folder).count(2) == 2


def kill_when_waiting(folder: Path) -> None:
    """Kill the worker that waits, by its own process id."""
    until = time.monotonic() + 30
    while not (folder / "pid").exists() and time.monotonic() < until:
        time.sleep(0.02)
    (folder / "killed").touch()
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def test_runs_that_fail_or_kill_their_workers_end_as_rows(folder, scheduler):
    path = study(folder, controllers=[marks(fails_at=1, dies_at=3)], seeds=5)
    outcome = evhub("sweep", path, "-o", "out", "--scheduler", scheduler)
    assert outcome.status == 1
    rows = table()
    assert rows["status"].tolist() == ["ok", "failed", "ok", "failed", "ok"]
    assert "RuntimeError: no luck with seed 1" in rows["error"][1]
    assert rows["error"][3].startswith("the worker died every time")
    assert rows["delivered_kwh"].notna().tolist() == [True, False, True, False, True]
    assert "5 runs, 5 of them now, 2 failed" in outcome.out.replace("\n", " ")

    # what has failed is not repeated, unless it is asked for
    before = began(folder)
    assert evhub("sweep", path, "-o", "out", "--scheduler", scheduler).status == 1
    assert began(folder) == before
    (folder / "repaired").touch()
    assert evhub("sweep", path, "-o", "out", "--scheduler", scheduler, "--retry").status == 0
    assert table()["status"].tolist() == ["ok"] * 5
    assert began(folder) == sorted([*before, 1, 3])

    # other seeds and one key figure: only what is new runs
    study(folder, controllers=[marks(fails_at=1, dies_at=3)], seeds=[0, 2, 7], kpis=["import_kwh"])
    assert evhub("sweep", path, "-o", "out", "--scheduler", scheduler).status == 0
    assert began(folder) == sorted([*before, 1, 3, 7])
    assert list(table()) == ["run", "controller", "seed", "status", "error", "import_kwh", "wall_s", "key"]


def test_a_stopped_sweep_keeps_what_is_finished(folder):
    path = study(folder, controllers=[marks()], seeds=5)

    def stop(done: int, *_: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="2 of 5 runs are finished; the same command goes on"):
        sweeping.sweep(path, Path("out"), progress=stop)
    assert not (Path("out") / "table.csv").exists()
    with (Path("out") / "journal.jsonl").open("a") as journal:
        journal.write('{"key": "torn')
    done = sweeping.sweep(path, Path("out"))
    assert (done.ran, len(done.table), done.failed) == (3, 5, 0)


def test_a_killed_sweep_leaves_no_processes_and_goes_on(folder, scheduler):
    path = study(folder, controllers=[marks(takes_s=0.3)], seeds=8)
    command = [
        sys.executable,
        "-c",
        "from evhub.scenarios.cli.app import main; main()",
        "sweep",
        path,
        "-o",
        "out",
    ]
    process = subprocess.Popen(
        [str(part) for part in [*command, "--workers", 2]],
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = Path("out/journal.jsonl")
    wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) >= 3)
    assert f"must not be in use by process {process.pid}" in evhub("sweep", path, "-o", "out").err
    process.kill()
    process.wait()
    finished = [json.loads(line)["seed"] for line in journal.read_text().splitlines()[1:]]
    assert 2 <= len(finished) < 8
    wait_until(lambda: not members(process.pid))

    first = began(folder)
    outcome = evhub("sweep", path, "-o", "out", "--scheduler", scheduler)
    assert (outcome.status, outcome.err) == (0, "")
    assert table()["status"].tolist() == ["ok"] * 8
    again = began(folder)
    assert len(again) == len(first) + 8 - len(finished)
    assert all(again.count(seed) == 1 for seed in finished)

    began_s = time.monotonic()
    assert evhub("sweep", path, "-o", "out").status == 0
    assert time.monotonic() - began_s < 5
    assert began(folder) == again


def test_a_scheduler_that_goes_away_is_told(folder):
    path = study(folder, controllers=[marks(takes_s=0.2)], seeds=6)
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50)

        def close(done: int, *_: int) -> None:
            if done == 1:
                cluster.close()

        with (
            pytest.raises(ClusterLostError, match=r"the scheduler is gone; [12] of 6 runs are finished"),
            worker_pool(1, cluster.scheduler_address) as pool,
        ):
            sweeping.sweep(path, Path("out"), pool, progress=close)


def test_the_shipped_studies_fit_their_scenarios():
    for path in shipped_run_studies().values():
        assert plan(path)
