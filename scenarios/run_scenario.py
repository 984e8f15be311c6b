"""Runs a scenario into a result file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from ..analysis.results.result_layout import RecordedDevice, ResultError, SeriesSpec
from ..analysis.results.result_writer import ResultWriter
from ..simulators.devices import kind_names, kind_of
from .assembly.plant_build import build
from .engines.wiring import Wiring
from .errors import InputError, Problem
from .schema.foresight import foresight
from .schema.own_key_figures import own_key_figures
from .schema.scenario_loader import LoadedScenario, load_scenario

_VERSIONS = ("evhub", "mosaik", "simpy", "pandapower", "numpy", "pvlib", "h5py")


def run(
    target: str | Path | LoadedScenario,
    output: str | Path | None = None,
    *,
    controller: str | None = None,
    seed: int | None = None,
    engine: str = "mosaik",
    real_time_factor: float | None = None,
    force: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Run a scenario from its start to its end.

    Parameters
    ----------
    target : str, Path or LoadedScenario
        Name of a shipped scenario, a scenario file, or what `load_scenario` returned.
    output : str or Path, optional
        The result file; ``NAME.h5`` in the working directory when left out.
    controller : str, optional
        Another controller than the scenario's.
    seed : int, optional
        Another seed than the scenario's.
    engine : {"mosaik", "inprocess"}
        What steps the simulators; both give the same datasets, the second one faster.
    real_time_factor : float, optional
        Seconds that a simulated second takes at least, on mosaik only; as fast as possible when left out.
    force : bool
        Replace an existing result.
    progress : callable, optional
        Called with the simulated time [s] as the run goes on.

    Returns
    -------
    Path
        The result file; `evhub.analysis.open_results` reads it.

    Raises
    ------
    InputError
        When the scenario, a file it names, or the output cannot be used; nothing is written then.
    """
    loaded = target if isinstance(target, LoadedScenario) else load_scenario(target)
    loaded = loaded.with_changes(controller=controller, seed=seed)
    path = Path(output) if output is not None else Path(f"{loaded.scenario.name}.h5")
    check_output(path, force, keep=loaded.path)
    _engine(engine, real_time_factor)
    return run_wiring(build(loaded), loaded, path, progress, engine, real_time_factor)


def run_wiring(
    wiring: Wiring,
    loaded: LoadedScenario,
    path: Path,
    progress: Callable[[float], None] | None = None,
    engine: str = "mosaik",
    real_time_factor: float | None = None,
) -> Path:
    """Run a wiring that is built already; the status in the result file says how it ended."""
    step_through = _engine(engine, real_time_factor)
    specs = [
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
    try:
        writer = ResultWriter(path, attributes(loaded), specs, wiring.sessions, devices=_recorded_devices(wiring))
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
    return path


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


def _engine(name: str, real_time_factor: float | None) -> Callable[..., None]:
    """An engine by name; mosaik is imported only where it is used."""
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


def attributes(loaded: LoadedScenario) -> dict:
    """Return the attributes of the result file that describe its run."""
    scenario = loaded.scenario
    return {
        "name": scenario.name,
        "title": scenario.title,
        "scenario": yaml.safe_dump(_plain(scenario.model_dump(mode="json")), sort_keys=False, allow_unicode=True),
        "versions": versions(),
        "seed": scenario.seed,
        "start": scenario.start.isoformat(),
        "time_zone": scenario.time_zone or "",
        "duration_s": scenario.duration,
        "time_step_s": scenario.time_step,
        "controller": ", ".join(spec.type for spec in scenario.controller),
        "hubs": list(scenario.hubs),
        "foresight": foresight(loaded),
        "key_figures": own_key_figures(scenario.key_figures, loaded.folder, str(loaded.path)),
    }


def versions() -> str:
    """Return the versions of evhub and the packages it computes with, as JSON."""
    return json.dumps({package: _version(package) for package in _VERSIONS})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _plain(value):
    """Without what was left out, so that the resolved text stays readable."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
