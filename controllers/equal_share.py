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
    neither is the battery. In an island the battery rests and PV is held below what the hub surely consumes, so that
    nothing flows back into the secondary source. On a dead bus everything is set to 0, so that whatever energises it
    next meets no load but the local one.
    """

    class Parameters(base.Parameters):
        """Parameters of `equal_share`."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""
        count_pv: bool = False
        """Share present PV power too; when it goes, the limit is passed until the next decision."""

    parameters: Parameters

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._live_since_s: dict[str, float] = {}
        self._last_load_kw: dict[str, float] = {}

    def decide(self, observation: base.Observation) -> base.Decision:
        """Share the room under the limit."""
        t_s = observation.t_s
        return base.Decision(
            {
                name: self._share(self.sites[name], hub, self._load_kw(name, hub, t_s))
                for name, hub in observation.hubs.items()
            }
        )

    def _load_kw(self, name: str, hub: base.Hub, t_s: float) -> float:
        """The local load; while the meter's last message is from a dead bus, what it was before [kW]."""
        if hub.dead:
            self._live_since_s.pop(name, None)
        elif t_s - hub.age_s.get("grid", 0.0) >= self._live_since_s.setdefault(name, t_s):
            self._last_load_kw[name] = hub.p_load_kw
        return self._last_load_kw.get(name, math.nan)

    def _share(self, site: base.Site, hub: base.Hub, load_kw: float) -> base.Setpoints:
        if hub.dead:
            return base.Setpoints(connector_kw=np.zeros_like(site.connector_kw), pv_limit_kw=0.0)
        limit_kw = site.secondary_kw if hub.islanded else site.contracted_kw
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
        pv_limit_kw, bess_kw = math.inf, 0.0
        if hub.islanded:
            surely_kw = load_kw + min(hub.p_cp_kw, float(shares_kw.sum()))
            pv_limit_kw = max(0.0, surely_kw) if math.isfinite(surely_kw) else 0.0
        elif self.parameters.bess == "self_consumption":
            bess_kw = self_consumption_kw(site, hub)
        return base.Setpoints(connector_kw=limits_kw, bess_kw=bess_kw, pv_limit_kw=pv_limit_kw)
