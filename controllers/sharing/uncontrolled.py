"""Full power for every EV: the reference without a charging strategy."""

from __future__ import annotations

from typing import Literal, cast

from .. import contract
from .sharing_rules import self_consumption_kw


class Uncontrolled(contract.Controller):
    """Every connector may charge at its rating, whatever the contract says."""

    uses_forecast = False

    class Parameters(contract.Parameters):
        """Parameters of `uncontrolled`."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""

    parameters: Parameters

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Set every connector to full power."""
        setpoints = {}
        for name, hub in observation.hubs.items():
            site = self.sites[name]
            parameters = cast("Uncontrolled.Parameters", hub.parameters)
            bess_kw = self_consumption_kw(site, hub) if parameters.bess == "self_consumption" else 0.0
            setpoints[name] = contract.Setpoints(connector_kw=site.connector_kw, bess_kw=bess_kw)
        return contract.Decision(setpoints)
