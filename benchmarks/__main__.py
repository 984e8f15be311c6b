"""``python -m benchmarks [NAME ...]``: measure, print tables, write JSON.

Only ratios within one run mean anything: the machine may be slow, or busy with other things.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from . import decisions, dispatchability, ems, ievcs, memory, overhead, planning, reading, runs, sweeps, yardstick
from .machine import machine

BENCHMARKS = {
    "yardstick": yardstick,
    "runs": runs,
    "overhead": overhead,
    "decisions": decisions,
    "planning": planning,
    "ems": ems,
    "dispatchability": dispatchability,
    "ievcs": ievcs,
    "reading": reading,
    "sweeps": sweeps,
    "memory": memory,
}
"""Modules with ``measure(tell, short=...)``, which gives plain data, and ``show(data, console)``; the longest last."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, print it, and write it to a file."""
    options = _options(arguments)
    console = Console(markup=False)
    found: dict[str, Any] = {"machine": machine()}
    console.print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    for name in options.names or BENCHMARKS:
        with console.status(name) as status:
            found[name] = BENCHMARKS[name].measure(status.update, short=options.short)
        BENCHMARKS[name].show(found[name], console)
        # after each: what is measured is not lost if a later one is stopped
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {options.output}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = Path(__file__).with_name("results.json")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all when left out")
    parser.add_argument("-o", "--output", type=Path, default=default, help="file for the results (JSON)")
    parser.add_argument("--short", action="store_true", help="the smallest case of each, to see that it runs")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"NAME: must be one of {', '.join(BENCHMARKS)}, got {name!r}")
    return options


if __name__ == "__main__":
    main()
