"""The plant of a scenario as plain data: which simulators there are, what each hub has of them, and what flows where.

Because the wiring is data, it can be printed, drawn, tested, and run by more than one engine. Data flows in one order:

    arrivals, ats -> pv, load, bess, dg, cp -> grid -> network -> (link) -> controller -> recorder

Only two flows go against it, each one step later: set points to the plant, and the secondary source's power to the ATS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...simulators.adapter import Port

SIMULATORS = {
    "arrivals": "evhub.simulators.arrivals.arrivals_simulator:Simulator",
    "ats": "evhub.simulators.ats.ats_simulator:Simulator",
    "tariffs": "evhub.simulators.tariffs.tariff_simulator:Simulator",
    "emissions": "evhub.simulators.tariffs.emissions_simulator:Simulator",
    "pv": "evhub.simulators.pv.pv_simulator:Simulator",
    "load": "evhub.simulators.load.load_simulator:Simulator",
    "bess": "evhub.simulators.battery.battery_simulator:Simulator",
    "dg": "evhub.simulators.generator.generator_simulator:Simulator",
    "cp": "evhub.simulators.charge_point.charge_point_simulator:Simulator",
    "grid": "evhub.simulators.grid.grid_simulator:Simulator",
    "network": "evhub.simulators.network.network_simulator:Simulator",
    "measurements": "evhub.simulators.link.link_simulator:Simulator",
    "controller": "evhub.scenarios.engines.controller_simulator:Simulator",
    "commands": "evhub.simulators.link.link_simulator:Simulator",
    "recorder": "evhub.scenarios.engines.recorder_simulator:Simulator",
}
"""Every kind of simulator, in the order in which data flows through them at one instant."""

WHOLE = "network"
"""Stands in the place of a hub for what belongs to the whole network."""

SAME_TIME = (
    *(("ats", "bus", device, "bus") for device in ("pv", "load", "bess", "dg", "cp", "grid", "network")),
    ("arrivals", "session", "cp", "session"),
    ("arrivals", "faulted", "cp", "faulted"),
    *(
        (device, quantity, "grid", f"{device}_{quantity}")
        for device in ("pv", "bess", "dg", "load", "cp")
        for quantity in ("p_kw", "q_kvar")
    ),
    ("cp", "phase_kw", "grid", "cp_phase_kw"),
    ("load", "phase_kw", "grid", "load_phase_kw"),
    ("grid", "p_kw", "network", "p_kw"),
    ("grid", "q_kvar", "network", "q_kvar"),
)
"""(source, output, target, input): what arrives in the instant it is sent."""

ONE_STEP_LATER = (("grid", "secondary_kw", "ats", "secondary_kw"),)
"""The same, for what closes a loop inside the plant."""

COMMANDS = (
    ("connector_limit_kw", "cp", "limit_kw"),
    ("connector_q_kvar", "cp", "q_set_kvar"),
    ("bess_kw", "bess", "p_set_kw"),
    ("bess_q_kvar", "bess", "q_set_kvar"),
    ("pv_limit_kw", "pv", "p_limit_kw"),
    ("pv_q_kvar", "pv", "q_set_kvar"),
    ("dg_kw", "dg", "p_set_kw"),
    ("dg_q_kvar", "dg", "q_set_kvar"),
    ("load_limit_kw", "load", "limit_kw"),
)
"""(set point, device, input): what a controller commands."""

MEASUREMENTS = (
    ("ats", "bus"),
    ("arrivals", "session"),
    ("arrivals", "faulted"),
    ("grid", "meter_kw"),
    ("grid", "meter_a"),
    ("grid", "secondary_meter_kw"),
    ("grid", "load_meter_kw"),
    ("pv", "p_kw"),
    ("pv", "failed"),
    ("bess", "p_kw"),
    ("bess", "soc"),
    ("bess", "failed"),
    ("dg", "p_kw"),
    ("dg", "failed"),
    ("dg", "fuel_l"),
    ("cp", "p_kw"),
    ("cp", "connector_p_kw"),
    ("cp", "energy_kwh"),
    ("cp", "soc"),
    ("network", "v_pu"),
    ("tariffs", "buy_per_kwh"),
    ("tariffs", "sell_per_kwh"),
    ("tariffs", "dg_per_kwh"),
    ("tariffs", "bess_per_kwh"),
    ("tariffs", "charging_per_kwh"),
)
"""(device, output): what a controller sees."""

OVER_LINK = ("grid", "load", "pv", "bess", "dg", "cp")
"""Devices that talk to the controller over a link, where a hub has one; the ATS is wired to its digital input."""


class EngineError(RuntimeError):
    """A wiring that cannot be run, or a simulator that breaks the rules of the mosaik API."""


@dataclass(frozen=True)
class Given:
    """Stands for an object that only the run has, such as the writer of the result file."""

    name: str


def filled(values: Mapping[str, Any], objects: Mapping[str, Any]) -> dict[str, Any]:
    """Settings or parameters with the run's objects in their places."""
    return {key: objects[value.name] if isinstance(value, Given) else value for key, value in values.items()}


@dataclass(frozen=True)
class SimulatorSpec:
    """One mosaik simulator: its id, its class, its settings, and its first step: 0 if left out, none if event-based."""

    sid: str
    python: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    first_step: int | None = None


@dataclass(frozen=True)
class EntitySpec:
    """What one hub has of a simulator."""

    sid: str
    model: str
    hub: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Connection:
    """A flow from an output of one simulator to an input of another, ``shift`` steps later."""

    source: str
    hub: str
    output: str
    target: str
    target_hub: str
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
    """A plant, ready to be run once: some parameters are objects that change as the run goes on.

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
    """Place of every simulator in the order of data at one instant; equals stay in the order of the wiring.

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
        found: set[str] = set()
        ahead = [sid]
        while ahead:
            new = sources[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    return [sid for sid in sids if sid in behind(sid)]


def connect(devices: Mapping[str, Iterable[str]], linked: Iterable[str]) -> Iterable[Connection]:
    """The connections of a plant, from the tables above.

    Parameters
    ----------
    devices : mapping of str to iterable of str
        What each hub has, by simulator id.
    linked : iterable of str
        Hubs whose controller talks to its devices over a link.

    Yields
    ------
    Connection
    """
    linked = set(linked)
    for hub, present in devices.items():
        has = set(present)
        for source, output, target, port in SAME_TIME:
            if source in has and target in has:
                yield Connection(source, hub, output, target, hub, port)
        for source, output, target, port in ONE_STEP_LATER:
            if source in has and target in has:
                yield Connection(source, hub, output, target, hub, port, 1)
        for source, output in MEASUREMENTS:
            if source not in has:
                continue
            name = f"{source}.{output}"
            if hub in linked and source in OVER_LINK:
                yield Connection(source, hub, output, "measurements", hub, name)
                yield Connection("measurements", hub, name, "controller", hub, name)
            else:
                yield Connection(source, hub, output, "controller", hub, name)
        if hub in linked:
            yield Connection("measurements", hub, "sampled_s", "controller", hub, "link.sampled_s")
        for output, target, port in COMMANDS:
            if target not in has:
                continue
            if hub in linked:
                yield Connection("controller", hub, output, "commands", hub, f"{target}.{port}")
                yield Connection("commands", hub, f"{target}.{port}", target, hub, port, 1)
            else:
                yield Connection("controller", hub, output, target, hub, port, 1)
