"""The network that `ems` plans with: admittance matrices and ratings, made from what pandapower compiles.

It is the controller's own picture. The plant may be fed by another network, or by none.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import splu

from ..shared_data import SharedData
from ..units import KW_PER_MW
from .newton_solver import PowerFlowEquations

_SQRT3 = np.sqrt(3.0)
_COLUMNS = 16


@dataclass(frozen=True, eq=False)
class AdmittanceNetwork(SharedData):
    """A balanced network at fixed switch positions; n nodes, n_free of them without a slack, b branches.

    Attributes
    ----------
    base_kw : float
        Base of all powers in pu [kW].
    bus : ndarray of int, shape (n,)
        A pandapower bus at each node; buses that a closed switch joins are one node.
    node_of : dict of int to int
        Node of each pandapower bus that has a source.
    free : ndarray of int, shape (n_free,)
        Nodes without a slack.
    y : csr_array, shape (n, n)
        Admittances [pu].
    v0_pu : ndarray of complex, shape (n,)
        Voltages that pandapower found; slacks hold theirs.
    load_pu, other_pu : ndarray of complex, shape (n,)
        What the network's own loads draw at a scale of 1, and what else is fed in [pu].
    y_end : csr_array, shape (2 b, n)
        Currents at the from ends, then at the to ends of the branches, from the voltages.
    rated_pu : ndarray, shape (2 b,)
        Rated current of each end [pu]; inf where there is none.
    branches : tuple of str
        Names of the b branches, as ``line 3``.
    """

    base_kw: float
    bus: np.ndarray
    node_of: dict[int, int]
    free: np.ndarray
    y: csr_array
    v0_pu: np.ndarray
    load_pu: np.ndarray
    other_pu: np.ndarray
    y_end: csr_array
    rated_pu: np.ndarray
    branches: tuple[str, ...]

    @cached_property
    def slack(self) -> np.ndarray:
        """Nodes that hold their voltage."""
        return np.setdiff1d(np.arange(self.bus.size), self.free)

    @cached_property
    def factors(self) -> Any:
        """LU factors of the admittances between the free nodes."""
        return splu(csc_array(self.y[self.free][:, self.free]))

    @cached_property
    def no_load_pu(self) -> np.ndarray:
        """Voltages of the free nodes when nothing is drawn, shape (n_free,)."""
        return self.factors.solve(-(self.y[self.free][:, self.slack] @ self.v0_pu[self.slack]))

    @cached_property
    def equations(self) -> PowerFlowEquations:
        """Power balance of the nodes."""
        return PowerFlowEquations(self.y, (), self.free)

    def node(self, bus: int, user: str = "bus") -> int:
        """Return the node of a bus.

        Parameters
        ----------
        bus : int
            Its pandapower index; see `network_sources.find_bus`.
        user : str, optional
            Who asks; begins the message.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If it has no path to a source.
        """
        if bus not in self.node_of:
            raise ValueError(f"{user}: bus {bus} has no path to a source of the network")
        return self.node_of[bus]


def solved(factors: Any, columns: np.ndarray) -> np.ndarray:
    """Solve for many right-hand sides, shape (n, k), with the LU factors of a sparse matrix."""
    # a wide right-hand side makes BLAS start threads, which for matrices of this size cost more than they bring
    slices = [factors.solve(columns[:, k : k + _COLUMNS]) for k in range(0, columns.shape[1], _COLUMNS)]
    return np.hstack(slices) if slices else columns


def compiled(net: Any, without_loads_at: tuple[int, ...] = ()) -> AdmittanceNetwork:
    """Convert a pandapower network to matrices.

    Parameters
    ----------
    net : pandapowerNet
        From `network_sources.build`; pandapower solves it once.
    without_loads_at : tuple of int
        Buses whose loads a hub stands in for.

    Returns
    -------
    AdmittanceNetwork

    Raises
    ------
    ValueError
        If the network has no slack, machines that hold a voltage, loads that depend on it, or three-winding
        transformers; if pandapower finds no solution.
    """
    import pandapower as pp  # takes a second, and not every controller has a network

    from .network_sources import sources
    from .pandapower_matrices import matrices_of

    machines = net.gen.index[net.gen.in_service.astype(bool)].tolist()
    if machines:
        raise ValueError(
            f"the network has generators that hold a voltage ({', '.join(map(str, machines))}), with which no schedule "
            "can be made; use static generators"
        )
    three = net.trafo3w.index[net.trafo3w.in_service.astype(bool)].tolist()
    if three:
        raise ValueError(
            f"the network has three-winding transformers ({', '.join(map(str, three))}), whose currents no schedule "
            "can limit"
        )
    slacks = sources(net)
    if not slacks:
        raise ValueError("the network has no slack: no external grid is in service")
    net.load.loc[net.load.bus.isin(without_loads_at), "in_service"] = False
    pp.set_user_pf_options(net, overwrite=True)  # options kept in a file would silently overrule ours
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pp.runpp(net, calculate_voltage_angles=True, init="dc", numba=False, tolerance_mva=1e-9)
    except pp.LoadflowNotConverged:
        raise ValueError("the network's load flow does not converge with its own loads alone") from None

    matrices = matrices_of(net)
    base_mva, v0_pu = matrices.base_mva, matrices.v_pu
    n = v0_pu.size
    nodes = zip(net.bus.index.tolist(), matrices.node_of(net.bus.index).tolist(), strict=True)
    node_of = {bus: node for bus, node in nodes if node >= 0}
    first_of = {node: bus for bus, node in sorted(node_of.items(), reverse=True)}
    held = np.unique([node_of[bus] for bus in slacks])
    free = np.setdiff1d(np.arange(n), held)

    load_pu = np.zeros(n, dtype=complex)
    for load in net.load[net.load.in_service.astype(bool)].itertuples():
        if load.bus in node_of:
            load_pu[node_of[load.bus]] += (load.p_mw + 1j * load.q_mvar) * load.scaling / base_mva
    other_pu = v0_pu * np.conj(matrices.y_bus @ v0_pu) + load_pu
    fed_in = np.zeros(n, dtype=complex)
    for plant in net.sgen[net.sgen.in_service.astype(bool)].itertuples():
        if plant.bus in node_of:
            fed_in[node_of[plant.bus]] += (plant.p_mw + 1j * plant.q_mvar) * plant.scaling / base_mva
    if np.abs(other_pu - fed_in)[free].max(initial=0.0) * base_mva > 1e-6:
        raise ValueError("the network has elements other than loads and static generators with constant power")

    names, rated_ka = _ratings(net, matrices.branch_in_service)
    return AdmittanceNetwork(
        base_kw=base_mva * KW_PER_MW,
        bus=np.array([first_of.get(node, -1) for node in range(n)]),
        node_of=node_of,
        free=free,
        y=matrices.y_bus,
        v0_pu=v0_pu,
        load_pu=load_pu,
        other_pu=fed_in,
        y_end=matrices.y_end,
        rated_pu=(rated_ka / matrices.base_ka).ravel(),
        branches=names,
    )


def _ratings(net: Any, in_service: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the branches in service and rated currents at both ends [kA], shape (2, b); inf where none is known."""
    names = np.full(in_service.size, "branch", dtype=object)
    rated_ka = np.full((2, in_service.size), np.inf)
    spans = net._pd2ppc_lookups["branch"]
    if "line" in spans:
        begin, end = spans["line"]
        line = net.line
        names[begin:end] = [f"line {index}" for index in line.index]
        rated_ka[:, begin:end] = (line.max_i_ka * line.df * line.parallel).to_numpy(float)
    if "trafo" in spans:
        begin, end = spans["trafo"]
        trafo = net.trafo
        names[begin:end] = [f"transformer {index}" for index in trafo.index]
        rated_mva = (trafo.sn_mva * trafo.parallel * trafo.df).to_numpy(float)
        rated_ka[:, begin:end] = rated_mva / (_SQRT3 * trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(float).T)
    rated_ka[~(rated_ka > 0.0)] = np.inf
    return tuple(names[in_service]), rated_ka[:, in_service]
