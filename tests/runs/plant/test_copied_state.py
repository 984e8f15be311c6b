"""A wiring is data, and the state of a run can be copied and pickled: what continues from it gives the same bytes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.wiring import Wiring
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import Scenario, parse, shipped
from evhub.scenarios.schema.yaml_file import read_yaml

from ...helpers import plants
from ...helpers.replaced import replacing

OFTEN = ("island-evening", "leal2024-1", "public-hub-day", "two-depots")
NAMES = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in sorted(shipped())]


def day_of(name: str) -> Scenario:
    """The first day of a shipped scenario."""
    data = read_yaml(shipped()[name])
    whole = parse(data, shipped()[name]).scenario
    end_s = min(whole.duration, 24 * 3600)
    data |= {"duration": f"{end_s:g}s", "expect": []}  # what is expected is of the whole run
    data["events"] = [raw for raw, event in zip(data.get("events", []), whole.events, strict=True) if event.at < end_s]
    return parse(data, shipped()[name])


def pickled(wiring: Wiring) -> Wiring:
    """The wiring out of a pickle, with the controllers that it had."""
    settings = {spec.sid: spec.settings for spec in wiring.simulators}
    plain = [
        replace(spec, settings={key: value for key, value in spec.settings.items() if key != "controllers"})
        for spec in wiring.simulators
    ]
    copied = pickle.loads(pickle.dumps(replace(wiring, simulators=tuple(plain))))
    again = [
        replace(spec, settings=spec.settings | {"controllers": settings[spec.sid]["controllers"]})
        if "controllers" in settings[spec.sid]
        else spec
        for spec in copied.simulators
    ]
    return replace(copied, simulators=tuple(again))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_continues_from_copies_of_its_state_gives_the_same_bytes(name, tmp_path):
    loaded = day_of(name)
    whole, copied = build(loaded), replacing(pickled(build(loaded)))
    expected, found = (
        plants.datasets(run_wiring(wiring, loaded, tmp_path / f"{n}.h5", engine="inprocess"))
        for n, wiring in enumerate((whole, copied))
    )
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


def test_devices_of_every_kind_continue_from_copies(tmp_path):
    """With a link, a network whose Jacobian is sparse, faults, a queue and forecasts that have been asked."""
    hub = plants.hub_with_everything()
    hub["link"] = {"poll": "20s", "measurement": {"type": "uniform", "mean": "15s", "spread": "10s"}, "loss": 0.1}
    hub["queue"] = {"patience": "20min", "places": 4, "plug_in": "40s", "authentication": "25s"}
    events = [
        {"at": "15min", "outage": {"hub": "depot", "until": "45min"}},
        {"at": "20min", "connector_fault": {"hub": "depot", "connector": 1, "until": "70min"}},
        {"at": "35min", "device_fault": {"hub": "depot", "device": "pv", "until": "50min"}},
    ]
    network = {"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 2}}
    data = plants.smallest(duration="2h", hubs={"depot": hub}, network=network, events=events)
    loaded = plants.loaded(data)
    expected, found = (
        plants.datasets(run_wiring(wiring, loaded, tmp_path / f"{n}.h5", engine="inprocess"))
        for n, wiring in enumerate((build(loaded), replacing(pickled(build(loaded)))))
    )
    assert found == expected
