"""What mosaik alone costs: a world of empty simulators that take the steps of a real run and send what it sent.

The simulators have the ids, ports and connections of the plant. Each replays its trace: it steps at the same times, asks
for the same next steps and sends a number on the same ports, and computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mosaik_api_v3

from evhub.scenarios.build import build
from evhub.scenarios.engine import run_mosaik
from evhub.scenarios.loader import LoadedScenario
from evhub.scenarios.wiring import Wiring

from .observed import Run, Seconds, Trace, best, observed, run, world_runs


class Replay(mosaik_api_v3.Simulator):
    """Takes the steps of a trace."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "type": "hybrid", "models": {}})

    def init(self, sid: str, time_resolution: float = 1.0, *, trace: Trace, taken: dict, **_: Any) -> dict:
        self._sid, self._taken = sid, taken
        self._steps = trace.steps
        self._count = 0
        self.meta = trace.meta
        return self.meta

    def create(self, num: int, model: str, *, hub: str, parameters: dict) -> list[dict]:
        return [{"eid": hub, "type": model}]

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


def empty(wiring: Wiring, traces: dict[str, Trace]) -> tuple[Wiring, dict[str, int]]:
    """A plant of empty simulators, and where the number of steps of each will be."""
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
    return replace(wiring, simulators=simulators, entities=entities), taken


def run_empty(wiring: Wiring, traces: dict[str, Trace]) -> Seconds:
    """Run the empty plant.

    Raises
    ------
    RuntimeError
        When a simulator has not taken the very steps of the real run.
    """
    plant, taken = empty(wiring, traces)
    with world_runs() as times:
        run_mosaik(plant)
    expected = {sid: len(trace.steps) for sid, trace in traces.items()}
    if taken != expected:
        raise RuntimeError(f"steps of the empty world {taken} differ from those of the run {expected}")
    return times[0]


@dataclass(frozen=True)
class Comparison:
    """Runs and empty worlds that took turns, so that both saw the same machine."""

    runs: list[Run]
    empty: list[Seconds]

    @property
    def overhead(self) -> Seconds:
        """What our own code adds to an empty world, without the power flow; 0.3 is 30 %."""
        return _ratio(best([each.own for each in self.runs]), best(self.empty))

    @property
    def whole(self) -> Seconds:
        """The same with the power flow."""
        return _ratio(best([each.total for each in self.runs]), best(self.empty))


def _ratio(time: Seconds, of: Seconds) -> Seconds:
    return Seconds(time.wall / of.wall - 1.0, time.cpu / of.cpu - 1.0)


def trace(loaded: LoadedScenario) -> tuple[Wiring, dict[str, Trace]]:
    """Run a scenario once and keep what every simulator did."""
    wiring, traces = observed(build(loaded))
    run(loaded, wiring)
    return wiring, traces
