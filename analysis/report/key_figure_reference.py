"""The page docs/kpis.md, written from the declarations of the key figures; `make docs` does it."""

from __future__ import annotations

import sys
from pathlib import Path

from ..kpis.key_figure import KeyFigure
from ..kpis.key_figure_registry import GROUPS

_HEAD = """# Key figures

<!-- written by `make docs` from the declarations in analysis/kpis; edit those -->

`Results.summary()` has a row for each key figure, a column for each hub, and `total`. Rows that apply to no hub are
left out. Everything in it is the same for the same scenario and seed; what depends on the machine stands in
`evhub.analysis.results.summary_table.decision_times`.

Signals hold their value until the next, and so every integral below is exact. Signs: sources positive when they feed
the hub bus, loads positive when they consume, grid positive when it imports. Each key figure is declared where its
formula stands, in `analysis/kpis/*_figures.py`.

The column *total* says what the figure is of all hubs together; *better* which direction is better, where everybody
would agree. Key figures of your own: [results.md](results.md#key-figures-of-your-own).
"""
_TAIL = """
## Controller

`evhub.analysis.results.summary_table.decision_times(results)`: for each diagnostic its count, mean, median, 95 %
quantile and maximum. `CONTROLLER/decision_s` is the wall-clock time of a decision [s]; a controller can add its own,
such as the time or status of its solver.
"""
_TOTALS = {"sum": "sum", "max": "highest", "min": "lowest", "mean": "mean", "ratio": "ratio of the sums"}


def reference() -> str:
    """Return the text of docs/kpis.md."""
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(f"\n## {group.name[0].upper()}{group.name[1:]}\n")
        if group.about:
            parts.append(f"\n{group.about}\n")
        parts.append("\n| key | unit | better | definition | total |\n|---|---|---|---|---|\n")
        parts += [_row(figure) for figure in group.figures()]
    return "".join([*parts, _TAIL])


def _row(figure: KeyFigure) -> str:
    total = _TOTALS[figure.total] if isinstance(figure.total, str) else "see there"
    if figure.formula is None:
        total = "of the feeder"
    unit = "" if figure.unit == "money" else figure.unit
    cells = (f"`{figure.name}`", unit, figure.better, figure.description.rstrip("."), total)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
