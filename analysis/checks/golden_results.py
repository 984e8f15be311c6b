"""Golden results: key figures and decimated signals of a run as plain data, and the comparison of later runs with them.

The data are small enough to be reviewed as text: one number a line, beside its name and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ...simulators.devices import derived, kind_names, kinds
from ..kpis import step_signals
from .findings import Finding, shown, spelled, worst

if TYPE_CHECKING:
    import pandas as pd

    from ..results.result_reader import Results


@derived
def recorded_signals() -> tuple[str, ...]:
    """Return the signals of a hub that are recorded: powers of all kinds of devices, and further ones of each kind."""
    powers = [f"{name}/p_kw" for name in ("grid", *kind_names())]
    return (*powers, *(f"{kind.name}/{output}" for kind in kinds() for output in kind.golden))


MAX_MEANS = 24
TOLERANCE = {"relative": 1e-4, "absolute": 1e-6}
DIGITS = 6
_NOTHING = 1e-9  # less is rounding


def record(results: Results, summary: pd.DataFrame, earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the key figures and interval means of a run as plain data.

    Parameters
    ----------
    results : Results
        The run.
    summary : DataFrame
        Its key figures, see `summary.summary`.
    earlier : mapping, optional
        An earlier record, whose interval, tolerance and choice of key figures and signals are kept.

    Returns
    -------
    dict
        ``scenario``, ``controller`` and ``seed`` of the run. ``kpis``: value by column of the summary and key.
        ``every``: interval [s]. ``signals``: by path, the mean over each interval by its begin. ``tolerance``:
        ``relative`` and ``absolute``, the sum of which may differ.
        Numbers have 6 digits; None stands for unknown.
    """
    from ..results.hub_signals import resolution_s

    columns = ["total"] if len(results.hubs) == 1 else [*results.hubs, "total"]
    kpis = {column: list(summary.index) for column in columns}
    paths = [f"{hub}/{signal}" for hub in results.hubs for signal in recorded_signals()]
    every_s = resolution_s(results.end_s, MAX_MEANS)
    tolerance: Mapping[str, float] = TOLERANCE
    if earlier is not None:
        kpis = {column: list(values) for column, values in earlier["kpis"].items() if column in summary}
        paths, every_s, tolerance = list(earlier["signals"]), earlier["every"], earlier["tolerance"]
    return {
        **_run_of(results),
        "kpis": {
            column: {key: _rounded(float(summary.at[key, column])) for key in keys if key in summary.index}  # pyright: ignore[reportArgumentType]
            for column, keys in kpis.items()
        },
        "every": every_s,
        "signals": {path: _means(results, path, every_s) for path in paths if results.has(path)},
        "tolerance": dict(tolerance),
    }


def begins(end_s: float, every_s: float) -> list[str]:
    """Return the begin of every interval of a record, in the format of the record."""
    return [spelled(t_s) for t_s in step_signals.edges(end_s, every_s)[:-1]]


def difference(results: Results, summary: pd.DataFrame, recorded: Mapping[str, Any]) -> Finding | None:
    """Compare a run with its record and return the largest differences.

    Parameters
    ----------
    results, summary
        As for `record`.
    recorded : mapping
        Record of an earlier run, see `record`.

    Returns
    -------
    Finding or None
        How many numbers differ, and the worst signal, with its time, and key figure; None when all are within the
        tolerance.
    """
    for key, now in _run_of(results).items():
        if recorded[key] != now:
            return Finding(f"recorded with {key} {recorded[key]}, this run has {now}")
    now = record(results, summary, recorded)
    groups = [_differing(now, recorded, group) for group in ("signals", "kpis")]
    largest = [finding for finding in map(worst, groups) if finding is not None]
    if not largest:
        return None
    count = sum(len(values) for group in ("signals", "kpis") for values in recorded[group].values())
    texts = "; ".join(finding.text for finding in largest)
    text = f"{sum(map(len, groups))} of {count} numbers differ, most of all: {texts}"
    return Finding(text, largest[0].t_s, largest[0].value)


def _differing(now: Mapping[str, Any], recorded: Mapping[str, Any], group: str) -> list[Finding]:
    """Return a finding for every number of a group that differs from its record by more than the tolerance."""
    tolerance, differing = recorded["tolerance"], []
    for name, values in recorded[group].items():
        for number, (key, was) in enumerate(values.items()):
            value = now[group].get(name, {}).get(key)
            allowed = tolerance["absolute"] + tolerance["relative"] * abs(was or 0.0)
            away = _away(value, was)
            if away > allowed:
                t_s = number * recorded["every"] if group == "signals" else None
                where = f"{name} from {key}" if group == "signals" else f"{key} of {name}"
                text = f"{where} is {_text(value)}, was {_text(was)} within {allowed:.2g}"
                differing.append(Finding(text, t_s, value, away / allowed if allowed else away))
    return differing


def _run_of(results: Results) -> dict[str, Any]:
    return {
        "scenario": results.name,
        "controller": str(results.attributes.get("controller", "")),
        "seed": int(results.attributes.get("seed", 0)),
    }


def _means(results: Results, path: str, every_s: float) -> dict[str, float | None]:
    t_s, values = results.arrays(path)
    if values.ndim > 1:
        values = values.sum(axis=1)
    means = step_signals.mean(t_s, values, step_signals.edges(results.end_s, every_s), results.end_s)
    return dict(zip(begins(results.end_s, every_s), map(_rounded, means.tolist()), strict=True))


def _rounded(value: float) -> float | None:
    if not isfinite(value):
        return None
    return 0.0 if abs(value) < _NOTHING else float(f"{value:.{DIGITS}g}")


def _away(value: float | None, was: float | None) -> float:
    if value is None or was is None:
        return 0.0 if value is was else np.inf
    return abs(value - was)


def _text(value: float | None) -> str:
    return "unknown" if value is None else shown(value)
