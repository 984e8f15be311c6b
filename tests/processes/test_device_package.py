"""A device of another package: built, installed and used as its users do; and what is said of one that is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.analysis import Results, open_results
from evhub.scenarios.schema.controller_registry import controllers
from evhub.scenarios.schema.yaml_file import read_yaml

from ..helpers.schema_problems import schema_problems

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "helpers" / "device_package"
SCENARIO = """
name: warm
start: 2024-01-15T06:00:00+01:00
duration: 6h
time_step: 10s
hubs:
  depot:
    grid: {contracted_kw: 30}
    load: {demand: {type: constant, value: 2}}
    heat_pump: {rated_kw: 6, tank_kwh: 20, demand: {type: profile, points: [[0s, 9], [2h, 12], [4h, 6]]}}
    connectors: {count: 1, rated_kw: 11}
    sessions: {type: list, items: [{at: 30min, until: 4h, energy_kwh: 20}]}
    tariffs: {buy: {type: constant, value: 0.3}}
    link: {poll: 10s, devices: {heat_pump: {measurement: {type: constant, mean: 40s}}}}
events:
  - {at: 3h, device_fault: {hub: depot, device: heat_pump, until: 4h}}
controller: {type: limits:Limits, period: 1min}
expect:
  - {invariants: [balance, soc_bounds, ratings, dead_bus]}
  - {golden: warm-golden.yaml}
"""
CONTROLLER = '''
import evhub

class Limits(evhub.Controller):
    """1 kW for the heat pump from 1 h to 1 h 30 min, else far more than it can."""

    records = {"seen_kw": ("kW", "heat pump, as it is seen"), "other_kw": ("kW", "further devices, as they are seen")}

    def decide(self, observation):
        hub = observation.hubs["depot"]
        limit_kw = 1.0 if 3600 <= observation.t_s < 5400 else 99.0
        setpoints = evhub.Setpoints(hub.connectors.p_max_kw, devices={"heat_pump": limit_kw})
        seen = {"seen_kw": hub.devices["heat_pump"].p_kw, "other_kw": hub.p_other_kw}
        return evhub.Decision({"depot": setpoints}, records={"depot": seen})
'''
# a hub with a heat pump, and one with a load that takes the same
PLANT = """
name: NAME
start: 2024-01-15T06:00:00+01:00
duration: 3h
time_step: 1min
hubs:
  depot:
    grid: {contracted_kw: 20}
    pv: {rated_kw: 10, irradiance: {type: profile, points: [[0s, 0], [1h, 200], [2h, 500]]}}
    bess: {type: ideal, rated_kw: 5, capacity_kwh: 10}
    DEVICES
    connectors: {count: 2, rated_kw: 11}
    sessions: {type: list, items: [{at: 10min, until: 2h, energy_kwh: 12}, {at: 40min, until: 170min, energy_kwh: 20}]}
    tariffs: {buy: {type: profile, points: [[0s, 0.2], [1h, 0.41], [2h, 0.1]]}, sell: {type: constant, value: 0.05}}
"""
PUMP = """load: {demand: {type: constant, value: 4}}
    heat_pump: {rated_kw: 6, tank_kwh: 20, demand: {type: profile, points: [[0s, 12], [90min, 6]]}}"""
LOAD = "load: {demand: {type: profile, points: [[0s, 8], [90min, 6]]}}"
SEEN = ("depot/cp/p_kw", "depot/bess/p_kw", "depot/pv/p_kw", "depot/grid/p_kw")


def test_the_documentation_shows_this_package():
    page = (ROOT / "docs" / "devices.md").read_text()
    for name in ("pyproject.toml", "heat_pump.py"):
        assert (PACKAGE / name).read_text() in page
    wind = (ROOT / "simulators" / "wind" / "wind_device.py").read_text()
    assert wind[wind.index("WIND = ") :] in page


class Environment:
    """A Python that finds the package, called in a folder."""

    def __init__(self, python: Path | str, folder: Path, paths: tuple[Path, ...] = ()):
        self.python = python
        self.folder = folder
        self._env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def evhub(self, *commands: tuple[object, ...]) -> list[tuple[int, str, str]]:
        """Run commands one after the other, in one process: status, what is printed, errors."""
        calls = [[str(part) for part in command] for command in commands]
        code = (
            "import json, sys\nfrom dataclasses import astuple\nfrom tests.helpers.command import evhub\n"
            "print(json.dumps([astuple(evhub(*call)) for call in json.loads(sys.argv[1])]))"
        )
        done = subprocess.run(
            [self.python, "-c", code, json.dumps(calls)],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return [tuple(outcome) for outcome in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Environment:
    """An environment of its own, with the package built from its source and installed."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    shared = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    (site / "shared.pth").write_text("\n".join(shared) + "\n")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", site]
    command = [sys.executable, "-m", "pip", "install", *options, folder / "source"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "warm.yaml").write_text(SCENARIO)
    (folder / "limits.py").write_text(CONTROLLER)
    return Environment(folder / "env" / "bin" / "python", folder)


@pytest.fixture(scope="module")
def runs(installed) -> Path:
    """The folder of the runs on both engines; each command has ended well."""
    outcomes = installed.evhub(
        ("run", "warm.yaml", "-o", "mosaik.h5", "--quiet"),
        ("run", "warm.yaml", "-o", "inprocess.h5", "--quiet", "--engine", "inprocess"),
        ("check", "warm.yaml", "--update"),
        ("check", "warm.yaml", "--engine", "mosaik"),
        ("report", "mosaik.h5", "-o", "page.html", "--picture", "hub.png"),
        ("schema", "-o", "scenario.schema.json"),
        ("run", "warm.yaml", "-o", "shown.h5", "--engine", "inprocess"),
    )
    assert [status for status, _, _ in outcomes] == [0] * len(outcomes), outcomes
    (installed.folder / "summary.txt").write_text(outcomes[-1][1])
    return installed.folder


@pytest.fixture
def result(runs):
    with open_results(runs / "mosaik.h5") as results:
        yield results


def held(results: Results, path: str, *minutes: float) -> list[float]:
    """The values of a signal at these times."""
    t_s, values = results.arrays(path)
    return [float(values[np.searchsorted(t_s, 60.0 * minute, side="right") - 1]) for minute in minutes]


def test_both_engines_give_the_same_bytes(runs, result):
    with open_results(runs / "inprocess.h5") as other:
        assert list(other.signals().index) == list(result.signals().index)
        for path in result.signals().index:
            for mine, theirs in zip(result.arrays(path), other.arrays(path), strict=True):
                assert mine.tobytes() == theirs.tobytes(), path


def test_it_is_recorded_and_balances(result):
    assert {"depot/heat_pump/p_kw", "depot/heat_pump/tank_kwh"} <= set(result.signals().index)
    table = result.frame("depot/*/p_kw", every="1min", how="mean")
    drawn_kw = table[["depot/load/p_kw", "depot/cp/p_kw", "depot/heat_pump/p_kw"]].sum(axis=1)
    np.testing.assert_allclose(table["depot/grid/p_kw"], drawn_kw, atol=1e-9)


def test_it_does_its_physics(result):
    # 3 kW keep the tank warm. Of 20 kWh, 6 kWh an hour are missing at 1 kW; with 6 kW they are back after 20 min
    assert held(result, "depot/heat_pump/p_kw", 10, 75, 95, 115) == [3.0, 1.0, 6.0, 3.0]
    assert held(result, "depot/heat_pump/tank_kwh", 10, 91, 115) == [20.0, 17.0, 20.0]


def test_it_obeys_its_own_set_point_clipped_to_its_plates(result):
    assert held(result, "depot/controller/heat_pump_limit_kw", 10, 75, 95) == [6.0, 1.0, 6.0]


def test_an_event_faults_it(result):
    assert held(result, "depot/heat_pump/p_kw", 179, 180, 239, 240) == [4.0, 0.0, 0.0, 6.0]


def test_the_link_delays_what_is_seen_of_it(result):
    t_s, _ = result.arrays("depot/heat_pump/p_kw")
    fault_s = float(t_s[t_s >= 10800.0][0])
    seen_s, seen_kw = result.arrays("depot/controller/seen_kw")
    after = (seen_s > fault_s) & (seen_kw == 0.0)
    assert fault_s == 10800.0
    assert 40.0 <= seen_s[after][0] - fault_s <= 40.0 + 10.0 + 60.0  # delay, poll, period
    other_s, other_kw = result.arrays("depot/controller/other_kw")
    np.testing.assert_array_equal(other_s, seen_s)
    np.testing.assert_array_equal(other_kw, -seen_kw)


def test_it_stands_in_the_summary_the_golden_file_the_page_and_the_schema(runs, result):
    energy_kwh = float(result.frame("depot/heat_pump/p_kw", every="6h", how="mean").iloc[0, 0]) * 6.0
    golden = yaml.safe_load((runs / "warm-golden.yaml").read_text())
    assert golden["kpis"]["total"]["heat_pump_kwh"] == pytest.approx(energy_kwh, abs=1e-3)
    assert {"heat_pump/p_kw", "heat_pump/tank_kwh"} <= {path.removeprefix("depot/") for path in golden["signals"]}
    (line,) = [line for line in (runs / "summary.txt").read_text().splitlines() if "heat pump" in line]
    assert line.split()[-1] == f"{energy_kwh:.1f}"
    page = (runs / "page.html").read_text()
    assert "heat pump" in page
    assert "#332288" in page
    assert (runs / "hub.png").stat().st_size > 10_000
    schema = json.loads((runs / "scenario.schema.json").read_text())
    scenario = read_yaml(runs / "warm.yaml")
    assert schema_problems(scenario, schema) == []
    del scenario["hubs"]["depot"]["heat_pump"]["rated_kw"]
    assert schema_problems(scenario, schema) != []


def test_its_results_can_be_read_where_the_package_is_not_installed(runs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_results(runs / "mosaik.h5") as results:
            energies = results.summary()["depot"]
    assert energies["heat_pump_in_kwh"] > 0.0


def test_every_shipped_strategy_counts_it_as_a_load_of_the_same_power(installed):
    names = list(controllers())
    for name, devices in (("pump", PUMP), ("load", LOAD)):
        (installed.folder / f"{name}.yaml").write_text(PLANT.replace("NAME", name).replace("DEVICES", devices))
    outcomes = installed.evhub(
        *(
            (
                "run",
                f"{plant}.yaml",
                "--controller",
                name,
                "-o",
                f"{plant}-{name}.h5",
                "--quiet",
                "--engine",
                "inprocess",
            )
            for name in names
            for plant in ("pump", "load")
        )
    )
    assert [outcome for outcome in outcomes if outcome[0]] == []
    assert len(names) >= 12
    for name in names:
        folder = installed.folder
        with open_results(folder / f"pump-{name}.h5") as pump, open_results(folder / f"load-{name}.h5") as load:
            for path in SEEN:
                mine, theirs = (results.frame(path, every="1min", how="mean") for results in (pump, load))
                np.testing.assert_allclose(mine, theirs, atol=1e-6, err_msg=f"{name}: {path}")
            assert float(pump.frame("depot/cp/p_kw", every="3h", how="mean").iloc[0, 0]) > 1.0, name


def test_runs_with_it_are_shared_among_processes(installed):
    arguments = ("--controllers", "equal_share,uncontrolled", "--seeds", "1", "-o", "compared", "--workers", "2")
    (installed.folder / "shared.yaml").write_text(PLANT.replace("NAME", "shared").replace("DEVICES", PUMP))
    ((status, _, err),) = installed.evhub(("compare", "shared.yaml", *arguments))
    assert status == 0, err


BROKEN = {
    "an output that its measures need": (
        'measures=("p_kw", "tank_kwh"',
        'measures=("p_kw", "heat_kwh"',
        "heat_pump has no output heat_kwh, which measures needs",
    ),
    "an input that its set point needs": (
        '"heat_pump_limit_kw", "p_limit_kw"',
        '"heat_pump_limit_kw", "limit_kw"',
        "heat_pump has no input limit_kw, which commands needs",
    ),
    "what it imports": ("import evhub\n", "import evhub\nimport absent_library\n", "No module named 'absent_library'"),
    "a name that is free: reserved": ('name="heat_pump"', 'name="network"', "the name network is reserved"),
    "a name that is free: taken": (
        'name="heat_pump"',
        'name="wind"',
        "the name wind is taken by another kind of device",
    ),
    "an energy that is free": ('"heat_pump_kwh"', '"load_kwh"', "the name load_kwh of a set point or energy is taken"),
    "plates that bound its set point": ('    plates="heat_pump:plates",\n', "", "plates must be given"),
    "a section that can be checked": (
        "HeatPumpSection(evhub.DeviceSection)",
        "HeatPumpSection",
        "section must be a DeviceSection",
    ),
    "a layer that fits its sign": ("source=False", "source=True", "source does not fit the sign -1"),
    "a function that is there": ('"heat_pump:plates"', '"heat_pump:plate"', "heat_pump has no plate"),
}


@pytest.mark.parametrize("lacking", BROKEN)
def test_a_package_that_lacks(lacking, installed, tmp_path):
    old, new, text = BROKEN[lacking]
    (site,) = (installed.folder / "env").glob("lib/python*/site-packages")
    for name in ("heat_pump.py", "evhub_heat_pump-0.1.0.dist-info"):
        copy = shutil.copytree if (site / name).is_dir() else shutil.copy
        copy(site / name, tmp_path / name)
    source = (tmp_path / "heat_pump.py").read_text()
    assert source.count(old) == 1
    (tmp_path / "heat_pump.py").write_text(source.replace(old, new))
    for name in ("warm.yaml", "limits.py"):
        shutil.copy(installed.folder / name, tmp_path)
    (tmp_path / "load.yaml").write_text(PLANT.replace("NAME", "load").replace("DEVICES", LOAD))
    broken = Environment(sys.executable, tmp_path, (tmp_path, ROOT))
    uses, uses_not, listed = broken.evhub(
        ("run", "warm.yaml", "--engine", "inprocess", "--quiet"),
        ("run", "load.yaml", "--engine", "inprocess", "--quiet"),
        ("list",),
    )
    (line,) = uses[2].splitlines()
    assert line.startswith("warm.yaml: hubs.depot.heat_pump: package evhub-heat-pump: device heat_pump (heat_pump:HEAT")
    assert text in line
    assert uses[0] == 2
    assert uses_not == (0, "", "")
    assert listed[0] == 0
    (warning,) = listed[2].splitlines()
    assert warning == f"warning: {line.removeprefix('warm.yaml: hubs.depot.heat_pump: ')}"
    assert not (tmp_path / "warm.h5").exists()
