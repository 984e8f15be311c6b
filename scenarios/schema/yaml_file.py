"""Reads YAML files and refuses what YAML would silently misread.

PyYAML follows YAML 1.1, in which ``12:30`` is the number 750, ``off`` is false, ``010`` is 8 and the second of two
equal keys wins without a word. A scenario with any of these is refused, with the line and what to write instead. Time
stamps stay text, because YAML would drop their UTC offset.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ..errors import NOTHING, InputError, Problem

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")
_OCTAL = re.compile(r"[-+]?0[0-9_]+$")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*$")
_BOOLEAN_WORDS = {"y", "n", "yes", "no", "on", "off"}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+)$")


def _trap(text: str) -> str | None:
    """What YAML would make of an unquoted scalar, where that is not what it looks like."""
    if _SEXAGESIMAL.match(text):
        return f'must be a number or text: YAML reads {text} in base 60; write "{text}" in quotes'
    if _OCTAL.match(text):
        return f'must be a number without a leading zero: YAML reads {text} in base 8; write {int(text)} or "{text}"'
    if _UNDERSCORED.match(text):
        return "must be a number without underscores"
    if text in ("=", "<<"):
        return f"must be text in quotes: YAML has a meaning of its own for {text}"
    if text.lower() in _BOOLEAN_WORDS:
        return f'must be true or false, or "{text}" in quotes: YAML reads {text} as a truth value'
    return None


class _Loader(yaml.SafeLoader):
    """A YAML loader that keeps time stamps as text and reads 1e-3 and -.5 as numbers (PyYAML wants 1.0e-3 and -0.5)."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, expression) for tag, expression in resolvers if tag != f"{_TAG}timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))


class _Inspector:
    """Walks through a document and collects all problems."""

    def __init__(self, loader: _Loader, path: Path):
        self.loader = loader
        self.path = path
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def look_at(self, node: yaml.Node, key: str) -> None:
        """Check a node and all below it; one that several aliases share is checked once."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if node.tag != self.loader.resolve(type(node), node.value, (plain, not plain)):
            self._refuse(node, key, node.tag.replace(_TAG, "!!"), "must be written without a tag; text goes in quotes")
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, key)
        elif isinstance(node, yaml.SequenceNode):
            for n, item in enumerate(node.value):
                self.look_at(item, f"{key}[{n}]")
        elif wrong := _UNPRINTABLE.search(node.value):
            self._refuse(node, key, wrong.group(), "must be text without control characters")
        elif plain and (trap := _trap(node.value)):
            self._refuse(node, key, node.value, trap)

    def _mapping(self, node: yaml.MappingNode, key: str) -> None:
        lines: dict[str, int] = {}
        for name, value in node.value:
            if name.tag == f"{_TAG}merge":
                self.look_at(value, key)
                continue
            if name.tag != f"{_TAG}str":
                shown = name.value if isinstance(name, yaml.ScalarNode) else "a list or mapping"
                self._refuse(name, key, shown, "every key must be text; write it in quotes")
                continue
            inner = f"{key}.{name.value}" if key else name.value
            if name.value in lines:
                self._refuse(name, inner, NOTHING, f"must stand once; line {lines[name.value]} has it already")
            lines[name.value] = name.start_mark.line + 1
            self.look_at(value, inner)

    def _refuse(self, node: yaml.Node, key: str, value: object, allowed: str) -> None:
        line = f"line {node.start_mark.line + 1}"
        self.problems.append(Problem(str(self.path), f"{line}: {key}" if key else line, value, allowed))


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
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(Problem(str(path), "file", NOTHING, "must be an existing file")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), "file", NOTHING, f"must be a readable UTF-8 text file ({error})")) from None
    try:
        data = _document(text, path)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a number of thousands of digits; RecursionError: a thousand brackets
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "file"
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise InputError(Problem(str(path), where, NOTHING, f"must be valid YAML ({reason})")) from None
    if not isinstance(data, dict):
        raise InputError(Problem(str(path), "file", data, "must be a mapping of keys to values"))
    return data


def _document(text: str, path: Path) -> object:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        inspector = _Inspector(loader, path)
        inspector.look_at(node, "")
        if inspector.problems:
            raise InputError(inspector.problems)
        return loader.construct_document(node)
    finally:
        loader.dispose()
