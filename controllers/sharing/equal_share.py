"""Equal shares of the contracted power: the simplest charging strategy, used as a reference."""

from __future__ import annotations

import numpy as np

from .. import contract
from .sharing_base import Sharing
from .sharing_rules import share_equally


class EqualShare(Sharing):
    """Connectors share equally what the contract leaves over; in an island, what the secondary source leaves over."""

    def share(
        self,
        t_s: float,
        site: contract.Site,
        hub: contract.Hub,
        room_kw: float,
        max_kw: np.ndarray,
        min_kw: np.ndarray,
    ) -> np.ndarray:
        """Share the power equally; see `Sharing.share`."""
        return share_equally(room_kw, max_kw, min_kw, site.circuits)
