"""`ems`: economic dispatch that respects its network, window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from ...simulators.network.admittances import compiled
from .. import contract
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubPlan
from . import (
    ems_commands,
    ems_model_data,
    ems_schedule,
    session_priorities,
)
from .connection_points import ConnectionPoints, plugs
from .constraints import NetworkLimits
from .dispatch_loop import Loop, LoopResult, Round, Verdict
from .ems_dispatch import EmsDispatch
from .ems_parameters import Buses, EmsParameters, parameters_of
from .ems_schedule import Demand

_UNSERVED_KWH = 0.5
"""Less than this counts as served [kWh]."""
_FIXED = ("network", "step_s", "horizon_s", "max_iterations", "priorities", "solver", "time_limit_s")
"""Parameters that are those of the whole run."""


@dataclass(frozen=True)
class _Window:
    """The schedule of a window, and the hubs and EVs for which it was made."""

    steps: Steps
    outcome: LoopResult
    demands: Mapping[str, list[Demand]]
    limited: frozenset[int]


@dataclass
class _EmsMemory:
    """The last reports to a hub, so that nothing is reported twice."""

    changes: dict[str, session_priorities.Change] = field(default_factory=dict)
    alarm: str = ""
    peak_kw: float = 0.0


class Ems(contract.Controller):
    """The constraint loop of Hafiz & Ishchenko 2023, US 2023/0182605 A1 (process 400).

    Every period: refresh the charging schedule (415), dispatch over the rolling window (410), solve the load flow of
    every step (420), constrain what breaks the grid code and dispatch again (430, 440), adjust the charging schedule by
    priority where not all can be served (450, 460), and command the devices of the period (470). It plans anew at once
    when the supply of a hub, a device or its own parameters change, and when an EV leaves that was to charge.
    """

    Parameters = EmsParameters
    records = {
        "iterations": ("", "dispatches of the window until the load flow agreed"),
        "violations": ("", "limits broken by the first dispatch, over all steps of the window"),
        "worst_pu": ("pu", "how far the first dispatch was beyond a limit of voltage or current"),
        "constraints": ("", "constraints of the last dispatch"),
        "network_cost": ("1", "what it costs to respect the network in this window"),
        "unserved_kwh": ("kWh", "demand of EVs that the window cannot serve"),
        "verified": ("", "1 where the load flow finds every limit kept"),
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not isinstance(self.parameters, EmsParameters):
            raise TypeError(f"parameters of ems expected, got {type(self.parameters).__name__}")
        self._parameters = parameters = self.parameters
        self._memory = {name: _EmsMemory() for name in self.sites}
        self._window: _Window | None = None
        self._tried: tuple | None = None
        self._loop: Loop | None = None
        self._sites: dict[str, ConnectionPoints] = {}
        if self.period_s > parameters.step_s:
            raise contract.ParameterError(
                "period",
                f"must not be longer than step_s {parameters.step_s:g} s, got {self.period_s:g} s: "
                "only the step that is on is safe to command",
            )
        self._know_hubs(parameters)
        if parameters.network is not None:
            self._connect(parameters)

    def check(self, hub: str, parameters: contract.Parameters) -> None:
        """Refuse parameters that cannot change during a run, and limits of other hubs."""
        if not isinstance(parameters, EmsParameters):
            raise TypeError(f"parameters of ems expected, got {type(parameters).__name__}")
        changed = [key for key in _FIXED if getattr(parameters, key) != getattr(self._parameters, key)]
        if changed:
            raise contract.ParameterError(changed[0], "cannot change during a run")
        self._know_hubs(parameters)
        for limit in parameters.purchase_limits:
            if limit.hub not in (hub, None) and limit not in self._parameters.purchase_limits:
                raise contract.ParameterError("purchase_limits", f"an event of hub {hub!r} cannot limit {limit.hub!r}")

    def _know_hubs(self, parameters: EmsParameters) -> None:
        unknown = sorted({limit.hub for limit in parameters.purchase_limits if limit.hub is not None} - set(self.sites))
        if unknown:
            text = f"there is no hub {unknown[0]!r}; hubs are {', '.join(self.sites)}"
            raise contract.ParameterError("purchase_limits", text)

    def _connect(self, parameters: EmsParameters) -> None:
        """Read the network and find the place of every part."""
        grid = parameters.network
        if grid is None:
            return
        # pandapower takes a second to load, and not every run has a network
        from ...simulators.network.network_sources import build, find_bus

        missing = [name for name in self.sites if name not in grid.buses]
        if missing:
            raise contract.ParameterError("network.buses", f"has no bus for hub {missing[0]!r}")
        with contract.parameter("network.net"):
            net = build(grid.net)
            known = compiled(net)

        def index_of(name: str, bus: int | str, part: str = "") -> int:
            """Find the pandapower index of a bus that has a source."""
            with contract.parameter(f"network.buses.{name}{part}"):
                index = find_bus(net, bus, f"hub {name!r}")
                known.node(index, f"hub {name!r}")
                return index

        buses: dict[str, Buses] = {}
        hub_bus: dict[str, int] = {}
        for name in self.sites:
            bus = grid.buses[name]
            buses[name] = bus if isinstance(bus, Buses) else Buses(hub=bus)
            hub_bus[name] = index_of(name, buses[name].hub, ".hub" if isinstance(bus, Buses) else "")
        if grid.replaces_load:
            at = {known.node(bus) for bus in hub_bus.values()}
            replaced = tuple(bus for bus, node in known.node_of.items() if node in at)
            with contract.parameter("network.net"):
                known = compiled(net, replaced)
        nodes: dict[int, int] = {}

        def place(name: str, bus: int | str | None, part: str) -> int:
            index = hub_bus[name] if bus is None else index_of(name, bus, f".{part}")
            return nodes.setdefault(known.node(index), len(nodes))

        for name, site in self.sites.items():
            hub_buses, count = buses[name], site.connector_kw.size
            if hub_buses.connectors and len(hub_buses.connectors) != count:
                text = f"must name {count} buses, got {len(hub_buses.connectors)}"
                raise contract.ParameterError(f"network.buses.{name}.connectors", text)
            self._sites[name] = ConnectionPoints(
                *(place(name, getattr(hub_buses, part), part) for part in ("pv", "bess", "dg", "load")),
                connectors=tuple(
                    place(name, bus, f"connectors[{n}]") for n, bus in enumerate(hub_buses.connectors or [None])
                ),
            )
        low, high = grid.band_pu
        limits = NetworkLimits(low, high, grid.loading_percent / 100.0)
        self._loop = Loop(known, np.array(list(nodes)), limits, parameters.max_iterations, grid.margin_pu)

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Plan when a plan is due, and command the present step of the plan."""
        events: list[tuple[str, str, str]] = []
        records: dict[str, dict[str, float]] = {}
        diagnostics: dict[str, float] = {}
        for name, hub in observation.hubs.items():
            memory = self._memory[name]
            memory.peak_kw = max(memory.peak_kw, np.nan_to_num(hub.p_grid_kw))
        if self._is_due(observation):
            self._tried = _situation(observation)
            try:
                self._window = self._plan(observation, events, records, diagnostics)
            except RuntimeError as error:  # no schedule, or a solver that gave up
                self._window = self._remembered(observation)
                kept = self._window is not None and self._window.outcome.kept.all()
                remark = ", and the load flow still agrees with it" if kept and self._loop is not None else ""
                goes_on = "the last schedule goes on" if self._window is not None else "nothing charges"
                self._tell_alarm(observation, f"no dispatch: {error}; {goes_on}{remark}", events)
                records |= {name: {"verified": 0.0} for name in observation.hubs}
        return contract.Decision(
            {name: self._command(name, hub, observation.t_s) for name, hub in observation.hubs.items()},
            events,
            records,
            diagnostics,
        )

    def _is_due(self, observation: contract.Observation) -> bool:
        window, t_s = self._window, observation.t_s
        if t_s % self.period_s == 0.0 or self._tried != _situation(observation):
            return True
        if window is None:
            return False
        if t_s >= window.steps.edges_s[-1]:
            return True
        step = window.steps.at(t_s).now
        for name, hub in observation.hubs.items():
            plan = window.outcome.schedule.plans.get(name)
            for k, demand in enumerate(window.demands.get(name, [])):
                charges = plan is not None and abs(plan.session_kw[k, step]) > 1e-6
                if demand.connector >= 0 and charges and demand.name not in hub.connectors.session_id:
                    return True
        return False

    def _remembered(self, observation: contract.Observation) -> _Window | None:
        """The last window without hubs and EVs that are gone since, checked again; None if it is over."""
        window = self._window
        if window is None or observation.t_s >= window.steps.edges_s[-1]:
            return None
        schedule, plans = window.outcome.schedule, {}
        for name, plan in window.outcome.schedule.plans.items():
            hub = observation.hubs[name]
            if not hub.dead:
                there = [d.connector < 0 or d.name in hub.connectors.session_id for d in window.demands[name]]
                plans[name] = ems_commands.present(plan, np.array(there, dtype=bool))
        if not plans:
            return None
        start = observation.t_s - window.steps.edges_s[0]
        then = replace(observation, t_s=window.steps.edges_s[0], time=observation.time - timedelta(seconds=start))
        outcome = replace(window.outcome, schedule=replace(schedule, plans=plans))
        return replace(window, outcome=self._commanded(then, outcome, window.demands, window.steps))

    def _plan(
        self,
        observation: contract.Observation,
        events: list[tuple[str, str, str]],
        records: dict[str, dict[str, float]],
        diagnostics: dict[str, float],
    ) -> _Window | None:
        """One window (processes 410 to 460)."""
        parameters = self._parameters
        hubs = {name: hub for name, hub in observation.hubs.items() if not hub.dead}
        if not hubs:
            return None
        steps = ems_schedule.window(observation.t_s, parameters.step_s, parameters.horizon_s, observation.end_s)
        demands = {name: ems_schedule.charging_schedule(hub, self.sites[name], steps) for name, hub in hubs.items()}
        eens = {name: np.full(len(each), parameters_of(hubs[name]).eens_per_kwh) for name, each in demands.items()}
        dispatch, outcome = self._respecting(observation, hubs, steps, demands, eens)
        seconds, network_cost = dispatch.seconds, outcome.network_cost

        if parameters.priorities and any(_unserved_kwh(outcome, name).sum() > _UNSERVED_KWH for name in hubs):
            before = outcome.schedule.plans
            ranked = {
                name: session_priorities.ranks(
                    each, (own := parameters_of(hubs[name])).vehicles, own.weights, observation.t_s
                )
                for name, each in demands.items()
            }
            adjusted = {
                name: [
                    demand if rank.critical else ems_schedule.put_off(demand)
                    for demand, rank in zip(each, ranked[name], strict=True)
                ]
                for name, each in demands.items()
            }
            eens = {
                name: parameters_of(hubs[name]).eens_per_kwh * np.array([rank.weight for rank in each])
                for name, each in ranked.items()
            }
            dispatch, adjusted_outcome = self._respecting(observation, hubs, steps, adjusted, eens, outcome)
            seconds += dispatch.seconds
            if _rank(adjusted_outcome) >= _rank(outcome):
                outcome = replace(adjusted_outcome, rounds=(*outcome.rounds, *adjusted_outcome.rounds))
                self._tell_changes(before, outcome, demands, ranked, steps, events)
        outcome = self._commanded(observation, outcome, demands, steps)
        self._report(observation, outcome, events)
        first = outcome.rounds[0]
        for name in hubs:
            records[name] = {
                "iterations": float(outcome.iterations),
                "violations": float(first.violations + first.diverged),
                "worst_pu": first.worst,
                "constraints": float(len(outcome.cuts)),
                "network_cost": network_cost,
                "unserved_kwh": float(_unserved_kwh(outcome, name).sum()),
                "verified": float(self._loop is not None and outcome.kept.all()),
            }
        diagnostics["dispatch_s"] = seconds
        limited = frozenset(cut.step for cut in outcome.cuts)
        return _Window(steps, outcome, demands, limited)

    def _tell_changes(
        self,
        before: Mapping[str, HubPlan],
        outcome: LoopResult,
        demands: Mapping[str, list[Demand]],
        ranked: Mapping[str, list[session_priorities.PriorityRank]],
        steps: Steps,
        events: list[tuple[str, str, str]],
    ) -> None:
        """Tell what the adjustment changed for whom."""
        for name, each in demands.items():
            reported = self._memory[name].changes
            for k, (demand, rank) in enumerate(zip(each, ranked[name], strict=True)):
                after_kw = outcome.schedule.plans[name].session_kw[k]
                change = session_priorities.change(demand, before[name].session_kw[k], after_kw, steps)
                if change.is_news(reported.get(demand.name, session_priorities.Change())):
                    events.append((name, "schedule", change.text(demand, rank)))
                    reported[demand.name] = change

    def _commanded(
        self, observation: contract.Observation, outcome: LoopResult, demands: Mapping[str, list[Demand]], steps: Steps
    ) -> LoopResult:
        """The outcome with a schedule that devices can follow, checked as they will."""
        if self._loop is None:
            return outcome
        min_kw, room = {}, {}
        plans = outcome.schedule.plans
        for name in plans:
            minimum_kw = self.sites[name].connector_minimum_kw
            min_kw[name] = np.array([minimum_kw[c % minimum_kw.size] for c in plugs(demands[name])])
            limits = parameters_of(observation.hubs[name]).purchase_limits
            room[name] = np.minimum(self.sites[name].contracted_kw, ems_model_data.purchase_kw(limits, name, steps))
        places = {name: self._sites[name].places(demands[name]) for name in plans if _on_grid(observation.hubs[name])}
        shared_kw = self._shared_kw(observation.hubs, steps)
        background_pu = self._background_pu(observation, steps)
        schedule, kept = ems_commands.commanded(
            self._loop, outcome.schedule, places, min_kw, room, shared_kw, background_pu
        )
        return replace(outcome, schedule=schedule, kept=kept)

    def _shared_kw(self, hubs: Mapping[str, contract.Hub], steps: Steps) -> np.ndarray:
        """Most that all hubs may purchase together [kW], shape (k,)."""
        limits = [limit for hub in hubs.values() for limit in parameters_of(hub).purchase_limits]
        return ems_model_data.purchase_kw(limits, None, steps)

    def _respecting(
        self,
        observation: contract.Observation,
        hubs: Mapping[str, contract.Hub],
        steps: Steps,
        demands: Mapping[str, list[Demand]],
        eens: Mapping[str, np.ndarray],
        before: LoopResult | None = None,
    ) -> tuple[EmsDispatch, LoopResult]:
        """Dispatch the window until the load flow agrees."""
        parameters = self._parameters
        on_grid = {name: hub for name, hub in hubs.items() if _on_grid(hub)}
        with EmsDispatch(
            {
                name: ems_model_data.hub_data(
                    name, hub, self.sites[name], steps, demands[name], eens[name], self._memory[name].peak_kw
                )
                for name, hub in hubs.items()
            },
            {name: self._sites[name].places(demands[name]) for name in on_grid if self._loop is not None},
            0 if self._loop is None else len(self._loop.nodes),
            self._shared_kw(hubs, steps),
            tuple(on_grid),
            parameters.solver,
            parameters.time_limit_s,
        ) as dispatch:
            if self._loop is None:
                alone = dispatch.solve((), {})
                unseen = Round(0, 0, 0.0, "", 0, alone.cost)
                return dispatch, LoopResult(Verdict.FEASIBLE, alone, np.zeros(steps.n, dtype=bool), (unseen,), ())
            earlier = before.cuts if before else ()
            return dispatch, self._loop.run(dispatch, self._background_pu(observation, steps), earlier)

    def _background_pu(self, observation: contract.Observation, steps: Steps) -> np.ndarray:
        """What the network's own loads and plants are expected to feed in, shape (k, n) [pu]."""
        loop, grid = self._loop, self._parameters.network
        if loop is None or grid is None:
            return np.empty((steps.n, 0))
        scales = sorted(grid.load_scale.items())
        factors = []
        for begin_s in steps.edges_s[:-1]:
            clock = (observation.time + timedelta(seconds=float(begin_s) - observation.t_s)).time()
            past = [factor for begin, factor in scales if begin <= clock]
            factors.append(past[-1] if past else scales[-1][1])
        return loop.network.other_pu - np.outer(factors, loop.network.load_pu)

    def _report(
        self, observation: contract.Observation, outcome: LoopResult, events: list[tuple[str, str, str]]
    ) -> None:
        """Tell what could not be kept or verified."""
        if self._loop is None:
            text = "no network is given: schedules are not verified by a load flow"
        elif outcome.verdict is Verdict.FEASIBLE:
            text = (
                ""
                if outcome.kept.all()
                else f"not safe after {len(outcome.rounds)} iterations: the schedule keeps every limit, but not "
                "once an EV pauses or gets full"
            )
        else:
            last = outcome.rounds[-1]
            kept = "holds back its set points and" if outcome.kept.all() else "still breaks limits, but"
            text = (
                f"{outcome.verdict.value} after {len(outcome.rounds)} iterations: {last.violations} limits broken, "
                f"worst by {last.worst:.4f} pu at {last.where or 'a step without a load flow'}; "
                f"the best schedule {kept} is used"
            )
        self._tell_alarm(observation, text, events)

    def _tell_alarm(self, observation: contract.Observation, text: str, events: list[tuple[str, str, str]]) -> None:
        """Tell it once, and when it is over."""
        for name in observation.hubs:
            memory = self._memory[name]
            sort = text.partition(" after ")[0]
            if sort and sort != memory.alarm:
                events.append((name, "alarm" if self._loop is not None else "unverified", text))
            elif memory.alarm and not sort:
                events.append((name, "verified", "the load flow finds every limit kept again"))
            memory.alarm = sort

    def _command(self, name: str, hub: contract.Hub, t_s: float) -> contract.Setpoints:
        """Set points of the step that is on (process 470)."""
        site = self.sites[name]
        limit_kw, q_kvar = np.zeros((2, site.connector_kw.size))
        window = self._window
        plan = window.outcome.schedule.plans.get(name) if window is not None else None
        if window is None or plan is None or hub.dead or t_s >= window.steps.edges_s[-1]:
            return contract.Setpoints(connector_kw=limit_kw, pv_limit_kw=0.0)
        step = window.steps.at(t_s).now
        for k, demand in enumerate(window.demands[name]):
            if demand.name in hub.connectors.session_id:
                connector = hub.connectors.session_id.index(demand.name)
                limit_kw[connector] = float(plan.session_kw[k, step])
                q_kvar[connector] = float(plan.session_q_kvar[k, step])
        available_kw = float(hub.forecast.pv_kw(window.steps.edges_s[step : step + 2])[0]) if site.pv_kw else 0.0
        pv_kw = float(plan.pv_kw[step])
        curtailed = pv_kw < available_kw - 1e-6
        demand_kw = hub.forecast.load_kw(window.steps.edges_s[step : step + 2])[0]
        cut = plan.load_unserved_kw[:, step] > 1e-6
        return contract.Setpoints(
            connector_kw=limit_kw,
            bess_kw=float(plan.bess_kw[step]),
            pv_limit_kw=pv_kw if curtailed or step in window.limited else np.inf,
            dg_kw=float(plan.dg_kw[step]),
            pv_q_kvar=float(plan.pv_q_kvar[step]),
            bess_q_kvar=float(plan.bess_q_kvar[step]),
            dg_q_kvar=float(plan.dg_q_kvar[step]),
            connector_q_kvar=q_kvar,
            load_limit_kw=tuple(  # pyright: ignore[reportArgumentType]
                float(kw - lost) if is_cut else np.inf
                for kw, lost, is_cut in zip(demand_kw, plan.load_unserved_kw[:, step], cut, strict=True)
            ),
        )


def _situation(observation: contract.Observation) -> tuple:
    """What calls for a new plan when it changes."""
    return tuple((hub.bus, hub.failed, hub.parameters) for hub in observation.hubs.values())


def _rank(outcome: LoopResult) -> tuple[bool, bool]:
    """The higher the better."""
    return outcome.verdict is Verdict.FEASIBLE, bool(outcome.kept.all())


def _on_grid(hub: contract.Hub) -> bool:
    """It is fed through the network."""
    return not (hub.dead or hub.islanded)


def _unserved_kwh(outcome: LoopResult, name: str) -> np.ndarray:
    return outcome.schedule.plans[name].session_unserved_kwh
