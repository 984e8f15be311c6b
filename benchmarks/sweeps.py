"""How much faster a sweep is with two workers than with one, and how long a finished one takes to be found again.

What counts is wall time, so the machine has to be quiet, with two cores; both numbers of workers are tried in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from evhub.scenarios.studies.sweep.sweep_runs import sweep
from evhub.scenarios.studies.workers.worker_pool import worker_pool

RUNS = 200
ROUNDS = 2
_STUDY = """
scenario: leal2024-1
fields: {{hubs.depot.bess.soc: {{range: [0.3, 0.7]}}}}
design: {{type: random, samples: {runs}, seed: 1}}
kpis: [import_kwh]
"""


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """Sweeps of the same runs with one and with two workers, and a second call on the last one."""
    runs = 4 if short else RUNS
    rounds = []
    with TemporaryDirectory() as name:
        study = Path(name) / "study.yaml"
        study.write_text(_STUDY.format(runs=runs), encoding="utf-8")
        for number in range(1 if short else ROUNDS):
            taken_s = {}
            for workers in (1, 2):
                tell(f"sweeps: {runs} runs with {workers} of 2 workers")
                taken_s[workers] = _timed(study, Path(name) / f"{number}-{workers}", workers, runs)
            rounds.append({"one_s": taken_s[1], "two_s": taken_s[2], "ratio": taken_s[1] / taken_s[2]})
        again_s = _timed(study, Path(name) / "0-2", 2, 0)
    return {"runs": runs, "rounds": rounds, "again_s": again_s}


def _timed(study: Path, folder: Path, workers: int, expected: int) -> float:
    began = perf_counter()
    with worker_pool(workers, apart=True) as pool:
        swept = sweep(study, folder, pool)
    if swept.failed or swept.ran != expected:
        raise RuntimeError(f"sweep with {workers} workers: {swept.ran} runs, {swept.failed} failed; not {expected}, 0")
    return perf_counter() - began


def show(found: dict[str, Any], console: Console) -> None:
    """Print the results as a table."""
    table = Table("1 worker [s]", "2 workers [s]", "times as fast (aim 1.7)", title=f"Sweep of {found['runs']} runs")
    for row in found["rounds"]:
        table.add_row(f"{row['one_s']:.1f}", f"{row['two_s']:.1f}", f"{row['ratio']:.2f}")
    console.print(table)
    console.print(f"a second call on a finished sweep takes {found['again_s']:.1f} s")
