"""Forecasts: what each type tells, when, and that reality and the draws behind it stay as they are."""

from __future__ import annotations

import copy
import math
import pickle
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.errors import InputError
from evhub.scenarios.forecasts import forecast_models as forecasts
from evhub.scenarios.schema.scenario_loader import parse
from evhub.simulators.arrivals.session_model import Session
from evhub.simulators.series import Series
from evhub.simulators.units import S_PER_DAY, S_PER_H

from ...helpers import plants
from ...helpers.sizes import examples

H, DAY = S_PER_H, S_PER_DAY
HOURS = np.arange(73) * H
DEMAND = {"type": "profile", "points": [["0s", 3], ["6h", 9], ["7h30min", 4], ["22h", 1]], "every": "1d"}
SUN = {"type": "profile", "points": [["0s", 0], ["6h", 500], ["10h", 900], ["18h", 0]], "every": "1d"}
PRICE = {"type": "profile", "points": [["0s", 0.2], ["8h", 0.4], ["20h", 0.3]], "every": "1d"}


LOOKING = {"controller": {"type": f"{__name__}:Trusting"}}
"""A controller that looks at the forecast: one that does not is given none."""


def scenario(told: dict | None = None, **changes) -> dict:
    """A hub with PV and load for three days, and what its controller is told of the future."""
    hub = {
        "grid": {"contracted_kw": 50},
        "pv": {"rated_kw": 20, "irradiance": SUN},
        "load": {"critical": {"demand": DEMAND}, "general": {"demand": DEMAND}},
        "tariffs": {"buy": PRICE, "sell": {"type": "constant", "value": 0.1}},
        "forecasts": told or {},
    }
    return plants.smallest(**{"duration": "3d", "time_step": "1min", "hubs": {"depot": hub}, **changes})


def teller(data: dict, folder=None, hub: str = "depot"):
    """The function that gives a hub's forecast at a time."""
    wiring = build(plants.loaded(data | LOOKING, folder))
    (entity,) = [one for one in wiring.entities if one.sid == "controller" and one.hub == hub]
    return entity.parameters["forecast"]


def real() -> base.Forecast:
    return teller(scenario())(0.0)


# --- power ------------------------------------------------------------------------------------------------------------


def test_a_perfect_forecast_is_the_mean_of_reality():
    told = real()
    assert told.load_kw(np.array([5 * H, 7 * H, 8 * H])) == pytest.approx(np.outer([6.0, 6.5], [1, 0, 0, 1]))
    full_kw = told.pv_kw(np.array([10 * H, 18 * H]))[0]
    assert told.pv_kw(np.array([0.0, 6 * H, 10 * H])) == pytest.approx([0.0, full_kw * 500 / 900], rel=0.05)
    assert told.pv_kw(np.array([0.0, DAY, 2 * DAY, 3 * DAY])) == pytest.approx(np.full(3, told.pv_kw(HOURS).mean()))


@pytest.mark.parametrize("t_s", [DAY, DAY + 7 * H, 2 * DAY + 60.0])
def test_persistence_of_a_periodic_day_is_exact_from_the_second_day_on(t_s):
    told = teller(scenario({part: {"type": "persistence"} for part in ("pv", "load", "prices")}))(t_s)
    edges_s = np.linspace(t_s, 3 * DAY, 50)
    assert told.pv_kw(edges_s) == pytest.approx(real().pv_kw(edges_s))
    assert told.load_kw(edges_s) == pytest.approx(real().load_kw(edges_s))
    assert told.price("buy", edges_s) == pytest.approx(real().price("buy", edges_s))


def test_on_the_first_day_persistence_holds_the_first_value_until_something_was_measured_a_lag_before():
    told = teller(scenario({"load": {"type": "persistence"}}))(7 * H)
    day, next_day = told.load_kw(np.array([7 * H, 24 * H, 30 * H, 31 * H]))[:, 0][[0, 1]]
    assert day == 3.0
    assert next_day == 3.0
    assert told.load_kw(np.array([30 * H, 31 * H]))[0, 0] == 9.0
    assert told.load_kw(np.array([31 * H, 48 * H]))[0, 0] == 3.0


steps = st.integers(0, 40).map(lambda n: n * 0.25)


@settings(max_examples=examples(200))
@given(
    times=st.sets(steps, min_size=1, max_size=8),
    values=st.lists(st.floats(0, 9), min_size=9, max_size=9),
    lag=st.integers(1, 12),
    t=st.integers(0, 10),
    targets=st.lists(steps, min_size=1, max_size=5),
)
def test_persistence_is_the_value_the_least_number_of_lags_before_that_lies_in_the_past(times, values, lag, t, targets):
    begin = min(times)
    t += begin
    series = Series(np.array(sorted(times)), np.array(values[: len(times)]), 100.0)
    told = forecasts.persistence(series, float(lag), t, begin, 40.0)
    assert told.covers(begin, 40.0)
    for target in (begin + target for target in targets):
        source = target
        while source >= t:
            source -= lag
        assert told.at(target) == series.at(max(source, begin))


def test_noise_has_variance_1_and_a_correlation_of_1_over_e_at_its_correlation_time():
    drawn = forecasts.noise(np.random.default_rng(1), 1000 * DAY, 2 * H)
    z = drawn.sample(np.arange(0.0, 1000 * DAY, forecasts.NOISE_STEP_S))
    apart = round(2 * H / forecasts.NOISE_STEP_S)
    # as good as 12 000 independent draws: standard errors are 0.01
    assert z.mean() == pytest.approx(0.0, abs=0.04)
    assert z.std() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(z[:-apart], z[apart:])[0, 1] == pytest.approx(math.exp(-1), abs=0.03)
    longer = forecasts.noise(np.random.default_rng(1), 1001 * DAY, 2 * H)
    assert longer.sample(drawn.t_s[:1000]).tolist() == z[:1000].tolist()


@cache
def draws() -> list[Series]:
    return [forecasts.noise(np.random.default_rng(seed), 31 * H, 3 * H) for seed in range(600)]


def errors(lead_s: float, std: float = 0.2) -> np.ndarray:
    """Relative errors at a lead, of 600 seeds."""
    flat, target_s = Series.constant(10.0), 30 * H
    span = (target_s - lead_s, target_s, target_s + 300.0)
    return np.array([forecasts.noisy(flat, z, *span, std=std, lead_s=DAY).at(target_s) / 10 - 1 for z in draws()])


def test_the_error_has_the_asked_for_deviation_at_its_lead_no_bias_and_shrinks_with_the_root_of_the_lead():
    day, quarter, none = errors(24 * H), errors(6 * H), errors(0.0)
    assert day.std() == pytest.approx(0.2, rel=0.08)  # standard error 2.9 %
    assert day.mean() == pytest.approx(0.0, abs=0.02)  # standard error 0.008
    assert quarter == pytest.approx(day / 2, abs=1e-9)
    assert (none == 0.0).all()
    assert (errors(24 * H, std=1.0) >= -1.0).all()


NOISY = {"type": "noisy", "std": 0.2}


def relative(told: base.Forecast, edges_s: np.ndarray) -> np.ndarray:
    return told.load_kw(edges_s)[:, 0] / real().load_kw(edges_s)[:, 0] - 1


def test_two_forecasts_of_one_target_have_the_same_error_on_the_scale_of_their_leads():
    at = teller(scenario({"load": NOISY}))
    target_s = 40 * H + np.array([0.0, 300.0])
    far, near = relative(at(15 * H), target_s)[0], relative(at(39 * H), target_s)[0]
    assert far != 0.0
    assert near == pytest.approx(far / 5, rel=1e-9)
    assert relative(at(41 * H), target_s)[0] == 0.0


def test_all_classes_of_the_load_share_the_error_and_nothing_becomes_negative():
    told = teller(scenario({"load": {**NOISY, "std": 1.0}, "pv": {**NOISY, "std": 1.0}}))(0.0)
    load_kw = told.load_kw(HOURS)
    assert load_kw[:, 0] == pytest.approx(load_kw[:, 3])
    assert load_kw.min() >= 0.0
    pv_kw, real_kw = told.pv_kw(HOURS), real().pv_kw(HOURS)
    assert pv_kw.min() >= 0.0
    assert (pv_kw[real_kw == 0.0] == 0.0).all()
    assert relative(told, HOURS)[real_kw > 0] != pytest.approx((pv_kw / np.maximum(real_kw, 1e-9) - 1)[real_kw > 0])


def test_a_seed_has_its_forecast_whatever_other_hubs_and_parts_there_are():
    alone = scenario({"load": NOISY}, seed=4)
    among = scenario({"load": NOISY, "pv": NOISY, "prices": {"type": "persistence"}}, seed=4)
    among["hubs"] = {"first": among["hubs"]["depot"], **among["hubs"]}
    other = scenario({"load": NOISY}, seed=5)
    told = [teller(data)(0.0).load_kw(HOURS).tolist() for data in (alone, alone, among, other)]
    assert told[0] == told[1] == told[2]
    assert told[0] != told[3]
    assert teller(among, hub="first")(0.0).load_kw(HOURS).tolist() != told[0]


# --- prices -----------------------------------------------------------------------------------------------------------


def prices(told: dict, t_s: float) -> list[float]:
    events = [
        {"at": "10h", "price": {"hub": "depot", "price": "buy", "value": 0.9, "until": "12h"}},
        {"at": "11h", "price": {"hub": "depot", "price": "buy", "value": 0.8, "until": "13h"}},
    ]
    forecast = teller(scenario({"prices": told} if told else {}, events=events))(t_s)
    return forecast.price("buy", np.array([9, 10, 11, 12, 13, 14]) * H).tolist()


@pytest.mark.parametrize(("hour", "told"), [(9, [0.4] * 5), (10, [0.4, 0.9, 0.9, 0.4, 0.4]), (11, None)])
def test_announced_prices_know_an_event_from_the_moment_it_begins(hour, told):
    happens = [0.4, 0.9, 0.8, 0.8, 0.4]
    assert prices({}, hour * H) == pytest.approx(told or happens)
    assert prices({"type": "perfect"}, hour * H) == pytest.approx(happens)


def test_a_price_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="price must be one of buy, sell, dg, bess, charging, got by"):
        real().price("by", HOURS)


# --- sessions ---------------------------------------------------------------------------------------------------------

ITEMS = [
    {"at": "30min", "until": "4h", "energy_kwh": 20, "id": "one"},
    {"at": "1h", "until": "6h", "energy_kwh": 30, "id": "two", "v2g": True},
    {"at": "5h", "until": "7h", "energy_kwh": 10, "id": "three"},
]


def charging(told: dict | None = None, count: int = 2, **changes) -> dict:
    """A hub with connectors for a day, and what its controller is told of the sessions."""
    hub = {
        "grid": {"contracted_kw": 50},
        "connectors": {"count": count, "rated_kw": 22, "efficiency": 0.9},
        "sessions": {"type": "list", "items": ITEMS},
        "forecasts": {"sessions": told} if told else {},
        **changes,
    }
    return plants.smallest(duration="1d", time_step="1min", hubs={"depot": hub})


ALL = math.inf


def test_perfect_sessions_are_those_to_come_and_those_that_are_not_over():
    at = teller(charging())
    assert at(0.0).sessions(ALL).id == ("one", "two", "three")
    assert at(0.0).sessions(H).id == ("one",)
    late = at(4 * H).sessions(ALL)
    assert late.id == ("two", "three")
    assert late.arrival_s.tolist() == [1 * H, 5 * H]
    assert late.departure_s.tolist() == [6 * H, 7 * H]
    assert late.energy_kwh.tolist() == [30, 10]
    assert late.v2g.tolist() == [True, False]


def test_perfect_sessions_plug_in_when_a_connector_becomes_free():
    told = teller(charging(count=1, queue={"plug_in": "5min"}))(0.0).sessions(ALL)
    assert told.id == ("one", "two", "three")
    assert told.arrival_s.tolist() == [0.5 * H + 300, 4 * H + 300, 6 * H + 300]


def test_plugged_in_tells_nobody_who_is_not_there():
    at = teller(charging({"type": "plugged_in"}))
    assert [at(hour * H).sessions(ALL).id for hour in (0, 2, 5.5, 7)] == [(), ("one", "two"), ("two", "three"), ()]


@pytest.mark.parametrize("seed", range(20))
def test_misjudged_sessions_are_possible_and_stay_the_same_until_the_ev_has_plugged_in(seed):
    told = {"type": "noisy", "arrival_std": "2h", "departure_std": "2h", "energy_std": 0.8}
    at, perfect = teller(charging(told) | {"seed": seed}), teller(charging() | {"seed": seed})(0.0).sessions(ALL)
    first, exact = at(0.0).sessions(ALL), dict(zip(perfect.id, perfect.energy_kwh, strict=True))
    assert set(first.id) == set(perfect.id)
    assert first.arrival_s.tolist() == sorted(first.arrival_s)
    assert (first.arrival_s >= 0.0).all()
    assert (first.departure_s >= first.arrival_s + forecasts.SHORTEST_STAY_S).all()
    assert (first.energy_kwh >= 0.0).all()
    assert (first.energy_kwh <= 22 * (first.departure_s - first.arrival_s) / H + 1e-9).all()
    assert (first.energy_kwh * 0.9 <= first.capacity_kwh * (1 - first.soc) + 1e-9).all()
    assert [e for e, name in zip(first.energy_kwh, first.id, strict=True) if e != exact[name]]
    again = at(H).sessions(ALL)
    for n, name in enumerate(again.id):
        before = first.id.index(name)
        if name == "three":
            assert again.departure_s[n] == first.departure_s[before]
            assert again.arrival_s[n] == max(first.arrival_s[before], H)
        else:
            truth = perfect.id.index(name)
            assert again.arrival_s[n] == perfect.arrival_s[truth]
            assert again.departure_s[n] == perfect.departure_s[truth]
            assert again.energy_kwh[n] == perfect.energy_kwh[truth]


def test_noise_of_no_size_is_perfect():
    noisy, perfect = teller(charging({"type": "noisy"}))(0.0).sessions(ALL), teller(charging())(0.0).sessions(ALL)
    assert noisy.id == perfect.id
    for column in ("arrival_s", "departure_s", "energy_kwh", "soc", "capacity_kwh", "p_max_kw", "soc_v2g_min"):
        assert getattr(noisy, column) == pytest.approx(getattr(perfect, column)), column


def test_a_sessions_error_does_not_depend_on_the_others():
    told = {"type": "noisy", "arrival_std": "30min"}
    fewer = {"type": "list", "items": ITEMS[1:2]}
    both = [teller(charging(told)), teller(charging(told, sessions=fewer))]
    every, only = (at(0.0).sessions(ALL) for at in both)
    assert every.arrival_s[every.id.index("two")] == only.arrival_s[0] != H


def test_errors_of_sessions_have_the_asked_for_deviations_and_no_bias():
    plain = Session("s", 40 * H, 50 * H, 20.0, capacity_kwh=100.0, soc_arrival=0.3)
    sizes = {"arrival_std_s": 1200.0, "departure_std_s": 2400.0, "energy_std": 0.1}
    drawn = [
        forecasts.misjudged(plain, np.random.default_rng(n), **sizes, connector_kw=22.0, efficiency=0.9)
        for n in range(2000)
    ]
    for name, size in (("arrival_s", 1200.0), ("departure_s", 2400.0), ("energy_kwh", 2.0)):
        error = np.array([getattr(session, name) for session in drawn]) - getattr(plain, name)
        assert error.std() == pytest.approx(size, rel=0.06), name
        assert error.mean() == pytest.approx(0.0, abs=0.1 * size), name
    # who asks for more comes emptier: the final state of charge is the same
    full = [session.soc_arrival + session.energy_kwh * 0.9 / 100.0 for session in drawn]
    assert full == pytest.approx([0.3 + 0.18] * len(full))


SCHEDULE = """arrival,departure,energy_kwh,id
1800,7200,20,one
3600,10800,5,ghost
5400,21600,30,two
"""


def test_an_expected_schedule_knows_an_ev_by_its_id_and_gives_up_those_that_do_not_come(tmp_path):
    (tmp_path / "plan.csv").write_text(SCHEDULE)
    at = teller(charging({"type": "csv", "file": "plan.csv"}), tmp_path)
    before = at(0.0).sessions(ALL)
    assert before.id == ("one", "ghost", "two")
    assert before.departure_s.tolist() == [2 * H, 3 * H, 6 * H]
    later = at(2 * H).sessions(ALL)
    assert later.id == ("one", "two", "ghost")  # two came early; the ghost is late
    assert later.arrival_s.tolist() == [0.5 * H, 1 * H, 2 * H]
    assert later.departure_s.tolist() == [4 * H, 6 * H, 3 * H]
    assert at(3 * H).sessions(ALL).id == ("one", "two")
    assert at(5.5 * H).sessions(ALL).id == ("two", "three")  # whom nobody expected


# --- files ------------------------------------------------------------------------------------------------------------

HOURLY = "t_s,a,b\n" + "".join(f"{n * 3600},{n},{10 - n / 10}\n" for n in range(72))


def test_forecasts_from_files_are_told_as_they_stand(tmp_path):
    (tmp_path / "told.csv").write_text(HOURLY)
    file = {"type": "csv", "file": "told.csv"}
    told = {
        "pv": {**file, "column": "a", "scale": 2.0},
        "load": {**file, "columns": {"general": "b", "critical": "a"}},
        "prices": {**file, "columns": {"buy": "b"}},
    }
    forecast = teller(scenario(told), tmp_path)(5 * H)
    edges_s = np.array([6, 8, 9]) * H
    assert forecast.pv_kw(edges_s).tolist() == [13.0, 16.0]
    assert forecast.load_kw(edges_s) == pytest.approx(np.array([[6.5, 0, 0, 9.35], [8, 0, 0, 9.2]]))
    assert forecast.price("buy", edges_s) == pytest.approx([9.35, 9.2])
    assert forecast.price("sell", edges_s) == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("part", "told", "text", "problem"),
    [
        ("pv", {"column": "a"}, "t_s,a\n0,1\n3600,2\n", "t_s: covers 0 s..7200 s, the run needs 0 s..259200 s"),
        ("pv", {"column": "c"}, HOURLY, "header: needs a column c"),
        ("pv", {"column": "a", "scale": -1.0}, HOURLY, "hubs.depot.forecasts.pv: must be >= 0 at all times, got -71"),
        ("load", {"columns": {"general": "c", "critical": "a"}}, HOURLY, "header: needs a column c"),
        ("prices", {"columns": {"buy": "a"}}, "t_s,a\n0,x\n3600,2\n", "line 2, a: must be a number, got 'x'"),
    ],
)
def test_a_file_that_does_not_do_is_told_once(tmp_path, part, told, text, problem):
    (tmp_path / "told.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        build(plants.loaded(scenario({part: {"type": "csv", "file": "told.csv", **told}}), tmp_path))
    (line,) = str(caught.value).splitlines()
    assert problem in line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("arrival,departure,energy_kwh\n7200,3600,5\n", "row 2, departure: must be after the arrival"),
        ("arrival,departure,energy_kwh,capacity_kwh,soc_arrival\n0,3600,50,40,0.5\n", "must fit into its pack"),
    ],
)
def test_an_expected_schedule_that_cannot_be_is_refused_under_its_own_key(tmp_path, text, problem):
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        build(plants.loaded(charging({"type": "csv", "file": "plan.csv"}), tmp_path))
    (line,) = str(caught.value).splitlines()
    assert problem in line
    assert "plan.csv" in line or "hubs.depot.forecasts.sessions: session row 2" in line


# --- in a run ---------------------------------------------------------------------------------------------------------


class Trusting(base.Controller):
    """Follows what it is told: charges by the sessions it expects, and stores the PV."""

    seen: ClassVar[list[tuple[float, base.Hub, base.ExpectedSessions]]] = []

    def decide(self, observation):
        """Use every part of the forecast."""
        setpoints = {}
        edges_s = np.linspace(observation.t_s, observation.end_s, 4)
        for name, hub in observation.hubs.items():
            told = hub.forecast.sessions(observation.end_s)
            Trusting.seen.append((observation.t_s, hub, told))
            kw = hub.forecast.pv_kw(edges_s)[-1] - hub.forecast.load_kw(edges_s)[0].sum()
            share = told.energy_kwh.sum() / (1.0 + hub.forecast.price("buy", edges_s)[0] + len(told.id))
            setpoints[name] = base.Setpoints(np.full_like(self.sites[name].connector_kw, share), bess_kw=-kw)
        return base.Decision(setpoints)


@pytest.fixture(autouse=True)
def forget():
    Trusting.seen.clear()


def busy(told: dict) -> dict:
    """A crowded hub whose EVs wait, give up and meet a connector that fails."""
    hub = plants.hub_with_everything() | {
        "sessions": {"type": "stochastic", "profile": "public", "scale": 8},
        "queue": {"patience": "20min", "places": 4, "plug_in": "40s", "authentication": "25s"},
        "forecasts": told,
    }
    fault = {"at": "1min", "connector_fault": {"hub": "depot", "connector": 2, "until": "3h"}}
    controller = {"type": f"{__name__}:Trusting", "period": "5min"}
    return plants.smallest(duration="8h", hubs={"depot": hub}, events=[fault], controller=controller)


@pytest.mark.parametrize("kind", ["plugged_in", "perfect", "noisy"])
def test_the_evs_told_as_plugged_in_are_those_at_the_connectors(tmp_path, kind):
    told = {"type": kind} | ({"arrival_std": "20min", "departure_std": "20min"} if kind == "noisy" else {})
    plants.run_data(busy({"sessions": told}), tmp_path)
    waited = 0
    for t_s, hub, expected in Trusting.seen:
        there = expected.arrival_s <= t_s if kind != "noisy" else np.isin(expected.id, hub.connectors.session_id)
        names = {name for name, is_there in zip(expected.id, there, strict=True) if is_there}
        assert names == {name for name in hub.connectors.session_id if name is not None}, t_s
        for place, name in enumerate(hub.connectors.session_id):
            if name is not None and kind != "perfect":
                n = expected.id.index(name)
                assert expected.departure_s[n] == pytest.approx(hub.connectors.departure_s[place], nan_ok=True)
                assert expected.energy_kwh[n] == hub.connectors.requested_kwh[place]
                waited += expected.departure_s[n] < t_s
    assert len(Trusting.seen) > 100
    assert kind == "perfect" or waited  # EVs that had to wait are there after the departure they announced


FULL = {
    "pv": NOISY,
    "load": NOISY,
    "prices": {"type": "persistence", "lag": "1h"},
    "sessions": {"type": "noisy", "arrival_std": "20min", "departure_std": "20min", "energy_std": 0.3},
}


def test_runs_that_use_forecasts_give_the_same_bytes_again_and_in_both_engines(tmp_path):
    runs = [plants.run_data(busy(FULL), tmp_path, f"{n}.h5", engine) for n, engine in enumerate(("inprocess",) * 2)]
    runs.append(plants.run_data(busy(FULL), tmp_path, "mosaik.h5", "mosaik"))
    first, *others = (plants.datasets(path) for path in runs)
    assert all(other == first for other in others)
    perfect = plants.datasets(plants.run_data(busy({}), tmp_path, "perfect.h5"))
    assert perfect != first


def test_forecasts_change_nothing_and_cost_nothing_where_nobody_asks(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nobody asked")

    plain = {**busy({}), "controller": {"type": "equal_share", "period": "5min"}}
    expected = plants.datasets(plants.run_data(plain, tmp_path, "plain.h5"))
    for name in ("noise", "noisy", "persistence", "misjudged", "plugged"):
        monkeypatch.setattr(forecasts, name, refuse)
    monkeypatch.setattr("evhub.scenarios.assembly.forecast_build.misjudged", refuse)
    monkeypatch.setattr("evhub.scenarios.assembly.forecast_build.plugged", refuse)
    told = {**busy(FULL), "controller": {"type": "equal_share", "period": "5min"}}
    assert plants.datasets(plants.run_data(told, tmp_path, "told.h5")) == expected


@pytest.mark.parametrize("told", [FULL, {"sessions": {"type": "perfect"}}, {"sessions": {"type": "plugged_in"}}])
def test_forecasts_out_of_a_pickle_are_the_same_and_hold_nothing_that_was_computed(told):
    at = teller(busy(told))
    before = pickle.dumps(at)
    edges_s = np.linspace(2 * H, 8 * H, 30)

    def forecast(maker) -> list:
        made = maker(2 * H, 1.5)
        evs = made.sessions(8 * H)
        prices = [made.price(name, edges_s) for name in ("buy", "sell")]
        powers = [made.pv_kw(edges_s), made.load_kw(edges_s), made.other_kw(edges_s)]
        columns = (evs.arrival_s, evs.departure_s, evs.energy_kwh, evs.v2g)
        return [evs.id, *(array.tobytes() for array in (*prices, *powers, *columns))]

    expected = forecast(at)
    assert len(expected[0]) > 1
    assert pickle.dumps(at) == before
    assert forecast(pickle.loads(before)) == expected
    assert copy.deepcopy(at) is at


# --- plates -----------------------------------------------------------------------------------------------------------


class Plates(Trusting):
    """Keeps the plates."""

    sites_seen: ClassVar[list[base.Site]] = []

    def __init__(self, sites, *rest):
        super().__init__(sites, *rest)
        Plates.sites_seen = list(sites.values())


def test_the_plates_hold_what_a_plan_needs():
    hub = plants.hub_with_everything() | {"tariffs": {"demand_per_kw": 7.5}, "dg": {"rated_kw": 30, "minimum_kw": 6}}
    hub["bess"] = {**hub["bess"], "efficiency": 0.94}
    plain = {"grid": {"contracted_kw": 9}}
    build(plants.loaded(plants.smallest(hubs={"a": hub, "b": plain}, controller={"type": f"{__name__}:Plates"})))
    full, bare = Plates.sites_seen
    assert (full.demand_per_kw, full.dg_minimum_kw, full.bess_eta_charge, full.bess_eta_discharge) == (
        7.5,
        6,
        0.94,
        0.94,
    )
    assert (bare.demand_per_kw, bare.dg_minimum_kw, bare.bess_eta_charge, bare.bess_eta_discharge) == (0, 0, 1, 1)


def test_devices_of_further_kinds_may_be_expected_to_draw(tmp_path):
    (tmp_path / "net.csv").write_text("t_s,p_kw\n0,-4\n1800,3\n7200,3\n")
    turbine = {"rated_kw": 10, "power": {"type": "constant", "value": 5}}
    other = {"type": "csv", "file": "net.csv", "column": "p_kw"}
    hub = {"grid": {"contracted_kw": 20}, "wind": turbine, "forecasts": {"other": other}}
    data = {"name": "net", "start": "2024-03-01T12:00:00Z", "duration": "1h", "hubs": {"depot": hub}}
    wiring = build(parse(data | LOOKING, tmp_path / "net.yaml"))
    (parameters,) = [entity.parameters for entity in wiring.entities if entity.sid == "controller"]
    forecast = parameters["forecast"](0.0)
    assert forecast.other_kw(np.array([0.0, 1800.0, 3600.0])).tolist() == [-4.0, 3.0]
