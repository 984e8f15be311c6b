"""The scenarios that are measured, all of them made from the shipped month at a workplace."""

from __future__ import annotations

from typing import Any

from evhub.scenarios.schema.scenario_loader import Scenario, parse, shipped
from evhub.scenarios.schema.yaml_file import read_yaml

NAME = "workplace-month"


def workplace(duration: str | None = None) -> Scenario:
    """The shipped scenario, cut to a duration."""
    return _workplace({} if duration is None else {"duration": duration})


def workplace_year() -> Scenario:
    """A year at 5 min; recorded sessions end after four months, so these are drawn from the profile fitted to them."""
    return _workplace(
        {"duration": "365d", "time_step": "5min"},
        {"sessions": {"type": "stochastic", "profile": "workplace"}},
    )


def _workplace(changes: dict[str, Any], of_hub: dict[str, Any] | None = None) -> Scenario:
    path = shipped()[NAME]
    data = {**read_yaml(path), **changes}
    data["hubs"] = {name: {**hub, **(of_hub or {})} for name, hub in data["hubs"].items()}
    return parse(data, path)


def public_hub(connectors: int, current: str, controller: str, duration: str) -> Scenario:
    """The shipped public hub without its network; arrivals and ratings grow with the number of connectors."""
    path = shipped()["public-hub-day"]
    data = read_yaml(path)
    ((name, hub),) = data["hubs"].items()
    times = connectors / hub["connectors"]["count"]
    hub["connectors"] = {"count": connectors, "rated_kw": 22 if current == "ac" else 50, "current": current}
    hub["sessions"]["scale"] *= times
    hub["grid"] = {key: value * times for key, value in hub["grid"].items()}
    for part, keys in (("pv", ("rated_kw",)), ("bess", ("rated_kw", "capacity_kwh"))):
        hub[part] = {**hub[part], **{key: hub[part][key] * times for key in keys}}
    data.update(start="2024-05-14T08:00:00+02:00", duration=duration, controller={"type": controller}, hubs={name: hub})
    for key in ("network", "expect"):
        del data[key]
    return parse(data, path)


def leal2024_1() -> Scenario:
    """The first published test of the e-mobility hub: 480 s at 1 s."""
    path = shipped()["leal2024-1"]
    return parse(read_yaml(path), path)
