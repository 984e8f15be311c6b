"""Charging connectors between the hub bus and the batteries of the EVs.

Powers are those of the hub bus, positive when they charge; every array has the shape (n,), one element a connector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor, inf

import numpy as np

from ..inverter import clip_q
from ..shared_data import SharedData
from ..units import W_PER_KW, energy_kwh, power_kw
from ..water_filling import Cabinet

MINIMUM_A = 6.0
"""Smallest current a control pilot can offer [A], IEC 61851-1 table A.8."""

ENERGY_DUST_KWH = 1e-9
"""Less than this is rounding, not energy that is missing [kWh]."""


@dataclass(frozen=True)
class ConnectorParameters(SharedData):
    """The connectors of a hub.

    Parameters
    ----------
    rated_kw : ndarray, shape (n,)
        Ratings [kW].
    minimum_kw : ndarray, shape (n,)
        Below this a connector pauses [kW]; 0 on DC.
    phase : ndarray of int, shape (n,)
        Phase of a single-phase connector (0, 1, 2), -1 for three phases.
    v2g : ndarray of bool, shape (n,)
        Which can feed back.
    kind : ndarray of int, shape (n,)
        The group to which each belongs, from 0.
    cabinets : sequence of Cabinet
        Those of groups that share one.
    """

    rated_kw: np.ndarray
    minimum_kw: np.ndarray
    phase: np.ndarray
    v2g: np.ndarray
    kind: np.ndarray
    cabinets: Sequence[Cabinet] = ()
    single_phase: np.ndarray = field(init=False, repr=False)
    """Places of the connectors with one phase."""
    feeds_back: bool = field(init=False, repr=False)
    """Any can feed back."""
    pauses: bool = field(init=False, repr=False)
    """Any pauses below a minimum."""

    def __post_init__(self):
        object.__setattr__(self, "single_phase", np.flatnonzero(self.phase >= 0))
        object.__setattr__(self, "feeds_back", bool(np.any(self.v2g)))
        object.__setattr__(self, "pauses", bool(np.any(self.minimum_kw)))


def connectors(
    count: int,
    rated_kw: float,
    *,
    ac: bool,
    phases: int,
    nominal_v: float,
    v2g: bool,
    cabinet_kw: float = inf,
    name: str = "",
) -> ConnectorParameters:
    """Build equal connectors; single-phase ones are spread over the phases in turn.

    Parameters
    ----------
    count : int
        How many.
    rated_kw : float
        Of each [kW].
    ac : bool
        AC connectors have a least current.
    phases : int
        1 or 3.
    nominal_v : float
        Phase to phase [V].
    v2g : bool
        They can feed back.
    cabinet_kw : float
        What the cabinet that they share gives [kW]; infinite without one. No connector gives more.
    name : str
        Of the group.

    Returns
    -------
    ConnectorParameters
    """
    phase_v = nominal_v / np.sqrt(3.0)
    minimum_kw = phases * phase_v * MINIMUM_A / W_PER_KW if ac else 0.0
    phase = np.arange(count) % 3 if ac and phases == 1 else np.full(count, -1)
    cabinet = Cabinet(f"cabinet of {name}" if name else "cabinet", np.arange(count), cabinet_kw)
    return ConnectorParameters(
        rated_kw=np.full(count, float(min(rated_kw, cabinet_kw))),
        minimum_kw=np.full(count, minimum_kw),
        phase=phase,
        v2g=np.full(count, v2g),
        kind=np.zeros(count, dtype=int),
        cabinets=(cabinet,) if cabinet_kw < inf else (),
    )


def joined(groups: Iterable[ConnectorParameters]) -> ConnectorParameters:
    """Join groups of connectors to those of one hub, numbered through in their order.

    Parameters
    ----------
    groups : iterable of ConnectorParameters
        One of each kind.

    Returns
    -------
    ConnectorParameters
    """
    groups = list(groups)
    first = np.cumsum([0, *(group.rated_kw.size for group in groups)])
    columns = {
        name: np.concatenate([getattr(group, name) for group in groups])
        for name in ("rated_kw", "minimum_kw", "phase", "v2g")
    }
    return ConnectorParameters(
        **columns,
        kind=np.repeat(np.arange(len(groups)), np.diff(first)),
        cabinets=tuple(
            Cabinet(cabinet.name, cabinet.members + begin, cabinet.limit_kw)
            for begin, group in zip(first, groups, strict=False)
            for cabinet in group.cabinets
        ),
    )


def bounds_kw(
    parameters: ConnectorParameters, accepted_kw: np.ndarray, v2g: np.ndarray, powered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the limits of connector and EV.

    Parameters
    ----------
    parameters : ConnectorParameters
        The connectors.
    accepted_kw : ndarray, shape (n,)
        What the EV accepts [kW].
    v2g : ndarray of bool, shape (n,)
        The owner agreed to discharge.
    powered : ndarray of bool, shape (n,)
        An EV is plugged in and the connector can give power.

    Returns
    -------
    lower_kw, upper_kw : ndarray, shape (n,)
        Least power, <= 0, and greatest power, >= 0 [kW].
    """
    upper_kw = np.where(powered, np.minimum(parameters.rated_kw, accepted_kw), 0.0)
    return np.where(parameters.v2g & v2g, 0.0 - upper_kw, 0.0), upper_kw


def request_kw(
    parameters: ConnectorParameters, limit_kw: np.ndarray, lower_kw: np.ndarray, upper_kw: np.ndarray
) -> np.ndarray:
    """Compute the power that the EVs request under the limits of controller, connector and EV.

    Parameters
    ----------
    parameters : ConnectorParameters
        The connectors.
    limit_kw : ndarray, shape (n,)
        Set points of the controller [kW]; negative asks for discharging.
    lower_kw, upper_kw : ndarray, shape (n,)
        Limits of connector and EV [kW], see `bounds_kw`.

    Returns
    -------
    ndarray, shape (n,)
        Requested power [kW]; 0 where the limit is below what the connector can offer at all.
    """
    wanted_kw = np.minimum(np.maximum(limit_kw, lower_kw), upper_kw)
    if not parameters.pauses:
        return wanted_kw
    paused = (wanted_kw > 0.0) & (np.minimum(limit_kw, parameters.rated_kw) < parameters.minimum_kw)
    return np.where(paused, 0.0, wanted_kw)


def until_energy(
    p_kw: np.ndarray, hold_s: np.ndarray, remaining_kwh: np.ndarray, step_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Limit what a battery takes, so that a session ends with exactly the energy it asked for.

    Parameters
    ----------
    p_kw : ndarray, shape (n,)
        Power the battery takes [kW].
    hold_s : ndarray, shape (n,)
        How long it can [s].
    remaining_kwh : ndarray, shape (n,)
        Asked for and not delivered yet [kWh].
    step_s : float
        Step grid [s].

    Returns
    -------
    p_kw, hold_s : ndarray, shape (n,)
        The same, except where the energy runs out before: there the power lasts for whole steps, and the last step
        brings the rest at a lower power. A session that has got all of it takes nothing more.
    """
    limited_kw, limited_s, left_kwh = p_kw.tolist(), hold_s.tolist(), remaining_kwh.tolist()
    for i, kw in enumerate(limited_kw):
        if kw <= 0.0:
            continue
        if left_kwh[i] <= ENERGY_DUST_KWH:
            limited_kw[i], limited_s[i] = 0.0, inf
            continue
        per_step_kwh = energy_kwh(kw, step_s)
        if left_kwh[i] < per_step_kwh:
            limited_kw[i] = power_kw(left_kwh[i], step_s)
        limited_s[i] = min(limited_s[i], max(floor(left_kwh[i] / per_step_kwh + 1e-9), 1) * step_s)
    return np.array(limited_kw), np.array(limited_s)


def reactive_kvar(
    parameters: ConnectorParameters, p_kw: np.ndarray, q_set_kvar: np.ndarray, plugged: np.ndarray
) -> np.ndarray:
    """Limit the reactive power of the connectors; only those that can feed back have an inverter that gives any.

    Parameters
    ----------
    parameters : ConnectorParameters
        The connectors.
    p_kw : ndarray, shape (n,)
        Their active power [kW], which has priority.
    q_set_kvar : ndarray, shape (n,)
        Set points, > 0 feeds the hub bus [kvar].
    plugged : ndarray of bool, shape (n,)
        An EV is plugged in and the connector can give power.

    Returns
    -------
    ndarray, shape (n,)
        Reactive power fed into the hub bus [kvar], within the rating of each connector taken as apparent power.
    """
    return np.where(plugged & parameters.v2g, clip_q(p_kw, q_set_kvar, parameters.rated_kw), 0.0)


def phase_kw(parameters: ConnectorParameters, p_kw: np.ndarray) -> tuple[float, ...]:
    """Sum the power of the connectors on each phase.

    Parameters
    ----------
    parameters : ConnectorParameters
        The connectors.
    p_kw : ndarray, shape (n,)
        Their power [kW].

    Returns
    -------
    tuple of 3 float
        Power on the phases [kW].
    """
    single = parameters.single_phase
    if not single.size:
        return (float(p_kw.sum()) / 3.0,) * 3
    if single.size == p_kw.size:
        return tuple(np.bincount(parameters.phase, weights=p_kw, minlength=3).tolist())
    balanced = p_kw[parameters.phase < 0].sum() / 3.0
    return tuple((balanced + np.bincount(parameters.phase[single], weights=p_kw[single], minlength=3)).tolist())
