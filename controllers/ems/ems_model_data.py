"""The data of the dispatch, from what a hub reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...simulators.units import energy_kwh
from .. import contract
from ..optimization.blocks.generator_block import GeneratorData
from ..optimization.blocks.grid_connection_block import GridData
from ..optimization.blocks.loads_block import LoadsData
from ..optimization.blocks.pv_block import PvData
from ..optimization.blocks.sessions_block import SessionsData
from ..optimization.blocks.storage_block import StorageData
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubData
from .ems_parameters import EmsParameters, PurchaseLimit, parameters_of
from .ems_schedule import Demand

_DELAY_S = 30.0
"""Longest that a set point is expected to be on its way [s]."""
_POWER_FACTOR = 0.8
"""Least power factor of a generator: what gensets are rated at (ISO 8528-1)."""


def purchase_kw(limits: Iterable[PurchaseLimit], hub: str | None, steps: Steps) -> np.ndarray:
    """Return the purchase limits of a hub, or with None of all hubs together [kW], shape (k,); inf without a limit."""
    max_kw = np.full(steps.n, np.inf)
    for limit in limits:
        if limit.hub == hub:
            within = (steps.edges_s[1:] > limit.begin_s) & (steps.edges_s[:-1] < limit.end_s)
            max_kw[within] = np.minimum(max_kw[within], limit.limit_kw)
    return max_kw


def hub_data(
    name: str,
    hub: contract.Hub,
    site: contract.Site,
    steps: Steps,
    demands: Sequence[Demand],
    eens: np.ndarray,
    peak_kw: float,
) -> HubData:
    """Collect the model data of one hub in the window.

    Parameters
    ----------
    name : str
        The hub.
    hub : Hub
        What it tells.
    site : Site
        Its plates.
    steps : Steps
        The window.
    demands : sequence of Demand
        Its charging schedule.
    eens : ndarray, shape (n_demands,)
        Cost of energy that each EV is not given [1/kWh].
    peak_kw : float
        Highest purchase so far [kW].

    Returns
    -------
    HubData
    """
    parameters = parameters_of(hub)
    edges_s = steps.edges_s
    reactive = parameters.reactive and parameters.network is not None
    return HubData(
        steps=steps,
        grid=_grid(name, hub, site, steps, parameters, peak_kw),
        pv=PvData(
            0.0 if "pv" in hub.failed else np.maximum(hub.forecast.pv_kw(edges_s), 0.0),
            inverter_kva=site.pv_kw if reactive else None,
            q_per_kvarh=parameters.q_per_kvarh,
        )
        if site.pv_kw
        else None,
        bess=_bess(hub, site, steps, parameters, reactive),
        dg=GeneratorData(
            np.array([site.dg_kw]),
            np.array([max(0.0, float(hub.prices.dg))]),
            minimum_kw=site.dg_minimum_kw,
            available="dg" not in hub.failed,
            on=hub.p_dg_kw > 0.0,
            power_factor=_POWER_FACTOR if reactive else None,
            q_per_kvarh=parameters.q_per_kvarh,
        )
        if site.dg_kw
        else None,
        load=LoadsData(*np.maximum(hub.forecast.load_kw(edges_s), 0.0).T, eens_per_kwh=parameters.load_eens_per_kwh),
        sessions=_sessions(demands, eens, parameters, reactive) if demands else None,
        other_kw=hub.forecast.other_kw(edges_s),
    )


def _grid(
    name: str, hub: contract.Hub, site: contract.Site, steps: Steps, parameters: EmsParameters, peak_kw: float
) -> GridData:
    if hub.islanded:
        # the secondary source takes the place of the grid, for as long as anyone knows
        return GridData(max(hub.prices.dg, 0.0), 0.0, site.secondary_kw, 0.0, name=name)
    import_kw = np.minimum(site.contracted_kw, purchase_kw(parameters.purchase_limits, name, steps))
    buy, sell = (hub.forecast.price(price, steps.edges_s) for price in ("buy", "sell"))
    return GridData(
        buy,
        sell,
        import_kw,
        site.installed_kw,
        demand_per_kw=site.demand_per_kw or None,
        peak_kw=peak_kw,
        setpoint_kw=None if parameters.setpoint_kw is None else np.full(steps.n, parameters.setpoint_kw),
        deviation_per_kwh=parameters.deviation_per_kwh,
        exclusive_kw=max(site.contracted_kw, site.installed_kw) if (sell > buy).any() else None,
        name=name,
    )


def _bess(
    hub: contract.Hub, site: contract.Site, steps: Steps, parameters: EmsParameters, reactive: bool
) -> StorageData | None:
    if not site.bess_kw or "bess" in hub.failed or not np.isfinite(hub.soc):
        return None
    size = site.bess_kwh
    # it must not get full or empty while the set points of the next step are on their way
    reserve_kwh = min(float(energy_kwh(site.bess_kw, _DELAY_S)), 0.05 * (site.bess_soc_max - site.bess_soc_min) * size)
    min_kwh = max(site.bess_soc_min, parameters.soc_min or 0.0) * size + reserve_kwh
    max_kwh = site.bess_soc_max * size - reserve_kwh
    energy = float(np.clip(hub.soc, 0.0, 1.0) * size)
    buy = hub.forecast.price("buy", steps.edges_s)
    reachable = min(max_kwh, energy + site.bess_eta_charge * site.bess_kw * float(steps.hours.sum()))
    return StorageData(
        energy_kwh=energy,
        energy_min_kwh=min(min_kwh, max_kwh),
        energy_max_kwh=max_kwh,
        charge_kw=site.bess_kw,
        discharge_kw=site.bess_kw,
        eta_charge=site.bess_eta_charge,
        eta_discharge=site.bess_eta_discharge,
        wear_per_kwh=max(0.0, float(hub.prices.bess)),
        end_kwh=min(parameters.soc_end * size, reachable) if parameters.soc_end is not None else 0.0,
        end_per_kwh=max(0.0, float(buy.min())) * site.bess_eta_discharge if parameters.soc_end is None else 0.0,
        exclusive_kw=site.bess_kw if (buy < 0.0).any() else None,
        inverter_kva=site.bess_kw if reactive else None,
        q_per_kvarh=parameters.q_per_kvarh,
    )


def _sessions(demands: Sequence[Demand], eens: np.ndarray, parameters: EmsParameters, reactive: bool) -> SessionsData:
    def each(item: str) -> np.ndarray:
        return np.array([getattr(demand, item) for demand in demands], dtype=float)

    v2g = np.array([demand.v2g for demand in demands])
    return SessionsData(
        names=tuple(demand.name for demand in demands),
        connectors=tuple(str(demand.connector + 1) if demand.connector >= 0 else "not known" for demand in demands),
        arrival_s=each("begin_s"),
        departure_s=each("ready_s"),
        energy_kwh=each("stored_kwh"),
        target_kwh=np.minimum(each("stored_kwh") + each("energy_kwh"), each("capacity_kwh")),
        capacity_kwh=each("capacity_kwh"),
        charge_kw=each("power_kw"),
        eens_per_kwh=eens,
        discharge_kw=np.where(v2g, each("power_kw"), 0.0),
        floor_kwh=np.minimum(each("floor_kwh"), each("stored_kwh")),
        subsidy_per_kwh=parameters.v2g_per_kwh,
        reactive=reactive,
        q_per_kvarh=parameters.q_per_kvarh,
        v2g=bool(v2g.any()),
    )
