"""A comparison of controllers as one self-contained page: table, differences, runs over one time axis."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape
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
from ...comparison.run_figures import MACHINE
from .panels import duration
from .run_page import assembled, chart, number
from .runs_page import run_legend
from .runs_panels import side_by_side

if TYPE_CHECKING:
    from ...results.result_reader import Results

_LINE_POINTS = 15_000  # all charts of the page together
_MOST_POINTS = 1500
_DECIDED = (LOWER, HIGHER, FIXED)
Row = dict[Hashable, Any]
"""A row of `Comparison.table`."""

_STYLE = """
.diffs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: 14px; }
.diff { padding: 13px 16px 12px; } .diff h3 { margin: 0 0 8px; font-size: 14.5px; font-weight: 620; }
.diff h3 span { color: var(--soft); font-weight: 400; font-size: 12.5px; }
.diff .row { display: grid; grid-template-columns: 27% 1fr; gap: 0 12px; align-items: center; font-size: 13px; }
.diff .row > div { overflow-wrap: anywhere; min-width: 0; line-height: 1.25; }
.diff .row > p { grid-column: 2; margin: 0 0 7px; font-size: 12px; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.diff svg { display: block; width: 100%; height: 22px; color: var(--soft); }
.diff .zero { stroke: var(--line); stroke-width: 1.5; }
.diff .bar { stroke: currentColor; stroke-width: 3; stroke-linecap: round; }
.diff .dot { fill: currentColor; stroke: var(--card); stroke-width: 1.5; }
.diff .good, td .good { color: var(--good); } .diff .bad, td .bad { color: var(--bad); }
.diff .plain { color: var(--accent); } .diff .open { color: var(--soft); }
.wide td .more { display: block; font-size: 12px; color: var(--soft); }
.how { color: var(--soft); font-size: 14px; max-width: 78ch; } .how p { margin: 8px 0; }
"""


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
        Of `compare.compare`.
    runs : mapping of str to Results
        A run of each controller, all of one seed, to show over time.
    path : str or Path
        File to write; missing folders are made.
    notes : iterable of str
        What to know before trusting the numbers.
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
    """The page of `write_page` as text."""
    rows: list[Row] = comparison.table().to_dict("records")
    hubs = next(iter(runs.values())).hubs
    most = min(_MOST_POINTS, _LINE_POINTS // (len(hubs) * len(runs)))
    sections = [("Key figures", _key_figures(comparison, rows)), ("Differences", _differences(rows))]
    for place, hub in enumerate(hubs):
        drawn = chart(side_by_side(runs, hub, most), f"figure-{place}")
        sections.append((hub, run_legend(runs) + drawn))
    if failures:
        sections.insert(0, ("Failed runs", _failures(failures)))
    sections.append(("How to read this", _how(comparison)))

    title = f"{next(iter(runs.values())).name}: {', '.join(comparison.controllers)}"
    return assembled(title, _header(comparison, runs, notes), sections, "evhub compare", _STYLE)


def _header(comparison: Comparison, runs: Mapping[str, Results], notes: Iterable[str]) -> str:
    run = next(iter(runs.values()))
    seeds = comparison.seeds
    told = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds, {seeds[0]} to {seeds[-1]}"
    facts = [duration(run.end_s), f"step {duration(float(run.attributes.get('time_step_s', 0)))}", told]
    facts.append(f"differences to {comparison.baseline}")
    title = str(run.attributes.get("title", ""))
    return (
        f'<header><div><div class="eyebrow">evhub comparison</div><h1>{escape(run.name)}</h1>'
        + (f"<p>{escape(title)}</p>" if title else "")
        + f"<p>{escape(', '.join(comparison.controllers))}</p><p>{escape(' · '.join(facts))}</p>"
        + "".join(f'<div class="note">{escape(note)}</div>' for note in notes)
        + "</div></header>"
    )


def _failures(failures: Sequence[tuple[str, int, str]]) -> str:
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{seed}</td><td>{escape(message)}</td></tr>'
        for name, seed, message in failures
    )
    head = '<tr><th>controller</th><th class="n">seed</th><th>message</th></tr>'
    return f'<div class="box table"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


# --- the table --------------------------------------------------------------------------------------------------------


def _key_figures(comparison: Comparison, rows: list[Row]) -> str:
    """Figures that differ; those that are the same for all fold away."""
    alike, others = [], []
    for figures in _by_kpi(rows):
        verdicts = [row["verdict"] for row in figures if isinstance(row["verdict"], str)]
        (alike if verdicts and all(verdict == SAME for verdict in verdicts) else others).append(figures)
    parts = [_table(comparison, others)] if others else ["<p>All key figures are the same.</p>"]
    if alike:
        told = f"{len(alike)} key figure{'s are' if len(alike) > 1 else ' is'} the same with all controllers"
        parts.append(_folded(told, _table(comparison, alike)))
    return "".join(parts)


def _folded(summary: str, content: str) -> str:
    return f'<details class="box" style="margin-top:14px"><summary>{summary}</summary>{content}</details>'


def _by_kpi(rows: list[Row]) -> list[list[Row]]:
    """The rows of each key figure, which follow each other."""
    return [list(figures) for _, figures in groupby(rows, lambda row: row["kpi"])]


def _table(comparison: Comparison, figures: list[list[Row]]) -> str:
    controllers = comparison.controllers
    head = "".join(f'<th class="n">{escape(name)}</th>' for name in controllers)
    lines = []
    for group, members in groupby(figures, lambda rows: rows[0]["group"]):
        title = "controller, wall-clock" if group == MACHINE else group
        lines.append(f'<tr class="group"><td>{escape(title)}</td><td colspan="{len(controllers)}"></td></tr>')
        for rows in members:
            cells = {row["controller"]: _cell(row) for row in rows}
            values = "".join(f'<td class="n">{cells.get(name, "")}</td>' for name in controllers)
            name = f'{escape(rows[0]["quantity"])} <span class="u">{_shown_unit(rows[0]["unit"])}</span>'
            lines.append(f"<tr><td>{name}</td>{values}</tr>")
    return (
        f'<div class="box table wide"><table><thead><tr><th>quantity</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _shown_unit(unit: str) -> str:
    return "" if unit == "1" else escape(unit)


def _cell(row: Row) -> str:
    """Mean and half the width of its interval; below, the difference and the rank."""
    below = []
    if row["verdict"] in (*_DECIDED, UNDECIDED, ONE_SEED):
        below.append(f'<span class="{_class(row)}">{_signed(row["difference"])}{_mark(row)}</span>')
    if math.isfinite(row["rank"]):
        below.append(f"rank {row['rank']:.0f}")
    return with_interval(row) + (f'<span class="more">{" · ".join(below)}</span>' if below else "")


def with_interval(row: Row) -> str:
    """The mean of a row of `Comparison.table`, and half the width of its interval if it has one."""
    value, half = number(row["mean"], row["unit"]), row["high"] - row["mean"]
    if not half > 0:  # one seed, or the same with every seed
        return value
    return f"{value} ± {_small(half)}"


def _small(value: float) -> str:
    """A number of which the first digits count, however small it is."""
    text = number(value)
    return text if text != "0" else f"{value:.1g}".replace("-", "\u2212")


def _signed(value: float) -> str:
    return f"+{_small(value)}" if value > 0 else _small(value)


def _mark(row: Row) -> str:
    return {LOWER: "*", HIGHER: "*", UNDECIDED: "?"}.get(row["verdict"], "")


def _class(row: Row) -> str:
    if row["verdict"] not in _DECIDED:
        return "open"
    return {True: "good", False: "bad", None: "plain"}[improves(row["difference"], row["better"])]


# --- differences ------------------------------------------------------------------------------------------------------


def _differences(rows: list[Row]) -> str:
    """A card for each key figure that differs: first those of which less or more is better."""
    differ = {row["kpi"] for row in rows if row["verdict"] in (*_DECIDED, UNDECIDED, ONE_SEED)}
    shown = [row for row in rows if row["kpi"] in differ and math.isfinite(row["difference"])]
    judged, others = [row for row in shown if row["better"]], [row for row in shown if not row["better"]]
    if not shown:
        return "<p>There are none.</p>"
    parts = [f'<div class="diffs">{_cards(judged)}</div>'] if judged else []
    if others:
        told = "Key figures of which neither less nor more is better"
        parts.append(_folded(told, f'<div class="diffs" style="padding:0 14px 14px">{_cards(others)}</div>'))
    return "".join(parts)


def _cards(rows: list[Row]) -> str:
    cards = []
    for figures in _by_kpi(rows):
        unit, better = _shown_unit(figures[0]["unit"]), figures[0]["better"]
        label = ", ".join(part for part in (unit, better and f"{better} is better") if part)
        reach = max(abs(x) for row in figures for x in _ends(row))
        bars = "".join(
            f"<div>{escape(row['controller'])}</div>{_bar(row, reach)}<p>{_words(row)}</p>" for row in figures
        )
        title = f"{escape(figures[0]['quantity'])} <span>{label}</span>"
        cards.append(f'<div class="card diff"><h3>{title}</h3><div class="row">{bars}</div></div>')
    return "".join(cards)


def _ends(row: Row) -> tuple[float, float, float]:
    """Low end, difference and high end; without an interval, the difference alone."""
    middle = row["difference"]
    low, high = row["difference_low"], row["difference_high"]
    return (low, middle, high) if math.isfinite(low) else (middle, middle, middle)


def _bar(row: Row, reach: float) -> str:
    """The difference on a line through zero, with its interval."""
    low, middle, high = (f"{50 + 46 * x / reach:.2f}%" for x in _ends(row))
    return (
        f'<svg class="{_class(row)}" role="img" aria-label="{escape(_words(row))}">'
        f'<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>'
        f'<line class="bar" x1="{low}" x2="{high}" y1="11" y2="11"/><circle class="dot" cx="{middle}" cy="11" r="5"/>'
        f"</svg>"
    )


def _words(row: Row) -> str:
    if row["verdict"] == SAME:
        return "the same in every run"
    low, middle, high = _ends(row)
    text = _signed(middle)
    if high > low:
        text += f" ({_signed(low)} to {_signed(high)})"
    if math.isfinite(row["p_holm"]):
        p = "p\u00a0<\u00a00.001" if row["p_holm"] < 0.001 else f"p\u00a0=\u00a0{row['p_holm']:.2g}"
        return f"{text}, {p}{', may be chance' if row['verdict'] == UNDECIDED else ''}"
    return f"{text}, {'exact' if row['verdict'] == FIXED else 'one seed'}"


# --- the rest ---------------------------------------------------------------------------------------------------------


def _how(comparison: Comparison) -> str:
    percent = f"{100 * comparison.level:g} %"
    told = [
        "All controllers ran the same plant under the same seeds: the same EVs, the same weather, the same forecasts. "
        f"A difference is that of two runs with the same seed, its mean is over the seeds, baseline is "
        f"{comparison.baseline}.",
    ]
    if comparison.random and len(comparison.seeds) > 1:
        told += [
            f"± and bars are {percent} confidence intervals of the mean (Student's t), each for itself. p is of the "
            f"{TESTS[comparison.test]}, corrected for all comparisons of this page together (Holm). * found (p < "
            f"{1 - comparison.level:.2g}), ? may be chance: not found is not the same as equal, more seeds may tell.",
            "A difference without p is exact: no seed changes either value. Rank is 1 + the number of controllers that "
            "are better beyond doubt; those that cannot be told apart share it.",
        ]
    elif not comparison.random:
        told.append("Rank is 1 + the number of controllers that are better. What holds here may not hold elsewhere.")
    told.append(
        "Wall-clock figures depend on the machine and what else it did; they are not tested. Definitions of the key "
        "figures stand in docs/kpis.md. kpis.csv beside this page has every run, differences.csv every comparison."
    )
    return f'<div class="how">{"".join(f"<p>{escape(text)}</p>" for text in told)}</div>'
