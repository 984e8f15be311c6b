"""The kinds of devices that there are: those of evhub, and those that installed packages register."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from .ats.secondary_device import SECONDARY
from .battery.battery_device import BATTERY
from .charge_point.charge_point_device import CHARGE_POINT
from .device_kind import DeclarationError, DeviceKind, check_kind
from .generator.generator_device import GENERATOR
from .load.load_device import LOAD
from .pv.pv_device import PV
from .wind.wind_device import WIND

T = TypeVar("T")
GROUP = "evhub.devices"
BUILT_IN = (SECONDARY, PV, LOAD, BATTERY, GENERATOR, CHARGE_POINT, WIND)
"""The order in which devices are built and summed; kinds of other packages follow by name."""
RESERVED = (
    "grid",
    "network",
    "ats",
    "controller",
    "arrivals",
    "sessions",
    "tariffs",
    "emissions",
    "measurements",
    "commands",
)
"""What stands beside devices in a hub, in its results and in its streams of random numbers; no device is called so."""
_SECTIONS = ("ev", "queue", "link", "forecasts", "recorder")

_added: list[DeviceKind] = []
_derived: list[Any] = []
_listeners: list[Callable[[], None]] = []


def kinds() -> tuple[DeviceKind, ...]:
    """Return all kinds that can be used: those of evhub, then those of other packages in the order of their names."""
    return _found()[0]


def broken_kinds() -> dict[str, str]:
    """Return why packages' kinds cannot be used, by the entry's name and by the section's key."""
    return dict(_found()[1])


@cache
def _found() -> tuple[tuple[DeviceKind, ...], dict[str, str]]:
    usable, broken = list(BUILT_IN), {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package, keys = entry.dist.name if entry.dist is not None else "unknown", {entry.name}
        try:
            kind = entry.load()
            keys |= {kind.section_key} if isinstance(kind, DeviceKind) else set()
            usable.append(_checked(kind, usable))
        except (Exception, SystemExit) as error:  # what another package does when it is imported cannot be foreseen
            text = str(error) if isinstance(error, DeclarationError) else f"{type(error).__name__}: {error}"
            text = f"package {package}: device {entry.name} ({entry.value}) cannot be used: {' '.join(text.split())}"
            for key in keys:
                broken[key] = f"{broken[key]}; {text}" if key in broken else text
    for kind in _added:
        usable.append(_checked(kind, usable))
    return tuple(usable), broken


def _checked(kind: Any, known: Sequence[DeviceKind]) -> DeviceKind:
    """Return a kind that fits its simulator and takes only names that are free."""
    if not isinstance(kind, DeviceKind):
        raise DeclarationError(f"must be a DeviceKind, got {type(kind).__name__}")
    for name in (kind.name, kind.section_key):
        if any(name in (other.name, other.section_key) for other in known):
            raise DeclarationError(f"the name {name} is taken by another kind of device")
        if name in (*RESERVED, *_SECTIONS):
            raise DeclarationError(f"the name {name} is reserved")
    taken = {command.setpoint for other in known for command in other.commands}
    taken |= {layer.energy for other in known for layer in other.layers}
    for name in (*(command.setpoint for command in kind.commands), *(layer.energy for layer in kind.layers)):
        if name and name in taken:
            raise DeclarationError(f"the name {name} of a set point or energy is taken by another kind of device")
    if kind.contract or any(command.width for command in kind.commands):
        raise DeclarationError("contract and width are for the kinds that controllers know by fields of their own")
    check_kind(kind)
    return kind


def kind_of(name: str) -> DeviceKind:
    """Return a kind by its name.

    Raises
    ------
    KeyError
        If no such kind is registered.
    """
    for kind in kinds():
        if kind.name == name:
            return kind
    raise KeyError(f"no kind of device is called {name}; there are {', '.join(kind_names())}")


def kind_names() -> tuple[str, ...]:
    """Return the names of all kinds."""
    return tuple(kind.name for kind in kinds())


def simulated_kinds() -> tuple[DeviceKind, ...]:
    """Return the kinds that have a simulator of their own."""
    return tuple(kind for kind in kinds() if kind.simulator)


def derived(function: Callable[[], T]) -> Callable[[], T]:
    """Register a function whose result is cached until the kinds of devices change."""
    cached = cache(function)
    _derived.append(cached)
    return cached


def on_change(listener: Callable[[], None]) -> None:
    """Call a function whenever the list of kinds has changed."""
    _listeners.append(listener)


@contextmanager
def with_kind(*kinds_added: DeviceKind) -> Iterator[None]:
    """Register kinds for a while, as tests and notebooks do, without a package.

    Raises
    ------
    DeclarationError
        If one does not fit its simulator, or takes a name that is not free.
    """
    known = list(kinds())
    for kind in kinds_added:
        known.append(_checked(kind, known))
    _added.extend(kinds_added)
    _forget()
    try:
        yield
    finally:
        for kind in kinds_added:
            _added.remove(kind)
        _forget()


def _forget() -> None:
    """Find the kinds anew, and all that is derived from them."""
    _found.cache_clear()
    for cached in _derived:
        cached.cache_clear()
    for listener in _listeners:
        listener()
