"""How voltages and currents answer to set points, from the Jacobian of the power flow (process 440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csc_array
from scipy.sparse.linalg import splu

from .admittances import Network, solved


def jacobians(network: Network, v: np.ndarray) -> Iterator[csc_array]:
    """Jacobians of the powers of the free nodes, one for each step.

    Parameters
    ----------
    network : Network
        The network.
    v : ndarray of complex, shape (k, n)
        Voltages [pu].

    Yields
    ------
    csc_array, shape (2 n_free, 2 n_free)
        Rows: P, then Q; columns: angles [rad], then magnitudes [pu].
    """
    free = network.free
    m = free.size
    y = coo_array(network.y[free][:, free])
    i, j = (axis.astype(int) for axis in y.coords)
    at = v[:, free]
    unit = at / np.abs(at)
    drawn = np.conj((network.y @ v.T).T[:, free])
    # dS / d(angle) and dS / d|v|: what flows between two nodes, and on the diagonal what the own voltage does
    angle = np.hstack([-1j * at[:, i] * np.conj(y.data * at[:, j]), 1j * at * drawn])
    size = np.hstack([at[:, i] * np.conj(y.data * unit[:, j]), unit * drawn])
    values = np.hstack([angle.real, size.real, angle.imag, size.imag])
    i, j = np.append(i, np.arange(m)), np.append(j, np.arange(m))
    row = np.concatenate([i, i, i + m, i + m])
    column = np.concatenate([j, j + m, j, j + m])
    # the pattern is the same in all steps: the place of each value in the sparse matrix is found once
    order = np.lexsort((row, column))
    first = np.append(True, (np.diff(row[order]) != 0) | (np.diff(column[order]) != 0))
    begin = np.flatnonzero(first)
    rows = row[order][begin]
    starts = np.searchsorted(column[order][begin], np.arange(2 * m + 1))
    for data in np.add.reduceat(values[:, order], begin, axis=1):
        yield csc_array((data, rows, starts), shape=(2 * m, 2 * m))


def factors(jacobian: csc_array) -> Any:
    """LU factors of a Jacobian; raises RuntimeError where it is singular."""
    return splu(jacobian)


def voltage_change(network: Network, v: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Change of the complex voltages per unit of power fed in.

    Parameters
    ----------
    network : Network
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
    place = np.full(network.bus.size, -1)
    place[free] = np.arange(free.size)
    fed_in = np.zeros((2 * free.size, 2 * m))
    for j, row in enumerate(place[nodes]):
        if row >= 0:
            fed_in[row, j] = fed_in[free.size + row, m + j] = 1.0
    change = np.zeros((len(v), network.bus.size, 2 * m), dtype=complex)
    for k, jacobian in enumerate(jacobians(network, v)):
        answer = solved(factors(jacobian), fed_in)
        at = v[k, free, None]
        change[k, free] = 1j * at * answer[: free.size] + at / np.abs(at) * answer[free.size :]
    return change


def along(phasor: complex, change: np.ndarray, turned: float = 0.0) -> tuple[float, np.ndarray]:
    """Length of a phasor in a direction, and the sensitivities of that.

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
