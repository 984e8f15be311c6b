"""The plan of a day: stage I builds and solves its model, stages II and III solve it again (Yan & Tu 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

import numpy as np

from ...simulators.units import energy_kwh
from .. import contract
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubData, HubModel
from ..optimization.program import Program
from ..planning import REFUSED, ended
from . import ievcs_prices
from .ievcs_model_data import ExpectedEvs, PlanStart, demand_kw, expected, grid_of_steps, hub_data, price
from .ievcs_parameters import IevcsParameters
from .ievcs_schedule import IevcsSchedule
from .network_check import NetworkCheck

_SUBSIDIES = 6
"""So many subsidies are tried by stage II."""
_MISSING_KWH = 0.1
"""What may be missing at the end in the battery without a word."""
_SPARE_SLOTS = 4
"""For EVs that nobody expected; a larger model is built when they are used up."""


@dataclass(frozen=True)
class DayPlanResult:
    """The result of an attempt to plan.

    Parameters
    ----------
    schedule : Schedule or None
        The plan, if there is one.
    problem : str
        Why there is none, or why it may not be the best; else empty.
    status : int
        Place of the solver's answer in `SolveStatus`, from 0, or `REFUSED`.
    tightened : int
        Steps in which the network check limited import or export further.
    built : bool
        Whether a model was built for it.
    """

    schedule: IevcsSchedule | None
    problem: str
    status: int
    tightened: int = 0
    built: bool = False


class Day:
    """One day of a hub: a grid of steps to its horizon, and a model that is loaded once for it.

    Parameters
    ----------
    site, hub, parameters : Site, Hub, IevcsParameters
        The hub at the begin of the day.
    t_s : float
        Now [s since the start].
    time : datetime
        The same on the clock.
    midnight_s, end_s : float
        End of the day, and of the run [s].
    check : NetworkCheck or None
        Where plans are checked.
    agreed : mapping of str to float
        Sessions of the day before, and what their drivers pay [1/kWh].
    """

    def __init__(
        self,
        site: contract.Site,
        hub: contract.Hub,
        parameters: IevcsParameters,
        t_s: float,
        time: datetime,
        midnight_s: float,
        end_s: float,
        check: NetworkCheck | None,
        agreed: Mapping[str, float],
    ):
        self._site, self._parameters, self._check = site, parameters, check
        self.midnight_s = midnight_s
        evs = expected(site, hub, t_s, t_s, min(midnight_s, end_s))
        until_s = midnight_s
        if parameters.horizon == "extended" and evs.names:
            last_s = float(evs.departure_s.max())
            steps_over = ceil((last_s - midnight_s) / parameters.resolution - 1e-9)
            until_s = max(midnight_s, midnight_s + parameters.resolution * steps_over)
        edges_s = grid_of_steps(t_s, midnight_s, min(until_s, end_s), parameters.resolution)
        self.steps = Steps(edges_s, start=time)
        n = self.steps.n
        self._import_kw = np.full(n, min(site.contracted_kw, site.installed_kw))
        self._export_kw = np.full(n, float(site.installed_kw))
        charging = price(hub, self.steps, "charging")
        self.prices = ievcs_prices.of_stage_one(charging, parameters.subsidy_per_kwh, agreed)
        self._slots: list[str] = list(evs.names)
        self._n_slots = len(evs.names) + _SPARE_SLOTS if site.connector_kw.size else 0
        self._model: HubModel | None = None
        self._program: Program | None = None

    def __getstate__(self) -> dict:
        """Leave out the model, which a copy builds anew: a solver's memory cannot be copied."""
        return {**self.__dict__, "_model": None, "_program": None}

    def close(self) -> None:
        """Close the solver and free its memory."""
        if self._program is not None:
            self._program.close()

    def plan(self, hub: contract.Hub, t_s: float, start_s: float, backlog_kwh: float) -> DayPlanResult:
        """Plan the rest of the day: stage I at its start, stage III later.

        Parameters
        ----------
        hub : Hub
            What is seen and expected.
        t_s, start_s : float
            Now, and when the plan is to begin [s since the start].
        backlog_kwh : float
            Shiftable energy that will be put off by then [kWh].

        Returns
        -------
        DayPlanResult
            It also tells what is wrong with the data; nothing is raised for them.
        """
        try:
            steps = self.steps.at(start_s)
            evs = expected(self._site, hub, t_s, steps.now_s, min(self.midnight_s, steps.edges_s[-1]))
            self._seat(evs)
            bess_kwh = self._bess_kwh(hub, steps.now_s - t_s)
            state = PlanStart(steps.now_s, t_s, bess_kwh, max(backlog_kwh, 0.0), evs)
            return self._checked(hub, steps, state)
        except (ValueError, RuntimeError) as error:
            return DayPlanResult(None, str(error), REFUSED)

    def update_prices(
        self, hub: contract.Hub, t_s: float, first: IevcsSchedule, backlog_kwh: float
    ) -> IevcsSchedule | None:
        """Choose new prices from the plan of stage I, and plan again at these prices (stage II).

        Of some subsidies up to the ceiling, the one that pays the owners most: below it fewer accept, above it the
        station asks for less.

        Parameters
        ----------
        hub : Hub
            What is seen and expected.
        t_s : float
            Now, the begin of the plan [s since the start].
        first : IevcsSchedule
            The plan of stage I.
        backlog_kwh : float
            Shiftable energy that is put off [kWh].

        Returns
        -------
        Schedule or None
            None where no prices are within the bound: those of stage I stay.
        """
        parameters, before = self._parameters, self.prices
        load_kw = first.load_kw + np.maximum(first.plan.session_kw, 0.0).sum(axis=0)

        def paid(charging_per_kwh: np.ndarray) -> float:
            return first.paid_by_drivers(replace(before, charging_per_kwh=charging_per_kwh, cheapest_hours=True))

        paid_before = first.paid_by_drivers(before)
        charging = ievcs_prices.tiers(
            parameters.tiers, first.steps, before.charging_per_kwh, load_kw, self.midnight_s, paid, paid_before
        )
        left = parameters.cost_bound + paid(charging) - paid_before
        span = ievcs_prices.ceiling(first.steps, first.plan, before.subsidy_per_kwh, charging, first.buy_per_kwh, left)
        best, max_paid = None, -1.0
        for subsidy in np.linspace(*span, _SUBSIDIES).tolist() if span is not None else ():
            self.prices = replace(before, charging_per_kwh=charging, subsidy_per_kwh=subsidy, cheapest_hours=True)
            schedule = self.plan(hub, t_s, t_s, backlog_kwh).schedule
            # where fewer owners accept than before, the plan of stage I may be out of reach, and the best one dearer
            if schedule is None or schedule.plan.cost > first.plan.cost + parameters.cost_bound:
                continue
            if schedule.paid_to_owners > max_paid + 1e-6:
                best, max_paid = schedule, schedule.paid_to_owners
        self.prices = best.prices if best is not None else before
        return best

    def _bess_kwh(self, hub: contract.Hub, ahead_s: float) -> float:
        """What is in the battery when the plan begins, if it goes on as now [kWh]."""
        site, stored_kwh = self._site, hub.soc * self._site.bess_kwh
        moved_kwh = float(np.nan_to_num(energy_kwh(hub.p_bess_kw, max(ahead_s, 0.0))))
        min_kwh = min(site.bess_soc_min * site.bess_kwh, stored_kwh)
        max_kwh = max(site.bess_soc_max * site.bess_kwh, stored_kwh)
        return float(np.clip(stored_kwh - moved_kwh, min_kwh, max_kwh))

    def _seat(self, evs: ExpectedEvs) -> None:
        """Give every new session a slot of its own; a larger model where there are not enough."""
        known = set(self._slots)
        self._slots += [name for name in evs.names if name not in known]
        if len(self._slots) > self._n_slots:
            self._slots = list(evs.names)
            self._n_slots = len(evs.names) + _SPARE_SLOTS
            self.close()
            self._model = self._program = None

    def _checked(self, hub: contract.Hub, steps: Steps, state: PlanStart) -> DayPlanResult:
        """Solve; while the power flow breaks a limit, tighten it and solve again (Yan & Tu 2022, section 3.5)."""
        tightened = np.zeros(steps.n, bool)
        built = self._model is None
        rounds = self._parameters.feeder.rounds if self._parameters.feeder else 0
        for k in range(rounds + 1):
            outcome = self._solved(hub, steps, state, built)
            if self._check is None or outcome.schedule is None:
                return outcome
            grid_kw = outcome.schedule.grid_kw
            broken = np.where(steps.open, self._check.broken(grid_kw), 0)
            wrong = np.flatnonzero(broken)
            if not wrong.size:
                break
            if k == rounds:
                problem = f"{wrong.size} steps break a voltage limit"
                return DayPlanResult(outcome.schedule, problem, outcome.status, int(tightened.sum()), built)
            limits_kw = self._check.limits_kw(grid_kw[wrong])
            low = broken[wrong] < 0
            self._import_kw[wrong[low]] = np.maximum(limits_kw[low], 0.0)
            self._export_kw[wrong[~low]] = np.maximum(-limits_kw[~low], 0.0)
            tightened[wrong] = True
        return DayPlanResult(outcome.schedule, outcome.problem, outcome.status, int(tightened.sum()), built)

    def _solved(self, hub: contract.Hub, steps: Steps, state: PlanStart, built: bool) -> DayPlanResult:
        data = hub_data(
            self._site,
            hub,
            self._parameters,
            steps,
            state,
            self.prices,
            (self._import_kw, self._export_kw),
            self.midnight_s,
            self._slots,
            self._n_slots,
        )
        model, program = self._loaded(data)
        solution = program.solve(time_limit_s=self._parameters.time_limit)
        status, problem = ended(solution)
        if not solution.ok:
            return DayPlanResult(None, problem, status, built=built)
        plan = model.plan(program)
        missing_kwh = data.bess.end_kwh - float(plan.bess_kwh[-1]) if data.bess is not None else 0.0
        if not problem and missing_kwh > _MISSING_KWH:
            problem = f"the plan ends {missing_kwh:.1f} kWh below soc_end"
        schedule = IevcsSchedule(
            steps=steps,
            plan=plan,
            prices=self.prices,
            buy_per_kwh=price(hub, steps, "buy"),
            demand_kw=demand_kw(hub, steps),
            evs=state.evs,
            rows={name: row for row, name in enumerate(self._slots)},
            backlog_kwh=state.backlog_kwh,
        )
        return DayPlanResult(schedule, problem, status, built=built)

    def _loaded(self, data: HubData) -> tuple[HubModel, Program]:
        """The model with these data; built for the first ones."""
        if self._model is None or self._program is None:
            self._model = HubModel(data)
            self._program = Program(self._model.model, self._parameters.solver)
        else:
            self._model.update(self._program, data)
        return self._model, self._program
