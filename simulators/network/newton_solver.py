"""Newton's method for one set of switch positions, with a Jacobian that is held while it still contracts.

Between two events in the grid only powers change, so admittances and, nearly, the Jacobian stay. Holding its
factors makes an iteration a handful of small products; the answer is the same, because it is judged by the power
mismatch, which is always exact.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import block_array, csr_array, diags_array
from scipy.sparse.linalg import splu

MISMATCH_PU = 1e-10
"""Largest power mismatch of a solution, on the network's own base power [pu]; more only where round-off forbids it."""

_MAX_ITERATIONS = 40
_SLOW = 0.5  # a step that shrinks the mismatch less than this came from an outdated Jacobian
_DENSE_UP_TO = 150  # buses; below, products of full matrices take less time than the bookkeeping of sparse ones


class HeldNewton:
    """Power flow at constant admittances, in polar coordinates.

    Parameters
    ----------
    y_bus : sparse array, shape (n, n)
        Bus admittance matrix [pu].
    v : array, shape (n,)
        Complex voltages to start from [pu]; those of slack buses, and the magnitudes at PV buses, are kept.
    pv, pq : array of int
        Buses of given active power and magnitude, and of given active and reactive power. All others are slacks.
    """

    def __init__(self, y_bus, v, pv, pq):
        self._n = n = v.size
        self._pq = np.asarray(pq, dtype=int)
        self._pvpq = np.concatenate((np.asarray(pv, dtype=int), self._pq))
        self._y_sparse = csr_array(y_bus)
        self._y_bus = self._y_sparse.toarray() if n <= _DENSE_UP_TO else self._y_sparse
        # Where equations and unknowns stand: in (p, q) of each bus in turn, and in all angles, then all magnitudes.
        self._equations = np.concatenate((2 * self._pvpq, 2 * self._pq + 1))
        self._unknowns = np.concatenate((self._pvpq, n + self._pq))
        self._polar = np.concatenate((np.angle(v), np.abs(v)))
        self._newton_step = None
        round_off = np.finfo(float).eps * abs(self._y_sparse).sum(axis=1).max(initial=0.0)
        self._tolerance = max(MISMATCH_PU, 4.0 * round_off)

    def solve(self, s):
        """Voltages at given bus powers, starting from the last solution.

        Parameters
        ----------
        s : array, shape (n,)
            Complex power fed into each bus [pu]; the entries of slack buses do not matter.

        Returns
        -------
        array, shape (n,), or None
            Complex voltages [pu]; None if the iteration does not contract, which leaves the last solution in place.
        """
        with np.errstate(all="ignore"):  # what leaves the numbers is seen in the mismatch
            v = self._iterate(s, hold=True)
            return self._iterate(s, hold=False) if v is None else v

    def _iterate(self, s, hold):
        n, polar, newton_step = self._n, self._polar.copy(), self._newton_step
        shrink, previous = _SLOW if hold else 1.0, np.inf
        for _ in range(_MAX_ITERATIONS):
            v = polar[n:] * np.exp(1j * polar[:n])
            mismatch = v * np.conj(self._y_bus @ v) - s
            residual = mismatch.view(float)[self._equations]
            largest = np.abs(residual).max(initial=0.0)
            if largest < self._tolerance:
                self._polar, self._newton_step = polar, newton_step
                return v
            if not largest < shrink * previous:  # too slow, worse, or not a number
                return None
            if newton_step is None or not hold:
                newton_step = self._linearise(v)
                if newton_step is None:
                    return None
            polar[self._unknowns] -= newton_step(residual)
            previous = largest
        return None

    def _linearise(self, v):
        """Function that solves the Jacobian at `v` for a residual, or None where it is singular."""
        y_bus, pvpq, pq = self._y_sparse, self._pvpq, self._pq
        current, voltage, unit = (diags_array(diagonal) for diagonal in (y_bus @ v, v, v / np.abs(v)))
        by_angle = csr_array(1j * voltage @ (current - y_bus @ voltage).conj())
        by_magnitude = csr_array(voltage @ (y_bus @ unit).conj() + current.conj() @ unit)
        jacobian = block_array(
            [
                [by_angle[pvpq][:, pvpq].real, by_magnitude[pvpq][:, pq].real],
                [by_angle[pq][:, pvpq].imag, by_magnitude[pq][:, pq].imag],
            ],
            format="csc",
        )
        try:
            return np.linalg.inv(jacobian.toarray()).dot if self._n <= _DENSE_UP_TO else splu(jacobian).solve
        except (RuntimeError, np.linalg.LinAlgError):  # exactly singular
            return None
