"""Results of checked scenarios as text, table rows, JUnit XML and GitHub annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...analysis.checks.findings import spelled
from .check_scenarios import Checked

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def line(result: Checked) -> str:
    """Format the result of one scenario as a line with the markup of the terminal."""
    if result.failure:
        verdict = "[red]failed[/red]  the run"
    elif result.ok:
        verdict = f"[green]ok[/green]      {len(result.outcomes)} expectations"
    else:
        verdict = f"[red]failed[/red]  {len(result.failed)} of {len(result.outcomes)} expectations"
    return f"{verdict}  [bold]{result.name}[/bold]  [dim]({result.wall_s:.1f} s)[/dim]"


def rows(checked: Sequence[Checked]) -> list[dict[str, Any]]:
    """Return a table row for each expectation, or one row for a run that failed."""
    return [
        {
            "scenario": result.name,
            "expectation": outcome.name,
            "ok": outcome.ok,
            "t_s": outcome.t_s,
            "value": outcome.value,
            "text": outcome.text,
        }
        for result in checked
        for outcome in (result.outcomes or [failed for _, failed in result.failed])
    ]


def failures(checked: Sequence[Checked]) -> list[dict[str, Any]]:
    """Return the rows of failed expectations for people, with times as scenarios write them."""
    return [
        {
            "scenario": row["scenario"],
            "expectation": row["expectation"],
            "what failed": row["text"],
            "time": "" if row["t_s"] is None else spelled(row["t_s"]),
            "value": row["value"],
        }
        for row in rows(checked)
        if not row["ok"]
    ]


def junit(checked: Sequence[Checked]) -> str:
    """Format a JUnit report: a suite for each scenario, a test case for each expectation.

    Parameters
    ----------
    checked : sequence of Checked
        What became of the scenarios.

    Returns
    -------
    str
        XML text. A run that failed is one test case with an error.
    """
    suites = ElementTree.Element("testsuites", name="evhub check")
    for result in checked:
        cases = max(len(result.outcomes), 1)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_plain(result.name),
            tests=str(cases),
            failures=str(0 if result.failure else len(result.failed)),
            errors=str(int(bool(result.failure))),
            skipped="0",
            time=f"{result.wall_s:.3f}",
        )
        share_s = f"{result.wall_s / cases:.3f}"  # the run is shared by all of them
        if result.failure:
            case = ElementTree.SubElement(
                suite, "testcase", classname=_plain(result.name), name="the run", time=share_s
            )
            element = ElementTree.SubElement(case, "error", message=_plain(result.failure))
            element.text = _plain(result.failure)
        for line, outcome in zip(result.lines, result.outcomes, strict=False):
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_plain(result.name),
                name=_plain(outcome.name),
                file=_plain(str(result.path)),
                line=str(line),
                time=share_s,
            )
            if not outcome.ok:
                element = ElementTree.SubElement(case, "failure", message=_plain(outcome.text))
                element.text = _plain(f"{outcome.name}\n{outcome.text}\n{result.path}:{line}")
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def github_annotations(checked: Sequence[Checked]) -> list[str]:
    """Format failures as GitHub workflow commands, which mark the lines of the scenario file.

    Parameters
    ----------
    checked : sequence of Checked
        What became of the scenarios.

    Returns
    -------
    list of str
        One line for each failure.
    """
    lines = []
    for result in checked:
        for line, outcome in result.failed:
            properties = f"file={_property(_relative(result.path))},line={line},title={_property(result.name)}"
            lines.append(f"::error {properties}::{_message(f'{outcome.name}: {outcome.text}')}")
    return lines


def _relative(path: Path) -> str:
    """As GitHub names files: from the working directory, where the repository is checked out."""
    full, here = path.resolve(), Path.cwd().resolve()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else str(path)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """Without characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)
