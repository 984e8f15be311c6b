"""A run as one self-contained page: numbers, interactive charts, decisions, events, scenario."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...kpis.cost_figures import cost_signs
from ...results.result_reader import Results
from .hub_panels import hub_figure, network_figure
from .page_sections import (
    charts_section,
    controllers_section,
    events_section,
    points_per_connector,
    points_per_line,
    scenarios_section,
)
from .page_template import PageSection, render
from .readable_text import duration, number, period, shown_unit
from .runs_page import runs_page

# key, and what stands below it: text with keys of the summary in braces
_CARDS = (
    ("delivered_kwh", "{sessions} sessions, {missed_kwh} missed"),
    ("on_time_percent", "{served} served, {balked} balked, {reneged} reneged"),
    ("waiting_mean_min", "longest {waiting_max_min}"),
    ("cost_net", "{cost_parts}"),
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
        The run, or several by their names, to be shown side by side over one time axis.
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
        text = runs_page(runs)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def page(results: Results) -> str:
    """Render the page of one run as text."""
    line_points, connector_points = points_per_line(len(results.hubs)), points_per_connector([results])
    summary = results.summary()
    sections = [_figures_section(summary, results.hubs)]
    for place, hub in enumerate(results.hubs, 1):
        figure = hub_figure(results, hub, line_points, connector_points)
        sections.append(charts_section(hub, {f"figure-{place}": figure}))
    network = network_figure(results, line_points)
    if network is not None:
        sections.append(charts_section("Network", {"figure-network": network}))
    sections.append(controllers_section({"": results}))
    sections.append(events_section({"": results}))
    sections.append(scenarios_section("Scenario and versions", {"": results}))

    facts = [
        period(results),
        duration(results.end_s),
        f"step {duration(float(results.attributes.get('time_step_s', 0)))}",
    ]
    if "seed" in results.attributes:
        facts.append(f"seed {results.attributes['seed']}")
    wall_s = results.diagnostics().attrs.get("wall_s", math.nan)
    return render(
        "run.html",
        results.name,
        sections,
        run=results,
        description=str(results.attributes.get("title", "")),
        facts=facts,
        foresight=results.foresight,
        problems=summary.attrs["problems"].values(),
        wall_s=wall_s if math.isfinite(wall_s) else None,
    )


def _figures_section(summary: pd.DataFrame, hubs: list[str]) -> PageSection:
    columns = [*hubs, "total"] if len(hubs) != 1 else ["total"]
    groups = []
    for group, part in summary.groupby("group", sort=False):
        rows = [
            {
                "quantity": row["quantity"],
                "numbers": [number(row[column], row["unit"]) for column in columns],
                "unit": shown_unit(row["unit"]),
            }
            for row in part.to_dict("records")
        ]
        groups.append({"name": group, "rows": rows})
    names = columns if len(hubs) != 1 else hubs
    return PageSection(
        "Key figures", "run_figures.html", {"cards": _cards(summary), "columns": names, "groups": groups}
    )


def _cost_parts(summary: pd.DataFrame) -> str:
    """Return the parts that the net cost is the sum of, with their signs; those that are nothing are left out."""
    terms = []
    for key, sign in cost_signs().items():
        total = float(summary.at[key, "total"]) * sign if key in summary.index else 0.0
        if number(total) != "0":
            name = str(summary.at[key, "quantity"]).removeprefix("revenue: ")
            operator = "\u2212" if total < 0 else "+" if terms else ""
            terms.append(f"{operator}\u00a0{number(abs(total))} {name}".strip("\u00a0"))
    return " ".join(terms)


def _cards(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Make the cards of the most important key figures: those of `_CARDS` that the run has."""

    def with_unit(key: str) -> str:
        total, unit = summary.at[key, "total"], summary.at[key, "unit"]
        return "\u00a0".join(part for part in (number(total, unit), shown_unit(unit)) if part)

    known = {key: with_unit(key) for key in summary.index if math.isfinite(summary.at[key, "total"])}
    known["cost_parts"] = _cost_parts(summary)
    cards = []
    for key, template in _CARDS:
        if key not in known:
            continue
        quantity, unit, total = summary.loc[key, ["quantity", "unit", "total"]]
        try:
            more = template.format(**known)
        except KeyError:  # a figure this run does not have
            more = ""
        label = quantity[0].upper() + quantity[1:]
        cards.append({"label": label, "value": number(total, unit), "unit": shown_unit(unit), "more": more})
    return cards
