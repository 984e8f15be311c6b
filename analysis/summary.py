"""The run in numbers: one table of all key figures, hub by hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..simulators.models.units import S_PER_H, energy_kwh
from . import kpis, steps
from .views import POWERS, hub_signals, hub_supply

if TYPE_CHECKING:
    from .results import Results

_PRICES = {
    "price of buy": "tariffs/buy_per_kwh",
    "price of sell": "tariffs/sell_per_kwh",
    "price of demand": "tariffs/demand_per_kw",
    "price of dg": "tariffs/dg_per_kwh",
    "price of bess": "tariffs/bess_per_kwh",
    "price of charging": "tariffs/charging_per_kwh",
}


@dataclass(frozen=True)
class _Row:
    """A line of the summary; a total is a sum unless `total` says otherwise, a ratio is `of` two sums."""

    key: str
    group: str
    text: str
    unit: str = "kWh"
    total: Callable[[list[float]], float] = sum
    of: tuple[str, str, float] | None = None


_ROWS = (
    _Row("pv_kwh", "energy", "PV energy"),
    _Row("pv_curtailed_kwh", "energy", "PV energy curtailed"),
    _Row("import_kwh", "energy", "grid import"),
    _Row("export_kwh", "energy", "grid export"),
    _Row("secondary_kwh", "energy", "secondary source"),
    _Row("dg_kwh", "energy", "generator"),
    _Row("bess_out_kwh", "energy", "battery discharged"),
    _Row("bess_in_kwh", "energy", "battery charged"),
    _Row("load_kwh", "energy", "local load"),
    _Row("charging_kwh", "energy", "EV charging"),
    _Row("v2g_kwh", "energy", "fed back by EVs"),
    _Row("losses_kwh", "energy", "losses (balance)"),
    _Row("self_consumption", "energy", "self-consumption of PV", "%", of=("pv_used_kwh", "pv_kwh", 100.0)),
    _Row("self_sufficiency", "energy", "self-sufficiency", "%", of=("own_kwh", "demand_kwh", 100.0)),
    _Row("peak_import_kw", "power", "peak import", "kW", total=max),
    _Row("peak_demand_kw", "power", "peak import over 15 min", "kW", total=max),
    _Row("bess_cycles", "power", "battery full cycles", "1", total=max),
    _Row("cost_bought", "cost", "energy bought", "money"),
    _Row("cost_demand", "cost", "demand charge", "money"),
    _Row("cost_secondary", "cost", "secondary source", "money"),
    _Row("cost_dg", "cost", "generator", "money"),
    _Row("cost_bess", "cost", "battery use", "money"),
    _Row("cost_sold", "cost", "revenue: energy sold", "money"),
    _Row("cost_charging", "cost", "revenue: charging", "money"),
    _Row("cost_net", "cost", "net cost", "money"),
    _Row("sessions", "EV service", "sessions", "1"),
    _Row("served", "EV service", "served", "1"),
    _Row("balked", "EV service", "balked", "1"),
    _Row("reneged", "EV service", "reneged", "1"),
    _Row("unfinished", "EV service", "unfinished", "1"),
    _Row("requested_kwh", "EV service", "energy requested"),
    _Row("delivered_kwh", "EV service", "energy delivered"),
    _Row("missed_kwh", "EV service", "energy missed"),
    _Row("on_time_percent", "EV service", "requests met", "%", of=("met", "ended", 100.0)),
    _Row(
        "waiting_mean_min", "EV service", "mean time from arrival to charging", "min", of=("waited_min", "plugged", 1.0)
    ),
    _Row("waiting_max_min", "EV service", "longest time from arrival to charging", "min", total=max),
    _Row("outages", "resilience", "grid outages", "1"),
    _Row("outage_h", "resilience", "grid not available", "h"),
    _Row("islanded_h", "resilience", "time islanded", "h"),
    _Row("interruptions", "resilience", "interruptions (SAIFI)", "1", total=fmean),
    _Row("interruption_h", "resilience", "interrupted (SAIDI)", "h", total=fmean),
    _Row("unserved_kwh", "resilience", "load not served"),
    *(_Row(f"unserved_{name}_kwh", "resilience", f"load not served, {name}") for name in kpis.LOAD_CLASSES),
    _Row("v_min_pu", "network", "lowest voltage", "pu", total=min),
    _Row("v_max_pu", "network", "highest voltage", "pu", total=max),
    _Row("line_loading_percent", "network", "highest line loading", "%", total=max),
    _Row("trafo_loading_percent", "network", "highest transformer loading", "%", total=max),
    _Row("network_losses_kwh", "network", "losses of the feeder"),
)


def summary(results: Results) -> pd.DataFrame:
    """The run in numbers.

    SAIFI and SAIDI count a hub as one customer: the number and length of the periods in which nothing supplied it;
    their totals are means over the hubs. Totals of peaks and voltages are extremes, of ratios the ratio of the sums,
    all others sums.

    Parameters
    ----------
    results : Results
        The run.

    Returns
    -------
    DataFrame
        Indexed by a short key: group, quantity, unit, one column per hub, and total. NaN where a hub has no such
        device; rows that apply to no hub are left out. Costs are in the currency of the tariffs.
    """
    sessions = results.sessions()
    hubs = {hub: _hub_values(results, hub, sessions.query("hub == @hub")) for hub in results.hubs}
    network = _network_values(results)
    currency = _currency(results)
    records = []
    for row in _ROWS:
        each = [_value(row, values) for values in hubs.values()]
        known = [value for value in each if not np.isnan(value)]
        if row.key in network:
            known.append(network[row.key])
        if not known:
            continue
        total = _value(row, _sums(hubs.values())) if row.of else float(row.total(known))
        unit = currency if row.unit == "money" else row.unit
        records.append((row.key, row.group, row.text, unit, *each, total))
    columns = pd.Index(["key", "group", "quantity", "unit", *hubs, "total"])
    return pd.DataFrame(records, columns=columns).set_index("key")


def _value(row: _Row, values: Mapping[str, float]) -> float:
    if row.of is None:
        return float(values.get(row.key, np.nan))
    part, whole, factor = row.of
    return factor * values[part] / values[whole] if values.get(whole, 0) > 0 else np.nan


def _sums(hubs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    keys = {key for row in _ROWS if row.of for key in row.of[:2]}
    return {key: float(sum(values.get(key, 0.0) for values in hubs)) for key in keys}


def _currency(results: Results) -> str:
    units = [results.spec(path).unit for path in results.paths if path.endswith("/tariffs/buy_per_kwh")]
    names = {unit.split("/")[0].strip() for unit in units} - {"", "1"}
    return names.pop() if len(names) == 1 else "money"


def _hub_values(results: Results, hub: str, sessions: pd.DataFrame) -> dict[str, float]:
    """All numbers of one hub, those that only serve ratios included."""
    end_s, start = results.end_s, results.start
    values: dict[str, float] = {}
    if len(sessions) or results.has(f"{hub}/cp/p_kw"):
        values.update(kpis.ev_service(sessions, end_s))

    t_s, signals = hub_signals(results, hub, {**POWERS, **_PRICES})
    powers = {device: signals[device] for device in POWERS if device in signals}
    prices = {name.removeprefix("price of "): signals[name] for name in _PRICES if name in signals}
    if powers:
        values.update(_energies(t_s, powers, end_s))
        values.update({f"cost_{name}": value for name, value in kpis.costs(t_s, powers, prices, end_s, start).items()})
        values.update(_supply(results, hub))
    if "grid" in powers:
        held = steps.durations(t_s, end_s) > 0
        values["peak_import_kw"] = float(np.max(kpis.positive(powers["grid"][held]), initial=0.0))
        _, mean_kw = kpis.demand_intervals(t_s, powers["grid"], end_s, start)
        values["peak_demand_kw"] = float(np.nanmax(mean_kw, initial=0.0))

    values.update(_outages(results, hub))
    values.update(_unserved(results, hub))
    if results.has(f"{hub}/bess/soc"):
        values["bess_cycles"] = kpis.full_cycles(results.arrays(f"{hub}/bess/soc")[1])
    values.update(_voltages(results, f"{hub}/network/v_pu"))
    t_s, pv = hub_signals(results, hub, {"p": "pv/p_kw", "available": "pv/p_available_kw"})
    if len(pv) == 2:
        values["pv_curtailed_kwh"] = kpis.energy(t_s, kpis.positive(pv["available"] - pv["p"]), end_s)
    return values


def _energies(t_s: np.ndarray, powers: Mapping[str, np.ndarray], end_s: float) -> dict[str, float]:
    parts = {
        "import_kwh": ("grid", kpis.positive),
        "export_kwh": ("grid", kpis.negative),
        "secondary_kwh": ("secondary", kpis.positive),
        "pv_kwh": ("pv", kpis.positive),
        "bess_out_kwh": ("bess", kpis.positive),
        "bess_in_kwh": ("bess", kpis.negative),
        "dg_kwh": ("dg", kpis.positive),
        "load_kwh": ("load", kpis.positive),
        "charging_kwh": ("cp", kpis.positive),
        "v2g_kwh": ("cp", kpis.negative),
    }
    values = {key: kpis.energy(t_s, part(powers[name]), end_s) for key, (name, part) in parts.items() if name in powers}
    zero = np.zeros(len(t_s))
    known = {name: np.nan_to_num(powers.get(name, zero)) for name in POWERS}
    demand = known["load"] + kpis.positive(known["cp"])
    bought = kpis.positive(known["grid"]) + kpis.positive(known["secondary"])
    sources = sum(known[name] for name in ("grid", "secondary", "pv", "bess", "dg"))
    values["losses_kwh"] = kpis.energy(t_s, np.asarray(sources - known["load"] - known["cp"]), end_s)
    values["own_kwh"], values["demand_kwh"] = kpis.self_sufficiency(t_s, demand, bought, end_s)
    if "pv" in powers:
        values["pv_used_kwh"], _ = kpis.self_consumption(t_s, known["pv"], known["grid"], end_s)
    return values


def _length_h(begin_s: np.ndarray, end_s: np.ndarray) -> float:
    return float((end_s - begin_s).sum()) / S_PER_H


def _supply(results: Results, hub: str) -> dict[str, float]:
    t_s, state = hub_supply(results, hub)
    dead = steps.episodes(t_s, state == kpis.DEAD, results.end_s)
    islanded = steps.episodes(t_s, state == kpis.ISLANDED, results.end_s)
    return {
        "interruptions": len(dead[0]),
        "interruption_h": _length_h(*dead),
        "islanded_h": _length_h(*islanded),
    }


def _outages(results: Results, hub: str) -> dict[str, float]:
    if not results.has(f"{hub}/grid/available"):
        return {}
    t_s, available = results.arrays(f"{hub}/grid/available")
    outages = steps.episodes(t_s, available == 0, results.end_s)
    return {"outages": len(outages[0]), "outage_h": _length_h(*outages)}


def _unserved(results: Results, hub: str) -> dict[str, float]:
    if not results.has(f"{hub}/load/unserved_kw"):
        return {}
    t_s, unserved_kw = results.arrays(f"{hub}/load/unserved_kw")
    kwh = np.atleast_1d(energy_kwh(steps.integral(t_s, unserved_kw, results.end_s), 1.0))
    if results.has(f"{hub}/load/eens_kwh"):
        # the account of the load itself, which also has what was put off and never made good
        kwh = results.arrays(f"{hub}/load/eens_kwh")[1][-1]
    each = {f"unserved_{name}_kwh": float(part) for name, part in zip(kpis.LOAD_CLASSES, kwh, strict=True)}
    return {**each, "unserved_kwh": sum(each.values())}


def _voltages(results: Results, path: str) -> dict[str, float]:
    """Lowest and highest voltage of a signal; a dead bus has none."""
    v_pu = results.arrays(path)[1] if results.has(path) else np.empty(0)
    v_pu = v_pu[v_pu > 0]
    return {"v_min_pu": float(v_pu.min()), "v_max_pu": float(v_pu.max())} if v_pu.size else {}


def _network_values(results: Results) -> dict[str, float]:
    """Numbers of the feeder, which belong to no hub."""
    values = _voltages(results, "network/grid/bus_v_pu")
    for key in ("line_loading_percent", "trafo_loading_percent"):
        path = f"network/grid/{key}"
        loading = results.arrays(path)[1] if results.has(path) else np.empty(0)
        if np.isfinite(loading).any():
            values[key] = float(np.nanmax(loading))
    if results.has("network/grid/losses_kw"):
        values["network_losses_kwh"] = kpis.energy(*results.arrays("network/grid/losses_kw"), results.end_s)
    return values
