"""The use cases of Hafiz & Ishchenko 2023: bus depots whose schedules respect their network, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .....analysis import open_results
from .....analysis.kpis import step_signals
from .....analysis.results.result_reader import Results
from .....simulators.units import KW_PER_MW
from ....schema.scenario_loader import LIBRARY
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds, informs, not_above
from ..scenario_variants import run_variant
from . import hafiz2023_figures

TITLE = "Network constraint energy management of bus depots (Hafiz & Ishchenko 2023, US 2023/0182605 A1)"


@dataclass(frozen=True)
class HafizCase:
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
    HafizCase(
        "pv-overvoltage", "network", (0.88, 1.1), "the cheapest schedule may violate the grid code at noon (par. 71)"
    ),
    HafizCase("ev-undervoltage", "network", (0.88, 1.1), "EV load may violate it as well (par. 5, 71)"),
    HafizCase("two-depots", "network", (0.9, 1.1), "one system manages several depots (par. 75)"),
    HafizCase("purchase-limit", "priorities", (0.88, 1.1), "non-critical buses leave partly charged (par. 72)"),
)


@dataclass(frozen=True)
class Check:
    """A load flow of what was executed, by pandapower itself, in every step of the day.

    Parameters
    ----------
    count : int
        Load flows: one whenever a recorded power changed.
    v_min_pu, v_max_pu : float
        Extremes of all buses [pu].
    loading_percent : float
        Highest current of a line or transformer over its rating [%].
    difference_pu : float
        Largest difference to a recorded bus voltage [pu].
    """

    count: int
    v_min_pu: float
    v_max_pu: float
    loading_percent: float
    difference_pu: float


@dataclass(frozen=True)
class HafizResult:
    """The results of a run that are set beside the patent.

    Parameters
    ----------
    v_min_pu, v_max_pu : float
        Extremes of the whole network [pu].
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
    cost: float
    missed_kwh: dict[str, float]
    iterations: float
    verified: bool


def reproduce(folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE) -> list[PublishedRow]:
    """Run every use case with the whole process, and without the part of it that the case is about.

    Parameters
    ----------
    folder : Path
        Takes the result files and the pictures.
    tell : callable
        Receives what is going on.
    pool : WorkerPool
        Where the runs are made; in this process when left out.

    Returns
    -------
    list of PublishedRow
    """
    rows: list[PublishedRow] = []
    jobs = [(case, folder, kind) for case in CASES for kind in ("whole", f"without {case.without}")]
    names = [f"{case.name}, {kind}" for case, _, kind in jobs]
    paths = pool.results(_run, jobs, names, lambda done: tell(f"{done} of {len(jobs)} runs"))
    for case, whole_path, part_path in zip(CASES, paths[::2], paths[1::2], strict=True):
        tell(case.name)
        with open_results(whole_path) as whole, open_results(part_path) as part:
            rows += judge(case, outcome(whole), outcome(part), load_flows(whole))
            hafiz2023_figures.draw(folder / f"{case.name}.png", whole, part, case.band_pu, f"without {case.without}")
    return rows


def run(case: HafizCase, folder: Path, kind: str = "whole") -> Path:
    """Run a case.

    Parameters
    ----------
    case : HafizCase
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

    def change(data: dict[str, Any]) -> None:
        if kind == "without network":
            data["controller"].pop("network")
        elif kind == "without priorities":
            data["controller"]["priorities"] = False

    return run_variant(f"hafiz2023-{case.name}", folder, f"{case.name}-{kind.replace(' ', '-')}", change)


def _run(job: tuple[HafizCase, Path, str]) -> Path:
    return run(*job)


def outcome(results: Results) -> HafizResult:
    """Read a run."""
    table, sessions = results.summary()["total"].to_dict(), results.sessions()
    first = results.hubs[0]
    lowest, highest = (results.arrays(f"network/grid/{item}")[1] for item in ("v_min_pu", "v_max_pu"))
    return HafizResult(
        v_min_pu=float(np.nanmin(lowest)),
        v_max_pu=float(np.nanmax(highest)),
        cost=float(table["cost_net"]),
        missed_kwh=dict(zip(sessions["id"], sessions["missed_kwh"], strict=True)),
        iterations=float(np.nanmax(results.arrays(f"{first}/controller/iterations")[1])),
        verified=bool(np.nanmin(results.arrays(f"{first}/controller/verified")[1]) == 1.0),
    )


def load_flows(results: Results) -> Check:
    """Solve the network once more with what was executed, whenever anything changed.

    Only the network's own loads are not recorded: they follow from the power of the superior grid.

    Parameters
    ----------
    results : Results
        A run with the network of the depots.

    Returns
    -------
    Check
    """
    import pandapower as pp

    net: Any = pp.from_json(str(LIBRARY / "data" / "hafiz2023_depot.json"))
    plants = [pp.create_load(net, int(net.bus.index[net.bus.name == hub][0]), p_mw=0.0) for hub in results.hubs]
    paths = ["network/grid/bus_v_pu", "network/grid/p_slack_kw"]
    paths += [f"{hub}/grid/{item}" for item in ("p_kw", "q_kvar") for hub in results.hubs]
    signals = [results.arrays(path) for path in paths]
    at_s = np.unique(np.concatenate([t_s for t_s, _ in signals]))
    bus_v_pu, slack_kw, *powers_kw = (step_signals.hold(*signal, at_s) for signal in signals)
    drawn_mw = np.array(powers_kw).T.reshape(len(at_s), 2, -1) / KW_PER_MW
    v_pu, loading, scale = [], [], 1.0
    for (p_mw, q_mvar), slack_mw in zip(drawn_mw, slack_kw / KW_PER_MW, strict=True):
        net.load.loc[plants, "p_mw"], net.load.loc[plants, "q_mvar"] = p_mw, q_mvar
        missing_mw = np.inf
        while abs(missing_mw) > 1e-8:
            net.load.loc[0, "scaling"] = scale
            pp.runpp(net, numba=False)
            missing_mw = slack_mw - float(net.res_ext_grid.p_mw.sum())
            scale += missing_mw / float(net.load.p_mw[0])
        v_pu.append(net.res_bus.vm_pu.to_numpy())
        loading.append(max(net.res_line.loading_percent.max(), net.res_trafo.loading_percent.max()))
    voltages_pu, difference_pu = np.array(v_pu), np.abs(np.array(v_pu) - bus_v_pu).max()
    return Check(
        len(at_s), float(voltages_pu.min()), float(voltages_pu.max()), float(max(loading)), float(difference_pu)
    )


def judge(case: HafizCase, whole: HafizResult, part: HafizResult, check: Check) -> Iterator[PublishedRow]:
    """Compare both runs of a case with the statements of the patent."""
    name, (low, high) = case.name, case.band_pu
    band = f"{low:g} to {high:g} pu"

    def voltages(result: HafizResult | Check) -> str:
        return f"{result.v_min_pu:.4f} to {result.v_max_pu:.4f} pu"

    def keeps(result: HafizResult | Check) -> bool:
        return low <= result.v_min_pu and result.v_max_pu <= high

    if case.without == "network":
        broken = not keeps(part)
        yield holds(name, "without the loop: voltages", f"outside {band}: {case.statement}", voltages(part), broken)
        missed = sum(whole.missed_kwh.values())
        yield holds(name, "every bus leaves charged", "yes", f"{missed:.2f} kWh missing", missed < 0.5)
        yield informs(name, "extra cost of respecting the network", "EUR", "not given", whole.cost - part.cost)
    else:
        critical = [bus for bus in whole.missed_kwh if bus.startswith("line")]
        missed = sum(whole.missed_kwh[bus] for bus in critical)
        others = sum(whole.missed_kwh.values()) - missed
        yield holds(name, "critical buses leave charged", "yes", f"{missed:.2f} kWh missing", missed < 0.5)
        yield holds(name, "buses that are not critical", case.statement, f"{others:.1f} kWh missing", others > 1.0)
        without = sum(part.missed_kwh[bus] for bus in critical)
        yield informs(name, "missing to critical buses without priorities", "kWh", "not given", without)
        yield informs(name, "extra cost of putting them first", "EUR", "not given", whole.cost - part.cost)
    yield holds(name, "with the loop: voltages", f"inside {band}", voltages(whole), keeps(whole))
    yield holds(name, f"by {check.count} load flows of pandapower", f"inside {band}", voltages(check), keeps(check))
    yield not_above(name, "their highest loading of a line or transformer", "%", 100.0, check.loading_percent)
    yield not_above(name, "their difference to the recorded voltages", "pu", 1e-6, check.difference_pu)
    yield holds(name, "load flow agreed with every schedule", "yes", str(whole.verified).lower(), whole.verified)
    yield informs(name, "most iterations of a window", "", "not given", whole.iterations)
