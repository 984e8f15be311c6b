"""The four voltages of SAM's cell; see README.md."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.simulators.battery import battery_model as battery
from evhub.simulators.battery import tremblay_cell as tremblay
from tests.helpers.cell_forms import from_2007

FILE = Path(str(files("evhub.simulators") / "data" / "batteries" / "sam_liion_3p4v_2p25ah.yaml"))
SET = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CASE = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))


def test_shipped_cell_is_the_published_one_in_the_other_form():
    form = CASE["form_2007"]
    published = tremblay.Cell(form["e0_v"], form["r_ohm"], form["k_v"], form["a_v"], form["b_per_ah"], form["q_ah"])
    cell = from_2007(published)
    assert {name: SET["cell"][name] for name in vars(cell)} == pytest.approx(vars(cell), rel=1e-9)


def test_voltages_by_the_equations():
    cell = tremblay.Cell(
        **{name: SET["cell"][name] for name in ("e0_v", "r_ohm", "k_v_per_ah", "a_v", "b_per_ah", "q_ah")}
    )
    i_a = np.array(CASE["hours_at_a"]) / CASE["n_parallel"]
    it_ah = 0.5 * cell.q_ah + np.cumsum(i_a)
    voltage_v = tremblay.voltage_v(cell, it_ah, i_a, 0.0)
    np.testing.assert_allclose(voltage_v, CASE["cell_voltage_v"], rtol=0, atol=CASE["tolerance_v"])


def test_voltages_by_the_motion():
    """Constant current as a minute of constant power each."""
    pack = battery.pack(SET, p_charge_max_kw=100.0, p_discharge_max_kw=100.0)
    state, voltages_v = battery.initial(pack, 0.5), []
    for i_a in CASE["hours_at_a"]:
        for _ in range(60):
            it_ah = (1 - state.soc + 0.5 * i_a / CASE["n_parallel"] / 60 / pack.q_ah) * pack.q_ah
            cell_v = tremblay.voltage_v(pack, it_ah, i_a / CASE["n_parallel"], 0.0)
            p_kw = cell_v * i_a * pack.n_series / 1000
            state = battery.advance(pack, state, p_kw, 60.0)
        voltages_v.append(battery.terminal_voltage_v(pack, state, p_kw)[0] / pack.n_series[0])
    np.testing.assert_allclose(voltages_v, CASE["cell_voltage_v"], rtol=0, atol=CASE["tolerance_v"])
