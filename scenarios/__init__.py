"""What is simulated and how it is run: schema, wiring, engine and the command line."""

from .errors import InputError, Problem
from .loader import LoadedScenario, load_scenario
from .runner import run

__all__ = ["InputError", "LoadedScenario", "Problem", "load_scenario", "run"]
