"""Connectors served in an order: who leaves first, has least time to spare, came first, or all by turns.

The strategies of the field by which others are measured; see Lee et al. 2021, "Adaptive Charging Networks: A Framework
for Smart Electric Vehicle Charging", doi:10.1109/TSG.2021.3074437, for the same names.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import numpy as np

from ..simulators.models.units import S_PER_H
from . import base
from .rules import self_consumption_kw


class InOrder(base.Controller):
    """Serve EVs in an order: each gets all it can use of what the ones before it leave of the contract.

    What is shared is the contracted power less the local load; in an island the rating of the secondary source less the
    load. PV is not counted: it may go within seconds. A connector that cannot get its least power pauses, and the next
    ones may use what is left. On a dead bus, and while the load's meter is silent, nobody is served.
    """

    class Parameters(base.Parameters):
        """Parameters of all strategies that serve in an order."""

        bess: Literal["self_consumption", "idle"] = "self_consumption"
        """What the battery does: keep PV energy in the hub, or nothing."""

    parameters: Parameters

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
            Power that connector and EV can carry [kW].

        Returns
        -------
        ndarray, shape (n_connectors,)
        """

    def decide(self, observation: base.Observation) -> base.Decision:
        """Serve the connectors of every hub."""
        return base.Decision(
            {name: self._serve(observation.t_s, self.sites[name], hub) for name, hub in observation.hubs.items()}
        )

    def _serve(self, t_s: float, site: base.Site, hub: base.Hub) -> base.Setpoints:
        limit_kw = 0.0 if hub.dead else site.secondary_kw if hub.islanded else site.contracted_kw
        room_kw = limit_kw - hub.p_load_kw
        connectors = hub.connectors
        most_kw = np.minimum(site.connector_kw, connectors.p_max_kw)
        wanted_kw = wanted(connectors, most_kw, site.connector_minimum_kw, self.period_s)
        given_kw = np.zeros_like(wanted_kw)
        if room_kw > 0.0:
            order = np.argsort(self.keys(t_s, connectors, most_kw), kind="stable")
            # an EV may accept less than the least that its connector can offer
            given_kw = self.share(room_kw, wanted_kw, np.minimum(site.connector_minimum_kw, wanted_kw), order)
        limits_kw = np.where(given_kw > 0.0, np.maximum(given_kw, site.connector_minimum_kw), 0.0)
        if hub.dead or hub.islanded:
            # PV may not flow back into the secondary source: only what is surely consumed
            surely_kw = hub.p_load_kw + min(hub.p_cp_kw, float(given_kw.sum()))
            return base.Setpoints(limits_kw, pv_limit_kw=max(0.0, surely_kw) if math.isfinite(surely_kw) else 0.0)
        bess_kw = self_consumption_kw(site, hub) if self.parameters.bess == "self_consumption" else 0.0
        return base.Setpoints(limits_kw, bess_kw=bess_kw)

    def share(self, room_kw: float, wanted_kw: np.ndarray, least_kw: np.ndarray, order: np.ndarray) -> np.ndarray:
        """One after the other, each as much as it can use.

        Parameters
        ----------
        room_kw : float
            To be shared [kW], > 0.
        wanted_kw, least_kw : ndarray, shape (n_connectors,)
            What each can use, and below which it gets nothing [kW].
        order : ndarray of int, shape (n_connectors,)
            Who comes first.

        Returns
        -------
        ndarray, shape (n_connectors,)
            Limits [kW], whose sum is at most `room_kw`.
        """
        wanted, least = wanted_kw.tolist(), least_kw.tolist()
        given = [0.0] * len(wanted)
        for i in order.tolist():
            kw = min(wanted[i], room_kw)
            if kw > 0.0 and kw >= least[i] - 1e-9:
                given[i] = kw
                room_kw -= kw
        return np.array(given)


def wanted(connectors: base.Connectors, most_kw: np.ndarray, minimum_kw: np.ndarray, period_s: float) -> np.ndarray:
    """What each connector can use until the next decision.

    Parameters
    ----------
    connectors : Connectors
        What is plugged in.
    most_kw, minimum_kw : ndarray, shape (n_connectors,)
        Power that connector and EV can carry, and below which the connector pauses [kW].
    period_s : float
        Until the next decision [s].

    Returns
    -------
    ndarray, shape (n_connectors,)
        Power [kW] left of the request, at least the minimum while anything is left, within what is possible.
    """
    rest_kw = np.maximum(connectors.remaining_kwh * S_PER_H / period_s, minimum_kw)
    charging = connectors.occupied & ~connectors.faulted & (connectors.remaining_kwh > 1e-6)
    return np.where(charging, np.minimum(most_kw, rest_kw), 0.0)


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

        step_kw: float = 0.25
        """Power of one turn [kW]."""

    parameters: Parameters

    def share(self, room_kw: float, wanted_kw: np.ndarray, least_kw: np.ndarray, order: np.ndarray) -> np.ndarray:
        """First the least power of each, then in steps by turns; see `InOrder.share`."""
        step_kw, wanted = self.parameters.step_kw, wanted_kw.tolist()
        given = [0.0] * len(wanted)
        members = []
        for i in order.tolist():
            start_kw = max(float(least_kw[i]), min(step_kw, wanted[i]))
            if wanted[i] > 0.0 and start_kw <= min(wanted[i], room_kw) + 1e-9:
                given[i] = start_kw
                room_kw -= start_kw
                members.append(i)
        while members and room_kw > 1e-9:
            still = []
            for i in members:
                kw = min(step_kw, wanted[i] - given[i], room_kw)
                if kw > 1e-9:
                    given[i] += kw
                    room_kw -= kw
                    still.append(i)
            members = still
        return np.array(given)
