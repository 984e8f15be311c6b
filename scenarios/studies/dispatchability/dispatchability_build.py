"""From the sections of a study file to cases, with every problem noted."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from ....analysis import dispatchability
from ....analysis.dispatchability.feeder import PHASES
from ....analysis.dispatchability.opendss.opendss_deck import Deck, read_deck
from ....analysis.dispatchability.opendss.opendss_elements import METRES
from ....simulators.units import S_PER_H
from ...errors import NOTHING, InputError, Problem, nearest
from .dispatchability_study import CaseEntry, ClusterEntry, DeckFeeder, DispatchabilityStudy, LineEntry, ListedFeeder


@dataclass(frozen=True)
class LoadedStudy:
    """A checked study.

    Parameters
    ----------
    study : DispatchabilityStudy
        As in the file.
    path : Path
        Its file.
    periods : list of str
        Names of the periods.
    cases : dict of str to FeederCase
        Ready to be solved, without problems; whether they can be served is checked by `servable`.
    """

    study: DispatchabilityStudy
    path: Path
    periods: list[str]
    cases: dict[str, dispatchability.FeederCase]


class Builder:
    """Builds the cases of a study, and collects the problems.

    Parameters
    ----------
    study : DispatchabilityStudy
        The study.
    path : Path
        Its file, beside which the others are looked for.
    """

    def __init__(self, study: DispatchabilityStudy, path: Path):
        self._study, self._path = study, path
        self._problems: list[Problem] = []

    def _refuse(self, key: str, value: object, allowed: str, where: Path | None = None) -> None:
        self._problems.append(Problem(str(where or self._path), key, value, allowed))

    def _stop_if_refused(self) -> None:
        if self._problems:
            raise InputError(self._problems)

    def loaded(self) -> LoadedStudy:
        """Return the checked study, or raise an `InputError` with every problem.

        Raises
        ------
        InputError
            With every problem.
        """
        study = self._study
        profiles = self._profiles()
        deck = Deck(dispatchability.Feeder(0.0, dispatchability.Source(""), ()))
        if isinstance(study.feeder, DeckFeeder):
            deck = self._deck(study.feeder)
            self._stop_if_refused()
            feeder = deck.feeder
        else:
            feeder = self._feeder(study.feeder)
        if study.demand.type == "csv":
            table = self._demand(study.demand.file)
        else:
            table = {bus: (deck.p_kw[bus], deck.q_kvar[bus]) for bus in deck.p_kw}
        if study.demand.type == "csv" and not list(feeder.problems()):
            self._check_demand(study.demand.file, table, feeder)
        self._stop_if_refused()
        periods, demand, radiation = profiles
        scaled = study.demand.scale * demand[:, None]
        clusters = [self._cluster(name, entry, periods) for name, entry in study.clusters.items()]
        self._stop_if_refused()
        base = dispatchability.FeederCase(
            feeder,
            {bus: scaled * p for bus, (p, _) in table.items()},
            {bus: scaled * q for bus, (_, q) in table.items()},
            radiation,
            tuple(
                dispatchability.DgUnit(name, e.bus, e.phases, e.p_max_kw, e.q_max_kvar) for name, e in study.dgs.items()
            ),
            tuple(
                dispatchability.PvUnit(
                    name, e.bus, e.phases, e.p_max_kw, e.q_max_kvar, e.p_max_kw if e.area_kw is None else e.area_kw
                )
                for name, e in study.pvs.items()
            ),
            tuple(cluster for cluster in clusters if cluster),
            study.step / S_PER_H,
            study.options.penalty,
            study.options.diagonal,
        )
        for problem in dispatchability.problems(base):
            self._translate(*problem)
        self._stop_if_refused()
        self._check_shifts(base)
        self._stop_if_refused()
        cases = {name: self._variant(base, entry) for name, entry in study.cases.items()}
        return LoadedStudy(study, self._path, periods, cases)

    def _translate(self, key: str, value: object, allowed: str) -> None:
        """Refuse under the key that stands in the study."""
        kind, _, rest = key.partition(".")
        if kind in ("demand_kw", "demand_kvar") and self._problems:
            return  # the bus is not there because a line is wrong
        if kind in ("demand_kw", "demand_kvar"):
            key = f"demand at bus {rest}"
        if kind == "clusters" and (name := rest.rpartition(".")[2]) in ("e_arrival_kwh", "e_departure_kwh"):
            key = f"{key.removesuffix(name)}soc_{name[2:].removesuffix('_kwh')}"
            value, allowed = f"{value:g} kWh", f"{allowed} kWh"
        elif kind == "clusters" and rest.endswith(".stay"):
            entry = self._study.clusters[rest.removesuffix(".stay")]
            key, value = key.replace(".stay", ".departure"), entry.departure
            allowed = f"must be a later period than the arrival, {entry.arrival}"
        elif kind in ("kv", "v_min_pu", "v_max_pu", "source", "lines"):
            key = f"feeder.{key}"
        self._refuse(key, value, allowed)

    def _check_shifts(self, base: dispatchability.FeederCase) -> None:
        """Cases must leave all EVs within the periods."""
        for name, entry in self._study.cases.items():
            for cluster in base.clusters if entry.evs else ():
                if cluster.first + entry.shift < 0 or cluster.last + entry.shift >= base.periods:
                    room = f"{-cluster.first} to {base.periods - 1 - cluster.last}"
                    allowed = f"must be {room}, or cluster {cluster.name} leaves the periods"
                    self._refuse(f"cases.{name}.shift", entry.shift, allowed)

    def _variant(self, base: dispatchability.FeederCase, entry: CaseEntry) -> dispatchability.FeederCase:
        case = base if entry.evs else base.without_clusters()
        case = case if entry.v2g else case.without_v2g()
        return case.shifted(entry.shift)

    def _file(self, name: str, key: str) -> Path | None:
        path = self._path.parent / name
        if path.is_file():
            return path
        self._refuse(key, name, f"must be an existing file; looked for {path}")
        return None

    def _rows(self, name: str, key: str, columns: Iterable[str]) -> tuple[Path, list[dict[str, str]]] | None:
        """Rows of a CSV file that has these columns; comment lines begin with #."""
        path = self._file(name, key)
        if path is None:
            return None
        try:
            lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if not line.startswith("#")]
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(key, name, f"must be a readable UTF-8 text file ({error})")
            return None
        reader = csv.DictReader(lines, skipinitialspace=True)
        there = list(reader.fieldnames or [])
        missing = [column for column in columns if column not in there]
        for column in missing:
            self._refuse("header", ",".join(there), f"must have a column {column}", path)
        return None if missing else (path, list(reader))

    def _number(self, path: Path, key: str, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self._refuse(key, text, "must be a finite number", path)
            return 0.0
        return value

    def _profiles(self):
        section = self._study.profiles
        columns = [section.demand, section.radiation]
        table = self._rows(section.file, "profiles.file", [section.period, *columns])
        if table is None:
            return [], np.zeros(0), np.zeros(0)
        path, rows = table
        periods = [(row[section.period] or "").strip() for row in rows]
        if not rows:
            self._refuse("rows", 0, "must have at least one period", path)
        for name in sorted({name for name in periods if periods.count(name) > 1}):
            self._refuse(section.period, name, "must name every period once", path)
        series = [
            np.array(
                [self._number(path, f"period {p}, {column}", row[column]) for p, row in zip(periods, rows, strict=True)]
            )
            for column in columns
        ]
        for column, values in zip(columns, series, strict=True):
            for k in np.flatnonzero(values < 0):
                self._refuse(f"period {periods[k]}, {column}", float(values[k]), "must be >= 0", path)
        return periods, *series

    def _demand(self, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        columns = [f"{phase}_{unit}" for phase in PHASES for unit in ("kw", "kvar")]
        file_rows = self._rows(name, "demand.file", ["bus", *columns])
        table: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        if file_rows is None:
            return table
        path, rows = file_rows
        for row in rows:
            bus = (row["bus"] or "").strip()
            if bus in table:
                self._refuse(f"bus {bus}", NOTHING, "must stand once", path)
            numbers = np.array([self._number(path, f"bus {bus}, {column}", row[column]) for column in columns])
            table[bus] = numbers[::2], numbers[1::2]
        return table

    def _check_demand(
        self, name: str, table: dict[str, tuple[np.ndarray, np.ndarray]], feeder: dispatchability.Feeder
    ) -> None:
        """Demand only at buses and phases that are there."""
        path = self._path.parent / name
        for bus, values in table.items():
            there = feeder.bus_phases.get(bus)
            if there is None:
                self._refuse(f"bus {bus}", NOTHING, f"must be a bus of the feeder: {', '.join(feeder.buses)}", path)
                continue
            for unit, numbers in zip(("kw", "kvar"), values, strict=True):
                for phase, number in zip(PHASES, numbers.tolist(), strict=True):
                    key = f"bus {bus}, {phase}_{unit}"
                    if number and phase not in there:
                        self._refuse(key, number, f"must be 0: bus {bus} has only {there}", path)
                    elif number < 0 and unit == "kw":
                        self._refuse(key, number, "must be >= 0; what generates is a unit", path)

    def _deck(self, section: DeckFeeder) -> Deck:
        path = self._file(section.file, "feeder.file")
        self._stop_if_refused()
        if path is None:
            raise FileNotFoundError(section.file)
        deck = read_deck(
            path.read_text(encoding="utf-8", errors="replace"),
            path.parent,
            ratios=section.ratios,
            limit_kva=section.limit_kva / 3.0 if section.limit_kva else inf,
            power_factor=section.power_factor,
            v_pu=section.v_pu,
            v_min_pu=section.v_min_pu,
            v_max_pu=section.v_max_pu,
        )
        for key, value, allowed in deck.problems:
            self._refuse(key, value, allowed, path)
        return deck

    def _feeder(self, section: ListedFeeder) -> dispatchability.Feeder:
        source = section.source
        limit = source.limit_kva / 3.0 if source.limit_kva else inf
        lines = []
        for name, entry in section.lines.items():
            z = self._impedance(section, name, entry)
            share = entry.limit_kva / len(entry.phases) if entry.limit_kva else inf
            lines.append(dispatchability.Line(name, entry.start, entry.end, entry.phases, z, share))
        ratios = {name: entry.ratio for name, entry in section.lines.items() if entry.ratio}
        return dispatchability.Feeder(
            section.kv,
            dispatchability.Source(source.bus, limit, source.power_factor, source.v_pu),
            tuple(lines),
            section.v_min_pu,
            section.v_max_pu,
            ratios,
        )

    def _impedance(self, section: ListedFeeder, name: str, entry: LineEntry) -> np.ndarray:
        """The matrix of a line over phases a, b, c [ohm]."""
        full = np.zeros((3, 3), dtype=complex)
        key, factor = f"feeder.lines.{name}", 1.0
        r, x = entry.r_ohm, entry.x_ohm
        if entry.code is not None:
            code = section.line_codes.get(entry.code)
            if code is None:
                hint = nearest(entry.code, section.line_codes) or f"; known: {', '.join(section.line_codes) or 'none'}"
                self._refuse(f"{key}.code", entry.code, f"must be one of the line_codes{hint}")
                return full
            key = f"feeder.line_codes.{entry.code}"
            factor = (entry.length or 0.0) * METRES[section.length_unit] / METRES[code.per]
            r, x = code.r_ohm, code.x_ohm
        phases = [PHASES.index(phase) for phase in entry.phases]
        parts = []
        for part, rows in (("r_ohm", r), ("x_ohm", x)):
            matrix = self._matrix(f"{key}.{part}", rows or [], phases, name)
            if matrix is None:
                return full
            parts.append(matrix)
        full[np.ix_(phases, phases)] = factor * (parts[0] + 1j * parts[1])
        return full

    def _matrix(self, key: str, rows: list[list[float]], phases: list[int], line: str) -> np.ndarray | None:
        """A symmetric matrix over the phases (0, 1, 2) of a line."""
        if key in {problem.key for problem in self._problems}:
            return None  # the code of several lines
        size = len(phases)
        lengths = [len(row) for row in rows]
        full = lengths == [size] * size
        if not full and lengths != list(range(1, size + 1)):
            text = f"rows of {', '.join(map(str, lengths))}"
            self._refuse(
                key, text, f"must be {size} rows, full or lower triangle, for the {size} phases of line {line}"
            )
            return None
        matrix = np.zeros((size, size))
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                matrix[i, j] = value
                if not full:
                    matrix[j, i] = value
        skew = np.tril(abs(matrix - matrix.T) > 1e-9 * abs(matrix).max(initial=0.0))
        for i, j in zip(*np.nonzero(skew), strict=True):
            text = f"{matrix[i, j]:g} in row {i + 1}, column {j + 1} and {matrix[j, i]:g} in the reverse"
            pair = f"{PHASES[phases[i]]} and {PHASES[phases[j]]}"
            self._refuse(key, text, f"must be symmetric; phases {pair} of line {line}")
        for i in np.flatnonzero(matrix.diagonal() < 0.0):
            self._refuse(key, float(matrix[i, i]), f"must be >= 0 for phase {PHASES[phases[i]]} of line {line}")
        return matrix

    def _cluster(self, name: str, entry: ClusterEntry, periods: list[str]) -> dispatchability.EvCluster | None:
        for key in ("arrival", "departure"):
            if getattr(entry, key) not in periods:
                allowed = f"must be a period of the profiles: {periods[0]} ... {periods[-1]}"
                self._refuse(f"clusters.{name}.{key}", getattr(entry, key), allowed)
                return None
        capacity = entry.capacity_kwh
        return dispatchability.EvCluster(
            name,
            entry.bus,
            entry.phases,
            entry.charge_kw,
            entry.discharge_kw,
            entry.soc_min * capacity,
            capacity,
            entry.soc_arrival * capacity,
            entry.soc_departure * capacity,
            periods.index(entry.arrival),
            periods.index(entry.departure),
        )
