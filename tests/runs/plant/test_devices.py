"""Devices by their declaration: several of a kind, kinds the contract has no field for, and kinds that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from evhub.analysis import open_results
from evhub.analysis.checks.golden_results import record
from evhub.analysis.checks.invariants import INVARIANTS
from evhub.analysis.report.html.run_page import write_report
from evhub.analysis.results.hub_signals import balance
from evhub.controllers import contract
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.inprocess_engine import run_inprocess
from evhub.scenarios.engines.mosaik_engine import run_mosaik
from evhub.scenarios.engines.wiring import Connection, EngineError
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.controller_registry import controllers
from evhub.scenarios.schema.scenario_schema import ScenarioSection
from evhub.simulators.adapter import PortError
from evhub.simulators.device_kind import DeclarationError, Layer, check_kind
from evhub.simulators.devices import BUILT_IN, kind_names, kinds, with_kind
from evhub.simulators.wind.wind_device import WIND
from evhub.simulators.wind.wind_simulator import Turbine

from ...helpers import plants
from ...helpers.eager_policy import write_eager_policy
from ...helpers.plates import plates

WIND_KW = 8.0
TURBINE = {"rated_kw": 10, "power": {"type": "profile", "points": [["0s", WIND_KW], ["30min", 3]]}}
OTHER = replace(
    WIND,
    name="tide",
    label="tidal turbine",
    colour="#332288",
    commands=(replace(WIND.commands[0], setpoint="tide_limit_kw"),),
    layers=(Layer("positive", "tide", "tide_kwh", "tidal energy", source=True),),
    price="dg",
    cost_text="tidal turbine",
)
"""A kind that evhub does not ship, made of the simulator of another."""


class Told(contract.Controller):
    """Sets single devices by name, and keeps what it sees."""

    seen: list = []

    def decide(self, observation):
        """Follow the parameters."""
        self.seen.append(observation.hubs["depot"])
        setpoints = contract.Setpoints(np.zeros(0), bess_kw=6.0, devices={"north": 2.5, "new": {"p_set_kw": 1.0}})
        return contract.Decision({"depot": setpoints})


def hub(**changes) -> dict:
    """A hub without EVs."""
    return {
        "grid": {"contracted_kw": 50, "ats": {"transfer_s": 20}, "secondary": {"rated_kw": 30, "start": "10s"}},
        "load": {"demand": {"type": "constant", "value": 12}},
        **changes,
    }


def run(folder, devices: dict, name: str = "out.h5", engine: str = "inprocess", **changes):
    """Open the results of a run of one hub."""
    return open_results(
        plants.run_data(plants.smallest(hubs={"depot": hub(**devices)}, **changes), folder, name, engine)
    )


def mean_kw(results, path: str) -> float:
    t_s, p_kw = results.arrays(path)
    return float(np.repeat(p_kw, 1).dot(np.diff(np.append(t_s, results.end_s))) / results.end_s)


# --- a kind without a field in the contract ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs with a device of the test's own kind, on both engines."""
    folder = tmp_path_factory.mktemp("tide")
    tariffs = {"dg": {"type": "constant", "value": 0.5}}
    devices = {"tide": TURBINE, "tariffs": tariffs, "link": {"poll": "1min"}}
    events = [{"at": "10min", "device_fault": {"hub": "depot", "device": "tide", "until": "20min"}}]
    with with_kind(OTHER):
        for engine in ("inprocess", "mosaik"):
            run(folder, devices, f"{engine}.h5", engine, events=events).close()
    return folder


@pytest.fixture
def tidal(folder):
    """The results of such a run, where the kind is registered."""
    with with_kind(OTHER), open_results(folder / "inprocess.h5") as results:
        yield results


def test_both_engines_give_the_same_bytes(folder):
    assert plants.datasets(folder / "inprocess.h5") == plants.datasets(folder / "mosaik.h5")


def test_its_energy_is_balanced_summed_priced_and_recorded(tidal):
    summary = tidal.summary()["total"]
    expected_kwh = WIND_KW * (30 - 10) / 60 + 3 * 30 / 60
    assert summary["tide_kwh"] == pytest.approx(expected_kwh)
    assert summary["import_kwh"] == pytest.approx(12 - expected_kwh)
    assert summary["losses_kwh"] == pytest.approx(0.0, abs=1e-9)
    assert summary["cost_tide"] == pytest.approx(0.5 * expected_kwh)
    assert INVARIANTS["balance"](tidal, "depot", plates()) is None
    assert "depot/tide/p_kw" in record(tidal, tidal.summary())["signals"]


def test_its_error_takes_its_power(tidal):
    t_s, p_kw = tidal.arrays("depot/tide/p_kw")
    assert dict(zip(t_s.tolist(), p_kw.tolist(), strict=True)) == {0: WIND_KW, 600: 0, 1200: WIND_KW, 1800: 3}


def test_it_is_drawn(tidal, tmp_path):
    page = tmp_path / "page.html"
    write_report(tidal, page)
    text = page.read_text()
    assert OTHER.colour in text
    assert "tidal energy" in text


def test_a_result_is_right_where_its_kind_is_not_registered(folder):
    assert "tide" not in kind_names()
    with open_results(folder / "inprocess.h5") as results:
        assert INVARIANTS["balance"](results, "depot", plates()) is None
        assert results.summary()["total"]["losses_kwh"] == pytest.approx(0.0, abs=1e-9)
        assert any(area.device == "tide" for area in balance(results, "depot")[1])


def test_it_is_part_of_the_schema_as_long_as_it_is_registered():
    with with_kind(OTHER):
        assert "tide" in hub_keys()
    assert "tide" not in hub_keys()


def hub_keys() -> dict:
    return ScenarioSection.model_json_schema()["$defs"]["HubSection"]["properties"]


@pytest.mark.parametrize("name", sorted(set(controllers()) - {"ems", "ievcs"}))
def test_every_strategy_reckons_with_its_power(name, tmp_path):
    """EVs that want more than the contract leaves get the turbine's power too."""
    sessions = [{"at": "0s", "until": "1h", "energy_kwh": 60, "capacity_kwh": 90} for _ in range(2)]
    evs = {
        "grid": {"contracted_kw": 20, "installed_kw": 60},
        "connectors": {"count": 2, "rated_kw": 22},
        "sessions": {"type": "list", "items": sessions},
    }
    wind = {"rated_kw": 10, "power": {"type": "constant", "value": 10}}
    # what a policy has learned to want is its own matter
    settings = {"file": str(write_eager_policy(tmp_path))} if name == "policy" else {}
    settings |= {"type": name, "period": "1min"}
    mean = {}
    for case, devices in (("without", {}), ("with", {"wind": wind})):
        with run(tmp_path, {**evs, **devices}, f"{case}.h5", controller=settings) as results:
            mean[case] = mean_kw(results, "depot/cp/p_kw")
    if name == "uncontrolled":
        assert mean["with"] == pytest.approx(mean["without"])
    else:
        assert mean["with"] - mean["without"] == pytest.approx(10.0, abs=1.5)


# --- several devices of a kind ----------------------------------------------------------------------------------------

WHOLE = {"type": "ideal", "rated_kw": 10, "capacity_kwh": 12, "soc": 0.5, "efficiency": 0.95}
HALF = {**WHOLE, "rated_kw": 5, "capacity_kwh": 6}
PV = {"rated_kw": 30, "irradiance": {"type": "profile", "points": [["0s", 100], ["20min", 900], ["40min", 0]]}}
PRICES = {
    "buy": {"type": "profile", "points": [["0s", 0.1], ["20min", 0.5], ["45min", 0.1]]},
    "sell": {"type": "constant", "value": 0.05},
}


@pytest.mark.parametrize("name", sorted(controllers()))
def test_two_halves_of_a_battery_are_the_whole(name, tmp_path):
    sessions = [{"at": "5min", "until": "50min", "energy_kwh": 12, "capacity_kwh": 60}]
    rest = {
        "pv": PV,
        "tariffs": PRICES,
        "connectors": {"count": 1, "rated_kw": 22},
        "sessions": {"type": "list", "items": sessions},
    }
    powers = []
    for case, bess in (("whole", WHOLE), ("halves", [{"name": "a", **HALF}, {"name": "b", **HALF}])):
        settings = {"type": name, "period": "5min"}
        with run(tmp_path, {**rest, "bess": bess}, f"{case}.h5", controller=settings) as results:
            edges_s = np.arange(0.0, 3600.0, 60.0)
            powers.append(
                [sampled(results, f"depot/{path}", edges_s) for path in ("bess/p_kw", "grid/p_kw", "bess/soc")]
            )
    assert powers[1][0] == pytest.approx(powers[0][0], abs=1e-6)
    assert powers[1][1] == pytest.approx(powers[0][1], abs=1e-6)
    assert powers[1][2] == pytest.approx(powers[0][2], abs=1e-6)


def sampled(results, path: str, at_s: np.ndarray) -> np.ndarray:
    t_s, values = results.arrays(path)
    return values[np.searchsorted(t_s, at_s, side="right") - 1]


UNLIKE = [
    {"name": "new", "type": "ideal", "rated_kw": 10, "capacity_kwh": 20, "soc": 0.5},
    {"name": "old", "type": "tremblay", "rated_kw": 8, "capacity_kwh": 15, "soc": 0.3},
]


@pytest.mark.parametrize("engine", ["inprocess", "mosaik"])
def test_totals_stand_under_the_kind_and_devices_under_their_names(engine, tmp_path):
    turbines = [{"name": "north", **TURBINE}, {"name": "south", **TURBINE}]
    settings = {"type": "equal_share", "period": "1min"}
    with run(tmp_path, {"bess": UNLIKE, "wind": turbines}, engine=engine, controller=settings) as results:
        t_s = np.arange(0.0, 3600.0, 30.0)
        for kind, names in (("bess", ("new", "old")), ("wind", ("north", "south"))):
            parts = [sampled(results, f"depot/{name}/p_kw", t_s) for name in names]
            assert sampled(results, f"depot/{kind}/p_kw", t_s) == pytest.approx(sum(parts))
        soc = [sampled(results, f"depot/{name}/soc", t_s) for name in ("new", "old")]
        assert sampled(results, "depot/bess/soc", t_s) == pytest.approx((20 * soc[0] + 15 * soc[1]) / 35)
        assert list(results.devices("depot")) == ["grid", "secondary", "load", "new", "old", "north", "south"]
        assert INVARIANTS["balance"](results, "depot", plates()) is None
    with h5py.File(tmp_path / "out.h5") as file:
        assert json.loads(file["series/depot/bess"].attrs["of"]) == ["new", "old"]


def test_events_and_links_reach_one_device_or_all_of_a_kind(tmp_path):
    events = [
        {"at": "10min", "device_fault": {"hub": "depot", "device": "old", "until": "20min"}},
        {"at": "30min", "device_fault": {"hub": "depot", "device": "bess", "until": "40min"}},
        {"at": "50min", "link_outage": {"hub": "depot", "device": "new"}},
    ]
    link = {"poll": "1min", "devices": {"old": {"measurement": {"type": "constant", "mean": "5s"}}}}
    settings = {"type": "equal_share", "period": "1min"}
    with run(tmp_path, {"bess": UNLIKE, "link": link}, events=events, controller=settings) as results:
        at = np.array([900.0, 2100.0])
        assert sampled(results, "depot/old/p_kw", at).tolist() == [0.0, 0.0]
        new_kw = sampled(results, "depot/new/p_kw", at)
        assert new_kw[0] == pytest.approx(10.0), "the other one does what one of them cannot"
        assert new_kw[1] == 0.0


def test_a_controller_sees_and_sets_single_devices(tmp_path):
    Told.seen.clear()
    turbines = [{"name": "north", **TURBINE}, {"name": "south", **TURBINE}]
    settings = {"type": f"{__name__}:Told", "period": "1min"}
    with run(tmp_path, {"bess": UNLIKE, "wind": turbines}, controller=settings) as results:
        at = np.array([120.0])
        powers = {
            name: float(sampled(results, f"depot/{name}/p_kw", at)[0]) for name in ("north", "south", "new", "old")
        }
    assert powers == pytest.approx({"north": 2.5, "south": WIND_KW, "new": 1.0, "old": 5.0}, abs=1e-6)
    seen = Told.seen[3]
    assert list(seen.devices) == ["load", "new", "old", "north", "south"]
    view = seen.devices["old"]
    assert (view.kind, view.failed, view.plates["capacity_kwh"]) == ("bess", False, 15)
    assert view.measured["soc"] == pytest.approx(0.3, abs=0.05)
    assert seen.p_bess_kw == pytest.approx(6.0, abs=1e-6)
    assert seen.p_other_kw == pytest.approx(2.5 + WIND_KW)
    with pytest.raises(KeyError):
        seen.devices["nothing"]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ({"nothing": 1.0}, "devices must be of load, bess, got 'nothing'"),
        ({"bess": {"soc": 1.0}}, "devices['bess'] must set one of p_set_kw, q_set_kvar, got 'soc'"),
        ({"bess": float("nan")}, "devices['bess'] must be a number, got nan"),
        ({"load": 1.0}, "devices['load']: a local load takes no set points"),
    ],
)
def test_a_set_point_of_a_device_that_is_none_is_refused(devices, message):
    from evhub.scenarios.assembly.site_build import site_of
    from evhub.scenarios.engines.device_commands import ControllerError, check

    section = plants.loaded(plants.smallest(hubs={"depot": hub(bess=WHOLE)})).scenario.hubs["depot"]
    with pytest.raises(ControllerError) as error:
        check(contract.Setpoints(np.zeros(0), devices=devices), site_of(section, None, None))
    assert message in str(error.value)


# --- sections ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "lines"),
    [
        (
            {"bess": [{"name": "a", **HALF}, {"name": "a", **HALF}]},
            ["hubs.depot.bess[0].name: must be the only device", "hubs.depot.bess[1].name: must be the only device"],
        ),
        ({"bess": [HALF, {"name": "b", **HALF}]}, ["hubs.depot.bess[0].name: must be given"]),
        ({"bess": {"name": "pv", **HALF}}, ["hubs.depot.bess.name: must be another name: this one is reserved"]),
        ({"bess": {"name": "grid", **HALF}}, ["hubs.depot.bess.name: must be another name: this one is reserved"]),
        ({"bess": {"name": "sessions", **HALF}}, ["hubs.depot.bess.name: must be another name: this one is reserved"]),
        ({"bess": {"name": "secondary", **HALF}}, ["hubs.depot.bess.name: must be another name: this one is reserved"]),
        ({"bess": {"name": "A b", **HALF}}, ["hubs.depot.bess.name: must be a name of small letters"]),
        ({"turbine": TURBINE}, ["hubs.depot.turbine: is not a key that is known here"]),
        ({"secondary": {"rated_kw": 5}}, ["hubs.depot: give secondary or grid.secondary, not both"]),
        (
            {"link": {"poll": "1min", "devices": {"heater": {}}}},
            ["hubs.depot.link.devices.heater: must be one of grid, load, got 'heater'"],
        ),
    ],
)
def test_bad_devices_are_one_line_each_at_their_key(devices, lines):
    with pytest.raises(InputError) as error:
        plants.loaded(plants.smallest(hubs={"depot": hub(**devices)}))
    found = [str(problem).removeprefix("test.yaml: ") for problem in error.value.problems]
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True)), found


def test_the_secondary_source_may_stand_in_the_hub(tmp_path):
    source = {"rated_kw": 30, "start": "10s"}
    outage = [{"at": "10min", "outage": {"hub": "depot"}}]
    files = []
    for name, places in (("old", {"grid": {"contracted_kw": 50, "secondary": source}}), ("new", {"secondary": source})):
        data = hub() | {"grid": {"contracted_kw": 50}} | places
        files.append(plants.run_data(plants.smallest(hubs={"depot": data}, events=outage), tmp_path, f"{name}.h5"))
    assert plants.datasets(files[0]) == plants.datasets(files[1])


# --- declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_every_kind_fits_its_simulator(kind):
    check_kind(kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": ("p_kw", "failed", "t_c")}, "has no output t_c, which measures needs"),
        ({"golden": ("level",)}, "has no output level, which golden needs"),
        ({"phases": True}, "has no output phase_kw, which phases needs"),
        ({"takes": (("arrivals", "session", "session"),)}, "has no input session, which takes needs"),
        ({"commands": (replace(OTHER.commands[0], port="p_set_kw"),)}, "has no input p_set_kw, which commands needs"),
        ({"measures": ("p_kw",)}, "measures must have failed, because trips is set"),
        ({"simulator": "evhub.simulators.wind.wind_simulator:Nothing"}, "wind_simulator has no Nothing"),
        ({"section": "no_such_package:Section"}, "cannot be imported"),
        ({"abilities": ("stores",)}, "the ability stores needs soc among measures"),
        ({"abilities": ("feeds_back",)}, "the ability feeds_back needs layers of both directions"),
        ({"abilities": ("curtailable",), "commands": ()}, "the ability curtailable needs a command"),
        ({"abilities": ("flies",)}, "abilities must be of forms_island, stores"),
        ({"sign": 0}, "sign and q_sign must be 1 or -1"),
        ({"price": "gold"}, "price must be one of buy, sell, dg, bess, charging"),
        ({"name": "pv"}, "the name pv is taken"),
        ({"name": "network"}, "the name network is reserved"),
        ({"name": "queue"}, "the name queue is reserved"),
        ({"commands": WIND.commands}, "the name wind_limit_kw of a set point or energy is taken"),
    ],
)
def test_a_kind_that_does_not_fit_is_refused_by_name(changes, message):
    with pytest.raises(DeclarationError) as error, with_kind(replace(OTHER, **changes)):
        pass
    assert message in str(error.value)
    assert OTHER not in kinds()


@pytest.mark.parametrize("engine", [run_inprocess, run_mosaik], ids=["inprocess", "mosaik"])
@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (Connection("load", "depot", "heat_kw", "grid", "depot", "load.p_kw"), "load has no output 'heat_kw'"),
        (Connection("load", "depot", "p_kw", "grid", "depot", "boiler.p_kw"), "grid has no input 'boiler.p_kw'"),
    ],
)
def test_both_engines_refuse_a_port_that_does_not_exist(engine, connection, message):
    wiring = build(plants.loaded(plants.smallest()))
    objects = {"writer": None, "progress": None, "diagnose": lambda *_: None}
    with pytest.raises(EngineError, match=message.replace(".", r"\.")):
        engine(replace(wiring, connections=(*wiring.connections, connection)), **objects)


@pytest.mark.parametrize("engine", [run_inprocess, run_mosaik], ids=["inprocess", "mosaik"])
def test_an_output_by_a_wrong_name_is_refused_and_an_error_says_whose_it_is(engine, monkeypatch):
    objects = {"writer": None, "progress": None, "diagnose": lambda *_: None}
    wiring = build(plants.loaded(plants.smallest(hubs={"depot": hub(wind=TURBINE)})))
    monkeypatch.setattr(Turbine, "update", lambda self, t_s, arrived: self.emit("p_kW", 1.0) or t_s + 1.0)
    with pytest.raises(PortError, match="Wind of depot at 0 s: no output is called p_kW; there are p_kw, q_kvar"):
        engine(wiring, **objects)
    monkeypatch.setattr(Turbine, "update", lambda self, t_s, arrived: self.nothing)
    with pytest.raises(AttributeError) as error:
        engine(wiring, **objects)
    assert error.value.__notes__ == ["Wind of depot at 0 s"]
