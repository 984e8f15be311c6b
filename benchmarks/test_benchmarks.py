"""Every benchmark once on a short run, so that none rots: `pytest benchmarks --benchmark-disable`.

With the plugin switched on, pytest-benchmark times the same functions. Nothing here depends on how fast they are.
"""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from evhub.controllers.optimization.hub_model import HubModel
from evhub.controllers.optimization.program import Program

from . import __main__ as command
from . import dispatchability, ievcs, memory, overhead, planning, reading
from .cases import NAME, workplace, workplace_year
from .empty_world import Comparison, run_empty
from .observed import Seconds, Trace, best, run
from .profile import profile

SHORT = "6h"


@pytest.fixture(scope="module")
def loaded():
    return workplace(SHORT)


@pytest.fixture(scope="module")
def taken_apart(loaded):
    return profile(loaded)


def test_run(benchmark, loaded):
    found = benchmark.pedantic(run, (loaded,), rounds=1)
    assert len(found.solved) > 0


def test_empty_world_takes_the_steps_of_the_run(benchmark, taken_apart):
    # raises when the number of steps of any simulator differs
    benchmark.pedantic(run_empty, (taken_apart.wiring, taken_apart.traces), rounds=1)


def test_empty_world_refuses_other_steps(taken_apart):
    wrong = dict(taken_apart.traces)
    wrong["grid"] = Trace(
        wrong["grid"].meta, [(time + 1, following, sent) for time, following, sent in wrong["grid"].steps]
    )
    with pytest.raises(RuntimeError, match="grid: step 0 was at 1, now it is at 0"):
        run_empty(taken_apart.wiring, wrong)


def test_run_without_power_flow_takes_the_results_of_another(loaded, taken_apart):
    found = run(loaded, solved=taken_apart.solved)
    assert found.power_flow == Seconds()
    assert all(mine is known for mine, known in zip(found.solved, taken_apart.solved, strict=True))


def test_comparison_tells_how_much_is_added(benchmark, loaded, taken_apart):
    comparison = Comparison(loaded, taken_apart.wiring, taken_apart.traces, taken_apart.solved)
    benchmark.pedantic(comparison.take_turns, rounds=1)
    assert len(comparison.inprocess) == 1
    comparison.own, comparison.empty = (
        [[Seconds(2.0, 1.0), Seconds(4.0, 2.0)]],
        [[Seconds(3.0, 2.0), Seconds(2.0, 0.5)]],
    )
    comparison.whole = [[Seconds(4.0, 2.0), Seconds(6.0, 3.0)]]
    assert comparison.overhead == pytest.approx((0.2, 0.2))
    assert comparison.whole_overhead == pytest.approx((1.0, 1.0))
    assert comparison.share_of_a_core == 0.5


def test_best_takes_the_shortest_of_every_slice_by_each_clock():
    runs = [[Seconds(3.0, 1.0), Seconds(1.0, 1.0)], [Seconds(2.0, 2.0), Seconds(5.0, 0.5)]]
    assert best(runs) == Seconds(3.0, 1.5)


def test_profile_accounts_for_the_whole_run(taken_apart):
    names = {part.name for part in taken_apart.parts}
    assert {"cp", "network", "power flow", "recorder", "result file", "mosaik"} <= names
    assert sum(part.time.wall for part in taken_apart.parts) == pytest.approx(taken_apart.total.wall)
    assert taken_apart.days == 0.25


def test_memory_is_that_of_another_process(benchmark):
    found = benchmark.pedantic(memory.of_process, ("2h",), rounds=1)
    assert 0.0 < found.built_mb <= found.peak_mb
    assert found.file_mb > 0.0


def test_memory_slope_is_per_week():
    found = [memory.Memory(7.0 * weeks, 100.0, 200.0 + 3.0 * weeks, 1.0, 1.0) for weeks in (1, 2, 4)]
    assert memory.slope_mb_per_week(found) == pytest.approx(3.0)


def test_memory_names_the_case_that_failed():
    with pytest.raises(RuntimeError, match="never"):
        memory.of_process("never")


def test_the_year_is_one(loaded):
    scenario = workplace_year().scenario
    assert (scenario.duration, scenario.time_step) == (365 * 86_400, 300)
    assert loaded.scenario.name == scenario.name == NAME


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_command_measures_prints_and_writes(name, tmp_path, capsys):
    path = tmp_path / "results.json"
    command.main([name, "--short", "-o", str(path)])
    assert set(json.loads(path.read_text())) == {"machine", name}
    assert capsys.readouterr().out.count("\n") > 5


def test_overhead_prints_what_it_writes(taken_apart, loaded):
    comparison = Comparison(loaded, taken_apart.wiring, taken_apart.traces, taken_apart.solved)
    comparison.whole = comparison.own = [[Seconds(2.6, 1.3)]]
    comparison.empty = comparison.inprocess = [[Seconds(2.0, 1.0)]]
    found = overhead.results(taken_apart, comparison)
    console = Console(width=120, record=True, file=io.StringIO())
    overhead.show([found], console)
    assert console.export_text().count("30.0%") == 4
    assert {row["name"] for row in found["simulators"]} >= {"grid", "power flow", "mosaik"}


@pytest.mark.parametrize("v2g", [False, True])
def test_warm_plans_are_as_good_as_those_of_a_new_model(v2g):
    first = planning.day(5, 29, seed=3, v2g=v2g)
    for data in planning.changed(first, 2, seed=4):
        with Program(HubModel(data).model) as cold:
            expected = cold.solve().objective
        assert planning.warm_objective(first, data) == pytest.approx(expected, rel=1e-6)


def test_result_is_read_and_its_page_opened(benchmark, loaded):
    found = benchmark.pedantic(reading.of_scenario, (loaded,), rounds=1)
    assert found["page_mb"] < 10
    assert {"open_s", "frames_s", "peak_mb", "make_s"} <= found.keys()
    if "ready_s" in found:  # there is a Chromium
        assert 0.0 < found["text_s"] < found["chart_s"] <= found["ready_s"]
    console = Console(record=True, file=io.StringIO())
    reading.show(found, console)
    assert f"{found['page_mb']:.3g} MB" in console.export_text()


def test_dispatchability_has_every_family():
    sizes = [len(list(dispatchability.cases(family))) for family in dispatchability.FAMILIES]
    assert sizes == [4, 5, 3, 3, 6, 4]


def test_a_day_of_ievcs_on_the_feeder_keeps_the_voltage():
    day = ievcs.week(days=1)
    assert day.days == pytest.approx(29 / 24)
    assert 0.0 < day.optimisation < 1.0
    assert day.lowest_pu >= 0.9
