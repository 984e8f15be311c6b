"""Laws that hold in every run, whoever controls it: power balance, states of charge, ratings, a dead bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from .findings import Fault, shown, spelled, worst

if TYPE_CHECKING:
    from ..results.result_reader import Results

ROUNDING = 1e-6
"""What arithmetic may lose, in kW and as state of charge."""

_SIGNS = {"grid": 1, "secondary": 1, "pv": 1, "bess": 1, "dg": 1, "load": -1, "cp": -1}


@dataclass(frozen=True)
class Plates:
    """What is written on the devices of a hub; infinite where there is no such device.

    Parameters
    ----------
    pv_kw, bess_kw, dg_kw, connector_kw : float
        Largest power of PV, battery (both ways), generator, and of each connector (both ways) [kW].
    soc_min, soc_max : float
        Window of the battery's state of charge.
    """

    pv_kw: float = inf
    bess_kw: float = inf
    dg_kw: float = inf
    connector_kw: float = inf
    soc_min: float = 0.0
    soc_max: float = 1.0


def balance(results: Results, hub: str, plates: Plates) -> Fault | None:
    """Sources = load + charging, at every instant [kW]."""
    t_s, powers = _powers(results, hub)
    if not powers:
        return None
    left_kw = np.asarray(sum(_SIGNS[device] * np.nan_to_num(p_kw) for device, p_kw in powers.items()))
    k = int(np.argmax(np.abs(left_kw)))
    if abs(left_kw[k]) <= ROUNDING:
        return None
    text = f"the powers of {hub} do not balance at {spelled(t_s[k])}: {shown(left_kw[k], 'kW')} more comes than goes"
    return Fault(text, float(t_s[k]), float(left_kw[k]), float(abs(left_kw[k])))


def soc_bounds(results: Results, hub: str, plates: Plates) -> Fault | None:
    """The battery stays in its window, every EV between empty and full."""
    limits = (("bess/soc", plates.soc_min, plates.soc_max), ("cp/soc", 0.0, 1.0))
    return worst([fault for path, *ends in limits for fault in _outside(results, f"{hub}/{path}", *ends)])


def ratings(results: Results, hub: str, plates: Plates) -> Fault | None:
    """No device gives or takes more than it is rated for; sources take nothing."""
    limits = (
        ("pv/p_kw", 0.0, plates.pv_kw),
        ("bess/p_kw", -plates.bess_kw, plates.bess_kw),
        ("dg/p_kw", 0.0, plates.dg_kw),
        ("cp/connector_p_kw", -plates.connector_kw, plates.connector_kw),
    )
    return worst([fault for path, *ends in limits for fault in _outside(results, f"{hub}/{path}", *ends)])


def dead_bus(results: Results, hub: str, plates: Plates) -> Fault | None:
    """While the ATS leaves the bus without a source, nothing flows."""
    from ..results.hub_signals import POWERS, hub_signals

    if not results.has(f"{hub}/ats/bus"):
        return None
    t_s, signals = hub_signals(results, hub, {**POWERS, "bus": "ats/bus"})
    dead = signals.pop("bus") == 0
    if not dead.any():
        return None
    faults = []
    for device, p_kw in signals.items():
        flows = np.where(dead, np.abs(np.nan_to_num(p_kw)), 0.0)
        k = int(np.argmax(flows))
        if flows[k] > ROUNDING:
            text = f"{hub}/{device} has {shown(p_kw[k], 'kW')} at {spelled(t_s[k])} on a dead bus"
            faults.append(Fault(text, float(t_s[k]), float(p_kw[k]), float(flows[k])))
    return worst(faults)


INVARIANTS: dict[str, Callable[[Results, str, Plates], Fault | None]] = {
    "balance": balance,
    "soc_bounds": soc_bounds,
    "ratings": ratings,
    "dead_bus": dead_bus,
}
"""Every law by its name in scenario files; each looks at one hub."""


def _powers(results: Results, hub: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from ..results.hub_signals import POWERS, hub_signals  # pandas takes longer to import than a scenario takes to read

    return hub_signals(results, hub, POWERS)


def _outside(results: Results, path: str, least: float, most: float) -> list[Fault]:
    """Where a signal is farthest out of its bounds, if at all; of an array, any of its elements."""
    if not results.has(path):
        return []
    t_s, values = results.arrays(path)
    columns = values.reshape(len(values), -1)
    outside = np.nan_to_num(np.maximum(columns - most, least - columns), nan=-inf)
    k, column = np.unravel_index(int(np.argmax(outside)), outside.shape)
    if outside[k, column] <= ROUNDING:
        return []
    unit = results.spec(path).unit
    which = "" if values.ndim == 1 else f" element {column + 1}"
    value = float(columns[k, column])
    told = f"{path}{which} is {shown(value, unit)} at {spelled(t_s[k])}, must be {least:g} to {shown(most, unit)}"
    return [Fault(told, float(t_s[k]), value, float(outside[k, column]))]
