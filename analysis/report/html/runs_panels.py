"""Runs of one plant below each other over one time axis, as a plotly figure in plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kpis import step_signals
from ...results.hub_signals import Area, balance, colour_of, resolution_s
from .panels import Figure, drawable, faded, shades
from .readable_text import duration

if TYPE_CHECKING:
    from ...results.result_reader import Results

# Okabe & Ito 2008, without those that are hard to see on either background
RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8F98")
"""Colours of runs, in turn."""


def side_by_side(runs: Mapping[str, Results], hub: str, max_points: int = 1500) -> dict[str, Any]:
    """Build the figure of a hub in several runs: their power balances on one scale, states of charge and voltages.

    In the balance of each run, its periods off the grid are shaded and its alarms marked.

    Parameters
    ----------
    runs : mapping of str to Results
        Runs of one plant by their names; at least one.
    hub : str
        Name of the hub.
    max_points : int
        Limit on the points in time of each line; with more, means over round intervals are shown.

    Returns
    -------
    dict
        plotly figure: data and layout. Zooming into the time axis zooms into all of them.
    """
    figure = Figure(next(iter(runs.values())), max(results.end_s for results in runs.values()))
    balances = {name: balance(results, hub, max_points) for name, results in runs.items()}
    low, high = _reach([areas for _, areas, _ in balances.values()])
    shown: set[str] = set()
    shaded: set[str] = set()
    for name, (t_s, areas, step_s) in balances.items():
        note = "" if step_s is None else f", means over {duration(step_s)}"
        title = f"<b>{escape(name)}</b>  sources above, uses below [kW]{note}"
        axis = figure.panel(title, 190, legend=not shown, zeroline=True, range=[low, high])
        for area in areas:
            figure.held(
                axis,
                t_s,
                area.p_kw if area.source else -area.p_kw,
                step_s,
                runs[name].end_s,
                name=escape(area.name),
                legendgroup=area.name,
                showlegend=area.name not in shown,
                stackgroup=f"{axis} {'sources' if area.source else 'uses'}",
                line={"width": 0, "color": colour_of(area.device)},
                fillcolor=colour_of(area.device) if area.source else faded(colour_of(area.device)),
                hovertemplate="%{y:.1f} kW",
            )
            shown.add(area.name)
        shades(figure, runs[name], hub, axis, shaded)
    percent = {"range": [0, 100], "tickvals": [0, 25, 50, 75, 100]}
    _lines(
        figure,
        runs,
        f"{hub}/bess/soc",
        "<b>Battery</b>  state of charge [%]",
        "%{y:.1f} %",
        max_points,
        100.0,
        **percent,
    )
    _lines(figure, runs, f"{hub}/network/v_pu", "<b>Voltage</b>  hub bus [pu]", "%{y:.4f} pu", max_points)
    return figure.plotly()


def colours(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return each name with the colour of its lines."""
    return list(zip(names, cycle(RUN_COLOURS), strict=False))


def _reach(runs: list[list[Area]]) -> tuple[float, float]:
    """Return the ends of an axis that holds the stacked areas of all runs."""
    stacks = [
        max(
            np.max(np.sum([area.p_kw for area in areas if area.source is source], axis=0), initial=0.0)
            for areas in runs
        )
        for source in (False, True)
    ]
    return -1.06 * float(stacks[0]), 1.06 * float(stacks[1]) or 1.0


def _lines(
    figure: Figure,
    runs: Mapping[str, Results],
    path: str,
    title: str,
    hover: str,
    max_points: int,
    factor: float = 1.0,
    **axis_options: Any,
) -> None:
    """Draw a signal of all runs that have it, one line each; of an array the greatest value."""
    if not any(results.has(path) for results in runs.values()):
        return
    axis = figure.panel(title, 150, **axis_options)
    for (name, colour), results in zip(colours(runs), runs.values(), strict=True):
        if not results.has(path):
            continue
        t_s, values = drawable(*results.arrays(path), path)
        step_s = None
        if len(t_s) > max_points:
            step_s = resolution_s(results.end_s, max_points)
            edges = step_signals.edges(results.end_s, step_s)
            t_s, values = edges[:-1], step_signals.mean(t_s, values, edges, results.end_s)
        figure.held(
            axis,
            t_s,
            factor * values,
            step_s,
            results.end_s,
            name=escape(name),
            showlegend=False,
            line={"color": colour, "width": 1.6},
            hovertemplate=hover,
        )
