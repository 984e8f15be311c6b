"""What a day of Yan & Tu 2022 cost, and what its drivers got."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import yaml

from .....analysis.kpis import kpi_formulas, step_signals
from .....analysis.results.hub_signals import hub_signals
from .....analysis.results.result_reader import Results
from .....controllers.ievcs.ievcs_prices import DriverPrices
from .....simulators.units import S_PER_DAY, S_PER_H, energy_kwh
from .yan2022_days import assumed

HUB = "station"
_SIGNALS = {
    "grid": "grid/p_kw",
    "connectors": "cp/connector_p_kw",
    "buy": "tariffs/buy_per_kwh",
    "sell": "tariffs/sell_per_kwh",
    "charging": "controller/charging_per_kwh",
    "subsidy": "controller/subsidy_per_kwh",
    "plan": "controller/plan_cost_per_h",
}


def costs(results: Results) -> dict[str, float]:
    """Compute the operating cost of a run by its parts (Yan & Tu 2022, eq. 2-9) [currency].

    Beside the parts of eq. (2) two more, without which runs could not be compared: what EVs asked for and did not get,
    and what is in the storage at the begin and not at the end, at the mean purchase price.

    Parameters
    ----------
    results : Results
        A run of one of the scenarios.

    Returns
    -------
    dict of str to float
        Costs positive, revenue negative; ``total``, and ``planned``: the total by the plans in force (stage III).
    """
    scenario = _scenario(results)
    hub, controller = scenario["hubs"][HUB], scenario["controller"][0]
    end_s, numbers = results.end_s, assumed()
    t_s, now = signals(results)
    out_of = kpi_formulas.negative(now["connectors"]).sum(axis=1)

    def paid(power_kw: np.ndarray, price: np.ndarray) -> float:
        return kpi_formulas.energy(t_s, power_kw * price, end_s)

    eens_kwh = results.arrays(f"{HUB}/load/eens_kwh")[1][-1]
    missed_kwh = float(results.sessions()["missed_kwh"].sum())
    capacity_kwh, hours = hub["bess"]["capacity_kwh"], end_s / S_PER_H
    soc = results.arrays(f"{HUB}/bess/soc")[1]
    mean_price = float(step_signals.integral(t_s, now["buy"], end_s)) / end_s
    fixed = {
        "pv": numbers["theta_pv"] * hub["pv"]["rated_kw"] * hours,
        "storage": numbers["theta_bs"] * capacity_kwh * hours,
    }
    parts = {
        "purchase": paid(kpi_formulas.positive(now["grid"]), now["buy"]),
        "sale": -paid(kpi_formulas.negative(now["grid"]), now["sell"]),
        "subsidy": paid(out_of, now["subsidy"]),
        "charging": -charging_revenue(results),
        "eens": float(eens_kwh @ np.array(controller["eens_per_kwh"])),
        **fixed,
        "missed by EVs": missed_kwh * controller["ev_eens_per_kwh"],
        "taken from storage": (soc[0] - soc[-1]) * capacity_kwh * mean_price,
    }
    total = sum(parts.values())
    planned = kpi_formulas.energy(t_s, np.nan_to_num(now["plan"]), end_s) + sum(fixed.values())
    return {**parts, "total": total, "planned": planned}


def charging_revenue(results: Results) -> float:
    """Compute what drivers pay, by the prices that the controller recorded [currency].

    Where stage II sets tiers, a driver pays for the cheapest hours of the stay, by the list of the day of his
    arrival; that list has the scenario's own price for the hours after midnight.
    """
    scenario = _scenario(results)
    tariff_per_kwh = scenario["hubs"][HUB]["tariffs"]["charging"]["value"]
    t_s, now = signals(results)
    edges_s, announced = np.append(t_s, results.end_s), np.nan_to_num(now["charging"], nan=tariff_per_kwh)
    charged_kwh = energy_kwh(kpi_formulas.positive(now["connectors"]), np.diff(edges_s)[:, None])
    if not scenario["controller"][0]["stages"]["price_update"]:
        return float(charged_kwh.sum(axis=1) @ announced)
    session = step_signals.hold(*results.arrays(f"{HUB}/cp/session"), t_s).astype(int)
    visits = results.sessions()
    of_session_kwh = np.bincount(session[session >= 0], charged_kwh[session >= 0], minlength=len(visits))
    came_s, left_s = (visits[name].fillna(results.end_s).to_numpy() for name in ("plug_s", "end_s"))
    rated_kw = np.full(len(visits), scenario["hubs"][HUB]["connectors"]["rated_kw"])
    asked_kwh = visits["requested_kwh"].to_numpy()
    total = 0.0
    for begin_s in np.arange(0.0, results.end_s, S_PER_DAY):
        prices = DriverPrices(np.where(t_s < begin_s + S_PER_DAY, announced, tariff_per_kwh), 0.0, cheapest_hours=True)
        offered_per_kwh = prices.of_sessions(visits["id"].tolist(), edges_s, came_s, left_s, asked_kwh, rated_kw)
        new = (came_s >= begin_s) & (came_s < begin_s + S_PER_DAY)
        total += float(offered_per_kwh[new, 0] @ of_session_kwh[new])
    return total


def _scenario(results: Results) -> dict[str, Any]:
    """The resolved scenario of a run."""
    return yaml.safe_load(results.scenario)


def signals(results: Results) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the signals that cost something, at common times."""
    return hub_signals(results, HUB, _SIGNALS)


def hourly_cost(results: Results) -> np.ndarray:
    """Compute the cost of every hour by the exchange with the grid and the EVs [currency], shape (hours,)."""
    t_s, now = signals(results)
    rate = (
        kpi_formulas.positive(now["grid"]) * now["buy"]
        - kpi_formulas.negative(now["grid"]) * now["sell"]
        + kpi_formulas.negative(now["connectors"]).sum(axis=1) * now["subsidy"]
        - kpi_formulas.positive(now["connectors"]).sum(axis=1) * now["charging"]
    )
    return step_signals.mean(t_s, rate, step_signals.edges(results.end_s, S_PER_H), results.end_s)


def satisfaction(results: Results) -> pd.DataFrame:
    """Return what each session received, with all sessions together in the last row.

    Parameters
    ----------
    results : Results
        The run.

    Returns
    -------
    DataFrame
        ``delivered_share`` of what was asked for, and ``target_met``: 1 where the EV left with at least 99 % of it.
    """
    sessions = results.sessions()
    asked, got = sessions["requested_kwh"], sessions["delivered_kwh"].fillna(0.0)
    table = pd.DataFrame(
        {
            "id": sessions["id"],
            "requested_kwh": asked,
            "delivered_kwh": got,
            "delivered_share": got / asked,
            "target_met": (got >= 0.99 * asked).astype(float),
        }
    )
    whole = ("all", asked.sum(), got.sum(), got.sum() / asked.sum(), table["target_met"].mean())
    return pd.concat([table, pd.DataFrame([whole], columns=table.columns)], ignore_index=True)
