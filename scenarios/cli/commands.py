"""The command ``evhub``."""

from __future__ import annotations

import json
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..errors import InputError, Problem
from .terminal import RunsProgress, SimulationProgress, err, out, show, show_summary, summary_rows, working

if TYPE_CHECKING:
    from ...analysis import Results

app = typer.Typer(
    name="evhub",
    help="Co-simulation of e-mobility hubs.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


class _StoppedError(Exception):
    """Ctrl-C, told by what is left of the run."""


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"evhub {installed('evhub')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    """Run the command and turn errors into clear lines and an exit status (2: wrong input; 1: it failed)."""
    try:
        sys.exit(app(standalone_mode=False))
    except Exception as error:
        told, status = _explained(error)
        if "--debug" in sys.argv:
            traceback.print_exc()
        for line in told:
            err.print(line, style="red", markup=False, soft_wrap=True)
        sys.exit(status)


def _explained(error: Exception) -> tuple[list[str], int]:
    """What to say of an error, and the exit status."""
    from ...analysis.results.result_layout import ResultError

    if isinstance(error, InputError):
        return [str(problem) for problem in error.problems], 2
    if isinstance(error, ResultError):
        return [str(error)], 2
    if isinstance(error, _StoppedError):
        return [f"stopped; {error}"], 130
    if isinstance(error, typer.Abort):
        return ["stopped"], 130
    if isinstance(error, OSError) and error.filename is not None:
        return [f"{error.filename}: cannot be read or written ({error.strerror})"], 2
    usage = getattr(error, "format_message", None)
    if usage is not None:  # from the command line itself
        command = getattr(error, "ctx", None)
        return [f"{usage()} ({command.command_path if command else 'evhub'} --help shows what there is)"], 2
    return [f"{type(error).__name__}: {error}", "evhub --debug ... shows where"], 1


@app.command("list")
def list_(as_json: Json = False) -> None:
    """What there is: scenarios, controllers, battery sets, arrival profiles, tariffs."""
    from .catalogue import catalogue

    show(catalogue(), "What evhub ships and what is registered", as_json)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a YAML file.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Result file; NAME.h5 when left out.")] = None,
    controller: Annotated[str | None, typer.Option(help="Another controller than the scenario's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    engine: Annotated[str, typer.Option(help="mosaik, or inprocess: the same results, faster.")] = "mosaik",
    real_time_factor: Annotated[
        float | None, typer.Option(help="Seconds that a simulated second takes, on mosaik; as fast as possible.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate a scenario and write its result file."""
    from ...analysis import open_results
    from ...analysis.results.summary_table import summary
    from ..run_scenario import run as run_scenario
    from ..schema.scenario_loader import load_scenario

    loaded = load_scenario(scenario)
    silent = quiet or as_json
    if not silent:
        out.print(f"[bold]{loaded.scenario.name}[/bold]  {escape(loaded.scenario.title)}")
    began = time.perf_counter()
    try:
        with SimulationProgress(loaded.scenario.duration, silent) as advance:
            path = run_scenario(
                loaded,
                output,
                controller=controller,
                seed=seed,
                engine=engine,
                real_time_factor=real_time_factor,
                force=force,
                progress=advance,
            )
    except KeyboardInterrupt as stop:
        raise _StoppedError(*stop.args or ("nothing was written",)) from None
    if quiet and not as_json:
        return
    with open_results(path) as results:
        table = summary(results)
        notes = results.events().query("kind == 'note'")["text"].tolist()
    if as_json:
        show(summary_rows(table), "", as_json)
    else:
        show_summary(table)
        for note in notes:
            out.print(f"note: {escape(note)}", style="yellow")
        size = f"{path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - began:.1f} s"
        out.print(f"{escape(str(path))}  [dim]({size})[/dim]", soft_wrap=True)
        out.print(f"evhub report {path} -o {path.with_suffix('.html')}", style="dim", markup=False, soft_wrap=True)


@app.command()
def check(
    scenarios: Annotated[list[str], typer.Argument(help="Names of shipped scenarios, or YAML files.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Keep the results in this folder.")] = None,
    controller: Annotated[str | None, typer.Option(help="Another controller than the scenario's.")] = None,
    engine: Annotated[str, typer.Option(help="inprocess, or mosaik: the same results, slower.")] = "inprocess",
    invariants: Annotated[bool, typer.Option("--invariants", help="Check also what holds in every run.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Write the golden files anew.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write a JUnit report (XML).")] = None,
    github: Annotated[bool, typer.Option("--github", help="Also print annotations for GitHub.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run scenarios and check what they expect; exit status 1 if anything fails."""
    from ..checks import check_reports as told
    from ..checks import check_scenarios as checking
    from ..run_scenario import check_output

    _refuse_together({"--json": as_json, "--github": github})
    _refuse_together({"--update": update, "--controller": controller is not None})
    ready = checking.prepare_all(scenarios, controller=controller, invariants=invariants, update=update)
    kept = _kept([one.loaded.scenario.name for one in ready], output)
    for one, path in zip(ready, kept, strict=True):
        if path is not None:
            check_output(path, force, keep=one.loaded.path)
    if junit is not None:
        check_output(junit, force=True, keep=ready[0].loaded.path)
    for target in (*kept, junit):
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
    done = []
    for one, path in zip(ready, kept, strict=True):
        try:
            with SimulationProgress(one.loaded.scenario.duration, as_json) as advance:
                done.append(checking.check(one, engine=engine, output=path, update=update, progress=advance))
        except KeyboardInterrupt:
            raise _StoppedError(f"{len(done)} of {len(ready)} scenarios were checked") from None
        if not as_json:
            out.print(told.line(done[-1]), soft_wrap=True)
    if junit is not None:
        junit.write_text(told.junit(done), encoding="utf-8")
    if github:
        for line in told.github_annotations(done):
            print(line)
    if as_json:
        show(told.rows(done), "", as_json)
    elif any(not one.ok for one in done):
        show(told.failures(done), "What failed", as_json)
    if any(not one.ok for one in done):
        raise typer.Exit(1)


def _refuse_together(given: dict[str, bool]) -> None:
    first, second = given
    if all(given.values()):
        raise InputError(Problem("", second, ..., f"must not stand beside {first}"))


def _kept(names: list[str], folder: Path | None) -> list[Path | None]:
    """Where the result of each scenario is kept, if at all."""
    if folder is None:
        return [None for _ in names]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(Problem("", "output", str(folder), f"must not get two results with the name {twice[0]}"))
    return [folder / f"{name}.h5" for name in names]


@app.command()
def sweep(
    study: Annotated[Path, typer.Argument(help="Study file (YAML), or the name of a shipped study.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; STUDY-sweep when left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core when left out.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Run on an existing dask cluster, by its address.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Also keep the result files, in this folder.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what has failed.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study: fields, controllers and seeds varied, into one table; goes on where it was stopped.

    Exit status 1 if a run failed.
    """
    from ..studies.sweep import sweep_runs as sweeping

    _refuse_together({"--scheduler": scheduler is not None, "--workers": workers is not None})
    path = sweeping.located(study)
    folder = output or Path(f"{path.stem}-sweep")
    try:
        with RunsProgress(as_json) as progress:
            swept = sweeping.sweep(
                path, folder, workers=workers, scheduler=scheduler, keep=keep, retry=retry, progress=progress
            )
    except KeyboardInterrupt as stop:
        raise _StoppedError(*stop.args or ("nothing was run",)) from None
    if as_json:
        show(summary_rows(swept.table.set_index("run")), "", as_json)
    else:
        if swept.overview:
            show(swept.overview, "", as_json)
        failures = swept.failures()
        if failures:
            show(failures, "What failed", as_json)
        text = f"{len(swept.table)} runs, {swept.ran} of them now, {swept.failed} failed"
        out.print(f"{escape(str(swept.path))}  [dim]({text})[/dim]", soft_wrap=True)
    if swept.failed:
        raise typer.Exit(1)


@app.command()
def reproduce(
    study: Annotated[str, typer.Argument(help="Name of a published study; evhub list names them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the table, the figures and the results.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a published study again and set its numbers beside ours; exit status 1 if one is not met.

    A long study goes on where it was stopped; --force begins anew.
    """
    from dataclasses import asdict

    from ..studies.reproductions import reproduction
    from ..studies.reproductions.published_numbers import reproduced, shown, write_table

    module = reproduction(study)
    journal = output / getattr(module, "JOURNAL", "")
    if force or not journal.is_file():
        _refuse_filled(output, force)
        with suppress(OSError):
            journal.unlink()
    output.mkdir(parents=True, exist_ok=True)
    with working(module.TITLE) as tell:
        rows = module.reproduce(output, tell)
    table = write_table(rows, output)
    if as_json:
        show([asdict(row) for row in rows], "", as_json)
    else:
        show([shown(row) for row in rows], module.TITLE, as_json)
        figures = sorted(output.glob("*.png"))
        out.print(f"{table} and {len(figures)} figures beside it", markup=False, soft_wrap=True)
    if not reproduced(rows):
        raise typer.Exit(1)


@app.command()
def dispatchability(
    study: Annotated[str, typer.Argument(help="Name of a shipped study, or a YAML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Result file (HDF5).")],
    scenarios: Annotated[
        int | None, typer.Option(min=0, help="Another number of drawn cases than the study's; 0 for none.")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="Also a picture (PNG, SVG or PDF).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the PV limits of an unbalanced feeder with EVs."""
    from ...analysis.dispatchability import open_study
    from ...analysis.dispatchability.limit_figures import limits_by_phase
    from ..run_scenario import check_output
    from ..studies.dispatchability.dispatchability_run import brief, load_study, notes, rows, run_study

    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise InputError(Problem("", "--picture", str(picture), f"must end with {', '.join(_PICTURES)}"))
    loaded = load_study(study)
    for target in (output, picture):
        if target is not None:
            check_output(target, force, keep=loaded.path)
            target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with working(loaded.study.name) as tell:
            run_study(loaded, output, scenarios=scenarios, tell=tell)
    except KeyboardInterrupt:
        raise _StoppedError("nothing was written") from None
    result = open_study(output)
    show(rows(result) if as_json else brief(result), loaded.study.title or loaded.study.name, as_json)
    for note in notes(result, loaded.study.options.tolerance):
        err.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    if picture is not None:
        limits_by_phase(result, list(result.cases)).savefig(picture)
    if not as_json:
        for target in (output, picture):
            if target is not None:
                _made(target)


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="Result files; several are shown side by side.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page (HTML).")],
    names: Annotated[str, typer.Option(help="What to call several runs, with commas between; their files.")] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Also one picture of each hub of a single result (PNG, SVG, PDF).")
    ] = None,
    force: Force = False,
) -> None:
    """Make one self-contained interactive page of a result, or of several over one time axis."""
    from ...analysis.report.html.run_page import write_report
    from ...analysis.report.print.hub_picture import overview
    from ..run_scenario import check_output

    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise InputError(Problem("", "--picture", str(picture), f"must end with {', '.join(_PICTURES)}"))
    _refuse_together({"several results": len(results) > 1, "--picture": picture is not None})
    with ExitStack() as opened:
        runs = _opened(results, _listed(names), opened)
        first = next(iter(runs.values()))
        pictures = {} if picture is None else {hub: _picture_of(hub, picture, first.hubs) for hub in first.hubs}
        for target in (output, *pictures.values()):
            for result in results:
                check_output(target, force, keep=result)
        for target in (output, *pictures.values()):
            target.parent.mkdir(parents=True, exist_ok=True)
        write_report(runs, output)
        _made(output)
        for hub, target in pictures.items():
            overview(first, hub).savefig(target, dpi=150)
            _made(target)


def _opened(paths: Sequence[Path], names: Sequence[str], opened: ExitStack) -> dict[str, Results]:
    """Results by what to call them; says what is wrong with a run, such as that it was killed."""
    from ...analysis import open_results

    twice = [str(path) for path in paths if paths.count(path) > 1]
    if twice:
        raise InputError(Problem("", "results", twice[0], "must be given only once"))
    names = names or _short_names(paths)
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise InputError(Problem("", "--names", ",".join(names), f"must be {len(paths)} different names"))
    # a killed or failed run is told as a line of ours, not as a warning with its source
    warnings.simplefilter("ignore", UserWarning)
    runs = {name: opened.enter_context(open_results(path)) for name, path in zip(names, paths, strict=True)}
    for results in runs.values():
        if results.note:
            out.print(f"note: {results.path}: {results.note}", style="yellow", markup=False, soft_wrap=True)
    return runs


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The name of each file, or its whole path where two have one name."""
    stems = [path.stem for path in paths]
    return [stem if stems.count(stem) == 1 else str(path) for stem, path in zip(stems, paths, strict=True)]


@app.command()
def export(
    result: Annotated[Path, typer.Argument(help="Result file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables.")],
    format_: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    signals: Annotated[str, typer.Option(help="Names or patterns, such as */bess/*, with commas between; all.")] = "",
    every: Annotated[str | None, typer.Option(help="Step of the series, such as 15min; every change.")] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Means over the steps, instead of the values at their begin.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a result as tables for other programs: series, key figures, sessions, events."""
    from ...analysis.results.result_export import FORMATS, MissingExtraError
    from ...analysis.results.result_export import export as write
    from ...analysis.results.result_reader import step_length_s

    if format_ not in FORMATS:
        raise InputError(Problem("", "--format", format_, f"must be {' or '.join(FORMATS)}"))
    if mean and every is None:
        raise InputError(Problem("", "--mean", ..., "must stand beside --every"))
    try:
        if every is not None:
            step_length_s(every)
    except ValueError:
        allowed = "must be a length of time with its unit, such as 15min"
        raise InputError(Problem("", "--every", every, allowed)) from None
    _refuse_filled(output, force)
    with ExitStack() as opened:
        (results,) = _opened([result], [], opened).values()
        try:
            paths = write(results, output, format_, _listed(signals) or "*", every, "mean" if mean else "hold")  # pyright: ignore[reportArgumentType]
        except MissingExtraError as error:
            raise InputError(Problem("", "--format", format_, str(error))) from None
    for path in paths:
        _made(path)


def _refuse_filled(folder: Path, force: bool) -> None:
    """Refuse a target that is no folder, or has something in it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem("", "output", str(folder), "must be a folder"))
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(Problem("", "output", str(folder), "must be empty; --force replaces what is there"))


def _picture_of(hub: str, picture: Path, hubs: Sequence[str]) -> Path:
    return picture if len(hubs) == 1 else picture.with_stem(f"{picture.stem}-{hub}")


_PICTURES = (".png", ".svg", ".pdf")


def _made(path: Path) -> None:
    out.print(f"{escape(str(path))}  [dim]({path.stat().st_size / 1e6:.1f} MB)[/dim]", soft_wrap=True)


@app.command()
def compare(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a YAML file.")],
    controllers: Annotated[str, typer.Option(help="At least two, with commas between them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the page, the tables and the results.")],
    seeds: Annotated[int, typer.Option(help="How many seeds: the scenario's and those that follow it.")] = 1,
    baseline: Annotated[str | None, typer.Option(help="What the others are compared with; the first.")] = None,
    kpis: Annotated[str, typer.Option(help="Key figures to tell and test, with commas between them; all.")] = "",
    test: Annotated[str, typer.Option(help="t (paired t test) or wilcoxon (signed ranks).")] = "t",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the runs.")] = 2,
    engine: Annotated[str, typer.Option(help="inprocess, or mosaik: the same results, slower.")] = "inprocess",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a scenario under several controllers and seeds and compare them; exit status 1 if a run fails."""
    from ..studies.compare.compare_controllers import compare_controllers, plan
    from . import compare_table as told

    planned = plan(
        scenario,
        _listed(controllers),
        output,
        seeds=seeds,
        baseline=baseline,
        kpis=_listed(kpis),
        test=test,  # pyright: ignore[reportArgumentType]
        engine=engine,
        force=force,
    )
    try:
        with RunsProgress(as_json) as progress:
            compared = compare_controllers(planned, workers, progress)
    except KeyboardInterrupt as stop:
        raise _StoppedError(*stop.args or ("nothing was run",)) from None
    for name, number, message in compared.failures:
        err.print(f"{name}, seed {number}: {message}", style="red", markup=False, soft_wrap=True)
    if compared.comparison is None:
        raise typer.Exit(1)
    if as_json:
        show(told.rows(compared.comparison), "", as_json)
    else:
        out.print(told.table(compared.comparison))
        out.print(told.legend(compared.comparison), style="dim", markup=False)
        for note in compared.notes:
            out.print(f"note: {note}", style="yellow", markup=False)
        _made(compared.output / "index.html")
    if compared.failures:
        raise typer.Exit(1)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New folder for the study.")],
) -> None:
    """Copy an example study: a scenario and a controller of your own, ready to run."""
    source = Path(str(files("evhub.scenarios") / "example_study"))
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise InputError(Problem("", "directory", str(directory), "must be new or empty"))
        shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        allowed = f"must be a folder that can be made ({error.strerror})"
        raise InputError(Problem("", "directory", str(directory), allowed)) from None
    out.print(f"{directory}: a study of your own. Try it:", markup=False, soft_wrap=True)
    out.print(
        f"  cd {directory}\n  evhub run study.yaml\n  evhub report my-study.h5 -o my-study.html",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check them."""
    from ..schema.scenario_schema import Scenario

    print(json.dumps(Scenario.model_json_schema(), indent=1))
