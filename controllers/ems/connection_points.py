"""The buses at which the parts of a hub, and its EVs, are connected."""

from __future__ import annotations

from dataclasses import dataclass

from .ems_dispatch import Places
from .ems_schedule import Demand


@dataclass(frozen=True)
class ConnectionPoints:
    """Places of a hub's parts, and of its connectors."""

    pv: int
    bess: int
    dg: int
    load: int
    connectors: tuple[int, ...]

    def places(self, demands: list[Demand]) -> Places:
        """Return the places of the parts and of the EVs; expected EVs are spread over the connectors in turn."""
        count = len(self.connectors)
        sessions = [self.connectors[c % count] for c in plugs(demands)]
        return Places(self.pv, self.bess, self.dg, self.load, tuple(sessions))


def plugs(demands: list[Demand]) -> list[int]:
    """Return the connector of each EV; an expected EV has its position in the list, to be taken modulo their number."""
    return [demand.connector if demand.connector >= 0 else n for n, demand in enumerate(demands)]
