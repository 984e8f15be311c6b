"""Pages as a browser shows them: nothing fetched, no errors, charts drawn, one time axis, toggles and keys work.

With the environment variable EVHUB_SCREENSHOTS, pictures of the pages are kept in the folder it names.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from evhub.analysis import ResultWriter, SeriesSpec, open_results
from evhub.analysis.comparison.paired_statistics import compare
from evhub.analysis.comparison.run_figures import collect
from evhub.analysis.report.html import page_template
from evhub.analysis.report.html.comparison_page import write_page
from evhub.analysis.report.html.run_page import write_report

from ..helpers.chromium import PROGRAM, Chromium
from ..helpers.sample_results import attributes, write_hubs

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on the path: pages are not tried in a browser")

OUTAGE = ((46800.0, 55800.0),)
VISIBLE = "[...document.querySelectorAll('.chart')].filter(box => !box.closest('details:not([open])'))"
PRECEDING = 2
RANGES = f"{VISIBLE}.map(box => box._fullLayout.xaxis.range.join())"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of one run and one of two, of which the second has an outage."""
    folder = tmp_path_factory.mktemp("pages")
    files = {
        "calm": write_hubs(folder / "calm.h5", {"depot": 4, "mall": 2}),
        "outage": write_hubs(folder / "outage.h5", {"depot": 4, "mall": 2}, outages=OUTAGE, seed=1),
    }
    with ExitStack() as opened:
        runs = {name: opened.enter_context(open_results(path)) for name, path in files.items()}
        return write_report(runs["outage"], folder / "one.html"), write_report(runs, folder / "two.html")


def keep(browser: Chromium, name: str) -> None:
    folder = os.environ.get("EVHUB_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")


@pytest.mark.parametrize("number", [0, 1])
def test_page_opens_without_errors_and_fetches_nothing(browser, pages, number):
    browser.open(pages[number])
    keep(browser, pages[number].stem)
    assert browser.troubles() == []
    assert browser.ask(f"{VISIBLE}.length") >= 3 - number  # the feeder of several runs is folded
    assert browser.ask(f"{VISIBLE}.every(box => box.querySelectorAll('.scatterlayer .trace').length > 2)")


def test_click_on_the_legend_hides_a_layer(browser, pages):
    browser.open(pages[0])
    browser.click(".chart .legendtoggle")
    browser.wait("document.querySelector('.chart').data.some(trace => trace.visible === 'legendonly')")
    assert browser.troubles() == []


def test_charts_share_their_time_axis_also_those_that_are_opened_later(browser, pages):
    browser.open(pages[1])
    four_hours = "{'xaxis.range': ['2024-03-01 10:00', '2024-03-01 14:00']}"
    browser.ask(f"Plotly.relayout(document.querySelector('.chart'), {four_hours}).then(() => 0)")
    browser.wait(f"new Set({RANGES}).size === 1")
    before = browser.ask(f"{VISIBLE}.length")
    browser.click("details summary")
    browser.ask("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.wait(f"{VISIBLE}.every(box => box._fullLayout && box.querySelector('.cartesianlayer .subplot'))")
    ranges = browser.ask(RANGES)
    assert len(ranges) > before
    assert {text[:13] for text in ranges} == {"2024-03-01 10"}
    assert browser.troubles() == []


def test_keys_zoom_move_and_show_all_again(browser, pages):
    browser.open(pages[0])
    whole = browser.ask(RANGES)
    browser.ask("document.querySelector('.chart').focus()")
    browser.press("+")
    browser.wait(f"new Set({RANGES}).size === 1 && {RANGES}[0] !== {whole[0]!r}")
    zoomed = browser.ask(RANGES)
    assert zoomed[0].startswith("2024-03-01 04:48")  # a fifth of a day from the left
    browser.press("ArrowRight")
    browser.wait(f"{RANGES}[0] !== {zoomed[0]!r}")
    browser.press("0")
    browser.wait(f"{RANGES}.every(range => range === {whole[0]!r})")
    assert browser.troubles() == []


@pytest.fixture
def phone(browser):
    browser.become_phone()
    yield browser
    browser.become_phone(False)


@pytest.mark.parametrize("number", [0, 1])
def test_page_fits_a_phone_and_nothing_on_it_lies_on_something_else(phone, pages, number):
    phone.open(pages[number])
    keep(phone, f"{pages[number].stem}-phone")
    assert phone.troubles() == []
    assert phone.ask("document.documentElement.scrollWidth") == 390
    boxes = "selector => [...document.querySelectorAll(selector)].map(one => one.getBoundingClientRect())"
    meet = "(a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1"
    over = f"""(() => {{
      const boxes = {boxes}, meet = {meet}, titles = boxes('.chart .annotation');
      const others = ['.modebar-group', '.legend', '.xaxislayer-above text', '.cbbg', '.subplot .bg']
        .flatMap(selector => boxes('.chart ' + selector)).filter(box => box.width > 0);
      return [titles.length, titles.filter(title => others.some(other => meet(title, other))).length];
    }})()"""
    found, covered = phone.ask(over)
    assert found >= 3
    assert covered == 0
    widths = "[...document.querySelectorAll('#events td:last-child')].map(cell => cell.clientWidth)"
    assert min(phone.ask(widths)) >= 200


def test_finger_on_a_chart_scrolls_the_page_and_does_not_zoom(phone, pages):
    phone.open(pages[0])
    before = phone.ask(RANGES)
    phone.ask("document.querySelector('.chart .nsewdrag').scrollIntoView({behavior: 'instant', block: 'center'})")
    top = phone.ask("scrollY")
    phone.swipe(".chart .nsewdrag", 200)
    phone.wait(f"scrollY > {top} + 100")
    assert phone.ask(RANGES) == before


def test_text_is_shown_before_the_script_of_the_charts_is_read(browser, pages):
    browser.open(pages[0])
    script = "[...document.scripts].find(one => one.textContent.length > 1e6)"
    assert browser.ask(f"{script}.compareDocumentPosition(document.querySelector('footer'))") == PRECEDING


def test_events_are_filtered_by_what_is_typed(browser, pages):
    browser.open(pages[1])
    rows = "[...document.querySelectorAll('#events tbody tr')].filter(row => !row.hidden).length"
    all_rows = browser.ask(rows)
    browser.ask("document.querySelector('input[data-table]').focus()")
    for letter in "retransfer":
        browser.press(letter)
    assert 0 < browser.ask(rows) < all_rows


DRAWINGS = """[...document.querySelectorAll('.chart')].map(box => {
  const random = [box._fullLayout._uid, ...box._fullData.map(trace => trace.uid)];
  return random.reduce((text, uid) => text.replaceAll(uid, ''), box.querySelector('.main-svg').outerHTML);
})"""


def test_page_draws_the_same_as_with_plotly_as_it_is_delivered(browser, pages, tmp_path, monkeypatch):
    browser.open(pages[0])
    version, drawings = browser.ask("Plotly.version"), browser.ask(DRAWINGS)
    monkeypatch.setattr(page_template, "plotly_script", get_plotlyjs)
    with open_results(pages[0].parent / "outage.h5") as results:
        twin = write_report(results, tmp_path / "twin.html")
    assert twin.read_text() != pages[0].read_text()
    browser.open(twin)
    assert browser.ask("Plotly.version") == version
    assert browser.ask(DRAWINGS) == drawings
    assert all(len(drawing) > 10_000 for drawing in drawings)


HARM = "\"'><script>window.harmed = 1</script><!-- <script>&lt;<img src=x onerror=window.harmed=1>&amp;${harmed}"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Pages of runs in which every name and text is markup: of one, of two, and of a comparison."""
    folder = tmp_path_factory.mktemp("hostile")
    hub = HARM.replace("/", "|")  # a slash cannot be part of a path
    signals = {"grid/p_kw": 2.0, "load/p_kw": 2.0, "bess/soc": 0.5, "cp/queue": 1.0, "tariffs/buy_per_kwh": 0.3}
    paths = []
    for number in range(2):
        root = attributes(HARM, 100.0, title=HARM, scenario=f"name: {HARM}\n", versions={HARM: HARM}, controller=HARM)
        specs = [SeriesSpec(f"{hub}/{name}", f"{HARM}/kWh", HARM) for name in signals]
        session = {"hub": hub, "id": HARM, "arrival_s": 5.0, "departure_s": 50.0, "requested_kwh": 1.0}
        paths.append(folder / f"{number}.h5")
        with ResultWriter(paths[-1], root, specs, [session]) as writer:
            for index, value in enumerate(signals.values()):
                writer.append(index, 0.0, value + number)
            writer.session_end(hub, 0, -1, float("nan"), 9.0, 0.0, float("nan"), "balked")
            # sources, kinds and names have a fixed width: what is longer is cut
            writer.event(1.0, HARM, HARM, HARM)
            writer.diagnostic(f"<img src=x onerror=window.harmed=1>/{number}_s", 1.0, 0.1)
    opened = [open_results(path) for path in paths]
    named = {f"{number}{HARM}": results for number, results in enumerate(opened)}
    comparison = compare(collect(opened, named), random=False)
    yield (
        write_report(opened[0], folder / "one.html"),
        write_report(named, folder / "two.html"),
        write_page(comparison, named, folder / "three.html", notes=[HARM], failures=[(HARM, 1, HARM)]),
    )
    for results in opened:
        results.close()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_names_and_texts_that_are_markup_do_no_harm(browser, hostile, number):
    browser.open(hostile[number])
    browser.ask("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.wait(f"{VISIBLE}.every(box => box.querySelector('.cartesianlayer .subplot'))")
    assert browser.troubles() == []
    assert browser.ask("window.harmed === undefined")
    assert browser.ask("document.querySelectorAll('img, iframe, [onerror]').length") == 0
    figures = browser.ask("document.querySelectorAll('script[type]').length")
    assert browser.ask("document.scripts.length") == figures + 2  # plotly.js and that of the page
    assert browser.ask("document.querySelector('h1').textContent").count(HARM) >= 1
    assert browser.ask("document.querySelector('main').textContent").count(HARM) >= 3
