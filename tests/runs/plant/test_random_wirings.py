"""Random wirings of test simulators: both engines take the same steps with the same inputs.

What mosaik does, and the in-process engine must do too: time-based and hybrid simulators step at 0, event-based ones
only when triggered or given a first step; persistent outputs are delivered at every step, events once, the latest
wins; outputs may be dated to the future; steps at or after the end are dropped, duplicates taken once.

``max_advance`` is not compared but held to its promise, that nothing triggers the simulator until then (but what comes
of its own outputs): mosaik's value depends on how far its event loop has let other simulators run ahead.
"""

from __future__ import annotations

from zlib import crc32

import mosaik_api_v3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evhub.scenarios.engines.inprocess_engine import run_inprocess
from evhub.scenarios.engines.mosaik_engine import run_mosaik
from evhub.scenarios.engines.wiring import Connection, EntitySpec, SimulatorSpec, Wiring

from ...helpers.sizes import examples

STEPS = 24
PORTS = ("p", "q")


def chance(*parts: object) -> float:
    """A number in 0..1 that depends on nothing but the parts, so that both engines meet the same simulators."""
    return crc32(repr(parts).encode()) / 2**32


class Node(mosaik_api_v3.Simulator):
    """Steps, answers and dates its outputs as its name and the time say; logs every step."""

    def __init__(self):
        super().__init__({"api_version": "3.0", "models": {}})

    def init(self, sid, time_resolution=1.0, *, time_step_s, steps, kind, triggers, events, loops, log):
        """Take the type, and which inputs trigger and which outputs are events."""
        self.sid, self.kind, self.events, self.log, self.hubs = sid, kind, events, log, []
        self.loops, self.asked, self.quiet_until = loops, set(), -1
        model = {"public": True, "params": ["eid", "parameters"], "attrs": ["x", "y", *PORTS]}
        if kind == "hybrid":
            model |= {"trigger": triggers, "non-persistent": events}
        self.meta["type"] = kind
        self.meta["models"] = {"Node": model}
        return self.meta

    def create(self, num, model, *, eid, parameters):
        """One entity a hub."""
        self.hubs.append(eid)
        return [{"eid": eid, "type": model}]

    def step(self, time, inputs, max_advance):
        """Log what is seen; name a next step, often none."""
        if time <= self.quiet_until and time not in self.asked:
            raise AssertionError(f"{self.sid} steps at {time}, was told nothing until {self.quiet_until}")
        self.time = time
        self.log.append((self.sid, time, {e: {a: dict(s) for a, s in i.items()} for e, i in inputs.items()}))
        rests = self.kind != "time-based" and chance(self.sid, "rests", time) < 0.3
        own = None if rests else time + 1 + int(6 * chance(self.sid, "ahead", time))
        self.asked.add(own)
        self.quiet_until = -1 if self.loops else max_advance
        return own

    def get_data(self, outputs):
        """Values that tell who sent them and when; events are sometimes left out or dated to the future."""
        data = {}
        for eid, ports in outputs.items():
            for port in ports:
                event = self.kind == "event-based" or (self.kind == "hybrid" and port in self.events)
                if not event or chance(self.sid, eid, port, self.time) < 0.7:
                    data.setdefault(eid, {})[port] = f"{self.sid}.{eid}.{port}@{self.time}"
        if self.kind != "time-based" and chance(self.sid, "late", self.time) < 0.2:
            data["time"] = self.time + 1 + int(3 * chance(self.sid, "how late", self.time))
        return data


def is_one(chosen: dict, what: str, port: str) -> bool:
    """Whether an output is an event, or an input triggers."""
    return chosen["kind"] == "event-based" or (chosen["kind"] == "hybrid" and port in chosen[what])


@st.composite
def wirings(draw):
    """Two to five simulators of any type, one or two entities each, wired forward at once and backward with delay."""
    kinds = st.sampled_from(["time-based", "event-based", "hybrid"])
    sids = [f"s{n}" for n in range(draw(st.integers(2, 5)))]
    hubs = ["a", "b"][: draw(st.integers(1, 2))]
    simulators, entities, connections = [], [], []
    for sid in sids:
        kind = draw(kinds)
        chosen = {
            "kind": kind,
            "triggers": draw(st.lists(st.sampled_from(["x", "y"]), unique=True)),
            "events": draw(st.lists(st.sampled_from(PORTS), unique=True)),
        }
        first = draw(st.integers(0, STEPS)) if kind == "event-based" and draw(st.booleans()) else None
        simulators.append((sid, chosen, first))
        entities += [EntitySpec(sid, "Node", hub, {}) for hub in hubs]
    places = st.tuples(st.sampled_from(sids), st.sampled_from(sids), st.sampled_from(hubs), st.sampled_from(hubs))
    ports = st.tuples(st.sampled_from(PORTS), st.sampled_from(["x", "y"]))
    kind_of = {sid: chosen for sid, chosen, _ in simulators}
    seen = set()
    for (source, target, hub, target_hub), (output, port) in draw(
        st.lists(st.tuples(places, ports), min_size=1, max_size=8)
    ):
        # mosaik wants initial data for every other flow that is delayed; the project's plants have none
        event = is_one(kind_of[source], "events", output) and is_one(kind_of[target], "triggers", port)
        backward = sids.index(source) >= sids.index(target)
        if source == target or (backward and not event) or (source, hub, output, target, target_hub, port) in seen:
            continue
        # one flow between two entities for each input, as in every plant
        if any((s, h, t, th, p) == (source, hub, target, target_hub, port) for s, h, _, t, th, p in seen):
            continue
        seen.add((source, hub, output, target, target_hub, port))
        shift = draw(st.integers(1, 3)) if backward else draw(st.sampled_from([0, 0, 1])) if event else 0
        connections.append(Connection(source, hub, output, target, target_hub, port, shift))
    return simulators, tuple(entities), tuple(connections), tuple(hubs)


def steps_of(engine, simulators, entities, connections, hubs):
    log: list = []
    place = {sid: n for n, (sid, _, _) in enumerate(simulators)}
    loops = any(place[link.source] > place[link.target] for link in connections)
    specs = tuple(
        SimulatorSpec(sid, f"{__name__}:Node", {**chosen, "loops": loops, "log": log}, first)
        for sid, chosen, first in simulators
    )
    engine(Wiring(STEPS, 1.0, specs, entities, connections, (), (), hubs))
    found: dict[str, list] = {}
    for sid, time, inputs in log:
        found.setdefault(sid, []).append((time, inputs))
    return found


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=examples(60), suppress_health_check=list(HealthCheck))
@given(wiring=wirings())
def test_both_engines_take_the_same_steps_with_the_same_inputs(wiring):
    assert steps_of(run_inprocess, *wiring) == steps_of(run_mosaik, *wiring)
