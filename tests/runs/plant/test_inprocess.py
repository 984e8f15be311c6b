"""The in-process engine: the same steps, the same inputs, the same bytes as mosaik."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from time import perf_counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from evhub.scenarios.engines import controller_simulator as controller
from evhub.scenarios.engines.inprocess_engine import run_inprocess
from evhub.scenarios.engines.mosaik_engine import run_mosaik
from evhub.scenarios.engines.wiring import Connection, EngineError, EntitySpec, SimulatorSpec, Wiring, simulators
from evhub.scenarios.errors import InputError
from evhub.scenarios.run_scenario import run
from evhub.scenarios.schema.scenario_loader import parse, shipped
from evhub.scenarios.schema.yaml_file import read_yaml
from evhub.simulators import adapter
from evhub.simulators.load import load_simulator as load
from evhub.simulators.network import network_simulator as network

from ...helpers import plants
from ...helpers.sizes import examples

RUNS = settings(
    max_examples=examples(10),
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("engines")


@RUNS
@given(data=plants.scenarios())
def test_random_plants_give_the_same_bytes(data, folder):
    check_same(data, folder)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_give_the_same_bytes(name, folder):
    data = read_yaml(shipped()[name])
    whole = parse(data, shipped()[name]).scenario
    end_s = min(whole.duration, 9 * 3600)
    data |= {"duration": f"{end_s:g}s", "expect": []}  # what is expected is of the whole run
    data["events"] = [raw for raw, event in zip(data.get("events", []), whole.events, strict=True) if event.at < end_s]
    check_same(data, folder, shipped()[name].parent)


def check_same(data, folder, source=None):
    from evhub.scenarios.assembly.plant_build import build
    from evhub.scenarios.run_scenario import run_wiring

    contents = []
    for engine in ("mosaik", "inprocess"):
        loaded = plants.loaded(data, source or folder)
        contents.append(plants.datasets(run_wiring(build(loaded), loaded, folder / f"{engine}.h5", engine=engine)))
    assert contents[0].keys() == contents[1].keys()
    assert [name for name in contents[0] if contents[0][name] != contents[1][name]] == []


def log_steps(monkeypatch, *paths):
    """Log of every step: simulator, time, inputs."""
    log: dict[str, list] = {}
    for path in paths:
        module, _, name = path.partition(":")
        cls = getattr(import_module(module), name)
        step = cls.step

        def logged(self, time, inputs, max_advance, step=step):
            log.setdefault(self.sid, []).append((time, plain(inputs)))
            return step(self, time, inputs, max_advance)

        monkeypatch.setattr(cls, "step", logged)
    init = adapter.Adapter.init

    def named(self, sid, *args, **settings):
        self.sid = sid
        return init(self, sid, *args, **settings)

    monkeypatch.setattr(adapter.Adapter, "init", named)
    return log


def plain(value):
    """Inputs as something that can be compared: NaN equals NaN, arrays by their content."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return repr(value.tolist()) if isinstance(value, np.ndarray) else repr(value)


def test_every_simulator_takes_the_same_steps_with_the_same_inputs(folder, monkeypatch):
    hub = plants.hub_with_everything()
    hub["link"] = {"poll": "20s", "measurement": {"type": "uniform", "mean": "15s", "spread": "10s"}, "loss": 0.1}
    data = plants.smallest(
        hubs={"depot": hub, "far": plants.hub_with_everything()},
        network={"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 2, "far": 4}},
        events=[{"at": "15min", "outage": {"hub": "depot", "until": "25min"}}],
    )
    logs = []
    for engine in ("mosaik", "inprocess"):
        with monkeypatch.context() as patch:
            log = log_steps(patch, *simulators().values())
            plants.run_data(data, folder, f"{engine}.h5", engine)
        logs.append(log)
    assert logs[0].keys() == logs[1].keys() == set(simulators())
    for sid in simulators():
        assert logs[0][sid] == logs[1][sid], sid


@pytest.mark.parametrize("engine", ["mosaik", "inprocess"])
@pytest.mark.parametrize(
    ("cls", "method", "who"),
    [
        (load.LocalLoad, "update", "Load of depot"),
        (network.NetworkSimulator, "_solve", "Network of network"),
        (controller.ControlledHub, "take", "Controller of depot"),
        (controller.ControlledHub, "observation", "Controller of depot"),
    ],
)
def test_a_type_error_names_the_device_it_arose_in(engine, cls, method, who, folder, monkeypatch):
    def broken(*_):
        raise TypeError("boom")

    data = plants.smallest(
        hubs={"depot": plants.hub_with_everything()},
        network={"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 2}},
    )
    monkeypatch.setattr(cls, method, broken)
    with pytest.raises(RuntimeError, match=f"{who} at 0 s: boom"):
        plants.run_data(data, folder, "broken.h5", engine)


# --- simulators that break the rules ----------------------------------------------------------------------------------


class _Toy(adapter.Adapter):
    model = "Toy"
    inputs = {"x": adapter.Port("", "in")}
    outputs = {"y": adapter.Port("", "out")}

    class device(adapter.Device):  # noqa: N801
        def update(self, t_s, arrived):
            self.emit("y", t_s)
            return float("inf")


class Backwards(_Toy):
    """Names a next step in the past."""

    def step(self, time, inputs, max_advance):
        return time


class Fractional(_Toy):
    """Names a next step between two steps."""

    def step(self, time, inputs, max_advance):
        return time + 0.5


class Endless(_Toy):
    """Asks for one more step for ever."""

    def step(self, time, inputs, max_advance):
        return time + 1


class Counted(_Toy):
    """Names its next step as numpy counts."""

    def step(self, time, inputs, max_advance):
        return np.int64(time + 1)


class Silent(_Toy):
    """Steps in time and names no step after the second one."""

    def init(self, *args, **settings):
        """Take the type."""
        self.meta = {**super().init(*args, **settings), "type": "time-based"}
        self.meta["models"]["Toy"].update({"trigger": [], "non-persistent": []})
        return self.meta

    def step(self, time, inputs, max_advance):
        return 1 if time == 0 else None


class Unsure(Silent):
    """Fails by an assertion of its own in the second step."""

    def step(self, time, inputs, max_advance):
        assert time == 0, "mine"
        return 1


class Unwilling(_Toy):
    """Fails by an assertion of its own before the first step."""

    def init(self, *args, **settings):
        raise AssertionError("mine")


class Rewriting(_Toy):
    """Dates what it sends before its step."""

    def step(self, time, inputs, max_advance):
        self.time = time
        return time + 1

    def get_data(self, outputs):
        return {"time": self.time - 1, "hub": {"y": 1.0}}


def toys(cls: type, shift: int) -> Wiring:
    python = f"{__name__}:{cls.__name__}"
    simulators = (SimulatorSpec("a", python), SimulatorSpec("b", python))
    entities = tuple(EntitySpec(sid, "Toy", "hub", {}) for sid in "ab")
    links = (Connection("a", "hub", "y", "b", "hub", "x"), Connection("b", "hub", "y", "a", "hub", "x", shift))
    return Wiring(10, 1.0, simulators, entities, links, (), (), ("hub",))


ENGINES = pytest.mark.parametrize("run", [run_mosaik, run_inprocess])


@ENGINES
def test_a_loop_without_delay_is_refused_by_name(run):
    with pytest.raises(EngineError, match="loop without delay: a, b"):
        run(toys(_Toy, 0))


@ENGINES
def test_of_a_loop_only_its_own_simulators_are_named(run):
    python = f"{__name__}:_Toy"
    links = [Connection(a, "hub", "y", b, "hub", "x") for a, b in ("ab", "bc", "cb", "cd")]
    simulators = tuple(SimulatorSpec(sid, python) for sid in "abcd")
    with pytest.raises(EngineError, match=r"loop without delay: b, c$"):
        run(Wiring(10, 1.0, simulators, (), tuple(links), (), (), ("hub",)))


@ENGINES
def test_who_is_given_a_first_step_begins_there(run, monkeypatch):
    log = log_steps(monkeypatch, f"{__name__}:Endless")
    run(Wiring(6, 1.0, (SimulatorSpec("a", f"{__name__}:Endless", first_step=4),), (), (), (), (), ()))
    assert [time for time, _ in log["a"]] == [4, 5, 6]


def test_in_a_loop_with_delay_every_step_brings_about_the_next(monkeypatch):
    log = log_steps(monkeypatch, f"{__name__}:_Toy")
    run_inprocess(toys(_Toy, 1))
    assert [time for time, _ in log["a"]] == [time for time, _ in log["b"]] == list(range(11))
    assert log["a"][5:] == [(time, {"hub": {"x": {"b.hub": repr(time - 1.0)}}}) for time in range(5, 11)]
    assert log["b"] == [(time, {"hub": {"x": {"a.hub": repr(float(time))}}}) for time in range(11)]


@ENGINES
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Backwards, "a: the next step must come after 0, got 0"),
        (Fractional, "a: the next step must be an int, got float"),
        (Counted, "a: the next step must be an int, got int64"),
        (Silent, "a: a time-based simulator must name its next step, got None at 1"),
        (Rewriting, "a: outputs must not be dated before their step at 0, got -1"),
    ],
)
def test_a_simulator_that_breaks_the_rules_is_refused_in_the_same_words(run, fault, told):
    wiring = toys(fault, 1)
    if fault is Silent:  # what is timed is not triggered: mosaik allows no loop there
        wiring = replace(wiring, connections=wiring.connections[:1])
    with pytest.raises(EngineError, match=f"^{told}$"):
        run(wiring)


@ENGINES
@pytest.mark.parametrize("cls", [Unsure, Unwilling])
def test_an_assertion_of_a_simulator_is_passed_on_as_it_is(run, cls):
    wiring = toys(cls, 1)
    with pytest.raises(AssertionError, match="mine"):
        run(replace(wiring, connections=wiring.connections[:1]))


@ENGINES
def test_a_simulator_that_never_ends_is_stopped_at_the_end(run, monkeypatch):
    log = log_steps(monkeypatch, f"{__name__}:Endless")
    run(toys(Endless, 1))
    assert [time for time, _ in log["a"]] == [time for time, _ in log["b"]] == list(range(11))


# --- what only mosaik has ---------------------------------------------------------------------------------------------


def test_a_real_time_factor_is_refused_by_name_before_anything_is_written(folder):
    path = folder / "never.h5"
    with pytest.raises(InputError, match=r"real_time_factor.*must be left out with the engine inprocess"):
        run("leal2024-1", path, engine="inprocess", real_time_factor=1.0)
    with pytest.raises(InputError, match="real_time_factor: must be > 0, got 0"):
        run("leal2024-1", path, real_time_factor=0.0)
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:Simulation too slow")
def test_mosaik_takes_the_time_that_a_real_time_factor_asks_for(folder):
    data = plants.smallest(duration="60s")
    loaded = plants.loaded(data, folder)
    began = perf_counter()
    paced = run(loaded, folder / "paced.h5", real_time_factor=0.01)
    assert perf_counter() - began >= 0.6  # at least: however busy the machine is
    assert plants.datasets(paced) == plants.datasets(run(loaded, folder / "fast.h5"))
