"""What policies see and command, on hand-made observations; their networks, files and safety layer."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.controllers.circuits import Circuits
from evhub.controllers.policy.hub_actions import HubActions
from evhub.controllers.policy.hub_features import CONNECTOR_COLUMNS, HubFeatures
from evhub.controllers.policy.policy_entries import Seen, table
from evhub.controllers.policy.policy_file import SHIPPED, Policy, PolicyError
from evhub.controllers.policy.policy_hub import PolicyHub, PolicyRunner
from evhub.controllers.policy.policy_network import FlatNetwork, Mlp, NetworkLayer, SharedNetwork
from evhub.controllers.policy.policy_options import PolicyOptions
from evhub.controllers.policy.safety_layer import keep_limits
from evhub.scenarios.engines.device_commands import check

from ...helpers.sizes import examples
from . import test_controllers as made

OPTIONS = PolicyOptions()
WIND = base.DevicePlates(
    "wind", {"rated_kw": 8.0}, ("curtailable",), {"p_limit_kw": base.CommandRange("kW", 0.0, 8.0, inf)}
)
TWO_WAY = base.DevicePlates("tide", {}, (), {"p_set_kw": base.CommandRange("kW", -5.0, 10.0, 0.0)})


def see(plant: base.Site, hub: base.Hub, t_s: float = 0.0, period_s: float = 300.0) -> Seen:
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    return Seen(base.Observation(t_s, at, {"depot": hub}, 3600.0), plant, hub, period_s)


def named(features: HubFeatures, seen: Seen) -> dict[str, float]:
    return dict(zip(features.names, features.values(seen).tolist(), strict=True))


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_are_scaled_by_plates_and_clocks():
    plant = made.site(2)
    evs = made.connectors([1, 0], [25.0, 0.0], [11.0, 0.0])
    values = named(HubFeatures(plant, OPTIONS), see(plant, made.hub(evs, p_pv_kw=5.0, p_bess_kw=-10.0)))
    assert values["pv/p"] == 0.25
    assert values["bess/p"] == -0.5
    assert values["bess/soc"] == pytest.approx(0.5)  # 0.5 in the window 0.2..0.8
    assert values["load/p"] == pytest.approx(0.1)
    assert values["room"] == pytest.approx(0.9)
    assert values["price/buy"] == pytest.approx(0.6)
    assert values["time/day_cos"] == -1.0  # noon
    assert values["connector/1/occupied"] == 1.0
    assert values["connector/1/p_max"] == 0.5
    assert values["connector/1/remaining"] == 0.5
    assert values["connector/1/departure"] == pytest.approx(1.0 / 24.0)
    # 25 kWh at 11 kW take more than the hour that is left, 2.3 times as long
    assert values["connector/1/laxity"] == pytest.approx((1.0 - 25.0 / 11.0) / 24.0)
    assert values["connector/1/needed"] == 2.0  # as far as the entry goes
    assert values["connector/2/occupied"] == values["connector/2/remaining"] == 0.0
    # 22 kW would be needed, 11 the EV takes
    assert values["cp/urgent"] == pytest.approx(11.0 / 50.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"p_load_kw": nan}, "load/p"),
        ({"p_load_kw": nan}, "room"),
        ({"p_grid_kw": nan}, "grid/p"),
        ({"soc": nan}, "bess/soc"),
        ({"v_pu": nan}, "network/v"),
        ({"p_pv_kw": nan}, "pv/p"),
        ({"fuel_l": nan}, "dg/fuel"),
        ({"i_grid_a": np.full(3, nan)}, "grid/i_max"),
    ],
)
def test_what_is_not_known_is_0_and_says_so(change, name):
    plant = made.site(1)
    features = HubFeatures(plant, OPTIONS)
    known = named(features, see(plant, made.hub(made.connectors([0], [0], [0]))))
    unknown = named(features, see(plant, made.hub(made.connectors([0], [0], [0]), **change)))
    assert known[f"{name}_known"] == 1.0
    assert (unknown[name], unknown[f"{name}_known"]) == (0.0, 0.0)


def test_a_departure_or_state_of_charge_that_nobody_tells_is_marked():
    plant = made.site(2)
    evs = made.connectors([1, 1], [5.0, 5.0], [11.0, 11.0])
    evs = replace(evs, departure_s=np.array([3600.0, nan]), soc=np.array([nan, 0.4]))
    values = named(HubFeatures(plant, OPTIONS), see(plant, made.hub(evs)))
    assert [values[f"connector/{n}/departure_known"] for n in (1, 2)] == [1.0, 0.0]
    assert [values[f"connector/{n}/soc_known"] for n in (1, 2)] == [0.0, 1.0]
    assert values["connector/2/soc"] == pytest.approx(0.4)


def test_only_devices_that_are_there_are_seen_and_every_entry_has_a_name_of_its_own():
    bare = made.site(1, pv_kw=0.0, bess_kw=0.0, dg_kw=0.0, secondary_kw=0.0)
    names = HubFeatures(bare, OPTIONS).names
    assert not [name for name in names if name.split("/")[0] in ("pv", "bess", "dg", "secondary")]
    full = HubFeatures(made.site(3, devices={"wind": WIND}), PolicyOptions(lookahead=2))
    assert len(set(full.names)) == len(full.names) == len(full.units)
    assert {"wind/p", "wind/p_known", "wind/failed", "ahead/2/pv", "ahead/2/known"} <= set(full.names)
    assert len(table(full.entries).splitlines()) == len(full.names) + 1


def test_beyond_the_end_of_the_run_nothing_is_forecast():
    plant = made.site(1)
    features = HubFeatures(plant, PolicyOptions(lookahead=3))
    values = named(features, see(plant, made.hub(made.connectors([0], [0], [0]))))
    assert [values[f"ahead/{k}/known"] for k in (1, 2, 3)] == [1.0, 0.0, 0.0]


@given(situation=made.situations())
@settings(max_examples=examples(50))
def test_features_are_finite_and_in_their_ranges_whatever_is_seen(situation):
    plant, hub = situation
    features = HubFeatures(plant, PolicyOptions(lookahead=1))
    values = features.values(see(plant, hub))
    assert values.dtype == np.float32
    low, high = (np.array([getattr(entry, end) for entry in features.entries], np.float32) for end in ("low", "high"))
    assert ((low <= values) & (values <= high)).all()


# --- actions ----------------------------------------------------------------------------------------------------------


def test_actions_are_parts_of_ratings():
    plant = made.site(2, devices={"wind": WIND, "tide": TWO_WAY})
    actions = HubActions(plant, PolicyOptions(v2g=True, reactive=True, load=("general",)))
    action = dict.fromkeys(actions.names, 0.0)
    action |= {"connector/1": 0.5, "connector/2": -1.0, "bess": -0.25, "pv": 0.5, "dg": 0.5}
    action |= {"bess/q": 0.5, "connector/1/q": -0.5, "load/general": 1.0, "wind/limit": 0.25, "tide/set": -0.5}
    evs = replace(made.connectors([1, 1], [20, 20], [11, 44]), v2g=np.array([False, True]))
    answer = actions.setpoints(list(action.values()), see(plant, made.hub(evs)))
    check(answer, plant := made.site(2)) if not answer.devices else None
    assert answer.connector_kw.tolist() == [5.5, -22.0]  # half of what the EV accepts; all of the rating
    assert (answer.bess_kw, answer.pv_limit_kw, answer.dg_kw) == (-5.0, 10.0, 15.0)
    assert answer.bess_q_kvar == 10.0
    assert answer.connector_q_kvar is not None
    assert answer.connector_q_kvar.tolist() == [-11.0, 0.0]
    assert answer.load_limit_kw == (inf, inf, inf, inf)
    assert answer.devices == {"wind": {"p_limit_kw": 2.0}, "tide": {"p_set_kw": -2.5}}


def test_nobody_is_discharged_who_did_not_agree():
    plant = made.site(1)
    actions = HubActions(plant, PolicyOptions(v2g=True))
    seen = see(plant, made.hub(made.connectors([1], [20], [11])))
    assert actions.setpoints([-1.0, 0.0, 1.0, 0.0], seen).connector_kw.tolist() == [0.0]


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (np.zeros(3), r"an action must have the shape \(4,\), got \(3,\)"),
        ([nan, 0.0, 0.0, 0.0], "an action must have finite numbers, got nan of connector/1"),
        ([0.0, 0.0, inf, 0.0], "an action must have finite numbers, got inf of pv"),
        ("full", "an action must be an array of numbers, got 'full'"),
    ],
)
def test_what_is_no_action_is_refused_in_one_line(action, match):
    with pytest.raises(ValueError, match=match) as refused:
        HubActions(made.site(1), OPTIONS).check(action)
    assert "\n" not in str(refused.value)


def test_the_mask_says_what_has_no_effect():
    plant = made.site(4)
    evs = made.connectors([1, 0, 1, 1], [20, 0, 0, 20], [11, 0, 11, 11])
    evs = replace(evs, faulted=np.array([False, False, False, True]))
    actions = HubActions(plant, OPTIONS)
    hub = made.hub(evs, failed=frozenset({"bess"}))
    mask = dict(zip(actions.names, actions.mask(see(plant, hub)).tolist(), strict=True))
    # wants energy; is free; has what it asked for; is out of order
    assert [mask[f"connector/{n}"] for n in (1, 2, 3, 4)] == [1, 0, 0, 0]
    assert (mask["bess"], mask["pv"], mask["dg"]) == (0, 1, 1)
    dead = actions.mask(see(plant, replace(hub, bus=0)))
    assert not dead[:4].any()


# --- safety -----------------------------------------------------------------------------------------------------------


@given(situation=made.situations(), data=st.data())
@settings(max_examples=examples(100))
def test_within_the_safety_layer_no_action_passes_a_limit(situation, data):
    plant, hub = situation
    policy_hub = PolicyHub("depot", plant, PolicyOptions(v2g=True), 300.0)
    numbers = st.floats(-1e6, 1e6, width=32)
    n = len(policy_hub.actions.names)
    action = data.draw(st.lists(numbers, min_size=n, max_size=n))
    seen = see(plant, hub)
    answer, clipped_kw = policy_hub.command(action, seen)
    check(answer, plant)
    assert all(kw > 0.0 for kw in clipped_kw.values())
    charging = np.minimum(np.maximum(answer.connector_kw, 0.0), hub.connectors.p_max_kw)
    if hub.dead:
        assert not charging.any()
        return
    room_kw = seen.limit_kw - hub.net_load_kw + min(hub.p_pv_kw, answer.pv_limit_kw)
    room_kw = room_kw if np.isfinite(room_kw) else 0.0
    import_kw = charging.sum() - answer.bess_kw
    assert import_kw <= max(0.0, room_kw) + 1e-6 or charging.sum() <= 1e-6 >= -answer.bess_kw
    stored_kwh = (hub.soc - plant.bess_soc_min) * plant.bess_kwh
    assert answer.bess_kw * 300.0 / 3600.0 <= max(0.0, stored_kwh) + 1e-9
    assert -answer.bess_kw * 300.0 / 3600.0 <= max(0.0, (plant.bess_soc_max - hub.soc) * plant.bess_kwh) + 1e-9


def test_what_is_within_the_limits_is_left_as_it_is():
    plant = made.site(2, contracted_kw=100.0)
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    wanted = base.Setpoints(np.array([10.0, 20.0]), bess_kw=-5.0, pv_limit_kw=15.0, dg_kw=7.0)
    kept, clipped_kw = keep_limits(wanted, see(plant, made.hub(evs)))
    assert clipped_kw == {}
    assert kept.connector_kw.tolist() == [10.0, 20.0]
    assert (kept.bess_kw, kept.pv_limit_kw, kept.dg_kw) == (-5.0, 15.0, 7.0)


def test_what_is_clipped_is_told_by_device():
    plant = made.site(2)  # 50 kW contracted, 5 kW load
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    wanted = base.Setpoints(np.array([22.0, 22.0]), bess_kw=-20.0, dg_kw=40.0)
    kept, clipped_kw = keep_limits(wanted, see(plant, made.hub(evs)))
    assert kept.connector_kw.tolist() == [22.0, 22.0]
    assert kept.bess_kw == pytest.approx(-1.0)  # the rest of the contract
    assert clipped_kw == {"bess": pytest.approx(19.0), "dg": pytest.approx(10.0)}
    low = keep_limits(wanted, see(plant, made.hub(evs, p_load_kw=20.0)))
    assert low[0].connector_kw.tolist() == [15.0, 15.0]
    assert low[1]["connector/2"] == pytest.approx(7.0)


def test_circuits_and_cabinets_are_kept():
    circuits = Circuits(("panel",), np.ones((1, 2), dtype=complex), np.array([12.0]))
    plant = made.site(2, circuits=circuits)
    evs = made.connectors([1, 1], [20, 20], [22, 22])
    kept, _ = keep_limits(base.Setpoints(np.array([22.0, 22.0])), see(plant, made.hub(evs)))
    assert kept.connector_kw.tolist() == [6.0, 6.0]
    # of two that discharge 30 kW together through a panel of 12, none does
    evs = replace(evs, v2g=np.ones(2, dtype=bool))
    kept, clipped_kw = keep_limits(base.Setpoints(np.array([-15.0, -15.0])), see(plant, made.hub(evs)))
    assert not kept.connector_kw.any()
    assert clipped_kw["connector/1"] == pytest.approx(15.0)


def test_nothing_flows_back_into_the_source_of_an_island():
    plant = made.site(1)
    hub = made.hub(made.connectors([0], [0], [0]), bus=2, p_load_kw=8.0, p_pv_kw=20.0)
    kept, _ = keep_limits(base.Setpoints(np.zeros(1), bess_kw=20.0, dg_kw=30.0), see(plant, hub))
    assert kept.dg_kw + min(kept.pv_limit_kw, 20.0) + kept.bess_kw <= 8.0 + 1e-9


# --- networks and files -----------------------------------------------------------------------------------------------


def test_a_network_computes_what_its_layers_say():
    first = NetworkLayer(np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([0.5, 0.0]), "relu")
    last = NetworkLayer(np.array([[1.0, 1.0]]), np.array([-1.0]))
    net = Mlp((first, last), np.array([1.0, 1.0]), np.array([2.0, 1.0]))
    # (3, 2) normalised is (1, 1): relu(0.5, 2) adds up to 2.5, less 1
    assert net(np.array([3.0, 2.0])).tolist() == [1.5]
    again = net.with_parameters(net.parameters())
    assert again(np.array([3.0, 2.0])).tolist() == [1.5]


def flat_policy(hub: PolicyHub, **changes) -> Policy:
    sizes = (len(hub.features.names), 5, len(hub.actions.names))
    rng = np.random.default_rng(1)
    mlp = Mlp.of_sizes(sizes, rng).with_parameters(rng.normal(0.0, 0.3, Mlp.of_sizes(sizes, rng).parameters().size))
    fields = {"features": tuple(hub.features.names), "actions": tuple(hub.actions.names), "note": "by hand"}
    return Policy(FlatNetwork(mlp), hub.options, **{**fields, **changes})


def test_a_policy_is_the_same_after_it_was_written_and_read(tmp_path):
    plant = made.site(2)
    hub = PolicyHub("depot", plant, PolicyOptions(lookahead=1, price_scale=0.2), 300.0)
    policy = flat_policy(hub)
    again = Policy.load(policy.save(tmp_path / "mine"))
    assert (again.options, again.features, again.actions, again.note) == (
        policy.options,
        policy.features,
        policy.actions,
        "by hand",
    )
    assert again.evhub
    seen = see(plant, made.hub(made.connectors([1, 0], [20, 0], [11, 0])))
    assert PolicyRunner(again, hub).act(seen).tolist() == PolicyRunner(policy, hub).act(seen).tolist()


def test_a_policy_of_another_hub_is_refused_in_one_line_that_names_what_differs():
    hub = PolicyHub("depot", made.site(2), OPTIONS, 300.0)
    other = PolicyHub("yard", made.site(1, bess_kw=0.0), OPTIONS, 300.0)
    with pytest.raises(PolicyError) as refused:
        PolicyRunner(flat_policy(hub), other)
    text = str(refused.value)
    assert "\n" not in text
    assert text.startswith("must be a policy for the hub yard: it has features bess/p")
    assert "has actions connector/2, bess" in text
    with pytest.raises(PolicyError, match=r"lacks features bess/p.*lacks actions connector/2, bess"):
        PolicyRunner(flat_policy(other), hub)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "No such file"),
        (b"", "is no policy"),
        (b"not an archive", "must be a whole .npz file"),
        ({"weights": np.zeros(3)}, "it has no about"),
        ({"about": np.array("{}")}, "its format is None"),
        ({"about": np.array("[]")}, "is no policy"),
        ({"about": np.array({"a": 1}, dtype=object)}, "is no policy"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_one_line(tmp_path, content, match):
    path = tmp_path / "policy.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(PolicyError, match=match) as refused:
        Policy.load(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("about", "match"),
    [
        ({"format": "evhub policy 2", "evhub": "9.0"}, r"its format is 'evhub policy 2' \(written by evhub 9.0\)"),
        ({"network": "transformer"}, "network: Input should be 'flat' or 'shared'"),
        ({"options": {"colour": 1}}, "options.colour: Extra inputs are not permitted"),
        ({"options": {"price_scale": inf}}, "options.price_scale: Input should be a finite number"),
        ({"features": "time/day_sin"}, "features: Input should be a valid tuple"),
        ({"connector_features": [1] * len(CONNECTOR_COLUMNS)}, "connector_features.0: Input should be a valid string"),
        ({"activations": {"connector": ["swish"]}}, "activations.connector.0: Input should be 'linear', 'tanh' or"),
        ({"activations": {"hub": ["tanh"]}}, "it has no connector"),
        ({"activations": {"connector": []}}, "a network must have a layer"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(tmp_path, about, match):
    with np.load(SHIPPED) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["about"] = np.array(json.dumps(json.loads(str(arrays["about"])) | about))
    np.savez(tmp_path / "policy.npz", **arrays)
    with pytest.raises(PolicyError, match=match) as refused:
        Policy.load(tmp_path / "policy.npz")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["connector/0/weight", "connector/mean", "connector/scale"])
@pytest.mark.parametrize("value", [nan, inf, 1j, "1", True, np.datetime64("2024-03-01")])
def test_weights_and_scales_that_are_no_finite_numbers_are_refused(tmp_path, name, value):
    with np.load(SHIPPED) as archive:
        arrays = {name: archive[name] for name in archive.files}
    n_in = arrays["connector/0/weight"].shape[1]
    arrays |= {"connector/mean": np.zeros(n_in), "connector/scale": np.ones(n_in)}
    np.savez(tmp_path / "good.npz", **arrays)
    Policy.load(tmp_path / "good.npz")
    arrays[name] = np.full(arrays[name].shape, value)
    np.savez(tmp_path / "policy.npz", **arrays)
    with pytest.raises(PolicyError, match="finite numbers"):
        Policy.load(tmp_path / "policy.npz")


@given(data=st.data())
@settings(max_examples=examples(200))
def test_a_damaged_file_is_the_same_policy_or_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    content = bytearray(SHIPPED.read_bytes())
    # the directory of an archive is at its end
    places = st.one_of(st.integers(0, len(content) - 1), st.integers(len(content) - 700, len(content) - 1))
    for place in data.draw(st.lists(places, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        policy = Policy.load(path)
    except PolicyError as error:
        assert str(error).startswith(f"{path} is no policy: ")
        assert str(error).count("is no policy") == 1
        assert "\n" not in str(error)
    else:
        assert pickle.dumps(policy) == pickle.dumps(Policy.load(SHIPPED))


def test_a_cut_file_is_refused(tmp_path):
    hub = PolicyHub("depot", made.site(2), OPTIONS, 300.0)
    path = flat_policy(hub).save(tmp_path / "policy.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PolicyError, match="is no policy"):
        Policy.load(path)


def test_weights_that_do_not_fit_the_names_are_refused():
    hub = PolicyHub("depot", made.site(2), OPTIONS, 300.0)
    with pytest.raises(PolicyError, match="mlp must have 3 outputs for the names it has, got 5"):
        flat_policy(hub, actions=("a", "b", "c"))
    with pytest.raises(ValueError, match="finite"):
        NetworkLayer(np.array([[nan]]), np.zeros(1))


def test_the_shipped_policy_runs_hubs_of_any_size_and_says_what_made_it():
    policy = Policy.load(SHIPPED)
    assert isinstance(policy.network, SharedNetwork)
    assert set(policy.connector_features) <= set(CONNECTOR_COLUMNS)
    assert "workplace-month" in policy.note
    assert SHIPPED.stat().st_size < 50_000
    for n in (0, 1, 40):
        plant = made.site(n, bess_kw=0.0, pv_kw=0.0, dg_kw=0.0)
        runner = PolicyRunner(policy, PolicyHub("depot", plant, policy.options, 300.0))
        seen = see(plant, made.hub(made.connectors([1] * n, [20] * n, [11] * n)))
        assert runner.act(seen).shape == (n,)
        check(runner.hub.command(runner.act(seen), seen).setpoints, plant)


def test_connectors_that_look_alike_are_commanded_alike():
    plant = made.site(3)
    policy = Policy.load(SHIPPED)
    runner = PolicyRunner(policy, PolicyHub("depot", plant, policy.options, 300.0))
    action = runner.act(see(plant, made.hub(made.connectors([1, 1, 1], [20, 20, 20], [11, 11, 11]))))
    assert action[0] == action[1] == action[2]


def test_what_runs_a_hub_can_be_copied():
    hub = PolicyHub("depot", made.site(2, devices={"wind": WIND}), PolicyOptions(lookahead=1), 300.0)
    again = pickle.loads(pickle.dumps(hub))
    assert (again.features.names, again.actions.names) == (hub.features.names, hub.actions.names)


def test_a_shared_policy_reads_what_it_names_and_is_refused_for_what_is_not_there():
    plant = made.site(2)
    hub = PolicyHub("depot", plant, OPTIONS, 300.0)
    seen = see(plant, made.hub(made.connectors([1, 0], [20, 0], [11, 0])))
    share = NetworkLayer(np.array([[0.0, 0.5]]), np.array([0.25]))
    network = SharedNetwork(Mlp((share,)))
    policy = Policy(network, OPTIONS, ("sea/level",), (), ("occupied",))
    # what the hub does not have reads 0; the battery rests, PV is not limited, the generator is off
    assert PolicyRunner(policy, hub).act(seen).tolist() == [0.75, 0.25, 0.0, 1.0, 0.0]
    with pytest.raises(PolicyError, match="must be a policy for the hub depot: it has connector features colour"):
        PolicyRunner(replace(policy, connector_features=("colour",)), hub)
