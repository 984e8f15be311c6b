"""A pytest plugin: scenario files with an ``expect`` section are collected as tests, one for each expectation.

It is loaded by every pytest where evhub is installed; so evhub itself is imported only when such a file is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .check_scenarios import Checked

_SCENARIO = re.compile(r"^hubs\s*:", re.MULTILINE)
_EXPECTS = re.compile(r"^expect\s*:", re.MULTILINE)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collect a YAML file that is a scenario with expectations."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")
    if not (_SCENARIO.search(text) and _EXPECTS.search(text)):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    """A scenario file; its run is made once, for the first of its expectations."""

    def collect(self) -> Iterator[ExpectationItem]:
        """Yield one test for each expectation."""
        from ..errors import InputError
        from ..schema.scenario_loader import load_scenario

        try:
            expect = load_scenario(self.path).scenario.expect
        except InputError as error:
            raise self.CollectError(str(error)) from None
        for number, expectation in enumerate(expect):
            name = f"expect[{number}] {expectation.label}"
            yield ExpectationItem.from_parent(self, name=name, number=number)

    @cached_property
    def checked(self) -> Checked | str:
        """What became of the scenario, or why it could not be run."""
        from ..errors import InputError
        from .check_scenarios import check, prepare

        try:
            return check(prepare(self.path))
        except InputError as error:
            return str(error)


class ExpectationFailedError(Exception):
    """An expectation does not hold; the message says where and by how much."""


class ExpectationItem(pytest.Item):
    """One expectation of a scenario."""

    def __init__(self, *, number: int, **options: Any) -> None:
        super().__init__(**options)
        self.number = number

    def runtest(self) -> None:
        """Check the expectation on the result of the file's run."""
        checked = self._file.checked
        if isinstance(checked, str):
            raise ExpectationFailedError(checked)
        if checked.failure:
            raise ExpectationFailedError(f"the run failed: {checked.failure}")
        outcome = checked.outcomes[self.number]
        if not outcome.ok:
            raise ExpectationFailedError(f"{outcome.name}\n{outcome.text}\n{self.path}:{checked.lines[self.number]}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Describe a failed expectation without a traceback."""
        if isinstance(excinfo.value, ExpectationFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return file, line and name of the test."""
        return self.path, None, self.name

    @property
    def _file(self) -> ScenarioFile:
        if not isinstance(self.parent, ScenarioFile):
            raise TypeError(f"an expectation belongs to a scenario file, got {self.parent!r}")
        return self.parent
