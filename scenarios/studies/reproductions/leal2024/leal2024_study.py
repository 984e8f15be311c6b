"""The e-mobility hub of Leal et al. 2024: five test scenarios of the controller `emh`, connected and islanded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .....analysis import open_results
from .....analysis.kpis import step_signals
from .....analysis.results.result_reader import Results
from ....checks.check_scenarios import Checked, check_all, prepare
from ....schema.scenario_loader import LIBRARY
from ....schema.yaml_file import read_yaml
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds, not_above, within
from . import leal2024_margin
from .leal2024_figures import draw

TITLE = "Rule-based control of an e-mobility hub, connected and islanded (Leal et al. 2024)"
HUB = "depot"
PUBLISHED = LIBRARY / "data" / "leal2024_published.yaml"
CASES = (1, 2, 3, 4, 5)


def reproduce(folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE) -> list[PublishedRow]:
    """Run the five scenarios and the study of the margin, draw, and set published numbers and statements beside ours.

    Parameters
    ----------
    folder : Path
        Where results and figures are written.
    tell : callable
        Takes what is being done.
    pool : WorkerPool
        Where the runs are made; in this process when left out.

    Returns
    -------
    list of PublishedRow
        The numbers of the paper's text, and one row for each statement without a number.
    """
    published = read_yaml(PUBLISHED)["rows"]
    rows: list[PublishedRow] = []
    paths = [folder / f"leal2024-{case}.h5" for case in CASES]
    ready = [prepare(f"leal2024-{case}") for case in CASES]
    for case, path, checked in zip(CASES, paths, check_all(ready, outputs=paths, pool=pool), strict=True):
        tell(f"scenario {case} of {len(CASES)}")
        if checked.failure:
            rows.append(holds(f"scenario {case}", "the run", "ends", checked.failure, ok=False))
            continue
        with open_results(path) as results:
            rows += [_number(results, row) for row in published if row["case"] == case]
            draw(results, case).savefig(folder / f"figure-{9 + case}.png")
        rows += _statements(case, checked)
    return rows + leal2024_margin.study(folder, tell, pool)


def _number(results: Results, row: dict[str, Any]) -> PublishedRow:
    """A published number and ours."""
    published = f"scenario {row['case']}", row["quantity"], row["unit"], float(row["published"])
    ours = measure(results, row)
    if row.get("at_most"):
        return not_above(*published, ours)
    return within(*published, ours, absolute=row["tolerance"])


def _statements(case: int, checked: Checked) -> list[PublishedRow]:
    """What the paper states without a number, by the scenario's own expectations: how many hold, and which do not."""
    name, broken = f"scenario {case}", [outcome for outcome in checked.outcomes if not outcome.ok]
    n = len(checked.outcomes)
    rows = [holds(name, "statements of the text that hold", str(n), str(n - len(broken)), ok=not broken)]
    return rows + [holds(name, outcome.name, "holds", outcome.text, ok=False) for outcome in broken]


def measure(results: Results, row: dict[str, Any]) -> float:
    """Return a statistic of a signal over a window.

    Parameters
    ----------
    results : Results
        The run.
    row : dict
        ``signal`` of the hub, ``element`` (from 1) where it has several, ``during`` [s], and ``statistic``: mean, max,
        min, or the first time [s] at which it is at most or at least ``level``.

    Returns
    -------
    float
        NaN when a level is never reached.

    Raises
    ------
    ValueError
        For another statistic.
    """
    t_s, values = results.arrays(f"{HUB}/{row['signal']}")
    if "element" in row:
        values = values[:, row["element"] - 1]
    begin_s, end_s = map(float, row["during"])
    at_s = np.unique(np.concatenate([[begin_s], t_s[(t_s > begin_s) & (t_s < end_s)]]))
    held = step_signals.hold(t_s, values, at_s)
    statistic = row["statistic"]
    if statistic == "mean":
        return float(step_signals.mean(t_s, values, np.array([begin_s, end_s]), results.end_s)[0])
    if statistic in ("max", "min"):
        return float(getattr(held, statistic)())
    if statistic in ("first_at_most", "first_at_least"):
        reached = held <= row["level"] if statistic == "first_at_most" else held >= row["level"]
        return float(at_s[reached.argmax()]) if reached.any() else float("nan")
    raise ValueError(f"statistic must be mean, max, min, first_at_most or first_at_least, got {statistic!r}")
