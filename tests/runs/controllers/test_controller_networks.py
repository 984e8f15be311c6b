"""Controllers that plan on a network: the one the plant has, the same in every process, and told where it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pandapower as pp
import pytest
import yaml

from evhub.simulators.network.network_sources import lv_feeder

from ...helpers import plants
from ...helpers.command import evhub

NETS = {"lv_feeder": 3, "create_kerber_vorstadtnetz_kabel_1": 100}
"""Names and a bus; pandapower draws the cables of the second at random."""


def scenario(controller: str, net: str, bus: int | str) -> dict:
    """Three hours of a depot on a network that its controller knows."""
    hub = {
        "grid": {"contracted_kw": 300, "installed_kw": 400},
        "load": {"demand": {"type": "constant", "value": 10}},
        "bess": {"type": "tremblay", "rated_kw": 40, "capacity_kwh": 60, "soc": 0.5},
        "connectors": {"count": 3, "rated_kw": 50, "current": "dc"},
        "sessions": {
            "type": "list",
            "items": [
                {"id": f"bus-{n}", "at": f"{5 * n}min", "until": "170min", "energy_kwh": 90, "capacity_kwh": 300}
                for n in range(3)
            ],
        },
        "tariffs": {"buy": {"type": "profile", "points": [["0s", 0.3], ["1h", 0.1], ["2h", 0.2]]}},
    }
    network: dict = {
        "ems": {"period": "15min", "network": {"net": net, "buses": {"depot": bus}, "band": [0.93, 1.1]}},
        "ievcs": {"period": "15min", "feeder": {"net": net, "bus": bus, "v_min_pu": 0.93}},
    }[controller]
    return plants.smallest(
        start="2024-03-01T00:00:00+00:00",
        duration="3h",
        time_step="1min",
        hubs={"depot": hub},
        network={"type": "pandapower", "net": net, "hub_bus": {"depot": bus}},
        controller={"type": controller, **network},
        seed=3,
    )


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("controller", ["ems", "ievcs"])
def test_two_processes_give_the_same_bytes(controller, net, tmp_path):
    file = tmp_path / "case.yaml"
    file.write_text(yaml.safe_dump(scenario(controller, net, NETS[net])))
    results = [tmp_path / "first.h5", tmp_path / "second.h5"]
    for result in results:
        call = [sys.executable, "-c", "from evhub.scenarios.cli.app import main; main()"]
        subprocess.run([*call, "run", file, "-o", result, "--engine", "inprocess"], check=True, capture_output=True)
    first, second = (plants.datasets(result) for result in results)
    assert first == second
    assert any(name.startswith("series/depot/controller") for name in first)


PLACES = {
    "ems": ("controller.network.net", "controller.network.buses.depot"),
    "ievcs": ("controller.feeder.net", "controller.feeder.bus"),
}


@pytest.mark.parametrize("controller", PLACES)
@pytest.mark.parametrize(
    ("net", "bus", "place", "message"),
    [
        ("case33wb", 3, 0, "there is no network 'case33wb'; close to it: case33bw"),
        ("nowhere.json", 3, 0, "must be an existing file"),
        ("other.json", 3, 0, "other.json is not a pandapower network as pandapower.to_json writes it"),
        ("damaged.json", 3, 0, "damaged.json is not a pandapower network that can be read"),
        ("code.json", 3, 0, "code.json is not a pandapower network that can be read"),
        ("create_cigre_network_hv", 3, 0, "the network has generators that hold a voltage"),
        ("lv_feeder", 99, 1, "there is no bus with index 99; there are 5, from 0 to 4, nearest 2, 3, 4"),
        ("lv_feeder", "feeder 9", 1, "there is no bus named 'feeder 9'; close to it: feeder"),
    ],
)
def test_a_network_that_cannot_be_used_is_told_in_one_line_at_its_key(
    controller, net, bus, place, message, tmp_path, capfd
):
    content = json.loads(pp.to_json(lv_feeder()))
    (tmp_path / "other.json").write_text(json.dumps({"bus": [1, 2]}))
    table = content["_object"]["bus"]
    for name, change in {
        "damaged.json": {"_object": '{"broken'},
        "code.json": {"_module": "os", "_class": "system"},
    }.items():
        changed = content | {"_object": content["_object"] | {"bus": table | change}}
        (tmp_path / name).write_text(json.dumps(changed))
    data = scenario(controller, net, bus)
    del data["network"]
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(data))
    outcome = evhub("run", tmp_path / "case.yaml", "-o", tmp_path / "out.h5")
    assert outcome.status == 2
    lines = (outcome.err + capfd.readouterr().err).splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{tmp_path}/case.yaml: {PLACES[controller][place]}: ")
    assert message in lines[0]


def test_the_bus_of_a_part_is_told_at_its_own_key(tmp_path):
    data = scenario("ems", "lv_feeder", 3)
    for buses, key in (({"pv": 77}, "pv"), ({"connectors": [2, 3, 77]}, "connectors[2]")):
        data["controller"]["network"]["buses"] = {"depot": {"hub": 3, **buses}}
        (tmp_path / "case.yaml").write_text(yaml.safe_dump(data))
        outcome = evhub("run", tmp_path / "case.yaml", "-o", tmp_path / "out.h5")
        assert outcome.status == 2
        assert (
            f"case.yaml: controller.network.buses.depot.{key}: hub 'depot': there is no bus with index 77"
            in outcome.err
        )
