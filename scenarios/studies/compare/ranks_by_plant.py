"""Ranks of controllers within each plant of a study, so that rankings stand side by side."""

from __future__ import annotations

import pandas as pd

from ....analysis.comparison.paired_statistics import Comparison, ranks
from .compare_plan import ComparisonPlan


def ranks_by_plant(plan: ComparisonPlan, comparison: Comparison) -> pd.DataFrame:
    """Rank the controllers of each scenario and point of the fields by themselves.

    The ranks of the comparison are over all its variants: a larger battery may outrank every controller. Here only
    those with the same plant and the same forecasts are compared, and their tests are one family.

    Parameters
    ----------
    plan : ComparisonPlan
        The comparison.
    comparison : Comparison
        Its statistics.

    Returns
    -------
    DataFrame
        kpi, plant (what the labels of its variants begin with), controller (the rest of the label), mean, low, high,
        rank; empty where no two variants are of one plant, or all are.
    """
    plants: dict[str, dict[str, str]] = {}
    for variant in plan.planned.variants:
        plants.setdefault(variant.plant, {})[variant.label] = variant.strategy
    if len(plants) == 1:
        return pd.DataFrame()
    tables = []
    for plant, variants in plants.items():
        rows = pd.DataFrame(comparison.kpis[comparison.kpis["controller"].isin(list(variants))])
        if len(set(rows["controller"])) < 2:
            continue
        table = ranks(rows, test=comparison.test, level=comparison.level, random=comparison.random)
        table = table.merge(comparison.means, on=["kpi", "controller"])
        table.insert(1, "plant", plant)
        table["controller"] = [variants[label] for label in table["controller"]]
        tables.append(table[["kpi", "plant", "controller", "mean", "low", "high", "rank"]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
