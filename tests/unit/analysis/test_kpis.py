"""Key figures against published numbers, limits with known answers, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.analysis import ResultWriter, SeriesSpec, open_results
from evhub.analysis.comparison.run_figures import collect
from evhub.analysis.kpis import (
    cost_figures,
    emission_figures,
    energy_figures,
    kpi_formulas,
    network_figures,
    power_figures,
    service_figures,
    supply_figures,
)
from evhub.analysis.results.summary_table import decision_times
from evhub.scenarios import run

from ...helpers.sample_results import attributes, write_hubs

DAY_S = 86400.0
START = pd.Timestamp("2024-03-01T00:00:00-03:00")


def figures(path, series: dict[str, list[tuple[float, object]]], end_s: float, sessions=(), ends=(), **more):
    """The summary of a made-up run; values by path and time."""
    specs = []
    for name, rows in series.items():
        width = np.size(rows[0][1]) if np.ndim(rows[0][1]) else None
        specs.append(SeriesSpec(name, "EUR/kWh" if name.endswith("_per_kwh") else "", "", width))
    with ResultWriter(path, attributes("k", end_s, **more), specs, sessions) as writer:
        for name, rows in series.items():
            for t_s, value in rows:
                writer.append(name, t_s, value)
        for row in ends:
            writer.session_end(*row)
    with open_results(path) as results:
        return results.summary()


# --- costs ------------------------------------------------------------------------------------------------------------

# Lavrenova & Denysiuk 2023: charged, discharged, sold, bought [kWh], cost [UAH] at 6 UAH/kWh for grid energy, bought or
# sold, and 1 UAH/kWh for use of the storage; energies are rounded to 0.01 kWh
PUBLISHED_COSTS = {
    "summer, rule": (53.47, 51.87, 48.63, 8.55, -135.15),
    "summer, optimum": (15.14, 41.96, 86.95, 18.46, -353.87),
    "winter, rule": (4.95, 31.93, 0.0, 80.69, 521.03),
    "winter, optimum": (0.24, 26.61, 4.71, 86.0, 514.62),
}


@pytest.mark.parametrize("case", PUBLISHED_COSTS)
def test_cost_of_the_published_dispatches(case):
    charged, discharged, sold, bought, published = PUBLISHED_COSTS[case]
    t_s = np.array([0.0, 3600.0, 7200.0, 10800.0])
    powers = {"grid": np.array([bought, -sold, 0.0, 0.0]), "bess": np.array([0.0, 0.0, -charged, discharged])}
    prices = {"buy": np.full(4, 6.0), "sell": np.full(4, 6.0), "bess": np.full(4, 1.0)}
    costs = cost_figures.costs(t_s, powers, prices, 14400.0, START)
    assert costs["net"] == pytest.approx(published, abs=0.005 * (6 + 6 + 1 + 1) + 0.005)


def test_energy_meets_the_price_of_its_own_time():
    t_s = np.array([0.0, 1800.0, 5400.0])
    powers = {"grid": np.array([10.0, -4.0, 2.0])}
    prices = {"buy": np.array([0.1, 0.2, 0.4]), "sell": np.array([0.9, 0.05, 0.9])}
    costs = cost_figures.costs(t_s, powers, prices, 7200.0, START)
    assert costs == pytest.approx({"bought": 0.5 + 0.4, "sold": 0.2, "net": 0.7})


def test_every_item_counts_once_and_with_its_sign():
    t_s, one = np.array([0.0]), np.array([1.0])
    powers = {name: one * p for name, p in (("grid", 1), ("secondary", 2), ("dg", 4), ("bess", -8), ("cp", 16))}
    prices = {name: one for name in ("buy", "sell", "dg", "bess", "charging", "demand")}
    costs = cost_figures.costs(t_s, powers, prices, 3600.0, START)
    expected = {"bought": 1, "demand": 1, "secondary": 2, "dg": 4, "bess": 8, "sold": 0, "charging": 16}
    assert costs == pytest.approx(expected | {"net": 1 + 1 + 2 + 4 + 8 - 16})


def test_items_without_price_or_device_are_left_out():
    assert cost_figures.costs(np.array([0.0]), {"grid": np.ones(1)}, {"dg": np.ones(1)}, 10.0, START) == {}


# --- demand -----------------------------------------------------------------------------------------------------------


def test_demand_is_the_mean_over_a_quarter_of_an_hour_on_the_clock():
    """A 20 min load of 60 kW: where it fills a whole quarter the demand is 60 kW, shifted by 10 min only 40 kW."""
    begin_s, mean_kw = power_figures.demand_intervals(
        np.array([0.0, 900.0, 2100.0]), np.array([0.0, 60.0, 0.0]), 3600.0, START
    )
    assert begin_s.tolist() == [0.0, 900.0, 1800.0, 2700.0]
    assert mean_kw == pytest.approx([0, 60, 20, 0])
    late = START + pd.Timedelta("7min")  # the quarters begin 8 min, 23 min, ... into the run
    begin_s, mean_kw = power_figures.demand_intervals(np.array([0.0, 900.0]), np.array([0.0, 60.0]), 1800.0, late)
    assert begin_s.tolist() == [-420.0, 480.0, 1380.0]
    assert mean_kw == pytest.approx([0.0, 60 * 480 / 900, 60.0])


def test_export_does_not_lower_demand():
    _, mean_kw = power_figures.demand_intervals(np.array([0.0, 450.0]), np.array([10.0, -100.0]), 900.0, START)
    assert mean_kw == pytest.approx([5.0])


def test_demand_charge_is_per_calendar_month_of_the_local_clock():
    """Peaks of 10 kW in March and 4 kW in April; in UTC, all of it would lie in April."""
    start = pd.Timestamp("2024-03-31T21:30:00-03:00")
    quarters = np.arange(12) * 900.0
    mean_kw = np.zeros(12)
    mean_kw[[2, 9, 11]] = 10.0, 7.0, 4.0  # 22:00, 23:45, and 00:15 in April
    assert cost_figures.demand_charge(quarters, mean_kw, np.full(12, 2.0), start) == pytest.approx(2 * (10 + 4))


def test_demand_charge_takes_the_quarter_that_costs_most():
    charge = cost_figures.demand_charge(np.array([0.0, 900.0]), np.array([10.0, 8.0]), np.array([1.0, 2.0]), START)
    assert charge == pytest.approx(16.0)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.integers(0, 3599))
def test_demand_never_exceeds_the_peak_and_reaches_the_mean(values, second):
    p_kw = np.array(values)
    t_s = np.arange(len(p_kw)) * 300.0
    end_s = len(p_kw) * 300.0
    _, mean_kw = power_figures.demand_intervals(t_s, p_kw, end_s, START + pd.Timedelta(seconds=second))
    imported = kpi_formulas.positive(p_kw)
    assert np.nanmax(mean_kw) <= imported.max() + 1e-9
    assert np.nanmax(mean_kw) >= imported.mean() - 1e-9


# --- energy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pv", "load", "consumed", "sufficient"),
    [(0.0, 5.0, None, 0.0), (5.0, 5.0, 1.0, 1.0), (10.0, 5.0, 0.5, 1.0), (4.0, 5.0, 1.0, 0.8), (5.0, 0.0, 0.0, None)],
)
def test_self_consumption_and_self_sufficiency_of_constant_powers(pv, load, consumed, sufficient):
    t_s, grid = np.array([0.0]), np.array([load - pv])
    used, produced = energy_figures.self_consumption(t_s, np.array([pv]), grid, 3600.0)
    own, demand = energy_figures.self_sufficiency(t_s, np.array([load]), grid, 3600.0)
    assert (used / produced if produced else None) == consumed
    assert (own / demand if demand else None) == sufficient


def test_what_a_battery_stores_is_consumed_whatever_becomes_of_it():
    """An hour of PV with 10 kW: 2 load, 4 into the battery, 4 exported. At night 5 out of it: 2 load, 3 exported."""
    t_s, pv, load, grid = np.array([0.0, 3600.0]), np.array([10.0, 0.0]), np.full(2, 2.0), np.array([-4.0, -3.0])
    assert energy_figures.self_consumption(t_s, pv, grid, 7200.0) == (6.0, 10.0)
    assert energy_figures.self_sufficiency(t_s, load, grid, 7200.0) == (4.0, 4.0)


def test_battery_that_is_charged_from_the_grid_does_not_lower_self_sufficiency_until_it_discharges():
    """Load 2 kW; an hour with 6 kW from the grid, an hour with 4 kW from the battery, of which 2 are exported."""
    t_s, load, grid = np.array([0.0, 3600.0]), np.full(2, 2.0), np.array([6.0, -2.0])
    assert energy_figures.self_sufficiency(t_s, load, grid, 7200.0) == (2.0, 4.0)


@given(st.lists(st.tuples(*[st.floats(0, 50)] * 2, st.floats(-20, 20)), min_size=1, max_size=10))
def test_shares_lie_between_nothing_and_everything(rows):
    pv, load, bess = np.array(rows).T
    t_s = np.arange(len(rows)) * 60.0
    grid = load - pv - bess
    used, produced = energy_figures.self_consumption(t_s, pv, grid, len(rows) * 60.0)
    own, demand = energy_figures.self_sufficiency(t_s, load, grid, len(rows) * 60.0)
    assert -1e-9 <= used <= produced + 1e-9
    assert -1e-9 <= own <= demand + 1e-9


def test_energies_of_a_hub_balance(tmp_path):
    with open_results(write_hubs(tmp_path / "r.h5", {"a": 5, "b": 3}, outages=((3600.0, 9000.0),))) as results:
        table = results.summary()
    for column in ("a", "b", "total"):
        value = table[column]
        sources = value[["pv_kwh", "import_kwh", "secondary_kwh", "bess_out_kwh"]].sum()
        uses = value[["load_kwh", "charging_kwh", "bess_in_kwh", "export_kwh"]].sum()
        assert sources == pytest.approx(uses)
        assert value["losses_kwh"] == pytest.approx(0, abs=1e-9)
        assert value["charging_kwh"] == pytest.approx(value["delivered_kwh"])


@pytest.mark.parametrize(("soc", "cycles"), [([0.5], 0), ([1.0, 0.0, 1.0], 1), ([0.2, 0.8, 0.2, 0.5, np.nan], 0.75)])
def test_full_cycles_are_half_the_way_of_the_state_of_charge(soc, cycles):
    assert power_figures.full_cycles(np.array(soc)) == pytest.approx(cycles)


# --- EV service -------------------------------------------------------------------------------------------------------


def sessions_table(rows) -> pd.DataFrame:
    names = ["arrival_s", "requested_kwh", "delivered_kwh", "plug_s", "outcome"]
    table = pd.DataFrame(rows, columns=pd.Index(names))
    table["missed_kwh"] = (table["requested_kwh"] - table["delivered_kwh"]).clip(lower=0)
    table["waiting_s"] = table["plug_s"] - table["arrival_s"]
    return table


def test_ev_service_counts_what_has_ended_and_leaves_the_future_out():
    service = service_figures.ev_service(
        sessions_table(
            [
                (0.0, 10.0, 10.0, 60.0, "served"),
                (0.0, 10.0, 9.95, 0.0, "served"),  # within 1 %
                (0.0, 10.0, 6.0, 240.0, "served"),
                (0.0, 10.0, 0.0, np.nan, "balked"),
                (0.0, 10.0, 0.0, np.nan, "reneged"),
                (0.0, 10.0, 3.0, 0.0, "unfinished"),
                (0.0, 10.0, np.nan, np.nan, None),
                (1e6, 10.0, np.nan, np.nan, None),
            ]
        ),
        7200.0,
    )
    assert [service[name] for name in ("sessions", "served", "balked", "reneged", "unfinished")] == [7, 3, 1, 1, 2]
    assert (service["requested_kwh"], service["met"], service["ended"]) == (50.0, 2, 5)
    assert service["delivered_kwh"] == pytest.approx(25.95)  # without the 3 kWh of the unfinished one
    assert service["missed_kwh"] == pytest.approx(0.05 + 4 + 10 + 10)
    assert (service["waited_min"], service["plugged"], service["waiting_max_min"]) == (5.0, 4, 4.0)


def test_ev_service_of_nobody():
    service = service_figures.ev_service(sessions_table([]), 7200.0)
    assert service["sessions"] == service["requested_kwh"] == service["ended"] == 0
    assert np.isnan(service["waiting_max_min"])


# --- resilience -------------------------------------------------------------------------------------------------------


def test_supply_follows_the_transfer_switch():
    powers = {"grid": np.zeros(4), "pv": np.ones(4)}
    state = kpi_formulas.supply(powers, bus=np.array([1.0, 0.0, 2.0, np.nan]))
    assert state.tolist() == [kpi_formulas.GRID, kpi_formulas.DEAD, kpi_formulas.ISLANDED, kpi_formulas.GRID]


def test_supply_without_a_switch_is_an_island_while_power_flows():
    powers = {"grid": np.array([5.0, 0.0, 0.0]), "bess": np.array([0.0, 3.0, 0.0]), "load": np.array([5.0, 3.0, 0.0])}
    state = kpi_formulas.supply(powers, available=np.array([1.0, 0.0, 0.0]))
    assert state.tolist() == [kpi_formulas.GRID, kpi_formulas.ISLANDED, kpi_formulas.DEAD]


@pytest.mark.parametrize(("device", "state"), [("grid", kpi_formulas.GRID), ("dg", kpi_formulas.ISLANDED)])
def test_supply_without_any_signal(device, state):
    assert kpi_formulas.supply({device: np.zeros(2)}).tolist() == [state, state]


def test_indices_of_two_hubs_one_of_which_lost_its_supply_twice(tmp_path):
    """Hub a is dead for 60 s and for 120 s, then on its own source for 600 s; hub b never: SAIFI 1, SAIDI 90 s."""
    bus = [(0.0, 1), (1000.0, 0), (1060.0, 1), (2000.0, 0), (2120.0, 2), (2720.0, 1)]
    available = [(0.0, 1), (1000.0, 0), (1060.0, 1), (2000.0, 0), (2700.0, 1)]
    unserved = [(0.0, [0, 0, 0, 0]), (2000.0, [3.0, 0, 0, 6.0]), (2120.0, [0, 0, 0, 0])]
    series = {
        "a/grid/p_kw": [(0.0, 1.0)],
        "a/ats/bus": bus,
        "a/grid/available": available,
        "a/load/unserved_kw": unserved,
        "b/grid/p_kw": [(0.0, 1.0)],
        "b/ats/bus": [(0.0, 1)],
    }
    table = figures(tmp_path / "r.h5", series, 3600.0)
    assert table.loc["interruptions", ["a", "b", "total"]].tolist() == [2, 0, 1]
    assert table.loc["interruption_h", "a"] == pytest.approx(180 / 3600)
    assert table.loc["interruption_h", "total"] == pytest.approx(90 / 3600)
    assert table.loc["islanded_h", "a"] == pytest.approx(600 / 3600)
    assert table.loc["outages", "a"] == 2
    assert table.loc["outage_h", "a"] == pytest.approx(760 / 3600)
    assert np.isnan(table.loc["outages", "b"])
    assert table.loc["unserved_critical_kwh", "a"] == pytest.approx(3 * 120 / 3600)
    assert table.loc["unserved_general_kwh", "a"] == pytest.approx(6 * 120 / 3600)
    assert table.loc["unserved_kwh", "total"] == pytest.approx(9 * 120 / 3600)


# --- the table --------------------------------------------------------------------------------------------------------


def test_totals_are_sums_extremes_or_ratios_of_sums(tmp_path):
    series = {
        "a/grid/p_kw": [(0.0, -6.0)],
        "a/pv/p_kw": [(0.0, 10.0)],
        "a/load/p_kw": [(0.0, 4.0)],
        "a/network/v_pu": [(0.0, 1.02), (1.0, 0.0)],
        "b/grid/p_kw": [(0.0, 30.0)],
        "b/pv/p_kw": [(0.0, 30.0)],
        "b/load/p_kw": [(0.0, 60.0)],
        "b/network/v_pu": [(0.0, 0.95)],
        "network/grid/line_loading_percent": [(0.0, [10.0, np.nan]), (5.0, [20.0, 80.0])],
        "network/grid/losses_kw": [(0.0, 2.0)],
    }
    table = figures(tmp_path / "r.h5", series, 7200.0)
    assert list(table.columns) == ["group", "quantity", "unit", "a", "b", "total"]
    assert table.loc["pv_kwh", ["a", "b", "total"]].tolist() == pytest.approx([20, 60, 80])
    assert table.loc["self_consumption", ["a", "b", "total"]].tolist() == pytest.approx([40, 100, 85])
    assert table.loc["peak_import_kw", ["a", "b", "total"]].tolist() == pytest.approx([0, 30, 30])
    assert table.loc["v_min_pu", ["a", "b", "total"]].tolist() == pytest.approx([1.02, 0.95, 0.95])
    assert table.loc["line_loading_percent", "total"] == 80
    assert table.loc["network_losses_kwh", "total"] == pytest.approx(4.0)
    assert np.isnan(table.loc["line_loading_percent", "a"])
    assert "bess_cycles" not in table.index


def test_costs_are_in_the_currency_of_the_tariffs(tmp_path):
    series = {"a/grid/p_kw": [(0.0, 10.0)], "a/tariffs/buy_per_kwh": [(0.0, 0.25)]}
    table = figures(tmp_path / "r.h5", series, 3600.0)
    assert table.loc["cost_bought", ["unit", "a"]].tolist() == ["EUR", 2.5]


def test_a_value_at_the_very_end_has_no_weight(tmp_path):
    table = figures(tmp_path / "r.h5", {"a/grid/p_kw": [(0.0, 2.0), (3600.0, 99.0)]}, 3600.0)
    assert table.loc["import_kwh", "a"] == pytest.approx(2.0)
    assert table.loc["peak_import_kw", "a"] == 2.0
    assert table.loc["peak_demand_kw", "a"] == pytest.approx(2.0)


def test_a_month_of_demand_charges_begins_anew(tmp_path):
    """Peaks of 40 kW on 31 March and 20 kW on 1 April, at 3 per kW."""
    series = {
        "a/grid/p_kw": [(0.0, 40.0), (900.0, 0.0), (DAY_S, 20.0), (DAY_S + 900.0, 0.0)],
        "a/tariffs/demand_per_kw": [(0.0, 3.0)],
    }
    table = figures(tmp_path / "r.h5", series, 2 * DAY_S, start="2024-03-31T00:00:00+01:00", time_zone="Europe/Berlin")
    assert table.loc["cost_demand", "a"] == pytest.approx(3 * (40 + 20))


def test_sessions_of_a_hub_count_for_that_hub(tmp_path):
    sessions = [
        {"hub": hub, "id": str(n), "arrival_s": 0.0, "departure_s": 60.0, "requested_kwh": 1.0 + n}
        for n, hub in enumerate(["a", "b", "a"])
    ]
    ends = [("a", 1, 0, 0.0, 60.0, 3.0, 0.9, "served"), ("b", 0, -1, np.nan, 0.0, 0.0, np.nan, "balked")]
    table = figures(tmp_path / "r.h5", {"a/cp/p_kw": [(0.0, 0.0)], "b/cp/p_kw": [(0.0, 0.0)]}, 60.0, sessions, ends)
    assert table.loc["sessions", ["a", "b", "total"]].tolist() == [2, 1, 3]
    assert table.loc["requested_kwh", ["a", "b", "total"]].tolist() == [3.0, 2.0, 5.0]
    assert table.loc["on_time_percent", ["a", "b", "total"]].tolist() == [100.0, 0.0, 50.0]


# --- fairness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(1, 10), (2, 10), (7, 7), (1, 1)])
def test_fairness_of_a_share_that_k_of_n_get_is_k_over_n(k, n):
    """Jain, Chiu & Hawe 1984: an index of 0.2 means fair to 20 % of the users."""
    assert service_figures.fairness(np.repeat([0.8, 0.0], [k, n - k])) == pytest.approx(k / n)


def test_fairness_of_nothing_is_unknown():
    assert np.isnan(service_figures.fairness(np.zeros(3)))
    assert np.isnan(service_figures.fairness(np.empty(0)))


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=20), st.floats(1e-3, 1.0))
def test_fairness_lies_between_one_nth_and_one_and_does_not_depend_on_the_scale(shares, factor):
    index = service_figures.fairness(np.array(shares))
    assert 1 / len(shares) - 1e-9 <= index <= 1 + 1e-9
    assert service_figures.fairness(factor * np.array(shares)) == pytest.approx(index)


def test_fairness_counts_sessions_that_were_turned_away_and_none_that_asked_for_nothing():
    rows = [
        (0.0, 10.0, 10.0, 0.0, "served"),
        (0.0, 20.0, 20.0, 0.0, "served"),
        (0.0, 10.0, 0.0, np.nan, "balked"),
        (0.0, 0.0, 0.0, 0.0, "served"),
        (0.0, 10.0, 3.0, 0.0, "unfinished"),
    ]
    assert service_figures.ev_service(sessions_table(rows), 7200.0)["fairness"] == pytest.approx(2 / 3)


def test_total_fairness_is_that_of_all_sessions_and_not_the_mean_of_the_hubs(tmp_path):
    """Each hub treats its own alike, at 100 % and at 25 %: 1 and 1, but together (1.25)^2 / (2 x 1.0625)."""
    sessions = [
        {"hub": hub, "id": hub, "arrival_s": 0.0, "departure_s": 60.0, "requested_kwh": 4.0} for hub in ("a", "b")
    ]
    ends = [("a", 0, 0, 0.0, 60.0, 4.0, 0.9, "served"), ("b", 0, 0, 0.0, 60.0, 1.0, 0.9, "served")]
    table = figures(tmp_path / "r.h5", {"a/cp/p_kw": [(0.0, 0.0)], "b/cp/p_kw": [(0.0, 0.0)]}, 60.0, sessions, ends)
    assert table.loc["fairness", ["a", "b"]].tolist() == [1.0, 1.0]
    assert table.loc["fairness", "total"] == pytest.approx(1.25**2 / (2 * (1 + 0.25**2)))
    assert table.loc["delivered_percent", ["a", "b", "total"]].tolist() == pytest.approx([100.0, 25.0, 62.5])


# --- transfers, voltages, battery, peaks ------------------------------------------------------------------------------


def test_times_to_island_and_to_restore():
    """Lost at 100 s and island at 107 s; back at 200 s and on the grid at 230 s. Then a loss it does not survive."""
    t_s = np.array([0.0, 100.0, 107.0, 200.0, 230.0, 500.0, 600.0, 601.0])
    available = np.array([1, 0, 0, 1, 1, 0, 1, 1])
    grid, dead, island = kpi_formulas.GRID, kpi_formulas.DEAD, kpi_formulas.ISLANDED
    state = np.array([grid, dead, island, island, grid, dead, dead, grid])
    to_island_s, to_restore_s = supply_figures.transfers(t_s, available, state, 1000.0)
    assert to_island_s.tolist() == [7.0]
    assert to_restore_s.tolist() == [30.0, 1.0]


def test_planned_island_is_ready_when_the_grid_is_lost_and_no_return_after_it():
    t_s = np.array([0.0, 50.0, 100.0, 200.0])
    state = np.array([kpi_formulas.GRID, kpi_formulas.ISLANDED, kpi_formulas.ISLANDED, kpi_formulas.ISLANDED])
    to_island_s, to_restore_s = supply_figures.transfers(t_s, np.array([1, 1, 0, 1]), state, 300.0)
    assert to_island_s.tolist() == [0.0]
    assert to_restore_s.tolist() == []


def test_mean_times_of_transfers_weigh_every_outage_of_every_hub_alike(tmp_path):
    series = {}
    for hub, losses in {"a": [(1000.0, 10.0), (2000.0, 20.0)], "b": [(1000.0, 60.0)]}.items():
        bus, available = [(0.0, 1)], [(0.0, 1)]
        for at, delay in losses:
            available += [(at, 0), (at + 300.0, 1)]
            bus += [(at, 0), (at + delay, 2), (at + 305.0, 1)]
        series |= {f"{hub}/grid/p_kw": [(0.0, 1.0)], f"{hub}/ats/bus": bus, f"{hub}/grid/available": available}
    table = figures(tmp_path / "r.h5", series, 3600.0)
    assert table.loc["time_to_island_s", ["a", "b", "total"]].tolist() == pytest.approx([15.0, 60.0, 30.0])
    assert table.loc["time_to_restore_s", ["a", "b", "total"]].tolist() == pytest.approx([5.0, 5.0, 5.0])


def test_voltage_counts_as_outside_its_band_once_for_all_buses_and_never_when_dead():
    v_pu = np.array([[1.0, 0.95], [0.89, 0.85], [1.0, 1.11], [0.0, np.nan]])
    t_s = np.arange(4) * 900.0
    assert network_figures.outside_band(t_s, v_pu, 3600.0, (0.9, 1.1)) == pytest.approx(0.5)
    assert network_figures.outside_band(t_s, v_pu[:, 0], 3600.0, (0.9, 1.1)) == pytest.approx(0.25)


def test_overload_of_lines_and_transformers_at_the_same_time_counts_once(tmp_path):
    series = {
        "a/grid/p_kw": [(0.0, 1.0)],
        "network/grid/line_loading_percent": [(0.0, [101.0, np.nan]), (1800.0, [100.0, np.nan])],
        "network/grid/trafo_loading_percent": [(0.0, [50.0]), (900.0, [150.0]), (2700.0, [10.0])],
    }
    assert figures(tmp_path / "r.h5", series, 3600.0).loc["overload_h", "total"] == pytest.approx(0.75)


def test_mean_state_of_charge_is_over_time_and_the_last_value_is_at_the_end():
    found = power_figures.soc_statistics(np.array([0.0, 900.0, 3600.0]), np.array([0.2, 0.6, 0.9]), 3600.0)
    assert found == pytest.approx({"min": 0.2, "mean": 0.5, "max": 0.6, "end": 0.9})
    assert all(np.isnan(x) for x in power_figures.soc_statistics(np.array([0.0]), np.array([np.nan]), 10.0).values())


def test_load_factor_is_one_for_a_constant_import_and_a_quarter_for_one_quarter_of_the_time(tmp_path):
    series = {"a/grid/p_kw": [(0.0, 8.0)], "b/grid/p_kw": [(0.0, 8.0), (900.0, 0.0)]}
    table = figures(tmp_path / "r.h5", series, 3600.0, start="2024-03-01T00:00:00+00:00")
    assert table.loc["load_factor", ["a", "b", "total"]].tolist() == pytest.approx([100.0, 25.0, 62.5])


def test_decision_times_are_no_key_figures_of_the_plant(tmp_path):
    specs = [SeriesSpec("a/grid/p_kw", "kW", "")]
    with ResultWriter(tmp_path / "r.h5", attributes("k", 10.0), specs) as writer:
        writer.append("a/grid/p_kw", 0.0, 1.0)
        for k in range(1, 101):
            writer.diagnostic("emh/decision_s", 0.0, k / 1000)
    with open_results(tmp_path / "r.h5") as results:
        times = decision_times(results)
        assert not results.summary().index.str.contains("decision").any()
    row = times.loc["emh/decision_s"]
    assert row[["count", "mean", "median", "max"]].tolist() == pytest.approx([100, 0.0505, 0.0505, 0.1])
    assert 0.095 <= row["p95"] <= 0.0961


def test_what_a_solver_did_not_tell_counts_for_nothing(tmp_path):
    with ResultWriter(tmp_path / "r.h5", attributes("k", 10.0), [SeriesSpec("a/grid/p_kw", "kW", "")]) as writer:
        for name, values in {"solve_s": (0.002, 0.004), "gap": (np.nan, 0.5), "bound": (np.nan, np.nan)}.items():
            for t_s, value in enumerate(values):
                writer.diagnostic(f"milp/a/{name}", float(t_s), value)
    with open_results(tmp_path / "r.h5") as results:
        times = decision_times(results)
        figures_ = collect([results]).set_index("kpi")
    assert times.loc["milp/a/gap", ["count", "mean", "max"]].tolist() == [1, 0.5, 0.5]
    assert "milp/a/bound" not in times.index
    assert figures_.loc["solve_ms", ["quantity", "unit", "value"]].tolist() == ["solve, mean", "ms", pytest.approx(3.0)]


# --- emissions and penalties ------------------------------------------------------------------------------------------


def test_emissions_are_those_of_the_time_of_import_and_export_is_not_credited():
    t_s = np.array([0.0, 3600.0, 7200.0])
    powers = {"grid": np.array([10.0, 4.0, -50.0]), "secondary": np.array([0.0, 3.0, 0.0]), "dg": np.array([1.0, 0, 0])}
    intensities = {"grid": np.array([0.5, 0.2, 0.9]), "fuel": np.full(3, 0.8)}
    found = emission_figures.emissions(t_s, powers, intensities, 10800.0)
    assert found == pytest.approx({"grid": 10 * 0.5 + 4 * 0.2, "fuel": (3 + 1) * 0.8, "total": 5.8 + 3.2})


def test_emissions_without_an_intensity_are_unknown_and_not_zero():
    assert emission_figures.emissions(np.array([0.0]), {"grid": np.ones(1)}, {}, 3600.0) == {}


def test_penalties_are_paid_on_what_was_missed_and_not_served(tmp_path):
    scenario = tmp_path / "penalties.yaml"
    scenario.write_text("""
name: penalties
start: 2024-03-01T12:00:00+00:00
duration: 2h
hubs:
  depot:
    grid: {contracted_kw: 50}
    load: {demand: {type: constant, value: 6}}
    connectors: {count: 1, rated_kw: 11}
    sessions: {type: list, items: [{at: 0s, until: 30min, energy_kwh: 20, id: a}]}
    tariffs: {buy: {type: constant, value: 0.25}, missed_per_kwh: 2, unserved_per_kwh: 5}
    emissions: {grid: {type: profile, points: [[0s, 0.4], [1h, 0.1]]}, fuel_kg_per_kwh: 0.7}
events: [{at: 1h, outage: {hub: depot, until: 90min}}]
""")
    with open_results(run(scenario, tmp_path / "r.h5", engine="inprocess")) as results:
        table = results.summary()["depot"]
        assert results.spec("depot/tariffs/missed_per_kwh").unit == "EUR/kWh"
    assert table["cost_missed"] == pytest.approx(2 * table["missed_kwh"])
    assert table["missed_kwh"] == pytest.approx(20 - 11 / 2, abs=0.01)
    assert table["cost_unserved"] == pytest.approx(5 * table["unserved_kwh"])
    assert table["unserved_kwh"] == pytest.approx(3.0, abs=0.01)
    assert table["cost_net"] == pytest.approx(table["cost_bought"] + table["cost_missed"] + table["cost_unserved"])
    first_hour, rest = 6 + 5.5, table["import_kwh"] - 11.5
    assert table["co2_kg"] == pytest.approx(first_hour * 0.4 + rest * 0.1, abs=0.01)
    assert "co2_fuel_kg" not in table  # nothing burns any


def test_scenario_without_emissions_and_penalties_has_no_such_rows(tmp_path):
    table = figures(tmp_path / "r.h5", {"a/grid/p_kw": [(0.0, 2.0)], "a/tariffs/buy_per_kwh": [(0.0, 1.0)]}, 3600.0)
    assert not [key for key in table.index if key.startswith("co2") or key in ("cost_missed", "cost_unserved")]
