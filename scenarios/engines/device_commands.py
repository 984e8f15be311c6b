"""From the set points of a controller to the command of each device: checked, divided, clipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ...controllers import contract, device_split
from ...simulators.device_kind import Command
from ...simulators.devices import BUILT_IN, kind_of
from ...simulators.units import S_PER_H
from .wiring import command_output

_NUMBER = (float, int, np.number)
_NUMBERS = tuple(
    command.setpoint for kind in BUILT_IN if kind.contract for command in kind.commands if command.width is None
)
"""Fields of `Setpoints` that are numbers."""
_numbers = attrgetter(*_NUMBERS)


class ControllerError(RuntimeError):
    """A controller returned something that is not a set point."""


def check(setpoints: contract.Setpoints, site: contract.Site) -> tuple:
    """Refuse set points with a wrong type, shape or value.

    Parameters
    ----------
    setpoints : Setpoints
        The answer for one hub.
    site : Site
        The hub.

    Returns
    -------
    tuple
        Its scalars: powers and reactive powers in the order of the kinds, the limits of the load classes, then what
        is set device by device.

    Raises
    ------
    ControllerError
        Naming the field: a wrong shape, NaN, or a power that is not a number.
    """
    if len(setpoints.load_limit_kw) != 4:
        raise ControllerError(f"load_limit_kw must have 4 elements, got {setpoints.load_limit_kw}")
    numbers = (*_numbers(setpoints), *setpoints.load_limit_kw)
    for position, value in enumerate(numbers):
        if not isinstance(value, _NUMBER) or value != value:
            field = (*_NUMBERS, *4 * ("load_limit_kw",))[position]
            raise ControllerError(f"{field} must be a number, got {value!r}")
    for field in ("connector_kw", "connector_q_kvar"):
        values = getattr(setpoints, field)
        if values is None and field == "connector_q_kvar":
            continue
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise ControllerError(f"{field} must be an array of numbers, got {values!r}")
        if values.shape != site.connector_kw.shape:
            raise ControllerError(f"{field} must have the shape {site.connector_kw.shape}, got {values.shape}")
        if math.isnan(values.dot(values)):  # no sum of squares is NaN unless one of them is
            raise ControllerError(f"{field} must be a number, got {values}")
    return (*numbers, *_checked_devices(setpoints.devices, site)) if setpoints.devices else numbers


def _checked_devices(devices: Mapping[str, Any], site: contract.Site) -> list[tuple[str, str, float]]:
    """Return set points of single devices as (name, input, value)."""
    checked = []
    for name, values in devices.items():
        if name not in site.devices:
            raise ControllerError(f"devices must be of {', '.join(site.devices) or 'none'}, got {name!r}")
        kind = kind_of(site.devices[name].kind)
        inputs = [command.port for command in kind.commands if command.width is None]
        by_input = values if isinstance(values, Mapping) else dict.fromkeys(inputs[:1], values)
        for port, value in by_input.items():
            if port not in inputs:
                raise ControllerError(
                    f"devices[{name!r}] must set one of {', '.join(inputs) or 'nothing'}, got {port!r}"
                )
            if not isinstance(value, _NUMBER) or value != value:
                raise ControllerError(f"devices[{name!r}] must be a number, got {value!r}")
            checked.append((name, port, float(value)))
        if not by_input:
            raise ControllerError(f"devices[{name!r}]: a {kind.label} takes no set points")
    return checked


class CommandedKind:
    """The devices of one kind of a hub, and their commands.

    Parameters
    ----------
    kind : str
        Name of the kind.
    names : tuple of str
        Its devices.
    plates : mapping of str to mapping
        Plates by device.
    load_peaks_kw : mapping of str to ndarray, shape (4,)
        Highest demand of each class, by load.
    period_s : float
        For so long a set point has to hold [s].
    """

    def __init__(
        self,
        kind: str,
        names: tuple[str, ...],
        plates: Mapping[str, Mapping[str, float]],
        load_peaks_kw: Mapping[str, np.ndarray],
        period_s: float,
    ):
        self._kind = kind_of(kind)
        self._names = names
        self._alone = names == (kind,)
        self._plates = [plates.get(name, {}) for name in names]
        self._peaks_kw = load_peaks_kw
        self._period_h = period_s / S_PER_H
        self._limits_kw = self._rated_kw(set())
        self.follows_state = len(names) > 1
        """Whether the same set points may mean something else later: what batteries can give, who has failed."""

    def send(self, setpoints: contract.Setpoints, held: Mapping[str, Any], emit: Callable[[str, Any], None]) -> None:
        """Send every set point of the kind to its devices."""
        for command in self._kind.commands:
            if command.width is not None:
                self._send_limits(command, setpoints, emit)
            else:
                self._send_number(command, setpoints, held, emit)

    def _send_number(self, command: Command, setpoints: contract.Setpoints, held: Mapping, emit: Callable) -> None:
        named = {name: value for name in self._names if (value := self._named(name, command, setpoints)) is not None}
        value = _clipped(command, float(getattr(setpoints, command.setpoint, command.neutral)), self._plates)
        if self._alone:
            value = named.get(self._kind.name, value)
            if not self._kind.contract or named:
                value = _clipped(command, value, self._plates)
            emit(command.setpoint, value)
            return
        shares = self._shares(command, value, named, held)
        clipped = [_clipped(command, share, [plates]) for share, plates in zip(shares, self._plates, strict=True)]
        emit(command.setpoint, sum(clipped))
        for name, share in zip(self._names, clipped, strict=True):
            emit(command_output(self._kind, name, command.setpoint, command.port), share)

    def _send_limits(self, command: Command, setpoints: contract.Setpoints, emit: Callable) -> None:
        value = np.maximum(np.array(getattr(setpoints, command.setpoint), dtype=float), 0.0)
        emit(command.setpoint, value)
        if not self._alone:
            peaks = np.array([self._peaks_kw.get(name, np.ones(len(value))) for name in self._names])
            for name, share in zip(self._names, device_split.by_peak(value, peaks), strict=True):
                emit(command_output(self._kind, name, command.setpoint, command.port), share)

    def _named(self, name: str, command: Command, setpoints: contract.Setpoints) -> float | None:
        """Return what is set for one device by its name, if anything."""
        value = setpoints.devices.get(name)
        if isinstance(value, Mapping):
            value = value.get(command.port)
        elif value is not None and command is not self._kind.commands[0]:
            value = None
        return None if value is None else float(value)

    def _shares(self, command: Command, value: float, named: Mapping[str, float], held: Mapping) -> list[float]:
        """Return the set point of each device: its own, or its share of what the total leaves."""
        rest = [name not in named for name in self._names]
        left = value - sum(named.values()) if math.isfinite(value) else value
        out = {name for name in self._names if held.get(f"{name}.failed", False)}
        if not self._kind.contract:
            shares = np.full(len(self._names), command.neutral)
        elif command.unit == "kvar":
            shares = left * _parts(self._rated_kw(out) * rest)
        elif command.split == "capability":
            shares = self._by_capability(left, out, rest, held)
        elif command.split == "merit":
            minimum_kw = [plates.get("minimum_kw", 0.0) for plates in self._plates]
            shares = device_split.by_merit(left, minimum_kw, (self._rated_kw(out) * rest).tolist())
        else:
            shares = self._by_availability(left, out, rest, held)
        return [named.get(name, share) for name, share in zip(self._names, shares.tolist(), strict=True)]

    def _by_capability(self, value: float, out: set[str], rest: Sequence[bool], held: Mapping) -> np.ndarray:
        rated_kw = self._rated_kw(out) * rest
        can_kw = np.empty(len(rated_kw))
        for n, (name, plates) in enumerate(zip(self._names, self._plates, strict=True)):
            soc = held.get(f"{name}.soc", math.nan)
            if value > 0.0:
                store_kwh = (soc - plates["soc_min"]) * plates["capacity_kwh"] * plates["eta_discharge"]
            else:
                store_kwh = (plates["soc_max"] - soc) * plates["capacity_kwh"] / plates["eta_charge"]
            # what is not known yet is not held against it
            can_kw[n] = rated_kw[n] if soc != soc else min(rated_kw[n], max(store_kwh, 0.0) / self._period_h)
        return device_split.by_capability(value, can_kw, rated_kw)

    def _by_availability(self, value: float, out: set[str], rest: Sequence[bool], held: Mapping) -> np.ndarray:
        rated_kw = self._rated_kw(out) * rest
        p_kw = np.array([held.get(f"{name}.p_kw", math.nan) for name in self._names])
        # below its limit a device gives all it can; at its limit it could give more
        wanted_kw = np.where(p_kw < self._limits_kw * (1.0 - 1e-9), p_kw, rated_kw)
        self._limits_kw = device_split.by_availability(value, np.minimum(wanted_kw, rated_kw), rated_kw)
        return self._limits_kw

    def _rated_kw(self, out: set[str]) -> np.ndarray:
        """Return the ratings, 0 of devices that are out of order, unless all are."""
        ratings = [plates.get("rated_kw", 0.0) for plates in self._plates]
        useful = [name not in out for name in self._names]
        return np.array(ratings) * (useful if any(useful) else 1.0)


def _clipped(command: Command, value: float, plates: Sequence[Mapping[str, float]]) -> float:
    """Clip a set point to the bounds of the devices that it is for together."""
    low, high = bound(command.low, plates), bound(command.high, plates)
    return min(max(value, low), high)


def bound(limit: str | float, plates: Sequence[Mapping[str, float]]) -> float:
    """Return a bound of several devices together: a number, or the sum of a plate; ``-`` before it: its negative."""
    if not isinstance(limit, str):
        return limit
    size = sum(device[limit.removeprefix("-")] for device in plates)
    return -size if limit.startswith("-") else size


def _parts(weights: np.ndarray) -> np.ndarray:
    whole = float(weights.sum())
    return weights / whole if whole > 0.0 else np.zeros(len(weights))
