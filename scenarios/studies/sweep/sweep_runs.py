"""Makes the runs of a study, on several processes or machines, and collects them in one table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import NOTHING, InputError, Problem
from ..journal import Journal
from ..variants.journalled_runs import ENTRY, JOURNAL, Progress, make_runs
from ..variants.paper_files import MAIN_KPIS
from ..variants.study_file import Study, read_study
from ..variants.study_tables import by_field_table, field_column, points_table, tidy
from ..variants.variant_labels import short_names
from ..variants.variant_plan import PlannedRun, plan_study
from ..workers.worker_pool import HERE, WorkerPool

if TYPE_CHECKING:
    import pandas as pd

EXTRA = ("pyarrow",)


@dataclass(frozen=True)
class Swept:
    """The result of a sweep.

    Parameters
    ----------
    table : DataFrame
        A row for each run of the study, in its order; see `table_of`.
    overview : list of dict
        Mean and extremes of the main key figures, by controller.
    intervals : dict of str to list of dict
        By varied field, the same figures with intervals over the seeds, a cell for each value; none with one seed.
    ran : int
        How many of them this call has run.
    path : Path
        The table; a CSV of the same is beside it.
    runs : DataFrame
        A row for each run and key figure, see `study_tables.tidy`.
    by_field : DataFrame
        Means and intervals for each value of what was varied, see `study_tables.by_field_table`.
    kpis : list of str
        The key figures that the overview tells.
    """

    table: pd.DataFrame
    overview: list[dict[str, Any]]
    intervals: dict[str, list[dict[str, Any]]]
    ran: int
    path: Path
    runs: pd.DataFrame
    by_field: pd.DataFrame
    kpis: list[str]

    @property
    def failed(self) -> int:
        """How many runs have failed."""
        return int((self.table["status"] == "failed").sum())

    def failures(self) -> list[dict[str, Any]]:
        """Return every error once: in how many runs it occurs, and in which first."""
        rows = self.table[self.table["status"] == "failed"].groupby("error", sort=False)["run"].agg(["size", "min"])
        return [{"error": error, "runs": row["size"], "first run": row["min"]} for error, row in rows.iterrows()]


def sweep(
    path: Path,
    output: Path,
    pool: WorkerPool = HERE,
    *,
    keep: Path | None = None,
    retry: bool = False,
    progress: Progress | None = None,
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
        Folder for the result files, KEY.h5; they are thrown away when left out. What is not there is run again.
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
    runs = plan_study(study, str(path), path.parent).runs
    if keep is not None:
        _make(keep)
    _check_folder(output)
    files = None if keep is None else {run.key: keep / f"{run.key}.h5" for run in runs}
    with Journal(output / JOURNAL, ENTRY) as journal:
        ran = make_runs(runs, journal, pool, files=files, retry=retry, progress=progress)
        entries = journal.finished
    table = table_of(study, runs, [entries[run.key] for run in runs])
    frame = tidy(study, runs, entries)
    by_field = by_field_table(study, frame)
    _write_csv(by_field, output / "by_field.csv")
    shown = study.kpis or [name for name in MAIN_KPIS if name in table and bool(table[name].fillna(0).any())]
    intervals = {}
    if table["seed"].nunique() > 1:
        _write_csv(points_table(study, frame), output / "points.csv")
        intervals = _interval_tables(by_field, shown)
    return Swept(
        table, list(_overview_rows(table, shown)), intervals, ran, _write(table, output), frame, by_field, shown
    )


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


# --- the table --------------------------------------------------------------------------------------------------------


def table_of(study: Study, runs: Sequence[PlannedRun], entries: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the runs as a table.

    Parameters
    ----------
    study : Study
        The study.
    runs : sequence of PlannedRun
        Its runs.
    entries : sequence of dict
        What came of each.

    Returns
    -------
    DataFrame
        run (its number), scenario where there are several, a column for each field, controller, seed, status (ok or
        failed), error, a column for each key figure, wall_s, and key, the name of the result file if it was kept.
        Durations are seconds; values with labels and sections stand by their labels. ``attrs["units"]`` has the units.
    """
    import pandas as pd

    units = {name: unit for entry in entries for name, (_, unit) in entry["kpis"].items()}
    wanted = study.kpis or list(units)
    columns: dict[str, list[Any]] = {"run": [run.number for run in runs]}
    if len(study.targets) > 1:
        columns["scenario"] = [run.variant.scenario for run in runs]
    for name, field in study.fields.items():
        columns[name], unit = field_column(field, [run.variant.fields[name] for run in runs])
        units |= {name: unit} if unit else {}
    columns["controller"] = [run.variant.controller for run in runs]
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


def _interval_tables(by_field: pd.DataFrame, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return a table for each varied field: a row for each key figure, a cell for each value."""
    from ....analysis.comparison.rounded_text import mean_and_interval

    short = short_names(dict.fromkeys(by_field["field"]))
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    rows: list[Any] = list(by_field.itertuples())
    for row in sorted(rows, key=lambda row: names.index(row.kpi) if row.kpi in names else len(names)):
        if row.kpi in names:
            cells = tables.setdefault(short[row.field], {}).setdefault(
                row.kpi, {"key figure": row.kpi, "unit": row.unit}
            )
            cells[str(row.field_value)] = mean_and_interval(row.mean, row.high - row.mean, row.unit)
    return {field: list(of_field.values()) for field, of_field in tables.items()}


def _write(table: pd.DataFrame, folder: Path) -> Path:
    """The table as Parquet, with units, and as CSV; each whole or not at all."""
    path = folder / "table.parquet"
    part = folder / "table.part"
    table.to_parquet(part, engine="pyarrow", index=False)
    os.replace(part, path)
    _write_csv(table, folder / "table.csv")
    return path


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    part = path.with_suffix(".part")
    table.to_csv(part, index=False)
    os.replace(part, path)
