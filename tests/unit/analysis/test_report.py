"""The page and the picture: complete, self-contained, safe, small, and true to the energies."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.image import imread

from evhub.analysis import ResultWriter, SeriesSpec, open_results
from evhub.analysis.kpis import kpi_formulas as kpis
from evhub.analysis.report.html import page_template
from evhub.analysis.report.html.hub_panels import hub_figure, network_figure
from evhub.analysis.report.html.panels import Figure
from evhub.analysis.report.html.readable_text import duration, number
from evhub.analysis.report.html.run_page import page, write_report
from evhub.analysis.report.print.hub_picture import overview
from evhub.analysis.results import hub_signals as views

from ...helpers.sample_results import attributes, write_hubs

EVIL = '$x^$<script>alert("x")</script><img src=x onerror=alert(1)>&amp;"\''


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "day.h5"
    with open_results(write_hubs(path, {"depot": 5, "mall": 3}, outages=((46800.0, 55800.0),))) as results:
        yield results


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """54 connectors at 5 min."""
    path = tmp_path_factory.mktemp("report") / "month.h5"
    with open_results(write_hubs(path, {"garage": 54}, days=31)) as results:
        yield results


class Page(HTMLParser):
    """Tags with attributes, text outside scripts and styles, and embedded figures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = [("", {})]
        self.figures: dict[str, dict] = {}
        self.words = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        _, attrs = self.tags[-1]
        if self.inside == "script" and attrs.get("type") == "application/json":
            self.figures[str(attrs["id"])] = json.loads(data)
        elif self.inside not in ("script", "style"):
            self.words += data


def unpacked(array: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(array["bdata"]), "<f4")
    return values.reshape([int(n) for n in array["shape"].split(",")]) if "shape" in array else values


# --- the page ---------------------------------------------------------------------------------------------------------


def test_page_needs_nothing_from_elsewhere(day):
    parsed = Page(page(day))
    for tag, attrs in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "src" not in attrs
        assert not (attrs.get("href") or "#").strip("#").count(":"), attrs
    policy = next(attrs["content"] for tag, attrs in parsed.tags if tag == "meta" and "http-equiv" in attrs)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:", policy)


def test_page_holds_plotly_once(day):
    text = page(day)
    assert len(re.findall(r"plotly\.js v\d", text)) == 1
    ours = [script for script in re.split(r"(?=<script)", text) if not re.search(r"plotly\.js v\d", script)]
    assert "".join(ours).count("Plotly.newPlot(") == 1


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "(function(a, b) {} (this, () => {\nlet f = () => {};\n}));",
            "(function(a, b) {} (this, (() => {\nlet f = () => {};\n})));",
        ),
        ("window.Plotly = 1;", "window.Plotly = 1;"),
        ("x" * 2000 + ", () => {}));", "x" * 2000 + ", () => {}));"),
    ],
    ids=["as we know it", "another form", "too late"],
)
def test_module_of_plotly_stands_between_brackets_where_it_is_called_at_once(day, monkeypatch, script, told):
    monkeypatch.setattr(page_template, "get_plotlyjs", lambda: script)
    assert f"<script>{told}</script>" in page(day)


def test_every_chart_has_its_figure_and_every_link_its_target(day):
    parsed = Page(page(day))
    charts = [attrs["data-figure"] for _, attrs in parsed.tags if attrs.get("class") == "chart"]
    assert sorted(map(str, charts)) == sorted(parsed.figures)
    assert len(charts) == 3  # two hubs and the network
    ids = {attrs.get("id") for _, attrs in parsed.tags}
    links = [str(attrs["href"])[1:] for tag, attrs in parsed.tags if tag == "a"]
    assert len(links) >= 5
    assert set(links) <= ids


def test_page_tells_the_key_figures_events_and_scenario(day):
    words = Page(page(day)).words
    summary = day.summary()
    for key in ("pv_kwh", "delivered_kwh", "islanded_h", "cost_net"):
        assert number(summary.at[key, "total"]) in words
    for text in ("depot", "mall", "on the secondary source (T2)", day.scenario.strip(), "2024-03-01 13:05:00"):
        assert text in words


def test_text_from_the_scenario_is_text_not_markup(tmp_path):
    hub = "h" + EVIL.replace("/", "|")  # a slash cannot be part of a path
    specs = [
        SeriesSpec(f"{hub}/{name}", EVIL, EVIL) for name in ("pv/p_kw", "bess/soc", "tariffs/buy_per_kwh", "grid/p_kw")
    ]
    root = attributes(EVIL, 10.0, scenario=f"name: '{EVIL}'", versions={EVIL: EVIL}, title=EVIL)
    sessions = [{"hub": hub, "id": EVIL, "arrival_s": 0.0, "departure_s": 5.0, "requested_kwh": 1.0}]
    with ResultWriter(tmp_path / "r.h5", root, specs, sessions) as writer:
        for index in range(len(specs)):
            writer.append(index, 0, 1.0)
        writer.event(1.0, EVIL, EVIL[:20], EVIL)
    with open_results(tmp_path / "r.h5") as results:
        parsed = Page(page(results))
        overview(results).savefig(io.BytesIO(), dpi=30)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 2 + len(parsed.figures)
    assert not any(tag == "img" or any(name.startswith("on") for name in attrs) for tag, attrs in parsed.tags)
    assert parsed.words.count(EVIL) >= 5  # shown as it was written


def test_data_in_scripts_hold_no_character_that_means_something_in_html(tmp_path):
    """JSON is told in escapes where it has markup, so that no reader of HTML takes it for some."""
    with ResultWriter(tmp_path / "r.h5", attributes("r", 10.0), [SeriesSpec("a/load/p_kw")]) as writer:
        writer.append(0, 0.0, 1.0)
        writer.event(1.0, "a.controller", "note", "</script><!--<script>&amp;'\"")
    with open_results(tmp_path / "r.h5") as results:
        text = page(results)
    (data,) = re.findall(r'<script type="application/json" id="figure-1">(.*?)</script>', text)
    assert not set("<>&'") & set(data)
    told = [text for trace in json.loads(data)["data"] for text in trace.get("text", ())]
    assert "note: &lt;/script&gt;&lt;!--&lt;script&gt;&amp;amp;&#x27;&quot;" in told  # markup to plotly.js, too


def test_a_month_of_54_connectors_is_a_page_below_10_mb(month, tmp_path):
    path = write_report(month, tmp_path / "new" / "report.html")
    assert path.stat().st_size < 10e6
    points = [
        len(unpacked(t["y"]))
        for t in hub_figure(month, "garage")["data"]
        if t["type"] == "scatter" and "bdata" in t["y"]
    ]
    assert max(points) <= 1501


def test_many_hubs_share_what_a_page_may_hold(tmp_path):
    hubs = {f"hub{n}": 40 for n in range(12)}
    specs = [
        SeriesSpec(f"{hub}/{name}", width=w)
        for hub in hubs
        for name, w in (("grid/p_kw", None), ("cp/connector_p_kw", 40))
    ]
    with ResultWriter(tmp_path / "r.h5", attributes("many", 4000 * 300.0), specs) as writer:
        rng = np.random.default_rng(3)
        for k in range(4000):
            for index in range(0, len(specs), 2):
                writer.append(index, k * 300.0, float(k % 97))
            if k % 50 == 0:
                for index in range(1, len(specs), 2):
                    writer.append(index, k * 300.0, rng.random(40))
    with open_results(tmp_path / "r.h5") as results:
        assert len(page(results)) < 9e6


@pytest.mark.filterwarnings("ignore:.*the run failed")
def test_a_failed_run_says_so_on_top(tmp_path):
    write_hubs(tmp_path / "r.h5", {"depot": 1}, status="failed")
    with open_results(tmp_path / "r.h5") as results:
        words = Page(page(results)).words
        overview(results)
    assert "The run failed; the data end at" in words


def test_runs_with_few_devices_or_none_have_a_page(tmp_path):
    for number_, series in enumerate(((), ("a/load/p_kw",), ("a/tariffs/buy_per_kwh",), ("a/cp/connector_p_kw",))):
        path = tmp_path / f"{number_}.h5"
        specs = [SeriesSpec(name, width=2 if "connector" in name else None) for name in series]
        with ResultWriter(path, attributes("bare", 60.0), specs) as writer:
            for index, spec in enumerate(specs):
                writer.append(index, 0.0, [1.0, 0.0] if spec.width else 1.0)
        with open_results(path) as results:
            assert "bare" in Page(page(results)).words
            for hub in results.hubs:
                overview(results, hub).savefig(io.BytesIO(), dpi=30)


# --- charts -----------------------------------------------------------------------------------------------------------


def test_figures_are_valid_plotly(day, month):
    for figure in (hub_figure(day, "depot"), hub_figure(month, "garage"), network_figure(day)):
        assert figure is not None
        go.Figure(figure)


@pytest.mark.parametrize("most", [20, 97, 10_000])
def test_areas_of_the_balance_are_the_energies(day, most):
    """Also when means are drawn: both directions of a power are averaged apart."""
    t_s, areas, step_s = views.balance(day, "depot", most)
    assert (step_s is None) == (most == 10_000)
    assert len(t_s) <= most
    summary = day.summary()["depot"]
    keys = {"PV": "pv_kwh", "grid import": "import_kwh", "grid export": "export_kwh", "battery charging": "bess_in_kwh"}
    drawn = {area.name: kpis.energy(t_s, area.p_kw, day.end_s) for area in areas}
    for name, key in keys.items():
        assert drawn[name] == pytest.approx(summary[key])


def test_sources_and_uses_have_the_same_height_at_every_time(day):
    _, areas, _ = views.balance(day, "depot")
    sources = sum(area.p_kw for area in areas if area.source)
    uses = sum(area.p_kw for area in areas if not area.source)
    np.testing.assert_allclose(sources, uses, atol=1e-9)


def test_connectors_without_an_ev_are_blank_and_idle_ones_are_not(day):
    cells = views.connectors(day, "depot", max_points=288)
    assert cells is not None
    t_s, p_kw, step_s = cells
    assert step_s == 300.0
    plugged = day.arrays("depot/cp/session")[1] >= 0
    t_change = day.arrays("depot/cp/session")[0]
    at = np.searchsorted(t_change, t_s, side="right") - 1
    np.testing.assert_array_equal(np.isfinite(p_kw.T), plugged[at])
    assert (p_kw == 0).any()


def test_power_of_a_connector_is_that_while_an_ev_is_there(tmp_path):
    specs = [SeriesSpec("a/cp/connector_p_kw", width=1), SeriesSpec("a/cp/session", width=1, dtype="i4")]
    with ResultWriter(tmp_path / "r.h5", attributes("c", 600.0), specs) as writer:
        for t_s, p_kw, session in ((0, 0.0, -1), (150, 8.0, 0), (300, 4.0, 0), (450, 0.0, -1)):
            writer.append(0, t_s, [p_kw])
            writer.append(1, t_s, [session])
    with open_results(tmp_path / "r.h5") as results:
        cells = views.connectors(results, "a", max_points=2)
    assert cells is not None
    assert cells[1].tolist() == [[8.0, 4.0]]


def test_who_waits_balks_and_gives_up_is_shown_and_every_session_begins_with_a_line(tmp_path):
    """One plugs in at 60 s, one waits from 120 s until it gives up at 600 s, one finds no place at 300 s."""
    series = [
        SeriesSpec("a/cp/queue", dtype="i4"),
        SeriesSpec("a/cp/connector_p_kw", "kW", width=1),
        SeriesSpec("a/cp/session", dtype="i4", width=1),
    ]
    arrivals = {"in<1>": 60.0, "waits": 120.0, "balks": 300.0}
    sessions = [
        {"hub": "a", "id": name, "arrival_s": at, "departure_s": 3000.0, "requested_kwh": 10.0}
        for name, at in arrivals.items()
    ]
    with ResultWriter(tmp_path / "r.h5", attributes("r", 3600.0), series, sessions) as writer:
        for t_s, waiting in ((0.0, 0), (120.0, 1), (600.0, 0)):
            writer.append(0, t_s, waiting)
        for t_s, session in ((0.0, -1), (60.0, 0), (3000.0, -1)):
            writer.append(1, t_s, [0.0])
            writer.append(2, t_s, [session])
        writer.session_end("a", 0, 0, 60.0, 3000.0, 7.5, np.nan, "served")
        writer.session_end("a", 1, -1, np.nan, 600.0, 0.0, np.nan, "reneged")
        writer.session_end("a", 2, -1, np.nan, 300.0, 0.0, np.nan, "balked")
    with open_results(tmp_path / "r.h5") as results:
        traces = {trace.get("name"): trace for trace in hub_figure(results, "a")["data"]}
    assert (traces["balked"]["x"], traces["balked"]["y"]) == (["2024-03-01T00:05:00"], [1.0])
    assert traces["balked"]["text"] == ["balks balked"]
    assert traces["reneged"]["x"] == ["2024-03-01T00:10:00"]
    assert unpacked(traces["queue"]["y"]).tolist() == [0, 1, 0, 0]
    assert (traces["session"]["x"], traces["session"]["y"]) == (["2024-03-01T00:01:00"], [1])
    assert traces["session"]["text"] == ["in&lt;1&gt;: 7.5 of 10 kWh, connector 1, 49 min"]


def test_hub_where_nobody_ever_waits_has_no_queue(day):
    assert "Queue" not in str(hub_figure(day, "depot")["layout"]["annotations"])


def test_an_outage_is_shaded_for_as_long_as_it_lasts(day):
    shapes = hub_figure(day, "depot")["layout"]["shapes"]
    periods = {(shape["x0"], shape["x1"]) for shape in shapes}
    assert periods == {
        ("2024-03-01T13:00:00", "2024-03-01T13:05:00"),  # no supply
        ("2024-03-01T13:05:00", "2024-03-01T15:30:00"),  # islanded
    }


def test_a_dead_bus_leaves_a_gap_in_the_voltage(day):
    figure = hub_figure(day, "depot")
    trace = next(trace for trace in figure["data"] if trace.get("name") == "v_pu")
    voltage = unpacked(trace["y"])
    assert np.nanmin(voltage) > 0.9
    (dead,) = np.flatnonzero(np.isnan(voltage))
    assert trace["x"][dead - 1] == trace["x"][dead] == "2024-03-01T13:00:00"  # held right up to the outage
    assert trace["x"][dead + 1] == "2024-03-01T13:05:00"


def test_lines_reach_the_end_of_the_run(day):
    figure = Figure(day)
    figure.held(figure.panel("p", 100), np.array([0.0, 60.0]), np.array([1.0, 2.0]), None)
    (trace,) = figure.plotly()["data"]
    assert trace["x"][-1] == "2024-03-02T00:00:00"
    assert unpacked(trace["y"]).tolist() == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("end_s", "max_intervals", "min_s", "step_s"),
    [
        (60.0, 100, 0.0, 1.0),
        (86400.0, 1500, 0.0, 60.0),
        (86400.0, 1500, 300.0, 300.0),
        (31 * 86400.0, 1500, 0.0, 1800.0),
    ],
)
def test_resolution_is_round_and_fine_enough(end_s, max_intervals, min_s, step_s):
    assert views.resolution_s(end_s, max_intervals, min_s) == step_s


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "kWh", "0"),
        (-3e-4, "kWh", "0"),
        (7.0, "1", "7"),
        (12345.6, "kWh", "12\u202f346"),
        (-1234.5, "EUR", "\u22121\u202f234"),
        (123.45, "kWh", "123.5"),
        (12.345, "kWh", "12.35"),
        (0.012345, "h", "0.0123"),
        (99.96, "%", "100.0"),
        (0.98765, "pu", "0.9877"),
        (float("nan"), "kWh", "–"),
    ],
)
def test_numbers_for_people(value, unit, text):
    assert number(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 s"), (90, "1 min 30 s"), (900, "15 min"), (9000, "2 h 30 min"), (31 * 86400, "31 d"), (0.25, "0.25 s")],
)
def test_lengths_of_time_for_people(seconds, text):
    assert duration(seconds) == text


# --- the picture ------------------------------------------------------------------------------------------------------


def test_overview_draws_a_panel_for_each_thing_a_hub_has(day):
    figure = overview(day, "mall")
    labels = [axes.get_ylabel().split("\n")[0] for axes in figure.axes]
    assert labels == ["power [kW]", "battery", "connector", "voltage", "kW"]
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    file.seek(0)
    assert imread(file).std() > 0.1


@pytest.mark.parametrize("days", [3, 31])
def test_time_axis_tells_the_first_and_the_last_instant_and_not_the_date_of_the_last_tick(tmp_path, days):
    with open_results(write_hubs(tmp_path / "run.h5", {"depot": 2}, days=days)) as results:
        figure = overview(results)
        figure.savefig(io.BytesIO(), dpi=30)
        axes = [axes for axes in figure.axes if axes.get_xlabel()]
        begin, end = results.start, results.start + np.timedelta64(days, "D")
        assert [a.get_xlabel() for a in axes] == [
            f"{begin:%a %d %b %Y %H:%M} to {end:%a %d %b %Y %H:%M} (UTC{begin:%z})"
        ]
        assert axes[0].xaxis.get_offset_text().get_text() == ""


def test_overview_of_an_unknown_hub_is_an_error(day):
    with pytest.raises(ValueError, match="hub must be one of depot, mall, got 'dock'"):
        overview(day, "dock")
