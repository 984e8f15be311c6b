"""Episodes on the hubs of a scenario: what environments for single and for several agents have in common."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ...analysis import Results
from ...controllers.contract import Decision, Observation
from ...controllers.policy.policy_entries import Seen, in_short
from ...controllers.policy.policy_file import digest_of
from ...controllers.policy.policy_hub import Commanded, PolicyHub
from ...controllers.policy.policy_options import PolicyOptions
from ...simulators.charge_point.charge_point_section import kinds_of
from ...simulators.field_types import PositiveDuration
from ...simulators.units import energy_kwh
from ..errors import InputError, Problem, nearest
from ..schema.controller_registry import ControllerChoice, name_of_choice
from ..schema.scenario_loader import Scenario, Target, load_scenario
from ..simulation import Simulation, StepError, simulate
from .agent_place import AgentPlace
from .cost_meter import CostMeter, DemandCharge
from .episode_starts import EpisodeStarts
from .reward import CLIPPED, Reward, StepOutcome, reward_of

_PLACE = f"{AgentPlace.__module__}:{AgentPlace.__qualname__}"
_DURATION = TypeAdapter(PositiveDuration)
EPISODE = ("run_seed", "begin_s")
"""Options that begin a certain episode."""
_LOAD_CLASSES = ("controllable", "shiftable", "general")


class Episodes:
    """Episodes of a scenario in which somebody outside commands hubs by the numbers of a policy.

    Parameters
    ----------
    scenario : str, Path, mapping or Scenario
        As in `evhub.simulate`.
    hubs : iterable of str, optional
        The hubs that are commanded; the controllers of the scenario run the others. All when left out.
    period : float or str, optional
        Time between decisions; that of the scenario's controller when left out.
    on_change : bool
        Whether there is a decision, too, when the status of a bus or a connector changes.
    episode : float or str, optional
        Length of an episode, such as ``"1d"``, which begins at any day of the scenario; the whole run when left out.
    seeds : sequence of int, optional
        See `EpisodeStarts`.
    before : str, type of Controller or object with ``decide``
        Runs the hubs before an episode that begins later than the run.
    reward : mapping of str to float or callable, optional
        See `reward_of`.
    demand : {"rise", "share"}
        See `CostMeter`.
    **options
        See `PolicyOptions`; ``v2g`` and ``load`` are as the scenario has them when left out.

    Raises
    ------
    InputError
        When the scenario or an option cannot be used.
    """

    def __init__(
        self,
        scenario: Target,
        hubs: Iterable[str] | None = None,
        *,
        period: float | str | None = None,
        on_change: bool = False,
        episode: float | str | None = None,
        seeds: Sequence[int] | None = None,
        before: ControllerChoice = "equal_share",
        reward: Mapping[str, float] | Reward | None = None,
        demand: DemandCharge = "rise",
        **options: Any,
    ):
        loaded = load_scenario(scenario)
        self.hubs = _hubs(loaded, hubs)
        """Names of the hubs that are commanded."""
        self._length_s = None if episode is None else _duration("episode", episode)
        if self._length_s is not None and self._length_s > loaded.scenario.duration:
            allowed = f"must be at most the length of the scenario, {loaded.scenario.duration:g} s"
            raise InputError(Problem("", "episode", episode, allowed))
        if demand not in ("rise", "share"):
            raise InputError(Problem("", "demand", demand, "must be rise or share"))
        seeds = None if seeds is None else _seeds(seeds)
        loaded = _with_one_controller(loaded, self.hubs, name_of_choice(before), period, on_change)
        self._demand: DemandCharge = demand
        self._reward = reward_of(reward)
        self.simulation: Simulation = simulate(loaded, hubs=self.hubs)
        """The simulation that is stepped."""
        self._starts = EpisodeStarts(self.simulation, self._length_s, seeds)
        self.simulation.reset()  # the plates are known from then on
        (spec,) = (spec for spec in loaded.scenario.controller if set(spec.hubs or self.hubs) & set(self.hubs))
        self.policy_hubs = {
            hub: PolicyHub(hub, self.simulation.sites[hub], _options(loaded, hub, options), spec.period)
            for hub in self.hubs
        }
        """What is seen and commanded of each hub."""
        self.seen: dict[str, Seen] = {}
        """The hubs as last seen."""
        self.seed, self.begin_s, self._t_s, self._until_s = loaded.scenario.seed, 0.0, 0.0, 0.0
        self._state = "not begun"
        self._meters: dict[str, CostMeter] = {}

    def draw(self, rng: np.random.Generator) -> tuple[int, float]:
        """Draw the seed of a run, and where in it an episode begins [s]."""
        return self._starts.draw(rng)

    def reset(self, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> None:
        """Start an episode that `rng` draws, or the one that ``run_seed`` and ``begin_s`` [s] of `options` say."""
        if not options:
            self.begin(*self.draw(rng))
            return
        if not isinstance(options, Mapping) or not set(options) <= set(EPISODE):
            raise ValueError(f"options must be a mapping with {', '.join(EPISODE)}, got {in_short(options)}")
        seed = options.get("run_seed", self.simulation.scenario.scenario.seed)
        if not _is_seed(seed):
            raise ValueError(f"run_seed must be {_SEED}, got {in_short(seed)}")
        begin_s, there = options.get("begin_s", 0.0), self._starts.begins_s.tolist()
        if begin_s not in there:
            days = "0" if len(there) == 1 else f"a multiple of {there[1]:.0f} from 0 to {there[-1]:.0f}"
            raise ValueError(f"begin_s must be {days}, where episodes can begin, got {in_short(begin_s)}")
        self.begin(operator.index(seed), float(begin_s))

    def begin(self, seed: int, begin_s: float = 0.0) -> None:
        """Start an episode at a time [s] of the run with a seed."""
        observation = self._starts.begin(seed, begin_s)
        if observation is None:
            raise StepError(f"the run ends without a decision after {begin_s:g} s")
        duration_s = self.simulation.scenario.scenario.duration
        self.seed, self.begin_s, self._t_s = seed, begin_s, observation.t_s
        self._until_s = duration_s if self._length_s is None else min(begin_s + self._length_s, duration_s)
        tape = self.simulation.tape
        self._meters = {
            hub: CostMeter(tape, hub, observation.t_s, duration_s, self._demand, self._until_s) for hub in self.hubs
        }
        self._see(observation)
        self._state = "running"

    def _see(self, observation: Observation) -> None:
        self.seen = {hub: self.policy_hubs[hub].see(observation) for hub in self.hubs}

    def check(self, hub: str, action: object) -> np.ndarray:
        """Return an action of a hub as an array of numbers; raise a `ValueError` when it is none."""
        try:
            self.policy_hubs[hub].actions.check(action)
        except ValueError as error:
            raise ValueError(f"hub {hub}, at {self._t_s:g} s: {error}") from None
        return np.asarray(action, dtype=float)

    def step(self, actions: Mapping[str, object]) -> tuple[dict[str, StepOutcome], dict[str, float], bool, bool]:
        """Apply the actions of all hubs, and go on to the next decision.

        Parameters
        ----------
        actions : mapping of str to array_like
            By hub.

        Returns
        -------
        outcomes : dict of str to StepOutcome
        rewards : dict of str to float
        terminated, truncated : bool
            The run is over; the episode is.

        Raises
        ------
        ValueError
            When an action has a wrong shape, or a number that is not finite; nothing is commanded then. When a reward
            is no finite number.
        StepError
            Before the first and after the end of an episode.
        """
        self.must_run()
        checked = {hub: self.check(hub, actions[hub]) for hub in self.hubs}
        commanded = {hub: self.policy_hubs[hub].command(checked[hub], self.seen[hub]) for hub in self.hubs}
        before, from_s = self.seen, self._t_s
        observation = self.simulation.step(Decision({hub: commanded[hub].setpoints for hub in self.hubs}))
        terminated = observation is None
        self._t_s = self.simulation.t_s
        if observation is not None:
            self._see(observation)
        outcomes = {
            hub: self._outcome(hub, from_s, checked[hub], commanded[hub], before[hub], terminated) for hub in self.hubs
        }
        truncated = not terminated and self._t_s >= self._until_s
        if terminated or truncated:
            self._state = f"ended at {self._t_s:g} s"
        return outcomes, {hub: self._worth(outcome) for hub, outcome in outcomes.items()}, terminated, truncated

    def must_run(self) -> None:
        """Raise a `StepError` before the first and after the end of an episode."""
        if self._state != "running":
            raise StepError(f"the episode has {self._state}; reset() begins one")

    def _worth(self, outcome: StepOutcome) -> float:
        reward = self._reward(outcome)
        try:
            value = float(reward)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            where = f"hub {outcome.hub}, from {outcome.t_s:g} s to {outcome.until_s:g} s"
            raise ValueError(f"{where}: a reward must be a finite number, got {in_short(reward)}")
        return value

    def _outcome(
        self, hub: str, from_s: float, action: np.ndarray, commanded: Commanded, seen: Seen, terminated: bool
    ) -> StepOutcome:
        costs, amounts = self._meters[hub].step(self._t_s)
        amounts[CLIPPED] = energy_kwh(sum(commanded.clipped_kw.values()), self._t_s - from_s)
        after = None if terminated else self.seen[hub]
        return StepOutcome(hub, from_s, self._t_s, costs, amounts, action, commanded, seen, after)

    def info(self, hub: str, outcome: StepOutcome | None = None) -> dict[str, Any]:
        """Return what environments tell beside observations: time, seed, mask of actions, costs, what was clipped."""
        there: dict[str, Any] = {
            "t_s": self._t_s,
            "begin_s": self.begin_s,
            "run_seed": self.seed,
            "action_mask": self.policy_hubs[hub].actions.mask(self.seen[hub]),
        }
        if outcome is not None:
            there["costs"] = dict(outcome.costs)
            there["amounts"] = dict(outcome.amounts)
            there["clipped_kw"] = dict(outcome.commanded.clipped_kw)
        return there

    def result(self) -> Results:
        """Return the results of the run so far, with the part before the episode."""
        return self.simulation.result()

    def site_digest(self, hub: str | None = None) -> str:
        """Return the digest of the plates of a hub, for the file of a policy."""
        return digest_of(self.policy_hubs[hub or self.hubs[0]].site)


def _hubs(loaded: Scenario, hubs: Iterable[str] | None) -> list[str]:
    there = list(loaded.scenario.hubs)
    chosen = there if hubs is None else [hubs] if isinstance(hubs, str) else list(hubs)
    for hub in chosen:
        if hub not in there:
            raise InputError(Problem("", "hub", hub, f"must be one of {', '.join(there)}{nearest(str(hub), there)}"))
    if not chosen:
        raise InputError(Problem("", "hubs", chosen, f"must be some of {', '.join(there)}"))
    return [hub for hub in there if hub in chosen]


_SEED = "a whole number from 0 to 2**63 - 1"


def _seeds(seeds: Sequence[int]) -> list[int]:
    if not isinstance(seeds, Iterable) or not all(map(_is_seed, seeds := list(seeds))):
        raise InputError(Problem("", "seeds", seeds, f"must be a list, each {_SEED}"))
    if not seeds:
        raise InputError(Problem("", "seeds", seeds, "must have a seed"))
    return [operator.index(seed) for seed in seeds]


def _is_seed(value: object) -> bool:
    return isinstance(value, int | np.integer) and 0 <= int(value) < 2**63


def _duration(key: str, value: float | str) -> float:
    try:
        return float(_DURATION.validate_python(value if isinstance(value, str) else f"{float(value)!r}s"))
    except (ValidationError, TypeError) as error:
        allowed = "must be a length of time above 0: seconds, or with its unit such as '1d'"
        raise InputError(Problem("", key, value, allowed)) from error


def _with_one_controller(
    loaded: Scenario, hubs: Sequence[str], name: str, period: float | str | None, on_change: bool
) -> Scenario:
    """Return the scenario with one controller for some hubs, and its own for the others."""
    sections, there = [], list(loaded.scenario.hubs)
    first = None
    for spec in loaded.scenario.controller:
        runs = spec.hubs or there
        others = [hub for hub in runs if hub not in hubs]
        section = {"type": spec.type, "period": f"{spec.period!r}s", "on_change": spec.on_change, **spec.parameters}
        first = first or (spec if set(runs) & set(hubs) else None)
        if others:
            sections.append({**section, "hubs": others})
    if first is None:
        raise InputError(Problem("", "hubs", list(hubs), "must have a controller in the scenario"))
    settings = first.parameters if first.type == name else {}
    period_s = first.period if period is None else _duration("period", period)
    own = {
        "type": _PLACE,
        "before": name,
        "settings": settings,
        "period": f"{period_s!r}s",
        "on_change": on_change,
        "hubs": list(hubs),
    }
    return loaded.with_changes({"controller": [own, *sections]})


def _options(loaded: Scenario, hub: str, options: Mapping[str, Any]) -> PolicyOptions:
    """Return the options of a hub: as given, else as its section has V2G and load classes."""
    section = loaded.scenario.hubs[hub]
    loads = [device.section for device in section.devices() if device.kind == "load"]
    classes = [name for name in _LOAD_CLASSES if any(getattr(load, name) is not None for load in loads)]
    known = {"v2g": any(kind.v2g for kind in kinds_of(section.connectors)), "load": classes}
    try:
        return PolicyOptions.model_validate({**known, **options})
    except ValidationError as error:
        raise InputError(
            [
                Problem("", ".".join(map(str, e["loc"])), e["input"], f"{e['msg']}; see PolicyOptions")
                for e in error.errors()
            ]
        ) from None
