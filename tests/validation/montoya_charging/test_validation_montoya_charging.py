"""Charging functions of Montoya et al. 2017; see README.md."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.simulators.battery import battery_model as battery

FOLDER = Path(str(files("evhub.simulators") / "data" / "batteries"))
FUNCTIONS = json.loads(Path(__file__).with_name("charging_functions.json").read_text(encoding="utf-8"))[
    "functions_h_Wh"
]
KINDS = list(FUNCTIONS)
CAPACITY_KWH = 16.0
KINKS = (0.85, 0.95)


def station_kw(kind):
    hours, wh = FUNCTIONS[kind][1]
    return wh / 1000 / hours


def cells(name, charge_c=None):
    cell_set = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    if charge_c is not None:
        cell_set["limits"]["i_charge_max_a"] = charge_c * cell_set["cell"]["q_ah"]
    return battery.pack(cell_set, capacity_kwh=CAPACITY_KWH, p_charge_max_kw=50.0)


def hours_to(pack, p_kw):
    """Times [h] to the kinks and to the end of charge, from empty."""
    state, t_s, times, reached = battery.initial(pack, 0.0), 0.0, [0.0], [0.0]
    while True:
        held = battery.hold(pack, state, np.array([-p_kw]), 1.0)
        if not np.isfinite(held.hold_s[0]):
            return [*np.interp(KINKS, reached, times), times[-1]]
        dt_s = min(held.hold_s[0], 30.0)
        state = battery.advance(pack, state, held.p_kw, dt_s)
        t_s += dt_s
        times.append(t_s / 3600)
        reached.append(state.soc[0])


@pytest.mark.parametrize(
    ("kind", "pack", "tolerances"),
    [
        ("fast", cells("tremblay_liion_3p3v_2p3ah", charge_c=4.0), (0.05, 0.10, 0.20)),
        ("normal", cells("nissan_leaf_2013"), (0.05, 0.10, 0.15)),
        ("slow", cells("nissan_leaf_2013"), (0.05, 0.10, 0.15)),
    ],
    ids=KINDS,
)
def test_charging_takes_about_as_long_as_published(kind, pack, tolerances):
    published_h = [hours for hours, _ in FUNCTIONS[kind][1:]]
    for ours_h, theirs_h, tolerance in zip(hours_to(pack, station_kw(kind)), published_h, tolerances, strict=True):
        assert ours_h == pytest.approx(theirs_h, rel=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_ideal_battery_follows_the_first_segment(kind):
    pack = battery.ideal(CAPACITY_KWH, p_charge_max_kw=50.0)
    p_kw = {"fast": 44.0, "normal": 22.0, "slow": 11.0}[kind]
    assert hours_to(pack, p_kw)[0] == pytest.approx(FUNCTIONS[kind][1][0], rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_charging_slows_down_from_segment_to_segment(kind):
    pack = cells("nissan_leaf_2013")
    pace = np.diff([0.0, *KINKS, 1.0]) / np.diff([0.0, *hours_to(pack, station_kw(kind))])
    assert (np.diff(pace) < 0).all()
