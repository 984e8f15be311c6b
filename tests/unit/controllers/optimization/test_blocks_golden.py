"""Each linear building block, pinned by the LP it writes.

A change of a block shows as a change of a file in ``tests/unit/controllers/optimization/lp``. To write the
files anew, run this test with ``EVHUB_WRITE_LP=1`` in the environment and read the difference. Beside the
block, each file holds the balance at the hub bus against a load of 1 kW, so that the signs of what a block
feeds in are pinned too. The two steps last 30 min and 1 h.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest

import evhub.controllers.optimization.blocks as blocks
from evhub.controllers.optimization.blocks import (
    balance_block as balance,
)
from evhub.controllers.optimization.blocks import (
    generator_block as generator,
)
from evhub.controllers.optimization.blocks import (
    grid_connection_block as grid_connection,
)
from evhub.controllers.optimization.blocks import (
    loads_block as loads,
)
from evhub.controllers.optimization.blocks import (
    pv_block as pv,
)
from evhub.controllers.optimization.blocks import (
    sessions_block as sessions,
)
from evhub.controllers.optimization.blocks import (
    storage_block as storage,
)
from evhub.controllers.optimization.blocks.generator_block import GeneratorData
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.linear_numbers import objective
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps

from ....helpers.lp_text import parse, read, write

FOLDER = Path(__file__).parent / "lp"
SHARED = {"time_steps", "data_checks", "linear_numbers"}  # these make no rows of their own

BATTERY = {"energy_kwh": 4.0, "energy_min_kwh": 1.0, "energy_max_kwh": 9.0, "charge_kw": 5.0, "discharge_kw": 6.0}
EVS = {
    "names": ("early", "late"),
    "connectors": ("1", "2"),
    "arrival_s": np.array([0.0, 2700.0]),
    "departure_s": np.array([900.0, 9000.0]),
    "energy_kwh": np.array([3.0, 10.0]),
    "target_kwh": np.array([5.0, 20.0]),
    "capacity_kwh": np.array([30.0, 40.0]),
    "charge_kw": np.array([7.0, 11.0]),
    "eens_per_kwh": 50.0,
    "charging_per_kwh": 0.3,
    "slots": 3,
}
V2G = {"v2g": True, "discharge_kw": np.array([0.0, 10.0]), "floor_kwh": 8.0, "subsidy_per_kwh": 0.4}
CASES = {
    "balance": (None, None),
    "storage": (storage, StorageData(**BATTERY, eta_charge=0.8, eta_discharge=0.5, end_kwh=4.0, end_per_kwh=0.1)),
    "wear": (storage, StorageData(**BATTERY, wear_per_kwh=0.02)),
    "exclusive": (storage, StorageData(**BATTERY, exclusive_kw=8.0)),
    "inverter": (storage, StorageData(**BATTERY, inverter_kva=10.0, q_per_kvarh=0.001)),
    "pv": (pv, PvData(np.array([3.0, 4.0]))),
    "pv_must_run": (pv, PvData(np.array([3.0, 4.0]), curtailable=False)),
    "pv_reactive": (pv, PvData(np.array([3.0, 4.0]), inverter_kva=5.0)),
    "grid_connection": (grid_connection, GridData(np.array([0.2, 0.3]), 0.1, 50.0, 20.0)),
    "grid_connection_extras": (
        grid_connection,
        GridData(
            0.2,
            0.25,
            50.0,
            20.0,
            demand_per_kw=9.0,
            peak_kw=12.0,
            setpoint_kw=np.array([np.nan, 7.0]),
            deviation_per_kwh=2.0,
            exclusive_kw=60.0,
        ),
    ),
    "generator": (
        generator,
        GeneratorData(np.array([5.0, 3.0]), np.array([0.2, 0.4]), available=np.array([True, False])),
    ),
    "generator_committed": (
        generator,
        GeneratorData(
            np.array([8.0]), np.array([0.2]), minimum_kw=2.0, running_per_h=1.0, start_cost=3.0, energy_kwh=6.0, on=True
        ),
    ),
    "loads": (
        loads,
        LoadsData(6.0, 4.0, np.array([3.0, 2.0]), 1.0, (10.0, 2.0, 1.0, 0.5), 0.25, 5.0, backlog_kwh=0.7),
    ),
    "sessions": (sessions, SessionsData(**EVS, departure_min_kwh=4.0, eta_charge=0.9)),
    "sessions_v2g": (sessions, SessionsData(**EVS, **V2G, eta_charge=0.9, eta_discharge=0.8, wear_per_kwh=0.05)),
}
STEPS = Steps(np.array([0.0, 1800.0, 5400.0]))


def model_of(kind, data) -> pyo.ConcreteModel:
    model = pyo.ConcreteModel()
    injections, parts = [], []
    if kind is not None:
        model.part = kind.build(STEPS, data)
        injections, parts = kind.injection(model.part), [(model.part, kind.numbers(STEPS, data))]
    else:
        model.x, model.y = pyo.Var(range(2)), pyo.Var(range(2))
        injections = [(1.0, np.array([*model.x.values()])), (-1.0, np.array([*model.y.values()]))]
    model.balance = balance.build(STEPS, np.ones(2), injections)
    model.cost = pyo.Objective(expr=objective(parts) + 0.0)
    return model


def flat(tables: dict) -> dict:
    return {
        (section, name, word): value
        for section, rows in tables.items()
        for name, row in rows.items()
        for word, value in {"": 0.0, **row}.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_block_writes_its_lp(case):
    text = write(model_of(*CASES[case]))
    path = FOLDER / f"{case}.lp"
    if os.environ.get("EVHUB_WRITE_LP"):
        path.write_text(text, encoding="utf-8")
    assert flat(parse(text)) == pytest.approx(flat(read(path)), rel=1e-9, abs=1e-12)


def test_every_block_has_an_lp_and_every_lp_a_case():
    names = {path.stem for path in Path(blocks.__path__[0]).glob("*.py")} - SHARED - {"__init__"}
    modules = {name.removesuffix("_block") for name in names}
    files = {path.stem for path in FOLDER.glob("*.lp")}
    assert files == set(CASES)
    assert modules <= files


def test_lp_that_differs_in_one_coefficient_is_found():
    """The comparison itself: order does not matter, numbers and names do."""
    text = "min\n\no: +1 a +2 b\n\ns.t.\n\nr: +1 a -1 b <= 3\n\nbounds\n\n0 <= a <= inf\n\nend\n"
    assert parse(text) == parse(text.replace("+1 a +2 b", "\n+2 b\n+1 a"))
    assert parse(text) != parse(text.replace("-1 b", "-1.5 b"))
    assert parse(text) != parse(text.replace("<= 3", ">= 3"))
    assert parse(text) != parse(text.replace("0 <= a", "1 <= a"))
