"""Set points from a plan and measurements: stage IV, or basic control in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite

import numpy as np

from ...simulators.units import energy_kwh, power_kw
from .. import contract
from .decision_table import (
    BASIC,
    TABLE,
    Action,
    Charging,
    Deviation,
    Price,
    Subsidy,
    TableSituation,
    control,
    min_charging_kw,
    storage_limits,
)
from .ievcs_parameters import IevcsParameters
from .ievcs_prices import accepting
from .ievcs_schedule import CONTROLLABLE, GENERAL, SHIFTABLE, IevcsSchedule

_CUT_KW = 1e-6
_WAITING_KWH = 1e-3
_AS_PLANNED = 0.1
"""An EV whose power differs by no more than this share of its rating from the plan follows it."""
_FACTORS = 0.2, 5.0
"""The load may be so much less and more than was expected; beyond that the meter is not believed."""


@dataclass
class LoadAccount:
    """The account of the load by class; one meter shows only their sum.

    Attributes
    ----------
    backlog_kwh : float
        Shiftable energy that was put off [kWh].
    limit_kw : ndarray, shape (4,)
        Limits in force [kW].
    factor : float
        What the load is of what was expected.
    """

    backlog_kwh: float = 0.0
    limit_kw: np.ndarray = field(default_factory=lambda: np.full(4, inf))
    factor: float = 1.0
    _put_off_kw: float = 0.0

    def ahead_kwh(self, dt_s: float) -> float:
        """Return the energy that will be put off after a time [s] with what was decided last [kWh]."""
        return max(self.backlog_kwh + energy_kwh(self._put_off_kw, dt_s), 0.0)

    def advance(self, dt_s: float) -> None:
        """Advance the account of postponed energy by a time [s]."""
        self.backlog_kwh = self.ahead_kwh(dt_s)

    def wanted_kw(self, demand_kw: np.ndarray, recovery_kw: float) -> np.ndarray:
        """Return the demand of the classes [kW], shape (4,), plus the power that serves postponed energy."""
        waits = self.backlog_kwh > _WAITING_KWH
        return demand_kw + np.where(np.arange(4) == SHIFTABLE, recovery_kw * waits, 0.0)

    def measure(self, p_load_kw: float, demand_kw: np.ndarray, recovery_kw: float) -> None:
        """Update the demand of the classes [kW], shape (4,), from the meter [kW].

        Classes that run at their limit say nothing of their demand.
        """
        wanted_kw = self.wanted_kw(demand_kw, recovery_kw)
        limited = self.limit_kw < wanted_kw
        free_kw = float(demand_kw[~limited].sum())
        if np.isfinite(p_load_kw) and free_kw > 0.0:
            rest_kw = p_load_kw - float(self.limit_kw[limited].sum() + (wanted_kw - demand_kw)[~limited].sum())
            if _FACTORS[0] <= rest_kw / free_kw <= _FACTORS[1]:
                self.factor = rest_kw / free_kw

    def decided(self, limit_kw: np.ndarray, demand_kw: float, served_kw: float) -> None:
        """Store the limits [kW], and the shiftable load [kW] that they postpone."""
        self.limit_kw = limit_kw
        self._put_off_kw = demand_kw - served_kw


@dataclass(frozen=True)
class Followed:
    """Set points that follow a plan, and how they were found.

    Parameters
    ----------
    setpoints : Setpoints
    dif_kw : float
        Deviation from the plan, > 0: more is generated [kW].
    action : Action
        What was done about it.
    """

    setpoints: contract.Setpoints
    dif_kw: float
    action: Action


def follow(
    site: contract.Site,
    hub: contract.Hub,
    parameters: IevcsParameters,
    schedule: IevcsSchedule,
    account: LoadAccount,
    raised: bool,
    t_s: float,
    midnight_s: float,
    period_s: float,
    import_kw: float,
) -> Followed:
    """Follow a plan, and balance the deviations from it.

    Parameters
    ----------
    site, hub, parameters : Site, Hub, IevcsParameters
        The hub, on the grid.
    schedule : IevcsSchedule
        The plan in force.
    account : LoadAccount
        Of the load; takes note of the new limits.
    raised : bool
        Whether stage II has raised the subsidy.
    t_s, midnight_s : float
        Now, within the plan, and the end of the day [s since the start].
    period_s : float
        Time between decisions [s].
    import_kw : float
        Most that contract and feeder allow [kW].

    Returns
    -------
    Followed
    """
    k = schedule.step(t_s)
    if k is None:
        raise ValueError(f"{t_s:g} s is outside the plan")
    plan = schedule.plan
    waits_kw = _may_wait_kw(parameters, account, t_s, midnight_s, period_s)
    limit_kw, served_kw, demand_kw = _load(schedule, parameters, account, k, waits_kw)
    ev_kw, ev_min_kw, ev_class = _evs(site, hub, parameters, schedule, k, t_s, period_s)
    bess_min_kw, bess_max_kw = storage_kw(site, hub, period_s)
    bess_kw = float(np.clip(plan.bess_kw[k], bess_min_kw, bess_max_kw))
    pv_kw = hub.p_pv_kw if np.isfinite(hub.p_pv_kw) else float(plan.pv_kw[k])
    other_kw = hub.p_other_kw if np.isfinite(hub.p_other_kw) else float(plan.other_kw[k])
    grid_kw = float(served_kw.sum() + ev_kw.sum()) - pv_kw - bess_kw - other_kw
    dif_kw = float(schedule.grid_kw[k]) - grid_kw
    situation = TableSituation(
        grid_kw=grid_kw,
        import_kw=import_kw,
        bess_kw=bess_kw,
        bess_min_kw=bess_min_kw,
        bess_max_kw=bess_max_kw,
        ev_kw=ev_kw,
        ev_min_kw=ev_min_kw,
        ev_class=ev_class,
        load_kw=served_kw,
        load_min_kw=_min_load_kw(parameters, demand_kw, served_kw, waits_kw),
        load_max_kw=np.where(np.array(parameters.eens_per_kwh) > hub.prices.buy, demand_kw, served_kw),
    )
    deviation = Deviation.SURPLUS if dif_kw >= 0.0 else Deviation.DEFICIT
    if parameters.stages.real_time is True:
        high = hub.prices.buy >= price_limit(parameters, schedule)
        subsidy = Subsidy.RAISED if raised else Subsidy.ORDINARY
        measures = TABLE[deviation, Price.HIGH if high else Price.LOW, subsidy]
    else:
        measures = BASIC[deviation]
    action = control(situation, dif_kw, measures)
    limit_kw = np.where(action.load_kw == served_kw, limit_kw, action.load_kw)
    account.decided(limit_kw, float(demand_kw[SHIFTABLE]), float(action.load_kw[SHIFTABLE]))
    setpoints = contract.Setpoints(
        connector_kw=_offered(site, hub, action.ev_kw),
        bess_kw=action.bess_kw,
        load_limit_kw=(inf, *limit_kw[1:].tolist()),
    )
    return Followed(setpoints, dif_kw, action)


def price_limit(parameters: IevcsParameters, schedule: IevcsSchedule) -> float:
    """Return the purchase price from which the grid counts as being at its peak (sigma_lim) [1/kWh]."""
    if parameters.price_limit_per_kwh is not None:
        return parameters.price_limit_per_kwh
    buy = schedule.buy_per_kwh[schedule.steps.now :]
    return float(buy.min() + buy.max()) / 2.0


def _load(schedule: IevcsSchedule, parameters: IevcsParameters, account: LoadAccount, k: int, waits_kw: float):
    """Limits, what is served under them and what is demanded, each of the four classes [kW]."""
    plan = schedule.plan
    demand_kw = schedule.demand_kw[:, k] * account.factor
    limit_kw = np.full(4, inf)
    for part in (CONTROLLABLE, GENERAL):
        if plan.load_unserved_kw[part, k] > _CUT_KW:
            limit_kw[part] = plan.load_kw[part, k]
    # more is put off than was planned, and there is just time to make it good: the plan counts no more
    late = account.backlog_kwh > _WAITING_KWH and waits_kw <= 0.0
    if schedule.waiting_kwh[k] > _WAITING_KWH and not late:
        limit_kw[SHIFTABLE] = plan.load_kw[SHIFTABLE, k]
    # where the plan has nothing waiting, whatever waits is made good now: the account may be a little wrong
    served_kw = np.minimum(account.wanted_kw(demand_kw, parameters.recovery_kw), limit_kw)
    in_band_kw = demand_kw[CONTROLLABLE] * (1.0 - parameters.controllable_cut)
    served_kw[CONTROLLABLE] = max(served_kw[CONTROLLABLE], in_band_kw)
    return limit_kw, served_kw, demand_kw


def _min_load_kw(
    parameters: IevcsParameters, demand_kw: np.ndarray, served_kw: np.ndarray, waits_kw: float
) -> np.ndarray:
    """How little of each class may be served now [kW], shape (4,)."""
    min_kw = served_kw.copy()
    min_kw[CONTROLLABLE] = demand_kw[CONTROLLABLE] * (1.0 - parameters.controllable_cut)
    min_kw[SHIFTABLE] = max(served_kw[SHIFTABLE] - waits_kw, 0.0)
    min_kw[GENERAL] = 0.0
    return min_kw


def _may_wait_kw(
    parameters: IevcsParameters, account: LoadAccount, t_s: float, midnight_s: float, period_s: float
) -> float:
    """Shiftable load that may still be put off until the next decision, and be made good before midnight [kW]."""
    later_kwh = energy_kwh(parameters.recovery_kw, max(midnight_s - t_s - 2.0 * period_s, 0.0))
    return max(power_kw(later_kwh - account.backlog_kwh, period_s), 0.0)


def storage_kw(site: contract.Site, hub: contract.Hub, period_s: float) -> tuple[float, float]:
    """Return the lowest and the highest power that the storage can hold until the next decision [kW]."""
    if not site.bess_kw or "bess" in hub.failed or not np.isfinite(hub.soc):
        return 0.0, 0.0
    return storage_limits(
        hub.soc,
        site.bess_kwh,
        (site.bess_soc_min, site.bess_soc_max),
        site.bess_kw,
        (site.bess_eta_charge, site.bess_eta_discharge),
        period_s,
    )


def _evs(
    site: contract.Site,
    hub: contract.Hub,
    parameters: IevcsParameters,
    schedule: IevcsSchedule,
    k: int,
    t_s: float,
    period_s: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power of each EV by the plan, its least power, and its class; see `TableSituation`."""
    seen, plan = hub.connectors, schedule.plan
    usable = seen.occupied & ~seen.faulted
    max_kw = np.where(usable, np.minimum(site.connector_kw, seen.p_max_kw), 0.0)
    max_kw = site.circuits.reachable_kw(max_kw, usable)
    missing_kwh = np.where(usable, seen.remaining_kwh, 0.0)
    # who announced no departure is served at once
    left_s = np.where(np.isnan(seen.departure_s), 0.0, np.maximum(seen.departure_s - t_s, 0.0))
    floor_kw = min_charging_kw(missing_kwh, max_kw, left_s, period_s)
    end_s = float(schedule.steps.edges_s[k + 1])
    wish_kw = np.zeros_like(max_kw)
    returned_kw = np.zeros_like(max_kw)
    ev_class = np.full(max_kw.shape, Charging.NONE.value)
    accepts = _accepting(parameters, schedule, hub)
    for i in np.flatnonzero(usable).tolist():
        name = seen.session_id[i]
        row = schedule.rows.get(name) if name is not None else None
        if accepts[i]:
            returned_kw[i] = -min(max_kw[i], power_kw(_above_floor_kwh(schedule, seen, i), period_s))
        planned = row is not None and name in schedule.departures_s and schedule.departures_s[name] > t_s
        if planned and row is not None and name is not None:
            planned_kw = float(plan.session_kw[row, k])
            behind_kwh = float(schedule.delivered_kwh[name][k]) - float(seen.energy_kwh[i])
            stays_s = schedule.departures_s[name] - t_s
            until_s = min(max(end_s - t_s, period_s), stays_s)
            lowest_kw = returned_kw[i] if planned_kw < 0.0 else 0.0
            wish_kw[i] = min(max(power_kw(behind_kwh, until_s), lowest_kw), max_kw[i])
            follows = abs(wish_kw[i] - planned_kw) <= _AS_PLANNED * max_kw[i]
        else:
            # nobody planned for it: at an even pace until it leaves
            wish_kw[i] = min(power_kw(float(missing_kwh[i]), float(left_s[i])), max_kw[i]) if left_s[i] > 0.0 else 0.0
            follows = False
        if floor_kw[i] > 0.0:
            ev_class[i] = Charging.MUST.value
        else:
            ev_class[i] = Charging.PLANNED.value if follows else Charging.FLEXIBLE.value
    # nobody gets more than it asked for, nobody waits longer than it can
    here_s = np.where(left_s > 0.0, np.minimum(left_s, period_s), period_s)
    wish_kw = np.minimum(wish_kw, power_kw(missing_kwh, here_s))
    wish_kw = np.maximum(wish_kw, np.minimum(floor_kw, max_kw))
    pays = hub.prices.buy >= _worth_giving(schedule, seen, k)
    ev_min_kw = np.clip(floor_kw, np.where(pays, returned_kw, np.minimum(wish_kw, 0.0)), max_kw)
    return wish_kw, np.minimum(ev_min_kw, wish_kw), ev_class


def _accepting(parameters: IevcsParameters, schedule: IevcsSchedule, hub: contract.Hub) -> np.ndarray:
    """Owners who agreed to V2G and accept the subsidy in force, shape (n_connectors,)."""
    if not hub.connectors.v2g.any():
        return hub.connectors.v2g
    names = [name or "" for name in hub.connectors.session_id]
    return hub.connectors.v2g & accepting(parameters.owners, schedule.prices, names)


def _above_floor_kwh(schedule: IevcsSchedule, seen: contract.Connectors, i: int) -> float:
    """What an EV may give back; nothing where its battery is not known [kWh]."""
    capacity_kwh, floor_soc = schedule.batteries.get(seen.session_id[i] or "", (0.0, 1.0))
    soc = float(seen.soc[i])
    return max(soc - floor_soc, 0.0) * capacity_kwh if isfinite(soc) else 0.0


def _worth_giving(schedule: IevcsSchedule, seen: contract.Connectors, k: int) -> np.ndarray:
    """Purchase price from which energy given back pays: it is bought again at the lowest price before the EV leaves.

    The driver pays for it once more. Shape (n_connectors,), [1/kWh].
    """
    paid, here = schedule.driver_prices, float(schedule.prices.charging_per_kwh[k])
    regained = np.array([paid[name][k] if name in paid else here for name in seen.session_id], dtype=float)
    # who announced no departure may leave at once
    in_time = schedule.steps.edges_s[k:-1] < np.nan_to_num(seen.departure_s)[:, None]
    in_time[:, 0] = True
    lowest = np.where(in_time, schedule.buy_per_kwh[k:], np.inf).min(axis=1)
    return schedule.prices.subsidy_per_kwh - regained + lowest


def _offered(site: contract.Site, hub: contract.Hub, ev_kw: np.ndarray) -> np.ndarray:
    """Limits of the connectors: below its minimum one can only pause, whichever is nearer."""
    max_kw = np.minimum(site.connector_kw, hub.connectors.p_max_kw)
    minimum_kw = np.minimum(site.connector_minimum_kw, max_kw)
    charging = np.where(2.0 * ev_kw >= minimum_kw, np.maximum(ev_kw, site.connector_minimum_kw * (ev_kw > 0.0)), 0.0)
    return np.where(ev_kw < 0.0, ev_kw, charging)
