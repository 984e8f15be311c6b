"""The data of the model of a hub, from observation and forecast: eq. (1) and (3)-(10) of Yan & Tu 2022."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from ...simulators.units import S_PER_MIN, energy_kwh
from .. import contract
from ..optimization.blocks.grid_connection_block import GridData
from ..optimization.blocks.loads_block import LoadsData
from ..optimization.blocks.pv_block import PvData
from ..optimization.blocks.sessions_block import SessionsData
from ..optimization.blocks.storage_block import StorageData
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubData
from .ievcs_parameters import IevcsParameters
from .ievcs_prices import DriverPrices, accepting

V2G_MIN_SOC = 0.2
"""No EV is discharged below this (eq. 10)."""


@dataclass(frozen=True)
class ExpectedEvs:
    """The EVs that a plan includes; arrays have the shape (n_sessions,).

    Parameters
    ----------
    names, connectors : tuple of str
        Sessions, and where they charge.
    there : ndarray of bool
        Plugged in.
    arrival_s, departure_s : ndarray
        Times [s since the start].
    arrived_kwh, delivered_kwh : ndarray
        Energy at arrival, and delivered since [kWh].
    target_kwh, capacity_kwh, floor_kwh : ndarray
        Energy at departure, of the whole battery, and below which nothing is given back [kWh].
    floor_soc : ndarray
        The same as a state of charge, whatever it arrived with.
    charge_kw : ndarray
        What connector and EV can do, in both directions [kW].
    v2g : ndarray of bool
        The owner agreed to discharge.
    """

    names: tuple[str, ...]
    connectors: tuple[str, ...]
    there: np.ndarray
    arrival_s: np.ndarray
    departure_s: np.ndarray
    arrived_kwh: np.ndarray
    delivered_kwh: np.ndarray
    target_kwh: np.ndarray
    capacity_kwh: np.ndarray
    floor_kwh: np.ndarray
    floor_soc: np.ndarray
    charge_kw: np.ndarray
    v2g: np.ndarray

    def charging_prices(self, prices: DriverPrices, steps: Steps) -> np.ndarray:
        """Return what each driver pays in each step [1/kWh], shape (n_sessions, n)."""
        asked_kwh = self.target_kwh - self.arrived_kwh
        return prices.of_sessions(
            self.names, steps.edges_s, self.arrival_s, self.departure_s, asked_kwh, self.charge_kw
        )


@dataclass(frozen=True)
class PlanStart:
    """The state at the start of a plan.

    Parameters
    ----------
    t_s : float
        Begin of its first step [s since the start].
    seen_s : float
        When the hub was seen, up to `lead` before [s since the start].
    bess_kwh : float
        In the stationary battery [kWh].
    backlog_kwh : float
        Shiftable energy put off [kWh].
    evs : ExpectedEvs
        Sessions, with what is delivered by then.
    """

    t_s: float
    seen_s: float
    bess_kwh: float
    backlog_kwh: float
    evs: ExpectedEvs


def expected(site: contract.Site, hub: contract.Hub, t_s: float, start_s: float, until_s: float) -> ExpectedEvs:
    """List the EVs that are present or expected, as a plan that starts a little later finds them.

    What is plugged in goes on at its present power until the plan starts. An EV that announced no departure is expected
    to leave as soon as it can be served.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.
    t_s, start_s : float
        Now, and when the plan starts [s since the start].
    until_s : float
        Who arrives later does not count [s].

    Returns
    -------
    ExpectedEvs
    """
    forecast, seen = hub.forecast.sessions(until_s), hub.connectors
    connector_of = {name: i for i, name in enumerate(seen.session_id) if name is not None}
    at = np.array([connector_of.get(name, -1) for name in forecast.id], dtype=int)
    there = at >= 0
    able_kw = site.circuits.reachable_kw(np.where(seen.faulted, 0.0, site.connector_kw), seen.occupied)
    rated_kw = np.where(there, able_kw[at], site.connector_kw.max(initial=0.0))
    charge_kw = np.minimum(forecast.p_max_kw, rated_kw)
    asked_kwh = np.where(there, seen.requested_kwh[at], forecast.energy_kwh)
    arrived_kwh = forecast.soc * forecast.capacity_kwh
    target_kwh = np.minimum(arrived_kwh + asked_kwh, forecast.capacity_kwh)
    floor_soc = np.maximum(V2G_MIN_SOC, forecast.soc_v2g_min)
    floor = floor_soc * forecast.capacity_kwh
    ahead_kwh = energy_kwh(seen.p_kw, max(start_s - t_s, 0.0))
    delivered_kwh = np.where(there, (seen.energy_kwh + ahead_kwh)[at], 0.0)
    lowest_kwh = np.minimum(np.minimum(0.0, floor - arrived_kwh), np.where(there, seen.energy_kwh[at], 0.0))
    # a connector stops at what was asked for
    delivered_kwh = np.clip(delivered_kwh, lowest_kwh, np.maximum(target_kwh - arrived_kwh, 0.0))
    arrival_s = np.where(there, start_s, np.maximum(forecast.arrival_s, start_s))
    left_kwh = np.maximum(target_kwh - arrived_kwh - delivered_kwh, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_once_s = np.where(charge_kw > 0.0, start_s + left_kwh / energy_kwh(charge_kw, 1.0), start_s)
    departure_s = np.where(np.isnan(forecast.departure_s), at_once_s, forecast.departure_s)
    kept = np.flatnonzero(departure_s > arrival_s)
    return ExpectedEvs(
        names=tuple(forecast.id[k] for k in kept),
        connectors=tuple(str(at[k] + 1) if there[k] else "any" for k in kept),
        there=there[kept],
        # a session that is there began when it plugged in; what counts for its share is the whole stay
        arrival_s=np.where(there, seen.plugged_s[at], forecast.arrival_s)[kept],
        departure_s=departure_s[kept],
        arrived_kwh=arrived_kwh[kept],
        delivered_kwh=delivered_kwh[kept],
        target_kwh=target_kwh[kept],
        capacity_kwh=forecast.capacity_kwh[kept],
        floor_kwh=np.minimum(floor, arrived_kwh)[kept],
        floor_soc=floor_soc[kept],
        charge_kw=charge_kw[kept],
        v2g=forecast.v2g[kept],
    )


def grid_of_steps(t_s: float, midnight_s: float, until_s: float, resolution_s: float) -> np.ndarray:
    """Build the edges of the steps from now to the horizon [s], shape (n + 1,); the inner ones lie on the clock."""
    n = ceil((until_s - t_s) / resolution_s) + 1
    first_s = midnight_s - resolution_s * ceil((midnight_s - t_s) / resolution_s)
    inner_s = first_s + resolution_s * np.arange(n + 1)
    return np.concatenate([[t_s], inner_s[(inner_s > t_s + 1e-6) & (inner_s < until_s - 1e-6)], [until_s]])


def pv_kw(site: contract.Site, hub: contract.Hub, steps: Steps, t_s: float, memory_s: float | None) -> np.ndarray:
    """Forecast the PV power of the open steps [kW], shape (n,), corrected by what is measured now."""
    edges_s = steps.edges_s[steps.now :]
    forecast_kw = hub.forecast.pv_kw(edges_s)
    now_kw = hub.p_pv_kw
    measured_s = t_s - hub.age_s.get("pv", 0.0)
    until_s = min(measured_s + S_PER_MIN, float(edges_s[-1]))
    # just before and after the night a ratio says nothing
    if memory_s is not None and np.isfinite(now_kw) and until_s > measured_s:
        expected_kw = float(hub.forecast.pv_kw(np.array([measured_s, until_s]))[0])
        if expected_kw > 0.02 * max(forecast_kw.max(initial=0.0), 1.0):
            lead_s = np.maximum((edges_s[:-1] + edges_s[1:]) / 2.0 - measured_s, 0.0)
            corrected_kw = forecast_kw * (1.0 + (now_kw / expected_kw - 1.0) * np.exp(-lead_s / memory_s))
            forecast_kw = np.minimum(corrected_kw, np.maximum(forecast_kw, site.pv_kw))
    return _padded(steps, forecast_kw * ("pv" not in hub.failed))


def demand_kw(hub: contract.Hub, steps: Steps) -> np.ndarray:
    """Forecast the load of each class in the open steps [kW], shape (4, n)."""
    forecast_kw = hub.forecast.load_kw(steps.edges_s[steps.now :])
    return np.array([_padded(steps, column) for column in forecast_kw.T])


def price(hub: contract.Hub, steps: Steps, name: str) -> np.ndarray:
    """Forecast a price in the open steps [1/kWh], shape (n,)."""
    return _padded(steps, hub.forecast.price(name, steps.edges_s[steps.now :]))


def hub_data(
    site: contract.Site,
    hub: contract.Hub,
    parameters: IevcsParameters,
    steps: Steps,
    state: PlanStart,
    prices: DriverPrices,
    power_kw: tuple[np.ndarray, np.ndarray],
    midnight_s: float,
    slots: Sequence[str],
    n_slots: int,
) -> HubData:
    """Collect the data of the model of one hub.

    Parameters
    ----------
    site, hub, parameters : Site, Hub, IevcsParameters
        The hub.
    steps : Steps
        The grid of steps; `now` is the first step of the plan.
    state : PlanStart
        What it starts from.
    prices : DriverPrices
        Charging price and subsidy.
    power_kw : tuple of two ndarrays, shape (n,)
        Limits of import and export [kW].
    midnight_s : float
        By then shiftable load is made good [s].
    slots : sequence of str
        Sessions in the order of their slots; those that are over stay in theirs.
    n_slots : int
        Slots of the model.

    Returns
    -------
    HubData

    Raises
    ------
    ValueError
        If the state of charge of the battery is unknown.
    """
    demand = demand_kw(hub, steps)
    return HubData(
        steps=steps,
        grid=GridData(price(hub, steps, "buy"), price(hub, steps, "sell"), *power_kw, exclusive_kw=site.installed_kw),
        pv=PvData(pv_kw(site, hub, steps, state.seen_s, parameters.pv_memory)) if site.pv_kw else None,
        bess=_storage(site, hub, parameters, steps, state) if site.bess_kw else None,
        load=LoadsData(
            *demand,
            eens_per_kwh=parameters.eens_per_kwh,
            controllable_band=parameters.controllable_cut,
            shiftable_max_kw=demand[2] + parameters.recovery_kw,
            backlog_kwh=state.backlog_kwh,
            made_good=_made_good(steps, midnight_s),
        ),
        sessions=_sessions(parameters, steps, state.evs, prices, slots, n_slots) if n_slots else None,
        other_kw=_padded(steps, hub.forecast.other_kw(steps.edges_s[steps.now :])),
    )


def _made_good(steps: Steps, midnight_s: float) -> np.ndarray:
    """Steps at whose end no shiftable load waits, shape (n,): the last of the day is kept in reserve for errors."""
    last = steps.edges_s[1:] >= midnight_s - 1e-6
    return (last | np.append(last[1:], False)) & (steps.edges_s[:-1] < midnight_s)


def _storage(
    site: contract.Site, hub: contract.Hub, parameters: IevcsParameters, steps: Steps, state: PlanStart
) -> StorageData:
    if not np.isfinite(state.bess_kwh):
        raise ValueError("the state of charge of the battery is unknown")
    power_kw = 0.0 if "bess" in hub.failed else site.bess_kw
    lowest_kwh, highest_kwh = site.bess_soc_min * site.bess_kwh, site.bess_soc_max * site.bess_kwh
    wear_per_kwh = float(price(hub, steps, "bess")[steps.open].mean())
    end_kwh = 0.0 if parameters.soc_end is None else min(parameters.soc_end * site.bess_kwh, highest_kwh)
    # worth any purchase and any sale forgone, but no load that is cut and no EV that waits: the battery comes last
    dearest = max(float(price(hub, steps, name)[steps.open].max()) for name in ("buy", "sell"))
    dearest = (dearest + wear_per_kwh) / site.bess_eta_charge
    min_eens = min(*parameters.eens_per_kwh, parameters.ev_eens_per_kwh)
    return StorageData(
        energy_kwh=state.bess_kwh,
        energy_min_kwh=lowest_kwh,
        energy_max_kwh=highest_kwh,
        charge_kw=power_kw,
        discharge_kw=power_kw,
        eta_charge=site.bess_eta_charge,
        eta_discharge=site.bess_eta_discharge,
        wear_per_kwh=wear_per_kwh,
        end_kwh=end_kwh,
        end_missing_per_kwh=max(1.01 * dearest, 0.99 * min_eens),
        exclusive_kw=site.bess_kw,
    )


def _sessions(
    parameters: IevcsParameters,
    steps: Steps,
    evs: ExpectedEvs,
    prices: DriverPrices,
    slots: Sequence[str],
    n_slots: int,
) -> SessionsData:
    """The EVs in their slots; one that is over lies before the grid."""
    row: Mapping[str, int] = {name: k for k, name in enumerate(evs.names)}
    place = np.array([row.get(name, -1) for name in slots], dtype=int)
    here = place >= 0

    def of(values: np.ndarray, otherwise: float) -> np.ndarray:
        if not values.size:
            return np.full(here.shape, otherwise)
        return np.where(here[:, None] if values.ndim > 1 else here, values[place], otherwise)

    end_s = steps.edges_s[-1]
    stayed = np.clip((end_s - evs.arrival_s) / (evs.departure_s - evs.arrival_s), 0.0, 1.0)
    # an EV that stays longer than the plan has its share of the energy at the end of it
    target_kwh = evs.arrived_kwh + (evs.target_kwh - evs.arrived_kwh) * stayed
    # an EV below its floor gives nothing back before it has left it
    above = evs.arrived_kwh + evs.delivered_kwh >= evs.floor_soc * evs.capacity_kwh - 1e-9
    accepts = evs.v2g & above & accepting(parameters.owners, prices, evs.names)
    before_s = steps.edges_s[0] - 1.0
    return SessionsData(
        names=tuple(slots),
        connectors=tuple(evs.connectors[k] if k >= 0 else "none" for k in place),
        arrival_s=of(np.where(evs.there, steps.now_s, np.maximum(evs.arrival_s, steps.now_s)), before_s - 1.0),
        departure_s=of(evs.departure_s, before_s),
        energy_kwh=of(np.minimum(evs.arrived_kwh + evs.delivered_kwh, evs.target_kwh), 0.0),
        target_kwh=of(target_kwh, 0.0),
        # a connector stops at what was asked for: no plan stores more to give it back later
        capacity_kwh=of(evs.target_kwh, 1.0),
        charge_kw=of(evs.charge_kw, 0.0),
        eens_per_kwh=parameters.ev_eens_per_kwh,
        discharge_kw=of(evs.charge_kw * accepts, 0.0),
        floor_kwh=of(evs.floor_kwh, 0.0),
        charging_per_kwh=of(evs.charging_prices(prices, steps), 0.0) if evs.names else 0.0,
        subsidy_per_kwh=prices.subsidy_per_kwh,
        slots=n_slots,
        v2g=True,
    )


def _padded(steps: Steps, values: np.ndarray) -> np.ndarray:
    """Values of the open steps; 0 in those that are over, shape (n,)."""
    return np.concatenate([np.zeros(steps.now), values])
