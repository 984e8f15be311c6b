"""Communication from the plant to a controller or back: delayed, lossy, interrupted, one channel per device.

A message carries the complete set of a device's values, so a later one replaces an earlier one. One that a later
message has overtaken is dropped when it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import exp, inf, log, log1p, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from ..shared_data import SharedData

_STANDARD_NORMAL = NormalDist()


@dataclass(frozen=True)
class Delay:
    """Distribution of the time a message is under way.

    Parameters
    ----------
    kind : {"constant", "uniform", "normal", "exponential", "lognormal"}
        ``normal`` is cut off below 0.
    mean_s : float
        Mean, of ``normal`` before it is cut off [s].
    spread_s : float
        Half the width of ``uniform``, the standard deviation of ``normal`` (before it is cut off) and ``lognormal``;
        not used by the others [s].

    Raises
    ------
    ValueError
        `kind` is unknown, or a value is outside its range.
    """

    kind: str = "constant"
    mean_s: float = 0.0
    spread_s: float = 0.0

    def __post_init__(self):
        if self.kind not in _SAMPLERS:
            raise ValueError(f"kind must be one of {', '.join(_SAMPLERS)}, got {self.kind}")
        for name in ("mean_s", "spread_s"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        if self.kind == "uniform" and self.spread_s > self.mean_s:
            raise ValueError(f"spread_s must be at most mean_s {self.mean_s} for uniform, got {self.spread_s}")
        if self.kind == "lognormal" and self.mean_s == 0:
            raise ValueError(f"mean_s must be > 0 for lognormal, got {self.mean_s}")

    def sample(self, u: float) -> float:
        """Convert a random number from [0, 1) to a delay: the quantile of the distribution.

        Parameters
        ----------
        u : float
            Probability, 0 <= u < 1.

        Returns
        -------
        float
            Delay [s], >= 0.
        """
        return _SAMPLERS[self.kind](self.mean_s, self.spread_s, u)


def _normal(mean_s, spread_s, u):
    if spread_s == 0:
        return mean_s
    below = _STANDARD_NORMAL.cdf(-mean_s / spread_s)
    return max(0.0, mean_s + spread_s * _quantile(below + u * (1 - below)))


def _lognormal(mean_s, spread_s, u):
    variance = log1p((spread_s / mean_s) ** 2)
    return exp(log(mean_s) - variance / 2 + sqrt(variance) * _quantile(u))


def _quantile(u):
    """Of the standard normal distribution, within what doubles resolve."""
    return _STANDARD_NORMAL.inv_cdf(min(max(u, 1e-16), 1 - 1e-16))


_SAMPLERS = {
    "constant": lambda mean_s, spread_s, u: mean_s,
    "uniform": lambda mean_s, spread_s, u: mean_s + spread_s * (2 * u - 1),
    "normal": _normal,
    "exponential": lambda mean_s, spread_s, u: -mean_s * log1p(-u),
    "lognormal": _lognormal,
}


@dataclass(frozen=True)
class Channel(SharedData):
    """How messages of one device travel.

    Parameters
    ----------
    delay : Delay
    loss : float
        Share of messages that get lost, 0..1.
    outages : sequence of (from_s, until_s)
        Messages sent in [from_s, until_s) are lost; one that is under way by then arrives.

    Raises
    ------
    ValueError
        A value is outside its range.
    """

    delay: Delay = Delay()
    loss: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()

    def __post_init__(self):
        if not 0 <= self.loss <= 1:
            raise ValueError(f"loss must be within 0..1, got {self.loss}")
        for from_s, until_s in self.outages:
            if not from_s < until_s:
                raise ValueError(f"outages must end after they begin, got {from_s}..{until_s}")


class _Line:
    """The state of a channel: its random numbers and its last message."""

    def __init__(self, channel: Channel, seed: np.random.SeedSequence):
        losses, delays = (np.random.default_rng(child) for child in seed.spawn(2))
        self.channel = channel
        self.draw_loss = losses.random
        self.draw_delay = delays.random
        self.last_number = -1


class CommunicationLink:
    """Messages under way in one direction.

    Every channel has random numbers of its own, from the seed and its name: adding a channel changes no other, and
    neither does a loss rate change the delays.

    Parameters
    ----------
    channels : mapping of str to Channel
        By device.
    seed : numpy.random.SeedSequence
        Of this link.
    """

    def __init__(self, channels: Mapping[str, Channel], seed: np.random.SeedSequence):
        self._lines = {name: _Line(channel, _child(seed, name)) for name, channel in channels.items()}
        self._under_way: list[tuple[float, int, str, float, Any]] = []
        self._sent = 0

    @property
    def next_s(self) -> float:
        """When the next message arrives [s]; inf if none is under way."""
        return self._under_way[0][0] if self._under_way else inf

    def send(self, t_s: float, channel: str, payload: Any) -> None:
        """Send a message.

        Parameters
        ----------
        t_s : float
            Now [s].
        channel : str
        payload : object
            The complete set of values of the device; not to be changed afterwards.

        Raises
        ------
        KeyError
            There is no such channel.
        """
        line = self._lines[channel]
        settings = line.channel
        # Both numbers are drawn for every message, so that neither losses nor outages shift later ones.
        lost = line.draw_loss() < settings.loss
        delay_s = settings.delay.sample(line.draw_delay())
        if lost or any(from_s <= t_s < until_s for from_s, until_s in settings.outages):
            return
        heappush(self._under_way, (t_s + delay_s, self._sent, channel, t_s, payload))
        self._sent += 1

    def due(self, t_s: float) -> list[tuple[str, float, Any]]:
        """Remove and return the messages that have arrived by now.

        Parameters
        ----------
        t_s : float
            Now [s].

        Returns
        -------
        list of (channel, sent_s, payload)
            In the order of arrival; without those that a later message of their channel has overtaken.
        """
        arrived = []
        while self._under_way and self._under_way[0][0] <= t_s:
            _, number, channel, sent_s, payload = heappop(self._under_way)
            line = self._lines[channel]
            if number > line.last_number:
                line.last_number = number
                arrived.append((channel, sent_s, payload))
        return arrived


def _child(seed: np.random.SeedSequence, name: str) -> np.random.SeedSequence:
    """A seed that depends on the name alone, not on how many others there are."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *name.encode()))
