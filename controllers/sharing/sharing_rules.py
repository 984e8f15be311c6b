"""Small rules that several strategies share."""

from __future__ import annotations

import math

import numpy as np

from ...simulators.units import power_kw
from ...simulators.water_filling import fill_members, fill_or_pause
from ..circuits import Allocation, Circuits, fill_within
from ..contract import Hub, Site


def self_consumption_kw(site: Site, hub: Hub) -> float:
    """Compute the battery power that stores a PV surplus and covers a deficit.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.

    Returns
    -------
    float
        Set point of the battery, > 0 discharges [kW]; 0 without a battery, or when a meter it needs is silent.
    """
    if not site.bess_kw:
        return 0.0
    deficit = hub.net_load_kw + hub.p_cp_kw - hub.p_pv_kw - hub.p_dg_kw
    if not math.isfinite(deficit):
        return 0.0
    if deficit < 0.0 and hub.soc >= site.bess_soc_max:
        return 0.0
    if deficit > 0.0 and hub.soc <= site.bess_soc_min:
        return 0.0
    return min(max(float(deficit), -site.bess_kw), site.bess_kw)


def battery_gives_kw(site: Site, hub: Hub, period_s: float) -> float:
    """Compute what the battery can surely give until the next decision.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.
    period_s : float
        Time until then [s].

    Returns
    -------
    float
        Power [kW], >= 0; 0 without a battery, and while it has failed or tells no state of charge.
    """
    if not _battery_works(site, hub):
        return 0.0
    stored_kwh = max(0.0, hub.soc - site.bess_soc_min) * site.bess_kwh * site.bess_eta_discharge
    return min(site.bess_kw, power_kw(stored_kwh, period_s))


def battery_takes_kw(site: Site, hub: Hub, period_s: float) -> float:
    """Compute what the battery can surely take until the next decision [kW], >= 0; see `battery_gives_kw`."""
    if not _battery_works(site, hub):
        return 0.0
    free_kwh = max(0.0, site.bess_soc_max - hub.soc) * site.bess_kwh / site.bess_eta_charge
    return min(site.bess_kw, power_kw(free_kwh, period_s))


def _battery_works(site: Site, hub: Hub) -> bool:
    return bool(site.bess_kw) and "bess" not in hub.failed and math.isfinite(hub.soc)


def usable_kw(site: Site, hub: Hub) -> np.ndarray:
    """Return the power that each connector can use at once.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.

    Returns
    -------
    ndarray, shape (n_connectors,)
        Powers [kW]; 0 at a connector that is free or out of order, or whose EV has what it asked for.
    """
    connectors = hub.connectors
    able = connectors.occupied & ~connectors.faulted
    if not np.count_nonzero(able):
        return np.zeros(able.size)
    return np.where(able & (connectors.remaining_kwh > 1e-6), np.minimum(site.connector_kw, connectors.p_max_kw), 0.0)


def offered_kw(shares_kw: np.ndarray, minimum_kw: np.ndarray) -> np.ndarray:
    """Compute the limits that let EVs take their shares: a connector cannot offer less than its minimum power.

    Parameters
    ----------
    shares_kw, minimum_kw : ndarray, shape (n_connectors,)
        What each is to get, and the least its connector can offer [kW].

    Returns
    -------
    ndarray, shape (n_connectors,)
        Limits [kW]; 0 where the share is.
    """
    return np.where(shares_kw > 0.0, np.maximum(shares_kw, minimum_kw), 0.0)


def share_equally(
    available_kw: float, max_kw: np.ndarray, min_kw: np.ndarray, circuits: Circuits | None = None
) -> np.ndarray:
    """Share a power equally; what one cannot use goes on to the others.

    Parameters
    ----------
    available_kw : float
        To be shared [kW].
    max_kw : ndarray, shape (n,)
        What each can use [kW]; 0 takes no part.
    min_kw : ndarray, shape (n,)
        Below this one gets nothing [kW]; the last ones (by index) pause first, so that the others can run.
    circuits : Circuits, optional
        Current limits to keep; who is held back by one leaves more to those who are not.

    Returns
    -------
    ndarray, shape (n,)
        Shares [kW]; without circuits their sum is ``min(available_kw, sum(max_kw))``, less what minimum powers leave
        unused.
    """
    available_kw = max(0.0, available_kw)

    def filled(members: np.ndarray) -> np.ndarray:
        if circuits is None or not circuits.limit_a.size:
            return fill_members(available_kw, max_kw, members)
        allocation = Allocation(available_kw, circuits)
        fill_within(allocation, max_kw, members)
        return allocation.allocated_kw

    return fill_or_pause(filled, max_kw, min_kw)
