"""The controller `ievcs`: four stages from day-ahead to real time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil, inf, nan
from time import perf_counter
from typing import ClassVar, cast

import numpy as np

from ...simulators.units import S_PER_H
from .. import contract
from ..planning import PLAN_RECORDS, REFUSED, consequence, plan_records
from .basic_control import BasicControl
from .day_ahead_planner import Day, DayPlanResult
from .deviations import Surprises
from .ievcs_island import carried
from .ievcs_parameters import IevcsParameters
from .ievcs_schedule import SHIFTABLE, IevcsSchedule
from .network_check import NetworkCheck
from .tracking import Followed, LoadAccount, follow, storage_kw


@dataclass
class _IevcsMemory:
    """The state that is kept of a hub between decisions."""

    day: Day | None = None
    schedule: IevcsSchedule | None = None
    coming: IevcsSchedule | None = None
    account: LoadAccount = field(default_factory=LoadAccount)
    parameters: IevcsParameters | None = None
    raised: bool = False
    midnight_s: float = -inf
    hour_s: float = inf
    retry_s: float = -inf
    last_s: float = nan
    off_grid: bool = False
    cut: bool = False
    reported: str = ""


@dataclass
class _Answer:
    """The parts of a decision, collected hub by hub."""

    setpoints: dict[str, contract.Setpoints] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    records: dict[str, dict[str, float]] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)


class Ievcs(contract.Controller):
    """The four stages of Yan & Tu 2022 for a station with V2G and a building.

    At midnight stage I plans the day (eq. 1-10), and stage II sets charging price and discharge subsidy from that plan.
    Stage III plans the rest of the day again before every hour. Stage IV balances what is not as planned, at every
    decision; without it basic control does: surplus to storage, deficit from the grid. Where there is no new plan, the
    last good one stays in force until it ends, then `basic_control` decides; an event ``alarm`` tells why. Off
    the grid `basic_control` decides, too, and load is cut to what the secondary source and storage carry: event
    ``load cut``. Events ``late``, ``absent``, ``left early`` and ``charger fault`` tell of EVs and connectors that are
    not as the plan has them.

    Diagnostics of each hub: ``stage1_s`` to ``stage4_s`` (wall time [s]), and at every attempt to plan
    ``status`` (0 optimal, 1 feasible, 2 infeasible, 3 unbounded, 4 time limit, -1 data refused).
    """

    Parameters = IevcsParameters
    parameters: IevcsParameters
    records: ClassVar = {
        **PLAN_RECORDS,
        "plan_cost_per_h": ("1/h", "cost of this step by the plan in force, in the currency of the tariffs"),
        "dif_kw": ("kW", "deviation from the plan, > 0: more is generated or less used"),
        "charging_per_kwh": ("1/kWh", "charging price in force"),
        "subsidy_per_kwh": ("1/kWh", "paid to owners for energy given back"),
        "backlog_kwh": ("kWh", "shiftable energy put off, as the controller reckons"),
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._basic = BasicControl(self.sites, BasicControl.Parameters(), self.period_s, self.rng)
        feeder = self.parameters.feeder
        self._check = NetworkCheck(feeder) if feeder is not None else None
        self._import_kw = {name: site.contracted_kw for name, site in self.sites.items()}
        if self._check is not None:
            self._import_kw = {name: self._check.max_import_kw(kw) for name, kw in self._import_kw.items()}
        self._memory = {name: _IevcsMemory() for name in self.sites}
        self._surprises = {name: Surprises(name, self.period_s) for name in self.sites}

    def check(self, hub: str, parameters: contract.Parameters) -> None:
        """Refuse parameters that cannot change during a run."""
        if cast(IevcsParameters, parameters).feeder != self.parameters.feeder:
            raise contract.ParameterError("feeder", "cannot change during a run")

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Plan when a plan is due, and follow the plans."""
        answer = _Answer()
        for name, hub in observation.hubs.items():
            self._decide(name, hub, observation, answer)
        return contract.Decision(answer.setpoints, answer.events, answer.records, answer.diagnostics)

    def _decide(self, name: str, hub: contract.Hub, observation: contract.Observation, answer: _Answer) -> None:
        t_s, memory, parameters = observation.t_s, self._memory[name], _own(hub)
        memory.account.advance(t_s - memory.last_s if memory.last_s == memory.last_s else 0.0)
        if memory.last_s < memory.midnight_s <= t_s:
            memory.account.backlog_kwh = 0.0  # what still waits at midnight is lost
        memory.last_s = t_s
        on_grid = not (hub.dead or hub.islanded)
        if on_grid:
            self._plan(name, hub, observation, answer)
        elif not memory.off_grid:
            memory.hour_s = min(memory.hour_s, t_s)  # what is planned now no longer fits when the grid is back
            memory.cut = False
        memory.off_grid = not on_grid
        if memory.coming is not None and t_s >= memory.coming.steps.now_s:
            memory.schedule, memory.coming = memory.coming, None
        schedule = memory.schedule
        answer.events += self._surprises[name].seen(hub, schedule, t_s)
        k = schedule.step(t_s) if schedule is not None and on_grid else None
        if schedule is None or k is None:
            setpoints = self._basic.decide(replace(observation, hubs={name: hub})).setpoints[name]
            if on_grid:
                memory.account = LoadAccount(memory.account.backlog_kwh, factor=memory.account.factor)
            else:
                setpoints = self._off_grid(name, hub, observation, setpoints, answer)
            answer.setpoints[name] = setpoints
            answer.records[name] = dict.fromkeys(self.records, nan)
            return
        began = perf_counter()
        memory.account.measure(hub.p_load_kw, schedule.demand_kw[:, k], parameters.recovery_kw)
        followed = follow(
            self.sites[name],
            hub,
            parameters,
            schedule,
            memory.account,
            memory.raised,
            t_s,
            memory.midnight_s,
            self.period_s,
            self._import_kw[name],
        )
        answer.diagnostics.setdefault(f"{name}/stage4_s", perf_counter() - began)
        answer.setpoints[name] = followed.setpoints
        answer.records[name] = _records(schedule, k, followed, memory.account)

    def _off_grid(
        self,
        name: str,
        hub: contract.Hub,
        observation: contract.Observation,
        setpoints: contract.Setpoints,
        answer: _Answer,
    ) -> contract.Setpoints:
        """Limit the load; also while the bus is dead, for the source that is to energise it."""
        t_s, memory, site, parameters = observation.t_s, self._memory[name], self.sites[name], _own(hub)
        until_s = min(t_s + self.period_s, observation.end_s)
        if until_s <= t_s:
            return setpoints
        account = memory.account
        demand_kw = hub.forecast.load_kw(np.array([t_s, until_s]))[0] * account.factor
        served_kw = np.zeros(4)
        if site.secondary_kw:
            now_kw = np.minimum(account.wanted_kw(demand_kw, parameters.recovery_kw), account.limit_kw)
            bess_kw = storage_kw(site, hub, self.period_s)[1]
            setpoints, served_kw = carried(site, parameters, setpoints, demand_kw, now_kw, bess_kw)
            if not memory.cut and not (served_kw >= demand_kw - 1e-9).all():
                memory.cut = True
                answer.events.append((name, "load cut", _cut(served_kw, demand_kw)))
        on_kw = 0.0 if hub.dead else float(served_kw[SHIFTABLE])
        account.decided(np.array(setpoints.load_limit_kw), float(np.nan_to_num(demand_kw[SHIFTABLE])), on_kw)
        return setpoints

    def _plan(self, name: str, hub: contract.Hub, observation: contract.Observation, answer: _Answer) -> None:
        """Stages I to III, where it is time."""
        t_s, memory, parameters = observation.t_s, self._memory[name], _own(hub)
        new_day = t_s >= memory.midnight_s or parameters != memory.parameters
        if new_day or (memory.day is None and t_s >= memory.retry_s):
            self._begin(name, hub, observation, answer)
        elif parameters.stages.real_time == "optimise" and memory.day is not None:
            memory.schedule = self._timed(name, "stage4_s", memory, hub, t_s, t_s, answer).schedule or memory.schedule
        elif parameters.stages.hour_ahead and t_s >= memory.hour_s - parameters.lead and memory.day is not None:
            start_s = max(memory.hour_s, t_s)
            memory.hour_s = _next_hour_s(start_s, memory.midnight_s)
            if start_s >= memory.midnight_s or start_s >= memory.day.steps.edges_s[-1]:
                return
            outcome = self._timed(name, "stage3_s", memory, hub, t_s, start_s, answer)
            memory.coming = outcome.schedule or memory.coming

    def _begin(self, name: str, hub: contract.Hub, observation: contract.Observation, answer: _Answer) -> None:
        """Stage I, and stage II on its plan."""
        t_s, memory, parameters = observation.t_s, self._memory[name], _own(hub)
        if memory.day is not None:
            memory.day.close()
        agreed = memory.schedule.agreed if memory.schedule is not None else {}
        memory.day, memory.raised, memory.coming = None, False, None
        memory.parameters, memory.midnight_s = parameters, t_s + _to_midnight_s(observation.time)
        memory.hour_s = memory.retry_s = _next_hour_s(t_s, memory.midnight_s)
        began = perf_counter()
        try:
            memory.day = Day(
                self.sites[name],
                hub,
                parameters,
                t_s,
                observation.time,
                memory.midnight_s,
                observation.end_s,
                self._check,
                agreed,
            )
        except (ValueError, RuntimeError) as error:
            answer.events += _messages(name, DayPlanResult(None, str(error), REFUSED), memory, t_s)
            return
        outcome = self._timed(name, "stage1_s", memory, hub, t_s, t_s, answer, began)
        if outcome.schedule is None:
            memory.day.close()
            memory.day = None
            return
        memory.schedule = outcome.schedule
        if not parameters.stages.price_update:
            return
        began = perf_counter()
        updated = memory.day.update_prices(hub, t_s, outcome.schedule, memory.account.backlog_kwh)
        answer.diagnostics[f"{name}/stage2_s"] = perf_counter() - began
        if updated is None:
            answer.events.append((name, "prices", "stage II finds no prices within the bound: those of stage I hold"))
            return
        subsidy = updated.prices.subsidy_per_kwh
        memory.raised = subsidy > outcome.schedule.prices.subsidy_per_kwh
        answer.events.append((name, "prices", f"charging in tiers; subsidy {subsidy:.4f} per kWh"))
        # without stage III the day's plan stays, at the new prices
        memory.schedule = updated if parameters.stages.hour_ahead else replace(outcome.schedule, prices=updated.prices)

    def _timed(
        self,
        name: str,
        stage: str,
        memory: _IevcsMemory,
        hub: contract.Hub,
        t_s: float,
        start_s: float,
        answer: _Answer,
        began: float | None = None,
    ) -> DayPlanResult:
        """Plan, and tell of it."""
        began = perf_counter() if began is None else began
        if memory.day is None:
            raise ValueError(f"{name}: no day was begun")
        outcome = memory.day.plan(hub, t_s, start_s, memory.account.ahead_kwh(start_s - t_s))
        answer.diagnostics[f"{name}/{stage}"] = perf_counter() - began
        answer.diagnostics[f"{name}/status"] = outcome.status
        answer.events += _messages(name, outcome, memory, t_s)
        return outcome


def _own(hub: contract.Hub) -> IevcsParameters:
    """The parameters in force, which an event may have changed."""
    if not isinstance(hub.parameters, IevcsParameters):
        raise TypeError(f"parameters of ievcs expected, got {type(hub.parameters).__name__}")
    return hub.parameters


def _to_midnight_s(time: datetime) -> float:
    """Time to the next midnight on the clock [s]."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight.astimezone(UTC) - time.astimezone(UTC)).total_seconds()


def _next_hour_s(t_s: float, midnight_s: float) -> float:
    """The next full hour after a time [s]."""
    return midnight_s - S_PER_H * (ceil((midnight_s - t_s) / S_PER_H - 1e-9) - 1)


def _messages(name: str, outcome: DayPlanResult, memory: _IevcsMemory, t_s: float) -> list[tuple[str, str, str]]:
    """Events worth telling; the same trouble at every attempt is told once."""
    events = []
    if outcome.tightened:
        events.append((name, "voltage", f"power flow of the plan: {outcome.tightened} steps limited further"))
    same = re.sub(r"\d+", "", outcome.problem)  # it may tell of another step or number
    if same and same != memory.reported:
        in_force = memory.schedule is not None and memory.schedule.step(t_s) is not None
        now = consequence(outcome.schedule is not None, in_force, "basic control")
        events.append((name, "alarm", f"{outcome.problem}; {now}"))
    memory.reported = same
    return events


def _cut(served_kw: np.ndarray, demand_kw: np.ndarray) -> str:
    """What is served of the load [kW], shape (4,), in an island."""
    if not np.isfinite(demand_kw).all():
        return "the forecast of the load is not a number: only what cannot be cut is served"
    return f"{served_kw.sum():.1f} of {demand_kw.sum():.1f} kW are served: the secondary source carries no more"


def _records(schedule: IevcsSchedule, k: int, followed: Followed, account: LoadAccount) -> dict[str, float]:
    return {
        **plan_records(schedule.plan, k),
        "plan_cost_per_h": float(schedule.cost_per_h[k]),
        "dif_kw": followed.dif_kw,
        "charging_per_kwh": float(schedule.prices.charging_per_kwh[k]),
        "subsidy_per_kwh": schedule.prices.subsidy_per_kwh,
        "backlog_kwh": account.backlog_kwh,
    }
