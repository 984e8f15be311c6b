"""Random radial feeders with depots on them, as pandapower networks and as hubs to plan for."""

from __future__ import annotations

import numpy as np
import pandapower as pp

from evhub.controllers.ems.ems_dispatch import Places
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData


def feeder(rng: np.random.Generator, level: str, n_bus: int) -> pp.pandapowerNet:
    """A tree of cables behind a slack, with a load at every bus; `level` is 'lv' or 'mv'."""
    net = pp.create_empty_network(sn_mva=1.0)
    kv, load_mw, km = (0.4, 0.004, 0.06) if level == "lv" else (20.0, 0.15, 1.0)
    source = pp.create_bus(net, vn_kv=20.0 if level == "lv" else 110.0)
    pp.create_ext_grid(net, source, vm_pu=rng.uniform(0.99, 1.03))
    first = pp.create_bus(net, vn_kv=kv)
    std_type = "0.63 MVA 20/0.4 kV" if level == "lv" else "25 MVA 110/20 kV"
    pp.create_transformer(net, source, first, std_type=std_type)
    cable = "NAYY 4x150 SE" if level == "lv" else "NA2XS2Y 1x95 RM/25 12/20 kV"
    buses = [first]
    for _ in range(n_bus):
        # long branches: mostly on from one of the last buses
        before = buses[int(rng.integers(max(0, len(buses) - 3), len(buses)))]
        bus = pp.create_bus(net, vn_kv=kv)
        pp.create_line(net, before, bus, length_km=km * rng.uniform(0.5, 1.5), std_type=cable)
        pp.create_load(net, bus, p_mw=load_mw * rng.uniform(0.2, 1.0), q_mvar=0.3 * load_mw * rng.uniform())
        buses.append(bus)
    return net


def depot(rng: np.random.Generator, level: str, n: int, step_s: float = 3600.0) -> HubData:
    """A depot large enough to break something: PV that exports, or EVs that all want to charge at the cheapest time."""
    size = rng.uniform(1.0, 4.0) if level == "lv" else rng.uniform(40.0, 160.0)
    steps = Steps.regular(n, step_s)
    sunny = rng.random() < 0.5
    n_ev = int(rng.integers(3, 8))
    arrival = rng.integers(0, max(1, n // 2), n_ev) * step_s
    charge_kw = size * rng.uniform(10.0, 50.0, n_ev)
    departure = np.minimum(arrival + rng.integers(1, n + 1, n_ev) * step_s, n * step_s)
    fits = charge_kw * (departure - arrival) / 3600.0
    buy = rng.uniform(0.1, 0.4, n)
    return HubData(
        steps=steps,
        grid=GridData(buy, 0.5 * buy, 1e4, 1e4),
        pv=PvData(size * rng.uniform(50.0, 250.0) * rng.random(n) * sunny, inverter_kva=size * 250.0, q_per_kvarh=1e-3)
        if sunny
        else None,
        bess=StorageData(
            size * 30.0, size * 5.0, size * 60.0, size * 30.0, size * 30.0, 0.95, 0.95, 0.01, end_per_kwh=0.15
        ),
        sessions=SessionsData(
            names=tuple(f"ev{k}" for k in range(n_ev)),
            connectors=tuple(str(k) for k in range(n_ev)),
            arrival_s=arrival,
            departure_s=departure,
            energy_kwh=np.zeros(n_ev),
            target_kwh=fits * rng.uniform(0.2, 0.8, n_ev),
            capacity_kwh=fits,
            charge_kw=charge_kw,
            eens_per_kwh=10.0,
        ),
    )


def places(rng: np.random.Generator, buses: np.ndarray, data: HubData) -> tuple[np.ndarray, Places]:
    """Parts of a depot at random buses: the buses in use, and the places."""
    used = rng.choice(buses, size=min(4, len(buses)), replace=False)
    count = len(data.sessions.names) if data.sessions else 0
    some = rng.integers(0, len(used), 4 + count).tolist()
    return used, Places(some[0], some[1], some[2], some[3], tuple(some[4:]))
