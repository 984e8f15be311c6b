"""Frozen data that copies share, and what their pickles hold."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property

import numpy as np
import pytest

from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.schema.scenario_loader import load_scenario
from evhub.simulators.arrivals.session_model import Session
from evhub.simulators.series import Series
from evhub.simulators.shared_data import SharedData


@dataclass(frozen=True)
class Squares(SharedData):
    numbers: tuple[int, ...]

    @cached_property
    def sum(self) -> int:
        return sum(number**2 for number in self.numbers)


def test_a_copy_is_the_object_itself_also_inside_of_another():
    squares = Squares((1, 2))
    assert copy.deepcopy({"a": [squares]})["a"][0] is squares
    session = Session("one", 0.0, 60.0, 1.0)
    assert copy.deepcopy([session])[0] is session


def test_a_pickle_holds_the_fields_and_nothing_that_was_computed_from_them():
    squares = Squares((1, 2))
    before = pickle.dumps(squares)
    assert squares.sum == 5
    assert pickle.dumps(squares) == before
    again = pickle.loads(before)
    assert again == squares and "sum" not in vars(again) and again.sum == 5


def test_data_with_slots_can_be_pickled():
    session = Session("one", 0.0, 60.0, 1.0, p_max_kw=math.inf, group="fast")
    assert pickle.loads(pickle.dumps(session)) == session


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0, 5.0], [[1.0, 0.0], [1.0, 3.0], [4.0, 4.0], [0.1, 0.2]]])
def test_a_series_out_of_a_pickle_is_the_same_and_cannot_be_changed(values, repeats):
    series = Series(np.array([0.0, 10.0, 20.0, 30.0]), np.array(values), 40.0, repeats)
    again = pickle.loads(pickle.dumps(series))
    assert copy.deepcopy(series) is series
    assert (again.t_s.tolist(), again.values.tolist()) == (series.t_s.tolist(), series.values.tolist())
    assert (again.end_s, again.repeats) == (series.end_s, series.repeats)
    for t_s in (0.0, 9.0, 10.0, 29.0, 39.0):
        assert np.array_equal(again.at(t_s), series.at(t_s))
        assert again.next_change(t_s) == series.next_change(t_s)
    with pytest.raises(ValueError, match="read-only"):
        again.values[0] = 7.0


def kinds_within(value, found: set[type]) -> set[type]:
    """Classes of the dataclasses in parameters, at any depth."""
    if is_dataclass(value):
        found.add(type(value))
        for field in fields(value):
            kinds_within(getattr(value, field.name), found)
    elif isinstance(value, dict):
        for item in value.values():
            kinds_within(item, found)
    elif isinstance(value, list | tuple):
        for item in value[:5]:
            kinds_within(item, found)
    return found


def test_what_is_long_in_a_wiring_is_shared():
    """Whatever grows with the sessions or the length of a run."""
    wiring = build(load_scenario("public-hub-day").with_changes(controller="milp_dispatch"))  # which looks at forecasts
    long = {"Series", "Session", "StationPlan", "PluggedSessions", "BatteryParameters", "Unit", "Tariffs", "Parts"}
    kinds: set[type] = set()
    for entity in wiring.entities:
        kinds_within(dict(entity.parameters), kinds)
    assert long <= {kind.__name__ for kind in kinds}
    assert all(issubclass(kind, SharedData) for kind in kinds if kind.__name__ in long)
