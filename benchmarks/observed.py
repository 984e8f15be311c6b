"""Watches a run on mosaik: how fast it goes, when each simulator steps and what it sends, and where the time goes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple
from unittest.mock import patch

import mosaik_api_v3
from mosaik import scheduler
from mosaik.async_scenario import AsyncWorld

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.wiring import Wiring
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import Scenario

# --------------------------------------------------------------------------------------------------------------- clocks


class Seconds(NamedTuple):
    """A time by the wall clock and by the processor's clock, which stands still while the machine does other things."""

    wall: float = 0.0
    cpu: float = 0.0

    def plus(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def minus(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


def now() -> Seconds:
    return Seconds(perf_counter(), process_time())


class Stopwatch:
    """Adds up the time that functions take."""

    def __init__(self):
        self.total = Seconds()
        self.calls = 0

    def around(self, function: Callable) -> Callable:
        """The function, timed."""

        @wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            began = now()
            try:
                return function(*args, **options)
            finally:
                self.total = self.total.plus(now().minus(began))
                self.calls += 1

        return timed


Slices = Sequence[Seconds]
"""Time of a run, by equal parts of simulated time."""


def total(slices: Slices) -> Seconds:
    return Seconds(sum(each.wall for each in slices), sum(each.cpu for each in slices))


def best(runs: Sequence[Slices]) -> Seconds:
    """The shortest time of several equal runs: of every slice the shortest, for what is more is the machine's doing."""
    same = list(zip(*runs, strict=True))
    return Seconds(
        sum(min(s.wall for s in slices) for slices in same), sum(min(s.cpu for s in slices) for slices in same)
    )


@contextmanager
def marks() -> Iterator[list[Seconds]]:
    """Collects the time at every hundredth of mosaik's ``run``."""
    found: list[Seconds] = []
    run, get_progress = AsyncWorld.run, scheduler.get_progress

    async def timed(self: AsyncWorld, *args: Any, **options: Any) -> None:
        found.append(now())
        await run(self, *args, **options)
        found.append(now())

    def watched(sims: dict, until: int) -> float:
        percent = get_progress(sims, until)
        if percent >= len(found):
            found.append(now())
        return percent

    gc.collect()
    with patch.object(AsyncWorld, "run", timed), patch.object(scheduler, "get_progress", watched):
        yield found


def between(times: Sequence[Seconds]) -> Slices:
    return [after.minus(before) for before, after in pairwise(times)]


# ----------------------------------------------------------------------------------------------------------------- runs


class Run(NamedTuple):
    """How long mosaik's ``run`` took (without building the plant and opening files), and the power flows in it."""

    total: Slices
    power_flow: Seconds
    solved: list
    """Results of the power flows."""


def run(loaded: Scenario, wiring: Wiring | None = None, solved: list | None = None) -> Run:
    """Run a scenario on mosaik, into a file that is thrown away.

    Parameters
    ----------
    loaded : Scenario
        The scenario.
    wiring : Wiring, optional
        Its plant, when it is built already.
    solved : list, optional
        Results of the power flows of an equal run, which are used in the place of new ones.
    """
    wiring = wiring or build(loaded)
    solve, found = Stopwatch(), []
    known = iter(solved or ())
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        for spec in wiring.simulators:
            if "network" in spec.settings:
                network = spec.settings["network"]
                first = solve.around(network.solve) if solved is None else lambda *_: next(known)
                stack.enter_context(patch.object(network, "solve", _kept(first, found)))
        times = stack.enter_context(marks())
        run_wiring(wiring, loaded, Path(folder) / "run.h5")
    return Run(between(times), solve.total, found)


def _kept(solve: Callable, found: list) -> Callable:
    def kept(*args: Any) -> Any:
        found.append(solve(*args))
        return found[-1]

    return kept


# --------------------------------------------------------------------------------------------------------------- traces


@dataclass
class Trace:
    """What one simulator did in a run.

    ``steps`` holds for each step its time, the next step it asked for, and what it sent, with 0.0 in the place of every
    value; equal ones are one object.
    """

    meta: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[int, int | None, dict]] = field(default_factory=list)
    watch: Stopwatch = field(default_factory=Stopwatch)


class Observed(mosaik_api_v3.Simulator):
    """Stands before a simulator and notes what it does."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {}})

    def init(self, sid: str, time_resolution: float = 1.0, *, simulator: str, trace: Trace, **settings: Any) -> dict:
        module, _, name = simulator.partition(":")
        self._inner = getattr(import_module(module), name)()
        self._step, self._get_data = trace.watch.around(self._inner.step), trace.watch.around(self._inner.get_data)
        self._steps = trace.steps
        self._patterns: dict[tuple, dict] = {}
        self.meta = trace.meta = self._inner.init(sid, time_resolution, **settings)
        return self.meta

    def create(self, *args: Any, **parameters: Any) -> list[dict]:
        return self._inner.create(*args, **parameters)

    def step(self, time: int, inputs: dict, max_advance: int) -> int | None:
        following = self._step(time, inputs, max_advance)
        self._steps.append((time, following, {}))
        return following

    def get_data(self, outputs: dict) -> dict:
        data = self._get_data(outputs)
        pattern = tuple((eid, tuple(ports)) for eid, ports in data.items())
        sent = self._patterns.setdefault(pattern, {eid: dict.fromkeys(ports, 0.0) for eid, ports in pattern})
        time, following, _ = self._steps[-1]
        self._steps[-1] = (time, following, sent)
        return data

    def finalize(self) -> None:
        self._inner.finalize()


def observed(wiring: Wiring) -> tuple[Wiring, dict[str, Trace]]:
    """The same plant with every simulator watched, and where its trace will be."""
    traces = {spec.sid: Trace() for spec in wiring.simulators}
    simulators = tuple(
        replace(
            spec,
            python=f"{__name__}:{Observed.__name__}",
            settings={**spec.settings, "simulator": spec.python, "trace": traces[spec.sid]},
        )
        for spec in wiring.simulators
    )
    return replace(wiring, simulators=simulators), traces
