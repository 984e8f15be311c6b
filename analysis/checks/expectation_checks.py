"""Expectations of a run: conditions on its signals, key figures and events, and the check of each of them.

Every expectation is a small dataclass whose method ``fault(run)`` returns a finding, or None if it holds. `evaluate`
checks a list of them. This module does not depend on scenario files; `scenarios.checks` translates their ``expect``
section.

Windows are half-open: what a signal is from `begin_s` on, up to but not at `until_s`. A window without length is one
instant. Comparisons allow for a `tolerance` in the unit of the signal.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ..kpis import step_signals
from ..results.result_layout import ResultError
from .findings import Finding, spelled, worst
from .golden_results import difference
from .invariants import INVARIANTS, Plates
from .signal_checks import ROUNDING, Bounds, Changes, ElementOrder, Reaches, Trend, Values

if TYPE_CHECKING:
    import pandas as pd

    from ..results.result_reader import Results


@dataclass(frozen=True)
class ExpectationResult:
    """Whether a run meets an expectation, and the worst violation if it does not.

    Parameters
    ----------
    name : str
        The expectation in words.
    ok : bool
        Whether it holds.
    text : str
        The value that violates it and what is allowed; empty when it holds.
    t_s, value : float or None
        Time [s] and value of the worst violation, where it has any.
    """

    name: str
    ok: bool
    text: str = ""
    t_s: float | None = None
    value: float | None = None


class CheckedRun:
    """A result with the key figures and events that several expectations need, each read once."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Key figures."""
        return self.results.summary()

    @cached_property
    def events(self) -> list[tuple[float, str, str, str]]:
        """Time [s], source, kind and text of every event, in order."""
        return list(self.results.events()[["t_s", "source", "kind", "text"]].itertuples(index=False, name=None))


class Expectation(Protocol):
    """A condition on a run."""

    @property
    def name(self) -> str:
        """The expectation in words."""
        ...

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the worst violation of the expectation in a run; None if it holds."""
        ...


def evaluate(results: Results, expectations: Sequence[Expectation]) -> list[ExpectationResult]:
    """Check a run against expectations.

    Parameters
    ----------
    results : Results
        The run.
    expectations : sequence of SignalExpectation, Kpi, Happens, Never, EventsInOrder, Invariants or Golden
        Expectations to check.

    Returns
    -------
    list of ExpectationResult
        One for each expectation, in their order. What the result does not have fails.
    """
    run = CheckedRun(results)
    outcomes = []
    for expectation in expectations:
        try:
            fault = expectation.fault(run)
        except ResultError as error:
            fault = Finding(str(error))
        if fault is None:
            outcomes.append(ExpectationResult(expectation.name, True))
        else:
            outcomes.append(ExpectationResult(expectation.name, False, fault.text, fault.t_s, fault.value))
    return outcomes


# --- signals ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignalExpectation:
    """A condition on a signal within a window of time.

    Parameters
    ----------
    name : str
        The expectation in words.
    path : str
        ``hub/device/attribute``.
    check : Bounds, ElementOrder, Trend, Reaches or Changes
        The condition.
    begin_s, until_s : float
        The window [s]; an instant if both are the same, the rest of the run if it has no end.
    element : int, "sum" or None
        Element of an array, from 1, or the sum of them; every one of them for None.
    mean : bool
        Check the time-weighted mean over the window instead of every value in it.
    from_before : bool
        The window also sees the value just before it, and the one at its end.
    """

    name: str
    path: str
    check: Bounds | ElementOrder | Trend | Reaches | Changes
    begin_s: float = 0.0
    until_s: float = inf
    element: int | Literal["sum"] | None = None
    mean: bool = False
    from_before: bool = False

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the worst violation over all checked elements of the signal; None if the check holds."""
        seen = self._seen(run.results)
        if isinstance(self.check, ElementOrder):
            fault = self.check.fault(seen)
            return fault and replace(fault, text=f"{self.path}: {fault.text}")
        if seen.values.ndim == 1:
            return self._fault_of(seen, "sum" if self.element == "sum" else "")
        numbers = range(1, seen.values.shape[1] + 1) if self.element is None else [int(self.element)]
        faults = [self._fault_of(seen.element(number), f"element {number}") for number in numbers]
        return worst([fault for fault in faults if fault is not None])

    def _fault_of(self, seen: Values, which: str) -> Finding | None:
        known = seen.known()
        what = " ".join(part for part in (self.path, which, "mean" if self.mean else "") if part)
        if not len(known.t_s):
            return Finding(f"{what} has no value in the window", self.begin_s, None, inf)
        fault = self.check.fault(known)
        return fault and replace(fault, text=f"{what} {fault.text}")

    def _seen(self, results: Results) -> Values:
        spec = results.spec(self.path)
        t_s, values = results.arrays(self.path)
        if values.ndim > 1 and isinstance(self.element, int) and self.element > values.shape[1]:
            raise ResultError(f"{self.path} has {values.shape[1]} elements, no element {self.element}")
        if values.ndim == 1 and isinstance(self.check, ElementOrder):
            raise ResultError(f"{self.path} is one value and has no order")
        if self.element == "sum" and values.ndim > 1:
            values = np.where(np.isfinite(values), values, 0.0).sum(axis=1)
        until_s = min(self.until_s, results.end_s)
        if self.mean:
            edges = np.array([self.begin_s, until_s])
            times, held = edges[:1], step_signals.mean(t_s, values, edges, results.end_s)
        elif self.from_before:
            inside = t_s[(t_s >= self.begin_s) & (t_s <= until_s)]
            times = np.append(t_s[t_s < self.begin_s][-1:], inside)
            held = step_signals.hold(t_s, values, times)
        else:
            times = np.append(self.begin_s, t_s[(t_s > self.begin_s) & (t_s < until_s)])
            held = step_signals.hold(t_s, values, times)
        return Values(times, held, spec.unit, spec.codes)


# --- key figures ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kpi:
    """Bounds that a key figure must lie within.

    Parameters
    ----------
    name : str
        The expectation in words.
    key : str
        One of `kpi_names`.
    bounds : Bounds
        In the unit of the key figure.
    hub : str
        Name of the hub; ``total`` for all hubs together.
    """

    name: str
    key: str
    bounds: Bounds
    hub: str = "total"

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the key figure as a violation if it is out of bounds or unknown; None otherwise."""
        table = run.summary
        value: Any = table.at[self.key, self.hub] if self.key in table.index and self.hub in table.columns else np.nan
        if value != value and self.key in table.attrs["problems"]:
            return Finding(table.attrs["problems"][self.key])
        if value != value:
            return Finding(f"there is no {self.key}{self._of()}: nothing it could be computed of was recorded")
        unit = str(table.at[self.key, "unit"])
        seen = Values(np.zeros(1), np.array([float(value)]), "" if unit == "1" else unit, None)
        fault = self.bounds.fault(seen)
        text = f"{self.key}{self._of()} is {seen.text(float(value))}, must be {self.bounds.allowed(seen)}"
        return fault and Finding(text, None, float(value))

    def _of(self) -> str:
        return "" if self.hub == "total" else f" of {self.hub}"


def kpi_names() -> tuple[str, ...]:
    """Return the keys of all key figures, in the order of the summary table."""
    from ..results.summary_table import better  # pandas takes longer to import than most expectations to check

    return tuple(better())


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """A pattern that selects events by source, kind, text and time.

    Parameters
    ----------
    source, kind : str
        Source and kind of the event; ``*`` stands for any text.
    text : str
        Text that the text of the event contains.
    begin_s, until_s : float
        When it happens [s], both included.
    """

    source: str = "*"
    kind: str = "*"
    text: str = ""
    begin_s: float = 0.0
    until_s: float = inf

    def like(self, event: tuple[float, str, str, str]) -> bool:
        """Return whether source, kind and text of an event match, whatever its time."""
        _, source, kind, text = event
        return fnmatch.fnmatchcase(source, self.source) and fnmatch.fnmatchcase(kind, self.kind) and self.text in text

    def meets(self, event: tuple[float, str, str, str]) -> bool:
        """Return whether an event matches in source, kind, text and time."""
        return self.begin_s - ROUNDING <= event[0] <= self.until_s + ROUNDING and self.like(event)

    def __str__(self) -> str:
        kind = "" if self.kind == "*" else f"{self.kind} "
        source = "" if self.source == "*" else f" of {self.source}"
        text = f" with {self.text!r}" if self.text else ""
        if self.begin_s == self.until_s:
            when = f" at {spelled(self.begin_s)}"
        else:
            after = f" from {spelled(self.begin_s)}" if self.begin_s else ""
            when = f"{after} until {spelled(self.until_s)}" if self.until_s < inf else after
        return f"{kind}event{source}{text}{when}"


@dataclass(frozen=True)
class Happens:
    """At least one event matches the pattern."""

    name: str
    pattern: Pattern

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return a violation that names the most similar event if no event matches; None otherwise."""
        if any(self.pattern.meets(event) for event in run.events):
            return None
        return _missing(self.pattern, run.events, "")


@dataclass(frozen=True)
class Never:
    """No event matches the pattern."""

    name: str
    pattern: Pattern

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the first matching event and the number of further ones as a violation; None if no event matches."""
        happened = [event for event in run.events if self.pattern.meets(event)]
        if not happened:
            return None
        t_s, source, kind, text = happened[0]
        more = f", and {len(happened) - 1} more" if len(happened) > 1 else ""
        return Finding(f"{source} has {kind} at {spelled(t_s)} ({text}){more}", t_s, None)


@dataclass(frozen=True)
class EventsInOrder:
    """Events that match the patterns in this order; other events may lie between them."""

    name: str
    patterns: tuple[Pattern, ...]

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the first event of the order that does not happen as a violation; None if all happen."""
        start, before = 0, ""
        for pattern in self.patterns:
            met = next((k for k in range(start, len(run.events)) if pattern.meets(run.events[k])), None)
            if met is None:
                return _missing(pattern, run.events, before)
            start = met + 1
            before = f" after {run.events[met][2]} at {spelled(run.events[met][0])}"
        return None


def _missing(pattern: Pattern, events: Sequence[tuple[float, str, str, str]], before: str) -> Finding:
    """Describe an event that did not happen, with the nearest similar one or else the kinds of events there are."""
    like = [event[0] for event in events if pattern.like(event)]
    if like:
        t_s = min(like, key=lambda t: max(pattern.begin_s - t, t - pattern.until_s))
        return Finding(f"no {pattern}{before}; there is one at {spelled(t_s)}", t_s)
    kinds = ", ".join(dict.fromkeys(f"{source} {kind}" for _, source, kind, _ in events))
    return Finding(f"no {pattern}{before}; there are {kinds or 'no events at all'}")


# --- laws and golden results ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invariants:
    """Physical laws that hold in every run, see `invariants`.

    Parameters
    ----------
    name : str
        The expectation in words.
    laws : tuple of str
        Names of the laws, keys of `INVARIANTS`.
    plates : mapping of str to Plates
        Ratings of the devices, by hub.
    """

    name: str
    laws: tuple[str, ...]
    plates: Mapping[str, Plates]

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the worst violation of the first law that is broken; None if all laws hold."""
        for law in self.laws:
            faults = [INVARIANTS[law](run.results, hub, plates) for hub, plates in self.plates.items()]
            if broken := worst([fault for fault in faults if fault is not None]):
                return Finding(f"{law}: {broken.text}", broken.t_s, broken.value, broken.size)
        return None


@dataclass(frozen=True)
class Golden:
    """Results that are equal to an earlier record of them, see `golden_results`.

    Parameters
    ----------
    name : str
        The expectation in words.
    recorded : mapping or None
        Record of an earlier run, see `golden_results.record`; None when there is no record yet.
    file : str
        File of the record, for the message.
    """

    name: str
    recorded: Mapping[str, Any] | None = field(repr=False)
    file: str = ""

    def fault(self, run: CheckedRun) -> Finding | None:
        """Return the largest difference from the record as a violation; None if all are within the tolerance."""
        if self.recorded is None:
            return Finding(f"there is no {self.file} yet; evhub check --update writes it")
        return difference(run.results, run.summary, self.recorded)
