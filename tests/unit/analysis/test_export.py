"""Results as tables, datasets and frames: the same numbers, their units, and clear words where something is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evhub.analysis import ResultError, open_results
from evhub.analysis.results import result_export as export

from ...helpers.command import evhub
from ...helpers.sample_results import write_hubs

STEP = {"every": "1h", "how": "mean"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_hubs(
        tmp_path_factory.mktemp("export") / "day.h5", {"depot": 3, "mall": 2}, outages=((46800.0, 55800.0),)
    )


@pytest.fixture(scope="module")
def day(file):
    with open_results(file) as results:
        yield results


def test_csv_has_the_numbers_of_the_results(day, tmp_path):
    written = export.export(day, tmp_path / "new" / "folder", **STEP)
    series = ["series-depot", "series-mall", "series-network", "log-depot", "log-mall"]
    names = [*series, "signals", "kpis", "sessions", "events", "diagnostics"]
    assert [path.stem for path in written] == names
    tables = {path.stem: pd.read_csv(path, index_col=0) for path in written}
    frame = day.frame("depot/*", **STEP)
    np.testing.assert_allclose(tables["series-depot"]["bess/soc"], frame["depot/bess/soc"])
    np.testing.assert_allclose(tables["series-depot"]["cp/connector_p_kw[2]"], frame["depot/cp/connector_p_kw[2]"])
    assert tables["series-depot"].index[1] == "2024-03-01T01:00:00.000000-0300"
    assert tables["kpis"].at["import_kwh", "mall"] == pytest.approx(day.summary().at["import_kwh", "mall"])
    assert len(tables["sessions"]) == len(day.sessions())
    assert tables["events"]["text"].tolist() == day.events()["text"].tolist()
    assert tables["signals"].at["depot/grid/p_kw", "unit"] == "kW"


def test_parquet_comes_back_as_it_was(day, tmp_path):
    pytest.importorskip("pyarrow")
    written = export.export(day, tmp_path, "parquet", "mall/*/p_kw")
    series = pd.read_parquet(written[0])
    expected = day.frame("mall/*/p_kw")
    assert list(series) == [name.removeprefix("mall/") for name in expected]
    np.testing.assert_array_equal(series.to_numpy(), expected.to_numpy())
    assert (series.index == expected.index).all()
    assert series.attrs["units"]["grid/p_kw"] == "kW"


def test_dataset_has_connectors_as_a_dimension(day):
    pytest.importorskip("xarray")
    data = export.to_xarray(day, ["depot/cp/*", "depot/load/unserved_kw", "mall/bess/soc"], every="15min")
    assert data["depot/cp/connector_p_kw"].dims == ("time", "depot/connector")
    assert data["depot/load/unserved_kw"].dims == ("time", "depot/load/unserved_kw/element")
    assert data.sizes["time"] == 96
    assert data["mall/bess/soc"].attrs["description"] == "state of charge"
    frame = day.frame("depot/cp/connector_p_kw", every="15min")
    np.testing.assert_array_equal(data["depot/cp/connector_p_kw"], frame)
    assert str(data["time"].values[0]).startswith("2024-03-01T03:00")  # UTC


def test_runs_are_aligned_by_their_instants(day, tmp_path):
    other = write_hubs(tmp_path / "other.h5", {"depot": 3, "mall": 2}, seed=1)
    with open_results(other) as second:
        both = export.aligned({"one": day, "two": second}, "*/grid/p_kw", every="1h", how="mean")
        np.testing.assert_array_equal(both["two", "mall/grid/p_kw"], second.frame("mall/grid/p_kw", **STEP).iloc[:, 0])
    assert both.shape == (24, 4)


def test_runs_of_different_days_are_not_aligned(day, tmp_path):
    other = write_hubs(tmp_path / "other.h5", {"depot": 3}, start="2024-03-02T00:00:00-03:00")
    with open_results(other) as second, pytest.raises(ResultError, match=r"same instant, got one .*-01T.* two .*-02T"):
        export.aligned({"one": day, "two": second}, "depot/grid/p_kw", every="1h")


@pytest.mark.parametrize("package", ["pyarrow", "xarray"])
def test_what_is_not_installed_is_named_with_its_extra(day, tmp_path, monkeypatch, package):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    extra = {"pyarrow": "sweep", "xarray": "xarray"}[package]
    with pytest.raises(export.MissingExtraError, match=f"needs {package}, .* extra '{extra}': pip install"):
        export.to_xarray(day) if package == "xarray" else export.export(day, tmp_path / "t", "parquet")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--format", "xls"), "--format: must be csv or parquet, got 'xls'"),
        (("--every", "15"), "--every: must be a length of time with its unit, such as 15min, got '15'"),
        (("--every=-5min",), "--every: must be a length of time with its unit, such as 15min, got '-5min'"),
        (("--signals", "q"), "no signal 'q'; there are those of depot/"),
        (("--every", "soon"), "--every: must be a length of time with its unit, such as 15min, got 'soon'"),
        (("--mean",), "--mean: must stand beside --every"),
        (("--signals", "depot/bes/soc"), "no signal 'depot/bes/soc'; did you mean depot/bess/soc"),
    ],
)
def test_wrong_calls_are_one_line_and_write_nothing(file, tmp_path, arguments, told):
    done = evhub("export", file, "-o", tmp_path / "t", *arguments)
    assert done.status == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "t").exists()


def test_folder_that_cannot_be_made_is_one_line(file, tmp_path):
    (tmp_path / "file").write_text("")
    done = evhub("export", file, "-o", tmp_path / "file" / "t")
    assert done.status == 2
    assert done.err == f"{tmp_path / 'file' / 't'}: cannot be read or written (Not a directory)\n"


def test_folder_with_something_in_it_is_refused(file, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = evhub("export", file, "-o", tmp_path)
    assert (done.status, done.err.count("must be empty; --force")) == (2, 1)
    assert evhub("export", file, "-o", tmp_path, "--force", "--every", "1h").status == 0
    assert (tmp_path / "kpis.csv").exists()
