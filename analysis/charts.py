"""Interactive charts of the report, as plotly figures in plain data (what plotly.js reads)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import Any

import numpy as np

from ..simulators.models.units import S_PER_DAY, S_PER_H, S_PER_MIN
from . import decisions, kpis, steps
from .results import Results
from .views import COLOURS, balance, connectors, hub_supply, resolution_s

SHADES = {kpis.ISLANDED: ("islanded", "rgba(86,180,233,0.20)"), kpis.DEAD: ("no supply", "rgba(213,94,0,0.30)")}

_TITLE_PX, _LEGEND_PX = 38, 48  # room above a panel
_MARGIN = {"l": 64, "r": 16, "t": 4, "b": 48}
_MOST_SHADES = 200
_MOST_TOLD = 500
_MOST_BEGINS = 300  # with more, sessions are narrower than the line
_LOST = {"balked": ("arrival_s", "#8A5A00"), "reneged": ("end_s", "#C81E1E")}
_ALARM, _ALARM_COLOUR, _ALARM_STRIP = "alarm", "#C81E1E", (0.95, 1.0)
# Okabe & Ito 2008, paler where rules lie beside each other for long
_RULE_COLOURS = ("#8FB8DE", "#F2C46D", "#7CC9AE", "#E3A4C4", "#F0A27A", "#B7BDC6", "#A9DDF5", "#D8D16A")


@dataclass(frozen=True)
class _Panel:
    title: str
    height_px: float
    head_px: float
    axis: dict[str, Any]


@dataclass(frozen=True)
class _Shade:
    begin_s: float
    end_s: float
    colour: str
    strip: tuple[float, float]
    axis: str | None


class Figure:
    """Panels below each other over one time axis.

    Parameters
    ----------
    results : Results
        The run the axis belongs to.
    end_s : float, optional
        End of the axis [s]; that of the run when left out.
    """

    def __init__(self, results: Results, end_s: float | None = None) -> None:
        self._results = results
        self._end_s = results.end_s if end_s is None else end_s
        self._panels: list[_Panel] = []
        self._data: list[dict[str, Any]] = []
        self._shades: list[_Shade] = []

    def panel(self, title: str, height_px: float, legend: bool = False, **axis: Any) -> str:
        """Add a panel below the last, with the figure's legend on top or not; returns the y axis for its traces."""
        head_px = _TITLE_PX + (_LEGEND_PX if legend else 0)
        self._panels.append(_Panel(title, height_px, head_px, axis))
        return self.last_axis

    @property
    def last_axis(self) -> str:
        """The y axis of the panel added last."""
        return "y" if len(self._panels) == 1 else f"y{len(self._panels)}"

    def __bool__(self) -> bool:
        return bool(self._panels)

    def shade(
        self,
        begin_s: float,
        end_s: float,
        colour: str,
        strip: tuple[float, float] = (0.0, 1.0),
        axis: str | None = None,
    ) -> None:
        """Shade a period [s] in all panels, or in that of one y axis; `strip` is the part of their height."""
        self._shades.append(_Shade(begin_s, end_s, colour, strip, axis))

    def trace(self, **fields: Any) -> None:
        """Add a trace as it stands."""
        self._data.append(fields)

    def held(
        self,
        y_axis: str,
        t_s: np.ndarray,
        y: np.ndarray,
        step_s: float | None,
        end_s: float | None = None,
        **fields: Any,
    ) -> None:
        """Add a step-held line from `t_s` on, up to `end_s` or that of the axis; `step_s` for equidistant times."""
        if len(t_s) == 0:
            return
        t_s, y = np.append(t_s, self._end_s if end_s is None else end_s), np.append(y, y[-1])
        # plotly draws no line towards an unknown value: hold the last known one up to it
        stops = np.flatnonzero(np.isnan(y[1:]) & np.isfinite(y[:-1])) + 1
        if len(stops):
            t_s, y, step_s = np.insert(t_s, stops, t_s[stops]), np.insert(y, stops, y[stops - 1]), None
        line = {"shape": "hv", **fields.pop("line", {})}
        self.trace(
            type="scatter", mode="lines", yaxis=y_axis, y=packed(y), line=line, **self.times(t_s, step_s), **fields
        )

    def instants(self, t_s: np.ndarray) -> list[str]:
        """Local clock at times [s], at the offset of the start."""
        instants = self._results.clock(t_s)
        whole = not np.any(instants.astype("i8") % 1000)
        return np.datetime_as_string(instants, unit="s" if whole else "ms").tolist()

    def times(self, t_s: np.ndarray, step_s: float | None) -> dict[str, Any]:
        """The x values of a trace."""
        if step_s is None:
            return {"x": self.instants(t_s)}
        return {"x0": self.instants(t_s[:1])[0], "dx": step_s * 1e3}

    def legend_only(self, name: str, colour: str) -> None:
        """Add an entry to the legend that stands for a shade."""
        marker = {"symbol": "square", "size": 12, "color": colour}
        self.trace(type="scatter", mode="markers", name=name, x=[None], y=[None], marker=marker, hoverinfo="skip")

    def plotly(self) -> dict[str, Any]:
        """The figure: data and layout; colours that depend on the theme are left to the page."""
        total = sum(panel.height_px + panel.head_px for panel in self._panels)
        layout: dict[str, Any] = {
            "height": total + _MARGIN["t"] + _MARGIN["b"],
            "margin": _MARGIN,
            "hovermode": "x unified",
            "dragmode": "zoom",
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1 - _TITLE_PX / total,
                "yanchor": "top",
                "traceorder": "normal",
            },
            "xaxis": {
                "type": "date",
                "range": self.instants(np.array([0.0, max(self._end_s, 1.0)])),
                "anchor": "free",
                "position": 0,
                "showspikes": True,
                "spikemode": "across",
                "spikesnap": "cursor",
                "spikethickness": 1,
                "spikedash": "dot",
            },
            "annotations": [],
            "shapes": [],
        }
        top = total
        for number, panel in enumerate(self._panels, 1):
            y_axis = "y" if number == 1 else f"y{number}"
            title = {"text": panel.title, "x": 0, "y": (top - 10) / total, "xanchor": "left", "yanchor": "top"}
            layout["annotations"].append(title | {"xref": "paper", "yref": "paper", "showarrow": False})
            colour_bar = {"y": (top - 10) / total, "yanchor": "top", "x": 1, "xanchor": "right"}
            for trace in self._data:
                if "colorbar" in trace and trace["yaxis"] == y_axis:
                    trace["colorbar"] |= colour_bar
            top -= panel.head_px
            domain = [(top - panel.height_px) / total, top / total]
            layout[y_axis.replace("y", "yaxis")] = {
                "domain": domain,
                "anchor": "x",
                "zeroline": False,
                "ticks": "",
                **panel.axis,
            }
            for shade in self._shades:
                if shade.axis not in (None, y_axis):
                    continue
                x0, x1 = self.instants(np.array([shade.begin_s, shade.end_s]))
                low, high = shade.strip
                area = {"type": "rect", "x0": x0, "x1": x1, "yref": f"{y_axis} domain", "y0": low, "y1": high}
                layout["shapes"].append(area | {"fillcolor": shade.colour, "line": {"width": 0}, "layer": "below"})
            top -= panel.height_px
        return {"data": self._data, "layout": layout}


def packed(values: np.ndarray) -> dict[str, str]:
    """An array, shape (m,) or (n, m), in plotly's binary form; single precision is ample for a picture."""
    raw = np.ascontiguousarray(values, dtype="<f4")
    array = {"dtype": "f4", "bdata": base64.b64encode(raw.tobytes()).decode()}
    return array if raw.ndim == 1 else array | {"shape": ", ".join(map(str, raw.shape))}


def hub_figure(results: Results, hub: str, most: int = 1500, most_cells: int = 1500) -> dict[str, Any]:
    """A hub over time: power balance, state of charge, connectors, voltage, decisions.

    Periods off the grid are shaded, those with an alarm have a strip on top.

    Parameters
    ----------
    results : Results
        The run.
    hub : str
        Name of the hub.
    most, most_cells : int
        Most points in time of lines and of the map of connectors; beyond, means over round intervals are shown.

    Returns
    -------
    dict
        plotly figure: data and layout.
    """
    figure = Figure(results)
    _balance(figure, results, hub, most)
    if results.has(f"{hub}/bess/soc"):
        axis = figure.panel("<b>Battery</b>  state of charge [%]", 110, range=[0, 100], tickvals=[0, 25, 50, 75, 100])
        _line(figure, results, f"{hub}/bess/soc", axis, COLOURS["bess"], "%{y:.1f} %", most, factor=100.0)
    cells = connectors(results, hub, most_cells)
    if cells is not None:
        _connectors(figure, *cells)
        _sessions(figure, results, hub)
    _queue(figure, results, hub, most)
    if results.has(f"{hub}/network/v_pu"):
        axis = figure.panel("<b>Voltage</b>  hub bus [pu]", 110)
        _line(figure, results, f"{hub}/network/v_pu", axis, COLOURS["grid"], "%{y:.4f} pu", most)
    _decisions(figure, results, hub, most)
    shades(figure, results, hub)
    return figure.plotly()


def network_figure(results: Results, most: int = 1500) -> dict[str, Any] | None:
    """The feeder over time: voltages, loadings, losses; None if the run has no network."""
    figure = Figure(results)

    def lines(title: str, unit: str, hover: str, signals: tuple[tuple[str, str, str], ...]) -> None:
        found = [signal for signal in signals if results.has(f"network/grid/{signal[0]}")]
        if not found:
            return
        names = ", ".join(f'<span style="color:{colour}">{name}</span>' for _, name, colour in found)
        axis = figure.panel(f"<b>{title}</b>  {names} [{unit}]", 130)
        for attribute, name, colour in found:
            _line(figure, results, f"network/grid/{attribute}", axis, colour, hover, most, name=name)

    low, high = COLOURS["dg"], COLOURS["grid"]
    volts = (("v_max_pu", "highest", high), ("v_min_pu", "lowest of all buses", low))
    loads = (("line_loading_percent", "lines", high), ("trafo_loading_percent", "transformers", low))
    lines("Voltage", "pu", "%{y:.4f} pu", volts)
    lines("Highest loading", "%", "%{y:.1f} %", loads)
    lines("Losses", "kW", "%{y:.3f} kW", (("losses_kw", "of the feeder", COLOURS["load"]),))
    return figure.plotly() if figure else None


def _balance(figure: Figure, results: Results, hub: str, most: int) -> None:
    t_s, areas, step_s = balance(results, hub, most)
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
            line={"width": 0, "color": COLOURS[area.device]},
            fillcolor=COLOURS[area.device] if area.source else faded(COLOURS[area.device]),
            hovertemplate="%{y:.1f} kW",
        )


def faded(colour: str) -> str:
    """A colour for what is used, beside the full one for what is fed."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.72)"


def _line(
    figure: Figure,
    results: Results,
    path: str,
    axis: str,
    colour: str,
    hover: str,
    most: int,
    *,
    factor: float = 1.0,
    name: str = "",
) -> None:
    """A signal; if it changes too often, its mean within the band of its extremes. Of an array, the greatest value."""
    t_s, values = drawable(*results.arrays(path), path)
    values = values * factor
    fields = {"name": name or path.rsplit("/", 1)[1], "hovertemplate": hover, "showlegend": False}
    if len(t_s) <= most:
        figure.held(axis, t_s, values, None, line={"color": colour, "width": 1.6}, **fields)
        return
    step_s = resolution_s(results.end_s, most)
    edges = steps.edges(results.end_s, step_s)
    low, high = steps.extremes(t_s, values, edges, results.end_s)
    band = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "color": colour}}
    figure.held(axis, edges[:-1], low, step_s, **band)
    figure.held(axis, edges[:-1], high, step_s, fill="tonexty", fillcolor=faded(colour).replace("0.72", "0.25"), **band)
    mean = steps.mean(t_s, values, edges, results.end_s)
    figure.held(axis, edges[:-1], mean, step_s, line={"color": colour, "width": 1.4}, **fields)


def drawable(t_s: np.ndarray, values: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
    """A signal as a line, shape (k,): of an array the greatest value; a dead bus has no voltage."""
    values = np.asarray(values, dtype=float) if values.ndim == 1 else np.fmax.reduce(values, axis=1)
    return t_s, np.where(values > 0, values, np.nan) if path.endswith("_pu") else values


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
    """A line where a session begins on its connector; over it, what came of the session."""
    plugged = results.sessions().query("hub == @hub and plug_s == plug_s and connector >= 0")
    if not 0 < len(plugged) <= _MOST_BEGINS:
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
        marker={"symbol": "line-ns-open", "size": 14, "color": COLOURS["dg"], "line": {"width": 2}},
        hovertemplate="%{text}<extra></extra>",
    )


def _queue(figure: Figure, results: Results, hub: str, most: int) -> None:
    """How many EVs wait for a connector, and those that did not stay."""
    path = f"{hub}/cp/queue"
    sessions = results.sessions().query("hub == @hub")
    lost = {name: sessions[sessions["outcome"] == name] for name in _LOST}
    if not results.has(path) or not (results.arrays(path)[1].any() or any(map(len, lost.values()))):
        return
    marks = "  ".join(f'<span style="color:{colour}">\u25bc</span> {name}' for name, (_, colour) in _LOST.items())
    axis = figure.panel(f"<b>Queue</b>  EVs that wait for a connector  {marks}", 70, rangemode="tozero")
    _line(figure, results, path, axis, COLOURS["cp"], "%{y:.3g} waiting", most)
    for name, (when, colour) in _LOST.items():
        rows = lost[name].iloc[:_MOST_TOLD]
        if len(rows):
            t_s = rows[when].to_numpy(float)
            figure.trace(
                type="scatter",
                mode="markers",
                yaxis=axis,
                x=figure.instants(t_s),
                y=steps.hold(*results.arrays(path), t_s).tolist(),
                text=[f"{escape(str(one))} {name}" for one in rows["id"]],
                name=name,
                showlegend=False,
                cliponaxis=False,
                marker={"symbol": "triangle-down", "size": 9, "color": colour},
                hovertemplate="%{text}<extra></extra>",
            )


def _decisions(figure: Figure, results: Results, hub: str, most: int) -> None:
    """Which rule decided what, as coloured lanes; below, what else the controller told, and how its plans ended."""
    lanes = decisions.lanes(results, hub)
    told = [("plans", decisions.plans(results, hub)), ("events", decisions.events(results, hub))]
    told = [(name, some) for name, some in told if some]
    if not lanes and not told:
        return
    rules = list(dict.fromkeys(rule for lane in lanes for rule in lane.rules))
    colours = dict(zip(rules, cycle(_RULE_COLOURS), strict=False))
    marks = "  ".join(f'<span style="color:{colours[rule]}">\u25a0</span> {escape(rule)}' for rule in rules[:8])
    names = [lane.name for lane in lanes] + [name for name, _ in told]
    axis = figure.panel(
        f"<b>Decisions</b>  {marks}" + (" ..." if len(rules) > 8 else ""),
        max(24.0 * len(names), 44.0),
        range=[len(names) - 0.5, -0.5],
        tickvals=list(range(len(names))),
        ticktext=[escape(name) for name in names],
        showgrid=False,
    )
    for place, lane in enumerate(lanes):
        _lane(figure, results, lane, axis, place, rules, [colours[rule] for rule in rules], most)
    for place, (name, some) in enumerate(told, len(lanes)):
        some = some[:_MOST_TOLD]
        figure.trace(
            type="scatter",
            mode="markers",
            yaxis=axis,
            x=figure.instants(np.array([one.t_s for one in some])),
            y=[place] * len(some),
            text=[escape(one.text) for one in some],
            name=name,
            showlegend=False,
            cliponaxis=False,
            marker={"size": 9, "color": [_ALARM_COLOUR if one.trouble else COLOURS["bess"] for one in some]},
            hovertemplate="%{text}<extra></extra>",
        )


def _lane(
    figure: Figure,
    results: Results,
    lane: decisions.Lane,
    axis: str,
    place: int,
    rules: list[str],
    colours: list[str],
    most: int,
) -> None:
    """One lane as a row of coloured cells; if the rules change too often, those that decided longest."""
    codes, texts, edges = np.array([rules.index(rule) for rule in lane.rules]), lane.texts, lane.t_s
    if len(codes) > most:
        edges = steps.edges(results.end_s, resolution_s(results.end_s, most))
        share = steps.mean(lane.t_s, codes[:, None] == np.arange(len(rules)), edges, results.end_s)
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


def shades(figure: Figure, results: Results, hub: str, axis: str | None = None, known: set[str] | None = None) -> None:
    """Shade where a hub is off the grid, and mark its alarms, in all panels or in that of one axis.

    Parameters
    ----------
    figure : Figure
        Where to draw.
    results : Results
        The run.
    hub : str
        Name of the hub.
    axis : str, optional
        y axis of a panel; all panels when left out.
    known : set of str, optional
        What the legend has already; what is new is added.
    """
    known = set() if known is None else known
    t_s, state = hub_supply(results, hub)
    found = [
        (name, colour, (0.0, 1.0), steps.episodes(t_s, state == code, results.end_s))
        for code, (name, colour) in SHADES.items()
    ]
    found.append((_ALARM, _ALARM_COLOUR, _ALARM_STRIP, decisions.alarms(results, hub)))
    for name, colour, strip, (begin_s, end_s) in found:
        longest = np.argsort(begin_s - end_s, kind="stable")[:_MOST_SHADES]
        for i in np.sort(longest):
            figure.shade(float(begin_s[i]), float(end_s[i]), colour, strip, axis)
        if len(begin_s) and name not in known:
            figure.legend_only(name, colour)
            known.add(name)


def duration(seconds: float) -> str:
    """A length of time for people, such as 90 s, 15 min, 2 h 30 min, 31 d."""
    whole, parts = round(seconds), []
    for size, name in ((S_PER_DAY, "d"), (S_PER_H, "h"), (S_PER_MIN, "min"), (1, "s")):
        count, whole = divmod(whole, int(size))
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or f"{seconds:g} s"
