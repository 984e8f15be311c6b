"""Quantities that change in steps over the time of a run: a value holds from its time until the next one.

Times are scenario seconds, 0 at the start of the run; earlier times are negative.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from .shared_data import SharedData


@dataclass(frozen=True, eq=False)
class Series(SharedData):
    """A step-held time series.

    Attributes
    ----------
    t_s : array, shape (k,)
        Times from which the values hold [s], strictly increasing. Points that repeat the value before them are left
        out on creation, so that every time but the first is a change.
    values : array, shape (k,) or (k, m)
        The values, finite.
    end_s : float
        Until when the last value holds [s], exclusive; inf for ever.
    repeats : bool
        Whether the span from ``t_s[0]`` to ``end_s`` repeats without end in both directions.

    Raises
    ------
    ValueError
        If there is no point, times do not increase, something is not finite, or the end is not after the last point.
    """

    t_s: np.ndarray
    values: np.ndarray
    end_s: float = math.inf
    repeats: bool = False
    _times: list = field(init=False, repr=False)
    _held: list = field(init=False, repr=False)

    def __post_init__(self):
        t_s, values = np.array(self.t_s, dtype=float), np.array(self.values, dtype=float)
        _check(t_s, values)
        if not self.end_s > t_s[-1]:
            raise ValueError(f"end must be after the last point at {t_s[-1]:.12g} s, got {self.end_s} s")
        if self.repeats and not math.isfinite(self.end_s):
            raise ValueError("a series that repeats needs a finite end, got inf s")
        differs = np.ones(len(t_s), dtype=bool)
        differs[1:] = np.any(values[1:] != values[:-1], axis=tuple(range(1, values.ndim)))
        t_s, values = t_s[differs], values[differs]
        t_s.flags.writeable = values.flags.writeable = False
        # lists, because bisect and indexing one value are an order of magnitude faster on them than on arrays
        held = values.tolist() if values.ndim == 1 else list(values)
        for name, value in (
            ("t_s", t_s),
            ("values", values),
            ("end_s", float(self.end_s)),
            ("_times", t_s.tolist()),
            ("_held", held),
        ):
            object.__setattr__(self, name, value)

    def __reduce__(self):
        # made anew, because arrays come out of a pickle writeable
        return Series, (self.t_s, self.values, self.end_s, self.repeats)

    @classmethod
    def constant(cls, value) -> Series:
        """Build the series that always has one value, a number or an array of shape (m,)."""
        return cls(np.array([0.0]), np.array([value], dtype=float), end_s=1.0, repeats=True)

    @classmethod
    def from_points(
        cls,
        points: Sequence[tuple[float, float]],
        end_s: float | None = None,
        *,
        period_s: float | None = None,
        resolution_s: float | None = None,
    ) -> Series:
        """Make a series of points, held in steps or followed along straight lines.

        Parameters
        ----------
        points : sequence of (float, float)
            Time [s] and value; a value may be a sequence of length m. Points from the end on are left out.
        end_s : float, optional
            Until when the last value holds [s].
        period_s : float, optional
            The points repeat with this period [s], from the first one on; instead of `end_s`.
        resolution_s : float, optional
            Follow straight lines between the points in steps of this length [s]. Each step has the mean of the line
            over it, so that energy is exact. After the last point its value holds.

        Returns
        -------
        Series
            The series from the first point to `end_s`, or repeating.

        Raises
        ------
        ValueError
            If neither or both of `end_s` and `period_s` are given, the resolution is not positive, or the points do
            not make a valid series.
        """
        if len(points) == 0:
            raise ValueError("needs at least one point")
        t_s = np.array([t for t, _ in points], dtype=float)
        values = np.array([value for _, value in points], dtype=float)
        _check(t_s, values)
        if period_s is not None and end_s is None:
            end_s = float(t_s[0] + period_s)
            if t_s[-1] > end_s:
                raise ValueError(f"points must lie within one period of {period_s:.12g} s, got {t_s[-1]:.12g} s")
        elif period_s is not None or end_s is None:
            raise ValueError(f"needs either end_s or period_s, got {end_s} and {period_s}")
        if not t_s[0] < end_s:
            raise ValueError(f"the first point must be before the end at {end_s:.12g} s, got {t_s[0]:.12g} s")
        if resolution_s is not None:
            if not resolution_s > 0:
                raise ValueError(f"resolution_s must be > 0, got {resolution_s}")
            t_s, values = _along_lines(t_s, values, min(end_s, t_s[-1]), resolution_s)
        kept = t_s < end_s
        return cls(t_s[kept], values[kept], end_s, repeats=period_s is not None)

    @property
    def start_s(self) -> float:
        """First time the series knows [s]."""
        return -math.inf if self.repeats else self._times[0]

    @property
    def until_s(self) -> float:
        """First time the series does not know any more [s]; inf if it repeats."""
        return math.inf if self.repeats else self.end_s

    def covers(self, from_s: float, until_s: float) -> bool:
        """Tell whether the series knows all times from `from_s` until just before `until_s` [s]."""
        return self.start_s <= from_s and until_s <= self.until_s

    def at(self, t_s: float):
        """Return the value that holds at a time [s]: a float, or a read-only array of shape (m,).

        Raises
        ------
        ValueError
            If the series does not know the time.
        """
        i, _ = self._locate(t_s)
        return self._held[i - 1]

    def next_change(self, t_s: float) -> float:
        """Find the first time after `t_s` at which the value really differs [s]; inf when there is none.

        Raises
        ------
        ValueError
            If the series does not know the time.
        """
        times = self._times
        i, round_ = self._locate(t_s)
        if i < len(times):
            return times[i] + round_ * self._period_s
        if not self.repeats or len(times) == 1:
            return math.inf
        # the next round starts with a change, unless it starts with the value that this one ends with
        i = 1 if np.array_equal(self._held[0], self._held[-1]) else 0
        return times[i] + (round_ + 1) * self._period_s

    def mean(self, from_s: float, until_s: float):
        """Average the value from `from_s` until `until_s` [s]: a float, or an array of shape (m,).

        Raises
        ------
        ValueError
            If the interval is empty or the series does not cover it.
        """
        mean = self.means(np.array([from_s, until_s]))[0]
        return float(mean) if self.values.ndim == 1 else mean

    def means(self, edges_s: np.ndarray) -> np.ndarray:
        """Average the values over adjoining intervals, such as the steps of a plan.

        Parameters
        ----------
        edges_s : array, shape (k + 1,)
            Borders of the intervals [s], strictly increasing.

        Returns
        -------
        array, shape (k,) or (k, m)
            Mean value of each interval.

        Raises
        ------
        ValueError
            If the borders do not increase or the series does not cover them.
        """
        edges_s = np.asarray(edges_s, dtype=float)
        # plain indexing: np.diff and np.union1d take several times longer for what a controller asks at every decision
        lengths_s = edges_s[1:] - edges_s[:-1]
        if lengths_s.size == 0 or not (lengths_s > 0).all():
            raise ValueError(f"edges_s must increase strictly, got {edges_s}")
        parts = np.concatenate([self.change_times(edges_s[0], edges_s[-1]), edges_s])
        parts.sort()
        begins, ends = parts[:-1], parts[1:]
        apart = begins != ends
        begins, weights = begins[apart], (ends - begins)[apart]
        if self.values.ndim > 1:
            weights, lengths_s = weights[:, None], lengths_s[:, None]
        areas = np.add.reduceat(self._values_at(begins) * weights, begins.searchsorted(edges_s[:-1]))
        return areas / lengths_s

    def sample(self, t_s: np.ndarray) -> np.ndarray:
        """Return the values at many times, the array form of `at`.

        Parameters
        ----------
        t_s : array, shape (j,)
            Times [s], in any order.

        Returns
        -------
        array, shape (j,) or (j, m)
            Values that hold at these times.

        Raises
        ------
        ValueError
            If the series does not know one of the times.
        """
        t_s = np.asarray(t_s, dtype=float)
        if t_s.size and not self.repeats:
            self._locate(float(t_s.min()))
            self._locate(float(t_s.max()))
        return self._values_at(t_s)

    def _values_at(self, t_s: np.ndarray) -> np.ndarray:
        """Values at times that the series covers."""
        if self.repeats and len(self._times) == 1:  # a constant
            return self.values.repeat(t_s.size, axis=0)
        if self.repeats:
            return self.values[[self._locate(t)[0] - 1 for t in t_s.tolist()]]
        return self.values[self.t_s.searchsorted(t_s, side="right") - 1]

    def change_times(self, from_s: float, until_s: float) -> np.ndarray:
        """Return `from_s` and all changes after it and before `until_s` [s], shape (k,).

        Raises
        ------
        ValueError
            If the series does not cover the span.
        """
        if not self.covers(from_s, until_s):
            raise ValueError(f"series covers {_span(self.start_s, self.until_s)}, asked for {_span(from_s, until_s)}")
        if not self.repeats:
            first, last = self.t_s.searchsorted(from_s, side="right"), self.t_s.searchsorted(until_s)
            return np.concatenate([[from_s], self.t_s[first:last]])
        times = [from_s]
        while (t_s := self.next_change(times[-1])) < until_s:
            times.append(t_s)
        return np.array(times)

    @property
    def _period_s(self) -> float:
        return self.end_s - self._times[0] if self.repeats else 0.0

    def _locate(self, t_s: float) -> tuple[int, int]:
        """Count the stored times up to `t_s` and the rounds of a repeating series; refuse times outside."""
        times = self._times
        if not self.repeats:
            if not times[0] <= t_s < self.end_s:
                raise ValueError(f"series covers {_span(times[0], self.end_s)}, asked for {t_s:.12g} s")
            return bisect_right(times, t_s), 0
        period_s = self._period_s
        round_ = math.floor((t_s - times[0]) / period_s)
        # always the sum time + round * period is compared, so that a change lies exactly where next_change says
        if times[0] + round_ * period_s > t_s:
            round_ -= 1
        elif times[0] + (round_ + 1) * period_s <= t_s:
            round_ += 1
        return bisect_right(times, t_s, key=lambda t: t + round_ * period_s), round_


def combine(function: Callable[..., np.ndarray], *series: Series, from_s: float, until_s: float) -> Series:
    """Make one series of several, by a function of their values.

    Parameters
    ----------
    function : callable
        Takes one array of shape (k,) or (k, m) for each series and returns an array of k rows.
    *series : Series
        What it is applied to; each must cover the span.
    from_s, until_s : float
        Span of the new series [s].

    Returns
    -------
    Series
        The function's values, which change where any of the series does.

    Raises
    ------
    ValueError
        If a series does not cover the span.
    """
    t_s = np.unique(np.concatenate([quantity.change_times(from_s, until_s) for quantity in series]))
    return Series(t_s, function(*[quantity.sample(t_s) for quantity in series]), until_s)


def by_clock(
    value_at: Callable[[datetime], float], breaks_s: Iterable[float], start: datetime, duration_s: float
) -> Series:
    """Make the series of a quantity that follows the local clock, over changes of daylight saving time too.

    Parameters
    ----------
    value_at : callable
        Gives the value for a local date and time (naive); it may change at the breaks of a day only.
    breaks_s : iterable of float
        Clock times at which it may change [s after local midnight], 0 to 86400.
    start : datetime
        First instant of the run, with the time zone whose clock counts.
    duration_s : float
        Length of the run [s].

    Returns
    -------
    Series
        Values over the run.

    Raises
    ------
    ValueError
        If `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"start must have a time zone, got {start}")
    zone, start_utc = start.tzinfo, start.astimezone(UTC)
    # all clock arithmetic is done in UTC: adding a timedelta to a local time would ignore changes of the clock
    end_utc = start_utc + timedelta(seconds=duration_s)
    day = start.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    last_day = end_utc.astimezone(zone).replace(tzinfo=None)
    instants = {start_utc}
    while day <= last_day:
        tomorrow = day + timedelta(days=1)
        for wall in [day + timedelta(seconds=s) for s in (0.0, *breaks_s)]:
            # a time that the clock shows twice is a break both times
            instants.update(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        instants.update(_clock_changes(day.replace(tzinfo=zone), tomorrow.replace(tzinfo=zone)))
        day = tomorrow
    ordered = sorted(instant for instant in instants if start_utc <= instant < end_utc)
    t_s = [(instant - start_utc).total_seconds() for instant in ordered]
    values = [value_at(instant.astimezone(zone).replace(tzinfo=None)) for instant in ordered]
    return Series(np.array(t_s), np.array(values), duration_s)


def _clock_changes(day: datetime, tomorrow: datetime) -> list[datetime]:
    """Find the instant of a local day at which its UTC offset changes, to the second (a day has at most one)."""
    if day.utcoffset() == tomorrow.utcoffset():
        return []
    zone, before = day.tzinfo, day.astimezone(UTC)
    length_s = int((tomorrow.astimezone(UTC) - before).total_seconds())
    seconds = bisect_right(
        range(length_s + 1),
        0,
        key=lambda s: int((before + timedelta(seconds=s)).astimezone(zone).utcoffset() != day.utcoffset()),
    )
    return [before + timedelta(seconds=seconds)]


def _along_lines(t_s: np.ndarray, values: np.ndarray, until_s: float, resolution_s: float):
    """Replace straight lines between points by steps that have their means; the last value is that at `until_s`."""
    edges = np.append(np.arange(t_s[0], until_s, resolution_s), until_s)
    nodes = np.union1d(edges, t_s[t_s < until_s])
    columns = values.reshape(len(t_s), -1)
    lines = np.column_stack([np.interp(nodes, t_s, column) for column in columns.T])
    held = lines[-1:]
    if len(edges) > 1:
        areas = (lines[1:] + lines[:-1]) / 2 * np.diff(nodes)[:, None]
        means = np.add.reduceat(areas, np.searchsorted(nodes, edges[:-1])) / np.diff(edges)[:, None]
        held = np.concatenate([means, held])
    return edges, held.reshape(len(edges), *values.shape[1:])


def _check(t_s: np.ndarray, values: np.ndarray) -> None:
    if t_s.ndim != 1 or values.ndim not in (1, 2) or len(t_s) != len(values):
        raise ValueError(f"needs times (k,) and values (k,) or (k, m), got shapes {t_s.shape} and {values.shape}")
    if len(t_s) == 0:
        raise ValueError("needs at least one point")
    for name, array in (("times", t_s), ("values", values)):
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(t_s), -1)).all(axis=1))
        if bad.size:
            raise ValueError(f"{name} must be finite, got {array[bad[0]]} at point {bad[0]}")
    falls = np.flatnonzero(np.diff(t_s) <= 0)
    if falls.size:
        i = falls[0]
        raise ValueError(f"times must increase strictly, got {t_s[i + 1]:.12g} s after {t_s[i]:.12g} s")


def _span(from_s: float, until_s: float) -> str:
    return f"{from_s:.12g} s..{until_s:.12g} s"
