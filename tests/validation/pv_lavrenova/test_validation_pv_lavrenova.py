"""PV power of Lavrenova & Denysiuk 2023, eq. (1)-(2); see README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evhub.simulators.pv import pv_model as pv

PLANT = pv.PvParameters(rated_kw=86 * 0.550, inverter_kva=30, gamma_per_k=-0.0029, noct_c=41.5)
POINTS = np.genfromtxt(Path(__file__).with_name("points.csv"), delimiter=",", names=True)
WEATHER = POINTS["irradiance_w_m2"][:, None], POINTS["t_ambient_c"][:, None]


def test_cell_temperature_is_equation_2():
    np.testing.assert_allclose(pv.cell_temperature_c(PLANT, *WEATHER)[:, 0], POINTS["t_cell_c"], rtol=1e-9)


def test_module_power_is_equation_1():
    np.testing.assert_allclose(pv.dc_kw(PLANT, *WEATHER)[:, 0], POINTS["dc_kw"], rtol=1e-9)


def test_power_is_capped_at_30_kw():
    np.testing.assert_allclose(pv.available_kw(PLANT, *WEATHER)[:, 0], POINTS["ac_kw"], rtol=1e-9)
    assert pv.available_kw(PLANT, *WEATHER).max() == 30
