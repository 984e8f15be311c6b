"""Current limits inside a site: phasors, and what strategies that share a power make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis import open_results
from evhub.controllers.circuits import Allocation, Circuits
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError

from ...helpers import plants
from ...helpers.sizes import examples
from . import test_controllers as made

SHARING = ("equal_share", "edf", "llf", "fcfs", "round_robin", "pv_first")
DELTA_DEG = {"ab": 30.0, "bc": -90.0, "ca": 150.0}
LINES = {"a": {"ab": 1, "ca": -1}, "b": {"bc": 1, "ab": -1}, "c": {"ca": 1, "bc": -1}}


def circuits(rows, limit_a) -> Circuits:
    rows = np.asarray(rows, dtype=complex)
    return Circuits(tuple(f"limit {k}" for k in range(len(rows))), rows, np.asarray(limit_a, dtype=float))


def shares(name: str, within: Circuits, max_kw, room_kw: float = 1e4, min_kw: float = 0.0) -> np.ndarray:
    """What EVs that accept so much [kW] get, the first to leave first."""
    n = len(max_kw)
    seen = made.connectors([True] * n, [500.0] * n, max_kw)
    seen = replace(seen, departure_s=np.arange(1.0, n + 1.0), plugged_s=np.arange(float(n)))
    plant = made.site(
        n,
        contracted_kw=room_kw + 5.0,
        connector_kw=np.full(n, 1e3),
        connector_minimum_kw=np.full(n, min_kw),
        circuits=within,
        bess_kw=0.0,
    )
    limits_kw = made.decide(name, plant, made.hub(seen)).connector_kw
    return np.where(limits_kw > 0.0, np.minimum(limits_kw, max_kw), 0.0)


@st.composite
def sites(draw, angles_deg):
    """Limits over some of the connectors each, whose currents have some of these angles."""
    n, m = draw(st.integers(1, 10)), draw(st.integers(1, 4))
    phase = np.exp(1j * np.deg2rad([draw(st.sampled_from(angles_deg)) for _ in range(n)]))
    factor = st.sampled_from([0.0, 1.0, 1.0, 0.25])
    rows = np.array([[draw(factor) for _ in range(n)] for _ in range(m)]) * phase * 4.8
    limit_a = [draw(st.floats(1.0, 150.0)) for _ in range(m)]
    return circuits(rows, limit_a), [draw(st.floats(0.5, 30.0)) for _ in range(n)], draw(st.floats(1.0, 100.0))


def able_kw(within: Circuits, given_kw: np.ndarray, max_kw, room_kw: float, more_kw: float) -> list[int]:
    """Who could get more without breaking anything."""
    found = []
    for i in range(len(max_kw)):
        raised = given_kw.copy()
        raised[i] += more_kw
        if raised[i] <= max_kw[i] and raised.sum() <= room_kw and (within.current_a(raised) <= within.limit_a).all():
            found.append(i)
    return found


@pytest.mark.parametrize("name", SHARING)
@given(site=sites([0.0]))
@settings(max_examples=examples(60))
def test_no_current_passes_its_limit_and_nothing_is_left_that_one_could_use(name, site):
    within, max_kw, room_kw = site
    given_kw = shares(name, within, max_kw, room_kw)
    assert (within.current_a(given_kw) <= within.limit_a + 1e-6).all()
    assert given_kw.sum() <= room_kw + 1e-6
    assert able_kw(within, given_kw, max_kw, room_kw, 1e-3) == []


@pytest.mark.parametrize("name", SHARING)
@given(site=sites([30.0, -90.0, 150.0, 0.0, 180.0]), min_kw=st.sampled_from([0.0, 1.4, 4.2]))
@settings(max_examples=examples(60))
def test_no_current_passes_its_limit_at_any_angles(name, site, min_kw):
    within, max_kw, room_kw = site
    given_kw = shares(name, within, max_kw, room_kw, min_kw)
    assert (within.current_a(given_kw) <= within.limit_a + 1e-6).all()
    assert ((given_kw == 0.0) | (given_kw >= np.minimum(min_kw, max_kw) - 1e-6)).all()


def test_a_line_of_a_delta_carries_the_root_of_three_of_equal_currents():
    # 1 kW at 200 V is 5 A; AB less CA at 60 degrees
    delta = np.exp(1j * np.deg2rad([DELTA_DEG["ab"], DELTA_DEG["ca"]])) * np.array([1, -1]) * 5.0
    within = circuits([delta], [50.0])
    assert within.current_a(np.array([4.0, 4.0])) == pytest.approx([20.0 * np.sqrt(3.0)])
    assert shares("equal_share", within, [30.0, 30.0]) == pytest.approx([10.0 / np.sqrt(3.0)] * 2)
    assert shares("edf", within, [30.0, 30.0]) == pytest.approx([10.0, 0.0])
    # |6 + x e^(60 deg)| = 10: x = sqrt(73) - 3
    assert shares("edf", within, [6.0, 30.0]) == pytest.approx([6.0, np.sqrt(73.0) - 3.0])


def test_who_is_held_back_by_a_panel_leaves_more_to_the_others():
    panel = circuits([[5.0, 5.0, 0.0]], [40.0])
    assert shares("equal_share", panel, [30.0] * 3, room_kw=20.0) == pytest.approx([4.0, 4.0, 12.0])
    assert shares("edf", panel, [30.0] * 3, room_kw=20.0) == pytest.approx([8.0, 0.0, 12.0])
    assert shares("round_robin", panel, [30.0] * 3, room_kw=20.0) == pytest.approx([4.0, 4.0, 12.0])


def test_below_their_least_power_connectors_of_a_panel_pause_one_by_one():
    panel = circuits([[5.0, 5.0, 0.0]], [25.0])
    assert shares("equal_share", panel, [30.0] * 3, room_kw=20.0, min_kw=4.0) == pytest.approx([5.0, 0.0, 15.0])


# --- scenarios --------------------------------------------------------------------------------------------------------


def garage(**circuits) -> dict:
    """Six connectors between lines at 208 V, two on each pair, and more EVs than the lines carry."""
    given = {
        "voltage_v": 208,
        "groups": {
            name: {"connectors": [k + 1, k + 4], "angle_deg": angle}
            for k, (name, angle) in enumerate(DELTA_DEG.items())
        },
        "limits": [{"name": f"line {line}", "limit_a": 60, "sum": parts} for line, parts in LINES.items()],
        **circuits,
    }
    sessions = [{"at": f"{n}min", "stay": "50min", "energy_kwh": 20, "connector": n + 1} for n in range(6)]
    return plants.smallest(
        duration="1h",
        hubs={
            "depot": {
                "grid": {"contracted_kw": 100},
                "connectors": {"count": 6, "rated_kw": 6.656, "phases": 1, "circuits": given},
                "sessions": {"type": "list", "items": sessions},
            }
        },
    )


@pytest.mark.parametrize("name", ["equal_share", "edf", "round_robin"])
def test_a_run_keeps_the_currents_of_its_lines_and_uses_them(name, tmp_path):
    data = garage() | {"controller": {"type": name, "period": "1min"}}
    within = build(plants.loaded(data, tmp_path)).entities
    within = next(entity.parameters["site"].circuits for entity in within if entity.sid == "controller")
    with open_results(plants.run_data(data, tmp_path, f"{name}.h5", "inprocess")) as results:
        _, p_kw = results.arrays("depot/cp/connector_p_kw")
    currents_a = np.array([within.current_a(row) for row in p_kw])
    assert currents_a.max() <= 60.0 + 1e-6
    # six EVs would draw 2 x 32 A between each pair of lines, 111 A in a line
    assert currents_a.max() >= 60.0 - 0.25 * np.sqrt(3.0) * 1000.0 / 208.0


@pytest.mark.parametrize(
    ("circuits", "key", "allowed"),
    [
        ({"limits": [{"name": "x", "limit_a": 1, "sum": {"zz": 1}}]}, "circuits", "'zz' must be one of ab, bc, ca"),
        ({"groups": {"ab": {"connectors": [7]}}, "limits": [{"name": "x", "limit_a": 1, "sum": {"ab": 1}}]},
         "connectors", "circuits.groups.ab: connectors are numbered 1 to 6, got 7"),
        ({"groups": {"ab": {"connectors": [1]}, "bc": {"connectors": [2, 1]}},
          "limits": [{"name": "x", "limit_a": 1, "sum": {"ab": 1}}]},
         "circuits", "connector 1 must be in one group, got ab and bc"),
    ],
)  # fmt: skip
def test_circuits_that_do_not_fit_are_refused_by_name(circuits, key, allowed, tmp_path):
    with pytest.raises(InputError) as told:
        plants.loaded(garage(**circuits), tmp_path)
    assert allowed in str(told.value)
    assert key in str(told.value)


@given(
    rows=st.lists(st.lists(st.complex_numbers(max_magnitude=5.0), min_size=4, max_size=4), min_size=1, max_size=3),
    max_kw=st.lists(st.floats(0.0, 20.0), min_size=4, max_size=4),
    limit_a=st.floats(1.0, 300.0),
    room_kw=st.floats(1.0, 100.0),
    order=st.permutations(range(4)),
)
def test_what_surely_fits_is_given_whole_in_any_order(rows, max_kw, limit_a, room_kw, order):
    allocation = Allocation(room_kw, circuits(rows, [limit_a] * len(rows)))
    sure = allocation.count_fitting(np.array(max_kw), np.array(order))
    for i in order[:sure]:
        assert allocation.max_extra_kw(i, max_kw[i]) == max_kw[i]
        allocation.allocate(i, max_kw[i])
    if sure < len(order):
        p_kw = np.zeros(4)
        p_kw[order[: sure + 1]] = np.array(max_kw)[order[: sure + 1]]
        assert p_kw.sum() > room_kw - 1e-6 or (np.abs(rows) @ p_kw).max() > limit_a - 1e-6
