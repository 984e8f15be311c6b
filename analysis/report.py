"""A run as one self-contained page: numbers, interactive charts, events, scenario."""

from __future__ import annotations

import json
import math
import os
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from .charts import duration, hub_figure, network_figure
from .page import PAGE, SCRIPT, STYLE
from .results import Results

_MOST_EVENTS = 2000
_ZERO = 5e-4  # smaller shows as 0
# what all charts of a page may hold together, so that it stays small with many hubs
_LINE_POINTS = 15_000
_CELLS = 400_000
_MOST_POINTS = 1500

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


def write_report(results: Results, path: str | os.PathLike) -> Path:
    """Write a run as one HTML page that needs no network: key figures, charts for every hub, events, the scenario.

    Parameters
    ----------
    results : Results
        The run.
    path : str or Path
        File to write; missing folders are made.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(results), encoding="utf-8")
    return path


def page(results: Results) -> str:
    """The page of `write_report` as text."""
    summary = results.summary()
    hubs = results.hubs
    lines = min(_MOST_POINTS, _LINE_POINTS // max(len(hubs), 1))
    cells = min(_MOST_POINTS, max(_CELLS // max(_connectors(results), 1), 100))
    sections = [("Key figures", _cards(summary) + _summary_table(summary, hubs))]
    for hub in hubs:
        sections.append((hub, chart(hub_figure(results, hub, lines, cells), f"figure-{len(sections)}")))
    network = network_figure(results, lines)
    if network is not None:
        sections.append(("Network", chart(network, "figure-network")))
    sections.append(("Events", _events(results)))
    sections.append(("Scenario and versions", _scenario(results)))

    links = "".join(f'<a href="#part-{i}">{escape(title)}</a>' for i, (title, _) in enumerate(sections))
    parts = "".join(
        f'<section id="part-{i}"><h2>{escape(title)}</h2>{content}</section>'
        for i, (title, content) in enumerate(sections)
    )
    body = f"{_header(results)}<nav><div>{links}</div></nav><main>{parts}{_footer(results)}</main>"
    return PAGE.substitute(
        title=escape(f"{results.name} · evhub"), style=STYLE, plotly=get_plotlyjs(), body=body, script=SCRIPT
    )


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


def _header(results: Results) -> str:
    begin = results.start
    end = begin + pd.Timedelta(seconds=results.end_s)
    length = f"{begin:%a %d %b %Y %H:%M} to {end:%a %d %b %Y %H:%M} (UTC{begin:%z})"
    facts = [length, duration(results.end_s), f"step {duration(float(results.attributes.get('time_step_s', 0)))}"]
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


def _events(results: Results) -> str:
    events = results.events()
    if events.empty:
        return "<p>No events.</p>"
    shown = events.iloc[:_MOST_EVENTS]
    rows = "".join(
        f'<tr><td class="t">{time:%Y-%m-%d %H:%M:%S}</td><td class="t">{escape(source)}</td>'
        f'<td class="t">{escape(kind)}</td><td>{escape(text)}</td></tr>'
        for time, source, kind, text in zip(shown.index, shown["source"], shown["kind"], shown["text"], strict=True)
    )
    more = f"<p>The first {len(shown)} of {len(events)} events.</p>" if len(shown) < len(events) else ""
    return (
        f'<input type="search" data-table="events" placeholder="Filter {len(shown)} events" aria-label="Filter events">'
        '<div class="box table"><div class="scroll"><table id="events"><thead><tr><th>time</th><th>source</th>'
        f"<th>kind</th><th>text</th></tr></thead><tbody>{rows}</tbody></table></div></div>{more}"
    )


def _scenario(results: Results) -> str:
    versions = results.attributes.get("versions", {})
    listed = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in versions.items())
    text = f'<details class="box"><summary>Resolved scenario</summary><pre>{escape(results.scenario)}</pre></details>'
    return text + f'<details class="box"><summary>Versions</summary><table><tbody>{listed}</tbody></table></details>'


def _footer(results: Results) -> str:
    wall_s = results.diagnostics().attrs.get("wall_s", math.nan)
    took = f" · computed in {wall_s:.3g} s" if math.isfinite(wall_s) else ""
    return f"<footer>{escape(results.path.name)}{took}</footer>"
