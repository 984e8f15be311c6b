"""Designs of a sweep: complete grids, stratified samples, and the same points from the same seed."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.scenarios.studies.variants.sampling import points
from evhub.scenarios.studies.variants.study_file import Design, Variation, seconds_of

from ...helpers.sizes import examples

DRAWN = ("random", "latin_hypercube", "sobol")


def drawn(kind: str, samples: int, seed: int = 0, **fields: dict[str, Any]) -> list[dict[str, Any]]:
    variations = {name: Variation.model_validate(field) for name, field in fields.items()}
    return points(variations, Design.model_validate({"type": kind, "samples": samples, "seed": seed}))


def test_a_grid_is_every_combination_once():
    fields = {"a": Variation(values=[1, 2, 3]), "b": Variation(values=["x", {"y": 1}])}
    every = points(fields, Design())
    assert every == [{"a": a, "b": b} for a in (1, 2, 3) for b in ("x", {"y": 1})]


def test_a_grid_of_nothing_is_the_scenario_itself():
    assert points({}, Design()) == [{}]


@pytest.mark.parametrize("kind", ["latin_hypercube", "sobol"])
@pytest.mark.parametrize("log", [False, True])
def test_every_stratum_of_every_field_has_one_point(kind, log):
    rows = drawn(kind, 32, a={"range": [2, 50], "log": log}, b={"range": [-1, 1]})
    a = np.array([row["a"] for row in rows])
    a = np.log(a / 2) / math.log(25) if log else (a - 2) / 48
    b = np.array([(row["b"] + 1) / 2 for row in rows])
    for column in (a, b):
        assert sorted((column * 32).astype(int)) == list(range(32))


def test_sobol_points_fill_the_plane_evenly():
    rows = drawn("sobol", 64, a={"range": [0, 1]}, b={"range": [0, 1]})
    for wide, high in ((8, 8), (16, 4), (4, 16)):
        boxes = Counter((int(row["a"] * wide), int(row["b"] * high)) for row in rows)
        assert set(boxes.values()) == {1}
        assert len(boxes) == 64


def test_random_points_are_not_stratified():
    rows = drawn("random", 32, a={"range": [0, 1]})
    assert len({int(row["a"] * 32) for row in rows}) < 32


@pytest.mark.parametrize("kind", DRAWN)
def test_the_seed_of_the_design_decides(kind):
    field = {"range": [0, 1]}
    assert drawn(kind, 8, seed=3, a=field) == drawn(kind, 8, seed=3, a=field)
    assert drawn(kind, 8, seed=3, a=field) != drawn(kind, 8, seed=4, a=field)


def test_whole_numbers_come_equally_often_with_both_ends():
    rows = drawn("sobol", 16, a={"range": [1, 4], "integer": True})
    assert Counter(row["a"] for row in rows) == {1: 4, 2: 4, 3: 4, 4: 4}
    assert all(type(row["a"]) is int for row in rows)


def test_steps_start_at_the_lowest_and_end_below_the_highest():
    rows = drawn("sobol", 64, a={"range": ["5min", "32min"], "step": "10min"}, b={"range": [0.1, 0.3], "step": 0.1})
    assert {row["a"] for row in rows} == {"300s", "900s", "1500s"}
    assert {row["b"] for row in rows} == {0.1, 0.2, 0.3}


def test_a_step_may_be_as_wide_as_the_range():
    rows = drawn("sobol", 16, a={"range": [0.1, 0.3], "step": 0.2}, b={"range": [1, 128.938], "step": 127.938})
    assert {row["a"] for row in rows} == {0.1, 0.3}
    assert {row["b"] for row in rows} == {1.0, 128.938}


def test_a_logarithmic_range_has_its_geometric_mean_in_the_middle():
    rows = drawn(
        "sobol", 64, a={"range": [1, 10_000], "log": True}, b={"range": [1, 1000], "log": True, "integer": True}
    )
    assert sum(row["a"] < 100 for row in rows) == 32
    assert min(row["b"] for row in rows) == 1
    assert 0.4 < sum(row["b"] <= 31 for row in rows) / 64 < 0.6


def test_values_are_drawn_equally_often():
    rows = drawn("latin_hypercube", 30, a={"values": ["x", "y", "z"]})
    assert Counter(row["a"] for row in rows) == {"x": 10, "y": 10, "z": 10}


@given(
    low=st.floats(0.001, 1000),
    width=st.floats(0.01, 1000),
    log=st.booleans(),
    step=st.none() | st.floats(0.01, 1),
    kind=st.sampled_from(DRAWN),
    duration=st.booleans(),
)
@settings(max_examples=examples(60))
def test_drawn_values_stay_in_their_range(low, width, log, step, kind, duration):
    low, high = round(low, 3), round(low + width, 3)
    field: dict[str, Any] = {"range": [low, high], "log": log}
    if step is not None:
        field["step"] = max(round(step * (high - low), 3), 0.001)
    if duration:
        field = {key: _as_durations(value) for key, value in field.items()}
    for row in drawn(kind, 16, a=field):
        value = seconds_of(row["a"]) if duration else row["a"]
        assert value is not None
        assert low - 1e-9 <= value <= high + 1e-9
        if step is not None:
            whole = (value - low) / (max(round(step * (high - low), 3), 0.001))
            assert abs(whole - round(whole)) < 1e-6


def _as_durations(value: Any) -> Any:
    if isinstance(value, list):
        return [f"{number}s" for number in value]
    return value if isinstance(value, bool) else f"{value}s"
