"""Runs a wiring on mosaik: starts the simulators, connects them, steps them to the end, and always stops them."""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections.abc import Callable
from traceback import walk_tb
from typing import Any

from mosaik.async_scenario import AsyncWorld
from mosaik.exceptions import SimulationError

from . import mosaik_36
from .wiring import EngineError, Wiring, check_ports, data_order, filled


def run_mosaik(wiring: Wiring, real_time_factor: float | None = None, **objects: Any) -> None:
    """Run a wiring on mosaik to its end.

    Parameters
    ----------
    wiring : Wiring
        Simulators, entities and connections as plain data.
    real_time_factor : float, optional
        Seconds that a simulated second takes; as fast as possible when left out.
    **objects
        What cannot be plain data, by name: a parameter of the wiring that is ``RunObject(name)`` is replaced by it.

    Raises
    ------
    EngineError
        When simulators form a loop without delay, or one steps backwards.
    Exception
        Whatever a simulator raises. All tasks are cancelled and all simulators stopped before it is passed on.
    """
    data_order(wiring.simulators, wiring.connections)
    try:
        _call(lambda: asyncio.run(_run(wiring, objects, real_time_factor)))
    except SimulationError as error:
        raise EngineError(_translated(str(error))) from error


_ERRORS = {
    r"must be of type int, but is of type <class '(?:.+\.)?(.+)'>": "the next step must be an int, got {0}",
    r"but (\S+) <= (\S+)": "the next step must come after {1}, got {0}",
    r"\((.+)\) is not >= time \((.+)\)": "outputs must not be dated before their step at {1}, got {0}",
}
"""What mosaik says of a simulator that breaks the rules, and what evhub says."""


def _translated(text: str) -> str:
    """An error of mosaik in the words of the other engine, or its own."""
    sid = re.search(r'simulator "(.+)"', text)
    for pattern, ours in _ERRORS.items():
        if sid and (match := re.search(pattern, text)):
            return f"{sid[1]}: {ours.format(*match.groups())}"
    return text


def _call(work: Callable[[], None]) -> None:
    """Run ``work`` where no event loop runs: here, or in a thread of its own (a notebook has a loop already)."""
    if asyncio._get_running_loop() is None:
        work()
        return
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


async def _run(wiring: Wiring, objects: dict[str, Any], real_time_factor: float | None) -> None:
    mosaik_36.mend()
    until = wiring.steps + 1
    mosaik_36.END.set(until)
    world = AsyncWorld(
        {spec.sid: {"python": spec.python} for spec in wiring.simulators},
        cache=False,
        time_resolution=wiring.time_step_s,
        skip_greetings=True,
    )
    try:
        entities, metas = {}, {}
        grid = {"time_step_s": wiring.time_step_s, "steps": wiring.steps}
        for spec in wiring.simulators:
            settings = filled(spec.settings, objects)
            factory = await world.start(spec.sid, sim_id=spec.sid, **grid, **settings)
            metas[spec.sid] = factory.meta
            for entity in wiring.entities:
                if entity.sid == spec.sid:
                    parameters = filled(entity.parameters, objects)
                    model = getattr(factory, entity.model)
                    entities[entity.sid, entity.eid] = await model(eid=entity.eid, parameters=parameters)
        with warnings.catch_warnings():
            # measurements are events that the controller reads when it decides: exactly what this warning is about
            warnings.filterwarnings("ignore", message="A connection between the non-persistent attribute")
            for link in wiring.connections:
                check_ports(link, metas[link.source], metas[link.target])
                world.connect(
                    entities[link.source, link.source_eid],
                    entities[link.target, link.target_eid],
                    (link.output, link.input),
                    time_shifted=link.shift,
                )
        for spec in wiring.simulators:
            if spec.first_step is not None:
                world.set_initial_event(spec.sid, spec.first_step)
        # the last step is the end itself, at which accounts are closed
        try:
            await world.run(until=until, rt_factor=real_time_factor, print_progress=False)
        except AssertionError as error:
            raise _without_next_step(world, error) or error from None
    finally:
        await _cancel_others()
        await world.shutdown()


def _without_next_step(world: AsyncWorld, error: AssertionError) -> EngineError | None:
    """What mosaik only asserts: who has named no next step, and when; None if the assertion is somebody else's."""
    (*_, (frame, _)) = walk_tb(error.__traceback__)
    if not frame.f_globals.get("__name__", "").startswith("mosaik."):
        return None
    for sim in world._get_sim_runners().values():
        if sim.type == "time-based" and sim.task.done() and sim.task.exception() is error and sim.last_step is not None:
            time = sim.last_step.time
            return EngineError(f"{sim.sid}: a time-based simulator must name its next step, got None at {time}")
    return None


async def _cancel_others() -> None:
    """Cancel what an exception in one simulator leaves waiting in the others."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
