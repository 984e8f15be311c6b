"""Environments over whole runs: spaces, seeds, rewards that add up, and policies that run as controllers."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test
from typer.testing import CliRunner

import evhub
from evhub.analysis.checks.invariants import INVARIANTS
from evhub.controllers.policy.policy_file import SHIPPED, Policy
from evhub.controllers.policy.policy_hub import PolicyRunner
from evhub.controllers.policy.policy_network import FlatNetwork, Mlp
from evhub.scenarios.errors import InputError
from evhub.scenarios.learn import HubEnv, parallel_env, policy_from_sb3
from evhub.scenarios.learn.evolution import Evolution
from evhub.scenarios.learn.train import Training, train
from evhub.scenarios.learn.train import _main as training_command
from evhub.scenarios.simulation import StepError

from ...helpers import plants
from ...helpers.plates import plates
from ...helpers.sizes import examples

TARIFFS = {
    "buy": {"type": "profile", "points": [["0s", 0.2], ["30min", 0.4]]},
    "sell": {"type": "constant", "value": 0.05},
    "dg": {"type": "constant", "value": 0.6},
    "bess": {"type": "constant", "value": 0.02},
    "charging": {"type": "constant", "value": 0.5},
    "demand_per_kw": 9.0,
}


def hub_of_all(**changes) -> dict:
    hub = {**plants.hub_with_everything(), "tariffs": TARIFFS, **changes}
    # more than it can have, so that energy is missed
    hub["sessions"] = {"type": "list", "items": [*hub["sessions"]["items"], {**LATE}]}
    return hub


LATE = {"at": "20min", "stay": "10min", "energy_kwh": 30}
OUTAGE = {"at": "25min", "outage": {"hub": "depot", "until": "32min"}}


def scenario(**changes) -> evhub.Scenario:
    data = plants.smallest(hubs={"depot": hub_of_all()}, events=[OUTAGE])
    return evhub.Scenario(**{**data, "time_zone": "America/Sao_Paulo", **changes})


def days(n: int, **changes) -> evhub.Scenario:
    """Return some days of random sessions."""
    hub = {**hub_of_all(), "sessions": {"type": "stochastic", "profile": "public", "scale": 0.5}}
    return scenario(hubs={"depot": hub}, duration=f"{n}d", time_step="1min", events=[], **changes)


def run(env, actions=None, **reset) -> tuple[list, list, list]:
    """Run an episode; return observations, rewards and infos."""
    observation, info = env.reset(**reset)
    seen, rewards, infos, over = [observation], [], [info], False
    while not over:
        action = env.action_space.sample() if actions is None else actions(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation)
        rewards.append(reward)
        infos.append(info)
        over = terminated or truncated
    return seen, rewards, infos


# --- the interfaces of others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spaces", ["flat", "dict"])
@pytest.mark.parametrize("options", [{}, {"v2g": True, "reactive": True, "lookahead": 2, "load": ("general",)}])
def test_gymnasiums_own_checker_finds_nothing(spaces, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(HubEnv(scenario(), spaces=spaces, **options), skip_render_check=True)


@pytest.mark.slow
def test_it_is_made_by_its_name_after_gymnasium_alone():
    code = (
        "import gymnasium; env = gymnasium.make('evhub.scenarios.learn:evhub/hub-v0', scenario='island-evening');"
        "env.reset(seed=1); print(env.step(env.action_space.sample())[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.isfinite(float(done.stdout))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_several_at_a_time_do_as_each_alone(mode):
    import gymnasium

    envs = gymnasium.make_vec("evhub/hub-v0", num_envs=2, vectorization_mode=mode, scenario=days(1), period="15min")
    single = HubEnv(days(1), period="15min")
    try:
        together, _ = envs.reset(seed=[5, 6])
        alone, _ = single.reset(seed=6)
        assert together[1].tolist() == alone.tolist()
        action = single.action_space.sample()
        seen, rewards, *_ = envs.step(np.array([action, action]))
        one, reward, *_ = single.step(action)
        assert (seen[1].tolist(), rewards[1]) == (one.tolist(), reward)
    finally:
        envs.close()


@pytest.mark.slow
def test_pettingzoos_own_test_of_parallel_environments_passes():
    parallel_api_test(parallel_env("two-depots", period="1h"), num_cycles=100)


@pytest.mark.slow
def test_agents_of_several_hubs_pay_for_their_own():
    env = parallel_env("two-depots", period="1h", safety=False)
    env.reset(seed=1)
    totals = dict.fromkeys(env.agents, 0.0)
    while env.agents:
        actions = {hub: env.action_space(hub).sample() for hub in env.agents}
        for hub, reward in env.step(actions)[1].items():
            totals[hub] += reward
    summary = env.result().summary()
    for hub, total in totals.items():
        assert -total == pytest.approx(summary.loc["cost_net", hub], rel=1e-9)


@pytest.mark.slow
def test_without_the_extra_the_message_says_what_to_install():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from importlib import util; real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'gymnasium' else real(name, *rest)\n"
        "from evhub.scenarios.learn import Policy, HubEnv"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: learning needs gymnasium: pip install evhub[learn]" in done.stderr


# --- seeds and episodes -----------------------------------------------------------------------------------------------


def test_a_seed_reproduces_episodes_to_the_bit():
    first, second = (HubEnv(days(1), period="15min") for _ in range(2))
    actions = np.random.default_rng(3).uniform(-1.0, 1.0, (96, first.action_space.shape[0]))
    outcomes = []
    for env in (first, second, first):
        steps = iter(actions)
        seen, rewards, infos = run(env, lambda _, steps=steps: next(steps), seed=11)
        outcomes.append((np.array(seen).tobytes(), rewards, infos[-1]["run_seed"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert run(first, lambda _: actions[0], seed=12)[2][0]["run_seed"] != outcomes[0][2]


@pytest.mark.slow
def test_an_episode_of_a_day_begins_at_a_day_of_the_run_and_is_cut():
    env = HubEnv(days(4), period="30min", episode="1d")
    begun = set()
    for seed in range(6):
        seen, _, infos = run(env, seed=seed)
        begun.add(infos[0]["begin_s"])
        assert len(seen) == 49
        assert infos[-1]["t_s"] == infos[0]["begin_s"] + 86400.0
    assert begun <= {0.0, 86400.0, 2 * 86400.0, 3 * 86400.0}
    assert len(begun) > 1


def test_an_episode_in_the_middle_goes_on_as_the_run_would():
    """The kept state of a later day, and a run that comes there by itself, see and cost the same."""
    long, short = HubEnv(days(3), period="30min", episode="1d"), HubEnv(days(3), period="30min", seeds=[0])
    short.reset(options={"run_seed": 7})
    observation = short.simulation.observation
    while observation.t_s < 2 * 86400.0:
        observation = short.simulation.step(short.simulation.controller.decide(observation))
    expected = short.policy_hub.features.values(short.policy_hub.see(observation))
    for _ in range(2):  # run once, then kept
        seen, info = long.reset(options={"run_seed": 7, "begin_s": 2 * 86400.0})
        assert info["t_s"] == 2 * 86400.0
        assert seen.tobytes() == expected.tobytes()


def test_events_call_for_decisions_where_it_is_asked():
    fixed, _, at_fixed = run(HubEnv(scenario(), period="10min"), seed=1)
    driven, _, at_driven = run(HubEnv(scenario(), period="10min", on_change=True), seed=1)
    assert [info["t_s"] for info in at_fixed] == [600.0 * n for n in range(7)]
    assert len(driven) > len(fixed)
    assert {120.0, 300.0, 1500.0} <= {info["t_s"] for info in at_driven}  # two arrivals and the outage


# --- rewards ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_change", [False, True])
@pytest.mark.parametrize("period", ["1min", "7min", "15min"])
def test_rewards_of_a_run_add_up_to_its_net_cost(period, on_change):
    env = HubEnv(scenario(), period=period, on_change=on_change, safety=False)
    env.action_space.seed(4)
    _, rewards, infos = run(env, seed=2)
    table = env.result().summary()["depot"]
    assert -sum(rewards) == pytest.approx(table["cost_net"], rel=1e-9)
    for term in ("bought", "sold", "demand", "dg", "secondary", "bess", "charging", "missed", "unserved"):
        total = sum(info["costs"].get(term, 0.0) for info in infos[1:])
        assert abs(total) == pytest.approx(abs(table[f"cost_{term}"]), rel=1e-9, abs=1e-9), term
    assert sum(info["amounts"]["missed_kwh"] for info in infos[1:]) == pytest.approx(table["missed_kwh"], rel=1e-9)
    assert table["cost_missed"] > 0.0 and table["cost_demand"] > 0.0 and table["cost_unserved"] > 0.0


def test_rewards_over_days_and_a_month_end_add_up():
    env = HubEnv(days(3, start="2024-03-30T00:00:00-03:00"), period="1h")
    env.action_space.seed(4)
    _, rewards, _ = run(env, seed=2)
    assert -sum(rewards) == pytest.approx(env.result().summary().loc["cost_net", "depot"], rel=1e-9)


def test_a_days_share_of_the_demand_charge_is_on_its_own_highest_quarter():
    env = HubEnv(days(2), period="15min", episode="1d", demand="share")
    env.action_space.seed(1)
    _, _, infos = run(env, seed=1)
    begin_s = infos[0]["begin_s"]
    t_s, p_kw = env.result().arrays("depot/grid/p_kw")
    edges_s = np.arange(begin_s, begin_s + 86401.0, 900.0)
    fine = np.arange(begin_s, begin_s + 86400.0, 60.0)
    held = np.maximum(p_kw[np.searchsorted(t_s, fine, side="right") - 1], 0.0)
    peak_kw = held.reshape(len(edges_s) - 1, 15).mean(axis=1).max()
    assert sum(info["costs"]["demand"] for info in infos[1:]) == pytest.approx(9.0 * peak_kw / 31.0, rel=1e-6)


def test_weights_and_a_function_of_ones_own_make_other_rewards():
    outcomes = []

    def mine(outcome):
        outcomes.append(outcome)
        return outcome.until_s - outcome.t_s

    def full(env):
        return lambda _: np.ones(env.action_space.shape)

    plain, weighed, own = (
        HubEnv(scenario(), reward=reward) for reward in (None, {"bought": 3.0, "missed_kwh": 2.0}, mine)
    )
    _, rewards, infos = run(plain, full(plain), seed=1)
    _, others, _ = run(weighed, full(weighed), seed=1)
    expected = [
        reward - 2.0 * info["costs"]["bought"] - 2.0 * info["amounts"]["missed_kwh"]
        for reward, info in zip(rewards, infos[1:], strict=True)
    ]
    assert others == pytest.approx(expected)
    assert sum(run(own, full(own), seed=1)[1]) == 3600.0
    assert outcomes[-1].seen_next is None and outcomes[0].hub == "depot"


# --- wrong input ------------------------------------------------------------------------------------------------------


def test_wrong_actions_and_steps_after_the_end_are_refused_in_one_line():
    env = HubEnv(scenario(), period="30min")
    with pytest.raises(StepError, match=r"the episode has not begun; reset\(\) begins one"):
        env.step(env.action_space.sample())
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"hub depot, at 0 s: an action must have the shape \(7,\), got \(2,\)"):
        env.step(np.zeros(2))
    with pytest.raises(ValueError, match="hub depot, at 0 s: an action must have finite numbers, got nan of bess"):
        env.step(np.array([0, 0, 0, np.nan, 0, 0, 0], dtype=np.float32))
    env.step(env.action_space.sample())  # nothing has happened to it
    env.step(env.action_space.sample())
    with pytest.raises(StepError, match=r"the episode has ended at 3600 s; reset\(\) begins one"):
        env.step(env.action_space.sample())


ACTION = np.zeros(7)


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (None, "must be an array of numbers, got None"),
        (["1"] * 7, "must be an array of numbers"),
        ([[1], [1, 2]], "must be an array of numbers"),
        (np.array([object()] * 7), "must be an array of numbers"),
        (ACTION + 1j, "must be an array of numbers"),
        (ACTION[:, np.newaxis], r"must have the shape \(7,\), got \(7, 1\)"),
        (ACTION - np.inf, "must have finite numbers, got -inf of connector/1"),
    ],
)
def test_what_is_no_action_is_refused_in_one_line_and_nothing_happens(action, match):
    env = HubEnv(scenario(), period="30min")
    env.reset(seed=1)
    with pytest.raises(ValueError, match=match) as refused:
        env.step(action)
    assert "\n" not in str(refused.value)
    assert env.simulation.t_s == 0.0
    env.step(np.full(7, 1e300))  # beyond the range of single precision, and finite


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"hub": np.zeros(1)}, r"hub depot: action hub must have the shape \(4,\), got \(1,\)"),
        ({"hub": ["a"] * 4}, "hub depot: action hub must be an array of numbers"),
        ({"hub": np.full(4, np.nan)}, "hub depot, at 0 s: an action must have finite numbers, got nan of bess"),
        ({"more": np.zeros((9, 9))}, "must be a mapping with connectors, hub, got one with connectors, hub, more"),
    ],
)
def test_what_is_no_action_of_a_dict_space_is_refused_in_one_line(change, match):
    env = HubEnv(scenario(), period="30min", spaces="dict")
    env.reset(seed=1)
    with pytest.raises(ValueError, match=match) as refused:
        env.step({**env.action_space.sample(), **change})
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=r"must be a mapping with connectors, hub, got array"):
        env.step(ACTION)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"begin": 0.0}, "options must be a mapping with run_seed, begin_s"),
        (3, "options must be a mapping with run_seed, begin_s, got 3"),
        ({"run_seed": -1}, "run_seed must be a whole number from 0"),
        ({"run_seed": 1.5}, "run_seed must be a whole number from 0"),
        ({"begin_s": np.nan}, "begin_s must be a multiple of 86400 from 0 to 172800"),
        ({"begin_s": 90000.0}, "begin_s must be a multiple of 86400 from 0 to 172800"),
        ({"begin_s": 3 * 86400.0}, "begin_s must be a multiple of 86400 from 0 to 172800"),
    ],
)
def test_an_episode_that_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        HubEnv(days(3), period="1h", episode="1d").reset(options=options)


def test_agents_that_are_not_there_and_steps_after_the_end_are_refused():
    data = plants.smallest(hubs={"north": hub_of_all(), "south": hub_of_all()})
    env = parallel_env(evhub.Scenario(**data), period="30min")
    with pytest.raises(StepError, match="has not begun"):
        env.step({})
    _, infos = env.reset(options={"run_seed": 5})
    assert {info["run_seed"] for info in infos.values()} == {5}
    actions = {hub: env.action_space(hub).sample() for hub in env.agents}
    more = {**actions, "east": ACTION}
    for wrong, got in (({"north": ACTION}, "north"), (more, "north, south, east"), (None, "None")):
        with pytest.raises(ValueError, match=f"an action for each agent, north, south, got {got}$"):
            env.step(wrong)
    env.step(actions)
    env.step(actions)
    for late in ({}, actions):
        with pytest.raises(StepError, match="has ended at 3600 s"):
            env.step(late)


@pytest.mark.parametrize("worth", [np.nan, -np.inf, None, "much"])
def test_a_reward_that_is_no_finite_number_is_refused(worth):
    env = HubEnv(scenario(), period="30min", reward=lambda outcome: worth)
    env.reset(seed=1)
    with pytest.raises(ValueError, match="hub depot, from 0 s to 1800 s: a reward must be a finite number, got"):
        env.step(ACTION)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"hub": "dpot"}, r"hub: must be one of depot; did you mean depot\?, got 'dpot'"),
        ({"period": "soon"}, "period: must be a length of time"),
        ({"episode": "2h"}, "episode: must be at most the length of the scenario, 3600 s"),
        ({"reward": {"boght": 1.0}}, "reward.boght: must be one of bought"),
        ({"reward": {"bought": np.nan}}, "reward.bought: must be a finite number"),
        ({"reward": 3}, "reward: must be weights by term"),
        ({"demand": "none"}, "demand: must be rise or share"),
        ({"reward": {1: 2.0}}, "reward.1: must be one of bought"),
        ({"seeds": []}, "seeds: must have a seed"),
        ({"seeds": 3}, "seeds: must be a list, each a whole number from 0"),
        ({"seeds": [1, -1]}, "seeds: must be a list, each a whole number from 0"),
        ({"price_scale": np.inf}, "price_scale: Input should be a finite number"),
        ({"lookahead": -1}, "lookahead: "),
        ({"look_ahead": 1}, "look_ahead: "),
        ({"spaces": "tuple"}, "spaces: must be flat or dict"),
        ({"before": "nobody"}, "must be one of basic_control"),
        ({"render_mode": "human"}, "render_mode: must be left out"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, match):
    with pytest.raises(InputError, match=match):
        HubEnv(scenario(), **settings)


@given(data=st.data())
@settings(max_examples=examples(5))
def test_any_finite_actions_give_a_run_within_the_ratings(data):
    env = HubEnv(scenario(), period="10min", v2g=True, reactive=True, safety=data.draw(st.booleans()))
    n = env.action_space.shape[0]
    numbers = st.lists(st.floats(-1e9, 1e9, width=32), min_size=n, max_size=n)
    run(env, lambda _: data.draw(numbers), seed=1)
    results = env.result()
    written = plates(pv_kw=20.0, bess_kw=20.0, connector_kw=20.0, soc_min=0.0, soc_max=1.0)
    for name in ("balance", "ratings", "soc_bounds", "dead_bus"):
        assert INVARIANTS[name](results, "depot", written) is None


# --- policies as controllers ------------------------------------------------------------------------------------------


def flat_policy(env: HubEnv) -> Policy:
    hub = env.policy_hub
    rng = np.random.default_rng(2)
    blank = Mlp.of_sizes((len(hub.features.names), 6, len(hub.actions.names)), rng)
    mlp = blank.with_parameters(rng.normal(0.2, 0.4, blank.parameters().size))
    return Policy(FlatNetwork(mlp), hub.options, tuple(hub.features.names), tuple(hub.actions.names), note="random")


@pytest.mark.parametrize("safety", [False, True])
@pytest.mark.parametrize("network", ["flat", "shared"])
def test_a_policy_as_a_controller_does_what_it_did_in_the_environment(network, safety, tmp_path):
    env = HubEnv(scenario(), period="5min", safety=safety)
    path = flat_policy(env).save(tmp_path / "policy.npz") if network == "flat" else SHIPPED
    runner = PolicyRunner(Policy.load(path), env.policy_hub)
    run(env, lambda _: runner.act(env.episodes.seen["depot"]), seed=1, options={"run_seed": 0})
    learned = env.result().save(tmp_path / "learned.h5")
    controller = {"type": "policy", "file": str(path), "safety": safety, "period": "5min", "on_change": False}
    plain = evhub.run(scenario(controller=controller), tmp_path / "plain.h5", engine="inprocess")
    assert plants.datasets(learned) == plants.datasets(plain)


def test_a_file_of_another_hub_is_refused_with_its_key(tmp_path):
    path = flat_policy(HubEnv(scenario())).save(tmp_path / "policy.npz")
    controller = {"type": "policy", "file": str(path)}
    smaller = {name: part for name, part in hub_of_all().items() if name != "bess"}
    with pytest.raises(InputError, match=r"controller.file: must be a policy for the hub depot: it has features bess"):
        evhub.run(scenario(hubs={"depot": smaller}, controller=controller))
    with pytest.raises(InputError, match=r"controller.file.*must be an existing file"):
        evhub.run(scenario(controller={"type": "policy", "file": "none.npz"}))
    Path(tmp_path / "text.npz").write_text("weights")
    with pytest.raises(InputError, match=r"text\.npz is no policy"):
        evhub.run(scenario(controller={"type": "policy", "file": str(tmp_path / "text.npz")}))


class Linear:
    """A layer as torch has it."""

    def __init__(self, weight, bias):
        self.weight, self.bias = (SimpleNamespace(detach=lambda v=v: Host(v)) for v in (weight, bias))


class Host(SimpleNamespace):
    """A tensor as torch has it."""

    def __init__(self, values):
        super().__init__(cpu=lambda: SimpleNamespace(numpy=lambda: np.array(values, dtype=np.float32)))


class Tanh:
    """An activation as torch has it."""


def test_an_actor_of_stable_baselines3_does_the_same_as_a_policy():
    env = HubEnv(scenario(), period="10min")
    n_in, n_out = len(env.policy_hub.features.names), len(env.policy_hub.actions.names)
    rng = np.random.default_rng(3)
    first = rng.normal(0.0, 0.3, (4, n_in)), rng.normal(0.0, 0.3, 4)
    last = rng.normal(0.0, 0.3, (n_out, 4)), rng.normal(0.0, 0.3, n_out)
    mean, var = rng.normal(0.0, 1.0, n_in), rng.uniform(0.5, 2.0, n_in)
    whole = SimpleNamespace(low=-np.ones(n_out), high=np.ones(n_out))
    statistics = SimpleNamespace(norm_obs=True, obs_rms=SimpleNamespace(mean=mean, var=var), epsilon=1e-8)
    model = SimpleNamespace(
        policy=SimpleNamespace(
            mlp_extractor=SimpleNamespace(policy_net=[Linear(*first), Tanh()]), action_net=Linear(*last)
        ),
        action_space=whole,
        observation_space=env.observation_space,
        get_vec_normalize_env=lambda: statistics,
    )
    policy = policy_from_sb3(model, env, note="by hand")
    env.reset(seed=1)
    seen = env.episodes.seen["depot"]
    action = PolicyRunner(policy, env.policy_hub).act(seen)
    features = (env.policy_hub.features.values(seen) - mean) / np.sqrt(var + 1e-8)
    scaled = last[0] @ np.tanh(first[0] @ np.clip(features, -10.0, 10.0) + first[1]) + last[1]
    low, high = env.action_space.low, env.action_space.high
    expected = low + (np.clip(scaled, -1.0, 1.0) + 1.0) * (high - low) / 2.0
    assert np.clip(action, low, high) == pytest.approx(expected, abs=1e-5)
    model.action_space = HubEnv(scenario(), spaces="dict").action_space
    with pytest.raises(ValueError, match="the model must have the flat spaces of the environment"):
        policy_from_sb3(model, env)
    model.action_space = whole
    model.policy.mlp_extractor.policy_net = [Tanh()]
    with pytest.raises(ValueError, match="the actor must have layers Linear, Tanh, ReLU, Identity, got Tanh"):
        policy_from_sb3(model, env)


@pytest.mark.slow
def test_the_first_example_of_the_page_runs():
    page = (Path(__file__).parents[3] / "docs" / "learning.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "connector/54/laxity" in done.stdout


def test_evolution_finds_the_highest_point_of_a_paraboloid():
    rng, goal = np.random.default_rng(1), np.array([1.0, -2.0, 0.5])
    search = Evolution.at(np.zeros(3), sigma=0.1, rate=0.05)
    for _ in range(200):
        changes = search.sample(8, rng)
        search = search.update(changes, -((search.candidates(changes) - goal) ** 2).sum(axis=1))
    assert search.centre == pytest.approx(goal, abs=0.1)


@pytest.mark.slow
def test_training_gives_the_same_policy_again_and_one_that_runs(tmp_path):
    training = Training(scenario(), settings={"period": "10min"}, generations=2, pairs=2, episodes=1, seed=5)
    first, second = (list(train(training))[-1] for _ in range(2))
    assert (first.mean, first.best) == (second.mean, second.best)
    path = first.policy.save(tmp_path / "learned.npz")
    again = Policy.load(path)
    assert again.network.parameters().tolist() == second.policy.network.parameters().tolist()
    assert "evolution strategies on test" in again.note
    controller = {"type": "policy", "file": str(path), "period": "10min"}
    assert evhub.run(scenario(controller=controller)).status == "complete"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"sigma": np.nan, "rate": 0.0, "seed": -1},
            [
                "sigma: must be a finite number > 0, got nan",
                "rate: must be a finite number > 0, got 0.0",
                "seed: must be a whole number from 0, got -1",
            ],
        ),
        ({"pairs": 0, "hidden": 1.5}, ["hidden: must be a whole number from 1, got 1.5", "pairs: must be a whole"]),
        ({"settings": {"hubs": ["depot"]}}, ["hubs: must be given beside the settings of the episodes"]),
        ({"settings": {"reactive": True}}, ["reactive: must be false: a shared network sets no reactive powers"]),
        ({"settings": {"episode": "2h"}}, ["episode: must be at most the length of the scenario"]),
    ],
)
def test_a_training_that_cannot_be_is_refused_with_all_that_is_wrong(changes, lines):
    with pytest.raises(InputError) as refused:
        next(train(Training(scenario(), generations=1, **changes)))
    shown = str(refused.value).splitlines()
    assert len(shown) == len(lines)
    assert all(any(line.startswith(begin) for line in shown) for begin in lines)


@pytest.mark.parametrize("output", ["nowhere/policy.npz", "."])
def test_where_no_policy_can_be_written_nothing_is_trained(output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(training_command)
    done = CliRunner().invoke(app, ["island-evening", "-o", output])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"--output: must be a file in a folder that is there, got '{output}'" in done.stderr
    assert list(tmp_path.iterdir()) == []
