"""Which signals of a plant are recorded, and where each stands in the result file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...simulators.adapter import Adapter, Port
from ...simulators.charge_point.charge_point_section import count_of
from ...simulators.device_kind import load
from ...simulators.devices import derived, kind_of, kinds
from ..engines.controller_simulator import commands_of
from ..engines.recorder_simulator import Total
from ..engines.wiring import WHOLE, Connection, EntitySpec, PlacedDevice, RunObject, Signal, simulators
from ..schema.scenario_schema import ScenarioSection
from .site_build import plates_of

if TYPE_CHECKING:
    from ...simulators.network.network_model import PlantNetwork

_PLACES = {
    ("ats", "available"): ("grid", "available"),
    ("arrivals", "session"): ("cp", "session"),
    ("arrivals", "status"): ("cp", "connector_status"),
    ("arrivals", "queue"): ("cp", "queue"),
    ("controller", "connector_limit_kw"): ("cp", "connector_limit_kw"),
    ("grid", "secondary_kw"): ("secondary", "p_kw"),
    ("grid", "secondary_kvar"): ("secondary", "q_kvar"),
}


@derived
def places_in_results() -> dict[tuple[str, str], tuple[str, str]]:
    """Return the outputs whose device or name in the result file differs from that in their simulator."""
    return {
        **_PLACES,
        **{(kind.name, output): place for kind in kinds() for output, place in kind.results_as.items()},
    }


def adapter_of(sid: str) -> type[Adapter]:
    """Return the class of a simulator."""
    return load(simulators()[sid])


def records(
    scenario: ScenarioSection,
    entities: Sequence[EntitySpec],
    placed: Mapping[str, Sequence[PlacedDevice]],
    network: PlantNetwork | None,
) -> tuple[tuple[Signal, ...], list[Connection], list[EntitySpec]]:
    """Find the signals of a plant that are recorded, and what feeds them.

    Parameters
    ----------
    scenario : ScenarioSection
        The scenario.
    entities : sequence of EntitySpec
        Everything there is but the recorder.
    placed : mapping of str to sequence of PlacedDevice
        The devices of each hub.
    network : PlantNetwork or None
        The network, for the lengths of its arrays.

    Returns
    -------
    signals : tuple of Signal
        The series of the result file.
    connections : list of Connection
        What feeds them, the table of events and the accounts of sessions.
    recorders : list of EntitySpec
        The recorder's entities, one for each hub and one for the network.
    """
    plan = _Plan(scenario, placed, network)
    for entity in entities:
        if entity.sid not in ("measurements", "commands"):
            plan.add(entity)
    return tuple(plan.signals), plan.connections, plan.recorders()


class _Plan:
    """The recorded signals and the connections that feed them, collected entity by entity."""

    def __init__(
        self, scenario: ScenarioSection, placed: Mapping[str, Sequence[PlacedDevice]], network: PlantNetwork | None
    ) -> None:
        self._scenario = scenario
        self._placed = placed
        self._network = network
        self._series: dict[str, dict[str, int]] = {}
        self._totals: dict[str, dict[int, Total]] = {}
        self.signals: list[Signal] = []
        self.connections: list[Connection] = []

    def add(self, entity: EntitySpec) -> None:
        """Record the outputs of an entity."""
        hub, sid = entity.hub, entity.sid
        outputs = {**adapter_of(sid).outputs, **entity.parameters.get("records", {})}
        if sid == "controller":
            outputs |= commands_of(self._placed[hub])
        for output, port in outputs.items():
            if sid == "network" and (output == "v_pu") != (hub != WHOLE):
                continue
            if port.recorded:
                width = _width(port, hub, self._scenario, self._network)
                if width == 0 or not self._exists(entity, output):
                    continue
                device, attribute = places_in_results().get((sid, output), (entity.name, output))
                if device == sid:
                    device = entity.name
                if hub == WHOLE:
                    device = "grid"
                if sid == "tariffs":
                    currency = self._scenario.hubs[hub].tariffs.currency
                    port = replace(port, unit=port.unit.replace("1/", f"{currency}/"))
                name = f"{device}.{attribute}"
                self._signal(hub, name, Signal(hub, device, attribute, port, width))
                if entity.name != sid and port.total_rule:
                    self._part_of_total(hub, sid, name, Signal(hub, sid, attribute, port, width))
            elif output in ("events", "ended"):
                name = f"{entity.name}.{output}"
                self._series.setdefault(hub, {})
            else:
                continue
            self.connections.append(Connection(sid, entity.eid, output, "recorder", hub, name))

    def _signal(self, hub: str, name: str, signal: Signal) -> None:
        self._series.setdefault(hub, {})[name] = len(self.signals)
        self.signals.append(signal)

    def _part_of_total(self, hub: str, kind: str, part: str, signal: Signal) -> None:
        """Record the total of a kind of which the devices have names of their own."""
        name = f"{kind}.{signal.attribute}"
        if name not in self._series[hub]:
            weights = {
                device.name: plates_of(device).get("capacity_kwh", 1.0) for device in self._scenario.hubs[hub].devices()
            }
            parts = [device.name for device in self._placed[hub] if device.kind == kind]
            self._totals.setdefault(hub, {})[len(self.signals)] = Total(
                signal.port.total_rule,
                tuple(f"{part}.{signal.attribute}" for part in parts),
                tuple(weights[part] for part in parts),
            )
            self._signal(hub, name, signal)

    def _exists(self, entity: EntitySpec, output: str) -> bool:
        """Whether a set point has a device that takes it, a penalty has a price, the secondary source is there."""
        sid, hub = entity.sid, entity.hub
        if sid == "controller" and output in adapter_of(sid).outputs:
            commanded = {command.setpoint for device in self._placed[hub] for command in kind_of(device.kind).commands}
            return output in commanded
        if sid == "tariffs" and output in ("missed_per_kwh", "unserved_per_kwh"):
            return output in entity.parameters["penalties"]
        return not output.startswith("secondary") or self._scenario.hubs[hub].secondary_source()[1] is not None

    def recorders(self) -> list[EntitySpec]:
        """Return the entities of the recorder."""
        objects = {"writer": RunObject("writer"), "progress": RunObject("progress")}
        return [
            EntitySpec(
                "recorder",
                "Recorder",
                hub,
                {**objects, "name": hub, "series": series, "totals": self._totals.get(hub, {})},
            )
            for hub, series in self._series.items()
        ]


def _width(port: Port, hub: str, scenario: ScenarioSection, network: PlantNetwork | None) -> int | None:
    """Number of values of a port at a time; None for a scalar, 0 where there is nothing to record."""
    if port.width is None:
        return None
    if port.width == "connector":
        return count_of(scenario.hubs[hub].connectors)
    counts = {"class": 4, "phase": 3}
    if network is not None:
        # 99999 kA is pandapower's word for a line without a rating; its loading would say nothing
        rated = (network.net.line.loc[network.line_index, "max_i_ka"] < 9999.0).any()
        counts |= {
            "bus": len(network.bus_index),
            "line": len(network.line_index) if rated else 0,
            "transformer": len(network.trafo_index),
        }
    return counts[port.width]
