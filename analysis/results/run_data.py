"""The interface of a run for key figures and pictures, which avoids a circular import of `result_reader`."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from .result_layout import RecordedDevice, SeriesSpec


class RunData(Protocol):
    """The signals and tables of a run; `result_reader.Results` implements and describes them."""

    end_s: float

    @property
    def attributes(self) -> dict[str, Any]:
        """What the run was called with, and how it ended."""
        ...

    @cached_property
    def start(self) -> pd.Timestamp:
        """Instant of t_s = 0."""
        ...

    @property
    def hubs(self) -> list[str]:
        """Names of the hubs."""
        ...

    @cached_property
    def paths(self) -> list[str]:
        """Paths of all signals."""
        ...

    def devices(self, hub: str) -> dict[str, RecordedDevice]:
        """Return the grid and the devices of a hub that have a power, by name."""
        ...

    def has(self, path: str) -> bool:
        """Return whether the run has a signal."""
        ...

    def spec(self, path: str) -> SeriesSpec:
        """Return unit, description, width, type and codes of a signal."""
        ...

    def arrays(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Return times [s], shape (k,), and values, shape (k,) or (k, n), of a signal."""
        ...

    def sessions(self) -> pd.DataFrame:
        """Return all EV sessions with their connector, energy and outcome."""
        ...

    def own_figures(self) -> dict[str, dict[str, Any]]:
        """Return the key figures of the scenario's own, by name."""
        ...

    def diagnostics(self) -> pd.DataFrame:
        """Return wall-clock samples: t_s [s], name, value."""
        ...
