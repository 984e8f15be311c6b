"""The section ``link`` of a hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..field_types import Duration, Name, PositiveDuration, Ratio, Section


class DelaySection(Section):
    """How long a message takes."""

    type: Literal["constant", "uniform", "normal", "exponential", "lognormal"]
    mean: Duration = 0.0
    """Mean delay."""
    spread: Duration = 0.0
    """Standard deviation; half the width of uniform."""


class ChannelSection(Section):
    """How messages travel between the controller and a device."""

    measurement: DelaySection = DelaySection(type="constant")
    """Delay of measurements."""
    command: DelaySection = DelaySection(type="constant")
    """Delay of commands."""
    loss: Annotated[Ratio, Field(lt=1)] = 0.0
    """Share of messages that get lost."""


class LinkSection(ChannelSection):
    """The communication between the plant and the controller, each device by itself."""

    poll: PositiveDuration
    """How often every device is asked and commanded."""
    devices: dict[Name, ChannelSection] = {}
    """Devices with a channel of their own: `grid` for the meters, a device by its name, or all of a kind by that."""
