"""What a policy sees of a hub: numbers with names and units, scaled by what is written on the devices.

A number that is not known (a meter has failed, an EV told no departure) reads 0, and the entry with ``known`` in its
name beside it reads 0 too; it reads 1 where the number is known. No number of a hub is left out silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ...simulators.units import S_PER_DAY, S_PER_H, W_PER_KW
from ..contract import Site
from ..sharing.sharing_rules import usable_kw
from .policy_entries import Entry, Seen
from .policy_options import PolicyOptions

OWN_KINDS = ("pv", "bess", "dg", "load")
"""Kinds of devices that have fields of their own in `Hub`."""
_CONNECTOR = {
    "occupied": ("1", 0.0, 1.0, "an EV is plugged in and authenticated"),
    "faulted": ("1", 0.0, 1.0, "out of order"),
    "p": ("rating of the connector", -1.5, 1.5, "charging power"),
    "p_max": ("rating of the connector", 0.0, 4.0, "what the EV accepts"),
    "remaining": ("energy_scale_kwh", 0.0, 10.0, "energy asked for and not delivered yet"),
    "plugged": ("1 day", 0.0, 7.0, "time since it was plugged in"),
    "departure": ("1 day", -1.0, 7.0, "time until the announced departure"),
    "laxity": ("1 day", -7.0, 7.0, "that time, less the time that charging at full power takes"),
    "needed": ("what the EV accepts", 0.0, 2.0, "mean power until the announced departure that gives all it asked for"),
    "departure_known": ("1", 0.0, 1.0, "a departure was announced"),
    "soc": ("1", 0.0, 1.0, "state of charge of the EV"),
    "soc_known": ("1", 0.0, 1.0, "the EV tells its state of charge"),
    "v2g": ("1", 0.0, 1.0, "the owner agreed to discharge"),
}
CONNECTOR_COLUMNS = tuple(_CONNECTOR)
"""What is seen of each connector."""


class _Row(NamedTuple):
    entry: Entry
    value: Callable[[Seen], float]
    """Where it can be unknown, NaN then."""
    unknown: bool = False


class HubFeatures:
    """The numbers that a policy sees of one hub, from the devices that are there.

    Parameters
    ----------
    site : Site
        The plates of the hub.
    options : PolicyOptions
        Scales, and how far it looks ahead.
    """

    def __init__(self, site: Site, options: PolicyOptions):
        self.site, self.options = site, options
        self._rows = _rows(site, options)
        self.hub_entries: list[Entry] = []
        """What is seen of the hub as a whole."""
        for row in self._rows:
            self.hub_entries.append(row.entry)
            if row.unknown:
                text = f"whether {row.entry.name} is known"
                self.hub_entries.append(Entry(f"{row.entry.name}_known", "1", 0.0, 1.0, text))
        self.hub_entries += _ahead_entries(site, options)
        self._rated_kw = np.maximum(site.connector_kw, 1e-9)
        numbers = range(1, site.connector_kw.size + 1)
        self.connector_entries = [
            Entry(f"connector/{n}/{name}", *rest) for n in numbers for name, rest in _CONNECTOR.items()
        ]
        """What is seen of each connector, `CONNECTOR_COLUMNS` of the first one, then of the second and so on."""
        self._hub_low, self._hub_high = (
            np.array([getattr(e, end) for e in self.hub_entries]) for end in ("low", "high")
        )
        self._low, self._high = np.array([(low, high) for _, low, high, _ in _CONNECTOR.values()]).T

    def __reduce__(self) -> tuple:
        return type(self), (self.site, self.options)

    @property
    def entries(self) -> list[Entry]:
        """All entries, in the order of `values`."""
        return [*self.hub_entries, *self.connector_entries]

    @property
    def names(self) -> list[str]:
        """Names of all entries."""
        return [entry.name for entry in self.entries]

    @property
    def units(self) -> list[str]:
        """What 1 stands for, of all entries."""
        return [entry.unit for entry in self.entries]

    def values(self, seen: Seen) -> np.ndarray:
        """Return everything that is seen, float32, shape (n_entries,)."""
        return np.concatenate([self.hub_values(seen), self.connector_values(seen).ravel()])

    def hub_values(self, seen: Seen) -> np.ndarray:
        """Return what is seen of the hub as a whole, float32, shape (n_hub_entries,)."""
        values: list[float] = []
        for row in self._rows:
            value = row.value(seen)
            if row.unknown:
                known = not math.isnan(value)
                values += [value if known else 0.0, float(known)]
            else:
                values.append(value)
        if self.options.lookahead:
            values += _ahead(seen, self.options).ravel().tolist()
        return np.clip(values, self._hub_low, self._hub_high).astype(np.float32)

    def connector_values(self, seen: Seen) -> np.ndarray:
        """Return what is seen of each connector, float32, shape (n_connectors, n_columns)."""
        connectors, t_s = seen.hub.connectors, seen.observation.t_s
        remaining_kwh = connectors.remaining_kwh
        with np.errstate(divide="ignore", invalid="ignore"):
            needed_s = remaining_kwh / np.minimum(self._rated_kw, connectors.p_max_kw) * S_PER_H
        leaves_s = connectors.departure_s - t_s
        departs = np.isfinite(connectors.departure_s)
        tells = np.isfinite(connectors.soc)
        columns = {
            "occupied": connectors.occupied,
            "faulted": connectors.faulted,
            "p": connectors.p_kw / self._rated_kw,
            "p_max": connectors.p_max_kw / self._rated_kw,
            "remaining": remaining_kwh / self.options.energy_scale_kwh,
            "plugged": np.where(connectors.occupied, (t_s - connectors.plugged_s) / S_PER_DAY, 0.0),
            "departure": np.where(departs, leaves_s, 0.0) / S_PER_DAY,
            "laxity": np.where(departs, leaves_s - np.where(remaining_kwh > 0.0, needed_s, 0.0), 0.0) / S_PER_DAY,
            "needed": np.where(departs & (remaining_kwh > 0.0), needed_s / np.maximum(leaves_s, seen.period_s), 0.0),
            "departure_known": departs,
            "soc": np.where(tells, connectors.soc, 0.0),
            "soc_known": tells,
            "v2g": connectors.v2g,
        }
        values = np.array([columns[name] for name in CONNECTOR_COLUMNS], dtype=float).T
        return np.clip(values, self._low, self._high).astype(np.float32)


# --- the hub as a whole -----------------------------------------------------------------------------------------------


def _rows(site: Site, options: PolicyOptions) -> list[_Row]:
    contract_kw = max(site.contracted_kw, 1e-9)
    rows = [
        _Row(Entry("time/day_sin", "1", -1.0, 1.0, "sine of the time of day"), partial(_clock, math.sin, 1.0)),
        _Row(Entry("time/day_cos", "1", -1.0, 1.0, "cosine of the time of day"), partial(_clock, math.cos, 1.0)),
        _Row(Entry("time/week_sin", "1", -1.0, 1.0, "sine of the time of week"), partial(_clock, math.sin, 7.0)),
        _Row(Entry("time/week_cos", "1", -1.0, 1.0, "cosine of the time of week"), partial(_clock, math.cos, 7.0)),
        _Row(Entry("bus/grid", "1", 0.0, 1.0, "the hub runs on the public grid"), lambda s: float(s.hub.bus == 1)),
        _Row(Entry("bus/island", "1", 0.0, 1.0, "the hub runs on its secondary source"), lambda s: s.hub.islanded),
        _power("grid/p", "contracted power", "import", lambda s: s.hub.p_grid_kw / contract_kw),
        _power("load/p", "contracted power", "local load", lambda s: s.hub.p_load_kw / contract_kw),
        _power("room", "contracted power", "limit of the source less the net local load", partial(_room, contract_kw)),
        _power("cp/p", "contracted power", "power of all connectors", lambda s: s.hub.p_cp_kw / contract_kw),
        _Row(
            Entry("cp/usable", "contracted power", 0.0, 10.0, "what all EVs could take at once"),
            lambda s: float(usable_kw(s.site, s.hub).sum()) / contract_kw,
        ),
        _Row(
            Entry(
                "cp/urgent", "contracted power", 0.0, 10.0, "mean power that EVs need until their announced departures"
            ),
            partial(_urgent, contract_kw),
        ),
        _Row(
            Entry("grid/i_max", "current of the installed power", 0.0, 4.0, "highest phase current"),
            lambda s: float(max(s.hub.i_grid_a)) * 3**0.5 * site.nominal_v / (W_PER_KW * max(site.installed_kw, 1e-9)),
            unknown=True,
        ),
        _Row(
            Entry("network/v", "0.1 of the nominal voltage", -10.0, 10.0, "voltage above the nominal one"),
            lambda s: 10.0 * (s.hub.v_pu - 1.0),
            unknown=True,
        ),
    ]
    if site.secondary_kw:
        rows.append(
            _power("secondary/p", "its rating", "secondary source", lambda s: s.hub.p_secondary_kw / site.secondary_kw)
        )
    rows += _device_rows(site)
    prices = ["buy", "sell", "charging", *(["dg"] if site.dg_kw else []), *(["bess"] if site.bess_kw else [])]
    for name in prices:
        entry = Entry(f"price/{name}", "price_scale", -10.0, 10.0, f"price of {name}")
        rows.append(_Row(entry, partial(_price, name, options.price_scale)))
    return rows


def _device_rows(site: Site) -> list[_Row]:
    rows = []
    if site.pv_kw:
        rows += [_power("pv/p", "rating", "PV", lambda s: s.hub.p_pv_kw / site.pv_kw), _failed("pv")]
    if site.bess_kw:
        width = max(site.bess_soc_max - site.bess_soc_min, 1e-9)
        text = "state of charge: 0 at the lower end of the window, 1 at the upper"
        rows += [
            _power("bess/p", "rating", "battery, > 0 discharges", lambda s: s.hub.p_bess_kw / site.bess_kw),
            _Row(
                Entry("bess/soc", "window", -4.0, 5.0, text),
                lambda s: (s.hub.soc - site.bess_soc_min) / width,
                unknown=True,
            ),
            _failed("bess"),
        ]
    if site.dg_kw:
        rows += [_power("dg/p", "rating", "generator", lambda s: s.hub.p_dg_kw / site.dg_kw), _failed("dg")]
        if 0.0 < site.dg_fuel_capacity_l < math.inf:
            entry = Entry("dg/fuel", "full tank", 0.0, 1.0, "fuel of the generator")
            rows.append(_Row(entry, lambda s: s.hub.fuel_l / site.dg_fuel_capacity_l, unknown=True))
    for name, device in site.devices.items():
        if device.kind not in OWN_KINDS:
            sizes = [abs(device.plates[key]) for key in ("rated_kw", "p_min_kw", "p_max_kw") if key in device.plates]
            scale_kw = max([size for size in sizes if 0.0 < size < math.inf], default=max(site.contracted_kw, 1e-9))
            rows.append(_power(f"{name}/p", "rating", device.kind, partial(_of_device, name, scale_kw)))
            rows.append(_failed(name))
    return rows


def _power(name: str, unit: str, text: str, value: Callable[[Seen], float]) -> _Row:
    return _Row(Entry(name, unit, -10.0, 10.0, text), value, unknown=True)


def _failed(name: str) -> _Row:
    return _Row(Entry(f"{name}/failed", "1", 0.0, 1.0, "it reports an error"), lambda s: float(name in s.hub.failed))


def _clock(wave: Callable[[float], float], days: float, seen: Seen) -> float:
    now = seen.observation.time
    into_s = now.hour * S_PER_H + now.minute * 60 + now.second + (now.weekday() * S_PER_DAY if days > 1.0 else 0.0)
    return wave(2.0 * math.pi * into_s / (days * S_PER_DAY))


def _room(contract_kw: float, seen: Seen) -> float:
    return (seen.limit_kw - seen.hub.net_load_kw) / contract_kw


def _urgent(contract_kw: float, seen: Seen) -> float:
    connectors = seen.hub.connectors
    left_s = np.maximum(connectors.departure_s - seen.observation.t_s, seen.period_s)
    mean_kw = np.nan_to_num(connectors.remaining_kwh * S_PER_H / left_s)
    return float(np.minimum(mean_kw, usable_kw(seen.site, seen.hub)).sum()) / contract_kw


def _price(name: str, scale: float, seen: Seen) -> float:
    return getattr(seen.hub.prices, name) / scale


def _of_device(name: str, scale_kw: float, seen: Seen) -> float:
    device = seen.hub.devices.get(name)
    return math.nan if device is None else device.p_kw / scale_kw


# --- ahead ------------------------------------------------------------------------------------------------------------


def _ahead_entries(site: Site, options: PolicyOptions) -> list[Entry]:
    entries = []
    for k in range(1, options.lookahead + 1):
        step = f"ahead/{k}"
        entries += [
            Entry(f"{step}/known", "1", 0.0, 1.0, "the run goes on so far"),
            Entry(f"{step}/buy", "price_scale", -10.0, 10.0, "mean price of import that is forecast"),
            Entry(f"{step}/sell", "price_scale", -10.0, 10.0, "mean price of export that is forecast"),
            Entry(f"{step}/load", "contracted power", -10.0, 10.0, "mean net local load that is forecast"),
        ]
        if site.pv_kw:
            entries.append(Entry(f"{step}/pv", "rating", 0.0, 10.0, "mean available PV power that is forecast"))
    return entries


def _ahead(seen: Seen, options: PolicyOptions) -> np.ndarray:
    """Return what is forecast, shape (lookahead, 4 or 5); 0 beyond the end of the run, and not known."""
    site, forecast, n = seen.site, seen.hub.forecast, options.lookahead
    values = np.zeros((n, 5 if site.pv_kw else 4))
    edges_s = seen.observation.t_s + options.lookahead_step_s * np.arange(n + 1)
    edges_s = np.minimum(edges_s, seen.observation.end_s)
    there = int(np.count_nonzero(np.diff(edges_s) > 0.0))
    if not there:
        return values
    edges_s = edges_s[: there + 1]
    values[:there, 0] = 1.0
    values[:there, 1] = forecast.price("buy", edges_s) / options.price_scale
    values[:there, 2] = forecast.price("sell", edges_s) / options.price_scale
    net_kw = forecast.load_kw(edges_s).sum(axis=1) - forecast.other_kw(edges_s)
    values[:there, 3] = net_kw / max(site.contracted_kw, 1e-9)
    if site.pv_kw:
        values[:there, 4] = forecast.pv_kw(edges_s) / site.pv_kw
    return values
