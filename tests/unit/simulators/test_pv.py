"""PV plants: limits of the power, of the inverter, and of the controller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.simulators.pv import pv_model as pv
from evhub.simulators.series import Series

PLANT = pv.PvParameters(rated_kw=20)
THREE = pv.PvParameters(
    rated_kw=np.array([20.0, 47.3, 153.0]),
    inverter_kva=np.array([20.0, 30.0, 160.0]),
    gamma_per_k=np.array([-0.0029, -0.0029, -0.004]),
    noct_c=np.array([41.5, 41.5, 45.0]),
    pvwatts=np.array([False, False, True]),
)
irradiances = st.floats(-5, 1400).map(lambda w_m2: round(w_m2, 3))
temperatures = st.floats(-40, 50)


def test_standard_test_conditions_give_the_rated_power():
    ambient_c = 25 - 1000 * (41.5 - 20) / 800
    assert pv.available_kw(PLANT, 1000.0, ambient_c) == pytest.approx(20)


def test_cold_bright_days_give_no_more_than_the_inverter():
    assert pv.dc_kw(PLANT, 1200.0, -20.0)[0] > 20
    assert pv.available_kw(PLANT, 1200.0, -20.0)[0] == 20


@pytest.mark.parametrize("irradiance", [0.0, -3.0])
def test_darkness_gives_nothing(irradiance):
    np.testing.assert_array_equal(pv.available_kw(THREE, irradiance, 20.0), [0, 0, 0])


@given(irradiances, temperatures)
def test_available_power_stays_within_the_ratings(irradiance, ambient):
    p_kw = pv.available_kw(THREE, irradiance, ambient)
    assert (p_kw >= 0).all()
    assert (p_kw <= THREE.inverter_kva).all()


@given(irradiances, temperatures, temperatures)
def test_heat_never_raises_the_power(irradiance, cool, warm):
    cool, warm = sorted((cool, warm))
    assert (pv.available_kw(THREE, irradiance, warm) <= pv.available_kw(THREE, irradiance, cool) + 1e-9).all()


def test_pvwatts_inverter_has_its_nominal_efficiency_at_rating():
    """At its rated DC input the curve of PVWatts gives 96 %, at a tenth of it 92.17 % (Dobos 2014)."""
    dc_limit_kw = 20 / 0.96
    plant = pv.PvParameters(rated_kw=dc_limit_kw, inverter_kva=20, gamma_per_k=0.0, pvwatts=True)
    full, tenth = pv.available_kw(plant, np.array([[1000.0], [100.0]]), 25.0)[:, 0]
    assert full == pytest.approx(20)
    assert tenth / (dc_limit_kw / 10) == pytest.approx(0.96 / 0.9637 * (0.9858 - 0.00162 - 0.059))


def test_plants_together_are_the_plants_one_by_one():
    irradiance, ambient = np.linspace(0, 1200, 25)[:, None], np.linspace(35, -5, 25)[:, None]
    together = pv.available_kw(THREE, irradiance, ambient)
    for i in range(3):
        one = pv.PvParameters(
            THREE.rated_kw[i], THREE.inverter_kva[i], THREE.gamma_per_k[i], THREE.noct_c[i], THREE.pvwatts[i]
        )
        np.testing.assert_array_equal(together[:, i], pv.available_kw(one, irradiance, ambient)[:, 0])


def test_available_series_changes_with_irradiance_and_with_temperature():
    irradiance = Series.from_points([(0, 900), (600, 300)], end_s=1200)
    ambient = Series.from_points([(0, 20), (300, 30)], end_s=1200)
    series = pv.available_series(THREE, irradiance, ambient, until_s=1200)
    np.testing.assert_array_equal(series.t_s, [0, 300, 600])
    np.testing.assert_array_equal(series.at(400), pv.available_kw(THREE, 900.0, 30.0))


def test_available_series_of_a_column_for_each_plant():
    irradiance = Series(np.array([0.0, 600]), np.array([[900.0, 800, 700], [100, 200, 300]]), 1200)
    series = pv.available_series(THREE, irradiance, Series.constant(25), until_s=1200)
    np.testing.assert_array_equal(series.at(700), pv.available_kw(THREE, np.array([100.0, 200, 300]), 25.0))


def step(p_limit_kw, q_set_kvar, energised=True, available_kw=15.0):
    p_kw, q_kvar = pv.step(
        PLANT, np.array([available_kw]), np.array([p_limit_kw]), np.array([q_set_kvar]), np.array([energised])
    )
    return p_kw[0], q_kvar[0]


@pytest.mark.parametrize(("limit", "expected"), [(np.inf, 15), (20, 15), (4, 4), (0, 0), (-2, 0)])
def test_a_limit_saturates_the_power(limit, expected):
    assert step(limit, 0.0) == (expected, 0)


def test_active_power_goes_before_reactive():
    p_kw, q_kvar = step(np.inf, 100.0, available_kw=16.0)
    assert p_kw == 16
    assert q_kvar == pytest.approx(12)  # 3-4-5 triangle at 20 kVA


def test_reactive_power_can_be_absorbed():
    assert step(np.inf, -100.0, available_kw=16.0)[1] == pytest.approx(-12)


def test_a_dead_bus_takes_nothing():
    assert step(np.inf, 5.0, energised=False) == (0, 0)


def test_step_of_plants_together_is_the_step_one_by_one():
    available, limit = np.array([10.0, 30.0, 100.0]), np.array([np.inf, 12.0, 150.0])
    q_set, energised = np.array([3.0, 50.0, -200.0]), np.array([True, True, False])
    together = pv.step(THREE, available, limit, q_set, energised)
    for i in range(3):
        one = pv.PvParameters(THREE.rated_kw[i], THREE.inverter_kva[i])
        alone = pv.step(one, available[[i]], limit[[i]], q_set[[i]], energised[[i]])
        np.testing.assert_array_equal([part[i] for part in together], [part[0] for part in alone])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"rated_kw": 0}, "rated_kw must be > 0, got 0"),
        ({"rated_kw": np.array([5.0, -1])}, r"rated_kw must be > 0, got -1\.0"),
        ({"rated_kw": 5, "inverter_kva": np.nan}, "inverter_kva must be > 0, got nan"),
        ({"rated_kw": 5, "gamma_per_k": 0.29}, r"gamma_per_k must be <= 0, got 0\.29"),
        ({"rated_kw": 5, "noct_c": 4}, "noct_c must be >= 20, got 4"),
    ],
)
def test_parameters_out_of_range_are_refused(given, match):
    with pytest.raises(ValueError, match=match):
        pv.PvParameters(**given)
