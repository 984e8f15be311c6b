"""Generators, PV units and EV clusters on a feeder; the totals of a unit are shared equally by its phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .feeder import PHASES, Feeder, FeederProblem


@dataclass(frozen=True)
class _FeederUnit:
    name: str
    bus: str
    phases: str

    @property
    def phase_numbers(self) -> tuple[int, ...]:
        """Its phases as 0, 1, 2."""
        return tuple(PHASES.index(phase) for phase in self.phases)

    def share(self, total: float) -> float:
        """Return the part of a total that one phase has."""
        return total / len(self.phases)


@dataclass(frozen=True)
class DgUnit(_FeederUnit):
    """A dispatchable generator, eq. (10)-(11).

    Parameters
    ----------
    name, bus, phases : str
        Name, bus and phases such as ``abc``.
    p_max_kw : float
        Largest active power [kW]; the smallest is 0.
    q_max_kvar : float
        Largest reactive power, fed or drawn [kvar].
    """

    p_max_kw: float
    q_max_kvar: float


@dataclass(frozen=True)
class PvUnit(_FeederUnit):
    """A PV unit, eq. (14)-(16).

    Parameters
    ----------
    name, bus, phases : str
        Name, bus and phases.
    p_max_kw : float
        Rating [kW].
    q_max_kvar : float
        Largest reactive power, fed or drawn [kvar].
    area_kw : float
        Power at full radiation (``A * IR`` at a radiation of 1) [kW]; usually the rating.
    """

    p_max_kw: float
    q_max_kvar: float
    area_kw: float


@dataclass(frozen=True)
class EvCluster(_FeederUnit):
    """EVs that are dispatched together, eq. (22)-(32); each phase has its share of power and energy.

    Parameters
    ----------
    name, bus, phases : str
        Name, bus and phases.
    charge_kw, discharge_kw : float
        Largest power [kW]; a discharging power of 0 is a cluster without V2G.
    e_min_kwh, e_max_kwh : float
        Smallest and largest energy [kWh].
    e_arrival_kwh : float
        Energy at the *end* of the first period [kWh]. As the equations are printed, the power in that period is free.
    e_departure_kwh : float
        Energy at the end of the last period [kWh].
    first, last : int
        Periods, counted from 0, from the first to the last in which it is connected.
    """

    charge_kw: float
    discharge_kw: float
    e_min_kwh: float
    e_max_kwh: float
    e_arrival_kwh: float
    e_departure_kwh: float
    first: int
    last: int

    def reachable_kwh(self, step_h: float) -> tuple[float, float]:
        """Compute lowest and highest energy that the cluster can have at departure [kWh]."""
        hours = (self.last - self.first) * step_h
        low = max(self.e_min_kwh, self.e_arrival_kwh - self.discharge_kw * hours)
        return low, min(self.e_max_kwh, self.e_arrival_kwh + self.charge_kw * hours)


def unit_problems(kind: str, units: tuple[_FeederUnit, ...], feeder: Feeder) -> Iterator[FeederProblem]:
    """Check places, phases and signs of the units of a kind, and yield the errors."""
    seen = set()
    for unit in units:
        key = f"{kind}.{unit.name}"
        if unit.name in seen:
            yield FeederProblem(key, ..., "must have a name of its own; two have this one")
        seen.add(unit.name)
        yield from place_problems(key, unit.bus, unit.phases, feeder)
        for name in ("p_max_kw", "q_max_kvar", "area_kw", "charge_kw", "discharge_kw", "e_min_kwh"):
            if getattr(unit, name, 0.0) < 0:
                yield FeederProblem(f"{key}.{name}", getattr(unit, name), "must be >= 0")


def place_problems(key: str, bus: str, phases: str, feeder: Feeder) -> Iterator[FeederProblem]:
    """Check that a bus exists and has certain phases, and yield the errors."""
    if bus not in feeder.bus_phases:
        yield FeederProblem(f"{key}.bus", bus, f"must be a bus of the feeder: {', '.join(feeder.buses)}")
    elif not phases or any(p not in PHASES for p in phases) or len(set(phases)) != len(phases):
        yield FeederProblem(f"{key}.phases", phases, "must be one to three of a, b, c, each once")
    else:
        for phase in phases:
            if phase not in feeder.bus_phases[bus]:
                allowed = f"must be phases that bus {bus} has ({feeder.bus_phases[bus]}); phase {phase} is not there"
                yield FeederProblem(f"{key}.phases", phases, allowed)


def cluster_problems(clusters: tuple[EvCluster, ...], periods: int, step_h: float) -> Iterator[FeederProblem]:
    """Check that stays lie in the horizon and energies are reachable, and yield the errors."""
    for cluster in clusters:
        key = f"clusters.{cluster.name}"
        if not 0 <= cluster.first < cluster.last < periods:
            stay = f"{cluster.first} to {cluster.last}"
            yield FeederProblem(
                f"{key}.stay", stay, f"must be a first and a later last period within 0 to {periods - 1}"
            )
            continue
        for name in ("e_arrival_kwh", "e_departure_kwh"):
            value = getattr(cluster, name)
            if not cluster.e_min_kwh <= value <= cluster.e_max_kwh:
                allowed = f"must be between {cluster.e_min_kwh:g} and {cluster.e_max_kwh:g}"
                yield FeederProblem(f"{key}.{name}", value, allowed)
        low, high = cluster.reachable_kwh(step_h)
        if not low - 1e-9 <= cluster.e_departure_kwh <= high + 1e-9:
            allowed = f"must be within reach of the arrival energy and the power: {low:g} to {high:g}"
            yield FeederProblem(f"{key}.e_departure_kwh", cluster.e_departure_kwh, allowed)
