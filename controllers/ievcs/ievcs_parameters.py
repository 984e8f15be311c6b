"""Parameters of `ievcs`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ...simulators.units import S_PER_H, S_PER_MIN
from .. import contract
from ..milp_dispatch.milp_parameters import Duration, NonNegative

Share = Annotated[float, Field(ge=0, le=1)]


class Stages(contract.Parameters):
    """Which stages work; stage I always does. Yan & Tu 2022 take them out one by one to show what each is worth."""

    price_update: bool = True
    """Stage II: charging price in tiers, and the ceiling of the discharge subsidy."""
    hour_ahead: bool = True
    """Stage III: a new plan before every hour."""
    real_time: bool | Literal["optimise"] = True
    """Stage IV: deviations from the plan by the decision table; by basic control when off. `optimise` plans again at
    every decision instead, to see what the table costs; the period should be the resolution then."""


class Tiers(contract.Parameters):
    """Stage II: tiers of the charging price by the load of each hour."""

    quantiles: tuple[Share, Share] = (1.0 / 3.0, 2.0 / 3.0)
    """Hours with a load up to the first quantile are valley hours, above the second peak hours."""
    spread: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """How far the price of peak and valley hours is from that of flat hours, as a share of it, before all are scaled so
    that drivers pay as much for the plan of stage I as before. A driver pays the price of the cheapest hours of the
    stay that hold what was asked for, so that the station earns nothing by charging in dear hours."""

    @model_validator(mode="after")
    def _ordered(self):
        if self.quantiles[0] > self.quantiles[1]:
            raise ValueError(f"quantiles must rise, got {self.quantiles[0]:g} and {self.quantiles[1]:g}")
        return self


class Owners(contract.Parameters):
    """Who of the owners that agreed to V2G accepts a subsidy: a share that rises linearly with what it adds to the
    charging price."""

    premium_from_per_kwh: NonNegative = 0.0
    """Subsidy less charging price at which the first one accepts [1/kWh]."""
    premium_to_per_kwh: NonNegative = 0.1
    """The same at which all accept [1/kWh]."""

    @model_validator(mode="after")
    def _ordered(self):
        low, high = self.premium_from_per_kwh, self.premium_to_per_kwh
        if low > high:
            raise ValueError(f"premium_to_per_kwh must be at least premium_from_per_kwh {low:g}, got {high:g}")
        return self


class FeederSection(contract.Parameters):
    """The controller's own picture of the network, to check its plans."""

    net: str = "case33bw"
    """A network that the section ``network`` knows by name (case33bw, lv_feeder, ...), or a pandapower JSON file,
    relative to the scenario file."""
    bus: int | str
    """Bus of the hub: pandapower's index or the bus name. The hub stands in for the loads there."""
    v_min_pu: Annotated[float, Field(gt=0, le=2)] = 0.9
    v_max_pu: Annotated[float, Field(gt=0, le=2)] = 1.1
    """Limits of the voltage at this bus [pu]."""
    rounds: Annotated[int, Field(ge=1, le=50)] = 5
    """How often a plan is solved again with tighter limits of import or export before an alarm."""

    @field_validator("net")
    @classmethod
    def _found(cls, net: str, info: ValidationInfo) -> str:
        return contract.file_of(net, "feeder.net", info) if net.endswith(".json") else net

    @model_validator(mode="after")
    def _ordered(self):
        if self.v_min_pu >= self.v_max_pu:
            raise ValueError(f"v_max_pu must be above v_min_pu {self.v_min_pu:g}, got {self.v_max_pu:g}")
        return self


class IevcsParameters(contract.Parameters):
    """What is planned, at which prices, and by which stages."""

    stages: Stages = Stages()
    horizon: Literal["extended", "24h"] = "extended"
    """A day's plan reaches to the departure of the last EV that arrives that day, or to midnight. A plan that ends
    before an EV leaves wants by then its share of the energy, in proportion to the time."""
    resolution: Annotated[Duration, Field(ge=S_PER_MIN, le=S_PER_H)] = 15 * S_PER_MIN
    """Length of a step of the plan; a part of an hour."""
    lead: Annotated[Duration, Field(lt=S_PER_H)] = 15 * S_PER_MIN
    """How long before an hour its plan is made (stage III)."""
    eens_per_kwh: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = (10.0, 1.0, 0.5, 0.3)
    """Cost of energy not supplied to critical, controllable, shiftable and general load [1/kWh] (eq. 6)."""
    ev_eens_per_kwh: NonNegative = 2.0
    """The same of EVs: it makes eq. (1) hold wherever it can [1/kWh]."""
    controllable_cut: Share = 0.3
    """Share of the controllable load that may be cut at its own cost: 1 less the lower end of its band."""
    recovery_kw: NonNegative = 0.0
    """How far shiftable load can go above its demand to make good what was put off: `recovery_kw` of the load [kW]."""
    subsidy_per_kwh: NonNegative = 0.0
    """What an owner gets for energy given back, before stage II; never less than the dearest charging price, so that
    nobody pays for lending a battery (eq. 4) [1/kWh]."""
    owners: Owners = Owners()
    tiers: Tiers = Tiers()
    cost_bound: NonNegative = 0.0
    """By how much stage II may make the day's plan of stage I dearer, in the currency of the tariffs."""
    price_limit_per_kwh: NonNegative | None = None
    """Purchase price from which the grid counts as being at its peak (stage IV, sigma_lim); half-way between the lowest
    and the highest price of the plan when left out [1/kWh]."""
    soc_end: Share | None = None
    """State of charge of the battery with which every plan ends, or more; none when left out. Load and EVs come first:
    where it cannot be reached, an alarm tells what will be missing."""
    pv_memory: Duration | None = None
    """Stage III scales the PV forecast by what PV gives now over what was forecast for now; the correction fades with
    this time constant. The forecast is trusted when left out."""
    feeder: FeederSection | None = None
    """The network that plans are checked on; none when left out."""
    solver: Literal["glpk", "highs"] = "glpk"
    """Who solves it; highs is an extra."""
    time_limit: Duration = S_PER_MIN
    """For one solve, on the wall clock."""

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: float) -> float:
        if S_PER_H % resolution:
            raise ValueError(f"resolution must be a part of an hour, such as 15min, got {resolution:g}s")
        return resolution

    @field_validator("eens_per_kwh")
    @classmethod
    def _critical_first(cls, costs):
        if costs[0] <= max(costs[1:]):
            raise ValueError(f"eens_per_kwh: critical load must cost most, got {costs}")
        return costs
