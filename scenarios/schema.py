"""The scenario file as pydantic models: what may stand in it, with units and limits.

Field names here are the keys of the file. Unknown keys are errors, values are frozen after reading. What needs more
than one section to judge (a hub named by an event) is checked in ``Scenario``; what needs files, in ``build``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ..simulators.models.sessions import SOC_V2G_MIN
from ..simulators.models.units import S_PER_DAY, S_PER_H
from .events import Event
from .expectations import Expectation
from .quantities import (
    Count,
    Duration,
    Name,
    NonNegative,
    Number,
    Phases,
    Positive,
    PositiveDuration,
    Ratio,
    Section,
    Spacing,
    Start,
    Switch,
    Whole,
    ZoneName,
)

LARGEST_SEED = 2**63 - 1
"""What a result file can hold."""

# --- series -----------------------------------------------------------------------------------------------------------


class Constant(Section):
    """One value for the whole run."""

    type: Literal["constant"]
    value: Number
    """The value, in the unit of the quantity it stands for."""


class Profile(Section):
    """Points in the scenario file."""

    type: Literal["profile"]
    points: list[tuple[Duration, Number]] = Field(min_length=1)
    """Pairs [time since the start, value]; times rise. A value holds until the next point, the last one to the end."""
    interpolate: Spacing | None = None
    """Follow straight lines between the points, in steps of this length."""
    every: Spacing | None = None
    """Repeat the profile with this period, such as 1d."""

    @field_validator("points")
    @classmethod
    def _rising(cls, points):
        if points[0][0] != 0:
            raise ValueError(f"the first point must be at 0s, got {points[0][0]:g}s")
        for (before, _), (after, _) in pairwise(points):
            if after <= before:
                raise ValueError(f"times must rise, got {after:g}s after {before:g}s")
        return points


class Csv(Section):
    """A column of a CSV file."""

    type: Literal["csv"]
    file: str
    """Path, relative to the scenario file."""
    column: str
    """The column with the values."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    scale: Number = 1.0
    """Factor on every value."""
    repeat: Switch = False
    """Repeat the file's span when it is shorter than the run (whole days only)."""


Source = Annotated[Constant | Profile | Csv, Field(discriminator="type")]


class Place(Section):
    """Where the sun is seen from."""

    latitude: Annotated[Number, Field(ge=-90, le=90)]
    """North positive [deg]."""
    longitude: Annotated[Number, Field(ge=-180, le=180)]
    """East positive [deg]."""
    altitude_m: Number = 0.0
    """Above sea level [m]."""
    tilt: Annotated[Number, Field(ge=0, le=90)] = 20.0
    """Of the modules against the horizontal [deg]."""
    azimuth: Annotated[Number, Field(ge=0, lt=360)] = 180.0
    """Of the modules, clockwise from north [deg]; 180 faces south."""
    albedo: Ratio = 0.2
    """Reflected share of the ground."""
    resolution: Spacing = 900.0
    """Length of the averaging intervals."""


class ClearSky(Place):
    """Irradiance of a cloudless sky (pvlib, Ineichen)."""

    type: Literal["clear_sky"]
    clearness: Annotated[Number, Field(ge=0, le=1.2)] = 1.0
    """Factor on the clear-sky irradiance."""


class Weather(Place):
    """Irradiance and temperature from a typical meteorological year."""

    type: Literal["tmy"]
    file: str
    """EPW, TMY3 or PVGIS file, relative to the scenario file."""


Irradiance = Annotated[Constant | Profile | Csv | ClearSky | Weather, Field(discriminator="type")]

# --- devices ----------------------------------------------------------------------------------------------------------


class Pv(Section):
    """A PV plant behind one inverter."""

    type: Literal["noct", "pvwatts"] = "noct"
    """Power model: noct (Lavrenova & Denysiuk 2023, eq. 1-2) or pvwatts (pvlib)."""
    rated_kw: Positive
    """DC power under standard test conditions [kW]."""
    inverter_kva: Positive | None = None
    """Rating of the inverter [kVA]; rated_kw when left out."""
    irradiance: Irradiance
    """In the plane of the modules [W/m2]."""
    temperature: Source | None = None
    """Ambient temperature [degC]; from the weather file, or 25, when left out."""
    gamma_per_k: Annotated[Number, Field(ge=-0.02, le=0)] = -0.0029
    """Temperature coefficient of the power [1/K]."""
    noct_c: Annotated[Number, Field(ge=20, le=80)] = 41.5
    """Nominal operating cell temperature [degC]."""


class _Battery(Section):
    rated_kw: Positive
    """Largest charging and discharging power at the grid side of the converter [kW]."""
    capacity_kwh: Positive
    """Nominal energy [kWh]."""
    soc: Ratio = 0.5
    """State of charge at the start."""
    soc_min: Ratio = 0.2
    """Never discharged below."""
    soc_max: Ratio = 0.8
    """Never charged above."""
    inverter_kva: Positive | None = None
    """Rating of the inverter [kVA]; rated_kw when left out."""

    @model_validator(mode="after")
    def _window(self):
        if self.soc_min >= self.soc_max:
            raise ValueError(f"soc_min must be below soc_max, got {self.soc_min:g} and {self.soc_max:g}")
        if not self.soc_min <= self.soc <= self.soc_max:
            raise ValueError(
                f"soc must be between soc_min {self.soc_min:g} and soc_max {self.soc_max:g}, got {self.soc:g}"
            )
        return self


class TremblayBattery(_Battery):
    """A stationary battery with cell voltage, current limits and CC/CV charging."""

    type: Literal["tremblay"]
    pack: str = "tremblay_liion_3p3v_2p3ah"
    """Published cell parameters; `evhub list` names them."""
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 0.97
    """Of the converter, each way."""


class IdealBattery(_Battery):
    """A stationary battery without losses and voltage, for studies that assume one."""

    type: Literal["ideal"]
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Of the converter, each way."""


Bess = Annotated[TremblayBattery | IdealBattery, Field(discriminator="type")]


class Dg(Section):
    """A dispatchable generator (genset)."""

    rated_kw: Positive
    """Largest power [kW]."""
    minimum_kw: NonNegative = 0.0
    """Smallest power it can run at [kW]."""
    fuel_capacity_l: Positive = 200.0
    """Size of the tank [l]."""
    fuel_l: NonNegative | None = None
    """In the tank at the start [l]; full when left out."""
    start: Duration = 10.0
    """From the command to power."""
    stop: Duration = 0.0
    """Cooling down after power, before it can start again."""

    @model_validator(mode="after")
    def _ratings(self):
        if self.minimum_kw > self.rated_kw:
            raise ValueError(f"minimum_kw must be at most rated_kw {self.rated_kw:g}, got {self.minimum_kw:g}")
        if self.fuel_l is not None and self.fuel_l > self.fuel_capacity_l:
            raise ValueError(f"fuel_l must be at most fuel_capacity_l {self.fuel_capacity_l:g}, got {self.fuel_l:g}")
        return self


class LoadClass(Section):
    """One of the four load classes of Yan & Tu 2022."""

    demand: Source
    """What is wanted [kW]."""
    band: tuple[Ratio, Ratio] | None = None
    """Controllable load only: the least and the largest share of the demand that may be served."""
    recovery_kw: NonNegative | None = None
    """Shiftable load only: how far it can go above its demand to make good what was put off [kW]; as far as its highest
    demand when left out."""

    @field_validator("band")
    @classmethod
    def _ordered(cls, band):
        if band is not None and band[0] > band[1]:
            raise ValueError(f"the least share must be at most the largest, got {band[0]:g} and {band[1]:g}")
        return band


class Load(Section):
    """The local load of a hub: one demand, or one for each class."""

    demand: Source | None = None
    """All of it, as critical load [kW]."""
    critical: LoadClass | None = None
    """Always served while there is voltage."""
    controllable: LoadClass | None = None
    """Served between the limits of its band."""
    shiftable: LoadClass | None = None
    """May be put off and is made good later in the day."""
    general: LoadClass | None = None
    """May be cut at its cost."""
    power_factor: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Lagging."""
    connected: Switch = True
    """Switched on at the start; `load` events switch it."""

    @model_validator(mode="after")
    def _demand(self):
        classes = [self.critical, self.controllable, self.shiftable, self.general]
        if self.demand is None and not any(classes):
            raise ValueError("needs demand, or at least one of critical, controllable, shiftable, general")
        if self.demand is not None and self.critical is not None:
            raise ValueError("demand is critical load already: give demand or critical, not both")
        for key, owner in (("band", "controllable"), ("recovery_kw", "shiftable")):
            for name in ("critical", "controllable", "shiftable", "general"):
                section = getattr(self, name)
                if name != owner and section is not None and getattr(section, key) is not None:
                    raise ValueError(f"{key} belongs to the {owner} class, not to {name}")
        return self


class Conductors(Section):
    """Connectors that hang on the same conductors, so that their currents are in phase."""

    connectors: Annotated[list[Count], Field(min_length=1)]
    """Their numbers, from 1."""
    angle_deg: Number = 0.0
    """Angle of their currents: 30, -90, 150 between the lines of a delta, 0 where every limit is that of one phase."""


class CurrentLimit(Section):
    """The largest current through a conductor of the site."""

    name: str
    """What carries it: a side of a transformer, a panel, a cable."""
    limit_a: Positive
    """The limit [A]."""
    sum: Annotated[dict[str, Number], Field(min_length=1)]
    """Groups whose currents add up in it, each with its factor: -1 where it returns, 0.25 behind turns of 4 to 1."""


class Circuits(Section):
    """What lies between the connection of a hub and its connectors, and how much current it carries."""

    voltage_v: Positive
    """Across which a connector's current flows [V]: it is power over this voltage and the number of phases."""
    groups: Annotated[dict[str, Conductors], Field(min_length=1)]
    """Connectors by the conductors they hang on, each in one group."""
    limits: Annotated[list[CurrentLimit], Field(min_length=1)]
    """What strategies keep that share a power: `equal_share`, `edf`, `llf`, `fcfs`, `round_robin`, `pv_first`, and
    `milp_dispatch` when it shares what is left of its plan."""

    @model_validator(mode="after")
    def _groups_fit(self):
        found: dict[int, str] = {}
        for name, group in self.groups.items():
            for number in group.connectors:
                if number in found:
                    raise ValueError(f"connector {number} must be in one group, got {found[number]} and {name}")
                found[number] = name
        for limit in self.limits:
            for name in limit.sum:
                if name not in self.groups:
                    raise ValueError(f"limit {limit.name}: {name!r} must be one of {', '.join(self.groups)}")
        return self


class Connectors(Section):
    """The charging connectors of a hub."""

    count: Count
    """How many."""
    rated_kw: Positive
    """Of each connector [kW]."""
    current: Literal["ac", "dc"] = "dc"
    """AC connectors obey the 6 A minimum of IEC 61851; DC connectors do not."""
    phases: Phases = 3
    """Of an AC connector. Single-phase connectors are spread over the phases in turn."""
    efficiency: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """From the hub bus into the EV's battery."""
    v2g: Switch = False
    """Whether connectors can feed back, for sessions that allow it."""
    circuits: Circuits | None = None
    """Current limits of what feeds them."""

    @model_validator(mode="after")
    def _circuits_fit(self):
        for name, group in (self.circuits.groups if self.circuits else {}).items():
            if max(group.connectors) > self.count:
                raise ValueError(
                    f"circuits.groups.{name}: connectors are numbered 1 to {self.count}, got {max(group.connectors)}"
                )
        return self


class Ev(Section):
    """What is assumed of EVs whose sessions do not say."""

    pack: str = "ideal"
    """Cell parameters of the pack; `evhub list` names them; ideal charges at constant power to the end."""
    capacity_kwh: Positive = 60.0
    """Nominal energy of the pack [kWh]; a session that asks for more gets a pack that holds it."""
    p_max_kw: Positive | None = None
    """What an EV accepts [kW]; what the connector gives when left out."""
    soc_target: Annotated[Number, Field(gt=0, le=1)] = 0.9
    """State of charge at which the requested energy is in."""


class ListedSession(Section):
    """One charging session in the scenario file."""

    at: Duration
    """Arrival, since the start."""
    until: Duration | None = None
    """Departure, since the start."""
    stay: PositiveDuration | None = None
    """Or how long it stays."""
    energy_kwh: NonNegative
    """What it asks for [kWh]."""
    id: str | None = None
    """Name in the results; s1, s2, ... when left out."""
    connector: Count | None = None
    """Number of the connector, from 1; any free one when left out."""
    p_max_kw: Positive | None = None
    """What the EV accepts [kW]."""
    capacity_kwh: Positive | None = None
    """Nominal energy of its pack [kWh]."""
    soc: Ratio | None = None
    """State of charge at arrival."""
    v2g: Switch = False
    """The owner agrees to discharge ..."""
    soc_v2g_min: Ratio = SOC_V2G_MIN
    """... but not below this state of charge (or the one at arrival, if that is lower)."""

    @model_validator(mode="after")
    def _leaves(self):
        if (self.until is None) == (self.stay is None):
            raise ValueError(f"needs either until or stay, got {'none' if self.until is None else 'both'}")
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"until must be after at: departs at {self.until:g}s, arrives at {self.at:g}s")
        return self


class SessionList(Section):
    """Sessions in the scenario file."""

    type: Literal["list"]
    items: list[ListedSession]


class SessionFile(Section):
    """Sessions in a file: a plain CSV, a CSV of ACN-Data, or the JSON of its API."""

    type: Literal["csv", "acn"]
    file: str
    """Path, relative to the scenario file."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    energy: Literal["requested", "delivered"] = "requested"
    """Which column counts as what the EV asks for."""
    pin_stations: Switch = False
    """Keep every session at its own station; any free connector otherwise."""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    """Whether a session with a problem refuses the file, or is left out and noted in the results."""


class StochasticSessions(Section):
    """Sessions drawn from a model: non-homogeneous Poisson arrivals, distributions of stay, energy and SoC."""

    type: Literal["stochastic"]
    profile: str = "public"
    """A published or documented profile (`evhub list` names them), or a YAML file relative to the scenario file."""
    scale: Annotated[Positive, Field(le=1000)] = 1.0
    """Factor on the arrival rate."""


Sessions = Annotated[SessionList | SessionFile | StochasticSessions, Field(discriminator="type")]


class Queue(Section):
    """What EVs do when no connector is free, and how long plugging in takes."""

    places: Annotated[Whole, Field(ge=0)] | None = None
    """Waiting places; 0 turns everyone away, no limit when left out."""
    patience: PositiveDuration | None = None
    """Mean of the exponentially distributed time an EV waits; it waits until its departure when left out."""
    plug_in: Duration = 0.0
    """From a free connector to plugged in."""
    authentication: Duration = 0.0
    """From plugged in to charging allowed."""


class Tou(Section):
    """A time-of-use tariff by season, weekday and hour."""

    type: Literal["tou"]
    tariff: str
    """A shipped tariff (`evhub list` names them) or a YAML file relative to the scenario file."""


Price = Annotated[Constant | Profile | Csv | Tou, Field(discriminator="type")]


class Tariffs(Section):
    """What energy costs at a hub; all in one currency."""

    currency: Annotated[str, Field(min_length=1, max_length=8)] = "EUR"
    """Label in tables and pictures."""
    buy: Price = Constant(type="constant", value=0.0)
    """Energy from the grid [1/kWh]."""
    sell: Price = Constant(type="constant", value=0.0)
    """Energy to the grid [1/kWh]."""
    dg: Price = Constant(type="constant", value=0.0)
    """Energy of the generator [1/kWh]."""
    bess: Price = Constant(type="constant", value=0.0)
    """Use of the battery, on every kWh in and out [1/kWh]."""
    charging: Price = Constant(type="constant", value=0.0)
    """What EV drivers pay [1/kWh]."""
    demand_per_kw: NonNegative = 0.0
    """On the highest quarter-hour import of each month [1/kW]."""
    missed_per_kwh: NonNegative = 0.0
    """Penalty on energy that an EV asked for and did not get [1/kWh]."""
    unserved_per_kwh: NonNegative = 0.0
    """Penalty on local load that was not served [1/kWh]."""


class Emissions(Section):
    """What the energy of a hub emits."""

    grid: Source
    """CO2 of a kWh from the grid, constant or over time [kg/kWh]."""
    fuel_kg_per_kwh: NonNegative = 0.0
    """CO2 of a kWh of the generator or the secondary source [kg/kWh]."""


class Secondary(Section):
    """The source behind the second input of the ATS."""

    type: Literal["genset"] = "genset"
    rated_kw: Positive
    """Largest power [kW]."""
    start: Duration = 0.0
    """From the loss of the grid to voltage; runs beside the transfer delay."""
    overload_factor: Annotated[Number, Field(ge=1)] = 1.1
    """Load above this multiple of the rating trips it ..."""
    overload_trip: Duration = 10.0
    """... when it lasts this long."""
    reverse_kw: NonNegative | None = None
    """Power fed back into it above this trips it [kW]; 5 % of the rating when left out ..."""
    reverse_trip: Duration = 5.0
    """... when it lasts this long."""
    restart: PositiveDuration = 60.0
    """Black start after a trip."""
    restarts: Annotated[Whole, Field(ge=0)] = 3
    """How often in one outage."""
    cooldown: Duration = 0.0
    """Running without load after the return to the grid; it takes over at once if the grid fails again."""


class Ats(Section):
    """The automatic transfer switch."""

    settings: str | None = None
    """A maker's published settings (`evhub list` names them); keys that are given go before them."""
    detection: Duration = 0.0
    """A shorter loss of voltage does not start a transfer."""
    transfer_s: NonNegative = 5.0
    """From detection to the secondary source [s]; the bus is dead."""
    stabilise_s: NonNegative = 0.0
    """The secondary source must have had voltage for this long before it is loaded [s]."""
    retransfer_s: NonNegative = 5.0
    """The grid has to be back for this long before the hub returns to it [s]."""
    open_transition_s: NonNegative = 0.0
    """Dead bus while switching back [s]; 0 is a closed transition."""


class Grid(Section):
    """The connection to the public grid."""

    contracted_kw: Positive
    """What the contract allows to import [kW]."""
    installed_kw: Positive | None = None
    """What the installation carries [kW]; contracted_kw when left out."""
    nominal_v: Positive = 400.0
    """Phase to phase [V]."""
    ats: Ats = Ats()
    secondary: Secondary | None = None

    @model_validator(mode="after")
    def _capacities(self):
        if self.installed_kw is not None and self.installed_kw < self.contracted_kw:
            raise ValueError(
                f"installed_kw must be at least contracted_kw {self.contracted_kw:g}, got {self.installed_kw:g}"
            )
        return self


class Delay(Section):
    """How long a message takes."""

    type: Literal["constant", "uniform", "normal", "exponential", "lognormal"]
    mean: Duration = 0.0
    """Mean delay."""
    spread: Duration = 0.0
    """Standard deviation; half the width of uniform."""


class Channel(Section):
    """How messages travel between the controller and a device."""

    measurement: Delay = Delay(type="constant")
    """Delay of measurements."""
    command: Delay = Delay(type="constant")
    """Delay of commands."""
    loss: Annotated[Ratio, Field(lt=1)] = 0.0
    """Share of messages that get lost."""


LinkedDevice = Literal["grid", "load", "pv", "bess", "dg", "cp"]


class Link(Channel):
    """The communication between the plant and the controller, each device by itself."""

    poll: PositiveDuration
    """How often every device is asked and commanded."""
    devices: dict[LinkedDevice, Channel] = {}
    """Devices with a channel of their own."""


class Foreseen(Section):
    """Everything as it will be."""

    type: Literal["perfect"]


class Persistence(Section):
    """What was a lag ago, or as many whole lags as it takes; before the run, the first value of the run."""

    type: Literal["persistence"]
    lag: Spacing = S_PER_DAY
    """The lag."""


class NoisyPower(Section):
    """Reality with an error that grows with the square root of the lead and is correlated in time."""

    type: Literal["noisy"]
    std: Ratio
    """Relative standard deviation of the error ..."""
    lead: PositiveDuration = S_PER_DAY
    """... at this lead."""
    correlation: PositiveDuration = 3 * S_PER_H
    """Between two targets this far apart the correlation of the errors is 1/e."""


class _Columns(Section):
    type: Literal["csv"]
    file: str
    """Path, relative to the scenario file; it has to cover the run."""
    time_zone: ZoneName | None = None
    """Zone of time stamps that carry no UTC offset."""
    scale: Number = 1.0
    """Factor on every value."""
    repeat: Switch = False
    """Repeat the file's span when it is shorter than the run (whole days only)."""


class LoadColumns(_Columns):
    """Load classes as columns of a CSV file."""

    columns: Annotated[dict[Literal["critical", "controllable", "shiftable", "general"], str], Field(min_length=1)]
    """The column of each class [kW]; nothing is expected of a class that is left out."""


class PriceColumns(_Columns):
    """Prices as columns of a CSV file."""

    columns: Annotated[dict[Literal["buy", "sell", "dg", "bess", "charging"], str], Field(min_length=1)]
    """The column of each price [1/kWh]; a price that is left out is as announced."""


class AnnouncedPrices(Section):
    """The tariffs as they are given; `price` events once they have begun."""

    type: Literal["announced"]


class PluggedIn(Section):
    """Nobody but the EVs that have plugged in, as their drivers announce themselves."""

    type: Literal["plugged_in"]


class NoisySessions(Section):
    """Sessions with Gaussian errors; from the moment they plug in as their drivers announce them."""

    type: Literal["noisy"]
    arrival_std: Duration = 0.0
    """Standard deviation of the arrival."""
    departure_std: Duration = 0.0
    """Of the departure."""
    energy_std: Ratio = 0.0
    """Of the energy asked for, relative to it."""


class Forecasts(Section):
    """What controllers may expect of the future."""

    pv: Annotated[Foreseen | Persistence | NoisyPower | Csv, Field(discriminator="type")] = Foreseen(type="perfect")
    """Available PV power [kW]."""
    load: Annotated[Foreseen | Persistence | NoisyPower | LoadColumns, Field(discriminator="type")] = Foreseen(
        type="perfect"
    )
    """Demand of the local load; `load` events are never foreseen."""
    prices: Annotated[AnnouncedPrices | Foreseen | Persistence | PriceColumns, Field(discriminator="type")] = (
        AnnouncedPrices(type="announced")
    )
    """Prices of the tariffs."""
    sessions: Annotated[Foreseen | PluggedIn | NoisySessions | SessionFile, Field(discriminator="type")] = Foreseen(
        type="perfect"
    )
    """Who comes, when, and for how much. In an expected schedule (a file) an EV is known by its id; from the moment it
    plugs in, what its driver announces counts."""


class Hub(Section):
    """An e-mobility hub: everything behind one grid connection."""

    grid: Grid
    pv: Pv | None = None
    bess: Bess | None = None
    dg: Dg | None = None
    load: Load | None = None
    connectors: Connectors | None = None
    ev: Ev = Ev()
    sessions: Sessions | None = None
    queue: Queue = Queue()
    tariffs: Tariffs = Tariffs()
    emissions: Emissions | None = None
    link: Link | None = None
    forecasts: Forecasts = Forecasts()

    @model_validator(mode="after")
    def _fits(self):
        if self.sessions is not None and self.connectors is None:
            raise ValueError("sessions need connectors")
        if self.connectors is not None and self.sessions is None:
            raise ValueError("connectors need sessions (an empty list is fine)")
        if isinstance(self.sessions, SessionList) and self.connectors is not None:
            for number, item in enumerate(self.sessions.items):
                if item.connector is not None and item.connector > self.connectors.count:
                    raise ValueError(
                        f"sessions.items[{number}].connector must be at most {self.connectors.count}, "
                        f"got {item.connector}"
                    )
        return self


# --- the whole --------------------------------------------------------------------------------------------------------


def _bus(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a bus index (a whole number) or a bus name")
    return value


Bus = Annotated[int | str, BeforeValidator(_bus)]


class Network(Section):
    """The distribution network the hubs are connected to."""

    type: Literal["pandapower"]
    net: str
    """A network of pandapower.networks (case33bw, create_cigre_network_lv, ...), lv_feeder, or a JSON file."""
    hub_bus: dict[Name, Bus]
    """The bus of each hub: pandapower's index, or the bus name."""
    replaces_load: Switch = False
    """A hub stands in the place of the loads at its bus."""
    load_scale: Source | None = None
    """Factor on the network's own loads over time; 1 when left out."""
    solver: Literal["newton", "power_grid_model"] = "newton"
    """What solves it while only powers change: Newton's method on pandapower's equations, or power-grid-model (extra
    `fast`), which pays on large networks; voltages agree to 1e-6 pu. pandapower itself solves after every switching."""
    tolerance_kw: NonNegative = 0.0
    """No new power flow while every hub's power has changed by no more than this since the last one [kW]."""


class ControllerSpec(Section):
    """Which controller decides, how often, and its own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    type: str
    """A registered controller (`evhub list`), or a class of your own as module:Class."""
    period: PositiveDuration = 60.0
    """Time between decisions; a change of the grid's or a connector's status makes one in between."""
    hubs: Annotated[list[Name], Field(min_length=1)] | None = None
    """The hubs it runs; all of them when left out."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The keys that belong to the controller itself."""
        return dict(self.model_extra or {})


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Scenario(Section):
    """A scenario: a plant, what happens to it, and who decides."""

    name: Name
    """Name of the scenario and of its results."""
    title: str = ""
    """One line for tables and pictures."""
    source: str = ""
    """Where the case and its numbers come from, and what was assumed."""
    start: Start
    """First instant, with UTC offset."""
    time_zone: ZoneName | None = None
    """Zone of tariffs and calendars (with daylight saving time); the fixed offset of start when left out."""
    duration: PositiveDuration
    """Length of the run."""
    time_step: PositiveDuration = 1.0
    """Grid on which events lie; results do not depend on it beyond that."""
    seed: Annotated[Whole, Field(ge=0, le=LARGEST_SEED)] = 0
    """Of everything random."""
    network: Network | None = None
    hubs: dict[Name, Hub] = Field(min_length=1)
    events: list[Event] = []
    controller: Annotated[
        list[ControllerSpec], BeforeValidator(_as_list, json_schema_input_type=ControllerSpec | list[ControllerSpec])
    ] = [ControllerSpec(type="uncontrolled")]
    """Who decides; a list when several controllers share the hubs."""
    expect: list[Expectation] = []
    """What must hold of the run; `evhub check` looks."""

    def problems(self) -> list[tuple[str, object, str]]:
        """What does not fit between sections: (key, given, allowed)."""
        found: list[tuple[str, object, str]] = []
        hubs = ", ".join(self.hubs)
        if "network" in self.hubs:
            found.append(("hubs.network", "network", "another name: network is the network's own place in the results"))
        steps = self.duration / self.time_step
        if abs(steps - round(steps)) > 1e-9:
            found.append(("duration", f"{self.duration:g}s", f"a multiple of time_step {self.time_step:g}s"))
        for n, spec in enumerate(self.controller):
            key = f"controller[{n}]" if len(self.controller) > 1 else "controller"
            periods = spec.period / self.time_step
            if abs(periods - round(periods)) > 1e-9:
                found.append((f"{key}.period", f"{spec.period:g}s", f"a multiple of time_step {self.time_step:g}s"))
            for hub in spec.hubs or []:
                if hub not in self.hubs:
                    found.append((f"{key}.hubs", hub, f"one of {hubs}"))
        found += self._controlled_once(hubs)
        if self.network is not None:
            for hub in self.network.hub_bus:
                if hub not in self.hubs:
                    found.append(("network.hub_bus", hub, f"one of {hubs}"))
            for hub in self.hubs:
                if hub not in self.network.hub_bus:
                    found.append(("network.hub_bus", f"no bus for {hub}", f"a bus for each of {hubs}"))
        for name, hub in self.hubs.items():
            for n, item in enumerate(hub.sessions.items if isinstance(hub.sessions, SessionList) else ()):
                if item.at >= self.duration:
                    allowed = f"a time before the end of the run at {self.duration:g}s"
                    found.append((f"hubs.{name}.sessions.items[{n}].at", f"{item.at:g}s", allowed))
        for name, hub in self.hubs.items():
            polls = hub.link.poll / self.time_step if hub.link is not None else 0.0
            if hub.link is not None and abs(polls - round(polls)) > 1e-9:
                given, allowed = f"{hub.link.poll:g}s", f"a multiple of time_step {self.time_step:g}s"
                found.append((f"hubs.{name}.link.poll", given, allowed))
        for n, event in enumerate(self.events):
            found += [(f"events[{n}].{key}", given, allowed) for key, given, allowed in event.problems(self)]
        for n, item in enumerate(self.expect):
            found += [(f"expect[{n}].{key}", given, allowed) for key, given, allowed in item.problems(self)]
        return found

    def _controlled_once(self, hubs: str) -> list[tuple[str, object, str]]:
        claimed = [hub for spec in self.controller for hub in (spec.hubs or self.hubs)]
        found: list[tuple[str, object, str]] = []
        for hub in self.hubs:
            if claimed.count(hub) != 1:
                found.append(("controller", f"{claimed.count(hub)} for hub {hub}", f"exactly one for each of {hubs}"))
        return found
