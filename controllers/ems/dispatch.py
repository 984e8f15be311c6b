"""The economic dispatch of the window (process 410): the hubs' blocks and the constraints of their network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC
from pyomo.core.expr import LinearExpression

from ..optimization.blocks import loads
from ..optimization.blocks.linear import array
from ..optimization.hub_model import HubData, HubModel, Plan
from ..optimization.program import Program
from .constraints import Cut

PENALTY_PER_KWH = 1e6
"""Cost of breaking a constraint of the network, by what it takes to keep it [1/kWh]: dearer than any load."""
BROKEN_KW = 1e-3
"""A constraint that is broken by less counts as kept [kW]."""


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
class Schedule:
    """A power schedule of all hubs.

    Parameters
    ----------
    plans : mapping of str to Plan
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

    plans: Mapping[str, Plan]
    u: np.ndarray
    rest: np.ndarray
    cost: float
    breaks_kw: np.ndarray

    @property
    def broken_kw(self) -> float:
        """The largest break [kW]."""
        return float(self.breaks_kw.max(initial=0.0))

    def broken(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Those of its constraints that are broken."""
        return [cut for cut, kw in zip(cuts, self.breaks_kw, strict=True) if kw > BROKEN_KW]

    def held_back(self, share: np.ndarray) -> Schedule:
        """The same with all set points of each step scaled, shape (k,); load is served as it was."""
        plans = {}
        for name, plan in self.plans.items():
            net_kw = plan.load_kw.sum(axis=0) + share * (
                plan.session_kw.sum(axis=0) - plan.pv_kw - plan.bess_kw - plan.dg_kw
            )
            scaled = ("pv_kw", "pv_q_kvar", "bess_kw", "bess_q_kvar", "dg_kw", "session_kw")
            plans[name] = replace(
                plan,
                buy_kw=np.maximum(net_kw, 0.0),
                sell_kw=np.maximum(-net_kw, 0.0),
                **{item: getattr(plan, item) * share for item in scaled},
            )
        return replace(self, plans=plans, u=self.rest + share[:, None] * (self.u - self.rest))


class DispatchError(RuntimeError):
    """The dispatch has no solution."""


class Dispatch:
    """The model of a window; `solve` it again and again with more constraints.

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
        self.steps = next(iter(hubs.values())).steps
        self.seconds = 0.0
        self._places, self._m = places, n_places
        self._solver, self._time_limit_s = solver, time_limit_s
        self._models = {name: HubModel(data) for name, data in hubs.items()}
        model: Any = pyo.ConcreteModel()
        self._model = model
        with PauseGC():
            for n, (name, hub) in enumerate(self._models.items()):
                model.add_component(f"hub_{n}_{name}", hub.block)
            if shared_kw is not None and shared_by:
                grids: list[Any] = [self._models[name].block.component("grid") for name in shared_by]
                model.shared = pyo.Constraint(
                    np.flatnonzero(np.isfinite(shared_kw)).tolist(),
                    rule=lambda _, t: sum(grid.buy[t] - grid.sell[t] for grid in grids) <= float(shared_kw[t]),
                )
        self._terms = self._fed_in()

    def solve(self, cuts: Sequence[Cut], boxes: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Schedule:
        """Dispatch under constraints of the network.

        Parameters
        ----------
        cuts : sequence of Cut
            All constraints so far.
        boxes : mapping of int to (ndarray, ndarray)
            Of some steps, the least and most that may be fed in at each place, shapes (2 m,) [kW, kvar].

        Returns
        -------
        Schedule

        Raises
        ------
        DispatchError
            If there is no solution, or none in time; with what the solver says.
        """
        began = perf_counter()
        model, hours = self._model, self.steps.hours
        with PauseGC():
            for item in ("cost", "network"):
                model.del_component(item)
            rows: Any = pyo.Block(concrete=True)
            model.network = rows
            rows.broken = pyo.Var(range(len(cuts)), domain=pyo.NonNegativeReals)
            self._constrain(rows, cuts, boxes)
            penalty = LinearExpression(
                linear_coefs=[PENALTY_PER_KWH * float(hours[cut.step]) for cut in cuts],
                linear_vars=list(rows.broken.values()),
            )
            cost = sum(hub.cost for hub in self._models.values())
            model.cost = pyo.Objective(expr=cost + penalty)
        with Program(model, self._solver) as program:
            solution = program.solve(time_limit_s=self._time_limit_s)
            if not solution.ok:
                reasons = "; ".join(solution.conflict[:3])
                raise DispatchError(f"{solution.status.value}{': ' if reasons else ''}{reasons}")
            plans = {name: hub.plan(program) for name, hub in self._models.items()}
            broken = program.values(program.columns(rows.broken)) if cuts else np.empty(0)
        self.seconds += perf_counter() - began
        u, rest = self._set_points(plans)
        cost = sum(plan.cost for plan in plans.values())
        return Schedule(plans, u, rest, cost, broken)

    def _constrain(self, block: Any, cuts: Sequence[Cut], boxes: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Rows over what is fed in at each place, in the steps that have any."""
        used = sorted({cut.step for cut in cuts} | set(boxes))
        limits = {
            (j, step): (float(low[j]), float(high[j]))
            for step, (low, high) in boxes.items()
            for j in range(2 * self._m)
        }
        block.u = pyo.Var(range(2 * self._m), used, bounds=lambda _, j, step: limits.get((j, step), (None, None)))

        def fed_in(_, j: int, step: int):
            constant, terms = self._terms[j]
            coefficients = [-1.0, *(sign for sign, _ in terms)]
            variables = [block.u[j, step], *(variable[step] for _, variable in terms)]
            return LinearExpression(linear_coefs=coefficients, linear_vars=variables) == -float(constant[step])

        block.fed_in = pyo.Constraint(range(2 * self._m), used, rule=fed_in)

        def kept(_, k: int):
            cut = cuts[k]
            scale = np.abs(cut.slope).max()  # in kW: rows of the same size as all others
            slope = cut.slope / scale
            near = np.flatnonzero(np.abs(slope) > 1e-6)
            room = (cut.limit - cut.value) / scale + float(slope[near] @ cut.point[near])
            body = LinearExpression(
                linear_coefs=[*slope[near].tolist(), -1.0 if cut.upper else 1.0],
                linear_vars=[*(block.u[j, cut.step] for j in near.tolist()), block.broken[k]],
            )
            return body <= room if cut.upper else body >= room

        block.kept = pyo.Constraint(range(len(cuts)), rule=kept)

    def _fed_in(self) -> list[tuple[np.ndarray, list[tuple[float, np.ndarray]]]]:
        """Constant and terms of what is fed in at each place: active, then reactive."""
        found = [(np.zeros(self.steps.n), []) for _ in range(2 * self._m)]
        for name, places in self._places.items():
            data = self._models[name].data
            block: Any = self._models[name].block
            for device in ("pv", "bess"):
                part, place = block.component(device), getattr(places, device)
                if part is None:
                    continue
                if device == "pv":
                    found[place][1].append((1.0, array(part, "power")))
                else:
                    found[place][1].extend([(1.0, array(part, "discharge")), (-1.0, array(part, "charge"))])
                if part.component("q_out") is not None:
                    found[self._m + place][1].extend([(1.0, array(part, "q_out")), (-1.0, array(part, "q_in"))])
            if data.dg is not None:
                found[places.dg][1].extend((1.0, piece) for piece in array(block.component("dg"), "power"))
            if data.load is not None:
                found[places.load][0][:] -= loads.fixed_kw(self.steps, data.load)
                found[places.load][1].extend(loads.injection(block.component("load")))
            if data.sessions is not None:
                part = block.component("sessions")
                for place, charge in zip(places.sessions, array(part, "charge"), strict=False):
                    found[place][1].append((-1.0, charge))
                if part.component("discharge") is not None:
                    for place, discharge in zip(places.sessions, array(part, "discharge"), strict=False):
                        found[place][1].append((1.0, discharge))
        return found

    def _set_points(self, plans: Mapping[str, Plan]) -> tuple[np.ndarray, np.ndarray]:
        """What the plans feed in at each place, and what their load alone does."""
        rest = np.zeros((self.steps.n, 2 * self._m))
        u = np.zeros_like(rest)
        for name, places in self._places.items():
            plan = plans[name]
            rest[:, places.load] -= plan.load_kw.sum(axis=0)
            for device in ("pv", "bess", "dg"):
                u[:, getattr(places, device)] += getattr(plan, f"{device}_kw")
            u[:, self._m + places.pv] += plan.pv_q_kvar
            u[:, self._m + places.bess] += plan.bess_q_kvar
            for place, charge in zip(places.sessions, plan.session_kw, strict=True):
                u[:, place] -= charge
        return u + rest, rest
