"""Limits of nodes and branches, and the linear constraints that keep a dispatch within them (430, 440)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...simulators.network.admittances import AdmittanceNetwork
from ...simulators.network.batch_load_flow import LoadFlow
from ...simulators.network.sensitivities import along, voltage_change

_TURNS = (0.0, *(side * n * np.pi / 12 for n in (1, 2, 3) for side in (-1, 1)), np.pi)
"""A current is limited as it flows, turned a little, and reversed: a battery or reactive power soon turns it."""


@dataclass(frozen=True)
class NetworkLimits:
    """What the grid code allows.

    Parameters
    ----------
    v_min_pu, v_max_pu : float
        Voltage band of every node without a slack [pu].
    loading : float
        Largest current over the rated one, of every line and transformer.
    """

    v_min_pu: float
    v_max_pu: float
    loading: float

    def bounds(self, network: AdmittanceNetwork) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper bound of each quantity, both of shape (n + b,); see `quantities`."""
        n = network.bus.size
        lower, upper = np.full((2, n + len(network.branches)), [[-np.inf], [np.inf]])
        lower[network.free], upper[network.free] = self.v_min_pu, self.v_max_pu
        upper[n:] = self.loading  # a branch without a rating is loaded at 0
        return lower, upper


@dataclass(frozen=True, eq=False)
class Cut:
    """One constraint ``value + slope . (u - point) <= limit`` (or ``>=``) on the set points of one step.

    Parameters
    ----------
    quantity : int
        Node, or n + branch; see `quantities`.
    step : int
        Step of the window.
    upper : bool
        Whether the limit is from above.
    point : ndarray, shape (2 m,)
        Set points of the load flow: active [kW], then reactive [kvar], of each place.
    slope : ndarray, shape (2 m,)
        Sensitivities [1/kW, 1/kvar] (S_u in the patent, paragraph 60).
    value, limit : float
        Value at `point` (P_ini) and limit (P_min or P_max).
    turned : float
        Of a current, the angle between its phasor at `point` and the direction that is limited [rad].
    """

    quantity: int
    step: int
    upper: bool
    point: np.ndarray
    slope: np.ndarray
    value: float
    limit: float
    turned: float = 0.0

    @property
    def key(self) -> tuple[int, int, bool]:
        """What it limits."""
        return self.quantity, self.step, self.upper

    @property
    def scale(self) -> float:
        """Largest sensitivity: what the constraint is divided by, so that its row is in kW like all others."""
        return float(np.abs(self.slope).max())

    def at(self, u: np.ndarray) -> float:
        """Estimate the quantity at other set points, shape (2 m,)."""
        return self.value + float(self.slope @ (u - self.point))


def quantities(flow: LoadFlow) -> np.ndarray:
    """Return the voltages of the nodes [pu], then the loadings of the branches at the fuller end, shape (k, n + b)."""
    return np.hstack([flow.v_pu, flow.loading.max(axis=1)])


def name(network: AdmittanceNetwork, quantity: int) -> str:
    """Name of a quantity as a reader knows it: ``bus 17``, ``line 3``."""
    n = network.bus.size
    if quantity < n:
        return f"bus {network.bus[quantity]}"
    return network.branches[quantity - n]


def excess(network: AdmittanceNetwork, limits: NetworkLimits, values: np.ndarray) -> np.ndarray:
    """Compute how far quantities exceed their limits, > 0 above, < 0 below, shape (k, n + b); NaN counts as inside."""
    lower, upper = limits.bounds(network)
    values = np.where(np.isnan(values), np.clip(1.0, lower, upper), values)
    return np.maximum(values - upper, 0.0) - np.maximum(lower - values, 0.0)


def linearised(
    flow: LoadFlow,
    limits: NetworkLimits,
    nodes: np.ndarray,
    u: np.ndarray,
    wanted: Mapping[tuple[int, int, bool], float],
) -> list[Cut]:
    """Build linear constraints from sensitivities.

    Parameters
    ----------
    flow : LoadFlow
        Load flows of the k steps; those that are wanted have converged.
    limits : NetworkLimits
        The grid code.
    nodes : ndarray of int, shape (m,)
        Node of each place.
    u : ndarray, shape (k, 2 m)
        Set points of the load flows [kW, kvar].
    wanted : mapping of (quantity, step, upper) to float
        What to limit, and how far inside its limit the constraint shall lie [pu].

    Returns
    -------
    list of Cut
        Without those that no set point can influence.
    """
    network = flow.network
    n = network.bus.size
    steps = np.unique(np.array([step for _, step, _ in wanted], dtype=int))
    dv = dict(zip(steps.tolist(), voltage_change(network, flow.v[steps], nodes), strict=True))
    lower, upper = limits.bounds(network)
    cuts = []
    for (quantity, step, is_upper), margin in wanted.items():
        if quantity < n:
            phasor, change, turns = flow.v[step, quantity], dv[step][quantity], (0.0,)
        else:
            end = quantity - n + len(network.branches) * int(flow.loading[step, :, quantity - n].argmax())
            row = network.y_end[[end]] / network.rated_pu[end]
            phasor, change, turns = (row @ flow.v[step])[0], (row @ dv[step])[0], _TURNS
        limit = float(upper[quantity] - margin if is_upper else lower[quantity] + margin)
        for turned in turns:
            value, slope = along(phasor, change / network.base_kw, turned)
            if np.abs(slope).max(initial=0.0) > 1e-12:
                cuts.append(Cut(quantity, step, is_upper, u[step], slope, value, limit, turned))
    return cuts
