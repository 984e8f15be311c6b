"""The output of ``evhub compare``: a table for people, and the same as rows for programs."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from ...analysis.comparison.paired_statistics import FIXED, HIGHER, LOWER, SAME, TESTS, UNDECIDED, Comparison, improves
from ...analysis.report.html.comparison_page import with_interval

_MARKS = {LOWER: "*", HIGHER: "*", UNDECIDED: "?", FIXED: ""}
_STYLES = {True: "green", False: "red", None: "cyan"}


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each key figure and controller, unknown values as None."""
    return [
        {
            str(key): None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in comparison.table().to_dict("records")
    ]


def table(comparison: Comparison) -> Table:
    """Build a table of key figures by controller, without those that are the same for all."""
    controllers = comparison.controllers
    shown = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("quantity", overflow="fold")
    shown.add_column("unit", style="dim")
    for name in controllers:
        shown.add_column(escape(name), justify="right", overflow="fold")
    before = ""
    for _, group in groupby(comparison.table().to_dict("records"), lambda row: row["kpi"]):
        figures = list(group)
        verdicts = [row["verdict"] for row in figures if isinstance(row["verdict"], str)]
        if verdicts and all(verdict == SAME for verdict in verdicts):
            continue
        if before not in ("", figures[0]["group"]):
            shown.add_section()
        before = figures[0]["group"]
        cells = {row["controller"]: _cell(row) for row in figures}
        unit = "" if figures[0]["unit"] == "1" else figures[0]["unit"]
        shown.add_row(figures[0]["quantity"], escape(unit), *(cells.get(name, "") for name in controllers))
    return shown


def _cell(row: dict[Any, Any]) -> str:
    """Mean and half the width of its interval, marked where it differs from the baseline."""
    text = with_interval(row)
    mark = _MARKS.get(row["verdict"])
    if mark is None:
        return f"{text} "
    style = "dim" if row["verdict"] == UNDECIDED else _STYLES[improves(row["difference"], row["better"])]
    return f"[{style}]{text}[/{style}]{mark or ' '}"


def legend(comparison: Comparison) -> str:
    """Explain the marks of the table."""
    colours = f"green better, red worse than {comparison.baseline}, cyan neither"
    if comparison.random and len(comparison.seeds) > 1:
        return (
            f"mean ± {100 * comparison.level:g} % confidence interval over {len(comparison.seeds)} seeds; "
            f"* differs from {comparison.baseline} ({TESTS[comparison.test]}, Holm, p < {1 - comparison.level:.2g}), "
            f"? may be chance; {colours}"
        )
    return colours if not comparison.random else "single values"
