"""Linearised voltages of the IEEE 13-node feeder against two solutions; see README.md."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from evhub.analysis.dispatchability.feeder import PHASES
from evhub.analysis.dispatchability.opendss.opendss_deck import read_deck
from tests.helpers.power_flow import largest_error, linear_voltages

FOLDER = Path(__file__).parent
RATIOS = {"reg1": 1.0625, "reg2": 1.05, "reg3": 1.06875}


@pytest.fixture(scope="module")
def deck():
    found = read_deck((FOLDER / "IEEE13Nodeckt.dss").read_text(), ratios=RATIOS)
    assert found.problems == []
    assert list(found.feeder.problems()) == []
    return found


def test_the_deck_is_the_feeder(deck):
    assert len(deck.feeder.buses) == 15  # 13 nodes, the regulated node RG60 and the point load at 670
    assert deck.feeder.bus_phases["684"] == "ac"
    assert deck.feeder.bus_phases["646"] == "bc"
    assert sum(deck.p_kw.values()).sum() == pytest.approx(3466.0)
    assert sum(deck.q_kvar.values()).sum() == pytest.approx(2102.0 - 700.0)


def test_published_voltages_within_0_008_pu(deck):
    ours = linear_voltages(deck.feeder, deck.p_kw, deck.q_kvar)
    errors = []
    for row in csv.DictReader((FOLDER / "published_solution.csv").read_text().splitlines()):
        for number, phase in enumerate(PHASES):
            published = row[f"V{phase}_pu"]
            assert (published == "") == np.isnan(ours[row["node"].lower()][number])
            if published:
                errors.append(ours[row["node"].lower()][number] - float(published))
    assert len(errors) == 35
    assert np.abs(errors).max() <= 0.008


def test_power_grid_model_within_0_008_pu(deck):
    assert 0.001 < largest_error(deck) <= 0.008


def test_the_error_is_of_second_order(deck):
    whole, tenth, hundredth = (largest_error(deck, scale) for scale in (1.0, 0.1, 0.01))
    assert tenth < whole / 50.0
    assert hundredth <= 1e-5
