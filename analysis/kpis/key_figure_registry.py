"""All key figures: those of evhub, those that packages register, and those of scenarios that this process has read."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from numbers import Real
from typing import Any

from ...simulators.devices import derived
from .cost_figures import COST
from .emission_figures import EMISSIONS
from .energy_figures import ENERGY
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, Value
from .network_figures import NETWORK
from .power_figures import BATTERY, POWER
from .service_figures import SERVICE
from .supply_figures import RESILIENCE

GROUP = "evhub.key_figures"
GROUPS: tuple[KeyFigureGroup, ...] = (ENERGY, POWER, BATTERY, COST, EMISSIONS, SERVICE, RESILIENCE, NETWORK)
"""The key figures of evhub, in the order of the table."""
_NAME = r"[a-z][a-z0-9_]*"

_own: dict[str, KeyFigure] = {}


class KeyFigureError(ValueError):
    """A key figure that cannot be used, or a value that is none; the message names its function, file and line."""


@derived
def built_in_figures() -> dict[str, KeyFigure]:
    """Return the key figures of evhub by name, in the order of the table."""
    return {figure.name: replace(figure, group=group.name) for group in GROUPS for figure in group.figures()}


@cache
def _of_packages() -> tuple[dict[str, KeyFigure], dict[str, str]]:
    usable, broken = {}, {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else "unknown"
        try:
            figure = checked_figure(entry.load(), entry.value.partition(":")[2], [*built_in_figures(), *usable])
            usable[figure.name] = figure
        except (Exception, SystemExit) as error:  # what another package does when it is imported cannot be foreseen
            text = str(error) if isinstance(error, KeyFigureError) else f"{type(error).__name__}: {error}"
            text = f"package {package}: key figure {entry.name} ({entry.value}) cannot be used: {text}"
            broken[entry.name] = " ".join(text.split())
    return usable, broken


def package_figures() -> dict[str, KeyFigure]:
    """Return the key figures that installed packages register, by name."""
    return _of_packages()[0]


def broken_figures() -> dict[str, str]:
    """Return why key figures of packages cannot be used, by the name of their entry."""
    return _of_packages()[1]


def key_figures() -> dict[str, KeyFigure]:
    """Return all key figures that are known here, by name, in the order of the table."""
    return {**built_in_figures(), **package_figures(), **_own}


def register_own(figures: Iterable[KeyFigure]) -> None:
    """Register the key figures of a scenario, so that commands know their names and directions."""
    _own.update({figure.name: figure for figure in figures})


def checked_figure(figure: Any, attribute: str, known: Iterable[str]) -> KeyFigure:
    """Check that an object that was imported is a key figure whose name is free.

    Parameters
    ----------
    figure : object
        What was imported.
    attribute : str
        Its name in its module.
    known : iterable of str
        Names that are taken.

    Returns
    -------
    KeyFigure

    Raises
    ------
    KeyFigureError
    """
    if not isinstance(figure, KeyFigure):
        place = f" ({place_of(figure)})" if callable(figure) and not isinstance(figure, type) else ""
        kind = f"{attribute}{place} must be a KeyFigure, as @evhub.key_figure(unit=...) makes one of a function"
        raise KeyFigureError(f"{kind}, got {type(figure).__name__}")
    if figure.formula is None and figure.feeder is None:
        raise KeyFigureError(f"{figure.name} must have a formula")
    place = place_of(figure.formula or figure.feeder)
    if not re.fullmatch(_NAME, figure.name):
        raise KeyFigureError(f"{figure.name} ({place}) must be called with small letters, digits and _")
    if figure.name != attribute:
        raise KeyFigureError(f"{attribute} ({place}) must be called as its key figure, {figure.name}")
    if figure.name in known:
        raise KeyFigureError(f"{figure.name} ({place}) must have another name: there is a key figure {figure.name}")
    return figure


def place_of(function: Any, error: BaseException | None = None) -> str:
    """Return file and line of a function, or the line in its file at which an error was raised."""
    code = getattr(function, "__code__", None)
    if code is None:
        return f"{type(function).__module__}.{type(function).__name__}"
    line = code.co_firstlineno
    for frame in traceback.extract_tb(error.__traceback__) if error is not None else ():
        if frame.filename == code.co_filename and frame.lineno is not None:
            line = frame.lineno
    return f"{code.co_filename}:{line}"


def foreign_value(figure: KeyFigure, function: Callable[[Any], Value], of: Any) -> Value:
    """Return what a function of a key figure that is not of evhub gives.

    Parameters
    ----------
    figure : KeyFigure
        The key figure.
    function : callable
        Its formula, or another of its functions.
    of : HubRun or WholeRun
        What it is computed of.

    Returns
    -------
    float, (float, float) or None

    Raises
    ------
    KeyFigureError
        If it raises, or returns anything else; the text is one line.
    """
    where = f" at hub {of.name}" if isinstance(of, HubRun) else ""
    try:
        value = of.once(function)
    except (Exception, SystemExit) as error:  # a user's own function may fail in any way
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise KeyFigureError(f"key figure {figure.name} ({place_of(function, error)}): {text}{where}") from error
    wanted = "(part, whole) or None" if function is figure.formula and figure.total == "ratio" else "a number or None"
    parts = value if isinstance(value, tuple) and wanted.startswith("(") and len(value) == 2 else (value,)
    fits = value is None or (
        len(parts) == (2 if wanted.startswith("(") else 1)
        and all(isinstance(item, Real) and not isinstance(item, bool) and math.isfinite(item) for item in parts)
    )
    if not fits:
        text = f"must return {wanted}, got {value!r:.60}"
        raise KeyFigureError(f"key figure {figure.name} ({place_of(function)}): {text}{where}")
    return value
