"""Formulas of the connectors: what is taken under the limits, until the energy asked for is there, on which phase."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators.charge_point import charge_point_model as model
from evhub.simulators.water_filling import within_cabinets

powers = st.floats(0.1, 50.0)


def connectors(**changes) -> model.ConnectorParameters:
    return model.connectors(**{"count": 4, "rated_kw": 22.0, "ac": False, "phases": 3, "nominal_v": 400.0} | changes)


def request_kw(parameters, limit_kw, accepted_kw, v2g, powered):
    return model.request_kw(parameters, limit_kw, *model.bounds_kw(parameters, accepted_kw, v2g, powered))


def test_discharging_needs_a_connector_an_owner_and_an_ev_that_can():
    limit_kw, accepted_kw = np.array([-30.0, -5.0, -5.0, -5.0]), np.full(4, 11.0)
    v2g, powered = np.array([True, True, False, True]), np.array([True, True, True, False])
    both = connectors(v2g=True)
    assert request_kw(both, limit_kw, accepted_kw, v2g, powered).tolist() == [-11.0, -5.0, 0.0, 0.0]
    assert not request_kw(connectors(v2g=False), limit_kw, accepted_kw, v2g, powered).any()
    assert request_kw(both, -limit_kw, accepted_kw, v2g, powered).tolist() == [11.0, 5.0, 5.0, 0.0]


@given(kw=powers, left_kwh=st.floats(1e-6, 100.0), hold_s=st.integers(1, 10_000), step_s=st.sampled_from([1.0, 60.0]))
def test_a_session_gets_what_it_asked_for_and_not_more(kw, left_kwh, hold_s, step_s):
    p_kw, given_s = model.until_energy(np.array([kw]), np.array([hold_s * step_s]), np.array([left_kwh]), step_s)
    assert 0.0 < p_kw[0] <= kw
    assert given_s[0] <= hold_s * step_s
    assert given_s[0] / step_s == round(given_s[0] / step_s) >= 1
    assert p_kw[0] * given_s[0] / 3600.0 <= left_kwh * (1.0 + 1e-8)
    if given_s[0] < hold_s * step_s and p_kw[0] == kw:
        assert left_kwh - kw * given_s[0] / 3600.0 < kw * step_s / 3600.0  # less than a step is missing
    if p_kw[0] < kw:
        assert p_kw[0] * step_s / 3600.0 == pytest.approx(left_kwh)


def test_who_rests_or_discharges_keeps_its_power_and_who_has_got_all_stops():
    p_kw, hold_s = model.until_energy(np.array([0.0, -5.0, 7.0]), np.array([inf, 30.0, 40.0]), np.zeros(3), 1.0)
    assert p_kw.tolist() == [0.0, -5.0, 0.0]
    assert hold_s.tolist() == [inf, 30.0, inf]


@given(p_kw=st.lists(st.floats(-20.0, 20.0), min_size=6, max_size=6), phase=st.lists(st.integers(-1, 2), min_size=6))
def test_power_on_the_phases_is_all_the_power_where_it_is_drawn(p_kw, phase):
    p_kw, phase = np.array(p_kw), np.array(phase[:6])
    none = np.zeros(6, dtype=int)
    one = model.ConnectorParameters(np.full(6, 22.0), np.zeros(6), phase, none.astype(bool), none)
    expected = [p_kw[phase == k].sum() + p_kw[phase < 0].sum() / 3.0 for k in range(3)]
    assert model.phase_kw(one, p_kw) == pytest.approx(expected, abs=1e-12)


@st.composite
def groups(draw) -> list[model.ConnectorParameters]:
    """Some groups of connectors of different kinds, a few of them with a cabinet."""
    return [
        model.connectors(
            draw(st.integers(1, 4)),
            draw(st.sampled_from([7.36, 22.0, 150.0])),
            ac=draw(st.booleans()),
            phases=draw(st.sampled_from([1, 3])),
            nominal_v=400.0,
            v2g=draw(st.booleans()),
            cabinet_kw=draw(st.sampled_from([inf, 5.0, 40.0, 200.0])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


@given(kinds=groups(), seed=st.integers(0, 2**32 - 1))
def test_the_connectors_of_a_hub_do_what_each_group_does_by_itself(kinds, seed):
    together, rng = model.joined(kinds), np.random.default_rng(seed)
    n = together.rated_kw.size
    ends = np.cumsum([group.rated_kw.size for group in kinds])[:-1]
    limit_kw, accepted_kw = rng.uniform(-200.0, 200.0, n), rng.uniform(1.0, 200.0, n)
    q_kvar, v2g, powered = rng.uniform(-20.0, 20.0, n), rng.random(n) < 0.5, rng.random(n) < 0.8
    wanted_kw = request_kw(together, limit_kw, accepted_kw, v2g, powered)
    shared_kw = within_cabinets(together.cabinets, wanted_kw, together.minimum_kw)
    fed_kvar = model.reactive_kvar(together, shared_kw, q_kvar, powered & v2g)
    on_phase_kw = np.zeros(3)
    parts = zip(*(np.split(array, ends) for array in (limit_kw, accepted_kw, q_kvar, v2g, powered)), strict=True)
    for group, (own_limit_kw, own_accepted_kw, own_q_kvar, own_v2g, own_powered), asked_kw, got_kw, got_kvar in zip(
        kinds,
        parts,
        np.split(wanted_kw, ends),
        np.split(shared_kw, ends),
        np.split(fed_kvar, ends),
        strict=True,
    ):
        alone_kw = request_kw(group, own_limit_kw, own_accepted_kw, own_v2g, own_powered)
        assert asked_kw.tolist() == alone_kw.tolist()
        assert got_kw.tolist() == within_cabinets(group.cabinets, alone_kw, group.minimum_kw).tolist()
        assert got_kvar.tolist() == model.reactive_kvar(group, got_kw, own_q_kvar, own_powered & own_v2g).tolist()
        on_phase_kw += model.phase_kw(group, got_kw)
    assert model.phase_kw(together, shared_kw) == pytest.approx(on_phase_kw, abs=1e-9)


@given(kinds=groups(), seed=st.integers(0, 2**32 - 1))
def test_a_cabinet_gives_all_it_has_and_not_more_and_nobody_gets_more_than_asked_or_less_than_its_least(kinds, seed):
    one, rng = model.joined(kinds), np.random.default_rng(seed)
    free_kw = rng.uniform(-1.0, 1.0, one.rated_kw.size) * one.rated_kw
    p_kw = within_cabinets(one.cabinets, free_kw, one.minimum_kw)
    assert (np.abs(p_kw) <= np.abs(free_kw)).all() and (p_kw * free_kw >= 0.0).all()
    charging = p_kw > 0.0
    assert (p_kw[charging] >= np.minimum(one.minimum_kw, free_kw)[charging] - 1e-9).all()
    alone = np.ones(p_kw.size, dtype=bool)
    for cabinet in one.cabinets:
        alone[cabinet.members] = False
        used_kw, wanted_kw = np.abs(p_kw[cabinet.members]).sum(), np.abs(free_kw[cabinet.members]).sum()
        assert used_kw <= cabinet.limit_kw + 1e-9
        if not one.minimum_kw[cabinet.members].any():
            assert used_kw == pytest.approx(min(wanted_kw, cabinet.limit_kw))
    assert p_kw[alone].tolist() == free_kw[alone].tolist()


def test_single_phase_connectors_take_turns_within_their_group():
    of_two = [connectors(count=n, ac=True, phases=1, v2g=False) for n in (2, 4)]
    dc = connectors(count=1, v2g=False)
    assert model.joined([of_two[0], dc, of_two[1]]).phase.tolist() == [0, 1, -1, 0, 1, 2, 0]


def test_no_connector_gives_more_than_its_cabinet():
    one = connectors(count=2, rated_kw=150.0, v2g=False, cabinet_kw=100.0)
    assert one.rated_kw.tolist() == [100.0, 100.0]
