"""Reads an unbalanced radial feeder from the text of an OpenDSS deck.

Understood are line codes with matrices, lines, switches, two-winding transformers, loads and capacitors. What hangs
between the circuit's own source and the feeder (a substation transformer) is left out: the feeder starts behind it.
Regulators are single-phase transformers; their controls are left out and their ratios given by the caller. All loads
count as constant power at nominal voltage; a delta load is shared by its phases as in balanced voltages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from ...simulators.models.units import KW_PER_MW
from .feeder import PHASES, Feeder, Line, Problem, Source

_PAIR = re.compile(r"([%\w.]+)\s*=\s*(\([^)]*\)|\[[^\]]*\]|\"[^\"]*\"|\S+)")
METRES = {"mi": 1609.344, "kft": 304.8, "km": 1e3, "m": 1.0, "ft": 0.3048, "in": 0.0254, "cm": 0.01}
_NEW = re.compile(r"new\s+(\w+)\.(\S+)\s*(.*)", re.IGNORECASE)
_IGNORED = (
    "clear",
    "set ",
    "calcv",
    "solve",
    "buscoords",
    "redirect ieeelinecodes.dss",  # with the line codes of the test feeders, which their decks repeat
    "show",
    "plot",
    "export",
    "compile",
)
_KINDS = ("circuit", "linecode", "line", "transformer", "load", "capacitor", "regcontrol")


@dataclass
class Deck:
    """A feeder and what its deck draws.

    Parameters
    ----------
    feeder : Feeder
        Network.
    p_kw, q_kvar : dict of str to ndarray, shape (3,)
        Loads of each bus [kW, kvar]; capacitors count as negative kvar.
    problems : list of Problem
        What could not be understood; empty if all was.
    """

    feeder: Feeder
    p_kw: dict[str, np.ndarray] = field(default_factory=dict)
    q_kvar: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_deck(
    text: str,
    *,
    ratios: Mapping[str, float] | None = None,
    limit_kva: float = inf,
    power_factor: float | None = None,
    v_pu: tuple[float, float, float] = (1.0, 1.0, 1.0),
    v_min_pu: float = 0.9,
    v_max_pu: float = 1.1,
) -> Deck:
    """Read a deck.

    Parameters
    ----------
    text : str
        The deck.
    ratios : mapping of str to float, optional
        Ratio of each regulator by its transformer's name; 1 where none is given.
    limit_kva, power_factor, v_pu, v_min_pu, v_max_pu
        Of the source and the feeder, which a deck does not hold; see `Source` and `Feeder`.

    Returns
    -------
    Deck
        With problems for what could not be understood.
    """
    found = _Reader({name.lower(): ratio for name, ratio in (ratios or {}).items()})
    for number, command in _commands(text):
        match = _NEW.match(command)
        if match is None:
            if not command.lower().startswith(_IGNORED) or re.match(r"set\s+loadmult", command, re.IGNORECASE):
                found.problems.append(Problem(f"line {number}", command[:40], "must be a New ... or a known command"))
            continue
        kind, name, rest = match[1].lower(), match[2].lower(), match[3]
        if kind not in _KINDS:
            allowed = f"must be one of {', '.join(_KINDS)}"
            found.problems.append(Problem(f"line {number}: {name}", kind, allowed))
            continue
        pairs = [(key.lower(), value.strip('"[]()').strip()) for key, value in _PAIR.findall(rest)]
        for key in ("enabled", "like"):
            if key in dict(pairs):
                allowed = f"must not be used: what {key} means is not read"
                found.problems.append(Problem(f"line {number}: {kind}.{name}.{key}", dict(pairs)[key], allowed))
        try:
            getattr(found, f"_{kind}")(name, pairs)
        except (ValueError, KeyError, IndexError, ZeroDivisionError) as error:
            allowed = f"must be understood ({type(error).__name__}: {error})"
            found.problems.append(Problem(f"line {number}: {kind}.{name}", rest[:60], allowed))
    for name in sorted(set(found.ratios) - found.regulators):
        allowed = f"must be a regulator of the deck: {', '.join(sorted(found.regulators)) or 'there is none'}"
        found.problems.append(Problem(f"ratios.{name}", found.ratios[name], allowed))
    source = Source(found.start, limit_kva, power_factor, v_pu)
    feeder = Feeder(found.kv, source, tuple(found.all_lines()), v_min_pu, v_max_pu, found.line_ratios())
    return Deck(feeder, found.p_kw, found.q_kvar, found.problems)


def _commands(text: str) -> list[tuple[int, str]]:
    """Commands without comments, continuation lines joined, with the number of their first line."""
    found: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.split(r"!|//", raw)[0].strip()
        if line.startswith("~") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line[1:].strip()}")
        elif line:
            found.append((number, line))
    return found


class _Reader:
    """Collects what the commands say."""

    def __init__(self, ratios: dict[str, float]):
        self.ratios = ratios
        self.regulators: set[str] = set()
        self.start, self.kv = "", 0.0
        self.p_kw: dict[str, np.ndarray] = {}
        self.q_kvar: dict[str, np.ndarray] = {}
        self.problems: list[Problem] = []
        self._lines: list[Line] = []
        self._source_bus = "sourcebus"
        self._codes: dict[str, tuple[np.ndarray, float | None]] = {}  # ohm, per metres
        self._banks: dict[tuple[str, str], dict[int, float]] = {}

    def all_lines(self) -> list[Line]:
        banks = [
            Line(f"{a}-{b}", a, b, "".join(PHASES[p] for p in sorted(phases)), np.zeros((3, 3), dtype=complex))
            for (a, b), phases in self._banks.items()
        ]
        return banks + self._lines

    def line_ratios(self) -> dict[str, tuple[float, float, float]]:
        return {
            f"{a}-{b}": (phases.get(0, 1.0), phases.get(1, 1.0), phases.get(2, 1.0))
            for (a, b), phases in self._banks.items()
        }

    def _circuit(self, name: str, pairs: list[tuple[str, str]]) -> None:
        self._source_bus = dict(pairs).get("bus1", "sourcebus").lower()
        self.start, self.kv = self._source_bus, float(dict(pairs).get("basekv", "115"))

    def _regcontrol(self, name: str, pairs: list[tuple[str, str]]) -> None:
        """Controls are left out."""

    def _linecode(self, name: str, pairs: list[tuple[str, str]]) -> None:
        given = dict(pairs)
        z = _triangle(given["rmatrix"]) + 1j * _triangle(given["xmatrix"])
        phases = int(given.get("nphases", "3"))
        if z.shape != (phases, phases):
            raise ValueError(f"matrices of {z.shape[0]} rows for {phases} phases")
        self._codes[name] = z, _metres(given)

    def _line(self, name: str, pairs: list[tuple[str, str]]) -> None:
        given = dict(pairs)
        start, phases = _bus(given["bus1"], int(given.get("phases", "3")))
        end, other = _bus(given["bus2"], int(given.get("phases", "3")))
        if phases != other:
            raise ValueError(f"phases {phases} at one end, {other} at the other")
        length = float(given.get("length", "1"))
        if "linecode" in given:
            z, metres = self._codes[given["linecode"].lower()]
            here = _metres(given)
            z = z * length * (here / metres if here and metres else 1.0)  # as it stands unless both name a unit
        elif "rmatrix" in given:
            z = length * (_triangle(given["rmatrix"]) + 1j * _triangle(given["xmatrix"]))
        else:
            z1, z0 = (float(given.get(f"r{k}", "0")) + 1j * float(given.get(f"x{k}", "0")) for k in (1, 0))
            z = length * (z1 * np.eye(len(phases)) + (z0 - z1) / 3.0)
        if len(phases) != len(z):
            raise ValueError(f"{len(phases)} phases with a line code of {len(z)}")
        self._add(name, start, end, phases, z)

    def _add(self, name: str, start: str, end: str, phases: list[int], z: np.ndarray) -> None:
        full = np.zeros((3, 3), dtype=complex)
        full[np.ix_(phases, phases)] = z
        self._lines.append(Line(name, start, end, "".join(PHASES[p] for p in sorted(phases)), full))

    def _transformer(self, name: str, pairs: list[tuple[str, str]]) -> None:
        given = dict(pairs)
        phases = int(given.get("phases", "3"))
        if "buses" in given:
            buses, kvs, kvas = (given[key].replace(",", " ").split() for key in ("buses", "kvs", "kvas"))
            r = [0.0, 0.0]
        else:
            buses, kvs, kvas = ([value for key, value in pairs if key == k] for k in ("bus", "kv", "kva"))
            r = [_number(value) for key, value in pairs if key == "%r"] or [0.0, 0.0]
        if len(buses) != 2:
            raise ValueError(f"{len(buses)} windings, allowed are 2")
        start, start_phases = _bus(buses[0], phases)
        end, end_phases = _bus(buses[1], phases)
        if start == self._source_bus:
            self.start, self.kv = end, float(kvs[1])
        elif phases == 1:
            self.regulators.add(name)
            if start_phases != end_phases or kvs[0] != kvs[1]:
                raise ValueError("a single-phase transformer must be a regulator: one voltage, one phase")
            self._banks.setdefault((start, end), {})[start_phases[0]] = self.ratios.get(name, 1.0)
        else:
            ohm = self.kv**2 / (float(kvas[0]) / KW_PER_MW)
            z = (sum(r) + 1j * _number(given["xhl"])) / 100.0 * ohm
            self._add(name, start, end, [0, 1, 2], z * np.eye(3))

    def _load(self, name: str, pairs: list[tuple[str, str]]) -> None:
        given = dict(pairs)
        self._draw(given, complex(float(given["kw"]), float(given["kvar"])))

    def _capacitor(self, name: str, pairs: list[tuple[str, str]]) -> None:
        given = dict(pairs)
        self._draw(given, -1j * float(given["kvar"]))

    def _draw(self, given: dict[str, str], power: complex) -> None:
        phases = int(given.get("phases", "3"))
        delta = given.get("conn", "wye").lower().startswith("d")
        bus, nodes = _bus(given["bus1"], 2 if delta and phases == 1 else phases)
        share = np.zeros(3, dtype=complex)
        if delta and phases == 1:
            first, second = (np.exp(-2j * np.pi / 3 * node) for node in nodes)
            share[nodes[0]], share[nodes[1]] = first / (first - second), second / (second - first)
        else:
            share[nodes] = 1.0 / len(nodes)
        for table, part in ((self.p_kw, (power * share).real), (self.q_kvar, (power * share).imag)):
            table[bus] = table.get(bus, np.zeros(3)) + part


def _bus(text: str, phases: int) -> tuple[str, list[int]]:
    """Name and phases (0, 1, 2) of a bus such as 632.3.2."""
    name, *nodes = text.lower().split(".")
    return name, [int(node) - 1 for node in nodes if node != "0"] or list(range(phases))


def _metres(given: dict[str, str]) -> float | None:
    """Metres of the unit of length, None if there is none."""
    unit = given.get("units", "none").lower()
    return None if unit == "none" else METRES[unit]


def _triangle(text: str) -> np.ndarray:
    """A matrix from its rows between bars; a lower triangle is completed."""
    rows = [[float(item) for item in row.replace(",", " ").split()] for row in text.split("|")]
    full = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            full[i, j] = value
            if len(row) == i + 1:
                full[j, i] = value
    return full


def _number(text: str) -> float:
    """A number, or two in front of a slash in reverse Polish notation."""
    parts = text.split()
    return float(parts[0]) / float(parts[1]) if parts[2:] == ["/"] else float(text)
