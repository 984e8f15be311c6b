"""``python -m benchmarks.peers PYTHON``: ratios of processor time to ACN-Sim and EV2Gym, and the energy each delivered.

PYTHON is that of an environment with `requirements.txt`; `make bench-peers` makes one. Peer and evhub take turns, so
that all see the same machine. Of every run the stepping is timed, without reading input and building; ours writes its
result file too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from evhub.analysis import open_results
from evhub.scenarios.schema.scenario_loader import Scenario

from ..engines import ENGINES, run_s
from ..machine import machine
from . import cases

HERE = Path(__file__).parent
ACN_CASES = (("uncontrolled", 7), ("edf", 7), ("llf", 7), ("round_robin", 1))
"""Strategy and days; ACN-Sim's round-robin takes minutes for a day."""
EV2GYM_PORTS, EV2GYM_PERIOD_MIN = 25, 15


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every case, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("python", help="of an environment that has the peers")
    parser.add_argument("output", nargs="?", type=Path, default=Path(__file__).with_name("results.json"))
    parser.add_argument("--rounds", type=int, default=2, help="how often peer and evhub take turns")
    options = parser.parse_args(arguments)
    console = Console(markup=False)
    site = ask_peer(options.python, "acn_sim.py")
    rows = []
    for controller, days in ACN_CASES:
        console.print(f"ACN-Sim, {controller}, {days} d")
        of = cases.case(site, controller, days, 5)
        ours = cases.scenario(of, site)
        rows.append(compare("ACN-Sim", options.python, "acn_sim.py", of, ours, options.rounds))
    console.print("EV2Gym, uncontrolled, 7 d")
    of = cases.case(site, "uncontrolled", 7, EV2GYM_PERIOD_MIN, EV2GYM_PORTS)
    ours = cases.scenario(of, site, limits=False)
    rows.append(compare("EV2Gym", options.python, "ev2gym_sim.py", of, ours, options.rounds))
    options.output.write_text(json.dumps({"machine": machine(), "cases": rows}, indent=1) + "\n", encoding="utf-8")
    console.print(table(rows))
    console.print(f"written to {options.output}")


def compare(peer: str, python: str, script: str, of: dict[str, Any], ours: Scenario, rounds: int) -> dict[str, Any]:
    """The best of some turns: time of a period [ms], and energy [kWh], of the peer and of both engines."""
    theirs, own = [], {name: [] for name in ENGINES}
    for _ in range(rounds):
        theirs.append(ask_peer(python, script, of))
        for name, runs in own.items():
            runs.append(run_ours(ours, name))
    energy_kwh = theirs[0]["energy_kwh"]
    row = {
        "peer": peer,
        "controller": of["controller"],
        "days": of["days"],
        "period_min": of["period_min"],
        "connectors": of["ports"],
        "sessions": len(of["sessions"]),
        "peer_ms": 1e3 * min(run["cpu_s"] / run["periods"] for run in theirs),
        "peer_kwh": sum(energy_kwh.values()) if isinstance(energy_kwh, dict) else energy_kwh,
        "requested_kwh": sum(session["energy_kwh"] for session in of["sessions"]),
    }
    for name, runs in own.items():
        row[f"{name}_ms"] = 1e3 * min(cpu_s for cpu_s, _ in runs) / of["periods"]
        row[f"{name}_kwh"] = runs[0][1]
    return row


def run_ours(loaded: Scenario, engine_name: str) -> tuple[float, float]:
    """Processor time of the engine [s], with everything that is written meanwhile, and delivered energy [kWh]."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        cpu_s = run_s(loaded, engine_name, path)
        with open_results(path) as results:
            return cpu_s, float(results.sessions()["delivered_kwh"].sum())


def ask_peer(python: str, script: str, of: dict[str, Any] | None = None) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        arguments = []
        if of is not None:
            arguments = [str(Path(folder) / "case.json")]
            Path(arguments[0]).write_text(json.dumps(of), encoding="utf-8")
        done = subprocess.run([python, str(HERE / script), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def table(rows: list[dict[str, Any]]) -> Table:
    """The cases as a table; below our time is its ratio to the peer's."""
    found = Table("case", "peer [ms]", "mosaik", "in process", "peer [kWh]", "ours")
    for row in rows:
        found.add_row(
            f"{row['peer']}, {row['controller']}\n{row['connectors']}, {row['period_min']} min, {row['days']} d",
            f"{row['peer_ms']:.2f}",
            *(f"{row[f'{name}_ms']:.2f}\n{_ratio(row[f'{name}_ms'] / row['peer_ms'])}" for name in ENGINES),
            f"{row['peer_kwh']:.1f}",
            f"{row['inprocess_kwh'] / row['peer_kwh'] - 1.0:+.3%}",
        )
    return found


def _ratio(times: float) -> str:
    return f"1/{1.0 / times:.3g}" if times < 1.0 else f"{times:.2g}"


if __name__ == "__main__":
    main()
