"""Figures of a sweep for papers: a key figure over a field, a line for each controller or value of another field.

Points are means over the seeds, bars their confidence intervals (Student's t). What else was varied is not averaged:
each combination has a panel of its own, or, of designs that fill a space, each run stands for itself.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from ...comparison.paired_statistics import LEVEL, interval
from ...comparison.tidy_runs import axis_of, checked, in_order, is_numeric, known_kpis, places, varied_fields
from ..html.runs_panels import RUN_COLOURS

ENDINGS = (".pdf", ".svg", ".png")
"""Formats of pictures, by their endings."""
MAX_LINES = len(RUN_COLOURS)
"""Lines that can be told apart by colour and mark."""
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_ASIDE_PT = 3.5
"""How far lines are drawn beside each other [points]; their bars would cover each other."""
_MAX_PANELS = 9
_MAX_TICKS = 8
_LOG_MISFIT = 0.1
_MANY = 10
_NOTE = {"fontsize": 8, "color": "0.35"}


def field_figure(
    runs: pd.DataFrame,
    kpi: str,
    x: str,
    lines: str | None = None,
    *,
    level: float = LEVEL,
    log: bool | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a key figure over a field, with confidence intervals over the seeds.

    Parameters
    ----------
    runs : DataFrame
        Tidy table, see `tidy_runs`.
    kpi : str
        Key of the figure.
    x : str
        The field along the axis. Numbers have an axis of numbers, labels one of categories.
    lines : str, optional
        What has a line for each of its values: ``controller`` or another field; the controller when left out, if there
        are several.
    level : float
        Confidence level of the intervals.
    log : bool, optional
        Whether the axis is logarithmic; when left out, it is where the values are spread evenly in their logarithm.
    labels : mapping of str to str, optional
        Names of fields, with their units, in place of those made from their paths.

    Returns
    -------
    Figure
        A panel for each combination of what else was varied, all of one scale. Where there are more than nine, one
        panel has a mark for each point and no lines, and says what else varies. `save_figure` writes it.

    Raises
    ------
    ValueError
        If the table is not tidy, it has no such column, no value of the key figure, or too many lines.
    """
    runs = checked(runs)
    known_kpis(runs, kpi)
    of_kpi = pd.DataFrame(runs[(runs["kpi"] == kpi) & np.isfinite(runs["value"])])
    if of_kpi.empty:
        raise ValueError(f"kpi must have a value in some run, got {kpi!r}")
    varied = [name for name in ("controller", *varied_fields(runs)) if runs[name].nunique(dropna=False) > 1]
    lines = "controller" if lines is None and x != "controller" and "controller" in varied else lines
    for what, name in (("x", x), ("lines", lines)):
        if name is not None and name not in (*varied, "controller"):
            raise ValueError(f"{what} must be one of {', '.join(varied)}, got {name!r}")
    if x == lines:
        raise ValueError(f"lines must be another field than x, got {x!r}")
    series = [None] if lines is None else in_order(runs, lines)
    if len(series) > MAX_LINES:
        raise ValueError(f"lines must be a field of at most {MAX_LINES} values, got {lines!r} with {len(series)}")

    rest = [name for name in varied if name not in (x, lines)]
    panels = places(of_kpi, rest)
    filled = len(panels) > _MAX_PANELS
    panels = [of_kpi] if filled else panels
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    size = (5.4, 3.8) if columns == 1 else (1.0 + 2.9 * columns, 0.9 + 2.7 * ceil(len(panels) / columns))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    grid = figure.subplots(ceil(len(panels) / columns), columns, sharex=True, sharey=True, squeeze=False)
    drawn: dict[str, ErrorbarContainer] = {}
    for axes, panel in zip(grid.flat, panels, strict=False):
        for number, (value, colour, mark) in enumerate(zip(series, cycle(RUN_COLOURS), cycle(_MARKS), strict=False)):
            part = panel if lines is None else pd.DataFrame(panel[panel[lines] == value])
            if part.empty:
                continue
            points = _points(part, [x, *(rest if filled else [])], level)
            aside_in = (number - (len(series) - 1) / 2) * _ASIDE_PT / 72
            aside = ScaledTranslation(aside_in, 0, figure.dpi_scale_trans)
            name = "" if lines is None else axis_of(runs, lines, labels).shown(value)
            drawn[name] = _draw(axes, _positions(runs, points, x), points, colour, mark, aside, joined=not filled)
        title = ", ".join(_named(runs, name, panel[name].iloc[0], labels) for name in rest)
        if rest and not filled:
            axes.set_title(textwrap.fill(title, 44), fontsize=9, loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.08)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    _x_axis(grid, len(panels), runs, x, log, labels)
    unit = str(of_kpi["unit"].iloc[0])
    quantity = str(of_kpi["quantity"].iloc[0])
    for axes in grid[:, 0]:
        axes.set_ylabel(_with_unit(quantity, unit), parse_math=False)
    _legend(figure, drawn, "" if lines is None else axis_of(runs, lines, labels).name)
    also = [axis_of(runs, name, labels).name for name in rest] if filled else []
    figure.supxlabel(_note(of_kpi, level, also), x=0.01, ha="left", parse_math=False, **_NOTE)
    return figure


def field_figures(
    runs: pd.DataFrame,
    kpis: Sequence[str] | str | None = None,
    *,
    level: float = LEVEL,
    labels: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Figure]]:
    """Draw each key figure over every field, with lines by the controller and by every other field.

    Parameters
    ----------
    runs : DataFrame
        Tidy table, see `tidy_runs`.
    kpis : sequence of str, optional
        Keys of the key figures; all that have values when left out.
    level, labels
        See `field_figure`.

    Yields
    ------
    name : str
        Of the figure, for its file: the key figure, the field along the axis, what has lines.
    figure : Figure
        See `field_figure`. Fields with more values than lines can be told apart have none.

    Raises
    ------
    ValueError
        If the table is not tidy, has no field, or no such key figure.
    """
    whole = checked(runs)
    whole.attrs = runs.attrs
    fields = varied_fields(whole)
    if not fields:
        raise ValueError("runs must have a field with more than one value")
    by = [name for name in ("controller", *fields) if 1 < whole[name].nunique(dropna=False) <= MAX_LINES]
    for kpi in known_kpis(whole, kpis):
        if kpis is None and not np.isfinite(whole.loc[whole["kpi"] == kpi, "value"]).any():
            continue
        for x in fields:
            for lines in [name for name in by if name != x] or [None]:
                name = "-".join([kpi, x, *([] if lines is None else ["by", lines])])
                yield re.sub(r"[^\w.-]+", "_", name), field_figure(whole, kpi, x, lines, level=level, labels=labels)


def save_figure(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure as PDF, SVG or PNG, by the ending of the file; the same runs give the same bytes.

    Parameters
    ----------
    figure : Figure
        The figure.
    path : str or Path
        File to write; missing folders are made. Text in a PDF is text of embedded TrueType fonts, as journals ask for.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the file has another ending.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"path must end with {', '.join(ENDINGS)}, got {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    dates: dict[str, dict] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with rc_context({"pdf.fonttype": 42, "svg.hashsalt": "evhub"}):
        figure.savefig(path, dpi=300, metadata=dates.get(ending))
    return path


# --- points -----------------------------------------------------------------------------------------------------------


def _points(runs: pd.DataFrame, fields: list[str], level: float) -> pd.DataFrame:
    """Return mean and half the width of its interval at every point, numbers in order."""
    rows = []
    for part in places(runs, fields):
        _, mean, _, _, high = interval(part["value"].to_numpy(float), level)
        rows.append({**part[fields].iloc[0].to_dict(), "mean": mean, "half": high - mean})
    points = pd.DataFrame(rows)
    return points.sort_values(fields[0], kind="stable") if is_numeric(runs, fields[0]) else points


def _positions(runs: pd.DataFrame, points: pd.DataFrame, x: str) -> np.ndarray:
    """Return where points stand on the axis: numbers at themselves, labels at their place."""
    if is_numeric(runs, x):
        return points[x].to_numpy(float)
    order = in_order(runs, x)
    return np.array([order.index(value) for value in points[x]], dtype=float)


def _draw(
    axes: Axes, at: np.ndarray, points: pd.DataFrame, colour: str, mark: str, aside: Transform, *, joined: bool
) -> ErrorbarContainer:
    """Draw a line with its bars, on paper a little aside so that bars of lines that agree are seen."""
    order = np.argsort(at, kind="stable")
    line = axes.errorbar(
        at[order],
        points["mean"].to_numpy(float)[order],
        yerr=np.nan_to_num(points["half"].to_numpy(float)[order]),
        color=colour,
        marker=mark,
        markersize=5,
        linewidth=1.3 if joined else 0.0,
        elinewidth=1.1,
        capsize=3,
    )
    for artist in line.get_children():  # only now: the axes have seen where the data are
        artist.set_transform(axes.transData + aside)
    return line


# --- axes and words ---------------------------------------------------------------------------------------------------


def log_spaced(values: Sequence[float]) -> bool:
    """Return whether numbers are spread evenly in their logarithm rather than in themselves."""
    sizes = np.unique(np.asarray(values, dtype=float))
    if len(sizes) < 3 or sizes[0] <= 0:
        return False
    by_log = _misfit(np.log(sizes))
    return by_log < 0.5 * _misfit(sizes) and (by_log < _LOG_MISFIT or len(sizes) >= _MANY)


def _misfit(sizes: np.ndarray) -> float:
    """Return how far sorted numbers are from even spacing, as a part of their range."""
    even = np.linspace(0.0, 1.0, len(sizes))
    return float(np.abs((sizes - sizes[0]) / (sizes[-1] - sizes[0]) - even).max())


def _x_axis(
    grid: np.ndarray, panels: int, runs: pd.DataFrame, x: str, log: bool | None, labels: Mapping[str, str] | None
) -> None:
    axis, values = axis_of(runs, x, labels), in_order(runs, x)
    numeric = is_numeric(runs, x)
    for number, axes in enumerate(grid.flat[:panels]):
        if numeric and (log_spaced(values) if log is None else log):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        if not numeric or len(values) <= _MAX_TICKS:
            axes.xaxis.set_major_locator(FixedLocator(values if numeric else range(len(values))))
            axes.xaxis.set_minor_locator(NullLocator())
        if numeric:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: axis.shown(value)))
        else:
            names = [textwrap.fill(axis.shown(value), 18) for value in values]
            turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(names) > 5 else {}
            axes.set_xticks(range(len(names)), names, parse_math=False, fontsize=9, **turned)
            axes.set_xlim(-0.5, len(names) - 0.5)
        if number + grid.shape[1] >= panels:  # the lowest of its column
            axes.tick_params(axis="x", labelbottom=True)
            axes.set_xlabel(axis.name, parse_math=False)


def _named(runs: pd.DataFrame, field: str, value: object, labels: Mapping[str, str] | None) -> str:
    if field == "controller":
        return str(value)
    axis = axis_of(runs, field, labels)
    name, _, unit = axis.name.partition(" [")
    return f"{name} {axis.shown(value)}{f' {unit[:-1]}' if unit else ''}"


def _with_unit(name: str, unit: str) -> str:
    return name if unit in ("", "1") else f"{name} [{unit}]"


def _legend(figure: Figure, drawn: Mapping[str, ErrorbarContainer], title: str) -> None:
    if not title:
        return
    longest = max(map(len, drawn))
    columns = int(np.clip(figure.get_figwidth() * 12 / (longest + 6), 1, len(drawn)))
    numbers = [str(number) for number in range(len(drawn))]
    legend = figure.legend(
        [*drawn.values()],  # pyright: ignore[reportArgumentType]
        numbers,
        loc="outside upper left",
        ncols=columns,
        title=title,
        fontsize=9,
        frameon=False,
    )
    legend.get_title().set_parse_math(False)
    legend.get_title().set_fontsize(9)
    legend.set_alignment("left")
    for text, name in zip(legend.get_texts(), drawn, strict=True):  # names may begin with _ or have $
        text.set_parse_math(False)
        text.set_text(name)


def _note(runs: pd.DataFrame, level: float, also: Sequence[str]) -> str:
    seeds = runs["seed"].nunique()
    text = f"mean and {100 * level:g} % confidence interval over {seeds} seeds" if seeds > 1 else "one seed"
    return f"{text}; also varied: {', '.join(also)}" if also else text
