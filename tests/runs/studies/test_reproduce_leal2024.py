"""The reproduction of Leal et al. 2024: how it measures, and that all published numbers are met."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evhub.analysis import open_results
from evhub.analysis.results.result_layout import SeriesSpec
from evhub.analysis.results.result_writer import ResultWriter
from evhub.scenarios.studies.reproductions.leal2024 import leal2024_study as leal2024
from evhub.scenarios.studies.reproductions.published_numbers import not_above, reproduced, within

from ...helpers.sample_results import attributes


@pytest.fixture
def stairs(tmp_path):
    """A signal of two elements: 1, 3, 2 and 10, 30, 20 from 0, 10 and 40 s; 50 s in all."""
    spec = SeriesSpec("depot/cp/connector_p_kw", "kW", "x", 2)
    with ResultWriter(tmp_path / "r.h5", attributes("r", 50.0), [spec]) as writer:
        for t_s, value in ((0.0, 1.0), (10.0, 3.0), (40.0, 2.0)):
            writer.append(0, t_s, np.array([value, 10 * value]))
    with open_results(tmp_path / "r.h5") as results:
        yield results


@pytest.mark.parametrize(
    ("statistic", "during", "ours"),
    [
        ("mean", (0, 20), 2.0),
        ("mean", (5, 45), (5 * 1 + 30 * 3 + 5 * 2) / 40),
        ("max", (0, 10), 1.0),  # half open: 3 begins at 10
        ("min", (15, 50), 2.0),
        ("first_at_least", (0, 50), 10.0),
        ("first_at_least", (20, 50), 20.0),
        ("first_at_most", (20, 50), 40.0),
    ],
)
def test_statistics_hold_values_until_the_next(stairs, statistic, during, ours):
    row = {"signal": "cp/connector_p_kw", "statistic": statistic, "during": during}
    row["level"] = 2.5
    assert leal2024.measure(stairs, {**row, "element": 1}) == pytest.approx(ours)
    row["level"] = 25.0
    factor = 1.0 if statistic.startswith("first") else 10.0
    assert leal2024.measure(stairs, {**row, "element": 2}) == pytest.approx(factor * ours)


def test_a_level_that_is_never_reached_is_not_met(stairs):
    row = {"signal": "cp/connector_p_kw", "element": 1, "statistic": "first_at_least", "level": 4, "during": (0, 50)}
    ours = leal2024.measure(stairs, row)
    assert math.isnan(ours)
    assert within("c", "q", "s", 30.0, ours, absolute=10.0).ok is False
    assert not_above("c", "q", "s", 30.0, ours).ok is False


def test_all_published_numbers_and_statements_are_met(tmp_path):
    told: list[str] = []
    rows = leal2024.reproduce(tmp_path, told.append)
    assert [row for row in rows if not row.ok] == []
    assert reproduced(rows)
    assert len(told) - 1 == len(list(tmp_path.glob("figure-1?.png"))) == 5
    assert len({row.case for row in rows}) == 6
