"""What a scenario offers to the maker of a device's parameters: see `evhub.simulators.device_kind.DeviceInputs`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...simulators.adapter import Fault, Schedule
from ...simulators.pv.irradiance import TypicalYear
from ...simulators.series import Series
from ..files.series_files import read_weather
from .battery_packs import cell_set
from .build_inputs import Inputs


class PlacedInputs:
    """The inputs of one device of a hub.

    Parameters
    ----------
    inputs : Inputs
        The scenario.
    hub, name, kind, key : str
        The hub, the device, its kind, and the key of its section in the scenario file.
    first : bool
        Whether it is the first of its kind at the hub.
    telemetry_s : float
        How often slow quantities are sent while the device is active [s].
    """

    def __init__(self, inputs: Inputs, hub: str, name: str, kind: str, key: str, first: bool, telemetry_s: float):
        self._inputs = inputs
        self._kind = kind
        self.hub = hub
        self.name = name
        self.key = key
        self.first = first
        self.telemetry_s = telemetry_s
        self.start = inputs.start
        self.until_s = inputs.until_s

    def series(self, source: Any, key: str, low: float = -math.inf, high: float = math.inf) -> Series:
        """Read a quantity over the run from a sub-section of the device, and check its bounds."""
        return self._inputs.series(source, f"{self.key}.{key}", low, high)

    def file(self, name: str, key: str) -> Path:
        """Return the path of a file that the section of the device names."""
        return self._inputs.loaded.resolve(name, f"{self.key}.{key}")

    def weather(self, name: str, key: str) -> TypicalYear:
        """Read the typical year of a weather file that the section of the device names."""
        return read_weather(self.file(name, key))

    def cells(self, name: str) -> Mapping[str, Any]:
        """Return the parameters of a battery cell that come with evhub, by name."""
        return cell_set(name)

    def faults(self) -> Schedule:
        """Return the schedule of the device's faults; faults of its whole kind count as well."""
        return self._inputs.schedule(
            "device_fault", self.hub, None, lambda what: Fault(what.trips), device=(self.name, self._kind)
        )

    def schedule(
        self, kind: str, default: Any, value: Callable[[Any], Any] = lambda what: True, **wanted: Any
    ) -> Schedule:
        """Return the events of a kind at this hub that match the wanted fields."""
        return self._inputs.schedule(kind, self.hub, default, value, **wanted)

    def rng(self) -> np.random.Generator:
        """Return the random numbers of this device; they depend on the seed only, not on other devices."""
        return np.random.default_rng(self._inputs.rng_seed(self.hub, self.name))
