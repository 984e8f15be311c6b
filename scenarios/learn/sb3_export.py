"""From an actor that stable-baselines3 has trained to a policy of evhub; needs neither it nor torch itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...controllers.policy.policy_file import Policy, digest_of
from ...controllers.policy.policy_network import Activation, FlatNetwork, Mlp, NetworkLayer
from .hub_env import HubEnv

_ACTIVATIONS: dict[str, Activation] = {"Tanh": "tanh", "ReLU": "relu", "Identity": "linear"}


def policy_from_sb3(model: Any, env: Any, note: str = "") -> Policy:
    """Return the deterministic policy of an on-policy model (PPO, A2C) with an MLP and flat spaces.

    Parameters
    ----------
    model : stable_baselines3 model
        Trained on `env`, or on its actions scaled to -1..1 by `gymnasium.wrappers.RescaleAction`; observations may be
        normalised by `VecNormalize`.
    env : gymnasium.Env
        The environment, wrapped or not.
    note : str
        How it was trained, for the file.

    Returns
    -------
    Policy

    Raises
    ------
    ValueError
        When the actor is another network than an MLP, or the spaces do not go with the environment.
    """
    hub_env = env.unwrapped
    if not isinstance(hub_env, HubEnv):
        raise ValueError(f"env must be an evhub/hub-v0, got {type(hub_env).__name__}")
    actor = getattr(model.policy, "mlp_extractor", None)
    if actor is None or not hasattr(model.policy, "action_net"):
        raise ValueError(f"the policy must be an actor with mlp_extractor and action_net, got {type(model.policy)}")
    layers = _layers([*actor.policy_net, model.policy.action_net])
    hub = hub_env.policy_hub
    low, high = hub.actions.low.astype(float), hub.actions.high.astype(float)
    from_low, from_high = (np.asarray(getattr(model.action_space, end, None), dtype=float) for end in ("low", "high"))
    if from_low.shape != low.shape or model.observation_space.shape != (len(hub.features.names),):
        raise ValueError("the model must have the flat spaces of the environment")
    # the number that means the low end of a range there means it here, and so on; clipping commutes with that
    factor = (high - low) / (from_high - from_low)
    last = layers[-1]
    bias = (last.bias - from_low) * factor + low
    layers[-1] = NetworkLayer(last.weight * factor[:, np.newaxis], bias, last.activation)
    mean, scale = _normaliser(model)
    return Policy(
        FlatNetwork(Mlp(tuple(layers), mean, scale)),
        hub.options,
        tuple(hub.features.names),
        tuple(hub.actions.names),
        note=note,
        site=digest_of(hub.site),
    )


def _layers(modules: list[Any]) -> list[NetworkLayer]:
    layers: list[NetworkLayer] = []
    for module in modules:
        name = type(module).__name__
        if name == "Linear":
            weight, bias = (part.detach().cpu().numpy().astype(float) for part in (module.weight, module.bias))
            layers.append(NetworkLayer(weight, bias))
        elif name in _ACTIVATIONS and layers:
            layers[-1] = NetworkLayer(layers[-1].weight, layers[-1].bias, _ACTIVATIONS[name])
        else:
            raise ValueError(f"the actor must have layers Linear, {', '.join(_ACTIVATIONS)}, got {name}")
    return layers


def _normaliser(model: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return mean and scale of `VecNormalize`, where the model has one that normalises observations."""
    normalise = model.get_vec_normalize_env()
    if normalise is None or not normalise.norm_obs:
        return None, None
    statistics = normalise.obs_rms
    return statistics.mean.astype(float), np.sqrt(statistics.var + normalise.epsilon).astype(float)
