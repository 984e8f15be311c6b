"""Stage II: charging price in tiers, the ceiling of the discharge subsidy, and what owners answer (Yan & Tu 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from scipy.optimize import brentq

from ...simulators.units import S_PER_H, energy_kwh
from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubPlan
from .ievcs_parameters import Owners, Tiers

_HASHES = float(2**32)


@dataclass(frozen=True)
class DriverPrices:
    """The prices that drivers pay, and the subsidy that owners get.

    Parameters
    ----------
    charging_per_kwh : ndarray, shape (n,)
        Charging price in each step [1/kWh].
    subsidy_per_kwh : float
        For energy given back [1/kWh]; never below the charging price, or charging and giving back would be a trade.
    cheapest_hours : bool
        Drivers pay the price of the cheapest hours of their stay that hold what they ask for, whenever the station
        charges them; otherwise the price of the hour.
    agreed : mapping of str to float
        Sessions that came on another day, and what their drivers pay [1/kWh].
    """

    charging_per_kwh: np.ndarray
    subsidy_per_kwh: float
    cheapest_hours: bool = False
    agreed: Mapping[str, float] = field(default_factory=dict)

    def of_sessions(
        self,
        names: Sequence[str],
        edges_s: np.ndarray,
        arrival_s: np.ndarray,
        departure_s: np.ndarray,
        asked_kwh: np.ndarray,
        charge_kw: np.ndarray,
    ) -> np.ndarray:
        """Return what each driver pays in each step.

        Parameters
        ----------
        names : sequence of m str
            Sessions.
        edges_s : ndarray, shape (n + 1,)
            Edges of the steps [s].
        arrival_s, departure_s : ndarray, shape (m,)
            Stay [s]; only the part of it within the steps counts.
        asked_kwh, charge_kw : ndarray, shape (m,)
            Energy asked for [kWh], and the power that can deliver it [kW].

        Returns
        -------
        ndarray, shape (m, n)
            Prices [1/kWh].
        """
        price = self.charging_per_kwh
        prices = np.tile(price, (len(names), 1))
        if self.cheapest_hours:
            prices[:] = _in_cheapest_hours(edges_s, price, arrival_s, departure_s, asked_kwh, charge_kw)[:, None]
        for row, name in enumerate(names):
            if name in self.agreed:
                prices[row] = self.agreed[name]
        return prices


def _in_cheapest_hours(
    edges_s: np.ndarray,
    price: np.ndarray,
    arrival_s: np.ndarray,
    departure_s: np.ndarray,
    asked_kwh: np.ndarray,
    charge_kw: np.ndarray,
) -> np.ndarray:
    """Mean price of the cheapest hours of each stay that hold what is asked for, shape (m,) [1/kWh]."""
    from_s = np.maximum(edges_s[:-1], arrival_s[:, None])
    stay_s = np.maximum(np.minimum(edges_s[1:], departure_s[:, None]) - from_s, 0.0)
    need_s = asked_kwh / np.maximum(energy_kwh(charge_kw, 1.0), 1e-12)
    # who asks for nothing pays what one second in the cheapest hour costs, who is not there what all pay
    need_s = np.minimum(np.maximum(need_s, 1.0), stay_s.sum(axis=1))
    order = np.argsort(price, kind="stable")
    filled_s = np.minimum(np.cumsum(stay_s[:, order], axis=1), need_s[:, None])
    paid = np.diff(filled_s, axis=1, prepend=0.0) @ price[order]
    return np.where(need_s > 0.0, paid / np.maximum(need_s, 1e-9), price.mean())


def of_stage_one(charging_per_kwh: np.ndarray, subsidy_per_kwh: float, agreed: Mapping[str, float]) -> DriverPrices:
    """Build the prices before stage II.

    Parameters
    ----------
    charging_per_kwh : ndarray, shape (n,)
        Charging price as announced [1/kWh].
    subsidy_per_kwh : float
        The scenario's subsidy [1/kWh].
    agreed : mapping of str to float
        Sessions of the day before, and what their drivers pay [1/kWh].

    Returns
    -------
    DriverPrices
    """
    lowest = max([subsidy_per_kwh, *agreed.values(), float(charging_per_kwh.max(initial=0.0))])
    return DriverPrices(charging_per_kwh, lowest, agreed=agreed)


def tiers(
    tiers: Tiers,
    steps: Steps,
    charging_per_kwh: np.ndarray,
    load_kw: np.ndarray,
    day_end_s: float,
    paid: Callable[[np.ndarray], float],
    paid_before: float,
) -> np.ndarray:
    """Compute a charging price in three tiers by the load of each hour.

    The mean price that drivers pay stays: all tiers are scaled so that they pay as much as before for what the plan of
    stage I charges.

    Parameters
    ----------
    tiers : Tiers
        Quantiles of the load, and spread of the prices.
    steps : Steps
        The steps of the plan.
    charging_per_kwh : ndarray, shape (n,)
        Price before [1/kWh].
    load_kw : ndarray, shape (n,)
        Building and EVs by the plan of stage I [kW].
    day_end_s : float
        Midnight [s]; later hours keep their price, for the next day sets them.
    paid : callable
        What drivers pay for the plan of stage I at a price of shape (n,) [currency]; it must rise with the price.
    paid_before : float
        What they pay for it at the price before [currency].

    Returns
    -------
    ndarray, shape (n,)
        Price after [1/kWh].
    """
    begin_s, hours = steps.edges_s[:-1], steps.hours
    today = steps.open & (begin_s < day_end_s)
    # hours are counted back from midnight, so that they are those of the clock
    hour = np.ceil((day_end_s - begin_s) / S_PER_H - 1e-9).astype(int)[today]
    _, hour_index = np.unique(hour, return_inverse=True)
    energy, length = np.bincount(hour_index, (load_kw * hours)[today]), np.bincount(hour_index, hours[today])
    mean_kw = energy / length
    low_kw, high_kw = np.quantile(mean_kw, tiers.quantiles)
    factor = np.where(mean_kw > high_kw, 1.0 + tiers.spread, np.where(mean_kw <= low_kw, 1.0 - tiers.spread, 1.0))

    def scaled(scale: float) -> np.ndarray:
        price = charging_per_kwh.copy()
        price[today] *= scale * factor[hour_index]
        return price

    if np.isclose(paid(scaled(1.0)), paid_before):
        return scaled(1.0)
    # at the upper end no hour is cheaper than before
    ends = 0.0, 1.0 / (1.0 - tiers.spread)
    missing = [paid(scaled(end)) - paid_before for end in ends]
    if not missing[0] < 0.0 < missing[1]:
        return scaled(ends[int(missing[0] < 0.0)])
    root: Any = brentq(lambda scale: paid(scaled(scale)) - paid_before, *ends)
    return scaled(float(root))


def ceiling(
    steps: Steps,
    plan: HubPlan,
    subsidy_per_kwh: float,
    charging_per_kwh: np.ndarray,
    buy_per_kwh: np.ndarray,
    left: float,
) -> tuple[float, float] | None:
    """Compute the lowest subsidy that may be offered, and the highest that keeps the plan of stage I within the bound.

    The plan stays possible at the new prices, for whoever accepts a subsidy accepts a higher one. So what is planned at
    the new prices costs at most what this plan costs at them: the bound holds whatever the owners answer. No subsidy is
    higher than what energy given back can be worth: the dearest purchase avoided, and the charging price earned once
    more for energy that is bought at the cheapest time.

    Parameters
    ----------
    steps : Steps
        The steps of the plan.
    plan : HubPlan
        Of stage I.
    subsidy_per_kwh : float
        Subsidy it was made at [1/kWh].
    charging_per_kwh : ndarray, shape (n,)
        New charging price [1/kWh].
    buy_per_kwh : ndarray, shape (n,)
        Purchase price [1/kWh].
    left : float
        By how much the plan may get dearer, less what drivers pay less for it [currency].

    Returns
    -------
    lowest, highest : float
        Subsidies [1/kWh]; None instead of both where the lowest is beyond the bound already.
    """
    here = steps.open
    returned_kwh = float((np.maximum(-plan.session_kw, 0.0).sum(axis=0) * steps.hours)[here].sum())
    dearest = float(charging_per_kwh[here].max(initial=0.0))
    lowest = max(subsidy_per_kwh, dearest)
    # a rounding of the scale of the tiers is no cost
    if left < (lowest - subsidy_per_kwh) * returned_kwh - 1e-9:
        return None
    worth = dearest + float(np.ptp(buy_per_kwh[here])) if here.any() else lowest
    highest = subsidy_per_kwh + left / returned_kwh if returned_kwh > 1e-9 else np.inf
    return lowest, max(lowest, min(highest, worth))


def accepting(owners: Owners, prices: DriverPrices, names: Sequence[str]) -> np.ndarray:
    """Return which of the owners that agreed to V2G accept the subsidy.

    The share of owners rises linearly with the subsidy less the mean charging price. Everybody has a fixed place
    between the first and the last, which follows from the name of the session alone.

    Parameters
    ----------
    owners : Owners
        Premium at which the first and the last one accepts.
    prices : DriverPrices
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
