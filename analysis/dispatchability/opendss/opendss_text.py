"""The text of an OpenDSS deck as elements with properties; `opendss_elements` interprets them.

A property that is not known here is refused, since it may change what an element is. Those in `Kind.left_out` are known
and change nothing in this study: line charging, no-load losses, ratings, shapes over time, names for reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import add, mul, sub, truediv
from pathlib import Path
from typing import NamedTuple

from ..feeder import FeederProblem


class Kind(NamedTuple):
    """Properties of a kind of element, in lower case; those of `order` may also stand by their place."""

    order: tuple[str, ...]
    read: frozenset[str]
    left_out: frozenset[str]


def _kind(order: str, read: str, left_out: str) -> Kind:
    everywhere = "basefreq normamps emergamps faultrate pctperm repair seasons ratings"
    return Kind(_words(order), frozenset(_words(f"{read} like enabled")), frozenset(_words(f"{left_out} {everywhere}")))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_WINDINGS = "phases windings wdg conn kv kva tap %r conns kvs kvas taps xhl %loadloss %rs"
_NOT_IN_WINDINGS = (
    "xht xlt xscarray x12 x13 x23 thermal n m flrise hsrise %noloadloss normhkva emerghkva sub maxtap mintap numtaps "
    "subname %imag ppm ppm_antifloat bank wdgcurrents core"
)
KINDS = {
    "circuit": _kind(
        "bus1 basekv pu angle frequency phases mvasc3 mvasc1 x1r1 x0r0",
        "bus1 basekv pu phases basefreq",
        "angle frequency mvasc3 mvasc1 x1r1 x0r0 isc3 isc1 r1 x1 r0 x0 scantype bus2 z1 z0 z2 puz1 puz0 puz2 basemva "
        "yearly daily duty model puzideal spectrum",
    ),
    "line": _kind(
        "bus1 bus2 linecode length phases r1 x1 r0 x0 c1 c0 rmatrix xmatrix cmatrix switch",
        "bus1 bus2 linecode length phases r1 x1 r0 x0 rmatrix xmatrix switch units basefreq",
        "c1 c0 cmatrix b1 b0 rg xg rho earthmodel linetype",
    ),
    "linecode": _kind(
        "nphases r1 x1 r0 x0 c1 c0 units rmatrix xmatrix cmatrix basefreq normamps emergamps",
        "nphases r1 x1 r0 x0 units rmatrix xmatrix basefreq",
        "c1 c0 cmatrix b1 b0 rg xg rho linetype",
    ),
    "transformer": _kind(
        "phases windings wdg bus conn kv kva tap %r", f"{_WINDINGS} bus buses xfmrcode", _NOT_IN_WINDINGS
    ),
    "xfmrcode": _kind("phases windings wdg conn kv kva tap %r", _WINDINGS, _NOT_IN_WINDINGS),
    "load": _kind(
        "phases bus1 kv kw pf model yearly daily duty growth conn kvar",
        "phases bus1 kw pf conn kvar kva",
        "kv model yearly daily duty growth rneut xneut status class vminpu vmaxpu vminnorm vminemerg %mean %stddev "
        "cvrwatts cvrvars cvrcurve numcust zipv %seriesrl relweight vlowpu puxharm xrharm spectrum",
    ),
    "capacitor": _kind(
        "bus1 bus2 phases kvar kv conn", "bus1 bus2 phases kvar conn numsteps states", "kv r xl harm"
    ),
}  # fmt: skip
LEFT_OUT = _words(
    "regcontrol capcontrol energymeter monitor sensor loadshape growthshape priceshape tshape spectrum "
    "tcc_curve xycurve relay recloser fuse wiredata cndata tsdata linegeometry linespacing "
    "invcontrol expcontrol"
)
"""Kinds that change nothing here; a regulator's control asks for its ratio."""
INSTEAD = {
    "generator": "generators stand in dgs of the study",
    "pvsystem": "PV units stand in pvs of the study",
    "storage": "a store that EVs do not bring is not modelled",
    "reactor": "a series reactor is written as a line with r1, x1, r0 and x0",
    "vsource": "a feeder has one source",
    "swtcontrol": "an open switch is disabled",
    "autotrans": "an autotransformer is written as a transformer with two windings",
}
_NOTHING = _words(
    "calcv solve buscoords latlongcoords setbusxy show plot export visualize help reset sample closedi "
    "makebuslist summary var setkvbase init about get ?"
)
_OPTIONS = _words(
    "voltagebases maxiterations maxiter maxcontroliter tolerance mode number stepsize h hour sec time "
    "year controlmode casename overloadreport voltexcept voltexceptionreport demand demandinterval "
    "diverbose earthmodel algorithm editor normvminpu normvmaxpu emergvminpu emergvmaxpu markercode "
    "nodewidth daisysize marktransformers datapath"
)
MAY_BE_MISSING = ("ieeelinecodes.dss",)
"""Line codes of the test feeders, which some of their decks repeat."""
OPERATORS: dict[str, Callable[[float, float], float]] = {"+": add, "-": sub, "*": mul, "/": truediv}
END_OF_COMMAND = ("", "")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NEW = re.compile(r"(?:new|edit)\s+(?:object\s*=\s*)?[\"']?(\w+)\.([^\s\"',]+)[\"']?,?\s*(.*)", re.IGNORECASE)
_NAMED = re.compile(r"[\"']?(\w+)\.([^\s\"',]+)[\"']?(?:\s+(?:term(?:inal)?=)?[12])?(?:\s+(?:cond=)?0)?", re.IGNORECASE)
_PROPERTY = re.compile(r"(\w+)\.([^\s=]+)\.([%\w]+\s*=.*)")
_ITEM = re.compile(
    r"(?:([%\w]+)\s*=\s*)?(\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'|[^\s,=]+)"
)  # fmt: skip


@dataclass
class Element:
    """An element of a deck.

    Parameters
    ----------
    kind, name : str
        Such as line and 650632, in lower case.
    where : str
        Its line, with the file if the deck names another.
    pairs : list of (str, str)
        Properties in the order of the deck, and the end of each command.
    refused : bool
        Whether one of its properties is not known.
    opened : bool
        Whether it is a switch that was opened.
    """

    kind: str
    name: str
    where: str
    pairs: list[tuple[str, str]] = field(default_factory=list)
    refused: bool = False
    opened: bool = False


class DeckText:
    """Reads the commands of a deck, and of those that it names.

    Parameters
    ----------
    text : str
        The deck.
    folder : Path or None
        Where the decks lie that it names; without one it must not name any.

    Attributes
    ----------
    elements : dict of (str, str) to Element
        By kind and name.
    problems : list of FeederProblem
        Errors in the deck.
    """

    def __init__(self, text: str, folder: Path | None):
        self.elements: dict[tuple[str, str], Element] = {}
        self._frequency = 60.0
        self.problems: list[FeederProblem] = []
        self._open: list[Path] = []
        self._read(text, folder, "")

    def enabled(self, kind: str) -> list[Element]:
        """Return the elements of a kind that are neither disabled nor open."""
        elements = [element for element in self.elements.values() if element.kind == kind and not element.opened]
        return [
            element for element in elements if dict(element.pairs).get("enabled", "y").lower()[:1] not in ("n", "f")
        ]

    def _refuse(self, key: str, value: object, allowed: str) -> None:
        self.problems.append(FeederProblem(key, value, allowed))

    def _read(self, text: str, folder: Path | None, file: str) -> None:
        for number, command in _commands(text):
            where = f"{file}line {number}"
            verb, _, rest = command.partition(" ")
            verb = verb.lower()
            if verb.startswith("clear"):
                self.elements.clear()
            elif verb in ("new", "edit"):
                if (match := _NEW.match(command)) is None:
                    self._refuse(where, command[:40], f"must name an element, such as {verb} line.one")
                else:
                    self._element(verb, match[1].lower(), match[2].lower(), match[3], where)
            elif verb == "batchedit":
                self._batch(rest, where)
            elif verb in ("redirect", "compile"):
                self._redirect(rest.strip(" \"'()[]"), folder, where)
            elif verb == "set":
                self._set(rest, where)
            elif verb in ("disable", "enable", "open", "close") and (match := _NAMED.fullmatch(rest)):
                self._switch(verb, match[1].lower(), match[2].lower(), where)
            elif match := _PROPERTY.match(command):
                self._element("edit", match[1].lower(), match[2].lower(), match[3], where)
            elif not verb.startswith(_NOTHING):
                allowed = "must be new, edit, redirect, set, open, disable or a command that draws or solves"
                self._refuse(where, command[:40], allowed)

    def _element(self, verb: str, kind: str, name: str, rest: str, where: str) -> None:
        if kind == "vsource" and name == "source":
            kind, name = next((key for key in self.elements if key[0] == "circuit"), ("circuit", name))
        if kind not in KINDS and kind not in LEFT_OUT:
            instead = INSTEAD.get(kind, f"read are {', '.join(KINDS)}")
            self._refuse(f"{where}: {kind}.{name}", kind, f"must be left out: {instead}")
            return
        known = self.elements.get((kind, name))
        if verb == "new":
            if known is not None and kind not in LEFT_OUT:
                self._refuse(f"{where}: {kind}.{name}", name, f"must be a name of its own; {known.where} has it")
                return
            known = self.elements[kind, name] = Element(kind, name, where, [("basefreq", str(self._frequency))])
        elif known is None:
            self._refuse(f"{where}: {kind}.{name}", name, f"must be a {kind} that stands further up")
            return
        self._properties(known, rest, where)

    def _switch(self, verb: str, kind: str, name: str, where: str) -> None:
        self._element("edit", kind, name, f"enabled={verb == 'enable'}" if verb in ("disable", "enable") else "", where)
        if verb in ("open", "close") and (known := self.elements.get((kind, name))):
            known.opened = verb == "open"

    def _properties(self, element: Element, rest: str, where: str) -> None:
        """Add properties to an element; what it is like, or its code, stands before them."""
        kind = KINDS.get(element.kind)
        place = 0
        for key, text in _ITEM.findall(rest):
            value = text.strip("\"'()[]{}").strip()
            label = f"{where}: {element.kind}.{element.name}"
            if kind is None:
                other = self.elements.get((element.kind, value.lower())) if key.lower() == "like" else None
                element.pairs += other.pairs if other else [(key.lower(), value)]
                continue
            if not key and place >= len(kind.order):
                self._refuse(label, text, "must be a property with its name, such as phases=1")
                continue
            key = key.lower() or kind.order[place]
            place = kind.order.index(key) + 1 if key in kind.order else len(kind.order)
            if key not in kind.read | kind.left_out:
                element.refused = True
                self._refuse(f"{label}.{key}", value, _unknown(element.kind, key, kind))
            elif not value:
                self._refuse(f"{label}.{key}", text, "must have a value")
            elif key in ("like", "xfmrcode"):
                element.pairs += self._alike(element, key, value, label)
            else:
                element.pairs.append((key, value))
        element.pairs.append(END_OF_COMMAND)

    def _alike(self, element: Element, key: str, value: str, label: str) -> list[tuple[str, str]]:
        """Properties of the element that another is like, or of its code; what follows is of the first winding."""
        kind = element.kind if key == "like" else key
        if (other := self.elements.get((kind, value.lower()))) is None:
            self._refuse(f"{label}.{key}", value, f"must be a {kind} that stands further up")
            return []
        again = [("wdg", "1")] if kind in ("transformer", "xfmrcode") else []
        return [pair for pair in other.pairs if pair[0] != "enabled"] + again

    def _batch(self, rest: str, where: str) -> None:
        target, _, properties = rest.strip().partition(" ")
        kind, _, pattern = target.lower().partition(".")
        if kind not in KINDS and kind not in LEFT_OUT:
            self._refuse(where, target, f"must be one of {', '.join(KINDS)} and a regular expression")
            return
        try:
            fits = re.compile(pattern)
        except re.error as error:
            self._refuse(where, target, f"must be a kind and a regular expression ({error})")
            return
        for element in [
            element for element in self.elements.values() if element.kind == kind and fits.search(element.name)
        ]:
            self._properties(element, properties, where)

    def _set(self, rest: str, where: str) -> None:
        for key, text in _ITEM.findall(rest):
            value, option = text.strip("\"'()[]{}"), key.lower()
            if option in ("defaultbasefrequency", "defaultbasefreq"):
                self._set_frequency(value, f"{where}: set {key}")
            elif option == "loadmult" and value not in ("1", "1.0"):
                self._refuse(f"{where}: set {key}", value, "must be 1: the factor on all demand is demand.scale")
            elif key and option not in (*_OPTIONS, "loadmult"):
                self._refuse(f"{where}: set {key}", value, "must be an option that draws or solves, or be left out")

    def _set_frequency(self, value: str, key: str) -> None:
        try:
            self._frequency = number(value)
        except (ValueError, ZeroDivisionError):
            self._refuse(key, value, "must be a number")

    def _redirect(self, name: str, folder: Path | None, where: str) -> None:
        name = name.replace("\\", "/")
        path = None if folder is None else _beside(folder, name)
        if path is None:
            if Path(name).name.lower() not in MAY_BE_MISSING:
                allowed = "must be a file of the deck" if folder is None else f"must be a file; looked in {folder}"
                self._refuse(where, name, allowed)
        elif path in self._open:
            self._refuse(where, name, "must not name a deck that names it")
        else:
            self._open.append(path)
            self._read(path.read_text(encoding="utf-8", errors="replace"), path.parent, f"{path.name}, ")
            self._open.pop()


def number(text: str) -> float:
    """Parse a number, or several with operators in reverse Polish notation such as ``8 1000 /``.

    Raises
    ------
    ValueError
        If it is neither.
    """
    stack: list[float] = []
    for part in text.split():
        needed = 2 if part in OPERATORS else 1 if part in ("sqr", "sqrt") else 0
        if len(stack) < needed:
            raise ValueError(f"{part} needs {needed} numbers before it")
        if needed == 1:
            stack[-1] = stack[-1] ** (2 if part == "sqr" else 0.5)
        elif needed:
            right, left = stack.pop(), stack.pop()
            stack.append(OPERATORS[part](left, right))
        else:
            stack.append(float(part))
    if len(stack) != 1:
        raise ValueError(f"{len(stack)} numbers")
    return stack[0]


def _commands(text: str) -> list[tuple[int, str]]:
    """Commands without comments, continuation lines joined, with the number of their first line."""
    text = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    commands: list[tuple[int, str]] = []
    for place, raw in enumerate(text.splitlines(), start=1):
        line = re.split(r"!|//", raw)[0].strip()
        more = re.match(r"(?:~|more\s|m\s)\s*", line, re.IGNORECASE)
        if more and commands:
            commands[-1] = (commands[-1][0], f"{commands[-1][1]} {line[more.end() :]}")
        elif line:
            commands.append((place, " ".join(line.split())))
    return commands


def _beside(folder: Path, name: str) -> Path | None:
    """The file of that name, whose case the deck may write differently."""
    path = folder / name
    if path.is_file():
        return path.resolve()
    if not path.parent.is_dir():
        return None
    return next((file.resolve() for file in path.parent.iterdir() if file.name.lower() == path.name.lower()), None)


def _unknown(name: str, key: str, kind: Kind) -> str:
    if key in ("geometry", "spacing", "wires", "cncables", "tscables"):
        return "must be replaced by rmatrix and xmatrix, which OpenDSS tells with Show LineConstants"
    near = get_close_matches(key, kind.read, n=1)
    advice = f"; did you mean {near[0]}?" if near else ""
    return f"must be left out, or be one of {', '.join(sorted(kind.read))}{advice}"
