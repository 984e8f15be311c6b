"""Laws that hold in every run with any controller: power balance, states of charge, ratings, no power on a dead bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from .findings import Finding, shown, spelled, worst

if TYPE_CHECKING:
    from ..results.result_reader import Results

ROUNDING = 1e-6
"""Tolerance for rounding errors, in kW and as state of charge."""


@dataclass(frozen=True)
class Plates:
    """Ratings of the devices of a hub, as on their nameplates.

    Parameters
    ----------
    devices : mapping of str to mapping of str to float
        By name of the device: ``p_min_kw`` and ``p_max_kw`` bound its power [kW], ``soc_min`` and ``soc_max`` its state
        of charge; what is left out is not bounded.
    connector_kw : float or array, shape (n,)
        Largest power of each connector, both ways [kW].
    cabinets : mapping of str to (sequence of int, float)
        By name: places of the connectors that share it, and what it gives them together [kW].
    """

    devices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    connector_kw: float | np.ndarray = inf
    cabinets: Mapping[str, tuple[Sequence[int], float]] = field(default_factory=dict)


def balance(results: Results, hub: str, plates: Plates) -> Finding | None:
    """Check that sources equal load plus charging at every instant [kW]."""
    t_s, powers = _powers(results, hub)
    if not powers:
        return None
    devices = results.devices(hub)
    left_kw = np.asarray(sum(devices[name].sign * np.nan_to_num(p_kw) for name, p_kw in powers.items()))
    k = int(np.argmax(np.abs(left_kw)))
    if abs(left_kw[k]) <= ROUNDING:
        return None
    text = f"the powers of {hub} do not balance at {spelled(t_s[k])}: {shown(left_kw[k], 'kW')} more comes than goes"
    return Finding(text, float(t_s[k]), float(left_kw[k]), float(abs(left_kw[k])))


def soc_bounds(results: Results, hub: str, plates: Plates) -> Finding | None:
    """Check that every battery stays within its state-of-charge limits and every EV within 0 and 1."""
    limits = [
        (f"{name}/soc", device.get("soc_min", 0.0), device.get("soc_max", 1.0))
        for name, device in plates.devices.items()
    ]
    limits.append(("cp/soc", 0.0, 1.0))
    return worst([fault for path, *ends in limits for fault in _outside(results, f"{hub}/{path}", *ends)])


def ratings(results: Results, hub: str, plates: Plates) -> Finding | None:
    """Check that the power of every device, connector and cabinet stays within its ratings."""
    limits: list[tuple[str, Any, Any]] = [
        (f"{name}/p_kw", device.get("p_min_kw", -inf), device.get("p_max_kw", inf))
        for name, device in plates.devices.items()
    ]
    limits.append(("cp/connector_p_kw", -plates.connector_kw, plates.connector_kw))
    faults = [fault for path, *ends in limits for fault in _outside(results, f"{hub}/{path}", *ends)]
    return worst(faults + _beyond_cabinets(results, f"{hub}/cp/connector_p_kw", plates))


def dead_bus(results: Results, hub: str, plates: Plates) -> Finding | None:
    """Check that no power flows while the ATS connects the bus to no source."""
    from ..results.hub_signals import hub_powers

    if not results.has(f"{hub}/ats/bus"):
        return None
    t_s, signals, others = hub_powers(results, hub, {"bus": "ats/bus"})
    dead = others["bus"] == 0
    if not dead.any():
        return None
    faults = []
    for device, p_kw in signals.items():
        flows = np.where(dead, np.abs(np.nan_to_num(p_kw)), 0.0)
        k = int(np.argmax(flows))
        if flows[k] > ROUNDING:
            text = f"{hub}/{device} has {shown(p_kw[k], 'kW')} at {spelled(t_s[k])} on a dead bus"
            faults.append(Finding(text, float(t_s[k]), float(p_kw[k]), float(flows[k])))
    return worst(faults)


INVARIANTS: dict[str, Callable[[Results, str, Plates], Finding | None]] = {
    "balance": balance,
    "soc_bounds": soc_bounds,
    "ratings": ratings,
    "dead_bus": dead_bus,
}
"""The laws by their names in scenario files; each checks one hub."""


def _powers(results: Results, hub: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from ..results.hub_signals import hub_powers  # pandas takes longer to import than a scenario takes to read

    return hub_powers(results, hub)[:2]


def _outside(results: Results, path: str, low: Any, high: Any) -> list[Finding]:
    """Return the largest violation of bounds by a signal, or by any element of an array; empty if there is none."""
    if not results.has(path):
        return []
    t_s, values = results.arrays(path)
    columns = values.reshape(len(values), -1)
    outside = np.nan_to_num(np.maximum(columns - high, low - columns), nan=-inf)
    k, column = np.unravel_index(int(np.argmax(outside)), outside.shape)
    if outside[k, column] <= ROUNDING:
        return []
    unit = results.spec(path).unit
    which = "" if values.ndim == 1 else f" element {column + 1}"
    value = float(columns[k, column])
    low, high = (float(np.broadcast_to(bound, columns.shape[1])[column]) for bound in (low, high))
    text = f"{path}{which} is {shown(value, unit)} at {spelled(t_s[k])}, must be {low:g} to {shown(high, unit)}"
    return [Finding(text, float(t_s[k]), value, float(outside[k, column]))]


def _beyond_cabinets(results: Results, path: str, plates: Plates) -> list[Finding]:
    """Where connectors together draw or feed most above what the cabinet has that they share, if at all."""
    if not plates.cabinets or not results.has(path):
        return []
    t_s, values = results.arrays(path)
    faults = []
    for name, (members, limit_kw) in plates.cabinets.items():
        total_kw = np.abs(values[:, list(members)]).sum(axis=1)
        k = int(np.argmax(total_kw))
        if total_kw[k] > limit_kw + ROUNDING:
            text = f"{path} of the cabinet of {name} is {shown(total_kw[k], 'kW')} together at {spelled(t_s[k])}"
            text += f", must be at most {shown(limit_kw, 'kW')}"
            faults.append(Finding(text, float(t_s[k]), float(total_kw[k]), float(total_kw[k] - limit_kw)))
    return faults
