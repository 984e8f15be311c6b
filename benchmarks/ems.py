"""The controller `ems`: all iterations of a window, how that grows, and what its load flow takes beside others.

A depot with PV, a battery and more EVs than the feeder can carry, so that every window needs constraints. Totals are
processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandapower as pp
import power_grid_model as pgm
from rich.console import Console
from rich.table import Table

from evhub.controllers.ems.constraints import NetworkLimits
from evhub.controllers.ems.dispatch_loop import Loop
from evhub.controllers.ems.ems_dispatch import EmsDispatch, Places
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData
from evhub.simulators.network import admittances as network
from evhub.simulators.network import batch_load_flow as load_flow
from evhub.simulators.network import network_sources

CASES = ((33, 20, 96, 900.0), (33, 20, 12, 300.0), (100, 100, 96, 900.0), (200, 200, 96, 900.0))
"""Buses, chargers, steps of the window and their length [s]."""
SOLVERS = ("glpk", "highs")
STEPS = 96
_DAY_S = 86400.0
_MS_PER_S = 1e3


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """Every window with each solver, then the load flow of a day in three ways; the first window warms up."""
    cases = CASES[1:2] if short else CASES
    window("glpk", *CASES[1])
    windows = []
    for case in cases:
        for solver in SOLVERS:
            tell(f"ems: {case[0]} buses, {case[1]} chargers, {case[2]} steps, {solver}")
            windows.append(window(solver, *case))
    tell("ems: load flows")
    return {"windows": windows, "load_flow_ms": load_flows(4 if short else STEPS)}


def window(solver: str, n_bus: int, n_evs: int, n: int, step_s: float) -> dict[str, Any]:
    """One window from nothing to the schedule that the load flow agrees with."""
    net = network_sources.build("case33bw") if n_bus == 33 else _feeder(n_bus)
    known = network.compiled(net)
    # the ends of the feeder: bus 17 of the 33
    at = net.bus.index[: 18 if n_bus == 33 else None].tolist()[-5:]
    nodes = np.array([known.node_of[bus] for bus in at])
    loop = Loop(known, nodes, NetworkLimits(0.9, 1.1, np.inf), margin=1e-3)
    rng = np.random.default_rng(1)
    places = Places(0, 1, 2, 3, tuple(rng.integers(0, nodes.size, n_evs).tolist()))
    background = np.tile(known.other_pu - known.load_pu, (n, 1))
    data = _depot(rng, 3.0 if n_bus == 33 else 1.5, n_evs, n, step_s)
    began, cpu = perf_counter(), process_time()
    with EmsDispatch({"depot": data}, {"depot": places}, nodes.size, solver=solver) as dispatch:
        outcome = loop.run(dispatch, background)
        dispatch_s = dispatch.seconds
    return {
        "solver": solver,
        "buses": n_bus,
        "chargers": n_evs,
        "steps": n,
        "verdict": outcome.verdict.value,
        "iterations": outcome.iterations,
        "dispatches": len(outcome.rounds),
        "violations": outcome.rounds[0].violations,
        "cpu_s": process_time() - cpu,
        "wall_s": perf_counter() - began,
        "dispatch_wall_s": dispatch_s,
    }


def _feeder(n_bus: int) -> Any:
    """A 20 kV tree of cables, 5 MW in all."""
    rng = np.random.default_rng(n_bus)
    net = pp.create_empty_network(sn_mva=1.0)
    buses = [pp.create_bus(net, vn_kv=20.0)]
    pp.create_ext_grid(net, buses[0], vm_pu=1.02)
    for _ in range(n_bus - 1):
        before = buses[int(rng.integers(max(0, len(buses) - 6), len(buses)))]
        buses.append(pp.create_bus(net, vn_kv=20.0))
        pp.create_line(net, before, buses[-1], length_km=40.0 / n_bus, std_type="NA2XS2Y 1x95 RM/25 12/20 kV")
        pp.create_load(net, buses[-1], p_mw=5.0 / n_bus, q_mvar=1.5 / n_bus)
    return net


def _depot(rng: np.random.Generator, size: float, n_evs: int, n: int, step_s: float) -> HubData:
    """A depot whose EVs want the cheap hours of a day, or the same pressed into a shorter window."""
    day = n * step_s
    hour = np.arange(n) * step_s / 3600.0
    arrival = rng.uniform(0.0, 0.42, n_evs) * day
    departure = np.minimum(arrival + rng.uniform(0.33, 0.58, n_evs) * day, day)
    charge_kw = np.full(n_evs, 50.0 * size)
    need = np.minimum(300.0 * size * day / _DAY_S, 0.7 * charge_kw * (departure - arrival) / 3600.0)
    arrival, departure = np.floor(arrival / step_s) * step_s, np.ceil(departure / step_s) * step_s
    names = tuple(f"ev{k}" for k in range(n_evs))
    sun = np.maximum(0.0, np.sin((hour - 6.0) / 12.0 * np.pi))
    return HubData(
        Steps.regular(n, step_s),
        GridData(np.where((hour < 6.0) | (hour > 21.0), 0.12, 0.25), 0.05, 2e4, 2e4),
        pv=PvData(800.0 * size * sun, inverter_kva=900.0 * size, q_per_kvarh=1e-4),
        bess=StorageData(
            200.0 * size,
            50.0 * size,
            400.0 * size,
            150.0 * size,
            150.0 * size,
            0.95,
            0.95,
            0.01,
            end_per_kwh=0.1,
            inverter_kva=150.0 * size,
            q_per_kvarh=1e-4,
        ),
        load=LoadsData(20.0, 0.0, 0.0, 0.0, (1e5, 50.0, 20.0, 20.0)),
        sessions=SessionsData(names, names, arrival, departure, np.zeros(n_evs), need, need + 1.0, charge_kw, 10.0),
    )


def load_flows(n: int) -> dict[str, float]:
    """Milliseconds for n load flows of the 33-bus feeder: ours, power-grid-model in a batch, pandapower one by one."""
    net = network_sources.build("case33bw")
    known = network.compiled(net)
    scale = np.linspace(0.2, 1.5, n)
    ours, voltages = _best(lambda: load_flow.solve(known, -scale[:, None] * known.load_pu))
    model, update = _grid_model(net, scale)
    batch, nodes = _best(lambda: model.calculate_power_flow(update_data=update, error_tolerance=1e-9)["node"])
    difference = np.abs(voltages.v_pu - nodes["u_pu"][:, known.bus]).max()

    def one_by_one() -> None:
        for factor in scale.tolist():
            net.load["scaling"] = factor
            pp.runpp(net, numba=False)

    single, _ = _best(one_by_one, rounds=1)
    found = {"ours": ours, "power-grid-model": batch, "pandapower": single}
    return {name: _MS_PER_S * seconds for name, seconds in found.items()} | {"difference_pu": float(difference)}


def _grid_model(net: Any, scale: np.ndarray) -> tuple[pgm.PowerGridModel, dict[str, np.ndarray]]:
    """The 33-bus feeder in power-grid-model, and the powers of every step."""

    def table(kind: str, **columns: Any) -> np.ndarray:
        rows = pgm.initialize_array("input", kind, len(columns["id"]))
        for item, values in columns.items():
            rows[item] = values
        return rows

    line, load = net.line[net.line.in_service], net.load
    r, x = line.r_ohm_per_km * line.length_km, line.x_ohm_per_km * line.length_km
    ends = {"from_node": line.from_bus, "to_node": line.to_bus, "from_status": 1, "to_status": 1}
    powers = {"p_specified": 1e6 * load.p_mw, "q_specified": 1e6 * load.q_mvar}
    model = pgm.PowerGridModel(
        {
            "node": table("node", id=net.bus.index, u_rated=1e3 * net.bus.vn_kv),
            "line": table("line", id=1000 + line.index, **ends, r1=r, x1=x, c1=0.0, tan1=0.0),
            "sym_load": table("sym_load", id=2000 + load.index, node=load.bus, status=1, type=0, **powers),
            "source": table("source", id=[3000], node=net.ext_grid.bus, status=1, u_ref=net.ext_grid.vm_pu, sk=1e20),
        }
    )
    update = pgm.initialize_array("update", "sym_load", (scale.size, len(load)))
    update["id"] = 2000 + load.index
    for item, values in powers.items():
        update[item] = np.outer(scale, values)
    return model, {"sym_load": update}


def _best(function: Callable[[], Any], rounds: int = 5) -> tuple[float, Any]:
    """Shortest time of a call [s], and its result."""
    times, result = [], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(rounds):
            began = perf_counter()
            result = function()
            times.append(perf_counter() - began)
    return min(times), result


def show(found: dict[str, Any], console: Console) -> None:
    """Print windows and load flows."""
    table = Table("buses", "chargers", "steps", "solver", "verdict", "iterations", "dispatches", "CPU [s]", title="ems")
    for row in found["windows"]:
        items = (row[key] for key in ("buses", "chargers", "steps", "solver", "verdict", "iterations", "dispatches"))
        table.add_row(*map(str, items), f"{row['cpu_s']:.2f}")
    console.print(table)
    times = dict(found["load_flow_ms"])
    difference = times.pop("difference_pu")
    told = ", ".join(f"{name} {value:.2f} ms" for name, value in times.items())
    console.print(f"load flows of 33 buses: {told}; voltages differ by at most {difference:.1e} pu")
