"""What can be asked of a run: exact series, frames, sessions, events."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from evhub.analysis import ResultError, Results, ResultWriter, SeriesSpec, open_results
from evhub.analysis.kpis import step_signals as steps

from ...helpers.sample_results import attributes, write_hubs
from ...helpers.sizes import examples


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A day of two hubs with an outage from 13:00 to 15:30."""
    path = tmp_path_factory.mktemp("results") / "day.h5"
    with open_results(write_hubs(path, {"depot": 4, "mall": 2}, outages=((46800.0, 55800.0),))) as results:
        yield results


def small(path: Path, end_s: float = 100.0, **more) -> Results:
    """One signal with known values, one array, one enumeration."""
    specs = [
        SeriesSpec("a/pv/p_kw", "kW", "PV power"),
        SeriesSpec("a/cp/soc", "1", "state of charge", 2),
        SeriesSpec("a/ats/bus", "", "bus", None, "i1", {0: "dead", 1: "grid"}),
    ]
    sessions = [
        {
            "hub": "a",
            "id": f"s{n}",
            "arrival_s": 10.0 * n,
            "departure_s": 90.0,
            "requested_kwh": 10.0,
            "connector": None,
        }
        for n in range(4)
    ]
    with ResultWriter(path, attributes("small", end_s, **more), specs, sessions) as writer:
        for t_s, p_kw in ((10.0, 6.0), (40.0, 0.0), (70.5, 3.0)):
            writer.append("a/pv/p_kw", t_s, p_kw)
        writer.append("a/cp/soc", 0.0, [np.nan, 0.5])
        writer.append("a/cp/soc", 50.0, [0.25, 0.5])
        writer.append("a/ats/bus", 0.0, 1)
        writer.event(50.0, "a.ats", "late", "second")
        writer.event(20.0, "a.ats", "early", "first")
        writer.session_end("a", 0, 1, 15.0, 90.0, 8.0, 0.9, "served")
        writer.session_end("a", 1, -1, np.nan, 10.0, 0.0, np.nan, "balked")
        writer.session_end("a", 2, -1, np.nan, 55.0, 0.0, np.nan, "reneged")
    return open_results(path)


# --- step-held signals ------------------------------------------------------------------------------------------------

signals = st.lists(st.tuples(st.floats(0.01, 50), st.floats(-1e3, 1e3)), min_size=1, max_size=20).map(
    lambda rows: (np.cumsum([row[0] for row in rows]) - rows[0][0], np.array([row[1] for row in rows]))
)


@given(signals, st.floats(0.5, 40), st.floats(0.1, 2000))
def test_means_times_lengths_are_the_integral(held, every_s, end_s):
    t_s, values = held
    edges = steps.edges(end_s, every_s)
    lengths = np.diff(np.minimum(edges, end_s))
    means = steps.mean(t_s, values, edges, end_s)
    assert_allclose(np.nansum(means * lengths), steps.integral(t_s, values, end_s), rtol=1e-9, atol=1e-6)


@given(signals, st.floats(0.5, 40))
def test_means_lie_between_the_extremes(held, every_s):
    t_s, values = held
    end_s = float(t_s[-1]) + 1
    edges = steps.edges(end_s, every_s)
    low, high = steps.extremes(t_s, values, edges, end_s)
    means = steps.mean(t_s, values, edges, end_s)
    assert (low <= means + 1e-9).all()
    assert (means <= high + 1e-9).all()


@given(signals)
def test_columns_of_an_array_are_treated_like_single_signals(held):
    t_s, values = held
    end_s = float(t_s[-1]) + 3
    both = np.column_stack([values, -2 * values])
    edges = steps.edges(end_s, 7.0)
    assert_allclose(steps.mean(t_s, both, edges, end_s)[:, 1], -2 * steps.mean(t_s, values, edges, end_s), atol=1e-9)
    assert_allclose(steps.integral(t_s, both, end_s), [steps.integral(t_s, column, end_s) for column in both.T])
    assert_array_equal(steps.hold(t_s, both, edges)[:, 0], steps.hold(t_s, values, edges))


def test_nothing_is_known_before_the_first_value():
    t_s, values = np.array([5.0]), np.array([2.0])
    assert_array_equal(steps.hold(t_s, values, np.array([4.9, 5.0, 9.0])), [np.nan, 2.0, 2.0])
    assert_array_equal(steps.mean(t_s, values, np.array([0.0, 4.0, 8.0]), 8.0), [np.nan, 2.0])
    assert_array_equal(steps.hold(np.empty(0), np.empty(0), np.array([1.0])), [np.nan])


def test_periods_begin_and_end_with_the_condition_and_have_a_length():
    t_s = np.array([0.0, 10.0, 10.0 + 1e-9, 20.0, 30.0])
    begin_s, end_s = steps.episodes(t_s, np.array([True, True, False, True, True]), 30.0)
    assert begin_s.tolist() == [0.0, 20.0]
    assert_allclose(end_s, [10.0, 30.0])


# --- series and frames ------------------------------------------------------------------------------------------------


def test_series_stand_at_their_exact_times_in_the_zone_of_the_start(tmp_path):
    series = small(tmp_path / "r.h5").series("a.pv.p_kw")
    assert list(series) == [6.0, 0.0, 3.0]
    assert series.index[2].isoformat() == "2024-03-01T00:01:10.500000-03:00"
    assert series.attrs == {"unit": "kW", "description": "PV power"}


def test_arrays_become_columns_and_enumerations_tell_their_codes(tmp_path):
    results = small(tmp_path / "r.h5")
    assert results.series("a/cp/soc").shape == (2, 2)
    assert results.series("a/ats/bus").attrs["codes"] == {0: "dead", 1: "grid"}


def test_time_zone_follows_daylight_saving(tmp_path):
    start = {"start": "2024-03-30T23:00:00+01:00", "time_zone": "Europe/Berlin"}
    results = small(tmp_path / "r.h5", end_s=86400.0, **start)
    assert [str(time) for time in results.times([0.0, 7200.0, 10800.0])] == [
        "2024-03-30 23:00:00+01:00",
        "2024-03-31 01:00:00+01:00",
        "2024-03-31 03:00:00+02:00",
    ]


def test_frame_without_a_step_has_every_change_of_any_signal(tmp_path):
    frame = small(tmp_path / "r.h5").frame(["a/pv/p_kw", "a.cp.soc"])
    assert list(frame.columns) == ["a/pv/p_kw", "a/cp/soc[0]", "a/cp/soc[1]"]
    assert frame.attrs["units"] == {"a/pv/p_kw": "kW", "a/cp/soc[0]": "1", "a/cp/soc[1]": "1"}
    assert_array_equal(frame["a/pv/p_kw"], [np.nan, 6.0, 0.0, 0.0, 3.0])
    assert_array_equal(frame["a/cp/soc[0]"], [np.nan, np.nan, np.nan, 0.25, 0.25])


def test_frame_with_a_step_holds_or_averages(tmp_path):
    results = small(tmp_path / "r.h5")
    held = results.frame("a/pv/p_kw", every="30s")
    assert_array_equal(held["a/pv/p_kw"], [np.nan, 6.0, 0.0, 3.0])
    mean = results.frame("a/pv/p_kw", every="30s", how="mean")
    assert_allclose(mean["a/pv/p_kw"], [6.0, 2.0, 3.0 * 19.5 / 30, 3.0])
    assert list(mean.index) == list(held.index)
    assert str(mean.index[1]) == "2024-03-01 00:00:30-03:00"


def test_codes_of_an_enumeration_are_not_averaged(tmp_path):
    specs = [SeriesSpec("a/ats/bus", dtype="i4", codes={0: "dead", 2: "secondary"}), SeriesSpec("a/grid/p_kw", "kW")]
    with ResultWriter(tmp_path / "r.h5", attributes("r", 120.0), specs) as writer:
        for t_s, bus in ((0.0, 0), (30.0, 2)):
            writer.append("a/ats/bus", t_s, bus)
            writer.append("a/grid/p_kw", t_s, float(bus))
    with open_results(tmp_path / "r.h5") as results:
        frame = results.frame("*", every="1min", how="mean")
    assert frame["a/ats/bus"].tolist() == [0.0, 2.0]
    assert frame["a/grid/p_kw"].tolist() == [1.0, 2.0]


def test_mean_of_a_value_that_is_partly_unknown_is_that_of_the_known_part(tmp_path):
    frame = small(tmp_path / "r.h5").frame("a/cp/soc", every="100s", how="mean")
    assert frame.iloc[0].tolist() == [0.25, 0.5]


def test_energy_is_the_same_at_every_step(day):
    def energy(every: str) -> float:
        frame = day.frame("*/cp/p_kw", every=every, how="mean")
        return float(frame.to_numpy().sum() * pd.Timedelta(every).total_seconds() / 3600)

    exact = sum(steps.integral(*day.arrays(f"{hub}/cp/p_kw"), day.end_s) for hub in day.hubs) / 3600
    assert exact > 10
    for every in ("1min", "7.5min", "1h", "1D"):
        assert energy(every) == pytest.approx(exact, rel=1e-12)


def test_patterns_choose_signals_and_power_balances_at_every_instant(day):
    frame = day.frame("depot/*/p_kw")
    assert list(frame.columns) == [
        f"depot/{device}/p_kw" for device in ("bess", "cp", "grid", "load", "pv", "secondary")
    ]
    sources = frame[[f"depot/{device}/p_kw" for device in ("grid", "secondary", "pv", "bess")]].sum(axis=1)
    uses = frame[["depot/load/p_kw", "depot/cp/p_kw"]].sum(axis=1)
    assert_allclose(sources, uses, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"every": "5min", "how": "max"}, "how must be"),
        ({"how": "mean"}, "with every=None"),
        ({"every": "0s"}, "every must be > 0"),
        ({"every": "-5min"}, "every must be > 0"),
    ],
)
def test_frame_refuses_what_makes_no_sense(day, options, match):
    with pytest.raises(ValueError, match=match):
        day.frame("*", **options)


def test_a_misspelt_signal_is_an_error_that_names_the_nearest(day):
    with pytest.raises(ResultError, match=r"no signal 'depot\.bess\.p_kv'; did you mean .*depot/bess/p_kw"):
        day.series("depot.bess.p_kv")
    with pytest.raises(ResultError, match="no signal 'nowhere/"):
        day.frame(["depot/pv/p_kw", "nowhere/*"])


def test_signals_lists_everything_hub_by_hub(day):
    table = day.signals()
    assert table.loc["depot/cp/soc"].tolist()[:3] == ["1", "state of charge of each EV", 4]
    hubs = [path.split("/")[0] for path in table.index]
    assert list(dict.fromkeys(hubs)) == ["depot", "mall", "network"]
    assert (table["n"] > 0).all()


def test_a_signal_that_never_came_is_empty_not_an_error(tmp_path):
    ResultWriter(tmp_path / "r.h5", attributes("e", 60.0), [SeriesSpec("a/pv/p_kw"), SeriesSpec("a/bess/p_kw")]).close()
    results = open_results(tmp_path / "r.h5")
    assert results.series("a/pv/p_kw").empty
    assert results.frame("*", every="30s", how="mean").isna().to_numpy().all()
    assert results.frame("*").empty
    assert results.summary().loc["pv_kwh", "total"] == 0


# --- events and sessions ----------------------------------------------------------------------------------------------


def test_events_are_in_order_of_time(tmp_path):
    events = small(tmp_path / "r.h5").events()
    assert events["text"].tolist() == ["first", "second"]
    assert str(events.index[0]) == "2024-03-01 00:00:20-03:00"


def test_sessions_are_joined_with_what_became_of_them(tmp_path):
    table = small(tmp_path / "r.h5").sessions().set_index("id")
    assert table["outcome"].tolist() == ["served", "balked", "reneged", None]
    assert table["connector"].tolist() == [1, -1, -1, -1]
    assert_array_equal(table["missed_kwh"], [2.0, 10.0, 10.0, np.nan])
    assert_array_equal(table["waiting_s"], [15.0, np.nan, 35.0, np.nan])
    assert str(table["arrival"]["s1"]) == "2024-03-01 00:00:10-03:00"


def test_sessions_of_several_hubs_do_not_mix(day):
    table = day.sessions()
    assert set(table["hub"]) == {"depot", "mall"}
    assert (table["id"].str.split("-").str[0] == table["hub"]).all()
    for hub in day.hubs:
        own = table[table["hub"] == hub]
        assert own["session"].tolist() == list(range(len(own)))
        energy = steps.integral(*day.arrays(f"{hub}/cp/p_kw"), day.end_s) / 3600
        assert own["delivered_kwh"].sum() == pytest.approx(energy)


def test_a_run_without_sessions_has_an_empty_table(tmp_path):
    ResultWriter(tmp_path / "r.h5", attributes("e", 60.0), [SeriesSpec("a/pv/p_kw")]).close()
    table = open_results(tmp_path / "r.h5").sessions()
    assert table.empty
    assert {"outcome", "missed_kwh", "waiting_s", "arrival"} <= set(table.columns)


# --- status -----------------------------------------------------------------------------------------------------------


def test_a_complete_run_has_no_note_and_gives_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = small(tmp_path / "r.h5")
    assert (results.status, results.note) == ("complete", "")


def test_a_failed_run_says_so(tmp_path):
    write_hubs(tmp_path / "r.h5", {"depot": 1}, status="failed")
    with pytest.warns(UserWarning, match="the run failed; the data end at"):
        results = open_results(tmp_path / "r.h5")
    assert results.status == "failed"


def test_a_killed_run_says_so_and_all_of_it_ends_at_the_same_time(tmp_path):
    code = (
        "import os, sys\n"
        "from evhub.analysis import ResultWriter, SeriesSpec\n"
        "root = dict(name='k', start='2024-01-01T00:00:00+00:00', duration_s=1000.0)\n"
        "w = ResultWriter(sys.argv[1], root, [SeriesSpec('a/pv/p_kw'), SeriesSpec('a/load/p_kw')])\n"
        "for t in range(500):\n"
        "    w.append(0, t, 1.0)\n"
        "    if t == 400: w.append(1, t, 1.0); w.flush()\n"
        "    if t == 450: w.append(1, t, 99.0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.h5")], check=False)
    with pytest.warns(UserWarning, match="the run was killed; the data end at 400 s of 1000 s"):
        results = open_results(tmp_path / "r.h5")
    assert (results.status, results.end_s) == ("killed", 400.0)
    assert len(results.series("a/pv/p_kw")) == 400
    assert results.summary().loc["pv_kwh", "total"] == pytest.approx(400 / 3600)


def test_opening_reads_no_series(tmp_path, monkeypatch):
    small(tmp_path / "r.h5").close()
    monkeypatch.setattr(
        "evhub.analysis.results.result_file_reader.ResultReader.series", lambda *_: pytest.fail("read too early")
    )
    with open_results(tmp_path / "r.h5") as results:
        assert results.hubs == ["a"]
        assert len(results.signals()) == 3


@settings(max_examples=examples(20))
@given(start=st.datetimes(), t_s=st.integers(0, 366 * 86400))
def test_clock_and_times_agree_where_the_offset_is_fixed(tmp_path_factory, start, t_s):
    if not 1700 < start.year < 2200:
        return
    path = tmp_path_factory.mktemp("clock") / "r.h5"
    root = attributes("c", 1.0) | {"start": start.replace(microsecond=0).isoformat() + "+05:30"}
    ResultWriter(path, root, [SeriesSpec("a/pv/p_kw")]).close()
    with open_results(path) as results:
        assert results.times([t_s]).tz_localize(None)[0] == pd.Timestamp(results.clock([t_s])[0])
