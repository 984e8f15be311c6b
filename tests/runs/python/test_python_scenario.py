"""Scenarios made in Python: everything the file can say, the same runs, the same errors."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import yaml

import evhub
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.scenario_loader import shipped

from ...helpers import plants


def kerb(**changes):
    """What the file of a small hub says."""
    return {
        "name": "kerb",
        "start": "2024-06-03T08:00+02:00",
        "duration": "8h",
        "hubs": {
            "kerb": {
                "grid": {"contracted_kw": 30},
                "load": {"demand": {"type": "constant", "value": 4}},
                "connectors": {"count": 4, "rated_kw": 11},
                "sessions": {"type": "stochastic", "profile": "public"},
            }
        },
        "controller": {"type": "equal_share", "period": "5min"},
        **changes,
    }


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_scenario_is_the_same_in_python(name):
    """What a file says, as a mapping, makes an equal scenario; so does its text."""
    read = evhub.load_scenario(name)
    made = evhub.Scenario(folder=read.folder, **read.data())
    assert made.scenario == read.scenario
    assert evhub.Scenario(folder=read.folder, **yaml.safe_load(read.text())).scenario == read.scenario


def test_a_scenario_in_python_runs_as_its_file(tmp_path):
    (tmp_path / "kerb.yaml").write_text(yaml.safe_dump(kerb()))
    from_file = evhub.run(tmp_path / "kerb.yaml", tmp_path / "file.h5")
    from_object = evhub.run(evhub.Scenario(**kerb()), tmp_path / "object.h5")
    in_memory = evhub.run(kerb(), series=True).save(tmp_path / "memory.h5")
    assert plants.datasets(from_file) == plants.datasets(from_object) == plants.datasets(in_memory)


def test_python_types_say_what_the_file_says():
    berlin = timezone(timedelta(hours=2))
    data = kerb(start=datetime(2024, 6, 3, 8, tzinfo=berlin), duration=timedelta(hours=8), seed=np.int64(3))
    data["hubs"]["kerb"]["grid"]["contracted_kw"] = np.float64(30)
    points = np.array([[0, 4.0], [1, 5.0]])
    data["hubs"]["kerb"]["load"]["demand"] = {
        "type": "profile",
        "points": [(timedelta(hours=hour), value) for hour, value in points.tolist()],
    }
    made = evhub.Scenario(**data)
    text = kerb(seed=3)
    text["hubs"]["kerb"]["load"]["demand"] = {"type": "profile", "points": [["0s", 4.0], ["1h", 5.0]]}
    assert made.scenario == evhub.Scenario(**text).scenario


def test_all_problems_come_at_once_with_their_keys():
    data = kerb(duration="8 parsecs", sed=3)
    data["hubs"]["kerb"]["grid"]["contracted_kw"] = -1
    with pytest.raises(InputError) as raised:
        evhub.Scenario(**data)
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert any(line.startswith("Scenario: hubs.kerb.grid.contracted_kw: must be > 0, got -1") for line in lines)
    assert any(line.startswith("Scenario: duration: must be a duration such as") for line in lines)
    assert any(line.startswith("Scenario: sed: is not a key that is known here; did you mean seed?") for line in lines)


def test_a_file_that_is_not_there_is_named(tmp_path):
    data = kerb()
    data["hubs"]["kerb"]["load"]["demand"] = {"type": "csv", "file": "load.csv", "column": "kw"}
    with pytest.raises(InputError, match=r"Scenario: hubs.kerb.load.demand.file: must be an existing file"):
        evhub.run(evhub.Scenario(folder=tmp_path, **data))


def test_fields_change_by_their_path():
    scenario = evhub.Scenario(**kerb())
    changed = scenario.with_changes(
        {"hubs.kerb.connectors.count": 6, "controller.period": timedelta(minutes=1)}, seed=9
    )
    assert changed.scenario.hubs["kerb"].connectors.count == 6  # pyright: ignore
    assert (changed.scenario.controller[0].period, changed.scenario.seed) == (60.0, 9)
    assert scenario.scenario == evhub.Scenario(**kerb()).scenario  # the first one stays as it is
    with pytest.raises(InputError) as raised:
        scenario.with_changes({"hubs.kerb.conectors.count": 6, "hubs.kerb.grid.contract": 1})
    assert "did you mean connectors?" in str(raised.value)
    assert len(raised.value.problems) == 2
    with pytest.raises(InputError, match=r"connectors.count: must be >= 1, got 0"):
        scenario.with_changes({"hubs.kerb.connectors.count": 0})
    with pytest.raises(AttributeError, match=r"with_changes returns another one"):
        scenario.scenario = None  # type: ignore[misc]


def test_a_scenario_can_be_sent_and_compared():
    scenario = evhub.Scenario(**kerb())
    assert pickle.loads(pickle.dumps(scenario)) == scenario
    assert repr(scenario) == "<Scenario kerb: kerb; equal_share, 28800 s, seed 0>"
    assert scenario != evhub.Scenario(**kerb(seed=1))


class Half(evhub.Controller):
    """Gives every EV half of its connector."""

    class Parameters(evhub.Parameters):
        """How much of it."""

        share: float = 0.5

    def decide(self, observation):
        """Share."""
        return evhub.Decision(
            {
                name: evhub.Setpoints(hub.parameters.share * self.sites[name].connector_kw)
                for name, hub in observation.hubs.items()
            }
        )


class Plain:
    """Decides without being a Controller."""

    def decide(self, observation):
        """Give every EV half of 11 kW."""
        return evhub.Decision({name: evhub.Setpoints(np.full(4, 5.5)) for name in observation.hubs})


def test_a_class_and_an_object_are_controllers(tmp_path):
    by_class = evhub.run(evhub.Scenario(**kerb()), series=True, controller=Half)
    by_object = evhub.run(evhub.Scenario(**kerb()), series=True, controller=Plain())
    in_scenario = evhub.run(kerb(controller={"type": Half, "share": 0.5, "period": "5min"}), series=True)
    for other in (by_object, in_scenario):
        for path in by_class.paths:
            assert by_class.arrays(path)[1].tobytes() == other.arrays(path)[1].tobytes()
    assert by_class.attributes["controller"].endswith("test_python_scenario:Half")
    more = evhub.run(kerb(controller={"type": Half, "share": 1.0, "period": "5min"}))
    assert more.summary().loc["delivered_kwh", "total"] >= by_class.summary().loc["delivered_kwh", "total"]
    with pytest.raises(InputError, match=r"share: is not a number|share: must be a valid number"):
        evhub.run(kerb(controller={"type": Half, "share": "much"}))


def test_what_cannot_decide_is_refused():
    with pytest.raises(InputError, match=r"controller: must be a subclass of evhub.Controller, got 'dict'"):
        evhub.run(kerb(), controller=dict)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"controller: must be the name of a controller, .* or an object with decide\(\)"
    ):
        evhub.run(kerb(), controller=object())  # type: ignore[arg-type]


# --- results without a file -------------------------------------------------------------------------------------------


def test_a_run_without_a_file_keeps_its_key_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figures = evhub.run(kerb())
    everything = evhub.run(kerb(), series=True)
    with evhub.open_results(evhub.run(kerb(), "out.h5")) as written:
        assert figures.summary().equals(written.summary())
        assert everything.summary().equals(written.summary())
        for path in written.paths:
            for one, other in zip(written.arrays(path), everything.arrays(path), strict=True):
                assert one.tobytes() == other.tobytes() and one.dtype == other.dtype
            assert written.spec(path) == everything.spec(path)
        assert written.sessions().equals(everything.sessions())
        assert written.events().equals(everything.events())
        assert written.devices("kerb") == everything.devices("kerb")
        assert {**written.attributes} == {**everything.attributes}
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]  # nothing else was written
    with pytest.raises(evhub.analysis.ResultError, match=r"only the key figures were kept; run\(\.\.\., series=True\)"):
        figures.arrays("kerb/grid/p_kw")
    with pytest.raises(evhub.analysis.ResultError, match=r"only the key figures"):
        figures.save("again.h5")


def test_results_show_themselves_in_a_notebook():
    everything = evhub.run(kerb(), series=True)
    html = everything._repr_html_()
    assert html is not None
    assert "data:image/png;base64," in html and "energy bought" in html
    figures = evhub.run(kerb())._repr_html_()
    assert figures is not None and "<img" not in figures and "energy bought" in figures
    assert 'src="http' not in html


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"force": True}, "there is no file to replace"),
        ({"output": "r.h5", "series": True}, "the file has every series"),
    ],
)
def test_options_without_effect_are_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        evhub.run("leal2024-1", **options)
    assert list(tmp_path.iterdir()) == []
