"""Arrival profiles: YAML files that say which EVs visit a hub, when, and what they want.

The shipped ones, ``simulators/data/arrivals/*.yaml``, are the examples of the format.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from ...simulators.arrivals.distributions import Distribution, Mixture
from ...simulators.arrivals.session_model import DAYS, HOURS, SOC_V2G_MIN, ArrivalParameters, Stay, Vehicle
from ...simulators.field_types import NonNegative, Number, Positive, Ratio, Section, Whole
from ..errors import InputError, Problem
from ..schema.scenario_loader import problems_of
from ..schema.yaml_file import read_yaml
from .file_state import file_state

PROFILES = Path(str(files("evhub.simulators") / "data" / "arrivals"))
"""Folder of the shipped profiles."""

_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {
    "every": tuple(range(DAYS)),
    "weekday": (0, 1, 2, 3, 4),
    "weekend": (5, 6),
    **{name: (day,) for day, name in enumerate(_DAY_NAMES)},
}
Days = Literal[
    "every", "weekday", "weekend", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]


class _Distribution(Section):
    """A distribution of scipy.stats; what is not named here are its parameters there."""

    model_config = ConfigDict(extra="allow")
    type: str
    low: Number | None = None
    high: Number | None = None

    @model_validator(mode="after")
    def _known(self):
        self.built()
        return self

    def built(self) -> Distribution:
        bounds = {name: value for name in ("low", "high") if (value := getattr(self, name)) is not None}
        parameters: dict[str, Any] = self.model_extra or {}
        for name, value in parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name}: must be a number, got {value!r}")
        return Distribution(self.type, parameters, **bounds)


class _ProfilePart(_Distribution):
    weight: Ratio


class _Stay(Section):
    days: Days
    from_h: Annotated[Whole, Field(ge=0, le=23)]
    to_h: Annotated[Whole, Field(ge=1, le=24)]
    mixture: list[_ProfilePart]

    @model_validator(mode="after")
    def _adds_up(self):
        self.built()
        return self

    def built(self) -> Stay:
        weights = tuple(part.weight for part in self.mixture)
        return Stay(
            _DAYS[self.days], self.from_h, self.to_h, Mixture(weights, tuple(part.built() for part in self.mixture))
        )


class _Vehicle(Section):
    weight: Ratio
    capacity_kwh: Positive
    ac_kw: Positive
    dc_kw: Positive | None = None
    """Left out by a kind of EV that cannot charge with direct current, and does not come to such a hub."""
    n_phases: Literal[1, 2, 3]
    """Of the on-board charger."""


class _Announcement(Section):
    share: Ratio
    factor: _Distribution | None = None
    """Announced over true stay."""


class _Profile(Section):
    name: str
    title: str = ""
    source: str
    arrivals_per_h: dict[Days, Annotated[list[NonNegative], Field(min_length=HOURS, max_length=HOURS)]]
    stay_h: list[_Stay]
    energy_kwh: _Distribution | None = None
    average_kw_max: Positive | None = None
    soc_arrival: _Distribution | None = None
    soc_target: Ratio = 1.0
    announcement: _Announcement = _Announcement(share=1.0)
    vehicles: list[_Vehicle]
    v2g_share: Ratio = 0.0
    soc_v2g_min: Ratio = SOC_V2G_MIN

    @model_validator(mode="after")
    def _fits(self):
        for current in ("ac", "dc"):
            self.built(current)
        return self

    def built(self, current: Literal["ac", "dc"]) -> ArrivalParameters:
        bound = {} if self.average_kw_max is None else {"average_kw_max": self.average_kw_max}
        return ArrivalParameters(
            arrivals_per_h=np.array(_week(self.arrivals_per_h)),
            stays=tuple(stay.built() for stay in self.stay_h),
            vehicles=self._vehicles(current),
            energy_kwh=self.energy_kwh and self.energy_kwh.built(),
            soc_arrival=self.soc_arrival and self.soc_arrival.built(),
            soc_target=self.soc_target,
            announced_share=self.announcement.share,
            estimate_factor=self.announcement.factor and self.announcement.factor.built(),
            v2g_share=self.v2g_share,
            soc_v2g_min=self.soc_v2g_min,
            **bound,
        )

    def _vehicles(self, current: Literal["ac", "dc"]) -> tuple[Vehicle, ...]:
        able = [(kind, kind.ac_kw if current == "ac" else kind.dc_kw) for kind in self.vehicles]
        able = [(kind, p_max_kw) for kind, p_max_kw in able if p_max_kw is not None]
        if not able:
            raise ValueError(f"vehicles: must have at least one with {current}_kw")
        # the shares are given for all; only those that can charge here come
        left = sum(kind.weight for kind, _ in able) / sum(kind.weight for kind in self.vehicles)
        return tuple(Vehicle(kind.weight / left, kind.capacity_kwh, p_max_kw, kind.n_phases) for kind, p_max_kw in able)


def _week(table: dict[Days, list[float]]) -> list[list[float]]:
    """Rates of the seven days; a day's own row goes before weekday and weekend, and these before every."""
    rows: list[list[float]] = []
    for day, name in enumerate(_DAY_NAMES):
        for key in (name, "weekday" if day < 5 else "weekend", "every"):
            if key in table:
                rows.append(table[key])
                break
        else:
            raise ValueError(f"arrivals_per_h: must have a row for {name}")
    return rows


def arrival_profiles() -> dict[str, Path]:
    """Return the files of the arrival profiles that come with evhub, by name."""
    return {path.stem: path for path in sorted(PROFILES.glob("*.yaml"))}


def read_arrivals(profile: str | Path, current: Literal["ac", "dc"]) -> ArrivalParameters:
    """Read an arrival profile.

    Parameters
    ----------
    profile : str or Path
        Name of a shipped profile, or a YAML file.
    current : {"ac", "dc"}
        What the connectors give; decides which power the EVs accept, and which EVs come.

    Returns
    -------
    ArrivalParameters

    Raises
    ------
    InputError
        With every problem in the file, or the names of the shipped profiles.
    """
    shipped = arrival_profiles()
    path = shipped.get(str(profile), Path(profile))
    if not path.is_file():
        allowed = f"must be a YAML file or one of {', '.join(shipped)}"
        raise InputError(Problem("", "profile", str(profile), allowed))
    return _built(path, current, file_state(path))


@lru_cache(maxsize=8)
def _built(path: Path, current: Literal["ac", "dc"], state: tuple[int, int, int]) -> ArrivalParameters:
    """Read a file in a certain state, see `file_state`: who draws EVs anew need not read it anew."""
    data = read_yaml(path)
    try:
        return _Profile.model_validate(data).built(current)
    except ValidationError as error:
        raise InputError(problems_of(error, data, str(path), _Profile)) from None
