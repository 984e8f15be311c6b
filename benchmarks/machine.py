"""What a benchmark ran on, without its name."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Cores, clock [MHz] where the system tells it, system, versions, and how busy it is."""
    try:
        clock = re.search(r"cpu MHz\s*: ([\d.]+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        clock = None
    return {
        "cores": os.cpu_count(),
        "clock_mhz": round(float(clock[1])) if clock else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "mosaik": version("mosaik"),
        "load_average": os.getloadavg()[0],
    }
