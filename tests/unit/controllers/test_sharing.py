"""What strategies that share do beside sharing: PV and the battery in an island, and the load behind a silent meter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from evhub.controllers import contract as base
from evhub.controllers.sharing.equal_share import EqualShare
from evhub.controllers.sharing.in_order import EarliestDeadlineFirst
from evhub.controllers.sharing.sharing_base import Sharing
from evhub.controllers.sharing.sharing_rules import self_consumption_kw, share_equally

from . import test_controllers as made

ISLANDED = 2


def decided(seen: base.Hub, cls: type[Sharing] = EqualShare, **parameters) -> base.Setpoints:
    own = cls.Parameters(**parameters)
    controller = cls({"depot": made.site(2)}, own, 60.0, np.random.default_rng(1))
    now = datetime(2024, 3, 1, 12, tzinfo=UTC)
    observation = base.Observation(0.0, now, {"depot": replace(seen, parameters=own)}, 3600.0)
    return controller.decide(observation).setpoints["depot"]


@pytest.mark.parametrize(
    ("p_cp_kw", "pv_limit_kw"),
    [
        (0.0, 5.0),  # nothing charges yet: only the load is sure
        (8.0, 13.0),  # what is measured, while the shares are more
        (90.0, 30.0),  # what is shared from now on, 25 kW, while more is still measured
    ],
)
def test_pv_in_an_island_stays_below_the_load_and_what_surely_charges(p_cp_kw, pv_limit_kw):
    """Else PV would flow back into the secondary source of 30 kW."""
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    answer = decided(made.hub(evs, bus=ISLANDED, p_load_kw=5.0, p_cp_kw=p_cp_kw))
    assert answer.connector_kw.sum() == pytest.approx(25.0)
    assert answer.pv_limit_kw == pytest.approx(pv_limit_kw)


def test_pv_in_an_island_rests_when_a_meter_is_silent():
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    for silent in ({"p_load_kw": np.nan}, {"p_cp_kw": np.nan}):
        assert decided(made.hub(evs, bus=ISLANDED, **silent)).pv_limit_kw == 0.0


def test_pv_in_an_island_that_feeds_back_is_not_limited_below_zero():
    nobody = made.connectors([0, 0], [0, 0], [0, 0])
    assert decided(made.hub(nobody, bus=ISLANDED, p_load_kw=-3.0)).pv_limit_kw == 0.0


def test_on_the_grid_pv_is_free_and_the_battery_takes_the_surplus_unless_it_is_to_rest():
    nobody = made.connectors([0, 0], [0, 0], [0, 0])
    sunny = made.hub(nobody, p_load_kw=5.0, p_pv_kw=12.0)
    assert (decided(sunny).pv_limit_kw, decided(sunny).bess_kw) == (np.inf, -7.0)
    assert decided(sunny, bess="idle").bess_kw == 0.0
    assert decided(replace(sunny, bus=ISLANDED)).bess_kw == 0.0


def test_pv_is_shared_only_when_it_is_counted():
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    tight = made.hub(evs, p_load_kw=40.0, p_pv_kw=12.0)
    assert decided(tight).connector_kw.sum() == pytest.approx(10.0)
    assert decided(tight, count_pv=True).connector_kw.sum() == pytest.approx(22.0)


@pytest.mark.parametrize(
    ("soc", "p_load_kw", "bess_kw"),
    [
        (0.8, 0.0, 0.0),
        (0.8, 9.5, 0.0),
        (0.8, 10.5, 0.5),
        (0.79, 0.0, -10.0),
        (0.2, 15.0, 0.0),
        (0.2, 10.5, 0.0),
        (0.2, 9.5, -0.5),
    ],
)
def test_a_battery_at_the_edge_of_its_window_moves_only_inwards(soc, p_load_kw, bess_kw):
    nobody = made.connectors([0, 0], [0, 0], [0, 0])
    assert decided(made.hub(nobody, p_load_kw=p_load_kw, p_pv_kw=10.0, soc=soc)).bess_kw == bess_kw


def test_a_hub_without_a_battery_asks_nothing_of_it():
    assert self_consumption_kw(made.site(1, bess_kw=0.0), made.hub(made.connectors([0], [0], [0]))) == 0.0


@pytest.mark.parametrize("cls", [EqualShare, EarliestDeadlineFirst])
def test_a_connector_out_of_order_gets_nothing_and_leaves_its_share_to_the_others(cls):
    evs = replace(made.connectors([1, 1], [20, 20], [22, 22]), faulted=np.array([True, False]))
    assert decided(made.hub(evs, p_load_kw=30.0), cls).connector_kw.tolist() == pytest.approx([0.0, 20.0])


def test_who_can_never_reach_the_least_power_does_not_push_out_who_can():
    shares = share_equally(7.0, np.array([3.0, 22.0]), np.array([4.16, 4.16]))
    assert shares.tolist() == [0.0, 7.0]


def test_an_ev_that_needs_less_than_the_least_power_is_counted_with_it():
    """0.01 kWh are 0.6 kW for a minute, but a connector offers 4.16 kW or nothing: of 5 kW too little is left."""
    evs = replace(made.connectors([1, 1], [0.01, 20], [22, 22]), departure_s=np.array([600.0, 3600.0]))
    answer = decided(made.hub(evs, p_load_kw=45.0), EarliestDeadlineFirst)
    assert answer.connector_kw.tolist() == pytest.approx([4.16, 0.0])
