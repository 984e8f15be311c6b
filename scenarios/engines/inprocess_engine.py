"""Runs a wiring in one process without mosaik's event loop: the same simulators, the same steps, the same bytes.

mosaik lets simulators run at their own pace and works out, with a coroutine for each, who may step next. For
simulators of one process that is not needed: going through time in order, and at one instant through the simulators in
the order in which their data flow, gives every simulator the same steps with the same inputs. Copied from mosaik:

- time-based and hybrid simulators step at 0, event-based ones when triggered; who is given a first step begins there;
- a step that is asked for twice is taken once, a step at or after the end is dropped;
- an event is delivered once, to the first step at or after its time; of several, the latest wins;
- a persistent output is delivered at every step; so is the last event of an entity that has persistent inputs too;
- ``time`` in what ``get_data`` returns dates the outputs, and what they trigger, to the future.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from importlib import import_module
from typing import Any

from .wiring import Connection, EngineError, Wiring, check_ports, data_order, filled

Inputs = dict[str, dict[str, dict[str, Any]]]
"""Values by entity, attribute and source: what mosaik hands to a step."""


class _Runner:
    """A simulator, its pending steps, and where its outputs go."""

    def __init__(self, sid: str, simulator: Any, rank: int, first_step: int | None = None):
        self.sid = sid
        self.simulator = simulator
        self.rank = rank
        self.kind = simulator.meta["type"]
        self.asks = hasattr(simulator, "questions")
        self.looks_ahead = getattr(simulator, "looks_ahead", True)
        self.first_step = 0 if first_step is None and self.kind != "event-based" else first_step
        self.waiting: set[int] = set()
        """Times of the steps to come."""
        self.arriving: dict[int, Inputs] = {}
        """By time, what has been sent and not delivered yet."""
        self.arrivals: list[int] = []
        """The same times as a heap."""
        self.persistent: Inputs = {}
        """Last values."""
        self.request: dict[str, list[str]] = {}
        self.pushes: dict[str, dict[str, list[tuple[_Runner, int, str, str, bool]]]] = {}
        """By entity and output, to whom it goes, how much later, to which entity and attribute, and if it triggers."""
        self.ancestors: dict[_Runner, int] = {}
        """Those that can trigger it, with the least delay on the way."""

    def schedule(self, time: int, queue: list) -> None:
        """Queue a step."""
        if time not in self.waiting:
            self.waiting.add(time)
            heappush(queue, (time, self.rank))

    def inputs_at(self, time: int) -> Inputs:
        """Return the inputs of a step: what has arrived by ``time``, and the last values of persistent outputs."""
        inputs: Inputs = {}
        arrivals, persistent = self.arrivals, self.persistent
        while arrivals and arrivals[0] <= time:
            arrived = self.arriving.pop(heappop(arrivals))
            if not inputs and not persistent:
                inputs = arrived
                continue
            for eid, attrs in arrived.items():
                held = (persistent if eid in persistent else inputs).setdefault(eid, {})
                for attr, sources in attrs.items():
                    held.setdefault(attr, {}).update(sources)
        for eid, attrs in persistent.items():
            inputs[eid] = {attr: dict(sources) for attr, sources in attrs.items()}
        return inputs


class InprocessRun:
    """A run of a wiring in this process: it stops where a simulator asks somebody outside, and goes on from there.

    All state is in this object, without threads or generators, so that a copy of it goes on as the original does.

    Parameters
    ----------
    wiring : Wiring
        Simulators, entities and connections as plain data.
    **objects
        What cannot be plain data, by name; see `scenarios.engines.mosaik_engine.run_mosaik`.

    Raises
    ------
    EngineError
        When simulators form a loop without delay.
    """

    def __init__(self, wiring: Wiring, **objects: Any):
        order = data_order(wiring.simulators, wiring.connections)
        grid = {"time_step_s": wiring.time_step_s, "steps": wiring.steps}
        runners: dict[str, _Runner] = {}
        for spec in wiring.simulators:
            module, _, name = spec.python.partition(":")
            simulator = getattr(import_module(module), name)()
            settings = filled(spec.settings, objects)
            simulator.init(spec.sid, time_resolution=wiring.time_step_s, **grid, **settings)
            for entity in wiring.entities:
                if entity.sid == spec.sid:
                    parameters = filled(entity.parameters, objects)
                    simulator.create(1, entity.model, eid=entity.eid, parameters=parameters)
            simulator.setup_done()
            runners[spec.sid] = _Runner(spec.sid, simulator, order[spec.sid], spec.first_step)
        for link in wiring.connections:
            _connect(runners[link.source], runners[link.target], link)
        _find_ancestors(runners.values())
        self._runners = runners
        self._by_rank = {runner.rank: runner for runner in runners.values()}
        self._may_trigger = {
            runner.rank: [(other.waiting, delay) for other, delay in runner.ancestors.items()]
            for runner in runners.values()
        }
        # the last step is the end itself, at which accounts are closed
        self._until = wiring.steps + 1
        self._queue: list[tuple[int, int]] = []
        self._asking: tuple[_Runner, int] | None = None
        self.ended = False
        for runner in runners.values():
            if runner.first_step is not None:
                runner.schedule(runner.first_step, self._queue)

    def simulator(self, sid: str) -> Any:
        """Return a simulator by its id; raise a `KeyError` if the wiring has none of this id."""
        return self._runners[sid].simulator

    def go_on(self) -> Any:
        """Step simulators, by time and at one instant in the order of data, until one asks somebody outside.

        A simulator asks if it has an attribute ``questions``: its step then ends with what it asks in this list, and
        whoever answers takes the question out and gives the answer to the simulator before the run goes on. When no
        question is left, ``closed(time)`` ends the step and returns what a step returns.

        Returns
        -------
        object or None
            The first question; None at the end of the run.

        Raises
        ------
        EngineError
            When a simulator breaks the rules of the mosaik API.
        Exception
            Whatever a simulator raises.
        """
        if self.ended:
            return None
        if self._asking is not None:
            runner, time = self._asking
            if runner.simulator.questions:
                return runner.simulator.questions[0]
            self._asking = None
            self._close(runner, time, runner.simulator.closed(time))
        queue, by_rank, until = self._queue, self._by_rank, self._until
        while queue:
            time, rank = heappop(queue)
            if time >= until:
                break
            runner = by_rank[rank]
            runner.waiting.discard(time)
            quiet_until = self._quiet_until(runner) if runner.looks_ahead else time
            after = runner.simulator.step(time, runner.inputs_at(time), quiet_until)
            if runner.asks and runner.simulator.questions:
                self._asking = runner, time
                return runner.simulator.questions[0]
            self._close(runner, time, after)
        self.ended = True
        for runner in self._runners.values():
            runner.simulator.finalize()
        return None

    def _quiet_until(self, runner: _Runner) -> int:
        """Until when nothing can trigger a simulator: ``max_advance``."""
        ahead = [min(waiting) + delay for waiting, delay in self._may_trigger[runner.rank] if waiting]
        return min([*ahead, *runner.waiting, self._until + 1]) - 1

    def _close(self, runner: _Runner, time: int, after: int | None) -> None:
        """End a step: queue the next one, and take the outputs to those who use them."""
        if after is not None:
            _check_next(runner, time, after)
            if after < self._until:
                runner.schedule(after, self._queue)
        elif runner.kind == "time-based":
            raise EngineError(f"{runner.sid}: a time-based simulator must name its next step, got None at {time}")
        if runner.request:
            _deliver(runner, time, self._queue)


def run_inprocess(wiring: Wiring, **objects: Any) -> None:
    """Run a wiring in this process to its end; see `InprocessRun`."""
    InprocessRun(wiring, **objects).go_on()


def _check_next(runner: _Runner, time: int, after: Any) -> None:
    if not isinstance(after, int):
        raise EngineError(f"{runner.sid}: the next step must be an int, got {type(after).__name__}")
    if after <= time:
        raise EngineError(f"{runner.sid}: the next step must come after {time}, got {after}")


def _deliver(runner: _Runner, time: int, queue: list) -> None:
    """Take a simulator's outputs to those who use them, and trigger these."""
    data = runner.simulator.get_data(runner.request)
    dated = data.pop("time", time)
    if dated < time:
        raise EngineError(f"{runner.sid}: outputs must not be dated before their step at {time}, got {dated}")
    for eid, values in data.items():
        pushes = runner.pushes.get(eid, {})
        source = f"{runner.sid}.{eid}"
        for attr, value in values.items():
            for target, shift, target_eid, target_attr, triggers in pushes.get(attr, ()):
                at = dated + shift
                arriving = target.arriving.get(at)
                if arriving is None:
                    arriving = target.arriving[at] = {}
                    heappush(target.arrivals, at)
                arriving.setdefault(target_eid, {}).setdefault(target_attr, {})[source] = value
                if triggers and at not in target.waiting:
                    target.schedule(at, queue)


def _connect(source: _Runner, target: _Runner, link: Connection) -> None:
    check_ports(link, source.simulator.meta, target.simulator.meta)
    requested = source.request.setdefault(link.source_eid, [])
    if link.output not in requested:
        requested.append(link.output)
    triggers = _is(target, link.input, "trigger", "non-trigger", target.kind == "event-based")
    sends_events = _is(source, link.output, "non-persistent", "persistent", source.kind != "time-based")
    push = (target, link.shift, link.target_eid, link.input, triggers)
    source.pushes.setdefault(link.source_eid, {}).setdefault(link.output, []).append(push)
    if not sends_events:
        attrs = target.persistent.setdefault(link.target_eid, {})
        attrs.setdefault(link.input, {}).setdefault(f"{source.sid}.{link.source_eid}", None)
    if triggers:
        target.ancestors[source] = min(link.shift, target.ancestors.get(source, link.shift))


def _is(runner: _Runner, attr: str, yes: str, no: str, default: bool) -> bool:
    """What META says of a port; an adapter of evhub has one model."""
    (model,) = runner.simulator.meta["models"].values()
    if yes in model:
        return attr in model[yes]
    if no in model:
        return attr not in model[no]
    return default


def _find_ancestors(runners: Iterable[_Runner]) -> None:
    """Complete direct triggers to all simulators that can trigger one, with the least delay on the way."""
    changed = True
    while changed:
        changed = False
        for runner in runners:
            for ancestor, delay in list(runner.ancestors.items()):
                for further, more in ancestor.ancestors.items():
                    if delay + more < runner.ancestors.get(further, float("inf")):
                        runner.ancestors[further] = delay + more
                        changed = True
