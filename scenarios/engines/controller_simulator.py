"""The adapter of all controllers: builds observations, checks and clips set points, times decisions.

The simulator has one device for each hub. A controller may run several of them; it decides at its period, and at once
when the bus or a connector changes its status. Set points reach the plant one step later (or later still, through a
link), because every other order would let a controller act on what it has not measured yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

from ...controllers import contract
from ...simulators.adapter import EVENTS, NEVER, Adapter, Port, named
from ...simulators.charge_point.charge_point_device import CHARGE_POINT
from ...simulators.devices import BUILT_IN, kind_of
from .controlled_hub import STATUS_PORTS, ControlledHub, ports
from .device_commands import ControllerError, check
from .wiring import MEASURED, PlacedDevice, command_output, measured_ports

_MEASURED = Port("", "a measurement, held until the next one", trigger=False)
_STATUS = Port("", "a status, whose change calls for a decision")


class _Run:
    """A controller and the hubs that it controls."""

    def __init__(self, name: str, controller: contract.Controller, period_steps: int):
        self.name = name
        self.hubs = ", ".join(controller.sites)
        self.controller = controller
        self.period_steps = period_steps


class ControllerSimulator(Adapter):
    """Decides for all hubs of a scenario."""

    model = "Controller"
    device = ControlledHub
    inputs = dict.fromkeys(STATUS_PORTS, _STATUS)
    outputs = {
        **{
            command.setpoint: Port(command.unit, command.description, command.width)
            for kind in (CHARGE_POINT, *BUILT_IN)  # the order in result files
            for command in kind.commands
        },
        "events": EVENTS,
    }

    def configure(
        self,
        controllers: Sequence[tuple[str, contract.Controller]] = (),
        devices: Sequence[PlacedDevice] = (),
        start: datetime | None = None,
        diagnose: Callable[[str, float, float], None] | None = None,
    ) -> None:
        """Set the controllers, the devices of all hubs, the first instant, and where decision times are written."""
        start = start or datetime.fromtimestamp(0.0, UTC)
        measured = [f"{sid}.{output}" for sid, output in MEASURED]
        measured += [f"{name}.{output}" for _, name, output in measured_ports(devices)]
        self.inputs = {**dict.fromkeys([*measured, "link.sampled_s"], _MEASURED), **self.inputs}
        self.outputs = {
            **self.outputs,
            **commands_of(devices),
            **{name: port for _, controller in controllers for name, port in ports(controller).items()},
        }
        self._start_utc, self._zone = start.astimezone(UTC), start.tzinfo
        self._diagnose = diagnose
        self._runs = []
        for name, controller in controllers:
            steps = round(controller.period_s / self.clock.time_step_s)
            self._runs.append(_Run(name, controller, steps))

    def step(self, time: int, inputs: Mapping, max_advance: int) -> int | None:
        """Take arrived measurements, then let every controller decide that is due."""
        t_s = self.clock.seconds(time)
        calls = set()
        soonest = NEVER
        for name, device in self.devices.items():
            device.changed = {}
            new = inputs.get(name, {})
            if not new.keys().isdisjoint(STATUS_PORTS):
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
        observation = contract.Observation(
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


def commands_of(devices: Iterable[PlacedDevice]) -> dict[str, Port]:
    """Return the outputs for devices that have names of their own or are of further kinds."""
    ports = {}
    for device in devices:
        kind = kind_of(device.kind)
        for command in kind.commands:
            output = command_output(kind, device.name, command.setpoint, command.port)
            recorded = output == command.setpoint
            if not recorded or not kind.contract:
                ports[command.setpoint] = Port(command.unit, command.description, command.width)
            if not recorded:
                ports[output] = Port(command.unit, command.description, command.width, recorded=False)
    return ports
