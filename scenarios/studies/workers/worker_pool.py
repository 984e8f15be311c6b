"""One interface to run many jobs: in this process, in processes of this machine, or on a dask cluster.

All studies share it. A job is a function that can be imported and an argument that can be pickled; what it returns does
not depend on where it runs. Leaving a pool by an exception, such as Ctrl-C, ends its processes at once.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

DIED = "the worker died every time it was tried: killed, out of memory, or in a compiled library"
"""What is said of a job whose process ended without an answer."""


class WorkerDiedError(Exception):
    """A job killed its worker process at every attempt.

    Parameters
    ----------
    name : str
        Name of the job.
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name}: {DIED}"


class ClusterLostError(Exception):
    """The scheduler of a cluster cannot be reached any more."""


class WorkerPool(ABC):
    """Interface of everything that runs jobs."""

    @abstractmethod
    def outcomes(
        self, work: Callable[[Any], Any], jobs: Sequence[Any], names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Run a function on each job.

        Parameters
        ----------
        work : callable
            The function; a worker process imports it by its name.
        jobs : sequence
            Its arguments.
        names : sequence of str
            What to call each job.

        Yields
        ------
        number, outcome
            Position of the job and what the function returned, as the jobs finish. An exception of the function is an
            outcome, and so is `WorkerDiedError`.
        """

    def results(
        self,
        work: Callable[[Any], Any],
        jobs: Sequence[Any],
        names: Sequence[str],
        progress: Callable[[int], None] | None = None,
    ) -> list[Any]:
        """Run a function on each job and return all results.

        Parameters
        ----------
        work, jobs, names
            See `outcomes`.
        progress : callable, optional
            Called with the number of finished jobs.

        Returns
        -------
        list
            Results in the order of the jobs.

        Raises
        ------
        Exception
            The first error of a job.
        """
        results: dict[int, Any] = {}
        for number, outcome in self.outcomes(work, jobs, names):
            if isinstance(outcome, BaseException):
                raise outcome
            results[number] = outcome
            if progress is not None:
                progress(len(results))
        return [results[number] for number in range(len(jobs))]


class ThisProcess(WorkerPool):
    """Runs one job after the other in the calling process."""

    def outcomes(
        self, work: Callable[[Any], Any], jobs: Sequence[Any], names: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        """Run jobs as `WorkerPool.outcomes`; a job that ends the process ends everything."""
        for number, job in enumerate(jobs):
            yield number, attempt(work, job)


HERE = ThisProcess()
"""The pool of those who do not ask for another."""


def attempt(work: Callable[[Any], Any], job: Any) -> Any:
    """Call a function and return its result, or the exception that it raised; Ctrl-C is not caught."""
    try:
        return work(job)
    except Exception as error:
        return error
    except SystemExit as error:  # from a user's own controller
        return RuntimeError(f"SystemExit: {error}")


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int, scheduler: str | None = None, *, apart: bool = False) -> Iterator[WorkerPool]:
    """Open a pool.

    Parameters
    ----------
    workers : int
        Number of processes on this machine; they start when there is work for them. With 1 the jobs run in the calling
        process. A script that asks for more must be importable (``if __name__ == "__main__":``).
    scheduler : str, optional
        Address of a dask scheduler whose workers run the jobs instead.
    apart : bool
        Use a process of its own also for one worker, so that no job can end the calling process.

    Yields
    ------
    WorkerPool

    Raises
    ------
    InputError
        If there is no dask, or no scheduler answers.
    """
    if scheduler is not None:
        from .dask_workers import dask_workers

        with dask_workers(scheduler) as pool:
            yield pool
    elif workers == 1 and not apart:
        yield HERE
    else:
        from .local_processes import local_processes

        with local_processes(workers) as pool:
            yield pool
