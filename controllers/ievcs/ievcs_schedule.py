"""A plan of `ievcs` on the clock of the run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..optimization.blocks.time_steps import Steps
from ..optimization.hub_model import HubPlan
from .ievcs_model_data import ExpectedEvs
from .ievcs_prices import DriverPrices

CRITICAL, CONTROLLABLE, SHIFTABLE, GENERAL = range(4)
"""Places of the load classes."""


@dataclass(frozen=True)
class IevcsSchedule:
    """A plan of stage I or III, and the data it was made from.

    Parameters
    ----------
    steps : Steps
        The grid; the plan begins with its step `now`.
    plan : HubPlan
        What to do.
    prices : DriverPrices
        At which it was made.
    buy_per_kwh : ndarray, shape (n,)
        Purchase price [1/kWh].
    demand_kw : ndarray, shape (4, n)
        Load by class, as it was expected [kW].
    evs : ExpectedEvs
        The EVs.
    rows : mapping of str to int
        Row of each session in the plan.
    backlog_kwh : float
        Shiftable energy put off before the plan began [kWh].
    """

    steps: Steps
    plan: HubPlan
    prices: DriverPrices
    buy_per_kwh: np.ndarray
    demand_kw: np.ndarray
    evs: ExpectedEvs
    rows: dict[str, int]
    backlog_kwh: float

    def step(self, t_s: float) -> int | None:
        """Find the step that holds a time [s]; None where the plan has none."""
        edges_s = self.steps.edges_s
        if not self.steps.now_s <= t_s < edges_s[-1]:
            return None
        return int(np.searchsorted(edges_s, t_s, side="right")) - 1

    @cached_property
    def grid_kw(self) -> np.ndarray:
        """Purchase less sale [kW], shape (n,)."""
        return self.plan.buy_kw - self.plan.sell_kw

    @cached_property
    def load_kw(self) -> np.ndarray:
        """Load of all classes that is served [kW], shape (n,)."""
        return self.plan.load_kw.sum(axis=0)

    @cached_property
    def ev_kw(self) -> np.ndarray:
        """All EVs together, > 0 charges [kW], shape (n,)."""
        return self.plan.session_kw.sum(axis=0)

    @cached_property
    def waiting_kwh(self) -> np.ndarray:
        """Shiftable energy that is put off at the end of each step [kWh], shape (n,)."""
        plan = self.plan
        put_off_kw = self.demand_kw[SHIFTABLE] - plan.load_kw[SHIFTABLE] - plan.load_unserved_kw[SHIFTABLE]
        return self.backlog_kwh + np.cumsum(put_off_kw * self.steps.hours)

    @cached_property
    def delivered_kwh(self) -> dict[str, np.ndarray]:
        """What each EV is to have got since its arrival by the end of each step [kWh], shape (n,)."""
        before = dict(zip(self.evs.names, self.evs.delivered_kwh, strict=True))
        moved = np.cumsum(self.plan.session_kw * self.steps.hours, axis=1)
        return {name: before.get(name, 0.0) + moved[row] for name, row in self.rows.items()}

    @cached_property
    def departures_s(self) -> dict[str, float]:
        """When the EVs leave that the plan reckons with [s since the start]."""
        return dict(zip(self.evs.names, self.evs.departure_s.tolist(), strict=True))

    @cached_property
    def batteries(self) -> dict[str, tuple[float, float]]:
        """Of each EV its capacity [kWh], and the state of charge below which it gives nothing back."""
        evs = self.evs
        return dict(zip(evs.names, zip(evs.capacity_kwh.tolist(), evs.floor_soc.tolist(), strict=True), strict=True))

    @cached_property
    def paid_to_owners(self) -> float:
        """What the owners get for what they give back, by the plan [currency]."""
        returned_kw = np.maximum(-self.plan.session_kw, 0.0).sum(axis=0)
        return float(returned_kw @ self.steps.hours) * self.prices.subsidy_per_kwh

    @cached_property
    def driver_prices(self) -> dict[str, np.ndarray]:
        """What the driver of each EV pays for energy charged in each step [1/kWh], shape (n,)."""
        return dict(zip(self.evs.names, self.evs.charging_prices(self.prices, self.steps), strict=True))

    @property
    def agreed(self) -> dict[str, float]:
        """What drivers pay who are there and were told a price of their own [1/kWh]; they pay it until they leave."""
        if not (self.prices.cheapest_hours or self.prices.agreed):
            return {}
        there = {name for name, here in zip(self.evs.names, self.evs.there, strict=True) if here}
        return {name: float(price[0]) for name, price in self.driver_prices.items() if name in there}

    def paid_by_drivers(self, prices: DriverPrices) -> float:
        """Compute what drivers would pay for what the plan charges, at these prices [currency]."""
        rows = [self.rows[name] for name in self.evs.names]
        charged_kwh = np.maximum(self.plan.session_kw[rows], 0.0) * self.steps.hours
        return float((self.evs.charging_prices(prices, self.steps) * charged_kwh).sum())

    @cached_property
    def cost_per_h(self) -> np.ndarray:
        """Planned cost of each step, over its length [currency/h], shape (n,)."""
        return self.plan.step_cost / self.steps.hours
