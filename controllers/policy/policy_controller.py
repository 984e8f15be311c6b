"""A policy from a file as a controller."""

from __future__ import annotations

from typing import cast

from pydantic import ValidationInfo, field_validator

from .. import contract
from .policy_file import SHIPPED, Policy, PolicyError
from .policy_hub import PolicyHub, PolicyRunner


class PolicyController(contract.Controller):
    """A policy that was learned, from a file."""

    class Parameters(contract.Parameters):
        """Parameters of `policy`."""

        file: str | None = None
        """The policy, as `evhub.scenarios.learn` writes it (`.npz`); the one that comes with evhub when left out."""
        safety: bool | None = None
        """Whether set points are clipped to the limits of the hub; as the file says when left out."""

        @field_validator("file")
        @classmethod
        def _find(cls, name: str | None, info: ValidationInfo) -> str | None:
            return None if name is None else contract.file_of(name, "file", info)

    parameters: Parameters

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._runners: dict[tuple[str, contract.Parameters], PolicyRunner] = {}
        for hub in self.sites:
            self._runner(hub, self.parameters)

    @classmethod
    def foresees(cls, parameters: contract.Parameters) -> bool:
        """Return whether the policy asks for forecasts, which its file says."""
        return Policy.load(cast("PolicyController.Parameters", parameters).file or SHIPPED).foresees

    def check(self, hub: str, parameters: contract.Parameters) -> None:
        """Refuse a file that is no policy for the hub, or that asks for forecasts where none are given."""
        self._runner(hub, cast("PolicyController.Parameters", parameters))
        if self.foresees(parameters) and not self.foresees(self.parameters):
            raise contract.ParameterError("file", "must ask for no forecast, as the policy of the controller's section")

    def _runner(self, hub: str, parameters: Parameters) -> PolicyRunner:
        """Return what runs a hub with some parameters."""
        key = hub, parameters
        if key not in self._runners:
            try:
                policy = Policy.load(parameters.file or SHIPPED)
                options = policy.options
                if parameters.safety is not None:
                    options = options.model_copy(update={"safety": parameters.safety})
                plates = self.sites[hub]
                self._runners[key] = PolicyRunner(policy, PolicyHub(hub, plates, options, self.period_s))
            except PolicyError as error:
                raise contract.ParameterError("file", str(error)) from None
        return self._runners[key]

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Answer for every hub by the policy; what the safety layer took back is in the diagnostics."""
        setpoints, clipped_kw = {}, 0.0
        for name, hub in observation.hubs.items():
            runner = self._runner(name, cast("PolicyController.Parameters", hub.parameters))
            seen = runner.hub.see(observation)
            commanded = runner.hub.command(runner.act(seen), seen)
            setpoints[name] = commanded.setpoints
            clipped_kw += sum(commanded.clipped_kw.values())
        return contract.Decision(setpoints, diagnostics={"clipped_kw": clipped_kw})
