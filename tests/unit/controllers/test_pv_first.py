"""The rule without optimisation: PV first, then the battery, then the grid."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.controllers.sharing.pv_first import PvFirst

from ...helpers.sizes import examples
from .test_controllers import connectors, hub, site


def decide(plant: base.Site, seen: base.Hub) -> base.Setpoints:
    rule = PvFirst({"depot": plant}, PvFirst.Parameters(), 60.0, np.random.default_rng(1))
    observation = base.Observation(0.0, datetime(2024, 3, 1, 12, tzinfo=UTC), {"depot": seen}, 3600.0)
    return rule.decide(observation).setpoints["depot"]


FREE = connectors([0, 0], [0, 0], [0, 0])
ONE = connectors([1, 0], [10, 0], [22, 0])


@pytest.mark.parametrize(
    ("pv_kw", "soc", "bess_kw"),
    [
        (15.0, 0.5, -15.0),  # surplus charges the battery ...
        (28.0, 0.5, -20.0),  # ... up to its rating, the rest is sold
        (15.0, 0.8, 0.0),  # a full battery leaves it to the grid
    ],
)
def test_surplus_charges_the_battery_and_is_sold_after_that(pv_kw, soc, bess_kw):
    answer = decide(site(2), hub(FREE, p_load_kw=0.0, p_pv_kw=pv_kw, soc=soc))
    assert answer.bess_kw == pytest.approx(bess_kw)
    assert answer.pv_limit_kw == np.inf


@pytest.mark.parametrize(
    ("pv_kw", "soc", "bess_kw"),
    [
        (30.0, 0.5, -8.0),  # PV feeds the EV and the rest charges
        (12.0, 0.5, 10.0),  # what is missing comes from the battery ...
        (0.0, 0.5, 20.0),  # ... up to its rating, then from the grid
        (12.0, 0.2, 0.0),  # an empty battery leaves it to the grid
    ],
)
def test_a_new_ev_is_fed_by_pv_then_by_the_battery_then_by_the_grid(pv_kw, soc, bess_kw):
    """The EV draws nothing yet: the battery must not wait until it does."""
    answer = decide(site(2), hub(ONE, p_load_kw=0.0, p_pv_kw=pv_kw, soc=soc))
    assert answer.connector_kw.tolist() == [22.0, 0.0]
    assert answer.bess_kw == pytest.approx(bess_kw)


def test_an_ev_that_takes_less_than_its_limit_is_counted_with_what_it_takes():
    tapering = base.Connectors(**{**_fields(ONE), "p_kw": np.array([5.0, 0.0])})
    assert decide(site(2), hub(tapering, p_load_kw=0.0, p_cp_kw=5.0)).bess_kw == pytest.approx(5.0)


def _fields(seen: base.Connectors) -> dict:
    return {name: getattr(seen, name) for name in seen.__dataclass_fields__}


@given(
    load_kw=st.floats(0.0, 60.0),
    pv_kw=st.floats(0.0, 30.0),
    soc=st.floats(0.2, 0.8),
    n=st.integers(1, 6),
)
@settings(max_examples=examples(100))
def test_evs_and_battery_together_keep_the_contract(load_kw, pv_kw, soc, n):
    plant = site(n)
    seen = hub(connectors([1] * n, [20] * n, [22] * n), p_load_kw=load_kw, p_pv_kw=pv_kw, soc=soc)
    answer = decide(plant, seen)
    assert load_kw + answer.connector_kw.sum() - pv_kw - answer.bess_kw <= max(50.0, load_kw - pv_kw) + 1e-6


def test_a_battery_that_is_nearly_empty_is_not_counted_on():
    """0.01 kWh are 0.6 kW for the minute until the next decision."""
    plant = site(3, bess_kwh=1.0, bess_soc_min=0.2)
    seen = hub(connectors([1, 1, 1], [20] * 3, [22] * 3), p_load_kw=0.0, soc=0.21)
    assert decide(plant, seen).connector_kw.sum() == pytest.approx(50.6)


def test_what_is_stored_comes_out_with_the_loss_of_discharging():
    """0.01 kWh at 50 % are 0.3 kW for a minute."""
    plant = site(3, bess_kwh=1.0, bess_soc_min=0.2, bess_eta_discharge=0.5)
    seen = hub(connectors([1, 1, 1], [20] * 3, [22] * 3), p_load_kw=0.0, soc=0.21)
    assert decide(plant, seen).connector_kw.sum() == pytest.approx(50.3)


def test_an_ev_that_is_held_back_is_counted_with_its_new_limit():
    """Contract 10 kW, PV 4 kW and 3 kW of the battery leave 17 kW for an EV that still takes 22 kW."""
    held = base.Connectors(**{**_fields(ONE), "p_kw": np.array([22.0, 0.0])})
    plant = site(2, contracted_kw=10.0, bess_kwh=1.0)
    answer = decide(plant, hub(held, p_load_kw=0.0, p_pv_kw=4.0, p_cp_kw=22.0, soc=0.25))
    assert answer.connector_kw.tolist() == pytest.approx([17.0, 0.0])
    assert answer.bess_kw == pytest.approx(13.0)


def test_off_the_grid_the_battery_rests_and_pv_stays_below_the_consumption():
    answer = decide(site(2), hub(ONE, bus=2, p_load_kw=5.0, p_pv_kw=20.0))
    assert answer.bess_kw == 0.0
    assert answer.pv_limit_kw == pytest.approx(5.0)
    dead = decide(site(2), hub(ONE, bus=0))
    assert not dead.connector_kw.any()
