"""The trade-off in the conclusions of Leal et al. 2024: the margin below the contract against the delay of messages.

Scenario 4 with other factors ``tx_limit_connected`` and other delays: for how long, and how far, the load that comes at
49 s takes the import above the contracted power, and how much import the margin leaves to the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .....analysis import open_results
from .....analysis.kpis.kpi_formulas import energy
from .....analysis.kpis.step_signals import durations
from .....analysis.results.result_reader import Results
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds
from ..scenario_variants import run_variant

TX_LIMITS = (0.78, 0.88, 0.95, 1.0)
DELAYS_S = (0.0, 1.0, 2.0, 4.0)
"""Of measurements and of commands, each [s]."""
CONTRACTED_KW = 50.0
_DUST_KW = 1e-6


def study(folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE) -> list[PublishedRow]:
    """Run scenario 4 over the grid, write ``margin.csv`` and ``margin.png``, and check the statement of the paper.

    Parameters
    ----------
    folder : Path
        Where table and figure are written.
    tell : callable
        Takes what is being done.
    pool : WorkerPool
        Where the runs are made; in this process when left out.

    Returns
    -------
    list of PublishedRow
    """
    tell("margin against delay")
    grid = [(tx_limit, delay_s) for tx_limit in TX_LIMITS for delay_s in DELAYS_S]
    names = [f"margin {tx_limit:g}, delay {delay_s:g} s" for tx_limit, delay_s in grid]
    runs = pd.DataFrame(pool.results(_run, grid, names))
    runs.to_csv(folder / "margin.csv", index=False)
    draw(runs).savefig(folder / "margin.png")
    above = runs.pivot(index="tx_limit", columns="delay_s", values="above_kwh").to_numpy()
    import_kw = runs.query("delay_s == 0")["settled_kw"].to_numpy()
    return [
        holds(
            "margin",
            "a smaller margin risks more in a transient",
            "energy above the contract grows with tx_limit",
            f"{above[0].max():.4f} to {above[-1].max():.4f} kWh",
            bool((np.diff(above, axis=0) >= -1e-9).all() and above[-1].max() > above[0].max()),
        ),
        holds(
            "margin",
            "and uses the capacity better",
            "import grows with tx_limit",
            f"{import_kw[0]:.1f} to {import_kw[-1]:.1f} kW",
            bool((np.diff(import_kw) > 0).all()),
        ),
    ]


def _run(point: tuple[float, float]) -> dict[str, float]:
    """Run scenario 4 with another margin and delay [s]."""
    tx_limit, delay_s = point

    def change(data: dict[str, Any]) -> None:
        delay = {"type": "constant", "mean": f"{delay_s:g}s"}
        data["hubs"]["depot"]["link"] |= {"measurement": delay, "command": delay}
        data["controller"]["tx_limit_connected"] = tx_limit

    with TemporaryDirectory() as scratch, open_results(run_variant("leal2024-4", Path(scratch), "run", change)) as run:
        return {"tx_limit": tx_limit, "delay_s": delay_s, **excess(run)}


def excess(results: Results) -> dict[str, float]:
    """Measure how far the import passed the contract, and where it settles with the load.

    Parameters
    ----------
    results : Results
        A run of scenario 4.

    Returns
    -------
    dict of str to float
        ``above_s`` [s], ``above_kw`` (highest) [kW], ``above_kwh`` [kWh], ``settled_kw`` (import at 75 s) [kW].
    """
    t_s, p_kw = results.arrays("depot/grid/p_kw")
    width_s, over_kw = durations(t_s, results.end_s), np.maximum(p_kw - CONTRACTED_KW, 0.0)
    return {
        "above_s": float(width_s[over_kw > _DUST_KW].sum()),
        "above_kw": float(over_kw.max()),
        "above_kwh": energy(t_s, over_kw, results.end_s),
        "settled_kw": float(p_kw[np.searchsorted(t_s, 75.0, side="right") - 1]),
    }


def draw(runs: pd.DataFrame) -> Figure:
    """Plot the time above the contract, and the import that the margin leaves, over the factor.

    Parameters
    ----------
    runs : DataFrame
        A row for each run.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(9, 3.6), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    for delay_s, rows in runs.groupby("delay_s"):
        left.plot(rows["tx_limit"], rows["above_s"], "o-", label=f"{delay_s:g} s each way")
        right.plot(rows["tx_limit"], rows["settled_kw"], "o-", label=f"{delay_s:g} s each way")
    left.set_ylabel("import above the contract for [s]")
    right.set_ylabel("import with the load, settled [kW]")
    right.axhline(CONTRACTED_KW, color="0.4", lw=0.8, ls="--")
    for axes in (left, right):
        axes.set_xlabel("tx_limit_connected")
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(title="delay", fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
