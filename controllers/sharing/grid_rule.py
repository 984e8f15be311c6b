"""Base of the rules that serve every EV at once while the grid is there."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from .. import contract
from .equal_share import EqualShare
from .sharing_rules import offered_kw, share_equally, usable_kw


class GridRule(contract.Controller):
    """Base of controllers with their own rule on the grid; off the grid `equal_share` decides and the battery rests."""

    uses_forecast = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        idle = EqualShare.Parameters(bess="idle")
        self._off_grid = EqualShare(self.sites, idle, self.period_s, self.rng)

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Decide by the rule where the grid is there, and by `equal_share` elsewhere."""
        setpoints = dict(self._off_grid.decide(observation).setpoints)
        for name, hub in observation.hubs.items():
            if not (hub.dead or hub.islanded):
                setpoints[name] = self.on_grid(self.sites[name], hub)
        return contract.Decision(setpoints)

    @abstractmethod
    def on_grid(self, site: contract.Site, hub: contract.Hub) -> contract.Setpoints:
        """Decide the set points of a hub on the grid."""


def served_kw(site: contract.Site, hub: contract.Hub, room_kw: float) -> tuple[np.ndarray, np.ndarray]:
    """Allocate full power to every EV, or equal shares where the power is not enough for all.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.
    room_kw : float
        What there is for the EVs [kW].

    Returns
    -------
    shares_kw, limits_kw : ndarray, shape (n_connectors,)
        What each is to get, and the limits that let it [kW].
    """
    max_kw = usable_kw(site, hub)
    shares_kw = share_equally(room_kw, max_kw, np.minimum(site.connector_minimum_kw, max_kw), site.circuits)
    return shares_kw, offered_kw(shares_kw, site.connector_minimum_kw)
