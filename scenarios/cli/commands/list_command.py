"""``evhub list``."""

from __future__ import annotations

from ..command_options import Json
from ..terminal import show


def list_(as_json: Json = False) -> None:
    """What there is: scenarios, controllers, battery sets, arrival profiles, tariffs."""
    from ..catalogue import catalogue

    show(catalogue(), "What evhub ships and what is registered", as_json)
