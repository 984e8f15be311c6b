"""Results of runs that ended before anything was recorded: they open, and everything made of them can be made."""

from __future__ import annotations

import warnings

import pytest

from evhub.analysis import open_results
from evhub.analysis.report.html.run_page import page, write_report
from evhub.analysis.report.print import paper_plots as plots
from evhub.analysis.report.print.hub_picture import overview
from evhub.analysis.results.result_export import export
from evhub.scenarios import run_scenario as runner
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.schema.scenario_loader import load_scenario

from ...helpers.command import evhub


class _EndedError(Exception):
    """The run ended before its first step."""


def _end(*_: object, **__: object) -> None:
    raise _EndedError


@pytest.fixture(params=["leal2024-4", "two-depots"])
def empty(request, tmp_path, monkeypatch):
    """The file of a shipped scenario whose run ended at once: all signals are there, none has a value."""
    loaded, path = load_scenario(request.param), tmp_path / "empty.h5"
    monkeypatch.setattr(runner, "engine_of", lambda *_: _end)
    with pytest.raises(_EndedError):
        runner.run_wiring(build(loaded), loaded, path)
    return path


def test_page_picture_and_tables_of_a_run_without_a_value(empty, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the run failed is said, here at every opening
        with open_results(empty) as results, open_results(empty) as again:
            assert results.signals()["n"].max() == 0
            assert "The run failed" in page(results)
            write_report({"a": results, "b": again}, tmp_path / "two.html")
            for hub in results.hubs:
                overview(results, hub).savefig(tmp_path / "overview.png")
                plots.power_balance(results, hub)
            written = {path.stem for path in export(results, tmp_path / "tables", every="15min", how="mean")}
    assert {f"log-{hub}" for hub in results.hubs} <= written


def test_commands_say_that_the_run_failed(empty, tmp_path):
    for call in (["report", "-o", tmp_path / "p.html"], ["export", "-o", tmp_path / "t", "--every", "1h"]):
        done = evhub(*call, empty)
        assert done.status == 0
        assert "the run failed" in done.out + done.err
