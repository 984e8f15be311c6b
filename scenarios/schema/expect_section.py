"""The section ``expect`` of scenario files: what must hold after the run, see docs/checks.md."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from ...simulators.field_types import Count, Duration, Name, NonNegative, Number, Section, Switch
from ..errors import nearest
from .own_key_figures import name_in

if TYPE_CHECKING:
    from ...analysis.checks.expectation_checks import Pattern
    from .scenario_schema import ScenarioSection

_BOUNDS = ("min", "max", "equals")
_CHECKS = ("order", "trend", "reaches", "changes_at")
_COMPANIONS = {
    "signal": ("at", "during", "within", "element", "mean", "tolerance", *_BOUNDS, *_CHECKS),
    "kpi": ("hub", "tolerance", *_BOUNDS),
    "event": (),
    "no_event": (),
    "events_in_order": (),
    "no_alarm": ("during",),
    "invariants": (),
    "golden": (),
}
"""The kinds of expectations, and the keys that may stand beside each."""
_TIMES = ("at", "during", "within", "changes_at")


def _forward(window: tuple[float, float]) -> tuple[float, float]:
    if window[1] <= window[0]:
        raise ValueError(f"must be [from, until] with until after from, got [{window[0]:g}s, {window[1]:g}s]")
    return window


def _path(value: str) -> str:
    path = value.replace(".", "/")
    if path.count("/") != 2 or not all(path.split("/")):
        raise ValueError("must be hub/device/attribute, such as depot/cp/p_kw")
    return path


def _numbers(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise ValueError(f"must name every element once, got {value}")
    return value


def _only_true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true; leave it out to allow alarms")
    return value


def _golden(value: str) -> str:
    parts = value.split("/")
    if not value.endswith((".yaml", ".yml", ".json")) or value.startswith("/") or ".." in parts:
        raise ValueError("must be a .yaml or .json file in the scenario's folder")
    return value


def _form(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "text" if isinstance(value, str) else "one"


Window = Annotated[tuple[Duration, Duration], AfterValidator(_forward)]
"""[from, until], since the start."""
Moment = Annotated[
    Annotated[Duration, Tag("one")] | Annotated[Window, Tag("several")],
    Discriminator(lambda value: "several" if _form(value) == "several" else "one"),
]
"""A time since the start, or a window."""
Level = Annotated[
    Annotated[Number, Tag("one")] | Annotated[str, Tag("text")],
    Discriminator(lambda value: "text" if _form(value) == "text" else "one"),
]
"""A number, or the word for one of the codes of an enumeration."""
Element = Annotated[
    Annotated[Count, Tag("one")] | Annotated[Literal["sum"], Tag("text")],
    Discriminator(lambda value: "text" if _form(value) == "text" else "one"),
]


class EventPattern(Section):
    """Which events are meant: at least one of source, kind and text."""

    source: str | None = None
    """What it happened to, such as depot.ats; * stands for any text."""
    kind: str | None = None
    """Its kind, such as outage; * stands for any text."""
    text: str | None = None
    """What its text contains."""
    at: Duration | None = None
    """When, since the start ..."""
    within: Duration = 0.0
    """... give or take this much."""
    during: Window | None = None
    """Or in which window, both ends included; at any time when left out."""

    @model_validator(mode="after")
    def _says_something(self):
        if self.source is None and self.kind is None and self.text is None:
            raise ValueError("needs at least one of source, kind, text, got none")
        if self.at is not None and self.during is not None:
            raise ValueError("needs at or during, got both")
        if self.at is None and self.within:
            raise ValueError("within belongs to at, got no at")
        return self

    def pattern(self) -> Pattern:
        """Convert the section to the pattern of the analysis."""
        from ...analysis.checks.expectation_checks import Pattern

        begin_s, until_s = self.during or (0.0, math.inf)
        if self.at is not None:
            begin_s, until_s = self.at - self.within, self.at + self.within
        return Pattern(self.source or "*", self.kind or "*", self.text or "", begin_s, until_s)

    def problems(self, scenario: ScenarioSection) -> list[tuple[str, object, str]]:
        """Return what does not fit the rest of the scenario: (key, value, allowed)."""
        return [*_late(scenario, "at", self.at), *_late(scenario, "during", self.during)]


class ExpectSection(Section):
    """Something that must hold of the run: exactly one of the kinds from `signal` to `golden`, and what it takes."""

    name: str = ""
    """What it is called in reports; made of its keys when left out."""
    why: str = ""
    """Where it comes from; told when it fails."""

    signal: Annotated[str, AfterValidator(_path)] | None = None
    """A signal, as hub/device/attribute (or with dots); takes at or during, and one of the checks from min to
    changes_at. Every element of an array has to pass, unless element names one."""
    kpi: str | None = None
    """A key figure of the summary, with min, max or equals."""
    event: EventPattern | None = None
    """An event that has to happen."""
    no_event: EventPattern | None = None
    """An event that must not happen."""
    events_in_order: Annotated[list[EventPattern], Field(min_length=2)] | None = None
    """Events that have to come one after the other; others may come in between."""
    no_alarm: Annotated[Switch, AfterValidator(_only_true)] | None = None
    """true: no event whose kind begins with alarm."""
    invariants: Annotated[list[Literal["balance", "soc_bounds", "ratings", "dead_bus"]], Field(min_length=1)] | None = (
        None
    )
    """Laws of every run: powers balance to 1e-6 kW; states of charge stay in their bounds; no device above its rating;
    a dead bus carries nothing."""
    golden: Annotated[str, AfterValidator(_golden)] | None = None
    """File with recorded results, relative to the scenario file; `evhub check --update` writes it."""

    at: Moment | None = None
    """An instant since the start; the signal's value then. With two times the same as during."""
    during: Window | None = None
    """[from, until]: every value from the first time on, before the second; the whole run when left out."""
    within: Duration = 0.0
    """How far from changes_at the change may be."""
    element: Element | None = None
    """Number of a connector (or phase, bus, ...), from 1; or sum."""
    hub: Name | None = None
    """The hub of a key figure; all of them together when left out."""
    mean: Switch = False
    """Check the time-weighted mean over the window instead of every value."""

    min: Number | None = None
    """Not below this."""
    max: Number | None = None
    """Not above this."""
    equals: Level | None = None
    """This value; of an enumeration (ats/bus), the word for it will do."""
    order: Annotated[list[Count], Field(min_length=2), AfterValidator(_numbers)] | None = None
    """Numbers of elements, the greatest first: [2, 1] says that connector 2 is never below connector 1."""
    trend: Literal["rises", "falls", "never_rises", "never_falls", "constant"] | None = None
    """Which way it goes in the window; rises never falls and ends higher."""
    reaches: Number | None = None
    """Gets to this value, or past it, in the window, and was not there when the window began."""
    changes_at: Duration | None = None
    """Changes at this time, give or take within."""
    tolerance: NonNegative = 1e-6
    """How far off still counts as the same, in the unit of the signal."""

    @model_validator(mode="after")
    def _fits(self):
        keys = _keys_in_use(self)
        kinds = [key for key in keys if key in _COMPANIONS]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_COMPANIONS)}, got {', '.join(kinds) or 'none'}")
        for key in keys:
            if key not in (kinds[0], "name", "why", *_COMPANIONS[kinds[0]]):
                takes = ", ".join(_COMPANIONS[kinds[0]]) or "nothing else"
                raise ValueError(f"{kinds[0]} takes {takes}, got {key}")
        if kinds[0] in ("signal", "kpi"):
            self._one_check(kinds[0], keys)
        return self

    def _one_check(self, kind: str, keys: list[str]) -> None:
        bounds = [key for key in keys if key in _BOUNDS]
        checks = [key for key in keys if key in _CHECKS]
        if len(checks) + bool(bounds) != 1 or ("equals" in bounds and len(bounds) > 1):
            one_of = ", ".join(("min and max", "equals", *(_CHECKS if kind == "signal" else ())))
            raise ValueError(f"{kind} needs one of {one_of}, got {', '.join([*bounds, *checks]) or 'none'}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must be at most max {self.max:g}, got {self.min:g}")
        check = (checks or ["bounds"])[0]
        if self.at is not None and self.during is not None:
            raise ValueError("needs at or during, got both")
        instant = isinstance(self.at, float)
        if instant and (check in ("trend", "reaches", "changes_at") or self.mean):
            raise ValueError(f"{'mean' if self.mean else check} needs a window, got at an instant")
        if check == "changes_at" and self.window != (0.0, math.inf):
            raise ValueError("changes_at is its own window, got another one")
        if check != "changes_at" and "within" in keys:
            raise ValueError("within belongs to changes_at, got no changes_at")
        if self.mean and check != "bounds":
            raise ValueError(f"mean takes min, max or equals, got {check}")
        if check == "order" and self.element is not None:
            raise ValueError("order names its elements itself, got element")
        if kind == "kpi" and isinstance(self.equals, str):
            raise ValueError(f"equals of a kpi must be a number, got {self.equals!r}")

    @property
    def window(self) -> tuple[float, float]:
        """From when until when [s]; without end for the whole run, both the same for an instant."""
        if isinstance(self.at, tuple):
            return self.at
        return (self.at, self.at) if self.at is not None else self.during or (0.0, math.inf)

    @property
    def label(self) -> str:
        """Its name, or its keys as they stand in the file."""
        if self.name:
            return " ".join(self.name.split())
        return ", ".join(f"{key}: {_said(key, getattr(self, key))}" for key in _keys_in_use(self) if key != "why")

    def problems(self, scenario: ScenarioSection) -> list[tuple[str, object, str]]:
        """Return what does not fit the rest of the scenario: (key, value, allowed)."""
        problems: list[tuple[str, object, str]] = []
        for key in ("at", "during", "changes_at"):
            problems += _late(scenario, key, getattr(self, key))
        for key, pattern in self._patterns():
            problems += [(f"{key}.{inner}", value, allowed) for inner, value, allowed in pattern.problems(scenario)]
        places = [*scenario.hubs, *(["network"] if scenario.network else [])]
        if self.signal is not None and self.signal.split("/")[0] not in places:
            problems.append(("signal", self.signal, f"a signal of {' or '.join(places)}"))
        if self.hub is not None and self.hub not in scenario.hubs:
            problems.append(("hub", self.hub, f"one of {', '.join(scenario.hubs)}"))
        if self.kpi is not None:
            problems += _unknown_kpi(self.kpi, [name_in(reference) for reference in scenario.key_figures])
        return problems

    def _patterns(self) -> list[tuple[str, EventPattern]]:
        """Every pattern with its key."""
        several = [(f"events_in_order[{n}]", pattern) for n, pattern in enumerate(self.events_in_order or ())]
        single = [("event", self.event), ("no_event", self.no_event)]
        return [*several, *((key, pattern) for key, pattern in single if pattern is not None)]


def _keys_in_use(section: Section) -> list[str]:
    """Return the keys that are not at their defaults, so that a resolved scenario can be read again."""
    return [key for key, field in type(section).model_fields.items() if getattr(section, key) != field.default]


def _late(
    scenario: ScenarioSection, key: str, time: float | tuple[float, float] | None
) -> list[tuple[str, object, str]]:
    """What lies outside the run."""
    end = f"{scenario.duration:g}s"
    if isinstance(time, tuple):
        span = f"[{time[0]:g}s, {time[1]:g}s]"
        return [(key, span, f"inside the run of {end}")] if time[1] > scenario.duration else []
    late = time is not None and time > scenario.duration
    return [(key, f"{time:g}s", f"a time in the run of {end}")] if late else []


def _unknown_kpi(name: str, own: list[str]) -> list[tuple[str, object, str]]:
    from ...analysis.checks.expectation_checks import kpi_names

    names = dict.fromkeys([*kpi_names(), *own])
    if name in names:
        return []
    return [("kpi", name, f"a key figure of the summary{nearest(name, names, 2) or ': ' + ', '.join(names)}")]


def _said(key: str, value: Any) -> str:
    """A value as it stands in the file."""
    from ...analysis.checks.findings import spelled

    if isinstance(value, Section):
        return "{" + ", ".join(f"{name}: {_said(name, getattr(value, name))}" for name in _keys_in_use(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_said(key, item) for item in value) + "]"
    if key in _TIMES:
        return spelled(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
