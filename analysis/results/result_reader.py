"""Results as pandas objects: `open_results`, and the signals and tables of a run."""

from __future__ import annotations

import difflib
import fnmatch
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from ...simulators.devices import kind_names, kind_of
from ..kpis import step_signals
from ..kpis.key_figure import KeyFigure
from .result_file_reader import ResultReader
from .result_layout import OUTCOMES, RecordedDevice, ResultError, SeriesSpec
from .result_tape import TapeReader
from .summary_table import summary

NOT_RECORDED = "What the strategies were told of the future is not recorded"
"""Stands for `Results.foresight` in files of earlier versions."""


def open_results(path: str | os.PathLike) -> Results:
    """Open the result of a run.

    A run that was killed, or is still going on, opens too, up to its last flush; a warning says so.

    Parameters
    ----------
    path : str or Path
        HDF5 file.

    Returns
    -------
    Results
        The run; also a context manager that closes the file.

    Raises
    ------
    ResultError
        If there is no such file, or it is damaged or not a result.
    """
    results = Results(ResultReader(path))
    if results.note:
        warnings.warn(f"{path}: {results.note}", stacklevel=2)
    return results


def step_length_s(every: str | timedelta) -> float:
    """Convert the length of a step such as ``15min`` to seconds.

    Raises
    ------
    ValueError
        If it is no length of time with its unit, or not longer than 0.
    """
    try:
        step_s = pd.Timedelta(every).total_seconds() if isinstance(every, str | timedelta) else None
    except ValueError:
        step_s = None
    if step_s is None:
        raise ValueError(f"every must be a length of time with its unit, such as '15min', got {every!r}")
    if not step_s > 0:
        raise ValueError(f"every must be > 0, got {every!r}")
    return step_s


def start_of(attributes: Mapping[str, Any], path: Path) -> pd.Timestamp:
    """Return the instant of t_s = 0 by the attributes of a run, in its time zone; an error names `path`."""
    text = str(attributes.get("start", "1970-01-01T00:00:00+00:00"))
    start = pd.Timestamp(text)
    if not isinstance(start, pd.Timestamp) or start.tzinfo is None:
        raise ResultError(f"{path}: start must be an instant with UTC offset, got {text!r}")
    zone = attributes.get("time_zone")
    return start.tz_convert(zone) if zone else start


class Results:
    """The results of a run, read on demand.

    Signals are named ``hub/device/attribute`` or, as in scenarios, ``hub.device.attribute``. Values hold from their
    time until the next; tables and series carry their units in ``.attrs``.

    Parameters
    ----------
    reader : ResultReader or TapeReader
        The open file, or the recording in memory.
    """

    show: ClassVar[Any] = None
    """How a result shows itself in a notebook, as HTML; `evhub.analysis` sets it."""

    def __init__(self, reader: ResultReader | TapeReader) -> None:
        self._reader = reader
        self._summary: pd.DataFrame | None = None
        self.path = reader.path
        self.end_s = reader.end_s

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Results {self.name}: {', '.join(self.hubs)}; {self.status}, {self.end_s:g} s>"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: the key figures and a picture."""
        return None if Results.show is None else Results.show(self)

    def close(self) -> None:
        """Close the file; data that were read stay valid."""
        self._reader.close()

    def save(self, path: str | os.PathLike) -> Path:
        """Write a run in memory into a result file; see `TapeReader.save`.

        Raises
        ------
        ResultError
            If the file cannot be written, the run goes on, or only its key figures were kept.
        """
        if isinstance(self._reader, ResultReader):
            raise ResultError(f"{self.path}: is a file already")
        self._reader.save(Path(path))
        return Path(path)

    def keep_figures(self) -> Results:
        """Compute the key figures and drop the series of a run in memory; return the same object."""
        if isinstance(self._reader, TapeReader):
            self._summary = summary(self)
            self._reader.forget()
        return self

    @property
    def attributes(self) -> dict[str, Any]:
        """What the run was called with, and how it ended."""
        return self._reader.attributes

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return str(self.attributes.get("name", self.path.stem))

    @property
    def status(self) -> str:
        """``complete``, ``failed``, ``running`` or ``killed``."""
        return self._reader.status

    @property
    def note(self) -> str:
        """Warning that the run is not complete, with the end of its data; empty for a complete run."""
        duration = self.attributes.get("duration_s")
        reach = f"the data end at {self.end_s:g} s" + (f" of {duration:g} s" if duration is not None else "")
        return {
            "killed": f"the run was killed; {reach}",
            "failed": f"the run failed; {reach}",
            "running": f"the run is still going on; {reach}",
        }.get(self.status, "")

    @property
    def hubs(self) -> list[str]:
        """Names of the hubs."""
        return list(self.attributes["hubs"])

    @property
    def scenario(self) -> str:
        """The resolved scenario, YAML text."""
        return str(self.attributes.get("scenario", ""))

    @property
    def foresight(self) -> list[str]:
        """What each strategy was told of the future, a sentence each."""
        return list(self.attributes.get("foresight", [NOT_RECORDED]))

    @cached_property
    def start(self) -> pd.Timestamp:
        """Instant of t_s = 0, in the scenario's time zone."""
        return start_of(self.attributes, self.path)

    def times(self, t_s: np.ndarray | Sequence[float]) -> pd.DatetimeIndex:
        """Convert times since the start [s] to instants in the scenario's time zone."""
        elapsed = pd.to_timedelta(np.round(np.asarray(t_s, dtype=float) * 1e9), unit="ns")
        return pd.DatetimeIndex(self.start.tz_convert("UTC") + elapsed, name="time").tz_convert(self.start.tzinfo)

    def clock(self, t_s: np.ndarray | Sequence[float]) -> np.ndarray:
        """Convert times since the start [s] to local time at the UTC offset of the start (datetime64, for pictures)."""
        elapsed = np.round(np.asarray(t_s, dtype=float) * 1e3).astype("timedelta64[ms]")
        return np.datetime64(self.start.tz_localize(None), "ms") + elapsed

    @cached_property
    def paths(self) -> list[str]:
        """Paths of all signals, hub by hub."""
        return self._reader.paths()

    def devices(self, hub: str) -> dict[str, RecordedDevice]:
        """Return the grid and the devices of a hub that have a power, by name in the order of their kinds.

        Totals of several devices are left out. In a file without recorded kinds, the devices are taken from the names
        of the series, one of each kind.
        """
        order = ["grid", *kind_names()]
        recorded = {name: device for name, device in self._reader.devices(hub).items() if not device.of}
        present = {path.split("/")[1] for path in self.paths if path.startswith(f"{hub}/") and path.endswith("/p_kw")}
        if not recorded:
            recorded = {
                name: RecordedDevice(name, 1 if name == "grid" else kind_of(name).sign)
                for name in present.intersection(order)
            }
        rank = {kind: place for place, kind in enumerate(order)}
        names = sorted(recorded, key=lambda name: rank.get(recorded[name].kind, len(order)))
        return {name: recorded[name] for name in names if name in present}

    @property
    def has_series(self) -> bool:
        """Whether the signals are there, and not the key figures only."""
        return self._summary is None

    def has(self, path: str) -> bool:
        """Return whether the run has a signal."""
        return path.replace(".", "/") in self.paths

    def spec(self, path: str) -> SeriesSpec:
        """Return unit, description, width, type and codes of a signal."""
        return self._reader.spec(self._path(path))[0]

    def arrays(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Return times [s], shape (k,), and values, shape (k,) or (k, n), of a signal.

        Raises
        ------
        ResultError
            If there is no such signal, or the file is damaged.
        """
        return self._reader.series(self._path(path))

    def signals(self) -> pd.DataFrame:
        """List all signals by path: unit, description, width (0 for a scalar) and number of values ``n``."""
        rows = []
        for path in self.paths:
            spec, n = self._reader.spec(path)
            rows.append((path, spec.unit, spec.description, spec.width or 0, n))
        return pd.DataFrame(rows, columns=pd.Index(["path", "unit", "description", "width", "n"])).set_index("path")

    def series(self, path: str) -> pd.Series | pd.DataFrame:
        """Return one signal at the exact times of its changes.

        Parameters
        ----------
        path : str
            Name of the signal.

        Returns
        -------
        Series or DataFrame
            A Series for a scalar, a DataFrame with columns 0 .. n-1 for an array. ``.attrs`` has unit, description and,
            for enumerations, codes.

        Raises
        ------
        ResultError
            If there is no such signal.
        """
        path = self._path(path)
        spec = self.spec(path)
        t_s, values = self.arrays(path)
        index = self.times(t_s)
        data = pd.Series(values, index, name=path) if values.ndim == 1 else pd.DataFrame(values, index)
        data.attrs.update(unit=spec.unit, description=spec.description)
        if spec.codes is not None:
            data.attrs["codes"] = dict(spec.codes)
        return data

    def frame(
        self,
        paths: str | Sequence[str] = "*",
        every: str | None = None,
        how: Literal["hold", "mean"] = "hold",
    ) -> pd.DataFrame:
        """Return several signals on one time axis.

        Parameters
        ----------
        paths : str or sequence of str
            Names or patterns, such as ``depot/*/p_kw``.
        every : str, optional
            Step of the axis, such as ``5min``, counted from the start; None for all times at which one of them changes.
        how : str
            ``hold`` looks at the beginning of each step; ``mean`` is the exact time-weighted mean over it, of all but
            enumerations.

        Returns
        -------
        DataFrame
            One column a scalar; ``path[0]``, ``path[1]``, ... for an array. ``.attrs["units"]`` has the unit of each
            column.

        Raises
        ------
        ResultError
            If a pattern matches nothing.
        ValueError
            If `how` is unknown, `every` is not positive, or means are asked for without a step.
        """
        if how not in ("hold", "mean") or (how == "mean" and every is None):
            raise ValueError(f"how must be hold, or mean with a step, got {how!r} with every={every!r}")
        chosen = self.matching(paths)
        signals = {path: self.arrays(path) for path in chosen}
        if every is None:
            axis = edges = step_signals.union([t_s for t_s, _ in signals.values()])
        else:
            edges = step_signals.edges(self.end_s, step_length_s(every))
            axis = edges[:-1]
        columns: dict[str, np.ndarray] = {}
        units: dict[str, str] = {}
        for path, (t_s, values) in signals.items():
            spec = self.spec(path)
            mean = how == "mean" and spec.codes is None  # codes have no mean
            data = step_signals.mean(t_s, values, edges, self.end_s) if mean else step_signals.hold(t_s, values, axis)
            parts = {path: data} if data.ndim == 1 else {f"{path}[{i}]": data[:, i] for i in range(data.shape[1])}
            columns.update(parts)
            units.update(dict.fromkeys(parts, spec.unit))
        frame = pd.DataFrame(columns, index=self.times(axis))
        frame.attrs["units"] = units
        return frame

    def events(self) -> pd.DataFrame:
        """Return the events: time (index), t_s [s], source, kind, text."""
        table = pd.DataFrame(self._reader.events(), columns=pd.Index(["t_s", "source", "kind", "text"]))
        table = table.sort_values("t_s", kind="stable", ignore_index=True)
        return table.set_index(self.times(table["t_s"].to_numpy(float)))

    def sessions(self) -> pd.DataFrame:
        """Return all EV sessions with their connector, energy and outcome, one row each.

        Returns
        -------
        DataFrame
            The columns of the scenario (hub, session number, id, arrival_s, departure_s [s], requested_kwh, ...),
            arrival and departure as instants, and: connector (-1 for none), plug_s, end_s [s], delivered_kwh, soc_end,
            outcome (None for a session that had not ended), missed_kwh = requested - delivered, and waiting_s: until it
            was plugged in or gave up (less than a time step is none: events lie on the step grid).
        """
        table = pd.DataFrame(self._reader.sessions())
        table.insert(1, "session", table.groupby("hub", sort=False).cumcount())
        table["arrival"] = self.times(table["arrival_s"].to_numpy(float))
        table["departure"] = self.times(table["departure_s"].to_numpy(float))

        ends = pd.DataFrame(self._reader.session_ends()).drop_duplicates(["hub", "session"], keep="last")
        ends["hub"] = [self.hubs[place] for place in ends["hub"]]
        ends["outcome"] = [OUTCOMES[code] for code in ends["outcome"]]
        clash = [name for name in ends if name in table and name not in ("hub", "session")]
        table = table.rename(columns={name: f"{name}_asked" for name in clash}).merge(
            ends, on=["hub", "session"], how="left", validate="one_to_one"
        )
        table["connector"] = table["connector"].fillna(-1).astype(int)
        table["outcome"] = table["outcome"].astype(object).where(table["outcome"].notna(), None)
        table["missed_kwh"] = (table["requested_kwh"] - table["delivered_kwh"]).clip(lower=0.0)
        waited_until = table["plug_s"].where(table["outcome"] != "reneged", table["end_s"])
        waited_s = waited_until - table["arrival_s"]
        step_s = float(self.attributes.get("time_step_s", 0.0))
        table["waiting_s"] = waited_s.mask(waited_s < step_s, 0.0)
        return table

    def diagnostics(self) -> pd.DataFrame:
        """Return wall-clock samples such as decision times: t_s [s], name, value; ``.attrs`` has those of the run."""
        run, samples = self._reader.diagnostics()
        table = pd.DataFrame(samples, columns=pd.Index(["t_s", "name", "value"]))
        table.attrs.update(run)
        return table

    def own_figures(self) -> dict[str, dict[str, Any]]:
        """Return the key figures of the scenario's own as they were computed at the end of the run, by name.

        Returns
        -------
        dict of str to dict
            ``unit``, ``text``, ``group``, ``better``, ``description``, ``values`` by hub and of the ``total`` (NaN
            where it is not known), and ``problem``: why it could not be computed, else empty.
        """
        figures = {}
        for stored in self._reader.own_figures():
            values = {hub: np.nan if value is None else value for hub, value in stored["values"].items()}
            figures[stored["name"]] = {**stored, "values": values}
        return figures

    def summary(self, figures: Iterable[KeyFigure] = ()) -> pd.DataFrame:
        """Compute the key figures of the run, and further ones of your own; see `summary_table.summary`."""
        if self._summary is None:
            return summary(self, figures)
        if tuple(figures):
            raise ResultError(f"{self.path}: only the key figures were kept; run(..., series=True) keeps everything")
        return self._summary.copy()

    def _path(self, name: str) -> str:
        """Return the path of a signal; raise an error with similar names if there is none."""
        for path in (name, name.replace(".", "/")):
            if path in self.paths:
                return path
        near = difflib.get_close_matches(name.replace(".", "/"), self.paths, n=3)
        devices = ", ".join(dict.fromkeys(path.rpartition("/")[0] for path in self.paths))
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are those of {devices}"
        raise ResultError(f"{self.path}: no signal {name!r}; {hint}")

    def matching(self, patterns: str | Sequence[str]) -> list[str]:
        """Find the paths of the signals that match names or patterns.

        Raises
        ------
        ResultError
            If one of them matches nothing.
        """
        chosen: dict[str, None] = {}
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            slashed = pattern if "/" in pattern else pattern.replace(".", "/")
            matches = fnmatch.filter(self.paths, slashed)
            chosen.update(dict.fromkeys(matches or [self._path(pattern)]))
        return list(chosen)
