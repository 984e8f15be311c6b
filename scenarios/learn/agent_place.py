"""The controller in whose place an agent decides; before an episode it lets another one decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...controllers import contract
from ..schema.controller_registry import controller_class


class AgentPlace(contract.Controller):
    """Decides as another controller does, until an agent decides in its place."""

    class Parameters(contract.Parameters):
        """Parameters of the place of an agent."""

        before: str = "equal_share"
        """The controller that decides before an episode."""
        settings: dict[str, Any] = {}
        """Its parameters."""

    parameters: Parameters

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        cls = controller_class(self.parameters.before, Path.cwd(), "", "before")
        settings = cls.Parameters.model_validate(self.parameters.settings)
        self._before = cls(self.sites, settings, self.period_s, self.rng)

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Answer as the other controller does, with its own parameters."""
        parameters = self._before.parameters
        hubs = {name: replace(hub, parameters=parameters) for name, hub in observation.hubs.items()}
        return contract.Decision(self._before.decide(replace(observation, hubs=hubs)).setpoints)
