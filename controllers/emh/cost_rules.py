"""Cost rules 1 and 2: power of battery, generator and charge point by tariffs (Leal et al. 2024, section 3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class CostDispatch(NamedTuple):
    """References of a connected hub [kW]."""

    bess_kw: float
    """> 0 discharges."""
    dg_kw: float
    cp_kw: float


@dataclass(frozen=True, slots=True)
class Battery:
    """The limits of the battery that the cost rules keep.

    Parameters
    ----------
    discharge_kw, slow_kw : float
        Most it discharges, and slow charging [kW].
    may_discharge, may_charge : bool
        The minimal criteria.
    last_kw : float
        Its last reference, > 0 discharges [kW].
    """

    discharge_kw: float
    slow_kw: float
    may_discharge: bool
    may_charge: bool
    last_kw: float

    def cover(self, deficit_kw: float) -> float:
        """Return the reference that covers a deficit [kW].

        Where discharging is not allowed, a battery that is charging slowly goes on if it may; otherwise it rests.
        """
        if self.may_discharge:
            return min(self.discharge_kw, deficit_kw)
        return max(min(self.last_kw, 0.0), -self.slow_kw) if self.may_charge else 0.0

    def store(self, surplus_kw: float) -> float:
        """Return the reference that stores a surplus at slow charging power [kW]."""
        return -max(0.0, min(self.slow_kw, surplus_kw)) if self.may_charge else 0.0


def rule_1(need_kw: float, room_kw: float, pv_kw: float, charging_pays: bool, battery: Battery) -> CostDispatch:
    """Dispatch a hub whose generator costs as much as the grid or more: the generator rests.

    Parameters
    ----------
    need_kw : float
        What the busy connectors could draw [kW].
    room_kw : float
        Limit of the import less the local load [kW].
    pv_kw : float
        Measured PV power [kW]; it is never counted for the connectors.
    charging_pays : bool
        EV drivers pay more than the use of the battery costs.
    battery : Battery

    Returns
    -------
    CostDispatch
    """
    if need_kw <= room_kw:
        return _within(need_kw, room_kw, pv_kw, battery)
    bess_kw = battery.cover(need_kw - room_kw) if charging_pays else battery.store(pv_kw)
    return CostDispatch(bess_kw, 0.0, _allowed(need_kw, room_kw + bess_kw))


def rule_2(
    need_kw: float, room_kw: float, pv_kw: float, charging_pays: bool, battery: Battery, dg_kw: float
) -> CostDispatch:
    """Dispatch a hub whose generator is cheaper than the grid: it covers what battery and grid cannot.

    Parameters
    ----------
    need_kw, room_kw, pv_kw, charging_pays, battery
        See `rule_1`.
    dg_kw : float
        Most the generator gives [kW]; 0 where its criteria forbid it.

    Returns
    -------
    CostDispatch
    """
    if need_kw <= room_kw:
        return _within(need_kw, room_kw, pv_kw, battery)
    if charging_pays:
        bess_kw = battery.cover(need_kw - room_kw)
        dg_kw = min(dg_kw, max(0.0, need_kw - bess_kw - room_kw))
    else:
        bess_kw = battery.store(pv_kw)
        dg_kw = min(dg_kw, need_kw - room_kw)
    return CostDispatch(bess_kw, dg_kw, _allowed(need_kw, room_kw + bess_kw + dg_kw))


def _within(need_kw, room_kw, pv_kw, battery):
    return CostDispatch(battery.store(room_kw - need_kw + pv_kw), 0.0, need_kw)


def _allowed(need_kw, kw):
    return max(0.0, min(need_kw, kw))
