"""A network at one set of switch positions, compiled once so that it can be solved again at other powers.

pandapower turns a network into bus, branch and generator arrays, which are read once for each set of outages. As long
as no branch is switched, loads, hubs and islanded hubs change nothing but the power fed into a bus: a hub whose switch
is open draws none.
"""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import dataclass

import numpy as np
import pandapower as pp
from numpy.typing import NDArray
from pandapower.pypower.bustypes import bustypes
from pandapower.pypower.idx_gen import PG
from pandapower.pypower.makeSbus import makeSbus

from ..units import KW_PER_MW
from .newton_solver import HeldNewton, PowerFlowEquations
from .pandapower_matrices import matrices_of

_SQRT3 = np.sqrt(3.0)


@dataclass(frozen=True)
class Draws:
    """Powers drawn from the network by its own loads and by its hubs.

    Attributes
    ----------
    own_bus, own_kva : arrays, shape (n_own,)
        Bus and complex power [kW, kvar] of each of the network's own loads at a scale of 1.
    hub_bus : array of int, shape (h,)
        Feeder bus of each hub.
    slack_bus : array of int
        Buses of the grid's own slacks, where imports are counted.
    """

    own_bus: NDArray
    own_kva: NDArray
    hub_bus: NDArray
    slack_bus: NDArray


@dataclass(frozen=True)
class SolvedFlow:
    """Voltages and flows of one solution; what has no source is at 0 (shapes as in `network.Result`)."""

    v_pu: NDArray
    hub_v_pu: NDArray
    line_loading_percent: NDArray
    trafo_loading_percent: NDArray
    losses_kw: float
    p_slack_kw: float


class Topology:
    """A network at fixed switch positions.

    Parameters
    ----------
    net : pandapowerNet
        Network that pandapower has just solved.
    bus_index : array of int, shape (n_bus,)
        Buses to report.
    draws : Draws
        Who draws power where.
    load_scale : float
        Scale of the network's own loads in that solution.
    hub_kva : array, shape (h,)
        Complex power of the hubs at their feeder buses in that solution [kW, kvar].
    solver : {"newton", "power_grid_model"}
        What solves it again.

    Raises
    ------
    ValueError
        If pandapower's solution is not one of the equations built here: the network has elements that are not linear.
    """

    def __init__(self, net: pp.pandapowerNet, bus_index, draws: Draws, load_scale, hub_kva, solver="newton"):
        known = matrices_of(net)
        self._base_kw = known.base_mva * KW_PER_MW
        self._bus_row = known.node_of(bus_index)
        self._hub_row = known.node_of(draws.hub_bus)
        self.energised = self._hub_row >= 0

        own_row = known.node_of(draws.own_bus)
        served = own_row >= 0
        self.unserved_kw = float(np.real(draws.own_kva[~served]).sum())
        self._s_own = np.zeros(len(known.bus), dtype=complex)
        np.add.at(self._s_own, own_row[served], draws.own_kva[served] / self._base_kw)

        ppc: dict = net["_ppc"]
        gen = ppc["gen"].copy()
        gen[ppc["internal"]["ref_gens"], PG] = 0.0  # slacks feed what is missing, nothing is scheduled for them
        gen = gen[ppc["internal"]["gen_is"]]
        self._s_fixed = makeSbus(known.base_mva, known.bus, gen) - self._fed_in(load_scale, hub_kva)

        _, pv, pq = bustypes(known.bus, gen)
        if solver == "power_grid_model":
            from .pgm_solver import PgmFlow  # an extra, which not everyone has

            self._solver = PgmFlow(known.base_mva, known.bus, known.branch, known.v_pu, pv, pq)
        else:
            self._solver = HeldNewton(PowerFlowEquations(known.y_bus, pv, pq), known.v_pu)

        self._slack_row = np.unique(known.node_of(draws.slack_bus))
        self._y_slack = known.y_bus[self._slack_row]
        self._y_branch = known.y_end
        self._end_row = known.end_node

        spans = net._pd2ppc_lookups["branch"]
        branch_is, i_ka = known.branch_in_service, known.base_ka
        self._lines = _Loading(spans.get("line"), branch_is, i_ka, _line_percent_per_ka(net.line))
        self._trafos = _Loading(spans.get("trafo"), branch_is, i_ka, _trafo_percent_per_ka(net.trafo))

        check = self.solve(load_scale, hub_kva)
        if check is None or not np.allclose(check.v_pu, self._reported(np.abs(known.v_pu)), rtol=0.0, atol=1e-6):
            raise ValueError("the network has elements whose power depends on the voltage, which are not supported")

    def __deepcopy__(self, memo):
        twin = copy(self)  # nothing changes but the solver's last solution
        twin._solver = deepcopy(self._solver, memo)
        return twin

    def solve(self, load_scale: float, hub_kva: NDArray) -> SolvedFlow | None:
        """Solve the flow at new powers (parameters as in `Topology`); None if the iteration does not converge."""
        s = self._s_fixed + self._fed_in(load_scale, hub_kva)
        v = self._solver.solve(s)
        if v is None:
            return None
        v_end = v[self._end_row]
        i_end = self._y_branch @ v
        s_slack = v[self._slack_row] * np.conj(self._y_slack @ v) - s[self._slack_row]
        i_end_pu = np.abs(i_end).reshape(2, -1)
        v_pu = np.abs(v)
        return SolvedFlow(
            v_pu=self._reported(v_pu),
            hub_v_pu=np.where(self.energised, v_pu[self._hub_row], 0.0),
            line_loading_percent=self._lines(i_end_pu),
            trafo_loading_percent=self._trafos(i_end_pu),
            losses_kw=float(np.vdot(i_end, v_end).real) * self._base_kw,
            p_slack_kw=float(s_slack.real.sum()) * self._base_kw,
        )

    def _fed_in(self, load_scale, hub_kva):
        """Complex power that loads and hubs feed into each bus [pu]; what is drawn at a dead bus is not served."""
        s = -load_scale * self._s_own
        np.subtract.at(s, self._hub_row[self.energised], hub_kva[self.energised] / self._base_kw)
        return s

    def _reported(self, v_pu):
        return np.where(self._bus_row >= 0, v_pu[self._bus_row], 0.0)


class _Loading:
    """Loading of one kind of branch, from the currents at both ends of all branches; 0 for a branch out of service."""

    def __init__(self, span, in_service, i_base_ka, percent_per_ka):
        start, stop = span or (0, 0)
        row = np.cumsum(in_service) - 1  # from all branches to those in service
        position = np.flatnonzero(in_service[start:stop])
        self._row = row[start:stop][position]
        self._position = position
        self._percent = i_base_ka[:, self._row] * percent_per_ka[:, position]
        self._count = percent_per_ka.shape[1]

    def __call__(self, i_end_pu):
        percent = np.zeros(self._count)
        percent[self._position] = (i_end_pu[:, self._row] * self._percent).max(axis=0)
        return percent


def _line_percent_per_ka(line):
    """Loading per current at either end, shape (2, n_line)."""
    rating_ka = (line.max_i_ka * line.df * line.parallel).to_numpy(float)
    return np.tile(100.0 / rating_ka, (2, 1))


def _trafo_percent_per_ka(trafo):
    """Loading per current at the high- and the low-voltage end, shape (2, n_trafo), by rated currents."""
    rated_mva = (trafo.sn_mva * trafo.parallel * trafo.df).to_numpy(float)
    return 100.0 * _SQRT3 * trafo[["vn_hv_kv", "vn_lv_kv"]].to_numpy(float).T / rated_mva
