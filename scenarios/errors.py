"""Errors in the input: all problems at once, each with its place and what is allowed."""

from __future__ import annotations

import difflib
import json
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

NOTHING = ...
"""Stands for *no value was given*, which is not the same as a given ``None``."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in the input.

    Parameters
    ----------
    where : str
        The file, or ``""`` when there is only one.
    key : str
        Path or row and column, such as ``hubs.depot.bess.capacity_kwh`` or ``row 17, energy_kwh``.
    value : object
        What stands there; `NOTHING` when nothing does.
    allowed : str
        What may stand there, such as ``must be > 0``.

    Examples
    --------
    >>> print(Problem("", "hubs.depot.bess.capacity_kwh", -5, "must be > 0"))
    hubs.depot.bess.capacity_kwh: must be > 0, got -5
    """

    where: str
    key: str
    value: object
    allowed: str

    def __str__(self) -> str:
        statement = ": ".join(part for part in (self.where, self.key, self.allowed) if part)
        text = statement if self.value is NOTHING else f"{statement}, got {_shown(self.value)}"
        return " ".join(text.splitlines())


def _shown(value: object) -> str:
    """A value in the words of the file, where they are not Python's; never long."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _short.repr(value)


def nearest(name: str, known: Iterable[str], n: int = 1) -> str:
    """Guess which known names were meant, as a hint at the end of a message.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        What there is.
    n : int
        At most so many are named.

    Returns
    -------
    str
        Such as ``; did you mean capacity_kwh?``; empty when nothing is close.
    """
    near = difflib.get_close_matches(name, list(known), n=n)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class InputError(Exception):
    """The input cannot be used; the message lists all problems, one a line.

    Parameters
    ----------
    problems : Problem or iterable of Problem
        At least one.

    Attributes
    ----------
    problems : list of Problem
    """

    def __init__(self, problems: Problem | Iterable[Problem]):
        listed = [problems] if isinstance(problems, Problem) else problems
        self.problems: list[Problem] = list({str(problem): problem for problem in listed}.values())
        # the problems are also the arguments, so that the error survives pickling between processes
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
