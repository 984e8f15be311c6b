"""A plan of `milp_dispatch` on the clock of the run, and how it is followed when reality differs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from ...simulators.units import energy_kwh, power_kw
from .. import contract
from ..optimization.hub_model import HubPlan
from ..sharing.sharing_rules import offered_kw, share_equally, usable_kw
from .milp_model_data import ExpectedDay, Window

_CURTAILED_KW = 1e-6


@dataclass(frozen=True)
class MilpDispatchPlan:
    """A plan of a hub.

    Parameters
    ----------
    window : Window
        Its steps.
    plan : HubPlan
        Powers, as means over whole steps.
    available_kw : ndarray, shape (n,)
        PV that was expected [kW].
    evs : ExpectedDay or None
        The EVs that were reckoned with, in the order of the plan's rows; None for a hub without connectors.
    """

    window: Window
    plan: HubPlan
    available_kw: np.ndarray
    evs: ExpectedDay | None

    def step(self, t_s: float) -> int | None:
        """Find the step that holds a time [s]; None outside the plan."""
        edges_s = self.window.edges_s
        if not edges_s[0] <= t_s < edges_s[-1]:
            return None
        return int(np.searchsorted(edges_s, t_s, side="right")) - 1

    @property
    def unserved_kwh(self) -> float:
        """Energy that EVs and load are planned not to get [kWh]."""
        lost_kwh = energy_kwh(self.plan.load_unserved_kw.sum(axis=0), np.diff(self.window.relative_s))
        return float(self.plan.session_unserved_kwh.sum() + lost_kwh.sum())

    def setpoints(self, site: contract.Site, hub: contract.Hub, t_s: float) -> contract.Setpoints:
        """Return the set points that follow the plan.

        The battery runs as planned. Every EV charges so that it has, at the end of the step, the energy that the plan
        gives it until then: late or slow EVs catch up as far as their charging mode allows. An EV that the plan does
        not know charges at full power. The grid takes the difference. Only where import would pass the contract, the
        EVs share equally what is left.

        Parameters
        ----------
        site, hub : Site, Hub
            The hub, on the grid.
        t_s : float
            Now [s since the start], within the plan.

        Returns
        -------
        Setpoints
        """
        k = self.step(t_s)
        if k is None:
            raise ValueError(f"{t_s:g} s is outside the plan")
        plan, share = self.plan, max(self.window.share[k], 1e-9)
        bess_kw = float(plan.bess_kw[k] / share)
        load_kw, pv_kw = hub.net_load_kw, hub.p_pv_kw
        # while a meter is silent, what was expected counts
        load_kw = load_kw if np.isfinite(load_kw) else (plan.load_kw[:, k].sum() - plan.other_kw[k]) / share
        pv_kw = pv_kw if np.isfinite(pv_kw) else plan.pv_kw[k] / share
        helps = bess_kw <= 0.0 or not hub.soc <= site.bess_soc_min
        room_kw = site.contracted_kw - load_kw + pv_kw + bess_kw * helps
        max_kw = usable_kw(site, hub)
        min_kw = np.minimum(site.connector_minimum_kw, max_kw)
        wish_kw = self._wish_kw(hub, max_kw, k, t_s)
        # below its minimum a connector can only pause: whichever is nearer
        wish_kw = np.where(2.0 * wish_kw >= min_kw, np.maximum(wish_kw, min_kw), 0.0)
        shares_kw = share_equally(room_kw, wish_kw, min_kw, site.circuits)
        limits_kw = offered_kw(shares_kw, site.connector_minimum_kw)
        curtailed = plan.pv_kw[k] < self.available_kw[k] - _CURTAILED_KW
        return contract.Setpoints(limits_kw, bess_kw, float(plan.pv_kw[k] / share) if curtailed else inf)

    def _wish_kw(self, hub: contract.Hub, max_kw: np.ndarray, k: int, t_s: float) -> np.ndarray:
        """Power of each connector that brings its EV where the plan wants it at the end of step k [kW]."""
        if self.evs is None:
            return max_kw
        edges_s = self.window.edges_s
        row = {name: j for j, name in enumerate(self.evs.names)}
        wish_kw = max_kw.copy()
        for i, name in enumerate(hub.connectors.session_id):
            j = row.get(name) if name is not None else None
            if j is None:
                continue
            planned_kwh = energy_kwh(self.plan.session_kw[j, : k + 1], np.diff(edges_s[: k + 2])).sum()
            behind_kwh = self.evs.delivered_kwh[j] + planned_kwh - hub.connectors.energy_kwh[i]
            left_s = min(edges_s[k + 1], self.window.end_s, self.evs.departure_s[j]) - t_s
            limit_kw = min(max_kw[i], self.evs.charge_kw[j])
            # an EV that stays longer than announced gets what it still misses
            wish_kw[i] = np.clip(power_kw(behind_kwh, left_s), 0.0, limit_kw) if left_s > 0.0 else limit_kw
        return wish_kw
