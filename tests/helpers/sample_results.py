"""Made-up results for tests of the analysis: a hub's day with an outage, and a garage's month."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evhub.analysis.results.result_layout import SeriesSpec
from evhub.analysis.results.result_writer import ResultWriter

DAY_S = 86400.0
STEP_S = 300.0
BUS = {0: "dead", 1: "grid", 2: "secondary"}
STATUS = {0: "available", 1: "plugged in", 2: "charging", 3: "faulted"}


def attributes(name: str, duration_s: float, **more) -> dict:
    """Root attributes of a run."""
    return {
        "name": name,
        "scenario": f"name: {name}\nseed: 7\nhubs: {{}}\n",
        "versions": {"evhub": "0.1.0", "numpy": np.__version__},
        "seed": 7,
        "start": "2024-03-01T00:00:00-03:00",
        "duration_s": duration_s,
        "time_step_s": 1.0,
    } | more


def _sessions(rng: np.random.Generator, hub: str, n: int, days: int) -> list[dict]:
    """At most one EV at a connector at a time; many arrive in the morning."""
    sessions = []
    for day in range(days):
        for connector in range(n):
            if rng.random() < 0.85:
                arrival = np.clip(rng.normal(8.5, 1.3), 5, 12) * 3600
                stay = np.clip(rng.normal(7, 2), 1.5, 11) * 3600
                sessions.append((day * DAY_S + arrival, stay, connector, rng.gamma(4.0, 5.0)))
    sessions.sort()
    step = STEP_S
    return [
        {
            "hub": hub,
            "id": f"{hub}-{number:04d}",
            "arrival_s": round(at / step) * step,
            "departure_s": round((at + stay) / step) * step,
            "requested_kwh": round(kwh, 3),
            "connector": connector,
        }
        for number, (at, stay, connector, kwh) in enumerate(sessions)
    ]


def write_hubs(
    path: Path,
    hubs: dict[str, int],
    days: int = 1,
    *,
    rated_kw: float = 7.0,
    name: str = "sample",
    outages: tuple[tuple[float, float], ...] = (),
    seed: int = 0,
    status: str = "complete",
    **more,
) -> Path:
    """Hubs with so many connectors at 5 min; power balances at every instant."""
    specs, sessions, plants = [], [], []
    for place, (hub, n) in enumerate(hubs.items()):
        rng = np.random.default_rng([seed, place])
        own = _sessions(rng, hub, n, days)
        sessions += own
        plants.append(_plant(rng, hub, n, days, rated_kw, own, outages))
        for attribute, (unit, text, values, codes) in plants[-1]["series"].items():
            width = values.shape[1] if values.ndim == 2 else None
            specs.append(SeriesSpec(f"{hub}/{attribute}", unit, text, width, values.dtype.str[1:], codes))
    worst = np.min([plant["series"]["network/v_pu"][2] for plant in plants], axis=0)
    loading = 40 + 600 * (1 - np.where(worst > 0, worst, 1.0))
    specs += [
        SeriesSpec("network/grid/v_min_pu", "pu", "lowest bus voltage"),
        SeriesSpec("network/grid/v_max_pu", "pu", "highest bus voltage"),
        SeriesSpec("network/grid/line_loading_percent", "%", "loading of the lines", 2),
        SeriesSpec("network/grid/losses_kw", "kW", "losses of the feeder"),
    ]
    with ResultWriter(path, attributes(name, days * DAY_S, **more), specs, sessions) as writer:
        for hub, plant in zip(hubs, plants, strict=True):
            for attribute, (_, _, values, _) in plant["series"].items():
                _write(writer, f"{hub}/{attribute}", values)
        _write(writer, "network/grid/v_min_pu", np.where(worst > 0, worst, 0.99))
        _write(writer, "network/grid/v_max_pu", np.ones(1))
        _write(writer, "network/grid/line_loading_percent", np.column_stack([loading, loading / 2]))
        _write(writer, "network/grid/losses_kw", (loading / 100) ** 2)
        for hub, plant in zip(hubs, plants, strict=True):
            for row in plant["ends"]:
                writer.session_end(hub, *row)
            for begin, end in outages:
                writer.event(begin, f"{hub}.grid", "outage", f"the grid is lost until {end:g} s")
                writer.event(begin + STEP_S, f"{hub}.ats", "transfer", "on the secondary source (T2)")
                writer.event(end, f"{hub}.ats", "retransfer", "back on the grid (T3)")
        writer.diagnostic("decision_s", 0.0, 1.2e-4)
        writer.close(status)
    return path


def _write(writer: ResultWriter, path: str, values: np.ndarray) -> None:
    """Record a signal of the 5 min grid when it changes."""
    flat = np.nan_to_num(values.reshape(len(values), -1), nan=-1.0)
    for k in np.flatnonzero(np.append(True, np.any(flat[1:] != flat[:-1], axis=1))).tolist():
        writer.append(path, k * STEP_S, values[k])


def _plant(rng, hub: str, n: int, days: int, rated_kw: float, sessions: list[dict], outages) -> dict:
    """Series of one hub on the 5 min grid, and the ends of its sessions."""
    k = round(days * DAY_S / STEP_S)
    t_s = np.arange(k) * STEP_S
    hour = (t_s % DAY_S) / 3600
    lost = np.zeros(k, dtype=bool)
    dead = np.zeros(k, dtype=bool)
    for begin, end in outages:
        lost |= (t_s >= begin) & (t_s < end)
        dead |= (t_s >= begin) & (t_s < begin + STEP_S)
    island = lost & ~dead

    session = np.full((k, n), -1, dtype="i4")
    p = np.zeros((k, n))
    energy = np.zeros((k, n))
    soc = np.full((k, n), np.nan)
    ends = []
    for number, one in enumerate(sessions):
        first, last = int(one["arrival_s"] // STEP_S), min(int(one["departure_s"] // STEP_S), k)
        if number % 40 == 39:
            ends.append((number, -1, np.nan, one["arrival_s"], 0.0, np.nan, "balked"))
            continue
        c, left, begin_soc = one["connector"], one["requested_kwh"], rng.uniform(0.2, 0.6)
        for i in range(first, last):
            session[i, c] = number
            allowed = 0.0 if dead[i] else min(rated_kw, 10.0 / n) if island[i] else rated_kw
            p[i, c] = min(allowed, left * 3600 / STEP_S)
            energy[i, c] = one["requested_kwh"] - left
            soc[i, c] = begin_soc + energy[i, c] / 60
            left -= p[i, c] * STEP_S / 3600
        done = last < k
        ends.append(
            (
                number,
                c,
                one["arrival_s"],
                min(one["departure_s"], days * DAY_S),
                one["requested_kwh"] - left,
                begin_soc + (one["requested_kwh"] - left) / 60,
                "served" if done else "unfinished",
            )
        )

    alive = np.where(dead, 0.0, 1.0)
    cloud = np.repeat(np.clip(rng.normal(0.8, 0.25, k // 6 + 1), 0.15, 1), 6)[:k]
    available = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * 0.5 * n * rated_kw * 0.8 * cloud
    pv = np.where(island, np.minimum(available, 3.0), available) * alive
    load = (3 + 2 * np.exp(-((hour - 19) ** 2) / 6) + 2 * np.exp(-((hour - 8) ** 2) / 4)) * alive
    cp = p.sum(axis=1)
    rated, capacity = 0.25 * n * rated_kw, 0.5 * n * rated_kw
    bess, state = np.zeros(k), np.empty(k)
    charge = 0.5
    for i in range(k):
        state[i] = charge
        surplus = pv[i] - load[i] - cp[i]
        if alive[i]:
            bess[i] = float(np.clip(-surplus, -rated, rated)) if surplus > 0 or hour[i] > 16 or hour[i] < 9 else 0.0
        room = np.clip(charge - bess[i] * STEP_S / 3600 / capacity, 0.2, 0.9)
        bess[i] = (charge - room) * capacity * 3600 / STEP_S
        charge = float(room)
    rest = load + cp - pv - bess
    grid = np.where(lost, 0.0, rest)
    secondary = np.where(island, rest, 0.0)
    v_pu = np.where(lost, np.where(dead, 0.0, 1.0), 1.0 - 0.0004 * rest)
    unserved = np.where(dead, 3.0, 0.0)[:, None] * [0.4, 0.1, 0.2, 0.3]
    limit = np.broadcast_to(np.where(island, 10.0 / n, rated_kw)[:, None], (k, n)).copy()
    state_code = np.where(session < 0, 0, np.where(p > 0, 2, 1)).astype("i1")
    one = np.ones(k)
    night = np.where((hour < 7) | (hour >= 22), 0.18, 0.31)
    return {
        "ends": ends,
        "series": {
            "grid/p_kw": ("kW", "grid power, import positive", grid, None),
            "grid/q_kvar": ("kvar", "grid reactive power", 0.1 * grid, None),
            "grid/available": ("", "voltage on the grid side", (~lost).astype("i1"), None),
            "secondary/p_kw": ("kW", "secondary source", secondary, None),
            "ats/mode": ("", "mode of the ATS", np.where(dead, 4, np.where(island, 5, 0)).astype("i1"), None),
            "ats/bus": ("", "what the bus hangs on", np.where(dead, 0, np.where(island, 2, 1)).astype("i1"), BUS),
            "pv/p_kw": ("kW", "PV power", pv, None),
            "pv/p_available_kw": ("kW", "PV power without limit", available, None),
            "bess/p_kw": ("kW", "battery power, discharging positive", bess, None),
            "bess/soc": ("1", "state of charge", state, None),
            "load/p_kw": ("kW", "local load", load, None),
            "load/unserved_kw": ("kW", "load not served, by class", unserved, None),
            "cp/p_kw": ("kW", "charging power", cp, None),
            "cp/connector_p_kw": ("kW", "power of each connector", p, None),
            "cp/connector_limit_kw": ("kW", "limit of each connector", limit, None),
            "cp/connector_status": ("", "status of each connector", state_code, STATUS),
            "cp/session": ("", "session at each connector, -1 for none", session, None),
            "cp/soc": ("1", "state of charge of each EV", soc, None),
            "cp/energy_kwh": ("kWh", "energy of each session", energy, None),
            "tariffs/buy_per_kwh": ("EUR/kWh", "price of energy bought", night, None),
            "tariffs/sell_per_kwh": ("EUR/kWh", "price of energy sold", 0.08 * one, None),
            "tariffs/demand_per_kw": ("EUR/kW", "price of the monthly peak", 9.0 * one, None),
            "tariffs/bess_per_kwh": ("EUR/kWh", "use of the battery", 0.02 * one, None),
            "tariffs/dg_per_kwh": ("EUR/kWh", "generator energy", 0.45 * one, None),
            "tariffs/charging_per_kwh": ("EUR/kWh", "charging price", 0.39 * one, None),
            "network/v_pu": ("pu", "voltage at the hub's bus", v_pu, None),
        },
    }
