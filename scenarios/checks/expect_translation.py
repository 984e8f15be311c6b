"""From the ``expect`` section of a scenario to what the analysis evaluates.

Which signals there are, how long an array is and which words an enumeration has is known from the wiring, so that what
cannot be checked is reported before the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...analysis.checks import expectation_checks
from ...analysis.checks.invariants import Plates
from ...analysis.checks.signal_checks import Bounds, Changes, ElementOrder, Reaches, Trend
from ...simulators.charge_point.charge_point_section import kinds_of
from ..assembly.site_build import plates_of
from ..engines.wiring import Signal, Wiring
from ..errors import nearest
from ..schema.expect_section import ExpectSection
from ..schema.scenario_schema import HubSection, ScenarioSection


def problems_with(item: ExpectSection, wiring: Wiring) -> list[tuple[str, object, str]]:
    """Return where an expectation does not fit the recorded signals: (key, value, allowed)."""
    if item.signal is None:
        return []
    signals = {signal.path: signal for signal in wiring.signals}
    signal = signals.get(item.signal)
    if signal is None:
        return [("signal", item.signal, _signals_near(item.signal, list(signals)))]
    problems: list[tuple[str, object, str]] = []
    numbers = item.order or ([] if item.element is None else [item.element])
    for number in numbers:
        key = "order" if item.order else "element"
        if signal.width is None:
            problems.append((key, number, f"left out: {item.signal} is one value"))
        elif isinstance(number, int) and number > signal.width:
            problems.append((key, number, f"one of the {signal.width} elements of {item.signal}"))
    words = list((signal.port.codes or {}).values())
    if isinstance(item.equals, str) and item.equals not in words:
        problems.append(("equals", item.equals, f"one of {', '.join(words)}" if words else "a number"))
    return problems


def checkable(
    item: ExpectSection, scenario: ScenarioSection, wiring: Wiring, recorded: Mapping[str, Any] | None = None
) -> expectation_checks.Expectation:
    """Convert an item of the section ``expect`` to an expectation of the analysis.

    Parameters
    ----------
    item : ExpectSection
        Of the scenario file, without `problems_with` the wiring.
    scenario : ScenarioSection
        The scenario.
    wiring : Wiring
        Its plant.
    recorded : mapping, optional
        Content of its golden file, where it names one that exists.

    Returns
    -------
    SignalExpectation, Kpi, Happens, Never, EventsInOrder, Invariants or Golden
        Of `analysis.checks.expectation_checks`.
    """
    name = item.label
    if item.signal is not None:
        return _signal(item, next(signal for signal in wiring.signals if signal.path == item.signal))
    if item.kpi is not None:
        return expectation_checks.Kpi(name, item.kpi, _bounds(item, {}), item.hub or "total")
    if item.event is not None:
        return expectation_checks.Happens(name, item.event.pattern())
    if item.no_event is not None:
        return expectation_checks.Never(name, item.no_event.pattern())
    if item.events_in_order is not None:
        return expectation_checks.EventsInOrder(name, tuple(pattern.pattern() for pattern in item.events_in_order))
    if item.no_alarm is not None:
        begin_s, until_s = item.window
        return expectation_checks.Never(
            name, expectation_checks.Pattern(kind="alarm*", begin_s=begin_s, until_s=until_s)
        )
    if item.invariants is not None:
        plates = {name: _plates(hub) for name, hub in scenario.hubs.items()}
        return expectation_checks.Invariants(name, tuple(item.invariants), plates)
    return expectation_checks.Golden(name, recorded, str(item.golden))


def _signal(item: ExpectSection, signal: Signal) -> expectation_checks.SignalExpectation:
    begin_s, until_s = item.window
    if item.changes_at is not None:
        check = Changes(item.tolerance)
        begin_s, until_s = item.changes_at - item.within, item.changes_at + item.within
    elif item.order is not None:
        check = ElementOrder(tuple(item.order), item.tolerance)
    elif item.trend is not None:
        check = Trend(item.trend, item.tolerance)
    elif item.reaches is not None:
        check = Reaches(item.reaches, item.tolerance)
    else:
        check = _bounds(item, signal.port.codes or {})
    return expectation_checks.SignalExpectation(
        item.label,
        signal.path,
        check,
        begin_s,
        until_s,
        element=item.element,
        mean=item.mean,
        from_before=item.changes_at is not None,
    )


def _bounds(item: ExpectSection, codes: Mapping[int, str]) -> Bounds:
    lower = -math.inf if item.min is None else item.min
    upper = math.inf if item.max is None else item.max
    if isinstance(item.equals, str):
        lower = upper = next(code for code, word in codes.items() if word == item.equals)
    elif item.equals is not None:
        lower = upper = item.equals
    return Bounds(lower, upper, item.tolerance)


def _signals_near(path: str, known: list[str]) -> str:
    """The signals that may be meant: those of its device, or the devices of its hub."""
    hub, device, _ = path.split("/")
    attributes = [signal.split("/")[2] for signal in known if signal.startswith(f"{hub}/{device}/")]
    devices = dict.fromkeys(signal.split("/")[1] for signal in known if signal.startswith(f"{hub}/"))
    if attributes:
        there = f"one of {hub}/{device}/ {', '.join(attributes)}"
    else:
        there = f"a signal of what {hub} has: {', '.join(devices)}"
    return there + nearest(path, known)


def _plates(hub: HubSection) -> Plates:
    """What is written on the devices of a hub; an inverter caps the power of its device."""
    return Plates(
        {device.name: plates_of(device) for device in hub.devices()},
        *_connector_plates(hub),
    )


def _connector_plates(hub: HubSection) -> tuple[float | np.ndarray, dict[str, tuple[range, float]]]:
    """The most that each connector gives [kW], and the cabinets with their connectors and what they give [kW]."""
    kinds = kinds_of(hub.connectors)
    if not kinds:
        return math.inf, {}
    first, cabinets = 0, {}
    for kind in kinds:
        if kind.cabinet_kw is not None:
            cabinets[getattr(kind, "name", "connectors")] = (range(first, first + kind.count), kind.cabinet_kw)
        first += kind.count
    return np.repeat([kind.largest_kw for kind in kinds], [kind.count for kind in kinds]), cabinets
