"""Periods in which a voltage limit can matter, so that all others do without voltages.

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

from ...controllers.optimization.program import Program
from ...controllers.optimization.standard_form import form_of_arrays
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
        Who solves the linear programs.
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
    """What PV or EVs may draw in one phase of one bus: node, phase, least and largest power [kW]."""

    node: int
    phase: int
    low: float
    high: float


def _free(case: FeederCase, t: int, lower_kw: np.ndarray, upper_kw: np.ndarray) -> list[_Free]:
    """All of them in a period."""
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
    """Whether one choice of reactive powers keeps all voltages and lines, for all PV and EV power that can be served.

    The more reactive power the source may give, the wider the choice, but the more active power it has to give.
    """
    return any(_kept_with(case, free, t, solver, share) for share in (0.0, 0.5, 1.0))


def _kept_with(case: FeederCase, free: list[_Free], t: int, solver: str, share: float) -> bool:
    """The same with this share of the reactive power that the source can give without harm."""
    feeder = case.feeder
    behind, limits_kva = _limited_flows(feeder)
    p, q = _demand(case, t)
    units = _reactive_units(case)
    extremes = _extremes(case, free, p, q, behind, units, share)
    if extremes is None:
        return False
    smallest, largest, room = extremes
    n = len(feeder.nodes)
    fed = np.array([bus != feeder.source.bus for bus, _ in feeder.nodes])
    low, high = feeder.v_min_pu**2 - smallest[:n], feeder.v_max_pu**2 - largest[:n]
    active = np.maximum(np.abs(smallest[n:]), np.abs(largest[n:]))
    beside = np.minimum(limits_kva, case.diagonal * limits_kva - active)  # reactive flow that lines carry, too
    if np.any((low > high)[fed]) or np.any((active > limits_kva) | (beside < 0.0)):
        return False
    # what the units feed raises the voltages by x, relieves the lines, and must leave the source within its room
    x, of_phase = feeder.linear[2], (units.phase == np.arange(3)[:, None]).astype(float)
    matrix = np.vstack([x[:, units.node][fed], behind[:, units.node], of_phase])
    flow, reactive = behind @ q, _by_phase(feeder, q)
    rows = (
        np.concatenate([low[fed], flow - beside, reactive - room]),
        np.concatenate([high[fed], flow + beside, reactive + room]),
    )
    q_max = units.q_max_kvar
    if not q_max.size:
        return bool(np.all(rows[0] <= 0.0) and np.all(rows[1] >= 0.0))
    with Program(form_of_arrays(matrix, np.zeros(q_max.size), -q_max, q_max, *rows), solver) as program:
        return program.solve().ok


class _ReactiveUnits(NamedTuple):
    """Generators and PV units in each of their phases: node, phase and largest reactive power [kvar], shape (k,)."""

    node: np.ndarray
    phase: np.ndarray
    q_max_kvar: np.ndarray


def _reactive_units(case: FeederCase) -> _ReactiveUnits:
    """All of them."""
    place = {node: k for k, node in enumerate(case.feeder.nodes)}
    units = [
        (place[unit.bus, phase], phase, unit.share(unit.q_max_kvar))
        for unit in (*case.dgs, *case.pvs)
        for phase in unit.phase_numbers
    ]
    node, phase = (np.array([unit[k] for unit in units], dtype=int) for k in range(2))
    return _ReactiveUnits(node, phase, np.array([unit[2] for unit in units]))


def _demand(case: FeederCase, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Active and reactive demand of each node in a period [kW, kvar]."""
    place = {node: k for k, node in enumerate(case.feeder.nodes)}
    p, q = np.zeros(len(place)), np.zeros(len(place))
    for table, drawn in ((case.demand_kw, p), (case.demand_kvar, q)):
        for bus, series in table.items():
            for phase in (phase for b, phase in place if b == bus):
                drawn[place[bus, phase]] += series[t, phase]
    return p, q


def _by_phase(feeder: Feeder, values: np.ndarray) -> np.ndarray:
    """Sums of the nodes' values over each phase, shape (3,)."""
    phase_of = np.array([phase for _, phase in feeder.nodes])
    return np.array([values[phase_of == phase].sum() for phase in range(3)])


def _extremes(
    case: FeederCase,
    free: list[_Free],
    p: np.ndarray,
    q: np.ndarray,
    behind: np.ndarray,
    units: _ReactiveUnits,
    share: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Least and largest squared voltages, below them flows of limited lines, without reactive power of the units.

    With them the reactive power that the source may give in each phase [kvar]. None where a phase cannot be served.
    """
    u0, r, x = case.feeder.linear
    r = np.vstack([r, -behind])
    smallest, largest = (np.append(u0 - x @ q, np.zeros(len(behind))) - r @ p for _ in range(2))
    net, reactive = _by_phase(case.feeder, p), _by_phase(case.feeder, q)
    room = np.zeros(3)
    for phase in range(3):
        mine = [one for one in free if one.phase == phase]
        limits = np.array([one.low for one in mine]), np.array([one.high for one in mine])
        shares = _generator_shares(case, phase)
        size = shares.sum()
        net_kw = float(net[phase])
        span = net_kw + limits[0].sum(), net_kw + limits[1].sum()
        needed = max(abs(reactive[phase]) - units.q_max_kvar[units.phase == phase].sum(), 0.0)
        room[phase] = needed + share * (_room(case, needed, span, size) - needed)
        source_kw = _source_range(case, room[phase])
        if source_kw[0] > source_kw[1]:
            return None
        pieces = _pieces(source_kw, net_kw, shares, r, -r[:, [one.node for one in mine]])
        found = [piece.extremes(*limits) for piece in pieces if piece.meets(*limits)]
        if not found:
            return None
        smallest += np.min([piece for piece, _ in found], axis=0)
        largest += np.max([piece for _, piece in found], axis=0)
    return smallest, largest, room


def _generator_shares(case: FeederCase, phase: int) -> np.ndarray:
    """Largest power of the generators in one phase, at each node [kW]."""
    place = {node: k for k, node in enumerate(case.feeder.nodes)}
    shares = np.zeros(len(place))
    for dg in case.dgs:
        if phase in dg.phase_numbers:
            shares[place[dg.bus, phase]] += dg.share(dg.p_max_kw)
    return shares


def _pieces(
    source_kw: tuple[float, float], net_kw: float, shares: np.ndarray, r: np.ndarray, effect: np.ndarray
) -> list[_Piece]:
    """Ways to serve a phase: first the generators give their most; else the source its least, and they the rest."""
    low, high = source_kw
    size = shares.sum()
    pieces = [_Piece(low + size - net_kw, high + size - net_kw, r @ shares, effect)]
    if size:
        rest = r @ (shares / size)
        pieces.append(_Piece(low - net_kw, low + size - net_kw, rest * (net_kw - low), rest[:, None] + effect))
    return pieces


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


def _room(case: FeederCase, smallest: float, span: tuple[float, float], size: float) -> float:
    """Most reactive power of the source [kvar] beside which as much net demand can be served as beside the least."""
    source = case.feeder.source
    low, high = _source_range(case, smallest)
    if low > high:
        return smallest
    needed = min(span[1], high + size) - size
    found = source.limit_kva
    if source.power_factor is None:
        needed = max(needed, -max(span[0], low))
    else:
        found = min(found, tan(acos(source.power_factor)) * max(span[0], low))
    found = min(found, case.diagonal * source.limit_kva - needed) if source.limit_kva < inf else smallest
    return max(smallest, found)


class _Piece(NamedTuple):
    """Squared voltages ``fixed + effect z`` as long as the sum of z is between `smallest` and `largest`."""

    smallest: float
    largest: float
    fixed: np.ndarray
    effect: np.ndarray

    def meets(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Return whether any z between low and high belongs to it."""
        return self.smallest <= high.sum() + 1e-9 and self.largest >= low.sum() - 1e-9

    def extremes(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the smallest and the largest value of each row."""
        bounds = low, high, self.smallest, self.largest
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


def _smallest(effect: np.ndarray, low: np.ndarray, high: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    """Smallest ``effect z`` for ``low <= z <= high`` and ``smallest <= sum(z) <= largest``, for each row of effects.

    Starts where each z is best by itself, then moves those that cost least until the sum fits.
    """
    z = np.where(effect > 0.0, low, high)
    found = (effect * z).sum(axis=1)
    total = z.sum(axis=1)
    for row in np.flatnonzero((total < smallest) | (total > largest)):
        missing = smallest - total[row] if total[row] < smallest else largest - total[row]
        room = (high if missing > 0 else low) - z[row]
        price = effect[row] * np.sign(missing)
        for k in np.argsort(price):
            moved = min(abs(missing), abs(room[k]))
            found[row] += price[k] * moved
            missing -= np.sign(missing) * moved
    return found


def _kept_by_programs(case: FeederCase, free: list[_Free], t: int, solver: str, deadline: float) -> bool:
    """Whether no voltage can pass its limits, whatever is served in whatever way."""
    whole = grid(case.feeder, zones=False)
    found = equations(case.one_period(t), [whole], np.ones(1, dtype=bool), slack=False)
    columns = np.array([found.squared[0, bus, phase] for bus, phase in case.feeder.nodes])
    fed = np.array([bus != case.feeder.source.bus for bus, _ in case.feeder.nodes])
    for one in free:
        found.add(found.balance[0, one.node], found.column(one.low, one.high), -1.0)
    arrays = found.arrays
    lower, upper = arrays["recourse_lower"], arrays["recourse_upper"]
    lower[columns[fed]], upper[columns[fed]] = -inf, inf
    rows = arrays["rhs"], np.where(arrays["equal"], arrays["rhs"], inf)
    with Program(form_of_arrays(arrays["G"], np.zeros(lower.size), lower, upper, *rows), solver) as program:
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
