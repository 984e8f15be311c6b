"""The five test scenarios of Leal et al. 2024, section 5: what the paper says of them holds."""

from __future__ import annotations

import pytest

from evhub.analysis import open_results
from evhub.scenarios.checks import check_scenarios as checking
from evhub.scenarios.run_scenario import run
from evhub.scenarios.schema.scenario_loader import load_scenario, parse
from evhub.scenarios.schema.yaml_file import read_yaml

NAMES = [f"leal2024-{n}" for n in range(1, 6)]


@pytest.mark.parametrize("name", NAMES)
def test_everything_the_paper_says_holds(name):
    (prepared,) = checking.prepare_all([name])
    checked = checking.check(prepared)
    assert checked.ok, [str(outcome) for _, outcome in checked.failed]
    assert len(checked.outcomes) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_has_the_ratings_of_tables_1_and_2(name):
    hub = load_scenario(name).scenario.hubs["depot"]
    assert (hub.grid.contracted_kw, hub.grid.installed_kw) == (50.0, 60.0)
    assert hub.pv is not None
    assert hub.bess is not None
    assert (hub.pv.rated_kw, hub.bess.rated_kw) == (20.0, 20.0)
    assert hub.connectors is not None
    assert hub.connectors.rated_kw == 20.0
    prices = {name: getattr(hub.tariffs, name).value for name in ("charging", "dg", "buy", "bess")}
    assert prices["charging"] > prices["dg"] > prices["buy"] > prices["bess"]


def changed(name: str, **parameters):
    """A shipped scenario with other parameters of its controller, and without what it expects."""
    path = load_scenario(name).path
    data = read_yaml(path)
    data.pop("expect", None)
    data["controller"] = {**data["controller"], **parameters}
    return parse(data, path)


@pytest.mark.parametrize("tx_limit", [0.88, 1.0])
def test_the_limit_is_kept_again_a_few_seconds_after_the_load_came(tx_limit, tmp_path):
    loaded = changed("leal2024-4", tx_limit_connected=tx_limit)
    with open_results(run(loaded, tmp_path / "out.h5", engine="inprocess")) as results:
        p_kw = results.frame("depot/grid/p_kw", every="1s")["depot/grid/p_kw"].to_numpy()
    limit_kw = tx_limit * 50.0
    assert (p_kw > limit_kw + 1e-6)[49:53].any()
    # measurement 1 s, command 1 s, and the step in between
    assert not (p_kw > limit_kw + 1e-6)[53:].any()


def test_tariffs_of_an_event_reach_the_rules(tmp_path):
    with open_results(run("leal2024-2", tmp_path / "out.h5", engine="inprocess")) as results:
        events = results.events()
    texts = events[events["kind"] == "rule"]
    second = texts[texts["text"].str.contains("cost_rule_2")]
    assert second["t_s"].min() == 220.0
    back = texts[(texts["t_s"] > 220.0) & texts["text"].str.contains("cost_rule_1")]
    assert back["t_s"].min() == 275.0


def test_parameters_of_an_event_are_followed_at_once(tmp_path):
    path = load_scenario("leal2024-4").path
    data = read_yaml(path)
    data.pop("expect", None)
    change = {"hub": "depot", "controller": "emh", "set": {"tx_limit_connected": 0.6}, "until": "100s"}
    data["events"].append({"at": "90s", "parameters": change})
    with open_results(run(parse(data, path), tmp_path / "out.h5", engine="inprocess")) as results:
        frame = results.frame(["depot/controller/p_in_limit_kw", "depot/controller/p_limit_cp_kw"], every="1s")
    limits = frame["depot/controller/p_in_limit_kw"].to_numpy()
    allowed = frame["depot/controller/p_limit_cp_kw"].to_numpy()
    assert limits[89:91].tolist() == [44.0, 30.0]
    assert limits[99:101].tolist() == [30.0, 44.0]
    assert allowed[90] == pytest.approx(10.0)
    assert allowed[100] == pytest.approx(24.0)


def test_above_its_limit_only_a_full_battery_rests_in_scenario_3(tmp_path):
    # the other rule of section 3.2: 10 kW of EVs are below 60 % of 20 kW
    loaded = changed("leal2024-3", island_discharge="above_limit")
    with open_results(run(loaded, tmp_path / "out.h5", engine="inprocess")) as results:
        assert results.frame("depot/bess/p_kw", every="1s").iloc[46:].to_numpy().max() == 0.0
    loaded = changed("leal2024-3", island_discharge="above_limit", cp_islanded_kw=20)
    with open_results(run(loaded, tmp_path / "more.h5", engine="inprocess")) as results:
        p_kw = results.frame("depot/bess/p_kw", every="1s").to_numpy()[60:80, 0]
    assert p_kw == pytest.approx(8.0)
