"""The matrices that pandapower makes of a network when it solves it, read once so that it can be solved again.

The arrays are those of the MATPOWER format (``net._ppc``), without what is out of service.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandapower as pp
from numpy.typing import ArrayLike
from pandapower.pypower.idx_brch import F_BUS, T_BUS
from pandapower.pypower.idx_bus import BASE_KV, BUS_TYPE, NONE, VA, VM
from pandapower.pypower.makeYbus import makeYbus
from scipy.sparse import csr_array, vstack

_SQRT3 = np.sqrt(3.0)


@dataclass(frozen=True, eq=False)
class Matrices:
    """A network of n nodes and b branches in service.

    Attributes
    ----------
    base_mva : float
        Base of all powers in pu [MVA].
    bus, branch : ndarray, shape (n, ...) and (b, ...)
        Rows of the MATPOWER format.
    branch_in_service : ndarray of bool
        Which of pandapower's branches the b are.
    v_pu : ndarray of complex, shape (n,)
        Voltages that pandapower found.
    y_bus : csr_array, shape (n, n)
        Admittances [pu].
    y_end : csr_array, shape (2 b, n)
        Currents at the from ends, then at the to ends of the branches, from the voltages.
    end_node : ndarray of int, shape (2 b,)
        Node of each end.
    base_ka : ndarray, shape (2, b)
        Current of 1 pu at both ends [kA].
    """

    base_mva: float
    bus: np.ndarray
    branch: np.ndarray
    branch_in_service: np.ndarray
    v_pu: np.ndarray
    y_bus: csr_array
    y_end: csr_array
    end_node: np.ndarray
    base_ka: np.ndarray
    _lookup: np.ndarray

    def node_of(self, bus: ArrayLike) -> np.ndarray:
        """Return the node of each pandapower bus, -1 without a source; buses joined by a closed switch are one node."""
        node = self._lookup[np.asarray(bus, dtype=int)]
        return np.where(node < len(self.bus), node, -1)


def matrices_of(net: pp.pandapowerNet) -> Matrices:
    """Read the matrices that pandapower made of a network which it has just solved.

    Parameters
    ----------
    net : pandapowerNet
        With the results of ``pandapower.runpp``.

    Returns
    -------
    Matrices
    """
    ppc: dict = net["_ppc"]
    base_mva = float(ppc["baseMVA"])
    bus = ppc["bus"][ppc["bus"][:, BUS_TYPE] != NONE]
    in_service = ppc["internal"]["branch_is"]
    branch = ppc["branch"][in_service]
    y_bus, y_from, y_to = makeYbus(base_mva, bus, branch)
    end_node = np.real(branch[:, [F_BUS, T_BUS]]).T.ravel().astype(int)
    return Matrices(
        base_mva=base_mva,
        bus=bus,
        branch=branch,
        branch_in_service=in_service,
        v_pu=bus[:, VM] * np.exp(1j * np.deg2rad(bus[:, VA])),
        y_bus=csr_array(y_bus),
        y_end=csr_array(vstack((y_from, y_to))),
        end_node=end_node,
        base_ka=base_mva / (_SQRT3 * bus[end_node, BASE_KV].reshape(2, -1)),
        _lookup=net._pd2ppc_lookups["bus"],
    )
