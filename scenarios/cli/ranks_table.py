"""The output of ``evhub compare`` for several plants: the ranks of the controllers side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from ...analysis.comparison.paired_statistics import Comparison


def ranks_tables(comparison: Comparison, ranks: pd.DataFrame) -> Iterator[Table]:
    """Yield, for each key figure whose ranks differ, the ranks of the controllers with each plant side by side.

    Parameters
    ----------
    comparison : Comparison
        The comparison.
    ranks : DataFrame
        From `ranks_by_plant`; it may be empty.

    Yields
    ------
    Table
    """
    if ranks.empty:
        return
    units = comparison.means.drop_duplicates("kpi").set_index("kpi")
    for kpi, rows in ranks.groupby("kpi", sort=False):
        if not any(rows["rank"] > 1):
            continue
        plants = list(dict.fromkeys(rows["plant"]))
        shown = Table(
            title=f"ranks by {units.loc[kpi, 'quantity']}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
        )
        shown.add_column("controller", overflow="fold")
        for plant in plants:
            shown.add_column(escape(plant), justify="right", overflow="fold")
        for controller, cells in rows.groupby("controller", sort=False):
            rank = {row["plant"]: row["rank"] for row in cells.to_dict("records")}
            texts = [f"{rank[plant]:.0f}" if math.isfinite(rank.get(plant, math.nan)) else "" for plant in plants]
            shown.add_row(escape(str(controller)), *texts)
        yield shown
