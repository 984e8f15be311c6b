"""PV feeds the EVs, the battery takes and gives the rest, and the grid comes last: the rule without optimisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import contract
from .grid_rule import GridRule, served_kw
from .sharing_rules import battery_gives_kw, self_consumption_kw


class PvFirst(GridRule):
    """The operation without optimisation of Lavrenova & Denysiuk 2023.

    PV feeds the EVs; what is left over charges the battery, then is sold; what is missing comes from the battery, then
    is bought. EVs charge at full power as soon as they are plugged in. Only where contract, PV and battery together
    cannot feed them do they share what there is, equally. Off the grid it does as `equal_share`, and the battery rests.
    """

    def on_grid(self, site: contract.Site, hub: contract.Hub) -> contract.Setpoints:
        """Share PV power among the EVs; the battery stores what is left over, or covers what is missing."""
        connectors = hub.connectors
        room_kw = site.contracted_kw - hub.net_load_kw + np.nan_to_num(hub.p_pv_kw)
        room_kw += battery_gives_kw(site, hub, self.period_s)
        shares_kw, limits_kw = served_kw(site, hub, room_kw)
        # an EV that charges takes what it is seen to take; one that begins is taken at its limit
        taken_kw = np.where(connectors.p_kw > 0.0, np.minimum(connectors.p_kw, limits_kw), shares_kw)
        foreseen = replace(hub, p_cp_kw=float(taken_kw.sum()))
        return contract.Setpoints(connector_kw=limits_kw, bess_kw=self_consumption_kw(site, foreseen))
