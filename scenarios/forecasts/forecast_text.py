"""The section ``forecasts`` of a hub in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...simulators.arrivals.arrivals_section import SessionFile
from ...simulators.series_section import Csv
from ...simulators.units import S_PER_H, S_PER_MIN
from .forecast_section import (
    AnnouncedPrices,
    Forecasts,
    Foreseen,
    LoadColumns,
    NoisyPower,
    NoisySessions,
    Persistence,
    PluggedIn,
    PriceColumns,
)

NO_ERROR = "without error"
WORDS = {
    "sessions": "every session",
    "load": "load",
    "pv": "sun",
    "other": "other devices",
    "prices": "prices",
}
"""What a forecast can be of, in the order of the sentence."""


def describe_forecasts(section: Forecasts, of: Iterable[str], *, left_out: bool) -> str:
    """Describe what a controller is told of the future of a hub.

    Parameters
    ----------
    section : Forecasts
        The section.
    of : iterable of str
        Keys of the section that matter for the hub, such as ``pv`` and ``sessions``.
    left_out : bool
        Whether the scenario has no section at all.

    Returns
    -------
    str
        Such as ``every session, load and sun without error: `forecasts` left out``; prices as they are announced are
        not mentioned.
    """
    present = set(of)
    parts: dict[str, list[str]] = {}
    for key, word in WORDS.items():
        value = getattr(section, key)
        if key not in present or isinstance(value, AnnouncedPrices):
            continue
        manner = _manner(key, value)
        if manner == NO_ERROR and not left_out and key not in section.model_fields_set:
            manner += " (left out)"
        word = "sessions" if key == "sessions" and not manner.startswith(NO_ERROR) else word
        parts.setdefault(manner, []).append(word)
    text = "; ".join(f"{_listed(words)} {manner}" for manner, words in parts.items())
    return (text or "nothing but announced prices") + (": `forecasts` left out" if left_out and text else "")


def _manner(key: str, value: Any) -> str:
    """Return how a quantity is foreseen."""
    if isinstance(value, Foreseen):
        return NO_ERROR
    if isinstance(value, Persistence):
        return f"as {_duration(value.lag)} before"
    if isinstance(value, NoisyPower):
        return f"with an error of {100 * value.std:g} % at {_duration(value.lead)} ahead"
    if isinstance(value, PluggedIn):
        return "from when they plug in"
    if isinstance(value, NoisySessions):
        errors = [f"{_duration(std)} in {what}" for what, std in _times(value) if std > 0]
        errors += [f"{100 * value.energy_std:g} % in energy"] if value.energy_std > 0 else []
        return f"with errors of {_listed(errors)} until they plug in" if errors else f"{NO_ERROR} (noisy without noise)"
    if isinstance(value, Csv | LoadColumns | PriceColumns | SessionFile):
        return f"as in {value.file}"
    raise TypeError(f"{key} is foreseen in a manner that has no words: {type(value).__name__}")


def _times(value: NoisySessions) -> tuple[tuple[str, float], ...]:
    return ("arrival", value.arrival_std), ("departure", value.departure_std)


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _duration(t_s: float) -> str:
    """Return a duration in the unit in which it is said."""
    if t_s >= S_PER_H:
        return f"{t_s / S_PER_H:g} h"
    return f"{t_s / S_PER_MIN:g} min" if t_s >= S_PER_MIN else f"{t_s:g} s"
