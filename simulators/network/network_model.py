"""The network that all hubs of a scenario share: balanced AC power flow, hubs that island, branches that fail.

Every hub has its own bus ``hub:<name>``, a closed bus-bus switch to its feeder bus, a load, and a secondary source that
is out of service; all these rows exist from the start. Islanding opens the switch and puts the source into service, a
dead hub has neither. The network itself has one source in each island (`network_build.build` refuses more), the switch
is open whenever the secondary source is in service, and outages only divide islands: no island ever has two sources,
and what is drawn from an island without any is reported.

Two solvers share the work. **pandapower** solves whenever branches were switched, and whenever the other one fails.
Between, only powers change, and `network_topology` solves the same equations from pandapower's own admittance
matrices, to the same mismatch, some hundred times faster; by choice power-grid-model does. pandapower's own shortcut,
``recycle``, is not used: after a change of switches or sources it returns old numbers without notice, and after a
divergence it does not recover.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandapower as pp
from numpy.typing import ArrayLike, NDArray
from pandapower.topology import unsupplied_buses

from ..units import KW_PER_MW
from .network_sources import DEFAULT, build, find_bus, find_row, sources
from .network_topology import Draws, SolvedFlow, Topology
from .pandapower_solver import solved_from_scratch

DEAD, GRID, SECONDARY = 0, 1, 2
"""What a hub bus is fed from (`bus_status`)."""

SECONDARY_V_PU = 1.0
"""Voltage that a secondary source holds at its hub bus [pu]."""

_BRANCHES = ("line", "trafo")


@dataclass(frozen=True)
class NetworkParameters:
    """Which network, and what hubs do to it.

    Attributes
    ----------
    net : str
        A name in `network_sources.available` (``lv_feeder``, ``case33bw``, ``cigre_lv``, ...) or the path of a
        pandapower JSON file (ends with ``.json``).
    replaces_load : frozenset of str
        Hubs that stand in the place of the load at their bus: the loads there are taken out of service.
    solver : {"newton", "power_grid_model"}
        What solves the network while only powers change; the second one comes with the extra `fast`.
    """

    net: str = DEFAULT
    replaces_load: frozenset[str] = frozenset()
    solver: Literal["newton", "power_grid_model"] = "newton"


@dataclass(frozen=True)
class Result:
    """One power flow. Arrays are read-only.

    Attributes
    ----------
    converged : bool
        False: there is no solution that could be found; all numbers that depend on it are NaN.
    v_pu : array, shape (n_bus,)
        Voltages in the order of `PlantNetwork.bus_index` [pu]; 0 where there is no source.
    hub_v_pu : array, shape (h,)
        Voltage of each hub bus [pu]: of its feeder bus, of its secondary source, or 0.
    line_loading_percent : array, shape (n_line,)
        Current at the more loaded end over the rated current, in the order of `PlantNetwork.line_index` [%].
    trafo_loading_percent : array, shape (n_trafo,)
        The same for two-winding transformers, in the order of `PlantNetwork.trafo_index` [%].
    losses_kw : float
        Active losses of all branches [kW].
    p_slack_kw : float
        Active power that the grid feeds into the network [kW], without secondary sources.
    energised : array of bool, shape (h,)
        Whether the feeder bus of each hub has a source, also while the hub is islanded.
    message : str
        What a reader has to know about this result; empty if nothing.
    problems : tuple of tuple of str
        What is wrong and with which hubs, as keys without figures: the same for the same trouble at other powers.
    """

    converged: bool
    v_pu: NDArray
    hub_v_pu: NDArray
    line_loading_percent: NDArray
    trafo_loading_percent: NDArray
    losses_kw: float
    p_slack_kw: float
    energised: NDArray
    message: str
    problems: tuple[tuple[str, ...], ...] = ()


class PlantNetwork:
    """A network, its hubs, and the last solution, from which the next one starts.

    Parameters
    ----------
    parameters : Parameters
        Source of the network.
    hubs : mapping of str to int or str
        Feeder bus of each hub, by pandapower index (int) or by name (str); several hubs may share a bus. The order is
        the hub order of all arrays.

    Attributes
    ----------
    hubs : tuple of str
        Hub names in order.
    bus_index, line_index, trafo_index : arrays of int
        pandapower indices that the arrays of a `Result` follow, without the buses of the hubs.
    net : pandapowerNet
        The network with the rows of the hubs, as pandapower solved it last. Powers of later solutions are not in it.

    Raises
    ------
    ImportError
        If power-grid-model is asked for and not installed.
    ValueError
        If the network cannot be had (see `network_build.build`); if a bus does not exist, is out of service or has no
        path to a source; if `replaces_load` names an unknown hub, or one whose bus has no load.

    Notes
    -----
    Balanced, positive sequence. Generators hold their voltage whatever reactive power that takes; tap changers and
    other pandapower controllers stay where they are.
    """

    def __init__(self, parameters: NetworkParameters, hubs: Mapping[str, int | str]):
        net = self.net = build(parameters.net)
        self._solver = parameters.solver
        self.hubs = tuple(hubs)
        self.bus_index = net.bus.index.to_numpy()
        self.line_index = net.line.index.to_numpy()
        self.trafo_index = net.trafo.index.to_numpy()

        hub_bus = [find_bus(net, bus, f"hub {name!r}") for name, bus in hubs.items()]
        without_source = unsupplied_buses(net)
        for name, bus in zip(hubs, hub_bus, strict=True):
            if bus in without_source:
                raise ValueError(f"hub {name!r}: bus {bus} has no path to a source of the network")
        self._replace_loads(dict(zip(self.hubs, hub_bus, strict=True)), parameters.replaces_load)

        own = net.load[net.load.in_service.astype(bool) & net.load.bus.map(net.bus.in_service).astype(bool)]
        self._own_row, self._own_scaling = own.index, own.scaling.to_numpy(float)
        self._draws = Draws(
            own_bus=own.bus.to_numpy(int),
            own_kva=(own.p_mw + 1j * own.q_mvar).to_numpy() * self._own_scaling * KW_PER_MW,
            hub_bus=np.array(hub_bus, dtype=int),
            slack_bus=np.array(sources(net), dtype=int),
        )
        rows = [_add_hub(net, name, bus) for name, bus in zip(hubs, hub_bus, strict=True)]
        self._load_row, self._switch_row, self._source_row = ([row[kind] for row in rows] for kind in range(3))
        self._in_service = {kind: net[kind].in_service.copy() for kind in _BRANCHES}
        self._topologies: dict[frozenset[int | str], Topology] = {}
        self._inputs: tuple | None = None
        self._result: Result
        idle = np.zeros(len(rows))
        self.solve(idle, idle, np.full(len(rows), GRID))  # pays for the first run, refuses what is not supported

    def __deepcopy__(self, memo: dict[int, Any]) -> PlantNetwork:
        twin = copy(self)  # the tables are never written into, see `_written`
        twin._topologies = deepcopy(self._topologies, memo)
        return twin

    def branch(self, name: int | str) -> str:
        """Find the unambiguous key of a line or transformer that can fail.

        Parameters
        ----------
        name : int or str
            Index of a line (int), a key ``line:<index>`` or ``trafo:<index>``, or the name of a line or transformer.

        Returns
        -------
        str
            ``line:<index>`` or ``trafo:<index>``.

        Raises
        ------
        ValueError
            If there is no such branch, or several.
        """
        if not isinstance(name, str):
            return f"line:{find_row(self.net.line, name, 'line', 'outage')}"
        kind, _, index = name.partition(":")
        if kind in _BRANCHES and index.isdigit():
            return f"{kind}:{find_row(self.net[kind], int(index), kind, 'outage')}"
        named = {kind: self.net[kind] for kind in _BRANCHES if (self.net[kind]["name"].astype(str) == name).any()}
        if len(named) > 1:
            raise ValueError(f"outage: {name!r} is a line and a transformer; use line:<index> or trafo:<index>")
        kind, table = next(iter(named.items()), ("line", self.net.line))
        return f"{kind}:{find_row(table, name, kind, 'outage')}"

    def solve(
        self,
        p_kw: ArrayLike,
        q_kvar: ArrayLike,
        bus_status: ArrayLike,
        load_scale: float = 1.0,
        lines_out: Collection[int | str] = frozenset(),
    ) -> Result:
        """Solve the power flow; return the previous result if the inputs are those of the previous call.

        Parameters
        ----------
        p_kw, q_kvar : array_like, shape (h,)
            Power that each hub draws, in hub order [kW, kvar]; negative feeds in. Only hubs on the grid count.
        bus_status : array_like of int, shape (h,)
            `DEAD`, `GRID` or `SECONDARY` for each hub.
        load_scale : float, optional
            Factor on the network's own loads.
        lines_out : collection of int or str, optional
            Branches that are out of service, in any form that `branch` knows.

        Returns
        -------
        Result
            The solution, or ``converged=False`` and a message.

        Raises
        ------
        ValueError
            If an array has another shape than (h,) or a value that is not finite, a status is unknown, `load_scale` is
            negative or not finite, or a branch does not exist.
        """
        p_kw, q_kvar, bus_status = self._checked(p_kw, q_kvar, bus_status, load_scale)
        out = frozenset(lines_out)
        inputs = (p_kw.tobytes(), q_kvar.tobytes(), bus_status.tobytes(), load_scale, out)
        if inputs == self._inputs:
            return self._result

        hub_kva = p_kw + 1j * q_kvar
        grid_kva = np.where(bus_status == GRID, hub_kva, 0.0)
        topology = self._topologies.get(out)
        flow = topology.solve(load_scale, grid_kva) if topology else None
        if flow is None:
            self.net = self._written(p_kw, q_kvar, bus_status, load_scale, out)
            if solved_from_scratch(self.net):
                topology = Topology(self.net, self.bus_index, self._draws, load_scale, grid_kva, self._solver)
                self._topologies[out] = topology
                flow = topology.solve(load_scale, grid_kva)
        if topology:
            energised, unserved_kw = topology.energised, topology.unserved_kw * load_scale
        else:
            dead = unsupplied_buses(self.net)
            energised, unserved_kw = np.array([bus not in dead for bus in self._draws.hub_bus], dtype=bool), 0.0
        self._result = self._report(flow, bus_status, hub_kva, energised, unserved_kw)
        self._inputs = inputs
        return self._result

    def _replace_loads(self, bus_of: dict[str, int], replacing: Collection[str]) -> None:
        for name in replacing:
            if name not in bus_of:
                raise ValueError(f"replaces_load: there is no hub {name!r}; hubs are {', '.join(bus_of) or 'none'}")
            loads = self.net.load.index[self.net.load.bus == bus_of[name]]
            if loads.empty:
                raise ValueError(f"hub {name!r}: bus {bus_of[name]} has no load to replace")
            self.net.load.loc[loads, "in_service"] = False

    def _checked(self, p_kw, q_kvar, bus_status, load_scale):
        p_kw, q_kvar, bus_status = np.array(p_kw, float), np.array(q_kvar, float), np.array(bus_status, int)
        shape = (len(self.hubs),)
        for name, array in (("p_kw", p_kw), ("q_kvar", q_kvar), ("bus_status", bus_status)):
            if array.shape != shape:
                raise ValueError(f"{name}: one value for each of the {shape[0]} hubs, got shape {array.shape}")
        if not math.isfinite(p_kw.sum() + q_kvar.sum()):
            raise ValueError(f"p_kw and q_kvar must be finite, got {p_kw} and {q_kvar}")
        if not 0.0 <= load_scale < math.inf:
            raise ValueError(f"load_scale must be finite and >= 0, got {load_scale}")
        if not set(bus_status.tolist()) <= {DEAD, GRID, SECONDARY}:
            raise ValueError(f"bus_status: {DEAD} (dead), {GRID} (grid) or {SECONDARY} (secondary), got {bus_status}")
        return p_kw, q_kvar, bus_status

    def _written(self, p_kw, q_kvar, bus_status, load_scale, out) -> pp.pandapowerNet:
        """Bring all rows of the pandapower network to this state, whatever it was in before, in a copy of it."""
        net = deepcopy(self.net)
        net.load.loc[self._load_row, "p_mw"] = p_kw / KW_PER_MW
        net.load.loc[self._load_row, "q_mvar"] = q_kvar / KW_PER_MW
        net.load.loc[self._own_row, "scaling"] = self._own_scaling * load_scale
        net.switch.loc[self._switch_row, "closed"] = bus_status == GRID
        net.ext_grid.loc[self._source_row, "in_service"] = bus_status == SECONDARY
        for kind, in_service in self._in_service.items():
            net[kind]["in_service"] = in_service
        for key in out:
            kind, _, index = self.branch(key).partition(":")
            net[kind].loc[int(index), "in_service"] = False
        return net

    def _report(self, flow: SolvedFlow | None, bus_status, hub_kva, energised, unserved_kw) -> Result:
        on_grid = bus_status == GRID
        notes, problems = [], []
        if flow is None:
            problems.append(("diverged", *(self.hubs[hub] for hub in np.flatnonzero(on_grid))))
            drawn = ", ".join(f"{self.hubs[hub]} {hub_kva[hub].real:.1f} kW" for hub in np.flatnonzero(on_grid))
            notes.append(f"the power flow does not converge, probably for too high a load (hubs: {drawn or 'none'})")
        if unserved_kw:
            problems.append(("load without source",))
            notes.append(f"{unserved_kw:.1f} kW of the network's own load has no source")
        dead = (bus_status == DEAD) | (on_grid & ~energised)
        for hub in np.flatnonzero(dead & (hub_kva != 0.0)):
            problems.append(("hub without source", self.hubs[hub]))
            notes.append(f"hub {self.hubs[hub]!r} draws {hub_kva[hub].real:.1f} kW from a bus without source")

        found = self._unknown(energised) if flow is None else flow
        hub_v_pu = np.where(on_grid, found.hub_v_pu, np.where(bus_status == SECONDARY, SECONDARY_V_PU, 0.0))
        arrays = (found.v_pu, hub_v_pu, found.line_loading_percent, found.trafo_loading_percent)
        for array in (*arrays, energised):
            array.setflags(write=False)
        return Result(
            flow is not None,
            *arrays,
            found.losses_kw,
            found.p_slack_kw,
            energised,
            message="; ".join(notes),
            problems=tuple(problems),
        )

    def _unknown(self, energised) -> SolvedFlow:
        """No number where there is no solution: a NaN cannot be taken for one."""
        return SolvedFlow(
            v_pu=np.full(self.bus_index.size, math.nan),
            hub_v_pu=np.where(energised, math.nan, 0.0),
            line_loading_percent=np.full(self.line_index.size, math.nan),
            trafo_loading_percent=np.full(self.trafo_index.size, math.nan),
            losses_kw=math.nan,
            p_slack_kw=math.nan,
        )


def _add_hub(net: pp.pandapowerNet, name: str, feeder_bus: int) -> tuple[int, int, int]:
    """Rows of a hub that is on the grid: load, switch, secondary source."""
    label = f"hub:{name}"
    bus = pp.create_bus(net, vn_kv=net.bus.at[feeder_bus, "vn_kv"], name=label)
    load = pp.create_load(net, bus, p_mw=0.0, q_mvar=0.0, name=label)
    switch = pp.create_switch(net, feeder_bus, bus, et="b", closed=True, name=label)
    source = pp.create_ext_grid(net, bus, vm_pu=SECONDARY_V_PU, in_service=False, name=label)
    return int(load), int(switch), int(source)
