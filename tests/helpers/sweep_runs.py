"""A made-up sweep as a tidy table, whose numbers are known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

SEEDS = 5
CAPACITY, PERIOD = "hubs.depot.bess.capacity_kwh", "controller.period"


def cost(capacity_kwh: float, period_s: float, controller: str, seed: int) -> float:
    """Cost of a run: seeds scatter by far more than controllers differ, and every run by a little."""
    shared = 80.0 * np.random.default_rng([1, seed]).normal()
    own = np.random.default_rng([2, seed, int(capacity_kwh), int(period_s), len(controller)]).normal()
    saving = {"equal_share": 0.0, "edf": 20.0, "milp_dispatch horizon=4h, small_battery & 50 %": 60.0}[controller]
    return 800.0 - 0.3 * capacity_kwh + period_s / 60.0 - saving + shared + own


def sweep_runs(controllers: tuple[str, ...] = ("equal_share", "edf")) -> pd.DataFrame:
    """Two fields, some controllers, five seeds and one key figure."""
    rows = [
        {CAPACITY: c, PERIOD: p, "controller": name, "seed": seed, "kpi": "cost_net", "value": cost(c, p, name, seed)}
        for c, p, name, seed in product((50, 100, 200, 400), (60, 300), controllers, range(SEEDS))
    ]
    runs = pd.DataFrame(rows).assign(quantity="net cost", unit="EUR")
    runs.attrs["units"] = {PERIOD: "s"}
    return runs
