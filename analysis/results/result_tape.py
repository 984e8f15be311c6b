"""A result in memory: written as a result file is, read as one is, and copied while its run goes on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .result_layout import (
    JSON_ATTRIBUTES,
    OUTCOMES,
    SESSION_COLUMNS,
    SESSION_END,
    RecordedDevice,
    ResultError,
    SeriesSpec,
)
from .result_writer import ResultWriter, append_own_figures, session_column


class ResultTape:
    """Records a run in memory; takes what `ResultWriter` takes.

    Parameters
    ----------
    attributes : mapping
        What the run is called with, see `ResultWriter`. A value may be a function, called by who reads the recording:
        the text of a scenario takes longer to write than many a run to begin.
    series : sequence of SeriesSpec
        All signals.
    sessions : sequence of mappings
        All EV sessions.
    devices : mapping of str to RecordedDevice
        Kinds and signs of the devices, by ``hub/device``.
    """

    def __init__(
        self,
        attributes: Mapping[str, Any],
        series: Sequence[SeriesSpec],
        sessions: Sequence[Mapping[str, Any]] = (),
        *,
        devices: Mapping[str, RecordedDevice] | None = None,
    ) -> None:
        self.attributes = dict(attributes)
        # as a file gives types back
        self.specs = tuple(replace(spec, dtype=np.dtype(spec.dtype).str) for spec in series)
        self.sessions = tuple(sessions)
        self.devices = dict(devices or {})
        self.status = "running"
        self.end_s = 0.0
        self.hubs: list[str] = list(self.attributes["hubs"])
        self.started_unix_s = time.time()
        self.wall_s = math.nan
        self.times: list[list[float]] = [[] for _ in series]
        self.values: list[list[Any]] = [[] for _ in series]
        self.events: list[tuple[float, str, str, str]] = []
        self.session_ends: list[tuple] = []
        self.samples: list[tuple[float, str, float]] = []
        self.own_figures: list[dict[str, Any]] = []
        """Key figures of the scenario's own, see `own_figures.own_figures_of`; of a complete run."""

    def __enter__(self) -> ResultTape:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("complete" if kind is None else "failed")

    def append(self, key: int, t_s: float, value: Any) -> None:
        """Record that a signal has a new value from `t_s` on; see `ResultWriter.append`."""
        times = self.times[key]
        if times and t_s <= times[-1]:
            if t_s < times[-1]:
                raise ValueError(f"series {key}: time must not run backwards, got {t_s} s after {times[-1]} s")
            self.values[key][-1] = value
            return
        times.append(t_s)
        self.values[key].append(value)

    def event(self, t_s: float, source: str, kind: str, text: str = "") -> None:
        """Record an event at `t_s` [s]."""
        self.events.append((t_s, source, kind, text))

    def session_end(
        self,
        hub: str,
        session: int,
        connector: int,
        plug_s: float,
        end_s: float,
        delivered_kwh: float,
        soc_end: float,
        outcome: str,
    ) -> None:
        """Record how a session ended; see `ResultWriter.session_end`."""
        code = OUTCOMES.index(outcome)
        row = (self.hubs.index(hub), session, connector, plug_s, end_s, delivered_kwh, soc_end, code)
        self.session_ends.append(row)

    def diagnostic(self, name: str, t_s: float, value: float) -> None:
        """Record a wall-clock value, such as a decision time."""
        self.samples.append((t_s, name, value))

    def close(self, status: str = "complete") -> None:
        """End the recording: a complete run ends at its duration, a failed one at its last value."""
        if self.status != "running":
            return
        self.end_s = max((times[-1] for times in self.times if times), default=0.0)
        if status == "complete":
            self.end_s = float(self.attributes["duration_s"])
        self.status = status
        self.wall_s = time.time() - self.started_unix_s


class TapeReader:
    """Reads a tape as `ResultReader` reads a file.

    Parameters
    ----------
    tape : ResultTape
        The recording; it may go on.
    until_s : float, optional
        End of what is read of a run that goes on [s]; this instant itself may be half recorded and is left out.

    Attributes
    ----------
    path : Path
        Name of the scenario, in the place of a file.
    attributes, status, end_s
        As of `ResultReader`.
    """

    def __init__(self, tape: ResultTape, until_s: float | None = None) -> None:
        self._tape = tape
        self._has_series = True
        self.path = Path(str(tape.attributes.get("name", "run")))
        self.status = tape.status
        self.end_s = tape.end_s if until_s is None else until_s
        self._kept = {spec.path: n for n, spec in enumerate(tape.specs)}

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """What the run is called with, and how it ended."""
        raw = self._raw_attributes()
        parsed = {name: json.loads(raw[name]) for name in JSON_ATTRIBUTES if isinstance(raw.get(name), str)}
        return {**raw, **parsed, "status": self.status, "end_s": self.end_s}

    def _raw_attributes(self) -> dict[str, Any]:
        return {name: value() if callable(value) else value for name, value in self._tape.attributes.items()}

    def close(self) -> None:
        """Leave the recording as it is: it has no file to close."""

    def forget(self) -> None:
        """Drop the series, so that their memory is free; tables stay."""
        self._has_series = False
        self._tape.times.clear()
        self._tape.values.clear()

    def paths(self) -> list[str]:
        """List the paths of all series, in hub order."""
        order = {hub: place for place, hub in enumerate(self.attributes["hubs"])}
        return sorted(self._kept, key=lambda path: (order.get(path.split("/")[0], len(order)), path))

    def devices(self, hub: str) -> dict[str, RecordedDevice]:
        """Return kind and sign of the devices of a hub by name."""
        found = {name: device for name, device in self._tape.devices.items() if name.split("/")[0] == hub}
        present = {path.rpartition("/")[0] for path in self._kept}
        return {name.split("/")[1]: found[name] for name in sorted(found) if name in present}

    def spec(self, path: str) -> tuple[SeriesSpec, int]:
        """Return the description of a series and its number of rows."""
        n = self._kept[path]
        return self._tape.specs[n], self._rows(n)

    def _rows(self, n: int) -> int:
        if not self._has_series:
            raise ResultError(f"{self.path}: only the key figures were kept; run(..., series=True) keeps everything")
        side = "left" if self.status == "running" else "right"
        return int(np.searchsorted(self._tape.times[n], self.end_s, side=side))

    def series(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Return times [s], shape (k,), and values, shape (k,) or (k, n), of a series up to `end_s`."""
        n = self._kept[path]
        tape, rows = self._tape, self._rows(n)
        width = tape.specs[n].width
        values = np.array(tape.values[n][:rows], dtype=tape.specs[n].dtype)
        shape = (rows,) if width is None else (rows, width)
        return np.array(tape.times[n][:rows], dtype=float), values.reshape(shape)

    def events(self) -> list[tuple[float, str, str, str]]:
        """Return the events up to `end_s`: time [s], source, kind, text."""
        return [event for event in self._tape.events if event[0] <= self.end_s]

    def sessions(self) -> dict[str, np.ndarray]:
        """Return the columns of the table of sessions as the scenario has them."""
        sessions = self._tape.sessions
        names = dict.fromkeys([*SESSION_COLUMNS, *(key for session in sessions for key in session)])
        columns = {name: session_column([session.get(name) for session in sessions]) for name in names}
        return {
            name: np.array([raw.decode() for raw in data], dtype=object) if data.dtype.kind == "S" else data
            for name, data in columns.items()
        }

    def session_ends(self) -> np.ndarray:
        """Return the ends of sessions up to `end_s`, as records."""
        ends = np.array(self._tape.session_ends, dtype=SESSION_END)
        return ends[ends["end_s"] <= self.end_s]

    def own_figures(self) -> list[dict[str, Any]]:
        """Return the key figures of the scenario's own; empty where it has none."""
        return self._tape.own_figures

    def diagnostics(self) -> tuple[dict[str, float], list[tuple[float, str, float]]]:
        """Return wall-clock values of the run, and samples of time [s], name and value."""
        tape = self._tape
        return {"wall_s": tape.wall_s, "started_unix_s": tape.started_unix_s}, list(tape.samples)

    def save(self, path: Path) -> None:
        """Write the recording into a result file, with the datasets that a run into this file would have had.

        Raises
        ------
        ResultError
            If the file cannot be written, or the run goes on.
        """
        tape = self._tape
        if not self._has_series:
            raise ResultError(f"{path}: only the key figures were kept; run(..., series=True) keeps everything")
        if tape.status == "running":
            raise ResultError(f"{path}: a run that goes on cannot be saved; step it to its end, or save its state")
        writer = ResultWriter(path, self._raw_attributes(), tape.specs, tape.sessions, devices=tape.devices)
        with writer:
            for n, (times, values) in enumerate(zip(tape.times, tape.values, strict=True)):
                for t_s, value in zip(times, values, strict=True):
                    writer.append(n, t_s, value)
            for event in tape.events:
                writer.event(*event)
            for row in tape.session_ends:
                writer.session_end(*row)
            for t_s, name, value in tape.samples:
                writer.diagnostic(name, t_s, value)
            writer.close(tape.status)
        append_own_figures(path, tape.own_figures)
