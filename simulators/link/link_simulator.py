"""The simulator of the communication between the devices of a hub and its controller: polled, delayed, lossy.

The same simulator stands twice in a plant: once for measurements, once for commands. It knows the devices only by the
names of its ports, ``device.attribute``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adapter import Adapter, Clock, Device, Port
from . import link_model


class Wire(Device):
    """One direction of one hub's communication."""

    def __init__(
        self, clock: Clock, *, channels: Mapping[str, link_model.Channel], seed: np.random.SeedSequence, poll_s: float
    ):
        super().__init__(clock)
        self._link = link_model.CommunicationLink(channels, seed)
        self._poll_s = poll_s
        self._messages: dict[str, dict[str, Any]] = {device: {} for device in channels}
        self._sampled_s = dict.fromkeys(channels, 0.0)

    def update(self, t_s: float, arrived: Mapping[str, Any]) -> float:
        """Collect new values, send them when a poll is due, and deliver the messages that have arrived."""
        for port, value in arrived.items():
            device = port.partition(".")[0]
            self._messages[device] = {**self._messages[device], port: value}
        polls = round(t_s / self._poll_s, 9)
        if polls == int(polls):
            for device, message in self._messages.items():
                self._link.send(t_s, device, message)
        for device, sent_s, message in self._link.due(t_s):
            self._sampled_s = {**self._sampled_s, device: sent_s}
            for port, value in message.items():
                self.emit(port, value)
        self.emit("sampled_s", self._sampled_s)
        next_poll_s = (int(polls + 1e-9) + 1) * self._poll_s
        return min(next_poll_s, self._link.next_s)


class LinkSimulator(Adapter):
    """One direction of the communication of all hubs; its ports are the values to be transmitted."""

    model = "Link"
    device = Wire

    def configure(self, ports: tuple[str, ...] = ()) -> None:
        """Set the ports, ``device.attribute``."""
        self.inputs = {port: Port("", "what is sent", trigger=False) for port in ports}
        self.outputs = {
            **{port: Port("", "what has arrived", recorded=False) for port in ports},
            "sampled_s": Port("s", "when the last message of each device was sent", recorded=False),
        }
