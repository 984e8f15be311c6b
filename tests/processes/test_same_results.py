"""What a command with many runs finds does not depend on who runs them: this process, two others, or a dask cluster."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from dask.distributed import LocalCluster

from evhub.scenarios.studies.dispatchability.dispatchability_study import STUDIES
from evhub.scenarios.studies.reproductions.leal2024 import leal2024_margin, leal2024_study

from ..helpers.command import evhub

OWN = '''
"""A controller that draws."""

from dataclasses import replace

from evhub.controllers.sharing.equal_share import EqualShare


class Draws(EqualShare):
    """Equal shares of a part of the connectors' power."""

    def decide(self, observation):
        decision = super().decide(observation)
        part = self.rng.uniform(0.5, 1.0)
        setpoints = {
            name: replace(one, connector_kw=part * one.connector_kw) for name, one in decision.setpoints.items()
        }
        return replace(decision, setpoints=setpoints)
'''


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Options for the three places."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as cluster:
        yield {"here": ("--workers", 1), "two": ("--workers", 2), "dask": ("--scheduler", cluster.scheduler_address)}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two scenarios and a controller in the working directory, which the workers of dask do not share."""
    for name, stay in (("one", "2h"), ("two", "1h")):
        data = {
            "name": name,
            "start": "2024-05-14T09:00:00+02:00",
            "duration": "3h",
            "time_step": "1min",
            "hubs": {
                "depot": {
                    "grid": {"contracted_kw": 20},
                    "connectors": {"count": 1, "rated_kw": 11},
                    "sessions": {"type": "list", "items": [{"at": "5min", "stay": stay, "energy_kwh": 30}]},
                    "tariffs": {"missed_per_kwh": 1.0},
                }
            },
            "controller": {"type": "own:Draws", "period": "10min"},
            "expect": [{"kpi": "delivered_kwh", "min": 12}, {"golden": f"{name}-golden.yaml"}],
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(data))
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def signals(path: Path) -> dict[str, bytes]:
    """The bytes of every dataset of a result but the times that decisions took."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: np.asarray(item[...]).tobytes()})
                if isinstance(item, h5py.Dataset) and item.dtype.kind != "O" and "diagnostics" not in name
                else None
            )
        )
    return found


def same_of_all(places, call):
    """What a call gives in each place; it has to be the same."""
    here, *others = (call(name, *where) for name, where in places.items())
    for other in others:
        assert other == here
    return here


def test_compare(folder, places):
    def call(name, *where):
        outcome = evhub(
            "compare", "one.yaml", "--controllers", "own:Draws,uncontrolled", "--seeds", 2, "-o", name, *where
        )
        assert (outcome.status, outcome.err) == (0, "")
        kpis = pd.read_csv(f"{name}/kpis.csv").query("group != 'controller'")
        runs = {path.name: signals(path) for path in Path(name, "runs").iterdir()}
        return kpis.to_csv(), Path(name, "bounds.csv").read_text(), runs

    _, _, runs = same_of_all(places, call)
    assert len(runs) == 4
    assert len(runs["own.Draws-seed0.h5"]) > 10
    assert runs["own.Draws-seed0.h5"] != runs["own.Draws-seed1.h5"]


def test_check(folder, places):
    assert evhub("check", "one.yaml", "two.yaml", "--update").status == 1
    wrong = ("check", "one.yaml", "two.yaml")

    def call(name, *where):
        outcome = evhub(*wrong, "-o", name, "--json", *where)
        assert (outcome.status, outcome.err) == (1, "")
        return json.loads(outcome.out), {path.name: signals(path) for path in Path(name).iterdir()}

    rows, runs = same_of_all(places, call)
    assert [(row["scenario"], row["ok"]) for row in rows] == [
        ("one", True), ("one", True), ("two", False), ("two", True)
    ]  # fmt: skip
    assert set(runs) == {"one.h5", "two.h5"}


def test_dispatchability(tmp_path, places):
    study = yaml.safe_load((STUDIES / "ieee13-pv-limits.yaml").read_text())
    case = study["uncertainty"]["case"]
    study["cases"] = {case: study["cases"][case]}
    path = STUDIES / "ieee13-pv-limits.yaml"
    text = yaml.safe_dump(study)

    def call(name, *where):
        small = tmp_path / "small.yaml"
        small.write_text(text.replace("file: ", f"file: {path.parent}/"))
        out = tmp_path / f"{name}.h5"
        outcome = evhub("dispatchability", small, "-o", out, "--scenarios", 3, "--json", *where)
        assert outcome.status == 0, outcome.err
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in json.loads(outcome.out)]
        with h5py.File(out) as file:
            names = []
            file.visit(names.append)
            drawn = {
                one: file[one][...].tobytes()
                for one in names
                if isinstance(file[one], h5py.Dataset) and one.endswith("_kw")
            }
        return rows, drawn

    _, drawn = same_of_all(places, call)
    assert len(drawn) > 3


def test_reproduce(tmp_path, places, monkeypatch):
    monkeypatch.setattr(leal2024_study, "CASES", (1, 4))
    monkeypatch.setattr(leal2024_margin, "TX_LIMITS", (0.78, 1.0))
    monkeypatch.setattr(leal2024_margin, "DELAYS_S", (0.0, 4.0))

    def call(name, *where):
        outcome = evhub("reproduce", "leal2024", "-o", tmp_path / name, *where)
        assert outcome.status == 0, outcome.err
        return [(tmp_path / name / file).read_text() for file in ("table.csv", "margin.csv")]

    _, margin = same_of_all(places, call)
    assert len(margin.splitlines()) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "island-evening", "--controllers", "edf,llf", "-o", "out"),
        ("sweep", "battery-and-pv", "-o", "out"),
        ("reproduce", "leal2024", "-o", "out"),
        ("dispatchability", "ieee13-pv-limits", "-o", "out.h5"),
        ("check", "island-evening"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_workers_and_a_scheduler_are_refused_together(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    outcome = evhub(*arguments, "--workers", 2, "--scheduler", "tcp://127.0.0.1:9")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "--workers: must not stand beside --scheduler\n"
    assert list(tmp_path.iterdir()) == []
