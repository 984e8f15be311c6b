"""Yan & Tu 2022: what each of four stages is worth in a station with V2G and a building."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from ...analysis import open_results, steps
from ...analysis.reproduction import Row, holds, informs
from ...analysis.results import Results
from ...analysis.summary import decision_times
from ...simulators.models.units import S_PER_H
from ..build import build
from ..loader import LIBRARY, parse
from ..runner import run_wiring
from ..yaml_loader import read_yaml
from .yan2022_costs import HUB, costs, hourly_cost, satisfaction
from .yan2022_days import HOURS, write_day

TITLE = "Yan & Tu 2022: four stages of a station with V2G and a building"
SEEDS = 20
"""Days of the campaign."""
_LEVELS = (0.0, 0.5, 1.0)
"""Errors of the forecasts, and depth of the disturbance, against what is assumed."""
_PAIRS = (("1", "2"), ("3", "4"), ("7", "8"))
_PUBLISHED = {("1", "2"): 15.0, ("3", "4"): 1.55, ("7", "8"): 1.4}
_TABLE_2 = {("III", "5"): 175.8517, ("III", "6"): 177.5471, ("IV", "5"): 112.9843, ("IV", "6"): 114.6291}
# the stages are the same: what the paper compares with another scenario
_SAME = {"6": "4", "8": "1"}
_OPTIMISED, _AT_15_MIN, _CLAIRVOYANT = "5 optimised", "5 at 15 min", "1 clairvoyant"


@dataclass(frozen=True)
class Case:
    """A run of the campaign.

    Parameters
    ----------
    scenario : str
        Number of the scenario, or of one and a variant of it for the two gaps.
    seed : int
        Of weather, sessions, and the errors of the forecasts.
    level : float
        Size of these errors.
    """

    scenario: str
    seed: int
    level: float = 1.0


def scenario_data(case: Case) -> dict[str, Any]:
    """The data of a shipped scenario for another day, without the feeder: its limits bind on none of the days."""
    data = dict(read_yaml(LIBRARY / f"yan2022-{case.scenario[0]}.yaml"))
    hub, controller = dict(data["hubs"][HUB]), dict(data["controller"])
    del data["network"], data["expect"], controller["feeder"]
    forecasts = hub["forecasts"]
    load, sessions = forecasts["load"], forecasts["sessions"]
    hub["forecasts"] = {
        "pv": forecasts["pv"],
        "load": {**load, "std": case.level * load["std"]},
        "sessions": {
            "type": "noisy",
            "arrival_std": f"{30 * case.level:g}min",
            "departure_std": f"{45 * case.level:g}min",
            "energy_std": case.level * sessions["energy_std"],
        },
    }
    if case.scenario != case.scenario[0]:
        controller["period"] = "15min"
    if case.scenario == _OPTIMISED:
        controller["stages"] = {**controller["stages"], "real_time": "optimise"}
    if case.scenario == _CLAIRVOYANT:
        hub["forecasts"] = {}
        del controller["pv_memory"]
    return {**data, "seed": case.seed, "hubs": {HUB: hub}, "controller": controller}


def run(case: Case, folder: Path) -> dict[str, float]:
    """Run a case in a folder of its own; gives its costs, see `costs`."""
    own = folder / f"{case.scenario.replace(' ', '-')}-{case.seed}-{case.level:g}"
    (own / "data").mkdir(parents=True, exist_ok=True)
    write_day(own / "data", case.seed, disturbance=case.level)
    loaded = parse(scenario_data(case), own / "scenario.yaml")
    path = run_wiring(build(loaded), loaded, own / "result.h5", engine="inprocess")
    with open_results(path) as results:
        found = costs(results)
    path.unlink()
    return found


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences, shape (n,), and its 95 % confidence interval (Student's t)."""
    half = float(stats.t.ppf(0.975, differences.size - 1)) * float(differences.std(ddof=1)) / np.sqrt(differences.size)
    mean = float(differences.mean())
    return mean, mean - half, mean + half


def cases(seeds: int) -> list[Case]:
    """Everything the campaign runs."""
    found = [Case(scenario, seed) for seed in range(seeds) for scenario in "123457"]
    found += [Case(scenario, seed) for seed in range(seeds) for scenario in (_AT_15_MIN, _OPTIMISED, _CLAIRVOYANT)]
    found += [Case(s, seed, level) for seed in range(seeds) for s in "34" for level in _LEVELS if level != 1.0]
    return found


def campaign(
    folder: Path, todo: Sequence[Case], tell: Callable[[str], None], workers: int = 2
) -> dict[Case, dict[str, float]]:
    """Run cases on several processes; gives the costs of each."""
    found: dict[Case, dict[str, float]] = {}
    with ProcessPoolExecutor(workers) as pool:
        for case, one in zip(todo, pool.map(run, todo, [folder] * len(todo)), strict=True):
            found[case] = one
            tell(f"{len(found)} of {len(todo)} runs")
    return found


def reproduce(folder: Path, tell: Callable[[str], None]) -> list[Row]:
    """Run the eight scenarios and the campaign, draw figures 6-8, and set our numbers beside the published ones."""
    days: dict[str, dict[str, float]] = {}
    for number in "12345678":
        tell(f"scenario {number}")
        loaded = parse(read_yaml(path := LIBRARY / f"yan2022-{number}.yaml"), path)
        result = folder / f"yan2022-{number}.h5"
        result.unlink(missing_ok=True)
        run_wiring(build(loaded), loaded, result, engine="inprocess")
        with open_results(result) as results:
            days[number] = costs(results)
            satisfaction(results).to_csv(folder / f"satisfaction-{number}.csv", index=False)
    pd.DataFrame(days).rename_axis("cost").to_csv(folder / "costs.csv")
    _figures(folder)
    found = campaign(folder / "days", cases(SEEDS), tell)
    table = [{"scenario": c.scenario, "seed": c.seed, "level": c.level, **costs} for c, costs in found.items()]
    pd.DataFrame(table).to_csv(folder / "campaign.csv", index=False)
    return [
        *_comparisons(found),
        *_table_2(found),
        *_gaps(found),
        *_service(folder),
        *_times(folder),
    ]


def totals(found: Mapping[Case, Mapping[str, float]], scenario: str, level: float = 1.0, what: str = "total"):
    """A cost of a scenario on all days, in the order of the seeds."""
    scenario = _SAME.get(scenario, scenario)
    chosen = sorted((c for c in found if c.scenario == scenario and c.level == level), key=lambda case: case.seed)
    return np.array([found[case][what] for case in chosen])


def _comparisons(found: Mapping[Case, Mapping[str, float]]) -> Iterator[Row]:
    """1:2, 3:4 and 7:8, and that 3:4 grows with the errors."""
    for dear, cheap in _PAIRS:
        first, second = totals(found, dear), totals(found, cheap)
        case = f"{dear} : {cheap}"
        yield informs(case, "ratio of the mean costs", "1", _PUBLISHED[dear, cheap], first.mean() / second.mean())
        mean, low, high = interval(first - second)
        said = f"{mean:.2f} USD a day, 95 % confidence {low:.2f} to {high:.2f} ({first.size} days)"
        yield holds(case, "saving", f"{cheap} is cheaper", said, low > 0.0)
    gaps = [totals(found, "3", level) - totals(found, "4", level) for level in _LEVELS]
    said = ", ".join(f"{level:g}: {gap.mean():.2f} USD" for level, gap in zip(_LEVELS, gaps, strict=True))
    rising = interval(gaps[-1] - gaps[0])[1] > 0.0
    yield holds("3 : 4", "saving by the size of the errors", "grows", said, rising)


def _table_2(found: Mapping[Case, Mapping[str, float]]) -> Iterator[Row]:
    """Costs by the plans of stage III and after stage IV, with the prices of stage I and II."""
    for (stage, scenario), published in _TABLE_2.items():
        what = "planned" if stage == "III" else "total"
        yield informs(scenario, f"cost, stage {stage}", "USD", published, totals(found, scenario, what=what).mean())
    five, six = totals(found, "5"), totals(found, "6")
    ratio = six.mean() / five.mean()
    yield holds(
        "5 : 6", "cost with the prices of stage II", "nearly the same", f"{ratio:.3f}", abs(ratio - 1.0) <= 0.05
    )
    for stage, published, what in (("III", 1.6954, "planned"), ("IV", 1.6448, "total")):
        mean, low, high = interval(totals(found, "6", what=what) - totals(found, "5", what=what))
        ours = f"{mean:+.2f} USD a day, 95 % confidence {low:.2f} to {high:.2f}"
        yield informs("5 : 6", f"6 less 5, stage {stage}", "", f"{published:+.2f} USD", ours)


def _gaps(found: Mapping[Case, Mapping[str, float]]) -> Iterator[Row]:
    """Stage IV against planning again at every step, and against knowing the day."""
    table = totals(found, _AT_15_MIN)
    best = {
        ("stage IV against planning at every step", "0.4 %"): totals(found, _OPTIMISED),
        # a plan that knows everything: nothing that follows the same rules is cheaper
        ("stage IV against the clairvoyant optimum", ""): totals(found, _CLAIRVOYANT, what="planned"),
    }
    for (quantity, published), other in best.items():
        mean, low, high = (100.0 * x / table.mean() for x in interval(table - other))
        yield informs("5", quantity, "", published, f"{mean:.1f} % dearer, 95 % confidence {low:.1f} to {high:.1f} %")


def _service(folder: Path) -> Iterator[Row]:
    """Customer satisfaction of the shipped days."""
    for number in "12345678":
        whole = pd.read_csv(folder / f"satisfaction-{number}.csv").iloc[-1]
        said = f"{100 * whole['delivered_share']:.2f} % delivered, {100 * whole['target_met']:.0f} % of the targets met"
        met = bool(whole["target_met"] > 1.0 - 1e-9)
        yield holds(number, "customer satisfaction", "targets met", said, met)


def _times(folder: Path) -> Iterator[Row]:
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
    return steps.mean(t_s, values, steps.edges(results.end_s, S_PER_H), results.end_s)
