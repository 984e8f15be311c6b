"""Stage II: charging price in tiers, the ceiling of the discharge subsidy, and what owners answer (Yan & Tu 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ...simulators.models.units import S_PER_H
from ..optimization.blocks.steps import Steps
from ..optimization.hub_model import Plan
from .parameters import Owners, Tiers

_HASHES = float(2**32)


@dataclass(frozen=True)
class PriceList:
    """What drivers pay and get.

    Parameters
    ----------
    charging_per_kwh : ndarray, shape (n,)
        Charging price in each step [1/kWh].
    subsidy_per_kwh : float
        For energy given back [1/kWh]; never below the charging price, or charging and giving back would be a trade.
    """

    charging_per_kwh: np.ndarray
    subsidy_per_kwh: float


def of_stage_one(charging_per_kwh: np.ndarray, subsidy_per_kwh: float) -> PriceList:
    """Prices before stage II: charging as announced [1/kWh], shape (n,), and the scenario's subsidy [1/kWh]."""
    return PriceList(charging_per_kwh, max(subsidy_per_kwh, float(charging_per_kwh.max(initial=0.0))))


def tiers(tiers: Tiers, first: Plan, steps: Steps, charging_per_kwh: np.ndarray, load_kw: np.ndarray, day_end_s: float):
    """Charging price in three tiers by the load of each hour.

    The mean price stays: for what the plan of stage I charges today, drivers pay as much as before.

    Parameters
    ----------
    tiers : Tiers
        Quantiles of the load, and spread of the prices.
    first : Plan
        Of stage I.
    steps : Steps
        The steps of the plan.
    charging_per_kwh : ndarray, shape (n,)
        Price before [1/kWh].
    load_kw : ndarray, shape (n,)
        Building and EVs by the plan of stage I [kW].
    day_end_s : float
        Midnight [s]; later hours keep their price, for the next day sets them.

    Returns
    -------
    ndarray, shape (n,)
        Price after [1/kWh].
    """
    begin_s, hours = steps.edges_s[:-1], steps.hours
    today = steps.open & (begin_s < day_end_s)
    # hours are counted back from midnight, so that they are those of the clock
    hour = np.ceil((day_end_s - begin_s) / S_PER_H - 1e-9).astype(int)[today]
    _, place = np.unique(hour, return_inverse=True)
    energy, length = np.bincount(place, (load_kw * hours)[today]), np.bincount(place, hours[today])
    mean_kw = energy / length
    low_kw, high_kw = np.quantile(mean_kw, tiers.quantiles)
    factor = np.where(mean_kw > high_kw, 1.0 + tiers.spread, np.where(mean_kw <= low_kw, 1.0 - tiers.spread, 1.0))
    raw = charging_per_kwh[today] * factor[place]
    charged_kwh = (np.maximum(first.session_kw, 0.0).sum(axis=0) * hours)[today]
    weight = charged_kwh if charged_kwh.any() else hours[today]
    paid = float(raw @ weight)
    price = charging_per_kwh.copy()
    price[today] = raw * (float(charging_per_kwh[today] @ weight) / paid if paid > 0.0 else 1.0)
    return price


def ceiling(
    steps: Steps, plan: Plan, before: PriceList, charging_per_kwh: np.ndarray, buy_per_kwh: np.ndarray, bound: float
) -> tuple[float, float] | None:
    """The lowest subsidy that may be offered, and the highest for which the plan of stage I stays within the bound.

    The plan stays possible at the new prices, for whoever accepts a subsidy accepts a higher one. So what is planned at
    the new prices costs at most what this plan costs at them: the bound holds whatever the owners answer. No subsidy is
    higher than what energy given back can be worth: the dearest purchase avoided, and the charging price earned once
    more for energy that is bought at the cheapest time.

    Parameters
    ----------
    steps : Steps
        The steps of the plan.
    plan : Plan
        Of stage I.
    before : PriceList
        Prices it was made at.
    charging_per_kwh : ndarray, shape (n,)
        New charging price [1/kWh].
    buy_per_kwh : ndarray, shape (n,)
        Purchase price [1/kWh].
    bound : float
        By how much the plan may get dearer [currency].

    Returns
    -------
    least, most : float
        Subsidies [1/kWh]; None instead of both where the lowest is beyond the bound already.
    """
    here = steps.open
    charged_kwh = np.maximum(plan.session_kw, 0.0).sum(axis=0) * steps.hours
    returned_kwh = float((np.maximum(-plan.session_kw, 0.0).sum(axis=0) * steps.hours)[here].sum())
    lost = float((before.charging_per_kwh - charging_per_kwh) @ charged_kwh)
    dearest = float(charging_per_kwh[here].max(initial=0.0))
    least = max(before.subsidy_per_kwh, dearest)
    left = bound - lost
    if left < (least - before.subsidy_per_kwh) * returned_kwh:
        return None
    worth = dearest + float(np.ptp(buy_per_kwh[here])) if here.any() else least
    most = before.subsidy_per_kwh + left / returned_kwh if returned_kwh > 1e-9 else np.inf
    return least, max(least, min(most, worth))


def accepting(owners: Owners, prices: PriceList, names: Sequence[str]) -> np.ndarray:
    """Which of the owners that agreed to V2G accept the subsidy.

    The share of owners rises linearly with the subsidy less the mean charging price. Everybody has a fixed place
    between the first and the last, which follows from the name of the session alone.

    Parameters
    ----------
    owners : Owners
        Premium at which the first and the last one accepts.
    prices : PriceList
        The prices.
    names : sequence of str
        Sessions.

    Returns
    -------
    ndarray of bool, shape (n_sessions,)
    """
    premium = prices.subsidy_per_kwh - float(prices.charging_per_kwh.mean())
    width = owners.premium_to_per_kwh - owners.premium_from_per_kwh
    wanted = [owners.premium_from_per_kwh + width * crc32(name.encode()) / _HASHES for name in names]
    return premium >= np.array(wanted, dtype=float)
