"""Reading an unbalanced radial feeder from an OpenDSS deck.

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
    """A feeder and the loads of its deck.

    Parameters
    ----------
    feeder : Feeder
        Network.
    p_kw, q_kvar : dict of str to ndarray, shape (3,)
        Loads of each bus [kW, kvar]; capacitors count as negative kvar.
    problems : list of FeederProblem
        Errors in the deck; empty if it was read completely.
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
    """Read a feeder and its loads from the text of a deck.

    Parameters
    ----------
    text : str
        The deck.
    folder : Path, optional
        Where the decks lie that it redirects to; without one it must not.
    ratios : mapping of str to float, optional
        Ratios of transformers by name, of their second winding against the first; their taps where none is given.
    limit_kva, power_factor, v_min_pu, v_max_pu
        Data of source and feeder that a deck does not contain; see `Source` and `Feeder`.
    v_pu : tuple of three float, optional
        Voltages of the source [pu]; those of the deck, behind the taps of the substation, when left out.

    Returns
    -------
    Deck
        The feeder, with problems for what could not be read.
    """
    reader = _Reader(DeckText(text, folder), {name.lower(): ratio for name, ratio in (ratios or {}).items()})
    reader.read()
    source = Source(reader.start, limit_kva, power_factor, v_pu or (reader.v_pu, reader.v_pu, reader.v_pu))
    feeder = Feeder(reader.kv, source, tuple(reader.lines), v_min_pu, v_max_pu, reader.line_ratios)
    reader.check(feeder)
    return Deck(feeder, reader.p_kw, reader.q_kvar, _gathered(reader.problems))


def _gathered(problems: list[FeederProblem]) -> list[FeederProblem]:
    """Return the problems; of more than five of one kind, the first with their number."""
    count = Counter(problem.allowed for problem in problems)
    gathered, reported = [], set()
    for key, value, allowed in problems:
        if count[allowed] <= 5:
            gathered.append(FeederProblem(key, value, allowed))
        elif allowed not in reported:
            reported.add(allowed)
            gathered.append(FeederProblem(key, value, f"{allowed} (the first of {count[allowed]} such lines)"))
    return gathered


class _Reader:
    """Assembles a feeder and its loads from the elements of a deck."""

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
        """Read the source, the branches from there outwards, and the loads."""
        codes = {element.name: element for element in self._of("linecode")}
        for circuit in self._of("circuit"):
            self._try(circuit, self._source)
        if not self.start:
            self.problems.append(FeederProblem("deck", "no circuit", "must have new circuit.NAME with basekv"))
        made = [
            self._try(element, lambda properties: line(properties, codes, self._frequency))
            for element in self._of("line")
        ]
        made += [self._try(element, self._transformer) for element in self._of("transformer")]
        self._whole = bool(self.start) and None not in made
        self._connect(self._behind_the_substation([branch for branch in made if branch is not None]))
        for kind, read in (("load", load), ("capacitor", capacitor)):
            for element in self._of(kind):
                drawn = self._try(element, read)
                if drawn is not None:
                    self._drawn.append((f"{element.where}: {kind}.{element.name}.bus1", drawn))
        transformers = {element.name for element in self._of("transformer")}
        for name in sorted(set(self._ratios) - transformers):
            allowed = f"must be a transformer of the deck: {', '.join(sorted(transformers)) or 'there is none'}"
            self.problems.append(FeederProblem(f"ratios.{name}", self._ratios[name], allowed))
        self._controls(transformers)

    def _of(self, kind: str) -> list[Element]:
        return self._deck.enabled(kind)

    def _try(self, element: Element, read: Callable[[DeckValue], T]) -> T | None:
        """Read an element; add a problem and return None if it is refused."""
        if element.refused:
            return None
        try:
            return read(DeckValue(element))
        except RefusedError as error:
            wrong = error.element or element
            problem = FeederProblem(f"{wrong.where}: {wrong.kind}.{wrong.name}.{error.key}", error.value, error.allowed)
            self.problems += [] if problem in self.problems else [problem]  # the code of several lines
            return None

    def _source(self, properties: DeckValue) -> None:
        if (phases := properties.number("phases", 3.0)) != 3.0:
            raise RefusedError("phases", f"{phases:g}", "must be 3")
        self.kv, self.v_pu = properties.number("basekv", 115.0), properties.number("pu", 1.0)
        self.start = properties.text("bus1", "sourcebus").split(".")[0]
        if not self.kv > 0 or not self.v_pu > 0:
            raise RefusedError("basekv, pu", f"{self.kv:g}, {self.v_pu:g}", "must be > 0")
        self._frequency = properties.number("basefreq")

    def _transformer(self, properties: DeckValue) -> Branch:
        return transformer(properties, self._ratios.get(properties.element.name))

    def _controls(self, transformers: set[str]) -> None:
        """A transformer with a control needs a ratio, since the control is left out."""
        tapped = {element.name for element in self._of("transformer") if {"tap", "taps"} & dict(element.pairs).keys()}
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
        substation = here[0]
        near, far = (1, 0) if substation.end == self.start else (0, 1)
        self.v_pu *= self.kv / substation.kv[near] * substation.taps[far] / substation.taps[near]
        self.start, self.kv = (substation.start, substation.end)[far], substation.kv[far]
        self._ungrounded |= {self.start} if substation.delta else set()
        return [branch for branch in branches if branch is not substation]

    def _connect(self, branches: list[Branch]) -> None:
        """Lines from the source outwards, with the nominal voltage of each bus; several of one phase become one."""
        at, left = {self.start: self.kv}, branches
        groups: dict[tuple[str, str], list[Branch]] = {}
        while branch := next((b for b in left if (b.start in at) != (b.end in at) or self._beside(b, groups)), None):
            left = [other for other in left if other is not branch]
            ends = branch.start, branch.end
            if branch.end not in at:
                at[branch.end] = at[branch.start] * branch.kv[1] / branch.kv[0]
            elif branch.start not in at:
                at[branch.start] = at[branch.end] * branch.kv[0] / branch.kv[1]
                ends = branch.end, branch.start
            elif ends not in groups:
                ends = branch.end, branch.start
            groups.setdefault(ends, []).append(branch)
            if not branch.same:
                allowed = "must be wye and wye, or delta and delta, within the feeder: others mix the phases"
                self.problems.append(FeederProblem(f"{branch.where}.conn", "wye and delta", allowed))
        for (start, end), members in groups.items():
            self._line(start, end, members, at)
        for branch in left if self._whole else []:
            ends = f"{branch.start} - {branch.end}"
            if branch.start in at:
                allowed = "must not close a loop; the feeder must be radial: leave out lines or disable them"
            else:
                allowed = f"must be connected with the source bus {self.start}"
            self.problems.append(FeederProblem(branch.where, ends, allowed))

    def _beside(self, branch: Branch, groups: dict[tuple[str, str], list[Branch]]) -> bool:
        """Return whether a branch lies parallel to others, with other phases."""
        others = [*groups.get((branch.start, branch.end), []), *groups.get((branch.end, branch.start), [])]
        return bool(others) and not {p for other in others for p in other.phases} & set(branch.phases)

    def _line(self, start: str, end: str, members: list[Branch], at: dict[str, float]) -> None:
        """One line of branches between the same buses, its impedances at the voltage of the feeder."""
        z, ratio = np.zeros((3, 3), dtype=complex), np.ones(3)
        for branch in members:
            phases = list(branch.phases)
            here, there = branch.taps if branch.start == start else branch.taps[::-1]
            z[np.ix_(phases, phases)] = branch.z * (there * self.kv / at[branch.start]) ** 2  # behind both taps
            ratio[phases] = there / here
        name = "+".join(branch.name for branch in members)
        all_phases = "".join(PHASES[p] for p in sorted(p for branch in members for p in branch.phases))
        self._where[name] = members[0].where
        if np.any(ratio != 1.0):
            self.line_ratios[name] = (float(ratio[0]), float(ratio[1]), float(ratio[2]))
        self._ungrounded |= {end} if members[0].delta else set()
        self.lines.append(Line(name, start, end, all_phases, z))

    def check(self, feeder: Feeder) -> None:
        """Note what does not fit together, and add up what is drawn at each bus."""
        for key, value, allowed in feeder.problems() if self._whole else ():
            fits = [name for name in self._where if f"{key}.".startswith(f"lines.{name}.")]
            name = max(fits, key=len, default=None)
            if name is not None:
                self.problems.append(
                    FeederProblem(f"{self._where[name]}{key.removeprefix(f'lines.{name}')}", value, allowed)
                )
        ungrounded = set(self._ungrounded)
        for branch in feeder.oriented:
            ungrounded |= {branch.end} if branch.start in ungrounded else set()
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
