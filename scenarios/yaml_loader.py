"""Reads YAML without its silent traps.

PyYAML follows YAML 1.1, in which ``12:30`` is the number 750, ``off`` is false, ``010`` is 8 and the second of two equal
keys wins without a word. A scenario with any of these is refused, with the line and what to write instead. Time stamps
stay text, because YAML would drop their UTC offset.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from .errors import NOTHING, InputError, Problem

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")
_OCTAL = re.compile(r"[-+]?0[0-9_]+$")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*$")
_BOOLEAN_WORDS = {"y", "n", "yes", "no", "on", "off"}
_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)$")


class _Loader(yaml.SafeLoader):
    """A safe loader that collects what it refuses, so that all of it is reported at once."""

    def __init__(self, stream):
        super().__init__(stream)
        self.problems: list[tuple[int, str, object, str]] = []

    def construct_mapping(self, node, deep=False):
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                self.problems.append((line, str(key_node.value), key, "a key must be text; write it in quotes"))
                key = str(key_node.value)
            if key in seen:
                self.problems.append((line, key, NOTHING, f"must stand once; line {seen[key]} has it already"))
            seen[key] = line
        return {str(k): v for k, v in super().construct_mapping(node, deep=deep).items()}

    def construct_scalar(self, node):
        text = super().construct_scalar(node)
        if node.style is None and isinstance(text, str):
            wrong = _trap(text)
            if wrong:
                self.problems.append((node.start_mark.line + 1, "value", text, wrong))
        return text


def _trap(text: str) -> str | None:
    """What YAML would make of an unquoted scalar, where that is not what it looks like."""
    if _SEXAGESIMAL.match(text):
        return f'must be a number or text: YAML reads {text} in base 60; write "{text}" in quotes'
    if _OCTAL.match(text):
        return f'must be a number without a leading zero: YAML reads {text} in base 8; write {text.lstrip("0") or "0"} or "{text}"'
    if _UNDERSCORED.match(text):
        return "must be a number without underscores"
    if text.lower() in _BOOLEAN_WORDS:
        return f'must be true or false, or "{text}" in quotes: YAML reads {text} as a truth value'
    return None


# Time stamps stay text; 1e-3 is a number (YAML 1.1 wants 1.0e-3); traps above are seen as plain text first.
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789."))
_Loader.add_constructor(
    "tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, deep=True)
)


def read_yaml(path: Path) -> dict:
    """Read a YAML file that holds one mapping.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        The mapping; keys are text.

    Raises
    ------
    InputError
        With every trap, duplicate key or syntax error in the file, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError([Problem(str(path), "file", NOTHING, "must be an existing file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Problem(str(path), "file", str(error), "must be a readable UTF-8 text file")]) from None
    loader = None
    try:
        loader = _Loader(text)
        data = loader.get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # explicit tags and very long numbers end in errors of Python, not of YAML
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "file"
        told = getattr(error, "problem", None) or str(error)
        raise InputError([Problem(str(path), where, told, "must be valid YAML")]) from None
    finally:
        if loader is not None:
            loader.dispose()
    if loader.problems:
        told = dict.fromkeys(loader.problems)  # an alias is read twice
        raise InputError(
            [Problem(str(path), f"line {line}: {key}", given, allowed) for line, key, given, allowed in told]
        )
    if not isinstance(data, dict):
        raise InputError([Problem(str(path), "file", type(data).__name__, "must be a mapping of keys to values")])
    return data
