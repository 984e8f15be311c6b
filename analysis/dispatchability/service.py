"""Check whether PV power can be served: one linear program with all buses, phases, periods and voltages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np

from ...controllers.optimization.program import Program
from ...controllers.optimization.standard_form import form_of_arrays
from .case import FeederCase
from .feeder import PHASES, FeederProblem
from .flow_equations import equations, grid


class Service:
    """The recourse of a case as one linear program, loaded once and solved for many PV powers.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    solver : {'glpk', 'highs'}
        Solver of the linear program.
    """

    def __init__(self, case: FeederCase, solver: str = "glpk"):
        self._case = case
        whole = grid(case.feeder, zones=False)
        system = equations(case, [whole] * case.periods, np.ones(case.periods, dtype=bool))
        self._node_of = whole.node_of
        self._slack = system.slack
        self._places = np.argwhere(case.available_kw > 0.0)
        self._pv = []
        for i, phase, t in self._places.tolist():
            self._pv.append(system.column(0.0, 0.0))
            system.add(system.balance[t, whole.node_of[case.pvs[i].bus, phase]], self._pv[-1], 1.0)
        self._squared = system.squared
        arrays = system.arrays
        rows = arrays["rhs"], np.where(arrays["equal"], arrays["rhs"], inf)
        cost, lower, upper = (arrays[f"recourse_{name}"] for name in ("cost", "lower", "upper"))
        self._program = Program(form_of_arrays(arrays["G"], cost, lower, upper, *rows), solver)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()

    def unbalanced(self, p_kw: np.ndarray) -> float:
        """Compute the power that cannot be balanced, summed over buses and periods [kW and kvar]; 0 if all is served.

        It is inf where no power at all keeps the voltages, which limits of lines can bring about.

        Parameters
        ----------
        p_kw : ndarray, shape (n_pv, 3, t)
            Power of the PV units [kW].
        """
        p_kw = p_kw[tuple(self._places.T)]
        return self._solve(p_kw, p_kw)

    def min_unbalanced(self) -> float:
        """Compute the power that cannot be balanced with the best PV power [kW and kvar]."""
        return self._solve(np.zeros(len(self._places)), self._case.available_kw[tuple(self._places.T)])

    def _solve(self, low: np.ndarray, high: np.ndarray) -> float:
        if self._pv:
            self._program.set_bounds(self._pv, low, high)
        solution = self._program.solve()
        return solution.objective / self._case.penalty if solution.ok else inf

    def voltages_pu(self) -> np.ndarray:
        """Return the voltages at the last solution [pu], shape (t, nodes) ordered as ``Feeder.nodes``; NaN for none."""
        values = self._program.values()
        columns = [[self._squared[t, *node] for node in self._case.feeder.nodes] for t in range(self._case.periods)]
        return np.sqrt(values[np.array(columns)])

    def missing(self) -> list[tuple[int, str, str, float]]:
        """List where power was not balanced at the last solution: period, bus, phase, amount [kW or kvar]."""
        values, node = self._program.values(), {number: key for key, number in self._node_of.items()}
        amounts: dict[tuple[int, int], float] = {}
        for column, t, number in self._slack:
            if values[column] > 1e-6:
                amounts[t, number] = amounts.get((t, number), 0.0) + values[column]
        return [(t, node[number][0], PHASES[node[number][1]], amount) for (t, number), amount in amounts.items()]


def service_problems(case: FeederCase, labels: list[str], solver: str = "glpk") -> list[FeederProblem]:
    """List the periods that cannot be served with any PV power, with a bus and phase of missing power or voltage.

    Parameters
    ----------
    case : FeederCase
        A case without problems.
    labels : list of str
        Names of the periods.
    solver : {'glpk', 'highs'}
        Solver of the linear program.

    Returns
    -------
    list of FeederProblem
    """
    with Service(case, solver) as service:
        unbalanced = service.min_unbalanced()
        if unbalanced <= 1e-6:
            return []
        periods = sorted({t for t, *_ in service.missing()}) if unbalanced < inf else list(range(case.periods))
    free = replace(case, feeder=replace(case.feeder, v_min_pu=1e-3, v_max_pu=1e3))
    with Service(free, solver) as service:
        if service.min_unbalanced() <= 1e-6:
            return list(_voltage_problems(case, labels, periods, service.voltages_pu()))
        missing = service.missing()
    found_problems = []
    for t, bus, phase, amount in missing:
        allowed = f"must be servable with the best PV power within all limits, but {amount:.3f} kW or kvar are not"
        demand = case.demand_kw.get(bus)
        value = ... if demand is None else round(float(demand[t, PHASES.index(phase)]), 6)
        found_problems.append(
            FeederProblem(f"demand in period {labels[t]} at bus {bus}, phase {phase}", value, allowed)
        )
    return found_problems


def _voltage_problems(
    case: FeederCase, labels: list[str], periods: list[int], v_pu: np.ndarray
) -> Iterator[FeederProblem]:
    """Yield for each period the voltage farthest outside its limits, where nothing but voltages prevents service."""
    low, high = case.feeder.v_min_pu, case.feeder.v_max_pu
    excess = np.maximum(low - v_pu, v_pu - high)
    for t in periods:
        node = int(np.argmax(excess[t]))
        if excess[t, node] > 0.0:
            bus, phase = case.feeder.nodes[node]
            key = f"voltage in period {labels[t]} at bus {bus}, phase {PHASES[phase]}"
            allowed = f"must be {low:g} to {high:g} pu; no power within all other limits keeps all voltages"
            yield FeederProblem(key, f"{v_pu[t, node]:.4f} pu", allowed)
