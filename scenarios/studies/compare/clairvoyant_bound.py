"""The clairvoyant bound: the lowest possible cost of a hub if everything were known beforehand.

A linear relaxation of the plant, with the sessions, sun, load and prices of a run: the limits of import, waiting for a
connector, cabinets, least powers, the fuel in the tank, the voltage of cells and the network are left out, each of
which can only make a run dearer. So a run of a plant with an ideal battery (and without what `why_not` names) costs no
less, whoever controls it. A battery with cells may hold a little more than its nominal energy: there the bound is one
of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from ....controllers import contract
from ....controllers.optimization.blocks.generator_block import GeneratorData
from ....controllers.optimization.blocks.grid_connection_block import GridData
from ....controllers.optimization.blocks.loads_block import LoadsData
from ....controllers.optimization.blocks.pv_block import PvData
from ....controllers.optimization.blocks.sessions_block import SessionsData
from ....controllers.optimization.blocks.storage_block import StorageData
from ....controllers.optimization.blocks.time_steps import Steps
from ....controllers.optimization.hub_model import HubData, HubModel
from ....controllers.optimization.program import Program
from ....simulators.charge_point.charge_point_section import kinds_of
from ....simulators.devices import kind_of
from ....simulators.totals import weighted_mean
from ....simulators.units import S_PER_MIN
from ...assembly.plant_build import build
from ...schema import scenario_schema
from ...schema.scenario_loader import Scenario

_LONGEST_STEP_S = 15 * S_PER_MIN
_MIN_STEPS = 96
_PARTS = 15
"""Prices are looked at in so many parts of a step: of each the one that is best for the hub counts."""
_MAX_VARIABLES = 300_000
_HARMLESS = ("price", "parameters")
_TIME_LIMIT_S = 60.0
_CRITICAL_PER_KWH = 1e4  # nothing is lost while the grid is there: any large number does


class Clairvoyant(contract.Controller):
    """Never decides: with it a plant is built whose forecast is open to be read."""

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Raise: no run has this controller."""
        raise NotImplementedError("the clairvoyant bound is a linear program, not a controller of a run")


@dataclass(frozen=True)
class CostBound:
    """A lower bound on the cost of a run.

    Parameters
    ----------
    cost : float
        Least net cost, in the currency of the tariffs; NaN where there is no bound.
    why_not : str
        Why there is none; else empty.
    """

    cost: float
    why_not: str = ""


def clairvoyant_bound(loaded: Scenario) -> CostBound:
    """Find the lowest net cost that any controller can reach on a scenario with its seed.

    Parameters
    ----------
    loaded : Scenario
        The scenario; its controller and its forecasts do not matter.

    Returns
    -------
    CostBound

    Raises
    ------
    InputError
        If the scenario cannot be built.
    """
    scenario = loaded.scenario
    reasons = list(why_not(scenario))
    if reasons:
        return CostBound(np.nan, "; ".join(reasons))
    perfect = {kind: {"type": "perfect"} for kind in ("pv", "load", "prices", "sessions")}
    foreseen = scenario_schema.Forecasts.model_validate(perfect)
    hubs = {name: hub.model_copy(update={"forecasts": foreseen}) for name, hub in scenario.hubs.items()}
    known = loaded.of(scenario.model_copy(update={"hubs": hubs}), loaded.path, loaded.where)
    wiring = build(known.with_changes(controller=f"{__name__}:Clairvoyant"))
    penalties = {entity.hub: entity.parameters["penalties"] for entity in wiring.entities if entity.sid == "tariffs"}
    reasons = list(_served_for_nothing(hubs, penalties))
    if reasons:
        return CostBound(np.nan, "; ".join(reasons))
    cost = 0.0
    for entity in wiring.entities:
        if entity.sid != "controller":
            continue
        site, forecast = entity.parameters["site"], entity.parameters["forecast"](0.0)
        data = _data(scenario, hubs[entity.hub], site, forecast, penalties[entity.hub])
        sessions = 0 if data.sessions is None else len(data.sessions.names)
        if sessions * data.steps.n > _MAX_VARIABLES:
            return CostBound(np.nan, f"{sessions} sessions over {data.steps.n} steps are too many")
        program = Program(HubModel(data).model)
        try:
            solution = program.solve(time_limit_s=_TIME_LIMIT_S)
        finally:
            program.close()
        if not solution.ok:
            return CostBound(np.nan, f"the optimum of {entity.hub} was not found: {solution.status.value}")
        cost += solution.bound
    return CostBound(cost)


def why_not(scenario: scenario_schema.ScenarioSection) -> Iterator[str]:
    """Yield the reasons why the cost of a scenario cannot be bounded."""
    kinds = sorted({event.kind for event in scenario.events} - set(_HARMLESS))
    if kinds:
        yield f"events that no plan foresees: {', '.join(kinds)}"
    for name, hub in scenario.hubs.items():
        for device in hub.devices():
            kind = kind_of(device.kind)
            if not kind.contract and (kind.commands or not kind.forecast):
                yield f"{name} has {device.name}, of which no plan knows what it can do"
        if hub.connectors is None:
            continue
        if any(kind.v2g for kind in kinds_of(hub.connectors)):
            yield f"{name} can discharge EVs"


def _served_for_nothing(
    hubs: Mapping[str, scenario_schema.HubSection], penalties: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    """Yield the hubs at which it would cost least to serve nobody."""
    for name, hub in hubs.items():
        if hub.connectors is not None and not (penalties[name].get("missed_per_kwh") or _pays(hub.tariffs.charging)):
            yield (
                f"at {name} nothing is paid for charging, so that to serve nobody would cost least (tariffs: "
                f"missed_per_kwh puts a price on it)"
            )


def _pays(price: scenario_schema.Price) -> bool:
    return not (isinstance(price, scenario_schema.Constant) and price.value == 0)


def _data(
    scenario: scenario_schema.ScenarioSection,
    hub: scenario_schema.HubSection,
    site: contract.Site,
    forecast: contract.Forecast,
    penalties: Mapping[str, float],
) -> HubData:
    """The hub as its relaxation sees it; wherever an average would hide something, the better end is taken."""
    end_s = scenario.duration
    step_s = min(_LONGEST_STEP_S, end_s / _MIN_STEPS)
    n = ceil(end_s / step_s - 1e-9)
    edges_s = np.minimum(step_s * np.arange(n + 1), end_s)
    fine_s = np.interp(np.arange(n * _PARTS + 1) / _PARTS, np.arange(n + 1), edges_s)

    def price(name: str, best) -> np.ndarray:
        return best(forecast.price(name, fine_s).reshape(n, _PARTS), axis=1)

    load_kw = forecast.load_kw(edges_s)
    penalty = penalties.get("unserved_per_kwh", 0.0)
    max_kw = float(load_kw.sum(axis=1).max()) + float(site.connector_kw.sum()) + site.bess_kw + 1.0
    away_kw = site.pv_kw + site.bess_kw + site.dg_kw + 1.0
    buy, sell = price("buy", np.min), price("sell", np.max)
    # a meter's quarters of an hour have to be the steps, or their means could be higher
    quarters = step_s == _LONGEST_STEP_S and scenario.start.timestamp() % _LONGEST_STEP_S == 0
    return HubData(
        steps=Steps(edges_s),
        grid=GridData(
            buy_per_kwh=buy,
            sell_per_kwh=sell,
            import_kw=max_kw,
            export_kw=away_kw,
            demand_per_kw=site.demand_per_kw if quarters and site.demand_per_kw else None,
            exclusive_kw=max(max_kw, away_kw) if (sell > buy).any() else None,
        ),
        pv=PvData(forecast.pv_kw(edges_s), curtailable=True) if site.pv_kw else None,
        bess=_battery(hub, site, float(price("bess", np.min).min())) if site.bess_kw else None,
        dg=GeneratorData(np.array([site.dg_kw]), np.array([float(price("dg", np.min).min())])) if site.dg_kw else None,
        load=LoadsData(
            load_kw[:, 0], 0.0, 0.0, load_kw[:, 1:].sum(axis=1), (_CRITICAL_PER_KWH + penalty, 0, 0, penalty)
        ),
        sessions=_sessions(penalties.get("missed_per_kwh", 0.0), site, forecast, end_s, price("charging", np.max))
        if site.connector_kw.size
        else None,
        other_kw=forecast.other_kw(edges_s),
    )


def _battery(hub: scenario_schema.HubSection, site: contract.Site, wear_per_kwh: float) -> StorageData:
    batteries = [device.section for device in hub.devices() if device.kind == "bess"]
    soc = weighted_mean([section.soc for section in batteries], [section.capacity_kwh for section in batteries], 0.0)
    return StorageData(
        energy_kwh=soc * site.bess_kwh,
        energy_min_kwh=site.bess_soc_min * site.bess_kwh,
        energy_max_kwh=site.bess_soc_max * site.bess_kwh,
        charge_kw=site.bess_kw,
        discharge_kw=site.bess_kw,
        eta_charge=site.bess_eta_charge,
        eta_discharge=site.bess_eta_discharge,
        wear_per_kwh=wear_per_kwh,
    )


def _sessions(
    missed_per_kwh: float,
    site: contract.Site,
    forecast: contract.Forecast,
    end_s: float,
    charging_per_kwh: np.ndarray,
) -> SessionsData | None:
    """All EVs from plug-in to departure; a penalty only for those that leave before the end, as in the results."""
    visits = forecast.sessions(end_s)
    if not visits.id:
        return None
    return SessionsData(
        names=visits.id,
        connectors=("any",) * len(visits.id),
        arrival_s=visits.arrival_s,
        departure_s=np.minimum(visits.departure_s, end_s),
        energy_kwh=np.zeros(len(visits.id)),
        target_kwh=visits.energy_kwh,
        capacity_kwh=visits.energy_kwh,
        charge_kw=np.minimum(visits.p_max_kw, site.connector_kw.max()),
        eens_per_kwh=np.where(visits.departure_s < end_s, missed_per_kwh, 0.0),
        charging_per_kwh=np.broadcast_to(charging_per_kwh, (len(visits.id), charging_per_kwh.size)),
    )
