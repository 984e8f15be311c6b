"""Steps EV2Gym's own cases: ``python ev2gym_pace.py CASE.json``, in an environment that has ev2gym; prints JSON.

The case names a configuration that EV2Gym ships and its seeds. For each seed the time of a reset and of all steps is
given, and what EV2Gym drew: EVs, local load, PV and prices, so that another simulator can be given the same.
"""

import json
import random
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import ev2gym
import numpy as np
import yaml
from ev2gym.models.ev2gym_env import EV2Gym
from ev2gym.rl_agent.reward import ProfitMax_TrPenalty_UserIncentives, profit_maximization
from ev2gym.rl_agent.state import V2G_profit_max, V2G_profit_max_loads

FUNCTIONS = {
    "V2GProfitMax": (V2G_profit_max, profit_maximization),
    "V2GProfitPlusLoads": (V2G_profit_max_loads, ProfitMax_TrPenalty_UserIncentives),
}
"""State and reward that EV2Gym has for a configuration."""


def environment(name: str) -> EV2Gym:
    """The environment of a configuration as it is shipped."""
    package = Path(ev2gym.__file__).parent
    given = yaml.safe_load((package / "example_config_files" / f"{name}.yaml").read_text())
    # the shipped path is relative to a source tree
    given["ev_specs_file"] = str(package.parent / given["ev_specs_file"])
    state, reward = FUNCTIONS[name]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(given))
        return EV2Gym(config_file=str(path), state_function=state, reward_function=reward)


def episode(world: EV2Gym, seed: int, constant: float | None) -> dict:
    """One episode: times [s], what it drew, and energy [kWh]; actions are random where they are not constant."""
    world.done = False  # reset() leaves it as it is, and step() refuses
    began = process_time()
    world.reset(seed=seed)
    reset_s = process_time() - began
    shape = (world.simulation_length, world.number_of_ports)
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, shape) if constant is None else np.full(shape, constant)
    given = actions.tolist()  # a step writes into its actions
    start = world.sim_starting_date.isoformat()
    began = process_time()
    for action in actions:
        world.step(action)
    steps_s = process_time() - began
    (transformer,) = world.transformers
    return {
        "seed": seed,
        "reset_s": reset_s,
        "steps_s": steps_s,
        "steps": len(given),
        "actions": given,
        "start": start,
        "charged_kwh": float(sum(station.total_energy_charged for station in world.charging_stations)),
        "discharged_kwh": float(sum(station.total_energy_discharged for station in world.charging_stations)),
        "load_kw": np.abs(transformer.inflexible_load).tolist(),
        "pv_kw": np.abs(transformer.solar_power).tolist(),
        "price": np.abs(world.charge_prices[0]).tolist(),
        "evs": [
            {
                "connector": int(ev.location),
                "arrival": int(ev.time_of_arrival),
                "departure": int(ev.time_of_departure),
                "capacity_kwh": float(ev.battery_capacity),
                "arrival_kwh": float(ev.battery_capacity_at_arrival),
                "desired_kwh": float(ev.desired_capacity),
                "least_kwh": float(ev.min_battery_capacity),
                "p_max_kw": float(ev.max_ac_charge_power),
            }
            for ev in world.EVs
        ],
    }


def run(case: dict) -> dict:
    """Times, and what was drawn, of every seed."""
    random.seed(0)
    world = environment(case["config"])
    station = world.config["charging_station"]
    episode(world, 0, None)  # what is only done once, such as reading prices
    return {
        "period_min": world.timescale,
        "ports": int(world.number_of_ports),
        "rated_kw": station["max_charge_current"] * station["voltage"] * station["phases"] ** 0.5 / 1000.0,
        "transformer_kw": world.config["transformer"]["max_power"],
        "episodes": [episode(world, seed, case.get("constant")) for seed in case["seeds"]],
    }


if __name__ == "__main__":
    # EV2Gym prints while it starts
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))), file=out)
