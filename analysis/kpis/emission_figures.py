"""CO2 of the energy that a hub imports or generates from fuel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...simulators.devices import kinds
from .cost_figures import powers_of_devices
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, part
from .kpi_formulas import energy, positive


def emissions(
    t_s: np.ndarray,
    powers_kw: Mapping[str, np.ndarray | Sequence[np.ndarray]],
    intensities: Mapping[str, np.ndarray],
    end_s: float,
) -> dict[str, float]:
    """Compute the CO2 of the energy that a hub imports or generates from fuel [kg].

    Energy that is exported is credited to nobody (GHG Protocol, scope 2 for ``grid``, scope 1 for ``fuel``).

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    powers_kw : mapping of str to array, shape (k,), or to a list of arrays
        By kind of device, and ``grid`` [kW].
    intensities : mapping of str to array, shape (k,)
        Any of grid and fuel [kg/kWh].
    end_s : float
        End of the signals [s].

    Returns
    -------
    dict of str to float
        ``grid`` (import times the intensity of its time), ``fuel`` (of the kinds of device that burn it), and their sum
        ``total``. What has no intensity or no power is left out; empty where nothing is known.
    """
    amounts_kg: dict[str, float] = {}
    for name, sources in (("grid", ["grid"]), ("fuel", [kind.name for kind in kinds() if kind.burns])):
        powers = [
            positive(p_kw) for source in sources if source in powers_kw for p_kw in powers_of_devices(powers_kw[source])
        ]
        if powers and name in intensities:
            amounts_kg[name] = sum(energy(t_s, p_kw * intensities[name], end_s) for p_kw in powers)
    if amounts_kg:
        amounts_kg["total"] = sum(amounts_kg.values())
    return amounts_kg


def _emitted_kg(hub: HubRun) -> dict[str, float]:
    return emissions(hub.t_s, hub.by_kind, hub.intensities, hub.end_s) if hub.powers else {}


def _figures() -> tuple[KeyFigure, ...]:
    return (
        KeyFigure(
            "co2_grid_kg",
            "kg",
            "CO2 of grid import",
            part(_emitted_kg, "grid"),
            "less",
            description="Import through the PCC times the intensity of the grid at that time (scope 2).",
        ),
        KeyFigure(
            "co2_fuel_kg",
            "kg",
            "CO2 of fuel",
            part(_emitted_kg, "fuel"),
            "less",
            description="Energy of the generator and of the secondary source times `fuel_kg_per_kwh` (scope 1).",
        ),
        KeyFigure("co2_kg", "kg", "CO2", part(_emitted_kg, "total"), "less", description="Both."),
    )


EMISSIONS = KeyFigureGroup(
    "emissions",
    "Where a hub has `emissions` in the scenario. Every kWh emits what the intensity of its time says; export is "
    "credited to nobody (GHG Protocol Scope 2 Guidance 2015, location-based). What is embodied in devices and what "
    "PV emits are not counted.",
    _figures,
)
