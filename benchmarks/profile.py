"""Where the time of a run goes: steps and time of each simulator, with the power flow and the result file apart."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

from evhub.analysis.results.result_writer import ResultWriter
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.wiring import Wiring
from evhub.scenarios.schema.scenario_loader import Scenario

from .observed import Seconds, Stopwatch, Trace, observed, run, total

DAY_S = 86_400.0
_WRITES = ("append", "event", "session_end", "diagnostic", "flush")


@dataclass(frozen=True)
class Part:
    """A simulator, or a part of one: how often it was called, and for how long [s]."""

    name: str
    calls: int
    time: Seconds


@dataclass(frozen=True)
class Profile:
    """A run, taken apart.

    The times are those of an observed run, which is some per cent slower than one that nobody watches.
    """

    wiring: Wiring
    traces: dict[str, Trace]
    parts: list[Part]
    total: Seconds
    solved: list
    """Results of the power flows."""

    @property
    def days(self) -> float:
        return self.wiring.steps * self.wiring.time_step_s / DAY_S

    @property
    def steps(self) -> int:
        """Steps of all simulators."""
        return sum(len(trace.steps) for trace in self.traces.values())


def profile(loaded: Scenario) -> Profile:
    """Run a scenario once and take it apart."""
    wiring, traces = observed(build(loaded))
    writes = Stopwatch()
    with ExitStack() as stack:
        for method in _WRITES:
            stack.enter_context(patch.object(ResultWriter, method, writes.around(getattr(ResultWriter, method))))
        taken = run(loaded, wiring)
    apart = {
        "network": Part("power flow", len(taken.solved), taken.power_flow),
        "recorder": Part("result file", writes.calls, writes.total),
    }
    parts, rest = [], total(taken.total)
    for sid, trace in traces.items():
        time = trace.watch.total
        rest = rest.minus(time)
        if sid in apart:
            time = time.minus(apart[sid].time)
        parts.append(Part(sid, len(trace.steps), time))
    steps = sum(len(trace.steps) for trace in traces.values())
    parts += [*apart.values(), Part("mosaik", steps, rest)]
    return Profile(wiring, traces, parts, total(taken.total), taken.solved)
