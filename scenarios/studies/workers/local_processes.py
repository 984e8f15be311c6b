"""Worker processes on this machine, each with one job at a time, so that the job of a dead process is known.

The executors of the standard library lose all jobs when one process dies, and do not say which one it was.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from .worker_pool import WorkerDiedError, WorkerPool, attempt

ATTEMPTS = 3
"""How often a job may take its process down before it counts as failed; the last time it runs alone."""
_GRACE_S = 2.0
_STOPS = {signal.SIGINT, signal.SIGTERM}


class LocalProcesses(WorkerPool):
    """Processes of this machine; see `local_processes`.

    Parameters
    ----------
    count : int
        Number of processes at most.
    scratch : str
        Folder for the temporary files of the processes.
    """

    def __init__(self, count: int, scratch: str):
        self._count = count
        self._scratch = scratch
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, int]] = {}

    def outcomes(
        self, work: Callable[[Any], Any], jobs: Sequence[Any], names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Run jobs as `WorkerPool.outcomes`; a job whose process died is tried again, the last time alone."""
        waiting, alone, deaths = deque(range(len(jobs))), deque[int](), Counter[int]()
        while waiting or alone or self._busy:
            while waiting and len(self._busy) < self._count:
                self._start(work, jobs, waiting.popleft())
            if alone and not self._busy:
                self._start(work, jobs, alone.popleft())
            for connection in wait(list(self._busy)):
                worker, number = self._busy.pop(connection)  # pyright: ignore[reportArgumentType]
                try:
                    outcome = worker.connection.recv()
                except (EOFError, OSError):
                    worker.end()
                    deaths[number] += 1
                    if deaths[number] < ATTEMPTS:
                        (alone if deaths[number] == ATTEMPTS - 1 else waiting).append(number)
                        continue
                    outcome = WorkerDiedError(names[number])
                else:
                    self._idle.append(worker)
                yield number, outcome

    def _start(self, work: Callable[[Any], Any], jobs: Sequence[Any], number: int) -> None:
        """Give a job to an idle process, or to a new one if there is none or it has died meanwhile."""
        while True:
            worker = self._idle.pop() if self._idle else _Worker(self._scratch)
            self._busy[worker.connection] = worker, number
            try:
                worker.connection.send((work, jobs[number]))
            except OSError:
                del self._busy[worker.connection]
                worker.end()
            else:
                return

    def close(self) -> None:
        """End all processes at once."""
        for worker, _ in self._busy.values():
            worker.process.terminate()
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.end()
        self._idle.clear()
        self._busy.clear()


@contextmanager
def local_processes(count: int) -> Iterator[LocalProcesses]:
    """Open a pool of processes, which end with the block.

    Temporary files of the processes lie in one folder that is removed at the end, because a process that is ended
    cannot do so itself.
    """
    scratch = tempfile.mkdtemp(prefix="evhub-")
    pool = LocalProcesses(count, scratch)
    try:
        yield pool
    finally:
        with _held(_STOPS):  # a second Ctrl-C must not leave processes behind
            pool.close()
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _held(signals: set[signal.Signals]) -> Iterator[None]:
    """Let signals wait until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """A process and the connection to it."""

    def __init__(self, scratch: str):
        context = multiprocessing.get_context("spawn")  # a fork would share open result files
        _start_tracker()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, scratch), daemon=True)
        with _held(_STOPS):  # the new process inherits that
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    def end(self) -> None:
        """Wait until a process without a job has ended, and kill it if it does not."""
        self.connection.close()
        self.process.join(_GRACE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def _start_tracker() -> None:
    """Start Python's process that removes semaphores which killed workers leave; without its warnings about them.

    It is started before signals are held, because its start lets them through.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


# --- in the worker process --------------------------------------------------------------------------------------------


def _serve(connection: Connection, scratch: str) -> None:
    """Run jobs until the connection is closed."""
    threading.Thread(target=_end_with_parent, args=(scratch,), daemon=True).start()
    tempfile.tempdir = os.environ["TMPDIR"] = scratch
    signal.signal(signal.SIGTERM, _stop)
    try:
        # Ctrl-C, which reaches all processes of a terminal, still waits: the parent ends this one
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        while True:
            work, job = connection.recv()
            connection.send(_portable(attempt(work, job)))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


def _stop(*_: object) -> None:
    """End the job by an exception, so that it can clean up; its message is not shown."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    raise KeyboardInterrupt


def _end_with_parent(scratch: str) -> None:
    """End this process when its parent is gone, killed for instance, and remove what it left."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)


def _portable(outcome: Any) -> Any:
    """Make an exception ready for its way to another process, with the place where it was raised as a note."""
    if not isinstance(outcome, BaseException):
        return outcome
    outcome.add_note("in a worker process:\n" + "".join(traceback.format_exception(outcome)))
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception:  # some exceptions cannot be made again from their arguments
        return RuntimeError(f"{type(outcome).__name__}: {outcome}")
    return outcome
