"""Data that the building blocks refuse, by name, before a solver sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evhub.controllers.optimization.blocks.generator_block import GeneratorData
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.loads_block import LoadsData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.sessions_block import SessionsData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData, HubModel
from evhub.controllers.optimization.program import Program

NAN, INF = np.nan, np.inf
EVS = SessionsData(
    names=("s1", "s2"),
    connectors=("1", "2"),
    arrival_s=np.array([0.0, 3600.0]),
    departure_s=np.array([7200.0, 9000.0]),
    energy_kwh=np.array([5.0, 10.0]),
    target_kwh=np.array([15.0, 20.0]),
    capacity_kwh=np.array([40.0, 40.0]),
    charge_kw=np.array([7.0, 11.0]),
    eens_per_kwh=5.0,
    discharge_kw=np.array([7.0, 0.0]),
    subsidy_per_kwh=0.2,
    slots=3,
    v2g=True,
)
HUB = HubData(
    steps=Steps.regular(3, 3600.0),
    grid=GridData(0.3, 0.1, 50.0, 50.0),
    pv=PvData(10.0),
    bess=StorageData(5.0, 1.0, 9.0, 5.0, 5.0),
    dg=GeneratorData(np.array([5.0]), np.array([0.4]), minimum_kw=1.0),
    load=LoadsData(3.0, 2.0, 1.0, 1.0, (10.0, 2.0, 1.0, 0.5)),
    sessions=EVS,
)


def changed(part, **changes):
    return replace(HUB, **{part: replace(getattr(HUB, part), **changes)})


@pytest.mark.parametrize(
    ("edges_s", "message"),
    [
        ([0.0, 900.0, 900.0], r"steps\.edges_s\[2\]: twice the same time, got 900 after 900"),
        ([0.0, 1800.0, 900.0], r"steps\.edges_s\[2\]: times must rise, got 900 after 1800"),
        ([0.0, NAN, 900.0], r"steps\.edges_s\[1\]: must be finite, got nan"),
        ([0.0], r"at least two times"),
    ],
)
def test_times_are_sorted_and_each_there_once(edges_s, message):
    with pytest.raises(ValueError, match=message):
        Steps(np.array(edges_s))


def test_time_outside_the_grid_is_no_first_step():
    with pytest.raises(ValueError, match=r"steps: 10800 s is outside 0 to 10800 s"):
        HUB.steps.at(10800.0)
    with pytest.raises(ValueError, match=r"steps\.now: must be a step from 0 to 2, got 3"):
        replace(HUB.steps, now=3)


@pytest.mark.parametrize(
    ("part", "item"),
    [
        ("grid", "buy_per_kwh"),
        ("grid", "sell_per_kwh"),
        ("grid", "import_kw"),
        ("grid", "export_kw"),
        ("pv", "available_kw"),
        ("bess", "charge_kw"),
        ("bess", "discharge_kw"),
        ("dg", "available"),
        ("load", "critical_kw"),
        ("load", "controllable_kw"),
        ("load", "shiftable_kw"),
        ("load", "general_kw"),
        ("load", "shiftable_max_kw"),
        ("load", "made_good"),
    ],
)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(2), r"must cover the 3 steps of the horizon, got shape \(2,\)"),
        (np.array([1.0, NAN, 1.0]), r"\[1\]: must be finite, got nan"),
        (np.array([1.0, 1.0, INF]), r"\[2\]: must be finite, got inf"),
    ],
)
def test_series_cover_the_horizon_with_finite_numbers(part, item, values, message):
    with pytest.raises(ValueError, match=rf"^{part}\.{item}.*{message}"):
        HubModel(changed(part, **{item: values}))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("pv", {"available_kw": -1.0}, r"pv\.available_kw: must be >= 0, got -1"),
        ("grid", {"sell_per_kwh": 0.4}, r"grid\.sell_per_kwh\[0\]: 0\.4 is above the purchase price 0\.3"),
        ("grid", {"exclusive_kw": 40.0}, r"grid\.buy_kw \(exclusive\)\[0\]: must be <= 40, got 50"),
        ("grid", {"setpoint_kw": np.ones(2)}, r"grid\.setpoint_kw: must cover the 3 steps"),
        ("grid", {"setpoint_kw": np.array([NAN, INF, 0.0])}, r"grid\.setpoint_kw\[1\]: must be finite, got inf"),
        ("bess", {"energy_max_kwh": 0.5}, r"bess\.energy_max_kwh: must be >= 1, got 0\.5"),
        ("bess", {"end_kwh": 9.5}, r"bess\.end_kwh: must be >= 0 and <= 9, got 9\.5"),
        ("bess", {"energy_kwh": NAN}, r"bess\.energy_kwh: must be finite, got nan"),
        ("bess", {"eta_charge": 0.0}, r"bess\.eta_charge: must be > 0 and <= 1, got 0"),
        ("bess", {"wear_per_kwh": -0.1}, r"bess\.wear_per_kwh: must be >= 0, got -0\.1"),
        ("dg", {"minimum_kw": 6.0}, r"dg\.minimum_kw: must be >= 0 and <= 5, got 6"),
        ("dg", {"segment_kw": np.ones(2)}, r"dg: segment_kw and segment_per_kwh must be rows of the same length"),
        (
            "dg",
            {"segment_kw": np.ones(2), "segment_per_kwh": np.array([0.4, 0.2])},
            r"dg\.segment_per_kwh: must rise .* got \[0\.4, 0\.2\]",
        ),
        ("load", {"eens_per_kwh": (1.0, 2.0, 1.0, 0.5)}, r"load\.eens_per_kwh: .* the first \(critical\) the highest"),
        ("load", {"controllable_band": 1.2}, r"load\.controllable_band: must be >= 0 and <= 1, got 1\.2"),
        ("sessions", {"departure_s": np.array([7200.0, 3000.0])}, r"session s2: departure_s .* 3600, got 3000"),
        ("sessions", {"target_kwh": np.array([41.0, 20.0])}, r"session s1: target_kwh .* capacity_kwh, 40, got 41"),
        ("sessions", {"energy_kwh": np.array([5.0, 41.0])}, r"session s2: energy_kwh .* capacity_kwh, 40, got 41"),
        ("sessions", {"energy_kwh": np.array([5.0, NAN])}, r"session s2: energy_kwh must be finite, got nan"),
        ("sessions", {"charge_kw": np.array([-1.0, 7.0])}, r"session s1: charge_kw must be >= 0, got -1"),
        ("sessions", {"charge_kw": np.ones(3)}, r"sessions\.charge_kw: must have 2 entries, one a session"),
        ("sessions", {"names": ("s1", "s1")}, r"sessions: 's1' is there twice"),
        ("sessions", {"slots": 1}, r"sessions: 2 sessions for 1 slots"),
        ("sessions", {"v2g": False}, r"session s1: discharge_kw must be 0 without v2g, got 7"),
        (
            "sessions",
            {"charging_per_kwh": 0.3},
            r"session s1: the subsidy 0\.2 in step 0 is below the charging price 0\.3",
        ),
        ("sessions", {"charging_per_kwh": np.ones(5)}, r"sessions\.charging_per_kwh: .* \(2, 3\), got shape \(5,\)"),
    ],
)
def test_wrong_item_is_named_with_its_value(part, changes, message):
    with pytest.raises(ValueError, match=message):
        HubModel(changed(part, **changes))


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (replace(HUB, pv=None), r"hub: built with .*'pv'.*, got"),
        (replace(HUB, steps=Steps.regular(3, 1800.0)), r"the grid of steps is fixed"),
        (changed("bess", eta_charge=0.9), r"bess\.eta_charge stands in the matrix: built with 1\.0, got 0\.9"),
        (changed("dg", minimum_kw=2.0), r"dg\.minimum_kw stands in the matrix: built with 1\.0, got 2\.0"),
        (changed("grid", demand_per_kw=2.0), r"grid: demand charge stands in the matrix"),
        (changed("sessions", slots=4), r"sessions\.slots stands in the matrix: built with 3, got 4"),
        (changed("load", critical_kw=NAN), r"load\.critical_kw: must be finite"),
    ],
)
def test_update_that_needs_another_matrix_is_refused_and_changes_nothing(new, message):
    model = HubModel(HUB)
    with Program(model.model) as program:
        before = program.solve().objective
        with pytest.raises(ValueError, match=message):
            model.update(program, replace(new, grid=new.grid and replace(new.grid, buy_per_kwh=9.0)))
        assert program.solve().objective == pytest.approx(before)
        assert model.data is HUB


def test_hub_without_parts_is_refused():
    with pytest.raises(ValueError, match="a hub needs at least one of grid, pv"):
        HubModel(HubData(HUB.steps))
