"""The base classes of all simulators of the plant, so that each adapter holds only what differs.

An adapter is a table of ports and a ``Device``: what one hub has of its kind. The base class turns the table into
mosaik's META, holds inputs until they change, wakes a device when it asked to be woken or an input arrives, and hands
on what changed. Rules that every port keeps:

- outputs are events: a value is sent when it differs from the last one, and the receiver holds it;
- arrays that leave a device are read-only, because mosaik hands on references;
- a device names its next event in seconds; it is woken at the first step at or after it, and a wake-up that came too
  early is harmless, because devices compute from absolute times.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import mosaik_api_v3
import numpy as np


@dataclass(frozen=True)
class Port:
    """An input or output of a simulator.

    Parameters
    ----------
    unit : str
        Unit, ``""`` for none.
    description : str
        What it is, for the result file and the documentation.
    width : str, optional
        What the elements of an array stand for (``"connector"``, ``"class"``, ...); a scalar when left out.
    codes : mapping of int to str, optional
        Meaning of the values of an enumeration.
    trigger : bool
        Inputs: whether an arriving value makes the simulator step.
    recorded : bool
        Outputs: whether the recorder writes it.
    total : {"sum", "mean", "all", ""}
        Outputs: what is recorded of several devices of a kind together: the sum, the mean weighted with their
        capacities, whether all of them do, or nothing; of powers, energies and litres it is the sum.
    """

    unit: str
    description: str
    width: str | None = None
    codes: Mapping[int, str] | None = None
    trigger: bool = True
    recorded: bool = True
    total: str | None = None

    @property
    def total_rule(self) -> str:
        """How the values of several devices make one."""
        if self.total is not None:
            return self.total
        return "sum" if self.unit in _ADDITIVE_UNITS and self.width != "connector" else ""


_ADDITIVE_UNITS = ("kW", "kvar", "kWh", "kvarh", "l", "kg")
EVENTS = Port("", "what happened: a list of [kind, text]", recorded=False)
FAILED = Port("", "whether the device reports an error", recorded=False, total="all")
BUS_PORT = Port("", "what feeds the hub bus: 0 dead, 1 grid, 2 secondary source")


class Schedule:
    """A value that scenario events replace for a time; the latest event that is active wins.

    Parameters
    ----------
    intervals : sequence of (from_s, until_s, value)
        Times since the start [s]; ``until_s`` may be infinite.
    default
        The value while no event is active.
    """

    def __init__(self, intervals: Iterable[tuple[float, float, Any]], default: Any):
        self._intervals: list[tuple[float, float, Any]] = sorted(intervals, key=lambda interval: interval[0])
        self.edges = sorted({t for start, end, _ in self._intervals for t in (start, end) if math.isfinite(t)})
        self._default = default

    def at(self, t_s: float):
        """Return the value that holds at a time."""
        value = self._default
        for start, end, replacement in self._intervals:
            if start <= t_s < end:
                value = replacement
        return value

    def next_change(self, t_s: float) -> float:
        """Find the first time after ``t_s`` at which an event starts or ends, infinite when there is none."""
        index = bisect_right(self.edges, t_s)
        return self.edges[index] if index < len(self.edges) else math.inf


class Fault(NamedTuple):
    """An error of a device: it is reported, and where it ``trips`` the device gives no power."""

    trips: bool = True


class Device:
    """The device of a simulator at one hub, or one of several devices there.

    A subclass sets itself up in ``__init__`` from plain data and implements ``update``, which sends outputs with
    ``emit`` and returns the time of its next own event [s], infinite when only an input can change anything.
    """

    def __init__(self, clock: Clock):
        self.clock = clock
        self.inputs: dict[str, Any] = {}
        self.changed: dict[str, Any] = {}
        self.wake = 0
        self._sent: dict[str, Any] = {}

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Advance to ``t_s`` with the inputs that have arrived (also held in ``inputs``)."""
        raise NotImplementedError

    def emit(self, port: str, value: Any) -> None:
        """Send a value, unless it is exactly what was sent last (NaN equals NaN)."""
        sent = self._sent.get(port)
        if isinstance(value, np.ndarray):
            if sent is not None and (value is sent or value.tobytes() == sent.tobytes()):
                return
            value.setflags(write=False)
        elif sent is not None and (value == sent or (value != value and sent != sent)):
            return
        self._sent[port] = value
        self.changed[port] = value

    def emit_row(self, port: str, row: tuple[float, ...]) -> None:
        """Send an array that is at hand as floats, unless they are what was sent last."""
        if row != self._sent.get(port):
            self._sent[port] = row
            value = np.array(row, dtype=float)
            value.setflags(write=False)
            self.changed[port] = value

    def emit_events(self, events: list) -> None:
        """Send events; every list is sent, also one that equals the last."""
        if events:
            self.changed["events"] = [[kind, text] for kind, text in events]


@dataclass(frozen=True)
class Clock:
    """The step grid of a run: ``time_step_s`` is the length of a step [s], ``steps`` the length of the run."""

    time_step_s: float
    steps: int
    end_s: float = field(init=False)
    """End of the run [s]; devices that hold an account close it then."""

    def __post_init__(self):
        object.__setattr__(self, "end_s", self.steps * self.time_step_s)

    def seconds(self, step: int) -> float:
        """Return the time of a step [s]."""
        t_s = step * self.time_step_s
        return t_s if t_s.is_integer() else round(t_s, 9)  # 3 * 0.3 is not 0.9

    def step_at_or_after(self, t_s: float) -> int:
        """Return the first step at or after a time."""
        return math.ceil(t_s / self.time_step_s - 1e-9)


NEVER = 2**62


class PortError(RuntimeError):
    """A device sent a value by a name that its simulator has no output of."""


def named(error: TypeError, model: str, eid: str, t_s: float) -> RuntimeError:
    """Convert a TypeError to an error that names the device: mosaik takes a TypeError for unserialisable data."""
    return RuntimeError(f"{model} of {eid} at {t_s:g} s: {error}")


class Adapter(mosaik_api_v3.Simulator):
    """A mosaik simulator made of devices.

    Subclasses set ``model`` (mosaik's model name), ``device`` and the port tables. A simulator whose ports depend on
    the scenario sets them in ``configure``.
    """

    model: ClassVar[str]
    device: ClassVar[type[Device]]
    inputs: Mapping[str, Port] = {}
    outputs: Mapping[str, Port] = {}
    looks_ahead: ClassVar[bool] = False
    """Whether a step makes use of ``max_advance``; an engine need not find it out otherwise."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {}})
        self.devices: dict[str, Device] = {}
        self.clock = Clock(1.0, 1)

    def init(self, sid: str, time_resolution: float = 1.0, *, time_step_s: float, steps: int, **settings):
        """Set the step grid and derive META from the ports."""
        self.clock = Clock(time_step_s, steps)
        self.configure(**settings)
        self.meta["models"] = {
            self.model: {
                "public": True,
                # a device's own signature checks its parameters, which mosaik cannot see
                "params": ["eid", "parameters"],
                "any_inputs": False,
                "attrs": [*self.inputs, *(port for port in self.outputs if port not in self.inputs)],
                "trigger": [name for name, port in self.inputs.items() if port.trigger],
                "non-persistent": list(self.outputs),
            }
        }
        return self.meta

    def configure(self) -> None:
        """Take the settings of the whole simulator; by default there are none."""

    def create(self, num: int, model: str, *, eid: str, parameters: Mapping[str, Any]):
        """Create one device; its entity id is the name of the hub, followed by its own name where a hub has several."""
        if num != 1 or eid in self.devices:
            raise ValueError(f"one {self.model} for each entity, got {num} more for {eid!r}")
        self.devices[eid] = self.device(self.clock, **parameters)
        return [{"eid": eid, "type": model}]

    def step(self, time: int, inputs: Mapping, max_advance: int) -> int | None:
        """Update the devices that have new inputs or asked to be woken."""
        t_s = self.clock.seconds(time)
        soonest = NEVER
        for eid, device in self.devices.items():
            new = inputs.get(eid)
            if new is not None or device.wake <= time:
                device.changed = {}
                arrived = {port: value for port, sources in new.items() for value in sources.values()} if new else {}
                device.inputs.update(arrived)
                try:
                    wake_s = device.update(t_s, arrived)
                except TypeError as error:
                    raise named(error, self.model, eid, t_s) from error
                except Exception as error:
                    error.add_note(f"{self.model} of {eid} at {t_s:g} s")
                    raise
                if not self.outputs.keys() >= device.changed.keys():
                    unknown = ", ".join(device.changed.keys() - self.outputs.keys())
                    there = ", ".join(self.outputs)
                    text = f"no output is called {unknown}; there are {there}"
                    raise PortError(f"{self.model} of {eid} at {t_s:g} s: {text}")
                device.wake = NEVER if wake_s == math.inf else max(time + 1, self.clock.step_at_or_after(wake_s))
            elif device.changed:
                device.changed = {}
            if device.wake < soonest:
                soonest = device.wake
        return None if soonest == NEVER else soonest

    def get_data(self, outputs: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
        """Return the outputs that changed in the last step."""
        return {
            eid: {port: changed[port] for port in ports if port in changed}
            for eid, ports in outputs.items()
            if (changed := self.devices[eid].changed)
        }
