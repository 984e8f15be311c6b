"""Runs on dask.distributed: a cluster of this machine, or one that is there already.

dask keeps the workers alive and runs again what was on a worker that died. Never more runs are handed over than there
are workers, so that a run which kills its worker takes no other one with it.
"""

from __future__ import annotations

import logging
import queue
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dask.config
from dask.distributed import Client, Future, LocalCluster, WorkerPlugin
from dask.system import CPU_COUNT

from ...errors import InputError, Problem

ATTEMPTS = 3
"""So often a run may take its worker down before it counts as failed."""
_LOOK_S = 1.0
_CONNECT_S = 15


class ClusterLostError(Exception):
    """The scheduler is gone."""


class _Undisturbed(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal; the sweep itself ends its workers."""

    name = "evhub-undisturbed"

    def setup(self, worker: Any) -> None:
        """Called in every new worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def cores() -> int:
    """Processors that this process may use."""
    return CPU_COUNT


@contextmanager
def local(workers: int) -> Iterator[Client]:
    """A cluster of processes on this machine, without ports that others may use and without a word."""
    settings = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.scheduler.worker-ttl": None,  # a solver may keep its process busy for long
        "distributed.admin.tick.limit": "1h",
        "distributed.admin.system-monitor.interval": "10s",  # nobody looks
        "distributed.worker.profile.enabled": False,
    }
    with (
        tempfile.TemporaryDirectory(prefix="evhub-") as folder,
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port
            silence_logs=logging.CRITICAL,
            local_directory=folder,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(_Undisturbed())
        yield client


@contextmanager
def existing(address: str) -> Iterator[Client]:
    """A cluster that is there already, by the address of its scheduler.

    Raises
    ------
    InputError
        When no scheduler answers.
    """
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        allowed = f"must be the address of a dask scheduler, such as tcp://10.0.0.5:8786 ({error})"
        raise InputError(Problem("", "--scheduler", address, allowed)) from None
    with client:
        yield client


def results(client: Client, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Run a function over items, as many at a time as there are workers.

    Parameters
    ----------
    client : Client
        Of the cluster.
    work : callable
        Importable on the workers.
    items : iterable
        Its arguments.

    Yields
    ------
    item, outcome
        As they are done; an exception, also that of a worker that died every time, is an outcome.

    Raises
    ------
    ClusterLostError
        When the scheduler is gone.
    """
    done: queue.Queue[Future] = queue.Queue()
    waiting = iter(items)
    running: dict[Future, Any] = {}

    def fill() -> None:
        threads: Any = client.nthreads()
        free = max(1, sum(threads.values())) - len(running)
        for item in (next(waiting, done) for _ in range(free)):
            if item is done:  # there is none left
                return
            future = client.submit(work, item, pure=False)
            running[future] = item
            future.add_done_callback(done.put)

    with _lost(client):
        fill()
    while running:
        try:
            future = done.get(timeout=_LOOK_S)
        except queue.Empty:
            with _lost(client):
                fill()  # workers may have come meanwhile
            continue
        item = running.pop(future)
        with _lost(client):
            outcome = future.exception() if future.status == "error" else future.result()
            fill()
        yield item, outcome


@contextmanager
def _lost(client: Client) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if client.status == "running":
            raise
        raise ClusterLostError from error
