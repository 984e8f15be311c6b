"""The planner of a hub, which solves one loaded model again and again (Lavrenova & Denysiuk 2023, eq. 11-18)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import numpy as np

from .. import contract
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubData, HubModel
from ..optimization.program import Program
from ..optimization.solution import Solution, SolveStatus
from ..planning import REFUSED, ended, kind
from . import milp_model_data
from .milp_dispatch import MilpDispatchPlan
from .milp_parameters import MilpParameters


@dataclass(frozen=True)
class PlanOutcome:
    """The result of an attempt to plan.

    Parameters
    ----------
    dispatch : MilpDispatchPlan or None
        The plan, if there is one.
    problem : str
        Why there is none, or why it may not be the best; else empty.
    kind : tuple of str
        Key of the problem, the same whatever its figures; empty without one.
    status : int
        Place of the solver's answer in `SolveStatus`, from 0, or `REFUSED`.
    gap : float
        Relative gap of the plan; NaN without one.
    seconds : float
        Wall time from the data to the plan [s].
    built : bool
        Whether a new model was built.
    """

    dispatch: MilpDispatchPlan | None
    problem: str
    kind: tuple[str, ...]
    status: int
    gap: float
    seconds: float
    built: bool


class Planner:
    """The model of a hub, and the solver that holds it.

    The steps are counted from the time of the plan, so that the model stays the same while the horizon moves along;
    powers beyond the end of the run are bound to zero. A new model is built only where its matrix has to change: other
    parameters, more EVs than it has slots, the first local load.

    Parameters
    ----------
    site : Site
        The hub.
    """

    def __init__(self, site: contract.Site):
        self._site = site
        self._slots = 0
        self._has_load = False
        self._key: tuple | None = None
        self._model: HubModel | None = None
        self._program: Program | None = None

    def __getstate__(self) -> dict:
        """Leave out the model, which a copy builds anew: a solver's memory cannot be copied."""
        return {**self.__dict__, "_key": None, "_model": None, "_program": None}

    def plan(
        self, hub: contract.Hub, parameters: MilpParameters, t_s: float, time: datetime, end_s: float
    ) -> PlanOutcome:
        """Plan from now to the end of the horizon, or of the run.

        Parameters
        ----------
        hub : Hub
            What is seen and expected.
        parameters : MilpParameters
            In force now.
        t_s, time : float, datetime
            Now [s since the start], and on the clock.
        end_s : float
            End of the run [s].

        Returns
        -------
        PlanOutcome
            It also tells what is wrong with the data; nothing is raised for them.
        """
        began = perf_counter()

        def outcome(
            dispatch: MilpDispatchPlan | None,
            problem: str,
            key: tuple[str, ...],
            status: int,
            gap=np.nan,
            built: bool = False,
        ):
            return PlanOutcome(dispatch, problem, key, status, gap, perf_counter() - began, built)

        try:
            window = milp_model_data.Window.of(parameters, t_s, end_s)
            evs = (
                milp_model_data.expected(self._site, hub, parameters.modes_kw, window)
                if self._site.connector_kw.size
                else None
            )
            hub_data = self._data(hub, parameters, window, evs, time)
            model, program, built = self._loaded(hub_data, parameters)
            solution, softened, key = self._solved(model, program, hub_data, parameters)
        except (ValueError, RuntimeError) as error:
            return outcome(None, str(error), kind(error), REFUSED)
        status, problem = ended(solution)
        if not solution.ok:
            return outcome(None, problem, kind(solution), status, built=built)
        available_kw = np.zeros(window.share.size) if hub_data.pv is None else np.asarray(hub_data.pv.available_kw)
        dispatch = MilpDispatchPlan(window, model.plan(program), available_kw, evs)
        key = kind(solution) if problem else key
        return outcome(dispatch, problem or softened, key, status, solution.gap, built)

    def _solved(
        self, model: HubModel, program: Program, hub_data: HubData, parameters: MilpParameters
    ) -> tuple[Solution, str, tuple[str, ...]]:
        """Solve; a day on which not everything that is asked for fits is solved without what may be given up.

        Returns the solution, what was given up and why, and the key of that.
        """
        solution = program.solve(gap=parameters.gap, time_limit_s=parameters.time_limit)
        if solution.status is not SolveStatus.INFEASIBLE:
            return solution, "", ()
        for softer, how in milp_model_data.softened(hub_data, 0.5 * parameters.eens_per_kwh):
            model.update(program, softer)
            softened = program.solve(gap=parameters.gap, time_limit_s=parameters.time_limit)
            if softened.ok:
                text = f"infeasible: {'; '.join(solution.conflict)}; planned {how}"
                return softened, text, (*kind(solution), how)
        return solution, "", ()

    def _data(
        self,
        hub: contract.Hub,
        parameters: MilpParameters,
        window: milp_model_data.Window,
        evs: milp_model_data.ExpectedDay | None,
        time: datetime,
    ) -> HubData:
        site = self._site
        load = milp_model_data.load(hub, parameters, window)
        self._has_load |= bool(np.any(load.critical_kw))
        if evs is not None and (not self._slots or len(evs.names) > self._slots):
            self._slots = len(evs.names) + site.connector_kw.size
        return HubData(
            steps=Steps(window.relative_s, start=time),
            grid=milp_model_data.grid(site, hub, parameters, window),
            pv=milp_model_data.pv(hub, parameters, window) if site.pv_kw else None,
            bess=milp_model_data.storage(site, hub, parameters, window) if site.bess_kw else None,
            load=load if self._has_load else None,
            sessions=None if evs is None else milp_model_data.sessions(evs, parameters, window, self._slots),
            other_kw=window.padded(hub.forecast.other_kw(window.known_edges_s)) * window.share,
        )

    def _loaded(self, hub_data: HubData, parameters: MilpParameters) -> tuple[HubModel, Program, bool]:
        """The model with new data, and whether it had to be built."""
        key = (parameters, self._slots, self._has_load)
        if self._model is not None and self._program is not None and key == self._key:
            self._model.update(self._program, hub_data)
            return self._model, self._program, False
        model = HubModel(hub_data)
        program = Program(model.model, parameters.solver)
        if self._program is not None:
            self._program.close()
        self._model, self._program, self._key = model, program, key
        return model, program, True
