"""Formulas of the connectors: what is taken under the limits, until the energy asked for is there, on which phase."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators.charge_point import charge_point_model as model

powers = st.floats(0.1, 50.0)


def connectors(**changes) -> model.ConnectorParameters:
    return model.connectors(**{"count": 4, "rated_kw": 22.0, "ac": False, "phases": 3, "nominal_v": 400.0} | changes)


def test_discharging_needs_a_connector_an_owner_and_an_ev_that_can():
    limit_kw, accepted_kw = np.array([-30.0, -5.0, -5.0, -5.0]), np.full(4, 11.0)
    v2g, powered = np.array([True, True, False, True]), np.array([True, True, True, False])
    both = connectors(v2g=True)
    assert model.request_kw(both, limit_kw, accepted_kw, v2g, powered).tolist() == [-11.0, -5.0, 0.0, 0.0]
    assert not model.request_kw(connectors(v2g=False), limit_kw, accepted_kw, v2g, powered).any()
    assert model.request_kw(both, -limit_kw, accepted_kw, v2g, powered).tolist() == [11.0, 5.0, 5.0, 0.0]


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
