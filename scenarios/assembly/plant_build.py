"""From a checked scenario to its wiring: files are read, sessions drawn, the sun computed, devices parametrised.

Every problem of a file or a value in it is found here, before anything runs, and all are reported at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from ...controllers import contract
from ...simulators.adapter import Port, Schedule
from ...simulators.ats import ats_model as ats
from ...simulators.device_kind import DeviceKind, check_device, load
from ...simulators.devices import kind_of
from ...simulators.grid import grid_model as grid
from ...simulators.grid.grid_simulator import Terminal
from ...simulators.link import link_model as link
from ...simulators.series import Series
from ...simulators.tariffs.tariff_model import NAMES, Tariffs
from ...simulators.units import S_PER_MIN
from ..engines.controlled_hub import KnownSessions as KnownSessions
from ..engines.controlled_hub import ports
from ..engines.wiring import (
    WHOLE,
    Connection,
    EntitySpec,
    PlacedDevice,
    RunObject,
    SimulatorSpec,
    Wiring,
    connect,
    simulators,
)
from ..errors import InputError, Problem
from ..schema import scenario_schema as schema
from ..schema.controller_registry import controller_class
from ..schema.device_sections import DeviceOfHub
from ..schema.events import MAY_BE_NEGATIVE
from ..schema.scenario_loader import LoadedScenario, problems_of
from .ats_settings import ats_parameters
from .build_inputs import Inputs
from .device_inputs import PlacedInputs
from .forecast_build import expected
from .recording import adapter_of, records
from .session_build import Visits
from .site_build import site_of
from .tariff_prices import price_series

if TYPE_CHECKING:
    from ...simulators.network.network_model import PlantNetwork

LONGEST_TELEMETRY_S = 15 * S_PER_MIN
"""Slow quantities of an active device are sent at least this often, whoever controls it [s]."""


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
    """Collects the parts of a plant and the problems of its input."""

    def __init__(self, loaded: LoadedScenario):
        super().__init__(loaded)
        self.notes: list[tuple[str, str]] = []
        self.entities: list[EntitySpec] = []
        self.present: dict[str, list[str]] = {}
        """What each hub has beside its devices, by simulator id."""
        self.placed: dict[str, list[PlacedDevice]] = {}
        self.seen: dict[str, Visits] = {}
        self.secondary: dict[str, ats.SecondarySource | None] = {}
        self.sites: dict[str, contract.Site] = {}
        self.possible_kw: dict[str, list[tuple[DeviceKind, Series]]] = {}
        """Of each hub, the series of power of the devices that have one."""
        self.load_peaks_kw: dict[str, dict[str, np.ndarray]] = {}
        """Highest demand of each class, by hub and load."""
        self.announced: dict[str, Tariffs] = {}
        self.tariffs: dict[str, Tariffs] = {}
        self.network: PlantNetwork | None = None
        self.lines_out: dict[int, Schedule] = {}

    # --- the whole ----------------------------------------------------------------------------------------------------

    def wiring(self) -> Wiring:
        """Build all parts and return the wiring; raise an `InputError` with every problem."""
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
        connections = list(connect(self.present, self.placed, linked))
        signals, recorded, recorders = records(self.scenario, self.entities, self.placed, self.network)
        self.entities += recorders
        used = [sid for sid in simulators() if any(entity.sid == sid for entity in self.entities)]
        devices = tuple(dict.fromkeys(device for placed in self.placed.values() for device in placed))
        settings: dict[str, dict[str, Any]] = {
            "network": network,
            "grid": {"devices": tuple(device.name for device in devices)},
            "controller": {
                "controllers": controllers,
                "devices": devices,
                "start": self.start,
                "diagnose": RunObject("diagnose"),
            },
            "measurements": {"ports": _inputs_of("measurements", connections)},
            "commands": {"ports": _inputs_of("commands", connections)},
            "recorder": {"ports": tuple(dict.fromkeys(connection.input for connection in recorded))},
        }
        return Wiring(
            steps=steps,
            time_step_s=self.scenario.time_step,
            simulators=tuple(SimulatorSpec(sid, simulators()[sid], settings.get(sid, {})) for sid in used),
            entities=tuple(self.entities),
            connections=(*connections, *recorded),
            signals=signals,
            sessions=tuple(row for name in self.scenario.hubs for row in self._session_rows(name)),
            hubs=tuple(self.scenario.hubs),
            notes=tuple(self.notes),
        )

    def _add(self, sid: str, hub: str, **parameters: Any) -> None:
        self.entities.append(EntitySpec(sid, adapter_of(sid).model, hub, parameters))
        self.present.setdefault(hub, []).append(sid)

    # --- hubs ---------------------------------------------------------------------------------------------------------

    def _hub(self, name: str, hub: schema.HubSection) -> None:
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
        self.placed[name] = []
        devices = hub.devices()
        for device in devices:
            if device.kind != "cp" and kind_of(device.kind).simulator:
                with self.at(f"{key}.{device.key}"):
                    self._device(name, device, devices, telemetry_s)
        if name in seen:
            self._add("arrivals", name, station=seen[name].station, sessions=[s.id for s in seen[name].sessions])
            self._place(
                PlacedDevice("cp", "cp"),
                name,
                connectors=seen[name].connectors,
                empty=seen[name].empty,
                sessions=seen[name].plant,
                telemetry_s=telemetry_s,
            )
        self._grid(name, hub)
        self.sites[name] = site_of(hub, seen.get(name), self.secondary.get(name))

    def _device(self, hub: str, device: DeviceOfHub, devices: Sequence[DeviceOfHub], telemetry_s: float) -> None:
        """Add a device, with the parameters that its kind makes of its section."""
        kind = kind_of(device.kind)
        first = next(other for other in devices if other.kind == device.kind) is device
        inputs = PlacedInputs(self, hub, device.name, device.kind, f"hubs.{hub}.{device.key}", first, telemetry_s)
        parameters = load(kind.parameters)(device.section, inputs)
        check_device(kind, device.section, parameters)
        if device.kind == "load":
            peaks_kw = parameters["demand_kw"].values.max(axis=0)
            self.load_peaks_kw.setdefault(hub, {})[device.name] = peaks_kw
        if kind.forecast:
            self.possible_kw.setdefault(hub, []).append((kind, parameters[kind.forecast]))
        self._place(PlacedDevice(device.kind, device.name), hub, **parameters)

    def _place(self, device: PlacedDevice, hub: str, **parameters: Any) -> None:
        self.entities.append(EntitySpec(device.kind, adapter_of(device.kind).model, hub, parameters, device.name))
        self.placed[hub].append(device)

    def _telemetry_s(self, name: str, hub: schema.HubSection) -> float:
        """Return how often slow quantities (energy, SoC) are sent: as often as a controller or the link reads them."""
        periods = [spec.period for spec in self.scenario.controller if name in (spec.hubs or self.scenario.hubs)]
        if hub.link is not None:
            periods.append(hub.link.poll)
        return min([*periods, LONGEST_TELEMETRY_S])

    def _ats(self, name: str, hub: schema.HubSection, key: str) -> None:
        with self.at(f"{key}.grid"):
            secondary = hub.secondary_source()[1]
            parameters = ats_parameters(hub.grid, secondary)
            self.secondary[name] = parameters.secondary
            shortest_s = min((s for s in (parameters.transfer_s, parameters.retransfer_s) if s > 0.0), default=math.inf)
            if secondary is not None and shortest_s < self.scenario.time_step:
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

    def _tariffs(self, name: str, hub: schema.HubSection, key: str) -> None:
        prices = {}
        for price in NAMES:
            price_key = f"{key}.tariffs.{price}"
            with self.at(price_key):
                series = price_series(self.loaded, getattr(hub.tariffs, price), price_key, self.start, self.series)
                if price not in MAY_BE_NEGATIVE and series.values.min() < 0.0:
                    raise ValueError(f"must be >= 0 at all times, got {series.values.min():g}")
                prices[price] = series
        with self.at(f"{key}.tariffs"):
            tariffs = Tariffs.of(prices, self.until_s, hub.tariffs.demand_per_kw, hub.tariffs.currency)
            self.announced[name] = tariffs
            for change in self.price_changes(name):
                tariffs = tariffs.changed(*change)
            self.tariffs[name] = tariffs
            per_kwh = {"missed_per_kwh": hub.tariffs.missed_per_kwh, "unserved_per_kwh": hub.tariffs.unserved_per_kwh}
            penalties = {port: price for port, price in per_kwh.items() if price}
            self._add("tariffs", name, tariffs=tariffs, penalties=penalties)

    def _grid(self, name: str, hub: schema.HubSection) -> None:
        installed_kw = hub.grid.installed_kw or hub.grid.contracted_kw
        self._add(
            "grid",
            name,
            parameters=grid.ConnectionParameters(hub.grid.contracted_kw, installed_kw, hub.grid.nominal_v),
            terminals=tuple(_terminal(device) for device in self.placed[name]),
            meter_faults={
                meter: self.schedule("meter_fault", name, False, meter=meter) for meter in ("grid", "secondary", "load")
            },
        )
        if hub.link is not None:
            self._link(name, hub.link)

    def _link(self, name: str, section: schema.LinkSection) -> None:
        for sid, direction in (("measurements", "measurement"), ("commands", "command")):
            with self.at(f"hubs.{name}.link"):
                channels = {}
                for device in (PlacedDevice("grid", "grid"), *self.placed[name]):
                    channel = section.devices.get(device.name) or section.devices.get(device.kind) or section
                    delay = getattr(channel, direction)
                    outages = tuple(
                        (event.at, math.inf if event.what.until is None else event.what.until)
                        for event in self.scenario.events
                        if event.kind == "link_outage"
                        and event.what.hub == name
                        and event.what.device in (device.name, device.kind)
                    )
                    travel = link.Delay(delay.type, delay.mean, delay.spread)
                    channels[device.name] = link.Channel(travel, channel.loss, outages)
                self._add(sid, name, channels=channels, seed=self.rng_seed(name, sid), poll_s=section.poll)

    # --- network, controllers, records --------------------------------------------------------------------------------

    def _network(self) -> dict[str, Any]:
        section = self.scenario.network
        if section is None:
            return {}
        from ...simulators.network import (
            network_model as network,  # pandapower takes seconds to import, and not every run needs it
        )

        source = section.net
        with self.at("network.net"):
            if source.endswith(".json"):
                source = str(self.loaded.resolve(source, "network.net"))
            replaces = frozenset(self.scenario.hubs) if section.replaces_load else frozenset()
            ordered = {name: section.hub_bus[name] for name in self.scenario.hubs}
            try:
                self.network = network.PlantNetwork(
                    network.NetworkParameters(source, replaces, section.solver), ordered
                )
            except ImportError as error:
                self.problems.append(Problem(self.where, "network.solver", section.solver, f"must be newton: {error}"))
            except ValueError as error:
                # what begins with a hub concerns its bus, not the network itself
                key = "network.hub_bus" if str(error).startswith("hub ") else "network.net"
                self.problems.append(Problem(self.where, key, ..., str(error)))
        scale = Series.constant(1.0)
        if section.load_scale is not None:
            with self.at("network.load_scale"):
                scale = self.series(section.load_scale, "network.load_scale", low=0.0)
        if self.network is None:
            return {}
        known = self.network.line_index.tolist()
        for n, event in enumerate(self.scenario.events):
            if event.kind == "line_out" and event.what.line not in known:
                allowed = f"must be the pandapower index of a line of {section.net}: {known[0]} to {known[-1]}"
                self.problems.append(Problem(self.where, f"events[{n}].line_out.line", event.what.line, allowed))
                return {}
        lines = sorted({event.what.line for event in self.scenario.events if event.kind == "line_out"})
        self.lines_out = {line: self.schedule("line_out", None, False, line=line) for line in lines}
        return {
            "network": self.network,
            "load_scale": scale,
            "lines_out": self.lines_out,
            "tolerance_kw": section.tolerance_kw,
        }

    def _nodes(self) -> None:
        for name in (*self.scenario.hubs, WHOLE):
            self.entities.append(EntitySpec("network", "PlantNetwork", name, {}))
        for name in self.scenario.hubs:
            self.present[name].append("network")

    def _feeder_outages(self, hub: str) -> list[tuple[float, float, bool]]:
        """When the lines that are out leave a hub's bus without a source.

        Which lines are out is known from the start, so that the hub loses its voltage in the very instant.
        """
        network = self.network
        if network is None or not self.lines_out:
            return []
        position, nothing = network.hubs.index(hub), np.zeros(len(network.hubs))
        edges = sorted({0.0, *(t for schedule in self.lines_out.values() for t in schedule.edges)})
        dead = []
        for edge, until in zip(edges, [*edges[1:], math.inf], strict=True):
            out = frozenset(line for line, schedule in self.lines_out.items() if schedule.at(edge))
            if out and not network.solve(nothing, nothing, [1] * len(network.hubs), 1.0, out).energised[position]:
                dead.append((edge, until, True))
        return dead

    def _controllers(self) -> list[tuple[str, contract.Controller]]:
        built: list[tuple[str, contract.Controller]] = []
        runs: dict[str, tuple[Schedule, dict[str, Port], float]] = {}
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
                    continue  # a problem of the hub, reported already
                name = f"{spec.type}-{n + 1}" if many else spec.type
                rng = np.random.default_rng(self.rng_seed(",".join(hubs), "controller"))
                sites = {hub: self.sites[hub] for hub in hubs}
                try:
                    controller = cls(sites, parameters, spec.period, rng)
                except contract.ParameterError as error:
                    raise InputError(Problem(self.where, f"{key}.{error.key}", ..., error.allowed)) from None
                except Exception as error:  # a user's own class may fail in any way
                    message = f"{spec.type} cannot be made: {type(error).__name__}: {error}"
                    raise InputError(Problem(self.where, key, ..., message)) from error
                built.append((name, controller))
                runs |= {hub: (self._parameters(hub, spec, controller), ports(controller), spec.period) for hub in hubs}
        for hub, (parameters, series_ports, period_s) in runs.items():
            self._add(
                "controller",
                hub,
                site=self.sites[hub],
                devices=tuple(self.placed[hub]),
                unforeseen=tuple(d.name for d in self.placed[hub] if not kind_of(d.kind).forecast),
                load_peaks_kw=self.load_peaks_kw.get(hub, {}),
                period_s=period_s,
                sessions=self.seen[hub].known if hub in self.seen else _no_sessions(),
                linked=self.scenario.hubs[hub].link is not None,
                parameters=parameters,
                forecast=expected(
                    self,
                    hub,
                    self.possible_kw.get(hub, []),
                    self.tariffs.get(hub),
                    self.announced.get(hub),
                ),
                records=series_ports,
            )
        return built

    def _files(self, key: str) -> dict[str, Any]:
        """How parameters of a controller find files: `resolve`, as for all files of a scenario."""
        return {"resolve": lambda name, field: self.loaded.resolve(name, f"{key}.{field}")}

    def _parameters(self, hub: str, spec: schema.ControllerSpec, controller: contract.Controller) -> Schedule:
        """The parameters of a hub's controller, and what events make of them, each with the others in force."""
        changes = [
            (n, event)
            for n, event in enumerate(self.scenario.events)
            if event.kind == "parameters" and event.what.hub == hub and event.what.controller == spec.type
        ]
        initial = controller.parameters
        edges = {t for _, event in changes for t in (event.at, event.what.until) if t is not None}
        intervals = []
        for edge, until in pairwise([*sorted(edges), math.inf]):
            values, key = spec.parameters, ""
            for n, event in sorted(changes, key=lambda change: change[1].at):
                if event.at <= edge < (math.inf if event.what.until is None else event.what.until):
                    values, key = _merged(values, event.what.set), f"events[{n}].parameters.set."
            try:
                parameters = type(initial).model_validate(values, context=self._files("controller"))
                controller.check(hub, parameters)
            except ValidationError as error:
                raise InputError(problems_of(error, values, self.where, type(initial), key)) from None
            except contract.ParameterError as error:
                raise InputError(Problem(self.where, f"{key}{error.key}", ..., error.allowed)) from None
            except ValueError as error:
                raise InputError(Problem(self.where, key.removesuffix("."), ..., str(error))) from None
            intervals.append((edge, until, parameters))
        return Schedule(intervals, initial)

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


def _no_sessions() -> KnownSessions:
    empty = np.empty(0)
    return KnownSessions((), empty, empty, empty, empty.astype(bool))


def _terminal(device: PlacedDevice) -> Terminal:
    kind = kind_of(device.kind)
    return Terminal(device.name, kind.sign > 0, kind.q_sign > 0, kind.phases, kind.name == "load")


def _inputs_of(sid: str, connections: Iterable[Connection]) -> tuple[str, ...]:
    """Return the ports of a link, which carries whatever is connected to it."""
    return tuple(dict.fromkeys(connection.input for connection in connections if connection.target == sid))
