"""Reads an unbalanced radial feeder from an OpenDSS deck.

Read are line codes and lines with matrices or symmetrical components, switches, transformers of two windings, loads
and capacitors; what would change the feeder and is not read is refused, with its line. A substation transformer at the
circuit's own source is left out: the feeder starts behind it. All impedances are referred to the voltage there.
Controls are left out: a regulator has the ratio that the caller or its taps give. All loads count as constant power at
nominal voltage; one between two phases is shared by them as in balanced voltages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..feeder import PHASES, Feeder, FeederProblem, Line, Source
from .opendss_elements import Branch, DeckValue, RefusedError, line, transformer
from .opendss_loads import Drawn, capacitor, load
from .opendss_text import DeckText, Element

T = TypeVar("T")


@dataclass
class Deck:
    """A feeder and what its deck draws.

    Parameters
    ----------
    feeder : Feeder
        Network.
    p_kw, q_kvar : dict of str to ndarray, shape (3,)
        Loads of each bus [kW, kvar]; capacitors count as negative kvar.
    problems : list of FeederProblem
        What could not be understood; empty if all was.
    """

    feeder: Feeder
    p_kw: dict[str, np.ndarray] = field(default_factory=dict)
    q_kvar: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[FeederProblem] = field(default_factory=list)


def read_deck(
    text: str,
    folder: Path | None = None,
    *,
    ratios: Mapping[str, float] | None = None,
    limit_kva: float = inf,
    power_factor: float | None = None,
    v_pu: tuple[float, float, float] | None = None,
    v_min_pu: float = 0.9,
    v_max_pu: float = 1.1,
) -> Deck:
    """Read a deck.

    Parameters
    ----------
    text : str
        The deck.
    folder : Path, optional
        Where the decks lie that it redirects to; without one it must not.
    ratios : mapping of str to float, optional
        Ratios of transformers by name, of their second winding against the first; their taps where none is given.
    limit_kva, power_factor, v_min_pu, v_max_pu
        Of the source and the feeder, which a deck does not hold; see `Source` and `Feeder`.
    v_pu : tuple of three float, optional
        Voltages of the source [pu]; those of the deck, behind the taps of the substation, when left out.

    Returns
    -------
    Deck
        With problems for what could not be understood.
    """
    found = _Reader(DeckText(text, folder), {name.lower(): ratio for name, ratio in (ratios or {}).items()})
    found.read()
    source = Source(found.start, limit_kva, power_factor, v_pu or (found.v_pu, found.v_pu, found.v_pu))
    feeder = Feeder(found.kv, source, tuple(found.lines), v_min_pu, v_max_pu, found.line_ratios)
    found.check(feeder)
    return Deck(feeder, found.p_kw, found.q_kvar, _gathered(found.problems))


def _gathered(problems: list[FeederProblem]) -> list[FeederProblem]:
    """Of many problems of one kind the first, with their number."""
    count = Counter(problem.allowed for problem in problems)
    found, told = [], set()
    for key, given, allowed in problems:
        if count[allowed] <= 5:
            found.append(FeederProblem(key, given, allowed))
        elif allowed not in told:
            told.add(allowed)
            found.append(FeederProblem(key, given, f"{allowed} (the first of {count[allowed]} such lines)"))
    return found


class _Reader:
    """Puts the elements of a deck together."""

    def __init__(self, deck: DeckText, ratios: dict[str, float]):
        self._deck, self._ratios = deck, ratios
        self.problems = deck.problems
        self.start, self.kv, self.v_pu = "", 1.0, 1.0
        self._frequency = 60.0
        self._whole = True  # whether all branches could be read, so that what is not connected is wrong itself
        self.lines: list[Line] = []
        self.line_ratios: dict[str, tuple[float, float, float]] = {}
        self.p_kw: dict[str, np.ndarray] = {}
        self.q_kvar: dict[str, np.ndarray] = {}
        self._where: dict[str, str] = {}
        self._drawn: list[tuple[str, Drawn]] = []
        self._ungrounded: set[str] = set()

    def read(self) -> None:
        """Source, branches from there outwards, loads."""
        codes = {one.name: one for one in self._of("linecode")}
        for circuit in self._of("circuit"):
            self._try(circuit, self._source)
        if not self.start:
            self.problems.append(FeederProblem("deck", "no circuit", "must have new circuit.NAME with basekv"))
        made = [self._try(one, lambda given: line(given, codes, self._frequency)) for one in self._of("line")]
        made += [self._try(one, self._transformer) for one in self._of("transformer")]
        self._whole = bool(self.start) and None not in made
        self._connect(self._behind_the_substation([branch for branch in made if branch is not None]))
        for kind, read in (("load", load), ("capacitor", capacitor)):
            for one in self._of(kind):
                drawn = self._try(one, read)
                if drawn is not None:
                    self._drawn.append((f"{one.where}: {kind}.{one.name}.bus1", drawn))
        transformers = {one.name for one in self._of("transformer")}
        for name in sorted(set(self._ratios) - transformers):
            allowed = f"must be a transformer of the deck: {', '.join(sorted(transformers)) or 'there is none'}"
            self.problems.append(FeederProblem(f"ratios.{name}", self._ratios[name], allowed))
        self._controls(transformers)

    def _of(self, kind: str) -> list[Element]:
        return self._deck.enabled(kind)

    def _try(self, element: Element, read: Callable[[DeckValue], T]) -> T | None:
        """What an element is, or None with a problem."""
        if element.refused:
            return None
        try:
            return read(DeckValue(element))
        except RefusedError as error:
            wrong = error.element or element
            problem = FeederProblem(f"{wrong.where}: {wrong.kind}.{wrong.name}.{error.key}", error.given, error.allowed)
            self.problems += [] if problem in self.problems else [problem]  # the code of several lines
            return None

    def _source(self, given: DeckValue) -> None:
        if (phases := given.number("phases", 3.0)) != 3.0:
            raise RefusedError("phases", f"{phases:g}", "must be 3")
        self.kv, self.v_pu = given.number("basekv", 115.0), given.number("pu", 1.0)
        self.start = given.text("bus1", "sourcebus").split(".")[0]
        if not self.kv > 0 or not self.v_pu > 0:
            raise RefusedError("basekv, pu", f"{self.kv:g}, {self.v_pu:g}", "must be > 0")
        self._frequency = given.number("basefreq")

    def _transformer(self, given: DeckValue) -> Branch:
        return transformer(given, self._ratios.get(given.element.name))

    def _controls(self, transformers: set[str]) -> None:
        """A transformer with a control needs a ratio, since the control is left out."""
        tapped = {one.name for one in self._of("transformer") if {"tap", "taps"} & dict(one.pairs).keys()}
        for control in self._of("regcontrol"):
            name = dict(control.pairs).get("transformer", "").lower()
            if name in transformers - tapped - set(self._ratios):
                allowed = f"must come with ratios.{name} in the feeder of the study, or taps of {name} in the deck"
                self.problems.append(FeederProblem(f"{control.where}: regcontrol.{control.name}", "a control", allowed))

    def _behind_the_substation(self, branches: list[Branch]) -> list[Branch]:
        """Start behind a transformer that alone hangs at the source."""
        here = [branch for branch in branches if self.start in (branch.start, branch.end)]
        if len(here) != 1 or not here[0].transforms or len(here[0].phases) < 3:
            return branches
        one = here[0]
        near, far = (1, 0) if one.end == self.start else (0, 1)
        self.v_pu *= self.kv / one.kv[near] * one.taps[far] / one.taps[near]
        self.start, self.kv = (one.start, one.end)[far], one.kv[far]
        self._ungrounded |= {self.start} if one.delta else set()
        return [branch for branch in branches if branch is not one]

    def _connect(self, branches: list[Branch]) -> None:
        """Lines from the source outwards, with the nominal voltage of each bus; several of one phase become one."""
        at, left = {self.start: self.kv}, branches
        groups: dict[tuple[str, str], list[Branch]] = {}
        while one := next((b for b in left if (b.start in at) != (b.end in at) or self._beside(b, groups)), None):
            left = [other for other in left if other is not one]
            ends = one.start, one.end
            if one.end not in at:
                at[one.end] = at[one.start] * one.kv[1] / one.kv[0]
            elif one.start not in at:
                at[one.start] = at[one.end] * one.kv[0] / one.kv[1]
                ends = one.end, one.start
            elif ends not in groups:
                ends = one.end, one.start
            groups.setdefault(ends, []).append(one)
            if not one.same:
                allowed = "must be wye and wye, or delta and delta, within the feeder: others mix the phases"
                self.problems.append(FeederProblem(f"{one.where}.conn", "wye and delta", allowed))
        for (start, end), members in groups.items():
            self._line(start, end, members, at)
        for one in left if self._whole else []:
            ends = f"{one.start} - {one.end}"
            if one.start in at:
                allowed = "must not close a loop; the feeder must be radial: leave out lines or disable them"
            else:
                allowed = f"must be connected with the source bus {self.start}"
            self.problems.append(FeederProblem(one.where, ends, allowed))

    def _beside(self, one: Branch, groups: dict[tuple[str, str], list[Branch]]) -> bool:
        """Whether a branch lies beside others, with phases of its own."""
        others = [*groups.get((one.start, one.end), []), *groups.get((one.end, one.start), [])]
        return bool(others) and not {p for other in others for p in other.phases} & set(one.phases)

    def _line(self, start: str, end: str, members: list[Branch], at: dict[str, float]) -> None:
        """One line of branches between the same buses, its impedances at the voltage of the feeder."""
        z, ratio = np.zeros((3, 3), dtype=complex), np.ones(3)
        for one in members:
            phases = list(one.phases)
            here, there = one.taps if one.start == start else one.taps[::-1]
            z[np.ix_(phases, phases)] = one.z * (there * self.kv / at[one.start]) ** 2  # behind both taps
            ratio[phases] = there / here
        name = "+".join(one.name for one in members)
        all_phases = "".join(PHASES[p] for p in sorted(p for one in members for p in one.phases))
        self._where[name] = members[0].where
        if np.any(ratio != 1.0):
            self.line_ratios[name] = (float(ratio[0]), float(ratio[1]), float(ratio[2]))
        self._ungrounded |= {end} if members[0].delta else set()
        self.lines.append(Line(name, start, end, all_phases, z))

    def check(self, feeder: Feeder) -> None:
        """Note what does not fit together, and add up what is drawn at each bus."""
        for key, given, allowed in feeder.problems() if self._whole else ():
            fits = [name for name in self._where if f"{key}.".startswith(f"lines.{name}.")]
            name = max(fits, key=len, default=None)
            if name is not None:
                self.problems.append(
                    FeederProblem(f"{self._where[name]}{key.removeprefix(f'lines.{name}')}", given, allowed)
                )
        ungrounded = set(self._ungrounded)
        for one in feeder.oriented:
            ungrounded |= {one.end} if one.start in ungrounded else set()
        for key, drawn in self._drawn:
            there = feeder.bus_phases.get(drawn.bus)
            phases = "".join(phase for phase, power in zip(PHASES, drawn.power, strict=True) if power)
            missing = [phase for phase in phases if phase not in (PHASES if there is None else there)]
            if there is None and not self._whole:
                continue
            if there is None:
                self.problems.append(FeederProblem(key, drawn.bus, "must be a bus that lines connect with the source"))
            elif missing:
                allowed = f"must have phases that bus {drawn.bus} has ({there}); phase {missing[0]} is not there"
                self.problems.append(FeederProblem(key, phases, allowed))
            elif drawn.neutral and drawn.bus in ungrounded:
                allowed = "must be between phases: behind a transformer in delta there is no neutral"
                self.problems.append(FeederProblem(key, drawn.bus, allowed))
            for table, part in ((self.p_kw, np.real(drawn.power)), (self.q_kvar, np.imag(drawn.power))):
                table[drawn.bus] = table.get(drawn.bus, np.zeros(3)) + part
