"""``evhub run``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..command_options import Force, Json
from ..stopping import stoppable
from ..terminal import SimulationProgress, out, show, show_summary, summary_rows


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
    from ....analysis import open_results
    from ....analysis.results.summary_table import summary
    from ...run_scenario import run as run_scenario
    from ...schema.scenario_loader import load_scenario

    loaded = load_scenario(scenario)
    silent = quiet or as_json
    if not silent:
        out.print(f"[bold]{loaded.scenario.name}[/bold]  {escape(loaded.scenario.title)}")
    began = time.perf_counter()
    with stoppable("nothing was written"), SimulationProgress(loaded.scenario.duration, silent) as advance:
        path = run_scenario(
            loaded,
            output or Path(f"{loaded.scenario.name}.h5"),
            controller=controller,
            seed=seed,
            engine=engine,
            real_time_factor=real_time_factor,
            force=force,
            progress=advance,
        )
    if quiet and not as_json:
        return
    with open_results(path) as results:
        table, foresight = summary(results), results.foresight
        notes = [*results.events().query("kind == 'note'")["text"], *table.attrs["problems"].values()]
    if as_json:
        show(summary_rows(table), "", as_json)
    else:
        show_summary(table)
        for line in foresight:
            out.print(f"foresight: {escape(line)}", soft_wrap=True)
        for note in notes:
            out.print(f"note: {escape(note)}", style="yellow", soft_wrap=True)
        size = f"{path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - began:.1f} s"
        out.print(f"{escape(str(path))}  [dim]({size})[/dim]", soft_wrap=True)
        out.print(f"evhub report {path} -o {path.with_suffix('.html')}", style="dim", markup=False, soft_wrap=True)
