"""PV limits: the published numbers, limits that hold, what is refused, the result file and the command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from evhub.analysis.dispatchability import (
    DgUnit,
    EvCluster,
    Feeder,
    FeederCase,
    Line,
    PvUnit,
    Source,
    Spread,
    draw,
    open_study,
    problems,
    run_campaign,
    solve_limits,
    voltage,
)
from evhub.analysis.dispatchability import limits as limits_module
from evhub.analysis.dispatchability.flow_equations import equations, grid, without_slack_limits
from evhub.analysis.dispatchability.limit_results import StudyResult
from evhub.analysis.dispatchability.limits import two_stage
from evhub.analysis.dispatchability.service import Service, service_problems
from evhub.analysis.results.result_layout import ResultError
from evhub.controllers.optimization.program import Program
from evhub.controllers.optimization.robust import column_and_constraint as ccg
from evhub.controllers.optimization.standard_form import form_of_arrays
from evhub.scenarios.errors import InputError
from evhub.scenarios.studies.dispatchability.dispatchability_run import _solve_all, brief, load_study, notes
from evhub.scenarios.studies.dispatchability.dispatchability_run import rows as table
from evhub.scenarios.studies.dispatchability.dispatchability_study import shipped_studies
from evhub.scenarios.studies.reproductions.feizi import feizi_study as feizi
from evhub.scenarios.studies.workers.worker_pool import worker_pool

from ...helpers.command import evhub
from ...unit.controllers.optimization.test_ccg import extensive_form

STUDY = "ieee13-pv-limits"
PUBLISHED = {("a", "10"): 32.917, ("a", "11"): 10.592, ("c", "10"): 146.383, ("c", "11"): 107.946}


@pytest.fixture(scope="module")
def loaded():
    return load_study(STUDY)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """Folder and rows of the reproduction, with two drawn cases instead of 200, which one process solves sooner."""
    folder = tmp_path_factory.mktemp("feizi")
    return folder, feizi.reproduce(folder, lambda _: None, scenarios=2)


@pytest.fixture(scope="module")
def limits(reproduced):
    """Limits of all cases of the shipped study."""
    return open_study(reproduced[0] / f"{STUDY}.h5").cases


def lower(found, phase: str, period: str) -> float:
    """Total lower limit [kW]; periods of the study are the hours from 0."""
    return float(found.totals_kw[0, "abc".index(phase), int(period)])


# --- the paper --------------------------------------------------------------------------------------------------------


def test_case_1_gives_the_published_limits(limits):
    for (phase, hour), published in PUBLISHED.items():
        assert lower(limits["without-evs"], phase, hour) == pytest.approx(published, abs=0.001)


def test_without_evs_every_hour_is_what_the_balance_of_the_phase_says(loaded, limits):
    """Demand beyond generators and source, whose active power falls as it gives the reactive power that is missing."""
    case = loaded.cases["without-evs"]
    rated, q_pv = 2600 / 3, (3 * 100 + 50) / 3
    p_dg, q_dg = np.array([650 / 3, 650 / 3, 650 / 3 + 40]), np.array([470 / 3, 470 / 3, 470 / 3 + 20])
    p, q = (sum(table.values()).T for table in (case.demand_kw, case.demand_kvar))
    missing = np.maximum(q - (q_dg + q_pv)[:, None], 0.0)
    source = np.minimum(rated, 1.414 * rated - missing)
    expected = np.maximum(p - p_dg[:, None] - source, 0.0)
    assert limits["without-evs"].totals_kw[0] == pytest.approx(expected, abs=1e-6)
    assert limits["without-evs"].upper_kw == pytest.approx(case.available_kw)


def test_no_voltage_limit_binds_and_all_is_proven(limits):
    for found in limits.values():
        assert not found.voltage.any()
        assert found.numbers["unbalanced"] < 1e-6
        assert found.numbers["gap"] < 1e-6


def test_evs_move_the_lower_limit_as_the_paper_says(limits):
    without, v2g, charging, shifted = (limits[name] for name in ("without-evs", "v2g", "no-v2g", "shifted"))
    assert lower(v2g, "c", "10") == pytest.approx(146.383 - 30.0, abs=0.001)
    assert lower(v2g, "a", "10") == pytest.approx(32.917 - 30.0, abs=0.001)
    assert lower(v2g, "c", "11") == pytest.approx(107.946 + 30.0, abs=0.001)
    assert lower(v2g, "a", "11") == pytest.approx(10.592, abs=0.001)
    assert np.all(charging.totals_kw[0] >= without.totals_kw[0] - 1e-3)
    assert np.all(v2g.totals_kw[0, :, 10] <= without.totals_kw[0, :, 10] + 1e-3)
    assert lower(shifted, "a", "10") > lower(v2g, "a", "10") + 1.0
    assert lower(shifted, "a", "11") > lower(v2g, "a", "11") + 1.0
    assert lower(shifted, "c", "8") == pytest.approx(lower(v2g, "c", "8") - 30.0, abs=0.001)


def test_both_solvers_find_the_same_objective(loaded, limits):
    found = solve_limits(loaded.cases["v2g"], solver="highs")
    assert found.objective == pytest.approx(limits["v2g"].numbers["objective"], abs=1e-6)
    assert lower(found, "c", "10") == pytest.approx(116.383, abs=0.001)


def test_the_reproduction_holds_and_draws_its_figures(reproduced):
    folder, rows = reproduced
    assert [row for row in rows if row.ok is False] == []
    assert sum(row.ok is True for row in rows) >= 12
    assert {path.name for path in folder.glob("*.png")} == {"figure-3.png", "figure-4.png", "figure-5.png"}


# --- limits hold ------------------------------------------------------------------------------------------------------


def sampled(case: FeederCase, low: np.ndarray, high: np.ndarray, seed: int) -> None:
    """A thousand PV realisations within limits, every second one a corner, are served by linear programs; with less
    than a lower limit, or more than an upper one below what is available, some is not: at a dozen places."""
    rng = np.random.default_rng(seed)
    with Service(case) as service:
        for number in range(1000):
            share = rng.random(low.shape)
            share = np.round(share) if number % 2 else share
            assert service.unbalanced(low + share * (high - low)) < 2e-3
        assert service.unbalanced(low) < 2e-3
        v_pu = service.voltages_pu()
        assert np.nanmin(v_pu) >= case.feeder.v_min_pu - 1e-6
        assert np.nanmax(v_pu) <= case.feeder.v_max_pu + 1e-6
        corners = [low, high, *(low + rng.integers(0, 2, low.shape) * (high - low) for _ in range(200))]
        room = case.available_kw - high
        outside = [(place, -1.0) for place in np.argwhere(low > 1.0)] + [
            (place, 1.0) for place in np.argwhere(room > 1.0)
        ]
        assert outside
        for number in rng.permutation(len(outside))[:12]:
            place, more = outside[number]
            limit = low if more < 0.0 else high
            moved = (_with(corner, tuple(place), limit[*place] + more) for corner in corners)
            assert any(service.unbalanced(p_kw) > 0.01 for p_kw in moved), (place, more)


def _with(values: np.ndarray, place, value: float) -> np.ndarray:
    values = values.copy()
    values[place] = value
    return values


@pytest.mark.parametrize(("name", "hours"), [("without-evs", slice(9, 12)), ("v2g", slice(10, 20))])
def test_realisations_inside_the_shipped_study_are_served_and_one_outside_is_not(loaded, limits, name, hours):
    case, found = loaded.cases[name], limits[name]
    case = replace(
        case,
        demand_kw={bus: series[hours] for bus, series in case.demand_kw.items()},
        demand_kvar={bus: series[hours] for bus, series in case.demand_kvar.items()},
        radiation=case.radiation[hours],
        clusters=tuple(replace(c, first=c.first - hours.start, last=c.last - hours.start) for c in case.clusters),
    )
    sampled(case, found.lower_kw[..., hours], found.upper_kw[..., hours], seed=1)


@pytest.mark.parametrize("discharge_kw", [0.0, 60.0], ids=["no-v2g", "v2g"])
@pytest.mark.parametrize("seed", [1, 7, 9])
def test_realisations_inside_random_feeders_with_evs_are_served_and_one_outside_is_not(seed, discharge_kw):
    case = random_case(seed, periods=3)
    cluster = EvCluster("ev", "m", "abc", 60.0, discharge_kw, 0.0, 200.0, 50.0, 110.0, 0, 2)
    case = replace(case, clusters=(cluster,))
    assert problems(case) == []
    assert service_problems(case, ["0", "1", "2"]) == []
    found = solve_limits(case)
    assert found.gap < 1e-3
    assert found.unbalanced < 1e-3
    sampled(case, found.lower_kw, found.upper_kw, seed)


def small_case(**changes) -> FeederCase:
    """A source, a line of one phase, a load and a PV unit of that phase."""
    z = np.zeros((3, 3), dtype=complex)
    z[0, 0] = 3.0 + 1.0j
    feeder = Feeder(4.16, Source("s", limit_kva=300.0), (Line("line", "s", "e", "a", z),))
    demand = {"e": np.array([[100.0, 0.0, 0.0]])}
    case = FeederCase(feeder, demand, {}, np.ones(1), pvs=(PvUnit("pv", "e", "a", 400.0, 0.0, 400.0),))
    return replace(case, **changes)


def test_a_voltage_limit_that_binds_is_found():
    """Overvoltage: 1 + 2 r (P - 100) / V^2 <= 1.02^2 with r = 3 ohm at 2.4018 kV."""
    feeder = replace(small_case().feeder, v_max_pu=1.02)
    found = solve_limits(small_case(feeder=feeder))
    most = 100.0 + (1.02**2 - 1.0) * (4.16**2 / 3) / (2 * 3.0) * 1e3
    assert found.voltage.all()
    assert 100.0 < most < 300.0
    assert found.upper_kw[0, 0, 0] == pytest.approx(most, abs=1e-6)
    assert found.lower_kw[0, 0, 0] == pytest.approx(0.0, abs=1e-6)


def test_a_line_limit_that_binds_is_found():
    """90 kVA to the load of 100 kW, with no reactive power: 10 kW of PV at least, 190 kW at most."""
    line = replace(small_case().feeder.lines[0], limit_kva=90.0)
    found = solve_limits(small_case(feeder=replace(small_case().feeder, lines=(line,))))
    assert found.lower_kw[0, 0, 0] == pytest.approx(10.0, abs=1e-6)
    assert found.upper_kw[0, 0, 0] == pytest.approx(190.0, abs=1e-6)


def test_line_limits_that_do_not_bind_change_nothing():
    """Two lines, and the proof by the extremes of each voltage."""
    case = random_case(2)
    free = replace(case.feeder, v_min_pu=0.9, v_max_pu=1.1)
    limited = replace(free, lines=tuple(replace(line, limit_kva=1e4) for line in free.lines))
    found = [solve_limits(replace(case, feeder=feeder)).objective for feeder in (free, limited)]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def with_line_limits(case: FeederCase, seed: int) -> FeederCase:
    """Each line with a limit of its own, some far beyond and some near to what flows."""
    limits_kva = np.random.default_rng(seed).choice([60.0, 90.0, 160.0, 400.0], len(case.feeder.lines))
    lines = [replace(line, limit_kva=kva) for line, kva in zip(case.feeder.lines, limits_kva, strict=True)]
    return replace(case, feeder=replace(case.feeder, lines=tuple(lines)))


LIMITED = [0, 3, 12, 21, 25, 32, 37]
"""Seeds whose demand can be served: limits bind in all but the first two, and are dropped in all but 25."""


@pytest.mark.parametrize("seed", LIMITED)
def test_limits_of_lines_that_are_dropped_change_nothing(seed, monkeypatch):
    case = with_line_limits(random_case(seed, periods=2), seed)
    cluster = EvCluster("ev", "m", "abc", 30.0, 30.0, 0.0, 100.0, 50.0, 60.0, 0, 1)
    case = replace(case, clusters=(cluster,) if seed % 2 else ())
    assert service_problems(case, ["0", "1"]) == []
    found = solve_limits(case)
    monkeypatch.setattr(limits_module, "without_slack_limits", lambda same: same)
    kept = solve_limits(case)
    assert found.gap < 1e-3
    assert kept.gap < 1e-3
    assert found.objective == pytest.approx(kept.objective, abs=2e-3)
    rng = np.random.default_rng(seed)
    with Service(case) as service:  # which knows all limits
        for _ in range(40):
            share = rng.integers(0, 2, found.lower_kw.shape)
            assert service.unbalanced(found.lower_kw + share * (found.upper_kw - found.lower_kw)) < 2e-3


@pytest.mark.parametrize("seed", LIMITED)
def test_no_dispatch_passes_a_limit_that_is_dropped(seed):
    """By linear programs over all PV power, without voltages: the largest P, Q and P + Q of every phase of a line."""
    case = with_line_limits(random_case(seed, periods=2), seed)
    rest = without_slack_limits(case).feeder.lines
    dropped = {line.name for line in rest if line.limit_kva == np.inf}
    limits_kva = {line.name: line.limit_kva for line in case.feeder.lines}
    assert bool(dropped) == (seed != 25)
    free = replace(case, feeder=replace(case.feeder, lines=tuple(replace(x, limit_kva=np.inf) for x in rest)))
    whole = grid(free.feeder, zones=False)
    found = equations(free, [whole, whole], np.zeros(2, dtype=bool), slack=False)
    for i, phase, t in np.argwhere(case.available_kw > 0.0).tolist():
        row = found.balance[t, whole.node_of[case.pvs[i].bus, phase]]
        found.add(row, found.column(0.0, case.available_kw[i, phase, t]), 1.0)
    arrays = found.arrays
    rows = arrays["rhs"], np.where(arrays["equal"], arrays["rhs"], np.inf)
    program = Program(form_of_arrays(arrays["G"], 0.0 * arrays["recourse_cost"], arrays["recourse_lower"],
                           arrays["recourse_upper"], *rows, maximise=True))  # fmt: skip
    with program:
        for number, arc in enumerate(whole.arcs):
            p, q = 2 * number, 2 * number + 1  # columns of flows stand first
            for sign_p, sign_q in product((1, 0, -1), repeat=2):
                factor = case.diagonal if sign_p and sign_q else 1.0
                program.set_costs([p, q], np.array([sign_p, sign_q], dtype=float))
                solution = program.solve()
                assert solution.ok
                if arc.line.name in dropped:
                    assert solution.objective <= factor * limits_kva[arc.line.name] + 1e-6
            program.set_costs([p, q], np.zeros(2))


def test_lower_limits_at_the_upper_ones_stay_a_range_with_line_limits(monkeypatch):
    """All PV is asked for: lower and upper limit are the same, and the solver returns them crossed."""
    line = replace(small_case().feeder.lines[0], limit_kva=90.0)
    case = small_case(feeder=replace(small_case().feeder, lines=(line,)), radiation=np.array([0.025]))
    run = ccg.solve

    def crossed(problem, **options):
        found = run(problem, **options)
        return replace(found, x=found.x + np.array([1e-14, -1e-14])[: found.x.size])

    monkeypatch.setattr(ccg, "solve", crossed)
    found = solve_limits(case)
    assert found.lower_kw[0, 0, 0] == found.upper_kw[0, 0, 0] == pytest.approx(10.0)


def test_limits_of_a_small_unit_are_served_though_its_width_is_worth_more_than_the_penalty():
    """0.8 kW of PV beside 0.5 kW of demand and a source that takes nothing back."""
    feeder = replace(small_case().feeder, source=Source("s", 300.0, 0.9))
    demand = {"e": np.array([[0.5, 0.0, 0.0]])}
    for p_kw, penalty in ((0.8, 1.0), (300.0, 0.001)):
        pv = PvUnit("pv", "e", "a", p_kw, 0.0, p_kw)
        found = solve_limits(small_case(feeder=feeder, demand_kw=demand, pvs=(pv,), penalty=penalty))
        assert found.upper_kw[0, 0, 0] == pytest.approx(0.5, abs=2e-3)
        assert found.unbalanced <= 1e-3


def test_reactive_power_that_is_not_balanced_does_not_buy_voltage_for_pv():
    """1 kvar lowers the voltage as much as 3 kW raise it: 1.04995^2 + 2 r P / V^2 <= 1.05^2 with r = 0.35 ohm."""
    z = np.zeros((3, 3), dtype=complex)
    z[0, 0] = 0.35 + 1.02j
    feeder = Feeder(4.16, Source("s", v_pu=(1.04995,) * 3), (Line("line", "s", "e", "a", z),), v_max_pu=1.05)
    found = solve_limits(small_case(feeder=feeder, demand_kw={}, pvs=(PvUnit("pv", "e", "a", 2.5, 0.0, 2.5),)))
    most = (1.05**2 - 1.04995**2) * (4.16**2 / 3) / (2 * 0.35) * 1e3
    assert most == pytest.approx(0.865, abs=1e-3)
    assert found.upper_kw[0, 0, 0] == pytest.approx(most, abs=5e-3)
    assert found.unbalanced <= 1e-3


def test_a_source_with_a_power_factor_takes_nothing_back():
    feeder = replace(small_case().feeder, source=Source("s", 300.0, 0.9))
    assert solve_limits(small_case(feeder=feeder)).upper_kw[0, 0, 0] == pytest.approx(100.0, abs=1e-6)


def test_of_equally_good_periods_the_one_with_less_sun_is_spared():
    """30 kWh to charge in two of three periods of which each needs its power from PV."""
    cluster = EvCluster("ev", "e", "a", 15.0, 0.0, 0.0, 30.0, 0.0, 15.0, 0, 2)
    demand = {"e": np.tile([310.0, 0.0, 0.0], (3, 1))}
    feeder = replace(small_case().feeder, v_min_pu=0.5)
    for rest in (1, 2):
        radiation = np.where(np.arange(3) == rest, 0.8, 0.9)
        case = small_case(feeder=feeder, demand_kw=demand, radiation=radiation, clusters=(cluster,))
        found = solve_limits(case).lower_kw[0, 0]
        assert found == pytest.approx([10.0, *(10.0 if t == rest else 25.0 for t in (1, 2))], abs=1e-5)


def test_evs_that_answer_to_pv_widen_the_limits_beyond_any_plan():
    """A source of 0 to 50 kW and 60 kWh to charge in two hours, PV in the first alone.

    The EVs charge PV and up to 50 kW, and the rest from the source in the second hour: any PV up to 60 kW can be
    served. With a plan the source alone would answer to PV, and its 50 kW would be the width.
    """
    cluster = EvCluster("ev", "e", "a", 100.0, 0.0, 0.0, 100.0, 0.0, 60.0, 0, 2)
    feeder = replace(small_case().feeder, source=Source("s", 50.0, 1.0), v_min_pu=0.5, v_max_pu=1.5)
    case = small_case(feeder=feeder, demand_kw={}, radiation=np.array([0.0, 1.0, 0.0]), clusters=(cluster,))
    found = solve_limits(case)
    assert found.gap < 1e-3
    assert found.lower_kw[0, 0, 1] == pytest.approx(0.0, abs=1e-6)
    assert found.upper_kw[0, 0, 1] == pytest.approx(60.0, abs=1e-6)


@pytest.mark.parametrize("name", ["without-evs", "v2g"])
def test_without_time_the_limits_are_a_power_that_can_be_served_and_the_gap_is_told(loaded, limits, name):
    found = solve_limits(loaded.cases[name], time_limit_s=0.0)
    best = limits[name].numbers["objective"]
    assert 1e-3 < found.gap < np.inf
    assert found.objective - found.gap <= best + 1e-6 <= found.objective + 1e-6
    with Service(loaded.cases[name]) as service:
        assert service.unbalanced(found.lower_kw) < 1e-5
        assert service.unbalanced(found.upper_kw) < 1e-5


@pytest.mark.parametrize(("least", "binds"), [(0.9, False), (0.93, True)], ids=["free", "voltages bind"])
@pytest.mark.parametrize("name", ["without-evs", "v2g"])
def test_after_the_time_limit_no_search_is_begun(loaded, monkeypatch, name, least, binds):
    def begun(*_):
        raise AssertionError("a worst case was looked for")

    monkeypatch.setattr(ccg, "WorstCase", begun)
    case = loaded.cases[name] if name == "v2g" else loaded.cases[name].one_period(10)  # only EVs join the hours
    case = replace(case, feeder=replace(case.feeder, v_min_pu=least))
    found = solve_limits(case, time_limit_s=0.0)
    assert found.voltage.any() == binds
    with Service(case) as service:  # with voltages
        assert service.unbalanced(found.lower_kw) < 1e-5


def test_parts_without_new_voltages_are_not_solved_again(monkeypatch):
    """Overvoltage in the second of three hours only."""
    feeder = replace(small_case().feeder, v_max_pu=1.02)
    demand = {"e": np.array([[100.0, 0.0, 0.0]] * 3)}
    case = small_case(feeder=feeder, demand_kw=demand, radiation=np.array([0.3, 1.0, 0.3]))
    solved, run = [], ccg.solve
    monkeypatch.setattr(ccg, "solve", lambda problem, **options: solved.append(problem) or run(problem, **options))
    found = solve_limits(case)
    assert found.voltage.tolist() == [False, True, False]
    with_pv = [problem for problem in solved if problem.cost.size]
    assert len(with_pv) == 3 + 1
    assert found.upper_kw[0, 0] == pytest.approx([120.0, 100.0 + (1.02**2 - 1.0) * (4.16**2 / 3) / 6.0 * 1e3, 120.0])


def random_case(seed: int, periods: int = 1) -> FeederCase:
    """Three phases, coupled lines, a lateral, tight voltages, two PV units."""
    rng = np.random.default_rng(seed)

    def z(phases: str) -> np.ndarray:
        half = rng.uniform(0.0, 0.3, (3, 3)) * (1 + 2j)
        full = (half + half.T) / 2 + np.diag(rng.uniform(0.8, 1.5, 3)) * (1 + 2j)
        there = np.array([phase in phases for phase in "abc"])
        return full * np.outer(there, there)

    lateral = rng.choice(["a", "bc", "ac"])
    lines = (Line("1", "s", "m", "abc", z("abc")), Line("2", "m", "l", lateral, z(lateral)))
    feeder = Feeder(4.16, Source("s", 400.0, 0.8 if seed % 2 else None), lines, 0.96, 1.03)
    there = np.array([phase in lateral for phase in "abc"])
    p = {"m": rng.uniform(50, 250, (periods, 3)), "l": rng.uniform(20, 80, (periods, 3)) * there}
    q = {bus: 0.3 * value for bus, value in p.items()}
    dgs = (DgUnit("dg", "m", "abc", 200.0, 60.0),)
    pvs = (PvUnit("p1", "m", "abc", 300.0, 60.0, 300.0), PvUnit("p2", "l", lateral, 150.0, 30.0, 150.0))
    return FeederCase(feeder, p, q, rng.uniform(0.5, 1.0, periods), dgs, pvs)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6, 7, 8, 9])
def test_every_corner_of_the_limits_of_a_random_feeder_can_be_served(seed):
    case = random_case(seed)
    assert problems(case) == []
    assert service_problems(case, ["0"]) == []
    found = solve_limits(case)
    places = np.argwhere(found.upper_kw > found.lower_kw + 1e-9)
    with Service(case) as service:
        for corner in product([0.0, 1.0], repeat=len(places)):
            p_kw = found.lower_kw.copy()
            for (i, phase, t), share in zip(places, corner, strict=True):
                p_kw[i, phase, t] += share * (found.upper_kw - found.lower_kw)[i, phase, t]
            assert service.unbalanced(p_kw) < 1e-3


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6, 7, 8, 9])
def test_no_limits_of_a_random_feeder_are_wider(seed):
    """Against the recourse of every corner at once, with all buses, phases and voltages."""
    whole, _, _ = two_stage(random_case(seed), np.ones(1, dtype=bool))
    assert solve_limits(random_case(seed)).objective == pytest.approx(extensive_form(whole), abs=2e-3)


def test_voltages_within_reach_of_limited_lines_are_judged_by_their_extremes():
    """Voltages of 0.7 and 1.3 pu cannot be reached over two lines with limits, those of 0.999 and 1.001 can."""
    case = with_line_limits(random_case(36), 36)
    available = case.available_kw
    for low, high, kept in ((0.7, 1.3, True), (0.999, 1.001, False)):
        feeder = replace(case.feeder, v_min_pu=low, v_max_pu=high)
        free = voltage._free(replace(case, feeder=feeder), 0, np.zeros_like(available), available)
        assert voltage._kept_by_programs(replace(case, feeder=feeder), free, 0, "glpk", np.inf) == kept
        assert not voltage._kept_by_programs(replace(case, feeder=feeder), free, 0, "glpk", 0.0)  # no time


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_leaving_voltages_out_where_they_cannot_matter_changes_nothing(seed):
    """Zones and independent phases against all buses, phases and voltages."""
    case = random_case(seed)
    case = replace(case, feeder=replace(case.feeder, v_min_pu=0.9, v_max_pu=1.1))
    assert service_problems(case, ["0"]) == []
    whole, _, _ = two_stage(case, np.ones(1, dtype=bool))
    assert solve_limits(case).objective == pytest.approx(ccg.solve(whole, tolerance=1e-6).upper, abs=1e-3)


# --- drawn cases ------------------------------------------------------------------------------------------------------

SPREAD = Spread(0.0167, 0.0167, 0.06, 0.06, 0.06)


def test_draws_have_the_deviations_of_the_study_and_stay_possible(loaded):
    case = loaded.cases["v2g"]
    drawn = [draw(case, SPREAD, np.random.default_rng(seed)) for seed in range(300)]
    bus = "9"
    share = np.array([one.demand_kw[bus][:, 0] / case.demand_kw[bus][:, 0] for one, _ in drawn])
    assert share.mean() == pytest.approx(1.0, abs=0.001)
    assert share.std() == pytest.approx(0.0167, rel=0.05)
    power = np.array([[cluster.charge_kw / 45.0 for cluster in one.clusters] for one, _ in drawn])
    assert power.std() == pytest.approx(0.06, rel=0.1)
    assert all(problems(one) == [] for one, _ in drawn[:20])
    clips = sum((moved for _, moved in drawn), start=drawn[0][1].__class__())
    assert clips["state of charge outside 0 to 1"] == pytest.approx(300, abs=60)  # half of the departures at 1.0


def test_a_short_campaign_does_not_depend_on_the_workers():
    cluster = EvCluster("ev", "e", "a", 15.0, 0.0, 0.0, 30.0, 5.0, 20.0, 0, 2)
    feeder = replace(small_case().feeder, v_min_pu=0.5)
    demand = {"e": np.tile([310.0, 0.0, 0.0], (3, 1))}
    case = small_case(feeder=feeder, demand_kw=demand, radiation=np.ones(3), clusters=(cluster,))
    one = run_campaign(case, SPREAD, 4, seed=3)
    with worker_pool(2) as pool:
        two = run_campaign(case, SPREAD, 4, seed=3, solve_all=partial(_solve_all, pool))
    assert np.array_equal(one.lower_kw, two.lower_kw)
    assert one.served.all()
    mean, half = one.expected_kw()
    assert mean.shape == half.shape == (2, 3, 3)
    totals = one.lower_kw.sum(axis=1)[:, 0, 0]
    assert mean[0, 0, 0] == pytest.approx(totals.mean())
    assert half[0, 0, 0] == pytest.approx(3.182 * totals.std(ddof=1) / 2.0, rel=1e-3)  # Student's t, 3 degrees


def test_a_drawn_case_that_cannot_be_served_is_left_out(loaded):
    case = loaded.cases["without-evs"].one_period(10)
    found = run_campaign(replace(case, clusters=()), Spread(demand=0.3), 8, seed=1)
    assert 0 < found.served.sum() < 8
    assert np.all(found.unbalanced[~found.served] > 1e-3)
    assert np.isfinite(found.expected_kw()[0]).all()


@pytest.mark.campaign
def test_the_whole_campaign_of_case_3(loaded, limits):
    drawn = loaded.study.uncertainty
    with worker_pool(2) as pool:
        solve_all = partial(_solve_all, pool)
        found = run_campaign(loaded.cases["v2g"], SPREAD, drawn.scenarios, drawn.seed, solve_all=solve_all)
    assert found.served.all()
    assert found.gaps.max() < 1e-3
    mean, half = found.expected_kw()
    for phase, hour in ((2, 10), (2, 11)):
        assert abs(mean[0, phase, hour] - limits["v2g"].totals_kw[0, phase, hour]) < 3 * half[0, phase, hour]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_demand_that_nothing_can_serve_is_refused_with_bus_phase_and_value():
    feeder = replace(small_case().feeder, v_min_pu=0.1)
    case = small_case(feeder=feeder, demand_kw={"e": np.array([[900.0, 0.0, 0.0]])})
    (problem, *_) = service_problems(case, ["noon"])
    assert problem.key == "demand in period noon at bus e, phase a"
    assert problem.value == 900.0
    assert "200.000 kW" in problem.allowed


def study_in(folder: Path, **changes) -> Path:
    """A copy of the shipped study with some sections replaced."""
    source = shipped_studies()[STUDY]
    data = yaml.safe_load(source.read_text())
    for path, value in changes.items():
        *keys, last = path.split("/")
        section = data
        for key in keys:
            section = section[key]
        if value is None:
            del section[last]
        else:
            section[last] = value
    (folder / "ieee13").mkdir(exist_ok=True)
    for file in (source.parent / "ieee13").glob("*.csv"):
        (folder / "ieee13" / file.name).write_text(file.read_text())
    (folder / "study.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder / "study.yaml"


REFUSED = [
    ({"clusters/ev1/bus": "7"}, "clusters.ev1.phases: must be phases that bus 7 has (c); phase a is not there"),
    ({"feeder/lines/8-7/phases": "b"}, "feeder.lines.8-7.phases: must be phases that bus 8 has (ac); phase b ends"),
    (
        {"feeder/line_codes/601/r_ohm": [[1.3, 0.1, 0], [0.2, 1.3, 0], [0, 0, 1.3]]},
        "feeder.line_codes.601.r_ohm: must be symmetric; phases b and a of line 1-4, got '0.2 in row 2, column 1",
    ),
    ({"feeder/lines/9-8/phases": "ca"}, "lines.9-8.phases: must be one to three of a, b, c, in this order, got 'ca'"),
    ({"feeder/line_codes/605/r_ohm": [[1.3, 0.1], [0.1, 1.3]]}, "feeder.line_codes.605.r_ohm: must be 1 rows"),
    ({"feeder/lines/8-7/code": "606b"}, "feeder.lines.8-7.code: must be one of the line_codes; did you mean 606?"),
    ({"pvs/pv1/bus": "14"}, "pvs.pv1.bus: must be a bus of the feeder: 1, 4"),
    ({"clusters/ev1/departure": "25"}, "clusters.ev1.departure: must be a period of the profiles: 0 ... 23, got '25'"),
    ({"clusters/ev1/charge_kw": 35}, "clusters.ev1.soc_departure: must be within reach"),
    ({"cases/later": {"shift": 10}}, "cases.later.shift: must be -10 to 4, or cluster ev1"),
    ({"clusters/ev1/departure": "8"}, "clusters.ev1.departure: must be a later period than the arrival, "),
    ({"options/solver": "cplex"}, "options.solver: must be one of 'glpk' or 'highs', got 'cplex'"),
    ({"demand/file": "no.csv"}, "demand.file: must be an existing file"),
    ({"profiles/radiation": "sun"}, "header: must have a column sun, got 'hour,demand,radiation'"),
    ({"feeder/lines/5-6/x_ohm": None}, "feeder.lines.5-6: needs either code and length, or r_ohm and x_ohm"),
    ({"uncertainty/case": "v2h"}, "uncertainty.case must be one of the cases without-evs"),
    (
        {"demand/scale": 2.0, "cases": {"base": {"evs": False}}, "uncertainty": None},
        "cases.base: demand in period 5 at bus",
    ),
    ({"pv": {}}, "pv: is not a key that is known here; did you mean pvs?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"), REFUSED, ids=lambda item: next(iter(item)) if isinstance(item, dict) else ""
)
def test_a_wrong_study_is_refused_with_file_key_and_value(tmp_path, changes, told):
    outcome = evhub("dispatchability", study_in(tmp_path, **changes), "-o", tmp_path / "out.h5", "--scenarios", 0)
    assert outcome.status == 2
    assert any(told in line for line in outcome.err.splitlines()), outcome.err
    assert all(str(tmp_path) in line for line in outcome.err.splitlines())
    assert not list(tmp_path.glob("*out.h5*"))


def test_what_the_time_limit_leaves_open_is_told(tmp_path):
    changes = {"cases": {"base": {"evs": False}}, "uncertainty": None, "options/time_limit": "0.001s"}
    outcome = evhub("dispatchability", study_in(tmp_path, **changes), "-o", tmp_path / "out.h5")
    assert outcome.status == 0
    assert (
        "note: base: not solved within time and rounds; the limits hold, but wider ones may: objective" in outcome.err
    )
    numbers = open_study(tmp_path / "out.h5").cases["base"].numbers
    assert numbers["gap"] > 1e-3
    assert numbers["unbalanced"] < 1e-5


def test_power_that_is_not_balanced_stands_in_the_rows_and_is_noted(limits):
    case = limits["without-evs"]
    result = StudyResult("s", "", ["0"], [], {"base": replace(case, numbers=case.numbers | {"unbalanced": 2.5})}, None,
                         {"base": 1.0})  # fmt: skip
    assert notes(result, 1e-3) == [
        "base: the limits do not hold: 2.500 kW and kvar may stay unbalanced"
    ]  # fmt: skip
    result = replace(result, periods=[str(hour) for hour in range(24)])
    assert [row["unbalanced"] for row in table(result)] == [2.5, 2.5, 2.5]
    assert [row["unbalanced"] for row in brief(result)] == [2.5, 2.5, 2.5]
    result.cases["base"].numbers["unbalanced"] = 0.0
    assert not any("unbalanced" in row or "rounds" in row for row in brief(result))


def test_drawn_cases_without_a_section_for_them_are_refused(tmp_path):
    path = study_in(tmp_path, cases={"base": {"evs": False}}, uncertainty=None)
    outcome = evhub("dispatchability", path, "-o", tmp_path / "out.h5", "--scenarios", 5)
    assert outcome.status == 2
    assert "--scenarios: must be 0 or left out, or the study needs a section uncertainty, got 5" in outcome.err


def test_all_problems_are_told_at_once(tmp_path):
    changes = {"pvs/pv1/bus": "14", "clusters/ev1/bus": "7", "dgs/dg1/phases": "ab", "dgs/dg1/bus": "7"}
    outcome = evhub("dispatchability", study_in(tmp_path, **changes), "-o", tmp_path / "out.h5")
    assert len(outcome.err.splitlines()) == 5


def test_voltages_that_no_power_keeps_are_told_with_their_place():
    """A source at 1.1 pu, a limit of 1.05 pu, and a line whose 50 kVA lower the voltage by some hundredths only."""
    line = replace(small_case().feeder.lines[0], limit_kva=50.0)
    feeder = replace(small_case().feeder, lines=(line,), source=Source("s", v_pu=(1.1, 1.1, 1.1)), v_max_pu=1.05)
    (problem,) = service_problems(small_case(feeder=feeder), ["noon"])
    assert problem.key.startswith("voltage in period noon at bus")
    assert problem.allowed == "must be 0.9 to 1.05 pu; no power within all other limits keeps all voltages"
    assert float(str(problem.value).removesuffix(" pu")) > 1.05
    assert solve_limits(small_case(feeder=feeder)).unbalanced == np.inf  # as a drawn case that is left out


def test_demand_that_only_the_voltages_keep_from_being_served_is_told_by_its_voltage():
    """100 kW over 3 ohm at 2.4018 kV: sqrt(1 - 2 * 3 * 0.1 / 5.7685) = 0.9466 pu, at night without PV."""
    feeder = replace(small_case().feeder, v_min_pu=0.97)
    (problem,) = service_problems(small_case(feeder=feeder, radiation=np.zeros(1)), ["night"])
    assert problem.key == "voltage in period night at bus e, phase a"
    assert problem.value == "0.9466 pu"


def test_demand_where_there_is_no_bus_or_phase_is_told_with_its_place(tmp_path):
    path = study_in(tmp_path)
    table = tmp_path / "ieee13" / "demand.csv"
    rows = table.read_text().splitlines()
    header = next(k for k, row in enumerate(rows) if row.startswith("bus"))
    rows = [*rows[: header + 1], "7,0,0,3,0,0,0", "99,1,0,0,0,0,0", "9,1,0,-2,0,0,0"]
    table.write_text("\n".join(rows))
    told = evhub("dispatchability", path, "-o", tmp_path / "out.h5").err.splitlines()
    assert [line.removeprefix(f"{table}: ") for line in told] == [
        "bus 7, b_kw: must be 0: bus 7 has only c, got 3.0",
        "bus 99: must be a bus of the feeder: 1, 4, 9, 13, 5, 3, 2, 8, 7, 12, 6, 10, 11",
        "bus 9, b_kw: must be >= 0; what generates is a unit, got -2.0",
    ]


def test_a_number_that_is_none_is_told_with_its_place(tmp_path):
    path = study_in(tmp_path)
    table = tmp_path / "ieee13" / "demand.csv"
    table.write_text(table.read_text().replace("218.5", "lots").replace("121.6", "-1"))
    outcome = evhub("dispatchability", path, "-o", tmp_path / "out.h5")
    assert "demand.csv: bus 2, b_kw: must be a finite number, got 'lots'" in outcome.err


# --- study, result file, command --------------------------------------------------------------------------------------


def test_the_command_writes_a_file_that_holds_the_limits(tmp_path, limits):
    path = study_in(tmp_path, cases={"without-evs": {"evs": False}, "v2g": {}})
    day = tmp_path / "ieee13" / "profiles.csv"
    night = [f"{hour}," for hour in (*range(8), *range(20, 24))]
    day.write_text("\n".join(row for row in day.read_text().splitlines() if not row.startswith(tuple(night))))
    out = tmp_path / "new" / "out.h5"
    picture = tmp_path / "limits.svg"
    outcome = evhub("dispatchability", path, "-o", out, "--scenarios", 1, "--picture", picture, "--json")
    assert outcome.status == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [(row["case"], row["phase"]) for row in rows] == [(c, p) for c in ("without-evs", "v2g") for p in "abc"]
    assert rows[2]["highest_lower_kw"] == pytest.approx(146.383, abs=0.001)
    assert rows[2]["period"] == "10"
    assert "<svg" in picture.read_text()[:1000]
    study = open_study(out)
    assert list(study.cases) == ["without-evs", "v2g"]
    assert study.periods == [str(hour) for hour in range(8, 20)]
    assert study.pvs == ["pv1", "pv2", "pv3", "pv4"]
    assert study.cases["v2g"].totals_kw[0] == pytest.approx(limits["v2g"].totals_kw[0, :, 8:20], abs=1e-6)
    assert yaml.safe_load(study.text)["name"] == STUDY
    assert study.expected is not None
    assert study.expected.mean_kw.shape == (2, 3, 12)
    again = evhub("dispatchability", path, "-o", out)
    assert (again.status, "--force replaces it" in again.err) == (2, True)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ResultError, match="not an HDF5 file"):
        open_study(tmp_path / "text.h5")
    with pytest.raises(ResultError, match="no such file"):
        open_study(tmp_path / "none.h5")


def test_an_error_leaves_no_half_written_file(tmp_path, monkeypatch):
    path = study_in(tmp_path, cases={"base": {"evs": False}}, uncertainty=None)

    def fail(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr("evhub.analysis.dispatchability.solve_limits", fail)
    outcome = evhub("dispatchability", path, "-o", tmp_path / "out.h5")
    assert outcome.status == 1
    assert "no luck" in outcome.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ieee13", "study.yaml"]


DECK = """
new circuit.small basekv=115 bus1=src
new transformer.sub phases=3 windings=2 xhl=8
~ wdg=1 bus=src kv=115 kva=5000 %r=.1
~ wdg=2 bus=head kv=4.16 kva=5000 %r=.1
new linecode.one nphases=1 units=km rmatrix=(0.5) xmatrix=(0.6)
new line.lat phases=1 bus1=head.2 bus2=end.2 linecode=one length=1 units=km
new load.y bus1=end.2 phases=1 kw=100 kvar=20
"""
OWN = """
name: own
feeder: {type: opendss, file: own.dss, limit_kva: 240}
demand: {type: deck, scale: 1.0}
profiles: {file: day.csv}
step: 30min
pvs: {roof: {bus: end, phases: b, p_max_kw: 150, q_max_kvar: 50}}
clusters:
  taxis:
    {bus: end, phases: b, charge_kw: 40, capacity_kwh: 60, soc_arrival: 0.5, soc_departure: 1,
     arrival: noon, departure: two}
"""


def test_a_study_on_a_strangers_deck(tmp_path):
    """80 kVA on the phase, 100 kW and EVs that need 30 kWh in two half hours: 40 kW in one, 20 in the other, say."""
    (tmp_path / "own.dss").write_text(DECK)
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "day.csv").write_text("period,demand,radiation\nnoon,1,1\none,1,1\ntwo,1,1\n")
    outcome = evhub("dispatchability", tmp_path / "own.yaml", "-o", tmp_path / "out.h5")
    assert outcome.status == 0, outcome.err
    found = open_study(tmp_path / "out.h5").cases["base"].totals_kw[0, 1]
    assert found.sum() == pytest.approx(3 * 20.0 + 60.0, abs=1e-3)


def test_a_deck_that_feeds_more_than_it_draws_is_refused_with_bus_and_phase(tmp_path):
    """Between two phases, 60 kvar draw 60 / (2 sqrt 3) kW from one and feed them into the other."""
    two = "phases=2 bus1=head.1.2 bus2=end.1.2 r1=1 x1=1 r0=1 x0=1"
    lateral = DECK.replace("phases=1 bus1=head.2 bus2=end.2 linecode=one", two)
    (tmp_path / "own.dss").write_text(f"{lateral}new capacitor.c bus1=end.1.2 phases=1 kvar=60\n")
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "day.csv").write_text("period,demand,radiation\nnoon,1,1\none,1,1\ntwo,1,1\n")
    with pytest.raises(InputError) as refused:
        load_study(tmp_path / "own.yaml")
    (problem,) = refused.value.problems
    assert (problem.key, problem.allowed) == ("demand at bus end", "must be >= 0 in phase a; generation is a unit")
    assert float(problem.value) == pytest.approx(-60.0 / (2 * 3**0.5))


def test_the_feeder_of_the_documentation_runs_as_it_stands(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "dispatchability.md").read_text()
    blocks = re.findall(r"```(?:yaml|csv)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    assert [name for name, _ in blocks] == ["town.yaml", "loads.csv", "day.csv"]
    for name, block in blocks:
        (tmp_path / name).write_text(block)
    outcome = evhub("dispatchability", tmp_path / "town.yaml", "-o", tmp_path / "town.h5", "--json")
    assert outcome.status == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [row["phase"] for row in rows] == ["a", "b", "c"]
    assert all(row["gap"] < 1e-3 for row in rows)
    study = open_study(tmp_path / "town.h5")
    assert study.cases["base"].upper_kw.shape == (1, 3, 5)
    assert np.all(study.cases["base"].totals_kw[1] <= 300.0 + 1e-6)  # a third of the roofs in each phase


def test_the_python_of_the_documentation_runs_as_it_stands():
    text = (Path(__file__).parents[3] / "docs" / "dispatchability.md").read_text()
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "solve_limits" in b)
    names: dict = {}
    exec(block, names)
    assert problems(names["case"]) == []
    assert names["limits"].totals_kw[0] == pytest.approx(np.array([[20, 30], [0, 0], [60, 50]]), abs=1e-3)
