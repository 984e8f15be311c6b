"""``evhub check``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError, Problem
from ..command_options import Force, Json, Scheduler, pool_of, refuse_together
from ..stopping import stoppable
from ..terminal import RunsProgress, SimulationProgress, out, show

if TYPE_CHECKING:
    from ...checks.check_scenarios import Checked, Prepared
    from ...studies.workers.worker_pool import WorkerPool


def check(
    scenarios: Annotated[list[str], typer.Argument(help="Names of shipped scenarios, or YAML files.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Keep the results in this folder.")] = None,
    controller: Annotated[str | None, typer.Option(help="Another controller than the scenario's.")] = None,
    engine: Annotated[str, typer.Option(help="inprocess, or mosaik: the same results, slower.")] = "inprocess",
    invariants: Annotated[bool, typer.Option("--invariants", help="Check also what holds in every run.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Write the golden files anew.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write a JUnit report (XML).")] = None,
    github: Annotated[bool, typer.Option("--github", help="Also print annotations for GitHub.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the scenarios; 1 when left out.")
    ] = None,
    scheduler: Scheduler = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run scenarios and check what they expect; exit status 1 if anything fails."""
    from ...checks import check_reports, check_scenarios
    from ...run_scenario import check_output

    refuse_together({"--json": as_json, "--github": github})
    refuse_together({"--update": update, "--controller": controller is not None})
    ready = check_scenarios.prepare_all(scenarios, controller=controller, invariants=invariants, update=update)
    kept = _kept([prepared.loaded.scenario.name for prepared in ready], output)
    for prepared, path in zip(ready, kept, strict=True):
        if path is not None:
            check_output(path, force, keep=prepared.loaded.path)
    if junit is not None:
        check_output(junit, force=True, keep=ready[0].loaded.path)
    checked: list[Checked] = []
    with stoppable(), pool_of(workers, scheduler, 1) as pool:
        for target in (*kept, junit):
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
        try:
            for result in _check_all(ready, kept, engine, update, pool, as_json):
                checked.append(result)
                if not as_json:
                    out.print(check_reports.line(result), soft_wrap=True)
        except KeyboardInterrupt as stop:
            stop.args = (f"{len(checked)} of {len(ready)} scenarios were checked",)
            raise
    if junit is not None:
        junit.write_text(check_reports.junit(checked), encoding="utf-8")
    if github:
        for line in check_reports.github_annotations(checked):
            print(line)
    if as_json:
        show(check_reports.rows(checked), "", as_json)
    elif any(not result.ok for result in checked):
        show(check_reports.failures(checked), "What failed", as_json)
    if any(not result.ok for result in checked):
        raise typer.Exit(1)


def _check_all(
    ready: list[Prepared], kept: list[Path | None], engine: str, update: bool, pool: WorkerPool, silent: bool
) -> Iterator[Checked]:
    """Check scenarios in a pool; here with the simulated time of each one as progress."""
    from ...checks.check_scenarios import check as check_one
    from ...checks.check_scenarios import check_all
    from ...studies.workers.worker_pool import HERE

    if pool is HERE:
        for prepared, path in zip(ready, kept, strict=True):
            with SimulationProgress(prepared.loaded.scenario.duration, silent) as advance:
                checked = check_one(prepared, engine=engine, output=path, update=update, progress=advance)
            yield checked
        return
    with RunsProgress(silent) as progress:
        yield from check_all(ready, engine=engine, outputs=kept, update=update, pool=pool, progress=progress)


def _kept(names: list[str], folder: Path | None) -> list[Path | None]:
    """Return where the result of each scenario is kept, if at all."""
    if folder is None:
        return [None for _ in names]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(Problem("", "output", str(folder), f"must not get two results with the name {twice[0]}"))
    return [folder / f"{name}.h5" for name in names]
