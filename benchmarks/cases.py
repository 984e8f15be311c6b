"""The scenarios that are measured, all of them made from the shipped month at a workplace."""

from __future__ import annotations

from typing import Any

from evhub.scenarios.loader import LoadedScenario, parse, shipped
from evhub.scenarios.yaml_loader import read_yaml

NAME = "workplace-month"


def workplace(duration: str | None = None) -> LoadedScenario:
    """The shipped scenario, cut to a duration."""
    return _workplace({} if duration is None else {"duration": duration})


def workplace_year() -> LoadedScenario:
    """A year at 5 min; recorded sessions end after four months, so these are drawn from the profile fitted to them."""
    return _workplace(
        {"duration": "365d", "time_step": "5min"},
        {"sessions": {"type": "stochastic", "profile": "workplace"}},
    )


def _workplace(changes: dict[str, Any], of_hub: dict[str, Any] | None = None) -> LoadedScenario:
    path = shipped()[NAME]
    data = {**read_yaml(path), **changes}
    data["hubs"] = {name: {**hub, **(of_hub or {})} for name, hub in data["hubs"].items()}
    return parse(data, path)
