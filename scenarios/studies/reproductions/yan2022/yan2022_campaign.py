"""The campaign of Yan & Tu 2022: its scenarios on days of other weather, sessions and forecast errors."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from .....analysis import open_results
from .....simulators.units import S_PER_MIN
from ....assembly.plant_build import build
from ....run_scenario import run_wiring
from ....schema.scenario_loader import LIBRARY, parse
from ....schema.yaml_file import read_yaml
from .yan2022_costs import HUB, costs
from .yan2022_days import write_day

LEVELS = (0.0, 0.5, 1.0)
"""Errors of the forecasts, and depth of the disturbance, against what is assumed."""
OPTIMISED, AT_15_MIN, CLAIRVOYANT = "5 optimised", "5 at 15 min", "1 clairvoyant"
"""Variants of scenarios for the two gaps."""
JOURNAL = "campaign.csv"
"""The costs of all finished runs."""


@dataclass(frozen=True)
class Case:
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


def scenario_data(case: Case) -> dict[str, Any]:
    """The data of a shipped scenario for another day, without the feeder: its limits bind on none of the days."""
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


def run(case: Case, folder: Path) -> dict[str, float]:
    """Run a case in a folder of its own; gives its costs, see `costs`."""
    own = folder / f"{case.scenario.replace(' ', '-')}-{case.seed}-{case.level:g}"
    (own / "data").mkdir(parents=True, exist_ok=True)
    write_day(own / "data", case.seed, disturbance=case.level)
    loaded = parse(scenario_data(case), own / "scenario.yaml")
    path = run_wiring(build(loaded), loaded, own / "result.h5", engine="inprocess")
    with open_results(path) as results:
        found = costs(results)
    path.unlink()
    return found


def cases(seeds: int) -> list[Case]:
    """Everything the campaign runs."""
    found = [Case(scenario, seed) for seed in range(seeds) for scenario in "123457"]
    found += [Case(scenario, seed) for seed in range(seeds) for scenario in (AT_15_MIN, OPTIMISED, CLAIRVOYANT)]
    found += [Case(s, seed, level) for seed in range(seeds) for s in "34" for level in LEVELS if level != 1.0]
    return found


def campaign(
    folder: Path, todo: Sequence[Case], tell: Callable[[str], None], workers: int = 2
) -> dict[Case, dict[str, float]]:
    """Run cases on several processes; gives the costs of each.

    Every finished run stands in the journal at once, and is not run again as long as the code stays the same.
    """
    journal, code = folder / JOURNAL, _code()
    found = {case: costs for case, costs in _finished(journal, code).items() if case in todo}
    left, began_s = [case for case in todo if case not in found], monotonic()
    with ProcessPoolExecutor(workers) as pool:
        for done, (case, one) in enumerate(
            zip(left, pool.map(run, left, [folder / "days"] * len(left)), strict=True), 1
        ):
            found[case] = one
            _write(journal, found, code)
            minutes = (monotonic() - began_s) / done * (len(left) - done) / S_PER_MIN
            tell(f"{len(found)} of {len(todo)} runs, about {minutes:.0f} min left")
    return found


def _write(journal: Path, found: Mapping[Case, Mapping[str, float]], code: str) -> None:
    """Write all runs; the file is always whole."""
    part = journal.with_suffix(".part")
    pd.DataFrame([{**asdict(case), **costs, "code": code} for case, costs in found.items()]).to_csv(part, index=False)
    part.replace(journal)


def _finished(journal: Path, code: str) -> dict[Case, dict[str, float]]:
    """Runs of an earlier call with the same code."""
    if not journal.is_file():
        return {}
    found = {}
    with journal.open(newline="") as file:
        for row in csv.DictReader(file):
            case = Case(row.pop("scenario"), int(row.pop("seed")), float(row.pop("level")))
            if row.pop("code") == code:
                found[case] = {name: float(text) for name, text in row.items()}
    return found


def _code() -> str:
    """Digest of all that decides what a run gives: the package and its data."""
    root, digest = Path(__file__).parents[4], hashlib.sha256()
    for part in ("analysis", "controllers", "scenarios", "simulators"):
        for path in sorted(file for file in (root / part).rglob("*") if file.suffix in (".py", ".yaml", ".csv")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
