"""Watches a run on mosaik: when each simulator stepped, what it sent, and where the time went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple
from unittest.mock import patch

import mosaik_api_v3
from mosaik.async_scenario import AsyncWorld

from evhub.scenarios.build import build
from evhub.scenarios.loader import LoadedScenario
from evhub.scenarios.runner import run_wiring
from evhub.scenarios.wiring import Wiring

# --------------------------------------------------------------------------------------------------------------- clocks


class Seconds(NamedTuple):
    """A time by the wall clock and by the processor, which does not know how busy the machine is with other things."""

    wall: float = 0.0
    cpu: float = 0.0

    def plus(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def minus(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


def now() -> Seconds:
    return Seconds(perf_counter(), process_time())


def best(times: list[Seconds]) -> Seconds:
    """The shortest by each clock: everything else is the machine doing something else."""
    return Seconds(min(time.wall for time in times), min(time.cpu for time in times))


class Stopwatch:
    """Adds up the time that calls of a function take."""

    def __init__(self, function: Callable):
        self.function = function
        self.total = Seconds()
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        began = now()
        try:
            return self.function(*args, **options)
        finally:
            self.total = self.total.plus(now().minus(began))
            self.calls += 1


@contextmanager
def world_runs() -> Iterator[list[Seconds]]:
    """Collects how long mosaik's ``run`` takes: stepping alone, without building the plant and opening files."""
    taken: list[Seconds] = []
    run = AsyncWorld.run

    async def timed(self: AsyncWorld, *args: Any, **options: Any) -> None:
        began = now()
        await run(self, *args, **options)
        taken.append(now().minus(began))

    with patch.object(AsyncWorld, "run", timed):
        yield taken


# ----------------------------------------------------------------------------------------------------------------- runs


class Run(NamedTuple):
    """How long a run took, and the power flows in it."""

    total: Seconds
    power_flow: Seconds
    power_flows: int

    @property
    def own(self) -> Seconds:
        """The co-simulation without the power flow."""
        return self.total.minus(self.power_flow)


def run(loaded: LoadedScenario, wiring: Wiring | None = None) -> Run:
    """Run a scenario on mosaik, into a file that is thrown away."""
    wiring = wiring or build(loaded)
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        taken = stack.enter_context(world_runs())
        solve = Stopwatch(lambda: None)
        network = next((spec.settings["network"] for spec in wiring.simulators if spec.sid == "network"), None)
        if network is not None:
            solve = Stopwatch(network.solve)
            stack.enter_context(patch.object(network, "solve", solve))
        run_wiring(wiring, loaded, Path(folder) / "run.h5")
    return Run(taken[0], solve.total, solve.calls)


# --------------------------------------------------------------------------------------------------------------- traces


@dataclass
class Trace:
    """What one simulator did in a run.

    ``steps`` holds for each step its time, the next step it asked for, and what it sent, with 0.0 in the place of every
    value; equal ones are one object.
    """

    meta: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[int, int | None, dict]] = field(default_factory=list)
    seconds: float = 0.0


class Observed(mosaik_api_v3.Simulator):
    """Stands before a simulator and notes what it does."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {}})

    def init(self, sid: str, time_resolution: float = 1.0, *, simulator: str, trace: Trace, **settings: Any) -> dict:
        module, _, name = simulator.partition(":")
        self._inner = getattr(import_module(module), name)()
        self._trace = trace
        self._patterns: dict[tuple, dict] = {}
        self.meta = trace.meta = self._inner.init(sid, time_resolution, **settings)
        return self.meta

    def create(self, *args: Any, **parameters: Any) -> list[dict]:
        return self._inner.create(*args, **parameters)

    def step(self, time: int, inputs: dict, max_advance: int) -> int | None:
        began = perf_counter()
        following = self._inner.step(time, inputs, max_advance)
        self._trace.seconds += perf_counter() - began
        self._trace.steps.append((time, following, {}))
        return following

    def get_data(self, outputs: dict) -> dict:
        began = perf_counter()
        data = self._inner.get_data(outputs)
        self._trace.seconds += perf_counter() - began
        pattern = tuple((eid, tuple(ports)) for eid, ports in data.items())
        sent = self._patterns.setdefault(pattern, {eid: dict.fromkeys(ports, 0.0) for eid, ports in pattern})
        time, following, _ = self._trace.steps[-1]
        self._trace.steps[-1] = (time, following, sent)
        return data

    def finalize(self) -> None:
        self._inner.finalize()


def observed(wiring: Wiring) -> tuple[Wiring, dict[str, Trace]]:
    """The same plant with every simulator watched, and where its trace will be."""
    traces = defaultdict(Trace)
    simulators = tuple(
        replace(
            spec,
            python=f"{__name__}:{Observed.__name__}",
            settings={**spec.settings, "simulator": spec.python, "trace": traces[spec.sid]},
        )
        for spec in wiring.simulators
    )
    return replace(wiring, simulators=simulators), dict(traces)
