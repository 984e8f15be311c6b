"""Where episodes begin in a scenario, and the states of its run there.

The part of a run before an episode is run once for each seed by the controller of the environment; the states at all
possible beginnings on the way are kept, as far as there is room for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ...controllers.contract import Observation
from ...simulators.units import S_PER_DAY
from ..simulation import SavedState, Simulation

_LARGEST_SEED = 2**31


class EpisodeStarts:
    """Draws where episodes begin, and takes the simulation there.

    Parameters
    ----------
    simulation : Simulation
        Of the scenario.
    length_s : float or None
        Length of an episode [s]; the whole run when None.
    seeds : sequence of int or None
        Seeds of the runs that episodes are drawn from. When None, whole runs have a new seed each time, and episodes
        are drawn from the run with the seed of the scenario.
    kept : int
        Number of states that are kept.
    """

    def __init__(self, simulation: Simulation, length_s: float | None, seeds: Sequence[int] | None, kept: int = 32):
        scenario = simulation.scenario.scenario
        self._simulation, self._kept = simulation, kept
        if seeds is None and length_s is not None:
            seeds = [scenario.seed]
        self._seeds = None if seeds is None else list(seeds)
        last_s = 0.0 if length_s is None else scenario.duration - length_s
        self.begins_s = np.arange(int(last_s // S_PER_DAY) + 1) * S_PER_DAY
        """Where episodes can begin: every day after the start of the scenario that leaves room for one [s]."""
        self._states: OrderedDict[tuple[int, float], SavedState] = OrderedDict()

    def draw(self, rng: np.random.Generator) -> tuple[int, float]:
        """Draw the seed of a run, and where in it an episode begins [s]."""
        if self._seeds is None:
            seed = int(rng.integers(_LARGEST_SEED))
        else:
            seed = self._seeds[int(rng.integers(len(self._seeds)))]
        return seed, float(self.begins_s[int(rng.integers(len(self.begins_s)))])

    def begin(self, seed: int, begin_s: float) -> Observation | None:
        """Take the simulation to the first decision at or after a time of the run with a seed."""
        simulation = self._simulation
        if self._seeds is None:
            return simulation.reset(seed=seed)
        if (seed, begin_s) in self._states:
            self._states.move_to_end((seed, begin_s))
            return simulation.restore(self._states[seed, begin_s])
        earlier = [at for (of_seed, at) in self._states if of_seed == seed and at < begin_s]
        state = self._states[seed, max(earlier)] if earlier else None
        observation = simulation.restore(state) if state else simulation.reset(seed=seed)
        ahead = [at for at in self.begins_s.tolist() if max(earlier, default=-1.0) < at <= begin_s]
        for at in ahead:
            while observation is not None and observation.t_s < at:
                observation = simulation.step(simulation.controller.decide(observation))
            if observation is not None:
                self._keep(seed, at)
        return observation

    def _keep(self, seed: int, begin_s: float) -> None:
        self._states[seed, begin_s] = self._simulation.save()
        if len(self._states) > self._kept:
            self._states.popitem(last=False)
