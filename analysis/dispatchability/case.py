"""A case: feeder, units, demand and available PV over a horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from .feeder import PHASES, Feeder, FeederProblem
from .generation_units import DgUnit, EvCluster, PvUnit, cluster_problems, unit_problems


@dataclass(frozen=True)
class FeederCase:
    """The data that decide the limits: feeder, units, demand and radiation for t periods.

    Parameters
    ----------
    feeder : Feeder
        The network.
    demand_kw, demand_kvar : mapping of str to ndarray, shape (t, 3)
        Demand of each bus that has any, phases a, b, c [kW, kvar].
    radiation : ndarray, shape (t,)
        Available radiation; a PV unit can give ``area_kw`` times this.
    dgs, pvs, clusters : tuple
        The units.
    step_h : float
        Length of a period [h].
    penalty : float
        Cost of power that is not balanced [1/kW], relative to a width of 1 for the whole rating; 1 in the paper. It is
        raised where it is too low to keep power balanced that could be balanced.
    diagonal : float
        Factor of the octagon (8)-(9) that stands for the circle of apparent power.
    """

    feeder: Feeder
    demand_kw: Mapping[str, np.ndarray]
    demand_kvar: Mapping[str, np.ndarray]
    radiation: np.ndarray
    dgs: tuple[DgUnit, ...] = ()
    pvs: tuple[PvUnit, ...] = ()
    clusters: tuple[EvCluster, ...] = ()
    step_h: float = 1.0
    penalty: float = 1.0
    diagonal: float = sqrt(2.0)

    @property
    def periods(self) -> int:
        """Number of periods."""
        return len(self.radiation)

    @property
    def available_kw(self) -> np.ndarray:
        """Largest power of each PV unit in each phase [kW], shape (n_pv, 3, t), eq. (14), (16), (18)."""
        available = np.zeros((len(self.pvs), 3, self.periods))
        for i, pv in enumerate(self.pvs):
            max_kw = np.minimum(pv.share(pv.p_max_kw), pv.share(pv.area_kw) * self.radiation)
            available[i, list(pv.phase_numbers)] = max_kw
        return available

    def one_period(self, t: int) -> FeederCase:
        """Return the case of one period alone, without EVs."""
        here = slice(t, t + 1)
        return replace(
            self,
            demand_kw={bus: series[here] for bus, series in self.demand_kw.items()},
            demand_kvar={bus: series[here] for bus, series in self.demand_kvar.items()},
            radiation=self.radiation[here],
            clusters=(),
        )

    def without_clusters(self) -> FeederCase:
        """Return the case without EVs."""
        return replace(self, clusters=())

    def without_v2g(self) -> FeederCase:
        """Return the case with EVs that only charge."""
        return replace(self, clusters=tuple(replace(cluster, discharge_kw=0.0) for cluster in self.clusters))

    def shifted(self, periods: int) -> FeederCase:
        """Return the case with stays of EVs that are later by so many periods (earlier if negative)."""
        moved = [replace(c, first=c.first + periods, last=c.last + periods) for c in self.clusters]
        return replace(self, clusters=tuple(moved))


def problems(case: FeederCase) -> list[FeederProblem]:
    """Check the data of a case and list what is wrong with them.

    Parameters
    ----------
    case : FeederCase
        The case.

    Returns
    -------
    list of FeederProblem
        Each with key, value (``...`` if there is none) and what is allowed, and with bus and phase where it has one.
    """
    found_problems = list(case.feeder.problems())
    found_problems += unit_problems("dgs", case.dgs, case.feeder)
    found_problems += unit_problems("pvs", case.pvs, case.feeder)
    found_problems += [
        FeederProblem(f"pvs.{pv.name}.p_max_kw", pv.p_max_kw, "must be > 0") for pv in case.pvs if pv.p_max_kw == 0
    ]
    found_problems += unit_problems("clusters", case.clusters, case.feeder)
    found_problems += cluster_problems(case.clusters, case.periods, case.step_h)
    found_problems += _series_problems(case)
    if not case.step_h > 0:
        found_problems.append(FeederProblem("step_h", case.step_h, "must be > 0"))
    if not case.penalty > 0:
        found_problems.append(FeederProblem("penalty", case.penalty, "must be > 0"))
    if not 1.0 <= case.diagonal <= 2.0:
        found_problems.append(
            FeederProblem("diagonal", case.diagonal, "must be 1 to 2; the square root of 2 fits the octagon")
        )
    return found_problems


def _series_problems(case: FeederCase) -> Iterator[FeederProblem]:
    for kind, table in (("demand_kw", case.demand_kw), ("demand_kvar", case.demand_kvar)):
        for bus, demand in table.items():
            key = f"{kind}.{bus}"
            if bus not in case.feeder.bus_phases:
                yield FeederProblem(key, bus, f"must be a bus of the feeder: {', '.join(case.feeder.buses)}")
                continue
            if np.shape(demand) != (case.periods, 3) or not np.all(np.isfinite(demand)):
                yield FeederProblem(key, np.shape(demand), f"must be finite and of shape ({case.periods}, 3)")
                continue
            for number, phase in enumerate(PHASES):
                if phase not in case.feeder.bus_phases[bus] and np.any(demand[:, number] != 0):
                    value = float(demand[demand[:, number] != 0, number][0])
                    has = case.feeder.bus_phases[bus]
                    yield FeederProblem(key, value, f"must be 0 in phase {phase}: bus {bus} has only {has}")
                elif kind == "demand_kw" and np.any(demand[:, number] < 0):
                    value = float(demand[:, number].min())
                    yield FeederProblem(key, value, f"must be >= 0 in phase {phase}; generation is a unit")
    if not np.all(np.isfinite(case.radiation)) or np.any(case.radiation < 0):
        yield FeederProblem("radiation", float(np.min(case.radiation)), "must be finite and >= 0")
