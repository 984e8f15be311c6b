"""The measured Leaf cell; see README.md."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import leaf_fit
import numpy as np
import pytest
import yaml

from evhub.simulators.battery import battery_model as battery
from evhub.simulators.battery import tremblay_cell as tremblay
from evhub.simulators.battery.battery_model import ChargingPhase

FILE = Path(str(files("evhub.simulators") / "data" / "batteries" / "nissan_leaf_2013.yaml"))
SET = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CELL = tremblay.Cell(**{name: SET["cell"][name] for name in ("e0_v", "r_ohm", "k_v_per_ah", "a_v", "b_per_ah", "q_ah")})
CHARGE_S, CHARGE_AH, CV_FROM_S, CV_SHARE, LAST_A = 11_845, 30.184, 10_560, 0.971, 0.5


def rms_mv(error_v):
    return 1000 * np.sqrt(np.mean(error_v**2))


@pytest.mark.parametrize("name", leaf_fit.DISCHARGES)
def test_discharge_is_fitted_to_25_mv_and_5_per_cent(name):
    error_v = leaf_fit.voltage_error(CELL, name)
    assert rms_mv(error_v) <= 25.0
    assert (np.abs(error_v) / leaf_fit.read(name)["V"]).max() <= 0.05


def test_discharges_above_10_per_cent_are_fitted_to_20_mv_and_2_2_per_cent():
    """The range for which Tremblay & Dessaint 2009 claim 5 %."""
    rows = [leaf_fit.read(name) for name in leaf_fit.DISCHARGES]
    valid = np.concatenate([-each["Ah"] <= 0.9 * CELL.q_ah for each in rows])
    error_v = np.concatenate([leaf_fit.voltage_error(CELL, name) for name in leaf_fit.DISCHARGES])[valid]
    assert rms_mv(error_v) <= 20.0
    assert (np.abs(error_v) / np.concatenate([each["V"] for each in rows])[valid]).max() <= 0.022


def test_rest_voltage_is_fitted_above_15_per_cent():
    assert rms_mv(leaf_fit.rest_error(CELL)[:-1]) <= 25.0


def test_charging_voltage_is_fitted_after_the_first_quarter_of_an_hour():
    late = leaf_fit.read(leaf_fit.CHARGE)["t_s"] > leaf_fit.CHARGE_FROM_S
    assert rms_mv(leaf_fit.voltage_error(CELL, leaf_fit.CHARGE)[late]) <= 40.0


def test_shipped_parameters_are_those_of_the_fit():
    assert vars(CELL) == pytest.approx(vars(leaf_fit.fit()), rel=1e-4)


def test_parameters_describe_a_possible_cell():
    """Full below the charge voltage, more capacity than was ever taken out, a falling voltage at rest."""
    it_ah = np.linspace(0.0, 0.98, 99) * CELL.q_ah
    rest_v = tremblay.open_circuit_v(CELL, it_ah)
    assert rest_v[0] < 4.2
    assert 30.335 < CELL.q_ah < 33.1
    assert (np.diff(rest_v) < 0).all()


@pytest.fixture(scope="module")
def charge():
    """Time, power, phase, moved charge [Ah] and current [A] at the start of each piece, and at the end."""
    limits = SET["limits"] | {"i_charge_max_a": 10.0}
    cell = battery.pack(SET | {"limits": limits}, n_series=1, n_parallel=1, p_charge_max_kw=1.0)
    state, t_s, rows = battery.initial(cell, 1 - CHARGE_AH / CELL.q_ah), 0.0, []
    while True:
        held = battery.hold(cell, state, np.array([-1.0]), 1.0)
        moved_ah = CHARGE_AH - (1 - state.soc[0]) * CELL.q_ah
        rows.append((t_s, held.p_kw[0], held.phase[0], moved_ah, -battery.current_a(cell, state, held.p_kw)[0]))
        if held.phase[0] == ChargingPhase.DONE:
            return np.array(rows)
        state = battery.advance(cell, state, held.p_kw, held.hold_s[0])
        t_s += held.hold_s[0]


def constant_voltage(charge):
    return charge[charge[:, 2] == ChargingPhase.VOLTAGE]


def test_charge_takes_the_measured_time_and_charge(charge):
    assert charge[-1, 0] == pytest.approx(CHARGE_S, rel=0.05)
    assert charge[-1, 3] == pytest.approx(CHARGE_AH, rel=1e-3)


def test_constant_voltage_begins_when_and_where_measured(charge):
    start_s, moved_ah = constant_voltage(charge)[0, [0, 3]]
    assert start_s == pytest.approx(CV_FROM_S, rel=0.05)
    assert moved_ah / CHARGE_AH == pytest.approx(CV_SHARE, rel=0.05)


def test_current_is_10_a_until_constant_voltage(charge):
    before = charge[charge[:, 2] == ChargingPhase.CURRENT]
    assert before[:, 4] == pytest.approx(10.0, rel=0.03)


@pytest.mark.xfail(strict=True, reason="the fitted cell is full at 2.4 A, before its current has fallen to 0.5 A")
def test_charge_ends_at_the_measured_current(charge):
    assert constant_voltage(charge)[-1, 4] == pytest.approx(LAST_A, rel=0.5)


@pytest.mark.xfail(strict=True, reason="1,021 s of constant voltage instead of 1,285 s, 20.5 % less")
def test_constant_voltage_lasts_as_long_as_measured(charge):
    assert charge[-1, 0] - constant_voltage(charge)[0, 0] == pytest.approx(CHARGE_S - CV_FROM_S, rel=0.1)
