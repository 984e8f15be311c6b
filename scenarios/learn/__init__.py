"""Learning on hubs: environments of Gymnasium and PettingZoo over `evhub.simulate`, training, and policies in files.

Importing it registers ``evhub/hub-v0`` with Gymnasium, where that is installed (``pip install evhub[learn]``).
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...controllers.policy.policy_file import Policy
    from .hub_env import HubEnv
    from .parallel_hubs import ParallelHubs, parallel_env
    from .reward import StepOutcome
    from .sb3_export import policy_from_sb3

__all__ = ["HubEnv", "ParallelHubs", "Policy", "StepOutcome", "parallel_env", "policy_from_sb3"]

_PLACES = {
    "HubEnv": "evhub.scenarios.learn.hub_env",
    "ParallelHubs": "evhub.scenarios.learn.parallel_hubs",
    "parallel_env": "evhub.scenarios.learn.parallel_hubs",
    "Policy": "evhub.controllers.policy.policy_file",
    "StepOutcome": "evhub.scenarios.learn.reward",
    "policy_from_sb3": "evhub.scenarios.learn.sb3_export",
}

if find_spec("gymnasium"):
    import gymnasium

    gymnasium.register("evhub/hub-v0", entry_point="evhub.scenarios.learn.hub_env:HubEnv")


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
