"""The economic dispatch of the window (process 410): the hubs' blocks and the constraints of their network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC
from scipy import sparse

from ..optimization.blocks import loads_block
from ..optimization.hub_model import HubData, HubModel, HubPlan, other_kw
from ..optimization.program import Program
from .constraints import Cut

PENALTY_PER_KWH = 1e6
"""Cost of breaking a constraint of the network, by what it takes to keep it [1/kWh]: dearer than any load."""
BROKEN_KW = 1e-3
"""A constraint that is broken by less counts as kept [kW]."""
_SMALL_SLOPE = 1e-6
"""Sensitivities that are smaller, beside the largest of their constraint, are left out."""


@dataclass(frozen=True)
class Places:
    """Where the parts of a hub are connected: positions in the list of all places.

    Parameters
    ----------
    pv, bess, dg, load : int
        Places of the devices.
    sessions : tuple of int
        Place of each EV of the window.
    """

    pv: int
    bess: int
    dg: int
    load: int
    sessions: tuple[int, ...]


@dataclass(frozen=True)
class EmsSchedule:
    """A power schedule of all hubs.

    Parameters
    ----------
    plans : mapping of str to HubPlan
        One for each hub.
    u : ndarray, shape (k, 2 m)
        Power fed in at each place: active [kW], then reactive [kvar].
    rest : ndarray, shape (k, 2 m)
        The same if nothing but the load were on.
    cost : float
        Cost of the plans.
    breaks_kw : ndarray, shape (n_cuts,)
        By how much each constraint of the network is broken: the power that is missing to keep it [kW].
    """

    plans: Mapping[str, HubPlan]
    u: np.ndarray
    rest: np.ndarray
    cost: float
    breaks_kw: np.ndarray

    @property
    def broken_kw(self) -> float:
        """The largest break [kW]."""
        return float(self.breaks_kw.max(initial=0.0))

    def broken(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Return those constraints of the schedule that are broken."""
        return [cut for cut, kw in zip(cuts, self.breaks_kw, strict=True) if kw > BROKEN_KW]

    def held_back(self, share: np.ndarray, hubs: Collection[str]) -> EmsSchedule:
        """Scale all set points of some hubs by a share for each step, shape (k,); the load is served as before."""
        plans = dict(self.plans)
        for name in hubs:
            plan = plans[name]
            net_kw = plan.load_kw.sum(axis=0) + share * (
                plan.session_kw.sum(axis=0) - plan.pv_kw - plan.bess_kw - plan.dg_kw
            )
            net_kw = net_kw - plan.other_kw
            scaled = [f"{device}_{power}" for device in ("pv", "bess", "dg", "session") for power in ("kw", "q_kvar")]
            plans[name] = replace(
                plan,
                buy_kw=np.maximum(net_kw, 0.0),
                sell_kw=np.maximum(-net_kw, 0.0),
                **{item: getattr(plan, item) * share for item in scaled},
            )
        return replace(self, plans=plans, u=self.rest + share[:, None] * (self.u - self.rest))


class DispatchError(RuntimeError):
    """The dispatch has no solution."""


class EmsDispatch:
    """The model of a window, loaded once; `solve` can be called again with more constraints.

    Constraints of the network are put behind the rows that are there, and the solver goes on from its last basis.
    It belongs to the thread that made it, and is closed by ``with`` or `close`.

    Parameters
    ----------
    hubs : mapping of str to HubData
        The hubs, on the same grid of steps, whose first step is open.
    places : mapping of str to Places
        Hubs on the network, and where their parts are connected.
    n_places : int
        Number of places m.
    shared_kw : ndarray, shape (k,), optional
        Limit on what several hubs purchase together [kW]; inf where there is none.
    shared_by : sequence of str
        Those hubs.
    solver : {'glpk', 'highs'}
        Who solves it.
    time_limit_s : float
        For one solve [s].
    """

    def __init__(
        self,
        hubs: Mapping[str, HubData],
        places: Mapping[str, Places],
        n_places: int,
        shared_kw: np.ndarray | None = None,
        shared_by: Sequence[str] = (),
        solver: str = "glpk",
        time_limit_s: float = 60.0,
    ):
        began = perf_counter()
        self.steps = next(iter(hubs.values())).steps
        self.places, self._m, self._time_limit_s = places, n_places, time_limit_s
        self._models = {name: HubModel(data) for name, data in hubs.items()}
        model: Any = pyo.ConcreteModel()
        with PauseGC():
            for n, (name, hub) in enumerate(self._models.items()):
                model.add_component(f"hub_{n}_{name}", hub.block)
            if shared_kw is not None and shared_by:
                grids: list[Any] = [self._models[name].block.component("grid") for name in shared_by]
                model.shared = pyo.Constraint(
                    np.flatnonzero(np.isfinite(shared_kw)).tolist(),
                    rule=lambda _, t: sum(grid.buy[t] - grid.sell[t] for grid in grids) <= float(shared_kw[t]),
                )
            model.cost = pyo.Objective(expr=sum(hub.cost for hub in self._models.values()))
            self._program = Program(model, solver)
        self._terms = self._fed_in()
        self._u: dict[int, np.ndarray] = {}
        self._cuts: dict[Cut, tuple[int, int]] = {}
        self.seconds = perf_counter() - began

    def __enter__(self) -> EmsDispatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the solver and free its memory; a second call does nothing."""
        self._program.close()

    def solve(self, cuts: Sequence[Cut], boxes: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> EmsSchedule:
        """Dispatch under constraints of the network.

        Parameters
        ----------
        cuts : sequence of Cut
            All constraints so far; earlier ones that are not among them are let go.
        boxes : mapping of int to (ndarray, ndarray)
            Of some steps, the least and most that may be fed in at each place, shapes (2 m,) [kW, kvar].

        Returns
        -------
        EmsSchedule

        Raises
        ------
        DispatchError
            If there is no solution, or none in time; with what the solver says.
        """
        began = perf_counter()
        program = self._program
        self._open(sorted(({cut.step for cut in cuts} | set(boxes)) - set(self._u)))
        self._add([cut for cut in cuts if cut not in self._cuts])
        self._hold(cuts, boxes)
        solution = program.solve(time_limit_s=self._time_limit_s)
        if not solution.ok:
            reasons = "; ".join(solution.conflict[:3])
            raise DispatchError(f"{solution.status.value}{': ' if reasons else ''}{reasons}")
        plans = {name: hub.plan(program) for name, hub in self._models.items()}
        broken = program.values(np.array([self._cuts[cut][1] for cut in cuts], dtype=int))
        self.seconds += perf_counter() - began
        u, rest = set_points(plans, self.places, self._m)
        cost = sum(plan.cost for plan in plans.values())
        return EmsSchedule(plans, u, rest, cost, broken)

    def clipped(self, schedule: EmsSchedule) -> EmsSchedule:
        """Clip a scaled-down schedule to the minimum power of the generators and the purchase limits."""
        plans = dict(schedule.plans)
        for name in self.places:
            plan, data = plans[name], self._models[name].data
            dg_kw = plan.dg_kw
            if data.dg is not None:
                dg_kw = np.where(dg_kw > BROKEN_KW, np.maximum(dg_kw, data.dg.minimum_kw), 0.0)
            plan = balanced(replace(plan, dg_kw=dg_kw))
            charge_kw = np.maximum(plan.session_kw, 0.0)
            max_kw = data.grid.import_kw if data.grid is not None else np.inf
            over_kw = np.maximum(plan.buy_kw - plan.sell_kw - max_kw, 0.0)
            fewer = 1.0 - np.minimum(over_kw / np.maximum(charge_kw.sum(axis=0), 1e-9), 1.0)
            session_kw = np.where(charge_kw > 0.0, fewer, 1.0) * plan.session_kw
            plans[name] = balanced(replace(plan, session_kw=session_kw))
        return replace(schedule, plans=plans, u=set_points(plans, self.places, self._m)[0])

    def _open(self, steps: list[int]) -> None:
        """Give some steps columns for what is fed in at each place, and the rows that say what that is."""
        if not steps:
            return
        at, count, size = np.array(steps), 2 * self._m, self._program.size
        row, column, value = (
            [np.arange(count * at.size)],
            [size + np.arange(count * at.size)],
            [-np.ones(count * at.size)],
        )
        constant = np.zeros((count, at.size))
        for j, (fixed, terms) in enumerate(self._terms):
            constant[j] = -fixed[at]
            for sign, columns in terms:
                row.append(j * at.size + np.arange(at.size))
                column.append(columns[at])
                value.append(np.full(at.size, sign))
        rows = _sparse(row, column, value, (count * at.size, size + count * at.size))
        free, none = np.full(count * at.size, np.inf), np.zeros(count * at.size)
        u, _ = self._program.extend(-free, free, none, rows, constant.ravel(), constant.ravel())
        self._u |= dict(zip(steps, u.reshape(count, -1).T, strict=True))

    def _add(self, cuts: list[Cut]) -> None:
        """Add constraints, each with a column for by how much it is broken."""
        if not cuts:
            return
        size, k = self._program.size, len(cuts)
        row, column, value = [np.arange(k)], [size + np.arange(k)], [np.where([cut.upper for cut in cuts], -1.0, 1.0)]
        for n, cut in enumerate(cuts):
            slope = cut.slope / cut.scale
            near = np.flatnonzero(np.abs(slope) > _SMALL_SLOPE)
            row.append(np.full(near.size, n))
            column.append(self._u[cut.step][near])
            value.append(slope[near])
        price = PENALTY_PER_KWH * self.steps.hours[[cut.step for cut in cuts]]
        free = np.full(k, np.inf)
        rows = _sparse(row, column, value, (k, size + k))
        broken, at = self._program.extend(np.zeros(k), free, price, rows, -free, free)
        self._cuts |= dict(zip(cuts, zip(at.tolist(), broken.tolist(), strict=True), strict=True))

    def _hold(self, cuts: Sequence[Cut], boxes: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Bounds of this solve: of the constraints that count, and of what is fed in."""
        bounds = {row: (-np.inf, np.inf) for row, _ in self._cuts.values()}
        for cut in cuts:
            slope = cut.slope / cut.scale
            near = np.abs(slope) > _SMALL_SLOPE
            room = (cut.limit - cut.value) / cut.scale + float(slope[near] @ cut.point[near])
            bounds[self._cuts[cut][0]] = (-np.inf, room) if cut.upper else (room, np.inf)
        if bounds:
            self._program.set_row_bounds(np.array(list(bounds)), *np.array(list(bounds.values())).T)
        free = np.full(2 * self._m, np.inf)
        for step, columns in self._u.items():
            self._program.set_bounds(columns, *boxes.get(step, (-free, free)))

    def _fed_in(self) -> list[tuple[np.ndarray, list[tuple[float, np.ndarray]]]]:
        """Constant and terms (sign, columns of the steps) of what is fed in at each place: active, then reactive."""
        fed_in = [(np.zeros(self.steps.n), []) for _ in range(2 * self._m)]
        for name, places in self.places.items():
            hub = self._models[name]
            for part in ("pv", "bess", "dg", "load", "sessions"):
                for reactive, terms in ((False, hub.injection(part)), (True, hub.reactive(part))):
                    where = places.sessions if part == "sessions" else (getattr(places, part),)
                    if reactive and part == "sessions" and hub.data.sessions is not None:
                        where = tuple(where[k] for k in hub.data.sessions.inverters)
                    for n, (sign, entries) in enumerate(terms):
                        position = where[n % len(where)] + self._m * reactive
                        fed_in[position][1].append((sign, self._program.columns(entries)))
            if hub.data.load is not None:
                fed_in[places.load][0][:] -= loads_block.fixed_kw(self.steps, hub.data.load)
            fed_in[places.load][0][:] += other_kw(hub.data)
        return fed_in


def balanced(plan: HubPlan) -> HubPlan:
    """Set purchase and sale of a plan to what balances the powers of its devices."""
    net_kw = plan.load_kw.sum(axis=0) + plan.session_kw.sum(axis=0) - plan.pv_kw - plan.bess_kw - plan.dg_kw
    net_kw = net_kw - plan.other_kw
    return replace(plan, buy_kw=np.maximum(net_kw, 0.0), sell_kw=np.maximum(-net_kw, 0.0))


def set_points(plans: Mapping[str, HubPlan], places: Mapping[str, Places], m: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum what plans feed in at each of m places, and what their loads alone do, both of shape (k, 2 m) [kW, kvar]."""
    rest = np.zeros((len(next(iter(plans.values())).buy_kw), 2 * m))
    u = np.zeros_like(rest)
    for name, at in places.items():
        plan = plans[name]
        rest[:, at.load] += plan.other_kw - plan.load_kw.sum(axis=0)
        for device in ("pv", "bess", "dg"):
            u[:, getattr(at, device)] += getattr(plan, f"{device}_kw")
            u[:, m + getattr(at, device)] += getattr(plan, f"{device}_q_kvar")
        for place, charge, q_kvar in zip(at.sessions, plan.session_kw, plan.session_q_kvar, strict=True):
            u[:, place] -= charge
            u[:, m + place] += q_kvar
    return u + rest, rest


def _sparse(row: list[np.ndarray], column: list[np.ndarray], value: list[np.ndarray], shape: tuple[int, int]) -> Any:
    """A matrix from its entries; those in the same place add up."""
    entries = np.concatenate(value), (np.concatenate(row), np.concatenate(column))
    return sparse.csr_array(sparse.coo_array(entries, shape=shape))
