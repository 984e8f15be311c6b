"""Texts and records of controllers that plan: how a solve ended, and what happens without a new plan."""

from __future__ import annotations

from .optimization.hub_model import HubPlan
from .optimization.solution import Solution, SolveStatus

REFUSED = -1
"""Status of data that never reached the solver."""
PLAN_RECORDS = {
    "plan_grid_kw": ("kW", "planned power at the PCC, > 0 imports; NaN without a plan"),
    "plan_bess_kw": ("kW", "planned power of the battery, > 0 discharges; NaN without a plan"),
}
"""Series that show a plan beside what happened."""


def plan_records(plan: HubPlan, k: int) -> dict[str, float]:
    """Return the values of `PLAN_RECORDS` in a step of a plan [kW]."""
    return {"plan_grid_kw": float(plan.buy_kw[k] - plan.sell_kw[k]), "plan_bess_kw": float(plan.bess_kw[k])}


def ended(solution: Solution) -> tuple[int, str]:
    """Describe how a solve ended.

    Parameters
    ----------
    solution : Solution
        What the solver answered.

    Returns
    -------
    status : int
        Place of the answer in `SolveStatus`, from 0.
    problem : str
        Why there is no plan, or why it may not be the best; else empty.
    """
    problem = ""
    if not solution.ok:
        problem = ": ".join([solution.status.value, *(["; ".join(solution.conflict)] if solution.conflict else [])])
    elif solution.stopped:
        problem = f"time limit: the plan may be {solution.gap:.2%} from the best one"
    return list(SolveStatus).index(solution.status), problem


def kind(cause: Solution | Exception) -> tuple[str, ...]:
    """Return a key of a problem that is the same whatever its figures.

    Parameters
    ----------
    cause : Solution or Exception
        A solve that ended without a plan or with one that may not be the best, or an error of data or solver.

    Returns
    -------
    tuple of str
        Of a solve: its status and the constraints in conflict; of an error: its ``kind`` if it has one, else its class
        and text.
    """
    if isinstance(cause, Exception):
        return getattr(cause, "kind", (type(cause).__name__, str(cause)))
    return cause.status.value, *cause.components


def consequence(planned: bool, in_force: bool, rule: str) -> str:
    """Say what happens after planning has failed, or when a plan is not proven the best.

    Parameters
    ----------
    planned : bool
        There is a new plan all the same.
    in_force : bool
        An earlier plan still covers the present.
    rule : str
        What decides without any plan.
    """
    if planned:
        return "it is followed"
    return "the last good plan stays in force" if in_force else f"{rule} decides until there is a plan"
