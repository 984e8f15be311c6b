"""Stepping a run: the same datasets as a plain run, states that go on to the bit, and refusals that lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import evhub
from evhub.analysis.results.result_reader import Results
from evhub.scenarios.engines.device_commands import ControllerError
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.controller_registry import controllers
from evhub.scenarios.simulation import SavedState, Simulation, StepError

from ...helpers import plants
from ...helpers.sizes import examples

SHORT = {"duration": "6h", "expect": []}


def finish(simulation: Simulation, observation) -> Results:
    """Drive a simulation to its end by its own controllers."""
    while observation is not None:
        observation = simulation.step(simulation.controller.decide(observation))
    return simulation.result()


def differences(one: Results, other: Results) -> list[str]:
    """Names of the signals and tables of two runs that are not the same to the bit."""
    assert one.paths == other.paths
    found = [
        path
        for path in one.paths
        if any(a.tobytes() != b.tobytes() for a, b in zip(one.arrays(path), other.arrays(path), strict=True))
    ]
    tables = ("events", "sessions", "summary")
    return found + [name for name in tables if not getattr(one, name)().equals(getattr(other, name)())]


def own(name: str, controller: str | None = None) -> evhub.Scenario:
    """A shipped scenario, shortened to six hours."""
    scenario = evhub.load_scenario(name)
    data = scenario.data() | {"expect": []}
    if scenario.scenario.duration > 6 * 3600 and not data.get("events"):
        data |= SHORT
    return evhub.Scenario(folder=scenario.folder, **data).with_changes(controller=controller)


@pytest.mark.parametrize("name", sorted(controllers()))
def test_every_controller_steps_as_it_runs(name):
    scenario = own("leal2024-2" if name in ("emh", "ems") else "public-hub-day")
    try:
        scenario = scenario.with_changes(controller=name)
        plain = evhub.run(scenario, series=True)
    except InputError:
        scenario = own({"ems": "hafiz2023-purchase-limit"}.get(name, "yan2022-1"), name)
        plain = evhub.run(scenario, series=True)
    simulation = evhub.simulate(scenario)
    assert differences(plain, finish(simulation, simulation.reset())) == []
    assert simulation.done and simulation.observation is None


@pytest.mark.parametrize("name", ["two-depots", "island-evening", "leal2024-1"])
def test_shipped_scenarios_step_as_they_run(name, tmp_path):
    plain = evhub.run(name, tmp_path / "plain.h5")
    simulation = evhub.simulate(name)
    stepped = finish(simulation, simulation.reset()).save(tmp_path / "stepped.h5")
    assert plants.datasets(plain) == plants.datasets(stepped)
    with evhub.open_results(plain) as one, evhub.open_results(stepped) as other:
        assert differences(one, other) == []
        told = one.attributes.pop("foresight"), other.attributes.pop("foresight")
        assert one.attributes == other.attributes
        assert all("whoever decided in the place of" in line for line in told[1])


@settings(max_examples=examples(10), suppress_health_check=list(HealthCheck))
@given(data=plants.scenarios())
def test_random_plants_step_as_they_run(data):
    plain = evhub.run(data, series=True)
    simulation = evhub.simulate(data)
    assert differences(plain, finish(simulation, simulation.reset())) == []


@settings(max_examples=examples(10), suppress_health_check=list(HealthCheck))
@given(data=plants.scenarios())
def test_a_state_of_a_random_plant_goes_on_to_the_bit(data):
    simulation = evhub.simulate(data)
    observation, state = simulation.reset(), None
    while observation is not None:
        observation = simulation.step(simulation.controller.decide(observation))
        if observation is not None and observation.t_s >= observation.end_s / 2 and state is None:
            state = simulation.save()
    if state is not None:
        first = simulation.result()
        again = evhub.simulate(data)
        assert differences(first, finish(again, again.restore(state))) == []
        assert differences(first, finish(again, again.restore(state))) == []  # a state can be used many times


@pytest.mark.parametrize("name", ["public-hub-day", "two-depots", "leal2024-3", "workplace-month"])
def test_a_state_goes_on_to_the_bit(name):
    scenario = own(name)
    simulation = evhub.simulate(scenario)
    observation, states = simulation.reset(), []
    for _ in range(60):
        states.append(simulation.save())
        assert observation is not None
        observation = simulation.step(simulation.controller.decide(observation))
    whole = finish(simulation, observation)
    for state in states[::20]:
        assert differences(whole, finish(simulation, simulation.restore(state))) == []


def test_a_state_goes_on_in_another_process(tmp_path):
    simulation = evhub.simulate("public-hub-day", controller="edf")
    observation = simulation.reset(seed=5)
    for _ in range(200):
        assert observation is not None
        observation = simulation.step(simulation.controller.decide(observation))
    state = simulation.save().save(tmp_path / "state")
    expected = finish(simulation, observation).summary()
    code = (
        "import sys, evhub\n"
        "from evhub.scenarios.simulation import SavedState\n"
        "s = evhub.simulate('public-hub-day', controller='edf')\n"
        "o = s.restore(SavedState.load(sys.argv[1]))\n"
        "while o is not None: o = s.step(s.controller.decide(o))\n"
        "print(s.result().summary().to_json())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(state)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == expected.to_json()


def test_another_way_from_a_state_is_another_run():
    """A branch: what is decided after the state changes the run, and the first branch can still be had."""
    simulation = evhub.simulate("public-hub-day", controller="equal_share")
    observation = simulation.reset()
    for _ in range(600):
        observation = simulation.step(simulation.controller.decide(observation))
    state = simulation.save()
    first = finish(simulation, observation)
    observation = simulation.restore(state)
    while observation is not None:
        (name,) = observation.hubs
        nothing = evhub.Setpoints(connector_kw=np.zeros(observation.hubs[name].connectors.p_kw.shape))
        observation = simulation.step(nothing)
    starved = simulation.result()
    assert starved.summary().loc["delivered_kwh", "total"] < first.summary().loc["delivered_kwh", "total"] - 1.0
    assert differences(first, finish(simulation, simulation.restore(state))) == []


def test_seeds_reproduce():
    simulation = evhub.simulate("public-hub-day", controller="uncontrolled")
    runs = [finish(simulation, simulation.reset(seed=seed)) for seed in (3, 4, 3)]
    assert differences(runs[0], runs[2]) == []
    assert differences(runs[0], runs[1]) != []
    assert simulation.scenario.scenario.seed == 3
    plain = evhub.run("public-hub-day", controller="uncontrolled", seed=4, series=True)
    assert differences(runs[1], plain) == []


# --- which decisions, and for whom ------------------------------------------------------------------------------------


def test_a_fixed_period_has_no_decisions_in_between():
    scenario = own("public-hub-day", "edf").with_changes({"controller.on_change": False, "controller.period": "15min"})
    simulation = evhub.simulate(scenario)
    observation, times = simulation.reset(), []
    while observation is not None:
        times.append(observation.t_s)
        observation = simulation.step(simulation.controller.decide(observation))
    assert times == [900.0 * k for k in range(int(scenario.scenario.duration / 900.0))]
    changed = evhub.simulate(scenario.with_changes({"controller.on_change": True}))
    n, observation = 0, changed.reset()
    while observation is not None:
        n, observation = n + 1, changed.step(changed.controller.decide(observation))
    assert n > len(times)  # EVs come in between


def test_some_hubs_from_outside_and_the_others_by_themselves():
    scenario = own("two-depots")
    hubs = list(scenario.scenario.hubs)
    controller = [{"type": "equal_share", "period": "1min", "hubs": [hub]} for hub in hubs]
    scenario = scenario.with_changes({"controller": controller})
    plain = evhub.run(scenario, series=True)
    simulation = evhub.simulate(scenario, hubs=hubs[:1])
    observation = simulation.reset()
    while observation is not None:
        assert list(observation.hubs) == hubs[:1]
        assert simulation.asked == "equal_share-1"
        observation = simulation.step(simulation.controller.decide(observation))
    assert differences(plain, simulation.result()) == []


def test_hubs_of_one_controller_are_decided_for_together():
    with pytest.raises(InputError, match=r"must have all hubs of a controller or none: .* runs"):
        evhub.simulate("two-depots", hubs=[next(iter(own("two-depots").scenario.hubs))])
    with pytest.raises(InputError, match=r"hubs: must be some of .*, got \['nowhere'\]"):
        evhub.simulate("two-depots", hubs=["nowhere"])


def test_whoever_decides_may_look_ahead():
    """Also in the place of a controller that does not."""
    simulation = evhub.simulate("public-hub-day", controller="edf")
    observation = simulation.reset()
    assert observation is not None
    edges_s = np.arange(0.0, 6 * 3600.0, 900.0)
    assert np.isfinite(observation.hubs["plaza"].forecast.price("buy", edges_s)).all()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_wrong_decision_changes_nothing():
    plain = evhub.run("island-evening", controller="equal_share", series=True)
    simulation = evhub.simulate("island-evening", controller="equal_share")
    observation = simulation.reset()
    wrong = {
        "connector_kw must be a number": evhub.Setpoints(connector_kw=np.full(4, np.nan)),
        r"connector_kw must have the shape \(4,\), got \(3,\)": evhub.Setpoints(connector_kw=np.zeros(3)),
        "bess_kw must be a number, got nan": evhub.Setpoints(np.zeros(4), bess_kw=np.nan),
        "must answer with a Decision": {"elsewhere": evhub.Setpoints(np.zeros(4))},
        "must answer with a Decision that": None,
        "records has no 'x'": evhub.Decision({"depot": evhub.Setpoints(np.zeros(4))}, records={"depot": {"x": 1.0}}),
        "events must be": evhub.Decision({"depot": evhub.Setpoints(np.zeros(4))}, events=["late"]),  # type: ignore[list-item]
    }
    while observation is not None:
        if observation.t_s in (0.0, 7200.0):
            for message, answer in wrong.items():
                with pytest.raises(ControllerError, match=message):
                    simulation.step(answer)  # type: ignore[arg-type]
                assert simulation.observation is observation
        observation = simulation.step(simulation.controller.decide(observation))
    assert differences(plain, simulation.result()) == []


def test_steps_out_of_order_are_one_clear_line():
    simulation = evhub.simulate("island-evening", controller="uncontrolled")
    idle = evhub.Setpoints(np.zeros(4))
    for ask in (lambda: simulation.step(idle), simulation.result, simulation.save, lambda: simulation.sites):
        with pytest.raises(StepError, match=r"has not begun; reset\(\) runs to the first decision"):
            ask()
    assert repr(simulation) == "<Simulation of island-evening, not begun>"
    finish(simulation, simulation.reset())
    with pytest.raises(StepError, match=r"is over, it ended at 21600 s; reset\(\) begins anew"):
        simulation.step(idle)
    assert simulation.reset() is not None


def test_a_state_of_something_else_is_refused(tmp_path):
    simulation = evhub.simulate("island-evening", controller="uncontrolled")
    simulation.reset()
    state = simulation.save()
    other = evhub.simulate("island-evening", controller="equal_share")
    with pytest.raises(InputError, match=r"state: must be of the same scenario, .* got 'one of island-evening at 0 s'"):
        other.restore(state)
    (tmp_path / "no-state").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"no-state: state: must be a saved state"):
        SavedState.load(tmp_path / "no-state")


class Unlucky(evhub.Controller):
    """Fails in mid-run."""

    def decide(self, observation):
        """Decide nothing, until it breaks."""
        if observation.t_s >= 3600.0:
            raise ZeroDivisionError("out of luck")
        (name,) = observation.hubs
        return evhub.Decision({name: evhub.Setpoints(np.zeros(observation.hubs[name].connectors.p_kw.shape))})


def test_a_failure_inside_keeps_what_was_simulated():
    scenario = own("two-depots")
    hubs = list(scenario.scenario.hubs)
    controller = [
        {"type": "equal_share", "hubs": hubs[:1]},
        {"type": Unlucky, "hubs": hubs[1:]},
    ]
    simulation = evhub.simulate(scenario.with_changes({"controller": controller}), hubs=hubs[:1])
    observation = simulation.reset()
    with pytest.raises(ControllerError, match=r"at 3600 s: ZeroDivisionError: out of luck"):
        finish(simulation, observation)
    results = simulation.result()
    assert results.status == "failed" and 3000.0 <= results.end_s <= 3600.0
    with pytest.raises(StepError, match=r"has failed .* begins anew"):
        simulation.step({})


def test_results_of_a_run_that_goes_on_reach_to_now():
    simulation = evhub.simulate("island-evening", controller="equal_share")
    observation = simulation.reset()
    while observation is not None and observation.t_s < 7200.0:
        observation = simulation.step(simulation.controller.decide(observation))
    results = simulation.result()
    assert results.status == "running" and results.end_s == 7200.0
    assert "still going on; the data end at 7200 s of 21600 s" in results.note
    t_s, _ = results.arrays("depot/grid/p_kw")
    assert len(t_s) and t_s.max() < 7200.0
    finish(simulation, observation)
    assert results.arrays("depot/grid/p_kw")[0].tobytes() == t_s.tobytes()
