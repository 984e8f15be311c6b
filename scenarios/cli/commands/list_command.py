"""``evhub list``."""

from __future__ import annotations

from ..command_options import Json
from ..terminal import err, show


def list_(as_json: Json = False) -> None:
    """List scenarios, controllers, devices, battery sets, arrival profiles, studies, tariffs and key figures."""
    from ....simulators.devices import broken_kinds
    from ..catalogue import catalogue

    show(catalogue(), "What evhub ships and what is registered", as_json)
    for problem in dict.fromkeys(broken_kinds().values()):
        err.print(f"warning: {problem}", markup=False, soft_wrap=True)
