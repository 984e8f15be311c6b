"""Panels over one time axis as plotly figures in plain data (as plotly.js reads them), and lines and shades in them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kpis import kpi_formulas, step_signals
from ...results import decision_records
from ...results.hub_signals import hub_supply, resolution_s
from ...results.result_reader import Results

SHADES = {
    kpi_formulas.ISLANDED: ("islanded", "rgba(86,180,233,0.20)"),
    kpi_formulas.DEAD: ("no supply", "rgba(213,94,0,0.30)"),
}

_TITLE_PX, _LEGEND_PX = 38, 48  # room above a panel
_MARGIN = {"l": 64, "r": 16, "t": 4, "b": 48}
_MAX_SHADES = 200
ALARM_COLOUR = "#C81E1E"
_ALARM, _ALARM_STRIP = "alarm", (0.95, 1.0)


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
        """Add a panel below the last one and return its y axis; `legend` puts the legend of the figure on top of it."""
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
        """Mark a period [s] in all panels, or in that of one y axis; `strip` is the shaded part of their height."""
        self._shades.append(_Shade(begin_s, end_s, colour, strip, axis))

    def trace(self, **fields: Any) -> None:
        """Add a plotly trace unchanged."""
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
        """Format times [s] as local time at the UTC offset of the start."""
        instants = self._results.clock(t_s)
        whole = not np.any(instants.astype("i8") % 1000)
        return np.datetime_as_string(instants, unit="s" if whole else "ms").tolist()

    def times(self, t_s: np.ndarray, step_s: float | None) -> dict[str, Any]:
        """Return the x values of a trace, as start and step if times are equidistant."""
        if step_s is None:
            return {"x": self.instants(t_s)}
        return {"x0": self.instants(t_s[:1])[0], "dx": step_s * 1e3}

    def legend_only(self, name: str, colour: str) -> None:
        """Add an entry to the legend that stands for a shade."""
        marker = {"symbol": "square", "size": 12, "color": colour}
        self.trace(type="scatter", mode="markers", name=name, x=[None], y=[None], marker=marker, hoverinfo="skip")

    def plotly(self) -> dict[str, Any]:
        """Return data and layout of the figure; the page sets the colours that depend on the theme."""
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
    """Encode an array, shape (m,) or (n, m), in the binary form of plotly, in single precision."""
    raw = np.ascontiguousarray(values, dtype="<f4")
    array = {"dtype": "f4", "bdata": base64.b64encode(raw.tobytes()).decode()}
    return array if raw.ndim == 1 else array | {"shape": ", ".join(map(str, raw.shape))}


def faded(colour: str) -> str:
    """Return the faded colour for power that is used, beside the full colour for power that is fed."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.72)"


def line(
    figure: Figure,
    results: Results,
    path: str,
    axis: str,
    colour: str,
    hover: str,
    max_points: int,
    *,
    factor: float = 1.0,
    name: str = "",
) -> None:
    """Draw a signal; if it changes too often, draw its means within the band of its extremes.

    Parameters
    ----------
    figure : Figure
        Where to draw.
    results : Results
        The run.
    path : str
        The signal; of an array, the greatest value is drawn.
    axis : str
        y axis of a panel.
    colour : str
        Colour of the line, as #RRGGBB.
    hover : str
        Text shown at a value, as plotly's template.
    max_points : int
        Limit on the points in time.
    factor : float
        Factor on the values.
    name : str
        Name of the line; the attribute of the signal when left out.
    """
    t_s, values = drawable(*results.arrays(path), path)
    values = values * factor
    fields = {"name": name or path.rsplit("/", 1)[1], "hovertemplate": hover, "showlegend": False}
    if len(t_s) <= max_points:
        figure.held(axis, t_s, values, None, line={"color": colour, "width": 1.6}, **fields)
        return
    step_s = resolution_s(results.end_s, max_points)
    edges = step_signals.edges(results.end_s, step_s)
    low, high = step_signals.extremes(t_s, values, edges, results.end_s)
    band = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "color": colour}}
    figure.held(axis, edges[:-1], low, step_s, **band)
    figure.held(axis, edges[:-1], high, step_s, fill="tonexty", fillcolor=faded(colour).replace("0.72", "0.25"), **band)
    mean = step_signals.mean(t_s, values, edges, results.end_s)
    figure.held(axis, edges[:-1], mean, step_s, line={"color": colour, "width": 1.4}, **fields)


def drawable(t_s: np.ndarray, values: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Convert a signal to a line, shape (k,): the greatest value of an array; NaN for the voltage of a dead bus."""
    values = np.asarray(values, dtype=float) if values.ndim == 1 else np.fmax.reduce(values, axis=1)
    return t_s, np.where(values > 0, values, np.nan) if path.endswith("_pu") else values


def shades(figure: Figure, results: Results, hub: str, axis: str | None = None, known: set[str] | None = None) -> None:
    """Mark the periods in which a hub is off the grid and its alarms, in all panels or in that of one y axis.

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
        Names that the legend has already; new ones are added.
    """
    known = set() if known is None else known
    t_s, state = hub_supply(results, hub)
    kinds_of_shade = [
        (name, colour, (0.0, 1.0), step_signals.episodes(t_s, state == code, results.end_s))
        for code, (name, colour) in SHADES.items()
    ]
    kinds_of_shade.append((_ALARM, ALARM_COLOUR, _ALARM_STRIP, decision_records.alarms(results, hub)))
    for name, colour, strip, (begin_s, end_s) in kinds_of_shade:
        longest = np.argsort(begin_s - end_s, kind="stable")[:_MAX_SHADES]
        for i in np.sort(longest):
            figure.shade(float(begin_s[i]), float(end_s[i]), colour, strip, axis)
        if len(begin_s) and name not in known:
            figure.legend_only(name, colour)
            known.add(name)
