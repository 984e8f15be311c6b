"""The equations of a case as matrices: balances, branch flow, limits of lines, source, generators and EVs.

Where voltages cannot reach their limits (see `voltage`) they are left out. Then the phases are independent, and buses
joined by lines without a limit share one balance, a *zone*: a flow that nothing limits makes the prices of both
ends equal, so this changes no result. Limits of lines that no flow can reach are dropped first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import acos, inf, tan
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .case import FeederCase
from .feeder import Feeder, Line


class Arc(NamedTuple):
    """A phase of a line between two nodes."""

    line: Line
    phase: int
    start: int
    end: int


@dataclass(frozen=True)
class FlowGrid:
    """Nodes and arcs of a feeder for power flows.

    Parameters
    ----------
    node_of : dict of (str, int) to int
        Node of each bus and phase.
    arcs : tuple of Arc
        Lines between different nodes.
    """

    node_of: dict[tuple[str, int], int]
    arcs: tuple[Arc, ...]

    @property
    def nodes(self) -> range:
        """All nodes."""
        return range(max(self.node_of.values()) + 1)


def grid(feeder: Feeder, zones: bool) -> FlowGrid:
    """Build nodes and arcs of a feeder; nodes are pairs of bus and phase, or zones without limits of lines within."""
    node_of = {node: number for number, node in enumerate(feeder.nodes)}
    kept = []
    for line in feeder.oriented:
        for phase in (phase for bus, phase in feeder.nodes if bus == line.end):
            start, end = node_of[line.start, phase], node_of[line.end, phase]
            if zones and line.limit_kva == inf:
                node_of = {key: start if node == end else node for key, node in node_of.items()}
            else:
                kept.append((line, phase))
    numbers = {node: number for number, node in enumerate(dict.fromkeys(node_of.values()))}
    node_of = {key: numbers[node] for key, node in node_of.items()}
    return FlowGrid(node_of, tuple(Arc(line, p, node_of[line.start, p], node_of[line.end, p]) for line, p in kept))


def without_slack_limits(case: FeederCase) -> FeederCase:
    """Remove the limits of lines that no dispatch can reach.

    Without losses the flow of a line is what the buses behind it draw, and what the source gives less what the others
    draw. Demand, ratings and the source bound both; a limit beyond these bounds in all phases and periods cuts off no
    dispatch that balances all power.

    Parameters
    ----------
    case : FeederCase
        A case without problems.

    Returns
    -------
    FeederCase
        The case with infinite limits in their place.
    """
    source, buses = case.feeder.source, case.feeder.buses
    drawn = {bus: np.zeros((2, 2, case.periods, 3)) for bus in buses}  # active, reactive; least, largest
    for kind, table in enumerate((case.demand_kw, case.demand_kvar)):
        for bus, series in table.items():
            drawn[bus][kind] += series
    for unit in (*case.dgs, *case.pvs):
        for phase in unit.phase_numbers:
            q_max = unit.share(unit.q_max_kvar)
            drawn[unit.bus][1, ..., phase] += np.array([[-q_max], [q_max]])
    for dg in case.dgs:
        drawn[dg.bus][0, 0][:, dg.phase_numbers] -= dg.share(dg.p_max_kw)
    for pv, available in zip(case.pvs, case.available_kw, strict=True):
        drawn[pv.bus][0, 0] -= available.T
    for ev in case.clusters:
        stay = slice(ev.first, ev.last + 1)
        drawn[ev.bus][0, 0][stay, ev.phase_numbers] -= ev.share(ev.discharge_kw)
        drawn[ev.bus][0, 1][stay, ev.phase_numbers] += ev.share(ev.charge_kw)
    behind = dict(drawn)
    for line in reversed(case.feeder.oriented):
        behind[line.start] = behind[line.start] + behind[line.end]
    limit = source.limit_kva
    fed = np.array([[-limit if source.power_factor is None else 0.0, limit], [-limit, limit]])[:, :, None, None]
    lines = []
    for line in case.feeder.oriented:
        beside = behind[source.bus] - behind[line.end]
        low = np.maximum(behind[line.end][:, 0], fed[:, 0] - beside[:, 1])
        high = np.minimum(behind[line.end][:, 1], fed[:, 1] - beside[:, 0])
        p, q = np.maximum(np.abs(low), np.abs(high))
        both = np.minimum(p + q, case.diagonal * limit + np.abs(beside).max(axis=1).sum(axis=0))
        slack = np.all((p <= line.limit_kva) & (q <= line.limit_kva) & (both <= case.diagonal * line.limit_kva))
        lines.append(replace(line, limit_kva=inf) if slack else line)
    return replace(case, feeder=replace(case.feeder, lines=tuple(lines)))


@dataclass
class Equations:
    """Rows ``G y >= rhs`` (``=`` where equal) of the recourse, without the PV power, to which rows are added.

    Attributes
    ----------
    balance : dict of (int, int) to int
        Row of the active power of a period and node.
    squared : dict of (int, str, int) to int
        Column of the squared voltage of a period, bus and phase.
    slack : list of (int, int, int)
        Column, period and node of power that is not balanced.
    ev : list of int
        Columns of powers and energies of EVs.
    """

    balance: dict[tuple[int, int], int] = field(default_factory=dict)
    squared: dict[tuple[int, str, int], int] = field(default_factory=dict)
    slack: list[tuple[int, int, int]] = field(default_factory=list)
    ev: list[int] = field(default_factory=list)
    _lower: list[float] = field(default_factory=list)
    _upper: list[float] = field(default_factory=list)
    _cost: list[float] = field(default_factory=list)
    _rhs: list[float] = field(default_factory=list)
    _equal: list[bool] = field(default_factory=list)
    _entries: tuple[list[float], list[float], list[float]] = field(default_factory=lambda: ([], [], []))

    def column(self, lower: float, upper: float, cost: float = 0.0) -> int:
        """Add a variable with bounds and cost, and return its column."""
        self._lower.append(lower)
        self._upper.append(upper)
        self._cost.append(cost)
        return len(self._cost) - 1

    def row(self, terms: list[tuple[int, float]], rhs: float, equal: bool = False) -> int:
        """Add a row from pairs of column and coefficient, and return its number."""
        number = len(self._rhs)
        self._rhs.append(rhs)
        self._equal.append(equal)
        for column, value in terms:
            self.add(number, column, value)
        return number

    def add(self, row: int, column: int, value: float) -> None:
        """Add a coefficient to a row."""
        for part, item in zip(self._entries, (row, column, value), strict=True):
            part.append(item)

    @property
    def arrays(self) -> dict[str, Any]:
        """Costs and bounds of the columns, matrix, right-hand side, kinds of rows; as `TwoStage` calls them."""
        rows, columns = (np.array(part, dtype=int) for part in self._entries[:2])
        values = np.array(self._entries[2])
        return {
            "recourse_cost": np.array(self._cost),
            "recourse_lower": np.array(self._lower),
            "recourse_upper": np.array(self._upper),
            "G": sparse.csr_array((values, (rows, columns)), shape=(len(self._rhs), len(self._cost))),
            "rhs": np.array(self._rhs),
            "equal": np.array(self._equal),
        }


def equations(case: FeederCase, grids: list[FlowGrid], voltage: np.ndarray, *, slack: bool = True) -> Equations:
    """Build all equations of a case except those of the PV power.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    grids : list of FlowGrid
        Grid of each period.
    voltage : ndarray of bool, shape (t,)
        Periods in which voltages are modelled; their grids have a node for each bus and phase.
    slack : bool
        Whether power that is not balanced is possible, at the case's penalty (33).

    Returns
    -------
    Equations
    """
    system = Equations()
    for t, now in enumerate(grids):
        _period(system, case, t, now, bool(voltage[t]), slack)
    for cluster in case.clusters:
        for phase in cluster.phase_numbers:
            _energy(system, case, cluster, phase, grids)
    return system


def _period(system: Equations, case: FeederCase, t: int, now: FlowGrid, voltage: bool, slack: bool) -> None:
    """Add balances (2)-(3), flows (4)-(9), generators (10)-(11), source (12)-(13) and PV's vars (15) of a period."""
    active: dict[int, list[tuple[int, float]]] = {node: [] for node in now.nodes}
    reactive: dict[int, list[tuple[int, float]]] = {node: [] for node in now.nodes}
    flows: dict[tuple[str, int], tuple[int, int]] = {}

    for arc in now.arcs:
        p, q = _flow(system, arc.line.limit_kva, case.diagonal)
        flows[arc.line.name, arc.phase] = p, q
        for terms, column in ((active, p), (reactive, q)):
            terms[arc.start].append((column, -1.0))
            terms[arc.end].append((column, 1.0))
    source = case.feeder.source
    for phase in range(3):
        p, q = _flow(system, source.limit_kva, case.diagonal, p_min_kw=-inf if source.power_factor is None else 0.0)
        if source.power_factor is not None:
            slope = tan(acos(source.power_factor))
            system.row([(p, slope), (q, -1.0)], 0.0)
            system.row([(p, slope), (q, 1.0)], 0.0)
        active[now.node_of[source.bus, phase]].append((p, 1.0))
        reactive[now.node_of[source.bus, phase]].append((q, 1.0))
    for dg in case.dgs:
        for phase in dg.phase_numbers:
            node, q_max = now.node_of[dg.bus, phase], dg.share(dg.q_max_kvar)
            active[node].append((system.column(0.0, dg.share(dg.p_max_kw)), 1.0))
            reactive[node].append((system.column(-q_max, q_max), 1.0))
    for pv in case.pvs:
        for phase in pv.phase_numbers:
            q_max = pv.share(pv.q_max_kvar)
            reactive[now.node_of[pv.bus, phase]].append((system.column(-q_max, q_max), 1.0))

    demand = np.zeros((2, len(now.nodes)))
    for kind, table in enumerate((case.demand_kw, case.demand_kvar)):
        for bus, series in table.items():
            for phase in (phase for b, phase in case.feeder.nodes if b == bus):
                demand[kind, now.node_of[bus, phase]] += series[t, phase]
    for node in now.nodes:
        for kind, terms in enumerate((active, reactive)):
            if slack:
                for sign in (1.0, -1.0):
                    column = system.column(0.0, inf, case.penalty)
                    system.slack.append((column, t, node))
                    terms[node].append((column, sign))
            row = system.row(terms[node], demand[kind, node], equal=True)
            if kind == 0:
                system.balance[t, node] = row
    if voltage:
        _voltages(system, case.feeder, t, flows)


def _flow(system: Equations, limit: float, diagonal: float, p_min_kw: float = -inf) -> tuple[int, int]:
    """Add active and reactive flow within the octagon (6)-(9), and return their columns."""
    p, q = system.column(max(-limit, p_min_kw), limit), system.column(-limit, limit)
    if limit < inf:
        for sign in (1.0, -1.0):
            system.row([(p, 1.0), (q, sign)], -diagonal * limit)
            system.row([(p, -1.0), (q, -sign)], -diagonal * limit)
    return p, q


def _voltages(system: Equations, feeder: Feeder, t: int, flows: dict[tuple[str, int], tuple[int, int]]) -> None:
    """Add the squared voltages along the lines, eq. (4)-(5), for the phases that lines have."""
    low, high = feeder.v_min_pu**2, feeder.v_max_pu**2
    for bus, phase in feeder.nodes:
        fixed = feeder.source.v_pu[phase] ** 2
        at_source = bus == feeder.source.bus
        system.squared[t, bus, phase] = system.column(*((fixed, fixed) if at_source else (low, high)))
    for line in feeder.oriented:
        r, x = feeder.drop(line)
        ratio = feeder.ratios.get(line.name, (1.0, 1.0, 1.0))
        there = [phase for phase in range(3) if (line.name, phase) in flows]
        for phase in there:
            terms = [(system.squared[t, line.end, phase], 1.0)]
            terms.append((system.squared[t, line.start, phase], -(ratio[phase] ** 2)))
            for other in there:
                p, q = flows[line.name, other]
                terms += [(p, r[phase, other]), (q, x[phase, other])]
            system.row(terms, 0.0, equal=True)


def _energy(system: Equations, case: FeederCase, cluster, phase: int, grids: list[FlowGrid]) -> None:
    """Add power (22)-(24) and energy (25)-(32) of one phase of a cluster for the periods of its stay.

    The energy at arrival holds at the end of the first period, as printed: power in that period is free.
    """
    before = -1
    for t in range(cluster.first, cluster.last + 1):
        p = system.column(-cluster.share(cluster.discharge_kw), cluster.share(cluster.charge_kw))
        system.add(system.balance[t, grids[t].node_of[cluster.bus, phase]], p, -1.0)
        limits = cluster.e_min_kwh, cluster.e_max_kwh
        if t == cluster.first:
            limits = cluster.e_arrival_kwh, cluster.e_arrival_kwh
        if t == cluster.last:
            limits = cluster.e_departure_kwh, cluster.e_departure_kwh
        energy = system.column(*(cluster.share(limit) for limit in limits))
        system.ev += [p, energy]
        if before >= 0:
            system.row([(energy, 1.0), (before, -1.0), (p, -case.step_h)], 0.0, equal=True)
        before = energy
