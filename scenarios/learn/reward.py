"""What a step is worth: a weighted sum of its costs and amounts, or a function of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...controllers.policy.policy_entries import Seen
from ...controllers.policy.policy_hub import Commanded
from ..errors import InputError, Problem, nearest
from .cost_meter import AMOUNTS, cost_terms

CLIPPED = "clipped_kwh"


@dataclass(frozen=True)
class StepOutcome:
    """What happened in a step of one hub.

    Parameters
    ----------
    hub : str
        Name of the hub.
    t_s, until_s : float
        Begin and end of the step [s].
    costs : mapping of str to float
        What it cost, by term; revenues are negative. Over a run they add up to ``cost_net`` of the hub.
    amounts : mapping of str to float
        ``missed_kwh``, ``unserved_kwh``, and ``clipped_kwh``: what the safety layer took back [kW] times the time.
    action : ndarray
        The action.
    commanded : Commanded
        The set points, and what was clipped of each device.
    seen, seen_next : Seen
        The hub before and after the step; None after the end of the run.
    """

    hub: str
    t_s: float
    until_s: float
    costs: Mapping[str, float]
    amounts: Mapping[str, float]
    action: np.ndarray
    commanded: Commanded
    seen: Seen
    seen_next: Seen | None


Reward = Callable[[StepOutcome], float]
"""A reward of one's own."""


class WeightedCosts:
    """The reward from costs: minus the sum of all costs, each with its weight, and of amounts.

    Parameters
    ----------
    weights : mapping of str to float
        By term; costs that are not named count once, amounts do not count. Of an amount it is a price per kWh.

    Raises
    ------
    InputError
        When there is no such term.
    """

    def __init__(self, weights: Mapping[str, float]):
        known = [*cost_terms(), *AMOUNTS, CLIPPED]
        problems = [
            Problem("", f"reward.{name}", value, f"must be one of {', '.join(known)}{nearest(str(name), known)}")
            for name, value in weights.items()
            if name not in known
        ]
        problems += [
            Problem("", f"reward.{name}", value, "must be a finite number")
            for name, value in weights.items()
            if not isinstance(value, int | float) or not np.isfinite(value)
        ]
        if problems:
            raise InputError(problems)
        self._weights = dict(weights)

    def __call__(self, outcome: StepOutcome) -> float:
        """Return the reward of a step."""
        weights = self._weights
        cost = sum(weights.get(name, 1.0) * value for name, value in outcome.costs.items())
        cost += sum(weights.get(name, 0.0) * value for name, value in outcome.amounts.items())
        return -cost


def reward_of(reward: Mapping[str, float] | Reward | None) -> Reward:
    """Return the reward that is chosen: the costs as they are, with other weights, or a function of one's own."""
    if reward is None or isinstance(reward, Mapping):
        return WeightedCosts(reward or {})
    if not callable(reward):
        allowed = "must be weights by term, or a function of a StepOutcome"
        raise InputError(Problem("", "reward", reward, allowed))
    return reward
