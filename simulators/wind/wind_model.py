"""Wind turbines: available power, and power under a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..shared_data import SharedData


@dataclass(frozen=True, eq=False)
class WindParameters(SharedData):
    """A wind turbine.

    Attributes
    ----------
    rated_kw : float
        Largest power [kW].
    curve_m_s, curve_share : array, shape (k,)
        Power curve: wind at hub height [m/s], increasing, and share of the rating.
    height_ratio : float
        Height of the hub over that of the measurement.
    shear : float
        Exponent of the wind profile.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    rated_kw: float
    curve_m_s: np.ndarray
    curve_share: np.ndarray
    height_ratio: float = 1.0
    shear: float = 0.0

    def __post_init__(self):
        for name in ("rated_kw", "height_ratio"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if (np.diff(self.curve_m_s) <= 0).any():
            raise ValueError(f"curve_m_s must increase, got {self.curve_m_s}")
        if (np.asarray(self.curve_share) < 0).any() or (np.asarray(self.curve_share) > 1).any():
            raise ValueError(f"curve_share must be 0 to 1, got {self.curve_share}")


def at_hub_m_s(parameters: WindParameters, speed_m_s: np.ndarray) -> np.ndarray:
    """Compute the wind at hub height by the power law of the wind profile (IEC 61400-1, section 6.3.2.1).

    Parameters
    ----------
    parameters : WindParameters
    speed_m_s : array
        Wind where it is measured [m/s].

    Returns
    -------
    array
        Wind at hub height [m/s].
    """
    return speed_m_s * parameters.height_ratio**parameters.shear


def available_kw(parameters: WindParameters, speed_m_s: np.ndarray) -> np.ndarray:
    """Compute the power that the wind allows, by the power curve.

    Parameters
    ----------
    parameters : WindParameters
    speed_m_s : array
        Wind where it is measured [m/s].

    Returns
    -------
    array
        Power [kW], 0 to `rated_kw`; 0 outside the curve.
    """
    hub_m_s = at_hub_m_s(parameters, speed_m_s)
    share = np.interp(hub_m_s, parameters.curve_m_s, parameters.curve_share, left=0.0, right=0.0)
    return parameters.rated_kw * share


def step(available_kw: float, limit_kw: float, energised: bool) -> float:
    """Compute the power from now on [kW]: what the wind allows, at most the limit, nothing on a dead bus."""
    return min(available_kw, max(limit_kw, 0.0)) if energised else 0.0
