"""Ratings of a hub: what its controller knows of devices, grid connection and conductors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...controllers import contract
from ...controllers.circuits import Circuits
from ...simulators.ats import ats_model
from ...simulators.charge_point.charge_point_model import ConnectorParameters
from ...simulators.charge_point.charge_point_section import circuits_of, kinds_of
from ...simulators.devices import kind_of
from ...simulators.totals import weighted_mean
from ...simulators.units import W_PER_KW
from ..engines.device_commands import bound
from ..schema import scenario_schema
from ..schema.device_sections import DeviceOfHub
from .session_build import Visits


def site_of(
    hub: scenario_schema.HubSection, seen: Visits | None, secondary: ats_model.SecondarySource | None
) -> contract.Site:
    """Return the ratings of a hub, for its controller.

    Of several devices of a kind the contract has totals: ratings, energies and tanks are sums, windows of the state of
    charge and efficiencies are means weighted with the capacities, and the smallest power is that of any.

    Parameters
    ----------
    hub : HubSection
        Its section.
    seen : Visits or None
        Its sessions, with the connectors made ready for them.
    secondary : SecondarySource or None
        The source behind the ATS.

    Returns
    -------
    Site
    """
    none = np.empty(0)
    connectors = seen.connectors if seen else None
    devices = {device.name: (device.kind, plates_of(device)) for device in hub.devices()}

    def plates(kind: str) -> list[Mapping[str, float]]:
        return [values for of_kind, values in devices.values() if of_kind == kind]

    def total(kind: str, name: str) -> float:
        return sum(values[name] for values in plates(kind))

    def mean(name: str, default: float) -> float:
        """Average a rating of the batteries, weighted with their capacities."""
        return weighted_mean([values[name] for values in plates("bess")], _capacities(plates("bess")), default)

    secondary_section = hub.secondary_source()[1]

    def plate(values: np.ndarray) -> np.ndarray:
        # a copy that cannot be written: a controller must not get hold of the plant
        values = values.copy()
        values.flags.writeable = False
        return values

    return contract.Site(
        contracted_kw=hub.grid.contracted_kw,
        installed_kw=hub.grid.installed_kw or hub.grid.contracted_kw,
        nominal_v=hub.grid.nominal_v,
        secondary_kw=secondary_section.rated_kw if secondary_section else 0.0,
        secondary_reverse_kw=(secondary.reverse_trip_kw or 0.0) if secondary else 0.0,
        secondary_reverse_s=secondary.reverse_trip_s if secondary else 0.0,
        demand_per_kw=hub.tariffs.demand_per_kw,
        pv_kw=total("pv", "rated_kw"),
        bess_kw=total("bess", "rated_kw"),
        dg_kw=total("dg", "rated_kw"),
        dg_minimum_kw=min((values["minimum_kw"] for values in plates("dg")), default=0.0),
        dg_fuel_capacity_l=total("dg", "fuel_capacity_l"),
        bess_kwh=total("bess", "capacity_kwh"),
        bess_soc_min=mean("soc_min", 0.0),
        bess_soc_max=mean("soc_max", 0.0),
        bess_eta_charge=mean("eta_charge", 1.0),
        bess_eta_discharge=mean("eta_discharge", 1.0),
        connector_kw=plate(connectors.rated_kw) if connectors else none,
        connector_minimum_kw=plate(connectors.minimum_kw) if connectors else none,
        connector_phases=plate(np.where(connectors.phase >= 0, 1, 3)) if connectors else none,
        circuits=_circuits(hub.connectors, connectors),
        devices={
            name: contract.DevicePlates(kind, values, kind_of(kind).abilities, _commands(kind, values))
            for name, (kind, values) in devices.items()
            if kind_of(kind).simulator and kind != "cp"
        },
    )


def _commands(kind: str, plates: Mapping[str, float]) -> dict[str, contract.CommandRange]:
    """Return the set points that a device takes by its name, by input."""
    return {
        command.port: contract.CommandRange(
            command.unit, bound(command.low, [plates]), bound(command.high, [plates]), command.neutral
        )
        for command in kind_of(kind).commands
        if command.width is None
    }


def plates_of(device: DeviceOfHub) -> dict[str, float]:
    """Return the ratings of a device, by the names that its kind declares."""
    return kind_of(device.kind).plates_of(device.section)


def _capacities(plates: Iterable[Mapping[str, float]]) -> list[float]:
    return [values["capacity_kwh"] for values in plates]


def _circuits(section: scenario_schema.Connectors | None, connectors: ConnectorParameters | None) -> Circuits:
    """Limits of a site as a matrix: amperes at each limit for a kilowatt at each connector, then those of cabinets."""
    if connectors is None:
        return Circuits.none(0)
    of_currents, of_cabinets = _current_limits(section), connectors.cabinets
    shared = np.zeros((len(of_cabinets), connectors.rated_kw.size), dtype=complex)
    for row, cabinet in enumerate(of_cabinets):
        shared[row, cabinet.members] = 1.0
    a_per_kw = np.vstack([of_currents.a_per_kw, shared])
    limit_a = np.append(of_currents.limit_a, [cabinet.limit_kw for cabinet in of_cabinets])
    for array in (a_per_kw, limit_a):
        array.flags.writeable = False
    return Circuits((*of_currents.name, *(cabinet.name for cabinet in of_cabinets)), a_per_kw, limit_a, of_cabinets)


def _current_limits(section: scenario_schema.Connectors | None) -> Circuits:
    circuits, kinds = circuits_of(section), kinds_of(section)
    counts = [kind.count for kind in kinds]
    if circuits is None:
        return Circuits.none(sum(counts))
    phases = np.repeat([kind.phases for kind in kinds], counts)
    a_per_kw = np.zeros((len(circuits.limits), sum(counts)), dtype=complex)
    for group, conductors in circuits.groups.items():
        columns = np.array(conductors.connectors) - 1
        of_each = W_PER_KW / (phases[columns] * circuits.voltage_v) * np.exp(1j * np.deg2rad(conductors.angle_deg))
        for row, limit in enumerate(circuits.limits):
            a_per_kw[row, columns] = limit.sum.get(group, 0.0) * of_each
    limit_a = np.array([limit.limit_a for limit in circuits.limits])
    return Circuits(tuple(limit.name for limit in circuits.limits), a_per_kw, limit_a)
