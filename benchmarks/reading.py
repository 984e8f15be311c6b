"""How long a result takes to open, and its page to be ready in a browser.

Runs the shipped month of 54 connectors, reads it in a process of its own (``python -m benchmarks.reading FILE``), makes
its page, and opens it in Chromium where there is one. Processor time counts: others may use the machine meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from plotly.offline import get_plotlyjs

from evhub.analysis import open_results
from evhub.analysis.report.html.page_template import plotly_script
from evhub.analysis.report.html.run_page import write_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from evhub.scenarios.schema.scenario_loader import Scenario

SHORT = "6h"
_SESSIONS = "data/caltech_2019-05_2019-08.csv.gz"
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_MS_PER_S = 1e3
_KB_PER_MB = 1024.0
_BYTES_PER_MB = 1e6


def read(path: Path) -> dict[str, float]:
    """Open a result and read all powers at 5 min, in this process.

    Returns
    -------
    dict of str to float
        ``open_s``, ``frames_s`` (processor time [s]) and ``peak_mb`` (resident memory of the process).
    """
    began = process_time()
    with open_results(path) as results:
        opened = process_time()
        results.frame(["*/*/p_kw", "*/cp/connector_p_kw"], every="5min")
        results.sessions()
        done = process_time()
    status = Path("/proc/self/status").read_text()  # getrusage counts the process it came from, too
    peak_mb = float(status.partition("VmHWM:")[2].split()[0]) / _KB_PER_MB
    return {"open_s": opened - began, "frames_s": done - opened, "peak_mb": peak_mb}


def page(path: Path, folder: Path) -> dict[str, float]:
    """Make the page of a result and open it in Chromium.

    Returns
    -------
    dict of str to float
        ``make_s`` and ``page_mb``; where there is a Chromium the time from the call until text is shown, ``text_s``,
        the first chart is drawn, ``chart_s``, and all are, ``ready_s`` [s]; ``thread_s``, what of it the page's thread
        computed, and ``plain_thread_s``, what it computes with plotly.js as it is delivered.
    """
    from tests.helpers.chromium import PROGRAM  # not where no more than a result is read

    began = process_time()
    with open_results(path) as results:
        made = write_report(results, folder / "page.html")
    found = {"make_s": process_time() - began, "page_mb": made.stat().st_size / _BYTES_PER_MB}
    if PROGRAM is not None:
        found |= _open_in_chromium(made, folder / "profile")
        twin = folder / "twin.html"
        twin.write_text(made.read_text().replace(plotly_script(), get_plotlyjs()))
        found["plain_thread_s"] = _open_in_chromium(twin, folder / "twin-profile")["thread_s"]
    return found


def _open_in_chromium(path: Path, profile: Path) -> dict[str, float]:
    """Times until a page shows text, its first chart and all of them, and what its thread computed [s]."""
    from tests.helpers.chromium import DRAWN, Chromium

    browser = Chromium(profile)
    try:
        browser.count_thread_time()
        called = perf_counter()
        browser.go(path)
        browser.wait("document.querySelector('.chart .cartesianlayer .subplot') !== null")
        times = {"chart_s": perf_counter() - called}
        browser.wait(DRAWN)
        times |= {"ready_s": perf_counter() - called, "thread_s": browser.thread_s()}
        return times | {"text_s": browser.ask(_FIRST_PAINT) / _MS_PER_S}
    finally:
        browser.close()


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """Read the month and open its page."""
    from evhub.scenarios.files.session_files import read_sessions
    from evhub.scenarios.schema.scenario_loader import LIBRARY

    from .cases import workplace

    tell("reading: a file of sessions, a run and its page")
    began = process_time()
    read_sessions(LIBRARY / _SESSIONS, datetime(2019, 5, 1, tzinfo=UTC), inf, pin_stations=True)
    return {"sessions_s": process_time() - began} | of_scenario(workplace(SHORT) if short else workplace())


def show(found: dict[str, Any], console: Console) -> None:
    """Print the results as a table."""
    from rich.table import Table

    table = Table("", "aim", "", title="Results and pages")
    for key, text, aim, unit in _TOLD:
        if key in found:
            table.add_row(text, aim, f"{found[key]:.3g} {unit}")
    console.print(table)


_TOLD = (
    ("sessions_s", "read four months of sessions from a file", "", "s of processor time"),
    ("open_s", "open the result", "", "s of processor time"),
    ("frames_s", "read powers, connectors and sessions at 5 min", "1 s with opening", "s of processor time"),
    ("peak_mb", "memory of the process that reads", "300 MB", "MB"),
    ("make_s", "make the page", "", "s of processor time"),
    ("page_mb", "its size", "10 MB", "MB"),
    ("text_s", "in Chromium, text is shown after", "", "s"),
    ("chart_s", "the first chart is drawn and answers after", "2 s", "s"),
    ("ready_s", "all charts are drawn after", "2 s", "s"),
    ("thread_s", "what the page's thread computes", "", "s of processor time"),
    ("plain_thread_s", "the same with plotly.js as it is delivered", "", "s of processor time"),
)


def of_scenario(loaded: Scenario) -> dict[str, Any]:
    """Run a scenario, read its result in a new process, and open its page."""
    from evhub.scenarios.assembly.plant_build import build  # not in the process that reads
    from evhub.scenarios.run_scenario import run_wiring

    with TemporaryDirectory() as name:
        folder = Path(name)
        run_wiring(build(loaded), loaded, folder / "r.h5", engine="inprocess")
        call = [sys.executable, "-m", f"{__package__}.reading", str(folder / "r.h5")]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) | page(folder / "r.h5", folder)


if __name__ == "__main__":
    print(json.dumps(read(Path(sys.argv[1]))))
