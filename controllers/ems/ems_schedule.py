"""The charging schedule (415): energy and departure of each EV, from actual status and expected sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...simulators.units import energy_kwh
from .. import contract
from ..optimization.blocks.time_steps import Steps


@dataclass(frozen=True)
class Demand:
    """The demand of one EV.

    Parameters
    ----------
    name : str
        Its session.
    connector : int
        Index of its connector; -1 while it is expected.
    begin_s, ready_s : float
        It can charge from then until then [s]: edges of steps.
    energy_kwh : float
        What is still to be charged by the end of the window [kWh].
    later_kwh : float
        What of it could also be charged after the window [kWh].
    power_kw : float
        Limit of connector and EV [kW].
    soc : float
        State of charge now, or at arrival; NaN if nobody knows.
    stored_kwh, capacity_kwh : float
        Energy in its battery now, and what fits [kWh].
    floor_kwh : float
        V2G leaves at least this [kWh].
    v2g : bool
        Its owner agreed to discharge.
    departure_s : float
        When it leaves [s].
    """

    name: str
    connector: int
    begin_s: float
    ready_s: float
    energy_kwh: float
    later_kwh: float
    power_kw: float
    soc: float
    stored_kwh: float
    capacity_kwh: float
    floor_kwh: float
    v2g: bool
    departure_s: float

    @property
    def flexibility(self) -> float:
        """Share of its stay in which it need not charge, 0 to 1."""
        stay_s = self.ready_s - self.begin_s
        return max(0.0, 1.0 - self.energy_kwh / max(energy_kwh(self.power_kw, stay_s), 1e-9)) if stay_s > 0.0 else 0.0


def window(t_s: float, step_s: float, horizon_s: float, end_s: float = np.inf) -> Steps:
    """Build the steps of the window.

    Parameters
    ----------
    t_s : float
        Now [s]; the first step may be a part of one.
    step_s : float
        Edges are multiples of it [s].
    horizon_s : float
        Length of the window [s].
    end_s : float
        End of the run, beyond which nothing is foreseen [s].

    Returns
    -------
    Steps
    """
    first = np.floor(t_s / step_s + 1e-9) + 1.0
    count = max(1, round(horizon_s / step_s))
    edges_s = step_s * (first + np.arange(count))
    return Steps(np.concatenate([[t_s], edges_s[edges_s < end_s], [end_s] * bool(end_s <= edges_s[-1])]))


def charging_schedule(hub: contract.Hub, site: contract.Site, steps: Steps) -> list[Demand]:
    """List the energy that each EV needs, and by when.

    Power is constant in a step: an EV charges from the first edge after its arrival to the last one before it leaves,
    unless it stays within one step.

    Parameters
    ----------
    hub : Hub
        What is known of the hub.
    site : Site
        Its plates.
    steps : Steps
        The window.

    Returns
    -------
    list of Demand
        Plugged in first, then expected ones in the order of arrival.
    """
    now_s, end_s = steps.edges_s[0], steps.edges_s[-1]
    expected = hub.forecast.sessions(until_s=float(end_s))
    known = {name: k for k, name in enumerate(expected.id)}
    plugs = hub.connectors
    demands = []
    able = plugs.occupied & ~plugs.faulted
    charge_kw = site.circuits.reachable_kw(np.minimum(site.connector_kw, plugs.p_max_kw), able)
    for c in np.flatnonzero(able).tolist():
        name = plugs.session_id[c] or f"connector {c + 1}"
        k = known.get(name)
        leaves_s = plugs.departure_s[c]
        if np.isnan(leaves_s):
            leaves_s = end_s
        needed = float(plugs.remaining_kwh[c])
        power = float(charge_kw[c])
        capacity = float(expected.capacity_kwh[k]) if k is not None else np.inf
        soc = float(plugs.soc[c])
        if np.isnan(soc) and k is not None:
            soc = float(expected.soc[k] + plugs.energy_kwh[c] / capacity)
        min_soc = float(expected.soc_v2g_min[k]) if k is not None else 0.0
        floor = min(min_soc, float(expected.soc[k])) if k is not None else 0.0
        # an EV below its floor gives nothing back before it has left it
        v2g = bool(plugs.v2g[c]) and np.isfinite(capacity) and soc >= min_soc
        demands.append(_demand(name, c, now_s, leaves_s, needed, power, soc, capacity, floor, v2g, steps))
    present = {demand.name for demand in demands}
    for k, name in enumerate(expected.id):
        if name in present or name in plugs.session_id or np.isnan(expected.departure_s[k]):
            continue
        demands.append(
            _demand(
                name,
                -1,
                # who is not there yet does not charge in the step that begins now
                max(float(expected.arrival_s[k]), now_s + 1.0),
                float(expected.departure_s[k]),
                float(expected.energy_kwh[k]),
                float(min(site.connector_kw.max(initial=0.0), expected.p_max_kw[k])),
                float(expected.soc[k]),
                float(expected.capacity_kwh[k]),
                float(min(expected.soc_v2g_min[k], expected.soc[k])),
                bool(expected.v2g[k] and expected.soc[k] >= expected.soc_v2g_min[k]),
                steps,
            )
        )
    return [demand for demand in demands if demand.ready_s > demand.begin_s and demand.power_kw > 0.0]


def _demand(
    name: str,
    connector: int,
    arrival_s: float,
    departure_s: float,
    needed_kwh: float,
    power: float,
    soc: float,
    capacity_kwh: float,
    floor: float,
    v2g: bool,
    steps: Steps,
) -> Demand:
    """Fit a session into the window."""
    edges_s, end_s = steps.edges_s, float(steps.edges_s[-1])
    begin_s = float(edges_s[min(np.searchsorted(edges_s, arrival_s - 1e-6), edges_s.size - 1)])
    ready_s = float(edges_s[max(np.searchsorted(edges_s, departure_s + 1e-6) - 1, 0)])
    if ready_s <= begin_s:  # within one step
        begin_s, ready_s = max(arrival_s, float(edges_s[0])), min(departure_s, end_s)
    after_kwh = float(energy_kwh(power, max(departure_s - end_s, 0.0)))
    stored_kwh = soc * capacity_kwh if v2g else 0.0
    capacity = capacity_kwh if v2g else max(needed_kwh, 1e-6)
    return Demand(
        name=name,
        connector=connector,
        begin_s=begin_s,
        ready_s=ready_s,
        energy_kwh=min(needed_kwh, max(capacity - stored_kwh, 0.0)),
        later_kwh=min(needed_kwh, after_kwh),
        power_kw=power,
        soc=soc,
        stored_kwh=min(stored_kwh, capacity),
        capacity_kwh=capacity,
        floor_kwh=floor * capacity_kwh if v2g else 0.0,
        v2g=v2g,
        departure_s=departure_s,
    )


def put_off(demand: Demand) -> Demand:
    """Return the demand without the energy that can be charged after the window."""
    return replace(demand, energy_kwh=demand.energy_kwh - demand.later_kwh, later_kwh=0.0)
