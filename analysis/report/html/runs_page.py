"""Several runs side by side as one self-contained page: numbers, one time axis, decisions, events."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ...results.result_layout import ResultError
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
from .runs_panels import colours, side_by_side


def runs_page(runs: Mapping[str, Results]) -> str:
    """Render the page of several runs as text.

    Parameters
    ----------
    runs : mapping of str to Results
        Runs by their names; they begin at the same instant and have the same hubs.

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
    line_points = points_per_line(sum(len(results.hubs) for results in runs.values()))
    connector_points = points_per_connector(runs.values())
    tables = {name: results.summary() for name, results in runs.items()}
    sections = [_figures_section(tables)]
    for place, hub in enumerate(first.hubs):
        folded = {
            f"figure-{place}-{n}": (f"{name}: all charts", hub_figure(results, hub, line_points, connector_points))
            for n, (name, results) in enumerate(runs.items())
        }
        figures = {f"figure-{place}": side_by_side(runs, hub, line_points)}
        sections.append(charts_section(hub, figures, legend=colours(runs), folded=folded))
    networks = {name: network_figure(results, line_points) for name, results in runs.items()}
    folded = {
        f"figure-network-{n}": (name, figure) for n, (name, figure) in enumerate(networks.items()) if figure is not None
    }
    if folded:
        sections.append(charts_section("Network", {}, folded=folded))
    sections.append(controllers_section(runs))
    sections.append(events_section(runs))
    sections.append(scenarios_section("Scenarios and versions", runs))
    return render(
        "runs.html",
        ", ".join(runs),
        sections,
        period=period(first),
        runs=[
            {
                "name": name,
                "facts": _facts(results),
                "foresight": results.foresight,
                "problems": tables[name].attrs["problems"].values(),
                "status": results.status,
                "note": results.note,
            }
            for name, results in runs.items()
        ],
        same_length=len({results.end_s for results in runs.values()}) == 1,
    )


def check_fit(runs: Mapping[str, Results]) -> None:
    """Refuse runs that do not start at the same instant or have different hubs.

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


def _facts(results: Results) -> list[str]:
    facts = [results.name, str(results.attributes.get("controller", "")), duration(results.end_s)]
    facts.append(f"seed {results.attributes['seed']}" if "seed" in results.attributes else "")
    return [fact for fact in facts if fact]


def _figures_section(tables: Mapping[str, pd.DataFrame]) -> PageSection:
    """Make the table of the totals of all runs; those that are equal in all runs are folded."""
    order = list(dict.fromkeys(key for table in tables.values() for key in table.index))
    known = pd.concat([table[["group", "quantity", "unit"]] for table in tables.values()])
    known = pd.DataFrame(known[~known.index.duplicated()])
    groups = list(dict.fromkeys(known["group"]))
    different, alike = [], []
    for key in sorted(order, key=lambda key: groups.index(known.at[key, "group"])):
        unit = str(known.at[key, "unit"])
        totals = [float(t.at[key, "total"]) if key in t.index else math.nan for t in tables.values()]
        numbers = [number(total, unit) for total in totals]
        row = {"quantity": known.at[key, "quantity"], "unit": shown_unit(unit), "numbers": numbers}
        (different if len(set(numbers)) > 1 else alike).append(row)
    return PageSection(
        "Key figures", "runs_figures.html", {"runs": list(tables), "different": different, "alike": alike}
    )
