"""Runs jobs on an existing cluster of dask.distributed.

dask keeps the workers alive and runs again what was on a worker that died. Never more jobs are handed over than there
are workers, so that a job which kills its worker takes no other one with it.
"""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import NOTHING, InputError, Problem
from ...run_scenario import versions
from .worker_pool import ClusterLostError, WorkerDiedError, WorkerPool

if TYPE_CHECKING:
    from dask.distributed import Client, Future

PACKAGE = "distributed"
_LOOK_S = 1.0
_CONNECT_S = 15


@contextmanager
def dask_workers(address: str) -> Iterator[DaskWorkers]:
    """Open a pool of the workers of a scheduler; they keep running when it is closed.

    Raises
    ------
    InputError
        If dask is not installed, or no scheduler answers.
    """
    if find_spec(PACKAGE) is None:
        allowed = f"needs {PACKAGE}, which comes with the extra 'sweep': pip install evhub[sweep]"
        raise InputError(Problem("", "--scheduler", NOTHING, allowed))
    from dask.distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        allowed = f"must be the address of a dask scheduler, such as tcp://10.0.0.5:8786 ({error})"
        raise InputError(Problem("", "--scheduler", address, allowed)) from None
    with client:
        yield DaskWorkers(client)


class DaskWorkers(WorkerPool):
    """Workers of a dask cluster.

    Parameters
    ----------
    client : Client
        Connection to its scheduler.
    """

    def __init__(self, client: Client):
        self._client = client

    def outcomes(
        self, work: Callable[[Any], Any], jobs: Sequence[Any], names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Run jobs as `WorkerPool.outcomes`; how often a job may kill its worker is a setting of the cluster.

        Raises
        ------
        ClusterLostError
            When the scheduler is gone.
        """
        from dask.distributed import KilledWorker

        call = partial(_on_worker, versions(), work)
        finished: queue.Queue[Future] = queue.Queue()
        waiting = iter(range(len(jobs)))
        running: dict[Future, int] = {}

        def fill() -> None:
            threads: Any = self._client.nthreads()
            for number in (next(waiting, None) for _ in range(max(1, sum(threads.values())) - len(running))):
                if number is None:
                    return
                future = self._client.submit(call, jobs[number], pure=False)
                running[future] = number
                future.add_done_callback(finished.put)

        with self._lost():
            fill()
        while running:
            try:
                future = finished.get(timeout=_LOOK_S)
            except queue.Empty:
                with self._lost():
                    fill()  # workers may have come meanwhile
                continue
            number = running.pop(future)
            with self._lost():
                outcome = future.exception() if future.status == "error" else future.result()
                fill()
            yield number, WorkerDiedError(names[number]) if isinstance(outcome, KilledWorker) else outcome

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._client.status == "running":
                raise
            raise ClusterLostError("the scheduler is gone") from error


def _on_worker(expected: str, work: Callable[[Any], Any], job: Any) -> Any:
    """Run a job on a worker with the same versions as here, and temporary files where dask removes them."""
    from dask.distributed import get_worker

    if (there := versions()) != expected:
        raise InputError(Problem("", "versions", NOTHING, f"must be {expected} on the worker, which has {there}"))
    tempfile.tempdir = get_worker().local_directory  # a worker that is killed leaves its files to dask
    return work(job)
