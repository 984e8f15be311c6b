"""The adapter of all controllers: builds observations, checks and clips set points, times decisions.

The simulator has one device for each hub. A controller may run several of them; it decides at its period, and at once
when the bus or a connector changes its status. Set points reach the plant one step later (or later still, through a
link), because every other order would let a controller act on what it has not measured yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import NamedTuple

from ...controllers import contract
from ...simulators.adapter import EVENTS, NEVER, Adapter, Port, named
from ...simulators.charge_point.charge_point_device import CHARGE_POINT
from ...simulators.devices import BUILT_IN, kind_of
from .controlled_hub import STATUS_PORTS, ControlledHub, ports
from .device_commands import ControllerError, check
from .wiring import MEASURED, PlacedDevice, command_output, measured_ports

_MEASURED = Port("", "a measurement, held until the next one", trigger=False)
_STATUS = Port("", "a status, whose change calls for a decision")


class PlannedController(NamedTuple):
    """A controller of a wiring.

    Parameters
    ----------
    name : str
        Its type, with its number where there are several.
    controller : Controller
    on_change : bool
        Whether it also decides when the status of a bus or a connector, or its parameters, change.
    """

    name: str
    controller: contract.Controller
    on_change: bool = True


class Question(NamedTuple):
    """What somebody outside is asked to decide.

    Parameters
    ----------
    name : str
        The controller in whose place.
    observation : Observation
        What it sees.
    """

    name: str
    observation: contract.Observation


class _Run:
    """A controller and the hubs that it controls."""

    def __init__(self, planned: PlannedController, time_step_s: float):
        self.name, self.controller, self.on_change = planned
        self.hubs = ", ".join(self.controller.sites)
        self.period_steps = round(self.controller.period_s / time_step_s)


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
        controllers: Sequence[PlannedController] = (),
        devices: Sequence[PlacedDevice] = (),
        start: datetime | None = None,
        diagnose: Callable[[str, float, float], None] | None = None,
        outside: Collection[str] = (),
    ) -> None:
        """Set the controllers, the devices of all hubs, the first instant, and where decision times are written.

        In the place of controllers that are named in `outside`, somebody outside decides: see `questions`.
        """
        start = start or datetime.fromtimestamp(0.0, UTC)
        measured = [f"{sid}.{output}" for sid, output in MEASURED]
        measured += [f"{name}.{output}" for _, name, output in measured_ports(devices)]
        self.inputs = {**dict.fromkeys([*measured, "link.sampled_s"], _MEASURED), **self.inputs}
        self.outputs = {
            **self.outputs,
            **commands_of(devices),
            **{name: port for planned in controllers for name, port in ports(planned.controller).items()},
        }
        self._start_utc, self._zone = start.astimezone(UTC), start.tzinfo
        self._diagnose = diagnose
        self._runs = [_Run(planned, self.clock.time_step_s) for planned in controllers]
        self._outside = frozenset(outside)
        self.questions: list[Question] = []
        """What is to be decided from outside before the step can end; `InprocessRun.go_on` stops for it."""
        self._soonest = NEVER

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
            if time % run.period_steps == 0 or (run.on_change and not calls.isdisjoint(run.controller.sites)):
                try:
                    self._decide(run, t_s)
                except TypeError as error:
                    raise named(error, self.model, run.hubs, t_s) from error
            soonest = min(soonest, (time // run.period_steps + 1) * run.period_steps)
        self._soonest = soonest
        return self.closed(time)

    def closed(self, time: int) -> int | None:
        """Return the next step, when everything is decided that is due at this one."""
        return self._soonest if self._soonest < self.clock.steps else None

    def _decide(self, run: _Run, t_s: float) -> None:
        observation = contract.Observation(
            t_s=t_s,
            time=(self._start_utc + timedelta(seconds=t_s)).astimezone(self._zone),
            hubs={name: self.devices[name].observation(t_s) for name in run.controller.sites},  # pyright: ignore
            end_s=self.clock.end_s,
        )
        if run.name in self._outside:
            self.questions.append(Question(run.name, observation))
            return
        began = perf_counter()
        try:
            decision = run.controller.decide(observation)
        except (Exception, SystemExit) as error:  # a user's own code may fail in any way
            raise ControllerError(f"{_who(run, run.hubs, t_s)}: {type(error).__name__}: {error}") from error
        self._obey(run, t_s, decision, perf_counter() - began)

    def controllers(self) -> dict[str, contract.Controller]:
        """Return the controllers by name."""
        return {run.name: run.controller for run in self._runs}

    def answer(self, decision: contract.Decision) -> None:
        """Send a decision from outside to the plant, the answer to the first of `questions`.

        Raises
        ------
        ControllerError
            When it is not a decision; nothing is sent then, and the question stands.
        """
        name, observation = self.questions[0]
        run = next(run for run in self._runs if run.name == name)
        self._obey(run, observation.t_s, decision, math.nan)
        del self.questions[0]

    def _obey(self, run: _Run, t_s: float, decision: contract.Decision, decision_s: float) -> None:
        """Check a decision as a whole, then send it to the plant."""
        sites = run.controller.sites
        checked = {}
        for name, site in sites.items():
            try:
                setpoints = decision.setpoints[name]
                checked[name] = setpoints, check(setpoints, site)
                device = self.devices[name]
                device.check_records(decision.records.get(name, {}))  # pyright: ignore[reportAttributeAccessIssue]
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
        try:
            diagnostics = {str(name): float(value) for name, value in decision.diagnostics.items()}
        except (TypeError, ValueError, AttributeError):
            got = f"diagnostics must be numbers by name, got {getattr(decision, 'diagnostics', None)!r}"
            raise ControllerError(f"{_who(run, run.hubs, t_s)}: {got}") from None
        if self._diagnose is not None:
            if not math.isnan(decision_s):
                self._diagnose(f"{run.name}/decision_s", t_s, decision_s)
            for name, value in diagnostics.items():
                self._diagnose(f"{run.name}/{name}", t_s, value)
        for name, (setpoints, numbers) in checked.items():
            device = self.devices[name]
            device.send(setpoints, numbers)  # pyright: ignore[reportAttributeAccessIssue]
            device.record(decision.records.get(name, {}))  # pyright: ignore[reportAttributeAccessIssue]
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
