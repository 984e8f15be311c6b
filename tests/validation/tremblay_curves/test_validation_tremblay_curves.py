"""Curves of Tremblay & Dessaint 2009; see README.md."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.simulators.battery import battery_model as battery
from evhub.simulators.battery import tremblay_cell as tremblay

FILE = Path(str(files("evhub.simulators") / "data" / "batteries" / "tremblay_liion_3p3v_2p3ah.yaml"))
SET = yaml.safe_load(FILE.read_text(encoding="utf-8"))
# the cut-off of the source's curve at 5C lies below that of the pack
CELL = battery.pack(
    SET | {"limits": SET["limits"] | {"v_min_v": 1.7}},
    n_series=1,
    n_parallel=1,
    p_charge_max_kw=1.0,
    p_discharge_max_kw=1.0,
)
POINTS = np.genfromtxt(Path(__file__).with_name("liion_3p3v_2p3ah_points.csv"), delimiter=",", names=True)
RATES = {"V_oc_i0": 0.0, "V_dis_1C": 1.0, "V_dis_5C": 5.0, "V_chg_05C": -0.5, "V_chg_1C": -1.0}


@pytest.mark.parametrize(("column", "rate"), RATES.items())
def test_equations_give_the_published_curve(column, rate):
    i_a = rate * 2.3
    voltage_v = tremblay.voltage_v(CELL, POINTS["it_Ah"], i_a, i_a)
    np.testing.assert_allclose(voltage_v, POINTS[column], rtol=0, atol=1e-6)


@pytest.mark.parametrize("column", ["V_dis_1C", "V_dis_5C", "V_chg_05C", "V_chg_1C"])
def test_cell_in_motion_follows_the_curve(column):
    """A constant current, as pieces of constant power over 0.2 % SoC each, from full or from 5 %."""
    i_a = RATES[column] * 2.3
    state, it_ah, voltage_v = battery.initial(CELL, 1.0 if i_a > 0 else 0.05), [], []
    for _ in range(450):
        now_v = tremblay.voltage_v(CELL, (1 - state.soc) * 2.3, i_a, state.i_filtered_a)
        it_ah.append((1 - state.soc[0]) * 2.3)
        voltage_v.append(now_v[0])
        state = battery.advance(CELL, state, now_v * i_a / 1000, 0.002 * 3600 / abs(RATES[column]))
    order = np.argsort(it_ah)
    at = POINTS[(POINTS["SoC"] <= 0.8) & (POINTS["SoC"] >= 0.2)]
    along_v = np.interp(at["it_Ah"], np.array(it_ah)[order], np.array(voltage_v)[order])
    np.testing.assert_allclose(along_v, at[column], rtol=0, atol=2e-3)


def test_charging_voltage_has_no_pole_at_soc_0_9():
    it_ah = np.linspace(0.15, 0.05, 1001) * 2.3
    voltage_v = tremblay.voltage_v(CELL, it_ah, -2.3, -2.3)
    assert np.isfinite(voltage_v).all()
    assert (np.diff(voltage_v) > 0).all()
    assert voltage_v.max() < 3.6
