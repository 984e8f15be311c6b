"""``evhub list``."""

from __future__ import annotations

from ..command_options import Json
from ..terminal import show


def list_(as_json: Json = False) -> None:
    """List scenarios, controllers, battery sets, arrival profiles, studies and tariffs."""
    from ..catalogue import catalogue

    show(catalogue(), "What evhub ships and what is registered", as_json)
