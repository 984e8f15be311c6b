"""The table of all key figures of a run, hub by hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..kpis.balanced_kinds import balanced_kinds, layers_of
from ..kpis.energy_figures import energies
from ..kpis.key_figure import MONEY, HubRun, KeyFigure, WholeRun, part
from ..kpis.key_figure_registry import (
    KeyFigureError,
    broken_figures,
    built_in_figures,
    foreign_value,
    key_figures,
    package_figures,
)
from .hub_signals import hub_powers, hub_supply

if TYPE_CHECKING:
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
_TOTALS: dict[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min, "mean": fmean}


def summary(results: RunData, figures: Iterable[KeyFigure] = ()) -> pd.DataFrame:
    """Compute the table of all key figures of a run.

    SAIFI and SAIDI count a hub as one customer: the number and length of the periods in which nothing supplied it;
    their totals are means over the hubs. Totals of peaks and voltages are extremes, of ratios the ratio of the sums,
    of the fairness that of all sessions together, all others sums. Everything here is the same for the same scenario
    and seed; `decision_times` has what depends on the machine.

    Parameters
    ----------
    results : RunData
        The run.
    figures : iterable of KeyFigure, optional
        Further ones to compute. Those that the scenario named are in the file of the run and always there.

    Returns
    -------
    DataFrame
        Indexed by a short key: group, quantity, unit, one column per hub, and total. NaN where a hub has no such
        device; rows that apply to no hub are left out. Costs are in the currency of the tariffs. Key figures that are
        not of evhub and could not be computed are rows of NaN; ``attrs["problems"]`` has a line for each of them.

    Raises
    ------
    KeyFigureError
        If one of `figures` has the name of a key figure of evhub.
    """
    further = {figure.name: figure for figure in figures}
    if taken := further.keys() & built_in_figures().keys():
        raise KeyFigureError(f"key figures of your own must have other names than {', '.join(sorted(taken))}")
    stored = {name: figure for name, figure in results.own_figures().items() if name not in further}
    of_packages = {name: figure for name, figure in package_figures().items() if name not in {**further, **stored}}
    run = _whole_run(results, {**built_in_figures(), **of_packages, **further})
    currency, problems = _currency(results), dict(broken_figures())
    records = []
    for figure in (*_figures_of_unknown_kinds(results), *built_in_figures().values()):
        values = [np.nan if figure.formula is None else figure.number(hub.once(figure.formula)) for hub in run.hubs]
        total = _total(figure, run, values, lambda function, of: function(of))
        if not np.isnan([*values, total]).all():
            records.append((figure.name, figure.group, figure.text, figure.unit, *values, total))
    for figure in (*of_packages.values(), *further.values()):
        try:
            row = _foreign_row(figure, run)
        except KeyFigureError as error:
            problems[figure.name] = str(error)
            row = (*[np.nan] * (len(run.hubs) + 1),)
        if figure.name in problems or not np.isnan(row).all():
            records.append((figure.name, figure.group, figure.text, figure.unit, *row))
    for name, figure in stored.items():
        values = [figure["values"].get(hub, np.nan) for hub in (*results.hubs, "total")]
        if figure["problem"]:
            problems[name] = figure["problem"]
        if figure["problem"] or not np.isnan(values).all():
            records.append((name, figure["group"], figure["text"], figure["unit"], *values))
    groups = list(dict.fromkeys(record[1] for record in records))
    records.sort(key=lambda record: groups.index(record[1]))
    columns = pd.Index(["key", "group", "quantity", "unit", *results.hubs, "total"])
    table = pd.DataFrame(records, columns=columns).set_index("key")
    table["unit"] = [unit.replace(MONEY, currency) for unit in table["unit"]]
    table.attrs["problems"] = problems
    return table


def better(results: RunData | None = None) -> dict[str, str]:
    """Return for every key figure in table order whether ``less`` or ``more`` is better; empty text for neither.

    Parameters
    ----------
    results : RunData, optional
        A run whose own key figures are added.
    """
    stored = results.own_figures() if results is not None else {}
    return {name: figure.better for name, figure in key_figures().items()} | {
        name: figure["better"] for name, figure in stored.items()
    }


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


def _foreign_row(figure: KeyFigure, run: WholeRun) -> tuple[float, ...]:
    """Return the values of a key figure that is not of evhub, hub by hub, and its total."""

    def call(function: Callable, of: Any) -> Any:
        return foreign_value(figure, function, of)

    formula = figure.formula
    values = [np.nan if formula is None else figure.number(call(formula, hub)) for hub in run.hubs]
    return *values, _total(figure, run, values, call)


def _total(
    figure: KeyFigure, run: WholeRun, values: Sequence[float], call: Callable[[Callable, HubRun | WholeRun], Any]
) -> float:
    """Return the total of a key figure over the hubs and the feeder; NaN where it applies to none of them."""
    known = [value for value in values if not np.isnan(value)]
    if figure.feeder is not None and (of_feeder := call(figure.feeder, run)) is not None:
        known.append(of_feeder)
    if not known:
        return np.nan
    if callable(figure.total):
        return figure.number(call(figure.total, run))
    if figure.total == "ratio" and figure.formula is not None:
        pairs: list[Any] = [hub.once(figure.formula) for hub in run.hubs]
        pairs = [pair for pair in pairs if pair is not None]
        return figure.number((float(sum(pair[0] for pair in pairs)), float(sum(pair[1] for pair in pairs))))
    return float(_TOTALS[figure.total](known))


def _figures_of_unknown_kinds(results: RunData) -> list[KeyFigure]:
    """Return the energies of devices whose packages are not installed here."""
    devices = [device for hub in results.hubs for device in results.devices(hub).values()]
    signs = {device.kind: device.sign for device in devices if device.kind not in balanced_kinds()}
    layers = [layer for kind, sign in signs.items() for layer in layers_of(kind, sign)]
    return [
        KeyFigure(layer.energy, "kWh", layer.text, part(energies, layer.energy), group="energy") for layer in layers
    ]


def _currency(results: RunData) -> str:
    units = [results.spec(path).unit for path in results.paths if path.endswith("/tariffs/buy_per_kwh")]
    names = {unit.split("/")[0].strip() for unit in units} - {"", "1"}
    return names.pop() if len(names) == 1 else "money"


def _whole_run(results: RunData, figures: dict[str, KeyFigure]) -> WholeRun:
    """Collect what formulas of key figures see of a run."""
    sessions = results.sessions()
    hubs = [_hub_run(results, hub, sessions.query("hub == @hub"), figures) for hub in results.hubs]
    return WholeRun(hubs, sessions, results.end_s, lambda path: results.arrays(path) if results.has(path) else None)


def _hub_run(results: RunData, hub: str, sessions: pd.DataFrame, figures: dict[str, KeyFigure]) -> HubRun:
    def read(path: str) -> tuple[np.ndarray, np.ndarray] | None:
        whole = f"{hub}/{path}"
        return results.arrays(whole) if results.has(whole) else None

    t_s, powers, signals = hub_powers(results, hub, {**_PRICES, **_INTENSITIES})
    devices = results.devices(hub)
    return HubRun(
        name=hub,
        start=results.start,
        end_s=results.end_s,
        sessions=sessions,
        read=read,
        t_s=t_s,
        powers=powers,
        kinds={name: device.kind for name, device in devices.items()},
        signs={name: device.sign for name, device in devices.items()},
        prices={name.removeprefix("price of "): signals[name] for name in _PRICES if name in signals},
        intensities={name.removeprefix("CO2 of "): signals[name] for name in _INTENSITIES if name in signals},
        supply=hub_supply(results, hub),
        figures=figures,
    )
