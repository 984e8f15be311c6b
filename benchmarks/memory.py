"""How much memory a run takes: each is measured in a process of its own.

``python -m benchmarks.memory DURATION`` runs the shipped scenario for that long, ``year`` runs a year at 5 min; both
print one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.run_scenario import run_wiring

from .cases import workplace, workplace_year

YEAR = "year"
WEEKS = (1, 2, 4)
YEAR_MB = 1024.0
"""What a year may take."""
_KB_PER_MB = 1024.0
_BYTES_PER_MB = 1024.0**2
DAYS_PER_WEEK = 7.0


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process [MB]: when the plant was built, and the most there was; and what the run left."""

    days: float
    built_mb: float
    peak_mb: float
    file_mb: float
    run_s: float


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """One, two and four weeks, and a year."""
    cases = [f"{hours}h" for hours in WEEKS] if short else [*(f"{7 * weeks}d" for weeks in WEEKS), YEAR]
    found = []
    for case in cases:
        tell(f"memory: {case}")
        found.append(of_process(case))
    return {"runs": [asdict(each) for each in found], "slope_mb_per_week": slope_mb_per_week(found[: len(WEEKS)])}


def show(found: dict[str, Any], console: Console) -> None:
    """Print the results as a table."""
    table = Table("days", "plant built [MB]", "peak [MB]", "result file [MB]", "run [s]", title="Memory")
    for row in found["runs"]:
        values = (row["built_mb"], row["peak_mb"], row["file_mb"], row["run_s"])
        table.add_row(f"{row['days']:.3g}", *(f"{value:.1f}" for value in values))
    console.print(table)
    console.print(
        f"the peak grows by {found['slope_mb_per_week']:.1f} MB a week; a year at 5 min may take {YEAR_MB:.0f} MB"
    )


def of_process(case: str) -> Memory:
    """Run a case in a new process.

    Raises
    ------
    RuntimeError
        With what the process said when it failed.
    """
    done = subprocess.run([sys.executable, "-m", __name__, case], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"benchmark of memory, {case}: {done.stderr.strip()}")
    return Memory(**json.loads(done.stdout))


def slope_mb_per_week(found: Sequence[Memory]) -> float:
    """Growth of the peak with the length of the run, by least squares [MB per week]."""
    weeks = [each.days / DAYS_PER_WEEK for each in found]
    return float(np.polyfit(weeks, [each.peak_mb for each in found], 1)[0])


def status_mb(key: str) -> float:
    """A line of this process's status; unlike ``getrusage``, it does not know the parent's memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return float(line.split()[1]) / _KB_PER_MB
    raise RuntimeError(f"/proc/self/status has no {key}")


def _run(case: str) -> Memory:
    loaded = workplace_year() if case == YEAR else workplace(case)
    wiring = build(loaded)
    built_mb = status_mb("VmRSS")
    with TemporaryDirectory() as folder:
        began = perf_counter()
        path = run_wiring(wiring, loaded, Path(folder) / "run.h5")
        run_s = perf_counter() - began
        file_mb = path.stat().st_size / _BYTES_PER_MB
    days = loaded.scenario.duration / 86_400.0
    return Memory(days, built_mb, status_mb("VmHWM"), file_mb, run_s)


if __name__ == "__main__":
    print(json.dumps(asdict(_run(sys.argv[1]))))
