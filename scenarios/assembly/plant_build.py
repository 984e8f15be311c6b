"""From a checked scenario to its wiring: files are read, sessions drawn, the sun computed, devices parametrised.

Everything that can be wrong with a file or a value in it is found here, before anything runs, and told at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from ...controllers import contract as base
from ...controllers.circuits import Circuits
from ...simulators.adapter import Fault, Port, Schedule
from ...simulators.ats import ats_model as ats
from ...simulators.generator import generator_model as generator
from ...simulators.grid import grid_model as grid
from ...simulators.link import link_model as link
from ...simulators.load import load_model as load
from ...simulators.pv import irradiance
from ...simulators.pv import pv_model as pv
from ...simulators.series import Series
from ...simulators.tariffs.tariff_model import NAMES, Tariffs
from ...simulators.units import S_PER_MIN, W_PER_KW
from ..engines.controller_simulator import Sessions as KnownSessions
from ..engines.controller_simulator import ports
from ..engines.wiring import (
    COMMANDS,
    MEASUREMENTS,
    OVER_LINK,
    SIMULATORS,
    WHOLE,
    EntitySpec,
    Given,
    SimulatorSpec,
    Wiring,
    connect,
)
from ..errors import InputError, Problem
from ..files.series_files import read_weather
from ..schema import scenario_schema as schema
from ..schema.controller_registry import controller_class
from ..schema.events import MAY_BE_NEGATIVE
from ..schema.scenario_loader import LoadedScenario, problems_of
from .ats_settings import ats_parameters
from .battery_packs import stationary
from .build_inputs import Inputs
from .forecast_build import expected
from .recording import adapter_of, records
from .session_build import Visits
from .tariff_prices import price_series

if TYPE_CHECKING:
    from ...simulators.network.network_model import Network

LONGEST_TELEMETRY_S = 15 * S_PER_MIN
"""Slow quantities of an active device are told at least this often, whoever controls it [s]."""


def build(loaded: LoadedScenario) -> Wiring:
    """Build the plant of a scenario.

    Parameters
    ----------
    loaded : LoadedScenario
        A checked scenario.

    Returns
    -------
    Wiring

    Raises
    ------
    InputError
        With every problem in the files the scenario names, and in what they hold.
    """
    return _Builder(loaded).wiring()


class _Builder(Inputs):
    """Collects what a scenario needs, and the problems on the way."""

    def __init__(self, loaded: LoadedScenario):
        super().__init__(loaded)
        self.notes: list[tuple[str, str]] = []
        self.entities: list[EntitySpec] = []
        self.devices: dict[str, list[str]] = {}
        self.seen: dict[str, Visits] = {}
        self.secondary: dict[str, ats.Secondary | None] = {}
        self.sites: dict[str, base.Site] = {}
        self.available_kw: dict[str, Series] = {}
        self.demand_kw: dict[str, Series] = {}
        self.announced: dict[str, Tariffs] = {}
        self.tariffs: dict[str, Tariffs] = {}
        self.network: Network | None = None
        self.lines_out: dict[int, Schedule] = {}

    # --- the whole ----------------------------------------------------------------------------------------------------

    def wiring(self) -> Wiring:
        """Everything in order; raises when anything was wrong."""
        network = self._network()
        for name, hub in self.scenario.hubs.items():
            self._hub(name, hub)
        if network:
            self._nodes()
        controllers = self._controllers()
        if self.problems:
            raise InputError(self.problems)
        steps = round(self.until_s / self.scenario.time_step)
        linked = [name for name, hub in self.scenario.hubs.items() if hub.link is not None]
        connections = list(connect(self.devices, linked))
        signals, recorded, recorders = records(self.scenario, self.entities, self.devices, self.network)
        self.entities += recorders
        used = [sid for sid in SIMULATORS if any(entity.sid == sid for entity in self.entities)]
        settings: dict[str, dict[str, Any]] = {
            "network": network,
            "controller": {"controllers": controllers, "start": self.start, "diagnose": Given("diagnose")},
            "measurements": {"ports": tuple(f"{d}.{o}" for d, o in MEASUREMENTS if d in OVER_LINK)},
            "commands": {"ports": tuple(f"{d}.{port}" for _, d, port in COMMANDS)},
            "recorder": {"ports": tuple(dict.fromkeys(connection.input for connection in recorded))},
        }
        return Wiring(
            steps=steps,
            time_step_s=self.scenario.time_step,
            simulators=tuple(SimulatorSpec(sid, SIMULATORS[sid], settings.get(sid, {})) for sid in used),
            entities=tuple(self.entities),
            connections=(*connections, *recorded),
            signals=signals,
            sessions=tuple(row for name in self.scenario.hubs for row in self._session_rows(name)),
            hubs=tuple(self.scenario.hubs),
            notes=tuple(self.notes),
        )

    def _add(self, sid: str, hub: str, **parameters: Any) -> None:
        self.entities.append(EntitySpec(sid, adapter_of(sid).model, hub, parameters))
        self.devices.setdefault(hub, []).append(sid)

    # --- hubs ---------------------------------------------------------------------------------------------------------

    def _hub(self, name: str, hub: schema.Hub) -> None:
        key = f"hubs.{name}"
        telemetry_s = self._telemetry_s(name, hub)
        seen: dict[str, Visits] = {}
        if hub.connectors is not None:
            with self.at(f"{key}.sessions"):
                seen[name] = self.visits(name, hub)
                self.notes += [(f"{name}.sessions", note) for note in seen[name].notes]
        self.seen |= seen
        self._ats(name, hub, key)
        self._tariffs(name, hub, key)
        if hub.emissions is not None:
            with self.at(f"{key}.emissions"):
                grid = self.series(hub.emissions.grid, f"{key}.emissions.grid", low=0.0)
                self._add("emissions", name, grid_kg_per_kwh=grid, fuel_kg_per_kwh=hub.emissions.fuel_kg_per_kwh)
        if hub.pv is not None:
            with self.at(f"{key}.pv"):
                self._pv(name, hub.pv, f"{key}.pv")
        if hub.load is not None:
            with self.at(f"{key}.load"):
                self._load(name, hub.load, f"{key}.load")
        if hub.bess is not None:
            with self.at(f"{key}.bess"):
                self._bess(name, hub.bess, telemetry_s)
        if hub.dg is not None:
            with self.at(f"{key}.dg"):
                self._dg(name, hub.dg, telemetry_s)
        if name in seen:
            self._add("arrivals", name, station=seen[name].station, sessions=[s.id for s in seen[name].sessions])
            self._add(
                "cp",
                name,
                connectors=seen[name].connectors,
                empty=seen[name].empty,
                sessions=seen[name].plant,
                telemetry_s=telemetry_s,
            )
        self._grid(name, hub)
        self.sites[name] = _site(hub, seen.get(name), self.secondary.get(name))

    def _telemetry_s(self, name: str, hub: schema.Hub) -> float:
        """How often slow quantities (energy, SoC) are told: as often as someone looks."""
        periods = [spec.period for spec in self.scenario.controller if name in (spec.hubs or self.scenario.hubs)]
        if hub.link is not None:
            periods.append(hub.link.poll)
        return min([*periods, LONGEST_TELEMETRY_S])

    def _ats(self, name: str, hub: schema.Hub, key: str) -> None:
        with self.at(f"{key}.grid"):
            parameters = ats_parameters(hub.grid)
            self.secondary[name] = parameters.secondary
            shortest_s = min((s for s in (parameters.transfer_s, parameters.retransfer_s) if s > 0.0), default=math.inf)
            if hub.grid.secondary is not None and shortest_s < self.scenario.time_step:
                text = f"ATS delays are shorter than time_step {self.scenario.time_step:g} s and take a whole step"
                self.notes.append((f"{name}.ats", text))
            self._add(
                "ats",
                name,
                parameters=parameters,
                outages=self.schedule("outage", name, False, more=self._feeder_outages(name)),
                islands=self.schedule("planned_island", name, False),
                secondary_faults=self.schedule("device_fault", name, False, device="secondary"),
                switch_faults=self.schedule("device_fault", name, False, device="ats"),
            )

    def _tariffs(self, name: str, hub: schema.Hub, key: str) -> None:
        prices = {}
        for price in NAMES:
            place = f"{key}.tariffs.{price}"
            with self.at(place):
                series = price_series(self.loaded, getattr(hub.tariffs, price), place, self.start, self.series)
                if price not in MAY_BE_NEGATIVE and series.values.min() < 0.0:
                    raise ValueError(f"must be >= 0 at all times, got {series.values.min():g}")
                prices[price] = series
        with self.at(f"{key}.tariffs"):
            tariffs = Tariffs.of(prices, self.until_s, hub.tariffs.demand_per_kw, hub.tariffs.currency)
            self.announced[name] = tariffs
            for change in self.price_changes(name):
                tariffs = tariffs.changed(*change)
            self.tariffs[name] = tariffs
            given = {"missed_per_kwh": hub.tariffs.missed_per_kwh, "unserved_per_kwh": hub.tariffs.unserved_per_kwh}
            penalties = {port: price for port, price in given.items() if price}
            self._add("tariffs", name, tariffs=tariffs, penalties=penalties)

    def _pv(self, name: str, given: schema.Pv, key: str) -> None:
        parameters = pv.Parameters(
            np.array([given.rated_kw]),
            None if given.inverter_kva is None else np.array([given.inverter_kva]),
            given.gamma_per_k,
            given.noct_c,
            given.type == "pvwatts",
        )
        sun, temperature = self._sun(given.irradiance, f"{key}.irradiance")
        if given.temperature is not None:
            temperature = self.series(given.temperature, f"{key}.temperature", low=-90.0, high=70.0)
        available_kw = pv.available_series(parameters, sun, temperature, self.until_s)
        self.available_kw[name] = available_kw
        self._add("pv", name, parameters=parameters, available_kw=available_kw, faults=self._faults(name, "pv"))

    def _sun(self, given: Any, key: str) -> tuple[Series, Series]:
        """Irradiance in the plane and ambient temperature."""
        mild = Series.constant(25.0)
        if not isinstance(given, schema.ClearSky | schema.Weather):
            return self.series(given, key, low=0.0), mild
        plane = irradiance.Plane(
            given.latitude, given.longitude, given.altitude_m, given.tilt, given.azimuth, given.albedo
        )
        if isinstance(given, schema.Weather):
            year = read_weather(self.loaded.resolve(given.file, f"{key}.file"))
            return irradiance.typical_year(plane, year, self.start, self.until_s)
        return irradiance.clear_sky(plane, self.start, self.until_s, given.resolution, given.clearness), mild

    def _load(self, name: str, given: schema.Load, key: str) -> None:
        classes = {label: getattr(given, label) for label in load.CLASSES}
        series = []
        for label in load.CLASSES:
            if classes[label] is not None:
                series.append(self.series(classes[label].demand, f"{key}.{label}.demand", low=0.0))
            elif label == "critical" and given.demand is not None:
                series.append(self.series(given.demand, f"{key}.demand", low=0.0))
            else:
                series.append(Series.constant(0.0))
        times = np.unique(np.concatenate([one.change_times(0.0, self.until_s) for one in series]))
        demand_kw = Series(times, np.column_stack([one.sample(times) for one in series]), self.until_s)
        band = (classes["controllable"].band if classes["controllable"] else None) or (0.0, 1.0)
        shiftable = classes["shiftable"]
        recovery_kw = float(demand_kw.values[:, load.SHIFTABLE].max())
        if shiftable is not None and shiftable.recovery_kw is not None:
            recovery_kw = shiftable.recovery_kw
        parameters = load.Parameters(
            band_lower=band[0],
            band_upper=band[1],
            recovery_kw=recovery_kw,
            deadlines_s=tuple(_midnights_s(self.start, self.until_s)),
            power_factor=given.power_factor,
        )
        switch = self.schedule("load", name, float(given.connected), lambda what: what.scale if what.connected else 0.0)
        one_phase_kw = [
            self.schedule("phase_load", name, 0.0, lambda what: what.p_kw, phase=phase) for phase in ("a", "b", "c")
        ]
        self.demand_kw[name] = demand_kw
        self._add("load", name, parameters=parameters, demand_kw=demand_kw, switch=switch, one_phase_kw=one_phase_kw)

    def _bess(self, name: str, given: schema.TremblayBattery | schema.IdealBattery, telemetry_s: float) -> None:
        self._add(
            "bess",
            name,
            parameters=stationary(given),
            soc=given.soc,
            inverter_kva=given.inverter_kva or given.rated_kw,
            faults=self._faults(name, "bess"),
            telemetry_s=telemetry_s,
        )

    def _dg(self, name: str, given: schema.Dg, telemetry_s: float) -> None:
        parameters = generator.Parameters(
            rated_kw=given.rated_kw,
            fuel_capacity_l=given.fuel_capacity_l,
            minimum_kw=given.minimum_kw,
            start_s=given.start,
            cooldown_s=given.stop,
        )
        faults = self._faults(name, "dg")
        self._add("dg", name, parameters=parameters, fuel_l=given.fuel_l, faults=faults, telemetry_s=telemetry_s)

    def _faults(self, name: str, device: str) -> Schedule:
        return self.schedule("device_fault", name, None, lambda what: Fault(what.trips), device=device)

    def _grid(self, name: str, hub: schema.Hub) -> None:
        installed_kw = hub.grid.installed_kw or hub.grid.contracted_kw
        self._add(
            "grid",
            name,
            parameters=grid.Parameters(hub.grid.contracted_kw, installed_kw, hub.grid.nominal_v),
            meter_faults={
                meter: self.schedule("meter_fault", name, False, meter=meter) for meter in ("grid", "secondary", "load")
            },
        )
        if hub.link is not None:
            self._link(name, hub.link)

    def _link(self, name: str, given: schema.Link) -> None:
        for sid, direction in (("measurements", "measurement"), ("commands", "command")):
            with self.at(f"hubs.{name}.link"):
                channels = {}
                for device in (device for device in OVER_LINK if device in self.devices[name]):
                    own: schema.Channel = next((c for name_, c in given.devices.items() if name_ == device), given)
                    delay = getattr(own, direction)
                    outages = tuple(
                        (event.at, math.inf if event.what.until is None else event.what.until)
                        for event in self.scenario.events
                        if event.kind == "link_outage" and event.what.hub == name and event.what.device == device
                    )
                    travel = link.Delay(delay.type, delay.mean, delay.spread)
                    channels[device] = link.Channel(travel, own.loss, outages)
                self._add(sid, name, channels=channels, seed=self.rng_seed(name, sid), poll_s=given.poll)

    # --- network, controllers, records --------------------------------------------------------------------------------

    def _network(self) -> dict[str, Any]:
        given = self.scenario.network
        if given is None:
            return {}
        from ...simulators.network import (
            network_model as network,  # pandapower takes seconds to import, and not every run needs it
        )

        source = given.net
        with self.at("network.net"):
            if source.endswith(".json"):
                source = str(self.loaded.resolve(source, "network.net"))
            replaces = frozenset(self.scenario.hubs) if given.replaces_load else frozenset()
            ordered = {name: given.hub_bus[name] for name in self.scenario.hubs}
            try:
                self.network = network.Network(network.Parameters(source, replaces, given.solver), ordered)
            except ImportError as error:
                self.problems.append(Problem(self.where, "network.solver", given.solver, f"must be newton: {error}"))
            except ValueError as error:
                # what begins with a hub concerns its bus, not the network itself
                key = "network.hub_bus" if str(error).startswith("hub ") else "network.net"
                self.problems.append(Problem(self.where, key, ..., str(error)))
        scale = Series.constant(1.0)
        if given.load_scale is not None:
            with self.at("network.load_scale"):
                scale = self.series(given.load_scale, "network.load_scale", low=0.0)
        if self.network is None:
            return {}
        known = self.network.line_index.tolist()
        for n, event in enumerate(self.scenario.events):
            if event.kind == "line_out" and event.what.line not in known:
                allowed = f"must be the pandapower index of a line of {given.net}: {known[0]} to {known[-1]}"
                self.problems.append(Problem(self.where, f"events[{n}].line_out.line", event.what.line, allowed))
                return {}
        lines = sorted({event.what.line for event in self.scenario.events if event.kind == "line_out"})
        self.lines_out = {line: self.schedule("line_out", None, False, line=line) for line in lines}
        return {
            "network": self.network,
            "load_scale": scale,
            "lines_out": self.lines_out,
            "tolerance_kw": given.tolerance_kw,
        }

    def _nodes(self) -> None:
        for name in (*self.scenario.hubs, WHOLE):
            self.entities.append(EntitySpec("network", "Network", name, {}))
        for name in self.scenario.hubs:
            self.devices[name].append("network")

    def _feeder_outages(self, hub: str) -> list[tuple[float, float, bool]]:
        """When the lines that are out leave a hub's bus without a source.

        Which lines are out is known from the start, so that the hub loses its voltage in the very instant.
        """
        network = self.network
        if network is None or not self.lines_out:
            return []
        place, nothing = network.hubs.index(hub), np.zeros(len(network.hubs))
        edges = sorted({0.0, *(t for schedule in self.lines_out.values() for t in schedule.edges)})
        dead = []
        for edge, until in zip(edges, [*edges[1:], math.inf], strict=True):
            out = frozenset(line for line, schedule in self.lines_out.items() if schedule.at(edge))
            if out and not network.solve(nothing, nothing, [1] * len(network.hubs), 1.0, out).energised[place]:
                dead.append((edge, until, True))
        return dead

    def _controllers(self) -> list[tuple[str, base.Controller]]:
        built: list[tuple[str, base.Controller]] = []
        runs: dict[str, tuple[Schedule, dict[str, Port]]] = {}
        many = len(self.scenario.controller) > 1
        for n, spec in enumerate(self.scenario.controller):
            key = f"controller[{n}]" if many else "controller"
            with self.at(key):
                cls = controller_class(spec.type, self.loaded.folder, self.where, f"{key}.type")
                try:
                    parameters = cls.Parameters.model_validate(spec.parameters, context=self._files(key))
                except ValidationError as error:
                    raise InputError(
                        problems_of(error, spec.parameters, self.where, cls.Parameters, f"{key}.")
                    ) from None
                hubs = spec.hubs or list(self.scenario.hubs)
                if not all(hub in self.sites for hub in hubs):
                    continue  # a problem of the hub, told already
                name = f"{spec.type}-{n + 1}" if many else spec.type
                rng = np.random.default_rng(self.rng_seed(",".join(hubs), "controller"))
                sites = {hub: self.sites[hub] for hub in hubs}
                try:
                    controller = cls(sites, parameters, spec.period, rng)
                except base.ParameterError as error:
                    raise InputError(Problem(self.where, f"{key}.{error.key}", ..., error.allowed)) from None
                except Exception as error:  # a user's own class may fail in any way
                    told = f"{spec.type} cannot be made: {type(error).__name__}: {error}"
                    raise InputError(Problem(self.where, key, ..., told)) from error
                built.append((name, controller))
                runs |= {hub: (self._parameters(hub, spec, controller), ports(controller)) for hub in hubs}
        for hub, (parameters, own) in runs.items():
            self._add(
                "controller",
                hub,
                site=self.sites[hub],
                sessions=self.seen[hub].known if hub in self.seen else _no_sessions(),
                linked=self.scenario.hubs[hub].link is not None,
                parameters=parameters,
                forecast=expected(
                    self,
                    hub,
                    self.available_kw.get(hub),
                    self.demand_kw.get(hub),
                    self.tariffs.get(hub),
                    self.announced.get(hub),
                ),
                records=own,
            )
        return built

    def _files(self, key: str) -> dict[str, Any]:
        """How parameters of a controller find files: `resolve`, as for all files of a scenario."""
        return {"resolve": lambda name, own: self.loaded.resolve(name, f"{key}.{own}")}

    def _parameters(self, hub: str, spec: schema.ControllerSpec, controller: base.Controller) -> Schedule:
        """The parameters of a hub's controller, and what events make of them, each with the others in force."""
        changes = [
            (n, event)
            for n, event in enumerate(self.scenario.events)
            if event.kind == "parameters" and event.what.hub == hub and event.what.controller == spec.type
        ]
        given = controller.parameters
        edges = {t for _, event in changes for t in (event.at, event.what.until) if t is not None}
        intervals = []
        for edge, until in pairwise([*sorted(edges), math.inf]):
            values, key = spec.parameters, ""
            for n, event in sorted(changes, key=lambda change: change[1].at):
                if event.at <= edge < (math.inf if event.what.until is None else event.what.until):
                    values, key = _merged(values, event.what.set), f"events[{n}].parameters.set."
            try:
                parameters = type(given).model_validate(values, context=self._files("controller"))
                controller.check(hub, parameters)
            except ValidationError as error:
                raise InputError(problems_of(error, values, self.where, type(given), key)) from None
            except base.ParameterError as error:
                raise InputError(Problem(self.where, f"{key}{error.key}", ..., error.allowed)) from None
            except ValueError as error:
                raise InputError(Problem(self.where, key.removesuffix("."), ..., str(error))) from None
            intervals.append((edge, until, parameters))
        return Schedule(intervals, given)

    def _session_rows(self, hub: str) -> list[dict]:
        if hub not in self.seen:
            return []
        return [
            {
                "hub": hub,
                "id": session.id,
                "arrival_s": session.arrival_s,
                "departure_s": session.departure_s,
                "requested_kwh": session.energy_kwh,
            }
            for session in self.seen[hub].sessions
        ]


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with changes in them, sections by their keys."""
    both = {
        key: _merged(values[key], change) if isinstance(change, dict) and isinstance(values.get(key), dict) else change
        for key, change in changes.items()
    }
    return {**values, **both}


def _midnights_s(start: datetime, until_s: float) -> Iterator[float]:
    """Local midnights of a run [s], by which shiftable load has to be made good."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        day = day + timedelta(days=1)  # on the local clock: a day may have 23 or 25 hours
        after_s = (day.astimezone(UTC) - start.astimezone(UTC)).total_seconds()
        if after_s >= until_s:
            return
        yield after_s


def _no_sessions() -> KnownSessions:
    empty = np.empty(0)
    return KnownSessions((), empty, empty, empty, empty.astype(bool))


def _site(hub: schema.Hub, seen: Visits | None, secondary: ats.Secondary | None) -> base.Site:
    """The plates of a hub, for its controller."""
    none = np.empty(0)
    connectors = seen.connectors if seen else None
    bess = hub.bess

    def plate(values: np.ndarray) -> np.ndarray:
        # a copy that cannot be written: a controller must not get hold of the plant
        values = values.copy()
        values.flags.writeable = False
        return values

    return base.Site(
        contracted_kw=hub.grid.contracted_kw,
        installed_kw=hub.grid.installed_kw or hub.grid.contracted_kw,
        nominal_v=hub.grid.nominal_v,
        secondary_kw=hub.grid.secondary.rated_kw if hub.grid.secondary else 0.0,
        secondary_reverse_kw=(secondary.reverse_trip_kw or 0.0) if secondary else 0.0,
        secondary_reverse_s=secondary.reverse_trip_s if secondary else 0.0,
        demand_per_kw=hub.tariffs.demand_per_kw,
        pv_kw=hub.pv.rated_kw if hub.pv else 0.0,
        bess_kw=min(bess.rated_kw, bess.inverter_kva or bess.rated_kw) if bess else 0.0,
        dg_kw=hub.dg.rated_kw if hub.dg else 0.0,
        dg_minimum_kw=hub.dg.minimum_kw if hub.dg else 0.0,
        dg_fuel_capacity_l=hub.dg.fuel_capacity_l if hub.dg else 0.0,
        bess_kwh=bess.capacity_kwh if bess else 0.0,
        bess_soc_min=bess.soc_min if bess else 0.0,
        bess_soc_max=bess.soc_max if bess else 0.0,
        bess_eta_charge=bess.efficiency if bess else 1.0,
        bess_eta_discharge=bess.efficiency if bess else 1.0,
        connector_kw=plate(connectors.rated_kw) if connectors else none,
        connector_minimum_kw=plate(connectors.minimum_kw) if connectors else none,
        connector_phases=plate(np.where(connectors.phase >= 0, 1, 3)) if connectors else none,
        circuits=_circuits(hub.connectors),
    )


def _circuits(given: schema.Connectors | None) -> Circuits:
    """Current limits of a site as a matrix: amperes at each limit for a kilowatt at each connector."""
    if given is None or given.circuits is None:
        return Circuits.none(given.count if given else 0)
    limits = given.circuits.limits
    a_per_kw = np.zeros((len(limits), given.count), dtype=complex)
    for group, conductors in given.circuits.groups.items():
        of_each = W_PER_KW / (given.phases * given.circuits.voltage_v) * np.exp(1j * np.deg2rad(conductors.angle_deg))
        columns = np.array(conductors.connectors) - 1
        for row, limit in enumerate(limits):
            a_per_kw[row, columns] = limit.sum.get(group, 0.0) * of_each
    limit_a = np.array([limit.limit_a for limit in limits])
    for array in (a_per_kw, limit_a):
        array.flags.writeable = False
    return Circuits(tuple(limit.name for limit in limits), a_per_kw, limit_a)
