"""The grid of time steps that all blocks of a plan share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from ....simulators import units
from .data_checks import DataError, RangeError, ShapeError, finite


@dataclass(frozen=True)
class Steps:
    """A fixed grid of time steps, and the step at which the plan begins.

    A rolling horizon keeps the grid and moves `now`: the steps before it are over, and every block holds them at zero.

    Parameters
    ----------
    edges_s : ndarray, shape (n + 1,)
        Edges of the steps [s since the start of the scenario], strictly rising; the steps may differ in length.
    now : int
        The first step that is still open.
    start : datetime, optional
        What the clock shows at 0 s; only for texts.

    Raises
    ------
    ValueError
        Edges that are not finite, not sorted or twice the same; `now` outside the grid.
    """

    edges_s: np.ndarray
    now: int = 0
    start: datetime | None = None

    def __post_init__(self):
        edges_s = finite("steps.edges_s", self.edges_s)
        if edges_s.ndim != 1 or edges_s.size < 2:
            raise ShapeError("steps.edges_s", f"needs at least two times in one row, got shape {edges_s.shape}")
        late = np.flatnonzero(np.diff(edges_s) <= 0.0)
        if late.size:
            i = int(late[0])
            kind = "twice the same time" if edges_s[i] == edges_s[i + 1] else "times must rise"
            rule = f"{kind}, got {edges_s[i + 1]:g} after {edges_s[i]:g}"
            raise DataError(f"steps.edges_s[{i + 1}]", rule, "steps.edges_s")
        if not 0 <= self.now < edges_s.size - 1:
            raise RangeError("steps.now", f"must be a step from 0 to {edges_s.size - 2}, got {self.now}")
        object.__setattr__(self, "edges_s", edges_s)

    @classmethod
    def regular(cls, n: int, step_s: float, start_s: float = 0.0, start: datetime | None = None) -> Steps:
        """Build a grid of `n` equal steps of `step_s` [s] from `start_s` [s]."""
        return cls(start_s + step_s * np.arange(n + 1), start=start)

    def at(self, t_s: float) -> Steps:
        """Move `now` to the step that holds the time `t_s` [s].

        Raises
        ------
        ValueError
            A time outside the grid.
        """
        if not self.edges_s[0] <= t_s < self.edges_s[-1]:
            raise RangeError("steps", f"{t_s:g} s is outside {self.edges_s[0]:g} to {self.edges_s[-1]:g} s")
        return replace(self, now=int(np.searchsorted(self.edges_s, t_s, side="right")) - 1)

    @property
    def n(self) -> int:
        """Number of steps."""
        return self.edges_s.size - 1

    @property
    def now_s(self) -> float:
        """Begin of the first open step [s]."""
        return float(self.edges_s[self.now])

    @property
    def hours(self) -> np.ndarray:
        """Length of each step [h], shape (n,); an energy [kWh] is a power [kW] times this."""
        return units.energy_kwh(1.0, np.diff(self.edges_s))

    @property
    def open(self) -> np.ndarray:
        """True from `now` on, shape (n,)."""
        return np.arange(self.n) >= self.now

    @property
    def edge_open(self) -> np.ndarray:
        """True at the edges after the begin of `now`, shape (n + 1,): there a state is planned, before it is known."""
        return np.arange(self.n + 1) > self.now

    def share(self, arrival_s: np.ndarray, departure_s: np.ndarray) -> np.ndarray:
        """Share of each open step between an arrival and a departure.

        Parameters
        ----------
        arrival_s, departure_s : ndarray, shape (n_sessions,)
            Times [s].

        Returns
        -------
        ndarray, shape (n_sessions, n)
            From 0 to 1.
        """
        begin_s, end_s = self.edges_s[:-1], self.edges_s[1:]
        inside_s = np.minimum(departure_s[:, None], end_s) - np.maximum(arrival_s[:, None], begin_s)
        return np.clip(inside_s / (end_s - begin_s), 0.0, 1.0) * self.open

    def series(self, item: str, values, lower: float = -np.inf) -> np.ndarray:
        """Check that a series covers the horizon: a number, or one finite number for each step.

        Parameters
        ----------
        item : str
            Name for the message.
        values : float or array, shape (n,)
            The series.
        lower : float
            Smallest value allowed.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        ValueError
            Another length, NaN, inf, or a value below `lower`.
        """
        values = finite(item, values, lower)
        if values.ndim and values.shape != (self.n,):
            raise ShapeError(item, f"must cover the {self.n} steps of the horizon, got shape {values.shape}")
        return np.broadcast_to(values, (self.n,))

    def clock_at(self, edge: int) -> str:
        """Write the time of an edge as people read it."""
        return self.clock(float(self.edges_s[edge]))

    def clock(self, t_s: float) -> str:
        """Write a time [s] as people read it."""
        if self.start is None:
            return f"{t_s:g} s"
        time = self.start + timedelta(seconds=float(t_s))
        days = (time.date() - self.start.date()).days
        return f"{time:%H:%M}" + (f" (day {days + 1})" if days else "")
