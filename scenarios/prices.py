"""The prices of a hub as series over the run."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path

from ..simulators.models.series import Series
from ..simulators.models.tariffs import TimeOfUse
from . import schema
from .errors import InputError, Problem
from .loader import LoadedScenario
from .yaml_loader import read_yaml

TARIFFS = Path(str(files("evhub.simulators") / "data" / "tariffs"))
"""Folder of the shipped tariffs."""


def shipped_tariffs() -> dict[str, Path]:
    """The tariffs that come with evhub, by name."""
    return {path.stem: path for path in sorted(TARIFFS.glob("*.yaml"))}


def price_series(
    loaded: LoadedScenario, given, key: str, start: datetime, series: Callable[..., Series]
) -> Series:
    """One price over the run.

    Parameters
    ----------
    loaded : LoadedScenario
        The scenario, whose folder holds the files.
    given : schema.Price
        The price's section.
    key : str
        Where it stands, for messages.
    start : datetime
        First instant, on the clock the tariff follows.
    series : callable
        Makes a series of everything that is not a tariff.

    Returns
    -------
    Series
        Price [currency/kWh].

    Raises
    ------
    InputError, ValueError
        When a file is missing or wrong.
    """
    if not isinstance(given, schema.Tou):
        return series(given, key)
    path = _tariff_file(loaded, given.tariff, f"{key}.tariff")
    data = read_yaml(path)
    try:
        # the YAML reader leaves dates as text
        data["holidays"] = [date.fromisoformat(day) for day in data.get("holidays") or ()]
        return TimeOfUse.from_mapping(data).series(start, loaded.scenario.duration)
    except (ValueError, TypeError) as error:
        raise InputError([Problem(str(path), "tariff", ..., str(error))]) from None


def _tariff_file(loaded: LoadedScenario, name: str, key: str) -> Path:
    known = shipped_tariffs()
    if name in known:
        return known[name]
    if Path(name).suffix in (".yaml", ".yml"):
        return loaded.resolve(name, key)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    allowed = f"must be one of {', '.join(known)}, or a YAML file{hint}"
    raise InputError([Problem(str(loaded.path), key, name, allowed)])
