"""Keys of problems: the same whatever the figures, another for another problem."""

from __future__ import annotations

import pytest

from evhub.controllers.milp_dispatch.milp_model_data import StaleSocError, UnknownSocError
from evhub.controllers.optimization.blocks.data_checks import DataError, RangeError, finite
from evhub.controllers.optimization.blocks.grid_connection_block import GridData
from evhub.controllers.optimization.blocks.pv_block import PvData
from evhub.controllers.optimization.blocks.storage_block import StorageData
from evhub.controllers.optimization.blocks.time_steps import Steps
from evhub.controllers.optimization.hub_model import HubData, HubModel
from evhub.controllers.optimization.program import Program
from evhub.controllers.planning import kind


def refused(item, values, least=0.0) -> DataError:
    with pytest.raises(RangeError) as error:
        finite(item, values, least)
    return error.value


def infeasible(data: HubData):
    with Program(HubModel(data).model) as program:
        solution = program.solve()
    assert solution.conflict
    return solution


def must_run(export_kw: float) -> HubData:
    """PV of 9 kW that can neither leave nor be cut."""
    grid = GridData(0.1, 0.1, 1.0, export_kw)
    return HubData(Steps.regular(1, 3600.0), grid=grid, pv=PvData(9.0, curtailable=False))


def never_full(end_kwh: float) -> HubData:
    """A battery of 1 kW that shall hold more after an hour than it can have."""
    battery = StorageData(0.0, 0.0, 10.0, 1.0, 1.0, end_kwh=end_kwh)
    return HubData(Steps.regular(1, 3600.0), grid=GridData(0.1, 0.1, 5.0, 5.0), bess=battery)


def test_an_error_of_data_is_the_same_at_another_value_and_place():
    first, second = refused("pv.kw", [-1.0, 2.0]), refused("pv.kw", [2.0, -7.0])
    assert str(first) != str(second) and kind(first) == kind(second)
    assert kind(first) != kind(refused("load.kw", [-1.0, 2.0]))


def test_an_old_measurement_is_the_same_at_any_age_and_another_than_none():
    assert kind(StaleSocError(900.0)) == kind(StaleSocError(1800.0)) != kind(UnknownSocError())


def test_an_error_without_a_key_is_told_apart_by_its_text():
    assert kind(RuntimeError("a")) == kind(RuntimeError("a")) != kind(RuntimeError("b"))


def test_a_conflict_is_the_same_with_other_figures_and_another_between_other_constraints():
    first, second = infeasible(must_run(5.0)), infeasible(must_run(8.0))
    assert first.conflict != second.conflict and kind(first) == kind(second)
    assert kind(first) != kind(infeasible(never_full(5.0)))
    assert kind(infeasible(never_full(4.0))) == kind(infeasible(never_full(5.0)))
