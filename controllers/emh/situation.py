"""The situation of a hub that the rules read, and what is kept of it between decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, cast

import numpy as np

from ...simulators.units import W_PER_KW
from .. import contract
from . import alarms, emh_island

if TYPE_CHECKING:
    from .emh_parameters import EmhParameters

_DUST_KWH = 1e-6
_COORDINATED = ("grid", "pv", "bess")
"""Whose messages the coordination of an island waits for."""


@dataclass(slots=True)
class Memory:
    """The state that is kept of one hub between decisions.

    Parameters
    ----------
    connector_kw : ndarray, shape (n_connectors,)
        Last limits of the connectors [kW].
    period_s : float
        Time between decisions [s].
    slowest_s : float
        Age of the oldest measurement since the hub is on its present source [s].
    bess_kw : float
        Last reference of the battery [kW].
    """

    connector_kw: np.ndarray
    period_s: float = 1.0
    bess_kw: float = 0.0
    slowest_s: float = 0.0
    load_kw: float = nan
    live_since_s: float | None = 0.0
    islanded: bool = False
    connectors: contract.Connectors | None = None
    ramp: emh_island.RampState = emh_island.FOOT
    overcurrent: alarms.OvercurrentWatch = alarms.NO_OVERCURRENT
    log: alarms.Log = field(default_factory=alarms.Log)
    decided_by: tuple[str, ...] = ()


@dataclass(slots=True)
class HubSituation:
    """The situation of one hub at one decision; powers [kW].

    Parameters
    ----------
    t_s : float
        Now [s].
    peak : bool
        It is peak time.
    site, parameters, prices
        Plates, customer information in force, prices now.
    islanded, dead : bool
        The hub runs on its secondary source; on nothing. Otherwise it is connected.
    p_in_kw : float
        Meter of the source that feeds the hub; NaN while it fails.
    load_kw : float
        Local load, as measured or as it follows from the other meters; NaN while it is not known.
    pv_kw, bess_kw, dg_kw, cp_kw : float
        Measured powers; 0 while they are not known.
    pv_at_0 : bool
        PV is measured at 0.
    soc, soc_min, soc_max : float
        State of charge (NaN while not known) and its operation limits.
    fuel_l : float
        In the generator's tank [l].
    limit_kw : float
        Limit of the import in this mode (eq. 1).
    room_kw : float
        The limit less the local load; the protection value while the load is not known.
    busy : ndarray of bool, shape (n_connectors,)
        An EV is plugged in and wants energy.
    max_kw : ndarray, shape (n_connectors,)
        What each connector could draw at most: its rating, or what its EV accepts where that is less; 0 at a free one.
    need_kw : float
        The sum of that over the busy connectors that work.
    connectors : Connectors
        As last seen.
    alarms : frozenset of int
        Numbers of the active alarms.
    overcurrent_level : int
        Of alarm 1.
    last_bess_kw : float
        Last reference of the battery.
    round_s : float
        From a change in the plant until the answer to it is in force [s]: the slowest since the hub is on its present
        source; commands are taken to travel as long as measurements.
    ramp : RampState
        Where the ramp of an island stands; a rule puts the next one here.
    """

    t_s: float
    peak: bool
    site: contract.Site
    parameters: EmhParameters
    prices: contract.Prices
    islanded: bool
    dead: bool
    p_in_kw: float
    load_kw: float
    pv_kw: float
    bess_kw: float
    dg_kw: float
    cp_kw: float
    pv_at_0: bool
    soc: float
    soc_min: float
    soc_max: float
    fuel_l: float
    limit_kw: float
    room_kw: float
    busy: np.ndarray
    max_kw: np.ndarray
    need_kw: float
    connectors: contract.Connectors
    alarms: frozenset[int]
    overcurrent_level: int
    last_bess_kw: float
    round_s: float
    ramp: emh_island.RampState

    @property
    def connected(self) -> bool:
        """The hub runs on the public grid."""
        return not (self.islanded or self.dead)

    @property
    def consumption_kw(self) -> float:
        """What local load and charge point draw [kW]; without the OCPP side as it follows from the other meters."""
        if 8 in self.alarms:
            sources_kw = self.p_in_kw + self.pv_kw + self.bess_kw + self.dg_kw
            return max(0.0, sources_kw) if isfinite(sources_kw) else 0.0
        return self.cp_kw + (self.load_kw if isfinite(self.load_kw) else 0.0)

    @property
    def slow_kw(self) -> float:
        """Slow charging and discharging power of the battery [kW]."""
        return self.parameters.tx_slow_recharge * self.site.bess_kw


def capacity_kw(site: contract.Site, parameters: EmhParameters, islanded: bool) -> float:
    """Return the capacity that must not be exceeded [kW].

    The contracted one on the grid; in an island the installed one, or the rating of the secondary source where that is
    smaller.
    """
    if islanded:
        return min(parameters.installed_kw or site.installed_kw, site.secondary_kw or site.installed_kw)
    return parameters.contracted_kw or site.contracted_kw


def limit_kw(site: contract.Site, parameters: EmhParameters, islanded: bool) -> float:
    """Limit of the import [kW] (Leal et al. 2024, eq. 1), a factor of its own for each mode."""
    factor = parameters.tx_limit_islanded if islanded else parameters.tx_limit_connected
    return capacity_kw(site, parameters, islanded) * factor


def is_peak(now: time, parameters: EmhParameters) -> bool:
    """Return whether it is peak time; start and end belong to it."""
    peak = parameters.peak
    return peak is not None and peak.start <= now <= peak.end


def observe(
    t_s: float, now: time, site: contract.Site, hub: contract.Hub, memory: Memory
) -> tuple[HubSituation, list[tuple[str, str]]]:
    """Convert what is seen of a hub to plain numbers, and update its alarms.

    Parameters
    ----------
    t_s : float
        Now [s].
    now : time
        On the clock of the scenario.
    site, hub : Site, Hub
        Plates, and what is seen.
    memory : Memory
        Of this hub; changed.

    Returns
    -------
    situation : HubSituation
    events : list of (kind, text)
        Alarms that were raised and cleared.
    """
    p = cast("EmhParameters", hub.parameters)
    islanded = hub.islanded
    frozen = memory.connectors is not None and (8 in memory.log.numbers or hub.age_s.get("cp", 0.0) > p.timeout_s)
    connectors = memory.connectors = memory.connectors if frozen and memory.connectors else hub.connectors
    over = p.overcurrent
    max_a = over.max_a or site.installed_kw * W_PER_KW / (3**0.5 * site.nominal_v)
    highest_a = max(hub.i_grid_a.tolist())
    memory.overcurrent = alarms.overcurrent(
        memory.overcurrent, t_s, highest_a > max_a, over.t1_s, over.t2_s, over.clear_s
    )
    causes = alarms.causes(
        hub,
        t_s,
        timeout_s=p.timeout_s,
        faulted=connectors.faulted,
        overcurrent_level=memory.overcurrent.level,
    )
    events = memory.log.update(t_s, causes, p.clear_s, islanded)
    load_kw = _load_kw(t_s, hub, memory)
    limit = limit_kw(site, p, islanded)
    busy = connectors.occupied & (connectors.requested_kwh - connectors.energy_kwh > _DUST_KWH)
    max_kw = site.circuits.reachable_kw(np.minimum(site.connector_kw, connectors.p_max_kw), busy)
    soc_min = max(site.bess_soc_min, p.soc_min or 0.0)
    soc_max = min(site.bess_soc_max, 1.0 if p.soc_max is None else p.soc_max)
    ages_s = [hub.age_s.get(device, 0.0) for device in _COORDINATED]
    if islanded != memory.islanded:
        memory.slowest_s = 0.0
    memory.slowest_s = max([memory.slowest_s, *(age_s for age_s in ages_s if age_s <= p.timeout_s)])
    if islanded and not memory.islanded:
        memory.ramp = emh_island.restart(emh_island.FOOT, t_s, p.ramp.every_s)
    memory.islanded = islanded
    memory.ramp = emh_island.cycle(memory.ramp, hub.soc, soc_min, soc_max)
    situation = HubSituation(
        t_s=t_s,
        peak=is_peak(now, p),
        site=site,
        parameters=p,
        prices=hub.prices,
        islanded=islanded,
        dead=hub.dead,
        p_in_kw=hub.p_secondary_kw if islanded else hub.p_grid_kw,
        load_kw=load_kw,
        pv_kw=_known(hub.p_pv_kw),
        bess_kw=_known(hub.p_bess_kw),
        dg_kw=_known(hub.p_dg_kw),
        cp_kw=_known(hub.p_cp_kw),
        pv_at_0=site.pv_kw == 0.0 or (hub.p_pv_kw <= emh_island.ZERO_KW and (7, "pv") not in causes),
        soc=hub.soc,
        soc_min=soc_min,
        soc_max=soc_max,
        fuel_l=hub.fuel_l,
        limit_kw=limit,
        room_kw=p.cp_protection_kw if isnan(load_kw) else limit - load_kw,
        busy=busy,
        max_kw=max_kw,
        need_kw=float(max_kw.dot(busy & ~connectors.faulted)),
        connectors=connectors,
        alarms=memory.log.numbers,
        overcurrent_level=memory.overcurrent.level,
        last_bess_kw=memory.bess_kw,
        round_s=2 * memory.slowest_s + memory.period_s,
        ramp=memory.ramp,
    )
    return situation, events


def _known(p_kw: float) -> float:
    return 0.0 if isnan(p_kw) else p_kw


def _load_kw(t_s: float, hub: contract.Hub, memory: Memory) -> float:
    """The net load: by its meter, else by the balance of what else is measured, else as last known.

    A message from a dead bus says nothing of the load to come.
    """
    if hub.dead:
        memory.live_since_s = None
        return memory.load_kw
    if memory.live_since_s is None:
        memory.live_since_s = t_s
    if t_s - hub.age_s.get("grid", 0.0) < memory.live_since_s:
        return memory.load_kw
    load_kw = hub.net_load_kw
    if isnan(load_kw):
        p_in_kw = hub.p_secondary_kw if hub.islanded else hub.p_grid_kw
        sources_kw = p_in_kw + _known(hub.p_pv_kw) + _known(hub.p_bess_kw) + _known(hub.p_dg_kw)
        load_kw = max(0.0, sources_kw - _known(hub.p_cp_kw)) if isfinite(sources_kw) else memory.load_kw
    memory.load_kw = load_kw
    return load_kw
