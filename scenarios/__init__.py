"""What is simulated and how it is run: schema, wiring, engine and the command line."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import InputError, Problem
    from .run_scenario import run
    from .schema.scenario_loader import Scenario, load_scenario

__all__ = ["InputError", "Problem", "Scenario", "load_scenario", "run"]

_PLACES = {
    "InputError": "errors",
    "Problem": "errors",
    "Scenario": "schema.scenario_loader",
    "load_scenario": "schema.scenario_loader",
    "run": "run_scenario",
}


def __getattr__(name: str):
    """Import a public name on first use: pandapower and mosaik take seconds, which ``evhub --help`` should not."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
