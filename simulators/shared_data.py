"""Frozen data that copies share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self


class SharedData:
    """Base class of frozen dataclasses that nobody changes: a deep copy is the object itself.

    What such an object has computed for itself in the meantime, in a ``cached_property``, is left out of its pickle.
    """

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # only the fields: a cached_property would stand beside them
        return {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore[reportArgumentType]
