"""Connectors served in an order: who leaves first, has least time to spare, came first, or all by turns.

The strategies of the field by which others are measured; see Lee et al. 2021, "Adaptive Charging Networks: A Framework
for Smart Electric Vehicle Charging", doi:10.1109/TSG.2021.3074437, for the same names.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import numpy as np
from pydantic import Field

from ..simulators.models.units import S_PER_H
from . import base
from .sharing import Sharing


class InOrder(Sharing):
    """Serve EVs in an order: each gets all it can use until the next decision of what the ones before it leave over.

    A connector that cannot get its least power pauses, and the next ones may use what is left.
    """

    @abstractmethod
    def keys(self, t_s: float, connectors: base.Connectors, most_kw: np.ndarray) -> np.ndarray:
        """What the order goes by, the smallest first; NaN comes last.

        Parameters
        ----------
        t_s : float
            Now [s].
        connectors : Connectors
            What is plugged in.
        most_kw : ndarray, shape (n_connectors,)
            What each can use at once [kW].

        Returns
        -------
        ndarray, shape (n_connectors,)
        """

    def share(
        self, t_s: float, room_kw: float, connectors: base.Connectors, most_kw: np.ndarray, least_kw: np.ndarray
    ) -> np.ndarray:
        """Shares by the order; nobody gets more than is left of the request. See `Sharing.share`."""
        order = np.argsort(self.keys(t_s, connectors, most_kw), kind="stable")
        rest_kw = np.maximum(connectors.remaining_kwh * S_PER_H / self.period_s, least_kw)
        given_kw = self.give(room_kw, np.minimum(most_kw, rest_kw).tolist(), least_kw.tolist(), order.tolist())
        return np.array(given_kw)

    def give(self, room_kw: float, wanted_kw: list[float], least_kw: list[float], order: list[int]) -> list[float]:
        """One after the other, each as much as it can use.

        Parameters
        ----------
        room_kw : float
            To be shared [kW].
        wanted_kw, least_kw : list of float
            What each connector can use, and below which it gets nothing [kW].
        order : list of int
            Who comes first.

        Returns
        -------
        list of float
            Shares [kW], whose sum is at most `room_kw`.
        """
        given = [0.0] * len(wanted_kw)
        for i in order:
            kw = min(wanted_kw[i], room_kw)
            if kw > 0.0 and kw >= least_kw[i] - 1e-9:
                given[i] = kw
                room_kw -= kw
        return given


class EarliestDeadlineFirst(InOrder):
    """Who leaves first is served first; who announced no departure comes last."""

    def keys(self, t_s: float, connectors: base.Connectors, most_kw: np.ndarray) -> np.ndarray:
        """The announced departure."""
        return connectors.departure_s


class LeastLaxityFirst(InOrder):
    """Who has the least time to spare is served first; who announced no departure comes last."""

    def keys(self, t_s: float, connectors: base.Connectors, most_kw: np.ndarray) -> np.ndarray:
        """Time until the departure less the time that charging at full power still takes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needed_s = connectors.remaining_kwh / most_kw * S_PER_H
        return connectors.departure_s - t_s - needed_s


class FirstComeFirstServed(InOrder):
    """Who plugged in first is served first."""

    def keys(self, t_s: float, connectors: base.Connectors, most_kw: np.ndarray) -> np.ndarray:
        """When it plugged in."""
        return connectors.plugged_s


class RoundRobin(FirstComeFirstServed):
    """By turns, one step of power each, the first come first, until nothing is left or nobody can use more."""

    class Parameters(InOrder.Parameters):
        """Parameters of `round_robin`."""

        step_kw: Annotated[float, Field(gt=0.0)] = 0.25
        """Power of one turn [kW]."""

    parameters: Parameters

    def give(self, room_kw: float, wanted_kw: list[float], least_kw: list[float], order: list[int]) -> list[float]:
        """First the least power of each, then in steps by turns; see `InOrder.give`."""
        step_kw = self.parameters.step_kw
        given = [0.0] * len(wanted_kw)
        members = []
        for i in order:
            start_kw = max(least_kw[i], min(step_kw, wanted_kw[i]))
            if wanted_kw[i] > 0.0 and start_kw <= min(wanted_kw[i], room_kw) + 1e-9:
                given[i] = start_kw
                room_kw -= start_kw
                members.append(i)
        while members and room_kw > 1e-9:
            still = []
            for i in members:
                kw = min(step_kw, wanted_kw[i] - given[i], room_kw)
                if kw > 1e-9:
                    given[i] += kw
                    room_kw -= kw
                    still.append(i)
            members = still
        return given
