"""What strategies are told of the future, in plain words, and what holds them to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evhub.analysis import open_results
from evhub.controllers import contract
from evhub.controllers.policy.policy_file import SHIPPED, Policy
from evhub.scenarios import run
from evhub.scenarios.engines.device_commands import ControllerError
from evhub.scenarios.errors import InputError
from evhub.scenarios.forecasts.forecast_providers import HubForecast
from evhub.scenarios.schema.controller_registry import controller_class, controllers
from evhub.scenarios.schema.foresight import foresight

from ...helpers import plants

LEFT_OUT = "every session, load, sun and other devices without error: `forecasts` left out"


class Careless(contract.Controller):
    """Says that it looks at no forecast, and does."""

    uses_forecast = False

    def decide(self, observation):
        """Look all the same."""
        for hub in observation.hubs.values():
            hub.forecast.sessions(observation.end_s)
        return contract.Decision({})


class Silent(contract.Controller):
    """Does not say whether it looks."""

    def decide(self, observation):
        """Never called here."""
        raise NotImplementedError


def lines(*, controller="milp_dispatch", devices=("pv", "load", "connectors", "sessions"), forecasts=None, **changes):
    """What is said of a hub with some devices."""
    everything = plants.hub_with_everything()
    hub = {"grid": everything["grid"], **{key: everything[key] for key in devices}}
    hub |= {} if forecasts is None else {"forecasts": forecasts}
    controller = controller if isinstance(controller, list) else {"type": controller}
    return foresight(plants.loaded(plants.smallest(**{"hubs": {"depot": hub}, "controller": controller, **changes})))


def said(forecasts, **more):
    (line,) = lines(forecasts=forecasts, **more)
    assert line.startswith("milp_dispatch was told ")
    return line.removeprefix("milp_dispatch was told ")


def test_forecasts_left_out_are_the_future_itself():
    assert said(None) == "every session, load and sun without error: `forecasts` left out"
    assert said(None, devices=tuple(plants.hub_with_everything())[1:]) == LEFT_OUT


@pytest.mark.parametrize(
    ("forecasts", "text"),
    [
        ({}, "every session, load and sun without error (left out)"),
        (
            {name: {"type": "perfect"} for name in ("pv", "load", "sessions")},
            "every session, load and sun without error",
        ),
        (
            {"pv": {"type": "noisy", "std": 0.2, "lead": "6h"}, "load": {"type": "persistence"}},
            "every session without error (left out); load as 24 h before; sun with an error of 20 % at 6 h ahead",
        ),
        (
            {"sessions": {"type": "plugged_in"}, "load": {"type": "persistence"}, "pv": {"type": "persistence"}},
            "sessions from when they plug in; load and sun as 24 h before",
        ),
        (
            {
                "sessions": {"type": "noisy", "arrival_std": "20min", "energy_std": 0.15},
                "pv": {"type": "persistence", "lag": "30min"},
                "load": {"type": "perfect"},
                "prices": {"type": "perfect"},
            },
            "sessions with errors of 20 min in arrival and 15 % in energy until they plug in; load and prices without "
            "error; sun as 30 min before",
        ),
    ],
)
def test_every_kind_of_forecast_has_its_words(forecasts, text):
    assert said(forecasts) == text


def test_files_are_named():
    section = {"pv": {"type": "csv", "file": "sun.csv", "column": "w"}}
    assert said(section, devices=("pv",)) == "sun as in sun.csv"


def test_only_what_the_hub_has_is_mentioned():
    assert said(None, devices=("load",)) == "load without error: `forecasts` left out"
    assert said(None, devices=("dg",)) == "nothing but announced prices"


def test_hubs_that_differ_have_a_line_each():
    hub = {"grid": {"contracted_kw": 50}, "load": {"demand": {"type": "constant", "value": 5}}}
    later = {**hub, "forecasts": {"load": {"type": "persistence"}}}
    assert lines(hubs={"a": hub, "b": later}) == [
        "milp_dispatch was told at a load without error: `forecasts` left out",
        "milp_dispatch was told at b load as 24 h before",
    ]
    assert len(lines(hubs={"a": hub, "b": hub})) == 1


def test_a_strategy_that_does_not_look_ahead_is_said_not_to():
    assert lines(controller="equal_share") == ["equal_share looks at no forecast"]


def test_a_class_that_does_not_say_so_is_taken_to_look():
    (line,) = lines(controller=f"{__name__}:Silent")
    assert line.endswith(":Silent was told every session, load and sun without error: `forecasts` left out")


def test_a_class_that_looks_although_it_says_that_it_does_not_ends_the_run(tmp_path):
    data = plants.smallest(controller={"type": f"{__name__}:Careless", "period": "1min"})
    with pytest.raises(ControllerError, match="Careless has uses_forecast = False and asked for a forecast"):
        run(plants.loaded(data), tmp_path / "r.h5", engine="inprocess")


def counted(method, calls):
    """The method, with a note of each call."""

    def call(*args, **names):
        calls.append(method.__name__)
        return method(*args, **names)

    return call


@pytest.mark.parametrize("name", controllers())
def test_what_shipped_controllers_say_is_true(name, tmp_path, monkeypatch):
    """Those that say that they look do: so nobody is said to have been told what it never asked for."""
    asked = []
    for method in ("pv_kw", "load_kw", "price", "sessions"):
        monkeypatch.setattr(HubForecast, method, counted(getattr(HubForecast, method), asked))
    hub = plants.hub_with_everything() | {"tariffs": {"buy": {"type": "constant", "value": 0.3}}}
    data = plants.smallest(hubs={"depot": hub}, controller={"type": name, "period": "10min"})
    run(plants.loaded(data), tmp_path / "r.h5", engine="inprocess")
    kind = controller_class(name, tmp_path, "", "")
    assert bool(asked) is kind.foresees(kind.Parameters())


TOLD = "was told every session, load and sun without error: `forecasts` left out"


@pytest.mark.parametrize(
    ("options", "actions", "line"),
    [
        ({"lookahead": 0}, (), "looks at no forecast"),
        ({"lookahead": 2}, (), TOLD),
        # a limit is a part of what the forecast says a class will want
        ({"load": ("shiftable",)}, ("load/shiftable", "bess"), TOLD),
        ({"load": ("shiftable",)}, ("bess", "pv"), "looks at no forecast"),
    ],
)
def test_a_policy_foresees_what_its_file_says(options, actions, line, tmp_path):
    policy = Policy.load(SHIPPED)
    file = tmp_path / "mine.npz"
    changed = policy.options.model_copy(update=options)
    replace(policy, options=changed, actions=actions or policy.actions).save(file)
    assert lines(controller=[{"type": "policy", "file": str(file)}]) == [f"policy {line}"]


def policy_that_limits_loads(path) -> str:
    policy = Policy.load(SHIPPED)
    options = policy.options.model_copy(update={"load": ("controllable", "general")})
    return str(replace(policy, options=options, actions=("load/controllable", "load/general")).save(path))


def test_a_policy_that_limits_loads_is_given_the_forecast_it_asks_for(tmp_path):
    own = {"type": "policy", "file": policy_that_limits_loads(tmp_path / "limits.npz"), "period": "10min"}
    data = plants.smallest(hubs={"depot": plants.hub_with_everything()}, controller=own)
    with open_results(run(plants.loaded(data), tmp_path / "r.h5", engine="inprocess")) as results:
        assert results.foresight == [f"policy was told {LEFT_OUT}"]


def test_an_event_cannot_set_a_policy_that_asks_where_no_forecast_is_given(tmp_path):
    file = policy_that_limits_loads(tmp_path / "limits.npz")
    change = {"hub": "depot", "controller": "policy", "set": {"file": file}}
    data = plants.smallest(controller={"type": "policy"}, events=[{"at": "5min", "parameters": change}])
    with pytest.raises(InputError, match="must ask for no forecast, as the policy of the controller's section"):
        run(plants.loaded(data), tmp_path / "r.h5", engine="inprocess")
    assert not (tmp_path / "r.h5").exists()
