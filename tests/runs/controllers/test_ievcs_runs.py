"""Days under all four stages: what must hold on any of them, what each stage is worth, and what can go wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from evhub.analysis import open_results
from evhub.analysis.checks.invariants import INVARIANTS
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import LIBRARY, load_scenario, parse
from evhub.scenarios.schema.yaml_file import read_yaml
from evhub.scenarios.studies.reproductions.yan2022 import yan2022_campaign
from evhub.scenarios.studies.reproductions.yan2022 import yan2022_study as yan2022
from evhub.scenarios.studies.reproductions.yan2022.yan2022_costs import costs, satisfaction
from evhub.scenarios.studies.reproductions.yan2022.yan2022_days import DAY, SESSIONS, write_day

from ...helpers.plates import plates

HOUR_S = 3600.0
PLATES = plates(pv_kw=153.0, bess_kw=70.875, connector_kw=7.2, soc_min=0.1, soc_max=0.9)


def day(scenario: str, seed: int, **controller) -> dict:
    """The data of a day; steps of an hour make it quick."""
    data = yan2022_campaign.scenario_data(yan2022_campaign.YanCase(scenario, seed))
    data["controller"] = {**data["controller"], "resolution": "1h", **controller}
    return data


def run(data: dict, folder, seed: int = 0):
    """Results of a day."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    if not (folder / "data" / DAY).exists():
        write_day(folder / "data", seed)
    loaded = parse(data, folder / "day.yaml")
    path = folder / f"{len(list(folder.glob('*.h5')))}.h5"
    return open_results(run_wiring(build(loaded), loaded, path, engine="inprocess"))


def test_an_event_cannot_change_the_feeder(tmp_path):
    data = day("4", 3)
    change = {"hub": "station", "controller": "ievcs", "set": {"feeder": {"bus": 20, "v_min_pu": 0.99}}}
    data["events"] = [*data.get("events", []), {"at": "1h", "parameters": change}]
    with pytest.raises(InputError, match="feeder: cannot change during a run"):
        run(data, tmp_path, 3)


@pytest.mark.parametrize(("scenario", "seed"), [("4", 3), ("4", 8), ("1", 13)])
def test_on_random_days_all_that_must_hold_holds(scenario, seed, tmp_path):
    data = day(scenario, seed)
    with run(data, tmp_path, seed) as results:
        sessions = results.sessions()
        t_s, p_kw = results.arrays("station/cp/connector_p_kw")
        soc_s, soc = results.arrays("station/cp/soc")
        connector_s, session = results.arrays("station/cp/session")
        _, eens = results.arrays("station/load/eens_kwh")
        _, grid_kw = results.arrays("station/grid/p_kw")
        broken = [law(results, "station", PLATES) for law in INVARIANTS.values()]
        alarms = results.events().query("kind == 'alarm'")
    assert not any(broken)
    assert alarms.empty
    assert (sessions["delivered_kwh"] >= sessions["requested_kwh"] - 1e-3).all()
    assert eens[-1] == pytest.approx(np.zeros(4), abs=1e-6)  # shiftable load was made good before midnight
    assert grid_kw.max() <= 300.0 + 1e-6
    assert p_kw.min() < -1.0  # some give back
    agreed = pd.read_csv(tmp_path / "data" / SESSIONS)["v2g"].to_numpy(bool)
    for k, at_s in enumerate(t_s):
        plugged = session[np.searchsorted(connector_s, at_s, side="right") - 1]
        gives = p_kw[k] < -1e-9
        assert agreed[plugged[gives]].all()
        assert (soc[np.searchsorted(soc_s, at_s, side="right") - 1][gives] >= 0.2 - 1e-6).all()


def test_each_stage_is_worth_what_the_paper_says_of_it(tmp_path):
    total = {}
    for scenario in "123457":
        with run(day(scenario, 0), tmp_path / scenario) as results:
            total[scenario] = costs(results)["total"]
    assert total["2"] < total["1"]  # hour-ahead plans
    assert total["4"] < total["3"]  # real-time control
    assert total["1"] < total["7"]  # scenario 8 is 1: the longer horizon
    assert total["4"] == pytest.approx(total["5"], rel=0.05)  # scenario 6 is 4: prices of stage II


def test_shipped_scenarios_differ_in_what_they_compare_and_their_days_are_drawn_as_documented(tmp_path):
    shipped = {number: load_scenario(f"yan2022-{number}").scenario for number in "12345678"}
    rest = {
        number: scenario.model_copy(update={"name": "", "title": "", "source": "", "controller": []})
        for number, scenario in shipped.items()
    }
    assert all(one == rest["1"] for one in rest.values())
    stages = {number: scenario.controller[0].parameters["stages"] for number, scenario in shipped.items()}
    assert stages["6"] == stages["4"]
    assert stages["8"] == stages["7"] == stages["1"]
    write_day(tmp_path, 0)
    for name in (DAY, SESSIONS):
        assert (tmp_path / name).read_bytes() == (LIBRARY / "data" / name).read_bytes()


def test_a_shipped_scenario_keeps_what_it_expects(tmp_path):
    from evhub.scenarios.checks.check_scenarios import check, prepare

    data = dict(read_yaml(LIBRARY / "yan2022-4.yaml"))
    data["controller"] = {**data["controller"], "resolution": "1h"}
    file = tmp_path / "yan2022-4.yaml"
    (tmp_path / "data").mkdir()
    write_day(tmp_path / "data", 0)
    import yaml

    file.write_text(yaml.safe_dump(data))
    checked = check(prepare(str(file)))
    assert [outcome.text for outcome in checked.outcomes if not outcome.ok] == []


# --- what can go wrong ------------------------------------------------------------------------------------------------


def short(**changes) -> dict:
    """Six hours around noon, one battery, some EVs."""
    csv = {"type": "csv", "file": "data/yan2022_day.csv"}
    hub = {
        "grid": {"contracted_kw": 200, "installed_kw": 250, "secondary": {"rated_kw": 80}},
        "pv": {"rated_kw": 153, "gamma_per_k": 0, "irradiance": {"type": "constant", "value": 300}},
        "bess": {"type": "ideal", "rated_kw": 70, "capacity_kwh": 110, "soc": 0.5, "soc_min": 0.1, "soc_max": 0.9},
        "load": {"critical": {"demand": {"type": "constant", "value": 40}}},
        "connectors": {"count": 3, "rated_kw": 7.2, "current": "dc", "v2g": True},
        "sessions": {
            "type": "list",
            "items": [
                {
                    "id": "a",
                    "at": "30min",
                    "until": "5h",
                    "energy_kwh": 15,
                    "capacity_kwh": 40,
                    "soc": 0.3,
                    "v2g": True,
                },
                {"id": "b", "at": "1h", "until": "4h", "energy_kwh": 10, "capacity_kwh": 40, "soc": 0.4},
            ],
        },
        "tariffs": {"buy": {**csv, "column": "buy"}, "charging": {"type": "constant", "value": 0.2}},
    }
    controller = {"type": "ievcs", "period": "5min", "resolution": "30min", "subsidy_per_kwh": 0.24}
    data = {
        "name": "short",
        "start": "2021-07-15T00:00:00+08:00",
        "duration": "6h",
        "time_step": "1min",
        "hubs": {"station": hub},
        "controller": controller,
    }
    return {**data, **changes}


def met(results) -> dict[str, bool]:
    table = results.sessions().set_index("id")
    return (table["delivered_kwh"] >= table["requested_kwh"] - 1e-3).to_dict()


def test_an_ev_that_never_comes_and_one_that_nobody_expected(tmp_path):
    data = short()
    (tmp_path / "data").mkdir()
    schedule = (
        "id,arrival,departure,energy_kwh,capacity_kwh,soc_arrival\na,1800,18000,15,40,0.3\nghost,3600,9000,12,40,0.3\n"
    )
    (tmp_path / "data" / "expected.csv").write_text(schedule)
    data["hubs"]["station"]["forecasts"] = {"sessions": {"type": "csv", "file": "data/expected.csv"}}
    with run(data, tmp_path) as results:
        assert met(results) == {"a": True, "b": True}
        assert results.events().query("kind == 'alarm'").empty
        told = results.events().query("kind == 'late' or kind == 'absent'")
    # told once, although every later plan expects it again, and given up when it should have left
    assert told["kind"].tolist() == ["late", "absent"]
    assert told["text"].str.startswith("ghost ").all()
    assert told["t_s"].iloc[0] == pytest.approx(HOUR_S, abs=601.0)
    assert 2.5 * HOUR_S < told["t_s"].iloc[1] <= 3.0 * HOUR_S + 601.0


def test_an_ev_that_leaves_early_gets_what_it_could(tmp_path):
    data = short()
    (tmp_path / "data").mkdir()
    # b says 4 h and leaves after 2
    lines = "id,arrival,departure,energy_kwh,capacity_kwh,soc_arrival,departure_estimate\n"
    lines += "a,1800,18000,15,40,0.3,18000\nb,3600,7200,10,40,0.4,14400\n"
    (tmp_path / "data" / "real.csv").write_text(lines)
    data["hubs"]["station"]["sessions"] = {"type": "csv", "file": "data/real.csv"}
    with run(data, tmp_path) as results:
        got = results.sessions().set_index("id")
        assert met(results)["a"]
        assert got.loc["b", "delivered_kwh"] >= 0.0
        assert got.loc["b", "outcome"] == "served"
        early = results.events().query("kind == 'left early'")
        # in its hour at 7.2 kW it cannot have got its 10 kWh; last seen up to a decision before
        told_kwh = [float(text.split()[3]) for text in early["text"] if text.startswith("b left with")]
        assert told_kwh == [pytest.approx(got.loc["b", "missed_kwh"], abs=7.2 / 12 + 0.05)]
        assert not any(law(results, "station", PLATES) for law in INVARIANTS.values())


def test_a_faulted_charger_takes_its_ev_out_of_the_plan_and_the_others_go_on(tmp_path):
    events = [{"at": "70min", "connector_fault": {"hub": "station", "connector": 1, "until": "3h"}}]
    with run(short(events=events), tmp_path) as results:
        assert met(results)["b"]
        assert results.events().query("kind == 'alarm'").empty
        told = results.events().query("kind == 'charger fault'")
        assert told["text"].tolist() == ["a at connector 1 counts with 0 kW until the fault is over"]
        assert results.status == "complete"


def test_without_a_measurement_of_the_battery_there_is_an_alarm_and_basic_control(tmp_path):
    data = short()
    # before the first message nothing is known of the battery
    data["hubs"]["station"]["link"] = {"poll": "5min", "measurement": {"type": "constant", "mean": "1min"}}
    with run(data, tmp_path) as results:
        told = results.events().query("kind == 'alarm'")
        t_s, plan_kw = results.arrays("station/controller/plan_grid_kw")
        assert "basic control decides" in told["text"].iloc[0]
        assert "state of charge" in told["text"].iloc[0]
        assert np.isnan(plan_kw[0])
        assert np.isfinite(plan_kw[t_s >= HOUR_S]).all()  # the next attempt, an hour later, has a plan
        assert met(results) == {"a": True, "b": True}


def test_when_a_forecast_fails_the_last_good_plan_stays_in_force(tmp_path, monkeypatch):
    from evhub.scenarios.forecasts.forecast_providers import HubForecast

    told = HubForecast.load_kw

    def broken(self, edges_s):
        values = told(self, edges_s)
        return values * np.nan if HOUR_S < self._t_s < 3 * HOUR_S else values

    monkeypatch.setattr(HubForecast, "load_kw", broken)
    with run(short(), tmp_path) as results:
        alarms = results.events().query("kind == 'alarm'")
        _, plan_kw = results.arrays("station/controller/plan_grid_kw")
        assert len(alarms) == 1  # the same trouble is told once
        assert "the last good plan stays in force" in alarms["text"].iloc[0]
        assert np.isfinite(plan_kw).all()
        assert met(results) == {"a": True, "b": True}


def test_an_hour_without_a_solution_is_told_and_the_last_good_plan_stays_in_force(tmp_path, monkeypatch):
    """Whatever comes there is a plan (test_ievcs_plan), so that only the solver can fail."""
    from evhub.controllers.ievcs import day_ahead_planner as planning

    solved = planning.Day._solved

    def stopped(self, hub, steps, state, built):
        if HOUR_S < state.t_s <= 3 * HOUR_S:
            return planning.DayPlanResult(None, "time limit", 4, built=built)
        return solved(self, hub, steps, state, built)

    monkeypatch.setattr(planning.Day, "_solved", stopped)
    with run(short(), tmp_path) as results:
        told = results.events().query("kind == 'alarm'")["text"].tolist()
        assert told == ["time limit; the last good plan stays in force"]
        assert met(results) == {"a": True, "b": True}
        assert not any(law(results, "station", PLATES) for law in INVARIANTS.values())


def test_while_the_grid_is_lost_basic_control_decides_and_then_a_new_plan(tmp_path):
    events = [{"at": "2h10min", "outage": {"hub": "station", "until": "3h05min"}}]
    with run(short(events=events), tmp_path) as results:
        t_s, plan_kw = results.arrays("station/controller/plan_grid_kw")
        lost = (t_s >= 2.25 * HOUR_S) & (t_s < 3 * HOUR_S)
        assert np.isnan(plan_kw[lost]).all()
        assert np.isfinite(plan_kw[t_s >= 3.5 * HOUR_S]).all()
        assert met(results) == {"a": True, "b": True}


CLASSES = {"critical": 15.0, "controllable": 12.0, "shiftable": 6.0, "general": 20.0}


def with_classes(**grid) -> dict:
    """The short day with all load classes and 53 kW of load."""
    data = short()
    hub = data["hubs"]["station"]
    hub["load"] = {name: {"demand": {"type": "constant", "value": kw}} for name, kw in CLASSES.items()}
    hub["load"]["controllable"]["band"] = [0.7, 1]
    hub["load"]["shiftable"]["recovery_kw"] = 20
    hub["grid"] |= grid
    data["controller"] |= {"recovery_kw": 20, "controllable_cut": 0.3}
    return data


def test_in_an_island_load_is_cut_so_that_the_source_carries_the_critical_one(tmp_path):
    data = with_classes(secondary={"rated_kw": 28})
    data["hubs"]["station"]["bess"]["soc"] = 0.1  # nothing to lend
    data["events"] = [{"at": "10min", "outage": {"hub": "station", "until": "2h"}}]
    with run(data, tmp_path) as results:
        events = results.events()
        t_s, served = results.arrays("station/load/served_kw")
        in_island = (t_s >= 660.0) & (t_s < 7200.0)
        _, backlog = results.arrays("station/load/backlog_kwh")
    assert events.query("kind == 'trip'").empty
    assert events.query("kind == 'load cut'")["text"].tolist() == [
        "28.0 of 53.0 kW are served: the secondary source carries no more"
    ]
    # all critical and controllable load, and 1 kW of the shiftable
    assert served[in_island] == pytest.approx(np.tile([15.0, 12.0, 1.0, 0.0], (in_island.sum(), 1)))
    assert backlog[-1] == pytest.approx(0.0, abs=1e-6)  # what waited is made good on the grid


def test_when_storage_is_empty_and_load_is_cut_nothing_flows_back_into_the_source(tmp_path):
    data = with_classes(secondary={"rated_kw": 28})
    data["hubs"]["station"]["bess"]["soc"] = 0.2  # 11 kWh of 25 kW
    data["events"] = [{"at": "10min", "outage": {"hub": "station", "until": "2h"}}]
    with run(data, tmp_path) as results:
        kinds = results.events()["kind"].tolist()
        _, secondary_kw = results.arrays("station/secondary/p_kw")
        pv_s, pv_kw = results.arrays("station/pv/p_kw")
    assert kinds.count("trip") == 0
    assert kinds.count("load cut") == 1
    assert secondary_kw.min() > -0.01
    assert pv_kw[np.searchsorted(pv_s, 1.9 * HOUR_S) - 1] > 20.0  # but PV serves what it may


def test_without_a_forecast_an_island_says_so_and_the_day_goes_on_when_the_grid_is_back(tmp_path, monkeypatch):
    from evhub.scenarios.forecasts.forecast_providers import HubForecast

    told = HubForecast.load_kw

    def broken(self, edges_s):
        return told(self, edges_s) * (np.nan if 1800.0 < self._t_s < 1.5 * HOUR_S else 1.0)

    monkeypatch.setattr(HubForecast, "load_kw", broken)
    data = with_classes(secondary={"rated_kw": 60})
    data["events"] = [{"at": "10min", "outage": {"hub": "station", "until": "2h"}}]
    with run(data, tmp_path) as results:
        events = results.events()
        t_s, plan_kw = results.arrays("station/controller/plan_grid_kw")
    cut = events.query("kind == 'load cut'")["text"].tolist()
    assert cut == ["the forecast of the load is not a number: only what cannot be cut is served"]
    assert events.query("kind == 'alarm'").empty
    assert np.isfinite(plan_kw[t_s > 2.1 * HOUR_S]).all()


@pytest.mark.parametrize("begin_h", [0, 22.5])
def test_shiftable_load_of_a_dead_bus_is_known_to_wait(begin_h, tmp_path):
    data = with_classes()
    start = datetime(2021, 7, 15, tzinfo=ZoneInfo("Asia/Shanghai")) + timedelta(hours=begin_h)
    data["start"] = start.isoformat()
    del data["hubs"]["station"]["grid"]["secondary"]
    data["events"] = [{"at": "1h", "outage": {"hub": "station", "until": "2h"}}]
    with run(data, tmp_path) as results:
        t_s, account_kwh = results.arrays("station/controller/backlog_kwh")
        real_s, real_kwh = results.arrays("station/load/backlog_kwh")
    k = np.searchsorted(t_s, 2 * HOUR_S)
    back = np.flatnonzero(np.isfinite(account_kwh[k:]))[0] + k
    real = real_kwh[np.searchsorted(real_s, t_s[back], side="right") - 1]
    assert real >= (3.0 if begin_h else 6.0)  # 6 kW for an hour; what waits at midnight is lost
    assert account_kwh[back] == pytest.approx(real, abs=0.5)


def test_load_is_cut_before_the_contract_is_passed_for_long(tmp_path):
    # the sun that was told does not come, and no plan is made again
    data = with_classes(contracted_kw=40)
    data["hubs"]["station"]["forecasts"] = {"pv": {"type": "csv", "file": "data/sun.csv", "column": "pv_kw"}}
    data["hubs"]["station"]["pv"]["irradiance"]["value"] = 0
    data["hubs"]["station"]["sessions"]["items"] = []
    data["hubs"]["station"]["bess"]["soc"] = 0.1
    data["controller"]["stages"] = {"hour_ahead": False}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sun.csv").write_text("t_s,pv_kw\n0,60\n21600,60\n")
    with run(data, tmp_path) as results:
        t_s, grid_kw = results.arrays("station/grid/p_kw")
        _, served = results.arrays("station/load/served_kw")
    above = np.diff(np.append(t_s, 6 * HOUR_S))[grid_kw > 40.0 + 1e-6].sum()
    assert above <= 120.0  # until the first set points act
    assert served[:, 0] == pytest.approx(15.0)
    assert served[:, 3].min() < 20.0


def test_parameters_that_change_make_a_new_plan_of_the_day(tmp_path):
    change = {"hub": "station", "controller": "ievcs", "set": {"stages": {"price_update": False}}}
    with run(short(events=[{"at": "2h", "parameters": change}]), tmp_path) as results:
        samples = results.diagnostics().query("name == 'ievcs/station/stage1_s'")
        assert samples["t_s"].tolist() == [0.0, 7200.0]


def test_customer_satisfaction_is_told_per_session_and_in_total(tmp_path):
    data = short()
    data["hubs"]["station"]["sessions"]["items"][1] |= {"until": "90min"}  # 30 min at 7.2 kW for 10 kWh
    with run(data, tmp_path) as results:
        table = satisfaction(results).set_index("id")
    assert table.loc["a", "target_met"] == 1.0
    # the first set point acts after a time step: 29 min at 7.2 kW
    assert table.loc["b", "delivered_share"] == pytest.approx(0.348, abs=1e-3)
    assert table.loc["b", "target_met"] == 0.0
    assert table.loc["all", "delivered_share"] == pytest.approx((15 + 3.48) / 25, abs=1e-3)
    assert table.loc["all", "target_met"] == 0.5


def test_a_campaign_goes_on_where_it_was_stopped_unless_the_code_has_changed(tmp_path, monkeypatch):
    cases = [yan2022_campaign.YanCase("1", 0), yan2022_campaign.YanCase("5 at 15 min", 1, 0.5)]
    found = {case: {"total": k + 0.1 + 0.2, "pv": 1e-17} for k, case in enumerate(cases)}
    began = []

    def costs_of(case, folder):
        began.append(case)
        if len(began) == 2:
            raise KeyboardInterrupt
        return found[case]

    monkeypatch.setattr(yan2022_campaign, "run", costs_of)
    with pytest.raises(KeyboardInterrupt, match="1 of 2 runs of the campaign are finished; the same command goes on"):
        yan2022_campaign.campaign(tmp_path, cases, lambda _: None)
    assert yan2022_campaign.campaign(tmp_path, cases, lambda _: None) == found  # to the last bit
    assert began == [cases[0], cases[1], cases[1]]
    monkeypatch.setattr(yan2022_campaign, "_code", lambda: "other code")
    yan2022_campaign.campaign(tmp_path, cases, lambda _: None)
    assert began[3:] == cases


def test_a_confidence_interval_by_hand():
    mean, low, high = yan2022.interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2.0
    # Student's t for 2 degrees of freedom at 97.5 %: 4.3027; standard error 1/sqrt(3)
    assert (low, high) == pytest.approx((2.0 - 4.3027 / 3**0.5, 2.0 + 4.3027 / 3**0.5), abs=1e-4)
