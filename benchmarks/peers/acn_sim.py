"""Runs a case in ACN-Sim, in an environment that has acnportal: ``python acn_sim.py CASE.json``; prints JSON.

Without a case it prints the site: EVSEs, and the current limits of the Caltech garage as acnportal has them.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from time import perf_counter, process_time

from acnportal import algorithms
from acnportal.acnsim import EventQueue, PluginEvent, Simulator
from acnportal.acnsim.models import EV, Battery
from acnportal.acnsim.network.sites import caltech_acn

VOLTAGE_V = 208.0
KW = 6.656


def site() -> dict:
    """EVSEs and limits: current magnitudes of rows of a matrix, with an angle for each EVSE."""
    network = caltech_acn(basic_evse=True, voltage=VOLTAGE_V, transformer_cap=150)
    return {
        "stations": list(network.station_ids),
        "voltage_v": VOLTAGE_V,
        "rated_kw": KW,
        "angle_deg": [float(angle) for angle in network._phase_angles],
        "limits": list(network.constraint_index),
        "matrix": network.constraint_matrix.tolist(),
        "limit_a": [float(limit) for limit in network.magnitudes],
    }


def scheduler(name: str, step_a: float) -> object:
    """A strategy by the name it has in evhub."""
    if name == "edf":
        return algorithms.SortedSchedulingAlgo(algorithms.earliest_deadline_first)
    if name == "llf":
        return algorithms.SortedSchedulingAlgo(algorithms.least_laxity_first)
    if name == "round_robin":
        return algorithms.RoundRobin(algorithms.first_come_first_served, continuous_inc=step_a)
    return algorithms.UncontrolledCharging()


def run(case: dict) -> dict:
    """Time of the run [s], and what every session got [kWh]."""
    evs = [
        EV(
            session["arrival"],
            session["departure"],
            session["energy_kwh"],
            session["station"],
            session["id"],
            Battery(session["energy_kwh"], 0.0, KW),
        )
        for session in case["sessions"]
    ]
    simulator = Simulator(
        caltech_acn(basic_evse=True, voltage=VOLTAGE_V, transformer_cap=150),
        scheduler(case["controller"], case["step_a"]),
        EventQueue([PluginEvent(ev.arrival, ev) for ev in evs]),
        datetime.fromisoformat(case["start"]),
        period=case["period_min"],
        verbose=False,
    )
    began_wall, began = perf_counter(), process_time()
    simulator.run()
    cpu_s, wall_s = process_time() - began, perf_counter() - began_wall
    return {
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "periods": simulator.iteration,
        "energy_kwh": {ev.session_id: float(ev.energy_delivered) for ev in evs},
    }


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text())) if len(sys.argv) > 1 else site()))
