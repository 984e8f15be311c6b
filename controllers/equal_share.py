"""The contracted power, shared equally: the yardstick with the simplest charging strategy."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from . import base
from .rules import self_consumption_kw, share_equally


class EqualShare(base.Controller):
    """Connectors share what the contract leaves over, equally; in an island, what the secondary source leaves over.

    What is left over is the limit less the local load. PV may go within seconds, so it is not counted unless asked for;
    neither is the battery. In an island PV is held below what the hub consumes, so that none of it flows back into the
    secondary source.
    """

    class Parameters(base.Parameters):
        """Parameters of `equal_share`."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""
        count_pv: bool = False
        """Share present PV power too; when it goes, the limit is passed until the next decision."""

    parameters: Parameters

    def decide(self, observation: base.Observation) -> base.Decision:
        """Share the room under the limit."""
        return base.Decision({name: self._share(self.sites[name], hub) for name, hub in observation.hubs.items()})

    def _share(self, site: base.Site, hub: base.Hub) -> base.Setpoints:
        limit_kw = site.secondary_kw if hub.islanded else site.contracted_kw
        load_kw = hub.p_load_kw
        pv_kw = hub.p_pv_kw if self.parameters.count_pv else 0.0
        # without its meter the load may be anything
        room_kw = limit_kw - load_kw + pv_kw if math.isfinite(load_kw) else 0.0
        connectors = hub.connectors
        most_kw = np.where(
            connectors.occupied & ~connectors.faulted & (connectors.remaining_kwh > 1e-6),
            np.minimum(site.connector_kw, connectors.p_max_kw),
            0.0,
        )
        # an EV may accept less than the least that its connector can offer
        shares_kw = share_equally(room_kw, most_kw, np.minimum(site.connector_minimum_kw, most_kw))
        limits_kw = np.where(shares_kw > 0.0, np.maximum(shares_kw, site.connector_minimum_kw), 0.0)
        pv_limit_kw = math.inf
        if hub.islanded:
            pv_limit_kw = load_kw + min(hub.p_cp_kw, float(shares_kw.sum())) if math.isfinite(load_kw) else 0.0
        bess_kw = self_consumption_kw(site, hub) if self.parameters.bess == "self_consumption" else 0.0
        return base.Setpoints(connector_kw=limits_kw, bess_kw=bess_kw, pv_limit_kw=pv_limit_kw)
