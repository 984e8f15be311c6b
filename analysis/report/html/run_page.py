"""A run as one self-contained page: numbers, interactive charts, decisions, events, scenario."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from ...results.decision_records import ALARM, plans
from ...results.result_reader import Results
from ...results.summary_table import decision_times
from .hub_panels import hub_figure, network_figure
from .page_template import PAGE, SCRIPT, STYLE
from .panels import duration

_MOST_EVENTS = 2000
_WRAPPER = 1000  # so early plotly.js calls its module, if it is written as we know it
_ZERO = 5e-4  # smaller shows as 0
# what all charts of a page may hold together, so that it stays small with many hubs
_LINE_POINTS = 15_000
_CELLS = 400_000
_MOST_POINTS = 1500
_MS_PER_S = 1e3

# key, and what stands below it: text with keys of the summary in braces
_CARDS = (
    ("delivered_kwh", "{sessions} sessions, {missed_kwh} missed"),
    ("on_time_percent", "{served} served, {balked} balked, {reneged} reneged"),
    ("waiting_mean_min", "longest {waiting_max_min}"),
    ("cost_net", "{cost_bought} bought, {cost_demand} demand"),
    ("import_kwh", "{export_kwh} exported"),
    ("peak_demand_kw", "instantaneous {peak_import_kw}"),
    ("pv_kwh", "{self_consumption} used on site, {pv_curtailed_kwh} curtailed"),
    ("self_sufficiency", "of load and charging"),
    ("bess_cycles", "{bess_out_kwh} out, {bess_in_kwh} in"),
    ("islanded_h", "grid outages: {outages}, {outage_h}"),
    ("interruptions", "{interruption_h} without supply"),
    ("unserved_kwh", "of the local load"),
    ("v_min_pu", "highest {v_max_pu}"),
    ("line_loading_percent", "{network_losses_kwh} lost in the feeder"),
)


def write_report(runs: Results | Mapping[str, Results], path: str | os.PathLike) -> Path:
    """Write runs as one HTML page that needs no network: key figures, charts for every hub, events, the scenario.

    Parameters
    ----------
    runs : Results or mapping of str to Results
        The run, or several by what to call them, to be shown side by side over one time axis.
    path : str or Path
        File to write; missing folders are made.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ResultError
        If several runs do not begin at the same instant, or have other hubs.
    """
    if not isinstance(runs, Mapping):
        text = page(runs)
    elif len(runs) == 1:
        text = page(next(iter(runs.values())))
    else:
        from .runs_page import runs_page

        text = runs_page(runs)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def page(results: Results) -> str:
    """The page of one run as text."""
    summary = results.summary()
    hubs = results.hubs
    lines, cells = budget([results])
    sections = [("Key figures", _cards(summary) + _summary_table(summary, hubs))]
    for hub in hubs:
        sections.append((hub, chart(hub_figure(results, hub, lines, cells), f"figure-{len(sections)}")))
    network = network_figure(results, lines)
    if network is not None:
        sections.append(("Network", chart(network, "figure-network")))
    sections.append(("Controllers", controllers_table({"": results})))
    sections.append(("Events", events_table({"": results})))
    sections.append(("Scenario and versions", scenario_details(results)))
    return assembled(results.name, _header(results), sections, _footer(results))


def assembled(title: str, header: str, sections: Sequence[tuple[str, str]], footer: str, style: str = "") -> str:
    """A page of a header, titled sections with links to them, and a footer."""
    links = "".join(f'<a href="#part-{i}">{escape(name)}</a>' for i, (name, _) in enumerate(sections))
    parts = "".join(
        f'<section id="part-{i}"><h2>{escape(name)}</h2>{content}</section>'
        for i, (name, content) in enumerate(sections)
    )
    body = f"{header}<nav><div>{links}</div></nav><main>{parts}<footer>{footer}</footer></main>"
    return PAGE.substitute(
        title=escape(f"{title} · evhub"), style=STYLE + style, plotly=_plotly(), body=body, script=SCRIPT
    )


def _plotly() -> str:
    """The script of plotly.js.

    Its module is one function that is called at once. Between brackets, V8 reads its 5 MB once and not twice.
    """
    text = get_plotlyjs()
    head, begin, rest = text.partition(", () => {")
    inside, end, tail = rest.rpartition("}));")
    return f"{head}, (() => {{{inside}}})));{tail}" if begin and end and len(head) < _WRAPPER else text


def budget(runs: Sequence[Results]) -> tuple[int, int]:
    """Most points of a line and of the map of connectors, so that a page of these runs stays small."""
    hubs = sum(len(results.hubs) for results in runs)
    connectors = sum(_connectors(results) for results in runs)
    return min(_MOST_POINTS, _LINE_POINTS // max(hubs, 1)), min(_MOST_POINTS, max(_CELLS // max(connectors, 1), 100))


def _connectors(results: Results) -> int:
    paths = [f"{hub}/cp/connector_p_kw" for hub in results.hubs]
    return sum(results.spec(path).width or 1 for path in paths if results.has(path))


def number(value: float, unit: str = "") -> str:
    """A number for people: three digits or more, thousands set apart, a proper minus."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size < _ZERO:
        text = "0"
    elif unit == "pu":
        text = f"{value:.4f}"
    elif size >= 1000 or value == int(value):
        text = f"{value:,.0f}"
    elif size >= 100 or unit == "%":
        text = f"{value:.1f}"
    else:
        text = f"{value:.{2 if size >= 1 else 2 - math.floor(math.log10(size))}f}"
    return text.replace(",", "\u202f").replace("-", "\u2212")


def _unit(unit: str) -> str:
    return "" if unit == "1" else f"\u00a0{escape(unit)}"


def period(results: Results) -> str:
    """From when to when a run goes, for people."""
    begin = results.start
    end = begin + pd.Timedelta(seconds=results.end_s)
    return f"{begin:%a %d %b %Y %H:%M} to {end:%a %d %b %Y %H:%M} (UTC{begin:%z})"


def _header(results: Results) -> str:
    facts = [
        period(results),
        duration(results.end_s),
        f"step {duration(float(results.attributes.get('time_step_s', 0)))}",
    ]
    if "seed" in results.attributes:
        facts.append(f"seed {results.attributes['seed']}")
    title = str(results.attributes.get("title", ""))
    note = f'<div class="note">{escape(results.note.capitalize())}.</div>' if results.note else ""
    return (
        f'<header><div><div class="eyebrow">evhub result</div><h1>{escape(results.name)}'
        f'<span class="pill {results.status}">{results.status}</span></h1>'
        + (f"<p>{escape(title)}</p>" if title else "")
        + f"<p>{escape(' · '.join(facts))}</p>{note}</div></header>"
    )


def _cards(summary: pd.DataFrame) -> str:
    def said(key: str) -> str:
        row = summary.loc[key]
        return number(row["total"], row["unit"]) + _unit(row["unit"])

    known = {key: said(key) for key in summary.index if math.isfinite(summary.at[key, "total"])}
    cards = []
    for key, more in _CARDS:
        if key not in known:
            continue
        quantity, unit, total = summary.loc[key, ["quantity", "unit", "total"]]
        try:
            below = more.format(**known)
        except KeyError:  # a figure this run does not have
            below = ""
        big = number(total, unit) + (f" <span>{escape(unit)}</span>" if unit != "1" else "")
        label = escape(quantity[0].upper() + quantity[1:])
        cards.append(
            f'<div class="card"><div class="label">{label}</div><b>{big}</b><div class="more">{below}</div></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _summary_table(summary: pd.DataFrame, hubs: list[str]) -> str:
    columns = [*hubs, "total"] if len(hubs) != 1 else ["total"]
    names = columns if len(hubs) != 1 else hubs
    head = "".join(f'<th class="n">{escape(name)}</th>' for name in names)
    rows = []
    for group, part in summary.groupby("group", sort=False):
        rows.append(f'<tr class="group"><td colspan="{len(columns) + 2}">{escape(str(group))}</td></tr>')
        for row in part.to_dict("records"):
            unit = str(row["unit"])
            values = "".join(f'<td class="n">{number(row[column], unit)}</td>' for column in columns)
            shown = "" if unit == "1" else escape(unit)
            rows.append(f'<tr><td>{escape(str(row["quantity"]))}</td>{values}<td class="u">{shown}</td></tr>')
    table = f"<table><thead><tr><th>quantity</th>{head}<th></th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<details class="box" style="margin-top:14px"><summary>All key figures</summary>{table}</details>'


def chart(figure: dict[str, Any], name: str) -> str:
    """HTML of a figure and its data; the script of the page draws it."""
    # "<" as an escape: no text in the data can end the script element
    data = json.dumps(figure, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    height = figure["layout"]["height"]
    return (
        f'<div class="box"><div class="chart" data-figure="{name}" style="height:{height:.0f}px"></div></div>'
        f'<script type="application/json" id="{name}">{data}</script>'
    )


def controllers_table(runs: Mapping[str, Results]) -> str:
    """How long decisions took and how solvers ended, for each run."""
    rows = []
    for run, results in runs.items():
        for name, times in decision_times(results).iterrows():
            seconds = str(name).endswith("_s")
            values = [times[key] * (_MS_PER_S if seconds else 1.0) for key in ("mean", "median", "p95", "max")]
            told = f"{name} [ms]" if seconds else str(name)
            if str(name).endswith("/status"):
                continue  # a code: its mean says nothing, see below
            cells = "".join(f'<td class="n">{number(value)}</td>' for value in (times["count"], *values))
            rows.append(f"{_run_cell(run)}<td>{escape(told)}</td>{cells}")
        for hub in results.hubs:
            ended = Counter(one.text.removeprefix("plan: ").split(" in ")[0] for one in plans(results, hub))
            if ended:
                told = ", ".join(f"{count} {status}" for status, count in ended.items())
                rows.append(f'{_run_cell(run)}<td>{escape(hub)}: plans</td><td colspan="5">{escape(told)}</td>')
    if not rows:
        return "<p>Nothing was recorded.</p>"
    heads = ("count", "mean", "median", "95 %", "longest")
    head = _run_head(runs) + "<th>wall clock</th>" + "".join(f'<th class="n">{name}</th>' for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="box table wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _run_cell(run: str) -> str:
    return f'<td class="t">{escape(run)}</td>' if run else ""


def _run_head(runs: Mapping[str, Results]) -> str:
    return "" if "" in runs else "<th>run</th>"


def events_table(runs: Mapping[str, Results]) -> str:
    """What happened, of all runs in order of time, with a field to filter them."""
    tables = [results.events().assign(run=run) for run, results in runs.items()]
    tables = [table for table in tables if len(table)]
    if not tables:
        return "<p>No events.</p>"
    events = pd.concat(tables).sort_values("t_s", kind="stable")
    shown = events.iloc[:_MOST_EVENTS]
    columns = (shown.index, shown["run"], shown["source"], shown["kind"], shown["text"])
    rows = "".join(
        f'<tr class="{"alarm" if kind == ALARM else ""}"><td class="t">{time:%Y-%m-%d %H:%M:%S}</td>{_run_cell(run)}'
        f'<td class="t">{escape(source)}</td><td class="t">{escape(kind)}</td><td>{escape(text)}</td></tr>'
        for time, run, source, kind, text in zip(*columns, strict=True)
    )
    more = f"<p>The first {len(shown)} of {len(events)} events.</p>" if len(shown) < len(events) else ""
    return (
        f'<input type="search" data-table="events" placeholder="Filter {len(shown)} events" aria-label="Filter events">'
        f'<div class="box table"><div class="scroll"><table id="events"><thead><tr><th>time</th>{_run_head(runs)}'
        f"<th>source</th><th>kind</th><th>text</th></tr></thead><tbody>{rows}</tbody></table></div></div>{more}"
    )


def scenario_details(results: Results) -> str:
    """The resolved scenario and the versions, folded."""
    versions = results.attributes.get("versions", {})
    listed = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in versions.items())
    text = f'<details class="box"><summary>Resolved scenario</summary><pre>{escape(results.scenario)}</pre></details>'
    return text + f'<details class="box"><summary>Versions</summary><table><tbody>{listed}</tbody></table></details>'


def _footer(results: Results) -> str:
    wall_s = results.diagnostics().attrs.get("wall_s", math.nan)
    took = f" · computed in {wall_s:.3g} s" if math.isfinite(wall_s) else ""
    return escape(results.path.name) + took
