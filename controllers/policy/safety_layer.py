"""Clips what a policy wants to what its hub allows, and tells what was taken back.

Connectors keep the contract (or the rating of the source of an island) with what load, PV and battery leave of it, the
limits of circuits and cabinets, what their EVs still want, and their least power; the battery keeps its window until
the next decision, and charges with what the EVs leave. In an island nothing flows back into the secondary source. On a
dead bus everything is set to 0, so that whatever energises it next meets no load but the local one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..contract import Setpoints
from ..sharing.sharing_rules import battery_gives_kw, battery_takes_kw, offered_kw, share_equally, usable_kw
from .policy_entries import Seen

_DUST_KW = 1e-9


def keep_limits(wanted: Setpoints, seen: Seen) -> tuple[Setpoints, dict[str, float]]:
    """Clip set points to what the hub allows.

    Parameters
    ----------
    wanted : Setpoints
        What a policy wants.
    seen : Seen
        The hub.

    Returns
    -------
    setpoints : Setpoints
        The same where nothing is against it.
    clipped_kw : dict of str to float
        By device (``connector/3``, ``bess``, ``pv``, ``dg``), how far its set point was moved [kW]; only those that
        were moved.
    """
    site, hub = seen.site, seen.hub
    if hub.dead:
        kept = replace(wanted, connector_kw=np.zeros(site.connector_kw.size), bess_kw=0.0, pv_limit_kw=0.0, dg_kw=0.0)
        return kept, _moved(wanted, kept, seen)
    bess_kw = min(battery_gives_kw(site, hub, seen.period_s), wanted.bess_kw)
    bess_kw = max(-battery_takes_kw(site, hub, seen.period_s), bess_kw)
    dg_kw = 0.0 if wanted.dg_kw < site.dg_minimum_kw or "dg" in hub.failed else min(wanted.dg_kw, site.dg_kw)
    pv_limit_kw = max(0.0, wanted.pv_limit_kw)
    load_kw, beside_kw = hub.net_load_kw, 0.0
    if not hub.islanded:  # there both may be taken back below
        pv_kw = min(hub.p_pv_kw, pv_limit_kw)
        beside_kw = pv_kw if math.isfinite(pv_kw) else 0.0
    # without its meter the load may be anything
    room_kw = seen.limit_kw - load_kw + beside_kw if math.isfinite(load_kw) else 0.0
    discharged_kw = 0.0 if hub.islanded else max(0.0, bess_kw)
    connector_kw = _connectors(wanted.connector_kw, room_kw + discharged_kw, seen)
    if hub.islanded:
        consumption_kw = load_kw + min(hub.p_cp_kw, float(np.maximum(connector_kw, 0.0).sum()))
        consumption_kw = max(0.0, consumption_kw) if math.isfinite(consumption_kw) else 0.0
        connector_kw = np.maximum(connector_kw, 0.0)
        dg_kw = min(dg_kw, consumption_kw) if min(dg_kw, consumption_kw) >= site.dg_minimum_kw else 0.0
        pv_limit_kw = min(pv_limit_kw, consumption_kw - dg_kw)
        bess_kw = min(bess_kw, consumption_kw - dg_kw - min(pv_limit_kw, site.pv_kw))
    left_kw = max(0.0, room_kw - float(np.maximum(connector_kw, 0.0).sum()))
    kept = replace(
        wanted,
        connector_kw=connector_kw,
        bess_kw=max(bess_kw, -left_kw),
        pv_limit_kw=pv_limit_kw,
        dg_kw=dg_kw,
    )
    return kept, _moved(wanted, kept, seen)


def _connectors(wanted_kw: np.ndarray, room_kw: float, seen: Seen) -> np.ndarray:
    """Return the limits of the connectors: of what charges, equal shares up to what is wanted where all is too much."""
    site, hub = seen.site, seen.hub
    can_kw = usable_kw(site, hub)
    charge_kw = np.clip(wanted_kw, 0.0, can_kw)
    # an EV may accept less than the least that its connector can offer
    min_kw = np.minimum(site.connector_minimum_kw, can_kw)
    charge_kw[charge_kw < min_kw - _DUST_KW] = 0.0
    if charge_kw.any():
        charge_kw = share_equally(max(0.0, room_kw), charge_kw, np.minimum(min_kw, charge_kw), site.circuits)
    able = hub.connectors.occupied & ~hub.connectors.faulted & hub.connectors.v2g
    giving_kw = np.where(able & (wanted_kw < 0.0), np.minimum(-wanted_kw, site.connector_kw), 0.0)
    circuits = site.circuits
    # all at the same time, none counting on currents that cancel each other
    if giving_kw.any() and circuits.limit_a.size:
        carried_a = circuits.magnitude_a_per_kw @ (charge_kw + giving_kw)
        if (carried_a > circuits.limit_a + _DUST_KW).any():
            giving_kw = np.zeros(giving_kw.size)
    return offered_kw(charge_kw, site.connector_minimum_kw) - giving_kw


def _moved(wanted: Setpoints, kept: Setpoints, seen: Seen) -> dict[str, float]:
    site = seen.site
    moved: dict[str, float] = {}
    # what an EV cannot use, and a least power that is above what it accepts, is not held against anybody
    asked_kw = np.minimum(wanted.connector_kw, site.connector_kw)
    got_kw = np.minimum(kept.connector_kw, np.maximum(usable_kw(site, seen.hub), 0.0))
    by_connector = np.abs(asked_kw - got_kw) * seen.hub.connectors.occupied
    for n in np.flatnonzero(by_connector > 1e-6).tolist():
        moved[f"connector/{n + 1}"] = float(by_connector[n])
    pairs: Mapping[str, tuple[float, float]] = {
        "bess": (wanted.bess_kw, kept.bess_kw),
        "pv": (min(wanted.pv_limit_kw, site.pv_kw), min(kept.pv_limit_kw, site.pv_kw)),
        "dg": (wanted.dg_kw, kept.dg_kw),
    }
    moved.update({name: abs(asked - got) for name, (asked, got) in pairs.items() if abs(asked - got) > 1e-6})
    return moved
