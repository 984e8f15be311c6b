"""Makes the runs of a study, on several processes or machines, and collects them in one table."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import NOTHING, InputError, Problem
from ...schema.scenario_loader import LIBRARY
from ..journal import Journal
from ..workers.sent_scenario import serve
from ..workers.whole_results import run_whole, without_parts
from ..workers.worker_pool import DIED, HERE, ClusterLostError, WorkerDiedError, WorkerPool
from .run_plan import PlannedRun, plan
from .sweep_study import SweepStudy, read_study, seconds_of

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = LIBRARY / "sweeps"
"""The studies that come with evhub."""
EXTRA = ("pyarrow",)
JOURNAL = "journal.jsonl"
_ENTRY = ("status", "error", "wall_s", "kpis")
_MAIN_KPIS = ("cost_net", "import_kwh", "peak_demand_kw", "delivered_kwh", "missed_kwh", "unserved_kwh")


@dataclass(frozen=True)
class Swept:
    """The result of a sweep.

    Parameters
    ----------
    table : DataFrame
        A row for each run of the study, in its order; see `table_of`.
    overview : list of dict
        Mean and extremes of the main key figures, by controller.
    ran : int
        How many of them this call has run.
    path : Path
        The table; a CSV of the same is beside it.
    """

    table: pd.DataFrame
    overview: list[dict[str, Any]]
    ran: int
    path: Path

    @property
    def failed(self) -> int:
        """How many runs have failed."""
        return int((self.table["status"] == "failed").sum())

    def failures(self) -> list[dict[str, Any]]:
        """Return every error once: in how many runs it occurs, and in which first."""
        rows = self.table[self.table["status"] == "failed"].groupby("error", sort=False)["run"].agg(["size", "min"])
        return [{"error": error, "runs": row["size"], "first run": row["min"]} for error, row in rows.iterrows()]


def located(study: Path) -> Path:
    """Find the file of a study: the named file, or the shipped study of this name."""
    return SHIPPED / f"{study}.yaml" if (SHIPPED / f"{study}.yaml").is_file() else study


def sweep(
    path: Path,
    output: Path,
    pool: WorkerPool = HERE,
    *,
    keep: Path | None = None,
    retry: bool = False,
    progress: Callable[[int, int, int], None] | None = None,
) -> Swept:
    """Run a study; runs that are finished already are not repeated.

    Parameters
    ----------
    path : Path
        The study file.
    output : Path
        Folder of the journal and the table; the one of an earlier call goes on from there.
    pool : WorkerPool
        Where the runs are made; in this process when left out.
    keep : Path, optional
        Folder for the result files, KEY.h5; they are thrown away when left out.
    retry : bool
        Run again what has failed.
    progress : callable, optional
        Called with how many runs are done, how many there are, and how many have failed.

    Returns
    -------
    Swept

    Raises
    ------
    InputError
        With everything that is wrong with the study, before anything runs.
    ClusterLostError
        When the scheduler of a cluster goes away; the journal has what was finished.
    KeyboardInterrupt
        With what is left as its argument.
    """
    _check_extra()
    study = read_study(path)
    runs = plan(study, path)
    if keep is not None:
        _make(keep)
    _check_folder(output)
    with Journal(output / JOURNAL, _ENTRY) as journal:
        again = {key for key, entry in journal.finished.items() if entry["status"] == "failed"} if retry else set()
        left = {run.key: run for run in runs if run.key not in journal.finished or run.key in again}
        if left:
            _check_builds(runs, left)
            _run_all(left, journal, pool, keep, progress)
        entries = [journal.finished[run.key] for run in runs]
    table = table_of(study, runs, entries)
    return Swept(table, _overview(study, table), len(left), _write(table, output))


def _check_extra() -> None:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        allowed = f"needs {' and '.join(missing)}, which comes with the extra 'sweep': pip install evhub[sweep]"
        raise InputError(Problem("", "sweep", NOTHING, allowed))


def _make(keep: Path) -> None:
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"must be a folder that can be written ({error.strerror})"
        raise InputError(Problem("", "--keep", str(keep), allowed)) from None


def _check_folder(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()) and not (output / JOURNAL).exists():
        raise InputError(Problem("", "output", str(output), "must be new, empty, or the folder of a sweep"))


def _run_all(
    left: dict[str, PlannedRun],
    journal: Journal,
    pool: WorkerPool,
    keep: Path | None,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    runs, call = list(left.values()), uuid4().hex
    orders = [RunOrder(run, call, None if keep is None else str(keep.resolve() / f"{run.key}.h5")) for run in runs]
    done = failed = 0
    try:
        if progress is not None:
            progress(0, len(runs), 0)
        with without_parts(Path(order.keep) for order in orders if order.keep):
            for number, outcome in pool.outcomes(make_run, orders, [f"run {run.number}" for run in runs]):
                run = runs[number]
                entry = _failure(outcome) if isinstance(outcome, BaseException) else outcome
                about = {"fields": run.fields, "controller": run.controller, "seed": run.seed}
                journal.write(run.key, {**about, **entry})
                done, failed = done + 1, failed + (entry["status"] == "failed")
                if progress is not None:
                    progress(done, len(runs), failed)
    except KeyboardInterrupt as stop:
        stop.args = (f"{done} of {len(runs)} runs are finished; the same command goes on",)
        raise
    except ClusterLostError as error:
        message = f"{error}; {done} of {len(runs)} runs are finished; the same command goes on"
        raise ClusterLostError(message) from None


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
    """

    run: PlannedRun
    call: str
    keep: str | None


def make_run(order: RunOrder) -> dict[str, Any]:
    """Run one point of a study and return its key figures, or why it failed.

    Parameters
    ----------
    order : RunOrder
        The run.

    Returns
    -------
    dict
        status (ok or failed), error, wall_s, and kpis: [value, unit] by name; a hub's as HUB.NAME where there are
        several.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        try:
            kpis = _key_figures(order, Path(order.keep or f"{folder}/{order.run.key}.h5"))
        except (Exception, SystemExit) as error:  # a user's own controller may fail in any way
            entry = _failure(error)
        else:
            entry = {"status": "ok", "error": "", "kpis": kpis}
    return entry | {"wall_s": round(time.perf_counter() - began, 3)}


def _key_figures(order: RunOrder, path: Path) -> dict[str, tuple[float | None, str]]:
    from ....analysis import ResultError, open_results
    from ....analysis.results.summary_table import summary
    from ...assembly.plant_build import build

    loaded = order.run.loaded
    serve(order.call, str(loaded.folder.resolve()))
    run_whole(build(loaded), loaded, path)
    with open_results(path) as results:
        if results.status != "complete":
            raise ResultError(results.note)
        table = summary(results)
    hubs = [column for column in table.columns if column not in ("group", "quantity", "unit")]
    kpis = {}
    for hub in ["total", *(hubs[:-1] if len(hubs) > 2 else [])]:
        for name, value, unit in zip(table.index, table[hub].tolist(), table["unit"], strict=True):
            kpis[name if hub == "total" else f"{hub}.{name}"] = (None if value != value else value, unit)
    return kpis


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


def _check_builds(runs: Sequence[PlannedRun], left: dict[str, PlannedRun]) -> None:
    """Build runs until every value of a field and every controller was in one; all problems are reported at once.

    Of a field with a range these are the lowest and the highest that were drawn. What ran already needs no build.
    """
    from ...assembly.plant_build import build

    extremes = {field: _extremes([run.fields[field] for run in runs]) for field in runs[0].fields}
    parts = {
        run.key: {
            json.dumps(part, default=str)
            for part in (("", run.controller), *run.fields.items())
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


# --- the table --------------------------------------------------------------------------------------------------------


def table_of(study: SweepStudy, runs: Sequence[PlannedRun], entries: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the runs as a table.

    Parameters
    ----------
    study : SweepStudy
        The study.
    runs : sequence of PlannedRun
        Its runs.
    entries : sequence of dict
        What came of each.

    Returns
    -------
    DataFrame
        run (its number), a column for each field, controller, seed, status (ok or failed), error, a column for each
        key figure, wall_s, and key, the name of the result file if it was kept. Durations are seconds; sections are
        JSON. ``attrs["units"]`` has the units.
    """
    import pandas as pd

    units = {name: unit for entry in entries for name, (_, unit) in entry["kpis"].items()}
    wanted = study.kpis or list(units)
    columns: dict[str, list[Any]] = {"run": [run.number for run in runs]}
    for field in study.fields:
        columns[field], unit = _column([run.fields[field] for run in runs])
        units |= {field: unit} if unit else {}
    columns["controller"] = [run.controller for run in runs]
    columns["seed"] = [run.seed for run in runs]
    columns["status"] = [entry["status"] for entry in entries]
    columns["error"] = [entry["error"] for entry in entries]
    for name in wanted:
        columns[name] = [entry["kpis"].get(name, (None, ""))[0] for entry in entries]
    columns["wall_s"] = [entry["wall_s"] for entry in entries]
    columns["key"] = [run.key for run in runs]
    table = pd.DataFrame(columns).astype({name: "float64" for name in (*wanted, "wall_s")})
    table.attrs["units"] = {name: units[name] for name in table if name in units} | {"wall_s": "s"}
    return table


def _column(values: list[Any]) -> tuple[list[Any], str]:
    """Values of a field as they can stand in one column, and their unit."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        seconds = [seconds_of(value) for value in values]
        return (values, "") if None in seconds else (seconds, "s")
    if kinds <= {int, float} or kinds == {bool}:
        return values, ""
    return [value if isinstance(value, str) else json.dumps(value) for value in values], ""


def _overview(study: SweepStudy, table: pd.DataFrame) -> list[dict[str, Any]]:
    names = study.kpis or [name for name in _MAIN_KPIS if name in table and bool(table[name].fillna(0).any())]
    return list(_overview_rows(table, names))


def _overview_rows(table: pd.DataFrame, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for controller, rows in table.query("status == 'ok'").groupby("controller", sort=False):
        for name in names:
            yield {
                "controller": controller,
                "runs": len(rows),
                "key figure": name,
                "unit": table.attrs["units"].get(name, ""),
                "lowest": rows[name].min(),
                "mean": rows[name].mean(),
                "highest": rows[name].max(),
            }


def _write(table: pd.DataFrame, folder: Path) -> Path:
    """The table as Parquet, with units, and as CSV; each whole or not at all."""
    path = folder / "table.parquet"
    part = folder / "table.part"
    table.to_parquet(part, engine="pyarrow", index=False)
    os.replace(part, path)
    table.to_csv(part, index=False)
    os.replace(part, folder / "table.csv")
    return path
