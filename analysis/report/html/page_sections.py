"""The parts that pages of one run and of several have in common: charts, decisions, events, scenarios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ...results.decision_records import ALARM, plans
from ...results.result_reader import Results
from ...results.summary_table import decision_times
from .page_template import PageSection
from .readable_text import number

_MAX_EVENTS = 2000
# what all charts of a page may hold together, so that it stays small with many hubs
_LINE_POINTS = 15_000
_CELLS = 400_000
_MAX_POINTS = 1500
_MS_PER_S = 1e3


def points_per_line(n_figures: int) -> int:
    """Return the limit on the points of a line that keeps a page of so many figures small."""
    return min(_MAX_POINTS, _LINE_POINTS // max(n_figures, 1))


def points_per_connector(runs: Iterable[Results]) -> int:
    """Return the limit on the points in time of maps of connectors that keeps a page of these runs small."""
    connectors = sum(_count_connectors(results) for results in runs)
    return min(_MAX_POINTS, max(_CELLS // max(connectors, 1), 100))


def _count_connectors(results: Results) -> int:
    paths = [f"{hub}/cp/connector_p_kw" for hub in results.hubs]
    return sum(results.spec(path).width or 1 for path in paths if results.has(path))


def charts_section(
    title: str,
    figures: Mapping[str, dict[str, Any]],
    *,
    legend: Sequence[tuple[str, str]] = (),
    folded: Mapping[str, tuple[str, dict[str, Any]]] | None = None,
) -> PageSection:
    """Make a section of charts.

    Parameters
    ----------
    title : str
        Heading.
    figures : mapping of str to dict
        plotly figures by their id on the page.
    legend : sequence of (name, colour)
        Names of the runs and the colours of their lines, shown above the figures.
    folded : mapping of str to (title, figure)
        Figures that are shown on a click, by their id.

    Returns
    -------
    PageSection
        For `page_template.render`.
    """
    shown = [{"id": name, "figure": figure} for name, figure in figures.items()]
    hidden = [{"id": name, "title": text, "figure": figure} for name, (text, figure) in (folded or {}).items()]
    return PageSection(title, "charts.html", {"legend": legend, "open": shown, "folded": hidden})


def controllers_section(runs: Mapping[str, Results]) -> PageSection:
    """Make a section of decision times and solver statuses by run; a run named "" is shown without its name."""
    rows = []
    for run, results in runs.items():
        for name, times in decision_times(results).iterrows():
            if str(name).endswith("/status"):
                continue  # a code: its mean says nothing, see below
            in_s = str(name).endswith("_s")
            values = [times[key] * (_MS_PER_S if in_s else 1.0) for key in ("mean", "median", "p95", "max")]
            numbers = [number(value) for value in (times["count"], *values)]
            rows.append({"run": run, "name": f"{name} [ms]" if in_s else name, "numbers": numbers, "plans": ""})
        for hub in results.hubs:
            ends = Counter(plan.text.removeprefix("plan: ").split(" in ")[0] for plan in plans(results, hub))
            if ends:
                text = ", ".join(f"{count} {status}" for status, count in ends.items())
                rows.append({"run": run, "name": f"{hub}: plans", "numbers": [], "plans": text})
    return PageSection("Controllers", "controllers.html", {"rows": rows, "several": "" not in runs})


def events_section(runs: Mapping[str, Results]) -> PageSection:
    """Make a section of the events of all runs in order of time, with a field to filter them."""
    tables = [results.events().assign(run=run) for run, results in runs.items()]
    tables = [table for table in tables if len(table)]
    events = pd.concat(tables).sort_values("t_s", kind="stable") if tables else pd.DataFrame()
    shown = events.iloc[:_MAX_EVENTS]
    rows = [
        {"time": f"{time:%Y-%m-%d %H:%M:%S}", "alarm": row["kind"] == ALARM, **row}
        for time, row in zip(shown.index, shown.to_dict("records"), strict=True)
    ]
    return PageSection("Events", "events.html", {"rows": rows, "count": len(events), "several": "" not in runs})


def scenarios_section(title: str, runs: Mapping[str, Results]) -> PageSection:
    """Make a folded section of the resolved scenarios and the versions."""
    rows = [
        {"name": name, "scenario": results.scenario, "versions": results.attributes.get("versions", {})}
        for name, results in runs.items()
    ]
    return PageSection(title, "scenarios.html", {"runs": rows, "several": "" not in runs})
