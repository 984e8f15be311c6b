"""The wiring as data: every connection has its ports, every loop its delay, every series its place."""

from __future__ import annotations

from importlib import import_module

import networkx as nx
import pytest

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.wiring import RunObject, simulators
from evhub.scenarios.schema.scenario_loader import load_scenario, shipped

from ...helpers import plants


def everything():
    hub = plants.hub_with_everything()
    linked = {**plants.hub_with_everything(), "link": {"poll": "20s"}}
    net = {"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 2, "far": 4}}
    return build(plants.loaded(plants.smallest(hubs={"depot": hub, "far": linked}, network=net)))


@pytest.fixture(scope="module")
def wiring():
    return everything()


def ports(wiring):
    """Input and output names of every simulator, as its adapter has them once it is set up."""
    found = {}
    for spec in wiring.simulators:
        module, _, name = spec.python.partition(":")
        simulator = getattr(import_module(module), name)()
        settings = {
            key: (lambda *_: None) if isinstance(value, RunObject) else value for key, value in spec.settings.items()
        }
        simulator.init(spec.sid, time_step_s=wiring.time_step_s, steps=wiring.steps, **settings)
        found[spec.sid] = (simulator.inputs, simulator.outputs)
    return found


def test_every_connection_joins_an_output_to_an_input(wiring):
    known = ports(wiring)
    for link in wiring.connections:
        assert link.output in known[link.source][1], link
        assert link.input in known[link.target][0], link


def test_every_input_has_exactly_one_source(wiring):
    targets = [(link.target, link.target_eid, link.input) for link in wiring.connections]
    assert len(targets) == len(set(targets))


def test_simulators_without_delay_form_no_loop(wiring):
    graph = nx.DiGraph((link.source, link.target) for link in wiring.connections if link.shift == 0)
    order = list(simulators())
    assert nx.is_directed_acyclic_graph(graph)
    assert all(order.index(source) < order.index(target) for source, target in graph.edges)


def test_only_what_closes_a_loop_comes_later(wiring):
    later = {(link.source, link.target) for link in wiring.connections if link.shift}
    plant = {"pv", "load", "bess", "dg", "cp", "wind"}
    assert later == {("grid", "ats")} | {(source, device) for source in ("controller", "commands") for device in plant}


def test_every_series_has_its_own_place_and_feeder(wiring):
    paths = [signal.path for signal in wiring.signals]
    assert len(paths) == len(set(paths))
    recorded = {(link.target_eid, link.input) for link in wiring.connections if link.target == "recorder"}
    assert all((signal.hub, f"{signal.device}.{signal.attribute}") in recorded for signal in wiring.signals)


def test_series_have_units_and_descriptions(wiring):
    for signal in wiring.signals:
        assert signal.port.description, signal.path
        assert signal.port.unit or signal.port.codes or signal.attribute in {"soc", "session", "queue"}, signal.path


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_build(name):
    wiring = build(load_scenario(name))
    assert wiring.signals
    assert wiring.steps > 0
