"""The figures of a run: a hub over time, panel by panel, and its feeder."""

from __future__ import annotations

from html import escape
from itertools import cycle
from typing import Any

import numpy as np

from ...kpis import step_signals
from ...results import decision_records
from ...results.hub_signals import balance, colour_of, connectors, resolution_s
from ...results.result_reader import Results
from .panels import ALARM_COLOUR, Figure, faded, line, packed, shades
from .readable_text import duration

_MAX_MARKS = 500
_MAX_BEGINS = 300  # with more, sessions are narrower than the line
_LOST = {"balked": ("arrival_s", "#8A5A00"), "reneged": ("end_s", "#C81E1E")}
# Okabe & Ito 2008, paler where rules lie beside each other for long
_RULE_COLOURS = ("#8FB8DE", "#F2C46D", "#7CC9AE", "#E3A4C4", "#F0A27A", "#B7BDC6", "#A9DDF5", "#D8D16A")


def hub_figure(results: Results, hub: str, max_points: int = 1500, max_cells: int = 1500) -> dict[str, Any]:
    """Build the figure of a hub over time: power balance, state of charge, connectors, voltage, decisions.

    Periods off the grid are shaded, those with an alarm have a strip on top.

    Parameters
    ----------
    results : Results
        The run.
    hub : str
        Name of the hub.
    max_points, max_cells : int
        Limits on the points in time of lines and of the map of connectors; with more, means over round intervals are
        shown.

    Returns
    -------
    dict
        plotly figure: data and layout.
    """
    figure = Figure(results)
    _balance(figure, results, hub, max_points)
    if results.has(f"{hub}/bess/soc"):
        axis = figure.panel("<b>Battery</b>  state of charge [%]", 110, range=[0, 100], tickvals=[0, 25, 50, 75, 100])
        line(figure, results, f"{hub}/bess/soc", axis, colour_of("bess"), "%{y:.1f} %", max_points, factor=100.0)
    cells = connectors(results, hub, max_cells)
    if cells is not None:
        _connectors(figure, *cells)
        _sessions(figure, results, hub)
    _queue(figure, results, hub, max_points)
    if results.has(f"{hub}/network/v_pu"):
        axis = figure.panel("<b>Voltage</b>  hub bus [pu]", 110)
        line(figure, results, f"{hub}/network/v_pu", axis, colour_of("grid"), "%{y:.4f} pu", max_points)
    _decisions(figure, results, hub, max_points)
    shades(figure, results, hub)
    return figure.plotly()


def network_figure(results: Results, max_points: int = 1500) -> dict[str, Any] | None:
    """Build the figure of the feeder over time: voltages, loadings, losses; None if the run has no network."""
    figure = Figure(results)

    def lines(title: str, unit: str, hover: str, signals: tuple[tuple[str, str, str], ...]) -> None:
        recorded = [signal for signal in signals if results.has(f"network/grid/{signal[0]}")]
        if not recorded:
            return
        names = ", ".join(f'<span style="color:{colour}">{name}</span>' for _, name, colour in recorded)
        axis = figure.panel(f"<b>{title}</b>  {names} [{unit}]", 130)
        for attribute, name, colour in recorded:
            line(figure, results, f"network/grid/{attribute}", axis, colour, hover, max_points, name=name)

    low, high = colour_of("dg"), colour_of("grid")
    volts = (("v_max_pu", "highest", high), ("v_min_pu", "lowest of all buses", low))
    loads = (("line_loading_percent", "lines", high), ("trafo_loading_percent", "transformers", low))
    lines("Voltage", "pu", "%{y:.4f} pu", volts)
    lines("Highest loading", "%", "%{y:.1f} %", loads)
    lines("Losses", "kW", "%{y:.3f} kW", (("losses_kw", "of the feeder", colour_of("load")),))
    return figure.plotly() if figure else None


def _balance(figure: Figure, results: Results, hub: str, max_points: int) -> None:
    t_s, areas, step_s = balance(results, hub, max_points)
    note = "" if step_s is None else f", means over {duration(step_s)}"
    axis = figure.panel(f"<b>Power</b>  sources above, uses below [kW]{note}", 300, legend=True, zeroline=True)
    for area in areas:
        sign = 1 if area.source else -1
        figure.held(
            axis,
            t_s,
            sign * area.p_kw,
            step_s,
            name=escape(area.name),
            stackgroup="sources" if area.source else "uses",
            line={"width": 0, "color": colour_of(area.device)},
            fillcolor=colour_of(area.device) if area.source else faded(colour_of(area.device)),
            hovertemplate="%{y:.1f} kW",
        )


def _connectors(figure: Figure, t_s: np.ndarray, p_kw: np.ndarray, step_s: float) -> None:
    n = len(p_kw)
    axis = figure.panel(
        f"<b>Connectors</b>  power of plugged-in EVs [kW], means over {duration(step_s)}",
        float(np.clip(n * 16, 70, 460)),
        range=[n + 0.5, 0.5],
        dtick=max(1, round(n / 12)),
        tick0=1,
        showgrid=False,
    )
    both = bool(np.nanmin(p_kw, initial=0.0) < -1e-6)
    high = float(np.nanmax(np.abs(p_kw), initial=0.0)) or 1.0
    figure.trace(
        type="heatmap",
        z=packed(p_kw),
        yaxis=axis,
        # a cell is centred on its x: move it to where its interval begins
        **figure.times(t_s + step_s / 2, step_s),
        y0=1,
        dy=1,
        zmin=-high if both else 0.0,
        zmax=high,
        ygap=1 if n <= 80 else 0,
        meta="both" if both else "power",
        hovertemplate="connector %{y}: %{z:.2f} kW<extra></extra>",
        colorbar={"orientation": "h", "thickness": 8, "len": 180, "lenmode": "pixels", "nticks": 5, "ypad": 0},
    )


def _sessions(figure: Figure, results: Results, hub: str) -> None:
    """Draw a line where a session begins on its connector, with energy and duration of the session as hover text."""
    plugged = results.sessions().query("hub == @hub and plug_s == plug_s and connector >= 0")
    if not 0 < len(plugged) <= _MAX_BEGINS:
        return
    figure.trace(
        type="scatter",
        mode="markers",
        yaxis=figure.last_axis,
        x=figure.instants(plugged["plug_s"].to_numpy(float)),
        y=(plugged["connector"] + 1).tolist(),
        text=[
            f"{escape(row['id'])}: {row['delivered_kwh']:.4g} of {row['requested_kwh']:.4g} kWh, connector "
            f"{row['connector'] + 1}, {duration(row['end_s'] - row['plug_s'])}"
            for row in plugged.to_dict("records")
        ],
        name="session",
        showlegend=False,
        marker={"symbol": "line-ns-open", "size": 14, "color": colour_of("dg"), "line": {"width": 2}},
        hovertemplate="%{text}<extra></extra>",
    )


def _queue(figure: Figure, results: Results, hub: str, max_points: int) -> None:
    """Draw how many EVs wait for a connector, and mark those that left without charging."""
    path = f"{hub}/cp/queue"
    sessions = results.sessions().query("hub == @hub")
    lost = {name: sessions[sessions["outcome"] == name] for name in _LOST}
    if not results.has(path) or not (results.arrays(path)[1].any() or any(map(len, lost.values()))):
        return
    marks = "  ".join(f'<span style="color:{colour}">\u25bc</span> {name}' for name, (_, colour) in _LOST.items())
    axis = figure.panel(f"<b>Queue</b>  EVs that wait for a connector  {marks}", 70, rangemode="tozero")
    line(figure, results, path, axis, colour_of("cp"), "%{y:.3g} waiting", max_points)
    for name, (when, colour) in _LOST.items():
        rows = lost[name].iloc[:_MAX_MARKS]
        if len(rows):
            t_s = rows[when].to_numpy(float)
            figure.trace(
                type="scatter",
                mode="markers",
                yaxis=axis,
                x=figure.instants(t_s),
                y=step_signals.hold(*results.arrays(path), t_s).tolist(),
                text=[f"{escape(str(session))} {name}" for session in rows["id"]],
                name=name,
                showlegend=False,
                cliponaxis=False,
                marker={"symbol": "triangle-down", "size": 9, "color": colour},
                hovertemplate="%{text}<extra></extra>",
            )


def _decisions(figure: Figure, results: Results, hub: str, max_points: int) -> None:
    """Draw the rules in force as coloured lanes; below them, the plans and other events of the controller."""
    lanes = decision_records.lanes(results, hub)
    messages = [("plans", decision_records.plans(results, hub)), ("events", decision_records.events(results, hub))]
    messages = [(name, entries) for name, entries in messages if entries]
    if not lanes and not messages:
        return
    rules = list(dict.fromkeys(rule for lane in lanes for rule in lane.rules))
    colours = dict(zip(rules, cycle(_RULE_COLOURS), strict=False))
    marks = "  ".join(f'<span style="color:{colours[rule]}">\u25a0</span> {escape(rule)}' for rule in rules[:8])
    names = [lane.name for lane in lanes] + [name for name, _ in messages]
    axis = figure.panel(
        f"<b>Decisions</b>  {marks}" + (" ..." if len(rules) > 8 else ""),
        max(24.0 * len(names), 44.0),
        range=[len(names) - 0.5, -0.5],
        tickvals=list(range(len(names))),
        ticktext=[escape(name) for name in names],
        showgrid=False,
    )
    for place, lane in enumerate(lanes):
        _lane(figure, results, lane, axis, place, rules, [colours[rule] for rule in rules], max_points)
    for place, (name, entries) in enumerate(messages, len(lanes)):
        entries = entries[:_MAX_MARKS]
        figure.trace(
            type="scatter",
            mode="markers",
            yaxis=axis,
            x=figure.instants(np.array([message.t_s for message in entries])),
            y=[place] * len(entries),
            text=[escape(message.text) for message in entries],
            name=name,
            showlegend=False,
            cliponaxis=False,
            marker={
                "size": 9,
                "color": [ALARM_COLOUR if message.trouble else colour_of("bess") for message in entries],
            },
            hovertemplate="%{text}<extra></extra>",
        )


def _lane(
    figure: Figure,
    results: Results,
    lane: decision_records.Lane,
    axis: str,
    place: int,
    rules: list[str],
    colours: list[str],
    max_points: int,
) -> None:
    """Draw a lane as a row of coloured cells; if rules change too often, the rule in force longest in each interval."""
    codes, texts, edges = np.array([rules.index(rule) for rule in lane.rules]), lane.texts, lane.t_s
    if len(codes) > max_points:
        edges = step_signals.edges(results.end_s, resolution_s(results.end_s, max_points))
        share = step_signals.mean(lane.t_s, codes[:, None] == np.arange(len(rules)), edges, results.end_s)
        codes = np.argmax(np.nan_to_num(share), axis=1)
        edges, texts = edges[:-1], [f"{lane.name} by {rules[code]}" for code in codes]
    figure.trace(
        type="heatmap",
        yaxis=axis,
        x=figure.instants(np.append(edges, results.end_s)),
        y=[place - 0.4, place + 0.4],
        z=[codes.tolist()],
        text=[[escape(text) for text in texts]],
        zmin=-0.5,
        zmax=len(rules) - 0.5,
        colorscale=[[(n + end) / len(rules), colour] for n, colour in enumerate(colours) for end in (0, 1)],
        showscale=False,
        hovertemplate="%{text}<extra></extra>",
    )
