"""Access to any field of a scenario by its path, such as ``hubs.depot.sessions.items[0].energy_kwh``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...simulators.field_types import Section
from ..errors import nearest
from .controller_registry import controller_class
from .scenario_schema import ControllerSpec, ScenarioSection

_PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*")
Keys = tuple[str | int, ...]


def find(scenario: ScenarioSection, path: str, folder: Path) -> Keys:
    """Find the keys that lead to a field.

    Parameters
    ----------
    scenario : ScenarioSection
        It need not give the field, but everything above it.
    path : str
        Names joined by dots; items of a list by their index, which may be left out where there is only one.
    folder : Path
        Of the scenario, for a controller of its own.

    Returns
    -------
    tuple of str and int

    Raises
    ------
    ValueError
        When there is no such field; it tells what there is.
    """
    if not _PATH.fullmatch(path):
        raise ValueError("must be names joined by dots, such as hubs.depot.bess.capacity_kwh or events[0].at")
    keys: list[str | int] = []
    here: Any = scenario
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(here, list | tuple):
            index = int(part) if part.isdigit() else 0
            if not part.isdigit() and len(here) != 1:
                raise ValueError(f"needs an index: {_spelled(keys)} has {_items(here)}")
            if index >= len(here):
                raise ValueError(f"must exist: {_spelled(keys)} has {_items(here)}")
            keys.append(index)
            here = here[index]
            if part.isdigit():
                continue
        here = _below(here, part, keys, folder)
        keys.append(part)
    return tuple(keys)


def _below(here: Any, name: str, keys: Sequence[str | int], folder: Path) -> Any:
    parent = _spelled(keys) or "a scenario"
    if isinstance(here, ControllerSpec):
        parameters = controller_class(here.type, folder, "", _spelled(keys)).Parameters.model_fields
        there = {**dict.fromkeys(parameters), **here.parameters, **_fields(here)}
    elif isinstance(here, Section):
        there = _fields(here)
    elif isinstance(here, dict):
        there = here
    elif here is None:
        raise ValueError(f"must exist: the scenario has no {parent}")
    else:
        raise ValueError(f"must exist: {parent} has no parts")
    if name not in there:
        raise ValueError(f"must exist{nearest(name, there)} ({parent} has {', '.join(there)})")
    return there[name]


def _fields(section: Section) -> dict[str, Any]:
    return {name: getattr(section, name) for name in type(section).model_fields}


def _items(items: Sequence) -> str:
    if len(items) > 1:
        return f"{len(items)} items, [0] to [{len(items) - 1}]"
    return "one item, [0]" if items else "no items"


def _spelled(keys: Sequence[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def changed(data: Any, section: Any, keys: Keys, value: Any) -> Any:
    """Return the content of a scenario file with another value in one place; the rest stays as it is.

    Parameters
    ----------
    data : dict
        The content.
    section : ScenarioSection
        What it is when checked; it knows the type of a section that the file leaves out.
    keys : tuple of str and int
        From `find`.
    value : object
        As it would stand in the file.

    Returns
    -------
    dict
    """
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, int):
        return [*data[:key], changed(data[key], section[key], rest, value), *data[key + 1 :]]
    if data is None:
        data = {"type": section.type} if "type" in getattr(type(section), "model_fields", ()) else {}
    below = section.get(key) if isinstance(section, dict) else getattr(section, key, None)
    return {**data, key: changed(data.get(key), below, rest, value)}
