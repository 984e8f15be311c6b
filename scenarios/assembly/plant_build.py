"""From a checked scenario to its wiring: files are read, sessions drawn, the sun computed, devices parametrised.

Every problem of a file or a value in it is found here, before anything runs, and all are reported at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ...controllers import contract
from ...simulators.adapter import Schedule
from ...simulators.ats import ats_model
from ...simulators.device_kind import DeviceKind, check_device, load
from ...simulators.devices import kind_of
from ...simulators.grid import grid_model
from ...simulators.grid.grid_simulator import Terminal
from ...simulators.link import link_model
from ...simulators.series import Series
from ...simulators.tariffs.tariff_model import NAMES, Tariffs, penalties
from ...simulators.units import S_PER_MIN
from ..engines.controlled_hub import KnownSessions, ports
from ..engines.controller_simulator import PlannedController
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
from ..errors import InputError
from ..forecasts.forecast_providers import WithheldForecast
from ..schema import scenario_schema
from ..schema.device_sections import DeviceOfHub
from ..schema.events import MAY_BE_NEGATIVE
from ..schema.scenario_loader import Scenario
from .ats_settings import ats_parameters
from .build_inputs import Inputs
from .controller_build import BuiltController, build_controllers
from .device_inputs import PlacedInputs
from .forecast_build import expected
from .network_build import BuiltNetwork, build_network, feeder_outages
from .recording import adapter_of, records
from .session_build import Visits
from .site_build import site_of
from .tariff_prices import price_series

LONGEST_TELEMETRY_S = 15 * S_PER_MIN
"""Slow quantities of an active device are sent at least this often, whoever controls it [s]."""


def build(loaded: Scenario, outside: Collection[str] = ()) -> Wiring:
    """Build the plant of a scenario.

    Parameters
    ----------
    loaded : Scenario
        A checked scenario.
    outside : collection of str
        Hubs for which somebody outside decides, who may look at the forecast whatever their controller does.

    Returns
    -------
    Wiring

    Raises
    ------
    InputError
        With every problem in the files the scenario names, and in what they hold.
    """
    return _Builder(loaded, outside).wiring()


class _Builder(Inputs):
    """Collects the parts of a plant and the problems of its input."""

    def __init__(self, loaded: Scenario, outside: Collection[str]):
        super().__init__(loaded)
        self._outside = frozenset(outside)
        self.notes: list[tuple[str, str]] = []
        self.entities: list[EntitySpec] = []
        self.present: dict[str, list[str]] = {}
        """What each hub has beside its devices, by simulator id."""
        self.placed: dict[str, list[PlacedDevice]] = {}
        self.seen: dict[str, Visits] = {}
        self.secondary: dict[str, ats_model.SecondarySource | None] = {}
        self.sites: dict[str, contract.Site] = {}
        self.possible_kw: dict[str, list[tuple[DeviceKind, Series]]] = {}
        """Of each hub, the series of power of the devices that have one."""
        self.load_peaks_kw: dict[str, dict[str, np.ndarray]] = {}
        """Highest demand of each class, by hub and load."""
        self.announced: dict[str, Tariffs] = {}
        self.tariffs: dict[str, Tariffs] = {}
        self.network: BuiltNetwork | None = None

    # --- the whole ----------------------------------------------------------------------------------------------------

    def wiring(self) -> Wiring:
        """Build all parts and return the wiring; raise an `InputError` with every problem."""
        self.network = build_network(self)
        for name, hub in self.scenario.hubs.items():
            self._hub(name, hub)
        if self.network is not None:
            self._nodes()
        controllers = self._controllers()
        if self.problems:
            raise InputError(self.problems)
        steps = round(self.until_s / self.scenario.time_step)
        linked = [name for name, hub in self.scenario.hubs.items() if hub.link is not None]
        connections = list(connect(self.present, self.placed, linked))
        network = self.network.network if self.network else None
        signals, recorded, recorders = records(self.scenario, self.entities, self.placed, network)
        self.entities += recorders
        used = [sid for sid in simulators() if any(entity.sid == sid for entity in self.entities)]
        devices = tuple(dict.fromkeys(device for placed in self.placed.values() for device in placed))
        settings: dict[str, dict[str, Any]] = {
            "network": self.network.settings if self.network else {},
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

    def _hub(self, name: str, hub: scenario_schema.HubSection) -> None:
        key = f"hubs.{name}"
        telemetry_s = self._telemetry_s(name, hub)
        if hub.connectors is not None:
            with self.at(f"{key}.sessions"):
                self.seen[name] = self.visits(name, hub)
                self.notes += [(f"{name}.sessions", note) for note in self.seen[name].notes]
        seen = self.seen.get(name)
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
        if seen is not None:
            self._add("arrivals", name, plan=seen.station)
            self._place(
                PlacedDevice("cp", "cp"),
                name,
                connectors=seen.connectors,
                empty=seen.empty,
                sessions=seen.plant,
                telemetry_s=telemetry_s,
            )
        self._grid(name, hub)
        self.sites[name] = site_of(hub, seen, self.secondary.get(name))

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

    def _telemetry_s(self, name: str, hub: scenario_schema.HubSection) -> float:
        """Return how often slow quantities (energy, SoC) are sent: as often as a controller or the link reads them."""
        periods = [spec.period for spec in self.scenario.controller if name in (spec.hubs or self.scenario.hubs)]
        if hub.link is not None:
            periods.append(hub.link.poll)
        return min([*periods, LONGEST_TELEMETRY_S])

    def _ats(self, name: str, hub: scenario_schema.HubSection, key: str) -> None:
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
                outages=self.schedule("outage", name, False, more=feeder_outages(self.network, name)),
                islands=self.schedule("planned_island", name, False),
                secondary_faults=self.schedule("device_fault", name, False, device="secondary"),
                switch_faults=self.schedule("device_fault", name, False, device="ats"),
            )

    def _tariffs(self, name: str, hub: scenario_schema.HubSection, key: str) -> None:
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
            prices_of_unserved = penalties(
                self.announced[name].price("buy"),
                self.until_s,
                hub.tariffs.missed_per_kwh if hub.connectors is not None else 0.0,
                hub.tariffs.unserved_per_kwh if hub.load is not None else 0.0,
            )
            self._add("tariffs", name, tariffs=tariffs, penalties=prices_of_unserved)

    def _grid(self, name: str, hub: scenario_schema.HubSection) -> None:
        installed_kw = hub.grid.installed_kw or hub.grid.contracted_kw
        self._add(
            "grid",
            name,
            parameters=grid_model.ConnectionParameters(hub.grid.contracted_kw, installed_kw, hub.grid.nominal_v),
            terminals=tuple(_terminal(device) for device in self.placed[name]),
            meter_faults={
                meter: self.schedule("meter_fault", name, False, meter=meter) for meter in ("grid", "secondary", "load")
            },
        )
        if hub.link is not None:
            self._link(name, hub.link)

    def _link(self, name: str, section: scenario_schema.LinkSection) -> None:
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
                    travel = link_model.Delay(delay.type, delay.mean, delay.spread)
                    channels[device.name] = link_model.Channel(travel, channel.loss, outages)
                self._add(sid, name, channels=channels, seed=self.rng_seed(name, sid), poll_s=section.poll)

    # --- network, controllers, sessions -------------------------------------------------------------------------------

    def _nodes(self) -> None:
        for name in (*self.scenario.hubs, WHOLE):
            self.entities.append(EntitySpec("network", adapter_of("network").model, name, {}))
        for name in self.scenario.hubs:
            self.present[name].append("network")

    def _controllers(self) -> list[PlannedController]:
        built = build_controllers(self, self.sites)
        for part in built:
            for hub, parameters in part.parameters.items():
                self._controlled(hub, part, parameters)
        return [PlannedController(part.name, part.controller, part.on_change) for part in built]

    def _controlled(self, hub: str, part: BuiltController, parameters: Schedule) -> None:
        """Add what a controller sees of a hub."""
        seen = self.seen.get(hub)
        looks = part.controller.foresees(part.controller.parameters) or hub in self._outside
        foreseen = expected(
            self,
            hub,
            self.possible_kw.get(hub, []),
            self.tariffs.get(hub),
            self.announced.get(hub),
            seen.station if seen else None,
        )
        self._add(
            "controller",
            hub,
            site=self.sites[hub],
            devices=tuple(self.placed[hub]),
            unforeseen=tuple(d.name for d in self.placed[hub] if not kind_of(d.kind).forecast),
            load_peaks_kw=self.load_peaks_kw.get(hub, {}),
            period_s=part.period_s,
            sessions=seen.known if seen else _no_sessions(),
            linked=self.scenario.hubs[hub].link is not None,
            parameters=parameters,
            forecast=foreseen if looks else WithheldForecast(part.name),
            records=ports(part.controller),
        )

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


def _no_sessions() -> KnownSessions:
    empty = np.empty(0)
    return KnownSessions((), empty, empty, empty, empty.astype(bool))


def _terminal(device: PlacedDevice) -> Terminal:
    kind = kind_of(device.kind)
    return Terminal(device.name, kind.sign > 0, kind.q_sign > 0, kind.phases, kind.name == "load")


def _inputs_of(sid: str, connections: Iterable[Connection]) -> tuple[str, ...]:
    """Return the ports of a link, which carries whatever is connected to it."""
    return tuple(dict.fromkeys(connection.input for connection in connections if connection.target == sid))
