"""Priorities of vehicles when not all can be served, and the changes that follow from them (450, 460)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...simulators.units import S_PER_MIN
from ..optimization.blocks.time_steps import Steps
from .ems_parameters import FleetVehicle, Weights
from .ems_schedule import Demand

_PURPOSES = ("other", "service", "transit", "emergency")
_SMALL_KWH = 0.5
"""Less than this is not worth a word [kWh]."""
_SMALL_SHIFT_S = 15 * S_PER_MIN
"""Nor is a shift by less [s]."""


@dataclass(frozen=True)
class PriorityRank:
    """The priority of a vehicle.

    Parameters
    ----------
    priority : float
        0 to 10, 10 is highest.
    critical : bool
        It comes before all that are not.
    reason : str
        What made it so.
    """

    priority: float
    critical: bool
    reason: str

    @property
    def weight(self) -> float:
        """Factor on the cost of energy that it is not given: 1 to 10, and a hundred times that if it is critical."""
        return 10.0 ** (self.priority / 10.0) * (100.0 if self.critical else 1.0)


def ranks(
    demands: Sequence[Demand], vehicles: Mapping[str, FleetVehicle], weights: Weights, now_s: float
) -> list[PriorityRank]:
    """Rank vehicles by purpose, route, departure, flexibility and state of charge (patent, paragraph 64).

    Less flexible ranks higher: the text says so in all places but one.

    Parameters
    ----------
    demands : sequence of Demand
        The charging schedule.
    vehicles : mapping of str to Vehicle
        What the operator knows; a priority set by hand stays.
    weights : Weights
        What counts how much.
    now_s : float
        Now [s].

    Returns
    -------
    list of PriorityRank
        One for each demand.
    """
    known = [vehicles.get(demand.name, FleetVehicle()) for demand in demands]
    longest = max((vehicle.route_km for vehicle in known), default=0.0) or 1.0
    latest_s = max((demand.departure_s - now_s for demand in demands), default=0.0) or 1.0
    ranked = []
    for demand, vehicle in zip(demands, known, strict=True):
        parts = {
            "purpose": _PURPOSES.index(vehicle.purpose) / (len(_PURPOSES) - 1),
            "route": vehicle.route_km / longest,
            "departure": 1.0 - (demand.departure_s - now_s) / latest_s,
            "flexibility": 1.0 - demand.flexibility,
            "soc": 1.0 - demand.soc if np.isfinite(demand.soc) else 0.5,
        }
        share = weights.model_dump()
        value = 10.0 * sum(share[item] * part for item, part in parts.items()) / sum(share.values())
        main_part = max(parts, key=lambda item: share[item] * parts[item])
        reason = f"priority {value:.1f}, mostly by its {main_part}"
        if vehicle.priority is not None:
            value, reason = vehicle.priority, f"priority {vehicle.priority:g}, set by hand"
        ranked.append(PriorityRank(value, vehicle.critical, f"critical, {reason}" if vehicle.critical else reason))
    return ranked


@dataclass(frozen=True)
class Change:
    """The change of the schedule of one vehicle.

    Parameters
    ----------
    reduced_kwh, later_kwh : float
        Energy that it is not given, and energy that is put off until after the window [kWh].
    shifted_s : float
        How much later it is charged on average [s]; negative is earlier.
    """

    reduced_kwh: float = 0.0
    later_kwh: float = 0.0
    shifted_s: float = 0.0

    def is_news(self, reported: Change) -> bool:
        """Return whether the change differs enough from the last one that was reported."""
        moved = self.shifted_s * reported.shifted_s <= 0.0 and self.shifted_s != 0.0
        changed = max(abs(self.reduced_kwh - reported.reduced_kwh), abs(self.later_kwh - reported.later_kwh))
        return moved or changed > 10.0 * _SMALL_KWH

    def text(self, demand: Demand, rank: PriorityRank) -> str:
        """Describe the change, and its reason."""
        parts = []
        if self.reduced_kwh:
            parts.append(f"reduced by {self.reduced_kwh:.1f} of {demand.energy_kwh:.1f} kWh")
        if self.later_kwh:
            parts.append(f"{self.later_kwh:.1f} kWh put off until after the window")
        if self.shifted_s:
            minutes = abs(self.shifted_s) / S_PER_MIN
            parts.append(f"shifted {'later' if self.shifted_s > 0.0 else 'earlier'} by {minutes:.0f} min on average")
        return f"{demand.name}: {', '.join(parts) or 'served in full again'} ({rank.reason})"


def change(demand: Demand, before_kw: np.ndarray, after_kw: np.ndarray, steps: Steps) -> Change:
    """Compare two schedules of a vehicle.

    Parameters
    ----------
    demand : Demand
        What it needs.
    before_kw, after_kw : ndarray, shape (k,)
        Its charging before and after the adjustment [kW].
    steps : Steps
        The window.

    Returns
    -------
    Change
    """
    energy = [float((kw * steps.hours).sum()) for kw in (before_kw, after_kw)]
    missing_kwh = demand.energy_kwh - energy[1]
    later_kwh = min(missing_kwh, demand.later_kwh)
    shifted_s = 0.0
    if min(energy) > _SMALL_KWH:
        before_s, after_s = (
            float((kw * steps.hours) @ steps.edges_s[:-1]) / kwh
            for kw, kwh in zip((before_kw, after_kw), energy, strict=True)
        )
        shifted_s = after_s - before_s if abs(after_s - before_s) >= _SMALL_SHIFT_S else 0.0
    return Change(
        missing_kwh - later_kwh if missing_kwh - later_kwh > _SMALL_KWH else 0.0,
        later_kwh if later_kwh > _SMALL_KWH else 0.0,
        shifted_s,
    )
