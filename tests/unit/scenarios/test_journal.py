"""The journal of a long study: what a crash leaves, who may write, and what is read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from evhub.scenarios.errors import InputError
from evhub.scenarios.studies.journal import Journal, discard


@pytest.fixture
def path(tmp_path):
    """A journal with two runs."""
    path = tmp_path / "study" / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("a", {"cost": 0.1 + 0.2})
        journal.write("b", {"cost": None, "name": "é"})
    return path


def test_finished_runs_are_read_again_to_the_last_bit(path):
    with Journal(path) as journal:
        assert journal.finished == {"a": {"cost": 0.1 + 0.2}, "b": {"cost": None, "name": "é"}}
        journal.write("a", {"cost": 1})
    with Journal(path) as journal:
        assert journal.finished["a"] == {"cost": 1}


def test_half_a_line_at_the_end_is_dropped_wherever_a_crash_cuts_it(path):
    whole = path.read_bytes()
    with Journal(path) as journal:
        journal.write("c", {"cost": 3, "name": "é"})
    added = path.read_bytes()[len(whole) :]
    for cut in range(len(added)):
        path.write_bytes(whole + added[:cut])
        with Journal(path) as journal:
            assert set(journal.finished) == {"a", "b"}
            journal.write("d", {"cost": 4})
        with Journal(path) as journal:
            assert set(journal.finished) == {"a", "b", "d"}


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"key": 1, "cost": 2}', '{"cost": 2}', '{"key": "x"}', ""])
def test_a_damaged_line_is_refused_by_its_number(path, line):
    n = len(path.read_text().splitlines())
    with path.open("a") as file:
        file.write(f"{line}\n")
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"journal.jsonl: line {n + 1}: must be a finished run"):
        Journal(path, ("cost",))
    assert path.read_bytes() == before


def test_a_second_writer_is_refused_with_the_process_of_the_first(path):
    code = (
        "import sys; from pathlib import Path; from evhub.scenarios.studies.journal import Journal\n"
        "with Journal(Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1, text=True)
    try:
        assert other.stdout.readline() == "open\n"
        for opens in (Journal, discard):
            with pytest.raises(InputError, match=f"output: must not be in use by process {other.pid}, got"):
                opens(path)
        other.kill()
        other.wait()
        with Journal(path) as journal:  # a dead writer holds nothing
            assert set(journal.finished) == {"a", "b"}
    finally:
        other.kill()
        other.communicate()


def test_every_opening_is_a_line_with_its_process(path):
    with Journal(path):
        pass
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line for line in lines if "opened_by" in line] == [{"opened_by": os.getpid()}] * 2


def test_a_journal_of_the_first_format_is_still_read(tmp_path):
    line = '{"key": "k", "fields": {}, "seed": 1, "status": "ok", "error": "", "wall_s": 1.0, "kpis": {}}\n'
    (tmp_path / "journal.jsonl").write_text(line)
    with Journal(tmp_path / "journal.jsonl", ("status", "error", "wall_s", "kpis")) as journal:
        assert journal.finished["k"]["status"] == "ok"


def test_nothing_is_left_where_nothing_was_run(tmp_path):
    with Journal(tmp_path / "new" / "journal.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "days").mkdir()
    with Journal(tmp_path / "full" / "journal.jsonl"):
        pass
    assert (tmp_path / "full" / "journal.jsonl").exists()  # so that the folder is known again


def test_a_discarded_journal_is_gone(path):
    discard(path)
    assert not path.exists()
    discard(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="output: must be a folder that can be written"):
        Journal(tmp_path / "file" / "journal.jsonl")
