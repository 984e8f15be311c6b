"""A hub as a policy deals with it: from what is seen to numbers, and from numbers to set points within the limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..contract import Observation, Setpoints, Site
from .hub_actions import HubActions
from .hub_features import CONNECTOR_COLUMNS, HubFeatures
from .policy_entries import Seen
from .policy_file import Policy, PolicyError, differences
from .policy_network import FlatNetwork, SharedNetwork
from .policy_options import PolicyOptions
from .safety_layer import keep_limits


class Commanded(NamedTuple):
    """What came of an action.

    Parameters
    ----------
    setpoints : Setpoints
        What is sent to the plant.
    clipped_kw : mapping of str to float
        By device, how far the safety layer moved what was wanted [kW].
    """

    setpoints: Setpoints
    clipped_kw: Mapping[str, float]


class PolicyHub:
    """One hub as policies with certain options see and command it.

    Parameters
    ----------
    name : str
        The hub.
    site : Site
        Its plates.
    options : PolicyOptions
    period_s : float
        Time between decisions [s].
    """

    def __init__(self, name: str, site: Site, options: PolicyOptions, period_s: float):
        self.name, self.site, self.options, self.period_s = name, site, options, period_s
        self.features = HubFeatures(site, options)
        self.actions = HubActions(site, options)

    def see(self, observation: Observation) -> Seen:
        """Return what policies are shown of an observation."""
        return Seen(observation, self.site, observation.hubs[self.name], self.period_s)

    def command(self, action: object, seen: Seen) -> Commanded:
        """Turn an action into set points, within the limits of the hub where the options ask for it.

        Raises
        ------
        ValueError
            When the action has a wrong shape, or a number that is not finite.
        """
        setpoints = self.actions.setpoints(action, seen)
        return Commanded(*keep_limits(setpoints, seen)) if self.options.safety else Commanded(setpoints, {})


class PolicyRunner:
    """A policy that runs a hub.

    Parameters
    ----------
    policy : Policy
    hub : PolicyHub
        The hub, with the options of the policy.

    Raises
    ------
    PolicyError
        When the policy is one of another hub; the text names what differs.
    """

    def __init__(self, policy: Policy, hub: PolicyHub):
        self._policy, self.hub = policy, hub
        if isinstance(policy.network, FlatNetwork):
            problems = [
                differences(policy.features, hub.features.names, "features"),
                differences(policy.actions, hub.actions.names, "actions"),
            ]
            problem = "; ".join(filter(None, problems))
        else:
            unknown = [name for name in policy.connector_features if name not in CONNECTOR_COLUMNS]
            problem = f"has connector features {', '.join(unknown)}" if unknown else ""
            self._columns = [CONNECTOR_COLUMNS.index(name) for name in policy.connector_features if not unknown]
            if policy.options.reactive:
                problem = problem or "sets reactive powers, which a shared network cannot"
            here = {entry.name: n for n, entry in enumerate(hub.features.hub_entries)}
            self._reads = [(n, here[name]) for n, name in enumerate(policy.features) if name in here]
        if problem:
            raise PolicyError(f"must be a policy for the hub {hub.name}: it {problem}")

    def act(self, seen: Seen) -> np.ndarray:
        """Compute the action of the policy, float32, shape (n_actions,)."""
        network, hub = self._policy.network, self.hub
        if isinstance(network, FlatNetwork):
            return network.mlp(hub.features.values(seen)).astype(np.float32)
        return self._act_shared(network, seen).astype(np.float32)

    def _act_shared(self, network: SharedNetwork, seen: Seen) -> np.ndarray:
        of_hub = np.zeros(len(self._policy.features))
        values = self.hub.features.hub_values(seen)
        for n, place in self._reads:
            of_hub[n] = values[place]
        of_connectors = self.hub.features.connector_values(seen)[:, self._columns]
        rows = np.hstack([np.tile(of_hub, (len(of_connectors), 1)), of_connectors])
        shares = network.connector(rows)[:, 0] if len(rows) else np.zeros(0)
        commanded: dict[str, float] = {}
        if network.hub is not None:
            busy = of_connectors[seen.hub.connectors.occupied]
            mean = busy.mean(axis=0) if len(busy) else np.zeros(len(self._columns))
            outputs = network.hub(np.concatenate([of_hub, mean])).tolist()
            commanded = dict(zip(self._policy.actions, outputs, strict=True))
        neutral = {"pv": 1.0, **{f"load/{name}": 1.0 for name in self.hub.options.load}}
        others = [commanded.get(e.name, neutral.get(e.name, self._rest(e.name))) for e in self.hub.actions.hub_entries]
        return np.concatenate([shares, others])

    def _rest(self, name: str) -> float:
        """Return the number that leaves a further device to itself; 0 rests a battery or a generator."""
        return self.hub.actions.neutral.get(name, 0.0)
