"""The JSON Schema of scenario files, for the devices and controllers that are installed here."""

from __future__ import annotations

import json
from typing import Any

from .controller_registry import controllers
from .scenario_schema import ScenarioSection

FILE = "scenario.schema.json"
"""How the file is called beside a scenario; a scenario names it in its first line."""


_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file.

    It is made when it is asked for, because its keys depend on the packages that register devices, and the names of
    controllers on those that register controllers.

    Returns
    -------
    dict
        As `json.dump` takes it.
    """
    schema = _with_bounds(ScenarioSection.model_json_schema())
    names = list(controllers())
    own = {"pattern": "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", "description": "module:Class of your own"}
    for section, key in (("ControllerSpec", "type"), ("ChangedParameters", "controller")):
        schema["$defs"][section]["properties"][key]["anyOf"] = [{"enum": names}, own]
    return schema


def json_schema_text() -> str:
    """Return the JSON Schema of a scenario file as text."""
    return json.dumps(json_schema(), indent=1) + "\n"


def _with_bounds(schema: Any) -> Any:
    """Return a schema with its bounds in the words of JSON Schema; pydantic leaves its own behind a validator."""
    if isinstance(schema, list):
        return [_with_bounds(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        _BOUNDS[key] if key in _BOUNDS and isinstance(part, int | float) else key: _with_bounds(part)
        for key, part in schema.items()
    }
