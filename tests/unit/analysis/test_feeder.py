"""The unbalanced feeder: linear voltages with known answers, OpenDSS decks, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.analysis.dispatchability.feeder import Feeder, Line, Source

from ...helpers.power_flow import linear_voltages

Z = np.array(
    [
        [0.3 + 1.0j, 0.15 + 0.5j, 0.15 + 0.4j],
        [0.15 + 0.5j, 0.3 + 1.1j, 0.15 + 0.3j],
        [0.15 + 0.4j, 0.15 + 0.3j, 0.3 + 1j],
    ]
)


def only(phases: str, z: np.ndarray = Z) -> np.ndarray:
    """The impedance matrix of a line that has only these phases."""
    there = np.array([phase in phases for phase in "abc"])
    return z * np.outer(there, there)


def feeder(*lines: Line, **changes) -> Feeder:
    return replace(Feeder(4.16, Source("s"), lines), **changes)


TRUNK = Line("trunk", "s", "m", "abc", Z)
LATERAL = Line("lateral", "m", "l", "c", only("c"))


def test_what_a_feeder_keeps_is_what_it_works_out_anew():
    kept = feeder(TRUNK, LATERAL)
    for name in ("oriented", "buses", "bus_phases", "nodes", "linear"):
        again = getattr(Feeder, name).func(kept)
        np.testing.assert_equal(getattr(kept, name), again)
        assert getattr(kept, name) is getattr(kept, name)


# --- voltages ---------------------------------------------------------------------------------------------------------


def test_a_single_phase_drop_is_that_of_the_textbook():
    """2 (r P + x Q) / V^2: 200 kW and 100 kvar over 0.3 + 1j ohm at 2.4018 kV against ground."""
    one = feeder(Line("line", "s", "e", "a", only("a")))
    v = linear_voltages(one, {"e": np.array([200.0, 0, 0])}, {"e": np.array([100.0, 0, 0])})["e"]
    assert v[0] ** 2 == pytest.approx(1.0 - 2.0 * (0.3 * 0.2 + 1.0 * 0.1) / (4.16**2 / 3))
    assert np.isnan(v[1:]).all()


def test_equal_phases_see_self_minus_mutual_impedance():
    """A balanced load on a transposed line drops by the positive sequence impedance alone."""
    self_ohm, mutual = 0.3 + 1.0j, 0.1 + 0.4j
    z = np.full((3, 3), mutual) + (self_ohm - mutual) * np.eye(3)
    one = feeder(Line("line", "s", "e", "abc", z))
    v = linear_voltages(one, {"e": np.full(3, 200.0)}, {"e": np.full(3, 100.0)})["e"]
    z1 = self_ohm - mutual
    assert v**2 == pytest.approx(np.full(3, 1.0 - 2.0 * (z1.real * 0.2 + z1.imag * 0.1) / (4.16**2 / 3)))


def test_the_exact_current_drop_is_met_for_small_loads():
    """Against V_end = V_start - Z I with exact complex voltages; the difference is of second order."""

    def difference(kva: float) -> float:
        s = kva * np.array([1.0 + 0.5j, 0.4 + 0.1j, 0.2 - 0.3j])
        base = 4.16 / np.sqrt(3)
        start = base * np.exp(-2j * np.pi / 3 * np.array([0, 1, 2]))
        end = start.copy()
        for _ in range(50):
            end = start - Z @ np.conj(s / 1e3 / end)
        ours = linear_voltages(feeder(TRUNK), {"m": s.real}, {"m": s.imag})["m"]
        return float(np.abs(ours - np.abs(end) / base).max())

    assert difference(10.0) < 1e-5
    assert 50.0 < difference(100.0) / difference(10.0) < 200.0


@given(st.lists(st.floats(-200, 200), min_size=12, max_size=12), st.floats(-2, 2))
def test_squared_voltages_are_linear_in_power(numbers, share):
    lines = feeder(TRUNK, LATERAL, ratios={"lateral": (1.0, 1.0, 1.02)})
    p = {"m": np.array(numbers[:3]), "l": np.array([0, 0, numbers[3]])}
    q = {"m": np.array(numbers[4:7]), "l": np.array([0, 0, numbers[7]])}
    u0, r, x = lines.linear
    drawn = [np.array([table[bus][k] if bus in table else 0.0 for bus, k in lines.nodes]) for table in (p, q)]
    ours = linear_voltages(lines, p, q)
    expected = u0 - r @ drawn[0] - x @ drawn[1]
    assert [ours[bus][k] ** 2 for bus, k in lines.nodes] == pytest.approx(expected)
    scaled = linear_voltages(lines, {b: share * v for b, v in p.items()}, {b: share * v for b, v in q.items()})
    assert [scaled[bus][k] ** 2 - u for (bus, k), u in zip(lines.nodes, u0, strict=True)] == pytest.approx(
        share * (expected - u0), abs=1e-9
    )


def test_a_regulator_lifts_what_is_behind_it():
    lifted = feeder(TRUNK, LATERAL, ratios={"lateral": (1.0, 1.0, 1.05)})
    plain = linear_voltages(feeder(TRUNK, LATERAL), {}, {})
    v = linear_voltages(lifted, {}, {})
    assert v["l"][2] == pytest.approx(1.05 * plain["l"][2])
    assert v["m"] == pytest.approx(plain["m"])


def test_a_load_beyond_what_the_feeder_carries_is_told():
    with pytest.raises(ValueError, match=r"squared voltage of -.* pu: the load is beyond"):
        linear_voltages(feeder(TRUNK), {"m": np.full(3, 1e5)}, {})


def test_lines_may_be_listed_in_any_order_and_direction():
    turned = feeder(replace(LATERAL, start="l", end="m"), replace(TRUNK, start="m", end="s"))
    load = {"l": np.array([0.0, 0.0, 90.0])}
    assert linear_voltages(turned, load, {})["l"][2] == linear_voltages(feeder(TRUNK, LATERAL), load, {})["l"][2]


# --- what is refused --------------------------------------------------------------------------------------------------

skew = Z.copy()
skew[0, 1] += 0.01


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (feeder(TRUNK, replace(LATERAL, phases="ab", z_ohm=only("ab")), Line("x", "l", "y", "c", only("c"))),
         "lines.x.phases c must be phases that bus l has (ab); phase c ends there"),
        (feeder(replace(TRUNK, z_ohm=skew)), "lines.trunk.r 0.15 for phases ba and 0.16 for the reverse must"),
        (feeder(replace(LATERAL, start="s", z_ohm=Z)), "lines.lateral.z_ohm (0.3+1j) must be 0 for phase a"),
        (feeder(TRUNK, replace(LATERAL, start="far", end="away")), "lines.lateral far - away must be connected"),
        (feeder(TRUNK, LATERAL, replace(LATERAL, name="loop", start="s")), "lines.loop s - l must not close a loop"),
        (feeder(replace(TRUNK, phases="abd")), "lines.trunk.phases abd must be one to three of a, b, c"),
        (feeder(replace(TRUNK, limit_kva=0.0)), "lines.trunk.limit_kva 0.0 must be > 0"),
        (feeder(replace(TRUNK, z_ohm=-Z)), "lines.trunk.z_ohm (-0.3-1j) must have r >= 0"),
        (feeder(TRUNK, LATERAL, replace(LATERAL, end="k")), "lines.lateral Ellipsis must have a name of its own"),
        (feeder(TRUNK, source=Source("s", power_factor=1.2)), "source.power_factor 1.2 must be > 0 and <= 1"),
        (feeder(TRUNK, v_min_pu=1.2), "v_min_pu 1.2 must be > 0 and below v_max_pu 1.1"),
    ],
)  # fmt: skip
def test_a_wrong_feeder_is_refused_with_bus_phase_and_value(wrong, told):
    texts = [f"{key} {value} {allowed}" for key, value, allowed in wrong.problems()]
    assert any(text.startswith(told) for text in texts), texts


def test_a_good_feeder_has_no_problems():
    assert list(feeder(TRUNK, LATERAL).problems()) == []


def test_a_regulator_on_a_line_that_is_listed_from_its_far_end_is_refused():
    reverse = replace(TRUNK, start="m", end="s")
    assert list(feeder(TRUNK, ratios={"trunk": (1.05,) * 3}).problems()) == []
    assert list(feeder(reverse).problems()) == []
    (problem,) = feeder(reverse, ratios={"trunk": (1.05,) * 3}).problems()
    assert problem == ("lines.trunk", "m - s", "must start at s, where its regulator stands")
