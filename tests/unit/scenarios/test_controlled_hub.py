"""What a controller is told of the connectors and of prices, which is kept up by change."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.scenarios.engines.controlled_hub import ControlledHub, KnownSessions
from evhub.scenarios.engines.device_commands import bound as bound_of
from evhub.simulators.adapter import Clock, Schedule

from ..controllers import test_controllers as made

COUNT = 3  # connectors
KNOWN = KnownSessions(
    id=[f"s{k}" for k in range(5)],
    energy_kwh=np.array([10.0, 20.0, 30.0, 40.0, 50.0]),
    p_max_kw=np.array([11.0, 22.0, 3.7, 7.4, 11.0]),
    departure_s=np.array([900.0, np.nan, 1800.0, 2700.0, 3600.0]),
    v2g=np.array([False, True, False, True, False]),
)
EARLIER, LATER = base.Parameters(), base.Parameters()


def controlled(*, linked: bool = False) -> ControlledHub:
    return ControlledHub(
        Clock(1.0, 3600),
        site=made.site(COUNT),
        sessions=KNOWN,
        linked=linked,
        parameters=Schedule([(5.0, 7.0, LATER)], EARLIER),
        forecast=lambda _: None,  # type: ignore[arg-type]
        records={},
    )


def plug(hub: ControlledHub, t_s: float, *who: int) -> base.Connectors:
    hub.take(t_s, {"arrivals.session": {"arrivals.depot": np.array(who)}})
    return hub.observation(t_s).connectors


def arrays(told) -> dict[str, np.ndarray]:
    return {f.name: v for f in dataclasses.fields(told) if isinstance(v := getattr(told, f.name), np.ndarray)}


@given(steps=st.lists(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4]), min_size=COUNT, max_size=COUNT), max_size=12))
def test_connectors_tell_of_who_is_there_now_and_since_when(steps):
    hub, since, before = controlled(), [np.nan] * COUNT, [-1] * COUNT
    for t_s, who in enumerate(steps, start=1):
        told = plug(hub, float(t_s), *who)
        # an EV that takes the place of another within a step is as new as one that comes to a free connector
        since = [(t_s if k != b else s) if k >= 0 else np.nan for k, b, s in zip(who, before, since, strict=True)]
        before = who
        there = [k >= 0 for k in who]
        assert told.occupied.tolist() == there
        assert told.session_id == tuple(KNOWN.id[k] if k >= 0 else None for k in who)
        assert told.plugged_s == pytest.approx(since, nan_ok=True)
        for name, free in (("p_max_kw", 0.0), ("departure_s", np.nan), ("v2g", False)):
            expected = [getattr(KNOWN, name)[k] if k >= 0 else free for k in who]
            assert getattr(told, name) == pytest.approx(expected, nan_ok=True)
        assert told.requested_kwh.tolist() == [KNOWN.energy_kwh[k] if k >= 0 else 0.0 for k in who]
    for values in arrays(hub.observation(99.0).connectors).values():
        assert values.shape == (COUNT,)


def test_what_was_told_stays_what_it_was():
    hub = controlled()
    first = plug(hub, 1.0, 0, -1, -1)
    plug(hub, 2.0, 1, 2, -1)
    assert first.session_id == ("s0", None, None)
    assert first.requested_kwh.tolist() == [10.0, 0.0, 0.0]


@pytest.mark.parametrize("who", [(), (0, -1, 2)])
def test_a_controller_cannot_write_into_what_it_is_told(who):
    hub = controlled()
    told = plug(hub, 1.0, *who) if who else hub.observation(0.0).connectors
    assert [name for name, values in arrays(told).items() if values.flags.writeable] == []


def test_a_message_older_than_the_session_speaks_of_the_ev_before():
    hub = controlled(linked=True)
    plug(hub, 1.0, 0, 1, -1)
    got = {"cp.energy_kwh": {"m": np.array([4.0, 5.0, 0.0])}, "cp.connector_p_kw": {"m": np.array([3.0, 2.0, 0.0])}}
    hub.take(4.0, {**got, "cp.soc": {"m": np.array([0.4, 0.5, np.nan])}, "link.sampled_s": {"m": {"cp": 3.0}}})
    told = plug(hub, 5.0, 2, 1, -1)  # another at the first connector
    assert told.energy_kwh.tolist() == [0.0, 5.0, 0.0]
    assert told.p_kw.tolist() == [0.0, 2.0, 0.0]
    assert told.soc == pytest.approx([np.nan, 0.5, np.nan], nan_ok=True)
    hub.take(7.0, {"link.sampled_s": {"m": {"cp": 6.0}}})
    assert hub.observation(7.0).connectors.energy_kwh.tolist() == [4.0, 5.0, 0.0]


def test_a_price_holds_until_it_changes_and_the_others_with_it():
    hub = controlled()
    assert hub.observation(0.0).prices == base.Prices(0.0, 0.0, 0.0, 0.0, 0.0)
    hub.take(1.0, {"tariffs.buy_per_kwh": {"t": 0.3}, "tariffs.charging_per_kwh": {"t": 0.5}})
    hub.take(2.0, {"pv.p_kw": {"pv": 4.0}})
    assert hub.observation(2.0).prices == base.Prices(0.3, 0.0, 0.0, 0.0, 0.5)
    hub.take(3.0, {"tariffs.sell_per_kwh": {"t": 0.1}})
    hub.take(4.0, {"tariffs.buy_per_kwh": {"t": 0.4}})
    assert hub.observation(4.0).prices == base.Prices(0.4, 0.1, 0.0, 0.0, 0.5)


def test_parameters_are_those_in_force():
    hub = controlled()
    assert [hub.observation(t_s).parameters is LATER for t_s in (4.0, 5.0, 6.0, 7.0)] == [False, True, True, False]


def test_a_bound_is_a_number_or_the_sum_of_a_plate_or_its_negative():
    plates = [{"rated_kw": 5.0}, {"rated_kw": 2.0}]
    assert [bound_of(bound, plates) for bound in (0.5, "rated_kw", "-rated_kw")] == [0.5, 7.0, -7.0]
