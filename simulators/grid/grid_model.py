"""Grid connection of one hub: power balance at the bus, currents, capacities, and the three meters.

All power that the devices do not balance among themselves comes from the source that energises the bus: the public grid
through the point of common coupling (PCC), or the secondary source behind the ATS::

    grid + secondary + what devices feed = what devices draw + losses

Scalars and plain arithmetic: this runs on every change of any device.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import NamedTuple

from ..ats.ats_model import Bus
from ..shared_data import SharedData
from ..units import W_PER_KW


@dataclass(frozen=True)
class ConnectionParameters(SharedData):
    """Capacities and voltage of a grid connection.

    Parameters
    ----------
    contracted_kw : float
        What the contract allows to import [kW].
    installed_kw : float
        What the installation carries, in both directions [kW].
    nominal_v : float
        Nominal voltage, phase to phase [V].

    Raises
    ------
    ValueError
        A value is not > 0.
    """

    contracted_kw: float
    installed_kw: float
    nominal_v: float = 400.0

    def __post_init__(self):
        for name in ("contracted_kw", "installed_kw", "nominal_v"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")


class Powers(NamedTuple):
    """Powers of the devices of a hub, active [kW] or reactive [kvar], by the side on which they count.

    Reactive power of connectors is that of their V2G inverters, so it is fed although their active power is drawn.
    """

    drawn: tuple[float, ...] = ()
    """Of devices whose positive power draws from the bus: loads, connectors."""
    fed: tuple[float, ...] = ()
    """Of devices whose positive power feeds the bus: PV, batteries, generators."""


NO_POWERS = Powers()


class Balance(NamedTuple):
    """The flows through the ATS, without errors of meters."""

    p_grid_kw: float
    """From the public grid [kW]; < 0 exports."""
    q_grid_kvar: float
    p_secondary_kw: float
    """From the secondary source [kW]; < 0 over-generation."""
    q_secondary_kvar: float
    i_a: tuple[float, float, float]
    """Currents of the phases a, b, c through the ATS [A]."""
    contracted_excess_kw: float
    """Import above the contract [kW]; 0 when islanded."""
    installed_excess_kw: float
    """Power through the ATS, in either direction and from either source, above the installed capacity [kW]."""


DEAD_BUS = Balance(0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0.0)


class FailedMeters(NamedTuple):
    """Which meters give no readings."""

    grid: bool = False
    secondary: bool = False
    load: bool = False


ALL_WELL = FailedMeters()


class Readings(NamedTuple):
    """What the meters show; NaN where one has failed."""

    p_grid_kw: float
    """Consumer-unit meter [kW]."""
    q_grid_kvar: float
    p_secondary_kw: float
    """Meter of the secondary source [kW]."""
    q_secondary_kvar: float
    i_a: tuple[float, float, float]
    """Currents [A], by the meter of the source that carries the bus."""
    p_load_kw: float
    """Meter of the local load [kW]."""
    grid_ok: bool
    secondary_ok: bool
    load_ok: bool


def balance(
    parameters: ConnectionParameters,
    bus: Bus,
    p_kw: Powers,
    q_kvar: Powers = NO_POWERS,
    p_phase_kw: tuple[float, float, float] = (0.0, 0.0, 0.0),
    losses_kw: float = 0.0,
    v_pu: float = 1.0,
) -> Balance:
    """Compute the power of the source that energises the bus, and the currents through the ATS.

    Power that is not in `p_phase_kw`, all reactive power and the losses are spread evenly over the phases.

    Parameters
    ----------
    parameters : ConnectionParameters
    bus : Bus
        What energises the bus.
    p_kw, q_kvar : Powers
        Active and reactive power of the devices [kW], [kvar].
    p_phase_kw : sequence of 3 floats
        The part of ``p_kw.drawn`` that is drawn from one phase only: a, b, c [kW].
    losses_kw : float
        Between the ATS and the devices [kW], >= 0.
    v_pu : float
        Voltage of the bus [pu], > 0 while it is live.

    Returns
    -------
    Balance

    Raises
    ------
    ValueError
        A device has power on a dead bus, or the voltage of a live bus is not > 0.
    """
    if bus == Bus.DEAD:
        if any(map(any, (*p_kw, *q_kvar, p_phase_kw))) or losses_kw:
            raise ValueError(f"all power must be 0 on a dead bus, got {p_kw}, {q_kvar}, {p_phase_kw}, {losses_kw}")
        return DEAD_BUS
    if not v_pu > 0:
        raise ValueError(f"v_pu must be > 0 on a live bus, got {v_pu}")
    p = sum(p_kw.drawn) + losses_kw
    for fed_kw in p_kw.fed:
        p -= fed_kw
    q = sum(q_kvar.drawn)
    for fed_kvar in q_kvar.fed:
        q -= fed_kvar
    a, b, c = p_phase_kw
    even = (p - (a + b + c)) / 3
    q_phase = q / 3
    per_kva = sqrt(3) * W_PER_KW / (parameters.nominal_v * v_pu)
    i_a = (_abs(even + a, q_phase) * per_kva, _abs(even + b, q_phase) * per_kva, _abs(even + c, q_phase) * per_kva)
    installed_excess = max(0.0, abs(p) - parameters.installed_kw)
    if bus == Bus.GRID:
        return Balance(p, q, 0.0, 0.0, i_a, max(0.0, p - parameters.contracted_kw), installed_excess)
    return Balance(0.0, 0.0, p, q, i_a, 0.0, installed_excess)


def read(bus: Bus, flows: Balance, p_load_kw: float, failed: FailedMeters = ALL_WELL) -> Readings:
    """Return what the consumer-unit meter, the secondary-source meter and the load meter show.

    Parameters
    ----------
    bus : Bus
        What energises the bus.
    flows : Balance
    p_load_kw : float
        Local load [kW].
    failed : FailedMeters

    Returns
    -------
    Readings
    """
    p_grid, q_grid, p_secondary, q_secondary, i_a = flows[:5]
    if failed.grid:
        p_grid = q_grid = nan
    if failed.secondary:
        p_secondary = q_secondary = nan
    if (failed.grid and bus == Bus.GRID) or (failed.secondary and bus == Bus.SECONDARY):
        i_a = (nan, nan, nan)
    p_load = nan if failed.load else p_load_kw
    ok = (not failed.grid, not failed.secondary, not failed.load)
    return Readings(p_grid, q_grid, p_secondary, q_secondary, i_a, p_load, *ok)


def _abs(x, y):
    return sqrt(x * x + y * y)
