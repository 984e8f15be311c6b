"""Pictures of the reproduction of Lavrenova & Denysiuk 2023, after its figures 4-15."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.figure import Figure

from .....analysis import open_results
from .....analysis.kpis import kpi_formulas
from .....analysis.results.hub_signals import balance, colour_of
from .....analysis.results.result_reader import Results

# Okabe & Ito 2008; one colour a car, one a strategy
_CARS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
_STRATEGIES = {"rule": "#8A8F98", "optimum": "#009E73", "optimum day-ahead": "#0072B2"}
_ITEMS = ("charge", "discharge", "sell", "buy")
_DAY = np.datetime64("2020-01-01", "ms")
"""Both seasons are drawn on one day."""


def draw(
    folder: Path, paths: Mapping[str, Path], published_kwh: Mapping[str, Sequence[float]], hub: str
) -> dict[str, Path]:
    """Draw inputs, dispatch and energies.

    Parameters
    ----------
    folder : Path
        Takes the pictures.
    paths : mapping of str to Path
        Result files by the names of the cases, such as ``summer optimum``.
    published_kwh : mapping of str to sequence of 4 float
        Printed energies of the same cases: charge, discharge, sell, buy [kWh].
    hub : str
        Name of the hub.

    Returns
    -------
    dict of str to Path
        The pictures by name.
    """
    runs = {name: open_results(path) for name, path in paths.items()}
    try:
        drawn = {"inputs": _inputs(runs, hub), "day-ahead": _day_ahead(runs, hub)}
        for season in ("summer", "winter"):
            drawn[season] = _season(runs, season, hub)
            drawn[f"{season}-energies"] = _energies(runs, season, hub, published_kwh)
    finally:
        for results in runs.values():
            results.close()
    places = {name: folder / f"{name}.png" for name in drawn}
    for name, figure in drawn.items():
        figure.savefig(places[name], dpi=130)
    return places


def _inputs(runs: Mapping[str, Results], hub: str) -> Figure:
    """EVs, sun and prices (figures 4, 5, 10 and 15)."""
    figure, (cars, sun, prices) = _panels((1.3, 1, 1), "Reconstructed inputs")
    summer = runs["summer rule"]
    t_s, p_kw = summer.arrays(f"{hub}/cp/connector_p_kw")
    level = np.zeros(len(t_s))
    for n, (power, colour) in enumerate(zip(p_kw.T, _CARS, strict=False)):
        _fill(cars, summer, t_s, level, level + power, colour, f"EV{n + 1}")
        level = level + power
    cars.set_ylim(0, None)
    _finish(cars, "EVs [kW]", "Five EVs, charged at once (figure 4)")
    for season, colour in (("summer", colour_of("pv")), ("winter", colour_of("grid"))):
        _line(sun, runs[f"{season} rule"], f"{hub}/pv/p_kw", colour, season)
    sun.set_ylim(0, 31)
    _finish(sun, "PV [kW]", "PV in summer and in winter (figures 5 and 10)")
    for case, colour, label in (
        ("summer optimum", "0.4", "fixed"),
        ("summer optimum day-ahead", _STRATEGIES["optimum day-ahead"], "day-ahead"),
    ):
        _line(prices, runs[case], f"{hub}/tariffs/buy_per_kwh", colour, label)
    prices.set_ylim(0, 6.5)
    _finish(prices, "price\n[UAH/kWh]", "Purchase and sale (table 1, figure 15)")
    return figure


def _season(runs: Mapping[str, Results], season: str, hub: str) -> Figure:
    """Dispatch by the rule and by the optimum, and the storage (figures 6-8, 11-13)."""
    numbers = {"summer": ("6", "7", "8"), "winter": ("11", "12", "13")}[season]
    figure, (rule, best, soc) = _panels((1.5, 1.5, 1), f"Power dispatch in {season}, fixed tariff")
    _dispatch(rule, runs[f"{season} rule"], hub, f"Without optimisation (figure {numbers[0]})")
    _dispatch(best, runs[f"{season} optimum"], hub, f"With optimisation (figure {numbers[1]})")
    for axes in (rule, best):
        axes.set_ylim(*_common(rule.get_ylim(), best.get_ylim()))
    for strategy in ("rule", "optimum"):
        _soc(soc, runs[f"{season} {strategy}"], hub, strategy)
    _finish(soc, "SoC [%]", f"State of charge of the storage (figure {numbers[2]})")
    return figure


def _day_ahead(runs: Mapping[str, Results], hub: str) -> Figure:
    """Dispatch at day-ahead prices in both seasons."""
    figure, (summer, winter, soc, price) = _panels((1.5, 1.5, 0.9, 0.8), "Power dispatch at day-ahead prices")
    for season, axes in (("summer", summer), ("winter", winter)):
        _dispatch(axes, runs[f"{season} optimum day-ahead"], hub, season.capitalize())
        _soc(soc, runs[f"{season} optimum day-ahead"], hub, season, "--" if season == "winter" else "-")
    for axes in (summer, winter):
        axes.set_ylim(*_common(summer.get_ylim(), winter.get_ylim()))
    _finish(soc, "SoC [%]", "State of charge of the storage")
    case = runs["summer optimum day-ahead"]
    _line(price, case, f"{hub}/tariffs/buy_per_kwh", _STRATEGIES["optimum day-ahead"], "price")
    price.set_ylim(0, None)
    _finish(price, "price\n[UAH/kWh]", "Day-ahead price", legend=False)
    return figure


def _energies(
    runs: Mapping[str, Results], season: str, hub: str, published_kwh: Mapping[str, Sequence[float]]
) -> Figure:
    """Energies of rule and optimum, printed and ours (figures 9 and 14)."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    at, width = np.arange(len(_ITEMS)), 0.2
    for n, strategy in enumerate(("rule", "optimum")):
        case, colour = f"{season} {strategy}", _STRATEGIES[strategy]
        printed = axes.bar(
            at + (2 * n - 1.5) * width,
            published_kwh[case],
            width,
            facecolor="none",
            edgecolor=colour,
            hatch="///",
            label=f"{strategy}, published",
        )
        ours = axes.bar(
            at + (2 * n - 0.5) * width, _energies_of(runs[case], hub), width, color=colour, label=f"{strategy}, ours"
        )
        for bars in (printed, ours):
            axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    axes.set_xticks(at, [f"storage: {_ITEMS[0]}", f"storage: {_ITEMS[1]}", "grid: sell", "grid: buy"])
    axes.set_ylabel("energy of the day [kWh]")
    axes.margins(y=0.12)
    _style(axes)
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0))
    number = {"summer": 9, "winter": 14}[season]
    figure.suptitle(f"Energies in {season}, fixed tariff (figure {number})", x=0.01, ha="left", weight="bold")
    return figure


def _energies_of(results: Results, hub: str) -> list[float]:
    """Charge, discharge, sell, buy [kWh]."""
    (bess_s, bess_kw), (grid_s, grid_kw) = (results.arrays(f"{hub}/{device}/p_kw") for device in ("bess", "grid"))
    parts = (kpi_formulas.negative, kpi_formulas.positive)
    return [kpi_formulas.energy(bess_s, part(bess_kw), results.end_s) for part in parts] + [
        kpi_formulas.energy(grid_s, part(grid_kw), results.end_s) for part in parts
    ]


# --- panels -----------------------------------------------------------------------------------------------------------


def _panels(heights: Sequence[float], title: str) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(10, 0.6 + 2.0 * sum(heights)), layout="constrained")
    all_axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    bottom = all_axes[-1]
    bottom.xaxis.set_major_locator(HourLocator(interval=2))
    bottom.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return figure, all_axes


def _dispatch(axes: Axes, results: Results, hub: str, title: str) -> None:
    """What feeds the bus upwards, what uses it downwards."""
    t_s, areas, _ = balance(results, hub, max_points=10_000)
    for source, sign in ((True, 1.0), (False, -1.0)):
        level = np.zeros(len(t_s))
        for area in (area for area in areas if area.source == source):
            top = level + sign * area.p_kw
            _fill(axes, results, t_s, level, top, colour_of(area.device), area.name, 1.0 if source else 0.6)
            level = top
    axes.axhline(0, color="0.3", lw=0.8)
    _finish(axes, "power [kW]\nuses | sources", title)


def _soc(axes: Axes, results: Results, hub: str, label: str, line: str = "-") -> None:
    t_s, soc = results.arrays(f"{hub}/bess/soc")
    # where both seasons are alike, the dashes of one lie upon the other
    colour = _STRATEGIES.get(label, "#E69F00" if line == "--" else _STRATEGIES["optimum day-ahead"])
    clock = _clock(results, t_s)
    axes.step(clock, 100 * np.append(soc, soc[-1]), line, where="post", color=colour, lw=1.6, label=label)
    axes.set_ylim(0, 100)


def _line(axes: Axes, results: Results, path: str, colour: str, label: str) -> None:
    t_s, values = results.arrays(path)
    clock = _clock(results, t_s)
    axes.step(clock, np.append(values, values[-1]), where="post", color=colour, lw=1.6, label=label)


def _fill(
    axes: Axes,
    results: Results,
    t_s: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    colour: str,
    label: str,
    alpha: float = 1.0,
) -> None:
    clock = _clock(results, t_s)
    low, high = np.append(low, low[-1:]), np.append(high, high[-1:])
    axes.fill_between(clock, low, high, step="post", color=colour, alpha=alpha, lw=0, label=label)


def _finish(axes: Axes, label: str, title: str, legend: bool = True) -> None:
    axes.set_ylabel(label)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlim(_DAY, _DAY + np.timedelta64(1, "D"))  # pyright: ignore[reportArgumentType]
    _style(axes)
    if legend:
        axes.legend(frameon=False, fontsize=8, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def _clock(results: Results, t_s: np.ndarray) -> np.ndarray:
    """Times and the end of the run on the clock of one day, whatever the date."""
    return results.clock(np.append(t_s, results.end_s)) - results.clock(np.zeros(1)) + _DAY


def _common(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])
