"""The one adapter for all controllers: builds what they see, checks and clips what they answer, times their decisions.

The simulator has one device for each hub. A controller may run several of them; it decides at its period, and at once
when the bus or a connector changes its status. Set points reach the plant one step later (or later still, through a
link), because every other order would let a controller act on what it has not measured yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from time import perf_counter
from typing import Any

import numpy as np

from ...controllers import contract as base
from ...simulators.adapter import EVENTS, NEVER, Adapter, Clock, Device, Port, Schedule, named

_MEASURED = Port("", "a measurement, held until the next one", trigger=False)
_STATUS = Port("", "a status, whose change calls for a decision")
_STATUS_PORTS = ("ats.bus", "arrivals.session", "arrivals.faulted")
_FAILED = {f"{device}.failed": device for device in ("pv", "bess", "dg")}
_NUMBER = (float, int, np.number)
_NUMBERS = ("bess_kw", "pv_limit_kw", "dg_kw", "pv_q_kvar", "bess_q_kvar", "dg_q_kvar")
_numbers = attrgetter(*_NUMBERS)
_PRICE_PORTS = tuple(f"tariffs.{price.name}_per_kwh" for price in fields(base.Prices))
_FREE = {
    "occupied": False,
    "requested_kwh": 0.0,
    "p_max_kw": 0.0,
    "plugged_s": math.nan,
    "departure_s": math.nan,
    "v2g": False,
}
"""What is known of a connector where nobody is plugged in."""
_MEASUREMENT_PORTS = (
    "grid.meter_kw",
    "grid.meter_a",
    "grid.secondary_meter_kw",
    "grid.load_meter_kw",
    "pv.p_kw",
    "pv.failed",
    "bess.p_kw",
    "bess.soc",
    "bess.failed",
    "dg.p_kw",
    "dg.failed",
    "dg.fuel_l",
    "cp.p_kw",
    "cp.connector_p_kw",
    "cp.energy_kwh",
    "cp.soc",
    "network.v_pu",
    *_PRICE_PORTS,
    "link.sampled_s",
)


class ControllerError(RuntimeError):
    """A controller answered with something that is not a set point."""


@dataclass(frozen=True)
class Sessions:
    """What a hub's controller may know of its sessions; every array has the shape (n_sessions,).

    Parameters
    ----------
    id : sequence of str
        Names.
    energy_kwh, p_max_kw, departure_s : ndarray
        Asked for [kWh], accepted [kW], announced departure [s since the start].
    v2g : ndarray of bool
        The owner agreed to discharge.
    """

    id: Sequence[str]
    energy_kwh: np.ndarray
    p_max_kw: np.ndarray
    departure_s: np.ndarray
    v2g: np.ndarray


class ControlledHub(Device):
    """The measurements of a hub as they have arrived, and the set points last sent to it."""

    def __init__(
        self,
        clock: Clock,
        *,
        site: base.Site,
        sessions: Sessions,
        linked: bool,
        parameters: Schedule,
        forecast: Callable[[float], base.Forecast],
        records: Mapping[str, Port],
    ):
        super().__init__(clock)
        self.site = site
        self.parameters = parameters
        self._forecast = forecast
        self._records = records
        self.sessions = sessions
        # over a link nothing is known before the first message
        self._unknown = math.nan if linked else 0.0
        n = site.connector_kw.size
        self._session = np.full(n, -1)
        zero = np.zeros(n)
        self.inputs = {
            "ats.bus": 1,
            "arrivals.session": self._session,
            "arrivals.faulted": np.zeros(n, dtype=bool),
            "grid.meter_a": np.zeros(3),
            "cp.connector_p_kw": zero,
            "cp.energy_kwh": zero,
            "cp.soc": np.full(n, np.nan),
            "network.v_pu": math.nan,
            "link.sampled_s": {},
            **dict.fromkeys(_FAILED, False),
        }
        self._ids: tuple[str | None, ...] = (None,) * n
        self._told = {name: np.full(n, free) for name, free in _FREE.items()}
        self._prices = base.Prices(*len(_PRICE_PORTS) * (0.0,))
        self._least_kw, self._most_kw = -site.connector_kw, site.connector_kw
        self._scalars: tuple[float, ...] = ()
        self._no_q_kvar = zero
        # what a controller sees is kept from decision to decision, so it must not write into it
        for values in (*self.inputs.values(), *self._told.values()):
            if isinstance(values, np.ndarray):
                values.setflags(write=False)

    def take(self, t_s: float, new: Mapping[str, Mapping[str, Any]]) -> None:
        """Hold what has arrived, and take notice of new prices and of who has plugged in or left."""
        for port, sources in new.items():
            for value in sources.values():
                self.inputs[port] = value
        if not new.keys().isdisjoint(_PRICE_PORTS):
            self._prices = base.Prices(*(self.inputs.get(port, 0.0) for port in _PRICE_PORTS))
        session = self.inputs["arrivals.session"]
        if session is self._session:
            return
        known, ids = self.sessions, list(self._ids)
        told = {name: values.copy() for name, values in self._told.items()}
        for i in (session != self._session).nonzero()[0].tolist():
            k = session.item(i)
            ids[i] = known.id[k] if k >= 0 else None
            now = _FREE
            if k >= 0:
                now = {
                    "occupied": True,
                    "requested_kwh": known.energy_kwh[k],
                    "p_max_kw": known.p_max_kw[k],
                    "plugged_s": t_s,
                    "departure_s": known.departure_s[k],
                    "v2g": known.v2g[k],
                }
            for name, value in now.items():
                told[name][i] = value
        for values in told.values():
            values.setflags(write=False)
        self._session, self._ids, self._told = session, tuple(ids), told

    def observation(self, t_s: float) -> base.Hub:
        """What the controller sees of this hub now."""
        held = self.inputs
        get, unknown = held.get, self._unknown
        return base.Hub(
            bus=held["ats.bus"],
            p_grid_kw=get("grid.meter_kw", unknown),
            p_secondary_kw=get("grid.secondary_meter_kw", unknown),
            p_load_kw=get("grid.load_meter_kw", unknown),
            i_grid_a=held["grid.meter_a"],
            p_pv_kw=get("pv.p_kw", unknown),
            p_bess_kw=get("bess.p_kw", unknown),
            p_dg_kw=get("dg.p_kw", unknown),
            p_cp_kw=get("cp.p_kw", unknown),
            soc=get("bess.soc", math.nan),
            fuel_l=get("dg.fuel_l", math.nan),
            v_pu=held["network.v_pu"],
            age_s={device: t_s - sampled for device, sampled in held["link.sampled_s"].items()},
            connectors=self._seen_connectors(),
            prices=self._prices,
            failed=frozenset([device for port, device in _FAILED.items() if held[port]]),
            parameters=self.parameters.at(t_s),
            forecast=self._forecast(t_s),
        )

    def _seen_connectors(self) -> base.Connectors:
        held = self.inputs
        p_kw, energy_kwh, soc = held["cp.connector_p_kw"], held["cp.energy_kwh"], held["cp.soc"]
        sampled_s = held["link.sampled_s"].get("cp")
        if sampled_s is not None and (self._told["plugged_s"] > sampled_s).any():
            # the last message is older than the session: it speaks of the EV before
            newer = self._told["plugged_s"] > sampled_s
            p_kw, energy_kwh = np.where(newer, 0.0, p_kw), np.where(newer, 0.0, energy_kwh)
            soc = np.where(newer, np.nan, soc)
        return base.Connectors(
            **self._told,
            session_id=self._ids,
            faulted=held["arrivals.faulted"],
            p_kw=p_kw,
            energy_kwh=energy_kwh,
            soc=soc,
        )

    def send(self, setpoints: base.Setpoints, numbers: tuple[float, ...]) -> None:
        """Hand set points and their scalars, see `check`, to the plant, clipped to the plates of the devices."""
        site = self.site
        limit_kw = np.minimum(np.maximum(setpoints.connector_kw, self._least_kw), self._most_kw)
        self.emit("connector_limit_kw", limit_kw)
        q_kvar = setpoints.connector_q_kvar
        self.emit("connector_q_kvar", self._no_q_kvar if q_kvar is None else np.array(q_kvar))
        if numbers == self._scalars:
            return
        self._scalars = numbers
        self.emit("bess_kw", min(max(float(setpoints.bess_kw), -site.bess_kw), site.bess_kw))
        self.emit("bess_q_kvar", float(setpoints.bess_q_kvar))
        self.emit("pv_limit_kw", min(max(float(setpoints.pv_limit_kw), 0.0), site.pv_kw))
        self.emit("pv_q_kvar", float(setpoints.pv_q_kvar))
        self.emit("dg_kw", min(max(float(setpoints.dg_kw), 0.0), site.dg_kw))
        self.emit("dg_q_kvar", float(setpoints.dg_q_kvar))
        self.emit("load_limit_kw", np.maximum(np.array(setpoints.load_limit_kw, dtype=float), 0.0))

    def record(self, values: Mapping[str, float]) -> None:
        """Write a controller's own series; raises for one that its class does not name."""
        for name, value in values.items():
            if name not in self._records:
                raise ValueError(f"records has no {name!r}; the class names {', '.join(self._records) or 'none'}")
            self.emit(name, float(value))


def ports(controller: base.Controller) -> dict[str, Port]:
    """The output ports of a controller's own series."""
    return {name: Port(unit, description) for name, (unit, description) in controller.records.items()}


class _Run:
    """A controller and the hubs it runs."""

    def __init__(self, name: str, controller: base.Controller, period_steps: int):
        self.name = name
        self.hubs = ", ".join(controller.sites)
        self.controller = controller
        self.period_steps = period_steps


def check(setpoints: base.Setpoints, site: base.Site) -> tuple[float, ...]:
    """Refuse what is not a set point.

    Parameters
    ----------
    setpoints : Setpoints
        The answer for one hub.
    site : Site
        The hub.

    Returns
    -------
    tuple of 10 float
        Its scalars: powers and reactive powers in the order of `Setpoints`, then the limits of the load classes.

    Raises
    ------
    ControllerError
        Naming the field: a wrong shape, NaN, or a power that is not a number.
    """
    if len(setpoints.load_limit_kw) != 4:
        raise ControllerError(f"load_limit_kw must have 4 elements, got {setpoints.load_limit_kw}")
    numbers = (*_numbers(setpoints), *setpoints.load_limit_kw)
    for place, value in enumerate(numbers):
        if not isinstance(value, _NUMBER) or value != value:
            field = (*_NUMBERS, *4 * ("load_limit_kw",))[place]
            raise ControllerError(f"{field} must be a number, got {value!r}")
    for field in ("connector_kw", "connector_q_kvar"):
        values = getattr(setpoints, field)
        if values is None and field == "connector_q_kvar":
            continue
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise ControllerError(f"{field} must be an array of numbers, got {values!r}")
        if values.shape != site.connector_kw.shape:
            raise ControllerError(f"{field} must have the shape {site.connector_kw.shape}, got {values.shape}")
        if math.isnan(values.dot(values)):  # no sum of squares is NaN unless one of them is
            raise ControllerError(f"{field} must be a number, got {values}")
    return numbers


class Simulator(Adapter):
    """Decides for all hubs of a scenario."""

    model = "Controller"
    device = ControlledHub
    inputs = {
        **{name: _STATUS for name in _STATUS_PORTS},
        **{name: _MEASURED for name in _MEASUREMENT_PORTS},
    }
    outputs = {
        "connector_limit_kw": Port("kW", "limit of each connector; negative asks to discharge", "connector"),
        "connector_q_kvar": Port("kvar", "reactive set point of each connector, > 0 feeds the hub bus", "connector"),
        "bess_kw": Port("kW", "set point of the battery, > 0 discharges"),
        "bess_q_kvar": Port("kvar", "reactive set point of the battery, > 0 feeds the hub bus"),
        "pv_limit_kw": Port("kW", "upper limit of PV"),
        "pv_q_kvar": Port("kvar", "reactive set point of PV, > 0 feeds the hub bus"),
        "dg_kw": Port("kW", "set point of the generator"),
        "dg_q_kvar": Port("kvar", "reactive set point of the generator, > 0 feeds the hub bus"),
        "load_limit_kw": Port("kW", "limit of each load class", "class"),
        "events": EVENTS,
    }

    def configure(
        self,
        controllers: Sequence[tuple[str, base.Controller]] = (),
        start: datetime | None = None,
        diagnose: Callable[[str, float, float], None] | None = None,
    ) -> None:
        """Take the controllers, the time of the first instant, and where decision times are written."""
        start = start or datetime.fromtimestamp(0.0, UTC)
        self.outputs = {**self.outputs, **{name: port for _, one in controllers for name, port in ports(one).items()}}
        self._start_utc, self._zone = start.astimezone(UTC), start.tzinfo
        self._diagnose = diagnose
        self._runs = []
        for name, controller in controllers:
            steps = round(controller.period_s / self.clock.time_step_s)
            self._runs.append(_Run(name, controller, steps))

    def step(self, time: int, inputs: Mapping, max_advance: int) -> int | None:
        """Take in what arrived, then let every controller decide whose time has come."""
        t_s = self.clock.seconds(time)
        calls = set()
        soonest = NEVER
        for name, device in self.devices.items():
            device.changed = {}
            new = inputs.get(name, {})
            if not new.keys().isdisjoint(_STATUS_PORTS):
                calls.add(name)
            try:
                device.take(t_s, new)  # pyright: ignore[reportAttributeAccessIssue]
                if device.wake <= time:  # its controller's parameters may have changed
                    change_s = device.parameters.next_change(t_s)  # pyright: ignore[reportAttributeAccessIssue]
                    device.wake = NEVER if change_s == math.inf else self.clock.step_at_or_after(change_s)
                    calls.add(name)
            except TypeError as error:
                raise named(error, self.model, name, t_s) from error
            soonest = min(soonest, device.wake)
        if time == self.clock.steps:
            return None  # the run is over: accounts are closed, nothing is decided
        for run in self._runs:
            if time % run.period_steps == 0 or not calls.isdisjoint(run.controller.sites):
                try:
                    self._decide(run, t_s)
                except TypeError as error:
                    raise named(error, self.model, run.hubs, t_s) from error
            soonest = min(soonest, (time // run.period_steps + 1) * run.period_steps)
        return soonest if soonest < self.clock.steps else None

    def _decide(self, run: _Run, t_s: float) -> None:
        sites = run.controller.sites
        observation = base.Observation(
            t_s=t_s,
            time=(self._start_utc + timedelta(seconds=t_s)).astimezone(self._zone),
            hubs={name: self.devices[name].observation(t_s) for name in sites},  # pyright: ignore
            end_s=self.clock.end_s,
        )
        began = perf_counter()
        try:
            decision = run.controller.decide(observation)
        except (Exception, SystemExit) as error:  # a user's own code may fail in any way
            raise ControllerError(f"{_who(run, run.hubs, t_s)}: {type(error).__name__}: {error}") from error
        if self._diagnose is not None:
            self._diagnose(f"{run.name}/decision_s", t_s, perf_counter() - began)
            for name, value in getattr(decision, "diagnostics", {}).items():
                self._diagnose(f"{run.name}/{name}", t_s, float(value))
        for name, site in sites.items():
            device = self.devices[name]
            try:
                setpoints = decision.setpoints[name]
                device.send(setpoints, check(setpoints, site))  # pyright: ignore[reportAttributeAccessIssue]
                device.record(decision.records.get(name, {}))  # pyright: ignore[reportAttributeAccessIssue]
            except ControllerError as error:
                raise ControllerError(f"{_who(run, name, t_s)}: {error}") from None
            except (TypeError, AttributeError, KeyError, ValueError) as error:
                raise ControllerError(
                    f"{_who(run, name, t_s)}: must answer with a Decision that has Setpoints for every hub "
                    f"({type(error).__name__}: {error})"
                ) from error
        try:
            events = [(sites[hub] and hub, str(kind), str(text)) for hub, kind, text in decision.events]
        except (TypeError, ValueError, KeyError):
            got = f"events must be (hub, kind, text), got {decision.events!r}"
            raise ControllerError(f"{_who(run, run.hubs, t_s)}: {got}") from None
        for name in sites if events else ():
            self.devices[name].emit_events([(kind, text) for hub, kind, text in events if hub == name])


def _who(run: _Run, hubs: str, t_s: float) -> str:
    return f"controller {run.name}, hub {hubs}, at {t_s:g} s"
