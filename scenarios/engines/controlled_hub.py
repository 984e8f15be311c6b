"""One hub as its controller sees it, and the set points last sent to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...controllers import contract
from ...simulators.adapter import Clock, Device, Port, Schedule
from ...simulators.devices import derived, kind_of, simulated_kinds
from ...simulators.totals import total
from .device_commands import CommandedKind
from .wiring import PlacedDevice, measured_ports

STATUS_PORTS = ("ats.bus", "arrivals.session", "arrivals.faulted")
PRICE_PORTS = tuple(f"tariffs.{price.name}_per_kwh" for price in fields(contract.Prices))


@dataclass(frozen=True)
class KnownSessions:
    """What a hub's controller may know of its sessions; every array has the shape (n_sessions,).

    Parameters
    ----------
    id : sequence of str
        Names.
    energy_kwh, p_max_kw, departure_s : ndarray
        Asked for [kWh], accepted [kW], announced departure [s since the start].
    v2g : ndarray of bool
        The owner agreed to discharge.
    """

    id: Sequence[str]
    energy_kwh: np.ndarray
    p_max_kw: np.ndarray
    departure_s: np.ndarray
    v2g: np.ndarray


FIELDS = {
    "p_pv_kw": ("pv", "p_kw"),
    "p_bess_kw": ("bess", "p_kw"),
    "p_dg_kw": ("dg", "p_kw"),
    "p_cp_kw": ("cp", "p_kw"),
    "soc": ("bess", "soc"),
    "fuel_l": ("dg", "fuel_l"),
}
"""What the contract calls the measurements of the kinds that it has fields for: (kind, output)."""
_NEVER_KNOWN = ("soc", "fuel_l")
_FREE = {
    "occupied": False,
    "requested_kwh": 0.0,
    "p_max_kw": 0.0,
    "plugged_s": math.nan,
    "departure_s": math.nan,
    "v2g": False,
}
"""What is known of a connector where nobody is plugged in."""


@derived
def _default_devices() -> tuple[PlacedDevice, ...]:
    """Return one device of each kind, called as its kind."""
    return tuple(PlacedDevice(kind.name, kind.name) for kind in simulated_kinds())


class _Views(Mapping):
    """The devices of a hub at one instant; each view is made on first access."""

    __slots__ = ("_age_s", "_devices", "_held")

    def __init__(self, devices: Mapping[str, tuple], held: Mapping[str, Any], age_s: Mapping[str, float]):
        self._devices = devices
        self._held = dict(held)
        self._age_s = age_s

    def __getitem__(self, name: str) -> contract.DeviceView:
        kind, ports, plates = self._devices[name]
        measured = {output: self._held[port] for output, port in ports.items() if port in self._held}
        p_kw, failed = measured.get("p_kw", math.nan), bool(measured.get("failed", False))
        return contract.DeviceView(name, kind, failed, self._age_s.get(name, 0.0), p_kw, measured, plates)

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)


class ControlledHub(Device):
    """The measurements of a hub as they have arrived, and the set points last sent to it."""

    def __init__(
        self,
        clock: Clock,
        *,
        site: contract.Site,
        sessions: KnownSessions,
        linked: bool,
        parameters: Schedule,
        forecast: Callable[..., contract.Forecast],
        records: Mapping[str, Port],
        devices: Sequence[PlacedDevice] | None = None,
        unforeseen: Sequence[str] = (),
        load_peaks_kw: Mapping[str, np.ndarray] | None = None,
        period_s: float = math.inf,
    ):
        super().__init__(clock)
        self.site = site
        self.parameters = parameters
        self._forecast = forecast
        self._records = records
        self.sessions = sessions
        # over a link nothing is known before the first message
        self._unknown = math.nan if linked else 0.0
        n = site.connector_kw.size
        self._session = np.full(n, -1)
        zero = np.zeros(n)
        placed = _default_devices() if devices is None else tuple(devices)
        self._see(placed, unforeseen)
        self.inputs = {
            "ats.bus": 1,
            "arrivals.session": self._session,
            "arrivals.faulted": np.zeros(n, dtype=bool),
            "grid.meter_a": np.zeros(3),
            "cp.connector_p_kw": zero,
            "cp.energy_kwh": zero,
            "cp.soc": np.full(n, np.nan),
            "network.v_pu": math.nan,
            "link.sampled_s": {},
            **dict.fromkeys(self._failed, False),
        }
        self._ids: tuple[str | None, ...] = (None,) * n
        self._plugged = {name: np.full(n, free) for name, free in _FREE.items()}
        self._prices = contract.Prices(*len(PRICE_PORTS) * (0.0,))
        self._min_kw, self._max_kw = -site.connector_kw, site.connector_kw
        self._scalars: tuple | None = None
        self._no_q_kvar = zero
        plates = {name: device.plates for name, device in site.devices.items()}
        self._commanded = [
            CommandedKind(kind, names, plates, load_peaks_kw or {}, period_s)
            for kind, names in self._names.items()
            if kind_of(kind).commands and kind != "cp"
        ]
        # what a controller sees is kept from decision to decision, so it must not write into it
        for values in (*self.inputs.values(), *self._plugged.values()):
            if isinstance(values, np.ndarray):
                values.setflags(write=False)

    def _see(self, placed: Sequence[PlacedDevice], unforeseen: Sequence[str]) -> None:
        """Find the ports behind the fields that the contract has for devices."""
        self._names: dict[str, tuple[str, ...]] = {}
        for device in placed:
            self._names[device.kind] = (*self._names.get(device.kind, ()), device.name)
        capacity = {name: device.plates.get("capacity_kwh", 1.0) for name, device in self.site.devices.items()}
        self._fields = []
        self._absent: dict[str, float] = {}
        for field, (kind, output) in FIELDS.items():
            if kind not in self._names:  # what is not there gives nothing, also over a link
                self._absent[field] = math.nan if field in _NEVER_KNOWN else 0.0
                continue
            names = self._names[kind]
            rule = "mean" if output == "soc" else "sum"
            weights = tuple(capacity.get(name, 1.0) for name in names)
            self._fields.append((field, tuple(f"{name}.{output}" for name in names), rule, weights))
        others = [device for device in placed if not kind_of(device.kind).contract]
        self._others = [(kind_of(device.kind).sign, f"{device.name}.p_kw") for device in others]
        self._unforeseen = [
            (kind_of(device.kind).sign, f"{device.name}.p_kw") for device in others if device.name in unforeseen
        ]
        self._failed = {f"{device.name}.failed": device.name for device in placed if kind_of(device.kind).trips}
        self._views: dict[str, tuple] = {}
        for device in placed:
            if device.kind != "cp":
                ports = {output: f"{device.name}.{output}" for _, _, output in measured_ports([device])}
                plates = self.site.devices[device.name].plates if device.name in self.site.devices else {}
                self._views[device.name] = (device.kind, ports, plates)
        self._named_kinds = {kind: names for kind, names in self._names.items() if names != (kind,)}

    def take(self, t_s: float, new: Mapping[str, Mapping[str, Any]]) -> None:
        """Store arrived measurements, and update prices and plugged-in sessions."""
        for port, sources in new.items():
            for value in sources.values():
                self.inputs[port] = value
        if not new.keys().isdisjoint(PRICE_PORTS):
            self._prices = contract.Prices(*(self.inputs.get(port, 0.0) for port in PRICE_PORTS))
        session = self.inputs["arrivals.session"]
        if session is self._session:
            return
        known, ids = self.sessions, list(self._ids)
        plugged = {name: values.copy() for name, values in self._plugged.items()}
        for i in (session != self._session).nonzero()[0].tolist():
            k = session.item(i)
            ids[i] = known.id[k] if k >= 0 else None
            now = _FREE
            if k >= 0:
                now = {
                    "occupied": True,
                    "requested_kwh": known.energy_kwh[k],
                    "p_max_kw": known.p_max_kw[k],
                    "plugged_s": t_s,
                    "departure_s": known.departure_s[k],
                    "v2g": known.v2g[k],
                }
            for name, value in now.items():
                plugged[name][i] = value
        for values in plugged.values():
            values.setflags(write=False)
        self._session, self._ids, self._plugged = session, tuple(ids), plugged

    def observation(self, t_s: float) -> contract.Hub:
        """Return what the controller sees of this hub at a time."""
        held = self.inputs
        get, unknown = held.get, self._unknown
        age_s = {device: t_s - sampled for device, sampled in held["link.sampled_s"].items()}
        failed = {name for port, name in self._failed.items() if held[port]}
        for kind, names in self._named_kinds.items():
            if age_s:
                age_s[kind] = max(age_s[name] for name in names)
            if failed.issuperset(names):
                failed.add(kind)
        measured = {
            field: get(ports[0], math.nan if field in _NEVER_KNOWN else unknown)
            if len(ports) == 1
            else self._total(field, ports, rule, weights)
            for field, ports, rule, weights in self._fields
        }
        if self._unforeseen:
            forecast = self._forecast(t_s, sum([sign * get(port, 0.0) for sign, port in self._unforeseen]))
        else:
            forecast = self._forecast(t_s)
        return contract.Hub(
            bus=held["ats.bus"],
            p_grid_kw=get("grid.meter_kw", unknown),
            p_secondary_kw=get("grid.secondary_meter_kw", unknown),
            p_load_kw=get("grid.load_meter_kw", unknown),
            i_grid_a=held["grid.meter_a"],
            **self._absent,
            **measured,
            v_pu=held["network.v_pu"],
            age_s=age_s,
            connectors=self._seen_connectors(),
            prices=self._prices,
            failed=frozenset(failed),
            parameters=self.parameters.at(t_s),
            forecast=forecast,
            devices=_Views(self._views, held, age_s),
            p_other_kw=sum([sign * get(port, unknown) for sign, port in self._others]),
        )

    def _total(self, field: str, ports: Sequence[str], rule: str, weights: Sequence[float]) -> float:
        missing = math.nan if field in _NEVER_KNOWN else self._unknown
        return total(rule, [self.inputs.get(port, missing) for port in ports], weights)

    def _seen_connectors(self) -> contract.Connectors:
        held = self.inputs
        p_kw, energy_kwh, soc = held["cp.connector_p_kw"], held["cp.energy_kwh"], held["cp.soc"]
        sampled_s = held["link.sampled_s"].get("cp")
        if sampled_s is not None and (self._plugged["plugged_s"] > sampled_s).any():
            # the last message is older than the session: it speaks of the EV before
            newer = self._plugged["plugged_s"] > sampled_s
            p_kw, energy_kwh = np.where(newer, 0.0, p_kw), np.where(newer, 0.0, energy_kwh)
            soc = np.where(newer, np.nan, soc)
        return contract.Connectors(
            **self._plugged,
            session_id=self._ids,
            faulted=held["arrivals.faulted"],
            p_kw=p_kw,
            energy_kwh=energy_kwh,
            soc=soc,
        )

    def send(self, setpoints: contract.Setpoints, numbers: tuple) -> None:
        """Send set points and their scalars, see `check`, to the plant, clipped to the ratings of the devices."""
        limit_kw = np.minimum(np.maximum(setpoints.connector_kw, self._min_kw), self._max_kw)
        self.emit("connector_limit_kw", limit_kw)
        q_kvar = setpoints.connector_q_kvar
        self.emit("connector_q_kvar", self._no_q_kvar if q_kvar is None else np.array(q_kvar))
        unchanged, self._scalars = numbers == self._scalars, numbers
        for kind in self._commanded:
            if kind.follows_state or not unchanged:
                kind.send(setpoints, self.inputs, self.emit)

    def check_records(self, values: Mapping[str, float]) -> None:
        """Raise a `ValueError` for a series of the controller's own that its class does not declare, or no number."""
        for name, value in values.items():
            if name not in self._records:
                raise ValueError(f"records has no {name!r}; the class names {', '.join(self._records) or 'none'}")
            float(value)

    def record(self, values: Mapping[str, float]) -> None:
        """Record the controller's own series; see `check_records`."""
        for name, value in values.items():
            self.emit(name, float(value))


def ports(controller: contract.Controller) -> dict[str, Port]:
    """Return the output ports of a controller's own series."""
    return {name: Port(unit, description) for name, (unit, description) in controller.records.items()}
