"""Makes the runs of a study on a pool of workers; a journal has what is finished, so that the same call goes on."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import InputError, Problem
from ..journal import Journal
from ..workers.sent_scenario import serve
from ..workers.whole_results import run_whole, without_parts
from ..workers.worker_pool import DIED, HERE, ClusterLostError, WorkerDiedError, WorkerPool
from .study_file import seconds_of
from .variant_plan import PlannedRun

if TYPE_CHECKING:
    from ...engines.wiring import Wiring

JOURNAL = "journal.jsonl"
"""Name of the journal in the folder of a study."""
ENTRY = ("status", "error", "wall_s", "kpis")
"""What every entry of the journal has."""
Progress = Callable[[int, int, int], None]
"""Called with how many runs are done, how many there are, and how many have failed."""


def make_runs(
    runs: Sequence[PlannedRun],
    journal: Journal,
    pool: WorkerPool = HERE,
    *,
    files: Mapping[str, Path] | None = None,
    engine: str = "inprocess",
    retry: bool = False,
    progress: Progress | None = None,
) -> int:
    """Make those runs of a study that the journal does not have, and write them to it.

    Parameters
    ----------
    runs : sequence of PlannedRun
        The runs; those with the same key are made once.
    journal : Journal
        What is finished.
    pool : WorkerPool
        Where the runs are made; in this process when left out.
    files : mapping of str to Path, optional
        Where the result of each run is kept, by its key. A run whose file is not as it was written is made again.
        Results are thrown away when left out.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    retry : bool
        Make those again that have failed.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    int
        How many were made.

    Raises
    ------
    InputError
        With everything that a run cannot be built for, before the first one.
    ClusterLostError
        When the scheduler of a cluster goes away; the journal has what was finished.
    KeyboardInterrupt
        With what is left as its argument.
    """
    left = {run.key: run for run in runs if not _is_finished(run.key, journal, files, retry)}
    if left:
        check_builds(runs, left)
        _make(list(left.values()), journal, pool, files or {}, engine, progress)
    return len(left)


def _is_finished(key: str, journal: Journal, files: Mapping[str, Path] | None, retry: bool) -> bool:
    entry = journal.finished.get(key)
    if entry is None:
        return False
    if entry["status"] == "failed":
        return not retry
    return files is None or (files[key].is_file() and _digest(files[key]) == entry.get("sha256"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(
    runs: Sequence[PlannedRun],
    journal: Journal,
    pool: WorkerPool,
    files: Mapping[str, Path],
    engine: str,
    progress: Progress | None,
) -> None:
    call = uuid4().hex
    orders = [RunOrder(run, call, str(files[run.key].resolve()) if files else None, engine) for run in runs]
    done = failed = 0
    try:
        if progress is not None:
            progress(0, len(runs), 0)
        for order in orders:
            if order.keep is not None:
                Path(order.keep).parent.mkdir(parents=True, exist_ok=True)
                Path(order.keep).unlink(missing_ok=True)  # no earlier result is taken for one of these
        with without_parts(Path(order.keep) for order in orders if order.keep):
            for number, outcome in pool.outcomes(make_run, orders, [run.name for run in runs]):
                run = runs[number]
                entry = _failure(outcome) if isinstance(outcome, BaseException) else outcome
                journal.write(run.key, {**_about(run), **entry})
                done, failed = done + 1, failed + (entry["status"] == "failed")
                if progress is not None:
                    progress(done, len(runs), failed)
    except KeyboardInterrupt as stop:
        stop.args = (f"{done} of {len(runs)} runs are finished; the same command goes on",)
        raise
    except ClusterLostError as error:
        message = f"{error}; {done} of {len(runs)} runs are finished; the same command goes on"
        raise ClusterLostError(message) from None


def _about(run: PlannedRun) -> dict[str, Any]:
    variant = run.variant
    return {
        "scenario": variant.scenario,
        "fields": variant.fields,
        "controller": variant.controller,
        "seed": run.seed,
    }


# --- on a worker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunOrder:
    """A run for a worker.

    Parameters
    ----------
    run : PlannedRun
        The run.
    call : str
        Differs from any other call.
    keep : str or None
        Where the result file is kept.
    engine : {"inprocess", "mosaik"}
        What steps the simulators.
    """

    run: PlannedRun
    call: str
    keep: str | None
    engine: str = "inprocess"


def make_run(order: RunOrder) -> dict[str, Any]:
    """Make one run of a study and return its key figures, or why it failed.

    Parameters
    ----------
    order : RunOrder
        The run.

    Returns
    -------
    dict
        status (ok or failed), error, kpis: [value, unit] by name, a hub's as HUB.NAME where there are several; drew:
        whether a controller used its random numbers; sha256 of the file if it is kept; and wall_s.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        try:
            entry = _made(order, Path(order.keep or f"{folder}/{order.run.key}.h5"))
        except (Exception, SystemExit) as error:  # a user's own controller may fail in any way
            entry = _failure(error)
    return entry | {"wall_s": round(time.perf_counter() - began, 3)}


def _made(order: RunOrder, path: Path) -> dict[str, Any]:
    from ....analysis import ResultError, open_results
    from ....analysis.results.summary_table import summary
    from ...assembly.plant_build import build

    loaded = order.run.loaded
    serve(order.call, str(loaded.folder.resolve()))
    wiring = build(loaded)
    run_whole(wiring, loaded, path, engine=order.engine)
    with open_results(path) as results:
        if results.status != "complete":
            raise ResultError(results.note)
        table = summary(results)
    hubs = [column for column in table.columns if column not in ("group", "quantity", "unit")]
    kpis = {}
    for hub in ["total", *(hubs[:-1] if len(hubs) > 2 else [])]:
        for name, value, unit in zip(table.index, table[hub].tolist(), table["unit"], strict=True):
            kpis[name if hub == "total" else f"{hub}.{name}"] = (None if value != value else value, unit)
    entry = {"status": "ok", "error": "", "kpis": kpis, "drew": _drew(wiring)}
    return entry if order.keep is None else entry | {"sha256": _digest(path)}


def _drew(wiring: Wiring) -> bool:
    """Whether any controller has used its random numbers."""
    for spec in wiring.simulators:
        for planned in spec.settings.get("controllers", ()):
            used = planned.controller.rng.bit_generator
            if used.seed_seq.n_children_spawned or used.state != type(used)(used.seed_seq).state:
                return True
    return False


def _failure(error: BaseException) -> dict[str, Any]:
    return {"status": "failed", "error": _message(error), "wall_s": None, "kpis": {}}


def _message(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, WorkerDiedError):
        return DIED
    if isinstance(error, InputError):
        return "; ".join(str(problem) for problem in error.problems)
    return " ".join(f"{type(error).__name__}: {error}".split())


# --- before the first run ---------------------------------------------------------------------------------------------


def check_builds(runs: Sequence[PlannedRun], left: Mapping[str, PlannedRun]) -> None:
    """Build runs until every scenario, controller and value of a field was in one; all problems are told at once.

    Of a field with a range these are the lowest and the highest that were drawn. What ran already needs no build.

    Raises
    ------
    InputError
        With everything that cannot be built.
    """
    from ...assembly.plant_build import build

    fields = list(runs[0].variant.fields)
    extremes = {field: _extremes([run.variant.fields[field] for run in runs]) for field in fields}
    parts = {
        run.key: {
            json.dumps([run.variant.scenario, *part], default=str)
            for part in (("", run.variant.controller), *run.variant.fields.items())
            if not part[0] or part[1] in extremes[part[0]]
        }
        for run in runs
    }
    unseen = set().union(*parts.values()).difference(*(parts[run.key] for run in runs if run.key not in left))
    problems: dict[str, Problem] = {}
    # the runs with most unseen parts first: few builds are enough
    for wanted in range(len(extremes) + 1, 0, -1):
        for run in left.values():
            if len(unseen & parts[run.key]) < wanted:
                continue
            unseen -= parts[run.key]
            try:
                build(run.loaded)
            except InputError as error:
                for problem in error.problems:
                    problems.setdefault(problem.key, problem)
    if problems:
        raise InputError(problems.values())


def _extremes(values: list[Any]) -> list[Any]:
    """Of more than twenty numbers or durations the lowest and the highest, else all of them."""
    distinct = list({json.dumps(value): value for value in values}.values())
    sizes = [seconds_of(value) if isinstance(value, str) else value for value in distinct]
    if len(distinct) <= 20 or not all(isinstance(size, int | float) for size in sizes):
        return distinct
    ordered = sorted(zip(sizes, range(len(sizes)), strict=True))
    return [distinct[ordered[0][1]], distinct[ordered[-1][1]]]
