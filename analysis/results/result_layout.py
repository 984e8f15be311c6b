"""The HDF5 layout of a result, which writer and reader of a file share.

====================================  ==================================================================================
object                                content
====================================  ==================================================================================
``/`` attributes                      ``layout``, ``status``, ``end_s``, and what the run is called with: name, scenario
                                      (YAML text), versions and hubs (JSON), seed, start, duration_s, time_step_s, ...;
                                      ``foresight`` (JSON): what each strategy was told of the future
``/series/<hub>/<device>`` attributes ``kind``, ``sign`` (1 feeds the hub bus, -1 draws), and of a total of several
                                      devices ``of``, their names (JSON)
``/series/<hub>/<device>/<attr>``     ``t_s`` (k,) seconds since the start and ``value`` (k,) or (k, n), held until the
                                      next; attributes ``unit``, ``description`` and, for enumerations, ``codes`` (JSON)
``/events/rows``, ``/events/text``    time, source, kind and the end of the row's text in a heap of UTF-8 bytes
``/sessions/<column>``                every EV session of the scenario, written at the start
``/session_ends``                     what became of it: connector, times, energy, outcome
``/key_figures``                      key figures of the scenario's own, where it names some, as JSON: computed when the
                                      run is complete
``/diagnostics/samples``              wall-clock values; this group may differ between two runs of the same scenario
====================================  ==================================================================================

The file is written in HDF5's single-writer-multiple-reader (SWMR) mode, so that a run that is killed stays readable.
This mode allows neither new objects nor variable-length text: everything exists before the run starts, and text has a
fixed width. ``end_s`` is the time up to which *all* series were on disk at the last flush; of a killed run, a reader
sees what comes before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

LAYOUT = 1
NETWORK = "network"  # the first part of a path that is not a hub
OWN_FIGURES = "key_figures"
OUTCOMES = ("served", "balked", "reneged", "unfinished")
SESSION_COLUMNS = ("hub", "id", "arrival_s", "departure_s", "requested_kwh")

SESSION_END = np.dtype(
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
SOURCE_BYTES, KIND_BYTES, NAME_BYTES = 64, 32, 48
EVENT = np.dtype([("t_s", "f8"), ("source", f"S{SOURCE_BYTES}"), ("kind", f"S{KIND_BYTES}"), ("text_end", "i8")])
SAMPLE = np.dtype([("t_s", "f8"), ("name", f"S{NAME_BYTES}"), ("value", "f8")])

JSON_ATTRIBUTES = ("versions", "hubs", "foresight")
STATUS_BYTES = 8
CHUNK_BYTES = 32 * 1024
# Every open dataset has a chunk cache of its own; this keeps a run with a thousand series flat in memory.
FILE_OPTIONS: dict[str, Any] = {"rdcc_nbytes": 2 * CHUNK_BYTES, "rdcc_nslots": 31}


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
    """Kind and sign of a device in a result.

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


def encoded_text(text: str, width: int | None = None) -> np.ndarray:
    """Encode text as fixed-width UTF-8; text that is too long is cut between characters."""
    raw = text.encode()
    if width is not None and len(raw) > width:
        raw = raw[:width].decode(errors="ignore").encode()
    return np.array(raw, dtype=h5py.string_dtype("utf-8", width or max(len(raw), 1)))


def decoded_text(raw: Any) -> str:
    """Decode bytes of the file as UTF-8 text; invalid bytes are replaced."""
    return bytes(raw).decode(errors="replace")
