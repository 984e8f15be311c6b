"""What mosaik alone costs: a world of empty simulators that take the steps of a real run and send what it sent.

The simulators have the ids, ports and connections of the plant. Each replays its trace: it steps at the same times,
asks for the same next steps and sends a number on the same ports, and computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import mosaik_api_v3

from evhub.scenarios.engines.inprocess_engine import run_inprocess
from evhub.scenarios.engines.mosaik_engine import run_mosaik
from evhub.scenarios.engines.wiring import Wiring
from evhub.scenarios.schema.scenario_loader import Scenario

from .observed import Seconds, Slices, Stopwatch, Trace, best, between, marks, run, total


class Replay(mosaik_api_v3.Simulator):
    """Takes the steps of a trace."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {}})

    def init(self, sid: str, time_resolution: float = 1.0, *, trace: Trace, taken: dict[str, int], **_: Any) -> dict:
        self._sid, self._taken = sid, taken
        self._steps = trace.steps
        self._count = 0
        self.meta = trace.meta
        return self.meta

    def create(self, num: int, model: str, *, eid: str, parameters: dict) -> list[dict]:
        return [{"eid": eid, "type": model}]

    def step(self, time: int, inputs: dict, max_advance: int) -> int | None:
        planned, following, self._sent = self._steps[self._count]
        if planned != time:
            raise RuntimeError(f"{self._sid}: step {self._count} was at {planned}, now it is at {time}")
        self._count += 1
        return following

    def get_data(self, outputs: dict) -> dict:
        return self._sent

    def finalize(self) -> None:
        self._taken[self._sid] = self._count


def run_empty(wiring: Wiring, traces: dict[str, Trace], engine: Callable[[Wiring], None] = run_mosaik) -> None:
    """Run the plant with empty simulators in the place of its own.

    Raises
    ------
    RuntimeError
        When a simulator has not taken the very steps of the real run.
    """
    taken: dict[str, int] = {}
    simulators = tuple(
        replace(
            spec,
            python=f"{__name__}:{Replay.__name__}",
            settings={"trace": traces[spec.sid], "taken": taken},
        )
        for spec in wiring.simulators
    )
    entities = tuple(replace(entity, parameters={}) for entity in wiring.entities)
    engine(replace(wiring, simulators=simulators, entities=entities))
    expected = {sid: len(trace.steps) for sid, trace in traces.items()}
    if taken != expected:
        raise RuntimeError(f"steps of the empty world {taken} differ from those of the run {expected}")


def time_empty(wiring: Wiring, traces: dict[str, Trace]) -> Slices:
    """How long mosaik's ``run`` takes with empty simulators."""
    with marks() as found:
        run_empty(wiring, traces)
    return between(found)


@dataclass
class Comparison:
    """Runs and empty worlds that take turns, so that all see the same machine.

    A run without power flow takes the results of another run's power flows. Subtracting their time would not do: what
    they leave in the processor's caches makes everything else slower.
    """

    loaded: Scenario
    wiring: Wiring
    traces: dict[str, Trace]
    solved: list
    whole: list[Slices] = field(default_factory=list)
    own: list[Slices] = field(default_factory=list)
    empty: list[Slices] = field(default_factory=list)
    inprocess: list[Slices] = field(default_factory=list)

    def take_turns(self) -> None:
        """One run, one without power flow, one empty world, and that once on the engine without an event loop."""
        self.whole.append(run(self.loaded).total)
        self.own.append(run(self.loaded, solved=self.solved).total)
        self.empty.append(time_empty(self.wiring, self.traces))
        watch = Stopwatch()
        watch.around(run_empty)(self.wiring, self.traces, run_inprocess)
        self.inprocess.append([watch.total])

    @property
    def share_of_a_core(self) -> float:
        """Seconds of a processor that the runs got in a second; less than 1 where the machine had other work."""
        taken = total([part for each in self.whole for part in each])
        return taken.cpu / taken.wall

    @property
    def overhead(self) -> Seconds:
        """What our own code adds to an empty world, without the power flow; 0.3 is 30 %."""
        return _added(best(self.own), best(self.empty))

    @property
    def whole_overhead(self) -> Seconds:
        """The same with the power flow."""
        return _added(best(self.whole), best(self.empty))


def _added(time: Seconds, to: Seconds) -> Seconds:
    return Seconds(time.wall / to.wall - 1.0, time.cpu / to.cpu - 1.0)
