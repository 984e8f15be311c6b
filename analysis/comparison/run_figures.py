"""Key figures of runs of one plant under several controllers and seeds, as one plain table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..results.result_layout import ResultError
from ..results.summary_table import better, decision_times

if TYPE_CHECKING:
    from ..results.result_reader import Results

MACHINE = "controller"
"""Group of the key figures that depend on the machine; they are reported, not tested."""

OF_KPI = ("kpi", "group", "quantity", "unit", "better")
"""Columns that say what a key figure is."""
_COLUMNS = ["controller", "seed", *OF_KPI, "value"]
_MS_PER_S = 1e3
_FOUND = (0.0, 1.0)  # optimal and feasible, see controllers.optimization.solution.Status
_OWN_SECTIONS = {"name", "title", "source", "seed", "controller", "expect", "key_figures"}


def collect(runs: Iterable[Results], names: Iterable[str] | None = None, *, same_plant: bool = True) -> pd.DataFrame:
    """Collect the key figures of runs of one plant under several controllers and seeds.

    Parameters
    ----------
    runs : iterable of Results
        Opened results; each is read before the next is asked for.
    names : iterable of str, optional
        Name of the controller of each run; its type in the scenario when left out.
    same_plant : bool
        Refuse runs of different plants; the names are those of variants where they are wanted.

    Returns
    -------
    DataFrame
        One row for each run and key figure: controller, seed, kpi (the key in `summary.summary`), group, quantity,
        unit, better (less, more, or empty), value (the total over the hubs). Figures of the group `MACHINE` depend on
        the machine: mean and longest time of a decision [ms], and means of the diagnostics of controllers.
        ``attrs["problems"]`` has the reasons why key figures could not be computed, with the first run of each.

    Raises
    ------
    ResultError
        If a run is not complete, is of another plant than the first (where `same_plant`), or has the controller and
        seed of an earlier one.
    """
    frames: dict[tuple[str, int], pd.DataFrame] = {}
    first: Results | None = None
    problems: dict[str, str] = {}
    labels = iter(names) if names is not None else None
    for results in runs:
        first = first or results
        name = str(results.attributes.get("controller", "")) if labels is None else next(labels)
        seed = int(results.attributes.get("seed", 0))
        if results.status != "complete":
            raise ResultError(f"{results.path}: {results.note}; only complete runs can be compared")
        if same_plant:
            check_same_plant(first, results)
        if (name, seed) in frames:
            raise ResultError(f"{results.path}: there is a run of {name} with seed {seed} already")
        figures = _figures(results)
        problems.update({text: f"{name}, seed {seed}" for text in figures.attrs["problems"] if text not in problems})
        frames[name, seed] = figures.assign(controller=name, seed=seed)
    if not frames:
        return pd.DataFrame(columns=pd.Index(_COLUMNS))
    for frame in frames.values():
        frame.attrs = {}
    table = pd.concat(frames.values(), ignore_index=True).reindex(columns=_COLUMNS)
    table.attrs["problems"] = problems
    return table


def check_same_plant(one: Results, other: Results) -> None:
    """Check that two results are runs of the same plant.

    Raises
    ------
    ResultError
        If the scenarios differ in more than name, seed, controller and expectations; it names the sections.
    """
    mine, yours = _sections(one.scenario), _sections(other.scenario)
    mine["hubs' names"], yours["hubs' names"] = str(one.hubs), str(other.hubs)
    differ = [key for key in {**mine, **yours} if mine.get(key) != yours.get(key)]
    if differ:
        raise ResultError(
            f"{other.path}: must be a run of the same plant as {one.path}; the scenarios differ in {', '.join(differ)}"
        )


def _sections(scenario: str) -> dict[str, str]:
    """Return the sections of a resolved scenario that describe the plant, as text by key."""
    sections = {}
    for block in re.split(r"^(?=\w)", scenario, flags=re.MULTILINE):
        key = block.partition(":")[0]
        if block and key not in _OWN_SECTIONS:
            sections[key] = block
    return sections


def _figures(results: Results) -> pd.DataFrame:
    table, directions = results.summary(), better(results)
    rows = [
        (key, row["group"], row["quantity"], row["unit"], directions[key], float(row["total"]))
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
        if key not in table.attrs["problems"]
    ]
    figures = pd.DataFrame(rows + _machine_figures(results), columns=pd.Index([*OF_KPI, "value"]))
    figures.attrs["problems"] = list(table.attrs["problems"].values())
    return figures


def _machine_figures(results: Results) -> list[tuple]:
    """Return times of decisions and means of diagnostics, over all controllers of the run."""
    times = decision_times(results)
    names = [str(name).rpartition("/")[2] for name in times.index]
    rows = []
    for name in dict.fromkeys(names):
        part = [row for row_name, row in zip(names, times.to_dict("records"), strict=True) if row_name == name]
        mean = sum(row["mean"] * row["count"] for row in part) / sum(row["count"] for row in part)
        if name == "decision_s":
            rows.append(("decision_mean_ms", MACHINE, "mean time of a decision", "ms", "", mean * _MS_PER_S))
            longest = max(row["max"] for row in part) * _MS_PER_S
            rows.append(("decision_max_ms", MACHINE, "longest time of a decision", "ms", "", longest))
        elif name == "status":  # a code, whose mean says nothing
            samples = results.diagnostics().to_dict("records")
            codes = [row["value"] for row in samples if str(row["name"]).endswith("/status")]
            found_percent = 100.0 * float(np.isin(codes, _FOUND).mean())
            rows.append(("plans_found", MACHINE, "attempts to plan that gave a plan", "%", "", found_percent))
        elif name.endswith("_s"):
            quantity = name.removesuffix("_s")
            rows.append((f"{quantity}_ms", MACHINE, f"{quantity}, mean", "ms", "", mean * _MS_PER_S))
        else:
            rows.append((name, MACHINE, f"{name}, mean", "1", "", mean))
    return rows
