"""The discharge that ns-3 tests; see README.md."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.simulators.battery import battery_model as battery
from evhub.simulators.battery import tremblay_cell as tremblay
from tests.helpers.cell_forms import extract

FILE = Path(str(files("evhub.simulators") / "data" / "batteries" / "panasonic_cgr18650da.yaml"))
SET = yaml.safe_load(FILE.read_text(encoding="utf-8"))
CASE = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
I_A, TIME_S = CASE["current_a"], CASE["time_s"]


def test_shipped_cell_is_what_the_data_sheet_gives():
    cell = extract(**CASE["datasheet"])
    assert SET["datasheet"] == CASE["datasheet"]
    assert {name: SET["cell"][name] for name in vars(cell)} == pytest.approx(vars(cell), rel=1e-9)


def test_voltage_at_the_end_by_the_equations():
    voltage_v = tremblay.voltage_v(extract(**CASE["datasheet"]), I_A * TIME_S / 3600, I_A, I_A)
    assert voltage_v == pytest.approx(CASE["voltage_v"], abs=CASE["tolerance_v"])


def test_voltage_at_the_end_by_the_motion():
    limits = SET["limits"] | {"v_min_v": 2.5}
    cell = battery.pack(SET | {"limits": limits}, n_series=1, n_parallel=1, p_charge_max_kw=1, p_discharge_max_kw=1)
    state = battery.initial(cell, 1.0)
    for _ in range(TIME_S // 3):
        it_ah = (1 - state.soc) * cell.q_ah
        p_kw = tremblay.voltage_v(cell, it_ah, I_A, state.i_filtered_a) * I_A / 1000
        state = battery.advance(cell, state, p_kw, 3.0)
    assert (1 - state.soc[0]) * 2.33 == pytest.approx(I_A * TIME_S / 3600, rel=2e-3)
    assert np.ptp([battery.terminal_voltage_v(cell, state, p_kw)[0], CASE["voltage_v"]]) <= CASE["tolerance_v"]
