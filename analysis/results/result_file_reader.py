"""Reading a result file as arrays, lazily and also while it is being written; see `result_layout`."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .result_layout import (
    FILE_OPTIONS,
    JSON_ATTRIBUTES,
    LAYOUT,
    OWN_FIGURES,
    SESSION_COLUMNS,
    RecordedDevice,
    ResultError,
    SeriesSpec,
    decoded_text,
)

# signature, version, sizes of offsets and lengths, flags, addresses of base, extension and end of file
_SUPERBLOCK = struct.Struct("<8s4B3Q")
_SWMR_SUPERBLOCK = 3


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
        attributes = {name: decoded_text(value) if isinstance(value, bytes) else value for name, value in raw.items()}
        for name in JSON_ATTRIBUTES:
            if name in attributes:
                attributes[name] = json.loads(attributes[name])
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}

    def _status(self) -> str:
        """Return the recorded status; for ``running``, check whether the process that writes is alive."""
        status = self.attributes["status"]
        if status != "running":
            if self._file.swmr_mode:  # closed properly, yet only opens leniently: bytes are missing
                raise ResultError(f"{self.path}: is truncated")
            return status
        writer = self._read(lambda: dict(self._file["diagnostics"].attrs))
        try:
            if decoded_text(writer["host"]) == socket.gethostname():
                os.kill(int(writer["pid"]), 0)
            return "running"
        except ProcessLookupError:
            return "killed"
        except PermissionError:
            return "running"

    def _read(self, job: Callable[[], Any]) -> Any:
        """Run a function that reads the file; errors of HDF5 become a `ResultError`."""
        try:
            return job()
        except (OSError, RuntimeError, KeyError) as error:
            raise ResultError(f"{self.path}: is damaged or incomplete ({error})") from error

    def __enter__(self) -> ResultReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; data that were read stay valid."""
        self._file.close()

    def paths(self) -> list[str]:
        """List the paths of all series, in hub order."""

        def names() -> list[str]:
            top = self._file["series"]
            return [f"{h}/{d}/{a}" for h in top for d in top[h] for a in top[h][d]]

        order = {hub: place for place, hub in enumerate(self.attributes["hubs"])}
        return sorted(self._read(names), key=lambda path: (order.get(path.split("/")[0], len(order)), path))

    def devices(self, hub: str) -> dict[str, RecordedDevice]:
        """Return kind and sign of the devices of a hub by name; devices without a recorded kind are left out."""

        def job() -> dict[str, RecordedDevice]:
            top = self._file["series"]
            devices = {}
            for name, group in top[hub].items() if hub in top else ():
                attributes = dict(group.attrs)
                if "kind" in attributes:
                    of = tuple(json.loads(decoded_text(attributes["of"]))) if "of" in attributes else ()
                    devices[name] = RecordedDevice(decoded_text(attributes["kind"]), int(attributes["sign"]), of)
            return devices

        return self._read(job)

    def spec(self, path: str) -> tuple[SeriesSpec, int]:
        """Return the description of a series and its number of rows."""

        def job() -> tuple[SeriesSpec, int]:
            group = self._file["series"][path]
            attributes, value = dict(group.attrs), group["value"]
            codes = json.loads(decoded_text(attributes["codes"])) if "codes" in attributes else None
            spec = SeriesSpec(
                path,
                decoded_text(attributes["unit"]),
                decoded_text(attributes["description"]),
                value.shape[1] if value.ndim == 2 else None,
                value.dtype.str,
                None if codes is None else {int(code): name for code, name in codes.items()},
            )
            return spec, min(len(value), len(group["t_s"]))

        return self._read(job)

    def series(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Return times [s], shape (k,), and values, shape (k,) or (k, n), of a series up to `end_s`.

        Of a run that was cut off, the instant `end_s` itself may be half recorded and is left out.
        """
        group = self._read(lambda: self._file["series"][path])
        t_s, value = self._read(lambda: (group["t_s"][:], group["value"][:]))
        rows = min(len(t_s), len(value))
        whole = self.status in ("complete", "failed")
        rows = int(np.searchsorted(t_s[:rows], self.end_s, side="right" if whole else "left"))
        return t_s[:rows], value[:rows]

    def events(self) -> list[tuple[float, str, str, str]]:
        """Return the events up to `end_s`: time [s], source, kind, text."""
        rows, text = self._read(lambda: (self._file["events/rows"][:], self._file["events/text"][:].tobytes()))
        events, begin = [], 0
        for t_s, source, kind, end in rows.tolist():
            if end <= len(text) and t_s <= self.end_s:
                events.append((t_s, decoded_text(source), decoded_text(kind), decoded_text(text[begin:end])))
            begin = end
        return events

    def sessions(self) -> dict[str, np.ndarray]:
        """Return the columns of the table of sessions as the scenario has them, with decoded text."""
        columns = self._read(lambda: {name: data[:] for name, data in self._file["sessions"].items()})
        columns = {
            name: np.array([decoded_text(raw) for raw in data], dtype=object) if data.dtype.kind == "S" else data
            for name, data in columns.items()
        }
        first = [name for name in SESSION_COLUMNS if name in columns]
        return {name: columns[name] for name in dict.fromkeys([*first, *columns])}

    def session_ends(self) -> np.ndarray:
        """Return the ends of sessions up to `end_s`, as records."""
        ends = self._read(lambda: self._file["session_ends"][:])
        return ends[ends["end_s"] <= self.end_s]

    def own_figures(self) -> list[dict[str, Any]]:
        """Return the key figures of the scenario's own, see `own_figures`; empty where it has none."""
        raw = self._read(lambda: self._file[OWN_FIGURES][:].tobytes() if OWN_FIGURES in self._file else b"[]")
        return json.loads(decoded_text(raw))

    def diagnostics(self) -> tuple[dict[str, float], list[tuple[float, str, float]]]:
        """Return wall-clock values of the run, and samples of time [s], name and value."""
        group = self._read(lambda: self._file["diagnostics"])
        run = {name: float(group.attrs[name]) for name in ("wall_s", "started_unix_s")}
        rows = self._read(lambda: group["samples"][:])
        return run, [(t_s, decoded_text(name), value) for t_s, name, value in rows.tolist()]


def _open(path: Path) -> h5py.File:
    """Open a file; one that its writer did not close opens only as a file that is being written."""
    try:
        return h5py.File(path, "r", **FILE_OPTIONS)
    except (OSError, RuntimeError) as error:
        if not h5py.is_hdf5(path):
            raise ResultError(f"{path}: is not an HDF5 file") from error
        # refused before SWMR tries: it takes missing bytes for late ones, and waits for hours
        have, end = path.stat().st_size, _end_of_file(path)
        if have < end:
            raise ResultError(f"{path}: is cut off: {have} of {end} bytes are there") from error
        try:
            return h5py.File(path, "r", libver="latest", swmr=True, **FILE_OPTIONS)
        except (OSError, RuntimeError):
            raise ResultError(f"{path}: cannot be opened, damaged or cut off ({error})") from error


def _end_of_file(path: Path) -> int:
    """Read the length of an HDF5 file from the superblock that SWMR needs (version 3); 0 for another version."""
    with path.open("rb") as file:
        raw = file.read(_SUPERBLOCK.size)
    if len(raw) < _SUPERBLOCK.size:
        return 0
    signature, version, *_, end = _SUPERBLOCK.unpack(raw)
    return end if signature == b"\x89HDF\r\n\x1a\n" and version == _SWMR_SUPERBLOCK else 0
