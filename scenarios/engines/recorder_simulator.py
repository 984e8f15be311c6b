"""Writes the outputs of simulators into the result file at the instants at which they change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...analysis.results.result_writer import ResultWriter
from ...simulators.adapter import Adapter, Clock, Device, Port
from ...simulators.totals import total


class Total(NamedTuple):
    """The total of a quantity over several devices of a kind.

    Parameters
    ----------
    rule : str
        See `evhub.simulators.totals.total`.
    parts : tuple of str
        Ports of the devices.
    weights : tuple of float
        Their capacities.
    """

    rule: str
    parts: tuple[str, ...]
    weights: tuple[float, ...]


class RecordedHub(Device):
    """The series of one hub (or of the network) in the result file, and the totals of devices with names."""

    def __init__(
        self,
        clock: Clock,
        *,
        writer: ResultWriter,
        name: str,
        series: Mapping[str, int],
        totals: Mapping[int, Total],
        progress=None,
    ):
        super().__init__(clock)
        self._writer = writer
        self._name = name
        self._series = series
        self._totals = totals
        self._progress: Callable[[float], None] | None = progress

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Append arrived values."""
        writer, series = self._writer, self._series
        tables = []
        for port, value in arrived.items():
            if port in series:
                writer.append(series[port], t_s, value)
            else:
                tables.append(port)
        for number, (rule, parts, weights) in self._totals.items():
            if not arrived.keys().isdisjoint(parts) and all(part in self.inputs for part in parts):
                writer.append(number, t_s, total(rule, [self.inputs[part] for part in parts], weights))
        # rows of one instant stand in the order of the ports, whatever the order of delivery
        for port in sorted(tables):
            if port.endswith(".events"):
                source = f"{self._name}.{port.removesuffix('.events')}"
                for kind, text in arrived[port]:
                    writer.event(t_s, source, kind, text)
            else:
                for row in arrived[port]:
                    writer.session_end(self._name, **row)
        if self._progress is not None:
            self._progress(t_s)
        return math.inf


class RecorderSimulator(Adapter):
    """Records every hub; its ports are those of the devices there are."""

    model = "Recorder"
    device = RecordedHub

    def configure(self, ports: tuple[str, ...] = ()) -> None:
        """Set the ports, ``device.attribute``."""
        self.inputs = {port: Port("", "a value to record") for port in ports}
