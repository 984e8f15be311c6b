"""From the name or file of a scenario to a checked `Scenario`, with every problem reported at once."""

from __future__ import annotations

import math
import os
import types
import typing
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeGuard

import yaml
from pydantic import BaseModel, Tag, ValidationError

from ..errors import NOTHING, InputError, Problem, nearest
from .controller_registry import ControllerChoice, controller_class, name_of_choice
from .device_sections import unknown_device
from .field_path import changed, find
from .own_key_figures import own_key_figures
from .plain_values import plain_data
from .scenario_schema import LARGEST_SEED, ScenarioSection
from .yaml_file import read_yaml

LIBRARY = Path(str(files("evhub.scenarios") / "library"))


IN_PYTHON = "Scenario"
"""Stands for the file, in messages, of a scenario made in Python."""


class Scenario:
    """A checked scenario: made in Python from what its file would say, or read from a file.

    Parameters
    ----------
    folder : str or Path
        Where files are looked for that the scenario names; the working directory when left out.
    **sections
        What the file of a scenario says, by key, as Python's own types or as YAML reads them: numbers, texts such as
        ``"15min"``, lists, mappings; also `datetime.timedelta`, aware `datetime`, numpy scalars and arrays, and a class
        of your own as the ``type`` of a controller.

    Attributes
    ----------
    scenario : ScenarioSection
        Every field checked.
    path : Path
        Its file, or the one it would have.
    where : str
        Names it in messages.

    Raises
    ------
    InputError
        With every problem: its key, the value given and what is allowed.

    Examples
    --------
    >>> scenario = Scenario(
    ...     name="kerb",
    ...     start="2024-06-03T08:00+02:00",
    ...     duration="8h",
    ...     hubs={
    ...         "kerb": {
    ...             "grid": {"contracted_kw": 30},
    ...             "connectors": {"count": 4, "rated_kw": 11},
    ...             "sessions": {"type": "stochastic", "profile": "public"},
    ...         }
    ...     },
    ...     controller={"type": "equal_share", "period": "5min"},
    ... )
    >>> scenario.with_changes({"hubs.kerb.connectors.count": 6}, seed=2)
    <Scenario kerb: kerb; equal_share, 28800 s, seed 2>
    """

    __slots__ = ("path", "scenario", "where")

    def __init__(self, *, folder: str | Path | None = None, **sections: Any):
        checked = parse(plain_data(sections), Path(folder or Path.cwd()) / IN_PYTHON)
        self._set(checked.scenario, checked.path, IN_PYTHON)

    @classmethod
    def of(cls, scenario: ScenarioSection, path: Path, where: str | None = None) -> Scenario:
        """Return a scenario that is checked already."""
        loaded = cls.__new__(cls)
        loaded._set(scenario, path, where or (IN_PYTHON if path.name == IN_PYTHON else str(path)))
        return loaded

    def _set(self, scenario: ScenarioSection, path: Path, where: str) -> None:
        for name, value in (("scenario", scenario), ("path", path), ("where", where)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a scenario does not change; with_changes returns another one (tried to set {name})")

    def __reduce__(self) -> tuple:
        return Scenario.of, (self.scenario, self.path, self.where)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and (self.scenario, self.path) == (other.scenario, other.path)

    def __hash__(self) -> int:
        return hash((self.scenario.name, self.path))

    def __repr__(self) -> str:
        scenario = self.scenario
        controllers = ", ".join(spec.type for spec in scenario.controller)
        hubs = ", ".join(scenario.hubs)
        return f"<Scenario {scenario.name}: {hubs}; {controllers}, {scenario.duration:g} s, seed {scenario.seed}>"

    @property
    def folder(self) -> Path:
        """Folder of the scenario file."""
        return self.path.parent

    def data(self) -> dict[str, Any]:
        """Return what the file of the scenario says, every key with its value, as a mapping of plain data."""
        return _as_in_a_file(self.scenario.model_dump(mode="json"))

    def text(self) -> str:
        """Return the scenario as the text of a file, YAML."""
        return yaml.safe_dump(self.data(), sort_keys=False, allow_unicode=True)

    def with_changes(
        self,
        fields: Mapping[str, Any] | None = None,
        /,
        *,
        controller: ControllerChoice | None = None,
        seed: int | None = None,
    ) -> Scenario:
        """Return the scenario with other fields, another controller (its parameters at their defaults) or seed.

        A controller that runs under its own name in the scenario keeps its parameters there.

        Parameters
        ----------
        fields : mapping of str to object, optional
            New values by the path of the field, such as ``hubs.depot.bess.capacity_kwh``, as error messages write it.
        controller : str, type of Controller or object with ``decide``, optional
            Its name, a class of your own, or an object that decides.
        seed : int, optional
            Of everything random.

        Raises
        ------
        InputError
            When the changed scenario does not fit.
        """
        if fields:
            return self._with_fields(fields).with_changes(controller=controller, seed=seed)
        changes: dict[str, Any] = {}
        if seed is not None:
            if not 0 <= seed <= LARGEST_SEED:
                raise InputError(Problem("", "--seed", seed, f"must be 0 to {LARGEST_SEED}"))
            changes["seed"] = seed
        if controller is not None:
            controller = name_of_choice(controller)
            controller_class(controller, self.folder, "", "--controller")
            changes["controller"] = [
                spec
                if spec.type == controller
                else type(spec)(
                    type=controller,
                    period=f"{spec.period}s",  # pyright: ignore[reportArgumentType]
                    hubs=spec.hubs,
                    on_change=spec.on_change,
                )
                for spec in self.scenario.controller
            ]
        return self.of(self.scenario.model_copy(update=changes), self.path, self.where)

    def _with_fields(self, fields: Mapping[str, Any]) -> Scenario:
        data = self.scenario.model_dump(mode="json", exclude_unset=True)
        problems = []
        for path, value in fields.items():
            try:
                data = changed(data, self.scenario, find(self.scenario, path, self.folder), plain_data(value))
            except ValueError as error:
                problems.append(Problem(self.where, path, NOTHING, str(error)))
        if problems:
            raise InputError(problems)
        return parse(data, self.path)

    def resolve(self, name: str, key: str) -> Path:
        """Return the path of a file that the scenario names, inside its folder.

        Raises
        ------
        InputError
            When the path leaves the scenario's folder by ``..``, or nothing is there.
        """
        path = Path(name)
        full = path if path.is_absolute() else self.folder / path
        try:
            inside = path.is_absolute() or _plain_path(full).is_relative_to(_plain_path(self.folder))
            there = full.is_file()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(Problem(self.where, key, name, f"must be the path of a file ({reason})")) from None
        if not inside:
            allowed = f"must stay inside the scenario's folder {self.folder} (or be an absolute path)"
            raise InputError([Problem(self.where, key, name, allowed)])
        if not there:
            raise InputError([Problem(self.where, key, name, f"must be an existing file; looked for {full}")])
        return full


def _plain_path(path: Path) -> Path:
    """Without ``..``, and without following links: a folder of links is a folder all the same."""
    return Path(os.path.abspath(path))


def shipped() -> dict[str, Path]:
    """Return the files of the scenarios that come with evhub, by name."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.yaml"))}


Target = str | Path | Mapping[str, Any] | Scenario
"""What a run can be made of: see `load_scenario`."""


def load_scenario(target: Target) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    target : str, Path, mapping or Scenario
        The name of a shipped scenario, the path of a YAML file, what such a file would say (files that it names are
        relative to the working directory then), or a scenario that is checked already.

    Returns
    -------
    Scenario

    Raises
    ------
    InputError
        With every problem in the file: its key, the value given and what is allowed.
    """
    if isinstance(target, Scenario):
        return target
    if isinstance(target, Mapping):
        return Scenario(**target)
    return parse(read_yaml(path := _locate(target)), path)


def _locate(target: str | Path) -> Path:
    known = shipped()
    if str(target) in known:
        return known[str(target)]
    path = Path(target)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):
        pass  # no path at all: too long, or with a character that no path has
    hint = nearest(str(target), known, n=3) or f"; shipped are {', '.join(known)}"
    raise InputError([Problem(str(target), "scenario", NOTHING, f"must be a file or a shipped scenario{hint}")])


def parse(data: Mapping[str, Any], path: Path) -> Scenario:
    """Check the content of a scenario file; as `load_scenario`, for data that is already read."""
    where = IN_PYTHON if path.name == IN_PYTHON else str(path)
    try:
        scenario = ScenarioSection.model_validate(data)
    except ValidationError as error:
        raise InputError(list(problems_of(error, data, where, ScenarioSection))) from None
    problems = [Problem(where, key, value, f"must be {allowed}") for key, value, allowed in scenario.problems()]
    try:
        own_key_figures(scenario.key_figures, path.parent, where)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return Scenario.of(scenario, path, where)


def _as_in_a_file(value: Any) -> Any:
    """Drop what was left out, so that a resolved scenario stays readable."""
    if isinstance(value, dict):
        return {key: _as_in_a_file(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_as_in_a_file(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


# --- pydantic's errors in the words of the file ----------------------------------------------------------------------


def problems_of(
    error: ValidationError, data: Any, where: str, model: type[BaseModel], prefix: str = ""
) -> Iterable[Problem]:
    """Convert pydantic's errors to problems: the key as it stands in the file, the value, what is allowed."""
    for item in error.errors(include_url=False):
        keys = _keys_in_file(item["loc"], data)
        if item["type"] == "missing":
            keys.append(item["loc"][-1])
        if item["type"] == "union_tag_invalid":
            keys.append("type")
        key = (prefix + _dotted(keys)).removesuffix(".")
        yield Problem(where, key or "file", _value_in_file(item, model), _allowed(item, model))


def _keys_in_file(loc: tuple[int | str, ...], data: Any) -> list[int | str]:
    """The location without what pydantic adds: names of union members, ``[key]`` marks."""
    keys: list[int | str] = []
    for part in loc:
        if isinstance(data, str):
            break
        try:
            data = data[part]
        except (TypeError, KeyError, IndexError):
            continue
        keys.append(part)
    return keys


def _dotted(keys: list[int | str]) -> str:
    text = ""
    for key in keys:
        if isinstance(key, str):
            key = key if key and key.isprintable() else repr(key)
            text += f".{key}" if text else key
        else:
            text += f"[{key}]"
    return text


def _value_in_file(item: Any, model: type[BaseModel]) -> Any:
    if item["type"] in ("missing", "union_tag_not_found", "extra_forbidden"):
        return NOTHING
    value = item["input"]
    if item["type"] == "value_error" and (
        ", got " in item["msg"] or (isinstance(value, Mapping) and _is_section(_annotation_at(item["loc"], model)))
    ):
        return NOTHING  # the text says it already
    if item["type"] == "union_tag_invalid":
        return value["type"]
    return value


_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}


def _allowed(item: Any, model: type[BaseModel]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        return f"must be {sign} {context[name]:g}"
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return _unknown_key(item["loc"], model)
    if kind in ("literal_error", "union_tag_invalid"):
        return f"must be one of {context.get('expected') or context.get('expected_tags')}"
    if kind == "union_tag_not_found":
        return f"needs a type: one of {_tags(item['loc'], model)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "timezone_aware":
        return "must have a UTC offset, such as 2024-03-01T12:00:00-03:00"
    if kind.startswith("datetime"):
        return "must be a date and time with a UTC offset, such as 2024-03-01T12:00:00-03:00"
    if kind == "string_pattern_mismatch" and "key_figures" in item["loc"]:
        return "must be module:function, such as my_study.figures:mean_satisfaction"
    if kind == "string_pattern_mismatch":
        return "must be a name of small letters, digits, - and _, beginning with a letter"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "must be a mapping of keys to values"
    if kind in ("list_type", "tuple_type"):
        return "must be a list"
    if kind == "string_type":
        return "must be text (write it in quotes)"
    if kind in ("bool_type", "bool_parsing"):
        return "must be true or false"
    if kind == "too_short":
        return f"must have at least {context['min_length']} of them"
    if kind == "too_long":
        return f"must have at most {context['max_length']} of them"
    # what is left comes from the parameters of a user's own controller, which may use all of pydantic
    text = item["msg"].removeprefix("Assertion failed, ").replace("Input should", "must").replace(" should ", " must ")
    return text[0].lower() + text[1:]


def _annotation_at(loc: tuple[int | str, ...], model: Any) -> Any:
    """The type that stands at a location of the schema; union members are named by their tag in the location."""
    current = model
    for part in loc:
        current = _plain(current)
        origin = typing.get_origin(current)
        if origin in (typing.Union, types.UnionType):
            tagged = [member for member in typing.get_args(current) if part in _tag_of(member)]
            if tagged:
                current = tagged[0]
                continue
            current = next((m for m in map(_plain, typing.get_args(current)) if m is not type(None)), None)
            origin = typing.get_origin(current)
        if origin is dict:
            current = typing.get_args(current)[1]
        elif origin is list:
            current = typing.get_args(current)[0]
        elif _is_section(current) and part in current.model_fields:
            field = current.model_fields[str(part)]
            current = field.annotation
        else:
            return None
    return _plain(current)


def _plain(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and ``None``."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _plain(members[0])
    return annotation


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tag_of(member: Any) -> tuple:
    """By what pydantic names a member of a union in a location: its tag, or the values of its key ``type``."""
    own = tuple(mark.tag for mark in getattr(member, "__metadata__", ()) if isinstance(mark, Tag))
    member = _plain(member)
    if own:
        return own
    if _is_section(member) and "type" in member.model_fields:
        return typing.get_args(member.model_fields["type"].annotation)
    return ()


def _unknown_key(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    section = _annotation_at(loc[:-1], model)
    if len(loc) == 3 and loc[0] == "hubs" and (broken := unknown_device(str(loc[-1]))):
        return broken
    if not _is_section(section):
        return "is not a key that is known here"
    names = sorted(section.model_fields, key=lambda name: name == "name")  # what every device may have comes last
    hint = nearest(str(loc[-1]), names)
    return f"is not a key that is known here{hint} (known: {', '.join(names) or 'none'})"


def _tags(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    union = _annotation_at(loc, model)
    tags = [tag for member in map(_plain, typing.get_args(union)) for tag in _tag_of(member)]
    return ", ".join(tags)
