"""Makes the runs of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...assembly.plant_build import build
from ...engines.wiring import Wiring
from ..workers.sent_scenario import SentScenario, sent
from ..workers.whole_results import run_whole, without_parts
from ..workers.worker_pool import DIED, HERE, WorkerDiedError, WorkerPool
from .compare_plan import Job


@dataclass(frozen=True)
class Ran:
    """The end of a run.

    Parameters
    ----------
    failure : str
        Why it failed; empty when it did not.
    drew : bool
        Whether a controller used its random numbers.
    """

    failure: str
    drew: bool


def run_all(
    jobs: Sequence[Job], pool: WorkerPool = HERE, done: Callable[[Job, Ran], None] | None = None
) -> dict[Job, Ran]:
    """Run all jobs; one that fails does not stop the others.

    Parameters
    ----------
    jobs : sequence of Job
        The runs.
    pool : WorkerPool
        Where they run.
    done : callable, optional
        Called after each run.

    Returns
    -------
    dict of Job to Ran
        In the order of `jobs`.
    """
    orders = [
        _CompareOrder(scenario, job.path.resolve(), job.engine)
        for scenario, job in zip(sent(job.loaded for job in jobs), jobs, strict=True)
    ]
    for job in jobs:
        job.path.unlink(missing_ok=True)  # no earlier result is taken for one of these
    finished: dict[Job, Ran] = {}
    with without_parts(job.path for job in jobs):
        for number, outcome in pool.outcomes(_run, orders, [job.name for job in jobs]):
            ran = Ran(_message(outcome), False) if isinstance(outcome, BaseException) else Ran("", outcome)
            finished[jobs[number]] = ran
            if done is not None:
                done(jobs[number], ran)
    return {job: finished[job] for job in jobs}


@dataclass(frozen=True)
class _CompareOrder:
    """A run for a worker."""

    scenario: SentScenario
    path: Path
    engine: str


def _run(order: _CompareOrder) -> bool:
    """Make a run; returns whether a controller used its random numbers."""
    loaded = order.scenario.loaded
    wiring = build(loaded)
    run_whole(wiring, loaded, order.path, engine=order.engine)
    return _drew(wiring)


def _message(error: BaseException) -> str:
    return DIED if isinstance(error, WorkerDiedError) else f"{type(error).__name__}: {error}"


def _drew(wiring: Wiring) -> bool:
    """Whether any controller has used its random numbers."""
    for spec in wiring.simulators:
        for planned in spec.settings.get("controllers", ()):
            used = planned.controller.rng.bit_generator
            if used.seed_seq.n_children_spawned or used.state != type(used)(used.seed_seq).state:
                return True
    return False
