"""The two-stage problem (1)-(33) of a case, and its solution by column-and-constraint generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ...controllers.optimization.robust import column_and_constraint
from ...controllers.optimization.robust.two_stage_problem import Part, Products, TwoStage, restricted, split
from .case import FeederCase
from .flow_equations import equations, grid, without_slack_limits
from .service import Service
from .voltage import voltage_matters

Tell = Callable[[str], None]


@dataclass(frozen=True)
class PvLimits:
    """Dispatchability limits of the PV units.

    Parameters
    ----------
    lower_kw, upper_kw : ndarray, shape (n_pv, 3, t)
        Any PV power between them can be served [kW]. How a total is shared by units of equal weight is one of several
        equally good ways.
    objective : float
        Upper bound of (1): minus the widths as shares of the ratings, plus the cost of what is not balanced.
    gap : float
        Distance of upper and lower bound of (1), summed over the independent parts: how much wider the limits might be.
    unbalanced : float
        Power that is not balanced in the worst case, summed over buses and periods [kW and kvar]; within the tolerance
        in a case that can be served, inf where no power keeps the voltages.
    voltage : ndarray of bool, shape (t,)
        Periods in which voltage limits had to be modelled.
    log : tuple of (int, Iteration)
        Part and round of the method.
    scenarios : tuple of ndarray
        Worst cases found in each part; a start for similar cases.
    seconds : float
        Wall time [s].
    """

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    objective: float
    gap: float
    unbalanced: float
    voltage: np.ndarray
    log: tuple[tuple[int, column_and_constraint.Iteration], ...]
    scenarios: tuple[np.ndarray, ...]
    seconds: float

    @property
    def totals_kw(self) -> np.ndarray:
        """Lower and upper limits of all units together, shape (2, 3, t) [kW]."""
        return np.stack([self.lower_kw.sum(axis=0), self.upper_kw.sum(axis=0)])

    @property
    def rounds(self) -> int:
        """Largest number of rounds of a part."""
        parts = [part for part, _ in self.log]
        return max((parts.count(part) for part in set(parts)), default=0)


def two_stage(case: FeederCase, voltage: np.ndarray) -> tuple[TwoStage, np.ndarray, np.ndarray]:
    """Build the matrices of the robust two-stage problem of a case.

    The binary V of (19)-(20) is left out: as printed, V = 1 forces both bounds to 0 and costs 1, while V = 0 allows
    the same at no cost and asks only for bounds within what is available, which (16) and (21) ask for anyway.
    PV units at one node have one binary of (21): the recourse sees only their sum, and its cost is convex in it.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    voltage : ndarray of bool, shape (t,)
        Periods in which voltages are modelled.

    Returns
    -------
    problem : TwoStage
        First stage: a lower bound for each place, then an upper bound for each.
    places : ndarray of int, shape (k, 3)
        PV unit, phase and period of each pair of bounds.
    ev : ndarray of int
        Places of the powers and energies of EVs in the recourse.
    """
    networks = {kind: grid(case.feeder, zones=not kind) for kind in (False, True)}
    grids = [networks[bool(kind)] for kind in voltage]
    system = equations(case, grids, voltage)
    available = case.available_kw
    places = np.argwhere(available > 0.0)
    n = len(places)
    numbers = {key: number for number, key in enumerate(system.balance)}
    rows, scenario = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    for place, (i, phase, t) in enumerate(places.tolist()):
        key = t, grids[t].node_of[case.pvs[i].bus, phase]
        rows[place], scenario[place] = system.balance[key], numbers[key]
    used = np.unique(scenario)
    scenario = np.searchsorted(used, scenario)
    arrays = system.arrays
    shape = arrays["rhs"].size
    first = np.arange(n)
    rating = np.array([case.pvs[i].share(case.pvs[i].p_max_kw) for i in places[:, 0]])
    gain = 1.0 / rating
    max_kw = available[tuple(places.T)]
    ones = np.ones(n)
    problem = TwoStage(
        cost=np.concatenate([gain, -gain]),
        lower=np.zeros(2 * n),
        upper=np.concatenate([max_kw, max_kw]),
        integer=np.zeros(2 * n, dtype=bool),
        limits=sparse.csr_array(sparse.hstack([-sparse.eye_array(n), sparse.eye_array(n)])),
        limits_lower=np.zeros(n),
        limits_upper=np.full(n, inf),
        E=sparse.csr_array((ones, (rows, first)), shape=(shape, 2 * n)),
        H=sparse.csr_array((shape, used.size)),
        products=Products(
            np.concatenate([rows, rows]),
            np.concatenate([scenario, scenario]),
            np.concatenate([first, first + n]),
            np.concatenate([-ones, ones]),
        ),
        **arrays,
    )
    return problem, places, np.array(system.ev, dtype=int)


def solve_limits(
    case: FeederCase,
    *,
    solver: str = "glpk",
    tolerance: float = 1e-3,
    time_limit_s: float | None = None,
    start: tuple[np.ndarray, ...] = (),
    tell: Tell | None = None,
) -> PvLimits:
    """Solve a case for its dispatchability limits.

    First without voltages; only periods in which they may matter (see `voltage`) are solved again with them. The
    problem falls into parts that share no equation (periods without EVs, phases without voltages), each solved by
    itself.

    Parts with EVs are first solved with a plan of the EVs that does not depend on PV. Then the periods meet in the plan
    alone, and each has a small search of its own. Those limits hold; where EVs that answer to PV could widen them by
    less than the tolerance, which the next master problem shows, they are the optimum. Otherwise the method goes on
    from them with the whole recourse.

    Limits that leave power unbalanced are worth nothing: where the penalty is too low to prevent them although the
    case can be served, all is solved again with ten times the penalty.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    solver : {'glpk', 'highs'}
        Solver of the linear and mixed-integer programs.
    tolerance : float
        Distance of the bounds at which a part is solved, in the unit of the objective: 1 is the whole rating of a
        unit's phase in one period, or 1 kW that is not balanced.
    time_limit_s : float, optional
        Wall time [s] after which no new search begins and running ones end. Parts without limits by then get the
        narrowest, one PV power that can be served, from one linear program each, which is not counted; nor is the
        building of the matrices. `PvLimits.gap` is the remaining distance of the bounds.
    start : tuple of ndarray
        ``PvLimits.scenarios`` of a case of the same shape.
    tell : callable, optional
        Called with a message on progress.

    Returns
    -------
    PvLimits
    """
    began = perf_counter()
    tell = tell or (lambda _: None)
    case = without_slack_limits(case)
    penalties = _penalties(case)
    deadline = inf if time_limit_s is None else began + time_limit_s
    search = _Search(replace(case, penalty=next(penalties)), solver, tolerance, deadline, {})
    voltage = np.zeros(case.periods, dtype=bool)
    while True:
        limits = _solve(search, voltage, start, tell)
        if limits.unbalanced <= tolerance:
            more = ~voltage & voltage_matters(case, limits.lower_kw, limits.upper_kw, solver, search.deadline)
            if not more.any():
                break
            if not voltage.any() and _min_unbalanced(case, solver) == inf:
                limits = replace(limits, unbalanced=inf)
                break
            voltage = voltage | more
            continue
        left = list(penalties)
        if not left or _min_unbalanced(case, solver) > tolerance:
            break
        penalty, *rest = left[-1:] if perf_counter() >= search.deadline else left
        penalties = iter(rest)
        tell(f"again with a penalty of {penalty:g}")
        search, start = search._replace(case=replace(case, penalty=penalty), known={}), limits.scenarios
    return replace(limits, seconds=perf_counter() - began)


def _penalties(case: FeederCase) -> Iterator[float]:
    """Yield the penalties to try in turn, until no width is worth power that is not balanced.

    A kW buys a width of 1 / rating by itself, but more where it holds a voltage that is in the way of many kW.
    """
    first = max([case.penalty, *(2.0 / pv.share(pv.p_max_kw) for pv in case.pvs)])
    yield from (first * 10.0**power for power in range(6))


def _min_unbalanced(case: FeederCase, solver: str) -> float:
    """Return the smallest power that is not balanced with any PV power."""
    with Service(case, solver) as service:
        return service.min_unbalanced()


class _Search(NamedTuple):
    """The data that all parts share, and the parts solved so far by their places and periods with voltages."""

    case: FeederCase
    solver: str
    tolerance: float
    deadline: float
    known: dict[tuple[bytes, bytes], column_and_constraint.Robust]

    def run(self, problem: TwoStage, start: Sequence[np.ndarray], **options) -> column_and_constraint.Robust:
        left_s = None if self.deadline == inf else max(self.deadline - perf_counter(), 0.0)
        options = {"solver": self.solver, "tolerance": self.tolerance, "time_limit_s": left_s, **options}
        return column_and_constraint.solve(problem, start=start, **options)


def _solve(search: _Search, voltage: np.ndarray, start: Sequence[np.ndarray], tell: Tell) -> PvLimits:
    """Solve for the limits with voltages modelled in some periods."""
    case = search.case
    problem, places, ev = two_stage(case, voltage)
    strength = case.radiation / (case.radiation.max(initial=0.0) or 1.0)
    scarce = np.append(problem.cost[: len(places)] * (1.0 - strength[places[:, 2]]), np.zeros(len(places)))
    parts = split(problem)
    x = np.where(problem.cost > 0.0, 0.0, problem.upper)
    log, scenarios = [], []
    objective = gap = unbalanced = 0.0
    for number, part in enumerate(parts):
        tell(f"part {number + 1} of {len(parts)}")
        first = list(start[number]) if len(start) == len(parts) and start[number].shape[1:] == (part.s.size,) else []
        early = np.flatnonzero(np.isin(part.y, ev))
        here = places[part.x % max(len(places), 1)]
        key = here.tobytes(), (voltage if early.size else voltage[here[:, 2]]).tobytes()
        part_limits = search.known.get(key) if here.size else None
        if part_limits is None:
            if early.size:
                part_limits = _with_plan(search, part, early, scarce[part.x], first)
            else:
                part_limits = search.run(part.problem, first)
            if part_limits.upper - part_limits.lower >= search.tolerance:
                part_limits = _single_point_if_better(search, part.problem, part_limits)
            search.known[key] = part_limits
        x[part.x] = part_limits.x
        objective += part_limits.upper
        gap += part_limits.upper - part_limits.lower
        unbalanced += part_limits.worst / case.penalty
        log += [(number, iteration) for iteration in part_limits.log]
        scenarios.append(part_limits.scenarios)
    n = len(places)
    bounds = np.zeros((2, *case.available_kw.shape))
    bounds[0][tuple(places.T)], bounds[1][tuple(places.T)] = x[:n], x[n:]
    bounds = np.clip(bounds, 0.0, case.available_kw)  # solvers obey bounds and rows to some digits only
    bounds[1] = bounds.max(axis=0)
    return PvLimits(bounds[0], bounds[1], objective, gap, unbalanced, voltage, tuple(log), tuple(scenarios), 0.0)


def _with_plan(
    search: _Search, part: Part, early: np.ndarray, scarce: np.ndarray, start: list
) -> column_and_constraint.Robust:
    """Solve a part with EVs: first with a fixed plan for them, then check whether EVs that respond to PV do better."""
    planned = restricted(part.problem, early)
    plan = search.run(planned, start)
    n = part.x.size
    whole = search.run(part.problem, list(plan.scenarios), incumbent=(plan.x[:n], plan.worst))
    whole = replace(whole, log=plan.log + whole.log)
    if perf_counter() >= search.deadline:
        return whole
    open_still = whole.upper - whole.lower >= search.tolerance or whole.worst > search.tolerance
    if open_still or not np.array_equal(whole.x, plan.x[:n]):
        return whole
    return _prefer_strong_sun(search, planned, plan, whole, scarce)


def _prefer_strong_sun(
    search: _Search,
    planned: TwoStage,
    plan: column_and_constraint.Robust,
    whole: column_and_constraint.Robust,
    scarce: np.ndarray,
) -> column_and_constraint.Robust:
    """Choose among equally good limits those that need PV power where the radiation is strong.

    EVs that may rest for some time of their stay leave a choice between periods that the objective does not see.
    """
    n = scarce.size
    cost = np.append(scarce, np.zeros(plan.x.size - n))
    as_good = sparse.csr_array(planned.cost[None, :])
    problem = replace(
        planned,
        cost=cost,
        limits=sparse.csr_array(sparse.vstack([planned.limits, as_good])),
        limits_lower=np.append(planned.limits_lower, -inf),
        limits_upper=np.append(planned.limits_upper, planned.cost @ plan.x),
    )
    preferred = search.run(problem, list(plan.scenarios), incumbent=(plan.x, plan.worst))
    if preferred.worst > search.tolerance:
        return whole
    return replace(whole, x=preferred.x[:n], worst=preferred.worst)


def _single_point_if_better(
    search: _Search, problem: TwoStage, limits: column_and_constraint.Robust
) -> column_and_constraint.Robust:
    """Return the limits, or if they are worse, the best single PV power as both limits."""
    nothing = np.zeros(problem.H.shape[1])
    point = search.run(replace(problem, limits_upper=np.zeros_like(problem.limits_upper)), [nothing], time_limit_s=0.0)
    # without a width, the worst case is every case, and its cost stands in the bound
    worst = point.lower - float(problem.cost @ point.x)
    if limits.upper <= point.lower and limits.worst <= worst + search.tolerance * search.case.penalty:
        return limits
    return replace(limits, x=point.x, upper=point.lower, worst=worst)
