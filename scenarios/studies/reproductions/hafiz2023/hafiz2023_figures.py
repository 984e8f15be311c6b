"""Pictures of the use cases of Hafiz & Ishchenko 2023: voltage, power, and how every window converged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from .....analysis.results.result_reader import Results

_WHOLE, _PART = "#0072B2", "#D55E00"


def draw(path: Path, whole: Results, part: Results, band_pu: tuple[float, float], label: str) -> None:
    """Draw a case with the whole process and without a part of it.

    Parameters
    ----------
    path : Path
        The picture.
    whole, part : Results
        Both runs.
    band_pu : tuple of float
        Limits of the voltage [pu].
    label : str
        What the other run is called.
    """
    figure = Figure(figsize=(10, 9), layout="constrained")
    voltage, power, rounds, cost = figure.subplots(4, 1, sharex=True)
    figure.suptitle(path.stem, x=0.01, ha="left", weight="bold")
    for results, colour, name in ((part, _PART, label), (whole, _WHOLE, "whole process")):
        for item in ("v_min_pu", "v_max_pu"):
            _line(voltage, results, f"network/grid/{item}", colour, name if item == "v_min_pu" else None)
        for n, hub in enumerate(results.hubs):
            _line(power, results, f"{hub}/grid/p_kw", colour, f"{hub}, {name}", "-" if n == 0 else "--")
    for limit in band_pu:
        voltage.axhline(limit, color="0.3", lw=0.8, ls=":")
    hub = whole.hubs[0]
    _line(rounds, whole, f"{hub}/controller/iterations", _WHOLE, "iterations")
    _line(rounds, whole, f"{hub}/controller/violations", _PART, "violations of the first dispatch", ":")
    _line(rounds, whole, f"{hub}/controller/constraints", "0.5", "constraints of the last one", "--")
    rounds.set_yscale("symlog", linthresh=10)
    rounds.yaxis.set_major_formatter(ScalarFormatter())
    rounds.set_ylim(0.0, max(10.0, 1.5 * rounds.get_ylim()[1]))
    last = "what each window costs"
    if "priorities" in label:
        last = "state of charge of critical (solid) and other buses"
        _vehicles(cost, part, _PART, label)
        _vehicles(cost, whole, _WHOLE, "whole process")
    else:
        _line(cost, whole, f"{hub}/controller/network_cost", _WHOLE, "cost of respecting the network")
        _line(cost, whole, f"{hub}/controller/unserved_kwh", _PART, "demand not served [kWh]", ":")
        cost.set_ylim(0.0, max(1.0, cost.get_ylim()[1]))
    titles = ("lowest and highest voltage [pu]", "import [kW]", "how each window converged", last)
    for axes, title in zip((voltage, power, rounds, cost), titles, strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    zone = whole.clock(np.zeros(1))
    cost.set_xlim(zone[0], whole.clock(np.array([whole.end_s]))[0])
    cost.xaxis.set_major_locator(HourLocator(interval=2))
    cost.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    figure.savefig(path, dpi=130)


def _line(axes: Axes, results: Results, signal: str, colour: str, label: str | None, style: str = "-") -> None:
    """A signal, held from change to change."""
    t_s, values = results.arrays(signal)
    clock = results.clock(np.append(t_s, results.end_s))
    axes.step(clock, np.append(values, values[-1]), style, where="post", color=colour, label=label, lw=1.2)


def _vehicles(axes: Axes, results: Results, colour: str, label: str) -> None:
    """State of charge of every bus while it is there."""
    sessions = results.sessions()
    t_s, soc = results.arrays(f"{results.hubs[0]}/cp/soc")
    clock = results.clock(t_s)
    columns = (sessions[item] for item in ("id", "connector", "plug_s", "end_s"))
    for name, connector, begin_s, end_s in zip(*columns, strict=True):
        there = (t_s >= begin_s) & (t_s < end_s)
        style = "-" if name.startswith("line") else ":"
        axes.plot(clock[there], soc[there, connector], style, color=colour, lw=1.2)
    axes.plot([], [], color=colour, label=label)
