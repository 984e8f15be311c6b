"""The optimisation core on a day-ahead plan: the first solve, solves after a change, and growth with EVs and steps.

The plan is as long as that of Yan & Tu 2022, stage I: 29 h, with battery, PV and local load. In one kind the EVs only
charge; in the other half of the owners agreed to V2G, and binaries forbid to buy and sell, and to charge and discharge,
at once. Totals are processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData, HubModel
from evhub.controllers.optimization.program import Program

EVS = (18, 100, 500)
STEPS = (29, 116, 348)
"""1 h, 15 min and 5 min."""
LIMIT_S = 300.0
"""A cell may take this long."""
SOLVERS = ("glpk", "highs")
STAGES = ("build", "compile", "load", "solve")
WARM = 5
HORIZON_S = 29 * 3600.0


def measure(tell: Callable[[str], None], *, short: bool) -> list[dict[str, Any]]:
    """One cell after the other, with each solver; the first compile of a process is not counted."""
    evs, steps = ((2, 18), (29,)) if short else (EVS, STEPS)
    _cell("glpk", 2, 29, v2g=False)
    found: list[dict[str, Any]] = []
    for v2g in (False, True):
        for solver in SOLVERS:
            late: list[tuple[int, int]] = []
            for n_evs, n_steps in product(evs, steps):
                if any(n_evs >= a and n_steps >= b for a, b in late):
                    continue
                tell(f"planning: {n_evs} EVs{' with V2G' * v2g}, {n_steps} steps, {solver}")
                found.append(_cell(solver, n_evs, n_steps, v2g=v2g))
                if found[-1]["stopped"]:
                    late.append((n_evs, n_steps))
    return found


def day(n_evs: int, n_steps: int, seed: int, *, v2g: bool) -> HubData:
    """A random day; what the EVs need always fits into their stay."""
    rng = np.random.default_rng(seed)

    def only_with_v2g(kw: float) -> float | None:
        return kw if v2g else None

    steps = Steps.regular(n_steps, HORIZON_S / n_steps)
    hour = (steps.edges_s[:-1] / 3600.0) % 24.0
    size = n_evs / 18.0
    buy = 0.1 + 0.15 * ((hour > 16.0) & (hour < 21.0)) + 0.02 * rng.random(n_steps)
    arrival_s = rng.uniform(0.0, 0.5, n_evs) * HORIZON_S
    departure_s = np.minimum(arrival_s + rng.uniform(0.15, 0.5, n_evs) * HORIZON_S, HORIZON_S)
    energy_kwh = rng.uniform(5.0, 20.0, n_evs)
    room_kwh = 0.5 * 22.0 * (departure_s - arrival_s) / 3600.0
    return HubData(
        steps,
        grid=GridData(buy, 0.9 * buy, 150.0 * size, 150.0 * size, exclusive_kw=only_with_v2g(150.0 * size)),
        pv=PvData(60.0 * size * np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, None)),
        bess=StorageData(
            energy_kwh=50.0 * size,
            energy_min_kwh=10.0 * size,
            energy_max_kwh=90.0 * size,
            charge_kw=50.0 * size,
            discharge_kw=50.0 * size,
            eta_charge=0.95,
            eta_discharge=0.95,
            wear_per_kwh=0.01,
            end_kwh=50.0 * size,
            exclusive_kw=only_with_v2g(50.0 * size),
        ),
        load=LoadsData(*(size * rng.uniform(2.0, 6.0, (4, n_steps))), eens_per_kwh=(20.0, 5.0, 5.0, 5.0)),
        sessions=SessionsData(
            tuple(f"s{k}" for k in range(n_evs)),
            tuple(str(k) for k in range(n_evs)),
            arrival_s,
            departure_s,
            energy_kwh,
            np.minimum(50.0, energy_kwh + room_kwh * rng.uniform(0.2, 0.8, n_evs)),
            np.full(n_evs, 60.0),
            np.full(n_evs, 22.0),
            eens_per_kwh=3.0,
            discharge_kw=22.0 * (np.arange(n_evs) % 2) if v2g else 0.0,
            floor_kwh=np.minimum(12.0, energy_kwh),
            subsidy_per_kwh=0.1,
            wear_per_kwh=0.02,
            eta_charge=0.95,
            eta_discharge=0.95,
            v2g=v2g,
            exclusive_kw=only_with_v2g(22.0),
        ),
    )


def changed(data: HubData, times: int, seed: int) -> Iterator[HubData]:
    """The same day with other prices, another PV forecast and another load forecast."""
    rng = np.random.default_rng(seed)

    def other(values: np.ndarray, spread: float) -> np.ndarray:
        return values * np.clip(1.0 + spread * rng.standard_normal(data.steps.n), 0.1, None)

    for _ in range(times):
        buy = other(data.grid.buy_per_kwh, 0.1)
        yield replace(
            data,
            grid=replace(data.grid, buy_per_kwh=buy, sell_per_kwh=0.9 * buy),
            pv=replace(data.pv, available_kw=other(data.pv.available_kw, 0.1)),
            load=replace(data.load, general_kw=other(data.load.general_kw, 0.05)),
        )


def warm_objective(first: HubData, then: HubData) -> float:
    """Cost of the best plan for new data, found from the solution for others."""
    model = HubModel(first)
    with Program(model.model) as program:
        program.solve()
        model.update(program, then)
        return program.solve().objective


def _cell(solver: str, n_evs: int, n_steps: int, *, v2g: bool) -> dict[str, Any]:
    """Build, compile, load, solve; then again and again with other forecasts."""
    data = day(n_evs, n_steps, seed=1, v2g=v2g)
    wall, cpu = perf_counter(), process_time()
    model = HubModel(data)
    root = model.model
    found: dict[str, Any] = {"evs": n_evs, "steps": n_steps, "v2g": v2g, "solver": solver}
    stages = {"build": perf_counter() - wall}
    with Program(root, solver) as program:
        stages |= program.seconds
        wall = perf_counter()
        solution = program.solve(time_limit_s=LIMIT_S)
        stages["solve"] = perf_counter() - wall
        found["cold_s"] = process_time() - cpu
        found.update(
            columns=len(program.variables),
            rows=len(program.constraints),
            share={stage: seconds / sum(stages.values()) for stage, seconds in stages.items()},
            proven_by=solution.proven_by,
            stopped=solution.stopped,
        )
        if not solution.stopped:
            warm = []
            for then in changed(data, WARM, seed=2):
                cpu = process_time()
                model.update(program, then)
                program.solve(time_limit_s=LIMIT_S)
                warm.append(process_time() - cpu)
            found["warm_s"] = median(warm)
    return found


def show(found: list[dict[str, Any]], console: Console) -> None:
    """Print a row a cell."""
    table = Table(
        "EVs", "steps", "solver", "columns", "rows", "/".join(STAGES), "cold [s]", "warm [s]", title="A plan of 29 h"
    )
    for row in found:
        table.add_row(
            f"{row['evs']}{' V2G' * row['v2g']}",
            str(row["steps"]),
            row["solver"],
            str(row["columns"]),
            str(row["rows"]),
            "/".join(f"{row['share'][stage]:.0%}" for stage in STAGES),
            f"above {LIMIT_S:g}" if row["stopped"] else f"{row['cold_s']:.2f}",
            "" if row["stopped"] else f"{row['warm_s']:.3f}",
        )
    console.print(table)
