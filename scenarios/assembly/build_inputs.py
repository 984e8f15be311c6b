"""What every part of a plant is built from: the scenario, its series and events, and the list of problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np

from ...simulators.adapter import Schedule
from ...simulators.series import Series
from ..errors import InputError, Problem
from ..files.series_files import read_series
from ..schema import scenario_schema
from ..schema.scenario_loader import Scenario
from .session_build import Visits, visits


def rng_seed(seed: int, hub: str, part: str) -> np.random.SeedSequence:
    """Return the random seed of one part of a hub, from the scenario's seed."""
    # by name, so that adding a hub or a connector changes no other part's numbers
    return np.random.SeedSequence(seed, spawn_key=(crc32(hub.encode()), crc32(part.encode())))


class Inputs:
    """Reads the files and events that a scenario names, and collects the problems in them.

    Parameters
    ----------
    loaded : Scenario
        A checked scenario.

    Attributes
    ----------
    scenario : ScenarioSection
    where : str
        Its file, for messages.
    problems : list of Problem
        The problems found so far.
    start : datetime
        First instant, on the local clock.
    until_s : float
        Length of the run [s].
    """

    def __init__(self, loaded: Scenario):
        self.loaded = loaded
        self.scenario = loaded.scenario
        self.where = loaded.where
        self.problems: list[Problem] = []
        start, zone = self.scenario.start, self.scenario.time_zone
        self.start: datetime = start.astimezone(ZoneInfo(zone)) if zone else start
        self.until_s = self.scenario.duration

    @contextmanager
    def at(self, key: str) -> Iterator[None]:
        """Collect the problems that are raised inside the block, under a key of the scenario file."""
        try:
            yield
        except InputError as error:
            self.problems += error.problems
        except ValueError as error:
            self.problems.append(Problem(self.where, key, ..., str(error)))

    def rng_seed(self, hub: str, part: str) -> np.random.SeedSequence:
        """Return the random seed of one part of a hub."""
        return rng_seed(self.scenario.seed, hub, part)

    def series(
        self, source: scenario_schema.Source, key: str, low: float = -math.inf, high: float = math.inf
    ) -> Series:
        """Read a quantity over the run; its problems are reported under its own key."""
        try:
            return self._read_series(source, key, low, high)
        except ValueError as error:
            raise InputError(Problem(self.where, key, ..., str(error))) from None

    def _read_series(self, source: scenario_schema.Source, key: str, low: float, high: float) -> Series:
        if isinstance(source, scenario_schema.Constant):
            series = Series.constant(source.value)
        elif isinstance(source, scenario_schema.Profile):
            end_s = None if source.every else max(self.until_s, source.points[-1][0] + 1.0)
            series = Series.from_points(source.points, end_s, period_s=source.every, resolution_s=source.interpolate)
        else:
            path = self.loaded.resolve(source.file, f"{key}.file")
            read = read_series(
                path, source.column, self.start, self.until_s, time_zone=source.time_zone, repeat=source.repeat
            )
            series = Series(read.t_s, read.values * source.scale, read.end_s, read.repeats)
        if (series.values < low).any():
            raise ValueError(f"must be >= {low:g} at all times, got {series.values.min():g}")
        if (series.values > high).any():
            raise ValueError(f"must be <= {high:g} at all times, got {series.values.max():g}")
        return series

    def schedule(
        self, kind: str, hub: str | None, default: Any, value=lambda what: True, more: Iterable = (), **wanted: Any
    ) -> Schedule:
        """Return the events of a kind as a schedule: those of a hub that match the wanted fields, and `more` intervals.

        A wanted value may be a tuple: the field must be one of its elements.
        """
        intervals = list(more)
        for event in self.scenario.events:
            what = event.what
            if event.kind != kind or (hub is not None and what.hub != hub):
                continue
            if all(
                getattr(what, field) in (wish if isinstance(wish, tuple) else (wish,)) for field, wish in wanted.items()
            ):
                intervals.append((event.at, math.inf if what.until is None else what.until, value(what)))
        return Schedule(intervals, default)

    def columns(self, source: Any, key: str, low: float = -math.inf) -> Series:
        """Read several columns of a file over the run, values of shape (k, number of columns)."""
        path, columns = self.loaded.resolve(source.file, f"{key}.file"), list(source.columns.values())
        read = read_series(path, columns, self.start, self.until_s, time_zone=source.time_zone, repeat=source.repeat)
        values = read.values * source.scale
        if (values < low).any():
            raise ValueError(f"must be >= {low:g} at all times, got {values.min():g}")
        return Series(read.t_s, values, read.end_s, read.repeats)

    def price_changes(self, name: str) -> list[tuple[str, float, float, float]]:
        """Return the price events of a hub: price, new value, from and until when [s]."""
        events = sorted(self.scenario.events, key=lambda event: event.at)
        return [
            (event.what.price, event.what.value, event.at, math.inf if event.what.until is None else event.what.until)
            for event in events
            if event.kind == "price" and event.what.hub == name
        ]

    def visits(self, name: str, hub: scenario_schema.HubSection) -> Visits:
        """Draw the sessions of a hub from its own random stream; every call returns the same ones."""
        faults = [
            (event.what.connector - 1, event.at, math.inf if event.what.until is None else event.what.until)
            for event in self.scenario.events
            if event.kind == "connector_fault" and event.what.hub == name
        ]
        return visits(self.loaded, name, hub, self.start, faults, self.rng_seed(name, "sessions"))
