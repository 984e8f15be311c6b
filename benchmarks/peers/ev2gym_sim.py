"""Runs a case in EV2Gym, in an environment that has ev2gym: ``python ev2gym_sim.py CASE.json``; prints JSON.

EV2Gym draws its EVs; here they are replaced by the sessions of the case, each with a pack that holds what it asks for.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import ev2gym
import numpy as np
import yaml
from ev2gym.models.ev import EV
from ev2gym.models.ev2gym_env import EV2Gym


def config(case: dict) -> dict:
    """EV2Gym's own example without V2G, prices, other loads and tapering, with the connectors of the case."""
    path = Path(ev2gym.__file__).parent / "example_config_files" / "V2GProfitMax.yaml"
    given = yaml.safe_load(path.read_text())
    given |= {
        "timescale": case["period_min"],
        "simulation_length": case["periods"],
        "random_day": False,
        "v2g_enabled": False,
        "number_of_charging_stations": case["ports"],
        "heterogeneous_ev_specs": False,
        "charging_network_topology": "None",
    }
    given["charging_station"] |= {
        "max_charge_current": 1000.0 * case["rated_kw"] / case["voltage_v"],
        "max_discharge_current": 0,
        "voltage": case["voltage_v"],
        "phases": 1,
    }
    return given


def run(case: dict) -> dict:
    """Time of the run [s], and what all sessions got [kWh]."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config(case)))
        world = EV2Gym(config_file=str(path), seed=1, save_replay=False, save_plots=False)
    world.EVs_profiles = [
        EV(
            id=0,
            location=session["connector"],
            battery_capacity_at_arrival=0.0,
            time_of_arrival=session["arrival"],
            time_of_departure=session["departure"] - 1,  # the last step in which it still charges
            battery_capacity=session["energy_kwh"],
            max_ac_charge_power=case["rated_kw"],
            ev_phases=1,
            transition_soc=1,
            timescale=case["period_min"],
        )
        for session in case["sessions"]
    ]
    full = np.ones(case["ports"])
    done, periods = False, 0
    began_wall, began = perf_counter(), process_time()
    while not done:
        _, _, done, _, _ = world.step(full.copy())
        periods += 1
    cpu_s, wall_s = process_time() - began, perf_counter() - began_wall
    return {
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "periods": periods,
        "sessions": len(world.EVs),
        "energy_kwh": float(sum(station.total_energy_charged for station in world.charging_stations)),
    }


if __name__ == "__main__":
    # EV2Gym prints while it starts
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text()))), file=out)
