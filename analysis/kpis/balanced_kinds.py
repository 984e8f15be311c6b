"""The kinds of devices whose powers balance at a hub bus, and the layers of their powers."""

from __future__ import annotations

import numpy as np

from ...simulators.device_kind import DeviceKind, Layer
from ...simulators.devices import derived, kinds
from .kpi_formulas import negative, positive

_PARTS = {"positive": positive, "negative": negative}
_GRID = DeviceKind(
    "grid",
    +1,
    "grid",
    "#0072B2",
    section="",
    layers=(
        Layer("positive", "grid import", "import_kwh", "grid import", source=True, place=60, logged="grid_import_kwh"),
        Layer("negative", "grid export", "export_kwh", "grid export", source=False, place=60, logged="grid_export_kwh"),
    ),
)
"""The grid, which is no device, as a kind for the power balance."""
_TABLE_ORDER = ("pv", "grid", "secondary", "dg", "bess", "load", "cp")
"""Order of the energies in the table, by kind of device; those of further kinds follow."""


@derived
def balanced_kinds() -> dict[str, DeviceKind]:
    """Return the grid and the kinds of devices, whose powers balance at a hub bus, by name in their order."""
    return {"grid": _GRID, **{kind.name: kind for kind in kinds()}}


def kinds_in_table_order() -> list[DeviceKind]:
    """Return the grid and the kinds of devices in the order of the table of key figures."""
    order = [*_TABLE_ORDER, *(name for name in balanced_kinds() if name not in _TABLE_ORDER)]
    return [balanced_kinds()[name] for name in order]


def layers_of(kind: str, sign: int) -> tuple[Layer, ...]:
    """Return the layers of a device's power; both directions for a kind that is not registered here."""
    if kind in balanced_kinds():
        return balanced_kinds()[kind].layers
    feeds, draws = (f"{kind} feeding in", f"{kind} drawing") if sign > 0 else (f"{kind} feeding back", kind)
    return (
        Layer("positive" if sign > 0 else "negative", feeds, f"{kind}_out_kwh", feeds, source=True),
        Layer("negative" if sign > 0 else "positive", draws, f"{kind}_in_kwh", draws, source=False),
    )


def part_of(layer: Layer, p_kw: np.ndarray) -> np.ndarray:
    """Return the part of a power that a layer stands for, >= 0 [kW]."""
    return _PARTS[layer.part](p_kw)
