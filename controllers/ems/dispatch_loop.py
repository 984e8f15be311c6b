"""The loop of dispatch, load flow and new constraints, until no limit is broken (processes 410 to 440)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ...simulators.network.admittances import AdmittanceNetwork
from ...simulators.network.batch_load_flow import LoadFlow, solve
from .constraints import Cut, NetworkLimits, excess, linearised, name, quantities
from .ems_dispatch import BROKEN_KW, EmsDispatch, EmsSchedule

_TOLERANCE_PU = 1e-6
_LINEAR_ERROR = 0.02
"""A linearisation that was further off than this holds for half of the step that was tried."""
_LOOSE = 0.001
"""A limit that a constraint keeps this far away from is linearised again."""
_REFINEMENTS = 3
_SMALL_MISS = 0.01
"""A constraint that missed its limit by less [pu] is set as much further inside when it is linearised again."""


class Verdict(Enum):
    """How the loop ended."""

    FEASIBLE = "feasible"
    """The load flow finds every limit kept, in every step."""
    INFEASIBLE = "infeasible"
    """The constraints cannot be kept, whatever is scheduled."""
    UNSETTLED = "not converged"
    """The limit of iterations came first."""


@dataclass(frozen=True)
class Round:
    """One dispatch and its load flow.

    Parameters
    ----------
    violations : int
        Nodes and branches beyond a limit, over all steps.
    diverged : int
        Steps whose load flow has no solution.
    worst : float
        Largest excess [pu of voltage or of rated current].
    where : str
        Where that is; empty if nowhere.
    constraints : int
        Constraints of the dispatch.
    cost : float
        Cost of the schedule.
    """

    violations: int
    diverged: int
    worst: float
    where: str
    constraints: int
    cost: float

    @property
    def ok(self) -> bool:
        """Whether the load flow finds every limit kept."""
        return not (self.violations or self.diverged)


@dataclass(frozen=True)
class LoopResult:
    """The result of the loop.

    Parameters
    ----------
    verdict : Verdict
        How it ended.
    schedule : Schedule
        The cheapest that the load flow agreed with. Without any, the last one with the set points of each step held
        back as far as it takes.
    kept : ndarray of bool, shape (k,)
        Steps in which the load flow of `schedule` finds every limit kept.
    rounds : tuple of Round
        The story.
    cuts : tuple of Cut
        All constraints.
    """

    verdict: Verdict
    schedule: EmsSchedule
    kept: np.ndarray
    rounds: tuple[Round, ...]
    cuts: tuple[Cut, ...]

    @property
    def iterations(self) -> int:
        """Dispatches until the load flow agreed for the first time; all of them if it never did."""
        return next((n for n, entry in enumerate(self.rounds, 1) if entry.ok), len(self.rounds))

    @property
    def network_cost(self) -> float:
        """What it costs to respect the network: this schedule against the first one."""
        return self.schedule.cost - self.rounds[0].cost


@dataclass(frozen=True)
class Loop:
    """The loop on one network: its limits, and the number of iterations allowed.

    Parameters
    ----------
    network : AdmittanceNetwork
        The network.
    nodes : ndarray of int, shape (m,)
        Node of each place.
    limits : NetworkLimits
        The grid code.
    max_iterations : int
        Dispatches at most.
    margin : float
        How far inside the limits the constraints lie [pu].
    """

    network: AdmittanceNetwork
    nodes: np.ndarray
    limits: NetworkLimits
    max_iterations: int = 10
    margin: float = 2e-4

    def run(self, dispatch: EmsDispatch, background_pu: np.ndarray, cuts: tuple[Cut, ...] = ()) -> LoopResult:
        """Run dispatch and load flow in turn until no limit is broken, or no better schedule is found.

        Parameters
        ----------
        dispatch : EmsDispatch
            The window.
        background_pu : ndarray of complex, shape (k, n)
            What all others feed into the nodes [pu].
        cuts : tuple of Cut
            Constraints from earlier runs on the same window.

        Returns
        -------
        LoopResult

        Raises
        ------
        DispatchError
            If a dispatch has no solution.
        """
        rounds: list[Round] = []
        boxes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        best: EmsSchedule | None = None
        agreed: EmsSchedule | None = None
        verdict, refined = Verdict.UNSETTLED, 0
        schedule, flow = None, None
        for _ in range(self.max_iterations):
            schedule = dispatch.solve(cuts, boxes)
            flow = self.flow(schedule.u, background_pu)
            beyond = excess(self.network, self.limits, quantities(flow))
            rounds.append(self._round(flow, beyond, len(cuts), schedule.cost))
            if rounds[-1].ok and (agreed is None or schedule.cost < agreed.cost):
                agreed = schedule  # the load flow decides, also where a constraint says it cannot be done
            if rounds[-1].ok and schedule.broken_kw <= BROKEN_KW and (best is None or schedule.cost < best.cost):
                gain = np.inf if best is None else best.cost - schedule.cost
                best = schedule
                loose = self._loose(cuts, flow, schedule)
                refined += 1
                if not loose or refined > _REFINEMENTS or gain < 1e-4 * abs(schedule.cost):
                    break
                again = {cut.key for cut in loose}
                cuts = (*(cut for cut in cuts if cut.key not in again), *loose)
                boxes = {}
                continue
            if best is not None:
                break  # a refinement that does not hold is not taken
            if rounds[-1].ok and not boxes:
                break
            if schedule.broken_kw > BROKEN_KW and not boxes and self._stuck(rounds):
                break
            cuts, boxes = self._constraints(flow, schedule, background_pu, beyond, cuts, len(rounds))
        if schedule is None:
            raise ValueError(f"max_iterations must be >= 1, got {self.max_iterations}")
        if agreed is not None:
            verdict, best = Verdict.FEASIBLE, agreed
        else:
            best = dispatch.clipped(self._held_back(schedule, dispatch, background_pu))
        kept = self.kept(best.u, background_pu)
        if schedule.broken_kw > BROKEN_KW and not kept.all():
            verdict = Verdict.INFEASIBLE
        return LoopResult(verdict, best, kept, tuple(rounds), cuts)

    def flow(self, u: np.ndarray, background_pu: np.ndarray) -> LoadFlow:
        """Load flow of set points, shape (k, 2 m) [kW, kvar], on top of what others feed in."""
        m = len(self.nodes)
        s_pu = background_pu.copy()
        np.add.at(s_pu.T, self.nodes, (u[:, :m] + 1j * u[:, m:]).T / self.network.base_kw)
        return solve(self.network, s_pu)

    def secured(self, u: np.ndarray, relieved: np.ndarray, background_pu: np.ndarray) -> np.ndarray:
        """Share of what may be taken back that must be, so that the limits hold.

        Parameters
        ----------
        u : ndarray, shape (k, 2 m)
            Set points that break a limit in some steps [kW, kvar].
        relieved : ndarray, shape (k, 2 m)
            The same with all taken back that may be.
        background_pu : ndarray of complex, shape (k, n)
            What all others feed in [pu].

        Returns
        -------
        ndarray, shape (k,)
            0 where nothing has to be, and where it does not help: where all of it is taken back, the limits must hold.
        """
        share = np.zeros(len(u))
        broken = np.flatnonzero(~self.kept(u, background_pu))
        helped = broken[self.kept(relieved[broken], background_pu[broken])]
        if helped.size:
            low, high = np.zeros(helped.size), np.ones(helped.size)
            far, background_pu = relieved[helped] - u[helped], background_pu[helped]
            for _ in range(10):
                middle = (low + high) / 2.0
                kept = self.kept(u[helped] + middle[:, None] * far, background_pu)
                low, high = np.where(kept, low, middle), np.where(kept, middle, high)
            share[helped] = high
        return share

    def kept(self, u: np.ndarray, background_pu: np.ndarray) -> np.ndarray:
        """Return in which steps the load flow of set points, shape (k, 2 m), keeps every limit, shape (k,)."""
        flow = self.flow(u, background_pu)
        beyond = excess(self.network, self.limits, quantities(flow))
        return flow.converged & (np.abs(beyond).max(axis=1, initial=0.0) <= _TOLERANCE_PU)

    def _round(self, flow: LoadFlow, beyond: np.ndarray, constraints: int, cost: float) -> Round:
        far = np.abs(beyond)
        worst = float(far.max(initial=0.0))
        where = ""
        if worst > _TOLERANCE_PU:
            where = name(self.network, int(far.max(axis=0).argmax()))
        return Round(int((far > _TOLERANCE_PU).sum()), int((~flow.converged).sum()), worst, where, constraints, cost)

    def _stuck(self, rounds: list[Round]) -> bool:
        """Whether the last two rounds brought nothing."""
        if len(rounds) < 3 or any(entry.diverged for entry in rounds[-3:]):
            return False
        return min(rounds[-1].worst, rounds[-2].worst) > rounds[-3].worst - self.margin

    def _constraints(
        self,
        flow: LoadFlow,
        schedule: EmsSchedule,
        background_pu: np.ndarray,
        beyond: np.ndarray,
        cuts: tuple[Cut, ...],
        n_rounds: int,
    ) -> tuple[tuple[Cut, ...], dict[int, tuple[np.ndarray, np.ndarray]]]:
        """Constraints for all that is beyond its limit, and bounds for the steps that the last ones described badly."""
        moved, too_strict = self._misjudged(cuts, flow, schedule)
        boxes = {}
        for step, before in moved.items():
            radius = np.abs(schedule.u[step] - before).max() / 2.0
            boxes[step] = (schedule.u[step] - radius, schedule.u[step] + radius)

        at_limit = self._at_limit(schedule, flow, background_pu)
        there = self.flow(at_limit, background_pu)
        lower, upper = self.limits.bounds(self.network)
        inside = {cut.key: abs(cut.limit - (upper if cut.upper else lower)[cut.quantity]) for cut in cuts}
        wanted, small = {}, _SMALL_MISS * max(1, n_rounds - 2)
        for k, q in np.argwhere(np.abs(beyond) > _TOLERANCE_PU).tolist():
            key = (q, k, bool(beyond[k, q] > 0.0))
            # where a constraint was there and missed by little, the next one shall not miss by less and less
            missed = abs(float(beyond[k, q]))
            wanted[key] = inside[key] + missed if key in inside and missed < small else self.margin
        values = quantities(there)
        for k in np.flatnonzero(~flow.converged & there.converged).tolist():
            # short of the collapse one quantity is nearest to its limit
            room = np.minimum(upper - values[k], values[k] - lower)
            q = int(room.argmin())
            wanted[q, k, bool(upper[q] - values[k, q] < values[k, q] - lower[q])] = self.margin
        known = {key: self.margin for cut in cuts if (key := cut.key) not in wanted}
        # constraints accumulate, but for steps in which they forbid what is allowed or contradict each other
        stale = too_strict | {cut.step for cut in schedule.broken(cuts) if flow.converged[cut.step]}
        wanted |= {key: margin for key, margin in known.items() if key[1] in stale}
        new = linearised(there, self.limits, self.nodes, at_limit, wanted)
        kept = [cut for cut in cuts if cut.step not in stale]
        return (*kept, *new, *self._elsewhere(schedule, at_limit, beyond, background_pu, wanted, known)), boxes

    def _at_limit(self, schedule: EmsSchedule, flow: LoadFlow, background_pu: np.ndarray) -> np.ndarray:
        """Set points on the way back to rest at which the limits are just kept, shape (k, 2 m).

        A linearisation is good where it is needed: at the limit, not where the load flow found it broken. Where even
        rest breaks a limit, the schedule stays as it is, or goes to rest if its load flow has no solution.
        """
        share = self.secured(schedule.u, schedule.rest, background_pu)
        at_rest = self.kept(schedule.rest, background_pu)
        share = np.where(at_rest, share, np.where(flow.converged, 0.0, 1.0))
        return schedule.u + share[:, None] * (schedule.rest - schedule.u)

    def _elsewhere(
        self,
        schedule: EmsSchedule,
        at_limit: np.ndarray,
        beyond: np.ndarray,
        background_pu: np.ndarray,
        wanted: Mapping[tuple[int, int, bool], float],
        known: Mapping[tuple[int, int, bool], float],
    ) -> list[Cut]:
        """Constrain the worst node and branch in all other steps, for what moves there.

        They are linearised with the set points of the worst step, because that is what may come.
        """
        n = self.network.bus.size
        cuts: list[Cut] = []
        for part, sign in ((slice(0, n), 1.0), (slice(0, n), -1.0), (slice(n, None), 1.0)):
            far = sign * beyond[:, part]
            if far.max(initial=0.0) <= _TOLERANCE_PU:
                continue
            worst, quantity = np.unravel_index(far.argmax(), far.shape)
            u = schedule.rest + (at_limit[worst] - schedule.rest[worst])
            flow = self.flow(u, background_pu)
            keys = ((int(quantity) + (part.start or 0), int(k), sign > 0.0) for k in np.flatnonzero(flow.converged))
            missing = {key: self.margin for key in keys if key not in wanted and key not in known}
            cuts += linearised(flow, self.limits, self.nodes, u, missing)
        return cuts

    def _misjudged(
        self, cuts: tuple[Cut, ...], flow: LoadFlow, schedule: EmsSchedule
    ) -> tuple[dict[int, np.ndarray], set[int]]:
        """Steps in which a latest constraint was far off, and where it was made; those in which it was too strict."""
        values = quantities(flow)
        linearised_at, too_strict = {}, set()
        for cut in {cut.key: cut for cut in cuts if not cut.turned}.values():
            off = cut.at(schedule.u[cut.step]) - values[cut.step, cut.quantity]
            if abs(off) > _LINEAR_ERROR and flow.converged[cut.step]:
                linearised_at[cut.step] = cut.point
                if (off > 0.0) == cut.upper:
                    too_strict.add(cut.step)
        return linearised_at, too_strict

    def _loose(self, cuts: tuple[Cut, ...], flow: LoadFlow, schedule: EmsSchedule) -> list[Cut]:
        """Constraints that bind where the quantity itself is well inside, linearised again here."""
        values = quantities(flow)
        lower, upper = self.limits.bounds(self.network)
        wanted = {}
        for cut in cuts:
            q, value = cut.quantity, values[cut.step, cut.quantity]
            binding = abs(cut.at(schedule.u[cut.step]) - cut.limit) < _LOOSE / 10.0
            inside = upper[q] - value if cut.upper else value - lower[q]
            if binding and not cut.turned and inside - self.margin > _LOOSE:
                wanted[cut.key] = self.margin
        return linearised(flow, self.limits, self.nodes, schedule.u, wanted) if wanted else []

    def _held_back(self, schedule: EmsSchedule, dispatch: EmsDispatch, background_pu: np.ndarray) -> EmsSchedule:
        """Set points of each step scaled down until its limits are kept; left alone where even rest breaks them."""
        at_rest = self.kept(schedule.rest, background_pu)
        share = self.secured(schedule.u, schedule.rest, background_pu)
        return schedule.held_back(np.where(at_rest, 1.0 - share, 1.0), dispatch.places)
