"""One printable picture of a hub: powers, state of charge, connectors, voltage; periods off the grid shaded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ...kpis import kpi_formulas, step_signals
from ...results.hub_signals import balance, colour_of, connectors, hub_supply
from ...results.result_reader import Results
from ..html.readable_text import period

SHADES = {kpi_formulas.ISLANDED: ("islanded", "#56B4E9", 0.22), kpi_formulas.DEAD: ("no supply", "#D55E00", 0.35)}
_POWER = LinearSegmentedColormap.from_list("power", ["#dfe6ec", "#cfe0ec", "#3d93c6", "#073b5c"])


def overview(results: Results, hub: str | None = None) -> Figure:
    """Draw a hub over the whole run: powers, state of charge, connectors and voltage.

    Parameters
    ----------
    results : Results
        The run.
    hub : str, optional
        Name of the hub; the first when left out.

    Returns
    -------
    Figure
        matplotlib figure; ``savefig`` writes it.

    Raises
    ------
    ValueError
        If there is no such hub.
    """
    hub = results.hubs[0] if hub is None else hub
    if hub not in results.hubs:
        raise ValueError(f"hub must be one of {', '.join(results.hubs)}, got {hub!r}")
    panels: list[tuple[float, Callable[[Axes, Results, str], None]]] = [(3.0, powers)]
    if results.has(f"{hub}/bess/soc"):
        panels.append((1.0, _soc))
    if results.has(f"{hub}/cp/connector_p_kw"):
        n = results.spec(f"{hub}/cp/connector_p_kw").width or 1
        panels.append((float(np.clip(n / 8, 0.8, 3.0)), _connectors))
    if results.has(f"{hub}/network/v_pu"):
        panels.append((1.0, _voltage))

    heights = [height for height, _ in panels]
    figure = Figure(figsize=(11, 1.2 + 1.25 * sum(heights)), dpi=130, layout="constrained")
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (_, draw) in zip(all_axes, panels, strict=True):
        draw(axes, results, hub)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    shaded = shade(all_axes, results, hub)
    drawn, _ = all_axes[0].get_legend_handles_labels()
    if drawn or shaded:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0)}
        all_axes[0].legend(handles=[*drawn, *shaded], ncols=6, fontsize=8, frameon=False, **place)
    over_time(all_axes[-1], results)
    title = hub if results.name == hub else f"{results.name}: {hub}"
    if results.note:
        title += f" ({results.status})"
    figure.suptitle(title, x=0.01, ha="left", weight="bold", parse_math=False)
    return figure


def over_time(axes: Axes, results: Results) -> None:
    """Set the time axis of a run, with its first and last instant in words below it."""
    axes.set_xlim(*results.clock(np.array([0.0, max(results.end_s, 1.0)])))
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    # the formatter's own date would be that of the last tick
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.set_xlabel(period(results), parse_math=False)


def held(results: Results, t_s: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return clock times and values of a step-held line, extended to the end of the run."""
    ends = results.clock(np.append(t_s, np.full(min(len(t_s), 1), results.end_s)))
    return ends, np.append(values, values[-1:])


def powers(axes: Axes, results: Results, hub: str) -> None:
    """Draw the powers that feed the bus upwards and those that are used downwards, stacked [kW]."""
    t_s, areas, _ = balance(results, hub)
    for source in (True, False):
        level = np.zeros(len(t_s))
        for area in (area for area in areas if area.source == source):
            top = level + (area.p_kw if source else -area.p_kw)
            clock, upper = held(results, t_s, top)
            _, lower = held(results, t_s, level)
            colour, alpha = colour_of(area.device), 1.0 if source else 0.72
            axes.fill_between(clock, lower, upper, step="post", color=colour, alpha=alpha, lw=0, label=area.name)
            level = top
    axes.axhline(0, color="0.3", lw=0.8)
    axes.set_ylabel("power [kW]\nuses | sources")


def _soc(axes: Axes, results: Results, hub: str) -> None:
    clock, soc = held(results, *results.arrays(f"{hub}/bess/soc"))
    axes.step(clock, 100 * soc, where="post", color=colour_of("bess"), lw=1.4)
    axes.set_ylim(0, 100)
    axes.set_ylabel("battery\nSoC [%]")


def _connectors(axes: Axes, results: Results, hub: str) -> None:
    cells = connectors(results, hub)
    if cells is None:
        return
    t_s, p_kw, step_s = cells
    n = len(p_kw)
    clock = results.clock(np.append(t_s, t_s[-1] + step_s))
    high = float(np.nanmax(np.abs(p_kw), initial=0.0)) or 1.0
    feeds_back = bool(np.nanmin(p_kw, initial=0.0) < -1e-6)
    colours, low = ("RdBu", -high) if feeds_back else (_POWER, 0.0)
    mesh = axes.pcolormesh(clock, np.arange(n + 1) + 0.5, p_kw, cmap=colours, vmin=low, vmax=high, rasterized=True)
    axes.set_ylim(n + 0.5, 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=min(n, 10), integer=True, min_n_ticks=1))
    axes.set_ylabel("connector")
    if axes.figure is not None:
        axes.figure.colorbar(mesh, ax=axes, label="kW", pad=0.01, fraction=0.03)


def _voltage(axes: Axes, results: Results, hub: str) -> None:
    t_s, v_pu = results.arrays(f"{hub}/network/v_pu")
    v_pu = v_pu if v_pu.ndim == 1 else np.fmin.reduce(v_pu, axis=1)
    clock, v_pu = held(results, t_s, np.where(v_pu > 0, v_pu, np.nan))
    axes.step(clock, v_pu, where="post", color=colour_of("grid"), lw=1.2)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel("voltage\n[pu]")


def shade(all_axes: np.ndarray, results: Results, hub: str) -> list[Patch]:
    """Mark the periods off the grid with shades, and return their legend entries."""
    t_s, state = hub_supply(results, hub)
    patches = []
    for code, (name, colour, alpha) in SHADES.items():
        begin_s, end_s = step_signals.episodes(t_s, state == code, results.end_s)
        for begin, end in zip(results.clock(begin_s), results.clock(end_s), strict=True):
            for axes in all_axes:
                axes.axvspan(begin, end, color=colour, alpha=alpha, lw=0, zorder=0)
        if len(begin_s):
            patches.append(Patch(color=colour, alpha=alpha, label=name))
    return patches
