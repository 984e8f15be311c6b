"""Stage IV: the table, cell by cell, and what holds whatever it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers.ievcs.decision_table import (
    BASIC,
    TABLE,
    Charging,
    Deviation,
    Measure,
    Price,
    Subsidy,
    TableSituation,
    control,
    min_charging_kw,
    storage_limits,
)

from ...helpers.sizes import examples

M = Measure
SURPLUS, DEFICIT = Deviation.SURPLUS, Deviation.DEFICIT
LOW, HIGH = Price.LOW, Price.HIGH
ORDINARY, RAISED = Subsidy.ORDINARY, Subsidy.RAISED

# connectors: one that must charge, a flexible EV that may give 5 kW, one that follows the plan, none
BEFORE = TableSituation(
    grid_kw=20.0,
    import_kw=50.0,
    bess_kw=0.0,
    bess_min_kw=-10.0,
    bess_max_kw=10.0,
    ev_kw=np.array([7.0, 6.0, 5.0, 0.0]),
    ev_min_kw=np.array([7.0, -5.0, 0.0, 0.0]),
    ev_class=np.array([Charging.MUST.value, Charging.FLEXIBLE.value, Charging.PLANNED.value, Charging.NONE.value]),
    load_kw=np.array([9.0, 5.0, 4.0, 3.0]),
    load_min_kw=np.array([9.0, 3.0, 1.0, 0.0]),
    load_max_kw=np.array([9.0, 5.0, 4.0, 3.0]),
)


def taken(
    situation: TableSituation, dif_kw: float, price: Price, subsidy: Subsidy = ORDINARY
) -> list[tuple[Measure, float]]:
    """What is done about a deviation."""
    measures = TABLE[SURPLUS if dif_kw > 0 else DEFICIT, price, subsidy]
    return control(situation, dif_kw, measures).taken


@pytest.mark.parametrize(
    ("cell", "measures"),
    [
        # internal load comes before sale (section 1); price below its limit: less from storage, more into it (table 1)
        (
            (SURPLUS, LOW, ORDINARY),
            "load that the plan cuts is served; storage discharges less; storage charges more; the rest is sold",
        ),
        (
            (SURPLUS, LOW, RAISED),
            "load that the plan cuts is served; storage discharges less; storage charges more; the rest is sold",
        ),
        # surplus, price at or above its limit: the grid (rule 5, table 1: else branch)
        ((SURPLUS, HIGH, ORDINARY), "load that the plan cuts is served; the grid supplies less; the rest is sold"),
        ((SURPLUS, HIGH, RAISED), "load that the plan cuts is served; the grid supplies less; the rest is sold"),
        # deficit: grid or storage by price, then class 2, class 3, shiftable load (rule 6)
        (
            (DEFICIT, LOW, ORDINARY),
            "the grid supplies more; storage charges less; storage discharges more; flexible EVs charge less; "
            "flexible EVs discharge; EVs that follow the plan charge less; shiftable load is put off",
        ),
        (
            (DEFICIT, HIGH, ORDINARY),
            "storage charges less; storage discharges more; flexible EVs charge less; flexible EVs discharge; "
            "EVs that follow the plan charge less; shiftable load is put off; the grid supplies more",
        ),
        # a raised subsidy puts discharging behind (section 3.3)
        (
            (DEFICIT, LOW, RAISED),
            "the grid supplies more; storage charges less; storage discharges more; flexible EVs charge less; "
            "EVs that follow the plan charge less; shiftable load is put off; flexible EVs discharge",
        ),
        (
            (DEFICIT, HIGH, RAISED),
            "storage charges less; storage discharges more; flexible EVs charge less; EVs that follow the plan charge "
            "less; shiftable load is put off; flexible EVs discharge; the grid supplies more",
        ),
    ],
)
def test_the_table_says_what_the_paper_says(cell, measures):
    assert "; ".join(measure.value for measure in TABLE[cell]) == measures


def test_every_cell_is_there():
    assert set(TABLE) == {(d, p, s) for d in Deviation for p in Price for s in Subsidy}


def test_surplus_at_a_low_price_is_stored_and_what_does_not_fit_is_sold():
    assert taken(BEFORE, 6.0, LOW) == [(M.STORAGE_TAKES_MORE, 6.0)]
    assert taken(BEFORE, 16.0, LOW) == [(M.STORAGE_TAKES_MORE, 10.0), (M.SELL, 6.0)]
    discharging = replace(BEFORE, bess_kw=4.0)
    assert taken(discharging, 16.0, LOW) == [(M.STORAGE_GIVES_LESS, 4.0), (M.STORAGE_TAKES_MORE, 10.0), (M.SELL, 2.0)]


def test_surplus_at_a_high_price_replaces_purchase_then_is_sold():
    # 20 kW would be bought after a surplus of 8, 28 before it
    assert taken(BEFORE, 8.0, HIGH) == [(M.BUY_LESS, 8.0)]
    exporting = replace(BEFORE, grid_kw=-5.0)
    assert taken(exporting, 8.0, HIGH) == [(M.BUY_LESS, 3.0), (M.SELL, 5.0)]


def test_a_deficit_at_a_low_price_is_bought_up_to_the_limit():
    assert taken(BEFORE, -12.0, LOW) == [(M.BUY, 12.0)]
    near = replace(BEFORE, grid_kw=56.0)  # 44 kW before the deficit of 12
    assert taken(near, -12.0, LOW) == [(M.BUY, 6.0), (M.STORAGE_GIVES_MORE, 6.0)]


def test_a_deficit_at_a_high_price_goes_down_the_list():
    charging = replace(BEFORE, bess_kw=-3.0)
    assert taken(charging, -40.0, HIGH) == [
        (M.STORAGE_TAKES_LESS, 3.0),
        (M.STORAGE_GIVES_MORE, 10.0),
        (M.FLEXIBLE_WAIT, 6.0),
        (M.FLEXIBLE_GIVE, 5.0),
        (M.PLANNED_WAIT, 5.0),
        (M.SHIFTABLE_WAITS, 3.0),
        (M.BUY, 8.0),
    ]
    assert taken(charging, -27.0, HIGH, RAISED)[-2:] == [(M.PLANNED_WAIT, 5.0), (M.SHIFTABLE_WAITS, 3.0)]
    assert taken(charging, -29.0, HIGH, RAISED)[-1] == (M.FLEXIBLE_GIVE, 2.0)


def test_basic_control_stores_surplus_and_buys_a_deficit():
    assert control(BEFORE, 16.0, BASIC[SURPLUS]).taken == [(M.STORAGE_TAKES_MORE, 10.0), (M.SELL, 6.0)]
    assert control(BEFORE, -12.0, BASIC[DEFICIT]).taken == [(M.BUY, 12.0)]


def test_to_keep_the_limit_of_import_load_is_cut_then_urgent_evs_wait():
    tight = replace(BEFORE, grid_kw=85.0)
    action = control(tight, -10.0, TABLE[DEFICIT, LOW, ORDINARY])
    # moved: 10 by storage, 6 + 5 + 5 by EVs, 3 by shiftable load; cut: all general load, the band of the controllable
    assert action.taken[-3:] == [
        (M.GENERAL_CUT, pytest.approx(3.0)),
        (M.CONTROLLABLE_CUT, pytest.approx(2.0)),
        (M.URGENT_WAIT, pytest.approx(1.0)),
    ]
    assert action.load_kw.tolist() == [9.0, 3.0, 1.0, 0.0]
    assert action.grid_kw == pytest.approx(50.0)


@pytest.mark.parametrize("price", [LOW, HIGH])
def test_a_surplus_serves_what_the_plan_cuts_before_anything_is_stored_or_sold(price):
    cut = replace(BEFORE, load_kw=np.array([9.0, 3.5, 4.0, 1.0]))
    action = control(cut, 6.0, TABLE[SURPLUS, price, ORDINARY])
    assert action.taken[0] == (M.LOAD_SERVED, 3.5)
    assert action.load_kw.tolist() == [9.0, 5.0, 4.0, 3.0]
    # but no more than may be imported
    tight = control(replace(cut, import_kw=21.0), 6.0, TABLE[SURPLUS, price, ORDINARY])
    assert tight.taken[0] == (M.LOAD_SERVED, 1.0)
    assert tight.load_kw.tolist() == [9.0, 4.5, 4.0, 1.0]


def test_storing_a_surplus_does_not_push_the_import_above_its_limit():
    # 81 kW would be imported with the surplus stored, 80 are allowed
    tight = replace(BEFORE, grid_kw=60.0, import_kw=80.0, bess_kw=19.0, bess_min_kw=-2.0, bess_max_kw=19.0)
    action = control(tight, 21.0, TABLE[SURPLUS, LOW, ORDINARY])
    assert action.taken == [(M.STORAGE_GIVES_LESS, 19.0), (M.STORAGE_TAKES_MORE, 1.0), (M.SELL, 1.0)]
    assert action.grid_kw == 80.0


@st.composite
def situations(draw):
    n = draw(st.integers(0, 5))
    numbers = st.floats(0.0, 20.0)
    ev_class = np.array([draw(st.sampled_from([c.value for c in Charging])) for _ in range(n)], dtype=int)
    ev_kw = np.array([draw(numbers) for _ in range(n)]) * (ev_class > 0)
    rates = st.sampled_from([-5.0, 0.0])
    least = np.where(ev_class == Charging.MUST.value, ev_kw, np.array([draw(rates) for _ in range(n)]))
    low, high = -draw(numbers), draw(numbers)
    load_kw = np.array([draw(numbers) for _ in range(4)])
    return TableSituation(
        grid_kw=draw(st.floats(-60.0, 60.0)),
        import_kw=80.0,
        bess_kw=min(max(draw(st.floats(-20.0, 20.0)), low), high),
        bess_min_kw=low,
        bess_max_kw=high,
        ev_kw=ev_kw,
        ev_min_kw=least,
        ev_class=ev_class,
        load_kw=load_kw,
        load_min_kw=draw(st.floats(0.0, 1.0)) * load_kw,
        load_max_kw=load_kw + np.array([0.0, draw(numbers), 0.0, draw(numbers)]),
    )


@given(situation=situations(), dif_kw=st.floats(-60.0, 60.0), cell=st.sampled_from(sorted(TABLE, key=str)))
@settings(max_examples=examples(300))
def test_whatever_is_done_the_balance_closes_and_limits_hold(situation, dif_kw, cell):
    s = replace(situation, import_kw=max(situation.import_kw, situation.grid_kw + 1.0))
    action = control(s, dif_kw, TABLE[(SURPLUS if dif_kw >= 0 else DEFICIT, *cell[1:])])
    # what the hub uses changes exactly by what the exchange does
    used = (s.ev_kw.sum() - action.ev_kw.sum()) + (s.load_kw - action.load_kw).sum() + (action.bess_kw - s.bess_kw)
    assert s.grid_kw - action.grid_kw == pytest.approx(used, abs=1e-9)
    assert sum(kw for _, kw in action.taken) == pytest.approx(abs(dif_kw), abs=1e-6)
    assert s.bess_min_kw - 1e-9 <= action.bess_kw <= s.bess_max_kw + 1e-9
    assert (action.load_kw >= s.load_min_kw - 1e-9).all()
    assert (action.load_kw <= s.load_max_kw + 1e-9).all()
    # below the limit of import nothing is cut, only put off
    assert (np.delete(action.load_kw, 2) >= np.delete(s.load_kw, 2)).all()
    assert (action.ev_kw >= np.minimum(s.ev_min_kw, s.ev_kw) - 1e-9).all()
    assert (action.ev_kw <= s.ev_kw + 1e-9).all()
    must = s.ev_class == Charging.MUST.value
    assert action.ev_kw[must] == pytest.approx(s.ev_kw[must])


def test_storage_can_do_what_energy_and_rating_allow():
    # 100 kWh at 85 % of 90 %, 95 % efficient: 5 / 0.95 kWh of room in half an hour
    min_kw, max_kw = storage_limits(0.85, 100.0, (0.1, 0.9), 50.0, (0.95, 0.95), 1800.0)
    assert min_kw == pytest.approx(-10.0 / 0.95)
    assert max_kw == 50.0
    assert storage_limits(0.12, 100.0, (0.1, 0.9), 50.0, (0.95, 0.95), 1800.0)[1] == pytest.approx(4.0 * 0.95)


def test_an_ev_must_charge_when_only_one_decision_is_left_in_reserve():
    # 7 kWh at 7 kW take an hour; decisions every 15 min
    missing, most = np.full(3, 7.0), np.full(3, 7.0)
    left_s = np.array([5400.0, 5399.0, 7200.0])
    assert (min_charging_kw(missing, most, left_s, 900.0) > 0.0).tolist() == [False, True, False]
    assert min_charging_kw(np.array([7.0]), np.array([7.0]), np.array([3600.0]), 900.0)[0] > 7.0
    # 0.5 kWh in the last 5 min, not in the quarter of an hour that it does not stay
    assert min_charging_kw(np.array([0.5]), np.array([7.0]), np.array([300.0]), 900.0)[0] == pytest.approx(6.0)
