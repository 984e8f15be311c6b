"""Export of results to other programs: CSV or Parquet tables, an xarray dataset, several runs in one frame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from .periodic_log import periodic_log
from .result_layout import NETWORK, ResultError

if TYPE_CHECKING:
    import xarray

    from .result_reader import Results

FORMATS = ("csv", "parquet")
"""Formats of `export`."""


class MissingExtraError(ImportError):
    """A package is not installed; the message names the extra it comes with."""


def require(package: str, extra: str) -> None:
    """Check that a package is installed; the error names the extra it comes with.

    Raises
    ------
    MissingExtraError
    """
    if find_spec(package) is None:
        raise MissingExtraError(f"needs {package}, which comes with the extra {extra!r}: pip install evhub[{extra}]")


def tables(
    results: Results,
    signals: str | Sequence[str] = "*",
    every: str | None = None,
    how: Literal["hold", "mean"] = "hold",
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all tables of a result, one after the other.

    Parameters
    ----------
    results : Results
        The run.
    signals, every, how
        See `Results.frame`.

    Yields
    ------
    name : str
        ``series-HUB`` (and ``series-network``), with `every` also ``log-HUB`` (see `periodic_log`), ``signals``,
        ``kpis``, ``sessions``, ``events``, ``diagnostics``.
    table : DataFrame
        Its columns carry their units in their names, series also in ``.attrs["units"]``.

    Raises
    ------
    ResultError
        If a pattern matches no signal.
    ValueError
        If `every` or `how` is not allowed.
    """
    chosen = results.matching(signals)
    for owner in (*results.hubs, NETWORK):
        paths = [path for path in chosen if path.startswith(f"{owner}/")]
        if paths:
            frame = results.frame(paths, every, how)
            frame.columns = frame.columns.str.removeprefix(f"{owner}/")
            frame.attrs["units"] = {name.removeprefix(f"{owner}/"): u for name, u in frame.attrs["units"].items()}
            yield f"series-{owner}", frame
    if every is not None:
        for hub in results.hubs:
            yield f"log-{hub}", periodic_log(results, hub, every)
    yield "signals", results.signals()
    yield "kpis", results.summary()
    yield "sessions", results.sessions().set_index("session")
    yield "events", results.events()
    yield "diagnostics", results.diagnostics().set_index("t_s")


def export(
    results: Results,
    folder: str | os.PathLike,
    format: Literal["csv", "parquet"] = "csv",
    signals: str | Sequence[str] = "*",
    every: str | None = None,
    how: Literal["hold", "mean"] = "hold",
) -> list[Path]:
    """Write the tables of a result as CSV or Parquet files.

    Parameters
    ----------
    results : Results
        The run.
    folder : str or Path
        Where to; it is made if it is not there.
    format : {"csv", "parquet"}
        CSV files hold instants with their UTC offset; Parquet needs pyarrow (extra ``sweep``).
    signals, every, how
        See `Results.frame`: all signals at all their changes when left out.

    Returns
    -------
    list of Path
        The files, see `tables`.

    Raises
    ------
    ValueError
        If the format, `every` or `how` is not allowed.
    ResultError
        If a pattern matches no signal.
    MissingExtraError
        Without pyarrow.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be {' or '.join(FORMATS)}, got {format!r}")
    if format == "parquet":
        require("pyarrow", "sweep")
    folder = Path(folder)
    written = []
    for name, table in tables(results, signals, every, how):
        path = folder / f"{name}.{format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if format == "csv":
            table.to_csv(path, date_format="%Y-%m-%dT%H:%M:%S.%f%z")
        else:
            table.to_parquet(path, engine="pyarrow")
        written.append(path)
    return written


def to_xarray(
    results: Results,
    signals: str | Sequence[str] = "*",
    every: str | None = None,
    how: Literal["hold", "mean"] = "hold",
) -> xarray.Dataset:
    """Convert signals to an xarray dataset.

    Parameters
    ----------
    results : Results
        The run.
    signals, every, how
        See `Results.frame`.

    Returns
    -------
    xarray.Dataset
        One variable for each signal, named by its path, over ``time`` (UTC, without zone, as xarray has none); arrays
        of connectors also over ``HUB/connector``, other arrays over ``PATH/element``, both from 0. Variables have the
        attributes ``units`` and ``description``.

    Raises
    ------
    MissingExtraError
        Without xarray.
    ResultError, ValueError
        See `Results.frame`.
    """
    require("xarray", "xarray")
    import xarray

    chosen = results.matching(signals)
    frame = results.frame(chosen, every, how)
    data: dict[str, Any] = {}
    for path in chosen:
        spec = results.spec(path)
        about = {"units": spec.unit, "description": spec.description}
        if spec.width is None:
            data[path] = ("time", frame[path].to_numpy(), about)
        else:
            values = frame[[f"{path}[{i}]" for i in range(spec.width)]].to_numpy()
            hub, device, attribute = path.split("/")
            of_connectors = device == "cp" or attribute.startswith("connector_")
            data[path] = (("time", f"{hub}/connector" if of_connectors else f"{path}/element"), values, about)
    index = pd.DatetimeIndex(frame.index).tz_convert("UTC").tz_localize(None)
    about = {"name": results.name, "start": results.start.isoformat(), "status": results.status}
    return xarray.Dataset(data, coords={"time": index}, attrs=about)


def aligned(
    runs: Mapping[str, Results],
    signals: str | Sequence[str],
    every: str,
    how: Literal["hold", "mean"] = "hold",
) -> pd.DataFrame:
    """Combine signals of several runs on one time axis.

    Parameters
    ----------
    runs : mapping of str to Results
        Runs by their names; they begin at the same instant.
    signals, every, how
        See `Results.frame`.

    Returns
    -------
    DataFrame
        Columns (run, signal); NaN after the end of a shorter run.

    Raises
    ------
    ResultError
        If the runs begin at different instants, or a pattern matches nothing in one of them.
    ValueError
        See `Results.frame`.
    """
    starts = {name: results.start.tz_convert("UTC") for name, results in runs.items()}
    if len(set(starts.values())) > 1:
        instants = ", ".join(f"{name} {start:%Y-%m-%dT%H:%M:%SZ}" for name, start in starts.items())
        raise ResultError(f"the runs must begin at the same instant, got {instants}")
    return pd.concat({name: results.frame(signals, every, how) for name, results in runs.items()}, axis=1)
