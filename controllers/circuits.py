"""Current limits inside a site: transformers, panels and cables between the connection and the connectors.

Connectors on different phases load a conductor with currents of different angles, so the current through it is a sum of
phasors. Each limit is a row of a matrix: the current at its place for each kilowatt at a connector. That is the model
of Lee et al. 2021, "Adaptive Charging Networks: A Framework for Smart Electric Vehicle Charging",
doi:10.1109/TSG.2021.3074437.

A cabinet of power modules that some connectors share is a limit of the same form: 1 kW at it for each kilowatt at one
of its connectors. Its row counts kilowatts where the others count amperes; no row is compared with another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..simulators.water_filling import Cabinet, within_cabinets

_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Circuits:
    """The limits of a site behind its connection: of currents, and of what cabinets give.

    Parameters
    ----------
    name : tuple of str
        What each limit belongs to.
    a_per_kw : ndarray of complex, shape (n_limits, n_connectors)
        Current there for each kilowatt at a connector [A/kW]; of a cabinet 1 [kW/kW].
    limit_a : ndarray, shape (n_limits,)
        Largest current [A]; of a cabinet what it gives [kW].
    cabinets : sequence of Cabinet
        The cabinets among the limits.
    """

    name: tuple[str, ...]
    a_per_kw: np.ndarray
    limit_a: np.ndarray
    cabinets: Sequence[Cabinet] = ()
    magnitude_a_per_kw: np.ndarray = field(init=False, repr=False)
    """Absolute values of `a_per_kw`, shape (n_limits, n_connectors)."""

    def __post_init__(self):
        object.__setattr__(self, "magnitude_a_per_kw", np.abs(self.a_per_kw))

    @classmethod
    def none(cls, n_connectors: int) -> Circuits:
        """Return circuits that carry any current."""
        return cls((), np.zeros((0, n_connectors), dtype=complex), np.zeros(0))

    def reachable_kw(self, p_kw: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Limit what connectors can give to their shares of the cabinets.

        Parameters
        ----------
        p_kw : ndarray, shape (n_connectors,)
            What each can give by itself [kW].
        active : ndarray of bool, shape (n_connectors,)
            Who wants any.

        Returns
        -------
        ndarray, shape (n_connectors,)
            Powers [kW] that those who are active can have all at the same time.
        """
        if not self.cabinets:
            return p_kw
        shares_kw = within_cabinets(self.cabinets, np.where(active, p_kw, 0.0), np.zeros(p_kw.size))
        return np.where(active, shares_kw, p_kw)

    def current_a(self, p_kw: np.ndarray) -> np.ndarray:
        """Compute the current at each limit [A], shape (n_limits,), for powers of the connectors [kW]."""
        return np.abs(self.a_per_kw @ p_kw)


class Allocation:
    """Power allocated to connectors, and what is left of the power and of the currents that the circuits allow.

    Parameters
    ----------
    room_kw : float
        Power to be shared [kW], >= 0.
    circuits : Circuits
        The limits that the shares must keep.
    """

    def __init__(self, room_kw: float, circuits: Circuits):
        self.kw = room_kw
        self.circuits = circuits
        self._current_a = np.zeros(circuits.limit_a.size, dtype=complex)
        self.allocated_kw = np.zeros(circuits.a_per_kw.shape[1])
        """What each connector has got [kW]."""

    def max_extra_kw(self, connector: int, kw: float) -> float:
        """Limit a power to what one connector can still get [kW]."""
        kw = min(kw, self.kw)
        if kw <= 0.0 or not self._current_a.size:
            return max(kw, 0.0)
        return min(kw, self._reach(self.circuits.a_per_kw[:, connector], kw))

    def allocate(self, connector: int, kw: float) -> None:
        """Allocate more power to one connector [kW]."""
        self.allocated_kw[connector] += kw
        self.kw -= kw
        if self._current_a.size:
            self._current_a += kw * self.circuits.a_per_kw[:, connector]

    def allocate_all(self, p_kw: np.ndarray) -> None:
        """Allocate more power to every connector [kW]; `count_fitting` says whether it fits."""
        self.allocated_kw += p_kw
        self.kw -= float(p_kw.sum())
        if self._current_a.size:
            self._current_a += self.circuits.a_per_kw.dot(p_kw)

    def count_fitting(self, p_kw: np.ndarray, order: np.ndarray) -> int:
        """Count the connectors that can get their powers in this order if no currents cancel each other.

        Parameters
        ----------
        p_kw : ndarray, shape (n_connectors,)
            What each is to get [kW], >= 0; 0 where nobody is in the order.
        order : ndarray of int
            Who gets it first, second and so on.
        """
        room_kw, magnitude_a_per_kw = self.kw - _DUST, self.circuits.magnitude_a_per_kw
        room_a = self.circuits.limit_a - np.abs(self._current_a) - _DUST
        if p_kw.sum() <= room_kw and (magnitude_a_per_kw.dot(p_kw) <= room_a).all():
            return order.size
        by_order_kw = p_kw[order]
        sums_a = np.cumsum(magnitude_a_per_kw[:, order] * by_order_kw, axis=1)
        fits = (np.cumsum(by_order_kw) <= room_kw) & (sums_a <= room_a[:, np.newaxis]).all(axis=0)
        return int(np.count_nonzero(fits))  # sums only rise: those that fit are the first ones

    def common_increment(self, members: np.ndarray, kw: float) -> float:
        """Limit a power to what each of several connectors can still get at the same time [kW]."""
        kw = min(kw, self.kw / len(members))
        if kw <= 0.0 or not self._current_a.size:
            return max(kw, 0.0)
        return min(kw, self._reach(self.circuits.a_per_kw[:, members].sum(axis=1), kw))

    def allocate_each(self, members: np.ndarray, kw: float) -> None:
        """Allocate the same additional power to each of several connectors [kW]."""
        self.allocated_kw[members] += kw
        self.kw -= len(members) * kw
        if self._current_a.size:
            self._current_a += kw * self.circuits.a_per_kw[:, members].sum(axis=1)

    def _reach(self, a_per_kw: np.ndarray, kw: float) -> float:
        """Largest x <= kw with ``|current + a_per_kw * x| <= limit`` everywhere."""
        current_a, limit_a = self._current_a, self.circuits.limit_a
        tight = (np.abs(current_a + kw * a_per_kw) > limit_a) & (a_per_kw != 0.0)
        for row in tight.nonzero()[0].tolist():
            a, s, limit = a_per_kw.item(row), current_a.item(row), limit_a.item(row)
            # a x^2 + 2 b x + c = 0, where c <= 0 because the limits are kept now
            square, b, c = abs(a) ** 2, (s.conjugate() * a).real, min(abs(s) ** 2 - limit**2, 0.0)
            kw = min(kw, (math.sqrt(b * b - square * c) - b) / square)
        return max(0.0, kw)


def whole_steps(allocation: Allocation, members: np.ndarray, wanted_kw: np.ndarray, step_kw: float) -> int:
    """Count the whole steps of power that each of several connectors can still get."""
    return math.floor(
        allocation.common_increment(members, float((wanted_kw - allocation.allocated_kw)[members].min())) / step_kw
        - _DUST
    )


def fill_within(allocation: Allocation, max_kw: np.ndarray, members: np.ndarray) -> None:
    """Raise the powers of connectors together, each until it, the room or one of its circuits is full.

    Where currents are limited there is no closed form: the connectors rise from one limit to the next.

    Parameters
    ----------
    allocation : Allocation
        What there is.
    max_kw : ndarray, shape (n,)
        What each can use [kW].
    members : ndarray of int
        Who takes part.
    """
    while members.size and allocation.kw > _DUST:
        step_kw = allocation.common_increment(members, float((max_kw - allocation.allocated_kw)[members].min()))
        allocation.allocate_each(members, step_kw)
        able = np.array(
            [
                allocation.max_extra_kw(i, float(max_kw[i] - allocation.allocated_kw[i])) > _DUST
                for i in members.tolist()
            ]
        )
        if able.all() and step_kw <= _DUST:
            return  # each could alone, but not all together
        members = members[able]
