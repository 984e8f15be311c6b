"""Base of the strategies that share a limited power among the connectors."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import numpy as np

from .. import contract
from .sharing_rules import offered_kw, self_consumption_kw, usable_kw


class Sharing(contract.Controller):
    """Connectors share what the contract leaves over; in an island, what the secondary source leaves over.

    What is left over is the limit less the local load. PV may go within seconds, so it is not counted unless asked for;
    neither is the battery. In an island the battery rests and PV is held below what the hub surely consumes, so that
    nothing flows back into the secondary source. On a dead bus everything is set to 0, so that whatever energises it
    next meets no load but the local one.

    No circuit of the site carries more than its limit as long as every EV takes what it gets. Where currents of
    different phases cancel each other, one that takes less can raise a current until the next decision.
    """

    uses_forecast = False

    class Parameters(contract.Parameters):
        """Parameters of all strategies that share."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""
        count_pv: bool = False
        """Share present PV power too; when it goes, the limit is passed until the next decision."""

    parameters: Parameters

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._live_since_s: dict[str, float] = {}
        self._last_load_kw: dict[str, float] = {}

    @abstractmethod
    def share(
        self,
        t_s: float,
        site: contract.Site,
        hub: contract.Hub,
        room_kw: float,
        max_kw: np.ndarray,
        min_kw: np.ndarray,
    ) -> np.ndarray:
        """Share a power among the connectors.

        Parameters
        ----------
        t_s : float
            Now [s].
        site, hub : Site, Hub
            The hub.
        room_kw : float
            What is to be shared [kW], >= 0.
        max_kw, min_kw : ndarray, shape (n_connectors,)
            What each can use, 0 where nothing charges, and below which it gets nothing [kW].

        Returns
        -------
        ndarray, shape (n_connectors,)
            Shares [kW] within the power available and the limits of the circuits of the site.
        """

    def in_force(self, hub: contract.Hub) -> Parameters:
        """Return the parameters of a hub; its own where this strategy stands in for a controller that has others."""
        parameters = hub.parameters
        return parameters if isinstance(parameters, type(self).Parameters) else self.parameters

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Share the power under the limit among the connectors of every hub."""
        t_s = observation.t_s
        return contract.Decision(
            {
                name: self._serve(t_s, self.sites[name], hub, self._load_kw(name, hub, t_s))
                for name, hub in observation.hubs.items()
            }
        )

    def _load_kw(self, name: str, hub: contract.Hub, t_s: float) -> float:
        """The net load; while the meter's last message is from a dead bus, what it was before [kW]."""
        if hub.dead:
            self._live_since_s.pop(name, None)
        elif t_s - hub.age_s.get("grid", 0.0) >= self._live_since_s.setdefault(name, t_s):
            self._last_load_kw[name] = hub.net_load_kw
        return self._last_load_kw.get(name, math.nan)

    def _serve(self, t_s: float, site: contract.Site, hub: contract.Hub, load_kw: float) -> contract.Setpoints:
        if hub.dead:
            return contract.Setpoints(connector_kw=np.zeros_like(site.connector_kw), pv_limit_kw=0.0)
        limit_kw = site.secondary_kw if hub.islanded else site.contracted_kw
        parameters = self.in_force(hub)
        pv_kw = hub.p_pv_kw if parameters.count_pv else 0.0
        # without its meter the load may be anything
        room_kw = limit_kw - load_kw + pv_kw if math.isfinite(load_kw) else 0.0
        limits_kw = shares_kw = max_kw = usable_kw(site, hub)
        if np.count_nonzero(max_kw):
            # an EV may accept less than the least that its connector can offer
            min_kw = np.minimum(site.connector_minimum_kw, max_kw)
            shares_kw = self.share(t_s, site, hub, max(0.0, room_kw), max_kw, min_kw)
            limits_kw = offered_kw(shares_kw, site.connector_minimum_kw)
        pv_limit_kw, bess_kw = math.inf, 0.0
        if hub.islanded:
            consumption_kw = load_kw + min(hub.p_cp_kw, float(shares_kw.sum()))
            pv_limit_kw = max(0.0, consumption_kw) if math.isfinite(consumption_kw) else 0.0
        elif parameters.bess == "self_consumption":
            bess_kw = self_consumption_kw(site, hub)
        return contract.Setpoints(connector_kw=limits_kw, bess_kw=bess_kw, pv_limit_kw=pv_limit_kw)
