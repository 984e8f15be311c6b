"""Costs and revenues of a hub, and the penalties on what it did not serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ...simulators.devices import derived, kinds
from . import step_signals
from .balanced_kinds import kinds_in_table_order
from .key_figure import MONEY, HubRun, KeyFigure, KeyFigureGroup, WholeRun, part
from .kpi_formulas import energy, negative, positive
from .power_figures import demand_intervals
from .service_figures import ev_service_of
from .supply_figures import unserved

_PRICED = {"positive": positive, "negative": negative, "both": np.abs, "net": np.asarray}
"""The part of a power that a price applies to."""
PENALTIES = {"missed": (ev_service_of, "missed_kwh"), "unserved": (unserved, "unserved_kwh")}
"""By price: what computes the energy that it is on, and the energy's key."""


def demand_charge(begin_s: np.ndarray, mean_kw: np.ndarray, price_per_kw: np.ndarray, start: pd.Timestamp) -> float:
    """Sum over calendar months the cost of the dearest quarter of an hour, its mean import times its price per kW.

    Parameters
    ----------
    begin_s, mean_kw : array, shape (m,)
        Quarters of `demand_intervals` [s], [kW].
    price_per_kw : array, shape (m,)
        Price in each quarter.
    start : Timestamp
        Instant of t_s = 0, with zone.

    Returns
    -------
    float
        Sum over the months.
    """
    cost = np.nan_to_num(mean_kw * price_per_kw)
    instants = start.tz_convert("UTC") + pd.to_timedelta(np.maximum(begin_s, 0.0), unit="s")
    local = pd.DatetimeIndex(instants).tz_convert(start.tzinfo).tz_localize(None)
    return float(pd.Series(cost).groupby(local.to_period("M")).max().sum())


def costs(
    t_s: np.ndarray,
    powers_kw: Mapping[str, np.ndarray | Sequence[np.ndarray]],
    prices: Mapping[str, np.ndarray],
    end_s: float,
    start: pd.Timestamp,
) -> dict[str, float]:
    """Compute the costs and revenues of a run.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    powers_kw : mapping of str to array, shape (k,), or to a list of arrays
        By kind of device, and ``grid`` [kW]; a list where there are several of a kind.
    prices : mapping of str to array, shape (k,)
        Any of buy, sell, dg, bess, charging [1/kWh] and demand [1/kW].
    end_s : float
        End of the signals [s].
    start : Timestamp
        Instant of t_s = 0, with zone.

    Returns
    -------
    dict of str to float
        ``bought`` and ``demand`` (grid import), the use of every kind of device that has a price, such as ``secondary``
        and ``dg`` (both at the generator's price) and ``bess`` (every kWh in and out, Lavrenova & Denysiuk 2023,
        eq. (11)); as revenue ``sold`` (grid export) and ``charging`` (net of what EVs gave back); ``net`` = costs -
        revenues. An item without its power or price is left out.
    """

    def paid(power: str, price: str, part: Callable[[np.ndarray], np.ndarray]) -> float | None:
        if power not in powers_kw or price not in prices:
            return None
        return sum(energy(t_s, part(p_kw) * prices[price], end_s) for p_kw in powers_of_devices(powers_kw[power]))

    priced = [kind for kind in kinds() if kind.price]
    used = {kind.cost_key: paid(kind.name, kind.price, _PRICED[kind.priced]) for kind in priced}
    earned = {kind.cost_key for kind in priced if kind.earns}
    items = {
        "bought": paid("grid", "buy", positive),
        "demand": None,
        **{key: used[key] for key in used if key not in earned},
        "sold": paid("grid", "sell", negative),
        **{key: used[key] for key in used if key in earned},
    }
    if "grid" in powers_kw and "demand" in prices:
        (grid_kw,) = powers_of_devices(powers_kw["grid"])
        begin_s, mean_kw = demand_intervals(t_s, grid_kw, end_s, start)
        price = step_signals.hold(t_s, prices["demand"], np.maximum(begin_s, 0.0))
        items["demand"] = demand_charge(begin_s, mean_kw, price, start)
    amounts = {name: value for name, value in items.items() if value is not None}
    if amounts:
        revenues = {"sold", *earned}
        amounts["net"] = sum(-value if name in revenues else value for name, value in amounts.items())
    return amounts


def powers_of_devices(powers_kw: np.ndarray | Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Return the powers of the devices of a kind as a list, also if there is only one."""
    return [powers_kw] if isinstance(powers_kw, np.ndarray) else powers_kw


def account(hub: HubRun) -> dict[str, float]:
    """Compute the costs, penalties and revenues of a hub; empty where it has no power or no price."""
    if not hub.powers:
        return {}
    amounts = costs(hub.t_s, hub.by_kind, hub.prices, hub.end_s, hub.start)
    for name, (function, key) in PENALTIES.items():  # a constant price on what a hub owed in the end
        values = hub.once(function)
        if len(hub.prices.get(name, ())) and key in values:
            amounts[name] = float(hub.prices[name][-1]) * values[key]
            amounts["net"] = amounts.get("net", 0.0) + amounts[name]
    return amounts


def bills(hub: HubRun) -> float | None:
    """Compute the net cost of a hub without penalties; None where it has no costs."""
    amounts = hub.once(account)
    return amounts["net"] - sum(amounts.get(name, 0.0) for name in PENALTIES) if amounts else None


def _penalised_bills(hub: HubRun) -> float | None:
    return bills(hub) if hub.once(account).keys() & PENALTIES.keys() else None


def _bills_of_all(run: WholeRun) -> float:
    return float(sum(amount for hub in run.hubs if (amount := bills(hub)) is not None))


def cost_signs() -> dict[str, int]:
    """Return the key figures that add up to ``cost_net``, by name: 1 for a cost or penalty, -1 for a revenue."""
    revenues = {"cost_sold", *(f"cost_{kind.cost_key}" for kind in kinds() if kind.price and kind.earns)}
    parts = [figure.name for figure in _figures() if figure.name not in ("cost_bills", "cost_net")]
    return {name: -1 if name in revenues else 1 for name in parts}


_USE_DESCRIPTIONS: Mapping[str, str] = {
    "secondary": "Fuel: energy of the secondary source at the generator's price.",
    "dg": "Fuel: energy of the generator at its price.",
    "bess": "Wear: every kWh in and out of the battery (Lavrenova & Denysiuk 2023, eq. (11)).",
    "charging": "Revenue: charging less what EVs gave back.",
}


def _of_use(*, earns: bool) -> list[KeyFigure]:
    return [
        KeyFigure(
            f"cost_{kind.cost_key}",
            MONEY,
            kind.cost_text or kind.label,
            part(account, kind.cost_key),
            description=_USE_DESCRIPTIONS.get(kind.cost_key, f"Use of devices of the kind {kind.name}."),
        )
        for kind in kinds_in_table_order()
        if kind.price and kind.earns == earns
    ]


@derived
def _figures() -> tuple[KeyFigure, ...]:
    return (
        KeyFigure(
            "cost_bought",
            MONEY,
            "energy bought",
            part(account, "bought"),
            description="Import times the price of its time.",
        ),
        KeyFigure(
            "cost_demand",
            MONEY,
            "demand charge",
            part(account, "demand"),
            "less",
            description="In every calendar month, the quarter of an hour that costs most: its mean import times "
            "`demand_per_kw`.",
        ),
        *_of_use(earns=False),
        KeyFigure(
            "cost_missed",
            MONEY,
            "penalty: energy missed",
            part(account, "missed"),
            "less",
            description="`missed_kwh` times `missed_per_kwh` of the tariffs: by default 1.8 times the mean price of "
            "energy.",
        ),
        KeyFigure(
            "cost_unserved",
            MONEY,
            "penalty: load not served",
            part(account, "unserved"),
            "less",
            description="`unserved_kwh` times `unserved_per_kwh` of the tariffs: by default 66 times the mean price of "
            "energy.",
        ),
        KeyFigure(
            "cost_sold",
            MONEY,
            "revenue: energy sold",
            part(account, "sold"),
            description="Export times the price of its time.",
        ),
        *_of_use(earns=True),
        KeyFigure(
            "cost_bills",
            MONEY,
            "net cost without penalties",
            _penalised_bills,
            total=_bills_of_all,
            description="What is paid less what is earned, where a penalty has a price. No direction is better: who "
            "serves nobody has the lowest bills.",
        ),
        KeyFigure(
            "cost_net",
            MONEY,
            "net cost",
            part(account, "net"),
            "less",
            description="Costs and penalties less revenues: `cost_bills` and the penalties. This is what strategies "
            "are ranked by.",
        ),
    )


COST = KeyFigureGroup(
    "cost",
    "In the currency of the tariffs. Items without a price or a device are left out. What a hub did not serve has a "
    "price also where the scenario gives none, or a hub that goes dark would cost least: see "
    "[tariffs](scenarios.md#prices-of-what-is-not-served).",
    _figures,
)
