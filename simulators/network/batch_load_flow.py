"""Load flow of many set points at once (process 420): one factorisation of the network for all of them.

The currents that constant powers draw are put back into the linear network until nothing moves; where that does not
settle, near the end of what the network can carry, Newton's method takes over. Either way the result counts only if the
powers at the voltages found are the powers asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..units import KW_PER_MW
from .admittances import AdmittanceNetwork, solved
from .newton_solver import polar

_TOLERANCE_KW = 1e-5
"""Largest mismatch of a node [kW], per MVA that is drawn above the first; what pandapower asks for too."""
_FIXED_POINT = 60


@dataclass(frozen=True)
class LoadFlow:
    """Load flows of k steps; NaN where there is no solution.

    Attributes
    ----------
    v : ndarray of complex, shape (k, n)
        Voltages [pu].
    converged : ndarray of bool, shape (k,)
    """

    network: AdmittanceNetwork
    v: np.ndarray
    converged: np.ndarray

    @property
    def v_pu(self) -> np.ndarray:
        """Magnitudes of the voltages [pu], shape (k, n)."""
        return np.abs(self.v)

    @property
    def loading(self) -> np.ndarray:
        """Current over rated current at both ends of the branches, shape (k, 2, b)."""
        at_ends = np.abs((self.network.y_end @ self.v.T).T) / self.network.rated_pu
        return at_ends.reshape(len(self.v), 2, at_ends.shape[1] // 2)

    @property
    def slack_kw(self) -> np.ndarray:
        """Power that the grid feeds in [kW], shape (k,)."""
        held = self.network.slack
        s = self.v * np.conj((self.network.y @ self.v.T).T)
        fixed_pu = self.network.other_pu - self.network.load_pu
        return np.real(s[:, held] - fixed_pu[held]).sum(axis=1) * self.network.base_kw


def solve(network: AdmittanceNetwork, s_pu: np.ndarray) -> LoadFlow:
    """Solve the load flow of every step.

    Parameters
    ----------
    network : AdmittanceNetwork
        The network.
    s_pu : ndarray of complex, shape (k, n)
        Power fed into each node [pu]; at slacks it does not count.

    Returns
    -------
    LoadFlow
    """
    free = network.free
    s = np.ascontiguousarray(s_pu[:, free].T)
    no_load = network.no_load_pu[:, None]
    v = np.broadcast_to(no_load, s.shape).copy()
    with np.errstate(all="ignore"):
        moving = np.arange(s.shape[1])
        for _ in range(_FIXED_POINT):
            new = no_load + solved(network.factors, np.conj(s[:, moving] / v[:, moving]))
            moved = np.abs(new - v[:, moving]).max(axis=0, initial=0.0)
            v[:, moving] = new
            # a step that has run away is left to Newton at once
            moving = moving[(moved > 1e-12) & (moved < 1.0)]
            if not moving.size:
                break
        whole = _whole(network, v)
        unsolved = np.flatnonzero(~_holds(network, whole, s))
        start = polar(_whole(network, no_load)[0])
        for k in unsolved:
            solution = network.equations.solve(s_pu[k], start)
            whole[k] = np.nan if solution is None else solution.v
        converged = _holds(network, whole, s)
    whole[~converged] = np.nan
    return LoadFlow(network, whole, converged)


def _whole(network: AdmittanceNetwork, v: np.ndarray) -> np.ndarray:
    """Voltages of all nodes, shape (k, n)."""
    whole = np.broadcast_to(network.v0_pu, (v.shape[1], network.bus.size)).copy()
    whole[:, network.free] = v.T
    return whole


def _holds(network: AdmittanceNetwork, v: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Whether voltages give the powers asked for, and are on the upper branch of the two solutions."""
    injected = v * np.conj((network.y @ v.T).T)
    off = np.abs(injected[:, network.free].T - s).max(axis=0, initial=0.0) * network.base_kw
    return (off <= _allowed_kw(network, s)) & (np.abs(v).min(axis=1) > 0.1)


def _allowed_kw(network: AdmittanceNetwork, s: np.ndarray) -> np.ndarray:
    """Mismatch allowed in each step [kW]: rounding grows with what flows."""
    return _TOLERANCE_KW * np.maximum(1.0, np.abs(s).sum(axis=0) * network.base_kw / KW_PER_MW)
