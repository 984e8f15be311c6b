"""The battery model: cell equations, motion at constant power, limits, and what `hold` promises."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from math import inf
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from evhub.simulators.battery import battery_model as battery
from evhub.simulators.battery import cell_limits, cell_motion
from evhub.simulators.battery import tremblay_cell as tremblay
from evhub.simulators.battery.battery_model import ChargingPhase
from evhub.simulators.battery.battery_unit import current_at, emf_v, settled_source
from tests.helpers.cell_forms import extract, from_2007

from ...helpers.sizes import examples

FOLDER = Path(str(files("evhub.simulators") / "data" / "batteries"))
SETS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
LEAF, LFP = "nissan_leaf_2013", "tremblay_liion_3p3v_2p3ah"
names = pytest.mark.parametrize("name", SETS)
RATED_KW = 60.0  # of a pack of 20 kWh, at which the cell limits come before the converter's


def make(name, **options):
    options = {"capacity_kwh": 20.0, "p_charge_max_kw": RATED_KW, "p_discharge_max_kw": RATED_KW} | options
    return battery.ideal(**options) if name == "ideal" else battery.pack(SETS[name], **options)


def run(pack, soc, p_set_kw, *, step_s=1.0, until_s=inf, asked_every_s=inf, **options):
    """Follow `hold` and `advance`: rows of (time, power, phase, SoC, cell voltage), one a piece and one at the end."""
    state, t_s, rows = battery.initial(pack, soc), 0.0, []
    while True:
        held = battery.hold(pack, state, np.array([p_set_kw]), step_s, **options)
        dt_s = min(held.hold_s[0], asked_every_s, until_s - t_s)
        voltage_v = battery.terminal_voltage_v(pack, state, held.p_kw)[0] / pack.n_series[0]
        rows.append((t_s, held.p_kw[0], held.phase[0], state.soc[0], voltage_v))
        if held.hold_s[0] == inf or dt_s <= 0:
            return np.array(rows), state
        state = battery.advance(pack, state, held.p_kw, dt_s)
        t_s += dt_s


def energy_kwh(rows):
    return (rows[:-1, 1] * np.diff(rows[:, 0])).sum() / 3600


# ---------------------------------------------------------------------------------------------------- cell equations


@names
def test_charging_voltage_is_finite_and_falls_all_the_way_from_full(name):
    """Ports that write `it - 0.1 Q` have a pole at SoC 0.9 instead."""
    cell = make(name)
    it_ah = np.linspace(0.0, 0.15, 301) * cell.q_ah
    voltage_v = tremblay.voltage_v(cell, it_ah, -cell.q_ah, -cell.q_ah)
    assert np.isfinite(voltage_v).all()
    assert (np.diff(voltage_v) < 0).all()


@names
def test_charge_and_discharge_equation_agree_without_filtered_current(name):
    cell = make(name)
    it_ah = np.linspace(0.0, 0.99, 100) * cell.q_ah
    charge, discharge = (tremblay.voltage_v(cell, it_ah, 1.0, i) for i in (-1e-12, 1e-12))
    np.testing.assert_allclose(charge, discharge, rtol=1e-9)


def test_voltage_of_arrays_is_that_of_floats():
    cell = tremblay.Cell(3.366, 0.01, 0.0076, 0.26422, 26.5487, 2.3)
    it_ah, i_a = np.array([0.0, 0.4, 2.0]), np.array([-2.0, 0.0, 5.0])
    by_one = [tremblay.voltage_v(cell, *each) for each in zip(it_ah.tolist(), i_a.tolist(), i_a.tolist(), strict=True)]
    np.testing.assert_allclose(tremblay.voltage_v(cell, it_ah, i_a, i_a), by_one, rtol=1e-14)


@names
def test_energy_at_rest_is_the_integral_of_the_open_circuit_voltage(name):
    unit = make(name).units[0]
    integral, _ = quad(
        lambda it: tremblay.open_circuit_v(unit, it), 0.0, 0.95 * unit.q_ah, points=[1 / unit.b_per_ah], limit=200
    )
    assert tremblay.open_circuit_wh(unit, 0.95 * unit.q_ah) == pytest.approx(integral, rel=1e-8)


def test_cell_of_the_2007_form_has_the_voltages_of_that_form():
    e0_v, r_ohm, k_v, a_v, b_per_ah, q_ah = 3.74, 0.01, 0.04, 0.3, 5.0, 2.0
    it_ah, i_a = np.linspace(0.0, 1.9, 20), np.linspace(-3.0, 3.0, 20)
    voltage_2007 = e0_v - k_v * q_ah / (q_ah - it_ah) + a_v * np.exp(-b_per_ah * it_ah) - r_ohm * i_a
    cell = from_2007(tremblay.Cell(e0_v, r_ohm, k_v, a_v, b_per_ah, q_ah))
    np.testing.assert_allclose(tremblay.voltage_v(cell, it_ah, i_a, 0.0), voltage_2007, rtol=1e-14)


SHEET = {"v_full_v": 4.17, "v_exp_v": 3.714, "v_nom_v": 3.57, "q_ah": 2.33, "q_exp_ah": 1.74, "q_nom_ah": 2.14}


def test_extracted_cell_passes_the_points_of_its_data_sheet():
    cell = extract(**SHEET, r_ohm=0.083, i_typical_a=0.466)
    assert tremblay.voltage_v(cell, 0.0, 0.466, 0.0) == pytest.approx(4.17, abs=1e-12)
    assert tremblay.voltage_v(cell, 2.14, 0.466, 0.466) == pytest.approx(3.57, abs=1e-12)


def test_extraction_refuses_charges_out_of_order():
    with pytest.raises(ValueError, match=r"0 < q_exp_ah < q_nom_ah < q_ah, got 2.2, 2.14, 2.33"):
        extract(**SHEET | {"q_exp_ah": 2.2}, r_ohm=0.083, i_typical_a=0.466)


@given(st.floats(1, 500), st.floats(0, 1), st.floats(-1, 0.999))
def test_current_gives_the_power_it_was_asked_for(source_v, r_ohm, share):
    p_w = share * source_v**2 / (4 * max(r_ohm, 0.01))
    i_a = tremblay.current_a(source_v, r_ohm, p_w)
    assert (source_v - r_ohm * i_a) * i_a == pytest.approx(p_w, rel=1e-9, abs=1e-9)


def test_current_is_finite_beyond_the_greatest_power():
    i_a = [tremblay.current_a(4.0, 0.01, p_w) for p_w in (400.0, 401.0, 1e6)]  # the greatest is 400 W at 200 A
    assert i_a[0] == pytest.approx(200.0)
    assert np.isfinite(i_a).all()
    assert (np.diff(i_a) > 0).all()


# --------------------------------------------------------------------------------------------------------- parameters


@names
def test_data_file_says_what_it_is_and_makes_a_pack(name):
    given_set = SETS[name]
    assert {"name", "source", "chemistry"} <= given_set.keys()
    pack = battery.pack(given_set, p_charge_max_kw=10.0)
    assert pack.n_series[0] == given_set["pack"]["n_series"]
    assert 0.0 <= 1 - pack.units[0].it_empty_ah / pack.q_ah[0] < 0.2
    assert 0.95 < 1 - pack.units[0].it_full_ah / pack.q_ah[0] <= 1.0


@names
def test_pack_is_scaled_to_the_energy_asked_for(name):
    assert battery.capacity_kwh(make(name, capacity_kwh=77.0)) == pytest.approx([77.0], rel=1e-12)


@names
def test_nominal_energy_is_that_of_a_slow_discharge(name):
    """From full to 10 % at C/100, as a share of 90 % of the nominal energy."""
    pack = make(name, soc_min=0.1)
    rows, state = run(pack, 1 - pack.units[0].it_full_ah / pack.q_ah[0], 0.2, step_s=60.0)
    moved = rows[0, 3] - state.soc[0]
    assert energy_kwh(rows) / moved == pytest.approx(20.0, rel=0.03)


def test_energy_of_an_ideal_battery_is_its_capacity():
    assert battery.capacity_kwh(battery.ideal(12.5, p_charge_max_kw=5.0)) == pytest.approx([12.5], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity_kwh": -5.0}, r"capacity_kwh must be > 0, got -5"),
        ({"capacity_kwh": 5.0, "n_parallel": 2}, r"capacity_kwh or n_parallel, not both, got 5.0 and 2"),
        ({"n_series": 0}, r"n_series must be > 0 and finite, got 0"),
        ({"p_charge_max_kw": inf}, r"p_charge_max_kw must be >= 0 and finite, got inf"),
        ({"eta_charge": 1.2}, r"eta_charge must be in \(0, 1\], got 1.2"),
        ({"soc_max": 1.5}, r"soc_max must be in \[0, 1\], got 1.5"),
        ({"soc_min": 0.9, "soc_max": 0.1}, r"soc_min must be <= soc_max, got 0.9 and 0.1"),
    ],
)
def test_pack_refuses_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        battery.pack(SETS[LEAF], **{"p_charge_max_kw": 10.0} | options)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"v_max_v": 2.9}, r"v_min_v < v_max_v, got 3.0 and 2.9"),
        ({"v_min_v": 1.0}, r"e0_v / 2 <= v_min_v < v_max_v, got 1.0 and 4.2"),
        ({"i_end_a": 0.0}, r"i_end_a must be > 0 and finite, got 0.0"),
    ],
)
def test_cell_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        battery.pack(SETS[LEAF] | {"limits": SETS[LEAF]["limits"] | limits}, p_charge_max_kw=10.0)


def test_missing_entry_of_a_cell_set_is_named():
    cell = {key: value for key, value in SETS[LEAF]["cell"].items() if key != "r_ohm"}
    with pytest.raises(ValueError, match=r"'Nissan Leaf 2013 cell' has no 'r_ohm'"):
        battery.pack(SETS[LEAF] | {"cell": cell}, p_charge_max_kw=10.0)


def test_parameters_of_unequal_length_are_refused():
    values = {
        field: getattr(make(LEAF), field)
        for field in (f.name for f in dataclasses.fields(battery.BatteryParameters) if f.init)
    }
    with pytest.raises(ValueError, match=r"one shape \(n,\), got .*'q_ah': \(2,\)"):
        battery.BatteryParameters(**values | {"q_ah": np.ones(2)})


def test_changed_field_changes_the_behaviour():
    """The floats beside the arrays are made anew."""
    pack = dataclasses.replace(make(LEAF), soc_max=np.array([0.5]))
    assert battery.hold(pack, battery.initial(pack, 0.5), np.array([-5.0]), 1.0).phase[0] == ChargingPhase.DONE


def test_stacked_packs_keep_their_order_and_put_exchanges_one():
    packs = battery.stack([make(LEAF), make("ideal", capacity_kwh=5.0), make(LFP)])
    changed = battery.put(packs, 1, make(LEAF, capacity_kwh=40.0))
    assert battery.capacity_kwh(packs) == pytest.approx([20, 5, 20])
    assert battery.capacity_kwh(changed) == pytest.approx([20, 40, 20])
    state = battery.initial(changed, 0.5)
    limits = battery.power_limits(changed, state, 1.0)
    alone = battery.power_limits(make(LEAF, capacity_kwh=40.0), battery.initial(make(LEAF), 0.5), 1.0)
    assert (limits[0][1], limits[1][1]) == (alone[0][0], alone[1][0])


def test_put_state_leaves_the_others_and_the_old_state_alone():
    packs = battery.stack([make(LEAF), make(LEAF)])
    old = battery.advance(packs, battery.initial(packs, [0.4, 0.5]), np.array([5.0, 5.0]), 60.0)
    new = battery.put_state(old, 1, 0.9)
    assert (new.soc[1], new.i_filtered_a[1]) == (0.9, 0.0)
    assert (new.soc[0], new.i_filtered_a[0]) == (old.soc[0], old.i_filtered_a[0])
    assert old.soc[1] != 0.9


@pytest.mark.parametrize("soc", [-0.1, 1.1, np.nan])
def test_soc_outside_0_to_1_is_refused(soc):
    with pytest.raises(ValueError, match=r"soc must be in \[0, 1\]"):
        battery.initial(make(LEAF), soc)
    with pytest.raises(ValueError, match=r"soc must be in \[0, 1\]"):
        battery.put_state(battery.initial(make(LEAF), 0.5), 0, soc)


# ------------------------------------------------------------------------------------------------------------- motion


def c_rate_kw(pack, rate):
    """Power at the terminals for a C-rate, by nominal energy."""
    return rate * battery.capacity_kwh(pack)[0]


@names
@pytest.mark.parametrize("rate", [-1.0, -0.3, 0.3, 1.0])
def test_advance_solves_the_differential_equations(name, rate):
    """Against an integrator for stiff equations, from a filtered current of the opposite sign."""
    pack = make(name)
    unit, p_kw = pack.units[0], c_rate_kw(pack, 0.6 * rate)
    start_a = 0.0 if unit.tau_s == inf else -rate * unit.q_ah
    state = battery.BatteryState(np.array([0.5]), np.array([start_a]))
    dt_s = 1200.0 / abs(rate)
    p_w = p_kw * 1000 / (unit.n_series * unit.n_parallel)

    def rates(_, y):
        i_a = tremblay.current_a(tremblay.emf_v(unit, y[0], y[1]), unit.r_ohm, p_w)
        return i_a / 3600, (i_a - y[1]) / unit.tau_s

    truth = solve_ivp(rates, (0, dt_s), (0.5 * unit.q_ah, start_a), "LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
    after = battery.advance(pack, state, np.array([p_kw]), dt_s)
    assert after.soc[0] == pytest.approx(1 - truth[0] / unit.q_ah, abs=1e-6)
    assert after.i_filtered_a[0] == pytest.approx(truth[1], abs=2e-5 * unit.q_ah)


@settings(max_examples=examples(40))
@given(
    name=st.sampled_from([LEAF, LFP, "tremblay_lead_acid_12v_7p2ah", "sam_liion_3p4v_2p25ah", "ideal"]),
    soc=st.floats(0.3, 0.8),
    rate=st.floats(-1, 1),
    cuts=st.lists(st.floats(0, 1), max_size=20),
    dt_s=st.floats(1, 4000),
)
def test_advance_in_parts_is_advance_at_once(name, soc, rate, cuts, dt_s):
    pack = make(name)
    dt_s = min(dt_s, 0.2 / (abs(rate) + 1e-3) * 3600)  # stay clear of empty and full
    p_kw = np.array([c_rate_kw(pack, 0.7 * rate)])
    once = battery.advance(pack, battery.initial(pack, soc), p_kw, dt_s)
    parts = battery.initial(pack, soc)
    for part_s in np.diff([0.0, *sorted(cuts), 1.0]) * dt_s:
        parts = battery.advance(pack, parts, p_kw, float(part_s))
    assert parts.soc[0] == pytest.approx(once.soc[0], abs=1e-6)


def test_at_rest_soc_stays_and_the_filtered_current_fades():
    pack = make(LEAF)
    after = battery.advance(pack, battery.BatteryState(np.array([0.4]), np.array([10.0])), np.zeros(1), 45.0)
    assert after.soc[0] == 0.4
    assert after.i_filtered_a[0] == pytest.approx(10.0 * np.exp(-1.5), rel=1e-12)


def test_advance_does_not_touch_the_state_it_was_given():
    pack = make(LEAF)
    state = battery.initial(pack, 0.4)
    battery.advance(pack, state, np.array([5.0]), 60.0)
    assert (state.soc[0], state.i_filtered_a[0]) == (0.4, 0.0)


@given(st.floats(-60, 60), st.floats(1, 900), st.floats(0.5, 1), st.floats(0.5, 1))
def test_ideal_battery_loses_energy_in_its_converter_only(p_kw, dt_s, eta_charge, eta_discharge):
    pack = make("ideal", eta_charge=eta_charge, eta_discharge=eta_discharge)
    after = battery.advance(pack, battery.initial(pack, 0.5), np.array([p_kw]), dt_s)
    inside_kwh = p_kw * dt_s / 3600 * (1 / eta_discharge if p_kw > 0 else eta_charge)
    assert (0.5 - after.soc[0]) * 20.0 == pytest.approx(inside_kwh, abs=1e-11)


@names
def test_energy_goes_into_heat_on_the_way_in_and_out(name):
    """What is delivered is what leaves the cells at rest less the heat, which is that of all resistance, roughly."""
    pack = make(name)
    unit = pack.units[0]
    for sign in (-1.0, 1.0):
        p_kw = c_rate_kw(pack, 0.2 * sign)
        state = battery.advance(pack, battery.initial(pack, 0.5), np.array([p_kw]), 3600.0)
        cells = unit.n_series * unit.n_parallel / 1000
        rest_kwh = cells * (
            tremblay.open_circuit_wh(unit, (1 - state.soc[0]) * unit.q_ah)
            - tremblay.open_circuit_wh(unit, 0.5 * unit.q_ah)
        )
        heat_kwh = rest_kwh - p_kw
        i_a = 0.2 * unit.q_ah
        _, ohm = settled_source(unit, (0.5 + sign * 0.1) * unit.q_ah, sign)
        assert heat_kwh == pytest.approx(cells * ohm * i_a**2, rel=0.15)


@names
def test_voltage_and_current_at_the_terminals_make_the_power(name):
    pack = make(name, eta_charge=0.95, eta_discharge=0.9)
    for p_kw in (-8.0, 8.0):
        state = battery.advance(pack, battery.initial(pack, 0.5), np.array([p_kw]), 100.0)
        at = pack, state, np.array([p_kw])
        inside_kw = battery.terminal_voltage_v(*at) * battery.current_a(*at) / 1000
        assert inside_kw == pytest.approx([p_kw * 0.95 if p_kw < 0 else p_kw / 0.9], rel=1e-9)


# --------------------------------------------------------------------------------------------------------------- hold


def test_ideal_battery_charges_at_the_request_until_it_is_full():
    """10 kWh from SoC 0.5 at 4 kW: 75 min to the second."""
    rows, state = run(make("ideal", capacity_kwh=10.0), 0.5, -4.0)
    assert rows[-1, 0] == 4500
    assert rows[:-1, 1] == pytest.approx(-4.0, rel=1e-9)
    assert rows[-1, 2] == ChargingPhase.DONE
    assert state.soc[0] == pytest.approx(1.0, abs=1e-10)


def test_last_step_has_less_power_and_lands_on_the_bound():
    """0.01 kWh of room at 10 kW last 3.6 s: three steps of 10 kW, one of 6."""
    pack = make("ideal", capacity_kwh=10.0, soc_max=0.8)
    rows, state = run(pack, 0.799, -10.0)
    power_kw = {t_s: p_kw for t_s, p_kw, *_ in rows}
    assert power_kw[0.0] == -10.0
    assert power_kw[3.0] == pytest.approx(-6.0, rel=1e-8)
    assert rows[-1, 0] == 4.0
    assert state.soc[0] == pytest.approx(0.8, abs=1e-10)


def test_room_for_less_than_a_step_is_filled_in_one():
    pack = make("ideal", capacity_kwh=10.0, soc_min=0.2)
    held = battery.hold(pack, battery.initial(pack, 0.21), np.array([20.0]), 900.0)
    assert held.hold_s[0] == 900
    assert held.p_kw[0] == pytest.approx(0.1 * 4, rel=1e-9)  # 0.1 kWh in a quarter of an hour


def test_hour_of_a_request_within_all_limits_is_one_promise():
    pack = make(LEAF)
    held = battery.hold(pack, battery.initial(pack, 0.5), np.array([-5.0]), 1.0)
    assert (held.p_kw[0], held.phase[0]) == (-5.0, ChargingPhase.POWER)
    assert held.hold_s[0] > 3600


@pytest.mark.parametrize(("asked_kw", "given_kw"), [(-100.0, -11.0), (100.0, 7.0)])
def test_request_is_cut_to_the_rating(asked_kw, given_kw):
    pack = make(LEAF, p_charge_max_kw=11.0, p_discharge_max_kw=7.0)
    assert battery.hold(pack, battery.initial(pack, 0.5), np.array([asked_kw]), 1.0).p_kw[0] == given_kw


def test_idle_and_one_way_batteries_wait_for_ever():
    pack = make(LEAF, p_discharge_max_kw=0.0)
    for asked_kw in (0.0, 5.0, -1e-16):
        held = battery.hold(pack, battery.initial(pack, 0.5), np.array([asked_kw]), 1.0)
        assert (held.p_kw[0], held.hold_s[0], held.phase[0]) == (0.0, inf, ChargingPhase.IDLE)


@pytest.mark.parametrize(("soc", "p_kw"), [(0.9, -5.0), (0.95, -5.0), (0.2, 5.0), (0.1, 5.0)])
def test_no_power_moves_the_soc_further_out_of_its_window(soc, p_kw):
    pack = make(LEAF, soc_min=0.2, soc_max=0.9)
    state = battery.initial(pack, soc)
    assert battery.hold(pack, state, np.array([p_kw]), 1.0).phase[0] == ChargingPhase.DONE
    assert battery.hold(pack, state, np.array([-p_kw]), 1.0).p_kw[0] == -p_kw


@names
def test_full_battery_stays_full_after_its_voltage_has_relaxed(name):
    pack = make(name)
    _, state = run(pack, 0.9, -RATED_KW)
    rested = battery.advance(pack, state, np.zeros(1), 3600.0)
    assert battery.hold(pack, rested, np.array([-RATED_KW]), 1.0).phase[0] == ChargingPhase.DONE


@settings(max_examples=examples(60))
@given(
    name=st.sampled_from([*SETS, "ideal"]),
    soc=st.floats(0.15, 0.9),
    requests=st.lists(st.floats(-RATED_KW, RATED_KW), min_size=1, max_size=12),
    step_s=st.sampled_from([1.0, 7.0, 60.0, 900.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_soc_stays_in_its_window_however_often_it_is_asked(name, soc, requests, step_s, seed):
    """Random requests for an hour in all, interrupted at random steps, advanced in random parts."""
    rng = np.random.default_rng(seed)
    pack = make(name, soc_min=0.15, soc_max=0.9)
    low, high = 0.15 - 1e-9, 0.9 + 1e-9
    state = battery.initial(pack, soc)
    for p_set_kw in requests:
        left = int(7200 // (step_s * len(requests))) + 1
        while left > 0:
            held = battery.hold(pack, state, np.array([p_set_kw]), step_s)
            assert abs(held.p_kw[0]) <= abs(p_set_kw)
            assert held.p_kw[0] * p_set_kw >= 0
            assert held.hold_s[0] >= step_s
            steps = int(min(held.hold_s[0] / step_s, left, rng.integers(1, 3000)))
            assert held.hold_s[0] == inf or held.hold_s[0] % step_s == 0
            for part in np.diff(np.unique([0, *rng.integers(0, steps + 1, 3), steps])).tolist():
                state = battery.advance(pack, state, held.p_kw, part * step_s)
                assert low <= state.soc[0] <= high
                assert np.isfinite(state.i_filtered_a[0])
            left -= steps


@names
def test_discharge_at_any_soc_and_power_is_finite(name):
    pack = make(name, p_discharge_max_kw=1000.0)
    for soc in (*np.linspace(0, 0.1, 21), 0.5, 1.0):
        state = battery.initial(pack, soc)
        for p_kw in (0.01, 1.0, 20.0, 1000.0):
            held = battery.hold(pack, state, np.array([p_kw]), 1.0)
            after = battery.advance(pack, state, held.p_kw, 1.0)
            assert 0 <= held.p_kw[0] <= p_kw
            assert np.isfinite([after.soc[0], battery.terminal_voltage_v(pack, after, held.p_kw)[0]]).all()
            assert after.soc[0] >= min(soc, 1 - pack.units[0].it_empty_ah / pack.q_ah[0]) - 1e-9


@names
def test_charge_from_empty_takes_its_nominal_energy_and_losses(name):
    rows, _ = run(make(name), 0.0, -10.0)
    assert len(rows) < 100
    assert 0.97 * 20 < -energy_kwh(rows) < 1.15 * 20


# ------------------------------------------------------------------------------------------------ current and voltage


def cc_cv(unit, soc, p_kw, dt_s=0.5):
    """Charge or discharge along the limits themselves, in small steps: time [s] and energy [kWh]."""
    sign = 1.0 if p_kw > 0 else -1.0
    limit_v, most_a = (unit.v_min_v, unit.i_discharge_max_a) if p_kw > 0 else (unit.v_max_v, unit.i_charge_max_a)
    end_ah = unit.it_empty_ah if p_kw > 0 else unit.it_full_ah
    p_w = p_kw * 1000 / (unit.n_series * unit.n_parallel)
    it_ah, filtered_a, t_s, e_wh = (1 - soc) * unit.q_ah, 0.0, 0.0, 0.0
    decay = np.exp(-dt_s / unit.tau_s)
    while sign * (end_ah - it_ah) > 0:
        source_v = tremblay.emf_v(unit, it_ah, filtered_a)
        i_abs = min(
            abs(tremblay.current_a(source_v, unit.r_ohm, p_w)),
            most_a,
            max(0.0, sign * (source_v - limit_v)) / unit.r_ohm,
        )
        i_a = sign * i_abs
        e_wh += (source_v - unit.r_ohm * i_a) * i_a * dt_s / 3600
        it_ah += i_a * dt_s / 3600
        filtered_a = i_a + (filtered_a - i_a) * decay
        t_s += dt_s
    return t_s, e_wh * unit.n_series * unit.n_parallel / 1000


@pytest.mark.parametrize("name", [LEAF, LFP, "panasonic_cgr18650da", "sam_liion_3p4v_2p25ah"])
@pytest.mark.parametrize("p_kw", [-10.0, -45.0, 20.0])
def test_pieces_of_constant_power_follow_the_limits(name, p_kw):
    """Against the continuous CC/CV trajectory of the same cell: pieces are right to second order."""
    pack = make(name)
    soc = 0.3 if p_kw < 0 else 0.7
    time_s, kwh = cc_cv(pack.units[0], soc, p_kw)
    rows, _ = run(pack, soc, p_kw)
    assert rows[-1, 0] == pytest.approx(time_s, rel=5e-3)
    assert energy_kwh(rows) == pytest.approx(kwh, rel=1e-3)


@pytest.mark.parametrize("name", [LEAF, LFP, "panasonic_cgr18650da", "sam_liion_3p4v_2p25ah"])
def test_finer_pieces_change_charging_little(name):
    pack = make(name)
    coarse, fine = (run(pack, 0.3, -45.0, cv_resolution=resolution)[0] for resolution in (0.1, 0.05))
    assert len(fine) > 1.5 * len(coarse)
    assert coarse[-1, 0] == pytest.approx(fine[-1, 0], rel=2e-3)
    assert energy_kwh(coarse) == pytest.approx(energy_kwh(fine), rel=5e-4)


@names
def test_phases_come_in_order_and_each_obeys_its_limit(name):
    pack = make(name)
    unit = pack.units[0]
    rows, _ = run(pack, 0.1, -RATED_KW)
    phases = [phase for k, phase in enumerate(rows[:, 2]) if k == 0 or phase != rows[k - 1, 2]]
    assert phases in ([2, 3, 4], [2, 4])  # CC, then CV where the cell takes less and less before it is full, then done
    charging, voltage_v = rows[:-1], rows[:-1, 4]
    i_a = -charging[:, 1] * 1000 / (unit.n_series * unit.n_parallel) / voltage_v
    settled = np.diff(rows[:, 0], prepend=-inf)[:-1] > 60
    assert (i_a <= unit.i_charge_max_a * 1.05).all()
    assert i_a[(charging[:, 2] == ChargingPhase.CURRENT) & settled] == pytest.approx(unit.i_charge_max_a, rel=0.02)
    assert (voltage_v <= unit.v_max_v * 1.01).all()
    assert voltage_v[charging[:, 2] == ChargingPhase.VOLTAGE] == pytest.approx(unit.v_max_v, rel=0.01)


@names
def test_discharge_keeps_above_the_cut_off_and_within_the_current(name):
    pack = make(name)
    unit = pack.units[0]
    rows, _ = run(pack, 0.95, RATED_KW)
    power, voltage_v = rows[:-1, 1], rows[:-1, 4]
    i_a = power * 1000 / (unit.n_series * unit.n_parallel) / voltage_v
    assert (voltage_v >= unit.v_min_v * 0.97).all()
    assert (i_a <= unit.i_discharge_max_a * 1.03).all()
    assert (np.diff(power) <= 1e-9).all()


@pytest.mark.parametrize("name", [LEAF, LFP])
def test_charging_does_not_depend_on_how_often_it_is_asked(name):
    """In the middle of a piece the answer is the same as at its start."""
    once, often = (run(make(name), 0.6, -45.0, asked_every_s=every)[0] for every in (inf, 2.0))
    assert len(often) > 5 * len(once)
    assert often[-1, 0] == pytest.approx(once[-1, 0], abs=2)
    assert energy_kwh(often) == pytest.approx(energy_kwh(once), rel=1e-5)


@pytest.mark.parametrize("name", [LEAF, LFP, "ideal"])
def test_day_of_set_points_has_the_same_energy_at_steps_of_a_second_and_a_minute(name):
    """A set point each quarter of an hour, hard enough to be full and empty several times."""
    pack = make(name, soc_min=0.1, soc_max=0.95)
    set_points = 30 * np.sin(np.arange(96) / 96 * 2 * np.pi * 7) + 5 * np.cos(np.arange(96))
    energies, ends = [], []
    for step_s in (1.0, 60.0):
        state, charged, discharged = battery.initial(pack, 0.5), 0.0, 0.0
        for p_set_kw in set_points:
            left_s = 900.0
            while left_s > 0:
                held = battery.hold(pack, state, np.array([p_set_kw]), step_s)
                dt_s = min(held.hold_s[0], left_s)
                state = battery.advance(pack, state, held.p_kw, dt_s)
                charged -= min(held.p_kw[0], 0.0) * dt_s / 3600
                discharged += max(held.p_kw[0], 0.0) * dt_s / 3600
                left_s -= dt_s
        energies.append((charged, discharged))
        ends.append(state.soc[0])
    assert energies[0][0] > 60
    assert energies[1] == pytest.approx(energies[0], rel=1e-3)
    assert ends[1] == pytest.approx(ends[0], abs=2e-3)


# ------------------------------------------------------------------------------------------------------- power limits


@settings(max_examples=examples(60))
@given(st.sampled_from([*SETS, "ideal"]), st.floats(0, 1), st.floats(-1, 1), st.sampled_from([1.0, 60.0, 900.0]))
@example(LEAF, 1.0, 0.0, 1.0)
@example(LEAF, 0.0, 0.0, 900.0)
def test_limits_are_what_hold_gives_to_a_request_without_bounds(name, soc, rate, step_s):
    pack = make(name, p_charge_max_kw=50.0, p_discharge_max_kw=40.0, eta_charge=0.9, eta_discharge=0.95)
    state = battery.BatteryState(np.array([soc]), rate * pack.q_ah * np.isfinite(pack.tau_s))
    p_min, p_max = battery.power_limits(pack, state, step_s)
    assert -50.0 <= p_min[0] <= 0.0 <= p_max[0] <= 40.0
    for sign, bound in ((-1.0, p_min), (1.0, p_max)):
        held = battery.hold(pack, state, np.array([sign * 1e3]), step_s)
        assert held.p_kw[0] == pytest.approx(bound[0], abs=1e-9)
        after = battery.advance(pack, state, bound, step_s)
        assert -1e-9 <= after.soc[0] <= 1 + 1e-9


@settings(max_examples=examples(40))
@given(st.sampled_from([*SETS, "ideal"]), st.floats(0.01, 0.99), st.sampled_from([-1.0, 1.0]))
def test_power_at_its_limit_is_given_when_asked_for(name, soc, sign):
    pack = make(name)
    state = battery.initial(pack, soc)
    limit_kw = battery.power_limits(pack, state, 1.0)[0 if sign < 0 else 1]
    assume(limit_kw[0] != 0.0)
    assert battery.hold(pack, state, limit_kw, 1.0).p_kw[0] == pytest.approx(limit_kw[0], rel=0.1)


def test_limits_can_be_had_of_some_packs_only():
    packs = battery.stack([make(LEAF), make(LFP), make("ideal")])
    state = battery.initial(packs, [0.2, 0.99, 0.4])
    every, some = battery.power_limits(packs, state, 1.0), battery.power_limits(packs, state, 1.0, [2, 1])
    for whole, part in zip(every, some, strict=True):
        assert part.tolist() == whole[[2, 1]].tolist()


# ---------------------------------------------------------------------------------------------------------- many packs


def fleet(n=54, seed=3):
    rng = np.random.default_rng(seed)
    names = rng.choice([*SETS, "ideal"], n)
    packs = battery.stack([make(name, capacity_kwh=float(rng.uniform(5, 80))) for name in names])
    return packs, battery.initial(packs, rng.uniform(0.05, 0.99, n)), rng.uniform(-50, 50, n) * (rng.random(n) < 0.6)


def alone(packs, k):
    values = {field.name: getattr(packs, field.name)[k : k + 1] for field in dataclasses.fields(packs) if field.init}
    return battery.BatteryParameters(**values)


def test_many_packs_are_as_many_single_ones():
    packs, state, p_set_kw = fleet()
    held = battery.hold(packs, state, p_set_kw, 1.0)
    after = battery.advance(packs, state, held.p_kw, 30.0)
    voltage_v, current_a = (f(packs, after, held.p_kw) for f in (battery.terminal_voltage_v, battery.current_a))
    for k in range(len(p_set_kw)):
        one, own = alone(packs, k), battery.BatteryState(state.soc[k : k + 1], state.i_filtered_a[k : k + 1])
        one_held = battery.hold(one, own, p_set_kw[k : k + 1], 1.0)
        assert one_held.p_kw[0] == held.p_kw[k]
        assert one_held.hold_s[0] == held.hold_s[k]
        assert one_held.phase[0] == held.phase[k]
        one_after = battery.advance(one, own, one_held.p_kw, 30.0)
        assert one_after.soc[0] == after.soc[k]
        assert one_after.i_filtered_a[0] == pytest.approx(after.i_filtered_a[k], rel=1e-14)
        assert battery.terminal_voltage_v(one, one_after, one_held.p_kw)[0] == pytest.approx(voltage_v[k], rel=1e-14)
        assert battery.current_a(one, one_after, one_held.p_kw)[0] == pytest.approx(current_a[k], rel=1e-13, abs=1e-13)


def test_hold_of_some_packs_is_the_same_as_of_all():
    packs, state, p_set_kw = fleet()
    every, some = battery.hold(packs, state, p_set_kw, 1.0), battery.hold(packs, state, p_set_kw, 1.0, index=[7, 3, 50])
    for field in ("p_kw", "hold_s", "phase"):
        assert getattr(some, field).tolist() == getattr(every, field)[[7, 3, 50]].tolist()


# ----------------------------------------------------------------------------------------- estimates the model lives on


@settings(max_examples=examples(200))
@given(
    name=st.sampled_from([*SETS, "ideal"]),
    soc=st.floats(-0.1, 1.1),
    rate=st.floats(-30, 30),
    filtered=st.one_of(st.just(0.0), st.floats(-3, 3)),
)
def test_equations_that_are_written_out_give_the_bits_of_the_cell(name, soc, rate, filtered):
    """Beyond the window and the greatest power, too."""
    unit = make(name).units[0]
    it_ah, p_w, filtered_a = (1 - soc) * unit.q_ah, rate * unit.q_ah * unit.e0_v, filtered * unit.q_ah
    by_cell = tremblay.current_a(emf_v(unit, it_ah, filtered_a), unit.r_ohm, p_w)
    assert current_at(unit, p_w)(it_ah, filtered_a) == by_cell
    inside_ah = min(max(it_ah, 0.0), unit.it_lowest_ah)
    ohm = tremblay.polarisation_ohm(unit, inside_ah, p_w) if unit.tau_s < inf else 0.0
    rest_v = max(tremblay.open_circuit_v(unit, inside_ah), unit.v_min_v)
    assert settled_source(unit, it_ah, p_w) == (rest_v, unit.r_ohm + ohm)


@settings(max_examples=examples(100))
@given(
    name=st.sampled_from([*SETS, "ideal"]),
    soc=st.floats(0.05, 0.98),
    rate=st.floats(0.02, 3),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_estimated_time_to_a_charge_is_good_to_a_quarter_per_cent(name, soc, rate, sign):
    """`hold` calls it sure when it is 1 % early."""
    unit = make(name).units[0]
    it_ah = (1 - soc) * unit.q_ah
    p_w = sign * min(rate * unit.q_ah * unit.e0_v, cell_limits.limit(unit, it_ah, sign)[0])
    end_ah = (
        (unit.it_empty_ah if p_w > 0 else unit.it_full_ah) if name == "ideal" else cell_limits.clear_until_ah(unit, p_w)
    )
    assume((end_ah - it_ah) * sign > 1e-3 * unit.q_ah)
    start_a = tremblay.current_a(tremblay.emf_v(unit, it_ah, 0.0), unit.r_ohm, p_w) if unit.tau_s < inf else 0.0
    estimate_s = cell_motion.time_to(unit, it_ah, p_w, end_ah)
    reached_ah, filtered_a = cell_motion.integrate(unit, it_ah, start_a, p_w, estimate_s)
    i_a = tremblay.current_a(emf_v(unit, reached_ah, filtered_a), unit.r_ohm, p_w)
    late_s = (reached_ah - end_ah) / i_a * 3600
    assert late_s < 0.0025 * estimate_s + 1.0


@given(soc=st.floats(0.05, 0.95), p_kw=st.floats(-20.0, 20.0), dt_s=st.floats(1.0, 7200.0))
def test_constant_current_of_an_ideal_battery_is_what_its_steps_come_to(soc, p_kw, dt_s):
    (unit,) = battery.ideal(40.0, p_charge_max_kw=20.0, p_discharge_max_kw=20.0).units
    it_ah, p_w = (1.0 - soc) * unit.q_ah, 1000.0 * p_kw
    # a filtered current makes it take the steps of all cells, and counts for nothing without polarisation
    by_steps_ah, _ = cell_motion.integrate(unit, it_ah, 1.0, p_w, dt_s)
    assert cell_motion.integrate(unit, it_ah, 0.0, p_w, dt_s)[0] == pytest.approx(by_steps_ah, rel=1e-12)


@given(
    soc=st.floats(0.0, 1.0),
    end=st.floats(0.0, 1.0),
    rate=st.floats(1e-3, 2.0),
    r_ohm=st.sampled_from([0.0, 0.002]),
    filtered_a=st.sampled_from([0.0, 5.0]),
)
def test_time_to_a_charge_is_exact_where_the_voltage_is_constant(soc, end, rate, r_ohm, filtered_a):
    """To either end of a window from SoC 0 to 1, with a resistance too, whatever current was filtered before."""
    pack = dataclasses.replace(make("ideal"), r_ohm=np.array([r_ohm]))
    (unit,) = pack.units
    assume(abs(end - soc) > 1e-6)
    it_ah, end_ah = (1.0 - soc) * unit.q_ah, (1.0 - end) * unit.q_ah
    p_w = (1.0 if end < soc else -1.0) * rate * unit.q_ah * unit.e0_v
    time_s = cell_motion.time_to(unit, it_ah, p_w, end_ah)
    assert time_s > 0.0
    assert cell_motion.integrate(unit, it_ah, filtered_a, p_w, time_s)[0] == pytest.approx(end_ah, abs=1e-9 * unit.q_ah)
