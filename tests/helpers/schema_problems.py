"""A validator for as much of JSON Schema as scenario files need; a keyword that it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
_SAID = {"title", "description", "default", "examples", "$defs", "discriminator", "format"}
_BOUNDS = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
_LENGTHS = {
    "minLength": (str, lambda length, bound: length >= bound),
    "maxLength": (str, lambda length, bound: length <= bound),
    "minItems": (list, lambda length, bound: length >= bound),
    "maxItems": (list, lambda length, bound: length <= bound),
    "minProperties": (dict, lambda length, bound: length >= bound),
}


def schema_problems(value: Any, schema: dict) -> list[str]:
    """Return what does not fit a schema, each with its path; empty if all does."""
    return list(_problems(value, schema, schema, "$"))


def _problems(value: Any, schema: Any, root: dict, path: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{path}: must not be there"
        return
    for key, rule in schema.items():
        if key == "$ref":
            yield from _problems(value, root["$defs"][rule.removeprefix("#/$defs/")], root, path)
        elif key in ("anyOf", "oneOf"):
            fits = sum(not any(_problems(value, each, root, path)) for each in rule)
            if fits == 0 or (key == "oneOf" and fits > 1):
                yield f"{path}: fits {fits} of {key}, got {value!r}"
        elif key in ("enum", "const"):
            if value not in (rule if key == "enum" else [rule]):
                yield f"{path}: must be {rule}, got {value!r}"
        elif key == "type":
            if not _is(value, rule):
                yield f"{path}: must be of type {rule}, got {value!r}"
        elif key == "pattern":
            if isinstance(value, str) and not re.search(rule, value):
                yield f"{path}: must match {rule}, got {value!r}"
        elif key in _BOUNDS:
            if _is(value, "number") and not _BOUNDS[key](value, rule):
                yield f"{path}: {key} {rule}, got {value!r}"
        elif key in _LENGTHS:
            of, fits_length = _LENGTHS[key]
            if isinstance(value, of) and not fits_length(len(value), rule):
                yield f"{path}: {key} {rule}, got {len(value)}"
        elif key == "required":
            yield from (f"{path}.{name}: is required" for name in rule if isinstance(value, dict) and name not in value)
        elif key in ("items", "prefixItems"):
            if isinstance(value, list):
                first = len(schema.get("prefixItems", ())) if key == "items" else 0
                rules = [rule] * (len(value) - first) if key == "items" else rule
                for n, (element, each) in enumerate(zip(value[first:], rules, strict=False), first):
                    yield from _problems(element, each, root, f"{path}[{n}]")
        elif key in ("properties", "patternProperties", "additionalProperties", "propertyNames"):
            if isinstance(value, dict):
                yield from _of_mapping(value, key, rule, schema, root, path)
        elif key not in _SAID:
            raise NotImplementedError(f"{path}: the schema uses {key}")


def _of_mapping(value: dict, key: str, rule: Any, schema: dict, root: dict, path: str) -> Iterator[str]:
    for name, element in value.items():
        if key == "propertyNames":
            yield from _problems(name, rule, root, f"{path}.{name}")
        elif key == "properties" and name in rule:
            yield from _problems(element, rule[name], root, f"{path}.{name}")
        elif key == "patternProperties":
            for pattern, each in rule.items():
                if re.search(pattern, name):
                    yield from _problems(element, each, root, f"{path}.{name}")
        elif key == "additionalProperties":
            known = name in schema.get("properties", {}) or any(
                re.search(pattern, name) for pattern in schema.get("patternProperties", {})
            )
            if not known:
                yield from _problems(element, rule, root, f"{path}.{name}")


def _is(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        return isinstance(value, int | float if kind == "number" else int) and not isinstance(value, bool)
    return isinstance(value, _TYPES[kind])
