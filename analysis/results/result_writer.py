"""Writing a result while the run goes on, so that a run that is killed stays readable; see `result_layout`."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .result_layout import (
    CHUNK_BYTES,
    EVENT,
    FILE_OPTIONS,
    KIND_BYTES,
    LAYOUT,
    NAME_BYTES,
    NETWORK,
    OUTCOMES,
    OWN_FIGURES,
    SAMPLE,
    SESSION_COLUMNS,
    SESSION_END,
    SOURCE_BYTES,
    STATUS_BYTES,
    RecordedDevice,
    ResultError,
    SeriesSpec,
    encoded_text,
)

_CHUNK_ROWS = (32, 1024)  # fewest, most
_FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}
# In SWMR mode a chunk that is written again leaves its old space unused, so long runs flush at growing intervals.
_FLUSH_SHARE = 0.02


class ResultWriter:
    """Writes a result while the run goes on.

    Values are buffered and reach the disk when a buffer is full, or every `flush_s` of wall-clock time (long runs:
    every 2 % of their length, if that is more). Leaving a ``with`` block closes the file as complete, or as failed if
    an exception passes through.

    Parameters
    ----------
    path : str or Path
        File to write; an old one is replaced, missing folders are made.
    attributes : mapping
        Root attributes: ``name``, ``scenario``, ``versions``, ``seed``, ``start`` (ISO 8601 with zone), ``duration_s``,
        ``time_step_s`` and whatever else belongs to the run. Mappings and lists are stored as JSON. ``hubs`` (names in
        order) is taken from the series and sessions when missing.
    series : sequence of SeriesSpec
        All signals.
    sessions : sequence of mappings
        All EV sessions, with the keys ``hub``, ``id``, ``arrival_s`` [s], ``departure_s`` [s], ``requested_kwh`` [kWh]
        and any others; a session's number is its place among those of its hub.
    devices : mapping of str to RecordedDevice
        Kinds and signs of the devices, by ``hub/device``.
    buffer_rows : int, optional
        Rows buffered per series; by default one chunk of the file.
    flush_s : float
        Shortest wall-clock time between two flushes [s].

    Raises
    ------
    ResultError
        If the file cannot be written, a path occurs twice or has not three parts, or a session lacks a key.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        attributes: Mapping[str, Any],
        series: Sequence[SeriesSpec],
        sessions: Sequence[Mapping[str, Any]] = (),
        *,
        devices: Mapping[str, RecordedDevice] | None = None,
        buffer_rows: int | None = None,
        flush_s: float = 5.0,
    ) -> None:
        _check(series, sessions)
        self.path = Path(path)
        self.hubs = list(attributes.get("hubs") or _hubs(series, sessions))
        self._duration_s = attributes.get("duration_s")
        self._flush_s = flush_s
        self._started = time.monotonic()
        self._flush_at = self._started + flush_s
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: Any = h5py.File(self.path, "w", libver="latest", **FILE_OPTIONS)
        except OSError as error:
            raise ResultError(f"{path}: cannot be written ({error})") from error
        try:
            self._create({**attributes, "hubs": self.hubs}, series, sessions, buffer_rows)
            self._describe(devices or {})
            self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise

    def _create(self, attributes: Mapping, series: Sequence[SeriesSpec], sessions: Sequence, rows: int | None) -> None:
        """Make every object of the file; none can be added once the run has started."""
        root = self._file
        root.attrs["layout"] = LAYOUT
        root.attrs["status"] = encoded_text("running", STATUS_BYTES)
        root.attrs["end_s"] = 0.0
        for name, value in attributes.items():
            if value is not None:
                root.attrs[name] = _attribute(value)

        self._buffers: list[_SeriesBuffer] = []
        self._by_key: dict[int | str, _SeriesBuffer] = {}
        top = root.create_group("series")
        for index, spec in enumerate(series):
            group = top.create_group(spec.path)
            group.attrs["unit"] = encoded_text(spec.unit)
            group.attrs["description"] = encoded_text(spec.description)
            if spec.codes is not None:
                group.attrs["codes"] = encoded_text(json.dumps({str(code): name for code, name in spec.codes.items()}))
            buffer = _SeriesBuffer(group, spec, rows)
            self._buffers.append(buffer)
            self._by_key[index] = self._by_key[spec.path] = buffer

        group = root.create_group("sessions")
        columns = dict.fromkeys([*SESSION_COLUMNS, *(key for session in sessions for key in session)])
        for name in columns:
            group.create_dataset(name, data=session_column([session.get(name) for session in sessions]))

        self._ends = _Table(root, "session_ends", SESSION_END)
        self._ends.data.attrs["outcomes"] = encoded_text(json.dumps(OUTCOMES))
        group = root.create_group("events")
        self._events = _Table(group, "rows", EVENT)
        self._heap = _growing(group, "text", "u1")
        self._heap_waiting: list[bytes] = []
        self._heap_end = 0
        group = root.create_group("diagnostics")
        group.attrs["wall_s"] = np.nan
        group.attrs["started_unix_s"] = time.time()
        group.attrs["pid"] = os.getpid()
        group.attrs["host"] = encoded_text(socket.gethostname())
        self._samples = _Table(group, "samples", SAMPLE)

    def _describe(self, devices: Mapping[str, RecordedDevice]) -> None:
        """Write kinds and signs of the devices that have a series."""
        top = self._file["series"]
        for place, device in devices.items():
            if place in top:
                group = top[place]
                group.attrs["kind"] = encoded_text(device.kind)
                group.attrs["sign"] = device.sign
                if device.of:
                    group.attrs["of"] = encoded_text(json.dumps(device.of))

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("complete" if kind is None else "failed")

    def append(self, key: int | str, t_s: float, value: Any) -> None:
        """Record that a signal has a new value from `t_s` on; at the same time, the last value wins.

        Parameters
        ----------
        key : int or str
            Place in the list of series, or path.
        t_s : float
            Time since the start [s].
        value : scalar or array, shape (n,)
            Value in the unit of the series; copied.

        Raises
        ------
        KeyError
            If there is no such series.
        ValueError
            If time runs backwards or the shape does not fit.
        """
        buffer = self._by_key[key]
        if t_s > buffer.last_s:
            rows = buffer.rows
            if rows == buffer.capacity:
                buffer.store(keep=0)
                rows = 0
            buffer.times[rows] = t_s
            buffer.values[rows] = value
            buffer.rows = rows + 1
            buffer.last_s = t_s
        elif t_s == buffer.last_s:
            buffer.values[buffer.rows - 1] = value
        else:
            raise ValueError(f"series {key}: time must not run backwards, got {t_s} s after {buffer.last_s} s")
        buffer.dirty = True
        if time.monotonic() >= self._flush_at:
            self.flush()

    def event(self, t_s: float, source: str, kind: str, text: str = "") -> None:
        """Record an event at `t_s` [s]; source and kind are cut after 64 and 32 bytes, the text may have any length."""
        raw = text.encode()
        self._heap_waiting.append(raw)
        self._heap_end += len(raw)
        self._events.waiting.append((t_s, _fixed(source, SOURCE_BYTES), _fixed(kind, KIND_BYTES), self._heap_end))

    def session_end(
        self,
        hub: int | str,
        session: int,
        connector: int,
        plug_s: float,
        end_s: float,
        delivered_kwh: float,
        soc_end: float,
        outcome: int | str,
    ) -> None:
        """Record how a session ended.

        Parameters
        ----------
        hub : int or str
            Hub, by place or name.
        session : int
            Number of the session within its hub.
        connector : int
            Connector it was plugged in at, -1 for none.
        plug_s : float
            Time at which it was plugged in [s], NaN for never.
        end_s : float
            Time at which the EV left or the run ended [s].
        delivered_kwh : float
            Energy delivered [kWh].
        soc_end : float
            State of charge of the EV at the end, 0..1, NaN if unknown.
        outcome : int or str
            ``served``, ``balked``, ``reneged`` or ``unfinished``, or its place among these.

        Raises
        ------
        ValueError
            If the hub or the outcome is unknown.
        """
        place = self.hubs.index(hub) if isinstance(hub, str) else hub
        code = OUTCOMES.index(outcome) if isinstance(outcome, str) else outcome
        if not (0 <= place < len(self.hubs) and 0 <= code < len(OUTCOMES)):
            raise ValueError(
                f"hub must be 0..{len(self.hubs) - 1}, outcome 0..{len(OUTCOMES) - 1}, got {hub}, {outcome}"
            )
        self._ends.waiting.append((place, session, connector, plug_s, end_s, delivered_kwh, soc_end, code))

    def diagnostic(self, name: str, t_s: float, value: float) -> None:
        """Record a wall-clock value, such as a decision time; the name is cut after 48 bytes."""
        self._samples.waiting.append((t_s, _fixed(name, NAME_BYTES), value))

    def flush(self) -> None:
        """Write everything to the disk, so that it can be read even if this process is killed."""
        end_s = max((buffer.last_s for buffer in self._buffers), default=0.0)
        self._store(max(end_s, 0.0))
        now = time.monotonic()
        self._flush_at = now + max(self._flush_s, _FLUSH_SHARE * (now - self._started))

    def _store(self, end_s: float) -> None:
        for buffer in self._buffers:
            if buffer.dirty:
                buffer.store(keep=1)
        if self._heap_waiting:
            # text before rows: a row never points behind the heap's end
            text = b"".join(self._heap_waiting)
            _put(self._heap, len(self._heap), np.frombuffer(text, "u1"))
            self._heap_waiting.clear()
        for table in (self._events, self._ends, self._samples):
            table.store()
        self._file.flush()
        self._file.attrs.modify("end_s", end_s)
        self._file.flush()

    def close(self, status: str = "complete") -> None:
        """Write what is left and close the file; a second call does nothing.

        Parameters
        ----------
        status : str
            ``complete`` or ``failed``. A complete run ends at its duration, a failed one at its last value.

        Raises
        ------
        ValueError
            If the status is neither.
        """
        if status not in ("complete", "failed"):
            raise ValueError(f"status must be complete or failed, got {status!r}")
        if not self._file:
            return
        try:
            end_s = max((buffer.last_s for buffer in self._buffers), default=0.0)
            if status == "complete" and self._duration_s is not None:
                end_s = self._duration_s
            self._store(max(float(end_s), 0.0))
            self._file["diagnostics"].attrs.modify("wall_s", time.monotonic() - self._started)
            self._file.attrs.modify("status", encoded_text(status, STATUS_BYTES))
        finally:
            self._file.close()


def append_own_figures(path: str | os.PathLike, stored: Sequence[Mapping[str, Any]]) -> None:
    """Append the key figures of the scenario's own to the file of a complete run, see `own_figures.own_figures_of`."""
    if stored:
        raw = np.frombuffer(json.dumps(stored, ensure_ascii=False).encode(), dtype="u1")
        with h5py.File(path, "r+", libver="latest") as file:
            file.create_dataset(OWN_FIGURES, data=raw)


class _SeriesBuffer:
    """Rows of one series that are not on disk yet, and the last one that is: it may still be replaced."""

    __slots__ = ("capacity", "data", "dirty", "first", "last_s", "rows", "time", "times", "values")

    def __init__(self, group: Any, spec: SeriesSpec, buffer_rows: int | None) -> None:
        self.time = _growing(group, "t_s", "f8")
        self.data: Any = _growing(group, "value", spec.dtype, spec.width)
        self.capacity = buffer_rows or self.data.chunks[0]
        self.times = np.empty(self.capacity)
        self.values = np.empty((self.capacity, *self.data.shape[1:]), dtype=spec.dtype)
        self.first = 0  # row in the file of the buffer's first row
        self.rows = 0
        self.last_s = -np.inf
        self.dirty = False

    def store(self, keep: int) -> None:
        """Write all rows; the last `keep` (0 or 1) stay in the buffer."""
        rows = self.rows
        _put(self.data, self.first, self.values[:rows])
        _put(self.time, self.first, self.times[:rows])
        if keep:
            self.times[0] = self.times[rows - 1]
            self.values[0] = self.values[rows - 1]
        self.first += rows - keep
        self.rows = keep
        self.dirty = False


class _Table:
    """A dataset of records to which rows are appended."""

    def __init__(self, group: Any, name: str, dtype: np.dtype) -> None:
        self.data = _growing(group, name, dtype)
        self.waiting: list[tuple] = []

    def store(self) -> None:
        if self.waiting:
            _put(self.data, len(self.data), np.array(self.waiting, dtype=self.data.dtype))
            self.waiting.clear()


def _growing(group: Any, name: str, dtype: Any, width: int | None = None) -> h5py.Dataset:
    """Create an empty dataset to which rows can be added."""
    shape = () if width is None else (width,)
    row_bytes = max(np.dtype(dtype).itemsize * (width or 1), 1)
    rows = int(np.clip(CHUNK_BYTES // row_bytes, *_CHUNK_ROWS))
    return group.create_dataset(
        name, (0, *shape), maxshape=(None, *shape), chunks=(rows, *(max(n, 1) for n in shape)), dtype=dtype, **_FILTERS
    )


def _put(dataset: Any, first: int, rows: np.ndarray) -> None:
    """Write rows from `first` on to the end of a dataset; h5py's low level takes half the time of indexing."""
    end = (first + len(rows), *rows.shape[1:])
    dataset.id.set_extent(end)
    space = h5py.h5s.create_simple(end)
    space.select_hyperslab((first,) + (0,) * (rows.ndim - 1), rows.shape)
    dataset.id.write(h5py.h5s.create_simple(rows.shape), space, rows)


@lru_cache(maxsize=1024)
def _fixed(text: str, width: int) -> bytes:
    """Encode text as an element of a record; cached, as few texts are written very often."""
    return encoded_text(text, width).item()


def _attribute(value: Any) -> Any:
    """Convert a root attribute to a form that survives a kill: no variable-length text."""
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return encoded_text(value) if isinstance(value, str) else value


def session_column(values: list) -> np.ndarray:
    """Convert a session column to bool, int64, float64 (None is NaN) or fixed-width text."""
    if any(isinstance(value, str) for value in values):
        raw = [("" if value is None else str(value)).encode() for value in values]
        return np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, *map(len, raw))))
    if all(isinstance(value, bool | np.bool_) for value in values):
        return np.array(values, dtype="bool" if values else "f8")
    if all(isinstance(value, int | np.integer) for value in values):
        return np.array(values, dtype="i8")
    return np.array([np.nan if value is None else value for value in values], dtype="f8")


def _check(series: Sequence[SeriesSpec], sessions: Sequence[Mapping[str, Any]]) -> None:
    """Refuse series and sessions that would make an unreadable file, all at once."""
    problems = []
    seen: set[str] = set()
    for spec in series:
        if len(spec.path.split("/")) != 3 or not all(spec.path.split("/")):
            problems.append(f"series {spec.path!r}: must be hub/device/attribute")
        if spec.path in seen:
            problems.append(f"series {spec.path!r}: given twice")
        seen.add(spec.path)
    for number, session in enumerate(sessions):
        missing = [key for key in SESSION_COLUMNS if key not in session]
        if missing:
            problems.append(f"session {number}: lacks {', '.join(missing)}")
    if problems:
        raise ResultError("; ".join(problems))


def _hubs(series: Sequence[SeriesSpec], sessions: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [spec.path.split("/")[0] for spec in series] + [session["hub"] for session in sessions]
    return [name for name in dict.fromkeys(names) if name != NETWORK]
