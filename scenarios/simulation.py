"""Steps a scenario from decision to decision: whoever calls decides, in the place of its controllers."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..controllers.contract import Controller, Decision, Observation, Setpoints, Site
from .assembly.plant_build import build
from .engines.inprocess_engine import InprocessRun
from .engines.wiring import SimulatorSpec, Wiring
from .errors import InputError, Problem
from .run_scenario import complete_tape, new_tape, opened_tape, versions
from .schema.controller_registry import ControllerChoice
from .schema.scenario_loader import Scenario, Target, load_scenario

if TYPE_CHECKING:
    from ..analysis import Results
    from ..analysis.results.result_tape import ResultTape

Answer = Decision | Setpoints | Mapping[str, Setpoints]
"""What may be commanded: a decision, set points by hub, or those of the only hub."""


class StepError(RuntimeError):
    """A simulation was asked for what it cannot do now, such as a step after its end."""


@dataclass(frozen=True)
class SavedState:
    """The state of a simulation at a decision.

    Parameters
    ----------
    name : str
        Name of the scenario.
    t_s : float
        Time of the decision [s].
    made_by : str
        Digest of scenario and versions; a state can only go on in the same.
    content : bytes
        The state itself.
    """

    name: str
    t_s: float
    made_by: str
    content: bytes

    def save(self, path: str | Path) -> Path:
        """Write the state to a file."""
        Path(path).write_bytes(pickle.dumps((self.name, self.t_s, self.made_by, self.content)))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> SavedState:
        """Read a state from a file; load only files that you trust, since a state can hold code.

        Raises
        ------
        InputError
            When the file holds no state.
        """
        try:
            return cls(*pickle.loads(Path(path).read_bytes()))
        except (OSError, pickle.UnpicklingError, TypeError, EOFError, AttributeError, ValueError, ImportError) as error:
            raise InputError(Problem(str(path), "state", ..., f"must be a saved state ({error})")) from error


def simulate(
    scenario: Target,
    *,
    controller: ControllerChoice | None = None,
    seed: int | None = None,
    hubs: Iterable[str] | None = None,
) -> Simulation:
    """Build a simulation that is stepped from decision to decision, in this process and without a file.

    Parameters
    ----------
    scenario : str, Path, mapping or Scenario
        As in `evhub.run`.
    controller : str, type of Controller or object with ``decide``, optional
        In whose place the caller decides; the scenario's own when left out. It says which parameters and which series
        of its own there are, and stands ready as `Simulation.controller`.
    seed : int, optional
        Another seed than the scenario's.
    hubs : iterable of str, optional
        The hubs that the caller decides for; the controllers of the others decide themselves. All when left out.

    Returns
    -------
    Simulation
        Before its beginning: `Simulation.reset` runs to the first decision.

    Raises
    ------
    InputError
        When the scenario or a file it names cannot be used.

    Examples
    --------
    >>> simulation = simulate("island-evening", controller="equal_share")
    >>> observation = simulation.reset()
    >>> while observation is not None:
    ...     observation = simulation.step(simulation.controller.decide(observation))
    >>> simulation.result()
    <Results island-evening: depot; complete, 21600 s>
    """
    loaded = load_scenario(scenario).with_changes(controller=controller, seed=seed)
    return Simulation(loaded, _outside(loaded, hubs))


def _outside(loaded: Scenario, hubs: Iterable[str] | None) -> frozenset[str]:
    """Return the hubs that are decided for from outside, and refuse some of a controller's hubs without the others."""
    there = frozenset(loaded.scenario.hubs)
    if hubs is None:
        return there
    chosen = frozenset([hubs] if isinstance(hubs, str) else hubs)
    if not chosen or chosen - there:
        raise InputError(Problem("", "hubs", sorted(chosen), f"must be some of {', '.join(loaded.scenario.hubs)}"))
    for spec in loaded.scenario.controller:
        run = frozenset(spec.hubs or there)
        if run & chosen and run - chosen:
            allowed = f"must have all hubs of a controller or none: {spec.type} runs {', '.join(sorted(run))}"
            raise InputError(Problem("", "hubs", sorted(chosen), allowed))
    return chosen


class Simulation:
    """A run that stops at every decision; see `simulate`.

    Parameters
    ----------
    loaded : Scenario
        The scenario.
    outside : frozenset of str
        The hubs that the caller decides for.

    Attributes
    ----------
    observation : Observation or None
        What there is to decide on now; None before the beginning and after the end.
    """

    def __init__(self, loaded: Scenario, outside: frozenset[str]):
        self._base = self._loaded = loaded
        self._outside = outside
        self._state: tuple[InprocessRun, ResultTape] | None = None
        self._failure = ""
        self.observation: Observation | None = None
        self._asked = ""
        build(loaded, outside)  # what is wrong with the input shows here

    def __repr__(self) -> str:
        state = "not begun" if self._state is None else "over" if self.done else f"at {self.t_s:g} s"
        return f"<Simulation of {self._loaded.scenario.name}, {state}>"

    @property
    def scenario(self) -> Scenario:
        """The scenario, with the seed of this run."""
        return self._loaded

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._state is not None and self._state[0].ended

    @property
    def t_s(self) -> float:
        """Time since the start [s]."""
        if self.observation is not None:
            return self.observation.t_s
        return self._loaded.scenario.duration if self.done else 0.0

    @property
    def asked(self) -> str:
        """The controller in whose place the next decision is; with a number where the scenario has several."""
        return self._asked

    @property
    def controllers(self) -> dict[str, Controller]:
        """The controllers of the scenario by name; those that are asked from outside were not called."""
        return self._begun[0].simulator("controller").controllers()

    @property
    def controller(self) -> Controller:
        """The controller of the scenario in whose place the next decision is; its ``decide`` answers it."""
        controllers = self.controllers
        return controllers[self._asked] if self._asked else next(iter(controllers.values()))

    @property
    def sites(self) -> dict[str, Site]:
        """The plates of the hubs."""
        return {hub: site for controller in self.controllers.values() for hub, site in controller.sites.items()}

    @property
    def tape(self) -> ResultTape:
        """The recording so far, to be read only; `result` makes tables of it."""
        return self._begun[1]

    def reset(self, *, seed: int | None = None) -> Observation | None:
        """Start anew, and run to the first decision.

        Parameters
        ----------
        seed : int, optional
            Of everything random; that of the scenario when left out.

        Returns
        -------
        Observation or None
            What there is to decide on; None where the run ends without a decision.

        Raises
        ------
        InputError
            When files of the scenario do not go with the seed, or cannot be read any more.
        """
        self._loaded = self._base.with_changes(seed=seed)
        wiring = _asked_outside(build(self._loaded, self._outside), self._outside)
        tape = new_tape(wiring, self._loaded, self._outside)
        self._failure = ""
        self._state = InprocessRun(wiring, writer=tape, progress=None, diagnose=tape.diagnostic), tape
        return self._go_on()

    def step(self, decision: Answer) -> Observation | None:
        """Apply set points, and run to the next decision.

        Parameters
        ----------
        decision : Decision, Setpoints or mapping of str to Setpoints
            For the hubs of `observation`.

        Returns
        -------
        Observation or None
            What there is to decide on next; None at the end of the run.

        Raises
        ------
        StepError
            Before `reset`, after the end, or after a failure.
        ControllerError
            When it is no valid decision; nothing was commanded, and another one can be given.
        """
        if self.observation is None:
            raise StepError(self._why_not())
        self._begun[0].simulator("controller").answer(self._decision(decision))
        return self._go_on()

    def _why_not(self) -> str:
        if self._failure:
            return f"the simulation has failed ({self._failure}); reset() begins anew"
        if self._state is None:
            return "the simulation has not begun; reset() runs to the first decision"
        return f"the simulation is over, it ended at {self.t_s:g} s; reset() begins anew"

    @property
    def _begun(self) -> tuple[InprocessRun, ResultTape]:
        if self._state is None:
            raise StepError(self._why_not())
        return self._state

    def _decision(self, answer: Answer) -> Decision:
        if isinstance(answer, Setpoints):
            hubs = list(self.observation.hubs) if self.observation else []
            if len(hubs) != 1:
                raise StepError(f"set points must be by hub, a mapping with {', '.join(hubs)}")
            return Decision({hubs[0]: answer})
        return Decision(answer) if isinstance(answer, Mapping) else answer

    def _go_on(self) -> Observation | None:
        self.observation, self._asked = None, ""
        run, tape = self._begun
        try:
            question = run.go_on()
        except BaseException as error:
            self._failure = f"{type(error).__name__}: {error}"
            tape.close("failed")
            raise
        if question is None:
            complete_tape(tape, self._loaded)
            return None
        self._asked, self.observation = question
        return self.observation

    def result(self) -> Results:
        """Return the results so far, with all series.

        Returns
        -------
        Results
            Complete at the end of the run; before it, as those of a run that goes on, up to this time.
        """
        tape = self._begun[1]
        return opened_tape(tape, self.t_s if tape.status == "running" else None)

    def save(self) -> SavedState:
        """Return the whole state of the run, from which it goes on to the bit.

        Raises
        ------
        StepError
            Before the beginning, after a failure, or when a part of the plant or a controller cannot be copied.
        """
        run, tape = self._begun
        if self._failure:
            raise StepError(self._why_not())
        try:
            content = pickle.dumps((self._loaded, run, tape), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # whatever a part of a package or a controller of one's own does
            raise StepError(f"the state cannot be copied ({type(error).__name__}: {error})") from error
        return SavedState(self._loaded.scenario.name, self.t_s, _maker(self._base, self._outside), content)

    def restore(self, state: SavedState) -> Observation | None:
        """Restore a saved state of the same scenario: go back, or ahead, to its time.

        Returns
        -------
        Observation or None
            What there is to decide on.

        Raises
        ------
        InputError
            When the state is of another scenario, of other hubs outside, or of other versions.
        """
        if state.made_by != _maker(self._base, self._outside):
            allowed = "must be of the same scenario, the same hubs from outside and the same versions"
            raise InputError(Problem("", "state", f"one of {state.name} at {state.t_s:g} s", allowed))
        self._loaded, *restored = pickle.loads(state.content)
        self._state = tuple(restored)
        self._failure = ""
        return self._go_on()


def _asked_outside(wiring: Wiring, hubs: frozenset[str]) -> Wiring:
    """Return the wiring with those controllers asked from outside that run some hubs."""

    def asked(spec: SimulatorSpec) -> SimulatorSpec:
        if spec.sid != "controller":
            return spec
        planned = spec.settings["controllers"]
        names = tuple(each.name for each in planned if hubs & each.controller.sites.keys())
        return replace(spec, settings={**spec.settings, "outside": names})

    return replace(wiring, simulators=tuple(map(asked, wiring.simulators)))


def _maker(loaded: Scenario, outside: frozenset[str]) -> str:
    text = "\n".join([loaded.text(), versions(), *sorted(outside)])
    return hashlib.sha256(text.encode()).hexdigest()
