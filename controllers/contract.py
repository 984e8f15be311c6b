"""The contract between a controller and its hub: what the controller sees, and what it answers.

A controller sees measurements, sessions, prices and the plates of the devices, never the plant itself. It answers with
set points. Signs: sources are positive when they feed the hub bus (``bess_kw > 0`` discharges), connectors are positive
when they charge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationInfo

from .circuits import Circuits


class Parameters(BaseModel):
    """Parameters of a controller in the scenario file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ParameterError(ValueError):
    """A parameter that is valid by itself does not fit the hubs, the files or the other parameters.

    Parameters
    ----------
    key : str
        The parameter, such as ``network.net``.
    allowed : str
        What may stand there, and what does.
    """

    def __init__(self, key: str, allowed: str):
        super().__init__(key, allowed)
        self.key, self.allowed = key, allowed

    def __str__(self) -> str:
        return f"{self.key}: {self.allowed}"


@contextmanager
def parameter(key: str) -> Iterator[None]:
    """Raise every `ValueError` of a block as a `ParameterError` of this key."""
    try:
        yield
    except ParameterError:
        raise
    except ValueError as error:
        raise ParameterError(key, str(error)) from error


def file_of(name: str, key: str, info: ValidationInfo) -> str:
    """Find a file that a parameter names, as all files of a scenario are found; for a validator.

    Parameters
    ----------
    name : str
        What the parameter says.
    key : str
        The parameter.
    info : ValidationInfo
        Of the validator; whoever reads the parameters from a scenario says with it where its files are.

    Returns
    -------
    str
        Its path; the name as it is where the parameters are of no scenario.
    """
    resolve: Callable[[str, str], Path] | None = (info.context or {}).get("resolve")
    return name if resolve is None else str(resolve(name, key))


@dataclass(frozen=True, slots=True)
class CommandRange:
    """A set point that a device takes by its name, see `Setpoints.devices`, and its bounds.

    Parameters
    ----------
    unit : str
        Its unit.
    min, max : float
        What every set point is clipped to; infinite where the kind names no bound.
    neutral : float
        The value that leaves the device to itself.
    """

    unit: str
    min: float
    max: float
    neutral: float


@dataclass(frozen=True, slots=True)
class DevicePlates:
    """Ratings of one device.

    Parameters
    ----------
    kind : str
        Its kind: ``bess``, ``pv``, or one that a package registers.
    plates : mapping of str to float
        By name: ``rated_kw``, ``p_min_kw``, ``p_max_kw``, ``capacity_kwh``, ``minimum_kw``, ... as its kind gives them.
    abilities : tuple of str
        What it may do: ``stores``, ``dispatchable``, ``curtailable``, ``feeds_back``, ``forms_island``.
    commands : mapping of str to CommandRange
        The set points that it takes, by input: ``p_set_kw``, ``p_limit_kw``, ...
    """

    kind: str
    plates: Mapping[str, float]
    abilities: tuple[str, ...] = ()
    commands: Mapping[str, CommandRange] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """The plates of a hub: what does not change during a run.

    Of several devices of a kind the numbers here are totals; `devices` has each by itself.

    Parameters
    ----------
    contracted_kw, installed_kw : float
        Import allowed by the contract, carried by the installation [kW].
    nominal_v : float
        Voltage between two phases at the connection [V].
    secondary_kw : float
        Rating of the secondary source [kW]; 0 when there is none.
    secondary_reverse_kw, secondary_reverse_s : float
        More power than this into the secondary source [kW] for this long [s] trips it.
    demand_per_kw : float
        Charge on the highest quarter-hour import of each month [currency/kW].
    pv_kw, bess_kw, dg_kw : float
        Ratings [kW]; 0 when there is none.
    dg_minimum_kw : float
        Smallest power the generator can run at [kW].
    dg_fuel_capacity_l : float
        Size of its tank [l].
    bess_kwh, bess_soc_min, bess_soc_max : float
        Nominal energy [kWh] and window of the state of charge.
    bess_eta_charge, bess_eta_discharge : float
        Efficiencies of the converter; a battery with cell voltage loses a little more inside.
    connector_kw : ndarray, shape (n_connectors,)
        Ratings of the connectors [kW].
    connector_minimum_kw : ndarray, shape (n_connectors,)
        Below this a connector pauses [kW]: 6 A on AC, 0 on DC.
    connector_phases : ndarray, shape (n_connectors,)
        Number of phases.
    circuits : Circuits
        Limits between the connection and the connectors: of currents, and of cabinets that connectors share.
    devices : mapping of str to DevicePlates
        Every device by its name, but the connectors and the secondary source.
    """

    contracted_kw: float
    installed_kw: float
    nominal_v: float
    secondary_kw: float
    secondary_reverse_kw: float
    secondary_reverse_s: float
    demand_per_kw: float
    pv_kw: float
    bess_kw: float
    dg_kw: float
    dg_minimum_kw: float
    dg_fuel_capacity_l: float
    bess_kwh: float
    bess_soc_min: float
    bess_soc_max: float
    bess_eta_charge: float
    bess_eta_discharge: float
    connector_kw: np.ndarray
    connector_minimum_kw: np.ndarray
    connector_phases: np.ndarray
    circuits: Circuits
    devices: Mapping[str, DevicePlates] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connectors:
    """What is known of the connectors and the EVs at them; every array has the shape (n_connectors,).

    Parameters
    ----------
    occupied : ndarray of bool
        An authenticated EV is plugged in.
    faulted : ndarray of bool
        Out of order.
    session_id : tuple of str or None
        Name of the session.
    p_kw : ndarray
        Charging power [kW], negative when discharging.
    energy_kwh, requested_kwh : ndarray
        Delivered so far in this session, asked for [kWh].
    p_max_kw : ndarray
        What the EV accepts [kW]; 0 at a free connector.
    soc : ndarray
        State of charge where the EV tells it, else NaN.
    plugged_s, departure_s : ndarray
        Authentication, and the announced departure [s since the start]; NaN at a free connector, and where a driver
        announced nothing.
    v2g : ndarray of bool
        The owner agreed to discharge.
    """

    occupied: np.ndarray
    faulted: np.ndarray
    session_id: tuple[str | None, ...]
    p_kw: np.ndarray
    energy_kwh: np.ndarray
    requested_kwh: np.ndarray
    p_max_kw: np.ndarray
    soc: np.ndarray
    plugged_s: np.ndarray
    departure_s: np.ndarray
    v2g: np.ndarray

    @property
    def remaining_kwh(self) -> np.ndarray:
        """Asked for and not delivered yet [kWh]; what a V2G session gave back is missing again, the losses are not."""
        return np.maximum(self.requested_kwh - self.energy_kwh, 0.0)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices now [1/kWh]; see the tariffs section of a scenario."""

    buy: float
    sell: float
    dg: float
    bess: float
    charging: float


@dataclass(frozen=True, slots=True)
class ExpectedSessions:
    """Sessions as they are expected; every array has the shape (n_sessions,), in the order of arrival.

    Parameters
    ----------
    id : tuple of str
        Names; a session keeps its name from forecast to forecast, and when it has plugged in.
    arrival_s, departure_s : ndarray
        When it plugs in and leaves [s since the start]. Of an EV that has plugged in, a forecast that is not perfect
        gives the announced departure, as `Connectors` does: NaN where nothing was announced.
    energy_kwh : ndarray
        What it asks for at its arrival [kWh].
    p_max_kw : ndarray
        What the EV accepts [kW].
    capacity_kwh, soc : ndarray
        Battery of the EV [kWh], and its state of charge at its arrival.
    soc_v2g_min : ndarray
        State of charge below which it must not be discharged.
    v2g : ndarray of bool
        The owner agreed to discharge.
    """

    id: tuple[str, ...]
    arrival_s: np.ndarray
    departure_s: np.ndarray
    energy_kwh: np.ndarray
    p_max_kw: np.ndarray
    capacity_kwh: np.ndarray
    soc: np.ndarray
    soc_v2g_min: np.ndarray
    v2g: np.ndarray


class Forecast(ABC):
    """The forecast for one hub at the time of the observation.

    Times are edges of n intervals [s since the start], shape (n + 1,), increasing, up to the end of the run; every
    answer has one mean an interval.
    """

    @abstractmethod
    def pv_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the available PV power [kW], shape (n,)."""

    @abstractmethod
    def load_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the local load by class: critical, controllable, shiftable, general [kW], shape (n, 4)."""

    @abstractmethod
    def price(self, name: str, edges_s: np.ndarray) -> np.ndarray:
        """Forecast a price by the name it has in `Prices` [1/kWh], shape (n,)."""

    @abstractmethod
    def sessions(self, until_s: float) -> ExpectedSessions:
        """List the sessions that are not over yet, plugged in or expected before a time."""

    def other_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Forecast the net power of devices that have no field in `Hub`, see `Hub.p_other_kw` [kW]; shape (n,).

        Of a device whose power nobody foresees it is what it gives now.
        """
        return np.zeros(len(edges_s) - 1)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device as a controller sees it.

    Parameters
    ----------
    name, kind : str
        Its name in the hub, and its kind.
    failed : bool
        It reports an error.
    age_s : float
        Age of the last measurement [s].
    p_kw : float
        Its power [kW], with the sign of its kind: sources are positive when they feed the hub bus.
    measured : mapping of str to float
        What it measures, by output: ``p_kw``, ``soc``, ``fuel_l``, ...
    plates : mapping of str to float
        What is written on it, see `DevicePlates`.
    """

    name: str
    kind: str
    failed: bool
    age_s: float
    p_kw: float
    measured: Mapping[str, float]
    plates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub as its controller sees it: measurements, possibly late, and what is plugged in.

    Parameters
    ----------
    bus : int
        0 dead, 1 on the grid, 2 on the secondary source.
    p_grid_kw, p_secondary_kw, p_load_kw : float
        Meters [kW]; NaN while a meter fails.
    i_grid_a : ndarray, shape (3,)
        Phase currents at the connection [A].
    p_pv_kw, p_bess_kw, p_dg_kw, p_cp_kw : float
        Device powers [kW]; of several devices of a kind their sum.
    soc : float
        State of charge of the stationary battery; of several the mean, weighted with their capacities.
    fuel_l : float
        Fuel of the generator [l]; of several the sum.
    v_pu : float
        Voltage at the hub bus; NaN without a network.
    age_s : mapping of str to float
        Age of the last measurement of each device, and of each kind [s].
    connectors : Connectors
    prices : Prices
    failed : frozenset of str
        Devices that report an error, by name, and kinds of which all do: ``pv``, ``bess``, ``dg``.
    parameters : Parameters
        The controller's own, as they are in force now: an event of the scenario can change them during the run.
    forecast : Forecast
    devices : mapping of str to DeviceView
        Every device by its name, but the connectors and the secondary source.
    p_other_kw : float
        Net power that devices of kinds without a field here feed in [kW]; those that draw count negative.
    """

    bus: int
    p_grid_kw: float
    p_secondary_kw: float
    p_load_kw: float
    i_grid_a: np.ndarray
    p_pv_kw: float
    p_bess_kw: float
    p_dg_kw: float
    p_cp_kw: float
    soc: float
    fuel_l: float
    v_pu: float
    age_s: Mapping[str, float]
    connectors: Connectors
    prices: Prices
    failed: frozenset[str]
    parameters: Parameters
    forecast: Forecast
    devices: Mapping[str, DeviceView] = field(default_factory=dict)
    p_other_kw: float = 0.0

    @property
    def net_load_kw(self) -> float:
        """What the local load takes and devices without a field here do not give [kW]; NaN while it is not measured."""
        return self.p_load_kw - self.p_other_kw

    @property
    def islanded(self) -> bool:
        """The hub runs on its secondary source."""
        return self.bus == 2

    @property
    def dead(self) -> bool:
        """Nothing feeds the hub bus."""
        return self.bus == 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What a controller sees at a decision.

    Parameters
    ----------
    t_s : float
        Time since the start [s].
    time : datetime
        The same on the clock of the scenario.
    hubs : mapping of str to Hub
        The hubs it runs.
    end_s : float
        End of the run [s]; forecasts reach this far.
    """

    t_s: float
    time: datetime
    hubs: Mapping[str, Hub]
    end_s: float


@dataclass(frozen=True, slots=True)
class Setpoints:
    """What a controller wants of one hub; a value holds until the next decision.

    Parameters
    ----------
    connector_kw : ndarray, shape (n_connectors,)
        Limit of each connector [kW]; negative asks a V2G session to discharge.
    bess_kw : float
        Battery, > 0 discharges [kW].
    pv_limit_kw : float
        Upper limit of PV [kW].
    dg_kw : float
        Generator [kW]; 0 stops it.
    pv_q_kvar, bess_q_kvar, dg_q_kvar : float
        Reactive set points, > 0 feeds the hub bus [kvar].
    connector_q_kvar : ndarray, shape (n_connectors,), optional
        The same of each connector, for V2G sessions [kvar]; 0 when left out.
    load_limit_kw : tuple of 4 float
        Limit of each load class: critical (which obeys none), controllable, shiftable, general [kW].
    devices : mapping of str to float or mapping
        Set points of single devices by name, before the totals above: a number for the first input that the kind
        commands, or numbers by input, such as ``{"new": {"p_set_kw": 5.0, "q_set_kvar": 1.0}}``. What totals ask of the
        other devices of a kind is divided among them by the rule of the kind.
    """

    connector_kw: np.ndarray
    bess_kw: float = 0.0
    pv_limit_kw: float = inf
    dg_kw: float = 0.0
    pv_q_kvar: float = 0.0
    bess_q_kvar: float = 0.0
    dg_q_kvar: float = 0.0
    connector_q_kvar: np.ndarray | None = None
    load_limit_kw: tuple[float, float, float, float] = (inf, inf, inf, inf)
    devices: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """The set points of every hub, and what the controller wants written into the results.

    Parameters
    ----------
    setpoints : mapping of str to Setpoints
        One for each hub of the observation.
    events : list of (hub, kind, text)
        Reasons, alarms, fall-backs, each of one hub.
    records : mapping of str to mapping of str to float
        Of each hub, values of the series that the class names in ``records``.
    diagnostics : mapping of str to float
        What may differ from run to run, such as the time a solver took.
    """

    setpoints: Mapping[str, Setpoints]
    events: list[tuple[str, str, str]] = field(default_factory=list)
    records: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)


class Controller(ABC):
    """A strategy. Subclass it, name its parameters, and implement ``decide``.

    Parameters
    ----------
    sites : mapping of str to Site
        The hubs it runs.
    parameters : Parameters
        The controller's own section of the scenario, checked.
    period_s : float
        Time between decisions [s].
    rng : numpy.random.Generator
        For strategies that draw; nothing else may be random.
    """

    Parameters: ClassVar[type[Parameters]] = Parameters
    uses_forecast: ClassVar[bool] = True
    """Whether it looks at `Hub.forecast`. Results say of every strategy what it knew of the future; one that says False
    is given a forecast that refuses every question."""
    records: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Series of its own in the results of each hub: name, and unit and description; ``Decision.records`` fills them."""

    def __init__(self, sites: Mapping[str, Site], parameters: Parameters, period_s: float, rng: np.random.Generator):
        self.sites = sites
        self.parameters = parameters
        self.period_s = period_s
        self.rng = rng

    @classmethod
    def foresees(cls, parameters: Parameters) -> bool:
        """Return whether it looks at `Hub.forecast` with these parameters; as `uses_forecast` says by default.

        Parameters
        ----------
        parameters : Parameters
            The controller's own section of the scenario, checked.
        """
        return cls.uses_forecast

    def check(self, hub: str, parameters: Parameters) -> None:  # noqa: B027
        """Refuse parameters that an event of the scenario sets for a hub; by default all that are valid will do.

        Parameters
        ----------
        hub : str
            One of the hubs it runs.
        parameters : Parameters
            As they would be in force.

        Raises
        ------
        ValueError
            They do not fit the hub; the text says what is allowed and what was given.
        """

    @abstractmethod
    def decide(self, observation: Observation) -> Decision:
        """Answer an observation with set points for every hub in it."""
