"""The campaign of Yan & Tu 2022: its scenarios on days of other weather, sessions and forecast errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import pandas as pd

from .....analysis import open_results
from .....simulators.units import S_PER_MIN
from ....assembly.plant_build import build
from ....run_scenario import run_wiring
from ....schema.scenario_loader import LIBRARY, parse
from ....schema.yaml_file import read_yaml
from ...journal import Journal
from ...workers.worker_pool import HERE, WorkerPool
from .yan2022_costs import HUB, costs
from .yan2022_days import write_day

LEVELS = (0.0, 0.5, 1.0)
"""Errors of the forecasts, and depth of the disturbance, against what is assumed."""
OPTIMISED, AT_15_MIN, CLAIRVOYANT = "5 optimised", "5 at 15 min", "1 clairvoyant"
"""Variants of scenarios for the two gaps."""
JOURNAL = "journal.jsonl"
TABLE = "campaign.csv"
"""The costs of all runs."""


@dataclass(frozen=True)
class YanCase:
    """A run of the campaign.

    Parameters
    ----------
    scenario : str
        Number of the scenario, or of one and a variant of it for the two gaps.
    seed : int
        Of weather, sessions, and the errors of the forecasts.
    level : float
        Size of these errors.
    """

    scenario: str
    seed: int
    level: float = 1.0


def scenario_data(case: YanCase) -> dict[str, Any]:
    """Return the data of a shipped scenario for another day, without the feeder, which binds on no day."""
    data = dict(read_yaml(LIBRARY / f"yan2022-{case.scenario[0]}.yaml"))
    hub, controller = dict(data["hubs"][HUB]), dict(data["controller"])
    del data["network"], data["expect"], controller["feeder"]
    forecasts = hub["forecasts"]
    load, sessions = forecasts["load"], forecasts["sessions"]
    hub["forecasts"] = {
        "pv": forecasts["pv"],
        "load": {**load, "std": case.level * load["std"]},
        "sessions": {
            "type": "noisy",
            "arrival_std": f"{30 * case.level:g}min",
            "departure_std": f"{45 * case.level:g}min",
            "energy_std": case.level * sessions["energy_std"],
        },
    }
    if case.scenario != case.scenario[0]:
        controller["period"] = "15min"
    if case.scenario == OPTIMISED:
        controller["stages"] = {**controller["stages"], "real_time": "optimise"}
    if case.scenario == CLAIRVOYANT:
        hub["forecasts"] = {}
        del controller["pv_memory"]
    return {**data, "seed": case.seed, "hubs": {HUB: hub}, "controller": controller}


def run(case: YanCase, folder: Path) -> dict[str, float]:
    """Run a case on its day, whose files are written into a folder of its own, and return its costs, see `costs`."""
    case_folder = folder / f"{case.scenario.replace(' ', '-')}-{case.seed}-{case.level:g}"
    (case_folder / "data").mkdir(parents=True, exist_ok=True)
    write_day(case_folder / "data", case.seed, disturbance=case.level)
    loaded = parse(scenario_data(case), case_folder / "scenario.yaml")
    with TemporaryDirectory() as scratch:
        path = run_wiring(build(loaded), loaded, Path(scratch) / "result.h5", engine="inprocess")
        with open_results(path) as results:
            return costs(results)


def cases(seeds: int) -> list[YanCase]:
    """Return all runs of the campaign."""
    runs = [YanCase(scenario, seed) for seed in range(seeds) for scenario in "123457"]
    runs += [YanCase(scenario, seed) for seed in range(seeds) for scenario in (AT_15_MIN, OPTIMISED, CLAIRVOYANT)]
    runs += [YanCase(s, seed, level) for seed in range(seeds) for s in "34" for level in LEVELS if level != 1.0]
    return runs


def campaign(
    folder: Path, todo: Sequence[YanCase], tell: Callable[[str], None], pool: WorkerPool = HERE
) -> dict[YanCase, dict[str, float]]:
    """Run cases and return the costs of each.

    Every finished run stands in the journal at once, and is not run again as long as the code stays the same.

    Parameters
    ----------
    folder : Path
        Takes the journal, the days, and ``campaign.csv`` with the costs of all runs.
    todo : sequence of YanCase
        What to run.
    tell : callable
        Receives the progress as text.
    pool : WorkerPool
        Where the runs are made; in this process when left out.

    Returns
    -------
    dict of YanCase to dict
        In the order of `todo`; see `costs`.

    Raises
    ------
    KeyboardInterrupt
        With what is left as its argument.
    """
    code = _code()
    keys = {case: f"scenario {case.scenario}, seed {case.seed}, level {case.level:g}, code {code}" for case in todo}
    with Journal(folder / JOURNAL, ("costs",)) as journal:
        left, began_s = [case for case in todo if keys[case] not in journal.finished], monotonic()
        names = [f"scenario {case.scenario}, seed {case.seed}, level {case.level:g}" for case in left]
        try:
            outcomes = pool.outcomes(partial(run, folder=folder / "days"), left, names)
            for done, (number, outcome) in enumerate(outcomes, 1):
                if isinstance(outcome, BaseException):
                    raise outcome
                journal.write(keys[left[number]], {"costs": outcome})
                minutes = (monotonic() - began_s) / done * (len(left) - done) / S_PER_MIN
                tell(f"{len(todo) - len(left) + done} of {len(todo)} runs, about {minutes:.0f} min left")
        except KeyboardInterrupt as stop:
            finished = sum(key in journal.finished for key in keys.values())
            stop.args = (f"{finished} of {len(todo)} runs of the campaign are finished; the same command goes on",)
            raise
        costs_of = {case: dict(journal.finished[keys[case]]["costs"]) for case in todo}
    pd.DataFrame([{**asdict(case), **costs} for case, costs in costs_of.items()]).to_csv(folder / TABLE, index=False)
    return costs_of


def _code() -> str:
    """Digest of all that decides what a run gives: the package and its data."""
    root, digest = Path(__file__).parents[4], hashlib.sha256()
    for part in ("analysis", "controllers", "scenarios", "simulators"):
        for path in sorted(file for file in (root / part).rglob("*") if file.suffix in (".py", ".yaml", ".csv")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
