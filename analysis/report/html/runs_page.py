"""Several runs side by side as one self-contained page: numbers, one time axis, decisions, events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from ...results.result_layout import ResultError
from .hub_panels import hub_figure, network_figure
from .panels import duration
from .run_page import assembled, budget, chart, controllers_table, events_table, number, period, scenario_details
from .runs_panels import colours, side_by_side

if TYPE_CHECKING:
    from ...results.result_reader import Results


def runs_page(runs: Mapping[str, Results]) -> str:
    """The page of several runs as text.

    Parameters
    ----------
    runs : mapping of str to Results
        Runs by what to call them; they begin at the same instant and have the same hubs.

    Returns
    -------
    str
        HTML that needs no network.

    Raises
    ------
    ResultError
        If they do not fit on one page.
    """
    check_fit(runs)
    first = next(iter(runs.values()))
    lines, cells = budget(list(runs.values()))
    sections = [("Key figures", _key_figures(runs))]
    for place, hub in enumerate(first.hubs):
        parts = [run_legend(runs), chart(side_by_side(runs, hub, lines), f"figure-{place}")]
        parts += [
            _folded(f"{name}: all charts", chart(hub_figure(results, hub, lines, cells), f"figure-{place}-{number_}"))
            for number_, (name, results) in enumerate(runs.items())
        ]
        sections.append((hub, "".join(parts)))
    networks = {name: network_figure(results, lines) for name, results in runs.items()}
    drawn = [
        _folded(name, chart(figure, f"figure-network-{place}"))
        for place, (name, figure) in enumerate(networks.items())
        if figure is not None
    ]
    if drawn:
        sections.append(("Network", "".join(drawn)))
    sections.append(("Controllers", controllers_table(runs)))
    sections.append(("Events", events_table(runs)))
    details = "".join(f"<h3>{escape(name)}</h3>{scenario_details(results)}" for name, results in runs.items())
    sections.append(("Scenarios and versions", details))
    return assembled(", ".join(runs), _header(runs), sections, "evhub report")


def check_fit(runs: Mapping[str, Results]) -> None:
    """Refuse runs that have no time or no hubs in common.

    Raises
    ------
    ResultError
        It names the two files and what each of them has.
    """
    first = next(iter(runs.values()))
    for other in runs.values():
        if other.start.tz_convert("UTC") != first.start.tz_convert("UTC"):
            raise ResultError(
                f"{other.path}: must begin when {first.path} does, to share a time axis: {first.start} there, "
                f"{other.start} here"
            )
        if set(other.hubs) != set(first.hubs):
            raise ResultError(
                f"{other.path}: must have the same hubs as {first.path}: {', '.join(first.hubs)} there, "
                f"{', '.join(other.hubs)} here"
            )


def run_legend(runs: Mapping[str, object]) -> str:
    """Which line is whose."""
    names = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in colours(runs))
    return f'<p class="runs">Lines: {names}</p>'


def _folded(title: str, content: str) -> str:
    return f'<details class="box"><summary>{escape(title)}</summary>{content}</details>'


def _header(runs: Mapping[str, Results]) -> str:
    first = next(iter(runs.values()))
    lines = []
    for name, results in runs.items():
        facts = [results.name, str(results.attributes.get("controller", "")), duration(results.end_s)]
        facts.append(f"seed {results.attributes['seed']}" if "seed" in results.attributes else "")
        told = " · ".join(fact for fact in facts if fact)
        note = f'<div class="note">{escape(results.note.capitalize())}.</div>' if results.note else ""
        lines.append(
            f"<p><b>{escape(name)}</b> {escape(told)}"
            f'<span class="pill {results.status}">{results.status}</span></p>{note}'
        )
    if len({results.end_s for results in runs.values()}) > 1:
        lines.append('<div class="note">The runs are not of one length: their energies and costs do not compare.</div>')
    return (
        '<header><div><div class="eyebrow">evhub results, side by side</div>'
        f"<h1>{escape(', '.join(runs))}</h1><p>{escape(period(first))}</p>{''.join(lines)}</div></header>"
    )


def _key_figures(runs: Mapping[str, Results]) -> str:
    """Totals of all runs; those that are the same in all of them fold away."""
    tables = {name: results.summary() for name, results in runs.items()}
    order = list(dict.fromkeys(key for table in tables.values() for key in table.index))
    known = pd.concat([table[["group", "quantity", "unit"]] for table in tables.values()])
    known = pd.DataFrame(known[~known.index.duplicated()])
    groups = list(dict.fromkeys(known["group"]))
    differ: dict[bool, list[str]] = {True: [], False: []}
    for key in sorted(order, key=lambda key: groups.index(known.at[key, "group"])):
        unit = str(known.at[key, "unit"])
        values = [float(t.at[key, "total"]) if key in t.index else math.nan for t in tables.values()]
        shown = [number(value, unit) for value in values]
        cells = "".join(f'<td class="n">{value}</td>' for value in shown)
        told = "" if unit == "1" else f' <span class="u">{escape(unit)}</span>'
        row = f"<tr><td>{escape(str(known.at[key, 'quantity']))}{told}</td>{cells}</tr>"
        differ[len(set(shown)) > 1].append(row)
    head = "".join(f'<th class="n">{escape(name)}</th>' for name in runs)
    head = f"<thead><tr><th>quantity</th>{head}</tr></thead>"
    parts = []
    if differ[True]:
        rows = "".join(differ[True])
        parts.append(f'<div class="box table wide"><table>{head}<tbody>{rows}</tbody></table></div>')
    else:
        parts.append("<p>All key figures are the same.</p>")
    if differ[False]:
        rows = "".join(differ[False])
        title = f"{len(differ[False])} key figures look the same in all runs"
        parts.append(
            f'<details class="box" style="margin-top:14px"><summary>{title}</summary>'
            f'<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div></details>'
        )
    return "".join(parts)
