"""What every controller must hold to, on hand-made observations; and the rules they share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.controllers.circuits import Circuits
from evhub.controllers.sharing.sharing_rules import self_consumption_kw, share_equally
from evhub.scenarios.engines.device_commands import ControllerError, check
from evhub.scenarios.forecasts.forecast_providers import NO_LOAD, NO_PV
from evhub.scenarios.schema.controller_registry import controllers
from evhub.simulators.tariffs.tariff_model import Tariffs

from ...helpers.foreseen import Perfect, Reality
from ...helpers.sizes import examples

FREE = Tariffs.of({}, 3600.0)
powers = st.floats(0.0, 100.0)


def site(n: int, **changes) -> base.Site:
    plates = {
        "contracted_kw": 50.0,
        "installed_kw": 60.0,
        "nominal_v": 400.0,
        "secondary_kw": 30.0,
        "secondary_reverse_kw": 3.0,
        "secondary_reverse_s": 5.0,
        "demand_per_kw": 0.0,
        "pv_kw": 20.0,
        "bess_kw": 20.0,
        "dg_kw": 30.0,
        "dg_minimum_kw": 0.0,
        "dg_fuel_capacity_l": 200.0,
        "bess_kwh": 40.0,
        "bess_soc_min": 0.2,
        "bess_soc_max": 0.8,
        "bess_eta_charge": 1.0,
        "bess_eta_discharge": 1.0,
        "connector_kw": np.full(n, 22.0),
        "connector_minimum_kw": np.full(n, 4.16),
        "connector_phases": np.full(n, 3),
        "circuits": Circuits.none(n),
    }
    return base.Site(**{**plates, **changes})


def connectors(occupied, remaining, p_max) -> base.Connectors:
    occupied, remaining, p_max = np.array(occupied, bool), np.array(remaining, float), np.array(p_max, float)
    n = occupied.size
    return base.Connectors(
        occupied=occupied,
        faulted=np.zeros(n, bool),
        session_id=tuple(f"s{i}" if busy else None for i, busy in enumerate(occupied)),
        p_kw=np.zeros(n),
        energy_kwh=np.zeros(n),
        requested_kwh=np.where(occupied, remaining, 0.0),
        p_max_kw=np.where(occupied, p_max, 0.0),
        soc=np.full(n, np.nan),
        plugged_s=np.where(occupied, 0.0, np.nan),
        departure_s=np.where(occupied, 3600.0, np.nan),
        v2g=np.zeros(n, bool),
    )


def hub(seen: base.Connectors, **changes) -> base.Hub:
    values = {
        "bus": 1,
        "p_grid_kw": 5.0,
        "p_secondary_kw": 0.0,
        "p_load_kw": 5.0,
        "i_grid_a": np.zeros(3),
        "p_pv_kw": 0.0,
        "p_bess_kw": 0.0,
        "p_dg_kw": 0.0,
        "p_cp_kw": 0.0,
        "soc": 0.5,
        "fuel_l": 100.0,
        "v_pu": 1.0,
        "age_s": {},
        "connectors": seen,
        "prices": base.Prices(0.3, 0.1, 0.5, 0.02, 0.5),
        "failed": frozenset(),
        "parameters": base.Parameters(),
        "forecast": Perfect(Reality(NO_PV, NO_LOAD, FREE, ()), 0.0),
    }
    return base.Hub(**{**values, **changes})


@st.composite
def situations(draw):
    n = draw(st.integers(1, 8))
    seen = connectors(
        draw(st.lists(st.booleans(), min_size=n, max_size=n)),
        draw(st.lists(powers, min_size=n, max_size=n)),
        draw(st.lists(st.floats(1.0, 50.0), min_size=n, max_size=n)),
    )
    meter = st.one_of(st.floats(-30.0, 80.0), st.just(float("nan")))
    return site(n), hub(
        seen,
        bus=draw(st.sampled_from([0, 1, 2])),
        p_grid_kw=draw(meter),
        p_load_kw=draw(st.one_of(st.floats(0.0, 80.0), st.just(float("nan")))),
        p_pv_kw=draw(st.floats(0.0, 20.0)),
        p_cp_kw=draw(powers),
        soc=draw(st.floats(0.2, 0.8)),
    )


def decide(name: str, plant: base.Site, seen: base.Hub) -> base.Setpoints:
    cls = controllers()[name].load()
    controller = cls({"depot": plant}, cls.Parameters(), 60.0, np.random.default_rng(1))
    seen = replace(seen, parameters=cls.Parameters())
    observation = base.Observation(0.0, datetime(2024, 3, 1, 12, tzinfo=UTC), {"depot": seen}, 3600.0)
    return controller.decide(observation).setpoints["depot"]


@pytest.mark.parametrize("name", sorted(controllers()))
@given(situation=situations())
@settings(max_examples=examples(50))
def test_every_controller_answers_with_set_points_whatever_it_sees(name, situation):
    plant, seen = situation
    answer = decide(name, plant, seen)
    check(answer, plant)
    again = decide(name, plant, seen)
    assert np.array_equal(answer.connector_kw, again.connector_kw)
    assert (answer.bess_kw, answer.dg_kw, answer.pv_limit_kw) == (again.bess_kw, again.dg_kw, again.pv_limit_kw)


@given(situation=situations())
@settings(max_examples=examples(100))
def test_equal_share_stays_within_the_contract_or_the_secondary_source(situation):
    plant, seen = situation
    limit_kw = plant.secondary_kw if seen.islanded else plant.contracted_kw
    shares = decide("equal_share", plant, seen).connector_kw
    if np.isnan(seen.p_load_kw):
        assert not shares.any()
    else:
        # a limit may be above what the EV accepts, because a connector cannot offer less than 6 A
        taken = np.minimum(shares, seen.connectors.p_max_kw)
        assert taken.sum() <= max(0.0, limit_kw - seen.p_load_kw) + 1e-9
    paused_or_possible = (shares == 0.0) | (shares >= plant.connector_minimum_kw - 1e-9)
    assert paused_or_possible.all()


def test_uncontrolled_gives_everyone_the_rating():
    plant = site(3)
    answer = decide("uncontrolled", plant, hub(connectors([1, 0, 1], [10, 0, 10], [11, 0, 22])))
    assert answer.connector_kw.tolist() == [22.0, 22.0, 22.0]


@given(
    available=powers,
    most=st.lists(powers, min_size=1, max_size=10),
)
def test_equal_shares_use_up_what_there_is_and_differ_only_where_one_can_take_no_more(available, most):
    most = np.array(most)
    shares = share_equally(available, most, np.zeros_like(most))
    assert shares.sum() == pytest.approx(min(available, most.sum()), abs=1e-9)
    assert (shares <= most + 1e-12).all()
    unsatisfied = shares[shares < most - 1e-9]
    if unsatisfied.size:
        assert unsatisfied.max() - unsatisfied.min() <= 1e-9
        assert shares.max() <= unsatisfied.max() + 1e-9


def test_below_the_minimum_the_last_ones_pause_so_that_the_others_can_run():
    shares = share_equally(10.0, np.full(4, 22.0), np.full(4, 4.16))
    assert shares.tolist() == [5.0, 5.0, 0.0, 0.0]


def test_a_power_below_every_minimum_pauses_all():
    assert not share_equally(4.0, np.full(3, 22.0), np.full(3, 4.16)).any()


@pytest.mark.parametrize(
    ("soc", "pv_kw", "expected"),
    [(0.5, 15.0, -10.0), (0.5, 0.0, 5.0), (0.8, 15.0, 0.0), (0.2, 0.0, 0.0), (0.5, 40.0, -20.0)],
)
def test_self_consumption_takes_surplus_and_gives_deficit_within_window_and_rating(soc, pv_kw, expected):
    seen = hub(connectors([0], [0], [0]), soc=soc, p_pv_kw=pv_kw)
    assert self_consumption_kw(site(1), seen) == pytest.approx(expected)


def test_self_consumption_rests_without_a_load_meter():
    assert self_consumption_kw(site(1), hub(connectors([0], [0], [0]), p_load_kw=float("nan"))) == 0.0


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (base.Setpoints(np.zeros(2)), r"connector_kw must have the shape \(3,\), got \(2,\)"),
        (base.Setpoints(np.array([1.0, np.nan, 1.0])), "connector_kw must be a number"),
        (base.Setpoints(np.zeros(3), bess_kw=float("nan")), "bess_kw must be a number, got nan"),
        (base.Setpoints(np.zeros(3), load_limit_kw=(1.0, 2.0)), "load_limit_kw must have 4 elements"),  # type: ignore
        (base.Setpoints(np.zeros(3), connector_q_kvar=np.zeros(1)), "connector_q_kvar must have the shape"),
    ],
)
def test_what_is_not_a_set_point_is_refused_by_name(answer, match):
    with pytest.raises(ControllerError, match=match):
        check(answer, site(3))


def test_contract_objects_refuse_misspelt_fields():
    with pytest.raises(TypeError, match="bess_kW"):
        base.Setpoints(np.zeros(1), bess_kW=3.0)  # type: ignore[call-arg]
    observation = base.Observation(0.0, datetime.now(UTC), {}, 3600.0)
    with pytest.raises(AttributeError):
        observation.t_s = 1.0  # type: ignore[misc]
