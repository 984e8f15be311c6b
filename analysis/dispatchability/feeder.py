"""An unbalanced radial feeder: phases a, b, c, 3x3 impedance matrices, laterals of one or two phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any, NamedTuple

import numpy as np

from ...simulators.units import KW_PER_MW

PHASES = "abc"
ROTATION = np.exp(2j * np.pi / 3 * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]))
"""Feizi & Khodayar, eq. (36): factors between the currents of two phases in balanced voltages."""


class FeederProblem(NamedTuple):
    """An error in the data: key, value, and what is allowed."""

    key: str
    value: object
    allowed: str


@dataclass(frozen=True)
class Line:
    """A line, cable, switch or transformer.

    Parameters
    ----------
    name : str
        Name in messages.
    start, end : str
        Buses; the feeder may list them in either order.
    phases : str
        Such as ``abc``, ``bc`` or ``c``.
    z_ohm : ndarray of complex, shape (3, 3)
        Impedance matrix at the voltage of the feeder [ohm], eq. (34); zero for phases that are not there.
    limit_kva : float
        Largest apparent power of a phase [kVA]; inf for none.
    """

    name: str
    start: str
    end: str
    phases: str
    z_ohm: np.ndarray
    limit_kva: float = inf


@dataclass(frozen=True)
class Source:
    """The source of a feeder.

    Parameters
    ----------
    bus : str
        The bus.
    limit_kva : float
        Largest apparent power of a phase [kVA]; inf for none.
    power_factor : float or None
        Lowest power factor, eq. (12)-(13); None for no limit. With one, power can only flow into the feeder.
    v_pu : tuple of three float
        Voltages of phases a, b, c [pu].
    """

    bus: str
    limit_kva: float = inf
    power_factor: float | None = None
    v_pu: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Feeder:
    """A radial feeder.

    Parameters
    ----------
    kv : float
        Nominal voltage between phases, to which all impedances refer [kV].
    source : Source
        Its source.
    lines : tuple of Line
        One less than there are buses.
    v_min_pu, v_max_pu : float
        Voltage limits of all buses [pu].
    ratios : mapping of str to three float
        Lines with a voltage regulator at their start, by name: its ratio in each phase.
    """

    kv: float
    source: Source
    lines: tuple[Line, ...]
    v_min_pu: float = 0.9
    v_max_pu: float = 1.1
    ratios: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @cached_property
    def oriented(self) -> tuple[Line, ...]:
        """The lines that can be reached from the source, from there outwards, each before those it feeds."""
        left, done, reached = list(self.lines), [], {self.source.bus}
        while left:
            now = [line for line in left if (line.start in reached) != (line.end in reached)]
            if not now:
                break
            line = now[0]
            left.remove(line)
            if line.start not in reached:
                line = Line(line.name, line.end, line.start, line.phases, line.z_ohm, line.limit_kva)
            reached.add(line.end)
            done.append(line)
        return tuple(done)

    @cached_property
    def buses(self) -> tuple[str, ...]:
        """All buses that can be reached, the source first."""
        return (self.source.bus, *(line.end for line in self.oriented))

    @cached_property
    def bus_phases(self) -> dict[str, str]:
        """Phases of each bus."""
        return {self.source.bus: PHASES, **{line.end: line.phases for line in self.oriented}}

    @cached_property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """All pairs of bus and phase (0, 1, 2)."""
        return tuple((bus, PHASES.index(p)) for bus in self.buses for p in PHASES if p in self.bus_phases[bus])

    def drop(self, line: Line) -> tuple[np.ndarray, np.ndarray]:
        """Compute the drop of the squared voltage [pu] per kW and per kvar of each phase, eq. (4)-(5) and (34)-(37).

        ``U_end = U_start - r P - x Q`` for the phases that are there; both matrices have shape (3, 3).
        """
        z = 2.0 * ROTATION * line.z_ohm / (KW_PER_MW * self.kv**2 / 3.0)
        return z.real, z.imag

    @cached_property
    def linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared voltages of all n nodes, ``u0 - r p - x q`` [pu] for power p, q drawn at the nodes [kW, kvar].

        u0 has shape (n,), r and x have shape (n, n).
        """
        place = {node: k for k, node in enumerate(self.nodes)}
        n = len(place)
        fed = {bus: np.zeros((3, n)) for bus in self.buses}  # which nodes are fed through a bus
        for (bus, phase), k in place.items():
            fed[bus][phase, k] = 1.0
        for line in reversed(self.oriented):
            fed[line.start] = fed[line.start] + fed[line.end]
        at = {self.source.bus: (np.array(self.source.v_pu) ** 2, np.zeros((3, n)), np.zeros((3, n)))}
        for line in self.oriented:
            r, x = self.drop(line)
            ratio = np.array(self.ratios.get(line.name, (1.0, 1.0, 1.0))) ** 2
            u, by_p, by_q = at[line.start]
            by_p, by_q = ratio[:, None] * by_p, ratio[:, None] * by_q
            at[line.end] = ratio * u, by_p + r @ fed[line.end], by_q + x @ fed[line.end]
        u0, r, x = (np.array([at[bus][kind][phase] for bus, phase in self.nodes]) for kind in range(3))
        return u0, r, x

    def problems(self) -> Iterator[FeederProblem]:
        """Check the data of the feeder and yield each error with bus, phase or value."""
        if not self.kv > 0:
            yield FeederProblem("kv", self.kv, "must be > 0")
        if not 0 < self.v_min_pu < self.v_max_pu:
            yield FeederProblem("v_min_pu", self.v_min_pu, f"must be > 0 and below v_max_pu {self.v_max_pu:g}")
        if not self.source.limit_kva > 0:
            yield FeederProblem("source.limit_kva", self.source.limit_kva, "must be > 0")
        factor = self.source.power_factor
        if factor is not None and not 0 < factor <= 1:
            yield FeederProblem("source.power_factor", factor, "must be > 0 and <= 1")
        for name, line in ((line.name, line) for line in self.lines):
            yield from _line_problems(f"lines.{name}", line)
        names = [line.name for line in self.lines]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield FeederProblem(f"lines.{name}", ..., "must have a name of its own; two lines have this one")
        reached, used = set(self.buses), {line.name for line in self.oriented}
        for line in self.lines:
            if line.name in used or line.start == line.end:
                continue
            ends = f"{line.start} - {line.end}"
            if line.start in reached:
                yield FeederProblem(f"lines.{line.name}", ends, "must not close a loop; the feeder must be radial")
            else:
                yield FeederProblem(
                    f"lines.{line.name}", ends, f"must be connected with the source bus {self.source.bus}"
                )
        listed = {line.name: line.start for line in self.lines}
        for line in self.oriented:
            if line.name in self.ratios and listed[line.name] != line.start:
                value = f"{line.end} - {line.start}"
                yield FeederProblem(
                    f"lines.{line.name}", value, f"must start at {line.start}, where its regulator stands"
                )
            fed = self.bus_phases[line.start]
            for phase in line.phases:
                if phase not in fed:
                    allowed = f"must be phases that bus {line.start} has ({fed}); phase {phase} ends there"
                    yield FeederProblem(f"lines.{line.name}.phases", line.phases, allowed)


def _line_problems(key: str, line: Line) -> Iterator[FeederProblem]:
    """Yield the errors in the data of a line."""
    if not line.phases or any(p not in PHASES for p in line.phases) or len(set(line.phases)) != len(line.phases):
        yield FeederProblem(f"{key}.phases", line.phases, "must be one to three of a, b, c, each once")
        return
    if line.start == line.end:
        yield FeederProblem(key, line.start, "must connect two buses")
    if not line.limit_kva > 0:
        yield FeederProblem(f"{key}.limit_kva", line.limit_kva, "must be > 0")
    z: Any = np.asarray(line.z_ohm)
    if z.shape != (3, 3) or not np.all(np.isfinite(z)):
        yield FeederProblem(f"{key}.z_ohm", z.shape, "must be finite and of shape (3, 3)")
        return
    for part, name in ((z.real, "r"), (z.imag, "x")):
        for i in range(3):
            for j in range(i):
                if abs(part[i, j] - part[j, i]) > 1e-9 * max(1.0, abs(part).max()):
                    value = f"{part[i, j]:g} for phases {PHASES[i]}{PHASES[j]} and {part[j, i]:g} for the reverse"
                    yield FeederProblem(f"{key}.{name}", value, f"must be symmetric ({line.start} - {line.end})")
    for i, phase in enumerate(PHASES):
        if phase not in line.phases and np.any(z[i] != 0):
            yield FeederProblem(
                f"{key}.z_ohm", z[i][z[i] != 0][0], f"must be 0 for phase {phase}, which the line lacks"
            )
        if phase in line.phases and (z[i, i].real < 0 or z[i, i].imag < 0):
            yield FeederProblem(f"{key}.z_ohm", z[i, i], f"must have r >= 0 and x >= 0 in phase {phase}")
