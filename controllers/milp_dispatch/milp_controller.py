"""The controller `milp_dispatch`: it plans the day, follows the plan, and has a rule for times without one."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, nan
from typing import ClassVar, cast

from .. import contract
from ..planning import PLAN_RECORDS, REFUSED, consequence, plan_records
from ..sharing.pv_first import PvFirst
from .milp_dispatch import MilpDispatchPlan
from .milp_parameters import MilpParameters
from .milp_planner import Planner, PlanOutcome

_WORTH_TELLING_KWH = 0.05


@dataclass
class _MilpMemory:
    """The state that is kept of a hub between decisions."""

    planner: Planner
    dispatch: MilpDispatchPlan | None = None
    parameters: contract.Parameters | None = None
    next_s: float = -inf
    known: frozenset[str] = frozenset()
    out: tuple = ()
    reported: tuple = ()


class MilpDispatch(contract.Controller):
    """The optimal dispatch of Lavrenova & Denysiuk 2023: a day-ahead plan by MILP, re-planned where asked for.

    Minimises eq. (11), purchase less sale and the wear of the battery, and 50 per kWh that an EV does not get, subject
    to eq. (12)-(18). EVs are charged, never discharged; generator and load classes are left alone. Where there is no
    new plan, the last good one stays in force until it runs out, then `pv_first` decides; an event ``alarm`` tells why.
    Off the grid `pv_first` decides, too.

    Diagnostics of each hub, at every attempt to plan: ``solve_s`` (data to plan), ``status`` (0 optimal, 1 feasible,
    2 infeasible, 3 unbounded, 4 time limit, -1 data refused), ``gap`` and ``built`` (1 for a new model).
    """

    Parameters = MilpParameters
    parameters: MilpParameters
    records: ClassVar = {
        **PLAN_RECORDS,
        "plan_unserved_kwh": ("kWh", "energy that EVs and load will not get, by the plan in force; NaN without a plan"),
        "plan_cost": ("", "cost of the plan in force over its horizon, penalties included; NaN without a plan"),
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._rule = PvFirst(self.sites, PvFirst.Parameters(), self.period_s, self.rng)
        self._memory = {name: _MilpMemory(Planner(site)) for name, site in self.sites.items()}
        for name in self.sites:
            self.check(name, self.parameters)

    def check(self, hub: str, parameters: contract.Parameters) -> None:
        """Refuse a state of charge at the end that the battery of a hub cannot have."""
        site, soc_end = self.sites[hub], cast(MilpParameters, parameters).soc_end
        if soc_end is not None and site.bess_kw and soc_end > site.bess_soc_max:
            raise ValueError(f"soc_end must be at most soc_max {site.bess_soc_max:g} of {hub}, got {soc_end:g}")

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Plan when a plan is due, and follow the plans."""
        t_s = observation.t_s
        setpoints = dict(self._rule.decide(observation).setpoints)
        events: list[tuple[str, str, str]] = []
        records: dict[str, dict[str, float]] = {}
        diagnostics: dict[str, float] = {}
        for name, hub in observation.hubs.items():
            site, memory = self.sites[name], self._memory[name]
            on_grid = not (hub.dead or hub.islanded)
            if on_grid and self._due(hub, memory, t_s):
                outcome = memory.planner.plan(hub, _own(hub), t_s, observation.time, observation.end_s)
                _remember(memory, outcome, hub)
                in_force = memory.dispatch is not None and memory.dispatch.step(t_s) is not None
                memory.next_s = _next_s(outcome, _own(hub), in_force, t_s)
                key, messages = _messages(outcome, in_force)
                # the same trouble at every attempt is reported once, though its numbers change
                if key != memory.reported:
                    events += [(name, kind, text) for kind, text in messages]
                memory.reported = key
                diagnostics |= {
                    f"{name}/solve_s": outcome.seconds,
                    f"{name}/status": outcome.status,
                    f"{name}/gap": outcome.gap,
                    f"{name}/built": outcome.built,
                }
            dispatch = memory.dispatch
            k = dispatch.step(t_s) if on_grid and dispatch is not None else None
            if dispatch is not None and k is not None:
                setpoints[name] = dispatch.setpoints(site, hub, t_s)
            records[name] = _records(dispatch, k)
        return contract.Decision(setpoints, events, records, diagnostics)

    def _due(self, hub: contract.Hub, memory: _MilpMemory, t_s: float) -> bool:
        """Whether it is time for a new plan."""
        unknown = _own(hub).replan is not None and not _plugged(hub) <= memory.known
        # a plan made during a fault would leave the device alone for as long as it reaches
        changed = hub.parameters != memory.parameters or _out(hub) != memory.out
        return t_s >= memory.next_s or changed or unknown


def _own(hub: contract.Hub) -> MilpParameters:
    """The parameters in force, which an event may have changed."""
    if not isinstance(hub.parameters, MilpParameters):
        raise TypeError(f"parameters of milp_dispatch expected, got {type(hub.parameters).__name__}")
    return hub.parameters


def _plugged(hub: contract.Hub) -> frozenset[str]:
    return frozenset(name for name in hub.connectors.session_id if name is not None)


def _out(hub: contract.Hub) -> tuple:
    """What is out of order."""
    return hub.failed, hub.connectors.faulted.tobytes()


def _remember(memory: _MilpMemory, outcome: PlanOutcome, hub: contract.Hub) -> None:
    """Keep what was planned, and for which parameters, EVs and faults."""
    memory.parameters, memory.known, memory.out = _own(hub), _plugged(hub), _out(hub)
    if outcome.dispatch is not None:
        memory.dispatch, evs = outcome.dispatch, outcome.dispatch.evs
        memory.known |= frozenset(evs.names if evs is not None else ())


def _next_s(outcome: PlanOutcome, parameters: MilpParameters, in_force: bool, t_s: float) -> float:
    """Return when to plan next [s since the start]."""
    if outcome.status == REFUSED and not in_force:
        return t_s  # what is not known yet, such as over a link at the start, may be at the next decision
    dispatch, again_s = outcome.dispatch, parameters.replan
    if again_s is None and dispatch is None:
        again_s = parameters.resolution
    end_s = dispatch.window.edges_s[-1] if dispatch is not None else inf
    return end_s if again_s is None else min(end_s, (floor(t_s / again_s) + 1) * again_s)


def _messages(outcome: PlanOutcome, in_force: bool) -> tuple[tuple, list[tuple[str, str]]]:
    """Return what is worth telling of a plan as (kind, text), and a key of it without figures."""
    dispatch, key, messages = outcome.dispatch, (), []
    if outcome.problem:
        effect = consequence(dispatch is not None, in_force, "pv_first")
        messages.append(("alarm", f"{outcome.problem}; {effect}"))
        key += (*outcome.kind, effect)
    if dispatch is not None and dispatch.unserved_kwh > _WORTH_TELLING_KWH:
        messages.append(("unserved", f"{dispatch.unserved_kwh:.1f} kWh will not be supplied"))
        key += ("unserved",)
    return key, messages


def _records(dispatch: MilpDispatchPlan | None, k: int | None) -> dict[str, float]:
    if dispatch is None or k is None:
        return dict.fromkeys(MilpDispatch.records, nan)
    plan = dispatch.plan
    return {
        **plan_records(plan, k),
        "plan_unserved_kwh": dispatch.unserved_kwh,
        "plan_cost": plan.cost,
    }
