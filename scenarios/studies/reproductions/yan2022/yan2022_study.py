"""Yan & Tu 2022: the value of each of four stages in a station with V2G and a building."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from .....analysis import open_results
from .....analysis.kpis import step_signals
from .....analysis.results.result_reader import Results
from .....analysis.results.summary_table import decision_times
from .....simulators.units import S_PER_H
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds, informs
from ..scenario_variants import run_variant
from .yan2022_campaign import AT_15_MIN, CLAIRVOYANT, JOURNAL, LEVELS, OPTIMISED, YanCase, campaign, cases
from .yan2022_costs import HUB, costs, hourly_cost, satisfaction
from .yan2022_days import HOURS

__all__ = ["JOURNAL", "TITLE", "interval", "reproduce", "totals"]

TITLE = "Yan & Tu 2022: four stages of a station with V2G and a building"
_NUMBERS = "12345678"
SEEDS = 20
"""Days of the campaign."""
_PAIRS = (("1", "2"), ("3", "4"), ("7", "8"))
_PUBLISHED = {("1", "2"): 15.0, ("3", "4"): 1.55, ("7", "8"): 1.4}
_TABLE_2 = {("III", "5"): 175.8517, ("III", "6"): 177.5471, ("IV", "5"): 112.9843, ("IV", "6"): 114.6291}
# the scenario that has the stages of each cell: up to III the deviations are left to basic control, as in 2 and 3
_CELLS = {("III", "5"): "2", ("III", "6"): "3", ("IV", "5"): "5", ("IV", "6"): "6"}
# the stages are the same: what the paper compares with another scenario
_SAME = {"6": "4", "8": "1"}


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Compute the mean of paired differences, shape (n,), and its 95 % confidence interval (Student's t)."""
    half = float(stats.t.ppf(0.975, differences.size - 1)) * float(differences.std(ddof=1)) / np.sqrt(differences.size)
    mean = float(differences.mean())
    return mean, mean - half, mean + half


def reproduce(folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE) -> list[PublishedRow]:
    """Run the eight scenarios and the campaign, draw figures 6-8, and set our numbers beside the published ones."""
    costs_of = campaign(folder, cases(SEEDS), tell, pool)
    tell(f"scenarios 1 to {len(_NUMBERS)}")
    jobs = [(number, folder) for number in _NUMBERS]
    pool.results(_run, jobs, [f"scenario {number}" for number in _NUMBERS])
    days: dict[str, dict[str, float]] = {}
    for number in _NUMBERS:
        with open_results(folder / f"yan2022-{number}.h5") as results:
            days[number] = costs(results)
            satisfaction(results).to_csv(folder / f"satisfaction-{number}.csv", index=False)
    pd.DataFrame(days).rename_axis("cost").to_csv(folder / "costs.csv")
    _figures(folder)
    return [
        *_comparisons(costs_of),
        *_table_2(costs_of),
        *_gaps(costs_of),
        *_service(folder),
        *_times(folder),
    ]


def _run(job: tuple[str, Path]) -> Path:
    """Run a shipped scenario by its number."""
    number, folder = job
    return run_variant(f"yan2022-{number}", folder, f"yan2022-{number}", lambda _: None)


def totals(costs_of: Mapping[YanCase, Mapping[str, float]], scenario: str, level: float = 1.0, what: str = "total"):
    """Return a cost of a scenario on all days, in the order of the seeds."""
    scenario = _SAME.get(scenario, scenario)
    chosen = sorted((c for c in costs_of if c.scenario == scenario and c.level == level), key=lambda case: case.seed)
    return np.array([costs_of[case][what] for case in chosen])


def _comparisons(costs_of: Mapping[YanCase, Mapping[str, float]]) -> Iterator[PublishedRow]:
    """1:2, 3:4 and 7:8, and that 3:4 grows with the errors."""
    for dear, cheap in _PAIRS:
        first, second = totals(costs_of, dear), totals(costs_of, cheap)
        case = f"{dear} : {cheap}"
        yield informs(case, "ratio of the mean costs", "1", _PUBLISHED[dear, cheap], first.mean() / second.mean())
        fixed = totals(costs_of, cheap, what="pv").mean() + totals(costs_of, cheap, what="storage").mean()
        changeable = (first.mean() - fixed) / (second.mean() - fixed)
        yield informs(case, "the same without what no plan changes (eq. 5, 7)", "1", "", changeable)
        mean, low, high = interval(first - second)
        said = f"{mean:.2f} USD a day, 95 % confidence {low:.2f} to {high:.2f} ({first.size} days)"
        yield holds(case, "saving", f"{cheap} is cheaper", said, low > 0.0)
    gaps = [totals(costs_of, "3", level) - totals(costs_of, "4", level) for level in LEVELS]
    said = ", ".join(f"{level:g}: {gap.mean():.2f} USD" for level, gap in zip(LEVELS, gaps, strict=True))
    rising = interval(gaps[-1] - gaps[0])[1] > 0.0
    yield holds("3 : 4", "saving by the size of the errors", "grows", said, rising)


def _table_2(costs_of: Mapping[YanCase, Mapping[str, float]]) -> Iterator[PublishedRow]:
    """Table 2: costs with the stages up to III and up to IV, at the prices of stage I and II."""
    for (stage, scenario), published in _TABLE_2.items():
        ours = totals(costs_of, _CELLS[stage, scenario]).mean()
        yield informs(scenario, f"cost with the stages up to {stage}", "USD", published, ours)
    ratio = totals(costs_of, "6").mean() / totals(costs_of, "5").mean()
    yield holds(
        "5 : 6", "cost with the prices of stage II", "nearly the same", f"{ratio:.3f}", abs(ratio - 1.0) <= 0.05
    )
    for stage in ("III", "IV"):
        five, six = (_CELLS[stage, scenario] for scenario in "56")
        mean, low, high = interval(totals(costs_of, six) - totals(costs_of, five))
        published = _TABLE_2[stage, "6"] - _TABLE_2[stage, "5"]
        ours = f"{mean:+.2f} USD a day, 95 % confidence {low:.2f} to {high:.2f}"
        yield informs("5 : 6", f"6 less 5, stages up to {stage}", "", f"{published:+.2f} USD", ours)


def _gaps(costs_of: Mapping[YanCase, Mapping[str, float]]) -> Iterator[PublishedRow]:
    """Stage IV against planning again at every step, and against knowing the day."""
    table = totals(costs_of, AT_15_MIN)
    best = {
        ("stage IV against planning at every step", "0.4 %"): totals(costs_of, OPTIMISED),
        # a plan that knows everything: nothing that follows the same rules is cheaper
        ("stage IV against the clairvoyant optimum", ""): totals(costs_of, CLAIRVOYANT, what="planned"),
    }
    for (quantity, published), other in best.items():
        mean, low, high = (100.0 * x / table.mean() for x in interval(table - other))
        yield informs("5", quantity, "", published, f"{mean:.1f} % dearer, 95 % confidence {low:.1f} to {high:.1f} %")


def _service(folder: Path) -> Iterator[PublishedRow]:
    """Customer satisfaction of the shipped days."""
    for number in _NUMBERS:
        whole = pd.read_csv(folder / f"satisfaction-{number}.csv").iloc[-1]
        said = f"{100 * whole['delivered_share']:.2f} % delivered, {100 * whole['target_met']:.0f} % of the targets met"
        met = bool(whole["target_met"] > 1.0 - 1e-9)
        yield holds(number, "customer satisfaction", "targets met", said, met)


def _times(folder: Path) -> Iterator[PublishedRow]:
    """Computing times of scenario 4."""
    with open_results(folder / "yan2022-4.h5") as results:
        times = decision_times(results)
    for name, stage, published in (("I", 1, ""), ("II", 2, ""), ("III", 3, 17.0), ("IV", 4, 0.034)):
        median = float(times.loc[f"ievcs/{HUB}/stage{stage}_s", "median"])
        yield informs("4", f"computing time of stage {name}", "s", published, median)


def _figures(folder: Path) -> None:
    """Figures 6-8: two scenarios each, hour by hour."""
    parts = (
        ("figure-6", "1", "2", ("cost",)),
        ("figure-7", "3", "4", ("storage", "shiftable load")),
        ("figure-8", "7", "8", ("cost", "shiftable load")),
    )
    for name, *numbers, panels in parts:
        figure = Figure(figsize=(9, 3 * len(panels)), dpi=130, layout="constrained")
        for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
            for k, number in enumerate(numbers):
                with open_results(folder / f"yan2022-{number}.h5") as results:
                    values = _hourly(results, panel)
                axes.bar(np.arange(values.size) + 0.3 + 0.4 * k, values, 0.4, label=f"scenario {number}")
            unit = "USD" if panel == "cost" else "kW"
            axes.set_ylabel(f"{panel} [{unit}]" + ("\n> 0 discharges" if panel == "storage" else ""))
            axes.set_xlabel("hour")
            axes.set_xlim(0, HOURS)
            axes.legend(frameon=False)
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{name}.png")


def _hourly(results: Results, panel: str) -> np.ndarray:
    if panel == "cost":
        return hourly_cost(results)
    path = "bess/p_kw" if panel == "storage" else "load/served_kw"
    t_s, values = results.arrays(f"{HUB}/{path}")
    values = values if values.ndim == 1 else values[:, 2]
    return step_signals.mean(t_s, values, step_signals.edges(results.end_s, S_PER_H), results.end_s)
