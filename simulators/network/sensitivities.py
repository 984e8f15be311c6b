"""Sensitivities of voltages and currents to set points, from the Jacobian of the power flow (process 440)."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import splu

from .admittances import AdmittanceNetwork, solved


def voltage_change(network: AdmittanceNetwork, v: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Compute the change of the complex voltages per unit of power fed in.

    Parameters
    ----------
    network : AdmittanceNetwork
        The network.
    v : ndarray of complex, shape (k, n)
        Voltages of converged load flows [pu].
    nodes : ndarray of int, shape (m,)
        Where power is fed in; a slack takes it without a change.

    Returns
    -------
    ndarray of complex, shape (k, n, 2 m)
        Per pu of active power at each node, then of reactive power.

    Raises
    ------
    RuntimeError
        At the very end of what the network can carry, where the Jacobian is singular.
    """
    free, m = network.free, len(nodes)
    free_index = np.full(network.bus.size, -1)
    free_index[free] = np.arange(free.size)
    fed_in = np.zeros((2 * free.size, 2 * m))
    for j, row in enumerate(free_index[nodes]):
        if row >= 0:
            fed_in[row, j] = fed_in[free.size + row, m + j] = 1.0
    change = np.zeros((len(v), network.bus.size, 2 * m), dtype=complex)
    for k, jacobian in enumerate(network.equations.jacobians(v)):
        answer = solved(splu(jacobian), fed_in)
        at = v[k, free, None]
        change[k, free] = 1j * at * answer[: free.size] + at / np.abs(at) * answer[free.size :]
    return change


def along(phasor: complex, change: np.ndarray, turned: float = 0.0) -> tuple[float, np.ndarray]:
    """Compute the length of a phasor in a direction, and its sensitivities to the set points.

    Parameters
    ----------
    phasor : complex
        Voltage or current.
    change : ndarray of complex, shape (m,)
        Its change with each set point.
    turned : float
        Angle between the phasor and the direction [rad]; at 0 it is ``|phasor|`` and ``d|phasor|/du``.

    Returns
    -------
    value : float
    slope : ndarray, shape (m,)
    """
    direction = np.exp(-1j * (np.angle(phasor) + turned))
    return float((direction * phasor).real), (direction * change).real
