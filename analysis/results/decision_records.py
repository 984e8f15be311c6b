"""Records of the decisions of a controller: the rules in force, its alarms and other events, its plans."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...controllers.optimization.solution import SolveStatus
from ..kpis import step_signals

if TYPE_CHECKING:
    from .result_reader import Results

RULE, ALARM = "rule", "alarm"
"""Kinds of events: a rule that is in force from now on, and an alarm."""
_STATUS = dict(enumerate(status.value for status in SolveStatus)) | {-1: "data refused"}
_SOLVED = (SolveStatus.OPTIMAL.value, SolveStatus.FEASIBLE.value)
_MS_PER_S = 1e3


@dataclass(frozen=True)
class Lane:
    """The rules that decided one quantity over time.

    Parameters
    ----------
    name : str
        The quantity that was decided, such as ``cp``.
    t_s : array, shape (k,)
        Times from which a rule decides [s].
    rules : list of str, length k
        The rules.
    texts : list of str, length k
        Texts of the events, one for each change.
    """

    name: str
    t_s: np.ndarray
    rules: list[str]
    texts: list[str]


@dataclass(frozen=True)
class ControllerMessage:
    """A message of a controller.

    Parameters
    ----------
    t_s : float
        Time [s].
    text : str
        The message.
    trouble : bool
        Whether it is an alarm or a plan that failed.
    """

    t_s: float
    text: str
    trouble: bool


def lanes(results: Results, hub: str) -> list[Lane]:
    """Return the rules in force over time, from events of the kind ``rule``.

    Their text begins with the quantity that is decided and ends with the rule: ``cp 40.00 kW by cost_rule_1``.

    Parameters
    ----------
    results : Results
        The run.
    hub : str
        Name of the hub.

    Returns
    -------
    list of Lane
        In the order of their first appearance.
    """
    changes: dict[str, list[tuple[float, str, str]]] = {}
    for t_s, kind, text in _events(results, hub):
        if kind == RULE and text:
            changes.setdefault(text.split()[0], []).append((t_s, text.rpartition(" by ")[2], text))
    return [
        Lane(name, np.array([t_s for t_s, _, _ in rows]), [rule for _, rule, _ in rows], [text for *_, text in rows])
        for name, rows in changes.items()
    ]


def alarms(results: Results, hub: str) -> tuple[np.ndarray, np.ndarray]:
    """Return begin and end of the periods with an active alarm [s]; empty if ``alarms`` is not recorded."""
    path = f"{hub}/controller/alarms"
    if not results.has(path):
        return np.empty(0), np.empty(0)
    t_s, active = results.arrays(path)
    return step_signals.episodes(t_s, active > 0, results.end_s)


def events(results: Results, hub: str) -> list[ControllerMessage]:
    """Return the events of the controller of a hub, except those of the kind ``rule``."""
    return [
        ControllerMessage(t_s, f"{kind}: {text}" if text else kind, kind == ALARM)
        for t_s, kind, text in _events(results, hub)
        if kind != RULE
    ]


def plans(results: Results, hub: str) -> list[ControllerMessage]:
    """Return how every attempt to plan ended, from the diagnostics ``status``, ``solve_s`` and ``gap``."""
    table = results.diagnostics()
    attempts: dict[float, dict[str, float]] = {}
    for row in table.to_dict("records"):
        owner, _, what = str(row["name"]).rpartition("/")
        if owner.endswith(f"/{hub}"):
            attempts.setdefault(row["t_s"], {})[what] = row["value"]
    messages = []
    for t_s, values in attempts.items():
        if math.isfinite(values.get("status", math.nan)):
            status = _STATUS.get(round(values["status"]), f"status {values['status']:g}")
            more = f" in {values['solve_s'] * _MS_PER_S:.0f} ms" if "solve_s" in values else ""
            gap = f", {values['gap']:.2%} from the best at most" if values.get("gap", 0.0) > 0 else ""
            messages.append(ControllerMessage(t_s, f"plan: {status}{more}{gap}", status not in _SOLVED))
    return messages


def _events(results: Results, hub: str) -> list[tuple[float, str, str]]:
    table = results.events()
    rows = zip(table["t_s"], table["source"], table["kind"], table["text"], strict=True)
    return [(t_s, kind, text) for t_s, source, kind, text in rows if source == f"{hub}.controller"]
