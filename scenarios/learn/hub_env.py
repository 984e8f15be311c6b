"""A hub as an environment of Gymnasium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ...analysis import Results
from ...controllers.policy.policy_entries import Entry, bounds, in_short, numbers, table
from ...controllers.policy.policy_hub import PolicyHub
from ..errors import InputError, Problem
from ..schema.controller_registry import ControllerChoice
from ..schema.scenario_loader import Target
from ..simulation import Simulation
from .cost_meter import DemandCharge
from .episodes import Episodes
from .extra import extra
from .reward import Reward

gymnasium = extra("gymnasium")

Spaces = Literal["flat", "dict"]


def box(entries: Sequence[Entry], rows: int | None = None) -> Any:
    """Return a space of numbers within their ranges; in rows, one for each connector."""
    low, high = bounds(entries)
    shape = low.shape if rows is None else (rows, len(entries) // max(rows, 1))
    return gymnasium.spaces.Box(low.reshape(shape), high.reshape(shape), dtype=np.float32)


class HubSpaces:
    """The spaces of a hub, and the way from and to the numbers of a policy.

    Parameters
    ----------
    hub : PolicyHub
    spaces : {"flat", "dict"}
        One vector, or ``hub`` and ``connectors`` apart.
    """

    def __init__(self, hub: PolicyHub, spaces: Spaces):
        if spaces not in ("flat", "dict"):
            raise InputError(Problem("", "spaces", spaces, "must be flat or dict"))
        self._hub, self._flat = hub, spaces == "flat"
        features, actions = hub.features, hub.actions
        if self._flat:
            self.observation, self.action = box(features.entries), box(actions.entries)
            return
        of_connectors = box(features.connector_entries, actions.n_connectors)
        self.observation = gymnasium.spaces.Dict({"hub": box(features.hub_entries), "connectors": of_connectors})
        parts = {"connectors": actions.connector_entries, "hub": actions.hub_entries}
        self._parts = {name: entries for name, entries in parts.items() if entries}
        self.action = gymnasium.spaces.Dict({name: box(entries) for name, entries in self._parts.items()})

    def observe(self, seen: Any) -> Any:
        """Return what is seen, as an element of the space."""
        features = self._hub.features
        if self._flat:
            return features.values(seen)
        return {"hub": features.hub_values(seen), "connectors": features.connector_values(seen)}

    def flat_action(self, action: Any) -> Any:
        """Return an action as one vector."""
        if self._flat:
            return action
        hub = f"hub {self._hub.name}"
        if not isinstance(action, Mapping) or set(action) != set(self._parts):
            got = f"one with {', '.join(map(str, action))}" if isinstance(action, Mapping) else in_short(action)
            raise ValueError(f"{hub}: an action must be a mapping with {', '.join(self._parts)}, got {got}")
        parts = {name: numbers(action[name], f"{hub}: action {name}") for name in self._parts}
        for name, entries in self._parts.items():
            if parts[name].shape != (len(entries),):
                raise ValueError(f"{hub}: action {name} must have the shape ({len(entries)},), got {parts[name].shape}")
        return np.concatenate(list(parts.values()))


class HubEnv(gymnasium.Env):
    """One hub of a scenario, for one agent; `gymnasium.make("evhub/hub-v0", scenario=...)` makes it too.

    Parameters
    ----------
    scenario : str, Path, mapping or Scenario
        As in `evhub.simulate`.
    hub : str, optional
        The hub that the agent runs; may be left out where there is one. The scenario's controllers run the others.
    period : float or str, optional
        Time between decisions [s], or with its unit; that of the scenario's controller when left out.
    on_change : bool
        Whether the agent also decides when the status of the bus or a connector changes.
    episode : float or str, optional
        Length of an episode, such as ``"1d"``: it begins at a random day of the scenario, and is truncated then. The
        whole run when left out, which terminates.
    spaces : {"flat", "dict"}
        One vector, or ``hub`` and ``connectors`` apart.
    seeds : sequence of int, optional
        Seeds of the runs that episodes are drawn from; see `EpisodeStarts`.
    before : str, type of Controller or object with ``decide``
        Runs the hub before an episode that begins later than the run.
    reward : mapping of str to float or callable, optional
        Weights of the terms in ``info["costs"]`` (1 when left out) and ``info["amounts"]`` (0), or a function of a
        `StepOutcome`.
    demand : {"rise", "share"}
        How the demand charge is counted; see `CostMeter`.
    **options
        What the agent sees and commands, see `PolicyOptions`: ``safety``, ``lookahead``, ``reactive``, ...

    Raises
    ------
    InputError
        When the scenario or an option cannot be used.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        scenario: Target,
        hub: str | None = None,
        *,
        period: float | str | None = None,
        on_change: bool = False,
        episode: float | str | None = None,
        spaces: Spaces = "flat",
        seeds: Sequence[int] | None = None,
        before: ControllerChoice = "equal_share",
        reward: Mapping[str, float] | Reward | None = None,
        demand: DemandCharge = "rise",
        **options: Any,
    ):
        if options.pop("render_mode", None) is not None:
            raise InputError(Problem("", "render_mode", ..., "must be left out: result() has pictures of a run"))
        self.episodes = Episodes(
            scenario,
            None if hub is None else [hub],
            period=period,
            on_change=on_change,
            episode=episode,
            seeds=seeds,
            before=before,
            reward=reward,
            demand=demand,
            **options,
        )
        if len(self.episodes.hubs) != 1:
            raise InputError(Problem("", "hub", hub, f"must be one of {', '.join(self.episodes.hubs)}"))
        (self.hub,) = self.episodes.hubs
        self.policy_hub = self.episodes.policy_hubs[self.hub]
        self._spaces = HubSpaces(self.policy_hub, spaces)
        self.observation_space, self.action_space = self._spaces.observation, self._spaces.action

    @property
    def simulation(self) -> Simulation:
        """The simulation that is stepped."""
        return self.episodes.simulation

    def describe(self) -> str:
        """Return tables of all entries of observations and actions."""
        features, actions = table(self.policy_hub.features.entries), table(self.policy_hub.actions.entries)
        return f"observation\n{features}\n\naction\n{actions}"

    def result(self) -> Results:
        """Return the results of the run so far, with the part before the episode."""
        return self.episodes.result()

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Parameters
        ----------
        seed : int, optional
            Of all episodes from now on; the same gives the same.
        options : mapping, optional
            ``run_seed`` and ``begin_s`` [s] begin a certain episode in the place of a drawn one; it must be one that
            could be drawn.

        Returns
        -------
        observation
            An element of `observation_space`.
        info : dict
            ``t_s``, ``begin_s`` [s], ``run_seed``, and ``action_mask``: which numbers of an action have an effect now.

        Raises
        ------
        ValueError
            When there is no such option, or no such episode.
        """
        super().reset(seed=seed)
        self.episodes.reset(self.np_random, options)
        return self._spaces.observe(self.episodes.seen[self.hub]), self.episodes.info(self.hub)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Apply an action, and go on to the next decision.

        Parameters
        ----------
        action
            An element of `action_space`; a finite number beyond its range counts as at its end.

        Returns
        -------
        observation
            As last seen where the run is over.
        reward : float
        terminated, truncated : bool
            The run is over; the episode has had its length.
        info : dict
            As of `reset`, and ``costs`` (by term), ``amounts``, and ``clipped_kw`` (by device).

        Raises
        ------
        ValueError
            When the action has a wrong shape, or a number that is not finite.
        StepError
            Before the first and after the end of an episode.
        """
        self.episodes.must_run()
        outcomes, rewards, terminated, truncated = self.episodes.step({self.hub: self._spaces.flat_action(action)})
        observation = self._spaces.observe(self.episodes.seen[self.hub])
        info = self.episodes.info(self.hub, outcomes[self.hub])
        return observation, rewards[self.hub], terminated, truncated, info
