"""A scenario as it is sent to a worker, which may have evhub elsewhere and may outlive the study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ...schema.controller_registry import forget
from ...schema.scenario_loader import Scenario, shipped
from ...schema.scenario_schema import ScenarioSection


@dataclass(frozen=True, eq=False)
class SentScenario:
    """A scenario and what is needed to find its files.

    Parameters
    ----------
    scenario : ScenarioSection
        The scenario.
    path : str
        Its file: the name of a shipped one, else the absolute path.
    call : str
        Identifies the call that it belongs to.
    """

    scenario: ScenarioSection
    path: str
    call: str

    @property
    def loaded(self) -> Scenario:
        """The scenario for a run on this worker."""
        loaded = Scenario.of(self.scenario, shipped().get(self.path) or Path(self.path))
        serve(self.call, str(loaded.folder.resolve()))
        return loaded


def sent(scenarios: Iterable[Scenario]) -> list[SentScenario]:
    """Convert the scenarios of one call to what workers receive."""
    call, names = uuid4().hex, {path: name for name, path in shipped().items()}
    return [
        SentScenario(loaded.scenario, names.get(loaded.path, str(loaded.path.resolve())), call) for loaded in scenarios
    ]


_served = ("", "")
"""The call that this process works for, and the folder of its scenario."""


def serve(call: str, folder: str) -> None:
    """Forget the controllers of earlier calls, whose files may have changed meanwhile.

    Parameters
    ----------
    call : str
        Identifies the call.
    folder : str
        Absolute path of the folder of the scenario.
    """
    global _served
    if _served[0] != call:
        for study_folder in {_served[1], folder} - {""}:
            forget(study_folder)
    _served = (call, folder)
