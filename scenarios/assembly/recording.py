"""What of a plant is recorded, and where it stands in the result file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from ...simulators.adapter import Adapter, Port
from ..engines.wiring import COMMANDS, SIMULATORS, WHOLE, Connection, EntitySpec, Given, Signal
from ..schema.scenario_schema import Scenario

if TYPE_CHECKING:
    from ...simulators.network.network_model import Network

PLACE_IN_RESULTS = {
    ("ats", "available"): ("grid", "available"),
    ("arrivals", "session"): ("cp", "session"),
    ("arrivals", "status"): ("cp", "connector_status"),
    ("arrivals", "queue"): ("cp", "queue"),
    ("controller", "connector_limit_kw"): ("cp", "connector_limit_kw"),
    ("pv", "limit_kw"): ("pv", "p_limit_kw"),
    ("grid", "secondary_kw"): ("secondary", "p_kw"),
    ("grid", "secondary_kvar"): ("secondary", "q_kvar"),
}
"""Outputs that stand in the result file under another device than the simulator that computes them."""


def adapter_of(sid: str) -> type[Adapter]:
    """The class of a simulator."""
    module, _, name = SIMULATORS[sid].partition(":")
    return getattr(import_module(module), name)


def records(
    scenario: Scenario, entities: Sequence[EntitySpec], devices: Mapping[str, Sequence[str]], network: Network | None
) -> tuple[tuple[Signal, ...], list[Connection], list[EntitySpec]]:
    """Find what is recorded of a plant.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    entities : sequence of EntitySpec
        Everything there is but the recorder.
    devices : mapping of str to sequence of str
        What each hub has, by simulator id.
    network : Network or None
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
    signals: list[Signal] = []
    connections: list[Connection] = []
    places: dict[str, dict[str, int]] = {}
    for entity in entities:
        if entity.sid in ("measurements", "commands"):
            continue
        hub = entity.hub
        for output, port in {**adapter_of(entity.sid).outputs, **entity.parameters.get("records", {})}.items():
            if entity.sid == "network" and (output == "v_pu") != (hub != WHOLE):
                continue
            if port.recorded:
                width = _width(port, hub, scenario, network)
                if width == 0 or not _exists(entity.sid, output, hub, scenario, devices):
                    continue
                device, attribute = PLACE_IN_RESULTS.get((entity.sid, output), (entity.sid, output))
                if hub == WHOLE:
                    device = "grid"
                if entity.sid == "tariffs":
                    port = replace(port, unit=port.unit.replace("1/", f"{scenario.hubs[hub].tariffs.currency}/"))
                name = f"{device}.{attribute}"
                places.setdefault(hub, {})[name] = len(signals)
                signals.append(Signal(hub, device, attribute, port, width))
            elif output in ("events", "ended"):
                name = f"{entity.sid}.{output}"
                places.setdefault(hub, {})
            else:
                continue
            connections.append(Connection(entity.sid, hub, output, "recorder", hub, name))
    recorders = [
        EntitySpec(
            "recorder",
            "Recorder",
            hub,
            {"writer": Given("writer"), "progress": Given("progress"), "name": hub, "series": series},
        )
        for hub, series in places.items()
    ]
    return tuple(signals), connections, recorders


def _exists(sid: str, output: str, hub: str, scenario: Scenario, devices: Mapping[str, Sequence[str]]) -> bool:
    """Whether a set point has a device that takes it, a penalty is asked for, and the secondary source is there."""
    if sid == "controller" and output in adapter_of(sid).outputs:
        return any(output == setpoint and device in devices[hub] for setpoint, device, _ in COMMANDS)
    if sid == "tariffs" and output in ("missed_per_kwh", "unserved_per_kwh"):
        return getattr(scenario.hubs[hub].tariffs, output) > 0
    return not output.startswith("secondary") or scenario.hubs[hub].grid.secondary is not None


def _width(port: Port, hub: str, scenario: Scenario, network: Network | None) -> int | None:
    """Number of values of a port at a time; None for a scalar, 0 where there is nothing to tell."""
    if port.width is None:
        return None
    if port.width == "connector":
        connectors = scenario.hubs[hub].connectors
        return connectors.count if connectors else 0
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
