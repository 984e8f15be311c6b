"""Search for the periods in which voltage limits can matter; the others need no model of voltages.

The limits of PV are first found without voltages. They stand if every PV power between them can still be served with
all voltages kept, for whatever power the EVs have then. Two ways to prove it for a period:

- Without limits of lines, the phases meet only in the voltages, and the rest of the problem sees only the net demand
  of a phase: demand plus EVs minus PV. One way to serve a phase is always open, if any is: a fixed reactive power of
  each unit, and as little active power from the source as it may give. Its voltages are linear in PV and EV power, with
  known extremes, so one linear program finds the reactive powers, or that there are none. So are the flows of lines
  that have a limit; where this way keeps them, too, it is as good.
- Where it does not keep them, linear programs find the extremes of each voltage over all that the other limits allow.
"""

from __future__ import annotations

from math import acos, inf, tan
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ...controllers.optimization.array_program import ArrayProgram
from .case import FeederCase
from .feeder import PHASES, Feeder
from .flow_equations import equations, grid


def voltage_matters(
    case: FeederCase, lower_kw: np.ndarray, upper_kw: np.ndarray, solver: str = "glpk", deadline: float = inf
) -> np.ndarray:
    """Find the periods in which voltages have to be modelled.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    lower_kw, upper_kw : ndarray, shape (n_pv, 3, t)
        PV power lies between them [kW].
    solver : {'glpk', 'highs'}
        Solver of the linear programs.
    deadline : float
        Value of `time.perf_counter` after which the second way is not tried any more.

    Returns
    -------
    ndarray of bool, shape (t,)
        False is a proof that voltages can be kept for all PV power within the limits that can be served without
        voltage limits; True is not a proof that they cannot.
    """
    limited = any(line.limit_kva < inf for line in case.feeder.lines)

    def kept(t: int) -> bool:
        free = _free(case, t, lower_kw, upper_kw)
        return _kept_by_rule(case, free, t, solver) or (limited and _kept_by_programs(case, free, t, solver, deadline))

    return np.array([not kept(t) for t in range(case.periods)])


class _Free(NamedTuple):
    """Range of the power that PV or EVs draw in one phase of one bus: node, phase, smallest and largest [kW]."""

    node: int
    phase: int
    low: float
    high: float


def _free(case: FeederCase, t: int, lower_kw: np.ndarray, upper_kw: np.ndarray) -> list[_Free]:
    """Return the ranges of the power of all PV units and EVs in a period."""
    place = {node: k for k, node in enumerate(case.feeder.nodes)}
    free = [
        _Free(place[pv.bus, phase], phase, -upper_kw[i, phase, t], -lower_kw[i, phase, t])
        for i, pv in enumerate(case.pvs)
        for phase in pv.phase_numbers
    ]
    free += [
        _Free(place[ev.bus, phase], phase, -ev.share(ev.discharge_kw), ev.share(ev.charge_kw))
        for ev in case.clusters
        if ev.first <= t <= ev.last
        for phase in ev.phase_numbers
    ]
    return free


def _kept_by_rule(case: FeederCase, free: list[_Free], t: int, solver: str) -> bool:
    """Return whether fixed reactive powers keep all limits of voltages and lines, for all PV and EV power to serve.

    The more reactive power the source may give, the wider the choice, but the more active power it has to give.
    """
    return any(_kept_with(case, free, t, solver, share) for share in (0.0, 0.5, 1.0))


def _kept_with(case: FeederCase, free: list[_Free], t: int, solver: str, share: float) -> bool:
    """Check this with a certain share of the reactive power that the source can give."""
    feeder = case.feeder
    u0, r, x = feeder.linear
    behind, limits_kva = _limited_flows(feeder)
    r = np.vstack([r, -behind])  # below the voltages stand the flows of limited lines
    place = {node: k for k, node in enumerate(feeder.nodes)}
    n = len(place)
    phase_of = np.array([phase for _, phase in feeder.nodes])
    p, q = np.zeros(len(place)), np.zeros(len(place))
    for table, drawn in ((case.demand_kw, p), (case.demand_kvar, q)):
        for bus, series in table.items():
            for phase in (phase for b, phase in place if b == bus):
                drawn[place[bus, phase]] += series[t, phase]
    lowest, highest = (np.append(u0 - x @ q, np.zeros(len(behind))) - r @ p for _ in range(2))
    units = [(place[unit.bus, phase], phase, unit.share(unit.q_max_kvar)) for unit in (*case.dgs, *case.pvs)
             for phase in unit.phase_numbers]  # fmt: skip
    node, unit_phase = (np.array([unit[k] for unit in units], dtype=int) for k in range(2))
    q_max_kvar = np.array([unit[2] for unit in units])
    reactive = np.array([q[phase_of == phase].sum() for phase in range(3)])
    room = np.zeros(3)  # for reactive power of the source
    for phase in range(3):
        mine = [free_power for free_power in free if free_power.phase == phase]
        limits = np.array([free_power.low for free_power in mine]), np.array([free_power.high for free_power in mine])
        net = float(p[phase_of == phase].sum())
        shares = np.zeros(len(place))  # of the generators
        for dg in case.dgs:
            if phase in dg.phase_numbers:
                shares[place[dg.bus, phase]] += dg.share(dg.p_max_kw)
        size = shares.sum()
        span = net + limits[0].sum(), net + limits[1].sum()
        needed = max(abs(reactive[phase]) - q_max_kvar[unit_phase == phase].sum(), 0.0)
        room[phase] = needed + share * (_room(case, needed, span, size) - needed)
        low, high = _source_range(case, room[phase])
        if low > high:
            return False
        effect = -r[:, [free_power.node for free_power in mine]]
        pieces = [_Piece(low + size - net, high + size - net, r @ shares, effect)]
        if size:  # the source gives its least, the generators the rest
            rest = r @ (shares / size)
            pieces.append(_Piece(low - net, low + size - net, rest * (net - low), rest[:, None] + effect))
        extremes = [piece.extremes(*limits) for piece in pieces if piece.meets(*limits)]
        if not extremes:
            return False
        lowest += np.min([piece for piece, _ in extremes], axis=0)
        highest += np.max([piece for _, piece in extremes], axis=0)
    fed = np.array([bus != feeder.source.bus for bus, _ in place])
    of_phase = (unit_phase == np.arange(3)[:, None]).astype(float)
    low, high = feeder.v_min_pu**2 - lowest[:n], feeder.v_max_pu**2 - highest[:n]
    active = np.maximum(np.abs(lowest[n:]), np.abs(highest[n:]))
    beside = np.minimum(limits_kva, case.diagonal * limits_kva - active)  # reactive flow that lines carry, too
    if np.any((low > high)[fed]) or np.any((active > limits_kva) | (beside < 0.0)):
        return False
    # what the units feed raises the voltages by x, relieves the lines, and must leave the source within its room
    matrix = np.vstack([x[:, node][fed], behind[:, node], of_phase])
    flow = behind @ q
    rows = (
        np.concatenate([low[fed], flow - beside, reactive - room]),
        np.concatenate([high[fed], flow + beside, reactive + room]),
    )
    if not units:
        return bool(np.all(rows[0] <= 0.0) and np.all(rows[1] >= 0.0))
    with ArrayProgram(matrix, np.zeros(q_max_kvar.size), -q_max_kvar, q_max_kvar, *rows, solver=solver) as program:
        return program.solve().ok


def _limited_flows(feeder: Feeder) -> tuple[np.ndarray, np.ndarray]:
    """Phases of lines with a limit: which of the n nodes they feed, shape (m, n), and their limits [kVA]."""
    fed = {bus: np.zeros((3, len(feeder.nodes))) for bus in feeder.buses}
    for k, (bus, phase) in enumerate(feeder.nodes):
        fed[bus][phase, k] = 1.0
    rows, limits = [np.zeros((0, len(feeder.nodes)))], []
    for line in reversed(feeder.oriented):
        fed[line.start] = fed[line.start] + fed[line.end]
        if line.limit_kva < inf:
            rows.append(fed[line.end][[PHASES.index(phase) for phase in line.phases]])
            limits += [line.limit_kva] * len(line.phases)
    return np.vstack(rows), np.array(limits)


def _room(case: FeederCase, min_kvar: float, span: tuple[float, float], size: float) -> float:
    """Return the largest reactive power of the source [kvar] that leaves as much room for net demand as `min_kvar`."""
    source = case.feeder.source
    low, high = _source_range(case, min_kvar)
    if low > high:
        return min_kvar
    needed = min(span[1], high + size) - size
    max_kvar = source.limit_kva
    if source.power_factor is None:
        needed = max(needed, -max(span[0], low))
    else:
        max_kvar = min(max_kvar, tan(acos(source.power_factor)) * max(span[0], low))
    max_kvar = min(max_kvar, case.diagonal * source.limit_kva - needed) if source.limit_kva < inf else min_kvar
    return max(min_kvar, max_kvar)


class _Piece(NamedTuple):
    """Squared voltages ``fixed + effect z`` where the sum of z is between `sum_min` and `sum_max`."""

    sum_min: float
    sum_max: float
    fixed: np.ndarray
    effect: np.ndarray

    def meets(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Return whether any z between low and high belongs to the piece."""
        return self.sum_min <= high.sum() + 1e-9 and self.sum_max >= low.sum() - 1e-9

    def extremes(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return smallest and largest value of each row."""
        bounds = low, high, self.sum_min, self.sum_max
        return self.fixed + _smallest(self.effect, *bounds), self.fixed - _smallest(-self.effect, *bounds)


def _source_range(case: FeederCase, reactive: float) -> tuple[float, float]:
    """Active power that the source can give in a phase beside a reactive power [kW], eq. (6)-(9), (12)-(13)."""
    source = case.feeder.source
    if reactive > source.limit_kva:
        return inf, -inf
    high = min(source.limit_kva, case.diagonal * source.limit_kva - reactive)
    if source.power_factor is None:
        return -high, high
    slope = tan(acos(source.power_factor))
    return (reactive / slope if slope else (0.0 if reactive == 0.0 else inf)), high


def _smallest(effect: np.ndarray, low: np.ndarray, high: np.ndarray, sum_min: float, sum_max: float) -> np.ndarray:
    """Return the smallest ``effect z`` of each row for ``low <= z <= high`` and ``sum_min <= sum(z) <= sum_max``.

    Starts where each z is best by itself, then moves those that cost least until the sum fits.
    """
    z = np.where(effect > 0.0, low, high)
    smallest = (effect * z).sum(axis=1)
    total = z.sum(axis=1)
    for row in np.flatnonzero((total < sum_min) | (total > sum_max)):
        missing = sum_min - total[row] if total[row] < sum_min else sum_max - total[row]
        room = (high if missing > 0 else low) - z[row]
        price = effect[row] * np.sign(missing)
        for k in np.argsort(price):
            moved = min(abs(missing), abs(room[k]))
            smallest[row] += price[k] * moved
            missing -= np.sign(missing) * moved
    return smallest


def _kept_by_programs(case: FeederCase, free: list[_Free], t: int, solver: str, deadline: float) -> bool:
    """Return whether no voltage can pass its limits, for all power that is served in any way."""
    whole = grid(case.feeder, zones=False)
    system = equations(case.one_period(t), [whole], np.ones(1, dtype=bool), slack=False)
    columns = np.array([system.squared[0, bus, phase] for bus, phase in case.feeder.nodes])
    fed = np.array([bus != case.feeder.source.bus for bus, _ in case.feeder.nodes])
    for free_power in free:
        system.add(system.balance[0, free_power.node], system.column(free_power.low, free_power.high), -1.0)
    arrays = system.arrays
    lower, upper = arrays["recourse_lower"], arrays["recourse_upper"]
    lower[columns[fed]], upper[columns[fed]] = -inf, inf
    rows = arrays["rhs"], np.where(arrays["equal"], arrays["rhs"], inf)
    with ArrayProgram(arrays["G"], np.zeros(lower.size), lower, upper, *rows, solver=solver) as program:
        for column in columns[fed]:
            if perf_counter() >= deadline:
                return False
            for sign, limit in ((1.0, case.feeder.v_min_pu**2), (-1.0, -(case.feeder.v_max_pu**2))):
                program.set_costs([column], sign)
                solution = program.solve()
                if not solution.ok or solution.objective < limit - 1e-9:
                    return False
            program.set_costs([column], 0.0)
    return True
