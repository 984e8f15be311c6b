"""Output of the command ``evhub``: tables for people or as JSON, and progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ...simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN

if TYPE_CHECKING:
    import pandas as pd

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_SILENCE_S = 20.0


def show(rows: list[dict[str, Any]], title: str, as_json: bool, labels: bool = False) -> None:
    """Print a table, for people or as JSON; `labels` keeps the underscores of the heads, which name something."""
    if as_json:
        print(json.dumps(rows, indent=1, default=str))
        return
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        justify = "right" if numeric else "left"
        # a name that is cut cannot be copied into the next command
        head = column if labels else column.replace("_", " ")
        table.add_column(head, justify=justify, overflow="fold", no_wrap=column in ("name", "case"))
    for row in rows:
        table.add_row(*[_cell(row.get(column)) for column in columns])
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:
            return "–"
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return str(value).replace("[", "\\[")


def show_summary(table: pd.DataFrame) -> None:
    """Print the summary for people: in groups, without figures of things that did not happen."""
    hubs = [column for column in table.columns if column not in ("group", "quantity", "unit")]
    if len(hubs) == 2:
        hubs = hubs[-1:]  # one hub is the total
    shown = Table(title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "quantity", "unit"):
        shown.add_column(column, style="dim" if column == "unit" else None)
    for hub in hubs:
        shown.add_column(hub if len(hubs) > 1 else "", justify="right")
    group = None
    for row in table.to_dict("records"):
        values = [row[hub] for hub in hubs]
        if all(value != value or abs(value) < 5e-4 for value in values):
            continue
        if group is not None and row["group"] != group:
            shown.add_section()
        name = row["group"] if row["group"] != group else ""
        group = row["group"]
        cells = ["" if value != value else f"{value:,.{3 if abs(value) < 10 else 1}f}" for value in values]
        shown.add_row(f"[bold]{name}[/bold]" if name else "", row["quantity"], row["unit"], *cells)
    out.print(shown)


def summary_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, NaN as None."""
    return [
        {key: (None if isinstance(value, float) and value != value else value) for key, value in row.items()}
        for row in table.reset_index().to_dict("records")
    ]


@contextmanager
def working(title: str) -> Iterator[Callable[[str], None]]:
    """Report the progress of long work: as it goes in a terminal, else by a line on stderr now and then."""
    if err.is_terminal:
        with err.status(escape(title)) as status:
            yield lambda text: status.update(escape(f"{title}: {text}"))
        return
    said_s = time.monotonic()

    def tell(text: str) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _SILENCE_S:
            said_s = time.monotonic()
            err.print(f"{title}: {text}", markup=False, soft_wrap=True)

    yield tell


class SimulationProgress:
    """A progress bar over simulated time, redrawn a few times a second; silent on request."""

    def __init__(self, duration_s: float, silent: bool):
        self._duration_s = duration_s
        self._silent = silent or not err.is_terminal
        self._next = 0.0

    def __enter__(self):
        if self._silent:
            return None
        self._bar = Progress(
            TextColumn("simulating"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[simulated]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("simulating", total=self._duration_s, simulated="")
        return self._advance

    def _advance(self, t_s: float) -> None:
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + 0.2
            days, rest_s = divmod(t_s, S_PER_DAY)
            clock = f"day {days + 1:.0f}, {rest_s // S_PER_H:02.0f}:{rest_s % S_PER_H // S_PER_MIN:02.0f}"
            self._bar.update(self._task, completed=t_s, simulated=clock)

    def __exit__(self, *_: object) -> None:
        if not self._silent:
            self._bar.stop()


class RunsProgress:
    """A progress bar over the runs of a study; silent on request."""

    def __init__(self, silent: bool):
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f} of {task.total} runs{task.fields[failed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=silent or not err.is_terminal,
        )
        self._task = self._bar.add_task("preparing", total=None, failed="")

    def __enter__(self):
        self._bar.start()
        return self._advance

    def _advance(self, done: int, total: int, failed: int) -> None:
        failures = f", {failed} failed" if failed else ""
        self._bar.update(self._task, description="running", completed=done, total=total, failed=failures)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
