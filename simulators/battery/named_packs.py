"""The battery packs that a scenario can name: ideal ones, and packs of published cells scaled to an energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import inf
from typing import Any

from ..units import W_PER_KW
from . import tremblay_cell
from .battery_parameters import BatteryParameters, energy_wh

_CELL_FIELDS = tuple(item.name for item in fields(tremblay_cell.Cell))
_LIMIT_FIELDS = ("v_max_v", "v_min_v", "i_charge_max_a", "i_discharge_max_a", "i_end_a")


def pack(
    cell_set: Mapping[str, Any],
    *,
    capacity_kwh: float | None = None,
    n_series: float | None = None,
    n_parallel: float | None = None,
    p_charge_max_kw: float,
    p_discharge_max_kw: float = 0.0,
    eta_charge: float = 1.0,
    eta_discharge: float = 1.0,
    soc_min: float = 0.0,
    soc_max: float = 1.0,
) -> BatteryParameters:
    """Build one pack of a published cell.

    Parameters
    ----------
    cell_set : mapping
        Contents of a file of ``simulators/data/batteries``: ``cell``, ``limits`` and ``pack`` (numbers of cells).
    capacity_kwh : float, optional
        Nominal energy [kWh] (see `battery_parameters.capacity_kwh`), which sets the number of strings in parallel. Not
        with `n_parallel`.
    n_series, n_parallel : float, optional
        Cells in series and in parallel; those of the file by default.
    p_charge_max_kw, p_discharge_max_kw : float
        Rating of the converter at its grid-side terminals [kW].
    eta_charge, eta_discharge : float
        Efficiency of the converter, 0..1.
    soc_min, soc_max : float
        Window of the SoC, 0..1.

    Returns
    -------
    BatteryParameters
        Of one pack, n = 1.

    Raises
    ------
    ValueError
        If a value is missing or out of range, or both `capacity_kwh` and `n_parallel` are given.
    """
    if capacity_kwh is not None and n_parallel is not None:
        raise ValueError(f"capacity_kwh or n_parallel, not both, got {capacity_kwh} and {n_parallel}")
    if capacity_kwh is not None and not capacity_kwh > 0:
        raise ValueError(f"capacity_kwh must be > 0, got {capacity_kwh}")
    values: dict[str, Any] = {
        "p_charge_max_kw": p_charge_max_kw,
        "p_discharge_max_kw": p_discharge_max_kw,
        "eta_charge": eta_charge,
        "eta_discharge": eta_discharge,
        "soc_min": soc_min,
        "soc_max": soc_max,
    }
    try:
        values |= {name: cell_set["cell"][name] for name in (*_CELL_FIELDS, "tau_s")}
        values |= {name: cell_set["limits"][name] for name in _LIMIT_FIELDS}
        values["n_series"] = cell_set["pack"]["n_series"] if n_series is None else n_series
        values["n_parallel"] = cell_set["pack"]["n_parallel"] if n_parallel is None else n_parallel
    except KeyError as missing:
        raise ValueError(f"the cell set {cell_set.get('name', '')!r} has no {missing}") from None
    if capacity_kwh is not None:
        cell = tremblay_cell.Cell(*(values[name] for name in _CELL_FIELDS))
        values["n_parallel"] = capacity_kwh * W_PER_KW / (values["n_series"] * energy_wh(cell))
    return BatteryParameters(**values)


_IDEAL_V = 400.0  # reported as terminal voltage; nothing else depends on it
_IDEAL_A = 1e12  # no limit


def ideal(
    capacity_kwh: float,
    *,
    p_charge_max_kw: float,
    p_discharge_max_kw: float = 0.0,
    eta_charge: float = 1.0,
    eta_discharge: float = 1.0,
    soc_min: float = 0.0,
    soc_max: float = 1.0,
) -> BatteryParameters:
    """Build one battery without losses or voltage dynamics inside: ``R = K = A = 0``, only the converter limits it.

    Parameters
    ----------
    capacity_kwh : float
        Energy between SoC 0 and 1 [kWh], > 0.
    p_charge_max_kw, p_discharge_max_kw : float
        Rating of the converter at its grid-side terminals [kW].
    eta_charge, eta_discharge : float
        Efficiency of the converter, 0..1.
    soc_min, soc_max : float
        Window of the SoC, 0..1.

    Returns
    -------
    BatteryParameters
        Of one pack, n = 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    if not capacity_kwh > 0:
        raise ValueError(f"capacity_kwh must be > 0, got {capacity_kwh}")
    cell = {"e0_v": _IDEAL_V, "r_ohm": 0.0, "k_v_per_ah": 0.0, "a_v": 0.0, "b_per_ah": 1.0, "tau_s": inf}
    limits = {"v_max_v": 2.0 * _IDEAL_V, "v_min_v": 0.5 * _IDEAL_V, "i_end_a": 1.0}
    return pack(
        {
            "cell": {**cell, "q_ah": capacity_kwh * W_PER_KW / _IDEAL_V},
            "limits": {**limits, "i_charge_max_a": _IDEAL_A, "i_discharge_max_a": _IDEAL_A},
            "pack": {"n_series": 1.0, "n_parallel": 1.0},
        },
        p_charge_max_kw=p_charge_max_kw,
        p_discharge_max_kw=p_discharge_max_kw,
        eta_charge=eta_charge,
        eta_discharge=eta_discharge,
        soc_min=soc_min,
        soc_max=soc_max,
    )
