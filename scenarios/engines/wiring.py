"""A plant as plain data: its simulators, the entities of each hub in them, and the connections between them.

Because the wiring is data, it can be printed, drawn, tested, and run by more than one engine. Data flows in one order:

    arrivals, ats -> devices -> grid -> network -> (link) -> controller -> recorder

Only two flows go against it, each one step later: set points to the plant, and the secondary source's power to the ATS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...simulators.adapter import Port
from ...simulators.device_kind import DeviceKind
from ...simulators.devices import derived, kind_of, simulated_kinds
from ...simulators.tariffs.tariff_model import TariffPrices

BEFORE = {
    "arrivals": "evhub.simulators.arrivals.arrivals_simulator:ArrivalsSimulator",
    "ats": "evhub.simulators.ats.ats_simulator:AtsSimulator",
    "tariffs": "evhub.simulators.tariffs.tariff_simulator:TariffSimulator",
    "emissions": "evhub.simulators.tariffs.emissions_simulator:EmissionsSimulator",
}
AFTER = {
    "grid": "evhub.simulators.grid.grid_simulator:GridSimulator",
    "network": "evhub.simulators.network.network_simulator:NetworkSimulator",
    "measurements": "evhub.simulators.link.link_simulator:LinkSimulator",
    "controller": "evhub.scenarios.engines.controller_simulator:ControllerSimulator",
    "commands": "evhub.simulators.link.link_simulator:LinkSimulator",
    "recorder": "evhub.scenarios.engines.recorder_simulator:RecorderSimulator",
}


@derived
def simulators() -> dict[str, str]:
    """Return every kind of simulator, in the order in which data flows through them at one instant."""
    return {**BEFORE, **{kind.name: kind.simulator for kind in simulated_kinds()}, **AFTER}


WHOLE = "network"
"""Stands in the place of a hub for what belongs to the whole network."""

MEASURED = (
    ("ats", "bus"),
    ("arrivals", "session"),
    ("arrivals", "faulted"),
    ("grid", "meter_kw"),
    ("grid", "meter_a"),
    ("grid", "secondary_meter_kw"),
    ("grid", "load_meter_kw"),
    ("network", "v_pu"),
    *(("tariffs", price) for price in TariffPrices._fields),
)
"""(simulator, output): what a controller sees beside what the devices measure."""


@derived
def linked_devices() -> tuple[str, ...]:
    """Return the kinds that talk to the controller over a link; the ATS is wired to its digital input."""
    return ("grid", *(kind.name for kind in simulated_kinds()))


@dataclass(frozen=True)
class PlacedDevice:
    """A device of a hub.

    Parameters
    ----------
    kind : str
        Name of its kind, which is also the id of its simulator.
    name : str
        Its own name; that of its kind where it is the only one.
    """

    kind: str
    name: str

    def eid(self, hub: str) -> str:
        """Return the id of the device's entity at a hub."""
        return entity_id(hub, self.kind, self.name)


def entity_id(hub: str, sid: str, name: str) -> str:
    """Return the id of a hub's entity in a simulator: the hub's name, and its own where there are several."""
    return hub if name == sid else f"{hub}/{name}"


class EngineError(RuntimeError):
    """A wiring cannot be run, or a simulator breaks the rules of the mosaik API."""


@dataclass(frozen=True)
class RunObject:
    """Stands for an object that exists only during the run, such as the writer of the result file."""

    name: str


def filled(values: Mapping[str, Any], objects: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the placeholders in settings or parameters by the objects of the run."""
    return {key: objects[value.name] if isinstance(value, RunObject) else value for key, value in values.items()}


@dataclass(frozen=True)
class SimulatorSpec:
    """One mosaik simulator: its id, its class, its settings, and its first step: 0 if left out, none if event-based."""

    sid: str
    python: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    first_step: int | None = None


@dataclass(frozen=True)
class EntitySpec:
    """A part of a hub that a simulator holds.

    Parameters
    ----------
    sid, model : str
        The simulator and its model.
    hub : str
        The hub.
    parameters : mapping
        Of the adapter's device.
    device : str
        Name of the device in the hub; that of the simulator when left out.
    """

    sid: str
    model: str
    hub: str
    parameters: Mapping[str, Any]
    device: str = ""

    @property
    def name(self) -> str:
        """The device's name in its hub."""
        return self.device or self.sid

    @property
    def eid(self) -> str:
        """Return the id of the device's entity at a hub."""
        return entity_id(self.hub, self.sid, self.name)


@dataclass(frozen=True)
class Connection:
    """A flow from an output of one entity to an input of another, ``shift`` steps later."""

    source: str
    source_eid: str
    output: str
    target: str
    target_eid: str
    input: str
    shift: int = 0


@dataclass(frozen=True)
class Signal:
    """A series of the result file and the output that feeds it."""

    hub: str
    device: str
    attribute: str
    port: Port
    width: int | None

    @property
    def path(self) -> str:
        """Where it stands in the result file."""
        return f"{self.hub}/{self.device}/{self.attribute}"


@dataclass(frozen=True)
class Wiring:
    """A plant, ready for one run: some parameters are objects that change during the run.

    Parameters
    ----------
    steps : int
        Length of the run in steps.
    time_step_s : float
        Length of a step [s].
    simulators, entities, connections : tuple
        In the order in which they are started, created and connected.
    signals : tuple of Signal
        What is recorded, in the order of the recorder's series.
    sessions : tuple of dict
        Static table of all sessions, for the result file.
    hubs : tuple of str
        Names of the hubs.
    notes : tuple of (source, text)
        What a reader of the results should know about the input.
    """

    steps: int
    time_step_s: float
    simulators: tuple[SimulatorSpec, ...]
    entities: tuple[EntitySpec, ...]
    connections: tuple[Connection, ...]
    signals: tuple[Signal, ...]
    sessions: tuple[dict, ...]
    hubs: tuple[str, ...]
    notes: tuple[tuple[str, str], ...] = ()


def data_order(simulators: Iterable[SimulatorSpec], connections: Iterable[Connection]) -> dict[str, int]:
    """Return the rank of every simulator in the order of data at one instant; ties keep the order of the wiring.

    Parameters
    ----------
    simulators, connections : iterable
        Of a wiring.

    Returns
    -------
    dict of str to int
        Places by simulator id.

    Raises
    ------
    EngineError
        When simulators form a loop without delay.
    """
    sids = [spec.sid for spec in simulators]
    sources: dict[str, set[str]] = {sid: set() for sid in sids}
    for link in connections:
        if link.shift == 0:
            sources[link.target].add(link.source)
    order: dict[str, int] = {}
    while len(order) < len(sids):
        ready = next((sid for sid in sids if sid not in order and sources[sid] <= order.keys()), None)
        if ready is None:
            raise EngineError(f"these simulators form a loop without delay: {', '.join(_looped(sids, sources))}")
        order[ready] = len(order)
    return order


def _looped(sids: list[str], sources: Mapping[str, set[str]]) -> list[str]:
    """Those on a way that comes back to where it began, without those that only feed it or are fed by it."""

    def behind(sid: str) -> set[str]:
        visited: set[str] = set()
        ahead = [sid]
        while ahead:
            new = sources[ahead.pop()] - visited
            visited |= new
            ahead += new
        return visited

    return [sid for sid in sids if sid in behind(sid)]


def check_ports(link: Connection, source_meta: Mapping[str, Any], target_meta: Mapping[str, Any]) -> None:
    """Refuse a connection from or to a port that does not exist.

    Parameters
    ----------
    link : Connection
    source_meta, target_meta : mapping
        What the two simulators say of themselves.

    Raises
    ------
    EngineError
        Naming the port and those that there are.
    """
    for sid, port, what, meta in (
        (link.source, link.output, "output", source_meta),
        (link.target, link.input, "input", target_meta),
    ):
        models = meta["models"].values()
        ports = [name for model in models for name in model["attrs"]]
        if port not in ports and not (what == "input" and any(model.get("any_inputs") for model in models)):
            raise EngineError(f"{sid} has no {what} {port!r}; it has {', '.join(ports) or 'none'}")


def connect(
    present: Mapping[str, Iterable[str]], devices: Mapping[str, Sequence[PlacedDevice]], linked: Iterable[str]
) -> Iterator[Connection]:
    """Connect the devices of a plant as their kinds declare.

    Parameters
    ----------
    present : mapping of str to iterable of str
        What each hub has beside its devices, by simulator id.
    devices : mapping of str to sequence of PlacedDevice
        The devices of each hub, in the order in which their powers are summed.
    linked : iterable of str
        Hubs whose controller talks to its devices over a link.

    Yields
    ------
    Connection
    """
    linked = set(linked)
    for hub, sids in present.items():
        has = set(sids)
        placed = devices.get(hub, ())
        yield from _in_the_plant(hub, has, placed)
        yield from _measured(hub, has, placed, hub in linked)
        if "controller" in has:
            yield from _commanded(hub, placed, hub in linked)


def _in_the_plant(hub: str, has: set[str], devices: Sequence[PlacedDevice]) -> Iterator[Connection]:
    """Yield what arrives in the instant it is sent, and the one flow inside the plant that closes a loop."""
    if "ats" in has:
        for device in devices:
            yield Connection("ats", hub, "bus", device.kind, device.eid(hub), "bus")
        for sid in ("grid", "network"):
            if sid in has:
                yield Connection("ats", hub, "bus", sid, hub, "bus")
    for device in devices:
        for source, output, port in kind_of(device.kind).takes:
            if source in has:
                yield Connection(source, hub, output, device.kind, device.eid(hub), port)
    if "grid" not in has:
        return
    for device in devices:
        for quantity in ("p_kw", "q_kvar"):
            yield Connection(device.kind, device.eid(hub), quantity, "grid", hub, f"{device.name}.{quantity}")
    for device in devices:
        if kind_of(device.kind).phases:
            yield Connection(device.kind, device.eid(hub), "phase_kw", "grid", hub, f"{device.name}.phase_kw")
    if "network" in has:
        yield Connection("grid", hub, "p_kw", "network", hub, "p_kw")
        yield Connection("grid", hub, "q_kvar", "network", hub, "q_kvar")
    if "ats" in has:
        yield Connection("grid", hub, "secondary_kw", "ats", hub, "secondary_kw", 1)


def measured_ports(devices: Iterable[PlacedDevice]) -> list[tuple[str, str, str]]:
    """Return the outputs of devices that controllers see: (kind, name, output)."""
    return [(device.kind, device.name, output) for device in devices for output in kind_of(device.kind).measures]


def _measured(hub: str, has: set[str], devices: Sequence[PlacedDevice], linked: bool) -> Iterator[Connection]:
    if "controller" not in has:
        return
    sources = [(sid, hub, sid, output) for sid, output in MEASURED if sid in has]
    sources += [(kind, entity_id(hub, kind, name), name, output) for kind, name, output in measured_ports(devices)]
    for sid, eid, name, output in sources:
        port = f"{name}.{output}"
        if linked and sid in linked_devices():
            yield Connection(sid, eid, output, "measurements", hub, port)
            yield Connection("measurements", hub, port, "controller", hub, port)
        else:
            yield Connection(sid, eid, output, "controller", hub, port)
    if linked:
        yield Connection("measurements", hub, "sampled_s", "controller", hub, "link.sampled_s")


def command_output(kind: DeviceKind, name: str, setpoint: str, port: str) -> str:
    """Return the output name of a set point: that of the contract, or one with the name of its device."""
    return setpoint if name == kind.name else f"{name}.{port}"


def _commanded(hub: str, devices: Sequence[PlacedDevice], linked: bool) -> Iterator[Connection]:
    for device in devices:
        kind = kind_of(device.kind)
        for command in kind.commands:
            output = command_output(kind, device.name, command.setpoint, command.port)
            port = f"{device.name}.{command.port}"
            if linked:
                yield Connection("controller", hub, output, "commands", hub, port)
                yield Connection("commands", hub, port, device.kind, device.eid(hub), command.port, 1)
            else:
                yield Connection("controller", hub, output, device.kind, device.eid(hub), command.port, 1)
