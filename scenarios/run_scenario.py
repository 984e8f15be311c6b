"""Runs a scenario into a result file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ..analysis.results.result_layout import RecordedDevice, ResultError, SeriesSpec
from ..analysis.results.result_writer import ResultWriter
from ..simulators.devices import kind_names, kind_of
from .assembly.plant_build import build
from .engines.wiring import Wiring
from .errors import InputError, Problem
from .schema.controller_registry import ControllerChoice
from .schema.foresight import foresight
from .schema.own_key_figures import own_key_figures
from .schema.scenario_loader import Scenario, Target, load_scenario

if TYPE_CHECKING:
    from ..analysis import Results
    from ..analysis.results.result_tape import ResultTape

_VERSIONS = ("evhub", "mosaik", "simpy", "pandapower", "numpy", "pvlib", "h5py")


@overload
def run(
    target: Target,
    output: str | Path,
    *,
    controller: ControllerChoice | None = None,
    seed: int | None = None,
    engine: str = "mosaik",
    real_time_factor: float | None = None,
    force: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Path: ...


@overload
def run(
    target: Target,
    output: None = None,
    *,
    controller: ControllerChoice | None = None,
    seed: int | None = None,
    engine: str = "inprocess",
    real_time_factor: float | None = None,
    series: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Results: ...


def run(
    target: Target,
    output: str | Path | None = None,
    *,
    controller: ControllerChoice | None = None,
    seed: int | None = None,
    engine: str | None = None,
    real_time_factor: float | None = None,
    force: bool = False,
    series: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Path | Results:
    """Run a scenario from its start to its end, into a result file or in memory.

    Parameters
    ----------
    target : str, Path, mapping or Scenario
        Name of a shipped scenario, a scenario file, its content as a mapping, or a scenario made in Python.
    output : str or Path, optional
        The result file; in memory when left out.
    controller : str, type of Controller or object with ``decide``, optional
        Another controller than the scenario's: its name, a class of your own, or an object that decides.
    seed : int, optional
        Another seed than the scenario's.
    engine : {"mosaik", "inprocess"}
        What steps the simulators; both give the same datasets, the second one faster. mosaik for a file, in process
        for a run in memory when left out.
    real_time_factor : float, optional
        Seconds that a simulated second takes at least, on mosaik only; as fast as possible when left out.
    force : bool
        Replace an existing result file; only with `output`.
    series : bool
        Keep everything of a run in memory, and not the key figures only; not with `output`, a file has everything.
    progress : callable, optional
        Called with the simulated time [s] as the run goes on.

    Returns
    -------
    Path or Results
        The result file, which `evhub.open_results` reads; the results themselves when no file was named.

    Raises
    ------
    InputError
        When the scenario, a file it names, or the output cannot be used; nothing is written then.
    ValueError
        `force` without, or `series` with an output.
    """
    if force and output is None:
        raise ValueError("force must be False without output: there is no file to replace")
    if series and output is not None:
        raise ValueError("series must be False with output: the file has every series")
    loaded = load_scenario(target).with_changes(controller=controller, seed=seed)
    if output is None:
        engine = engine or "inprocess"
        engine_of(engine, real_time_factor)
        results = _run_in_memory(build(loaded), loaded, progress, engine, real_time_factor)
        return results if series else results.keep_figures()
    engine = engine or "mosaik"
    path = Path(output)
    check_output(path, force, keep=loaded.path)
    engine_of(engine, real_time_factor)
    return run_wiring(build(loaded), loaded, path, progress, engine, real_time_factor)


def _run_in_memory(
    wiring: Wiring,
    loaded: Scenario,
    progress: Callable[[float], None] | None,
    engine: str,
    real_time_factor: float | None,
) -> Results:
    tape = new_tape(wiring, loaded)
    with tape:
        engine_of(engine, real_time_factor)(wiring, writer=tape, progress=progress, diagnose=tape.diagnostic)
    return complete_tape(tape, loaded)


def complete_tape(tape: ResultTape, loaded: Scenario) -> Results:
    """Close the recording of a run that is over, and return its results."""
    from ..analysis.results.own_figures import own_figures_of

    tape.close("complete")
    results = opened_tape(tape)
    figures = own_key_figures(loaded.scenario.key_figures, loaded.folder, loaded.where)
    tape.own_figures = own_figures_of(results, figures)
    return results


def opened_tape(tape: ResultTape, until_s: float | None = None) -> Results:
    """Return the results on a tape; see `TapeReader`."""
    from ..analysis import Results
    from ..analysis.results.result_tape import TapeReader

    return Results(TapeReader(tape, until_s))


def new_tape(wiring: Wiring, loaded: Scenario, outside: Collection[str] = ()) -> ResultTape:
    """Return a recording in memory of a run that is about to begin."""
    from ..analysis.results.result_tape import ResultTape

    described = _attributes(loaded, outside, loaded.text)
    tape = ResultTape(described, _specs(wiring), wiring.sessions, devices=_recorded_devices(wiring))
    for source, text in wiring.notes:
        tape.event(0.0, source, "note", text)
    return tape


def run_wiring(
    wiring: Wiring,
    loaded: Scenario,
    path: Path,
    progress: Callable[[float], None] | None = None,
    engine: str = "mosaik",
    real_time_factor: float | None = None,
) -> Path:
    """Run a wiring that is built already; the status in the result file says how it ended."""
    step_through = engine_of(engine, real_time_factor)
    devices = _recorded_devices(wiring)
    try:
        writer = ResultWriter(path, attributes(loaded), _specs(wiring), wiring.sessions, devices=devices)
    except ResultError as error:
        raise InputError(Problem("", "output", ..., str(error))) from error
    with writer:
        for source, text in wiring.notes:
            writer.event(0.0, source, "note", text)
        try:
            step_through(wiring, writer=writer, progress=progress, diagnose=writer.diagnostic)
        except KeyboardInterrupt as stop:
            stop.args = (f"{path} holds what was simulated so far, with the status failed",)
            raise
    if figures := own_key_figures(loaded.scenario.key_figures, loaded.folder, loaded.where):
        # reading needs pandas, which a run does without
        from ..analysis import open_results
        from ..analysis.results.own_figures import own_figures_of
        from ..analysis.results.result_writer import append_own_figures

        with open_results(path) as results:
            stored = own_figures_of(results, figures)
        append_own_figures(path, stored)
    return path


def _specs(wiring: Wiring) -> list[SeriesSpec]:
    return [
        SeriesSpec(
            signal.path,
            signal.port.unit,
            signal.port.description,
            signal.width,
            "i4" if signal.port.codes or signal.attribute in ("session", "queue") else "f8",
            signal.port.codes,
        )
        for signal in wiring.signals
    ]


def _recorded_devices(wiring: Wiring) -> dict[str, RecordedDevice]:
    """Return what the devices of a plant are, by ``hub/device``, with the totals of those that have names."""
    found = {}
    for hub in wiring.hubs:
        found[f"{hub}/grid"] = RecordedDevice("grid", 1)
        found[f"{hub}/secondary"] = RecordedDevice("secondary", kind_of("secondary").sign)
    names: dict[tuple[str, str], list[str]] = {}
    for entity in wiring.entities:
        if entity.sid in kind_names():
            found[f"{entity.hub}/{entity.name}"] = RecordedDevice(entity.sid, kind_of(entity.sid).sign)
            names.setdefault((entity.hub, entity.sid), []).append(entity.name)
    for (hub, kind), of in names.items():
        if of != [kind]:
            found[f"{hub}/{kind}"] = RecordedDevice(kind, kind_of(kind).sign, tuple(of))
    return found


def engine_of(name: str, real_time_factor: float | None) -> Callable[..., None]:
    """Return an engine by name; mosaik is imported only where it is used."""
    if real_time_factor is not None and not 0.0 < real_time_factor < math.inf:
        raise InputError(Problem("", "real_time_factor", real_time_factor, "must be > 0"))
    if name == "inprocess":
        if real_time_factor is not None:
            allowed = "must be left out with the engine inprocess, which runs as fast as it can; use mosaik"
            raise InputError(Problem("", "real_time_factor", real_time_factor, allowed))
        from .engines.inprocess_engine import run_inprocess

        return run_inprocess
    if name == "mosaik":
        from .engines.mosaik_engine import run_mosaik

        return partial(run_mosaik, real_time_factor=real_time_factor)
    raise InputError([Problem("", "engine", name, "must be mosaik or inprocess")])


def check_output(path: Path, force: bool, keep: Path | None = None) -> None:
    """Refuse a target that exists, would replace its own input, or cannot be written, before anything is computed.

    Raises
    ------
    InputError
        Naming the target.
    """
    try:
        allowed = _refusal(path, force, keep)
    except OSError as error:
        allowed = f"must be the path of a file ({error.strerror})"
    if allowed:
        raise InputError(Problem("", "output", str(path), allowed))


def _refusal(path: Path, force: bool, keep: Path | None) -> str:
    if path.is_dir():
        return "must be a file, not a folder"
    if keep is not None and path.exists() and path.samefile(keep):
        return "must be another file than the input"
    if path.exists() and not force:
        return "must not exist yet; --force replaces it"
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return f"must be in a folder that can be written; {folder} is not"
    return ""


def attributes(loaded: Scenario, outside: Collection[str] = ()) -> dict:
    """Return the attributes of the result file that describe its run."""
    return _attributes(loaded, outside, loaded.text())


def _attributes(loaded: Scenario, outside: Collection[str], text: str | Callable[[], str]) -> dict:
    scenario = loaded.scenario
    return {
        "name": scenario.name,
        "title": scenario.title,
        "scenario": text,
        "versions": versions(),
        "seed": scenario.seed,
        "start": scenario.start.isoformat(),
        "time_zone": scenario.time_zone or "",
        "duration_s": scenario.duration,
        "time_step_s": scenario.time_step,
        "controller": ", ".join(spec.type for spec in scenario.controller),
        "hubs": list(scenario.hubs),
        "foresight": foresight(loaded, outside),
    }


@cache
def versions() -> str:
    """Return the versions of evhub and the packages it computes with, as JSON."""
    return json.dumps({package: _version(package) for package in _VERSIONS})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
