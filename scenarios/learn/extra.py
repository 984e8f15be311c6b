"""The message when a package for learning is not installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def extra(package: str) -> ModuleType:
    """Return a package of the extra ``learn``.

    Raises
    ------
    ImportError
        When it is not installed; the text says how to get it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise ImportError(f"learning needs {error.name}: pip install evhub[learn]") from None
