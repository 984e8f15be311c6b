"""The benchmark of growth on short runs, so that it does not rot."""

from __future__ import annotations

import pytest

from . import growth


def test_a_hub_of_some_size_runs(benchmark):
    taken = benchmark.pedantic(growth.run, (growth.hub(5, "6h", "15min", "emh"),), rounds=1)
    assert (taken.connectors, taken.periods, taken.engine) == (5, 24, "inprocess")
    assert 0.0 < taken.built_mb <= taken.peak_mb


def test_a_case_is_run_in_another_process():
    taken = growth.measure("3:6h:5min:edf:inprocess")
    assert taken.connectors == 3
    with pytest.raises(RuntimeError, match="benchmark of growth"):
        growth.measure("3:6h:5min:never:inprocess")


def test_the_exponent_is_that_of_the_two_largest():
    found = [
        growth.Taken(n, 1.0, 288, "inprocess", False, 1.0, run_s, 1.0, 1.0)
        for n, run_s in ((10, 9.0), (100, 1.0), (1000, 100.0))
    ]
    assert growth.exponent(found, "run_s") == pytest.approx(2.0)
