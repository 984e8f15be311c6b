"""Several hubs, an agent each, as a parallel environment of PettingZoo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...analysis import Results
from ...controllers.policy.policy_entries import in_short
from ..schema.scenario_loader import Target
from .episodes import EPISODE, Episodes
from .extra import extra
from .hub_env import HubSpaces, Spaces

pettingzoo = extra("pettingzoo")


def parallel_env(
    scenario: Target, hubs: Iterable[str] | None = None, *, spaces: Spaces = "flat", **settings: Any
) -> ParallelHubs:
    """Make a parallel environment of hubs; see `ParallelHubs`."""
    return ParallelHubs(scenario, hubs, spaces=spaces, **settings)


class ParallelHubs(pettingzoo.ParallelEnv):
    """Hubs of a scenario that decide at the same time, an agent each; agents are called as their hubs.

    Parameters
    ----------
    scenario : str, Path, mapping or Scenario
        As in `evhub.simulate`.
    hubs : iterable of str, optional
        The hubs that agents run; all when left out. The scenario's controllers run the others.
    spaces : {"flat", "dict"}
        See `HubEnv`.
    **settings
        As of `HubEnv`: ``period``, ``episode``, ``reward``, ``safety``, ... Every hub has the reward of its own costs.

    Raises
    ------
    InputError
        When the scenario or an option cannot be used.
    """

    metadata = {"name": "evhub_hubs_v0", "render_modes": [], "is_parallelizable": True}
    render_mode = None

    def __init__(
        self, scenario: Target, hubs: Iterable[str] | None = None, *, spaces: Spaces = "flat", **settings: Any
    ):
        self.episodes = Episodes(scenario, hubs, **settings)
        self.possible_agents = list(self.episodes.hubs)
        self.agents: list[str] = []
        self._spaces = {hub: HubSpaces(self.episodes.policy_hubs[hub], spaces) for hub in self.possible_agents}
        self.observation_spaces = {hub: each.observation for hub, each in self._spaces.items()}
        self.action_spaces = {hub: each.action for hub, each in self._spaces.items()}
        self._rng = np.random.default_rng()

    def observation_space(self, agent: str) -> Any:
        """Return the space of what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Return the space of what an agent commands."""
        return self.action_spaces[agent]

    def result(self) -> Results:
        """Return the results of the run so far, with the part before the episode."""
        return self.episodes.result()

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[dict, dict]:
        """Start an episode; the same seed gives the same. Options are those of `HubEnv.reset`; others do nothing."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        # PettingZoo's test gives every environment options that it does not know
        known = {name: value for name, value in (options or {}).items() if name in EPISODE}
        self.episodes.reset(self._rng, known)
        self.agents = list(self.possible_agents)
        return self._observe(), {hub: self.episodes.info(hub) for hub in self.agents}

    def step(self, actions: Mapping[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Apply the actions of all hubs, and go on to the next decision; see `HubEnv.step`."""
        self.episodes.must_run()
        if not isinstance(actions, Mapping) or set(actions) != set(self.agents):
            got = ", ".join(map(str, actions)) or "none" if isinstance(actions, Mapping) else in_short(actions)
            raise ValueError(f"there must be an action for each agent, {', '.join(self.agents)}, got {got}")
        flat = {hub: self._spaces[hub].flat_action(actions[hub]) for hub in self.agents}
        outcomes, rewards, terminated, truncated = self.episodes.step(flat)
        agents = self.agents
        infos = {hub: self.episodes.info(hub, outcomes[hub]) for hub in agents}
        if terminated or truncated:
            self.agents = []
        return (
            self._observe(),
            rewards,
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            infos,
        )

    def _observe(self) -> dict[str, Any]:
        return {hub: self._spaces[hub].observe(self.episodes.seen[hub]) for hub in self.possible_agents}
