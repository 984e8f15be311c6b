"""What controllers may expect of the future: forecasts of PV, load, prices and sessions.

A forecast is told anew at every decision, from what really happens in the run and an error that the scenario asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..controllers import base
from ..simulators.models.series import Series
from ..simulators.models.sessions import Session
from ..simulators.models.tariffs import Tariffs


@dataclass(frozen=True)
class Reality:
    """What happens at a hub if nobody interferes.

    Parameters
    ----------
    pv_kw : Series
        Available PV power [kW].
    load_kw : Series
        Demand of each load class [kW], values of shape (k, 4).
    tariffs : Tariffs
    sessions : sequence of Session
        In the order of arrival, completed.
    """

    pv_kw: Series
    load_kw: Series
    tariffs: Tariffs
    sessions: Sequence[Session]


class Perfect(base.Forecast):
    """Everything as it will be."""

    def __init__(self, reality: Reality, t_s: float):
        self._reality = reality
        self._t_s = t_s

    def pv_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Available PV power [kW], shape (n,)."""
        return self._reality.pv_kw.means(edges_s).reshape(-1)

    def load_kw(self, edges_s: np.ndarray) -> np.ndarray:
        """Demand of the local load by class [kW], shape (n, 4)."""
        return self._reality.load_kw.means(edges_s)

    def price(self, name: str, edges_s: np.ndarray) -> np.ndarray:
        """A price [1/kWh], shape (n,)."""
        return self._reality.tariffs.price(name).means(edges_s)

    def sessions(self, until_s: float) -> base.ExpectedSessions:
        """Sessions that are not over yet and arrive before a time."""
        return expected([s for s in self._reality.sessions if s.arrival_s < until_s and s.departure_s > self._t_s])


def expected(sessions: Sequence[Session]) -> base.ExpectedSessions:
    """Sessions as the arrays a controller sees.

    Parameters
    ----------
    sessions : sequence of Session
        Completed: capacity and state of charge are known.

    Returns
    -------
    ExpectedSessions
    """
    rows = [(s.arrival_s, s.departure_s, s.energy_kwh, s.p_max_kw, s.capacity_kwh, s.soc_arrival) for s in sessions]
    columns = np.array(rows, dtype=float).reshape(-1, 6).T
    return base.ExpectedSessions(
        tuple(s.id for s in sessions),
        *columns,
        soc_v2g_min=np.array([s.soc_v2g_min for s in sessions], dtype=float),
        v2g=np.array([s.v2g for s in sessions], dtype=bool),
    )


NO_PV = Series.constant(0.0)
NO_LOAD = Series.constant(np.zeros(4))
