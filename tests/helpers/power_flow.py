"""An unbalanced feeder in power-grid-model, against which its linear voltages are checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evhub.analysis.dispatchability.feeder import PHASES, Feeder
from evhub.analysis.dispatchability.opendss.opendss_deck import Deck

SOURCE_PU = 1.05
NOT_THERE_OHM, SWITCH_OHM = 1e3, 1e-4


def power_flow(feeder: Feeder, p_kw: dict[str, np.ndarray], q_kvar: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Voltages of the same feeder by power-grid-model [pu]."""
    pgm = pytest.importorskip("power_grid_model")
    buses = list(feeder.buses)
    node = pgm.initialize_array("input", "node", len(buses))
    node["id"], node["u_rated"] = np.arange(len(buses)), feeder.kv * 1e3
    source = pgm.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"], source["sk"] = 10_000, 0, 1, SOURCE_PU, 1e15
    line = pgm.initialize_array("input", "asym_line", len(feeder.oriented))
    for k, one in enumerate(feeder.oriented):
        ideal = SWITCH_OHM if not one.z_ohm.any() else 0.0
        z = one.z_ohm + np.diag([ideal if phase in one.phases else NOT_THERE_OHM for phase in PHASES])
        line[k]["id"], line[k]["from_node"], line[k]["to_node"] = (
            20_000 + k,
            buses.index(one.start),
            buses.index(one.end),
        )
        line[k]["from_status"] = line[k]["to_status"] = 1
        for i, j in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
            line[k][f"r_{PHASES[i]}{PHASES[j]}"] = z[i, j].real
            line[k][f"x_{PHASES[i]}{PHASES[j]}"] = z[i, j].imag
        line[k]["c0"], line[k]["c1"] = 0.0, 0.0
    load = pgm.initialize_array("input", "asym_load", len(p_kw))
    for k, bus in enumerate(p_kw):
        load[k]["id"], load[k]["node"], load[k]["status"] = 30_000 + k, buses.index(bus), 1
        load[k]["type"] = pgm.LoadGenType.const_power
        load[k]["p_specified"], load[k]["q_specified"] = p_kw[bus] * 1e3, q_kvar[bus] * 1e3
    model = pgm.PowerGridModel({"node": node, "source": source, "asym_line": line, "asym_load": load})
    found = model.calculate_power_flow(symmetric=False)["node"]["u_pu"]
    return {bus: found[k] for k, bus in enumerate(buses)}


def largest_error(deck: Deck, scale: float = 1.0) -> float:
    """Of the linear voltages [pu], with a share of the load and no regulator."""
    source = replace(deck.feeder.source, v_pu=(SOURCE_PU,) * 3)
    feeder = replace(deck.feeder, ratios={}, source=source)
    p_kw, q_kvar = ({bus: scale * value for bus, value in table.items()} for table in (deck.p_kw, deck.q_kvar))
    ours, theirs = linear_voltages(feeder, p_kw, q_kvar), power_flow(feeder, p_kw, q_kvar)
    return max(float(np.nanmax(np.abs(ours[bus] - theirs[bus]))) for bus in feeder.buses)


def linear_voltages(
    feeder: Feeder, p_kw: dict[str, np.ndarray], q_kvar: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Voltages of the linearised branch flow, eq. (4)-(5): losses left out, phases 120 degrees apart.

    Parameters
    ----------
    feeder : Feeder
        A feeder without problems.
    p_kw, q_kvar : mapping of str to ndarray, shape (3,)
        Power drawn at each bus, in each phase [kW, kvar]; buses without any may be left out.

    Returns
    -------
    dict of str to ndarray, shape (3,)
        Magnitudes [pu]; NaN for phases that a bus does not have.

    Raises
    ------
    ValueError
        If a squared voltage is not positive: the load is beyond what the feeder can carry.
    """
    u0, r, x = feeder.linear
    drawn = np.array(
        [[np.asarray(table.get(bus, np.zeros(3)))[k] for bus, k in feeder.nodes] for table in (p_kw, q_kvar)]
    )
    squared = u0 - r @ drawn[0] - x @ drawn[1]
    if np.any(squared <= 0.0):
        raise ValueError(f"squared voltage of {squared.min():g} pu: the load is beyond what the feeder can carry")
    found = {bus: np.full(3, np.nan) for bus in feeder.buses}
    for (bus, phase), value in zip(feeder.nodes, np.sqrt(squared), strict=True):
        found[bus][phase] = value
    return found
