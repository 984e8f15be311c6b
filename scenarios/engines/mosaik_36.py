"""Speeds up mosaik 3.6, the last version for Python 3.11; later versions are left alone.

Three things cost more than they need, and one never ends. None changes what a simulator sees; tests compare every step
with another engine.

- Every triggered step leaves a cancelled waiter behind, and every progress walks through all of them, so that a long
  run becomes quadratic. The cancelled ones are dropped when a new one is added.
- A simulator waits for its neighbours in a task for each. Progress never goes back, so waiting for one after the other
  comes to the same.
- A time is a tuple, and the delay between two simulators a set of tuples, for groups of simulators with time steps
  within a step. Without groups both have one element.
- A simulator that is triggered for a time after the end waits for a progress that nobody makes. It waits for the end.
"""

from __future__ import annotations

from contextvars import ContextVar
from importlib.metadata import version

END: ContextVar[int] = ContextVar("END", default=2**62)
"""The step at which the run ends, where nothing steps any more."""


def mend() -> None:
    """Replace the slow functions of mosaik by faster ones, once."""
    if tuple(map(int, version("mosaik").split(".")[:2])) >= (3, 7):
        return
    from mosaik import scheduler
    from mosaik.progress import Progress
    from mosaik.tiered_time import MinimalDurations, TieredTime

    if scheduler.wait_for_dependencies is _wait_in_turn:
        return
    scheduler.wait_for_dependencies = _wait_in_turn
    add_trigger, earliest_sum, add = Progress._add_trigger, MinimalDurations.earliest_sum, TieredTime.__add__

    async def add_and_drop(self, target, shift, needs_to_pass):
        self._futures = [entry for entry in self._futures if not entry[1].cancelled()]
        if shift is None and target.tiers[0] > END.get():
            target = TieredTime(END.get())
        return await add_trigger(self, target, shift, needs_to_pass)

    def earliest(self, other):
        if len(self.durations) == 1:
            (only,) = self.durations
            return other + only
        return earliest_sum(self, other)

    def later(self, interval):
        if len(self.tiers) == len(interval.tiers) == 1:
            return TieredTime(self.tiers[0] + interval.tiers[0])
        return add(self, interval)

    Progress._add_trigger = add_and_drop
    MinimalDurations.earliest_sum = earliest
    TieredTime.__add__ = later
    TieredTime.__lt__ = lambda self, other: self.tiers < other.tiers
    TieredTime.__le__ = lambda self, other: self.tiers <= other.tiers
    TieredTime.__gt__ = lambda self, other: self.tiers > other.tiers
    TieredTime.__ge__ = lambda self, other: self.tiers >= other.tiers


async def _wait_in_turn(sim, lazy_stepping):
    step = sim.next_steps[0]
    for source, delays in sim.input_delays.items():
        for delay in delays.durations:
            await source.progress.has_passed(step, shift=delay)
    for target, delay in sim.successors_to_wait_for.items():
        await target.progress.has_reached(step + delay)
    if lazy_stepping:
        for target, delay in sim.successors.items():
            await target.progress.has_reached(step + delay)
