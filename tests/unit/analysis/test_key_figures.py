"""The registry of key figures: one declaration each, the page of definitions, figures that packages or users add."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import evhub
from evhub.analysis import ResultWriter, SeriesSpec, open_results
from evhub.analysis.kpis import key_figure_registry as registry
from evhub.analysis.kpis.key_figure import KeyFigure
from evhub.analysis.report.key_figure_reference import reference
from evhub.analysis.results.own_figures import own_figures_of
from evhub.analysis.results.result_writer import append_own_figures
from evhub.analysis.results.summary_table import better

from ...helpers.sample_results import attributes

HERE = __file__
PAGE = Path(__file__).parents[3] / "docs" / "kpis.md"


@evhub.key_figure(unit="kWh", better="more")
def twice_import(hub):
    """Two times what is imported."""
    return 2 * hub.value("import_kwh")


@evhub.key_figure(unit="%", total="ratio")
def share_of_load(hub):
    """Of all import."""
    return hub.value("load_kwh"), hub.value("import_kwh")


@evhub.key_figure(unit="1")
def raises(hub):
    """Nothing."""
    return 1 / (hub.end_s - hub.end_s)


@evhub.key_figure(unit="1")
def is_nan(hub):
    """Nothing."""
    return np.nan


@evhub.key_figure(unit="1")
def is_text(hub):
    """Nothing."""
    return "three"


@evhub.key_figure(unit="1", total="ratio")
def is_no_pair(hub):
    """Nothing."""
    return 3.0


@evhub.key_figure(unit="1")
def only_where_there_is_pv(hub):
    """Nothing here."""
    return None


@evhub.key_figure(unit="money/h")
def asks_for_itself(hub):
    """Nothing."""
    return hub.value("asks_for_itself")


BROKEN = (raises, is_nan, is_text, is_no_pair, asks_for_itself)


def write(path, key_figures=()):
    """Two hubs that import 4 and 6 kWh in an hour; all and half of it for the load."""
    powers = {"a/grid/p_kw": 4.0, "a/load/p_kw": 4.0, "b/grid/p_kw": 6.0, "b/load/p_kw": 3.0}
    specs = [SeriesSpec(name, "kW") for name in powers]
    with ResultWriter(path, attributes("r", 3600.0, hubs=["a", "b"]), specs) as writer:
        for name, p_kw in powers.items():
            writer.append(name, 0.0, p_kw)
    with open_results(path) as results:
        stored = own_figures_of(results, key_figures)
    append_own_figures(path, stored)
    return path


def test_every_key_figure_is_declared_once_with_unit_and_definition():
    figures = [figure for group in registry.GROUPS for figure in group.figures()]
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) > 60
    assert [figure.name for figure in figures if not (figure.unit and figure.text and figure.description)] == []
    assert list(better())[: len(names)] == names


def test_page_of_definitions_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference(), "make docs writes it"


def test_page_names_every_figure_and_keeps_the_sources():
    text = reference()
    assert all(f"| `{name}` |" in text for name in registry.built_in_figures())
    for source in (
        "Luthander et al. 2015",
        "eq. (11)",
        "Jain, Chiu & Hawe 1984",
        "IEEE 1366",
        "EN 50160",
        "GHG Protocol",
    ):
        assert source in text


def test_own_figure_has_values_total_and_direction_in_the_result_alone(tmp_path):
    path = write(tmp_path / "r.h5", key_figures=(twice_import, share_of_load))
    with open_results(path) as results:
        table = results.summary()
        assert better(results)["twice_import"] == "more"
    assert table.loc["twice_import", ["a", "b", "total"]].tolist() == [8.0, 12.0, 20.0]
    assert table.loc["share_of_load", ["a", "b", "total"]].tolist() == [100.0, 50.0, 70.0]
    assert table.at["twice_import", "quantity"] == "twice import"
    assert table.attrs["problems"] == {}


def test_figure_can_be_tried_on_a_result_that_is_there(tmp_path):
    with open_results(write(tmp_path / "r.h5")) as results:
        assert results.summary([twice_import]).at["twice_import", "total"] == 20.0
        assert "twice_import" not in results.summary().index


def test_figure_cannot_take_the_name_of_another(tmp_path):
    mine = KeyFigure("import_kwh", "kWh", "mine", lambda hub: 1.0)
    with (
        open_results(write(tmp_path / "r.h5")) as results,
        pytest.raises(ValueError, match="other names than import_kwh"),
    ):
        results.summary([mine])


def test_figure_that_applies_to_no_hub_is_no_row_and_no_problem(tmp_path):
    with open_results(write(tmp_path / "r.h5")) as results:
        table = results.summary([only_where_there_is_pv])
    assert "only_where_there_is_pv" not in table.index
    assert table.attrs["problems"] == {}


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (raises, "ZeroDivisionError: float division by zero at hub a"),
        (is_nan, "must return a number or None, got nan at hub a"),
        (is_text, "must return a number or None, got 'three' at hub a"),
        (is_no_pair, "must return (part, whole) or None, got 3.0 at hub a"),
        (asks_for_itself, "RecursionError: "),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_figure_that_fails_is_unknown_and_named_with_file_and_line(tmp_path, figure, reason):
    path = write(tmp_path / "r.h5", key_figures=(figure, twice_import))
    with open_results(path) as results:
        table = results.summary()
        assert results.status == "complete"
    problem = table.attrs["problems"][figure.name]
    assert problem.startswith(f"key figure {figure.name} ({HERE}:")
    assert reason in problem
    assert "\n" not in problem
    assert np.isnan(table.loc[figure.name, ["a", "b", "total"]].astype(float)).all()
    assert table.at["twice_import", "total"] == 20.0


def test_line_of_a_problem_is_that_of_the_error(tmp_path):
    with open_results(write(tmp_path / "r.h5")) as results:
        problem = results.summary([raises]).attrs["problems"]["raises"]
    line = int(problem.partition(f"{HERE}:")[2].partition(")")[0])
    assert "1 / (hub.end_s - hub.end_s)" in Path(HERE).read_text().splitlines()[line - 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "1", "better": "lower"}, "better must be 'less', 'more' or '', got 'lower'"),
        ({"unit": "1", "total": "median"}, "total must be sum, max, min, mean, ratio or a function, got 'median'"),
    ],
)
def test_declaration_that_means_nothing_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evhub.key_figure(**options)


# --- packages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(monkeypatch):
    """Register an object as a key figure of a package."""

    def register(name, value):
        entry = SimpleNamespace(
            name=name, value=f"pack.figures:{name}", dist=SimpleNamespace(name="pack"), load=lambda: value
        )
        monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.GROUP else [])
        registry._of_packages.cache_clear()

    yield register
    monkeypatch.undo()
    registry._of_packages.cache_clear()


def test_figure_of_a_package_is_computed_for_every_result(tmp_path, package):
    path = write(tmp_path / "r.h5")
    package("twice_import", twice_import)
    with open_results(path) as results:
        assert results.summary().at["twice_import", "total"] == 20.0
    assert better()["twice_import"] == "more"


def test_stored_figure_is_not_computed_again_by_a_package_of_the_same_name(tmp_path, package):
    path = write(tmp_path / "r.h5", key_figures=(twice_import,))
    package("twice_import", evhub.key_figure(unit="kWh")(lambda hub: 0.0))
    with open_results(path) as results:
        assert results.summary().at["twice_import", "total"] == 20.0


def test_figure_of_a_package_that_is_none_is_reported_and_nothing_else_is_lost(tmp_path, package):
    path = write(tmp_path / "r.h5")
    package("cost_net", evhub.key_figure(unit="1")(lambda hub: 1.0))
    with open_results(path) as results:
        table = results.summary()
    (problem,) = table.attrs["problems"].values()
    assert problem.startswith("package pack: key figure cost_net (pack.figures:cost_net) cannot be used: ")
    assert table.at["import_kwh", "total"] == 10.0
