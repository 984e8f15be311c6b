"""Names and first words: one class of a name, the field's words, docstrings that say what a function does."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("simulators", "controllers", "analysis", "scenarios")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "example_study" not in path.parts]
GLOSSARY = (ROOT / "docs" / "nomenclature.md").read_text(encoding="utf-8")
AVOIDED = {"told": "message", "given": "what it is", "most": "max", "least": "min", "surely": "what is counted"}
"""Words that names do not use, and what stands for them."""


def verbs() -> set[str]:
    """The first words of docstrings that the glossary has."""
    section = re.search(r"^## Verbs\n(.*?)(?=^## |\Z)", GLOSSARY, flags=re.M | re.S)
    assert section, "docs/nomenclature.md has no section Verbs"
    rows = re.findall(r"^\| ([^|]+) \|", section[1], flags=re.M)
    return {word.strip("* ") for row in rows for word in row.split(",")}


def public_functions(tree: ast.AST):
    """Public functions and methods of a file that have a docstring; properties read as nouns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and ast.get_docstring(node):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if not decorators & {"property", "cached_property"} and not any(d.endswith(".setter") for d in decorators):
                yield node


def names(tree: ast.AST):
    """Every name that a file gives or uses, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def test_no_two_classes_have_one_name():
    found = defaultdict(list)
    for path in FILES:
        # a class inside another is known by its owner
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_use_the_words_of_the_field(path):
    wrong = [
        f"{line}: {name}"
        for line, name in names(ast.parse(path.read_text()))
        if set(name.lower().strip("_").split("_")) & AVOIDED.keys()
    ]
    assert wrong == [], AVOIDED


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_of_functions_begin_with_a_verb_of_the_glossary(path):
    wrong = [
        f"{node.lineno}: {node.name}: {ast.get_docstring(node).splitlines()[0]}"  # type: ignore[union-attr]
        for node in public_functions(ast.parse(path.read_text()))
        if (ast.get_docstring(node) or "").split()[0].rstrip(",:;").lower() not in verbs()
    ]
    assert wrong == []


def test_the_glossary_explains_each_term_once():
    terms = re.findall(r"^\| \*?`?([A-Za-z][^|`]*?)`?\*? \|", GLOSSARY, flags=re.M)
    assert sorted({term for term in terms if terms.count(term) > 1}) == []
