"""Comparisons on equal terms: what was told of the future, what is not served, and accounts that add up."""

from __future__ import annotations

import json

import h5py
import pytest

from evhub.analysis import open_results
from evhub.analysis.kpis.cost_figures import cost_signs
from evhub.analysis.report.html.readable_text import number
from evhub.analysis.report.html.run_page import page
from evhub.analysis.results.result_reader import NOT_RECORDED
from evhub.scenarios import run
from evhub.scenarios.schema.scenario_loader import load_scenario, shipped
from evhub.scenarios.studies.compare.compare_controllers import compare_controllers
from evhub.scenarios.studies.compare.compare_plan import plan
from evhub.simulators.series import Series
from evhub.simulators.tariffs.tariff_model import MISSED_FACTOR, UNSERVED_FACTOR, penalties

from ...helpers import plants
from ...helpers.command import evhub

TOLD = "milp_dispatch was told every session, load and sun without error: `forecasts` left out"
BUY = {"type": "profile", "points": [["0s", 0.2], ["30min", 0.4]]}  # 0.3 in the mean of an hour


def summary_of(path):
    with open_results(path) as results:
        return results.summary()


# --- what was told of the future --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planned_day(tmp_path_factory):
    path = tmp_path_factory.mktemp("told") / "r.h5"
    return run("public-hub-day", path, controller="milp_dispatch", engine="inprocess")


def test_result_alone_says_it(planned_day):
    with open_results(planned_day) as results:
        assert results.foresight == [TOLD]
        assert TOLD in page(results).replace("&#39;", "'")
    with h5py.File(planned_day) as file:
        assert json.loads(file.attrs["foresight"]) == [TOLD]


def test_result_of_an_earlier_version_says_that_it_is_not_recorded(planned_day, tmp_path):
    old = tmp_path / "old.h5"
    old.write_bytes(planned_day.read_bytes())
    with h5py.File(old, "r+") as file:
        del file.attrs["foresight"]
    with open_results(old) as results:
        assert results.foresight == [NOT_RECORDED]
        assert NOT_RECORDED in page(results)


def test_command_says_it(tmp_path):
    done = evhub("run", "leal2024-4", "-o", tmp_path / "r.h5", "--engine", "inprocess")
    assert "foresight: emh looks at no forecast" in done.out


def test_comparison_says_it_of_every_strategy(tmp_path):
    planned = plan("public-hub-day", ["equal_share", "edf", "milp_dispatch"], tmp_path / "out")
    notes = compare_controllers(planned).notes
    assert f"{TOLD}." in notes
    assert "equal_share; edf: each looks at no forecast." in notes
    assert TOLD in (tmp_path / "out" / "index.html").read_text()


# --- what is not served -----------------------------------------------------------------------------------------------


def test_hub_that_goes_dark_does_not_cost_least(tmp_path):
    served, dark = (
        summary_of(run("island-evening", tmp_path / f"{name}.h5", controller=name, engine="inprocess"))["total"]
        for name in ("equal_share", "uncontrolled")
    )
    assert dark["interruption_h"] > 1 > served["interruption_h"]
    assert dark["cost_bills"] < served["cost_bills"]
    assert dark["cost_net"] > served["cost_net"]


@pytest.mark.parametrize(
    ("missed", "unserved", "prices"),
    [
        (None, None, {"missed_per_kwh": 1.8 * 0.3, "unserved_per_kwh": 66 * 0.3}),
        (0.0, None, {"unserved_per_kwh": 66 * 0.3}),
        (2.0, 0.0, {"missed_per_kwh": 2.0}),
        (0.0, 0.0, {}),
    ],
)
def test_prices_left_out_are_multiples_of_the_mean_price_of_energy(missed, unserved, prices):
    buy = Series([0.0, 1800.0], [0.2, 0.4], 3600.0)
    assert penalties(buy, 3600.0, missed, unserved) == pytest.approx(prices)


@pytest.mark.parametrize("per_kwh", [0.0, -0.1])
def test_energy_that_costs_nothing_gives_no_prices(per_kwh):
    assert penalties(Series.constant(per_kwh), 3600.0, None, None) == {}


def test_factors_are_those_of_their_sources():
    assert pytest.approx(64.44 / 35.96, abs=0.05) == MISSED_FACTOR
    assert pytest.approx(10.289 / (592 / 3800), abs=0.5) == UNSERVED_FACTOR


def hub(tariffs, **more):
    """A hub whose EV asks for more than a connector gives in its stay."""
    everything = {
        "grid": {"contracted_kw": 50},
        "load": {"demand": {"type": "constant", "value": 5}},
        "connectors": {"count": 1, "rated_kw": 20, "current": "dc"},
        "sessions": {"type": "list", "items": [{"at": "0s", "until": "30min", "energy_kwh": 30}]},
    }
    return plants.smallest(hubs={"depot": {**everything, **tariffs, **more}})


def test_energy_missed_is_paid_at_the_default(tmp_path):
    total = summary_of(run(plants.loaded(hub({"tariffs": {"buy": BUY}})), tmp_path / "r.h5", engine="inprocess"))[
        "total"
    ]
    assert total["missed_kwh"] > 15
    assert total["cost_missed"] == pytest.approx(1.8 * 0.3 * total["missed_kwh"])
    assert total["cost_net"] == pytest.approx(total["cost_bills"] + total["cost_missed"] + total["cost_unserved"])


@pytest.mark.parametrize(
    "tariffs", [{}, {"tariffs": {"buy": BUY, "missed_per_kwh": 0, "unserved_per_kwh": 0}}], ids=["no tariffs", "zero"]
)
def test_account_without_prices_stays_as_it_is(tmp_path, tariffs):
    table = summary_of(run(plants.loaded(hub(tariffs)), tmp_path / "r.h5", engine="inprocess"))
    assert not {"cost_missed", "cost_unserved", "cost_bills"} & set(table.index)
    assert table.at["missed_kwh", "total"] > 15


def test_bills_of_all_hubs_have_those_without_penalties_too(tmp_path):
    priced = hub({"tariffs": {"buy": BUY}})["hubs"]["depot"]
    free = {**priced, "tariffs": {"buy": BUY, "missed_per_kwh": 0, "unserved_per_kwh": 0}}
    data = plants.smallest(hubs={"a": priced, "b": free})
    table = summary_of(run(plants.loaded(data), tmp_path / "r.h5", engine="inprocess"))
    assert table.at["cost_bills", "total"] == pytest.approx(table.at["cost_bills", "a"] + table.at["cost_net", "b"])


def test_lowest_bills_have_no_rank_and_net_cost_has_one(tmp_path):
    planned = plan("island-evening", ["equal_share", "uncontrolled"], tmp_path / "out")
    comparison = compare_controllers(planned).comparison
    assert comparison is not None
    better = comparison.means.drop_duplicates("kpi").set_index("kpi")["better"]
    assert (better["cost_net"], better["cost_bills"]) == ("less", "")
    ranks = comparison.ranks.query("kpi == 'cost_net'").set_index("controller")["rank"]
    assert ranks["equal_share"] < ranks["uncontrolled"]


PUBLISHED = [name for name in shipped() if name.startswith(("leal2024", "yan2022", "hafiz2023", "lavrenova2023"))]


@pytest.mark.parametrize("name", PUBLISHED)
def test_scenarios_with_published_costs_have_no_penalties(name):
    for section in load_scenario(name).scenario.hubs.values():
        assert (section.tariffs.missed_per_kwh, section.tariffs.unserved_per_kwh) == (0.0, 0.0)


# --- accounts that add up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_parts_of_the_net_cost_on_its_card_sum_to_the_whole(name, tmp_path):
    with open_results(run(name, tmp_path / "r.h5", engine="inprocess")) as results:
        table, html = results.summary(), page(results)
    assert "cost_net" in table.index, "every shipped scenario has tariffs"
    total = table["total"]
    parts = {key: sign * total[key] for key, sign in cost_signs().items() if key in total.index}
    assert sum(parts.values()) == pytest.approx(total["cost_net"], rel=1e-9, abs=1e-9)
    card = html.partition(">Net cost<")[2].partition("</div></div>")[0].rpartition(">")[2]
    shown = [key for key, amount in parts.items() if number(amount) != "0"]
    for key in shown:
        word = table.at[key, "quantity"].removeprefix("revenue: ")
        assert f"{number(abs(parts[key]))} {word}" in card
    assert card.count("\u2212") == sum(parts[key] < 0 for key in shown)
