"""Connectors served in an order: by departure, by time to spare, by arrival, or by turns.

The strategies of the field by which others are measured; see Lee et al. 2021, "Adaptive Charging Networks: A Framework
for Smart Electric Vehicle Charging", doi:10.1109/TSG.2021.3074437, for the same names.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, cast

import numpy as np
from pydantic import Field

from ...simulators.units import S_PER_H
from .. import contract
from ..circuits import Allocation, whole_steps
from .sharing_base import Sharing

_NONE: tuple[tuple, np.ndarray] = (), np.zeros(0)


class InOrder(Sharing):
    """Serve EVs in an order: each gets all it can use until the next decision of what the ones before it leave over.

    A connector that cannot get its least power pauses, and the next ones may use what is left.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._served: dict[int, tuple[tuple, np.ndarray]] = {}
        """By site, what was asked last, and the shares; the question holds the site, so that no other has its id."""

    @abstractmethod
    def keys(self, t_s: float, connectors: contract.Connectors, max_kw: np.ndarray) -> np.ndarray:
        """Return the numbers that the connectors are sorted by, the smallest first; NaN comes last.

        Parameters
        ----------
        t_s : float
            Now [s].
        connectors : Connectors
            What is plugged in.
        max_kw : ndarray, shape (n_connectors,)
            What each can use at once [kW].

        Returns
        -------
        ndarray, shape (n_connectors,)
        """

    def share(
        self,
        t_s: float,
        site: contract.Site,
        hub: contract.Hub,
        room_kw: float,
        max_kw: np.ndarray,
        min_kw: np.ndarray,
    ) -> np.ndarray:
        """Share the power in order; nobody gets more than is left of the request. See `Sharing.share`."""
        connectors, parameters = hub.connectors, self.in_force(hub)
        order = self.keys(t_s, connectors, max_kw).argsort(kind="stable")
        rest_kw = np.maximum(connectors.remaining_kwh * S_PER_H / self.period_s, min_kw)
        wanted_kw = np.minimum(max_kw, rest_kw)
        # between arrivals and departures the question is often that of the last decision
        question = (site, parameters, room_kw, wanted_kw.tobytes(), min_kw.tobytes(), order.tobytes())
        last, shares_kw = self._served.get(id(site), _NONE)
        if question != last:
            allocation = Allocation(room_kw, site.circuits)
            self.allocate(allocation, wanted_kw, min_kw.tolist(), order[wanted_kw[order] > 0.0], parameters)
            shares_kw = allocation.allocated_kw
            shares_kw.setflags(write=False)
            self._served[id(site)] = question, shares_kw
        return shares_kw

    def allocate(
        self,
        allocation: Allocation,
        wanted_kw: np.ndarray,
        min_kw: list[float],
        order: np.ndarray,
        parameters: Sharing.Parameters,
    ) -> None:
        """Allocate to one connector after the other as much as it can use.

        Parameters
        ----------
        allocation : Allocation
            What is to be shared.
        wanted_kw : ndarray, shape (n_connectors,)
            What each connector can use [kW].
        min_kw : list of float
            Below which it gets nothing [kW].
        order : ndarray of int
            Those who can use any, in the order in which they get it.
        parameters : Parameters
            In force at the hub.
        """
        fitting = allocation.count_fitting(wanted_kw, order)
        if fitting == order.size:
            allocation.allocate_all(wanted_kw)
            return
        first_kw = np.zeros(wanted_kw.size)
        first_kw[order[:fitting]] = wanted_kw[order[:fitting]]
        allocation.allocate_all(first_kw)
        wanted = wanted_kw.tolist()
        for i in order[fitting:].tolist():
            kw = allocation.max_extra_kw(i, wanted[i])
            if kw > 0.0 and kw >= min_kw[i] - 1e-9:
                allocation.allocate(i, kw)


class EarliestDeadlineFirst(InOrder):
    """Who leaves first is served first; who announced no departure comes last."""

    def keys(self, t_s: float, connectors: contract.Connectors, max_kw: np.ndarray) -> np.ndarray:
        """Return the announced departures."""
        return connectors.departure_s


class LeastLaxityFirst(InOrder):
    """Who has the least time to spare is served first; who announced no departure comes last."""

    def keys(self, t_s: float, connectors: contract.Connectors, max_kw: np.ndarray) -> np.ndarray:
        """Compute the time until the departure less the time that charging at full power still takes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needed_s = connectors.remaining_kwh / max_kw * S_PER_H
        return connectors.departure_s - t_s - needed_s


class FirstComeFirstServed(InOrder):
    """Who plugged in first is served first."""

    def keys(self, t_s: float, connectors: contract.Connectors, max_kw: np.ndarray) -> np.ndarray:
        """Return the times of plugging in."""
        return connectors.plugged_s


class RoundRobin(FirstComeFirstServed):
    """By turns, one step of power each, the first come first, until nothing is left or nobody can use more."""

    class Parameters(InOrder.Parameters):
        """Parameters of `round_robin`."""

        step_kw: Annotated[float, Field(gt=0.0)] = 0.25
        """Power of one turn [kW]."""

    parameters: Parameters

    def allocate(
        self,
        allocation: Allocation,
        wanted_kw: np.ndarray,
        min_kw: list[float],
        order: np.ndarray,
        parameters: Sharing.Parameters,
    ) -> None:
        """Allocate the minimum power to each connector first, then steps by turns; see `InOrder.allocate`."""
        step_kw, wanted = cast("RoundRobin.Parameters", parameters).step_kw, wanted_kw.tolist()
        members = []
        for i in order.tolist():
            kw = allocation.max_extra_kw(i, min(max(min_kw[i], step_kw), wanted[i]))
            if kw > 0.0 and kw >= min_kw[i] - 1e-9:
                allocation.allocate(i, kw)
                members.append(i)
        while members and allocation.kw > 1e-9:
            # turns in which everyone gets a whole step are taken at once
            turns = whole_steps(allocation, np.array(members), wanted_kw, step_kw)
            if turns > 0:
                allocation.allocate_each(np.array(members), turns * step_kw)
            still = []
            for i in members:
                kw = allocation.max_extra_kw(i, min(step_kw, wanted[i] - float(allocation.allocated_kw[i])))
                if kw > 1e-9:
                    allocation.allocate(i, kw)
                    still.append(i)
            members = still
