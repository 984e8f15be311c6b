"""`emh` in the plant of Leal et al. 2024: what one fault or one bad value in the scenario does to a run."""

from __future__ import annotations

import numpy as np
import pytest

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError

from ...helpers.emh_faults import EPS_KW, Run, delays, event, hub, scenario
from ...helpers.plants import loaded

# --- the secondary source ---------------------------------------------------------------------------------------------


def full_battery(link: dict, events: list, folder) -> Run:
    """An island with a full battery and no local load, whose only EV leaves at 120 s."""
    plant = hub(1)
    plant["bess"]["soc"] = 0.86
    plant["load"]["demand"]["value"] = 0
    plant["sessions"]["items"][0] |= {"at": "5s", "until": "120s"}
    del plant["sessions"]["items"][0]["stay"]
    plant["link"] = {"poll": "1s", **link}
    return Run(scenario(plant, [event(20, None, {"outage": {}}), *events], 200), folder)


@pytest.mark.parametrize(
    ("link", "events", "answered_s"),
    [
        (delays(0.0, 0.0), [], 2),
        (delays(1.0, 0.0), [], 3),
        (delays(2.0, 0.0), [], 5),
        (delays(1.0, 0.0), [event(80, 180, {"link_outage": {"device": "cp"}})], 3),
    ],
    ids=["at once", "1 s", "2 s", "OCPP lost"],
)
def test_relief_ends_when_the_last_ev_leaves_and_the_source_does_not_trip(link, events, answered_s, tmp_path):
    run = full_battery(link, events, tmp_path)
    back = run["secondary/p_kw"] < -EPS_KW
    assert run["bess/p_kw"][110] > 0.0
    assert back[120]  # nobody can know before
    assert not back[120 + answered_s :].any()
    assert not back[:120].any()
    assert "trip" not in set(run.events["kind"])


# --- alarm 1, figure 4 (a) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [0.0, 1.0, 2.0])
def test_a_cut_to_the_protection_value_is_enough_for_an_overcurrent_that_it_ends(delay_s, tmp_path):
    plant = hub(2)
    plant["link"] = {"poll": "1s", **delays(delay_s, 0.0)}
    events = [event(40, None, {"phase_load": {"phase": "b", "p_kw": 12}})]
    run = Run(scenario(plant, events, 90, overcurrent={"max_a": 80}), tmp_path)
    amperes = run["grid/i_a"].max(axis=1)
    assert amperes[40:42].max() > 80.0
    assert run.alarm(1)[60:].all()
    assert (amperes[60:] < 80.0).all()
    assert run["cp/p_kw"][60:] == pytest.approx(10.0)
    assert not run.events["text"].str.contains("second level").any()


def test_an_overcurrent_that_persists_stops_the_charge_point(tmp_path):
    events = [event(40, None, {"phase_load": {"phase": "b", "p_kw": 12}})]
    run = Run(scenario(hub(2), events, 90, overcurrent={"max_a": 50}), tmp_path)
    assert run["controller/p_limit_cp_kw"][44] == pytest.approx(10.0)
    assert run.events["text"].str.contains("second level").any()
    assert not run["cp/p_kw"][60:].any()


# --- ramp and generator -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [1.0, 2.0])
def test_a_ramp_faster_than_messages_waits_for_them(delay_s, tmp_path):
    plant = hub(1)
    plant["pv"]["irradiance"]["value"] = 1000
    plant["link"] = {"poll": "1s", **delays(delay_s, 0.0)}
    run = Run(scenario(plant, [event(20, None, {"outage": {}})], 200, ramp={"every_s": 1}), tmp_path)
    assert run["pv/p_kw"][-1] == pytest.approx(0.9 * 12.0)
    assert (np.diff(run["controller/bess_kw"][30:]) <= EPS_KW).all()


def test_the_generator_of_a_hub_with_a_small_tank_runs(tmp_path):
    plant = hub(3)
    plant["dg"] |= {"fuel_capacity_l": 20, "fuel_l": 20}
    run = Run(scenario(plant, [], 60), tmp_path)
    assert run["dg/p_kw"][-1] > 0.0


# --- bad input --------------------------------------------------------------------------------------------------------


def problems(data: dict) -> list[str]:
    with pytest.raises(InputError) as raised:
        build(loaded(data))
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"contracted_kw": 80}, "contracted_kw must be at most installed_kw 60 of depot, got 80"),
        ({"soc_max": 0.96}, "must rise within 0.1 to 0.95 of depot's battery, got 0.2 and 0.96"),
        ({"rules": ["conected"]}, "got conected"),
        ({"preferred": [4]}, "preferred must name connectors 1 to 3 of depot, got 4"),
    ],
)
def test_parameters_of_an_event_that_do_not_fit_the_hub_are_refused(change, told):
    events = [event(9, None, {"phase_load": {"phase": "a", "p_kw": 1}})]
    events.append(event(10, None, {"parameters": {"controller": "emh", "set": change}}))
    (problem,) = problems(scenario(hub(), events))
    assert "events[1].parameters.set: " in problem
    assert told in problem


def test_keys_in_messages_end_without_a_dot():
    (problem,) = problems(scenario(hub(), [], soc_min=0.9, soc_max=0.3))
    assert "controller: soc_min must be below soc_max, got 0.9 and 0.3" in problem


@pytest.mark.parametrize("price", ["dg", "bess", "charging"])
def test_what_devices_and_drivers_cost_is_not_negative(price):
    data = scenario(hub(), [])
    data["hubs"]["depot"]["tariffs"][price]["value"] = -0.2
    (problem,) = problems(data)
    assert f"hubs.depot.tariffs.{price}: must be >= 0 at all times, got -0.2" in problem
    (problem,) = problems(scenario(hub(), [event(9, None, {"price": {"price": price, "value": -1}})]))
    assert f"value of {price} must be >= 0, got -1" in problem


@pytest.mark.parametrize("price", ["buy", "sell"])
def test_prices_of_the_market_may_be_negative(price):
    data = scenario(hub(), [event(9, None, {"price": {"price": price, "value": -1}})])
    data["hubs"]["depot"]["tariffs"][price] = {"type": "constant", "value": -0.2}
    assert build(loaded(data)).simulators
