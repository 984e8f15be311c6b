"""`ems` in runs: who is served when not all can be, purchase limits, islands, several depots, and wrong input."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from evhub.analysis.results.result_reader import open_results
from evhub.controllers.ems.dispatch_loop import Verdict
from evhub.controllers.ems.ems_controller import _rank
from evhub.controllers.ems.ems_parameters import EmsNetwork, EmsParameters, FleetVehicle, Weights
from evhub.controllers.ems.ems_schedule import Demand, window
from evhub.controllers.ems.session_priorities import Change, change, ranks
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.program import Program
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.scenario_loader import LIBRARY

from ...helpers import plants

NET = "hafiz2023_depot.json"


@pytest.fixture
def folder(tmp_path):
    """A folder with the network of the shipped depots."""
    shutil.copy(LIBRARY / "data" / NET, tmp_path / NET)
    return tmp_path


def depot(energy_kwh=(60.0, 60.0, 60.0), kw=60.0, **parts) -> dict:
    """A depot with buses that stay two hours."""
    return {
        "grid": {"contracted_kw": 300, "installed_kw": 400, "ats": {"transfer_s": 5, "retransfer_s": 5}}
        | parts.pop("grid", {}),
        "load": {"demand": {"type": "constant", "value": 10}},
        "connectors": {"count": len(energy_kwh), "rated_kw": kw, "current": "dc"},
        "sessions": {
            "type": "list",
            "items": [
                {"id": f"bus-{n}", "at": "0s", "until": "2h", "energy_kwh": kwh, "capacity_kwh": 300, "connector": n}
                for n, kwh in enumerate(energy_kwh, 1)
            ],
        },
        "tariffs": {"buy": {"type": "constant", "value": 0.2}},
        **parts,
    }


def scenario(hubs: dict, controller: dict | None = None, *, network=True, **changes) -> dict:
    """Two hours of hubs at the buses of their names."""
    data = plants.smallest(
        duration="2h5min",
        time_step="5s",
        hubs=hubs,
        controller={"type": "ems", "period": "15min", **(controller or {})},
        **changes,
    )
    if network:
        data["controller"].setdefault("network", {"net": NET, "buses": {name: name for name in hubs}})
        data["network"] = {"type": "pandapower", "net": NET, "hub_bus": {name: name for name in hubs}}
    return data


def run(data: dict, folder, name: str = "out.h5"):
    return open_results(plants.run_data(data, folder, name))


def delivered(results) -> dict[str, float]:
    sessions = results.sessions()
    return dict(zip(sessions["id"], sessions["delivered_kwh"], strict=True))


def texts(results, kind: str) -> list[str]:
    events = results.events()
    return events[events["kind"] == kind]["text"].tolist()


LIMITED = {"purchase_limits": [{"limit_kw": 60}], "vehicles": {"bus-2": {"critical": True}, "bus-3": {"priority": 9}}}


def test_critical_buses_come_first_and_every_change_has_a_reason(folder):
    results = run(scenario({"depot": depot()}, LIMITED), folder)
    got = delivered(results)
    # 50 kW for two hours: the critical bus, then the one ranked by hand, nothing for the first
    assert got["bus-2"] == pytest.approx(60.0, abs=1.0)
    assert got["bus-3"] == pytest.approx(40.0, abs=1.5)
    assert got["bus-1"] == pytest.approx(0.0, abs=0.5)
    told = texts(results, "schedule")
    assert any("bus-1: reduced by 60.0 of 60.0 kWh" in text for text in told)
    assert any("bus-3: reduced" in text and "set by hand" in text for text in told)
    assert not any("bus-2: reduced" in text for text in told)


def test_without_priorities_nothing_is_adjusted(folder):
    results = run(scenario({"depot": depot()}, LIMITED | {"priorities": False}), folder)
    assert not texts(results, "schedule")
    assert sum(delivered(results).values()) == pytest.approx(100.0, abs=2.0)


def test_a_purchase_limit_holds_at_once(folder):
    event = {
        "at": "50min10s",
        "parameters": {"hub": "depot", "controller": "ems", "set": {"purchase_limits": [{"limit_kw": 30}]}},
    }
    results = run(scenario({"depot": depot((110.0, 110.0, 110.0))}, events=[event]), folder)
    t_s, p_kw = results.arrays("depot/grid/p_kw")
    assert p_kw[t_s < 3010.0].max() > 150.0
    assert p_kw[t_s > 3016.0].max() <= 30.0 + 1e-6


def test_voltage_is_kept_that_uncontrolled_charging_breaks(folder):
    data = scenario({"garage": depot((110.0,) * 5, kw=100.0, grid={"contracted_kw": 600, "installed_kw": 600})})
    kept = run(data, folder)
    assert kept.arrays("network/grid/v_min_pu")[1].min() >= 0.88
    assert kept.arrays("garage/controller/verified")[1].min() == 1.0
    assert sum(delivered(kept).values()) == pytest.approx(550.0, abs=3.0)
    data["controller"] = {"type": "uncontrolled", "period": "15min"}
    broken = run(data, folder, "uncontrolled.h5")
    assert broken.arrays("network/grid/v_min_pu")[1].min() < 0.88


def test_two_depots_share_a_purchase_limit(folder):
    hubs = {"depot": depot(), "garage": depot()}
    data = scenario(hubs, {"purchase_limits": [{"limit_kw": 150}], "vehicles": {"bus-1": {"critical": True}}})
    for n, hub in enumerate(hubs.values()):
        for item in hub["sessions"]["items"]:
            item["id"] += f"-{n}"
    data["controller"]["vehicles"] = {"bus-1-0": {"critical": True}, "bus-2-1": {"critical": True}}
    results = run(data, folder)
    total = sum(np.interp(np.arange(60.0, 7000.0, 5.0), *_held(results, hub)) for hub in hubs)
    assert total.max() <= 150.0 + 1e-6
    got = delivered(results)
    assert got["bus-1-0"] == pytest.approx(60.0, abs=1.0)
    assert got["bus-2-1"] == pytest.approx(60.0, abs=1.0)


def _held(results, hub):
    """A signal as points that interpolation holds."""
    t_s, p_kw = results.arrays(f"{hub}/grid/p_kw")
    return np.repeat(t_s, 2)[1:], np.repeat(p_kw, 2)[:-1]


def test_in_an_island_the_secondary_source_is_not_overloaded(folder):
    hub = depot((40.0, 40.0), grid={"secondary": {"rated_kw": 50, "start": "10s"}})
    data = scenario({"depot": hub}, events=[{"at": "30min", "outage": {"hub": "depot", "until": "70min"}}])
    results = run(data, folder)
    assert results.arrays("depot/secondary/p_kw")[1].max() <= 50.0 + 1e-6
    assert sum(delivered(results).values()) == pytest.approx(80.0, abs=2.0)


def test_a_set_point_at_the_pcc_is_held_as_far_as_the_battery_can(folder):
    hub = depot((60.0,), bess={"type": "ideal", "rated_kw": 40, "capacity_kwh": 200, "soc": 0.5})
    results = run(scenario({"depot": hub}, {"setpoint_kw": 30, "deviation_per_kwh": 1.0}), folder)
    t_s, p_kw = results.arrays("depot/grid/p_kw")
    assert np.abs(p_kw[(t_s > 10.0) & (t_s < 7000.0)] - 30.0).max() < 0.5


def test_room_is_made_for_preconditioning_before_the_buses_leave(folder):
    hub = depot((60.0, 60.0), load={"demand": {"type": "profile", "points": [["0s", 10], ["90min", 60]]}})
    results = run(scenario({"depot": hub}, {"purchase_limits": [{"limit_kw": 90}]}), folder)
    t_s, p_kw = results.arrays("depot/load/p_kw")
    assert p_kw[t_s >= 5400.0].max() == pytest.approx(60.0)
    t_s, p_kw = results.arrays("depot/grid/p_kw")
    assert p_kw[(t_s < 5400.0) | (t_s > 5410.0)].max() <= 90.0 + 1e-6, "but while new set points are on their way"
    assert sum(delivered(results).values()) == pytest.approx(120.0, abs=2.0)


def test_a_schedule_that_nobody_verifies_says_so(folder):
    results = run(scenario({"depot": depot()}, network=False), folder)
    assert texts(results, "unverified") == ["no network is given: schedules are not verified by a load flow"]
    assert results.arrays("depot/controller/verified")[1].max() == 0.0


def test_limits_that_cannot_be_kept_raise_an_alarm(folder):
    # the neighbours alone pull the voltage below this band
    network = {"net": NET, "buses": {"depot": "depot"}, "band": [1.028, 1.1]}
    results = run(scenario({"depot": depot()}, {"network": network}), folder)
    alarms = texts(results, "alarm")
    assert len(alarms) == 1 and alarms[0].startswith("infeasible after"), alarms
    assert "still breaks limits" in alarms[0]
    assert results.arrays("depot/controller/verified")[1].max() == 0.0


def test_same_seed_same_run(folder):
    data = scenario({"depot": depot()}, LIMITED)
    first = plants.datasets(plants.run_data(data, folder, "a.h5"))
    assert first == plants.datasets(plants.run_data(data, folder, "b.h5"))


WRONG = {
    "a bus that does not exist": ({"net": NET, "buses": {"depot": 77}}, "there is no bus with index 77"),
    "a name that no bus has": ({"net": NET, "buses": {"depot": "depo"}}, "close to it: depot"),
    "a hub without a bus": ({"net": NET, "buses": {"garage": 3}}, "has no bus for hub 'depot'"),
    "a file that is not there": ({"net": "nowhere.json", "buses": {"depot": 2}}, "must be an existing file"),
    "a file outside": ({"net": "../x.json", "buses": {"depot": 2}}, "must stay inside the scenario's folder"),
    "an unknown network": ({"net": "case33", "buses": {"depot": 2}}, "case33bw"),
    "limits that contradict": ({"net": NET, "buses": {"depot": 2}, "band": [1.1, 0.9]}, "must be below the highest"),
    "too few connectors": (
        {"net": NET, "buses": {"depot": {"hub": 2, "connectors": [2, 3]}}},
        "must name 3 buses, got 2",
    ),
    "an unknown key": ({"net": NET, "bus": {"depot": 2}}, "network.bus"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_told_in_one_message(folder, wrong):
    network, told = WRONG[wrong]
    loaded = plants.loaded(scenario({"depot": depot()}, {"network": network}), folder)
    with pytest.raises(InputError, match=told.replace("[", r"\[")):
        build(loaded)


def test_a_purchase_limit_of_an_unknown_hub_is_refused(folder):
    data = scenario({"depot": depot()}, {"purchase_limits": [{"limit_kw": 10, "hub": "depto"}]})
    with pytest.raises(InputError, match="there is no hub 'depto'"):
        build(plants.loaded(data, folder))


@pytest.mark.parametrize(
    "values",
    [
        {"horizon_s": 300, "step_s": 900},
        {"purchase_limits": [{"limit_kw": 5, "begin_s": 10, "end_s": 10}]},
        {"weights": dict.fromkeys(Weights.model_fields, 0)},
        {"load_eens_per_kwh": [1, 2, 3, 4]},
        {"vehicles": {"a": {"priority": 11}}},
        {"max_iterations": 0},
    ],
)
def test_parameters_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError):
        EmsParameters.model_validate(values)


def test_bands_have_the_values_of_the_standards():
    assert EmsNetwork(net="case33bw", buses={}).band_pu == (0.88, 1.1)
    assert EmsNetwork(net="case33bw", buses={}, band="en50160").band_pu == (0.9, 1.1)


def test_a_period_beyond_the_step_is_refused(folder):
    with pytest.raises(InputError, match=r"controller\.period: must not be longer than step_s 900 s, got 3600 s"):
        build(plants.loaded(scenario({"depot": depot()}, {"period": "1h"}), folder))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"purchase_limits": [{"limit_kw": 5, "hub": "nobody"}]}, "there is no hub 'nobody'"),
        ({"purchase_limits": [{"limit_kw": 5, "hub": "garage"}]}, "cannot limit 'garage'"),
        ({"max_iterations": 1}, "max_iterations: cannot change"),
        ({"priorities": False}, "priorities: cannot change"),
    ],
)
def test_an_event_that_would_do_nothing_is_refused(folder, changed, told):
    garage = depot((60.0,))
    garage["sessions"]["items"][0]["id"] = "other"
    event = {"at": "50min", "parameters": {"hub": "depot", "controller": "ems", "set": changed}}
    with pytest.raises(InputError, match=told):
        build(plants.loaded(scenario({"depot": depot(), "garage": garage}, events=[event]), folder))


def test_an_event_can_change_what_energy_not_supplied_costs(folder):
    changed = {"eens_per_kwh": 1e-3}
    event = {"at": "30min", "parameters": {"hub": "depot", "controller": "ems", "set": changed}}
    results = run(scenario({"depot": depot()}, {"purchase_limits": [{"limit_kw": 60}]}, events=[event]), folder)
    assert sum(delivered(results).values()) < 30.0, "it does not pay to charge"


def test_a_solver_that_gives_up_is_an_alarm_and_the_last_schedule_goes_on(folder, monkeypatch):
    solve, count = Program.solve, []

    def failing(self, **options):
        count.append(1)
        if len(count) > 4:
            raise RuntimeError("the solver found no whole numbers")
        return solve(self, **options)

    monkeypatch.setattr(Program, "solve", failing)
    event = {
        "at": "50min",
        "parameters": {"hub": "depot", "controller": "ems", "set": {"purchase_limits": [{"limit_kw": 200}]}},
    }
    results = run(scenario({"depot": depot((20.0,) * 3)}, {"priorities": False}, events=[event]), folder)
    assert any("no whole numbers; the last schedule goes on" in text for text in texts(results, "alarm"))
    _t_s, verified = results.arrays("depot/controller/verified")
    assert verified[0] == 1.0 and verified[-1] == 0.0
    assert sum(delivered(results).values()) == pytest.approx(60.0, abs=1.0)
    assert len(count) < 20, "it does not try again in every time step"


def test_a_feasible_schedule_is_better_than_one_that_is_not():
    def outcome(verdict, kept):
        return SimpleNamespace(verdict=verdict, kept=np.array([kept]))

    assert _rank(outcome(Verdict.FEASIBLE, True)) > _rank(outcome(Verdict.UNSETTLED, True))
    assert _rank(outcome(Verdict.UNSETTLED, True)) > _rank(outcome(Verdict.INFEASIBLE, False))


# --- priorities -------------------------------------------------------------------------------------------------------


def need(name="a", **values) -> Demand:
    return Demand(
        **{
            "name": name,
            "connector": 0,
            "begin_s": 0.0,
            "ready_s": 7200.0,
            "energy_kwh": 40.0,
            "later_kwh": 0.0,
            "power_kw": 50.0,
            "soc": 0.5,
            "stored_kwh": 0.0,
            "capacity_kwh": 40.0,
            "floor_kwh": 0.0,
            "v2g": False,
            "departure_s": 7200.0,
            **values,
        }
    )


ORDER = {
    "purpose": ({}, FleetVehicle(purpose="emergency"), FleetVehicle(purpose="service")),
    "route": ({}, FleetVehicle(route_km=200), FleetVehicle(route_km=20)),
    "by hand": ({}, FleetVehicle(priority=7), FleetVehicle(purpose="emergency", priority=2)),
    "critical": ({}, FleetVehicle(critical=True), FleetVehicle(priority=10)),
    "departure": ({"departure_s": 36000.0}, FleetVehicle(), FleetVehicle()),
    "flexibility": ({"energy_kwh": 10.0}, FleetVehicle(), FleetVehicle()),
    "soc": ({"soc": 0.9}, FleetVehicle(), FleetVehicle()),
}


@pytest.mark.parametrize("item", ORDER)
def test_the_more_urgent_vehicle_ranks_higher(item):
    changed, first, second = ORDER[item]
    found = ranks([need("a"), need("b", **changed)], {"a": first, "b": second}, Weights(), 0.0)
    assert found[0].weight > found[1].weight
    assert item in ("by hand", "critical") or found[0].priority > found[1].priority


def test_a_change_tells_energy_and_shift():
    steps = Steps.regular(4, 3600.0)
    told = change(need(later_kwh=5.0), np.array([20.0, 20.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 30.0]), steps)
    assert told == Change(reduced_kwh=5.0, later_kwh=5.0, shifted_s=9000.0)
    rank = ranks([need()], {}, Weights(), 0.0)[0]
    assert told.text(need(), rank).startswith("a: reduced by 5.0 of 40.0 kWh, 5.0 kWh put off until after the window, ")
    assert "shifted later by 150 min" in told.text(need(), rank)
    assert not told.is_news(Change(5.0, 5.0, 8000.0))
    assert told.is_news(Change())


def test_the_window_has_edges_at_multiples_of_its_step():
    assert window(1000.0, 900.0, 3600.0).edges_s.tolist() == [1000.0, 1800.0, 2700.0, 3600.0, 4500.0]
    assert window(900.0, 900.0, 3600.0).edges_s.tolist() == [900.0, 1800.0, 2700.0, 3600.0, 4500.0]
    assert window(900.0, 900.0, 3600.0, end_s=2000.0).edges_s.tolist() == [900.0, 1800.0, 2000.0]
