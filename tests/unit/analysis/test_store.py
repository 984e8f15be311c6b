"""The result file: what is written is read back, exactly, also after the writer was killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis.results.result_file_reader import ResultReader
from evhub.analysis.results.result_layout import ResultError, SeriesSpec
from evhub.analysis.results.result_writer import ResultWriter

from ...helpers.sample_results import attributes
from ...helpers.sizes import examples

SESSIONS = [
    {"hub": "depot", "id": "ä1", "arrival_s": 0.0, "departure_s": 60.0, "requested_kwh": 5.0, "priority": None},
    {"hub": "depot", "id": "b2", "arrival_s": 5.0, "departure_s": 90.0, "requested_kwh": 7.5, "v2g": True},
]


def run(path: Path, specs=("depot/pv/p_kw",), sessions=(), duration_s: float = 100.0, **options) -> ResultWriter:
    series = [spec if isinstance(spec, SeriesSpec) else SeriesSpec(spec) for spec in specs]
    return ResultWriter(path, attributes("t", duration_s), series, sessions, **options)


def contents(path: Path) -> dict[str, bytes]:
    """Every dataset that belongs to 'same input -> same bytes'."""
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()}) if hasattr(item, "shape") else None)
    return {name: raw for name, raw in found.items() if not name.startswith("diagnostics")}


def test_values_come_back_exactly_with_type_unit_and_codes(tmp_path):
    specs = [
        SeriesSpec("depot/pv/p_kw", "kW", "Leistung der Anlage – PV"),
        SeriesSpec("depot/cp/session", "", "session", 3, "i4"),
        SeriesSpec("depot/ats/bus", "", "bus", None, "i1", {0: "dead", 1: "grid"}),
        SeriesSpec("depot/grid/available", "", "voltage", None, "?"),
    ]
    with run(tmp_path / "r.h5", specs) as writer:
        writer.append("depot/pv/p_kw", 0, 0.1)
        writer.append(0, 7.25, np.float64(np.pi))
        writer.append(1, 0.0, np.array([-1, 4, 2**31 - 1]))
        writer.append(2, 3.0, 1)
        writer.append(3, 3.0, False)
    with ResultReader(tmp_path / "r.h5") as reader:
        assert sorted(reader.paths()) == sorted(spec.path for spec in specs)
        for path, times, values in (
            ("depot/pv/p_kw", [0.0, 7.25], [0.1, np.pi]),
            ("depot/cp/session", [0.0], [[-1, 4, 2**31 - 1]]),
            ("depot/ats/bus", [3.0], [1]),
            ("depot/grid/available", [3.0], [False]),
        ):
            t_s, value = reader.series(path)
            assert t_s.tolist() == times
            assert value.tolist() == values
        spec, n = reader.spec("depot/ats/bus")
        assert (spec.dtype, spec.width, dict(spec.codes or {}), n) == ("|i1", None, {0: "dead", 1: "grid"}, 1)
        assert reader.spec("depot/pv/p_kw")[0].description == "Leistung der Anlage – PV"
        assert reader.spec("depot/cp/session")[0].width == 3
        assert (reader.status, reader.end_s) == ("complete", 100.0)


def test_root_attributes_come_back_also_long_nested_and_empty_ones(tmp_path):
    given_ = attributes("α <b>", 10.0, scenario="é: 1\n" * 50_000, empty="", missing=None, versions={"h5py": "3"})
    ResultWriter(tmp_path / "r.h5", given_, [SeriesSpec("b/pv/p_kw"), SeriesSpec("a/pv/p_kw")]).close()
    with ResultReader(tmp_path / "r.h5") as reader:
        for name, value in given_.items():
            assert reader.attributes.get(name) == value
        assert reader.attributes["hubs"] == ["b", "a"]


@settings(max_examples=examples(25))
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(-1e6, 1e6), st.booleans()), max_size=60),
    buffer_rows=st.integers(1, 5),
)
def test_last_value_at_a_time_wins_whatever_is_flushed_when(tmp_path_factory, rows, buffer_rows):
    path = tmp_path_factory.mktemp("store") / "r.h5"
    specs = ["a/x/y", "a/x/z", SeriesSpec("a/x/w", width=2)]
    expected: list[dict[float, float]] = [{}, {}, {}]
    t_s = 0.0
    with run(path, specs, duration_s=1e3, buffer_rows=buffer_rows, flush_s=1e9) as writer:
        for index, pause, value, flush in rows:
            t_s += pause
            expected[index][t_s] = value
            writer.append(index, t_s, [value, -value] if index == 2 else value)
            if flush:
                writer.flush()
    with ResultReader(path) as reader:
        for index, name in enumerate(("a/x/y", "a/x/z", "a/x/w")):
            t, values = reader.series(name)
            assert t.tolist() == list(expected[index])
            first = values if values.ndim == 1 else values[:, 0]
            assert first.tolist() == list(expected[index].values())
            assert values.ndim == 1 or (values[:, 1] == -values[:, 0]).all()


def test_same_data_gives_the_same_bytes_however_often_it_is_flushed(tmp_path):
    def write(path: Path, **options) -> dict[str, bytes]:
        with run(path, ["a/x/y", SeriesSpec("a/x/w", width=4)], SESSIONS, **options) as writer:
            for t in range(3000):
                writer.append(0, t // 2, np.sin(t))
                writer.append(1, t, np.full(4, t % 7))
                if t % 100 == 0:
                    writer.event(t, "a.x", "kind", f"text {t}")
                    writer.diagnostic("decision_s", t, time.perf_counter())
            writer.session_end("depot", 1, 0, 5.0, 90.0, 7.5, 0.8, "served")
        return contents(path)

    once = write(tmp_path / "once.h5", flush_s=1e9)
    often = write(tmp_path / "often.h5", flush_s=0.0, buffer_rows=3)
    assert {"series/a/x/y/value", "events/text", "session_ends", "sessions/id"} <= once.keys()
    assert once == often


def test_time_that_runs_backwards_is_refused_and_nothing_is_lost(tmp_path):
    with run(tmp_path / "r.h5") as writer:
        writer.append(0, 10, 1.0)
        with pytest.raises(ValueError, match=r"got 9 s after 10 s"):
            writer.append(0, 9, 2.0)
    with ResultReader(tmp_path / "r.h5") as reader:
        assert [values.tolist() for values in reader.series("depot/pv/p_kw")] == [[10.0], [1.0]]


def test_value_of_the_wrong_shape_is_refused_and_nothing_is_lost(tmp_path):
    with run(tmp_path / "r.h5", [SeriesSpec("a/x/w", width=3)]) as writer:
        writer.append(0, 1, [1, 2, 3])
        with pytest.raises(ValueError, match="shape"):
            writer.append(0, 2, [1, 2])
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.series("a/x/w")[1].tolist() == [[1, 2, 3]]


def test_an_array_that_changes_later_does_not_change_what_was_recorded(tmp_path):
    values = np.array([1.0, 2.0])
    with run(tmp_path / "r.h5", [SeriesSpec("a/x/w", width=2)]) as writer:
        writer.append(0, 0, values)
        values[:] = 99
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.series("a/x/w")[1].tolist() == [[1.0, 2.0]]


def test_unknown_series_is_an_error(tmp_path):
    with run(tmp_path / "r.h5") as writer, pytest.raises(KeyError, match="depot/pv/q"):
        writer.append("depot/pv/q", 0, 1.0)


def test_all_that_is_wrong_with_the_layout_is_said_at_once(tmp_path):
    with pytest.raises(ResultError) as caught:
        run(tmp_path / "r.h5", ["pv/p_kw", "a/b/c", "a/b/c", "a//c"], [{"hub": "a", "id": "1", "arrival_s": 0.0}])
    text = str(caught.value)
    assert "'pv/p_kw': must be hub/device/attribute" in text
    assert "'a/b/c': given twice" in text
    assert "'a//c'" in text
    assert "session 0: lacks departure_s, requested_kwh" in text
    assert not (tmp_path / "r.h5").exists()


def test_sessions_events_and_diagnostics_come_back(tmp_path):
    long = "Über" * 5000
    with run(tmp_path / "r.h5", sessions=SESSIONS) as writer:
        writer.event(1.0, "depot.ats", "transfer", "to the secondary source")
        writer.event(1.0, "q" * 63 + "ü", "k", "")
        writer.event(2.0, "depot.grid", "outage", long)
        writer.session_end("depot", 0, 1, 0.5, 60.0, 4.5, np.nan, "served")
        writer.session_end(0, 1, -1, np.nan, 5.0, 0.0, np.nan, 1)
        writer.diagnostic("decision_s", 3.0, 0.25)
    with ResultReader(tmp_path / "r.h5") as reader:
        events = reader.events()
        assert events[0] == (1.0, "depot.ats", "transfer", "to the secondary source")
        assert events[1] == (1.0, "q" * 63, "k", "")  # cut before a character that does not fit
        assert events[2][3] == long
        sessions = reader.sessions()
        assert list(sessions)[:5] == ["hub", "id", "arrival_s", "departure_s", "requested_kwh"]
        assert sessions["id"].tolist() == ["ä1", "b2"]
        assert np.isnan(sessions["priority"]).all()
        assert sessions["v2g"].tolist()[1] == 1.0
        ends = reader.session_ends()
        assert ends["session"].tolist() == [0, 1]
        assert ends["outcome"].tolist() == [0, 1]
        assert ends["delivered_kwh"].tolist() == [4.5, 0.0]
        run_values, samples = reader.diagnostics()
        assert samples == [(3.0, "decision_s", 0.25)]
        assert run_values["wall_s"] > 0


@pytest.mark.parametrize(("hub", "outcome"), [(1, "served"), ("elsewhere", "served"), (0, "lost"), (0, 4)])
def test_unknown_hub_or_outcome_of_a_session_is_refused(tmp_path, hub, outcome):
    with run(tmp_path / "r.h5", sessions=SESSIONS) as writer, pytest.raises(ValueError, match=r"not in|must be"):
        writer.session_end(hub, 0, 0, 0.0, 1.0, 0.0, 0.5, outcome)


def test_a_run_without_series_and_sessions_is_a_result(tmp_path):
    run(tmp_path / "new" / "folder" / "r.h5", specs=()).close()
    with ResultReader(tmp_path / "new" / "folder" / "r.h5") as reader:
        assert (reader.paths(), reader.events(), len(reader.session_ends())) == ([], [], 0)
        assert len(reader.sessions()["id"]) == 0


def test_an_exception_makes_the_run_failed_and_it_ends_at_its_last_value(tmp_path):
    with pytest.raises(RuntimeError, match="plant"), run(tmp_path / "r.h5") as writer:
        writer.append(0, 0, 1.0)
        writer.append(0, 42, 2.0)
        raise RuntimeError("the plant broke")
    with ResultReader(tmp_path / "r.h5") as reader:
        assert (reader.status, reader.end_s) == ("failed", 42.0)
        assert reader.series("depot/pv/p_kw")[1].tolist() == [1.0, 2.0]


def test_closing_twice_keeps_the_first_status(tmp_path):
    writer = run(tmp_path / "r.h5")
    writer.close("failed")
    writer.close("complete")
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.status == "failed"


# --- damage -----------------------------------------------------------------------------------------------------------


def test_missing_file(tmp_path):
    with pytest.raises(ResultError, match="no such file"):
        ResultReader(tmp_path / "r.h5")


@pytest.mark.parametrize("raw", [b"", b"name: scenario\n", b"\x89HDF\r\n\x1a\n", os.urandom(4096)])
def test_file_that_is_not_hdf5(tmp_path, raw):
    (tmp_path / "r.h5").write_bytes(raw)
    with pytest.raises(ResultError, match=r"not an HDF5 file|cannot be opened"):
        ResultReader(tmp_path / "r.h5")


def test_hdf5_of_someone_else(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(ResultError, match="not a result of evhub"):
        ResultReader(tmp_path / "r.h5")


def test_layout_of_the_future(tmp_path):
    run(tmp_path / "r.h5").close()
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        file.attrs["layout"] = 99
    with pytest.raises(ResultError, match="layout 99 is newer"):
        ResultReader(tmp_path / "r.h5")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_truncated_file(tmp_path, share):
    with run(tmp_path / "r.h5", [SeriesSpec("a/x/w", width=20)], duration_s=2000.0) as writer:
        for t in range(2000):
            writer.append(0, t, np.random.default_rng(t).random(20))
    raw = (tmp_path / "r.h5").read_bytes()
    left = int(share * len(raw))
    (tmp_path / "cut.h5").write_bytes(raw[:left])
    with pytest.raises(ResultError, match=rf"cut\.h5: is cut off: {left} of {len(raw)} bytes"):
        ResultReader(tmp_path / "cut.h5")


def test_cut_off_file_is_not_read_as_one_that_is_being_written(tmp_path, monkeypatch):
    """HDF5 would wait for the missing bytes of such a file, longer at every attempt, for hours in the end."""
    run(tmp_path / "r.h5", [SeriesSpec(f"a/x/w{i}") for i in range(40)]).close()
    raw = (tmp_path / "r.h5").read_bytes()
    opened = []
    plain = h5py.File
    monkeypatch.setattr(h5py, "File", lambda *args, **options: opened.append(options) or plain(*args, **options))
    for left in (60, len(raw) // 8, len(raw) - 1):
        (tmp_path / "cut.h5").write_bytes(raw[:left])
        with pytest.raises(ResultError, match="is cut off"):
            ResultReader(tmp_path / "cut.h5")
    assert len(opened) == 3
    assert not any("swmr" in options for options in opened)


def test_damage_inside_is_found_when_it_is_read(tmp_path):
    with run(tmp_path / "r.h5", [SeriesSpec("a/x/w", width=50)]) as writer:
        for t in range(100):
            writer.append(0, t, np.random.default_rng(t).random(50))
    raw = bytearray((tmp_path / "r.h5").read_bytes())
    with h5py.File(tmp_path / "r.h5") as file:
        where = file["series/a/x/w/value"].id.get_chunk_info(0).byte_offset
    raw[where : where + 200] = bytes(200)
    (tmp_path / "bad.h5").write_bytes(raw)
    with ResultReader(tmp_path / "bad.h5") as reader, pytest.raises(ResultError, match="damaged"):
        reader.series("a/x/w")


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be written"):
        run(tmp_path / "file" / "r.h5")


# --- killed and running writers ---------------------------------------------------------------------------------------

WRITER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from evhub.analysis.results.result_layout import SeriesSpec
    from evhub.analysis.results.result_writer import ResultWriter

    series = [SeriesSpec(f"a/d{i}/x", "kW") for i in range(12)] + [SeriesSpec(f"a/w{i}/x", width=54) for i in range(3)]
    root = dict(name="k", scenario="é" * 100_000, seed=1, start="2024-01-01T00:00:00+00:00", duration_s=1e9)
    session = dict(hub="a", id="ö", arrival_s=0.0, departure_s=9.0, requested_kwh=3.0)
    writer = ResultWriter(sys.argv[1], root, series, [session], flush_s=0.01)
    t = 0
    while True:
        for i in range(15):
            writer.append(i, t, t + i)
        if t % 5 == 0:
            writer.event(t, "a.d", "tick", f"Täxt {t}")
        if t == 20:
            writer.flush()
            print("go", flush=True)
        t += 1
    """
)


def start(path: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)


def kill(process: subprocess.Popen, after_s: float = 0.0) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after_s)
    process.kill()
    process.wait()


def check_whole(reader: ResultReader) -> None:
    """All series reach up to the same instant, and every value is the one that was written."""
    assert reader.end_s >= 20
    for i, path in enumerate([f"a/d{i}/x" for i in range(12)] + [f"a/w{i}/x" for i in range(3)]):
        t_s, values = reader.series(path)
        assert t_s.tolist() == list(range(int(reader.end_s)))
        assert (values.reshape(len(t_s), -1) == (t_s + i)[:, None]).all()
    events = reader.events()
    assert [t for t, *_ in events] == [float(t) for t in range(0, int(events[-1][0]) + 1, 5)]
    assert events[-1][0] > reader.end_s - 10
    assert all(text == f"Täxt {t:.0f}" for t, _, _, text in events)
    assert reader.sessions()["id"].tolist() == ["ö"]
    assert reader.attributes["scenario"] == "é" * 100_000


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_runs_are_readable_up_to_the_last_flush(tmp_path):
    pauses = random.Random(5)
    writers = [start(tmp_path / f"{n}.h5") for n in range(6)]
    for process in writers:
        kill(process, pauses.uniform(0, 0.1))
    for n in range(6):
        with ResultReader(tmp_path / f"{n}.h5") as reader:
            assert reader.status == "killed"
            check_whole(reader)


def test_a_run_that_is_going_on_is_readable_and_called_running(tmp_path):
    process = start(tmp_path / "r.h5")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with ResultReader(tmp_path / "r.h5") as reader:
            assert reader.status == "running"
            check_whole(reader)
    finally:
        process.kill()
        process.wait()


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_month_of_54_connectors_is_small(tmp_path):
    """Five minutes, power, limit and session of each; the raw numbers are 9.6 MB."""
    rng = np.random.default_rng(1)
    specs = [SeriesSpec(f"a/cp/{name}", width=54) for name in ("p", "limit")]
    specs.append(SeriesSpec("a/cp/session", width=54, dtype="i4"))
    power = rng.choice([0.0, 3.3, 6.6], size=(8928 // 12, 54)).repeat(12, axis=0)
    session = rng.integers(-1, 1500, size=(8928 // 48, 54), dtype="i4").repeat(48, axis=0)
    with run(tmp_path / "r.h5", specs, duration_s=8928 * 300.0) as writer:
        for k in range(8928):
            writer.append(0, k * 300, power[k])
            writer.append(1, k * 300, power[k] + 1)
            writer.append(2, k * 300, session[k])
    assert (tmp_path / "r.h5").stat().st_size < 2e6
