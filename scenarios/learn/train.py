"""Trains a small policy, whose network all connectors share, by evolution strategies: ``python -m`` this module.

Episodes are drawn from the runs of the scenario with the seeds of the training; one that is compared with others is to
be evaluated with other seeds, or on other days.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from ...controllers.policy.hub_features import CONNECTOR_COLUMNS
from ...controllers.policy.policy_file import Policy
from ...controllers.policy.policy_hub import PolicyRunner
from ...controllers.policy.policy_network import Mlp, NetworkLayer, SharedNetwork
from ..errors import InputError, Problem
from ..schema.scenario_loader import Scenario, load_scenario
from ..studies.workers.worker_pool import HERE, WorkerPool, worker_pool
from .episodes import Episodes
from .evolution import Evolution

READS = (
    "time/day_sin",
    "time/day_cos",
    "room",
    "cp/usable",
    "cp/urgent",
    "pv/p",
    "bess/soc",
    "bess/soc_known",
    "price/buy",
)
"""What of a hub is seen by default: few numbers, which most hubs have."""


@dataclass(frozen=True)
class Training:
    """How a policy is trained.

    Parameters
    ----------
    scenario : Scenario
    hub : str or None
        See `HubEnv`.
    settings : mapping of str to object
        Of the episodes, see `Episodes`.
    reads : sequence of str
        What is seen of the hub; what it does not have is left out.
    hidden : int
        Width of the hidden layer.
    generations, pairs, episodes : int
        Steps of the search, pairs of candidates in each, and episodes that each candidate runs.
    sigma, rate : float
        See `Evolution`.
    seed : int
        Of the search and of the episodes that are drawn.

    Raises
    ------
    InputError
        When one of them cannot be.
    """

    scenario: Scenario
    hub: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reads: Sequence[str] = READS
    hidden: int = 8
    generations: int = 40
    pairs: int = 12
    episodes: int = 2
    sigma: float = 0.1
    rate: float = 0.05
    seed: int = 0

    def __post_init__(self):
        problems = [
            Problem("", name, value, "must be a finite number > 0")
            for name in ("sigma", "rate")
            if not (math.isfinite(value := getattr(self, name)) and value > 0.0)
        ]
        lowest = {"hidden": 1, "generations": 1, "pairs": 1, "episodes": 1, "seed": 0}
        problems += [
            Problem("", name, value, f"must be a whole number from {low}")
            for name, low in lowest.items()
            if not isinstance(value := getattr(self, name), int) or value < low
        ]
        problems += [
            Problem("", name, self.settings[name], "must be given beside the settings of the episodes")
            for name in ("scenario", "hub", "hubs")
            if name in self.settings
        ]
        if problems:
            raise InputError(problems)

    def make_episodes(self) -> Episodes:
        """Make the episodes that candidates run."""
        return Episodes(self.scenario, None if self.hub is None else [self.hub], **self.settings)


class Generation(NamedTuple):
    """A step of a training.

    Parameters
    ----------
    number : int
        From 1.
    mean, best : float
        Reward of an episode, of all candidates and of the best one.
    policy : Policy
        What has been learned so far.
    """

    number: int
    mean: float
    best: float
    policy: Policy


def train(training: Training, pool: WorkerPool = HERE) -> Iterator[Generation]:
    """Train a policy.

    Parameters
    ----------
    training : Training
    pool : WorkerPool
        Where candidates run; what is learned does not depend on it.

    Yields
    ------
    Generation
    """
    rng = np.random.default_rng(training.seed)
    episodes = training.make_episodes()
    blank = blank_policy(training, episodes, rng)
    search = Evolution.at(_shared(blank).parameters(), training.sigma, training.rate)
    for number in range(1, training.generations + 1):
        drawn = [episodes.draw(rng) for _ in range(training.episodes)]
        changes = search.sample(training.pairs, rng)
        jobs = [(training, _with_parameters(blank, values), drawn) for values in search.candidates(changes)]
        rewards = np.array(pool.results(_evaluate, jobs, [f"candidate {n}" for n in range(len(jobs))]))
        search = search.update(changes, rewards)
        yield Generation(number, float(rewards.mean()), float(rewards.max()), _with_parameters(blank, search.centre))


def blank_policy(training: Training, episodes: Episodes, rng: np.random.Generator) -> Policy:
    """Return a policy that charges with half power, rests the battery and does not limit PV."""
    (hub,) = episodes.hubs[:1]
    policy_hub = episodes.policy_hubs[hub]
    if policy_hub.options.reactive:
        raise InputError(Problem("", "reactive", True, "must be false: a shared network sets no reactive powers"))
    if unknown := set(training.reads) - {entry.name for entry in policy_hub.features.hub_entries} - set(READS):
        there = ", ".join(entry.name for entry in policy_hub.features.hub_entries)
        raise InputError(Problem("", "reads", sorted(unknown), f"must be some of {there}"))
    names = {entry.name for entry in policy_hub.features.hub_entries}
    features = tuple(name for name in training.reads if name in names)
    actions = tuple(entry.name for entry in policy_hub.actions.hub_entries)
    n_in = len(features) + len(CONNECTOR_COLUMNS)
    begin = [1.0 if entry.low == 0.0 and entry.name != "dg" else 0.0 for entry in policy_hub.actions.hub_entries]
    network = SharedNetwork(
        _beginning_at(Mlp.of_sizes((n_in, training.hidden, 1), rng), [0.5]),
        _beginning_at(Mlp.of_sizes((n_in, training.hidden, len(actions)), rng), begin) if actions else None,
    )
    return Policy(
        network,
        policy_hub.options,
        features,
        actions,
        CONNECTOR_COLUMNS,
        site=episodes.site_digest(hub),
        note=note(training),
    )


def _beginning_at(mlp: Mlp, outputs: Sequence[float]) -> Mlp:
    last = mlp.layers[-1]
    return Mlp((*mlp.layers[:-1], NetworkLayer(last.weight, np.array(outputs, dtype=float), last.activation)))


def note(training: Training) -> str:
    """Return what made a policy, for its file."""
    scenario = training.scenario.scenario
    search = {
        name: getattr(training, name)
        for name in ("hidden", "generations", "pairs", "episodes", "sigma", "rate", "seed")
    }
    run = {"start": scenario.start.isoformat(), "duration_s": scenario.duration, "seed": scenario.seed}
    return (
        f"evolution strategies on {scenario.name}: "
        f"{json.dumps({**run, **search, 'settings': dict(training.settings)}, default=str)}"
    )


def _with_parameters(policy: Policy, values: np.ndarray) -> Policy:
    return replace(policy, network=_shared(policy).with_parameters(values))


def _shared(policy: Policy) -> SharedNetwork:
    if not isinstance(policy.network, SharedNetwork):
        raise TypeError(f"only shared networks are trained here, got {policy.network.kind}")
    return policy.network


_made: dict[int, tuple[Training, Episodes]] = {}
"""The episodes of the training that this process works for."""


def _evaluate(job: tuple[Training, Policy, Sequence[tuple[int, float]]]) -> float:
    """Return the mean reward of a candidate's episodes."""
    training, policy, drawn = job
    made = _made.get(0)
    if made is None or made[0] != training:
        made = _made[0] = training, training.make_episodes()
    return float(np.mean([run_episode(made[1], policy, *begin) for begin in drawn]))


def run_episode(episodes: Episodes, policy: Policy, seed: int, begin_s: float = 0.0) -> float:
    """Return the reward of an episode that a policy runs, all hubs together."""
    runners = {hub: PolicyRunner(policy, episodes.policy_hubs[hub]) for hub in episodes.hubs}
    episodes.begin(seed, begin_s)
    total, over = 0.0, False
    while not over:
        actions = {hub: runner.act(episodes.seen[hub]) for hub, runner in runners.items()}
        _, rewards, terminated, truncated = episodes.step(actions)
        total += sum(rewards.values())
        over = terminated or truncated
    return total


def _changes(texts: Sequence[str]) -> dict[str, Any]:
    fields = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise InputError(Problem("", "--set", text, "must be FIELD=VALUE"))
        fields[name] = _value(value)
    return fields


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _main(
    scenario: Annotated[str, typer.Argument(help="Name of a shipped scenario, or a file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of the policy (.npz).")],
    hub: Annotated[str | None, typer.Option(help="The hub that is trained for.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Another value of a field of the scenario, FIELD=VALUE.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="A setting of the environment, NAME=VALUE, such as episode=1d.")
    ] = None,
    generations: Annotated[int, typer.Option(min=1, help="Steps of the search.")] = 40,
    pairs: Annotated[int, typer.Option(min=1, help="Mirrored pairs of candidates in a step.")] = 12,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes that each candidate runs.")] = 2,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the hidden layer.")] = 8,
    sigma: Annotated[float, typer.Option(help="Standard deviation of the changes that are tried.")] = 0.1,
    rate: Annotated[float, typer.Option(help="Length of a step.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the search and of the episodes that are drawn.")] = 0,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Processes on this machine.")] = 1,
) -> None:
    """Train a policy for a hub of a scenario, and write it to a file after every step."""
    try:
        if output.is_dir() or not output.parent.is_dir():
            raise InputError(Problem("", "--output", str(output), "must be a file in a folder that is there"))
        loaded = load_scenario(scenario).with_changes(_changes(change or []) or None)
        settings = _changes(option or [])
        training = Training(
            loaded,
            hub,
            settings,
            hidden=hidden,
            generations=generations,
            pairs=pairs,
            episodes=episodes,
            sigma=sigma,
            rate=rate,
            seed=seed,
        )
        with worker_pool(workers) as pool:
            _train(training, pool, output, typer.echo)
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _train(training: Training, pool: WorkerPool, output: Path, say: Callable[[str], None]) -> None:
    say("generation,mean,best")
    for generation in train(training, pool):
        say(f"{generation.number},{generation.mean:.4f},{generation.best:.4f}")
        generation.policy.save(output)


if __name__ == "__main__":
    # by its importable name, which worker processes need
    from evhub.scenarios.learn import train as _this

    typer.run(_this._main)
