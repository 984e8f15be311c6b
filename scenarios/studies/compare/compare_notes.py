"""Notes on the limits of a comparison, for the reader of its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ....analysis.comparison.paired_statistics import Comparison
from ....analysis.comparison.run_figures import MACHINE
from ...schema.foresight import foresight
from ..workers.sent_scenario import SentScenario, sent
from ..workers.worker_pool import WorkerDiedError, WorkerPool
from .clairvoyant_bound import CostBound, clairvoyant_bound
from .compare_plan import ComparisonPlan

_SOC_DIFFERS = 0.01


def notes_on(plan: ComparisonPlan, comparison: Comparison, kpis: pd.DataFrame) -> Iterator[str]:
    """Note what depends on the seed, and what the numbers leave out."""
    asked = len(plan.jobs) // len({job.controller for job in plan.jobs})
    seeds = comparison.seeds
    if not comparison.random:
        more = f"; {asked} seeds would be {asked} times the same run" if asked > 1 else ""
        yield (
            "Nothing in these runs depends on the seed: one run of each controller tells all, and its differences are "
            f"exact for this scenario, not a sample{more}."
        )
    elif asked == 1:
        yield (
            "One seed cannot tell chance from difference: the table has single values, and nothing is said of "
            "significance. --seeds N makes more runs."
        )
    elif len(seeds) > 1 and not (comparison.means["std"][comparison.means["group"] != MACHINE] > 0).any():
        yield "No seed changed any key figure: the runs are as good as one, and differences are exact, not a sample."
    yield from (f"{line}." for line in _foresight(plan))
    drawn = ", ".join(plan.random) or "a controller draws random numbers"
    if comparison.random:
        yield f"What depends on the seed: {drawn}."
    ends = comparison.differences.query("kpi == 'soc_end'")
    if (ends["difference"].abs() > _SOC_DIFFERS).any():
        yield "The batteries end at different states of charge (soc_end), which no cost and no energy here counts."
    if comparison.baseline != plan.baseline:
        yield f"{plan.baseline} completed no run; the others are compared with {comparison.baseline}."
    for problem, run in kpis.attrs["problems"].items():
        yield f"{problem} (first in the run of {run})."
    for name in plan.kpis:
        if name not in set(kpis["kpi"]):
            yield f"No run has the key figure {name}."


def bounds(
    plan: ComparisonPlan, comparison: Comparison, kpis: pd.DataFrame, pool: WorkerPool
) -> tuple[pd.DataFrame | None, str]:
    """Compare the net costs of the runs with the clairvoyant bound of their seeds.

    Parameters
    ----------
    plan : ComparisonPlan
        The comparison.
    comparison : Comparison
        Its statistics.
    kpis : DataFrame
        The key figures of all runs.
    pool : WorkerPool
        Where the bounds are computed.

    Returns
    -------
    table : DataFrame or None
        Columns controller, seed, cost_net, bound, above; None where there is no bound.
    note : str
        What follows from it; empty where nobody asked for the net cost.
    """
    costs = pd.DataFrame(kpis[kpis["kpi"] == "cost_net"])
    if plan.kpis and "cost_net" not in plan.kpis:
        return None, ""
    seeds = comparison.seeds
    scenarios = sent(plan.loaded.with_changes(seed=seed) for seed in seeds)
    try:
        cost_bounds: list[CostBound] = pool.results(_bound, scenarios, [f"bound of seed {seed}" for seed in seeds])
    except WorkerDiedError as error:
        cost_bounds = [CostBound(np.nan, str(error))]
    missing = next((bound.why_not for bound in cost_bounds if bound.why_not), "")
    if missing:
        return None, f"No clairvoyant bound of the net cost: {missing}."
    if costs.empty:
        return None, ""
    table = pd.DataFrame(costs.rename(columns={"value": "cost_net"})[["controller", "seed", "cost_net"]])
    cost_by_seed = {seed: bound.cost for seed, bound in zip(seeds, cost_bounds, strict=True)}
    table["bound"] = [cost_by_seed[seed] for seed in table["seed"]]
    table["above"] = table["cost_net"] - table["bound"]
    unit = str(costs["unit"].iloc[0])
    above = table.groupby("controller", sort=False)["above"].mean()
    distances = ", ".join(f"{name} {value:.2f}" for name, value in above.items())
    return table, (
        f"Had everything been known beforehand, the net cost would be at least {table['bound'].mean():.2f} {unit} "
        "(clairvoyant optimum of a simpler model of the plant"
        f"{', mean over the seeds' if len(cost_bounds) > 1 else ''}). "
        f"Above it: {distances} {unit}."
    )


def _foresight(plan: ComparisonPlan) -> list[str]:
    """Return what the strategies were told of the future, a line for all that were told the same."""
    first = {job.controller: job.run for job in reversed(plan.jobs)}
    labels = list(dict.fromkeys(job.controller for job in plan.jobs))
    shared: dict[str, list[str]] = {}
    for label in labels:
        loaded = first[label].loaded
        (*more, spec) = loaded.scenario.controller
        for line in foresight(loaded):
            shared.setdefault(f": {line}" if more else line.removeprefix(spec.type), []).append(label)
    return [_of_all(of, rest, len(labels)) for rest, of in shared.items()]


def _of_all(labels: list[str], rest: str, n: int) -> str:
    if len(labels) == 1:
        return f"{labels[0]}{rest}"
    who = "all that are compared" if len(labels) == n else "; ".join(labels)
    return f"{who}{rest}" if rest.startswith(": ") else f"{who}: each{rest}"


def _bound(scenario: SentScenario) -> CostBound:
    """Find the bound on a worker."""
    return clairvoyant_bound(scenario.loaded)
