"""What users install is what stands in the folders; examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("analysis", "controllers", "scenarios", "simulators")


def files_of_the_project() -> set[str]:
    """Everything that belongs into the packages: code, and the data beside it."""
    kept = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                kept.add(f"evhub/{path.relative_to(ROOT)}")
    return kept


def test_the_wheel_holds_every_file_of_the_folders(tmp_path):
    source = tmp_path / "source"
    # built from a copy, so that nothing is left in the working tree
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        source,
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert packed == files_of_the_project()


def modules() -> list[str]:
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "example_study" not in path.parts:
                name = ".".join(["evhub", *path.relative_to(ROOT).with_suffix("").parts])
                found.append(name.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_project_speaks_only_of_itself():
    forbidden = re.compile(r"(^|[\s\"'(=])/(home|root|tmp|work|Users)/")
    wrong = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in (".git", ".venv", "build", "demo") or path == Path(__file__) or not path.is_file():
            continue
        if path.suffix in (".py", ".md", ".yaml", ".cfg", ".toml", ".yml") and forbidden.search(path.read_text()):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []
