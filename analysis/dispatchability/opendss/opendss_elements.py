"""Properties of the elements of an OpenDSS deck, and lines and transformers with their impedances.

Values that a deck leaves out are the defaults of OpenDSS, except impedances, which the deck must have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ....simulators.units import KW_PER_MW
from .opendss_text import END_OF_COMMAND, OPERATORS, Element, number

METRES = {"mi": 1609.344, "kft": 304.8, "km": 1e3, "m": 1.0, "ft": 0.3048, "in": 0.0254, "cm": 0.01, "mm": 0.001}
_REPLACED_BY_SWITCH = ("linecode", "length", "units", "rmatrix", "xmatrix", "r1", "x1", "r0", "x0")
_SWITCH_OHM, _SWITCH_LENGTH = 1.0 + 1.0j, 0.001  # of a switch without impedances, in OpenDSS


class RefusedError(ValueError):
    """A property that cannot be read: its name, its value, what is allowed, and the element if it is another."""

    def __init__(self, key: str, value: object, allowed: str, element: Element | None = None):
        super().__init__(f"{key}: {allowed}, got {value}")
        self.key, self.value, self.allowed, self.element = key, value, allowed, element


class Branch(NamedTuple):
    """A line, or a transformer within the feeder, between two buses.

    Parameters
    ----------
    name, where : str
        Its name in messages, and where it stands.
    start, end : str
        Buses; of a transformer those of its first and second winding.
    phases : tuple of int
        Phases (0, 1, 2) in the order of the rows of `z`.
    z : ndarray of complex, shape (n, n)
        Impedances [ohm] at the voltage of the start.
    kv : tuple of two float
        Nominal voltages of start and end [kV]; (1, 1) for a line.
    taps : tuple of two float
        Taps of the windings at start and end; (1, 1) for a line. The impedance stands between them.
    delta : bool
        Whether it has no neutral: a transformer in delta on both sides.
    same : bool
        Whether each phase of the end is fed by that of the start; False for a transformer of wye and delta.
    """

    name: str
    where: str
    start: str
    end: str
    phases: tuple[int, ...]
    z: np.ndarray
    kv: tuple[float, float] = (1.0, 1.0)
    taps: tuple[float, float] = (1.0, 1.0)
    delta: bool = False
    same: bool = True

    @property
    def transforms(self) -> bool:
        """Whether its ends have different nominal voltages."""
        return self.kv[0] != self.kv[1]


class DeckValue:
    """The properties of an element by name; the last value counts.

    Parameters
    ----------
    element : Element
        The element.
    """

    def __init__(self, element: Element):
        self.element = element
        self._pairs = dict(element.pairs)

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text of a property in lower case.

        Raises
        ------
        RefusedError
            If it is left out and has no default.
        """
        if key not in self._pairs and default is None:
            raise RefusedError(key, "nothing", "must be given")
        return self._pairs.get(key, default or "").lower()

    def commands(self) -> Iterator[DeckValue]:
        """Yield the properties of each command on the element, after those of an element that it is like."""
        pairs: list[tuple[str, str]] = []
        for pair in self.element.pairs:
            if pair == END_OF_COMMAND:
                yield DeckValue(replace(self.element, pairs=pairs))
                pairs = []
            else:
                pairs.append(pair)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a property as a finite number.

        Raises
        ------
        RefusedError
            If it is none, or left out without default.
        """
        text = self.text(key, None if default is None else str(default))
        return self._as(key, text, number, "must be a number")

    def numbers(self, key: str) -> list[float]:
        """Return a property as numbers; a single one may be in reverse Polish notation."""
        text = self.text(key)
        parts = text.replace(",", " ").split()
        if not parts or parts[-1] in OPERATORS:
            return [self.number(key)]
        return [self._as(key, part, number, "must be a number") for part in parts]

    def matrix(self, key: str, size: int) -> np.ndarray:
        """Return a property as a symmetric matrix, shape (size, size), from its full rows or lower triangle."""
        full = self._as(key, self.text(key), lambda text: _matrix(text, size), f"must be {size} rows with | between")
        for i, j in np.argwhere(np.tril(abs(full - full.T) > 1e-6 * abs(full).max())):
            value = f"{full[i, j]:g} in row {i + 1}, column {j + 1} and {full[j, i]:g} in the reverse"
            raise RefusedError(key, value, "must be symmetric")
        return (full + full.T) / 2.0

    def bus(self, key: str, phases: int, *, between: bool = False) -> tuple[str, tuple[int, ...]]:
        """Return name and phases (0, 1, 2) of a bus such as 632.3.2; `between` also takes two nodes for one phase."""
        return nodes(key, self.text(key), phases, between=between)

    def phases(self, key: str = "phases") -> int:
        """Return the number of phases, 3 by default."""
        phases = self.number(key, 3.0)
        if phases not in (1.0, 2.0, 3.0):
            raise RefusedError(key, self.text(key), "must be 1, 2 or 3; a neutral wire is not modelled")
        return int(phases)

    def delta(self) -> bool:
        """Return whether the element is connected in delta, not in wye."""
        text = self.text("conn", "wye")
        if text not in ("wye", "y", "ln", "delta", "d", "ll"):
            raise RefusedError("conn", text, "must be wye or delta")
        return text in ("delta", "d", "ll")

    def metres(self) -> float | None:
        """Return the metres of the unit of length; None for no unit."""
        unit = self.text("units", "none")
        if unit != "none" and unit not in METRES:
            raise RefusedError("units", unit, f"must be none or one of {', '.join(METRES)}")
        return METRES.get(unit)

    def _as(self, key: str, text: str, read: Callable, allowed: str):
        try:
            value = read(text)
        except (ValueError, ZeroDivisionError, IndexError):
            raise RefusedError(key, text, allowed) from None
        if not np.all(np.isfinite(value)):
            raise RefusedError(key, text, allowed)
        return value


def nodes(key: str, text: str, phases: int, *, between: bool = False) -> tuple[str, tuple[int, ...]]:
    """Parse name and phases (0, 1, 2) of a bus; see `DeckValue.bus`."""
    name, *node_texts = text.lower().split(".")
    there = [node for node in node_texts if node != "0"] or [
        str(k + 1) for k in range(phases + (between and phases == 1))
    ]
    allowed = f"must have {phases} of the nodes 1, 2, 3, each once; a neutral wire is not modelled"
    counts = {phases, 2} if between and phases == 1 else {phases}
    if any(node not in ("1", "2", "3") for node in there) or len(set(there)) != len(there) or len(there) not in counts:
        raise RefusedError(key, text, allowed)
    return name, tuple(int(node) - 1 for node in there)


def impedance(properties: DeckValue, size: int, frequency: float) -> np.ndarray | None:
    """Compute the impedance matrix of a line or line code for a length of 1, at the frequency of the deck.

    From matrices, or from r1, x1, r0, x0: each phase has (2 z1 + z0) / 3; a single one has z1, as in OpenDSS.
    None if the element has neither.
    """
    by_matrix = [key for key in ("rmatrix", "xmatrix") if key in properties]
    by_sequence = [key for key in ("r1", "x1", "r0", "x0") if key in properties]
    if by_matrix and by_sequence:
        raise RefusedError(by_sequence[0], properties.text(by_sequence[0]), f"must not stand beside {by_matrix[0]}")
    if by_matrix:
        z = properties.matrix("rmatrix", size) + 1j * properties.matrix("xmatrix", size)
    elif by_sequence:
        z1 = complex(properties.number("r1"), properties.number("x1"))
        z0 = complex(properties.number("r0"), properties.number("x0")) if size > 1 else z1
        z = z1 * np.eye(size) + (z0 - z1) / 3.0
    else:
        return None
    if not np.all(z.diagonal().real >= 0) or not np.all(z.diagonal().imag >= 0):
        raise RefusedError((by_matrix or by_sequence)[0], z.diagonal()[0], "must have r >= 0 and x >= 0 of each phase")
    base = properties.number("basefreq")
    if base <= 0:
        raise RefusedError("basefreq", properties.text("basefreq"), "must be > 0")
    return z.real + 1j * z.imag * frequency / base


def line(properties: DeckValue, codes: dict[str, Element], frequency: float) -> Branch:
    """Build a line or switch from its properties."""
    properties = _from_switch(properties.element)
    phases = _phases_of_line(properties, codes)
    start, at_start = properties.bus("bus1", phases)
    end, at_end = properties.bus("bus2", phases)
    if at_start != at_end:
        raise RefusedError(
            "bus2", properties.text("bus2"), f"must have the same phases in the same order as bus1 {start}"
        )
    switch = properties.text("switch", "no")[:1] in ("y", "t")
    z, length = impedance(properties, phases, frequency), properties.number("length", _SWITCH_LENGTH if switch else 1.0)
    if not length > 0:
        raise RefusedError("length", properties.text("length"), "must be > 0")
    if "linecode" in properties:
        if z is not None:
            raise RefusedError("linecode", properties.text("linecode"), "must not stand beside impedances of the line")
        code = _code(properties, codes)
        try:
            z, there = impedance(code, phases, frequency), code.metres()
        except RefusedError as error:
            raise RefusedError(error.key, error.value, error.allowed, code.element) from None
        if z is None:
            raise RefusedError(
                "linecode", properties.text("linecode"), "must have rmatrix and xmatrix, or r1, x1, r0 and x0"
            )
        here = properties.metres()
        z = z * (here / there if here and there else 1.0)  # as it stands unless both name a unit
    elif z is None and switch:
        z = _SWITCH_OHM * np.eye(phases)
    if z is None:
        raise RefusedError("linecode", "nothing", "must be given, or rmatrix and xmatrix, or r1, x1, r0 and x0")
    element = properties.element
    return Branch(element.name, f"{element.where}: line.{element.name}", start, end, at_start, z * length)


def _from_switch(element: Element) -> DeckValue:
    """A line without what its last ``switch=yes`` takes the place of: code, impedances and length before it."""
    pairs = element.pairs
    switches = [k for k, (key, value) in enumerate(pairs) if key == "switch" and value.lower()[:1] in ("y", "t")]
    kept = [pair for k, pair in enumerate(pairs) if k >= max(switches, default=0) or pair[0] not in _REPLACED_BY_SWITCH]
    return DeckValue(replace(element, pairs=kept))


def _phases_of_line(properties: DeckValue, codes: dict[str, Element]) -> int:
    """Phases of a line: its own, those of its code, or three."""
    if "linecode" not in properties:
        return properties.phases()
    of_code = _code(properties, codes).phases("nphases")
    if "phases" in properties and properties.phases() != of_code:
        name = properties.text("linecode")
        raise RefusedError("phases", properties.text("phases"), f"must be {of_code}, as of line code {name}")
    return of_code


def _code(properties: DeckValue, codes: dict[str, Element]) -> DeckValue:
    name = properties.text("linecode")
    if name not in codes:
        known = ", ".join(codes) if len(codes) <= 12 else f"{len(codes)} of them"
        raise RefusedError("linecode", name, f"must be a line code of the deck: {known or 'there is none'}")
    return DeckValue(codes[name])


def transformer(properties: DeckValue, ratio: float | None) -> Branch:
    """Build a transformer of two windings from its properties; `ratio` replaces its taps."""
    element, phases = properties.element, properties.phases()
    first, second = _windings(element)
    (start, at_start), (end, at_end) = (_winding(winding, phases) for winding in (first, second))
    delta = [winding.delta() for winding in (first, second)]
    if at_start != at_end:
        raise RefusedError("bus", second.text("bus"), f"must have the phases of the other winding, {first.text('bus')}")
    if any(delta) and phases != 3:
        raise RefusedError("conn", "delta", "must be wye for less than three phases")
    kv, kva = (first.number("kv"), second.number("kv")), first.number("kva", second.number("kva", 1000.0))
    if not min(*kv, kva) > 0:
        raise RefusedError("kv, kva", f"{kv[0]:g}, {kv[1]:g}, {kva:g}", "must be > 0")
    if second.number("kva", kva) != kva:
        raise RefusedError("kva", second.text("kva"), f"must be that of the other winding, {kva:g}")
    r = sum(winding.number("%r", 0.2) for winding in (first, second))
    ohm = kv[0] ** 2 / (kva / KW_PER_MW)  # of three phases with the voltage between them, or of one with its own
    ohm *= 2.0 / 3.0 if phases == 2 else 1.0  # kv is that between phases, kva that of two
    z = complex(r, properties.number("xhl", 7.0)) / 100.0 * ohm * np.eye(phases)
    taps = first.number("tap", 1.0), second.number("tap", 1.0)
    if not min(taps) > 0:
        raise RefusedError("tap", f"{taps[0]:g}, {taps[1]:g}", "must be > 0")
    name, label = f"transformer.{element.name}", f"{element.where}: transformer.{element.name}"
    taps = taps if ratio is None else (1.0, ratio)
    return Branch(name, label, start, end, at_start, z, kv, taps, all(delta), delta[0] == delta[1])


def _windings(element: Element) -> tuple[DeckValue, DeckValue]:
    """The properties of each winding by the names of one."""
    windings: list[dict[str, str]] = [{}, {}]
    active = 0
    for key, value in element.pairs:
        if key in ("wdg", "windings"):
            if value not in ("1", "2") or (key == "windings" and value != "2"):
                raise RefusedError(key, value, "must be two windings; give what hangs at a third one as a load")
            active = int(value) - 1 if key == "wdg" else active
        elif key in ("bus", "conn", "kv", "kva", "tap", "%r"):
            windings[active][key] = value
        elif key == "%loadloss":
            for winding in windings:
                winding["%r"] = f"{value} 2 /"
        elif key in ("buses", "conns", "kvs", "kvas", "taps", "%rs"):
            items = value.replace(",", " ").split()
            if len(items) != 2:
                raise RefusedError(key, value, "must be two values, one for each winding")
            single = {"buses": "bus", "%rs": "%r"}.get(key, key.removesuffix("s"))
            for winding, item in zip(windings, items, strict=True):
                winding[single] = item
    first, second = (DeckValue(replace(element, pairs=list(winding.items()))) for winding in windings)
    return first, second


def _winding(winding: DeckValue, phases: int) -> tuple[str, tuple[int, ...]]:
    """Bus and phases of a winding."""
    bus, at = nodes("bus", text := winding.text("bus"), phases, between="." in text)
    if len(at) > phases:
        raise RefusedError("bus", text, "must be one phase; between two phases (open delta) is not modelled")
    return bus, at


def _matrix(text: str, size: int) -> np.ndarray:
    """A matrix from its rows; a lower triangle is completed."""
    rows = [[float(item) for item in row.replace(",", " ").split()] for row in text.split("|")]
    full = np.zeros((size, size))
    lengths = [len(row) for row in rows]
    if lengths not in ([size] * size, list(range(1, size + 1))):
        raise ValueError(f"rows of {lengths}")
    for i, row in enumerate(rows):
        full[i, : len(row)] = row
        if lengths != [size] * size:
            full[: len(row), i] = row
    return full
