"""The study file of ``evhub dispatchability`` as pydantic models: what may stand in it, with units and limits."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ....simulators.field_types import (
    Count,
    Name,
    NonNegative,
    Number,
    Positive,
    PositiveDuration,
    Ratio,
    Section,
    Switch,
    Whole,
)
from ....simulators.units import S_PER_H

STUDIES = Path(str(files("evhub.scenarios") / "library" / "studies"))


def shipped_studies() -> dict[str, Path]:
    """Return the files of the studies that come with evhub, by name."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}


def _phases(value: str) -> str:
    if value not in ("a", "b", "c", "ab", "ac", "bc", "abc"):
        raise ValueError("must be one to three of a, b, c, in this order")
    return value


PhaseNames = Annotated[str, AfterValidator(_phases)]
"""One to three of a, b, c, in this order."""
BusName = Annotated[str, Field(min_length=1, max_length=40)]
Length = Literal["m", "km", "ft", "kft", "mi"]
Rows = list[list[Number]]
"""Rows of a matrix over the phases of a line: full, or the lower triangle."""


class FeederSource(Section):
    """Where the feeder is fed."""

    bus: BusName
    """The bus."""
    limit_kva: Positive | None = None
    """Apparent power of all three phases together [kVA], shared equally; no limit when left out."""
    power_factor: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least power factor; with one, power only flows into the feeder. No limit when left out."""
    v_pu: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    """Voltages of phases a, b, c [pu]."""


class LineCode(Section):
    """Impedance of a kind of line for a length of 1."""

    per: Length
    """Unit of that length."""
    r_ohm: Rows
    """Resistances over the phases of the line, in their order [ohm]."""
    x_ohm: Rows
    """Reactances [ohm]."""


class LineEntry(Section):
    """A line, cable, switch or transformer."""

    start: BusName
    """Bus at one end ..."""
    end: BusName
    """... and at the other."""
    phases: PhaseNames
    """Phases, such as abc or c."""
    code: str | None = None
    """A line code, with a length; or r_ohm and x_ohm for the whole line."""
    length: Positive | None = None
    """In the unit of the feeder."""
    r_ohm: Rows | None = None
    """Resistances over the phases, at the voltage of the feeder [ohm]."""
    x_ohm: Rows | None = None
    """Reactances [ohm]."""
    ratio: tuple[Positive, Positive, Positive] | None = None
    """Ratio of a voltage regulator at the start of the line, for phases a, b, c."""
    limit_kva: Positive | None = None
    """Apparent power of all its phases together [kVA], shared equally; no limit when left out."""

    @model_validator(mode="after")
    def _impedance(self):
        present = [value is not None for value in (self.code, self.length, self.r_ohm, self.x_ohm)]
        if present not in ([True, True, False, False], [False, False, True, True]):
            raise ValueError("needs either code and length, or r_ohm and x_ohm")
        return self


class ListedFeeder(Section):
    """A feeder in the study file."""

    type: Literal["listed"]
    kv: Positive
    """Nominal voltage between phases, to which all impedances refer [kV]."""
    length_unit: Length = "m"
    """Of the lengths of lines."""
    source: FeederSource
    """Where it is fed."""
    line_codes: dict[str, LineCode] = Field(default_factory=dict)
    """Kinds of lines, by name."""
    lines: dict[str, LineEntry] = Field(min_length=1)
    """Lines, by name."""
    v_min_pu: Positive = 0.9
    """Least voltage [pu]."""
    v_max_pu: Positive = 1.1
    """Largest voltage [pu]."""


class DeckFeeder(Section):
    """A feeder in an OpenDSS deck; regulators and substation as told in the documentation."""

    type: Literal["opendss"]
    file: str
    """The deck, relative to the study file."""
    limit_kva: Positive | None = None
    """Apparent power of the source [kVA], all phases together; no limit when left out."""
    power_factor: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least power factor of the source; no limit when left out."""
    v_pu: tuple[Positive, Positive, Positive] | None = None
    """Voltages of the source [pu]; those of the deck when left out."""
    ratios: dict[str, Positive] = Field(default_factory=dict)
    """Ratio of each transformer with a control by its name in the deck; its taps when left out."""
    v_min_pu: Positive = 0.9
    """Least voltage [pu]."""
    v_max_pu: Positive = 1.1
    """Largest voltage [pu]."""


class DemandTable(Section):
    """Demand at a profile value of 1, in a CSV file: bus, a_kw, a_kvar, b_kw, b_kvar, c_kw, c_kvar."""

    type: Literal["csv"]
    file: str
    """Path, relative to the study file."""
    scale: NonNegative = 1.0
    """Factor on every value."""


class DemandOfDeck(Section):
    """Loads and capacitors of the deck, as demand at a profile value of 1."""

    type: Literal["deck"]
    scale: NonNegative = 1.0
    """Factor on every value."""


class Profiles(Section):
    """Columns of a CSV file, one row for each period."""

    file: str
    """Path, relative to the study file."""
    period: str = "period"
    """Column with the names of the periods."""
    demand: str = "demand"
    """Column with the factor on all demand."""
    radiation: str = "radiation"
    """Column with the available radiation; a PV unit gives its rating at 1."""


class DgEntry(Section):
    """A dispatchable generator; powers of all phases together."""

    bus: BusName
    """Its bus."""
    phases: PhaseNames = "abc"
    """Its phases."""
    p_max_kw: NonNegative
    """Largest active power [kW]."""
    q_max_kvar: NonNegative = 0.0
    """Largest reactive power, fed or drawn [kvar]."""


class PvEntry(Section):
    """A PV unit; powers of all phases together."""

    bus: BusName
    """Its bus."""
    phases: PhaseNames = "abc"
    """Its phases."""
    p_max_kw: Positive
    """Rating [kW]."""
    q_max_kvar: NonNegative = 0.0
    """Largest reactive power, fed or drawn [kvar]."""
    area_kw: NonNegative | None = None
    """Power at a radiation of 1 [kW]; the rating when left out."""


class ClusterEntry(Section):
    """EVs that are dispatched together; powers and energies of all phases together."""

    bus: BusName
    """Their bus."""
    phases: PhaseNames = "abc"
    """Their phases."""
    charge_kw: NonNegative
    """Largest charging power [kW]."""
    discharge_kw: NonNegative = 0.0
    """Largest discharging power [kW]; 0 is no V2G."""
    capacity_kwh: Positive
    """Energy at a state of charge of 1 [kWh]."""
    soc_min: Ratio = 0.0
    """Least state of charge."""
    soc_arrival: Ratio
    """State of charge at the end of the first period; power in that period is free."""
    soc_departure: Ratio
    """State of charge at the end of the last period."""
    arrival: str
    """Name of the first period in which they are connected ..."""
    departure: str
    """... and of the last."""


class CaseEntry(Section):
    """One variant of the study."""

    evs: Switch = True
    """Whether there are EVs."""
    v2g: Switch = True
    """Whether EVs may discharge."""
    shift: Whole = 0
    """EVs come and leave so many periods later (negative: earlier)."""


class Uncertainty(Section):
    """Drawn cases around one case; standard deviations as shares of the mean, normal distributions."""

    case: Name
    """The case around which is drawn."""
    scenarios: Count = 200
    """How many."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Of the draws."""
    demand: Ratio = 0.0
    """One draw for each period."""
    radiation: Ratio = 0.0
    """One draw for each period."""
    soc: Ratio = 0.0
    """At arrival and departure, one draw each for each cluster."""
    capacity: Ratio = 0.0
    """One draw for each cluster."""
    power: Ratio = 0.0
    """One draw for each cluster."""


class Options(Section):
    """How it is solved."""

    solver: Literal["glpk", "highs"] = "glpk"
    """Who solves the linear and mixed-integer programs."""
    tolerance: Positive = 1e-3
    """Distance of upper and lower bound at which a part is solved."""
    penalty: Positive = 1.0
    """Cost of power that is not balanced [1/kW], against a width of 1 for the whole rating of a unit."""
    diagonal: Annotated[Number, Field(ge=1, le=2)] = 2.0**0.5
    """Factor of the octagon that stands for the circle of apparent power."""
    time_limit: PositiveDuration = 600.0
    """For each case; what it leaves open is reported as gap."""
    workers: Count = 2
    """Processes for the drawn cases."""


class DispatchabilityStudy(Section):
    """A study of dispatchability limits."""

    name: Name
    """Name of the study."""
    title: str = ""
    """One line about it."""
    source: str = ""
    """Where it comes from."""
    feeder: Annotated[ListedFeeder | DeckFeeder, Field(discriminator="type")]
    """The network."""
    demand: Annotated[DemandTable | DemandOfDeck, Field(discriminator="type")]
    """Demand of each bus and phase."""
    profiles: Profiles
    """How demand and radiation go over the periods."""
    step: PositiveDuration = S_PER_H
    """Length of a period."""
    dgs: dict[Name, DgEntry] = Field(default_factory=dict)
    """Generators, by name."""
    pvs: dict[Name, PvEntry] = Field(min_length=1)
    """PV units, by name."""
    clusters: dict[Name, ClusterEntry] = Field(default_factory=dict)
    """EVs, by name."""
    cases: dict[Name, CaseEntry] = Field(default_factory=lambda: {"base": CaseEntry()}, min_length=1)
    """Variants, by name."""
    uncertainty: Uncertainty | None = None
    """Drawn cases."""
    options: Options = Options()
    """How it is solved."""

    @model_validator(mode="after")
    def _fits(self):
        if self.demand.type == "deck" and self.feeder.type != "opendss":
            raise ValueError("demand of type deck needs a feeder of type opendss")
        if self.uncertainty is not None and self.uncertainty.case not in self.cases:
            known = ", ".join(self.cases)
            raise ValueError(f"uncertainty.case must be one of the cases {known}, got {self.uncertainty.case!r}")
        return self
