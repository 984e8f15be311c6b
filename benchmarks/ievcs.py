"""Computing times of `ievcs`: its stages at 18 chargers and more, and what a week on the feeder is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from evhub.analysis import open_results
from evhub.controllers import contract as base
from evhub.controllers.ievcs.day_ahead_planner import Day
from evhub.controllers.ievcs.ievcs_controller import Ievcs
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import LIBRARY, Scenario, parse
from evhub.scenarios.schema.yaml_file import read_yaml

from .observed import Stopwatch
from .profile import profile

CHARGERS = (18, 50, 100, 200)
HUB, PUBLISHED = "station", 18
_DAY_S, _STEPS_A_DAY = 86400.0, 96
_NOON_S = 43200.0
_MS_PER_S = 1e3


class Watched(Ievcs):
    """Keeps what it sees at noon."""

    noon: ClassVar[dict[str, tuple[base.Observation, base.Site]]] = {}

    def decide(self, observation: base.Observation) -> base.Decision:
        """Decide as ever."""
        if observation.t_s == _NOON_S:
            Watched.noon[HUB] = observation, self.sites[HUB]
        return super().decide(observation)


@dataclass(frozen=True)
class Times:
    """Medians of processor time [s] at a number of chargers; stage III cold builds and loads its model, at noon."""

    chargers: int
    stage_1: float
    stage_3_cold: float
    stage_3_warm: float
    stage_4: float


@dataclass(frozen=True)
class Week:
    """What a run on mosaik is made of: shares of its processor time, and the lowest voltage [pu]."""

    days: float
    run_s: float
    mosaik: float
    power_flow: float
    optimisation: float
    lowest_pu: float


def station(folder: Path, chargers: int = PUBLISHED, days: int = 1, *, feeder: bool = False) -> Scenario:
    """The shipped station with more chargers, everything else in proportion, or for more days.

    Parameters
    ----------
    folder : Path
        Takes the two data files.
    chargers : int
        Their number; sessions come in proportion.
    days : int
        The same day again and again; the last one until 05:00 of the next.
    feeder : bool
        With the network, and plans checked on it.
    """
    data = dict(read_yaml(LIBRARY / "yan2022-4.yaml"))
    size = chargers / PUBLISHED
    _write(folder / "data", chargers, days)
    hub = dict(data["hubs"][HUB])
    hub["grid"] = {name: size * kw for name, kw in hub["grid"].items()}
    hub["pv"] = {**hub["pv"], "rated_kw": size * hub["pv"]["rated_kw"]}
    hub["bess"] = {**hub["bess"], **{item: size * hub["bess"][item] for item in ("rated_kw", "capacity_kwh")}}
    hub["load"] = {name: {**part, "demand": {**part["demand"], "scale": size}} for name, part in hub["load"].items()}
    hub["connectors"] = {**hub["connectors"], "count": chargers}
    hub["forecasts"] = {**hub["forecasts"], "pv": {**hub["forecasts"]["pv"], "scale": size}}
    data |= {"hubs": {HUB: hub}, "duration": f"{24 * days + 5}h"}
    del data["expect"]
    controller = {**data["controller"], "recovery_kw": 20 * size, "cost_bound": 2 * size}
    if feeder:
        controller["period"] = "15min"
    else:
        controller["type"] = f"{__name__}:Watched"
        del data["network"], controller["feeder"]
    return parse({**data, "controller": controller}, folder / "scenario.yaml")


def _write(folder: Path, chargers: int, days: int) -> None:
    """The shipped day and its sessions, again and again."""
    folder.mkdir(parents=True, exist_ok=True)
    day = pd.read_csv(LIBRARY / "data" / "yan2022_day.csv", comment="#")
    rows = np.append(np.tile(np.arange(_STEPS_A_DAY), days), np.arange(_STEPS_A_DAY, len(day)))
    day.iloc[rows].assign(t_s=_DAY_S / _STEPS_A_DAY * np.arange(len(rows))).to_csv(
        folder / "yan2022_day.csv", index=False
    )
    visits = pd.read_csv(LIBRARY / "data" / "yan2022_sessions.csv")
    visits = visits.iloc[np.arange(round(len(visits) * chargers / PUBLISHED)) % len(visits)]
    every = [
        visits.assign(
            id=[f"{k}-{number}" for number in range(len(visits))],
            arrival=visits["arrival"] + k * _DAY_S,
            departure=visits["departure"] + k * _DAY_S,
        )
        for k in range(days)
    ]
    pd.concat(every).sort_values("arrival").to_csv(folder / "yan2022_sessions.csv", index=False)


def stages(chargers: int, rounds: int) -> Times:
    """Run a day, and take the times that the controller tells of itself, as processor time: others may be busy, too."""
    clock = patch("evhub.controllers.ievcs.ievcs_controller.perf_counter", process_time)
    with TemporaryDirectory() as folder, clock:
        loaded = station(Path(folder), chargers)
        path = run_wiring(build(loaded), loaded, Path(folder) / "day.h5", engine="inprocess")
        with open_results(path) as results:
            samples = results.diagnostics()
    name = f"{loaded.scenario.controller[0].type}/{HUB}/"

    def median(stage: int, until_s: float = np.inf) -> float:
        chosen = samples[(samples["name"].str.endswith(f"/{HUB}/stage{stage}_s")) & (samples["t_s"] < until_s)]
        if chosen.empty:
            raise RuntimeError(f"{name}stage{stage}_s was not measured")
        return float(chosen["value"].median())

    return Times(chargers, median(1, _DAY_S), _cold(rounds), median(3), median(4))


def _cold(rounds: int) -> float:
    """Stage III at noon without a loaded model [s]."""
    observation, site = Watched.noon[HUB]
    hub, t_s = observation.hubs[HUB], observation.t_s
    if not isinstance(hub.parameters, Ievcs.Parameters):
        raise TypeError("parameters of ievcs expected")
    found = []
    for _ in range(rounds):
        began = process_time()
        day = Day(site, hub, hub.parameters, t_s, observation.time, _DAY_S, observation.end_s, None, {})
        outcome = day.plan(hub, t_s, t_s, 0.0)
        found.append(process_time() - began)
        day.close()
        if outcome.schedule is None:
            raise RuntimeError(outcome.problem)
    return float(np.median(found))


def week(days: int = 7) -> Week:
    """Run days on mosaik with the feeder; see what the time goes into."""
    planning = Stopwatch()
    with TemporaryDirectory() as folder, patch.object(Ievcs, "_plan", planning.around(Ievcs._plan)):
        apart = profile(station(Path(folder), days=days, feeder=True))
    share = {part.name: part.time.cpu / apart.total.cpu for part in apart.parts}
    return Week(
        days=apart.days,
        run_s=apart.total.cpu,
        mosaik=share["mosaik"],
        power_flow=share["power flow"],
        optimisation=planning.total.cpu / apart.total.cpu,
        lowest_pu=min(float(np.nanmin(flow.hub_v_pu)) for flow in apart.solved),
    )


def measure(tell: Callable[[str], None], *, short: bool) -> dict[str, Any]:
    """Time the stages, and take a week on the feeder apart."""
    found = []
    for chargers in (4,) if short else CHARGERS:
        tell(f"ievcs: {chargers} chargers")
        found.append(asdict(stages(chargers, 1 if short else 3)))
    tell("ievcs: a week on the feeder")
    return {"stages": found, "week": asdict(week(1 if short else 7))}


def show(found: dict[str, Any], console: Console) -> None:
    """Print both tables."""
    table = Table("chargers", "stage I [s]", "III cold [s]", "III warm [s]", "IV [ms]", title="ievcs, medians of a day")
    for row in found["stages"]:
        seconds = (row["stage_1"], row["stage_3_cold"], row["stage_3_warm"])
        table.add_row(str(row["chargers"]), *(f"{value:.3f}" for value in seconds), f"{_MS_PER_S * row['stage_4']:.3f}")
    console.print(table)
    week = found["week"]
    console.print(
        f"{week['days']:.1f} days on the feeder: {week['run_s']:.1f} s; mosaik {week['mosaik']:.1%}, power flow "
        f"{week['power_flow']:.1%}, optimisation {week['optimisation']:.1%}; lowest voltage {week['lowest_pu']:.4f} pu"
    )
