"""Basic control, the yardstick of Yan & Tu 2022 (section 3.2): surplus to storage, deficit from the grid."""

from __future__ import annotations

from math import isfinite

import numpy as np

from .. import contract
from ..sharing.grid_rule import GridRule, served_kw
from .decision_table import storage_limits


class BasicControl(GridRule):
    """EVs charge at full power as soon as they are plugged in, all load is served.

    What is left of generation charges the storage first, then is sold; what is missing comes from the grid. So storage
    never discharges: that takes a plan. Only where the contract cannot feed all EVs do they share what it and PV give,
    equally. Off the grid it does as `equal_share`, and the storage rests.
    """

    def on_grid(self, site: contract.Site, hub: contract.Hub) -> contract.Setpoints:
        """Store the surplus, and cover a deficit from the grid."""
        pv_kw = float(np.nan_to_num(hub.p_pv_kw))
        # without its meter the load may be anything
        room_kw = site.contracted_kw - hub.net_load_kw + pv_kw if isfinite(hub.net_load_kw) else 0.0
        shares_kw, limits_kw = served_kw(site, hub, room_kw)
        surplus_kw = pv_kw - hub.net_load_kw - float(shares_kw.sum())
        return contract.Setpoints(connector_kw=limits_kw, bess_kw=-self._stored_kw(site, hub, surplus_kw))

    def _stored_kw(self, site: contract.Site, hub: contract.Hub, surplus_kw: float) -> float:
        """What of a surplus goes into the storage [kW]."""
        if not site.bess_kw or "bess" in hub.failed or not (isfinite(hub.soc) and isfinite(surplus_kw)):
            return 0.0
        min_kw, _ = storage_limits(
            hub.soc,
            site.bess_kwh,
            (site.bess_soc_min, site.bess_soc_max),
            site.bess_kw,
            (site.bess_eta_charge, site.bess_eta_discharge),
            self.period_s,
        )
        return min(max(surplus_kw, 0.0), -min_kw)
