"""The output of ``evhub compare``: a table for people, and the same as rows for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...analysis.comparison.paired_statistics import FIXED, HIGHER, LOWER, SAME, TESTS, UNDECIDED, Comparison, improves
from ...analysis.comparison.rounded_text import DASH, mean_and_interval

_MARKS = {LOWER: "*", HIGHER: "*", UNDECIDED: "?", FIXED: ""}
_STYLES = {True: "green", False: "red", None: "cyan"}
_LONGEST_NAME = 20
"""Characters of a name that still head a column; longer ones are numbered."""
_NARROW, _NARROW_QUANTITY = 15, 20
"""Characters of a column where not all controllers fit beside each other."""


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each key figure and controller, unknown values as None."""
    return [
        {
            str(key): None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in comparison.table().to_dict("records")
    ]


@dataclass(frozen=True)
class _Cell:
    """A mean with its interval, the mark of its difference from the baseline, and the style that judges it."""

    value: str
    mark: str = " "
    style: str = ""

    def text(self, width: int) -> Text:
        """Return the cell; an interval that does not fit beside its mean stands below it."""
        whole = f"{self.value}{self.mark}"
        return Text(whole if len(whole) <= width else whole.replace(" ±", " \n±"), style=self.style)


@dataclass(frozen=True)
class _Figure:
    """A row of the table: a key figure with its cells by controller."""

    group: str
    quantity: str
    unit: str
    cells: dict[str, _Cell]


@dataclass(frozen=True)
class ComparisonTable:
    """Key figures by controller, as wide as the terminal is: where they do not fit beside each other, in blocks.

    Every block begins with the baseline. No name and no number is broken.
    """

    figures: tuple[_Figure, ...]
    headers: dict[str, str]
    baseline: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what the numbers of long names stand for, and the blocks."""
        for name, header in self.headers.items():
            if name != header:
                yield Text(f"{header}  {name}")
        yield from self._blocks(console, options)

    def _blocks(self, console: Console, options: ConsoleOptions) -> list[Table]:
        """Return one table if it fits, else as few as can be, of columns that are narrow."""
        names, unlimited = list(self.headers), options.update(width=10_000)
        blocks = [self._block(names, 10_000)]
        for beside in range(len(names), 0, -1):
            if all(Measurement.get(console, unlimited, block).maximum <= options.max_width for block in blocks):
                break
            blocks = [self._block(part, _NARROW) for part in _parts(names, self.baseline, beside)]
        return blocks

    def _block(self, names: Sequence[str], width: int) -> Table:
        quantities = [figure.quantity for figure in self.figures]
        longest_word = max((len(word) for text in quantities for word in text.split()), default=0)
        narrow = max(longest_word, _NARROW_QUANTITY) if width == _NARROW else width
        table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("quantity", max_width=narrow)
        table.add_column("unit", style="dim", no_wrap=True)
        for name in names:
            table.add_column(Text(f"{self.headers[name]} "), justify="right", no_wrap=True)
        for _, group in groupby(self.figures, lambda figure: figure.group):
            for figure in group:
                cells = [figure.cells.get(name, _Cell(DASH)).text(width) for name in names]
                table.add_row(Text(figure.quantity), Text(figure.unit), *cells)
            table.add_section()
        return table


def _parts(names: Sequence[str], baseline: str, beside: int) -> list[list[str]]:
    """Return parts of so many names at most, each beginning with the baseline if there is room for two."""
    if beside == 1:
        return [[name] for name in names]
    others = [name for name in names if name != baseline]
    return [[baseline, *others[first : first + beside - 1]] for first in range(0, len(others), beside - 1)]


def table(comparison: Comparison) -> ComparisonTable:
    """Build a table of key figures by controller, without those that are the same for all."""
    figures = []
    for _, group in groupby(comparison.table().to_dict("records"), lambda row: row["kpi"]):
        same_kpi = list(group)
        verdicts = [row["verdict"] for row in same_kpi if isinstance(row["verdict"], str)]
        if verdicts and all(verdict == SAME for verdict in verdicts):
            continue
        first = same_kpi[0]
        unit = "" if first["unit"] == "1" else first["unit"]
        cells = {row["controller"]: _cell(row) for row in same_kpi}
        figures.append(_Figure(first["group"], first["quantity"], unit, cells))
    names = comparison.controllers
    numbered = any(len(name) > _LONGEST_NAME for name in names)
    headers = {name: f"#{number}" if numbered else name for number, name in enumerate(names, 1)}
    return ComparisonTable(tuple(figures), headers, comparison.baseline)


def _cell(row: dict[Any, Any]) -> _Cell:
    """Mean and half the width of its interval, marked where it differs from the baseline."""
    value = mean_and_interval(row["mean"], row["high"] - row["mean"], row["unit"])
    mark = _MARKS.get(row["verdict"])
    if mark is None:
        return _Cell(value)
    style = "dim" if row["verdict"] == UNDECIDED else _STYLES[improves(row["difference"], row["better"])]
    return _Cell(value, mark or " ", style)


def legend(comparison: Comparison) -> str:
    """Explain the marks of the table."""
    text = f"green better, red worse than {comparison.baseline}, cyan neither"
    if comparison.random and len(comparison.seeds) > 1:
        text = (
            f"mean ± {100 * comparison.level:g} % confidence interval over {len(comparison.seeds)} seeds; "
            f"* differs from {comparison.baseline} ({TESTS[comparison.test]}, Holm, p < {1 - comparison.level:.2g}), "
            f"? may be chance; {text}"
        )
    elif comparison.random:
        text = "single values"
    if bool(comparison.means["mean"].isna().any()):
        text += f"; {DASH} no value: the plant has no such device or data, or it never happened"
    return text
