"""What key figures and pictures ask of a run, so that the opened results can offer both without a circle."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from .result_layout import RecordedDevice, SeriesSpec


class RunData(Protocol):
    """The signals and tables of a run; `result_reader.Results` is one, and describes them."""

    attributes: dict[str, Any]
    end_s: float

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
        """What has a power in the balance of a hub, by name."""
        ...

    def has(self, path: str) -> bool:
        """Whether the run has a signal."""
        ...

    def spec(self, path: str) -> SeriesSpec:
        """Unit, description, width, type and codes of a signal."""
        ...

    def arrays(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Times [s], shape (k,), and values, shape (k,) or (k, n), of a signal."""
        ...

    def sessions(self) -> pd.DataFrame:
        """All EV sessions and what became of them."""
        ...

    def diagnostics(self) -> pd.DataFrame:
        """Wall-clock samples: t_s [s], name, value."""
        ...
