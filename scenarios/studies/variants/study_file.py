"""The study file of ``evhub compare`` and ``evhub sweep`` as pydantic models: what varies, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError, model_validator

from ....analysis.comparison.paired_statistics import Test
from ....simulators import field_types
from ....simulators.field_types import PositiveDuration, Section, Switch, Whole
from ...errors import InputError
from ...schema.scenario_loader import LIBRARY, problems_of, shipped
from ...schema.scenario_schema import LARGEST_SEED, ControllerSpec
from ...schema.yaml_file import read_yaml
from .variant_labels import checked_label, labels_of_values


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


@dataclass(frozen=True)
class Choices:
    """The values that a field takes.

    Parameters
    ----------
    values : list
        As they would stand in the scenario.
    labels : list of str
        What tables call each; the file names them, or they are made from what differs.
    named : bool
        Whether the file names them.
    """

    values: list[Any]
    labels: list[str]
    named: bool

    def label(self, value: Any) -> str:
        """Return the label of one of the values."""
        return self.labels[self.values.index(value)]


def _choices(value: Any) -> Choices:
    if not isinstance(value, Mapping | list) or not value:
        raise ValueError("must be a list of values, or a mapping of labels to values, with at least one")
    named = isinstance(value, Mapping)
    values = list(value.values()) if isinstance(value, Mapping) else value
    if any(item in values[:n] for n, item in enumerate(values)):
        raise ValueError(f"values must differ from each other, got {values}")
    return Choices(values, [checked_label(label) for label in value] if named else labels_of_values(values), named)


class Variation(Section):
    """What a field of the scenario becomes: some values, or anything in a range."""

    values: Annotated[Choices, PlainValidator(_choices)] | None = None
    """One after the other, as a list, or as a mapping of labels to values; a value may also be a whole section."""
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


class ControllerSetting(ControllerSpec):
    """A controller with parameters of its own, as in a scenario, and what tables call it."""

    label: Annotated[str, AfterValidator(checked_label)] | None = None
    """What tables and figures call it; made from the type and what differs when left out."""

    @property
    def section(self) -> dict[str, Any]:
        """What the study gives of it, as it would stand in a scenario."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"label"})


def _scenarios(value: Any) -> dict[str, str]:
    names = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("must be a list of scenarios, or a mapping of labels to scenarios, with at least one")
    labels = [checked_label(label) for label in value] if isinstance(value, Mapping) else [Path(n).stem for n in names]
    for n, label in enumerate(labels):
        if label in labels[:n]:
            raise ValueError(f"must have a label each, as a mapping: two of them are called {label}")
    return dict(zip(labels, names, strict=True))


class Study(Section):
    """Many runs: one or several scenarios with other fields, controllers and seeds."""

    title: str = ""
    """One line for lists."""
    scenario: str | None = None
    """Name of a shipped scenario, or a file relative to the study file."""
    scenarios: Annotated[dict[str, str], PlainValidator(_scenarios)] | None = None
    """Several in its place: a list, or a mapping of labels to scenarios."""
    fields: dict[str, Variation] = {}
    """What is varied: paths into the scenario, such as hubs.depot.bess.capacity_kwh or events[0].at."""
    design: Design = Design()
    controllers: (
        Annotated[list[Annotated[ControllerSetting, BeforeValidator(_section)]], Field(min_length=1)] | None
    ) = None
    """Each one runs every point: names, or sections with parameters; the scenario's own when left out."""
    seeds: Annotated[list[int] | int, PlainValidator(_seeds)] = 1
    """Each one runs every point: a list, or how many, counted from that of the (first) scenario."""
    duration: PositiveDuration | None = None
    """Another length of every run."""
    kpis: Annotated[list[str], Field(min_length=1)] | None = None
    """Key figures to tell and test, such as cost_net, or north.cost_net of one hub; all when left out."""
    baseline: str | None = None
    """Label of the variant that the others are compared with; the first when left out."""
    test: Test = "t"
    """How differences are tested: t (paired t test) or wilcoxon (signed ranks)."""

    @model_validator(mode="after")
    def _fits(self):
        if (self.scenario is None) == (self.scenarios is None):
            raise ValueError(f"needs either scenario or scenarios, got {'none' if self.scenario is None else 'both'}")
        ranges = [name for name, field in self.fields.items() if field.range is not None]
        if self.design.type == "grid" and ranges:
            raise ValueError(f"a grid needs values, and {ranges[0]} has a range; another design draws from ranges")
        if self.design.type != "grid" and not self.fields:
            raise ValueError(f"a {self.design.type} design needs fields to vary")
        return self

    @property
    def targets(self) -> dict[str, str]:
        """The scenarios by their labels."""
        return self.scenarios or {Path(self.scenario or "").stem: self.scenario or ""}


SHIPPED = LIBRARY / "sweeps"
"""The studies that come with evhub."""


def shipped_run_studies() -> dict[str, Path]:
    """Return the files of the studies that come with evhub for compare and sweep, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def located(study: Path | str) -> Path:
    """Find the file of a study: the shipped study of this name, or the named file."""
    return shipped_run_studies().get(str(study), Path(study))


def is_study(target: Path | str) -> bool:
    """Return whether a name or a file is that of a study; anything else may be a scenario."""
    if str(target) in shipped_run_studies():
        return True
    try:
        if str(target) in shipped() or not Path(target).is_file():
            return False
    except (OSError, ValueError):
        return False  # no path at all
    data = read_yaml(Path(target))
    own = {"scenario", "scenarios", "fields", "design", "controllers", "seeds", "kpis", "baseline"}
    return isinstance(data, Mapping) and "hubs" not in data and bool(own & data.keys())


def read_study(path: Path) -> Study:
    """Read and check a study file by itself; `plan_study` checks that it fits its scenarios.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        With every problem in it.
    """
    data = read_yaml(path)
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        raise InputError(problems_of(error, data, str(path), Study)) from None
