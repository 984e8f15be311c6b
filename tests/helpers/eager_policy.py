"""A policy that wants full power for every EV, so that only its safety layer holds it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evhub.controllers.policy.policy_file import Policy
from evhub.controllers.policy.policy_network import Mlp, NetworkLayer, SharedNetwork
from evhub.controllers.policy.policy_options import PolicyOptions


def write_eager_policy(folder: Path) -> Path:
    """The file of the policy, for any hub."""
    network = SharedNetwork(Mlp((NetworkLayer(np.zeros((1, 1)), np.ones(1)),)))
    return Policy(network, PolicyOptions(), (), (), ("occupied",), note="eager").save(folder / "eager.npz")
