"""The optimisation model of a hub, put together from blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData, ScalarBlock

from .blocks import (
    balance_block,
    generator_block,
    grid_connection_block,
    loads_block,
    pv_block,
    sessions_block,
    storage_block,
)
from .blocks.generator_block import GeneratorData
from .blocks.grid_connection_block import GridData
from .blocks.linear_numbers import Numbers, array, objective, refuse_new_matrix, update
from .blocks.loads_block import CLASSES, LoadsData
from .blocks.pv_block import PvData
from .blocks.sessions_block import SessionsData
from .blocks.storage_block import StorageData
from .blocks.time_steps import Steps
from .program import Program


@dataclass(frozen=True)
class HubData:
    """The data of a hub at a decision; a part that is None is absent.

    Parameters
    ----------
    steps : Steps
        The grid of steps, and the first one that is open.
    grid : GridData, optional
    pv : PvData, optional
    bess : StorageData, optional
    dg : GeneratorData, optional
    load : LoadsData, optional
    sessions : SessionsData, optional
    other_kw : ndarray, shape (n,), optional
        Net power that all else feeds in, which nobody decides [kW].
    """

    steps: Steps
    grid: GridData | None = None
    pv: PvData | None = None
    bess: StorageData | None = None
    dg: GeneratorData | None = None
    load: LoadsData | None = None
    sessions: SessionsData | None = None
    other_kw: np.ndarray | None = None


@dataclass(frozen=True)
class HubPlan:
    """The plan of a hub: powers in each step; steps that are over are 0.

    Parameters
    ----------
    buy_kw, sell_kw : ndarray, shape (n,)
        Purchase and sale [kW], never both.
    pv_kw, pv_q_kvar : ndarray, shape (n,)
        PV fed in [kW], [kvar].
    bess_kw, bess_q_kvar : ndarray, shape (n,)
        Battery, > 0 discharges [kW], [kvar].
    bess_kwh : ndarray, shape (n + 1,)
        Stored energy at the edges of the steps [kWh].
    dg_kw, dg_q_kvar : ndarray, shape (n,)
        Generator [kW], [kvar].
    session_kw : ndarray, shape (n_sessions, n)
        Each EV, > 0 charges [kW].
    session_q_kvar : ndarray, shape (n_sessions, n)
        Reactive power of each, > 0 feeds the hub bus [kvar].
    session_unserved_kwh : ndarray, shape (n_sessions,)
        Energy missing at departure [kWh].
    load_kw, load_unserved_kw : ndarray, shape (4, n)
        Load served of each class (critical, controllable, shiftable, general), and load lost [kW]; what is only put off
        is not lost.
    peak_kw : float
        Highest purchase that a demand charge is paid for [kW].
    costs : mapping of str to float
        Cost of each part, as 'grid.buy'; those that are 0 are left out.
    step_cost : ndarray, shape (n,)
        What of it belongs to each step; a demand charge, the worth of what is left in the battery and energy not
        supplied to EVs belong to none.
    other_kw : ndarray, shape (n,) or (1,)
        Net power that all else feeds in [kW].
    """

    buy_kw: np.ndarray
    sell_kw: np.ndarray
    pv_kw: np.ndarray
    pv_q_kvar: np.ndarray
    bess_kw: np.ndarray
    bess_q_kvar: np.ndarray
    bess_kwh: np.ndarray
    dg_kw: np.ndarray
    dg_q_kvar: np.ndarray
    session_kw: np.ndarray
    session_q_kvar: np.ndarray
    session_unserved_kwh: np.ndarray
    load_kw: np.ndarray
    load_unserved_kw: np.ndarray
    peak_kw: float
    costs: Mapping[str, float]
    step_cost: np.ndarray
    other_kw: np.ndarray = field(default_factory=lambda: np.zeros(1))

    @property
    def cost(self) -> float:
        """Sum of all costs."""
        return sum(self.costs.values())


_KINDS: dict[str, Any] = {
    "grid": grid_connection_block,
    "pv": pv_block,
    "bess": storage_block,
    "dg": generator_block,
    "load": loads_block,
    "sessions": sessions_block,
}

# variables that are not indexed by the steps
_NO_STEP = {"peak", "energy", "end_missing", "backlog", "unserved"}


class HubModel:
    """The blocks of a hub, their balance ``grid + pv + bess + dg = load + cp`` and their cost.

    Build it once, load `model` into a `Program`, then for every decision `update`, solve and ask for the `plan`.

    Parameters
    ----------
    data : HubData
        Decides which blocks there are, and how large.

    Attributes
    ----------
    data : HubData
        The latest data.
    block : Block
        The blocks ``grid``, ``pv``, ``bess``, ``dg``, ``load``, ``sessions`` (those that are there) and ``balance``; a
        model of several hubs takes it as it is.

    Raises
    ------
    ValueError
        Data that a block refuses; no part at all.
    """

    def __init__(self, data: HubData):
        self.data = data
        self.block = ScalarBlock(concrete=True)
        parts = _parts(data)
        if not parts:
            raise ValueError("a hub needs at least one of grid, pv, bess, dg, load, sessions")
        self._blocks: dict[str, BlockData] = {}
        injections = []
        # nothing here can be freed, but looking for it would take half of the time
        with PauseGC():
            for name, part in parts.items():
                self._blocks[name] = _KINDS[name].build(data.steps, part)
                injections += _KINDS[name].injection(self._blocks[name])
            self._blocks["balance"] = balance_block.build(data.steps, _load_kw(data), injections)
        for name, block in self._blocks.items():
            self.block.add_component(name, block)
        self._numbers = _numbers(data)

    @property
    def cost(self) -> Any:
        """Cost of the hub as a Pyomo expression, with the numbers of the latest data."""
        return objective([(self._blocks[name], part) for name, part in self._numbers.items()])

    def injection(self, part: str) -> list[tuple[float, np.ndarray]]:
        """Return the terms of a part that feed the hub bus [kW]: signs, and variables of shape (n,); none if absent."""
        return _KINDS[part].injection(self._blocks[part]) if part in self._blocks else []

    def reactive(self, part: str) -> list[tuple[float, np.ndarray]]:
        """Return the same terms of reactive power [kvar]; none if the part has no set points of it."""
        block = self._blocks.get(part)
        if block is None or block.component("q_out") is None:
            return []
        both = ((1.0, array(block, "q_out")), (-1.0, array(block, "q_in")))
        return [(sign, terms) for sign, entries in both for terms in entries.reshape(-1, self.data.steps.n)]

    @cached_property
    def model(self) -> pyo.ConcreteModel:
        """A model of this hub alone, with its cost as the objective."""
        model = pyo.ConcreteModel()
        with PauseGC():
            model.hub = self.block
            model.cost = pyo.Objective(expr=self.cost)
        return model

    def update(self, program: Program, data: HubData) -> None:
        """Update a loaded program with new forecasts, prices, sessions, states and a new first step.

        Parameters
        ----------
        program : Program
            Holds the model.
        data : HubData
            The same parts on the same grid of steps.

        Raises
        ------
        ValueError
            Parts or steps that differ from those built; a number that stands in the matrix; data that a block refuses.
            The program keeps its numbers then.
        """
        if _parts(data).keys() != _parts(self.data).keys():
            raise ValueError(f"hub: built with {list(_parts(self.data))}, got {list(_parts(data))}")
        if not np.array_equal(data.steps.edges_s, self.data.steps.edges_s):
            raise ValueError("hub: the grid of steps is fixed when it is built; move steps.now")
        new = _numbers(data)
        for name, part in new.items():
            refuse_new_matrix(self._numbers[name], part)
        for name, part in new.items():
            update(program, self._blocks[name], part)
        for name, part in _parts(data).items():
            _KINDS[name].sentences(self._blocks[name], data.steps, part)
        balance_block.sentences(self._blocks["balance"], data.steps, _load_kw(data))
        self.data, self._numbers = data, new

    def plan(self, program: Program) -> HubPlan:
        """Read the solution of a program.

        Parameters
        ----------
        program : Program
            Holds the model, solved.

        Returns
        -------
        HubPlan
        """
        n = self.data.steps.n
        values, costs, step_cost = {}, {}, np.zeros(n)
        for block, part in self._numbers.items():
            for item, numbers in part.columns.items():
                variable = getattr(self._blocks[block], item)
                found = program.values(program.columns(variable)).reshape(numbers.upper.shape)
                values[f"{block}.{item}"] = found
                costs[f"{block}.{item}"] = float((numbers.cost * found).sum())
                if item not in _NO_STEP:
                    step_cost += (numbers.cost * found).reshape(-1, n).sum(axis=0)

        def of(item: str, shape: tuple[int, ...] = (n,)) -> np.ndarray:
            """Return the values of an item, zeros for a part that is not there."""
            return values.get(item, np.zeros(shape))

        # buying and selling at once at the same price costs nothing, and means nothing
        both = np.minimum(of("grid.buy"), of("grid.sell"))
        count = len(self.data.sessions.names) if self.data.sessions else 0
        session_kw = of("sessions.charge", (count, n)) - of("sessions.discharge", (1, n))
        session_q_kvar = np.zeros((count, n))
        if self.data.sessions and self.data.sessions.inverters.size:
            session_q_kvar[self.data.sessions.inverters] = of("sessions.q_out") - of("sessions.q_in")
        lost = [
            of("load.critical_lost"),
            of("load.controllable_cut") + of("load.controllable_lost"),
            of("load.shiftable_lost"),
            of("load.general_cut"),
        ]
        served = np.zeros((len(CLASSES), n))
        if self.data.load:
            served = loads_block.demand_kw(self.data.steps, self.data.load) - lost
            served[CLASSES.index("shiftable")] = of("load.shiftable")
        return HubPlan(
            buy_kw=of("grid.buy") - both,
            sell_kw=of("grid.sell") - both,
            pv_kw=of("pv.power"),
            pv_q_kvar=of("pv.q_out") - of("pv.q_in"),
            bess_kw=of("bess.discharge") - of("bess.charge"),
            bess_q_kvar=of("bess.q_out") - of("bess.q_in"),
            bess_kwh=of("bess.energy", (n + 1,)),
            dg_kw=of("dg.power", (1, n)).sum(axis=0),
            dg_q_kvar=of("dg.q_out") - of("dg.q_in"),
            session_kw=session_kw[:count],
            session_q_kvar=session_q_kvar,
            session_unserved_kwh=of("sessions.unserved", (count,))[:count],
            load_kw=served,
            load_unserved_kw=np.array(lost),
            peak_kw=float(of("grid.peak", (1,))[0]),
            costs={item: cost for item, cost in costs.items() if cost},
            step_cost=step_cost,
            other_kw=other_kw(self.data),
        )


def _parts(data: HubData) -> dict[str, Any]:
    """Parts that are there."""
    return {name: getattr(data, name) for name in _KINDS if getattr(data, name) is not None}


def _load_kw(data: HubData) -> np.ndarray:
    """Load on the right-hand side of the balance, less what nobody decides."""
    load_kw = loads_block.fixed_kw(data.steps, data.load) if data.load else np.zeros(data.steps.n)
    return load_kw if data.other_kw is None else load_kw - other_kw(data)


def other_kw(data: HubData) -> np.ndarray:
    """Return the net power that devices outside the model feed in, 0 in the steps that are over [kW], shape (n,)."""
    if data.other_kw is None:
        return np.zeros(data.steps.n)
    return data.steps.open * data.steps.series("other_kw", data.other_kw)


def _numbers(data: HubData) -> dict[str, Numbers]:
    """Numbers of all blocks, the balance included."""
    found = {name: _KINDS[name].numbers(data.steps, part) for name, part in _parts(data).items()}
    return {**found, "balance": balance_block.numbers(data.steps, _load_kw(data))}
