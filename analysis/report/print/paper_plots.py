"""Figures for papers, one function for each type, which draws into matplotlib axes and returns them.

New axes belong to a figure of their own: ``plots.power_balance(results).figure.savefig("balance.pdf")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...comparison.paired_statistics import FIXED, HIGHER, LOWER, SAME, Comparison, improves
from ..html.runs_panels import colours
from .hub_picture import held, over_time, powers, shade

if TYPE_CHECKING:
    from ...results.result_reader import Results

_GOOD, _BAD, _NEITHER, _OPEN = "#009E73", "#D55E00", "#0072B2", "#8A8F98"


def power_balance(results: Results, hub: str | None = None, axes: Axes | None = None) -> Axes:
    """Draw the stacked powers that feed the bus of a hub and that use it [kW]; periods off the grid are shaded.

    Parameters
    ----------
    results : Results
        The run.
    hub : str, optional
        Name of the hub; the first when left out.
    axes : Axes, optional
        Where to draw; new axes when left out.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no such hub.
    """
    hub = _hub(results, hub)
    axes = _axes(axes)
    powers(axes, results, hub)
    drawn, _ = axes.get_legend_handles_labels()
    shaded = shade(np.array([axes]), results, hub)
    axes.legend(handles=[*drawn, *shaded], loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False)
    _over_time(axes, results)
    return axes


def state_of_charge(runs: Results | Mapping[str, Results], hub: str | None = None, axes: Axes | None = None) -> Axes:
    """Draw the state of charge of the stationary battery over time [%], of one run or of several of one plant.

    Parameters
    ----------
    runs : Results or mapping of str to Results
        The run, or runs by their names.
    hub, axes
        See `power_balance`.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no such hub, or it has no battery.
    """
    named = runs if isinstance(runs, Mapping) else {"": runs}
    first = next(iter(named.values()))
    hub = _hub(first, hub)
    if not first.has(f"{hub}/bess/soc"):
        raise ValueError(f"hub must have a battery, got {hub!r}")
    axes = _axes(axes)
    for (name, colour), results in zip(colours(named), named.values(), strict=True):
        clock, soc = held(results, *results.arrays(f"{hub}/bess/soc"))
        axes.step(clock, 100 * soc, where="post", color=colour, lw=1.4, label=name or None)
    if len(named) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False)
    axes.set_ylim(0, 100)
    axes.set_ylabel("battery SoC [%]")
    _over_time(axes, first)
    return axes


def kpi_differences(comparison: Comparison, kpi: str, axes: Axes | None = None) -> Axes:
    """Draw the differences of one key figure from the baseline, with their confidence intervals.

    Filled marks are significant or exact differences: green is better, red is worse, blue has no better direction.
    Hollow grey marks may be due to chance.

    Parameters
    ----------
    comparison : Comparison
        Comparison by `paired_statistics.compare`.
    kpi : str
        Key of the figure.
    axes : Axes, optional
        Where to draw; new axes when left out.

    Returns
    -------
    Axes
        One row for each controller, in their order from the top.

    Raises
    ------
    ValueError
        If the comparison has no such figure.
    """
    rows = comparison.differences.query("kpi == @kpi").to_dict("records")
    if not rows:
        known = ", ".join(comparison.differences["kpi"].unique())
        raise ValueError(f"kpi must be one of {known}, got {kpi!r}")
    axes = _axes(axes)
    for place, row in enumerate(rows):
        decided = row["verdict"] in (LOWER, HIGHER, FIXED, SAME)
        better = improves(row["difference"], row["better"])
        colour = {True: _GOOD, False: _BAD, None: _NEITHER}[better] if decided else _OPEN
        half = row["high"] - row["difference"]
        axes.errorbar(
            row["difference"],
            place,
            xerr=half if np.isfinite(half) else 0.0,
            fmt="o",
            color=colour,
            markerfacecolor=colour if decided else "white",
            capsize=3,
        )
    axes.axvline(0, color="0.3", lw=0.8)
    axes.set_yticks(range(len(rows)), [fill(str(row["controller"]), 28) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    unit = "" if rows[0]["unit"] == "1" else f" [{rows[0]['unit']}]"
    bars = f"\n(bars: {100 * comparison.level:g} % confidence intervals over {len(comparison.seeds)} seeds)"
    several = bars if len(comparison.seeds) > 1 else ""
    axes.set_xlabel(f"{rows[0]['quantity']}: difference to {comparison.baseline}{unit}{several}", parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def _hub(results: Results, hub: str | None) -> str:
    hub = results.hubs[0] if hub is None else hub
    if hub not in results.hubs:
        raise ValueError(f"hub must be one of {', '.join(results.hubs)}, got {hub!r}")
    return hub


def _axes(axes: Axes | None) -> Axes:
    return Figure(figsize=(7, 3), dpi=150, layout="constrained").subplots() if axes is None else axes


def _over_time(axes: Axes, results: Results) -> None:
    over_time(axes, results)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
