"""The prices of a hub as series over the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from ...simulators.field_types import Count, NonNegative, Number, Section
from ...simulators.series import Series
from ...simulators.tariffs.tariff_model import TimeOfUse
from ..errors import InputError, Problem, nearest
from ..schema import scenario_schema
from ..schema.scenario_loader import Scenario, problems_of
from ..schema.yaml_file import read_yaml

TARIFFS = Path(str(files("evhub.simulators") / "data" / "tariffs"))
"""Folder of the shipped tariffs."""


def shipped_tariffs() -> dict[str, Path]:
    """Return the files of the tariffs that come with evhub, by name."""
    return {path.stem: path for path in sorted(TARIFFS.glob("*.yaml"))}


def price_series(loaded: Scenario, section, key: str, start: datetime, series: Callable[..., Series]) -> Series:
    """Build the series of one price over the run.

    Parameters
    ----------
    loaded : Scenario
        The scenario, whose folder holds the files.
    section : schema.Price
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
    if not isinstance(section, scenario_schema.Tou):
        return series(section, key)
    path = _tariff_file(loaded, section.tariff, f"{key}.tariff")
    data = read_yaml(path)
    try:
        _TariffFile.model_validate(data)
        return TimeOfUse.from_mapping(data).series(start, loaded.scenario.duration)
    except ValidationError as error:
        raise InputError(problems_of(error, data, str(path), _TariffFile)) from None
    except ValueError as error:
        raise InputError(Problem(str(path), "", ..., str(error))) from None


class _Season(Section):
    months: list[Count]
    weekday: list[tuple[NonNegative, Number]]
    """Pairs [hour, price]."""
    weekend: list[tuple[NonNegative, Number]]
    holiday: list[tuple[NonNegative, Number]] = []


class _TariffFile(Section):
    name: str = ""
    title: str = ""
    source: str = ""
    currency: str = ""
    demand_per_kw: NonNegative = 0.0
    seasons: list[_Season]
    holidays: list[str] = []


def _tariff_file(loaded: Scenario, name: str, key: str) -> Path:
    known = shipped_tariffs()
    if name in known:
        return known[name]
    if Path(name).suffix in (".yaml", ".yml"):
        return loaded.resolve(name, key)
    allowed = f"must be one of {', '.join(known)}, or a YAML file{nearest(name, known)}"
    raise InputError([Problem(loaded.where, key, name, allowed)])
