"""Published studies that evhub runs again, one folder each: ``evhub reproduce NAME``.

A module has a ``TITLE`` and a function ``reproduce(folder, tell, pool)`` that runs its scenarios in a pool of workers,
writes result files and figures into the folder, calls ``tell(text)`` as the work goes on, and returns the rows of the
table. One that goes on where it was stopped has the name of its ``JOURNAL``.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ...errors import InputError, Problem, nearest

NAMES = ("leal2024", "lavrenova2023", "hafiz2023", "feizi", "yan2022")
"""Published studies, by first author and year."""


def reproduction(name: str) -> ModuleType:
    """Return the module of a published study.

    Raises
    ------
    InputError
        When there is no such study.
    """
    if name not in NAMES:
        allowed = f"must be one of {', '.join(NAMES)}{nearest(name, NAMES)}"
        raise InputError(Problem("", "reproduce", name, allowed))
    return import_module(f".{name}.{name}_study", __name__)
