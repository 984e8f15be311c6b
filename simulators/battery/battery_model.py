"""Battery packs behind their converters, stationary or in vehicles: power, limits and state, vectorised over packs.

A pack is ``n_series`` times ``n_parallel`` equal cells of Tremblay & Dessaint 2009 behind a converter with a constant
efficiency each way. Powers are at the grid-side terminals of the converter, > 0 discharges. An ideal battery is the
same model with ``R = K = A = 0``.

Power is constant between events: `hold` says what is delivered from now on and for how long, `advance` moves the state
on. Both take the packs that are active one after the other (`battery_cell`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..units import W_PER_KW
from . import battery_cell
from . import tremblay_cell as tremblay
from .battery_cell import CV_RESOLUTION, Phase, Unit

__all__ = [
    "Hold",
    "Parameters",
    "Phase",
    "State",
    "advance",
    "capacity_kwh",
    "current_a",
    "hold",
    "ideal",
    "initial",
    "pack",
    "power_limits",
    "put",
    "put_state",
    "stack",
    "terminal_voltage_v",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parameters(tremblay.Cell):
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
    table: Array = field(init=False, repr=False)
    """All of the above, shape (fields, n), read-only; the fields are its rows."""
    units: tuple[Unit, ...] = field(init=False, repr=False)
    """The same, pack by pack, on floats."""

    def __post_init__(self):
        rows = [np.atleast_1d(np.asarray(getattr(self, name), dtype=float)) for name in _FIELDS]
        if len({row.shape for row in rows}) > 1 or rows[0].ndim != 1:
            shapes = {name: row.shape for name, row in zip(_FIELDS, rows, strict=True)}
            raise ValueError(f"parameters must be arrays of one shape (n,), got {shapes}")
        table = np.stack(rows)
        _fill(self, table, tuple(_checked(Unit(*column)) for column in table.T.tolist()))


_FIELDS = tuple(each.name for each in fields(Parameters) if each.init)
_CELL_FIELDS = tuple(each.name for each in fields(tremblay.Cell))
_LIMIT_FIELDS = ("v_max_v", "v_min_v", "i_charge_max_a", "i_discharge_max_a", "i_end_a")


def _fill(parameters: Parameters, table: Array, units: tuple[Unit, ...]) -> Parameters:
    """Set all fields, past the frozen dataclass: they are rows of one table, so that a pack is exchanged at once."""
    table.flags.writeable = False
    parameters.__dict__.update(zip(_FIELDS, table, strict=True), table=table, units=units)
    return parameters


_RANGES = (
    (
        ("e0_v", "b_per_ah", "q_ah", "n_series", "n_parallel", "v_max_v", "v_min_v"),
        "> 0 and finite",
        lambda x: 0 < x < np.inf,
    ),
    (("i_charge_max_a", "i_discharge_max_a", "i_end_a"), "> 0 and finite", lambda x: 0 < x < np.inf),
    (("tau_s",), "> 0", lambda x: x > 0),
    (("r_ohm", "k_v_per_ah", "a_v"), ">= 0 and finite", lambda x: 0 <= x < np.inf),
    (("p_charge_max_kw", "p_discharge_max_kw"), ">= 0 and finite", lambda x: 0 <= x < np.inf),
    (("eta_charge", "eta_discharge"), "in (0, 1]", lambda x: 0 < x <= 1),
    (("soc_min", "soc_max"), "in [0, 1]", lambda x: 0 <= x <= 1),
)


def _checked(unit: Unit) -> Unit:
    for names, allowed, holds in _RANGES:
        for name in names:
            value = getattr(unit, name)
            if not holds(value):
                raise ValueError(f"{name} must be {allowed}, got {value}")
    if not unit.soc_min <= unit.soc_max:
        raise ValueError(f"soc_min must be <= soc_max, got {unit.soc_min} and {unit.soc_max}")
    if not 0.5 * unit.e0_v <= unit.v_min_v < unit.v_max_v:
        # Below half the voltage a cell gives less power the more current it is asked for.
        raise ValueError(f"must be e0_v / 2 <= v_min_v < v_max_v, got {unit.v_min_v} and {unit.v_max_v}")
    return battery_cell.with_ends(unit)


@dataclass(frozen=True, eq=False)
class State:
    """State of n packs.

    Parameters
    ----------
    soc : array, shape (n,)
        State of charge, 0..1.
    i_filtered_a : array, shape (n,)
        Filtered current ``i*`` of a cell [A].
    """

    soc: Array
    i_filtered_a: Array


@dataclass(frozen=True, eq=False)
class Hold:
    """What n packs deliver from now on.

    Parameters
    ----------
    p_kw : array, shape (n,)
        Power [kW], > 0 discharges.
    hold_s : array, shape (n,)
        Time for which it stays [s], a multiple of the step; inf if nothing will change.
    phase : array of int, shape (n,)
        What decides the power, see `Phase`.
    """

    p_kw: Array
    hold_s: Array
    phase: NDArray[np.int8]


# --------------------------------------------------------------------------------------------------------- parameters


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
) -> Parameters:
    """One pack of a published cell.

    Parameters
    ----------
    cell_set : mapping
        Contents of a file of ``simulators/data/batteries``: ``cell``, ``limits`` and ``pack`` (numbers of cells).
    capacity_kwh : float, optional
        Nominal energy [kWh] (see the function `capacity_kwh`), which sets the number of strings in parallel. Not with
        `n_parallel`.
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
    Parameters
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
    given: dict[str, Any] = {
        "p_charge_max_kw": p_charge_max_kw,
        "p_discharge_max_kw": p_discharge_max_kw,
        "eta_charge": eta_charge,
        "eta_discharge": eta_discharge,
        "soc_min": soc_min,
        "soc_max": soc_max,
    }
    try:
        given |= {name: cell_set["cell"][name] for name in (*_CELL_FIELDS, "tau_s")}
        given |= {name: cell_set["limits"][name] for name in _LIMIT_FIELDS}
        given["n_series"] = cell_set["pack"]["n_series"] if n_series is None else n_series
        given["n_parallel"] = cell_set["pack"]["n_parallel"] if n_parallel is None else n_parallel
    except KeyError as missing:
        raise ValueError(f"the cell set {cell_set.get('name', '')!r} has no {missing}") from None
    if capacity_kwh is not None:
        cell = tremblay.Cell(*(given[name] for name in _CELL_FIELDS))
        given["n_parallel"] = capacity_kwh * W_PER_KW / (given["n_series"] * _energy_wh(cell))
    return Parameters(**given)


def _energy_wh(cell: tremblay.Cell):
    return cell.q_ah * tremblay.open_circuit_v(cell, 0.5 * cell.q_ah)


def ideal(
    capacity_kwh: float,
    *,
    p_charge_max_kw: float,
    p_discharge_max_kw: float = 0.0,
    eta_charge: float = 1.0,
    eta_discharge: float = 1.0,
    soc_min: float = 0.0,
    soc_max: float = 1.0,
) -> Parameters:
    """One battery without losses or voltage dynamics inside: ``R = K = A = 0``, only the converter limits it.

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
    Parameters
        Of one pack, n = 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    if not capacity_kwh > 0:
        raise ValueError(f"capacity_kwh must be > 0, got {capacity_kwh}")
    cell = {"e0_v": _IDEAL_V, "r_ohm": 0.0, "k_v_per_ah": 0.0, "a_v": 0.0, "b_per_ah": 1.0, "tau_s": np.inf}
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


_IDEAL_V = 400.0  # reported as terminal voltage; nothing else depends on it
_IDEAL_A = 1e12  # no limit


def stack(parameters: Sequence[Parameters]) -> Parameters:
    """Put packs side by side.

    Parameters
    ----------
    parameters : sequence of Parameters
        One or more, of any n.

    Returns
    -------
    Parameters
        Of all packs, in order.
    """
    table = np.concatenate([each.table for each in parameters], axis=1)
    return _fill(object.__new__(Parameters), table, tuple(unit for each in parameters for unit in each.units))


def put(parameters: Parameters, index: int, one: Parameters) -> Parameters:
    """Exchange one pack: a vehicle arrives at a connector.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    index : int
        Which one.
    one : Parameters
        Of one pack, the new one.

    Returns
    -------
    Parameters
        Of n packs.
    """
    table = parameters.table.copy()
    table[:, index] = one.table[:, 0]
    units = list(parameters.units)
    units[index] = one.units[0]
    return _fill(object.__new__(Parameters), table, tuple(units))


def capacity_kwh(parameters: Parameters) -> Array:
    """Nominal energy: capacity times open-circuit voltage at half charge.

    For an ideal battery this is the energy between SoC 0 and 1. For the published cells it is close to the open-circuit
    energy between SoC 0.1 and 1, stretched to the whole range; a charge needs more at the terminals by the losses.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.

    Returns
    -------
    array, shape (n,)
        Energy [kWh].
    """
    return _energy_wh(parameters) * parameters.n_series * parameters.n_parallel / W_PER_KW


# --------------------------------------------------------------------------------------------------------------- state


def initial(parameters: Parameters, soc: ArrayLike) -> State:
    """State at rest.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    soc : float or array, shape (n,)
        State of charge, 0..1.

    Returns
    -------
    State
        With filtered currents of 0.

    Raises
    ------
    ValueError
        If a SoC is outside 0..1.
    """
    n = len(parameters.units)
    soc = np.array(np.broadcast_to(np.asarray(soc, dtype=float), (n,)))
    if not np.all((soc >= 0.0) & (soc <= 1.0)):
        raise ValueError(f"soc must be in [0, 1], got {soc}")
    return State(soc, np.zeros(n))


def put_state(state: State, index: int, soc: float) -> State:
    """State after one pack has been exchanged for one at rest.

    Parameters
    ----------
    state : State
        Of n packs.
    index : int
        Which one.
    soc : float
        Its state of charge, 0..1.

    Returns
    -------
    State
        Of n packs.

    Raises
    ------
    ValueError
        If the SoC is outside 0..1.
    """
    if not 0.0 <= soc <= 1.0:
        raise ValueError(f"soc must be in [0, 1], got {soc}")
    new = State(state.soc.copy(), state.i_filtered_a.copy())
    new.soc[index], new.i_filtered_a[index] = soc, 0.0
    return new


# --------------------------------------------------------------------------------------------------- limits and motion


def power_limits(
    parameters: Parameters, state: State, step_s: float, index: Sequence[int] | None = None
) -> tuple[Array, Array]:
    """What can be held constant for a time without leaving the SoC window, a current, a voltage or a power limit.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    state : State
        Of n packs.
    step_s : float
        The time [s].
    index : sequence of int, optional
        Only these packs; all by default.

    Returns
    -------
    p_min_kw, p_max_kw : array, shape (n,) or (len(index),)
        Greatest charging power, <= 0, and greatest discharging power, >= 0 [kW].
    """
    index = range(len(parameters.units)) if index is None else index
    p_min, p_max = np.zeros(len(index)), np.zeros(len(index))
    for row, k in enumerate(index):
        unit = parameters.units[k]
        it_ah, i_filtered_a = _extracted_ah(unit, state.soc.item(k)), state.i_filtered_a.item(k)
        for out, rated_kw in ((p_min, -unit.p_charge_max_kw), (p_max, unit.p_discharge_max_kw)):
            rated_w = _cell_w(unit, rated_kw)
            p_w = battery_cell.hold(unit, it_ah, i_filtered_a, rated_w, step_s)[0]
            out[row] = rated_kw if p_w == rated_w else _grid_kw(unit, p_w)
    return p_min, p_max


def hold(
    parameters: Parameters,
    state: State,
    p_set_kw: ArrayLike,
    step_s: float,
    cv_resolution: float = CV_RESOLUTION,
    index: Sequence[int] | None = None,
) -> Hold:
    """Constant power delivered on request from now on, and for how long it stays within all limits.

    A current or voltage limit is followed in pieces of constant power, each the mean over its time, to second order:
    within a piece, or a step that is longer, the voltage passes its limit a little. A SoC bound is met exactly at the
    end of a step, with less power in the last one.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    state : State
        Of n packs.
    p_set_kw : array, shape (n,)
        Requested power [kW], > 0 discharges; cut to the rating.
    step_s : float
        Step of the time grid [s], on which all events are.
    cv_resolution : float
        Relative change of the power from piece to piece of the constant-voltage phase.
    index : sequence of int, optional
        Only these packs; all by default. What was given for a pack stays valid until its time is over or its request
        changes, so the others need not be asked again.

    Returns
    -------
    Hold
        Power, time and phase, of all packs or of those asked. Ask again when the time is over, or at any time before.
    """
    p_set_kw = np.asarray(p_set_kw, dtype=float)
    if index is None:
        n, rows = len(p_set_kw), ((k, k) for k in p_set_kw.nonzero()[0].tolist())
    else:
        n, rows = len(index), enumerate(index)
    p_kw, hold_s, phase = np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=np.int8)
    for row, k in rows:
        unit = parameters.units[k]
        asked_kw = min(max(p_set_kw.item(k), -unit.p_charge_max_kw), unit.p_discharge_max_kw)
        asked_w = _cell_w(unit, asked_kw)
        it_ah, i_filtered_a = _extracted_ah(unit, state.soc.item(k)), state.i_filtered_a.item(k)
        p_w, hold_s[row], phase[row] = battery_cell.hold(unit, it_ah, i_filtered_a, asked_w, step_s, cv_resolution)
        p_kw[row] = asked_kw if p_w == asked_w != 0.0 else _grid_kw(unit, p_w)
    return Hold(p_kw, hold_s, phase)


def advance(parameters: Parameters, state: State, p_kw: ArrayLike, dt_s: float) -> State:
    """State after powers have been constant for a time.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    state : State
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges, as given by `hold`: they are not limited again.
    dt_s : float
        Time [s], >= 0.

    Returns
    -------
    State
        A new one; at rest the SoC stays and the filtered current fades.
    """
    p_kw = np.asarray(p_kw, dtype=float)
    soc, i_filtered_a = state.soc.copy(), state.i_filtered_a.copy()
    if np.count_nonzero(i_filtered_a):
        i_filtered_a *= np.exp(-dt_s / parameters.tau_s)
    for k in p_kw.nonzero()[0].tolist():
        unit = parameters.units[k]
        p_w = _cell_w(unit, p_kw.item(k))
        it_ah = _extracted_ah(unit, soc.item(k))
        it_ah, i_filtered_a[k] = battery_cell.integrate(unit, it_ah, state.i_filtered_a.item(k), p_w, dt_s)
        soc[k] = 1.0 - it_ah / unit.q_ah
    return State(soc, i_filtered_a)


# -------------------------------------------------------------------------------------------------------------- reports


def current_a(parameters: Parameters, state: State, p_kw: ArrayLike) -> Array:
    """Current of the packs at a power.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    state : State
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges.

    Returns
    -------
    array, shape (n,)
        Current at the battery terminals [A], > 0 discharges.
    """
    cells = _cells(parameters, state, p_kw)
    return np.array([i_a * unit.n_parallel for unit, _, i_a in cells])


def terminal_voltage_v(parameters: Parameters, state: State, p_kw: ArrayLike) -> Array:
    """Voltage of the packs at a power.

    Parameters
    ----------
    parameters : Parameters
        Of n packs.
    state : State
        Of n packs.
    p_kw : array, shape (n,)
        Powers [kW], > 0 discharges.

    Returns
    -------
    array, shape (n,)
        Voltage at the battery terminals [V].
    """
    cells = _cells(parameters, state, p_kw)
    return np.array([(source_v - unit.r_ohm * i_a) * unit.n_series for unit, source_v, i_a in cells])


def _cells(parameters: Parameters, state: State, p_kw: ArrayLike) -> Iterator[tuple[Unit, float, float]]:
    """Of each pack: parameters, voltage behind the resistance [V] and current [A] of a cell."""
    rows = zip(
        parameters.units, state.soc.tolist(), state.i_filtered_a.tolist(), np.asarray(p_kw).tolist(), strict=True
    )
    for unit, soc, i_filtered_a, pack_kw in rows:
        source_v = battery_cell.emf_v(unit, _extracted_ah(unit, soc), i_filtered_a)
        yield unit, source_v, tremblay.current_a(source_v, unit.r_ohm, _cell_w(unit, pack_kw))


def _extracted_ah(unit: Unit, soc: float) -> float:
    return (1.0 - soc) * unit.q_ah


def _cell_w(unit: Unit, p_kw: float) -> float:
    """Power of one cell [W] from the power at the grid side of the converter [kW]."""
    efficiency = 1.0 / unit.eta_discharge if p_kw > 0 else unit.eta_charge
    return p_kw * efficiency * W_PER_KW / (unit.n_series * unit.n_parallel)


def _grid_kw(unit: Unit, p_w: float) -> float:
    """Power at the grid side of the converter [kW] from the power of one cell [W]."""
    efficiency = unit.eta_discharge if p_w > 0 else 1.0 / unit.eta_charge
    return p_w * efficiency * unit.n_series * unit.n_parallel / W_PER_KW
