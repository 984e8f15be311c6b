"""A comparison of controllers as one self-contained page: table, differences, runs over one time axis."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...comparison.paired_statistics import (
    FIXED,
    HIGHER,
    LOWER,
    ONE_SEED,
    SAME,
    TESTS,
    UNDECIDED,
    Comparison,
    improves,
)
from ...comparison.rounded_text import mean_and_interval, p_value, signed
from ...comparison.run_figures import MACHINE
from .page_sections import charts_section, points_per_line
from .page_template import PageSection, render
from .readable_text import duration, shown_unit
from .runs_panels import colours, side_by_side

if TYPE_CHECKING:
    from ...results.result_reader import Results

_DECIDED = (LOWER, HIGHER, FIXED)
Row = dict[Hashable, Any]
"""A row of `Comparison.table`."""


def write_page(
    comparison: Comparison,
    runs: Mapping[str, Results],
    path: str | os.PathLike,
    *,
    notes: Iterable[str] = (),
    failures: Sequence[tuple[str, int, str]] = (),
) -> Path:
    """Write a comparison as one HTML page that needs no network.

    Parameters
    ----------
    comparison : Comparison
        Comparison by `paired_statistics.compare`.
    runs : mapping of str to Results
        A run of each controller, all of one seed, to show over time.
    path : str or Path
        File to write; missing folders are made.
    notes : iterable of str
        Warnings shown above the numbers.
    failures : sequence of (controller, seed, message)
        Runs that failed.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ResultError
        If the runs are not of one plant.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(comparison, runs, notes=notes, failures=failures), encoding="utf-8")
    return path


def page(
    comparison: Comparison,
    runs: Mapping[str, Results],
    *,
    notes: Iterable[str] = (),
    failures: Sequence[tuple[str, int, str]] = (),
) -> str:
    """Render the page of `write_page` as text."""
    rows: list[Row] = comparison.table().to_dict("records")
    run = next(iter(runs.values()))
    points = points_per_line(len(run.hubs) * len(runs))
    sections = [PageSection("Failed runs", "failures.html", failures)] if failures else []
    sections += [_figures_section(comparison, rows), _differences_section(rows)]
    for place, hub in enumerate(run.hubs):
        figure = side_by_side(runs, hub, points)
        sections.append(charts_section(hub, {f"figure-{place}": figure}, legend=colours(runs)))
    sections.append(_how_section(comparison))

    seeds = comparison.seeds
    facts = [
        duration(run.end_s),
        f"step {duration(float(run.attributes.get('time_step_s', 0)))}",
        f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds, {seeds[0]} to {seeds[-1]}",
        f"differences to {comparison.baseline}",
    ]
    return render(
        "comparison.html",
        f"{run.name}: {', '.join(comparison.controllers)}",
        sections,
        name=run.name,
        description=str(run.attributes.get("title", "")),
        controllers=comparison.controllers,
        facts=facts,
        notes=notes,
    )


# --- the table --------------------------------------------------------------------------------------------------------


def _figures_section(comparison: Comparison, rows: list[Row]) -> PageSection:
    """Make the table of key figures; those that are equal for all controllers are folded."""
    alike, different = [], []
    for figures in _by_kpi(rows):
        verdicts = [row["verdict"] for row in figures if isinstance(row["verdict"], str)]
        (alike if verdicts and all(verdict == SAME for verdict in verdicts) else different).append(figures)
    controllers = comparison.controllers
    content = {
        "controllers": controllers,
        "different": _groups(controllers, different),
        "alike": _groups(controllers, alike),
    }
    return PageSection("Key figures", "comparison_figures.html", content)


def _by_kpi(rows: list[Row]) -> list[list[Row]]:
    """Group consecutive rows by key figure."""
    return [list(figures) for _, figures in groupby(rows, lambda row: row["kpi"])]


def _groups(controllers: list[str], figures: list[list[Row]]) -> list[dict[str, Any]]:
    """Return the rows of the table by group: one for each key figure, with a cell for each controller."""
    groups = []
    for group, members in groupby(figures, lambda rows: rows[0]["group"]):
        table = []
        for rows in members:
            cells = {row["controller"]: _cell(row) for row in rows}
            table.append(
                {
                    "quantity": rows[0]["quantity"],
                    "unit": shown_unit(rows[0]["unit"]),
                    "cells": [cells.get(name) for name in controllers],
                }
            )
        groups.append({"name": "controller, wall-clock" if group == MACHINE else group, "rows": table})
    return groups


def _cell(row: Row) -> dict[str, str]:
    """Format mean with interval, difference from the baseline, and rank; empty text where there is none."""
    differs = row["verdict"] in (*_DECIDED, UNDECIDED, ONE_SEED)
    return {
        "mean": mean_and_interval(row["mean"], row["high"] - row["mean"], row["unit"]),
        "difference": f"{signed(row['difference'], _half(row))}{_mark(row)}" if differs else "",
        "judgement": _judgement(row),
        "rank": f"rank {row['rank']:.0f}" if math.isfinite(row["rank"]) else "",
    }


def _half(row: Row) -> float:
    """Return half the width of the interval of a difference; NaN where there is none."""
    return row["difference_high"] - row["difference"]


def _mark(row: Row) -> str:
    return {LOWER: "*", HIGHER: "*", UNDECIDED: "?"}.get(row["verdict"], "")


def _judgement(row: Row) -> str:
    """Return the class of a difference, which sets its colour: good, bad, plain or open."""
    if row["verdict"] not in _DECIDED:
        return "open"
    return {True: "good", False: "bad", None: "plain"}[improves(row["difference"], row["better"])]


# --- differences ------------------------------------------------------------------------------------------------------


def _differences_section(rows: list[Row]) -> PageSection:
    """Make a card for each key figure that differs, those with a better direction first."""
    differ = {row["kpi"] for row in rows if row["verdict"] in (*_DECIDED, UNDECIDED, ONE_SEED)}
    shown = [row for row in rows if row["kpi"] in differ and math.isfinite(row["difference"])]
    judged, others = [row for row in shown if row["better"]], [row for row in shown if not row["better"]]
    return PageSection("Differences", "differences.html", {"judged": _cards(judged), "others": _cards(others)})


def _cards(rows: list[Row]) -> list[dict[str, Any]]:
    cards = []
    for figures in _by_kpi(rows):
        unit, better = shown_unit(figures[0]["unit"]), figures[0]["better"]
        reach = max(abs(x) for row in figures for x in _ends(row))
        cards.append(
            {
                "quantity": figures[0]["quantity"],
                "label": ", ".join(part for part in (unit, better and f"{better} is better") if part),
                "rows": [_bar(row, reach) for row in figures],
            }
        )
    return cards


def _ends(row: Row) -> tuple[float, float, float]:
    """Return low end, difference and high end; all three are the difference where there is no interval."""
    middle = row["difference"]
    low, high = row["difference_low"], row["difference_high"]
    return (low, middle, high) if math.isfinite(low) else (middle, middle, middle)


def _bar(row: Row, reach: float) -> dict[str, str]:
    """Return the positions of a difference and its interval on a line through zero."""
    low, middle, high = (f"{50 + 46 * x / reach:.2f}%" for x in _ends(row))
    bar = {"low": low, "middle": middle, "high": high}
    return bar | {"controller": row["controller"], "judgement": _judgement(row), "words": _words(row)}


def _words(row: Row) -> str:
    if row["verdict"] == SAME:
        return "the same in every run"
    low, middle, high = _ends(row)
    half = _half(row)
    text = signed(middle, half)
    if high > low:
        text += f" ({signed(low, half)} to {signed(high, half)})"
    if math.isfinite(row["p_raw"]):
        raw, corrected = (_equals(row[name]) for name in ("p_raw", "p_corrected"))
        chance = ", may be chance" if row["verdict"] == UNDECIDED else ""
        return f"{text}, p_raw\u00a0{raw}, p_corrected\u00a0{corrected}{chance}"
    return f"{text}, {'exact' if row['verdict'] == FIXED else 'one seed'}"


def _equals(p: float) -> str:
    text = p_value(p)
    return (text if text.startswith("<") else f"= {text}").replace(" ", "\u00a0")


# --- the rest ---------------------------------------------------------------------------------------------------------


def _how_section(comparison: Comparison) -> PageSection:
    content = {
        "baseline": comparison.baseline,
        "random": comparison.random,
        "seeds": comparison.seeds,
        "level": comparison.level,
        "test_name": TESTS[comparison.test],
    }
    return PageSection("How to read this", "how_to_read.html", content)
