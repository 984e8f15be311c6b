"""The contracted power, shared equally: the yardstick with the simplest charging strategy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from . import base
from .rules import self_consumption_kw, share_equally


class EqualShare(base.Controller):
    """Connectors share what the contract leaves over, equally; in an island, what the secondary source leaves over.

    What is left over is the limit less everything else that flows through the connection, measured. In an island PV is
    held below what the hub consumes, so that none of it flows back into the secondary source.
    """

    class Parameters(base.Parameters):
        """Parameters of `equal_share`."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""

    parameters: Parameters

    def decide(self, observation: base.Observation) -> base.Decision:
        """Share the room under the limit."""
        return base.Decision(
            {name: self._share(self.sites[name], hub) for name, hub in observation.hubs.items()}
        )

    def _share(self, site: base.Site, hub: base.Hub) -> base.Setpoints:
        limit_kw = site.secondary_kw if hub.islanded else site.contracted_kw
        bess_kw = self_consumption_kw(site, hub) if self.parameters.bess == "self_consumption" else 0.0
        flow_kw = hub.p_secondary_kw if hub.islanded else hub.p_grid_kw
        # the battery's own rule follows the connectors, so its present power is no reason to give them more
        other_kw = flow_kw - hub.p_cp_kw + max(0.0, hub.p_bess_kw)
        connectors = hub.connectors
        most_kw = np.where(
            connectors.occupied & ~connectors.faulted & (connectors.remaining_kwh > 1e-6),
            np.minimum(site.connector_kw, connectors.p_max_kw),
            0.0,
        )
        room_kw = limit_kw - other_kw if np.isfinite(other_kw) else 0.0
        shares = share_equally(room_kw, most_kw, site.connector_minimum_kw)
        pv_limit_kw = np.inf
        if hub.islanded:
            pv_limit_kw = max(0.0, hub.p_load_kw + hub.p_cp_kw) if np.isfinite(hub.p_load_kw) else 0.0
        return base.Setpoints(connector_kw=shares, bess_kw=bess_kw, pv_limit_kw=float(pv_limit_kw))
