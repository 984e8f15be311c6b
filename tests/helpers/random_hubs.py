"""Random hubs for the properties that every plan has; always feasible, with or without binaries."""

from __future__ import annotations

import numpy as np

from evhub.controllers.optimization.blocks.generator_block import GeneratorData
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData


def hub(seed: int, *, binaries: bool = False, v2g: bool | None = None) -> HubData:
    """A hub drawn from a seed; every option of every block is there in some."""
    rng = np.random.default_rng(seed)

    def some(chance: float = 0.5) -> bool:
        return bool(rng.random() < chance)

    n = int(rng.integers(4, 9))
    steps = Steps(np.append(0.0, np.cumsum(rng.choice([900.0, 1800.0, 3600.0], n))))
    end_s = steps.edges_s[-1]
    buy = rng.uniform(0.1, 0.5, n)
    grid = GridData(
        buy,
        buy * rng.uniform(0.3, 1.3 if binaries else 1.0),
        rng.uniform(5.0, 40.0, n) * (rng.random(n) < 0.9),
        rng.uniform(0.0, 20.0, n),
        demand_per_kw=rng.uniform(0.0, 2.0) if some() else None,
        peak_kw=rng.uniform(0.0, 5.0),
        setpoint_kw=np.where(rng.random(n) < 0.5, rng.uniform(-5.0, 20.0, n), np.nan) if some() else None,
        deviation_per_kwh=rng.uniform(0.0, 1.0),
        exclusive_kw=40.0 if binaries else None,
    )
    low, high = 5.0, rng.uniform(10.0, 40.0)
    bess = StorageData(
        rng.uniform(low, high),
        low,
        high,
        rng.uniform(2.0, 20.0, n),
        rng.uniform(2.0, 20.0),
        eta_charge=rng.uniform(0.8, 1.0),
        eta_discharge=rng.uniform(0.8, 1.0),
        wear_per_kwh=rng.uniform(0.001, 0.05),
        end_per_kwh=rng.uniform(0.0, 0.3),
        exclusive_kw=20.0 if binaries and some() else None,
        inverter_kva=rng.uniform(10.0, 30.0) if some(0.3) else None,
        q_per_kvarh=0.001,
    )
    dg = GeneratorData(
        rng.uniform(2.0, 8.0, 2),
        np.sort(rng.uniform(0.2, 0.8, 2)),
        minimum_kw=rng.uniform(0.5, 4.0) if binaries else 0.0,
        running_per_h=rng.uniform(0.0, 1.0) if binaries else 0.0,
        start_cost=rng.uniform(0.0, 2.0) if binaries else 0.0,
        available=rng.random(n) < 0.8,
        energy_kwh=rng.uniform(2.0, 20.0) if some() else None,
        on=some(),
    )
    load = LoadsData(
        *(rng.uniform(0.0, 8.0, n) for _ in range(4)),
        eens_per_kwh=(20.0, *rng.uniform(0.5, 5.0, 3)),
        controllable_band=rng.uniform(),
        shiftable_max_kw=rng.uniform(0.0, 15.0),
        backlog_kwh=rng.uniform(0.0, 2.0),
        made_good=rng.random(n) < 0.3 if some() else None,
    )
    return HubData(
        steps=steps,
        grid=grid,
        pv=PvData(rng.uniform(0.0, 20.0, n), inverter_kva=rng.uniform(10.0, 30.0) if some(0.3) else None),
        bess=bess if some(0.8) else None,
        dg=dg if some() else None,
        load=load,
        sessions=sessions(rng, n, end_s, binaries, some() if v2g is None else v2g),
    )


def sessions(rng: np.random.Generator, n: int, end_s: float, binaries: bool, v2g: bool) -> SessionsData:
    """One to four EVs, some of which nothing can satisfy."""
    count = int(rng.integers(1, 5))
    arrival_s = rng.uniform(-0.3, 0.8, count) * end_s
    capacity = rng.uniform(20.0, 60.0, count)
    return SessionsData(
        names=tuple(f"s{k}" for k in range(count)),
        connectors=tuple(str(k) for k in range(count)),
        arrival_s=arrival_s,
        departure_s=np.maximum(arrival_s + rng.uniform(0.1, 0.8, count) * end_s, 0.05 * end_s),
        energy_kwh=capacity * rng.uniform(0.05, 0.6, count),
        target_kwh=capacity * rng.uniform(0.3, 1.0, count),
        capacity_kwh=capacity,
        charge_kw=rng.uniform(3.0, 22.0, count),
        eens_per_kwh=rng.uniform(1.0, 5.0, count),
        discharge_kw=rng.uniform(0.0, 22.0, count) * (rng.random(count) < 0.7) if v2g else 0.0,
        floor_kwh=0.2 * capacity,
        charging_per_kwh=rng.uniform(0.0, 0.1, n),
        subsidy_per_kwh=rng.uniform(0.15, 0.3, (count, n)),
        wear_per_kwh=rng.uniform(0.0, 0.05),
        eta_charge=rng.uniform(0.85, 1.0),
        eta_discharge=rng.uniform(0.85, 1.0),
        slots=count + int(rng.integers(0, 3)),
        v2g=v2g,
        exclusive_kw=22.0 if binaries and v2g else None,
    )
