"""Figures 10 to 14 of Leal et al. 2024: powers above, connectors or state of charge below, special periods shaded."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .....analysis.kpis import kpi_formulas, step_signals
from .....analysis.results.hub_signals import hub_supply
from .....analysis.results.result_reader import Results
from ....schema.scenario_loader import load_scenario

HUB = "depot"
PEAK_S = {2: (150.0, 275.0)}
"""Peak hours of the scenario that has some [s]."""
_LINES = {
    "grid/p_kw": ("consumer unit meter", "#0072B2"),
    "secondary/p_kw": ("secondary source meter", "#E69F00"),
    "cp/p_kw": ("charge point", "#D55E00"),
    "pv/p_kw": ("PV", "#CC79A7"),
    "bess/p_kw": ("BESS", "#8C564B"),
    "dg/p_kw": ("generator", "#7F7F7F"),
    "load/p_kw": ("local load", "#009E73"),
    "controller/p_in_limit_kw": ("input power limit", "#332288"),
}
_CAPACITIES = {
    1: ("contracted",),
    2: ("contracted",),
    4: ("contracted", "installed"),
    5: ("installed",),
}
"""Capacities that a figure shows, by its scenario."""
_CAPACITY_COLOURS = {"contracted": "#882255", "installed": "#44AA99"}
_CONNECTORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#332288")


def draw(results: Results, case: int) -> Figure:
    """Draw one figure.

    Parameters
    ----------
    results : Results
        The run of a scenario.
    case : int
        Its number, 1 to 5.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(9, 7), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    scenario = load_scenario(f"leal2024-{case}").scenario
    for path, (name, colour) in _LINES.items():
        # with the limit, 46.8 kW, figure 12 would show little of the steps
        if results.has(f"{HUB}/{path}") and not (case == 3 and path == "controller/p_in_limit_kw"):
            limit = path.endswith("limit_kw")
            _step(above, results, path, name, colour, lw=1.0 if limit else 1.5, ls="--" if limit else "-")
    if case == 3:
        _step(above, results, "controller/bess_kw", "BESS reference", "#8C564B", lw=1.0, ls=":")
        _step(above, results, "pv/p_limit_kw", "PV limit", "#CC79A7", lw=1.0, ls=":")
        above.set_ylim(-21, 21)
        _soc(below, results)
    else:
        t_s, p_kw = results.arrays(f"{HUB}/cp/connector_p_kw")
        for n, colour in zip(range(p_kw.shape[1]), _CONNECTORS, strict=False):
            _held(below, results, t_s, p_kw[:, n], label=f"connector {n + 1}", color=colour, lw=1.5)
        below.set_ylabel("(b) connectors [kW]")
    for name in _CAPACITIES.get(case, ()):
        kw = getattr(scenario.hubs[HUB].grid, f"{name}_kw")
        above.axhline(kw, color=_CAPACITY_COLOURS[name], lw=1.0, ls="-.", label=f"{name} capacity")
    above.set_ylabel("(a) power [kW]")
    above.axhline(0, color="0.4", lw=0.6)
    _shade(results, case, above, below)
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    below.set_xlabel("time [s]")
    below.set_xlim(0, results.end_s)
    figure.suptitle(f"Scenario {case} (figure {9 + case} of Leal et al. 2024): {scenario.title}", fontsize=10)
    return figure


def _soc(axes: Axes, results: Results) -> None:
    t_s, soc = results.arrays(f"{HUB}/bess/soc")
    _held(axes, results, t_s, 100 * soc, label="BESS SoC", color="#0072B2", lw=1.5)
    axes.axhline(85, color="#E69F00", lw=1, label="upper operation limit")
    axes.axhline(20, color="#009E73", lw=1, label="lower operation limit")
    axes.set_ylim(0, 100)
    axes.set_ylabel("(b) SoC [%]")


def _step(axes: Axes, results: Results, path: str, name: str, colour: str, **style) -> None:
    _held(axes, results, *results.arrays(f"{HUB}/{path}"), label=name, color=colour, **style)


def _held(axes: Axes, results: Results, t_s: np.ndarray, values: np.ndarray, **style) -> None:
    axes.step(np.append(t_s, results.end_s), np.append(values, values[-1]), where="post", **style)


def _shade(results: Results, case: int, *all_axes: Axes) -> None:
    """Pale red from the loss of the grid to the return to it, grey in the peak hours."""
    t_s, state = hub_supply(results, HUB)
    periods = list(zip(*step_signals.episodes(t_s, state != kpi_formulas.GRID, results.end_s), strict=True))
    shades = [(begin, end, "#D55E00", "islanded") for begin, end in periods]
    if case in PEAK_S:
        shades.append((*PEAK_S[case], "0.5", "peak hours"))
    for axes in all_axes:
        for begin, end, colour, name in shades:
            axes.axvspan(begin, end, color=colour, alpha=0.12, lw=0, label=name)
