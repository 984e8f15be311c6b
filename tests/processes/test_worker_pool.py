"""The pool of all studies: order, errors, workers that die, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from evhub.scenarios.errors import InputError
from evhub.scenarios.studies.workers import dask_workers
from evhub.scenarios.studies.workers.worker_pool import DIED, WorkerDiedError, worker_pool

from ..helpers import jobs
from ..helpers.processes import members, wait_until


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_the_order_of_the_jobs(workers):
    numbers, done = range(4), []
    with worker_pool(workers) as pool:
        assert pool.results(jobs.later_first, numbers, "abcd", done.append) == [0, 1, 2, 3]
        assert pool.results(jobs.square, numbers, "abcd") == [0, 1, 4, 9]
        assert pool.results(jobs.square, [], []) == []
    assert done == [1, 2, 3, 4]


@pytest.mark.parametrize(("workers", "apart"), [(1, False), (1, True), (2, False)])
def test_an_error_of_a_job_is_its_outcome(workers, apart):
    with worker_pool(workers, apart=apart) as pool:
        outcomes = dict(pool.outcomes(jobs.fail, ["value", "exit", "two"], "abc"))
        with pytest.raises(ValueError, match="value"):
            pool.results(jobs.fail, ["value"], "a")
    assert isinstance(outcomes[0], ValueError)
    assert str(outcomes[1]) == "SystemExit: 3"
    assert str(outcomes[2]).endswith("1 and 2")
    if apart or workers > 1:  # where it was raised can still be read
        assert "in fail" in outcomes[0].__notes__[0]


def test_a_job_that_kills_its_worker_is_tried_again_at_last_alone_and_told_by_its_name(tmp_path):
    orders = [(tmp_path, number, {1: 9, 3: 2}.get(number, 0)) for number in range(6)]
    with worker_pool(2) as pool:
        outcomes = dict(pool.outcomes(jobs.die, orders, [f"job {number}" for number in range(6)]))
    died = outcomes.pop(1)
    assert outcomes == {number: number for number in (0, 2, 3, 4, 5)}
    assert isinstance(died, WorkerDiedError)
    assert str(died) == f"job 1: {DIED}"
    for number in (1, 3):
        attempts = (tmp_path / f"attempts-{number}").read_text().split()
        assert len(attempts) == 3
        assert attempts[-1] == "0"


def test_a_pool_that_is_left_by_an_error_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match="enough"), worker_pool(2) as pool:
        for _ in pool.outcomes(jobs.later_first, [3, -600], "ab"):
            (scratch,) = tmp_path.iterdir()
            assert scratch.name.startswith("evhub-")
            raise RuntimeError("enough")
    assert list(tmp_path.iterdir()) == []


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "tmp").mkdir()
    call = (
        "from pathlib import Path; from evhub.scenarios.studies.workers.worker_pool import worker_pool;"
        "from tests.helpers import jobs\n"
        f"with worker_pool(1, apart=True) as pool: pool.results(jobs.leave_a_file, [Path({str(tmp_path)!r})], ['a'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", call],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        start_new_session=True,
    )
    try:
        wait_until((tmp_path / "place").exists)
        assert Path((tmp_path / "place").read_text()).is_relative_to(tmp_path / "tmp")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not members(process.pid))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_scheduler_without_dask_is_one_line_with_the_extra(monkeypatch):
    monkeypatch.setattr(dask_workers, "PACKAGE", "no_such_package")
    with pytest.raises(InputError) as refused, worker_pool(1, "tcp://127.0.0.1:1"):
        pass
    assert str(refused.value) == (
        "--scheduler: needs no_such_package, which comes with the extra 'sweep': pip install evhub[sweep]"
    )
