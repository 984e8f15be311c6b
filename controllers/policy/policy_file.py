"""A policy in one file: the weights of its network, and what its numbers stand for.

The file is a numpy archive (`.npz`), without code: arrays ``NETWORK/LAYER/weight`` and ``.../bias``, ``NETWORK/mean``
and ``NETWORK/scale`` where inputs are normalised, and ``about``, a text in JSON.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from ..contract import Site
from .policy_network import Activation, FlatNetwork, Mlp, Network, NetworkLayer, SharedNetwork
from .policy_options import PolicyOptions

FORMAT = "evhub policy 1"
SHIPPED = Path(str(files("evhub.controllers.policy") / "data" / "workplace.npz"))
"""The policy that comes with evhub."""


class PolicyError(ValueError):
    """A file is no policy, or a policy is one of another hub."""


class _About(BaseModel):
    """What stands in the file beside the weights; see `Policy`."""

    format: str = FORMAT
    network: Literal["flat", "shared"]
    options: PolicyOptions
    features: tuple[str, ...]
    connector_features: tuple[str, ...]
    actions: tuple[str, ...]
    activations: dict[str, tuple[Activation, ...]]
    note: str
    site: str
    evhub: str


@dataclass(frozen=True)
class Policy:
    """A network, and what its numbers stand for.

    Parameters
    ----------
    network : FlatNetwork or SharedNetwork
    options : PolicyOptions
        Scales of what it sees, and what it commands.
    features, actions : tuple of str
        Names of the inputs and outputs: all of a flat network; of a shared one those of the hub.
    connector_features : tuple of str
        Of a shared network, what it sees of each connector.
    note : str
        How it was trained.
    site : str
        Digest of the plates of the hub that it was trained on, see `digest_of`.
    evhub : str
        Version that wrote it.
    """

    network: Network
    options: PolicyOptions
    features: tuple[str, ...]
    actions: tuple[str, ...]
    connector_features: tuple[str, ...] = ()
    note: str = ""
    site: str = ""
    evhub: str = ""

    def __post_init__(self):
        for mlp, what, n_in, n_out in self._networks():
            for numbers, has, end in ((n_in, mlp.n_in, "inputs"), (n_out, mlp.n_out, "outputs")):
                if numbers != has:
                    raise PolicyError(f"{what} must have {numbers} {end} for the names it has, got {has}")

    @property
    def foresees(self) -> bool:
        """Whether it asks for forecasts: to look ahead, or to limit a load class to a part of what it will want."""
        limited = {f"load/{name}" for name in self.options.load} & set(self.actions)
        return self.options.lookahead > 0 or bool(limited)

    def _networks(self) -> list[tuple[Mlp, str, int, int]]:
        """Return every network, its name, and its numbers of inputs and outputs by the names."""
        network, n = self.network, len(self.features)
        if isinstance(network, FlatNetwork):
            return [(network.mlp, "mlp", n, len(self.actions))]
        n += len(self.connector_features)
        whole = [(network.connector, "connector", n, 1)]
        return [*whole, (network.hub, "hub", n, len(self.actions))] if network.hub else whole

    def save(self, path: str | Path) -> Path:
        """Write the policy to a file; a name without a suffix gets ``.npz``."""
        path = Path(path) if Path(path).suffix else Path(f"{path}.npz")
        about = _About(
            network=self.network.kind,
            options=self.options,
            features=self.features,
            connector_features=self.connector_features,
            actions=self.actions,
            activations={name: tuple(layer.activation for layer in mlp.layers) for mlp, name, *_ in self._networks()},
            note=self.note,
            site=self.site,
            evhub=self.evhub or _version(),
        )
        arrays: dict[str, np.ndarray] = {}
        for mlp, name, *_ in self._networks():
            for n, layer in enumerate(mlp.layers):
                arrays[f"{name}/{n}/weight"], arrays[f"{name}/{n}/bias"] = layer.weight, layer.bias
            if mlp.mean is not None and mlp.scale is not None:
                arrays[f"{name}/mean"], arrays[f"{name}/scale"] = mlp.mean, mlp.scale
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about.model_dump(mode="json"))), **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy from a file.

        Raises
        ------
        PolicyError
            When there is no such file, or it is no policy; the text names it and says what is wrong.
        """
        try:
            about, arrays = _read(Path(path))
            return cls(
                network=_network(about, arrays),
                options=about.options,
                features=about.features,
                actions=about.actions,
                connector_features=about.connector_features,
                note=about.note,
                site=about.site,
                evhub=about.evhub,
            )
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise PolicyError(f"{path} is no policy: {key}: {first['msg']}") from None
        except KeyError as error:
            raise PolicyError(f"{path} is no policy: it has no {error.args[0]}") from None
        except ValueError as error:
            raise PolicyError(f"{path} is no policy: {error}") from None


def _read(path: Path) -> tuple[_About, dict[str, np.ndarray]]:
    """Read what stands in a file, and its arrays by name."""
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise ValueError("it ends early, or is none")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise PolicyError(error.strerror or str(error)) from None
    except Exception as error:  # damaged archives raise whatever their bytes lead to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolicyError(f"it must be a whole .npz file ({reason})") from None
    try:
        about = json.loads(str(arrays.pop("about")))
    except (ValueError, RecursionError):
        raise PolicyError("its about must be JSON") from None
    if not isinstance(about, dict):
        raise PolicyError("its about must be a mapping")
    if about.get("format") != FORMAT:
        writer = f" (written by evhub {about['evhub']})" if "evhub" in about else ""
        raise PolicyError(f"its format is {about.get('format')!r}{writer}; evhub {_version()} reads {FORMAT!r}")
    return _About.model_validate(about), arrays


def _network(about: _About, arrays: dict[str, np.ndarray]) -> Network:
    def mlp(name: str) -> Mlp:
        layers = [
            NetworkLayer(arrays[f"{name}/{n}/weight"], arrays[f"{name}/{n}/bias"], activation)
            for n, activation in enumerate(about.activations[name])
        ]
        return Mlp(tuple(layers), arrays.get(f"{name}/mean"), arrays.get(f"{name}/scale"))

    if about.network == FlatNetwork.kind:
        return FlatNetwork(mlp("mlp"))
    return SharedNetwork(mlp("connector"), mlp("hub") if "hub" in about.activations else None)


def differences(policy: Sequence[str], hub: Sequence[str], what: str) -> str:
    """Describe how the names of a policy differ from those of a hub; empty when they do not.

    Parameters
    ----------
    policy, hub : sequence of str
        Names, in their order.
    what : str
        What they name, such as ``features``.
    """
    if list(policy) == list(hub):
        return ""
    parts = [
        f"{verb} {what} {_some(names)}"
        for verb, names in (
            ("has", [name for name in policy if name not in set(hub)]),
            ("lacks", [name for name in hub if name not in set(policy)]),
        )
        if names
    ]
    return " and ".join(parts) or f"has its {what} in another order"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def digest_of(site: Site) -> str:
    """Return a short digest of the plates of a hub, by which policies tell what they were trained on."""
    plates = {f.name: getattr(site, f.name) for f in fields(Site) if f.name not in ("circuits", "devices")}
    plates["devices"] = {name: (device.kind, dict(device.plates)) for name, device in site.devices.items()}
    plates["circuits"] = (site.circuits.name, site.circuits.limit_a)
    text = json.dumps(plates, sort_keys=True, default=lambda value: np.asarray(value).tolist())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version() -> str:
    try:
        return version("evhub")
    except PackageNotFoundError:
        return "unknown"
