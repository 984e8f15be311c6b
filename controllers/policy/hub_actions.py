"""What a policy commands: numbers of 0..1 or -1..1, and the set points of the contract that they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..contract import CommandRange, Setpoints, Site
from ..sharing.sharing_rules import usable_kw
from .hub_features import OWN_KINDS
from .policy_entries import Entry, Seen, bounds, numbers
from .policy_options import LOAD_CLASSES, PolicyOptions

CONNECTOR = "connector"
"""Begin of the names of the entries for connectors: ``connector/1``."""


class HubActions:
    """The numbers that a policy commands of one hub, from everything there that takes set points.

    Parameters
    ----------
    site : Site
        The plates of the hub.
    options : PolicyOptions
        Whether it may discharge EVs, limit load classes, and set reactive powers.
    """

    def __init__(self, site: Site, options: PolicyOptions):
        self.site, self.options = site, options
        self.n_connectors = site.connector_kw.size
        self._ranges = dict(_ranges(site, options))
        """Of further devices, by entry: device, input and its range."""
        self.hub_entries = [*_hub_entries(site, options), *(entry for entry, *_ in self._ranges.values())]
        """What is commanded beside the connectors."""
        low, text = (-1.0, "> 0 charges, < 0 discharges") if options.v2g else (0.0, "charges")
        unit = "rating, or what the EV accepts where that is less"
        numbers = range(1, self.n_connectors + 1)
        self.connector_entries = [Entry(f"{CONNECTOR}/{n}", unit, low, 1.0, text) for n in numbers]
        if options.reactive:
            self.connector_entries += [
                Entry(f"{CONNECTOR}/{n}/q", "rating", -1.0, 1.0, "reactive, > 0 feeds the hub bus") for n in numbers
            ]
        self.neutral = {name: _neutral(command) for name, (*_, command) in self._ranges.items()}
        """Of further devices, by entry, the number that leaves each to itself."""
        self.low, self.high = bounds(self.entries)
        """Ranges, both of shape (n_entries,)."""

    def __reduce__(self) -> tuple:
        return type(self), (self.site, self.options)

    @property
    def entries(self) -> list[Entry]:
        """All entries, in the order of an action: connectors first."""
        return [*self.connector_entries, *self.hub_entries]

    @property
    def names(self) -> list[str]:
        """Names of all entries."""
        return [entry.name for entry in self.entries]

    @property
    def units(self) -> list[str]:
        """What 1 stands for, of all entries."""
        return [entry.unit for entry in self.entries]

    def check(self, action: object) -> np.ndarray:
        """Return an action as an array of numbers within their ranges.

        Parameters
        ----------
        action : array_like, shape (n_entries,)
            Finite numbers; one beyond its range counts as at its end.

        Raises
        ------
        ValueError
            When it has another shape, or a number that is not finite.
        """
        values = numbers(action, "an action")
        if values.shape != self.low.shape:
            raise ValueError(f"an action must have the shape {self.low.shape}, got {values.shape}")
        if not np.isfinite(values).all():
            wrong = [name for name, value in zip(self.names, values, strict=True) if not math.isfinite(value)]
            raise ValueError(f"an action must have finite numbers, got {values[~np.isfinite(values)][0]} of {wrong[0]}")
        return np.clip(values, self.low, self.high).astype(np.float32).astype(float)

    def setpoints(self, action: object, seen: Seen) -> Setpoints:
        """Return the set points that an action stands for; see `check`."""
        values = self.check(action)
        site, hub, n = self.site, seen.hub, self.n_connectors
        accepted_kw = np.minimum(site.connector_kw, hub.connectors.p_max_kw)
        share = values[:n]
        connector_kw = np.where(hub.connectors.v2g, share, np.maximum(share, 0.0)) * accepted_kw
        of_hub = dict(
            zip([e.name for e in self.hub_entries], values[len(self.connector_entries) :].tolist(), strict=True)
        )
        devices: dict[str, dict[str, float]] = {}
        for name, (_, device, port, range_) in self._ranges.items():
            devices.setdefault(device, {})[port] = _scaled(of_hub[name], range_)
        return Setpoints(
            connector_kw=connector_kw,
            bess_kw=of_hub.get("bess", 0.0) * site.bess_kw,
            pv_limit_kw=of_hub["pv"] * site.pv_kw if "pv" in of_hub else math.inf,
            dg_kw=of_hub.get("dg", 0.0) * site.dg_kw,
            pv_q_kvar=of_hub.get("pv/q", 0.0) * site.pv_kw,
            bess_q_kvar=of_hub.get("bess/q", 0.0) * site.bess_kw,
            dg_q_kvar=of_hub.get("dg/q", 0.0) * site.dg_kw,
            connector_q_kvar=values[n : 2 * n] * site.connector_kw if self.options.reactive else None,
            load_limit_kw=self._load_limits_kw(of_hub, seen),
            devices=devices,
        )

    def _load_limits_kw(self, of_hub: dict[str, float], seen: Seen) -> tuple[float, float, float, float]:
        """Return the limits of load classes: a part of what each is expected to want until the next decision."""
        limits = [math.inf] * 4
        if any(of_hub[f"load/{name}"] < 1.0 for name in self.options.load):
            t_s, end_s = seen.observation.t_s, seen.observation.end_s
            edges_s = np.array([t_s, min(t_s + seen.period_s, end_s)])
            wanted_kw = seen.hub.forecast.load_kw(edges_s)[0].tolist()
            for name in self.options.load:
                share, place = of_hub[f"load/{name}"], LOAD_CLASSES.index(name)
                limits[place] = math.inf if share >= 1.0 else share * wanted_kw[place]
        return limits[0], limits[1], limits[2], limits[3]

    def mask(self, seen: Seen) -> np.ndarray:
        """Return which numbers have an effect now, int8 of 0 and 1, shape (n_entries,).

        A connector has none without an EV that wants energy or may give some, when it is out of order, and on a dead
        bus; a device has none while it reports an error.
        """
        hub, n = seen.hub, self.n_connectors
        able = usable_kw(self.site, hub) > 0.0
        if self.options.v2g:
            able |= hub.connectors.occupied & ~hub.connectors.faulted & hub.connectors.v2g
        able &= not hub.dead
        of_hub = []
        for entry in self.hub_entries:
            device = self._ranges[entry.name][1] if entry.name in self._ranges else entry.name.partition("/")[0]
            of_hub.append(device not in hub.failed)
        parts = [able, able] if self.options.reactive else [able]
        return np.concatenate([*(part[:n] for part in parts), of_hub]).astype(np.int8)


def _hub_entries(site: Site, options: PolicyOptions) -> Iterator[Entry]:
    if site.bess_kw:
        yield Entry("bess", "rating", -1.0, 1.0, "battery, > 0 discharges")
    if site.pv_kw:
        yield Entry("pv", "rating", 0.0, 1.0, "upper limit of PV")
    if site.dg_kw:
        yield Entry("dg", "rating", 0.0, 1.0, "generator")
    for name in options.load:
        text = f"limit of the {name} load; 1 is none"
        yield Entry(f"load/{name}", "what it is expected to want until the next decision", 0.0, 1.0, text)
    for name, rated_kw in (("pv", site.pv_kw), ("bess", site.bess_kw), ("dg", site.dg_kw)):
        if options.reactive and rated_kw:
            yield Entry(f"{name}/q", "rating", -1.0, 1.0, f"reactive power of {name}, > 0 feeds the hub bus")


def _ranges(site: Site, options: PolicyOptions) -> Iterator[tuple[str, tuple[Entry, str, str, CommandRange]]]:
    """Find the set points of devices that have no field of their own in the contract."""
    for name, device in site.devices.items():
        for port, command in device.commands.items() if device.kind not in OWN_KINDS else ():
            if command.unit == "kvar" and not options.reactive:
                continue
            size = device.plates.get("rated_kw", site.contracted_kw)
            low = command.min if math.isfinite(command.min) else -size
            high = command.max if math.isfinite(command.max) else size
            entry_name = f"{name}/{port.removeprefix('p_').removesuffix('_kw')}"
            text = f"{port} of {name}, {low:g}..{high:g} {command.unit}"
            entry = Entry(entry_name, "its bound", -1.0 if low < 0.0 < high else 0.0, 1.0, text)
            yield entry_name, (entry, name, port, CommandRange(command.unit, low, high, command.neutral))


def _scaled(value: float, command: CommandRange) -> float:
    """Return a set point: 1 is the upper bound; -1 is the lower one if that is negative, else 0 is."""
    if command.min < 0.0 < command.max:
        return value * (command.max if value > 0.0 else -command.min)
    return command.min + value * (command.max - command.min)


def _neutral(command: CommandRange) -> float:
    """Return the number that stands for the neutral set point."""
    kw = min(max(command.neutral, command.min), command.max)
    if command.min < 0.0 < command.max:
        return kw / (command.max if kw > 0.0 else -command.min)
    return (kw - command.min) / (command.max - command.min) if command.max > command.min else 0.0
