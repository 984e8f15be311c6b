"""Means of key figures by what was varied, with intervals over the seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .paired_statistics import LEVEL, means


def means_by(runs: pd.DataFrame, by: Sequence[str], level: float = LEVEL) -> pd.DataFrame:
    """Compute the mean of each key figure for each value of some columns, with its interval over the seeds.

    Runs that share these values are averaged within each seed first: seeds are the sample, and what else was varied is
    not. So the interval says how far the mean over all of them would move with other seeds.

    Parameters
    ----------
    runs : DataFrame
        One row for each run and key figure: variant, seed, kpi, value, unit, and the columns of `by`.
    by : sequence of str
        Columns to group by.
    level : float
        Confidence level of the intervals (Student's t).

    Returns
    -------
    DataFrame
        The columns of `by`, kpi, unit, n (seeds of which no variant with this figure is missing), mean, std, low, high.
        std, low and high are NaN with one seed.
    """
    keys = list(dict.fromkeys(by))
    known = runs.dropna(subset=["value"])
    groups = known.groupby([*keys, "kpi", "unit"], sort=False)
    variants = groups["variant"].transform("nunique")
    present = known.groupby([*keys, "kpi", "unit", "seed"], sort=False)["variant"].transform("nunique")
    complete = known[present == variants]
    averaged = complete.groupby([*keys, "kpi", "unit", "seed"], sort=False, as_index=False)["value"].mean()
    # what `means` calls a controller is here one combination of the columns of `by`
    places = pd.DataFrame(averaged[keys]).drop_duplicates().reset_index(drop=True).rename_axis("place").reset_index()
    averaged = averaged.merge(places, on=keys)
    averaged = averaged.assign(controller=averaged["place"], group="", quantity=averaged["kpi"], better="")
    table = means(averaged, level).rename(columns={"controller": "place"}).query("n > 0")
    kpis = list(runs["kpi"].unique())
    table["order"] = [kpis.index(name) for name in table["kpi"]]
    table = table.sort_values(["place", "order"], kind="stable").drop(columns=["group", "quantity", "better"])
    columns = [*keys, "kpi", "unit", "n", "mean", "std", "low", "high"]
    return pd.DataFrame(table.merge(places, on="place")[columns])
