"""A simulator that is replaced by copies of itself while a run goes on."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from evhub.scenarios.engines.wiring import Wiring, simulators

KEPT = ("controller", "recorder")
"""A controller has its own state, the recorder an open file."""
WAYS: tuple[Callable[[Any], Any], ...] = (copy.deepcopy, lambda simulator: pickle.loads(pickle.dumps(simulator)))


class Replaced:
    """Stands in the place of a simulator: a deep copy takes over after a third of the run, a pickle after two."""

    def init(self, sid: str, *, steps: int, **settings: Any):
        """Make the simulator itself."""
        module, _, name = simulators()[sid].partition(":")
        self._simulator = getattr(import_module(module), name)()
        self._due = [(steps * (n + 1) // (len(WAYS) + 1), way) for n, way in enumerate(WAYS)]
        return self._simulator.init(sid, steps=steps, **settings)

    def step(self, time: int, inputs: Any, max_advance: int) -> int | None:
        """Let a copy take the step when it is time for one."""
        while self._due and self._due[0][0] <= time:
            self._simulator = self._due.pop(0)[1](self._simulator)
        return self._simulator.step(time, inputs, max_advance)

    def __getattr__(self, name: str):
        return getattr(self._simulator, name)


def replacing(wiring: Wiring) -> Wiring:
    """The wiring whose simulators are replaced by copies of themselves on the way, but for those of `KEPT`."""
    own = f"{__name__}:{Replaced.__name__}"
    specs = [spec if spec.sid in KEPT else replace(spec, python=own) for spec in wiring.simulators]
    return replace(wiring, simulators=tuple(specs))
