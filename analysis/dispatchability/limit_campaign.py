"""Campaign of many drawn cases: expected limits and their confidence intervals (case 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from scipy import stats

from .case import FeederCase
from .generation_units import EvCluster
from .limits import PvLimits, Tell, solve_limits


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the forecast errors, as shares of the mean; normal distributions.

    Parameters
    ----------
    demand, radiation : float
        Drawn for each period, one number for the whole feeder.
    soc, capacity, power : float
        Drawn for each cluster: state of charge at arrival and at departure, energy capacity, charging and discharging
        power.
    """

    demand: float = 0.0
    radiation: float = 0.0
    soc: float = 0.0
    capacity: float = 0.0
    power: float = 0.0


@dataclass(frozen=True)
class Campaign:
    """Limits of many drawn cases.

    Parameters
    ----------
    lower_kw, upper_kw : ndarray, shape (n, n_pv, 3, t)
        Limits of each case [kW].
    unbalanced : ndarray, shape (n,)
        Power that is not balanced in the worst case [kW and kvar].
    gaps, seconds : ndarray, shape (n,)
        Distance of the bounds of the objective, and wall time [s].
    clips : mapping of str to int
        Number of drawn values that were clipped to possible ones, by kind.
    served : ndarray of bool, shape (n,)
        Cases in which all power is balanced; the expectation is taken over these.
    wall_s : float
        Wall time of all [s].
    """

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    unbalanced: np.ndarray
    gaps: np.ndarray
    seconds: np.ndarray
    clips: Mapping[str, int]
    served: np.ndarray
    wall_s: float

    def expected_kw(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Compute the expected limits of all units together and the half widths of their confidence intervals.

        Parameters
        ----------
        level : float
            Confidence; Student's t.

        Returns
        -------
        mean, half_width : ndarray, shape (2, 3, t)
            Lower and upper limit of each phase and period [kW]; NaN if too few cases could be served.
        """
        totals = np.stack([self.lower_kw[self.served].sum(axis=1), self.upper_kw[self.served].sum(axis=1)])
        n = totals.shape[1]
        if n < 2:
            nothing = np.full((2, *totals.shape[2:]), np.nan)
            return (totals.mean(axis=1) if n else nothing), nothing
        half = stats.t.ppf(0.5 + level / 2.0, n - 1) * totals.std(axis=1, ddof=1) / np.sqrt(n)
        return totals.mean(axis=1), half


def draw(case: FeederCase, spread: Spread, rng: np.random.Generator) -> tuple[FeederCase, Counter[str]]:
    """Draw a random case around a case, and count the drawn values that had to be clipped to possible ones.

    Negative powers, energies and radiations become 0; states of charge are kept within 0 and 1 and above the least
    energy; the energy at departure is kept within what the drawn power can reach.

    Parameters
    ----------
    case : FeederCase
        The means.
    spread : Spread
        Standard deviations.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    case : FeederCase
    clips : Counter
        By kind.
    """
    clips: Counter[str] = Counter()

    def clipped(value, low, high, kind: str):
        inside = np.clip(value, low, high)
        clips[kind] += int(np.sum(np.abs(inside - value) > 1e-12))
        return inside

    demand = clipped(rng.normal(1.0, spread.demand, case.periods), 0.0, np.inf, "demand below 0")[:, None]
    radiation = clipped(rng.normal(1.0, spread.radiation, case.periods), 0.0, np.inf, "radiation below 0")
    clusters = []
    for cluster in case.clusters:
        soc = np.array([cluster.e_arrival_kwh, cluster.e_departure_kwh]) / (cluster.e_max_kwh or 1.0)
        soc = clipped(rng.normal(soc, spread.soc * soc), 0.0, 1.0, "state of charge outside 0 to 1")
        capacity = float(clipped(rng.normal(1.0, spread.capacity), 0.0, np.inf, "capacity below 0"))
        power = float(clipped(rng.normal(1.0, spread.power), 0.0, np.inf, "power below 0"))
        low, high = capacity * cluster.e_min_kwh, capacity * cluster.e_max_kwh
        arrival, departure = clipped(soc * high, low, high, "energy below the least")
        drawn: EvCluster = replace(
            cluster,
            charge_kw=power * cluster.charge_kw,
            discharge_kw=power * cluster.discharge_kw,
            e_min_kwh=low,
            e_max_kwh=high,
            e_arrival_kwh=float(arrival),
        )
        reachable = clipped(departure, *drawn.reachable_kwh(case.step_h), "departure energy out of reach")
        clusters.append(replace(drawn, e_departure_kwh=float(reachable)))
    drawn_case = replace(
        case,
        demand_kw={bus: demand * series for bus, series in case.demand_kw.items()},
        demand_kvar={bus: demand * series for bus, series in case.demand_kvar.items()},
        radiation=radiation * case.radiation,
        clusters=tuple(clusters),
    )
    return drawn_case, clips


SolveAll = Callable[[Callable[[FeederCase], PvLimits], Sequence[FeederCase], Tell], Sequence[PvLimits]]
"""Function that solves many cases: arguments are the solver of one, the cases and the progress callback."""


def one_by_one(solve: Callable[[FeederCase], PvLimits], cases: Sequence[FeederCase], tell: Tell) -> list[PvLimits]:
    """Solve one case after the other in this process."""
    limits: list[PvLimits] = []
    for case in cases:
        limits.append(solve(case))
        tell(f"scenario {len(limits)} of {len(cases)}")
    return limits


def run_campaign(
    case: FeederCase,
    spread: Spread,
    scenarios: int,
    seed: int,
    *,
    solve_all: SolveAll = one_by_one,
    start: PvLimits | None = None,
    options: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Campaign:
    """Solve many drawn cases and return their limits.

    The result does not depend on where and in which order they are solved: every case has its own seed.

    Parameters
    ----------
    case : FeederCase
        The means.
    spread : Spread
        Standard deviations.
    scenarios : int
        Number of cases.
    seed : int
        Seed of the draws.
    solve_all : callable
        Solves the cases: see `SolveAll`; one after the other in this process when left out.
    start : PvLimits, optional
        Limits of `case`, whose worst cases each drawn case starts with.
    options : mapping, optional
        Keywords of `solve_limits`.
    tell : callable, optional
        Called with a message on progress.

    Returns
    -------
    Campaign

    Raises
    ------
    ValueError
        For less than one scenario.
    """
    if scenarios < 1:
        raise ValueError(f"{scenarios} scenarios: allowed are numbers >= 1")
    began = perf_counter()
    clips: Counter[str] = Counter()
    cases = []
    for sequence in np.random.SeedSequence(seed).spawn(scenarios):
        drawn, moved = draw(case, spread, np.random.default_rng(sequence))
        cases.append(drawn)
        clips += moved
    options = dict(options or {})
    options["start"] = start.scenarios if start else ()
    limits = solve_all(partial(solve_limits, **options), cases, tell or (lambda _: None))
    return _gathered(limits, clips, options, perf_counter() - began)


def _gathered(limits: Sequence[PvLimits], clips: Counter[str], options: Mapping[str, Any], wall_s: float) -> Campaign:
    unbalanced = np.array([case_limits.unbalanced for case_limits in limits])
    return Campaign(
        np.array([case_limits.lower_kw for case_limits in limits]),
        np.array([case_limits.upper_kw for case_limits in limits]),
        unbalanced,
        np.array([case_limits.gap for case_limits in limits]),
        np.array([case_limits.seconds for case_limits in limits]),
        {kind: count for kind, count in sorted(clips.items()) if count},
        unbalanced <= options.get("tolerance", 1e-3),
        wall_s,
    )
