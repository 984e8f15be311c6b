"""Controllers by name, those that packages register and a class of the user's own; how a study's modules are found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from itertools import count
from pathlib import Path
from typing import Protocol

from ...controllers.contract import Controller, Decision, Observation, Parameters
from ..errors import InputError, Problem, nearest

GROUP = "evhub.controllers"


@cache
def controllers() -> dict[str, EntryPoint]:
    """Return the registered controllers, by name."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def controller_class(name: str, folder: Path, where: str, key: str) -> type[Controller]:
    """Return the class of a controller type.

    Parameters
    ----------
    name : str
        A registered name, or ``module:Class`` of a user's own, found from the scenario's folder or the import path.
    folder : Path
        Folder of the scenario.
    where, key : str
        File and key, for the message.

    Returns
    -------
    type of Controller

    Raises
    ------
    InputError
        When there is no such controller, or what is there is not one.
    """
    known = controllers()
    if name in _passed:
        cls = _passed[name]
    elif name in known:
        cls = known[name].load()
    elif ":" in name:
        cls = imported_object(name, folder, where, key, "class")
    else:
        allowed = f"must be one of {', '.join(known)}, or module:Class of your own{nearest(name, known)}"
        raise InputError([Problem(where, key, name, allowed)])
    if not (isinstance(cls, type) and issubclass(cls, Controller)):
        raise InputError([Problem(where, key, name, "must be a subclass of evhub.controllers.contract.Controller")])
    if missing := cls.__abstractmethods__:
        raise InputError([Problem(where, key, name, f"must implement {', '.join(sorted(missing))}")])
    if not (isinstance(cls.Parameters, type) and issubclass(cls.Parameters, Parameters)):
        allowed = "must have Parameters that are a subclass of evhub.controllers.contract.Parameters"
        raise InputError([Problem(where, key, name, allowed)])
    return cls


class Decides(Protocol):
    """An object that decides, without a class of its own in a scenario."""

    def decide(self, observation: Observation) -> Decision:
        """Answer an observation with set points for every hub in it."""
        ...


ControllerChoice = str | type[Controller] | Decides
"""A controller as a caller may choose it: by name, by its class, or as an object that decides."""
_passed: dict[str, type[Controller]] = {}
"""Classes that were passed to this process as objects, by the names that stand for them in scenarios."""


def name_of_choice(choice: ControllerChoice) -> str:
    """Return the name that stands for a controller in a scenario; a class or an object is known by it from then on.

    Parameters
    ----------
    choice : str, type of Controller or object with ``decide``

    Returns
    -------
    str
        ``module:Class`` of a class or an object; of several with one name, the last one passed is meant.

    Raises
    ------
    InputError
        When it is none of these.
    """
    if isinstance(choice, str):
        return choice
    if isinstance(choice, type):
        if not issubclass(choice, Controller):
            raise InputError(Problem("", "controller", choice.__name__, "must be a subclass of evhub.Controller"))
        cls = choice
    else:
        cls = _deciding(choice)
    name = f"{cls.__module__}:{cls.__qualname__}"
    _passed[name] = cls
    return name


def _deciding(choice: Decides) -> type[Controller]:
    """Return the class of a controller that hands its decisions to an object."""
    if not callable(getattr(choice, "decide", None)):
        allowed = "must be the name of a controller, a subclass of evhub.Controller, or an object with decide()"
        raise InputError(Problem("", "controller", choice, allowed))

    class Passed(Controller):
        """Decides as an object that was passed does."""

        records = getattr(type(choice), "records", {})

        def decide(self, observation: Observation) -> Decision:
            return choice.decide(observation)

    Passed.__module__ = type(choice).__module__
    Passed.__qualname__ = f"{type(choice).__qualname__}-{next(_numbers)}"
    return Passed


_numbers = count(1)


def imported_object(name: str, folder: Path, where: str, key: str, kind: str) -> object:
    """Load an object of a user's own.

    Parameters
    ----------
    name : str
        ``module:name``; the module is found from the scenario's folder or the import path.
    folder : Path
        Folder of the scenario.
    where, key : str
        File and key, for the message.
    kind : str
        What it should be, for the message: ``class`` or ``key figure``.

    Returns
    -------
    object

    Raises
    ------
    InputError
        When the module cannot be imported or has no such name.
    """
    module, _, attribute = name.partition(":")
    place = str(folder.resolve())
    try:
        with _study(place):
            imported = import_module(module)
    except ModuleNotFoundError as error:
        allowed = f"must be importable from {folder} or the import path ({error})"
    except (Exception, SystemExit) as error:  # a user's module may fail in any way; all of them are wrong input
        allowed = f"must be importable; {type(error).__name__}: {error}"
    else:
        top = module.partition(".")[0]
        file = getattr(imported, "__file__", None)
        if (folder / f"{top}.py").exists() and not _belongs(top, place):
            allowed = f"must have another name than what is imported already: {top} is {file}"
        elif hasattr(imported, attribute):
            return getattr(imported, attribute)
        else:
            allowed = f"must name a {kind} of {module} ({file}); it has no {attribute!r}"
    raise InputError([Problem(where, key, name, allowed)])


_studies: list[str] = []
"""The study whose folder is on the import path because of its scenario: at most one."""


_former: set[str] = set()
"""All folders that were ever a study's."""


def _forget_returned(folder: str) -> None:
    """Drop modules of former studies that a test runner or notebook has put back into ``sys.modules``."""
    for path in Path(folder).glob("*.py"):
        file = getattr(sys.modules.get(path.stem), "__file__", None) or ""
        if (parent := os.path.dirname(file)) != folder and parent in _former:
            del sys.modules[path.stem]


@contextmanager
def _study(folder: str) -> Iterator[None]:
    """Look for modules in a study's folder first; afterwards behind all others, for what its modules import later."""
    if _studies and _studies != [folder]:
        forget(_studies.pop())
    _forget_returned(folder)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
            _studies[:] = [folder]
            _former.add(folder)


def forget(folder: str) -> None:
    """Remove the folder of a study from the import path, and forget its modules.

    They do not stand in for another's of the same name then, and are read again if they are asked for again.

    Parameters
    ----------
    folder : str
        Absolute path of the study's folder.
    """
    if folder in sys.path:
        sys.path.remove(folder)
    for name in [name for name in sys.modules if _belongs(name, folder)]:
        del sys.modules[name]


def _belongs(name: str, folder: str) -> bool:
    """Whether an imported module is a study's own, and not of an environment that happens to be in its folder."""
    top = f"{folder}{os.sep}{name.partition('.')[0]}"
    file = getattr(sys.modules[name], "__dict__", {}).get("__file__") or ""
    return file == f"{top}.py" or file.startswith(f"{top}{os.sep}")
