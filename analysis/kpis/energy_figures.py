"""Energies of a hub: of every kind of device, losses, and how much of its own PV a hub uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...simulators.devices import derived
from . import step_signals
from .balanced_kinds import kinds_in_table_order, layers_of, part_of
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, part, ratio
from .kpi_formulas import energy, negative, positive


def self_consumption(t_s: np.ndarray, pv_kw: np.ndarray, grid_kw: np.ndarray, end_s: float) -> tuple[float, float]:
    """Compute the PV energy that was not exported and the whole PV energy [kWh]; self-consumption is their ratio.

    At every instant, export counts as PV power up to the PV power: the rest is `pv - min(pv, export)`.
    """
    exported = np.minimum(pv_kw, negative(grid_kw))
    return energy(t_s, pv_kw - exported, end_s), energy(t_s, pv_kw, end_s)


def self_sufficiency(
    t_s: np.ndarray, demand_kw: np.ndarray, import_kw: np.ndarray, end_s: float
) -> tuple[float, float]:
    """Compute the demand that was not met from outside and the whole demand [kWh]; self-sufficiency is their ratio.

    Demand is load and charging; import is what grid and secondary source deliver. At every instant import meets demand
    first, so that energy which charges a battery from the grid counts as the battery's when it is discharged.
    """
    demand = positive(demand_kw)
    return energy(t_s, demand - np.minimum(demand, positive(import_kw)), end_s), energy(t_s, demand, end_s)


def energies(hub: HubRun) -> dict[str, float]:
    """Compute the energies of the devices of a hub, and those that ratios need [kWh]; empty where it has no power."""
    if not hub.powers:
        return {}
    t_s, end_s, by_kind = hub.t_s, hub.end_s, hub.by_kind
    kind_signs = {hub.kinds[name]: hub.signs[name] for name in hub.powers}
    values = {
        layer.energy: sum(energy(t_s, part_of(layer, p_kw), end_s) for p_kw in device_powers)
        for kind, device_powers in by_kind.items()
        for layer in layers_of(kind, kind_signs[kind])
        if layer.energy
    }
    zero = np.zeros(len(t_s))
    known = {name: np.nan_to_num(p_kw) for name, p_kw in hub.powers.items()}
    total = {
        kind: sum((np.nan_to_num(p_kw) for p_kw in device_powers), zero) for kind, device_powers in by_kind.items()
    }

    def of(kind: str) -> np.ndarray:
        return total.get(kind, zero)

    demand = of("load") + positive(of("cp"))
    bought = positive(of("grid")) + positive(of("secondary"))
    fed = sum((known[name] for name in known if hub.signs[name] > 0), zero)
    drawn = sum((known[name] for name in known if hub.signs[name] < 0), zero)
    values["losses_kwh"] = energy(t_s, fed - drawn, end_s)
    values["own_kwh"], values["demand_kwh"] = self_sufficiency(t_s, demand, bought, end_s)
    if "pv" in by_kind:
        values["pv_used_kwh"], _ = self_consumption(t_s, of("pv"), of("grid"), end_s)
    return values


def _curtailed_kwh(hub: HubRun) -> float | None:
    used, available = hub.read("pv/p_kw"), hub.read("pv/p_available_kw")
    if used is None or available is None:
        return None
    t_s = step_signals.union([used[0], available[0]])
    unused = step_signals.hold(*available, t_s) - step_signals.hold(*used, t_s)
    return energy(t_s, positive(unused), hub.end_s)


_DESCRIPTIONS: Mapping[str, str] = {
    "pv_kwh": "Energy of the PV plant.",
    "import_kwh": "Through the PCC into the hub; each direction by itself.",
    "export_kwh": "Through the PCC out of the hub; each direction by itself.",
    "secondary_kwh": "Energy of the secondary source behind the ATS.",
    "dg_kwh": "Energy of the generator.",
    "bess_out_kwh": "Discharged, at the grid side of the converter.",
    "bess_in_kwh": "Charged, at the grid side of the converter.",
    "load_kwh": "Energy of the local load.",
    "charging_kwh": "Into EVs.",
    "v2g_kwh": "Back from EVs.",
}


@derived
def _figures() -> tuple[KeyFigure, ...]:
    rows = [
        KeyFigure(
            layer.energy,
            "kWh",
            layer.text,
            part(energies, layer.energy),
            description=_DESCRIPTIONS.get(layer.energy, f"Energy of devices of the kind {kind.name}."),
        )
        for kind in kinds_in_table_order()
        for layer in kind.layers
        if layer.energy
    ]
    place = 1 + next(n for n, row in enumerate(rows) if row.name == "pv_kwh")
    return (
        *rows[:place],
        KeyFigure(
            "pv_curtailed_kwh",
            "kWh",
            "PV energy curtailed",
            _curtailed_kwh,
            "less",
            description="PV power that was there and not used.",
        ),
        *rows[place:],
        KeyFigure(
            "losses_kwh",
            "kWh",
            "losses (balance)",
            part(energies, "losses_kwh"),
            description="What the sources give more than the loads take.",
        ),
        KeyFigure(
            "self_consumption",
            "%",
            "self-consumption of PV",
            ratio(energies, "pv_used_kwh", "pv_kwh"),
            "more",
            "ratio",
            description="PV energy that does not leave through the PCC, of all PV energy. At every instant export "
            "counts as PV's as far as there is PV (Luthander et al. 2015, with the battery on the side of the load).",
        ),
        KeyFigure(
            "self_sufficiency",
            "%",
            "self-sufficiency",
            ratio(energies, "own_kwh", "demand_kwh"),
            "more",
            "ratio",
            description="Share of load and charging not met from outside (grid and secondary source). At every instant "
            "import meets demand first; what the battery held at the start counts as own.",
        ),
    )


ENERGY = KeyFigureGroup(
    "energy",
    "Every kind of device has a row for each direction that the kind names, also wind and what packages declare; "
    "several devices of a kind are added up. Where a result has devices of a package that is not installed here, "
    "their rows are `KIND_out_kwh` and `KIND_in_kwh`.",
    _figures,
)
