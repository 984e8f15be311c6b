"""The study file of ``evhub sweep`` as pydantic models: the scenario, the fields that vary, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError, model_validator

from ....simulators import field_types
from ....simulators.field_types import PositiveDuration, Section, Switch, Whole
from ...errors import InputError
from ...schema.scenario_loader import problems_of
from ...schema.scenario_schema import LARGEST_SEED, ControllerSpec
from ...schema.yaml_file import read_yaml


class SweepBound(NamedTuple):
    """An end of a range: a number, or a duration in seconds."""

    size: float
    is_duration: bool


def _bound(value: Any) -> SweepBound:
    if isinstance(value, str):
        return SweepBound(field_types._duration(value), True)
    return SweepBound(float(field_types._number(value)), False)


def seconds_of(text: str) -> float | None:
    """Parse a duration such as 15min [s]; None for any other text."""
    try:
        return field_types._duration(text)
    except ValueError:
        return None


End = Annotated[SweepBound, PlainValidator(_bound)]


class Variation(Section):
    """What a field of the scenario becomes: some values, or anything in a range."""

    values: Annotated[list[Any], Field(min_length=1)] | None = None
    """One after the other; a value may also be a whole section."""
    range: tuple[End, End] | None = None
    """Lowest and highest: numbers, or durations such as 5min."""
    log: Switch = False
    """Spread the logarithms evenly, and not the values."""
    integer: Switch = False
    """Whole numbers only."""
    step: End | None = None
    """Only the lowest and what is a multiple of this above it."""

    @model_validator(mode="after")
    def _fits(self):
        if (self.values is None) == (self.range is None):
            raise ValueError(f"needs either values or range, got {'none' if self.values is None else 'both'}")
        if self.range is None:
            if self.log or self.integer or self.step is not None:
                raise ValueError("log, integer and step belong to a range, not to values")
            values = self.values or []
            if any(value in values[:n] for n, value in enumerate(values)):
                raise ValueError(f"values must differ from each other, got {values}")
            return self
        low, high = self.range
        if low.is_duration != high.is_duration:
            raise ValueError("range must be two numbers or two durations")
        if low.size >= high.size:
            raise ValueError(f"range must rise, got {low.size:g} and {high.size:g}")
        if self.log and low.size <= 0:
            raise ValueError(f"range must be above 0 where log is true, got {low.size:g}")
        if self.integer and (self.step is not None or low.is_duration):
            raise ValueError("integer stands for a step of 1 between numbers: give integer or step, not both")
        if self.integer and not (low.size.is_integer() and high.size.is_integer()):
            raise ValueError(f"range must be whole numbers where integer is true, got {low.size:g} and {high.size:g}")
        widest = (high.size - low.size) * (1.0 + 1e-9)  # 0.3 - 0.1 is below 0.2
        if self.step is not None and not (self.step.is_duration == low.is_duration and 0 < self.step.size <= widest):
            raise ValueError("step must be above 0 and no wider than the range, and a duration where that is one")
        return self


LARGEST = 100_000
"""So many runs are a slip of the pen."""


class Design(Section):
    """Which points of the space of fields are run."""

    type: Literal["grid", "random", "latin_hypercube", "sobol"] = "grid"
    """grid takes every combination of values; the others draw samples."""
    samples: Annotated[Whole, Field(ge=1, le=LARGEST)] | None = None
    """How many points are drawn."""
    seed: Annotated[Whole, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of the drawing; it has nothing to do with the seeds of the runs."""

    @model_validator(mode="after")
    def _fits(self):
        if self.type == "grid":
            if self.samples is not None:
                raise ValueError("a grid has no samples: it runs every combination of values")
        elif self.samples is None:
            raise ValueError(f"{self.type} needs samples, the number of points")
        elif self.type == "sobol" and self.samples & (self.samples - 1):
            below = 1 << (self.samples.bit_length() - 1)
            raise ValueError(
                f"samples of a Sobol sequence must be a power of 2, such as {below} or {2 * below}, got {self.samples}"
            )
        return self


def _seeds(value: Any) -> Any:
    if not isinstance(value, list):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
            raise ValueError(f"must be a list of seeds, or how many (1 to {LARGEST})")
        return value
    for seed in value:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"must be whole numbers from 0 to {LARGEST_SEED}, got {seed!r}")
    if not value or len(set(value)) < len(value):
        raise ValueError("must hold at least one seed, and none twice")
    return value


def _section(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class SweepStudy(Section):
    """A study: runs of one scenario with other fields, controllers and seeds."""

    scenario: str
    """Name of a shipped scenario, or a file relative to the study file."""
    fields: dict[str, Variation] = {}
    """What is varied: paths into the scenario, such as hubs.depot.bess.capacity_kwh or events[0].at."""
    design: Design = Design()
    controllers: Annotated[list[Annotated[ControllerSpec, BeforeValidator(_section)]], Field(min_length=1)] | None = (
        None
    )
    """Each one runs every point: names, or sections with parameters; the scenario's own when left out."""
    seeds: Annotated[list[int] | int, PlainValidator(_seeds)] = 1
    """Each one runs every point: a list, or how many, counted from the scenario's own."""
    duration: PositiveDuration | None = None
    """Another length of every run."""
    kpis: Annotated[list[str], Field(min_length=1)] | None = None
    """Columns of the table, such as cost_net, or north.cost_net of one hub; all key figures when left out."""

    @model_validator(mode="after")
    def _fits(self):
        ranges = [name for name, field in self.fields.items() if field.range is not None]
        if self.design.type == "grid" and ranges:
            raise ValueError(f"a grid needs values, and {ranges[0]} has a range; another design draws from ranges")
        if self.design.type != "grid" and not self.fields:
            raise ValueError(f"a {self.design.type} design needs fields to vary")
        return self


def read_study(path: Path) -> SweepStudy:
    """Read and check a study file by itself; `sweep.plan` checks that it fits its scenario.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    SweepStudy

    Raises
    ------
    InputError
        With every problem in it.
    """
    data = read_yaml(path)
    try:
        return SweepStudy.model_validate(data)
    except ValidationError as error:
        raise InputError(problems_of(error, data, str(path), SweepStudy)) from None
