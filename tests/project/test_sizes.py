"""The sizes of random tests follow the Hypothesis profile, and stand nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from ..helpers.sizes import PROFILES, examples

ROOT = Path(__file__).parents[2]
RANDOM = "tests/unit/controllers/test_basic_control.py"
"""Has one random test, of 100 examples in the profile `ci`."""


@pytest.fixture
def profile(request):
    before = settings.get_current_profile_name()
    yield lambda name: settings.load_profile(name)
    settings.load_profile(before)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("quick", {6: 6, 60: 10, 300: 10}), ("ci", {6: 6, 60: 60, 300: 300}), ("campaign", {6: 60, 60: 600, 300: 3000})],
)
def test_examples_follow_the_profile(name, sizes, profile):
    profile(name)
    assert {n: examples(n) for n in sizes} == sizes
    assert settings().max_examples == PROFILES[name] == examples(100)
    assert settings().deadline is None


@pytest.mark.parametrize(("options", "count"), [((), 100), (("--hypothesis-profile=quick",), 10)])
def test_a_random_test_tries_as_many_examples_as_the_profile_of_the_command_line_says(options, count):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics", RANDOM]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    passing = sum(int(found) for found in re.findall(r"(\d+) passing", done.stdout))
    assert passing == count, done.stdout


def test_no_test_has_a_size_or_a_deadline_of_its_own():
    wrong = []
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name not in ("conftest.py", Path(__file__).name):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(r"max_examples=(?!examples\()|settings\(.*deadline=|^\s+deadline=None,", line):
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert wrong == []
