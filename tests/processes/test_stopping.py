"""Commands with many runs that are stopped, by Ctrl-C or SIGTERM: what is finished stays, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from evhub.analysis import open_results

from ..helpers.processes import members, wait_until

CONTROLLERS = '''
"""A controller that is soon done, and one that is not."""

import time

from evhub.controllers.sharing.equal_share import EqualShare


class Quick(EqualShare):
    """Shares equally."""


class Slow(EqualShare):
    """The same, and takes its time."""

    def decide(self, observation):
        time.sleep(1)
        return super().decide(observation)
'''


def scenario(folder: Path, name: str, controller: str) -> None:
    data = {
        "name": name,
        "start": "2024-05-14T09:00:00+02:00",
        "duration": "10h",
        "time_step": "1min",
        "hubs": {
            "depot": {
                "grid": {"contracted_kw": 20},
                "connectors": {"count": 1, "rated_kw": 11},
                "sessions": {"type": "list", "items": [{"at": "1min", "until": "9h", "energy_kwh": 50}]},
            }
        },
        "controller": {"type": controller, "period": "5min"},
        "expect": [{"kpi": "sessions", "min": 1}],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))


@pytest.fixture
def folder(tmp_path) -> Path:
    scenario(tmp_path, "quick", "own:Quick")
    scenario(tmp_path, "slow", "own:Slow")
    (tmp_path / "own.py").write_text(CONTROLLERS)
    study = {"scenario": "quick.yaml", "controllers": ["own:Quick", "own:Slow"]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def is_complete(path: Path) -> bool:
    if not path.exists():
        return False
    with open_results(path) as results:
        return results.status == "complete"


def runs_of_journal(path: Path) -> int:
    return path.read_text().count('"status": "ok"') if path.exists() else 0


WAYS = {
    "compare": (
        "compare quick.yaml --controllers own:Quick,own:Slow -o out",
        lambda out: is_complete(out / "runs/own.Quick-seed0.h5") and (out / "runs/own.Slow-seed0.h5.part").exists(),
        "1 of 2 runs are finished; the same command goes on",
        lambda out: is_complete(out / "runs/own.Quick-seed0.h5"),
    ),
    "sweep": (
        "sweep study.yaml -o out --workers 2 --keep out",
        lambda out: runs_of_journal(out / "journal.jsonl") == 1 and list(out.glob("*.part")),
        "1 of 2 runs are finished; the same command goes on",
        lambda out: runs_of_journal(out / "journal.jsonl") == 1,
    ),
    "check": (
        "check quick.yaml slow.yaml -o out --workers 2",
        lambda out: "quick" in (out.parent / "stdout").read_text() and (out / "slow.h5.part").exists(),
        "1 of 2 scenarios were checked",
        lambda out: is_complete(out / "quick.h5"),
    ),
    "dispatchability": (
        "dispatchability ieee13-pv-limits -o out/limits.h5 --scenarios 100 --workers 2",
        None,  # until the workers are there
        "nothing was written",
        lambda out: True,
    ),
    "reproduce": (
        "reproduce lavrenova2023 -o out --workers 2",
        lambda out: list(out.glob("*.h5")),
        "out has the results of the runs that are finished",
        lambda out: all(map(is_complete, out.glob("*.h5"))),
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("kind", ["ctrl-c", "sigterm"])
def test_what_is_finished_stays_and_nothing_else_does(folder, name, kind):
    arguments, begun, message, kept = WAYS[name]
    out = folder / "out"
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    stdout = (folder / "stdout").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", f"{listens}; from evhub.scenarios.cli.app import main; main()", *arguments.split()],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        start_new_session=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # parent, two workers, and the process with which Python counts what they share
        wait_until(lambda: process.poll() is not None or (begun(out) if begun else len(members(process.pid)) >= 4))
        assert process.poll() is None, process.communicate()
        time.sleep(1.0)  # until the parent has heard of the run whose file is there
        if kind == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        else:
            process.terminate()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.strip() == f"stopped; {message}"
        wait_until(lambda: not members(process.pid), 20)
        assert list((folder / "tmp").iterdir()) == []
        assert list(out.rglob("*.part")) == []
        assert kept(out)
    finally:
        for left in members(process.pid):
            os.kill(int(left), signal.SIGKILL)
        process.communicate()
        stdout.close()


def test_a_stopped_sweep_can_be_written_to_again(folder):
    """No lock outlives the process, and the line of the first one stays."""
    (folder / "out").mkdir()
    (folder / "out" / "journal.jsonl").write_text('{"opened_by": 1}\n{"key": "x", "status": "o')
    study = {"scenario": "quick.yaml", "controllers": ["own:Quick"]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    call = "from evhub.scenarios.cli.app import main; main()"
    subprocess.run(
        [sys.executable, "-c", call, "sweep", "study.yaml", "-o", "out", "--json"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    lines = [json.loads(line) for line in (folder / "out" / "journal.jsonl").read_text().splitlines()]
    assert [line.get("status") for line in lines] == [None, None, "ok"]
