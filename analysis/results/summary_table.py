"""The table of all key figures of a run, hub by hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...simulators.devices import derived
from ...simulators.units import energy_kwh
from ..kpis import kpi_formulas, step_signals
from .hub_signals import balanced_kinds, hub_powers, hub_signals, hub_supply, kind_powers, layers_of, part_of

if TYPE_CHECKING:
    from ...simulators.device_kind import DeviceKind
    from .run_data import RunData

_PRICES = {
    "price of buy": "tariffs/buy_per_kwh",
    "price of sell": "tariffs/sell_per_kwh",
    "price of demand": "tariffs/demand_per_kw",
    "price of dg": "tariffs/dg_per_kwh",
    "price of bess": "tariffs/bess_per_kwh",
    "price of charging": "tariffs/charging_per_kwh",
    "price of missed": "tariffs/missed_per_kwh",
    "price of unserved": "tariffs/unserved_per_kwh",
}
_INTENSITIES = {"CO2 of grid": "emissions/grid_kg_per_kwh", "CO2 of fuel": "emissions/fuel_kg_per_kwh"}
_FULL_PERCENT = 100.0


@dataclass(frozen=True)
class _Row:
    """A row of the summary; its total is a sum unless `total` is another function, or the ratio `of` two sums.

    `better` is less or more, and empty for figures without an undisputed better direction.
    """

    key: str
    group: str
    text: str
    unit: str = "kWh"
    total: Callable[[list[float]], float] = sum
    of: tuple[str, str, float] | None = None
    better: str = ""


_TABLE_ORDER = ("pv", "grid", "secondary", "dg", "bess", "load", "cp")
"""Order of the energies in the table, by kind of device; those of further kinds follow."""


def _kinds_in_order() -> list[DeviceKind]:
    order = [*_TABLE_ORDER, *(name for name in balanced_kinds() if name not in _TABLE_ORDER)]
    return [balanced_kinds()[name] for name in order]


def _energy_rows() -> list[_Row]:
    layers = [layer for kind in _kinds_in_order() for layer in kind.layers]
    rows = [_Row(layer.energy, "energy", layer.text) for layer in layers if layer.energy]
    place = 1 + next(n for n, row in enumerate(rows) if row.key == "pv_kwh")
    return [*rows[:place], _Row("pv_curtailed_kwh", "energy", "PV energy curtailed", better="less"), *rows[place:]]


def _cost_rows(*, earned: bool) -> list[_Row]:
    return [
        _Row(f"cost_{kind.cost_key}", "cost", kind.cost_text or kind.label, "money")
        for kind in _kinds_in_order()
        if kind.price and kind.earns == earned
    ]


_ENERGY_RATIOS = (
    _Row("losses_kwh", "energy", "losses (balance)"),
    _Row(
        "self_consumption", "energy", "self-consumption of PV", "%", of=("pv_used_kwh", "pv_kwh", 100.0), better="more"
    ),
    _Row("self_sufficiency", "energy", "self-sufficiency", "%", of=("own_kwh", "demand_kwh", 100.0), better="more"),
)
_POWER_ROWS = (
    _Row("peak_import_kw", "power", "peak import", "kW", total=max, better="less"),
    _Row("peak_demand_kw", "power", "peak import over 15 min", "kW", total=max, better="less"),
    _Row("load_factor", "power", "load factor of the import", "%", of=("import_kwh", "at_peak_kwh", 100.0)),
    _Row("bess_cycles", "battery", "battery full cycles", "1", total=max),
    _Row("soc_min", "battery", "lowest state of charge", "1", total=min),
    _Row("soc_mean", "battery", "mean state of charge", "1", total=fmean),
    _Row("soc_max", "battery", "highest state of charge", "1", total=max),
    _Row("soc_end", "battery", "state of charge at the end", "1", total=fmean),
)
_BOUGHT_ROWS = (
    _Row("cost_bought", "cost", "energy bought", "money"),
    _Row("cost_demand", "cost", "demand charge", "money", better="less"),
)
_PENALTY_ROWS = (
    _Row("cost_missed", "cost", "penalty: energy missed", "money", better="less"),
    _Row("cost_unserved", "cost", "penalty: load not served", "money", better="less"),
    _Row("cost_sold", "cost", "revenue: energy sold", "money"),
)
_OTHER_ROWS = (
    _Row("cost_net", "cost", "net cost", "money", better="less"),
    _Row("co2_grid_kg", "emissions", "CO2 of grid import", "kg", better="less"),
    _Row("co2_fuel_kg", "emissions", "CO2 of fuel", "kg", better="less"),
    _Row("co2_kg", "emissions", "CO2", "kg", better="less"),
    _Row("sessions", "EV service", "sessions", "1"),
    _Row("served", "EV service", "served", "1", better="more"),
    _Row("balked", "EV service", "balked", "1", better="less"),
    _Row("reneged", "EV service", "reneged", "1", better="less"),
    _Row("unfinished", "EV service", "unfinished", "1"),
    _Row("requested_kwh", "EV service", "energy requested"),
    _Row("delivered_kwh", "EV service", "energy delivered", better="more"),
    _Row("missed_kwh", "EV service", "energy missed", better="less"),
    _Row(
        "delivered_percent",
        "EV service",
        "delivered of requested",
        "%",
        of=("delivered_kwh", "requested_kwh", 100.0),
        better="more",
    ),
    _Row("on_time_percent", "EV service", "requests met", "%", of=("met", "ended", 100.0), better="more"),
    _Row("fairness", "EV service", "fairness (Jain's index)", "1", better="more"),
    _Row(
        "waiting_mean_min",
        "EV service",
        "mean time from arrival to charging",
        "min",
        of=("waited_min", "plugged", 1.0),
        better="less",
    ),
    _Row("waiting_max_min", "EV service", "longest time from arrival to charging", "min", total=max, better="less"),
    _Row("outages", "resilience", "grid outages", "1"),
    _Row("outage_h", "resilience", "grid not available", "h"),
    _Row("islanded_h", "resilience", "time islanded", "h"),
    _Row(
        "time_to_island_s",
        "resilience",
        "mean time to island",
        "s",
        of=("to_island_s", "islandings", 1.0),
        better="less",
    ),
    _Row(
        "time_to_restore_s",
        "resilience",
        "mean time to restore",
        "s",
        of=("to_restore_s", "restorations", 1.0),
        better="less",
    ),
    _Row("interruptions", "resilience", "interruptions (SAIFI)", "1", total=fmean, better="less"),
    _Row("interruption_h", "resilience", "interrupted (SAIDI)", "h", total=fmean, better="less"),
    _Row("unserved_kwh", "resilience", "load not served", better="less"),
    *(
        _Row(f"unserved_{name}_kwh", "resilience", f"load not served, {name}", better="less")
        for name in kpi_formulas.LOAD_CLASSES
    ),
    _Row("v_min_pu", "network", "lowest voltage", "pu", total=min),
    _Row("v_max_pu", "network", "highest voltage", "pu", total=max),
    _Row(
        "v_outside_h",
        "network",
        f"voltage outside {kpi_formulas.VOLTAGE_BAND_PU[0]:g} to {kpi_formulas.VOLTAGE_BAND_PU[1]:g} pu",
        "h",
        total=max,
        better="less",
    ),
    _Row("line_loading_percent", "network", "highest line loading", "%", total=max, better="less"),
    _Row("trafo_loading_percent", "network", "highest transformer loading", "%", total=max, better="less"),
    _Row("overload_h", "network", "lines or transformers overloaded", "h", better="less"),
    _Row("network_losses_kwh", "network", "losses of the feeder", better="less"),
)


@derived
def _rows() -> tuple[_Row, ...]:
    """Return all rows of the table, in their order."""
    return (
        *_energy_rows(),
        *_ENERGY_RATIOS,
        *_POWER_ROWS,
        *_BOUGHT_ROWS,
        *_cost_rows(earned=False),
        *_PENALTY_ROWS,
        *_cost_rows(earned=True),
        *_OTHER_ROWS,
    )


def _rows_of_unknown_kinds(results: RunData) -> list[_Row]:
    """Return the energies of devices whose packages are not installed here."""
    devices = [device for hub in results.hubs for device in results.devices(hub).values()]
    signs = {device.kind: device.sign for device in devices if device.kind not in balanced_kinds()}
    layers = [layer for kind, sign in signs.items() for layer in layers_of(kind, sign)]
    return [_Row(layer.energy, "energy", layer.text) for layer in layers]


def summary(results: RunData) -> pd.DataFrame:
    """Compute the table of all key figures of a run.

    SAIFI and SAIDI count a hub as one customer: the number and length of the periods in which nothing supplied it;
    their totals are means over the hubs. Totals of peaks and voltages are extremes, of ratios the ratio of the sums,
    of the fairness that of all sessions together, all others sums. Everything here is the same for the same scenario
    and seed; `decision_times` has what depends on the machine.

    Parameters
    ----------
    results : RunData
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
    fairness = kpi_formulas.ev_service(sessions, results.end_s)["fairness"]
    currency = _currency(results)
    records = []
    for row in (*_rows_of_unknown_kinds(results), *_rows()):
        per_hub = [_value(row, values) for values in hubs.values()]
        known = [value for value in per_hub if not np.isnan(value)]
        if row.key in network:
            known.append(network[row.key])
        if not known:
            continue
        total = _value(row, _sums(hubs.values())) if row.of else float(row.total(known))
        total = fairness if row.key == "fairness" else total
        unit = currency if row.unit == "money" else row.unit
        records.append((row.key, row.group, row.text, unit, *per_hub, total))
    columns = pd.Index(["key", "group", "quantity", "unit", *hubs, "total"])
    return pd.DataFrame(records, columns=columns).set_index("key")


def better() -> dict[str, str]:
    """Return for every key figure in table order whether ``less`` or ``more`` is better; empty text for neither."""
    return {row.key: row.better for row in _rows()}


def decision_times(results: RunData) -> pd.DataFrame:
    """Compute statistics of the decision times of controllers, which depend on the machine of the run.

    Parameters
    ----------
    results : RunData
        The run.

    Returns
    -------
    DataFrame
        Indexed by the name of the diagnostic: ``CONTROLLER/decision_s`` for wall-clock times [s], and further values
        that controllers record, such as the time or status of a solver. Columns: count, mean, median, p95 (95 % are at
        most this) and max.
    """
    rows = {}
    for name, samples in results.diagnostics().groupby("name"):
        values = samples["value"].dropna().to_numpy(float)
        if not len(values):
            continue
        rows[name] = (len(values), values.mean(), np.median(values), np.quantile(values, 0.95), values.max())
    return pd.DataFrame.from_dict(rows, orient="index", columns=pd.Index(["count", "mean", "median", "p95", "max"]))


def _value(row: _Row, values: Mapping[str, float]) -> float:
    if row.of is None:
        return float(values.get(row.key, np.nan))
    part, whole, factor = row.of
    return factor * values.get(part, np.nan) / values[whole] if values.get(whole, 0) > 0 else np.nan


def _sums(hubs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    keys = {key for row in _rows() if row.of for key in row.of[:2]}
    return {key: float(sum(values.get(key, 0.0) for values in hubs)) for key in keys}


def _currency(results: RunData) -> str:
    units = [results.spec(path).unit for path in results.paths if path.endswith("/tariffs/buy_per_kwh")]
    names = {unit.split("/")[0].strip() for unit in units} - {"", "1"}
    return names.pop() if len(names) == 1 else "money"


def _hub_values(results: RunData, hub: str, sessions: pd.DataFrame) -> dict[str, float]:
    """Compute all figures of one hub, also those that only ratios need."""
    end_s, start = results.end_s, results.start
    values: dict[str, float] = {}
    if len(sessions) or results.has(f"{hub}/cp/p_kw"):
        values.update(kpi_formulas.ev_service(sessions, end_s))

    values.update(_unserved(results, hub))
    t_s, powers, signals = hub_powers(results, hub, {**_PRICES, **_INTENSITIES})
    by_kind = kind_powers(results, hub, powers)
    prices = {name.removeprefix("price of "): signals[name] for name in _PRICES if name in signals}
    intensities = {name.removeprefix("CO2 of "): signals[name] for name in _INTENSITIES if name in signals}
    if powers:
        values.update(_energies(results, hub, t_s, powers, by_kind))
        costs = kpi_formulas.costs(t_s, by_kind, prices, end_s, start)
        for name in ("missed", "unserved"):  # a constant price on what a hub owed in the end
            if len(prices.get(name, ())) and f"{name}_kwh" in values:
                costs[name] = float(prices[name][-1]) * values[f"{name}_kwh"]
                costs["net"] = costs.get("net", 0.0) + costs[name]
        values.update({f"cost_{name}": value for name, value in costs.items()})
        co2 = kpi_formulas.emissions(t_s, by_kind, intensities, end_s)
        values.update({"co2_kg" if name == "total" else f"co2_{name}_kg": kg for name, kg in co2.items()})
        values.update(_supply(results, hub))
    if "grid" in powers:
        held = step_signals.durations(t_s, end_s) > 0
        values["peak_import_kw"] = float(np.max(kpi_formulas.positive(powers["grid"][held]), initial=0.0))
        _, mean_kw = kpi_formulas.demand_intervals(t_s, powers["grid"], end_s, start)
        values["peak_demand_kw"] = float(np.nanmax(mean_kw, initial=0.0))
        values["at_peak_kwh"] = float(energy_kwh(values["peak_demand_kw"], end_s))

    values.update(_outages(results, hub))
    if results.has(f"{hub}/bess/soc"):
        t_s, soc = results.arrays(f"{hub}/bess/soc")
        values["bess_cycles"] = kpi_formulas.full_cycles(soc)
        values.update({f"soc_{name}": value for name, value in kpi_formulas.soc_statistics(t_s, soc, end_s).items()})
    values.update(_voltages(results, f"{hub}/network/v_pu"))
    t_s, pv = hub_signals(results, hub, {"p": "pv/p_kw", "available": "pv/p_available_kw"})
    if len(pv) == 2:
        values["pv_curtailed_kwh"] = kpi_formulas.energy(t_s, kpi_formulas.positive(pv["available"] - pv["p"]), end_s)
    return values


def _energies(
    results: RunData,
    hub: str,
    t_s: np.ndarray,
    powers: Mapping[str, np.ndarray],
    by_kind: Mapping[str, Sequence[np.ndarray]],
) -> dict[str, float]:
    """Return the energies of the devices, and those that the ratios need [kWh]."""
    end_s, devices = results.end_s, results.devices(hub)
    signs = {device.kind: device.sign for device in devices.values()}
    values = {
        layer.energy: sum(kpi_formulas.energy(t_s, part_of(layer, p_kw), end_s) for p_kw in device_powers)
        for kind, device_powers in by_kind.items()
        for layer in layers_of(kind, signs[kind])
        if layer.energy
    }
    zero = np.zeros(len(t_s))
    known = {name: np.nan_to_num(p_kw) for name, p_kw in powers.items()}
    total = {
        kind: sum((np.nan_to_num(p_kw) for p_kw in device_powers), zero) for kind, device_powers in by_kind.items()
    }

    def of(kind: str) -> np.ndarray:
        return total.get(kind, zero)

    demand = of("load") + kpi_formulas.positive(of("cp"))
    bought = kpi_formulas.positive(of("grid")) + kpi_formulas.positive(of("secondary"))
    fed = sum((known[name] for name in known if devices[name].sign > 0), zero)
    drawn = sum((known[name] for name in known if devices[name].sign < 0), zero)
    values["losses_kwh"] = kpi_formulas.energy(t_s, fed - drawn, end_s)
    values["own_kwh"], values["demand_kwh"] = kpi_formulas.self_sufficiency(t_s, demand, bought, end_s)
    if "pv" in by_kind:
        values["pv_used_kwh"], _ = kpi_formulas.self_consumption(t_s, of("pv"), of("grid"), end_s)
    return values


def _supply(results: RunData, hub: str) -> dict[str, float]:
    t_s, state = hub_supply(results, hub)
    return {
        "interruptions": len(step_signals.episodes(t_s, state == kpi_formulas.DEAD, results.end_s)[0]),
        "interruption_h": kpi_formulas.hours(t_s, state == kpi_formulas.DEAD, results.end_s),
        "islanded_h": kpi_formulas.hours(t_s, state == kpi_formulas.ISLANDED, results.end_s),
    }


def _outages(results: RunData, hub: str) -> dict[str, float]:
    if not results.has(f"{hub}/grid/available"):
        return {}
    end_s = results.end_s
    t_s, available = results.arrays(f"{hub}/grid/available")
    values = {
        "outages": len(step_signals.episodes(t_s, available == 0, end_s)[0]),
        "outage_h": kpi_formulas.hours(t_s, available == 0, end_s),
    }
    supply_s, state = hub_supply(results, hub)
    if len(supply_s):
        island_s, restore_s = kpi_formulas.transfers(
            supply_s, step_signals.hold(t_s, available, supply_s), state, end_s
        )
        values |= {"to_island_s": float(island_s.sum()), "islandings": len(island_s)}
        values |= {"to_restore_s": float(restore_s.sum()), "restorations": len(restore_s)}
    return values


def _unserved(results: RunData, hub: str) -> dict[str, float]:
    if not results.has(f"{hub}/load/unserved_kw"):
        return {}
    t_s, unserved_kw = results.arrays(f"{hub}/load/unserved_kw")
    kwh = np.atleast_1d(energy_kwh(step_signals.integral(t_s, unserved_kw, results.end_s), 1.0))
    account = results.arrays(f"{hub}/load/eens_kwh")[1] if results.has(f"{hub}/load/eens_kwh") else np.empty(0)
    if len(account):  # that of the load itself, which also has what was put off and never made good
        kwh = account[-1]
    by_class = {f"unserved_{name}_kwh": float(part) for name, part in zip(kpi_formulas.LOAD_CLASSES, kwh, strict=True)}
    return {**by_class, "unserved_kwh": sum(by_class.values())}


def _voltages(results: RunData, path: str) -> dict[str, float]:
    """Compute lowest and highest voltage of a signal and its time outside the band; a dead bus has no voltage."""
    t_s, v_pu = results.arrays(path) if results.has(path) else (np.empty(0), np.empty(0))
    known = v_pu[v_pu > 0]
    if not known.size:
        return {}
    outside_h = kpi_formulas.outside_band(t_s, v_pu, results.end_s, kpi_formulas.VOLTAGE_BAND_PU)
    return {"v_min_pu": float(known.min()), "v_max_pu": float(known.max()), "v_outside_h": outside_h}


def _network_values(results: RunData) -> dict[str, float]:
    """Compute the figures of the feeder, which belong to no hub."""
    values = _voltages(results, "network/grid/bus_v_pu")
    loadings = {}
    for key in ("line_loading_percent", "trafo_loading_percent"):
        path = f"network/grid/{key}"
        t_s, loading = results.arrays(path) if results.has(path) else (np.empty(0), np.empty(0))
        if np.isfinite(loading).any():
            highest = np.fmax.reduce(loading.reshape(len(t_s), -1), axis=1)
            values[key] = float(np.nanmax(highest))
            loadings[key] = t_s, highest
    if loadings:
        t_s = step_signals.union([t for t, _ in loadings.values()])
        over = np.any([step_signals.hold(t, percent, t_s) > _FULL_PERCENT for t, percent in loadings.values()], axis=0)
        values["overload_h"] = kpi_formulas.hours(t_s, over, results.end_s)
    if results.has("network/grid/losses_kw"):
        values["network_losses_kwh"] = kpi_formulas.energy(*results.arrays("network/grid/losses_kw"), results.end_s)
    return values
