"""Newton's method for power flows at constant admittances, with one set of equations and one Jacobian.

The Jacobian may be held while it still contracts: between two events in the grid only powers change, so admittances
and, nearly, the Jacobian stay. Holding its factors makes an iteration a handful of small products; the answer is the
same, because it is judged by the power mismatch, which is always exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array, csr_array

from .sparse_factors import SparseFactors

MISMATCH_PU = 1e-10
"""Largest power mismatch of a solution, on the network's own base power [pu]; more only where round-off forbids it."""

_MAX_ITERATIONS = 40
_SLOW = 0.5  # a step that shrinks the mismatch less than this came from an outdated Jacobian
_DENSE_UP_TO = 150  # buses; below, products of full matrices take less time than the bookkeeping of sparse ones


@dataclass(frozen=True)
class PowerFlowSolution:
    """A solved power flow, and what the next one may start from.

    Attributes
    ----------
    v : ndarray of complex, shape (n,)
        Voltages [pu].
    polar : ndarray, shape (2 n,)
        Their angles [rad], then their magnitudes [pu].
    newton_step : callable or None
        The last Jacobian's inverse, as a function of the residual; None where no step was needed.
    """

    v: np.ndarray
    polar: np.ndarray
    newton_step: Callable[[np.ndarray], np.ndarray] | None


class PowerFlowEquations:
    """Power balance of every node, in polar coordinates.

    Parameters
    ----------
    y_bus : sparse array, shape (n, n)
        Bus admittance matrix [pu].
    pv, pq : array of int
        Buses of given active power and magnitude, and of given active and reactive power. All others are slacks.
    """

    def __init__(self, y_bus: Any, pv: ArrayLike, pq: ArrayLike):
        self.y_bus = csr_array(y_bus)
        self.n = n = int(y_bus.shape[0])
        self.pq = np.asarray(pq, dtype=int)
        self.pvpq = np.concatenate((np.asarray(pv, dtype=int), self.pq))
        self._product = self.y_bus.toarray() if n <= _DENSE_UP_TO else self.y_bus
        # Where equations and unknowns stand: in (p, q) of each bus in turn, and in all angles, then all magnitudes.
        self._equations = np.concatenate((2 * self.pvpq, 2 * self.pq + 1))
        self._unknowns = np.concatenate((self.pvpq, n + self.pq))
        round_off = np.finfo(float).eps * abs(self.y_bus).sum(axis=1).max(initial=0.0)
        self._tolerance = max(MISMATCH_PU, 4.0 * round_off)

    def solve(
        self,
        s: np.ndarray,
        polar: np.ndarray,
        newton_step: Callable[[np.ndarray], np.ndarray] | None = None,
        *,
        hold: bool = False,
    ) -> PowerFlowSolution | None:
        """Find the voltages at given bus powers.

        Parameters
        ----------
        s : ndarray of complex, shape (n,)
            Power fed into each bus [pu]; the entries of slack buses do not matter.
        polar : ndarray, shape (2 n,)
            Angles [rad], then magnitudes [pu] to start from; those of slack buses, and the magnitudes at PV buses, are
            kept.
        newton_step : callable, optional
            From an earlier solution, to begin with when it is held.
        hold : bool
            Keep the first Jacobian for all iterations.

        Returns
        -------
        Solution or None
            None if the iteration does not contract; if a Jacobian is held, if it does not contract quickly.
        """
        n, polar = self.n, polar.copy()
        shrink, previous = _SLOW if hold else 1.0, np.inf
        with np.errstate(all="ignore"):  # what leaves the numbers is seen in the mismatch
            for _ in range(_MAX_ITERATIONS):
                v = polar[n:] * np.exp(1j * polar[:n])
                mismatch = v * np.conj(self._product @ v) - s
                residual = mismatch.view(float)[self._equations]
                largest = np.abs(residual).max(initial=0.0)
                if largest < self._tolerance:
                    return PowerFlowSolution(v, polar, newton_step)
                if not largest < shrink * previous:  # too slow, worse, or not a number
                    return None
                if newton_step is None or not hold:
                    newton_step = self._step_at(v)
                    if newton_step is None:
                        return None
                polar[self._unknowns] -= newton_step(residual)
                previous = largest
        return None

    def _step_at(self, v: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
        """Function that solves the Jacobian at `v` for a residual, or None where it is singular."""
        jacobian = next(self.jacobians(v[np.newaxis]))
        try:
            return np.linalg.inv(jacobian.toarray()).dot if self.n <= _DENSE_UP_TO else SparseFactors(jacobian).solve
        except (RuntimeError, np.linalg.LinAlgError):  # exactly singular
            return None

    def jacobians(self, v: np.ndarray) -> Iterator[csc_array]:
        """Yield the Jacobian of the bus powers at each of k sets of voltages.

        Parameters
        ----------
        v : ndarray of complex, shape (k, n)
            Voltages [pu].

        Yields
        ------
        csc_array, shape (n_pv + 2 n_pq, n_pv + 2 n_pq)
            Rows: active power fed into the PV and PQ buses, then reactive power into the PQ buses [pu]; columns:
            angles of the PV and PQ buses [rad], then magnitudes of the PQ buses [pu].
        """
        pattern = self._pattern
        i, j, diagonal, y = pattern.row, pattern.column, pattern.diagonal, pattern.y
        unit = v / np.abs(v)
        current = (self.y_bus @ v.T).T
        # dS / d(angle) and dS / d|v|: what flows between two buses, and on the diagonal what the own voltage does
        # (Zimmerman et al. 2011, doi:10.1109/TPWRS.2010.2051168)
        angle: Any = -1j * v[:, i] * np.conj(y * v[:, j])
        angle[:, diagonal] += 1j * v * np.conj(current)
        size: Any = v[:, i] * np.conj(y * unit[:, j])
        size[:, diagonal] += unit * np.conj(current)
        values = np.hstack((angle.real, size.real, angle.imag, size.imag))
        m = pattern.starts.size - 1
        for at_v in values:
            yield csc_array((at_v[pattern.order], pattern.indices, pattern.starts), shape=(m, m))

    @cached_property
    def _pattern(self) -> _Pattern:
        """Where the values of the Jacobian stand; the same at all voltages."""
        n = self.n
        y_bus = self.y_bus.copy()
        y_bus.sum_duplicates()
        row = np.repeat(np.arange(n), np.diff(y_bus.indptr))
        column, y = y_bus.indices.astype(int), y_bus.data
        lacking = np.setdiff1d(np.arange(n), row[row == column])  # a diagonal without an entry is one of 0
        row, column, y = np.append(row, lacking), np.append(column, lacking), np.append(y, np.zeros(lacking.size))
        diagonal = np.flatnonzero(row == column)
        diagonal = diagonal[row[diagonal].argsort()]
        position = np.full(2 * n, -1)
        position[self._unknowns] = np.arange(self._unknowns.size)
        rows = position[np.concatenate((row, row, n + row, n + row))]
        columns = position[np.concatenate((column, n + column, column, n + column))]
        order = np.lexsort((rows, columns))
        order = order[(rows[order] >= 0) & (columns[order] >= 0)]
        starts = np.searchsorted(columns[order], np.arange(self._unknowns.size + 1))
        return _Pattern(row, column, diagonal, y, order, rows[order], starts)


@dataclass(frozen=True)
class _Pattern:
    """Entries of the admittance matrix, those of the diagonal among them, and the sparse Jacobian made of them.

    `order` takes the values of dP/d(angle), dP/d|v|, dQ/d(angle) and dQ/d|v|, one after the other for all entries, into
    the columns of the Jacobian.
    """

    row: np.ndarray
    column: np.ndarray
    diagonal: np.ndarray
    y: np.ndarray
    order: np.ndarray
    indices: np.ndarray
    starts: np.ndarray


class HeldNewton:
    """Power flow that starts from its last solution, with the Jacobian held as long as it contracts.

    Parameters
    ----------
    equations : PowerFlowEquations
        The network.
    v : array, shape (n,)
        Complex voltages to start from [pu]; those of slack buses, and the magnitudes at PV buses, are kept.
    """

    def __init__(self, equations: PowerFlowEquations, v: np.ndarray):
        self._equations = equations
        self._last = PowerFlowSolution(v, polar(v), None)

    def __deepcopy__(self, memo: dict[int, Any]) -> HeldNewton:
        return copy(self)  # nothing changes but which solution is the last one

    def solve(self, s: np.ndarray) -> np.ndarray | None:
        """Find the voltages at given bus powers, starting from the last solution.

        Parameters
        ----------
        s : array, shape (n,)
            Complex power fed into each bus [pu]; the entries of slack buses do not matter.

        Returns
        -------
        array, shape (n,), or None
            Complex voltages [pu]; None if the iteration does not contract, which leaves the last solution in place.
        """
        last, solve = self._last, self._equations.solve
        found = solve(s, last.polar, last.newton_step, hold=True) or solve(s, last.polar)
        if found is None:
            return None
        self._last = found
        return found.v


def polar(v: np.ndarray) -> np.ndarray:
    """Return the angles [rad], then the magnitudes of complex voltages, shape (2 n,)."""
    return np.concatenate((np.angle(v), np.abs(v)))
