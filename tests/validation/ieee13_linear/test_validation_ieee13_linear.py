"""Linearised voltages of the IEEE 13-node feeder against two solutions; see README.md."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evhub.analysis.dispatchability.deck import read_deck
from evhub.analysis.dispatchability.feeder import PHASES, Feeder, linear_voltages

FOLDER = Path(__file__).parent
RATIOS = {"reg1": 1.0625, "reg2": 1.05, "reg3": 1.06875}
SOURCE_PU = 1.05
NOT_THERE_OHM, SWITCH_OHM = 1e3, 1e-4


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


def power_flow(feeder: Feeder, p_kw: dict, q_kvar: dict) -> dict[str, np.ndarray]:
    """Voltages of the same feeder by power-grid-model [pu]."""
    pgm = pytest.importorskip("power_grid_model")
    buses = list(feeder.buses)
    node = pgm.initialize_array("input", "node", len(buses))
    node["id"], node["u_rated"] = np.arange(len(buses)), feeder.kv * 1e3
    source = pgm.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"], source["sk"] = 100, 0, 1, SOURCE_PU, 1e15
    line = pgm.initialize_array("input", "asym_line", len(feeder.oriented))
    for k, one in enumerate(feeder.oriented):
        ideal = SWITCH_OHM if not one.z_ohm.any() else 0.0
        z = one.z_ohm + np.diag([ideal if phase in one.phases else NOT_THERE_OHM for phase in PHASES])
        line[k]["id"], line[k]["from_node"], line[k]["to_node"] = 200 + k, buses.index(one.start), buses.index(one.end)
        line[k]["from_status"] = line[k]["to_status"] = 1
        for i, j in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
            line[k][f"r_{PHASES[i]}{PHASES[j]}"] = z[i, j].real
            line[k][f"x_{PHASES[i]}{PHASES[j]}"] = z[i, j].imag
        line[k]["c0"], line[k]["c1"] = 0.0, 0.0
    load = pgm.initialize_array("input", "asym_load", len(p_kw))
    for k, bus in enumerate(p_kw):
        load[k]["id"], load[k]["node"], load[k]["status"] = 300 + k, buses.index(bus), 1
        load[k]["type"] = pgm.LoadGenType.const_power
        load[k]["p_specified"], load[k]["q_specified"] = p_kw[bus] * 1e3, q_kvar[bus] * 1e3
    model = pgm.PowerGridModel({"node": node, "source": source, "asym_line": line, "asym_load": load})
    found = model.calculate_power_flow(symmetric=False)["node"]["u_pu"]
    return {bus: found[k] for k, bus in enumerate(buses)}


def largest_error(deck, scale: float) -> float:
    """Of the linear voltages against power-grid-model [pu], with a share of the load and no regulator."""
    source = replace(deck.feeder.source, v_pu=(SOURCE_PU,) * 3)
    feeder = replace(deck.feeder, ratios={}, source=source)
    p_kw, q_kvar = ({bus: scale * value for bus, value in table.items()} for table in (deck.p_kw, deck.q_kvar))
    ours, theirs = linear_voltages(feeder, p_kw, q_kvar), power_flow(feeder, p_kw, q_kvar)
    return max(float(np.nanmax(np.abs(ours[bus] - theirs[bus]))) for bus in feeder.buses)


def test_power_grid_model_within_0_008_pu(deck):
    assert 0.001 < largest_error(deck, 1.0) <= 0.008


def test_the_error_is_of_second_order(deck):
    whole, tenth, hundredth = (largest_error(deck, scale) for scale in (1.0, 0.1, 0.01))
    assert tenth < whole / 50.0
    assert hundredth <= 1e-5
