"""The controllers of a scenario, and what events make of their parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import ValidationError

from ...controllers import contract
from ...simulators.adapter import Schedule
from ..errors import InputError, Problem
from ..schema import scenario_schema
from ..schema.controller_registry import controller_class
from ..schema.scenario_loader import problems_of
from .build_inputs import Inputs


@dataclass(frozen=True)
class BuiltController:
    """A controller and the hubs it runs.

    Parameters
    ----------
    name : str
        Its type, with its number where there are several.
    controller : Controller
    period_s : float
        Time between decisions [s].
    parameters : dict of str to Schedule
        By hub, its parameters over the run.
    on_change : bool
        Whether it decides in between, when a status changes.
    """

    name: str
    controller: contract.Controller
    period_s: float
    parameters: dict[str, Schedule]
    on_change: bool


def build_controllers(inputs: Inputs, sites: Mapping[str, contract.Site]) -> list[BuiltController]:
    """Build the controllers of a scenario; what is wrong with one is kept in `inputs`.

    Parameters
    ----------
    inputs : Inputs
        The scenario.
    sites : mapping of str to Site
        The hubs that could be built.

    Returns
    -------
    list of BuiltController
    """
    built: list[BuiltController] = []
    specs = inputs.scenario.controller
    for n, spec in enumerate(specs):
        key = f"controller[{n}]" if len(specs) > 1 else "controller"
        with inputs.at(key):
            hubs = spec.hubs or list(inputs.scenario.hubs)
            make = _maker(inputs, spec, key)
            if not all(hub in sites for hub in hubs):
                continue  # a problem of the hub, reported already
            name = f"{spec.type}-{n + 1}" if len(specs) > 1 else spec.type
            controller = make({hub: sites[hub] for hub in hubs})
            parameters = {hub: _parameters(inputs, hub, spec, controller) for hub in hubs}
            built.append(BuiltController(name, controller, spec.period, parameters, spec.on_change))
    return built


def _maker(inputs: Inputs, spec: scenario_schema.ControllerSpec, key: str):
    """Check the parameters of a controller, and return what makes it for some sites."""
    cls = controller_class(spec.type, inputs.loaded.folder, inputs.where, f"{key}.type")
    try:
        parameters = cls.Parameters.model_validate(spec.parameters, context=_files(inputs, key))
    except ValidationError as error:
        raise InputError(problems_of(error, spec.parameters, inputs.where, cls.Parameters, f"{key}.")) from None

    def make(sites: dict[str, contract.Site]) -> contract.Controller:
        rng = np.random.default_rng(inputs.rng_seed(",".join(sites), "controller"))
        try:
            return cls(sites, parameters, spec.period, rng)
        except contract.ParameterError as error:
            raise InputError(Problem(inputs.where, f"{key}.{error.key}", ..., error.allowed)) from None
        except Exception as error:  # a user's own class may fail in any way
            message = f"{spec.type} cannot be made: {type(error).__name__}: {error}"
            raise InputError(Problem(inputs.where, key, ..., message)) from error

    return make


def _files(inputs: Inputs, key: str) -> dict[str, Any]:
    """Return how parameters of a controller find files: `resolve`, as for all files of a scenario."""
    return {"resolve": lambda name, field: inputs.loaded.resolve(name, f"{key}.{field}")}


def _parameters(
    inputs: Inputs, hub: str, spec: scenario_schema.ControllerSpec, controller: contract.Controller
) -> Schedule:
    """Return the parameters of a hub's controller, and what events make of them, each with the others in force."""
    changes = [
        (n, event)
        for n, event in enumerate(inputs.scenario.events)
        if event.kind == "parameters" and event.what.hub == hub and event.what.controller == spec.type
    ]
    initial = controller.parameters
    edges = {t for _, event in changes for t in (event.at, event.what.until) if t is not None}
    intervals = []
    for edge, until in pairwise([*sorted(edges), math.inf]):
        values, key = spec.parameters, ""
        for n, event in sorted(changes, key=lambda change: change[1].at):
            if event.at <= edge < (math.inf if event.what.until is None else event.what.until):
                values, key = _merged(values, event.what.set), f"events[{n}].parameters.set."
        try:
            parameters = type(initial).model_validate(values, context=_files(inputs, "controller"))
            controller.check(hub, parameters)
        except ValidationError as error:
            raise InputError(problems_of(error, values, inputs.where, type(initial), key)) from None
        except contract.ParameterError as error:
            raise InputError(Problem(inputs.where, f"{key}{error.key}", ..., error.allowed)) from None
        except ValueError as error:
            raise InputError(Problem(inputs.where, key.removesuffix("."), ..., str(error))) from None
        intervals.append((edge, until, parameters))
    return Schedule(intervals, initial)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with changes in them, sections by their keys."""
    both = {
        key: _merged(values[key], change) if isinstance(change, dict) and isinstance(values.get(key), dict) else change
        for key, change in changes.items()
    }
    return {**values, **both}
