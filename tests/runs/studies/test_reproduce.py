"""The published charging station: what `evhub reproduce lavrenova2023` shows, without the runs that only inform."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np
import pytest

from evhub.analysis import open_results
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.scenarios.studies.reproductions import NAMES, reproduction
from evhub.scenarios.studies.reproductions.lavrenova2023 import (
    lavrenova2023_figures,
)
from evhub.scenarios.studies.reproductions.lavrenova2023 import (
    lavrenova2023_study as lavrenova2023,
)
from evhub.scenarios.studies.reproductions.published_numbers import shown, within

DATA = files("evhub.scenarios") / "library" / "data"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Result files of all six cases on the ideal plant."""
    folder = tmp_path_factory.mktemp("lavrenova2023")
    return {case.name: lavrenova2023.run(case, folder) for case in lavrenova2023.CASES}


@pytest.fixture(scope="module")
def outcomes(runs):
    found = {}
    for name, path in runs.items():
        with open_results(path) as results:
            assert results.events().query("kind in ('alarm', 'unserved')").empty
            found[name] = lavrenova2023.outcome(results)
    return found


def test_a_miss_can_be_seen_in_the_numbers():
    row = shown(within("1", "lower limit", "kW", 146.383, 146.385, absolute=0.001))
    assert (row["published"], row["ours"], row["ok"]) == ("146.383", "146.385", "NO")


def test_the_study_is_listed_and_has_a_title():
    assert "lavrenova2023" in NAMES
    assert "Lavrenova" in reproduction("lavrenova2023").TITLE


@pytest.mark.parametrize("case", lavrenova2023.CASES, ids=lambda case: case.name)
def test_every_judged_row_is_met(case, outcomes):
    rows = list(lavrenova2023.judge(case, outcomes[case.name]))
    assert [row for row in rows if row.ok is False] == []
    judged = {row.quantity for row in rows if row.ok is not None}
    if case.strategy == "rule" and case.tariff == "fixed":
        assert judged >= {"charge", "discharge", "sell", "buy", "cost"}
    assert judged >= {"cost, eq. (11) from the recorded powers", "energy not supplied"}


@pytest.mark.parametrize("season", ["summer", "winter"])
def test_the_optimum_at_a_flat_price_is_known_without_a_solver(season, outcomes, runs):
    """All 27 kWh above the limit are drawn, none is charged: 6 (EV - PV - 27) + 27 UAH."""
    with open_results(runs[f"{season} optimum"]) as results:
        table = results.summary()["station"]
    exact = 6.0 * (table["charging_kwh"] - table["pv_kwh"] - 27.0) + 27.0
    assert outcomes[f"{season} optimum"].cost == pytest.approx(exact, abs=0.05)


def test_the_published_summer_optimum_pays_for_what_never_comes_back():
    """Lossless at one price, a kWh through the storage costs 2 UAH of wear and earns nothing."""
    (rule_charge, rule_discharge, rule_sell, rule_buy), _ = _printed("summer rule")
    (charge, discharge, sell, buy), cost = _printed("summer optimum")
    assert cost == pytest.approx(6.0 * (buy - sell) + charge + discharge, abs=0.05)
    ev_less_pv = rule_discharge - rule_charge + rule_buy - rule_sell
    best = 6.0 * (ev_less_pv - 27.0) + 27.0
    assert best == pytest.approx(-385.0, abs=0.5)
    # 2 UAH for each kWh charged, and 0.18 kWh left in the storage
    assert cost - best == pytest.approx(2.0 * charge, abs=2.0)


def _printed(name: str):
    return next((case.energies_kwh, case.cost) for case in lavrenova2023.CASES if case.name == name)


def test_both_days_have_the_same_plant_evs_and_rules():
    summer, winter = (load_scenario(f"lavrenova2023-{season}").scenario for season in ("summer", "winter"))
    one, other = (scenario.hubs["station"].model_dump(exclude={"pv"}) for scenario in (summer, winter))
    assert one == other
    assert summer.controller == winter.controller


def test_the_reconstruction_keeps_the_clues_of_the_paper(outcomes, runs):
    minutes = {row["id"]: (float(row["arrival"]) / 60, float(row["departure"]) / 60) for row in _sessions()}
    assert minutes["EV1"][0] < minutes["EV2"][0] < minutes["EV2"][1] == 10 * 60 + 56 < minutes["EV1"][1]
    assert 12 * 60 + 23 in [arrival for arrival, _ in minutes.values()]
    assert minutes["EV5"][0] == 14 * 60 + 30
    assert outcomes["summer rule"].fullest_s / 60 == pytest.approx(8 * 60 + 29, abs=5.0)
    assert outcomes["winter rule"].emptiest_s / 60 == pytest.approx(10 * 60 + 53, abs=2.0)
    with open_results(runs["winter rule"]) as results:
        t_s, pv_kw = results.arrays("station/pv/p_kw")
    assert not pv_kw[t_s >= 14 * 3600.0].any()


def _sessions() -> list[dict[str, str]]:
    with (DATA / "lavrenova2023_sessions.csv").open() as file:
        return list(csv.DictReader(file))


def test_there_is_a_picture_of_every_part(runs, tmp_path):
    published = {case.name: case.energies_kwh for case in lavrenova2023.CASES}
    drawn = lavrenova2023_figures.draw(tmp_path, runs, published, "station")
    assert set(drawn) == {"inputs", "summer", "winter", "summer-energies", "winter-energies", "day-ahead"}
    for path in drawn.values():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_plan_is_followed_to_the_letter_on_the_ideal_plant(runs):
    """With a perfect forecast the recorded battery power is the planned one, a second later."""
    with open_results(runs["summer optimum"]) as results:
        planned = results.frame(["station/controller/plan_bess_kw", "station/bess/p_kw"], every="1min", how="mean")
    difference = np.abs(planned.iloc[:, 0] - planned.iloc[:, 1])
    assert difference.max() <= 34.5 / 60 + 1e-6
