"""What a result shows of itself in a notebook: a picture of each hub, and the key figures."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

import pandas as pd

from ...results.result_reader import Results
from .hub_picture import overview

_MAX_PICTURES = 4


def notebook_view(results: Results) -> str:
    """Return a result as HTML: pictures of its first four hubs, where it has their series, and all key figures.

    Parameters
    ----------
    results : Results
        The run.

    Returns
    -------
    str
        HTML without references to anything outside.
    """
    pictures = [_picture(results, hub) for hub in results.hubs[:_MAX_PICTURES]] if results.has_series else []
    note = f"<p>{escape(results.note)}</p>" if results.note else ""
    title = escape(f"{results.name}: {', '.join(results.hubs)}")
    return "\n".join([f"<h4>{title}</h4>", note, *pictures, _table(results.summary())])


def _picture(results: Results, hub: str) -> str:
    raw = BytesIO()
    overview(results, hub).savefig(raw, format="png", dpi=80)
    data = b64encode(raw.getvalue()).decode("ascii")
    return f'<img alt="{escape(hub)} over the run" style="max-width:100%" src="data:image/png;base64,{data}">'


def _table(summary: pd.DataFrame) -> str:
    """Return the key figures as a table, group by group, without the totals of a single hub."""
    columns = [name for name in summary.columns if name not in ("group", "quantity", "unit")]
    if len(columns) == 2:  # the hub and the same as total
        columns = columns[:1]
    head = "".join(f'<th style="text-align:right">{escape(name)}</th>' for name in columns)
    lines = ["<table>", f"<thead><tr><th></th><th></th>{head}</tr></thead>", "<tbody>"]
    for group, rows in summary.groupby("group", sort=False):
        lines.append(f'<tr><th colspan="{len(columns) + 2}" style="text-align:left">{escape(str(group))}</th></tr>')
        for row in rows.to_dict("records"):
            cells = "".join(f'<td style="text-align:right">{_number(row[name])}</td>' for name in columns)
            quantity, unit = escape(row["quantity"]), escape(row["unit"])
            lines.append(f'<tr><td style="text-align:left">{quantity}</td><td>{unit}</td>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table>"])


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
