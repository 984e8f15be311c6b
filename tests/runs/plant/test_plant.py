"""The plant as a whole in situations with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from evhub.analysis import open_results
from evhub.controllers import contract as base

from ...helpers import plants


class Fixed(base.Controller):
    """Answers with the set points of its parameters at every decision."""

    class Parameters(base.Parameters):
        """What is answered."""

        connector_kw: float = 0.0
        connector_q_kvar: float = 0.0
        bess_kw: float = 0.0
        bess_q_kvar: float = 0.0
        shiftable_kw: float = float("inf")
        shiftable_until_s: float = float("inf")
        scribble: bool = False

    parameters: Parameters

    def decide(self, observation):
        """Give the same answer again."""
        given = self.parameters
        setpoints = {}
        for name, site in self.sites.items():
            ones = np.ones_like(site.connector_kw)
            if given.scribble:
                site.connector_kw[:] = 1.0
            shiftable_kw = given.shiftable_kw if observation.t_s < given.shiftable_until_s else float("inf")
            setpoints[name] = base.Setpoints(
                connector_kw=given.connector_kw * ones,
                connector_q_kvar=given.connector_q_kvar * ones,
                bess_kw=given.bess_kw,
                bess_q_kvar=given.bess_q_kvar,
                load_limit_kw=(np.inf, np.inf, shiftable_kw, np.inf),
            )
        return base.Decision(setpoints)


def ran(tmp_path, hub: dict, controller: dict, **changes):
    """Results of a run under fixed set points."""
    controller = {"type": f"{__name__}:Fixed", "period": "1min", **controller}
    hub = {"grid": {"contracted_kw": 50}, "load": {"demand": {"type": "constant", "value": 0}}, **hub}
    return open_results(
        plants.run_data(plants.smallest(hubs={"depot": hub}, controller=controller, **changes), tmp_path)
    )


def one_session(**fields) -> dict:
    session = {"at": "0s", "until": "55min", "energy_kwh": 10, "capacity_kwh": 20, "soc": 0.5, **fields}
    return {
        "connectors": {"count": 1, "rated_kw": 20, "v2g": True},
        "sessions": {"type": "list", "items": [session]},
    }


def test_reactive_power_of_a_connector_and_of_the_battery_count_alike(tmp_path):
    battery = {"bess": {"type": "ideal", "rated_kw": 20, "capacity_kwh": 40}}
    with ran(tmp_path, one_session(v2g=True), {"connector_q_kvar": 4.0}) as results:
        at_connector = results.arrays("depot/grid/q_kvar")[1].min()
    with ran(tmp_path, battery, {"bess_q_kvar": 4.0}) as results:
        at_battery = results.arrays("depot/grid/q_kvar")[1].min()
    assert at_connector == at_battery == -4.0


def test_an_ev_feeds_back_to_its_floor_and_no_further(tmp_path):
    with ran(tmp_path, one_session(v2g=True, soc_v2g_min=0.3), {"connector_kw": -15.0}) as results:
        (session,) = results.sessions().to_dict("records")
        assert session["soc_end"] == pytest.approx(0.3, abs=1e-9)
        assert session["delivered_kwh"] == pytest.approx(-4.0, abs=1e-6)
        assert results.summary().loc["v2g_kwh", "total"] == pytest.approx(4.0, abs=1e-6)


def test_nobody_is_discharged_without_consent(tmp_path):
    with ran(tmp_path, one_session(), {"connector_kw": -15.0}) as results:
        assert not results.arrays("depot/cp/p_kw")[1].any()


def test_an_ev_that_accepts_less_than_the_least_current_is_served(tmp_path):
    hub = plants.smallest()["hubs"]["depot"] | {
        "connectors": {"count": 1, "rated_kw": 22, "current": "ac", "phases": 3},
        "sessions": {"type": "list", "items": [{"at": "0s", "until": "55min", "energy_kwh": 2, "p_max_kw": 3.7}]},
    }
    with open_results(plants.run_data(plants.smallest(hubs={"depot": hub}), tmp_path)) as results:
        assert results.sessions()["delivered_kwh"].tolist() == [pytest.approx(2.0)]


def test_ac_connectors_pause_below_six_ampere_and_dc_connectors_do_not(tmp_path):
    delivered = {}
    for current in ("ac", "dc"):
        hub = one_session()
        hub["connectors"] = {"count": 1, "rated_kw": 22, "current": current, "phases": 3}
        with ran(tmp_path, hub, {"connector_kw": 4.0}) as results:
            delivered[current] = results.sessions()["delivered_kwh"].iloc[0]
    assert delivered["ac"] == 0.0  # 6 A at 400 V are 4.16 kW
    assert delivered["dc"] == pytest.approx(4.0 * (55 * 60 - 10) / 3600)


def test_the_inverter_rating_limits_the_battery(tmp_path):
    hub = {"bess": {"type": "ideal", "rated_kw": 20, "inverter_kva": 5, "capacity_kwh": 40}}
    with ran(tmp_path, hub, {"bess_kw": 20.0}) as results:
        assert results.arrays("depot/bess/p_kw")[1].max() == 5.0


def test_shiftable_load_that_is_never_made_good_is_lost_at_midnight(tmp_path):
    hub = {"load": {"shiftable": {"demand": {"type": "constant", "value": 4}}}}
    controller = {"shiftable_kw": 0.0}
    start = {"start": "2024-03-01T22:00:00-03:00", "duration": "3h"}
    with ran(tmp_path, hub, controller, **start) as results:
        lost_kwh = results.summary().loc["unserved_shiftable_kwh", "total"]
        assert lost_kwh == pytest.approx(4.0 * (2 - 10 / 3600), abs=1e-6)
        assert results.arrays("depot/load/backlog_kwh")[1][-1] == pytest.approx(4.0)


def test_shiftable_load_is_made_good_once_it_may(tmp_path):
    hub = {"load": {"shiftable": {"demand": {"type": "constant", "value": 4}}}}
    with ran(tmp_path, hub, {"shiftable_kw": 0.0, "shiftable_until_s": 1200.0}, duration="2h") as results:
        assert results.summary().loc["load_kwh", "total"] == pytest.approx(8.0)
        assert results.summary().loc["unserved_kwh", "total"] == 0.0


def test_an_outage_at_the_very_end_is_no_trouble(tmp_path):
    events = [{"at": "3595s", "outage": {"hub": "depot"}}]
    with ran(tmp_path, {"load": {"demand": {"type": "constant", "value": 5}}}, {}, events=events) as results:
        assert results.status == "complete"


def test_a_controller_cannot_write_into_the_plant(tmp_path):
    with pytest.raises(RuntimeError, match="read-only"):
        ran(tmp_path, one_session(), {"connector_kw": 5.0, "scribble": True})


def test_the_resolved_scenario_in_a_result_can_be_run_again(tmp_path):
    hub = plants.hub_with_everything()
    first = plants.run_data(plants.smallest(hubs={"depot": hub}), tmp_path, "a.h5")
    with open_results(first) as results:
        again = plants.run_data(yaml.safe_load(results.scenario), tmp_path, "b.h5")
    assert plants.datasets(first) == plants.datasets(again)


def test_a_lost_feeder_line_takes_the_voltage_in_the_same_instant(tmp_path):
    hub = {"load": {"demand": {"type": "constant", "value": 5}}}
    net = {"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 4}}
    events = [{"at": "20min", "line_out": {"line": 0, "until": "30min"}}]
    with ran(tmp_path, hub, {}, network=net, events=events) as results:
        for path in ("depot/load/p_kw", "depot/grid/p_kw"):
            t_s, p_kw = results.arrays(path)
            assert t_s.tolist() == [0.0, 1200.0, 1800.0]
            assert p_kw.tolist() == [5.0, 0.0, 5.0]
        t_s, v_pu = results.arrays("depot/network/v_pu")
        assert v_pu[t_s == 1200.0].tolist() == [0.0]


def test_a_new_session_over_a_slow_link_does_not_inherit_the_energy_of_the_one_before(tmp_path):
    hub = {
        "grid": {"contracted_kw": 50},
        "load": {"demand": {"type": "constant", "value": 0}},
        "connectors": {"count": 1, "rated_kw": 20},
        "sessions": {
            "type": "list",
            "items": [
                {"at": "0s", "until": "20min 30s".replace(" ", ""), "energy_kwh": 2},
                {"at": "1240s", "until": "24min", "energy_kwh": 2},
            ],
        },
        "link": {"poll": "10min"},
    }
    with open_results(plants.run_data(plants.smallest(hubs={"depot": hub}), tmp_path)) as results:
        limit = results.arrays("depot/cp/connector_limit_kw")
        assert limit[1][limit[0] == 1240.0, 0].tolist() == [20.0]


def test_equal_share_feeds_nothing_back_into_the_secondary_source(tmp_path):
    hub = plants.hub_with_everything()
    hub["grid"]["secondary"] = {"rated_kw": 40, "start": "10s"}
    hub["load"]["demand"]["value"] = 8
    hub["pv"]["irradiance"] = {"type": "profile", "points": [["0s", 850], ["30min", 200], ["45min", 850]]}
    hub["link"] = {"poll": "10s", "measurement": {"type": "uniform", "mean": "2s", "spread": "1s"}, "loss": 0.02}
    events = [{"at": "10min", "outage": {"hub": "depot", "until": "55min"}}]
    controller = {"type": "equal_share", "period": "30s"}
    data = plants.smallest(hubs={"depot": hub}, events=events, controller=controller)
    with open_results(plants.run_data(data, tmp_path)) as results:
        assert results.arrays("depot/secondary/p_kw")[1].min() >= -1e-9
        assert not results.events()["text"].str.contains("tripped").any()
        assert results.summary().loc["islanded_h", "total"] == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("strategy", ["equal_share", "edf", "llf", "fcfs", "round_robin"])
def test_pv_does_not_drive_the_secondary_source_in_reverse_when_evs_take_less_than_their_share(strategy, tmp_path):
    """Packs that are nearly full take less and less of what they are offered; PV follows at the next decision."""
    hub = plants.hub_with_everything()
    del hub["bess"], hub["dg"], hub["wind"]
    hub["grid"]["secondary"] = {"rated_kw": 60, "start": "10s"}
    hub["pv"] = {"rated_kw": 60, "irradiance": {"type": "constant", "value": 1000}}
    hub["load"]["demand"]["value"] = 2
    hub["ev"] = {"pack": "nissan_leaf_2013", "capacity_kwh": 20, "soc_target": 1.0}
    hub["sessions"]["items"] = [{"at": "1min", "until": "19min", "energy_kwh": 5} for _ in range(3)]
    outage = {"at": "2min", "outage": {"hub": "depot", "until": "18min"}}
    data = plants.smallest(
        duration="20min",
        time_step="1s",
        hubs={"depot": hub},
        events=[outage],
        controller={"type": strategy, "period": "1s"},
    )
    with open_results(plants.run_data(data, tmp_path)) as results:
        in_island_s = np.arange(180.0, 1080.0)

        def at(path: str) -> np.ndarray:
            t_s, values = results.arrays(f"depot/{path}")
            return values[np.searchsorted(t_s, in_island_s, side="right") - 1]

        reverse = at("secondary/p_kw") < -1e-9
        assert not (reverse[1:] & reverse[:-1]).any()
        assert not results.events()["text"].str.contains("tripped").any()
        offered_kw, taken_kw = at("cp/connector_limit_kw").sum(axis=1), at("cp/connector_p_kw").sum(axis=1)
        assert (offered_kw - taken_kw).max() > 10.0, "the case must have EVs that take less"
        assert at("pv/p_kw") == pytest.approx(np.minimum(55.3, taken_kw + 2.0), abs=6.0), "and PV that could give more"
