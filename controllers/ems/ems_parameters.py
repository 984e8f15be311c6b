"""The parameters of `ems`."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ...simulators.units import S_PER_DAY
from .. import contract

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Soc = Annotated[float, Field(ge=0, le=1)]
Bus = Annotated[int, Field(ge=0, strict=True)] | str

BANDS = {"ieee1547": (0.88, 1.1), "en50160": (0.9, 1.1)}
"""Voltage bands by name [pu]: IEEE 1547-2018 category III, continuous operation; EN 50160."""


class _EmsSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Buses(_EmsSection):
    """Where the parts of a hub are connected in the network; a number is pandapower's index, a text a name."""

    hub: Bus
    """Bus of everything that has none of its own."""
    pv: Bus | None = None
    bess: Bus | None = None
    dg: Bus | None = None
    load: Bus | None = None
    connectors: tuple[Bus, ...] = ()
    """Bus of each connector, in their order."""


class EmsNetwork(_EmsSection):
    """The network that the schedules must respect, as `ems` knows it."""

    net: str
    """A network that the section ``network`` knows by name (case33bw, lv_feeder, ...), or a pandapower JSON file,
    relative to the scenario file."""
    buses: dict[str, Bus | Buses]
    """The bus of each hub, or the buses of its parts."""
    load_scale: dict[time, NonNegative] = Field(default={time(0): 1.0}, min_length=1)
    """What the network's own loads are expected to draw, as a factor that holds from a time of day on."""
    replaces_load: bool = False
    """The hubs stand in the place of the loads at their buses."""
    band: Literal["ieee1547", "en50160"] | tuple[Positive, Positive] = "ieee1547"
    """Voltage band: ieee1547 (0.88 to 1.1), en50160 (0.9 to 1.1), or lowest and highest voltage [pu]."""
    loading_percent: Positive = 100.0
    """Most current of a line or transformer over its rating [%]."""
    margin_pu: Annotated[float, Field(ge=1e-5, le=0.05)] = 0.001
    """How far inside the limits the dispatch stays [pu]: power changes within a step, too."""

    @field_validator("net")
    @classmethod
    def _found(cls, net: str, info: ValidationInfo) -> str:
        return contract.file_of(net, "network.net", info) if net.endswith(".json") else net

    @model_validator(mode="after")
    def _possible(self):
        low, high = self.band_pu
        if low + 2.0 * self.margin_pu >= high:
            raise ValueError(f"band: lowest voltage must be below the highest less two margins, got {low:g}, {high:g}")
        return self

    @property
    def band_pu(self) -> tuple[float, float]:
        """Lowest and highest voltage [pu]."""
        return BANDS[self.band] if isinstance(self.band, str) else self.band


class PurchaseLimit(_EmsSection):
    """A purchase limit: demand response, a fault, peak shaving."""

    limit_kw: NonNegative
    """Most that may be bought [kW]."""
    begin_s: NonNegative = 0.0
    """Since the start of the run [s] ..."""
    end_s: Positive = float("inf")
    """... until then [s]."""
    hub: str | None = None
    """The hub it holds for; all together when left out."""

    @model_validator(mode="after")
    def _forward(self):
        if self.end_s <= self.begin_s:
            raise ValueError(f"end_s must be after begin_s {self.begin_s:g}, got {self.end_s:g}")
        return self


class FleetVehicle(_EmsSection):
    """What the operator knows of a vehicle; it is named by its session."""

    purpose: Literal["emergency", "transit", "service", "other"] = "other"
    """What it is for, most important first."""
    route_km: NonNegative = 0.0
    """Length of its next route [km]."""
    critical: bool = False
    """It comes before all that are not."""
    priority: Annotated[float, Field(ge=0, le=10)] | None = None
    """Set by hand, 10 is highest; worked out when left out."""


class Weights(_EmsSection):
    """What counts how much for a priority."""

    purpose: NonNegative = 4.0
    route: NonNegative = 2.0
    departure: NonNegative = 2.0
    flexibility: NonNegative = 1.0
    soc: NonNegative = 1.0

    @model_validator(mode="after")
    def _some(self):
        if not sum(self.model_dump().values()):
            raise ValueError("one of them must be above 0")
        return self


class EmsParameters(contract.Parameters):
    """Parameters of `ems`."""

    network: EmsNetwork | None = None
    """The network to respect; without it a schedule is not verified, and says so."""
    step_s: Annotated[float, Field(ge=60, le=S_PER_DAY)] = 900.0
    """Steps of the schedule [s]; its edges are multiples of it. The charging schedule is refreshed with each."""
    horizon_s: Annotated[float, Field(ge=300, le=7 * S_PER_DAY)] = S_PER_DAY
    """Length of the rolling window [s]."""
    max_iterations: Annotated[int, Field(ge=1, le=50)] = 10
    """Dispatches of a window at most; then the best schedule counts that the load flow agreed with."""
    priorities: bool = True
    """Adjust the charging schedule by priority where not all can be served (450, 460)."""
    vehicles: dict[str, FleetVehicle] = {}
    """Vehicles by the name of their session."""
    weights: Weights = Weights()
    purchase_limits: tuple[PurchaseLimit, ...] = ()
    """Limits on what is bought; an event can set them at any time."""
    setpoint_kw: float | None = None
    """Wanted exchange of each hub at the PCC, > 0 imports [kW]."""
    deviation_per_kwh: NonNegative = 0.05
    """Cost of missing it [1/kWh]."""
    soc_min: Soc | None = None
    """Least state of charge of a stationary battery; the plate's when left out."""
    soc_end: Soc | None = None
    """State of charge at the end of the window; what is stored is worth the lowest price when left out."""
    reactive: bool = True
    """Use reactive power: of PV, batteries and EVs with V2G, rated as they are; of generators, to power factor 0.8."""
    q_per_kvarh: NonNegative = 1e-4
    """Cost of reactive energy [1/kvarh]."""
    eens_per_kwh: Positive = 10.0
    """Cost of energy that an EV is not given [1/kWh]; a critical one counts up to a thousand times."""
    load_eens_per_kwh: tuple[Positive, Positive, Positive, Positive] = (1e5, 50.0, 20.0, 20.0)
    """Cost of load that is not served, critical, controllable, shiftable, general [1/kWh]."""
    v2g_per_kwh: NonNegative = 0.05
    """Wear of an EV that is discharged [1/kWh]."""
    solver: Literal["glpk", "highs"] = "glpk"
    """Who solves the dispatch."""
    time_limit_s: Positive = 60.0
    """For one dispatch [s]."""

    @model_validator(mode="after")
    def _fits(self):
        if self.horizon_s < self.step_s:
            raise ValueError(f"horizon_s must be at least step_s {self.step_s:g}, got {self.horizon_s:g}")
        if self.load_eens_per_kwh[0] <= max(self.load_eens_per_kwh[1:]):
            raise ValueError(
                f"load_eens_per_kwh: the first (critical) must be the highest, got {self.load_eens_per_kwh}"
            )
        return self


def parameters_of(hub: contract.Hub) -> EmsParameters:
    """Return the parameters in force at a hub.

    Raises
    ------
    TypeError
        If they are those of another controller.
    """
    if not isinstance(hub.parameters, EmsParameters):
        raise TypeError(f"parameters of ems expected, got {type(hub.parameters).__name__}")
    return hub.parameters
