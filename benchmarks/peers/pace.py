"""``python -m benchmarks.peers.pace PYTHON``: steps a second of `evhub.simulate` beside EV2Gym's environment.

PYTHON is that of an environment with `requirements.txt`; `make bench-pace` makes one. EV2Gym runs its own cases of 25
ports with random actions. Here the same EVs come to the same connectors, under the same load, PV and prices, and get
the same actions. Peer and evhub take turns, so that both see the same machine; the ratio of every turn is told.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from evhub.controllers.contract import Observation, Setpoints
from evhub.scenarios.schema.scenario_loader import Scenario, parse
from evhub.scenarios.simulation import Simulation, simulate

from ..machine import machine
from .__main__ import ask_peer

CONFIGS = ("V2GProfitMax", "V2GProfitPlusLoads")
"""EV2Gym's configurations of 25 ports: with EVs and prices only; with load, PV and demand response too."""
SEEDS = (1, 2, 3, 4, 5, 6)
AHEAD = 20
"""Steps of prices and of load and PV that an observation of EV2Gym has."""
PV_KW = 100.0


class Way(NamedTuple):
    """How a case is run here.

    Parameters
    ----------
    label : str
    time_step_s : int
        Grid of events; set points act one of them after the decision.
    on_change : bool
        Whether arrivals and departures call for decisions too.
    any_minute : bool
        Whether EVs come up to a quarter of an hour later, and leave as much earlier, than on EV2Gym's grid.
    drawn : bool
        Whether the EVs are drawn anew at each reset, and not those that EV2Gym drew.
    vector : bool
        Whether the observation is also made the vector that EV2Gym's is.
    pack : str
        Batteries of the EVs: cells with CC and CV, or ``ideal``.
    """

    label: str
    time_step_s: int = 900
    on_change: bool = False
    any_minute: bool = False
    drawn: bool = False
    vector: bool = False
    pack: str = "nissan_leaf_2013"


WAYS = (
    Way("its EVs, grid of 15 min"),
    Way("and its vector of observations", vector=True),
    Way("ideal packs", pack="ideal"),
    Way("EVs at any minute, grid of 1 min", 60, any_minute=True),
    Way("and decisions when they come and go", 60, on_change=True, any_minute=True),
    Way("EVs drawn at each reset", drawn=True),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both cases in turns, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pace", description=__doc__)
    parser.add_argument("python", help="of an environment that has the peers")
    parser.add_argument("output", nargs="?", type=Path, default=Path(__file__).with_name("pace.json"))
    parser.add_argument("--rounds", type=int, default=5, help="how often EV2Gym and evhub take turns")
    options = parser.parse_args(arguments)
    console = Console(markup=False)
    rows, energies = [], []
    for config in CONFIGS:
        console.print(config)
        rows += compare(options.python, config, options.rounds)
        energies.append(energy(options.python, config))
    data = {"machine": machine(), "rows": rows, "energy": energies}
    options.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    console.print(table(rows))
    for found in energies:
        console.print(
            f"{found['config']}, all at full power: EV2Gym charged {found['peer_kwh']:.1f} kWh, "
            f"evhub {found['kwh'] / found['peer_kwh'] - 1.0:+.2%}"
        )
    console.print(f"written to {options.output}")


def compare(python: str, config: str, rounds: int) -> list[dict[str, Any]]:
    """Times of a step, of a reset and of both in an episode [ms] in every round, of EV2Gym and of every way."""
    peer: dict[str, list[float]] = {"step_ms": [], "reset_ms": [], "episode_ms": []}
    ours: list[dict[str, list[float]]] = [{name: [] for name in peer} for _ in WAYS]
    counts = [[0, 0] for _ in WAYS]
    for _ in range(rounds):
        case = ask_peer(python, "ev2gym_pace.py", {"config": config, "seeds": SEEDS})
        _note(peer, [(each["reset_s"], each["steps_s"], each["steps"]) for each in case["episodes"]])
        for n, way in enumerate(WAYS):
            runs = list(episodes(case, way))
            _note(ours[n], [run[:3] for run in runs])
            counts[n] = [sum(run[2] for run in runs), sum(run[3] for run in runs)]
    return [
        {
            "config": config,
            "way": way.label,
            "decisions": decisions / len(SEEDS),
            "sessions": sessions / len(SEEDS),
            **{f"peer_{name}": values for name, values in peer.items()},
            **times,
        }
        for way, times, (decisions, sessions) in zip(WAYS, ours, counts, strict=True)
    ]


def _note(into: dict[str, list[float]], runs: Iterable[tuple[float, float, int]]) -> None:
    resets_s, steps_s, steps = zip(*runs, strict=True)
    into["reset_ms"].append(1e3 * sum(resets_s) / len(resets_s))
    into["step_ms"].append(1e3 * sum(steps_s) / sum(steps))
    into["episode_ms"].append(1e3 * (sum(resets_s) + sum(steps_s)) / len(resets_s))


def episodes(case: dict[str, Any], way: Way) -> Iterator[tuple[float, float, int, int]]:
    """Time of a reset and of all steps [s], decisions and sessions, of every episode."""
    for episode in case["episodes"]:
        simulation = simulate(scenario(case, episode, way))
        actions = case["rated_kw"] * np.array(episode["actions"])
        gc.collect()
        began = process_time()
        observation = simulation.reset(seed=episode["seed"])
        reset_s = process_time() - began
        began = process_time()
        decisions = run(simulation, observation, actions, 60.0 * case["period_min"], way)
        steps_s = process_time() - began
        yield reset_s, steps_s, decisions, len(simulation.result().sessions())


def run(simulation: Simulation, observation: Observation | None, actions: np.ndarray, period_s: float, way: Way) -> int:
    """Step to the end with the actions of the periods; the number of decisions."""
    decisions = 0
    while observation is not None:
        if way.vector:
            vector(observation, period_s)
        observation = simulation.step(Setpoints(actions[int(observation.t_s // period_s)]))
        decisions += 1
    return decisions


def vector(observation: Observation, period_s: float) -> np.ndarray:
    """What EV2Gym's state has: time, power, prices and net load ahead, and for each port its charge and time left."""
    hub, t_s = observation.hubs["hub"], observation.t_s
    forecast, seen = hub.forecast, hub.connectors
    steps = min(AHEAD, round((observation.end_s - t_s) / period_s))
    edges_s = t_s + period_s * np.arange(steps + 1)
    ahead = np.zeros((2, AHEAD))
    ahead[0, :steps] = forecast.price("buy", edges_s)
    ahead[1, :steps] = forecast.load_kw(edges_s).sum(axis=1) - forecast.pv_kw(edges_s)
    left_s = np.where(seen.occupied, seen.departure_s - t_s, 0.0)
    soc = np.where(seen.occupied, seen.soc, 0.0)
    return np.concatenate([[t_s, hub.p_cp_kw], ahead.ravel(), np.stack([soc, left_s], axis=1).ravel()])


def scenario(case: dict[str, Any], episode: dict[str, Any], way: Way) -> Scenario:
    """An episode of EV2Gym as a scenario; load and PV only where it has them."""
    period_s = 60 * case["period_min"]

    def series(values: Sequence[float]) -> dict[str, Any]:
        """Only what changes."""
        points, n = [], 0
        for value, equal in groupby(values):
            points.append([f"{n * period_s}s", value])
            n += len(list(equal))
        return {"type": "profile", "points": points}

    hub: dict[str, Any] = {
        "grid": {"contracted_kw": case["transformer_kw"]},
        "connectors": {"count": case["ports"], "rated_kw": case["rated_kw"], "current": "dc", "v2g": True},
        "ev": {"pack": way.pack, "soc_target": 1.0},
        "sessions": {"type": "list", "items": _sessions(episode, period_s, way)},
        "tariffs": {"buy": series(episode["price"]), "sell": series(episode["price"])},
    }
    if way.drawn:
        hub["ev"] = {"pack": way.pack}
        hub["sessions"] = {"type": "stochastic", "profile": "workplace", "scale": 0.4}
    if any(episode["load_kw"]):
        hub["load"] = {"demand": series(episode["load_kw"])}
        hub["pv"] = {
            "rated_kw": PV_KW,
            "irradiance": series([round(1000.0 * kw / PV_KW, 6) for kw in episode["pv_kw"]]),
            "gamma_per_k": 0.0,
        }
    data = {
        "name": "pace",
        "start": f"{episode['start']}+00:00",
        "duration": f"{episode['steps'] * period_s}s",
        "time_step": f"{way.time_step_s}s",
        "hubs": {"hub": hub},
        "controller": {"type": "uncontrolled", "period": f"{period_s}s", "on_change": way.on_change},
    }
    return parse(data, Path(__file__))


def _sessions(episode: dict[str, Any], period_s: int, way: Way) -> list[dict[str, Any]]:
    minutes = np.random.default_rng(episode["seed"]).integers(0, period_s // 60, (len(episode["evs"]), 2))
    within_s = (60 * minutes * way.any_minute).tolist()
    return [_session(ev, period_s, *both_s) for ev, both_s in zip(episode["evs"], within_s, strict=True)]


def _session(ev: dict[str, Any], period_s: int, later_s: int, earlier_s: int) -> dict[str, Any]:
    return {
        "connector": ev["connector"] + 1,
        "at": f"{ev['arrival'] * period_s + later_s}s",
        # it charges in the step that it is said to depart in
        "until": f"{(ev['departure'] + 1) * period_s - earlier_s}s",
        "energy_kwh": ev["desired_kwh"] - ev["arrival_kwh"],
        "capacity_kwh": ev["capacity_kwh"],
        "soc": ev["arrival_kwh"] / ev["capacity_kwh"],
        "p_max_kw": ev["p_max_kw"],
        "v2g": True,
        "soc_v2g_min": ev["least_kwh"] / ev["capacity_kwh"],
    }


def energy(python: str, config: str) -> dict[str, Any]:
    """What all EVs get at full power [kWh], of both."""
    case = ask_peer(python, "ev2gym_pace.py", {"config": config, "seeds": SEEDS, "constant": 1.0})
    delivered = 0.0
    for episode in case["episodes"]:
        simulation = simulate(scenario(case, episode, WAYS[0]))
        actions = case["rated_kw"] * np.array(episode["actions"])
        run(simulation, simulation.reset(), actions, 60.0 * case["period_min"], WAYS[0])
        delivered += float(simulation.result().sessions()["delivered_kwh"].sum())
    peer = sum(each["charged_kwh"] for each in case["episodes"])
    return {"config": config, "peer_kwh": peer, "kwh": delivered}


def table(rows: list[dict[str, Any]]) -> Table:
    """Steps a second and milliseconds of a reset: medians; and EV2Gym's time over ours, with the spread."""
    columns = ("case", "way", "EVs", "decisions", "steps/s, EV2Gym", "evhub", "ratio", "reset [ms], EV2Gym", "evhub")
    found = Table(*columns, "ratio of an episode")
    for row in rows:
        found.add_row(
            row["config"],
            row["way"],
            f"{row['sessions']:.0f}",
            f"{row['decisions']:.0f}",
            f"{1e3 / median(row['peer_step_ms']):,.0f}",
            f"{1e3 / median(row['step_ms']):,.0f}",
            _ratio(row["peer_step_ms"], row["step_ms"]),
            f"{median(row['peer_reset_ms']):.0f}",
            f"{median(row['reset_ms']):.1f}",
            _ratio(row["peer_episode_ms"], row["episode_ms"]),
        )
    return found


def _ratio(peer_ms: Sequence[float], own_ms: Sequence[float]) -> str:
    ratios = [peer / own for peer, own in zip(peer_ms, own_ms, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
