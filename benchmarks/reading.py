"""How long a result takes to open, and its page to be ready in a browser.

``python -m benchmarks.reading`` runs the shipped month of 54 connectors, reads it in a process of its own, makes its
page, and opens it in Chromium where there is one. Processor time counts: others may use the machine meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from evhub.analysis import open_results
from evhub.analysis.report import write_report
from tests.chromium import PROGRAM, Chromium

if TYPE_CHECKING:
    from evhub.scenarios.loader import LoadedScenario

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
        ``make_s`` and ``page_mb``; where there is a Chromium ``ready_s``, from the call to all charts drawn [s], and
        ``thread_s``, what of it the page's thread computed.
    """
    began = process_time()
    with open_results(path) as results:
        made = write_report(results, folder / "page.html")
    found = {"make_s": process_time() - began, "page_mb": made.stat().st_size / _BYTES_PER_MB}
    if PROGRAM is not None:
        browser = Chromium(folder / "profile")
        try:
            browser.count_thread_time()
            called = perf_counter()
            browser.open(made)
            found |= {"ready_s": perf_counter() - called, "thread_s": browser.thread_s()}
        finally:
            browser.close()
    return found


def measure(loaded: LoadedScenario) -> dict[str, Any]:
    """Run a scenario, read its result in a new process, and open its page."""
    from evhub.scenarios.build import build  # not in the process that reads
    from evhub.scenarios.runner import run_wiring

    with TemporaryDirectory() as name:
        folder = Path(name)
        run_wiring(build(loaded), loaded, folder / "r.h5", engine="inprocess")
        call = [sys.executable, "-m", f"{__package__}.reading", str(folder / "r.h5")]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) | page(folder / "r.h5", folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(read(Path(sys.argv[1]))))
    else:
        from .cases import workplace

        print(json.dumps(measure(workplace()), indent=1))
