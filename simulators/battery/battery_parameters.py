"""Parameters of battery packs behind their converters, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from ..units import W_PER_KW
from . import tremblay_cell
from .battery_unit import Unit, checked

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BatteryParameters(tremblay_cell.Cell):
    """Parameters of n packs; every field is an array of shape (n,).

    Parameters
    ----------
    e0_v, r_ohm, k_v_per_ah, a_v, b_per_ah, q_ah : array, shape (n,)
        The cell, see `tremblay.Cell`.
    tau_s : array, shape (n,)
        Time constant of the filtered current [s]; inf keeps it at 0 (2007 form of the cell).
    n_series, n_parallel : array, shape (n,)
        Cells in series and in parallel; need not be whole where a pack is scaled to an energy.
    v_max_v, v_min_v : array, shape (n,)
        Charge (CV) voltage and cut-off voltage of the cell [V].
    i_charge_max_a, i_discharge_max_a : array, shape (n,)
        Current limits (CC) of the cell [A], > 0.
    i_end_a : array, shape (n,)
        Current of the cell at which charging at `v_max_v`, or discharging at `v_min_v`, ends [A], > 0. The end is taken
        where the settled current has this value, which is a SoC: no memory is needed, and a full battery stays full.
    p_charge_max_kw, p_discharge_max_kw : array, shape (n,)
        Rating of the converter at its grid-side terminals [kW], both >= 0.
    eta_charge, eta_discharge : array, shape (n,)
        Efficiency of the converter, 0..1.
    soc_min, soc_max : array, shape (n,)
        Window of the SoC, 0..1. A SoC outside is kept until a power in the right direction brings it back.

    Raises
    ------
    ValueError
        If shapes differ or a value is out of range.
    """

    tau_s: Array
    n_series: Array
    n_parallel: Array
    v_max_v: Array
    v_min_v: Array
    i_charge_max_a: Array
    i_discharge_max_a: Array
    i_end_a: Array
    p_charge_max_kw: Array
    p_discharge_max_kw: Array
    eta_charge: Array
    eta_discharge: Array
    soc_min: Array
    soc_max: Array
    units: tuple[Unit, ...] = field(init=False, repr=False)
    """The same, pack by pack, on floats."""
    checked_units: InitVar[Sequence[Unit] | None] = None
    """The units, where they are known and the fields are arrays; only for `stack` and `put`."""

    def __post_init__(self, checked_units: Sequence[Unit] | None):
        if checked_units is not None:
            object.__setattr__(self, "units", tuple(checked_units))
            return
        rows = {name: np.atleast_1d(np.asarray(getattr(self, name), dtype=float)) for name in _FIELDS}
        shapes = {name: row.shape for name, row in rows.items()}
        if len(set(shapes.values())) > 1 or len(shapes["e0_v"]) != 1:
            raise ValueError(f"parameters must be arrays of one shape (n,), got {shapes}")
        for name, row in rows.items():
            object.__setattr__(self, name, row)
        columns = zip(*(row.tolist() for row in rows.values()), strict=True)
        object.__setattr__(self, "units", tuple([checked(Unit(*column)) for column in columns]))


_FIELDS = tuple(item.name for item in fields(BatteryParameters) if item.init)


def stack(parameters: Sequence[BatteryParameters]) -> BatteryParameters:
    """Combine the parameters of packs into one object.

    Parameters
    ----------
    parameters : sequence of BatteryParameters
        One or more, of any n.

    Returns
    -------
    BatteryParameters
        Of all packs, in order.
    """
    units = [unit for packs in parameters for unit in packs.units]
    columns = [np.array([getattr(unit, name) for unit in units]) for name in _FIELDS]
    return BatteryParameters(*columns, checked_units=units)


def put(parameters: BatteryParameters, index: int, replacement: BatteryParameters) -> BatteryParameters:
    """Replace one pack, for example when a vehicle arrives at a connector.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.
    index : int
        Which one.
    replacement : BatteryParameters
        Of one pack, the new one.

    Returns
    -------
    BatteryParameters
        Of n packs.
    """
    units = list(parameters.units)
    units[index] = replacement.units[0]
    columns = [getattr(parameters, name).copy() for name in _FIELDS]
    for column, name in zip(columns, _FIELDS, strict=True):
        column[index] = getattr(units[index], name)
    return BatteryParameters(*columns, checked_units=units)


def capacity_kwh(parameters: BatteryParameters) -> Array:
    """Compute the nominal energy: capacity times open-circuit voltage at half charge.

    For an ideal battery this is the energy between SoC 0 and 1. For the published cells it is close to the open-circuit
    energy between SoC 0.1 and 1, stretched to the whole range; a charge needs more at the terminals by the losses.

    Parameters
    ----------
    parameters : BatteryParameters
        Of n packs.

    Returns
    -------
    array, shape (n,)
        Energy [kWh].
    """
    return energy_wh(parameters) * parameters.n_series * parameters.n_parallel / W_PER_KW


def energy_wh(cell: tremblay_cell.Cell):
    """Compute the nominal energy of a cell [Wh]: capacity times open-circuit voltage at half charge."""
    return cell.q_ah * tremblay_cell.open_circuit_v(cell, 0.5 * cell.q_ah)
