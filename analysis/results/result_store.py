"""The HDF5 layout of a result, once: `ResultWriter` writes it while the run goes on, `ResultReader` reads it back.

====================================  ==================================================================================
object                                content
====================================  ==================================================================================
``/`` attributes                      ``layout``, ``status``, ``end_s``, and what the run is called with: name, scenario
                                      (YAML text), versions and hubs (JSON), seed, start, duration_s, time_step_s, ...
``/series/<hub>/<device>`` attributes ``kind``, ``sign`` (1 feeds the hub bus, -1 draws), and of a total of several
                                      devices ``of``, their names (JSON)
``/series/<hub>/<device>/<attr>``     ``t_s`` (k,) seconds since the start and ``value`` (k,) or (k, n), held until the
                                      next; attributes ``unit``, ``description`` and, for enumerations, ``codes`` (JSON)
``/events/rows``, ``/events/text``    time, source, kind and the end of the row's text in a heap of UTF-8 bytes
``/sessions/<column>``                every EV session of the scenario, written at the start
``/session_ends``                     what became of it: connector, times, energy, outcome
``/diagnostics/samples``              wall-clock values; this group may differ between two runs of the same scenario
====================================  ==================================================================================

The file is written in HDF5's single-writer-multiple-reader (SWMR) mode, so that a run that is killed stays readable.
This mode allows neither new objects nor variable-length text: everything exists before the run starts, and text has a
fixed width. ``end_s`` is the time up to which *all* series were on disk at the last flush; of a killed run, a reader
sees what comes before it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LAYOUT = 1
NETWORK = "network"  # the first part of a path that is not a hub
OUTCOMES = ("served", "balked", "reneged", "unfinished")
SESSION_COLUMNS = ("hub", "id", "arrival_s", "departure_s", "requested_kwh")

_SESSION_END = np.dtype(
    [
        ("hub", "i4"),
        ("session", "i4"),
        ("connector", "i4"),
        ("plug_s", "f8"),
        ("end_s", "f8"),
        ("delivered_kwh", "f8"),
        ("soc_end", "f8"),
        ("outcome", "i1"),
    ]
)
_SOURCE_BYTES, _KIND_BYTES, _NAME_BYTES = 64, 32, 48
_EVENT = np.dtype([("t_s", "f8"), ("source", f"S{_SOURCE_BYTES}"), ("kind", f"S{_KIND_BYTES}"), ("text_end", "i8")])
_SAMPLE = np.dtype([("t_s", "f8"), ("name", f"S{_NAME_BYTES}"), ("value", "f8")])

_JSON_ATTRIBUTES = ("versions", "hubs")
_STATUS_BYTES = 8
_CHUNK_BYTES = 32 * 1024
_CHUNK_ROWS = (32, 1024)  # fewest, most
_FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}
# Every open dataset has a chunk cache of its own; this keeps a run with a thousand series flat in memory.
_FILE_OPTIONS: dict[str, Any] = {"rdcc_nbytes": 2 * _CHUNK_BYTES, "rdcc_nslots": 31}
# signature, version, sizes of offsets and lengths, flags, addresses of base, extension and end of file
_SUPERBLOCK = struct.Struct("<8s4B3Q")
_SWMR_SUPERBLOCK = 3
# In SWMR mode a chunk that is written again leaves its old space unused, so long runs flush at growing intervals.
_FLUSH_SHARE = 0.02


class ResultError(ValueError):
    """A result cannot be written or read; the message says which file and why."""


@dataclass(frozen=True)
class SeriesSpec:
    """One signal of a result.

    Parameters
    ----------
    path : str
        ``hub/device/attribute``, such as ``depot/bess/p_kw``.
    unit : str
        Unit of the values, ``""`` for none.
    description : str
        One line for people.
    width : int, optional
        Number of values at a time; None for a scalar.
    dtype : str
        numpy type of the values.
    codes : mapping of int to str, optional
        Names of the values of an enumeration.
    """

    path: str
    unit: str = ""
    description: str = ""
    width: int | None = None
    dtype: str = "f8"
    codes: Mapping[int, str] | None = None


@dataclass(frozen=True)
class RecordedDevice:
    """What a device of a result is.

    Parameters
    ----------
    kind : str
        Its kind.
    sign : int
        1 where positive power feeds the hub bus, -1 where it draws.
    of : tuple of str
        Names of the devices whose total it is; empty for a device itself.
    """

    kind: str
    sign: int
    of: tuple[str, ...] = ()


def _utf8(text: str, width: int | None = None) -> np.ndarray:
    """Text as fixed-width UTF-8, cut at a character if it is too long."""
    raw = text.encode()
    if width is not None and len(raw) > width:
        raw = raw[:width].decode(errors="ignore").encode()
    return np.array(raw, dtype=h5py.string_dtype("utf-8", width or max(len(raw), 1)))


@lru_cache(maxsize=1024)
def _fixed(text: str, width: int) -> bytes:
    """The same as an element of a record; few texts are written very often."""
    return _utf8(text, width).item()


def _text(raw: Any) -> str:
    return bytes(raw).decode(errors="replace")


def _attribute(value: Any) -> Any:
    """A root attribute in a form that survives a kill: no variable-length text."""
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return _utf8(value) if isinstance(value, str) else value


def _column(values: list) -> np.ndarray:
    """A session column as bool, int64, float64 (None is NaN) or fixed-width text."""
    if any(isinstance(value, str) for value in values):
        raw = [("" if value is None else str(value)).encode() for value in values]
        return np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, *map(len, raw))))
    if all(isinstance(value, bool | np.bool_) for value in values):
        return np.array(values, dtype="bool" if values else "f8")
    if all(isinstance(value, int | np.integer) for value in values):
        return np.array(values, dtype="i8")
    return np.array([np.nan if value is None else value for value in values], dtype="f8")


def _growing(group: Any, name: str, dtype: Any, width: int | None = None) -> h5py.Dataset:
    """An empty dataset that can grow by rows."""
    shape = () if width is None else (width,)
    row_bytes = max(np.dtype(dtype).itemsize * (width or 1), 1)
    rows = int(np.clip(_CHUNK_BYTES // row_bytes, *_CHUNK_ROWS))
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
        What devices are, by ``hub/device``.
    buffer_rows : int, optional
        Rows buffered per series; by default one chunk of the file.
    flush_s : float
        Shortest wall-clock time between two flushes [s].

    Raises
    ------
    ResultError
        If the file cannot be written, a path is given twice or has not three parts, or a session lacks a key.
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
            self._file: Any = h5py.File(self.path, "w", libver="latest", **_FILE_OPTIONS)
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
        root.attrs["status"] = _utf8("running", _STATUS_BYTES)
        root.attrs["end_s"] = 0.0
        for name, value in attributes.items():
            if value is not None:
                root.attrs[name] = _attribute(value)

        self._buffers: list[_SeriesBuffer] = []
        self._by_key: dict[int | str, _SeriesBuffer] = {}
        top = root.create_group("series")
        for index, spec in enumerate(series):
            group = top.create_group(spec.path)
            group.attrs["unit"] = _utf8(spec.unit)
            group.attrs["description"] = _utf8(spec.description)
            if spec.codes is not None:
                group.attrs["codes"] = _utf8(json.dumps({str(code): name for code, name in spec.codes.items()}))
            buffer = _SeriesBuffer(group, spec, rows)
            self._buffers.append(buffer)
            self._by_key[index] = self._by_key[spec.path] = buffer

        group = root.create_group("sessions")
        columns = dict.fromkeys([*SESSION_COLUMNS, *(key for session in sessions for key in session)])
        for name in columns:
            group.create_dataset(name, data=_column([session.get(name) for session in sessions]))

        self._ends = _Table(root, "session_ends", _SESSION_END)
        self._ends.data.attrs["outcomes"] = _utf8(json.dumps(OUTCOMES))
        group = root.create_group("events")
        self._events = _Table(group, "rows", _EVENT)
        self._heap = _growing(group, "text", "u1")
        self._heap_waiting: list[bytes] = []
        self._heap_end = 0
        group = root.create_group("diagnostics")
        group.attrs["wall_s"] = np.nan
        group.attrs["started_unix_s"] = time.time()
        group.attrs["pid"] = os.getpid()
        group.attrs["host"] = _utf8(socket.gethostname())
        self._samples = _Table(group, "samples", _SAMPLE)

    def _describe(self, devices: Mapping[str, RecordedDevice]) -> None:
        """Write what devices are, where they have a series."""
        top = self._file["series"]
        for place, device in devices.items():
            if place in top:
                group = top[place]
                group.attrs["kind"] = _utf8(device.kind)
                group.attrs["sign"] = device.sign
                if device.of:
                    group.attrs["of"] = _utf8(json.dumps(device.of))

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
        self._events.waiting.append((t_s, _fixed(source, _SOURCE_BYTES), _fixed(kind, _KIND_BYTES), self._heap_end))

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
        self._samples.waiting.append((t_s, _fixed(name, _NAME_BYTES), value))

    def flush(self) -> None:
        """Bring everything to the disk, where a reader finds it even if this process is killed."""
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
            self._file.attrs.modify("status", _utf8(status, _STATUS_BYTES))
        finally:
            self._file.close()


def _check(series: Sequence[SeriesSpec], sessions: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what would make an unreadable file, all at once."""
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


class ResultReader:
    """Reads a result, lazily: opening costs the same for a minute and for a year.

    A run that is still going on, or was killed, is read up to its last flush; `status` is then ``running`` or
    ``killed``, and `end_s` the time up to which everything is there.

    Parameters
    ----------
    path : str or Path
        File to read.

    Attributes
    ----------
    attributes : dict
        Root attributes, text decoded and JSON parsed.
    status : str
        ``complete``, ``failed``, ``running`` or ``killed``.
    end_s : float
        End of the data [s].

    Raises
    ------
    ResultError
        If there is no such file, or it is damaged or not a result.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ResultError(f"{path}: no such file")
        self._file: Any = _open(self.path)  # h5py has no useful types
        try:
            self.attributes = self._attributes()
            self.status, self.end_s = self._status(), float(self.attributes["end_s"])
        except BaseException:
            self.close()
            raise

    def _attributes(self) -> dict[str, Any]:
        raw = self._read(lambda: dict(self._file.attrs))
        layout = raw.pop("layout", None)
        if layout is None or not {"status", "end_s", "hubs"} <= raw.keys():
            raise ResultError(f"{self.path}: is HDF5, but not a result of evhub")
        if layout > LAYOUT:
            raise ResultError(f"{self.path}: layout {layout} is newer than this evhub, which reads up to {LAYOUT}")
        attributes = {name: _text(value) if isinstance(value, bytes) else value for name, value in raw.items()}
        for name in _JSON_ATTRIBUTES:
            if name in attributes:
                attributes[name] = json.loads(attributes[name])
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}

    def _status(self) -> str:
        """The status on file; for one that says running, whether its writer still lives."""
        status = self.attributes["status"]
        if status != "running":
            if self._file.swmr_mode:  # closed properly, yet only opens leniently: bytes are missing
                raise ResultError(f"{self.path}: is truncated")
            return status
        writer = self._read(lambda: dict(self._file["diagnostics"].attrs))
        try:
            if _text(writer["host"]) == socket.gethostname():
                os.kill(int(writer["pid"]), 0)
            return "running"
        except ProcessLookupError:
            return "killed"
        except PermissionError:
            return "running"

    def _read(self, job: Callable[[], Any]) -> Any:
        """Do a job that reads; damage found on the way is a `ResultError`."""
        try:
            return job()
        except (OSError, RuntimeError, KeyError) as error:
            raise ResultError(f"{self.path}: is damaged or incomplete ({error})") from error

    def __enter__(self) -> ResultReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._file.close()

    def paths(self) -> list[str]:
        """Paths of all series, in hub order."""

        def names() -> list[str]:
            top = self._file["series"]
            return [f"{h}/{d}/{a}" for h in top for d in top[h] for a in top[h][d]]

        order = {hub: place for place, hub in enumerate(self.attributes["hubs"])}
        return sorted(self._read(names), key=lambda path: (order.get(path.split("/")[0], len(order)), path))

    def devices(self, hub: str) -> dict[str, RecordedDevice]:
        """What the devices of a hub are, by name; those of a file that does not say it are left out."""

        def job() -> dict[str, RecordedDevice]:
            top = self._file["series"]
            found = {}
            for name, group in top[hub].items() if hub in top else ():
                attributes = dict(group.attrs)
                if "kind" in attributes:
                    of = tuple(json.loads(_text(attributes["of"]))) if "of" in attributes else ()
                    found[name] = RecordedDevice(_text(attributes["kind"]), int(attributes["sign"]), of)
            return found

        return self._read(job)

    def spec(self, path: str) -> tuple[SeriesSpec, int]:
        """What a series is, and how many rows it has."""

        def job() -> tuple[SeriesSpec, int]:
            group = self._file["series"][path]
            attributes, value = dict(group.attrs), group["value"]
            codes = json.loads(_text(attributes["codes"])) if "codes" in attributes else None
            spec = SeriesSpec(
                path,
                _text(attributes["unit"]),
                _text(attributes["description"]),
                value.shape[1] if value.ndim == 2 else None,
                value.dtype.str,
                None if codes is None else {int(code): name for code, name in codes.items()},
            )
            return spec, min(len(value), len(group["t_s"]))

        return self._read(job)

    def series(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Times [s], shape (k,), and values, shape (k,) or (k, n), of a series up to `end_s`.

        Of a run that was cut off, the instant `end_s` itself may be half recorded and is left out.
        """
        group = self._read(lambda: self._file["series"][path])
        t_s, value = self._read(lambda: (group["t_s"][:], group["value"][:]))
        rows = min(len(t_s), len(value))
        whole = self.status in ("complete", "failed")
        rows = int(np.searchsorted(t_s[:rows], self.end_s, side="right" if whole else "left"))
        return t_s[:rows], value[:rows]

    def events(self) -> list[tuple[float, str, str, str]]:
        """Events up to `end_s`: time [s], source, kind, text."""
        rows, text = self._read(lambda: (self._file["events/rows"][:], self._file["events/text"][:].tobytes()))
        events, begin = [], 0
        for t_s, source, kind, end in rows.tolist():
            if end <= len(text) and t_s <= self.end_s:
                events.append((t_s, _text(source), _text(kind), _text(text[begin:end])))
            begin = end
        return events

    def sessions(self) -> dict[str, np.ndarray]:
        """Columns of the static table of sessions, text decoded."""
        columns = self._read(lambda: {name: data[:] for name, data in self._file["sessions"].items()})
        columns = {
            name: np.array([_text(raw) for raw in data], dtype=object) if data.dtype.kind == "S" else data
            for name, data in columns.items()
        }
        first = [name for name in SESSION_COLUMNS if name in columns]
        return {name: columns[name] for name in dict.fromkeys([*first, *columns])}

    def session_ends(self) -> np.ndarray:
        """Ends of sessions up to `end_s`, as records."""
        ends = self._read(lambda: self._file["session_ends"][:])
        return ends[ends["end_s"] <= self.end_s]

    def diagnostics(self) -> tuple[dict[str, float], list[tuple[float, str, float]]]:
        """Wall-clock values: of the run, and samples of time [s], name, value."""
        group = self._read(lambda: self._file["diagnostics"])
        run = {name: float(group.attrs[name]) for name in ("wall_s", "started_unix_s")}
        rows = self._read(lambda: group["samples"][:])
        return run, [(t_s, _text(name), value) for t_s, name, value in rows.tolist()]


def _open(path: Path) -> h5py.File:
    """Open a file; one that its writer did not close opens only as a file that is being written."""
    try:
        return h5py.File(path, "r", **_FILE_OPTIONS)
    except (OSError, RuntimeError) as error:
        if not h5py.is_hdf5(path):
            raise ResultError(f"{path}: is not an HDF5 file") from error
        # told before SWMR tries: it takes missing bytes for late ones, and waits for hours
        have, end = path.stat().st_size, _end_of_file(path)
        if have < end:
            raise ResultError(f"{path}: is cut off: {have} of {end} bytes are there") from error
        try:
            return h5py.File(path, "r", libver="latest", swmr=True, **_FILE_OPTIONS)
        except (OSError, RuntimeError):
            raise ResultError(f"{path}: cannot be opened, damaged or cut off ({error})") from error


def _end_of_file(path: Path) -> int:
    """How long an HDF5 file says it is, in the superblock that SWMR needs (version 3); 0 where it has another one."""
    with path.open("rb") as file:
        raw = file.read(_SUPERBLOCK.size)
    if len(raw) < _SUPERBLOCK.size:
        return 0
    signature, version, *_, end = _SUPERBLOCK.unpack(raw)
    return end if signature == b"\x89HDF\r\n\x1a\n" and version == _SWMR_SUPERBLOCK else 0
