"""The use cases of Hafiz & Ishchenko 2023: bus depots whose schedules respect their network, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...analysis import open_results, steps
from ...analysis.reproduction import Row, at_most, holds, informs
from ...analysis.results import Results
from ...simulators.models.units import KW_PER_MW, S_PER_H
from ..build import build
from ..loader import LIBRARY, parse, shipped
from ..runner import run_wiring
from ..yaml_loader import read_yaml
from . import hafiz2023_figures as figures

TITLE = "Network constraint energy management of bus depots (Hafiz & Ishchenko 2023, US 2023/0182605 A1)"


@dataclass(frozen=True)
class Case:
    """One use case.

    Parameters
    ----------
    name : str
        Shipped scenario, without ``hafiz2023-``.
    without : str
        What it is compared with: ``network`` (no load flow) or ``priorities``.
    band_pu : tuple of float
        Voltage band of its grid code [pu].
    statement : str
        What the patent says of it.
    """

    name: str
    without: str
    band_pu: tuple[float, float]
    statement: str


CASES = (
    Case("pv-overvoltage", "network", (0.88, 1.1), "the cheapest schedule may violate the grid code at noon (par. 71)"),
    Case("ev-undervoltage", "network", (0.88, 1.1), "EV load may violate it as well (par. 5, 71)"),
    Case("two-depots", "network", (0.9, 1.1), "one system manages several depots (par. 75)"),
    Case("purchase-limit", "priorities", (0.88, 1.1), "non-critical buses leave partly charged (par. 72)"),
)


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Parameters
    ----------
    v_min_pu, v_max_pu : float
        Extremes of the whole network [pu].
    check_pu : float
        Largest difference of a bus voltage to a load flow of pandapower's own with the powers that were recorded [pu].
    cost : float
        Net cost of all hubs, in the currency of the tariffs.
    missed_kwh : dict of str to float
        Energy that each bus was not given [kWh].
    iterations : float
        Most dispatches of a window.
    verified : bool
        The load flow of the controller agreed with every schedule.
    """

    v_min_pu: float
    v_max_pu: float
    check_pu: float
    cost: float
    missed_kwh: dict[str, float]
    iterations: float
    verified: bool

    def keeps(self, band_pu: tuple[float, float]) -> bool:
        """Whether no voltage was outside the band."""
        return band_pu[0] <= self.v_min_pu and self.v_max_pu <= band_pu[1]


def reproduce(folder: Path, tell: Callable[[str], None]) -> list[Row]:
    """Run every use case with the whole process, and without the part of it that the case is about.

    Parameters
    ----------
    folder : Path
        Takes the result files and the pictures.
    tell : callable
        Told what is going on.

    Returns
    -------
    list of Row
    """
    rows: list[Row] = []
    for case in CASES:
        tell(case.name)
        paths = {kind: run(case, folder, kind) for kind in ("whole", f"without {case.without}")}
        with open_results(paths["whole"]) as whole, open_results(paths[f"without {case.without}"]) as part:
            rows += judge(case, outcome(whole), outcome(part))
            figures.draw(folder / f"{case.name}.png", whole, part, case.band_pu, f"without {case.without}")
    return rows


def run(case: Case, folder: Path, kind: str = "whole") -> Path:
    """Run a case.

    Parameters
    ----------
    case : Case
        The case.
    folder : Path
        Takes the result file.
    kind : str
        ``whole``, or ``without network`` or ``without priorities``.

    Returns
    -------
    Path
        The result file.
    """
    path = shipped()[f"hafiz2023-{case.name}"]
    data: dict[str, Any] = read_yaml(path)
    if kind == "without network":
        data["controller"].pop("network")
    elif kind == "without priorities":
        data["controller"]["priorities"] = False
    # what a run has to keep is judged here, row by row
    data.pop("expect", None)
    loaded = parse(data, path)
    name = f"{case.name}-{kind.replace(' ', '-')}"
    return run_wiring(build(loaded), loaded, folder / f"{name}.h5", engine="inprocess")


def outcome(results: Results) -> Outcome:
    """Read a run, and solve the network once more with what was executed."""
    table, sessions = results.summary()["total"].to_dict(), results.sessions()
    first = results.hubs[0]
    lowest, highest = (results.arrays(f"network/grid/{item}")[1] for item in ("v_min_pu", "v_max_pu"))
    return Outcome(
        v_min_pu=float(np.nanmin(lowest)),
        v_max_pu=float(np.nanmax(highest)),
        check_pu=independent_check_pu(results),
        cost=float(table["cost_net"]),
        missed_kwh=dict(zip(sessions["id"], sessions["missed_kwh"], strict=True)),
        iterations=float(np.nanmax(results.arrays(f"{first}/controller/iterations")[1])),
        verified=bool(np.nanmin(results.arrays(f"{first}/controller/verified")[1]) == 1.0),
    )


def independent_check_pu(results: Results) -> float:
    """Compare recorded bus voltages with pandapower's own load flow of the recorded powers.

    It is made in every hour, and when a voltage was lowest and highest. Only the network's own loads are not recorded:
    they follow from the power of the superior grid.

    Parameters
    ----------
    results : Results
        A run with the network of the depots.

    Returns
    -------
    float
        Largest difference [pu].
    """
    import pandapower as pp

    net: Any = pp.from_json(str(LIBRARY / "data" / "hafiz2023_depot.json"))
    plants = {hub: pp.create_load(net, int(net.bus.index[net.bus.name == hub][0]), p_mw=0.0) for hub in results.hubs}
    signals = {
        item: results.arrays(f"network/grid/{item}") for item in ("bus_v_pu", "v_min_pu", "v_max_pu", "p_slack_kw")
    }
    times = [signals["v_min_pu"][0][np.nanargmin(signals["v_min_pu"][1])]]
    times += [signals["v_max_pu"][0][np.nanargmax(signals["v_max_pu"][1])]]
    times += list(np.arange(S_PER_H / 2.0, results.end_s, S_PER_H))
    at_s = np.array(sorted(times))
    held = {item: steps.hold(*signal, at_s) for item, signal in signals.items()}
    drawn = {hub: steps.hold(*results.arrays(f"{hub}/grid/p_kw"), at_s) for hub in results.hubs}
    reactive = {hub: steps.hold(*results.arrays(f"{hub}/grid/q_kvar"), at_s) for hub in results.hubs}
    worst = 0.0
    for k in range(len(at_s)):
        for hub, load in plants.items():
            net.load.loc[load, "p_mw"] = drawn[hub][k] / KW_PER_MW
            net.load.loc[load, "q_mvar"] = reactive[hub][k] / KW_PER_MW
        scale = 1.0
        for _ in range(4):
            net.load.loc[0, "scaling"] = scale
            pp.runpp(net, numba=False)
            missing_mw = held["p_slack_kw"][k] / KW_PER_MW - float(net.res_ext_grid.p_mw.sum())
            scale += missing_mw / float(net.load.p_mw[0])
        worst = max(worst, float(np.abs(net.res_bus.vm_pu.to_numpy() - held["bus_v_pu"][k]).max()))
    return worst


def judge(case: Case, whole: Outcome, part: Outcome) -> Iterator[Row]:
    """Set both runs of a case beside what the patent says."""
    name, low, high = case.name, *case.band_pu
    band = f"{low:g} to {high:g} pu"

    def told(found: Outcome) -> str:
        return f"{found.v_min_pu:.4f} to {found.v_max_pu:.4f} pu"

    if case.without == "network":
        broken = not part.keeps(case.band_pu)
        yield holds(name, "without the loop: voltages", f"outside {band}: {case.statement}", told(part), broken)
        yield holds(
            name,
            "every bus leaves charged",
            "yes",
            f"{sum(whole.missed_kwh.values()):.2f} kWh missing",
            sum(whole.missed_kwh.values()) < 0.5,
        )
        yield informs(name, "extra cost of respecting the network", "", "not given", whole.cost - part.cost)
    else:
        critical = [bus for bus in whole.missed_kwh if bus.startswith("line")]
        missed = sum(whole.missed_kwh[bus] for bus in critical)
        others = sum(whole.missed_kwh.values()) - missed
        yield holds(name, "critical buses leave charged", "yes", f"{missed:.2f} kWh missing", missed < 0.5)
        yield holds(name, "buses that are not critical", case.statement, f"{others:.1f} kWh missing", others > 1.0)
        without = sum(part.missed_kwh[bus] for bus in critical)
        yield informs(name, "missing to critical buses without priorities", "kWh", "not given", without)
    yield holds(name, "with the loop: voltages", f"inside {band}", told(whole), whole.keeps(case.band_pu))
    yield holds(name, "load flow agreed with every schedule", "yes", str(whole.verified).lower(), whole.verified)
    yield at_most(name, "difference to pandapower's load flow", "pu", 1e-6, whole.check_pu)
    yield informs(name, "most iterations of a window", "", "not given", whole.iterations)
