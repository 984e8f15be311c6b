"""A controller of your own: whoever leaves first is served first."""

import numpy as np

import evhub


class EarliestDeparture(evhub.Controller):
    """Fill the connectors in the order of departure, up to the contracted power less a reserve."""

    class Parameters(evhub.Parameters):
        """Keys of the scenario's controller section that belong to this controller."""

        reserve_kw: float = 0.0
        """Kept free below the contracted power [kW]."""

    uses_forecast = False  # results say so; leave it out where you read hub.forecast

    def decide(self, observation):
        """Answer what is seen with set points for every hub."""
        return evhub.Decision({name: self._serve(self.sites[name], hub) for name, hub in observation.hubs.items()})

    def _serve(self, site, hub):
        connectors = hub.connectors
        # what flows through the connection besides the connectors, measured
        other_kw = hub.p_grid_kw - hub.p_cp_kw
        room_kw = site.contracted_kw - hub.parameters.reserve_kw - other_kw
        limit_kw = np.zeros_like(site.connector_kw)
        for i in np.argsort(connectors.departure_s):
            if connectors.occupied[i] and connectors.remaining_kwh[i] > 0.0:
                share_kw = min(site.connector_kw[i], connectors.p_max_kw[i], room_kw)
                if share_kw >= site.connector_minimum_kw[i]:
                    limit_kw[i] = share_kw
                    room_kw -= share_kw
        # the battery takes what PV leaves over
        surplus_kw = hub.p_pv_kw - hub.p_load_kw - hub.p_cp_kw
        return evhub.Setpoints(connector_kw=limit_kw, bess_kw=-max(0.0, min(surplus_kw, site.bess_kw)))
