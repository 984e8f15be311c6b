"""Several runs on one page, and what controllers decided: complete, safe, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from evhub.analysis import ResultError, ResultWriter, SeriesSpec, open_results
from evhub.analysis.report.html.hub_panels import hub_figure
from evhub.analysis.report.html.readable_text import number
from evhub.analysis.report.html.run_page import page, write_report
from evhub.analysis.report.html.runs_page import runs_page
from evhub.analysis.report.html.runs_panels import side_by_side
from evhub.analysis.results import decision_records as decisions

from ...helpers.command import evhub
from ...helpers.sample_results import attributes, write_hubs
from .test_report import EVIL, Page


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    calm = write_hubs(folder / "calm.h5", {"depot": 3, "mall": 2})
    outage = write_hubs(folder / "outage.h5", {"depot": 3, "mall": 2}, outages=((46800.0, 55800.0),), seed=1)
    with open_results(calm) as one, open_results(outage) as other:
        yield {"calm": one, EVIL: other}


@pytest.fixture
def decided(tmp_path):
    """A hub whose controller told what it did."""
    root = attributes("decided", 100.0)
    with ResultWriter(tmp_path / "r.h5", root, [SeriesSpec("a/load/p_kw"), SeriesSpec("a/controller/alarms")]) as to:
        to.append(0, 0.0, 1.0)
        for t_s, active in ((0.0, 0.0), (30.0, 2.0), (45.0, 0.0)):
            to.append(1, t_s, active)
        to.event(0.0, "a.controller", "rule", "cp 50.00 kW by free")
        to.event(0.0, "a.controller", "rule", "pv 20.00 kW by free")
        to.event(30.0, "a.controller", "rule", f"cp 0.00 kW by {EVIL.replace(' ', '')}")
        to.event(30.0, "a.controller", "alarm", f"2, {EVIL}")
        to.event(50.0, "b.controller", "rule", "cp 1.00 kW by other")
        for t_s, status in ((10.0, 0.0), (20.0, 4.0)):
            to.diagnostic("mine/a/status", t_s, status)
            to.diagnostic("mine/a/solve_s", t_s, 0.25)
    with open_results(tmp_path / "r.h5") as results:
        yield results


def test_page_has_every_run_with_its_key_figures_and_charts(runs):
    parsed = Page(runs_page(runs))
    for name, results in runs.items():
        assert parsed.words.count(name) >= 5  # in the heading, tables, legends; as it was written
        for key in ("import_kwh", "delivered_kwh", "cost_net"):
            assert number(results.summary().at[key, "total"]) in parsed.words
    assert "islanded_h" in runs[EVIL].summary().index
    assert not any(tag == "img" for tag, _ in parsed.tags)
    for hub in range(2):  # one figure side by side, one of each run
        assert {f"figure-{hub}", f"figure-{hub}-0", f"figure-{hub}-1"} <= set(parsed.figures)


def test_all_charts_of_a_page_have_one_time_axis(runs):
    ranges = {tuple(figure["layout"]["xaxis"]["range"]) for figure in Page(runs_page(runs)).figures.values()}
    assert ranges == {("2024-03-01T00:00:00", "2024-03-02T00:00:00")}


def test_outage_is_shaded_only_in_the_run_that_had_it(runs):
    figure = side_by_side(runs, "depot")
    go.Figure(figure)
    shaded = [(shape["yref"], shape["x0"]) for shape in figure["layout"]["shapes"]]
    assert shaded == [("y2 domain", "2024-03-01T13:05:00"), ("y2 domain", "2024-03-01T13:00:00")]
    assert [trace["name"] for trace in figure["data"] if trace["x"] == [None]] == ["islanded", "no supply"]


def test_run_that_ends_early_ends_early_on_the_page(tmp_path):
    specs = [SeriesSpec("a/load/p_kw")]
    for name, end_s in (("short", 50.0), ("long", 100.0)):
        with ResultWriter(tmp_path / f"{name}.h5", attributes(name, end_s), specs) as to:
            to.append(0, 0.0, 1.0)
    with open_results(tmp_path / "short.h5") as short, open_results(tmp_path / "long.h5") as long:
        figure = side_by_side({"short": short, "long": long}, "a")
        assert "The runs are not of one length" in runs_page({"short": short, "long": long})
    assert [trace["x"][-1] for trace in figure["data"] if trace["mode"] == "lines"] == [
        "2024-03-01T00:00:50",
        "2024-03-01T00:01:40",
    ]
    assert figure["layout"]["xaxis"]["range"][1] == "2024-03-01T00:01:40"


@pytest.mark.parametrize(
    ("hubs", "more", "message"),
    [
        ({"dock": 1}, {}, "must have the same hubs as .*depot there, dock here"),
        ({"depot": 1}, {"start": "2024-03-02T00:00:00-03:00"}, "must begin when .* does, .*2024-03-01 .*2024-03-02"),
    ],
)
def test_runs_that_do_not_fit_are_one_clear_error(tmp_path, hubs, more, message):
    one = write_hubs(tmp_path / "one.h5", {"depot": 1})
    other = write_hubs(tmp_path / "other.h5", hubs, **more)
    with open_results(one) as first, open_results(other) as second, pytest.raises(ResultError, match=message):
        write_report({"one": first, "other": second}, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# --- decisions --------------------------------------------------------------------------------------------------------


def test_lanes_have_the_rules_of_the_hub_from_their_times_on(decided):
    cp, pv = decisions.lanes(decided, "a")
    assert (cp.name, cp.t_s.tolist(), cp.rules[0]) == ("cp", [0.0, 30.0], "free")
    assert (pv.name, pv.t_s.tolist(), pv.rules) == ("pv", [0.0], ["free"])


def test_plans_tell_how_the_solver_ended(decided):
    one, other = decisions.plans(decided, "a")
    assert (one.t_s, one.text, one.trouble) == (10.0, "plan: optimal in 250 ms", False)
    assert (other.t_s, other.text, other.trouble) == (20.0, "plan: time limit in 250 ms", True)


def test_page_shows_rules_alarms_and_solver_status(decided):
    parsed = Page(page(decided))
    figure = parsed.figures["figure-1"]
    go.Figure(figure)
    lanes = [trace for trace in figure["data"] if trace["type"] == "heatmap"]
    assert lanes[0]["x"] == ["2024-03-01T00:00:00", "2024-03-01T00:00:30", "2024-03-01T00:01:40"]
    assert lanes[0]["text"][0][0] == "cp 50.00 kW by free"
    strip = [(shape["x0"], shape["x1"]) for shape in figure["layout"]["shapes"] if shape["y0"] > 0]
    assert set(strip) == {("2024-03-01T00:00:30", "2024-03-01T00:00:45")}
    assert "1 optimal, 1 time limit" in parsed.words
    told = [text for trace in figure["data"] if trace["type"] == "scatter" for text in trace.get("text", ())]
    assert "plan: optimal in 250 ms" in told
    assert any(text.startswith("alarm: 2, $x^$&lt;script") for text in told)


def test_rules_that_change_all_the_time_are_those_that_decided_longest(tmp_path):
    with ResultWriter(tmp_path / "r.h5", attributes("busy", 3000.0), [SeriesSpec("a/load/p_kw")]) as to:
        to.append(0, 0.0, 1.0)
        for k in range(1000):  # 2 s of one, 1 s of the other
            to.event(3.0 * k, "a.controller", "rule", "cp 1 kW by long")
            to.event(3.0 * k + 2.0, "a.controller", "rule", "cp 0 kW by short")
    with open_results(tmp_path / "r.h5") as results:
        (lane,) = [trace for trace in hub_figure(results, "a", max_points=100)["data"] if trace["type"] == "heatmap"]
    assert len(lane["z"][0]) <= 100
    assert set(np.ravel(lane["z"])) == {0}


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_takes_several_results_and_names(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        write_hubs(tmp_path / f"{name}.h5", {"depot": 2}, seed=seed)
    done = evhub("report", tmp_path / "one.h5", tmp_path / "two.h5", "--names", "A,B", "-o", tmp_path / "page.html")
    assert done.status == 0
    parsed = Page((tmp_path / "page.html").read_text())
    assert "A, B" in parsed.words


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("one.h5", "one.h5"), "results: must be given only once, got 'one.h5'"),
        (("one.h5", "two.h5", "--names", "A"), "--names: must be 2 different names, got 'A'"),
        (("one.h5", "two.h5", "--picture", "p.png"), "--picture: must not stand beside several results"),
        (("one.h5", "none.h5"), "none.h5: no such file"),
    ],
)
def test_wrong_calls_are_one_line_and_write_nothing(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        write_hubs(tmp_path / f"{name}.h5", {"depot": 1})
    done = evhub("report", *arguments, "-o", "page.html")
    assert done.status == 2
    assert done.err.strip() == told
    assert not (tmp_path / "page.html").exists()
