"""Processes of a session: those that a command has started, and whether they are gone."""

from __future__ import annotations

import time
from pathlib import Path


def members(session: int) -> list[str]:
    """Process ids of a session, without those that only wait to be buried."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def wait_until(condition, at_most_s: float = 120.0) -> None:
    end = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
