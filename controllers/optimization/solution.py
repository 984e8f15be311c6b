"""Status and result of a solve."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf, nan
from typing import Literal


class SolveStatus(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    """The best point, proven."""
    FEASIBLE = "feasible"
    """A point that obeys every constraint; how far it may be from the best is `Solution.gap`."""
    INFEASIBLE = "infeasible"
    """No point obeys every constraint, proven."""
    UNBOUNDED = "unbounded"
    """The objective has no limit (with integers: that of the LP relaxation)."""
    TIME_LIMIT = "time limit"
    """Time ran out before any point was found."""


@dataclass(frozen=True)
class Solution:
    """Result of one solve; the values are asked from the program.

    Attributes
    ----------
    status : SolveStatus
        How it ended.
    objective : float
        Objective of the point found, in the model's own sense; NaN without a point.
    bound : float
        No point can be better than this; NaN if unknown.
    proven_by : {'lp', 'branch', None}
        What proves the status: the LP relaxation alone, branch and bound, or nothing (stopped early).
    seconds : dict of str to float
        Wall time of each stage [s]: 'lp', 'fix' (integers fixed, LP again), 'branch', 'explain'.
    conflict : tuple of str
        If infeasible: constraints and bounds that cannot hold together, see `conflicts`.
    components : tuple of str
        Names of the constraints and variables of the conflict, without an index.
    stopped : bool
        True if the time limit ended the search.
    """

    status: SolveStatus
    objective: float = nan
    bound: float = nan
    proven_by: Literal["lp", "branch"] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    conflict: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is a point to use."""
        return self.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)

    @property
    def gap(self) -> float:
        """Relative distance of objective and bound, ``|objective - bound| / |objective|``; NaN if unknown."""
        return relative_gap(self.objective, self.bound)


def relative_gap(objective: float, bound: float) -> float:
    """Compute the relative distance of an objective from its bound.

    Parameters
    ----------
    objective, bound : float
        Objective of a point, and what no point can beat.

    Returns
    -------
    float
        ``|objective - bound| / |objective|``; 0 if they agree to 1e-9, inf if only the objective is 0.
    """
    distance = abs(objective - bound)
    if distance <= 1e-9:
        return 0.0
    return distance / abs(objective) if objective else inf
