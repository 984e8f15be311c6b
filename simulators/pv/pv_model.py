"""Photovoltaic plants behind their inverters: available power, and power under a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pvlib import inverter as pvlib_inverter
from pvlib import pvsystem, temperature

from .. import inverter
from ..series import Series, combine
from ..shared_data import SharedData

PVWATTS_EFFICIENCY = 0.96
"""Nominal inverter efficiency of PVWatts version 5 (Dobos 2014, NREL/TP-6A20-62641)."""


@dataclass(frozen=True, eq=False)
class PvParameters(SharedData):
    """PV plants; numbers stand for all of them.

    Attributes
    ----------
    rated_kw : array, shape (n,)
        DC power of the modules under standard test conditions, 1000 W/m2 and 25 degC cells [kW].
    inverter_kva : array, shape (n,)
        Rating of the inverter, which also caps the active power [kVA]; `rated_kw` when left out.
    gamma_per_k : array, shape (n,)
        Temperature coefficient of the power [1/K].
    noct_c : array, shape (n,)
        Nominal operating cell temperature [degC].
    pvwatts : array of bool, shape (n,)
        Whether the inverter has the part-load efficiency of PVWatts; otherwise it is lossless, as in Lavrenova &
        Denysiuk 2023.

    Raises
    ------
    ValueError
        If a rating is not positive, the coefficient is positive, or the cell temperature is below 20 degC.
    """

    rated_kw: np.ndarray | float
    inverter_kva: np.ndarray | float | None = None
    gamma_per_k: np.ndarray | float = -0.0029
    noct_c: np.ndarray | float = 41.5
    pvwatts: np.ndarray | bool = False

    def __post_init__(self):
        kva = self.rated_kw if self.inverter_kva is None else self.inverter_kva
        values = (self.rated_kw, kva, self.gamma_per_k, self.noct_c, self.pvwatts)
        rated_kw, kva, gamma_per_k, noct_c, pvwatts = np.broadcast_arrays(*np.atleast_1d(*values))
        for name, values, bad, allowed in (
            ("rated_kw", rated_kw, ~(rated_kw > 0), "> 0"),
            ("inverter_kva", kva, ~(kva > 0), "> 0"),
            ("gamma_per_k", gamma_per_k, ~(gamma_per_k <= 0), "<= 0"),
            ("noct_c", noct_c, ~(noct_c >= 20), ">= 20"),
        ):
            if bad.any():
                raise ValueError(f"{name} must be {allowed}, got {values[bad][0]}")
        for name, values in (
            ("rated_kw", rated_kw.astype(float)),
            ("inverter_kva", kva.astype(float)),
            ("gamma_per_k", gamma_per_k.astype(float)),
            ("noct_c", noct_c.astype(float)),
            ("pvwatts", pvwatts.astype(bool)),
        ):
            object.__setattr__(self, name, values)


def cell_temperature_c(parameters: PvParameters, irradiance_w_m2, t_ambient_c):
    """Compute the temperature of the cells, Lavrenova & Denysiuk 2023, eq. (2).

    The equation is the model of Ross (1981), which pvlib has.

    Parameters
    ----------
    parameters : PvParameters
        The n plants.
    irradiance_w_m2 : array, broadcasts to shape (..., n)
        Irradiance in the plane of the modules [W/m2].
    t_ambient_c : array, broadcasts to shape (..., n)
        Ambient temperature [degC].

    Returns
    -------
    array, shape (..., n)
        Cell temperature [degC].
    """
    return temperature.ross(irradiance_w_m2, t_ambient_c, noct=parameters.noct_c)


def dc_kw(parameters: PvParameters, irradiance_w_m2, t_ambient_c):
    """Compute the power of the modules at their maximum power point, Lavrenova & Denysiuk 2023, eq. (1).

    The equation is the DC model of PVWatts, which pvlib has.

    Parameters
    ----------
    parameters : PvParameters
        The n plants.
    irradiance_w_m2 : array, broadcasts to shape (..., n)
        Irradiance in the plane of the modules [W/m2]; readings below zero count as zero.
    t_ambient_c : array, broadcasts to shape (..., n)
        Ambient temperature [degC].

    Returns
    -------
    array, shape (..., n)
        DC power [kW].
    """
    irradiance_w_m2 = np.maximum(irradiance_w_m2, 0.0)
    t_cell_c = cell_temperature_c(parameters, irradiance_w_m2, t_ambient_c)
    return pvsystem.pvwatts_dc(irradiance_w_m2, t_cell_c, parameters.rated_kw, parameters.gamma_per_k)


def available_kw(parameters: PvParameters, irradiance_w_m2, t_ambient_c):
    """Compute the power that the inverters can give at the grid side when nothing limits them.

    Parameters
    ----------
    parameters : PvParameters
        The n plants.
    irradiance_w_m2 : array, broadcasts to shape (..., n)
        Irradiance in the plane of the modules [W/m2]; over time, shape (k, 1) or (k, n).
    t_ambient_c : array, broadcasts to shape (..., n)
        Ambient temperature [degC].

    Returns
    -------
    array, shape (..., n)
        Available AC power [kW], between 0 and ``inverter_kva``.
    """
    p_dc_kw = np.asarray(dc_kw(parameters, irradiance_w_m2, t_ambient_c))
    kva = parameters.inverter_kva
    p_kw = np.clip(p_dc_kw, 0.0, kva)
    if np.any(parameters.pvwatts):
        p_pvwatts_kw = pvlib_inverter.pvwatts(p_dc_kw, kva / PVWATTS_EFFICIENCY, PVWATTS_EFFICIENCY)  # type: ignore
        p_kw = np.where(parameters.pvwatts, p_pvwatts_kw, p_kw)
    return p_kw


def available_series(
    parameters: PvParameters, irradiance: Series, t_ambient: Series, until_s: float, from_s: float = 0.0
) -> Series:
    """Compute the available power over a whole run at once.

    Parameters
    ----------
    parameters : PvParameters
        The n plants.
    irradiance : Series
        Irradiance in the plane of the modules [W/m2], one column for all plants or one for each.
    t_ambient : Series
        Ambient temperature [degC], one column for all plants or one for each.
    until_s, from_s : float
        Span [s].

    Returns
    -------
    Series
        Available AC power [kW], values of shape (k, n).

    Raises
    ------
    ValueError
        If one of the series does not cover the span.
    """

    def available(irradiance_w_m2, t_ambient_c):
        k = len(irradiance_w_m2)
        return available_kw(parameters, irradiance_w_m2.reshape(k, -1), t_ambient_c.reshape(k, -1))

    return combine(available, irradiance, t_ambient, from_s=from_s, until_s=until_s)


def step(parameters: PvParameters, available_kw, p_limit_kw, q_set_kvar, energised):
    """Compute the power of the plants from now on.

    A limit saturates the maximum power point tracking; reactive power takes what the active power leaves of the rating.

    Parameters
    ----------
    parameters : PvParameters
        The n plants.
    available_kw : array, shape (n,)
        Available power [kW], from `available_kw` or `available_series`.
    p_limit_kw : array, shape (n,)
        Power limit [kW]; inf for none, below zero counts as zero.
    q_set_kvar : array, shape (n,)
        Reactive power that is asked for, positive when fed into the bus [kvar].
    energised : array of bool, shape (n,)
        Whether the bus has voltage; without it the inverters give nothing.

    Returns
    -------
    p_kw : array, shape (n,)
        Active power fed into the bus [kW], at least 0.
    q_kvar : array, shape (n,)
        Reactive power fed into the bus [kvar].
    """
    p_kw = np.minimum(available_kw, np.maximum(p_limit_kw, 0.0)) * energised
    if not np.count_nonzero(q_set_kvar):
        return p_kw, np.zeros(p_kw.shape)
    return p_kw, inverter.clip_q(p_kw, q_set_kvar, np.asarray(parameters.inverter_kva)) * energised
