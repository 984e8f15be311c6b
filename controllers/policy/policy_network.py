"""Networks of policies: multi-layer perceptrons in numpy, one over everything or one that connectors share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

Activation = Literal["linear", "tanh", "relu"]
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
}
_LARGEST_INPUT = 10.0


def _all_finite(values: np.ndarray) -> bool:
    """Return whether an array has real numbers only, none of them infinite."""
    return values.dtype.kind in "fiu" and bool(np.isfinite(values).all())


@dataclass(frozen=True)
class NetworkLayer:
    """One layer: ``activation(weight @ x + bias)``.

    Parameters
    ----------
    weight : ndarray, shape (n_out, n_in)
    bias : ndarray, shape (n_out,)
    activation : {"linear", "tanh", "relu"}
    """

    weight: np.ndarray
    bias: np.ndarray
    activation: Activation = "linear"

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"weight and bias must fit, got shapes {self.weight.shape} and {self.bias.shape}")
        if not (_all_finite(self.weight) and _all_finite(self.bias)):
            raise ValueError("weight and bias must be finite numbers")


@dataclass(frozen=True)
class Mlp:
    """A multi-layer perceptron, with an optional normaliser of its inputs.

    Parameters
    ----------
    layers : tuple of NetworkLayer
        From the input on.
    mean, scale : ndarray, shape (n_in,), optional
        Inputs are ``(x - mean) / scale``, within -10..10; as they are when left out.
    """

    layers: tuple[NetworkLayer, ...]
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    def __post_init__(self):
        widths = [(layer.weight.shape[1], layer.weight.shape[0]) for layer in self.layers]
        if not widths:
            raise ValueError("a network must have a layer")
        for (_, before), (after, _) in pairwise(widths):
            if before != after:
                raise ValueError(f"layers must fit, got {before} numbers into {after}")
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            if values is not None and values.shape != (self.n_in,):
                raise ValueError(f"{name} must have the shape ({self.n_in},), got {values.shape}")
            if values is not None and not _all_finite(values):
                raise ValueError(f"{name} must have finite numbers")
        if (self.mean is None) != (self.scale is None) or (self.scale is not None and not (self.scale > 0.0).all()):
            raise ValueError("mean and scale go together, and scale must be > 0")

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.layers[0].weight.shape[1]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.layers[-1].weight.shape[0]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the outputs, shape (..., n_out), of inputs, shape (..., n_in)."""
        x = np.asarray(inputs, dtype=float)
        if self.mean is not None and self.scale is not None:
            x = np.clip((x - self.mean) / self.scale, -_LARGEST_INPUT, _LARGEST_INPUT)
        for layer in self.layers:
            x = ACTIVATIONS[layer.activation](x @ layer.weight.T + layer.bias)
        return x

    def parameters(self) -> np.ndarray:
        """Return all weights and biases in a row."""
        return np.concatenate([part.ravel() for layer in self.layers for part in (layer.weight, layer.bias)])

    def with_parameters(self, values: np.ndarray) -> Mlp:
        """Return the network with other weights and biases, as `parameters` gives them."""
        layers, begin = [], 0
        for layer in self.layers:
            parts = []
            for part in (layer.weight, layer.bias):
                parts.append(values[begin : begin + part.size].reshape(part.shape))
                begin += part.size
            layers.append(NetworkLayer(parts[0], parts[1], layer.activation))
        return Mlp(tuple(layers), self.mean, self.scale)

    @classmethod
    def of_sizes(cls, sizes: Sequence[int], rng: np.random.Generator, output: Activation = "linear") -> Mlp:
        """Make a network of tanh layers with random weights, normal with ``1 / sqrt(n_in)``; the output begins at 0.

        Parameters
        ----------
        sizes : sequence of int
            Number of inputs, of each hidden layer, and of outputs.
        rng : numpy.random.Generator
        output : {"linear", "tanh", "relu"}
            Activation of the output.
        """
        last = len(sizes) - 2
        layers = []
        for n, (n_in, n_out) in enumerate(pairwise(sizes)):
            weight = rng.normal(0.0, n_in**-0.5, (n_out, n_in)) * (0.0 if n == last else 1.0)
            layers.append(NetworkLayer(weight, np.zeros(n_out), output if n == last else "tanh"))
        return cls(tuple(layers))


@dataclass(frozen=True)
class FlatNetwork:
    """One network over everything that is seen and commanded, in the order of the names.

    Parameters
    ----------
    mlp : Mlp
        From all features to all actions.
    """

    kind: ClassVar[Literal["flat"]] = "flat"
    mlp: Mlp


@dataclass(frozen=True)
class SharedNetwork:
    """A network that all connectors share, and one for the rest: small, and for any number of connectors.

    The first sees what there is of the hub and of one connector, the second the hub and the mean over the connectors
    with an EV. What a hub does not have reads 0, as what is not known does; what it does not have is not commanded.

    Parameters
    ----------
    connector : Mlp
        From hub and connector to the number of that connector.
    hub : Mlp, optional
        From hub and mean connector to the other numbers.
    """

    kind: ClassVar[Literal["shared"]] = "shared"
    connector: Mlp
    hub: Mlp | None = None

    def parameters(self) -> np.ndarray:
        """Return all weights and biases in a row."""
        parts = [self.connector.parameters()]
        return np.concatenate([*parts, self.hub.parameters()] if self.hub else parts)

    def with_parameters(self, values: np.ndarray) -> SharedNetwork:
        """Return the networks with other weights and biases, as `parameters` gives them."""
        n = self.connector.parameters().size
        hub = self.hub.with_parameters(values[n:]) if self.hub else None
        return SharedNetwork(self.connector.with_parameters(values[:n]), hub)


Network = FlatNetwork | SharedNetwork
